//! Every kind of request: who raises it, and what the task that is asked is told.

use asupersync::channel::oneshot;
use asupersync::combine::Arm;
use asupersync::{
    Budget, CancelKind, CancelReason, Cx, LabConfig, LabRuntime, Policy, RegionOptions, Scope,
};
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

mod worlds;
use worlds::everywhere;

/// Runs until somebody asks, and says why.
async fn asked(cx: Cx) -> CancelReason {
    cx.cancelled().await.into()
}

/// A region in which nothing cancels anything by itself.
fn collect() -> RegionOptions {
    RegionOptions {
        policy: Policy::Collect,
        ..RegionOptions::default()
    }
}

/// A handle that has certainly begun to wait.
async fn begun(scope: &Scope) -> asupersync::TaskHandle<CancelReason> {
    let (tx, mut rx) = oneshot::channel();
    let handle = scope.spawn(async move |cx: Cx| {
        tx.send(()).unwrap();
        asked(cx).await
    });
    rx.recv(scope).await.unwrap();
    handle
}

#[test]
fn user_is_raised_by_cancel() {
    everywhere(async |scope: Scope| {
        let task = begun(&scope).await;
        task.cancel("enough");
        let reason = task.await.into_result().unwrap();
        assert_eq!(reason.kind, CancelKind::User);
        assert_eq!(reason.message.as_deref(), Some("enough"));
    });
}

#[test]
fn region_end_is_raised_for_daemons_after_the_last_child_and_by_close() {
    everywhere(async |scope: Scope| {
        let told = Arc::new(Mutex::new(None));
        let tell = told.clone();
        let daemon = async move |scope: Scope| {
            let (tx, mut rx) = oneshot::channel();
            scope.spawn_daemon(async move |cx: Cx| {
                tx.send(()).unwrap();
                *tell.lock().unwrap() = Some(asked(cx).await);
            });
            rx.recv(&scope).await.unwrap();
        };
        scope.region(daemon).await.unwrap();
        let reason = told.lock().unwrap().take().unwrap();
        assert_eq!(reason.root_cause().kind, CancelKind::RegionEnd);

        let closed = scope.region(async |scope| {
            let task = begun(&scope).await;
            scope.close();
            task.await.into_result().unwrap()
        });
        let reason = closed.await.unwrap();
        assert_eq!(reason.root_cause().kind, CancelKind::RegionEnd);
    });
}

#[test]
fn timeout_is_raised_by_the_deadline_of_a_task_and_of_a_region() {
    everywhere(async |scope: Scope| {
        let within = |ms| Budget::new().with_timeout(scope.now(), Duration::from_millis(ms));
        let task = scope.task().budget(within(2)).spawn(asked);
        let reason = task.await.into_result().unwrap();
        assert_eq!(reason.kind, CancelKind::Timeout);

        let options = RegionOptions {
            // By then the task inside has begun, on a busy machine too.
            budget: within(200),
            ..collect()
        };
        let region = scope.region_report(options, async |scope| {
            let reason = begun(&scope).await.await.into_result().unwrap();
            assert_eq!(reason.kind, CancelKind::ParentCancelled);
            reason
        });
        let ended = region.await.unwrap();
        let reason = ended.value.unwrap();
        assert_eq!(reason.root_cause().kind, CancelKind::Timeout);
        assert_eq!(ended.report.reason.unwrap().kind, CancelKind::Timeout);
    });
}

#[test]
fn poll_quota_is_raised_when_the_polls_are_used_up() {
    everywhere(async |scope: Scope| {
        let spin = async |cx: Cx| {
            let mut polls = 1;
            loop {
                match cx.yield_now().await {
                    Ok(()) => polls += 1,
                    Err(cancelled) => break (polls, CancelReason::from(cancelled)),
                }
            }
        };
        let budget = Budget::new().with_poll_quota(7);
        let task = scope.task().budget(budget).spawn(spin);
        let (polls, reason) = task.await.into_result().unwrap();
        assert_eq!((polls, reason.kind), (7, CancelKind::PollQuota));
    });
}

#[test]
fn cost_quota_is_raised_when_the_last_unit_is_charged() {
    everywhere(async |scope: Scope| {
        let spend = async |cx: Cx| {
            let mut spent = 0;
            loop {
                match cx.charge(2) {
                    Ok(()) => spent += 2,
                    Err(cancelled) => break (spent, CancelReason::from(cancelled)),
                }
            }
        };
        let budget = Budget::new().with_cost_quota(6);
        let task = scope.task().budget(budget).spawn(spend);
        let (spent, reason) = task.await.into_result().unwrap();
        assert_eq!((spent, reason.kind), (6, CancelKind::CostQuota));
    });
}

