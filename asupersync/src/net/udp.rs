//! Datagrams.

use super::addrs::{ToAddrs, addresses_of, first_of};
use super::waiters::{Place, Waiters};
use crate::cx::{Cx, DropSafe};
use crate::io::Operation;
use crate::types::caps::Capability;
use crate::world::Datagrams;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A UDP socket.
///
/// Datagrams may be lost, doubled and reordered; one that arrives is whole.
/// Any number of tasks may send and receive at the same time through a shared
/// reference; each datagram goes to one of the receivers.
///
/// ```
/// use asupersync::net::UdpSocket;
/// use asupersync::{Runtime, Scope};
///
/// # let runtime = Runtime::builder().current_thread().build().unwrap();
/// # runtime.block_on(async |scope: Scope| -> std::io::Result<()> {
/// let a = UdpSocket::bind(&scope, "127.0.0.1:0").await?;
/// let b = UdpSocket::bind(&scope, "127.0.0.1:0").await?;
/// a.send_to(&scope, b"hello", b.local_addr()?).await?;
/// let mut buf = [0; 16];
/// let (n, from) = b.recv_from(&scope, &mut buf).await?;
/// assert_eq!((&buf[..n], from), (&b"hello"[..], a.local_addr()?));
/// # Ok(()) }).unwrap().unwrap();
/// ```
pub struct UdpSocket {
    inner: Arc<dyn Datagrams>,
    receivers: Waiters,
    senders: Waiters,
}

impl UdpSocket {
    /// Binds to the first address that can be bound to; port 0 picks a free one.
    ///
    /// *Cancellation.* Safe while a host name is looked up; the rest does not wait.
    ///
    /// # Errors
    /// The last address's, which it names; one that wraps [`Cancelled`](crate::Cancelled);
    /// `PermissionDenied` from a context without [`Capability::Net`].
    pub async fn bind(cx: &Cx, addr: impl ToAddrs) -> io::Result<Self> {
        cx.checkpoint()?;
        cx.require(Capability::Net)?;
        let addrs = addresses_of(cx, addr).await?;
        let inner = first_of("bind to", addrs, |addr| cx.world().net().udp_bind(addr))?;
        Ok(UdpSocket {
            inner,
            receivers: Waiters::new(),
            senders: Waiters::new(),
        })
    }

    /// Sends to, and receives from, the first address that the system accepts, and no other.
    ///
    /// *Cancellation.* Safe while a host name is looked up; the rest does not wait.
    ///
    /// # Errors
    /// As for [`UdpSocket::bind`].
    pub async fn connect(&self, cx: &Cx, addr: impl ToAddrs) -> io::Result<()> {
        cx.checkpoint()?;
        cx.require(Capability::Net)?;
        let addrs = addresses_of(cx, addr).await?;
        first_of("connect to", addrs, |addr| self.inner.connect(addr))
    }

    /// Sends a datagram; returns its length.
    ///
    /// *Cancellation.* Safe: it is sent when the length is returned.
    ///
    /// # Errors
    /// The system's; `PermissionDenied` from a context without
    /// [`Capability::Net`], since this reaches any address; one that wraps
    /// [`Cancelled`](crate::Cancelled).
    pub fn send_to<'a>(&'a self, cx: &'a Cx, buf: &'a [u8], to: SocketAddr) -> Send<'a> {
        self.sending(cx, buf, Some(to))
    }

    /// Sends a datagram to the address that the socket is connected to; returns its length.
    ///
    /// *Cancellation.* Safe: it is sent when the length is returned.
    ///
    /// # Errors
    /// The system's, among them `NotConnected`, and those that an earlier
    /// datagram met with; one that wraps [`Cancelled`](crate::Cancelled).
    pub fn send<'a>(&'a self, cx: &'a Cx, buf: &'a [u8]) -> Send<'a> {
        self.sending(cx, buf, None)
    }

    fn sending<'a>(&'a self, cx: &'a Cx, buf: &'a [u8], to: Option<SocketAddr>) -> Send<'a> {
        Send {
            socket: &self.inner,
            cx,
            buf,
            to,
            operation: Operation::default(),
            place: self.senders.place(),
        }
    }

    /// Receives a datagram: how many bytes of `buf` it filled, and whose it is.
    /// What does not fit is cut off.
    ///
    /// *Cancellation.* Safe: a datagram is taken when it is returned.
    ///
    /// # Errors
    /// The system's, or one that wraps [`Cancelled`](crate::Cancelled).
    pub fn recv_from<'a>(&'a self, cx: &'a Cx, buf: &'a mut [u8]) -> RecvFrom<'a> {
        RecvFrom {
            socket: &self.inner,
            cx,
            buf,
            operation: Operation::default(),
            place: self.receivers.place(),
        }
    }

    /// As [`UdpSocket::recv_from`], without the address.
    ///
    /// *Cancellation.* Safe: a datagram is taken when it is returned.
    ///
    /// # Errors
    /// The system's, among them those that an earlier datagram met with; one
    /// that wraps [`Cancelled`](crate::Cancelled).
    pub fn recv<'a>(&'a self, cx: &'a Cx, buf: &'a mut [u8]) -> Recv<'a> {
        Recv(self.recv_from(cx, buf))
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// The address it is connected to.
    ///
    /// # Errors
    /// The system's: `NotConnected` when there is none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.peer_addr()
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpSocket")
            .field("addr", &self.local_addr().ok())
            .finish_non_exhaustive()
    }
}

/// Future of [`UdpSocket::send`] and [`UdpSocket::send_to`].
#[must_use = "futures do nothing unless polled"]
pub struct Send<'a> {
    socket: &'a Arc<dyn Datagrams>,
    cx: &'a Cx,
    buf: &'a [u8],
    to: Option<SocketAddr>,
    operation: Operation,
    place: Place<'a>,
}

impl Future for Send<'_> {
    type Output = io::Result<usize>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Send {
            socket,
            cx,
            buf,
            to,
            operation,
            place,
        } = self.get_mut();
        operation.poll(cx, task, |task| {
            if to.is_some() {
                cx.require(Capability::Net)?;
            }
            place.poll(task, |task| socket.poll_send(task, buf, *to))
        })
    }
}

impl DropSafe for Send<'_> {}

/// Future of [`UdpSocket::recv_from`].
#[must_use = "futures do nothing unless polled"]
pub struct RecvFrom<'a> {
    socket: &'a Arc<dyn Datagrams>,
    cx: &'a Cx,
    buf: &'a mut [u8],
    operation: Operation,
    place: Place<'a>,
}

impl Future for RecvFrom<'_> {
    type Output = io::Result<(usize, SocketAddr)>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let RecvFrom {
            socket,
            cx,
            buf,
            operation,
            place,
        } = self.get_mut();
        operation.poll(cx, task, |task| {
            place.poll(task, |task| socket.poll_recv(task, buf))
        })
    }
}

impl DropSafe for RecvFrom<'_> {}

/// Future of [`UdpSocket::recv`].
#[must_use = "futures do nothing unless polled"]
pub struct Recv<'a>(RecvFrom<'a>);

impl Future for Recv<'_> {
    type Output = io::Result<usize>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let received = Pin::new(&mut self.0).poll(task);
        received.map_ok(|(n, _)| n)
    }
}

impl DropSafe for Recv<'_> {}

macro_rules! debug {
    ($($t:ident),*) => {$(
        impl fmt::Debug for $t<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($t)).finish_non_exhaustive()
            }
        }
    )*};
}
debug!(Send, RecvFrom, Recv);
