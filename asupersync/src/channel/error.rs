//! The errors that several channels share: the other end is gone, or the caller was asked to cancel.
//!
//! An error about a value hands the value back. An error that stems from
//! cancellation has the [`Cancelled`] as its `source()`, so that a task that
//! ends with it (through `?`, `anyhow`, a box or `io::Error`) ends cancelled.

use super::places::Refusal;
use crate::types::cancel::Cancelled;
use std::{fmt, io};

/// A value was not sent; here it is.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError<T> {
    /// Nobody will ever receive it.
    #[error("the channel is closed: the receiver is gone, stop sending")]
    Closed(T),
    /// The sender was asked to cancel before there was room.
    #[error("sending was cancelled before there was room")]
    Cancelled(T, #[source] Cancelled),
}

impl<T> SendError<T> {
    /// The value.
    pub fn into_inner(self) -> T {
        match self {
            SendError::Closed(value) | SendError::Cancelled(value, _) => value,
        }
    }
}

/// A value was not sent at once; here it is.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrySendError<T> {
    /// There is no room.
    #[error("the channel is full: await `send`, or drop the value")]
    Full(T),
    /// Nobody will ever receive it.
    #[error("the channel is closed: the receiver is gone, stop sending")]
    Closed(T),
}

impl<T> TrySendError<T> {
    /// The value.
    pub fn into_inner(self) -> T {
        match self {
            TrySendError::Full(value) | TrySendError::Closed(value) => value,
        }
    }
}

impl<T> From<(Refusal, T)> for TrySendError<T> {
    fn from((refusal, value): (Refusal, T)) -> Self {
        match refusal {
            Refusal::Full => TrySendError::Full(value),
            Refusal::Closed => TrySendError::Closed(value),
        }
    }
}

/// No place was reserved.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReserveError {
    /// Nobody would ever receive the value.
    #[error("the channel is closed: the receiver is gone, stop sending")]
    Closed,
    /// The sender was asked to cancel before there was room.
    #[error("reserving was cancelled before there was room")]
    Cancelled(#[source] Cancelled),
}

/// No place was reserved at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TryReserveError {
    /// There is no room.
    #[error("the channel is full: await `reserve`, or do without")]
    Full,
    /// Nobody would ever receive the value.
    #[error("the channel is closed: the receiver is gone, stop sending")]
    Closed,
}

impl From<Refusal> for TryReserveError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Full => TryReserveError::Full,
            Refusal::Closed => TryReserveError::Closed,
        }
    }
}

/// More places were asked for than the channel has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the channel has {capacity} places and will never have {wanted}: reserve fewer at a time, or make it larger"
)]
pub struct TooMany {
    /// How many were asked for.
    pub wanted: usize,
    /// How many values fit.
    pub capacity: usize,
}

/// The places were not reserved, none of them.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReserveManyError {
    /// There are not so many, even when the channel is empty.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// Nobody would ever receive the values.
    #[error("the channel is closed: the receiver is gone, stop sending")]
    Closed,
    /// The sender was asked to cancel before there was room for all of them.
    #[error("reserving was cancelled before there was room")]
    Cancelled(#[source] Cancelled),
}

/// The places were not reserved at once, none of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TryReserveManyError {
    /// There are not so many, even when the channel is empty.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// There is not so much room, or somebody is in line for it.
    #[error("the channel has no room for so many: await `reserve_many`, or do with fewer")]
    Full,
    /// Nobody would ever receive the values.
    #[error("the channel is closed: the receiver is gone, stop sending")]
    Closed,
}

impl From<ReserveError> for ReserveManyError {
    fn from(e: ReserveError) -> Self {
        match e {
            ReserveError::Closed => ReserveManyError::Closed,
            ReserveError::Cancelled(cancelled) => ReserveManyError::Cancelled(cancelled),
        }
    }
}

impl From<Refusal> for TryReserveManyError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Full => TryReserveManyError::Full,
            Refusal::Closed => TryReserveManyError::Closed,
        }
    }
}

/// Nothing was received.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecvError {
    /// All values were received, and no further one will come.
    #[error("the channel is closed and empty: stop receiving")]
    Closed,
    /// The receiver was asked to cancel; what is queued stays queued.
    #[error("receiving was cancelled; to drain the channel use `recv(cx.cleanup())`")]
    Cancelled(#[source] Cancelled),
}

/// Nothing was received at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TryRecvError {
    /// Nothing is queued at the moment.
    #[error("the channel is empty: await `recv`, or try again later")]
    Empty,
    /// All values were received, and no further one will come.
    #[error("the channel is closed and empty: stop receiving")]
    Closed,
}

// A value need not be printable for its error to be.
impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Closed(_) => f.write_str("Closed(..)"),
            SendError::Cancelled(_, c) => f.debug_tuple("Cancelled").field(c).finish(),
        }
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySendError::Full(_) => "Full(..)",
            TrySendError::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> From<SendError<T>> for io::Error {
    /// Drops the value. A closed channel is a broken pipe.
    fn from(e: SendError<T>) -> Self {
        match e {
            SendError::Closed(_) => closed(ReserveError::Closed),
            SendError::Cancelled(_, c) => c.into(),
        }
    }
}

impl From<ReserveError> for io::Error {
    /// A closed channel is a broken pipe.
    fn from(e: ReserveError) -> Self {
        match e {
            ReserveError::Closed => closed(e),
            ReserveError::Cancelled(c) => c.into(),
        }
    }
}

impl From<ReserveManyError> for io::Error {
    /// A closed channel is a broken pipe.
    fn from(e: ReserveManyError) -> Self {
        match e {
            ReserveManyError::TooMany(_) => io::Error::new(io::ErrorKind::InvalidInput, e),
            ReserveManyError::Closed => closed(e),
            ReserveManyError::Cancelled(c) => c.into(),
        }
    }
}

impl From<RecvError> for io::Error {
    /// A closed channel is a broken pipe.
    fn from(e: RecvError) -> Self {
        match e {
            RecvError::Closed => closed(e),
            RecvError::Cancelled(c) => c.into(),
        }
    }
}

fn closed(e: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, e)
}
