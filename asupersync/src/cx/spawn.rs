//! Starting tasks. Every task belongs to a region from birth to death: there is no detach.

use super::Cx;
use crate::exec::cell::Settle;
use crate::exec::handle::{SpawnError, TaskHandle};
use crate::exec::probe::{CancelProbe, Plain, Probed, Tried, TriedWith};
use crate::exec::spawn::{Admission, admit};
use crate::exec::task::TaskRef;
use crate::types::budget::Budget;
use crate::types::cancel::Cancelled;
use crate::types::caps::{CapSet, Capability};
use crate::types::outcome::{Outcome, PanicPayload};
use crate::types::policy::Name;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

impl Cx {
    /// Starts a task in the region that owns the calling task, or, on a scope, in the scope's region.
    ///
    /// The task ends `Ok` with whatever the body returns. If the region is past
    /// admitting, or has as many tasks as its limits allow, the body is dropped
    /// unrun and the handle is `Cancelled` already; [`TaskHandle::refused`] tells why.
    ///
    /// *Cancellation.* A task that is asked to cancel before its first poll ends
    /// without running.
    pub fn spawn<T, F, Fut>(&self, body: F) -> TaskHandle<T>
    where
        F: FnOnce(Cx) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        self.task().spawn(body)
    }

    /// As [`Cx::spawn`], for a body that can fail: its `Err` ends the task `Err`
    /// and feeds the region's policy. If the task was asked to cancel and the
    /// error is or wraps [`Cancelled`], it ends `Cancelled` instead.
    pub fn try_spawn<T, E, M, F, Fut>(&self, body: F) -> TaskHandle<T, E>
    where
        F: FnOnce(Cx) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: CancelProbe<M> + Send,
        M: 'static,
    {
        self.task().try_spawn(body)
    }

    /// As [`Cx::try_spawn`], for an error type that cannot be looked into: the
    /// second function tells which cancellation an error is or wraps, if any.
    ///
    /// ```
    /// use asupersync::{Cancelled, Cx, TaskHandle};
    ///
    /// enum Failure {
    ///     Stopped(Cancelled),
    ///     Empty,
    /// }
    ///
    /// impl Failure {
    ///     fn as_cancelled(&self) -> Option<&Cancelled> {
    ///         match self {
    ///             Failure::Stopped(c) => Some(c),
    ///             Failure::Empty => None,
    ///         }
    ///     }
    /// }
    ///
    /// fn start(cx: &Cx) -> TaskHandle<(), Failure> {
    ///     let body = async |cx: Cx| cx.checkpoint().map_err(Failure::Stopped);
    ///     cx.try_spawn_with(body, Failure::as_cancelled)
    /// }
    /// ```
    pub fn try_spawn_with<T, E, F, Fut, P>(&self, body: F, probe: P) -> TaskHandle<T, E>
    where
        F: FnOnce(Cx) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
        P: FnOnce(&E) -> Option<&Cancelled> + Send + 'static,
    {
        self.task().try_spawn_with(body, probe)
    }

    /// As [`Cx::spawn`], for a task that does not keep its region open: it is
    /// asked to end when the last other child has.
    pub fn spawn_daemon<T, F, Fut>(&self, body: F) -> TaskHandle<T>
    where
        F: FnOnce(Cx) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        self.task().daemon().spawn(body)
    }

    /// Runs `f` where blocking is allowed, as a task of the region. It may wait for
    /// other tasks, too: see [`Cx::block_on`].
    ///
    /// *Cancellation.* The closure cannot be interrupted; it may look at
    /// `cx.is_cancel_requested()`. The region waits for it. A task that is asked
    /// before it is first polled ends without having started its closure.
    pub fn spawn_blocking<T, F>(&self, f: F) -> TaskHandle<T>
    where
        F: FnOnce(&Cx) -> T + Send + 'static,
        T: Send + 'static,
    {
        self.task().spawn_blocking(f)
    }

    /// Starts to describe a task.
    pub fn task(&self) -> TaskBuilder<'_> {
        TaskBuilder {
            cx: self,
            admission: Admission::default(),
            caps: self.caps(),
        }
    }
}

