//! Locks and other waits on threads that run no task, against tasks.

use asupersync::sync::{LockError, Mutex, RwLock, Semaphore};
use asupersync::{CancelKind, Cx, Outcome, Policy, RegionOptions, Runtime, Scope};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

mod worlds;
use worlds::{everywhere, in_lab, until};

const EACH: usize = 3;
const ROUNDS: usize = 200;

/// Runs `body` on real threads: both flavours of the runtime.
fn on_threads(body: impl AsyncFn(Scope)) {
    let one = Runtime::builder().current_thread().build().unwrap();
    one.block_on(async |scope| body(scope).await).unwrap();
    let many = Runtime::builder().worker_threads(3).build().unwrap();
    many.block_on(async |scope| body(scope).await).unwrap();
}

/// One step that others must not see the middle of.
fn add(total: &mut usize) {
    let before = *total;
    thread::yield_now();
    *total = before + 1;
}

#[test]
fn threads_closures_and_tasks_exclude_each_other() {
    on_threads(async |cx: Scope| {
        let mutex = Arc::new(Mutex::new(0));
        let lock = Arc::new(RwLock::new((0, 0)));
        let write = |pair: &mut (usize, usize)| {
            add(&mut pair.0);
            add(&mut pair.1);
        };
        let threads: Vec<_> = (0..EACH)
            .map(|_| {
                let (mutex, lock) = (mutex.clone(), lock.clone());
                thread::spawn(move || {
                    for round in 0..ROUNDS {
                        add(&mut mutex.blocking_lock().unwrap());
                        add(&mut mutex.clone().blocking_lock_owned().unwrap());
                        if round % 2 == 0 {
                            write(&mut lock.blocking_write());
                        } else {
                            let pair = lock.blocking_read();
                            thread::yield_now();
                            assert_eq!(pair.0, pair.1);
                        }
                    }
                })
            })
            .collect();
        cx.region(async |scope: Scope| {
            for _ in 0..EACH {
                let (m, l) = (mutex.clone(), lock.clone());
                scope.spawn_blocking(move |cx: &Cx| {
                    for _ in 0..ROUNDS {
                        add(&mut cx.block_on(m.lock(cx)).unwrap());
                        write(&mut cx.block_on(l.write(cx)).unwrap());
                        let pair = l.blocking_read();
                        assert_eq!(pair.0, pair.1);
                    }
                });
                let (m, l) = (mutex.clone(), lock.clone());
                scope.spawn(async move |cx: Cx| {
                    for _ in 0..ROUNDS {
                        let mut total = m.lock(&cx).await.unwrap();
                        let before = *total;
                        cx.yield_now().await.unwrap();
                        *total = before + 1;
                        drop(total);
                        let pair = l.read(&cx).await.unwrap();
                        cx.yield_now().await.unwrap();
                        assert_eq!(pair.0, pair.1);
                    }
                });
            }
        })
        .await
        .unwrap();
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(*mutex.lock(&cx).await.unwrap(), 4 * EACH * ROUNDS);
        let written = EACH * ROUNDS / 2 + EACH * ROUNDS;
        assert_eq!(*lock.read(&cx).await.unwrap(), (written, written));
        let (mutex, lock) = (mutex.statistics(), lock.statistics());
        assert_eq!((mutex.waiting, lock.waiting, lock.readers), (0, 0, 0));
    });
}

#[test]
fn threads_and_tasks_stand_in_one_line() {
    const WAITERS: usize = 6;
    on_threads(async |cx: Scope| {
        let mutex = Arc::new(Mutex::new(Vec::new()));
        let held = mutex.try_lock().unwrap();
        let mut threads = Vec::new();
        for name in 0..WAITERS {
            let shared = mutex.clone();
            match name % 3 {
                0 => drop(cx.spawn(async move |cx: Cx| {
                    shared.lock(&cx).await.unwrap().push(name);
                })),
                1 => threads.push(thread::spawn(move || {
                    shared.blocking_lock().unwrap().push(name);
                })),
                _ => drop(cx.spawn_blocking(move |cx: &Cx| {
                    cx.block_on(shared.lock(cx)).unwrap().push(name);
                })),
            }
            until(&cx, || mutex.statistics().waiting == name + 1).await;
        }
        assert!(mutex.try_lock().is_err());
        drop(held);
        let served = async || mutex.lock(&cx).await.unwrap().clone();
        while served().await.len() < WAITERS {
            cx.yield_now().await.unwrap();
        }
        assert_eq!(served().await, (0..WAITERS).collect::<Vec<_>>());
        threads.into_iter().for_each(|t| t.join().unwrap());
    });
}

#[test]
fn a_closure_that_waits_with_its_context_stops_when_it_is_asked() {
    on_threads(async |cx: Scope| {
        let mutex = Arc::new(Mutex::new(0));
        let semaphore = Arc::new(Semaphore::new(1));
        let held = mutex.try_lock().unwrap();
        // By its handle; what it holds already is given back as it unwinds its way out.
        let (m, s) = (mutex.clone(), semaphore.clone());
        let task = cx.spawn_blocking(move |cx: &Cx| {
            let _permit = cx.block_on(s.acquire(cx, 1)).unwrap();
            cx.block_on(m.lock(cx)).map(drop)
        });
        until(&cx, || mutex.statistics().waiting == 1).await;
        assert_eq!(semaphore.available_permits(), 0);
        task.cancel(CancelKind::User);
        let Ok(Err(LockError::Cancelled(c))) = task.await.into_result() else {
            panic!("it was asked to cancel");
        };
        assert_eq!(c.reason().kind, CancelKind::User);
        assert_eq!(semaphore.available_permits(), 1);
        // By its region, which closes though the lock stays taken. In cleanup it may
        // wait again, and any future can be made to hear of the request.
        let m = mutex.clone();
        cx.region(async |scope: Scope| {
            let theirs = m.clone();
            scope.spawn_blocking(move |cx: &Cx| {
                assert!(cx.block_on(theirs.lock(cx)).is_err());
                let pending = std::future::pending::<()>();
                assert!(cx.block_on(cx.cancellable(pending)).is_err());
                let permit = cx.block_on(semaphore.acquire(cx.cleanup(), 1));
                assert_eq!(permit.unwrap().permits(), 1);
            });
            until(&scope, || m.statistics().waiting == 1).await;
            scope.close();
        })
        .await
        .unwrap();
        assert_eq!(mutex.statistics().waiting, 0);
        drop(held);
        assert_eq!(*mutex.lock(&cx).await.unwrap(), 0);
    });
}

