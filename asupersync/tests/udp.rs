//! Datagrams, and several tasks at one socket, in every world.

mod worlds;

use asupersync::lab::{LinkModel, NetModel, VirtualNet};
use asupersync::net::{self, TcpListener, TcpStream, UdpSocket};
use asupersync::types::cancel::reason_in;
use asupersync::{CapSet, Cx, LabConfig, LabRuntime, Scope, Time, TimeoutError};
use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;
use worlds::everywhere;

const LOCAL: &str = "127.0.0.1:0";
const LATENCY: Duration = Duration::from_millis(10);

async fn pair(cx: &Cx) -> (UdpSocket, UdpSocket) {
    let a = UdpSocket::bind(cx, LOCAL).await.unwrap();
    let b = UdpSocket::bind(cx, LOCAL).await.unwrap();
    (a, b)
}

/// Awaits `future`, and says so when it has to wait.
async fn seen_waiting<F: Future>(future: F, waits: &AtomicBool) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|task| {
        let polled = future.as_mut().poll(task);
        waits.store(polled.is_pending(), Ordering::SeqCst);
        polled
    })
    .await
}

/// Polls `future` until it waits, and drops it then.
async fn dropped_waiting<F: Future>(future: F) {
    let mut future = pin!(future);
    poll_fn(|task| {
        assert!(future.as_mut().poll(task).is_pending());
        Poll::Ready(())
    })
    .await;
}

#[test]
fn a_datagram_arrives_whole_with_its_sender() {
    everywhere(async |cx: Scope| {
        let (a, b) = pair(&cx).await;
        let (from, to) = (a.local_addr().unwrap(), b.local_addr().unwrap());
        let mut buf = [0; 8];
        for message in [&b"one"[..], b"", b"longer than that"] {
            assert_eq!(a.send_to(&cx, message, to).await.unwrap(), message.len());
            let (n, sender) = b.recv_from(&cx, &mut buf).await.unwrap();
            assert_eq!(&buf[..n], &message[..message.len().min(8)]);
            assert_eq!(sender, from);
        }
    });
}

#[test]
fn a_connected_socket_hears_its_peer_only() {
    everywhere(async |cx: Scope| {
        let (a, b) = pair(&cx).await;
        let stranger = UdpSocket::bind(&cx, LOCAL).await.unwrap();
        let unconnected = a.send(&cx, b"to whom?").await.unwrap_err();
        // Systems do not agree on the kind.
        assert!(
            unconnected.raw_os_error().is_some()
                || unconnected.kind() == io::ErrorKind::NotConnected
        );
        assert!(a.peer_addr().is_err());
        a.connect(&cx, b.local_addr().unwrap()).await.unwrap();
        b.connect(&cx, a.local_addr().unwrap()).await.unwrap();
        assert_eq!(a.peer_addr().unwrap(), b.local_addr().unwrap());
        let to = b.local_addr().unwrap();
        stranger.send_to(&cx, b"stranger", to).await.unwrap();
        a.send(&cx, b"peer").await.unwrap();
        let mut buf = [0; 16];
        let n = b.recv(&cx, &mut buf).await.unwrap();
        assert_eq!(&buf[..n], b"peer");
    });
}

/// One waker per direction would leave all but the last of them asleep.
#[test]
fn every_receiver_gets_one() {
    everywhere(async |cx: Scope| {
        let (a, b) = pair(&cx).await;
        let to = b.local_addr().unwrap();
        let b = Arc::new(b);
        let receivers: Vec<_> = (0..4)
            .map(|_| {
                let b = Arc::clone(&b);
                cx.spawn(async move |cx: Cx| {
                    let mut buf = [0; 1];
                    b.recv(&cx, &mut buf).await.unwrap();
                    buf[0]
                })
            })
            .collect();
        cx.yield_now().await.unwrap();
        for i in 0..4 {
            a.send_to(&cx, &[i], to).await.unwrap();
        }
        let mut got = BTreeSet::new();
        for receiver in receivers {
            got.insert(receiver.await.into_result().unwrap());
        }
        assert_eq!(got, BTreeSet::from([0, 1, 2, 3]));
    });
}

