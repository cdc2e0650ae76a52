//! The rules of `state` against a naive model: lists of messages, and wakes
//! counted exactly.

use super::super::places::Refusal;
use super::Redelivery;
use super::state::{Effects, Message, State, Taken};
use crate::types::time::Time;
use crate::wait::Ticket;
use crate::wait::counted::Counted;
use proptest::prelude::*;
use std::collections::{HashMap, VecDeque};
use std::task::Waker;
use std::time::Duration;

/// One step; numbers choose among what is alive, modulo its count.
#[derive(Clone, Debug)]
enum Step {
    Push,
    Reserve,
    Fill,
    Release,
    TryTake,
    Wait,
    Poll { who: usize, other_waker: bool },
    Withdraw(usize),
    Commit(usize),
    HandBack(usize),
    Tick(u8),
    TakeDead,
    Close,
    DropReceivers,
    DropSenders,
}

fn step() -> impl Strategy<Value = Step> {
    let n = any::<usize>;
    prop_oneof![
        8 => Just(Step::Push),
        2 => Just(Step::Reserve),
        2 => Just(Step::Fill),
        1 => Just(Step::Release),
        4 => Just(Step::TryTake),
        6 => Just(Step::Wait),
        8 => (n(), any::<bool>()).prop_map(|(who, other_waker)| Step::Poll { who, other_waker }),
        3 => n().prop_map(Step::Withdraw),
        4 => n().prop_map(Step::Commit),
        6 => n().prop_map(Step::HandBack),
        5 => (0..4u8).prop_map(Step::Tick),
        2 => Just(Step::TakeDead),
        1 => Just(Step::Close),
        1 => Just(Step::DropReceivers),
        1 => Just(Step::DropSenders),
    ]
}

struct Waiter {
    ticket: Option<Ticket>,
    waker: Counted,
    /// Whether the queue has its waker.
    asleep: bool,
    granted: bool,
}

/// The model beside the real thing.
struct Pair {
    state: State<u64>,
    rule: Redelivery,
    capacity: usize,
    now: Time,
    /// The names of the messages, by where they are.
    new: VecDeque<u64>,
    delayed: VecDeque<(Time, u64)>,
    due: VecDeque<u64>,
    flight: Vec<Message<u64>>,
    dead: Vec<u64>,
    attempts: HashMap<u64, u32>,
    permits: usize,
    /// In the order of the line.
    waiters: Vec<Waiter>,
    closed: bool,
    receivers_gone: bool,
    senders_gone: bool,
    names: u64,
    /// Committed, taken as dead letters, or dropped with the receivers.
    gone: u64,
}

impl Pair {
    fn new(capacity: usize, rule: Redelivery) -> Self {
        Pair {
            state: State::new(capacity, rule),
            rule,
            capacity,
            now: Time::ZERO,
            new: VecDeque::new(),
            delayed: VecDeque::new(),
            due: VecDeque::new(),
            flight: Vec::new(),
            dead: Vec::new(),
            attempts: HashMap::new(),
            permits: 0,
            waiters: Vec::new(),
            closed: false,
            receivers_gone: false,
            senders_gone: false,
            names: 0,
            gone: 0,
        }
    }

    fn deliverable(&self) -> usize {
        self.new.len() + self.due.len()
    }

    fn held(&self) -> usize {
        self.deliverable() + self.delayed.len() + self.flight.len() + self.dead.len()
    }

    fn granted(&self) -> usize {
        self.waiters.iter().filter(|w| w.granted).count()
    }

    fn refusal(&self) -> Option<Refusal> {
        if self.closed {
            Some(Refusal::Closed)
        } else if self.held() + self.permits == self.capacity {
            Some(Refusal::Full)
        } else {
            None
        }
    }

    fn finished(&self) -> bool {
        self.deliverable() + self.delayed.len() + self.flight.len() == 0
            && (self.senders_gone || (self.closed && self.permits == 0))
    }

    fn wake(w: &mut Waiter) {
        if std::mem::take(&mut w.asleep) {
            w.waker.expected += 1;
        }
    }

    fn expect_served(&mut self) {
        if self.deliverable() > self.granted()
            && let Some(first) = self.waiters.iter_mut().find(|w| !w.granted)
        {
            first.granted = true;
            Self::wake(first);
        }
    }

