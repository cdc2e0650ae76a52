//! The rules of the virtual network, as a value: no lock, no wake, no clock.
//!
//! Each end of a connection holds what flows towards it. Invariants:
//!
//! 1. per direction, segments arrive in the order they were sent, each once,
//!    until a reset: the order is that of a queue, time only says when the
//!    front of the queue arrives;
//! 2. bytes under way plus bytes unread never exceed the buffer of the model;
//! 3. a wait stores at most one waker per direction, and the waker is woken
//!    when what it waits for happens;
//! 4. a connection is forgotten when both ends are closed.
//!
//! States of an end: *absent* (the server before the request arrives), *open*,
//! *broken* (reset; what had arrived can still be read), *closed* (its socket
//! was dropped). Closing with unread bytes, or receiving bytes when closed,
//! resets the other end, as real sockets do.

mod datagrams;
mod links;
mod local;
mod settings;

use super::{ConnId, Connection, LinkModel, NetModel, VirtualNet};
use crate::io::explain;
use crate::lab::pick::Strategy;
use crate::types::event::Event;
use crate::types::time::Time;
use crate::world::Addr;
use crate::world::net::Options;
use bytes::{Buf, Bytes};
use datagrams::{Bound, Datagram};
use local::Local;
pub(super) use settings::Settings;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::path::PathBuf;
use std::task::{Poll, Waker};
use std::time::Duration;

/// How often a request to connect is repeated; each wait is twice the one
/// before, so the last one ends 127 seconds after the first request.
const SYN_RETRIES: u32 = 6;
/// The wait before the first repetition.
const SYN_WAIT: Duration = Duration::from_secs(1);
/// Ports given to clients and to listeners that ask for any: the dynamic range of IANA.
const PORTS: std::ops::RangeInclusive<u16> = 49_152..=65_535;
/// Steps into which jitter is divided: few enough that a schedule stays readable.
const JITTER_STEPS: u32 = 16;

/// Makes the choices of the network, and knows the time.
pub(in crate::lab) struct Draw<'a> {
    pub(in crate::lab) now: Time,
    pub(in crate::lab) strategy: &'a mut dyn Strategy,
    pub(in crate::lab) choices: &'a mut Vec<u32>,
}

impl Draw<'_> {
    fn number(&mut self, bound: u32) -> u32 {
        let choice = self.strategy.number(bound) % bound;
        self.choices.push(choice);
        choice
    }
}

/// What the caller must do once its lock is released.
#[derive(Default)]
#[must_use = "whoever is in it waits to be woken"]
pub(in crate::lab) struct Out {
    /// The waker of the caller, to store if it has to wait.
    pub(in crate::lab) caller: Option<Waker>,
    pub(in crate::lab) wake: Vec<Waker>,
    /// Wakers that were replaced: dropping one may run foreign code.
    pub(in crate::lab) discard: Vec<Waker>,
    pub(in crate::lab) events: Vec<Event>,
}

impl Out {
    fn happened(&mut self, conn: u64, what: What, bytes: usize) {
        self.events.push(Event::Net {
            conn,
            what: what as u8,
            bytes: bytes as u64,
        });
    }
}

/// Codes of events; the table stands in the module above.
#[derive(Clone, Copy)]
enum What {
    Asked = 1,
    Queued = 2,
    Established = 3,
    Refused = 4,
    TimedOut = 5,
    Sent = 6,
    Arrived = 7,
    Ended = 8,
    Reset = 9,
    Held = 10,
    Accepted = 11,
    DatagramSent = 12,
    DatagramArrived = 13,
    DatagramLost = 14,
}

/// Which end of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client = 0,
    Server = 1,
}

impl Side {
    fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }
}

