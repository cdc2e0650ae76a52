//! Timers in production: one queue per worker, and one for every other thread.
//!
//! A worker sets timers in its own shard and fires them itself; the last shard
//! belongs to no worker, so whoever drives the reactor fires it. Each shard
//! publishes when it is due next, so looking at an empty one is one load.

use super::lock;
use crate::types::time::Time;
use crate::world::TimerKey;
use crate::world::timers::Timers;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

/// Timers fired per turn with the lock held; their wakers are woken after it is released.
const BATCH: usize = 256;

pub(super) struct Clock {
    shards: Box<[Shard]>,
}

struct Shard {
    queue: Mutex<Timers>,
    /// Nanoseconds of the next due time, or somewhat before; `u64::MAX` for never.
    next: AtomicU64,
}

impl Shard {
    /// Publishes the next due time after a change that may have moved it.
    fn publish(&self, queue: &Timers) {
        let next = queue.wake_by().unwrap_or(Time::MAX).as_nanos();
        if next != self.next.load(Ordering::Relaxed) {
            self.next.store(next, Ordering::SeqCst);
        }
    }

    /// What was published; who holds the queue is the only one to change it.
    fn published(&self) -> Time {
        Time::from_nanos(self.next.load(Ordering::Relaxed))
    }
}

impl Clock {
    pub(super) fn new(workers: usize) -> Self {
        let shard = |_| Shard {
            queue: Mutex::new(Timers::new()),
            next: AtomicU64::new(u64::MAX),
        };
        Clock {
            shards: (0..=workers).map(shard).collect(),
        }
    }

    /// The shard of threads that are no workers.
    pub(super) fn outside(&self) -> usize {
        self.shards.len() - 1
    }

    pub(super) fn set(&self, shard: usize, due: Time, waker: &Waker) -> TimerKey {
        let waker = waker.clone();
        let at = &self.shards[shard];
        let mut queue = lock(&at.queue);
        let key = queue.set(due, waker);
        if due < at.published() {
            at.next.store(due.as_nanos(), Ordering::SeqCst);
        }
        TimerKey {
            shard: shard as u32,
            key,
        }
    }

    pub(super) fn update(&self, key: TimerKey, waker: &Waker) -> bool {
        // As a rule it has fired, or has this very waker: nothing to count then.
        match lock(&self.shards[key.shard as usize].queue).waker_mut(key.key) {
            None => return false,
            Some(known) if known.will_wake(waker) => return true,
            Some(_) => {}
        }
        let fresh = waker.clone();
        let mut queue = lock(&self.shards[key.shard as usize].queue);
        // The waker that is not kept is dropped after the lock is released.
        let (found, _dropped) = match queue.waker_mut(key.key) {
            Some(known) => (true, std::mem::replace(known, fresh)),
            None => (false, fresh),
        };
        drop(queue);
        found
    }

    pub(super) fn cancel(&self, key: TimerKey) -> bool {
        let shard = &self.shards[key.shard as usize];
        let mut queue = lock(&shard.queue);
        let cancelled = queue.cancel(key.key);
        if let Some((due, _)) = &cancelled
            && *due <= shard.published()
        {
            shard.publish(&queue);
        }
        // The waker is dropped after the lock is released.
        drop(queue);
        cancelled.is_some()
    }

    /// When the shard is due next, or somewhat before; `Time::MAX` for never.
    pub(super) fn next_due(&self, shard: usize) -> Time {
        Time::from_nanos(self.shards[shard].next.load(Ordering::SeqCst))
    }

    /// Takes the wakers of timers that are due, a batch at most; `true` when more are left.
    pub(super) fn fire(&self, shard: usize, now: Time, wakers: &mut Vec<Waker>) -> bool {
        let shard = &self.shards[shard];
        let mut queue = lock(&shard.queue);
        let due = std::iter::from_fn(|| queue.fire(now).map(|(_, waker)| waker));
        wakers.extend(due.take(BATCH));
        shard.publish(&queue);
        shard.published() <= now
    }

    /// Whether no shard is due before it says so.
    pub(super) fn counters_agree(&self) -> bool {
        self.shards.iter().all(|shard| {
            let queue = lock(&shard.queue);
            let due = queue.next_due().unwrap_or(Time::MAX);
            shard.published() <= due
        })
    }

    /// Says wrongly that a shard is never due.
    #[cfg(all(test, debug_assertions))]
    pub(super) fn misstate(&self, shard: usize) {
        self.shards[shard].next.store(u64::MAX, Ordering::SeqCst);
    }

    /// Timers pending in all shards.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|s| lock(&s.queue).len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_publishes_its_next_due_time() {
        let clock = Clock::new(1);
        let at = Time::from_nanos;
        let waker = Waker::noop();
        let late = clock.set(0, at(20), waker);
        let early = clock.set(0, at(10), waker);
        assert_eq!(clock.next_due(0), at(10));
        assert_eq!(clock.next_due(clock.outside()), Time::MAX);
        assert!(clock.cancel(early));
        assert!(!clock.cancel(early), "a timer is forgotten once");
        assert_eq!(clock.next_due(0), at(20));
        let mut wakers = Vec::new();
        assert!(!clock.fire(0, at(19), &mut wakers));
        assert!(wakers.is_empty());
        assert!(!clock.fire(0, at(20), &mut wakers));
        assert_eq!((wakers.len(), clock.len()), (1, 0));
        assert!(!clock.update(late, waker), "it has fired");
        assert_eq!(clock.next_due(0), Time::MAX);
    }

    #[test]
    fn a_crowd_fires_in_batches() {
        let clock = Clock::new(1);
        for _ in 0..=BATCH {
            clock.set(1, Time::ZERO, Waker::noop());
        }
        let mut wakers = Vec::new();
        assert!(clock.fire(1, Time::ZERO, &mut wakers), "one is left");
        assert!(!clock.fire(1, Time::ZERO, &mut wakers));
        assert_eq!(wakers.len(), BATCH + 1);
    }
}
