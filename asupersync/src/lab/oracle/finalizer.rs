//! Finalizer: deferred work begins last in, first out, each exactly once, before
//! its owner has ended; a region's begins after the drain.

use super::{Oracle, OracleViolation};
use crate::lab::trace::TraceEvent;
use crate::types::event::Event;
use crate::types::id::{RegionId, TaskId};
use std::collections::BTreeMap;

/// Fires when deferred work is lost, repeated, early or out of order.
#[derive(Debug, Default)]
pub struct Finalizer {
    /// How much work of each owner has not begun. An index is its place from the
    /// bottom, so what begins next is the one on top.
    waiting: BTreeMap<Owner, u32>,
    /// Live tasks of each region.
    live: BTreeMap<RegionId, u64>,
    violation: Option<OracleViolation>,
}

/// A task, or without one a region.
type Owner = (RegionId, Option<TaskId>);

impl Finalizer {
    /// The oracle of a run that has not begun.
    pub const fn new() -> Self {
        Finalizer {
            waiting: BTreeMap::new(),
            live: BTreeMap::new(),
            violation: None,
        }
    }

    fn violate(&mut self, e: &TraceEvent, (region, task): Owner, what: &str) {
        let oracle = self.name();
        let owner = match task {
            Some(task) => format!("{task} of {region}"),
            None => region.to_string(),
        };
        self.violation.get_or_insert(OracleViolation {
            oracle,
            what: format!("{owner} {what}"),
            event: Some(e.seq),
            task,
            region: Some(region),
        });
    }

    /// The owner has ended: nothing may be left.
    fn over(&mut self, e: &TraceEvent, owner: Owner) {
        if self.waiting.remove(&owner).unwrap_or(0) > 0 {
            self.violate(e, owner, "ended before its deferred work");
        }
    }
}

impl Oracle for Finalizer {
    fn name(&self) -> &'static str {
        "finalizer"
    }

    fn on(&mut self, e: &TraceEvent) {
        match e.event {
            Event::Deferred {
                region,
                task,
                index,
            } => {
                let owner = (region, task);
                let waiting = self.waiting.entry(owner).or_default();
                if *waiting != index {
                    return self.violate(e, owner, "deferred work to a place that is not the top");
                }
                *waiting += 1;
            }
            Event::FinalizerBegan {
                region,
                task,
                index,
            } => {
                let owner = (region, task);
                match self.waiting.get_mut(&owner) {
                    Some(waiting) if *waiting == index + 1 => *waiting = index,
                    _ => self.violate(e, owner, "began deferred work that is not the last"),
                }
            }
            Event::TaskSpawned { region, .. } => *self.live.entry(region).or_default() += 1,
            Event::TaskCompleted { task, region, .. } => {
                if let Some(live) = self.live.get_mut(&region) {
                    *live = live.saturating_sub(1);
                }
                self.over(e, (region, Some(task)));
            }
            Event::RegionFinalizing { region }
                if self.live.get(&region).is_some_and(|live| *live > 0) =>
            {
                self.violate(e, (region, None), "finalizes before it has drained");
            }
            Event::RegionClosed { region } => {
                self.live.remove(&region);
                self.over(e, (region, None));
            }
            _ => {}
        }
    }

    fn end(&mut self) {}

    fn check(&self) -> Result<(), OracleViolation> {
        self.violation.clone().map_or(Ok(()), Err)
    }
}
