//! The shell on a bare world: one queue, a clock that jumps, nothing else.

use crate::cx::{Cx, RegionError, Scope, run_root};
use crate::exec::drive::Reported;
use crate::exec::region::{Child, RegionOptions};
use crate::exec::state::{self, AfterPoll, Wake};
use crate::exec::{cancel, lock};
use crate::kernel::region::Role;
use crate::types::cancel::{CancelKind, CancelReason};
use crate::types::event::Event;
use crate::types::id::TaskId;
use crate::types::obligation::LeakResponse;
use crate::types::outcome::{Outcome, Severity};
use crate::types::policy::Policy;
use crate::types::time::Time;
use crate::world::timers::Timers;
use crate::world::{Hint, Job, Net, Runnable, Shutdown, Signals, TimerKey, World};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

#[derive(Default)]
struct Bare {
    queue: Mutex<VecDeque<Runnable>>,
    timers: Mutex<Timers>,
    now: Mutex<Time>,
    shutdown: Shutdown,
    told: Mutex<Vec<String>>,
    signals: Signals,
}

impl World for Bare {
    fn now(&self) -> Time {
        *self.now.lock().unwrap()
    }
    fn entropy(&self, _: TaskId) -> u64 {
        4
    }
    fn enqueue(&self, task: Runnable, _: Hint) {
        self.queue.lock().unwrap().push_back(task);
    }
    fn timer_set(&self, due: Time, waker: &Waker) -> TimerKey {
        TimerKey {
            shard: 0,
            key: self.timers.lock().unwrap().set(due, waker.clone()),
        }
    }
    fn timer_update(&self, key: TimerKey, waker: &Waker) -> bool {
        match self.timers.lock().unwrap().waker_mut(key.key) {
            Some(w) => {
                w.clone_from(waker);
                true
            }
            None => false,
        }
    }
    fn timer_cancel(&self, key: TimerKey) -> bool {
        let removed = self.timers.lock().unwrap().cancel(key.key);
        removed.is_some()
    }
    fn offload(&self, job: Job) {
        job();
    }
    fn net(&self) -> &dyn Net {
        unimplemented_net()
    }
    fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }
    fn signals(&self) -> &Signals {
        &self.signals
    }
    fn records(&self) -> bool {
        false
    }
    fn emit(&self, _: Event) {}
    fn leak_response(&self) -> LeakResponse {
        LeakResponse::Panic
    }
    fn warn(&self, what: &dyn std::fmt::Display) {
        self.told.lock().unwrap().push(what.to_string());
    }
}

fn unimplemented_net() -> ! {
    panic!("the bare world has no network")
}

/// Runs a body to quiescence and checks that nothing is left.
fn run<T, Fut: Future<Output = T>>(body: impl FnOnce(Scope) -> Fut) -> Reported<T> {
    run_told(body).0
}

