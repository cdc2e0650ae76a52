//! Sockets that are asked without waiting, and writes from several buffers.

mod worlds;

use asupersync::io::{ReadExt, WriteExt};
use asupersync::net::{TcpListener, TcpStream, UdpSocket};
use asupersync::{Cx, Scope};
use std::future::{Future, poll_fn};
use std::io::{ErrorKind, IoSlice};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use worlds::everywhere;

const LOCAL: &str = "127.0.0.1:0";

async fn connected(cx: &Cx) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(cx, LOCAL).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let client = TcpStream::connect(cx, addr).await.unwrap();
    (client, listener.accept(cx).await.unwrap().0)
}

/// Polls once.
async fn once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|task| Poll::Ready(pin!(&mut *future).poll(task))).await
}

#[test]
fn a_stream_is_asked_without_waiting() {
    everywhere(async |cx: Scope| {
        let (mut client, mut server) = connected(&cx).await;
        let mut buf = [0; 64];
        let nothing = server.try_read(&mut buf).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
        assert!(once(&mut server.readable(&cx)).await.is_pending());
        assert!(client.try_write(b"hello").unwrap() > 0);
        server.readable(&cx).await.unwrap();
        // It took nothing.
        let n = server.try_read(&mut buf).unwrap();
        assert!(n > 0 && b"hello".starts_with(&buf[..n]));
        let (mut read, mut write) = server.into_split();
        assert!(
            write
                .try_write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b"cd")])
                .unwrap()
                > 0
        );
        client.readable(&cx).await.unwrap();
        // The end of the stream is something to read.
        client.shutdown(&cx).await.unwrap();
        loop {
            read.readable(&cx).await.unwrap();
            if read.try_read(&mut buf).unwrap() == 0 {
                break;
            }
        }
    });
}

#[test]
fn writing_resumes_when_there_is_room() {
    everywhere(async |cx: Scope| {
        let (mut client, mut server) = connected(&cx).await;
        let chunk = [5; 16 * 1024];
        let mut written = 0;
        loop {
            match client.try_write(&chunk) {
                Ok(n) => written += n,
                Err(e) => {
                    assert_eq!(e.kind(), ErrorKind::WouldBlock);
                    break;
                }
            }
        }
        assert!(once(&mut client.writable(&cx)).await.is_pending());
        let reader = cx.spawn(async move |cx: Cx| {
            let mut read = 0;
            let mut buf = vec![0; 64 * 1024];
            loop {
                match server.read(&cx, &mut buf).await.unwrap() {
                    0 => return read,
                    n => read += n,
                }
            }
        });
        for _ in 0..10 {
            client.writable(&cx).await.unwrap();
            if let Ok(n) = client.try_write(&chunk) {
                written += n;
            }
        }
        drop(client);
        assert_eq!(reader.await.into_result().unwrap(), written);
    });
}

#[test]
fn several_buffers_arrive_in_order() {
    everywhere(async |cx: Scope| {
        let (mut client, mut server) = connected(&cx).await;
        let parts: Vec<Vec<u8>> = (0..100u8).map(|i| vec![i; usize::from(i % 7)]).collect();
        let whole = parts.concat();
        let writer = cx.spawn(async move |cx: Cx| {
            let mut slices: Vec<_> = parts.iter().map(|p| IoSlice::new(p)).collect();
            let mut slices = &mut slices[..];
            IoSlice::advance_slices(&mut slices, 0);
            while !slices.is_empty() {
                let n = client.write_vectored(&cx, slices).await.unwrap();
                assert!(n > 0);
                IoSlice::advance_slices(&mut slices, n);
            }
        });
        let mut got = Vec::new();
        server.read_to_end(&cx, &mut got).await.unwrap();
        assert_eq!(got, whole);
        writer.await.into_result().unwrap();
    });
}

/// One system call for all of them: what each would be by itself is not sent in between.
#[test]
fn several_buffers_are_one_write_of_the_system() {
    worlds::current_thread(async |cx: Scope| {
        let (mut client, mut server) = connected(&cx).await;
        let parts = [
            IoSlice::new(b"head"),
            IoSlice::new(b""),
            IoSlice::new(b"body"),
        ];
        assert_eq!(client.write_vectored(&cx, &parts).await.unwrap(), 8);
        let mut buf = [0; 16];
        server.readable(&cx).await.unwrap();
        assert_eq!(server.try_read(&mut buf).unwrap(), 8);
    });
}

#[test]
fn a_datagram_socket_that_is_asked_displaces_nobody_who_waits() {
    everywhere(async |cx: Scope| {
        let here = Arc::new(UdpSocket::bind(&cx, LOCAL).await.unwrap());
        let there = UdpSocket::bind(&cx, LOCAL).await.unwrap();
        there
            .connect(&cx, here.local_addr().unwrap())
            .await
            .unwrap();
        let waiting = Arc::clone(&here);
        let waiter = cx.spawn(async move |cx: Cx| {
            let mut buf = [0; 8];
            waiting.recv(&cx, &mut buf).await.unwrap()
        });
        for _ in 0..3 {
            cx.yield_now().await.unwrap();
            let nothing = here.try_recv(&mut [0; 8]).unwrap_err();
            assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
        }
        assert_eq!(there.try_send(b"abc").unwrap(), 3);
        assert_eq!(waiter.await.into_result().unwrap(), 3);
        let sent = there.try_send(b"de").unwrap();
        let mut buf = [0; 8];
        for _ in 0..2 {
            here.readable(&cx).await.unwrap();
        }
        let (n, from) = here.try_recv_from(&mut buf).unwrap();
        assert_eq!((n, from), (sent, there.local_addr().unwrap()));
        // Nobody is connected to anyone here.
        let nowhere = here.try_send(b"x").unwrap_err();
        assert_ne!(nowhere.kind(), ErrorKind::WouldBlock, "{nowhere}");
    });
}