/// Everything on the network.
pub(in crate::lab) struct NetState {
    model: NetModel,
    listeners: BTreeMap<Addr, Listening>,
    conns: BTreeMap<u64, Conn>,
    datagrams: BTreeMap<SocketAddr, Bound>,
    /// Unix sockets of datagrams.
    locals: BTreeMap<u64, Local>,
    /// Paths that Unix sockets are or were bound to.
    files: BTreeSet<PathBuf>,
    /// What happens when, in order of time and then of cause.
    agenda: BTreeMap<(Time, u64), Tick>,
    sequence: u64,
    next_conn: u64,
    next_port: u16,
    /// Addresses from which clients are connected.
    clients: BTreeSet<SocketAddr>,
    cuts: BTreeSet<(IpAddr, IpAddr)>,
    /// Links with a model of their own.
    links: BTreeMap<(IpAddr, IpAddr), LinkModel>,
    /// Until when a direction of a link with a bandwidth is taken.
    busy: BTreeMap<(IpAddr, IpAddr), Time>,
    hosts: BTreeMap<String, Vec<IpAddr>>,
}

struct Listening {
    queue: VecDeque<u64>,
    backlog: usize,
    acceptor: Option<Waker>,
    /// Those of the connections that it accepts as well.
    settings: Settings,
}

struct Conn {
    addrs: [Addr; 2],
    phase: Phase,
    ends: [End; 2],
}

/// The connection as its client sees it.
#[derive(Clone, Copy)]
enum Phase {
    Connecting,
    Established,
    Failed(ErrorKind),
}

/// One end, and what flows towards it.
#[derive(Default)]
struct End {
    open: bool,
    /// Sent and not yet arrived.
    flight: VecDeque<Segment>,
    /// When the newest segment of `flight` arrives; the next one not before.
    last_due: Time,
    /// Segments whose time came during a partition.
    held: usize,
    arrived: VecDeque<Bytes>,
    /// Bytes in `flight` and `arrived`.
    load: usize,
    /// The other end sends nothing more.
    ended: bool,
    /// This end reads nothing more.
    deaf: bool,
    /// This end sends nothing more.
    mute: bool,
    broken: bool,
    /// Reported once, then reads are at the end and writes fail with `BrokenPipe`.
    error: Option<ErrorKind>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    settings: Settings,
}

enum Segment {
    Established,
    Refused,
    Data(Bytes),
    Fin,
    Reset,
}

enum Tick {
    /// A request to connect arrives.
    Request { conn: u64, attempt: u32, sent: Time },
    /// A request that was not answered is repeated, or given up.
    Repeat { conn: u64, attempt: u32 },
    /// The front of the flight towards `to` arrives.
    Arrival { conn: u64, to: Side },
    /// A datagram arrives, if nothing comes between.
    Datagram(Datagram),
}

impl Conn {
    fn end(&mut self, side: Side) -> &mut End {
        &mut self.ends[side as usize]
    }

    /// Whether operations have to wait for the connection, or fail with it.
    fn usable(&self) -> Poll<io::Result<()>> {
        match self.phase {
            Phase::Connecting => Poll::Pending,
            Phase::Established => Poll::Ready(Ok(())),
            Phase::Failed(kind) => Poll::Ready(Err(kind.into())),
        }
    }
}

impl End {
    fn wait_read(&mut self, out: &mut Out) {
        out.discard
            .extend(std::mem::replace(&mut self.reader, out.caller.take()));
    }

    fn wait_write(&mut self, out: &mut Out) {
        out.discard
            .extend(std::mem::replace(&mut self.writer, out.caller.take()));
    }

    fn wake_all(&mut self, out: &mut Out) {
        out.wake.extend(self.reader.take());
        out.wake.extend(self.writer.take());
    }

    fn break_with(&mut self, kind: ErrorKind, out: &mut Out) {
        self.broken = true;
        self.error = Some(kind);
        self.load -= self.flight.drain(..).map(|s| s.len()).sum::<usize>();
        self.wake_all(out);
    }
}

impl Segment {
    fn len(&self) -> usize {
        match self {
            Segment::Data(bytes) => bytes.len(),
            Segment::Established | Segment::Refused | Segment::Fin | Segment::Reset => 0,
        }
    }
}

