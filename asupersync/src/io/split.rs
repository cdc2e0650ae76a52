//! Any stream as two halves that may go to two tasks.

use futures_io::{AsyncRead, AsyncWrite};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

/// Splits a stream.
///
/// The halves share a small lock, held while one of them is polled;
/// [`TcpStream::into_split`](crate::net::TcpStream::into_split) needs none.
pub fn split<T: AsyncRead + AsyncWrite + Unpin>(stream: T) -> (ReadHalf<T>, WriteHalf<T>) {
    let shared = Arc::new(Mutex::new(stream));
    (ReadHalf(Arc::clone(&shared)), WriteHalf(shared))
}

/// The reading half; made by [`split`].
#[derive(Debug)]
pub struct ReadHalf<T>(Arc<Mutex<T>>);

/// The writing half; made by [`split`].
#[derive(Debug)]
pub struct WriteHalf<T>(Arc<Mutex<T>>);

impl<T> ReadHalf<T> {
    /// The stream again.
    ///
    /// # Errors
    /// The halves, if they are not of the same stream.
    pub fn reunite(self, write: WriteHalf<T>) -> Result<T, ReuniteError<Self, WriteHalf<T>>> {
        if !Arc::ptr_eq(&self.0, &write.0) {
            return Err(ReuniteError { read: self, write });
        }
        drop(write);
        let stream = Arc::into_inner(self.0).expect("the two halves are the only owners");
        Ok(stream.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Two halves that are not of the same stream.
#[derive(Debug, thiserror::Error)]
#[error("the halves belong to different streams; pass the two that one call of `split` returned")]
pub struct ReuniteError<R, W> {
    /// The reading half.
    pub read: R,
    /// The writing half.
    pub write: W,
}

/// A stream that panicked in one half is for its own code to judge, not for the lock.
fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: AsyncRead + Unpin> AsyncRead for ReadHalf<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *lock(&self.0)).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for WriteHalf<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *lock(&self.0)).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *lock(&self.0)).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *lock(&self.0)).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *lock(&self.0)).poll_close(cx)
    }
}
