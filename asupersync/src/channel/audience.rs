//! Those who listen to a channel that every receiver hears, and who is told when
//! the other side has gone: as a plain value, and behind the lock of the channel.

use super::crowd::{Batch, Crowd, Released, Waits, wake_all};
use super::senders::{Senders, Sent};
use super::waiting::Wait;
use crate::exec::lock;
use crate::wait::Ticket;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// The receivers of a channel, and those who wait on either side.
///
/// Invariants, checked by [`Audience::check`]:
///
/// 1. no receiver waits once the last sender is gone;
/// 2. no sender waits for the receivers to go when they are gone.
pub(super) struct Audience {
    receivers: usize,
    /// Receivers that wait, by how far they have read.
    pub(super) waiting: Crowd,
    /// Senders that wait for the receivers to go, by the number of times that
    /// had happened when they came.
    watchers: Crowd,
    desertions: u64,
    /// The last sender has gone.
    over: bool,
}

impl Audience {
    /// One receiver.
    pub(super) const fn new() -> Self {
        Audience {
            receivers: 1,
            waiting: Crowd::new(),
            watchers: Crowd::new(),
            desertions: 0,
            over: false,
        }
    }

    pub(super) fn receivers(&self) -> usize {
        self.receivers
    }

    /// Nothing more is sent: the last sender is gone.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Another receiver.
    pub(super) fn join(&mut self) {
        self.receivers += 1;
    }

    /// A receiver goes; senders may wait for the last to do so.
    pub(super) fn leave(&mut self) -> Released {
        self.receivers -= 1;
        if self.receivers == 0 {
            self.desertions += 1;
        }
        self.watchers.release(self.desertions)
    }

    /// Further senders to wake after the last receiver has gone.
    pub(super) fn desert_more(&mut self, batch: &mut Batch) -> bool {
        self.watchers.release_more(self.desertions, batch)
    }

    /// Waits until there is no receiver. `None`: it must bring a waker of its own.
    /// `fresh` as in [`Crowd::wait`].
    pub(super) fn deserted_or_wait(
        &mut self,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
        fresh: &mut Option<Waker>,
    ) -> Option<bool> {
        if self.receivers == 0 {
            self.watchers.done(ticket, fresh);
            return Some(true);
        }
        match self.watchers.wait(self.desertions, ticket, waker, fresh) {
            Waits::Queued => Some(false),
            Waits::NeedsWaker => None,
        }
    }

    /// A sender stops waiting.
    pub(super) fn unwatch(&mut self, ticket: &mut Option<Ticket>) -> Option<Waker> {
        self.watchers.leave(ticket)
    }

    /// The last sender goes.
    pub(super) fn end(&mut self) -> Released {
        self.over = true;
        self.waiting.release(u64::MAX)
    }

    /// Further receivers to wake after the last sender has gone.
    pub(super) fn end_more(&mut self, batch: &mut Batch) -> bool {
        self.waiting.release_more(u64::MAX, batch)
    }

    /// Panics if an invariant does not hold, or there are not so many receivers.
    #[cfg(test)]
    pub(super) fn check(&self, receivers: usize) {
        assert_eq!(self.receivers, receivers, "receivers");
        assert!(!self.over || self.waiting.len() == 0, "1");
        assert!(self.receivers > 0 || self.watchers.len() == 0, "2");
    }
}

/// The state of a channel that has an audience.
pub(super) trait Heard {
    fn audience(&mut self) -> &mut Audience;
}

/// What both ends of such a channel hold.
pub(super) struct Shared<S> {
    pub(super) state: Mutex<S>,
    senders: Senders,
}

impl<S: Heard> Shared<S> {
    /// A channel with one sender.
    pub(super) fn new(state: S) -> Arc<Self> {
        Arc::new(Shared {
            state: Mutex::new(state),
            senders: Senders::one(),
        })
    }

    pub(super) fn sender_count(&self) -> usize {
        self.senders.count()
    }

    /// Wakes the senders that were let go since the receivers are gone.
    pub(super) fn deserted(&self, woken: Released) {
        wake_all(woken, |batch| {
            lock(&self.state).audience().desert_more(batch)
        });
    }
}

impl<S: Heard> Sent for Shared<S> {
    fn senders(&self) -> &Senders {
        &self.senders
    }

    fn abandon(&self) {
        let woken = lock(&self.state).audience().end();
        wake_all(woken, |batch| lock(&self.state).audience().end_more(batch));
    }
}

/// Waiting until there is no receiver.
pub(super) struct Watch<'a, S: Heard> {
    shared: &'a Shared<S>,
    ticket: Option<Ticket>,
}

impl<'a, S: Heard> Watch<'a, S> {
    pub(super) fn new(shared: &'a Shared<S>) -> Self {
        let ticket = None;
        Watch { shared, ticket }
    }
}

impl<S: Heard> Wait for Watch<'_, S> {
    type Output = ();

    fn poll(&mut self, task: &mut Context<'_>) -> Poll<()> {
        let mut fresh = None;
        loop {
            let deserted = lock(&self.shared.state).audience().deserted_or_wait(
                &mut self.ticket,
                task.waker(),
                &mut fresh,
            );
            match deserted {
                Some(true) => return Poll::Ready(()),
                Some(false) => return Poll::Pending,
                None => fresh = Some(task.waker().clone()),
            }
        }
    }

    fn withdraw(&mut self) {
        if self.ticket.is_some() {
            let waker = lock(&self.shared.state)
                .audience()
                .unwatch(&mut self.ticket);
            drop(waker);
        }
    }
}