/// As [`run`], with what the world was told.
fn run_told<T, Fut: Future<Output = T>>(
    body: impl FnOnce(Scope) -> Fut,
) -> (Reported<T>, Vec<String>) {
    let bare = Arc::new(Bare::default());
    let world: Arc<dyn World> = bare.clone();
    let reported = run_root(&world, RegionOptions::default(), body, |root| {
        for _ in 0..100_000 {
            if root.is_complete() {
                return;
            }
            let next = bare.queue.lock().unwrap().pop_front();
            if let Some(task) = next {
                task.run();
                continue;
            }
            let due = bare.timers.lock().unwrap().next_due();
            let due = due.unwrap_or_else(|| panic!("deadlock: {:?}", root.live_tasks()));
            *bare.now.lock().unwrap() = due;
            loop {
                let fired = bare.timers.lock().unwrap().fire(due);
                let Some((_, waker)) = fired else { break };
                waker.wake();
            }
        }
        panic!("the run does not end: {:?}", root.live_tasks());
    });
    assert_eq!(
        bare.timers.lock().unwrap().len(),
        0,
        "no timer outlives the run"
    );
    let told = std::mem::take(&mut *bare.told.lock().unwrap());
    assert_eq!(
        bare.queue.lock().unwrap().len(),
        0,
        "nothing runs after the root has closed"
    );
    drop(world);
    assert_eq!(Arc::strong_count(&bare), 1, "no region or task is leaked");
    (reported, told)
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_region_awaits_its_children() {
    let ended = Arc::new(AtomicUsize::new(0));
    let e = ended.clone();
    let r = run(|cx| async move {
        cx.region(async |scope| {
            for i in 0..10 {
                let e = e.clone();
                scope.spawn(async move |cx: Cx| {
                    cx.sleep(secs(i)).await.unwrap();
                    e.fetch_add(1, Ordering::Relaxed);
                });
            }
        })
        .await
        .unwrap();
        assert_eq!(e.load(Ordering::Relaxed), 10);
        cx.now()
    });
    assert_eq!(r.value, Some(Time::from_nanos(9_000_000_000)));
    assert!(r.report.is_ok());
}

#[test]
fn handles_give_outcomes() {
    run(|cx| async move {
        let o = RegionOptions {
            policy: Policy::Collect,
            ..RegionOptions::default()
        };
        let body = async |cx: Scope| {
            let a = cx.spawn(async |_| 7);
            let b = cx.spawn(async |_| -> u8 { panic!("boom") });
            let c: crate::TaskHandle<(), String> = cx.try_spawn(async |_| Err("no".to_owned()));
            assert_eq!(a.await, Outcome::Ok(7));
            assert!(matches!(b.await, Outcome::Panicked(p) if p.message() == "boom"));
            assert_eq!(c.await, Outcome::Err("no".to_owned()));
        };
        let r = cx.region_report(o, body).await.unwrap();
        assert_eq!(r.report.severity, Severity::Panicked);
        assert_eq!(r.report.counts, [1, 1, 0, 1]);
    });
}

#[test]
fn a_failure_cancels_the_siblings_and_is_primary() {
    let r = run(|cx| async move {
        let r = cx
            .region(async |scope| {
                for _ in 0..9 {
                    scope.try_spawn(async |cx: Cx| cx.sleep(secs(100)).await);
                }
                scope.try_spawn::<(), _, _, _, _>(async |cx: Cx| {
                    cx.sleep(secs(1)).await.unwrap();
                    Err("origin")
                });
            })
            .await;
        let Err(RegionError::Ended(report)) = r else {
            panic!("{r:?}")
        };
        assert_eq!(report.counts, [0, 1, 9, 0]);
        assert_eq!(report.severity, Severity::Cancelled);
        assert_eq!(report.primary.unwrap().severity, Severity::Err);
        assert_eq!(cx.now(), Time::from_nanos(1_000_000_000));
    });
    assert!(
        r.report.is_ok(),
        "the failure was delivered to the opener: {}",
        r.report
    );
}

#[test]
fn a_deaf_task_is_dropped_and_named() {
    let r = run(|cx| async move {
        let o = RegionOptions {
            policy: Policy::Collect,
            ..RegionOptions::named("stubborn")
        };
        let r = cx
            .region_report(o, async |scope| {
                scope.task().name("deaf").spawn(async |cx: Cx| {
                    let _ = cx.checkpoint_note("entering the wait");
                    std::future::pending::<()>().await;
                });
                scope.sleep(secs(1)).await.unwrap();
                scope.cancel("enough");
            })
            .await
            .unwrap();
        assert_eq!(r.report.abandoned.len(), 1, "{}", r.report);
        let a = &r.report.abandoned[0];
        assert_eq!(
            (a.name.as_str(), a.last_checkpoint),
            ("deaf", Some("entering the wait"))
        );
        assert_eq!(a.after, secs(2));
    });
    assert!(r.report.is_ok());
}

#[test]
fn cleanup_runs_after_the_request_and_is_bounded() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let l = log.clone();
    run(|cx| async move {
        let l2 = l.clone();
        let h = cx.spawn(async move |cx: Cx| {
            let l3 = l2.clone();
            cx.defer_with(async move |cx: Cx| {
                cx.sleep(secs(1)).await.unwrap();
                l3.lock().unwrap().push("deferred");
            });
            assert!(cx.sleep(secs(100)).await.is_err());
            cx.cleanup().sleep(secs(1)).await.unwrap();
            l2.lock().unwrap().push("cleaned");
        });
        cx.sleep(secs(1)).await.unwrap();
        h.cancel(CancelKind::User);
        assert!(h.await.is_ok(), "a value wins");
        assert_eq!(cx.now(), Time::from_nanos(3_000_000_000));
    });
    assert_eq!(*log.lock().unwrap(), ["cleaned", "deferred"]);
}

