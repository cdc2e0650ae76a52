//! Streams and their halves.

use super::family::{Family, Ip};
use crate::cx::{Cx, DropSafe};
use crate::io::{Operation, explain};
use crate::world::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::marker::PhantomData;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// A connection: [`TcpStream`](super::TcpStream) or [`UnixStream`](super::UnixStream).
///
/// Reading and writing are in [`ReadExt`](crate::io::ReadExt) and
/// [`WriteExt`](crate::io::WriteExt). [`WriteExt::shutdown`](crate::io::WriteExt::shutdown)
/// ends the writing direction; dropping it closes both.
pub struct SocketStream<F: Family> {
    pub(super) inner: Arc<dyn Stream>,
    family: PhantomData<F>,
}

impl<F: Family> SocketStream<F> {
    pub(super) fn new(inner: Arc<dyn Stream>) -> Self {
        SocketStream {
            inner,
            family: PhantomData,
        }
    }

    /// The two directions, to use at the same time in one task.
    pub fn split(&mut self) -> (ReadHalf<'_, F>, WriteHalf<'_, F>) {
        let half = || Half(Arc::clone(&self.inner));
        (
            ReadHalf {
                half: half(),
                stream: PhantomData,
            },
            WriteHalf {
                half: half(),
                stream: PhantomData,
            },
        )
    }

    /// The two directions, to give to two tasks. Dropping the writing half ends
    /// its direction; the connection closes with the last half.
    pub fn into_split(self) -> (OwnedReadHalf<F>, OwnedWriteHalf<F>) {
        let read = OwnedReadHalf {
            half: Half(Arc::clone(&self.inner)),
            family: PhantomData,
        };
        let write = OwnedWriteHalf {
            half: Half(self.inner),
            ends: true,
            family: PhantomData,
        };
        (read, write)
    }

    /// Reads some bytes and leaves them in the stream; 0 is its end.
    ///
    /// *Cancellation.* Safe: it takes nothing.
    ///
    /// # Errors
    /// The system's, or one that wraps [`Cancelled`](crate::Cancelled).
    pub fn peek<'a>(&'a mut self, cx: &'a Cx, buf: &'a mut [u8]) -> Peek<'a> {
        Peek::new(&*self.inner, cx, buf)
    }

    /// The error that a past event left, which is taken by asking.
    ///
    /// # Errors
    /// The system's, if it cannot be asked.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.inner.take_error()
    }

    /// This end's address.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<F::Addr> {
        F::narrow(self.inner.local_addr()?)
    }

    /// The other end's address.
    ///
    /// # Errors
    /// The system's.
    pub fn peer_addr(&self) -> io::Result<F::Addr> {
        F::narrow(self.inner.peer_addr()?)
    }

    /// Ends one or both directions at once, without waiting.
    ///
    /// # Errors
    /// The system's.
    pub fn shutdown_now(&self, how: Shutdown) -> io::Result<()> {
        end(&*self.inner, how)
    }
}

impl<F: Family> fmt::Debug for SocketStream<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [name, ..] = F::NAMES;
        let mut s = f.debug_struct(name);
        s.field("local", &self.local_addr().ok())
            .field("peer", &self.peer_addr().ok())
            .finish()
    }
}

/// One user of a stream; each direction has one at a time.
struct Half(Arc<dyn Stream>);

impl std::ops::Deref for Half {
    type Target = dyn Stream;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl fmt::Debug for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Half").field(&self.peer_addr().ok()).finish()
    }
}

/// The reading direction of a borrowed stream; made by [`SocketStream::split`].
#[derive(Debug)]
pub struct ReadHalf<'a, F: Family = Ip> {
    half: Half,
    stream: PhantomData<&'a mut SocketStream<F>>,
}

/// The writing direction of a borrowed stream; made by [`SocketStream::split`].
#[derive(Debug)]
pub struct WriteHalf<'a, F: Family = Ip> {
    half: Half,
    stream: PhantomData<&'a mut SocketStream<F>>,
}

/// The reading direction of a stream; made by [`SocketStream::into_split`].
#[derive(Debug)]
pub struct OwnedReadHalf<F: Family = Ip> {
    half: Half,
    family: PhantomData<F>,
}

/// The writing direction of a stream; made by [`SocketStream::into_split`].
/// Dropping it ends the direction.
#[derive(Debug)]
pub struct OwnedWriteHalf<F: Family = Ip> {
    half: Half,
    ends: bool,
    family: PhantomData<F>,
}

/// Two halves that are not of the same stream.
#[derive(Debug, thiserror::Error)]
#[error("the halves belong to different streams; pass the two that one `into_split` returned")]
pub struct ReuniteError<F: Family = Ip> {
    /// The reading half.
    pub read: OwnedReadHalf<F>,
    /// The writing half.
    pub write: OwnedWriteHalf<F>,
}

