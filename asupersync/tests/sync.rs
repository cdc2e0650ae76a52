//! Permits, meeting points, notifications and cells through real tasks, in every
//! world, and their futures polled by hand.

use asupersync::sync::{
    AcquireError, Barrier, BarrierError, CANCEL_CLASS, CancelClass, InitError, Mutex, Notify,
    OnceCell, RwLock, Semaphore, SetError, TryAcquireError,
};
use asupersync::{CancelKind, Cancelled, Cx, Scope};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

mod by_hand;
mod worlds;
use by_hand::{Count, is_pending};
use worlds::{everywhere, in_lab, until, whoever_is_lost};

const TASKS: usize = 5;
const ROUNDS: usize = 12;

#[test]
fn a_semaphore_never_gives_out_more_than_it_has() {
    const PERMITS: usize = 3;
    everywhere(async |cx: Scope| {
        let semaphore = Arc::new(Semaphore::new(PERMITS));
        let held = Arc::new(AtomicUsize::new(0));
        cx.region(async |scope| {
            for name in 0..TASKS {
                let (semaphore, held) = (semaphore.clone(), held.clone());
                scope.spawn(async move |cx: Cx| {
                    for round in 0..ROUNDS {
                        let n = (name + round) % PERMITS + 1;
                        let permit = semaphore.acquire(&cx, n).await.unwrap();
                        assert_eq!(permit.permits(), n);
                        let before = held.fetch_add(n, Ordering::SeqCst);
                        assert!(before + n <= PERMITS, "{before} + {n}");
                        cx.yield_now().await.unwrap();
                        held.fetch_sub(n, Ordering::SeqCst);
                    }
                });
            }
        })
        .await
        .unwrap();
        assert_eq!(semaphore.available_permits(), PERMITS);
    });
}

#[test]
fn a_semaphore_hands_on_from_any_place_in_line() {
    const WAITERS: usize = 4;
    everywhere(async |cx: Scope| {
        for victim in 0..WAITERS {
            let semaphore = Arc::new(Semaphore::new(2));
            let held = semaphore.try_acquire(&cx, 2).unwrap();
            let mut tasks = Vec::new();
            for name in 0..WAITERS {
                let shared = semaphore.clone();
                tasks.push(cx.spawn(async move |cx: Cx| {
                    let permit = shared.acquire(&cx, 1 + name % 2).await;
                    permit.map(|permit| permit.permits())
                }));
                until(&cx, || semaphore.statistics().waiting == name + 1).await;
            }
            assert_eq!(
                semaphore.try_acquire(&cx, 0).unwrap_err(),
                TryAcquireError::NoPermits,
                "nobody passes the line, not even for nothing"
            );
            tasks[victim].cancel(CancelKind::User);
            until(&cx, || semaphore.statistics().waiting == WAITERS - 1).await;
            drop(held);
            for (name, task) in tasks.into_iter().enumerate() {
                match task.await.into_result().unwrap() {
                    Ok(n) => assert_eq!((n, name != victim), (1 + name % 2, true)),
                    Err(AcquireError::Cancelled(c)) => {
                        assert_eq!((name, c.reason().kind), (victim, CancelKind::User));
                    }
                    Err(e) => panic!("{e}"),
                }
            }
            assert_eq!(semaphore.statistics().available, 2);
        }
    });
}

