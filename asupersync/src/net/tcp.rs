//! TCP: making listeners and streams.

use super::addrs::{ToAddrs, addresses_of, first_of};
use super::connect::Connect;
use super::family::Ip;
use super::listener::SocketListener;
use super::settings::check;
use super::stream::SocketStream;
use crate::cx::Cx;
use crate::types::caps::Capability;
use crate::world::net::{Device, Keepalive, Options, Setting};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// A TCP socket that accepts connections.
///
/// ```
/// use asupersync::io::{ReadExt, WriteExt};
/// use asupersync::net::{TcpListener, TcpStream};
/// use asupersync::{Cx, Runtime, Scope};
///
/// # let runtime = Runtime::builder().current_thread().build().unwrap();
/// # runtime.block_on(async |scope: Scope| -> std::io::Result<()> {
/// let listener = TcpListener::bind(&scope, "127.0.0.1:0").await?;
/// let addr = listener.local_addr()?;
/// let server = scope.try_spawn(async move |cx: Cx| -> std::io::Result<()> {
///     let (mut stream, _peer) = listener.accept(&cx).await?;
///     stream.write_all(&cx, b"hello").await
/// });
/// let mut stream = TcpStream::connect(&scope, addr).await?;
/// let mut text = String::new();
/// stream.read_to_string(&scope, &mut text).await?;
/// assert_eq!(text, "hello");
/// server.await.into_result().map_err(std::io::Error::from)
/// # }).unwrap().unwrap();
/// ```
pub type TcpListener = SocketListener<Ip>;

/// A TCP connection.
pub type TcpStream = SocketStream<Ip>;

impl SocketListener<Ip> {
    /// Listens on the first address that can be; port 0 picks a free one.
    ///
    /// [`TcpSocket::listen`] takes options.
    ///
    /// *Cancellation.* Safe while a host name is looked up; the rest does not wait.
    ///
    /// # Errors
    /// The last address's, which it names; one that wraps [`Cancelled`](crate::Cancelled);
    /// `PermissionDenied` from a context without [`Capability::Net`].
    pub async fn bind(cx: &Cx, addr: impl ToAddrs) -> io::Result<Self> {
        TcpSocket::new().listen(cx, addr).await
    }

    /// Takes over a listener of the standard library, and makes it non-blocking.
    ///
    /// # Errors
    /// The system's; `PermissionDenied` from a context without
    /// [`Capability::Net`]; `Unsupported` in the lab.
    pub fn from_std(cx: &Cx, listener: std::net::TcpListener) -> io::Result<Self> {
        cx.require(Capability::Net)?;
        let inner = cx.world().net().adopt_listener(listener.into())?;
        Ok(SocketListener::new(inner))
    }

    /// The listener as the standard library's; it stays non-blocking.
    ///
    /// # Errors
    /// `Unsupported` in the lab.
    pub fn into_std(self) -> io::Result<std::net::TcpListener> {
        self.inner.release().map(Into::into)
    }
}

impl SocketStream<Ip> {
    /// Connects to the first address that answers: they are tried in order, the
    /// next one beside the others after 250 ms or at once after a refusal.
    ///
    /// [`TcpSocket::connect`] takes options.
    ///
    /// *Cancellation.* Lossy: the attempts are closed, which the peers may see.
    ///
    /// # Errors
    /// The last address's, which it names; one that wraps [`Cancelled`](crate::Cancelled);
    /// `PermissionDenied` from a context without [`Capability::Net`].
    pub async fn connect(cx: &Cx, addr: impl ToAddrs) -> io::Result<Self> {
        TcpSocket::new().connect(cx, addr).await
    }

    /// Takes over a connected stream of the standard library, and makes it non-blocking.
    ///
    /// # Errors
    /// The system's; `PermissionDenied` from a context without
    /// [`Capability::Net`]; `Unsupported` in the lab.
    pub fn from_std(cx: &Cx, stream: std::net::TcpStream) -> io::Result<Self> {
        cx.require(Capability::Net)?;
        let inner = cx.world().net().adopt_stream(stream.into())?;
        Ok(SocketStream::new(inner))
    }

    /// The stream as the standard library's; it stays non-blocking.
    ///
    /// # Errors
    /// `Unsupported` in the lab.
    pub fn into_std(self) -> io::Result<std::net::TcpStream> {
        self.inner.release().map(Into::into)
    }
}

/// Options for TCP sockets that are to be made; chainable.
///
/// It is a value, not a socket: it makes any number of them, one for each
/// address that is tried. Options of a listener are those of the connections
/// it accepts as well, as far as the system has it so.
///
/// The lab models the backlog, the address that a connection leaves from, and
/// lingering for zero. It keeps the others for whoever asks, and nothing else
/// follows from them: its buffers are those of its
/// [`NetModel`](crate::lab::NetModel), every write leaves at once, nobody probes
/// idle connections, and an address is free as soon as its listener is gone. It
/// answers `Unsupported` to sharing a port, to interfaces, and to IPv6 sockets with IPv4 traffic.
///
/// ```
/// use asupersync::net::{Keepalive, TcpSocket};
/// use asupersync::{Runtime, Scope};
/// use std::time::Duration;
///
/// # let runtime = Runtime::builder().current_thread().build().unwrap();
/// # runtime.block_on(async |scope: Scope| -> std::io::Result<()> {
/// let probes = Keepalive::new().time(Duration::from_secs(60)).retries(3);
/// let socket = TcpSocket::new().nodelay(true).keepalive(probes);
/// let listener = socket.clone().backlog(16).listen(&scope, "127.0.0.1:0").await?;
/// let stream = socket.connect(&scope, listener.local_addr()?).await?;
/// assert!(stream.nodelay()?);
/// # Ok(()) }).unwrap().unwrap();
/// ```
#[derive(Clone, Default, Debug)]
#[must_use = "it makes sockets with `listen` and `connect`"]
pub struct TcpSocket {
    options: Options,
}

