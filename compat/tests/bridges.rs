//! The bridges, driven poll by poll without any runtime: what goes in comes out, errors and ends included.

use asupersync::{CancelKind, Outcome, PanicPayload};
use asupersync_compat::io::{FuturesIo, TokioIo};
use asupersync_compat::{outcome_of, outcome_of_result};
use futures::executor::block_on;
use futures::io::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, Cursor};
use proptest::prelude::*;
use std::io::{self, IoSlice, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWriteExt as _;

/// A sink that remembers which calls it got, and is ready only every other time.
#[derive(Default)]
struct Recorder {
    calls: Vec<&'static str>,
    written: Vec<u8>,
    busy: bool,
}

impl Recorder {
    fn ready<T>(&mut self, task: &mut Context<'_>, value: T) -> Poll<io::Result<T>> {
        self.busy = !self.busy;
        if self.busy {
            task.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(value))
    }
}

impl futures_io::AsyncWrite for Recorder {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = self.ready(task, buf.len());
        if poll.is_ready() {
            self.calls.push("write");
            self.written.extend_from_slice(buf);
        }
        poll
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = self.ready(task, bufs.iter().map(|b| b.len()).sum());
        if poll.is_ready() {
            self.calls.push("write_vectored");
            bufs.iter().for_each(|b| self.written.extend_from_slice(b));
        }
        poll
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = self.ready(task, ());
        if poll.is_ready() {
            self.calls.push("flush");
        }
        poll
    }

    fn poll_close(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = self.ready(task, ());
        if poll.is_ready() {
            self.calls.push("close");
        }
        poll
    }
}

#[test]
fn a_shutdown_is_a_close_in_both_directions() {
    block_on(async {
        let mut there = TokioIo::new(Recorder::default()).vectored(true);
        assert!(tokio::io::AsyncWrite::is_write_vectored(&there));
        there.write_all(b"ab").await.unwrap();
        let slices = [IoSlice::new(b"cd"), IoSlice::new(b"ef")];
        assert_eq!(
            tokio::io::AsyncWriteExt::write_vectored(&mut there, &slices)
                .await
                .unwrap(),
            4
        );
        tokio::io::AsyncWriteExt::flush(&mut there).await.unwrap();
        there.shutdown().await.unwrap();
        // And back: the calls arrive unchanged through two bridges.
        let mut back = FuturesIo::new(there);
        back.write_all(b"gh").await.unwrap();
        assert_eq!(
            AsyncWriteExt::write_vectored(&mut back, &slices)
                .await
                .unwrap(),
            4
        );
        AsyncWriteExt::flush(&mut back).await.unwrap();
        back.close().await.unwrap();
        let recorder = back.into_inner().into_inner();
        let once = ["write", "write_vectored", "flush", "close"];
        assert_eq!(recorder.calls, [once, once].concat());
        assert_eq!(recorder.written, b"abcdefghcdef");
    });
}

