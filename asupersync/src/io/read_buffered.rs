//! Reading up to a delimiter.

use super::{Lines, Operation};
use crate::cx::{Cx, DropSafe};
use futures_io::AsyncBufRead;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Reading from an [`AsyncBufRead`], as waits of a task.
pub trait BufReadExt: AsyncBufRead {
    /// Appends everything up to and including the next `delimiter`, or the end,
    /// to `buf`; returns how much that was: 0 is the end.
    ///
    /// *Cancellation.* Resumable: what was read is in `buf`, and calling again continues.
    ///
    /// # Errors
    /// The stream's, or one that wraps [`Cancelled`](crate::Cancelled).
    fn read_until<'a>(
        &'a mut self,
        cx: &'a Cx,
        delimiter: u8,
        buf: &'a mut Vec<u8>,
    ) -> ReadUntil<'a, Self>
    where
        Self: Unpin,
    {
        ReadUntil {
            io: self,
            cx,
            delimiter,
            buf,
            read: 0,
            operation: Operation::default(),
        }
    }

    /// Appends the next line with its end, or the rest of the stream, to
    /// `line`; returns how many bytes that was: 0 is the end.
    ///
    /// *Cancellation.* Lossy: `line` is unchanged and the part of the line that
    /// was read is gone. [`BufReadExt::lines`] loses nothing.
    ///
    /// # Errors
    /// `InvalidData` for anything but UTF-8, the stream's, or one that wraps
    /// [`Cancelled`](crate::Cancelled).
    fn read_line<'a>(&'a mut self, cx: &'a Cx, line: &'a mut String) -> ReadLine<'a, Self>
    where
        Self: Unpin,
    {
        ReadLine {
            io: self,
            cx,
            line,
            bytes: Vec::new(),
            operation: Operation::default(),
        }
    }

    /// The stream as lines without their ends; a line in progress is kept across cancellation.
    fn lines(self) -> Lines<Self>
    where
        Self: Sized + Unpin,
    {
        Lines::new(self)
    }
}

impl<R: AsyncBufRead + ?Sized> BufReadExt for R {}

/// Moves bytes to `buf` until the delimiter was moved, the end, or `max` bytes are in `buf`.
pub(super) fn poll_until<R: AsyncBufRead + Unpin + ?Sized>(
    io: &mut R,
    task: &mut Context<'_>,
    delimiter: u8,
    buf: &mut Vec<u8>,
    max: usize,
) -> Poll<io::Result<()>> {
    loop {
        let available = ready!(Pin::new(&mut *io).poll_fill_buf(task))?;
        let found = available.iter().position(|byte| *byte == delimiter);
        let (taken, done) = match found {
            Some(place) => (place + 1, true),
            None => (available.len(), available.is_empty()),
        };
        if buf.len() + taken > max {
            let message =
                format!("a line is longer than {max} bytes; raise the limit with `Lines::max_len`");
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, message)));
        }
        buf.extend_from_slice(&available[..taken]);
        Pin::new(&mut *io).consume(taken);
        if done {
            return Poll::Ready(Ok(()));
        }
    }
}

/// The bytes as text.
pub(super) fn utf8(bytes: &[u8]) -> io::Result<&str> {
    std::str::from_utf8(bytes).map_err(|e| {
        let message = format!("the stream is not valid UTF-8: {e}; read it as bytes instead");
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

/// Future of [`BufReadExt::read_until`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ReadUntil<'a, R: ?Sized> {
    io: &'a mut R,
    cx: &'a Cx,
    delimiter: u8,
    buf: &'a mut Vec<u8>,
    read: usize,
    operation: Operation,
}

impl<R: AsyncBufRead + Unpin + ?Sized> Future for ReadUntil<'_, R> {
    type Output = io::Result<usize>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let ReadUntil {
            io,
            cx,
            delimiter,
            buf,
            read,
            operation,
        } = self.get_mut();
        let before = buf.len();
        let step =
            |task: &mut Context<'_>| poll_until(&mut **io, task, *delimiter, buf, usize::MAX);
        let polled = operation.poll(cx, task, step);
        *read += buf.len() - before;
        ready!(polled)?;
        Poll::Ready(Ok(*read))
    }
}

impl<R: ?Sized> DropSafe for ReadUntil<'_, R> {}

/// Future of [`BufReadExt::read_line`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ReadLine<'a, R: ?Sized> {
    io: &'a mut R,
    cx: &'a Cx,
    line: &'a mut String,
    bytes: Vec<u8>,
    operation: Operation,
}

impl<R: AsyncBufRead + Unpin + ?Sized> Future for ReadLine<'_, R> {
    type Output = io::Result<usize>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let ReadLine {
            io,
            cx,
            line,
            bytes,
            operation,
        } = self.get_mut();
        let step = |task: &mut Context<'_>| poll_until(&mut **io, task, b'\n', bytes, usize::MAX);
        ready!(operation.poll(cx, task, step))?;
        line.push_str(utf8(bytes)?);
        Poll::Ready(Ok(bytes.len()))
    }
}
