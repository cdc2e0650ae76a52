//! A descriptor of the system that tasks wait for.

use super::watching::{Found, Places, Watching};
use crate::cx::{Cx, DropSafe};
use crate::io::{Operation, explain};
use crate::types::caps::Capability;
use crate::world::{Interest, Ready, World};
use futures_io::{AsyncRead, AsyncWrite};
use std::fmt;
use std::future::Future;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A descriptor that somebody else made, as one to wait for: of inotify, netlink
/// or a tun device, an eventfd or a timerfd, of a database's client library.
///
/// It owns `inner`, whose descriptor is registered with the runtime's reactor
/// until the `AsyncFd` is dropped or taken apart, and closed as `inner` has it.
/// Sockets of the standard library become ones of [`net`](crate::net) instead,
/// by `from_std`.
///
/// Three ways to use it, from the most to the least that is done for you:
///
/// * [`AsyncFd::async_io`] runs an operation until it no longer would block;
/// * [`AsyncFd::readable`] and [`AsyncFd::writable`] give a [`ReadyGuard`], whose
///   [`ReadyGuard::try_io`] and [`ReadyGuard::clear_ready`] tell what came of it;
/// * where `T` is [`Read`] or [`Write`], it is a stream for
///   [`ReadExt`](crate::io::ReadExt) and [`WriteExt`](crate::io::WriteExt), as an
///   end of a [`std::io::pipe`] is.
///
/// The descriptor has to be non-blocking ([`set_nonblocking`](super::set_nonblocking)),
/// or be used only when it is ready and only as far: a system call that blocks
/// keeps the worker. Readiness is **edge-triggered**: it is known until somebody
/// finds otherwise, and is announced again only after that. Whoever waits by
/// guards and does not clear one after an operation that would have blocked goes
/// round in a circle; whoever clears one with something left to read sleeps.
///
/// Any number of tasks may wait for it through a shared reference, and an event
/// reaches all of them.
///
/// `T` tells its descriptor by [`AsFd`], which promises that it is open. A type
/// that has [`AsRawFd`] alone is wrapped in one that makes this promise:
///
/// ```no_run
/// use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
/// # struct Client;
/// # impl AsRawFd for Client { fn as_raw_fd(&self) -> RawFd { 0 } }
///
/// struct Socket(Client);
/// impl AsFd for Socket {
///     fn as_fd(&self) -> BorrowedFd<'_> {
///         // SAFETY: the client keeps its descriptor open as long as it lives.
///         unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) }
///     }
/// }
/// ```
///
/// There are no descriptors in the lab, because what they report would not
/// repeat: it refuses to register one. Put what reads the descriptor behind a
/// trait of yours, or take any `AsyncRead + AsyncWrite`, and give the program
/// that is tested there a stand-in.
///
/// # Examples
/// ```
/// use asupersync::io::unix::{AsyncFd, set_nonblocking};
/// use asupersync::{Cx, Runtime, Scope};
/// use std::io::{Read, Write};
///
/// # let runtime = Runtime::builder().current_thread().build().unwrap();
/// # runtime.block_on(async |scope: Scope| -> std::io::Result<()> {
/// let (read, mut write) = std::io::pipe()?;
/// set_nonblocking(&read, true)?;
/// let read = AsyncFd::new(&scope, read)?;
/// let reader = scope.try_spawn(async move |cx: Cx| -> std::io::Result<_> {
///     let mut buf = [0; 16];
///     let n = read.async_io(&cx, asupersync::io::unix::Interest::READABLE, |mut pipe| {
///         pipe.read(&mut buf)
///     });
///     let n = n.await?;
///     Ok(buf[..n].to_vec())
/// });
/// write.write_all(b"hello")?;
/// assert_eq!(reader.await.into_result()?, b"hello");
/// # Ok(()) }).unwrap().unwrap();
/// ```
pub struct AsyncFd<T: AsFd> {
    /// Until it is taken out.
    inner: Option<T>,
    watching: Watching,
}

