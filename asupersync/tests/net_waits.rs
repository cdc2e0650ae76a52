//! Waits at sockets: what each loses, what stops it, and when it ends.
#![cfg(unix)]
#![allow(
    clippy::let_underscore_future,
    reason = "a region awaits its tasks whether or not someone keeps their handles"
)]

use asupersync::io::{ReadExt, WriteExt};
use asupersync::lab::{Inject, Injector, LinkModel, NetModel, VirtualNet};
use asupersync::net::{
    self, TcpListener, TcpSocket, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixSocket,
    UnixStream,
};
use asupersync::types::event::Event;
use asupersync::types::obligation::{ObligationKind, Resolution};
use asupersync::types::policy::CleanupPolicy;
use asupersync::{
    CancelKind, Cx, LabConfig, LabRuntime, RegionOptions, Runtime, Scope, Time, TimeoutError,
};
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

mod worlds;

const LATENCY: Duration = Duration::from_millis(10);
const LOCAL: &str = "127.0.0.1:0";
const SILENT: [u8; 4] = [10, 0, 0, 2];

fn exact() -> LinkModel {
    LinkModel::default().latency(LATENCY, Duration::ZERO)
}

fn config() -> LabConfig {
    LabConfig::default().network(NetModel::default().link(exact()).segments(false))
}

/// Every operation that may wait at a socket, doing so; names of sockets begin with `dir`.
async fn waits(op: &str, cx: &Cx, dir: &str) -> io::Result<()> {
    let listener = TcpListener::bind(cx, LOCAL).await?;
    let mut client = TcpStream::connect(cx, listener.local_addr()?).await?;
    let (mut server, _) = listener.accept(cx).await?;
    let (mut a, mut b) = UnixStream::pair(cx)?;
    let udp = UdpSocket::bind(cx, LOCAL).await?;
    let path = format!("{dir}/{op}");
    let unix = UnixDatagram::bind(cx, &path).await?;
    let at = format!("{dir}/{op}-listener");
    let unix_listener = UnixListener::bind(cx, &at).await?;
    let mut buf = [0; 8];
    match op {
        "accept" => drop(listener.accept(cx).await?),
        "read" => drop(client.read(cx, &mut buf).await?),
        "peek" => drop(client.peek(cx, &mut buf).await?),
        "readable" => client.readable(cx).await?,
        "writable" => loop {
            // Full as far as it is known, and then full when it is asked.
            match client.try_write(&[7; 1 << 16]) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => client.writable(cx).await?,
                written => drop(written?),
            }
        },
        "read_exact" => drop(server.read_exact(cx, &mut buf).await?),
        "resume exact" => server.resumable_exact(&mut buf).resume(cx).await?,
        // More than systems take for a connection that nobody reads.
        "write_all" => client.write_all(cx, &vec![7; 1 << 25]).await?,
        "resume all" => client.resumable_all(&vec![7; 1 << 25]).resume(cx).await?,
        "connect" => drop(TcpStream::connect(cx, (IpAddr::from(SILENT), 80)).await?),
        "connect where it is full" => {
            let socket = TcpSocket::new().backlog(1);
            let listener = socket.listen(cx, LOCAL).await?;
            let full = listener.local_addr()?;
            let mut streams = Vec::new();
            loop {
                streams.push(TcpStream::connect(cx, full).await?);
            }
        }
        "owned half" => drop(client.into_split().0.read(cx, &mut buf).await?),
        "udp recv" => drop(udp.recv(cx, &mut buf).await?),
        "udp recv_from" => drop(udp.recv_from(cx, &mut buf).await?),
        "udp peek" => drop(udp.peek_from(cx, &mut buf).await?),
        "udp readable" => udp.readable(cx).await?,
        "unix accept" => drop(unix_listener.accept(cx).await?),
        "unix read" => drop(a.read(cx, &mut buf).await?),
        "unix write_all" => b.write_all(cx, &[7; 1 << 20]).await?,
        "unix recv" => drop(unix.recv_from(cx, &mut buf).await?),
        "unix send_to" => loop {
            unix.send_to(cx, &[7; 1000], &path).await?;
        },
        "unix send" => {
            let (from, _to) = UnixDatagram::pair(cx)?;
            loop {
                from.send(cx, &[7; 1000]).await?;
            }
        }
        "unix connect where it is full" => {
            let at = format!("{at}-full");
            let _listener = UnixSocket::new().backlog(1).listen(cx, &at).await?;
            let mut streams = Vec::new();
            loop {
                let from = format!("{dir}/{op}-{}", streams.len());
                streams.push(UnixSocket::new().bind(from).connect(cx, &at).await?);
            }
        }
        "unix connect" => {
            let mut streams = Vec::new();
            loop {
                streams.push(UnixStream::connect(cx, &at).await?);
            }
        }
        other => panic!("{other:?} is no operation"),
    }
    panic!("{op} did not wait");
}

