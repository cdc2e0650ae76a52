//! Obligation leak: a promise is resolved once, by its holder, before that
//! completes, and, in strict mode, never by a running task that just drops it.

use super::{Oracle, OracleViolation};
use crate::lab::trace::TraceEvent;
use crate::types::event::Event;
use crate::types::id::{RegionId, TaskId};
use crate::types::obligation::{AbortCause, LeakResponse, ObligationKind, Resolution};
use crate::types::policy::Name;
use crate::types::report::LeakRecord;
use std::collections::BTreeMap;

pub(super) const NAME: &str = "obligation leak";

/// Fires when a promise is forgotten.
#[derive(Debug)]
pub struct ObligationLeak {
    strict: bool,
    /// Whether a leak breaks the law: with a milder response it was asked for.
    leaks: bool,
    homes: BTreeMap<TaskId, RegionId>,
    reserved: BTreeMap<(TaskId, u32), ObligationKind>,
    violation: Option<OracleViolation>,
}

impl ObligationLeak {
    /// The oracle of a run that has not begun. `strict`: whether a running task
    /// may drop what it has promised. Leaks are violations where they are
    /// answered with a panic.
    pub const fn new(strict: bool, leaks: LeakResponse) -> Self {
        ObligationLeak {
            strict,
            leaks: matches!(leaks, LeakResponse::Panic),
            homes: BTreeMap::new(),
            reserved: BTreeMap::new(),
            violation: None,
        }
    }

    fn violate(&mut self, event: Option<u64>, task: TaskId, what: String) {
        let (oracle, region) = (self.name(), self.homes.get(&task).copied());
        self.violation.get_or_insert(OracleViolation {
            oracle,
            what,
            event,
            task: Some(task),
            region,
        });
    }

    fn reserved(&mut self, e: &TraceEvent, task: TaskId, slot: u32, kind: ObligationKind) {
        if self.reserved.insert((task, slot), kind).is_some() {
            let what = format!("{task} reserved its promise {slot} twice");
            self.violate(Some(e.seq), task, what);
        }
    }

    fn resolved(&mut self, e: &TraceEvent, task: TaskId, slot: u32, kind: ObligationKind) {
        if self.reserved.remove(&(task, slot)) != Some(kind) {
            let what = format!("{task} resolved a {kind:?} that it does not hold");
            self.violate(Some(e.seq), task, what);
        }
    }

    fn leaked(&self, task: TaskId, kind: ObligationKind) -> String {
        let record = LeakRecord {
            task,
            name: Name::default(),
            region: self
                .homes
                .get(&task)
                .copied()
                .unwrap_or(RegionId::new(0, 0)),
            kind,
        };
        record.to_string()
    }
}

impl Oracle for ObligationLeak {
    fn name(&self) -> &'static str {
        NAME
    }

    fn on(&mut self, e: &TraceEvent) {
        match e.event {
            Event::TaskSpawned { task, region } => {
                self.homes.insert(task, region);
            }
            Event::RegionOpened {
                region,
                parent: None,
                opener,
                ..
            } => {
                self.homes.insert(opener, region);
            }
            Event::ObligationReserved { task, slot, kind } => self.reserved(e, task, slot, kind),
            Event::ObligationTransferred {
                from,
                old,
                to,
                new,
                kind,
            } => {
                self.resolved(e, from, old, kind);
                self.reserved(e, to, new, kind);
            }
            Event::ObligationResolved {
                task,
                slot,
                kind,
                how,
            } => {
                self.resolved(e, task, slot, kind);
                let what = match how {
                    Resolution::Leaked if self.leaks => self.leaked(task, kind),
                    Resolution::Aborted(AbortCause::Dropped) if self.strict && kind.is_strict() => {
                        format!(
                            "ObligationLeak detected: {task} dropped a {kind:?} while it ran; {}",
                            kind.resolution()
                        )
                    }
                    _ => return,
                };
                self.violate(Some(e.seq), task, what);
            }
            Event::TaskCompleted { task, .. } => {
                let all = (task, 0)..=(task, u32::MAX);
                if let Some(kind) = self.reserved.range(all).next().map(|(_, kind)| *kind) {
                    let what = self.leaked(task, kind);
                    self.violate(Some(e.seq), task, what);
                }
                self.homes.remove(&task);
            }
            _ => {}
        }
    }

    fn end(&mut self) {
        if let Some(((task, _), kind)) = self.reserved.first_key_value().map(|(k, v)| (*k, *v)) {
            let what = format!("{task} holds a {kind:?} although the run is over");
            self.violate(None, task, what);
        }
    }

    fn check(&self) -> Result<(), OracleViolation> {
        self.violation.clone().map_or(Ok(()), Err)
    }
}
