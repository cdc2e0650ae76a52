//! Reading up to a delimiter.

use super::{Lines, Operation, Split};
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

    /// Waits until something is buffered, and shows it; nothing is the end. What is
    /// not [consumed](AsyncBufRead::consume) is shown again.
    ///
    /// *Cancellation.* Safe: it takes nothing.
    ///
    /// # Errors
    /// The stream's, or one that wraps [`Cancelled`](crate::Cancelled).
    ///
    /// ```
    /// use asupersync::io::BufReadExt;
    /// use asupersync::{LabConfig, LabRuntime, Scope};
    ///
    /// LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
    ///     let mut text = &b"two words"[..];
    ///     let seen = text.fill_buf(&cx).await.unwrap();
    ///     let space = seen.iter().position(|byte| *byte == b' ').unwrap();
    ///     text.consume(space + 1);
    ///     assert_eq!(text, b"words");
    /// });
    /// ```
    fn fill_buf<'a>(&'a mut self, cx: &'a Cx) -> FillBuf<'a, Self>
    where
        Self: Unpin,
    {
        FillBuf {
            io: Some(self),
            cx,
            operation: Operation::default(),
        }
    }

    /// Takes so many of the bytes that [`BufReadExt::fill_buf`] showed.
    fn consume(&mut self, n: usize)
    where
        Self: Unpin,
    {
        Pin::new(self).consume(n);
    }

    /// What stands between the delimiters of the stream; a segment in progress is
    /// kept across cancellation.
    fn split(self, delimiter: u8) -> Split<Self>
    where
        Self: Sized + Unpin,
    {
        Split::new(self, delimiter)
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
            let message = format!(
                "what the delimiter ends is longer than {max} bytes; raise the limit with `max_len`"
            );
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

/// Future of [`BufReadExt::fill_buf`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct FillBuf<'a, R: ?Sized> {
    /// Until it is ready: what is shown is borrowed from it.
    io: Option<&'a mut R>,
    cx: &'a Cx,
    operation: Operation,
}

impl<'a, R: AsyncBufRead + Unpin + ?Sized> Future for FillBuf<'a, R> {
    type Output = io::Result<&'a [u8]>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let FillBuf { io, cx, operation } = self.get_mut();
        let reader = io.as_mut().expect("it is not polled after it was ready");
        let step =
            |task: &mut Context<'_>| Pin::new(&mut **reader).poll_fill_buf(task).map_ok(|_| ());
        ready!(operation.poll(cx, task, step))?;
        let reader = io.take().expect("it was there above");
        // What is buffered is shown again, and so is the end.
        match Pin::new(reader).poll_fill_buf(task) {
            Poll::Ready(shown) => Poll::Ready(shown),
            Poll::Pending => Poll::Ready(Ok(&[])),
        }
    }
}

impl<R: ?Sized> DropSafe for FillBuf<'_, R> {}

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