#[test]
fn permits_are_leases_of_their_task() {
    everywhere(async |cx: Scope| {
        let semaphore = Arc::new(Semaphore::new(3));
        let kept = semaphore.clone().acquire_owned(&cx, 1).await.unwrap();
        // Handed over to a task, which gives it back by ending.
        let task = cx.spawn(async move |cx: Cx| {
            let kept = kept.transfer(&cx);
            kept.permits()
        });
        assert_eq!(task.await.into_result(), Ok(1));
        assert_eq!(semaphore.available_permits(), 3);

        semaphore.acquire(&cx, 1).await.unwrap().forget();
        assert_eq!(semaphore.available_permits(), 2);
        semaphore.add_permits(2);
        assert_eq!(semaphore.forget_permits(1), 1);
        assert_eq!(semaphore.available_permits(), 3);

        let held = semaphore.acquire(&cx, 2).await.unwrap();
        let waiter = semaphore.clone();
        let waiting = cx.spawn(async move |cx: Cx| waiter.acquire(&cx, 2).await.map(drop));
        until(&cx, || semaphore.statistics().waiting == 1).await;
        semaphore.close();
        assert_eq!(waiting.await.into_result(), Ok(Err(AcquireError::Closed)));
        assert_eq!(
            semaphore.try_acquire(&cx, 1).unwrap_err(),
            TryAcquireError::Closed
        );
        drop(held);
        assert_eq!(
            semaphore.statistics().available,
            3,
            "permits held stay valid"
        );
    });
}

#[test]
fn permits_are_divided_and_put_together() {
    everywhere(async |cx: Scope| {
        let semaphore = Arc::new(Semaphore::new(5));
        let mut all = semaphore.clone().acquire_owned(&cx, 5).await.unwrap();
        assert!(all.split(&cx, 6).is_none());
        assert_eq!(all.permits(), 5, "as before");
        let some = all.split(&cx, 2).unwrap();
        assert_eq!((all.permits(), some.permits()), (3, 2));
        assert!(Arc::ptr_eq(some.semaphore(), &semaphore));
        assert_eq!(semaphore.available_permits(), 0);
        // Each is a lease of its own task.
        let task = cx.spawn(async move |cx: Cx| {
            let mut some = some.transfer(&cx);
            drop(some.split(&cx, 1).unwrap());
            let again = some.semaphore().clone();
            some.merge(again.acquire_owned(&cx, 1).await.unwrap());
            some.permits()
        });
        assert_eq!(task.await.into_result(), Ok(2));
        assert_eq!(semaphore.available_permits(), 2);
        all.merge(semaphore.clone().acquire_owned(&cx, 1).await.unwrap());
        assert_eq!((all.permits(), semaphore.available_permits()), (4, 1));
        let none = all.split(&cx, 0).unwrap();
        all.merge(none);
        drop(all);
        assert_eq!(semaphore.available_permits(), 5);

        let mut one = semaphore.acquire(&cx, 1).await.unwrap();
        one.merge(semaphore.try_acquire(&cx, 2).unwrap());
        let of: &Semaphore = one.semaphore();
        assert!(std::ptr::eq(of, &*semaphore));
        one.forget();
        assert_eq!(
            semaphore.available_permits(),
            2,
            "all three were taken away"
        );
    });
}

#[test]
fn permits_of_different_semaphores_are_not_put_together() {
    in_lab(async |cx: Scope| {
        let (one, other) = (Semaphore::new(1), Semaphore::new(1));
        let mut ours = one.try_acquire(&cx, 1).unwrap();
        let theirs = other.try_acquire(&cx, 1).unwrap();
        let merged = std::panic::catch_unwind(AssertUnwindSafe(|| ours.merge(theirs)));
        let said = merged.unwrap_err();
        assert!(
            said.downcast_ref::<&str>()
                .unwrap()
                .contains("different semaphores")
        );
        assert_eq!((ours.permits(), other.available_permits()), (1, 1));
        drop(ours);
        assert_eq!(one.available_permits(), 1);
    });
}