#[test]
fn fail_fast_is_raised_by_the_failure_of_a_sibling() {
    everywhere(async |scope: Scope| {
        let region = scope.region_report(RegionOptions::default(), async |scope| {
            let sibling = begun(&scope).await;
            let failing = scope.try_spawn(async |_cx| Err::<(), _>("no"));
            (failing.id(), sibling.await.into_result().unwrap())
        });
        let ended = region.await.unwrap();
        let (failing, reason) = ended.value.unwrap();
        let root = reason.root_cause();
        assert_eq!((root.kind, root.task), (CancelKind::FailFast, failing));
        assert_eq!(ended.report.reason.unwrap().kind, CancelKind::FailFast);
    });
}

#[test]
fn race_lost_is_raised_for_the_arms_that_did_not_win() {
    everywhere(async |scope: Scope| {
        let told = Arc::new(Mutex::new(None));
        let tell = told.clone();
        let (tx, mut rx) = oneshot::channel();
        let loser = Arm::new(async move |cx: Cx| {
            tx.send(()).unwrap();
            *tell.lock().unwrap() = Some(asked(cx).await);
        });
        let winner = Arm::new(async move |cx: Cx| rx.recv(&cx).await.unwrap());
        let won = scope.race([loser, winner]).await.unwrap();
        assert_eq!(won.index, 1);
        let reason = told.lock().unwrap().take().unwrap();
        assert_eq!(reason.root_cause().kind, CancelKind::RaceLost);
    });
}

#[test]
fn link_broken_is_raised_by_the_bad_end_of_a_linked_task() {
    everywhere(async |scope: Scope| {
        let region = scope.region_report(collect(), async |scope| {
            let failing = scope.task().name("source").try_spawn(async |cx: Cx| {
                cx.yield_now().await.unwrap();
                Err::<(), _>("no")
            });
            let id = failing.id();
            let linked = scope.spawn(async move |cx: Cx| {
                cx.link(&failing);
                asked(cx).await
            });
            (id, linked.await.into_result().unwrap())
        });
        let (id, reason) = region.await.unwrap().value.unwrap();
        assert_eq!((reason.kind, reason.task), (CancelKind::LinkBroken, id));
        assert_eq!(reason.message.as_deref(), Some("the linked task failed"));
    });
}

#[test]
fn parent_cancelled_is_what_a_leaf_is_told_and_its_chain_names_the_root_request() {
    everywhere(async |scope: Scope| {
        let region = scope.region_report(collect(), async |outer| {
            let (tx, mut rx) = oneshot::channel();
            let branch = outer.spawn(async move |cx: Cx| {
                let inner = cx.region(async |scope| {
                    let leaf = begun(&scope).await;
                    tx.send(()).unwrap();
                    leaf.await.into_result().unwrap()
                });
                inner.await.unwrap()
            });
            rx.recv(&outer).await.unwrap();
            outer.cancel("the operator said so");
            branch.await.into_result().unwrap()
        });
        let reason = region.await.unwrap().value.unwrap();
        assert_eq!(reason.kind, CancelKind::ParentCancelled);
        let root = reason.root_cause();
        assert_eq!(root.kind, CancelKind::User);
        assert_eq!(root.message.as_deref(), Some("the operator said so"));
    });
}

/// The lab ends a run that cannot go on as the runtime ends one whose process is
/// to stop; `tests/signal.rs` sends the signals to processes of their own.
#[test]
fn shutdown_is_raised_when_a_run_is_given_up() {
    struct Tell(Cx, Arc<Mutex<Option<CancelKind>>>);
    impl Drop for Tell {
        fn drop(&mut self) {
            *self.1.lock().unwrap() = self.0.cancel_reason().map(|r| r.root_cause().kind);
        }
    }
    let told = Arc::new(Mutex::new(None));
    let tell = told.clone();
    let lab = LabRuntime::new(LabConfig::default());
    let failure = lab.try_run(async move |scope: Scope| {
        scope.spawn(async move |cx: Cx| {
            let _tell = Tell(cx, tell);
            pending::<()>().await;
        });
    });
    assert!(failure.is_err());
    assert_eq!(*told.lock().unwrap(), Some(CancelKind::Shutdown));
}
