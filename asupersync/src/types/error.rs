//! The runtime's own error: a closed set of kinds, each with whose turn it is next.
//!
//! Every module has an error enum of its own, which says exactly what may go
//! wrong there. Each of them converts into [`Error`], for code that calls many
//! modules and decides by [`ErrorKind`] alone. `docs/errors.md` has a section
//! per kind: a program that meets it, and the program to write instead.

use super::cancel::{CancelKind, CancelReason, Cancelled};
use super::caps::CapabilityDenied;
use super::outcome::OutcomeError;
use super::report::Abandoned;
use std::fmt;

/// Declares the kinds with what is known of each: one table, from which the
/// enum, its list and its answers derive.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident, $recoverability:ident, $action:literal;)+) => {
        /// What went wrong.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[doc = $doc])+ $kind,)+
        }

        impl ErrorKind {
            /// Every kind, in the order of its declaration.
            pub const ALL: &[ErrorKind] = &[$(ErrorKind::$kind),+];

            /// Whether trying again can help.
            pub const fn recoverability(self) -> Recoverability {
                match self {
                    $(ErrorKind::$kind => Recoverability::$recoverability,)+
                }
            }

            /// What to do about it, in one sentence.
            ///
            /// ```
            /// use asupersync::ErrorKind;
            /// assert_eq!(
            ///     ErrorKind::ChannelFull.action(),
            ///     "await the sending form instead, or drop the value"
            /// );
            /// ```
            pub const fn action(self) -> &'static str {
                match self {
                    $(ErrorKind::$kind => $action,)+
                }
            }
        }
    };
}

kinds! {
    /// The task was asked to cancel.
    Cancelled, Permanent, "clean up and return: every further wait of this task fails too";
    /// Code did not end within its cleanup budget and was dropped.
    CancelTimeout, Unknown, "wait through the `Cx` so that requests are seen, or raise `RegionOptions::cleanup`";
    /// A deadline passed.
    DeadlineExceeded, Transient, "try again with a later deadline, or do less";
    /// The polls of a budget are used up.
    PollQuotaExhausted, Permanent, "raise `Budget::poll_quota`, or find out why the task is woken so often";
    /// The cost units of a budget are used up.
    CostQuotaExhausted, Permanent, "raise `Budget::cost_quota`, or charge less";
    /// The other end of a channel is gone.
    ChannelClosed, Permanent, "stop: nobody is left at the other end";
    /// A channel has no room at the moment.
    ChannelFull, Transient, "await the sending form instead, or drop the value";
    /// A channel holds nothing at the moment.
    ChannelEmpty, Transient, "await the receiving form instead, or come back later";
    /// Values of a channel were overwritten before they were received.
    ChannelLagged, Transient, "go on with the oldest value that is left; receive faster, or raise the capacity";
    /// The other end answered that it will not answer.
    CallDeclined, Unknown, "look at what the other end says, and ask for something else";
    /// A promise was neither kept nor taken back when its holder ended.
    ObligationLeak, Permanent, "resolve the obligation, or let it be dropped, before its holder ends";
    /// A promise was resolved twice.
    ObligationAlreadyResolved, Permanent, "resolve an obligation once";
    /// The region no longer admits children.
    RegionClosed, Permanent, "spawn through the scope of a region that is still open";
    /// A region did not come to rest in time, and is not quiescent.
    RegionCloseTimeout, Unknown, "look at what the report says is still running; its region drains on";
    /// A task holds an obligation and is not polled although nothing it waits for is due.
    FuturelockViolation, Permanent, "do not hold a permit across a wait that is not polled: resolve it first";
    /// A task waited through the context of another.
    TaskNotOwned, Permanent, "give the task its own `Cx`: the one its body is called with";
    /// A limit of the region refused the child.
    AdmissionDenied, Transient, "try again when a child has ended, or raise the region's limits";
    /// The context may not perform this effect.
    CapabilityDenied, Permanent, "pass a context that has the capability";
    /// A handle outlived what it names.
    StaleHandle, Permanent, "let go of handles when what they name ends";
    /// A state machine was told to take a step that its table does not have.
    InvalidStateTransition, Permanent, "report it: the step is a mistake of whoever asked for it";
    /// A child of a region failed or panicked.
    ChildFailed, Unknown, "look at the source, and at the report's failures";
    /// A configuration value is unusable.
    Config, Permanent, "change the value that the message names";
    /// The operating system refused a resource.
    Resource, Transient, "free the resource that the message names, or raise its limit";
    /// Input or output failed.
    Io, Unknown, "look at the source: it is what the operating system or the other end answered";
    /// An invariant of this library is broken.
    Internal, Unknown, "report it, with the seed if it happened in the lab";
}

