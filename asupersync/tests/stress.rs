//! Hard use of the shell through the public API: what races, panics, leaks or
//! outlives its run must neither hang, nor leak a cell, nor take a worker along.
//!
//! Every test runs under [`within`], so that a hang fails instead of hanging.

use asupersync::channel::mpsc;
use asupersync::math::rng::Rng;
use asupersync::sync::{RwLock, Semaphore};
use asupersync::types::obligation::LeakResponse;
use asupersync::types::policy::{Action, ChildEnd, CleanupPolicy, RegionPolicy};
use asupersync::{
    Budget, CancelKind, Cx, Outcome, Policy, RegionOptions, Runtime, Scope, Severity,
};
use futures::stream::{FuturesUnordered, StreamExt};
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// Runs `f` on a thread of its own and fails if it takes longer than ten seconds.
fn within<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let (tx, rx) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(f));
        let _ = tx.send(());
        result
    });
    assert!(
        rx.recv_timeout(Duration::from_secs(10)).is_ok(),
        "hangs for more than ten seconds"
    );
    match thread.join().expect("the panic was caught") {
        Ok(value) => value,
        Err(panic) => resume_unwind(panic),
    }
}

fn two_workers() -> Runtime {
    Runtime::builder().worker_threads(2).build().unwrap()
}

fn flavours() -> [Runtime; 2] {
    let here = Runtime::builder().current_thread().build().unwrap();
    [here, two_workers()]
}

/// Panics without the message on standard error.
fn quiet_panic() -> ! {
    resume_unwind(Box::new("on purpose"))
}

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Little patience with cleanup, so that escalation is soon.
fn hasty(name: &'static str) -> RegionOptions {
    RegionOptions {
        cleanup: Some(CleanupPolicy::default().capped(millis(20))),
        ..RegionOptions::named(name)
    }
}

// ---- polls outside of a task -------------------------------------------------

#[test]
fn waits_polled_by_a_foreign_executor_never_run_out_of_turns() {
    // The turn budget belongs to a poll of a task. A thread that polls outside
    // of one has no turn that could end.
    for runtime in flavours() {
        within(move || {
            let ended = runtime.block_on(async |scope: Scope| {
                scope
                    .spawn_blocking(|cx| {
                        for _ in 0..1_000 {
                            futures::executor::block_on(cx.yield_now()).unwrap();
                        }
                        7
                    })
                    .await
            });
            assert_eq!(ended.unwrap(), Outcome::Ok(7));
        });
    }
}

// ---- combinators with wakers of their own -------------------------------------

#[test]
fn a_deaf_body_inside_a_foreign_combinator_is_dropped_at_the_end_of_its_budget() {
    // The combinator polls a region again only if the waker it gave to that
    // region is woken, and a deaf body gives it to nobody.
    for runtime in flavours() {
        within(move || {
            let ended = runtime.block_on(async |scope: Scope| {
                let regions: FuturesUnordered<_> = (0..3)
                    .map(|_| {
                        scope.region_report(hasty("deaf"), async |inner: Scope| {
                            inner.cancel(CancelKind::User);
                            pending::<()>().await;
                        })
                    })
                    .collect();
                regions
                    .map(|r| r.unwrap().report.abandoned.len())
                    .collect::<Vec<_>>()
                    .await
            });
            assert_eq!(ended.unwrap(), [1, 1, 1]);
        });
    }
}

// ---- user code that panics where it is not polled ------------------------------

/// An error that panics when it is looked into, or when it is dropped.
#[derive(Debug)]
struct Trap(&'static str);

impl std::fmt::Display for Trap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Trap {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        quiet_panic()
    }
}