#[test]
fn a_barrier_lets_all_through_and_has_one_leader_a_round() {
    everywhere(async |cx: Scope| {
        let barrier = Arc::new(Barrier::new(TASKS));
        let leaders = Arc::new(AtomicUsize::new(0));
        let reached = Arc::new([const { AtomicUsize::new(0) }; ROUNDS]);
        cx.region(async |scope| {
            for _ in 0..TASKS {
                let (barrier, leaders, reached) =
                    (barrier.clone(), leaders.clone(), reached.clone());
                scope.spawn(async move |cx: Cx| {
                    for round in reached.iter() {
                        round.fetch_add(1, Ordering::SeqCst);
                        let passed = barrier.wait(&cx).await.unwrap();
                        assert_eq!(round.load(Ordering::SeqCst), TASKS, "all have arrived");
                        leaders.fetch_add(usize::from(passed.is_leader()), Ordering::SeqCst);
                    }
                });
            }
        })
        .await
        .unwrap();
        assert_eq!(leaders.load(Ordering::SeqCst), ROUNDS);
        let statistics = barrier.statistics();
        assert_eq!(
            (statistics.arrived, statistics.waiting, statistics.broken),
            (0, 0, false)
        );
        assert!(Barrier::new(0).wait(&cx).await.unwrap().is_leader());
    });
}

#[test]
fn a_waiter_that_leaves_a_barrier_breaks_its_generation_and_no_other() {
    const SIZE: usize = 4;
    everywhere(async |cx: Scope| {
        for victim in 0..SIZE - 1 {
            let barrier = Arc::new(Barrier::new(SIZE));
            let mut tasks = Vec::new();
            for name in 0..SIZE - 1 {
                let shared = barrier.clone();
                tasks.push(cx.spawn(async move |cx: Cx| shared.wait(&cx).await));
                // One by one, so that the victim is at each place in turn.
                until(&cx, || barrier.statistics().waiting == name + 1).await;
            }
            tasks[victim].cancel(CancelKind::User);
            for (name, task) in tasks.into_iter().enumerate() {
                match task.await.into_result().unwrap().unwrap_err() {
                    BarrierError::Cancelled(_) => assert_eq!(name, victim),
                    BarrierError::Broken => assert_ne!(name, victim),
                }
            }
            assert!(barrier.statistics().broken);
            // The one that comes last would wait for ever; it is told instead.
            assert_eq!(barrier.wait(&cx).await.unwrap_err(), BarrierError::Broken);
            // The next generation is whole again.
            assert!(!barrier.statistics().broken);
            let again: Vec<_> = (0..SIZE)
                .map(|_| {
                    let barrier = barrier.clone();
                    cx.spawn(async move |cx: Cx| barrier.wait(&cx).await.is_ok())
                })
                .collect();
            for task in again {
                assert_eq!(task.await.into_result(), Ok(true));
            }
        }
    });
}

#[test]
fn a_barrier_wait_dropped_in_any_state() {
    in_lab(async |cx: Scope| {
        let barrier = Barrier::new(2);
        drop(barrier.wait(&cx));
        assert_eq!(barrier.statistics().arrived, 0, "not polled, not arrived");
        // Let through and dropped before it noticed: nothing breaks.
        let (count, wake) = Count::new();
        let mut first = barrier.wait(&cx);
        assert!(is_pending(&mut first, &wake));
        assert!(barrier.wait(&cx).await.unwrap().is_leader());
        assert_eq!(count.get(), 1);
        drop(first);
        assert!(!barrier.statistics().broken);
        // Dropped while it waits: the other, which comes later, is told.
        let mut first = barrier.wait(&cx);
        assert!(is_pending(&mut first, &wake));
        drop(first);
        assert_eq!(barrier.wait(&cx).await.unwrap_err(), BarrierError::Broken);
        assert_eq!(barrier.statistics().arrived, 0);
    });
}

#[test]
fn a_notification_is_never_lost() {
    everywhere(async |cx: Scope| {
        // Each notification is one permit to take one from the pile.
        let notify = Arc::new(Notify::new());
        let pile = Arc::new(AtomicUsize::new(0));
        let (n, p) = (notify.clone(), pile.clone());
        let taker = cx.spawn(async move |cx: Cx| {
            let mut taken = 0;
            while taken < 100 {
                n.notified(&cx).await?;
                taken += p.swap(0, Ordering::SeqCst);
            }
            Ok::<_, Cancelled>(taken)
        });
        for _ in 0..100 {
            pile.fetch_add(1, Ordering::SeqCst);
            notify.notify_one();
            cx.yield_now().await.unwrap();
        }
        assert_eq!(taker.await.into_result().unwrap(), Ok(100));
    });
}

