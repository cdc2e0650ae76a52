//! The rules of the network, driven through its ports with a clock moved by hand.

use super::*;
use crate::lab::LabConfig;
use crate::lab::pick::Pick;
use crate::lab::world::LabWorld;
use crate::types::time::Time;
use crate::world::net::Options;
use crate::world::{self, World as _};
use std::io::ErrorKind;
use std::net::Shutdown;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake};

const LATENCY: Duration = Duration::from_millis(3);

/// Ports as their users see them: shared trait objects.
type Socket = Arc<dyn world::Stream>;
type Server = Arc<dyn world::Listener>;

struct Bench {
    world: LabWorld,
    wakes: Arc<Count>,
}

struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Without jitter and cuts: every time and every length is exact.
fn exact() -> NetModel {
    NetModel::default()
        .latency(LATENCY, Duration::ZERO)
        .segments(false)
}

impl Bench {
    fn new(model: NetModel, seed: u64) -> Self {
        let config = LabConfig::default()
            .network(model)
            .seed(seed)
            .pick(Pick::Random);
        Bench {
            world: LabWorld::new(&config),
            wakes: Arc::new(Count(AtomicU32::new(0))),
        }
    }

    /// Lets time pass until nothing is under way.
    fn settle(&self) -> Time {
        assert!(matches!(self.world.step(), crate::lab::world::Step::Stuck));
        self.world.now()
    }

