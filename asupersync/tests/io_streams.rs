//! Streams in memory, streams made of others, and copies between them.

mod worlds;

use asupersync::channel::oneshot;
use asupersync::io::{
    self as aio, AsyncBufRead, AsyncRead, AsyncWrite, BufReadExt, BufReader, BufWriter, ReadExt,
    SeekExt, WriteExt, copy, copy_bidirectional, duplex, simplex,
};
use asupersync::{Cx, Scope, fs};
use bytes::{Buf, Bytes};
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, IoSlice, SeekFrom};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use worlds::{everywhere, in_lab, whoever_is_lost};

/// Polls once.
async fn once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|task| Poll::Ready(pin!(&mut *future).poll(task))).await
}

#[test]
fn what_goes_in_at_one_end_comes_out_at_the_other() {
    everywhere(async |cx: Scope| {
        for capacity in [0, 1, 3, 1000] {
            let (mut here, mut there) = duplex(capacity);
            let text: Vec<u8> = (0..500u16).map(|i| (i % 251) as u8).collect();
            let sent = text.clone();
            let writer = cx.spawn(async move |cx: Cx| {
                here.write_all(&cx, &sent).await.unwrap();
                here.shutdown(&cx).await.unwrap();
                let mut back = Vec::new();
                here.read_to_end(&cx, &mut back).await.unwrap();
                back
            });
            let mut got = Vec::new();
            there.read_to_end(&cx, &mut got).await.unwrap();
            assert_eq!(got, text);
            there.write_all(&cx, b"thanks").await.unwrap();
            drop(there);
            assert_eq!(writer.await.into_result().unwrap(), b"thanks");
        }
    });
}

#[test]
fn no_more_than_fits_is_taken_and_the_end_is_told_both_ways() {
    everywhere(async |cx: Scope| {
        let (mut read, mut write) = simplex(4);
        assert_eq!(write.write(&cx, b"abcdef").await.unwrap(), 4);
        assert!(once(&mut write.write(&cx, b"e")).await.is_pending());
        let mut buf = [0; 3];
        assert_eq!(read.read(&cx, &mut buf).await.unwrap(), 3);
        assert_eq!(write.write(&cx, b"efgh").await.unwrap(), 3);
        assert_eq!(read.read(&cx, &mut []).await.unwrap(), 0);
        // What was written before the end is read; after it nothing is taken.
        write.shutdown(&cx).await.unwrap();
        let closed = write.write(&cx, b"x").await.unwrap_err();
        assert_eq!(closed.kind(), ErrorKind::BrokenPipe);
        let mut rest = String::new();
        read.read_to_string(&cx, &mut rest).await.unwrap();
        assert_eq!(rest, "defg");
        // A writer that waits hears that nobody reads any more.
        let (read, mut write) = simplex(1);
        write.write_all(&cx, b"a").await.unwrap();
        let waiting = cx.spawn(async move |cx: Cx| write.write(&cx, b"b").await);
        cx.yield_now().await.unwrap();
        drop(read);
        let gone = waiting.await.into_result().unwrap().unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn every_byte_of_a_duplex_is_there_whoever_is_lost() {
    whoever_is_lost(async |cx: Scope| {
        let (mut here, mut there) = duplex(3);
        cx.spawn(async move |cx: Cx| {
            for byte in 0..8u8 {
                // Whoever is lost drops its end.
                if here.write_all(&cx, &[byte]).await.is_err() {
                    return;
                }
            }
        });
        let mut got = Vec::new();
        // In order and without a gap, up to where either was lost.
        let _ = there.read_to_end(&cx, &mut got).await;
        assert!(got.iter().copied().eq(0..got.len() as u8), "{got:?}");
    });
}

/// Reads and writes a piece at a time, and wants to be flushed.
struct Held<S> {
    io: S,
    held: Vec<u8>,
    flushes: usize,
}

impl<S: AsyncRead + Unpin> AsyncRead for Held<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_read(task, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Held<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.held.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while !this.held.is_empty() {
            let n = std::task::ready!(Pin::new(&mut this.io).poll_write(task, &this.held))?;
            this.held.drain(..n);
        }
        this.flushes += 1;
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.as_mut().poll_flush(task))?;
        Pin::new(&mut self.io).poll_close(task)
    }
}

#[test]
fn a_copy_passes_on_what_is_buffered_while_its_reader_has_nothing() {
    everywhere(async |cx: Scope| {
        let (mut ask, mut question) = simplex(16);
        let (mut answer, out) = simplex(16);
        let mut held = Held {
            io: out,
            held: Vec::new(),
            flushes: 0,
        };
        let copying = cx.spawn(async move |cx: Cx| {
            let n = copy(&cx, &mut ask, &mut held).await.unwrap();
            (n, held.flushes)
        });
        question.write_all(&cx, b"abc").await.unwrap();
        let mut buf = [0; 3];
        // Without the flush this would wait for an end that waits for this.
        answer.read_exact(&cx, &mut buf).await.unwrap();
        assert_eq!(&buf, b"abc");
        drop(question);
        let (n, flushes) = copying.await.into_result().unwrap();
        assert_eq!(n, 3);
        assert!(flushes >= 2, "{flushes}");
    });
}

#[test]
fn a_proxy_passes_on_both_directions_and_both_ends() {
    everywhere(async |cx: Scope| {
        let (mut client, mut front) = duplex(7);
        let (mut back, mut server) = duplex(5);
        let proxy = cx.spawn(async move |cx: Cx| {
            let moved = copy_bidirectional(&cx, &mut front, &mut back).await;
            moved.unwrap()
        });
        let serving = cx.spawn(async move |cx: Cx| {
            let mut asked = Vec::new();
            // Ends when the client has ended its direction, and no earlier.
            server.read_to_end(&cx, &mut asked).await.unwrap();
            server.write_all(&cx, &asked.repeat(3)).await.unwrap();
        });
        client.write_all(&cx, &[7; 100]).await.unwrap();
        client.shutdown(&cx).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&cx, &mut answer).await.unwrap();
        assert_eq!(answer, [7; 300]);
        assert_eq!(proxy.await.into_result().unwrap(), (100, 300));
        serving.await.into_result().unwrap();
    });
}

