//! Streams and their halves.

use super::addrs::{ToAddrs, addresses_of};
use super::connect::Connect;
use crate::cx::Cx;
use crate::types::caps::Capability;
use crate::world::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A TCP connection.
///
/// Reading and writing are in [`ReadExt`](crate::io::ReadExt) and
/// [`WriteExt`](crate::io::WriteExt). [`WriteExt::shutdown`](crate::io::WriteExt::shutdown)
/// ends the writing direction; dropping it closes both.
pub struct TcpStream {
    inner: Arc<dyn Stream>,
}

impl TcpStream {
    pub(super) fn new(inner: Arc<dyn Stream>) -> Self {
        TcpStream { inner }
    }

    /// Connects to the first address that answers: they are tried in order, the
    /// next one beside the others after 250 ms or at once after a refusal.
    ///
    /// *Cancellation.* The attempts are closed.
    ///
    /// # Errors
    /// The last address's, which it names; one that wraps [`Cancelled`](crate::Cancelled);
    /// `PermissionDenied` from a context without [`Capability::Net`].
    pub async fn connect(cx: &Cx, addr: impl ToAddrs) -> io::Result<Self> {
        cx.checkpoint()?;
        cx.require(Capability::Net)?;
        let addrs = addresses_of(cx, addr).await?;
        Connect::new(cx, addrs).await.map(TcpStream::new)
    }

    /// The two directions, to use at the same time in one task.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
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
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        let read = OwnedReadHalf {
            half: Half(Arc::clone(&self.inner)),
        };
        (
            read,
            OwnedWriteHalf {
                half: Half(self.inner),
                ends: true,
            },
        )
    }

    /// Whether small writes go out at once instead of waiting for more.
    ///
    /// # Errors
    /// The system's.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.inner.set_nodelay(on)
    }

    /// This end's address.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// The other end's address.
    ///
    /// # Errors
    /// The system's.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.peer_addr()
    }

    /// Ends one or both directions at once, without waiting.
    ///
    /// # Errors
    /// The system's.
    pub fn shutdown_now(&self, how: Shutdown) -> io::Result<()> {
        self.inner.shutdown(how)
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("TcpStream");
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

/// The reading direction of a borrowed stream; made by [`TcpStream::split`].
#[derive(Debug)]
pub struct ReadHalf<'a> {
    half: Half,
    stream: PhantomData<&'a mut TcpStream>,
}

/// The writing direction of a borrowed stream; made by [`TcpStream::split`].
#[derive(Debug)]
pub struct WriteHalf<'a> {
    half: Half,
    stream: PhantomData<&'a mut TcpStream>,
}

/// The reading direction of a stream; made by [`TcpStream::into_split`].
#[derive(Debug)]
pub struct OwnedReadHalf {
    half: Half,
}

/// The writing direction of a stream; made by [`TcpStream::into_split`].
/// Dropping it ends the direction.
#[derive(Debug)]
pub struct OwnedWriteHalf {
    half: Half,
    ends: bool,
}

/// Two halves that are not of the same stream.
#[derive(Debug, thiserror::Error)]
#[error("the halves belong to different streams; pass the two that one `into_split` returned")]
pub struct ReuniteError {
    /// The reading half.
    pub read: OwnedReadHalf,
    /// The writing half.
    pub write: OwnedWriteHalf,
}

impl OwnedReadHalf {
    /// The stream again.
    ///
    /// # Errors
    /// The halves, if they are not of the same stream.
    pub fn reunite(self, mut write: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        if !Arc::ptr_eq(&self.half.0, &write.half.0) {
            return Err(ReuniteError { read: self, write });
        }
        write.ends = false;
        Ok(TcpStream::new(self.half.0))
    }

    /// This end's address.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.half.local_addr()
    }

    /// The other end's address.
    ///
    /// # Errors
    /// The system's.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.half.peer_addr()
    }
}

impl OwnedWriteHalf {
    /// The stream again; see [`OwnedReadHalf::reunite`].
    ///
    /// # Errors
    /// The halves, if they are not of the same stream.
    pub fn reunite(self, read: OwnedReadHalf) -> Result<TcpStream, ReuniteError> {
        read.reunite(self)
    }

    /// This end's address.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.half.local_addr()
    }

    /// The other end's address.
    ///
    /// # Errors
    /// The system's.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.half.peer_addr()
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if self.ends {
            // A connection that is gone has no direction to end.
            let _ = self.half.shutdown(Shutdown::Write);
        }
    }
}

/// What each type passes on to.
trait Port {
    fn port(&self) -> &dyn Stream;
}

macro_rules! reads {
    ($t:ty) => {
        impl AsyncRead for $t {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                if buf.is_empty() {
                    return Poll::Ready(Ok(0));
                }
                self.port().poll_read(cx, buf)
            }
        }
    };
}

macro_rules! writes {
    ($t:ty) => {
        impl AsyncWrite for $t {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.port().poll_write(cx, buf)
            }

            /// Nothing is buffered above the system.
            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.port().shutdown(Shutdown::Write))
            }
        }
    };
}

macro_rules! port {
    ($t:ty, $($inner:tt).+) => {
        impl Port for $t {
            fn port(&self) -> &dyn Stream {
                &*self.$($inner).+
            }
        }
    };
}

port!(TcpStream, inner);
port!(ReadHalf<'_>, half);
port!(WriteHalf<'_>, half);
port!(OwnedReadHalf, half);
port!(OwnedWriteHalf, half);
reads!(TcpStream);
reads!(ReadHalf<'_>);
reads!(OwnedReadHalf);
writes!(TcpStream);
writes!(WriteHalf<'_>);
writes!(OwnedWriteHalf);
