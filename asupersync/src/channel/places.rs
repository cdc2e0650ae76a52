//! The places of a bounded channel, and the line of those who wait for one, as a
//! plain value: nothing here waits, locks or wakes.
//!
//! | place    | belongs to                                            | becomes                     |
//! |----------|-------------------------------------------------------|-----------------------------|
//! | free     | nobody                                                | filled, reserved            |
//! | reserved | a permit, or a waiter that was given it               | filled, or free: passed on  |
//! | filled   | a value                                               | free: passed on             |
//!
//! A waiter may want several places. Whatever comes free is given to the first in
//! line, and its turn is granted with the last place that it wants; until then
//! nobody behind it gets any, however few they want. So those who want many are
//! not passed for ever by those who want one, and no two of them wait for each
//! other, each with a part: only the first has one.
//!
//! Invariants, checked by [`Places::check`]:
//!
//! 1. filled + reserved ≤ capacity;
//! 2. while the channel is open and somebody waits for a place, none is free, so
//!    a newcomer that finds one passes nobody;
//! 3. what a waiter was given, whether all that it wants or a part, is counted in
//!    `reserved` until it notices or leaves;
//! 4. nobody in line but the first was given a part;
//! 5. nobody waits for more than the capacity.
//!
//! Every method that lets go of a waker hands it out, to be dropped or woken
//! after unlocking.

use super::error::TooMany;
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
    /// Who waits for places, and how many each was not given yet.
    line: WaitQueue<usize>,
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
    /// What it wants is its own now, counted as reserved.
    Granted,
    /// The channel has closed: the waiter has left, except for places that were
    /// given to it, which the caller releases.
    Closed(Gone),
    /// It waits.
    Queued,
    /// It must bring a waker of its own to wait.
    NeedsWaker,
}

/// What a waiter that has left leaves behind.
#[derive(Debug)]
#[must_use = "places must be released, and a waker dropped after unlocking"]
pub(super) struct Gone {
    /// How many places it was given: the caller releases them.
    pub(super) places: usize,
    /// Its waker, if it had one here.
    pub(super) waker: After,
}

impl Gone {
    /// A waiter that had no place in line.
    const NOTHING: Gone = Gone {
        places: 0,
        waker: After::Nothing,
    };
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

    /// Whether there are so many places at all.
    pub(super) fn can_ever_give(&self, wanted: usize) -> Result<(), TooMany> {
        let capacity = self.capacity;
        if wanted > capacity {
            return Err(TooMany { wanted, capacity });
        }
        Ok(())
    }

    /// Whether so many places may be given to a newcomer. By invariant 2 a free
    /// place means that nobody waits, so a newcomer never passes the line; who
    /// wants none takes nothing from anybody.
    fn admit(&self, wanted: usize) -> Result<(), Refusal> {
        if self.closed {
            Err(Refusal::Closed)
        } else if self.free() < wanted {
            Err(Refusal::Full)
        } else {
            Ok(())
        }
    }

    /// Fills a free place.
    pub(super) fn fill_free(&mut self) -> Result<(), Refusal> {
        self.admit(1)?;
        self.filled += 1;
        Ok(())
    }

    /// Reserves so many free places, all of them or none.
    pub(super) fn reserve(&mut self, wanted: usize) -> Result<(), Refusal> {
        self.admit(wanted)?;
        self.reserved += wanted;
        Ok(())
    }

    /// Fills a reserved place.
    pub(super) fn fill_reserved(&mut self) {
        self.reserved -= 1;
        self.filled += 1;
    }

    /// Frees reserved places, of which so many are `left` to free, up to the first
    /// waiter who now has all that it wants: wake it. Call it until none is left;
    /// what is left stays reserved, so the lock may be given up in between.
    pub(super) fn release(&mut self, left: &mut usize) -> Option<Waker> {
        let first = if self.closed {
            None
        } else {
            self.line.front_mut()
        };
        let Some(missing) = first else {
            self.reserved -= std::mem::take(left);
            return None;
        };
        let given = (*missing).min(*left);
        *missing -= given;
        *left -= given;
        if *missing == 0 {
            self.line.grant_front()
        } else {
            None
        }
    }

    /// Frees a filled place, which goes to the first in line: wake it, if that was
    /// the last that it wanted.
    pub(super) fn vacate(&mut self) -> Option<Waker> {
        self.filled -= 1;
        if self.closed || self.line.is_empty() {
            return None;
        }
        self.reserved += 1;
        self.release(&mut 1)
    }

    /// Gets in line for so many places, no more than the capacity, or asks how it
    /// stands there.
    ///
    /// A waker that has to be kept is taken from `fresh`, and one that is
    /// replaced is left there: the caller clones before it locks and drops
    /// after it unlocks.
    pub(super) fn wait(
        &mut self,
        wanted: usize,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
        fresh: &mut Option<Waker>,
    ) -> Waited {
        if ticket.is_none() && self.reserve(wanted).is_ok() {
            return Waited::Granted;
        }
        self.wait_in_line(wanted, ticket, waker, fresh)
    }

