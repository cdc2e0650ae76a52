//! The state of a oneshot channel behind its lock.
//!
//! | state    | a value sent    | receiving                 | left by                     |
//! |----------|-----------------|---------------------------|-----------------------------|
//! | Waiting  | → Sent          | waits                     | send, sender gone, close    |
//! | Sent     | (nobody sends)  | → Done, with the value    | receive, receiver gone      |
//! | Done     | comes back      | ends                      | never                       |
//!
//! Invariants:
//!
//! 1. the receiver's waker is kept only in Waiting, and so is the sender's;
//! 2. no lock is held while a waker is cloned, woken or dropped, or a value dropped.

use super::error::TryRecvError;
use crate::wait::After;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// What both ends hold.
pub(super) struct Shared<T>(Mutex<State<T>>);

enum State<T> {
    Waiting {
        /// The receiver, while it waits.
        receiver: Option<Waker>,
        /// The sender, while it waits for the receiver to go.
        watcher: Option<Waker>,
    },
    Sent(T),
    Done,
}

/// What a sender that looks after its receiver finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(super) enum Watched {
    /// It can still send; its waker is kept.
    Open,
    /// What it sends will come back.
    Closed,
}

impl<T> Shared<T> {
    pub(super) fn new() -> Self {
        Shared(Mutex::new(State::Waiting {
            receiver: None,
            watcher: None,
        }))
    }

    /// Sends the value; it comes back if nobody will receive it.
    pub(super) fn send(&self, value: T) -> Result<(), T> {
        let mut state = self.lock();
        let State::Waiting { receiver, .. } = &mut *state else {
            return Err(value);
        };
        let after = After::wake(receiver.take());
        let old = std::mem::replace(&mut *state, State::Sent(value));
        drop(state);
        after.run();
        drop(old);
        Ok(())
    }

    /// The sender goes without sending.
    pub(super) fn remove_sender(&self) {
        if let State::Waiting {
            receiver: Some(waker),
            ..
        } = self.leave_waiting()
        {
            waker.wake();
        }
    }

    /// The receiver wants no value any more, except one sent before.
    pub(super) fn close(&self) {
        if let State::Waiting {
            watcher: Some(waker),
            ..
        } = self.leave_waiting()
        {
            waker.wake();
        }
    }

    /// The receiver goes.
    pub(super) fn remove_receiver(&self) {
        let old = std::mem::replace(&mut *self.lock(), State::Done);
        match old {
            State::Waiting { watcher, .. } => After::wake(watcher).run(),
            State::Sent(value) => drop(value),
            State::Done => {}
        }
    }

    /// From Waiting to Done; what was there is handed out, or Done if it was something else.
    fn leave_waiting(&self) -> State<T> {
        let mut state = self.lock();
        match *state {
            State::Waiting { .. } => std::mem::replace(&mut *state, State::Done),
            State::Sent(_) | State::Done => State::Done,
        }
    }

    pub(super) fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut state = self.lock();
        match &*state {
            State::Waiting { .. } => Err(TryRecvError::Empty),
            State::Done => Err(TryRecvError::Closed),
            State::Sent(_) => match std::mem::replace(&mut *state, State::Done) {
                State::Sent(value) => Ok(value),
                State::Waiting { .. } | State::Done => unreachable!("just looked"),
            },
        }
    }

    /// Receives or waits. `None` means that no value will come.
    pub(super) fn poll_recv(&self, task: &Context<'_>) -> Poll<Option<T>> {
        match self.try_recv() {
            Ok(value) => return Poll::Ready(Some(value)),
            Err(TryRecvError::Closed) => return Poll::Ready(None),
            Err(TryRecvError::Empty) => {}
        }
        let kept = self.keep(task.waker(), |state| match state {
            State::Waiting { receiver, .. } => Some(receiver),
            State::Sent(_) | State::Done => None,
        });
        if kept {
            return Poll::Pending;
        }
        // The sender acted between the two looks; that is its only act.
        Poll::Ready(self.try_recv().ok())
    }

    pub(super) fn poll_watch(&self, task: &Context<'_>) -> Watched {
        let kept = self.keep(task.waker(), |state| match state {
            State::Waiting { watcher, .. } => Some(watcher),
            State::Sent(_) | State::Done => None,
        });
        if kept { Watched::Open } else { Watched::Closed }
    }

    /// Keeps a waker where `place` says; `false` when there is nothing to wait for.
    fn keep(&self, waker: &Waker, place: fn(&mut State<T>) -> Option<&mut Option<Waker>>) -> bool {
        match place(&mut self.lock()) {
            None => return false,
            Some(Some(kept)) if kept.will_wake(waker) => return true,
            Some(_) => {}
        }
        let fresh = waker.clone();
        let mut state = self.lock();
        let (kept, unused) = match place(&mut state) {
            Some(kept) => (true, kept.replace(fresh)),
            None => (false, Some(fresh)),
        };
        drop(state);
        drop(unused);
        kept
    }

    /// The receiver stops waiting.
    pub(super) fn forget_receiver(&self) {
        let waker = match &mut *self.lock() {
            State::Waiting { receiver, .. } => receiver.take(),
            State::Sent(_) | State::Done => None,
        };
        drop(waker);
    }

    /// The sender stops waiting for the receiver to go.
    pub(super) fn forget_watcher(&self) {
        let waker = match &mut *self.lock() {
            State::Waiting { watcher, .. } => watcher.take(),
            State::Sent(_) | State::Done => None,
        };
        drop(waker);
    }

    /// Whether a value sent now would come back.
    pub(super) fn is_closed(&self) -> bool {
        matches!(*self.lock(), State::Done)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No user code runs inside, so a poisoned lock protects a sound value.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