#[test]
fn a_proxy_ends_with_the_first_error() {
    everywhere(async |cx: Scope| {
        let (client, mut front) = duplex(8);
        let (mut back, mut server) = duplex(8);
        server.write_all(&cx, b"news").await.unwrap();
        drop(client);
        let e = copy_bidirectional(&cx, &mut front, &mut back).await;
        assert_eq!(e.unwrap_err().kind(), ErrorKind::BrokenPipe);
        drop(server);
    });
}

#[test]
fn a_proxy_is_lost_at_every_await_and_both_sides_hear_of_it() {
    whoever_is_lost(async |cx: Scope| {
        let (mut client, mut front) = duplex(2);
        let (mut back, mut server) = duplex(2);
        cx.spawn(async move |cx: Cx| {
            let _ = copy_bidirectional(&cx, &mut front, &mut back).await;
        });
        cx.spawn(async move |cx: Cx| {
            let mut asked = Vec::new();
            let _ = server.read_to_end(&cx, &mut asked).await;
            assert!(b"question".starts_with(&asked), "{asked:?}");
            let _ = server.write_all(&cx, b"answer").await;
        });
        // Neither waits for ever, whichever is lost.
        if client.write_all(&cx, b"question").await.is_err() {
            return;
        }
        let _ = client.shutdown(&cx).await;
        let mut answer = Vec::new();
        let _ = client.read_to_end(&cx, &mut answer).await;
        assert!(b"answer".starts_with(&answer), "{answer:?}");
    });
}

#[test]
fn a_copy_that_is_always_ready_lets_its_siblings_run() {
    everywhere(async |cx: Scope| {
        let sibling = cx.spawn(async |cx: Cx| {
            for _ in 0..3 {
                cx.yield_now().await.unwrap();
            }
        });
        let mut endless = aio::repeat(1);
        let mut nowhere = aio::sink();
        let (begun, mut begins) = oneshot::channel();
        let copying = cx.spawn(async move |cx: Cx| {
            begun.send(()).unwrap();
            copy(&cx, &mut endless, &mut nowhere).await
        });
        sibling.await.into_result().unwrap();
        // One that is asked before it has begun does not run, and counts as cancelled.
        begins.recv(&cx).await.unwrap();
        copying.cancel("enough");
        let ended = copying.await.into_result();
        assert!(!matches!(ended, Ok(Ok(_))), "{ended:?}");
    });
}

