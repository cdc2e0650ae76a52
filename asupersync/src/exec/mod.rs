//! The shell around the rules: it polls, wakes, locks and carries out what rules return.
//!
//! | module | what it holds |
//! |---|---|
//! | [`state`] | the state word of a task: lifecycle bits and reference count |
//! | [`task`] | references to tasks and what can be asked of any task |
//! | [`cell`] | the one allocation per task, typed by its future |
//! | [`cache`] | the memory of cells, kept for the next |
//! | [`poll`] | the only place that polls a task's future |
//! | [`bound`] | what stays on its thread inside of a task |
//! | [`contention`] | the locks, and how long threads wait for them |
//! | [`cancel`] | the cascade of a request through tasks and regions |
//! | [`region`] | a region: its record behind its own lock |
//! | [`seats`] | the children of a region |
//! | [`account`] | what a region tells: its report, its drain, who is stuck |
//! | [`drive`] | the future that runs a region's body, drain and finalizers |
//! | [`spawn`] | admission of tasks |
//! | [`handle`], [`join`] | waiting for a task's outcome |
//! | [`obligation`], [`promises`] | the promises a task holds, and the slots they are recorded in |
//! | [`link`] | links: the bad end of one task reaches another |
//! | [`meter`] | cost quotas: what tasks and regions may charge |
//! | [`ids`] | ids of tasks and regions, used again |
//! | [`lending`] | urgency borrowed from who waits |
//! | [`outside`] | threads that run no task, and block where a task would wait |
//! | [`panics`] | containing panics, and where they happened |
//! | [`probe`] | recognising cancellation inside error types |
//! | [`root`] | the root region of a run |
//!
//! Locks: a task's control and a region's ledger are leaves. No code holds two
//! of them, and none is held across a wake, a drop of user data or a callback.

pub(crate) mod account;
pub(crate) mod bound;
mod cache;
pub(crate) mod cancel;
pub(crate) mod cell;
pub(crate) mod contention;
pub(crate) mod drive;
pub mod handle;
pub(crate) mod ids;
pub(crate) mod join;
pub(crate) mod lending;
pub mod link;
pub(crate) mod meter;
pub(crate) mod obligation;
pub(crate) mod outside;
pub(crate) mod panics;
pub(crate) mod poll;
pub mod probe;
pub(crate) mod promises;
pub(crate) mod region;
pub mod root;
pub(crate) mod seats;
pub(crate) mod spawn;
pub(crate) mod state;
pub(crate) mod task;
#[cfg(test)]
mod tests;

pub(crate) use contention::lock;
pub(crate) use panics::contain;

/// What the state word is made of, by a name that `tests/loom.rs` can give to
/// the atomics of its models.
mod atomic {
    pub(super) use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering, fence};
}

/// Wakes a waker that may be user code, and so may panic: whoever wakes has more
/// to do, and a region would wait for it for ever.
pub(crate) fn wake(waker: std::task::Waker) {
    // The panic has been printed; it belongs to nobody who could be told.
    let _ = contain(|| waker.wake());
}
