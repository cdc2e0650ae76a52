//! The reactor over sockets of the loopback interface.

use super::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::AtomicUsize as Count;
use std::task::Wake;

struct Wakes(Count);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Probe {
    wakes: Arc<Wakes>,
    waker: Waker,
}

impl Probe {
    fn new() -> Self {
        let wakes = Arc::new(Wakes(Count::new(0)));
        Probe {
            waker: Waker::from(Arc::clone(&wakes)),
            wakes,
        }
    }

    fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }

    fn count(&self) -> usize {
        self.wakes.0.load(Ordering::SeqCst)
    }
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    server.set_nonblocking(true).unwrap();
    client.set_nodelay(true).unwrap();
    (client, server)
}

/// Waits until an event arrives, and wakes.
fn drive(reactor: &Reactor) {
    let mut driver = reactor.take_driver().unwrap();
    let mut wakers = Vec::new();
    reactor
        .wait(&mut driver, Some(Duration::from_secs(5)), &mut wakers)
        .unwrap();
    reactor.return_driver(driver);
    wakers.into_iter().for_each(Waker::wake);
}

fn read(probe: &Probe, stream: &Registered<TcpStream>, room: usize) -> Poll<Vec<u8>> {
    let mut buf = vec![0; room];
    let mut socket = stream.socket();
    let polled = stream.read().poll_io(
        &mut probe.context(),
        || socket.read(&mut buf),
        |n| 0 < *n && *n < room,
    );
    polled.map(|n| {
        buf.truncate(n.unwrap());
        buf
    })
}

#[test]
fn a_reader_is_woken_by_data_and_by_the_end() {
    let reactor = Reactor::new().unwrap();
    let probe = Probe::new();
    let (mut client, server) = pair();
    let server = reactor.register(server).unwrap();
    assert_eq!(read(&probe, &server, 8), Poll::Pending);
    client.write_all(b"abc").unwrap();
    while probe.count() == 0 {
        drive(&reactor);
    }
    assert_eq!(read(&probe, &server, 8), Poll::Ready(b"abc".to_vec()));
    assert_eq!(read(&probe, &server, 8), Poll::Pending);
    drop(client);
    while probe.count() == 1 {
        drive(&reactor);
    }
    assert_eq!(read(&probe, &server, 8), Poll::Ready(vec![]));
    assert_eq!(
        read(&probe, &server, 8),
        Poll::Ready(vec![]),
        "the end stays"
    );
}

#[test]
fn data_and_end_in_one_edge_are_both_seen() {
    let reactor = Reactor::new().unwrap();
    let probe = Probe::new();
    let (mut client, server) = pair();
    client.write_all(b"abc").unwrap();
    drop(client);
    // The end must have arrived before the wait for both to share an edge.
    let mut peek = [0; 8];
    while server.peek(&mut peek).is_err() {}
    let server = reactor.register(server).unwrap();
    drive(&reactor);
    assert_eq!(read(&probe, &server, 8), Poll::Ready(b"abc".to_vec()));
    for _ in 0..3 {
        if read(&probe, &server, 8) == Poll::Ready(vec![]) {
            return;
        }
        drive(&reactor);
    }
    panic!("the end of the stream was lost");
}

#[test]
fn clearing_does_not_undo_a_later_event() {
    let direction = Direction::new(READY);
    let probe = Probe::new();
    let mut calls = 0;
    let polled = direction.poll_io(
        &mut probe.context(),
        || {
            calls += 1;
            if calls == 1 {
                // The event comes between the system call and the clearing.
                assert!(direction.mark(READY).is_none());
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(calls)
        },
        |_| false,
    );
    assert!(matches!(polled, Poll::Ready(Ok(2))));
}

#[test]
fn a_stale_key_is_counted_and_wakes_nobody() {
    let reactor = Reactor::new().unwrap();
    let probe = Probe::new();
    let (mut client, server) = pair();
    let clone = server.try_clone().unwrap();
    let first = reactor.register(server).unwrap();
    let old = first.registration.key;
    drop(first);
    // The slot's next tenant, and an event that still carries the former key.
    let (_client2, server2) = pair();
    let second = reactor.register(server2).unwrap();
    assert_eq!(second.registration.key.slot, old.slot);
    drive(&reactor);
    assert_eq!(read(&probe, &second, 8), Poll::Pending);
    reactor.poller.add(&clone, pack(old), Asked::BOTH).unwrap();
    client.write_all(b"x").unwrap();
    while reactor.unknown() == 0 {
        drive(&reactor);
    }
    assert_eq!(probe.count(), 0);
    assert_eq!(read(&probe, &second, 8), Poll::Pending);
}

#[test]
fn ten_thousand_sockets_leave_nothing_behind() {
    let reactor = Reactor::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    for _ in 0..100 {
        let batch: Vec<_> = (0..50)
            .flat_map(|_| {
                let client = TcpStream::connect(addr).unwrap();
                [client, listener.accept().unwrap().0].map(|s| reactor.register(s).unwrap())
            })
            .collect();
        assert_eq!(reactor.registered(), 100);
        drop(batch);
    }
    assert_eq!(reactor.registered(), 0);
    assert!(lock(&reactor.sources).is_empty());
}

#[test]
fn what_the_system_has_forgotten_is_deregistered_all_the_same() {
    let reactor = Reactor::new().unwrap();
    let (_client, server) = pair();
    let server = reactor.register(server).unwrap();
    reactor.poller.delete(server.socket()).unwrap();
    drop(server);
    assert_eq!(reactor.registered(), 0);
    assert!(lock(&reactor.sources).is_empty());
}

#[test]
fn a_wake_from_another_thread_ends_the_wait() {
    let reactor = Reactor::new().unwrap();
    let mut driver = reactor.take_driver().unwrap();
    assert!(
        reactor.take_driver().is_none(),
        "one thread waits at a time"
    );
    std::thread::scope(|s| {
        s.spawn(|| reactor.wake());
        reactor.wait(&mut driver, None, &mut Vec::new()).unwrap();
    });
    // Every wake is an edge of its own.
    reactor.wake();
    reactor.wait(&mut driver, None, &mut Vec::new()).unwrap();
}

#[test]
fn timeouts_below_a_millisecond_are_kept() {
    let reactor = Reactor::new().unwrap();
    let mut driver = reactor.take_driver().unwrap();
    let start = std::time::Instant::now();
    reactor
        .wait(
            &mut driver,
            Some(Duration::from_micros(300)),
            &mut Vec::new(),
        )
        .unwrap();
    assert!(start.elapsed() >= Duration::from_micros(300));
}

#[test]
fn the_portable_backend_reports_edges() {
    let poller = portable::Poller::new().unwrap();
    let mut reports = portable::Reports::new();
    let (mut client, server) = pair();
    poller.add(&server, 7, Asked::BOTH).unwrap();
    let wait = |reports: &mut portable::Reports, wanted: fn(&Report) -> bool| {
        poller.wait(reports, Some(Duration::from_secs(5))).unwrap();
        reports.iter().any(|r| r.key == 7 && wanted(&r))
    };
    while !wait(&mut reports, |r| r.writable) {}
    client.write_all(b"x").unwrap();
    while !wait(&mut reports, |r| r.readable) {}
    poller.wake();
    poller.wait(&mut reports, None).unwrap();
    poller.delete(&server).unwrap();
}
