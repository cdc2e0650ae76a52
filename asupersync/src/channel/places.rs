//! The places of a bounded channel, and the line of those who wait for one, as a
//! plain value: nothing here waits, locks or wakes.
//!
//! | place    | belongs to                                            | becomes                     |
//! |----------|-------------------------------------------------------|-----------------------------|
//! | free     | nobody                                                | filled, reserved            |
//! | reserved | a permit, or a waiter that was granted it             | filled, or free: passed on  |
//! | filled   | a value                                               | free: passed on             |
//!
//! Invariants, checked by [`Places::check`]:
//!
//! 1. filled + reserved ≤ capacity;
//! 2. while the channel is open and somebody waits for a place, none is free, so
//!    a newcomer that finds one passes nobody;
//! 3. a waiter that was granted a place and has not noticed yet is counted in `reserved`.
//!
//! Every method that lets go of a waker hands it out, to be dropped or woken
//! after unlocking.

use super::lent::Lent;
use crate::cx::Cx;
use crate::exec::task::TaskRef;
use crate::wait::{After, Left, Look, Ticket, WaitQueue};
use std::task::{Context, Poll, Waker};

/// In this order, so that `filled` and `reserved` stand apart: side by side both
/// are changed by one step of twice the width, which waits for the last change of
/// either to leave the processor.
#[repr(C)]
pub(super) struct Places {
    capacity: usize,
    filled: usize,
    /// Who waits for a place.
    line: WaitQueue<()>,
    reserved: usize,
    /// Who waits for the channel to close.
    watchers: WaitQueue<()>,
    /// No further place is given out.
    closed: bool,
}

/// Why no place was given out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    Full,
    Closed,
}

/// What a waiter finds.
#[derive(Debug)]
#[must_use]
pub(super) enum Waited {
    /// A place is its own now, counted as reserved.
    Granted,
    /// The channel has closed: the waiter has left, except for a place that was
    /// granted to it, which the caller releases.
    Closed(Gone),
    /// It waits.
    Queued,
    /// It must bring a waker of its own to wait.
    NeedsWaker,
}

/// What a waiter that has left leaves behind.
#[derive(Debug)]
#[must_use = "a place must be released, and a waker dropped after unlocking"]
pub(super) enum Gone {
    /// At most its waker.
    Left(After),
    /// A place that was granted to it: the caller releases it.
    Granted,
}

