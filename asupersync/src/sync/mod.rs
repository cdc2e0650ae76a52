//! Sharing between tasks: locks, permits, meeting points and pools.
//!
//! | type | what it does |
//! |---|---|
//! | [`Mutex`] | one holder at a time |
//! | [`RwLock`] | one writer or many readers at a time |
//! | [`Semaphore`] | a number of permits, each a lease |
//! | [`Pool`] | a number of things, each lent out and taken back |
//! | [`Barrier`] | a number of tasks that wait for each other |
//! | [`Notify`] | wakes one task, or all that wait |
//! | [`OnceCell`] | a value that the first who needs it makes |
//!
//! What they have in common:
//!
//! 1. waiters are served first come, first served, and a newcomer never passes
//!    the line;
//! 2. a waiter that is cancelled or dropped leaves the line from wherever it
//!    stands, and hands on what it was granted and never used: every wait here
//!    is of class [`Safe`](CancelClass::Safe), see [`CANCEL_CLASS`];
//! 3. the uncontended case is one atomic step each way and allocates nothing;
//!    waiting allocates only when a line grows longer than it ever was;
//! 4. no lock is held while a waker is cloned, woken or dropped, nor while a
//!    value of the user's is used or dropped;
//! 5. while a task that was asked to cancel waits for a [`Mutex`], a writer's
//!    lock, a permit or a loan, the holder borrows its urgency, and so does
//!    whoever the holder waits for;
//! 6. threads that run no task may block for a lock, in the line of the tasks, and
//!    closures of [`Cx::spawn_blocking`](crate::Cx::spawn_blocking) for anything, by
//!    [`Cx::block_on`](crate::Cx::block_on).
//!
//! ```
//! use asupersync::{Cx, LabConfig, LabRuntime, Scope, sync::Mutex};
//! use std::sync::Arc;
//!
//! LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
//!     let total = Arc::new(Mutex::new(0));
//!     cx.region(async |scope| {
//!         for n in 1..=4 {
//!             let total = total.clone();
//!             scope.spawn(async move |cx: Cx| *total.lock(&cx).await.unwrap() += n);
//!         }
//!     })
//!     .await
//!     .unwrap();
//!     assert_eq!(*total.lock(&cx).await.unwrap(), 10);
//! });
//! ```

mod barrier;
mod gate;
mod kind;
mod mapped;
mod mutex;
mod notify;
mod once_cell;
mod outside;
mod pool;
mod rwlock;
mod semaphore;

use crate::types::id::TaskId;

pub use crate::types::cancel_class::CancelClass;
pub use barrier::{Barrier, BarrierError, BarrierStatistics, BarrierWait, BarrierWaitResult};
pub use mutex::{
    Lock, LockError, LockOwned, MappedMutexGuard, Mutex, MutexGuard, OwnedMappedMutexGuard,
    OwnedMutexGuard, TryLockError,
};
pub use notify::{Notified, NotifiedOwned, Notify, NotifyStatistics};
pub use once_cell::{InitError, OnceCell, OnceCellStatistics, SetError, WaitMade};
pub use pool::{Access, Expired, Get, Health, Lease, LeaseFor, Loan, Pool, PoolStatistics};
pub use rwlock::{
    MappedReadGuard, MappedWriteGuard, OwnedMappedReadGuard, OwnedMappedWriteGuard, OwnedReadGuard,
    OwnedWriteGuard, Read, ReadGuard, ReadOwned, RwLock, RwLockStatistics, WouldBlock, Write,
    WriteGuard, WriteOwned,
};
pub use semaphore::{
    Acquire, AcquireError, AcquireOwned, OwnedSemaphorePermit, Semaphore, SemaphorePermit,
    SemaphoreStatistics, TryAcquireError,
};

/// How busy a lock is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LockStatistics {
    /// Whether somebody holds it.
    pub locked: bool,
    /// Who holds it: known while somebody is in line, if it was locked with a context.
    pub holder: Option<TaskId>,
    /// Waiters in line.
    pub waiting: usize,
    /// The largest number that was ever in line at one time.
    pub longest: usize,
}

/// The cancel class of every operation of this module that waits.
///
/// An initialiser is the caller's own future: how far it got when it was dropped
/// is lost, and the cell stays empty.
pub const CANCEL_CLASS: &[(&str, CancelClass)] = &[
    ("Mutex::lock", CancelClass::Safe),
    ("Mutex::lock_owned", CancelClass::Safe),
    ("RwLock::read", CancelClass::Safe),
    ("RwLock::write", CancelClass::Safe),
    ("RwLock::read_owned", CancelClass::Safe),
    ("RwLock::write_owned", CancelClass::Safe),
    ("Semaphore::acquire", CancelClass::Safe),
    ("Semaphore::acquire_owned", CancelClass::Safe),
    ("Pool::get", CancelClass::Safe),
    ("Pool::lease", CancelClass::Safe),
    ("Barrier::wait", CancelClass::Safe),
    ("Notify::notified", CancelClass::Safe),
    ("Notify::notified_owned", CancelClass::Safe),
    ("OnceCell::wait", CancelClass::Safe),
    ("OnceCell::get_or_init", CancelClass::Lossy),
    ("OnceCell::get_or_try_init", CancelClass::Lossy),
];
