//! Unix sockets: making them, and what they have beyond those of the internet.

use super::connect::Connect;
use super::datagrams::{DatagramSocket, Send};
use super::family::Unix;
use super::listener::SocketListener;
use super::stream::SocketStream;
use crate::cx::Cx;
use crate::io::explain;
use crate::io::offload::offload;
use crate::types::caps::Capability;
use crate::world::net::{Credentials, Options, Setting};
use crate::world::{Addr, UnixAddr};
use std::io;
use std::path::Path;

/// A Unix socket that accepts connections.
///
/// In the lab a path is a name of the virtual host and no file.
///
/// ```
/// use asupersync::io::{ReadExt, WriteExt};
/// use asupersync::net::{UnixAddr, UnixListener, UnixStream};
/// use asupersync::{Cx, LabConfig, LabRuntime, Scope};
///
/// LabRuntime::new(LabConfig::default()).run(async |scope: Scope| {
///     let listener = UnixListener::bind(&scope, "/run/greeter.sock").await.unwrap();
///     scope.spawn(async move |cx: Cx| {
///         let (mut stream, _) = listener.accept(&cx).await.unwrap();
///         stream.write_all(&cx, b"hello").await.unwrap();
///     });
///     let mut stream = UnixStream::connect(&scope, "/run/greeter.sock").await.unwrap();
///     let mut text = String::new();
///     stream.read_to_string(&scope, &mut text).await.unwrap();
///     assert_eq!(text, "hello");
/// });
/// ```
pub type UnixListener = SocketListener<Unix>;

/// A connection of two processes of this host, or of one with itself.
pub type UnixStream = SocketStream<Unix>;

/// A socket of datagrams that stay on this host: none is lost, doubled or reordered.
///
/// ```
/// use asupersync::net::UnixDatagram;
/// use asupersync::{LabConfig, LabRuntime, Scope};
///
/// LabRuntime::new(LabConfig::default()).run(async |scope: Scope| {
///     let log = UnixDatagram::bind(&scope, "/run/log.sock").await.unwrap();
///     let service = UnixDatagram::unbound(&scope).unwrap();
///     service.send_to(&scope, b"started", "/run/log.sock").await.unwrap();
///     let mut buf = [0; 64];
///     let (n, from) = log.recv_from(&scope, &mut buf).await.unwrap();
///     assert_eq!((&buf[..n], from.is_unnamed()), (&b"started"[..], true));
/// });
/// ```
pub type UnixDatagram = DatagramSocket<Unix>;

/// Options for Unix sockets that are to be made; chainable.
///
/// As [`TcpSocket`](super::TcpSocket) it is a value, and makes any number of
/// sockets. A client that binds has an address of its own, by which a server
/// can tell it from others, and to which datagrams can be answered.
///
/// ```
/// use asupersync::net::{UnixAddr, UnixSocket};
/// use asupersync::{LabConfig, LabRuntime, Scope};
///
/// LabRuntime::new(LabConfig::default()).run(async |scope: Scope| {
///     let listener = UnixSocket::new().backlog(4).listen(&scope, "/run/a.sock").await.unwrap();
///     let socket = UnixSocket::new().bind("/run/client-7.sock");
///     let _client = socket.connect(&scope, "/run/a.sock").await.unwrap();
///     let (_server, peer) = listener.accept(&scope).await.unwrap();
///     assert_eq!(peer, UnixAddr::from("/run/client-7.sock"));
/// });
/// ```
#[derive(Clone, Default, Debug)]
#[must_use = "it makes sockets with `listen`, `connect` and `datagram`"]
pub struct UnixSocket {
    options: Options,
}

impl UnixSocket {
    /// The options of [`UnixListener::bind`], [`UnixStream::connect`] and
    /// [`UnixDatagram::unbound`].
    pub fn new() -> Self {
        UnixSocket::default()
    }

    /// The address that a connection leaves from, or that a socket of datagrams
    /// has: a path that must not exist, or an abstract name.
    ///
    /// Dropping the socket leaves the file behind: see [`remove_socket_file`]. A
    /// connection that fails does not.
    pub fn bind(mut self, addr: impl Into<UnixAddr>) -> Self {
        self.options.bind = Some(Addr::Unix(addr.into()));
        self
    }

    /// How many connections may wait to be accepted; 1024 by default. The
    /// system cuts it to its own limit, and the lab to its model's.
    pub fn backlog(mut self, connections: u32) -> Self {
        self.options.backlog = Some(connections);
        self
    }

    /// Bytes that the system keeps until they are read at the other end; it may
    /// round them up, and the lab has those of its model.
    pub fn send_buffer_size(mut self, bytes: usize) -> Self {
        self.options.settings.push(Setting::SendBuffer(bytes));
        self
    }

    /// As [`UnixListener::bind`], with these options: the address is `addr`, and
    /// what [`UnixSocket::bind`] says is for connections.
    ///
    /// *Cancellation.* Safe: does not wait.
    ///
    /// # Errors
    /// Those of [`UnixListener::bind`].
    pub async fn listen(&self, cx: &Cx, addr: impl Into<UnixAddr>) -> io::Result<UnixListener> {
        let addr = named(cx, addr.into())?;
        let inner = cx.world().net().listen(&addr, &self.options);
        let inner = inner.map_err(|e| at("listen on", &addr, e))?;
        Ok(SocketListener::new(inner))
    }

