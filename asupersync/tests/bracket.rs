//! Brackets and deferred work: run once, in order, however their owner ends.

mod worlds;

use asupersync::lab::{Inject, Injector};
use asupersync::{CancelKind, Cx, LabConfig, LabRuntime, RegionOptions, Scope, Severity};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use worlds::everywhere;

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<&'static str>>>);

impl Log {
    fn note(&self, what: &'static str) {
        self.0.lock().expect("no panic").push(what);
    }

    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.0.lock().expect("no panic"))
    }
}

/// How the use of a resource ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Value,
    Error,
    Cancel,
    Panic,
}

#[test]
fn a_resource_is_released_however_its_use_ends() {
    everywhere(async |cx| {
        for end in [End::Value, End::Error, End::Cancel, End::Panic] {
            let log = Log::default();
            let inside = log.clone();
            let report = cx.region_report(RegionOptions::default(), async move |scope| {
                let user = scope.try_spawn(async move |cx: Cx| {
                    let acquire = async {
                        inside.note("acquired");
                        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Vec::new())
                    };
                    let use_ = async |uses: &mut Vec<End>| {
                        uses.push(end);
                        cx.yield_now().await?;
                        match end {
                            End::Value => Ok(1),
                            End::Error => Err("planted".into()),
                            End::Cancel => Err(cx.cancelled().await.into()),
                            End::Panic => std::panic::resume_unwind(Box::new("planted")),
                        }
                    };
                    let release = async |uses: Vec<End>, cx: &Cx| {
                        assert_eq!(uses.len(), 1);
                        cx.yield_now().await.expect("through the cleanup view");
                        inside.note("released");
                    };
                    cx.bracket(acquire, use_, release).await
                });
                if matches!(end, End::Cancel) {
                    // Late enough that the task has begun, in the lab and on threads.
                    for _ in 0..100 {
                        let _ = scope.yield_now().await;
                    }
                    user.cancel(CancelKind::User);
                }
                user.await.severity()
            });
            let reported = report.await.expect("open");
            let expected = match end {
                End::Value => Severity::Ok,
                End::Error => Severity::Err,
                End::Cancel => Severity::Cancelled,
                End::Panic => Severity::Panicked,
            };
            assert_eq!(reported.value, Some(expected), "{end:?}");
            let log = log.take();
            // Cancelled before it began, it acquires nothing.
            assert!(
                log == ["acquired", "released"] || (log.is_empty() && matches!(end, End::Cancel)),
                "{end:?}: {log:?}"
            );
        }
    });
}

#[test]
fn what_is_not_acquired_is_not_released() {
    everywhere(async |cx| {
        let result = cx.bracket(
            async { Err::<(), _>("none left") },
            async |_: &mut ()| Ok(()),
            async |(), _: &Cx| unreachable!("nothing was acquired"),
        );
        assert_eq!(result.await, Err("none left"));
    });
}

#[test]
fn a_panic_of_the_use_wins_over_one_of_the_release() {
    everywhere(async |cx| {
        let task = cx.region_report(RegionOptions::default(), async |scope| {
            let task = scope.spawn(async |cx: Cx| {
                cx.bracket(
                    async { Ok::<_, ()>(()) },
                    async |_: &mut ()| -> Result<(), ()> {
                        std::panic::resume_unwind(Box::new("use"))
                    },
                    async |(), _: &Cx| std::panic::resume_unwind(Box::new("release")),
                )
                .await
            });
            match task.await {
                asupersync::Outcome::Panicked(p) => p.message().to_owned(),
                other => format!("{other:?}"),
            }
        });
        let value = task.await.expect("open").value;
        assert_eq!(value.as_deref(), Some("use"));
    });
}

/// A program whose every await point may be hit: each owner has work deferred,
/// and a bracket is open around the waits.
async fn careful(cx: Scope, acquired: Arc<AtomicUsize>, done: Arc<AtomicUsize>) {
    let defer = |cx: &Cx, acquired: &Arc<AtomicUsize>, done: &Arc<AtomicUsize>| {
        acquired.fetch_add(1, Ordering::Relaxed);
        let done = done.clone();
        cx.defer_with(async move |cx: Cx| {
            cx.sleep(Duration::from_millis(1)).await.expect("cleanup");
            done.fetch_add(1, Ordering::Relaxed);
        });
    };
    let _ = cx
        .region(async |scope: Scope| {
            acquired.fetch_add(1, Ordering::Relaxed);
            let released = done.clone();
            scope.defer_with(async move |cx: Cx| {
                cx.yield_now().await.expect("cleanup");
                released.fetch_add(1, Ordering::Relaxed);
            });
            for _ in 0..2 {
                let (acquired, done) = (acquired.clone(), done.clone());
                scope.spawn(async move |cx: Cx| {
                    defer(&cx, &acquired, &done);
                    let _ = cx
                        .bracket(
                            async {
                                cx.sleep(Duration::from_millis(2)).await?;
                                acquired.fetch_add(1, Ordering::Relaxed);
                                Ok(())
                            },
                            async |_: &mut ()| cx.sleep(Duration::from_millis(3)).await,
                            async |(), cx: &Cx| {
                                cx.yield_now().await.expect("cleanup");
                                done.fetch_add(1, Ordering::Relaxed);
                            },
                        )
                        .await;
                });
            }
        })
        .await;
}