/// The one that waited last is cancelled: it must not take the only waker with it.
#[test]
fn a_cancelled_waiter_takes_nobody_along() {
    everywhere(async |cx: Scope| {
        let listener = Arc::new(TcpListener::bind(&cx, LOCAL).await.unwrap());
        let addr = listener.local_addr().unwrap();
        let waits = Arc::new(AtomicBool::new(false));
        let stays = {
            let (listener, waits) = (Arc::clone(&listener), Arc::clone(&waits));
            cx.spawn(async move |cx: Cx| {
                let (_, peer) = seen_waiting(listener.accept(&cx), &waits).await.unwrap();
                peer
            })
        };
        while !waits.load(Ordering::SeqCst) {
            cx.yield_now().await.unwrap();
        }
        dropped_waiting(listener.accept(&cx)).await;
        let client = TcpStream::connect(&cx, addr).await.unwrap();
        let peer = stays.await.into_result().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    });
}

#[test]
fn a_cancelled_receive_takes_nothing() {
    everywhere(async |cx: Scope| {
        let (a, b) = pair(&cx).await;
        let to = b.local_addr().unwrap();
        dropped_waiting(b.recv(&cx, &mut [0; 4])).await;
        let asked = cx.timeout(LATENCY, async |cx| b.recv(&cx, &mut [0; 4]).await);
        let late = asked.await;
        assert!(
            match &late {
                Err(TimeoutError::Elapsed) => true,
                Ok(Err(e)) => reason_in(e).is_some(),
                _ => false,
            },
            "{late:?}"
        );
        a.send_to(&cx, b"late", to).await.unwrap();
        let mut buf = [0; 4];
        assert_eq!(b.recv(&cx, &mut buf).await.unwrap(), 4);
    });
}

#[test]
fn sockets_need_the_capability() {
    everywhere(async |cx: Scope| {
        let socket = UdpSocket::bind(&cx, LOCAL).await.unwrap();
        let to = socket.local_addr().unwrap();
        let narrow = cx.restrict(CapSet::ALL.without(CapSet::NET));
        let denied = [
            UdpSocket::bind(&narrow, LOCAL).await.map(drop).unwrap_err(),
            socket.connect(&narrow, to).await.unwrap_err(),
            socket.send_to(&narrow, b"x", to).await.unwrap_err(),
            net::resolve(&narrow, "localhost", 1).await.unwrap_err(),
        ];
        for e in denied {
            assert_eq!(e.kind(), io::ErrorKind::PermissionDenied, "{e}");
        }
    });
}

#[test]
fn localhost_has_an_address() {
    everywhere(async |cx: Scope| {
        let addrs = net::resolve(&cx, "localhost", 80).await.unwrap();
        assert!(addrs.iter().all(|a| a.ip().is_loopback() && a.port() == 80));
        assert!(!addrs.is_empty());
    });
}

// The virtual network.

fn lab(seed: u64, link: LinkModel) -> LabRuntime {
    LabRuntime::new(
        LabConfig::default()
            .seed(seed)
            .network(NetModel::default().link(link)),
    )
}

/// Sends numbers from one host to another, all at once, and returns those that arrive in time.
async fn volley(cx: &Cx, numbers: u8) -> Vec<u8> {
    let there = UdpSocket::bind(cx, "10.0.0.2:7").await.unwrap();
    let here = UdpSocket::bind(cx, "0.0.0.0:0").await.unwrap();
    let to: SocketAddr = there.local_addr().unwrap();
    for i in 0..numbers {
        here.send_to(cx, &[i], to).await.unwrap();
    }
    let mut arrived = Vec::new();
    let mut buf = [0];
    while let Ok(received) = cx
        .timeout_drop(Duration::from_secs(1), there.recv_from(cx, &mut buf))
        .await
    {
        let (n, from) = received.unwrap();
        assert_eq!((n, from.ip()), (1, VirtualNet::CLIENT_V4));
        arrived.push(buf[0]);
    }
    arrived
}

#[test]
fn loss_and_reordering_are_the_seed_s() {
    let link = LinkModel::default()
        .latency(LATENCY, 10 * LATENCY)
        .loss(300);
    let run = |seed| lab(seed, link).run(async |cx: Scope| volley(&cx, 100).await);
    let (mut lost, mut reordered) = (0, 0);
    for seed in 0..20 {
        let arrived = run(seed);
        assert_eq!(arrived, run(seed), "equal seeds, equal traces");
        let distinct: BTreeSet<_> = arrived.iter().collect();
        assert_eq!(distinct.len(), arrived.len(), "none arrives twice");
        lost += 100 - arrived.len();
        reordered += usize::from(!arrived.is_sorted());
    }
    // 2000 datagrams at 0.3: the standard deviation is 20.5.
    assert!((500..700).contains(&lost), "{lost}");
    assert_eq!(reordered, 20);
}

