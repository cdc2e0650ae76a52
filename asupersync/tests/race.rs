//! `race!`, `Cx::race` and `join!`: who wins, and that nothing is left of the others.

use asupersync::channel::{mpsc, oneshot};
use asupersync::combine::{Arm, Winner};
use asupersync::kernel::region::RegionState;
use asupersync::{CancelKind, Cancelled, Cx, LabConfig, LabRuntime, Runtime, Scope, join, race};
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn, ready};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

mod worlds;
use worlds::{everywhere, in_lab, until};

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

async fn nap<T>(cx: &Cx, d: Duration, value: T) -> Option<T> {
    cx.sleep(d).await.ok().map(|()| value)
}

#[test]
fn the_first_to_end_wins_and_bodies_may_borrow() {
    in_lab(async |cx: Scope| {
        let name = String::from("b");
        let not_sync = Cell::new(0);
        let start = cx.now();
        let won = race!(
            &cx,
            |s| nap(s, secs(3), "a"),
            |s| async {
                not_sync.set(not_sync.get() + 1);
                nap(s, secs(2), name.as_str()).await
            },
            |s| nap(s, secs(9), "c"),
        )
        .await
        .unwrap();
        assert_eq!((won.index, won.value), (1, Some("b")));
        assert_eq!(not_sync.get(), 1);
        assert_eq!(
            cx.now().since(start),
            secs(2),
            "losers that react at once cost no time"
        );
        assert_eq!(won.reports.len(), 3);
        let lost = won.reports[0].as_ref().unwrap();
        assert_eq!(lost.reason.as_ref().unwrap().kind, CancelKind::RaceLost);
        assert!(won.reports[1].as_ref().unwrap().reason.is_none());
    });
}

#[test]
fn losers_are_awaited_with_all_they_started() {
    in_lab(async |cx: Scope| {
        let cleaned = Arc::new(AtomicU32::new(0));
        let (tx, _rx) = mpsc::channel::<u8>(1);
        let start = cx.now();
        let won = race!(&cx, |s| nap(s, secs(1), 1), |s| async {
            let cleaned = cleaned.clone();
            drop(s.spawn(async move |cx| {
                cx.cancelled().await;
                cx.cleanup().sleep(secs(1)).await.unwrap();
                cleaned.fetch_add(1, Ordering::Relaxed);
            }));
            // Held when the race is lost, and given back by its drop.
            let _permit = tx.reserve(s).await.unwrap();
            nap(s, secs(100), 2).await
        })
        .await
        .unwrap();
        assert_eq!(won.value, Some(1));
        assert_eq!(
            cleaned.load(Ordering::Relaxed),
            1,
            "the race waited for the loser's task"
        );
        assert_eq!(
            cx.now().since(start),
            secs(2),
            "winner plus the slowest loser's cleanup"
        );
        assert_eq!(tx.statistics().reserved, 0);
    });
}

#[test]
fn a_loser_that_goes_on_is_cut_off_when_its_cleanup_budget_ends() {
    // Both forms, with a winner at one second and a loser that would take an hour to say goodbye.
    let slow = async |cx: &Cx| {
        cx.cancelled().await;
        drop(cx.cleanup().sleep(secs(3600)).await);
    };
    in_lab(async |cx: Scope| {
        let start = cx.now();
        let won = race!(&cx, |s| async { drop(s.sleep(secs(1)).await) }, |s| slow(s)).await;
        assert_eq!(won.unwrap().index, 0);
        assert_eq!(
            cx.now().since(start),
            secs(1 + 3),
            "the bound that the documentation gives"
        );
        let start = cx.now();
        let arms = [
            Arm::new(async |cx: Cx| drop(cx.sleep(secs(1)).await)),
            Arm::new(async move |cx: Cx| slow(&cx).await),
        ];
        assert_eq!(cx.race(arms).await.unwrap().index, 0);
        assert_eq!(
            cx.now().since(start),
            secs(1 + 2),
            "the arm's region is cancelled because its task is"
        );
    });
}

