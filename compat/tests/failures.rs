//! What tokio code does wrong, and the rung of the ladder on which each of it ends.
//!
//! Blocked threads are left behind on purpose; they end with the process.

use asupersync::{RegionReport, Runtime, Scope, Severity};
use asupersync_compat::{
    BoundaryConfig, Bounded, CloseError, EscalationReport, Stage, UseError, boundary_report,
};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

const MS: fn(u64) -> Duration = Duration::from_millis;

fn runtime() -> Runtime {
    Runtime::builder().worker_threads(2).build().unwrap()
}

/// A boundary with one worker that is soon out of patience, so that a stuck worker is all of it.
fn impatient() -> BoundaryConfig {
    BoundaryConfig::new("failing")
        .workers(1)
        .cooperative(MS(60))
        .hard(MS(200))
}

/// Runs `body` in a boundary and compares the stage in which it ends.
#[track_caller]
fn check(
    config: BoundaryConfig,
    expected: Stage,
    body: impl AsyncFnOnce(Bounded),
) -> (RegionReport, Arc<EscalationReport>) {
    let (reported, closed) = runtime()
        .block_on(async |cx: Scope| {
            boundary_report(&cx, config, async |b| body(b).await)
                .await
                .unwrap()
        })
        .unwrap();
    assert!(
        reported.panic.is_none(),
        "the body panicked: {:?}",
        reported.panic
    );
    assert_eq!(closed.stage, expected, "{closed}");
    assert_eq!(closed.is_quiescent(), expected != Stage::Leaked);
    // A region whose boundary leaked must not pass for one that is at rest.
    assert_eq!(
        reported.report.is_ok(),
        expected != Stage::Leaked,
        "{}",
        reported.report
    );
    (reported.report, closed)
}

fn inside<R>(b: &Bounded, f: impl FnOnce() -> R) -> R {
    b.enter(f).expect("the boundary is open")
}

#[test]
fn ignores_cancellation_but_yields() {
    let (_, closed) = check(impatient(), Stage::HardDrop, async |b| {
        inside(&b, || {
            tokio::spawn(async {
                loop {
                    tokio::time::sleep(MS(5)).await;
                }
            })
        });
    });
    assert_eq!(
        (closed.after_drain.tasks, closed.after_shutdown.tasks),
        (1, 0)
    );
    assert!(closed.times.drain >= MS(50), "{closed}");
    let told = if cfg!(tokio_unstable) {
        "did not react to cancellation: tokio task (compat/tests/failures.rs:"
    } else {
        "did not react to cancellation: 1 tokio tasks (build with RUSTFLAGS="
    };
    assert!(closed.to_string().contains(told), "{closed}");
}

#[test]
fn respawns_itself_for_ever() {
    fn again() -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async {
            tokio::time::sleep(MS(1)).await;
            tokio::spawn(again());
        })
    }
    check(impatient(), Stage::HardDrop, async |b| {
        inside(&b, || tokio::spawn(again()));
    });
}

#[test]
fn spawns_while_it_is_dropped() {
    struct SpawnOnDrop;
    impl Drop for SpawnOnDrop {
        fn drop(&mut self) {
            tokio::spawn(async {});
        }
    }
    check(impatient(), Stage::HardDrop, async |b| {
        inside(&b, || {
            tokio::spawn(async {
                let _guard = SpawnOnDrop;
                std::future::pending::<()>().await;
            })
        });
        b.delegate(async { tokio::task::yield_now().await })
            .await
            .unwrap();
    });
}

#[test]
fn blocks_its_worker_for_ever() {
    for config in [impatient(), impatient().current_thread()] {
        let (region, closed) = check(config, Stage::Leaked, async |b| {
            let (tx, rx) = std::sync::mpsc::channel();
            inside(&b, || {
                tokio::spawn(async move {
                    tx.send(()).unwrap();
                    loop {
                        std::thread::park();
                    }
                })
            });
            rx.recv().unwrap();
            // An innocent task behind it never gets to run.
            inside(&b, || tokio::spawn(async {}));
        });
        assert_eq!(closed.after_shutdown.threads, 1, "{closed}");
        assert_eq!(closed.threads_alive(), 1);
        let text = closed.to_string();
        assert!(
            text.contains("IS NOT QUIESCENT") && text.contains("1 threads named \"failing\""),
            "{text}"
        );
        let primary = region.primary.expect("the leak is the region's failure");
        assert_eq!(primary.severity, Severity::Panicked);
        assert!(
            primary.message.contains("IS NOT QUIESCENT"),
            "{}",
            primary.message
        );
    }
}

#[test]
fn blocks_a_blocking_thread_for_ever() {
    let (_, closed) = check(impatient(), Stage::Leaked, async |b| {
        let (tx, rx) = std::sync::mpsc::channel();
        inside(&b, || {
            tokio::task::spawn_blocking(move || {
                tx.send(()).unwrap();
                loop {
                    std::thread::park();
                }
            })
        });
        rx.recv().unwrap();
    });
    assert_eq!(
        (closed.at_request.blocking, closed.after_shutdown.threads),
        (1, 1),
        "{closed}"
    );
    assert_eq!(
        closed.after_drain.tasks, 0,
        "a blocking job is no task: only its thread shows it"
    );
}

