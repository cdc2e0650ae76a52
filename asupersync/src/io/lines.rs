//! A stream as lines, with the line in progress kept inside.

use super::Operation;
use super::read_buffered::{poll_until, utf8};
use crate::cx::{Cx, DropSafe};
use futures_io::AsyncBufRead;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The longest line accepted unless [`Lines::max_len`] says otherwise: far
/// above any text, far below what a hostile peer could make us keep.
const MAX_LEN: usize = 16 * 1024 * 1024;

/// Lines of a buffered reader; made by [`BufReadExt::lines`](super::BufReadExt::lines).
#[derive(Debug)]
pub struct Lines<R> {
    io: R,
    partial: Vec<u8>,
    max: usize,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub(super) fn new(io: R) -> Self {
        Lines {
            io,
            partial: Vec::new(),
            max: MAX_LEN,
        }
    }

    /// Refuses lines of more than `max` bytes, their ends included; 16 MiB by default.
    #[must_use]
    pub fn max_len(mut self, max: usize) -> Self {
        self.max = max;
        self
    }

    /// The next line without its end (`\n` or `\r\n`); `None` at the end of the stream.
    ///
    /// *Cancellation.* Safe: a line in progress stays here.
    ///
    /// # Errors
    /// `InvalidData` for a line that is too long or not UTF-8, the stream's, or
    /// one that wraps [`Cancelled`](crate::Cancelled).
    pub fn next_line<'a>(&'a mut self, cx: &'a Cx) -> NextLine<'a, R> {
        NextLine {
            lines: self,
            cx,
            operation: Operation::default(),
        }
    }

    /// The reader.
    pub fn get_ref(&self) -> &R {
        &self.io
    }

    /// The reader, to change. What it has read of the line in progress is here.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.io
    }

    /// The reader; a line in progress is lost.
    pub fn into_inner(self) -> R {
        self.io
    }
}

/// Future of [`Lines::next_line`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct NextLine<'a, R> {
    lines: &'a mut Lines<R>,
    cx: &'a Cx,
    operation: Operation,
}

impl<R: AsyncBufRead + Unpin> Future for NextLine<'_, R> {
    type Output = io::Result<Option<String>>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let NextLine {
            lines,
            cx,
            operation,
        } = self.get_mut();
        let Lines { io, partial, max } = &mut **lines;
        ready!(operation.poll(cx, task, |task| poll_until(io, task, b'\n', partial, *max)))?;
        if partial.is_empty() {
            return Poll::Ready(Ok(None));
        }
        let mut line = std::mem::take(partial);
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        }
        let line = String::from_utf8(line);
        Poll::Ready(line.map(Some).map_err(|e| match utf8(e.as_bytes()) {
            Err(refused) => refused,
            Ok(_) => unreachable!("it was refused before"),
        }))
    }
}

impl<R> DropSafe for NextLine<'_, R> {}