#[test]
fn cleanup_runs_exactly_once_whatever_await_point_is_cancelled() {
    for mode in [Inject::Protocol, Inject::Root] {
        for seed in 0..5 {
            let config = LabConfig::default().seed(seed);
            let report = Injector::new(config).mode(mode).check(async |cx: Scope| {
                let acquired = Arc::new(AtomicUsize::new(0));
                let done = Arc::new(AtomicUsize::new(0));
                careful(cx, acquired.clone(), done.clone()).await;
                assert_eq!(
                    acquired.load(Ordering::Relaxed),
                    done.load(Ordering::Relaxed)
                );
            });
            assert!(report.is_ok() && report.runs > 10, "{report}");
        }
    }
}

#[test]
fn deferred_work_runs_last_in_first_out_after_the_drain() {
    everywhere(async |cx| {
        let log = Log::default();
        let inside = log.clone();
        cx.region(async move |scope: Scope| {
            let (a, b, c) = (inside.clone(), inside.clone(), inside.clone());
            scope.defer_sync(move || a.note("region, first"));
            scope.defer(async move { b.note("region, second") });
            scope.spawn(async move |cx: Cx| {
                let (d, e) = (c.clone(), c.clone());
                cx.defer_sync(move || d.note("task, first"));
                cx.defer_sync(move || e.note("task, second"));
                let _ = cx.yield_now().await;
                c.note("body");
            });
        })
        .await
        .expect("nothing fails");
        assert_eq!(
            log.take(),
            [
                "body",
                "task, second",
                "task, first",
                "region, second",
                "region, first"
            ]
        );
    });
}

#[test]
fn a_finalizer_that_panics_is_reported_and_the_next_one_runs() {
    everywhere(async |cx| {
        let log = Log::default();
        let inside = log.clone();
        let report = cx.region_report(RegionOptions::default(), async move |scope: Scope| {
            let (a, b) = (inside.clone(), inside);
            scope.defer_sync(move || a.note("region"));
            scope.defer(async { std::panic::resume_unwind(Box::new("of the region")) });
            let task = scope.spawn(async move |cx: Cx| {
                cx.defer_sync(move || b.note("task"));
                cx.defer(async { std::panic::resume_unwind(Box::new("of the task")) });
            });
            task.await
        });
        let report = report.await.expect("open").report;
        assert_eq!(log.take(), ["task", "region"]);
        let said: Vec<&str> = report.failures.iter().map(|f| &*f.message).collect();
        assert_eq!(
            said,
            [
                "in a finalizer: of the task",
                "in a finalizer: of the region"
            ]
        );
        assert_eq!(report.severity, Severity::Panicked);
    });
}

/// Deferred work that does not end: it waits, or it spins.
async fn wedge(cx: Cx, spins: bool) {
    if !spins {
        std::future::pending::<()>().await;
    }
    loop {
        // The lab's clock stands still meanwhile: only its polls run out.
        let _ = cx.yield_now().await;
    }
}

#[test]
fn a_finalizer_that_overruns_is_dropped_and_named_and_the_next_one_runs() {
    for spins in [false, true] {
        // Enough for the fifty thousand polls of two owners.
        let config = LabConfig::default().max_steps(200_000);
        LabRuntime::new(config).run(async |cx| {
            let log = Log::default();
            let inside = log.clone();
            let start = cx.now();
            let report = cx.region_report(RegionOptions::default(), async move |scope: Scope| {
                let (a, b) = (inside.clone(), inside);
                scope.defer_sync(move || a.note("region"));
                scope.defer_with(async move |cx: Cx| wedge(cx, spins).await);
                scope.spawn(async move |cx: Cx| {
                    cx.defer_sync(move || b.note("task"));
                    cx.defer_with(async move |cx: Cx| wedge(cx, spins).await);
                });
            });
            let report = report.await.expect("open").report;
            assert_eq!(log.take(), ["task", "region"]);
            assert_eq!(report.abandoned.len(), 2, "{report}");
            // Five seconds for the task's deferred work, then five for the region's.
            let took = if spins { 0 } else { 10 };
            assert_eq!(cx.now().since(start), Duration::from_secs(took));
        });
    }
}
