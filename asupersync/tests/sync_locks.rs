//! Locks through real tasks, in every world, and their futures polled by hand;
//! and what every primitive keeps to, whoever is lost.

use asupersync::sync::{
    Barrier, LockError, MappedMutexGuard, MappedReadGuard, MappedWriteGuard, Mutex, MutexGuard,
    Notify, OnceCell, OwnedMappedMutexGuard, OwnedMappedReadGuard, OwnedMappedWriteGuard,
    OwnedMutexGuard, OwnedReadGuard, OwnedWriteGuard, ReadGuard, RwLock, Semaphore, TryLockError,
    WriteGuard,
};
use asupersync::{CancelKind, Cancelled, Cx, Scope};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};

mod by_hand;
mod worlds;
use by_hand::{Count, is_pending, poll};
use worlds::{everywhere, in_lab, until, whoever_is_lost};

const TASKS: usize = 5;
const ROUNDS: usize = 12;

/// What is shared, and who is inside: panics if a writer is not alone.
#[derive(Default)]
struct Inside {
    readers: AtomicUsize,
    writers: AtomicUsize,
}

impl Inside {
    fn enter_writer(&self) {
        let writers = self.writers.fetch_add(1, Ordering::SeqCst);
        let readers = self.readers.load(Ordering::SeqCst);
        assert_eq!((writers, readers), (0, 0), "a writer is alone");
    }

    fn leave_writer(&self) {
        self.writers.fetch_sub(1, Ordering::SeqCst);
    }

    fn enter_reader(&self) {
        self.readers.fetch_add(1, Ordering::SeqCst);
        let writers = self.writers.load(Ordering::SeqCst);
        assert_eq!(writers, 0, "no writer while somebody reads");
    }

