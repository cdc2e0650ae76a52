//! Sets of tasks: what comes out, in which order, and what a cancel or a drop leaves behind.

mod worlds;

use asupersync::channel::oneshot;
use asupersync::{CancelKind, Cx, JoinSet, Outcome, RegionLimits, RegionOptions, Severity, select};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use worlds::{everywhere, in_lab};

const MS: Duration = Duration::from_millis(1);

#[test]
fn outcomes_come_in_the_order_of_ends_and_all_together_in_that_of_spawns() {
    in_lab(async |cx| {
        let spawn = |set: &mut JoinSet<u32>| {
            for n in [3u32, 1, 2] {
                set.spawn(async move |cx: Cx| {
                    cx.sleep(MS * n).await.expect("nobody cancels");
                    n
                });
            }
        };
        let mut set = JoinSet::new(&cx);
        spawn(&mut set);
        let mut ends = Vec::new();
        while let Some(outcome) = set.join_next(&cx).await.expect("nobody cancels") {
            ends.push(outcome);
        }
        assert_eq!(ends, [1, 2, 3].map(Outcome::Ok));
        spawn(&mut set);
        let all = set.join_all(&cx).await.expect("nobody cancels");
        assert_eq!(all, [3, 1, 2].map(Outcome::Ok));
        assert!(set.is_empty());
    });
}

#[test]
fn every_member_comes_out_once() {
    everywhere(async |cx| {
        let mut set = JoinSet::new(&cx);
        let mut sum = 0;
        for n in 0..200u64 {
            set.spawn(async move |cx: Cx| {
                let _ = cx.yield_now().await;
                n
            });
            if n % 3 == 0 {
                let next = set.join_next(&cx).await.expect("nobody cancels");
                sum += next.expect("not empty").into_result().expect("a value");
            }
        }
        let rest = set.join_all(&cx).await.expect("nobody cancels");
        sum += rest
            .into_iter()
            .map(|o| o.into_result().expect("a value"))
            .sum::<u64>();
        assert_eq!(sum, 199 * 200 / 2);
        let none = set.join_next(&cx).await.expect("nobody cancels");
        assert_eq!(none, None);
    });
}

#[test]
fn an_outcome_waits_for_the_work_that_its_task_has_deferred() {
    in_lab(async |cx| {
        let mut set = JoinSet::new(&cx);
        set.spawn(async |cx: Cx| {
            cx.defer_with(async |cx: Cx| drop(cx.sleep(MS * 5).await));
            "deferred"
        });
        set.spawn(async |cx: Cx| {
            let _ = cx.sleep(MS).await;
            "slept"
        });
        let mut ends = Vec::new();
        while let Some(end) = set.join_next(&cx).await.expect("nobody cancels") {
            ends.push(end.into_result().expect("a value"));
        }
        assert_eq!(ends, ["slept", "deferred"]);
    });
}

#[test]
fn errors_panics_and_cancellations_come_out_too() {
    everywhere(async |cx| {
        let options = RegionOptions {
            policy: asupersync::Policy::Collect,
            ..RegionOptions::default()
        };
        let reported = cx.region_report(options, async |scope| {
            let mut set = JoinSet::new(&scope);
            set.try_spawn(async |_| Ok::<_, std::io::Error>(1));
            set.try_spawn(async |_| Err(std::io::Error::other("planted")));
            set.try_spawn(async |_| std::panic::resume_unwind(Box::new("planted")));
            set.try_spawn(async |cx: Cx| Err(std::io::Error::other(cx.cancelled().await)));
            for _ in 0..3 {
                let _ = set
                    .join_next(&scope)
                    .await
                    .expect("nobody cancels the joiner");
            }
            set.cancel_all("enough");
            let last = set
                .join_all(&scope)
                .await
                .expect("nobody cancels the joiner");
            last.iter().map(Outcome::severity).collect::<Vec<_>>()
        });
        let reported = reported.await.expect("open");
        assert_eq!(reported.value.as_deref(), Some(&[Severity::Cancelled][..]));
        assert_eq!(reported.report.counts, [1, 1, 1, 1]);
    });
}

#[test]
fn dropping_a_set_stops_its_members_and_the_region_drains_them() {
    everywhere(async |cx| {
        let cleaned = Arc::new(AtomicUsize::new(0));
        let inside = cleaned.clone();
        let region = cx.region_report(RegionOptions::default(), async |scope| {
            let mut set = JoinSet::new(&scope);
            for _ in 0..10 {
                let cleaned = inside.clone();
                set.spawn(async move |cx: Cx| {
                    let reason = cx.cancelled().await;
                    let _ = cx.cleanup().yield_now().await;
                    cleaned.fetch_add(1, Ordering::AcqRel);
                    drop(reason);
                });
            }
            for _ in 0..20 {
                let _ = scope.yield_now().await;
            }
        });
        let report = region.await.expect("open").report;
        assert_eq!(report.severity, Severity::Ok, "{report}");
        assert_eq!(report.ended(), 10);
        let cleaned = cleaned.load(Ordering::Acquire) as u64;
        assert_eq!(cleaned + report.stopped, 10, "{report}");
    });
}

#[test]
fn a_cancelled_join_loses_nothing() {
    everywhere(async |cx| {
        let set = cx.spawn(async |cx: Cx| {
            let (tx, mut rx) = oneshot::channel::<()>();
            let mut set = JoinSet::new(&cx);
            set.spawn(async |_| 1);
            set.spawn(async move |cx: Cx| {
                rx.recv(cx.cleanup()).await.expect("sent below");
                2
            });
            cx.region(async |scope| {
                let cancel = scope.clone();
                scope.spawn(async move |_| cancel.cancel(CancelKind::RegionEnd));
                set.join_all(&scope).await.expect_err("one of them waits");
            })
            .await
            .expect("it was ended on purpose");
            tx.send(()).expect("it waits");
            set.join_all(&cx).await.expect("nobody cancels")
        });
        let all = set.await.into_result().expect("a value");
        assert_eq!(all, [1, 2].map(Outcome::Ok));
    });
}

#[test]
fn joining_may_lose_a_select() {
    in_lab(async |cx| {
        let mut set = JoinSet::new(&cx);
        set.spawn(async |cx: Cx| {
            let _ = cx.sleep(MS * 10).await;
            7
        });
        let mut ticks = 0;
        let seven = loop {
            select! {
                next = set.join_next(&cx) => break next,
                _ = cx.sleep(MS * 3) => ticks += 1,
            }
        };
        let seven = seven.expect("nobody cancels").expect("a member");
        assert_eq!((seven, ticks), (Outcome::Ok(7), 3));
    });
}

#[test]
fn a_member_that_is_refused_is_cancelled() {
    everywhere(async |cx| {
        let options = RegionOptions {
            limits: RegionLimits {
                max_tasks: 1,
                ..RegionLimits::NONE
            },
            ..RegionOptions::default()
        };
        let region = cx.region_report(options, async |scope| {
            let mut set = JoinSet::new(&scope);
            set.spawn(async |cx: Cx| drop(cx.cancelled().await));
            set.spawn(async |_| unreachable!("there is room for one"));
            let refused = set.join_next(&scope).await.expect("nobody cancels");
            refused.expect("a member").is_cancelled()
        });
        assert_eq!(region.await.expect("open").value, Some(true));
    });
}
