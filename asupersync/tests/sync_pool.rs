//! Pools: loans and leases through real tasks, in every world.

use asupersync::sync::{Access, AcquireError, Expired, Health, Pool};
use asupersync::{CancelKind, Cx, Runtime, Scope};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

mod worlds;
use worlds::{everywhere, in_lab, until};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_thing_is_lent_to_one_at_a_time() {
    const THINGS: usize = 2;
    everywhere(async |cx: Scope| {
        let pool = Pool::new((0..THINGS).map(|_| 0_usize));
        cx.region(async |scope| {
            for _ in 0..5 {
                let pool = pool.clone();
                scope.spawn(async move |cx: Cx| {
                    for _ in 0..12 {
                        let mut loan = pool.get(&cx).await.unwrap();
                        let seen = *loan;
                        cx.yield_now().await.unwrap();
                        assert_eq!(*loan, seen, "nobody else has it");
                        *loan += 1;
                        assert!(pool.statistics().lent <= THINGS);
                    }
                });
            }
        })
        .await
        .unwrap();
        let mut sum = 0;
        let statistics = pool.statistics();
        assert_eq!((statistics.idle, statistics.lent), (THINGS, 0));
        for _ in 0..THINGS {
            let loan = pool.get(&cx).await.unwrap();
            sum += *loan;
            loan.discard();
        }
        assert_eq!(sum, 5 * 12);
        assert_eq!(pool.statistics().discarded, THINGS);
    });
}

#[test]
fn a_waiter_cancelled_at_any_place_in_line_hands_its_turn_on() {
    const WAITERS: usize = 4;
    everywhere(async |cx: Scope| {
        for victim in 0..WAITERS {
            let pool = Pool::new([()]);
            let held = pool.get(&cx).await.unwrap();
            let served = Arc::new(AtomicUsize::new(0));
            let mut tasks = Vec::new();
            for name in 0..WAITERS {
                let (pool, served) = (pool.clone(), served.clone());
                let waiting = pool.clone();
                tasks.push(cx.spawn(async move |cx: Cx| {
                    let loan = pool.get(&cx).await;
                    loan.map(|_loan| served.fetch_add(1, Ordering::SeqCst))
                }));
                until(&cx, || waiting.statistics().waiting == name + 1).await;
            }
            tasks[victim].cancel(CancelKind::User);
            until(&cx, || pool.statistics().waiting == WAITERS - 1).await;
            held.release();
            let mut order = 0..;
            for (name, task) in tasks.into_iter().enumerate() {
                match task.await.into_result().unwrap() {
                    Ok(place) => assert_eq!(Some(place), order.next(), "{name}"),
                    Err(AcquireError::Cancelled(_)) => assert_eq!(name, victim),
                    Err(AcquireError::Closed) => panic!("nobody closed it"),
                }
            }
            let statistics = pool.statistics();
            assert_eq!((statistics.idle, statistics.waiting), (1, 0));
        }
    });
}

#[test]
fn the_pool_is_full_after_all_borrowers_are_cancelled() {
    const THINGS: usize = 3;
    everywhere(async |cx: Scope| {
        let pool = Pool::new(0..THINGS);
        let borrowers: Vec<_> = (0..2 * THINGS)
            .map(|n| {
                let pool = pool.clone();
                cx.spawn(async move |cx: Cx| {
                    if n % 2 == 0 {
                        let _loan = pool.get(&cx).await?;
                        cx.cancelled().await;
                    } else {
                        let mut lease = pool.lease(&cx, 1000 * SECOND).await?;
                        let _access = lease.access().unwrap();
                        cx.cancelled().await;
                    }
                    Ok::<_, AcquireError>(())
                })
            })
            .collect();
        until(&cx, || pool.statistics().waiting == THINGS).await;
        for borrower in &borrowers {
            borrower.cancel(CancelKind::User);
        }
        for borrower in borrowers {
            drop(borrower.await);
        }
        let now = pool.statistics();
        assert_eq!((now.idle, now.lent, now.waiting), (THINGS, 0, 0));
        assert_eq!((now.discarded, now.expired), (0, 0));
    });
}

#[test]
fn broken_things_are_discarded_and_panics_of_the_check_count_as_broken() {
    everywhere(async |cx: Scope| {
        let pool = Pool::with_check([1, 2, 3], |n| match n {
            0 => Health::Broken,
            9 => resume_unwind(Box::new("planted")),
            _ => Health::Good,
        });
        *pool.get(&cx).await.unwrap() = 0;
        *pool.get(&cx).await.unwrap() = 9;
        let now = pool.statistics();
        assert_eq!((now.idle, now.lent, now.discarded), (1, 0, 2));
        let last = pool.get(&cx).await.unwrap();
        let waiting = pool.clone();
        let waiter = cx.spawn(async move |cx: Cx| waiting.get(&cx).await.map(|loan| *loan));
        until(&cx, || pool.statistics().waiting == 1).await;
        last.discard();
        assert_eq!(
            pool.statistics().waiting,
            1,
            "what is broken is given to nobody"
        );
        pool.add(7);
        assert_eq!(waiter.await.into_result(), Ok(Ok(7)));
        pool.close();
        assert_eq!(pool.get(&cx).await.unwrap_err(), AcquireError::Closed);
    });
}

