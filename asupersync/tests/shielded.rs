//! Regions of cleanup: no request from above reaches them, and they end with the cleanup that opened them.

mod worlds;

use asupersync::lab::{Inject, Injector};
use asupersync::{
    Budget, CancelKind, Cx, LabConfig, Outcome, Policy, Region, RegionOptions, Scope, Severity,
};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use worlds::{everywhere, in_lab};

const S: Duration = Duration::from_secs(1);

fn named(name: &'static str) -> RegionOptions {
    RegionOptions {
        policy: Policy::Collect,
        ..RegionOptions::named(name)
    }
}

/// Opens a region and another in it, works in both for a while, and tells whether
/// nobody asked.
async fn undisturbed(cx: &Cx, work: Duration) -> bool {
    let region = cx.region(async |scope: Scope| {
        let task = scope.spawn(async move |cx: Cx| cx.sleep(work).await.is_ok());
        let nested = scope.region(async |inner: Scope| {
            let task = inner.spawn(async move |cx: Cx| cx.sleep(work).await.is_ok());
            let body = inner.sleep(work).await.is_ok() && !inner.is_cancel_requested();
            body && task.await == Outcome::Ok(true)
        });
        let body = nested.await.unwrap_or(false);
        body && task.await == Outcome::Ok(true) && !scope.is_cancel_requested()
    });
    region.await.unwrap_or(false)
}

#[test]
fn a_region_opened_while_cleaning_up_is_left_alone() {
    in_lab(async |cx| {
        let outer = cx.region_report(named("outer"), async |outer: Scope| {
            // Opened before the request, and after it.
            let before = outer.spawn(async |cx: Cx| undisturbed(cx.cleanup(), S * 2).await);
            let after = outer.spawn(async |cx: Cx| {
                cx.cancelled().await;
                undisturbed(cx.cleanup(), S).await
            });
            outer.sleep(S).await.expect("nobody cancels yet");
            outer.cancel("enough");
            (before.await, after.await)
        });
        let outer = outer.await.expect("open");
        assert_eq!(outer.value, Some((Outcome::Ok(true), Outcome::Ok(true))));
        // It could not close before what it owns.
        assert_eq!(cx.now().as_nanos(), 2_000_000_000);
    });
}

#[test]
fn a_region_opened_under_a_mask_is_left_alone() {
    in_lab(async |cx| {
        let outer = cx.region_report(named("outer"), async |outer: Scope| {
            let masked = outer.spawn(async |cx: Cx| {
                let _mask = cx.mask();
                undisturbed(&cx, S * 2).await
            });
            outer.sleep(S).await.expect("nobody cancels yet");
            outer.cancel("enough");
            masked.await
        });
        assert_eq!(outer.await.expect("open").value, Some(Outcome::Ok(true)));
    });
}

#[test]
fn a_region_opened_by_a_finalizer_is_left_alone() {
    in_lab(async |cx| {
        let done = Arc::new(AtomicUsize::new(0));
        let inside = done.clone();
        let outer = cx.region_report(named("outer"), async move |outer: Scope| {
            let (a, b) = (inside.clone(), inside);
            outer.defer_with(async move |cx: Cx| {
                a.fetch_add(usize::from(undisturbed(&cx, S).await), Ordering::Relaxed);
            });
            outer.spawn(async move |cx: Cx| {
                cx.defer_with(async move |cx: Cx| {
                    b.fetch_add(usize::from(undisturbed(&cx, S).await), Ordering::Relaxed);
                });
                cx.cancelled().await;
            });
            outer.sleep(S).await.expect("nobody cancels yet");
            outer.cancel("enough");
        });
        let report = outer.await.expect("open").report;
        assert_eq!(done.load(Ordering::Relaxed), 2, "{report}");
    });
}

/// What opens the region that outlives its limits.
#[derive(Clone, Copy, PartialEq, Debug)]
enum By {
    Cleanup,
    Mask,
    TaskFinalizer,
    RegionFinalizer,
}

/// A region that does not end, of a task `inside` of it that does not either.
async fn endless(cx: &Cx, inside: Arc<AtomicUsize>) {
    struct Alive(Arc<AtomicUsize>);
    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::AcqRel);
        }
    }
    let alive = move || {
        inside.fetch_add(1, Ordering::AcqRel);
        Alive(inside.clone())
    };
    let _ = cx
        .region(async move |scope: Scope| {
            let _body = alive();
            let task = alive();
            scope.spawn(async move |_| {
                let _task = task;
                pending::<()>().await;
            });
            let nested = scope.region(async |scope: Scope| {
                let task = alive();
                scope.spawn(async move |_| {
                    let _task = task;
                    pending::<()>().await;
                });
                pending::<()>().await;
            });
            let _ = nested.await;
        })
        .await;
}

