//! Ready tasks that belong to no worker: arrivals from other threads, and what overflowed a worker's queue.
//!
//! Arrivals come one by one and go through a lock-free queue. An overflow
//! comes as a chain of half a queue, through the tasks' own links, so that
//! moving it costs one lock at each end and no allocation per task.

use super::lock;
use crate::world::Runnable;
use crate::world::runnable::Chain;
use crossbeam_queue::SegQueue;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Default)]
pub(super) struct Injector {
    arrivals: SegQueue<Runnable>,
    overflow: Mutex<VecDeque<Chain>>,
    /// Chains in `overflow`; only ever changed under its lock.
    chains: AtomicUsize,
}

impl Injector {
    pub(super) fn is_empty(&self) -> bool {
        self.chains.load(Ordering::SeqCst) == 0 && self.arrivals.is_empty()
    }

    /// Adds a task from another thread.
    pub(super) fn push(&self, task: Runnable) {
        self.arrivals.push(task);
    }

    /// Adds what a worker has no room for.
    pub(super) fn push_chain(&self, chain: Chain) {
        if !chain.is_empty() {
            self.with_overflow(|overflow| overflow.push_back(chain));
        }
    }

    /// Takes some tasks: the first to run, and up to `room` more of a fair share
    /// among `workers` for `keep`. `overflow_first` says which kind is looked at
    /// first, so that alternating it starves neither.
    pub(super) fn take(
        &self,
        workers: usize,
        room: usize,
        overflow_first: bool,
        keep: impl FnMut(Runnable),
    ) -> Option<Runnable> {
        let overflowed = self.chains.load(Ordering::SeqCst) > 0;
        if overflowed && (overflow_first || self.arrivals.is_empty()) {
            let mut keep = keep;
            return self
                .take_chain(room, &mut keep)
                .or_else(|| self.arrivals.pop());
        }
        self.take_arrivals(workers, room, keep)
    }

    fn take_arrivals(
        &self,
        workers: usize,
        room: usize,
        keep: impl FnMut(Runnable),
    ) -> Option<Runnable> {
        if self.arrivals.is_empty() {
            return None;
        }
        let first = self.arrivals.pop()?;
        let share = self.arrivals.len().div_ceil(workers).min(room);
        std::iter::from_fn(|| self.arrivals.pop())
            .take(share)
            .for_each(keep);
        Some(first)
    }

    fn take_chain(&self, room: usize, keep: &mut impl FnMut(Runnable)) -> Option<Runnable> {
        let mut chain = self.with_overflow(VecDeque::pop_front)?;
        let first = chain.pop();
        for _ in 0..room {
            let Some(task) = chain.pop() else { break };
            keep(task);
        }
        if !chain.is_empty() {
            self.with_overflow(|overflow| overflow.push_front(chain));
        }
        first
    }

    /// Takes one task of any kind.
    pub(super) fn pop(&self) -> Option<Runnable> {
        self.take(1, 0, false, drop)
    }

    /// Whether the published number of chains is that of the chains.
    pub(super) fn counters_agree(&self) -> bool {
        let overflow = lock(&self.overflow);
        self.chains.load(Ordering::Relaxed) == overflow.len()
    }

    fn with_overflow<R>(&self, f: impl FnOnce(&mut VecDeque<Chain>) -> R) -> R {
        let mut overflow = lock(&self.overflow);
        let result = f(&mut overflow);
        self.chains.store(overflow.len(), Ordering::SeqCst);
        result
    }
}
