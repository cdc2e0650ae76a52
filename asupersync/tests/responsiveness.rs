//! Every row of the responsiveness table, measured: a task waits, is asked to
//! cancel, and its polls from then on are counted.

#[cfg(unix)]
use asupersync::Runtime;
use asupersync::channel::{ack_queue, broadcast, mpsc, oneshot, rpc, watch};
use asupersync::combine::{Bulkhead, RateLimit};
use asupersync::io::framing::{Framed, Lines};
use asupersync::io::{ReadExt, WriteExt};
use asupersync::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
#[cfg(unix)]
use asupersync::process::Command;
#[cfg(unix)]
use asupersync::signal;
use asupersync::stream::StreamExt;
use asupersync::sync::{Barrier, Mutex, Notify, OnceCell, Pool, RwLock, Semaphore};
use asupersync::types::event::Event;
use asupersync::types::responsiveness::document;
use asupersync::{
    CancelKind, Cx, JoinSet, LabConfig, LabRuntime, Missed, Primitive, RESPONSIVENESS, Scope,
};
use std::future::pending;
#[cfg(unix)]
use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::pin;
#[cfg(unix)]
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(3600);

/// Begins the wait, which nothing but a request ends; `true` when it was cancelled.
async fn wait(cx: &Cx, primitive: Primitive) -> bool {
    match primitive {
        Primitive::YieldNow => loop {
            if cx.yield_now().await.is_err() {
                break true;
            }
        },
        Primitive::WaitCancelled => {
            cx.cancelled().await;
            true
        }
        Primitive::LinkedExit => cx.linked_exit().await.is_err(),
        Primitive::Cancellable => cx.cancellable(pending::<()>()).await.is_err(),
        Primitive::Sleep => cx.sleep(LONG).await.is_err(),
        Primitive::Tick => {
            let mut interval = cx.interval(LONG, Missed::Burst);
            interval.tick(cx).await.unwrap();
            interval.tick(cx).await.is_err()
        }
        Primitive::TimeoutDrop => cx.timeout_drop(LONG, pending::<()>()).await.is_err(),
        Primitive::Join => {
            let handle = cx.spawn(deaf);
            handle.join(cx).await.is_err()
        }
        Primitive::JoinNext => {
            let mut set = JoinSet::new(cx);
            set.spawn(deaf);
            set.join_next(cx).await.is_err()
        }
        Primitive::JoinAll => {
            let mut set = JoinSet::new(cx);
            set.spawn(deaf);
            set.join_all(cx).await.is_err()
        }
        Primitive::Handle => cx.spawn(deaf).await.is_cancelled(),
        Primitive::Reserve => {
            let (tx, _rx) = full();
            tx.reserve(cx).await.is_err()
        }
        Primitive::Send => {
            let (tx, _rx) = full();
            tx.send(cx, 2).await.is_err()
        }
        Primitive::Recv => {
            let (_tx, mut rx) = mpsc::channel::<u8>(1);
            rx.recv(cx).await.is_err()
        }
        Primitive::RecvOnce => {
            let (_tx, mut rx) = oneshot::channel::<u8>();
            rx.recv(cx).await.is_err()
        }
        Primitive::RecvMany => {
            let (_tx, mut rx) = mpsc::channel::<u8>(1);
            rx.recv_many(cx, &mut Vec::new(), 8).await.is_err()
        }
        Primitive::Closed => {
            let (tx, _rx) = mpsc::channel::<u8>(1);
            tx.closed(cx).await.is_err()
        }
        Primitive::RecvBroadcast => {
            let (_tx, mut rx) = broadcast::channel::<u8>(1);
            rx.recv(cx).await.is_err()
        }
        Primitive::Changed => {
            let (_tx, mut rx) = watch::channel(0);
            rx.changed(cx).await.is_err()
        }
        Primitive::WaitFor => {
            let (_tx, mut rx) = watch::channel(0);
            rx.wait_for(cx, |n| *n == 1).await.is_err()
        }
        Primitive::RecvAck => {
            // With a message that is delayed, so that there is an alarm too.
            let (tx, rx) = ack_queue::ack_queue(1, ack_queue::Redelivery::attempts(2).after(LONG));
            tx.try_send(1).unwrap();
            rx.try_recv(cx).unwrap().1.nack();
            rx.recv(cx).await.is_err()
        }
        Primitive::Call => {
            let (client, _server) = rpc::rpc::<u8, u8>(1);
            client.call(cx, 1).await.is_err()
        }
        Primitive::RecvQuestion => {
            let (_client, mut server) = rpc::rpc::<u8, u8>(1);
            server.recv(cx).await.is_err()
        }
        Primitive::Lock => {
            let mutex = Mutex::new(());
            let _held = mutex.try_lock().unwrap();
            mutex.lock(cx).await.is_err()
        }
        Primitive::Read => {
            let lock = RwLock::new(());
            let _held = lock.try_write().unwrap();
            lock.read(cx).await.is_err()
        }
        Primitive::Write => {
            let lock = RwLock::new(());
            let _held = lock.try_read().unwrap();
            lock.write(cx).await.is_err()
        }
        Primitive::Acquire => Semaphore::new(1).acquire(cx, 2).await.is_err(),
        Primitive::Loan => Pool::<u8>::new([]).get(cx).await.is_err(),
        Primitive::Barrier => Barrier::new(2).wait(cx).await.is_err(),
        Primitive::Notified => Notify::new().notified(cx).await.is_err(),
        Primitive::Init => {
            let cell = OnceCell::new();
            let mut first = pin!(cell.get_or_init(cx, async || pending::<u8>().await));
            assert!(futures::poll!(first.as_mut()).is_pending());
            cell.get_or_init(cx, async || 2).await.is_err()
        }
        Primitive::WaitMade => OnceCell::<u8>::new().wait(cx).await.is_err(),
        Primitive::Connect => {
            let socket = TcpSocket::new().backlog(1);
            let listener = socket.listen(cx, ANY).await.unwrap();
            let full = listener.local_addr().unwrap();
            let _first = TcpStream::connect(cx, full).await.unwrap();
            TcpStream::connect(cx, full).await.is_err()
        }
        Primitive::Accept => {
            let listener = TcpListener::bind(cx, ANY).await.unwrap();
            listener.accept(cx).await.is_err()
        }
        Primitive::ReadBytes => {
            let (_listener, mut here, _there) = connection(cx).await;
            here.read(cx, &mut [0; 8]).await.is_err()
        }
        Primitive::WriteBytes => {
            let (_listener, mut here, _there) = connection(cx).await;
            here.write_all(cx, &vec![0; 1 << 24]).await.is_err()
        }
        Primitive::RecvDatagram => {
            let socket = UdpSocket::bind(cx, ANY).await.unwrap();
            socket.recv_from(cx, &mut [0; 8]).await.is_err()
        }
        Primitive::NextFrame => {
            let (_listener, here, _there) = connection(cx).await;
            let frame = Framed::new(here, Lines::new(9)).next(cx).await;
            frame.is_some_and(|frame| frame.is_err())
        }
        Primitive::NextValue => futures::stream::pending::<u8>().next(cx).await.is_err(),
        #[cfg(unix)]
        Primitive::HearSignal => {
            let mut hangups = signal::unix(cx, signal::SignalKind::hangup()).unwrap();
            hangups.recv(cx).await.is_err()
        }
        #[cfg(not(unix))]
        Primitive::HearSignal => unreachable!("there are no signals here"),
        Primitive::EnterBulkhead => {
            let bulkhead = Bulkhead::new(1, 1);
            // Inside of the only place there is, another one is waited for.
            let inside = async |s: Scope| bulkhead.run(&s, async |_s: Scope| ()).await.is_err();
            bulkhead.run(cx, inside).await.unwrap_or(true)
        }
        Primitive::TakeTurn => {
            let limit = RateLimit::new(1.try_into().unwrap(), LONG);
            limit.acquire(cx).await.unwrap();
            limit.acquire(cx).await.is_err()
        }
        Primitive::WaitChild => unreachable!("the lab has no processes"),
    }
}

