//! The rules of a broadcast channel as a plain value: nothing here waits, locks or wakes.
//!
//! Values have positions, counted from 0 for the first ever sent; position `p`
//! lies in slot `p % capacity` until `p + capacity` is sent. A receiver is a
//! cursor: the position it reads next.
//!
//! Invariants, checked by [`State::check`]:
//!
//! 1. the values at hand are at the positions from [`State::oldest`] to `next`;
//! 2. a slot's `unread` is the number of receivers whose cursor is at or before
//!    its position; at 0 the slot is empty;
//! 3. `queued` counts the slots that are not;
//! 4. nobody waits behind a position that was sent;
//! 5. those of its [`Audience`].
//!
//! What leaves a slot is handed out, to be dropped after unlocking; so is every waker.

use super::super::audience::{Audience, Heard};
use super::super::crowd::{Batch, Released, Waits};
use super::super::jar::{Emptied, Jar, View};
use crate::wait::Ticket;
use std::task::Waker;

pub(super) struct State<T> {
    /// Grows up to the capacity, and then is a ring.
    slots: Vec<Slot<T>>,
    capacity: usize,
    /// The position of the value sent next.
    next: u64,
    queued: usize,
    /// Its receivers wait for a position after their cursor's.
    audience: Audience,
}

struct Slot<T> {
    value: Jar<T>,
    unread: usize,
}

/// What a receiver finds.
#[must_use]
pub(super) enum Read<T> {
    /// The next value: the last to read it empties the slot.
    Last(Emptied<T>),
    /// The next value, which others read too.
    Value(View<T>),
    /// So many values were overwritten; the cursor is at the oldest one now.
    Lagged(u64),
    /// Nothing yet.
    Empty,
    /// Nothing yet, and the receiver must bring a waker of its own to wait.
    NeedsWaker,
    /// Nothing, ever again.
    Closed,
}

impl<T> Heard for State<T> {
    fn audience(&mut self) -> &mut Audience {
        &mut self.audience
    }
}

impl<T> State<T> {
    /// A channel with one receiver, at position 0.
    pub(super) fn new(capacity: usize) -> Self {
        State {
            slots: Vec::new(),
            capacity,
            next: 0,
            queued: 0,
            audience: Audience::new(),
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    pub(super) fn receivers(&self) -> usize {
        self.audience.receivers()
    }

    pub(super) fn waiting(&self) -> usize {
        self.audience.waiting.len()
    }

    /// Nothing more is sent: the last sender is gone.
    pub(super) fn is_closed(&self) -> bool {
        self.audience.is_over()
    }

    /// How many values a receiver has before it, those it has missed included.
    pub(super) fn behind(&self, cursor: u64) -> u64 {
        self.next - cursor
    }

    /// The position of the oldest value that may be at hand.
    fn oldest(&self) -> u64 {
        self.next.saturating_sub(self.capacity as u64)
    }

    fn index(&self, position: u64) -> usize {
        (position % self.capacity as u64) as usize
    }

    /// Sends: to how many, what it overwrites, and whom to wake. The value comes
    /// back if nobody listens.
    pub(super) fn send(&mut self, value: T) -> Result<(usize, Option<Emptied<T>>, Released), T> {
        let receivers = self.audience.receivers();
        if receivers == 0 {
            return Err(value);
        }
        let at = self.index(self.next);
        let overwritten = match self.slots.get_mut(at) {
            Some(slot) => {
                self.queued -= usize::from(slot.unread > 0);
                slot.unread = receivers;
                Some(slot.value.put(Some(value)))
            }
            None => {
                let (value, unread) = (Jar::new(Some(value)), receivers);
                self.slots.push(Slot { value, unread });
                None
            }
        };
        self.queued += 1;
        self.next += 1;
        // Who waits has read everything before `next - 1`.
        let released = self.audience.waiting.release(self.next);
        Ok((receivers, overwritten, released))
    }

    /// Further receivers to wake after a send.
    pub(super) fn wake_more(&mut self, batch: &mut Batch) -> bool {
        self.audience.waiting.release_more(self.next, batch)
    }

    /// Reads at the cursor, and moves it on.
    pub(super) fn read(&mut self, cursor: &mut u64) -> Read<T> {
        let missed = self.oldest().saturating_sub(*cursor);
        if missed > 0 {
            *cursor += missed;
            return Read::Lagged(missed);
        }
        if *cursor == self.next {
            return if self.audience.is_over() {
                Read::Closed
            } else {
                Read::Empty
            };
        }
        let at = self.index(*cursor);
        *cursor += 1;
        let slot = &mut self.slots[at];
        slot.unread -= 1;
        if slot.unread > 0 {
            return Read::Value(slot.value.view());
        }
        self.queued -= 1;
        Read::Last(slot.value.put(None))
    }

    /// As [`State::read`], or waits.
    pub(super) fn read_or_wait(
        &mut self,
        cursor: &mut u64,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
        fresh: &mut Option<Waker>,
    ) -> Read<T> {
        let read = self.read(cursor);
        if !matches!(read, Read::Empty) {
            self.audience.waiting.done(ticket, fresh);
            return read;
        }
        match self.audience.waiting.wait(*cursor, ticket, waker, fresh) {
            Waits::Queued => Read::Empty,
            Waits::NeedsWaker => Read::NeedsWaker,
        }
    }

    /// A receiver stops waiting.
    pub(super) fn forget(&mut self, ticket: &mut Option<Ticket>) -> Option<Waker> {
        self.audience.waiting.leave(ticket)
    }

    /// Another receiver, which reads what is sent from now on.
    pub(super) fn subscribe(&mut self) -> u64 {
        self.audience.join();
        self.next
    }

    /// A receiver goes, and with it the values that only it had not read.
    pub(super) fn unsubscribe(&mut self, cursor: u64) -> (Vec<Emptied<T>>, Released) {
        let woken = self.audience.leave();
        let mut dropped = Vec::new();
        for position in cursor.max(self.oldest())..self.next {
            let at = self.index(position);
            let slot = &mut self.slots[at];
            slot.unread -= 1;
            if slot.unread == 0 {
                self.queued -= 1;
                dropped.push(slot.value.put(None));
            }
        }
        (dropped, woken)
    }

    /// Panics if an invariant of the module does not hold for these cursors.
    #[cfg(test)]
    pub(super) fn check(&self, cursors: &[u64]) {
        self.audience.check(cursors.len());
        assert!(self.slots.len() <= self.capacity, "more than the capacity");
        let mut queued = 0;
        for position in self.oldest()..self.next {
            let slot = &self.slots[self.index(position)];
            let unread = cursors.iter().filter(|c| **c <= position).count();
            assert_eq!(slot.unread, unread, "position {position}");
            queued += usize::from(unread > 0);
        }
        assert_eq!(self.queued, queued, "slots that are not empty");
        let asleep = cursors.iter().filter(|c| **c == self.next).count();
        assert!(
            self.audience.waiting.len() <= asleep,
            "asleep behind a value"
        );
    }
}
