//! The queues below regions and contexts, with tasks that only count their runs.

use super::Runtime;
use super::idle::Idle;
use super::injector::Injector;
use super::shared::{Flavour, Remote, Shared, random_word};
use crate::kernel::task::TaskPhase;
use crate::sched::StreakLimits;
use crate::types::budget::Budget;
use crate::types::cancel::CancelKind;
use crate::types::id::{RegionId, TaskId};
use crate::types::time::Time;
use crate::world::runnable::{Chain, Header, LANED, Vtable};
use crate::world::{Hint, Lane, Runnable, World};
use crate::{Cx, Scope};
use std::cell::{Cell, UnsafeCell};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

/// A task that notes its number where it is run, or that it was dropped.
#[repr(C)]
struct Counted {
    header: Header,
    lane: Lane,
    number: usize,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    order: Mutex<Vec<usize>>,
    runs: Vec<AtomicU32>,
    /// The number of a task that was asked to cancel after it was queued, and one more.
    asked: AtomicUsize,
    dropped: AtomicUsize,
}

unsafe fn run(header: NonNull<Header>) {
    // SAFETY: `task` boxed a `Counted` and gave its only reference to the Runnable.
    let task = unsafe { Box::from_raw(header.cast::<Counted>().as_ptr()) };
    match task.log.runs.get(task.number) {
        Some(runs) => _ = runs.fetch_add(1, Ordering::Relaxed),
        None => task.log.order.lock().unwrap().push(task.number),
    }
}

unsafe fn release(header: NonNull<Header>, _: usize) {
    // SAFETY: as in `run`.
    let task = unsafe { Box::from_raw(header.cast::<Counted>().as_ptr()) };
    task.log.dropped.fetch_add(1, Ordering::Relaxed);
}

unsafe fn lane(header: NonNull<Header>) -> Lane {
    // SAFETY: the Runnable keeps the box alive.
    let task = unsafe { header.cast::<Counted>().as_ref() };
    if task.log.asked.load(Ordering::Relaxed) == task.number + 1 {
        return Lane::Cancel { priority: 200 };
    }
    task.lane
}

unsafe fn region(_: NonNull<Header>) -> RegionId {
    RegionId::new(0, 0)
}

unsafe fn take(_: NonNull<Header>, _: *mut ()) {
    unreachable!("nobody waits for these tasks");
}

unsafe fn discard(_: NonNull<Header>) {
    unreachable!("these tasks have no outcome");
}

static VTABLE: Vtable = Vtable {
    run,
    release,
    lane,
    region,
    take,
    discard,
    root: false,
    home: None,
};

fn task(log: &Arc<Log>, number: usize, lane: Lane) -> Runnable {
    let header = Header {
        // Their lanes are looked up.
        state: AtomicUsize::new(LANED),
        vtable: &VTABLE,
        next: UnsafeCell::new(None),
        id: TaskId::new(number as u32, 0),
    };
    let boxed = Box::new(Counted {
        header,
        lane,
        number,
        log: log.clone(),
    });
    let header = NonNull::from(Box::leak(boxed)).cast();
    // SAFETY: the box is alive and this is its only reference.
    unsafe { Runnable::from_raw(header) }
}

fn shared(flavour: Flavour, workers: usize) -> Arc<Shared> {
    shared_with(flavour, workers, StreakLimits::default())
}

fn shared_with(flavour: Flavour, workers: usize, streaks: StreakLimits) -> Arc<Shared> {
    let blocking = super::blocking::Blocking::new(1, "t");
    let leaks = crate::types::obligation::LeakResponse::default();
    Shared::new(flavour, workers, streaks, blocking, leaks).unwrap()
}