#[test]
fn a_tie_goes_to_the_lower_index_and_the_rest_need_not_begin() {
    everywhere(async |cx: Scope| {
        let began = Cell::new(0);
        let won = race!(&cx, |_s| ready('a'), |_s| async {
            began.set(1);
            'b'
        })
        .await
        .unwrap();
        assert_eq!((won.index, won.value, began.get()), (0, 'a', 0));
        assert!(won.reports[1].is_none());
    });
    in_lab(async |cx: Scope| {
        let won = race!(&cx, |s| nap(s, secs(1), 'a'), |s| nap(s, secs(1), 'b'))
            .await
            .unwrap();
        assert_eq!((won.index, won.value), (0, Some('a')));
    });
}

#[test]
fn a_race_cancelled_from_outside_has_no_winner() {
    everywhere(async |cx: Scope| {
        let region = cx.region(async |scope| {
            let (started, mut start) = oneshot::channel();
            let racing = scope.spawn(async move |cx: Cx| {
                let ended = AtomicU32::new(0);
                let race = race!(
                    &cx,
                    |s| async {
                        s.cancelled().await;
                        s.cleanup().sleep(Duration::from_millis(10)).await.unwrap();
                        ended.fetch_add(1, Ordering::Relaxed);
                    },
                    |s| async {
                        // The first has begun as well: an arm that has not is refused.
                        started.send(()).unwrap();
                        s.cancelled().await;
                        ended.fetch_add(1, Ordering::Relaxed);
                    },
                );
                let result: Result<Winner<()>, Cancelled> = race.await;
                assert_eq!(ended.load(Ordering::Relaxed), 2, "both arms were awaited");
                result.map(|w| w.index).map_err(|c| c.reason().kind)
            });
            start.recv(&scope).await.unwrap();
            racing.cancel(CancelKind::User);
            assert_eq!(racing.await.into_result().unwrap(), Err(CancelKind::User));
        });
        region.await.unwrap();
    });
}

#[test]
fn a_race_begun_too_late_is_refused() {
    in_lab(async |cx: Scope| {
        let region = cx.region(async |scope: Scope| {
            scope.cancel(CancelKind::Timeout);
            let result = race!(&scope, |_s| ready(1), |_s| ready(2)).await;
            assert_eq!(result.unwrap_err().reason().kind, CancelKind::Timeout);
            // While cleaning up one may still race.
            let won = race!(scope.cleanup(), |_s| ready(1), |_s| ready(2))
                .await
                .unwrap();
            assert_eq!(won.value, 1);
        });
        region.await.unwrap();
    });
}

#[test]
fn a_race_of_nobody_ends_only_by_cancellation() {
    in_lab(async |cx: Scope| {
        let elapsed = cx
            .timeout(secs(5), async |scope: Scope| {
                let result: Result<Winner<()>, Cancelled> = race!(&scope).await;
                result.unwrap_err();
                let result = scope.race(Vec::<Arm<()>>::new()).await;
                result.unwrap_err();
            })
            .await;
        assert!(
            matches!(elapsed, Err(asupersync::TimeoutError::Elapsed)),
            "{elapsed:?}"
        );
    });
}

/// The message with which `body` ends in a panic.
fn panic_of(body: impl AsyncFnOnce(Scope)) -> String {
    let lab = LabRuntime::new(LabConfig::default().seed(1));
    match lab.try_run(body) {
        Err(asupersync::lab::LabFailure::BodyPanic(panic)) => panic.message().to_owned(),
        other => panic!("expected a panic of the body, got {other:?}"),
    }
}

#[test]
fn a_panic_is_raised_once_all_arms_have_ended() {
    let ended = Rc::new(Cell::new(false));
    let seen = ended.clone();
    let said = panic_of(async |cx: Scope| {
        let _ = race!(
            &cx,
            |s| async {
                s.cancelled().await;
                s.cleanup().sleep(secs(1)).await.unwrap();
                seen.set(true);
            },
            |_s| async { panic!("first") },
        )
        .await;
    });
    assert_eq!(said, "first");
    assert!(ended.get(), "the other arm was awaited before");

    let said = panic_of(async |cx: Scope| {
        let _ = race!(
            &cx,
            |s| async {
                s.cancelled().await;
                panic!("while cleaning up")
            },
            |s| async {
                s.yield_now().await.unwrap();
            },
        )
        .await;
    });
    assert_eq!(said, "while cleaning up");
}

