//! UDP: making sockets, and sending to anyone.

use super::addrs::{ToAddrs, addresses_of, first_of};
use super::datagrams::{DatagramSocket, Send};
use super::family::Ip;
use crate::cx::Cx;
use crate::types::caps::Capability;
use crate::world::net::Options;
use std::io;
use std::net::SocketAddr;

/// A UDP socket. Datagrams may be lost, doubled and reordered.
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
pub type UdpSocket = DatagramSocket<Ip>;

impl DatagramSocket<Ip> {
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
        let (net, options) = (cx.world().net(), Options::default());
        let inner = first_of("bind to", addrs, |addr| net.bind(&addr.into(), &options))?;
        Ok(DatagramSocket::new(inner))
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
        first_of("connect to", addrs, |addr| self.inner.connect(&addr.into()))
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
        self.sending(cx, buf, Some(to.into()))
    }

    /// Takes over a socket of the standard library, and makes it non-blocking.
    ///
    /// # Errors
    /// The system's; `PermissionDenied` from a context without
    /// [`Capability::Net`]; `Unsupported` in the lab.
    pub fn from_std(cx: &Cx, socket: std::net::UdpSocket) -> io::Result<Self> {
        cx.require(Capability::Net)?;
        let inner = cx.world().net().adopt_datagrams(socket.into())?;
        Ok(DatagramSocket::new(inner))
    }

    /// The socket as the standard library's; it stays non-blocking.
    ///
    /// # Errors
    /// `Unsupported` in the lab.
    pub fn into_std(self) -> io::Result<std::net::UdpSocket> {
        self.inner.release().map(Into::into)
    }
}