#[test]
fn the_injector_serves_arrivals_and_overflow_in_turn() {
    let log = Arc::new(Log::default());
    let injector = Injector::default();
    let mut chain = Chain::new();
    for n in 0..4 {
        chain.push(task(&log, n, Lane::Ready));
    }
    injector.push_chain(chain);
    for n in 10..14 {
        injector.push(task(&log, n, Lane::Ready));
    }
    let kept = Mutex::new(Vec::new());
    let take = |workers, room, overflow_first| {
        let first = injector.take(workers, room, overflow_first, |t| {
            kept.lock().unwrap().push(t)
        });
        let mut numbers = vec![first.unwrap().id().slot()];
        numbers.extend(kept.lock().unwrap().drain(..).map(|t| t.id().slot()));
        numbers
    };
    assert_eq!(take(1, 1, true), [0, 1], "what has no room stays in front");
    assert_eq!(take(3, 9, false), [10, 11], "a third of the three left");
    assert_eq!(take(1, 9, true), [2, 3]);
    assert_eq!(take(1, 9, true), [12, 13]);
    assert!(injector.is_empty() && injector.pop().is_none());
    assert_eq!(log.dropped.load(Ordering::Relaxed), 8);
}

/// Tasks from outside threads, one worker: the order is that of the lanes.
#[test]
fn outside_tasks_are_served_by_lane() {
    let shared = shared(Flavour::CurrentThread, 1);
    let log = Arc::new(Log::default());
    let timed = |ns, priority| Lane::Timed {
        deadline: Time::from_nanos(ns),
        priority,
    };
    let lanes = [
        Lane::Ready,
        timed(20, 1),
        Lane::Cancel { priority: 200 },
        timed(10, 1),
        timed(10, 3),
        timed(10, 3),
        Lane::Cancel { priority: 250 },
        Lane::Ready,
    ];
    for (n, lane) in lanes.into_iter().enumerate() {
        shared.enqueue(task(&log, n, lane), Hint::Spawned);
    }
    work(&shared, 0, || {
        log.order.lock().unwrap().len() == lanes.len()
    });
    assert_eq!(*log.order.lock().unwrap(), [6, 2, 4, 5, 3, 1, 0, 7]);
}

/// Runs a worker on this thread until `done`.
fn work(shared: &Arc<Shared>, index: usize, done: impl Fn() -> bool) {
    use super::context::{Context, Local};
    let context = Context::new(shared, Some(Local::new(index)), None);
    let _entered = context.enter();
    super::worker::Worker::new(shared, context).run_until(done);
}

/// Floods of urgent tasks, new ones with every turn, let the lower lanes
/// through within their bounds, whatever the limits.
#[test]
fn a_worker_keeps_the_promise_of_fairness() {
    for (cancel, timed) in [(8, 8), (1, 1), (2, 5), (32, 3)] {
        let limits = StreakLimits { cancel, timed };
        for flavour in [Flavour::CurrentThread, Flavour::MultiThread] {
            let shared = shared_with(flavour, 1, limits);
            let log = Arc::new(Log::default());
            const READY: usize = 1_000_000;
            const TIMED: usize = 2_000_000;
            let next = Cell::new(0);
            for n in 0..400 {
                shared.enqueue(task(&log, READY + n, Lane::Ready), Hint::Yielded);
            }
            work(&shared, 0, || {
                let served = log.order.lock().unwrap().len();
                // Two of each urgent lane for every one that was served.
                while next.get() < 2 * served + 4 {
                    let number = next.replace(next.get() + 1);
                    let lane = Lane::Cancel { priority: 200 };
                    shared.enqueue(task(&log, number, lane), Hint::Woken);
                    let deadline = Time::from_nanos(number as u64);
                    let lane = Lane::Timed {
                        deadline,
                        priority: 0,
                    };
                    shared.enqueue(task(&log, TIMED + number, lane), Hint::Woken);
                }
                served >= 1_500
            });
            let (l, s) = (usize::from(cancel), usize::from(timed));
            let bounds = [
                (READY..TIMED, (l + 1) * (s + 1)),
                (TIMED..usize::MAX, 2 * (l + 1)),
            ];
            let order = log.order.lock().unwrap();
            for (lane, bound) in bounds {
                let mut gap = 0;
                for number in &*order {
                    gap = if lane.contains(number) { 0 } else { gap + 1 };
                    assert!(
                        gap < bound,
                        "{lane:?} waits for {gap} under {limits:?}, {flavour:?}"
                    );
                }
            }
            assert!(order.iter().any(|n| (READY..TIMED).contains(n)));
            drop(order);
            shared.discard_tasks();
        }
    }
}