#[test]
fn a_lock_is_poisoned_by_a_thread_and_for_one() {
    let strict = Arc::new(Mutex::poisoning(0));
    let lock = Arc::new(RwLock::new(0));
    let (m, l) = (strict.clone(), lock.clone());
    let panicked = thread::spawn(move || {
        let _guards = (m.blocking_lock().unwrap(), l.blocking_write());
        // Past the panic hook: a planted panic is no news.
        resume_unwind(Box::new("planted"));
    });
    assert!(panicked.join().is_err());
    assert!(strict.was_panicked() && lock.was_panicked());
    assert_eq!(strict.blocking_lock().unwrap_err(), LockError::Poisoned);
    let owned = strict.clone().blocking_lock_owned();
    assert_eq!(owned.unwrap_err(), LockError::Poisoned);
    assert_eq!(*lock.blocking_read(), 0);
    strict.clear_panicked();
    assert_eq!(*strict.blocking_lock().unwrap(), 0);
}

/// What a task or a closure panicked with.
fn panic_of<T: std::fmt::Debug>(outcome: Outcome<T>) -> String {
    match outcome {
        Outcome::Panicked(panic) => panic.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Opens a region in which a panic is no failure of the others.
async fn collecting(cx: &Cx, body: impl AsyncFnOnce(Scope)) {
    let options = RegionOptions {
        policy: Policy::Collect,
        ..RegionOptions::default()
    };
    let reported = cx.region_report(options, async |scope: Scope| body(scope).await);
    assert!(reported.await.unwrap().value.is_some());
}

/// Waits for a lock as a thread does.
type Block<T> = fn(&Cx, &Mutex<T>, &RwLock<T>);

#[test]
fn a_task_may_not_block_though_nobody_holds_the_lock() {
    let blocks: [Block<()>; 4] = [
        |_, mutex, _| drop(mutex.blocking_lock()),
        |_, _, lock| drop(lock.blocking_read()),
        |_, _, lock| drop(lock.blocking_write()),
        |cx, mutex, _| drop(cx.block_on(mutex.lock(cx))),
    ];
    everywhere(async |cx: Scope| {
        let shared = Arc::new((Mutex::new(()), RwLock::new(())));
        collecting(&cx, async |scope: Scope| {
            for block in blocks {
                let theirs = shared.clone();
                let task = scope.spawn(async move |cx: Cx| block(&cx, &theirs.0, &theirs.1));
                let said = panic_of(task.await);
                assert!(said.contains("a task must not block its worker"), "{said}");
            }
        })
        .await;
        assert!(shared.0.try_lock().is_ok() && shared.1.try_write().is_ok());
    });
}

#[test]
fn a_closure_of_the_lab_may_take_what_is_free_and_wait_for_nothing() {
    in_lab(async |cx: Scope| {
        let mutex = Arc::new(Mutex::new(0));
        let lock = Arc::new(RwLock::new(0));
        let (m, l) = (mutex.clone(), lock.clone());
        let free = cx.spawn_blocking(move |cx: &Cx| {
            *m.blocking_lock().unwrap() += 1;
            *cx.block_on(m.lock(cx)).unwrap() += 1;
            *l.blocking_write() += 1;
            *l.blocking_read() + cx.block_on(std::future::ready(1))
        });
        assert_eq!(free.await.into_result(), Ok(2));

        collecting(&cx, async |scope: Scope| {
            let held = (
                mutex.lock(&scope).await.unwrap(),
                lock.read(&scope).await.unwrap(),
            );
            let blocks: [Block<u32>; 3] = [
                |_, mutex, _| drop(mutex.blocking_lock()),
                |_, _, lock| drop(lock.blocking_write()),
                |cx, mutex, _| drop(cx.block_on(mutex.lock(cx))),
            ];
            for block in blocks {
                let (m, l) = (mutex.clone(), lock.clone());
                let closure = scope.spawn_blocking(move |cx: &Cx| block(cx, &m, &l));
                let said = panic_of(closure.await);
                assert!(said.contains("a closure is one step of the lab"), "{said}");
            }
            assert_eq!(mutex.statistics().waiting, 0, "it left the line");
            assert!(lock.try_read().is_ok(), "no writer is in line");
            drop(held);
        })
        .await;
        assert_eq!(*mutex.lock(&cx).await.unwrap(), 2);
        assert_eq!(*lock.write(&cx).await.unwrap(), 1);
    });
    // It was the lab that forbade it, not the thread.
    let mutex = Arc::new(Mutex::new(0));
    let held = mutex.clone().try_lock_owned().unwrap();
    let other = mutex.clone();
    let freed = thread::spawn(move || {
        while other.statistics().waiting == 0 {
            thread::yield_now();
        }
        drop(held);
    });
    assert_eq!(*mutex.blocking_lock().unwrap(), 0);
    freed.join().unwrap();
}
