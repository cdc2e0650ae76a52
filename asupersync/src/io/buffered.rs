//! Fewer system calls: a reader that reads ahead, a writer that holds back.

use futures_io::{AsyncBufRead, AsyncRead, AsyncWrite};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Bytes buffered unless the program says otherwise.
const CAPACITY: usize = 8 * 1024;

/// A reader that reads ahead into a buffer. Writes pass through, so
/// `BufReader<BufWriter<S>>` buffers both directions of a stream.
#[derive(Debug)]
pub struct BufReader<R> {
    io: R,
    buf: Box<[u8]>,
    /// What is buffered and not consumed.
    pending: std::ops::Range<usize>,
}

impl<R> BufReader<R> {
    /// With a buffer of 8 KiB.
    pub fn new(io: R) -> Self {
        BufReader::with_capacity(CAPACITY, io)
    }

    /// With a buffer of `capacity` bytes, at least one.
    pub fn with_capacity(capacity: usize, io: R) -> Self {
        BufReader {
            io,
            buf: vec![0; capacity.max(1)].into(),
            pending: 0..0,
        }
    }

    /// What was read ahead.
    pub fn buffer(&self) -> &[u8] {
        &self.buf[self.pending.clone()]
    }

    /// The inner reader.
    pub fn get_ref(&self) -> &R {
        &self.io
    }

    /// The inner reader, to change; reading from it directly loses the order of bytes.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.io
    }

    /// The inner reader; what was read ahead is lost.
    pub fn into_inner(self) -> R {
        self.io
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for BufReader<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut this = self;
        // A read at least as large as the buffer gains nothing from it.
        if this.pending.is_empty() && buf.len() >= this.buf.len() {
            return Pin::new(&mut this.io).poll_read(cx, buf);
        }
        let available = ready!(this.as_mut().poll_fill_buf(cx))?;
        let n = available.len().min(buf.len());
        buf[..n].copy_from_slice(&available[..n]);
        AsyncBufRead::consume(this, n);
        Poll::Ready(Ok(n))
    }
}

impl<R: AsyncRead + Unpin> AsyncBufRead for BufReader<R> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let BufReader { io, buf, pending } = self.get_mut();
        if pending.start == pending.end {
            let n = ready!(Pin::new(io).poll_read(cx, buf))?;
            *pending = 0..n;
        }
        Poll::Ready(Ok(&buf[pending.clone()]))
    }

    fn consume(self: Pin<&mut Self>, n: usize) {
        let pending = &mut self.get_mut().pending;
        pending.start = (pending.start + n).min(pending.end);
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for BufReader<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_close(cx)
    }
}

/// A writer that collects small writes. Reads pass through.
///
/// Dropping it loses what is buffered: call
/// [`flush`](super::WriteExt::flush) or [`shutdown`](super::WriteExt::shutdown) first.
#[derive(Debug)]
pub struct BufWriter<W> {
    io: W,
    buf: Vec<u8>,
    capacity: usize,
    /// How much of `buf` was passed on already.
    written: usize,
}

impl<W> BufWriter<W> {
    /// With a buffer of 8 KiB.
    pub fn new(io: W) -> Self {
        BufWriter::with_capacity(CAPACITY, io)
    }

    /// With a buffer of `capacity` bytes.
    pub fn with_capacity(capacity: usize, io: W) -> Self {
        BufWriter {
            io,
            buf: Vec::with_capacity(capacity),
            capacity,
            written: 0,
        }
    }

    /// What was not passed on yet.
    pub fn buffer(&self) -> &[u8] {
        &self.buf[self.written..]
    }

    /// The inner writer.
    pub fn get_ref(&self) -> &W {
        &self.io
    }

    /// The inner writer, to change; writing to it directly loses the order of bytes.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.io
    }

    /// The inner writer; what was not passed on is lost.
    pub fn into_inner(self) -> W {
        self.io
    }
}

impl<W: AsyncWrite + Unpin> BufWriter<W> {
    /// Passes on the whole buffer.
    fn poll_empty(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.buf.len() {
            match ready!(Pin::new(&mut self.io).poll_write(cx, &self.buf[self.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.written += n,
            }
        }
        self.buf.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for BufWriter<W> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.buf.len() + buf.len() > this.capacity {
            ready!(this.poll_empty(cx))?;
        }
        if buf.len() >= this.capacity {
            return Pin::new(&mut this.io).poll_write(cx, buf);
        }
        this.buf.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_empty(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_empty(cx))?;
        Pin::new(&mut this.io).poll_close(cx)
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for BufWriter<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<R: AsyncBufRead + Unpin> AsyncBufRead for BufWriter<R> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        Pin::new(&mut self.get_mut().io).poll_fill_buf(cx)
    }

    fn consume(mut self: Pin<&mut Self>, n: usize) {
        Pin::new(&mut self.io).consume(n);
    }
}