/// A task that is asked while it waits outside goes before those it waited with.
#[test]
fn who_is_asked_while_queued_is_promoted_on_the_way() {
    for flavour in [Flavour::CurrentThread, Flavour::MultiThread] {
        let (shared, log) = (shared(flavour, 1), Arc::new(Log::default()));
        for n in 0..100 {
            shared.injector.push(task(&log, n, Lane::Ready));
        }
        log.asked.store(91, Ordering::Relaxed);
        work(&shared, 0, || log.order.lock().unwrap().len() == 100);
        let order = log.order.lock().unwrap();
        let before: Vec<_> = order.iter().take_while(|n| **n != 90).collect();
        assert_eq!(before, [&0], "{flavour:?}: the first was taken to be run");
        let others = order.iter().filter(|n| **n != 90);
        assert!(
            others.is_sorted(),
            "{flavour:?}: the others keep their order"
        );
    }
    // And with the urgent tasks of another worker.
    let (shared, log) = (shared(Flavour::MultiThread, 2), Arc::new(Log::default()));
    let [victim, thief] = [0, 1].map(|i| &shared.workers[i].urgent);
    for n in 0..10 {
        let deadline = Time::from_nanos(n as u64);
        let priority = 0;
        let lane = Lane::Timed { deadline, priority };
        assert!(victim.push(task(&log, n, lane), lane).is_none());
    }
    log.asked.store(4, Ordering::Relaxed);
    assert!(thief.take_from(victim, false));
    assert_eq!(
        thief.with(|lanes| (lanes.cancels(), lanes.timeds())),
        (1, 4)
    );
    assert_eq!(
        victim.with(|lanes| (lanes.cancels(), lanes.timeds())),
        (0, 5)
    );
    thief.with(|lanes| lanes.pop()).expect("it waits").run();
    assert_eq!(*log.order.lock().unwrap(), [3]);
    assert_eq!(shared.discard_tasks(), 9);
}

/// A worker's own queue is served within its bound, whatever else waits: urgent
/// tasks, the task made ready last, and tasks from outside.
#[test]
fn who_keeps_a_place_in_line_is_served_within_the_bound() {
    // With 7 and 7, the ready lane has every 64th turn.
    for (cancel, timed) in [(7, 7), (15, 3), (8, 8), (1, 1)] {
        let limits = StreakLimits { cancel, timed };
        let (shared, log) = (
            shared_with(Flavour::MultiThread, 1, limits),
            Arc::new(Log::default()),
        );
        const IN_LINE: usize = 40;
        const FLOOD: usize = 1_000;
        let next = Cell::new(FLOOD);
        let flood = |lane| {
            let number = next.replace(next.get() + 1);
            task(&log, number, lane)
        };
        let begun = Cell::new(false);
        work(&shared, 0, || {
            if !begun.replace(true) {
                for n in 0..IN_LINE {
                    shared.enqueue(task(&log, n, Lane::Ready), Hint::Yielded);
                }
                // It stays where it is.
                log.asked.store(IN_LINE, Ordering::Relaxed);
            }
            if log.order.lock().unwrap().last() == Some(&(IN_LINE - 1)) {
                return true;
            }
            shared.enqueue(flood(Lane::Cancel { priority: 200 }), Hint::Woken);
            let (deadline, priority) = (Time::from_nanos(9), 0);
            shared.enqueue(flood(Lane::Timed { deadline, priority }), Hint::Woken);
            if shared.workers[0].lifo.is_empty() {
                shared.enqueue(flood(Lane::Ready), Hint::Woken);
            }
            if shared.injector.is_empty() {
                shared.injector.push(flood(Lane::Ready));
            }
            false
        });
        let served = log.order.lock().unwrap().len();
        let lane = (usize::from(cancel) + 1) * (usize::from(timed) + 1);
        // Of four ready tasks three may be from the slot, and of two one from outside.
        let bound = IN_LINE * 4 * 2 * lane;
        assert!(
            served <= bound,
            "{served} dispatches, not {bound}, under {limits:?}"
        );
        shared.discard_tasks();
    }
}

