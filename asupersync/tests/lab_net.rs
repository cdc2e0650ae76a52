//! Programs with sockets: unchanged in both worlds, and at exact instants in the lab.
#![allow(
    clippy::let_underscore_future,
    reason = "a region awaits its tasks whether or not someone keeps their handles"
)]

use asupersync::io::{BufReadExt, BufReader, ReadExt, WriteExt};
use asupersync::lab::{Inject, Injector, NetModel, VirtualNet};
use asupersync::net::{TcpListener, TcpStream};
use asupersync::{Cx, LabConfig, LabRuntime, Runtime, Scope, Time, TimeoutError};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const LATENCY: Duration = Duration::from_millis(10);

fn lab(seed: u64, model: NetModel) -> LabRuntime {
    LabRuntime::new(LabConfig::default().seed(seed).network(model))
}

/// Without jitter and cuts.
fn exact() -> NetModel {
    NetModel::default()
        .latency(LATENCY, Duration::ZERO)
        .segments(false)
}

/// Answers each line with the line, and at the end of the requests with their number.
async fn serve(cx: &Cx, stream: TcpStream) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut count = 0;
    while let Some(line) = lines.next_line(cx).await? {
        count += 1;
        write.write_all(cx, format!("{line}\n").as_bytes()).await?;
    }
    write
        .write_all(cx, format!("{count} lines\n").as_bytes())
        .await?;
    write.shutdown(cx).await
}

async fn ask(cx: &Cx, addr: SocketAddr, lines: &[&str]) -> io::Result<String> {
    let stream = TcpStream::connect(cx, addr).await?;
    let (mut read, mut write) = stream.into_split();
    for line in lines {
        write.write_all(cx, line.as_bytes()).await?;
        write.write_all(cx, b"\n").await?;
    }
    write.shutdown(cx).await?;
    let mut answer = String::new();
    read.read_to_string(cx, &mut answer).await?;
    Ok(answer)
}

/// A server, and clients that ask it all at once; the server ends with the last of them.
async fn echo(cx: Scope, clients: usize) -> io::Result<Vec<String>> {
    let listener = TcpListener::bind(&cx, "127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let _ = cx.spawn_daemon(async move |cx: Cx| {
        while let Ok((stream, _)) = listener.accept(&cx).await {
            let _ = cx.spawn(async move |cx: Cx| serve(&cx, stream).await);
        }
    });
    let asking: Vec<_> = (0..clients)
        .map(|_| cx.spawn(async move |cx: Cx| ask(&cx, addr, &["one", "two", "three"]).await))
        .collect();
    let mut answers = Vec::new();
    for a in asking {
        answers.push(a.await.into_result().map_err(io::Error::other)??);
    }
    Ok(answers)
}

#[test]
fn one_server_in_both_worlds() {
    let expected = vec!["one\ntwo\nthree\n3 lines\n"; 8];
    let runtime = Runtime::builder()
        .worker_threads(2)
        .build()
        .expect("it starts");
    let answers = runtime
        .block_on(async |cx| echo(cx, 8).await)
        .expect("all end well");
    assert_eq!(answers.expect("loopback works"), expected);
    for seed in 0..100 {
        let answers = lab(seed, NetModel::default()).run(async |cx| echo(cx, 8).await);
        assert_eq!(answers.expect("nothing is lost"), expected, "seed {seed}");
    }
}

#[test]
fn equal_seeds_give_equal_bytes() {
    let hash = |seed| {
        let lab = lab(seed, NetModel::default());
        lab.run(async |cx| echo(cx, 3).await)
            .expect("nothing is lost");
        lab.trace().hash()
    };
    for seed in 0..20 {
        assert_eq!(hash(seed), hash(seed));
        assert_ne!(hash(seed), hash(seed + 1));
    }
}

#[test]
fn a_request_takes_its_latencies() {
    lab(0, exact()).run(async |cx| {
        assert_eq!(echo(cx.clone(), 1).await.expect("nothing is lost").len(), 1);
        // Two for the handshake, one for the request, one for the answer.
        assert_eq!(cx.now(), Time::ZERO + 4 * LATENCY);
    });
}

