//! Which workers sleep, how many search, whom to wake, and who keeps watch.
//!
//! A producer wakes a worker only if nobody searches: a searcher will find the
//! work, and when the last searcher finds some and sees more, it wakes the next.
//! At most half of the workers search, so a burst does not make all of them contend. No
//! wake-up is lost, because
//!
//! 1. producer: publish the work, then read the counts;
//! 2. worker: publish the counts (asleep, no longer searching), then look for
//!    work once more, then sleep, or run what it found;
//!
//! and a sequentially consistent fence stands between the two steps of each.
//!
//! **The watch.** A task may keep its worker from everything else: from its
//! timers, and from returning to the reactor. So while some worker is awake and
//! some sleep, at least one of those that sleep *watches*: it gets up every
//! [`super::watch::PERIOD`] and looks after the workers that are awake. Whoever
//! gets up to run something and sees that nobody watches wakes a sleeper, which
//! then does. If nobody has run anything during a whole period, the watch ends:
//! an idle runtime makes no system call.
//!
//! To sleep with a timeout costs the kernel a timer, which is dear where the
//! processor would have nothing else to wake up for, and the driver sleeps once
//! per message if there is one connection. So it leaves the watch to another
//! sleeper, unless that one had to be replaced a short while ago.

use super::lock;
use super::primitives::{AtomicU64, Mutex, Ordering};

const SEARCHER: u64 = 1;
const WATCHER: u64 = 1 << 16;
const SLEEPER: u64 = 1 << 32;
const FIELD: u64 = WATCHER - 1;

/// Sleepers that watch at the most. With two of them, one may get up to run
/// something without waking another to take its place.
const WATCHERS: u64 = 2;
/// For how many of its sleeps the driver watches beside another sleeper after a
/// watcher was missing: so many timers cost about as much as waking one.
const SPARES: u32 = 32;

pub(super) struct Idle {
    workers: usize,
    /// From below: workers that search, sleepers that watch, sleepers.
    counts: AtomicU64,
    sleepers: Mutex<Sleepers>,
    /// How often a worker got up from its sleep to run something.
    rises: AtomicU64,
}

struct Sleepers {
    /// The most recent last: its cache is the warmest.
    workers: Vec<Sleeper>,
    /// Sleeps of the driver left of [`SPARES`].
    spares: u32,
}

#[derive(Clone, Copy)]
struct Sleeper {
    worker: usize,
    /// Waking it costs a system call more and leaves the reactor without a driver.
    drives: bool,
    watches: bool,
}

impl Sleeper {
    fn weight(self) -> u64 {
        SLEEPER + if self.watches { WATCHER } else { 0 }
    }

    /// Whom to leave asleep for as long as there is somebody else.
    fn rank(self) -> (bool, bool) {
        (self.drives, self.watches)
    }
}

fn searching(counts: u64) -> u64 {
    counts & FIELD
}

fn watching(counts: u64) -> u64 {
    (counts / WATCHER) & FIELD
}

fn sleeping(counts: u64) -> u64 {
    counts / SLEEPER
}

impl Idle {
    /// For at most 2^16 - 1 workers, which the counts have room for.
    pub(super) fn new(workers: usize) -> Self {
        let sleepers = Mutex::new(Sleepers {
            workers: Vec::with_capacity(workers),
            spares: 0,
        });
        Idle {
            workers,
            counts: AtomicU64::new(0),
            sleepers,
            rises: AtomicU64::new(0),
        }
    }

    /// A sleeping worker to wake for work just published; it starts as a searcher.
    pub(super) fn pick(&self) -> Option<usize> {
        let due = |counts| searching(counts) == 0 && sleeping(counts) > 0;
        self.pick_if(due, |_| {})
    }

    /// A sleeping worker to wake for the watch, unless somebody keeps it. A
    /// searcher is as good: it ends up asleep, and then watches, or gets up.
    pub(super) fn pick_watcher(&self) -> Option<usize> {
        let due = |counts| counts & (SLEEPER - 1) == 0 && sleeping(counts) > 0;
        self.pick_if(due, |sleepers| sleepers.spares = SPARES)
    }

    fn pick_if(
        &self,
        due: impl Fn(u64) -> bool,
        note: impl FnOnce(&mut Sleepers),
    ) -> Option<usize> {
        if !due(self.counts.load(Ordering::SeqCst)) {
            return None;
        }
        let mut sleepers = lock(&self.sleepers);
        // Another thread may have picked meanwhile; sleepers change under this lock.
        if !due(self.counts.load(Ordering::SeqCst)) {
            return None;
        }
        note(&mut sleepers);
        let workers = &mut sleepers.workers;
        let last_best = |best: usize, place: usize| {
            if workers[place].rank() <= workers[best].rank() {
                place
            } else {
                best
            }
        };
        let place = (1..workers.len()).fold(0, last_best);
        let sleeper = workers.remove(place);
        let change = sleeper.weight() - SEARCHER;
        self.counts.fetch_sub(change, Ordering::SeqCst);
        Some(sleeper.worker)
    }

    /// Announces that a worker sleeps, and whether it drives the reactor; `true`
    /// when it must keep watch. `seen` is [`Idle::rises`] at its last sleep.
    #[must_use]
    pub(super) fn announce(
        &self,
        worker: usize,
        was_searching: bool,
        drives: bool,
        seen: u64,
    ) -> bool {
        let mut sleepers = lock(&self.sleepers);
        let alone = sleepers.workers.len() + 1 == self.workers;
        let quiet = alone && self.rises() == seen;
        let enough = if !drives {
            WATCHERS
        } else if sleepers.spares > 0 {
            sleepers.spares -= 1;
            WATCHERS
        } else {
            1
        };
        let watches = !quiet && watching(self.counts.load(Ordering::SeqCst)) < enough;
        let sleeper = Sleeper {
            worker,
            drives,
            watches,
        };
        sleepers.workers.push(sleeper);
        let change = sleeper.weight() - if was_searching { SEARCHER } else { 0 };
        self.counts.fetch_add(change, Ordering::SeqCst);
        watches
    }

    /// Ends a sleep; `true` when a producer picked the worker, which hence searches.
    pub(super) fn retract(&self, worker: usize) -> bool {
        let mut sleepers = lock(&self.sleepers);
        let workers = &mut sleepers.workers;
        let Some(place) = workers.iter().position(|s| s.worker == worker) else {
            return true;
        };
        let sleeper = workers.swap_remove(place);
        self.counts.fetch_sub(sleeper.weight(), Ordering::SeqCst);
        false
    }

    /// Notes that a worker got up to run something.
    pub(super) fn rise(&self) {
        self.rises.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn rises(&self) -> u64 {
        self.rises.load(Ordering::Relaxed)
    }

    /// Makes a worker a searcher, unless enough search already.
    pub(super) fn begin_search(&self) -> bool {
        if 2 * searching(self.counts.load(Ordering::SeqCst)) >= self.workers as u64 {
            return false;
        }
        self.counts.fetch_add(SEARCHER, Ordering::SeqCst);
        true
    }

    /// A searcher found work; `true` when it was the last, so that the caller wakes
    /// another if more is left.
    #[must_use]
    pub(super) fn end_search(&self) -> bool {
        searching(self.counts.fetch_sub(SEARCHER, Ordering::SeqCst)) == 1
    }
}