#[test]
fn a_link_has_its_own_latency_loss_and_bandwidth() {
    let quiet = LinkModel::default().latency(LATENCY, Duration::ZERO);
    let lab = lab(0, quiet);
    let (here, there) = (VirtualNet::CLIENT_V4, IpAddr::from([10, 0, 0, 2]));
    lab.run(async |cx: Scope| {
        assert_eq!(volley(&cx, 10).await, Vec::from_iter(0..10));
        lab.net().link(here, there, quiet.loss(1000));
        assert_eq!(volley(&cx, 10).await, []);
        lab.net().link(here, there, quiet.bandwidth(1_000));
        let socket = UdpSocket::bind(&cx, "10.0.0.2:8").await.unwrap();
        let to = socket.local_addr().unwrap();
        let from = UdpSocket::bind(&cx, "10.0.0.1:8").await.unwrap();
        let start = cx.now();
        for _ in 0..3 {
            from.send_to(&cx, &[0; 500], to).await.unwrap();
        }
        for i in 1..=3 {
            socket.recv(&cx, &mut [0; 500]).await.unwrap();
            let arrival = start + i * Duration::from_millis(500) + LATENCY;
            assert_eq!(cx.now(), arrival);
        }
    });
}

#[test]
fn a_stream_takes_the_bandwidth_of_its_link() {
    let link = LinkModel::default()
        .latency(LATENCY, Duration::ZERO)
        .bandwidth(10_000);
    lab(0, link).run(async |cx: Scope| {
        use asupersync::io::{ReadExt, WriteExt};
        let listener = TcpListener::bind(&cx, "10.0.0.2:80").await.unwrap();
        let client = TcpStream::connect(&cx, "10.0.0.2:80");
        let mut client = client.await.unwrap();
        let (mut server, _) = listener.accept(&cx).await.unwrap();
        let start = cx.now();
        client.write_all(&cx, &[7; 5_000]).await.unwrap();
        let mut got = [0; 5_000];
        server.read_exact(&cx, &mut got).await.unwrap();
        assert_eq!(got, [7; 5_000]);
        assert_eq!(cx.now(), start + Duration::from_millis(500) + LATENCY);
    });
}

#[test]
fn a_partition_loses_datagrams_and_ends() {
    let quiet = LinkModel::default().latency(LATENCY, Duration::ZERO);
    let lab = lab(0, quiet);
    let (here, there) = (VirtualNet::CLIENT_V4, IpAddr::from([10, 0, 0, 2]));
    lab.run(async |cx: Scope| {
        lab.net().partition(here, there);
        assert_eq!(volley(&cx, 3).await, []);
        assert_eq!(cx.now(), Time::ZERO + Duration::from_secs(1));
        lab.net().heal(here, there);
        assert_eq!(volley(&cx, 3).await, [0, 1, 2]);
        let socket = UdpSocket::bind(&cx, "10.0.0.2:9").await.unwrap();
        let timed = cx
            .timeout_drop(LATENCY, socket.recv(&cx, &mut [0; 1]))
            .await;
        assert!(matches!(timed, Err(TimeoutError::Elapsed)), "{timed:?}");
    });
}

#[test]
fn a_full_buffer_loses_what_comes_next() {
    let model = NetModel::default().buffer(4);
    LabRuntime::new(LabConfig::default().network(model)).run(async |cx: Scope| {
        let (a, b) = pair(&cx).await;
        let to = b.local_addr().unwrap();
        for i in 0..10 {
            a.send_to(&cx, &[i], to).await.unwrap();
        }
        cx.sleep(Duration::from_secs(1)).await.unwrap();
        let mut arrived = 0;
        while let Ok(received) = cx.timeout_drop(LATENCY, b.recv(&cx, &mut [0])).await {
            arrived += received.unwrap();
        }
        assert_eq!(arrived, 4);
    });
}
