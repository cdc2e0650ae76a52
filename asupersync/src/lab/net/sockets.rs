//! The network port over the state of the virtual network.

use super::VirtualNet;
use super::state::{NetState, Settings, Side};
use crate::lab::world::Core;
use crate::world;
use crate::world::net::{Choice, Credentials, Options, Setting, SystemSocket};
use crate::world::{Addr, UnixAddr};
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};

impl world::Net for VirtualNet {
    fn listen(&self, addr: &Addr, options: &Options) -> io::Result<Arc<dyn world::Listener>> {
        let addr = self.core.net(|net, _, _| net.listen(addr, options))?;
        Ok(Arc::new(Listener {
            core: self.core.clone(),
            addr,
        }))
    }

    fn connect(&self, addr: &Addr, options: &Options) -> io::Result<Arc<dyn world::Stream>> {
        let conn = self.core.net(|net, draw, out| match addr {
            Addr::Ip(addr) => net.connect(*addr, options, draw, out),
            Addr::Unix(addr) => net.unix_connect(addr, options, out),
        })?;
        Ok(self.stream(conn, Side::Client))
    }

    fn bind(&self, addr: &Addr, options: &Options) -> io::Result<Arc<dyn world::Datagrams>> {
        match addr {
            Addr::Ip(addr) => {
                let addr = self.core.net(|net, _, _| net.udp_bind(*addr, options))?;
                Ok(Arc::new(Datagrams {
                    core: self.core.clone(),
                    addr,
                }))
            }
            Addr::Unix(addr) => {
                let id = self.core.net(|net, _, _| net.local_bind(addr, options))?;
                Ok(self.local(id))
            }
        }
    }

    fn stream_pair(&self) -> io::Result<[Arc<dyn world::Stream>; 2]> {
        let conn = self.core.net(|net, _, _| net.unix_pair());
        Ok([Side::Client, Side::Server].map(|side| self.stream(conn, side)))
    }

    fn datagram_pair(&self) -> io::Result<[Arc<dyn world::Datagrams>; 2]> {
        let ids = self.core.net(|net, _, _| net.local_pair());
        Ok(ids.map(|id| self.local(id)))
    }

    fn adopt_listener(&self, _: SystemSocket) -> io::Result<Arc<dyn world::Listener>> {
        Err(foreign())
    }

    fn adopt_stream(&self, _: SystemSocket) -> io::Result<Arc<dyn world::Stream>> {
        Err(foreign())
    }

    fn adopt_datagrams(&self, _: SystemSocket) -> io::Result<Arc<dyn world::Datagrams>> {
        Err(foreign())
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.core.net(|net, _, _| net.unlink(path))
    }

    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.core.net(|net, _, _| net.resolve(host, port))
    }
}

impl VirtualNet {
    fn stream(&self, conn: u64, side: Side) -> Arc<dyn world::Stream> {
        let core = self.core.clone();
        Arc::new(Stream { core, conn, side })
    }

    fn local(&self, id: u64) -> Arc<dyn world::Datagrams> {
        let core = self.core.clone();
        Arc::new(LocalDatagrams { core, id })
    }
}

fn foreign() -> io::Error {
    let message = "the lab's network has no sockets of the system; make them with `bind`, `connect` or `pair`";
    io::Error::new(io::ErrorKind::Unsupported, message)
}

fn none_of_the_systems() -> io::Error {
    let message = "a socket of the lab's network is none of the system's";
    io::Error::new(io::ErrorKind::Unsupported, message)
}

/// What all sockets have; options are values that are kept with the socket.
macro_rules! endpoint {
    ($t:ty: $this:ident => $addr:expr, $net:ident => $settings:expr) => {
        impl $t {
            fn settings<R>(&self, f: impl FnOnce(&mut Settings) -> R) -> R {
                let $this = self;
                self.core.net(|$net: &mut NetState, _, _| f($settings))
            }
        }

        impl world::Endpoint for $t {
            fn local_addr(&self) -> io::Result<Addr> {
                let $this = self;
                Ok($addr)
            }

            /// Errors reach the operations that they are of.
            fn take_error(&self) -> io::Result<Option<io::Error>> {
                Ok(None)
            }

            fn set(&self, setting: Setting) -> io::Result<()> {
                self.settings(|settings| settings.set(setting))
            }

            fn ask(&self, option: Choice) -> io::Result<Setting> {
                self.settings(|settings| settings.ask(option))
            }

            #[cfg(unix)]
            fn descriptor(&self) -> io::Result<std::os::fd::BorrowedFd<'_>> {
                Err(none_of_the_systems())
            }

            fn release(self: Arc<Self>) -> io::Result<SystemSocket> {
                Err(none_of_the_systems())
            }
        }
    };
}

/// A listening socket.
struct Listener {
    core: Arc<Core>,
    addr: Addr,
}

endpoint!(Listener: this => this.addr.clone(), net => net.listener_settings(&this.addr));

impl world::Listener for Listener {
    fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Arc<dyn world::Stream>, Addr)>> {
        self.core
            .net_poll(cx, |net, _, out| net.accept(&self.addr, out))
            .map(|(conn, peer)| {
                let stream = Stream {
                    core: self.core.clone(),
                    conn,
                    side: Side::Server,
                };
                Ok((Arc::new(stream) as Arc<dyn world::Stream>, peer))
            })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.core
            .net(|net, draw, out| net.unlisten(&self.addr, draw, out));
    }
}

