//! The rules of a watch channel as a plain value: nothing here waits, locks or wakes.
//!
//! Invariants, checked by [`State::check`]:
//!
//! 1. the version counts the values sent; a receiver has seen one version;
//! 2. nobody waits for a change behind the current version, nor once the last
//!    sender is gone;
//! 3. nobody waits for the receivers to go when they are gone.
//!
//! What is replaced is handed out, to be dropped after unlocking; so is every waker.

use super::super::crowd::{Batch, Crowd, Released, Waits};
use super::super::jar::{Emptied, Jar, View};
use crate::wait::Ticket;
use std::task::Waker;

pub(super) struct State<T> {
    value: Jar<T>,
    version: u64,
    receivers: usize,
    senders_gone: bool,
    /// Receivers that wait for a version above the one they have seen.
    waiting: Crowd,
    /// Senders that wait for the receivers to go, by the number of times that
    /// had happened when they came.
    watchers: Crowd,
    desertions: u64,
}

/// What a receiver finds.
#[derive(PartialEq, Eq, Debug)]
#[must_use]
pub(super) enum Look {
    /// A version it had not seen, and has now.
    Changed,
    /// Nothing new.
    Same,
    /// Nothing new, and it must bring a waker of its own to wait.
    NeedsWaker,
    /// Nothing new, ever again.
    Closed,
}

impl<T> State<T> {
    /// A channel with one receiver, which has seen the value.
    pub(super) fn new(value: T) -> Self {
        State {
            value: Jar::new(Some(value)),
            version: 0,
            receivers: 1,
            senders_gone: false,
            waiting: Crowd::new(),
            watchers: Crowd::new(),
            desertions: 0,
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn receivers(&self) -> usize {
        self.receivers
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// No change will come: the last sender is gone.
    pub(super) fn is_closed(&self) -> bool {
        self.senders_gone
    }

    /// The value and its version.
    pub(super) fn view(&self) -> (View<T>, u64) {
        (self.value.view(), self.version)
    }

    /// Replaces the value if somebody listens; it comes back if nobody does.
    pub(super) fn send(&mut self, value: T) -> Result<(Emptied<T>, Released), T> {
        if self.receivers == 0 {
            return Err(value);
        }
        let old = self.value.put(Some(value));
        Ok((old, self.change()))
    }

    /// Replaces the value, whoever listens, and hands the old one out to be looked at.
    pub(super) fn replace(&mut self, value: T) -> (Emptied<T>, Released) {
        let old = self.value.put(Some(value));
        (old, self.change())
    }

    /// Replaces the value if it is still the one that was seen; else the new one
    /// comes back.
    pub(super) fn replace_seen(&mut self, seen: &View<T>, value: T) -> Result<Released, T> {
        if !self.value.holds(seen) {
            return Err(value);
        }
        // Nothing to drop: whoever has seen it still looks at it.
        let _seen = self.value.put_beside(Some(value));
        Ok(self.change())
    }

    fn change(&mut self) -> Released {
        self.version += 1;
        self.waiting.release(self.version)
    }

    /// Further receivers to wake after a change.
    pub(super) fn wake_more(&mut self, batch: &mut Batch) -> bool {
        self.waiting.release_more(self.version, batch)
    }

    /// Looks for a version that was not seen.
    pub(super) fn look(&self, seen: &mut u64) -> Look {
        if *seen != self.version {
            *seen = self.version;
            Look::Changed
        } else if self.senders_gone {
            Look::Closed
        } else {
            Look::Same
        }
    }

    /// As [`State::look`], or waits. `fresh` as in [`Crowd::wait`].
    pub(super) fn look_or_wait(
        &mut self,
        seen: &mut u64,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
        fresh: &mut Option<Waker>,
    ) -> Look {
        let look = self.look(seen);
        if look != Look::Same {
            self.waiting.done(ticket, fresh);
            return look;
        }
        match self.waiting.wait(*seen, ticket, waker, fresh) {
            Waits::Queued => Look::Same,
            Waits::NeedsWaker => Look::NeedsWaker,
        }
    }

    /// A receiver stops waiting.
    pub(super) fn forget(&mut self, ticket: &mut Option<Ticket>) -> Option<Waker> {
        self.waiting.leave(ticket)
    }

    /// Another receiver, which has seen the current version.
    pub(super) fn subscribe(&mut self) -> u64 {
        self.receivers += 1;
        self.version
    }

    /// A receiver goes; senders may wait for the last to do so.
    pub(super) fn unsubscribe(&mut self) -> Released {
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
    pub(super) fn drop_senders(&mut self) -> Released {
        self.senders_gone = true;
        self.waiting.release(u64::MAX)
    }

    /// Further receivers to wake after the last sender has gone.
    pub(super) fn close_more(&mut self, batch: &mut Batch) -> bool {
        self.waiting.release_more(u64::MAX, batch)
    }

    /// Panics if an invariant of the module does not hold for receivers that
    /// have seen these versions.
    #[cfg(test)]
    pub(super) fn check(&self, seen: &[u64]) {
        assert_eq!(seen.len(), self.receivers, "receivers");
        let asleep = seen.iter().filter(|s| **s == self.version).count();
        assert!(self.waiting.len() <= asleep, "asleep behind a version");
        assert!(!self.senders_gone || self.waiting.len() == 0, "2");
        assert!(self.receivers > 0 || self.watchers.len() == 0, "3");
    }
}
