//! Sockets of the system.

use asupersync::io::{ReadExt, WriteExt};
use asupersync::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use asupersync::{CancelKind, Cx, Runtime, Scope, types::cancel::reason_in};
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const LOCAL: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// Runs the body on both flavours and checks that it ends well.
fn run<Fut: Future<Output = ()>>(body: impl Fn(Scope) -> Fut) {
    let builders = [
        Runtime::builder().current_thread(),
        Runtime::builder().worker_threads(2),
    ];
    for builder in builders {
        builder.build().unwrap().block_on(&body).unwrap();
    }
}

/// Echoes until the peer ends its direction.
async fn echo(cx: Cx, mut stream: TcpStream) -> io::Result<usize> {
    let mut buf = [0; 4096];
    let mut echoed = 0;
    loop {
        let n = stream.read(&cx, &mut buf).await?;
        if n == 0 {
            return Ok(echoed);
        }
        stream.write_all(&cx, &buf[..n]).await?;
        echoed += n;
    }
}

/// Accepts and echoes until it is asked to stop.
async fn serve(cx: Cx, listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept(&cx).await?;
        cx.try_spawn(async move |cx| echo(cx, stream).await);
    }
}

#[test]
fn echo_of_many_clients() {
    run(async |scope: Scope| {
        let listener = TcpListener::bind(&scope, LOCAL).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = scope.try_spawn(async move |cx: Cx| serve(cx, listener).await);
        let clients: Vec<_> = (0..32u8)
            .map(|i| {
                scope.try_spawn(async move |cx: Cx| -> io::Result<()> {
                    let mut stream = TcpStream::connect(&cx, addr).await?;
                    stream.set_nodelay(true)?;
                    for round in 0..50u8 {
                        let message = [i ^ round; 64];
                        stream.write_all(&cx, &message).await?;
                        let mut back = [0; 64];
                        stream.read_exact(&cx, &mut back).await?;
                        assert_eq!(back, message);
                    }
                    Ok(())
                })
            })
            .collect();
        for client in clients {
            client.await.into_result().unwrap();
        }
        server.cancel(CancelKind::RegionEnd);
        assert!(server.await.is_cancelled());
    });
}

#[test]
fn a_large_transfer_is_complete_in_both_directions_at_once() {
    const SIZE: usize = 4 * 1024 * 1024;
    run(async |scope: Scope| {
        let listener = TcpListener::bind(&scope, LOCAL).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = scope.try_spawn(async move |cx: Cx| {
            let (stream, _) = listener.accept(&cx).await?;
            echo(cx, stream).await
        });
        let (mut read, mut write) = TcpStream::connect(&scope, addr).await.unwrap().into_split();
        let sender = scope.try_spawn(async move |cx: Cx| -> io::Result<()> {
            let data: Vec<u8> = (0..SIZE).map(|i| (i % 251) as u8).collect();
            write.write_all(&cx, &data).await?;
            write.shutdown(&cx).await
        });
        let mut back = Vec::new();
        read.read_to_end(&scope, &mut back).await.unwrap();
        assert_eq!(back.len(), SIZE);
        assert!(back.iter().enumerate().all(|(i, b)| *b == (i % 251) as u8));
        sender.await.into_result().unwrap();
        assert_eq!(server.await.into_result().unwrap(), SIZE);
    });
}

#[test]
fn half_close_leaves_the_other_direction_open() {
    run(async |scope: Scope| {
        let listener = TcpListener::bind(&scope, LOCAL).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = scope.try_spawn(async move |cx: Cx| -> io::Result<String> {
            let (mut stream, _) = listener.accept(&cx).await?;
            let mut question = String::new();
            stream.read_to_string(&cx, &mut question).await?;
            stream.write_all(&cx, b"answer").await?;
            Ok(question)
        });
        let mut stream = TcpStream::connect(&scope, addr).await.unwrap();
        stream.write_all(&scope, b"question").await.unwrap();
        stream.shutdown(&scope).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&scope, &mut answer).await.unwrap();
        assert_eq!(answer, "answer");
        assert_eq!(server.await.into_result().unwrap(), "question");
    });
}

#[test]
fn halves_reunite_only_with_their_own() {
    run(async |scope: Scope| {
        let listener = TcpListener::bind(&scope, LOCAL).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut a = TcpStream::connect(&scope, addr).await.unwrap();
        let b = TcpStream::connect(&scope, addr).await.unwrap();
        {
            let (_read, mut write) = a.split();
            write.write_all(&scope, b"x").await.unwrap();
        }
        let (read_a, write_a) = a.into_split();
        let (read_b, write_b) = b.into_split();
        let refused = read_a.reunite(write_b).unwrap_err();
        let mut a = refused.read.reunite(write_a).unwrap();
        let _b = read_b.reunite(refused.write).unwrap();
        a.write_all(&scope, b"y").await.unwrap();
        let (mut served, peer) = listener.accept(&scope).await.unwrap();
        assert_eq!(peer, a.local_addr().unwrap());
        let mut buf = [0; 2];
        served.read_exact(&scope, &mut buf).await.unwrap();
        assert_eq!(&buf, b"xy");
    });
}