impl<F: Family> OwnedReadHalf<F> {
    /// The stream again.
    ///
    /// # Errors
    /// The halves, if they are not of the same stream.
    pub fn reunite(self, mut write: OwnedWriteHalf<F>) -> Result<SocketStream<F>, ReuniteError<F>> {
        if !Arc::ptr_eq(&self.half.0, &write.half.0) {
            return Err(ReuniteError { read: self, write });
        }
        write.ends = false;
        Ok(SocketStream::new(self.half.0))
    }

    /// As [`SocketStream::peek`].
    ///
    /// *Cancellation.* Safe: it takes nothing.
    ///
    /// # Errors
    /// The system's, or one that wraps [`Cancelled`](crate::Cancelled).
    pub fn peek<'a>(&'a mut self, cx: &'a Cx, buf: &'a mut [u8]) -> Peek<'a> {
        Peek::new(&*self.half.0, cx, buf)
    }

    /// This end's address.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<F::Addr> {
        F::narrow(self.half.local_addr()?)
    }

    /// The other end's address.
    ///
    /// # Errors
    /// The system's.
    pub fn peer_addr(&self) -> io::Result<F::Addr> {
        F::narrow(self.half.peer_addr()?)
    }
}

impl<F: Family> OwnedWriteHalf<F> {
    /// The stream again; see [`OwnedReadHalf::reunite`].
    ///
    /// # Errors
    /// The halves, if they are not of the same stream.
    pub fn reunite(self, read: OwnedReadHalf<F>) -> Result<SocketStream<F>, ReuniteError<F>> {
        read.reunite(self)
    }

    /// This end's address.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<F::Addr> {
        F::narrow(self.half.local_addr()?)
    }

    /// The other end's address.
    ///
    /// # Errors
    /// The system's.
    pub fn peer_addr(&self) -> io::Result<F::Addr> {
        F::narrow(self.half.peer_addr()?)
    }
}

impl<F: Family> Drop for OwnedWriteHalf<F> {
    fn drop(&mut self) {
        if self.ends {
            // A connection that is gone has no direction to end.
            let _ = self.half.shutdown(Shutdown::Write);
        }
    }
}

/// Future of [`SocketStream::peek`].
#[must_use = "futures do nothing unless polled"]
pub struct Peek<'a> {
    stream: &'a dyn Stream,
    cx: &'a Cx,
    buf: &'a mut [u8],
    operation: Operation,
}

impl<'a> Peek<'a> {
    fn new(stream: &'a dyn Stream, cx: &'a Cx, buf: &'a mut [u8]) -> Self {
        let operation = Operation::default();
        Peek {
            stream,
            cx,
            buf,
            operation,
        }
    }
}

impl Future for Peek<'_> {
    type Output = io::Result<usize>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Peek {
            stream,
            cx,
            buf,
            operation,
        } = self.get_mut();
        operation.poll(cx, task, |task| {
            if buf.is_empty() {
                return Poll::Ready(Ok(0));
            }
            let peeked = stream.poll_peek(task, buf);
            peeked.map_err(|e| with(*stream, "peek at what comes from", e))
        })
    }
}

impl DropSafe for Peek<'_> {}

fn end(stream: &dyn Stream, how: Shutdown) -> io::Result<()> {
    let ended = stream.shutdown(how);
    ended.map_err(|e| with(stream, "end the stream to", e))
}

/// The error, with what was done and with whom.
#[cold]
fn with(stream: &dyn Stream, what: &str, e: io::Error) -> io::Error {
    match stream.peer() {
        Some(peer) => explain(format!("{what} {peer}"), e, ""),
        None => e,
    }
}

/// What each type passes on to.
trait Port {
    fn port(&self) -> &dyn Stream;
}

macro_rules! reads {
    ($t:ty) => {
        impl<F: Family> AsyncRead for $t {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                if buf.is_empty() {
                    return Poll::Ready(Ok(0));
                }
                let port = self.port();
                let read = port.poll_read(cx, buf);
                read.map_err(|e| with(port, "read from", e))
            }
        }
    };
}

macro_rules! writes {
    ($t:ty) => {
        impl<F: Family> AsyncWrite for $t {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                let port = self.port();
                let written = port.poll_write(cx, buf);
                written.map_err(|e| with(port, "write to", e))
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let port = self.port();
                let written = port.poll_write_vectored(cx, bufs);
                written.map_err(|e| with(port, "write to", e))
            }

            /// Nothing is buffered above the system.
            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(end(self.port(), Shutdown::Write))
            }
        }
    };
}

