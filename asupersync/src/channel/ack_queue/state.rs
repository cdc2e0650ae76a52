//! The rules of a queue with acknowledgement as a plain value: nothing here
//! waits, locks, wakes or reads a clock.
//!
//! | a message is   | and becomes                                                     |
//! |----------------|-----------------------------------------------------------------|
//! | new            | in flight                                                       |
//! | in flight      | gone (committed); delayed, due or dead (handed back)            |
//! | delayed        | due, at its instant                                             |
//! | due            | in flight                                                       |
//! | dead           | gone (taken)                                                    |
//!
//! Invariants, checked by [`State::check`]:
//!
//! 1. new + in flight + delayed + due + dead = filled places: a message keeps its
//!    place until it is committed, or taken as a dead letter;
//! 2. due messages are delivered before new ones, and messages become due in the
//!    order in which they were handed back;
//! 3. as long as a receiver waits, there is no more to deliver than was granted
//!    to receivers that have not noticed yet: so none waits in vain, and no
//!    newcomer passes the line;
//! 4. with no receiver left there is nothing to deliver.

use super::super::places::{Places, Refusal};
use super::{DeadLetter, Redelivery};
use crate::types::time::Time;
use crate::wait::{After, Left, Look, Ticket, WaitQueue};
use std::collections::VecDeque;
use std::task::Waker;

pub(super) struct State<T> {
    pub(super) places: Places,
    rule: Redelivery,
    new: VecDeque<T>,
    in_flight: usize,
    delayed: VecDeque<(Time, Message<T>)>,
    due: VecDeque<Message<T>>,
    dead: VecDeque<DeadLetter<T>>,
    receivers: usize,
    senders_gone: bool,
    /// Receivers that wait for something to be delivered.
    waiting: WaitQueue<()>,
}

/// A message and how often it was delivered.
pub(super) struct Message<T> {
    pub(super) value: T,
    pub(super) attempts: u32,
}

/// What a receiver finds.
#[must_use]
pub(super) enum Taken<T> {
    /// A message, which is in flight now.
    Message(Message<T>),
    /// Nothing yet; something may be due at that instant.
    Empty(Option<Time>),
    /// Nothing yet, and the receiver must bring a waker of its own to wait.
    NeedsWaker,
    /// Nothing, ever again.
    Closed,
}

/// Who can go on, and what is to be dropped, after unlocking.
#[must_use]
pub(super) struct Effects<T> {
    pub(super) wake: Vec<Waker>,
    pub(super) drop: Vec<T>,
}

impl<T> Effects<T> {
    fn none() -> Self {
        let (wake, drop) = (Vec::new(), Vec::new());
        Effects { wake, drop }
    }

    fn wake(wake: impl IntoIterator<Item = Waker>) -> Self {
        let mut effects = Effects::none();
        effects.wake.extend(wake);
        effects
    }
}

impl<T> State<T> {
    /// A queue with one receiver.
    pub(super) fn new(capacity: usize, rule: Redelivery) -> Self {
        State {
            places: Places::new(capacity),
            rule,
            new: VecDeque::new(),
            in_flight: 0,
            delayed: VecDeque::new(),
            due: VecDeque::new(),
            dead: VecDeque::new(),
            receivers: 1,
            senders_gone: false,
            waiting: WaitQueue::new(),
        }
    }

    /// New and due messages.
    pub(super) fn deliverable(&self) -> usize {
        self.new.len() + self.due.len()
    }