impl Places {
    pub(super) fn new(capacity: usize) -> Self {
        Places {
            capacity,
            filled: 0,
            reserved: 0,
            closed: false,
            line: WaitQueue::new(),
            watchers: WaitQueue::new(),
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn reserved(&self) -> usize {
        self.reserved
    }

    pub(super) fn waiting(&self) -> usize {
        self.line.len()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn free(&self) -> usize {
        self.capacity - self.reserved - self.filled
    }

    /// Whether a place may be given to a newcomer. By invariant 2 a free place
    /// means that nobody waits, so a newcomer never passes the line.
    fn admit(&self) -> Result<(), Refusal> {
        if self.closed {
            Err(Refusal::Closed)
        } else if self.free() == 0 {
            Err(Refusal::Full)
        } else {
            Ok(())
        }
    }

    /// Fills a free place.
    pub(super) fn fill_free(&mut self) -> Result<(), Refusal> {
        self.admit()?;
        self.filled += 1;
        Ok(())
    }

    /// Reserves a free place.
    pub(super) fn reserve(&mut self) -> Result<(), Refusal> {
        self.admit()?;
        self.reserved += 1;
        Ok(())
    }

    /// Fills a reserved place.
    pub(super) fn fill_reserved(&mut self) {
        self.reserved -= 1;
        self.filled += 1;
    }

    /// Frees a reserved place, which goes to the first in line: wake it.
    pub(super) fn release(&mut self) -> Option<Waker> {
        self.reserved -= 1;
        self.grant()
    }

    /// Frees a filled place, which goes to the first in line: wake it.
    pub(super) fn vacate(&mut self) -> Option<Waker> {
        self.filled -= 1;
        self.grant()
    }

    /// Gives a place that has just become free to the first in line.
    fn grant(&mut self) -> Option<Waker> {
        if self.closed || self.line.is_empty() {
            return None;
        }
        self.reserved += 1;
        self.line.grant_front()
    }

    /// Gets in line for a place, or asks how it stands there.
    ///
    /// A waker that has to be kept is taken from `fresh`, and one that is
    /// replaced is left there: the caller clones before it locks and drops
    /// after it unlocks.
    pub(super) fn wait(
        &mut self,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
        fresh: &mut Option<Waker>,
    ) -> Waited {
        if ticket.is_none() {
            return match self.reserve() {
                Ok(()) => Waited::Granted,
                Err(Refusal::Closed) => Waited::Closed(Gone::Left(After::Nothing)),
                Err(Refusal::Full) => line_up(&mut self.line, ticket, fresh),
            };
        }
        match ticket.take_if(|_| self.closed) {
            Some(place) => Waited::Closed(self.withdraw(place)),
            None => self.line.look(ticket, waker, fresh).into(),
        }
    }

    /// Leaves the line.
    pub(super) fn withdraw(&mut self, ticket: Ticket) -> Gone {
        match self.line.leave(ticket) {
            Left::Queued(waker) => Gone::Left(After::drop(waker)),
            Left::Granted => Gone::Granted,
        }
    }

    /// Waits for the channel to close, as [`Places::wait`] waits for a place.
    pub(super) fn watch(
        &mut self,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
        fresh: &mut Option<Waker>,
    ) -> Waited {
        if self.closed {
            let left = ticket.take().map(|place| self.unwatch(place));
            return Waited::Closed(Gone::Left(left.unwrap_or(After::Nothing)));
        }
        match ticket {
            None => line_up(&mut self.watchers, ticket, fresh),
            Some(_) => self.watchers.look(ticket, waker, fresh).into(),
        }
    }

    /// No longer waits for the channel to close.
    pub(super) fn unwatch(&mut self, ticket: Ticket) -> After {
        match self.watchers.leave(ticket) {
            Left::Queued(waker) => After::drop(waker),
            Left::Granted => unreachable!("nobody grants a watcher"),
        }
    }

    /// Gives out no further place. What is filled and reserved remains so.
    pub(super) fn close(&mut self, wake: &mut Vec<Waker>) {
        self.closed = true;
        self.line.take_wakers(wake);
        self.watchers.take_wakers(wake);
    }

    /// Panics if an invariant of the module does not hold.
    #[cfg(test)]
    pub(super) fn check(&self, filled: usize) {
        assert_eq!(self.filled, filled, "filled places");
        assert!(
            self.filled + self.reserved <= self.capacity,
            "more than the capacity"
        );
        assert!(
            self.closed || self.line.is_empty() || self.free() == 0,
            "a sender waits although a place is free"
        );
        assert!(
            self.line.statistics().granted <= self.reserved,
            "a grant without a place"
        );
    }
}

/// Joins the end of a line, with the waker brought along.
fn line_up(
    line: &mut WaitQueue<()>,
    ticket: &mut Option<Ticket>,
    fresh: &mut Option<Waker>,
) -> Waited {
    let Some(waker) = fresh.take() else {
        return Waited::NeedsWaker;
    };
    *ticket = Some(line.push(waker, ()));
    Waited::Queued
}

impl From<Look> for Waited {
    fn from(look: Look) -> Self {
        match look {
            Look::Granted => Waited::Granted,
            Look::Queued => Waited::Queued,
            Look::NeedsWaker => Waited::NeedsWaker,
        }
    }
}

/// A channel with places, behind its lock.
pub(super) trait Room {
    /// Edits the places.
    fn places<R>(&self, edit: impl FnOnce(&mut Places) -> R) -> R;

    /// Gives a reserved place up, and wakes whoever can go on for that.
    fn release(&self);

    /// The one task that makes room, if there is one and it is known.
    fn consumer(&self) -> Option<TaskRef> {
        None
    }

    /// Carries out what a waiter leaves behind.
    fn gone(&self, gone: Gone) {
        match gone {
            Gone::Left(after) => after.run(),
            Gone::Granted => self.release(),
        }
    }

    /// Waits with the steps of the rules: clones the waker if need be, unlocked.
    fn step(
        &self,
        ticket: &mut Option<Ticket>,
        task: &Context<'_>,
        step: fn(&mut Places, &mut Option<Ticket>, &Waker, &mut Option<Waker>) -> Waited,
    ) -> Poll<Result<(), Closed>> {
        let mut fresh = None;
        loop {
            match self.places(|p| step(p, ticket, task.waker(), &mut fresh)) {
                Waited::Granted => return Poll::Ready(Ok(())),
                Waited::Queued => return Poll::Pending,
                Waited::NeedsWaker => fresh = Some(task.waker().clone()),
                Waited::Closed(gone) => {
                    self.gone(gone);
                    return Poll::Ready(Err(Closed));
                }
            }
        }
    }
}

/// The channel gives out no further place.
pub(super) struct Closed;

/// Waiting for a place, which then is reserved.
///
/// Withdrawn, it leaves the line, and a place that it was granted and never used
/// goes to the next.
pub(super) struct Line<'a, R> {
    pub(super) room: &'a R,
    ticket: Option<Ticket>,
    lent: Lent,
}

impl<'a, R: Room> Line<'a, R> {
    pub(super) fn new(room: &'a R) -> Self {
        Line {
            room,
            ticket: None,
            lent: Lent::default(),
        }
    }

    /// The task of `cx` sleeps in line: whoever is to make room borrows its urgency, if it has any.
    #[inline]
    pub(super) fn hasten(&mut self, cx: &Cx) {
        if self.is_waiting() {
            self.lent.to(|| self.room.consumer(), cx);
        }
    }

    /// Whether it has joined the line and not left it yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.ticket.is_some()
    }
}

impl<R: Room> super::waiting::Wait for Line<'_, R> {
    type Output = Result<(), Closed>;

    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Self::Output> {
        let waited = self.room.step(&mut self.ticket, task, Places::wait);
        if waited.is_ready() {
            self.lent.end();
        }
        waited
    }

    fn withdraw(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.lent.end();
            let gone = self.room.places(|p| p.withdraw(ticket));
            self.room.gone(gone);
        }
    }
}

/// Waiting for the channel to close.
pub(super) struct Watch<'a, R> {
    room: &'a R,
    ticket: Option<Ticket>,
}

impl<'a, R: Room> Watch<'a, R> {
    pub(super) fn new(room: &'a R) -> Self {
        Watch { room, ticket: None }
    }
}

impl<R: Room> super::waiting::Wait for Watch<'_, R> {
    type Output = ();

    fn poll(&mut self, task: &mut Context<'_>) -> Poll<()> {
        let watched = self.room.step(&mut self.ticket, task, Places::watch);
        watched.map(|_| ())
    }

    fn withdraw(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let after = self.room.places(|p| p.unwatch(ticket));
            after.run();
        }
    }
}
