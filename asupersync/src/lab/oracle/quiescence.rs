//! Quiescence: a closed region has no live task, no open region below it and no
//! unresolved promise, and stays so; after the run no region is open and no
//! timer is set.

use super::{Oracle, OracleViolation};
use crate::lab::trace::TraceEvent;
use crate::types::event::Event;
use crate::types::id::{RegionId, TaskId};
use std::collections::BTreeMap;

/// Fires when something of a closed region goes on.
#[derive(Debug, Default)]
pub struct Quiescence {
    open: BTreeMap<RegionId, Region>,
    /// Where each live task belongs.
    tasks: BTreeMap<TaskId, RegionId>,
    timers: u64,
    violation: Option<OracleViolation>,
}

/// What is going on in an open region.
#[derive(Debug, Default)]
struct Region {
    parent: Option<RegionId>,
    tasks: u64,
    regions: u64,
    promises: u64,
}

impl Region {
    fn is_quiet(&self) -> bool {
        self.tasks == 0 && self.regions == 0 && self.promises == 0
    }
}

impl Quiescence {
    /// The oracle of a run that has not begun.
    pub const fn new() -> Self {
        Quiescence {
            open: BTreeMap::new(),
            tasks: BTreeMap::new(),
            timers: 0,
            violation: None,
        }
    }

    fn violate(&mut self, event: Option<u64>, region: Option<RegionId>, what: String) {
        let oracle = self.name();
        self.violation.get_or_insert(OracleViolation {
            oracle,
            what,
            event,
            task: None,
            region,
        });
    }

    /// The region of a live task.
    fn home(&mut self, task: TaskId) -> Option<&mut Region> {
        self.open.get_mut(self.tasks.get(&task)?)
    }
}

impl Oracle for Quiescence {
    fn name(&self) -> &'static str {
        "quiescence"
    }

    fn on(&mut self, e: &TraceEvent) {
        let seq = Some(e.seq);
        match e.event {
            Event::RegionOpened { region, parent, .. } => {
                self.open.insert(
                    region,
                    Region {
                        parent,
                        ..Region::default()
                    },
                );
                if let Some(above) = parent {
                    match self.open.get_mut(&above) {
                        Some(above) => above.regions += 1,
                        None => self.violate(
                            seq,
                            parent,
                            format!("{region} opened under closed {above}"),
                        ),
                    }
                }
            }
            Event::TaskSpawned { task, region } => match self.open.get_mut(&region) {
                Some(home) => {
                    home.tasks += 1;
                    self.tasks.insert(task, region);
                }
                None => self.violate(
                    seq,
                    Some(region),
                    format!("{task} was spawned in closed {region}"),
                ),
            },
            Event::TaskCompleted { task, .. } => {
                if let Some(home) = self.home(task) {
                    home.tasks = home.tasks.saturating_sub(1);
                }
                self.tasks.remove(&task);
            }
            Event::ObligationReserved { task, .. } => {
                if let Some(home) = self.home(task) {
                    home.promises += 1;
                }
            }
            Event::ObligationResolved { task, .. } => {
                if let Some(home) = self.home(task) {
                    home.promises = home.promises.saturating_sub(1);
                }
            }
            Event::ObligationMoved { from, to, .. } => {
                if let Some(home) = self.home(from.0) {
                    home.promises = home.promises.saturating_sub(1);
                }
                if let Some(home) = self.home(to.0) {
                    home.promises += 1;
                }
            }
            Event::RegionClosed { region } => match self.open.remove(&region) {
                None => self.violate(
                    seq,
                    Some(region),
                    format!("{region} closed without being open"),
                ),
                Some(closed) => {
                    if let Some(above) = closed.parent.and_then(|p| self.open.get_mut(&p)) {
                        above.regions = above.regions.saturating_sub(1);
                    }
                    if !closed.is_quiet() {
                        let Region {
                            tasks,
                            regions,
                            promises,
                            ..
                        } = closed;
                        self.violate(
                            seq,
                            Some(region),
                            format!("{region} closed with {tasks} live tasks, {regions} open regions and {promises} unresolved promises"),
                        );
                    }
                }
            },
            Event::TimerSet { .. } => self.timers += 1,
            Event::TimerFired { .. } | Event::TimerCancelled { .. } => {
                self.timers = self.timers.saturating_sub(1);
            }
            _ => {}
        }
    }

    fn end(&mut self) {
        if let Some(region) = self.open.keys().next().copied() {
            self.violate(
                None,
                Some(region),
                format!("{region} is open although the run is over"),
            );
        }
        if self.timers > 0 {
            let timers = self.timers;
            self.violate(
                None,
                None,
                format!("{timers} timers are set although the run is over"),
            );
        }
    }

    fn check(&self) -> Result<(), OracleViolation> {
        self.violation.clone().map_or(Ok(()), Err)
    }
}
