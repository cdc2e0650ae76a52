//! Cancel order: what happens to a task on its way to its outcome is a path of the table.
//!
//! | phase | asked | sees it | body ends with deferred work left | is escalated | completes |
//! |---|---|---|---|---|---|
//! | Live | → Requested | - | → Finalizing | - | → done |
//! | Requested | same | → Cancelling | → Finalizing | same | → done |
//! | Cancelling | same | - | → Finalizing | same | → done |
//! | Finalizing | same | - | - | same | → done |
//!
//! A task that has deferred work and has begun does not complete but through
//! Finalizing, and is not polled once it has completed. A request to a task
//! that is done changes nothing, and is no event. What a mask lets pass is not
//! judged: it may be a body, whose region was asked and whose task was not.

use super::{Oracle, OracleViolation};
use crate::lab::trace::TraceEvent;
use crate::types::event::Event;
use crate::types::id::TaskId;
use std::collections::BTreeMap;

/// Fires when a task leaves the path that leads to its outcome.
#[derive(Debug, Default)]
pub struct CancelOrder {
    tasks: BTreeMap<TaskId, Task>,
    violation: Option<OracleViolation>,
}

#[derive(Debug, Default)]
struct Task {
    phase: Phase,
    /// Deferred work that has not begun.
    deferred: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
enum Phase {
    #[default]
    Live,
    Requested,
    Cancelling,
    Finalizing,
}

/// What happens to a task.
#[derive(Clone, Copy, Debug)]
enum Step {
    Asked,
    Observed,
    Finalizing,
    Escalated,
}

impl Phase {
    /// The table; `None` is no path.
    fn step(self, step: Step) -> Option<Phase> {
        match (self, step) {
            (Phase::Live, Step::Asked) => Some(Phase::Requested),
            (_, Step::Asked) => Some(self),
            (Phase::Requested, Step::Observed) => Some(Phase::Cancelling),
            (Phase::Finalizing, Step::Finalizing) => None,
            (_, Step::Finalizing) => Some(Phase::Finalizing),
            (Phase::Live, Step::Escalated) => None,
            (_, Step::Escalated) => Some(self),
            (_, Step::Observed) => None,
        }
    }
}

impl CancelOrder {
    /// The oracle of a run that has not begun.
    pub const fn new() -> Self {
        CancelOrder {
            tasks: BTreeMap::new(),
            violation: None,
        }
    }

    fn violate(&mut self, event: u64, task: TaskId, what: String) {
        let oracle = self.name();
        self.violation.get_or_insert(OracleViolation {
            oracle,
            what,
            event: Some(event),
            task: Some(task),
            region: None,
        });
    }

    fn step(&mut self, e: &TraceEvent, task: TaskId, step: Step) {
        let Some(entry) = self.tasks.get_mut(&task) else {
            let what = format!("{task} is not alive, and {step:?}");
            return self.violate(e.seq, task, what);
        };
        let before = entry.phase;
        match before.step(step) {
            Some(phase) => entry.phase = phase,
            None => self.violate(e.seq, task, format!("{task} was {before:?}, and {step:?}")),
        }
    }
}

impl Oracle for CancelOrder {
    fn name(&self) -> &'static str {
        "cancel order"
    }

    fn on(&mut self, e: &TraceEvent) {
        match e.event {
            Event::RegionOpened {
                parent: None,
                opener: task,
                ..
            }
            | Event::TaskSpawned { task, .. } => {
                self.tasks.insert(task, Task::default());
            }
            Event::CancelRequested { task, .. } => self.step(e, task, Step::Asked),
            Event::CancelObserved { task } => self.step(e, task, Step::Observed),
            Event::TaskFinalizing { task } => self.step(e, task, Step::Finalizing),
            Event::TaskEscalated { task } => self.step(e, task, Step::Escalated),
            Event::Deferred {
                task: Some(task), ..
            } => {
                if let Some(entry) = self.tasks.get_mut(&task) {
                    entry.deferred += 1;
                }
            }
            Event::FinalizerBegan {
                task: Some(task), ..
            } => {
                if let Some(entry) = self.tasks.get_mut(&task) {
                    entry.deferred = entry.deferred.saturating_sub(1);
                    if entry.phase != Phase::Finalizing {
                        let what = format!("{task} runs deferred work before its body has ended");
                        self.violate(e.seq, task, what);
                    }
                }
            }
            Event::TaskPolled { task } if !self.tasks.contains_key(&task) => {
                self.violate(e.seq, task, format!("{task} is polled and not alive"));
            }
            Event::TaskCompleted { task, .. } => match self.tasks.remove(&task) {
                None => self.violate(e.seq, task, format!("{task} completes and is not alive")),
                Some(Task { deferred: 0, .. }) => {}
                Some(_) => {
                    let what = format!("{task} completes and leaves its deferred work undone");
                    self.violate(e.seq, task, what);
                }
            },
            _ => {}
        }
    }

