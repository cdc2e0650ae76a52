//! Regions that do not close when they should: what is dropped, what is named, and what is never said.

mod worlds;

use asupersync::channel::oneshot;
use asupersync::kernel::region::RegionState;
use asupersync::kernel::task::TaskPhase;
use asupersync::types::event::Event;
use asupersync::types::obligation::ObligationKind;
use asupersync::types::policy::{CleanupPolicy, Escalation};
use asupersync::types::report::{Doing, DrainLabel};
use asupersync::{
    CancelKind, Cx, LabConfig, LabRuntime, Outcome, Region, RegionError, RegionOptions, Runtime,
    Scope, Severity,
};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use worlds::in_lab;

const S: Duration = Duration::from_secs(1);

fn closing_in(limit: Duration) -> RegionOptions {
    RegionOptions {
        close_timeout: Some(limit),
        escalation: Some(Escalation::Wait),
        ..RegionOptions::named("slow")
    }
}

/// Ends `after` it was asked to, and not before.
async fn ends_late(cx: Cx, after: Duration) {
    cx.cancelled().await;
    let _ = cx.cleanup().sleep(after).await;
}

#[test]
fn a_region_that_does_not_close_in_time_is_reported_and_drains_under_its_parent() {
    in_lab(async |cx| {
        let start = cx.now();
        let outer = cx.region(async |outer: Scope| {
            let inner = Region::open_with(&outer, closing_in(S * 2), async |scope: Scope| {
                scope.spawn(async |cx: Cx| ends_late(cx, S * 9).await);
                let task = scope.task().name("late");
                task.spawn(async |cx: Cx| {
                    let _ = cx.checkpoint_note("half-way");
                    ends_late(cx, S * 8).await;
                });
                let _ = scope.yield_now().await;
                scope.sleep(S).await.expect("nobody cancels");
                scope.close();
                scope
            });
            let error = inner.await.expect_err("it is not quiescent");
            assert_eq!(outer.now().since(start), S * 3);
            let text = error.to_string();
            assert!(text.starts_with("RegionCloseTimeout: "), "{text}");
            assert!(text.contains("is not quiescent"), "{text}");
            let RegionError::CloseTimeout(report) = error.clone() else {
                panic!("{error:?}");
            };
            let kind = asupersync::Error::from(error).kind();
            assert_eq!(kind, asupersync::ErrorKind::RegionCloseTimeout);
            assert!(!report.quiescent && !report.is_ok());
            assert_eq!(report.drain.label, DrainLabel::Stuck);
            assert_eq!(report.drain.took(), Some(S * 2));
            let late = report.stuck.iter().find(|s| s.name.as_str() == "late");
            let late = late.expect("it is named");
            assert_eq!(late.last_checkpoint, Some("half-way"));
            assert_eq!((late.after, late.doing), (S * 2, Doing::Waiting));
            assert_eq!(report.stuck.len(), 2);
            assert_eq!(outer.state(), RegionState::Open);
        });
        outer.await.expect("what was left ends well");
        // The one above could not close before.
        assert_eq!(cx.now().since(start), S * 10);
    });
}

#[test]
fn a_region_that_closes_in_time_says_nothing_of_it() {
    in_lab(async |cx| {
        let inner = Region::open_with(&cx, closing_in(S * 2), async |scope: Scope| {
            // Open is not closing: the body may take its time.
            scope.sleep(S * 100).await.expect("nobody cancels");
            scope.spawn_daemon(async |cx: Cx| ends_late(cx, S).await);
            scope.spawn(async |cx: Cx| drop(cx.sleep(S * 50).await));
        });
        inner.await.expect("it closed in time");
    });
}

#[test]
fn a_body_that_does_not_end_in_time_is_dropped() {
    in_lab(async |cx| {
        let alive = Arc::new(());
        let kept = alive.clone();
        let start = cx.now();
        let reported = cx.region_report(closing_in(S), async move |scope: Scope| {
            let _kept = kept;
            scope.close();
            pending::<()>().await;
        });
        let reported = reported.await.expect("open");
        assert_eq!(cx.now().since(start), S);
        assert!(reported.value.is_none() && !reported.report.quiescent);
        let body = &reported.report.abandoned[0];
        assert_eq!((body.name.as_str(), body.after), ("slow", S));
        assert_eq!(Arc::strong_count(&alive), 1);
    });
}

