//! Looking after workers that a task keeps from returning.
//!
//! A task that computes for long, or blocks its thread against all advice,
//! holds its worker up, but must hold nothing else up. What only that worker
//! would have done is done by another one, at the latest a [`PERIOD`] later:
//!
//! - its timers are fired;
//! - the task in its LIFO slot, which nobody steals otherwise, is taken;
//! - the reactor that it left in order to run the task is driven.
//!
//! Who does that, and why it costs an idle runtime nothing, see [`super::idle`].
//! Of the tasks in its ring and its urgent lanes, any worker that looks for
//! work takes its share anyway.

use super::worker::Worker;
use crate::types::time::Time;
use crate::world::World;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long what a worker would do may be left undone while it is held up.
///
/// Long against a wake-up, which costs some microseconds, and short against
/// what people notice.
pub(super) const PERIOD: Duration = Duration::from_millis(10);

impl Worker<'_> {
    /// The other workers that do not sleep.
    pub(super) fn peers_awake(&self) -> impl Iterator<Item = usize> + '_ {
        let workers = self.shared.workers.iter().enumerate();
        workers
            .filter(|(peer, remote)| *peer != self.index && !remote.asleep.load(Ordering::Relaxed))
            .map(|(peer, _)| peer)
    }

    /// As [`Worker::watch`], if a period has passed since somebody did: when
    /// all workers have tasks to run, nobody gets up in order to watch.
    pub(super) fn watch_if_due(&mut self) {
        let last = self.shared.last_watch.load(Ordering::Relaxed);
        if self.shared.now() >= Time::from_nanos(last) + PERIOD {
            self.watch();
        }
    }

    /// Does what the workers that are awake should have done by now.
    ///
    /// The reactor needs nothing here: whoever goes to sleep and finds it
    /// undriven drives it.
    pub(super) fn watch(&mut self) {
        let now = self.shared.now();
        self.shared
            .last_watch
            .store(now.as_nanos(), Ordering::Relaxed);
        for peer in 0..self.shared.workers.len() {
            let remote = &self.shared.workers[peer];
            if peer == self.index || remote.asleep.load(Ordering::Relaxed) {
                continue;
            }
            self.fire_shard(peer, now);
            // Of a worker that is not held up this takes a task that it would
            // have run in a moment: a cache miss per period.
            if let Some(task) = remote.lifo.take() {
                self.keep(task);
            }
        }
    }
}
