//! Where ids come from: freed slots first, the one freed last before the others.
//!
//! A region keeps the ids that its children have given back, and reuses them
//! under its own lock. When it closes, they go on to the run's pool, in batches,
//! from which a region whose own are used up takes one: so there are never more
//! slots than were alive at one time and a batch per region, and neither spawn
//! nor end visits a lock for it.

use crossbeam_queue::SegQueue;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most ids that a region takes at once: what it does not use, others cannot.
const BATCH: usize = 31;

/// Ids of one kind that no region has.
pub(crate) struct Pool<Id> {
    fresh: AtomicU64,
    spare: SegQueue<Vec<Id>>,
    make: fn(u32, u32) -> Id,
}

impl<Id> Pool<Id> {
    /// `make` is given slot and generation.
    pub(crate) fn new(make: fn(u32, u32) -> Id) -> Self {
        Pool {
            fresh: AtomicU64::new(0),
            spare: SegQueue::new(),
            make,
        }
    }

    /// An id of a slot that nobody has ever had.
    ///
    /// # Panics
    /// When 2^32 slots are in use, or worn out.
    pub(crate) fn fresh(&self) -> Id {
        let slot = self.fresh.fetch_add(1, Ordering::Relaxed);
        let slot = u32::try_from(slot).expect("a run has at most 2^32 slots for ids of a kind");
        (self.make)(slot, 0)
    }

    /// An id for a child of the region whose own ids are `local`.
    pub(crate) fn take(&self, local: &mut Vec<Id>) -> Id {
        if local.is_empty()
            && let Some(batch) = self.spare.pop()
        {
            *local = batch;
        }
        local.pop().unwrap_or_else(|| self.fresh())
    }

    /// Takes over the ids of a region that has closed.
    pub(crate) fn give(&self, mut ids: Vec<Id>) {
        if ids.len() > BATCH {
            while ids.len() > BATCH {
                self.spare.push(ids.split_off(ids.len() - BATCH));
            }
            ids.shrink_to_fit();
        }
        if !ids.is_empty() {
            self.spare.push(ids);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::id::TaskId;

    #[test]
    fn what_was_freed_last_is_reused_first() {
        let pool = Pool::new(TaskId::new);
        let mut local = Vec::new();
        let ids: Vec<_> = (0..4).map(|_| pool.take(&mut local)).collect();
        local.extend(ids.iter().filter_map(|id| id.successor()));
        let again: Vec<_> = (0..4).map(|_| pool.take(&mut local)).collect();
        let slots = |ids: &[TaskId]| ids.iter().map(|id| id.slot()).collect::<Vec<_>>();
        assert_eq!(slots(&again), [3, 2, 1, 0]);
        assert!(again.iter().all(|id| id.generation() == 1));
    }

    #[test]
    fn ids_of_closed_regions_go_on_to_others() {
        let pool = Pool::new(TaskId::new);
        let mut highest = 0;
        for round in 0..1_000_000u32 {
            let mut local = Vec::new();
            let ids: Vec<_> = (0..1 + round % 3).map(|_| pool.take(&mut local)).collect();
            highest = ids.iter().map(|id| id.slot()).fold(highest, u32::max);
            local.extend(ids.iter().filter_map(|id| id.successor()));
            pool.give(local);
        }
        assert_eq!(highest, 2, "three were alive at most");
    }

    #[test]
    fn a_region_that_needs_few_does_not_keep_many() {
        let pool = Pool::new(TaskId::new);
        let mut local = Vec::new();
        let many: Vec<_> = (0..1_000).map(|_| pool.take(&mut local)).collect();
        pool.give(many);
        for _ in 0..100 {
            // A small region stays open while a large one comes and goes.
            let (mut small, mut large) = (Vec::new(), Vec::new());
            let one = pool.take(&mut small);
            let ids: Vec<_> = (0..900).map(|_| pool.take(&mut large)).collect();
            assert!(ids.iter().all(|id| id.slot() < 1_000));
            large.extend(ids);
            small.push(one);
            pool.give(large);
            pool.give(small);
        }
    }
}