impl TcpSocket {
    /// The options of [`TcpListener::bind`] and [`TcpStream::connect`].
    pub fn new() -> Self {
        TcpSocket::default()
    }

    fn with(mut self, setting: Setting) -> Self {
        self.options.settings.push(setting);
        self
    }

    /// The address that connections leave from; port 0 picks a free one.
    /// Only addresses of the same family can then be connected to.
    pub fn bind(mut self, addr: SocketAddr) -> Self {
        self.options.bind = Some(addr.into());
        self
    }

    /// How many connections may wait to be accepted; 1024 by default. The
    /// system cuts it to its own limit, and the lab to its model's.
    pub fn backlog(mut self, connections: u32) -> Self {
        self.options.backlog = Some(connections);
        self
    }

    /// Whether an address that has connections in their last state (`TIME_WAIT`)
    /// may be listened on; so it is by default, except on Windows, where the
    /// option lets others take the port over.
    pub fn reuse_address(self, on: bool) -> Self {
        self.with(Setting::ReuseAddress(on))
    }

    /// Whether several sockets that all say so listen on one address, and the
    /// system deals the connections out. Not on Windows, nor in the lab.
    pub fn reuse_port(self, on: bool) -> Self {
        self.with(Setting::ReusePort(on))
    }

    /// Whether an IPv6 listener takes no IPv4 connections.
    pub fn only_v6(self, on: bool) -> Self {
        self.with(Setting::OnlyV6(on))
    }

    /// Whether small writes go out at once instead of waiting for more.
    pub fn nodelay(self, on: bool) -> Self {
        self.with(Setting::NoDelay(on))
    }

    /// Probes idle connections.
    pub fn keepalive(self, keepalive: Keepalive) -> Self {
        self.with(Setting::Keepalive(Some(keepalive)))
    }

    /// What closing does: see [`TcpStream::set_linger`].
    pub fn linger(self, linger: Option<Duration>) -> Self {
        self.with(Setting::Linger(linger))
    }

    /// How many hops packets may take.
    pub fn ttl(self, hops: u32) -> Self {
        self.with(Setting::Ttl(hops))
    }

    /// What is asked of the network for what is sent: the TOS byte of IPv4, the
    /// traffic class of IPv6.
    pub fn traffic_class(self, class: u32) -> Self {
        self.with(Setting::TrafficClass(class))
    }

    /// Lets the traffic go through this interface alone. Linux only, not in the lab.
    pub fn bind_device(self, interface: &str) -> Self {
        self.with(Setting::Device(Some(Device::new(interface))))
    }

    /// Bytes that the system keeps until they are sent; it may round them up.
    pub fn send_buffer_size(self, bytes: usize) -> Self {
        self.with(Setting::SendBuffer(bytes))
    }

    /// Bytes that the system keeps until they are read; it may round them up.
    pub fn recv_buffer_size(self, bytes: usize) -> Self {
        self.with(Setting::RecvBuffer(bytes))
    }

    /// As [`TcpListener::bind`], with these options.
    ///
    /// *Cancellation.* Safe while a host name is looked up; the rest does not wait.
    ///
    /// # Errors
    /// Those of [`TcpListener::bind`], and the system's about an option.
    pub async fn listen(&self, cx: &Cx, addr: impl ToAddrs) -> io::Result<TcpListener> {
        let addrs = self.addresses(cx, addr).await?;
        let net = cx.world().net();
        let inner = first_of("listen on", addrs, |addr| {
            net.listen(&addr.into(), &self.options)
        })?;
        Ok(SocketListener::new(inner))
    }

    /// As [`TcpStream::connect`], with these options.
    ///
    /// *Cancellation.* Lossy: the attempts are closed, which the peers may see.
    ///
    /// # Errors
    /// Those of [`TcpStream::connect`], and the system's about an option.
    pub async fn connect(&self, cx: &Cx, addr: impl ToAddrs) -> io::Result<TcpStream> {
        let addrs = self.addresses(cx, addr).await?;
        let inner = Connect::new(cx, addrs, self.options.clone()).await?;
        Ok(SocketStream::new(inner))
    }

    async fn addresses(&self, cx: &Cx, addr: impl ToAddrs) -> io::Result<Vec<SocketAddr>> {
        cx.checkpoint()?;
        cx.require(Capability::Net)?;
        self.options.settings.iter().copied().try_for_each(check)?;
        addresses_of(cx, addr).await
    }
}