#[test]
fn a_notified_wait_that_is_dropped_or_cancelled_passes_it_on() {
    in_lab(async |cx: Scope| {
        let notify = Notify::new();
        let (a, wake_a) = Count::new();
        let (b, wake_b) = Count::new();
        let mut first = notify.notified(&cx);
        let mut second = notify.notified(&cx);
        assert!(is_pending(&mut first, &wake_a) && is_pending(&mut second, &wake_b));
        notify.notify_one();
        assert_eq!((a.get(), b.get()), (1, 0));
        drop(first);
        assert_eq!((a.get(), b.get()), (1, 1), "to the next in line");
        drop(second);
        assert!(notify.statistics().permit, "or to whoever comes next");
        notify.notified(&cx).await.unwrap();

        // Woken with everyone, a wait has nothing to pass on.
        let mut first = notify.notified(&cx);
        let unpolled = notify.notified(&cx);
        assert!(is_pending(&mut first, &wake_a));
        notify.notify_waiters();
        assert_eq!(a.get(), 2);
        drop(first);
        assert!(!notify.statistics().permit, "everyone leaves no permit");
        unpolled.await.unwrap(); // it was there before, though never polled
        let mut late = notify.notified(&cx);
        assert!(is_pending(&mut late, &wake_b), "it came after");

        // Chosen first and called with everyone then: the choice is passed on.
        notify.notify_one();
        notify.notify_waiters();
        drop(late);
        assert!(notify.statistics().permit);
    });
}

#[test]
fn a_cancelled_wait_passes_its_notification_on() {
    in_lab(async |cx: Scope| {
        let notify = Arc::new(Notify::new());
        let n = notify.clone();
        let task = cx.spawn(async move |cx: Cx| n.notified(&cx).await.is_ok());
        until(&cx, || notify.statistics().waiting == 1).await;
        notify.notify_one();
        task.cancel(CancelKind::User);
        let noticed = task.await.into_result().unwrap();
        assert_ne!(noticed, notify.statistics().permit, "with one of the two");
    });
}

#[test]
fn an_enabled_wait_is_in_line_though_nobody_polled_it() {
    in_lab(async |cx: Scope| {
        let notify = Arc::new(Notify::new());
        // Two who are about to wait, and two notifications before they do: of
        // those that are not in line, one is left over.
        let (mut first, mut second) = (notify.notified(&cx), notify.notified(&cx));
        notify.notify_one();
        notify.notify_one();
        assert!(!is_pending(&mut first, Waker::noop()));
        assert!(is_pending(&mut second, Waker::noop()), "lost");
        drop((first, second));

        let mut first = notify.notified(&cx);
        let mut second = notify.clone().notified_owned(&cx);
        assert!(!first.enable() && !second.enable());
        assert!(!second.enable(), "it is in line once");
        assert_eq!(notify.statistics().waiting, 2);
        notify.notify_one();
        assert!(first.enable() && first.enable() && !second.enable());
        notify.notify_one();
        assert!(second.enable() && !notify.statistics().permit);
        first.await.unwrap();
        second.await.unwrap();
        assert_eq!(
            (notify.statistics().waiting, notify.statistics().permit),
            (0, false)
        );

        // Enabled first and polled then: its waker is the one it was polled with.
        let (count, wake) = Count::new();
        let mut wait = notify.notified(&cx);
        assert!(!wait.enable() && is_pending(&mut wait, &wake));
        notify.notify_last();
        assert_eq!(count.get(), 1);
        assert!(wait.enable() && !is_pending(&mut wait, &wake));
    });
}

