//! Every kind of error: who produces it, and what it says, word for word.

use asupersync::channel::{broadcast, mpsc, oneshot, rpc};
use asupersync::io::ReadExt;
use asupersync::kernel::task::TaskPhase;
use asupersync::lab::oracle::judge;
use asupersync::net::UnixStream;
use asupersync::sync::{Mutex, Pool, Semaphore};
use asupersync::types::event::Event;
use asupersync::types::obligation::LeakResponse;
use asupersync::{
    Budget, CancelKind, CancelReason, CapSet, Cx, Error, ErrorKind, LabConfig, LabRuntime,
    Recoverability, RegionLimits, RegionOptions, Runtime, Scope,
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
    for section in document.split("\n## ").skip(1) {
        assert!(section.contains("\n```rust"), "no program in {section}");
    }
}

/// The library keeps its laws, so the trace of a run is changed to one in which
/// it does not; the judge is the one that every run has.
#[test]
fn a_law_of_the_library_that_is_broken_is_internal() {
    let lab = LabRuntime::new(LabConfig::default());
    lab.run(async |cx: Scope| cx.spawn(async |_cx| ()).await.is_ok());
    let mut trace = lab.trace();
    assert_eq!(judge(&trace, true), []);
    trace
        .events
        .retain(|e| !matches!(e.event, Event::TaskCompleted { .. }));
    check(
        judge(&trace, true).remove(0),
        ErrorKind::Internal,
        "task leak: T1 of R0 is alive although its region closed (event 10)",
    );
}

#[test]
fn a_permit_that_has_leaked_keeps_its_effect_and_is_told_once() {
    let counts = Runtime::builder().current_thread();
    let runtime = counts.leak_response(LeakResponse::Count).build().unwrap();
    let ended = runtime.block_on(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel(1);
        let region = cx.region_report(RegionOptions::default(), async |scope| {
            let holder = scope.spawn(async move |cx: Cx| tx.reserve_owned(&cx).await.unwrap());
            // It has ended, and nobody transferred the permit.
            let permit = holder.await.into_result().unwrap();
            drop(permit.send(1).unwrap());
        });
        assert_eq!(region.await.unwrap().report.leaks.len(), 1);
        assert_eq!(rx.recv(&cx).await, Ok(1));
    });
    ended.unwrap();
}

#[test]
fn a_step_that_a_task_cannot_take_is_an_invalid_transition() {
    assert_eq!(
        TaskPhase::Running.step(TaskPhase::Finalizing).unwrap(),
        TaskPhase::Finalizing
    );
    check(
        TaskPhase::Completed.step(TaskPhase::Running).unwrap_err(),
        ErrorKind::InvalidStateTransition,
        "a task cannot go from Completed to Running",
    );
}

/// In a process of its own, which may open few files and has opened them all.
#[cfg(unix)]
#[test]
fn what_the_system_refuses_is_a_resource() {
    use std::process::Command;
    const CHILD: &str = "ASUPERSYNC_TEST_FEW_FILES";
    const NAME: &str = "what_the_system_refuses_is_a_resource";
    if std::env::var_os(CHILD).is_none() {
        let limited = Command::new("sh")
            .args(["-c", "ulimit -n 64; exec \"$0\" --exact \"$1\""])
            .arg(std::env::current_exe().unwrap())
            .arg(NAME)
            .env(CHILD, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&limited.stdout);
        assert!(said.contains("1 passed"), "{said}");
        return;
    }
    let files = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok());
    let files: Vec<_> = files.collect();
    let build = || Runtime::builder().current_thread().build();
    check(
        build().unwrap_err(),
        ErrorKind::Resource,
        "the system refused a poller; raise the limit on open files",
    );
    drop(files);
    assert!(build().is_ok(), "trying again helps");
}

#[test]
fn a_lease_that_ran_out_is_a_stale_handle() {
    let (used, renewed) = lab(async |cx| {
        let pool = Pool::new(["a"]);
        let mut lease = pool.lease(&cx, Duration::from_secs(1)).await.unwrap();
        let other = pool.get(&cx).await.unwrap();
        assert_eq!(*other, "a", "the thing is another's by now");
        (lease.access().unwrap_err(), lease.renew(cx.now()))
    });
    for stale in [used, renewed.unwrap_err()] {
        check(
            stale,
            ErrorKind::StaleHandle,
            "the lease ran out, and what it lent is back in the pool; renew it in time",
        );
    }
}