    /// As [`Places::wait`], with too few places free for a newcomer. Apart, so that
    /// who finds room at once saves no registers for the rest.
    #[inline(never)]
    fn wait_in_line(
        &mut self,
        wanted: usize,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
        fresh: &mut Option<Waker>,
    ) -> Waited {
        if self.closed {
            let left = ticket.take().map(|place| self.withdraw(wanted, place));
            return Waited::Closed(left.unwrap_or(Gone::NOTHING));
        }
        if ticket.is_some() {
            return self.line.look(ticket, waker, fresh).into();
        }
        // What is free is the first that it is given. With somebody in line that is
        // nothing, by invariant 2.
        let given = self.free();
        let waited = line_up(&mut self.line, wanted - given, ticket, fresh);
        if matches!(waited, Waited::Queued) {
            self.reserved += given;
        }
        waited
    }

    /// Leaves the line for so many places.
    pub(super) fn withdraw(&mut self, wanted: usize, ticket: Ticket) -> Gone {
        let places = wanted - self.line.want(&ticket);
        let waker = match self.line.leave(ticket) {
            Left::Queued(waker) => After::drop(waker),
            Left::Granted => After::Nothing,
        };
        Gone { places, waker }
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
            let waker = left.unwrap_or(After::Nothing);
            return Waited::Closed(Gone { places: 0, waker });
        }
        match ticket {
            None => line_up(&mut self.watchers, (), ticket, fresh),
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
        let first = self.line.front().copied().unwrap_or_default();
        assert!(first <= self.capacity, "a waiter that is never granted");
    }
}

/// Joins the end of a line, with the waker brought along.
fn line_up<W: Copy>(
    line: &mut WaitQueue<W>,
    want: W,
    ticket: &mut Option<Ticket>,
    fresh: &mut Option<Waker>,
) -> Waited {
    let Some(waker) = fresh.take() else {
        return Waited::NeedsWaker;
    };
    *ticket = Some(line.push(waker, want));
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

    /// Gives so many reserved places up, and wakes whoever can go on for that.
    fn release(&self, places: usize);

    /// The one task that makes room, if there is one and it is known.
    fn consumer(&self) -> Option<TaskRef> {
        None
    }

    /// Carries out what a waiter leaves behind.
    fn gone(&self, gone: Gone) {
        gone.waker.run();
        if gone.places > 0 {
            self.release(gone.places);
        }
    }

    /// Waits with the steps of the rules: clones the waker if need be and it is not
    /// at hand yet, unlocked.
    fn step(
        &self,
        ticket: &mut Option<Ticket>,
        task: &Context<'_>,
        mut fresh: Option<Waker>,
        mut step: impl FnMut(&mut Places, &mut Option<Ticket>, &Waker, &mut Option<Waker>) -> Waited,
    ) -> Poll<Result<(), Closed>> {
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

/// Waiting for places, which then are reserved.
///
/// Withdrawn, it leaves the line, and what it was given and never used goes to the
/// next.
pub(super) struct Line<'a, R> {
    pub(super) room: &'a R,
    pub(super) wanted: usize,
    ticket: Option<Ticket>,
    lent: Lent,
}

impl<'a, R: Room> Line<'a, R> {
    pub(super) fn new(room: &'a R, wanted: usize) -> Self {
        Line {
            room,
            wanted,
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

    /// Polls it for one who has found no room, and so is about to wait.
    pub(super) fn poll_full(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        let fresh = (!self.is_waiting()).then(|| task.waker().clone());
        self.wait(task, fresh)
    }

    fn wait(&mut self, task: &mut Context<'_>, fresh: Option<Waker>) -> Poll<Result<(), Closed>> {
        let wanted = self.wanted;
        let waited = self
            .room
            .step(&mut self.ticket, task, fresh, |p, ticket, waker, fresh| {
                p.wait(wanted, ticket, waker, fresh)
            });
        if waited.is_ready() {
            self.lent.end();
        }
        waited
    }

    /// Whether it has joined the line and not left it yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.ticket.is_some()
    }
}

impl<R: Room> super::waiting::Wait for Line<'_, R> {
    type Output = Result<(), Closed>;

    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Self::Output> {
        self.wait(task, None)
    }

    fn withdraw(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.lent.end();
            let gone = self.room.places(|p| p.withdraw(self.wanted, ticket));
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
        let watched = self.room.step(&mut self.ticket, task, None, Places::watch);
        watched.map(|_| ())
    }

    fn withdraw(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let after = self.room.places(|p| p.unwatch(ticket));
            after.run();
        }
    }
}