    pub(super) fn delayed(&self) -> usize {
        self.delayed.len()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(super) fn dead(&self) -> usize {
        self.dead.len()
    }

    pub(super) fn receivers(&self) -> usize {
        self.receivers
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Fills a free place. The value comes back if there is none.
    pub(super) fn push(&mut self, value: T) -> Result<After, (Refusal, T)> {
        match self.places.fill_free() {
            Ok(()) => {
                self.new.push_back(value);
                Ok(After::wake(self.serve()))
            }
            Err(refusal) => Err((refusal, value)),
        }
    }

    /// Fills a reserved place. The value comes back if nobody will ever receive it.
    pub(super) fn fill(&mut self, value: T) -> Result<After, (T, After)> {
        if self.receivers == 0 {
            return Err((value, After::wake(self.places.release(&mut 1))));
        }
        self.places.fill_reserved();
        self.new.push_back(value);
        Ok(After::wake(self.serve()))
    }

    /// Gives reserved places up.
    pub(super) fn release(&mut self, mut places: usize) -> Effects<T> {
        let mut effects = Effects::none();
        while places > 0 {
            effects.wake.extend(self.places.release(&mut places));
        }
        effects.wake.append(&mut self.finish().wake);
        effects
    }

    /// Grants what is there to the receiver first in line.
    fn serve(&mut self) -> Option<Waker> {
        if self.deliverable() > self.waiting.statistics().granted {
            self.waiting.grant_front()
        } else {
            None
        }
    }

    /// Whether nothing can be received ever again. With the senders gone a place
    /// still reserved belongs to a forgotten permit, which will never be filled.
    fn is_finished(&self) -> bool {
        self.deliverable() + self.delayed.len() + self.in_flight == 0
            && (self.senders_gone || (self.places.is_closed() && self.places.reserved() == 0))
    }

    /// Wakes all receivers if nothing can come any more.
    fn finish(&mut self) -> Effects<T> {
        let mut effects = Effects::none();
        if self.is_finished() {
            self.waiting.take_wakers(&mut effects.wake);
        }
        effects
    }

    /// Lets become due what is due at `now`.
    pub(super) fn ripen(&mut self, now: Time) -> Effects<T> {
        let mut effects = Effects::none();
        while self.delayed.front().is_some_and(|(due, _)| *due <= now) {
            let message = self.delayed.pop_front().map(|(_, message)| message);
            self.due.extend(message);
            effects.wake.extend(self.serve());
        }
        effects
    }

    /// Takes what a newcomer may take: what was not granted to anybody.
    pub(super) fn take(&mut self) -> Taken<T> {
        if self.deliverable() > self.waiting.statistics().granted {
            self.deliver()
        } else if self.is_finished() {
            Taken::Closed
        } else {
            Taken::Empty(self.delayed.front().map(|(due, _)| *due))
        }
    }

    /// Takes a message, or waits for one. A waker that has to be kept is taken
    /// from `fresh`, and one that is replaced is left there.
    pub(super) fn take_or_wait(
        &mut self,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
        fresh: &mut Option<Waker>,
    ) -> Taken<T> {
        if ticket.is_none() {
            let taken = self.take();
            let Taken::Empty(due) = taken else {
                return taken;
            };
            let Some(waker) = fresh.take() else {
                return Taken::NeedsWaker;
            };
            *ticket = Some(self.waiting.push(waker, ()));
            return Taken::Empty(due);
        }
        if let Some(place) = ticket.take_if(|_| self.is_finished()) {
            if let Left::Queued(Some(waker)) = self.waiting.leave(place) {
                *fresh = Some(waker);
            }
            return Taken::Closed;
        }
        match self.waiting.look(ticket, waker, fresh) {
            Look::Granted => self.deliver(),
            Look::Queued => Taken::Empty(self.delayed.front().map(|(due, _)| *due)),
            Look::NeedsWaker => Taken::NeedsWaker,
        }
    }

    /// The next message goes out; the caller has made sure that there is one.
    fn deliver(&mut self) -> Taken<T> {
        let again = self.due.pop_front();
        let mut message = again.unwrap_or_else(|| Message {
            value: self.new.pop_front().expect("a grant stands for a message"),
            attempts: 0,
        });
        message.attempts += 1;
        self.in_flight += 1;
        Taken::Message(message)
    }

    /// A receiver stops waiting; what was granted to it goes to the next.
    pub(super) fn withdraw(&mut self, ticket: Ticket) -> After {
        match self.waiting.leave(ticket) {
            Left::Queued(waker) => After::drop(waker),
            Left::Granted => After::wake(self.serve()),
        }
    }

    /// A message in flight was dealt with.
    pub(super) fn commit(&mut self) -> Effects<T> {
        self.in_flight -= 1;
        let granted = self.places.vacate();
        let mut effects = self.finish();
        effects.wake.extend(granted);
        effects
    }

    /// A message in flight comes back.
    pub(super) fn hand_back(&mut self, message: Message<T>, now: Time) -> Effects<T> {
        self.in_flight -= 1;
        let Message { value, attempts } = message;
        if self.receivers == 0 {
            let mut effects = Effects::wake(self.places.vacate());
            effects.drop.push(value);
            return effects;
        }
        if attempts >= self.rule.max_attempts {
            self.dead.push_back(DeadLetter { value, attempts });
            return self.finish();
        }
        let message = Message { value, attempts };
        if self.rule.delay.is_zero() {
            self.due.push_back(message);
            return Effects::wake(self.serve());
        }
        // Clocks that are read before the lock is taken may be a little out of order.
        let due = now + self.rule.delay;
        let due = self.delayed.back().map_or(due, |(last, _)| due.max(*last));
        let first = self.delayed.is_empty();
        self.delayed.push_back((due, message));
        let mut effects = Effects::none();
        if first {
            // They keep their places, and set an alarm when they look again.
            self.waiting.take_wakers(&mut effects.wake);
        }
        effects
    }

    /// Takes all dead letters; their places go to those in line.
    pub(super) fn take_dead(&mut self, wake: &mut Vec<Waker>) -> VecDeque<DeadLetter<T>> {
        let dead = std::mem::take(&mut self.dead);
        for _ in 0..dead.len() {
            wake.extend(self.places.vacate());
        }
        dead
    }

    /// Gives out no further place. Messages, and places reserved, remain.
    pub(super) fn close(&mut self) -> Effects<T> {
        let mut effects = Effects::none();
        self.places.close(&mut effects.wake);
        effects.wake.append(&mut self.finish().wake);
        effects
    }

    pub(super) fn add_receiver(&mut self) {
        self.receivers += 1;
    }

    /// A receiver goes. The last one takes along what was not delivered.
    pub(super) fn drop_receiver(&mut self) -> Effects<T> {
        self.receivers -= 1;
        if self.receivers > 0 {
            return Effects::none();
        }
        let mut effects = self.close();
        let again = self.due.drain(..);
        effects.drop.extend(again.map(|message| message.value));
        let delayed = self.delayed.drain(..);
        effects
            .drop
            .extend(delayed.map(|(_, message)| message.value));
        effects.drop.extend(self.new.drain(..));
        for _ in 0..effects.drop.len() {
            effects.wake.extend(self.places.vacate());
        }
        effects
    }

    /// The last sender goes.
    pub(super) fn drop_senders(&mut self) -> Effects<T> {
        self.senders_gone = true;
        self.finish()
    }

    /// Panics if an invariant of the module does not hold.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let filled = self.deliverable() + self.delayed.len() + self.in_flight + self.dead.len();
        self.places.check(filled);
        let granted = self.waiting.statistics().granted;
        assert!(granted <= self.deliverable(), "a grant without a message");
        assert!(
            self.waiting.is_empty() || self.deliverable() == granted,
            "a receiver waits although there is something for it"
        );
        assert!(self.delayed.iter().is_sorted_by_key(|(due, _)| *due));
        assert!(self.receivers > 0 || self.deliverable() + self.delayed.len() == 0);
    }
}
