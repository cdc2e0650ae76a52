//! Judges of a run, one law per file.
//!
//! An oracle reads events and nothing else, so it judges a recorded trace as
//! well as a live run. One violation is proof: the checks are exact.

mod cancel_fuel;
mod cancel_order;
mod cancel_propagation;
mod capability_use;
mod finalizer;
mod futurelock;
mod kind;
mod obligation_leak;
mod quiescence;
mod race_drain;
mod region_tree;
mod task_leak;

pub use cancel_fuel::CancelFuel;
pub use cancel_order::CancelOrder;
pub use cancel_propagation::CancelPropagation;
pub use capability_use::CapabilityUse;
pub use finalizer::Finalizer;
pub use futurelock::Futurelock;
pub(super) use futurelock::MAX_IDLE_STEPS;
pub use obligation_leak::ObligationLeak;
pub use quiescence::Quiescence;
pub use race_drain::RaceDrain;
pub use region_tree::RegionTree;
pub use task_leak::TaskLeak;

use super::trace::{Trace, TraceEvent};
use crate::types::id::{RegionId, TaskId};
use std::fmt;

/// A law that every run obeys.
pub trait Oracle: Send {
    /// The law's name.
    fn name(&self) -> &'static str;

    /// Takes the next event.
    fn on(&mut self, e: &TraceEvent);

    /// Learns that the run is over: what is still open now never ends.
    fn end(&mut self);

    /// Whether the law held so far; the first violation is kept.
    fn check(&self) -> Result<(), OracleViolation>;
}

/// Proof that a law does not hold.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{oracle}: {what}{}", Place(self))]
pub struct OracleViolation {
    /// The law.
    pub oracle: &'static str,
    /// What is wrong.
    pub what: String,
    /// Index of the event that proves it; `None` for the end of the run.
    pub event: Option<u64>,
    /// The task concerned.
    pub task: Option<TaskId>,
    /// The region concerned.
    pub region: Option<RegionId>,
}

struct Place<'a>(&'a OracleViolation);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.event {
            Some(event) => write!(f, " (event {event})"),
            None => f.write_str(" (end of the run)"),
        }
    }
}

macro_rules! oracles {
    ($strict:ident, $idle_steps:ident; $($name:ident: $oracle:ident = $new:expr,)*) => {
        /// The oracles of a run.
        pub(super) struct Oracles {
            $(pub(super) $name: $oracle,)*
        }

        impl Oracles {
            pub(super) fn new($strict: bool, $idle_steps: u64) -> Self {
                Oracles { $($name: $new,)* }
            }

            pub(super) fn on(&mut self, e: &TraceEvent) {
                $(self.$name.on(e);)*
            }

            pub(super) fn end(&mut self) {
                $(self.$name.end();)*
            }

            pub(super) fn check(&self) -> Result<(), OracleViolation> {
                $(self.$name.check()?;)*
                Ok(())
            }

            /// All violations, in the order of the laws.
            fn violations(&self) -> Vec<OracleViolation> {
                [$(self.$name.check().err(),)*].into_iter().flatten().collect()
            }
        }
    };
}

// The order is that in which violations are told.
oracles! { strict, idle_steps;
    task_leak: TaskLeak = TaskLeak::new(),
    obligation_leak: ObligationLeak = ObligationLeak::new(strict),
    quiescence: Quiescence = Quiescence::new(),
    region_tree: RegionTree = RegionTree::new(),
    cancel_propagation: CancelPropagation = CancelPropagation::new(),
    cancel_fuel: CancelFuel = CancelFuel::new(),
    cancel_order: CancelOrder = CancelOrder::new(),
    finalizer: Finalizer = Finalizer::new(),
    race_drain: RaceDrain = RaceDrain::new(),
    capability_use: CapabilityUse = CapabilityUse::new(),
    futurelock: Futurelock = Futurelock::new(idle_steps),
}

/// Judges a recorded trace by every oracle; the violations in the order of the laws.
pub fn judge(trace: &Trace, strict: bool) -> Vec<OracleViolation> {
    let mut oracles = Oracles::new(strict, MAX_IDLE_STEPS);
    trace.events.iter().for_each(|e| oracles.on(e));
    oracles.end();
    oracles.violations()
}

