//! The virtual network: TCP, UDP and Unix sockets in memory, with latency, loss
//! and segment boundaries chosen by the run.
//!
//! A connection is two directions of ordered, lossless segments; datagrams may
//! be lost and overtake each other. See `state` for the rules. What it does not
//! model: congestion control, delayed acknowledgement, ICMP and kernel timing. A connection leaves from the
//! loopback address when it goes to one, and from [`VirtualNet::CLIENT_V4`] or
//! [`VirtualNet::CLIENT_V6`] otherwise.
//!
//! Unix sockets are on one host: their paths are names of it and no files, what
//! is sent arrives at once, and no model and no partition applies to them. A
//! path stays taken when its socket is gone, until
//! [`remove_socket_file`](crate::net::remove_socket_file).
//!
//! The network records [`Event::Net`](crate::types::event::Event::Net) with these codes:
//!
//! | code | what happened | bytes |
//! |---|---|---|
//! | 1 | a connection was asked for | 0 |
//! | 2 | it waits to be accepted | 0 |
//! | 3 | it is established for the client | 0 |
//! | 4 | it was refused | 0 |
//! | 5 | nobody answered | 0 |
//! | 6 | bytes were sent | how many |
//! | 7 | bytes arrived | how many |
//! | 8 | the end of a direction arrived | 0 |
//! | 9 | a reset arrived | 0 |
//! | 10 | a segment was held by a partition | 0 |
//! | 11 | it was accepted | 0 |
//! | 12 | a datagram was sent | how many |
//! | 13 | a datagram arrived | how many |
//! | 14 | a datagram was lost | how many |

mod link;
mod sockets;
mod state;
#[cfg(test)]
mod tests;

pub use link::LinkModel;

pub(super) use state::{Draw, NetState, Out};

use super::world::Core;
use crate::world::Addr;
use crate::world::net::Credentials;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

/// How the network behaves; chainable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NetModel {
    link: LinkModel,
    segments: bool,
    buffer: usize,
    backlog: usize,
}

impl Default for NetModel {
    fn default() -> Self {
        NetModel {
            link: LinkModel::default(),
            segments: true,
            buffer: 64 * 1024,
            backlog: 128,
        }
    }
}

impl NetModel {
    /// One-way delay of every segment and datagram, from `latency` to `latency + jitter`,
    /// on links that have no model of their own.
    #[must_use]
    pub fn latency(mut self, latency: Duration, jitter: Duration) -> Self {
        self.link = self.link.latency(latency, jitter);
        self
    }

    /// Links that have no model of their own: see [`VirtualNet::link`].
    #[must_use]
    pub fn link(mut self, model: LinkModel) -> Self {
        self.link = model;
        self
    }

    /// Whether writes are cut and reads stop at segment boundaries, as the run chooses; on by default.
    #[must_use]
    pub fn segments(mut self, on: bool) -> Self {
        self.segments = on;
        self
    }

    /// Bytes that may be under way or unread per direction of a connection, and
    /// unread per datagram socket, at least one; 64 KiB by default.
    #[must_use]
    pub fn buffer(mut self, bytes: usize) -> Self {
        self.buffer = bytes.max(1);
        self
    }

    /// Connections that may wait to be accepted per listener, at least one; 128 by default.
    #[must_use]
    pub fn backlog(mut self, connections: usize) -> Self {
        self.backlog = connections.max(1);
        self
    }
}

/// Names a connection of a [`VirtualNet`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnId(pub u64);

/// A connection, as its network sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connection {
    /// Its name.
    pub id: ConnId,
    /// Where it came from.
    pub client: Addr,
    /// Where it goes.
    pub server: Addr,
}

/// The network of a lab, and the means to disturb it.
pub struct VirtualNet {
    core: Arc<Core>,
}

impl VirtualNet {
    /// The host from which connections to other IPv4 hosts leave.
    pub const CLIENT_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    /// The host from which connections to other IPv6 hosts leave.
    pub const CLIENT_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1));

    /// Who holds the other end of every Unix stream.
    pub const CREDENTIALS: Credentials = Credentials {
        uid: 1000,
        gid: 1000,
        pid: Some(1),
    };

    pub(super) fn new(core: Arc<Core>) -> Self {
        VirtualNet { core }
    }

    /// What is sent from now on between two hosts travels by this model.
    pub fn link(&self, a: impl Into<IpAddr>, b: impl Into<IpAddr>, model: LinkModel) {
        let (a, b) = (a.into(), b.into());
        self.core.net(|net, _, _| net.set_link(a, b, model));
    }

    /// Lets nothing through between two hosts: segments are held until
    /// [`VirtualNet::heal`], datagrams are lost, and connecting times out.
    pub fn partition(&self, a: impl Into<IpAddr>, b: impl Into<IpAddr>) {
        let (a, b) = (a.into(), b.into());
        self.core.net(|net, _, _| net.partition(a, b));
    }

    /// Ends a partition; what was held arrives one latency later.
    pub fn heal(&self, a: impl Into<IpAddr>, b: impl Into<IpAddr>) {
        let (a, b) = (a.into(), b.into());
        self.core.net(|net, draw, _| net.heal(a, b, draw));
    }

    /// Breaks a connection at once, for both ends; `false` when it is gone.
    pub fn reset(&self, conn: ConnId) -> bool {
        self.core.net(|net, _, out| net.break_off(conn.0, out))
    }

    /// Lets `name` resolve to `addr`, in addition to the addresses it has.
    pub fn host(&self, name: &str, addr: impl Into<IpAddr>) {
        let addr = addr.into();
        self.core.net(|net, _, _| net.host(name, addr));
    }

    /// The connections that at least one end holds, oldest first.
    pub fn connections(&self) -> Vec<Connection> {
        self.core.net(|net, _, _| net.connections())
    }
}
