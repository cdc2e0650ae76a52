//! Datagrams.

use super::back_off::{BackOff, ROOM};
use super::family::{Family, Ip};
use crate::cx::{Cx, DropSafe};
use crate::io::waiters::{Place, Waiters};
use crate::io::{Operation, explain};
use crate::types::caps::Capability;
use crate::world::{Addr, Datagrams};
use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A socket of datagrams: [`UdpSocket`](super::UdpSocket) or [`UnixDatagram`](super::UnixDatagram).
///
/// A datagram that arrives is whole. Any number of tasks may send and receive
/// at the same time through a shared reference; each datagram goes to one of
/// the receivers.
pub struct DatagramSocket<F: Family> {
    pub(super) inner: Arc<dyn Datagrams>,
    receivers: Waiters,
    senders: Waiters,
    family: PhantomData<F>,
}

impl<F: Family> DatagramSocket<F> {
    pub(super) fn new(inner: Arc<dyn Datagrams>) -> Self {
        DatagramSocket {
            inner,
            receivers: Waiters::new(),
            senders: Waiters::new(),
            family: PhantomData,
        }
    }

    /// Sends a datagram to the address that the socket is connected to; returns its length.
    ///
    /// *Cancellation.* Safe: it is sent when the length is returned.
    ///
    /// # Errors
    /// The system's, among them `NotConnected`, and those that an earlier
    /// datagram met with; one that wraps [`Cancelled`](crate::Cancelled).
    pub fn send<'a>(&'a self, cx: &'a Cx, buf: &'a [u8]) -> Send<'a> {
        self.sending(cx, buf, None)
    }

    pub(super) fn sending<'a>(&'a self, cx: &'a Cx, buf: &'a [u8], to: Option<Addr>) -> Send<'a> {
        Send {
            socket: &self.inner,
            cx,
            buf,
            to,
            operation: Operation::default(),
            place: self.senders.place(),
            full: BackOff::new(ROOM),
        }
    }

    /// Receives a datagram: how many bytes of `buf` it filled, and whose it is.
    /// What does not fit is cut off.
    ///
    /// *Cancellation.* Safe: a datagram is taken when it is returned.
    ///
    /// # Errors
    /// The system's, or one that wraps [`Cancelled`](crate::Cancelled).
    pub fn recv_from<'a>(&'a self, cx: &'a Cx, buf: &'a mut [u8]) -> RecvFrom<'a, F> {
        self.receiving(cx, buf, Takes::All)
    }

    /// As [`DatagramSocket::recv_from`], and leaves the datagram for the next.
    ///
    /// *Cancellation.* Safe: it takes nothing.
    ///
    /// # Errors
    /// The system's, or one that wraps [`Cancelled`](crate::Cancelled).
    pub fn peek_from<'a>(&'a self, cx: &'a Cx, buf: &'a mut [u8]) -> RecvFrom<'a, F> {
        self.receiving(cx, buf, Takes::Nothing)
    }

    fn receiving<'a>(&'a self, cx: &'a Cx, buf: &'a mut [u8], takes: Takes) -> RecvFrom<'a, F> {
        RecvFrom {
            socket: &self.inner,
            cx,
            buf,
            takes,
            operation: Operation::default(),
            place: self.receivers.place(),
            family: PhantomData,
        }
    }

    /// As [`DatagramSocket::recv_from`], without the address.
    ///
    /// *Cancellation.* Safe: a datagram is taken when it is returned.
    ///
    /// # Errors
    /// The system's, among them those that an earlier datagram met with; one
    /// that wraps [`Cancelled`](crate::Cancelled).
    pub fn recv<'a>(&'a self, cx: &'a Cx, buf: &'a mut [u8]) -> Recv<'a, F> {
        Recv(self.recv_from(cx, buf))
    }

    /// As [`DatagramSocket::peek_from`], without the address.
    ///
    /// *Cancellation.* Safe: it takes nothing.
    ///
    /// # Errors
    /// As for [`DatagramSocket::peek_from`].
    pub fn peek<'a>(&'a self, cx: &'a Cx, buf: &'a mut [u8]) -> Recv<'a, F> {
        Recv(self.peek_from(cx, buf))
    }

    /// Waits until there is a datagram.
    ///
    /// *Cancellation.* Safe: it takes nothing.
    ///
    /// # Errors
    /// As for [`DatagramSocket::peek_from`].
    pub fn readable<'a>(&'a self, cx: &'a Cx) -> Receivable<'a, F> {
        Receivable(self.peek_from(cx, &mut []))
    }

    /// Sends a datagram to the address that the socket is connected to, if there
    /// is room now.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; those of [`DatagramSocket::send`].
    pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        let poll = |task: &mut Context<'_>| self.inner.poll_send(task, buf, None);
        let sent = self.senders.try_now(poll).unwrap_or_else(would_block);
        sent.map_err(|e| with("send to", self.inner.peer_addr().ok(), e))
    }

    /// Takes a datagram that is there: how many bytes of `buf` it filled, and whose it is.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; those of [`DatagramSocket::recv_from`].
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, F::Addr)> {
        let poll = |task: &mut Context<'_>| self.inner.poll_recv(task, buf);
        let received = self.receivers.try_now(poll).unwrap_or_else(would_block);
        let received = received.and_then(|(n, from)| Ok((n, F::narrow(from)?)));
        received.map_err(|e| not_received(&self.inner, e))
    }

    /// As [`DatagramSocket::try_recv_from`], without the address.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; those of [`DatagramSocket::recv`].
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.try_recv_from(buf).map(|(n, _)| n)
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<F::Addr> {
        F::narrow(self.inner.local_addr()?)
    }

    /// The address it is connected to.
    ///
    /// # Errors
    /// The system's: `NotConnected` when there is none.
    pub fn peer_addr(&self) -> io::Result<F::Addr> {
        F::narrow(self.inner.peer_addr()?)
    }

    /// The error that an earlier datagram met with, which is taken by asking.
    ///
    /// # Errors
    /// The system's, if it cannot be asked.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.inner.take_error()
    }
}

