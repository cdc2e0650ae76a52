//! The network port: non-blocking sockets of the internet and of this host.
//!
//! One waker is kept per direction of a socket: a second reader replaces the
//! first one's. Types in `net` take `&mut self`, or wait for each other's sake.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Shutdown, SocketAddr};
#[cfg(unix)]
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// A socket of the operating system.
pub type SystemSocket = socket2::Socket;

/// Makes sockets.
pub trait Net: Send + Sync {
    /// Listens on `addr`; port 0 picks a free one.
    fn listen(&self, addr: &Addr, options: &Options) -> io::Result<Arc<dyn Listener>>;

    /// Begins to connect; [`Stream::poll_connected`] tells when it is done.
    ///
    /// `WouldBlock` says that the listener of a Unix address has no room, which
    /// nothing announces the end of: the caller asks again.
    fn connect(&self, addr: &Addr, options: &Options) -> io::Result<Arc<dyn Stream>>;

    /// Binds a datagram socket to `addr`; port 0 picks a free one. An unnamed
    /// Unix address makes a socket that nobody can send to.
    fn bind(&self, addr: &Addr, options: &Options) -> io::Result<Arc<dyn Datagrams>>;

    /// Two connected Unix streams.
    fn stream_pair(&self) -> io::Result<[Arc<dyn Stream>; 2]>;

    /// Two Unix datagram sockets, connected to each other.
    fn datagram_pair(&self) -> io::Result<[Arc<dyn Datagrams>; 2]>;

    /// Takes over a listening socket of the system's.
    fn adopt_listener(&self, socket: SystemSocket) -> io::Result<Arc<dyn Listener>>;

    /// Takes over a connected socket of the system's.
    fn adopt_stream(&self, socket: SystemSocket) -> io::Result<Arc<dyn Stream>>;

    /// Takes over a datagram socket of the system's.
    fn adopt_datagrams(&self, socket: SystemSocket) -> io::Result<Arc<dyn Datagrams>>;

    /// Removes the file that a Unix socket left at `path`. May block, so it is
    /// called from offloaded work only.
    fn unlink(&self, path: &Path) -> io::Result<()>;

    /// Looks a host name up. May block, so it is called from offloaded work only.
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// What all sockets have.
pub trait Endpoint: Send + Sync {
    /// The address it is bound to.
    fn local_addr(&self) -> io::Result<Addr>;

    /// The error that a past event left, which is taken by asking.
    fn take_error(&self) -> io::Result<Option<io::Error>>;

    /// Sets an option.
    fn set(&self, setting: Setting) -> io::Result<()>;

    /// An option's value, which the variant that is asked for has.
    fn ask(&self, option: Choice) -> io::Result<Setting>;

    /// The system's descriptor.
    #[cfg(unix)]
    fn descriptor(&self) -> io::Result<BorrowedFd<'_>>;

    /// Gives the system's socket out; the caller is the only one who has this.
    fn release(self: Arc<Self>) -> io::Result<SystemSocket>;
}

/// A listening socket. Dropping it stops listening and resets connections that nobody accepted.
pub trait Listener: Endpoint {
    /// The next connection. A connection is taken only when it is returned.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Arc<dyn Stream>, Addr)>>;
}

/// A stream socket. Dropping the last reference closes it.
pub trait Stream: Endpoint {
    /// Ready once the connection is established or has failed.
    fn poll_connected(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Reads some bytes; 0 is the end of the stream.
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>>;

    /// As [`Stream::poll_read`], and leaves the bytes where they are.
    fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes some bytes.
    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>>;

    /// Writes some of what is in the buffers, in order.
    fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bufs.iter().find(|buf| !buf.is_empty());
        self.poll_write(cx, first.map_or(&[], |buf| &**buf))
    }

    /// Ready when a write is not expected to wait.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends one or both directions.
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;

    /// The other end's address.
    fn peer_addr(&self) -> io::Result<Addr>;

    /// The other end's address as it was known when the stream was made, which
    /// costs nothing and is there when the connection is not any more.
    fn peer(&self) -> Option<Addr>;

    /// Who holds the other end of a Unix stream.
    fn peer_credentials(&self) -> io::Result<Credentials>;
}

/// A datagram socket. Dropping the last reference closes it.
pub trait Datagrams: Endpoint {
    /// Sends to and receives from `peer` only, from now on.
    fn connect(&self, peer: &Addr) -> io::Result<()>;