#[test]
fn an_enabled_wait_passes_on_what_it_did_not_use() {
    in_lab(async |cx: Scope| {
        let notify = Notify::new();
        // The permit is taken, and comes back.
        notify.notify_one();
        let mut wait = notify.notified(&cx);
        assert!(wait.enable() && wait.enable() && !notify.statistics().permit);
        drop(wait);
        assert!(notify.statistics().permit);
        let mut wait = notify.notified(&cx);
        assert!(wait.enable());
        wait.await.unwrap();
        assert!(!notify.statistics().permit, "it is used up");

        // Granted in line and dropped: to the next.
        let (count, wake) = Count::new();
        let mut first = notify.notified(&cx);
        let mut second = notify.notified(&cx);
        assert!(!first.enable() && is_pending(&mut second, &wake));
        notify.notify_one();
        assert_eq!(count.get(), 0);
        drop(first);
        assert_eq!(count.get(), 1);
        second.await.unwrap();

        // Woken with everyone, enabled before or after: nothing to pass on.
        let (mut before, mut after) = (notify.notified(&cx), notify.notified(&cx));
        assert!(!before.enable());
        notify.notify_waiters();
        assert!(before.enable() && after.enable());
        drop((before, after));
        assert_eq!(
            (notify.statistics().waiting, notify.statistics().permit),
            (0, false)
        );

        // Cancelled when it comes to be awaited.
        let notify = Arc::new(notify);
        let n = notify.clone();
        let task = cx.spawn(async move |cx: Cx| {
            let mut wait = n.notified(&cx);
            wait.enable();
            cx.cancelled().await;
            n.notify_one();
            wait.await.is_err()
        });
        until(&cx, || notify.statistics().waiting == 1).await;
        task.cancel(CancelKind::User);
        assert_eq!(task.await.into_result(), Ok(true));
        assert!(notify.statistics().permit);
    });
}

/// Things for whoever comes: `enable` goes before the look, and anything may
/// happen between the look and the wait.
#[derive(Default)]
struct Pile {
    things: AtomicUsize,
    came: Arc<Notify>,
}

impl Pile {
    fn put(&self) {
        self.things.fetch_add(1, Ordering::SeqCst);
        self.came.notify_one();
    }

    async fn take(&self, cx: &Cx) -> Result<(), Cancelled> {
        loop {
            let mut came = self.came.clone().notified_owned(cx);
            came.enable();
            let less = |n: usize| n.checked_sub(1);
            if self
                .things
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
                .is_ok()
            {
                return Ok(());
            }
            cx.yield_now().await?;
            came.await?;
        }
    }
}

#[test]
fn who_enables_and_looks_and_waits_misses_nothing() {
    everywhere(async |cx: Scope| {
        let pile = Arc::new(Pile::default());
        let takers: Vec<_> = (0..TASKS)
            .map(|_| {
                let pile = pile.clone();
                cx.spawn(async move |cx: Cx| {
                    for _ in 0..ROUNDS {
                        pile.take(&cx).await.unwrap();
                    }
                })
            })
            .collect();
        for n in 0..TASKS * ROUNDS {
            pile.put();
            if n % 3 == 0 {
                cx.yield_now().await.unwrap();
            }
        }
        for taker in takers {
            taker.await.into_result().unwrap();
        }
        assert_eq!(pile.things.load(Ordering::SeqCst), 0);
        assert_eq!(pile.came.statistics().waiting, 0);
    });
    // One thing goes round: whoever has it puts it back, however that comes about.
    struct Back(Arc<Pile>);
    impl Drop for Back {
        fn drop(&mut self) {
            self.0.put();
        }
    }
    let points = whoever_is_lost(async |cx: Scope| {
        let pile = Arc::new(Pile::default());
        let _ = cx
            .region(async |scope: Scope| {
                let first = Back(pile.clone());
                scope.try_spawn(async move |cx: Cx| {
                    let _back = first;
                    cx.yield_now().await
                });
                for _ in 0..3 {
                    let pile = pile.clone();
                    scope.try_spawn(async move |cx: Cx| {
                        pile.take(&cx).await?;
                        let _back = Back(pile);
                        cx.yield_now().await
                    });
                }
            })
            .await;
        assert_eq!(pile.things.load(Ordering::SeqCst), 1);
        assert_eq!(pile.came.statistics().waiting, 0);
    });
    assert!(points >= 6, "{points}");
}

