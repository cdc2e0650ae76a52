//! The four ways a task ends, ordered by severity.

use super::cancel::CancelReason;
use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

/// The terminal value of a task: set once, never changed.
///
/// ```
/// use asupersync::{Outcome, Severity};
/// let o: Outcome<i32, String> = Outcome::Ok(1);
/// assert_eq!(o.severity(), Severity::Ok);
/// assert_eq!(o.map(|v| v + 1).into_result().unwrap(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an outcome may be an error, a cancellation or a panic"]
pub enum Outcome<T, E = Infallible> {
    /// The body returned a value.
    Ok(T),
    /// The body returned an error of its own.
    Err(E),
    /// The task was asked to cancel and ended because of it.
    Cancelled(CancelReason),
    /// The body panicked.
    Panicked(PanicPayload),
}

/// How bad an end is; aggregation is `max`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Severity {
    /// A value.
    #[default]
    Ok,
    /// An error.
    Err,
    /// A cancellation.
    Cancelled,
    /// A panic.
    Panicked,
}

impl<T, E> Outcome<T, E> {
    /// The outcome of a body that returned `v`.
    pub fn ok(v: T) -> Self {
        Outcome::Ok(v)
    }

    /// The outcome of a body that failed with `e`.
    pub fn err(e: E) -> Self {
        Outcome::Err(e)
    }

    /// Its place in the order of severities.
    pub fn severity(&self) -> Severity {
        match self {
            Outcome::Ok(_) => Severity::Ok,
            Outcome::Err(_) => Severity::Err,
            Outcome::Cancelled(_) => Severity::Cancelled,
            Outcome::Panicked(_) => Severity::Panicked,
        }
    }

    /// Changes the value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Outcome<U, E> {
        match self {
            Outcome::Ok(v) => Outcome::Ok(f(v)),
            Outcome::Err(e) => Outcome::Err(e),
            Outcome::Cancelled(r) => Outcome::Cancelled(r),
            Outcome::Panicked(p) => Outcome::Panicked(p),
        }
    }

    /// Changes the error.
    pub fn map_err<F>(self, f: impl FnOnce(E) -> F) -> Outcome<T, F> {
        match self {
            Outcome::Ok(v) => Outcome::Ok(v),
            Outcome::Err(e) => Outcome::Err(f(e)),
            Outcome::Cancelled(r) => Outcome::Cancelled(r),
            Outcome::Panicked(p) => Outcome::Panicked(p),
        }
    }

    /// Continues with the value, if there is one.
    pub fn and_then<U>(self, f: impl FnOnce(T) -> Outcome<U, E>) -> Outcome<U, E> {
        match self {
            Outcome::Ok(v) => f(v),
            Outcome::Err(e) => Outcome::Err(e),
            Outcome::Cancelled(r) => Outcome::Cancelled(r),
            Outcome::Panicked(p) => Outcome::Panicked(p),
        }
    }

    /// Whether it is a value.
    pub fn is_ok(&self) -> bool {
        matches!(self, Outcome::Ok(_))
    }

    /// Whether it is an error.
    pub fn is_err(&self) -> bool {
        matches!(self, Outcome::Err(_))
    }

    /// Whether it is a cancellation.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Outcome::Cancelled(_))
    }

    /// Whether it is a panic.
    pub fn is_panicked(&self) -> bool {
        matches!(self, Outcome::Panicked(_))
    }

    /// The value, or everything else as an error that `?` can carry.
    pub fn into_result(self) -> Result<T, OutcomeError<E>> {
        match self {
            Outcome::Ok(v) => Ok(v),
            Outcome::Err(e) => Err(OutcomeError::Err(e)),
            Outcome::Cancelled(r) => Err(OutcomeError::Cancelled(r)),
            Outcome::Panicked(p) => Err(OutcomeError::Panicked(p)),
        }
    }
}

/// Both outcomes as one: the worse wins, and on equal severity the first.
pub fn join_outcomes<T, U, E>(a: Outcome<T, E>, b: Outcome<U, E>) -> Outcome<(T, U), E> {
    if b.severity() > a.severity() {
        return match b {
            Outcome::Ok(_) => unreachable!("nothing is less severe than Ok"),
            Outcome::Err(e) => Outcome::Err(e),
            Outcome::Cancelled(r) => Outcome::Cancelled(r),
            Outcome::Panicked(p) => Outcome::Panicked(p),
        };
    }
    a.and_then(|a| b.map(|b| (a, b)))
}

/// An outcome that is not a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutcomeError<E = Infallible> {
    /// The body's own error.
    Err(E),
    /// The task was cancelled.
    Cancelled(CancelReason),
    /// The body panicked.
    Panicked(PanicPayload),
}

impl<E: fmt::Display> fmt::Display for OutcomeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OutcomeError::Err(e) => e.fmt(f),
            OutcomeError::Cancelled(r) => write!(f, "task cancelled: {r}"),
            OutcomeError::Panicked(p) => write!(f, "task panicked: {p}"),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for OutcomeError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OutcomeError::Err(e) => Some(e),
            OutcomeError::Cancelled(r) => Some(r),
            OutcomeError::Panicked(_) => None,
        }
    }
}

impl From<OutcomeError<std::io::Error>> for std::io::Error {
    fn from(e: OutcomeError<std::io::Error>) -> Self {
        match e {
            OutcomeError::Err(e) => e,
            other => std::io::Error::other(other),
        }
    }
}

/// What a panicking body said, and where it did, if that is captured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PanicPayload {
    message: Arc<str>,
    location: Option<PanicLocation>,
}

/// A place in the source.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PanicLocation {
    /// The file, as the compiler was given it.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

impl PanicPayload {
    /// Reads the message out of what `catch_unwind` returned.
    pub fn from_any(payload: Box<dyn Any + Send>) -> Self {
        let message: Arc<str> = if let Some(s) = payload.downcast_ref::<&'static str>() {
            (*s).into()
        } else if let Some(s) = payload.downcast_ref::<String>() {
            s.as_str().into()
        } else {
            "a payload that is not a string".into()
        };
        // The payload's own destructor is user code and may panic again; one
        // failure is already being reported, so the second is contained here.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(payload)));
        PanicPayload {
            message,
            location: None,
        }
    }

    pub(crate) fn at(mut self, location: Option<PanicLocation>) -> Self {
        self.location = location;
        self
    }

    /// The panic's message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where the panic happened, if the runtime was built with
    /// [`capture_panic_location`](crate::runtime::Builder::capture_panic_location).
    pub fn location(&self) -> Option<&PanicLocation> {
        self.location.as_ref()
    }
}

impl fmt::Display for PanicPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.location {
            Some(location) => write!(f, ", at {location}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for PanicLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl From<&std::panic::Location<'_>> for PanicLocation {
    fn from(l: &std::panic::Location<'_>) -> Self {
        PanicLocation {
            file: l.file().into(),
            line: l.line(),
            column: l.column(),
        }
    }
}
