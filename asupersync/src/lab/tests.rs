//! Oracles on live runs: what needs a promise made by hand.

use super::{LabConfig, LabFailure, LabRuntime};
use crate::cx::{Cx, Scope};
use crate::types::event::Event;
use crate::types::obligation::{AbortCause, ObligationKind, Resolution};

fn run(strict: bool, body: impl AsyncFnOnce(Scope)) -> (LabRuntime, Option<LabFailure>) {
    let lab = LabRuntime::new(LabConfig::default().strict(strict));
    let failure = lab.try_run(body).err();
    (lab, failure)
}

#[test]
fn a_promise_that_a_running_task_drops_breaks_a_strict_run() {
    let forgets = async |cx: Scope| drop(cx.promise(ObligationKind::SendPermit));
    let (lab, failure) = run(true, forgets);
    assert!(
        matches!(&failure, Some(LabFailure::Violation(v)) if v.oracle == "obligation leak"),
        "{failure:?}"
    );
    assert!(lab.obligation_leak_oracle().is_err());
    assert!(lab.quiescence_oracle().is_ok() && lab.task_leak_oracle().is_ok());
    assert!(run(false, forgets).1.is_none());
    let lease = async |cx: Scope| drop(cx.promise(ObligationKind::Lease));
    assert!(
        run(true, lease).1.is_none(),
        "giving a lease back by drop is a resolution"
    );
}

#[test]
fn a_promise_that_outlives_its_holder_is_a_leak() {
    let forgets = async |cx: Scope| {
        // The outcome holds it, so it outlives its holder without being lost.
        cx.spawn(async |cx: Cx| cx.promise(ObligationKind::Reply));
    };
    for strict in [true, false] {
        let (lab, failure) = run(strict, forgets);
        assert!(
            matches!(&failure, Some(LabFailure::Violation(v)) if v.oracle == "obligation leak"),
            "{failure:?}"
        );
        assert!(lab.obligation_leak_oracle().is_err());
    }
}

#[test]
fn promises_that_are_resolved_are_no_leak() {
    let (lab, failure) = run(true, async |cx| {
        cx.promise(ObligationKind::Ack).commit();
        cx.promise(ObligationKind::Ack).abort(AbortCause::Explicit);
        let handle = cx.spawn(async |cx: Cx| {
            let _held = cx.promise(ObligationKind::SendPermit);
            let _ = cx.cancelled().await;
        });
        cx.yield_now().await.expect("nobody cancels");
        handle.cancel("stop");
    });
    assert!(failure.is_none(), "{failure:?}");
    lab.check().expect("every law holds");
}

#[test]
fn a_promise_that_moves_is_never_without_a_record() {
    let (lab, failure) = run(true, async |cx: Scope| {
        let promise = cx.promise(ObligationKind::Lease);
        let taker = cx.spawn(async move |cx: Cx| cx.adopt(promise).commit());
        taker.await.into_result().expect("it only commits");
    });
    assert!(failure.is_none(), "{failure:?}");
    let events = lab.trace().events;
    let told = events.iter().filter_map(|e| match e.event {
        Event::ObligationReserved { task, .. } => Some(("reserved", task)),
        Event::ObligationMoved { from, to, .. } => {
            assert_ne!(from.0, to.0);
            Some(("moved", to.0))
        }
        Event::ObligationResolved { task, how, .. } => {
            assert_eq!(how, Resolution::Committed);
            Some(("resolved", task))
        }
        _ => None,
    });
    let told: Vec<_> = told.collect();
    let [("reserved", giver), ("moved", taker), ("resolved", last)] = told[..] else {
        panic!("{told:?}");
    };
    assert!(giver != taker && taker == last);
}

#[test]
fn who_has_ended_promises_nothing() {
    let (_, failure) = run(true, async |cx: Scope| {
        let handle = cx.spawn(async |cx: Cx| cx);
        let stale = handle.await.into_result().expect("it returns its context");
        // Nobody would find out, so nothing is recorded.
        std::mem::forget(stale.promise(ObligationKind::Ack));
        // Nor does a promise move to where nobody would: its holder keeps it.
        stale.adopt(cx.promise(ObligationKind::Ack)).commit();
    });
    assert!(failure.is_none(), "{failure:?}");
}
