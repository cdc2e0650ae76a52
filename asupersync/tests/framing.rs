//! Frames: the same for every way in which the bytes arrive, and none lost by a cancellation.

use asupersync::channel::mpsc;
use asupersync::io::framing::{
    Bytes, Decoder, Encoder, Endian, FrameError, Framed, LengthDelimited, Lines,
};
use asupersync::io::{AsyncRead, AsyncWrite};
use asupersync::lab::{Inject, Injector};
use asupersync::net::{TcpListener, TcpStream};
use asupersync::types::cancel::reason_in;
use asupersync::{Cx, LabConfig, Scope, select};
use bytes::BytesMut;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

mod worlds;
use worlds::{current_thread, everywhere};

/// Gives its pieces one at a time, with a wait before each; takes `room` bytes at a time.
#[derive(Debug, Default)]
struct Pieces {
    pieces: VecDeque<Vec<u8>>,
    waited: bool,
    room: usize,
    written: Vec<u8>,
}

impl Pieces {
    fn of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Pieces {
            pieces: pieces.into_iter().map(<[u8]>::to_vec).collect(),
            ..Pieces::default()
        }
    }

    fn waits(&mut self, task: &Context<'_>) -> bool {
        self.waited = !self.waited;
        if self.waited {
            task.waker().wake_by_ref();
        }
        self.waited
    }
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.waits(task) {
            return Poll::Pending;
        }
        let Some(mut piece) = self.pieces.pop_front() else {
            return Poll::Ready(Ok(0));
        };
        let n = piece.len().min(buf.len());
        buf[..n].copy_from_slice(&piece[..n]);
        let rest = piece.split_off(n);
        if !rest.is_empty() {
            self.pieces.push_front(rest);
        }
        Poll::Ready(Ok(n))
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.waits(task) {
            return Poll::Pending;
        }
        let n = bytes.len().min(self.room);
        self.written.extend_from_slice(&bytes[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What a codec makes of bytes, an error as its text.
async fn frames<C>(cx: &Cx, stream: Pieces, codec: C) -> Vec<Result<C::Item, String>>
where
    C: Decoder<Error = io::Error>,
{
    let mut framed = Framed::new(stream, codec);
    let mut all = Vec::new();
    while let Some(frame) = framed.next(cx).await {
        all.push(frame.map_err(|e| e.to_string()));
    }
    assert!(framed.next(cx).await.is_none(), "the end stays the end");
    all
}

/// The frames of `bytes` do not depend on how they arrive.
fn check<C>(bytes: &[u8], codec: &C, expected: &[Result<C::Item, String>])
where
    C: Decoder<Error = io::Error> + Clone,
    C::Item: PartialEq + std::fmt::Debug,
{
    current_thread(async |cx| {
        for at in 0..=bytes.len() {
            let (a, b) = bytes.split_at(at);
            let pieces = Pieces::of([a, b].into_iter().filter(|p| !p.is_empty()));
            assert_eq!(
                frames(&cx, pieces, codec.clone()).await,
                expected,
                "split at {at}"
            );
        }
        let single = Pieces::of(bytes.chunks(1));
        assert_eq!(
            frames(&cx, single, codec.clone()).await,
            expected,
            "byte by byte"
        );
    });
}

fn too_long(max: usize) -> String {
    FrameError::FrameTooLong { max }.to_string()
}

#[test]
fn lines() {
    let codec = Lines::new(4);
    let ok = |s: &str| Ok(s.to_owned());
    check(
        b"ab\ncd\r\n\nabcd\r\nx",
        &codec,
        &[ok("ab"), ok("cd"), ok(""), ok("abcd"), ok("x")],
    );
    check(b"", &codec, &[]);
    check(b"\n", &codec, &[ok("")]);
    // What is too long is skipped, up to its end.
    check(b"abcde\nok\n", &codec, &[Err(too_long(4)), ok("ok")]);
    check(
        b"abcdefghijklmnop\nok",
        &codec,
        &[Err(too_long(4)), ok("ok")],
    );
    check(b"ok\nabcdefgh", &codec, &[ok("ok"), Err(too_long(4))]);
    check(
        b"\xff\nok\n",
        &codec,
        &[Err(FrameError::NotUtf8.to_string()), ok("ok")],
    );
}

#[test]
fn lengths() {
    let of = |parts: &[&[u8]]| parts.concat();
    let ok = |b: &[u8]| Ok(BytesMut::from(b));
    let big = LengthDelimited::new(5);
    let bytes = of(&[b"\0\0\0\x02ab", b"\0\0\0\0", b"\0\0\0\x05hello"]);
    check(&bytes, &big, &[ok(b"ab"), ok(b""), ok(b"hello")]);
    let little = LengthDelimited::new(300).width(2).endian(Endian::Little);
    let long = vec![7; 258];
    check(
        &of(&[b"\x01\0x", b"\x02\x01", &long]),
        &little,
        &[ok(b"x"), ok(&long)],
    );
    // What is too long is refused by its length, and skipped.
    let bytes = of(&[b"\0\0\0\x06abcdef", b"\0\0\0\x01x"]);
    check(&bytes, &big, &[Err(too_long(5)), ok(b"x")]);
    let cut = FrameError::UnexpectedEof { left: 5 }.to_string();
    check(b"\0\0\0\x02a", &big, &[Err(cut)]);
    let huge = LengthDelimited::new(5).width(8);
    check(&[255; 8], &huge, &[Err(too_long(5))]);
}

#[test]
fn what_is_too_long_is_not_kept() {
    current_thread(async |cx| {
        let piece = vec![b'x'; 4096];
        let mut pieces = vec![&piece[..]; 1000];
        pieces.push(b"\nok\n");
        let mut framed = Framed::new(Pieces::of(pieces), Lines::new(10));
        assert!(framed.next(&cx).await.unwrap().is_err());
        assert_eq!(framed.next(&cx).await.unwrap().unwrap(), "ok");
        let (_, left) = framed.into_parts();
        assert!(left.capacity() < 64 * 1024, "{}", left.capacity());

        // Neither is what a length announces, of which nothing need ever come.
        let mut pieces = vec![&piece[..]; 1000];
        let header = (1000 * 4096u32).to_be_bytes();
        pieces.insert(0, &header);
        pieces.push(b"\0\0\0\x02ok");
        let mut framed = Framed::new(Pieces::of(pieces), LengthDelimited::new(10));
        let refused = framed.next(&cx).await.unwrap().unwrap_err();
        assert_eq!(refused.to_string(), too_long(10));
        assert_eq!(framed.next(&cx).await.unwrap().unwrap(), b"ok"[..]);
        let (_, left) = framed.into_parts();
        assert!(left.capacity() < 64 * 1024, "{}", left.capacity());

        let announced = Pieces::of([&u32::MAX.to_be_bytes()[..], b"x"]);
        let mut framed = Framed::new(announced, LengthDelimited::new(u32::MAX as usize));
        assert!(framed.next(&cx).await.unwrap().is_err(), "it ends early");
        let (_, left) = framed.into_parts();
        assert!(left.capacity() < 64 * 1024, "{}", left.capacity());
    });
}

#[test]
fn bytes_come_as_they_are() {
    current_thread(async |cx| {
        let two = Bytes::new(NonZeroUsize::new(2).unwrap());
        let all = frames(&cx, Pieces::of([&b"abc"[..], b"d"]), two).await;
        let all: Vec<u8> = all.into_iter().flat_map(Result::unwrap).collect();
        assert_eq!(all, b"abcd");
    });
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let mut bytes = BytesMut::from(&b"before"[..]);
    let mut lines = Lines::new(3);
    assert!(lines.encode("a\nb", &mut bytes).is_err());
    assert!(lines.encode("abcd", &mut bytes).is_err());
    assert!(
        LengthDelimited::new(9)
            .width(1)
            .encode([0; 10], &mut bytes)
            .is_err()
    );
    assert!(
        LengthDelimited::new(999)
            .width(1)
            .encode([0; 256], &mut bytes)
            .is_err()
    );
    assert_eq!(bytes, b"before"[..]);
}

proptest! {
    #[test]
    fn frames_arrive_as_they_were_sent(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
        width in 2usize..=8,
        little in any::<bool>(),
        chunk in 1usize..64,
    ) {
        let endian = if little { Endian::Little } else { Endian::Big };
        let mut codec = LengthDelimited::new(1000).width(width).endian(endian);
        let mut bytes = BytesMut::new();
        for frame in &frames {
            codec.encode(frame, &mut bytes).unwrap();
        }
        current_thread(async |cx| {
            let found = super_frames(&cx, Pieces::of(bytes.chunks(chunk)), codec).await;
            assert_eq!(found, frames);
        });
    }
}

async fn super_frames(cx: &Cx, stream: Pieces, codec: LengthDelimited) -> Vec<Vec<u8>> {
    let found = frames(cx, stream, codec).await;
    found.into_iter().map(|f| f.unwrap().to_vec()).collect()
}

/// A select that takes the other arm again and again loses no frame.
#[test]
fn next_may_lose_in_a_select() {
    everywhere(async |cx: Scope| {
        let text = "one\ntwo\nthree\n";
        let mut framed = Framed::new(Pieces::of(text.as_bytes().chunks(1)), Lines::new(10));
        let (mut seen, mut lost) = (Vec::new(), 0);
        loop {
            select! {
                biased;
                frame = framed.next(&cx) => match frame {
                    Some(line) => seen.push(line.unwrap()),
                    None => break,
                },
                _ = std::future::ready(()) => {
                    lost += 1;
                    cx.yield_now().await.unwrap();
                },
            }
        }
        assert_eq!(seen, ["one", "two", "three"]);
        assert!(lost >= text.len(), "{lost}");
    });
}

/// A request at any await: frames read before it were delivered, the rest can be read on.
#[test]
fn a_cancelled_read_or_flush_goes_on_in_cleanup() {
    for mode in [Inject::Protocol, Inject::Root] {
        let report = Injector::new(LabConfig::default())
            .mode(mode)
            .check(async |cx: Scope| {
                let task = cx.spawn(async |cx: Cx| {
                    let text = "one\ntwo\nthree\n";
                    let pieces = Pieces {
                        room: 3,
                        ..Pieces::of(text.as_bytes().chunks(2))
                    };
                    let mut framed = Framed::new(pieces, Lines::new(10));
                    let mut sent = String::new();
                    loop {
                        let mut next = framed.next(&cx).await;
                        if let Some(Err(e)) = &next {
                            assert!(reason_in(e).is_some(), "{e}");
                            next = framed.next(cx.cleanup()).await;
                        }
                        let Some(line) = next else { break };
                        let line = line.unwrap();
                        sent.push_str(&line);
                        sent.push('\n');
                        if framed.feed(cx.cleanup(), &line).await.is_ok()
                            && framed.flush(&cx).await.is_err()
                        {
                            framed.flush(cx.cleanup()).await.unwrap();
                        }
                    }
                    assert_eq!(framed.unwritten(), 0);
                    let (stream, _) = framed.into_parts();
                    assert_eq!(sent, text);
                    assert_eq!(stream.written, text.as_bytes());
                });
                task.await.into_result().ok();
            });
        assert!(report.is_ok(), "{mode:?}: {report}");
        assert!(report.points > 10, "{report}");
    }
}

/// The same program on real sockets and in the virtual network.
#[test]
fn lines_over_tcp() {
    everywhere(async |cx: Scope| {
        let listener = TcpListener::bind(&cx, (Ipv4Addr::LOCALHOST, 0))
            .await
            .unwrap();
        let addr = listener.local_addr().unwrap();
        let (tx, mut rx) = mpsc::channel(8);
        let server = cx.try_spawn(async move |cx: Cx| {
            let (stream, _) = listener.accept(&cx).await?;
            let mut lines = Framed::new(stream, Lines::new(100));
            while let Some(line) = lines.next(&cx).await {
                let line = line?;
                lines.send(&cx, line.to_uppercase()).await?;
                tx.send(&cx, line).await.map_err(io::Error::other)?;
            }
            lines.shutdown(&cx).await
        });
        let stream = TcpStream::connect(&cx, addr).await.unwrap();
        let mut lines = Framed::new(stream, Lines::new(100));
        for n in 0..3 {
            lines.send(&cx, format!("line {n}")).await.unwrap();
            assert_eq!(lines.next(&cx).await.unwrap().unwrap(), format!("LINE {n}"));
            assert_eq!(rx.recv(&cx).await.unwrap(), format!("line {n}"));
        }
        lines.shutdown(&cx).await.unwrap();
        assert!(lines.next(&cx).await.is_none());
        server.await.into_result().unwrap();
        cx.sleep(Duration::ZERO).await.unwrap();
    });
}