#[test]
fn parts_of_streams_are_read_as_one() {
    in_lab(async |cx: Scope| {
        let mut text = String::new();
        let mut both = ReadExt::take(&b"abcdef"[..], 4).chain(&b"xyz"[..]);
        assert_eq!(both.get_ref().0.limit(), 4);
        both.read_to_string(&cx, &mut text).await.unwrap();
        assert_eq!(text, "abcdxyz");
        let (mut first, _) = both.into_inner();
        assert_eq!((first.limit(), *first.get_ref()), (0, &b"ef"[..]));
        first.set_limit(1);
        let mut byte = [0; 8];
        assert_eq!(first.read(&cx, &mut byte).await.unwrap(), 1);
        assert_eq!(first.into_inner(), b"f");

        // Buffered ones as well: a line that begins in the first ends in the second.
        let lines = BufReader::new(&b"one\ntw"[..]).take(6);
        let mut lines = lines.chain(&b"o\nthree"[..]).lines();
        for line in ["one", "two", "three"] {
            assert_eq!(lines.next_line(&cx).await.unwrap().as_deref(), Some(line));
        }
        assert_eq!(lines.next_line(&cx).await.unwrap(), None);

        let mut nothing = aio::empty();
        assert_eq!(nothing.read(&cx, &mut byte).await.unwrap(), 0);
        nothing.write_all(&cx, b"gone").await.unwrap();
        aio::repeat(7).read_exact(&cx, &mut byte).await.unwrap();
        assert_eq!(byte, [7; 8]);
        let mut left = aio::repeat(1).take(100_000);
        let copied = copy(&cx, &mut left, &mut aio::sink()).await.unwrap();
        assert_eq!(copied, 100_000);
    });
}

#[test]
fn a_reader_and_a_writer_are_joined() {
    in_lab(async |cx: Scope| {
        let mut stream = aio::join(BufReader::new(&b"a\nb"[..]), Vec::new());
        let mut line = String::new();
        stream.read_line(&cx, &mut line).await.unwrap();
        let parts = [IoSlice::new(b"12"), IoSlice::new(b"34")];
        assert_eq!(stream.write_vectored(&cx, &parts).await.unwrap(), 4);
        stream.writer_mut().push(b'!');
        assert_eq!(stream.reader().buffer(), b"b");
        stream.flush(&cx).await.unwrap();
        let (_, written) = stream.into_inner();
        assert_eq!((&*line, &*written), ("a\n", &b"1234!"[..]));
    });
}

#[test]
fn both_directions_of_a_stream_are_buffered() {
    everywhere(async |cx: Scope| {
        let (here, mut there) = duplex(64);
        let mut here = BufReader::new(BufWriter::new(here));
        here.write_all(&cx, b"question\n").await.unwrap();
        assert_eq!(here.get_ref().buffer(), b"question\n");
        here.flush(&cx).await.unwrap();
        let mut buf = [0; 9];
        there.read_exact(&cx, &mut buf).await.unwrap();
        there.write_all(&cx, b"answer\n").await.unwrap();
        let mut line = String::new();
        here.read_line(&cx, &mut line).await.unwrap();
        assert_eq!(line, "answer\n");
    });
}

#[test]
fn segments_end_at_their_delimiter_and_survive_drops() {
    everywhere(async |cx: Scope| {
        let (read, mut write) = simplex(64);
        let mut segments = BufReader::new(read).split(0).max_len(8);
        write.write_all(&cx, b"one\0tw").await.unwrap();
        let first = segments.next_segment(&cx).await.unwrap();
        assert_eq!(first.as_deref(), Some(&b"one"[..]));
        assert!(once(&mut segments.next_segment(&cx)).await.is_pending());
        write.write_all(&cx, b"o\0\0end").await.unwrap();
        drop(write);
        for segment in [&b"two"[..], b"", b"end"] {
            let next = segments.next_segment(&cx).await.unwrap();
            assert_eq!(next.as_deref(), Some(segment));
        }
        assert_eq!(segments.next_segment(&cx).await.unwrap(), None);
        let mut long = BufReadExt::split(&b"123456789\0"[..], 0).max_len(8);
        let e = long.next_segment(&cx).await.unwrap_err();
        assert!(e.to_string().contains("longer than 8 bytes"), "{e}");
        // A carriage return is a line's end only before its newline.
        let mut lines = (&b"a\rb\r\nc\r"[..]).lines();
        assert_eq!(lines.next_line(&cx).await.unwrap().as_deref(), Some("a\rb"));
        assert_eq!(lines.next_line(&cx).await.unwrap().as_deref(), Some("c\r"));
    });
}

