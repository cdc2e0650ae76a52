//! Every kind of obligation, everything that can happen to it, every response to a leak.

use super::{LabConfig, LabFailure, LabRuntime};
use crate::cx::{Cx, Scope};
use crate::exec::obligation::Obligation;
use crate::exec::region::RegionOptions;
use crate::types::event::Event;
use crate::types::obligation::{AbortCause, LeakResponse, ObligationKind, Resolution};
use crate::types::policy::Policy;
use std::sync::{Arc, Mutex};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Deed {
    Commit,
    Abort,
    /// In a task that runs.
    Drop,
    /// In a task that was asked to cancel.
    DropCancelled,
    /// With a future that the end of a cleanup budget drops.
    DropEscalated,
    Forget,
    /// To the root, which commits.
    Transfer,
    /// To the root, which commits, but too late: nobody told its record.
    Move,
    /// To a task that has completed, which takes nothing over.
    TransferTooLate,
    Panic,
}

const DEEDS: [Deed; 10] = [
    Deed::Commit,
    Deed::Abort,
    Deed::Drop,
    Deed::DropCancelled,
    Deed::DropEscalated,
    Deed::Forget,
    Deed::Transfer,
    Deed::Move,
    Deed::TransferTooLate,
    Deed::Panic,
];

impl Deed {
    fn leads_to(self) -> Resolution {
        match self {
            Deed::Commit | Deed::Transfer | Deed::TransferTooLate => Resolution::Committed,
            Deed::Abort => Resolution::Aborted(AbortCause::Explicit),
            Deed::Drop => Resolution::Aborted(AbortCause::Dropped),
            Deed::DropCancelled | Deed::Panic => Resolution::Aborted(AbortCause::Cancel),
            Deed::DropEscalated => Resolution::Aborted(AbortCause::Escalated),
            Deed::Forget | Deed::Move => Resolution::Leaked,
        }
    }
}

/// A task of the scope does it.
async fn perform(scope: &Scope, kind: ObligationKind, deed: Deed, more: usize) {
    let shelf: Arc<Mutex<Vec<Obligation>>> = Arc::default();
    let (root, put) = (Cx::clone(scope), shelf.clone());
    let gone = scope.spawn(async |cx: Cx| cx).await.into_result();
    let gone = gone.expect("nobody cancels it");
    let holder = scope.spawn(async move |cx: Cx| {
        // Those beyond the eight that fit into a word live elsewhere.
        let before: Vec<Obligation> = (0..more).map(|_| cx.promise(kind)).collect();
        let promise = cx.promise(kind);
        before.into_iter().for_each(Obligation::commit);
        match deed {
            Deed::Commit => promise.commit(),
            Deed::Abort => promise.abort(AbortCause::Explicit),
            Deed::Drop => drop(promise),
            Deed::DropCancelled => {
                let _ = cx.cancelled().await;
                drop(promise);
            }
            Deed::DropEscalated => {
                std::future::pending::<()>().await;
                promise.commit();
            }
            Deed::Forget => std::mem::forget(promise),
            Deed::Transfer => put.lock().unwrap().push(root.adopt(promise)),
            Deed::Move => put.lock().unwrap().push(promise),
            Deed::TransferTooLate => gone.adopt(promise).commit(),
            Deed::Panic => {
                let _held = promise;
                panic!("on purpose");
            }
        }
    });
    for _ in 0..3 {
        scope.yield_now().await.expect("nobody cancels the root");
    }
    holder.cancel("enough");
    let _ = holder.await;
    let kept = std::mem::take(&mut *shelf.lock().unwrap());
    kept.into_iter().for_each(Obligation::commit);
}

/// How the promises of a run ended, in order; each was reserved once.
fn ends(lab: &LabRuntime) -> Vec<Resolution> {
    let trace = lab.trace();
    let count = |f: fn(&Event) -> bool| trace.events.iter().filter(|e| f(&e.event)).count();
    let ends: Vec<_> = (trace.events.iter())
        .filter_map(|e| match e.event {
            Event::ObligationResolved { how, .. } => Some(how),
            _ => None,
        })
        .collect();
    let made = count(|e| matches!(e, Event::ObligationReserved { .. }));
    assert_eq!(made, ends.len(), "resolved as often as reserved");
    ends
}

