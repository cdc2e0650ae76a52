//! How many senders a channel has: outside of its lock, so that a clone takes none.

use std::sync::atomic::{AtomicUsize, Ordering, fence};

pub(super) struct Senders(AtomicUsize);

impl Senders {
    pub(super) const fn one() -> Self {
        Senders(AtomicUsize::new(1))
    }

    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Another sender, made from one that is alive.
    pub(super) fn join(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Another sender, unless the last one has gone.
    pub(super) fn revive(&self) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                (n > 0).then(|| n + 1)
            })
            .is_ok()
    }

    /// A sender goes; `true` when it was the last one: the channel is abandoned.
    #[must_use = "the last sender ends the channel"]
    pub(super) fn leave(&self) -> bool {
        let last = self.0.fetch_sub(1, Ordering::Release) == 1;
        if last {
            // What the other senders did happened before the channel counts as abandoned.
            fence(Ordering::Acquire);
        }
        last
    }
}
