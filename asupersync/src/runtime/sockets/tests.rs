//! Sockets of the system, where what the port hides is to be seen.
#![cfg(target_os = "linux")]

use super::*;
use crate::channel::{mpsc, watch};
use crate::io::{ReadExt, WriteExt};
use crate::net::{self, TcpSocket, TcpStream as Connection};
use crate::runtime::Runtime;
use crate::types::cancel::CancelKind;
use crate::{Cx, Scope};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

fn pair(reactor: &Arc<Reactor>) -> (TcpStream, SystemStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    theirs.set_nodelay(true).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    let ours = reactor.register(Socket::from(ours)).unwrap();
    (theirs, SystemStream::new(ours, None))
}

/// Drives the reactor until the stream was read, into a buffer of this length.
fn read(reactor: &Reactor, stream: &SystemStream, len: usize) -> Vec<u8> {
    let mut buf = vec![0; len];
    let mut task = Context::from_waker(std::task::Waker::noop());
    loop {
        if let Poll::Ready(n) = stream.poll_read(&mut task, &mut buf) {
            buf.truncate(n.unwrap());
            return buf;
        }
        let mut driver = reactor.take_driver().unwrap();
        let wait = reactor.wait(&mut driver, Some(Duration::from_secs(5)), &mut Vec::new());
        wait.unwrap();
        reactor.return_driver(driver);
    }
}

/// Whether another read would ask the system.
fn asks(stream: &SystemStream) -> bool {
    let mut asked = false;
    let mut task = Context::from_waker(std::task::Waker::noop());
    let polled = stream.socket.read().poll_io(
        &mut task,
        || {
            asked = true;
            Ok(())
        },
        |()| false,
    );
    assert_eq!(polled.is_ready(), asked);
    asked
}

#[test]
fn a_message_of_known_length_wastes_one_read_once() {
    let reactor = Reactor::new().unwrap();
    let (mut theirs, ours) = pair(&reactor);
    theirs.write_all(b"1234").unwrap();
    assert_eq!(read(&reactor, &ours, 4), b"1234");
    assert!(asks(&ours), "nobody said that nothing is left");
    let mut task = Context::from_waker(std::task::Waker::noop());
    assert!(ours.poll_read(&mut task, &mut [0; 4]).is_pending());
    assert!(ours.reads() == Reads::Told);
    for _ in 0..3 {
        theirs.write_all(b"5678").unwrap();
        assert_eq!(read(&reactor, &ours, 4), b"5678");
        assert!(!asks(&ours), "nothing is left");
    }
    // What is left is read without another event, and so is the end.
    theirs.write_all(b"abcdef").unwrap();
    assert_eq!(read(&reactor, &ours, 4), b"abcd");
    assert_eq!(read(&reactor, &ours, 2), b"ef");
    theirs.write_all(b"last").unwrap();
    drop(theirs);
    assert_eq!(read(&reactor, &ours, 4), b"last");
    assert_eq!(read(&reactor, &ours, 4), b"");
}

/// Raises the number of descriptors to what is allowed, and tells how many that are.
fn all_descriptors() -> usize {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls are given a limit that is alive and of their type.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0);
    }
    usize::try_from(limit.rlim_cur).unwrap()
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A region that is closed has nothing at the reactor, however its tasks ended.
#[test]
fn a_closed_region_has_no_registration() {
    for builder in [
        Runtime::builder().current_thread(),
        Runtime::builder().worker_threads(2),
    ] {
        let runtime = builder.build().unwrap();
        let registered = || runtime.shared.reactor.registered();
        let ran = runtime.block_on(async |cx: Scope| {
            let kept = net::TcpListener::bind(&cx, "127.0.0.1:0").await.unwrap();
            for how in ["cancelled", "dropped", "panicked"] {
                let before = registered();
                let addr = kept.local_addr().unwrap();
                let connected = &Arc::new(AtomicUsize::new(0));
                let region = cx.region(async |scope: Scope| {
                    let waits: Vec<_> = (0..8)
                        .map(|n| {
                            let connected = connected.clone();
                            scope.spawn(async move |cx: Cx| {
                                wait(&cx, addr, n, how, &connected).await
                            })
                        })
                        .collect();
                    while connected.load(Ordering::Relaxed) < waits.len() {
                        scope.yield_now().await.unwrap();
                    }
                    assert!(registered() >= before + waits.len());
                    scope.cancel("enough");
                    for wait in waits {
                        assert_eq!(wait.await.is_panicked(), how == "panicked");
                    }
                });
                drop(region.await);
                assert_eq!(registered(), before, "{how}");
            }
        });
        ran.unwrap();
        assert_eq!(registered(), 0);
    }
}