impl<T: AsFd> AsyncFd<T> {
    /// Registers a descriptor, to be waited for in both directions.
    ///
    /// # Errors
    /// As for [`AsyncFd::try_with_interest`]; `inner` is dropped then.
    pub fn new(cx: &Cx, inner: T) -> io::Result<Self> {
        AsyncFd::with_interest(cx, inner, Interest::READABLE | Interest::WRITABLE)
    }

    /// Registers a descriptor, to be waited for as `interest` says.
    ///
    /// # Errors
    /// As for [`AsyncFd::try_with_interest`]; `inner` is dropped then.
    pub fn with_interest(cx: &Cx, inner: T, interest: Interest) -> io::Result<Self> {
        AsyncFd::try_with_interest(cx, inner, interest).map_err(Into::into)
    }

    /// As [`AsyncFd::new`], and gives `inner` back if it fails.
    ///
    /// # Errors
    /// As for [`AsyncFd::try_with_interest`].
    pub fn try_new(cx: &Cx, inner: T) -> Result<Self, RegisterError<T>> {
        AsyncFd::try_with_interest(cx, inner, Interest::READABLE | Interest::WRITABLE)
    }

    /// As [`AsyncFd::with_interest`], and gives `inner` back if it fails.
    ///
    /// # Errors
    /// The system's: `PermissionDenied` for a regular file or a directory, which
    /// are always ready; `AlreadyExists` for a descriptor that is registered
    /// already. `PermissionDenied` from a context without [`Capability::Net`], as
    /// for the `from_std` of sockets; `Unsupported` in the lab.
    pub fn try_with_interest(
        cx: &Cx,
        inner: T,
        interest: Interest,
    ) -> Result<Self, RegisterError<T>> {
        match cx.require(Capability::Net) {
            Ok(()) => AsyncFd::register(&**cx.world(), inner, interest, false),
            Err(denied) => Err(RegisterError {
                inner,
                source: denied.into(),
            }),
        }
    }

    /// Registers what blocks nobody, so that the first operation need not wait,
    /// and has a capability of its own, so that this asks for none.
    pub(crate) fn presumed_ready(
        world: &dyn World,
        inner: T,
        interest: Interest,
    ) -> Result<Self, RegisterError<T>> {
        AsyncFd::register(world, inner, interest, true)
    }

    fn register(
        world: &dyn World,
        inner: T,
        interest: Interest,
        presumed: bool,
    ) -> Result<Self, RegisterError<T>> {
        let watch = world.system().and_then(|system| {
            let watch = system.watch(inner.as_fd(), interest, presumed);
            watch.map_err(refused)
        });
        match watch {
            Ok(watch) => Ok(AsyncFd {
                inner: Some(inner),
                watching: Watching::new(watch, interest),
            }),
            Err(source) => Err(RegisterError { inner, source }),
        }
    }

    /// What it was made of.
    pub fn get_ref(&self) -> &T {
        self.inner.as_ref().expect("it is taken last")
    }