    fn end(&mut self) {}

    fn check(&self) -> Result<(), OracleViolation> {
        self.violation.clone().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::cancel::CancelKind;
    use crate::types::id::RegionId;
    use crate::types::outcome::Severity;
    use crate::types::time::Time;

    const TASK: TaskId = TaskId::new(1, 0);
    const REGION: RegionId = RegionId::new(0, 0);

    fn asked(kind: CancelKind) -> Event {
        Event::CancelRequested { task: TASK, kind }
    }

    /// A run that comes by every phase.
    fn path() -> Vec<Event> {
        let (task, region) = (TASK, REGION);
        let whose = Some(TASK);
        vec![
            Event::TaskSpawned { task, region },
            Event::TaskPolled { task },
            Event::Deferred {
                region,
                task: whose,
                index: 0,
            },
            asked(CancelKind::User),
            Event::CancelMasked { task },
            asked(CancelKind::Timeout),
            Event::CancelObserved { task },
            asked(CancelKind::Shutdown),
            Event::TaskFinalizing { task },
            Event::FinalizerBegan {
                region,
                task: whose,
                index: 0,
            },
            Event::TaskEscalated { task },
            Event::TaskCompleted {
                task,
                region,
                severity: Severity::Cancelled,
            },
        ]
    }

    /// The event at which the law is found broken.
    fn found(events: &[Event]) -> Option<u64> {
        let mut oracle = CancelOrder::new();
        for (seq, event) in (0..).zip(events) {
            oracle.on(&TraceEvent {
                seq,
                at: Time::ZERO,
                event: *event,
            });
        }
        oracle.end();
        oracle.check().err().and_then(|v| v.event)
    }

    #[test]
    fn a_path_of_the_table_is_accepted_and_its_mutants_are_not() {
        assert_eq!(found(&path()), None);
        let without = |at: usize| {
            let mut events = path();
            events.remove(at);
            events
        };
        let twice = |at: usize| {
            let mut events = path();
            events.insert(at, events[at]);
            events
        };
        let moved = |from: usize, to: usize| {
            let mut events = path();
            let event = events.remove(from);
            events.insert(to, event);
            events
        };
        let mutants = [
            ("it was never spawned", without(0), 0),
            ("Finalizing is skipped", without(8), 8),
            ("deferred work is skipped", without(9), 10),
            ("seen twice", twice(6), 7),
            ("finalizes twice", twice(8), 9),
            ("completes twice", twice(11), 12),
            ("seen before it is asked", moved(6, 3), 3),
            ("seen by a finalizer", moved(6, 9), 9),
            ("deferred work before the body's end", moved(9, 8), 8),
            ("escalated unasked", moved(10, 3), 3),
            ("polled after its outcome", moved(1, 11), 11),
            ("asked after its outcome", moved(7, 11), 11),
        ];
        for (what, events, at) in mutants {
            assert_eq!(found(&events), Some(at), "{what}");
        }
    }

    #[test]
    fn what_need_not_happen_may_be_left_out() {
        // The mask, the later requests, the escalation; the acknowledgement of a
        // body that ends of its own accord.
        for at in [1, 4, 5, 6, 7, 10] {
            let mut events = path();
            events.remove(at);
            assert_eq!(found(&events), None, "without {:?}", path()[at]);
        }
    }

    /// Every phase and every step, as the table in the head of this module has it.
    #[test]
    fn the_table_is_complete() {
        use Phase::{Cancelling, Finalizing, Live, Requested};
        let rows = [
            (Live, [Some(Requested), None, Some(Finalizing), None]),
            (
                Requested,
                [
                    Some(Requested),
                    Some(Cancelling),
                    Some(Finalizing),
                    Some(Requested),
                ],
            ),
            (
                Cancelling,
                [Some(Cancelling), None, Some(Finalizing), Some(Cancelling)],
            ),
            (Finalizing, [Some(Finalizing), None, None, Some(Finalizing)]),
        ];
        let steps = [
            Step::Asked,
            Step::Observed,
            Step::Finalizing,
            Step::Escalated,
        ];
        for (phase, row) in rows {
            for (step, to) in steps.into_iter().zip(row) {
                assert_eq!(phase.step(step), to, "{phase:?} {step:?}");
                assert!(to.is_none_or(|to| to >= phase), "a phase never goes back");
            }
        }
    }
}
