//! A queue whose messages stay until somebody says that they were dealt with.
//!
//! A message is delivered together with an [`Ack`]. [`Ack::commit`] removes it;
//! [`Ack::nack`], or dropping the `Ack` for whatever reason - an early return, a
//! panic, a cancellation - hands it back, and it is delivered again, to whoever
//! receives next. A message that was handed back as often as
//! [`Redelivery::max_attempts`] says becomes a dead letter.
//!
//! What holds:
//!
//! * at least once: every message sent is committed, becomes a dead letter, or is
//!   still there, as long as a receiver is. Nothing is kept beyond the process.
//! * order: new messages are delivered in the order in which they were sent.
//!   Messages that were handed back are delivered in the order in which they were
//!   handed back, each after its delay, and then before all new ones.
//! * bounds: a message holds its place until it is committed or taken as a dead
//!   letter. A queue whose dead letters nobody takes fills up and its senders
//!   wait; nothing is thrown away.
//!
//! ```
//! use asupersync::channel::ack_queue::{self, Redelivery};
//! use asupersync::{Cx, channel::ack_queue::RecvError};
//!
//! # async fn deliver(_: &Cx, _: &str) -> Result<(), std::io::Error> { Ok(()) }
//! async fn work(cx: &Cx, mails: ack_queue::Receiver<String>) -> Result<(), RecvError> {
//!     loop {
//!         let (mail, ack) = mails.recv(cx).await?;
//!         match deliver(cx, &mail).await {
//!             Ok(()) => ack.commit(),
//!             Err(_) => ack.nack(), // again later, at most three times in all
//!         }
//!     }
//! }
//!
//! let (tx, rx) = ack_queue::ack_queue::<String>(16, Redelivery::attempts(3));
//! # let _ = (work, tx, rx);
//! ```

mod ack;
#[cfg(test)]
mod model;
mod receiver;
mod sender;
mod state;

pub use super::error::{
    RecvError, ReserveError, SendError, TryRecvError, TryReserveError, TrySendError,
};
pub use ack::Ack;
pub use receiver::{Receiver, Recv};
pub use sender::{Closed, Permit, Reserve, SendValue, Sender};

use super::places::{Places, Refusal, Room};
use super::senders::{Senders, Sent};
use super::sending::Queue;
use crate::exec::lock;
use crate::types::cancel_class::CancelClass;
use crate::wait::After;
use state::{Effects, State};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

/// What happens to each operation that is cancelled or dropped half-way.
pub const CANCEL_CLASS: &[(&str, CancelClass)] = &[
    ("Sender::reserve", CancelClass::Safe),
    ("Sender::send", CancelClass::Lossy),
    ("Sender::closed", CancelClass::Safe),
    ("Receiver::recv", CancelClass::Safe),
];

/// When a message that was handed back is delivered again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Redelivery {
    /// How often a message is delivered before it becomes a dead letter; at least 1.
    pub max_attempts: u32,
    /// How long after it was handed back.
    pub delay: Duration,
}

impl Redelivery {
    /// So many deliveries, at once.
    pub const fn attempts(max_attempts: u32) -> Self {
        Redelivery {
            max_attempts,
            delay: Duration::ZERO,
        }
    }

    /// With this delay.
    #[must_use]
    pub const fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// A message that was handed back as often as it may be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetter<T> {
    /// The message.
    pub value: T,
    /// How often it was delivered.
    pub attempts: u32,
}

/// How full a queue is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Statistics {
    /// How many messages it has places for.
    pub capacity: usize,
    /// Messages that a receiver could have at once.
    pub queued: usize,
    /// Messages that were handed back and wait for their delay.
    pub delayed: usize,
    /// Messages delivered and neither committed nor handed back yet.
    pub in_flight: usize,
    /// Dead letters.
    pub dead: usize,
    /// Places that belong to a permit, or to a sender about to notice its turn.
    pub reserved: usize,
    /// Senders in line for a place.
    pub waiting_to_send: usize,
    /// Receivers that wait for a message.
    pub waiting_to_receive: usize,
    /// Receivers.
    pub receivers: usize,
}

/// A queue with places for `capacity` messages.
///
/// # Panics
/// If `capacity` or `redelivery.max_attempts` is 0.
pub fn ack_queue<T: Clone>(capacity: usize, redelivery: Redelivery) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a queue needs a capacity of at least 1");
    assert!(
        redelivery.max_attempts > 0,
        "a message is delivered at least once: `max_attempts` must not be 0"
    );
    let shared = Arc::new(Shared {
        state: Mutex::new(State::new(capacity, redelivery)),
        delays: !redelivery.delay.is_zero(),
        senders: Senders::one(),
    });
    (Sender::first(shared.clone()), Receiver::new(shared))
}

/// What all ends hold.
struct Shared<T> {
    state: Mutex<State<T>>,
    /// Whether what is handed back waits: else no clock is read.
    delays: bool,
    senders: Senders,
}

impl<T> Shared<T> {
    fn statistics(&self) -> Statistics {
        let state = lock(&self.state);
        Statistics {
            capacity: state.places.capacity(),
            queued: state.deliverable(),
            delayed: state.delayed(),
            in_flight: state.in_flight(),
            dead: state.dead(),
            reserved: state.places.reserved(),
            waiting_to_send: state.places.waiting(),
            waiting_to_receive: state.waiting(),
            receivers: state.receivers(),
        }
    }

    /// Applies a rule and does, unlocked, what it asks for.
    fn apply(&self, rule: impl FnOnce(&mut State<T>) -> Effects<T>) {
        let Effects { wake, drop } = rule(&mut lock(&self.state));
        // Those who wait are told first: dropping a value is anybody's code.
        wake.into_iter().for_each(crate::exec::wake);
        std::mem::drop(drop);
    }

    fn take_dead(&self) -> VecDeque<DeadLetter<T>> {
        let mut wake = Vec::new();
        let dead = lock(&self.state).take_dead(&mut wake);
        wake.into_iter().for_each(Waker::wake);
        dead
    }
}

impl<T> Sent for Shared<T> {
    fn senders(&self) -> &Senders {
        &self.senders
    }

    fn abandon(&self) {
        self.apply(State::drop_senders);
    }
}

impl<T> Room for Shared<T> {
    fn places<R>(&self, edit: impl FnOnce(&mut Places) -> R) -> R {
        edit(&mut lock(&self.state).places)
    }

    fn release(&self, places: usize) {
        self.apply(|state| state.release(places));
    }
}

impl<T> Queue<T> for Shared<T> {
    fn push(&self, value: T) -> Result<(), (Refusal, T)> {
        let pushed = lock(&self.state).push(value);
        pushed.map(After::run)
    }

    fn fill(&self, value: T) -> Result<(), T> {
        let filled = lock(&self.state).fill(value);
        match filled {
            Ok(after) => {
                after.run();
                Ok(())
            }
            Err((value, after)) => {
                after.run();
                Err(value)
            }
        }
    }
}