    fn expect_all_woken(&mut self) {
        self.waiters
            .iter_mut()
            .filter(|w| !w.granted)
            .for_each(Self::wake);
    }

    fn expect_finish(&mut self) {
        if self.finished() {
            self.expect_all_woken();
        }
    }

    fn run(effects: Effects<u64>) -> Vec<u64> {
        effects.wake.into_iter().for_each(Waker::wake);
        effects.drop
    }

    /// What somebody who is entitled to it gets.
    fn expect_message(&mut self, message: Message<u64>) {
        let expected = self.due.pop_front().or_else(|| self.new.pop_front());
        assert_eq!(Some(message.value), expected, "due before new, in order");
        let attempts = self.attempts.entry(message.value).or_default();
        *attempts += 1;
        assert_eq!(message.attempts, *attempts);
        self.flight.push(message);
    }

    fn expect_taken(&mut self, taken: Taken<u64>, entitled: bool) {
        match taken {
            Taken::Message(message) => {
                assert!(entitled, "a newcomer passed the line");
                self.expect_message(message);
            }
            Taken::Empty(due) => {
                assert!(!entitled && !self.finished());
                assert_eq!(due, self.delayed.front().map(|(due, _)| *due));
            }
            Taken::Closed => assert!(self.finished()),
            Taken::NeedsWaker => panic!("a waker was brought"),
        }
    }

