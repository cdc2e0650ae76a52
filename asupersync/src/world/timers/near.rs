//! The timers of the current tick and before, by exact instant: a 4-ary heap.
//!
//! Every entry knows its place in the heap, so that it can be taken out from
//! the middle.

use super::{At, Entry};
use crate::types::slots::{Key, Slots};
use crate::types::time::Time;

/// Children per heap node: four keep a node's children in one or two cache lines.
const ARITY: usize = 4;

#[derive(Default)]
pub(super) struct Near {
    heap: Vec<Node>,
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
        Near { heap: Vec::new() }
    }

    pub(super) fn first(&self) -> Option<Node> {
        self.heap.first().copied()
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