/// A million operations: half a million tasks pushed, overflowed, stolen and
/// injected at random, and each of them run once.
#[test]
fn queues_lose_and_double_nothing() {
    const TASKS: usize = 500_000;
    let shared = shared(Flavour::MultiThread, 3);
    let runs = (0..TASKS).map(|_| AtomicU32::new(0)).collect();
    let log = Arc::new(Log {
        runs,
        ..Log::default()
    });
    let (next, finished) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|s| {
        for index in 0..3 {
            let (shared, log, next, finished) = (&shared, &log, &next, &finished);
            s.spawn(move || {
                // Each worker's `done` is asked between tasks: there it feeds its queues.
                work(shared, index, || {
                    for _ in 0..random_word() % 8 {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= TASKS {
                            break;
                        }
                        let hint = [Hint::Spawned, Hint::Yielded][number % 2];
                        let lane = match random_word() % 16 {
                            0 => Lane::Cancel { priority: 200 },
                            1 => Lane::Timed {
                                deadline: Time::from_nanos(number as u64),
                                priority: 0,
                            },
                            _ => Lane::Ready,
                        };
                        shared.enqueue(task(log, number, lane), hint);
                    }
                    finished.load(Ordering::SeqCst)
                });
            });
        }
        s.spawn(|| {
            let all = || log.runs.iter().all(|r| r.load(Ordering::Relaxed) > 0);
            while next.load(Ordering::Relaxed) < TASKS || !all() {
                std::thread::yield_now();
            }
            finished.store(true, Ordering::SeqCst);
            for worker in &shared.workers {
                worker.parker.unpark(&shared.reactor);
            }
        });
    });
    assert!(log.runs.iter().all(|r| r.load(Ordering::Relaxed) == 1));
    assert_eq!(
        (log.dropped.load(Ordering::Relaxed), shared.discard_tasks()),
        (0, 0)
    );
    let empty = |w: &Remote| w.queue.is_empty() && w.lifo.is_empty();
    assert!(shared.workers.iter().all(empty));
}

#[test]
fn who_yields_lets_go_first_whoever_is_ready_but_not_for_ever() {
    let (shared, log) = (shared(Flavour::CurrentThread, 1), Arc::new(Log::default()));
    let next = Cell::new(0);
    let enqueue = |hint| {
        let number = next.replace(next.get() + 1);
        shared.enqueue(task(&log, number, Lane::Ready), hint);
    };
    work(&shared, 0, || {
        if next.get() == 0 {
            enqueue(Hint::Yielded);
        }
        enqueue(Hint::Woken);
        log.order.lock().unwrap().contains(&0)
    });
    let before = log.order.lock().unwrap().len() - 1;
    assert_eq!(before, usize::from(super::worker::READY_STREAK));
    shared.discard_tasks();
}

#[test]
fn a_wish_to_shut_down_reaches_every_run_in_progress() {
    for builder in [
        Runtime::builder().current_thread(),
        Runtime::builder().worker_threads(2),
    ] {
        let runtime = &builder.build().unwrap();
        std::thread::scope(|s| {
            let (tx, ready) = std::sync::mpsc::channel();
            let wait = move |tx: std::sync::mpsc::Sender<()>| {
                runtime.block_on_report(async |scope: Scope| {
                    tx.send(()).unwrap();
                    drop(scope.cancelled().await);
                })
            };
            let (first, second) = (tx.clone(), tx);
            let runs = [s.spawn(move || wait(first)), s.spawn(move || wait(second))];
            ready.recv().unwrap();
            ready.recv().unwrap();
            // One that begins last and ends first takes nobody's ears along.
            runtime.block_on(async |_scope: Scope| ()).unwrap();
            runtime.shared.shutdown().request();
            for run in runs {
                let report = run.join().unwrap().report;
                assert_eq!(report.reason.unwrap().kind, CancelKind::Shutdown);
            }
        });
    }
}

