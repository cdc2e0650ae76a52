//! Capability use: a context does no more than its set allows, none is made
//! with more than its maker's, and a task waits through its own.

use super::{Oracle, OracleViolation};
use crate::lab::trace::TraceEvent;
use crate::types::event::Event;
use crate::types::id::TaskId;

/// Fires when an effect happens that was not granted.
#[derive(Debug, Default)]
pub struct CapabilityUse {
    violation: Option<OracleViolation>,
}

impl CapabilityUse {
    /// The oracle of a run that has not begun.
    pub const fn new() -> Self {
        CapabilityUse { violation: None }
    }

    fn violate(&mut self, event: u64, task: TaskId, what: impl FnOnce() -> String) {
        let name = self.name();
        self.violation.get_or_insert_with(|| OracleViolation {
            oracle: name,
            what: what(),
            event: Some(event),
            task: Some(task),
            region: None,
        });
    }
}

impl Oracle for CapabilityUse {
    fn name(&self) -> &'static str {
        "capability use"
    }

    fn on(&mut self, e: &TraceEvent) {
        match e.event {
            Event::EffectAllowed {
                task,
                capability,
                held,
            } if !held.contains(capability) => self.violate(e.seq, task, || {
                format!("{task} performed {capability} through a context that may only {held:?}")
            }),
            Event::CapsNarrowed { task, from, to } if !to.is_subset(from) => {
                self.violate(e.seq, task, || {
                    format!("{task} was given {to:?} by a context that may only {from:?}")
                });
            }
            Event::ForeignCx { owner, user } => self.violate(e.seq, user, || {
                format!(
                    "TaskNotOwned: {user} waits through the context of {owner}; give every task the context that its body is called with"
                )
            }),
            _ => {}
        }
    }

    fn end(&mut self) {}

    fn check(&self) -> Result<(), OracleViolation> {
        self.violation.clone().map_or(Ok(()), Err)
    }
}
