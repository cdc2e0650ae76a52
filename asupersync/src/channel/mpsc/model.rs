//! The rules of `state` against a naive model: lists of names, and wakes counted exactly.
//!
//! The model knows who should be woken by each step. After every step each
//! waker must have been woken exactly as often as the model says: one wake too
//! few is a lost wake, one too many wakes somebody who cannot go on.

use super::super::crowd::wake_all;
use super::super::places::{Gone, Places, Refusal, Waited};
use super::state::{Popped, State};
use crate::wait::counted::Counted;
use crate::wait::{After, Ticket};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::task::Waker;

/// One step; numbers choose among what is alive, modulo its count.
#[derive(Clone, Debug)]
enum Step {
    TrySend,
    TryReserve(usize),
    Wait(usize),
    Poll { who: usize, other_waker: bool },
    Withdraw(usize),
    Fill,
    Release(usize),
    TryRecv,
    Recv { other_waker: bool },
    ForgetRecv,
    Drain,
    Watch,
    Unwatch(usize),
    Close,
    DropReceiver,
    DropSenders,
}

fn step() -> impl Strategy<Value = Step> {
    let n = any::<usize>;
    let places = || prop_oneof![2 => Just(1), 1 => 0..=MOST];
    prop_oneof![
        6 => Just(Step::TrySend),
        3 => places().prop_map(Step::TryReserve),
        6 => places().prop_map(Step::Wait),
        6 => (n(), any::<bool>()).prop_map(|(who, other_waker)| Step::Poll { who, other_waker }),
        3 => n().prop_map(Step::Withdraw),
        4 => Just(Step::Fill),
        3 => (1..=MOST).prop_map(Step::Release),
        5 => Just(Step::TryRecv),
        6 => any::<bool>().prop_map(|other_waker| Step::Recv { other_waker }),
        2 => Just(Step::ForgetRecv),
        1 => Just(Step::Drain),
        1 => Just(Step::Watch),
        1 => n().prop_map(Step::Unwatch),
        1 => Just(Step::Close),
        1 => Just(Step::DropReceiver),
        1 => Just(Step::DropSenders),
    ]
}

/// The largest capacity, and the most that anybody wants at once.
const MOST: usize = 5;

struct Sender {
    name: u64,
    wanted: usize,
    /// How many places it was given. In line it waits for the rest.
    given: usize,
    ticket: Option<Ticket>,
    waker: Counted,
}

impl Sender {
    fn is_granted(&self) -> bool {
        self.given == self.wanted
    }
}

/// The model beside the real thing.
struct Pair {
    state: State<u64>,
    capacity: usize,
    queue: VecDeque<u64>,
    permits: usize,
    /// Everyone who waits, or has all that it wants and has not noticed.
    senders: Vec<Sender>,
    /// The names of those in line.
    line: VecDeque<u64>,
    watchers: Vec<Sender>,
    receiver: Counted,
    receiver_waits: bool,
    closed: bool,
    receiver_gone: bool,
    senders_gone: bool,
    next: u64,
    sent: u64,
    received: u64,
    returned: u64,
    dropped: u64,
}

impl Pair {
    fn new(capacity: usize) -> Self {
        Pair {
            state: State::new(capacity),
            capacity,
            queue: VecDeque::new(),
            permits: 0,
            senders: Vec::new(),
            line: VecDeque::new(),
            watchers: Vec::new(),
            receiver: Counted::new(),
            receiver_waits: false,
            closed: false,
            receiver_gone: false,
            senders_gone: false,
            next: 0,
            sent: 0,
            received: 0,
            returned: 0,
            dropped: 0,
        }
    }

    fn reserved(&self) -> usize {
        self.permits + self.senders.iter().map(|s| s.given).sum::<usize>()
    }

    fn free(&self) -> usize {
        self.capacity - self.queue.len() - self.reserved()
    }

