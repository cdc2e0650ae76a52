//! The network port over the operating system's sockets.

use super::reactor::{Reactor, Registered};
use crate::world::{Datagrams, Listener, Net, Stream};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// Connections the kernel keeps for a listener until they are accepted; it cuts this to its own limit.
const BACKLOG: i32 = 1024;

pub(super) struct Sockets {
    reactor: Arc<Reactor>,
}

impl Sockets {
    pub(super) fn new(reactor: Arc<Reactor>) -> Self {
        Sockets { reactor }
    }
}

fn socket(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

impl Net for Sockets {
    fn tcp_listen(&self, addr: SocketAddr) -> io::Result<Arc<dyn Listener>> {
        let socket = socket(addr)?;
        // Elsewhere the option lets a second process take the port over.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.bind(&addr.into())?;
        socket.listen(BACKLOG)?;
        let socket = self.reactor.register(TcpListener::from(socket))?;
        Ok(Arc::new(SystemListener {
            socket,
            reactor: Arc::clone(&self.reactor),
        }))
    }

    fn tcp_connect(&self, addr: SocketAddr) -> io::Result<Arc<dyn Stream>> {
        let socket = socket(addr)?;
        match socket.connect(&addr.into()) {
            Err(e) if !in_progress(&e) => return Err(e),
            _ => {}
        }
        // Registered only now: a socket that is not connecting yet reports a hang-up.
        let socket = self.reactor.register(TcpStream::from(socket))?;
        Ok(Arc::new(SystemStream::new(socket)))
    }

    fn udp_bind(&self, addr: SocketAddr) -> io::Result<Arc<dyn Datagrams>> {
        let socket = UdpSocket::bind(addr)?;
        socket.set_nonblocking(true)?;
        let socket = self.reactor.register(socket)?;
        Ok(Arc::new(SystemDatagrams { socket }))
    }

    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((host, port).to_socket_addrs()?.collect())
    }
}

fn in_progress(e: &io::Error) -> bool {
    #[cfg(unix)]
    return e.raw_os_error() == Some(libc::EINPROGRESS) || e.kind() == io::ErrorKind::Interrupted;
    #[cfg(not(unix))]
    return e.kind() == io::ErrorKind::WouldBlock;
}

struct SystemListener {
    socket: Registered<TcpListener>,
    reactor: Arc<Reactor>,
}

impl Listener for SystemListener {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Arc<dyn Stream>, SocketAddr)>> {
        let accept = || self.socket.socket().accept();
        let (stream, peer) = std::task::ready!(self.socket.read().poll_io(cx, accept, |_| false))?;
        stream.set_nonblocking(true)?;
        let socket = self.reactor.register(stream)?;
        Poll::Ready(Ok((Arc::new(SystemStream::new(socket)), peer)))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.socket().local_addr()
    }
}

/// Input that is thrown away when a stream is closed, at the most: what fits
/// the kernel's default buffer. A peer that sends faster than it can be thrown
/// away gets its reset.
const DISCARDED: usize = 128 * 1024;

struct SystemStream {
    socket: Registered<TcpStream>,
    /// Our direction was ended in order.
    ended: AtomicBool,
}

impl SystemStream {
    fn new(socket: Registered<TcpStream>) -> Self {
        SystemStream {
            socket,
            ended: AtomicBool::new(false),
        }
    }
}

/// A socket that is closed with input unread resets the connection, and the
/// reset destroys output that is still under way to the peer (RFC 2525, 2.17).
/// Who has ended its direction in order wants that output to arrive.
impl Drop for SystemStream {
    fn drop(&mut self) {
        if !*self.ended.get_mut() {
            return;
        }
        let mut socket = self.socket.socket();
        let (mut scratch, mut left) = ([0; 4096], DISCARDED);
        while left > 0 {
            match socket.read(&mut scratch) {
                Ok(n) if n > 0 => left = left.saturating_sub(n),
                _ => return,
            }
        }
    }
}

impl Stream for SystemStream {
    fn poll_connected(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = self.socket.socket();
        let check = || {
            if let Some(e) = socket.take_error()? {
                return Err(e);
            }
            match socket.peer_addr() {
                Err(e) if e.kind() == io::ErrorKind::NotConnected => {
                    Err(io::ErrorKind::WouldBlock.into())
                }
                connected => connected.map(drop),
            }
        };
        self.socket.write().poll_io(cx, check, |()| false)
    }

    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut socket = self.socket.socket();
        let room = buf.len();
        self.socket
            .read()
            .poll_io(cx, || socket.read(buf), |n| 0 < *n && *n < room)
    }

    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut socket = self.socket.socket();
        self.socket
            .write()
            .poll_io(cx, || socket.write(buf), |n| 0 < *n && *n < buf.len())
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if how != Shutdown::Read {
            self.ended.store(true, Ordering::Relaxed);
        }
        match self.socket.socket().shutdown(how) {
            // The peer has closed first: what was asked for is the case.
            Err(e) if e.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }

    fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.socket.socket().set_nodelay(on)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.socket().local_addr()
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.socket().peer_addr()
    }
}

struct SystemDatagrams {
    socket: Registered<UdpSocket>,
}

impl Datagrams for SystemDatagrams {
    fn connect(&self, peer: SocketAddr) -> io::Result<()> {
        self.socket.socket().connect(peer)
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        to: Option<SocketAddr>,
    ) -> Poll<io::Result<usize>> {
        let socket = self.socket.socket();
        let send = || match to {
            Some(to) => socket.send_to(buf, to),
            None => socket.send(buf),
        };
        self.socket.write().poll_io(cx, send, |_| false)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let socket = self.socket.socket();
        self.socket
            .read()
            .poll_io(cx, || socket.recv_from(buf), |_| false)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.socket().local_addr()
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.socket().peer_addr()
    }
}