#[test]
fn at_the_end_of_its_limits_it_is_dropped_at_once() {
    in_lab(async |cx| {
        // From the request to a region: two seconds for its tasks; deferred work has five.
        for (by, limit) in [
            (By::Cleanup, S * 2),
            (By::Mask, S * 2),
            (By::TaskFinalizer, S * 2),
            (By::RegionFinalizer, S * 5),
        ] {
            let alive = Arc::new(AtomicUsize::new(0));
            let inside = alive.clone();
            let mut asked = cx.now();
            let outer = cx.region_report(named("outer"), async |outer: Scope| {
                if by == By::RegionFinalizer {
                    outer.defer_with(async move |cx: Cx| endless(&cx, inside).await);
                } else {
                    outer.spawn(async move |cx: Cx| match by {
                        By::Cleanup => endless(cx.cleanup(), inside).await,
                        By::Mask => {
                            let _mask = cx.mask();
                            endless(&cx, inside).await;
                        }
                        By::TaskFinalizer | By::RegionFinalizer => {
                            cx.defer_with(async move |cx: Cx| endless(&cx, inside).await);
                            cx.cancelled().await;
                        }
                    });
                }
                outer.sleep(S).await.expect("nobody cancels yet");
                asked = outer.now();
                outer.cancel(CancelKind::User);
            });
            let report = outer.await.expect("open").report;
            assert_eq!(cx.now().since(asked), limit, "{by:?}: {report}");
            assert_eq!(alive.load(Ordering::Acquire), 0, "{by:?}");
            assert!(report.quiescent, "{by:?}");
        }
    });
}

#[test]
fn a_deadline_above_is_a_request_and_does_not_reach_it() {
    in_lab(async |cx| {
        let options = RegionOptions {
            budget: Budget::new().with_timeout(cx.now(), S),
            ..named("outer")
        };
        let outer = Region::open_with(&cx, options, async |outer: Scope| {
            undisturbed(outer.cleanup(), S * 3).await
        });
        let error = outer.await.err().map(|e| e.to_string());
        assert_eq!(error, None, "its tasks have ended well");
    });
}

#[test]
fn dropping_who_awaits_it_cancels_it_as_any_other() {
    everywhere(async |cx| {
        let outer = cx.region_report(named("outer"), async |outer: Scope| {
            let seen = Arc::new(AtomicUsize::new(0));
            let inside = seen.clone();
            let region = outer.cleanup().region(async |scope: Scope| {
                scope.spawn(async move |cx: Cx| {
                    cx.cancelled().await;
                    inside.fetch_add(1, Ordering::AcqRel);
                });
                pending::<()>().await;
            });
            {
                let mut region = std::pin::pin!(region);
                for _ in 0..100 {
                    let once = std::future::poll_fn(|task| {
                        std::task::Poll::Ready(region.as_mut().poll(task).is_ready())
                    });
                    assert!(!once.await);
                    let _ = outer.yield_now().await;
                }
            }
            seen
        });
        let outer = outer.await.expect("open");
        let seen = outer.value.expect("a value");
        assert!(seen.load(Ordering::Acquire) <= 1);
        assert_eq!(outer.report.severity, Severity::Ok, "{}", outer.report);
    });
}

/// Regions in regions, tasks that clean up, deferred work: whatever future is
/// dropped or cancelled at whatever await point, everything comes to rest.
#[test]
fn the_awaiting_future_may_be_dropped_at_every_await_point() {
    let program = async |cx: Scope| {
        let _ = cx
            .region(async |outer: Scope| {
                outer.spawn(async |cx: Cx| {
                    let _ = cx
                        .region(async |inner: Scope| {
                            inner.defer_with(async |cx: Cx| drop(cx.yield_now().await));
                            inner.spawn(async |cx: Cx| {
                                cx.defer_with(async |cx: Cx| drop(cx.yield_now().await));
                                let _ = cx.sleep(S).await;
                                let _ = undisturbed(cx.cleanup(), S / 10).await;
                            });
                            let _ = inner.sleep(S / 2).await;
                            let _ = inner
                                .region(async |scope: Scope| drop(scope.sleep(S).await))
                                .await;
                        })
                        .await;
                });
                let _ = outer.sleep(S / 3).await;
            })
            .await;
    };
    for mode in [Inject::Drop, Inject::Protocol, Inject::Root] {
        for seed in 0..5 {
            let config = LabConfig::default().seed(seed);
            let report = Injector::new(config).mode(mode).check(program);
            assert!(report.is_ok() && report.runs > 6, "{report}");
        }
    }
}
