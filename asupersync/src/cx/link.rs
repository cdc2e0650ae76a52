//! Linking tasks that are not to outlive each other's failure.

use super::Cx;
use super::interrupt::{DropSafe, Interrupt};
use crate::exec::cancel;
use crate::exec::handle::TaskHandle;
use crate::exec::link;
use crate::exec::task::TaskRef;
use crate::types::cancel::{CancelKind, CancelReason, Cancelled};
use crate::types::outcome::Severity;
use crate::types::policy::Name;
use crate::types::slots::Key;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

pub use crate::exec::link::{Exit, OnExit};

impl Cx {
    /// Links this task and `handle`'s, which may live in different regions: when
    /// one of them fails, panics or is cancelled, the other is asked to cancel
    /// with `LinkBroken`; [`Cx::link_with`] knows other ways. An end by value, or because its region was ended on
    /// purpose, breaks nothing.
    ///
    /// A link to a task that has ended badly acts at once. It stands until one of
    /// the two ends, or [`Link::unlink`]; dropping the [`Link`] changes nothing.
    ///
    /// ```
    /// use asupersync::{CancelKind, Cx, LabConfig, LabRuntime, Policy, RegionOptions};
    ///
    /// let lab = LabRuntime::new(LabConfig::default());
    /// let ended = lab.run(async |cx| {
    ///     let options = RegionOptions { policy: Policy::Collect, ..RegionOptions::named("pair") };
    ///     let pair = cx.region_report(options, async |scope| {
    ///         let source = scope.try_spawn(async |_cx| Err::<(), _>("the line is dead"));
    ///         let sink = scope.spawn(async move |cx: Cx| {
    ///             cx.link(&source);
    ///             cx.cancelled().await.reason().kind
    ///         });
    ///         sink.await.into_result().unwrap()
    ///     });
    ///     pair.await.unwrap().value
    /// });
    /// assert_eq!(ended, Some(CancelKind::LinkBroken));
    /// ```
    pub fn link<T, E>(&self, handle: &TaskHandle<T, E>) -> Link {
        self.link_with(handle, OnExit::Follow, OnExit::Follow)
    }

    /// As [`Cx::link`], with what each side does when the other ends badly.
    pub fn link_with<T, E>(&self, handle: &TaskHandle<T, E>, here: OnExit, there: OnExit) -> Link {
        let task = self.task_ref();
        let at = match handle.task() {
            Some(peer) => Some(link::link(task, peer, here, there)),
            None => {
                let reason = CancelReason::new(CancelKind::LinkBroken)
                    .with_message("the linked task was refused");
                match here {
                    OnExit::Follow => cancel::cancel_task(task, reason),
                    OnExit::Notify => {
                        let exit = Exit {
                            task: None,
                            name: Name::NONE,
                            severity: Severity::Cancelled,
                            reason: Some(reason),
                            at: self.now(),
                        };
                        link::tell(task, exit);
                    }
                    OnExit::Ignore => {}
                }
                None
            }
        };
        Link {
            task: task.clone(),
            at,
        }
    }

    /// Waits for the bad end of a task that this one is linked to with
    /// [`OnExit::Notify`]; of several that are there already, the earliest.
    ///
    /// An end that breaks no link is not told, so it may wait for ever: `select!`
    /// it with what else this task waits for.
    ///
    /// # Cancellation
    /// Safe: an end that was not taken is there for the next call.
    ///
    /// # Errors
    /// [`Cancelled`]: this is a checkpoint.
    ///
    /// ```
    /// use asupersync::cx::OnExit;
    /// use asupersync::{LabConfig, LabRuntime, Policy, RegionOptions, Severity};
    ///
    /// let lab = LabRuntime::new(LabConfig::default());
    /// lab.run(async |cx| {
    ///     let options = RegionOptions { policy: Policy::Collect, ..RegionOptions::named("watch") };
    ///     let watch = cx.region_report(options, async |scope| {
    ///         let worker = scope.try_spawn(async |_cx| Err::<(), _>("the disk is full"));
    ///         scope.link_with(&worker, OnExit::Notify, OnExit::Ignore);
    ///         let exit = scope.linked_exit().await.unwrap();
    ///         assert_eq!((exit.task, exit.severity), (worker.id(), Severity::Err));
    ///     });
    ///     watch.await.unwrap();
    /// });
    /// ```
    pub fn linked_exit(&self) -> LinkedExit<'_> {
        LinkedExit {
            cx: self,
            interrupt: Interrupt::default(),
        }
    }
}

/// Future of [`Cx::linked_exit`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct LinkedExit<'a> {
    cx: &'a Cx,
    interrupt: Interrupt,
}

impl Future for LinkedExit<'_> {
    type Output = Result<Exit, Cancelled>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        std::task::ready!(this.interrupt.poll(this.cx, task))?;
        match link::take_exit(this.cx.task_ref()) {
            Some(exit) => Poll::Ready(Ok(exit)),
            None => Poll::Pending,
        }
    }
}

impl DropSafe for LinkedExit<'_> {}

/// A link between two tasks; see [`Cx::link`].
#[derive(Debug)]
pub struct Link {
    task: TaskRef,
    at: Option<Key>,
}

impl Link {
    /// Ends the link: what becomes of one task is no concern of the other any more.
    pub fn unlink(self) {
        if let Some(at) = self.at {
            link::unlink(&self.task, at);
        }
    }
}
