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
//!
//! [`permits`] adds an atomic number to a queue, for primitives whose uncontended
//! use is one atomic step.

#[cfg(test)]
pub(crate) mod counted;
mod permits;
#[cfg(test)]
mod permits_model;
mod queue;

pub(crate) use permits::{Permits, Refusal};
pub use queue::{Left, Look, Statistics, Ticket, WaitQueue};

use std::task::Waker;

/// What `permits` is made of, by a name that `tests/loom_wait.rs` can give to
/// the atomics of its models.
mod atomic {
    pub(super) use crate::exec::lock;
    pub(super) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    pub(super) use std::sync::{Mutex, MutexGuard};
}

impl Permits {
    /// `free` permits, and nobody in line.
    pub(crate) const fn new(free: usize) -> Self {
        let word = atomic::AtomicUsize::new(Permits::word(free));
        let line = atomic::Mutex::new(WaitQueue::new());
        Permits::of(word, atomic::AtomicU64::new(0), line)
    }
}

/// What is left to do with a waker once the lock is released.
#[derive(Debug)]
#[must_use = "a waker that is not woken is a wake lost"]
pub enum After {
    /// Nothing.
    Nothing,
    /// Somebody can go on.
    Wake(Waker),
    /// Nobody is behind this waker any more.
    Drop(Waker),
}

impl After {
    /// Wakes the waker, if there is one.
    pub fn wake(waker: Option<Waker>) -> Self {
        waker.map_or(After::Nothing, After::Wake)
    }

    /// Drops the waker, if there is one.
    pub fn drop(waker: Option<Waker>) -> Self {
        waker.map_or(After::Nothing, After::Drop)
    }

    /// Does it; the caller holds no lock.
    pub fn run(self) {
        match self {
            After::Nothing | After::Drop(_) => {}
            After::Wake(waker) => waker.wake(),
        }
    }
}
