//! The network port over the operating system's sockets.

mod options;
mod raw;

use super::reactor::{READY, Reactor, Registered};
use crate::io::explain;
use crate::world::net::{
    Addr, Choice, Credentials, Datagrams, Endpoint, Listener, Net, Options, Setting, Stream,
    UnixAddr,
};
use raw::uninit;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, IoSlice, Read};
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

/// Connections the kernel keeps for a listener until they are accepted; it cuts this to its own limit.
const BACKLOG: u32 = 1024;
/// A peer that is gone is an error of the write, not a signal to the process.
/// Where there is no such flag, `socket2` sets an option on each socket.
#[cfg(all(unix, not(target_vendor = "apple")))]
const QUIET: i32 = libc::MSG_NOSIGNAL;
#[cfg(not(all(unix, not(target_vendor = "apple"))))]
const QUIET: i32 = 0;

/// Buffers of one write: POSIX asks for 16, and Linux and others take 1024.
const SLICES: usize = 64;

pub(super) struct Sockets {
    reactor: Arc<Reactor>,
}

impl Sockets {
    pub(super) fn new(reactor: Arc<Reactor>) -> Self {
        Sockets { reactor }
    }

    fn stream(&self, socket: Socket, peer: Option<Addr>) -> io::Result<Arc<dyn Stream>> {
        let socket = self.reactor.register(socket)?;
        Ok(Arc::new(SystemStream::new(socket, peer)))
    }

    fn datagrams(&self, socket: Socket) -> io::Result<Arc<dyn Datagrams>> {
        let unix = to_addr(&socket.local_addr()?)?.host().is_none();
        let socket = self.reactor.register(socket)?;
        Ok(Arc::new(SystemDatagrams { socket, unix }))
    }

    fn listener(&self, socket: Socket) -> io::Result<Arc<dyn Listener>> {
        let socket = self.reactor.register(socket)?;
        Ok(Arc::new(SystemListener {
            socket,
            reactor: Arc::clone(&self.reactor),
        }))
    }
}

/// A socket that blocks nobody, with its options.
fn socket(addr: &Addr, kind: Type, options: &Options) -> io::Result<Socket> {
    let (domain, protocol) = match addr {
        Addr::Ip(addr) if kind == Type::STREAM => (Domain::for_address(*addr), Some(Protocol::TCP)),
        Addr::Ip(addr) => (Domain::for_address(*addr), Some(Protocol::UDP)),
        Addr::Unix(_) => (Domain::UNIX, None),
    };
    let socket = Socket::new(domain, kind, protocol)?;
    socket.set_nonblocking(true)?;
    for setting in &options.settings {
        options::set(&socket, *setting)?;
    }
    Ok(socket)
}

impl Net for Sockets {
    fn listen(&self, addr: &Addr, options: &Options) -> io::Result<Arc<dyn Listener>> {
        let named = |s: &Setting| s.choice() == Choice::ReuseAddress;
        let socket = socket(addr, Type::STREAM, options)?;
        // Elsewhere the option lets a second process take the port over.
        if cfg!(unix) && addr.host().is_some() && !options.settings.iter().any(named) {
            socket.set_reuse_address(true)?;
        }
        socket.bind(&to_system(addr)?)?;
        let backlog = options.backlog.unwrap_or(BACKLOG);
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        self.listener(socket)
    }

    fn connect(&self, addr: &Addr, options: &Options) -> io::Result<Arc<dyn Stream>> {
        let to = to_system(addr)?;
        let socket = socket(addr, Type::STREAM, options)?;
        if let Some(from) = &options.bind {
            let bound = to_system(from).and_then(|from| socket.bind(&from));
            bound.map_err(|e| explain(format!("cannot leave from {from}"), e, ""))?;
        }
        match socket.connect(&to) {
            Err(e) if !in_progress(&e) => {
                if let Some(Addr::Unix(UnixAddr::Path(path))) = &options.bind {
                    // The next attempt binds again. It was made a moment ago.
                    let _ = std::fs::remove_file(path);
                }
                return Err(e);
            }
            _ => {}
        }
        // Registered only now: a socket that is not connecting yet reports a hang-up.
        self.stream(socket, Some(addr.clone()))
    }

