//! The production world, driven through the public API.

use asupersync::{Cx, ErrorKind, RegionError, Runtime, Scope, Severity};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// Both flavours, under a name for messages.
fn flavours() -> Vec<(&'static str, Runtime)> {
    vec![
        (
            "current thread",
            Runtime::builder().current_thread().build().unwrap(),
        ),
        (
            "one worker",
            Runtime::builder().worker_threads(1).build().unwrap(),
        ),
        (
            "two workers",
            Runtime::builder().worker_threads(2).build().unwrap(),
        ),
        (
            "four workers",
            Runtime::builder().worker_threads(4).build().unwrap(),
        ),
    ]
}

#[test]
fn spawned_tasks_all_run() {
    for (name, runtime) in flavours() {
        let sum = runtime.block_on(async |scope: Scope| {
            let tasks: Vec<_> = (0..10_000usize)
                .map(|i| scope.spawn(async move |_cx| i))
                .collect();
            let mut sum = 0;
            for task in tasks {
                sum += task.await.into_result().unwrap();
            }
            sum
        });
        assert_eq!(sum.unwrap(), 9_999 * 10_000 / 2, "{name}");
    }
}

#[test]
fn tasks_spawned_by_tasks_all_run() {
    fn tree(cx: Cx, depth: u32, leaves: Arc<AtomicUsize>) {
        if depth == 0 {
            leaves.fetch_add(1, Ordering::Relaxed);
            return;
        }
        for _ in 0..2 {
            let leaves = leaves.clone();
            cx.spawn(async move |cx| tree(cx, depth - 1, leaves));
        }
    }
    for (name, runtime) in flavours() {
        let leaves = Arc::new(AtomicUsize::new(0));
        let counted = leaves.clone();
        runtime
            .block_on(async |scope: Scope| {
                scope.spawn(async move |cx| tree(cx, 12, counted));
            })
            .unwrap();
        assert_eq!(leaves.load(Ordering::Relaxed), 1 << 12, "{name}");
    }
}

/// A cell two tasks pass a turn through; every lost wake-up is a hang.
#[derive(Default)]
struct Turn {
    state: Mutex<(u64, [Option<std::task::Waker>; 2])>,
}

impl Turn {
    async fn wait(&self, side: usize) {
        std::future::poll_fn(|cx| {
            let mut state = self.state.lock().unwrap();
            if state.0 % 2 == side as u64 {
                return std::task::Poll::Ready(());
            }
            state.1[side] = Some(cx.waker().clone());
            std::task::Poll::Pending
        })
        .await;
    }