impl<F: Family> fmt::Debug for DatagramSocket<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [.., name] = F::NAMES;
        f.debug_struct(name)
            .field("addr", &self.local_addr().ok())
            .finish_non_exhaustive()
    }
}

/// Future of [`DatagramSocket::send`] and `send_to`.
#[must_use = "futures do nothing unless polled"]
pub struct Send<'a> {
    socket: &'a Arc<dyn Datagrams>,
    cx: &'a Cx,
    buf: &'a [u8],
    to: Option<Addr>,
    operation: Operation,
    place: Place<'a>,
    /// Runs while the receiver, which is of this host, has no room.
    full: BackOff<'a>,
}

impl Future for Send<'_> {
    type Output = io::Result<usize>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Send {
            socket,
            cx,
            buf,
            to,
            operation,
            place,
            full,
        } = self.get_mut();
        let cx = *cx;
        operation.poll(cx, task, |task| {
            if to.is_some() {
                cx.require(Capability::Net)?;
            }
            loop {
                ready!(full.poll(task))?;
                let sent = place.poll(task, |task| socket.poll_send(task, buf, to.as_ref()));
                match ready!(sent) {
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => full.begin(cx),
                    Err(e) => {
                        let to = to.clone().or_else(|| socket.peer_addr().ok());
                        return Poll::Ready(Err(with("send to", to, e)));
                    }
                    sent => return Poll::Ready(sent),
                }
            }
        })
    }
}

impl DropSafe for Send<'_> {}

fn would_block<T>() -> io::Result<T> {
    Err(io::ErrorKind::WouldBlock.into())
}

/// The error, with what was done and with whom, unless it says to wait.
#[cold]
fn with(what: &str, whom: Option<Addr>, e: io::Error) -> io::Error {
    match whom {
        Some(addr) if e.kind() != io::ErrorKind::WouldBlock => {
            explain(format!("{what} {addr}"), e, "")
        }
        _ => e,
    }
}

#[cold]
fn not_received(socket: &Arc<dyn Datagrams>, e: io::Error) -> io::Error {
    match socket.peer_addr() {
        Ok(peer) => with("receive from", Some(peer), e),
        Err(_) => with("receive at", socket.local_addr().ok(), e),
    }
}

#[derive(Clone, Copy)]
enum Takes {
    Nothing,
    All,
}

/// Future of [`DatagramSocket::recv_from`] and [`DatagramSocket::peek_from`].
#[must_use = "futures do nothing unless polled"]
pub struct RecvFrom<'a, F: Family = Ip> {
    socket: &'a Arc<dyn Datagrams>,
    cx: &'a Cx,
    buf: &'a mut [u8],
    takes: Takes,
    operation: Operation,
    place: Place<'a>,
    family: PhantomData<F>,
}

impl<F: Family> Future for RecvFrom<'_, F> {
    type Output = io::Result<(usize, F::Addr)>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let RecvFrom {
            socket,
            cx,
            buf,
            takes,
            operation,
            place,
            family: _,
        } = self.get_mut();
        operation.poll(cx, task, |task| {
            let received = ready!(place.poll(task, |task| match takes {
                Takes::All => socket.poll_recv(task, buf),
                Takes::Nothing => socket.poll_peek(task, buf),
            }));
            let received = received.and_then(|(n, from)| Ok((n, F::narrow(from)?)));
            Poll::Ready(received.map_err(|e| not_received(socket, e)))
        })
    }
}

impl<F: Family> DropSafe for RecvFrom<'_, F> {}

/// Future of [`DatagramSocket::recv`] and [`DatagramSocket::peek`].
#[must_use = "futures do nothing unless polled"]
pub struct Recv<'a, F: Family = Ip>(RecvFrom<'a, F>);

impl<F: Family> Future for Recv<'_, F> {
    type Output = io::Result<usize>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let received = Pin::new(&mut self.0).poll(task);
        received.map_ok(|(n, _)| n)
    }
}

impl<F: Family> DropSafe for Recv<'_, F> {}

/// Future of [`DatagramSocket::readable`].
#[must_use = "futures do nothing unless polled"]
pub struct Receivable<'a, F: Family = Ip>(RecvFrom<'a, F>);

impl<F: Family> Future for Receivable<'_, F> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let seen = Pin::new(&mut self.0).poll(task);
        seen.map_ok(|_| ())
    }
}

impl<F: Family> DropSafe for Receivable<'_, F> {}

macro_rules! debug {
    ($($name:literal: [$($f:ident)?] $t:ty;)*) => {$(
        impl $(<$f: Family>)? fmt::Debug for $t {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct($name).finish_non_exhaustive()
            }
        }
    )*};
}
debug! {
    "Send": [] Send<'_>;
    "RecvFrom": [F] RecvFrom<'_, F>;
    "Recv": [F] Recv<'_, F>;
    "Receivable": [F] Receivable<'_, F>;
}