#[test]
fn tasks_race_in_parallel_and_the_losers_are_drained() {
    everywhere(async |cx: Scope| {
        let alive = Arc::new(AtomicU32::new(0));
        let arms = (0..10u32).map(|n| {
            let alive = alive.clone();
            Arm::new(async move |cx: Cx| {
                alive.fetch_add(1, Ordering::SeqCst);
                // One that never ends on its own, also among what the arms start.
                let inner = alive.clone();
                drop(cx.spawn_daemon(async move |cx| {
                    inner.fetch_add(1, Ordering::SeqCst);
                    cx.cancelled().await;
                    inner.fetch_sub(1, Ordering::SeqCst);
                }));
                cx.yield_now().await.ok();
                if n != 6 {
                    let reason = cx.cancelled().await;
                    assert!(reason.reason().any_cause_is(CancelKind::RaceLost));
                }
                alive.fetch_sub(1, Ordering::SeqCst);
                n
            })
        });
        let won = cx.race(arms).await.unwrap();
        assert_eq!((won.index, won.value), (6, 6));
        assert_eq!(alive.load(Ordering::SeqCst), 0, "everything has ended");
    });
}

#[test]
fn a_race_of_tasks_cancelled_from_outside_has_no_winner() {
    everywhere(async |cx: Scope| {
        let ended = Arc::new(AtomicU32::new(0));
        let (inside, begun) = (ended.clone(), Arc::new(AtomicU32::new(0)));
        let waits = begun.clone();
        let racing = cx.spawn(async move |cx: Cx| {
            let arms = (0..3).map(|_| {
                let (ended, begun) = (inside.clone(), begun.clone());
                Arm::new(async move |cx: Cx| {
                    begun.fetch_add(1, Ordering::SeqCst);
                    cx.cancelled().await;
                    cx.cleanup().yield_now().await.unwrap();
                    ended.fetch_add(1, Ordering::SeqCst);
                })
            });
            let result = cx.race(arms).await;
            let all = inside.load(Ordering::SeqCst);
            (
                result
                    .map(|won| won.index)
                    .map_err(|c| c.reason().root_cause().kind),
                all,
            )
        });
        until(&cx, || waits.load(Ordering::SeqCst) == 3).await;
        racing.cancel(CancelKind::User);
        let ended = racing.await.into_result().unwrap();
        assert_eq!(ended, (Err(CancelKind::User), 3), "all arms were awaited");
    });
}

#[test]
fn a_panic_in_a_race_of_tasks_is_raised_once_all_arms_have_ended() {
    let ended = Arc::new(AtomicU32::new(0));
    let seen = ended.clone();
    let said = panic_of(async |cx: Scope| {
        let arms = [
            Arm::new(async move |cx: Cx| {
                cx.cancelled().await;
                cx.cleanup().sleep(secs(1)).await.unwrap();
                seen.fetch_add(1, Ordering::Relaxed);
            }),
            Arm::new(async |_cx: Cx| panic!("an arm's")),
        ];
        let _ = cx.race(arms).await;
    });
    assert_eq!(said, "an arm's");
    assert_eq!(
        ended.load(Ordering::Relaxed),
        1,
        "the other was awaited before"
    );
}