#[test]
fn a_panic_while_an_error_is_judged_is_the_tasks_own() {
    for runtime in flavours() {
        within(move || {
            let options = RegionOptions {
                policy: Policy::Collect,
                ..RegionOptions::default()
            };
            let reported = runtime.block_on_with(options, async |scope: Scope| {
                let task = scope.try_spawn(async |cx: Cx| {
                    cx.cancelled().await;
                    Err::<(), Trap>(Trap("judged"))
                });
                scope.yield_now().await.unwrap();
                // Only a task that runs is asked to stop; another is skipped.
                while task.phase() < asupersync::kernel::task::TaskPhase::Running {
                    scope.yield_now().await.unwrap();
                }
                task.cancel(CancelKind::User);
                task.await.is_panicked()
            });
            assert_eq!(reported.value, Some(true));
            assert_eq!(reported.report.severity, Severity::Panicked);
            // The workers are all there.
            assert_eq!(runtime.block_on(async |_scope: Scope| 1).unwrap(), 1);
        });
    }
}

struct PanickingPolicy;

impl RegionPolicy for PanickingPolicy {
    fn on_child(&self, _: &ChildEnd) -> Action {
        quiet_panic()
    }
}

#[test]
fn a_panicking_policy_is_reported_and_the_region_closes() {
    for runtime in flavours() {
        within(move || {
            let options = RegionOptions {
                policy: Policy::Custom(Arc::new(PanickingPolicy)),
                ..RegionOptions::default()
            };
            let reported = runtime.block_on_with(options, async |scope: Scope| {
                scope.try_spawn(async |_cx| Err::<(), &'static str>("fails"));
                scope.spawn(async |cx: Cx| drop(cx.cancelled().await));
            });
            assert_eq!(reported.report.severity, Severity::Panicked);
            assert!(reported.report.reason.is_some(), "the siblings were asked");
        });
    }
}

struct PanickingWaker(AtomicUsize);

impl Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        quiet_panic()
    }
}

#[test]
fn a_panicking_waker_takes_neither_a_task_nor_a_worker_along() {
    for runtime in flavours() {
        within(move || {
            let bad = Arc::new(PanickingWaker(AtomicUsize::new(0)));
            let waker = Waker::from(bad.clone());
            let ended = runtime.block_on(async |scope: Scope| {
                let mut context = Context::from_waker(&waker);
                // Waits for an outcome, for the clock, and for a request to cancel.
                let mut joined = scope.spawn(async |cx: Cx| cx.sleep(millis(5)).await.is_ok());
                assert!(Pin::new(&mut joined).poll(&mut context).is_pending());
                let mut sleep = pin!(scope.sleep(millis(5)));
                assert!(sleep.as_mut().poll(&mut context).is_pending());
                scope.sleep(millis(20)).await.unwrap();
                assert_eq!(joined.await, Outcome::Ok(true));
                let region = scope.region_report(hasty("asked"), async |inner: Scope| {
                    let mut cancelled = pin!(inner.cancelled());
                    let mut context = Context::from_waker(&waker);
                    assert!(cancelled.as_mut().poll(&mut context).is_pending());
                    inner.cancel(CancelKind::User);
                });
                drop(region.await);
            });
            ended.unwrap();
            // By the outcome, by the clock and by the request.
            assert!(bad.0.load(Ordering::Relaxed) >= 3);
            assert_eq!(runtime.block_on(async |_scope: Scope| 1).unwrap(), 1);
        });
    }
}

/// A future that panics when it is polled and again when it is dropped.
struct TwicePanicking;

impl Future for TwicePanicking {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        quiet_panic()
    }
}

impl Drop for TwicePanicking {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            quiet_panic()
        }
    }
}

