//! How long threads wait for each other's locks.
//!
//! A lock that is free costs what it always does. Who finds one taken reads the
//! clock before and after, which is little against the cache lines that have to
//! cross over in between; the scheduler asks now and then what it comes to.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

thread_local! {
    static WAITED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Locks a leaf lock. Nothing under one runs user code, so poisoning says nothing.
#[inline]
pub(crate) fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    match m.try_lock() {
        Ok(guard) => guard,
        Err(TryLockError::Poisoned(guard)) => guard.into_inner(),
        Err(TryLockError::WouldBlock) => wait(m),
    }
}

#[cold]
fn wait<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    let start = Instant::now();
    let guard = m.lock().unwrap_or_else(PoisonError::into_inner);
    WAITED.set(WAITED.get() + start.elapsed());
    guard
}

/// How long the calling thread has waited since it last asked.
#[inline]
pub(crate) fn take_waited() -> Duration {
    WAITED.replace(Duration::ZERO)
}