#[cfg(test)]
mod tree_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::caps::{CapSet, Capability};
    use crate::types::event::Event;
    use crate::types::id::ObligationId;
    use crate::types::obligation::{AbortCause, ObligationKind, Resolution};
    use crate::types::outcome::Severity;
    use crate::types::time::Time;

    const ROOT: TaskId = TaskId::new(0, 0);
    const CHILD: TaskId = TaskId::new(1, 0);
    const R0: RegionId = RegionId::new(0, 0);
    const R1: RegionId = RegionId::new(1, 0);
    const DUE: Time = Time::from_nanos(5);

    fn opened(region: RegionId, parent: Option<RegionId>) -> Event {
        Event::RegionOpened {
            region,
            parent,
            opener: ROOT,
            shielded: false,
        }
    }

    fn spawned(task: TaskId, region: RegionId) -> Event {
        Event::TaskSpawned { task, region }
    }

    fn completed(task: TaskId, region: RegionId) -> Event {
        Event::TaskCompleted {
            task,
            region,
            severity: Severity::Ok,
        }
    }

    fn closed(region: RegionId) -> Event {
        Event::RegionClosed { region }
    }

    fn reserved(task: TaskId, slot: u32) -> Event {
        Event::ObligationReserved {
            task,
            obligation: ObligationId::new(slot, 0),
            kind: ObligationKind::SendPermit,
        }
    }

    fn resolved(task: TaskId, slot: u32, how: Resolution) -> Event {
        Event::ObligationResolved {
            task,
            obligation: ObligationId::new(slot, 0),
            kind: ObligationKind::SendPermit,
            how,
        }
    }

    fn narrowed(from: CapSet, to: CapSet) -> Event {
        Event::CapsNarrowed {
            task: CHILD,
            from,
            to,
        }
    }

    fn allowed(capability: Capability, held: CapSet) -> Event {
        Event::EffectAllowed {
            task: CHILD,
            capability,
            held,
        }
    }

    /// A run without fault that uses everything the laws speak of.
    fn clean() -> Vec<Event> {
        vec![
            opened(R0, None),
            opened(R1, Some(R0)),
            spawned(CHILD, R1),
            Event::TimerSet { due: DUE },
            reserved(CHILD, 0),
            reserved(CHILD, 1),
            resolved(CHILD, 0, Resolution::Committed),
            resolved(CHILD, 1, Resolution::Aborted(AbortCause::Cancel)),
            Event::TimerFired { due: DUE },
            completed(CHILD, R1),
            closed(R1),
            closed(R0),
            completed(ROOT, R0),
            narrowed(CapSet::ALL, CapSet::TIME),
            allowed(Capability::Time, CapSet::TIME),
            Event::EffectDenied {
                task: CHILD,
                capability: Capability::Net,
            },
        ]
    }

    fn fired(events: &[Event], strict: bool) -> Vec<&'static str> {
        let events = events.iter().enumerate();
        let events = events.map(|(i, event)| TraceEvent {
            seq: i as u64,
            at: Time::ZERO,
            event: *event,
        });
        let trace = Trace {
            events: events.collect(),
            ..Trace::default()
        };
        judge(&trace, strict)
            .into_iter()
            .map(|v| v.oracle)
            .collect()
    }

    /// The clean run with its event `at` replaced.
    fn with(at: usize, event: Event) -> Vec<Event> {
        let mut events = clean();
        events[at] = event;
        events
    }

    fn without(at: usize) -> Vec<Event> {
        let mut events = clean();
        events.remove(at);
        events
    }

    fn swapped(a: usize, b: usize) -> Vec<Event> {
        let mut events = clean();
        events.swap(a, b);
        events
    }

    fn followed_by(more: &[Event]) -> Vec<Event> {
        [&clean(), more].concat()
    }

    #[test]
    fn a_clean_run_is_clean() {
        assert_eq!(fired(&clean(), true), [""; 0]);
    }

    #[test]
    fn a_planted_fault_fires_exactly_the_oracles_of_the_laws_it_breaks() {
        const TASK: &str = "task leak";
        const PROMISE: &str = "obligation leak";
        const QUIET: &str = "quiescence";
        const CAPS: &str = "capability use";
        const OWNER: &str = "context ownership";
        const TREE: &str = "region tree";
        const ORDER: &str = "cancel order";
        let dropped = with(
            7,
            resolved(CHILD, 1, Resolution::Aborted(AbortCause::Dropped)),
        );
        let mut early = clean();
        let (joined, returned) = (
            Event::RaceJoined {
                race: 3,
                region: R1,
            },
            Event::RaceReturned { race: 3 },
        );
        early.splice(2..2, [joined]);
        let mut drained = early.clone();
        early.splice(3..3, [returned]);
        drained.push(returned);
        assert_eq!(fired(&drained, true), [""; 0]);
        let cases: Vec<(&str, Vec<Event>, &[&str])> = vec![
            (
                "a race returns before its arm is closed",
                early,
                &["race drain"],
            ),
            ("the root task never completes", without(12), &[TASK]),
            (
                "a task completes twice",
                followed_by(&[completed(CHILD, R1)]),
                &[TASK, ORDER],
            ),
            ("a task outlives its region", without(9), &[TASK, QUIET]),
            (
                "a promise is found leaked",
                with(6, resolved(CHILD, 0, Resolution::Leaked)),
                &[PROMISE],
            ),
            (
                "a promise outlives its holder",
                without(6),
                &[PROMISE, QUIET],
            ),
            (
                "a running task drops a promise",
                dropped.clone(),
                &[PROMISE],
            ),
            (
                "a region closes above an open one",
                swapped(10, 11),
                &[QUIET, TREE],
            ),
            ("a region never closes", without(10), &[QUIET, TREE]),
            ("a timer outlives the run", without(8), &[QUIET]),
            (
                "a context is made with more than its maker's",
                followed_by(&[narrowed(CapSet::TIME, CapSet::TIME.with(CapSet::NET))]),
                &[CAPS],
            ),
            (
                "a context performs an effect that it may not",
                followed_by(&[allowed(Capability::Net, CapSet::TIME)]),
                &[CAPS],
            ),
            (
                "a task waits through another's context",
                followed_by(&[Event::ForeignCx {
                    owner: ROOT,
                    user: CHILD,
                }]),
                &[OWNER],
            ),
            (
                "a task enters a closed region",
                followed_by(&[spawned(CHILD, R1), completed(CHILD, R1)]),
                &[QUIET, TREE],
            ),
        ];
        for (what, events, expected) in cases {
            assert_eq!(fired(&events, true), expected, "{what}");
        }
        assert_eq!(
            fired(&dropped, false),
            [""; 0],
            "only strict runs forbid dropping a promise"
        );
    }
}
