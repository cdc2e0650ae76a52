//! The rules for Unix sockets: names of one host, and what is sent arrives at once.
//!
//! A stream is a connection like any other, but established by the call that
//! asks for it. A datagram is with its receiver when it is sent, or is refused.
//! A path is taken as soon as a socket is bound to it and stays so when the
//! socket is gone, like a file; an abstract name goes with its socket.

use super::{Conn, End, NetState, Out, Phase, Settings, Side, What};
use crate::io::explain;
use crate::world::net::Options;
use crate::world::{Addr, UnixAddr};
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::task::{Poll, Waker};

/// A socket of datagrams.
pub(super) struct Local {
    addr: UnixAddr,
    /// The socket it is connected to, which may be gone.
    peer: Option<u64>,
    arrived: VecDeque<(Bytes, UnixAddr)>,
    /// Bytes in `arrived`.
    load: usize,
    reader: Option<Waker>,
    /// Senders that are connected to it and wait for room.
    senders: Vec<Waker>,
    settings: Settings,
}

impl Local {
    fn new(addr: UnixAddr) -> Self {
        Local {
            addr,
            peer: None,
            arrived: VecDeque::new(),
            load: 0,
            reader: None,
            senders: Vec::new(),
            settings: Settings::default(),
        }
    }

    pub(super) fn take_wakers(&mut self) -> impl Iterator<Item = Waker> {
        self.reader.take().into_iter().chain(self.senders.drain(..))
    }
}

impl NetState {
    /// Takes a name for a socket.
    pub(super) fn unix_claim(&mut self, addr: &UnixAddr) -> io::Result<()> {
        let free = match addr {
            UnixAddr::Unnamed => return Err(ErrorKind::InvalidInput.into()),
            UnixAddr::Path(path) => self.files.insert(path.clone()),
            UnixAddr::Abstract(_) => {
                let name = Addr::Unix(addr.clone());
                let client = |c: &Conn| {
                    let side = Side::Client as usize;
                    c.ends[side].open && c.addrs[side] == name
                };
                let datagrams = self.locals.values().any(|l| l.addr == *addr);
                let clients = self.conns.values().any(client);
                !self.listeners.contains_key(&name) && !datagrams && !clients
            }
        };
        match free {
            true => Ok(()),
            false => Err(ErrorKind::AddrInUse.into()),
        }
    }

    pub(in crate::lab::net) fn unlink(&mut self, path: &Path) -> io::Result<()> {
        match self.files.remove(path) {
            true => Ok(()),
            false => Err(ErrorKind::NotFound.into()),
        }
    }

    /// Why nothing can be sent to an address at which there is no socket of the kind.
    fn nobody_at(&self, addr: &UnixAddr) -> io::Error {
        match addr {
            UnixAddr::Path(path) if !self.files.contains(path) => ErrorKind::NotFound.into(),
            UnixAddr::Unnamed => ErrorKind::InvalidInput.into(),
            UnixAddr::Path(_) | UnixAddr::Abstract(_) => ErrorKind::ConnectionRefused.into(),
        }
    }

    pub(in crate::lab::net) fn unix_connect(
        &mut self,
        to: &UnixAddr,
        options: &Options,
        out: &mut Out,
    ) -> io::Result<u64> {
        let settings = Settings::of(&options.settings)?;
        let from = match &options.bind {
            None => UnixAddr::Unnamed,
            Some(Addr::Unix(from)) => {
                let claimed = self.unix_claim(from);
                claimed.map_err(|e| explain(format!("cannot leave from {from}"), e, ""))?;
                from.clone()
            }
            Some(Addr::Ip(_)) => return Err(ErrorKind::InvalidInput.into()),
        };
        let id = self.next_conn;
        if let Err(e) = self.unix_request(id, to, out) {
            if let Some(path) = from.as_path() {
                self.files.remove(path);
            }
            return Err(e);
        }
        self.established([Addr::Unix(from), Addr::Unix(to.clone())]);
        self.conn(id).end(Side::Client).settings = settings;
        for what in [What::Asked, What::Queued, What::Established] {
            out.happened(id, what, 0);
        }
        Ok(id)
    }

    /// A place in the queue of whoever listens there.
    fn unix_request(&mut self, id: u64, to: &UnixAddr, out: &mut Out) -> io::Result<()> {
        let reachable = match to.as_path() {
            // A name that was removed leads nowhere, whoever still listens.
            Some(path) => self.files.contains(path),
            None => true,
        };
        let listening = self.listeners.get_mut(&Addr::Unix(to.clone()));
        let Some(listening) = listening.filter(|_| reachable) else {
            return Err(self.nobody_at(to));
        };
        if listening.queue.len() >= listening.backlog {
            return Err(ErrorKind::WouldBlock.into());
        }
        listening.queue.push_back(id);
        out.wake.extend(listening.acceptor.take());
        Ok(())
    }

    pub(in crate::lab::net) fn unix_pair(&mut self) -> u64 {
        self.established([(); 2].map(|()| Addr::Unix(UnixAddr::Unnamed)))
    }

    fn established(&mut self, addrs: [Addr; 2]) -> u64 {
        let id = self.next_conn;
        self.next_conn += 1;
        let mut ends = <[End; 2]>::default();
        for side in [Side::Client, Side::Server] {
            ends[side as usize].open = true;
        }
        let phase = Phase::Established;
        self.conns.insert(id, Conn { addrs, phase, ends });
        id
    }

