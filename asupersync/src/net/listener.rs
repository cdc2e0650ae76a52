//! Accepting connections.

use super::addrs::{ToAddrs, addresses_of, first_of};
use super::stream::TcpStream;
use super::waiters::{Place, Waiters};
use crate::cx::{Cx, DropSafe};
use crate::io::Operation;
use crate::time::Sleep;
use crate::types::caps::Capability;
use crate::world::Listener;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// The first pause after the system ran out of descriptors, and the longest.
const BACK_OFF: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(1);
/// Connections in a row that may be gone before they are accepted, in one poll.
const ABORTED: u32 = 64;

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
pub struct TcpListener {
    inner: Arc<dyn Listener>,
    acceptors: Waiters,
}

impl TcpListener {
    /// Listens on the first address that can be; port 0 picks a free one.
    ///
    /// *Cancellation.* Safe while a host name is looked up; the rest does not wait.
    ///
    /// # Errors
    /// The last address's, which it names; one that wraps [`Cancelled`](crate::Cancelled);
    /// `PermissionDenied` from a context without [`Capability::Net`].
    pub async fn bind(cx: &Cx, addr: impl ToAddrs) -> io::Result<Self> {
        cx.checkpoint()?;
        cx.require(Capability::Net)?;
        let addrs = addresses_of(cx, addr).await?;
        let inner = first_of("listen on", addrs, |addr| cx.world().net().tcp_listen(addr))?;
        let acceptors = Waiters::new();
        Ok(TcpListener { inner, acceptors })
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
    pub fn accept<'a>(&'a self, cx: &'a Cx) -> Accept<'a> {
        let (operation, delay) = (Operation::default(), *BACK_OFF.start());
        Accept {
            listener: self,
            cx,
            operation,
            place: self.acceptors.place(),
            pause: None,
            delay,
        }
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener")
            .field("addr", &self.local_addr().ok())
            .finish()
    }
}

/// Future of [`TcpListener::accept`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Accept<'a> {
    listener: &'a TcpListener,
    cx: &'a Cx,
    operation: Operation,
    place: Place<'a>,
    /// Runs while the system is out of descriptors.
    pause: Option<Sleep<'a>>,
    delay: Duration,
}

impl Future for Accept<'_> {
    type Output = io::Result<(TcpStream, SocketAddr)>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Accept {
            listener,
            cx,
            operation,
            place,
            pause,
            delay,
        } = self.get_mut();
        let cx = *cx;
        operation.poll(cx, task, |task| {
            let mut aborted = 0;
            loop {
                if let Some(sleep) = pause {
                    ready!(Pin::new(sleep).poll(task))?;
                    *pause = None;
                }
                let accepted = place.poll(task, |task| listener.inner.poll_accept(task));
                match ready!(accepted) {
                    Ok((stream, peer)) => return Poll::Ready(Ok((TcpStream::new(stream), peer))),
                    Err(e) if out_of_resources(&e) => {
                        *pause = Some(cx.pause(*delay));
                        *delay = (*delay * 2).min(*BACK_OFF.end());
                    }
                    Err(e) if gone(&e) => {
                        aborted += 1;
                        if aborted == ABORTED {
                            task.waker().wake_by_ref();
                            return Poll::Pending;
                        }
                    }
                    Err(e) => return Poll::Ready(Err(e)),
                }
            }
        })
    }
}

impl DropSafe for Accept<'_> {}

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