const WAITS: [&str; 24] = [
    "accept",
    "read",
    "peek",
    "readable",
    "writable",
    "read_exact",
    "resume exact",
    "write_all",
    "resume all",
    "connect",
    "connect where it is full",
    "owned half",
    "udp recv",
    "udp recv_from",
    "udp peek",
    "udp readable",
    "unix accept",
    "unix read",
    "unix write_all",
    "unix recv",
    "unix send_to",
    "unix send",
    "unix connect where it is full",
    "unix connect",
];

/// `?` is all that it takes to end as cancelled; the operation in flight is in
/// the ledger until then, and the region closes afterwards.
#[test]
fn a_cancelled_wait_ends_its_task_as_cancelled() {
    for op in WAITS {
        let lab = LabRuntime::new(config());
        lab.run(async |cx: Scope| {
            lab.net().partition(VirtualNet::CLIENT_V4, SILENT);
            let task = cx.try_spawn(async move |cx: Cx| waits(op, &cx, "").await);
            cx.sleep(Duration::from_millis(300)).await.unwrap();
            assert!(!task.is_complete(), "{op}");
            // A request to the whole region would be the same to the task.
            task.cancel(CancelKind::RegionEnd);
            let end = task.await;
            assert!(end.is_cancelled(), "{op}: {end:?}");
        });
        let mut in_flight = BTreeSet::new();
        let (mut aborted, mut closed) = (0, false);
        for e in &lab.trace().events {
            match e.event {
                Event::ObligationReserved {
                    task,
                    obligation,
                    kind: ObligationKind::IoOp,
                } => assert!(in_flight.insert((task, obligation)), "{op}"),
                Event::ObligationResolved {
                    task,
                    obligation,
                    kind: ObligationKind::IoOp,
                    how,
                } => {
                    assert!(in_flight.remove(&(task, obligation)), "{op}");
                    aborted += u32::from(matches!(how, Resolution::Aborted(_)));
                }
                Event::RegionClosed { .. } => {
                    assert!(in_flight.is_empty(), "{op}");
                    closed = true;
                }
                _ => {}
            }
        }
        assert_eq!((aborted, closed), (1, true), "{op}");
    }
}

