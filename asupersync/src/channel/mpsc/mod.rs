//! Many senders, one receiver, a bounded number of values in between.
//!
//! ```
//! use asupersync::channel::mpsc;
//! use asupersync::{Cx, Cancelled};
//! # async fn next_job(_: &Cx) -> Result<u32, Cancelled> { Ok(1) }
//!
//! async fn produce(cx: &Cx, tx: mpsc::Sender<u32>) -> Result<(), Box<dyn std::error::Error>> {
//!     loop {
//!         // Room first, so that no job is taken that cannot be passed on.
//!         let permit = tx.reserve(cx).await?;
//!         let job = next_job(cx).await?;
//!         permit.send(job)?; // neither waits nor can be cancelled
//!     }
//! }
//! ```

mod many;
#[cfg(test)]
mod model;
mod permit;
mod receiver;
mod sender;
mod shared;
mod state;
mod unbounded;

pub use super::error::{
    RecvError, ReserveError, ReserveManyError, SendError, TooMany, TryRecvError, TryReserveError,
    TryReserveManyError, TrySendError,
};
pub use many::{PermitIterator, ReserveMany};
pub use permit::OwnedPermit;
pub use receiver::{Receiver, Recv, RecvMany};
pub use sender::{Closed, Permit, Reserve, SendValue, Sender, WeakSender};
pub use unbounded::{UnboundedReceiver, UnboundedSender, WeakUnboundedSender};

use crate::types::cancel_class::CancelClass;
use shared::Shared;
use std::fmt;

/// What happens to each operation that is cancelled or dropped half-way.
pub const CANCEL_CLASS: &[(&str, CancelClass)] = &[
    ("Sender::reserve", CancelClass::Safe),
    ("Sender::reserve_many", CancelClass::Safe),
    ("Sender::reserve_owned", CancelClass::Lossy),
    ("Sender::send", CancelClass::Lossy),
    ("Sender::closed", CancelClass::Safe),
    ("UnboundedSender::closed", CancelClass::Safe),
    ("Receiver::recv", CancelClass::Safe),
    ("Receiver::recv_many", CancelClass::Safe),
];

/// A channel with room for `capacity` values.
///
/// Memory is taken as it is needed, up to the capacity, and then kept.
///
/// # Panics
/// If `capacity` is 0: a channel without room could not keep a value that was
/// sent while nobody receives.
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a channel needs a capacity of at least 1");
    let shared = Shared::new(capacity, None);
    let sender = Sender::first(shared.clone());
    (sender, Receiver { shared })
}

/// A channel whose senders never wait. `reason` says what bounds the number of
/// values instead; it appears in debug output.
pub fn unbounded_channel<T>(reason: &'static str) -> (UnboundedSender<T>, Receiver<T>) {
    let shared = Shared::new(UNBOUNDED, Some(reason));
    let sender = Sender::first(shared.clone());
    (UnboundedSender(sender), Receiver { shared })
}

/// More than fits into memory, and such that no sum of counts overflows.
const UNBOUNDED: usize = usize::MAX / 2;

/// How full a channel is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Statistics {
    /// How many values fit; `None` for an unbounded channel.
    pub capacity: Option<usize>,
    /// Values in the queue.
    pub queued: usize,
    /// Places that belong to a permit, or to a sender in line: about to notice its
    /// turn, or first and waiting for more.
    pub reserved: usize,
    /// Senders in line for a place.
    pub waiting: usize,
    /// Senders alive.
    pub senders: usize,
}

/// What every end can be asked about its channel.
macro_rules! accessors {
    ($end:ident $(, $inner:tt)?) => {
        impl<T> $end<T> {
            /// Whether nothing can be sent any more: the receiver is gone or has closed.
            pub fn is_closed(&self) -> bool {
                self $(.$inner)? .shared.lock().places.is_closed()
            }

            /// How many values are queued.
            pub fn len(&self) -> usize {
                self $(.$inner)? .shared.lock().len()
            }

            /// Whether nothing is queued.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// How full the channel is.
            pub fn statistics(&self) -> super::Statistics {
                self $(.$inner)? .shared.statistics()
            }
        }
    };
}
use accessors;

fn debug<T>(f: &mut fmt::Formatter<'_>, end: &str, shared: &Shared<T>) -> fmt::Result {
    let mut debug = f.debug_struct(end);
    if let Some(reason) = shared.unbounded() {
        debug.field("unbounded", &reason);
    }
    debug.field("channel", &shared.statistics()).finish()
}