#[test]
fn a_closed_or_poisoned_primitive_says_so() {
    lab(async |cx| {
        let semaphore = Semaphore::new(0);
        semaphore.close();
        check(
            semaphore.acquire(&cx, 1).await.unwrap_err(),
            ErrorKind::ChannelClosed,
            "the semaphore was closed: it gives out no permit any more",
        );
        let mutex = std::sync::Arc::new(Mutex::poisoning(0));
        let inner = mutex.clone();
        let region = cx.region(async |scope| {
            scope.spawn(async move |cx: Cx| {
                let _guard = inner.lock(&cx).await.unwrap();
                panic!("while it holds");
            });
        });
        assert!(region.await.is_err());
        check(
            mutex.lock(&cx).await.unwrap_err(),
            ErrorKind::ChildFailed,
            "a task panicked while it held this lock; repair the value, then call `clear_panicked`",
        );
    });
}

#[test]
fn values_that_were_overwritten_are_told_as_lagged() {
    let (tx, mut rx) = broadcast::channel(1);
    let mut late = tx.subscribe();
    for n in 0..3 {
        tx.send(n).unwrap();
    }
    let text = "2 values were missed: receive faster, or give the channel a larger capacity";
    check(late.try_recv().unwrap_err(), ErrorKind::ChannelLagged, text);
    let missed = lab(async |cx| rx.recv(&cx).await.unwrap_err());
    check(missed, ErrorKind::ChannelLagged, text);
    late.try_recv().unwrap();
    check(
        late.try_recv().unwrap_err(),
        ErrorKind::ChannelEmpty,
        "there is nothing new in the channel: await `recv`, or try again later",
    );
    drop(tx);
    check(
        late.try_recv().unwrap_err(),
        ErrorKind::ChannelClosed,
        "the channel is closed and empty: stop receiving",
    );
}

#[test]
fn a_call_is_declined_unanswered_late_or_never_received() {
    lab(async |cx| {
        let (client, mut server) = rpc::rpc::<u8, u8>(1);
        let serves = cx.spawn(async move |cx: Cx| {
            let (_, reply) = server.recv(&cx).await.unwrap();
            reply.decline("too large");
            let _second = server.recv(&cx).await.unwrap();
            cx.cancelled().await;
        });
        check(
            client.call(&cx, 1).await.unwrap_err(),
            ErrorKind::CallDeclined,
            "the server declined: too large",
        );
        let calls = cx.spawn(async move |cx: Cx| client.call(&cx, 2).await.unwrap_err());
        settle(&cx).await;
        serves.cancel(CancelKind::User);
        check(
            calls.await.into_result().unwrap(),
            ErrorKind::ChannelClosed,
            "the server dropped the question: it panicked, was cancelled, or forgot to reply",
        );
        let (client, _slow) = rpc::rpc::<u8, u8>(1);
        let budget = Budget::new().with_timeout(cx.now(), Duration::from_secs(1));
        let late = cx.task().budget(budget);
        let late = late.spawn(async move |cx: Cx| client.call(&cx, 3).await.unwrap_err());
        check(
            late.await.into_result().unwrap(),
            ErrorKind::DeadlineExceeded,
            "cancelled: Timeout in R0",
        );
    });
    let (client, server) = rpc::rpc::<u8, u8>(1);
    drop(server);
    check(
        lab(async |cx| client.call(&cx, 1).await.unwrap_err()),
        ErrorKind::ChannelClosed,
        "the server is gone: the question did not reach it",
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
fn input_and_output_fail_for_the_reason_that_is_inside() {
    let (cancelled, denied) = lab(async |cx| {
        let (mut end, _other) = UnixStream::pair(&cx).unwrap();
        let reader = cx.spawn(async move |cx: Cx| end.read_u8(&cx).await.unwrap_err());
        settle(&cx).await;
        reader.cancel("enough");
        let blind = cx.restrict(CapSet::NONE);
        let denied = UnixStream::connect(&blind, "/nowhere").await.unwrap_err();
        (reader.await.into_result().unwrap(), denied)
    });
    check(
        cancelled,
        ErrorKind::Cancelled,
        "cancelled: User (enough) in R0",
    );
    assert_eq!(Error::from(denied).kind(), ErrorKind::CapabilityDenied);
    // However deep.
    let timeout = Error::from(CancelReason::new(CancelKind::Timeout));
    let below = std::io::Error::other(Error::new(ErrorKind::Config, "on top").with_source(timeout));
    let e = std::io::Error::other(Box::new(below) as Box<dyn std::error::Error + Send + Sync>);
    assert_eq!(Error::from(e).kind(), ErrorKind::DeadlineExceeded);
    // One of ours is that again.
    let there = std::io::Error::from(Error::new(ErrorKind::ChannelClosed, "nobody is there"));
    check(there, ErrorKind::ChannelClosed, "nobody is there");
    let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "no");
    check(refused, ErrorKind::Io, "no");
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
