//! Every kind of error: who produces it, and what it says, word for word.

use asupersync::channel::{mpsc, oneshot};
use asupersync::{
    CancelKind, CancelReason, CapSet, Cx, Error, ErrorKind, LabConfig, LabRuntime, Recoverability,
    RegionLimits, RegionOptions, Runtime, Scope,
};
use std::collections::BTreeSet;
use std::error::Error as _;
use std::future::pending;
use std::time::Duration;

fn lab<T>(body: impl AsyncFnOnce(Scope) -> T) -> T {
    LabRuntime::new(LabConfig::default()).run(async |scope| body(scope).await)
}

/// Virtual time passes only when everyone else waits.
async fn settle(cx: &Cx) {
    cx.sleep(Duration::from_millis(1)).await.unwrap();
}

#[track_caller]
fn check(e: impl Into<Error>, kind: ErrorKind, text: &str) {
    let e = e.into();
    assert_eq!((e.kind(), e.to_string().as_str()), (kind, text));
    assert_eq!(e.recoverability(), kind.recoverability());
    assert_eq!(e.action(), kind.action());
}

#[test]
fn every_kind_says_what_to_do_and_differs_from_the_others() {
    let actions: BTreeSet<_> = ErrorKind::ALL.iter().map(|k| k.action()).collect();
    assert_eq!(actions.len(), ErrorKind::ALL.len());
    for (kind, expected) in [
        (ErrorKind::ChannelFull, Recoverability::Transient),
        (ErrorKind::ChannelClosed, Recoverability::Permanent),
        (ErrorKind::CancelTimeout, Recoverability::Unknown),
    ] {
        assert_eq!(kind.recoverability(), expected, "{kind:?}");
    }
}

#[test]
fn every_kind_has_a_section_with_a_program() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors.md");
    let document = std::fs::read_to_string(path).unwrap();
    let sections: Vec<_> = document
        .lines()
        .filter_map(|l| l.strip_prefix("## "))
        .collect();
    let kinds: Vec<_> = ErrorKind::ALL.iter().map(|k| format!("{k:?}")).collect();
    assert_eq!(sections[..kinds.len()], kinds, "in the order of the table");
}

#[test]
fn a_law_of_the_library_that_is_broken_is_internal() {
    let violation = asupersync::lab::oracle::OracleViolation {
        oracle: "quiescence",
        what: "R1 closed above an open region".into(),
        event: Some(3),
        task: None,
        region: None,
    };
    check(
        violation,
        ErrorKind::Internal,
        "quiescence: R1 closed above an open region (event 3)",
    );
}

#[test]
fn a_wait_of_a_task_that_was_asked_is_cancelled() {
    lab(async |cx| {
        let task = cx.spawn(async |cx: Cx| cx.cancelled().await);
        settle(&cx).await;
        task.cancel("enough");
        let cancelled = task.await.into_result().unwrap();
        check(
            cancelled,
            ErrorKind::Cancelled,
            "cancelled: User (enough) in R0",
        );
    });
}

#[test]
fn what_a_spent_budget_ends_is_told_by_the_limit_that_was_spent() {
    for (kind, error) in [
        (CancelKind::Timeout, ErrorKind::DeadlineExceeded),
        (CancelKind::PollQuota, ErrorKind::PollQuotaExhausted),
        (CancelKind::CostQuota, ErrorKind::CostQuotaExhausted),
        (CancelKind::Shutdown, ErrorKind::Cancelled),
    ] {
        let below = CancelReason::new(CancelKind::ParentCancelled);
        let reason = below.caused_by(CancelReason::new(kind).into());
        check(
            reason,
            error,
            &format!("cancelled: ParentCancelled <- {kind:?}"),
        );
    }
}

#[test]
fn a_timeout_is_a_deadline_exceeded() {
    let elapsed = lab(async |cx| {
        let wait = async |scope: Scope| scope.cancelled().await;
        cx.timeout(Duration::from_secs(1), wait).await.unwrap_err()
    });
    check(elapsed, ErrorKind::DeadlineExceeded, "deadline has elapsed");
}

#[test]
fn code_that_does_not_react_is_a_cancel_timeout() {
    let lab = LabRuntime::new(LabConfig::default());
    let error = lab.run(async |cx| {
        let options = RegionOptions::named("stubborn");
        let ended = cx.region_report(options, async |scope| {
            scope
                .task()
                .name("deaf")
                .spawn(async |_cx| pending::<()>().await);
            settle(&scope).await;
            scope.cancel(CancelKind::User);
        });
        ended.await.unwrap().report.abandoned.remove(0)
    });
    check(
        error,
        ErrorKind::CancelTimeout,
        "T1 \"deaf\" dropped 2s after the request",
    );
}

