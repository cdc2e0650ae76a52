//! Random trees of regions, the same in every world: whatever they do, a region
//! that has returned has nothing left alive.
//!
//! A tree is drawn from a seed as data, then run. Every body, deferred future
//! and region holds a place in the census of its region and of all above; the
//! law is that the census of a region is empty when awaiting it returns.

use asupersync::math::rng::Rng;
use asupersync::types::policy::{Action, ChildEnd, RegionPolicy};
use asupersync::{
    Cancelled, Cx, JoinSet, LabConfig, LabRuntime, Policy, RegionOptions, Runtime, Scope, Severity,
    SporkOptions, TaskHandle,
};
use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

/// What a body does next.
#[derive(Clone, Debug)]
enum Act {
    Yield,
    Sleep(Duration),
    /// Waits once through the cleanup view.
    Clean(Duration),
    Checkpoint,
    Spawn(Acts),
    Daemon(Acts),
    /// A task that returns an error at its end.
    Fail(Acts),
    Blocking,
    Region(Policy, Acts),
    Timeout(Duration, Acts),
    /// A region that is polled this often and then dropped.
    Abandoned(u32, Acts),
    /// A region opened by cleanup: requests from above do not reach it.
    Shielded(Acts),
    /// Tasks in regions of their own.
    Spork(Acts),
    /// Two tasks that are joined as a group, if nobody cancels the join.
    Group(Acts),
    /// Waits with a resource that has to be released.
    Bracket(Duration),
    /// Waits under a mask.
    Masked(Duration),
    DeferTask,
    DeferRegion,
    CancelRegion,
    CloseRegion,
    CancelChild,
    JoinChild,
    Panic,
}

/// What fails concerns the region above as well.
struct Escalates;

impl RegionPolicy for Escalates {
    fn on_child(&self, end: &ChildEnd) -> Action {
        match end.severity {
            Severity::Ok | Severity::Cancelled => Action::Continue,
            Severity::Err | Severity::Panicked => Action::Escalate,
        }
    }
}

type Acts = Arc<[Act]>;

/// How long a cleanup may take in a tree: a wait of whole seconds exceeds every
/// cleanup budget, so that the code is dropped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cleanup {
    Short,
    Overdue,
}

/// Draws the acts of one body; `left` bounds the whole tree.
fn draw(rng: &mut Rng, cleanup: Cleanup, depth: u32, left: &mut u32) -> Acts {
    let mut acts = Vec::new();
    let len = 1 + rng.below(6);
    for _ in 0..len {
        if *left == 0 {
            break;
        }
        *left -= 1;
        let nested = if depth < 5 { 23 } else { 12 };
        let short = Duration::from_micros(u64::from(rng.below(400)));
        acts.push(match rng.below(nested) {
            0 => Act::Yield,
            1 => Act::Sleep(short),
            2 if cleanup == Cleanup::Overdue && rng.below(4) == 0 => {
                Act::Clean(Duration::from_secs(10))
            }
            2 => Act::Clean(short),
            3 => Act::Checkpoint,
            4 => Act::DeferTask,
            5 => Act::DeferRegion,
            6 => Act::CancelChild,
            7 => Act::JoinChild,
            8 => match rng.below(4) {
                0 => Act::Panic,
                1 => Act::CancelRegion,
                2 => Act::CloseRegion,
                _ => Act::Yield,
            },
            9 => Act::Blocking,
            10 => Act::Masked(short),
            11 => Act::Bracket(short),
            12 | 13 => Act::Spawn(draw(rng, cleanup, depth + 1, left)),
            14 => Act::Daemon(draw(rng, cleanup, depth + 1, left)),
            15 => Act::Fail(draw(rng, cleanup, depth + 1, left)),
            16 => Act::Shielded(draw(rng, cleanup, depth + 1, left)),
            17 => {
                let policy = match rng.below(3) {
                    0 => Policy::FailFast,
                    1 => Policy::Collect,
                    _ => Policy::Custom(Arc::new(Escalates)),
                };
                Act::Region(policy, draw(rng, cleanup, depth + 1, left))
            }
            19 => Act::Spork(draw(rng, cleanup, depth + 1, left)),
            20 => Act::Group(draw(rng, cleanup, depth + 1, left)),
            18 => Act::Timeout(short, draw(rng, cleanup, depth + 1, left)),
            _ => Act::Abandoned(rng.below(4), draw(rng, cleanup, depth + 1, left)),
        });
    }
    acts.into()
}

/// Who is alive in a region and below it.
struct Census {
    live: AtomicUsize,
    above: Option<Arc<Census>>,
    broken: Arc<Mutex<Vec<String>>>,
}

impl Census {
    fn below(self: &Arc<Self>) -> Arc<Census> {
        let (above, broken) = (Some(self.clone()), self.broken.clone());
        Arc::new(Census {
            live: AtomicUsize::new(0),
            above,
            broken,
        })
    }

    fn enter(self: &Arc<Self>) -> Place {
        let chain = std::iter::successors(Some(self), |c| c.above.as_ref());
        for census in chain {
            census.live.fetch_add(1, Ordering::AcqRel);
        }
        Place(self.clone())
    }

