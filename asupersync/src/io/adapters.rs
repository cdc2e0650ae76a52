//! Streams made of streams, and those that are hardly any.

use futures_io::{AsyncBufRead, AsyncRead, AsyncWrite};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The beginning of a stream; made by [`ReadExt::take`](super::ReadExt::take).
#[derive(Debug)]
pub struct Take<R> {
    io: R,
    limit: u64,
}

impl<R> Take<R> {
    pub(super) fn new(io: R, limit: u64) -> Self {
        Take { io, limit }
    }

    /// How many bytes may still be read.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// From now on so many bytes may be read.
    pub fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// The stream.
    pub fn get_ref(&self) -> &R {
        &self.io
    }

    /// The stream, to change; what is read from it directly is not counted.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.io
    }

    /// The stream, from behind what was read.
    pub fn into_inner(self) -> R {
        self.io
    }

    fn most(&self, n: usize) -> usize {
        usize::try_from(self.limit).map_or(n, |limit| limit.min(n))
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Take<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let most = self.most(buf.len());
        if most == 0 {
            return Poll::Ready(Ok(0));
        }
        let n = ready!(Pin::new(&mut self.io).poll_read(task, &mut buf[..most]))?;
        self.limit -= n as u64;
        Poll::Ready(Ok(n))
    }
}

impl<R: AsyncBufRead + Unpin> AsyncBufRead for Take<R> {
    fn poll_fill_buf(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        // Asking the stream again could wait for what is not wanted.
        if this.limit == 0 {
            return Poll::Ready(Ok(&[]));
        }
        let limit = this.limit;
        let available = ready!(Pin::new(&mut this.io).poll_fill_buf(task))?;
        let most = usize::try_from(limit).map_or(available.len(), |l| l.min(available.len()));
        Poll::Ready(Ok(&available[..most]))
    }

    fn consume(mut self: Pin<&mut Self>, n: usize) {
        let n = self.most(n);
        self.limit -= n as u64;
        Pin::new(&mut self.io).consume(n);
    }
}

/// One stream after the other; made by [`ReadExt::chain`](super::ReadExt::chain).
#[derive(Debug)]
pub struct Chain<A, B> {
    first: A,
    second: B,
    first_ended: bool,
}

impl<A, B> Chain<A, B> {
    pub(super) fn new(first: A, second: B) -> Self {
        Chain {
            first,
            second,
            first_ended: false,
        }
    }

    /// Both.
    pub fn get_ref(&self) -> (&A, &B) {
        (&self.first, &self.second)
    }

    /// Both, to change.
    pub fn get_mut(&mut self) -> (&mut A, &mut B) {
        (&mut self.first, &mut self.second)
    }

    /// Both.
    pub fn into_inner(self) -> (A, B) {
        (self.first, self.second)
    }
}

impl<A: AsyncRead + Unpin, B: AsyncRead + Unpin> AsyncRead for Chain<A, B> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if !self.first_ended {
            let n = ready!(Pin::new(&mut self.first).poll_read(task, buf))?;
            if n > 0 || buf.is_empty() {
                return Poll::Ready(Ok(n));
            }
            self.first_ended = true;
        }
        Pin::new(&mut self.second).poll_read(task, buf)
    }
}

impl<A: AsyncBufRead + Unpin, B: AsyncBufRead + Unpin> AsyncBufRead for Chain<A, B> {
    fn poll_fill_buf(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let Chain {
            first,
            second,
            first_ended,
        } = self.get_mut();
        if !*first_ended {
            let available = ready!(Pin::new(first).poll_fill_buf(task))?;
            if !available.is_empty() {
                return Poll::Ready(Ok(available));
            }
            *first_ended = true;
        }
        Pin::new(second).poll_fill_buf(task)
    }

    fn consume(mut self: Pin<&mut Self>, n: usize) {
        match self.first_ended {
            false => Pin::new(&mut self.first).consume(n),
            true => Pin::new(&mut self.second).consume(n),
        }
    }
}

/// A reader and a writer as one stream.
///
/// ```
/// use asupersync::io::{self, ReadExt, WriteExt};
/// use asupersync::{LabConfig, LabRuntime, Scope};
///
/// LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
///     let mut stream = io::join(&b"in"[..], Vec::new());
///     stream.write_all(&cx, b"out").await.unwrap();
///     let mut text = String::new();
///     stream.read_to_string(&cx, &mut text).await.unwrap();
///     assert_eq!((&*text, &*stream.into_inner().1), ("in", &b"out"[..]));
/// });
/// ```
pub fn join<R, W>(reader: R, writer: W) -> Join<R, W> {
    Join { reader, writer }
}

/// A reader and a writer as one stream; made by [`join`].
#[derive(Debug)]
pub struct Join<R, W> {
    reader: R,
    writer: W,
}

impl<R, W> Join<R, W> {
    /// The reader.
    pub fn reader(&self) -> &R {
        &self.reader
    }

    /// The writer.
    pub fn writer(&self) -> &W {
        &self.writer
    }

    /// The reader, to change.
    pub fn reader_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// The writer, to change.
    pub fn writer_mut(&mut self) -> &mut W {
        &mut self.writer
    }

    /// Both.
    pub fn into_inner(self) -> (R, W) {
        (self.reader, self.writer)
    }
}

impl<R: AsyncRead + Unpin, W: Unpin> AsyncRead for Join<R, W> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.reader).poll_read(task, buf)
    }
}

impl<R: AsyncBufRead + Unpin, W: Unpin> AsyncBufRead for Join<R, W> {
    fn poll_fill_buf(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        Pin::new(&mut self.get_mut().reader).poll_fill_buf(task)
    }

    fn consume(mut self: Pin<&mut Self>, n: usize) {
        Pin::new(&mut self.reader).consume(n);
    }
}

impl<R: Unpin, W: AsyncWrite + Unpin> AsyncWrite for Join<R, W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(task, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write_vectored(task, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(task)
    }

    fn poll_close(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_close(task)
    }
}

/// A stream that is at its end, and takes what is written.
pub fn empty() -> Empty {
    Empty(())
}

/// A writer that takes everything and keeps nothing.
pub fn sink() -> Sink {
    Sink(())
}

/// A stream of one byte, without end.
pub fn repeat(byte: u8) -> Repeat {
    Repeat(byte)
}

/// Made by [`empty`].
#[derive(Clone, Copy, Debug)]
pub struct Empty(());

/// Made by [`sink`].
#[derive(Clone, Copy, Debug)]
pub struct Sink(());

/// Made by [`repeat`].
#[derive(Clone, Copy, Debug)]
pub struct Repeat(u8);

impl AsyncRead for Empty {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(0))
    }
}

impl AsyncBufRead for Empty {
    fn poll_fill_buf(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        Poll::Ready(Ok(&[]))
    }

    fn consume(self: Pin<&mut Self>, _: usize) {}
}

impl AsyncRead for Repeat {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        buf.fill(self.0);
        Poll::Ready(Ok(buf.len()))
    }
}

macro_rules! takes_everything {
    ($($t:ty)*) => {$(
        impl AsyncWrite for $t {
            fn poll_write(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                Poll::Ready(Ok(buf.len()))
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
        }
    )*};
}
takes_everything!(Empty Sink);