impl NetState {
    pub(in crate::lab) fn new(model: NetModel) -> Self {
        NetState {
            model,
            listeners: BTreeMap::new(),
            conns: BTreeMap::new(),
            datagrams: BTreeMap::new(),
            locals: BTreeMap::new(),
            files: BTreeSet::new(),
            agenda: BTreeMap::new(),
            sequence: 0,
            next_conn: 0,
            next_port: *PORTS.start(),
            clients: BTreeSet::new(),
            cuts: BTreeSet::new(),
            links: BTreeMap::new(),
            busy: BTreeMap::new(),
            hosts: BTreeMap::new(),
        }
    }

    // Control.

    pub(super) fn partition(&mut self, a: IpAddr, b: IpAddr) {
        self.cuts.insert(link(a, b));
    }

    pub(super) fn heal(&mut self, a: IpAddr, b: IpAddr, draw: &mut Draw<'_>) {
        if !self.cuts.remove(&link(a, b)) {
            return;
        }
        let mut arrivals = Vec::new();
        for (id, conn) in &mut self.conns {
            if link_of(&conn.addrs) != Some(link(a, b)) {
                continue;
            }
            for to in [Side::Client, Side::Server] {
                let held = std::mem::take(&mut conn.end(to).held);
                arrivals.extend(std::iter::repeat_n((*id, to), held));
            }
        }
        for (conn, to) in arrivals {
            self.schedule_arrival(conn, to, 0, draw);
        }
    }

    pub(super) fn break_off(&mut self, id: u64, out: &mut Out) -> bool {
        let Some(conn) = self.conns.get_mut(&id) else {
            return false;
        };
        if let Phase::Connecting = conn.phase {
            conn.phase = Phase::Failed(ErrorKind::ConnectionReset);
        }
        for end in &mut conn.ends {
            if end.open && !end.broken {
                end.break_with(ErrorKind::ConnectionReset, out);
            }
        }
        out.happened(id, What::Reset, 0);
        true
    }

    pub(super) fn host(&mut self, name: &str, addr: IpAddr) {
        self.hosts.entry(name.to_owned()).or_default().push(addr);
    }

    pub(super) fn connections(&self) -> Vec<Connection> {
        let conns = self.conns.iter();
        conns
            .map(|(id, c)| Connection {
                id: ConnId(*id),
                client: c.addrs[0].clone(),
                server: c.addrs[1].clone(),
            })
            .collect()
    }

    // Sockets.

