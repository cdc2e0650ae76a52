//! How a wait notices that its task was asked to cancel.
//!
//! A request wakes the task, whose future is polled from the top, so a wait
//! that is polled with the task's own waker only has to look. A wait inside a
//! combinator that hands out wakers of its own would not be polled again; it
//! leaves its waker with the task, and the request wakes it too.

use super::Cx;
use crate::exec::poll::charge_turn;
use crate::exec::task::TaskRef;
use crate::types::cancel::Cancelled;
use crate::types::slots::Key;
use pin_project::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future that may be dropped at any time without losing anything: dropping
/// it has no effect, or its whole effect was delivered.
///
/// `select!` drops the arms that did not win, so its arms must be `DropSafe`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` may lose something when it is dropped half-way",
    label = "not safe to drop at an arbitrary point",
    note = "`select!` drops the arms that lose; use `race!`, which drains them",
    note = "or move the operation into the handler, or poll it by `&mut`",
    note = "or say that losing it is fine with `asupersync::combine::drop_ok(future)`"
)]
pub trait DropSafe {}

impl<F: ?Sized> DropSafe for &mut F {}
impl<P> DropSafe for Pin<&mut P> {}
// Not of every `Ready<T>`: the value in it would be lost.
impl DropSafe for std::future::Ready<()> {}
impl<T> DropSafe for std::future::Pending<T> {}

/// The part of a waiting future that listens for cancellation.
///
/// Embedded in every future of this library that takes a `Cx`; public so that
/// others can write such futures too.
///
/// ```
/// use asupersync::{Cancelled, Cx, cx::Interrupt};
/// use std::{future::Future, pin::Pin, task::{Context, Poll}};
///
/// struct Never<'a> { cx: &'a Cx, interrupt: Interrupt }
/// impl Future for Never<'_> {
///     type Output = Cancelled;
///     fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Cancelled> {
///         let this = self.get_mut();
///         match std::task::ready!(this.interrupt.poll(this.cx, task)) {
///             Err(cancelled) => Poll::Ready(cancelled),
///             Ok(()) => Poll::Pending,
///         }
///     }
/// }
/// ```
#[derive(Debug, Default)]
pub struct Interrupt {
    charged: bool,
    listening: Option<(TaskRef, Key)>,
}

impl Interrupt {
    /// Looks whether the wait has to end.
    ///
    /// `Ready(Err)`: the task was asked to cancel. `Ready(Ok)`: go on; a request
    /// will wake `task`'s waker. `Pending`: the task has done its share of this
    /// turn and was woken already; return `Pending`.
    #[inline]
    pub fn poll(&mut self, cx: &Cx, task: &mut Context<'_>) -> Poll<Result<(), Cancelled>> {
        if self.lets_pass(cx, task) {
            return Poll::Ready(Ok(()));
        }
        if !self.charged {
            task.waker().wake_by_ref();
            return Poll::Pending;
        }
        if !cx.task.is_own_waker(task.waker()) {
            // Before looking: a request in between finds the waker.
            self.listen(cx, task);
        }
        Poll::Ready(cx.observe())
    }

    /// Whether [`Interrupt::poll`] would say `Ready(Ok)` and leave no waker
    /// anywhere. `false` says nothing: ask it.
    #[inline(always)]
    pub(crate) fn lets_pass(&mut self, cx: &Cx, task: &Context<'_>) -> bool {
        if !self.charged {
            self.charged = charge_turn();
        }
        self.charged && cx.task.is_own_waker(task.waker()) && !cx.is_stopped()
    }

    #[cold]
    fn listen(&mut self, cx: &Cx, task: &mut Context<'_>) {
        cx.task.report_foreign_use(task.waker());
        let mut waker = task.waker().clone();
        if let Some((holder, key)) = &self.listening {
            // Cloned and dropped outside of the lock: both are the waker's code.
            let kept = holder.peek_control(|c| {
                let kept = c.cancel_wakers.get_mut(*key);
                kept.map(|kept| std::mem::swap(kept, &mut waker)).is_some()
            });
            if kept == Some(true) {
                return;
            }
        }
        let key = cx.task.with_control(|c| c.cancel_wakers.insert(waker));
        self.listening = Some((cx.task.clone(), key));
    }
}

impl Interrupt {
    /// Whether its waker is left with the task.
    #[inline(always)]
    pub(crate) fn is_listening(&self) -> bool {
        self.listening.is_some()
    }

    /// Takes it back from there.
    #[cold]
    pub(crate) fn forget(&mut self) {
        if let Some((holder, key)) = self.listening.take() {
            let waker = holder.peek_control(|c| c.cancel_wakers.remove(key));
            drop(waker);
        }
    }
}

impl Drop for Interrupt {
    #[inline]
    fn drop(&mut self) {
        if self.is_listening() {
            self.forget();
        }
    }
}

impl Cx {
    /// Waits until this task, or the region this context is the body of, is asked to cancel.
    ///
    /// *Cancellation.* Safe: it only looks.
    pub fn cancelled(&self) -> WaitCancelled<'_> {
        WaitCancelled {
            cx: self,
            interrupt: Interrupt::default(),
        }
    }

    /// Makes any future a wait that ends when the task is asked to cancel.
    ///
    /// *Cancellation.* Lossy: `fut` is dropped then, with whatever that loses.
    pub fn cancellable<F: Future>(&self, fut: F) -> Cancellable<'_, F> {
        Cancellable {
            fut,
            cx: self,
            interrupt: Interrupt::default(),
        }
    }

    /// Lets other tasks run.
    ///
    /// *Cancellation.* Safe: there is nothing to lose.
    ///
    /// # Errors
    /// [`Cancelled`]: this is a checkpoint.
    pub fn yield_now(&self) -> YieldNow<'_> {
        YieldNow {
            cx: self,
            interrupt: Interrupt::default(),
            yielded: false,
        }
    }
}

/// Future of [`Cx::cancelled`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct WaitCancelled<'a> {
    cx: &'a Cx,
    interrupt: Interrupt,
}

impl Future for WaitCancelled<'_> {
    type Output = Cancelled;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Cancelled> {
        let this = self.get_mut();
        match std::task::ready!(this.interrupt.poll(this.cx, task)) {
            Err(cancelled) => Poll::Ready(cancelled),
            Ok(()) => Poll::Pending,
        }
    }
}

impl DropSafe for WaitCancelled<'_> {}

/// Future of [`Cx::cancellable`].
#[derive(Debug)]
#[pin_project]
#[must_use = "futures do nothing unless polled"]
pub struct Cancellable<'a, F> {
    #[pin]
    fut: F,
    cx: &'a Cx,
    interrupt: Interrupt,
}

impl<F: Future> Future for Cancellable<'_, F> {
    type Output = Result<F::Output, Cancelled>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        std::task::ready!(this.interrupt.poll(this.cx, task))?;
        this.fut.poll(task).map(Ok)
    }
}

impl<F: DropSafe> DropSafe for Cancellable<'_, F> {}

/// Future of [`Cx::yield_now`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct YieldNow<'a> {
    cx: &'a Cx,
    interrupt: Interrupt,
    yielded: bool,
}

impl Future for YieldNow<'_> {
    type Output = Result<(), Cancelled>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        std::task::ready!(this.interrupt.poll(this.cx, task))?;
        if std::mem::replace(&mut this.yielded, true) {
            return Poll::Ready(Ok(()));
        }
        task.waker().wake_by_ref();
        Poll::Pending
    }
}

impl DropSafe for YieldNow<'_> {}
