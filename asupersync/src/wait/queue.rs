//! The wait queue: a doubly linked list of waiters inside a generational arena.
//!
//! A waiter is in one of two states, and leaves from either:
//!
//! | state   | set by                       | left by                                     |
//! |---------|------------------------------|---------------------------------------------|
//! | Queued  | [`WaitQueue::push`]          | [`WaitQueue::grant_front`], [`WaitQueue::leave`] |
//! | Granted | [`WaitQueue::grant_front`]   | [`WaitQueue::poll`], [`WaitQueue::leave`]   |
//!
//! Invariants:
//!
//! 1. [`WaitQueue::grant_front`] grants in the order of `push`, whatever left in between;
//! 2. a waiter is granted at most once, and a grant is seen at most once: by
//!    `poll` as [`Turn::Granted`] or by `leave` as [`Left::Granted`];
//! 3. the list holds exactly the queued waiters, linked both ways;
//! 4. a granted waiter holds no waker: it went to whoever granted;
//! 5. nothing allocates once the arena has grown to the largest number of
//!    waiters there ever was at one time.

use crate::types::slots::{Key, Slots};
use std::fmt;
use std::task::Waker;

/// A place in a [`WaitQueue`]: obtained by `push`, given back by `poll` or `leave`.
///
/// It is neither `Copy` nor `Clone`, so a place cannot be given back twice.
#[derive(PartialEq, Eq, Debug)]
#[must_use = "a place in line that is not given back blocks those behind it"]
pub struct Ticket(Key);

/// What a waiter that was polled finds out.
#[derive(PartialEq, Eq, Debug)]
#[must_use]
pub enum Turn {
    /// It was granted, and has left the queue: the ticket is used up.
    Granted,
    /// It is still in line, and its waker is the current one.
    Queued(Ticket),
    /// It is still in line, but with another waker: unlock, clone the current
    /// one, lock again, and [`WaitQueue::update`].
    Rebind(Ticket),
}

/// What a waiter finds that keeps its ticket at hand: see [`WaitQueue::look`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Look {
    /// It was granted, and has left the queue: the ticket is used up.
    Granted,
    /// It is in line, with its current waker.
    Queued,
    /// It is in line, and must bring a waker of its own: unlock, clone it, and look again.
    NeedsWaker,
}

/// What a waiter that left before its turn gave up.
#[derive(Debug)]
#[must_use = "a grant must be passed on, and a waker dropped after unlocking"]
pub enum Left {
    /// Its place in line. The waker is handed out to be dropped after unlocking;
    /// there is none after [`WaitQueue::take_wakers`].
    Queued(Option<Waker>),
    /// Something it was granted and never used: the caller passes it on.
    Granted,
}

/// How busy a queue is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Waiters in line.
    pub waiting: usize,
    /// Waiters that were granted and have not noticed yet.
    pub granted: usize,
    /// The largest number that was ever in line at one time.
    pub longest: usize,
}

/// Who waits for a primitive, first come first served.
///
/// `W` says what a waiter wants, for instance how many permits; it should be
/// plain data, since it is dropped under the primitive's lock.
pub struct WaitQueue<W> {
    waiters: Slots<Waiter<W>>,
    front: Option<Key>,
    back: Option<Key>,
    waiting: usize,
    longest: usize,
}

struct Waiter<W> {
    want: W,
    place: Place,
}

enum Place {
    Queued {
        waker: Option<Waker>,
        before: Option<Key>,
        behind: Option<Key>,
    },
    Granted,
}

impl<W> WaitQueue<W> {
    /// An empty queue; allocates nothing.
    pub const fn new() -> Self {
        WaitQueue {
            waiters: Slots::new(),
            front: None,
            back: None,
            waiting: 0,
            longest: 0,
        }
    }

    /// Whether nobody is in line; waiters already granted do not count.
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// How many are in line.
    pub fn len(&self) -> usize {
        self.waiting
    }

    /// How busy the queue is.
    pub fn statistics(&self) -> Statistics {
        Statistics {
            waiting: self.waiting,
            granted: self.waiters.len() - self.waiting,
            longest: self.longest,
        }
    }

    /// Joins the end of the line.
    pub fn push(&mut self, waker: Waker, want: W) -> Ticket {
        let before = self.back;
        let place = Place::Queued {
            waker: Some(waker),
            before,
            behind: None,
        };
        let key = self.waiters.insert(Waiter { want, place });
        match before {
            Some(before) => *self.links(before).1 = Some(key),
            None => self.front = Some(key),
        }
        self.back = Some(key);
        self.waiting += 1;
        self.longest = self.longest.max(self.waiting);
        Ticket(key)
    }