#[test]
fn futures_that_panic_in_poll_and_in_drop_are_contained_everywhere() {
    for runtime in flavours() {
        within(move || {
            let options = RegionOptions {
                policy: Policy::Collect,
                ..RegionOptions::default()
            };
            let reported = runtime.block_on_with(options, async |scope: Scope| {
                let ran = Arc::new(AtomicUsize::new(0));
                let counted = ran.clone();
                let task = scope.spawn(async move |cx: Cx| {
                    let first = counted.clone();
                    cx.defer_sync(move || _ = first.fetch_add(1, Ordering::Relaxed));
                    cx.defer(TwicePanicking);
                });
                assert_eq!(task.await, Outcome::Ok(()));
                assert!(scope.spawn(|_cx| TwicePanicking).await.is_panicked());
                let inner = scope.region_report(RegionOptions::default(), async |inner: Scope| {
                    let last = ran.clone();
                    inner.defer_sync(move || _ = last.fetch_add(1, Ordering::Relaxed));
                    inner.defer(TwicePanicking);
                });
                let severity = inner.await.unwrap().report.severity;
                (severity, ran.load(Ordering::Relaxed))
            });
            assert_eq!(reported.value, Some((Severity::Panicked, 2)));
        });
    }
}

#[test]
fn a_panic_while_the_arms_of_a_race_are_listed_leaves_no_open_region() {
    within(|| {
        let runtime = two_workers();
        let reported = runtime.block_on_report(async |scope: Scope| {
            let arms = (0..2).map(|_| -> asupersync::combine::Arm<()> { quiet_panic() });
            drop(scope.race(arms).await);
        });
        assert!(reported.panic.is_some());
        struct Unlistable;
        impl IntoIterator for Unlistable {
            type Item = asupersync::combine::Arm<()>;
            type IntoIter = std::vec::IntoIter<Self::Item>;
            fn into_iter(self) -> Self::IntoIter {
                quiet_panic()
            }
        }
        let reported = runtime.block_on_report(async |scope: Scope| {
            drop(scope.race(Unlistable).await);
        });
        assert!(reported.panic.is_some());
    });
}

// ---- a run inside a run ----------------------------------------------------------

#[test]
fn waiting_for_itself_by_way_of_another_runtime_is_refused() {
    let one = Runtime::builder().worker_threads(1).build().unwrap();
    let here = Runtime::builder().current_thread().build().unwrap();
    for runtime in [one, here] {
        within(move || {
            let runtime = Arc::new(runtime);
            let inner = runtime.clone();
            let refused = runtime.block_on(async move |scope: Scope| {
                let task = scope.spawn(async move |_cx| {
                    let other = Runtime::builder().current_thread().build().unwrap();
                    let again =
                        || inner.block_on(async |scope: Scope| scope.spawn(async |_cx| ()).await);
                    other
                        .block_on(async |_scope: Scope| {
                            catch_unwind(AssertUnwindSafe(again)).is_err()
                        })
                        .unwrap()
                });
                task.await.into_result().unwrap()
            });
            assert!(refused.unwrap());
        });
    }
}

// ---- what outlives its run ------------------------------------------------------

/// Polls `f` from a bare thread until it is ready; fails after a while.
fn finish<F: Future>(f: F) -> Option<F::Output> {
    let mut f = pin!(f);
    let until = Instant::now() + millis(500);
    while Instant::now() < until {
        if let Poll::Ready(value) = f.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(value);
        }
        std::thread::sleep(millis(1));
    }
    None
}