    /// What it was made of, to change. The registration stays with the descriptor
    /// that it was made with, so this is no way to put another in its place.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.as_mut().expect("it is taken last")
    }

    /// Ends the registration; what it was made of.
    pub fn into_inner(mut self) -> T {
        let inner = self.inner.take().expect("it is taken last");
        self.watching.end(inner.as_fd());
        inner
    }

    /// Waits until there is something of what is asked for.
    ///
    /// *Cancellation.* Safe: it takes nothing.
    ///
    /// # Errors
    /// `InvalidInput` if the descriptor was not registered for it; one that wraps
    /// [`Cancelled`](crate::Cancelled).
    pub fn ready<'a>(&'a self, cx: &'a Cx, asked: Interest) -> Readiness<'a, T> {
        Readiness {
            fd: self,
            cx,
            asked,
            operation: Operation::default(),
            places: self.watching.places(),
        }
    }

    /// Waits until there is something to read, or the end of it.
    ///
    /// *Cancellation.* Safe: it takes nothing.
    ///
    /// # Errors
    /// As for [`AsyncFd::ready`].
    pub fn readable<'a>(&'a self, cx: &'a Cx) -> Readiness<'a, T> {
        self.ready(cx, Interest::READABLE)
    }

    /// Waits until there is room to write, or nobody to write to.
    ///
    /// *Cancellation.* Safe: it writes nothing.
    ///
    /// # Errors
    /// As for [`AsyncFd::ready`].
    pub fn writable<'a>(&'a self, cx: &'a Cx) -> Readiness<'a, T> {
        self.ready(cx, Interest::WRITABLE)
    }

    /// Runs `operation` whenever the descriptor is ready, until it says something
    /// else than `WouldBlock`.
    ///
    /// It is to be one system call of what is asked for: `WouldBlock` means that
    /// the readiness is over, and an operation that says so after it has done
    /// something has to keep what it did itself.
    ///
    /// *Cancellation.* Safe: the operation has not happened, unless its result is returned.
    ///
    /// # Errors
    /// The operation's, and those of [`AsyncFd::ready`].
    pub fn async_io<'a, R, F>(
        &'a self,
        cx: &'a Cx,
        asked: Interest,
        operation: F,
    ) -> AsyncIo<'a, &'a T, F>
    where
        F: FnMut(&T) -> io::Result<R>,
    {
        AsyncIo {
            inner: self.get_ref(),
            watching: &self.watching,
            cx,
            asked,
            run: operation,
            operation: Operation::default(),
            places: self.watching.places(),
        }
    }

    /// As [`AsyncFd::async_io`], for an operation that changes what it works on.
    ///
    /// *Cancellation.* Safe: the operation has not happened, unless its result is returned.
    ///
    /// # Errors
    /// As for [`AsyncFd::async_io`].
    pub fn async_io_mut<'a, R, F>(
        &'a mut self,
        cx: &'a Cx,
        asked: Interest,
        operation: F,
    ) -> AsyncIo<'a, &'a mut T, F>
    where
        F: FnMut(&mut T) -> io::Result<R>,
    {
        AsyncIo {
            inner: self.inner.as_mut().expect("it is taken last"),
            watching: &self.watching,
            cx,
            asked,
            run: operation,
            operation: Operation::default(),
            places: self.watching.places(),
        }
    }

    /// Runs `operation` if the descriptor is known to be ready, and does not wait.
    ///
    /// # Errors
    /// `WouldBlock` if it is not, or the operation said so; `InvalidInput` if it
    /// was not registered for what is asked; the operation's.
    pub fn try_io<R>(
        &self,
        asked: Interest,
        operation: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let found = self.watching.known(asked)?;
        if found.ready().is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.watching.settle(&found, operation(self.get_ref()))
    }

    /// As [`AsyncFd::readable`], for code that polls by hand; the last task that
    /// polled is woken.
    ///
    /// # Errors
    /// `InvalidInput` if the descriptor was not registered for it.
    pub fn poll_read_ready(&self, task: &mut Context<'_>) -> Poll<io::Result<ReadyGuard<'_, T>>> {
        self.poll_guard(Interest::READABLE, task)
    }

    /// As [`AsyncFd::writable`], for code that polls by hand; the last task that
    /// polled is woken.
    ///
    /// # Errors
    /// `InvalidInput` if the descriptor was not registered for it.
    pub fn poll_write_ready(&self, task: &mut Context<'_>) -> Poll<io::Result<ReadyGuard<'_, T>>> {
        self.poll_guard(Interest::WRITABLE, task)
    }

    fn poll_guard(
        &self,
        asked: Interest,
        task: &mut Context<'_>,
    ) -> Poll<io::Result<ReadyGuard<'_, T>>> {
        let polled = self.watching.poll_by_hand(asked, task);
        polled.map_ok(|found| ReadyGuard { fd: self, found })
    }

    /// Runs an operation of one direction, for code that polls by hand.
    pub(crate) fn poll_io<R>(
        &mut self,
        asked: Interest,
        task: &mut Context<'_>,
        mut operation: impl FnMut(&mut T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let inner = self.inner.as_mut().expect("it is taken last");
        let wait = || self.watching.poll_by_hand(asked, task);
        self.watching.poll_io(wait, || operation(inner))
    }
}

/// What the system said of a descriptor, and what to do about it.
fn refused(e: io::Error) -> io::Error {
    let advice = match (e.kind(), e.raw_os_error()) {
        (io::ErrorKind::PermissionDenied, _) => {
            "; regular files and directories are always ready: use `fs`, or the blocking pool"
        }
        (io::ErrorKind::AlreadyExists, _) => {
            "; it is registered already: share that one, or register a duplicate"
        }
        (_, Some(libc::EBADF)) => "; it was closed before",
        _ => "",
    };
    explain("cannot wait for the descriptor".to_owned(), e, advice)
}

impl<T: AsFd> Drop for AsyncFd<T> {
    fn drop(&mut self) {
        if let Some(inner) = &self.inner {
            self.watching.end(inner.as_fd());
        }
    }
}

impl<T: AsFd> AsFd for AsyncFd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<T: AsFd> AsRawFd for AsyncFd<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for AsyncFd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncFd").field(self.get_ref()).finish()
    }
}