#[cfg(debug_assertions)]
#[test]
fn a_counter_that_went_wrong_is_found_when_a_program_ends() {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    let runtime = Runtime::builder().worker_threads(1).build().unwrap();
    let run = || runtime.block_on(async |scope: Scope| drop(scope.spawn(async |_cx| ()).await));
    run().unwrap();
    let clock = &runtime.shared.clock;
    let far = runtime.shared.now() + Duration::from_secs(3_600);
    let timer = clock.set(clock.outside(), far, Waker::noop());
    run().expect("a timer that is left is no wrong count");
    clock.misstate(clock.outside());
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    assert!(clock.cancel(timer));
    run().unwrap();
}

#[test]
fn a_wish_to_shut_down_strengthens_a_weaker_request() {
    for builder in [
        Runtime::builder().current_thread(),
        Runtime::builder().worker_threads(1),
    ] {
        let runtime = &builder.build().unwrap();
        let reported = runtime.block_on_report(async |scope: Scope| {
            scope.cancel(CancelKind::User);
            assert_eq!(reason_of(&scope).await, CancelKind::User);
            // Nobody listens, so the first wish counts; the second adds nothing.
            for _ in 0..2 {
                runtime.shared.shutdown().request();
                assert_eq!(reason_of(&scope).await, CancelKind::Shutdown);
            }
            // A weaker one does not take it back.
            scope.cancel(CancelKind::User);
            assert_eq!(reason_of(&scope).await, CancelKind::Shutdown);
        });
        assert!(reported.value.is_some(), "{}", reported.report);
        assert_eq!(reported.report.reason.unwrap().kind, CancelKind::Shutdown);
    }
}

