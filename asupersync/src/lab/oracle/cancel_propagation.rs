//! Cancel propagation: a request reaches everything below, at once, and nothing else.
//!
//! A cancelled region asks its live tasks and its unshielded subregions, a task
//! that is asked the unshielded regions that it opened; no task is polled before
//! all are asked. A region that is swept has a cancelled region above or an
//! opener that was asked, and is not shielded.

use super::{Oracle, OracleViolation};
use crate::lab::trace::TraceEvent;
use crate::types::event::Event;
use crate::types::id::{RegionId, TaskId};
use std::collections::{BTreeMap, BTreeSet};

/// Fires when a request misses somebody below, or reaches somebody else.
#[derive(Debug, Default)]
pub struct CancelPropagation {
    regions: BTreeMap<RegionId, Region>,
    tasks: BTreeMap<TaskId, Task>,
    /// Who is owed a request before the next poll.
    owed_tasks: BTreeSet<TaskId>,
    owed_regions: BTreeSet<RegionId>,
    /// A region was handed over: the next task drains it, and is nobody's child.
    drains: bool,
    violation: Option<OracleViolation>,
}

#[derive(Debug)]
struct Region {
    parent: Option<RegionId>,
    opener: TaskId,
    shielded: bool,
    /// Requests to the opener do not reach it: it is shielded, or the opener has
    /// opened it inside such a region.
    screened: bool,
    cancelled: bool,
    /// Past the point where a request changes anything.
    finalizing: bool,
}

#[derive(Debug)]
struct Task {
    region: RegionId,
    asked: bool,
    /// Keeps a place but is asked by no request: a root task, or one of the
    /// runtime that was admitted after the sweep.
    exempt: bool,
}

impl CancelPropagation {
    /// The oracle of a run that has not begun.
    pub const fn new() -> Self {
        CancelPropagation {
            regions: BTreeMap::new(),
            tasks: BTreeMap::new(),
            owed_tasks: BTreeSet::new(),
            owed_regions: BTreeSet::new(),
            drains: false,
            violation: None,
        }
    }

    fn violate(
        &mut self,
        event: Option<u64>,
        region: Option<RegionId>,
        task: Option<TaskId>,
        what: String,
    ) {
        let oracle = self.name();
        self.violation.get_or_insert(OracleViolation {
            oracle,
            what,
            event,
            task,
            region,
        });
    }

    /// Whether a request from above still has to reach the region.
    fn owes(region: &Region) -> bool {
        // The opener of a root is the root itself: there is nothing above.
        region.parent.is_some() && !region.shielded && !region.cancelled && !region.finalizing
    }

    fn is_cancelled(&self, region: RegionId) -> bool {
        self.regions.get(&region).is_some_and(|r| r.cancelled)
    }

    fn is_asked(&self, task: TaskId) -> bool {
        self.tasks.get(&task).is_some_and(|t| t.asked)
    }

    fn region_cancelled(&mut self, e: &TraceEvent, id: RegionId, swept: bool) {
        let Some(region) = self.regions.get_mut(&id) else {
            return;
        };
        region.cancelled = true;
        self.owed_regions.remove(&id);
        let (parent, opener, shielded) = (region.parent, region.opener, region.shielded);
        if swept {
            let above = parent.is_some_and(|p| self.is_cancelled(p)) || self.is_asked(opener);
            if shielded || !above {
                let what = if shielded {
                    format!("a request from above reached {id}, which is shielded")
                } else {
                    format!("a request reached {id}, but nothing above it was asked")
                };
                self.violate(Some(e.seq), Some(id), None, what);
            }
        }
        let tasks = self.tasks.iter().filter(|(_, t)| t.region == id);
        let missed = tasks.filter(|(_, t)| !t.asked && !t.exempt);
        self.owed_tasks.extend(missed.map(|(task, _)| *task));
        let below = self.regions.iter().filter(|(_, r)| r.parent == Some(id));
        let missed = below.filter(|(_, r)| Self::owes(r));
        self.owed_regions.extend(missed.map(|(region, _)| *region));
    }

    fn task_asked(&mut self, id: TaskId) {
        self.owed_tasks.remove(&id);
        if let Some(task) = self.tasks.get_mut(&id) {
            task.asked = true;
        }
        let opened = self
            .regions
            .iter()
            .filter(|(_, r)| r.opener == id && !r.screened);
        let missed = opened.filter(|(_, r)| Self::owes(r));
        self.owed_regions.extend(missed.map(|(region, _)| *region));
    }

    fn settle(&mut self, event: Option<u64>) {
        if let Some(task) = self.owed_tasks.pop_first() {
            let what = format!("{task} is alive in a cancelled region and was not asked");
            self.violate(event, None, Some(task), what);
        }
        if let Some(region) = self.owed_regions.pop_first() {
            let what = format!("{region} is open below a request and was not asked");
            self.violate(event, Some(region), None, what);
        }
    }
}

impl Oracle for CancelPropagation {
    fn name(&self) -> &'static str {
        "cancel propagation"
    }

    fn on(&mut self, e: &TraceEvent) {
        match e.event {
            Event::RegionOpened {
                region,
                parent,
                opener,
                shielded,
            } => {
                if parent.is_none() {
                    let root = Task {
                        region,
                        asked: false,
                        exempt: true,
                    };
                    self.tasks.insert(opener, root);
                }
                let late = parent.is_some_and(|p| self.is_cancelled(p));
                if late && !shielded {
                    let what = format!("{region} was opened below a cancelled region");
                    self.violate(Some(e.seq), Some(region), None, what);
                }
                let above = parent.and_then(|p| self.regions.get(&p));
                let inside = above.is_some_and(|r| r.screened && r.opener == opener);
                let screened = shielded || inside;
                if self.is_asked(opener) && !screened {
                    self.owed_regions.insert(region);
                }
                self.regions.insert(
                    region,
                    Region {
                        parent,
                        opener,
                        shielded,
                        screened,
                        cancelled: false,
                        finalizing: false,
                    },
                );
            }
            Event::RegionHandedOver { .. } => self.drains = true,
            Event::TaskSpawned { task, region } => {
                let exempt = std::mem::take(&mut self.drains);
                let late = self.is_cancelled(region);
                if late && !exempt {
                    let what = format!("{task} was spawned in cancelled {region}");
                    self.violate(Some(e.seq), Some(region), Some(task), what);
                }
                self.tasks.insert(
                    task,
                    Task {
                        region,
                        asked: false,
                        exempt: exempt && late,
                    },
                );
            }
            Event::RegionCancelled { region, swept, .. } => {
                self.region_cancelled(e, region, swept);
            }
            Event::CancelRequested { task, .. } => self.task_asked(task),
            Event::RegionFinalizing { region } => {
                self.owed_regions.remove(&region);
                if let Some(region) = self.regions.get_mut(&region) {
                    region.finalizing = true;
                }
            }
            Event::RegionClosed { region } => {
                self.owed_regions.remove(&region);
                self.regions.remove(&region);
            }
            Event::TaskCompleted { task, .. } => {
                self.owed_tasks.remove(&task);
                self.tasks.remove(&task);
            }
            Event::TaskPolled { .. } => self.settle(Some(e.seq)),
            _ => {}
        }
    }

    fn end(&mut self) {
        self.settle(None);
    }

    fn check(&self) -> Result<(), OracleViolation> {
        self.violation.clone().map_or(Ok(()), Err)
    }
}