    fn pass(&self) {
        let waker = {
            let mut state = self.state.lock().unwrap();
            state.0 += 1;
            let side = (state.0 % 2) as usize;
            state.1[side].take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[test]
fn no_wake_up_is_lost_in_ping_pong() {
    const ROUNDS: usize = 50_000;
    for (name, runtime) in flavours() {
        let turn = Arc::new(Turn::default());
        let t = turn.clone();
        runtime
            .block_on(async |scope: Scope| {
                for side in 0..2 {
                    let turn = t.clone();
                    scope.spawn(async move |_cx| {
                        for _ in 0..ROUNDS {
                            turn.wait(side).await;
                            turn.pass();
                        }
                    });
                }
            })
            .unwrap();
        assert_eq!(turn.state.lock().unwrap().0, 2 * ROUNDS as u64, "{name}");
    }
}

#[test]
fn no_wake_up_is_lost_between_the_root_and_a_task() {
    const ROUNDS: usize = 5_000;
    for (_, runtime) in flavours() {
        let turn = Arc::new(Turn::default());
        let t = turn.clone();
        runtime
            .block_on(async |scope: Scope| {
                let theirs = t.clone();
                scope.spawn(async move |_cx| {
                    for _ in 0..ROUNDS {
                        theirs.wait(1).await;
                        theirs.pass();
                    }
                });
                for _ in 0..ROUNDS {
                    t.wait(0).await;
                    t.pass();
                }
            })
            .unwrap();
    }
}

#[test]
fn a_foreign_thread_wakes_tasks() {
    for (_, runtime) in flavours() {
        let turn = Arc::new(Turn::default());
        let theirs = turn.clone();
        let thread = std::thread::spawn(move || {
            // The thread takes the odd turns without being a task.
            let mut taken = 0;
            while taken < 2_000 {
                if theirs.state.lock().unwrap().0 % 2 == 1 {
                    theirs.pass();
                    taken += 1;
                } else {
                    std::thread::yield_now();
                }
            }
        });
        runtime
            .block_on(async |scope: Scope| {
                scope.spawn(async move |_cx| {
                    for _ in 0..2_000 {
                        turn.wait(0).await;
                        turn.pass();
                    }
                });
            })
            .unwrap();
        thread.join().unwrap();
    }
}

#[test]
fn timers_fire_in_order_and_on_time() {
    for (name, runtime) in flavours() {
        let fired = Arc::new(Mutex::new(Vec::new()));
        let all = fired.clone();
        let start = Instant::now();
        runtime
            .block_on(async |scope: Scope| {
                for ms in [30u64, 10, 20] {
                    let all = all.clone();
                    scope.spawn(async move |cx| {
                        cx.sleep(Duration::from_millis(ms)).await.unwrap();
                        all.lock().unwrap().push((ms, start.elapsed()));
                    });
                }
                // The root's timer belongs to no worker's shard.
                scope.sleep(Duration::from_millis(5)).await.unwrap();
            })
            .unwrap();
        let mut fired = fired.lock().unwrap();
        for (ms, after) in fired.iter() {
            assert!(*after >= Duration::from_millis(*ms), "{name}: {fired:?}");
        }
        if name.contains("workers") {
            // Each may fire on a thread of its own, which the system may not have run in time.
            fired.sort_unstable();
        }
        let order: Vec<_> = fired.iter().map(|(ms, _)| *ms).collect();
        assert_eq!(order, [10, 20, 30], "{name}");
    }
}

#[test]
fn a_busy_loop_of_yields_starves_neither_timers_nor_tasks() {
    for (name, runtime) in flavours() {
        let stop = Arc::new(AtomicUsize::new(0));
        let s = stop.clone();
        runtime
            .block_on(async |scope: Scope| {
                for _ in 0..8 {
                    let s = s.clone();
                    scope.spawn(async move |cx: Cx| {
                        while s.load(Ordering::Relaxed) == 0 {
                            cx.yield_now().await.unwrap();
                        }
                    });
                }
                let timer = scope.spawn(async |cx: Cx| cx.sleep(Duration::from_millis(10)).await);
                timer.await.into_result().unwrap().unwrap();
                s.store(1, Ordering::Relaxed);
            })
            .unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

#[test]
fn cancelling_many_tasks_drains_them_all() {
    for (name, runtime) in flavours() {
        let reported = runtime.block_on_report(async |cx: Scope| {
            let r = cx
                .region_report(asupersync::RegionOptions::named("crowd"), async |scope| {
                    for _ in 0..2_000 {
                        scope.spawn(async |cx: Cx| cx.cancelled().await);
                    }
                    scope.close();
                })
                .await
                .unwrap();
            r.report.ended()
        });
        assert_eq!(reported.value, Some(2_000), "{name}");
        assert!(reported.report.is_ok(), "{name}: {}", reported.report);
    }
}

#[test]
fn a_panicking_task_leaves_the_worker_alive() {
    std::panic::set_hook(Box::new(|_| {}));
    let runtime = Runtime::builder().worker_threads(1).build().unwrap();
    let reported = runtime.block_on_report(async |cx: Scope| {
        for _ in 0..500 {
            let r = cx
                .region(async |scope| {
                    scope.spawn(async |_cx| panic!("on purpose"));
                })
                .await;
            assert!(matches!(r, Err(RegionError::Ended(r)) if r.severity == Severity::Panicked));
        }
        cx.spawn(async |_cx| 5).await.into_result().unwrap()
    });
    let _ = std::panic::take_hook();
    assert_eq!(reported.value, Some(5));
}

#[test]
fn blocking_work_leaves_the_workers_free() {
    for (_, runtime) in flavours() {
        runtime
            .block_on(async |scope: Scope| {
                let (tx, rx) = mpsc::channel();
                let blocked = scope.spawn_blocking(move |_cx| rx.recv().unwrap());
                // With one thread only the pool can be waiting while this task runs.
                scope.spawn(async move |_cx| tx.send(7).unwrap());
                assert_eq!(blocked.await.into_result().unwrap(), 7);
            })
            .unwrap();
    }
}

#[test]
fn two_threads_share_a_runtime() {
    for (name, runtime) in flavours() {
        std::thread::scope(|s| {
            for i in 0..3u64 {
                let runtime = &runtime;
                s.spawn(move || {
                    let doubled = runtime.block_on(async |scope: Scope| {
                        let mut last = 0;
                        for _ in 0..200 {
                            last = scope
                                .spawn(async move |cx: Cx| {
                                    cx.yield_now().await.unwrap();
                                    2 * i
                                })
                                .await
                                .into_result()
                                .unwrap();
                        }
                        last
                    });
                    assert_eq!(doubled.unwrap(), 2 * i, "{name}");
                });
            }
        });
    }
}

#[test]
fn the_body_may_borrow_and_its_panic_is_raised() {
    let runtime = Runtime::builder().current_thread().build().unwrap();
    let mut seen = vec![1];
    runtime
        .block_on(async |_scope: Scope| seen.push(2))
        .unwrap();
    assert_eq!(seen, [1, 2]);
    let raised = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(async |_scope: Scope| std::panic::resume_unwind(Box::new("up")))
    }));
    assert!(raised.is_err());
    // The runtime is fit for another run.
    assert_eq!(runtime.block_on(async |_scope: Scope| 3).unwrap(), 3);
}

#[test]
fn waiting_for_itself_is_refused() {
    for (name, runtime) in flavours() {
        let runtime = Arc::new(runtime);
        let inner = runtime.clone();
        let refused = runtime.block_on(async move |scope: Scope| {
            let task = scope.spawn(async move |_cx| {
                let call = || inner.block_on(async |_scope: Scope| ());
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).is_err()
            });
            task.await.into_result().unwrap()
        });
        assert!(refused.unwrap(), "{name}");
    }
}

#[test]
fn another_runtime_may_be_used_inside() {
    let outer = Runtime::builder().worker_threads(1).build().unwrap();
    let sum = outer.block_on(async |scope: Scope| {
        let task = scope.spawn(async |_cx| {
            let inner = Runtime::builder().current_thread().build().unwrap();
            inner.block_on(async |scope: Scope| {
                scope.spawn(async |_cx| 4).await.into_result().unwrap()
            })
        });
        task.await.into_result().unwrap().unwrap()
    });
    assert_eq!(sum.unwrap(), 4);
}

#[test]
fn hooks_run_on_every_worker() {
    let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let (a, b) = (counts.clone(), counts.clone());
    let hooked = || {
        let (a, b) = (a.clone(), b.clone());
        Runtime::builder()
            .on_worker_start(move || _ = a[0].fetch_add(1, Ordering::SeqCst))
            .on_worker_stop(move || _ = b[1].fetch_add(1, Ordering::SeqCst))
    };
    let read = || {
        (
            counts[0].load(Ordering::SeqCst),
            counts[1].load(Ordering::SeqCst),
        )
    };
    drop(hooked().worker_threads(3).build().unwrap());
    assert_eq!(read(), (3, 3));
    let runtime = hooked().current_thread().build().unwrap();
    assert_eq!(read(), (3, 3), "nobody works outside block_on");
    let seen = counts.clone();
    runtime
        .block_on(async |_scope: Scope| assert_eq!(seen[0].load(Ordering::SeqCst), 4))
        .unwrap();
    assert_eq!(read(), (4, 4));
}

#[test]
fn a_builder_refuses_what_cannot_work() {
    let refused = |b: asupersync::runtime::Builder| b.build().unwrap_err();
    assert_eq!(
        refused(Runtime::builder().worker_threads(0)).kind(),
        ErrorKind::Config
    );
    assert_eq!(
        refused(Runtime::builder().worker_threads(1 << 20)).kind(),
        ErrorKind::Config
    );
    assert_eq!(
        refused(Runtime::builder().blocking_threads(0)).kind(),
        ErrorKind::Config
    );
    let starving = asupersync::runtime::StreakLimits {
        cancel: 33,
        ..Default::default()
    };
    assert_eq!(
        refused(Runtime::builder().streak_limits(starving)).kind(),
        ErrorKind::Config
    );
    assert_eq!(
        refused(Runtime::builder().thread_name("a\0b")).kind(),
        ErrorKind::Config
    );
}

#[test]
fn a_runtime_may_be_dropped_on_its_own_worker() {
    let runtime = Runtime::builder().worker_threads(1).build().unwrap();
    let (tx, rx) = mpsc::channel::<()>();
    struct Told(mpsc::Sender<()>);
    let runtime = Arc::new(runtime);
    let (last, told) = (runtime.clone(), Told(tx));
    let (gone_tx, gone_rx) = mpsc::channel::<()>();
    runtime
        .block_on(async move |scope: Scope| {
            scope.spawn_blocking(move |_cx| {
                // The last owner is this job, on a thread of the runtime.
                gone_rx.recv().ok();
                drop(last);
                drop(told.0);
            });
            gone_tx.send(()).unwrap();
        })
        .unwrap();
    drop(runtime);
    assert!(rx.recv().is_err(), "the drop returned");
}

#[test]
fn shutdown_reports_nothing_when_nothing_is_stuck() {
    for (name, runtime) in flavours() {
        runtime
            .block_on(async |scope: Scope| drop(scope.spawn_blocking(|_cx| ()).await))
            .unwrap();
        let report = runtime.shutdown_timeout(Duration::from_secs(5));
        assert!(report.is_clean(), "{name}: {report:?}");
        assert_eq!(report.discarded_tasks, 0);
    }
}

#[test]
fn a_thread_that_does_not_end_is_named() {
    let (release, wait) = mpsc::channel::<()>();
    let runtime = Runtime::builder()
        .worker_threads(2)
        .thread_name("stuck")
        .on_worker_stop({
            let wait = Mutex::new(Some(wait));
            // The first worker to end has something else to do.
            move || {
                let wait = wait.lock().unwrap().take();
                if let Some(wait) = wait {
                    let _ = wait.recv();
                }
            }
        })
        .build()
        .unwrap();
    let report = runtime.shutdown_timeout(Duration::from_millis(20));
    release.send(()).unwrap();
    assert_eq!(
        report.stuck_workers + report.stuck_blocking,
        report.stuck_threads.len()
    );
    assert!(
        !report.is_clean()
            && report
                .stuck_threads
                .iter()
                .all(|t| t.starts_with("stuck-w"))
    );
}

#[test]
fn the_builder_limits_programs() {
    use asupersync::types::policy::{CleanupPolicy, RegionLimits};
    let runtime = Runtime::builder()
        .worker_threads(1)
        .limits(RegionLimits {
            max_tasks: 2,
            ..RegionLimits::default()
        })
        .cleanup(CleanupPolicy::default().capped(Duration::from_millis(5)))
        .build()
        .unwrap();
    let reported = runtime.block_on_report(async |scope: Scope| {
        let (tx, mut rx) = asupersync::channel::oneshot::channel();
        scope.spawn(async move |_cx| {
            tx.send(()).unwrap();
            std::future::pending::<()>().await;
        });
        rx.recv(&scope).await.unwrap();
        let second = scope.spawn(async |cx: Cx| cx.cancelled().await);
        let third = scope.spawn(async |_cx| ());
        scope.close();
        (second.refused().is_none(), third.refused().is_some())
    });
    assert_eq!(reported.value, Some((true, true)));
    assert_eq!(
        reported.report.abandoned.len(),
        1,
        "dropped long before 5 s"
    );
}

/// What the kernel knows about the threads whose names begin with `prefix`: how
/// often each went to sleep, and for how many nanoseconds it has run.
#[cfg(target_os = "linux")]
fn threads(prefix: &str) -> Vec<(String, u64, u64)> {
    let mut threads = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        // A thread may end between the listing and the reading.
        let read = |name| std::fs::read_to_string(task.path().join(name));
        let (Ok(status), Ok(ran)) = (read("status"), read("schedstat")) else {
            continue;
        };
        let field = |name: &str| {
            let line = status
                .lines()
                .find_map(|l| l.strip_prefix(name))
                .unwrap_or("");
            line.trim().to_owned()
        };
        let name = field("Name:");
        if name.starts_with(prefix) {
            let slept = field("voluntary_ctxt_switches:").parse().unwrap();
            let ran = ran.split(' ').next().unwrap().parse().unwrap();
            threads.push((name, slept, ran));
        }
    }
    threads.sort();
    threads
}

