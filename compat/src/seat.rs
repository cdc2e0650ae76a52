//! The boundary's books: who sits in it, whether it is still open, and who waits for it to close.
//!
//! | Phase | Adopt, delegate, guest | Left when |
//! |---|---|---|
//! | Open | yes | a close is requested |
//! | Draining | yes: cleanup needs them | the drain ended |
//! | Severed | refused | the ladder has ended |
//! | Closed | refused | never |
//!
//! Invariants:
//! 1. every adopted and delegated future has one seat from its first moment to the
//!    moment its destructor has run, so an empty book means that nothing runs;
//! 2. after a seat is refused no seat is ever given again;
//! 3. wakers, clients and futures are dropped and woken with no lock held.

use crate::error::UseError;
use crate::guest::Revoke;
use crate::host::Host;
use crate::journal::{Journal, lock};
use crate::report::{Census, EscalationReport, FutureKind, FutureName, HeldGuest, MAX_NAMED};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// Everything that a boundary's handles, futures and guests share.
pub(crate) struct Books {
    pub(crate) name: Arc<str>,
    pub(crate) token: CancellationToken,
    pub(crate) journal: Arc<Journal>,
    /// Threads that the runtime has at rest.
    pub(crate) core_threads: usize,
    ledger: Mutex<Ledger>,
    /// Something left, or the owner is done.
    changed: Condvar,
    /// Whether somebody has taken it on to show the report.
    claimed: AtomicBool,
}

struct Ledger {
    phase: Phase,
    /// Whether the owner may still come with more work.
    owned: bool,
    /// Gone once the boundary is closed: a handle keeps the driver's descriptors open.
    handle: Option<Handle>,
    /// Taken by whoever carries out the ladder.
    host: Option<Host>,
    next: u64,
    seats: BTreeMap<u64, Entry>,
    guests: BTreeMap<u64, Weak<dyn Revoke>>,
    given_up: Vec<FutureName>,
    report: Option<Arc<EscalationReport>>,
    waiters: BTreeMap<u64, Waker>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Open,
    Draining,
    Severed,
    Closed,
}

struct Entry {
    future: FutureName,
    /// How to sever it; a delegated future is the runtime's to drop.
    reins: Option<Arc<Reins>>,
}

