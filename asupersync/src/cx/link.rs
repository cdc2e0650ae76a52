//! Linking tasks that are not to outlive each other's failure.

use super::Cx;
use crate::exec::cancel;
use crate::exec::handle::TaskHandle;
use crate::exec::link;
use crate::exec::task::TaskRef;
use crate::types::cancel::{CancelKind, CancelReason};
use crate::types::slots::Key;

pub use crate::exec::link::OnExit;

impl Cx {
    /// Links this task and `handle`'s, which may live in different regions: when
    /// one of them fails, panics or is cancelled, the other is asked to cancel
    /// with `LinkBroken`. An end by value, or because its region was ended on
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
                if here == OnExit::Follow {
                    let reason = CancelReason::new(CancelKind::LinkBroken);
                    cancel::cancel_task(task, reason.with_message("the linked task was refused"));
                }
                None
            }
        };
        Link {
            task: task.clone(),
            at,
        }
    }
}

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
