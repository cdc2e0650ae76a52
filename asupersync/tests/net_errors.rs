//! What the errors of sockets say: what was done, with whom, and what the system answered.

mod worlds;

use asupersync::io::{ReadExt, WriteExt, os_error};
use asupersync::net::{TcpListener, TcpStream, UdpSocket};
use asupersync::types::cancel::reason_in;
use asupersync::{Cx, Scope};
use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;
use worlds::{current_thread, everywhere};

const LOCAL: &str = "127.0.0.1:0";

/// A connection, client first, whose client resets it.
async fn reset(cx: &Cx) -> (TcpStream, SocketAddr) {
    let listener = TcpListener::bind(cx, LOCAL).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let client = TcpStream::connect(cx, addr).await.unwrap();
    let (server, peer) = listener.accept(cx).await.unwrap();
    client.set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    (server, peer)
}

/// The error says this, is of this kind, and has what it came from inside.
fn check(e: &io::Error, says: &str, kind: ErrorKind, code: i32) {
    assert_eq!(e.kind(), kind, "{e}");
    let source = e.source().and_then(|s| s.downcast_ref::<io::Error>());
    let source = source.expect("the error as it came is the source");
    assert_eq!(source.kind(), kind);
    assert_eq!(e.to_string(), format!("{says}: {source}"));
    // The lab's errors have kinds only.
    assert_eq!(os_error(e), source.raw_os_error());
    if let Some(found) = os_error(e) {
        assert_eq!(found, code);
        assert!(
            e.to_string().ends_with(&format!("(os error {code})")),
            "{e}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_reset_names_the_peer_that_the_system_has_forgotten() {
    everywhere(async |cx: Scope| {
        let (mut server, peer) = reset(&cx).await;
        let e = server.read(&cx, &mut [0; 8]).await.unwrap_err();
        check(
            &e,
            &format!("read from {peer}"),
            ErrorKind::ConnectionReset,
            libc::ECONNRESET,
        );
        let e = server.write_all(&cx, b"x").await.unwrap_err();
        check(
            &e,
            &format!("write to {peer}"),
            ErrorKind::BrokenPipe,
            libc::EPIPE,
        );
        // By halves, and through what is built on the stream.
        let (server, peer) = reset(&cx).await;
        let (read, _write) = server.into_split();
        let mut text = String::new();
        let mut read = asupersync::io::BufReader::new(read);
        let e = read.read_to_string(&cx, &mut text).await.unwrap_err();
        check(
            &e,
            &format!("read from {peer}"),
            ErrorKind::ConnectionReset,
            libc::ECONNRESET,
        );
        let (mut server, peer) = reset(&cx).await;
        let e = server.peek(&cx, &mut [0; 8]).await.unwrap_err();
        let says = format!("peek at what comes from {peer}");
        check(&e, &says, ErrorKind::ConnectionReset, libc::ECONNRESET);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn who_cannot_be_reached_is_named() {
    everywhere(async |cx: Scope| {
        let listener = TcpListener::bind(&cx, LOCAL).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let e = TcpListener::bind(&cx, addr).await.unwrap_err();
        check(
            &e,
            &format!("cannot listen on {addr}"),
            ErrorKind::AddrInUse,
            libc::EADDRINUSE,
        );
        drop(listener);
        let e = TcpStream::connect(&cx, addr).await.unwrap_err();
        let says = format!("cannot connect to {addr}");
        check(&e, &says, ErrorKind::ConnectionRefused, libc::ECONNREFUSED);
    });
}

/// Writes until the stream says that nobody reads: the lab takes the round trip
/// of a reset to know.
#[cfg(unix)]
async fn cut_off(cx: &Cx, stream: &mut asupersync::net::UnixStream, says: &str) {
    let e = loop {
        if let Err(e) = stream.write_all(cx, b"x").await {
            break e;
        }
        cx.yield_now().await.unwrap();
    };
    match e.kind() {
        ErrorKind::ConnectionReset => check(&e, says, e.kind(), libc::ECONNRESET),
        _ => check(&e, says, ErrorKind::BrokenPipe, libc::EPIPE),
    }
}

#[cfg(unix)]
#[test]
fn unix_sockets_name_theirs() {
    use asupersync::net::{UnixDatagram, UnixListener, UnixStream};
    everywhere(async |cx: Scope| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let listener = UnixListener::bind(&cx, &path).await.unwrap();
        let mut client = UnixStream::connect(&cx, &path).await.unwrap();
        drop(listener.accept(&cx).await.unwrap());
        let says = format!("write to `{}`", path.display());
        cut_off(&cx, &mut client, &says).await;
        let (mut here, there) = UnixStream::pair(&cx).unwrap();
        drop(there);
        cut_off(&cx, &mut here, "write to (unnamed)").await;
        let nowhere = dir.path().join("b.sock");
        let socket = UnixDatagram::unbound(&cx).unwrap();
        let e = socket.send_to(&cx, b"x", &nowhere).await.unwrap_err();
        let says = format!("send to `{}`", nowhere.display());
        check(&e, &says, ErrorKind::NotFound, libc::ENOENT);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn datagrams_name_whom_they_were_for() {
    current_thread(async |cx: Scope| {
        let gone = UdpSocket::bind(&cx, LOCAL).await.unwrap();
        let addr = gone.local_addr().unwrap();
        drop(gone);
        let socket = UdpSocket::bind(&cx, LOCAL).await.unwrap();
        socket.connect(&cx, addr).await.unwrap();
        socket.send(&cx, b"x").await.unwrap();
        let e = socket.recv(&cx, &mut [0; 8]).await.unwrap_err();
        let says = format!("receive from {addr}");
        check(&e, &says, ErrorKind::ConnectionRefused, libc::ECONNREFUSED);
        socket.send(&cx, b"x").await.unwrap();
        let mut e = socket.send(&cx, b"x").await;
        // The answer to the one before may take its time.
        while e.is_ok() {
            e = socket.send(&cx, b"x").await;
        }
        let says = format!("send to {addr}");
        check(
            &e.unwrap_err(),
            &says,
            ErrorKind::ConnectionRefused,
            libc::ECONNREFUSED,
        );
        let large = vec![0; 1 << 17];
        let e = socket.send_to(&cx, &large, addr).await.unwrap_err();
        assert_eq!(os_error(&e), Some(libc::EMSGSIZE), "{e}");
    });
}

#[test]
fn a_stream_of_the_standard_library_knows_its_peer() {
    current_thread(async |cx: Scope| {
        let listener = std::net::TcpListener::bind(LOCAL).unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, peer) = listener.accept().unwrap();
        let client = TcpStream::from_std(&cx, client).unwrap();
        let mut server = TcpStream::from_std(&cx, server).unwrap();
        client.set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        let e = server.read(&cx, &mut [0; 8]).await.unwrap_err();
        assert!(
            e.to_string().starts_with(&format!("read from {peer}: ")),
            "{e}"
        );
    });
}

#[test]
fn a_cancelled_wait_is_not_explained_away() {
    everywhere(async |cx: Scope| {
        let listener = TcpListener::bind(&cx, LOCAL).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(&cx, addr).await.unwrap();
        let _server = listener.accept(&cx).await.unwrap();
        cx.region(async |scope| {
            scope.cancel("enough");
            let e = client.read(&scope, &mut [0; 8]).await.unwrap_err();
            assert!(reason_in(&e).is_some() && os_error(&e).is_none(), "{e}");
            assert!(!e.to_string().contains("read from"), "{e}");
        })
        .await
        .unwrap();
    });
}
