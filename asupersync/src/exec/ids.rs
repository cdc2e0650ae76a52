//! Who is called what: ids of tasks and regions, shared by all regions of a run.
//!
//! A region keeps the ids that were freed in it and uses them again, last freed
//! first, under the lock it holds anyway. What it has when it closes goes to the
//! run's pool, and a region that has none of its own takes a few from there.
//!
//! Invariants:
//! 1. an id names at most one task, or region, ever: a freed one comes back in
//!    the next generation, and in its last generation not at all;
//! 2. a fresh slot is used only while the pool is empty, so a run has no more
//!    slots than its regions held at once, and [`BATCH`] for each;
//! 3. equal sequences of openings, spawns and ends give equal ids.

use super::lock;
use crate::types::id::{RegionId, TaskId};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// Ids a region takes at once, or as many as it has tasks: so many spawns share
/// a visit to the pool, and so many ids lie idle in a region that needed one.
const BATCH: usize = 32;

/// Ids of one sort that no region holds.
struct Pool<I> {
    /// Last freed last.
    freed: Mutex<Vec<I>>,
    /// How many they are, to find the pool empty without its lock.
    count: AtomicUsize,
    /// The first slot that was never used.
    fresh: AtomicU32,
}

impl<I> Pool<I> {
    const fn new() -> Self {
        Pool {
            freed: Mutex::new(Vec::new()),
            count: AtomicUsize::new(0),
            fresh: AtomicU32::new(0),
        }
    }

    /// An id that was never used, unless there are freed ones. Takes no lock, so
    /// a region may ask under its own.
    fn fresh(&self, new: fn(u32, u32) -> I) -> Option<I> {
        if self.count.load(Ordering::Relaxed) > 0 {
            return None;
        }
        Some(new(self.fresh.fetch_add(1, Ordering::Relaxed), 0))
    }

    /// At least one id, and at most `batch` freed ones; the last is the first to be used.
    fn take(&self, batch: usize, new: fn(u32, u32) -> I) -> Vec<I> {
        let mut freed = lock(&self.freed);
        let rest = freed.len().saturating_sub(batch);
        let mut taken = freed.split_off(rest);
        self.count.store(freed.len(), Ordering::Relaxed);
        drop(freed);
        if taken.is_empty() {
            taken.push(new(self.fresh.fetch_add(1, Ordering::Relaxed), 0));
        }
        taken
    }

    fn give(&self, ids: &mut Vec<I>) {
        if ids.is_empty() {
            return;
        }
        let mut freed = lock(&self.freed);
        freed.append(ids);
        self.count.store(freed.len(), Ordering::Relaxed);
    }
}

/// The ids of a run that no region holds.
pub(crate) struct Ids {
    tasks: Pool<TaskId>,
    regions: Pool<RegionId>,
}

impl Ids {
    pub(crate) const fn new() -> Self {
        Ids {
            tasks: Pool::new(),
            regions: Pool::new(),
        }
    }

    /// The id of a task that nobody has had, unless there are freed ones.
    pub(crate) fn fresh_task(&self) -> Option<TaskId> {
        self.tasks.fresh(TaskId::new)
    }

    /// The id of a region that nobody has had, unless there are freed ones.
    pub(crate) fn fresh_region(&self) -> Option<RegionId> {
        self.regions.fresh(RegionId::new)
    }
}

/// The ids that one region holds and nobody has.
#[derive(Default)]
pub(crate) struct Spare {
    tasks: Vec<TaskId>,
    regions: Vec<RegionId>,
}

impl Spare {
    /// Takes the next id of a task, if there is one.
    pub(crate) fn task(&mut self) -> Option<TaskId> {
        self.tasks.pop()
    }

    /// Takes the next id of a region, if there is one.
    pub(crate) fn region(&mut self) -> Option<RegionId> {
        self.regions.pop()
    }

    /// Puts back the id of a task that was refused.
    pub(crate) fn task_unused(&mut self, id: TaskId) {
        self.tasks.push(id);
    }

    /// Puts back the id of a region that was refused.
    pub(crate) fn region_unused(&mut self, id: RegionId) {
        self.regions.push(id);
    }

