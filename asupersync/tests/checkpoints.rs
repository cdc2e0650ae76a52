//! Checkpoints: what ends them, what defers them, and what they tell reports.

use asupersync::channel::{mpsc, oneshot};
use asupersync::cx::Mask;
use asupersync::{CancelKind, Cx, Policy, RegionOptions, Runtime, Scope};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

mod worlds;
use worlds::{everywhere, in_lab};

fn collect() -> RegionOptions {
    RegionOptions {
        policy: Policy::Collect,
        ..RegionOptions::default()
    }
}

/// Runs `body` in a task that has been asked to cancel and told so by `go`,
/// which it awaits through the cleanup view.
async fn asked<T: Send + 'static, Fut: Future<Output = T> + Send + 'static>(
    scope: &Scope,
    body: impl FnOnce(Cx, oneshot::Receiver<()>) -> Fut + Send + 'static,
) -> T {
    let (ready, mut begun) = oneshot::channel();
    let (go, told) = oneshot::channel();
    let task = scope.spawn(async move |cx: Cx| {
        ready.send(()).unwrap();
        body(cx, told).await
    });
    begun.recv(scope).await.unwrap();
    task.cancel(CancelKind::User);
    go.send(()).unwrap();
    task.await.into_result().unwrap()
}

/// Checkpoints that pass until one fails.
fn passes(cx: &Cx) -> u32 {
    (0..)
        .find(|_| cx.checkpoint().is_err())
        .expect("masks are finite")
}

#[test]
fn a_task_masked_k_times_acknowledges_at_checkpoint_k_plus_one() {
    everywhere(async |scope: Scope| {
        for deferrals in [0, 1, 5, 64, 100] {
            let passed = asked(&scope, async move |cx, mut told| {
                let inside = async {
                    told.recv(cx.cleanup()).await.unwrap();
                    passes(&cx)
                };
                let passed = cx.masked(Mask { deferrals }, inside).await;
                assert!(cx.checkpoint().is_err(), "it keeps failing");
                passed
            });
            assert_eq!(passed.await, deferrals);
        }
    });
}

#[test]
fn a_mask_that_is_lifted_defers_nothing_and_a_nested_one_renews_nothing() {
    everywhere(async |scope: Scope| {
        let lifted = asked(&scope, async |cx, mut told| {
            let mask = cx.mask();
            told.recv(cx.cleanup()).await.unwrap();
            cx.checkpoint().unwrap();
            drop(mask);
            passes(&cx)
        });
        assert_eq!(lifted.await, 0);
        let nested = asked(&scope, async |cx, mut told| {
            let outer = Mask { deferrals: 3 };
            let inside = async {
                told.recv(cx.cleanup()).await.unwrap();
                cx.checkpoint().unwrap();
                cx.masked(Mask::default(), async { passes(&cx) }).await
            };
            cx.masked(outer, inside).await
        });
        assert_eq!(nested.await, 2);
    });
}

#[test]
fn a_mask_cannot_outlast_the_cleanup_clock() {
    in_lab(async |scope: Scope| {
        let region = scope.region_report(collect(), async |scope| {
            let task = scope.spawn(async |cx: Cx| {
                let endless = async { while cx.sleep(Duration::from_millis(100)).await.is_ok() {} };
                cx.masked(
                    Mask {
                        deferrals: u32::MAX,
                    },
                    endless,
                )
                .await;
            });
            scope.sleep(Duration::from_secs(1)).await.unwrap();
            task.cancel(CancelKind::User);
            assert!(task.await.is_cancelled());
            scope.now()
        });
        let ended = region.await.unwrap();
        assert_eq!(
            ended.value.unwrap(),
            asupersync::Time::ZERO + Duration::from_secs(6)
        );
        assert_eq!(ended.report.abandoned.len(), 1, "{}", ended.report);
    });
}

#[test]
fn a_loop_of_checkpoints_ends_when_it_is_asked_to() {
    let runtime = Runtime::builder().worker_threads(2).build().unwrap();
    runtime
        .block_on(async |scope: Scope| {
            let (ready, mut begun) = oneshot::channel();
            let task = scope.spawn(async move |cx: Cx| {
                ready.send(()).unwrap();
                loop {
                    if let Err(cancelled) = cx.checkpoint() {
                        break cancelled.reason().kind;
                    }
                }
            });
            begun.recv(&scope).await.unwrap();
            task.cancel(CancelKind::User);
            assert_eq!(task.await.into_result(), Ok(CancelKind::User));
        })
        .unwrap();
}

#[test]
fn the_last_note_stands_in_the_report() {
    in_lab(async |scope: Scope| {
        let region = scope.region_report(collect(), async |scope| {
            scope.spawn(async |cx: Cx| {
                cx.checkpoint_note("reading").unwrap();
                cx.checkpoint_note("counting").unwrap();
                std::future::pending::<()>().await;
            });
            scope.sleep(Duration::from_millis(1)).await.unwrap();
            scope.cancel(CancelKind::User);
        });
        let report = region.await.unwrap().report;
        assert_eq!(report.abandoned[0].last_checkpoint, Some("counting"));
        assert!(
            report.to_string().contains("last checkpoint \"counting\""),
            "{report}"
        );
    });
}

#[test]
fn a_task_on_a_channel_that_is_always_ready_does_not_starve_others() {
    const FAR_TOO_LONG: u32 = 1_000_000;
    everywhere(async |scope: Scope| {
        let heard = Arc::new(AtomicBool::new(false));
        let seen = heard.clone();
        let greedy = scope.spawn(async move |cx: Cx| {
            let (tx, mut rx) = mpsc::channel(1);
            for rounds in 0..FAR_TOO_LONG {
                tx.send(&cx, rounds).await.unwrap();
                rx.recv(&cx).await.unwrap();
                if seen.load(Ordering::Relaxed) {
                    return;
                }
            }
            panic!("nobody else ran in {FAR_TOO_LONG} rounds");
        });
        let other = scope.spawn(async move |_cx| heard.store(true, Ordering::Relaxed));
        greedy.await.into_result().unwrap();
        other.await.into_result().unwrap();
    });
}
