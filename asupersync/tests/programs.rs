//! The programs echo, proxy and chat: the source that is shown, on real sockets and on the lab's
//! network, there with latency, partitions, resets, and a cancellation at every await.
#![allow(dead_code, reason = "an example's `main` is not called here")]
#![allow(clippy::duplicate_mod, reason = "each program stands for itself")]

use asupersync::io::framing::{Framed, Lines};
use asupersync::io::{ReadExt, WriteExt};
use asupersync::lab::{Inject, Injector, NetModel, Points, VirtualNet};
use asupersync::net::{TcpListener, TcpStream};
#[cfg(unix)]
use asupersync::signal::SignalKind;
use asupersync::{CancelKind, Cx, LabConfig, LabRuntime, Scope, TaskHandle, TimeoutError};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

#[path = "../examples/chat.rs"]
mod chat;
#[path = "../examples/echo.rs"]
mod echo;
#[path = "../examples/proxy.rs"]
mod proxy;

mod worlds;
use worlds::everywhere;

const LOCAL: &str = "127.0.0.1:0";
const LATENCY: Duration = Duration::from_millis(10);

/// A lab whose links have a latency, no jitter, and whole segments.
fn exact() -> LabRuntime {
    let model = NetModel::default()
        .latency(LATENCY, Duration::ZERO)
        .segments(false);
    LabRuntime::new(LabConfig::default().network(model))
}

async fn listen(cx: &Cx, at: &str) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(cx, at).await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

type Served = TaskHandle<io::Result<()>>;

async fn start_echo(cx: &Cx, at: &str) -> (Served, SocketAddr) {
    let (listener, addr) = listen(cx, at).await;
    let served = cx.spawn(async move |cx: Cx| echo::serve(&cx, listener).await);
    (served, addr)
}

async fn start_proxy(cx: &Cx, at: &str, target: SocketAddr) -> (Served, SocketAddr) {
    let (listener, addr) = listen(cx, at).await;
    let target = target.to_string();
    let served = cx.spawn(async move |cx: Cx| proxy::serve(&cx, listener, &target).await);
    (served, addr)
}

async fn start_chat(cx: &Cx, at: &str) -> (Served, SocketAddr) {
    let (listener, addr) = listen(cx, at).await;
    let served = cx.spawn(async move |cx: Cx| chat::serve(&cx, listener).await);
    (served, addr)
}

/// As SIGTERM does, to the program alone; it has to end by itself.
async fn stop(served: Served) {
    served.cancel(CancelKind::Shutdown);
    served.await.into_result().unwrap().unwrap();
}

/// Bytes that tell where they stand.
fn pattern(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8 ^ seed).collect()
}

/// Sends all of it and the end, while it receives up to the end of the other direction.
async fn exchange(cx: &Cx, stream: TcpStream, data: &[u8]) -> io::Result<Vec<u8>> {
    let (mut read, mut write) = stream.into_split();
    let send = async {
        write.write_all(cx, data).await?;
        write.shutdown(cx).await
    };
    let mut back = Vec::new();
    let (sent, received) = asupersync::join!(send, read.read_to_end(cx, &mut back));
    sent.and(received)?;
    Ok(back)
}

// ---- echo

#[test]
fn echo_gives_every_byte_back_to_many_at_once() {
    everywhere(async |cx: Scope| {
        let (served, addr) = start_echo(&cx, LOCAL).await;
        let clients: Vec<_> = (0..8u8)
            .map(|seed| {
                cx.spawn(async move |cx: Cx| {
                    let stream = TcpStream::connect(&cx, addr).await.unwrap();
                    let data = pattern(seed, 20_000);
                    assert!(exchange(&cx, stream, &data).await.unwrap() == data);
                })
            })
            .collect();
        for client in clients {
            client.await.into_result().unwrap();
        }
        stop(served).await;
    });
}

