//! The rules of a many-to-one channel as a plain value: nothing here waits, locks or wakes.
//!
//! A place in the channel is free, reserved or filled. Reserved places belong
//! to permits and to waiters that were granted one and have not noticed yet.
//!
//! Invariants, checked by [`State::check`]:
//!
//! 1. filled + reserved ≤ capacity;
//! 2. while the channel is open and somebody waits for a place, none is free;
//! 3. a waker of the receiver is kept only while there is nothing to receive;
//! 4. once the receiver is gone nothing is queued.
//!
//! Every method that lets go of a waker or a value hands it out, so that the
//! caller can drop or wake it after unlocking.

use crate::wait::{After, Left, Ticket, Turn, WaitQueue};
use std::collections::VecDeque;
use std::task::Waker;

/// The state of one channel.
pub(super) struct State<T> {
    queue: VecDeque<T>,
    capacity: usize,
    reserved: usize,
    /// No further place is given out.
    closed: bool,
    receiver_gone: bool,
    senders_gone: bool,
    /// Who waits for a place.
    senders: WaitQueue<()>,
    /// Who waits for the channel to close.
    watchers: WaitQueue<()>,
    /// The receiver, while it waits.
    receiver: Option<Waker>,
}

/// Why no place was given out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    Full,
    Closed,
}

/// What the receiver finds.
#[derive(Debug)]
#[must_use]
pub(super) enum Popped<T> {
    /// A value, and the sender that was granted its place.
    Value(T, After),
    /// Nothing yet.
    Empty,
    /// Nothing yet, and the receiver must bring a waker of its own to wait.
    NeedsWaker,
    /// Nothing, ever again.
    Closed,
}

/// What a waiter finds.
#[derive(Debug)]
#[must_use]
pub(super) enum Waited {
    /// A place is its own now, counted as reserved.
    Granted,
    /// The channel has closed, and the waiter has left.
    Closed(After),
    /// It waits.
    Queued,
    /// It must bring a waker of its own to wait.
    NeedsWaker,
}