    fn poll<R>(&self, f: impl FnOnce(&mut Context<'_>) -> R) -> R {
        f(&mut Context::from_waker(&self.wakes.clone().into()))
    }

    fn wakes(&self) -> u32 {
        self.wakes.0.swap(0, Ordering::Relaxed)
    }

    fn listen(&self, addr: &str) -> Server {
        self.world
            .net()
            .listen(&ip(addr), &Options::default())
            .expect("the port is free")
    }

    fn connect(&self, addr: &str) -> Socket {
        self.world
            .net()
            .connect(&ip(addr), &Options::default())
            .expect("a port is free")
    }

    fn accept(&self, server: &Server) -> Socket {
        match self.poll(|cx| server.poll_accept(cx)) {
            Poll::Ready(Ok((stream, _))) => stream,
            other => panic!("nothing to accept: {:?}", other.map_ok(|(_, peer)| peer)),
        }
    }

    /// A connection, client first.
    fn pair(&self) -> (Socket, Socket) {
        let server = self.listen("127.0.0.1:80");
        let client = self.connect("127.0.0.1:80");
        self.settle();
        (client, self.accept(&server))
    }

    fn connected(&self, s: &Socket) -> Poll<Result<(), ErrorKind>> {
        self.poll(|cx| s.poll_connected(cx)).map_err(|e| e.kind())
    }

    fn read(&self, s: &Socket, len: usize) -> Poll<Result<Vec<u8>, ErrorKind>> {
        let mut buf = vec![0; len];
        self.poll(|cx| s.poll_read(cx, &mut buf))
            .map_ok(|n| buf[..n].to_vec())
            .map_err(|e| e.kind())
    }

    fn write(&self, s: &Socket, bytes: &[u8]) -> Poll<Result<usize, ErrorKind>> {
        self.poll(|cx| s.poll_write(cx, bytes))
            .map_err(|e| e.kind())
    }
}

fn ip(addr: &str) -> Addr {
    Addr::Ip(addr.parse().expect("an address"))
}

fn ready<T>(value: T) -> Poll<Result<T, ErrorKind>> {
    Poll::Ready(Ok(value))
}

fn failed<T>(kind: ErrorKind) -> Poll<Result<T, ErrorKind>> {
    Poll::Ready(Err(kind))
}

#[test]
fn a_round_trip_takes_exactly_its_latencies() {
    let b = Bench::new(exact(), 0);
    let server = b.listen("127.0.0.1:0");
    assert_eq!(
        server.local_addr().expect("bound").to_string(),
        "127.0.0.1:49152"
    );
    assert!(b.poll(|cx| server.poll_accept(cx)).is_pending());
    let client = b.connect("127.0.0.1:49152");
    assert!(b.connected(&client).is_pending());
    assert_eq!(
        b.settle(),
        Time::ZERO + 2 * LATENCY,
        "one to ask, one to learn"
    );
    assert_eq!(b.wakes(), 2, "the acceptor and the connector");
    assert_eq!(b.connected(&client), ready(()));
    let peer = b.accept(&server);
    assert_eq!(peer.peer_addr().ok(), client.local_addr().ok());

    assert_eq!(b.write(&client, b"hello"), ready(5));
    assert!(b.read(&peer, 9).is_pending());
    assert_eq!(b.settle(), Time::ZERO + 3 * LATENCY);
    assert_eq!(b.wakes(), 1);
    assert_eq!(b.read(&peer, 2), ready(b"he".to_vec()));
    assert_eq!(b.read(&peer, 9), ready(b"llo".to_vec()));
}

#[test]
fn half_a_connection_can_end() {
    let b = Bench::new(exact(), 0);
    let (client, server) = b.pair();
    assert_eq!(b.write(&client, b"request"), ready(7));
    client.shutdown(Shutdown::Write).expect("connected");
    assert_eq!(b.write(&client, b"more"), failed(ErrorKind::BrokenPipe));
    b.settle();
    assert_eq!(b.read(&server, 99), ready(b"request".to_vec()));
    assert_eq!(b.read(&server, 99), ready(vec![]), "the end");
    assert_eq!(
        b.write(&server, b"answer"),
        ready(6),
        "the other half goes on"
    );
    b.settle();
    assert_eq!(b.read(&client, 99), ready(b"answer".to_vec()));
    drop(server);
    b.settle();
    assert_eq!(b.read(&client, 99), ready(vec![]));
}

#[test]
fn the_buffer_holds_a_writer_back() {
    let b = Bench::new(exact().buffer(10), 0);
    let (client, server) = b.pair();
    assert_eq!(b.write(&client, b"0123456789ab"), ready(10));
    assert!(b.write(&client, b"ab").is_pending());
    b.settle();
    assert!(b.write(&client, b"ab").is_pending(), "arrived is not read");
    b.wakes();
    assert_eq!(b.read(&server, 4), ready(b"0123".to_vec()));
    assert_eq!(b.wakes(), 1);
    assert_eq!(b.write(&client, b"abcdef"), ready(4));
}

#[test]
fn nobody_listening_and_nobody_answering() {
    let b = Bench::new(exact().backlog(1), 0);
    let refused = b.connect("127.0.0.1:81");
    assert!(b.connected(&refused).is_pending());
    assert_eq!(b.settle(), Time::ZERO + 2 * LATENCY);
    assert_eq!(b.connected(&refused), failed(ErrorKind::ConnectionRefused));

    let _server = b.listen("127.0.0.1:82");
    let first = b.connect("127.0.0.1:82");
    let second = b.connect("127.0.0.1:82");
    let start = b.world.now();
    assert_eq!(
        b.settle() - start,
        Duration::from_secs(127),
        "a full listener is asked seven times"
    );
    assert_eq!(b.connected(&first), ready(()));
    assert_eq!(b.connected(&second), failed(ErrorKind::TimedOut));
}

#[test]
fn a_partition_holds_what_is_under_way() {
    let b = Bench::new(exact(), 0);
    let server = b.listen("10.0.0.2:80");
    let client = b.connect("10.0.0.2:80");
    b.settle();
    let peer = b.accept(&server);
    let (here, there) = (VirtualNet::CLIENT_V4, IpAddr::from([10, 0, 0, 2]));
    let net = b.world.virtual_net();
    assert_eq!(b.write(&client, b"be"), ready(2));
    net.partition(here, there);
    assert_eq!(b.write(&client, b"fore"), ready(4));
    b.settle();
    assert!(b.read(&peer, 99).is_pending());
    net.heal(there, here);
    assert_eq!(b.write(&client, b" after"), ready(6));
    let healed = b.world.now();
    assert_eq!(b.settle() - healed, LATENCY);
    assert_eq!(b.read(&peer, 99), ready(b"before after".to_vec()));

    net.partition(here, there);
    let late = b.connect("10.0.0.2:80");
    let asked = b.world.now();
    assert_eq!(b.settle() - asked, Duration::from_secs(127));
    assert_eq!(b.connected(&late), failed(ErrorKind::TimedOut));
}

#[test]
fn a_reset_is_seen_once_by_both_ends() {
    let b = Bench::new(exact(), 0);
    let (client, server) = b.pair();
    assert_eq!(b.write(&client, b"lost"), ready(4));
    assert!(b.read(&server, 9).is_pending());
    let net = b.world.virtual_net();
    let [conn] = &net.connections()[..] else {
        panic!("one connection")
    };
    b.wakes();
    assert!(net.reset(conn.id));
    assert_eq!(b.wakes(), 1);
    assert_eq!(b.read(&server, 9), failed(ErrorKind::ConnectionReset));
    assert_eq!(b.read(&server, 9), ready(vec![]));
    assert_eq!(b.write(&client, b"x"), failed(ErrorKind::ConnectionReset));
    assert_eq!(b.write(&client, b"x"), failed(ErrorKind::BrokenPipe));
    drop((client, server));
    assert!(net.connections().is_empty());
    assert!(!net.reset(conn.id));
}

#[test]
fn dropping_a_socket_says_whether_something_was_lost() {
    let b = Bench::new(exact(), 0);
    let server = b.listen("127.0.0.1:80");
    // Unread bytes: a reset.
    let client = b.connect("127.0.0.1:80");
    b.settle();
    let peer = b.accept(&server);
    assert_eq!(b.write(&client, b"unread"), ready(6));
    b.settle();
    drop(peer);
    b.settle();
    assert_eq!(b.read(&client, 9), failed(ErrorKind::ConnectionReset));
    // Nothing unread: the end; but bytes sent afterwards have nobody to go to.
    let client = b.connect("127.0.0.1:80");
    b.settle();
    drop(b.accept(&server));
    b.settle();
    assert_eq!(b.read(&client, 9), ready(vec![]));
    assert_eq!(b.write(&client, b"late"), ready(4));
    b.settle();
    assert_eq!(
        b.write(&client, b"late"),
        failed(ErrorKind::ConnectionReset)
    );
    // Never accepted.
    let client = b.connect("127.0.0.1:80");
    b.settle();
    assert_eq!(b.connected(&client), ready(()));
    drop(server);
    b.settle();
    assert_eq!(b.read(&client, 9), failed(ErrorKind::ConnectionReset));
    let next = b.connect("127.0.0.1:80");
    b.settle();
    assert_eq!(b.connected(&next), failed(ErrorKind::ConnectionRefused));
}

#[test]
fn addresses_are_taken_once_and_names_resolve() {
    let b = Bench::new(exact(), 0);
    let all = b.listen("0.0.0.0:80");
    let again = b
        .world
        .net()
        .listen(&ip("127.0.0.1:80"), &Options::default());
    assert_eq!(again.err().map(|e| e.kind()), Some(ErrorKind::AddrInUse));
    let client = b.connect("10.9.9.9:80");
    b.settle();
    assert_eq!(b.connected(&client), ready(()));
    drop(all);
    drop(b.listen("127.0.0.1:80"));

    b.world.virtual_net().host("db", [10, 0, 0, 7]);
    let port = |host| b.world.net().resolve(host, 5);
    assert_eq!(
        port("db").expect("named"),
        ["10.0.0.7:5".parse().expect("an address")]
    );
    assert_eq!(
        port("::1").expect("numeric"),
        ["[::1]:5".parse().expect("an address")]
    );
    assert_eq!(
        port("other").err().map(|e| e.kind()),
        Some(ErrorKind::NotFound)
    );
}

#[test]
fn every_seed_delivers_every_byte_in_order() {
    let mut hashes = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let b = Bench::new(NetModel::default().buffer(700), seed);
        let (client, server) = b.pair();
        let sent: Vec<u8> = (0..5_000_u32).map(|i| (i % 251) as u8).collect();
        let (mut at, mut got) = (0, Vec::new());
        while got.len() < sent.len() {
            if at < sent.len()
                && let Poll::Ready(n) = b.write(&client, &sent[at..sent.len().min(at + 100)])
            {
                at += n.expect("nobody resets");
                continue;
            }
            b.settle();
            while let Poll::Ready(bytes) = b.read(&server, 64) {
                got.extend(bytes.expect("nobody resets"));
            }
        }
        assert_eq!(got, sent, "seed {seed}");
        hashes.insert(b.world.view(|v| v.trace.hash()));
    }
    assert_eq!(hashes.len(), 200, "seeds make different networks");
}
