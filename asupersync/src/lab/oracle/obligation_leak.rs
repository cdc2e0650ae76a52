//! Obligation leak: a promise is resolved before its holder completes, and, in
//! strict mode, never by a running task that just drops it.
//!
//! A promise that a region's body made is the region's, and is resolved before
//! that is closed, unless it may have left with what the body returned: then it
//! is the enclosing region's whose body the same task runs, and if there is none
//! the task's. Whether it has left cannot be seen, but a value whose type has
//! nothing to drop owns no promise, so a body that returns such a value, or none,
//! takes nothing along. What is put into a variable outside of the region does not
//! leave in this way: promise through the context of whom it is to belong to.

use super::{Oracle, OracleViolation};
use crate::lab::trace::TraceEvent;
use crate::types::event::Event;
use crate::types::id::{ObligationId, RegionId, TaskId};
use crate::types::obligation::{AbortCause, ObligationKind, Resolution};
use std::collections::BTreeMap;

pub(super) const NAME: &str = "obligation leak";

/// Fires when a promise is forgotten.
#[derive(Debug)]
pub struct ObligationLeak {
    strict: bool,
    reserved: BTreeMap<(TaskId, ObligationId), Promise>,
    regions: BTreeMap<RegionId, Region>,
    violation: Option<OracleViolation>,
}

#[derive(Clone, Copy, Debug)]
struct Promise {
    kind: ObligationKind,
    /// Whose body made it, or was given it with a value.
    region: Option<RegionId>,
}

#[derive(Debug)]
struct Region {
    parent: Option<RegionId>,
    opener: TaskId,
    /// Its body returned a value that may own promises.
    returned: bool,
}

impl ObligationLeak {
    /// The oracle of a run that has not begun.
    pub const fn new(strict: bool) -> Self {
        ObligationLeak {
            strict,
            reserved: BTreeMap::new(),
            regions: BTreeMap::new(),
            violation: None,
        }
    }

    fn violate(&mut self, event: Option<u64>, task: TaskId, kind: ObligationKind, what: &str) {
        let name = self.name();
        self.violation.get_or_insert_with(|| OracleViolation {
            oracle: name,
            what: format!("ObligationLeak detected: {kind:?} held by {task} {what}"),
            event,
            task: Some(task),
            region: None,
        });
    }

    /// What the region still has leaves it with the value, or has leaked.
    fn closed(&mut self, e: &TraceEvent, id: RegionId) {
        let Some(closed) = self.regions.remove(&id) else {
            return;
        };
        let parent = closed.parent.and_then(|p| Some((p, self.regions.get(&p)?)));
        let around = parent.filter(|(_, p)| p.opener == closed.opener);
        let around = around.map(|(id, _)| id);
        let own = self
            .reserved
            .iter_mut()
            .filter(|(_, p)| p.region == Some(id));
        let mut leaked = None;
        for ((task, _), promise) in own {
            promise.region = around;
            if !closed.returned {
                leaked.get_or_insert((*task, promise.kind));
            }
        }
        if let Some((task, kind)) = leaked {
            let what = format!(
                "was still reserved when {id}, whose body promised it, closed; promise through the \
                 context of whom it is to belong to, or return it from the body"
            );
            self.violate(Some(e.seq), task, kind, &what);
        }
    }
}

impl Oracle for ObligationLeak {
    fn name(&self) -> &'static str {
        NAME
    }

    fn on(&mut self, e: &TraceEvent) {
        match e.event {
            Event::ObligationReserved {
                task,
                obligation,
                kind,
            } => {
                let promise = Promise { kind, region: None };
                self.reserved.insert((task, obligation), promise);
            }
            Event::ObligationOfRegion {
                task,
                obligation,
                region,
            } => {
                if let Some(promise) = self.reserved.get_mut(&(task, obligation)) {
                    promise.region = Some(region);
                }
            }
            Event::RegionOpened {
                region,
                parent,
                opener,
                ..
            } => {
                let opened = Region {
                    parent,
                    opener,
                    returned: false,
                };
                self.regions.insert(region, opened);
            }
            Event::RegionReturned { region } => {
                if let Some(region) = self.regions.get_mut(&region) {
                    region.returned = true;
                }
            }
            Event::RegionClosed { region } => self.closed(e, region),
            Event::ObligationResolved {
                task,
                obligation,
                kind,
                how,
            } => {
                if self.reserved.remove(&(task, obligation)).is_none() {
                    self.violate(
                        Some(e.seq),
                        task,
                        kind,
                        "was resolved without being reserved",
                    );
                }
                match how {
                    Resolution::Leaked => {
                        self.violate(
                            Some(e.seq),
                            task,
                            kind,
                            "was still reserved when its holder completed",
                        );
                    }
                    Resolution::Aborted(AbortCause::Dropped) if self.strict && kind.is_strict() => {
                        self.violate(
                            Some(e.seq),
                            task,
                            kind,
                            "was dropped by a running task; commit or abort it",
                        );
                    }
                    Resolution::Committed | Resolution::Aborted(_) => {}
                }
            }
            Event::ObligationMoved { from, to, kind } => {
                if self.reserved.remove(&from).is_none() {
                    self.violate(
                        Some(e.seq),
                        from.0,
                        kind,
                        "was moved without being reserved",
                    );
                }
                self.reserved.insert(to, Promise { kind, region: None });
            }
            Event::TaskCompleted { task, .. } => {
                let last = ObligationId::new(u32::MAX, u32::MAX);
                let all = (task, ObligationId::new(0, 0))..=(task, last);
                if let Some(kind) = self.reserved.range(all).next().map(|(_, p)| p.kind) {
                    self.violate(
                        Some(e.seq),
                        task,
                        kind,
                        "is reserved although its holder completed",
                    );
                }
            }
            _ => {}
        }
    }

    fn end(&mut self) {
        let first = self.reserved.first_key_value();
        if let Some((task, kind)) = first.map(|((task, _), p)| (*task, p.kind)) {
            self.violate(None, task, kind, "is reserved although the run is over");
        }
    }

    fn check(&self) -> Result<(), OracleViolation> {
        self.violation.clone().map_or(Ok(()), Err)
    }
}
