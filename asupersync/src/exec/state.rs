//! The state word of a task: lifecycle bits below, reference count above.
//!
//! | bit | set | cleared | says |
//! |---|---|---|---|
//! | SCHEDULED | by a wake | when a poll starts | a `Runnable` exists, or will when the running poll ends |
//! | RUNNING | when a poll starts | when it ends | one thread owns the future |
//! | COMPLETE | once | never | the outcome is set, the future is gone |
//! | STARTED | at the first poll | never | the body was called |
//! | CANCEL | at the first request | never | checkpoints take the slow path |
//! | ESCALATE | when the cleanup budget is spent | never | the next poll drops the future |
//! | METERED | at birth or first mask | never | polls are counted |
//! | FINALIZING | when the body ended with deferred work left | never | polls drive finalizers |
//! | PINNED | at birth | never | the future guards code that cannot be dropped |
//! | DRIVER | at birth | never | the runtime's own task, which drains a region that lost its opener |
//! | HANDLE | at birth | when the handle is dropped without the outcome | someone may read the outcome |
//! | JOIN_WAKER | by a waiting handle | by the handle, to change its waker | the join slot holds a waker and belongs to the completer |
//! | CONTROL | with the first use of the control | never | the cold side of the task exists |
//! | TIMED | at birth | never | a deadline binds the task: a checkpoint reads the clock |
//! | SEEN | at the first checkpoint that fails | never | a task without a control has acknowledged |
//! | DAEMON | at birth | never | it does not keep its region open |
//! | LENT | with the first loan of urgency | never | its lane depends on what it has borrowed |
//! | ENDED, two bits | as it completes | never | how badly it ended, as a `Severity`; 0 for a value, and for an end that was asked for |
//! | RECORDS | at birth | never | the world records events |
//!
//! Rules:
//! 1. only the thread that moved SCHEDULED to RUNNING touches the future;
//! 2. the `Runnable` of a task exists at most once: whoever sets SCHEDULED on an
//!    idle task creates it; set on a running task, the poller re-creates it;
//! 3. the outcome belongs to the poller until COMPLETE, then to the handle if
//!    HANDLE is still set, else to whichever of the two cleared or saw it last;
//! 4. the join slot belongs to the handle while JOIN_WAKER is clear, and to the
//!    completer while it is set. The handle takes it back by clearing the bit,
//!    unless that finds COMPLETE: then the completer has seen the bit and keeps it;
//! 5. CANCEL without CONTROL says that the task was asked together with its
//!    siblings, and that its region knows why. Both bits are set by steps that
//!    return the other: who sets CANCEL second tells the control, who sets
//!    CONTROL second asks the region.

use super::atomic::{AtomicUsize, Ordering, fence};

pub(crate) const SCHEDULED: usize = 1;
pub(crate) const RUNNING: usize = 1 << 1;
pub(crate) const COMPLETE: usize = 1 << 2;
pub(crate) const STARTED: usize = 1 << 3;
pub(crate) const CANCEL: usize = 1 << 4;
pub(crate) const ESCALATE: usize = 1 << 5;
pub(crate) const METERED: usize = 1 << 6;
pub(crate) const FINALIZING: usize = 1 << 7;
pub(crate) const PINNED: usize = 1 << 8;
pub(crate) const HANDLE: usize = 1 << 9;
pub(crate) const JOIN_WAKER: usize = 1 << 10;
pub(crate) const DRIVER: usize = 1 << 11;
pub(crate) const CONTROL: usize = 1 << 12;
pub(crate) const TIMED: usize = 1 << 13;
pub(crate) const SEEN: usize = 1 << 14;
pub(crate) const DAEMON: usize = 1 << 15;
pub(crate) const LENT: usize = 1 << 16;
pub(crate) const RECORDS: usize = 1 << 17;
pub(crate) const ENDED: usize = 1 << 18;
pub(crate) const REF: usize = 1 << 20;

/// Bits that make a poll look closer before it starts.
pub(crate) const SLOW: usize = CANCEL | ESCALATE | METERED | FINALIZING;

/// Bits without which a task belongs to the ready lane; worlds know them as
/// [`LANED`](crate::world::runnable::LANED).
pub(crate) const LANED: usize = CANCEL | TIMED | LENT;

/// References of a newborn: its seat in the region, its `Runnable`, its handle.
/// A fourth comes with the first poll, see [`start`].
pub(crate) const BIRTH: usize = SCHEDULED | HANDLE | (3 * REF);

/// What a waker has to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Wake {
    /// Create the `Runnable` and enqueue it.
    Enqueue,
    /// Nothing: it is queued, running, or complete.
    Nothing,
}

/// What asking a task together with its siblings did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Asked {
    /// The bit is set; what is left to do is what a waker has to.
    Noted(Wake),
    /// Nothing, as it had been asked the same before, or has its outcome.
    Nothing,
    /// Nothing yet: the task has a control, which has to be told.
    Recorded,
}

/// What a poller has to do after a pending poll.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum AfterPoll {
    /// Nothing: the reference is given up, and a waker will bring the task back.
    Released,
    /// Drop the reference, which is the last.
    Drop,
    /// Enqueue again: it was woken while it ran.
    Requeue,
}