/// The same over the sockets of the system.
#[test]
fn a_cancelled_wait_ends_its_task_as_cancelled_in_production() {
    let builders = [
        Runtime::builder().current_thread(),
        Runtime::builder().worker_threads(2),
    ];
    for builder in builders {
        let runtime = builder.build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().to_str().unwrap();
        let reported = runtime.block_on_report(async |cx: Scope| {
            let ops = WAITS.into_iter();
            // One of a host that says nothing, and one of a queue as long as descriptors are many.
            let ops = ops.filter(|op| !["connect", "unix connect"].contains(op));
            let tasks: Vec<_> = ops
                .map(|op| {
                    let dir = dir.to_owned();
                    (
                        op,
                        cx.try_spawn(async move |cx: Cx| waits(op, &cx, &dir).await),
                    )
                })
                .collect();
            // Long enough for all to wait, mostly; it is right either way.
            cx.sleep(Duration::from_millis(100)).await.unwrap();
            for (op, task) in tasks {
                assert!(!task.is_complete(), "{op}");
                task.cancel(CancelKind::RegionEnd);
                let end = task.await;
                assert!(end.is_cancelled(), "{op}: {end:?}");
            }
        });
        assert!(reported.value.is_some());
        let report = reported.report;
        assert!(
            report.leaks.is_empty() && report.abandoned.is_empty(),
            "{report:?}"
        );
    }
}

/// What a task waits for is in its ledger: it says so when it has to be dropped.
#[test]
fn the_ledger_shows_a_pending_operation() {
    worlds::everywhere(async |cx: Scope| {
        let options = RegionOptions {
            cleanup: Some(CleanupPolicy::default().capped(Duration::from_millis(5))),
            ..RegionOptions::named("deaf")
        };
        let closed = cx.region_report(options, async |scope: Scope| {
            let (mut here, there) = UnixStream::pair(&scope).unwrap();
            let begun = Arc::new(AtomicBool::new(false));
            let waits = begun.clone();
            scope.spawn(async move |cx: Cx| {
                let _there = there;
                begun.store(true, Ordering::SeqCst);
                // Nobody writes, and it does not hear that it should stop.
                here.read(cx.cleanup(), &mut [0]).await.map(drop)
            });
            worlds::until(&scope, || waits.load(Ordering::SeqCst)).await;
            scope.cancel("enough");
        });
        let report = closed.await.unwrap().report;
        let held: Vec<_> = report.abandoned.iter().map(|a| &a.held[..]).collect();
        assert_eq!(held, [[ObligationKind::IoOp]], "{report:?}");
    });
}

/// A dropped wait leaves the socket to the next: the same, by dropping the future.
#[test]
fn a_dropped_wait_leaves_no_promise() {
    for op in WAITS {
        let lab = LabRuntime::new(config());
        lab.run(async |cx: Scope| {
            lab.net().partition(VirtualNet::CLIENT_V4, SILENT);
            let late = cx.timeout_drop(Duration::from_millis(300), waits(op, &cx, ""));
            let late = late.await;
            assert!(matches!(late, Err(TimeoutError::Elapsed)), "{op}: {late:?}");
            assert!(lab.net().connections().is_empty(), "{op}");
        });
    }
}

/// Passes a word from a TCP connection on to a Unix one.
async fn serve(cx: &Cx, listener: TcpListener, unix: UnixListener) -> io::Result<()> {
    let (mut tcp, _) = listener.accept(cx).await?;
    let (mut unix, _) = unix.accept(cx).await?;
    let mut word = [0; 5];
    tcp.peek(cx, &mut word).await?;
    tcp.read_exact(cx, &mut word).await?;
    unix.write_all(cx, &word).await?;
    unix.shutdown(cx).await
}

/// Some traffic over every type of socket.
async fn traffic(cx: Scope) -> io::Result<u32> {
    let listener = TcpSocket::new().nodelay(true).listen(&cx, LOCAL).await?;
    let addr = listener.local_addr()?;
    let unix = UnixListener::bind(&cx, "/run/service").await?;
    let log = UnixDatagram::bind(&cx, "/run/log").await?;
    // Of the kind that does not keep its region open: its client may be cancelled.
    let _ = cx.spawn_daemon(async move |cx: Cx| drop(serve(&cx, listener, unix).await));
    let (read, mut write) = TcpStream::connect(&cx, addr).await?.into_split();
    let mut stream = UnixStream::connect(&cx, "/run/service").await?;
    write.write_all(&cx, b"hello").await?;
    let mut text = String::new();
    stream.read_to_string(&cx, &mut text).await?;
    let sender = UnixDatagram::unbound(&cx)?;
    sender.send_to(&cx, text.as_bytes(), "/run/log").await?;
    let mut buf = [0; 8];
    let (n, _) = log.recv_from(&cx, &mut buf).await?;
    let (a, b) = (
        UdpSocket::bind(&cx, LOCAL).await?,
        UdpSocket::bind(&cx, LOCAL).await?,
    );
    a.send_to(&cx, &buf[..n], b.local_addr()?).await?;
    let m = b.recv(&cx, &mut buf).await?;
    drop((read, write));
    Ok(u32::try_from(n + m).unwrap())
}

