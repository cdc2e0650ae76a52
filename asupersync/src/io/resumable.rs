//! Exact reads and whole writes that keep their progress.

use super::Operation;
use super::read::poll_fill;
use super::write::poll_write_all;
use crate::cx::{Cx, DropSafe};
use futures_io::{AsyncRead, AsyncWrite};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A read that fills its buffer, in as many attempts as it takes; made by
/// [`ReadExt::resumable_exact`](super::ReadExt::resumable_exact).
#[derive(Debug)]
pub struct ResumableExact<'a, R: ?Sized> {
    io: &'a mut R,
    buf: &'a mut [u8],
    filled: usize,
}

impl<'a, R: AsyncRead + Unpin + ?Sized> ResumableExact<'a, R> {
    pub(super) fn new(io: &'a mut R, buf: &'a mut [u8]) -> Self {
        let filled = 0;
        ResumableExact { io, buf, filled }
    }

    /// Reads what is missing.
    ///
    /// *Cancellation.* Resumable: what was read is in the buffer, and calling
    /// again continues behind it.
    ///
    /// # Errors
    /// `UnexpectedEof` if the stream ends before, the stream's, or one that
    /// wraps [`Cancelled`](crate::Cancelled).
    pub fn resume<'b>(&'b mut self, cx: &'b Cx) -> ResumeExact<'b, 'a, R> {
        ResumeExact {
            read: self,
            cx,
            operation: Operation::default(),
        }
    }

    /// What was read so far.
    pub fn filled(&self) -> &[u8] {
        &self.buf[..self.filled]
    }
}

/// Future of [`ResumableExact::resume`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ResumeExact<'b, 'a, R: ?Sized> {
    read: &'b mut ResumableExact<'a, R>,
    cx: &'b Cx,
    operation: Operation,
}

impl<R: AsyncRead + Unpin + ?Sized> Future for ResumeExact<'_, '_, R> {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let ResumeExact {
            read,
            cx,
            operation,
        } = self.get_mut();
        let ResumableExact { io, buf, filled } = &mut **read;
        operation.poll(cx, task, |task| poll_fill(&mut **io, task, buf, filled))
    }
}

/// Its progress is kept elsewhere.
impl<R: ?Sized> DropSafe for ResumeExact<'_, '_, R> {}

/// A write of a whole buffer, in as many attempts as it takes; made by
/// [`WriteExt::resumable_all`](super::WriteExt::resumable_all).
#[derive(Debug)]
pub struct ResumableAll<'a, W: ?Sized> {
    io: &'a mut W,
    left: &'a [u8],
}

impl<'a, W: AsyncWrite + Unpin + ?Sized> ResumableAll<'a, W> {
    pub(super) fn new(io: &'a mut W, buf: &'a [u8]) -> Self {
        ResumableAll { io, left: buf }
    }

    /// Writes what is left.
    ///
    /// *Cancellation.* Resumable: calling again continues behind what was written.
    ///
    /// # Errors
    /// `WriteZero` if the stream takes nothing more, the stream's, or one that
    /// wraps [`Cancelled`](crate::Cancelled).
    pub fn resume<'b>(&'b mut self, cx: &'b Cx) -> ResumeAll<'b, 'a, W> {
        ResumeAll {
            write: self,
            cx,
            operation: Operation::default(),
        }
    }

    /// What is still to be written.
    pub fn left(&self) -> &'a [u8] {
        self.left
    }
}

/// Future of [`ResumableAll::resume`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ResumeAll<'b, 'a, W: ?Sized> {
    write: &'b mut ResumableAll<'a, W>,
    cx: &'b Cx,
    operation: Operation,
}

impl<W: AsyncWrite + Unpin + ?Sized> Future for ResumeAll<'_, '_, W> {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let ResumeAll {
            write,
            cx,
            operation,
        } = self.get_mut();
        let ResumableAll { io, left } = &mut **write;
        operation.poll(cx, task, |task| poll_write_all(&mut **io, task, left))
    }
}

/// Its progress is kept elsewhere.
impl<W: ?Sized> DropSafe for ResumeAll<'_, '_, W> {}