fn check(kind: ObligationKind, deed: Deed, response: LeakResponse, strict: bool, more: usize) {
    let what = format!("{kind:?} {deed:?} {response:?} strict {strict} after {more}");
    let config = LabConfig::default().strict(strict).leak_response(response);
    let lab = LabRuntime::new(config);
    let leaks = Mutex::new(Vec::new());
    let failure = lab.try_run(async |cx: Scope| {
        let options = RegionOptions {
            policy: Policy::Collect,
            ..RegionOptions::default()
        };
        let reported = cx.region_report(options, async |scope: Scope| {
            perform(&scope, kind, deed, more).await;
        });
        *leaks.lock().unwrap() = reported.await.expect("it is opened").report.leaks;
    });
    let leaked = deed.leads_to() == Resolution::Leaked;
    // In a lab a leak is a violation, whatever is done about it besides.
    let violated = leaked || deed == Deed::Drop && strict && kind.is_strict();
    match failure.err() {
        Some(LabFailure::Violation(v)) => {
            assert!(violated, "{what}: {v}");
            assert!(v.what.starts_with("ObligationLeak detected"), "{what}: {v}");
            assert!(v.what.contains(&format!("{kind:?}")), "{what}: {v}");
            return;
        }
        other => assert!(!violated, "{what}: {other:?}"),
    }
    let (last, before) = {
        let mut ends = ends(&lab);
        (ends.pop(), ends)
    };
    assert_eq!(last, Some(deed.leads_to()), "{what}");
    assert!(before.iter().all(|e| *e == Resolution::Committed), "{what}");
    let told: Vec<_> = leaks.lock().unwrap().iter().map(|l| l.kind).collect();
    let expected: &[ObligationKind] = if leaked { &[kind] } else { &[] };
    assert_eq!(told, expected, "{what}");
}

#[test]
fn whatever_happens_to_an_obligation_it_is_resolved_once_and_as_the_table_says() {
    let responses = [LeakResponse::Panic, LeakResponse::Log, LeakResponse::Count];
    for kind in ObligationKind::ALL {
        for deed in DEEDS {
            for response in responses {
                for strict in [true, false] {
                    check(kind, deed, response, strict, 0);
                }
            }
            check(kind, deed, LeakResponse::Count, false, 12);
        }
    }
}

#[test]
fn an_obligation_of_a_body_knows_that_its_region_was_cancelled() {
    for (cancel, end) in [
        (true, Resolution::Aborted(AbortCause::Cancel)),
        (false, Resolution::Aborted(AbortCause::Dropped)),
    ] {
        let lab = LabRuntime::new(LabConfig::default().strict(false));
        lab.run(async |cx: Scope| {
            let inner = cx.region(async |scope: Scope| {
                let promise = scope.promise(ObligationKind::SendPermit);
                if cancel {
                    scope.close();
                }
                drop(promise);
            });
            inner.await.expect("to be closed is no failure");
        });
        assert_eq!(ends(&lab), [end], "cancelled: {cancel}");
    }
}

#[test]
fn a_body_that_is_dropped_by_escalation_aborts_its_obligations_so() {
    let lab = LabRuntime::new(LabConfig::default());
    lab.run(async |cx: Scope| {
        let opened = cx.region_report(RegionOptions::default(), async |scope: Scope| {
            let _held = scope.promise(ObligationKind::Effect);
            scope.close();
            std::future::pending::<()>().await;
        });
        assert_eq!(
            opened.await.expect("it is opened").report.abandoned.len(),
            1
        );
    });
    assert_eq!(ends(&lab), [Resolution::Aborted(AbortCause::Escalated)]);
}

#[test]
fn a_context_that_outlives_its_task_makes_no_record() {
    let lab = LabRuntime::new(LabConfig::default());
    lab.run(async |cx: Scope| {
        // One task that never promised anything, and one that did.
        for used in [false, true] {
            let task = cx.spawn(async move |cx: Cx| {
                if used {
                    cx.promise(ObligationKind::Ack).commit();
                }
                cx
            });
            let late = task.await.into_result().expect("nobody cancels it");
            let promises: Vec<_> = (0..12).map(|_| late.promise(ObligationKind::Ack)).collect();
            drop(promises);
        }
    });
    assert_eq!(ends(&lab), [Resolution::Committed]);
}

#[test]
fn a_finalizer_that_is_cut_off_is_one_of_many() {
    let lab = LabRuntime::new(LabConfig::default());
    lab.run(async |cx: Scope| {
        let task = cx.spawn(async |cx: Cx| {
            // Last in, first out: the one that never ends is cut off first.
            cx.defer_with(async |cx: Cx| cx.promise(ObligationKind::Lease).commit());
            cx.defer_with(async |cx: Cx| {
                let _held = cx.promise(ObligationKind::Effect);
                std::future::pending::<()>().await;
            });
        });
        let _ = task.await;
    });
    assert_eq!(
        ends(&lab),
        [
            Resolution::Aborted(AbortCause::Escalated),
            Resolution::Committed
        ]
    );
}
