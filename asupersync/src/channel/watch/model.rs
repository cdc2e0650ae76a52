//! The rules of `state` against a naive model: a number that is counted up, and
//! what each receiver has seen of it. Every waker must have been woken exactly
//! as often as the model says.

use super::super::audience::Heard;
use super::super::crowd::wake_all;
use super::state::{Look, State};
use crate::wait::Ticket;
use crate::wait::counted::Counted;
use proptest::prelude::*;

/// One step; numbers choose among those alive, modulo their count.
#[derive(Clone, Debug)]
enum Step {
    Send,
    Replace,
    Look(usize),
    Changed { who: usize, other_waker: bool },
    Forget(usize),
    Subscribe,
    Unsubscribe(usize),
    Watch { who: usize, other_waker: bool },
    Unwatch(usize),
    DropSenders,
}

fn step() -> impl Strategy<Value = Step> {
    let n = any::<usize>;
    let polled = || (n(), any::<bool>());
    prop_oneof![
        6 => Just(Step::Send),
        2 => Just(Step::Replace),
        3 => n().prop_map(Step::Look),
        8 => polled().prop_map(|(who, other_waker)| Step::Changed { who, other_waker }),
        2 => n().prop_map(Step::Forget),
        2 => Just(Step::Subscribe),
        3 => n().prop_map(Step::Unsubscribe),
        4 => polled().prop_map(|(who, other_waker)| Step::Watch { who, other_waker }),
        2 => n().prop_map(Step::Unwatch),
        1 => Just(Step::DropSenders),
    ]
}

struct Waiter {
    seen: u64,
    ticket: Option<Ticket>,
    waker: Counted,
    waits: bool,
}

impl Waiter {
    fn new(seen: u64) -> Self {
        Waiter {
            seen,
            ticket: None,
            waker: Counted::new(),
            waits: false,
        }
    }

    fn expect_woken(&mut self) {
        if std::mem::take(&mut self.waits) {
            self.waker.expected += 1;
        }
    }

    fn rebind(&mut self, other_waker: bool) {
        if other_waker {
            self.waker.check();
            self.waker = Counted::new();
        }
    }
}

/// The model beside the real thing.
struct Pair {
    state: State<u64>,
    version: u64,
    receivers: Vec<Waiter>,
    /// As many as there are senders, in any number.
    watchers: Vec<Waiter>,
    senders_gone: bool,
}

impl Pair {
    fn new() -> Self {
        Pair {
            state: State::new(0),
            version: 0,
            receivers: vec![Waiter::new(0)],
            watchers: (0..3).map(|_| Waiter::new(0)).collect(),
            senders_gone: false,
        }
    }