#[test]
fn a_partition_runs_into_timeouts_at_their_instants() {
    let lab = lab(0, exact());
    let server: SocketAddr = "10.0.0.2:7".parse().expect("an address");
    lab.run(async |cx| {
        let listener = TcpListener::bind(&cx, server).await.expect("free");
        let _ = cx.spawn_daemon(async move |cx: Cx| {
            while let Ok((stream, _)) = listener.accept(&cx).await {
                let _ = cx.spawn(async move |cx: Cx| serve(&cx, stream).await);
            }
        });
        let (here, there) = (VirtualNet::CLIENT_V4, IpAddr::from([10, 0, 0, 2]));
        lab.net().partition(here, there);
        let start = cx.now();
        let asked = cx
            .timeout(Duration::from_secs(3), async |cx| {
                ask(&cx, server, &["lost"]).await
            })
            .await;
        assert!(matches!(asked, Err(TimeoutError::Elapsed)), "{asked:?}");
        assert_eq!(cx.now() - start, Duration::from_secs(3));

        let start = cx.now();
        let refused = ask(&cx, server, &["lost"])
            .await
            .expect_err("nobody answers");
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
        assert_eq!(cx.now() - start, Duration::from_secs(127));

        // What was asked during the partition goes through afterwards.
        let start = cx.now();
        let late = cx.spawn(async move |cx: Cx| ask(&cx, server, &["late"]).await);
        cx.sleep(Duration::from_millis(500))
            .await
            .expect("nobody cancels");
        lab.net().heal(here, there);
        let late = late
            .await
            .into_result()
            .expect("no panic")
            .expect("it gets through");
        assert_eq!(late, "late\n1 lines\n");
        // The request to connect is repeated after a second.
        assert_eq!(cx.now() - start, Duration::from_secs(1) + 4 * LATENCY);
    });
}

#[test]
fn a_reset_reaches_both_ends_as_an_error() {
    let lab = lab(0, exact());
    lab.run(async |cx| {
        let listener = TcpListener::bind(&cx, "127.0.0.1:80").await.expect("free");
        let mut client = TcpStream::connect(&cx, "127.0.0.1:80")
            .await
            .expect("it listens");
        let (mut server, peer) = listener.accept(&cx).await.expect("it asks");
        assert_eq!(peer, client.local_addr().expect("connected"));
        let [conn] = &lab.net().connections()[..] else {
            panic!("one connection")
        };
        assert!(lab.net().reset(conn.id));
        let mut buf = [0; 4];
        for end in [&mut client, &mut server] {
            let e = end.read(&cx, &mut buf).await.expect_err("it is broken");
            assert_eq!(e.kind(), io::ErrorKind::ConnectionReset);
        }
    });
}

#[test]
fn a_slow_reader_holds_the_writer_back() {
    let lab = lab(0, exact().buffer(1_000));
    lab.run(async |cx| {
        let listener = TcpListener::bind(&cx, "127.0.0.1:80").await.expect("free");
        let mut client = TcpStream::connect(&cx, "127.0.0.1:80")
            .await
            .expect("it listens");
        let (mut server, _) = listener.accept(&cx).await.expect("it asks");
        let writer = cx.spawn(async move |cx: Cx| {
            client
                .write_all(&cx, &[7; 10_000])
                .await
                .expect("it is read in the end");
            cx.now()
        });
        cx.sleep(Duration::from_secs(5))
            .await
            .expect("nobody cancels");
        assert!(!writer.is_complete(), "only 1,000 bytes fit");
        let mut all = Vec::new();
        server
            .read_to_end(&cx, &mut all)
            .await
            .expect("nobody resets");
        assert_eq!(all, [7; 10_000]);
        let written = writer.await.into_result().expect("no panic");
        assert!(written > Time::ZERO + Duration::from_secs(5));
    });
}

#[test]
fn an_echo_survives_every_injection() {
    for mode in [Inject::Protocol, Inject::Root, Inject::Drop] {
        let config = LabConfig::default().seed(1);
        // Whether it answers is not asked: only that everything ends and nothing leaks.
        let report = Injector::new(config)
            .mode(mode)
            .check(async |cx| drop(echo(cx, 2).await));
        assert!(report.is_ok(), "{report}");
        assert!(report.points > 20, "{report}");
    }
}
