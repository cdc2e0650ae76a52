//! Which workers sleep, how many search, and whom to wake.
//!
//! A producer wakes a worker only if nobody searches: a searcher will find the
//! work, and when the last searcher finds some and sees more, it wakes the next.
//! At most half of the workers search, so a burst does not make all of them contend. No
//! wake-up is lost, because
//!
//! 1. producer: publish the work, then read the counts;
//! 2. worker: publish the counts (asleep, no longer searching), then look for
//!    work once more, then sleep, or run what it found;
//!
//! and all four accesses are sequentially consistent.

use super::lock;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const SEARCHER: u64 = 1;
const SLEEPER: u64 = 1 << 32;

pub(super) struct Idle {
    workers: usize,
    /// Searching workers below, sleeping workers above.
    counts: AtomicU64,
    /// Indices of the sleeping workers, the most recent last: its cache is the warmest.
    sleepers: Mutex<Vec<Sleeper>>,
}

#[derive(Clone, Copy)]
struct Sleeper {
    worker: usize,
    /// Waking it costs a system call more and leaves the reactor without a driver.
    drives: bool,
}

fn searching(counts: u64) -> u64 {
    counts & (SLEEPER - 1)
}

fn sleeping(counts: u64) -> u64 {
    counts >> 32
}

impl Idle {
    pub(super) fn new(workers: usize) -> Self {
        let sleepers = Mutex::new(Vec::with_capacity(workers));
        Idle {
            workers,
            counts: AtomicU64::new(0),
            sleepers,
        }
    }

    /// A sleeping worker to wake for work just published; it starts as a searcher.
    pub(super) fn pick(&self) -> Option<usize> {
        let due = |counts| searching(counts) == 0 && sleeping(counts) > 0;
        if !due(self.counts.load(Ordering::SeqCst)) {
            return None;
        }
        let mut sleepers = lock(&self.sleepers);
        // Another producer may have picked meanwhile; counts change under this lock.
        if !due(self.counts.load(Ordering::SeqCst)) {
            return None;
        }
        let place = sleepers
            .iter()
            .rposition(|s| !s.drives)
            .unwrap_or(sleepers.len() - 1);
        let sleeper = sleepers.remove(place);
        self.counts.fetch_sub(SLEEPER - SEARCHER, Ordering::SeqCst);
        Some(sleeper.worker)
    }

    /// Announces that a worker sleeps, and whether it drives the reactor.
    pub(super) fn announce(&self, worker: usize, was_searching: bool, drives: bool) {
        let mut sleepers = lock(&self.sleepers);
        sleepers.push(Sleeper { worker, drives });
        let change = SLEEPER - if was_searching { SEARCHER } else { 0 };
        self.counts.fetch_add(change, Ordering::SeqCst);
    }

    /// Ends a sleep; `true` when a producer picked the worker, which hence searches.
    pub(super) fn retract(&self, worker: usize) -> bool {
        let mut sleepers = lock(&self.sleepers);
        let Some(place) = sleepers.iter().position(|s| s.worker == worker) else {
            return true;
        };
        sleepers.swap_remove(place);
        self.counts.fetch_sub(SLEEPER, Ordering::SeqCst);
        false
    }

    /// Makes a worker a searcher, unless enough search already.
    pub(super) fn begin_search(&self) -> bool {
        if 2 * searching(self.counts.load(Ordering::SeqCst)) >= self.workers as u64 {
            return false;
        }
        self.counts.fetch_add(SEARCHER, Ordering::SeqCst);
        true
    }

    /// A searcher found work; `true` when it was the last, so that the caller wakes
    /// another if more is left.
    #[must_use]
    pub(super) fn end_search(&self) -> bool {
        searching(self.counts.fetch_sub(SEARCHER, Ordering::SeqCst)) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_searcher_at_a_time_is_woken() {
        let idle = Idle::new(4);
        assert_eq!(idle.pick(), None, "nobody sleeps");
        idle.announce(0, false, true);
        idle.announce(1, false, false);
        assert_eq!(idle.pick(), Some(1), "the driver is spared");
        assert_eq!(idle.pick(), None, "one searches already");
        assert!(idle.retract(1), "it was picked");
        assert!(idle.end_search(), "it was the last searcher");
        assert_eq!(idle.pick(), Some(0));
        assert!(idle.retract(0));
        assert!(idle.begin_search(), "one of four searches");
        assert!(!idle.begin_search(), "half of four search");
        assert!(!idle.end_search());
        assert!(idle.end_search());
    }

    #[test]
    fn a_sleeper_that_wakes_by_itself_is_not_picked() {
        let idle = Idle::new(1);
        idle.announce(0, false, false);
        assert!(!idle.retract(0));
        assert_eq!(idle.pick(), None);
    }
}
