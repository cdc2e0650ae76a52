//! Oracles on live runs: what needs a promise made by hand.

use super::{LabConfig, LabFailure, LabRuntime};
use crate::cx::{Cx, Scope};
use crate::types::obligation::{AbortCause, ObligationKind};

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