    fn name(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn finished(&self) -> bool {
        self.queue.is_empty() && (self.senders_gone || (self.closed && self.reserved() == 0))
    }

    /// The receiver should be woken, if it waits.
    fn expect_receiver_woken(&mut self) {
        if std::mem::take(&mut self.receiver_waits) {
            self.receiver.expected += 1;
        }
    }

    /// A place became free: the first in line should get it, and be woken if
    /// it was the last that it wants.
    fn expect_grant(&mut self) {
        if self.closed {
            return;
        }
        if let Some(name) = self.line.front() {
            let sender = self.senders.iter_mut().find(|s| s.name == *name).unwrap();
            sender.given += 1;
            if sender.is_granted() {
                sender.waker.expected += 1;
                self.line.pop_front();
            }
        }
    }

    /// So many reserved places were given up.
    fn expect_release(&mut self, places: usize) {
        if places > 0 && self.finished() {
            self.expect_receiver_woken();
        } else {
            (0..places).for_each(|_| self.expect_grant());
        }
    }

    /// Gives so many reserved places up, as the channel does.
    fn release(&mut self, places: usize) {
        let mut left = places;
        let released = self.state.release(&mut left);
        wake_all(released, |batch| self.state.release_more(&mut left, batch));
        assert_eq!(left, 0);
    }

    fn expect_close(&mut self) {
        if !std::mem::replace(&mut self.closed, true) {
            let line = std::mem::take(&mut self.line);
            for s in self.senders.iter_mut().filter(|s| line.contains(&s.name)) {
                s.waker.expected += 1;
            }
            self.watchers.iter_mut().for_each(|w| w.waker.expected += 1);
        }
    }

    fn refusal(&self, wanted: usize) -> Option<Refusal> {
        if self.closed {
            Some(Refusal::Closed)
        } else if self.free() < wanted {
            Some(Refusal::Full)
        } else {
            None
        }
    }

    /// Polls a waiter the way the futures do: a waker is brought only on demand.
    fn wait(
        places: &mut Places,
        s: &mut Sender,
        step: impl Fn(&mut Places, &mut Option<Ticket>, &Waker, &mut Option<Waker>) -> Waited,
    ) -> Waited {
        let mut fresh = None;
        for _ in 0..2 {
            match step(places, &mut s.ticket, &s.waker.waker, &mut fresh) {
                Waited::NeedsWaker => fresh = Some(s.waker.waker.clone()),
                waited => return waited,
            }
        }
        panic!("a waiter that brought a waker is asked for one again");
    }

    fn poll_sender(&mut self, mut s: Sender) {
        let (wanted, new) = (s.wanted, s.ticket.is_none());
        let waited = Self::wait(&mut self.state.places, &mut s, |p, ticket, waker, fresh| {
            p.wait(wanted, ticket, waker, fresh)
        });
        match waited {
            Waited::Granted => {
                assert!(!self.closed);
                if new {
                    assert!(self.free() >= wanted, "a newcomer is granted what is free");
                    assert!(
                        wanted == 0 || self.line.is_empty(),
                        "a newcomer passes nobody"
                    );
                } else {
                    assert!(s.is_granted(), "a waiter is granted in its turn");
                }
                self.permits += wanted;
            }
            Waited::Closed(gone) => {
                assert!(self.closed);
                self.expect_release(s.given);
                self.gone(gone, s.given);
            }
            Waited::Queued => {
                assert!(!self.closed);
                if new {
                    s.given = self.free();
                    assert!(s.given == 0 || self.line.is_empty());
                    self.line.push_back(s.name);
                }
                assert!(!s.is_granted());
                s.waker.check();
                self.senders.push(s);
                return;
            }
            Waited::NeedsWaker => unreachable!(),
        }
        s.waker.check();
    }

    fn gone(&mut self, gone: Gone, given: usize) {
        assert_eq!(gone.places, given, "what it was given it gives back");
        gone.waker.run();
        if given > 0 {
            self.release(given);
        }
    }

    fn newcomer(&mut self, wanted: usize) -> Sender {
        Sender {
            name: self.name(),
            wanted,
            given: 0,
            ticket: None,
            waker: Counted::new(),
        }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::TrySend if !self.senders_gone => {
                let value = self.name();
                match (self.state.push(value), self.refusal(1)) {
                    (Ok(after), None) => {
                        self.queue.push_back(value);
                        self.sent += 1;
                        self.expect_receiver_woken();
                        after.run();
                    }
                    (Err((real, back)), Some(refusal)) => {
                        assert_eq!((real, back), (refusal, value));
                    }
                    (real, model) => panic!("push: {real:?}, model: {model:?}"),
                }
            }
            Step::TryReserve(wanted) if !self.senders_gone => {
                let refusal = self.refusal(wanted);
                assert_eq!(self.state.places.reserve(wanted).err(), refusal);
                let too_many = self.state.places.can_ever_give(wanted).is_err();
                assert_eq!(too_many, wanted > self.capacity);
                assert!(!too_many || refusal.is_some());
                self.permits += if refusal.is_none() { wanted } else { 0 };
            }
            Step::Wait(wanted) if !self.senders_gone && wanted <= self.capacity => {
                let s = self.newcomer(wanted);
                self.poll_sender(s);
            }
            Step::Poll { who, other_waker } if !self.senders.is_empty() => {
                let mut s = self.senders.swap_remove(who % self.senders.len());
                if other_waker {
                    s.waker.check();
                    s.waker = Counted::new();
                }
                self.poll_sender(s);
            }
            Step::Withdraw(who) if !self.senders.is_empty() => {
                let s = self.senders.swap_remove(who % self.senders.len());
                let gone = self.state.places.withdraw(s.wanted, s.ticket.unwrap());
                self.line.retain(|name| *name != s.name);
                self.expect_release(s.given);
                self.gone(gone, s.given);
                s.waker.check();
            }
            Step::Fill if self.permits > 0 => {
                let value = self.name();
                self.permits -= 1;
                self.sent += 1;
                match self.state.fill(value) {
                    Ok(after) => {
                        assert!(!self.receiver_gone);
                        self.queue.push_back(value);
                        self.expect_receiver_woken();
                        after.run();
                    }
                    Err(back) => {
                        assert!(self.receiver_gone && back == value);
                        self.returned += 1;
                    }
                }
            }
            Step::Release(places) if self.permits > 0 => {
                let places = places.min(self.permits);
                self.permits -= places;
                self.expect_release(places);
                self.release(places);
            }
            Step::TryRecv if !self.receiver_gone => {
                let popped = self.state.pop();
                self.expect_pop(popped);
            }
            Step::Recv { other_waker } if !self.receiver_gone => {
                if other_waker {
                    self.receiver.check();
                    self.receiver = Counted::new();
                }
                let mut fresh = None;
                let mut popped = self.state.pop_or_wait(&self.receiver.waker, &mut fresh);
                if matches!(popped, Popped::NeedsWaker) {
                    fresh = Some(self.receiver.waker.clone());
                    popped = self.state.pop_or_wait(&self.receiver.waker, &mut fresh);
                }
                self.receiver_waits = matches!(popped, Popped::Empty);
                self.expect_pop(popped);
            }
            Step::ForgetRecv if !self.receiver_gone => {
                self.receiver_waits = false;
                self.state.forget_receiver().run();
            }
            Step::Drain if !self.receiver_gone => {
                let mut wake = Vec::new();
                let values = self.state.drain(&mut wake);
                assert_eq!(values, self.queue);
                self.received += values.len() as u64;
                self.queue.clear();
                values.iter().for_each(|_| self.expect_grant());
                wake.into_iter().for_each(Waker::wake);
            }
            Step::Watch if !self.senders_gone => {
                let mut w = self.newcomer(0);
                match Self::wait(&mut self.state.places, &mut w, Places::watch) {
                    Waited::Closed(gone) => {
                        assert!(self.closed);
                        self.gone(gone, 0);
                    }
                    Waited::Queued => {
                        assert!(!self.closed);
                        self.watchers.push(w);
                    }
                    other => panic!("a watcher got {other:?}"),
                }
            }
            Step::Unwatch(who) if !self.watchers.is_empty() => {
                let w = self.watchers.swap_remove(who % self.watchers.len());
                self.state.places.unwatch(w.ticket.unwrap()).run();
                w.waker.check();
            }
            Step::Close if !self.receiver_gone => {
                let mut wake = Vec::new();
                self.expect_close();
                self.receiver_waits = false;
                self.state.forget_receiver().run();
                self.state.places.close(&mut wake);
                wake.into_iter().for_each(Waker::wake);
            }
            Step::DropReceiver if !self.receiver_gone => {
                let mut wake = Vec::new();
                self.expect_close();
                let (values, after) = self.state.drop_receiver(&mut wake);
                assert!(matches!(after, After::Drop(_)) == self.receiver_waits);
                assert_eq!(values, self.queue);
                self.dropped += values.len() as u64;
                self.queue.clear();
                self.receiver_gone = true;
                self.receiver_waits = false;
                after.run();
                wake.into_iter().for_each(Waker::wake);
            }
            // Whoever waits or holds a permit keeps its sender alive.
            Step::DropSenders
                if !self.senders_gone
                    && self.permits == 0
                    && self.senders.is_empty()
                    && self.watchers.is_empty() =>
            {
                self.senders_gone = true;
                self.expect_receiver_woken();
                self.state.drop_senders().run();
            }
            _ => {}
        }
    }

