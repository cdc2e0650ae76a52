//! The network port: non-blocking sockets addressed by `SocketAddr`.
//!
//! One waker is kept per direction of a socket: a second reader replaces the
//! first one's. Types in `net` take `&mut self`, or wait for each other's sake.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

/// Makes sockets.
pub trait Net: Send + Sync {
    /// Listens on `addr`; port 0 picks a free one.
    fn tcp_listen(&self, addr: SocketAddr) -> io::Result<Arc<dyn Listener>>;

    /// Begins to connect; [`Stream::poll_connected`] tells when it is done.
    fn tcp_connect(&self, addr: SocketAddr) -> io::Result<Arc<dyn Stream>>;

    /// Binds a datagram socket to `addr`; port 0 picks a free one.
    fn udp_bind(&self, addr: SocketAddr) -> io::Result<Arc<dyn Datagrams>>;

    /// Looks a host name up. May block, so it is called from offloaded work only.
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// A listening socket. Dropping it stops listening and resets connections that nobody accepted.
pub trait Listener: Send + Sync {
    /// The next connection. A connection is taken only when it is returned.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Arc<dyn Stream>, SocketAddr)>>;

    /// The address it listens on.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// A stream socket. Dropping the last reference closes it.
pub trait Stream: Send + Sync {
    /// Ready once the connection is established or has failed.
    fn poll_connected(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Reads some bytes; 0 is the end of the stream.
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes some bytes.
    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>>;

    /// Ends one or both directions.
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;

    /// Whether small writes go out at once.
    fn set_nodelay(&self, on: bool) -> io::Result<()>;

    /// This end's address.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// The other end's address.
    fn peer_addr(&self) -> io::Result<SocketAddr>;
}

/// A datagram socket. Dropping the last reference closes it.
pub trait Datagrams: Send + Sync {
    /// Sends to and receives from `peer` only, from now on.
    fn connect(&self, peer: SocketAddr) -> io::Result<()>;

    /// Sends a datagram, to the peer if no address is given; returns its length.
    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        to: Option<SocketAddr>,
    ) -> Poll<io::Result<usize>>;

    /// Takes the next datagram, cut to `buf`: its length there, and who sent it.
    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>>;

    /// The address it is bound to.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// The address it is connected to.
    fn peer_addr(&self) -> io::Result<SocketAddr>;
}
