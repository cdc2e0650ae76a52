//! Bridges between the two families of I/O traits: `futures_io` and `tokio::io`.
//!
//! [`TokioIo`] gives a `futures_io` stream (every stream of this runtime) to code that wants tokio's
//! traits; [`FuturesIo`] is the way back. Both forward poll for poll: no buffer, no
//! task, nothing held back, so dropping an operation loses exactly what it loses without the bridge.
//! `poll_shutdown` of one side is `poll_close` of the other.
//!
//! ```
//! use asupersync_compat::io::{FuturesIo, TokioIo};
//! use futures_io::AsyncRead;
//!
//! fn wants_tokio(_: impl tokio::io::AsyncRead) {}
//! fn wants_futures(_: impl AsyncRead) {}
//! wants_tokio(TokioIo::new(futures::io::Cursor::new(b"x")));
//! wants_futures(FuturesIo::new(tokio::io::empty()));
//! ```

use futures_io as fio;
use pin_project::pin_project;
use std::io::{self, IoSlice, IoSliceMut, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io as tio;

/// A `futures_io` type as seen by tokio's traits.
#[pin_project]
#[derive(Clone, Debug)]
pub struct TokioIo<T> {
    #[pin]
    inner: T,
    vectored: bool,
    seek: Option<SeekFrom>,
}

impl<T> TokioIo<T> {
    /// Wraps `inner`.
    pub fn new(inner: T) -> Self {
        TokioIo {
            inner,
            vectored: false,
            seek: None,
        }
    }

    /// Says that `inner` really writes several slices at once. `futures_io` cannot tell, and a writer
    /// that does not makes libraries that trust the answer send many small packets. The streams of
    /// `asupersync::net` do.
    #[must_use]
    pub fn vectored(mut self, vectored: bool) -> Self {
        self.vectored = vectored;
        self
    }

    /// What is wrapped.
    pub fn inner(&self) -> &T {
        &self.inner
    }

    /// What is wrapped.
    pub fn inner_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Unwraps.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: fio::AsyncRead> tio::AsyncRead for TokioIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut tio::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // `futures_io` reads into initialized memory; tokio remembers what is, so it is zeroed once.
        let read = ready!(
            self.project()
                .inner
                .poll_read(cx, buf.initialize_unfilled())
        )?;
        buf.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl<T: fio::AsyncBufRead> tio::AsyncBufRead for TokioIo<T> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.project().inner.poll_fill_buf(cx)
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        self.project().inner.consume(amount)
    }
}

impl<T: fio::AsyncWrite> tio::AsyncWrite for TokioIo<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.vectored
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_close(cx)
    }
}

impl<T: fio::AsyncSeek> tio::AsyncSeek for TokioIo<T> {
    fn start_seek(self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        let seek = self.project().seek;
        if seek.is_some() {
            return Err(io::Error::other(
                "wait for the seek in progress to complete before starting another",
            ));
        }
        *seek = Some(position);
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let this = self.project();
        // Without a seek in progress tokio asks for the position.
        let position = this.seek.unwrap_or(SeekFrom::Current(0));
        let at = ready!(this.inner.poll_seek(cx, position));
        *this.seek = None;
        Poll::Ready(at)
    }
}

/// A tokio type as seen by the `futures_io` traits.
#[pin_project]
#[derive(Clone, Debug)]
pub struct FuturesIo<T> {
    #[pin]
    inner: T,
    seek: Option<SeekFrom>,
}

impl<T> FuturesIo<T> {
    /// Wraps `inner`.
    pub fn new(inner: T) -> Self {
        FuturesIo { inner, seek: None }
    }

    /// What is wrapped.
    pub fn inner(&self) -> &T {
        &self.inner
    }

    /// What is wrapped.
    pub fn inner_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Unwraps.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: tio::AsyncRead> fio::AsyncRead for FuturesIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buf = tio::ReadBuf::new(buf);
        ready!(self.project().inner.poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        // tokio has no vectored read: the first buffer with room takes what there is.
        let buf = bufs
            .iter_mut()
            .find(|b| !b.is_empty())
            .map_or(&mut [][..], |b| &mut **b);
        self.poll_read(cx, buf)
    }
}

impl<T: tio::AsyncBufRead> fio::AsyncBufRead for FuturesIo<T> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.project().inner.poll_fill_buf(cx)
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        self.project().inner.consume(amount)
    }
}

impl<T: tio::AsyncWrite> fio::AsyncWrite for FuturesIo<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write_vectored(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_shutdown(cx)
    }
}

impl<T: tio::AsyncSeek> fio::AsyncSeek for FuturesIo<T> {
    fn poll_seek(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        position: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        let mut this = self.project();
        // A seek that was begun for another position runs to its end first.
        if *this.seek != Some(position) {
            if this.seek.is_some() {
                ready!(this.inner.as_mut().poll_complete(cx))?;
                *this.seek = None;
            }
            this.inner.as_mut().start_seek(position)?;
            *this.seek = Some(position);
        }
        let at = ready!(this.inner.poll_complete(cx));
        *this.seek = None;
        Poll::Ready(at)
    }
}