#[test]
fn traffic_over_every_socket_survives_every_injection() {
    for (seed, mode) in (0..20)
        .flat_map(|seed| [Inject::Protocol, Inject::Root, Inject::Drop].map(|mode| (seed, mode)))
    {
        let injector = Injector::new(LabConfig::default().seed(seed)).mode(mode);
        let report = injector.check(async |cx| drop(traffic(cx).await));
        assert!(report.is_ok(), "{report}");
        assert!(report.points > 5, "{report}");
    }
}

#[test]
fn equal_seeds_give_equal_traffic() {
    let run = |seed| {
        let lab = LabRuntime::new(LabConfig::default().seed(seed));
        let bytes = lab.run(async |cx| traffic(cx).await);
        assert_eq!(bytes.unwrap(), 10);
        lab.trace().hash()
    };
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
        assert_ne!(run(seed), run(seed + 1), "seed {seed}");
    }
}

/// Connects to the first that answers of hosts `10.0.0.*`; says which, and when.
async fn race(cx: &Cx, hosts: &[u8]) -> (io::Result<u8>, Duration) {
    let addr = |last: &u8| SocketAddr::from(([10, 0, 0, *last], 80));
    let addrs: Vec<_> = hosts.iter().map(addr).collect();
    let start = cx.now();
    let stream = TcpStream::connect(cx, addrs).await;
    let host = stream.map(|stream| match stream.peer_addr().unwrap().ip() {
        IpAddr::V4(ip) => ip.octets()[3],
        IpAddr::V6(ip) => panic!("{ip}"),
    });
    (host, cx.now() - start)
}

