//! Threads that run no task: one blocks where a task would wait.

use super::poll::in_turn;
use std::cell::Cell;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

thread_local! {
    /// Whether everything there is runs on this thread.
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// While it is there, all tasks run on the calling thread alone: if that blocked,
/// nothing would happen any more.
pub(crate) struct Alone {
    before: bool,
}

impl Alone {
    pub(crate) fn enter() -> Self {
        let before = ALONE.replace(true);
        Alone { before }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        ALONE.set(self.before);
    }
}

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

/// Refuses to block a worker, whether there is anything to wait for or not.
///
/// # Panics
/// Inside of a task: it would keep its worker from running the task it waits for.
#[track_caller]
pub(crate) fn check() {
    assert!(
        !in_turn(),
        "a task must not block its worker: await the operation, or move it to `spawn_blocking`"
    );
}

/// Polls until there is an answer; the thread sleeps in between.
///
/// # Panics
/// As [`check`]; and on a thread that is [`Alone`], when there is no answer at once.
#[track_caller]
pub(crate) fn block<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    check();
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut task = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = poll(&mut task) {
            return value;
        }
        assert!(
            !ALONE.get(),
            "a closure is one step of the lab, where nothing happens while it blocks: \
             wait in a task, and give the closure what came of it"
        );
        // Returns at once if the wake came in between; a stray one costs one poll.
        thread::park();
    }
}