macro_rules! reading {
    ([$($generics:tt)*] $t:ty) => {
        impl<$($generics)*> $t {
            /// Reads what is there; does not wait.
            ///
            /// # Errors
            /// `WouldBlock` if there is nothing, and the stream's.
            pub fn try_read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                now(|task| Pin::new(&mut *self).poll_read(task, buf))
            }

            /// Waits until there is something to read, or the end of the stream.
            ///
            /// *Cancellation.* Safe: it takes nothing.
            ///
            /// # Errors
            /// The system's, or one that wraps [`Cancelled`](crate::Cancelled).
            pub fn readable<'a>(&'a mut self, cx: &'a Cx) -> Readable<'a> {
                Readable(Wait::new(self.port(), cx))
            }
        }
    };
}

macro_rules! writing {
    ([$($generics:tt)*] $t:ty) => {
        impl<$($generics)*> $t {
            /// Writes what there is room for; does not wait.
            ///
            /// # Errors
            /// `WouldBlock` if there is no room, and the stream's.
            pub fn try_write(&mut self, buf: &[u8]) -> io::Result<usize> {
                now(|task| Pin::new(&mut *self).poll_write(task, buf))
            }

            /// As `try_write`, from several buffers in order.
            ///
            /// # Errors
            /// `WouldBlock` if there is no room, and the stream's.
            pub fn try_write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                now(|task| Pin::new(&mut *self).poll_write_vectored(task, bufs))
            }

            /// Waits until there is room to write, or nobody to write to. That there
            /// was is no promise: a write may have to wait all the same.
            ///
            /// *Cancellation.* Safe: it writes nothing.
            ///
            /// # Errors
            /// One that wraps [`Cancelled`](crate::Cancelled).
            pub fn writable<'a>(&'a mut self, cx: &'a Cx) -> Writable<'a> {
                Writable(Wait::new(self.port(), cx))
            }
        }
    };
}

/// Runs one poll, of whoever is the only one who waits in its direction.
fn now<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<T>>) -> io::Result<T> {
    match poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// An operation that has no buffer of the caller's.
struct Wait<'a> {
    stream: &'a dyn Stream,
    cx: &'a Cx,
    operation: Operation,
}

impl<'a> Wait<'a> {
    fn new(stream: &'a dyn Stream, cx: &'a Cx) -> Self {
        let operation = Operation::default();
        Wait {
            stream,
            cx,
            operation,
        }
    }

    fn poll(
        &mut self,
        task: &mut Context<'_>,
        step: impl FnOnce(&dyn Stream, &mut Context<'_>) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        self.operation
            .poll(self.cx, task, |task| step(self.stream, task))
    }
}

/// Future of [`SocketStream::readable`].
#[must_use = "futures do nothing unless polled"]
pub struct Readable<'a>(Wait<'a>);

impl Future for Readable<'_> {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.poll(task, |stream, task| {
            let seen = stream.poll_peek(task, &mut [0]).map_ok(|_| ());
            seen.map_err(|e| with(stream, "peek at what comes from", e))
        })
    }
}

impl DropSafe for Readable<'_> {}

/// Future of [`SocketStream::writable`].
#[must_use = "futures do nothing unless polled"]
pub struct Writable<'a>(Wait<'a>);

impl Future for Writable<'_> {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let writable = |stream: &dyn Stream, task: &mut Context<'_>| stream.poll_writable(task);
        self.get_mut().0.poll(task, writable)
    }
}

impl DropSafe for Writable<'_> {}

macro_rules! opaque {
    ($($t:ident)*) => {$(
        impl fmt::Debug for $t<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($t)).finish_non_exhaustive()
            }
        }
    )*};
}
opaque!(Peek Readable Writable);

macro_rules! port {
    ($t:ty, $($inner:tt).+) => {
        impl<F: Family> Port for $t {
            fn port(&self) -> &dyn Stream {
                &*self.$($inner).+
            }
        }
    };
}

port!(SocketStream<F>, inner);
port!(ReadHalf<'_, F>, half);
port!(WriteHalf<'_, F>, half);
port!(OwnedReadHalf<F>, half);
port!(OwnedWriteHalf<F>, half);
reads!(SocketStream<F>);
reads!(ReadHalf<'_, F>);
reads!(OwnedReadHalf<F>);
writes!(SocketStream<F>);
writes!(WriteHalf<'_, F>);
writes!(OwnedWriteHalf<F>);
reading!([F: Family] SocketStream<F>);
reading!([F: Family] ReadHalf<'_, F>);
reading!([F: Family] OwnedReadHalf<F>);
writing!([F: Family] SocketStream<F>);
writing!([F: Family] WriteHalf<'_, F>);
writing!([F: Family] OwnedWriteHalf<F>);
