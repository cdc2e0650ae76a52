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

/// Rounds before the count, in which lines and free lists grow, and counted ones.
const ROUNDS: u64 = 200;

/// Runs many rounds, each of which must allocate nothing.
async fn count(name: &str, mut round: impl AsyncFnMut()) {
    for _ in 0..ROUNDS {
        round().await;
    }
    let before = counting::so_far();
    for _ in 0..ROUNDS {
        round().await;
    }
    let made = counting::so_far() - before;
    assert_eq!(made, 0, "{name}: {ROUNDS} rounds");
}

/// What each round does alone, and what it does while others are in line.
#[test]
fn a_round_at_any_primitive_allocates_nothing() {
    worlds::current_thread(async |cx: Scope| {
        let cx: &Cx = &cx;
        let mutex = Arc::new(Mutex::new(0));
        count("Mutex::lock", async || {
            *mutex.lock(cx).await.unwrap() += 1;
        })
        .await;
        count("Mutex::lock_owned", async || {
            *mutex.clone().lock_owned(cx).await.unwrap() += 1;
        })
        .await;
        let held = async || {
            let _guard = mutex.lock(cx).await.unwrap();
            cx.yield_now().await.unwrap();
        };
        count("Mutex::lock, three in line", async || {
            join!(held(), held(), held(), held());
        })
        .await;

        let lock = RwLock::new(0);
        count("RwLock", async || {
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
        count("RwLock, in line", async || {
            join!(read(), write(), read(), write());
        })
        .await;

        let semaphore = Semaphore::new(2);
        count("Semaphore::acquire", async || {
            drop(semaphore.acquire(cx, 2).await.unwrap());
        })
        .await;
        let acquired = async || {
            let _permit = semaphore.acquire(cx, 2).await.unwrap();
            cx.yield_now().await.unwrap();
        };
        count("Semaphore::acquire, in line", async || {
            join!(acquired(), acquired(), acquired());
        })
        .await;

        let pool = Pool::new([1]);
        let lent = async || {
            let _loan = pool.get(cx).await.unwrap();
            cx.yield_now().await.unwrap();
        };
        count("Pool::get, in line", async || {
            join!(lent(), lent());
        })
        .await;

        let notify = Notify::new();
        count("Notify::notify_one", async || {
            join!(async { notify.notified(cx).await.unwrap() }, async {
                cx.yield_now().await.unwrap();
                notify.notify_one();
            });
        })
        .await;
        let notified = async || notify.notified(cx).await.unwrap();
        count("Notify::notify_waiters", async || {
            join!(notified(), notified(), async {
                cx.yield_now().await.unwrap();
                notify.notify_waiters();
            });
        })
        .await;

        let barrier = Barrier::new(3);
        let met = async || barrier.wait(cx).await.unwrap();
        count("Barrier::wait", async || {
            join!(met(), met(), met());
        })
        .await;

        let cell = OnceCell::new();
        count("OnceCell::get_or_init", async || {
            assert_eq!(*cell.get_or_init(cx, async || 7).await.unwrap(), 7);
        })
        .await;

        let nap = Duration::from_micros(1);
        count("sleep", async || cx.sleep(nap).await.unwrap()).await;
        count("timeout_drop", async || {
            cx.timeout_drop(Duration::from_secs(1), cx.sleep(nap))
                .await
                .unwrap()
                .unwrap();
        })
        .await;
    });
}