#[test]
fn the_end_of_a_pipe_is_the_end_behind_the_bridge() {
    block_on(async {
        let (a, b) = tokio::io::duplex(3);
        let (mut a, mut b) = (FuturesIo::new(a), FuturesIo::new(b));
        let send = async {
            a.write_all(b"more than three bytes").await.unwrap();
            a.close().await.unwrap();
        };
        let mut got = String::new();
        let (_, read) = futures::join!(send, b.read_to_string(&mut got));
        assert_eq!((read.unwrap(), got.as_str()), (21, "more than three bytes"));
        drop(a);
        assert_eq!(
            b.write_all(b"x").await.unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
    });
}

#[test]
fn buffered_reads_keep_what_they_did_not_consume() {
    block_on(async {
        let mut tokio_side = TokioIo::new(Cursor::new(b"one\ntwo\n"));
        let mut line = String::new();
        tokio::io::AsyncBufReadExt::read_line(&mut tokio_side, &mut line)
            .await
            .unwrap();
        assert_eq!(line, "one\n");
        let mut futures_side = FuturesIo::new(tokio_side);
        line.clear();
        AsyncBufReadExt::read_line(&mut futures_side, &mut line)
            .await
            .unwrap();
        assert_eq!(line, "two\n");
        assert_eq!(
            AsyncBufReadExt::fill_buf(&mut futures_side).await.unwrap(),
            b""
        );
    });
}

#[test]
fn ends_of_tasks_lose_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let spawn = |panics: bool| {
            tokio::spawn(async move {
                if panics {
                    std::panic::resume_unwind(Box::new("boom"));
                }
                std::future::pending::<u8>().await
            })
        };
        assert_eq!(outcome_of(tokio::spawn(async { 1 }).await), Outcome::Ok(1));
        let panic = PanicPayload::from_any(Box::new("boom"));
        assert_eq!(outcome_of(spawn(true).await), Outcome::Panicked(panic));
        let task = spawn(false);
        task.abort();
        let id = task.id();
        let Outcome::Cancelled(reason) = outcome_of(task.await) else {
            panic!("aborted means cancelled")
        };
        assert_eq!(reason.kind, CancelKind::User);
        assert!(reason.message.unwrap().contains(&id.to_string()));
        let failed = tokio::spawn(async { Err::<(), _>("no") }).await;
        assert_eq!(outcome_of_result(failed), Outcome::Err("no"));
    });
}

#[derive(Clone, Debug)]
enum Op {
    Read(usize),
    Write(Vec<u8>),
    Seek(SeekFrom),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0usize..6).prop_map(Op::Read),
        prop::collection::vec(any::<u8>(), 0..6).prop_map(Op::Write),
        (0u64..20).prop_map(|n| Op::Seek(SeekFrom::Start(n))),
        (-4i64..4).prop_map(|n| Op::Seek(SeekFrom::Current(n))),
        (-4i64..1).prop_map(|n| Op::Seek(SeekFrom::End(n))),
    ]
}

proptest! {
    /// Any sequence of operations gives the same answers through a bridge, and through a bridge
    /// and back, as on the value itself.
    #[test]
    fn a_bridge_changes_no_answer(ops in prop::collection::vec(op(), 0..40)) {
        let start = || Cursor::new((0u8..12).collect::<Vec<u8>>());
        let (mut plain, mut there, mut back) =
            (start(), TokioIo::new(start()), FuturesIo::new(TokioIo::new(start())));
        block_on(async {
            for op in ops {
                match op {
                    Op::Read(n) => {
                        let (mut a, mut b, mut c) = (vec![0; n], vec![0; n], vec![0; n]);
                        let read = AsyncReadExt::read(&mut plain, &mut a).await.unwrap();
                        prop_assert_eq!(tokio::io::AsyncReadExt::read(&mut there, &mut b).await.unwrap(), read);
                        prop_assert_eq!(AsyncReadExt::read(&mut back, &mut c).await.unwrap(), read);
                        prop_assert!(a == b && b == c);
                    }
                    Op::Write(bytes) => {
                        let written = AsyncWriteExt::write(&mut plain, &bytes).await.unwrap();
                        prop_assert_eq!(tokio::io::AsyncWriteExt::write(&mut there, &bytes).await.unwrap(), written);
                        prop_assert_eq!(AsyncWriteExt::write(&mut back, &bytes).await.unwrap(), written);
                    }
                    Op::Seek(to) => {
                        let at = AsyncSeekExt::seek(&mut plain, to).await.map_err(|e| e.kind());
                        prop_assert_eq!(tokio::io::AsyncSeekExt::seek(&mut there, to).await.map_err(|e| e.kind()), at);
                        prop_assert_eq!(AsyncSeekExt::seek(&mut back, to).await.map_err(|e| e.kind()), at);
                    }
                }
            }
            let end = |c: &Cursor<Vec<u8>>| (c.position(), c.get_ref().clone());
            prop_assert_eq!(end(there.inner()), end(&plain));
            prop_assert_eq!(end(back.inner().inner()), end(&plain));
            Ok(())
        })?;
    }
}
