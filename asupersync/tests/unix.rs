//! Unix sockets in every world.
#![cfg(unix)]

mod worlds;

use asupersync::io::{ReadExt, WriteExt};
use asupersync::net::{self, UnixAddr, UnixDatagram, UnixListener, UnixSocket, UnixStream};
use asupersync::types::cancel::reason_in;
use asupersync::{CancelKind, CapSet, Cx, LabConfig, LabRuntime, Scope};
use std::future::{Future, poll_fn};
use std::io;
use std::net::Shutdown;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use worlds::{current_thread, everywhere};

/// A directory of its own per run: the names in the lab are as good as files.
struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Dir(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// A connection, client first.
async fn connected(cx: &Cx, dir: &Dir) -> (UnixStream, UnixStream) {
    let path = dir.path("pair.sock");
    let listener = UnixListener::bind(cx, &path).await.unwrap();
    let client = UnixStream::connect(cx, &path).await.unwrap();
    let (server, _) = listener.accept(cx).await.unwrap();
    drop(listener);
    net::remove_socket_file(cx, &path).await.unwrap();
    (client, server)
}

/// Polls once.
async fn once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|task| Poll::Ready(pin!(&mut *future).poll(task))).await
}

#[test]
fn an_echo_at_a_path_and_its_addresses() {
    everywhere(async |cx: Scope| {
        let dir = Dir::new();
        let path = dir.path("echo.sock");
        let listener = UnixListener::bind(&cx, &path).await.unwrap();
        assert_eq!(listener.local_addr().unwrap(), UnixAddr::from(&path));
        let server = cx.try_spawn(async move |cx: Cx| -> io::Result<usize> {
            let mut echoed = 0;
            for _ in 0..3 {
                let (mut stream, peer) = listener.accept(&cx).await?;
                assert!(peer.is_unnamed());
                let mut buf = [0; 7];
                loop {
                    let n = stream.read(&cx, &mut buf).await?;
                    if n == 0 {
                        break;
                    }
                    stream.write_all(&cx, &buf[..n]).await?;
                    echoed += n;
                }
            }
            Ok(echoed)
        });
        for i in 0..3u8 {
            let mut stream = UnixStream::connect(&cx, &path).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap().as_path(), Some(path.as_path()));
            assert!(stream.local_addr().unwrap().is_unnamed());
            assert_eq!(stream.take_error().unwrap().map(|e| e.to_string()), None);
            stream.write_all(&cx, &[i; 100]).await.unwrap();
            // Half of it is closed; what was sent comes back all the same.
            stream.shutdown(&cx).await.unwrap();
            let mut back = Vec::new();
            stream.read_to_end(&cx, &mut back).await.unwrap();
            assert_eq!(back, [i; 100]);
        }
        assert_eq!(server.await.into_result().unwrap(), 300);
    });
}

#[test]
fn a_name_stays_taken_until_it_is_removed() {
    everywhere(async |cx: Scope| {
        let dir = Dir::new();
        let path = dir.path("stale.sock");
        let nothing = UnixStream::connect(&cx, &path).await.unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::NotFound, "{nothing}");
        drop(UnixListener::bind(&cx, &path).await.unwrap());
        let taken = UnixListener::bind(&cx, &path).await.unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        let says = taken.to_string();
        assert!(
            says.contains("stale.sock") && says.contains("remove_socket_file"),
            "{says}"
        );
        let taken = UnixDatagram::bind(&cx, &path).await.unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        let refused = UnixStream::connect(&cx, &path).await.unwrap_err();
        assert_eq!(
            refused.kind(),
            io::ErrorKind::ConnectionRefused,
            "{refused}"
        );
        net::remove_socket_file(&cx, &path).await.unwrap();
        let gone = net::remove_socket_file(&cx, &path).await.unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
        UnixListener::bind(&cx, &path).await.unwrap();
    });
}