    fn leave_reader(&self) {
        self.readers.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn a_mutex_has_one_holder() {
    everywhere(async |cx: Scope| {
        let shared = Arc::new(Mutex::new((0_usize, Inside::default())));
        cx.region(async |scope| {
            for name in 0..TASKS {
                let shared = shared.clone();
                scope.spawn(async move |cx: Cx| {
                    for round in 0..ROUNDS {
                        if (name + round) % 3 == 0 {
                            let mut guard = shared.clone().lock_owned(&cx).await.unwrap();
                            guard.1.enter_writer();
                            cx.yield_now().await.unwrap();
                            guard.1.leave_writer();
                            guard.0 += 1;
                        } else {
                            let mut guard = shared.lock(&cx).await.unwrap();
                            guard.1.enter_writer();
                            cx.yield_now().await.unwrap();
                            guard.1.leave_writer();
                            guard.0 += 1;
                        }
                    }
                });
            }
        })
        .await
        .unwrap();
        let statistics = shared.statistics();
        assert!(!statistics.locked && statistics.waiting == 0);
        assert!(statistics.longest < TASKS);
        assert_eq!(shared.lock(&cx).await.unwrap().0, TASKS * ROUNDS);
    });
}

#[test]
fn a_rwlock_has_one_writer_or_many_readers() {
    everywhere(async |cx: Scope| {
        let shared = Arc::new(RwLock::new(0_usize));
        let inside = Arc::new(Inside::default());
        cx.region(async |scope| {
            for name in 0..TASKS {
                let (shared, inside) = (shared.clone(), inside.clone());
                scope.spawn(async move |cx: Cx| {
                    for round in 0..ROUNDS {
                        match (name + round) % 4 {
                            0 => {
                                let mut guard = shared.write(&cx).await.unwrap();
                                inside.enter_writer();
                                cx.yield_now().await.unwrap();
                                *guard += 1;
                                inside.leave_writer();
                            }
                            1 => {
                                let mut guard = shared.clone().write_owned(&cx).await.unwrap();
                                inside.enter_writer();
                                *guard += 1;
                                let written = *guard;
                                inside.leave_writer();
                                let guard = guard.downgrade();
                                inside.enter_reader();
                                cx.yield_now().await.unwrap();
                                assert_eq!(*guard, written, "nobody wrote in between");
                                inside.leave_reader();
                            }
                            2 => {
                                let guard = shared.clone().read_owned(&cx).await.unwrap();
                                inside.enter_reader();
                                let before = *guard;
                                cx.yield_now().await.unwrap();
                                assert_eq!(*guard, before);
                                inside.leave_reader();
                            }
                            _ => {
                                let _guard = shared.read(&cx).await.unwrap();
                                inside.enter_reader();
                                cx.yield_now().await.unwrap();
                                inside.leave_reader();
                            }
                        }
                    }
                });
            }
        })
        .await
        .unwrap();
        let statistics = shared.statistics();
        assert_eq!((statistics.readers, statistics.writer), (0, false));
        let writes = (0..TASKS).flat_map(|name| (0..ROUNDS).map(move |round| (name + round) % 4));
        let expected = writes.filter(|kind| *kind < 2).count();
        assert_eq!(*shared.read(&cx).await.unwrap(), expected);
    });
}

/// Four tasks wait in line; one of them is cancelled, at each place in turn. The
/// others are served in order, and nothing is left behind.
macro_rules! cancelled_in_line {
    ($name:ident, $make:expr, hold: $hold:expr, wait: |$cx:ident, $shared:ident| $wait:expr) => {
        #[test]
        fn $name() {
            const WAITERS: usize = 4;
            everywhere(async |cx: Scope| {
                for victim in 0..WAITERS {
                    let shared = Arc::new($make);
                    let held = $hold(&shared);
                    let served = Arc::new(std::sync::Mutex::new(Vec::new()));
                    let mut tasks = Vec::new();
                    for name in 0..WAITERS {
                        let ($shared, served) = (shared.clone(), served.clone());
                        tasks.push(cx.spawn(async move |cx: Cx| {
                            let $cx = &cx;
                            let got = $wait.await;
                            if let Ok(got) = &got {
                                served.lock().unwrap().push(name);
                                cx.yield_now().await.unwrap();
                                let _ = got;
                            }
                            got.is_ok()
                        }));
                        until(&cx, || shared.statistics().waiting == name + 1).await;
                    }
                    tasks[victim].cancel(CancelKind::User);
                    until(&cx, || shared.statistics().waiting == WAITERS - 1).await;
                    drop(held);
                    for (name, task) in tasks.into_iter().enumerate() {
                        assert_eq!(task.await.into_result(), Ok(name != victim));
                    }
                    let expected: Vec<_> = (0..WAITERS).filter(|n| *n != victim).collect();
                    assert_eq!(
                        *served.lock().unwrap(),
                        expected,
                        "first come, first served"
                    );
                    let after = shared.statistics();
                    assert_eq!((after.waiting, after.longest), (0, WAITERS));
                    drop($hold(&shared)); // would panic if something was not given back
                }
            });
        }
    };
}

cancelled_in_line!(
    a_mutex_hands_on_from_any_place_in_line,
    Mutex::new(()),
    hold: |m: &Arc<Mutex<()>>| m.clone().try_lock_owned().unwrap(),
    wait: |cx, shared| shared.lock(cx)
);

cancelled_in_line!(
    an_owned_lock_hands_on_from_any_place_in_line,
    Mutex::new(()),
    hold: |m: &Arc<Mutex<()>>| m.clone().try_lock_owned().unwrap(),
    wait: |cx, shared| shared.lock_owned(cx)
);

cancelled_in_line!(
    a_writer_hands_on_from_any_place_in_line,
    RwLock::new(()),
    hold: |l: &Arc<RwLock<()>>| {
        // A guard that is neither borrowed nor needs a context: of a leaked handle.
        let lock: &'static RwLock<()> = Box::leak(Box::new(l.clone()));
        lock.try_write().unwrap()
    },
    wait: |cx, shared| shared.write(cx)
);

#[test]
fn readers_and_writers_hand_on_from_any_place_in_line() {
    // Two readers, a writer, two readers: each leaves in turn, and those next to
    // each other, also those that the leaver stood between, go together.
    const READS: [bool; 5] = [true, true, false, true, true];
    everywhere(async |cx: Scope| {
        for victim in 0..READS.len() {
            let lock = Arc::new(RwLock::new(()));
            let inside = Arc::new(Inside::default());
            let held = lock.try_write().unwrap();
            let mut tasks = Vec::new();
            for (name, reads) in READS.into_iter().enumerate() {
                let (shared, inside) = (lock.clone(), inside.clone());
                tasks.push(cx.spawn(async move |cx: Cx| {
                    if reads {
                        let _guard = shared.read(&cx).await?;
                        inside.enter_reader();
                        cx.yield_now().await?;
                        inside.leave_reader();
                    } else {
                        let _guard = shared.write(&cx).await?;
                        inside.enter_writer();
                        cx.yield_now().await?;
                        inside.leave_writer();
                    }
                    Ok::<(), Cancelled>(())
                }));
                until(&cx, || lock.statistics().waiting == name + 1).await;
            }
            tasks[victim].cancel(CancelKind::User);
            until(&cx, || lock.statistics().waiting == READS.len() - 1).await;
            drop(held);
            for (name, task) in tasks.into_iter().enumerate() {
                let ended = task.await.into_result().unwrap();
                assert_eq!(ended.is_ok(), name != victim);
            }
            let now = lock.statistics();
            assert_eq!((now.readers, now.writer, now.waiting), (0, false, 0));
        }
    });
}

#[test]
fn a_writer_waits_for_those_before_it_and_no_others() {
    const WRITES: usize = 8;
    // Readers come and go all the time; in the lab alone is joining the line one
    // step with what comes before it.
    in_lab(async |cx: Scope| {
        let lock = Arc::new(RwLock::new(()));
        let entered = Arc::new(AtomicUsize::new(0));
        let done = Arc::new(AtomicUsize::new(0));
        for _ in 0..4 {
            let (lock, entered, done) = (lock.clone(), entered.clone(), done.clone());
            cx.spawn(async move |cx: Cx| {
                while done.load(Ordering::Relaxed) == 0 {
                    let _guard = lock.read(&cx).await.unwrap();
                    entered.fetch_add(1, Ordering::Relaxed);
                    cx.yield_now().await.unwrap();
                }
            });
        }
        until(&cx, || lock.statistics().readers > 1).await;
        for _ in 0..WRITES {
            let before = entered.load(Ordering::Relaxed);
            drop(lock.write(&cx).await.unwrap());
            let passed = entered.load(Ordering::Relaxed) - before;
            // Each of the four is let in at most once: it was in line already, or
            // had been granted and had not noticed.
            assert!(passed <= 4, "{passed} readers went before the writer");
            cx.yield_now().await.unwrap();
        }
        done.store(1, Ordering::Relaxed);
    });
}

#[test]
fn a_wait_dropped_in_any_state_hands_on_and_wakes_exactly() {
    in_lab(async |cx: Scope| {
        let mutex = Mutex::new(0);
        drop(mutex.lock(&cx));
        let held = mutex.try_lock().unwrap();
        let (a, wake_a) = Count::new();
        let (b, wake_b) = Count::new();
        let mut first = mutex.lock(&cx);
        let mut second = mutex.lock(&cx);
        assert!(is_pending(&mut first, &wake_a) && is_pending(&mut second, &wake_b));
        drop(held);
        assert_eq!((a.get(), b.get()), (1, 0), "only the first is woken");
        assert_eq!(
            mutex.try_lock().unwrap_err(),
            TryLockError::Locked,
            "it is granted"
        );
        drop(first);
        assert_eq!((a.get(), b.get()), (1, 1), "its grant goes to the next");
        let Poll::Ready(Ok(mut guard)) = poll(&mut second, &wake_b) else {
            panic!("the second was granted");
        };
        *guard += 1;
        drop(guard);
        assert_eq!(*mutex.try_lock().unwrap(), 1);

        // The first in line wants more than is there; the one behind does not.
        let semaphore = Semaphore::new(1);
        let (count, wake) = Count::new();
        let mut big = semaphore.acquire(&cx, 2);
        let mut small = semaphore.acquire(&cx, 1);
        assert!(is_pending(&mut big, &Count::new().1) && is_pending(&mut small, &wake));
        drop(big);
        assert_eq!(count.get(), 1, "the way is free");
        assert!(matches!(poll(&mut small, &wake), Poll::Ready(Ok(_))));
    });
}

#[test]
fn a_waiter_cancelled_after_its_grant_passes_it_on() {
    // Only where tasks do not run in parallel is there a moment between the
    // grant and the first waiter's noticing it.
    in_lab(async |cx: Scope| {
        let mutex = Arc::new(Mutex::new(()));
        let held = mutex.try_lock().unwrap();
        let (first, second) = (mutex.clone(), mutex.clone());
        let first = cx.spawn(async move |cx: Cx| first.lock(&cx).await.map(drop));
        until(&cx, || mutex.statistics().waiting == 1).await;
        let second = cx.spawn(async move |cx: Cx| second.lock(&cx).await.map(drop));
        until(&cx, || mutex.statistics().waiting == 2).await;
        drop(held);
        assert_eq!(mutex.statistics().waiting, 1, "the first was granted");
        first.cancel(CancelKind::User);
        second.await.into_result().unwrap().unwrap();
        let Ok(Err(LockError::Cancelled(c))) = first.await.into_result() else {
            panic!("the first was cancelled");
        };
        assert_eq!(c.reason().kind, CancelKind::User);
        assert!(!mutex.statistics().locked);
    });
}

#[test]
fn readers_do_not_starve_a_writer_nor_writers_a_reader() {
    in_lab(async |cx: Scope| {
        let lock = RwLock::new(());
        let wake = Waker::noop();
        let reading = lock.try_read().unwrap();
        let mut writer = lock.write(&cx);
        assert!(is_pending(&mut writer, wake));
        // Bound: whoever comes after the writer waits for it, and those that are
        // next to each other behind it go together.
        let mut readers: Vec<_> = (0..3).map(|_| lock.read(&cx)).collect();
        assert!(readers.iter_mut().all(|r| is_pending(r, wake)));
        assert!(
            lock.try_read().is_err(),
            "a reader does not pass the writer"
        );
        let mut last = lock.write(&cx);
        assert!(is_pending(&mut last, wake));
        drop(reading);
        let Poll::Ready(Ok(written)) = poll(&mut writer, wake) else {
            panic!("the writer's turn");
        };
        assert!(readers.iter_mut().all(|r| is_pending(r, wake)));
        drop(written);
        let guards: Vec<_> = readers.iter_mut().map(|r| poll(r, wake)).collect();
        assert!(guards.iter().all(|g| matches!(g, Poll::Ready(Ok(_)))));
        assert_eq!(lock.statistics().readers, 3);
        assert!(
            is_pending(&mut last, wake),
            "not before all readers are gone"
        );
        drop(guards);
        assert!(matches!(poll(&mut last, wake), Poll::Ready(Ok(_))));

        // A writer that goes away lets the readers behind it in.
        let reading = lock.try_read().unwrap();
        let mut writer = lock.write(&cx);
        let mut reader = lock.read(&cx);
        assert!(is_pending(&mut writer, wake) && is_pending(&mut reader, wake));
        drop(writer);
        assert!(matches!(poll(&mut reader, wake), Poll::Ready(Ok(_))));
        drop(reading);
    });
}

#[test]
fn downgrading_lets_readers_in_and_keeps_writers_out() {
    in_lab(async |cx: Scope| {
        let lock = RwLock::new(0);
        let wake = Waker::noop();
        let mut guard = lock.try_write().unwrap();
        let mut reader = lock.read(&cx);
        let mut writer = lock.write(&cx);
        assert!(is_pending(&mut reader, wake) && is_pending(&mut writer, wake));
        *guard = 1;
        let guard = guard.downgrade();
        let Poll::Ready(Ok(read)) = poll(&mut reader, wake) else {
            panic!("a reader next in line is let in");
        };
        assert_eq!((*guard, *read), (1, 1));
        assert!(is_pending(&mut writer, wake));
        drop((guard, read));
        assert!(matches!(poll(&mut writer, wake), Poll::Ready(Ok(_))));
    });
}

#[test]
fn the_line_is_a_bound_on_starvation() {
    const ROUNDS: usize = 30;
    // In the lab alone is joining the line one step with what comes before it.
    in_lab(async |cx: Scope| {
        let mutex = Arc::new(Mutex::new([0_usize; TASKS]));
        let started = Arc::new(Barrier::new(TASKS));
        cx.region(async |scope| {
            for name in 0..TASKS {
                let (mutex, started) = (mutex.clone(), started.clone());
                scope.spawn(async move |cx: Cx| {
                    started.wait(&cx).await.unwrap();
                    for _ in 0..ROUNDS {
                        let before = mutex.lock(&cx).await.unwrap();
                        let seen = *before;
                        drop(before);
                        let mut after = mutex.lock(&cx).await.unwrap();
                        // Who was in line when this one joined it goes first, once.
                        let passed = after.iter().zip(seen).map(|(now, then)| now - then);
                        let most = passed.max().unwrap();
                        assert!(most <= 1, "{most} turns of another");
                        after[name] += 1;
                        cx.yield_now().await.unwrap();
                    }
                });
            }
        })
        .await
        .unwrap();
        assert_eq!(*mutex.lock(&cx).await.unwrap(), [ROUNDS; TASKS]);
    });
}

#[test]
fn a_panic_under_a_guard_releases_the_lock_and_is_remembered() {
    everywhere(async |cx: Scope| {
        let forgiving = Arc::new(Mutex::new(1));
        let strict = Arc::new(Mutex::poisoning(1));
        let rwlock = Arc::new(RwLock::new(1));
        let semaphore = Arc::new(Semaphore::new(1));
        let shared = (
            forgiving.clone(),
            strict.clone(),
            rwlock.clone(),
            semaphore.clone(),
        );
        let opened = cx
            .region(async |scope| {
                let task = scope.spawn(async move |cx: Cx| {
                    let (forgiving, strict, rwlock, semaphore) = shared;
                    let _a = forgiving.lock(&cx).await.unwrap();
                    let _b = strict.lock(&cx).await.unwrap();
                    let _c = rwlock.write(&cx).await.unwrap();
                    let _d = semaphore.acquire(&cx, 1).await.unwrap();
                    // Past the panic hook: a planted panic is no news.
                    resume_unwind(Box::new("planted".to_owned()));
                });
                task.await.is_panicked()
            })
            .await;
        assert!(opened.is_err(), "the region's task failed");

        assert!(forgiving.was_panicked() && rwlock.was_panicked());
        assert_eq!(*forgiving.lock(&cx).await.unwrap(), 1);
        assert_eq!(*rwlock.read(&cx).await.unwrap(), 1);
        assert_eq!(semaphore.available_permits(), 1);
        assert_eq!(strict.lock(&cx).await.unwrap_err(), LockError::Poisoned);
        assert_eq!(strict.try_lock().unwrap_err(), TryLockError::Poisoned);
        assert!(!strict.statistics().locked, "a refusal holds nothing");
        strict.clear_panicked();
        assert_eq!(*strict.lock(&cx).await.unwrap(), 1);
    });
}

#[test]
fn a_lock_taken_while_unwinding_is_not_poisoned() {
    struct Locks(Arc<Mutex<u32>>);
    impl Drop for Locks {
        fn drop(&mut self) {
            *self.0.try_lock().unwrap() += 1;
        }
    }
    let mutex = Arc::new(Mutex::poisoning(0));
    let locks = Locks(mutex.clone());
    let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let _locks = locks;
        resume_unwind(Box::new("planted"));
    }));
    assert!(panicked.is_err());
    assert_eq!(*mutex.try_lock().unwrap(), 1);
}

