//! Several tasks waiting for the same direction of a socket.
//!
//! The port remembers one waker per direction. Sockets that are used through
//! `&self` give it one that wakes everyone in a list: a newcomer displaces
//! nobody, and who leaves takes no event along. Who is woken and comes too
//! late waits again, so an event costs a poll per waiter.

use crate::types::slots::{Key, Slots};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// The list of one direction.
pub(crate) struct Waiters {
    list: Arc<List>,
    /// Wakes the list; kept so that an operation that need not wait clones nothing.
    waker: Waker,
}

struct List(Mutex<Slots<Waker>>);

impl List {
    /// Nothing that can panic runs under the lock.
    fn lock(&self) -> MutexGuard<'_, Slots<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for List {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let waiting = self.lock().drain();
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Waiters {
    pub(crate) fn new() -> Self {
        let list = Arc::new(List(Mutex::new(Slots::new())));
        let waker = Waker::from(Arc::clone(&list));
        Waiters { list, waker }
    }

    /// A place in the list, for one operation.
    pub(crate) fn place(&self) -> Place<'_> {
        self.place_of(None)
    }

    /// The place of an operation that was polled before and [kept](Place::keep) it.
    pub(crate) fn place_of(&self, key: Option<Key>) -> Place<'_> {
        Place {
            list: &self.list,
            waker: &self.waker,
            key,
        }
    }

    /// Tries `step` once. What it leaves with the port wakes the list, so that
    /// nobody who waits is displaced.
    pub(crate) fn try_now<T>(&self, step: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Option<T> {
        match step(&mut Context::from_waker(&self.waker)) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        }
    }

    /// Gives up a place that was kept.
    #[cfg(unix)]
    pub(crate) fn leave(&self, key: Option<Key>) {
        drop(self.place_of(key));
    }
}

impl fmt::Debug for Waiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Waiters")
            .field(&self.list.lock().len())
            .finish()
    }
}

/// Where an operation waits; dropping it leaves the list.
pub(crate) struct Place<'a> {
    list: &'a Arc<List>,
    waker: &'a Waker,
    key: Option<Key>,
}

impl Place<'_> {
    /// Tries `step`, which waits at the port for the whole list.
    pub(crate) fn poll<T>(
        &mut self,
        task: &Context<'_>,
        mut step: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let mut all = Context::from_waker(self.waker);
        let mut polled = step(&mut all);
        // An event between the step and the entry has woken the list without us.
        if polled.is_pending() && self.enter(task.waker()) {
            polled = step(&mut all);
        }
        polled
    }

    /// Stays in the list without the value.
    #[cfg(unix)]
    pub(crate) fn keep(mut self) -> Option<Key> {
        self.key.take()
    }

    /// Whether the waker was not in the list before.
    fn enter(&mut self, waker: &Waker) -> bool {
        let known = |list: &Slots<Waker>, key| list.get(key).is_some_and(|w| w.will_wake(waker));
        if self.key.is_some_and(|key| known(&self.list.lock(), key)) {
            return false;
        }
        self.leave();
        let waker = waker.clone();
        self.key = Some(self.list.lock().insert(waker));
        true
    }

    fn leave(&mut self) {
        if let Some(key) = self.key.take() {
            let waker = self.list.lock().remove(key);
            drop(waker);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.key).finish()
    }
}