    /// Sends a datagram, to the peer if no address is given; returns its length.
    ///
    /// `WouldBlock` says that the socket at the given Unix address has no room,
    /// which nothing announces the end of: the caller asks again.
    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        to: Option<&Addr>,
    ) -> Poll<io::Result<usize>>;

    /// Takes the next datagram, cut to `buf`: its length there, and who sent it.
    fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<(usize, Addr)>>;

    /// As [`Datagrams::poll_recv`], and leaves the datagram where it is.
    fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<(usize, Addr)>>;

    /// The address it is connected to.
    fn peer_addr(&self) -> io::Result<Addr>;
}

/// Where a socket is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Addr {
    /// At a host and a port.
    Ip(SocketAddr),
    /// On this host.
    Unix(UnixAddr),
}

impl Addr {
    /// The host, unless it is this one by definition.
    pub fn host(&self) -> Option<IpAddr> {
        match self {
            Addr::Ip(addr) => Some(addr.ip()),
            Addr::Unix(_) => None,
        }
    }
}

impl From<SocketAddr> for Addr {
    fn from(addr: SocketAddr) -> Self {
        Addr::Ip(addr)
    }
}

impl From<UnixAddr> for Addr {
    fn from(addr: UnixAddr) -> Self {
        Addr::Unix(addr)
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Addr::Ip(addr) => addr.fmt(f),
            Addr::Unix(addr) => addr.fmt(f),
        }
    }
}

/// The address of a Unix socket.
///
/// Made from a path; one that begins with a zero byte is an abstract name.
///
/// ```
/// use asupersync::net::UnixAddr;
///
/// let path = UnixAddr::from("/run/service.sock");
/// assert_eq!(path.as_path().unwrap().file_name().unwrap(), "service.sock");
/// assert_eq!(UnixAddr::from("\0service"), UnixAddr::abstract_name("service"));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum UnixAddr {
    /// None: the usual case of a client's end.
    Unnamed,
    /// A file.
    Path(PathBuf),
    /// A name that is no file and goes with its socket. Linux only.
    Abstract(Vec<u8>),
}

impl UnixAddr {
    /// A name in the abstract namespace of Linux, without the zero byte that precedes it.
    pub fn abstract_name(name: impl AsRef<[u8]>) -> Self {
        UnixAddr::Abstract(name.as_ref().to_vec())
    }

    /// The file, if it is one.
    pub fn as_path(&self) -> Option<&Path> {
        match self {
            UnixAddr::Path(path) => Some(path),
            UnixAddr::Unnamed | UnixAddr::Abstract(_) => None,
        }
    }

    /// The name in the abstract namespace, if it is one.
    pub fn as_abstract_name(&self) -> Option<&[u8]> {
        match self {
            UnixAddr::Abstract(name) => Some(name),
            UnixAddr::Unnamed | UnixAddr::Path(_) => None,
        }
    }

    /// Whether it names nothing.
    pub fn is_unnamed(&self) -> bool {
        *self == UnixAddr::Unnamed
    }
}

impl From<&Path> for UnixAddr {
    fn from(path: &Path) -> Self {
        match path.as_os_str().as_encoded_bytes() {
            [0, name @ ..] => UnixAddr::abstract_name(name),
            _ => UnixAddr::Path(path.to_owned()),
        }
    }
}

macro_rules! from_path {
    ($($t:ty),*) => {$(
        impl From<$t> for UnixAddr {
            fn from(path: $t) -> Self {
                let path: &Path = path.as_ref();
                path.into()
            }
        }
    )*};
}
from_path!(&str, &String, String, &PathBuf, PathBuf);

impl From<&UnixAddr> for UnixAddr {
    fn from(addr: &UnixAddr) -> Self {
        addr.clone()
    }
}

impl fmt::Display for UnixAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnixAddr::Unnamed => f.write_str("(unnamed)"),
            UnixAddr::Path(path) => write!(f, "`{}`", path.display()),
            UnixAddr::Abstract(name) => write!(f, "@`{}`", name.escape_ascii()),
        }
    }
}

/// Who holds the other end of a Unix stream, as of the moment it was connected.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Credentials {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The process, if it has a number here.
    pub pid: Option<i32>,
}