    /// As [`UnixStream::connect`], with these options.
    ///
    /// *Cancellation.* Lossy: the listener may have got a connection, which is
    /// closed, and the file of the address that it was to leave from may be there.
    ///
    /// # Errors
    /// Those of [`UnixStream::connect`]; `AddrInUse` if there is a file at the
    /// path that it is to leave from.
    pub async fn connect(&self, cx: &Cx, addr: impl Into<UnixAddr>) -> io::Result<UnixStream> {
        let addr = named(cx, addr.into())?;
        let inner = Connect::new(cx, vec![addr], self.options.clone()).await?;
        Ok(SocketStream::new(inner))
    }

    /// A socket of datagrams at the address of [`UnixSocket::bind`], or without one.
    ///
    /// *Cancellation.* Safe: does not wait.
    ///
    /// # Errors
    /// Those of [`UnixDatagram::bind`].
    pub async fn datagram(&self, cx: &Cx) -> io::Result<UnixDatagram> {
        let addr = match &self.options.bind {
            Some(addr) => addr.clone(),
            None => Addr::Unix(UnixAddr::Unnamed),
        };
        cx.checkpoint()?;
        cx.require(Capability::Net)?;
        let inner = cx.world().net().bind(&addr, &self.options);
        let inner = inner.map_err(|e| at("bind to", &addr, e))?;
        Ok(DatagramSocket::new(inner))
    }
}

impl SocketListener<Unix> {
    /// Listens on a path, which must not exist, or on an abstract name.
    ///
    /// Dropping the listener leaves the file behind: see [`remove_socket_file`].
    ///
    /// *Cancellation.* Safe: it does not wait.
    ///
    /// # Errors
    /// The system's, which names the address: `AddrInUse` if there is a file at
    /// the path, whether or not somebody listens there; one that wraps
    /// [`Cancelled`](crate::Cancelled); `PermissionDenied` from a context
    /// without [`Capability::Net`].
    pub async fn bind(cx: &Cx, addr: impl Into<UnixAddr>) -> io::Result<Self> {
        UnixSocket::new().listen(cx, addr).await
    }

    /// Takes over a listener of the standard library, and makes it non-blocking.
    ///
    /// # Errors
    /// The system's; `PermissionDenied` from a context without
    /// [`Capability::Net`]; `Unsupported` in the lab.
    #[cfg(unix)]
    pub fn from_std(cx: &Cx, listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        cx.require(Capability::Net)?;
        let inner = cx.world().net().adopt_listener(listener.into())?;
        Ok(SocketListener::new(inner))
    }

    /// The listener as the standard library's; it stays non-blocking.
    ///
    /// # Errors
    /// `Unsupported` in the lab.
    #[cfg(unix)]
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixListener> {
        self.inner.release().map(Into::into)
    }
}

impl SocketStream<Unix> {
    /// Connects to a listener of this host. While that has no room for another
    /// connection, it is asked again after 1 ms to 100 ms.
    ///
    /// *Cancellation.* Lossy: the listener may have got a connection, which is closed.
    ///
    /// # Errors
    /// The system's, which names the address: `NotFound` if there is no such
    /// file, `ConnectionRefused` if nobody listens there; one that wraps
    /// [`Cancelled`](crate::Cancelled); `PermissionDenied` from a context
    /// without [`Capability::Net`].
    pub async fn connect(cx: &Cx, addr: impl Into<UnixAddr>) -> io::Result<Self> {
        UnixSocket::new().connect(cx, addr).await
    }

    /// Two streams that are connected to each other.
    ///
    /// # Errors
    /// The system's; `PermissionDenied` from a context without [`Capability::Net`].
    pub fn pair(cx: &Cx) -> io::Result<(Self, Self)> {
        cx.require(Capability::Net)?;
        let [a, b] = cx.world().net().stream_pair()?;
        Ok((SocketStream::new(a), SocketStream::new(b)))
    }

    /// Who held the other end when the stream was connected; in the lab
    /// [`VirtualNet::CREDENTIALS`](crate::lab::VirtualNet::CREDENTIALS).
    ///
    /// # Errors
    /// The system's; `Unsupported` where it is not Linux.
    pub fn peer_cred(&self) -> io::Result<Credentials> {
        self.inner.peer_credentials()
    }

    /// Takes over a connected stream of the standard library, and makes it non-blocking.
    ///
    /// # Errors
    /// The system's; `PermissionDenied` from a context without
    /// [`Capability::Net`]; `Unsupported` in the lab.
    #[cfg(unix)]
    pub fn from_std(cx: &Cx, stream: std::os::unix::net::UnixStream) -> io::Result<Self> {
        cx.require(Capability::Net)?;
        let inner = cx.world().net().adopt_stream(stream.into())?;
        Ok(SocketStream::new(inner))
    }

