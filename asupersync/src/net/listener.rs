//! Accepting connections.

use super::back_off::BackOff;
use super::family::{Family, Ip};
use super::stream::SocketStream;
use crate::cx::{Cx, DropSafe};
use crate::io::waiters::{Place, Waiters};
use crate::io::{Operation, explain};
use crate::world::Listener;
use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// The first pause after the system ran out of descriptors, and the longest.
const BACK_OFF: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(1);
/// Connections in a row that may be gone before they are accepted, in one poll.
const ABORTED: u32 = 64;

/// A socket that accepts connections: [`TcpListener`](super::TcpListener) or
/// [`UnixListener`](super::UnixListener).
pub struct SocketListener<F: Family> {
    pub(super) inner: Arc<dyn Listener>,
    acceptors: Waiters,
    family: PhantomData<F>,
}

impl<F: Family> SocketListener<F> {
    pub(super) fn new(inner: Arc<dyn Listener>) -> Self {
        SocketListener {
            inner,
            acceptors: Waiters::new(),
            family: PhantomData,
        }
    }

    /// Waits for the next connection.
    ///
    /// Any number of tasks may wait; each connection goes to one of them.
    ///
    /// When the process or the system is out of descriptors, it pauses for
    /// 10 ms to 1 s and tries again. Connections that are gone before they are
    /// accepted are skipped.
    ///
    /// *Cancellation.* Safe: a connection is taken only when it is returned.
    ///
    /// # Errors
    /// The listener's, or one that wraps [`Cancelled`](crate::Cancelled).
    pub fn accept<'a>(&'a self, cx: &'a Cx) -> Accept<'a, F> {
        Accept {
            listener: self,
            cx,
            operation: Operation::default(),
            place: self.acceptors.place(),
            back_off: BackOff::new(BACK_OFF),
        }
    }

    /// The error, with where it was.
    #[cold]
    fn explain(&self, e: io::Error) -> io::Error {
        match self.inner.local_addr() {
            Ok(addr) => explain(format!("accept at {addr}"), e, ""),
            Err(_) => e,
        }
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<F::Addr> {
        F::narrow(self.inner.local_addr()?)
    }

    /// The error that a past event left, which is taken by asking.
    ///
    /// # Errors
    /// The system's, if it cannot be asked.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.inner.take_error()
    }
}

impl<F: Family> fmt::Debug for SocketListener<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [_, name, _] = F::NAMES;
        f.debug_struct(name)
            .field("addr", &self.local_addr().ok())
            .finish()
    }
}

/// Future of [`SocketListener::accept`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Accept<'a, F: Family = Ip> {
    listener: &'a SocketListener<F>,
    cx: &'a Cx,
    operation: Operation,
    place: Place<'a>,
    /// Runs while the system is out of descriptors.
    back_off: BackOff<'a>,
}

impl<F: Family> Future for Accept<'_, F> {
    type Output = io::Result<(SocketStream<F>, F::Addr)>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Accept {
            listener,
            cx,
            operation,
            place,
            back_off,
        } = self.get_mut();
        let cx = *cx;
        operation.poll(cx, task, |task| {
            let mut aborted = 0;
            loop {
                ready!(back_off.poll(task))?;
                let accepted = place.poll(task, |task| listener.inner.poll_accept(task));
                match ready!(accepted) {
                    Ok((stream, peer)) => {
                        return Poll::Ready(Ok((SocketStream::new(stream), F::narrow(peer)?)));
                    }
                    Err(e) if out_of_resources(&e) => back_off.begin(cx),
                    Err(e) if gone(&e) => {
                        aborted += 1;
                        if aborted == ABORTED {
                            task.waker().wake_by_ref();
                            return Poll::Pending;
                        }
                    }
                    Err(e) => return Poll::Ready(Err(listener.explain(e))),
                }
            }
        })
    }
}

impl<F: Family> DropSafe for Accept<'_, F> {}

/// Whether the error passes when something else is closed.
fn out_of_resources(e: &io::Error) -> bool {
    #[cfg(unix)]
    let codes = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    // WSAEMFILE and WSAENOBUFS.
    #[cfg(not(unix))]
    let codes = [10024, 10055];
    e.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// Whether the error is of the connection that would have been accepted.
fn gone(e: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(
        e.kind(),
        K::ConnectionAborted | K::ConnectionReset | K::ConnectionRefused
    )
}