    pub(super) fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Some(addrs) = self.hosts.get(host) {
            return Ok(addrs.iter().map(|ip| SocketAddr::new(*ip, port)).collect());
        }
        if host == "localhost" {
            return Ok(vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)]);
        }
        match host.parse::<IpAddr>() {
            Ok(ip) => Ok(vec![SocketAddr::new(ip, port)]),
            Err(_) => Err(io::Error::new(
                ErrorKind::NotFound,
                format!("unknown host {host:?}: name it with lab.net().host(name, address)"),
            )),
        }
    }

    pub(super) fn listen(&mut self, addr: &Addr, options: &Options) -> io::Result<Addr> {
        let settings = Settings::of(&options.settings)?;
        let mut addr = addr.clone();
        // Also of a path that was removed: listeners are known by their addresses.
        if self.listeners.contains_key(&addr) {
            return Err(ErrorKind::AddrInUse.into());
        }
        match &mut addr {
            Addr::Ip(addr) if addr.port() == 0 => addr.set_port(self.free_port(addr.ip())?),
            Addr::Ip(addr) if self.is_taken(*addr) => return Err(ErrorKind::AddrInUse.into()),
            Addr::Ip(_) => {}
            Addr::Unix(addr) => self.unix_claim(addr)?,
        }
        let most = self.model.backlog;
        let asked = options.backlog.and_then(|n| usize::try_from(n).ok());
        let listening = Listening {
            queue: VecDeque::new(),
            // A listener with no room at all has room for one, as real ones do.
            backlog: asked.map_or(most, |n| n.clamp(1, most)),
            acceptor: None,
            settings,
        };
        self.listeners.insert(addr.clone(), listening);
        Ok(addr)
    }

    pub(super) fn listener_settings(&mut self, addr: &Addr) -> &mut Settings {
        &mut self.listening(addr).settings
    }

    fn listening(&mut self, addr: &Addr) -> &mut Listening {
        self.listeners
            .get_mut(addr)
            .expect("a listener exists while its socket does")
    }

    pub(super) fn unlisten(&mut self, addr: &Addr, draw: &mut Draw<'_>, out: &mut Out) {
        let Some(listening) = self.listeners.remove(addr) else {
            return;
        };
        out.discard.extend(listening.acceptor);
        for id in listening.queue {
            self.send(id, Side::Client, Segment::Reset, draw);
            self.forget(id, Side::Server, out);
        }
    }

    pub(super) fn accept(&mut self, addr: &Addr, out: &mut Out) -> Poll<(u64, Addr)> {
        let listening = self.listening(addr);
        let Some(id) = listening.queue.pop_front() else {
            out.discard.extend(std::mem::replace(
                &mut listening.acceptor,
                out.caller.take(),
            ));
            return Poll::Pending;
        };
        let settings = listening.settings.clone();
        out.happened(id, What::Accepted, 0);
        let conn = self.conn(id);
        conn.end(Side::Server).settings = settings;
        Poll::Ready((id, conn.addrs[Side::Client as usize].clone()))
    }

    pub(super) fn connect(
        &mut self,
        to: SocketAddr,
        options: &Options,
        draw: &mut Draw<'_>,
        out: &mut Out,
    ) -> io::Result<u64> {
        if to.port() == 0 || to.ip().is_unspecified() {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                format!("{to} is no address to connect to"),
            ));
        }
        let settings = Settings::of(&options.settings)?;
        let bind = match &options.bind {
            Some(Addr::Unix(_)) => return Err(ErrorKind::InvalidInput.into()),
            Some(Addr::Ip(addr)) => Some(*addr),
            None => None,
        };
        let from = self.departure(to, bind).map_err(|e| match bind {
            Some(addr) => explain(format!("cannot leave from {addr}"), e, ""),
            None => e,
        })?;
        self.clients.insert(from);
        let id = self.next_conn;
        self.next_conn += 1;
        let mut ends = <[End; 2]>::default();
        ends[Side::Client as usize].open = true;
        ends[Side::Client as usize].settings = settings;
        self.conns.insert(
            id,
            Conn {
                addrs: [from.into(), to.into()],
                phase: Phase::Connecting,
                ends,
            },
        );
        out.happened(id, What::Asked, 0);
        self.request(id, 0, draw);
        Ok(id)
    }

    /// The address that a connection leaves from.
    fn departure(&mut self, to: SocketAddr, asked: Option<SocketAddr>) -> io::Result<SocketAddr> {
        let host = match (to.ip(), asked.map(|addr| addr.ip())) {
            (to, Some(ip)) if to.is_ipv4() != ip.is_ipv4() => {
                let message = format!("{ip} is of another family than {to}");
                return Err(io::Error::new(ErrorKind::InvalidInput, message));
            }
            (_, Some(ip)) if !ip.is_unspecified() => ip,
            (ip, _) if ip.is_loopback() => ip,
            (IpAddr::V4(_), _) => VirtualNet::CLIENT_V4,
            (IpAddr::V6(_), _) => VirtualNet::CLIENT_V6,
        };
        let Some(port) = asked.map(|addr| addr.port()).filter(|port| *port != 0) else {
            return Ok(SocketAddr::new(host, self.free_port(host)?));
        };
        let from = SocketAddr::new(host, port);
        match self.is_taken(from) || self.clients.contains(&from) {
            true => Err(ErrorKind::AddrInUse.into()),
            false => Ok(from),
        }
    }

    pub(super) fn addrs(&mut self, id: u64, side: Side) -> (Addr, Addr) {
        let addrs = &self.conn(id).addrs;
        let [here, there] = [side, side.other()].map(|side| addrs[side as usize].clone());
        (here, there)
    }

    pub(super) fn stream_settings(&mut self, id: u64, side: Side) -> &mut Settings {
        &mut self.conn(id).end(side).settings
    }

    pub(super) fn connected(&mut self, id: u64, side: Side, out: &mut Out) -> Poll<io::Result<()>> {
        let conn = self.conn(id);
        if side == Side::Server {
            return Poll::Ready(Ok(()));
        }
        let state = conn.usable();
        if state.is_pending() {
            conn.end(side).wait_write(out);
        }
        state
    }

    pub(super) fn read(
        &mut self,
        id: u64,
        side: Side,
        buf: &mut [u8],
        draw: &mut Draw<'_>,
        out: &mut Out,
    ) -> Poll<io::Result<usize>> {
        let segments = self.model.segments;
        let conn = self.conn(id);
        if side == Side::Client {
            match conn.usable() {
                Poll::Pending => {
                    conn.end(side).wait_read(out);
                    return Poll::Pending;
                }
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Ready(Ok(())) => {}
            }
        }
        let end = conn.end(side);
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let mut read = 0;
        while read < buf.len() {
            let Some(front) = end.arrived.front_mut() else {
                break;
            };
            if read > 0 && segments && draw.number(2) == 1 {
                break;
            }
            let n = front.len().min(buf.len() - read);
            front.copy_to_slice(&mut buf[read..read + n]);
            read += n;
            if front.is_empty() {
                end.arrived.pop_front();
            }
        }
        if read > 0 {
            end.load -= read;
            out.wake.extend(conn.end(side.other()).writer.take());
            return Poll::Ready(Ok(read));
        }
        if let Some(kind) = end.error.take() {
            return Poll::Ready(Err(kind.into()));
        }
        if end.ended || end.broken || end.deaf {
            return Poll::Ready(Ok(0));
        }
        end.wait_read(out);
        Poll::Pending
    }

    /// As `read`, and leaves everything as it is.
    pub(super) fn peek(
        &mut self,
        id: u64,
        side: Side,
        buf: &mut [u8],
        out: &mut Out,
    ) -> Poll<io::Result<usize>> {
        let end = self.conn(id).end(side);
        let mut seen = 0;
        for bytes in &end.arrived {
            let n = bytes.len().min(buf.len() - seen);
            buf[seen..seen + n].copy_from_slice(&bytes[..n]);
            seen += n;
        }
        if seen > 0 {
            return Poll::Ready(Ok(seen));
        }
        if let Some(kind) = end.error {
            return Poll::Ready(Err(kind.into()));
        }
        if end.ended || end.broken || end.deaf {
            return Poll::Ready(Ok(0));
        }
        end.wait_read(out);
        Poll::Pending
    }

    pub(super) fn write(
        &mut self,
        id: u64,
        side: Side,
        buf: &[u8],
        draw: &mut Draw<'_>,
        out: &mut Out,
    ) -> Poll<io::Result<usize>> {
        let NetModel {
            segments, buffer, ..
        } = self.model;
        let conn = self.conn(id);
        if side == Side::Client {
            match conn.usable() {
                Poll::Pending => {
                    conn.end(side).wait_write(out);
                    return Poll::Pending;
                }
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Ready(Ok(())) => {}
            }
        }
        let room = buffer - conn.end(side.other()).load;
        let end = conn.end(side);
        if let Some(kind) = end.error.take() {
            return Poll::Ready(Err(kind.into()));
        }
        if end.mute || end.broken {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if room == 0 {
            end.wait_write(out);
            return Poll::Pending;
        }
        let n = room.min(buf.len());
        let cut = match n {
            2.. if segments => match draw.number(4) {
                1 => 1,
                2 => n / 2,
                3 => n - 1,
                _ => n,
            },
            _ => n,
        };
        conn.end(side.other()).load += n;
        out.happened(id, What::Sent, n);
        for part in [&buf[..cut], &buf[cut..n]] {
            if !part.is_empty() {
                self.send(
                    id,
                    side.other(),
                    Segment::Data(Bytes::copy_from_slice(part)),
                    draw,
                );
            }
        }
        Poll::Ready(Ok(n))
    }

    /// Whether `write` would not wait: also when it would fail.
    pub(super) fn writable(&mut self, id: u64, side: Side, out: &mut Out) -> Poll<io::Result<()>> {
        let buffer = self.model.buffer;
        let conn = self.conn(id);
        let waits = side == Side::Client && conn.usable().is_pending();
        let room = buffer - conn.end(side.other()).load;
        let end = conn.end(side);
        let fails = end.error.is_some() || end.mute || end.broken;
        if waits || (room == 0 && !fails) {
            end.wait_write(out);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn shutdown(
        &mut self,
        id: u64,
        side: Side,
        how: Shutdown,
        draw: &mut Draw<'_>,
        out: &mut Out,
    ) -> io::Result<()> {
        let conn = self.conn(id);
        let connected = side == Side::Server || matches!(conn.phase, Phase::Established);
        let end = conn.end(side);
        if !connected || end.broken {
            // What was asked for is the case.
            return Ok(());
        }
        if matches!(how, Shutdown::Read | Shutdown::Both) {
            end.deaf = true;
            out.wake.extend(end.reader.take());
        }
        if matches!(how, Shutdown::Write | Shutdown::Both) && !end.mute {
            end.mute = true;
            out.wake.extend(end.writer.take());
            self.send(id, side.other(), Segment::Fin, draw);
        }
        Ok(())
    }

    /// The socket of this end was dropped.
    pub(super) fn close(&mut self, id: u64, side: Side, draw: &mut Draw<'_>, out: &mut Out) {
        let end = self.conn(id).end(side);
        if !end.broken {
            if !end.arrived.is_empty() || end.settings.resets() {
                self.send(id, side.other(), Segment::Reset, draw);
            } else if !end.mute {
                end.mute = true;
                self.send(id, side.other(), Segment::Fin, draw);
            }
        }
        self.forget(id, side, out);
    }

    // Time.

    /// When something happens next.
    pub(in crate::lab) fn next_due(&self) -> Option<Time> {
        self.agenda.first_key_value().map(|((due, _), _)| *due)
    }

    /// Does the next thing that is due; `false` when there is none.
    pub(in crate::lab) fn tick(&mut self, draw: &mut Draw<'_>, out: &mut Out) -> bool {
        let Some(first) = self.agenda.first_entry().filter(|e| e.key().0 <= draw.now) else {
            return false;
        };
        match first.remove() {
            Tick::Request {
                conn,
                attempt,
                sent,
            } => self.on_request(conn, attempt, sent, draw, out),
            Tick::Repeat { conn, attempt } => self.on_repeat(conn, attempt, draw, out),
            Tick::Arrival { conn, to } => self.on_arrival(conn, to, draw, out),
            Tick::Datagram(datagram) => self.on_datagram(datagram, out),
        }
        true
    }

    /// Every waker that is stored, when nobody will be woken any more.
    pub(in crate::lab) fn take_wakers(&mut self) -> Vec<Waker> {
        let ends = self.conns.values_mut().flat_map(|c| &mut c.ends);
        let mut wakers: Vec<Waker> = ends
            .flat_map(|e| [e.reader.take(), e.writer.take()])
            .flatten()
            .collect();
        wakers.extend(
            self.listeners
                .values_mut()
                .filter_map(|l| l.acceptor.take()),
        );
        let bound = self.datagrams.values_mut();
        wakers.extend(bound.filter_map(|b| b.reader.take()));
        wakers.extend(self.locals.values_mut().flat_map(Local::take_wakers));
        wakers
    }

    fn on_request(
        &mut self,
        id: u64,
        attempt: u32,
        sent: Time,
        draw: &mut Draw<'_>,
        out: &mut Out,
    ) {
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        let cut = link_of(&conn.addrs).is_some_and(|link| self.cuts.contains(&link));
        let to = &conn.addrs[Side::Server as usize];
        let key = match to {
            Addr::Ip(ip) if !self.listeners.contains_key(to) => Addr::Ip(wildcard(*ip)),
            _ => to.clone(),
        };
        match self.listeners.get_mut(&key) {
            None if !cut => self.send(id, Side::Client, Segment::Refused, draw),
            Some(listening) if !cut && listening.queue.len() < listening.backlog => {
                conn.end(Side::Server).open = true;
                listening.queue.push_back(id);
                out.wake.extend(listening.acceptor.take());
                out.happened(id, What::Queued, 0);
                self.send(id, Side::Client, Segment::Established, draw);
            }
            // Lost on the way, or ignored by a listener that is behind: the client asks again.
            _ => {
                let due = (sent + SYN_WAIT * (1 << attempt)).max(draw.now);
                self.schedule(
                    due,
                    Tick::Repeat {
                        conn: id,
                        attempt: attempt + 1,
                    },
                );
            }
        }
    }

    fn on_repeat(&mut self, id: u64, attempt: u32, draw: &mut Draw<'_>, out: &mut Out) {
        if attempt <= SYN_RETRIES {
            self.request(id, attempt, draw);
            return;
        }
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.phase = Phase::Failed(ErrorKind::TimedOut);
            conn.end(Side::Client).wake_all(out);
            out.happened(id, What::TimedOut, 0);
        }
    }

    fn on_arrival(&mut self, id: u64, to: Side, draw: &mut Draw<'_>, out: &mut Out) {
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        if link_of(&conn.addrs).is_some_and(|link| self.cuts.contains(&link)) {
            if !conn.end(to).flight.is_empty() {
                conn.end(to).held += 1;
                out.happened(id, What::Held, 0);
            }
            return;
        }
        // A reset empties the flight and leaves the appointments of what was in it.
        let Some(segment) = conn.end(to).flight.pop_front() else {
            return;
        };
        match segment {
            Segment::Established => {
                conn.phase = Phase::Established;
                conn.end(Side::Client).wake_all(out);
                out.happened(id, What::Established, 0);
            }
            Segment::Refused => {
                conn.phase = Phase::Failed(ErrorKind::ConnectionRefused);
                conn.end(Side::Client).wake_all(out);
                out.happened(id, What::Refused, 0);
            }
            Segment::Data(bytes) => {
                let end = conn.end(to);
                if !end.open || end.deaf {
                    end.load -= bytes.len();
                    let closed = !end.open;
                    out.wake.extend(conn.end(to.other()).writer.take());
                    if closed {
                        self.send(id, to.other(), Segment::Reset, draw);
                    }
                    return;
                }
                out.happened(id, What::Arrived, bytes.len());
                end.arrived.push_back(bytes);
                out.wake.extend(end.reader.take());
            }
            Segment::Fin => {
                let end = conn.end(to);
                end.ended = true;
                out.wake.extend(end.reader.take());
                out.happened(id, What::Ended, 0);
            }
            Segment::Reset => {
                let end = conn.end(to);
                if end.open && !end.broken {
                    end.break_with(ErrorKind::ConnectionReset, out);
                    out.happened(id, What::Reset, 0);
                }
            }
        }
    }

    fn request(&mut self, id: u64, attempt: u32, draw: &mut Draw<'_>) {
        let Some(conn) = self.conns.get(&id) else {
            return;
        };
        let [from, to] = conn.addrs.each_ref().map(Addr::host);
        let due = self.due_between(from, to, 0, draw);
        self.schedule(
            due,
            Tick::Request {
                conn: id,
                attempt,
                sent: draw.now,
            },
        );
    }

    /// Puts a segment on its way to an end that may still want it.
    fn send(&mut self, id: u64, to: Side, segment: Segment, draw: &mut Draw<'_>) {
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        let end = conn.end(to);
        if end.broken {
            end.load -= segment.len();
            return;
        }
        let bytes = segment.len();
        end.flight.push_back(segment);
        self.schedule_arrival(id, to, bytes, draw);
    }

    fn schedule_arrival(&mut self, id: u64, to: Side, bytes: usize, draw: &mut Draw<'_>) {
        let conn = self.conn(id);
        let [here, there] = [to.other(), to].map(|side| conn.addrs[side as usize].host());
        let due = self.due_between(here, there, bytes, draw);
        let end = self.conn(id).end(to);
        end.last_due = due.max(end.last_due);
        let due = end.last_due;
        self.schedule(due, Tick::Arrival { conn: id, to });
    }

    fn schedule(&mut self, due: Time, tick: Tick) {
        self.agenda.insert((due, self.sequence), tick);
        self.sequence += 1;
    }

    fn forget(&mut self, id: u64, side: Side, out: &mut Out) {
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        let end = conn.end(side);
        end.open = false;
        out.discard.extend(end.reader.take());
        out.discard.extend(end.writer.take());
        end.load -= end.arrived.drain(..).map(|b| b.len()).sum::<usize>();
        out.wake.extend(conn.end(side.other()).writer.take());
        if conn.ends.iter().all(|e| !e.open) {
            if let Addr::Ip(client) = conn.addrs[Side::Client as usize] {
                self.clients.remove(&client);
            }
            self.conns.remove(&id);
        }
    }

    fn conn(&mut self, id: u64) -> &mut Conn {
        self.conns
            .get_mut(&id)
            .expect("a connection exists while a socket of it does")
    }

    fn is_taken(&self, addr: SocketAddr) -> bool {
        let ips = self.listeners.keys().filter_map(|addr| match addr {
            Addr::Ip(addr) => Some(addr),
            Addr::Unix(_) => None,
        });
        overlaps(ips, addr)
    }

    fn free_port(&mut self, host: IpAddr) -> io::Result<u16> {
        for _ in PORTS {
            let port = self.next_port;
            self.next_port = if port == *PORTS.end() {
                *PORTS.start()
            } else {
                port + 1
            };
            let addr = SocketAddr::new(host, port);
            if !self.is_taken(addr) && !self.clients.contains(&addr) {
                return Ok(port);
            }
        }
        Err(ErrorKind::AddrInUse.into())
    }
}

/// The pair of hosts, in one order.
fn link(a: IpAddr, b: IpAddr) -> (IpAddr, IpAddr) {
    (a.min(b), a.max(b))
}

/// The link that a connection takes, unless it stays on its host by definition.
fn link_of(addrs: &[Addr; 2]) -> Option<(IpAddr, IpAddr)> {
    Some(link(addrs[0].host()?, addrs[1].host()?))
}

/// The address of a socket that is bound to the port at every address.
fn wildcard(to: SocketAddr) -> SocketAddr {
    let any = match to {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    SocketAddr::new(any, to.port())
}

/// Whether a socket at one of the `taken` addresses would get what is meant for `addr`.
fn overlaps<'a>(mut taken: impl Iterator<Item = &'a SocketAddr>, addr: SocketAddr) -> bool {
    taken.any(|t| {
        let same_family = t.is_ipv4() == addr.is_ipv4();
        let overlap = t.ip() == addr.ip() || t.ip().is_unspecified() || addr.ip().is_unspecified();
        t.port() == addr.port() && same_family && overlap
    })
}
