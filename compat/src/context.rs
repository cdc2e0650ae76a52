//! The one ambient [`Cx`] of this library: for code whose signature cannot carry one.
//!
//! Trait methods of foreign traits and callbacks handed to foreign code have no place for a
//! `&Cx`. Inside an adopted or delegated future, inside the body of [`crate::run`] and inside
//! [`with_cx`], [`current_cx`] finds it. It is set for the length of one poll and on
//! this thread only, so a thread never sees the context of a task that it is not running.

use asupersync::Cx;
use pin_project::pin_project;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

thread_local! {
    static CURRENT: RefCell<Option<Cx>> = const { RefCell::new(None) };
}

/// The context of the task this thread is polling, if the code runs under a wrapper of this crate.
///
/// Code that has a `&Cx` passes it on; this is for callbacks that cannot be given one.
pub fn current_cx() -> Option<Cx> {
    CURRENT.with_borrow(Clone::clone)
}

/// Polls `future` with `cx` as [`current_cx`].
///
/// It adds nothing else: no task, no region, no cancellation.
pub fn with_cx<F: Future>(cx: &Cx, future: F) -> WithCx<F> {
    WithCx {
        cx: cx.clone(),
        future,
    }
}

/// The future of [`with_cx`].
#[pin_project]
#[must_use = "futures do nothing unless polled"]
pub struct WithCx<F> {
    cx: Cx,
    #[pin]
    future: F,
}

impl<F: Future> Future for WithCx<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _current = set_current(this.cx.clone());
        this.future.poll(task)
    }
}

/// Whether [`current_cx`] would find one.
pub(crate) fn has_current() -> bool {
    CURRENT.with_borrow(Option::is_some)
}

/// Makes `cx` the current one until the guard is dropped.
pub(crate) fn set_current(cx: Cx) -> Current {
    Current {
        previous: CURRENT.replace(Some(cx)),
    }
}

/// Puts the previous context back.
pub(crate) struct Current {
    previous: Option<Cx>,
}

impl Drop for Current {
    fn drop(&mut self) {
        let ended = CURRENT.replace(self.previous.take());
        drop(ended);
    }
}