#[test]
fn a_timeout_drains() {
    run(|cx| async move {
        let seen = Arc::new(AtomicUsize::new(0));
        let s = seen.clone();
        let r = cx
            .timeout(secs(2), async |scope| {
                for _ in 0..3 {
                    let s = s.clone();
                    scope.spawn(async move |cx: Cx| {
                        assert!(cx.sleep(secs(10)).await.is_err());
                        s.fetch_add(1, Ordering::Relaxed);
                    });
                }
                scope.sleep(secs(10)).await
            })
            .await;
        assert!(matches!(r, Err(crate::TimeoutError::Elapsed)), "{r:?}");
        assert_eq!(seen.load(Ordering::Relaxed), 3);
        assert_eq!(cx.now(), Time::from_nanos(2_000_000_000));
        let r = cx
            .timeout(secs(2), async |scope| scope.sleep(secs(1)).await)
            .await;
        assert!(matches!(r, Ok(Ok(()))), "{r:?}");
        // The body waits for a child, and it is the child that sees the request.
        let r = cx
            .timeout(secs(2), async |scope| {
                scope
                    .try_spawn(async |cx: Cx| cx.sleep(secs(10)).await)
                    .await
                    .is_ok()
            })
            .await;
        assert!(matches!(r, Err(crate::TimeoutError::Elapsed)), "{r:?}");
    });
}

#[test]
fn a_region_whose_future_is_dropped_is_drained_by_its_parent() {
    let cleaned = Arc::new(AtomicUsize::new(0));
    let c = cleaned.clone();
    let r = run(|cx| async move {
        let c2 = c.clone();
        let inner = cx.region(async move |scope| {
            let c3 = c2.clone();
            scope.defer_with(async move |cx: Cx| {
                cx.sleep(secs(1)).await.unwrap();
                c3.fetch_add(10, Ordering::Relaxed);
            });
            scope.spawn(async move |cx: Cx| {
                let _ = cx.sleep(secs(100)).await;
                cx.cleanup().sleep(secs(1)).await.unwrap();
                c2.fetch_add(1, Ordering::Relaxed);
            });
            scope.sleep(secs(50)).await
        });
        let r = cx.timeout_drop(secs(1), inner).await;
        assert!(matches!(r, Err(crate::TimeoutError::Elapsed)));
        assert_eq!(c.load(Ordering::Relaxed), 0);
    });
    assert_eq!(
        cleaned.load(Ordering::Relaxed),
        11,
        "the root closed after the orphan was drained"
    );
    assert!(r.report.is_ok(), "{}", r.report);
}

#[test]
fn cancel_reaches_every_depth_and_names_its_origin() {
    run(|cx| async move {
        let (tx, rx) = (Arc::new(Mutex::new(None)), ());
        let t = tx.clone();
        let r = cx
            .region(async |top| {
                top.spawn(async move |cx: Cx| {
                    let _ = cx
                        .region(async |mid| {
                            mid.spawn(async move |cx: Cx| {
                                let e = cx.sleep(secs(100)).await.unwrap_err();
                                *t.lock().unwrap() = Some(CancelReason::clone(e.reason()));
                            });
                        })
                        .await;
                });
                top.sleep(secs(1)).await.unwrap();
                top.cancel("the origin");
            })
            .await;
        let () = rx;
        assert!(r.is_ok(), "values win: {r:?}");
        let reason = tx.lock().unwrap().take().unwrap();
        assert_eq!(reason.root_cause().message.as_deref(), Some("the origin"));
        assert!(reason.chain().count() >= 3, "{reason}");
    });
}

