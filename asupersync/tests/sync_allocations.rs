//! Locking, acquiring, meeting and sleeping allocate nothing once a line has grown to its size.
//!
//! A counting allocator needs a process of its own, and a thread of its own:
//! hence one test, on the current-thread runtime.

use asupersync::sync::{Barrier, Mutex, Notify, OnceCell, Pool, RwLock, Semaphore};
use asupersync::{Cx, Scope, join};
use std::sync::Arc;
use std::time::Duration;

mod counting;
mod worlds;
use counting::rounds;

/// What each round does alone, and what it does while others are in line.
#[test]
fn a_round_at_any_primitive_allocates_nothing() {
    worlds::current_thread(async |cx: Scope| {
        let cx: &Cx = &cx;
        let mutex = Arc::new(Mutex::new(0));
        rounds("Mutex::lock", 0, async || {
            *mutex.lock(cx).await.unwrap() += 1;
        })
        .await;
        rounds("Mutex::lock_owned", 0, async || {
            *mutex.clone().lock_owned(cx).await.unwrap() += 1;
        })
        .await;
        let held = async || {
            let _guard = mutex.lock(cx).await.unwrap();
            cx.yield_now().await.unwrap();
        };
        rounds("Mutex::lock, three in line", 0, async || {
            join!(held(), held(), held(), held());
        })
        .await;

        let lock = RwLock::new(0);
        rounds("RwLock", 0, async || {
            *lock.write(cx).await.unwrap() += 1;
            let _ = *lock.read(cx).await.unwrap();
        })
        .await;
        let read = async || {
            let _guard = lock.read(cx).await.unwrap();
            cx.yield_now().await.unwrap();
        };
        let write = async || {
            let _guard = lock.write(cx).await.unwrap();
            cx.yield_now().await.unwrap();
        };
        rounds("RwLock, in line", 0, async || {
            join!(read(), write(), read(), write());
        })
        .await;

        let semaphore = Semaphore::new(2);
        rounds("Semaphore::acquire", 0, async || {
            drop(semaphore.acquire(cx, 2).await.unwrap());
        })
        .await;
        let acquired = async || {
            let _permit = semaphore.acquire(cx, 2).await.unwrap();
            cx.yield_now().await.unwrap();
        };
        rounds("Semaphore::acquire, in line", 0, async || {
            join!(acquired(), acquired(), acquired());
        })
        .await;

        let pool = Pool::new([1]);
        let lent = async || {
            let _loan = pool.get(cx).await.unwrap();
            cx.yield_now().await.unwrap();
        };
        rounds("Pool::get, in line", 0, async || {
            join!(lent(), lent());
        })
        .await;

        let notify = Notify::new();
        rounds("Notify::notify_one", 0, async || {
            join!(async { notify.notified(cx).await.unwrap() }, async {
                cx.yield_now().await.unwrap();
                notify.notify_one();
            });
        })
        .await;
        let notified = async || notify.notified(cx).await.unwrap();
        rounds("Notify::notify_waiters", 0, async || {
            join!(notified(), notified(), async {
                cx.yield_now().await.unwrap();
                notify.notify_waiters();
            });
        })
        .await;

        let barrier = Barrier::new(3);
        let met = async || barrier.wait(cx).await.unwrap();
        rounds("Barrier::wait", 0, async || {
            join!(met(), met(), met());
        })
        .await;

        let cell = OnceCell::new();
        rounds("OnceCell::get_or_init", 0, async || {
            assert_eq!(*cell.get_or_init(cx, async || 7).await.unwrap(), 7);
        })
        .await;

        let nap = Duration::from_micros(1);
        rounds("sleep", 0, async || cx.sleep(nap).await.unwrap()).await;
        rounds("timeout_drop", 0, async || {
            cx.timeout_drop(Duration::from_secs(1), cx.sleep(nap))
                .await
                .unwrap()
                .unwrap();
        })
        .await;
    });
}
