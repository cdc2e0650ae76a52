//! Who listens to which signal of the process.
//!
//! A world keeps what it heard for each listener as one flag: signals that come
//! before the listener looks are one, as they are for the system.

use crate::types::slots::{Key, Slots};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Keeps signals coming from the system, while it lives.
pub type Hearing = Box<dyn Send + Sync>;

/// The listeners of a world.
#[derive(Default)]
pub struct Signals {
    listeners: Mutex<Slots<Listener>>,
}

struct Listener {
    signal: i32,
    raised: bool,
    waker: Option<Waker>,
}

impl Signals {
    /// Listens from now on, until [`Signals::leave`].
    pub fn listen(&self, signal: i32) -> Key {
        self.lock().insert(Listener {
            signal,
            raised: false,
            waker: None,
        })
    }

    /// Stops listening.
    pub fn leave(&self, key: Key) {
        let listener = self.lock().remove(key);
        drop(listener);
    }

    /// Takes the signal if it was raised since the last time; else waits for it.
    pub fn poll(&self, key: Key, cx: &Context<'_>) -> Poll<()> {
        let fresh = cx.waker().clone();
        let mut listeners = self.lock();
        let Some(listener) = listeners.get_mut(key) else {
            drop(listeners);
            return Poll::Pending;
        };
        if std::mem::take(&mut listener.raised) {
            drop(listeners);
            return Poll::Ready(());
        }
        let stale = listener.waker.replace(fresh);
        drop(listeners);
        drop(stale);
        Poll::Pending
    }

    /// Tells those who listen to this signal; says whether anybody does.
    pub fn raise(&self, signal: i32) -> bool {
        let (mut heard, mut wake) = (false, Vec::new());
        for listener in self.lock().iter_mut().filter(|l| l.signal == signal) {
            heard = true;
            listener.raised = true;
            wake.extend(listener.waker.take());
        }
        wake.into_iter().for_each(Waker::wake);
        heard
    }

    fn lock(&self) -> MutexGuard<'_, Slots<Listener>> {
        // Wakers are cloned and dropped outside, so nothing can panic inside.
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_before_a_look_are_one_and_go_to_every_listener() {
        let signals = Signals::default();
        assert!(!signals.raise(1), "nobody listens");
        let keys = [1, 1, 2].map(|signal| signals.listen(signal));
        let cx = Context::from_waker(Waker::noop());
        let look = |key| signals.poll(key, &cx).is_ready();
        assert_eq!(keys.map(look), [false; 3], "what came before is not heard");
        assert!(signals.raise(1) && signals.raise(1));
        assert_eq!(keys.map(look), [true, true, false]);
        assert_eq!(keys.map(look), [false; 3]);
        signals.leave(keys[2]);
        assert!(!signals.raise(2));
    }
}