#[test]
fn echo_takes_its_latencies_and_survives_partition_and_reset() {
    let lab = exact();
    let (here, there) = (VirtualNet::CLIENT_V4, IpAddr::from([10, 0, 0, 2]));
    lab.run(async |cx: Scope| {
        let (served, addr) = start_echo(&cx, "10.0.0.2:7").await;
        let mut stream = TcpStream::connect(&cx, addr).await.unwrap();
        let start = cx.now();
        stream.write_all(&cx, b"hello").await.unwrap();
        stream.read_exact(&cx, &mut [0; 5]).await.unwrap();
        assert_eq!(cx.now() - start, 2 * LATENCY);

        // During a partition nothing is lost: it comes when that has healed.
        lab.net().partition(here, there);
        stream.write_all(&cx, b"later").await.unwrap();
        let waited = cx.timeout(Duration::from_secs(60), async |cx: Scope| {
            stream.read(&cx, &mut [0; 5]).await
        });
        assert!(matches!(waited.await, Err(TimeoutError::Elapsed)));
        lab.net().heal(here, there);
        let mut back = [0; 5];
        stream.read_exact(&cx, &mut back).await.unwrap();
        assert_eq!(&back, b"later");

        // One connection is broken; the other goes on.
        let mut other = TcpStream::connect(&cx, addr).await.unwrap();
        let connections = lab.net().connections();
        let [first, _] = &connections[..] else {
            panic!("two connections")
        };
        assert!(lab.net().reset(first.id));
        let broken = stream.read(&cx, &mut [0]).await.unwrap_err();
        assert_eq!(broken.kind(), io::ErrorKind::ConnectionReset);
        other.write_all(&cx, b"still").await.unwrap();
        other.read_exact(&cx, &mut [0; 5]).await.unwrap();
        stop(served).await;
        drop((stream, other));
    });
    assert!(lab.net().connections().is_empty());
}

// ---- proxy

#[test]
fn the_proxy_passes_every_byte_in_both_directions_at_once() {
    everywhere(async |cx: Scope| {
        let (echo, target) = start_echo(&cx, LOCAL).await;
        let (proxy, addr) = start_proxy(&cx, LOCAL, target).await;
        let clients: Vec<_> = (0..4u8)
            .map(|seed| {
                cx.spawn(async move |cx: Cx| {
                    let stream = TcpStream::connect(&cx, addr).await.unwrap();
                    let data = pattern(seed, 40_000);
                    assert!(exchange(&cx, stream, &data).await.unwrap() == data);
                })
            })
            .collect();
        for client in clients {
            client.await.into_result().unwrap();
        }
        stop(proxy).await;
        stop(echo).await;
    });
}

#[test]
fn the_proxy_passes_the_end_of_either_direction_and_leaves_the_other_open() {
    everywhere(async |cx: Scope| {
        let (listener, target) = listen(&cx, LOCAL).await;
        let (proxy, addr) = start_proxy(&cx, LOCAL, target).await;

        // The client ends first, and is answered.
        let mut client = TcpStream::connect(&cx, addr).await.unwrap();
        let (mut server, _) = listener.accept(&cx).await.unwrap();
        client.write_all(&cx, b"question").await.unwrap();
        client.shutdown(&cx).await.unwrap();
        let mut question = String::new();
        server.read_to_string(&cx, &mut question).await.unwrap();
        server.write_all(&cx, b"answer").await.unwrap();
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&cx, &mut answer).await.unwrap();
        assert_eq!((&*question, &*answer), ("question", "answer"));

        // The server ends first, and still hears the client.
        let mut client = TcpStream::connect(&cx, addr).await.unwrap();
        let (mut server, _) = listener.accept(&cx).await.unwrap();
        server.write_all(&cx, b"banner").await.unwrap();
        server.shutdown(&cx).await.unwrap();
        let mut banner = String::new();
        client.read_to_string(&cx, &mut banner).await.unwrap();
        client.write_all(&cx, b"thanks").await.unwrap();
        client.shutdown(&cx).await.unwrap();
        let mut thanks = String::new();
        server.read_to_string(&cx, &mut thanks).await.unwrap();
        assert_eq!((&*banner, &*thanks), ("banner", "thanks"));
        stop(proxy).await;
    });
}