impl<T: AsFd + Read + Unpin> AsyncRead for AsyncFd<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.poll_io(Interest::READABLE, task, |inner| inner.read(buf))
    }
}

/// Closing it ends no direction, since what does depends on the descriptor:
/// dropping it closes that.
impl<T: AsFd + Write + Unpin> AsyncWrite for AsyncFd<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.poll_io(Interest::WRITABLE, task, |inner| inner.write(buf))
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // It may have nothing to write, and then needs no room either.
        match this.get_mut().flush() {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                this.poll_io(Interest::WRITABLE, task, Write::flush)
            }
            done => Poll::Ready(done),
        }
    }

    fn poll_close(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(task)
    }
}

/// Future of [`AsyncFd::ready`] and its kin.
#[must_use = "futures do nothing unless polled"]
pub struct Readiness<'a, T: AsFd> {
    fd: &'a AsyncFd<T>,
    cx: &'a Cx,
    asked: Interest,
    operation: Operation,
    places: Places<'a>,
}

impl<'a, T: AsFd> Future for Readiness<'a, T> {
    type Output = io::Result<ReadyGuard<'a, T>>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Readiness {
            fd,
            cx,
            asked,
            operation,
            places,
        } = self.get_mut();
        let step = |task: &mut Context<'_>| fd.watching.poll(*asked, places, task);
        let found = ready!(operation.poll(cx, task, step))?;
        Poll::Ready(Ok(ReadyGuard { fd, found }))
    }
}

impl<T: AsFd> DropSafe for Readiness<'_, T> {}

/// Future of [`AsyncFd::async_io`] and [`AsyncFd::async_io_mut`].
#[must_use = "futures do nothing unless polled"]
pub struct AsyncIo<'a, I, F> {
    inner: I,
    watching: &'a Watching,
    cx: &'a Cx,
    asked: Interest,
    run: F,
    operation: Operation,
    places: Places<'a>,
}

// The operation is called, and never pinned.
impl<I, F> Unpin for AsyncIo<'_, I, F> {}

impl<I, F> AsyncIo<'_, I, F> {
    fn step<R>(
        &mut self,
        task: &mut Context<'_>,
        run: impl Fn(&mut F, &mut I) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let AsyncIo {
            inner,
            watching,
            cx,
            asked,
            run: operation,
            operation: guard,
            places,
        } = self;
        guard.poll(cx, task, |task| {
            let wait = || watching.poll(*asked, places, task);
            watching.poll_io(wait, || run(operation, inner))
        })
    }
}