#[test]
fn channels_are_closed_full_or_empty() {
    let (tx, mut rx) = mpsc::channel(1);
    check(
        rx.try_recv().unwrap_err(),
        ErrorKind::ChannelEmpty,
        "the channel is empty: await `recv`, or try again later",
    );
    tx.try_send(1).unwrap();
    check(
        tx.try_send(2).unwrap_err(),
        ErrorKind::ChannelFull,
        "the channel is full: await `send`, or drop the value",
    );
    check(
        lab(async |cx| tx.try_reserve(&cx).unwrap_err()),
        ErrorKind::ChannelFull,
        "the channel is full: await `reserve`, or do without",
    );
    drop(rx);
    check(
        tx.try_send(3).unwrap_err(),
        ErrorKind::ChannelClosed,
        "the channel is closed: the receiver is gone, stop sending",
    );
    let (tx, mut rx) = oneshot::channel::<u8>();
    check(
        rx.try_recv().unwrap_err(),
        ErrorKind::ChannelEmpty,
        "no value has been sent yet: await `recv`, or try again later",
    );
    drop(tx);
    check(
        rx.try_recv().unwrap_err(),
        ErrorKind::ChannelClosed,
        "no value will come: the sender went away without sending, or it was received before",
    );
}

#[test]
fn a_cancelled_wait_on_a_channel_is_no_closed_channel() {
    lab(async |cx| {
        let (tx, mut rx) = mpsc::channel::<u8>(1);
        let waits = cx.spawn(async move |cx: Cx| rx.recv(&cx).await.unwrap_err());
        settle(&cx).await;
        waits.cancel(CancelKind::User);
        let e = Error::from(waits.await.into_result().unwrap());
        assert_eq!(e.kind(), ErrorKind::Cancelled);
        drop(tx);
    });
}

#[test]
fn a_region_past_admitting_is_closed() {
    lab(async |cx| {
        let stored = cx.region(async |scope| scope).await.unwrap();
        let refused = stored.task().spawn_checked(async |_cx| ()).unwrap_err();
        check(
            refused,
            ErrorKind::RegionClosed,
            "region R1 is Closed and admits no new task; spawn through the scope of a region that is still open",
        );
    });
}

#[test]
fn a_full_region_denies_admission() {
    lab(async |cx| {
        let options = RegionOptions {
            limits: RegionLimits {
                max_tasks: 1,
                ..RegionLimits::default()
            },
            ..RegionOptions::named("small")
        };
        let ended = cx.region_report(options, async |scope| {
            scope.spawn(async |cx: Cx| cx.cancelled().await);
            let refused = scope.task().spawn_checked(async |_cx| ()).unwrap_err();
            scope.close();
            refused
        });
        check(
            ended.await.unwrap().value.unwrap(),
            ErrorKind::AdmissionDenied,
            "region R1 refuses the task: it may have 1 live tasks at a time; wait for one to end, or raise the limit in its options",
        );
    });
}

#[test]
fn a_failed_child_is_named_with_its_error_below() {
    let error = lab(async |cx| {
        let task = cx.region(async |scope| {
            scope.try_spawn(async |_cx| Err::<(), _>(std::io::Error::other("no route")));
        });
        let e: Error = task.await.unwrap_err().into();
        e
    });
    assert!(error.source().is_some());
    check(
        error,
        ErrorKind::ChildFailed,
        "the region ended badly: T1 Err: no route",
    );
}

#[test]
fn an_effect_without_its_capability_is_denied() {
    lab(async |cx| {
        let narrow = cx.restrict(CapSet::SPAWN);
        let slept = narrow.sleep(Duration::ZERO).await.unwrap_err();
        check(
            slept,
            ErrorKind::CapabilityDenied,
            "CapabilityDenied: TIME is not among the effects of this context (SPAWN); pass a context that has it, or keep it in TaskBuilder::caps, RegionOptions::caps or Cx::restrict where this one was narrowed",
        );
    });
}

#[test]
fn a_configuration_that_cannot_work_says_what_to_write() {
    check(
        Runtime::builder().worker_threads(0).build().unwrap_err(),
        ErrorKind::Config,
        "worker_threads must be at least 1; for none of its own use current_thread()",
    );
}

#[test]
fn an_error_becomes_an_io_error_of_the_kind_that_callers_know() {
    for (kind, io) in [
        (ErrorKind::DeadlineExceeded, std::io::ErrorKind::TimedOut),
        (
            ErrorKind::CapabilityDenied,
            std::io::ErrorKind::PermissionDenied,
        ),
        (ErrorKind::ChannelClosed, std::io::ErrorKind::BrokenPipe),
        (ErrorKind::Config, std::io::ErrorKind::Other),
    ] {
        let e = std::io::Error::from(Error::new(kind, "what happened"));
        assert_eq!((e.kind(), e.to_string().as_str()), (io, "what happened"));
    }
}
