//! Region tree: the open regions form one tree. A region is opened under an open
//! one by a live task, and closed after all below it; a task belongs to exactly
//! one region, from birth to death.

use super::{Oracle, OracleViolation};
use crate::lab::trace::TraceEvent;
use crate::types::event::Event;
use crate::types::id::{RegionId, TaskId};
use std::collections::BTreeMap;

/// Fires when a region or a task is in no place of the tree, or in two.
#[derive(Debug, Default)]
pub struct RegionTree {
    /// Open regions: the one above, and how many are open below.
    open: BTreeMap<RegionId, (Option<RegionId>, u64)>,
    /// Where each live task belongs; a root task to its root region.
    tasks: BTreeMap<TaskId, RegionId>,
    violation: Option<OracleViolation>,
}

impl RegionTree {
    /// The oracle of a run that has not begun.
    pub const fn new() -> Self {
        RegionTree {
            open: BTreeMap::new(),
            tasks: BTreeMap::new(),
            violation: None,
        }
    }

    fn violate(&mut self, e: &TraceEvent, region: RegionId, task: Option<TaskId>, what: String) {
        let oracle = self.name();
        self.violation.get_or_insert(OracleViolation {
            oracle,
            what,
            event: Some(e.seq),
            task,
            region: Some(region),
        });
    }

    fn open(&mut self, e: &TraceEvent, region: RegionId, parent: Option<RegionId>, opener: TaskId) {
        if self.open.contains_key(&region) {
            return self.violate(e, region, None, format!("{region} was opened twice"));
        }
        match parent {
            None if !self.open.is_empty() => {
                self.violate(e, region, None, format!("{region} is a second root"));
            }
            None => {
                self.tasks.insert(opener, region);
            }
            Some(above) if !self.open.contains_key(&above) => {
                let what = format!("{region} was opened under {above}, which is not open");
                self.violate(e, region, None, what);
            }
            Some(_) if !self.tasks.contains_key(&opener) => {
                let what = format!("{region} was opened by {opener}, which is not alive");
                self.violate(e, region, Some(opener), what);
            }
            Some(_) => {}
        }
        if let Some((_, below)) = parent.and_then(|above| self.open.get_mut(&above)) {
            *below += 1;
        }
        self.open.insert(region, (parent, 0));
    }

    fn close(&mut self, e: &TraceEvent, region: RegionId) {
        let Some((parent, below)) = self.open.remove(&region) else {
            return self.violate(
                e,
                region,
                None,
                format!("{region} closed, but was not open"),
            );
        };
        if below > 0 {
            let what = format!("{region} closed with {below} open regions below it");
            self.violate(e, region, None, what);
        }
        if let Some((_, below)) = parent.and_then(|above| self.open.get_mut(&above)) {
            *below = below.saturating_sub(1);
        }
    }
}

impl Oracle for RegionTree {
    fn name(&self) -> &'static str {
        "region tree"
    }

    fn on(&mut self, e: &TraceEvent) {
        match e.event {
            Event::RegionOpened {
                region,
                parent,
                opener,
                ..
            } => self.open(e, region, parent, opener),
            Event::RegionClosed { region } => self.close(e, region),
            Event::TaskSpawned { task, region } => {
                if !self.open.contains_key(&region) {
                    let what = format!("{task} was spawned in {region}, which is not open");
                    self.violate(e, region, Some(task), what);
                }
                if let Some(other) = self.tasks.insert(task, region) {
                    let what = format!("{task} belongs to {other} and to {region}");
                    self.violate(e, region, Some(task), what);
                }
            }
            Event::TaskCompleted { task, region, .. } => {
                let home = self.tasks.remove(&task);
                if let Some(home) = home.filter(|home| *home != region) {
                    let what = format!("{task} of {home} completed in {region}");
                    self.violate(e, region, Some(task), what);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self) {}

    fn check(&self) -> Result<(), OracleViolation> {
        self.violation.clone().map_or(Ok(()), Err)
    }
}
