//! The rules of a watch channel as a plain value: nothing here waits, locks or wakes.
//!
//! Invariants, checked by [`State::check`]:
//!
//! 1. the version counts the values sent; a receiver has seen one version;
//! 2. nobody waits for a change behind the current version;
//! 3. those of its [`Audience`].
//!
//! What is replaced is handed out, to be dropped after unlocking; so is every waker.

use super::super::audience::{Audience, Heard};
use super::super::crowd::{Batch, Released, Waits};
use super::super::jar::{Emptied, Jar, View};
use crate::wait::Ticket;
use std::task::Waker;

pub(super) struct State<T> {
    value: Jar<T>,
    version: u64,
    /// Its receivers wait for a version above the one they have seen.
    audience: Audience,
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

impl<T> Heard for State<T> {
    fn audience(&mut self) -> &mut Audience {
        &mut self.audience
    }
}

impl<T> State<T> {
    /// A channel with one receiver, which has seen the value.
    pub(super) fn new(value: T) -> Self {
        State {
            value: Jar::new(Some(value)),
            version: 0,
            audience: Audience::new(),
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn receivers(&self) -> usize {
        self.audience.receivers()
    }

    pub(super) fn waiting(&self) -> usize {
        self.audience.waiting.len()
    }

    /// No change will come: the last sender is gone.
    pub(super) fn is_closed(&self) -> bool {
        self.audience.is_over()
    }

    /// The value and its version.
    pub(super) fn view(&self) -> (View<T>, u64) {
        (self.value.view(), self.version)
    }

    /// Replaces the value if somebody listens; it comes back if nobody does.
    pub(super) fn send(&mut self, value: T) -> Result<(Emptied<T>, Released), T> {
        if self.audience.receivers() == 0 {
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
        self.audience.waiting.release(self.version)
    }

    /// Further receivers to wake after a change.
    pub(super) fn wake_more(&mut self, batch: &mut Batch) -> bool {
        self.audience.waiting.release_more(self.version, batch)
    }

    /// Looks for a version that was not seen.
    pub(super) fn look(&self, seen: &mut u64) -> Look {
        if *seen != self.version {
            *seen = self.version;
            Look::Changed
        } else if self.audience.is_over() {
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
            self.audience.waiting.done(ticket, fresh);
            return look;
        }
        match self.audience.waiting.wait(*seen, ticket, waker, fresh) {
            Waits::Queued => Look::Same,
            Waits::NeedsWaker => Look::NeedsWaker,
        }
    }

    /// A receiver stops waiting.
    pub(super) fn forget(&mut self, ticket: &mut Option<Ticket>) -> Option<Waker> {
        self.audience.waiting.leave(ticket)
    }

    /// Another receiver, which has seen the current version.
    pub(super) fn subscribe(&mut self) -> u64 {
        self.audience.join();
        self.version
    }

    /// Panics if an invariant of the module does not hold for receivers that
    /// have seen these versions.
    #[cfg(test)]
    pub(super) fn check(&self, seen: &[u64]) {
        self.audience.check(seen.len());
        let asleep = seen.iter().filter(|s| **s == self.version).count();
        assert!(
            self.audience.waiting.len() <= asleep,
            "asleep behind a version"
        );
    }
}