impl<T> State<T> {
    pub(super) fn new(capacity: usize) -> Self {
        State {
            // The ring grows by doubling up to the capacity, so a large capacity costs nothing
            // until it is used.
            queue: VecDeque::new(),
            capacity,
            reserved: 0,
            closed: false,
            receiver_gone: false,
            senders_gone: false,
            senders: WaitQueue::new(),
            watchers: WaitQueue::new(),
            receiver: None,
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn reserved(&self) -> usize {
        self.reserved
    }

    pub(super) fn waiting(&self) -> usize {
        self.senders.len()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn free(&self) -> usize {
        self.capacity - self.reserved - self.queue.len()
    }

    /// Fills a free place. The value comes back if there is none.
    pub(super) fn push(&mut self, value: T) -> Result<After, (Refusal, T)> {
        match self.admit() {
            Ok(()) => {
                self.queue.push_back(value);
                Ok(After::wake(self.receiver.take()))
            }
            Err(refusal) => Err((refusal, value)),
        }
    }

    /// Reserves a free place.
    pub(super) fn reserve(&mut self) -> Result<(), Refusal> {
        self.admit()?;
        self.reserved += 1;
        Ok(())
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
        let Some(place) = ticket.take() else {
            return match self.reserve() {
                Ok(()) => Waited::Granted,
                Err(Refusal::Closed) => Waited::Closed(After::Nothing),
                Err(Refusal::Full) => line_up(&mut self.senders, ticket, fresh),
            };
        };
        if self.closed {
            return Waited::Closed(self.withdraw(place));
        }
        look(&mut self.senders, place, ticket, waker, fresh)
    }

    /// Leaves the line; a place that was granted goes to the next.
    pub(super) fn withdraw(&mut self, ticket: Ticket) -> After {
        match self.senders.leave(ticket) {
            Left::Queued(waker) => After::drop(waker),
            Left::Granted => self.release(),
        }
    }

    /// Fills a reserved place. The value comes back if nobody will ever receive it.
    pub(super) fn fill(&mut self, value: T) -> Result<After, T> {
        self.reserved -= 1;
        if self.receiver_gone {
            return Err(value);
        }
        self.queue.push_back(value);
        Ok(After::wake(self.receiver.take()))
    }

    /// Gives a reserved place up: it goes to the first in line.
    pub(super) fn release(&mut self) -> After {
        self.reserved -= 1;
        After::wake(if self.is_finished() {
            self.receiver.take()
        } else {
            self.grant()
        })
    }

    /// Gives a place that has just become free to the first in line.
    fn grant(&mut self) -> Option<Waker> {
        if self.closed || self.senders.is_empty() {
            return None;
        }
        self.reserved += 1;
        self.senders.grant_front()
    }

    /// Takes the oldest value.
    pub(super) fn pop(&mut self) -> Popped<T> {
        match self.queue.pop_front() {
            Some(value) => Popped::Value(value, After::wake(self.grant())),
            None if self.is_finished() => Popped::Closed,
            None => Popped::Empty,
        }
    }

    /// Takes the oldest value, or waits for one; `fresh` as in [`State::wait`].
    pub(super) fn pop_or_wait(&mut self, waker: &Waker, fresh: &mut Option<Waker>) -> Popped<T> {
        let popped = self.pop();
        if !matches!(popped, Popped::Empty)
            || self.receiver.as_ref().is_some_and(|w| w.will_wake(waker))
        {
            return popped;
        }
        let Some(waker) = fresh.take() else {
            return Popped::NeedsWaker;
        };
        *fresh = self.receiver.replace(waker);
        Popped::Empty
    }

    /// Takes all values; their places go to those in line.
    pub(super) fn drain(&mut self, wake: &mut Vec<Waker>) -> VecDeque<T> {
        let values = std::mem::take(&mut self.queue);
        for _ in 0..values.len() {
            wake.extend(self.grant());
        }
        values
    }

    /// Whether nothing can be received ever again. With the senders gone a place
    /// still reserved belongs to a forgotten permit, which will never be filled.
    fn is_finished(&self) -> bool {
        self.queue.is_empty() && (self.senders_gone || (self.closed && self.reserved == 0))
    }

    /// The receiver stops waiting.
    pub(super) fn forget_receiver(&mut self) -> After {
        After::drop(self.receiver.take())
    }

    /// Gives out no further place. Values queued and places reserved remain.
    pub(super) fn close(&mut self, wake: &mut Vec<Waker>) {
        self.closed = true;
        self.senders.take_wakers(wake);
        self.watchers.take_wakers(wake);
    }

    /// The receiver goes: its values are handed out to be dropped.
    pub(super) fn drop_receiver(&mut self, wake: &mut Vec<Waker>) -> (VecDeque<T>, After) {
        self.receiver_gone = true;
        self.close(wake);
        (std::mem::take(&mut self.queue), self.forget_receiver())
    }

    /// The last sender goes.
    pub(super) fn drop_senders(&mut self) -> After {
        self.senders_gone = true;
        After::wake(self.receiver.take())
    }

    /// Waits for the channel to close, as [`State::wait`] waits for a place.
    pub(super) fn watch(
        &mut self,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
        fresh: &mut Option<Waker>,
    ) -> Waited {
        match ticket.take() {
            None if self.closed => Waited::Closed(After::Nothing),
            None => line_up(&mut self.watchers, ticket, fresh),
            Some(place) if self.closed => Waited::Closed(self.unwatch(place)),
            Some(place) => look(&mut self.watchers, place, ticket, waker, fresh),
        }
    }

    /// No longer waits for the channel to close.
    pub(super) fn unwatch(&mut self, ticket: Ticket) -> After {
        match self.watchers.leave(ticket) {
            Left::Queued(waker) => After::drop(waker),
            Left::Granted => unreachable!("nobody grants a watcher"),
        }
    }

    /// Panics if an invariant of the module does not hold.
    #[cfg(test)]
    pub(super) fn check(&self) {
        assert!(
            self.queue.len() + self.reserved <= self.capacity,
            "more than the capacity"
        );
        assert!(
            self.closed || self.senders.is_empty() || self.free() == 0,
            "a sender waits although a place is free"
        );
        assert!(
            self.receiver.is_none() || (self.queue.is_empty() && !self.is_finished()),
            "the receiver sleeps although it could go on"
        );
        assert!(
            !self.receiver_gone || self.queue.is_empty(),
            "values nobody will receive"
        );
        assert!(
            self.senders.statistics().granted <= self.reserved,
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

/// Looks after a place in line, and swaps its waker for the one brought along if need be.
fn look(
    line: &mut WaitQueue<()>,
    place: Ticket,
    ticket: &mut Option<Ticket>,
    waker: &Waker,
    fresh: &mut Option<Waker>,
) -> Waited {
    let (place, waited) = match line.poll(place, waker) {
        Turn::Granted => return Waited::Granted,
        Turn::Queued(place) => (place, Waited::Queued),
        Turn::Rebind(place) => match fresh.take() {
            None => (place, Waited::NeedsWaker),
            Some(waker) => {
                *fresh = line.update(&place, waker);
                (place, Waited::Queued)
            }
        },
    };
    *ticket = Some(place);
    waited
}