#[test]
fn a_leaked_thread_that_ends_later_is_seen_to() {
    let (release, hold) = std::sync::mpsc::channel::<()>();
    let (_, closed) = check(impatient(), Stage::Leaked, async |b| {
        let (tx, rx) = std::sync::mpsc::channel();
        inside(&b, || {
            tokio::task::spawn_blocking(move || {
                tx.send(()).unwrap();
                let _ = hold.recv();
            })
        });
        rx.recv().unwrap();
    });
    assert_eq!(closed.threads_alive(), 1);
    drop(release);
    let until = Instant::now() + MS(5000);
    while closed.threads_alive() > 0 {
        assert!(
            Instant::now() < until,
            "the thread ends once it is released"
        );
        std::thread::yield_now();
    }
}

#[test]
fn a_blocking_job_gets_the_time_the_drain_left() {
    let config = impatient().cooperative(MS(5000));
    let (_, closed) = check(config, Stage::Cooperative, async |b| {
        let (tx, rx) = std::sync::mpsc::channel();
        inside(&b, || {
            tokio::task::spawn_blocking(move || {
                tx.send(()).unwrap();
                std::thread::sleep(MS(400));
            })
        });
        rx.recv().unwrap();
    });
    assert!(
        closed.times.shutdown > MS(200),
        "longer than the hard budget: {closed}"
    );
}

#[test]
fn a_detached_panic_is_caught_and_reported() {
    let (_, closed) = check(impatient(), Stage::Cooperative, async |b| {
        let task = inside(&b, || tokio::spawn(async { panic!("detached {}", "boom") }));
        while !task.is_finished() {
            b.scope().yield_now().await.unwrap();
        }
    });
    assert_eq!(closed.panics_total, 1);
    let panic = &closed.panics[0];
    assert_eq!(
        (panic.message.as_str(), panic.thread.as_str()),
        ("detached boom", "failing")
    );
    assert!(panic.place.contains("tests/failures.rs:"), "{panic}");
    assert!(
        closed
            .to_string()
            .contains("panicked: \"detached boom\" at "),
        "{closed}"
    );
}

#[track_caller]
fn is_panic<T: std::fmt::Debug>(result: Result<T, UseError>, said: &str) {
    match result {
        Err(UseError::Panicked { panic, .. }) if panic.message().contains(said) => {}
        other => panic!("expected a caught panic that says {said:?}, got {other:?}"),
    }
}

#[test]
fn blocking_entries_in_adopted_code_are_errors_and_no_aborts() {
    check(impatient(), Stage::Cooperative, async |b| {
        let block = || async { tokio::runtime::Handle::current().block_on(async { 1 }) };
        is_panic(b.adopt(block).await, "within a runtime");
        is_panic(b.delegate(block()).await, "within a runtime");
        let own = || async {
            let own = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            drop(own);
        };
        is_panic(b.adopt(own).await, "Cannot drop a runtime");
        is_panic(b.delegate(own()).await, "Cannot drop a runtime");
        // The worker is none the worse for it.
        assert_eq!(b.adopt(|| async { 2 }).await.unwrap(), 2);
    });
}

#[test]
fn block_in_place_follows_the_flavour() {
    let in_place = || async { tokio::task::block_in_place(|| 1) };
    check(impatient(), Stage::Cooperative, async |b| {
        assert_eq!(b.adopt(in_place).await.unwrap(), 1);
        assert_eq!(b.delegate(in_place()).await.unwrap(), 1);
    });
    check(
        impatient().current_thread(),
        Stage::Cooperative,
        async |b| {
            is_panic(
                b.delegate(in_place()).await,
                "can call blocking only when running on the multi-threaded runtime",
            );
        },
    );
}

#[test]
fn local_tasks_need_a_local_set_of_their_own() {
    check(impatient(), Stage::Cooperative, async |b| {
        is_panic(
            b.adopt(|| async { drop(tokio::task::spawn_local(async {})) })
                .await,
            "spawn_local",
        );
        let local = || async {
            let set = tokio::task::LocalSet::new();
            let task =
                async { tokio::task::spawn_local(async { tokio::time::sleep(MS(1)).await }).await };
            set.run_until(task).await.unwrap();
            7
        };
        assert_eq!(b.adopt(local).await.unwrap(), 7);
    });
}

#[test]
fn guards_left_out_of_order_end_the_future_alone() {
    check(impatient(), Stage::Cooperative, async |b| {
        let kept = || async {
            let handle = tokio::runtime::Handle::current();
            let _across_an_await = handle.enter();
            tokio::task::yield_now().await;
        };
        is_panic(b.adopt(kept).await, "reverse order");
        assert_eq!(b.adopt(|| async { 2 }).await.unwrap(), 2);
    });
}