/// Whether trying again can help.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Recoverability {
    /// It may succeed later, unchanged.
    Transient,
    /// It cannot succeed unless the program changes.
    Permanent,
    /// Not known.
    Unknown,
}

/// An error of the runtime, whichever module it comes from.
///
/// ```
/// use asupersync::{Cx, Error, ErrorKind, channel::mpsc};
///
/// async fn relay(cx: &Cx, from: &mut mpsc::Receiver<u32>, to: &mpsc::Sender<u32>) -> Result<(), Error> {
///     loop {
///         let value = from.recv(cx).await?;
///         to.send(cx, value).await?;
///     }
/// }
/// # use asupersync::{LabConfig, LabRuntime};
/// # let ended = LabRuntime::new(LabConfig::default()).run(async |cx| {
/// # let (tx, mut rx) = mpsc::channel(1);
/// # tx.try_send(1).unwrap();
/// # drop(tx);
/// # let (out, gone) = mpsc::channel(1);
/// # drop(gone);
/// # relay(&cx, &mut rx, &out).await
/// # });
/// assert_eq!(ended.unwrap_err().kind(), ErrorKind::ChannelClosed);
/// ```
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of this kind that says what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// An error of this kind that says what `e` says, and has its source.
    pub(crate) fn of(kind: ErrorKind, e: impl std::error::Error + Send + Sync + 'static) -> Self {
        Error::new(kind, e.to_string()).with_source(e)
    }

    /// With the error below it.
    #[must_use]
    pub fn with_source(mut self, e: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(e.into());
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether trying again can help.
    pub fn recoverability(&self) -> Recoverability {
        self.kind.recoverability()
    }

    /// What to do about it, in one sentence.
    pub fn action(&self) -> &'static str {
        self.kind.action()
    }
}

/// The message; what lies below is told by `source`.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

impl From<CancelReason> for Error {
    /// By the request at the beginning of the chain: a task that was asked
    /// because a deadline above it passed ran out of time.
    fn from(reason: CancelReason) -> Self {
        let kind = match reason.root_cause().kind {
            CancelKind::Timeout => ErrorKind::DeadlineExceeded,
            CancelKind::PollQuota => ErrorKind::PollQuotaExhausted,
            CancelKind::CostQuota => ErrorKind::CostQuotaExhausted,
            CancelKind::User
            | CancelKind::RegionEnd
            | CancelKind::FailFast
            | CancelKind::RaceLost
            | CancelKind::LinkBroken
            | CancelKind::ParentCancelled
            | CancelKind::Shutdown => ErrorKind::Cancelled,
        };
        Error::new(kind, format!("cancelled: {reason}")).with_source(reason)
    }
}

impl From<Cancelled> for Error {
    /// As its reason; a wait that ended for want of a capability is `CapabilityDenied`.
    fn from(c: Cancelled) -> Self {
        match c.denied() {
            Some(denied) => denied.into(),
            None => CancelReason::from(c).into(),
        }
    }
}

impl From<CapabilityDenied> for Error {
    fn from(e: CapabilityDenied) -> Self {
        Error::of(ErrorKind::CapabilityDenied, e)
    }
}

impl From<Abandoned> for Error {
    fn from(abandoned: Abandoned) -> Self {
        Error::new(ErrorKind::CancelTimeout, abandoned.to_string())
    }
}

impl<E> From<OutcomeError<E>> for Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    fn from(e: OutcomeError<E>) -> Self {
        match e {
            OutcomeError::Err(e) => Error::of(ErrorKind::ChildFailed, e),
            OutcomeError::Cancelled(reason) => reason.into(),
            OutcomeError::Panicked(p) => {
                Error::new(ErrorKind::ChildFailed, format!("task panicked: {p}"))
            }
        }
    }
}

impl From<Error> for std::io::Error {
    /// A passed deadline is `TimedOut`, a denied effect `PermissionDenied`, a
    /// closed channel `BrokenPipe`; the rest is `Other`.
    fn from(e: Error) -> Self {
        let kind = match e.kind {
            ErrorKind::DeadlineExceeded => std::io::ErrorKind::TimedOut,
            ErrorKind::CapabilityDenied => std::io::ErrorKind::PermissionDenied,
            ErrorKind::ChannelClosed => std::io::ErrorKind::BrokenPipe,
            _ => std::io::ErrorKind::Other,
        };
        std::io::Error::new(kind, e)
    }
}