    fn apply(&mut self, step: Step) {
        let state = &mut self.state;
        let (alive, watching) = (self.receivers.len().max(1), self.watchers.len());
        match step {
            Step::Send if !self.senders_gone => match state.send(self.version + 1) {
                Err(back) => assert!(self.receivers.is_empty() && back == self.version + 1),
                Ok((old, woken)) => {
                    assert_eq!(old.into_value(), self.version);
                    self.version += 1;
                    self.receivers.iter_mut().for_each(Waiter::expect_woken);
                    wake_all(woken, |batch| state.wake_more(batch));
                }
            },
            Step::Replace if !self.senders_gone => {
                let (seen, _) = state.view();
                let (old, woken) = state.replace(self.version + 1);
                assert_eq!(*old.value(), self.version);
                let late = state.replace_seen(&seen, 99).err();
                assert_eq!(late, Some(99), "another sender was faster");
                self.version += 1;
                self.receivers.iter_mut().for_each(Waiter::expect_woken);
                wake_all(woken, |batch| state.wake_more(batch));
            }
            Step::Look(who) if !self.receivers.is_empty() => {
                let r = &mut self.receivers[who % alive];
                let fresh = r.seen != self.version;
                let look = state.look(&mut r.seen);
                assert_eq!(look == Look::Changed, fresh);
                assert_eq!(look == Look::Closed, !fresh && self.senders_gone);
            }
            Step::Changed { who, other_waker } if !self.receivers.is_empty() => {
                let r = &mut self.receivers[who % alive];
                r.rebind(other_waker);
                let changed = r.seen != self.version;
                let mut fresh = None;
                let waker = &r.waker.waker;
                let mut look = state.look_or_wait(&mut r.seen, &mut r.ticket, waker, &mut fresh);
                if look == Look::NeedsWaker {
                    fresh = Some(waker.clone());
                    look = state.look_or_wait(&mut r.seen, &mut r.ticket, waker, &mut fresh);
                }
                let expected = match (changed, self.senders_gone) {
                    (true, _) => Look::Changed,
                    (false, true) => Look::Closed,
                    (false, false) => Look::Same,
                };
                r.waits = look == Look::Same;
                assert_eq!(look, expected);
                assert_eq!(r.seen, self.version);
                assert_eq!(r.ticket.is_some(), r.waits, "who has an answer has left");
            }
            Step::Forget(who) if !self.receivers.is_empty() => {
                let r = &mut self.receivers[who % alive];
                let waker = state.forget(&mut r.ticket);
                assert_eq!(waker.is_some(), std::mem::take(&mut r.waits));
            }
            Step::Subscribe => self.receivers.push(Waiter::new(state.subscribe())),
            Step::Unsubscribe(who) if !self.receivers.is_empty() => {
                let mut r = self.receivers.swap_remove(who % alive);
                drop(state.forget(&mut r.ticket));
                if self.receivers.is_empty() {
                    self.watchers.iter_mut().for_each(Waiter::expect_woken);
                }
                let woken = state.audience().leave();
                wake_all(woken, |batch| state.audience().desert_more(batch));
                r.waker.check();
            }
            Step::Watch { who, other_waker } if !self.senders_gone => {
                let w = &mut self.watchers[who % watching];
                w.rebind(other_waker);
                let mut fresh = None;
                let waker = &w.waker.waker;
                let mut deserted =
                    state
                        .audience()
                        .deserted_or_wait(&mut w.ticket, waker, &mut fresh);
                if deserted.is_none() {
                    fresh = Some(waker.clone());
                    deserted = state
                        .audience()
                        .deserted_or_wait(&mut w.ticket, waker, &mut fresh);
                }
                assert_eq!(deserted, Some(self.receivers.is_empty()));
                w.waits = deserted == Some(false);
                assert_eq!(w.ticket.is_some(), w.waits, "who has an answer has left");
            }
            Step::Unwatch(who) => {
                let w = &mut self.watchers[who % watching];
                let waker = state.audience().unwatch(&mut w.ticket);
                assert_eq!(waker.is_some(), std::mem::take(&mut w.waits));
            }
            // Whoever watches is a sender.
            Step::DropSenders if !self.senders_gone && self.watchers.iter().all(|w| !w.waits) => {
                self.senders_gone = true;
                self.receivers.iter_mut().for_each(Waiter::expect_woken);
                let woken = state.audience().end();
                wake_all(woken, |batch| state.audience().end_more(batch));
            }
            _ => {}
        }
    }

    fn check(&self) {
        let seen: Vec<u64> = self.receivers.iter().map(|r| r.seen).collect();
        self.state.check(&seen);
        assert_eq!(self.state.version(), self.version);
        assert_eq!(*self.state.view().0.value(), self.version);
        let waiting = self.receivers.iter().filter(|r| r.waits).count();
        assert_eq!(self.state.waiting(), waiting);
        let all = self.receivers.iter().chain(&self.watchers);
        all.for_each(|w| w.waker.check());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn behaves_like_the_model(steps in proptest::collection::vec(step(), 0..150)) {
        let mut pair = Pair::new();
        for step in steps {
            pair.apply(step);
            pair.check();
        }
    }
}