#[test]
fn a_cancelled_accept_loses_no_connection() {
    run(async |scope: Scope| {
        let listener = TcpListener::bind(&scope, LOCAL).await.unwrap();
        let addr = listener.local_addr().unwrap();
        // Cancelled before the first poll, and while it waits.
        for waits in [false, true] {
            let refused = scope
                .region(async |inner| {
                    if !waits {
                        inner.close();
                    }
                    let closer = inner.clone();
                    let mut accept = std::pin::pin!(listener.accept(&inner));
                    std::future::poll_fn(|cx| {
                        let polled = accept.as_mut().poll(cx);
                        closer.close();
                        polled
                    })
                    .await
                    .unwrap_err()
                })
                .await
                .unwrap();
            assert_eq!(reason_in(&refused).unwrap().kind, CancelKind::RegionEnd);
        }
        // Dropped after a poll, with a connection on its way.
        for _ in 0..100 {
            let mut accept = Box::pin(listener.accept(&scope));
            let polled =
                std::future::poll_fn(|cx| std::task::Poll::Ready(accept.as_mut().poll(cx))).await;
            assert!(polled.is_pending());
            let client = TcpStream::connect(&scope, addr).await.unwrap();
            drop(accept);
            let (served, peer) = listener.accept(&scope).await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
            assert_eq!(served.peer_addr().unwrap(), peer);
        }
    });
}

#[test]
fn a_cancelled_read_leaves_the_bytes_for_the_next() {
    run(async |scope: Scope| {
        let listener = TcpListener::bind(&scope, LOCAL).await.unwrap();
        let mut client = TcpStream::connect(&scope, listener.local_addr().unwrap())
            .await
            .unwrap();
        let (mut served, _) = listener.accept(&scope).await.unwrap();
        let mut sent = 0u8;
        let mut seen = Vec::new();
        for _ in 0..200 {
            // A read that is dropped after one poll, with data arriving around it.
            let mut buf = [0; 3];
            let mut read = Box::pin(served.read(&scope, &mut buf));
            let polled =
                std::future::poll_fn(|cx| std::task::Poll::Ready(read.as_mut().poll(cx))).await;
            drop(read);
            if let std::task::Poll::Ready(n) = polled {
                seen.extend_from_slice(&buf[..n.unwrap()]);
            }
            client.write_all(&scope, &[sent]).await.unwrap();
            sent += 1;
        }
        client.shutdown(&scope).await.unwrap();
        served.read_to_end(&scope, &mut seen).await.unwrap();
        assert_eq!(seen, (0..sent).collect::<Vec<_>>());
    });
}

#[test]
fn a_blocked_writer_is_cancelled_and_what_it_wrote_is_a_prefix() {
    run(async |scope: Scope| {
        let listener = TcpListener::bind(&scope, LOCAL).await.unwrap();
        let mut client = TcpStream::connect(&scope, listener.local_addr().unwrap())
            .await
            .unwrap();
        let (mut served, _) = listener.accept(&scope).await.unwrap();
        let writer = scope.spawn(async move |cx: Cx| {
            let data: Vec<u8> = (0..64 << 20).map(|i| (i % 251) as u8).collect();
            let mut written = 0;
            loop {
                match client.write(&cx, &data[written..]).await {
                    Ok(n) => written += n,
                    Err(e) => {
                        assert!(reason_in(&e).is_some(), "{e}");
                        return written;
                    }
                }
            }
        });
        // Nothing reads, so the writer fills the buffers of the system and waits.
        let mut first = [0; 1];
        served.read_exact(&scope, &mut first).await.unwrap();
        scope.sleep(Duration::from_millis(20)).await.unwrap();
        writer.cancel(CancelKind::User);
        let written = writer.await.into_result().unwrap();
        let mut seen = first.to_vec();
        served.read_to_end(&scope, &mut seen).await.unwrap();
        assert_eq!(seen.len(), written);
        assert!(seen.iter().enumerate().all(|(i, b)| *b == (i % 251) as u8));
    });
}