impl Books {
    pub(crate) fn open(
        name: Arc<str>,
        host: Host,
        core_threads: usize,
        journal: Arc<Journal>,
    ) -> Arc<Self> {
        let ledger = Ledger {
            phase: Phase::Open,
            owned: true,
            handle: Some(host.handle().clone()),
            host: Some(host),
            next: 0,
            seats: BTreeMap::new(),
            guests: BTreeMap::new(),
            given_up: Vec::new(),
            report: None,
            waiters: BTreeMap::new(),
        };
        Arc::new(Books {
            name,
            token: CancellationToken::new(),
            journal,
            core_threads,
            ledger: Mutex::new(ledger),
            changed: Condvar::new(),
            claimed: AtomicBool::new(false),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    pub(crate) fn closed_error(&self) -> UseError {
        UseError::Closed {
            boundary: self.name.clone(),
        }
    }

    /// The runtime, while the boundary may be used.
    pub(crate) fn handle(&self) -> Result<Handle, UseError> {
        let ledger = self.lock();
        match (ledger.phase, &ledger.handle) {
            (Phase::Open | Phase::Draining, Some(handle)) => Ok(handle.clone()),
            _ => Err(self.closed_error()),
        }
    }

    /// Whether a close has been requested.
    pub(crate) fn is_closing(&self) -> bool {
        self.lock().phase != Phase::Open
    }

    /// Gives a future its seat.
    pub(crate) fn seat(
        self: &Arc<Self>,
        kind: FutureKind,
        site: &'static Location<'static>,
    ) -> Result<Seat, UseError> {
        let reins = (kind == FutureKind::Adopted).then(Arc::<Reins>::default);
        let mut ledger = self.lock();
        let (Phase::Open | Phase::Draining, Some(handle)) = (ledger.phase, ledger.handle.clone())
        else {
            return Err(self.closed_error());
        };
        let id = ledger.next_id();
        let future = FutureName {
            kind,
            name: None,
            site,
        };
        ledger.seats.insert(
            id,
            Entry {
                future,
                reins: reins.clone(),
            },
        );
        drop(ledger);
        Ok(Seat {
            books: self.clone(),
            handle,
            id,
            reins,
            done: false,
        })
    }

    /// Registers a guest so that a close revokes it.
    pub(crate) fn admit_guest(&self, guest: Weak<dyn Revoke>) -> Result<u64, UseError> {
        let mut ledger = self.lock();
        if ledger.phase != Phase::Open {
            return Err(self.closed_error());
        }
        let id = ledger.next_id();
        ledger.guests.insert(id, guest);
        Ok(id)
    }

    pub(crate) fn forget_guest(&self, id: u64) {
        let guest = self.lock().guests.remove(&id);
        drop(guest);
    }

    /// What is alive now; threads are counted only once the runtime has been shut down.
    pub(crate) fn census(&self) -> Census {
        let ledger = self.lock();
        let adopted = ledger.seats.values().filter(|e| e.reins.is_some()).count();
        let down = ledger.host.is_none() && ledger.phase == Phase::Closed;
        let handle = ledger.handle.clone();
        drop(ledger);
        let threads = self.journal.threads_alive();
        Census {
            tasks: handle.map_or(0, |h| h.metrics().num_alive_tasks()),
            adopted,
            threads: if down { threads } else { 0 },
            blocking: threads.saturating_sub(self.core_threads),
        }
    }

    /// Starts the close: the first caller gets the runtime and must carry out the ladder.
    pub(crate) fn begin_close(&self) -> Option<Host> {
        let mut ledger = self.lock();
        if ledger.phase == Phase::Open {
            ledger.phase = Phase::Draining;
        }
        ledger.host.take()
    }

    /// The owner will not come with more work: silence is the end of the drain.
    pub(crate) fn owner_done(&self) {
        self.lock().owned = false;
        self.changed.notify_all();
    }

    pub(crate) fn is_owned(&self) -> bool {
        self.lock().owned
    }

    /// Blocks until something leaves, the owner is done or the pause is over.
    pub(crate) fn wait_for_change(&self, pause: Duration) {
        let ledger = self.lock();
        let ledger = self
            .changed
            .wait_timeout(ledger, pause)
            .unwrap_or_else(PoisonError::into_inner);
        drop(ledger);
    }

    /// The guests that a close must revoke.
    pub(crate) fn take_guests(&self) -> Vec<Arc<dyn Revoke>> {
        let guests = std::mem::take(&mut self.lock().guests);
        guests.into_values().filter_map(|g| g.upgrade()).collect()
    }

    /// Names what is alive.
    pub(crate) fn seated(&self) -> Vec<FutureName> {
        self.lock()
            .seats
            .values()
            .take(MAX_NAMED)
            .map(|e| e.future.clone())
            .collect()
    }

    /// Refuses new seats from now on and tells every adopted future to end.
    pub(crate) fn sever(&self) {
        let reins: Vec<Arc<Reins>> = {
            let mut ledger = self.lock();
            ledger.phase = Phase::Severed;
            ledger
                .seats
                .values()
                .filter_map(|e| e.reins.clone())
                .collect()
        };
        reins.iter().for_each(|r| r.sever());
    }

    /// The runtime is gone: from now on threads that are alive are left over.
    pub(crate) fn mark_down(&self) {
        self.lock().phase = Phase::Closed;
    }

    /// What the owner dropped unfinished since the close began.
    pub(crate) fn given_up(&self) -> Vec<FutureName> {
        self.lock().given_up.clone()
    }

    /// Takes it on to show the report; `false` when somebody has.
    pub(crate) fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::SeqCst)
    }

    /// Publishes the report. Returns whether somebody was waiting for it.
    pub(crate) fn publish(&self, report: Arc<EscalationReport>) -> bool {
        let (waiters, handle) = {
            let mut ledger = self.lock();
            ledger.report = Some(report);
            (std::mem::take(&mut ledger.waiters), ledger.handle.take())
        };
        drop(handle);
        let waited = !waiters.is_empty();
        waiters.into_values().for_each(Waker::wake);
        waited
    }

    /// The report, if the boundary is closed.
    pub(crate) fn report(&self) -> Option<Arc<EscalationReport>> {
        self.lock().report.clone()
    }

    /// The report, or a place in the queue for it.
    pub(crate) fn wait_for_report(
        &self,
        place: &mut Option<u64>,
        waker: &Waker,
    ) -> Option<Arc<EscalationReport>> {
        let waker = waker.clone();
        let mut ledger = self.lock();
        if let Some(report) = &ledger.report {
            return Some(report.clone());
        }
        let id = *place.get_or_insert_with(|| ledger.next_id());
        let old = ledger.waiters.insert(id, waker);
        drop(ledger);
        drop(old);
        None
    }

    pub(crate) fn stop_waiting(&self, place: u64) {
        let waker = self.lock().waiters.remove(&place);
        drop(waker);
    }
}

impl Ledger {
    fn next_id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// The place of one future in a boundary; leaving it is the last thing the future does.
pub(crate) struct Seat {
    pub(crate) books: Arc<Books>,
    pub(crate) handle: Handle,
    id: u64,
    reins: Option<Arc<Reins>>,
    done: bool,
}

impl Seat {
    /// Names the future.
    pub(crate) fn name(&self, name: Cow<'static, str>) {
        if let Some(entry) = self.books.lock().seats.get_mut(&self.id) {
            entry.future.name = Some(name);
        }
    }

