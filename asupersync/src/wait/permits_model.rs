//! Permits against a model: a number and a list of who waits for how many.

use super::counted::Counted;
use super::{Permits, Refusal, Ticket};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::task::{Poll, Waker};

/// One step; numbers choose among the waiters alive, modulo their count.
#[derive(Clone, Debug)]
enum Step {
    Try(usize),
    Wait(usize),
    Poll(usize),
    Leave(usize),
    Release(usize),
    Add(usize),
    Forget(usize),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..4usize).prop_map(Step::Try),
        6 => (0..6usize).prop_map(Step::Wait),
        4 => any::<usize>().prop_map(Step::Poll),
        3 => any::<usize>().prop_map(Step::Leave),
        6 => (1..5usize).prop_map(Step::Release),
        1 => (0..3usize).prop_map(Step::Add),
        1 => (0..3usize).prop_map(Step::Forget),
    ]
}

/// Steps, and after which of them the permits are closed, if at all.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let steps = proptest::collection::vec(step(), 0..120);
    (steps, proptest::option::weighted(0.3, 0..120usize)).prop_map(|(mut steps, close)| {
        if let Some(at) = close {
            steps.insert(at.min(steps.len()), Step::Close);
        }
        steps
    })
}

/// A waiter of the model and its real counterpart.
struct Waiter {
    name: usize,
    want: usize,
    ticket: Option<Ticket>,
    waker: Counted,
    granted: bool,
}

#[derive(Default)]
struct Model {
    free: usize,
    held: usize,
    closed: bool,
    line: VecDeque<(usize, usize)>,
}

impl Model {
    /// Grants in order for as long as there is enough; tells who.
    fn grant(&mut self) -> Vec<usize> {
        let mut granted = Vec::new();
        while let Some(&(name, want)) = self.line.front()
            && !self.closed
            && self.free >= want
        {
            self.free -= want;
            self.held += want;
            self.line.pop_front();
            granted.push(name);
        }
        granted
    }

    fn admit(&mut self, n: usize) -> Result<(), Refusal> {
        if self.closed {
            Err(Refusal::Closed)
        } else if !self.line.is_empty() || self.free < n {
            Err(Refusal::Taken)
        } else {
            self.free -= n;
            self.held += n;
            Ok(())
        }
    }
}

fn woken(waiter: &Waiter) -> bool {
    waiter.waker.woken() > 0
}

proptest! {
    /// No permit is lost or doubled, no wake is lost, nobody is passed.
    #[test]
    fn permits_behave_like_a_number_and_a_list(start in 0..4usize, steps in steps()) {
        let permits = Permits::new(start);
        let mut model = Model { free: start, ..Model::default() };
        let mut total = start;
        let mut waiters: Vec<Waiter> = Vec::new();
        for (name, step) in steps.into_iter().enumerate() {
            let mut granted = Vec::new();
            match step {
                Step::Try(n) => prop_assert_eq!(permits.try_acquire(n), model.admit(n)),
                Step::Wait(want) => {
                    let waker = Counted::new();
                    let mut ticket = None;
                    let found = permits.poll_acquire(want, &mut ticket, &waker.waker);
                    match model.admit(want) {
                        Ok(()) => prop_assert_eq!(found, Poll::Ready(Ok(()))),
                        Err(Refusal::Closed) => prop_assert_eq!(found, Poll::Ready(Err(Refusal::Closed))),
                        Err(Refusal::Taken) => {
                            prop_assert_eq!(found, Poll::Pending);
                            model.line.push_back((name, want));
                            waiters.push(Waiter { name, want, ticket, waker, granted: false });
                        }
                    }
                }
                Step::Poll(_) | Step::Leave(_) if waiters.is_empty() => {}
                Step::Poll(who) => {
                    let at = who % waiters.len();
                    let waiter = &mut waiters[at];
                    let found = permits.poll_acquire(waiter.want, &mut waiter.ticket, &waiter.waker.waker);
                    let expected = match (waiter.granted, model.closed) {
                        (true, _) => Poll::Ready(Ok(())),
                        (false, true) => Poll::Ready(Err(Refusal::Closed)),
                        (false, false) => Poll::Pending,
                    };
                    prop_assert_eq!(found, expected);
                    if found.is_ready() {
                        let gone = waiters.swap_remove(at);
                        prop_assert!(gone.ticket.is_none());
                        model.line.retain(|(name, _)| *name != gone.name);
                    }
                }
                Step::Leave(who) => {
                    let gone = waiters.swap_remove(who % waiters.len());
                    permits.withdraw(gone.want, gone.ticket.unwrap(), Waker::wake);
                    if gone.granted {
                        model.held -= gone.want;
                        model.free += gone.want;
                    } else {
                        model.line.retain(|(name, _)| *name != gone.name);
                    }
                    granted = model.grant();
                }
                Step::Release(n) => {
                    // What waiters were granted is not ours to give back.
                    let theirs: usize = waiters.iter().filter(|w| w.granted).map(|w| w.want).sum();
                    let n = n.min(model.held - theirs);
                    permits.release(n, Waker::wake);
                    model.held -= n;
                    model.free += n;
                    granted = model.grant();
                }
                Step::Add(n) => {
                    permits.release(n, Waker::wake);
                    total += n;
                    model.free += n;
                    granted = model.grant();
                }
                Step::Forget(n) => {
                    let gone = n.min(model.free);
                    prop_assert_eq!(permits.forget(n), gone);
                    total -= gone;
                    model.free -= gone;
                }
                Step::Close => {
                    permits.close(Waker::wake);
                    model.closed = true;
                    for waiter in &waiters {
                        prop_assert!(woken(waiter), "closing wakes everyone");
                    }
                }
            }
            for waiter in &mut waiters {
                waiter.granted |= granted.contains(&waiter.name);
                prop_assert_eq!(woken(waiter), waiter.granted || model.closed, "woken for a reason");
            }
            prop_assert_eq!(permits.free(), model.free);
            prop_assert_eq!(model.free + model.held, total);
            prop_assert_eq!(permits.statistics().waiting, model.line.len());
            prop_assert_eq!(permits.while_held(|| ()).is_some(), !model.line.is_empty());
        }
    }
}

#[test]
fn a_release_wakes_more_than_one_batch() {
    let permits = Permits::new(0);
    let waker = Counted::new();
    let mut tickets: Vec<Option<Ticket>> = (0..50).map(|_| None).collect();
    for ticket in &mut tickets {
        assert!(permits.poll_acquire(1, ticket, &waker.waker).is_pending());
    }
    permits.release(49, Waker::wake);
    assert_eq!(waker.woken(), 49);
    let granted = |t: &mut Option<Ticket>| permits.poll_acquire(1, t, &waker.waker).is_ready();
    assert_eq!(
        tickets
            .iter_mut()
            .filter_map(|t| granted(t).then_some(()))
            .count(),
        49
    );
    assert!(tickets[49].is_some(), "the last in line still waits");
}
