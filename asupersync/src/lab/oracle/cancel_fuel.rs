//! Cancel fuel: a request reaches everybody live and unshielded below, each once.
//!
//! A cascade accounts for whom it reached; the account comes out even. Where
//! nobody below had been asked before, the fuel is also counted once more, from
//! nothing but the events of before: it is the number of nodes of that tree.

use super::{Oracle, OracleViolation};
use crate::lab::trace::TraceEvent;
use crate::types::event::Event;
use crate::types::id::RegionId;
use std::collections::BTreeMap;

/// Fires when a cascade leaves somebody out, or comes by twice.
#[derive(Debug, Default)]
pub struct CancelFuel {
    regions: BTreeMap<RegionId, Region>,
    /// What fresh requests to regions have to reach.
    expected: BTreeMap<RegionId, Expected>,
    /// Whose tasks, and which region, ended since the last poll began: whether
    /// they have given up their seat yet is not in the events.
    leaving: Vec<RegionId>,
    violation: Option<OracleViolation>,
}

#[derive(Debug)]
struct Region {
    parent: Option<RegionId>,
    shielded: bool,
    cancelled: bool,
    tasks: u32,
}

/// How many nodes at least, and how many at most.
#[derive(Clone, Copy, Debug)]
struct Expected(u32, u32);

impl CancelFuel {
    /// The oracle of a run that has not begun.
    pub const fn new() -> Self {
        CancelFuel {
            regions: BTreeMap::new(),
            expected: BTreeMap::new(),
            leaving: Vec::new(),
            violation: None,
        }
    }

    /// Whether a request to `top` reaches what is in `region`; `None` where one
    /// on the way there has been asked before.
    fn reaches(&self, top: RegionId, mut region: RegionId) -> Option<bool> {
        while region != top {
            let Some(r) = self.regions.get(&region) else {
                return Some(false);
            };
            if r.shielded {
                return Some(false);
            }
            if r.cancelled {
                return None;
            }
            let Some(parent) = r.parent else {
                return Some(false);
            };
            region = parent;
        }
        Some(true)
    }

    /// The nodes below `top`, if nobody there has been asked.
    fn below(&self, top: RegionId) -> Option<Expected> {
        let (mut nodes, mut leaving) = (0, 0);
        for (id, region) in &self.regions {
            if self.reaches(top, *id)? {
                nodes += region.tasks + u32::from(*id != top);
            }
        }
        for region in &self.leaving {
            leaving += u32::from(self.reaches(top, *region)?);
        }
        Some(Expected(nodes, nodes + leaving))
    }

    fn cascade_ended(&mut self, e: &TraceEvent) {
        let Event::CascadeEnded {
            region,
            task,
            fuel,
            reached,
            again,
        } = e.event
        else {
            return;
        };
        let expected = match task {
            None => self.expected.remove(&region),
            Some(_) => None,
        };
        let what = if again > 0 {
            format!("a request reached somebody again below {region}, {again} times")
        } else if reached != fuel {
            format!("a request reached {reached} of {fuel} below {region}")
        } else if let Some(Expected(least, most)) = expected
            && !(least..=most).contains(&fuel)
        {
            format!("a request counted {fuel} below {region}, where there were {least}")
        } else {
            return;
        };
        let oracle = self.name();
        self.violation.get_or_insert(OracleViolation {
            oracle,
            what,
            event: Some(e.seq),
            task,
            region: Some(region),
        });
    }
}

impl Oracle for CancelFuel {
    fn name(&self) -> &'static str {
        "cancel fuel"
    }

    fn on(&mut self, e: &TraceEvent) {
        match e.event {
            Event::RegionOpened {
                region,
                parent,
                shielded,
                ..
            } => {
                let opened = Region {
                    parent,
                    shielded,
                    cancelled: false,
                    tasks: 0,
                };
                self.regions.insert(region, opened);
            }
            Event::RegionClosed { region } => {
                let closed = self.regions.remove(&region);
                let parent = closed.filter(|r| !r.shielded).and_then(|r| r.parent);
                self.leaving.extend(parent);
            }
            Event::TaskSpawned { region, .. } => {
                if let Some(region) = self.regions.get_mut(&region) {
                    region.tasks += 1;
                }
            }
            Event::TaskCompleted { region, .. } => {
                if let Some(r) = self.regions.get_mut(&region)
                    && r.tasks > 0
                {
                    r.tasks -= 1;
                    self.leaving.push(region);
                }
            }
            Event::TaskPolled { .. } => self.leaving.clear(),
            Event::RegionCancelled { region, swept, .. } => {
                let fresh = self.regions.get(&region).is_some_and(|r| !r.cancelled);
                if !swept
                    && fresh
                    && let Some(expected) = self.below(region)
                {
                    self.expected.insert(region, expected);
                }
                if let Some(region) = self.regions.get_mut(&region) {
                    region.cancelled = true;
                }
            }
            Event::CascadeEnded { .. } => self.cascade_ended(e),
            _ => {}
        }
    }

    fn end(&mut self) {}

    fn check(&self) -> Result<(), OracleViolation> {
        self.violation.clone().map_or(Ok(()), Err)
    }
}
