//! The rules for datagrams.
//!
//! A datagram arrives whole, at most once, in any order, or not at all: it is
//! lost by its link's chance, in a partition, when nobody is bound to its
//! address, when the socket there is connected to another one, and when that
//! socket's buffer is full. Senders hear of none of this: there is no ICMP.

use super::{Draw, NetState, Out, PORTS, Settings, Tick, What, link, overlaps, wildcard};
use crate::lab::net::VirtualNet;
use crate::world::net::Options;
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::task::{Poll, Waker};

/// The longest payload over IPv4: 65,535 bytes less the headers of IP and UDP.
const LONGEST: usize = 65_507;

/// A socket.
pub(super) struct Bound {
    id: u64,
    peer: Option<SocketAddr>,
    arrived: VecDeque<(Bytes, SocketAddr)>,
    /// Bytes in `arrived`.
    load: usize,
    pub(super) reader: Option<Waker>,
    settings: Settings,
}

/// A datagram under way.
pub(super) struct Datagram {
    id: u64,
    from: SocketAddr,
    to: SocketAddr,
    bytes: Bytes,
}

impl NetState {
    pub(in crate::lab::net) fn udp_bind(
        &mut self,
        mut addr: SocketAddr,
        options: &Options,
    ) -> io::Result<SocketAddr> {
        let settings = Settings::of(&options.settings)?;
        if addr.port() == 0 {
            let free = PORTS
                .map(|port| SocketAddr::new(addr.ip(), port))
                .find(|addr| !overlaps(self.datagrams.keys(), *addr));
            addr = free.ok_or(ErrorKind::AddrInUse)?;
        } else if overlaps(self.datagrams.keys(), addr) {
            return Err(ErrorKind::AddrInUse.into());
        }
        let bound = Bound {
            id: self.next_conn,
            peer: None,
            arrived: VecDeque::new(),
            load: 0,
            reader: None,
            settings,
        };
        self.next_conn += 1;
        self.datagrams.insert(addr, bound);
        Ok(addr)
    }

    pub(in crate::lab::net) fn udp_settings(&mut self, addr: SocketAddr) -> &mut Settings {
        &mut self.bound(addr).settings
    }

    pub(in crate::lab::net) fn udp_close(&mut self, addr: SocketAddr, out: &mut Out) {
        if let Some(bound) = self.datagrams.remove(&addr) {
            out.discard.extend(bound.reader);
        }
    }

    pub(in crate::lab::net) fn udp_connect(
        &mut self,
        addr: SocketAddr,
        peer: SocketAddr,
    ) -> io::Result<()> {
        reachable(peer)?;
        self.bound(addr).peer = Some(peer);
        Ok(())
    }

    pub(in crate::lab::net) fn udp_peer(&mut self, addr: SocketAddr) -> io::Result<SocketAddr> {
        let peer = self.bound(addr).peer;
        peer.ok_or_else(|| ErrorKind::NotConnected.into())
    }

    pub(in crate::lab::net) fn udp_send(
        &mut self,
        addr: SocketAddr,
        buf: &[u8],
        to: Option<SocketAddr>,
        draw: &mut Draw<'_>,
        out: &mut Out,
    ) -> io::Result<usize> {
        let Bound { id, peer, .. } = *self.bound(addr);
        let to = to.or(peer).ok_or(ErrorKind::NotConnected)?;
        reachable(to)?;
        if buf.len() > LONGEST {
            let message = format!("a datagram holds at most {LONGEST} bytes");
            return Err(io::Error::new(ErrorKind::InvalidInput, message));
        }
        let host = match (addr.ip(), to.ip()) {
            (ip, _) if !ip.is_unspecified() => ip,
            (_, to) if to.is_loopback() => to,
            (IpAddr::V4(_), _) => VirtualNet::CLIENT_V4,
            (IpAddr::V6(_), _) => VirtualNet::CLIENT_V6,
        };
        let from = SocketAddr::new(host, addr.port());
        out.happened(id, What::DatagramSent, buf.len());
        // It takes its time on the link whether or not it is lost on it.
        let due = self.due(from.ip(), to.ip(), buf.len(), draw);
        let loss = self.link_between(from.ip(), to.ip()).loss_per_mille;
        if loss > 0 && draw.number(1000) < loss {
            out.happened(id, What::DatagramLost, buf.len());
            return Ok(buf.len());
        }
        let bytes = Bytes::copy_from_slice(buf);
        let datagram = Datagram {
            id,
            from,
            to,
            bytes,
        };
        self.schedule(due, Tick::Datagram(datagram));
        Ok(buf.len())
    }

    pub(in crate::lab::net) fn udp_recv(
        &mut self,
        addr: SocketAddr,
        buf: &mut [u8],
        take: bool,
        out: &mut Out,
    ) -> Poll<(usize, SocketAddr)> {
        let bound = self.bound(addr);
        let Some((bytes, from)) = bound.arrived.front() else {
            out.discard
                .extend(std::mem::replace(&mut bound.reader, out.caller.take()));
            return Poll::Pending;
        };
        let n = bytes.len().min(buf.len());
        buf[..n].copy_from_slice(&bytes[..n]);
        let received = (n, *from);
        if take && let Some((bytes, _)) = bound.arrived.pop_front() {
            bound.load -= bytes.len();
        }
        Poll::Ready(received)
    }

    pub(super) fn on_datagram(&mut self, datagram: Datagram, out: &mut Out) {
        let Datagram {
            id,
            from,
            to,
            bytes,
        } = datagram;
        let n = bytes.len();
        let key = if self.datagrams.contains_key(&to) {
            to
        } else {
            wildcard(to)
        };
        let cut = self.cuts.contains(&link(from.ip(), to.ip()));
        let buffer = self.model.buffer;
        let wants = |bound: &&mut Bound| {
            let heard = bound.peer.is_none_or(|peer| peer == from);
            // An empty buffer takes one of any length: it could never arrive otherwise.
            heard && (bound.arrived.is_empty() || bound.load + n <= buffer)
        };
        match self.datagrams.get_mut(&key).filter(wants) {
            Some(bound) if !cut => {
                bound.load += n;
                bound.arrived.push_back((bytes, from));
                out.wake.extend(bound.reader.take());
                out.happened(id, What::DatagramArrived, n);
            }
            _ => out.happened(id, What::DatagramLost, n),
        }
    }

    fn bound(&mut self, addr: SocketAddr) -> &mut Bound {
        self.datagrams
            .get_mut(&addr)
            .expect("an address is bound while its socket exists")
    }
}

fn reachable(to: SocketAddr) -> io::Result<()> {
    if to.port() == 0 || to.ip().is_unspecified() {
        let message = format!("{to} is no address to send to");
        return Err(io::Error::new(ErrorKind::InvalidInput, message));
    }
    Ok(())
}