#[test]
fn what_is_no_socket_is_not_removed() {
    current_thread(async |cx: Scope| {
        let dir = Dir::new();
        let path = dir.path("precious");
        std::fs::write(&path, "data").unwrap();
        let refused = net::remove_socket_file(&cx, &path).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(std::fs::read(&path).unwrap(), b"data");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn an_abstract_name_goes_with_its_socket() {
    everywhere(async |cx: Scope| {
        let dir = Dir::new();
        // Unique like a path, and a zero byte before it makes it abstract.
        let name = format!("\0{}", dir.path("name").display());
        let listener = UnixListener::bind(&cx, &name).await.unwrap();
        let addr = listener.local_addr().unwrap();
        assert_eq!(addr.as_abstract_name(), Some(&name.as_bytes()[1..]));
        let taken = UnixListener::bind(&cx, &name).await.unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        let client = UnixStream::connect(&cx, &addr).await.unwrap();
        assert_eq!(client.peer_addr().unwrap(), addr);
        listener.accept(&cx).await.unwrap();
        drop((listener, client));
        let refused = UnixStream::connect(&cx, &name).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let log = UnixDatagram::bind(&cx, &name).await.unwrap();
        let sender = UnixDatagram::unbound(&cx).unwrap();
        sender.send_to(&cx, b"x", &name).await.unwrap();
        assert_eq!(log.recv(&cx, &mut [0; 4]).await.unwrap(), 1);
    });
}

#[test]
fn halves_work_apart_end_their_direction_and_reunite() {
    everywhere(async |cx: Scope| {
        let (mut a, mut b) = UnixStream::pair(&cx).unwrap();
        {
            let (mut read, mut write) = a.split();
            write.write_all(&cx, b"one").await.unwrap();
            b.write_all(&cx, b"two").await.unwrap();
            let mut buf = [0; 3];
            read.read_exact(&cx, &mut buf).await.unwrap();
            assert_eq!(&buf, b"two");
        }
        let (read_a, write_a) = a.into_split();
        let (read_b, write_b) = b.into_split();
        let refused = read_a.reunite(write_b).unwrap_err();
        let mut a = refused.read.reunite(write_a).unwrap();
        let (mut read_b, write_b) = (read_b, refused.write);
        // Dropping the half is what ends the direction.
        drop(write_b);
        assert_eq!(a.read(&cx, &mut [0; 4]).await.unwrap(), 0);
        a.write_all(&cx, b"more").await.unwrap();
        let mut got = [0; 7];
        read_b.read_exact(&cx, &mut got).await.unwrap();
        assert_eq!(&got, b"onemore");
        a.shutdown_now(Shutdown::Write).unwrap();
        assert_eq!(read_b.read(&cx, &mut got).await.unwrap(), 0);
    });
}

#[test]
fn a_peek_takes_nothing() {
    everywhere(async |cx: Scope| {
        let dir = Dir::new();
        let (mut a, mut b) = connected(&cx, &dir).await;
        a.write_all(&cx, b"look").await.unwrap();
        let mut buf = [0; 8];
        for _ in 0..2 {
            let n = b.peek(&cx, &mut buf).await.unwrap();
            assert!(n > 0 && b"look".starts_with(&buf[..n]));
        }
        b.read_exact(&cx, &mut buf[..4]).await.unwrap();
        assert_eq!(&buf[..4], b"look");
        drop(a);
        assert_eq!(b.peek(&cx, &mut buf).await.unwrap(), 0);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn the_peer_has_credentials() {
    current_thread(async |cx: Scope| {
        let (stream, _other) = UnixStream::pair(&cx).unwrap();
        let peer = stream.peer_cred().unwrap();
        let mine = std::fs::metadata("/proc/self").unwrap();
        use std::os::unix::fs::MetadataExt;
        assert_eq!((peer.uid, peer.gid), (mine.uid(), mine.gid()));
        assert_eq!(peer.pid, i32::try_from(std::process::id()).ok());
    });
    LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
        let (stream, _other) = UnixStream::pair(&cx).unwrap();
        let peer = stream.peer_cred().unwrap();
        assert_eq!(peer, asupersync::lab::VirtualNet::CREDENTIALS);
    });
}

#[test]
fn a_cancelled_or_dropped_accept_loses_no_connection() {
    everywhere(async |cx: Scope| {
        let dir = Dir::new();
        let path = dir.path("accept.sock");
        let listener = Arc::new(UnixListener::bind(&cx, &path).await.unwrap());
        let mut dropped = listener.accept(&cx);
        assert!(once(&mut dropped).await.is_pending());
        let waiting = {
            let listener = Arc::clone(&listener);
            cx.try_spawn(async move |cx: Cx| listener.accept(&cx).await.map(drop))
        };
        cx.yield_now().await.unwrap();
        waiting.cancel(CancelKind::RegionEnd);
        assert!(waiting.await.is_cancelled());
        let mut client = UnixStream::connect(&cx, &path).await.unwrap();
        drop(dropped);
        let (mut served, _) = listener.accept(&cx).await.unwrap();
        client.write_all(&cx, b"x").await.unwrap();
        assert_eq!(served.read_u8(&cx).await.unwrap(), b'x');
    });
}

#[test]
fn a_cancelled_read_says_so_and_leaves_the_bytes() {
    everywhere(async |cx: Scope| {
        let (mut a, mut b) = UnixStream::pair(&cx).unwrap();
        let refused = cx
            .region(async |inner| {
                let mut buf = [0; 4];
                let mut read = b.read(&inner, &mut buf);
                assert!(once(&mut read).await.is_pending());
                inner.close();
                read.await.unwrap_err()
            })
            .await
            .unwrap();
        assert_eq!(reason_in(&refused).unwrap().kind, CancelKind::RegionEnd);
        let mut buf = [0; 4];
        let mut read = b.read(&cx, &mut buf);
        assert!(once(&mut read).await.is_pending());
        a.write_all(&cx, b"kept").await.unwrap();
        drop(read);
        b.read_exact(&cx, &mut buf).await.unwrap();
        assert_eq!(&buf, b"kept");
    });
}

/// The system says only that there is no room, never that there is again.
#[test]
fn connecting_waits_for_room_in_the_queue() {
    everywhere(async |cx: Scope| {
        let dir = Dir::new();
        let path = dir.path("full.sock");
        // A short queue where there is a system to ask for one.
        let short = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None);
        let short = short.unwrap();
        short
            .bind(&socket2::SockAddr::unix(&path).unwrap())
            .unwrap();
        short.listen(2).unwrap();
        let listener = match UnixListener::from_std(&cx, short.into()) {
            Ok(listener) => listener,
            Err(_) => UnixListener::bind(&cx, &path).await.unwrap(),
        };
        let mut clients = Vec::new();
        let waits = loop {
            let mut connect = Box::pin(UnixStream::connect(&cx, &path));
            match once(&mut connect).await {
                Poll::Ready(stream) => clients.push(stream.unwrap()),
                Poll::Pending => break connect,
            }
        };
        assert!(clients.len() > 1);
        let mut served = vec![listener.accept(&cx).await.unwrap()];
        clients.push(waits.await.unwrap());
        while served.len() < clients.len() {
            served.push(listener.accept(&cx).await.unwrap());
        }
    });
}

#[test]
fn a_datagram_arrives_whole_in_order_with_its_sender() {
    everywhere(async |cx: Scope| {
        let dir = Dir::new();
        let (path, reply) = (dir.path("log.sock"), dir.path("reply.sock"));
        let log = UnixDatagram::bind(&cx, &path).await.unwrap();
        let sender = UnixDatagram::bind(&cx, &reply).await.unwrap();
        for message in [&b"one"[..], b"", b"longer than that"] {
            let n = sender.send_to(&cx, message, &path).await.unwrap();
            assert_eq!(n, message.len());
        }
        let mut buf = [0; 8];
        assert_eq!(log.peek(&cx, &mut buf).await.unwrap(), 3);
        for message in [&b"one"[..], b"", b"longer t"] {
            let (n, from) = log.recv_from(&cx, &mut buf).await.unwrap();
            assert_eq!(&buf[..n], message);
            assert_eq!(from, UnixAddr::from(&reply));
        }
        let nameless = UnixDatagram::unbound(&cx).unwrap();
        assert!(nameless.send(&cx, b"to whom?").await.is_err());
        nameless.connect(&cx, &path).await.unwrap();
        assert_eq!(nameless.peer_addr().unwrap(), UnixAddr::from(&path));
        nameless.send(&cx, b"hi").await.unwrap();
        let (n, from) = log.peek_from(&cx, &mut buf).await.unwrap();
        assert_eq!((n, from), (2, UnixAddr::Unnamed));
        assert_eq!(log.recv(&cx, &mut buf).await.unwrap(), 2);
        drop(log);
        let refused = nameless.send(&cx, b"hi").await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        net::remove_socket_file(&cx, &path).await.unwrap();
        let missing = nameless.send_to(&cx, b"hi", &path).await.unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    });
}

/// Sends until there is no room, then receives all of it: nothing is lost, and the one that waited goes through.
async fn fill_and_drain(
    cx: &Cx,
    sender: UnixDatagram,
    receiver: &UnixDatagram,
    to: Option<PathBuf>,
) {
    let (mut sent, message) = (0u32, [7; 1000]);
    loop {
        let mut send = match &to {
            Some(path) => sender.send_to(cx, &message, path),
            None => sender.send(cx, &message),
        };
        match once(&mut send).await {
            Poll::Ready(n) => assert_eq!(n.unwrap(), message.len()),
            Poll::Pending => break,
        }
        sent += 1;
    }
    assert!(sent > 1);
    // In a task of its own, or the turns of the receiver would do for it.
    let waits = cx.spawn(async move |cx: Cx| match &to {
        Some(path) => sender.send_to(&cx, &message, path).await.unwrap(),
        None => sender.send(&cx, &message).await.unwrap(),
    });
    cx.yield_now().await.unwrap();
    // How much must be received before there is room is the system's affair.
    let mut buf = [0; 1000];
    for _ in 0..=sent {
        assert_eq!(receiver.recv(cx, &mut buf).await.unwrap(), 1000);
    }
    assert_eq!(waits.await.into_result().unwrap(), 1000);
    assert!(once(&mut receiver.recv(cx, &mut buf)).await.is_pending());
}

#[test]
fn a_sender_waits_for_room_and_nothing_is_lost() {
    everywhere(async |cx: Scope| {
        let dir = Dir::new();
        let path = dir.path("full.sock");
        let receiver = UnixDatagram::bind(&cx, &path).await.unwrap();
        let sender = UnixDatagram::unbound(&cx).unwrap();
        fill_and_drain(&cx, sender, &receiver, Some(path)).await;
        let (sender, receiver) = UnixDatagram::pair(&cx).unwrap();
        fill_and_drain(&cx, sender, &receiver, None).await;
    });
}

#[test]
fn unix_sockets_need_the_capability() {
    everywhere(async |cx: Scope| {
        let dir = Dir::new();
        let path = dir.path("denied.sock");
        let socket = UnixDatagram::unbound(&cx).unwrap();
        let narrow = cx.restrict(CapSet::ALL.without(CapSet::NET));
        let denied = [
            UnixListener::bind(&narrow, &path)
                .await
                .map(drop)
                .unwrap_err(),
            UnixStream::connect(&narrow, &path)
                .await
                .map(drop)
                .unwrap_err(),
            UnixStream::pair(&narrow).map(drop).unwrap_err(),
            UnixDatagram::bind(&narrow, &path)
                .await
                .map(drop)
                .unwrap_err(),
            UnixDatagram::pair(&narrow).map(drop).unwrap_err(),
            UnixDatagram::unbound(&narrow).map(drop).unwrap_err(),
            socket.connect(&narrow, &path).await.unwrap_err(),
            socket.send_to(&narrow, b"x", &path).await.unwrap_err(),
            net::remove_socket_file(&narrow, &path).await.unwrap_err(),
        ];
        for e in denied {
            assert_eq!(e.kind(), io::ErrorKind::PermissionDenied, "{e}");
        }
    });
}

#[test]
fn sockets_of_the_standard_library_come_and_go() {
    use std::io::{Read, Write};
    current_thread(async |cx: Scope| {
        let (mut theirs, ours) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut ours = UnixStream::from_std(&cx, ours).unwrap();
        theirs.write_all(b"in").unwrap();
        let mut buf = [0; 2];
        ours.read_exact(&cx, &mut buf).await.unwrap();
        assert_eq!(&buf, b"in");
        // Not even one that has ended its direction loses input on its way out.
        theirs.write_all(b"later").unwrap();
        ours.shutdown_now(Shutdown::Write).unwrap();
        let mut ours = ours.into_std().unwrap();
        let mut later = [0; 5];
        ours.read_exact(&mut later).unwrap();
        assert_eq!(&later, b"later");
        assert_eq!(theirs.read(&mut buf).unwrap(), 0);

        let (theirs, ours) = std::os::unix::net::UnixDatagram::pair().unwrap();
        let ours = UnixDatagram::from_std(&cx, ours).unwrap();
        ours.send(&cx, b"out").await.unwrap();
        assert_eq!(theirs.recv(&mut [0; 8]).unwrap(), 3);
        ours.into_std().unwrap().send(b"out").unwrap();
        assert_eq!(theirs.recv(&mut [0; 8]).unwrap(), 3);
    });
    LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
        let (_, foreign) = std::os::unix::net::UnixStream::pair().unwrap();
        let refused = UnixStream::from_std(&cx, foreign).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
        let (ours, _) = UnixStream::pair(&cx).unwrap();
        let refused = ours.into_std().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
    });
}

#[test]
fn a_client_has_the_address_it_binds_to() {
    everywhere(async |cx: Scope| {
        let dir = Dir::new();
        let (at, mine) = (dir.path("server.sock"), dir.path("client.sock"));
        let socket = UnixSocket::new().bind(&mine);
        // Who fails leaves nothing behind.
        let nowhere = socket.connect(&cx, &at).await.unwrap_err();
        assert_eq!(nowhere.kind(), io::ErrorKind::NotFound, "{nowhere}");
        let gone = net::remove_socket_file(&cx, &mine).await.unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);

        let listener = UnixSocket::new().backlog(1).listen(&cx, &at).await.unwrap();
        let mut client = socket.connect(&cx, &at).await.unwrap();
        let (mut server, peer) = listener.accept(&cx).await.unwrap();
        assert_eq!(peer.as_path(), Some(&*mine));
        assert_eq!(client.local_addr().unwrap().as_path(), Some(&*mine));
        assert_eq!(server.peer_addr().unwrap().as_path(), Some(&*mine));
        client.write_all(&cx, b"me").await.unwrap();
        let mut buf = [0; 2];
        server.read_exact(&cx, &mut buf).await.unwrap();
        assert_eq!(&buf, b"me");

        // The name is taken, also when the client is gone, until it is removed.
        for _ in 0..2 {
            let taken = socket.connect(&cx, &at).await.unwrap_err();
            assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
            let says = taken.to_string();
            assert!(says.contains("client.sock"), "{says}");
            client = UnixStream::pair(&cx).unwrap().0;
        }
        drop(client);
        net::remove_socket_file(&cx, &mine).await.unwrap();
        socket.connect(&cx, &at).await.unwrap();
    });
}