    fn bind(&self, addr: &Addr, options: &Options) -> io::Result<Arc<dyn Datagrams>> {
        let socket = socket(addr, Type::DGRAM, options)?;
        if *addr != Addr::Unix(UnixAddr::Unnamed) {
            socket.bind(&to_system(addr)?)?;
        }
        self.datagrams(socket)
    }

    fn stream_pair(&self) -> io::Result<[Arc<dyn Stream>; 2]> {
        let [a, b] = pair(Type::STREAM)?;
        let unnamed = || Some(Addr::Unix(UnixAddr::Unnamed));
        Ok([self.stream(a, unnamed())?, self.stream(b, unnamed())?])
    }

    fn datagram_pair(&self) -> io::Result<[Arc<dyn Datagrams>; 2]> {
        let [a, b] = pair(Type::DGRAM)?;
        Ok([self.datagrams(a)?, self.datagrams(b)?])
    }

    fn adopt_listener(&self, socket: Socket) -> io::Result<Arc<dyn Listener>> {
        socket.set_nonblocking(true)?;
        self.listener(socket)
    }

    fn adopt_stream(&self, socket: Socket) -> io::Result<Arc<dyn Stream>> {
        socket.set_nonblocking(true)?;
        let peer = socket.peer_addr().and_then(|peer| to_addr(&peer));
        self.stream(socket, peer.ok())
    }

    fn adopt_datagrams(&self, socket: Socket) -> io::Result<Arc<dyn Datagrams>> {
        socket.set_nonblocking(true)?;
        self.datagrams(socket)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::FileTypeExt;
            if !std::fs::symlink_metadata(path)?.file_type().is_socket() {
                let message = format!("`{}` is no socket", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        }
        std::fs::remove_file(path)
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

#[cfg(unix)]
fn pair(kind: Type) -> io::Result<[Socket; 2]> {
    let (a, b) = Socket::pair(Domain::UNIX, kind, None)?;
    a.set_nonblocking(true)?;
    b.set_nonblocking(true)?;
    Ok([a, b])
}

#[cfg(not(unix))]
fn pair(_: Type) -> io::Result<[Socket; 2]> {
    let message = "this system makes no pairs of Unix sockets";
    Err(io::Error::new(io::ErrorKind::Unsupported, message))
}

fn to_system(addr: &Addr) -> io::Result<SockAddr> {
    match addr {
        Addr::Ip(addr) => Ok((*addr).into()),
        Addr::Unix(UnixAddr::Path(path)) => SockAddr::unix(path),
        #[cfg(any(target_os = "linux", target_os = "android"))]
        Addr::Unix(UnixAddr::Abstract(name)) => {
            use std::os::unix::ffi::OsStringExt;
            let name: Vec<u8> = std::iter::once(0).chain(name.iter().copied()).collect();
            SockAddr::unix(std::ffi::OsString::from_vec(name))
        }
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        Addr::Unix(UnixAddr::Abstract(_)) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "only Linux has abstract names; use a path",
        )),
        Addr::Unix(UnixAddr::Unnamed) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the address names no socket; use a path",
        )),
    }
}

fn to_addr(addr: &SockAddr) -> io::Result<Addr> {
    if let Some(addr) = addr.as_socket() {
        return Ok(Addr::Ip(addr));
    }
    if !addr.is_unix() {
        let message = format!("sockets of family {} are not known here", addr.family());
        return Err(io::Error::new(io::ErrorKind::Unsupported, message));
    }
    #[cfg(unix)]
    {
        if let Some(path) = addr.as_pathname() {
            return Ok(Addr::Unix(UnixAddr::Path(path.to_owned())));
        }
        if let Some(name) = addr.as_abstract_namespace() {
            return Ok(Addr::Unix(UnixAddr::Abstract(name.to_owned())));
        }
    }
    Ok(Addr::Unix(UnixAddr::Unnamed))
}

