//! Telling everyone who waits, without allocating and without a lock held.

use crate::wait::{Left, Look, Ticket, WaitQueue};
use std::task::Waker;

/// How many are woken between two visits to the lock: what fits on the stack.
const BATCH: usize = 16;

/// Those who wait for a number to pass theirs: a version, a position, a count of events.
///
/// Everyone is granted at once, so a waiter that leaves has nothing to pass on.
pub(super) struct Crowd(WaitQueue<u64>);

/// What is left to do, after unlocking, for those who were let go: [`wake_all`].
///
/// Nobody or one is the rule, so only one is taken along at once; a batch would
/// weigh on every send.
#[must_use = "a waker that is not woken is a wake lost"]
pub(super) struct Released {
    first: Option<Waker>,
    more: bool,
}

/// Wakers taken out from under a lock, to be woken after unlocking.
#[derive(Default)]
pub(super) struct Batch {
    wakers: [Option<Waker>; BATCH],
    len: usize,
}

impl Released {
    /// The first of them, and whether there are more.
    pub(super) fn of(first: Option<Waker>, more: bool) -> Self {
        Released { first, more }
    }
}

impl Crowd {
    pub(super) const fn new() -> Self {
        Crowd(WaitQueue::new())
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Lets those go who wait for a number above theirs, now that it is `reached`.
    pub(super) fn release(&mut self, reached: u64) -> Released {
        if !self.is_due(reached) {
            return Released::of(None, false);
        }
        let first = self.0.grant_front();
        Released::of(first, self.is_due(reached))
    }

    /// Goes on with it; says whether there are further ones.
    pub(super) fn release_more(&mut self, reached: u64, batch: &mut Batch) -> bool {
        while self.is_due(reached) {
            if !batch.has_room() {
                return true;
            }
            batch.add(self.0.grant_front());
        }
        false
    }

    fn is_due(&self, reached: u64) -> bool {
        self.0.front().is_some_and(|seen| *seen < reached)
    }

    /// Joins the crowd with the waker brought along, or looks whether it was let
    /// go. A waker that is to be kept is taken from `fresh`, and one that is
    /// replaced is left there: the caller clones before it locks and drops after
    /// it unlocks.
    pub(super) fn wait(
        &mut self,
        seen: u64,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
        fresh: &mut Option<Waker>,
    ) -> Waits {
        if ticket.is_some() {
            match self.0.look(ticket, waker, fresh) {
                Look::Granted => {}
                Look::Queued => return Waits::Queued,
                Look::NeedsWaker => return Waits::NeedsWaker,
            }
        }
        let Some(waker) = fresh.take() else {
            return Waits::NeedsWaker;
        };
        *ticket = Some(self.0.push(waker, seen));
        Waits::Queued
    }

    /// Need not wait, whether it was let go or never did; its waker, if it had
    /// one here, is left in `fresh`.
    pub(super) fn done(&mut self, ticket: &mut Option<Ticket>, fresh: &mut Option<Waker>) {
        if let Some(waker) = self.leave(ticket) {
            *fresh = Some(waker);
        }
    }

    /// Leaves, if it is there; hands out its waker, to be dropped after unlocking.
    pub(super) fn leave(&mut self, ticket: &mut Option<Ticket>) -> Option<Waker> {
        match self.0.leave(ticket.take()?) {
            Left::Queued(waker) => waker,
            Left::Granted => None,
        }
    }
}

/// How a waiter stands.
#[derive(PartialEq, Eq, Debug)]
#[must_use]
pub(super) enum Waits {
    /// In the crowd, with its current waker.
    Queued,
    /// It must bring a waker of its own.
    NeedsWaker,
}

impl Batch {
    pub(super) fn has_room(&self) -> bool {
        self.len < BATCH
    }

    /// Takes a waker along, if there is one.
    ///
    /// # Panics
    /// When there is no room.
    pub(super) fn add(&mut self, waker: Option<Waker>) {
        if waker.is_some() {
            self.wakers[self.len] = waker;
            self.len += 1;
        }
    }

    /// Wakes all of them.
    pub(super) fn wake(&mut self) {
        self.len = 0;
        // One that panics must not keep the others asleep.
        let wakers = self.wakers.iter_mut().filter_map(Option::take);
        wakers.for_each(crate::exec::wake);
    }
}

/// Wakes everyone who was let go: `next` goes on with it, under the lock.
///
/// It ends: who comes back waits for a higher number than the one reached.
pub(super) fn wake_all(released: Released, mut next: impl FnMut(&mut Batch) -> bool) {
    released.first.into_iter().for_each(crate::exec::wake);
    let mut more = released.more;
    if more {
        let mut batch = Batch::default();
        while more {
            more = next(&mut batch);
            batch.wake();
        }
    }
}
