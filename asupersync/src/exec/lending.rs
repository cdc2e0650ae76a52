//! Priority inheritance: a task that somebody urgent waits for borrows the
//! waiter's urgency until it lets go.
//!
//! Urgent is who was asked to cancel, or has borrowed. The mark is one word in
//! the task: how many loans it has, the largest priority among them, and how far
//! from the one who was asked. It ends with the last loan.
//!
//! Chains need no stored edges: a borrower is woken, so whatever it waits for
//! is polled, finds its waiter urgent, and lends on. Nobody who is not urgent
//! ever gets here.

use super::state;
use super::task::{TaskRef, borrow, is_tasks};
use crate::world::Lane;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Waker;

/// How far urgency travels: a chain of holders that is longer is more likely a
/// cycle, and polling it would change nothing.
const DEPTH: u8 = 8;

/// How urgent a task is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Urgency {
    /// Of the cancel lane.
    priority: u8,
    /// Loans between this task and one that was asked to cancel.
    depth: u8,
}

impl Urgency {
    /// The more urgent of the two.
    pub(crate) fn max(self, other: Self) -> Self {
        let rank = |u: Self| (u.priority, std::cmp::Reverse(u.depth));
        if rank(other) > rank(self) {
            other
        } else {
            self
        }
    }

    fn of_word(word: u32) -> Option<Self> {
        let [priority, depth, ..] = word.to_le_bytes();
        (word != 0).then_some(Urgency { priority, depth })
    }

    /// The word of a borrower with one more loan.
    fn add_to(self, word: u32) -> u32 {
        let [priority, depth, low, high] = word.to_le_bytes();
        let loans = u16::from_le_bytes([low, high]).saturating_add(1);
        let [low, high] = loans.to_le_bytes();
        let depth = if word == 0 {
            self.depth
        } else {
            depth.min(self.depth)
        };
        u32::from_le_bytes([priority.max(self.priority), depth, low, high])
    }
}

/// The mark of a borrower; zero for who has borrowed nothing.
#[derive(Default)]
pub(crate) struct Borrowed(AtomicU32);

impl Borrowed {
    /// The lane of a task that would be in `own` without its loans.
    #[inline]
    pub(crate) fn raise(&self, own: Lane) -> Lane {
        match self.0.load(Ordering::Relaxed) {
            0 => own,
            word => raised(own, word),
        }
    }
}

#[cold]
fn raised(own: Lane, word: u32) -> Lane {
    match (own, Urgency::of_word(word)) {
        (Lane::Cancel { priority }, Some(lent)) => Lane::Cancel {
            priority: priority.max(lent.priority),
        },
        (_, Some(lent)) => Lane::Cancel {
            priority: lent.priority,
        },
        (own, None) => own,
    }
}

impl TaskRef {
    /// The task that `waker` wakes, if it is a task's own waker.
    pub(crate) fn of_waker(waker: &Waker) -> Option<TaskRef> {
        if !is_tasks(waker) {
            return None;
        }
        // SAFETY: the vtable says that a task made the waker, which is borrowed here.
        let task = unsafe { borrow(waker.data()) };
        Some(TaskRef::clone(&task))
    }

    /// Lends the urgency of the task that `waker` wakes, if it has any, to this
    /// task for the rest of its life: somebody waits for its end.
    #[inline]
    pub(crate) fn hasten(&self, waker: &Waker) {
        if !is_tasks(waker) {
            return;
        }
        // SAFETY: the vtable says that a task made the waker, which is borrowed here.
        let waiter = unsafe { borrow(waker.data()) };
        if let Some(urgency) = waiter.urgency() {
            let lent = Urgency::of_word(self.head().borrowed.0.load(Ordering::Relaxed));
            if lent.is_none_or(|lent| lent.priority < urgency.priority) {
                self.lend(urgency);
            }
        }
    }

    /// How urgent the task is; `None` in ordinary times, which costs two loads.
    #[inline]
    pub(crate) fn urgency(&self) -> Option<Urgency> {
        if !self.cancel_requested() && self.head().borrowed.0.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.urgent()
    }

    #[cold]
    fn urgent(&self) -> Option<Urgency> {
        let lent = Urgency::of_word(self.head().borrowed.0.load(Ordering::Relaxed));
        let Lane::Cancel { priority } = self.lane() else {
            return lent;
        };
        let depth = match lent {
            Some(lent) if !self.cancel_requested() => lent.depth,
            _ => 0,
        };
        Some(Urgency { priority, depth })
    }

    /// Lends `urgency` to this task until [`TaskRef::repay`]; `false` when it came too far.
    pub(crate) fn lend(&self, urgency: Urgency) -> bool {
        if urgency.depth >= DEPTH || self.is_complete() {
            return false;
        }
        let onward = Urgency {
            depth: urgency.depth + 1,
            ..urgency
        };
        let mark = &self.head().borrowed.0;
        let before = mark.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |word| {
            Some(onward.add_to(word))
        });
        // Who asks for its lane looks at the mark from here on.
        if self.state() & state::LENT == 0 {
            state::set(&self.head().header.state, state::LENT);
        }
        let before = before.unwrap_or_else(|same| same);
        // What it waits for learns of it when it is polled. A task that runs or
        // is queued is in its new lane from its next turn on.
        if Urgency::of_word(before).is_none_or(|lent| lent.priority < urgency.priority) {
            self.wake_for_cancel();
        }
        true
    }

    /// Ends one loan.
    pub(crate) fn repay(&self) {
        let mark = &self.head().borrowed.0;
        let _ = mark.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |word| {
            let [.., low, high] = word.to_le_bytes();
            match u16::from_le_bytes([low, high]) {
                0 | 1 => Some(0),
                _ => Some(word - (1 << 16)),
            }
        });
    }
}

/// Borrowed for as long as the value lives.
#[derive(Debug)]
pub(crate) struct Loan(TaskRef);

impl Loan {
    /// Lends to `holder`; `None` when it came too far.
    pub(crate) fn to(holder: TaskRef, urgency: Urgency) -> Option<Self> {
        holder.lend(urgency).then_some(Loan(holder))
    }

    /// Whether `task` is the borrower.
    pub(crate) fn is_to(&self, task: &TaskRef) -> bool {
        self.0.as_raw() == task.as_raw()
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.0.repay();
    }
}

/// The address of a task, kept where nobody owns a reference for it.
///
/// Whoever turns it into a reference knows that somebody else owns one.
pub(crate) fn address(task: &TaskRef) -> *mut () {
    task.as_raw().as_ptr().cast()
}

/// # Safety
/// `address` came from [`address`], and somebody owns a reference to that task
/// until this returns.
pub(crate) unsafe fn upgrade(address: *mut ()) -> Option<TaskRef> {
    let header = std::ptr::NonNull::new(address)?;
    // SAFETY: as the caller promises; the borrowed reference is not given up.
    let borrowed = ManuallyDrop::new(unsafe { TaskRef::from_raw(header.cast()) });
    Some(TaskRef::clone(&borrowed))
}