#[test]
fn nothing_is_admitted_after_cancel_but_by_cleanup() {
    run(|cx| async move {
        let _ = cx
            .region(async |scope| {
                scope.cancel("stop");
                let h = scope.spawn(async |_| 1);
                assert!(h.refused().is_some());
                assert!(matches!(
                    scope.region(async |_| ()).await,
                    Err(RegionError::Cancelled(_))
                ));
                scope
                    .cleanup()
                    .region(async |s| s.sleep(secs(1)).await.unwrap())
                    .await
                    .unwrap();
            })
            .await;
    });
}

#[test]
fn a_shutdown_cancels_the_root() {
    let r = run(|cx| async move {
        cx.try_spawn(async |cx: Cx| cx.sleep(secs(100)).await);
        cx.sleep(secs(1)).await.unwrap();
        cx.world().shutdown().request();
        let e = cx.sleep(secs(100)).await.unwrap_err();
        assert!(e.reason().any_cause_is(CancelKind::Shutdown));
    });
    assert_eq!(r.report.severity, Severity::Cancelled);
    assert_eq!(r.report.reason.unwrap().kind, CancelKind::Shutdown);
}

#[test]
fn foreign_wakers_hear_about_cancellation() {
    run(|cx| async move {
        let h = cx.spawn(async |cx: Cx| {
            let (a, b) = futures::join!(cx.sleep(secs(100)), cx.sleep(secs(200)));
            assert!(a.is_err() && b.is_err());
            let mut set: futures::stream::FuturesUnordered<_> =
                (0..3).map(|_| cx.cancelled()).collect();
            let mut n = 0;
            while futures::StreamExt::next(&mut set).await.is_some() {
                n += 1;
            }
            n
        });
        let i = cx.spawn(async |cx: Cx| {
            let mut set: futures::stream::FuturesUnordered<_> =
                (0..3).map(|_| cx.sleep(secs(100))).collect();
            let mut n = 0;
            while futures::StreamExt::next(&mut set).await.is_some() {
                n += 1;
            }
            n
        });
        cx.sleep(secs(1)).await.unwrap();
        h.cancel("go");
        i.cancel("go");
        assert_eq!(h.await, Outcome::Ok(3));
        assert_eq!(i.await, Outcome::Ok(3));
        assert_eq!(cx.now(), Time::from_nanos(1_000_000_000));
    });
}

#[test]
fn a_cancel_before_the_first_poll_skips_the_body() {
    run(|cx| async move {
        let h = cx.spawn(async |_| panic!("never called"));
        h.cancel("early");
        assert!(
            matches!(h.await, Outcome::<(), _>::Cancelled(r) if r.message.as_deref() == Some("early"))
        );
    });
}

#[test]
fn blocking_work_is_a_task() {
    run(|cx| async move {
        assert_eq!(cx.spawn_blocking(|_| 5).await, Outcome::Ok(5));
        assert!(
            cx.spawn_blocking(|_| -> u8 { panic!("x") })
                .await
                .is_panicked()
        );
    });
}

#[test]
fn a_wake_during_a_poll_requeues_once() {
    let s = AtomicUsize::new(state::BIRTH);
    let _ = state::start(&s);
    assert_eq!(state::wake(&s), Wake::Nothing);
    assert_eq!(state::wake(&s), Wake::Nothing);
    assert_eq!(state::suspend(&s), AfterPoll::Requeue);
    let _ = state::start(&s);
    assert_eq!(state::suspend(&s), AfterPoll::Released);
    assert_eq!(state::wake(&s), Wake::Enqueue);
    assert_eq!(state::wake(&s), Wake::Nothing);
    assert!(
        !state::release(&s, 1) && state::release(&s, 2),
        "three of four references are left"
    );
}

#[test]
fn the_last_reference_is_left_to_its_owner() {
    let s = AtomicUsize::new(state::SCHEDULED | state::STARTED | state::REF);
    let _ = state::start(&s);
    assert_eq!(state::suspend(&s), AfterPoll::Drop);
    assert!(state::release(&s, 1));
}

#[test]
fn a_completed_task_ignores_wakes() {
    let s = AtomicUsize::new(state::BIRTH);
    let _ = state::start(&s);
    let before = state::complete(&s, 0);
    assert_eq!(before & state::HANDLE, state::HANDLE);
    assert_eq!(state::wake(&s), Wake::Nothing);
    let freed: Vec<bool> = (0..4).map(|_| state::release(&s, 1)).collect();
    // The last is not taken away: who has it frees.
    assert_eq!(freed, [false, false, false, true]);
}