#[test]
fn a_finalizer_that_takes_too_long_goes_on_under_the_parent() {
    in_lab(async |cx| {
        let start = cx.now();
        let outer = cx.region(async |outer: Scope| {
            let done = Arc::new(AtomicBool::new(false));
            let inside = done.clone();
            let inner = Region::open_with(&outer, closing_in(S), async |scope: Scope| {
                scope.defer_with(async move |cx: Cx| {
                    cx.sleep(S * 4).await.expect("cleanup");
                    inside.store(true, Ordering::Release);
                });
            });
            let error = inner.await.expect_err("its finalizer runs");
            assert!(matches!(error, RegionError::CloseTimeout(_)), "{error}");
            assert!(!done.load(Ordering::Acquire));
            outer.defer_sync(move || assert!(done.load(Ordering::Acquire)));
        });
        outer.await.expect("nothing fails");
        assert_eq!(cx.now().since(start), S * 4);
    });
}

/// A task that never returns from its poll, until the test lets it go.
#[test]
fn a_task_that_spins_is_reported_stuck_and_its_region_is_not_closed() {
    let runtime = Runtime::builder().worker_threads(2).build().unwrap();
    let ended = runtime.block_on(async |cx: Scope| {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        let options = RegionOptions {
            close_timeout: Some(Duration::from_millis(50)),
            ..RegionOptions::default()
        };
        let inner = cx.region_report(options, async |scope: Scope| {
            let spinner = scope.task().name("spinner").spawn(async move |_| {
                while !seen.load(Ordering::Acquire) {
                    std::hint::spin_loop();
                }
            });
            while spinner.phase() == TaskPhase::Created {
                let _ = scope.yield_now().await;
            }
            scope.close();
            scope
        });
        let reported = inner.await.expect("open");
        stop.store(true, Ordering::Release);
        let report = reported.report;
        assert!(!report.quiescent, "{report}");
        assert_eq!(report.stuck.len(), 1, "{report}");
        let stuck = &report.stuck[0];
        assert_eq!(
            (stuck.name.as_str(), stuck.doing),
            ("spinner", Doing::Polling)
        );
        assert!(reported.value.expect("a value").state() < RegionState::Closed);
    });
    ended.expect("it ended after all");
}

#[test]
fn deaf_code_is_dropped_at_the_end_of_its_budget_and_named() {
    in_lab(async |cx| {
        let start = cx.now();
        let inner = cx.region_report(RegionOptions::default(), async |scope: Scope| {
            let (tx, mut rx) = asupersync::channel::mpsc::channel::<u8>(1);
            let task = scope.task().name("deaf");
            let deaf = task.spawn(async move |cx: Cx| {
                let _permit = tx.reserve(&cx).await.expect("there is room");
                let _ = cx.checkpoint_note("before the deafness");
                pending::<()>().await;
            });
            let polite = scope.spawn(async |cx: Cx| ends_late(cx, S).await);
            scope.sleep(S).await.expect("nobody cancels");
            scope.cancel("enough");
            let ends = (deaf.await.severity(), polite.await);
            assert!(rx.recv(&scope).await.is_err(), "the permit is void");
            ends
        });
        let reported = inner.await.expect("open");
        let (deaf, polite) = reported.value.expect("a value");
        assert_eq!((deaf, polite), (Severity::Cancelled, Outcome::Ok(())));
        let report = reported.report;
        assert!(report.quiescent);
        assert_eq!(report.drain.label, DrainLabel::Done);
        assert_eq!(report.abandoned.len(), 1, "{report}");
        let deaf = &report.abandoned[0];
        assert_eq!(deaf.name.as_str(), "deaf");
        assert_eq!(deaf.last_checkpoint, Some("before the deafness"));
        assert_eq!(deaf.held, [ObligationKind::SendPermit]);
        // Two seconds for what a cancelled region asks of its tasks.
        assert_eq!(
            (deaf.after, deaf.overdue, deaf.seen),
            (S * 2, Duration::ZERO, false)
        );
        assert_eq!(cx.now().since(start), S * 3);
    });
}

#[test]
fn a_nested_cleanup_ends_with_the_one_around_it_at_the_latest() {
    // Seconds that the outer and the inner region allow, and when deaf code in
    // the inner one is dropped after the outer one was asked.
    for (outer, inner, dropped) in [(1, 2, 1), (2, 1, 1), (1, 1, 1)] {
        let allowing = |seconds: u32| RegionOptions {
            cleanup: Some(CleanupPolicy {
                table: [(S * seconds, 1000); 6],
            }),
            ..RegionOptions::default()
        };
        in_lab(async |cx| {
            let start = cx.now();
            let region = cx.region_report(allowing(outer), async |scope: Scope| {
                let nested = allowing(inner);
                let nests = scope.spawn(async move |cx: Cx| {
                    let region = cx.region_report(nested, async |scope: Scope| {
                        scope.spawn(async |_cx| pending::<()>().await);
                    });
                    region.await.expect("open").report.abandoned
                });
                scope.sleep(S).await.expect("nobody cancels yet");
                scope.cancel("enough");
                nests.await
            });
            let report = region.await.expect("open").report;
            assert!(report.quiescent, "{report}");
            assert_eq!(cx.now().since(start), S + S * dropped, "{outer} {inner}");
        });
    }
}

