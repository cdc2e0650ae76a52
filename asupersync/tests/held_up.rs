//! A task that blocks its worker's thread holds up nobody else.
//!
//! Every block ends when the test says so, on a channel, or after a time that
//! only a failure reaches.

use asupersync::{Cx, Runtime, Scope};
use std::future::{Future, poll_fn};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Far beyond what anything here takes.
const FAILED: Duration = Duration::from_secs(10);

fn two_workers() -> Runtime {
    Runtime::builder().worker_threads(2).build().unwrap()
}

/// Blocks the calling thread until the other end says so; `false` if it never does.
fn block(until: &mpsc::Receiver<()>) -> bool {
    until.recv_timeout(FAILED).is_ok()
}

async fn waker_of_this_task() -> Waker {
    poll_fn(|task| Poll::Ready(task.waker().clone())).await
}

#[test]
fn the_timers_of_a_blocked_worker_fire() {
    let runtime = two_workers();
    // Either of the two may be the one that drives the reactor.
    let mut rounds = 0;
    for round in 0..20u64 {
        let (done, ended) = mpsc::channel();
        let outcome = runtime.block_on(async |scope: Scope| {
            let root = waker_of_this_task().await;
            let due = scope.now() + Duration::from_millis(1 + round % 7);
            let blocked = scope.spawn(async move |cx: Cx| {
                // A timer of this worker's, which wakes the root.
                let mut timer = pin!(cx.sleep_until(due));
                let polled = timer.as_mut().poll(&mut Context::from_waker(&root));
                if polled.is_ready() {
                    // A busy machine: it was due before it was set.
                    root.wake();
                }
                (polled.is_pending(), block(&ended))
            });
            let mut woken = 0;
            let late = poll_fn(|_| {
                woken += 1;
                // The first poll is not a wake-up.
                match scope.now() {
                    now if woken > 1 && now >= due => Poll::Ready(now.since(due)),
                    _ => Poll::Pending,
                }
            })
            .await;
            done.send(()).unwrap();
            let (was_set, was_told) = blocked.await.into_result().unwrap();
            assert!(was_told, "the timer waited for the worker");
            (was_set, late)
        });
        let (was_set, late) = outcome.unwrap();
        assert!(late < FAILED / 2, "round {round}");
        rounds += usize::from(was_set);
    }
    assert!(rounds > 0, "no timer was set in time");
}

#[test]
fn many_sleepers_beside_a_blocked_worker_are_on_time() {
    let runtime = two_workers();
    let (done, ended) = mpsc::channel();
    let start = Instant::now();
    runtime
        .block_on(async |scope: Scope| {
            let sleepers: Vec<_> = (0..100u64)
                .map(|i| {
                    scope.spawn(async move |cx: Cx| {
                        cx.sleep(Duration::from_millis(5 + i % 25)).await.unwrap();
                        cx.sleep(Duration::from_millis(i % 5)).await.unwrap();
                    })
                })
                .collect();
            let blocked = scope.spawn(async move |_cx| block(&ended));
            for sleeper in sleepers {
                sleeper.await.into_result().unwrap();
            }
            done.send(()).unwrap();
            assert!(blocked.await.into_result().unwrap(), "somebody waited");
        })
        .unwrap();
    assert!(start.elapsed() < FAILED / 2);
}

/// A server on one runtime whose handlers echo a byte, or block on it.
fn echo(cx: &Cx, hold: mpsc::Receiver<()>) -> (mpsc::Receiver<SocketAddr>, mpsc::Receiver<bool>) {
    let (tell, addr) = mpsc::channel();
    let (ended, blocked) = mpsc::channel();
    cx.spawn(async move |cx: Cx| {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = asupersync::net::TcpListener::bind(&cx, any).await.unwrap();
        tell.send(listener.local_addr().unwrap()).unwrap();
        let hold = std::sync::Arc::new(std::sync::Mutex::new(hold));
        while let Ok((mut stream, _)) = listener.accept(&cx).await {
            let (hold, ended) = (hold.clone(), ended.clone());
            cx.spawn(async move |cx: Cx| {
                use asupersync::io::{ReadExt, WriteExt};
                let mut byte = [0];
                while let Ok(1) = stream.read(&cx, &mut byte).await {
                    if byte == *b"b" {
                        let _ = ended.send(block(&hold.lock().unwrap()));
                    }
                    stream.write_all(&cx, &byte).await.unwrap();
                }
            });
        }
    });
    (addr, blocked)
}

#[test]
fn sockets_are_served_while_their_driver_is_blocked() {
    let runtime = two_workers();
    runtime
        .block_on(async |scope: Scope| {
            let (release, hold) = mpsc::channel();
            let (addr, blocked) = echo(&scope, hold);
            let clients = scope.spawn_blocking(move |_cx| {
                let addr = addr.recv().unwrap();
                let connect = || {
                    let stream = TcpStream::connect(addr).unwrap();
                    stream.set_read_timeout(Some(FAILED)).unwrap();
                    stream
                };
                let (mut bad, mut good) = (connect(), connect());
                let mut byte = [0];
                for _ in 0..10 {
                    // Whoever drives when this arrives runs the handler, and blocks.
                    bad.write_all(b"b").unwrap();
                    for _ in 0..20 {
                        good.write_all(b"g").unwrap();
                        good.read_exact(&mut byte).unwrap();
                    }
                    drop(connect());
                    release.send(()).unwrap();
                    bad.read_exact(&mut byte).unwrap();
                    assert!(blocked.recv().unwrap(), "a socket waited for the worker");
                }
            });
            clients.await.into_result().unwrap();
            scope.close();
        })
        .unwrap();
}

#[test]
fn a_task_that_blocks_on_one_it_has_just_made_ready_gets_its_answer() {
    let runtime = two_workers();
    for _ in 0..20 {
        let answered = runtime.block_on(async |scope: Scope| {
            let asks = scope.spawn(async |cx: Cx| {
                let (tx, rx) = mpsc::channel();
                // Ready in this worker's LIFO slot, which this worker does not get to.
                cx.spawn(async move |_cx| tx.send(()));
                block(&rx)
            });
            asks.await.into_result().unwrap()
        });
        assert!(answered.unwrap(), "the slot waited for the worker");
    }
}

#[test]
fn tasks_from_outside_run_beside_a_blocked_worker() {
    let runtime = two_workers();
    for _ in 0..20 {
        let (done, ended) = mpsc::channel();
        runtime
            .block_on(async |scope: Scope| {
                let blocked = scope.spawn(async move |_cx| block(&ended));
                for i in 0..100 {
                    let task = scope.spawn(async move |cx: Cx| {
                        cx.yield_now().await.unwrap();
                        i
                    });
                    assert_eq!(task.await.into_result().unwrap(), i);
                }
                done.send(()).unwrap();
                assert!(blocked.await.into_result().unwrap(), "a task waited");
            })
            .unwrap();
    }
}
