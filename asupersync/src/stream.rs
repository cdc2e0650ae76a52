//! Values that come one after the other: `futures_core::Stream` with a [`Cx`].
//!
//! The trait is the ecosystem's, so streams of any library work here and the
//! other way round. What is added are waits that a request ends, and concurrency
//! that a region owns. Adapters that need neither are those of `futures-util`.

use crate::cx::{Cx, DropSafe, Interrupt, Scope};
use crate::exec::handle::TaskHandle;
use crate::types::cancel::{CancelKind, Cancelled};
use crate::types::cancel_class::CancelClass;
use crate::types::outcome::Outcome;
pub use futures_core::Stream;
use futures_util::stream::{self, StreamExt as _};
use pin_project::{pin_project, pinned_drop};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The cancel class of every operation of this module.
pub const CANCEL_CLASS: &[(&str, CancelClass)] = &[("next", CancelClass::Safe)];

/// What every stream can do.
pub trait StreamExt: Stream {
    /// The next value; `None` after the last.
    ///
    /// *Cancellation.* Safe: a value that is not returned stays in the stream.
    ///
    /// # Errors
    /// [`Cancelled`].
    fn next<'a>(&'a mut self, cx: &'a Cx) -> Next<'a, Self>
    where
        Self: Unpin,
    {
        Next {
            stream: self,
            cx,
            interrupt: Interrupt::default(),
        }
    }

    /// The same stream, which ends when the context is asked to cancel.
    fn take_until_cancelled(self, cx: &Cx) -> TakeUntilCancelled<'_, Self>
    where
        Self: Sized,
    {
        TakeUntilCancelled {
            stream: self,
            cx,
            interrupt: Interrupt::default(),
        }
    }

    /// Runs the bodies that the stream gives as tasks of `scope`'s region, at
    /// most `n` at a time, and gives their outcomes in the order of the bodies.
    ///
    /// Dropped, it asks what is left to stop; the region awaits it.
    fn buffered<F, Fut>(self, scope: &Scope, n: NonZeroUsize) -> Buffered<Self, Fut::Output>
    where
        Self: Stream<Item = F> + Sized,
        F: FnOnce(Cx) -> Fut + Send + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: Send + 'static,
    {
        Buffered {
            stream: Some(self),
            scope: scope.clone(),
            most: n.get(),
            running: VecDeque::new(),
        }
    }

    /// Each value through `f`.
    fn map<T, F>(self, f: F) -> stream::Map<Self, F>
    where
        F: FnMut(Self::Item) -> T,
        Self: Sized,
    {
        stream::StreamExt::map(self, f)
    }

    /// The values that `f` accepts.
    fn filter<F>(self, mut f: F) -> impl Stream<Item = Self::Item>
    where
        F: FnMut(&Self::Item) -> bool,
        Self: Sized,
    {
        self.filter_map(move |value| std::future::ready(f(&value).then_some(value)))
    }

    /// The values in groups of `n`; the last may be smaller.
    fn chunks(self, n: NonZeroUsize) -> stream::Chunks<Self>
    where
        Self: Sized,
    {
        stream::StreamExt::chunks(self, n.get())
    }

    /// The values of both, as they come; neither can starve the other.
    fn merge<S>(self, other: S) -> stream::Select<Self, S>
    where
        S: Stream<Item = Self::Item>,
        Self: Sized,
    {
        stream::select(self, other)
    }
}

impl<S: Stream + ?Sized> StreamExt for S {}

/// Future of [`StreamExt::next`].
#[must_use = "futures do nothing unless polled"]
pub struct Next<'a, S: ?Sized> {
    stream: &'a mut S,
    cx: &'a Cx,
    interrupt: Interrupt,
}

impl<S: Stream + Unpin + ?Sized> Future for Next<'_, S> {
    type Output = Result<Option<S::Item>, Cancelled>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Next {
            stream,
            cx,
            interrupt,
        } = self.get_mut();
        ready!(interrupt.poll(cx, task))?;
        Pin::new(&mut **stream).poll_next(task).map(Ok)
    }
}

impl<S: ?Sized> DropSafe for Next<'_, S> {}

impl<S: ?Sized> fmt::Debug for Next<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").finish_non_exhaustive()
    }
}

/// Stream of [`StreamExt::take_until_cancelled`].
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
#[pin_project]
pub struct TakeUntilCancelled<'a, S> {
    #[pin]
    stream: S,
    cx: &'a Cx,
    interrupt: Interrupt,
}

impl<S: Stream> Stream for TakeUntilCancelled<'_, S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        match ready!(this.interrupt.poll(this.cx, task)) {
            Ok(()) => {}
            Err(_) => return Poll::Ready(None),
        }
        let polled = this.stream.poll_next(task);
        if polled.is_ready() {
            // The next value is an operation of its own, with its own share of the turn.
            *this.interrupt = Interrupt::default();
        }
        polled
    }
}

/// Stream of [`StreamExt::buffered`].
#[must_use = "streams do nothing unless polled"]
#[pin_project(PinnedDrop)]
pub struct Buffered<S, T> {
    /// Gone once it has ended.
    #[pin]
    stream: Option<S>,
    scope: Scope,
    most: usize,
    running: VecDeque<TaskHandle<T>>,
}

impl<S, F, Fut> Stream for Buffered<S, Fut::Output>
where
    S: Stream<Item = F>,
    F: FnOnce(Cx) -> Fut + Send + 'static,
    Fut: Future + Send + 'static,
    Fut::Output: Send + 'static,
{
    type Item = Outcome<Fut::Output>;

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        while this.running.len() < *this.most
            && let Some(stream) = this.stream.as_mut().as_pin_mut()
        {
            match stream.poll_next(task) {
                Poll::Ready(Some(body)) => this.running.push_back(this.scope.spawn(body)),
                Poll::Ready(None) => this.stream.set(None),
                Poll::Pending => break,
            }
        }
        match this.running.front_mut() {
            Some(first) => {
                let outcome = ready!(Pin::new(first).poll(task));
                this.running.pop_front();
                Poll::Ready(Some(outcome))
            }
            None if this.stream.is_some() => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}

#[pinned_drop]
impl<S, T> PinnedDrop for Buffered<S, T> {
    fn drop(self: Pin<&mut Self>) {
        for task in self.project().running.iter() {
            task.cancel(CancelKind::RegionEnd);
        }
    }
}

impl<S, T> fmt::Debug for Buffered<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffered")
            .field("running", &self.running.len())
            .finish_non_exhaustive()
    }
}