    pub(in crate::lab::net) fn local_bind(
        &mut self,
        addr: &UnixAddr,
        options: &Options,
    ) -> io::Result<u64> {
        let settings = Settings::of(&options.settings)?;
        if !addr.is_unnamed() {
            self.unix_claim(addr)?;
        }
        let id = self.local_insert(addr.clone());
        self.local(id).settings = settings;
        Ok(id)
    }

    pub(in crate::lab::net) fn local_pair(&mut self) -> [u64; 2] {
        let ids = [(); 2].map(|()| self.local_insert(UnixAddr::Unnamed));
        self.local(ids[0]).peer = Some(ids[1]);
        self.local(ids[1]).peer = Some(ids[0]);
        ids
    }

    fn local_insert(&mut self, addr: UnixAddr) -> u64 {
        let id = self.next_conn;
        self.next_conn += 1;
        self.locals.insert(id, Local::new(addr));
        id
    }

    pub(in crate::lab::net) fn local_close(&mut self, id: u64, out: &mut Out) {
        if let Some(mut local) = self.locals.remove(&id) {
            out.discard.extend(local.reader.take());
            out.wake.append(&mut local.senders);
        }
    }

    pub(in crate::lab::net) fn local_addr(&mut self, id: u64) -> UnixAddr {
        self.local(id).addr.clone()
    }

    pub(in crate::lab::net) fn local_settings(&mut self, id: u64) -> &mut Settings {
        &mut self.local(id).settings
    }

    pub(in crate::lab::net) fn local_peer(&mut self, id: u64) -> io::Result<UnixAddr> {
        let peer = self.local(id).peer.and_then(|peer| self.locals.get(&peer));
        match peer {
            Some(peer) => Ok(peer.addr.clone()),
            None => Err(ErrorKind::NotConnected.into()),
        }
    }

    pub(in crate::lab::net) fn local_connect(
        &mut self,
        id: u64,
        to: &UnixAddr,
        out: &mut Out,
    ) -> io::Result<()> {
        let peer = self.local_at(to)?;
        if let Some(former) = self.local(id).peer.replace(peer)
            && let Some(former) = self.locals.get_mut(&former)
        {
            // Who waits for room there looks again, and finds the new peer.
            out.wake.append(&mut former.senders);
        }
        Ok(())
    }

    /// The socket at an address.
    fn local_at(&self, addr: &UnixAddr) -> io::Result<u64> {
        let named = addr.as_path().is_none_or(|path| self.files.contains(path));
        let mut locals = self.locals.iter();
        let found = locals.find(|(_, l)| named && !addr.is_unnamed() && l.addr == *addr);
        found.map_or_else(|| Err(self.nobody_at(addr)), |(id, _)| Ok(*id))
    }

    pub(in crate::lab::net) fn local_send(
        &mut self,
        id: u64,
        buf: &[u8],
        to: Option<&UnixAddr>,
        out: &mut Out,
    ) -> Poll<io::Result<usize>> {
        let peer = match to {
            Some(to) => self.local_at(to)?,
            None => self.local(id).peer.ok_or(ErrorKind::NotConnected)?,
        };
        let from = self.local(id).addr.clone();
        let buffer = self.model.buffer;
        let Some(receiver) = self.locals.get_mut(&peer) else {
            return Poll::Ready(Err(ErrorKind::ConnectionRefused.into()));
        };
        if receiver.peer.is_some_and(|heard| heard != id) {
            return Poll::Ready(Err(ErrorKind::PermissionDenied.into()));
        }
        // An empty buffer takes one of any length: it could never arrive otherwise.
        if !receiver.arrived.is_empty() && receiver.load + buf.len() > buffer {
            if to.is_some() {
                return Poll::Ready(Err(ErrorKind::WouldBlock.into()));
            }
            let known = |w: &Waker| receiver.senders.iter().any(|s| s.will_wake(w));
            match out.caller.take() {
                Some(waker) if !known(&waker) => receiver.senders.push(waker),
                known => out.discard.extend(known),
            }
            return Poll::Pending;
        }
        receiver.load += buf.len();
        let bytes = Bytes::copy_from_slice(buf);
        receiver.arrived.push_back((bytes, from));
        out.wake.extend(receiver.reader.take());
        out.happened(id, What::DatagramSent, buf.len());
        out.happened(peer, What::DatagramArrived, buf.len());
        Poll::Ready(Ok(buf.len()))
    }

    pub(in crate::lab::net) fn local_recv(
        &mut self,
        id: u64,
        buf: &mut [u8],
        take: bool,
        out: &mut Out,
    ) -> Poll<(usize, UnixAddr)> {
        let local = self.local(id);
        let Some((bytes, from)) = local.arrived.front() else {
            out.discard
                .extend(std::mem::replace(&mut local.reader, out.caller.take()));
            return Poll::Pending;
        };
        let n = bytes.len().min(buf.len());
        buf[..n].copy_from_slice(&bytes[..n]);
        let received = (n, from.clone());
        if take && let Some((bytes, _)) = local.arrived.pop_front() {
            local.load -= bytes.len();
            out.wake.append(&mut local.senders);
        }
        Poll::Ready(received)
    }

    fn local(&mut self, id: u64) -> &mut Local {
        self.locals
            .get_mut(&id)
            .expect("a datagram socket is here while its owner is")
    }
}