#[test]
fn a_client_that_binds_waits_for_room_as_others_do() {
    everywhere(async |cx: Scope| {
        let dir = Dir::new();
        let at = dir.path("full.sock");
        let options = UnixSocket::new().backlog(1);
        let listener = options.listen(&cx, &at).await.unwrap();
        let clients: Vec<_> = (0..6)
            .map(|i| {
                let (at, mine) = (at.clone(), dir.path(&format!("client-{i}")));
                cx.try_spawn(async move |cx: Cx| {
                    let socket = UnixSocket::new().bind(&mine);
                    socket.connect(&cx, &at).await
                })
            })
            .collect();
        let mut names = Vec::new();
        for _ in 0..6 {
            let (_, peer) = listener.accept(&cx).await.unwrap();
            let name = peer.as_path().unwrap().file_name().unwrap();
            names.push(name.to_str().unwrap().to_owned());
        }
        names.sort_unstable();
        assert_eq!(
            names,
            (0..6).map(|i| format!("client-{i}")).collect::<Vec<_>>()
        );
        for client in clients {
            drop(client.await.into_result().unwrap());
        }
    });
}

#[test]
fn datagrams_of_a_builder_can_be_answered() {
    everywhere(async |cx: Scope| {
        let dir = Dir::new();
        let [server, client] = ["server.sock", "client.sock"].map(|name| dir.path(name));
        let options = UnixSocket::new().send_buffer_size(64 * 1024);
        let server = options.clone().bind(&server).datagram(&cx).await.unwrap();
        let client = options.bind(&client).datagram(&cx).await.unwrap();
        let to = server.local_addr().unwrap();
        client.connect(&cx, to).await.unwrap();
        client.send(&cx, b"ask").await.unwrap();
        let mut buf = [0; 8];
        let (_, from) = server.recv_from(&cx, &mut buf).await.unwrap();
        server.send_to(&cx, b"answer", from).await.unwrap();
        assert_eq!(client.recv(&cx, &mut buf).await.unwrap(), 6);
        let unbound = UnixSocket::new().datagram(&cx).await.unwrap();
        assert!(unbound.local_addr().unwrap().is_unnamed());
        let nameless = UnixDatagram::bind(&cx, UnixAddr::Unnamed)
            .await
            .unwrap_err();
        assert_eq!(nameless.kind(), io::ErrorKind::InvalidInput);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn an_abstract_name_of_a_client_goes_with_its_connection() {
    everywhere(async |cx: Scope| {
        let dir = Dir::new();
        let name = |what: &str| format!("\0{}", dir.path(what).display());
        let listener = UnixListener::bind(&cx, name("server")).await.unwrap();
        let socket = UnixSocket::new().bind(name("client"));
        let client = socket.connect(&cx, name("server")).await.unwrap();
        let (server, peer) = listener.accept(&cx).await.unwrap();
        assert_eq!(peer, UnixAddr::from(name("client")));
        let taken = socket.connect(&cx, name("server")).await.unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        drop((client, server));
        socket.connect(&cx, name("server")).await.unwrap();
    });
}

#[test]
fn a_client_that_binds_is_lost_at_every_await() {
    worlds::whoever_is_lost(async |cx: Scope| {
        let listener = UnixListener::bind(&cx, "/at").await.unwrap();
        for i in 0..3 {
            cx.spawn(async move |cx: Cx| {
                let socket = UnixSocket::new().bind(format!("/client-{i}"));
                let stream = socket.connect(&cx, "/at").await;
                let Ok(mut stream) = stream else { return };
                // Whoever is lost here is lost to the server.
                let _ = stream.write_all(&cx, &[i]).await;
            });
        }
        let served = cx.timeout(std::time::Duration::from_secs(5), async |cx: Scope| {
            for _ in 0..3 {
                let (mut stream, peer) = listener.accept(&cx).await?;
                let mut byte = [0];
                if stream.read(&cx, &mut byte).await? == 1 {
                    assert_eq!(peer, UnixAddr::from(format!("/client-{}", byte[0])));
                }
            }
            Ok::<_, io::Error>(())
        });
        let _ = served.await;
    });
}
