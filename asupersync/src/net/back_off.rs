//! Pauses before an attempt is made again that failed for want of room.

use crate::cx::Cx;
use crate::time::Sleep;
use std::future::Future;
use std::io;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// The first and the longest pause of who waits for room at a socket of this
/// host: the system does not tell when there is some.
pub(super) const ROOM: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_millis(100);

/// Each pause is twice as long as the one before, up to the longest.
#[derive(Debug)]
pub(super) struct BackOff<'a> {
    pause: Option<Sleep<'a>>,
    next: Duration,
    longest: Duration,
}

impl<'a> BackOff<'a> {
    pub(super) fn new(pauses: RangeInclusive<Duration>) -> Self {
        let (next, longest) = pauses.into_inner();
        BackOff {
            pause: None,
            next,
            longest,
        }
    }

    pub(super) fn begin(&mut self, cx: &'a Cx) {
        self.pause = Some(cx.pause(self.next));
        self.next = (self.next * 2).min(self.longest);
    }

    /// Ready when no pause is running.
    pub(super) fn poll(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(sleep) = &mut self.pause {
            ready!(Pin::new(sleep).poll(task))?;
            self.pause = None;
        }
        Poll::Ready(Ok(()))
    }
}
