//! How the errors of channels become the runtime's one [`Error`].

use super::mpsc::{
    RecvError, ReserveError, ReserveManyError, SendError, TooMany, TryRecvError, TryReserveError,
    TryReserveManyError, TrySendError,
};
use super::rpc::CallError;
use super::{broadcast, oneshot};
use crate::types::error::{Error, ErrorKind};

impl<T> From<SendError<T>> for Error {
    /// Drops the value.
    fn from(e: SendError<T>) -> Self {
        match e {
            SendError::Closed(_) => ReserveError::Closed.into(),
            SendError::Cancelled(_, c) => c.into(),
        }
    }
}

impl<T> From<TrySendError<T>> for Error {
    /// Drops the value.
    fn from(e: TrySendError<T>) -> Self {
        let kind = match e {
            TrySendError::Full(_) => ErrorKind::ChannelFull,
            TrySendError::Closed(_) => ErrorKind::ChannelClosed,
        };
        Error::new(kind, e.to_string())
    }
}

impl From<ReserveError> for Error {
    fn from(e: ReserveError) -> Self {
        match e {
            ReserveError::Closed => Error::new(ErrorKind::ChannelClosed, e.to_string()),
            ReserveError::Cancelled(c) => c.into(),
        }
    }
}

impl From<TryReserveError> for Error {
    fn from(e: TryReserveError) -> Self {
        let kind = match e {
            TryReserveError::Full => ErrorKind::ChannelFull,
            TryReserveError::Closed => ErrorKind::ChannelClosed,
        };
        Error::new(kind, e.to_string())
    }
}

impl From<TooMany> for Error {
    fn from(e: TooMany) -> Self {
        Error::new(ErrorKind::Config, e.to_string())
    }
}

impl From<ReserveManyError> for Error {
    fn from(e: ReserveManyError) -> Self {
        match e {
            ReserveManyError::TooMany(e) => e.into(),
            ReserveManyError::Closed => ReserveError::Closed.into(),
            ReserveManyError::Cancelled(c) => c.into(),
        }
    }
}

impl From<TryReserveManyError> for Error {
    fn from(e: TryReserveManyError) -> Self {
        let kind = match e {
            TryReserveManyError::TooMany(e) => return e.into(),
            TryReserveManyError::Full => ErrorKind::ChannelFull,
            TryReserveManyError::Closed => ErrorKind::ChannelClosed,
        };
        Error::new(kind, e.to_string())
    }
}

impl From<RecvError> for Error {
    fn from(e: RecvError) -> Self {
        match e {
            RecvError::Closed => Error::new(ErrorKind::ChannelClosed, e.to_string()),
            RecvError::Cancelled(c) => c.into(),
        }
    }
}

impl From<TryRecvError> for Error {
    fn from(e: TryRecvError) -> Self {
        let kind = match e {
            TryRecvError::Empty => ErrorKind::ChannelEmpty,
            TryRecvError::Closed => ErrorKind::ChannelClosed,
        };
        Error::new(kind, e.to_string())
    }
}

impl<T> From<broadcast::SendError<T>> for Error {
    /// Drops the value.
    fn from(e: broadcast::SendError<T>) -> Self {
        Error::new(ErrorKind::ChannelClosed, e.to_string())
    }
}

impl From<oneshot::RecvError> for Error {
    fn from(e: oneshot::RecvError) -> Self {
        match e {
            oneshot::RecvError::Closed => Error::new(ErrorKind::ChannelClosed, e.to_string()),
            oneshot::RecvError::Cancelled(c) => c.into(),
        }
    }
}

impl From<oneshot::TryRecvError> for Error {
    fn from(e: oneshot::TryRecvError) -> Self {
        let kind = match e {
            oneshot::TryRecvError::Empty => ErrorKind::ChannelEmpty,
            oneshot::TryRecvError::Closed => ErrorKind::ChannelClosed,
        };
        Error::new(kind, e.to_string())
    }
}

impl From<broadcast::RecvError> for Error {
    fn from(e: broadcast::RecvError) -> Self {
        let kind = match e {
            broadcast::RecvError::Lagged(_) => ErrorKind::ChannelLagged,
            broadcast::RecvError::Closed => ErrorKind::ChannelClosed,
            broadcast::RecvError::Cancelled(c) => return c.into(),
        };
        Error::new(kind, e.to_string())
    }
}

impl From<broadcast::TryRecvError> for Error {
    fn from(e: broadcast::TryRecvError) -> Self {
        let kind = match e {
            broadcast::TryRecvError::Empty => ErrorKind::ChannelEmpty,
            broadcast::TryRecvError::Lagged(_) => ErrorKind::ChannelLagged,
            broadcast::TryRecvError::Closed => ErrorKind::ChannelClosed,
        };
        Error::new(kind, e.to_string())
    }
}

impl From<CallError> for Error {
    /// A server that dropped the question is gone for this caller.
    fn from(e: CallError) -> Self {
        let kind = match e {
            CallError::Closed | CallError::NoReply => ErrorKind::ChannelClosed,
            CallError::Declined(_) => ErrorKind::CallDeclined,
            CallError::Cancelled(c) | CallError::Timeout(c) => return c.into(),
        };
        Error::new(kind, e.to_string())
    }
}