const ANY: &str = "127.0.0.1:0";

/// Two ends of a connection on which nothing happens.
async fn connection(cx: &Cx) -> (TcpListener, TcpStream, TcpStream) {
    let listener = TcpListener::bind(cx, ANY).await.unwrap();
    let here = TcpStream::connect(cx, listener.local_addr().unwrap())
        .await
        .unwrap();
    let (there, _) = listener.accept(cx).await.unwrap();
    (listener, here, there)
}

/// A task that sees no request for a second.
async fn deaf(cx: Cx) {
    let _ = cx.cleanup().sleep(Duration::from_secs(1)).await;
}

fn full() -> (mpsc::Sender<u8>, mpsc::Receiver<u8>) {
    let (tx, rx) = mpsc::channel(1);
    tx.try_send(1).unwrap();
    (tx, rx)
}

/// Polls of the waiting task from the request to its end, and the checkpoints
/// it passed under masks; `None` when it did not end by being cancelled.
fn measure(primitive: Primitive, seed: u64) -> (Option<u32>, u32) {
    let lab = LabRuntime::new(LabConfig::default().seed(seed));
    let (task, cancelled) = lab.run(async move |scope: Scope| {
        let waiter = scope.spawn(async move |cx: Cx| wait(&cx, primitive).await);
        if primitive == Primitive::YieldNow {
            // It never waits, so the clock stands still.
            for _ in 0..50 {
                scope.yield_now().await.unwrap();
            }
        } else {
            // Virtual time passes only when everyone waits.
            scope.sleep(Duration::from_millis(500)).await.unwrap();
        }
        let task = waiter.id().unwrap();
        waiter.cancel(CancelKind::User);
        (task, waiter.await.into_result().unwrap_or(false))
    });
    let trace = lab.trace();
    let mut events = trace.events.iter().map(|e| e.event);
    let asked = |e: &Event| matches!(e, Event::CancelRequested { task: t, .. } if *t == task);
    assert!(events.any(|e| asked(&e)), "{primitive:?} was never asked");
    let after: Vec<Event> = events.collect();
    let count = |is: fn(&Event) -> Option<_>| after.iter().filter(|e| is(e) == Some(task)).count();
    let polls = count(|e| match e {
        Event::TaskPolled { task } => Some(*task),
        _ => None,
    });
    let masked = count(|e| match e {
        Event::CancelMasked { task } => Some(*task),
        _ => None,
    });
    (cancelled.then_some(polls as u32), masked as u32)
}

