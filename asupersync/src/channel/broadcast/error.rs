//! The errors of broadcast channels.

use crate::types::cancel::Cancelled;
use std::{fmt, io};

/// A value was not sent, since nobody listens; here it is.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody listens to the channel: subscribe before you send, or drop the value")]
pub struct SendError<T>(pub T);

// A value need not be printable for its error to be.
impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(..)")
    }
}

/// Nothing was received.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecvError {
    /// So many values were overwritten before this receiver came to read them.
    /// The next one it receives is the oldest that is still there.
    #[error("{0} values were missed: receive faster, or give the channel a larger capacity")]
    Lagged(u64),
    /// All values were received, and no further one will come.
    #[error("the channel is closed and empty: stop receiving")]
    Closed,
    /// The receiver was asked to cancel; it can still receive what it has not.
    #[error("receiving was cancelled; to receive the rest use `recv(cx.cleanup())`")]
    Cancelled(#[source] Cancelled),
}

/// Nothing was received at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TryRecvError {
    /// There is nothing new at the moment.
    #[error("there is nothing new in the channel: await `recv`, or try again later")]
    Empty,
    /// As [`RecvError::Lagged`].
    #[error("{0} values were missed: receive faster, or give the channel a larger capacity")]
    Lagged(u64),
    /// All values were received, and no further one will come.
    #[error("the channel is closed and empty: stop receiving")]
    Closed,
}

impl From<RecvError> for io::Error {
    /// A closed channel is a broken pipe; values that were missed are invalid data.
    fn from(e: RecvError) -> Self {
        match e {
            RecvError::Closed => io::Error::new(io::ErrorKind::BrokenPipe, e),
            RecvError::Lagged(_) => io::Error::new(io::ErrorKind::InvalidData, e),
            RecvError::Cancelled(c) => c.into(),
        }
    }
}