#[test]
fn what_may_not_be_dropped_is_named_every_ten_seconds() {
    for (budget, told) in [(S * 25, 3), (S, 0)] {
        let lab = LabRuntime::new(LabConfig::default());
        lab.run(async |cx| {
            let options = RegionOptions {
                escalation: Some(Escalation::Wait),
                ..RegionOptions::default()
            };
            let report = cx.region_report(options, async |scope: Scope| {
                scope.spawn(async move |cx: Cx| ends_late(cx, budget).await);
                scope.sleep(S).await.expect("nobody cancels");
                scope.cancel("enough");
            });
            let report = report.await.expect("open").report;
            assert!(report.abandoned.is_empty(), "{report}");
        });
        let said: Vec<u64> = lab
            .trace()
            .events
            .iter()
            .filter(|e| matches!(e.event, Event::StillRunning { task: Some(_), .. }))
            .map(|e| e.at.as_nanos() / 1_000_000_000)
            .collect();
        // Asked after one second, with two for cleanup.
        assert_eq!(said, [3, 13, 23][..told]);
    }
}

#[test]
fn a_finalizer_that_may_not_be_dropped_is_named_and_awaited() {
    let lab = LabRuntime::new(LabConfig::default());
    lab.run(async |cx| {
        let options = RegionOptions {
            escalation: Some(Escalation::Wait),
            ..RegionOptions::default()
        };
        let inner = Region::open_with(&cx, options, async |scope: Scope| {
            scope.defer_with(async |cx: Cx| cx.sleep(S * 20).await.expect("cleanup"));
            scope.spawn(async |cx: Cx| {
                cx.defer_with(async |cx: Cx| cx.sleep(S * 20).await.expect("cleanup"));
            });
        });
        inner.await.expect("nothing fails");
        assert_eq!(cx.now().as_nanos(), (S * 40).as_nanos() as u64);
    });
    let said = lab.trace().events.into_iter();
    let said = said.filter(|e| matches!(e.event, Event::StillRunning { .. }));
    let said: Vec<u64> = said.map(|e| e.at.as_nanos() / 1_000_000_000).collect();
    assert_eq!(said, [5, 15, 25, 35]);
}

/// Two tasks under masks, each waiting for the other through the cleanup view.
#[test]
fn a_masked_cycle_ends_by_escalation() {
    in_lab(async |cx| {
        let report = cx.region_report(RegionOptions::default(), async |scope: Scope| {
            let (tx_a, mut rx_a) = oneshot::channel::<()>();
            let (tx_b, mut rx_b) = oneshot::channel::<()>();
            scope.task().name("a").spawn(async move |cx: Cx| {
                let _mask = cx.mask();
                let _ = rx_b.recv(cx.cleanup()).await;
                let _ = tx_a.send(());
            });
            scope.task().name("b").spawn(async move |cx: Cx| {
                let _mask = cx.mask();
                let _ = rx_a.recv(cx.cleanup()).await;
                let _ = tx_b.send(());
            });
            scope.sleep(S).await.expect("nobody cancels");
            scope.cancel(CancelKind::User);
        });
        let report = report.await.expect("open").report;
        assert!(report.quiescent);
        assert_eq!(report.abandoned.len(), 2, "{report}");
        assert_eq!(report.counts[Severity::Cancelled as usize], 2);
    });
}

/// One program per label.
#[test]
fn a_drain_is_labelled_by_its_trend() {
    /// Ten tasks that end `apart` one after the other, looked at twice.
    async fn drain(cx: &Cx, apart: Duration, first: Duration) -> (DrainLabel, DrainLabel) {
        let looks = cx.region_report(RegionOptions::default(), async |scope: Scope| {
            for n in 0..10 {
                scope.spawn(async move |cx: Cx| ends_late(cx, first + apart * n).await);
            }
            scope.sleep(S).await.expect("nobody cancels");
            scope.close();
            let early = scope.drain_stats().label;
            scope.cleanup().sleep(S).await.expect("within the budget");
            (early, scope.drain_stats().label)
        });
        let reported = looks.await.expect("open");
        assert_eq!(reported.report.drain.label, DrainLabel::Done);
        let (early, late) = reported.value.expect("a value");
        assert_eq!(early, DrainLabel::Progressing, "too early to tell");
        (early, late)
    }
    in_lab(async |cx| {
        let soon = Duration::from_millis(150);
        let (_, late) = drain(&cx, soon, soon).await;
        assert_eq!(late, DrainLabel::Progressing);
        let (_, late) = drain(&cx, S, S / 2).await;
        assert_eq!(late, DrainLabel::Slow);
        let (_, late) = drain(&cx, S, S * 60).await;
        assert_eq!(late, DrainLabel::Stuck);
    });
}
