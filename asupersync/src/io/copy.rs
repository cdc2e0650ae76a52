//! Copying a stream to another, and two to each other.

use super::Operation;
use crate::cx::Cx;
use crate::exec::poll::charge_turn;
use futures_io::{AsyncRead, AsyncWrite};
use std::future::Future;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Bytes moved at once.
const CHUNK: usize = 8 * 1024;

/// Copies everything from `reader` to `writer` and flushes; returns how much that was.
///
/// What is buffered is also passed on whenever the reader has nothing, so that
/// no answer waits for a question that waits for it.
///
/// *Cancellation.* Lossy: up to 8 KiB may have been read and not written.
///
/// # Errors
/// Either stream's, or one that wraps [`Cancelled`](crate::Cancelled).
pub fn copy<'a, R, W>(cx: &'a Cx, reader: &'a mut R, writer: &'a mut W) -> Copy<'a, R, W>
where
    R: AsyncRead + Unpin + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    Copy {
        reader,
        writer,
        cx,
        pump: Pump::new(CHUNK),
        operation: Operation::default(),
    }
}

/// Copies from each stream to the other until both have ended; returns how much
/// went from `a` to `b`, and from `b` to `a`.
///
/// The end of one direction is passed on by shutting it down at the other stream,
/// and the other direction goes on: a proxy is this and no more.
///
/// *Cancellation.* Lossy: up to 8 KiB per direction may have been read and not written.
///
/// # Errors
/// Either stream's, at once, whatever the other direction does; one that wraps
/// [`Cancelled`](crate::Cancelled).
///
/// ```
/// use asupersync::io::{ReadExt, WriteExt, copy_bidirectional, duplex};
/// use asupersync::{Cx, LabConfig, LabRuntime, Scope};
///
/// LabRuntime::new(LabConfig::default()).run(async |scope: Scope| {
///     let (mut client, mut front) = duplex(64);
///     let (mut back, mut server) = duplex(64);
///     let proxy = scope.spawn(async move |cx: Cx| {
///         copy_bidirectional(&cx, &mut front, &mut back).await.unwrap()
///     });
///     client.write_all(&scope, b"ask").await.unwrap();
///     client.shutdown(&scope).await.unwrap();
///     let mut asked = String::new();
///     server.read_to_string(&scope, &mut asked).await.unwrap();
///     server.write_all(&scope, b"answer").await.unwrap();
///     drop(server);
///     let mut answer = String::new();
///     client.read_to_string(&scope, &mut answer).await.unwrap();
///     assert_eq!((&*asked, &*answer), ("ask", "answer"));
///     assert_eq!(proxy.await.into_result().unwrap(), (3, 6));
/// });
/// ```
pub fn copy_bidirectional<'a, A, B>(
    cx: &'a Cx,
    a: &'a mut A,
    b: &'a mut B,
) -> CopyBidirectional<'a, A, B>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    CopyBidirectional {
        a,
        b,
        cx,
        there: Transfer::Moving(Pump::new(CHUNK)),
        back: Transfer::Moving(Pump::new(CHUNK)),
        operation: Operation::default(),
    }
}

/// Future of [`copy`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Copy<'a, R: ?Sized, W: ?Sized> {
    reader: &'a mut R,
    writer: &'a mut W,
    cx: &'a Cx,
    pump: Pump,
    operation: Operation,
}

impl<R, W> Future for Copy<'_, R, W>
where
    R: AsyncRead + Unpin + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    type Output = io::Result<u64>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Copy {
            reader,
            writer,
            cx,
            pump,
            operation,
        } = self.get_mut();
        operation.poll(cx, task, |task| {
            pump.poll(&mut **reader, &mut **writer, task)
        })
    }
}

/// Future of [`copy_bidirectional`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct CopyBidirectional<'a, A: ?Sized, B: ?Sized> {
    a: &'a mut A,
    b: &'a mut B,
    cx: &'a Cx,
    there: Transfer,
    back: Transfer,
    operation: Operation,
}

impl<A, B> Future for CopyBidirectional<'_, A, B>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    type Output = io::Result<(u64, u64)>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let CopyBidirectional {
            a,
            b,
            cx,
            there,
            back,
            operation,
        } = self.get_mut();
        operation.poll(cx, task, |task| {
            // Both, whatever the first one says: each waits for its own streams.
            let there = there.poll(&mut **a, &mut **b, task)?;
            let back = back.poll(&mut **b, &mut **a, task)?;
            match (there, back) {
                (Poll::Ready(there), Poll::Ready(back)) => Poll::Ready(Ok((there, back))),
                _ => Poll::Pending,
            }
        })
    }
}

/// One direction of two.
#[derive(Debug)]
enum Transfer {
    Moving(Pump),
    /// All was moved, and its end is being passed on.
    Ending(u64),
    Over(u64),
}

impl Transfer {
    fn poll<R, W>(
        &mut self,
        reader: &mut R,
        writer: &mut W,
        task: &mut Context<'_>,
    ) -> Poll<io::Result<u64>>
    where
        R: AsyncRead + Unpin + ?Sized,
        W: AsyncWrite + Unpin + ?Sized,
    {
        loop {
            *self = match self {
                Transfer::Moving(pump) => {
                    Transfer::Ending(ready!(pump.poll(&mut *reader, &mut *writer, task))?)
                }
                Transfer::Ending(copied) => {
                    ready!(Pin::new(&mut *writer).poll_close(task))?;
                    Transfer::Over(*copied)
                }
                Transfer::Over(copied) => return Poll::Ready(Ok(*copied)),
            };
        }
    }
}

/// Moves bytes, a chunk at a time.
#[derive(Debug)]
struct Pump {
    /// On the heap: a future that holds it across waits should stay small.
    chunk: Box<[u8]>,
    /// What was read and is not written.
    full: Range<usize>,
    copied: u64,
    /// The reader has ended.
    ended: bool,
    /// Something was written since the last flush.
    unflushed: bool,
}

impl Pump {
    fn new(chunk: usize) -> Self {
        Pump {
            chunk: vec![0; chunk].into(),
            full: 0..0,
            copied: 0,
            ended: false,
            unflushed: false,
        }
    }

    /// Ready when everything is written and flushed.
    fn poll<R, W>(
        &mut self,
        reader: &mut R,
        writer: &mut W,
        task: &mut Context<'_>,
    ) -> Poll<io::Result<u64>>
    where
        R: AsyncRead + Unpin + ?Sized,
        W: AsyncWrite + Unpin + ?Sized,
    {
        loop {
            if self.full.is_empty() && !self.ended {
                match Pin::new(&mut *reader).poll_read(task, &mut self.chunk)? {
                    Poll::Ready(0) => self.ended = true,
                    Poll::Ready(n) => self.full = 0..n,
                    Poll::Pending => {
                        if self.unflushed {
                            ready!(Pin::new(&mut *writer).poll_flush(task))?;
                            self.unflushed = false;
                        }
                        return Poll::Pending;
                    }
                }
            }
            while !self.full.is_empty() {
                let left = &self.chunk[self.full.clone()];
                match ready!(Pin::new(&mut *writer).poll_write(task, left))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    n => {
                        self.full.start += n;
                        self.copied += n as u64;
                        self.unflushed = true;
                    }
                }
            }
            if self.ended {
                ready!(Pin::new(&mut *writer).poll_flush(task))?;
                return Poll::Ready(Ok(self.copied));
            }
            // Two streams that are always ready would keep the task from its siblings.
            if !charge_turn() {
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }
}