#[test]
fn timers_and_sockets_work_outside_the_context_that_made_them() {
    let mut stale = None;
    check(impatient(), Stage::Cooperative, async |b| {
        let sleep = inside(&b, || tokio::time::sleep(MS(5)));
        sleep.await;
        let (near, far) = b
            .adopt(|| async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let near = tokio::net::TcpStream::connect(listener.local_addr().unwrap())
                    .await
                    .unwrap();
                (near, listener.accept().await.unwrap().0)
            })
            .await
            .unwrap();
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut near, mut far) = (near, far);
        far.write_all(b"x").await.unwrap();
        let mut byte = [0];
        near.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"x");
        stale = Some((near, far));
    });
    // The runtime behind it is gone: an error, not a hang and not a panic.
    let (mut near, _far) = stale.unwrap();
    let read = runtime().block_on(async |_| {
        let mut byte = [0];
        tokio::io::AsyncReadExt::read(&mut near, &mut byte).await
    });
    assert!(read.unwrap().is_err());
}

#[test]
fn a_connection_that_spawns_when_dropped_may_be_dropped_anywhere_as_a_guest() {
    struct Connection(tokio::sync::mpsc::UnboundedSender<()>);
    impl Drop for Connection {
        fn drop(&mut self) {
            let told = self.0.clone();
            tokio::spawn(async move { told.send(()) });
        }
    }
    check(impatient(), Stage::Cooperative, async |b| {
        let (tx, mut rx) = tokio::sync::mpsc::unbounded_channel();
        let guest = b.guest(Connection(tx)).unwrap();
        let borrow = guest.get().unwrap();
        drop(guest);
        std::thread::spawn(move || drop(borrow)).join().unwrap();
        assert_eq!(rx.recv().await, Some(()));
    });
}

#[test]
fn a_close_from_inside_is_refused() {
    check(impatient(), Stage::Cooperative, async |b| {
        let refused = Err(CloseError::Inside {
            boundary: "failing".into(),
        });
        assert_eq!(
            b.adopt(|| b.close(b.scope())).await.unwrap().map(drop),
            refused
        );
        let (other, cx) = (b.boundary().clone(), b.scope().clone());
        assert_eq!(
            b.delegate(async move { other.close(&cx).await.map(drop) })
                .await
                .unwrap(),
            refused
        );
        assert!(!b.is_closing());
    });
}

#[test]
fn a_use_after_the_close_is_an_error() {
    let mut smuggled = None;
    let (_, first) = check(impatient(), Stage::Cooperative, async |b| {
        smuggled = Some((b.boundary().clone(), b.guest(1).unwrap()));
    });
    let (boundary, guest) = smuggled.unwrap();
    runtime()
        .block_on(async |cx: Scope| {
            let closed = |e| assert!(matches!(e, UseError::Closed { .. }), "{e}");
            closed(boundary.adopt(|| async {}).await.unwrap_err());
            closed(boundary.delegate(async {}).await.unwrap_err());
            closed(boundary.enter(|| ()).unwrap_err());
            closed(boundary.guest(2).unwrap_err());
            closed(guest.get().map(drop).unwrap_err());
            let again = boundary.close(&cx).await.unwrap();
            assert!(
                Arc::ptr_eq(&again, &first),
                "every close gives the one report"
            );
        })
        .unwrap();
}

#[test]
fn a_stalled_worker_does_not_stop_the_other_from_driving_adopted_timers() {
    check(
        impatient().workers(2).cooperative(MS(5000)),
        Stage::Cooperative,
        async |b| {
            let (tx, rx) = std::sync::mpsc::channel();
            inside(&b, || {
                tokio::spawn(async move {
                    tx.send(()).unwrap();
                    std::thread::sleep(MS(600));
                })
            });
            rx.recv().unwrap();
            let begun = Instant::now();
            b.adopt(|| tokio::time::sleep(MS(10))).await.unwrap();
            assert!(begun.elapsed() < MS(500), "{:?}", begun.elapsed());
        },
    );
}

#[test]
fn a_child_process_dropped_unfinished_holds_nothing_up() {
    let mut pid = 0;
    check(impatient(), Stage::Cooperative, async |b| {
        let start = || async {
            tokio::process::Command::new("sleep")
                .arg("0.2")
                .spawn()
                .unwrap()
        };
        let child = b.adopt(start).await.unwrap();
        pid = child.id().unwrap();
        b.enter(|| drop(child)).unwrap();
    });
    // Nobody reaps it now that its runtime is gone; the next runtime that looks after children does.
    let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    let until = Instant::now() + MS(10_000);
    while state().is_some_and(|s| !s.contains(") Z ")) {
        assert!(Instant::now() < until, "{:?}", state());
        std::thread::sleep(MS(5));
    }
    check(
        impatient().cooperative(MS(5000)),
        Stage::Cooperative,
        async |b| {
            while state().is_some() {
                assert!(Instant::now() < until, "{:?}", state());
                let run = || async { tokio::process::Command::new("true").status().await };
                b.adopt(run).await.unwrap().unwrap();
            }
        },
    );
}