    /// How the future is called in reports and errors.
    pub(crate) fn future_name(&self) -> FutureName {
        let ledger = self.books.lock();
        ledger
            .seats
            .get(&self.id)
            .map(|e| e.future.clone())
            .expect("a seat has an entry until it is left")
    }

    /// How the future is told to end.
    pub(crate) fn reins(&self) -> Option<&Reins> {
        self.reins.as_deref()
    }

    /// The future got to an end of its own, so that leaving is no surprise.
    pub(crate) fn finished(&mut self) {
        self.done = true;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut ledger = self.books.lock();
        let Some(entry) = ledger.seats.remove(&self.id) else {
            return;
        };
        let given_up = !self.done && ledger.phase == Phase::Draining && entry.reins.is_some();
        if given_up && ledger.given_up.len() < MAX_NAMED {
            ledger.given_up.push(entry.future);
        }
        drop(ledger);
        self.books.changed.notify_all();
    }
}

/// How a closing boundary reaches a future that somebody else polls.
#[derive(Default)]
pub(crate) struct Reins {
    severed: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Reins {
    /// Whether the future must end now. Registers the waker first, so that a cut in between is seen.
    pub(crate) fn poll_severed(&self, waker: &Waker) -> bool {
        let known = lock(&self.waker)
            .as_ref()
            .is_some_and(|w| w.will_wake(waker));
        if !known {
            let old = lock(&self.waker).replace(waker.clone());
            drop(old);
        }
        self.severed.load(Ordering::SeqCst)
    }

    fn sever(&self) {
        self.severed.store(true, Ordering::SeqCst);
        let waker = lock(&self.waker).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Guests that are still borrowed.
pub(crate) fn held(guests: &[Arc<dyn Revoke>]) -> Vec<HeldGuest> {
    guests
        .iter()
        .filter_map(|g| {
            let borrows = g.borrows();
            (borrows > 0).then(|| HeldGuest {
                type_name: g.type_name(),
                borrows,
            })
        })
        .collect()
}