#[test]
fn a_panic_gives_a_loan_back() {
    everywhere(async |cx: Scope| {
        let pool = Pool::new([1]);
        let lent = pool.clone();
        let opened = cx.region(async |scope| {
            let task = scope.spawn(async move |cx: Cx| {
                let _loan = lent.get(&cx).await.unwrap();
                resume_unwind(Box::new("planted".to_owned()));
            });
            assert!(task.await.is_panicked());
        });
        assert!(opened.await.is_err());
        assert_eq!(pool.statistics().idle, 1);
    });
}

#[test]
fn a_lease_ends_at_its_instant() {
    in_lab(async |cx: Scope| {
        let pool = Pool::new([1]);
        let mut lease = pool.lease(&cx, 2 * SECOND).await.unwrap();
        let due = lease.deadline();
        assert_eq!(due, cx.now() + 2 * SECOND);
        *lease.access().unwrap() += 1;
        let loan = pool.get(&cx).await.unwrap();
        assert_eq!((cx.now(), *loan), (due, 2), "at that instant, not later");
        assert!(lease.is_expired());
        assert_eq!(lease.access().unwrap_err(), Expired);
        assert_eq!(lease.renew(due + SECOND), Err(Expired));
        drop(lease);
        assert_eq!(pool.statistics().lent, 1, "it gives nothing back twice");
        drop(loan);
        assert_eq!((pool.statistics().idle, pool.statistics().expired), (1, 1));
    });
}

#[test]
fn renewing_takes_the_later_deadline() {
    in_lab(async |cx: Scope| {
        let pool = Pool::new([1]);
        let start = cx.now();
        let mut lease = pool.lease(&cx, 2 * SECOND).await.unwrap();
        lease.renew(start + SECOND).unwrap();
        assert_eq!(lease.deadline(), start + 2 * SECOND, "never earlier");
        lease.renew(start + 3 * SECOND).unwrap();
        cx.sleep_until(start + 2 * SECOND).await.unwrap();
        assert!(lease.access().is_ok(), "the first alarm is void");
        let loan = pool.get(&cx).await.unwrap();
        assert_eq!(cx.now(), start + 3 * SECOND);
        drop(loan);

        // Given back early, its alarm is gone: nothing expires later.
        let lease = pool.lease(&cx, SECOND).await.unwrap();
        lease.release();
        let loan = pool.get(&cx).await.unwrap();
        cx.sleep(2 * SECOND).await.unwrap();
        assert_eq!((*loan, pool.statistics().expired), (1, 1));
    });
}

#[test]
fn a_thing_in_use_goes_back_when_the_use_ends() {
    in_lab(async |cx: Scope| {
        let pool = Pool::new([1]);
        let mut lease = pool.lease(&cx, SECOND).await.unwrap();
        let access = lease.access().unwrap();
        cx.sleep(2 * SECOND).await.unwrap();
        assert_eq!(
            pool.statistics().idle,
            0,
            "nobody takes it out of our hands"
        );
        Access::renew(&access, cx.now() + SECOND);
        drop(access);
        assert_eq!(pool.statistics().idle, 0, "renewed while in use");
        let access = lease.access().unwrap();
        cx.sleep(2 * SECOND).await.unwrap();
        drop(access);
        assert_eq!((pool.statistics().idle, pool.statistics().expired), (1, 1));
        assert!(lease.access().is_err());
    });
}

#[test]
fn an_expired_lease_is_a_promise_kept() {
    let runtime = Runtime::builder().current_thread().build().unwrap();
    let reported = runtime.block_on_report(async |cx: Scope| {
        let pool = Pool::new([1]);
        let lease = pool.lease(&cx, Duration::from_millis(1)).await.unwrap();
        drop(pool.get(&cx).await.unwrap());
        // Forgotten after its end: the thing is back, and so is the promise.
        std::mem::forget(lease);
        pool.statistics().idle
    });
    assert_eq!(reported.report.leaks.len(), 0);
    assert_eq!(reported.value.unwrap(), 1);
}

#[test]
fn a_forgotten_loan_is_reported() {
    let runtime = Runtime::builder().current_thread().build().unwrap();
    let pool = Pool::new([1]);
    let reported = runtime.block_on_report(async |cx: Scope| {
        std::mem::forget(pool.get(&cx).await.unwrap());
    });
    assert_eq!(reported.report.leaks.len(), 1);
}