    /// What the first in line wants.
    pub fn front(&self) -> Option<&W> {
        self.front.map(|key| &self.waiter(key).want)
    }

    /// What the first in line wants, to change: a grant in instalments.
    pub fn front_mut(&mut self) -> Option<&mut W> {
        self.front.map(|key| &mut self.waiter_mut(key).want)
    }

    /// What the last in line wants, to change.
    pub fn back_mut(&mut self) -> Option<&mut W> {
        self.back.map(|key| &mut self.waiter_mut(key).want)
    }

    /// What a waiter wants, wherever it stands.
    pub fn want(&self, ticket: &Ticket) -> &W {
        &self.waiter(ticket.0).want
    }

    /// Grants everyone in line its turn, first in line first; `mark` may note in
    /// what each wanted why.
    pub fn grant_all(&mut self, into: &mut Vec<Waker>, mut mark: impl FnMut(&mut W)) {
        into.reserve(self.waiting);
        while let Some(want) = self.front_mut() {
            mark(want);
            into.extend(self.grant_front());
        }
    }

    /// Grants the first in line its turn. The caller wakes the waker after
    /// unlocking; there is none if nobody is in line.
    pub fn grant_front(&mut self) -> Option<Waker> {
        let key = self.front?;
        self.unlink(key, Place::Granted)
    }

    /// Grants the last in line its turn, as [`WaitQueue::grant_front`] does the first.
    pub fn grant_back(&mut self) -> Option<Waker> {
        let key = self.back?;
        self.unlink(key, Place::Granted)
    }

    /// Asks how it stands with a waiter.
    pub fn poll(&mut self, ticket: Ticket, waker: &Waker) -> Turn {
        match &self.waiter(ticket.0).place {
            Place::Granted => {
                self.waiters.remove(ticket.0);
                Turn::Granted
            }
            Place::Queued {
                waker: Some(current),
                ..
            } if current.will_wake(waker) => Turn::Queued(ticket),
            Place::Queued { .. } => Turn::Rebind(ticket),
        }
    }

    /// Asks how it stands with the waiter of `ticket`, and gives it its current
    /// waker. One that is to be kept is taken from `fresh`, and one that is
    /// replaced is left there, to be dropped after unlocking.
    ///
    /// # Panics
    /// When there is no ticket.
    pub fn look(
        &mut self,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
        fresh: &mut Option<Waker>,
    ) -> Look {
        let place = ticket
            .take()
            .expect("only who is in line looks after its place");
        let (place, look) = match self.poll(place, waker) {
            Turn::Granted => return Look::Granted,
            Turn::Queued(place) => (place, Look::Queued),
            Turn::Rebind(place) => match fresh.take() {
                None => (place, Look::NeedsWaker),
                Some(waker) => {
                    *fresh = self.update(&place, waker);
                    (place, Look::Queued)
                }
            },
        };
        *ticket = Some(place);
        look
    }

    /// Replaces the waker of a waiter in line. Returns the one to drop after
    /// unlocking: the old one, or the new one if the waiter was granted in the
    /// meantime, in which case the caller polls again instead of waiting.
    pub fn update(&mut self, ticket: &Ticket, waker: Waker) -> Option<Waker> {
        match &mut self.waiter_mut(ticket.0).place {
            Place::Queued { waker: current, .. } => current.replace(waker),
            Place::Granted => Some(waker),
        }
    }

    /// Leaves, from wherever the waiter stands.
    pub fn leave(&mut self, ticket: Ticket) -> Left {
        let Ticket(key) = ticket;
        let left = match self.waiter(key).place {
            Place::Granted => Left::Granted,
            Place::Queued { .. } => Left::Queued(self.unlink(key, Place::Granted)),
        };
        self.waiters.remove(key);
        left
    }

    /// Takes the wakers of all waiters in line without granting them anything,
    /// first in line first: for a primitive that has closed, whose waiters look
    /// at that before they look at their turn.
    pub fn take_wakers(&mut self, into: &mut Vec<Waker>) {
        into.reserve(self.waiting);
        let mut next = self.front;
        while let Some(key) = next {
            let Place::Queued { waker, behind, .. } = &mut self.waiter_mut(key).place else {
                unreachable!("the list holds only queued waiters");
            };
            into.extend(waker.take());
            next = *behind;
        }
    }