/// One end of a connection.
struct Stream {
    core: Arc<Core>,
    conn: u64,
    side: Side,
}

endpoint!(Stream: this => this.addrs().0, net => net.stream_settings(this.conn, this.side));

impl Stream {
    fn addrs(&self) -> (Addr, Addr) {
        self.core.net(|net, _, _| net.addrs(self.conn, self.side))
    }
}

impl world::Stream for Stream {
    fn poll_connected(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.core
            .net_poll(cx, |net, _, out| net.connected(self.conn, self.side, out))
    }

    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.core.net_poll(cx, |net, draw, out| {
            net.read(self.conn, self.side, buf, draw, out)
        })
    }

    fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.core
            .net_poll(cx, |net, _, out| net.peek(self.conn, self.side, buf, out))
    }

    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.core.net_poll(cx, |net, draw, out| {
            net.write(self.conn, self.side, buf, draw, out)
        })
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.core
            .net_poll(cx, |net, _, out| net.writable(self.conn, self.side, out))
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.core
            .net(|net, draw, out| net.shutdown(self.conn, self.side, how, draw, out))
    }

    fn peer_addr(&self) -> io::Result<Addr> {
        Ok(self.addrs().1)
    }

    fn peer(&self) -> Option<Addr> {
        Some(self.addrs().1)
    }

    fn peer_credentials(&self) -> io::Result<Credentials> {
        match self.addrs().0 {
            Addr::Unix(_) => Ok(VirtualNet::CREDENTIALS),
            Addr::Ip(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.core
            .net(|net, draw, out| net.close(self.conn, self.side, draw, out));
    }
}

/// A UDP socket.
struct Datagrams {
    core: Arc<Core>,
    addr: SocketAddr,
}

endpoint!(Datagrams: this => this.addr.into(), net => net.udp_settings(this.addr));

impl world::Datagrams for Datagrams {
    fn connect(&self, peer: &Addr) -> io::Result<()> {
        let peer = ip(peer)?;
        self.core.net(|net, _, _| net.udp_connect(self.addr, peer))
    }

    /// Never waits: what does not fit on its way is lost there.
    fn poll_send(
        &self,
        _: &mut Context<'_>,
        buf: &[u8],
        to: Option<&Addr>,
    ) -> Poll<io::Result<usize>> {
        let to = to.map(ip).transpose()?;
        Poll::Ready(
            self.core
                .net(|net, draw, out| net.udp_send(self.addr, buf, to, draw, out)),
        )
    }

    fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<(usize, Addr)>> {
        self.core
            .net_poll(cx, |net, _, out| net.udp_recv(self.addr, buf, true, out))
            .map(|(n, from)| Ok((n, from.into())))
    }

    fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<(usize, Addr)>> {
        self.core
            .net_poll(cx, |net, _, out| net.udp_recv(self.addr, buf, false, out))
            .map(|(n, from)| Ok((n, from.into())))
    }

    fn peer_addr(&self) -> io::Result<Addr> {
        let peer = self.core.net(|net, _, _| net.udp_peer(self.addr))?;
        Ok(peer.into())
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        self.core.net(|net, _, out| net.udp_close(self.addr, out));
    }
}

fn ip(addr: &Addr) -> io::Result<SocketAddr> {
    match addr {
        Addr::Ip(addr) => Ok(*addr),
        Addr::Unix(_) => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// A Unix socket of datagrams.
struct LocalDatagrams {
    core: Arc<Core>,
    id: u64,
}

endpoint!(LocalDatagrams:
    this => Addr::Unix(this.core.net(|net, _, _| net.local_addr(this.id))),
    net => net.local_settings(this.id)
);

impl world::Datagrams for LocalDatagrams {
    fn connect(&self, peer: &Addr) -> io::Result<()> {
        let peer = unix(peer)?;
        self.core
            .net(|net, _, out| net.local_connect(self.id, peer, out))
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        to: Option<&Addr>,
    ) -> Poll<io::Result<usize>> {
        let to = to.map(unix).transpose()?;
        self.core
            .net_poll(cx, |net, _, out| net.local_send(self.id, buf, to, out))
    }

    fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<(usize, Addr)>> {
        self.core
            .net_poll(cx, |net, _, out| net.local_recv(self.id, buf, true, out))
            .map(|(n, from)| Ok((n, from.into())))
    }

    fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<(usize, Addr)>> {
        self.core
            .net_poll(cx, |net, _, out| net.local_recv(self.id, buf, false, out))
            .map(|(n, from)| Ok((n, from.into())))
    }

    fn peer_addr(&self) -> io::Result<Addr> {
        let peer = self.core.net(|net, _, _| net.local_peer(self.id))?;
        Ok(peer.into())
    }
}

impl Drop for LocalDatagrams {
    fn drop(&mut self) {
        self.core.net(|net, _, out| net.local_close(self.id, out));
    }
}

fn unix(addr: &Addr) -> io::Result<&UnixAddr> {
    match addr {
        Addr::Unix(addr) => Ok(addr),
        Addr::Ip(_) => Err(io::ErrorKind::InvalidInput.into()),
    }
}
