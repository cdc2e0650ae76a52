//! Panics stay where they happen: in the outcome of their task.
//!
//! The panic hook belongs to the process, so these tests have one of their own.

use asupersync::types::report::Failure;
use asupersync::{
    CancelKind, Cx, LabConfig, LabRuntime, Outcome, PanicPayload, Policy, RegionOptions, Runtime,
    Scope, Severity,
};
use std::collections::HashSet;
use std::future::pending;
use std::panic::{panic_any, resume_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

mod worlds;
use worlds::everywhere;

/// Panics that the hook below was called for.
static SEEN: AtomicUsize = AtomicUsize::new(0);

/// Replaces the hook that prints, and has a runtime chain its own before it.
fn capturing() -> Runtime {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        std::panic::set_hook(Box::new(|_| {
            SEEN.fetch_add(1, Ordering::Relaxed);
        }));
    });
    let builder = Runtime::builder().worker_threads(1);
    builder.capture_panic_location(true).build().unwrap()
}

fn collect() -> RegionOptions {
    RegionOptions {
        policy: Policy::Collect,
        ..RegionOptions::default()
    }
}

/// Runs the body as a task that has to panic.
async fn payload(scope: &Scope, body: impl FnOnce() + Send + 'static) -> PanicPayload {
    let region = scope.region_report(collect(), async |scope| {
        match scope.spawn(async move |_cx| body()).await {
            Outcome::Panicked(payload) => payload,
            ended => panic!("{ended:?}"),
        }
    });
    region.await.unwrap().value.unwrap()
}

#[test]
fn one_worker_survives_ten_thousand_panics() {
    const PANICS: usize = 10_000;
    let runtime = capturing();
    let seen = SEEN.load(Ordering::Relaxed);
    let reported = runtime.block_on_with(collect(), async |scope: Scope| {
        let mut threads = HashSet::new();
        for n in 0..PANICS {
            let task = scope.spawn(async move |_cx| -> () { panic!("number {n}") });
            assert!(task.await.is_panicked());
            if n % 1000 == 0 {
                let thread = scope.spawn(async |_cx| std::thread::current().id());
                threads.insert(thread.await.into_result().unwrap());
            }
        }
        threads.len()
    });
    assert_eq!(reported.value, Some(1), "one thread ran them all");
    assert_eq!(
        reported.report.counts[Severity::Panicked as usize],
        PANICS as u64
    );
    assert!(
        SEEN.load(Ordering::Relaxed) - seen >= PANICS,
        "the hook before is called still"
    );
}

#[test]
fn a_payload_has_the_message_and_the_place() {
    let runtime = capturing();
    runtime
        .block_on(async |scope: Scope| {
            let line = line!() + 1;
            let said = payload(&scope, || panic!("{} and {}", 1, "two")).await;
            assert_eq!(said.message(), "1 and two");
            let place = said.location().unwrap();
            assert_eq!((&*place.file, place.line), (file!(), line));
            assert_eq!(said.to_string(), format!("1 and two, at {place}"));

            assert_eq!(
                payload(&scope, || panic!("literal")).await.message(),
                "literal"
            );
            let owned = payload(&scope, || panic_any("owned".to_owned())).await;
            assert_eq!(owned.message(), "owned");
            let number = payload(&scope, || panic_any(42)).await;
            assert_eq!(number.message(), "a payload that is not a string");
            assert!(number.location().is_some());
            // It was raised with no hook called, so there is no place to tell.
            let resumed = payload(&scope, || resume_unwind(Box::new("again"))).await;
            assert_eq!((resumed.message(), resumed.location()), ("again", None));
        })
        .unwrap();
}

#[test]
fn a_body_that_panics_keeps_its_place_as_it_is_raised_again() {
    let runtime = capturing();
    let reported = runtime.block_on_with(collect(), async |scope: Scope| {
        let task = scope.spawn(async |cx: Cx| {
            let body = async |_scope| panic!("inside");
            cx.region(body).await.is_ok()
        });
        match task.await {
            Outcome::Panicked(panic) => panic,
            ended => panic!("{ended:?}"),
        }
    });
    let panic = reported.value.unwrap();
    assert_eq!(panic.message(), "inside");
    assert_eq!(&*panic.location().unwrap().file, file!());
}

/// Panics when dropped, and so does what it panics with.
struct Bomb(u32);

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 > 0 && !std::thread::panicking() {
            panic_any(Bomb(self.0 - 1));
        }
    }
}

#[test]
fn a_payload_that_panics_when_dropped_is_contained() {
    let runtime = capturing();
    runtime
        .block_on(async |scope: Scope| {
            let said = payload(&scope, || panic_any(Bomb(1))).await;
            assert_eq!(said.message(), "a payload that is not a string");
        })
        .unwrap();
}

#[test]
fn a_panic_in_a_destructor_that_draining_runs_is_a_second_failure() {
    drop(capturing());
    // A task that reacts, and one that draining has to drop.
    for deaf in [false, true] {
        LabRuntime::new(LabConfig::default()).run(async |scope: Scope| {
            let region = scope.region_report(RegionOptions::default(), async |scope| {
                scope.spawn(async move |cx: Cx| {
                    let _bomb = Bomb(1);
                    match deaf {
                        true => pending().await,
                        false => drop(cx.cancelled().await),
                    }
                });
                // Virtual time passes only when the other waits.
                scope
                    .sleep(std::time::Duration::from_millis(1))
                    .await
                    .unwrap();
                let first = scope.try_spawn(async |_cx| Err::<(), _>("the first failure"));
                first.id()
            });
            let ended = region.await.unwrap();
            let report = ended.report;
            assert_eq!(report.severity, Severity::Panicked, "{report}");
            assert_eq!(report.failures.len(), 2, "{report}");
            assert_eq!(report.primary.as_ref().unwrap().task, ended.value.unwrap());
            let panicked = |f: &&Failure| f.severity == Severity::Panicked;
            assert_eq!(report.failures.iter().filter(panicked).count(), 1);
            assert_eq!(report.reason.unwrap().kind, CancelKind::FailFast);
        });
    }
}

#[test]
fn a_task_ends_in_each_of_the_four_ways() {
    drop(capturing());
    everywhere(async |scope: Scope| {
        let region = scope.region_report(collect(), async |scope| {
            let ok = scope.try_spawn(async |_cx| Ok::<u8, &str>(1));
            let err = scope.try_spawn(async |_cx| Err::<u8, _>("no"));
            let cancelled = scope.try_spawn(async |cx: Cx| Err::<u8, _>(cx.cancelled().await));
            cancelled.cancel("enough");
            let panicked = scope.try_spawn(async |_cx| -> Result<u8, &str> { panic!("boom") });
            assert_eq!(ok.await, Outcome::Ok(1));
            assert_eq!(err.await, Outcome::Err("no"));
            assert_eq!(cancelled.await.severity(), Severity::Cancelled);
            assert_eq!(panicked.await.severity(), Severity::Panicked);
        });
        let report = region.await.unwrap().report;
        assert_eq!(report.counts, [1, 1, 1, 1]);
    });
}
