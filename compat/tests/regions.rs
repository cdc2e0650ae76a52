//! Boundaries and the regions and tasks that own them.

use asupersync::{CancelKind, Cx, Outcome, Policy, RegionOptions, Runtime, Scope};
use asupersync_compat::{
    Boundary, BoundaryConfig, Bounded, OpenError, RunError, Stage, UseError, boundary,
    boundary_report, boundary_with, cancel_with, current_cx, token_from, with_cx,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Runs `body` on one thread, then on two workers.
fn both<T>(body: impl AsyncFn(Scope) -> T) {
    for builder in [
        Runtime::builder().current_thread(),
        Runtime::builder().worker_threads(2),
    ] {
        builder
            .build()
            .unwrap()
            .block_on(async |cx| body(cx).await)
            .unwrap();
    }
}

fn config() -> BoundaryConfig {
    BoundaryConfig::new("b")
        .cooperative(MS(3000))
        .hard(MS(2000))
}

#[test]
fn a_region_closes_its_boundary_and_gives_the_value() {
    both(async |cx| {
        let mut kept = None;
        let value = boundary(&cx, async |b| {
            kept = Some(b.boundary().clone());
            let far = b.delegate(async { 40 });
            b.adopt(|| tokio::time::sleep(MS(1))).await.unwrap();
            far.await.unwrap() + 2
        });
        assert_eq!(value.await.unwrap(), 42);
        let report = kept
            .unwrap()
            .report()
            .expect("the region has waited for the ladder");
        assert_eq!(report.stage, Stage::Cooperative, "{report}");
        assert!(report.after_shutdown.is_empty());
    });
}

#[test]
fn cancelling_the_region_is_heard_inside_at_once() {
    both(async |cx| {
        let (reported, closed) = boundary_report(&cx, config(), async |b| {
            let heard = Arc::new(AtomicUsize::new(0));
            // One listens from the runtime, one is adopted by a task, one waits with its own context.
            let (token, count) = (b.cancel_token(), heard.clone());
            b.enter(|| {
                tokio::spawn(async move {
                    token.cancelled().await;
                    count.fetch_add(1, Ordering::SeqCst);
                })
            })
            .unwrap();
            let (boundary, count) = (b.boundary().clone(), heard.clone());
            let adopted = b.scope().spawn(async move |_| {
                let token = boundary.cancel_token();
                boundary.adopt(|| token.cancelled_owned()).await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
            });
            let (boundary, count) = (b.boundary().clone(), heard.clone());
            let waiting = b.scope().spawn(async move |cx: Cx| {
                assert!(
                    cx.cancellable(boundary.adopt(std::future::pending::<()>))
                        .await
                        .is_err()
                );
                count.fetch_add(1, Ordering::SeqCst);
            });
            while b.alive().adopted < 2 {
                b.scope().yield_now().await.unwrap();
            }
            b.scope().close();
            let _ = futures::join!(adopted, waiting);
            heard
        })
        .await
        .unwrap();
        assert_eq!(closed.stage, Stage::Cooperative, "{closed}");
        assert!(reported.report.is_ok(), "{}", reported.report);
        assert_eq!(reported.value.unwrap().load(Ordering::SeqCst), 3);
        assert!(closed.times.total() < MS(2500), "{closed}");
    });
}

#[test]
fn a_deaf_future_is_severed_and_named_before_the_region_loses_patience() {
    both(async |cx| {
        let (reported, closed) = boundary_report(&cx, config().cooperative(MS(80)), async |b| {
            b.scope().close();
            b.adopt(std::future::pending::<()>).named("deaf").await
        })
        .await
        .unwrap();
        let ended = reported
            .value
            .expect("the body was not dropped, only its future was");
        assert!(matches!(ended, Err(UseError::Severed { .. })), "{ended:?}");
        assert_eq!(closed.stage, Stage::HardDrop, "{closed}");
        assert!(
            closed
                .to_string()
                .contains("adopted future \"deaf\" (compat/tests/regions.rs:"),
            "{closed}"
        );
        assert!(reported.report.abandoned.is_empty());
    });
}

#[test]
fn cleanup_of_a_cancelled_task_may_use_the_boundary() {
    both(async |cx| {
        let (reported, closed) = boundary_report(&cx, config(), async |b| {
            let boundary = b.boundary().clone();
            let (started, begun) = futures::channel::oneshot::channel();
            let task = b.scope().spawn(async move |cx: Cx| {
                started.send(()).unwrap();
                let _ = cx.cancelled().await;
                for _ in 0..3 {
                    cx.cleanup().sleep(MS(10)).await.unwrap();
                    boundary.adopt(|| tokio::time::sleep(MS(1))).await.unwrap();
                }
                "rolled back"
            });
            begun.await.unwrap();
            b.scope().close();
            task.await
        })
        .await
        .unwrap();
        assert_eq!(
            reported.value.unwrap().into_result().ok(),
            Some("rolled back")
        );
        assert_eq!(closed.stage, Stage::Cooperative, "{closed}");
    });
}

#[test]
fn a_region_cancelled_at_once_still_closes() {
    both(async |cx| {
        let (_, closed) =
            boundary_report(&cx, config(), async |b| b.scope().cancel(CancelKind::User))
                .await
                .unwrap();
        assert_eq!(closed.stage, Stage::Cooperative, "{closed}");
        assert!(closed.times.total() < MS(2500), "{closed}");
    });
}

#[test]
fn a_task_may_own_a_boundary() {
    both(async |cx| {
        let (tx, rx) = std::sync::mpsc::channel();
        let owner = cx.spawn(async move |cx: Cx| {
            let b = Boundary::open(&cx, config()).unwrap();
            tx.send(b.clone()).unwrap();
            let token = b.cancel_token();
            // Asked to cancel, the task hears of it through the token: the keeper watches the opener.
            b.adopt(|| token.cancelled_owned()).await.unwrap();
        });
        let b = loop {
            match rx.try_recv() {
                Ok(b) => break b,
                Err(_) => cx.yield_now().await.unwrap(),
            }
        };
        owner.cancel("enough");
        assert!(owner.await.is_ok(), "a value wins");
        let report = b
            .report()
            .expect("closed with its task, not with the region");
        assert_eq!(report.stage, Stage::Cooperative, "{report}");
    });
}

#[test]
fn a_function_given_the_bodys_context_places_the_boundary_with_the_region() {
    async fn helper(cx: &Cx) -> Boundary {
        Boundary::open(cx, config()).unwrap()
    }
    both(async |cx| {
        let mut opened = None;
        cx.region(async |scope: Scope| opened = Some(helper(&scope).await))
            .await
            .unwrap();
        let report = opened
            .unwrap()
            .report()
            .expect("closed with the region, not with the task");
        assert_eq!(report.stage, Stage::Cooperative, "{report}");
    });
}

#[test]
fn the_token_closes_from_inside() {
    both(async |cx| {
        let (_, closed) = boundary_report(&cx, config(), async |b| {
            let token = b.cancel_token();
            b.adopt(|| async move { token.cancel() }).await.unwrap();
            while !b.is_closing() {
                b.scope().yield_now().await.unwrap();
            }
        })
        .await
        .unwrap();
        assert_eq!(closed.stage, Stage::Cooperative, "{closed}");
    });
}

#[test]
fn an_explicit_close_gives_the_report_and_the_region_goes_on() {
    both(async |cx| {
        for _ in 0..3 {
            let b = Boundary::open(&cx, config()).unwrap();
            assert_eq!(b.delegate(async { 1 }).await.unwrap(), 1);
            let report = b.close(&cx).await.unwrap();
            assert_eq!(report.stage, Stage::Cooperative, "{report}");
            assert_eq!(cx.spawn(async |_| 2).await.into_result().ok(), Some(2));
        }
    });
}

#[test]
fn a_close_obeys_the_callers_deadline() {
    both(async |cx| {
        let begun = Instant::now();
        let closed = cx
            .timeout(MS(300), async |scope: Scope| {
                let b = Boundary::open(&scope, config().cooperative(MS(60_000))).unwrap();
                let deaf = b.delegate(std::future::pending::<()>());
                let (report, _) = futures::join!(b.close(&scope), deaf);
                report.unwrap()
            })
            .await;
        assert!(begun.elapsed() < MS(10_000));
        if let Ok(report) = closed {
            assert_eq!(report.stage, Stage::HardDrop, "{report}");
        }
    });
}

#[test]
fn joining_a_delegated_future_aborts_it_when_the_task_is_asked_to_cancel() {
    both(async |cx| {
        let (reported, closed) = boundary_report(&cx, config(), async |b| {
            let boundary = b.boundary().clone();
            let alive = Arc::new(());
            let task = b.scope().spawn(async move |cx: Cx| {
                let held = alive.clone();
                let far = boundary.delegate(async move {
                    let _held = held;
                    std::future::pending::<()>().await;
                });
                let ended = far.join(&cx).await;
                (ended, Arc::strong_count(&alive))
            });
            while b.alive().tasks == 0 {
                b.scope().yield_now().await.unwrap();
            }
            task.cancel("enough");
            task.await.into_result().unwrap()
        })
        .await
        .unwrap();
        let (ended, left) = reported.value.unwrap();
        assert!(matches!(ended, Err(UseError::Cancelled(_))), "{ended:?}");
        assert_eq!(left, 1, "the future is gone when the join returns");
        assert_eq!(closed.stage, Stage::Cooperative, "{closed}");
    });
}

#[test]
fn refuses_to_open_with_an_unusable_configuration_or_in_a_closed_region() {
    both(async |cx| {
        let error = boundary_with(&cx, config().workers(0), async |_| ())
            .await
            .unwrap_err();
        assert!(
            matches!(error, RunError::Open(OpenError::Config(_))),
            "{error}"
        );
        let mut scope = None;
        cx.region(async |s: Scope| scope = Some(s)).await.unwrap();
        let error = Boundary::open(&scope.unwrap(), config()).unwrap_err();
        assert!(matches!(error, OpenError::RegionClosed { .. }), "{error}");
    });
}

#[test]
#[should_panic(expected = "in the body")]
fn a_panic_of_the_body_is_raised_again_once_the_boundary_is_closed() {
    let runtime = Runtime::builder().current_thread().build().unwrap();
    let _ = runtime.block_on(async |cx: Scope| {
        boundary(&cx, async |b: Bounded| {
            b.enter(|| tokio::spawn(std::future::ready(()))).unwrap();
            panic!("in the body");
        })
        .await
    });
}

#[test]
fn the_current_context_is_that_of_the_task_as_near_as_can_be_known() {
    both(async |cx| {
        assert!(
            current_cx().is_none(),
            "there is no ambient context outside"
        );
        boundary(&cx, async |b| {
            let own = b.scope().region_id();
            let seen = async || current_cx().map(|cx| cx.region_id());
            assert_eq!(b.adopt(seen).await.unwrap(), Some(own));
            assert_eq!(
                b.delegate(async { current_cx().map(|cx| cx.region_id()) })
                    .await
                    .unwrap(),
                Some(own)
            );
            let boundary = b.boundary().clone();
            let (task, by_choice, by_wrapper) = b
                .scope()
                .spawn(async move |cx: Cx| {
                    let id = || async { current_cx().map(|cx| cx.task_id()) };
                    let by_choice = boundary.adopt(id).on(&cx).await.unwrap();
                    let by_wrapper = with_cx(&cx, boundary.adopt(id)).await.unwrap();
                    (Some(cx.task_id()), by_choice, by_wrapper)
                })
                .await
                .into_result()
                .unwrap();
            assert_eq!((task, task), (by_choice, by_wrapper));
            assert!(current_cx().is_none());
        })
        .await
        .unwrap();
    });
}

#[test]
fn cancellation_crosses_both_ways() {
    both(async |cx| {
        // A region's end reaches the token.
        let mut token = None;
        cx.region(async |scope: Scope| token = Some(token_from(&scope)))
            .await
            .unwrap();
        assert!(token.unwrap().is_cancelled());
        // A task's request reaches the token while its region goes on.
        let (tx, rx) = std::sync::mpsc::channel();
        let task = cx.spawn(async move |cx: Cx| {
            tx.send(token_from(&cx)).unwrap();
            let _ = cx.cancelled().await;
        });
        let token = loop {
            match rx.try_recv() {
                Ok(token) => break token,
                Err(_) => cx.yield_now().await.unwrap(),
            }
        };
        assert!(!token.is_cancelled());
        task.cancel("enough");
        token.cancelled().await;
        // A token's cancellation reaches the region.
        let foreign = asupersync_compat::CancellationToken::new();
        let ended = cx.region(async |scope: Scope| {
            cancel_with(&scope, foreign.clone());
            foreign.cancel();
            scope.cancelled().await
        });
        let message = match ended.await {
            Ok(cancelled) => cancelled.reason().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(message.contains("cancellation token"), "{message}");
    });
}

#[test]
fn a_task_that_runs_tokio_code_ends_in_each_of_the_four_ways() {
    both(async |cx| {
        let options = RegionOptions {
            policy: Policy::Collect,
            ..RegionOptions::default()
        };
        let region = cx.region_report(options, async |scope| {
            let tokio = Boundary::open(&scope, config()).unwrap();
            type Far = std::pin::Pin<Box<dyn Future<Output = u8> + Send>>;
            let adopt = |make: fn() -> Far| {
                let tokio = tokio.clone();
                scope.try_spawn(async move |cx: Cx| {
                    match cx.cancellable(tokio.adopt(make)).await? {
                        Ok(answer) => Ok(answer),
                        // What tokio code panicked with is an answer of the boundary; passing it on is the task's choice.
                        Err(UseError::Panicked { panic, .. }) => panic!("{panic}"),
                        Err(e) => Err(e),
                    }
                })
            };
            let ok = adopt(|| {
                Box::pin(async {
                    tokio::time::sleep(MS(1)).await;
                    1
                })
            });
            let cancelled = adopt(|| Box::pin(std::future::pending()));
            cancelled.cancel("enough");
            let panicked = adopt(|| Box::pin(async { panic!("in tokio's context") }));
            assert_eq!(ok.await.into_result().unwrap(), 1);
            assert!(cancelled.await.is_cancelled());
            match panicked.await {
                Outcome::Panicked(p) => assert_eq!(p.message(), "in tokio's context"),
                ended => panic!("{ended:?}"),
            }
            tokio.close(&scope).await.unwrap();
            // Closed: the error of the boundary is the task's.
            assert!(adopt(|| Box::pin(std::future::pending())).await.is_err());
        });
        let report = region.await.unwrap().report;
        // The boundary has a task of its own, which ends well.
        assert_eq!(report.counts, [2, 1, 1, 1], "{report}");
    });
}