#[test]
fn the_proxy_ends_its_connections_when_it_is_stopped_and_when_nobody_is_behind() {
    everywhere(async |cx: Scope| {
        let (listener, target) = listen(&cx, LOCAL).await;
        let (proxy, addr) = start_proxy(&cx, LOCAL, target).await;
        let mut client = TcpStream::connect(&cx, addr).await.unwrap();
        let (mut server, _) = listener.accept(&cx).await.unwrap();
        client.write_all(&cx, b"hello").await.unwrap();
        server.read_exact(&cx, &mut [0; 5]).await.unwrap();
        // Both ends are open and silent: the proxy has to end by itself.
        stop(proxy).await;
        let mut rest = Vec::new();
        let _ = client.read_to_end(&cx, &mut rest).await;
        let _ = server.read_to_end(&cx, &mut rest).await;
        assert!(rest.is_empty());
        drop(listener);

        let (proxy, addr) = start_proxy(&cx, LOCAL, target).await;
        let mut client = TcpStream::connect(&cx, addr).await.unwrap();
        let ended = client.read(&cx, &mut [0]).await;
        assert_eq!(ended.unwrap_or(0), 0, "its connection was refused");
        stop(proxy).await;
    });
}

#[test]
fn the_proxy_takes_its_latencies_and_survives_partition_and_reset() {
    let lab = exact();
    let (here, there) = (VirtualNet::CLIENT_V4, IpAddr::from([10, 0, 0, 3]));
    lab.run(async |cx: Scope| {
        let (echo, target) = start_echo(&cx, "10.0.0.3:7").await;
        let (proxy, at) = start_proxy(&cx, "10.0.0.2:7", target).await;
        let mut first = TcpStream::connect(&cx, at).await.unwrap();
        first.write_all(&cx, b"hello").await.unwrap();
        first.read_exact(&cx, &mut [0; 5]).await.unwrap();
        let start = cx.now();
        first.write_all(&cx, b"hello").await.unwrap();
        first.read_exact(&cx, &mut [0; 5]).await.unwrap();
        assert_eq!(cx.now() - start, 4 * LATENCY);

        // The connection behind is broken: the client in front hears of it.
        let behind = |c: &asupersync::lab::Connection| c.server == target.into();
        let behind = lab.net().connections().into_iter().find(behind).unwrap();
        assert!(lab.net().reset(behind.id));
        assert_eq!(first.read(&cx, &mut [0]).await.unwrap_or(0), 0);

        // Nobody answers behind: a client in front waits until the proxy gives up,
        let start = cx.now();
        lab.net().partition(here, there);
        let mut second = TcpStream::connect(&cx, at).await.unwrap();
        assert_eq!(second.read(&cx, &mut [0]).await.unwrap_or(0), 0);
        assert!(cx.now() - start > Duration::from_secs(60));
        // or until it is stopped, which does not wait for that.
        let mut third = TcpStream::connect(&cx, at).await.unwrap();
        cx.sleep(Duration::from_secs(1)).await.unwrap();
        let start = cx.now();
        stop(proxy).await;
        assert_eq!(cx.now(), start);
        assert_eq!(third.read(&cx, &mut [0]).await.unwrap_or(0), 0);
        lab.net().heal(here, there);
        stop(echo).await;
    });
    assert!(lab.net().connections().is_empty());
}