async fn wait(
    cx: &Cx,
    addr: std::net::SocketAddr,
    n: u32,
    how: &str,
    connected: &AtomicUsize,
) -> io::Result<()> {
    let mut buf = [0; 8];
    let mut stream = Connection::connect(cx, addr).await?;
    connected.fetch_add(1, Ordering::Relaxed);
    let waited = async {
        match n % 4 {
            0 => stream.read(cx, &mut buf).await.map(drop)?,
            1 => {
                let listener = net::TcpListener::bind(cx, "127.0.0.1:0").await?;
                listener.accept(cx).await.map(drop)?;
            }
            2 => {
                let udp = net::UdpSocket::bind(cx, "127.0.0.1:0").await?;
                udp.recv(cx, &mut buf).await.map(drop)?;
            }
            _ => {
                let (mut here, _there) = net::UnixStream::pair(cx)?;
                here.read(cx, &mut buf).await.map(drop)?;
            }
        }
        io::Result::Ok(())
    };
    match how {
        "dropped" => drop(cx.cancellable(waited).await),
        "panicked" => {
            drop(waited.await);
            crate::exec::panics::resume(&crate::types::outcome::PanicPayload::from_any(Box::new(
                "planted",
            )));
        }
        _ => waited.await?,
    }
    Ok(())
}

/// In a process of its own, since it counts descriptors.
#[test]
fn ten_thousand_connections_leave_nothing_behind() {
    const CHILD: &str = "ASUPERSYNC_TEST_CONNECTIONS";
    if std::env::var_os(CHILD).is_none() {
        let name = "runtime::sockets::tests::ten_thousand_connections_leave_nothing_behind";
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture"])
            .env(CHILD, "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    // Two descriptors each; the rest is the process's own.
    let connections = (all_descriptors().saturating_sub(100) / 2).min(10_000);
    println!("{connections} connections");
    assert!(connections >= 100, "too few descriptors to tell anything");
    let runtime = Runtime::builder().worker_threads(2).build().unwrap();
    let before = open_descriptors();
    runtime
        .block_on(async |scope: Scope| many(&scope, connections).await)
        .unwrap();
    assert_eq!(runtime.shared.reactor.registered(), 0);
    assert_eq!(runtime.shared.clock.len(), 0);
    assert_eq!(open_descriptors(), before);
}

/// Of four clients one is cancelled when it has hardly begun, one while it
/// waits for its answer, and two get theirs and close.
async fn many(scope: &Scope, connections: usize) {
    let socket = TcpSocket::new().backlog(4096);
    let listener = socket.listen(scope, "127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = scope.spawn(async move |cx: Cx| {
        while let Ok((mut stream, _)) = listener.accept(&cx).await {
            cx.spawn(
                async move |cx: Cx| {
                    while let Ok(b'?') = stream.read_u8(&cx).await {}
                },
            );
        }
    });
    let (connected, mut all) = mpsc::channel(64);
    let (go, gone) = watch::channel(false);
    let clients: Vec<_> = (0..connections)
        .map(|_| {
            let (connected, mut gone) = (connected.clone(), gone.clone());
            scope.spawn(async move |cx: Cx| -> io::Result<()> {
                // Resetting keeps the ports from lingering.
                let socket = TcpSocket::new().linger(Some(Duration::ZERO));
                let mut stream = socket.connect(&cx, addr).await?;
                stream.write_u8(&cx, b'?').await?;
                let _ = connected.send(&cx, ()).await;
                // A timer and a registration wait together.
                let (hour, mut answer) = (Duration::from_secs(3600), [0; 2]);
                until_told(&cx, hour, &mut stream, &mut answer, &mut gone).await?;
                stream.write_u8(&cx, b'!').await?;
                assert_eq!(stream.read(&cx, &mut answer).await?, 0);
                Ok(())
            })
        })
        .collect();
    for client in clients.iter().step_by(4) {
        client.cancel(CancelKind::RegionEnd);
    }
    let stay = connections - connections.div_ceil(4);
    for _ in 0..stay {
        all.recv(scope).await.unwrap();
    }
    for client in clients.iter().skip(1).step_by(4) {
        client.cancel(CancelKind::RegionEnd);
    }
    go.send(true).unwrap();
    let mut ends = [0; 2];
    for client in clients {
        ends[usize::from(client.await.into_result().is_ok_and(|end| end.is_ok()))] += 1;
    }
    server.cancel(CancelKind::RegionEnd);
    drop(server.await);
    println!("{} cancelled, {} closed", ends[0], ends[1]);
    assert_eq!(ends[1], (0..connections).filter(|i| i % 4 > 1).count());
}

/// Reads until told to go on.
async fn until_told(
    cx: &Cx,
    limit: Duration,
    stream: &mut Connection,
    answer: &mut [u8],
    gone: &mut watch::Receiver<bool>,
) -> io::Result<()> {
    let told = cx.timeout_drop(limit, async {
        crate::select! {
            _ = gone.changed(cx) => {}
            _ = stream.read(cx, answer) => {}
        }
    });
    let _ = told.await;
    cx.checkpoint()?;
    Ok(())
}