#[test]
fn errors_name_the_address() {
    run(async |scope: Scope| {
        let listener = TcpListener::bind(&scope, LOCAL).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let taken = TcpListener::bind(&scope, addr).await.unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        assert!(taken.to_string().contains(&addr.to_string()), "{taken}");
        drop(listener);
        let refused = TcpStream::connect(&scope, addr).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(refused.to_string().contains(&addr.to_string()), "{refused}");
        let nothing = TcpStream::connect(&scope, Vec::<SocketAddr>::new())
            .await
            .unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn addresses_are_tried_in_order() {
    run(async |scope: Scope| {
        let dead = {
            let listener = TcpListener::bind(&scope, LOCAL).await.unwrap();
            listener.local_addr().unwrap()
        };
        let listener = TcpListener::bind(&scope, LOCAL).await.unwrap();
        let live = listener.local_addr().unwrap();
        let stream = TcpStream::connect(&scope, [dead, live].as_slice())
            .await
            .unwrap();
        assert_eq!(stream.peer_addr().unwrap(), live);
    });
}

#[test]
fn host_names_are_looked_up() {
    run(async |scope: Scope| {
        let listener = TcpListener::bind(&scope, "127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stream = TcpStream::connect(&scope, ("localhost", port))
            .await
            .unwrap();
        assert_eq!(stream.peer_addr().unwrap().port(), port);
    });
}

#[test]
fn ten_thousand_connections_come_and_go() {
    run(async |scope: Scope| {
        let listener = TcpListener::bind(&scope, LOCAL).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = scope.try_spawn(async move |cx: Cx| serve(cx, listener).await);
        // In small batches, so that open descriptors stay few. Resetting on
        // close keeps the ports from lingering.
        for _ in 0..100 {
            let clients: Vec<_> = (0..50)
                .map(|_| {
                    scope.try_spawn(async move |cx: Cx| -> io::Result<u8> {
                        let mut stream = TcpStream::connect(&cx, addr).await?;
                        stream.write_u8(&cx, 7).await?;
                        stream.read_u8(&cx).await
                    })
                })
                .collect();
            for client in clients {
                assert_eq!(client.await.into_result().unwrap(), 7);
            }
        }
        server.cancel(CancelKind::RegionEnd);
        let _ = server.await;
    });
}

/// Runs alone in its process, because it takes all descriptors away.
#[cfg(target_os = "linux")]
#[test]
fn accept_recovers_when_descriptors_run_out() {
    const CHILD: &str = "ASUPERSYNC_TEST_DESCRIPTORS";
    if std::env::var_os(CHILD).is_none() {
        let name = "accept_recovers_when_descriptors_run_out";
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact"])
            .env(CHILD, "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    run(async |scope: Scope| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("accept.sock");
        let listener = TcpListener::bind(&scope, LOCAL).await.unwrap();
        let unix_listener = UnixListener::bind(&scope, &path).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let client = TcpStream::connect(&scope, addr).await.unwrap();
        let mut unix_client = UnixStream::connect(&scope, &path).await.unwrap();
        let mut hoard = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            hoard.push(file);
        }
        let polls = Arc::new(AtomicU32::new(0));
        let counted = polls.clone();
        let task = scope.try_spawn(async move |cx: Cx| {
            let mut accept = listener.accept(&cx);
            std::future::poll_fn(|task| {
                counted.fetch_add(1, Ordering::Relaxed);
                std::pin::Pin::new(&mut accept).poll(task)
            })
            .await
        });
        let unix_task = scope.try_spawn(async move |cx: Cx| unix_listener.accept(&cx).await);
        // Long enough for at least one refused attempt.
        scope.sleep(Duration::from_millis(30)).await.unwrap();
        let done = task.is_complete() || unix_task.is_complete();
        assert!(!done, "there was no descriptor for it");
        drop(hoard);
        let (_, peer) = task.await.into_result().unwrap();
        // Pauses of ten milliseconds and more: it has not asked again and again.
        let polls = polls.load(Ordering::Relaxed);
        assert!((2..40).contains(&polls), "{polls} polls");
        assert_eq!(peer, client.local_addr().unwrap());
        let (mut served, _) = unix_task.await.into_result().unwrap();
        unix_client.write_all(&scope, b"x").await.unwrap();
        assert_eq!(served.read_u8(&scope).await.unwrap(), b'x');
    });
}

#[test]
fn output_arrives_although_input_was_left_unread() {
    run(async |scope: Scope| {
        use std::io::{Read, Write};
        let listener = TcpListener::bind(&scope, LOCAL).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut peer = std::net::TcpStream::connect(addr).unwrap();
        peer.write_all(&[7; 1000]).unwrap();
        let (mut stream, _) = listener.accept(&scope).await.unwrap();
        // One byte read says that the rest, of the same segment, is here too.
        assert_eq!(stream.read(&scope, &mut [0]).await.unwrap(), 1);
        // More than the peer's kernel takes: the rest waits in ours.
        let mut written = 0;
        std::future::poll_fn(|task| {
            loop {
                let stream = std::pin::Pin::new(&mut stream);
                match futures_io::AsyncWrite::poll_write(stream, task, &[1; 65536]) {
                    std::task::Poll::Ready(n) => written += n.unwrap(),
                    std::task::Poll::Pending => return std::task::Poll::Ready(()),
                }
            }
        })
        .await;
        WriteExt::shutdown(&mut stream, &scope).await.unwrap();
        drop(stream);
        let mut received = Vec::new();
        peer.read_to_end(&mut received)
            .expect("an end, not a reset");
        assert_eq!(received.len(), written);
    });
}