#[test]
fn a_cell_is_made_once() {
    everywhere(async |cx: Scope| {
        let cell = Arc::new(OnceCell::new());
        let made = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..TASKS)
            .map(|name| {
                let (cell, made) = (cell.clone(), made.clone());
                cx.spawn(async move |cx: Cx| {
                    let value = cell.get_or_init(&cx, async || {
                        cx.yield_now().await.unwrap();
                        made.fetch_add(1, Ordering::SeqCst);
                        name
                    });
                    *value.await.unwrap()
                })
            })
            .collect();
        let mut values = Vec::new();
        for task in tasks {
            values.push(task.await.into_result().unwrap());
        }
        assert!(values.iter().all(|v| Some(v) == cell.get()));
        assert_eq!(made.load(Ordering::SeqCst), 1);
        assert!(matches!(cell.set(9), Err(SetError::AlreadyInitialized(9))));
    });
}

#[test]
fn a_failed_or_cancelled_initialiser_lets_the_next_try() {
    everywhere(async |cx: Scope| {
        let cell = Arc::new(OnceCell::<u32>::new());
        let failed = cell.get_or_try_init(&cx, async || Err("broken")).await;
        assert_eq!(failed, Err(InitError::Failed("broken")));

        let c = cell.clone();
        let first = cx.spawn(async move |cx: Cx| {
            let init = async || cx.cancelled().await.into_value();
            c.get_or_try_init(&cx, init).await.is_err()
        });
        until(&cx, || cell.statistics().initializing).await;
        assert!(matches!(cell.set(3), Err(SetError::Initializing(3))));
        let c = cell.clone();
        let second = cx.spawn(async move |cx: Cx| *c.get_or_init(&cx, async || 7).await.unwrap());
        until(&cx, || cell.statistics().waiting == 1).await;
        first.cancel(CancelKind::User);
        assert_eq!(first.await.into_result(), Ok(true));
        assert_eq!(second.await.into_result(), Ok(7));
        let mut cell = Arc::into_inner(cell).unwrap();
        assert_eq!(cell.take(), Some(7));
        cell.set(8).unwrap();
        assert_eq!(cell.into_inner(), Some(8));
    });
}

#[test]
fn an_initialiser_that_panics_lets_the_next_try() {
    everywhere(async |cx: Scope| {
        let cell = Arc::new(OnceCell::<u32>::new());
        let (bad, good) = (cell.clone(), cell.clone());
        let waiting = cell.clone();
        let opened = cx.region(async |scope| {
            let task = scope.spawn(async move |cx: Cx| {
                let init = async || {
                    until(&cx, || bad.statistics().waiting == 1).await;
                    // Past the panic hook: a planted panic is no news.
                    resume_unwind(Box::new("planted".to_owned()));
                };
                let _ = bad.get_or_init(&cx, init).await;
            });
            assert!(task.await.is_panicked());
        });
        let next = cx.spawn(async move |cx: Cx| {
            until(&cx, || waiting.statistics().initializing).await;
            *good.get_or_init(&cx, async || 7).await.unwrap()
        });
        assert!(opened.await.is_err(), "the region's task failed");
        assert_eq!(next.await.into_result(), Ok(7));
        assert_eq!(cell.get(), Some(&7));
    });
}

