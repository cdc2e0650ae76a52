//! A stream as segments or lines, with the one in progress kept inside.

use super::Operation;
use super::read_buffered::{poll_until, utf8};
use crate::cx::{Cx, DropSafe};
use futures_io::AsyncBufRead;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The longest segment accepted unless the program says otherwise: far above any
/// text, far below what a hostile peer could make us keep.
const MAX_LEN: usize = 16 * 1024 * 1024;

/// What stands between delimiters; made by [`BufReadExt::split`](super::BufReadExt::split).
#[derive(Debug)]
pub struct Split<R> {
    io: R,
    delimiter: u8,
    partial: Vec<u8>,
    max: usize,
}

impl<R: AsyncBufRead + Unpin> Split<R> {
    pub(super) fn new(io: R, delimiter: u8) -> Self {
        Split {
            io,
            delimiter,
            partial: Vec::new(),
            max: MAX_LEN,
        }
    }

    /// Refuses segments of more than `max` bytes, their ends included; 16 MiB by default.
    #[must_use]
    pub fn max_len(mut self, max: usize) -> Self {
        self.max = max;
        self
    }

    /// The next segment without its delimiter; `None` at the end of the stream.
    ///
    /// *Cancellation.* Safe: a segment in progress stays here.
    ///
    /// # Errors
    /// `InvalidData` for a segment that is too long, the stream's, or one that
    /// wraps [`Cancelled`](crate::Cancelled).
    pub fn next_segment<'a>(&'a mut self, cx: &'a Cx) -> NextSegment<'a, R> {
        NextSegment {
            split: self,
            cx,
            operation: Operation::default(),
        }
    }

    /// The reader.
    pub fn get_ref(&self) -> &R {
        &self.io
    }

    /// The reader, to change. What it has read of the segment in progress is here.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.io
    }

    /// The reader; a segment in progress is lost.
    pub fn into_inner(self) -> R {
        self.io
    }
}

/// Future of [`Split::next_segment`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct NextSegment<'a, R> {
    split: &'a mut Split<R>,
    cx: &'a Cx,
    operation: Operation,
}

impl<R: AsyncBufRead + Unpin> NextSegment<'_, R> {
    /// The next segment, with its delimiter unless the stream has ended.
    fn poll_whole(&mut self, task: &mut Context<'_>) -> Poll<io::Result<Option<Vec<u8>>>> {
        let NextSegment {
            split,
            cx,
            operation,
        } = self;
        let Split {
            io,
            delimiter,
            partial,
            max,
        } = &mut **split;
        let step = |task: &mut Context<'_>| poll_until(io, task, *delimiter, partial, *max);
        ready!(operation.poll(cx, task, step))?;
        let segment = std::mem::take(partial);
        Poll::Ready(Ok((!segment.is_empty()).then_some(segment)))
    }
}

impl<R: AsyncBufRead + Unpin> Future for NextSegment<'_, R> {
    type Output = io::Result<Option<Vec<u8>>>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mut segment = ready!(this.poll_whole(task))?;
        if let Some(segment) = &mut segment {
            segment.pop_if(|last| *last == this.split.delimiter);
        }
        Poll::Ready(Ok(segment))
    }
}

impl<R> DropSafe for NextSegment<'_, R> {}

/// Lines of a buffered reader; made by [`BufReadExt::lines`](super::BufReadExt::lines).
#[derive(Debug)]
pub struct Lines<R>(Split<R>);

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub(super) fn new(io: R) -> Self {
        Lines(Split::new(io, b'\n'))
    }

    /// Refuses lines of more than `max` bytes, their ends included; 16 MiB by default.
    #[must_use]
    pub fn max_len(self, max: usize) -> Self {
        Lines(self.0.max_len(max))
    }

    /// The next line without its end (`\n` or `\r\n`); `None` at the end of the stream.
    ///
    /// *Cancellation.* Safe: a line in progress stays here.
    ///
    /// # Errors
    /// `InvalidData` for a line that is too long or not UTF-8, the stream's, or
    /// one that wraps [`Cancelled`](crate::Cancelled).
    pub fn next_line<'a>(&'a mut self, cx: &'a Cx) -> NextLine<'a, R> {
        NextLine(self.0.next_segment(cx))
    }

    /// The reader.
    pub fn get_ref(&self) -> &R {
        self.0.get_ref()
    }

    /// The reader, to change. What it has read of the line in progress is here.
    pub fn get_mut(&mut self) -> &mut R {
        self.0.get_mut()
    }

    /// The reader; a line in progress is lost.
    pub fn into_inner(self) -> R {
        self.0.into_inner()
    }
}

/// Future of [`Lines::next_line`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct NextLine<'a, R>(NextSegment<'a, R>);

impl<R: AsyncBufRead + Unpin> Future for NextLine<'_, R> {
    type Output = io::Result<Option<String>>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(mut line) = ready!(self.0.poll_whole(task))? else {
            return Poll::Ready(Ok(None));
        };
        if line.pop_if(|last| *last == b'\n').is_some() {
            line.pop_if(|last| *last == b'\r');
        }
        let line = String::from_utf8(line);
        Poll::Ready(line.map(Some).map_err(|e| match utf8(e.as_bytes()) {
            Err(refused) => refused,
            Ok(_) => unreachable!("it was refused before"),
        }))
    }
}

impl<R> DropSafe for NextLine<'_, R> {}