#[test]
fn contexts_scopes_and_handles_may_outlive_their_run() {
    for runtime in flavours() {
        within(move || {
            let kept = Mutex::new(None);
            let result = runtime.block_on(async |scope: Scope| {
                let task = scope.spawn(async |cx: Cx| cx);
                let cx = task.await.into_result().unwrap();
                let handle = scope.spawn(async |_cx| vec![1, 2, 3]);
                let ended = scope.spawn(async |_cx| 4);
                *kept.lock().unwrap() = Some((scope.clone(), cx, handle, ended));
            });
            result.unwrap();
            let (scope, cx, handle, ended) = kept.into_inner().unwrap().unwrap();
            for alive in [true, false] {
                for cx in [&*scope, &cx, scope.cleanup(), cx.cleanup()] {
                    // Nobody would fire a timer or ask again, so every wait ends at once.
                    let slept = finish(cx.sleep(Duration::from_secs(60)));
                    assert!(slept.is_some_and(|s| s.is_err()), "runtime alive: {alive}");
                    assert!(finish(cx.cancelled()).is_some());
                    assert!(cx.spawn(async |_cx| ()).refused().is_some());
                    assert!(finish(cx.region(async |_scope| ())).unwrap().is_err());
                    // What is deferred to a task that has ended is dropped, and no cycle with it.
                    let token = Arc::new(());
                    let (held, context) = (token.clone(), cx.clone());
                    cx.defer(async move { drop((held, context)) });
                    assert_eq!(Arc::strong_count(&token), 1);
                }
                let (tx, mut rx) = mpsc::channel::<u8>(1);
                assert!(finish(rx.recv(&cx)).unwrap().is_err());
                drop(tx.try_reserve(&cx).unwrap());
                scope.defer_sync(|| unreachable!("the region has closed"));
                scope.cancel(CancelKind::User);
                scope.close();
                ended.cancel(CancelKind::User);
                assert!(ended.is_complete());
                if alive {
                    // Every other use once more without a runtime.
                    let runtime = &runtime;
                    assert_eq!(runtime.block_on(async |_scope: Scope| 1).unwrap(), 1);
                }
            }
            drop(runtime);
            assert_eq!(finish(ended), Some(Outcome::Ok(4)));
            assert!(finish(cx.sleep(Duration::from_secs(60))).unwrap().is_err());
            drop(handle);
        });
    }
}

#[test]
fn a_promise_that_outlives_the_root_body_is_reported() {
    for runtime in flavours() {
        within(move || {
            let (tx, mut rx) = mpsc::channel::<u8>(1);
            let reported = runtime
                .block_on_report(async |scope: Scope| tx.reserve_owned(&scope).await.unwrap());
            assert_eq!(reported.report.leaks.len(), 1);
            // Resolved once as leaked; the place in the channel is good all the same.
            drop(reported.value.unwrap().send(1));
            assert_eq!(rx.try_recv(), Ok(1));
        });
    }
}

/// Permits and guards that went to another thread, which lets go of them while
/// their tasks end, before that or after.
#[test]
fn what_is_held_goes_back_once_though_another_thread_lets_go_of_it() {
    const TASKS: usize = 2_000;
    let here = Runtime::builder().current_thread();
    for builder in [here, Runtime::builder().worker_threads(2)] {
        let counts = builder.leak_response(LeakResponse::Count);
        let runtime = counts.build().unwrap();
        within(move || {
            let slots = Arc::new(Semaphore::new(4));
            let lock = Arc::new(RwLock::new(()));
            let (away, astray) = std::sync::mpsc::sync_channel(1);
            let other = std::thread::spawn(move || astray.into_iter().count());
            let (own, shared) = (slots.clone(), lock.clone());
            let ended = runtime.block_on(async move |scope: Scope| {
                for _ in 0..TASKS {
                    let (slots, lock, away) = (own.clone(), shared.clone(), away.clone());
                    let task = scope.spawn(async move |cx: Cx| {
                        let first = slots.clone().acquire_owned(&cx, 1).await.unwrap();
                        let second = slots.acquire(&cx, 1).await.unwrap();
                        let guard = lock.read_owned(&cx).await.unwrap();
                        away.send((first, guard)).unwrap();
                        drop(second);
                    });
                    assert!(task.await.is_ok());
                }
            });
            assert!(ended.is_ok());
            assert_eq!(other.join().unwrap(), TASKS);
            assert_eq!(slots.available_permits(), 4);
            assert!(lock.try_write().is_ok());
        });
    }
}

