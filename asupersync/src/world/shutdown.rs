//! The wish that the process should stop, and who listens to it.
//!
//! The first request is polite: it wakes everyone who waits in
//! `cx.shutdown_signal()`, and only if nobody does, the root regions of all runs
//! in progress are cancelled. The second request cancels them in any case.

use crate::types::slots::{Key, Slots};
use std::sync::Mutex;
use std::task::Waker;

/// The state of the wish.
#[derive(Default)]
pub struct Shutdown {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    requests: u32,
    listeners: Slots<Waker>,
    /// Woken when the root regions have to be cancelled: one for each run in progress.
    roots: Slots<Waker>,
    cancel_root: bool,
}

impl Shutdown {
    /// Asks the process to stop. Safe from any thread; not from a signal handler.
    pub fn request(&self) {
        self.signalled(false);
    }

    /// As [`Shutdown::request`], by a signal. If somebody listens to that signal
    /// itself (`heard`), it is for them to say what is cancelled, each time.
    pub fn signalled(&self, heard: bool) {
        let mut wake = Vec::new();
        {
            let mut inner = self.lock();
            inner.requests = inner.requests.saturating_add(1);
            let polite = inner.requests == 1 && !inner.listeners.is_empty();
            let heard = heard || polite;
            wake.extend(inner.listeners.iter().cloned());
            if !heard {
                inner.cancel_root = true;
                wake.extend(inner.roots.iter().cloned());
            }
        }
        wake.into_iter().for_each(Waker::wake);
    }

    /// How many times it was asked.
    pub fn requests(&self) -> u32 {
        self.lock().requests
    }

    /// Whether the root region has to be cancelled.
    pub fn must_cancel_root(&self) -> bool {
        self.lock().cancel_root
    }

    /// Adds who drives a root region: woken when it has to be cancelled.
    pub fn add_root(&self, waker: Waker) -> Key {
        self.lock().roots.insert(waker)
    }

    /// The run of that root region is over.
    pub fn remove_root(&self, key: Key) {
        let waker = self.lock().roots.remove(key);
        drop(waker);
    }

    /// Listens for the first request; `None` when it has been made.
    pub fn listen(&self, waker: &Waker) -> Option<Key> {
        let waker = waker.clone();
        let mut inner = self.lock();
        if inner.requests > 0 {
            return None;
        }
        Some(inner.listeners.insert(waker))
    }

    /// Listens on with another waker; `false` when the request has been made.
    pub fn update(&self, key: Key, waker: &Waker) -> bool {
        let waker = waker.clone();
        let mut inner = self.lock();
        if inner.requests > 0 {
            return false;
        }
        let old = inner
            .listeners
            .get_mut(key)
            .map(|w| std::mem::replace(w, waker));
        drop(inner);
        drop(old);
        true
    }

    /// Stops listening.
    pub fn leave(&self, key: Key) {
        let waker = self.lock().listeners.remove(key);
        drop(waker);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // A waker is cloned and dropped outside, so nothing can panic inside.
        self.inner
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
