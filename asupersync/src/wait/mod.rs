//! Waiting in line: the one fair, cancel-correct queue under every primitive.
//!
//! A primitive is a plain value behind its own small mutex, and a [`WaitQueue`]
//! is one of that value's fields. The rules for its user:
//!
//! 1. a waker is cloned before the lock is taken, and woken or dropped after it
//!    is released: every method that lets go of a waker hands it out;
//! 2. whoever is granted owns what was granted from that moment on, polled or
//!    not; so a waiter that leaves after its grant must pass it on;
//! 3. a newcomer may pass the queue only when the queue is empty.

mod queue;

pub use queue::{Left, Statistics, Ticket, Turn, WaitQueue};