#[test]
fn blocking_work_asked_to_stop_before_it_began_does_not_begin() {
    for runtime in flavours() {
        within(move || {
            let begun = Arc::new(AtomicUsize::new(0));
            let counted = begun.clone();
            let reported = runtime.block_on_report(async |scope: Scope| {
                scope
                    .region_report(RegionOptions::default(), async |inner: Scope| {
                        inner.cancel(CancelKind::User);
                        // Refused: the region is past admitting.
                        let counted = counted.clone();
                        drop(
                            inner
                                .spawn_blocking(move |_cx| counted.fetch_add(1, Ordering::Relaxed)),
                        );
                    })
                    .await
                    .unwrap();
                let mut asked = Vec::new();
                for _ in 0..50 {
                    let counted = begun.clone();
                    let task = scope.spawn_blocking(move |_cx| {
                        counted.fetch_add(1, Ordering::Relaxed);
                    });
                    task.cancel(CancelKind::User);
                    asked.push(task);
                }
                let mut cancelled = 0;
                for task in asked {
                    cancelled += usize::from(task.await.is_cancelled());
                }
                cancelled
            });
            // A worker may be faster than the request, so not all of them are skipped.
            let skipped = reported.value.unwrap();
            assert_eq!(skipped + begun.load(Ordering::Relaxed), 50);
            assert!(skipped > 0, "none was skipped");
        });
    }
}

// ---- leaks and races --------------------------------------------------------------

/// Counts the region cells that are alive: each holds its policy, and each task
/// cell holds its region.
struct Probe;

impl RegionPolicy for Probe {
    fn on_child(&self, end: &ChildEnd) -> Action {
        if end.severity == Severity::Panicked && end.at.as_nanos().is_multiple_of(2) {
            Action::CancelSiblings
        } else {
            Action::Continue
        }
    }
}

type Step<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

#[derive(Clone)]
struct Tree {
    probe: Arc<Probe>,
    left: Arc<AtomicUsize>,
    /// A token in every body: whatever is dropped late is still counted.
    token: Arc<()>,
}

impl Tree {
    fn options(&self) -> RegionOptions {
        RegionOptions {
            policy: Policy::Custom(self.probe.clone()),
            ..hasty("tree")
        }
    }

    fn take(&self) -> bool {
        let take = |left: usize| left.checked_sub(1);
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }

    /// Runs a random body in `scope`; what it does is drawn as it goes, since
    /// the interleaving is not repeatable anyway.
    fn grow(self, scope: Option<Scope>, cx: Cx, seed: u64) -> Step<'static> {
        Box::pin(async move {
            let _token = self.token.clone();
            let mut rng = Rng::new(seed);
            let mut handles = Vec::new();
            for _ in 0..rng.below(6) {
                if !self.take() {
                    return;
                }
                let seed = rng.next_u64();
                let tree = self.clone();
                let spawner: &Cx = scope.as_deref().unwrap_or(&cx);
                match rng.below(16) {
                    0 => drop(cx.yield_now().await),
                    1 => drop(
                        cx.sleep(Duration::from_micros(u64::from(rng.below(300))))
                            .await,
                    ),
                    2 | 3 => {
                        handles.push(spawner.spawn(async move |cx| tree.grow(None, cx, seed).await))
                    }
                    4 => drop(spawner.spawn_daemon(async move |cx| {
                        tree.grow(None, cx.clone(), seed).await;
                        cx.cancelled().await;
                    })),
                    5 | 6 => {
                        let options = self.options();
                        drop(
                            cx.region_report(options, async |inner: Scope| {
                                tree.grow(Some(inner.clone()), Cx::clone(&inner), seed)
                                    .await;
                            })
                            .await,
                        );
                    }
                    7 => {
                        let limit = Duration::from_micros(u64::from(rng.below(200)));
                        drop(
                            cx.timeout(limit, async |inner: Scope| {
                                tree.grow(Some(inner.clone()), Cx::clone(&inner), seed)
                                    .await;
                            })
                            .await,
                        );
                    }
                    8 => {
                        // Polled a few times and dropped, wherever it is then.
                        let options = self.options();
                        let mut region =
                            Box::pin(cx.region_report(options, async |inner: Scope| {
                                tree.grow(Some(inner.clone()), Cx::clone(&inner), seed)
                                    .await;
                            }));
                        let mut polls = rng.below(4);
                        poll_fn(|task| {
                            if polls == 0 || region.as_mut().poll(task).is_ready() {
                                return Poll::Ready(());
                            }
                            polls -= 1;
                            task.waker().wake_by_ref();
                            Poll::Pending
                        })
                        .await;
                    }
                    9 => {
                        if let Some(scope) = &scope {
                            scope.cancel(CancelKind::User);
                        }
                    }
                    10 => {
                        if let Some(scope) = &scope {
                            let kept = scope.clone();
                            scope.defer(async move {
                                drop(kept.yield_now().await);
                                drop(tree);
                            });
                        }
                    }
                    11 => {
                        let kept = cx.clone();
                        cx.defer(async move { drop(kept.cleanup().yield_now().await) });
                    }
                    12 => {
                        if let Some(handle) = handles.pop() {
                            handle.cancel(CancelKind::User);
                            drop(handle.join(&cx).await);
                        }
                    }
                    13 => handles.truncate(1),
                    14 => drop(spawner.spawn_blocking(move |cx| drop((cx.checkpoint(), tree)))),
                    _ => {
                        if rng.below(3) == 0 {
                            quiet_panic()
                        }
                        // Refused, or in time.
                        let spawner = spawner.clone();
                        drop(cx.spawn(async move |_cx| {
                            spawner.spawn(async move |cx| tree.grow(None, cx, seed).await);
                        }));
                    }
                }
            }
        })
    }
}