#[test]
fn a_guard_of_a_part_holds_the_whole() {
    everywhere(async |cx: Scope| {
        let mutex = Mutex::new((1, String::from("a")));
        let guard = mutex.lock(&cx).await.unwrap();
        let mut name = MutexGuard::map(guard, |pair| &mut pair.1);
        name.push('b');
        assert_eq!(*name, "ab");
        assert_eq!(mutex.try_lock().unwrap_err(), TryLockError::Locked);
        drop(name);
        assert_eq!(*mutex.lock(&cx).await.unwrap(), (1, "ab".to_owned()));
        assert_eq!(format!("{mutex:?}"), "Mutex { value: (1, \"ab\") }");

        let lock = RwLock::new((1, String::from("a")));
        let mut name = WriteGuard::map(lock.write(&cx).await.unwrap(), |pair| &mut pair.1);
        name.push('b');
        assert!(lock.try_read().is_err(), "the whole is held");
        drop(name);
        let name = ReadGuard::map(lock.read(&cx).await.unwrap(), |pair| &pair.1);
        // Kept across an await, and sent with its task.
        cx.yield_now().await.unwrap();
        assert_eq!((&**name, lock.statistics().readers), ("ab", 1));
        assert!(lock.try_read().is_ok() && lock.try_write().is_err());
        drop(name);
        assert_eq!(lock.statistics().readers, 0);

        // A panic while choosing the part unlocks, and is remembered of a writer.
        let planted = AssertUnwindSafe(|| {
            let guard = lock.try_write().unwrap();
            drop(WriteGuard::map(guard, |_| -> &mut u32 {
                resume_unwind(Box::new("planted"))
            }));
        });
        assert!(std::panic::catch_unwind(planted).is_err());
        assert!(lock.was_panicked() && lock.try_write().is_ok());
        let planted = AssertUnwindSafe(|| {
            let guard = lock.try_write().unwrap();
            let _part = WriteGuard::map(guard, |pair| &mut pair.0);
            lock.clear_panicked();
            resume_unwind(Box::new("planted"));
        });
        assert!(std::panic::catch_unwind(planted).is_err());
        assert!(lock.was_panicked() && lock.try_write().is_ok());
    });
}

