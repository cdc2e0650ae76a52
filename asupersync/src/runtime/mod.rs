//! wip
mod blocking;
mod clock;
mod context;
mod idle;
mod park;
mod reactor;
mod shared;
mod sockets;
mod worker;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a leaf lock. Nothing that can panic runs under one, so poisoning says nothing.
fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}
