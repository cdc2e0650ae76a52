//! The timer queue, one value used by both worlds.
//!
//! A 4-ary heap of (due, sequence) over a generational arena. Invariants:
//!
//! 1. entries leave in the order (due, sequence of insertion);
//! 2. every entry knows its place in the heap, so cancelling is O(log n), and
//!    O(1) for the newest of equal durations, which is where timeouts live;
//! 3. a cancelled entry leaves nothing behind: a stale key is recognised.

use crate::types::slots::{Key, Slots};
use crate::types::time::Time;
use std::task::Waker;

/// Children per heap node: four keep a node's children in one or two cache lines.
const ARITY: usize = 4;

/// Pending timers.
#[derive(Default)]
pub struct Timers {
    entries: Slots<Entry>,
    heap: Vec<Node>,
    sequence: u64,
}

struct Entry {
    waker: Waker,
    place: usize,
}

#[derive(Clone, Copy)]
struct Node {
    due: Time,
    sequence: u64,
    key: Key,
}

impl Node {
    fn rank(&self) -> (Time, u64) {
        (self.due, self.sequence)
    }
}

impl Timers {
    /// No timers.
    pub const fn new() -> Self {
        Timers {
            entries: Slots::new(),
            heap: Vec::new(),
            sequence: 0,
        }
    }

    /// Number of pending timers.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether none is pending.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// When the next one is due.
    pub fn next_due(&self) -> Option<Time> {
        self.heap.first().map(|n| n.due)
    }

    /// Adds a timer.
    pub fn set(&mut self, due: Time, waker: Waker) -> Key {
        let place = self.heap.len();
        let key = self.entries.insert(Entry { waker, place });
        self.heap.push(Node {
            due,
            sequence: self.sequence,
            key,
        });
        self.sequence += 1;
        self.sift_up(place);
        key
    }

    /// The waker of a pending timer, to replace; `None` when it has fired.
    pub fn waker_mut(&mut self, key: Key) -> Option<&mut Waker> {
        self.entries.get_mut(key).map(|e| &mut e.waker)
    }

    /// Removes a timer and gives its due time and waker back; `None` when it has fired.
    pub fn cancel(&mut self, key: Key) -> Option<(Time, Waker)> {
        let entry = self.entries.remove(key)?;
        let due = self.take_out(entry.place);
        Some((due, entry.waker))
    }

    /// Removes the next timer that is due at `now`; the caller wakes it with no lock held.
    pub fn fire(&mut self, now: Time) -> Option<(Time, Waker)> {
        let first = *self.heap.first()?;
        if first.due > now {
            return None;
        }
        self.take_out(0);
        let entry = self
            .entries
            .remove(first.key)
            .expect("a heap node names a live entry");
        Some((first.due, entry.waker))
    }

    fn take_out(&mut self, place: usize) -> Time {
        let node = self.heap.swap_remove(place);
        if place < self.heap.len() {
            self.settle(place);
            self.sift_down(place);
            self.sift_up(place);
        }
        node.due
    }

    fn sift_up(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / ARITY;
            if self.heap[parent].rank() <= self.heap[place].rank() {
                return;
            }
            self.swap(parent, place);
            place = parent;
        }
    }

    fn sift_down(&mut self, mut place: usize) {
        loop {
            let first = place * ARITY + 1;
            let last = (first + ARITY).min(self.heap.len());
            let Some(child) = (first..last).min_by_key(|c| self.heap[*c].rank()) else {
                return;
            };
            if self.heap[place].rank() <= self.heap[child].rank() {
                return;
            }
            self.swap(place, child);
            place = child;
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.settle(a);
        self.settle(b);
    }

    fn settle(&mut self, place: usize) {
        let key = self.heap[place].key;
        self.entries
            .get_mut(key)
            .expect("a heap node names a live entry")
            .place = place;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Op {
        Set(u64),
        Cancel(usize),
        Fire(u64),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            3 => (0u64..50).prop_map(Op::Set),
            1 => any::<usize>().prop_map(Op::Cancel),
            1 => (0u64..50).prop_map(Op::Fire),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_an_ordered_map(ops in prop::collection::vec(op(), 0..400)) {
            let mut timers = Timers::new();
            let mut model: BTreeMap<(Time, usize), Key> = BTreeMap::new();
            let mut all: Vec<(Time, usize, Key)> = Vec::new();
            for (i, op) in ops.into_iter().enumerate() {
                match op {
                    Op::Set(due) => {
                        let due = Time::from_nanos(due);
                        let key = timers.set(due, Waker::noop().clone());
                        model.insert((due, i), key);
                        all.push((due, i, key));
                    }
                    Op::Cancel(which) if !all.is_empty() => {
                        let (due, i, key) = all[which % all.len()];
                        let known = model.remove(&(due, i)).is_some();
                        prop_assert_eq!(timers.cancel(key).map(|(due, _)| due), known.then_some(due));
                    }
                    Op::Cancel(_) => {}
                    Op::Fire(now) => {
                        let now = Time::from_nanos(now);
                        while let Some((due, _)) = timers.fire(now) {
                            let ((expected, _), _) = model.pop_first().expect("the model has one too");
                            prop_assert_eq!(due, expected);
                        }
                        prop_assert!(model.first_key_value().is_none_or(|((due, _), _)| *due > now));
                    }
                }
                prop_assert_eq!(timers.len(), model.len());
                prop_assert_eq!(timers.next_due(), model.keys().next().map(|(due, _)| *due));
            }
        }
    }
}
