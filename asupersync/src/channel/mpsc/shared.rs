//! A [`State`] behind its lock, and the parts of waiting that all futures of the channel share.
//!
//! Invariant: wakers and values are dropped, woken and cloned outside the lock.

use super::super::error::RecvError;
use super::state::{Popped, State, Waited};
use crate::cx::{Cx, Interrupt};
use crate::wait::{After, Ticket};
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

/// What both ends hold.
pub(super) struct Shared<T> {
    state: Mutex<State<T>>,
    /// Number of live senders; outside the lock, so that a clone takes none.
    senders: AtomicUsize,
}

impl<T> Shared<T> {
    /// A channel with one sender.
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Shared {
            state: Mutex::new(State::new(capacity)),
            senders: AtomicUsize::new(1),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No user code runs inside, so a poisoned lock protects a sound value.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add_sender(&self) {
        self.senders.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn remove_sender(&self) {
        if self.senders.fetch_sub(1, Ordering::Release) == 1 {
            // What the other senders did happened before the channel counts as abandoned.
            fence(Ordering::Acquire);
            let after = self.lock().drop_senders();
            after.run();
        }
    }

    /// Gives out no further place.
    pub(super) fn close(&self) {
        let mut wake = Vec::new();
        self.lock().close(&mut wake);
        wake.into_iter().for_each(Waker::wake);
    }

    /// The receiver goes, and everything queued with it.
    pub(super) fn remove_receiver(&self) {
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

    /// Waits for a place (`Ok`) or for the end of the channel (`Err`).
    fn poll_wait(
        &self,
        ticket: &mut Option<Ticket>,
        task: &Context<'_>,
        step: fn(&mut State<T>, &mut Option<Ticket>, &Waker, &mut Option<Waker>) -> Waited,
    ) -> Poll<Result<(), Closed>> {
        let mut fresh = None;
        loop {
            let waited = step(&mut self.lock(), ticket, task.waker(), &mut fresh);
            match waited {
                Waited::Granted => return Poll::Ready(Ok(())),
                Waited::Queued => return Poll::Pending,
                Waited::NeedsWaker => fresh = Some(task.waker().clone()),
                Waited::Closed(after) => {
                    after.run();
                    return Poll::Ready(Err(Closed));
                }
            }
        }
    }
}

/// The channel gives out no further place.
pub(super) struct Closed;

/// Waiting for a place: the part that `Reserve` and `SendValue` share.
///
/// Dropped or withdrawn, it leaves the line, and a place that it was granted
/// and never used goes to the next.
pub(super) struct Line<'a, T> {
    shared: &'a Shared<T>,
    ticket: Option<Ticket>,
}

impl<'a, T> Line<'a, T> {
    pub(super) fn new(shared: &'a Shared<T>) -> Self {
        Line {
            shared,
            ticket: None,
        }
    }

    pub(super) fn shared(&self) -> &'a Shared<T> {
        self.shared
    }

    /// Whether it has joined the line and not left it yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.ticket.is_some()
    }

    /// Waits for a place, which then is reserved.
    pub(super) fn poll(&mut self, task: &Context<'_>) -> Poll<Result<(), Closed>> {
        self.shared.poll_wait(&mut self.ticket, task, State::wait)
    }

    /// Leaves the line.
    pub(super) fn withdraw(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let after = self.shared.lock().withdraw(ticket);
            after.run();
        }
    }
}

impl<T> Drop for Line<'_, T> {
    fn drop(&mut self) {
        self.withdraw();
    }
}

/// Waiting for the channel to close.
pub(super) struct Watch<'a, T> {
    shared: &'a Shared<T>,
    ticket: Option<Ticket>,
}

impl<'a, T> Watch<'a, T> {
    pub(super) fn new(shared: &'a Shared<T>) -> Self {
        Watch {
            shared,
            ticket: None,
        }
    }

    /// Waits until the channel gives out no further place.
    pub(super) fn poll(&mut self, task: &Context<'_>) -> Poll<()> {
        self.shared
            .poll_wait(&mut self.ticket, task, State::watch)
            .map(|_| ())
    }

    /// Stops waiting.
    pub(super) fn withdraw(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let after = self.shared.lock().unwatch(ticket);
            after.run();
        }
    }
}

impl<T> Drop for Watch<'_, T> {
    fn drop(&mut self) {
        self.withdraw();
    }
}

/// Receiving: the part that the futures of both kinds of receiver share.
pub(super) struct Receiving<'a, T> {
    shared: &'a Shared<T>,
    cx: &'a Cx,
    interrupt: Interrupt,
    /// Whether the channel keeps a waker of ours.
    waiting: bool,
}

impl<'a, T> Receiving<'a, T> {
    pub(super) fn new(shared: &'a Shared<T>, cx: &'a Cx) -> Self {
        Receiving {
            shared,
            cx,
            interrupt: Interrupt::default(),
            waiting: false,
        }
    }

    pub(super) fn poll(&mut self, task: &mut Context<'_>) -> Poll<Result<T, RecvError>> {
        if let Err(cancelled) = ready!(self.interrupt.poll(self.cx, task)) {
            self.withdraw();
            return Poll::Ready(Err(RecvError::Cancelled(cancelled)));
        }
        let received = self.shared.poll_pop(task);
        self.waiting = received.is_pending();
        received.map(|value| value.ok_or(RecvError::Closed))
    }

    fn withdraw(&mut self) {
        if std::mem::take(&mut self.waiting) {
            let after = self.shared.lock().forget_receiver();
            after.run();
        }
    }
}

impl<T> Drop for Receiving<'_, T> {
    fn drop(&mut self) {
        self.withdraw();
    }
}