#[cfg(unix)]
#[test]
fn the_proxy_gives_its_connections_some_time_at_a_sigterm() {
    let lab = exact();
    lab.run(async |cx: Scope| {
        let (listener, target) = listen(&cx, "10.0.0.3:7").await;
        let (proxy, at) = start_proxy(&cx, "10.0.0.2:7", target).await;
        let mut short = TcpStream::connect(&cx, at).await.unwrap();
        let (mut answers, _) = listener.accept(&cx).await.unwrap();
        let mut long = TcpStream::connect(&cx, at).await.unwrap();
        let (_silent, _) = listener.accept(&cx).await.unwrap();
        let start = cx.now();
        // Somebody listens to the wish, so it cancels nothing.
        lab.raise(SignalKind::terminate());
        cx.sleep(Duration::from_secs(3)).await.unwrap();
        let refused = TcpStream::connect(&cx, at).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        // One is served to its end,
        short.write_all(&cx, b"late").await.unwrap();
        answers.read_exact(&cx, &mut [0; 4]).await.unwrap();
        answers.write_all(&cx, b"answer").await.unwrap();
        drop(answers);
        let mut answer = String::new();
        short.read_to_string(&cx, &mut answer).await.unwrap();
        assert_eq!(answer, "answer");
        assert!(!proxy.is_complete());
        drop(short);
        // the other is cut.
        assert_eq!(long.read(&cx, &mut [0]).await.unwrap_or(0), 0);
        proxy.await.into_result().unwrap().unwrap();
        let took = cx.now() - start;
        assert!(
            took >= proxy::GRACE && took < proxy::GRACE + 2 * LATENCY,
            "{took:?}"
        );
    });
}

/// What came back is what was sent, from its beginning on, whoever was asked to stop meanwhile.
#[test]
fn echo_and_proxy_deliver_a_prefix_at_any_await() {
    let body = async |cx: Scope| {
        let (echo, target) = start_echo(&cx, LOCAL).await;
        let (proxy, addr) = start_proxy(&cx, LOCAL, target).await;
        let client = cx.spawn(async move |cx: Cx| {
            let data = pattern(5, 4_000);
            let Ok(stream) = TcpStream::connect(&cx, addr).await else {
                return;
            };
            let (mut read, mut write) = stream.into_split();
            let send = async {
                write.write_all(&cx, &data).await?;
                write.shutdown(&cx).await
            };
            let mut back = Vec::new();
            let _ = asupersync::join!(send, read.read_to_end(&cx, &mut back));
            assert!(data.starts_with(&back), "{} bytes came back", back.len());
        });
        let client = client.await;
        assert!(!client.is_panicked(), "{client:?}");
        for program in [proxy, echo] {
            program.cancel(CancelKind::Shutdown);
            let _ = program.await;
        }
    };
    for mode in [Inject::Protocol, Inject::Root, Inject::Drop] {
        for seed in 0..3 {
            // Small buffers, so that there is much to wait for.
            let config = LabConfig::default().network(NetModel::default().buffer(1_000));
            let injector = Injector::new(config.seed(seed)).mode(mode);
            let report = injector.check(async |cx: Scope| {
                // A root that was cancelled before cannot listen.
                if cx.checkpoint().is_ok() {
                    body(cx).await;
                }
            });
            assert!(report.is_ok(), "{mode:?}, seed {seed}: {report}");
            assert!(report.points > 20, "{report}");
        }
    }
}

// ---- chat

/// Somebody in the room.
struct Guest(Framed<TcpStream, Lines>);

impl Guest {
    /// Comes in, and waits until that was told to everybody.
    async fn enter(cx: &Cx, addr: SocketAddr, name: &str) -> io::Result<Guest> {
        let mut guest = Guest(Framed::new(
            TcpStream::connect(cx, addr).await?,
            Lines::new(2048),
        ));
        guest.say(cx, name).await?;
        while guest.hear(cx).await? != format!("* {name} has come") {}
        Ok(guest)
    }

    async fn say(&mut self, cx: &Cx, line: &str) -> io::Result<()> {
        self.0.send(cx, line).await
    }

