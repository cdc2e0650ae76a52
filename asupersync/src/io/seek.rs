//! Going to a place of a stream that has places.

use super::Operation;
use crate::cx::Cx;
use futures_io::AsyncSeek;
use std::future::Future;
use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Seeking in an [`AsyncSeek`], as waits of a task.
pub trait SeekExt: AsyncSeek {
    /// Goes to a place; returns how far from the start that is.
    ///
    /// *Cancellation.* Lossy: it may be at either place.
    ///
    /// # Errors
    /// The stream's, among them `InvalidInput` for a place before the start; one
    /// that wraps [`Cancelled`](crate::Cancelled).
    fn seek<'a>(&'a mut self, cx: &'a Cx, to: SeekFrom) -> Seek<'a, Self>
    where
        Self: Unpin,
    {
        Seek {
            io: self,
            cx,
            to,
            operation: Operation::default(),
        }
    }

    /// Goes to the start.
    ///
    /// *Cancellation.* Lossy: it may be at either place.
    ///
    /// # Errors
    /// As for [`SeekExt::seek`].
    fn rewind<'a>(&'a mut self, cx: &'a Cx) -> Seek<'a, Self>
    where
        Self: Unpin,
    {
        self.seek(cx, SeekFrom::Start(0))
    }

    /// How far from the start it is.
    ///
    /// *Cancellation.* Resumable: it stays where it is, and calling again asks again.
    ///
    /// # Errors
    /// As for [`SeekExt::seek`].
    fn stream_position<'a>(&'a mut self, cx: &'a Cx) -> Seek<'a, Self>
    where
        Self: Unpin,
    {
        self.seek(cx, SeekFrom::Current(0))
    }
}

impl<S: AsyncSeek + ?Sized> SeekExt for S {}

/// Future of [`SeekExt::seek`] and its kin.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Seek<'a, S: ?Sized> {
    io: &'a mut S,
    cx: &'a Cx,
    to: SeekFrom,
    operation: Operation,
}

impl<S: AsyncSeek + Unpin + ?Sized> Future for Seek<'_, S> {
    type Output = io::Result<u64>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Seek {
            io,
            cx,
            to,
            operation,
        } = self.get_mut();
        operation.poll(cx, task, |task| Pin::new(&mut **io).poll_seek(task, *to))
    }
}