/// As [`measure`], for a process, which the lab has not: polls are counted where they come in.
#[cfg(unix)]
fn measure_child() -> (Option<u32>, u32) {
    let runtime = Runtime::builder().current_thread().build().unwrap();
    let measured = runtime.block_on(async |scope: Scope| {
        let began = Arc::new(AtomicBool::new(false));
        let waits = began.clone();
        let waiter = scope.spawn(async move |cx: Cx| {
            let mut child = Command::new("sleep").arg("600").spawn(&cx).unwrap();
            let mut wait = pin!(child.wait(&cx));
            let mut polls = 0;
            let end = poll_fn(|task| {
                polls += u32::from(cx.is_cancel_requested());
                waits.store(true, Ordering::Relaxed);
                wait.as_mut().poll(task)
            });
            (end.await.is_err(), polls)
        });
        while !began.load(Ordering::Relaxed) {
            scope.yield_now().await.unwrap();
        }
        waiter.cancel(CancelKind::User);
        waiter.await.into_result().unwrap()
    });
    let (cancelled, polls) = measured.unwrap();
    (cancelled.then_some(polls), 0)
}

#[test]
fn every_wait_notices_a_request_within_its_bound() {
    for (primitive, bound) in RESPONSIVENESS {
        if *primitive == Primitive::WaitChild {
            #[cfg(unix)]
            assert_eq!(measure_child(), (bound.polls, bound.mask));
            continue;
        }
        if cfg!(not(unix)) && *primitive == Primitive::HearSignal {
            continue;
        }
        for seed in 0..20 {
            let (polls, masked) = measure(*primitive, seed);
            assert_eq!(polls, bound.polls, "{primitive:?} under seed {seed}");
            assert!(
                masked <= bound.mask,
                "{primitive:?} under seed {seed}: {masked} masked"
            );
        }
    }
}

#[test]
fn the_document_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/responsiveness.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, document()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == document(),
        "docs/responsiveness.md is stale; run `BLESS=1 cargo test -p asupersync --test responsiveness`"
    );
}