    fn expect_pop(&mut self, popped: Popped<u64>) {
        match (popped, self.queue.pop_front()) {
            (Popped::Value(value, after), Some(expected)) => {
                assert_eq!(value, expected, "first in, first out");
                self.received += 1;
                self.expect_grant();
                after.run();
            }
            (Popped::Empty, None) => assert!(!self.finished()),
            (Popped::Closed, None) => assert!(self.finished()),
            (real, model) => panic!("pop: {real:?}, model: {model:?}"),
        }
    }

    fn check(&self) {
        self.state.check();
        assert_eq!(self.state.len(), self.queue.len());
        assert_eq!(self.state.places.reserved(), self.reserved());
        assert_eq!(self.state.places.free(), self.free());
        assert_eq!(self.state.places.is_closed(), self.closed);
        if !self.closed {
            assert_eq!(self.state.places.waiting(), self.line.len());
        }
        self.receiver.check();
        self.senders
            .iter()
            .chain(&self.watchers)
            .for_each(|s| s.waker.check());
        let queued = self.queue.len() as u64;
        assert_eq!(
            self.sent,
            self.received + self.returned + self.dropped + queued
        );
    }

    /// Everyone leaves; nothing may be left behind.
    fn finish(mut self) {
        while !self.senders.is_empty() {
            self.apply(Step::Withdraw(0));
        }
        while self.permits > 0 {
            self.apply(Step::Release(MOST));
        }
        while !self.watchers.is_empty() {
            self.apply(Step::Unwatch(0));
        }
        self.apply(Step::DropSenders);
        while !self.queue.is_empty() {
            self.apply(Step::TryRecv);
        }
        self.check();
        assert_eq!(self.state.places.reserved(), 0);
        assert!(self.receiver_gone || matches!(self.state.pop(), Popped::Closed));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn behaves_like_the_model(
        capacity in 1..=MOST,
        steps in proptest::collection::vec(step(), 0..120),
    ) {
        let mut pair = Pair::new(capacity);
        for step in steps {
            pair.apply(step);
            pair.check();
        }
        pair.finish();
    }
}