#[test]
fn join_polls_all_in_place_and_keeps_the_order() {
    in_lab(async |cx: Scope| {
        let start = cx.now();
        let shared = RefCell::new(Vec::new());
        let note = async |d: u64| {
            cx.sleep(secs(d)).await.unwrap();
            shared.borrow_mut().push(d);
            d
        };
        let (a, b, c) = join!(note(3), note(1), note(2));
        assert_eq!((a, b, c), (3, 1, 2));
        assert_eq!(*shared.borrow(), [1, 2, 3]);
        assert_eq!(cx.now().since(start), secs(3));
        assert_eq!(join!(), ());
        assert_eq!(join!(ready(1)), (1,));
        // All are awaited, whatever they return.
        let (failed, rest) = join!(ready(Err::<(), _>("no")), note(1));
        assert_eq!((failed, rest), (Err("no"), 1));
    });
}

#[test]
fn races_and_joins_are_send_when_their_arms_are() {
    fn check(_: impl Send) {}
    async fn body(cx: &Cx) {
        let name = String::new();
        let _ = race!(cx, |s| nap(s, secs(1), &name), |s| nap(s, secs(2), &name)).await;
        join!(nap(cx, secs(1), 1), ready(2));
    }
    everywhere(async |cx: Scope| check(body(&cx)));
}

/// Wakes whom it stands for, and holds whoever wakes it up until a region is closed.
struct Delays {
    task: Waker,
    region: Scope,
    closed: Arc<AtomicU32>,
}

impl Wake for Delays {
    fn wake(self: Arc<Self>) {
        self.task.wake_by_ref();
        let start = Instant::now();
        while self.region.state() != RegionState::Closed && start.elapsed() < secs(10) {
            std::thread::yield_now();
        }
        let closed = self.region.state() == RegionState::Closed;
        self.closed.fetch_add(u32::from(closed), Ordering::SeqCst);
    }
}

/// A request reaches the tasks of the arms before it reaches their regions. Here it
/// gets no further than the last task before the first arm has ended, whose region
/// is Closed without having heard of it. In the lab a request is one step, so this
/// is for threads.
#[test]
fn an_arm_whose_task_alone_has_heard_of_the_request_does_not_win() {
    // More than are asked at once: the first are told before the last is asked.
    const ARMS: u32 = 130;
    let runtime = Runtime::builder().worker_threads(2).build().unwrap();
    for _ in 0..10 {
        let (closed, begun) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let first = Arc::new(OnceLock::<Scope>::new());
        let (seen, waiting) = (closed.clone(), begun.clone());
        let run = runtime.block_on(async |cx: Scope| {
            let racing = cx.spawn(async move |cx: Cx| {
                let arms = (0..ARMS).map(|n| {
                    let (begun, closed, first) = (begun.clone(), closed.clone(), first.clone());
                    Arm::new(async move |cx: Cx| {
                        if n == 0 {
                            first.set(cx.scope().unwrap()).unwrap();
                        }
                        if n < ARMS - 1 {
                            begun.fetch_add(1, Ordering::SeqCst);
                            cx.cancelled().await;
                            return;
                        }
                        until(&cx, || first.get().is_some()).await;
                        let mut wait = pin!(cx.cancelled());
                        let mut counted = false;
                        poll_fn(|task| {
                            let waker = Waker::from(Arc::new(Delays {
                                task: task.waker().clone(),
                                region: first.get().unwrap().clone(),
                                closed: closed.clone(),
                            }));
                            let polled = wait.as_mut().poll(&mut Context::from_waker(&waker));
                            if !std::mem::replace(&mut counted, true) {
                                begun.fetch_add(1, Ordering::SeqCst);
                            }
                            polled
                        })
                        .await;
                    })
                });
                let raced = cx.race(arms).await;
                raced.map(|won| won.index)
            });
            until(&cx, || waiting.load(Ordering::SeqCst) == ARMS).await;
            // From a thread of its own, which may be held up.
            let asks = std::thread::spawn(move || {
                racing.cancel(CancelKind::User);
                racing
            });
            until(&cx, || asks.is_finished()).await;
            asks.join().unwrap().await.into_result().unwrap()
        });
        assert_ne!(seen.load(Ordering::SeqCst), 0, "the order was another");
        let kind = run.unwrap().map_err(|c| c.reason().root_cause().kind);
        assert_eq!(kind, Err(CancelKind::User));
    }
}
