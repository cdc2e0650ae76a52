//! Cancellation carried between the two worlds.
//!
//! tokio's world passes `CancellationToken`s around; this runtime asks regions and tasks. Both
//! directions are a daemon, which ends with its region, so a bridge outlives neither side.

use crate::asked::asked;
use asupersync::{Cx, Scope};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use tokio_util::sync::CancellationToken;

/// A token that is cancelled when the region of `cx` ends or `cx` is asked to cancel.
///
/// Cancelling the token itself only ends the bridge.
pub fn token_from(cx: &Cx) -> CancellationToken {
    let token = CancellationToken::new();
    let (fired, watched, opener) = (token.clone(), token.clone(), cx.clone());
    // Fires also if the bridge is refused, or cancelled before its first poll: either way the region is ending.
    let fired = fired.drop_guard();
    let bridge = async move |cx: Cx| {
        let mut region = pin!(asked(&cx));
        let mut task = pin!(asked(&opener));
        let mut ended = pin!(watched.cancelled());
        poll_fn(|task_cx| {
            let over = region.as_mut().poll(task_cx).is_ready()
                || task.as_mut().poll(task_cx).is_ready()
                || ended.as_mut().poll(task_cx).is_ready();
            if over { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        drop(fired);
    };
    cx.task().name("cancellation bridge").daemon().spawn(bridge);
    token
}

/// Cancels the region of `scope` when `token` is cancelled.
pub fn cancel_with(scope: &Scope, token: CancellationToken) {
    let region = scope.clone();
    scope
        .task()
        .name("cancellation bridge")
        .daemon()
        .spawn(async move |cx: Cx| {
            // The region's end comes first when both are ready: nothing is left to cancel then.
            if cx.cancellable(token.cancelled()).await.is_ok() {
                region.cancel("the cancellation token of foreign code was cancelled");
            }
        });
}
