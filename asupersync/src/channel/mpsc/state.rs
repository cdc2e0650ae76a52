//! The rules of a many-to-one channel as a plain value: nothing here waits, locks or wakes.
//!
//! Invariants, checked by [`State::check`], beside those of its [`Places`]:
//!
//! 1. the filled places are those of the values in the queue;
//! 2. a waker of the receiver is kept only while there is nothing to receive;
//! 3. once the receiver is gone nothing is queued.
//!
//! Every method that lets go of a waker or a value hands it out, so that the
//! caller can drop or wake it after unlocking.

use super::super::crowd::{Batch, Released};
use super::super::places::{Places, Refusal};
use crate::wait::After;
use std::collections::VecDeque;
use std::task::Waker;

/// The state of one channel.
pub(super) struct State<T> {
    pub(super) places: Places,
    queue: VecDeque<T>,
    receiver_gone: bool,
    senders_gone: bool,
    /// The receiver, while it waits.
    receiver: Option<Waker>,
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

impl<T> State<T> {
    pub(super) fn new(capacity: usize) -> Self {
        State {
            places: Places::new(capacity),
            // The ring grows by doubling up to the capacity, so a large capacity costs nothing
            // until it is used.
            queue: VecDeque::new(),
            receiver_gone: false,
            senders_gone: false,
            receiver: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Fills a free place. The value comes back if there is none.
    pub(super) fn push(&mut self, value: T) -> Result<After, (Refusal, T)> {
        match self.places.fill_free() {
            Ok(()) => {
                self.queue.push_back(value);
                Ok(After::wake(self.receiver.take()))
            }
            Err(refusal) => Err((refusal, value)),
        }
    }

    /// Fills a reserved place. The value comes back if nobody will ever receive it.
    pub(super) fn fill(&mut self, value: T) -> Result<After, T> {
        if self.receiver_gone {
            // Closed: there is nobody in line to pass the place on to.
            let granted = self.places.release(&mut 1);
            debug_assert!(granted.is_none(), "a closed channel grants nothing");
            return Err(value);
        }
        self.places.fill_reserved();
        self.queue.push_back(value);
        Ok(After::wake(self.receiver.take()))
    }

    /// Gives reserved places up, so many as are `left`: they go to those in line.
    pub(super) fn release(&mut self, left: &mut usize) -> Released {
        let first = self.release_some(left);
        Released::of(first, *left > 0)
    }

    /// Goes on with it; says whether there are further ones.
    pub(super) fn release_more(&mut self, left: &mut usize, batch: &mut Batch) -> bool {
        while *left > 0 {
            if !batch.has_room() {
                return true;
            }
            batch.add(self.release_some(left));
        }
        false
    }

    fn release_some(&mut self, left: &mut usize) -> Option<Waker> {
        let granted = self.places.release(left);
        if self.is_finished() {
            self.receiver.take()
        } else {
            granted
        }
    }

    /// Takes the oldest value.
    pub(super) fn pop(&mut self) -> Popped<T> {
        match self.queue.pop_front() {
            Some(value) => Popped::Value(value, After::wake(self.places.vacate())),
            None if self.is_finished() => Popped::Closed,
            None => Popped::Empty,
        }
    }

    /// Takes the oldest value, or waits for one; `fresh` as in [`Places::wait`].
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

    /// Takes up to `limit` values, the oldest first, and says whether there may be
    /// more to take: only so many as the senders woken for them fit into the batch.
    pub(super) fn pop_many(&mut self, limit: usize, into: &mut Vec<T>, wake: &mut Batch) -> bool {
        for _ in 0..limit {
            if self.queue.is_empty() {
                return false;
            }
            if !wake.has_room() {
                return true;
            }
            into.extend(self.queue.pop_front());
            wake.add(self.places.vacate());
        }
        false
    }

    /// Takes all values; their places go to those in line.
    pub(super) fn drain(&mut self, wake: &mut Vec<Waker>) -> VecDeque<T> {
        let values = std::mem::take(&mut self.queue);
        for _ in 0..values.len() {
            wake.extend(self.places.vacate());
        }
        values
    }

    /// Whether nothing can be received ever again. With the senders gone a place
    /// still reserved belongs to a forgotten permit, which will never be filled.
    fn is_finished(&self) -> bool {
        self.queue.is_empty()
            && (self.senders_gone || (self.places.is_closed() && self.places.reserved() == 0))
    }

    /// The receiver stops waiting.
    pub(super) fn forget_receiver(&mut self) -> After {
        After::drop(self.receiver.take())
    }

    /// The receiver goes: its values are handed out to be dropped.
    pub(super) fn drop_receiver(&mut self, wake: &mut Vec<Waker>) -> (VecDeque<T>, After) {
        self.receiver_gone = true;
        self.places.close(wake);
        (self.drain(wake), self.forget_receiver())
    }

    /// The last sender goes.
    pub(super) fn drop_senders(&mut self) -> After {
        self.senders_gone = true;
        After::wake(self.receiver.take())
    }

    /// Panics if an invariant of the module does not hold.
    #[cfg(test)]
    pub(super) fn check(&self) {
        self.places.check(self.queue.len());
        assert!(
            self.receiver.is_none() || (self.queue.is_empty() && !self.is_finished()),
            "the receiver sleeps although it could go on"
        );
        assert!(
            !self.receiver_gone || self.queue.is_empty(),
            "values nobody will receive"
        );
    }
}
