//! Tasks that stay on one thread, in both worlds.

mod worlds;

use asupersync::channel::oneshot;
use asupersync::{
    CancelKind, Cx, LabConfig, LabRuntime, Outcome, Runtime, Scope, Severity, SpawnError,
};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Barrier};
use std::thread::{self, ThreadId};
use std::time::Duration;
use worlds::everywhere;

/// Something that must not be touched by another thread.
struct Home(ThreadId, Rc<Cell<u32>>);

impl Home {
    fn new() -> Self {
        Home(thread::current().id(), Rc::default())
    }

    fn visit(&self) -> u32 {
        assert_eq!(thread::current().id(), self.0, "it moved");
        self.1.set(self.1.get() + 1);
        self.1.get()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        assert_eq!(thread::current().id(), self.0, "dropped elsewhere");
    }
}

#[test]
fn it_never_changes_its_thread_whoever_wakes_it() {
    everywhere(async |scope: Scope| {
        let starters: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(async |cx: Cx| {
                    let home = Home::new();
                    let (tx, mut rx) = oneshot::channel();
                    // It ends after its starter has moved to any other worker.
                    cx.spawn_local(async move |cx: Cx| {
                        for _ in 0..20 {
                            home.visit();
                            cx.yield_now().await.unwrap();
                            cx.sleep(Duration::from_micros(50)).await.unwrap();
                            home.visit();
                            // A task of anybody's, which wakes this one when it ends.
                            let peer = cx.spawn(async |cx: Cx| cx.yield_now().await.is_ok());
                            assert!(peer.await.into_result().unwrap());
                        }
                        assert_eq!(home.visit(), 41);
                        tx.send(()).unwrap();
                    });
                    rx.recv(&cx).await.unwrap();
                })
            })
            .collect();
        for starter in starters {
            starter.await.into_result().unwrap();
        }
    });
}

#[test]
fn the_body_of_the_root_may_start_some_and_join_them() {
    everywhere(async |scope: Scope| {
        let shared = Rc::new(Cell::new(0));
        let tasks: Vec<_> = (0..10)
            .map(|i| {
                let shared = shared.clone();
                scope.spawn_local(async move |cx: Cx| {
                    cx.yield_now().await.unwrap();
                    shared.set(shared.get() + i);
                    Rc::new(i)
                })
            })
            .collect();
        let mut sum = 0;
        for task in tasks {
            sum += *task.await.into_result().unwrap();
        }
        assert_eq!((sum, shared.get()), (45, 45));
    });
}

#[test]
fn it_is_cancelled_and_dropped_at_home() {
    everywhere(async |scope: Scope| {
        let home = Home::new();
        let (tx, mut began) = oneshot::channel();
        let waits = scope.spawn_local(async move |cx: Cx| {
            tx.send(()).unwrap();
            let stopped = cx.cancelled().await;
            home.visit();
            stopped.reason().kind
        });
        let unborn = Home::new();
        let never = scope.spawn_local(async move |_cx| unborn.visit());
        never.cancel(CancelKind::RaceLost);
        began.recv(&scope).await.unwrap();
        // From a thread that is not its own, where there is one.
        let waits = Arc::new(waits);
        let theirs = waits.clone();
        let canceller = scope.spawn(async move |_cx| theirs.cancel(CancelKind::RaceLost));
        canceller.await.into_result().unwrap();
        let waits = Arc::into_inner(waits).unwrap();
        assert_eq!(waits.await.into_result().unwrap(), CancelKind::RaceLost);
        assert!(matches!(never.await, Outcome::Cancelled(_)));
    });
}

#[test]
fn its_region_awaits_it_and_answers_for_its_panic() {
    everywhere(async |scope: Scope| {
        let ended = Rc::new(Cell::new(false));
        let tell = ended.clone();
        scope
            .region(async |inner: Scope| {
                inner.spawn_local(async move |cx: Cx| {
                    cx.sleep(Duration::from_millis(1)).await.unwrap();
                    tell.set(true);
                });
            })
            .await
            .unwrap();
        assert!(ended.get(), "the region closed before its task had ended");
        let reported = scope
            .region_report(
                asupersync::RegionOptions::default(),
                async |inner: Scope| {
                    inner.spawn_local(async |_cx| {
                        std::panic::resume_unwind(Box::new("on purpose"));
                    });
                },
            )
            .await
            .unwrap();
        assert_eq!(reported.report.severity, Severity::Panicked);
    });
}

#[test]
fn a_deaf_one_is_dropped_at_home_when_its_cleanup_budget_is_spent() {
    everywhere(async |scope: Scope| {
        let home = Home::new();
        let options = asupersync::RegionOptions {
            cleanup: Some(
                asupersync::types::policy::CleanupPolicy::default()
                    .capped(Duration::from_millis(5)),
            ),
            ..asupersync::RegionOptions::named("deaf")
        };
        let reported = scope
            .region_report(options, async |inner: Scope| {
                let (tx, mut rx) = oneshot::channel();
                inner.spawn_local(async move |_cx| {
                    home.visit();
                    tx.send(()).unwrap();
                    std::future::pending::<()>().await;
                    home.visit();
                });
                rx.recv(&inner).await.unwrap();
                inner.close();
            })
            .await
            .unwrap();
        assert_eq!(reported.report.abandoned.len(), 1);
    });
}

#[test]
fn a_thread_that_runs_no_tasks_is_told_so() {
    let runtime = Runtime::builder().worker_threads(2).build().unwrap();
    runtime
        .block_on(async |scope: Scope| {
            let refused = scope.spawn_blocking(|cx| {
                let task = cx.spawn_local(async |_cx| unreachable!("it has no thread"));
                matches!(task.refused(), Some(SpawnError::NoHome))
            });
            assert!(refused.await.into_result().unwrap());
        })
        .unwrap();
}

/// Two threads share a current-thread runtime; one runs all tasks, those of the
/// other's program too, and stays for those that must stay with it.
#[test]
fn a_thread_inside_block_on_stays_for_its_guests() {
    let runtime = &Runtime::builder().current_thread().build().unwrap();
    for _ in 0..20 {
        let both = &Barrier::new(2);
        thread::scope(|s| {
            for _ in 0..2 {
                s.spawn(move || {
                    runtime
                        .block_on(async |scope: Scope| {
                            // Each is inside before either is done.
                            both.wait();
                            scope.spawn(async |cx: Cx| {
                                let home = Home::new();
                                cx.spawn_local(async move |cx: Cx| {
                                    for _ in 0..3 {
                                        cx.sleep(Duration::from_millis(1)).await.unwrap();
                                        home.visit();
                                    }
                                });
                            });
                        })
                        .unwrap();
                });
            }
        });
    }
}

#[test]
fn the_lab_orders_local_tasks_by_its_seed() {
    let order = |seed| {
        let order = LabRuntime::new(LabConfig::default().seed(seed)).run(async |scope: Scope| {
            let order = Rc::new(RefCell::new(Vec::new()));
            for i in 0..6 {
                let order = order.clone();
                scope.spawn_local(async move |cx: Cx| {
                    cx.yield_now().await.unwrap();
                    order.borrow_mut().push(i);
                });
            }
            order
        });
        order.take()
    };
    assert_eq!(order(1), order(1));
    assert!(
        (2..10).any(|seed| order(seed) != order(1)),
        "one order only"
    );
}
