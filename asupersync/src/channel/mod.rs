//! Channels: a value is with its sender, in the queue, or with exactly one receiver.
//!
//! | module | senders and receivers | a value goes to |
//! |---|---|---|
//! | [`oneshot`] | one and one | the receiver, once |
//! | [`mpsc`] | many and one | the receiver, in order |
//! | [`broadcast`] | many and many | everyone who has subscribed |
//! | [`watch`] | many and many | everyone who looks; only the latest |
//! | [`ack_queue`] | many and many | one of them, again until it is acknowledged |
//! | [`rpc`] | many and one | the server, and its answer back to who asked |
//!
//! Sending is *reserve, then commit*: waiting for room ([`mpsc::Sender::reserve`])
//! may be cancelled and loses nothing; what follows ([`mpsc::Permit::send`])
//! neither waits nor can be cancelled. Invariants of every channel here:
//!
//! 1. values queued + places reserved ≤ capacity;
//! 2. values sent = received + queued + handed back;
//! 3. the values of one sender arrive in the order in which they were sent;
//! 4. who waits for room is served first come, first served, and a waiter that
//!    leaves hands what it was granted to the next;
//! 5. closing wakes everyone who waits;
//! 6. no lock is held while a waker is cloned, woken or dropped, nor while a
//!    value is dropped.

pub mod ack_queue;
mod audience;
pub mod broadcast;
mod crowd;
mod ends;
mod error;
mod jar;
mod kind;
mod lent;
pub mod mpsc;
pub mod oneshot;
mod places;
pub mod rpc;
mod senders;
mod sending;
mod waiting;
pub mod watch;
