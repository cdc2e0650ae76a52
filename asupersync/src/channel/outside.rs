//! Channels as seen from a thread that runs no task: it blocks where a task would wait.

use crate::exec::poll::in_turn;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Wakes a blocked thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls until there is an answer; the thread sleeps in between.
///
/// # Panics
/// Inside of a task: it would keep its worker from running the task it waits for.
#[track_caller]
pub(super) fn block<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    assert!(
        !in_turn(),
        "a task must not block its worker: await the operation, or move it to `spawn_blocking`"
    );
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut task = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = poll(&mut task) {
            return value;
        }
        // Returns at once if the wake came in between; a stray one costs one poll.
        thread::park();
    }
}