impl<T, E> TaskHandle<T, E> {
    /// Waits for the outcome.
    ///
    /// *Cancellation.* Lossy: a checkpoint, which ends early when the waiter is
    /// asked to cancel. The awaited task is not affected; its outcome is not told
    /// any more. Await `&mut handle` where it may be needed later.
    ///
    /// A task is joined once: its outcome is not copied.
    ///
    /// ```compile_fail,E0382
    /// # use asupersync::{Cx, TaskHandle};
    /// async fn twice(cx: &Cx, handle: TaskHandle<u32>) {
    ///     let _ = handle.join(cx).await;
    ///     let _ = handle.join(cx).await; // moved by the first join
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Cancelled`] when the waiter was asked to cancel.
    pub async fn join(self, cx: &Cx) -> Result<Outcome<T, E>, Cancelled> {
        cx.cancellable(self).await
    }
}

/// Describes a task before it is started.
#[must_use = "a builder starts nothing until `spawn`"]
pub struct TaskBuilder<'a> {
    cx: &'a Cx,
    admission: Admission,
    caps: CapSet,
}

impl TaskBuilder<'_> {
    /// Named in reports.
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.admission.name = name.into();
        self
    }

    /// Not keeping its region open.
    pub fn daemon(mut self) -> Self {
        self.admission.daemon = true;
        self
    }

    /// Limited by `budget`, met with the region's.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.admission.budget = budget;
        self
    }

    /// Able to perform the effects in `caps` at most, and none that this context may not.
    pub fn caps(mut self, caps: CapSet) -> Self {
        self.caps = self.caps & caps;
        self
    }

    /// Starts it; see [`Cx::spawn`].
    pub fn spawn<T, F, Fut>(self, body: F) -> TaskHandle<T>
    where
        F: FnOnce(Cx) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        self.spawn_checked(body).unwrap_or_else(TaskHandle::refuse)
    }

    /// Starts it, or says why not.
    ///
    /// # Errors
    /// [`SpawnError`] when the region is past admitting, or full, or this context may start no tasks.
    pub fn spawn_checked<T, F, Fut>(self, body: F) -> Result<TaskHandle<T>, SpawnError>
    where
        F: FnOnce(Cx) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        self.start::<Plain, _, _>(body).map(TaskHandle::new)
    }

    /// Starts it; see [`Cx::try_spawn`].
    pub fn try_spawn<T, E, M, F, Fut>(self, body: F) -> TaskHandle<T, E>
    where
        F: FnOnce(Cx) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: CancelProbe<M> + Send,
        M: 'static,
    {
        match self.start::<Tried<M>, _, _>(body) {
            Ok(task) => TaskHandle::new(task),
            Err(refused) => TaskHandle::refuse(refused),
        }
    }

    /// Starts it; see [`Cx::try_spawn_with`].
    pub fn try_spawn_with<T, E, F, Fut, P>(self, body: F, probe: P) -> TaskHandle<T, E>
    where
        F: FnOnce(Cx) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
        P: FnOnce(&E) -> Option<&Cancelled> + Send + 'static,
    {
        let probed = move |cx| {
            let running = body(cx);
            async move {
                running.await.map_err(|error| Probed {
                    is_cancel: probe(&error).is_some(),
                    error,
                })
            }
        };
        match self.start::<TriedWith, _, _>(probed) {
            Ok(task) => TaskHandle::new(task),
            Err(refused) => TaskHandle::refuse(refused),
        }
    }

    pub(super) fn world(&self) -> &Arc<dyn crate::world::World> {
        self.cx.world()
    }

    /// Has the task polled there only.
    pub(super) fn stay_at(&mut self, home: crate::world::Home) {
        self.admission.home = home;
    }

    /// Admits a task whose output `C` settles.
    pub(super) fn start<C, F, Fut>(self, body: F) -> Result<TaskRef, SpawnError>
    where
        C: Settle<Fut::Output>,
        F: FnOnce(Cx) -> Fut + Send + 'static,
        Fut: Future + Send + 'static,
    {
        self.cx.require(Capability::Spawn)?;
        let (cx, caps) = (self.cx, self.caps);
        let region = cx.region_cell();
        let body = move |task| body(Cx::of_task(task, caps));
        let task = admit::<_, _, C>(region, body, self.admission)
            .map_err(|refused| SpawnError::of(region.id, refused))?;
        cx.hand_over(caps, task.id());
        Ok(task)
    }

    /// Starts it; see [`Cx::spawn_blocking`].
    pub fn spawn_blocking<T, F>(mut self, f: F) -> TaskHandle<T>
    where
        F: FnOnce(&Cx) -> T + Send + 'static,
        T: Send + 'static,
    {
        self.admission.pinned = true;
        self.spawn(move |cx| Blocking {
            start: Some((f, cx)),
            done: Arc::default(),
        })
    }
}

impl std::fmt::Debug for TaskBuilder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskBuilder")
            .field("cx", self.cx)
            .finish_non_exhaustive()
    }
}

/// Waits for a closure on the blocking pool. The task is pinned, so escalation
/// does not drop this future while the closure runs.
struct Blocking<F, T> {
    start: Option<(F, Cx)>,
    done: Arc<Mutex<Done<T>>>,
}

struct Done<T> {
    result: Option<Result<T, PanicPayload>>,
    waker: Option<Waker>,
}

impl<T> Default for Done<T> {
    fn default() -> Self {
        Done {
            result: None,
            waker: None,
        }
    }
}

impl<F, T> Unpin for Blocking<F, T> {}

impl<F, T> Future for Blocking<F, T>
where
    F: FnOnce(&Cx) -> T + Send + 'static,
    T: Send + 'static,
{
    type Output = T;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<T> {
        let this = self.get_mut();
        let waker = task.waker().clone();
        let old = {
            let mut done = crate::exec::lock(&this.done);
            match done.result.take() {
                Some(Ok(value)) => return Poll::Ready(value),
                Some(Err(panic)) => {
                    drop(done);
                    crate::exec::panics::resume(&panic);
                }
                None => done.waker.replace(waker),
            }
        };
        drop(old);
        if let Some((f, cx)) = this.start.take() {
            let done = this.done.clone();
            let world = cx.world().clone();
            world.offload(Box::new(move || {
                let result = crate::exec::contain(|| f(&cx));
                drop(cx);
                let waker = {
                    let mut done = crate::exec::lock(&done);
                    done.result = Some(result);
                    done.waker.take()
                };
                if let Some(waker) = waker {
                    waker.wake();
                }
            }));
        }
        Poll::Pending
    }
}