impl<T, R, F: FnMut(&T) -> io::Result<R>> Future for AsyncIo<'_, &T, F> {
    type Output = io::Result<R>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().step(task, |run, inner| run(inner))
    }
}

impl<T, R, F: FnMut(&mut T) -> io::Result<R>> Future for AsyncIo<'_, &mut T, F> {
    type Output = io::Result<R>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().step(task, |run, inner| run(inner))
    }
}

impl<I, F> DropSafe for AsyncIo<'_, I, F> {}

/// What a descriptor is ready for: proof of a moment, which may be over.
///
/// Dropping it leaves the readiness as it is known.
#[must_use = "say with `try_io` or `clear_ready` what came of it, or the next wait ends at once"]
pub struct ReadyGuard<'a, T: AsFd> {
    fd: &'a AsyncFd<T>,
    found: Found,
}

impl<'a, T: AsFd> ReadyGuard<'a, T> {
    /// What was found.
    pub fn ready(&self) -> Ready {
        self.found.ready()
    }

    /// Says that it is over, after an operation that would have blocked: the next
    /// wait is for the next event. Whatever was reported since the guard was made
    /// stays, and so does the readiness of a direction that the other end closed.
    pub fn clear_ready(&mut self) {
        self.clear_ready_matching(Ready::ALL);
    }

    /// As [`ReadyGuard::clear_ready`], of a part of it.
    pub fn clear_ready_matching(&mut self, ready: Ready) {
        self.fd.watching.clear(&self.found, ready);
    }

    /// Says that it lasts: the next wait ends at once. As dropping it, in words.
    pub fn retain_ready(&mut self) {}

    /// Runs an operation, and clears the readiness if that would have blocked.
    ///
    /// # Errors
    /// [`TryIoError`] if it would have blocked: wait again. The operation's
    /// others are inside, as its result.
    pub fn try_io<R>(
        &mut self,
        operation: impl FnOnce(&AsyncFd<T>) -> io::Result<R>,
    ) -> Result<io::Result<R>, TryIoError> {
        match self.fd.watching.settle(&self.found, operation(self.fd)) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Err(TryIoError(())),
            done => Ok(done),
        }
    }

    /// The descriptor.
    pub fn get_ref(&self) -> &'a AsyncFd<T> {
        self.fd
    }

    /// What the descriptor was made of.
    pub fn get_inner(&self) -> &'a T {
        self.fd.get_ref()
    }
}

/// The operation would have blocked; the readiness is cleared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the operation would have blocked; wait until the descriptor is ready again")]
pub struct TryIoError(());

/// Why a descriptor could not be registered, and what it was to be made of.
pub struct RegisterError<T> {
    inner: T,
    source: io::Error,
}

impl<T> RegisterError<T> {
    /// What it was to be made of, and why it is not.
    pub fn into_parts(self) -> (T, io::Error) {
        (self.inner, self.source)
    }
}

impl<T> From<RegisterError<T>> for io::Error {
    fn from(e: RegisterError<T>) -> Self {
        e.source
    }
}

impl<T> fmt::Display for RegisterError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl<T> fmt::Debug for RegisterError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RegisterError").field(&self.source).finish()
    }
}

impl<T> std::error::Error for RegisterError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.source()
    }
}

macro_rules! debug {
    ($($name:literal $t:ty, [$($param:ident: $($bound:ident)?),*];)*) => {$(
        impl<$($param $(: $bound)?),*> fmt::Debug for $t {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct($name).finish_non_exhaustive()
            }
        }
    )*};
}
debug! {
    "Readiness" Readiness<'_, T>, [T: AsFd];
    "AsyncIo" AsyncIo<'_, I, F>, [I: , F: ];
}

impl<T: AsFd> fmt::Debug for ReadyGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReadyGuard").field(&self.ready()).finish()
    }
}