/// What registers a socket of the system's.
trait Registers: Send + Sync {
    fn registered(&self) -> &Registered<Socket>;
    fn registered_mut(&mut self) -> &mut Registered<Socket>;
}

macro_rules! registers {
    ($($t:ty),*) => {$(
        impl Registers for $t {
            fn registered(&self) -> &Registered<Socket> {
                &self.socket
            }

            fn registered_mut(&mut self) -> &mut Registered<Socket> {
                &mut self.socket
            }
        }
    )*};
}
registers!(SystemListener, SystemStream, SystemDatagrams);

impl<T: Registers> Endpoint for T {
    fn local_addr(&self) -> io::Result<Addr> {
        to_addr(&self.registered().socket().local_addr()?)
    }

    fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.registered().socket().take_error()
    }

    fn set(&self, setting: Setting) -> io::Result<()> {
        options::set(self.registered().socket(), setting)
    }

    fn ask(&self, option: Choice) -> io::Result<Setting> {
        options::ask(self.registered().socket(), option)
    }

    #[cfg(unix)]
    fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        Ok(self.registered().socket().as_fd())
    }

    fn release(self: Arc<Self>) -> io::Result<Socket> {
        let mut socket = Arc::into_inner(self);
        let socket = socket.as_mut().and_then(|s| s.registered_mut().take());
        socket.ok_or_else(|| io::Error::other("the socket is in use elsewhere"))
    }
}

struct SystemListener {
    socket: Registered<Socket>,
    reactor: Arc<Reactor>,
}

impl Listener for SystemListener {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Arc<dyn Stream>, Addr)>> {
        let accept = || accept(self.socket.socket());
        let (socket, peer) = ready!(self.socket.read().poll_io(cx, accept, |_| false))?;
        let peer = to_addr(&peer)?;
        let socket = self.reactor.register(socket)?;
        let stream = SystemStream::new(socket, Some(peer.clone()));
        Poll::Ready(Ok((Arc::new(stream), peer)))
    }
}

#[cfg(target_os = "linux")]
fn accept(listener: &Socket) -> io::Result<(Socket, SockAddr)> {
    listener.accept4(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC)
}

#[cfg(not(target_os = "linux"))]
fn accept(listener: &Socket) -> io::Result<(Socket, SockAddr)> {
    let (socket, peer) = listener.accept()?;
    socket.set_nonblocking(true)?;
    Ok((socket, peer))
}

/// Input that is thrown away when a stream is closed, at the most: what fits
/// the kernel's default buffer. A peer that sends faster than it can be thrown
/// away gets its reset.
const DISCARDED: usize = 128 * 1024;

struct SystemStream {
    socket: Registered<Socket>,
    /// Our direction was ended in order.
    ended: AtomicBool,
    /// A [`Reads`], written by the one reader.
    reads: AtomicU8,
    /// Who is, or is to be, at the other end: the system forgets it with the connection.
    peer: Option<Addr>,
}

/// How a stream is read. A read that fills its buffer does not say whether
/// more is there, and finding out takes another read, which is wasted when it
/// finds nothing. Protocols with messages of a known length do that at every
/// message, so the first wasted read makes the kernel tell how much it leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Reads {
    Plain,
    /// The last one filled its buffer.
    Filled,
    Told,
    /// Filled or not: the kernel does not tell.
    Untold,
}

impl Reads {
    const ALL: [Reads; 4] = [Reads::Plain, Reads::Filled, Reads::Told, Reads::Untold];
}

impl SystemStream {
    fn new(socket: Registered<Socket>, peer: Option<Addr>) -> Self {
        SystemStream {
            peer,
            socket,
            ended: AtomicBool::new(false),
            reads: AtomicU8::new(Reads::Plain as u8),
        }
    }
}

