//! Priority inheritance: a task that was asked to cancel waits for one in the
//! lowest lane, while tasks in the middle lane never stop running.
//!
//! What is counted is how often those in the middle ran while it waited. The
//! lanes are strict, so without inheritance they run eight times for each time
//! the holder does.

use asupersync::channel::{mpsc, rpc};
use asupersync::lab::Pick;
use asupersync::sync::{Mutex, Pool, RwLock, Semaphore};
use asupersync::{
    Budget, CancelKind, Cx, LabConfig, LabRuntime, RegionOptions, Scope, TaskHandle, Time,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Times the holder lets others run while it holds.
const CRITICAL: usize = 16;

/// How often the middle lane may run meanwhile: after eight tasks of the cancel
/// lane comes one of a lower; and a few until the first wakes are served.
const BOUND: usize = CRITICAL / 8 + 4;

/// How often it runs at least when the holder borrows nothing.
const INVERTED: usize = 4 * CRITICAL;

/// What all tasks of a run see.
#[derive(Default)]
struct Course {
    /// The holder has what the other will wait for.
    held: AtomicBool,
    /// The urgent task runs; one that never did would be skipped.
    begun: AtomicBool,
    /// The urgent task is about to wait.
    waits: AtomicBool,
    /// The middle lane may stop.
    over: AtomicBool,
    /// How often the middle lane ran.
    middle: AtomicUsize,
    mutex: Mutex<()>,
    inner: Mutex<()>,
    lock: RwLock<()>,
}

impl Course {
    fn middle(&self) -> usize {
        self.middle.load(Ordering::Relaxed)
    }

    /// The holder has it: waits for the other to come, then takes its time.
    async fn critical(&self, cx: &Cx) {
        self.held.store(true, Ordering::Relaxed);
        until(cx, &self.waits).await;
        busy(cx).await;
    }
}

async fn until(cx: &Cx, flag: &AtomicBool) {
    while !flag.load(Ordering::Relaxed) {
        cx.yield_now().await.unwrap();
    }
}

async fn busy(cx: &Cx) {
    for _ in 0..CRITICAL {
        cx.yield_now().await.unwrap();
    }
}

fn hour() -> Time {
    Time::ZERO + Duration::from_secs(3600)
}

/// Three tasks with a deadline that run until the course is over.
fn flood(scope: &Scope, course: &Arc<Course>) {
    let course = course.clone();
    scope.spawn(async move |cx: Cx| {
        let options = RegionOptions {
            budget: Budget::new().with_deadline(hour()),
            ..RegionOptions::default()
        };
        let ended = cx.region_report(options, async |scope| {
            for _ in 0..3 {
                let course = course.clone();
                scope.spawn(async move |cx: Cx| {
                    while !course.over.load(Ordering::Relaxed) {
                        course.middle.fetch_add(1, Ordering::Relaxed);
                        cx.yield_now().await.unwrap();
                    }
                });
            }
        });
        assert!(ended.await.is_ok());
    });
}

/// Runs `program` among the flood under strict lanes. What it returns is how
/// often the middle lane ran while the urgent task waited.
fn measure(program: impl AsyncFn(&Scope, &Arc<Course>) -> usize) -> Vec<usize> {
    let run = |seed| {
        let config = LabConfig::default().seed(seed).pick(Pick::Lanes);
        let mut counted = None;
        LabRuntime::new(config).run(async |scope: Scope| {
            let course = Arc::new(Course::default());
            flood(&scope, &course);
            counted = Some(program(&scope, &course).await);
            course.over.store(true, Ordering::Relaxed);
        });
        counted.expect("the program has ended")
    };
    (0..20).map(run).collect()
}

fn bounded(counted: &[usize], bound: usize) {
    assert!(counted.iter().all(|n| *n <= bound), "{counted:?}");
}

/// The urgent task: asked to cancel, it waits while it cleans up.
macro_rules! urgent {
    ($scope:expr, $course:expr, |$cx:ident| $wait:expr) => {{
        let course = $course.clone();
        let task: TaskHandle<usize> = $scope.spawn(async move |cx: Cx| {
            course.begun.store(true, Ordering::Relaxed);
            cx.cancelled().await;
            let $cx = cx.cleanup();
            course.waits.store(true, Ordering::Relaxed);
            let before = course.middle();
            let got = $wait;
            let after = course.middle();
            let _until_counted = got;
            after - before
        });
        until($scope, &$course.held).await;
        until($scope, &$course.begun).await;
        task.cancel(CancelKind::User);
        task.await.into_result().unwrap()
    }};
}

#[test]
fn the_holder_of_a_mutex_borrows_the_urgency_of_its_waiter() {
    let counted = measure(async |scope, course| {
        let (low, mutex) = (course.clone(), course.clone());
        scope.spawn(async move |cx: Cx| {
            let _guard = low.mutex.lock(&cx).await.unwrap();
            low.critical(&cx).await;
        });
        urgent!(scope, course, |cx| mutex.mutex.lock(cx).await.unwrap())
    });
    bounded(&counted, BOUND);
}

#[test]
fn without_anybody_urgent_there_is_nothing_to_borrow() {
    // The same program, but the waiter was not asked to cancel: the measure
    // itself, and the proof that inheritance makes the difference.
    let counted = measure(async |scope, course| {
        let (low, other) = (course.clone(), course.clone());
        scope.spawn(async move |cx: Cx| {
            let _guard = low.mutex.lock(&cx).await.unwrap();
            low.critical(&cx).await;
        });
        until(scope, &course.held).await;
        let waiter = scope.spawn(async move |cx: Cx| {
            other.waits.store(true, Ordering::Relaxed);
            let before = other.middle();
            drop(other.mutex.lock(&cx).await.unwrap());
            other.middle() - before
        });
        waiter.await.into_result().unwrap()
    });
    assert!(counted.iter().all(|n| *n >= INVERTED), "{counted:?}");
}

#[test]
fn a_writer_and_a_reader_lend_alike() {
    for writes in [true, false] {
        let counted = measure(async |scope, course| {
            let (low, lock) = (course.clone(), course.clone());
            scope.spawn(async move |cx: Cx| {
                // The reader waits for a writer, the writer for a reader.
                if writes {
                    let _guard = low.lock.read(&cx).await.unwrap();
                    low.critical(&cx).await;
                } else {
                    let _guard = low.lock.write(&cx).await.unwrap();
                    low.critical(&cx).await;
                }
            });
            urgent!(scope, course, |cx| {
                if writes {
                    drop(lock.lock.write(cx).await.unwrap());
                } else {
                    drop(lock.lock.read(cx).await.unwrap());
                }
            })
        });
        bounded(&counted, BOUND);
    }
}

#[test]
fn who_took_the_last_permit_borrows() {
    let counted = measure(async |scope, course| {
        let low = course.clone();
        let semaphore = Arc::new(Semaphore::new(1));
        let permits = semaphore.clone();
        scope.spawn(async move |cx: Cx| {
            let _permit = permits.acquire(&cx, 1).await.unwrap();
            low.critical(&cx).await;
        });
        urgent!(scope, course, |cx| semaphore
            .acquire_owned(cx, 1)
            .await
            .unwrap())
    });
    bounded(&counted, BOUND);
}

#[test]
fn who_merges_permits_goes_on_borrowing() {
    let counted = measure(async |scope, course| {
        let semaphore = Arc::new(Semaphore::new(2));
        let (s, c) = (semaphore.clone(), course.clone());
        scope.spawn(async move |cx: Cx| {
            let mut one = s.acquire(&cx, 1).await.unwrap();
            let other = s.acquire(&cx, 1).await.unwrap();
            c.held.store(true, Ordering::Relaxed);
            until(&cx, &c.waits).await;
            cx.yield_now().await.unwrap();
            one.merge(other);
            busy(&cx).await;
        });
        urgent!(scope, course, |cx| semaphore.acquire(cx, 1).await.unwrap())
    });
    bounded(&counted, BOUND);
}

/// One task takes `$take` and, once somebody urgent is in line, hands it to another.
macro_rules! handed_over {
    ($shared:expr, |$it:ident, $cx:ident| $take:expr) => {{
        let counted = measure(async |scope, course| {
            let $it = $shared;
            let (hand, mut get) = mpsc::channel(1);
            let (theirs, c) = ($it.clone(), course.clone());
            scope.spawn(async move |cx: Cx| {
                let ($it, $cx) = (theirs, &cx);
                let taken = $take;
                c.held.store(true, Ordering::Relaxed);
                until(&cx, &c.waits).await;
                cx.yield_now().await.unwrap();
                hand.send(&cx, taken).await.unwrap();
                // It is this task's until the other has taken it over.
                until(&cx, &c.over).await;
            });
            scope.spawn(async move |cx: Cx| {
                let taken = get.recv(&cx).await.unwrap().transfer(&cx);
                busy(&cx).await;
                drop(taken);
            });
            urgent!(scope, course, |$cx| $take)
        });
        // Nobody knows who will get it until it has been handed over.
        bounded(&counted, 2 * BOUND);
    }};
}

#[test]
fn whoever_takes_something_over_borrows() {
    handed_over!(Arc::new(Semaphore::new(1)), |semaphore, cx| semaphore
        .clone()
        .acquire_owned(cx, 1)
        .await
        .unwrap());
    handed_over!(Pool::new([1]), |pool, cx| pool.get(cx).await.unwrap());
}

#[test]
fn who_has_the_last_loan_of_a_pool_borrows() {
    let counted = measure(async |scope, course| {
        let low = course.clone();
        let pool = Pool::new([1]);
        let things = pool.clone();
        scope.spawn(async move |cx: Cx| {
            let _loan = things.get(&cx).await.unwrap();
            low.critical(&cx).await;
        });
        urgent!(scope, course, |cx| pool.get(cx).await.unwrap())
    });
    bounded(&counted, BOUND);
}

#[test]
fn who_is_joined_borrows() {
    let counted = measure(async |scope, course| {
        let low = course.clone();
        let joined = scope.spawn(async move |cx: Cx| low.critical(&cx).await);
        urgent!(scope, course, |_cx| joined.await)
    });
    bounded(&counted, BOUND);
}

#[test]
fn who_receives_from_a_full_channel_borrows() {
    for reserves in [false, true] {
        let counted = measure(async |scope, course| {
            let low = course.clone();
            let (tx, mut rx) = mpsc::channel(1);
            tx.try_send(1).unwrap();
            let full = tx.clone();
            scope.spawn(async move |cx: Cx| {
                rx.recv(&cx).await.unwrap();
                full.try_send(2).unwrap();
                low.critical(&cx).await;
                for _ in 0..2 {
                    rx.recv(&cx).await.unwrap();
                }
            });
            urgent!(scope, course, |cx| {
                if reserves {
                    tx.reserve(cx).await.unwrap().send(3).unwrap();
                } else {
                    tx.send(cx, 3).await.unwrap();
                }
            })
        });
        bounded(&counted, BOUND);
    }
}

#[test]
fn who_owes_an_answer_borrows() {
    let counted = measure(async |scope, course| {
        let low = course.clone();
        let (client, mut server) = rpc::rpc::<u8, u8>(1);
        scope.spawn(async move |cx: Cx| {
            let (first, reply) = server.recv(&cx).await.unwrap();
            reply.send(first).unwrap();
            low.held.store(true, Ordering::Relaxed);
            until(&cx, &low.waits).await;
            let (second, reply) = server.recv(&cx).await.unwrap();
            busy(&cx).await;
            reply.send(second).unwrap();
        });
        assert_eq!(client.call(scope, 1).await, Ok(1));
        urgent!(scope, course, |cx| client.call(cx, 2).await.unwrap())
    });
    bounded(&counted, BOUND);
}

#[test]
fn a_loan_through_a_channel_ends_when_the_sender_leaves() {
    let counted = measure(async |scope, course| {
        let low = course.clone();
        let left = Arc::new(AtomicBool::new(false));
        let leaves = left.clone();
        let (tx, mut rx) = mpsc::channel(1);
        tx.try_send(1).unwrap();
        let full = tx.clone();
        let receiver = scope.spawn(async move |cx: Cx| {
            rx.recv(&cx).await.unwrap();
            full.try_send(2).unwrap();
            low.held.store(true, Ordering::Relaxed);
            until(&cx, &left).await;
            afterwards(&cx, &low).await
        });
        urgent!(scope, course, |cx| {
            let mut send = tx.send(cx, 3);
            assert!(futures::poll!(&mut send).is_pending());
            drop(send);
            leaves.store(true, Ordering::Relaxed);
        });
        receiver.await.into_result().unwrap()
    });
    assert!(counted.iter().all(|n| *n >= INVERTED), "{counted:?}");
}

#[test]
fn urgency_travels_along_a_chain_of_holders() {
    let counted = measure(async |scope, course| {
        let (low, middle, outer) = (course.clone(), course.clone(), course.clone());
        let holds = Arc::new(AtomicBool::new(false));
        let inner_held = holds.clone();
        scope.spawn(async move |cx: Cx| {
            let _inner = low.inner.lock(&cx).await.unwrap();
            inner_held.store(true, Ordering::Relaxed);
            until(&cx, &low.waits).await;
            busy(&cx).await;
        });
        until(scope, &holds).await;
        scope.spawn(async move |cx: Cx| {
            let _outer = middle.mutex.lock(&cx).await.unwrap();
            middle.held.store(true, Ordering::Relaxed);
            let _inner = middle.inner.lock(&cx).await.unwrap();
        });
        urgent!(scope, course, |cx| outer.mutex.lock(cx).await.unwrap())
    });
    bounded(&counted, BOUND);
}

#[test]
fn whoever_stands_before_an_urgent_waiter_borrows_when_its_turn_comes() {
    let counted = measure(async |scope, course| {
        let (low, last) = (course.clone(), course.clone());
        let holds = Arc::new(AtomicBool::new(false));
        let first_holds = holds.clone();
        scope.spawn(async move |cx: Cx| {
            let _guard = low.mutex.lock(&cx).await.unwrap();
            first_holds.store(true, Ordering::Relaxed);
            until(&cx, &low.waits).await;
        });
        until(scope, &holds).await;
        for _ in 0..CRITICAL {
            let next = course.clone();
            scope.spawn(async move |cx: Cx| drop(next.mutex.lock(&cx).await.unwrap()));
        }
        while course.mutex.statistics().waiting < CRITICAL {
            scope.yield_now().await.unwrap();
        }
        course.held.store(true, Ordering::Relaxed);
        urgent!(scope, course, |cx| last.mutex.lock(cx).await.unwrap())
    });
    bounded(&counted, BOUND);
}

/// What the holder does once it has let go, and how often the middle lane ran meanwhile.
async fn afterwards(cx: &Cx, course: &Course) -> usize {
    let before = course.middle();
    busy(cx).await;
    course.middle() - before
}

#[test]
fn a_loan_ends_when_the_holder_lets_go() {
    let counted = measure(async |scope, course| {
        let (low, mutex) = (course.clone(), course.clone());
        let holder = scope.spawn(async move |cx: Cx| {
            let guard = low.mutex.lock(&cx).await.unwrap();
            low.critical(&cx).await;
            drop(guard);
            afterwards(&cx, &low).await
        });
        let waited = urgent!(scope, course, |cx| mutex.mutex.lock(cx).await.unwrap());
        bounded(&[waited], BOUND);
        holder.await.into_result().unwrap()
    });
    assert!(counted.iter().all(|n| *n >= INVERTED), "{counted:?}");
}

#[test]
fn a_loan_ends_when_the_urgent_waiter_leaves() {
    let counted = measure(async |scope, course| {
        let (low, mutex) = (course.clone(), course.clone());
        let left = Arc::new(AtomicBool::new(false));
        let leaves = left.clone();
        let holder = scope.spawn(async move |cx: Cx| {
            let _guard = low.mutex.lock(&cx).await.unwrap();
            low.held.store(true, Ordering::Relaxed);
            until(&cx, &left).await;
            afterwards(&cx, &low).await
        });
        urgent!(scope, course, |cx| {
            let mut lock = mutex.mutex.lock(cx);
            assert!(futures::poll!(&mut lock).is_pending());
            drop(lock);
            leaves.store(true, Ordering::Relaxed);
        });
        holder.await.into_result().unwrap()
    });
    assert!(counted.iter().all(|n| *n >= INVERTED), "{counted:?}");
}

#[test]
fn urgency_in_a_cycle_of_holders_comes_to_rest() {
    // Two tasks that wait for each other's lock: a deadlock, which the cleanup
    // budget ends. Urgency must not run round in circles until then.
    let lab = LabRuntime::new(LabConfig::default().pick(Pick::Lanes).max_steps(2_000));
    lab.run(async |scope: Scope| {
        let course = Arc::new(Course::default());
        let (a, b) = (course.clone(), course.clone());
        let ready = Arc::new(asupersync::sync::Barrier::new(2));
        let (ready_a, ready_b) = (ready.clone(), ready);
        let one = scope.spawn(async move |cx: Cx| {
            let _held = a.mutex.lock(&cx).await.unwrap();
            ready_a.wait(&cx).await.unwrap();
            let _never = a.inner.lock(cx.cleanup()).await.unwrap();
        });
        let other = scope.spawn(async move |cx: Cx| {
            let _held = b.inner.lock(&cx).await.unwrap();
            ready_b.wait(&cx).await.unwrap();
            let _never = b.mutex.lock(cx.cleanup()).await.unwrap();
        });
        while course.mutex.statistics().waiting + course.inner.statistics().waiting < 2 {
            scope.yield_now().await.unwrap();
        }
        one.cancel(CancelKind::User);
        assert!(
            one.await.is_cancelled(),
            "dropped when its budget was spent"
        );
        assert!(other.await.is_ok(), "and its lock went to the other");
    });
}
