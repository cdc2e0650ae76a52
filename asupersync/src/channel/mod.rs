//! Channels: a value is with its sender, in the queue, or with exactly one receiver.
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
pub mod broadcast;
#[cfg(test)]
mod counted;
mod crowd;
mod error;
mod jar;
mod kind;
pub mod mpsc;
pub mod oneshot;
mod outside;
mod places;
mod sending;
mod waiting;
pub mod watch;
