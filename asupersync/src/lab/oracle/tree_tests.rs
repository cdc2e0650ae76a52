//! Planted faults for the laws of regions: the tree, propagation, deferred work.

use super::*;
use crate::types::cancel::CancelKind;
use crate::types::event::Event;
use crate::types::outcome::Severity;
use crate::types::time::Time;

const ROOT: TaskId = TaskId::new(0, 0);
const A: TaskId = TaskId::new(1, 0);
const B: TaskId = TaskId::new(2, 0);
const R0: RegionId = RegionId::new(0, 0);
/// Opened by `A`.
const R1: RegionId = RegionId::new(1, 0);
/// Opened by the cleanup of `A`.
const SHIELDED: RegionId = RegionId::new(2, 0);

fn opened(region: RegionId, parent: Option<RegionId>, opener: TaskId) -> Event {
    Event::RegionOpened {
        region,
        parent,
        opener,
        shielded: region == SHIELDED,
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

fn cancelled(region: RegionId, swept: bool) -> Event {
    let kind = if swept {
        CancelKind::ParentCancelled
    } else {
        CancelKind::User
    };
    Event::RegionCancelled {
        region,
        kind,
        swept,
    }
}

fn asked(task: TaskId) -> Event {
    let kind = CancelKind::ParentCancelled;
    Event::CancelRequested { task, kind }
}

fn deferred(task: Option<TaskId>, index: u32) -> Event {
    Event::Deferred {
        region: R1,
        task,
        index,
    }
}

fn began(task: Option<TaskId>, index: u32) -> Event {
    Event::FinalizerBegan {
        region: R1,
        task,
        index,
    }
}

/// A run without fault: a root with a task that opened a region with a task; the
/// root is cancelled while a region of the first task's cleanup is open.
fn clean() -> Vec<Event> {
    vec![
        opened(R0, None, ROOT),                   // 0
        spawned(A, R0),                           // 1
        opened(R1, Some(R0), A),                  // 2
        spawned(B, R1),                           // 3
        deferred(None, 0),                        // 4
        deferred(None, 1),                        // 5
        deferred(Some(B), 0),                     // 6
        opened(SHIELDED, Some(R0), A),            // 7
        cancelled(R0, false),                     // 8
        asked(A),                                 // 9
        cancelled(R1, true),                      // 10
        asked(B),                                 // 11
        Event::TaskPolled { task: B },            // 12
        began(Some(B), 0),                        // 13
        completed(B, R1),                         // 14
        Event::RegionFinalizing { region: R1 },   // 15
        began(None, 1),                           // 16
        began(None, 0),                           // 17
        Event::RegionClosed { region: R1 },       // 18
        Event::RegionClosed { region: SHIELDED }, // 19
        completed(A, R0),                         // 20
        Event::RegionClosed { region: R0 },       // 21
        completed(ROOT, R0),                      // 22
    ]
}

/// What is said of the clean run with the events `replaced` by others.
fn fired(replaced: std::ops::Range<usize>, others: &[Event]) -> Vec<&'static str> {
    let mut events = clean();
    events.splice(replaced, others.iter().copied());
    let events = events.into_iter().enumerate();
    let events = events.map(|(i, event)| TraceEvent {
        seq: i as u64,
        at: Time::ZERO,
        event,
    });
    let trace = Trace {
        events: events.collect(),
        ..Trace::default()
    };
    let violations = judge(&trace, true).into_iter();
    // Cancel order has planted faults of its own.
    let others = violations.map(|v| v.oracle);
    let others = others.filter(|o| *o != "cancel order");
    others.collect()
}

#[test]
fn a_clean_run_is_clean() {
    assert_eq!(fired(0..0, &[]), [""; 0]);
}

#[test]
fn a_planted_fault_fires_the_oracles_of_the_laws_it_breaks() {
    const TREE: &str = "region tree";
    const DOWN: &str = "cancel propagation";
    const LAST: &str = "finalizer";
    const FUEL: &str = "cancel fuel";
    const TASK: &str = "task leak";
    const QUIET: &str = "quiescence";
    // `A`, `R1` and `B` are below `R0`; what is shielded is not reached.
    let ended = |fuel, reached, again| {
        fired(
            12..12,
            &[Event::CascadeEnded {
                region: R0,
                task: None,
                fuel,
                reached,
                again,
            }],
        )
    };
    let other = RegionId::new(9, 0);
    let handed_over = [
        Event::RegionHandedOver { region: R1 },
        spawned(TaskId::new(7, 0), R0),
        Event::TaskPolled { task: A },
        completed(TaskId::new(7, 0), R0),
    ];
    let cases: Vec<(&str, Vec<&str>, &[&str])> = vec![
        (
            "a second root",
            fired(
                7..7,
                &[
                    opened(other, None, B),
                    Event::RegionClosed { region: other },
                ],
            ),
            &[TASK, TREE],
        ),
        (
            "a region opened by nobody alive",
            fired(2..3, &[opened(R1, Some(R0), TaskId::new(8, 0))]),
            &[TREE],
        ),
        (
            "a region that is opened twice",
            fired(7..7, &[opened(R1, Some(R0), A)]),
            &[QUIET, TREE],
        ),
        (
            "a task that completes elsewhere",
            fired(14..15, &[completed(B, R0)]),
            &[TASK, TREE, LAST],
        ),
        ("a task that is not asked", fired(11..12, &[]), &[DOWN]),
        ("a region that is not asked", fired(10..12, &[]), &[DOWN]),
        (
            "a task that is asked after somebody was polled",
            fired(11..13, &[Event::TaskPolled { task: A }, asked(B)]),
            &[DOWN],
        ),
        (
            "a request to a shielded region",
            fired(12..12, &[cancelled(SHIELDED, true)]),
            &[DOWN],
        ),
        (
            "a request from above when nothing above was asked",
            fired(8..9, &[cancelled(R1, true), asked(B), cancelled(R0, false)]),
            &[DOWN],
        ),
        (
            "a task that enters a cancelled region",
            fired(
                12..12,
                &[
                    spawned(TaskId::new(5, 0), R0),
                    completed(TaskId::new(5, 0), R0),
                ],
            ),
            &[DOWN],
        ),
        (
            "the task of the runtime that drains a region",
            fired(12..12, &handed_over),
            &[],
        ),
        (
            "a cancel that is the region's own",
            fired(12..12, &[cancelled(SHIELDED, false)]),
            &[],
        ),
        ("a request that reaches all", ended(3, 3, 0), &[]),
        ("a request that misses one", ended(3, 2, 0), &[FUEL]),
        ("a request that overlooks one", ended(2, 2, 0), &[FUEL]),
        ("a request that goes too far", ended(4, 4, 0), &[FUEL]),
        ("a request that comes by twice", ended(3, 3, 1), &[FUEL]),
        (
            "first in, first out",
            fired(16..18, &[began(None, 0), began(None, 1)]),
            &[LAST],
        ),
        ("deferred work that is lost", fired(17..18, &[]), &[LAST]),
        (
            "deferred work that is repeated",
            fired(17..18, &[began(None, 0), began(None, 0)]),
            &[LAST],
        ),
        (
            "deferred work of a task that is lost",
            fired(13..14, &[]),
            &[LAST],
        ),
        (
            "a region that finalizes before it has drained",
            fired(
                13..16,
                &[
                    Event::RegionFinalizing { region: R1 },
                    began(Some(B), 0),
                    completed(B, R1),
                ],
            ),
            &[LAST],
        ),
    ];
    let wrong: Vec<_> = cases
        .into_iter()
        .filter(|(_, fired, expected)| fired != expected)
        .collect();
    assert!(
        wrong.is_empty(),
        "fault, what fired, what should have: {wrong:#?}"
    );
}
