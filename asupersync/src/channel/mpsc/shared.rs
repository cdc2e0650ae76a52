//! A [`State`] behind its lock.
//!
//! Invariant: wakers and values are dropped, woken and cloned outside the lock.

use super::super::crowd::{Batch, wake_all};
use super::super::lent::Consumer;
use super::super::places::{Places, Refusal, Room};
use super::super::senders::{Senders, Sent};
use super::super::sending::Queue;
use super::Statistics;
use super::state::{Popped, State};
use crate::exec::lock;
use crate::exec::task::TaskRef;
use crate::wait::After;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

/// What both ends hold.
pub(super) struct Shared<T> {
    state: Mutex<State<T>>,
    /// Why there is no bound, if there is none.
    unbounded: Option<&'static str>,
    senders: Senders,
    pub(super) consumer: Consumer,
}

impl<T> Shared<T> {
    /// A channel with one sender.
    pub(super) fn new(capacity: usize, unbounded: Option<&'static str>) -> Arc<Self> {
        Arc::new(Shared {
            state: Mutex::new(State::new(capacity)),
            unbounded,
            senders: Senders::one(),
            consumer: Consumer::default(),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State<T>> {
        lock(&self.state)
    }

    /// Why there is no bound, if there is none.
    pub(super) fn unbounded(&self) -> Option<&'static str> {
        self.unbounded
    }

    pub(super) fn statistics(&self) -> Statistics {
        let senders = self.senders.count();
        let state = self.lock();
        Statistics {
            capacity: self.unbounded.is_none().then(|| state.places.capacity()),
            queued: state.len(),
            reserved: state.places.reserved(),
            waiting: state.places.waiting(),
            senders,
        }
    }

    /// Gives out no further place.
    pub(super) fn close(&self) {
        let mut wake = Vec::new();
        self.lock().places.close(&mut wake);
        wake.into_iter().for_each(Waker::wake);
    }

    /// The receiver goes, and everything queued with it.
    pub(super) fn remove_receiver(&self) {
        self.consumer.gone();
        let mut wake = Vec::new();
        let (values, after) = self.lock().drop_receiver(&mut wake);
        // Whoever waits is told first: dropping a value is user code and may panic.
        after.run();
        wake.into_iter().for_each(Waker::wake);
        drop(values);
    }

    pub(super) fn pop(&self) -> Popped<T> {
        let popped = self.lock().pop();
        match popped {
            Popped::Value(value, after) => {
                after.run();
                Popped::Value(value, After::Nothing)
            }
            other => other,
        }
    }

    /// Receives or waits. `None` is the end.
    pub(super) fn poll_pop(&self, task: &Context<'_>) -> Poll<Option<T>> {
        let mut fresh = None;
        loop {
            let popped = self.lock().pop_or_wait(task.waker(), &mut fresh);
            match popped {
                Popped::Value(value, after) => {
                    after.run();
                    return Poll::Ready(Some(value));
                }
                Popped::Closed => return Poll::Ready(None),
                Popped::Empty => return Poll::Pending,
                Popped::NeedsWaker => fresh = Some(task.waker().clone()),
            }
        }
    }
}

impl<T> Shared<T> {
    /// Takes up to `limit` values, and wakes the senders that were granted their places.
    pub(super) fn pop_many(&self, limit: usize, into: &mut Vec<T>) -> usize {
        let before = into.len();
        // Room is made before the lock is taken, for what is there at the moment.
        into.reserve(limit.min(self.lock().len()));
        let mut batch = Batch::default();
        let mut more = true;
        while more {
            let left = limit - (into.len() - before);
            more = self.lock().pop_many(left, into, &mut batch);
            batch.wake();
        }
        into.len() - before
    }
}

impl<T> Sent for Shared<T> {
    fn senders(&self) -> &Senders {
        &self.senders
    }

    fn abandon(&self) {
        let after = self.lock().drop_senders();
        after.run();
    }
}

impl<T> Room for Shared<T> {
    fn places<R>(&self, edit: impl FnOnce(&mut Places) -> R) -> R {
        edit(&mut self.lock().places)
    }

    fn release(&self, places: usize) {
        let mut left = places;
        let released = self.lock().release(&mut left);
        wake_all(released, |batch| self.lock().release_more(&mut left, batch));
    }

    fn consumer(&self) -> Option<TaskRef> {
        self.consumer.task()
    }
}

impl<T> Queue<T> for Shared<T> {
    fn push(&self, value: T) -> Result<(), (Refusal, T)> {
        let pushed = self.lock().push(value);
        pushed.map(After::run)
    }

    fn fill(&self, value: T) -> Result<(), T> {
        let filled = self.lock().fill(value);
        filled.map(After::run)
    }
}