    /// Takes a queued waiter out of the list, leaves it in `place`, and hands out its waker.
    fn unlink(&mut self, key: Key, place: Place) -> Option<Waker> {
        let old = std::mem::replace(&mut self.waiter_mut(key).place, place);
        let Place::Queued {
            waker,
            before,
            behind,
        } = old
        else {
            unreachable!("the list holds only queued waiters");
        };
        match before {
            Some(before) => *self.links(before).1 = behind,
            None => self.front = behind,
        }
        match behind {
            Some(behind) => *self.links(behind).0 = before,
            None => self.back = before,
        }
        self.waiting -= 1;
        waker
    }

    /// The links of a queued waiter: to the one before it, to the one behind it.
    fn links(&mut self, key: Key) -> (&mut Option<Key>, &mut Option<Key>) {
        match &mut self.waiter_mut(key).place {
            Place::Queued { before, behind, .. } => (before, behind),
            Place::Granted => unreachable!("the list holds only queued waiters"),
        }
    }

    fn waiter(&self, key: Key) -> &Waiter<W> {
        self.waiters
            .get(key)
            .expect("a ticket names a waiter of the queue that issued it")
    }

    fn waiter_mut(&mut self, key: Key) -> &mut Waiter<W> {
        self.waiters
            .get_mut(key)
            .expect("a ticket names a waiter of the queue that issued it")
    }
}