    /// The region has returned.
    fn must_be_empty(&self, what: &str) {
        let live = self.live.load(Ordering::Acquire);
        if live > 0 {
            self.broken
                .lock()
                .expect("no panic")
                .push(format!("{live} alive after {what}"));
        }
    }
}

/// Somebody who is alive.
struct Place(Arc<Census>);

impl Drop for Place {
    fn drop(&mut self) {
        let chain = std::iter::successors(Some(&self.0), |c| c.above.as_ref());
        for census in chain {
            census.live.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

type Boxed = Pin<Box<dyn Future<Output = Result<(), Cancelled>> + Send>>;

/// Starts the body of a task in the region of `census`.
fn of_task(cx: Cx, acts: Acts, census: Arc<Census>) -> Boxed {
    let home = census.clone();
    perform(cx, None, acts, census, home)
}

/// Does the acts in the body of a task or, with a scope, of a region. `home` is
/// the census of the task's region, which the task's deferred work may not outlive.
fn perform(
    cx: Cx,
    scope: Option<Scope>,
    acts: Acts,
    census: Arc<Census>,
    home: Arc<Census>,
) -> Boxed {
    let place = census.enter();
    Box::pin(async move {
        let _place = place;
        let mut children: Vec<TaskHandle<Result<(), Cancelled>>> = Vec::new();
        for act in acts.iter() {
            match act {
                Act::Yield => cx.yield_now().await?,
                Act::Sleep(d) => cx.sleep(*d).await?,
                Act::Clean(d) => cx.cleanup().sleep(*d).await?,
                Act::Checkpoint => cx.checkpoint()?,
                Act::Spawn(acts) => {
                    let (acts, census) = (acts.clone(), census.clone());
                    children.push(cx.spawn(move |cx| of_task(cx, acts, census)));
                }
                Act::Daemon(acts) => {
                    let (acts, census) = (acts.clone(), census.clone());
                    children.push(cx.spawn_daemon(move |cx| of_task(cx, acts, census)));
                }
                Act::Fail(acts) => {
                    let (acts, census) = (acts.clone(), census.clone());
                    let failing = cx.try_spawn(async move |cx: Cx| {
                        let _ = of_task(cx, acts, census).await;
                        Err::<(), _>(std::io::Error::other("planted"))
                    });
                    drop(failing);
                }
                Act::Blocking => {
                    let place = census.enter();
                    drop(cx.spawn_blocking(move |_| drop(place)));
                }
                Act::Region(policy, acts) => {
                    let inside = census.below();
                    let options = RegionOptions {
                        policy: policy.clone(),
                        ..RegionOptions::default()
                    };
                    let body = |scope: Scope| {
                        perform(
                            (*scope).clone(),
                            Some(scope),
                            acts.clone(),
                            inside.clone(),
                            home.clone(),
                        )
                    };
                    let reported = cx.region_report(options, body).await;
                    inside.must_be_empty("a region");
                    if let Ok(Some(panic)) = reported.map(|r| r.panic) {
                        resume_unwind(Box::new(panic.message().to_owned()));
                    }
                }
                Act::Timeout(d, acts) => {
                    let inside = census.below();
                    let body = |scope: Scope| {
                        perform(
                            (*scope).clone(),
                            Some(scope),
                            acts.clone(),
                            inside.clone(),
                            home.clone(),
                        )
                    };
                    let _ = cx.timeout(*d, body).await;
                    inside.must_be_empty("a timeout");
                }
                Act::Abandoned(polls, acts) => {
                    let inside = census.below();
                    let body = |scope: Scope| {
                        perform(
                            (*scope).clone(),
                            Some(scope),
                            acts.clone(),
                            inside,
                            home.clone(),
                        )
                    };
                    let mut region = pin!(cx.region_report(RegionOptions::default(), body));
                    for _ in 0..*polls {
                        let ended =
                            poll_fn(|task| Poll::Ready(region.as_mut().poll(task).is_ready()));
                        if ended.await {
                            break;
                        }
                        // Lets the others run in between, whether or not it is cancelled.
                        let _ = cx.yield_now().await;
                    }
                }
                Act::Shielded(acts) => {
                    let inside = census.below();
                    let body = |scope: Scope| {
                        perform(
                            (*scope).clone(),
                            Some(scope),
                            acts.clone(),
                            inside.clone(),
                            home.clone(),
                        )
                    };
                    let options = RegionOptions::default();
                    let reported = cx.cleanup().region_report(options, body).await;
                    inside.must_be_empty("a shielded region");
                    if let Ok(Some(panic)) = reported.map(|r| r.panic) {
                        resume_unwind(Box::new(panic.message().to_owned()));
                    }
                }
                Act::Spork(acts) => {
                    let (acts, inside) = (acts.clone(), census.below());
                    let home = inside.clone();
                    let spork = cx.spork(SporkOptions::default(), async move |cx: Cx| {
                        let scope = cx.scope();
                        perform(cx, scope, acts, inside.clone(), inside).await
                    });
                    let _ = spork.join(&cx).await?;
                    home.must_be_empty("a spork");
                }
                Act::Group(acts) => {
                    let mut group = JoinSet::new(&cx);
                    for _ in 0..2 {
                        let (acts, census) = (acts.clone(), census.clone());
                        group.spawn(move |cx| of_task(cx, acts, census));
                    }
                    let _ = group.join_next(&cx).await?;
                    // One is left to the region.
                }
                Act::Bracket(d) => {
                    let place = census.enter();
                    let acquire = async { Ok::<_, Cancelled>(place) };
                    let release = async |place: Place, cx: &Cx| {
                        let _ = cx.yield_now().await;
                        drop(place);
                    };
                    let use_ = async |_: &mut Place| cx.sleep(*d).await;
                    cx.bracket(acquire, use_, release).await?;
                }
                Act::Masked(d) => {
                    let _mask = cx.mask();
                    cx.sleep(*d).await?;
                }
                Act::DeferTask => {
                    let place = home.enter();
                    cx.defer_with(async move |cx: Cx| {
                        let _ = cx.sleep(Duration::from_micros(50)).await;
                        drop(place);
                    });
                }
                Act::DeferRegion => {
                    if let Some(scope) = &scope {
                        let place = census.enter();
                        scope.defer_with(async move |cx: Cx| {
                            let _ = cx.yield_now().await;
                            drop(place);
                        });
                    }
                }
                Act::CancelRegion => {
                    if let Some(scope) = &scope {
                        scope.cancel("planted");
                    }
                }
                Act::CloseRegion => {
                    if let Some(scope) = &scope {
                        scope.close();
                    }
                }
                Act::CancelChild => {
                    if let Some(child) = children.last() {
                        child.cancel("planted");
                    }
                }
                Act::JoinChild => {
                    if let Some(child) = children.pop() {
                        let _ = child.join(&cx).await?;
                    }
                }
                // Past the panic hook: a planted panic is no news.
                Act::Panic => resume_unwind(Box::new("planted")),
            }
        }
        Ok(())
    })
}

/// Runs the tree of a seed in the root region of some world; what breaks the law comes back.
async fn tree(cx: Scope, seed: u64, cleanup: Cleanup) -> Vec<String> {
    let acts = draw(&mut Rng::stream(seed, "tree"), cleanup, 0, &mut 60);
    let acts: Acts = [Act::Region(Policy::Collect, acts)].into();
    let broken = Arc::new(Mutex::new(Vec::new()));
    let census = Arc::new(Census {
        live: AtomicUsize::new(0),
        above: None,
        broken: broken.clone(),
    });
    let inside = census.clone();
    let body = async |scope: Scope| drop(scope.spawn(move |cx| of_task(cx, acts, inside)));
    let reported = cx.region_report(RegionOptions::default(), body).await;
    assert!(reported.is_ok(), "nobody has cancelled the root");
    census.must_be_empty("the whole tree");
    let broken = broken.lock().expect("no panic");
    broken.clone()
}

#[test]
fn a_thousand_trees_in_the_lab() {
    let mut seen = BTreeSet::new();
    for seed in 0..1_000 {
        let cleanup = if seed % 2 == 0 {
            Cleanup::Short
        } else {
            Cleanup::Overdue
        };
        let lab = LabRuntime::new(LabConfig::default().seed(seed));
        let broken = lab.run(async |cx| tree(cx, seed, cleanup).await);
        assert!(broken.is_empty(), "{broken:?}\n{}", lab.report());
        lab.check().expect("run has checked");
        for e in lab.trace().events {
            let name = format!("{:?}", e.event);
            seen.extend(name.split(' ').next().map(str::to_owned));
        }
    }
    // A generator that no longer reaches these would prove nothing about them.
    let must = [
        "RegionHandedOver",
        "RegionFinalizing",
        "FinalizerRan",
        "CancelRequested",
        "CancelObserved",
        "CancelMasked",
        "TaskFinalizing",
        "TaskEscalated",
    ];
    must.iter()
        .for_each(|name| assert!(seen.contains(*name), "no tree has {name}"));
}

#[test]
fn trees_repeat_exactly() {
    for seed in 0..50 {
        let hash = || {
            let lab = LabRuntime::new(LabConfig::default().seed(seed));
            lab.run(async |cx| drop(tree(cx, seed, Cleanup::Short).await));
            lab.trace().hash()
        };
        assert_eq!(hash(), hash(), "seed {seed}");
    }
}

#[test]
fn trees_on_threads() {
    let one = Runtime::builder()
        .current_thread()
        .build()
        .expect("it starts");
    let four = Runtime::builder()
        .worker_threads(4)
        .build()
        .expect("it starts");
    for seed in 0..300 {
        for runtime in [&one, &four] {
            let broken = runtime.block_on(async |cx| tree(cx, seed, Cleanup::Short).await);
            assert_eq!(broken.expect("the root only waits"), [""; 0], "seed {seed}");
        }
    }
}
