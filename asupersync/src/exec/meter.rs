//! Cost quotas: what a task, or a region and everything below it, may charge.
//!
//! A region with a cost quota has a pool, one atomic. Charging walks from the
//! region up to the root, debits every pool on the way and takes no lock; where
//! there is no pool at or above, it looks at one flag.
//!
//! 1. consumption is monotone: what is left never grows;
//! 2. whoever takes the last unit, or more than is left, raises the request.

use super::cancel;
use super::region::RegionCell;
use super::task::TaskRef;
use crate::types::cancel::{CancelKind, CancelReason};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The pool of a region, if it has one, and whether one binds it.
pub(crate) struct Meter {
    pool: Option<AtomicU64>,
    /// Whether there is a pool here or above.
    metered: bool,
}

impl Meter {
    /// Of a region with this quota of its own, below one with the meter `above`.
    pub(crate) fn new(quota: Option<u64>, above: Option<&Meter>) -> Self {
        Meter {
            pool: quota.map(AtomicU64::new),
            metered: quota.is_some() || above.is_some_and(|m| m.metered),
        }
    }

    /// What is left of the region's own pool, if it has one.
    pub(crate) fn own(&self) -> Option<u64> {
        Some(self.pool.as_ref()?.load(Ordering::Relaxed))
    }

    /// Takes `cost` units, or all that are left; what was left before, if there is a pool.
    fn debit(&self, cost: u64) -> Option<u64> {
        let less = |left: u64| Some(left.saturating_sub(cost));
        // Relaxed: the number stands for itself, nothing is published with it.
        let pool = self.pool.as_ref()?;
        pool.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .ok()
    }
}

/// The least that is left of the pools which bind a region.
pub(crate) fn left(region: &RegionCell) -> Option<u64> {
    let metered = std::iter::successors(Some(region), |r| r.parent.as_deref())
        .take_while(|r| r.meter.metered);
    metered.filter_map(|r| r.meter.own()).min()
}

/// Charges a task that acts in `region`: its own quota and every pool from the
/// region up. `true` when all of them covered it.
pub(crate) fn charge(task: &TaskRef, region: &Arc<RegionCell>, cost: u64) -> bool {
    let spent = || CancelReason::new(CancelKind::CostQuota);
    let mut covered = true;
    if let Some(left) = task.peek_control(|c| c.record.charge(cost)).flatten() {
        covered &= left >= cost;
        if left <= cost {
            cancel::cancel_task(task, spent());
        }
    }
    let metered =
        std::iter::successors(Some(region), |r| r.parent.as_ref()).take_while(|r| r.meter.metered);
    for region in metered {
        let Some(left) = region.meter.debit(cost) else {
            continue;
        };
        covered &= left >= cost;
        if left <= cost {
            // Also when another task has emptied it: its request may be on the way
            // still, and the caller is to see it when this returns.
            cancel::cancel_region(region, spent());
        }
    }
    covered
}