#[test]
fn addresses_are_tried_in_order_with_a_stagger() {
    const STAGGER: Duration = Duration::from_millis(250);
    let lab = LabRuntime::new(config());
    lab.run(async |cx: Scope| {
        let here = VirtualNet::CLIENT_V4;
        // 2 says nothing, 3 refuses, 4 and 5 listen, and 5 is far away.
        lab.net().partition(here, SILENT);
        let far = exact().latency(Duration::from_millis(200), Duration::ZERO);
        lab.net().link(here, [10, 0, 0, 5], far);
        let _near = TcpListener::bind(&cx, "10.0.0.4:80").await.unwrap();
        let _far = TcpListener::bind(&cx, "10.0.0.5:80").await.unwrap();
        let trip = 2 * LATENCY;
        let (host, took) = race(&cx, &[4, 5]).await;
        assert_eq!((host.unwrap(), took), (4, trip));
        let (host, took) = race(&cx, &[2, 4]).await;
        assert_eq!((host.unwrap(), took), (4, STAGGER + trip));
        let (host, took) = race(&cx, &[2, 2, 2, 4]).await;
        assert_eq!((host.unwrap(), took), (4, 3 * STAGGER + trip));
        // Refused, the next goes at once; the one behind a silent one as well.
        let (host, took) = race(&cx, &[3, 4]).await;
        assert_eq!((host.unwrap(), took), (4, 2 * trip));
        let (host, took) = race(&cx, &[2, 3, 4]).await;
        assert_eq!((host.unwrap(), took), (4, STAGGER + 2 * trip));
        // The slow one is overtaken, and the other attempt is closed.
        let (host, took) = race(&cx, &[5, 4]).await;
        assert_eq!((host.unwrap(), took), (4, STAGGER + trip));
        let (host, took) = race(&cx, &[5, 2]).await;
        assert_eq!((host.unwrap(), took), (5, Duration::from_millis(400)));
        let (host, _) = race(&cx, &[3, 3]).await;
        assert_eq!(host.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_cancelled_look_up_returns_at_once_and_the_region_waits() {
    let takes = Duration::from_secs(1);
    let lab = LabRuntime::new(config().blocking_duration(takes));
    lab.run(async |cx: Scope| {
        lab.net().host("db", [10, 0, 0, 7]);
        let named = net::resolve(&cx, "db", 5).await.unwrap();
        assert_eq!(named, ["10.0.0.7:5".parse().unwrap()]);
        assert_eq!(cx.now(), Time::ZERO + takes);
        let start = cx.now();
        let region = cx.region(async |inner: Scope| {
            let looks = inner.spawn(async |cx: Cx| {
                let refused = net::resolve(&cx, "db", 5).await.unwrap_err();
                (
                    asupersync::types::cancel::reason_in(&refused).is_some(),
                    cx.now(),
                )
            });
            inner.sleep(takes / 10).await.unwrap();
            looks.cancel(CancelKind::User);
            looks.await.into_result().unwrap()
        });
        let (cancelled, at) = region.await.unwrap();
        assert!(cancelled);
        assert_eq!(at - start, takes / 10);
        assert_eq!(cx.now() - start, takes, "the closure runs to its end");
    });
}

#[test]
fn ten_thousand_connections_leave_nothing_in_the_lab() {
    const CONNECTIONS: usize = 10_000;
    let model = NetModel::default().backlog(CONNECTIONS);
    let config = LabConfig::default().network(model).max_steps(10_000_000);
    let lab = LabRuntime::new(config);
    lab.run(async |cx: Scope| {
        let listener = TcpListener::bind(&cx, LOCAL).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = cx.spawn(async move |cx: Cx| {
            while let Ok((mut stream, _)) = listener.accept(&cx).await {
                cx.spawn(async move |cx: Cx| drop(stream.read(&cx, &mut [0; 2]).await));
            }
        });
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|i| {
                cx.spawn(async move |cx: Cx| -> io::Result<()> {
                    let mut stream = TcpStream::connect(&cx, addr).await?;
                    if i % 2 == 0 {
                        stream.write_u8(&cx, 1).await?;
                    }
                    // Answered by the end of the stream if something was sent.
                    let hour = Duration::from_secs(3600);
                    let read = cx.timeout_drop(hour, stream.read(&cx, &mut [0; 2])).await;
                    read.map_err(|_| io::ErrorKind::TimedOut)?.map(drop)
                })
            })
            .collect();
        cx.sleep(Duration::from_secs(1)).await.unwrap();
        assert_eq!(lab.net().connections().len(), CONNECTIONS / 2);
        for client in clients.iter().skip(1).step_by(2) {
            client.cancel(CancelKind::User);
        }
        let mut closed = 0;
        for client in clients {
            closed += usize::from(client.await.into_result().is_ok_and(|end| end.is_ok()));
        }
        assert_eq!(closed, CONNECTIONS / 2);
        server.cancel(CancelKind::User);
        drop(server.await);
        cx.sleep(Duration::from_secs(1)).await.unwrap();
        assert!(lab.net().connections().is_empty());
    });
    let count = |wanted: fn(&Event) -> bool| {
        let trace = lab.trace();
        trace.events.iter().filter(|e| wanted(&e.event)).count()
    };
    let set = count(|e| matches!(e, Event::TimerSet { .. }));
    let gone = count(|e| matches!(e, Event::TimerFired { .. } | Event::TimerCancelled { .. }));
    assert!(set >= CONNECTIONS);
    assert_eq!(set, gone, "no timer is left");
}