#[test]
fn children_asked_together_keep_no_record_of_it() {
    let reported = run(|cx| async move {
        let waits = async |cx: Cx| cx.cancelled().await.reason().clone();
        let handles = [cx.spawn(waits), cx.spawn(waits), cx.spawn(waits)];
        cx.yield_now().await.expect("nobody cancels");
        cx.cancel("enough");
        for handle in handles {
            let task = handle.task().expect("it was admitted").clone();
            let reason = handle.await.into_result().expect("a value wins");
            assert_eq!(reason.kind, CancelKind::ParentCancelled);
            assert_eq!(reason.root_cause().message.as_deref(), Some("enough"));
            let bits = task.state();
            assert_eq!(bits & state::CONTROL, 0, "it allocated a control");
            assert_ne!(bits & state::SEEN, 0);
            assert_eq!(task.reason().as_deref(), Some(&reason));
        }
    });
    assert!(reported.panic.is_none(), "{:?}", reported.panic);
}

/// A region that stands among the children of one of its own: no program makes one.
#[cfg(debug_assertions)]
#[test]
fn a_cycle_in_the_tree_is_told_and_the_request_arrives_all_the_same() {
    let (_, told) = run_told(|cx| async move {
        let reported = cx
            .region_report(RegionOptions::named("outer"), async |outer| {
                let child = outer.spawn(async |cx: Cx| cx.cancelled().await.reason().kind);
                outer.yield_now().await.unwrap();
                let inner = outer.region_report(RegionOptions::named("inner"), async |inner| {
                    let (above, below) = (outer.region_cell(), inner.region_cell());
                    let seat = {
                        let mut ledger = lock(&below.ledger);
                        let admitted = ledger.record.admit_region(Role::Foreground, false);
                        admitted.unwrap();
                        ledger.children.take(Child::Region(above.clone()))
                    };
                    cancel::cancel_region(above, CancelReason::new(CancelKind::User));
                    let mut ledger = lock(&below.ledger);
                    let gone = ledger.children.leave(seat);
                    let next = ledger.record.region_ended(Role::Foreground);
                    drop(ledger);
                    drop((gone, next));
                    assert!(inner.checkpoint().is_err(), "the request has reached it");
                });
                inner.await.unwrap();
                child.await.into_result().unwrap()
            })
            .await;
        assert_eq!(reported.unwrap().value, Some(CancelKind::ParentCancelled));
    });
    let outer = "Region(R1)";
    assert!(
        told.len() == 1 && told[0].contains(outer) && told[0].contains("its tree is none"),
        "{told:?}"
    );
}

#[test]
fn what_a_task_opened_is_asked_once_from_wherever_a_request_comes() {
    /// Whom to ask.
    #[derive(Clone, Copy, Debug)]
    enum Ask {
        Task,
        Region,
    }
    for ask in [Ask::Task, Ask::Region] {
        let (reported, told) = run_told(|cx| async move {
            let opened = cx.region_report(RegionOptions::named("home"), async |home| {
                let task = home.spawn(async |cx: Cx| {
                    let nested = cx.region(async |a| {
                        let b = a.region(async |b| {
                            let c = b.spawn(async |cx: Cx| cx.cancelled().await.reason().kind);
                            c.await.into_result().unwrap()
                        });
                        b.await
                    });
                    nested.await
                });
                for _ in 0..3 {
                    home.yield_now().await.unwrap();
                }
                match ask {
                    Ask::Task => task.cancel("enough"),
                    Ask::Region => home.cancel("enough"),
                }
                task.await.is_ok()
            });
            opened.await.unwrap()
        });
        assert_eq!(reported.value.and_then(|r| r.value), Some(true), "{ask:?}");
        assert!(told.is_empty(), "{ask:?}: {told:?}");
    }
}

#[test]
fn the_front_of_a_task_stays_small() {
    // A million tasks have a million of them: what few tasks need belongs in the control.
    assert_eq!(size_of::<super::task::Head>(), 96);
    assert_eq!(size_of::<crate::TaskHandle<u32>>(), 16);
}
