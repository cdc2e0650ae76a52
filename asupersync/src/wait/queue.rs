//! The wait queue: a doubly linked list of waiters inside an arena.
//!
//! A waiter is in one of two states, and leaves from either:
//!
//! | state   | set by                       | left by                                     |
//! |---------|------------------------------|---------------------------------------------|
//! | Queued  | [`WaitQueue::push`]          | [`WaitQueue::grant_front`], [`WaitQueue::dismiss_front`], [`WaitQueue::leave`] |
//! | Granted | [`WaitQueue::grant_front`]   | [`WaitQueue::look`], [`WaitQueue::leave`]   |
//!
//! One that was dismissed is granted too, and has no place any more to come back
//! to. Numbers are drawn in the order of the line, so a primitive that only
//! dismisses can publish the number it dismissed last: then a waiter learns of
//! its grant from its ticket and that number, without the lock.
//!
//! Invariants:
//!
//! 1. [`WaitQueue::grant_front`] and [`WaitQueue::dismiss_front`] grant in the
//!    order of `push`, whatever left in between;
//! 2. a waiter is granted at most once, and a grant is seen at most once: by
//!    `look` as [`Look::Granted`], by `leave` as [`Left::Granted`], or from the
//!    number of the ticket;
//! 3. the list holds exactly the queued waiters, linked both ways;
//! 4. a granted waiter holds no waker: it went to whoever granted;
//! 5. nothing allocates once the arena has grown to the largest number of
//!    waiters there ever was at one time;
//! 6. a number names one waiter, ever.

use std::fmt;
use std::num::NonZeroU64;
use std::task::Waker;

/// A place in a [`WaitQueue`]: obtained by `push`, given back by `look` or `leave`.
///
/// It is neither `Copy` nor `Clone`, so a place cannot be given back twice.
#[derive(PartialEq, Eq, Debug)]
#[must_use = "a place in line that is not given back blocks those behind it"]
pub struct Ticket {
    /// None is zero.
    number: NonZeroU64,
    slot: u32,
}

impl Ticket {
    /// The number that was drawn: later ones are higher.
    #[inline]
    pub fn number(&self) -> u64 {
        self.number.get()
    }
}

/// What a waiter finds out: see [`WaitQueue::look`].
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
    /// Waiters that were granted and have not noticed yet, without those dismissed.
    pub granted: usize,
    /// The largest number that was ever in line at one time.
    pub longest: usize,
}

/// Who waits for a primitive, first come first served.
///
/// `W` says what a waiter wants, for instance how many permits.
pub struct WaitQueue<W> {
    nodes: Vec<Node<W>>,
    front: u32,
    back: u32,
    /// The first free node; the others behind it.
    free: u32,
    waiting: usize,
    granted: usize,
    longest: usize,
    /// How many numbers were drawn.
    drawn: u64,
}

struct Node<W> {
    /// Of the waiter whose node it is; zero if it is free.
    number: u64,
    before: u32,
    behind: u32,
    granted: bool,
    waker: Option<Waker>,
    want: W,
}

/// No node.
const NONE: u32 = u32::MAX;

impl<W> WaitQueue<W> {
    /// An empty queue; allocates nothing.
    pub const fn new() -> Self {
        WaitQueue {
            nodes: Vec::new(),
            front: NONE,
            back: NONE,
            free: NONE,
            waiting: 0,
            granted: 0,
            longest: 0,
            drawn: 0,
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
            granted: self.granted,
            longest: self.longest,
        }
    }
}