    /// A task has left, and its id names nobody any more.
    pub(crate) fn task_left(&mut self, id: TaskId) {
        self.tasks.extend(id.successor());
    }

    /// A region has left, and its id names nobody any more.
    pub(crate) fn region_left(&mut self, id: RegionId) {
        self.regions.extend(id.successor());
    }

    /// Ids for a region that has run out of them and has so many tasks, from the run.
    pub(crate) fn for_tasks(ids: &Ids, alive: u64) -> Self {
        let batch = usize::try_from(alive).map_or(BATCH, |alive| alive.max(BATCH));
        Spare {
            tasks: ids.tasks.take(batch, TaskId::new),
            regions: Vec::new(),
        }
    }

    /// Ids for a region that has run out of them for those below, from the run.
    pub(crate) fn for_regions(ids: &Ids) -> Self {
        Spare {
            tasks: Vec::new(),
            regions: ids.regions.take(BATCH, RegionId::new),
        }
    }

    /// Adds what another value holds, to be used first.
    pub(crate) fn add(&mut self, mut more: Spare) {
        self.tasks.append(&mut more.tasks);
        self.regions.append(&mut more.regions);
    }

    /// Gives everything back to the run.
    pub(crate) fn give_back(mut self, ids: &Ids) {
        ids.tasks.give(&mut self.tasks);
        ids.regions.give(&mut self.regions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_back_last_freed_first_also_from_a_region_that_closed() {
        let ids = Ids::new();
        let mut spare = Spare::default();
        let first: Vec<TaskId> = (0..4)
            .map(|_| {
                let id = spare.task().or_else(|| ids.fresh_task());
                id.expect("none was freed")
            })
            .collect();
        assert_eq!(first, (0..4).map(|s| TaskId::new(s, 0)).collect::<Vec<_>>());
        first.iter().for_each(|id| spare.task_left(*id));
        spare.give_back(&ids);
        assert_eq!(ids.fresh_task(), None, "freed ones come first");
        let mut other = Spare::for_tasks(&ids, 0);
        let again: Vec<TaskId> = std::iter::from_fn(|| other.task()).collect();
        let expected: Vec<TaskId> = (0..4).rev().map(|s| TaskId::new(s, 1)).collect();
        assert_eq!(again, expected);
    }

    #[test]
    fn a_crowd_takes_as_many_as_it_has_tasks() {
        let ids = Ids::new();
        let mut spare = Spare::default();
        (0..1_000).for_each(|slot| spare.task_left(TaskId::new(slot, 0)));
        spare.give_back(&ids);
        let taken = |alive| Spare::for_tasks(&ids, alive).tasks.len();
        assert_eq!([taken(0), taken(100), taken(10_000)], [32, 100, 868]);
    }

    #[test]
    fn a_worn_out_slot_is_retired() {
        let ids = Ids::new();
        let mut spare = Spare::default();
        spare.task_left(TaskId::new(7, u32::MAX));
        spare.region_left(RegionId::new(7, u32::MAX));
        assert_eq!((spare.task(), spare.region()), (None, None));
        spare.give_back(&ids);
        assert_eq!(Spare::for_tasks(&ids, 0).task(), Some(TaskId::new(0, 0)));
    }

    #[test]
    fn a_million_regions_of_two_tasks_use_as_many_slots_as_three_of_them() {
        let ids = Ids::new();
        let rounds = if cfg!(miri) { 100 } else { 1_000_000 };
        let mut root = Spare::default();
        for _ in 0..rounds {
            if root.regions.is_empty() {
                root.add(Spare::for_regions(&ids));
            }
            let id = root.region().expect("just added");
            let mut region = Spare::for_tasks(&ids, 0);
            let a = region.task().expect("it has one");
            if region.tasks.is_empty() {
                region.add(Spare::for_tasks(&ids, 1));
            }
            let b = region.task().expect("just added");
            region.task_left(a);
            region.task_left(b);
            region.give_back(&ids);
            root.region_left(id);
        }
        assert_eq!(ids.tasks.fresh.load(Ordering::Relaxed), 2);
        assert_eq!(ids.regions.fresh.load(Ordering::Relaxed), 1);
    }
}
