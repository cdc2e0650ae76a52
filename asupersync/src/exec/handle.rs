//! Waiting for a task: the handle owns the right to its outcome, never the task.

use super::cancel;
use super::spawn::release_handle;
use super::task::TaskRef;
use crate::kernel::region::{Refused, RegionState};
use crate::kernel::task::TaskPhase;
use crate::types::cancel::{CancelKind, CancelReason};
use crate::types::caps::CapabilityDenied;
use crate::types::id::{RegionId, TaskId};
use crate::types::outcome::Outcome;
use crate::types::policy::Limit;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Why a spawn was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SpawnError {
    /// The region no longer admits children.
    #[error(
        "region {region} is {state:?} and admits no new task; spawn through the scope of a region that is still open"
    )]
    RegionClosed {
        /// Which region.
        region: RegionId,
        /// Where it is.
        state: RegionState,
    },
    /// The region has as many children as its [`RegionLimits`](crate::RegionLimits) allow.
    #[error(
        "region {region} refuses the task: it may have {limit} at a time; wait for one to end, or raise the limit in its options"
    )]
    AdmissionDenied {
        /// Which region.
        region: RegionId,
        /// Which limit.
        limit: Limit,
    },
    /// A task that must stay on the calling thread, which runs none.
    #[error(
        "the calling thread runs no tasks of this runtime, so no task can stay on it; call spawn_local from a task or from the body given to block_on"
    )]
    NoHome,
    /// The context may start no tasks.
    #[error(transparent)]
    CapabilityDenied(#[from] CapabilityDenied),
}

impl SpawnError {
    /// Of a task that `region` refused.
    pub(crate) fn of(region: RegionId, refused: Refused) -> Self {
        match refused {
            Refused::Past(state) => SpawnError::RegionClosed { region, state },
            Refused::Full(limit) => SpawnError::AdmissionDenied { region, limit },
        }
    }
}

/// The right to a task's outcome.
///
/// As a future it resolves to the task's [`Outcome`] and is no checkpoint: it
/// waits even when the waiter is asked to cancel. `join` is the checkpointed
/// form.
///
/// *Cancellation.* Dropping a handle, or a join in progress, neither cancels
/// nor detaches the task: its region still owns and awaits it. So a handle that
/// nobody needs may simply be ignored.
///
/// *Panics.* Polling it again after it resolved.
pub struct TaskHandle<T, E = Infallible> {
    inner: Inner,
    /// Whether it may be sent elsewhere is said below.
    _outcome: PhantomData<*const Outcome<T, E>>,
}

// SAFETY: a handle gives out the outcome, and nothing else that is not Send.
unsafe impl<T: Send, E: Send> Send for TaskHandle<T, E> {}
// SAFETY: a shared handle gives out nothing of the outcome.
unsafe impl<T, E> Sync for TaskHandle<T, E> {}

enum Inner {
    Task {
        /// Given up when the handle is dropped, with the outcome unless it was taken.
        task: ManuallyDrop<TaskRef>,
        taken: bool,
    },
    /// Boxed, since handles are kept by the thousand, and few are of refused tasks.
    Refused(Box<SpawnError>),
}

impl<T, E> TaskHandle<T, E> {
    /// Takes over the handle's reference; `T` and `E` are those of the task's cell.
    pub(crate) fn new(task: TaskRef) -> Self {
        TaskHandle {
            inner: Inner::Task {
                task: ManuallyDrop::new(task),
                taken: false,
            },
            _outcome: PhantomData,
        }
    }

    pub(crate) fn refuse(error: SpawnError) -> Self {
        TaskHandle {
            inner: Inner::Refused(Box::new(error)),
            _outcome: PhantomData,
        }
    }

    /// Asks the task to cancel. Does nothing to a task that has its outcome.
    pub fn cancel(&self, reason: impl Into<CancelReason>) {
        if let Some(task) = self.task() {
            cancel::cancel_task(task, reason.into());
        }
    }

    /// Why the task was asked to cancel, if it was, however it ended.
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        self.task()?.reason().map(|r| CancelReason::clone(&r))
    }

    /// The task, or `None` if the spawn was refused.
    pub fn id(&self) -> Option<TaskId> {
        self.task().map(TaskRef::id)
    }

    /// Why the spawn was refused, if it was.
    pub fn refused(&self) -> Option<&SpawnError> {
        match &self.inner {
            Inner::Refused(e) => Some(e),
            Inner::Task { .. } => None,
        }
    }

    /// Where the task is in its life; a refused one is `Completed`.
    pub fn phase(&self) -> TaskPhase {
        self.task().map_or(TaskPhase::Completed, TaskRef::phase)
    }

    /// Whether the task has its outcome.
    pub fn is_complete(&self) -> bool {
        self.task().is_none_or(TaskRef::is_complete)
    }

    pub(crate) fn task(&self) -> Option<&TaskRef> {
        match &self.inner {
            Inner::Task { task, .. } => Some(task),
            Inner::Refused(_) => None,
        }
    }
}

impl<T, E> Future for TaskHandle<T, E> {
    type Output = Outcome<T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Inner::Task { task, taken } = &mut self.inner else {
            let reason = CancelReason::new(CancelKind::RegionEnd).with_message("spawn refused");
            return Poll::Ready(Outcome::Cancelled(reason));
        };
        assert!(!*taken, "a task handle was polled after it resolved");
        if !task.is_complete() {
            let head = task.head();
            // SAFETY: its own state word, and a task has one handle, borrowed mutably here.
            if unsafe { head.join.leave(&head.header.state, cx.waker()) } {
                task.hasten(cx.waker());
                return Poll::Pending;
            }
        }
        let mut outcome = MaybeUninit::<Outcome<T, E>>::uninit();
        // SAFETY: the task completed with HANDLE set, so the outcome is ours, and it
        // is taken once, as `taken` says from here on; its types are those given to `new`.
        unsafe {
            (task.head().header.vtable.take)(task.as_raw(), outcome.as_mut_ptr().cast());
            *taken = true;
            Poll::Ready(outcome.assume_init())
        }
    }
}

impl<T, E> Drop for TaskHandle<T, E> {
    fn drop(&mut self) {
        if let Inner::Task { task, taken } = &mut self.inner {
            // SAFETY: nobody looks at it after this.
            let task = unsafe { ManuallyDrop::take(task) };
            if *taken {
                drop(task);
            } else {
                release_handle(task);
            }
        }
    }
}

impl<T, E> Unpin for TaskHandle<T, E> {}

impl<T, E> fmt::Debug for TaskHandle<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.inner {
            Inner::Task { task, .. } => {
                let task: &TaskRef = task;
                f.debug_tuple("TaskHandle").field(task).finish()
            }
            Inner::Refused(e) => f.debug_tuple("TaskHandle").field(e).finish(),
        }
    }
}
