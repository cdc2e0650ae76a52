//! One signal of the process, as a stream.

use crate::cx::{Cx, DropSafe, Interrupt};
use crate::types::cancel::Cancelled;
use crate::types::cancel_class::CancelClass;
use crate::types::caps::Capability;
use crate::types::slots::Key;
use crate::world::{Hearing, World};
use futures_core::Stream;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The cancel class of every operation of this module.
pub const CANCEL_CLASS: &[(&str, CancelClass)] = &[
    ("shutdown_signal", CancelClass::Safe),
    ("Signal::recv", CancelClass::Safe),
    ("ctrl_c", CancelClass::Lossy),
];

/// Which signal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SignalKind(i32);

macro_rules! kinds {
    ($($name:ident $constant:ident $what:literal;)*) => {
        impl SignalKind {
            $(
                #[doc = concat!(stringify!($constant), ": ", $what, ".")]
                pub const fn $name() -> Self {
                    SignalKind(libc::$constant)
                }
            )*
        }
    };
}

kinds! {
    alarm SIGALRM "a timer of the system's has run out";
    child SIGCHLD "a child process has ended or stopped";
    hangup SIGHUP "the terminal is gone; for a service by custom the wish to read its configuration again";
    interrupt SIGINT "the terminal's interrupt key, mostly Ctrl-C";
    io SIGIO "something can be read or written";
    pipe SIGPIPE "a pipe was written to that nobody reads";
    quit SIGQUIT "the terminal's quit key";
    terminate SIGTERM "the wish that the process should end";
    user_defined1 SIGUSR1 "what the program says it is";
    user_defined2 SIGUSR2 "what the program says it is";
    window_change SIGWINCH "the terminal's window has another size";
}

impl SignalKind {
    /// By its number. Whether it can be listened to, [`unix`] says.
    pub const fn from_raw(signal: i32) -> Self {
        SignalKind(signal)
    }

    /// Its number.
    pub const fn as_raw(self) -> i32 {
        self.0
    }
}

/// Listens to a signal of the process from now on, until the stream is dropped.
///
/// Every stream of a signal hears it. Signals that come before one looks are
/// one: a stream says that the signal was raised since the last time, not how
/// often. While any stream of a signal is open, the signal does not do what it
/// would otherwise do to the process; after the last, it does again. That is
/// other than in tokio, where it never does again.
///
/// SIGTERM and SIGINT are wishes to stop as well in a program under
/// `#[asupersync::main]`: they resolve [`Cx::shutdown_signal`]. But they cancel
/// nothing while a stream of that very signal is open, neither the first nor any
/// later one: whoever listens says what they mean.
///
/// In the lab a signal is raised by
/// [`LabRuntime::raise`](crate::LabRuntime::raise), and none of the process's is heard.
///
/// # Errors
/// `InvalidInput` for SIGKILL and SIGSTOP, which the system keeps to itself, for
/// SIGSEGV, SIGBUS, SIGILL and SIGFPE, and for what is no number from 1 to 64;
/// the system's, for numbers that it uses itself; `PermissionDenied` from a
/// context without [`Capability::Process`].
///
/// ```
/// use asupersync::signal::{SignalKind, unix};
/// use asupersync::{Cx, LabConfig, LabRuntime, Scope};
///
/// let lab = LabRuntime::new(LabConfig::default());
/// let reloads = lab.run(async |scope: Scope| {
///     let mut hangups = unix(&scope, SignalKind::hangup()).unwrap();
///     let service = scope.spawn(async move |cx: Cx| {
///         let mut reloads = 0;
///         while reloads < 2 && hangups.recv(&cx).await.is_ok() {
///             reloads += 1;
///         }
///         reloads
///     });
///     assert!(lab.raise(SignalKind::hangup()));
///     scope.sleep(std::time::Duration::from_secs(1)).await.unwrap();
///     assert!(lab.raise(SignalKind::hangup()));
///     service.await.into_result().unwrap()
/// });
/// assert_eq!(reloads, 2);
/// ```
pub fn unix(cx: &Cx, kind: SignalKind) -> io::Result<Signal> {
    cx.require(Capability::Process)?;
    let world = Arc::clone(cx.world());
    // Before it is heard, so that the first is not missed.
    let key = world.signals().listen(kind.0);
    match world.hear(kind.0) {
        Ok(hearing) => Ok(Signal {
            kind,
            key,
            world,
            _hearing: hearing,
        }),
        Err(e) => {
            world.signals().leave(key);
            Err(e)
        }
    }
}

/// Waits for the next SIGINT, as the terminal sends it on Ctrl-C.
///
/// It listens from its first poll to its end only. In a loop it would miss what
/// comes in between, which then does what it does otherwise: there, open a
/// stream of [`SignalKind::interrupt`] once. For the wish to stop, from whichever
/// signal, there is [`Cx::shutdown_signal`].
///
/// *Cancellation.* Lossy: a signal that has come and was not told is lost.
///
/// # Errors
/// As [`unix`]; one that wraps [`Cancelled`].
pub async fn ctrl_c(cx: &Cx) -> io::Result<()> {
    let mut interrupts = unix(cx, SignalKind::interrupt())?;
    Ok(interrupts.recv(cx).await?)
}

/// A signal of the process, as a stream without end; made by [`unix`].
#[must_use = "the signal does nothing to the process while this lives"]
pub struct Signal {
    kind: SignalKind,
    key: Key,
    world: Arc<dyn World>,
    _hearing: Hearing,
}

impl Signal {
    /// Waits until the signal is raised, unless it was since the last time.
    ///
    /// *Cancellation.* Safe: the next call hears what this one would have.
    ///
    /// # Errors
    /// [`Cancelled`].
    pub fn recv<'a>(&'a mut self, cx: &'a Cx) -> Recv<'a> {
        Recv {
            signal: self,
            cx,
            interrupt: Interrupt::default(),
        }
    }

    /// Which signal it is.
    pub fn kind(&self) -> SignalKind {
        self.kind
    }

    fn poll(&self, task: &Context<'_>) -> Poll<()> {
        self.world.signals().poll(self.key, task)
    }
}

/// Never ends.
impl Stream for Signal {
    type Item = ();

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<()>> {
        self.poll(task).map(Some)
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        self.world.signals().leave(self.key);
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Future of [`Signal::recv`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Recv<'a> {
    signal: &'a mut Signal,
    cx: &'a Cx,
    interrupt: Interrupt,
}

impl Future for Recv<'_> {
    type Output = Result<(), Cancelled>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        ready!(this.interrupt.poll(this.cx, task))?;
        this.signal.poll(task).map(Ok)
    }
}

impl DropSafe for Recv<'_> {}