#[test]
fn a_thousand_random_trees_leave_no_cell_behind() {
    const TREES: u64 = 1_000;
    within(|| {
        let runtime = two_workers();
        let probe = Arc::new(Probe);
        let token = Arc::new(());
        for seed in 0..TREES {
            let tree = Tree {
                probe: probe.clone(),
                left: Arc::new(AtomicUsize::new(40)),
                token: token.clone(),
            };
            let options = tree.options();
            runtime.block_on_with(options, async |scope: Scope| {
                tree.grow(Some(scope.clone()), Cx::clone(&scope), seed)
                    .await;
            });
            assert_eq!(Arc::strong_count(&token), 1, "a body outlives tree {seed}");
        }
        drop(runtime);
        let cells = Arc::strong_count(&probe) - 1;
        assert_eq!(cells, 0, "region cells alive after all runs");
    });
}

#[test]
fn spawns_and_opens_that_race_with_a_cancel_are_refused_or_swept() {
    within(|| {
        let runtime = two_workers();
        for round in 0..300u32 {
            let alive = Arc::new(AtomicUsize::new(0));
            let census = alive.clone();
            let reported = runtime.block_on(async |scope: Scope| {
                let counted = alive.clone();
                let report = scope
                    .region_report(RegionOptions::default(), async |inner: Scope| {
                        for _ in 0..2 {
                            let (inner, counted) = (inner.clone(), counted.clone());
                            scope.spawn(async move |_cx| {
                                let held = |counted: &Arc<AtomicUsize>| {
                                    counted.fetch_add(1, Ordering::Relaxed);
                                    Held(counted.clone())
                                };
                                loop {
                                    let counted = counted.clone();
                                    let task = inner.spawn(async move |cx: Cx| {
                                        let _held = held(&counted);
                                        let nested = cx.region(async |nested: Scope| {
                                            let _held = held(&counted);
                                            nested.cancelled().await;
                                        });
                                        drop(nested.await);
                                    });
                                    if task.refused().is_some() {
                                        break;
                                    }
                                }
                            });
                        }
                        for _ in 0..round % 16 {
                            inner.yield_now().await.unwrap();
                        }
                        inner.cancel(CancelKind::User);
                    })
                    .await
                    .unwrap();
                assert_eq!(
                    census.load(Ordering::Relaxed),
                    0,
                    "alive in a closed region"
                );
                report.report.severity
            });
            assert!(reported.unwrap() <= Severity::Cancelled);
        }
    });
}

