//! How a thread sleeps and is woken: one permit, and the place it sleeps in.
//!
//! | state | meaning | left by |
//! |---|---|---|
//! | Awake | the thread runs | `prepare`, `unpark` |
//! | Notified | a permit is stored | `prepare` (refused), `finish` |
//! | Parked | sleeps in the thread's own parking lot | `unpark`, `finish` |
//! | Driving | waits in the reactor | `unpark`, `finish` |
//!
//! A thread announces its sleep with `prepare`, looks at its queues again, and
//! only then sleeps; a permit given in between makes the sleep return at once.

use super::lock;
use super::primitives::{self, AtomicU8, Mutex, Ordering, Thread};
use super::reactor::Reactor;
use std::time::Duration;

const AWAKE: u8 = 0;
const NOTIFIED: u8 = 1;
const PARKED: u8 = 2;
const DRIVING: u8 = 3;

/// Where a thread is about to sleep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// In its own parking lot.
    Lot,
    /// In the reactor.
    Reactor,
}

/// The permit of one thread.
pub(super) struct Parker {
    state: AtomicU8,
    /// The thread that sleeps here now; a current-thread runtime may change it.
    thread: Mutex<Option<Thread>>,
}

impl Parker {
    pub(super) fn new() -> Self {
        Parker {
            state: AtomicU8::new(AWAKE),
            thread: Mutex::new(None),
        }
    }

    /// Makes the calling thread the one that sleeps here.
    pub(super) fn adopt(&self) {
        *lock(&self.thread) = Some(primitives::current());
        self.state.store(AWAKE, Ordering::SeqCst);
    }

    /// Consumes the permit, if there is one; for a thread that is awake.
    pub(super) fn take_permit(&self) -> bool {
        let (success, failure) = (Ordering::SeqCst, Ordering::SeqCst);
        self.state
            .compare_exchange(NOTIFIED, AWAKE, success, failure)
            .is_ok()
    }

    /// Announces a sleep; `false` when a permit is there already, which it consumes.
    #[must_use]
    pub(super) fn prepare(&self, place: Place) -> bool {
        let asleep = if place == Place::Lot { PARKED } else { DRIVING };
        let announced = (self.state)
            .compare_exchange(AWAKE, asleep, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok();
        if !announced {
            self.state.store(AWAKE, Ordering::SeqCst);
        }
        announced
    }

    /// Sleeps in the lot; may return early.
    pub(super) fn sleep(&self, timeout: Option<Duration>) {
        match timeout {
            Some(timeout) => primitives::park_timeout(timeout),
            None => primitives::park(),
        }
    }

    /// Ends a sleep and consumes the permit, if there is one.
    pub(super) fn finish(&self) {
        self.state.swap(AWAKE, Ordering::SeqCst);
    }

    /// Gives the permit and wakes the thread if it sleeps.
    pub(super) fn unpark(&self, reactor: &Reactor) {
        match self.state.swap(NOTIFIED, Ordering::SeqCst) {
            PARKED => {
                let thread = lock(&self.thread).clone();
                if let Some(thread) = thread {
                    thread.unpark();
                }
            }
            DRIVING => reactor.wake(),
            _ => {}
        }
    }
}
