//! The rules of `state` against a naive model: everything that was ever sent, and
//! one cursor per receiver. Every waker must have been woken exactly as often as
//! the model says.

use super::super::audience::Heard;
use super::super::crowd::wake_all;
use super::state::{Read, State};
use crate::wait::Ticket;
use crate::wait::counted::Counted;
use proptest::prelude::*;

/// One step; numbers choose among the receivers alive, modulo their count.
#[derive(Clone, Debug)]
enum Step {
    Send,
    Try(usize),
    Recv { who: usize, other_waker: bool },
    Forget(usize),
    Subscribe,
    Unsubscribe(usize),
    DropSenders,
}

fn step() -> impl Strategy<Value = Step> {
    let n = any::<usize>;
    prop_oneof![
        8 => Just(Step::Send),
        4 => n().prop_map(Step::Try),
        8 => (n(), any::<bool>()).prop_map(|(who, other_waker)| Step::Recv { who, other_waker }),
        2 => n().prop_map(Step::Forget),
        3 => Just(Step::Subscribe),
        2 => n().prop_map(Step::Unsubscribe),
        1 => Just(Step::DropSenders),
    ]
}

struct Reader {
    /// The real cursor, and the model's.
    cursor: u64,
    at: usize,
    ticket: Option<Ticket>,
    waker: Counted,
    waits: bool,
}

impl Reader {
    fn new(cursor: u64, at: usize) -> Self {
        Reader {
            cursor,
            at,
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
}

/// What a receiver finds, said by the model and by the real thing.
#[derive(PartialEq, Eq, Debug)]
enum Found {
    Value(u64),
    Lagged(u64),
    Empty,
    Closed,
}

fn found(read: Read<u64>) -> Found {
    match read {
        Read::Last(value) => Found::Value(value.into_value()),
        Read::Value(view) => Found::Value(*view.value()),
        Read::Lagged(n) => Found::Lagged(n),
        Read::Empty => Found::Empty,
        Read::Closed => Found::Closed,
        Read::NeedsWaker => unreachable!("a waker was brought"),
    }
}

/// The model beside the real thing.
struct Pair {
    state: State<u64>,
    capacity: usize,
    /// Everything ever sent, by position.
    sent: Vec<u64>,
    readers: Vec<Reader>,
    senders_gone: bool,
}

impl Pair {
    fn new(capacity: usize) -> Self {
        Pair {
            state: State::new(capacity),
            capacity,
            sent: Vec::new(),
            readers: vec![Reader::new(0, 0)],
            senders_gone: false,
        }
    }

    /// What the model's receiver finds.
    fn expect(sent: &[u64], capacity: usize, senders_gone: bool, at: &mut usize) -> Found {
        let oldest = sent.len().saturating_sub(capacity);
        if *at < oldest {
            let missed = oldest - *at;
            *at = oldest;
            return Found::Lagged(missed as u64);
        }
        match sent.get(*at) {
            Some(value) => {
                *at += 1;
                Found::Value(*value)
            }
            None if senders_gone => Found::Closed,
            None => Found::Empty,
        }
    }

    fn apply(&mut self, step: Step) {
        let Pair {
            state,
            capacity,
            sent,
            readers,
            senders_gone,
        } = self;
        let alive = readers.len().max(1);
        match step {
            Step::Send if !*senders_gone => {
                let value = sent.len() as u64 * 10;
                match state.send(value) {
                    Err(back) => assert!(readers.is_empty() && back == value),
                    Ok((receivers, _, woken)) => {
                        assert_eq!(receivers, readers.len());
                        sent.push(value);
                        readers.iter_mut().for_each(Reader::expect_woken);
                        wake_all(woken, |batch| state.wake_more(batch));
                    }
                }
            }
            Step::Try(who) if !readers.is_empty() => {
                let r = &mut readers[who % alive];
                let expected = Self::expect(sent, *capacity, *senders_gone, &mut r.at);
                assert_eq!(found(state.read(&mut r.cursor)), expected);
            }
            Step::Recv { who, other_waker } if !readers.is_empty() => {
                let r = &mut readers[who % alive];
                if other_waker {
                    r.waker.check();
                    r.waker = Counted::new();
                }
                let expected = Self::expect(sent, *capacity, *senders_gone, &mut r.at);
                let mut fresh = None;
                let mut read =
                    state.read_or_wait(&mut r.cursor, &mut r.ticket, &r.waker.waker, &mut fresh);
                if matches!(read, Read::NeedsWaker) {
                    fresh = Some(r.waker.waker.clone());
                    read = state.read_or_wait(
                        &mut r.cursor,
                        &mut r.ticket,
                        &r.waker.waker,
                        &mut fresh,
                    );
                }
                let real = found(read);
                r.waits = real == Found::Empty;
                assert_eq!(real, expected);
                assert_eq!(r.ticket.is_some(), r.waits, "who has an answer has left");
            }
            Step::Forget(who) if !readers.is_empty() => {
                let r = &mut readers[who % alive];
                let waker = state.forget(&mut r.ticket);
                assert_eq!(waker.is_some(), std::mem::take(&mut r.waits));
            }
            Step::Subscribe if !*senders_gone => {
                readers.push(Reader::new(state.subscribe(), sent.len()));
            }
            Step::Unsubscribe(who) if !readers.is_empty() => {
                let mut r = readers.swap_remove(who % alive);
                drop(state.forget(&mut r.ticket));
                let oldest = sent.len().saturating_sub(*capacity);
                let others = readers.iter().map(|o| o.at).min().unwrap_or(usize::MAX);
                let only_his = r.at.max(oldest)..sent.len().min(others.max(oldest));
                let (unread, woken) = state.unsubscribe(r.cursor);
                assert_eq!(unread.len(), only_his.len());
                wake_all(woken, |batch| state.audience().desert_more(batch));
                r.waker.check();
            }
            Step::DropSenders if !*senders_gone => {
                *senders_gone = true;
                readers.iter_mut().for_each(Reader::expect_woken);
                let woken = state.audience().end();
                wake_all(woken, |batch| state.audience().end_more(batch));
            }
            _ => {}
        }
    }

    fn check(&self) {
        let cursors: Vec<u64> = self.readers.iter().map(|r| r.cursor).collect();
        self.state.check(&cursors);
        for r in &self.readers {
            assert_eq!(r.cursor, r.at as u64);
            r.waker.check();
        }
        let waiting = self.readers.iter().filter(|r| r.waits).count();
        assert_eq!(self.state.waiting(), waiting);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn behaves_like_the_model(
        capacity in 1..5usize,
        steps in proptest::collection::vec(step(), 0..150),
    ) {
        let mut pair = Pair::new(capacity);
        for step in steps {
            pair.apply(step);
            pair.check();
        }
        while !pair.readers.is_empty() {
            pair.apply(Step::Unsubscribe(0));
        }
        pair.check();
        prop_assert_eq!(pair.state.queued(), 0);
    }
}

#[test]
fn a_crowd_larger_than_a_batch_is_woken_whole() {
    let mut pair = Pair::new(2);
    for _ in 0..100 {
        pair.apply(Step::Subscribe);
    }
    for who in 0..101 {
        let other_waker = false;
        pair.apply(Step::Recv { who, other_waker });
    }
    pair.check();
    pair.apply(Step::Send);
    pair.check();
    assert!(pair.readers.iter().all(|r| r.waker.expected == 1));
}