    /// The stream as the standard library's; it stays non-blocking.
    ///
    /// # Errors
    /// `Unsupported` in the lab.
    #[cfg(unix)]
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixStream> {
        self.inner.release().map(Into::into)
    }
}

impl DatagramSocket<Unix> {
    /// Binds to a path, which must not exist, or to an abstract name.
    ///
    /// Dropping the socket leaves the file behind: see [`remove_socket_file`].
    ///
    /// *Cancellation.* Safe: it does not wait.
    ///
    /// # Errors
    /// As for [`UnixListener::bind`].
    pub async fn bind(cx: &Cx, addr: impl Into<UnixAddr>) -> io::Result<Self> {
        let addr = addr.into();
        if addr.is_unnamed() {
            // It is `unbound` that makes those.
            let message = "the address names no socket; use a path";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        UnixSocket::new().bind(addr).datagram(cx).await
    }

    /// A socket without an address: it sends, and hears whom it is connected to.
    ///
    /// # Errors
    /// The system's; `PermissionDenied` from a context without [`Capability::Net`].
    pub fn unbound(cx: &Cx) -> io::Result<Self> {
        cx.require(Capability::Net)?;
        let (nowhere, options) = (Addr::Unix(UnixAddr::Unnamed), Options::default());
        let inner = cx.world().net().bind(&nowhere, &options)?;
        Ok(DatagramSocket::new(inner))
    }

    /// Two sockets that are connected to each other.
    ///
    /// # Errors
    /// The system's; `PermissionDenied` from a context without [`Capability::Net`].
    pub fn pair(cx: &Cx) -> io::Result<(Self, Self)> {
        cx.require(Capability::Net)?;
        let [a, b] = cx.world().net().datagram_pair()?;
        Ok((DatagramSocket::new(a), DatagramSocket::new(b)))
    }

    /// Sends to, and receives from, this address and no other.
    ///
    /// *Cancellation.* Safe: it does not wait.
    ///
    /// # Errors
    /// As for [`UnixStream::connect`].
    pub async fn connect(&self, cx: &Cx, addr: impl Into<UnixAddr>) -> io::Result<()> {
        let addr = named(cx, addr.into())?;
        let connected = self.inner.connect(&addr);
        connected.map_err(|e| at("connect to", &addr, e))
    }

    /// Sends a datagram; returns its length. While the receiver has no room, it
    /// is tried again after 1 ms to 100 ms.
    ///
    /// *Cancellation.* Safe: it is sent when the length is returned.
    ///
    /// # Errors
    /// The system's; `PermissionDenied` from a context without
    /// [`Capability::Net`], since this reaches any address; one that wraps
    /// [`Cancelled`](crate::Cancelled).
    pub fn send_to<'a>(&'a self, cx: &'a Cx, buf: &'a [u8], to: impl Into<UnixAddr>) -> Send<'a> {
        self.sending(cx, buf, Some(Addr::Unix(to.into())))
    }

    /// Takes over a socket of the standard library, and makes it non-blocking.
    ///
    /// # Errors
    /// The system's; `PermissionDenied` from a context without
    /// [`Capability::Net`]; `Unsupported` in the lab.
    #[cfg(unix)]
    pub fn from_std(cx: &Cx, socket: std::os::unix::net::UnixDatagram) -> io::Result<Self> {
        cx.require(Capability::Net)?;
        let inner = cx.world().net().adopt_datagrams(socket.into())?;
        Ok(DatagramSocket::new(inner))
    }

    /// The socket as the standard library's; it stays non-blocking.
    ///
    /// # Errors
    /// `Unsupported` in the lab.
    #[cfg(unix)]
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixDatagram> {
        self.inner.release().map(Into::into)
    }
}

/// Removes the file that a Unix socket left behind; in the lab, the name.
///
/// Do so before binding only if it is certain that nobody listens there any
/// more: who does keeps its connections and gets no new ones.
///
/// *Cancellation.* Lossy: returns at once, and the file may then be removed or not.
///
/// # Errors
/// The system's: `NotFound` if there is nothing; `InvalidInput` if it is no
/// socket; one that wraps [`Cancelled`](crate::Cancelled); `PermissionDenied`
/// from a context without [`Capability::Net`].
pub async fn remove_socket_file(cx: &Cx, path: impl AsRef<Path>) -> io::Result<()> {
    cx.require(Capability::Net)?;
    let (world, path) = (cx.world().clone(), path.as_ref().to_owned());
    offload(cx, move |_| world.net().unlink(&path)).await
}

/// The address, for a task that may use it.
fn named(cx: &Cx, addr: UnixAddr) -> io::Result<Addr> {
    cx.checkpoint()?;
    cx.require(Capability::Net)?;
    Ok(Addr::Unix(addr))
}

fn at(what: &str, addr: &Addr, e: io::Error) -> io::Error {
    let advice = match (e.kind(), addr) {
        (io::ErrorKind::AddrInUse, Addr::Unix(UnixAddr::Path(_))) => {
            "; if nobody uses it any more, remove it with `net::remove_socket_file`"
        }
        _ => "",
    };
    explain(format!("cannot {what} {addr}"), e, advice)
}
