//! Capability use: a context does no more than its set allows, none is made
//! with more than its maker's, and a task waits through its own.

use super::{Oracle, OracleViolation};
use crate::lab::trace::TraceEvent;
use crate::types::event::Event;
use crate::types::id::TaskId;

const NAME: &str = "capability use";
/// The second of the two laws that this oracle judges.
pub(super) const OWNERSHIP: &str = "context ownership";

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

    fn violate(
        &mut self,
        law: &'static str,
        event: u64,
        task: TaskId,
        what: impl FnOnce() -> String,
    ) {
        self.violation.get_or_insert_with(|| OracleViolation {
            oracle: law,
            what: what(),
            event: Some(event),
            task: Some(task),
            region: None,
        });
    }
}

impl Oracle for CapabilityUse {
    fn name(&self) -> &'static str {
        NAME
    }

    fn on(&mut self, e: &TraceEvent) {
        match e.event {
            Event::EffectAllowed {
                task,
                capability,
                held,
            } if !held.contains(capability) => self.violate(NAME, e.seq, task, || {
                format!("{task} performed {capability} through a context that may only {held:?}")
            }),
            Event::CapsNarrowed { task, from, to } if !to.is_subset(from) => {
                self.violate(NAME, e.seq, task, || {
                    format!("{task} was given {to:?} by a context that may only {from:?}")
                });
            }
            Event::ForeignCx { owner, user } => self.violate(OWNERSHIP, e.seq, user, || {
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
