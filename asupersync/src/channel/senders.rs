//! How many senders a channel has: outside of its lock, so that a clone takes none.

use std::ops::Deref;
use std::sync::Arc;
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
    fn join(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Another sender, unless the last one has gone.
    fn revive(&self) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                (n > 0).then(|| n + 1)
            })
            .is_ok()
    }

    /// A sender goes; `true` when it was the last one: the channel is abandoned.
    #[must_use = "the last sender ends the channel"]
    fn leave(&self) -> bool {
        let last = self.0.fetch_sub(1, Ordering::Release) == 1;
        if last {
            // What the other senders did happened before the channel counts as abandoned.
            fence(Ordering::Acquire);
        }
        last
    }
}

/// A channel that counts its senders.
pub(super) trait Sent {
    fn senders(&self) -> &Senders;

    /// The last sender has gone.
    fn abandon(&self);
}

/// What a sender holds of its channel: it counts, and the last one abandons the channel.
pub(super) struct Share<S: Sent>(Arc<S>);

impl<S: Sent> Share<S> {
    /// For the sender with which the channel was made.
    pub(super) fn first(channel: Arc<S>) -> Self {
        Share(channel)
    }

    /// For a further sender, unless the last one has gone.
    pub(super) fn revive(channel: &Arc<S>) -> Option<Self> {
        channel.senders().revive().then(|| Share(channel.clone()))
    }

    /// The channel, without a share in it.
    pub(super) fn channel(&self) -> &Arc<S> {
        &self.0
    }
}

impl<S: Sent> Clone for Share<S> {
    fn clone(&self) -> Self {
        self.0.senders().join();
        Share(self.0.clone())
    }
}

impl<S: Sent> Drop for Share<S> {
    fn drop(&mut self) {
        if self.0.senders().leave() {
            self.0.abandon();
        }
    }
}

impl<S: Sent> Deref for Share<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0
    }
}
