//! Obligation leak: a promise is resolved before its holder completes, and, in
//! strict mode, never by a running task that just drops it.

use super::{Oracle, OracleViolation};
use crate::lab::trace::TraceEvent;
use crate::types::event::Event;
use crate::types::id::{ObligationId, TaskId};
use crate::types::obligation::{AbortCause, ObligationKind, Resolution};
use std::collections::BTreeMap;

pub(super) const NAME: &str = "obligation leak";

/// Fires when a promise is forgotten.
#[derive(Debug)]
pub struct ObligationLeak {
    strict: bool,
    reserved: BTreeMap<(TaskId, ObligationId), ObligationKind>,
    violation: Option<OracleViolation>,
}

impl ObligationLeak {
    /// The oracle of a run that has not begun.
    pub const fn new(strict: bool) -> Self {
        ObligationLeak {
            strict,
            reserved: BTreeMap::new(),
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
                self.reserved.insert((task, obligation), kind);
            }
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
                self.reserved.insert(to, kind);
            }
            Event::TaskCompleted { task, .. } => {
                let last = ObligationId::new(u32::MAX, u32::MAX);
                let all = (task, ObligationId::new(0, 0))..=(task, last);
                if let Some(kind) = self.reserved.range(all).next().map(|(_, kind)| *kind) {
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
        if let Some(((task, _), kind)) = self.reserved.first_key_value().map(|(k, v)| (*k, *v)) {
            self.violate(None, task, kind, "is reserved although the run is over");
        }
    }

    fn check(&self) -> Result<(), OracleViolation> {
        self.violation.clone().map_or(Ok(()), Err)
    }
}