#[test]
fn what_is_buffered_is_shown_until_it_is_consumed() {
    everywhere(async |cx: Scope| {
        let (read, mut write) = simplex(64);
        let mut read = BufReader::new(read);
        assert!(once(&mut read.fill_buf(&cx)).await.is_pending());
        write.write_all(&cx, b"abc").await.unwrap();
        for _ in 0..2 {
            assert_eq!(read.fill_buf(&cx).await.unwrap(), b"abc");
        }
        read.consume(1);
        assert_eq!(read.fill_buf(&cx).await.unwrap(), b"bc");
        Pin::new(&mut read).consume(2);
        drop(write);
        assert_eq!(read.fill_buf(&cx).await.unwrap(), b"");
    });
}

#[test]
fn buffers_move_on_by_what_was_written() {
    everywhere(async |cx: Scope| {
        let (mut read, mut write) = simplex(5);
        // Two parts, which a vectored write takes at once where it can.
        let mut frame = Bytes::from_static(b"head").chain(Bytes::from_static(b"body"));
        let n = write.write_buf(&cx, &mut frame).await.unwrap();
        assert_eq!(frame.remaining(), 8 - n);
        let mut rest = write.write_all_buf(&cx, &mut frame);
        assert!(once(&mut rest).await.is_pending());
        let mut got = [0; 8];
        read.read_exact(&cx, &mut got[..5]).await.unwrap();
        write.write_all_buf(&cx, &mut frame).await.unwrap();
        assert_eq!(frame.remaining(), 0);
        read.read_exact(&cx, &mut got[5..]).await.unwrap();
        assert_eq!(&got, b"headbody");
        assert_eq!(write.write_buf(&cx, &mut frame).await.unwrap(), 0);
        write.write_all_buf(&cx, &mut frame).await.unwrap();
    });
}

#[test]
fn numbers_of_every_kind_arrive_as_they_were_sent() {
    everywhere(async |cx: Scope| {
        let (mut read, mut write) = simplex(256);
        write.write_u128(&cx, u128::MAX - 1).await.unwrap();
        write.write_i128_le(&cx, -5).await.unwrap();
        write.write_f32(&cx, 1.5).await.unwrap();
        write.write_f64_le(&cx, -0.25).await.unwrap();
        assert_eq!(read.read_u128(&cx).await.unwrap(), u128::MAX - 1);
        assert_eq!(read.read_i128_le(&cx).await.unwrap(), -5);
        assert_eq!(
            read.read_f32(&cx).await.unwrap().to_bits(),
            1.5f32.to_bits()
        );
        let last = read.read_f64_le(&cx).await.unwrap();
        assert_eq!(last.to_bits(), (-0.25f64).to_bits());
    });
}

#[test]
fn a_file_is_sought_in_as_a_stream() {
    everywhere(async |cx: Scope| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text");
        fs::write(&cx, &path, "0123456789").await.unwrap();
        let mut file = fs::File::open(&cx, &path).await.unwrap();
        let mut file = file.io(&cx);
        let mut two = [0; 2];
        assert_eq!(file.seek(&cx, SeekFrom::End(-3)).await.unwrap(), 7);
        file.read_exact(&cx, &mut two).await.unwrap();
        assert_eq!((&two, file.stream_position(&cx).await.unwrap()), (b"78", 9));
        assert_eq!(file.rewind(&cx).await.unwrap(), 0);
        file.read_exact(&cx, &mut two).await.unwrap();
        assert_eq!(&two, b"01");
        let before = file.seek(&cx, SeekFrom::Current(-9)).await.unwrap_err();
        assert_eq!(before.kind(), ErrorKind::InvalidInput);
    });
}