    /// Polls a waiter that is not in the list; puts it back at `at` if it still waits.
    fn poll(&mut self, at: usize, mut w: Waiter) {
        let entitled = w.granted || (w.ticket.is_none() && self.deliverable() > self.granted());
        let mut fresh = None;
        let mut taken = self
            .state
            .take_or_wait(&mut w.ticket, &w.waker.waker, &mut fresh);
        if matches!(taken, Taken::NeedsWaker) {
            fresh = Some(w.waker.waker.clone());
            taken = self
                .state
                .take_or_wait(&mut w.ticket, &w.waker.waker, &mut fresh);
        }
        let waits = matches!(taken, Taken::Empty(_));
        assert_eq!(w.ticket.is_some(), waits, "who has an answer has left");
        self.expect_taken(taken, entitled);
        w.waker.check();
        if waits {
            w.asleep = true;
            self.waiters.insert(at, w);
        }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Push if !self.senders_gone => {
                let name = self.names;
                match (self.state.push(name), self.refusal()) {
                    (Ok(after), None) => {
                        self.names += 1;
                        self.new.push_back(name);
                        self.expect_served();
                        after.run();
                    }
                    (Err((real, back)), Some(model)) => assert_eq!((real, back), (model, name)),
                    (_, model) => panic!("push, model: {model:?}"),
                }
            }
            Step::Reserve if !self.senders_gone => {
                let refusal = self.refusal();
                assert_eq!(self.state.places.reserve(1).err(), refusal);
                self.permits += usize::from(refusal.is_none());
            }
            Step::Fill if self.permits > 0 => {
                let name = self.names;
                self.permits -= 1;
                match self.state.fill(name) {
                    Ok(after) => {
                        assert!(!self.receivers_gone);
                        self.names += 1;
                        self.new.push_back(name);
                        self.expect_served();
                        after.run();
                    }
                    Err((back, after)) => {
                        assert!(self.receivers_gone && back == name);
                        after.run();
                    }
                }
            }
            Step::Release if self.permits > 0 => {
                self.permits -= 1;
                self.expect_finish();
                Self::run(self.state.release(1));
            }
            Step::TryTake if !self.receivers_gone => {
                let entitled = self.deliverable() > self.granted();
                let taken = self.state.take();
                self.expect_taken(taken, entitled);
            }
            Step::Wait if !self.receivers_gone => {
                let w = Waiter {
                    ticket: None,
                    waker: Counted::new(),
                    asleep: false,
                    granted: false,
                };
                self.poll(self.waiters.len(), w);
            }
            Step::Poll { who, other_waker } if !self.waiters.is_empty() => {
                let at = who % self.waiters.len();
                let mut w = self.waiters.remove(at);
                if other_waker {
                    w.waker.check();
                    w.waker = Counted::new();
                }
                self.poll(at, w);
            }
            Step::Withdraw(who) if !self.waiters.is_empty() => {
                let w = self.waiters.remove(who % self.waiters.len());
                if w.granted {
                    self.expect_served();
                }
                self.state.withdraw(w.ticket.unwrap()).run();
                w.waker.check();
            }
            Step::Commit(which) if !self.flight.is_empty() => {
                self.flight.swap_remove(which % self.flight.len());
                self.gone += 1;
                self.expect_finish();
                Self::run(self.state.commit());
            }
            Step::HandBack(which) if !self.flight.is_empty() => {
                let message = self.flight.swap_remove(which % self.flight.len());
                let (name, attempts) = (message.value, message.attempts);
                let effects = self.state.hand_back(message, self.now);
                if self.receivers_gone {
                    self.gone += 1;
                    assert_eq!(effects.drop, [name]);
                } else if attempts >= self.rule.max_attempts {
                    self.dead.push(name);
                    self.expect_finish();
                } else if self.rule.delay.is_zero() {
                    self.due.push_back(name);
                    self.expect_served();
                } else {
                    self.delayed.push_back((self.now + self.rule.delay, name));
                    if self.delayed.len() == 1 {
                        // To set their alarms.
                        self.expect_all_woken();
                    }
                }
                Self::run(effects);
            }
            Step::Tick(n) => {
                self.now = self.now + Duration::from_secs(u64::from(n));
                while self
                    .delayed
                    .front()
                    .is_some_and(|(due, _)| *due <= self.now)
                {
                    self.due
                        .extend(self.delayed.pop_front().map(|(_, name)| name));
                    self.expect_served();
                }
                Self::run(self.state.ripen(self.now));
            }
            Step::TakeDead => {
                let mut wake = Vec::new();
                let dead = self.state.take_dead(&mut wake);
                for (letter, name) in dead.iter().zip(&self.dead) {
                    assert_eq!(
                        (letter.value, letter.attempts),
                        (*name, self.rule.max_attempts)
                    );
                }
                assert_eq!(dead.len(), self.dead.len());
                self.gone += self.dead.len() as u64;
                self.dead.clear();
            }
            Step::Close if !self.receivers_gone => {
                self.closed = true;
                self.expect_finish();
                Self::run(self.state.close());
            }
            // Whoever waits keeps its receiver alive.
            Step::DropReceivers if !self.receivers_gone && self.waiters.is_empty() => {
                self.receivers_gone = true;
                self.closed = true;
                let delayed = self.delayed.drain(..).map(|(_, name)| name);
                let left: Vec<u64> = self
                    .due
                    .drain(..)
                    .chain(delayed)
                    .chain(self.new.drain(..))
                    .collect();
                self.gone += left.len() as u64;
                assert_eq!(Self::run(self.state.drop_receiver()), left);
            }
            Step::DropSenders if !self.senders_gone && self.permits == 0 => {
                self.senders_gone = true;
                self.expect_finish();
                Self::run(self.state.drop_senders());
            }
            _ => {}
        }
    }

    fn check(&self) {
        self.state.check();
        assert_eq!(self.state.deliverable(), self.deliverable());
        assert_eq!(self.state.delayed(), self.delayed.len());
        assert_eq!(self.state.in_flight(), self.flight.len());
        assert_eq!(self.state.dead(), self.dead.len());
        assert_eq!(self.state.places.reserved(), self.permits);
        assert_eq!(self.names, self.gone + self.held() as u64, "none is lost");
        self.waiters.iter().for_each(|w| w.waker.check());
        let waiting = self.waiters.iter().filter(|w| !w.granted).count();
        assert_eq!(self.state.waiting(), waiting);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn behaves_like_the_model(
        capacity in 1..5usize,
        max_attempts in 1..4u32,
        delay in 0..3u64,
        steps in proptest::collection::vec(step(), 0..150),
    ) {
        let delay = Duration::from_secs(delay);
        let mut pair = Pair::new(capacity, Redelivery { max_attempts, delay });
        for step in steps {
            pair.apply(step);
            pair.check();
        }
    }
}