/// A place in a census.
struct Held(Arc<AtomicUsize>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn handles_taken_dropped_and_moved_while_their_task_ends() {
    const ROUNDS: usize = 20_000;
    within(|| {
        let runtime = two_workers();
        let values = Arc::new(AtomicUsize::new(0));
        let counted = values.clone();
        // Some end cancelled, which is in the report.
        let reported = runtime.block_on_report(async |scope: Scope| {
            for round in 0..ROUNDS {
                let counted = counted.clone();
                let mut handle = scope.spawn(async move |_cx| {
                    counted.fetch_add(1, Ordering::Relaxed);
                    Held(counted)
                });
                match round % 4 {
                    0 => drop(handle),
                    1 => drop(handle.await),
                    2 => {
                        // Looked at by one waker, awaited by another task.
                        poll_fn(|cx| {
                            drop(Pin::new(&mut handle).poll(cx));
                            Poll::Ready(())
                        })
                        .await;
                        if handle.is_complete() {
                            continue;
                        }
                        drop(scope.spawn(async move |cx: Cx| drop(handle.join(&cx).await)));
                    }
                    _ => {
                        handle.cancel(CancelKind::User);
                        drop(handle);
                    }
                }
            }
        });
        assert!(reported.report.severity <= Severity::Cancelled);
        assert_eq!(
            values.load(Ordering::Relaxed),
            0,
            "an outcome was not dropped once"
        );
    });
}

#[test]
fn a_deadline_that_passes_while_everything_ends_leaves_nothing_behind() {
    within(|| {
        let probe = Arc::new(Probe);
        let runtime = two_workers();
        for round in 0..400u64 {
            let options = RegionOptions {
                policy: Policy::Custom(probe.clone()),
                ..RegionOptions::default()
            };
            runtime.block_on_with(options.clone(), async |scope: Scope| {
                let limit = Duration::from_micros(50 + round % 50);
                let options = RegionOptions {
                    budget: Budget::new().with_timeout(scope.now(), limit),
                    ..options
                };
                let region = scope.region_report(options, async |inner: Scope| {
                    for i in 0..4 {
                        let task = inner
                            .task()
                            .budget(Budget::new().with_timeout(inner.now(), limit))
                            .spawn(async move |cx: Cx| {
                                drop(cx.sleep(limit + Duration::from_micros(i)).await);
                            });
                        if i == 3 {
                            task.cancel(CancelKind::User);
                        }
                    }
                    inner.sleep(limit).await.is_ok()
                });
                drop(region.await);
            });
        }
        drop(runtime);
        // An alarm that stayed behind would hold its task or region, and the
        // runtime with it.
        assert_eq!(Arc::strong_count(&probe), 1);
    });
}

#[test]
fn the_innermost_of_very_many_regions_may_be_the_last_to_go() {
    const DEPTH: u32 = 20_000;
    fn nest(cx: Cx, depth: u32, innermost: Arc<Mutex<Option<Scope>>>) -> Step<'static> {
        Box::pin(async move {
            let opened = cx.region(async |scope: Scope| {
                if depth == 0 {
                    *innermost.lock().unwrap() = Some(scope);
                } else {
                    scope.spawn(async move |cx| nest(cx, depth - 1, innermost).await);
                }
            });
            opened.await.unwrap();
        })
    }
    within(|| {
        let runtime = two_workers();
        let innermost = Arc::new(Mutex::new(None));
        let kept = innermost.clone();
        runtime
            .block_on(async |scope: Scope| {
                scope.spawn(async move |cx| nest(cx, DEPTH, kept).await);
            })
            .unwrap();
        drop(runtime);
        drop(innermost);
    });
}
