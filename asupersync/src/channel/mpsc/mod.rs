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

mod bounded;
mod shared;
mod state;
mod unbounded;

pub use super::error::{
    RecvError, ReserveError, SendError, TryRecvError, TryReserveError, TrySendError,
};
pub use bounded::{
    Closed, OwnedPermit, Permit, Receiver, Recv, Reserve, SendValue, Sender, Statistics, channel,
};
pub use unbounded::{UnboundedReceiver, UnboundedRecv, UnboundedSender, unbounded_channel};

#[cfg(test)]
mod model;