impl<W> Default for WaitQueue<W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<W> fmt::Debug for WaitQueue<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.statistics(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::super::counted::Counted;
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    /// One step; numbers choose among the waiters alive, modulo their count.
    #[derive(Clone, Debug)]
    enum Step {
        Push(u8),
        Grant,
        GrantBack,
        Look { who: usize, other_waker: bool },
        Leave(usize),
        TakeWakers,
        GrantAll,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => any::<u8>().prop_map(Step::Push),
            3 => Just(Step::Grant),
            1 => Just(Step::GrantBack),
            3 => (any::<usize>(), any::<bool>())
                .prop_map(|(who, other_waker)| Step::Look { who, other_waker }),
            2 => any::<usize>().prop_map(Step::Leave),
            1 => Just(Step::TakeWakers),
            1 => Just(Step::GrantAll),
        ]
    }

    /// The model: a list of names in line and a set of names granted.
    struct Alive {
        name: u64,
        ticket: Option<Ticket>,
        waker: Counted,
        has_waker: bool,
        granted: bool,
    }

    /// The list is linked both ways and holds exactly the queued waiters.
    fn check_links<W>(queue: &WaitQueue<W>) {
        let mut forward = Vec::new();
        let (mut next, mut before) = (queue.front, None);
        while let Some(key) = next {
            let Place::Queued {
                before: b, behind, ..
            } = &queue.waiter(key).place
            else {
                panic!("a granted waiter is in the list");
            };
            assert_eq!(*b, before);
            forward.push(key);
            (before, next) = (Some(key), *behind);
        }
        assert_eq!(queue.back, before);
        assert_eq!(forward.len(), queue.waiting);
        let queued = |w: &&Waiter<W>| matches!(w.place, Place::Queued { .. });
        assert_eq!(queue.waiters.iter().filter(queued).count(), queue.waiting);
    }

    proptest! {
        #[test]
        fn behaves_like_a_list_of_names(steps in proptest::collection::vec(step(), 0..200)) {
            let mut queue: WaitQueue<(u64, u8)> = WaitQueue::new();
            let mut alive: Vec<Alive> = Vec::new();
            let mut line: VecDeque<(u64, u8)> = VecDeque::new();
            let mut longest = 0;
            for (name, step) in (0..).zip(steps) {
                match step {
                    Step::Push(want) => {
                        let waker = Counted::new();
                        let ticket = Some(queue.push(waker.waker.clone(), (name, want)));
                        line.push_back((name, want));
                        alive.push(Alive { name, ticket, waker, has_waker: true, granted: false });
                    }
                    Step::Grant | Step::GrantBack => {
                        prop_assert_eq!(queue.front(), line.front());
                        let (waker, granted) = match step {
                            Step::Grant => (queue.grant_front(), line.pop_front()),
                            _ => (queue.grant_back(), line.pop_back()),
                        };
                        match granted {
                            None => prop_assert!(waker.is_none()),
                            Some((name, _)) => {
                                let who = alive.iter_mut().find(|a| a.name == name).unwrap();
                                who.granted = true;
                                prop_assert_eq!(waker.is_some(), who.has_waker);
                                let woken = usize::from(waker.is_some());
                                waker.into_iter().for_each(Waker::wake);
                                prop_assert_eq!(who.waker.woken(), woken);
                            }
                        }
                    }
                    Step::Look { .. } | Step::Leave(_) if alive.is_empty() => {}
                    Step::Look { who, other_waker } => {
                        let at = who % alive.len();
                        let who = &mut alive[at];
                        if other_waker {
                            who.waker = Counted::new();
                        }
                        let same = !other_waker && who.has_waker;
                        let waker = &who.waker.waker;
                        let mut fresh = None;
                        match queue.look(&mut who.ticket, waker, &mut fresh) {
                            Look::Granted => {
                                prop_assert!(who.granted && who.ticket.is_none());
                                alive.swap_remove(at);
                            }
                            Look::NeedsWaker => {
                                prop_assert!(!who.granted && !same);
                                fresh = Some(waker.clone());
                                let look = queue.look(&mut who.ticket, waker, &mut fresh);
                                prop_assert_eq!(look, Look::Queued);
                                prop_assert_eq!(fresh.is_some(), who.has_waker, "the old one");
                                who.has_waker = true;
                            }
                            Look::Queued => prop_assert!(!who.granted && same),
                        }
                    }
                    Step::Leave(who) => {
                        let mut who = alive.swap_remove(who % alive.len());
                        match queue.leave(who.ticket.take().unwrap()) {
                            Left::Granted => prop_assert!(who.granted),
                            Left::Queued(waker) => {
                                prop_assert!(!who.granted);
                                prop_assert_eq!(waker.is_some(), who.has_waker);
                                line.retain(|(name, _)| *name != who.name);
                            }
                        }
                    }
                    Step::TakeWakers => {
                        let mut wakers = Vec::new();
                        queue.take_wakers(&mut wakers);
                        let with = |a: &&mut Alive| a.has_waker && !a.granted;
                        let mut had = 0;
                        for a in alive.iter_mut().filter(with) {
                            a.has_waker = false;
                            had += 1;
                        }
                        prop_assert_eq!(wakers.len(), had);
                    }
                    Step::GrantAll => {
                        let mut wakers = Vec::new();
                        let mut marked = Vec::new();
                        queue.grant_all(&mut wakers, |want| marked.push(*want));
                        prop_assert_eq!(marked, line.drain(..).collect::<Vec<_>>());
                        let with = alive.iter().filter(|a| a.has_waker && !a.granted).count();
                        prop_assert_eq!(wakers.len(), with);
                        alive.iter_mut().for_each(|a| a.granted = true);
                    }
                }
                longest = longest.max(line.len());
                check_links(&queue);
                let expected = Statistics { waiting: line.len(), granted: alive.len() - line.len(), longest };
                prop_assert_eq!(queue.statistics(), expected);
            }
            while queue.grant_front().is_some() || !queue.is_empty() {}
            for who in alive {
                prop_assert_eq!(queue.poll(who.ticket.unwrap(), Waker::noop()), Turn::Granted);
            }
            prop_assert_eq!(queue.waiters.len(), 0);
        }
    }

    #[test]
    fn a_grown_queue_reuses_its_slots() {
        let mut queue = WaitQueue::new();
        for round in 0..1000 {
            let tickets: Vec<_> = (0..3)
                .map(|i| queue.push(Waker::noop().clone(), i))
                .collect();
            for t in tickets {
                assert!(
                    matches!(queue.leave(t), Left::Queued(Some(_))),
                    "round {round}"
                );
            }
        }
        assert_eq!(queue.waiters.entries().count(), 0);
        let key = queue.push(Waker::noop().clone(), 0).0;
        assert!(
            key.slot < 3,
            "three slots were ever needed, this is number {}",
            key.slot
        );
    }

    #[test]
    fn a_late_update_gives_the_new_waker_back() {
        let mut queue = WaitQueue::new();
        let ticket = queue.push(Waker::noop().clone(), ());
        assert!(queue.grant_front().is_some());
        assert!(queue.update(&ticket, Waker::noop().clone()).is_some());
        assert!(matches!(queue.leave(ticket), Left::Granted));
    }
}
