//! Budgets as programs meet them: who is bound by a limit, and when its request comes.

use asupersync::{
    Budget, CancelKind, CancelReason, Cx, LabConfig, LabRuntime, Outcome, Policy, RegionOptions,
    Runtime, Scope, Time,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

mod worlds;
use worlds::{current_thread, everywhere, in_lab};

const SECOND: Duration = Duration::from_secs(1);

fn with(budget: Budget) -> RegionOptions {
    RegionOptions {
        budget,
        policy: Policy::Collect,
        ..RegionOptions::default()
    }
}

#[test]
fn a_task_with_nothing_to_spend_ends_before_its_first_poll() {
    everywhere(async |scope: Scope| {
        let region = scope.region_report(with(Budget::INFINITE), async |scope| {
            for (budget, kind) in [
                (Budget::ZERO, CancelKind::Timeout),
                (Budget::new().with_deadline(Time::ZERO), CancelKind::Timeout),
                (Budget::new().with_poll_quota(0), CancelKind::PollQuota),
                (Budget::new().with_cost_quota(0), CancelKind::CostQuota),
            ] {
                let ran = Arc::new(AtomicBool::new(false));
                let run = ran.clone();
                let body = async move |_cx| run.store(true, Ordering::Relaxed);
                match scope.task().budget(budget).spawn(body).await {
                    Outcome::Cancelled(reason) => assert_eq!(reason.kind, kind),
                    ended => panic!("{ended:?}"),
                }
                assert!(!ran.load(Ordering::Relaxed), "{kind:?}");
            }
        });
        region.await.unwrap();
    });
}

#[test]
fn a_region_with_nothing_to_spend_is_cancelled_as_it_opens() {
    everywhere(async |scope: Scope| {
        for (budget, kind) in [
            (Budget::ZERO, CancelKind::Timeout),
            (Budget::new().with_cost_quota(0), CancelKind::CostQuota),
        ] {
            let region = scope.region_report(with(budget), async |scope| {
                assert!(scope.spawn(async |_cx| ()).refused().is_some());
                scope.checkpoint().unwrap_err().reason().kind
            });
            assert_eq!(region.await.unwrap().value, Some(kind));
        }
    });
    let spent = Runtime::builder().current_thread().build().unwrap();
    let root = spent.block_on_with(with(Budget::ZERO), async |scope| {
        scope.checkpoint().is_err()
    });
    assert_eq!(root.value, Some(true), "a root region is one, too");
}

#[test]
fn a_child_of_ten_seconds_under_a_parent_of_five_ends_at_five() {
    in_lab(async |scope: Scope| {
        let begun = scope.now();
        let parent = Budget::new().with_timeout(begun, 5 * SECOND);
        let child = Budget::new().with_timeout(begun, 10 * SECOND);
        let region = scope.region_report(with(parent), async |scope| {
            let wait = async |cx: Cx| {
                assert_eq!(cx.budget().deadline, Some(Time::ZERO + 5 * SECOND));
                cx.sleep(20 * SECOND).await.unwrap_err();
                cx.now()
            };
            let task = scope.task().budget(child).spawn(wait);
            // The same for a region below, however deep.
            let below = scope.region_report(with(child), async |inner| {
                let deeper = inner.region_report(with(child), async |scope| {
                    assert_eq!(scope.budget().deadline, parent.deadline);
                    scope.spawn(wait).await.into_result().unwrap()
                });
                deeper.await.unwrap().value.unwrap()
            });
            let (task, below) = asupersync::join!(task, below);
            [task.into_result().unwrap(), below.unwrap().value.unwrap()]
        });
        let ends = region.await.unwrap().value.unwrap();
        assert_eq!(ends, [begun + 5 * SECOND; 2]);
        assert_eq!(scope.now(), begun + 5 * SECOND);
    });
}

#[test]
fn the_deadline_of_a_task_binds_the_regions_it_opens() {
    in_lab(async |scope: Scope| {
        let budget = Budget::new().with_timeout(scope.now(), 5 * SECOND);
        let task = scope.task().budget(budget).spawn(async move |cx: Cx| {
            let options = with(Budget::new().with_timeout(cx.now(), 10 * SECOND));
            let region = cx.region_report(options, async |scope| {
                let child =
                    scope.spawn(async |cx: Cx| (cx.budget().deadline, cx.cancelled().await));
                child.await.into_result().unwrap()
            });
            let (deadline, cancelled) = region.await.unwrap().value.unwrap();
            assert_eq!(deadline, budget.deadline);
            (cx.now(), CancelReason::from(cancelled))
        });
        let (end, reason) = task.await.into_result().unwrap();
        assert_eq!(Some(end), budget.deadline);
        assert_eq!(reason.root_cause().kind, CancelKind::Timeout);
    });
}

#[test]
fn three_tasks_under_a_region_of_two_seconds_end_at_two_and_leave_no_timer() {
    let lab = LabRuntime::new(LabConfig::default());
    lab.run(async |scope: Scope| {
        let options = with(Budget::new().with_timeout(scope.now(), 2 * SECOND));
        let region = scope.region_report(options, async |scope| {
            (0..3).for_each(|_| drop(scope.spawn(async |cx: Cx| cx.sleep(9 * SECOND).await)));
        });
        assert_eq!(region.await.unwrap().report.ended(), 3);
        assert_eq!(scope.now(), Time::ZERO + 2 * SECOND);
    });
    lab.quiescence_oracle().unwrap();
}

#[test]
fn a_poll_quota_of_a_region_binds_each_task_separately() {
    everywhere(async |scope: Scope| {
        let region = scope.region_report(with(Budget::new().with_poll_quota(5)), async |scope| {
            let spin = async |cx: Cx| {
                let mut polls = 1;
                while cx.yield_now().await.is_ok() {
                    polls += 1;
                }
                (polls, cx.cancel_reason().unwrap().kind)
            };
            let own = scope.task().budget(Budget::new().with_poll_quota(3));
            for (task, polls) in [
                (scope.spawn(spin), 5),
                (scope.spawn(spin), 5),
                (own.spawn(spin), 3),
            ] {
                let ended = task.await.into_result().unwrap();
                assert_eq!(ended, (polls, CancelKind::PollQuota));
            }
            scope.checkpoint().is_ok()
        });
        assert_eq!(
            region.await.unwrap().value,
            Some(true),
            "the region goes on"
        );
    });
}

#[test]
fn three_siblings_share_one_pool_to_the_last_unit() {
    const POOL: u64 = 100;
    everywhere(async |scope: Scope| {
        let spent = Arc::new(AtomicU64::new(0));
        let region =
            scope.region_report(with(Budget::new().with_cost_quota(POOL)), async |scope| {
                for _ in 0..3 {
                    let spent = spent.clone();
                    scope.spawn(async move |cx: Cx| {
                        let mut left = POOL;
                        loop {
                            let now = cx.budget().cost_quota.unwrap();
                            assert!(now <= left, "what is left never grows");
                            left = now;
                            if let Err(cancelled) = cx.charge(1) {
                                assert_eq!(
                                    cancelled.reason().root_cause().kind,
                                    CancelKind::CostQuota
                                );
                                return;
                            }
                            spent.fetch_add(1, Ordering::Relaxed);
                            if cx.yield_now().await.is_err() {
                                return;
                            }
                        }
                    });
                }
            });
        let report = region.await.unwrap().report;
        assert_eq!(report.reason.unwrap().kind, CancelKind::CostQuota);
        assert_eq!(spent.load(Ordering::Relaxed), POOL);
    });
}

#[test]
fn a_charge_debits_the_task_and_every_pool_above() {
    in_lab(async |scope: Scope| {
        let outer = scope.region_report(with(Budget::new().with_cost_quota(10)), async |outer| {
            let inner =
                outer.region_report(with(Budget::new().with_cost_quota(6)), async |inner| {
                    let own = Budget::new().with_cost_quota(4);
                    let task = inner.task().budget(own).spawn(async |cx: Cx| {
                        cx.charge(3).unwrap();
                        assert_eq!(cx.budget().cost_quota, Some(1));
                        // Not covered by the task's own quota, but by the pools.
                        cx.charge(2).unwrap_err().reason().kind
                    });
                    assert_eq!(task.await.into_result(), Ok(CancelKind::CostQuota));
                    assert_eq!(inner.budget().cost_quota, Some(1));
                    // Takes the last unit of the inner pool, and is granted.
                    inner.charge(1).unwrap();
                    inner.checkpoint().is_err()
                });
            assert_eq!(inner.await.unwrap().value, Some(true));
            assert_eq!(outer.budget().cost_quota, Some(4));
            outer.checkpoint().unwrap();
            outer.charge(5).unwrap_err();
            assert_eq!(outer.budget().cost_quota, Some(0));
        });
        let outer = outer.await.unwrap();
        assert!(outer.value.is_some());
        assert_eq!(scope.budget(), Budget::INFINITE);
        scope.charge(u64::MAX).unwrap();
    });
}

/// Nothing fires a timer here but the thread that spins: the checkpoint looks itself.
#[test]
fn code_that_never_waits_is_stopped_by_its_deadline() {
    current_thread(async |scope: Scope| {
        let spin = |cx: &Cx| loop {
            if let Err(cancelled) = cx.checkpoint() {
                break cancelled.reason().root_cause().kind;
            }
        };
        let soon = Budget::new().with_timeout(scope.now(), Duration::from_millis(2));
        let task = scope
            .task()
            .budget(soon)
            .spawn(async move |cx: Cx| spin(&cx));
        assert_eq!(task.await.into_result(), Ok(CancelKind::Timeout));

        // By then the region below is open, on a busy machine too.
        let soon = Budget::new().with_timeout(scope.now(), Duration::from_millis(200));
        let region = scope.region_report(with(soon), async |scope| {
            let below = scope.region_report(with(Budget::INFINITE), async |scope| spin(&scope));
            below.await.unwrap().value
        });
        let ended = region.await.unwrap();
        assert_eq!(ended.value, Some(Some(CancelKind::Timeout)));
        assert_eq!(ended.report.reason.unwrap().kind, CancelKind::Timeout);
    });
}

#[test]
fn what_is_left_only_shrinks() {
    in_lab(async |scope: Scope| {
        let budget = Budget::new().with_poll_quota(9).with_cost_quota(20);
        let task = scope.task().budget(budget).spawn(async |cx: Cx| {
            let mut before = cx.budget();
            while cx.charge(1).is_ok() && cx.yield_now().await.is_ok() {
                let now = cx.budget();
                assert!(now.poll_quota < before.poll_quota);
                assert!(now.cost_quota < before.cost_quota);
                assert_eq!(now.meet(before), now);
                before = now;
            }
            before
        });
        let last = task.await.into_result().unwrap();
        assert_eq!((last.poll_quota, last.cost_quota), (0, Some(12)));
    });
}
