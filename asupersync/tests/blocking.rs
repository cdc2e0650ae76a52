//! Closures on the blocking pool: who waits for them, what their panics do, and what is said of one that does not end.

mod worlds;

use asupersync::channel::oneshot;
use asupersync::types::policy::{Escalation, Limit, Policy, RegionLimits};
use asupersync::types::report::Doing;
use asupersync::{
    CancelKind, Cx, LabConfig, LabRuntime, Outcome, Region, RegionError, RegionOptions, Runtime,
    Scope, SpawnError,
};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use worlds::everywhere;

const S: Duration = Duration::from_secs(1);

/// A lab in which a closure takes this long.
fn lab(seed: u64, takes: Duration) -> LabRuntime {
    LabRuntime::new(LabConfig::default().seed(seed).blocking_duration(takes))
}

fn runtimes() -> [Runtime; 2] {
    [
        Runtime::builder().current_thread().build().unwrap(),
        Runtime::builder().worker_threads(2).build().unwrap(),
    ]
}

#[test]
fn a_region_closes_when_its_closures_have_ended() {
    for seed in 0..20 {
        lab(seed, S * 3).run(async |cx| {
            let start = cx.now();
            let asked = Arc::new(AtomicBool::new(false));
            let seen = asked.clone();
            let reported = cx
                .region_report(RegionOptions::default(), async |scope: Scope| {
                    scope.spawn_blocking(move |cx: &Cx| {
                        seen.store(cx.is_cancel_requested(), Ordering::Relaxed);
                    });
                    scope.sleep(S).await.expect("nobody cancels yet");
                    scope.cancel(CancelKind::User);
                })
                .await
                .expect("open");
            assert_eq!(cx.now() - start, S * 3);
            assert!(asked.load(Ordering::Relaxed), "it may look");
            assert!(reported.report.abandoned.is_empty() && reported.report.quiescent);
        });
    }
    for runtime in runtimes() {
        let ended = AtomicBool::new(false);
        runtime
            .block_on(async |scope: Scope| {
                let (release, wait) = mpsc::channel::<()>();
                let (done, over) = mpsc::channel();
                let region = scope.region(async |inner: Scope| {
                    let (tell, mut begun) = oneshot::channel();
                    inner.spawn_blocking(move |_| {
                        tell.send(()).unwrap();
                        wait.recv().unwrap();
                        done.send(()).unwrap();
                    });
                    // One that is asked before it began does not begin.
                    begun.recv(&inner).await.unwrap();
                    inner.close();
                    // Closing, and nothing else keeps it open.
                    scope.spawn(async move |_| release.send(()).unwrap());
                });
                region.await.unwrap();
                ended.store(over.try_recv().is_ok(), Ordering::Relaxed);
            })
            .unwrap();
        assert!(ended.load(Ordering::Relaxed), "the closure ended first");
    }
}

#[test]
fn closures_overlap_in_simulated_time_and_have_no_effect_before_its_end() {
    for seed in 0..20 {
        let lab = lab(seed, S * 2);
        lab.run(async |cx| {
            let start = cx.now();
            let ran = Arc::new(AtomicUsize::new(0));
            let tasks: Vec<_> = (0..5)
                .map(|_| {
                    let ran = ran.clone();
                    cx.spawn_blocking(move |cx: &Cx| {
                        ran.fetch_add(1, Ordering::Relaxed);
                        cx.now()
                    })
                })
                .collect();
            cx.sleep(S).await.expect("nobody cancels");
            assert_eq!(ran.load(Ordering::Relaxed), 0);
            for task in tasks {
                assert_eq!(task.await.into_result().unwrap() - start, S * 2);
            }
        });
    }
}

#[test]
fn a_panic_is_the_outcome_of_its_task_alone() {
    everywhere(async |cx| {
        let options = RegionOptions {
            policy: Policy::Collect,
            ..RegionOptions::default()
        };
        let reported = cx
            .region_report(options, async |scope: Scope| {
                for round in 0..5 {
                    let task = scope.spawn_blocking(|_| -> u8 { resume_unwind(Box::new("once")) });
                    let outcome = task.await;
                    let Outcome::Panicked(panic) = outcome else {
                        panic!("{round}: {outcome:?}");
                    };
                    assert_eq!(panic.message(), "once");
                    let next = scope.spawn_blocking(move |_| round).await;
                    assert_eq!(next.into_result().unwrap(), round);
                }
            })
            .await
            .expect("open");
        assert_eq!(reported.report.failures.len(), 5);
        assert!(reported.value.is_some(), "the body went on");
    });
}

#[test]
fn a_closure_that_does_not_end_is_named() {
    for runtime in runtimes() {
        runtime
            .block_on(async |scope: Scope| {
                let (release, wait) = mpsc::channel::<()>();
                let options = RegionOptions {
                    close_timeout: Some(Duration::from_millis(5)),
                    escalation: Some(Escalation::Wait),
                    ..RegionOptions::named("slow")
                };
                let inner = Region::open_with(&scope, options, async |inner: Scope| {
                    let task = inner.task().name("deaf");
                    let (tell, mut begun) = oneshot::channel();
                    task.spawn_blocking(move |_| {
                        tell.send(()).unwrap();
                        let _ = wait.recv();
                    });
                    begun.recv(&inner).await.unwrap();
                    inner.close();
                });
                let error = inner.await.expect_err("it is not quiescent");
                let RegionError::CloseTimeout(report) = error else {
                    panic!("{error}");
                };
                let stuck = &report.stuck[0];
                assert_eq!(
                    (stuck.name.as_str(), stuck.doing),
                    ("deaf", Doing::Blocking)
                );
                release.send(()).unwrap();
            })
            .unwrap();
    }
}

#[test]
fn the_line_for_the_pool_is_as_long_as_the_region_allows() {
    let limits = RegionLimits {
        max_blocking: 3,
        ..RegionLimits::NONE
    };
    let runtime = Runtime::builder()
        .worker_threads(1)
        .blocking_threads(1)
        .limits(limits)
        .build()
        .unwrap();
    let ran = runtime.block_on(async |scope: Scope| {
        let (release, wait) = mpsc::channel::<()>();
        let ran = Arc::new(AtomicUsize::new(0));
        let first = scope.spawn_blocking(move |_| wait.recv().unwrap());
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let ran = ran.clone();
                scope.spawn_blocking(move |_| ran.fetch_add(1, Ordering::Relaxed))
            })
            .collect();
        let refused = scope.spawn_blocking(|_| unreachable!("there is no room"));
        let why = refused.refused().expect("refused");
        assert!(
            matches!(
                why,
                SpawnError::AdmissionDenied {
                    limit: Limit::Blocking(3),
                    ..
                }
            ),
            "{why}"
        );
        drop(refused);
        assert_eq!(ran.load(Ordering::Relaxed), 0, "there is one thread");
        release.send(()).unwrap();
        assert!(first.await.is_ok());
        for task in waiting {
            assert!(task.await.is_ok());
        }
        ran.load(Ordering::Relaxed)
    });
    assert_eq!(ran.unwrap(), 2, "who waited was served");
}
