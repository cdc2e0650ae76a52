//! The timers of the current tick and before, by exact instant.
//!
//! What the wheel hands over for a tick comes all at once and is sorted once: a
//! row, which is used up from its end. What is set later for that tick or for an
//! earlier instant goes into a 4-ary heap.
//!
//! Invariants:
//! 1. every entry in the heap knows its place there, so that it can be taken out
//!    from the middle;
//! 2. an entry that is cancelled leaves a node in the row, which its key, stale by
//!    now, gives away; the last node of the row is never such a one. So the row
//!    is as long as the tick was busy, at the most.

use super::{At, Entry};
use crate::types::slots::{Key, Slots};
use crate::types::time::Time;

/// Children per heap node: four keep a node's children in one or two cache lines.
const ARITY: usize = 4;

#[derive(Default)]
pub(super) struct Near {
    heap: Vec<Node>,
    /// The earliest last.
    row: Vec<Node>,
}

#[derive(Clone, Copy)]
pub(super) struct Node {
    pub(super) due: Time,
    pub(super) sequence: u64,
    pub(super) key: Key,
}

impl Node {
    fn rank(&self) -> (Time, u64) {
        (self.due, self.sequence)
    }
}

impl Near {
    pub(super) const fn new() -> Self {
        Near {
            heap: Vec::new(),
            row: Vec::new(),
        }
    }

    #[inline]
    pub(super) fn first(&self) -> Option<Node> {
        match (self.heap.first(), self.row.last()) {
            (Some(a), Some(b)) => Some(if a.rank() < b.rank() { *a } else { *b }),
            (a, b) => a.or(b).copied(),
        }
    }

    /// Takes the first out, whose entry is gone already.
    pub(super) fn remove_first(&mut self, entries: &mut Slots<Entry>, first: Node) {
        if self.row.last().is_some_and(|last| last.key == first.key) {
            self.row.pop();
            self.trim(entries);
        } else {
            self.remove(entries, 0);
        }
    }

    /// Adds a node to a row that [`Near::sort`] will sort, while nothing is near.
    pub(super) fn add(&mut self, node: Node) {
        self.row.push(node);
    }

    /// Sorts what was added.
    pub(super) fn sort(&mut self) {
        self.row
            .sort_unstable_by_key(|node| std::cmp::Reverse(node.rank()));
    }

    /// An entry was cancelled that has a node in the row.
    pub(super) fn trim(&mut self, entries: &Slots<Entry>) {
        while let Some(last) = self.row.last()
            && entries.get(last.key).is_none()
        {
            self.row.pop();
        }
    }

    pub(super) fn push(&mut self, entries: &mut Slots<Entry>, node: Node) {
        let place = self.heap.len();
        self.heap.push(node);
        self.settle(entries, place);
        self.sift_up(entries, place);
    }

    pub(super) fn remove(&mut self, entries: &mut Slots<Entry>, place: usize) {
        self.heap.swap_remove(place);
        if place < self.heap.len() {
            self.settle(entries, place);
            self.sift_down(entries, place);
            self.sift_up(entries, place);
        }
    }

    fn sift_up(&mut self, entries: &mut Slots<Entry>, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / ARITY;
            if self.heap[parent].rank() <= self.heap[place].rank() {
                return;
            }
            self.swap(entries, parent, place);
            place = parent;
        }
    }

    fn sift_down(&mut self, entries: &mut Slots<Entry>, mut place: usize) {
        loop {
            let first = place * ARITY + 1;
            let last = (first + ARITY).min(self.heap.len());
            let Some(child) = (first..last).min_by_key(|c| self.heap[*c].rank()) else {
                return;
            };
            if self.heap[place].rank() <= self.heap[child].rank() {
                return;
            }
            self.swap(entries, place, child);
            place = child;
        }
    }

    fn swap(&mut self, entries: &mut Slots<Entry>, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.settle(entries, a);
        self.settle(entries, b);
    }

    fn settle(&self, entries: &mut Slots<Entry>, place: usize) {
        // The entry of a node that is about to leave the heap is gone already.
        if let Some(entry) = entries.get_mut(self.heap[place].key) {
            entry.at = At::Near(place);
        }
    }
}