impl<W: Copy> WaitQueue<W> {
    /// Joins the end of the line.
    ///
    /// # Panics
    /// When 2³² − 1 others wait.
    pub fn push(&mut self, waker: Waker, want: W) -> Ticket {
        self.drawn += 1;
        let (number, before) = (self.drawn, self.back);
        let slot = match self.nodes.get_mut(self.free as usize) {
            // Field by field: a node that is put together elsewhere, and copied in
            // larger pieces, waits for its parts to be written there.
            Some(node) => {
                let slot = std::mem::replace(&mut self.free, node.behind);
                node.number = number;
                node.before = before;
                node.behind = NONE;
                node.granted = false;
                node.waker = Some(waker);
                node.want = want;
                slot
            }
            None => self.grow(Node {
                number,
                before,
                behind: NONE,
                granted: false,
                waker: Some(waker),
                want,
            }),
        };
        match self.nodes.get_mut(self.back as usize) {
            Some(last) => last.behind = slot,
            None => self.front = slot,
        }
        self.back = slot;
        self.waiting += 1;
        self.longest = self.longest.max(self.waiting);
        let number = NonZeroU64::new(number).expect("more numbers than can be counted");
        Ticket { number, slot }
    }

    #[cold]
    fn grow(&mut self, node: Node<W>) -> u32 {
        let slot = u32::try_from(self.nodes.len())
            .ok()
            .filter(|slot| *slot != NONE);
        self.nodes.push(node);
        slot.expect("a line holds at most 2^32 - 1 waiters")
    }

    /// What the first in line wants.
    pub fn front(&self) -> Option<&W> {
        self.nodes.get(self.front as usize).map(|node| &node.want)
    }

    /// What the first in line wants, to change: a grant in instalments.
    pub fn front_mut(&mut self) -> Option<&mut W> {
        self.nodes
            .get_mut(self.front as usize)
            .map(|node| &mut node.want)
    }

    /// What the last in line wants, to change.
    pub fn back_mut(&mut self) -> Option<&mut W> {
        self.nodes
            .get_mut(self.back as usize)
            .map(|node| &mut node.want)
    }

    /// What a waiter wants, wherever it stands.
    ///
    /// # Panics
    /// When it was dismissed.
    pub fn want(&self, ticket: &Ticket) -> &W {
        let node = self.nodes.get(ticket.slot as usize);
        let node = node.filter(|node| node.number == ticket.number());
        &node
            .expect("a waiter that was not dismissed has a place")
            .want
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
        self.grant(self.front)
    }

    /// Grants the last in line its turn, as [`WaitQueue::grant_front`] does the first.
    pub fn grant_back(&mut self) -> Option<Waker> {
        self.grant(self.back)
    }

    fn grant(&mut self, slot: u32) -> Option<Waker> {
        let node = self.nodes.get_mut(slot as usize)?;
        node.granted = true;
        let waker = node.waker.take();
        self.unlink(slot);
        self.granted += 1;
        waker
    }

    /// As [`WaitQueue::grant_front`], for a waiter that need not come back to its
    /// place, which is given up. Hands out its number too.
    #[inline]
    pub fn dismiss_front(&mut self) -> Option<(u64, Option<Waker>)> {
        let slot = self.front;
        let node = self.nodes.get_mut(slot as usize)?;
        let dismissed = (node.number, node.waker.take());
        self.unlink(slot);
        self.vacate(slot);
        Some(dismissed)
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
            .as_ref()
            .expect("only who is in line looks after its place");
        let slot = place.slot;
        let Some(node) = self.waiter(place) else {
            *ticket = None;
            return Look::Granted;
        };
        if node.granted {
            *ticket = None;
            self.granted -= 1;
            self.vacate(slot);
            return Look::Granted;
        }
        match &mut node.waker {
            Some(current) if current.will_wake(waker) => Look::Queued,
            kept => match fresh.take() {
                None => Look::NeedsWaker,
                Some(waker) => {
                    *fresh = kept.replace(waker);
                    Look::Queued
                }
            },
        }
    }

    /// Leaves, from wherever the waiter stands.
    pub fn leave(&mut self, ticket: Ticket) -> Left {
        let Some(node) = self.waiter(&ticket) else {
            return Left::Granted;
        };
        let left = if node.granted {
            self.granted -= 1;
            Left::Granted
        } else {
            let waker = node.waker.take();
            self.unlink(ticket.slot);
            Left::Queued(waker)
        };
        self.vacate(ticket.slot);
        left
    }