/// A value whose parts count how often the whole is dropped.
#[derive(Debug)]
struct Whole {
    name: String,
    number: u32,
    dropped: Arc<AtomicUsize>,
}

impl Drop for Whole {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// Runs `body` with a value in `make`'s lock; it must leave the lock free, and be
/// the last but the test to have it.
fn with_whole<L>(make: impl Fn(Whole) -> L, free: impl Fn(&L) -> bool, body: impl Fn(&Arc<L>)) {
    let dropped = Arc::new(AtomicUsize::new(0));
    let lock = Arc::new(make(Whole {
        name: "a".to_owned(),
        number: 1,
        dropped: dropped.clone(),
    }));
    body(&lock);
    assert!(free(&lock), "given up");
    assert_eq!(
        (Arc::strong_count(&lock), dropped.load(Ordering::SeqCst)),
        (1, 0)
    );
    drop(lock);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

fn with_mutex(body: impl Fn(&Arc<Mutex<Whole>>)) {
    let free = |mutex: &Mutex<Whole>| !mutex.statistics().locked && mutex.try_lock().is_ok();
    with_whole(Mutex::new, free, body);
}

fn with_rwlock(body: impl Fn(&Arc<RwLock<Whole>>)) {
    let free = |lock: &RwLock<Whole>| lock.statistics().readers == 0 && lock.try_write().is_ok();
    with_whole(RwLock::new, free, body);
}

/// Chooses a part by a closure that panics.
fn planted(choose: impl FnOnce()) {
    assert!(std::panic::catch_unwind(AssertUnwindSafe(choose)).is_err());
}

/// Past the panic hook: a planted panic is no news.
fn panics() -> ! {
    resume_unwind(Box::new("planted"))
}

/// What every guard that may change the value does on the way to a part of a part.
macro_rules! parts_to_change {
    ($Guard:ident, $Part:ident, $with:ident, |$lock:ident| $guard:expr) => {
        $with(|$lock| {
            let name = $Guard::map($guard, |whole| &mut whole.name);
            let mut name = $Part::map(name, |name| name.as_mut_str());
            name.make_ascii_uppercase();
            assert_eq!(
                (&*name, format!("{name} {name:?}")),
                ("A", "A \"A\"".to_owned())
            );
            drop(name);
            assert_eq!($guard.name, "A");
        });
        $with(|$lock| {
            let guard = $Guard::try_map($guard, |_| None::<&mut u32>).unwrap_err();
            let mut number = $Guard::try_map(guard, |whole| Some(&mut whole.number)).unwrap();
            *number += 1;
            let number = $Part::try_map(number, |_| None::<&mut u32>).unwrap_err();
            let number = $Part::try_map(number, |number| Some(number)).unwrap();
            assert_eq!(*number, 2);
        });
        // Each way may panic half-way, and gives up the lock once.
        $with(|$lock| {
            planted(|| drop($Guard::map($guard, |_| -> &mut u32 { panics() })));
            assert!($lock.was_panicked());
            planted(|| {
                drop($Guard::try_map($guard, |_| -> Option<&mut u32> {
                    panics()
                }))
            });
            let part = $Guard::map($guard, |whole| &mut whole.number);
            planted(|| drop($Part::map(part, |_| -> &mut u32 { panics() })));
            let part = $Guard::map($guard, |whole| &mut whole.number);
            planted(|| drop($Part::try_map(part, |_| -> Option<&mut u32> { panics() })));
            $lock.clear_panicked();
            let part = $Guard::map($guard, |whole| &mut whole.number);
            planted(|| {
                let _part = part;
                panics()
            });
            assert!($lock.was_panicked());
        });
    };
}

/// The same of those that may only look.
macro_rules! parts_to_read {
    ($Guard:ident, $Part:ident, |$lock:ident| $guard:expr) => {
        with_rwlock(|$lock| {
            let name = $Guard::map($guard, |whole| &whole.name);
            let name = $Part::map(name, |name| name.as_str());
            let other = $Guard::try_map($guard, |whole| Some(&whole.name)).unwrap();
            let other = $Part::try_map(other, |_| None::<&u32>).unwrap_err();
            let other = $Part::try_map(other, |name| Some(name.as_str())).unwrap();
            let whole = $Guard::try_map($guard, |_| None::<&u32>).unwrap_err();
            assert_eq!($lock.statistics().readers, 3);
            assert_eq!((&*name, &*other, &*whole.name), ("a", "a", "a"));
        });
        with_rwlock(|$lock| {
            planted(|| drop($Guard::map($guard, |_| -> &u32 { panics() })));
            planted(|| drop($Guard::try_map($guard, |_| -> Option<&u32> { panics() })));
            let part = $Guard::map($guard, |whole| &whole.number);
            planted(|| drop($Part::map(part, |_| -> &u32 { panics() })));
            let part = $Guard::map($guard, |whole| &whole.number);
            planted(|| drop($Part::try_map(part, |_| -> Option<&u32> { panics() })));
            assert!(!$lock.was_panicked(), "readers leave nothing half-changed");
        });
    };
}

#[test]
fn every_guard_goes_to_a_part_and_is_given_up_once() {
    parts_to_change!(MutexGuard, MappedMutexGuard, with_mutex, |m| m
        .try_lock()
        .unwrap());
    parts_to_change!(OwnedMutexGuard, OwnedMappedMutexGuard, with_mutex, |m| m
        .clone()
        .try_lock_owned()
        .unwrap());
    parts_to_change!(WriteGuard, MappedWriteGuard, with_rwlock, |l| l
        .try_write()
        .unwrap());
    parts_to_change!(OwnedWriteGuard, OwnedMappedWriteGuard, with_rwlock, |l| l
        .clone()
        .try_write_owned()
        .unwrap());
    parts_to_read!(ReadGuard, MappedReadGuard, |l| l.try_read().unwrap());
    parts_to_read!(OwnedReadGuard, OwnedMappedReadGuard, |l| l
        .clone()
        .try_read_owned()
        .unwrap());
}

/// A writer that goes on as a reader of a part.
macro_rules! downgrades {
    ($Write:ident, |$lock:ident| $guard:expr) => {
        with_rwlock(|$lock| {
            let mut guard = $guard;
            guard.number = 7;
            let guard = $Write::try_downgrade_map(guard, |_| None::<&u32>).unwrap_err();
            assert!($lock.try_read().is_err(), "it still writes");
            let number = $Write::try_downgrade_map(guard, |whole| Some(&whole.number)).unwrap();
            assert_eq!((*number, $lock.try_read().unwrap().number), (7, 7));
            assert_eq!($lock.statistics().readers, 1);
            drop(number);
            let number = $Write::downgrade_map($guard, |whole| &whole.number);
            assert!($lock.try_write().is_err() && $lock.try_read().is_ok());
            assert_eq!(*number, 7);
            drop(number);
            let mut whole = $Write::into_mapped($guard);
            whole.number = 8;
            assert!($lock.try_read().is_err());
            drop(whole);
            assert_eq!($guard.downgrade().number, 8);
            planted(|| drop($Write::downgrade_map($guard, |_| -> &u32 { panics() })));
            assert!($lock.was_panicked());
            planted(|| {
                drop($Write::try_downgrade_map($guard, |_| -> Option<&u32> {
                    panics()
                }))
            });
        });
    };
}

#[test]
fn a_writer_goes_on_as_a_reader_of_a_part() {
    downgrades!(WriteGuard, |l| l.try_write().unwrap());
    downgrades!(OwnedWriteGuard, |l| l.clone().try_write_owned().unwrap());
    everywhere(async |cx: Scope| {
        let lock = Arc::new(RwLock::new((1, 2)));
        let guard = lock.clone().write_owned(&cx).await.unwrap();
        let l = lock.clone();
        let reader = cx.spawn(async move |cx: Cx| l.read(&cx).await.unwrap().1);
        until(&cx, || lock.statistics().waiting == 1).await;
        let part = OwnedWriteGuard::downgrade_map(guard, |pair| &pair.0);
        assert_eq!(
            reader.await.into_result(),
            Ok(2),
            "the next in line is let in"
        );
        assert_eq!((*part, lock.statistics().readers), (1, 1));
    });
}

#[test]
fn a_guard_knows_its_lock_and_is_sent_and_shared() {
    fn sent_and_shared<T: Send + Sync>(guard: T) -> T {
        guard
    }
    with_mutex(|mutex| {
        let guard = sent_and_shared(mutex.try_lock().unwrap());
        let kept: &Mutex<Whole> = MutexGuard::mutex(&guard);
        drop(sent_and_shared(MutexGuard::map(guard, |whole| {
            &mut whole.name
        })));
        assert!(std::ptr::eq(kept, &**mutex));
        let guard = sent_and_shared(mutex.clone().try_lock_owned().unwrap());
        assert!(Arc::ptr_eq(OwnedMutexGuard::mutex(&guard), mutex));
        let part = sent_and_shared(OwnedMutexGuard::map(guard, |whole| &mut whole.name));
        assert!(Arc::ptr_eq(OwnedMappedMutexGuard::mutex(&part), mutex));
    });
    with_rwlock(|lock| {
        let guard = sent_and_shared(lock.try_read().unwrap());
        let kept: &RwLock<Whole> = ReadGuard::rwlock(&guard);
        drop(sent_and_shared(ReadGuard::map(guard, |whole| &whole.name)));
        assert!(std::ptr::eq(kept, &**lock));
        let guard = sent_and_shared(lock.try_write().unwrap());
        let kept: &RwLock<Whole> = WriteGuard::rwlock(&guard);
        drop(sent_and_shared(WriteGuard::map(guard, |whole| {
            &mut whole.name
        })));
        assert!(std::ptr::eq(kept, &**lock));
        let guard = sent_and_shared(lock.clone().try_read_owned().unwrap());
        assert!(Arc::ptr_eq(OwnedReadGuard::rwlock(&guard), lock));
        let part = sent_and_shared(OwnedReadGuard::map(guard, |whole| &whole.name));
        assert!(Arc::ptr_eq(OwnedMappedReadGuard::rwlock(&part), lock));
        drop(part);
        let guard = sent_and_shared(lock.clone().try_write_owned().unwrap());
        assert!(Arc::ptr_eq(OwnedWriteGuard::rwlock(&guard), lock));
        let part = sent_and_shared(OwnedWriteGuard::map(guard, |whole| &mut whole.name));
        assert!(Arc::ptr_eq(OwnedMappedWriteGuard::rwlock(&part), lock));
    });
    let (mutex, lock) = (Arc::new(Mutex::new(1)), Arc::new(RwLock::new(2)));
    let shown = format!(
        "{} {}",
        mutex.try_lock().unwrap(),
        lock.try_write().unwrap()
    );
    let owned = (
        lock.clone().try_read_owned().unwrap(),
        mutex.clone().try_lock_owned().unwrap(),
    );
    assert_eq!(
        (shown, format!("{} {}", owned.0, owned.1)),
        ("1 2".into(), "2 1".into())
    );
    // The last who has the lock drops it, after it has let go.
    let dropped = Arc::new(AtomicUsize::new(0));
    let whole = Whole {
        name: String::new(),
        number: 0,
        dropped: dropped.clone(),
    };
    let guard = Arc::new(Mutex::new(whole)).try_lock_owned().unwrap();
    let part = OwnedMutexGuard::map(guard, |whole| &mut whole.number);
    assert_eq!((*part, dropped.load(Ordering::SeqCst)), (0, 0));
    drop(part);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

/// Whoever is lost at whatever point, asked to cancel or dropped: nobody waits
/// for ever, nobody is let in beside another, and nothing is kept.
#[test]
fn no_turn_is_lost_whoever_is_cancelled_or_dropped() {
    let points = whoever_is_lost(async |cx: Scope| {
        let mutex = Arc::new(Mutex::new(Inside::default()));
        let lock = Arc::new(RwLock::new(Inside::default()));
        let semaphore = Arc::new(Semaphore::new(2));
        let cell = Arc::new(OnceCell::new());
        let pool = asupersync::sync::Pool::new([0]);
        let notify = Arc::new(Notify::new());
        let tasks: Vec<_> = (0..3)
            .map(|name| {
                let (mutex, lock, pool) = (mutex.clone(), lock.clone(), pool.clone());
                let (semaphore, cell) = (semaphore.clone(), cell.clone());
                let notify = notify.clone();
                cx.spawn(async move |cx: Cx| {
                    let inside = mutex.lock(&cx).await?;
                    inside.enter_writer();
                    let left = Leaves(|| inside.leave_writer());
                    cx.yield_now().await?;
                    drop(left);
                    drop(inside);
                    if name == 1 {
                        let inside = lock.write(&cx).await?;
                        inside.enter_writer();
                        let _left = Leaves(|| inside.leave_writer());
                        cx.yield_now().await?;
                    } else {
                        let inside = lock.read(&cx).await?;
                        inside.enter_reader();
                        let _left = Leaves(|| inside.leave_reader());
                        cx.yield_now().await?;
                    }
                    let _permit = semaphore.acquire(&cx, 1 + name % 2).await?;
                    let made = cell
                        .get_or_init(&cx, async || cx.yield_now().await.is_ok())
                        .await?;
                    let _ = made;
                    let _loan = pool.get(&cx).await?;
                    // One notification for each who gets so far, and each passes it on.
                    notify.notified(&cx).await?;
                    notify.notify_one();
                    Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
                })
            })
            .collect();
        notify.notify_one();
        for task in tasks {
            drop(task.await);
        }
        // Everything is free, without waiting.
        assert!(mutex.try_lock().is_ok() && lock.try_write().is_ok());
        assert_eq!(semaphore.available_permits(), 2);
        assert_eq!((pool.statistics().idle, pool.statistics().waiting), (1, 0));
        assert!(!cell.statistics().initializing);
        assert_eq!(notify.statistics().waiting, 0);
    });
    assert!(points >= 8, "{points}");
}

/// Runs when it is dropped, however that comes about.
struct Leaves<F: FnMut()>(F);

impl<F: FnMut()> Drop for Leaves<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