/// The threads as they are once all of them have fallen asleep: when two looks agree.
#[cfg(target_os = "linux")]
fn asleep(prefix: &str) -> Vec<(String, u64, u64)> {
    let mut before = threads(prefix);
    for _ in 0..500 {
        std::thread::sleep(Duration::from_millis(20));
        let now = threads(prefix);
        if now == before {
            return now;
        }
        before = now;
    }
    panic!("they do not fall asleep: {before:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn no_thread_is_left_and_none_wakes_when_idle() {
    let named = |name| Runtime::builder().worker_threads(3).thread_name(name);
    let runtime = named("idler").build().unwrap();
    runtime
        .block_on(async |scope: Scope| {
            for _ in 0..100 {
                scope.spawn(async |cx: Cx| cx.sleep(Duration::from_millis(1)).await);
            }
            drop(scope.spawn_blocking(|_cx| ()).await);
        })
        .unwrap();
    // Another one whose tasks all wait: for each other, for a socket, for an hour.
    let (end, ended) = mpsc::channel();
    let waiter = std::thread::spawn(move || {
        let runtime = named("waiter").build().unwrap();
        let ran = runtime.block_on(async |scope: Scope| {
            let (tx, mut rx) = asupersync::channel::mpsc::channel::<()>(1);
            let listener = asupersync::net::TcpListener::bind(&scope, "127.0.0.1:0");
            let listener = listener.await.unwrap();
            scope.spawn(async move |cx: Cx| listener.accept(&cx).await.is_err());
            scope.spawn(async move |cx: Cx| cx.sleep(Duration::from_secs(3_600)).await);
            end.send(tx).unwrap();
            assert!(rx.recv(&scope).await.is_err());
            scope.cancel("enough");
        });
        ran.unwrap();
    });
    let end = ended.recv().unwrap();
    let before = [asleep("idler"), asleep("waiter")];
    let number = before.each_ref().map(Vec::len);
    assert_eq!(
        number,
        [4, 3],
        "three workers, a blocking thread: {before:?}"
    );
    std::thread::sleep(Duration::from_secs(5));
    // Whoever has not run has made no system call either.
    let after = [threads("idler"), threads("waiter")];
    assert_eq!(after, before, "an idle runtime wakes nobody");
    drop((runtime, end));
    waiter.join().unwrap();
    // The kernel tells who joins a thread a moment before it strikes it off.
    let start = Instant::now();
    while !threads("idler").is_empty() || !threads("waiter").is_empty() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "a thread is left"
        );
        std::thread::yield_now();
    }
}