#[test]
fn who_waits_for_a_value_makes_none() {
    everywhere(async |cx: Scope| {
        let cell = Arc::new(OnceCell::new());
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let cell = cell.clone();
                cx.spawn(async move |cx: Cx| cell.wait(&cx).await.copied())
            })
            .collect();
        until(&cx, || cell.statistics().watching == TASKS).await;
        assert!(!cell.statistics().initializing);
        // One that fails is none of their business, and one of them may leave.
        assert!(cell.get_or_try_init(&cx, async || Err(())).await.is_err());
        tasks[0].cancel(CancelKind::User);
        until(&cx, || cell.statistics().watching == TASKS - 1).await;
        assert_eq!(cell.get_or_init(&cx, async || 7).await, Ok(&7));
        for (name, task) in tasks.into_iter().enumerate() {
            assert_eq!(
                task.await.into_result().unwrap().ok(),
                (name > 0).then_some(7)
            );
        }
        assert_eq!(cell.wait(&cx).await, Ok(&7), "it is there");
        // It is a checkpoint whether the value is there or not.
        let (c, started) = (cell.clone(), Arc::new(Notify::new()));
        let start = started.clone();
        let task = cx.spawn(async move |cx: Cx| {
            start.notify_one();
            cx.cancelled().await;
            c.wait(&cx).await.is_err() && c.wait(cx.cleanup()).await.is_ok()
        });
        started.notified(&cx).await.unwrap();
        task.cancel(CancelKind::User);
        assert_eq!(task.await.into_result(), Ok(true));
        let copy = OnceCell::clone(&cell);
        assert!(copy == *cell && copy != OnceCell::new());
        assert_eq!(copy.into_inner(), Some(7));
    });
    in_lab(async |cx: Scope| {
        // Made between the first and the next look, and before the first.
        let cell = OnceCell::new();
        let (count, wake) = Count::new();
        let mut early = cell.wait(&cx);
        let unpolled = cell.wait(&cx);
        assert!(is_pending(&mut early, &wake));
        cell.set(1).unwrap();
        assert_eq!(count.get(), 1);
        assert_eq!(early.await, Ok(&1));
        assert_eq!(unpolled.await, Ok(&1));
        assert_eq!(cell.statistics().watching, 0);
    });
}

/// What the initialiser above returns once it is told to stop.
trait IntoValue {
    fn into_value(self) -> Result<u32, Cancelled>;
}

impl IntoValue for Cancelled {
    fn into_value(self) -> Result<u32, Cancelled> {
        Err(self)
    }
}

#[test]
fn every_safe_wait_may_stand_in_select() {
    fn safe<F: asupersync::cx::DropSafe>(_: &F) {}
    in_lab(async |cx: Scope| {
        let (mutex, lock) = (Arc::new(Mutex::new(())), Arc::new(RwLock::new(())));
        let (semaphore, notify) = (Arc::new(Semaphore::new(1)), Arc::new(Notify::new()));
        let (barrier, pool) = (Barrier::new(2), asupersync::sync::Pool::new([1]));
        safe(&mutex.lock(&cx));
        safe(&mutex.clone().lock_owned(&cx));
        safe(&lock.read(&cx));
        safe(&lock.write(&cx));
        safe(&lock.clone().read_owned(&cx));
        safe(&lock.clone().write_owned(&cx));
        safe(&semaphore.acquire(&cx, 1));
        safe(&semaphore.clone().acquire_owned(&cx, 1));
        safe(&pool.get(&cx));
        safe(&pool.lease(&cx, std::time::Duration::ZERO));
        safe(&barrier.wait(&cx));
        safe(&notify.notified(&cx));
        safe(&OnceCell::<u8>::new().wait(&cx));
        safe(&notify.clone().notified_owned(&cx));
        let count = |class| CANCEL_CLASS.iter().filter(|(_, c)| *c == class).count();
        assert_eq!(
            (count(CancelClass::Safe), count(CancelClass::Lossy)),
            (14, 2)
        );
    });
}

#[test]
fn a_barrier_hangs_nobody_whoever_is_cancelled_or_dropped() {
    whoever_is_lost(async |cx: Scope| {
        let barrier = Arc::new(Barrier::new(3));
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let barrier = barrier.clone();
                cx.spawn(async move |cx: Cx| barrier.wait(&cx).await.is_ok())
            })
            .collect();
        for task in tasks {
            drop(task.await);
        }
        assert_eq!(barrier.statistics().waiting, 0);
    });
}