/// Why the region is asked to stop, a turn later.
async fn reason_of(scope: &Scope) -> CancelKind {
    let mut polls = 0;
    std::future::poll_fn(|task| {
        polls += 1;
        task.waker().wake_by_ref();
        if polls == 2 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    let asked = scope.checkpoint().expect_err("it was asked");
    asked.reason().root_cause().kind
}

#[test]
fn no_alarm_is_left_by_requests_and_deadlines_that_race_with_the_end() {
    let runtime = Runtime::builder().worker_threads(2).build().unwrap();
    for round in 0..400 {
        // Someone else asks while the tasks end by themselves, and the deadlines pass.
        let limit = Duration::from_micros(50 + round % 50);
        drop(runtime.block_on_report(async |scope: Scope| {
            let tasks: Vec<_> = (0..16)
                .map(|_| {
                    let budget = Budget::new().with_timeout(scope.now(), limit);
                    let task = scope.task().budget(budget);
                    task.spawn(async |cx: Cx| drop(cx.yield_now().await))
                })
                .collect();
            scope.spawn(async move |_cx| {
                tasks.iter().for_each(|task| task.cancel(CancelKind::User));
            });
            drop(
                scope
                    .timeout(limit, async |inner: Scope| inner.sleep(limit).await)
                    .await,
            );
        }));
    }
    // One request per task, as close to its end as a second thread can bring it.
    drop(runtime.block_on_report(async |scope: Scope| {
        for i in 0..20_000 {
            let task = scope.spawn(async |_cx| ());
            while task.phase() < TaskPhase::Running {
                std::hint::spin_loop();
            }
            (0..i % 64).for_each(|_| std::hint::spin_loop());
            task.cancel(CancelKind::User);
        }
    }));
    // A request in flight takes its alarm back after the task has ended.
    for _ in 0..100 {
        if runtime.shared.clock.len() == 0 {
            return;
        }
        std::thread::yield_now();
    }
    panic!("{} timers are left", runtime.shared.clock.len());
}

#[test]
fn one_searcher_at_a_time_is_woken() {
    let idle = Idle::new(4);
    assert_eq!(idle.pick(), None, "nobody sleeps");
    let _ = idle.announce(0, false, true, 0);
    let _ = idle.announce(1, false, false, 0);
    assert_eq!(idle.pick(), Some(1), "the driver is spared");
    assert_eq!(idle.pick(), None, "one searches already");
    assert!(idle.retract(1), "it was picked");
    assert!(idle.end_search(), "it was the last searcher");
    assert_eq!(idle.pick(), Some(0));
    assert!(idle.retract(0));
    assert!(idle.begin_search(), "one of four searches");
    assert!(!idle.begin_search(), "half of four search");
    assert!(!idle.end_search());
    assert!(idle.end_search());
}

#[test]
fn a_sleeper_that_wakes_by_itself_is_not_picked() {
    let idle = Idle::new(1);
    assert!(!idle.announce(0, false, false, 0), "nobody to watch");
    assert!(!idle.retract(0));
    assert_eq!(idle.pick(), None);
}

#[test]
fn two_watch_while_somebody_is_awake_and_none_when_all_is_quiet() {
    let idle = Idle::new(4);
    assert!(idle.announce(0, false, true, 0));
    assert!(idle.announce(1, false, false, 0));
    assert!(!idle.announce(2, false, false, 0), "two are enough");
    assert_eq!(idle.pick_watcher(), None, "somebody watches");
    assert_eq!(idle.pick(), Some(2), "who neither drives nor watches");
    assert!(idle.retract(2) && idle.end_search());
    // The watchers look, see workers 2 and 3 awake, and go on.
    for worker in [0, 1] {
        assert!(!idle.retract(worker));
        assert!(idle.announce(worker, false, false, 0));
    }
    idle.rise();
    let (seen, now) = (0, idle.rises());
    assert!(!idle.announce(2, false, false, now), "two are enough");
    assert!(!idle.announce(3, false, false, now));
    for worker in [0, 1] {
        assert!(!idle.retract(worker));
        assert!(idle.announce(worker, false, false, seen), "a period more");
        assert!(!idle.retract(worker));
        assert!(!idle.announce(worker, false, false, now), "all is quiet");
    }
    let woken = idle.pick().expect("all sleep");
    assert!(idle.retract(woken));
    assert_eq!(idle.pick_watcher(), None, "the searcher will see to it");
    assert!(idle.end_search());
    assert!(idle.pick_watcher().is_some_and(|worker| worker != woken));
}

#[test]
fn the_driver_leaves_the_watch_to_another_unless_one_was_missing() {
    let idle = Idle::new(2);
    let before = u64::MAX;
    // One more sleep of the driver, after which it gets up by itself; whether it watched.
    let sleep = || {
        let watches = idle.announce(0, false, true, before);
        assert!(!idle.retract(0));
        watches
    };
    assert!(sleep(), "there is nobody else");
    assert!(idle.announce(1, false, false, before));
    assert!(!sleep(), "the other one does");
    assert!(!idle.announce(0, false, true, before));
    assert!(
        !idle.retract(1),
        "the watcher gets up, and somebody must watch"
    );
    assert_eq!(idle.pick_watcher(), Some(0));
    assert!(idle.retract(0) && idle.end_search());
    assert!(idle.announce(1, false, false, before));
    let watched = (0..1_000).take_while(|_| sleep()).count();
    assert!(watched > 1, "for a while there are two");
    assert!(watched < 1_000, "but not for ever");
    assert!(!sleep());
}

/// Enqueues a task that counts, as the waker of one that slept would.
struct Enqueues {
    shared: Arc<Shared>,
    log: Arc<Log>,
    number: usize,
}

impl std::task::Wake for Enqueues {
    fn wake(self: Arc<Self>) {
        let task = task(&self.log, self.number, Lane::Ready);
        self.shared.enqueue(task, Hint::Woken);
    }
}

/// Whether a worker that sleeps until `rises` is woken for a batch of timers of
/// another one, `now`.
fn woken_for_a_batch(now: Time, rises: Option<Time>) -> bool {
    use super::context::{Context, Local};
    let (shared, log) = (shared(Flavour::MultiThread, 2), Arc::new(Log::default()));
    for number in 0..4 {
        let (shared, log) = (shared.clone(), log.clone());
        let timer = Enqueues {
            shared,
            log,
            number,
        };
        let waker = Arc::new(timer);
        waker.shared.clone().clock.set(0, now, &waker.into());
    }
    if let Some(rises) = rises {
        shared.clock.set(1, rises, Waker::noop());
    }
    let peer = &shared.workers[1];
    peer.asleep.store(true, Ordering::Relaxed);
    let _ = shared.idle.announce(1, false, false, 0);
    peer.parker.adopt();
    assert!(peer.parker.prepare(super::park::Place::Lot));

    let context = Context::new(&shared, Some(Local::new(0)), None);
    let _entered = context.enter();
    let mut worker = super::worker::Worker::new(&shared, context);
    worker.fire_shard(0, now);
    let woken = peer.parker.take_permit();
    drop(worker);
    assert_eq!(shared.discard_tasks(), 4, "all were fired");
    woken
}

#[test]
fn a_sleeper_that_rises_soon_by_itself_is_left_asleep_at_a_batch_of_timers() {
    let now = Time::from_nanos(1_000_000_000);
    assert!(woken_for_a_batch(now, None), "it sleeps for ever");
    let after = |micros| Some(now + Duration::from_micros(micros));
    assert!(!woken_for_a_batch(now, after(10)));
    assert!(woken_for_a_batch(now, after(1_000)), "that is too late");
}

#[cfg(unix)]
#[test]
fn children_and_their_pipes_leave_no_registration() {
    use crate::exec::region::RegionOptions;
    use crate::process::{Command, Stdio};
    for builder in [
        Runtime::builder().current_thread(),
        Runtime::builder().worker_threads(2),
    ] {
        let runtime = builder.build().unwrap();
        let registered = || runtime.shared.reactor.registered();
        let ran = runtime.block_on(async |cx: Scope| {
            let body = async |scope: Scope| {
                let mut sleep = Command::new("sleep");
                sleep
                    .arg("600")
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped());
                let children = [0; 3].map(|_| sleep.spawn(&scope).unwrap());
                assert!(registered() >= 6, "two pipes each");
                scope.cancel("enough");
                // Held until the region is cancelled, then left to it.
                drop(children);
            };
            let closed = cx.region_report(RegionOptions::default(), body).await;
            assert!(closed.unwrap().report.abandoned.is_empty());
            registered()
        });
        assert_eq!(ran.unwrap(), 0);
        assert_eq!(registered(), 0);
    }
}

#[cfg(unix)]
#[test]
fn a_thousand_descriptors_of_a_program_leave_nothing_behind() {
    use crate::io::unix::{AsyncFd, Interest};
    use std::task::Poll;
    let runtime = Runtime::builder().worker_threads(2).build().unwrap();
    let registered = || runtime.shared.reactor.registered();
    runtime
        .block_on(async |cx: Scope| {
            for round in 0..20 {
                let done = Arc::new(AtomicUsize::new(0));
                cx.region(async |scope| {
                    for i in 0..50 {
                        let done = Arc::clone(&done);
                        scope.spawn(async move |cx: Cx| {
                            let (read, _write) = std::io::pipe().unwrap();
                            let fd = AsyncFd::with_interest(&cx, read, Interest::READABLE);
                            let fd = fd.unwrap();
                            match i % 3 {
                                // Waits until the region is cancelled.
                                0 => drop(fd.readable(&cx).await),
                                1 => drop(fd.into_inner()),
                                _ => {
                                    let mut wait = Box::pin(fd.readable(&cx));
                                    std::future::poll_fn(|task| {
                                        assert!(wait.as_mut().poll(task).is_pending());
                                        Poll::Ready(())
                                    })
                                    .await;
                                }
                            }
                            done.fetch_add(1, Ordering::SeqCst);
                        });
                    }
                    // A third of them waits.
                    while done.load(Ordering::SeqCst) < 33 || registered() != 17 {
                        scope.yield_now().await.unwrap();
                    }
                    scope.cancel("enough");
                })
                .await
                .unwrap();
                assert_eq!(done.load(Ordering::SeqCst), 50);
                assert_eq!(registered(), 0, "round {round}: before the region closed");
            }
        })
        .unwrap();
    assert_eq!(registered(), 0);
}