    /// Takes the wakers of all waiters in line without granting them anything,
    /// first in line first: for a primitive that has closed, whose waiters look
    /// at that before they look at their turn.
    pub fn take_wakers(&mut self, into: &mut Vec<Waker>) {
        into.reserve(self.waiting);
        let mut next = self.front;
        while let Some(node) = self.nodes.get_mut(next as usize) {
            into.extend(node.waker.take());
            next = node.behind;
        }
    }

    /// The waiter of a ticket; none if it was dismissed.
    fn waiter(&mut self, ticket: &Ticket) -> Option<&mut Node<W>> {
        let node = self.nodes.get_mut(ticket.slot as usize);
        node.filter(|node| node.number == ticket.number())
    }

    /// Takes a queued waiter out of the list.
    #[inline]
    fn unlink(&mut self, slot: u32) {
        let Node { before, behind, .. } = self.nodes[slot as usize];
        match self.nodes.get_mut(before as usize) {
            Some(node) => node.behind = behind,
            None => self.front = behind,
        }
        match self.nodes.get_mut(behind as usize) {
            Some(node) => node.before = before,
            None => self.back = before,
        }
        self.waiting -= 1;
    }

    /// Gives up the node of a waiter that is not in the list.
    #[inline]
    fn vacate(&mut self, slot: u32) {
        let node = &mut self.nodes[slot as usize];
        node.number = 0;
        node.behind = std::mem::replace(&mut self.free, slot);
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
        Dismiss,
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
            2 => Just(Step::Dismiss),
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
        dismissed: bool,
    }

    /// The list is linked both ways and holds exactly the queued waiters.
    fn check_links<W>(queue: &WaitQueue<W>) {
        let mut forward = Vec::new();
        let (mut next, mut before) = (queue.front, NONE);
        while let Some(node) = queue.nodes.get(next as usize) {
            assert!(node.number != 0 && !node.granted, "it is queued");
            assert_eq!(node.before, before);
            forward.push(node.number);
            (before, next) = (next, node.behind);
        }
        assert_eq!(queue.back, before);
        assert!(forward.is_sorted(), "by number");
        let queued = |node: &&Node<W>| node.number != 0 && !node.granted;
        assert_eq!(queue.nodes.iter().filter(queued).count(), queue.waiting);
        assert_eq!(forward.len(), queue.waiting);
    }

    fn in_use<W>(queue: &WaitQueue<W>) -> usize {
        queue.nodes.iter().filter(|node| node.number != 0).count()
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
                        alive.push(Alive { name, ticket, waker, has_waker: true, granted: false, dismissed: false });
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
                    Step::Dismiss => {
                        let dismissed = queue.dismiss_front();
                        let first = line.pop_front();
                        prop_assert_eq!(dismissed.is_some(), first.is_some());
                        if let (Some((number, waker)), Some((name, _))) = (dismissed, first) {
                            let who = alive.iter_mut().find(|a| a.name == name).unwrap();
                            (who.granted, who.dismissed) = (true, true);
                            prop_assert_eq!(number, who.ticket.as_ref().unwrap().number());
                            prop_assert_eq!(waker.is_some(), who.has_waker);
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
                let granted = alive.iter().filter(|a| a.granted && !a.dismissed).count();
                let expected = Statistics { waiting: line.len(), granted, longest };
                prop_assert_eq!(queue.statistics(), expected);
                prop_assert_eq!(in_use(&queue), line.len() + granted);
            }
            while queue.grant_front().is_some() || !queue.is_empty() {}
            for mut who in alive {
                let look = queue.look(&mut who.ticket, Waker::noop(), &mut None);
                prop_assert_eq!(look, Look::Granted);
            }
            prop_assert_eq!(in_use(&queue), 0);
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
        assert_eq!(in_use(&queue), 0);
        assert_eq!(queue.nodes.len(), 3, "three places were ever needed");
    }
}
