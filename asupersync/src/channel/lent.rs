//! Priority inheritance through channels: who waits for room, or for an answer,
//! waits for the task that receives.
//!
//! A channel is told of that task as it begins to receive, and asked for it
//! only by a waiter that is urgent. In ordinary times that is one comparison for
//! each value received. A channel whose receiver has never begun to receive
//! with a `Cx` has nobody to lend to.

use crate::cx::Cx;
use crate::exec::lending::{Loan, Urgency, address};
use crate::exec::lock;
use crate::exec::task::TaskRef;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The task that receives, as far as is known.
///
/// Invariant: only the receiving end writes, and it is not shared; so the
/// address is that of the task behind the lock whenever that end looks at it,
/// and no other task can have it while the reference is kept.
#[derive(Default)]
pub(super) struct Consumer {
    address: AtomicPtr<()>,
    task: Mutex<Option<TaskRef>>,
}

impl Consumer {
    /// `task` receives from now on.
    #[inline]
    pub(super) fn is(&self, task: &TaskRef) {
        let address = address(task);
        if self.address.load(Ordering::Relaxed) != address {
            self.address.store(address, Ordering::Relaxed);
            self.replace(Some(task.clone()));
        }
    }

    /// Nobody receives any more.
    pub(super) fn gone(&self) {
        if !self.address.load(Ordering::Relaxed).is_null() {
            self.address.store(std::ptr::null_mut(), Ordering::Relaxed);
            self.replace(None);
        }
    }

    #[cold]
    fn replace(&self, task: Option<TaskRef>) {
        let before = std::mem::replace(&mut *lock(&self.task), task);
        // After unlocking: with the last reference the task's result goes as well.
        drop(before);
    }

    /// Whom to lend to.
    pub(super) fn task(&self) -> Option<TaskRef> {
        lock(&self.task).clone()
    }
}

/// What one waiter has lent; the loan ends with the wait.
#[derive(Debug, Default)]
pub(super) struct Lent(Option<Loan>);

impl Lent {
    /// `cx`'s task has gone to sleep, waiting for `whom`: if it is urgent, so are they.
    #[inline]
    pub(super) fn to(&mut self, whom: impl FnOnce() -> Option<TaskRef>, cx: &Cx) {
        if let Some(urgency) = cx.task_ref().urgency() {
            self.lend(whom(), cx.task_ref(), urgency);
        }
    }

    #[cold]
    fn lend(&mut self, whom: Option<TaskRef>, waiter: &TaskRef, urgency: Urgency) {
        // Both ends may be in one task, which cannot be more urgent than it is.
        let whom = whom.filter(|task| address(task) != address(waiter));
        let Some(task) = whom else {
            return self.end();
        };
        if !self.0.as_ref().is_some_and(|loan| loan.is_to(&task)) {
            self.0 = Loan::to(task, urgency);
        }
    }

    /// The wait is over.
    #[inline]
    pub(super) fn end(&mut self) {
        self.0 = None;
    }
}