/// Makes the task runnable.
#[inline]
pub(crate) fn wake(state: &AtomicUsize) -> Wake {
    let before = state.fetch_or(SCHEDULED, Ordering::AcqRel);
    if before & (SCHEDULED | RUNNING | COMPLETE) == 0 {
        Wake::Enqueue
    } else {
        Wake::Nothing
    }
}

/// Asks the task to cancel, together with its siblings, and makes it runnable.
/// `anew`: the request says more than the one before.
pub(crate) fn ask(state: &AtomicUsize, anew: bool) -> Asked {
    let mut before = state.load(Ordering::Relaxed);
    loop {
        if before & CONTROL != 0 {
            return Asked::Recorded;
        }
        if before & COMPLETE != 0 || (before & CANCEL != 0 && !anew) {
            return Asked::Nothing;
        }
        let after = before | CANCEL | SCHEDULED;
        match state.compare_exchange_weak(before, after, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) if before & (SCHEDULED | RUNNING) == 0 => return Asked::Noted(Wake::Enqueue),
            Ok(_) => return Asked::Noted(Wake::Nothing),
            Err(now) => before = now,
        }
    }
}

/// Begins a poll; returns the bits as they were. The first poll, which finds
/// STARTED clear, brings a reference: that of the body's own context.
#[inline]
pub(crate) fn start(state: &AtomicUsize) -> usize {
    // Only a poll sets STARTED, and one poll comes after the other: whoever is
    // about to poll knows whether it is the first, and sets the bit in passing.
    let first = state.load(Ordering::Relaxed) & STARTED == 0;
    let began = if first { STARTED + REF } else { 0 };
    // SCHEDULED is set and RUNNING is not, so one subtraction clears the one
    // and sets the other.
    let before = state.fetch_add(RUNNING - SCHEDULED + began, Ordering::AcqRel);
    debug_assert_eq!(
        before & (SCHEDULED | RUNNING | COMPLETE),
        SCHEDULED,
        "one Runnable, polled once"
    );
    before
}

/// Ends a pending poll; an idle task gives its `Runnable`'s reference up in the same step.
#[inline]
pub(crate) fn suspend(state: &AtomicUsize) -> AfterPoll {
    let mut before = state.load(Ordering::Relaxed);
    while before & SCHEDULED == 0 {
        let (less, then) = if before / REF > 1 {
            (RUNNING + REF, AfterPoll::Released)
        } else {
            (RUNNING, AfterPoll::Drop)
        };
        let after = before - less;
        // A failure means that another thread got on with its own change.
        match state.compare_exchange_weak(before, after, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return then,
            Err(now) => before = now,
        }
    }
    // Nobody takes SCHEDULED back from a running task.
    state.fetch_sub(RUNNING, Ordering::AcqRel);
    AfterPoll::Requeue
}

/// Ends the last poll of a task that ended so badly; returns the bits as they were.
#[inline]
pub(crate) fn complete(state: &AtomicUsize, severity: u8) -> usize {
    // Clears RUNNING and sets COMPLETE in one step. A SCHEDULED left by a wake
    // during the poll stays: it has no `Runnable`, and COMPLETE outranks it.
    let ended = ENDED * usize::from(severity & 3);
    state.fetch_add(COMPLETE - RUNNING + ended, Ordering::AcqRel)
}

/// How badly a complete task ended.
pub(crate) fn severity(bits: usize) -> u8 {
    ((bits / ENDED) & 3) as u8
}

/// Sets bits; returns the bits as they were.
#[inline]
pub(crate) fn set(state: &AtomicUsize, bits: usize) -> usize {
    state.fetch_or(bits, Ordering::AcqRel)
}

/// Clears bits; returns the bits as they were.
#[inline]
pub(crate) fn clear(state: &AtomicUsize, bits: usize) -> usize {
    state.fetch_and(!bits, Ordering::AcqRel)
}

/// Adds a reference.
#[inline]
pub(crate) fn retain(state: &AtomicUsize) {
    let before = state.fetch_add(REF, Ordering::Relaxed);
    if before > usize::MAX / 2 {
        // 2^43 references: only a leak in a loop gets here, and going on would free live memory.
        std::process::abort();
    }
}

/// Gives up the handle's claim to the outcome and its reference, unless the task
/// is complete: then both are the caller's still, and `false` is returned.
#[must_use]
pub(crate) fn abandon_handle(state: &AtomicUsize) -> bool {
    let mut before = state.load(Ordering::Acquire);
    while before & COMPLETE == 0 {
        // Not the last reference: a task that is not complete has its seat's.
        let after = before - HANDLE - REF;
        match state.compare_exchange_weak(before, after, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return true,
            Err(now) => before = now,
        }
    }
    false
}

/// Drops `n` references; `true` when they were the last.
#[inline]
#[must_use]
pub(crate) fn release(state: &AtomicUsize, n: usize) -> bool {
    // Whoever has all references that there are can only be joined by those it
    // gives one to: no step is needed to give them up. The load pairs with the
    // Release of the drops that came before.
    if state.load(Ordering::Acquire) / REF == n {
        return true;
    }
    let before = state.fetch_sub(n * REF, Ordering::Release);
    if before / REF != n {
        return false;
    }
    // Pairs with the Release of every other drop: their writes to the cell come first.
    fence(Ordering::Acquire);
    true
}