    async fn hear(&mut self, cx: &Cx) -> io::Result<String> {
        match self.0.next(cx).await {
            Some(line) => line,
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Everything up to the end.
    async fn rest(mut self, cx: &Cx) -> Vec<String> {
        let mut heard = Vec::new();
        while let Ok(line) = self.hear(cx).await {
            heard.push(line);
        }
        heard
    }
}

/// Comes in, says its lines one after the other, each when it has heard the one before, and
/// listens until it has heard its last; returns all that it has heard, from its own coming on.
async fn talk(cx: &Cx, addr: SocketAddr, name: &str, lines: usize) -> Vec<String> {
    let mut heard = vec![format!("* {name} has come")];
    let Ok(mut guest) = Guest::enter(cx, addr, name).await else {
        return Vec::new();
    };
    for n in 0..lines {
        if guest.say(cx, &format!("line {n}")).await.is_err() {
            break;
        }
        let mine = format!("{name}: line {n}");
        while heard.last() != Some(&mine) {
            match guest.hear(cx).await {
                Ok(line) => heard.push(line),
                Err(_) => return heard,
            }
        }
    }
    heard
}

/// Of two that have heard the same room, one has heard what the other has, without a gap, up to
/// where the first of them left.
fn agree(a: &[String], b: &[String]) {
    // From where both were there: the coming of the later one.
    let (Some(first), Some(second)) = (a.first(), b.first()) else {
        return;
    };
    let from =
        |line: &String, of: &[String]| of.iter().position(|l| l == line).map(|i| of[i..].to_vec());
    let (a, b) = match (from(second, a), from(first, b)) {
        (Some(a), _) => (a, b.to_vec()),
        (None, Some(b)) => (a.to_vec(), b),
        // They have never been there together.
        (None, None) => return,
    };
    let n = a.len().min(b.len());
    assert_eq!(a[..n], b[..n]);
}

/// What a guest said is heard in the order in which it said it.
fn in_order(heard: &[String], name: &str) {
    let of = heard
        .iter()
        .filter_map(|l| l.strip_prefix(name)?.strip_prefix(": line "));
    let numbers: Vec<usize> = of.map(|n| n.parse().unwrap()).collect();
    let first = numbers.first().copied().unwrap_or(0);
    let expected: Vec<usize> = (first..first + numbers.len()).collect();
    assert_eq!(numbers, expected, "{name}");
}

const NAMES: [&str; 3] = ["ann", "bob", "eve"];

#[test]
fn all_in_the_room_hear_the_same_in_the_same_order() {
    everywhere(async |cx: Scope| {
        let (served, addr) = start_chat(&cx, LOCAL).await;
        let guests =
            NAMES.map(|name| cx.spawn(async move |cx: Cx| talk(&cx, addr, name, 10).await));
        let mut heard = Vec::new();
        for guest in guests {
            heard.push(guest.await.into_result().unwrap());
        }
        for (name, heard) in NAMES.iter().zip(&heard) {
            assert_eq!(heard.last(), Some(&format!("{name}: line 9")));
            NAMES.iter().for_each(|of| in_order(heard, of));
        }
        agree(&heard[0], &heard[1]);
        agree(&heard[1], &heard[2]);
        stop(served).await;
    });
}

#[test]
fn who_comes_and_goes_is_told() {
    everywhere(async |cx: Scope| {
        let (served, addr) = start_chat(&cx, LOCAL).await;
        let mut ann = Guest::enter(&cx, addr, "ann").await.unwrap();
        let mut bob = Guest::enter(&cx, addr, "bob").await.unwrap();
        bob.say(&cx, "hello").await.unwrap();
        drop(bob);
        let mut heard = Vec::new();
        for _ in 0..3 {
            heard.push(ann.hear(&cx).await.unwrap());
        }
        assert_eq!(heard, ["* bob has come", "bob: hello", "* bob has gone"]);
        // A line that is too long ends the guest who sent it, and nobody else.
        let mut loud = Guest::enter(&cx, addr, "loud").await.unwrap();
        loud.say(&cx, &"x".repeat(1025)).await.unwrap();
        assert!(loud.rest(&cx).await.is_empty());
        assert_eq!(ann.hear(&cx).await.unwrap(), "* loud has come");
        assert_eq!(ann.hear(&cx).await.unwrap(), "* loud has gone");
        stop(served).await;
        assert!(ann.rest(&cx).await.is_empty());
    });
}

#[test]
fn what_the_room_has_taken_when_it_is_stopped_goes_to_everybody() {
    everywhere(async |cx: Scope| {
        let (served, addr) = start_chat(&cx, LOCAL).await;
        let mut ann = Guest::enter(&cx, addr, "ann").await.unwrap();
        let mut bob = Guest::enter(&cx, addr, "bob").await.unwrap();
        assert_eq!(ann.hear(&cx).await.unwrap(), "* bob has come");
        for n in 0..100 {
            let (who, line) = if n % 2 == 0 {
                (&mut ann, "a")
            } else {
                (&mut bob, "b")
            };
            who.say(&cx, &format!("{line}{n}")).await.unwrap();
        }
        // One was heard, more have arrived, and some may be still under way.
        let first = bob.hear(&cx).await.unwrap();
        assert!(["ann: a0", "bob: b1"].contains(&&*first), "{first}");
        stop(served).await;
        let (ann, rest) = (ann.rest(&cx).await, bob.rest(&cx).await);
        let bob = [vec![first], rest].concat();
        let said = |all: &[String]| {
            all.iter()
                .filter(|l| !l.starts_with('*'))
                .cloned()
                .collect()
        };
        let (ann, bob): (Vec<_>, Vec<_>) = (said(&ann), said(&bob));
        assert_eq!(ann, bob, "whoever it went to, it went to the other, too");
    });
}

#[test]
fn a_guest_that_cannot_be_reached_holds_the_others_up_no_longer_than_patience() {
    let model = NetModel::default().buffer(200).segments(false);
    let lab = LabRuntime::new(LabConfig::default().network(model));
    lab.run(async |cx: Scope| {
        let (served, addr) = start_chat(&cx, "10.0.0.2:7").await;
        let (here, there) = (VirtualNet::CLIENT_V4, addr.ip());
        let mut ann = Guest::enter(&cx, addr, "ann").await.unwrap();
        // It does not read, and its buffers are full soon.
        let deaf = Guest::enter(&cx, addr, "deaf").await.unwrap();
        assert_eq!(ann.hear(&cx).await.unwrap(), "* deaf has come");
        let start = cx.now();
        let mut gone = None;
        for n in 0..200 {
            ann.say(&cx, &format!("line {n}")).await.unwrap();
            loop {
                let line = ann.hear(&cx).await.unwrap();
                if line == "* deaf has gone" {
                    gone = Some(cx.now());
                } else {
                    assert_eq!(line, format!("ann: line {n}"));
                    break;
                }
            }
        }
        let gone = gone.expect("it was sent away") - start;
        assert!(
            gone >= chat::PATIENCE && gone < 2 * chat::PATIENCE,
            "{gone:?}"
        );
        drop(deaf);

        // A partition of a minute costs no line: what was said meanwhile comes afterwards.
        lab.net().partition(here, there);
        let late = cx.spawn(async move |cx: Cx| {
            ann.say(&cx, "into the void").await.unwrap();
            ann.hear(&cx).await.unwrap()
        });
        cx.sleep(Duration::from_secs(60)).await.unwrap();
        lab.net().heal(here, there);
        assert_eq!(late.await.into_result().unwrap(), "ann: into the void");
        stop(served).await;
    });
    assert!(lab.net().connections().is_empty());
}

#[test]
fn lines_that_wait_for_a_deaf_guest_go_to_the_others_when_the_room_is_stopped() {
    let model = NetModel::default().buffer(300).segments(false);
    let lab = LabRuntime::new(LabConfig::default().network(model));
    lab.run(async |cx: Scope| {
        let (served, addr) = start_chat(&cx, LOCAL).await;
        let mut ann = Guest::enter(&cx, addr, "ann").await.unwrap();
        let deaf = Guest::enter(&cx, addr, "deaf").await.unwrap();
        assert_eq!(ann.hear(&cx).await.unwrap(), "* deaf has come");
        // Until the room waits for the one who does not read.
        let mut said = 0;
        loop {
            ann.say(&cx, &format!("{said}")).await.unwrap();
            let heard = cx.timeout_drop(Duration::from_secs(1), ann.hear(&cx)).await;
            if heard.is_err() {
                break;
            }
            assert_eq!(heard.unwrap().unwrap(), format!("ann: {said}"));
            said += 1;
        }
        for n in 1..10 {
            ann.say(&cx, &format!("{}", said + n)).await.unwrap();
        }
        // They are with the room now.
        cx.sleep(Duration::from_secs(1)).await.unwrap();
        let start = cx.now();
        let heard = cx.spawn(async move |cx: Cx| ann.rest(&cx).await);
        stop(served).await;
        assert!(cx.now() - start < 2 * chat::MOMENT);
        let heard = heard.await.into_result().unwrap();
        let expected: Vec<_> = (said..said + 10).map(|n| format!("ann: {n}")).collect();
        let lines: Vec<_> = heard.into_iter().filter(|l| !l.starts_with('*')).collect();
        assert_eq!(lines, expected);
        drop(deaf);
    });
}

#[test]
fn no_line_is_lost_between_guests_at_any_await() {
    let body = async |cx: Scope| {
        let (listener, addr) = match TcpListener::bind(&cx, LOCAL).await {
            Ok(listener) => {
                let addr = listener.local_addr().unwrap();
                (listener, addr)
            }
            Err(_) => return,
        };
        let served = cx.spawn(async move |cx: Cx| chat::serve(&cx, listener).await);
        let guests =
            ["ann", "bob"].map(|name| cx.spawn(async move |cx: Cx| talk(&cx, addr, name, 3).await));
        let mut heard = Vec::new();
        for guest in guests {
            let guest = guest.await;
            assert!(!guest.is_panicked(), "{guest:?}");
            heard.push(guest.into_result().unwrap_or_default());
        }
        agree(&heard[0], &heard[1]);
        for heard in &heard {
            in_order(heard, "ann");
            in_order(heard, "bob");
        }
        served.cancel(CancelKind::Shutdown);
        let _ = served.await;
    };
    for mode in [Inject::Protocol, Inject::Root, Inject::Drop] {
        for seed in 0..3 {
            let injector = Injector::new(LabConfig::default().seed(seed)).mode(mode);
            let report = injector.points(Points::All).check(body);
            assert!(report.is_ok(), "{mode:?}, seed {seed}: {report}");
            assert!(report.points > 30, "{report}");
        }
    }
}

// ---- the command line

#[test]
fn a_wrong_command_line_is_answered_with_the_right_one() {
    let parse = |given: &[&str]| {
        let given = given.iter().map(|s| (*s).to_owned());
        proxy::cli::parse(given, "proxy [ADDRESS [TARGET]]", ["a:1", "b:2"])
    };
    assert_eq!(parse(&[]).unwrap(), ["a:1", "b:2"]);
    assert_eq!(parse(&["c:3"]).unwrap(), ["c:3", "b:2"]);
    assert_eq!(parse(&["c:3", "d:4"]).unwrap(), ["c:3", "d:4"]);
    for wrong in [&["--help"][..], &["c:3", "d:4", "e:5"]] {
        let refused = parse(wrong).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        let said = refused.to_string();
        assert!(said.contains("usage: proxy [ADDRESS [TARGET]]"), "{said}");
    }
    everywhere(async |cx: Scope| {
        let (_listener, addr) = listen(&cx, LOCAL).await;
        let refused = proxy::cli::listen(&cx, &addr.to_string())
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        let said = refused.to_string();
        assert!(
            said.contains(&addr.to_string()) && said.contains("another address"),
            "{said}"
        );
    });
}