impl SystemStream {
    fn reads(&self) -> Reads {
        Reads::ALL[usize::from(self.reads.load(Ordering::Relaxed))]
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
        let Some(mut socket) = self.socket.take() else {
            return;
        };
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
        let (socket, room) = (self.socket.socket(), buf.len());
        let mut reads = self.reads();
        let read = || match reads {
            Reads::Told => raw::recv_told(socket, buf),
            Reads::Plain | Reads::Filled | Reads::Untold => match socket.recv(uninit(buf)) {
                Err(e) if reads == Reads::Filled && e.kind() == io::ErrorKind::WouldBlock => {
                    reads = raw::tell_left(socket).map_or(Reads::Untold, |()| Reads::Told);
                    self.reads.store(reads as u8, Ordering::Relaxed);
                    Err(e)
                }
                read => Ok((read?, None)),
            },
        };
        let drained = |(n, left): &(usize, _)| 0 < *n && (*n < room || *left == Some(0));
        let (n, _) = ready!(self.socket.read().poll_io(cx, read, drained))?;
        let filled = [Reads::Plain, Reads::Filled][usize::from(n == room)];
        if reads != filled && matches!(reads, Reads::Plain | Reads::Filled) {
            self.reads.store(filled as u8, Ordering::Relaxed);
        }
        Poll::Ready(Ok(n))
    }

    fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let peek = || self.socket.socket().peek(uninit(buf));
        self.socket.read().poll_io(cx, peek, |_| false)
    }

    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let send = || self.socket.socket().send_with_flags(buf, QUIET);
        self.socket
            .write()
            .poll_io(cx, send, |n| 0 < *n && *n < buf.len())
    }

    fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // The system takes so many at once, and refuses more.
        let bufs = &bufs[..bufs.len().min(SLICES)];
        let send = || self.socket.socket().send_vectored_with_flags(bufs, QUIET);
        let room = bufs.iter().map(|buf| buf.len()).sum();
        let short = |n: &usize| 0 < *n && *n < room;
        self.socket.write().poll_io(cx, send, short)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.write().poll_ready(cx, READY).map(|_| Ok(()))
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

    fn peer_addr(&self) -> io::Result<Addr> {
        to_addr(&self.socket.socket().peer_addr()?)
    }

    fn peer(&self) -> Option<Addr> {
        self.peer.clone()
    }

    fn peer_credentials(&self) -> io::Result<Credentials> {
        raw::peer_credentials(self.socket.socket())
    }
}

struct SystemDatagrams {
    socket: Registered<Socket>,
    /// The system announces room at the receiver only to who is connected to it.
    unix: bool,
}

impl Datagrams for SystemDatagrams {
    fn connect(&self, peer: &Addr) -> io::Result<()> {
        self.socket.socket().connect(&to_system(peer)?)
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        to: Option<&Addr>,
    ) -> Poll<io::Result<usize>> {
        let socket = self.socket.socket();
        let Some(to) = to else {
            let send = || socket.send_with_flags(buf, QUIET);
            return self.socket.write().poll_io(cx, send, |_| false);
        };
        let to = to_system(to)?;
        let send = || socket.send_to_with_flags(buf, &to, QUIET);
        if self.unix {
            return Poll::Ready(send());
        }
        self.socket.write().poll_io(cx, send, |_| false)
    }

    fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<(usize, Addr)>> {
        let recv = || self.socket.socket().recv_from(uninit(buf));
        let (n, from) = ready!(self.socket.read().poll_io(cx, recv, |_| false))?;
        Poll::Ready(Ok((n, sender(&from)?)))
    }

    fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<(usize, Addr)>> {
        let peek = || self.socket.socket().peek_from(uninit(buf));
        let (n, from) = ready!(self.socket.read().poll_io(cx, peek, |_| false))?;
        Poll::Ready(Ok((n, sender(&from)?)))
    }

    fn peer_addr(&self) -> io::Result<Addr> {
        to_addr(&self.socket.socket().peer_addr()?)
    }
}

/// An unnamed sender has an address without a family.
fn sender(from: &SockAddr) -> io::Result<Addr> {
    if from.family() == 0 {
        return Ok(Addr::Unix(UnixAddr::Unnamed));
    }
    to_addr(from)
}

#[cfg(test)]
mod tests;
