//! Task leak: when a region is closed, and when the run is over, every task of it has completed, once.

use super::{Oracle, OracleViolation};
use crate::lab::trace::TraceEvent;
use crate::types::event::Event;
use crate::types::id::{RegionId, TaskId};
use std::collections::BTreeSet;

/// Fires when a task outlives its region or the run.
#[derive(Debug, Default)]
pub struct TaskLeak {
    /// Spawned and not completed.
    live: BTreeSet<(RegionId, TaskId)>,
    /// The tasks that run root regions; they complete after these have closed.
    roots: BTreeSet<(RegionId, TaskId)>,
    violation: Option<OracleViolation>,
}

impl TaskLeak {
    /// The oracle of a run that has not begun.
    pub const fn new() -> Self {
        TaskLeak {
            live: BTreeSet::new(),
            roots: BTreeSet::new(),
            violation: None,
        }
    }

    fn violate(&mut self, event: Option<u64>, task: TaskId, region: RegionId, what: &str) {
        let name = self.name();
        self.violation.get_or_insert_with(|| OracleViolation {
            oracle: name,
            what: format!("{task} of {region} {what}"),
            event,
            task: Some(task),
            region: Some(region),
        });
    }
}

impl Oracle for TaskLeak {
    fn name(&self) -> &'static str {
        "task leak"
    }

    fn on(&mut self, e: &TraceEvent) {
        match e.event {
            Event::RegionOpened {
                region,
                parent: None,
                opener,
                ..
            } => {
                self.roots.insert((region, opener));
            }
            Event::TaskSpawned { task, region } => {
                self.live.insert((region, task));
            }
            Event::TaskCompleted { task, region, .. } => {
                let child = self.live.remove(&(region, task));
                if !child && !self.roots.remove(&(region, task)) {
                    self.violate(Some(e.seq), task, region, "completed without being alive");
                }
            }
            Event::RegionClosed { region } => {
                let all = (region, TaskId::new(0, 0))..=(region, TaskId::new(u32::MAX, u32::MAX));
                if let Some((_, task)) = self.live.range(all).next().copied() {
                    self.violate(
                        Some(e.seq),
                        task,
                        region,
                        "is alive although its region closed",
                    );
                }
            }
            _ => {}
        }
    }

    fn end(&mut self) {
        if let Some((region, task)) = self.live.first().or(self.roots.first()).copied() {
            self.violate(None, task, region, "is alive although the run is over");
        }
    }

    fn check(&self) -> Result<(), OracleViolation> {
        self.violation.clone().map_or(Ok(()), Err)
    }
}