/// Probes that tell whether the other end of an idle connection is still there.
///
/// What is not said is the system's.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[must_use]
pub struct Keepalive {
    /// See [`Keepalive::time`].
    pub(crate) time: Option<Duration>,
    /// See [`Keepalive::interval`].
    pub(crate) interval: Option<Duration>,
    /// See [`Keepalive::retries`].
    pub(crate) retries: Option<u32>,
}

impl Keepalive {
    /// Everything as the system has it.
    pub const fn new() -> Self {
        Keepalive {
            time: None,
            interval: None,
            retries: None,
        }
    }

    /// How long nothing must come before it is probed for; whole seconds.
    pub const fn time(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }

    /// How long after a probe the next one goes out; whole seconds.
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.interval = Some(interval);
        self
    }

    /// How many probes may stay unanswered.
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = Some(retries);
        self
    }
}

/// A group of hosts, and the interface on which a socket hears it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Group {
    /// A group, and the address of an interface; 0.0.0.0 lets the system choose.
    V4(std::net::Ipv4Addr, std::net::Ipv4Addr),
    /// A group, and the index of an interface; 0 lets the system choose.
    V6(std::net::Ipv6Addr, u32),
}

/// The name of an interface of the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Device([u8; Device::ROOM]);

impl Device {
    /// Bytes that the system has for a name, with the zero at its end.
    const ROOM: usize = 16;

    /// Names one; see [`Device::is_valid`].
    pub fn new(name: &str) -> Self {
        let mut bytes = [0; Device::ROOM];
        let most = name.len().min(Device::ROOM);
        bytes[..most].copy_from_slice(&name.as_bytes()[..most]);
        Device(bytes)
    }

    /// Its name.
    pub fn name(&self) -> &[u8] {
        let end = self.0.iter().position(|byte| *byte == 0);
        &self.0[..end.unwrap_or(Device::ROOM)]
    }

    /// Whether an interface can have the name: 1 to 15 bytes.
    pub fn is_valid(&self) -> bool {
        (1..Device::ROOM).contains(&self.name().len())
    }
}

macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident($value:ty),)*) => {
        /// An option of a socket, with its value.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Setting {
            $($(#[$doc])* $name($value),)*
        }

        /// An option of a socket.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Choice {
            $($(#[$doc])* $name,)*
        }

        impl Setting {
            /// Which one it is.
            pub const fn choice(self) -> Choice {
                match self {
                    $(Setting::$name(_) => Choice::$name,)*
                }
            }
        }
    };
}

settings! {
    /// Small writes go out at once.
    NoDelay(bool),
    /// Idle connections are probed.
    Keepalive(Option<Keepalive>),
    /// How long closing may take; zero resets.
    Linger(Option<Duration>),
    /// Hops that what is sent may take.
    Ttl(u32),
    /// What is asked of the network for what is sent: the TOS byte of IPv4, the
    /// traffic class of IPv6.
    TrafficClass(u32),
    /// What arrives is acknowledged at once, until the system decides otherwise.
    QuickAck(bool),
    /// Traffic goes through this interface alone.
    Device(Option<Device>),
    /// Bytes that the system keeps until they are sent.
    SendBuffer(usize),
    /// Bytes that the system keeps until they are read.
    RecvBuffer(usize),
    /// An address with connections of the past may be listened on.
    ReuseAddress(bool),
    /// Several sockets share the address.
    ReusePort(bool),
    /// An IPv6 socket takes no IPv4 traffic.
    OnlyV6(bool),
    /// Datagrams may go to broadcast addresses.
    Broadcast(bool),
    /// Datagrams to groups come back to this host.
    MulticastLoop(bool),
    /// Hops that datagrams to groups may take.
    MulticastTtl(u32),
    /// Datagrams to the group are received.
    Join(Group),
    /// Datagrams to the group are no longer received.
    Leave(Group),
}

/// How a socket is made.
#[derive(Clone, Default, Debug)]
pub struct Options {
    /// The address that a connecting socket leaves from.
    pub bind: Option<Addr>,
    /// Connections that may wait to be accepted.
    pub backlog: Option<u32>,
    /// What is set before the socket is bound.
    pub settings: Vec<Setting>,
}
