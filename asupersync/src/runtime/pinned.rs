//! Tasks that stay on one thread, ready to be polled there.

use super::lock;
use crate::sched::{Lanes, StreakLimits};
use crate::world::Runnable;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Filled from any thread, emptied by the one whose tasks these are. Looking
/// at an empty one is one load.
pub(super) struct Pinned {
    lanes: Mutex<Lanes<Runnable>>,
    len: AtomicUsize,
}

impl Pinned {
    pub(super) fn new(streaks: StreakLimits) -> Self {
        Pinned {
            lanes: Mutex::new(Lanes::with_limits(streaks)),
            len: AtomicUsize::new(0),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len.load(Ordering::SeqCst) == 0
    }

    /// Adds a task; the caller wakes the thread if that is another one.
    pub(super) fn push(&self, task: Runnable) {
        let lane = task.lane();
        let mut lanes = lock(&self.lanes);
        lanes.push(lane, task);
        self.len.store(lanes.len(), Ordering::SeqCst);
    }

    /// The next task by lane.
    #[inline]
    pub(super) fn pop(&self) -> Option<Runnable> {
        // May lag behind another thread's push, which is followed by a wake-up.
        if self.len.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.pop_locked()
    }

    #[inline(never)]
    fn pop_locked(&self) -> Option<Runnable> {
        let mut lanes = lock(&self.lanes);
        let task = lanes.pop();
        self.len.store(lanes.len(), Ordering::Release);
        task
    }

    /// Whether the published length is that of the lanes.
    pub(super) fn counters_agree(&self) -> bool {
        let lanes = lock(&self.lanes);
        self.len.load(Ordering::Relaxed) == lanes.len()
    }
}
