//! The production world: what all threads of a runtime share.
//!
//! | a task becomes ready on | and goes to |
//! |---|---|
//! | a worker | its LIFO slot, the slot's former tenant to its queue; half of a full queue to the injector |
//! | a worker, after a yield with nothing else ready there | its LIFO slot |
//! | a worker, after another yield or in a batch of events | its queue |
//! | the thread of a current-thread runtime | its queue, or after a yield the queue behind that |
//! | another thread | the injector |
//! | any, asked to cancel or with a deadline | the urgent lanes of the worker, or those for outside threads |
//! | any, but must stay on a thread | that thread |
//! | any, the root of a `block_on` call | that call's seat |

use super::blocking::Blocking;
use super::clock::Clock;
use super::context::{Context, Local, Seat};
#[cfg(unix)]
use super::descriptors::Descriptors;
use super::idle::Idle;
use super::injector::Injector;
use super::lock;
use super::park::Parker;
use super::pinned::Pinned;
use super::reactor::Reactor;
use super::ring::{Ring, Slot, Word};
use super::sockets::Sockets;
use crate::sched::{StreakLimits, Urgent};
use crate::types::event::Event;
use crate::types::id::TaskId;
use crate::types::obligation::LeakResponse;
use crate::types::time::Time;
use crate::world::{
    Chain, Hint, Home, Job, Lane, Net, Runnable, Shutdown, Signals, TimerKey, World,
};
#[cfg(unix)]
use crate::world::{Hearing, System};
use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, Weak};
use std::task::Waker;
use std::time::Instant;

/// Ready tasks a worker keeps to itself; beyond that half go to the injector.
pub(super) const QUEUE: usize = 256;
/// Tasks of one urgent lane moved at once from one shard to another.
const URGENT_BATCH: usize = 64;

pub(super) struct Shared {
    /// For calls from threads that hold no reference of their own.
    me: Weak<Shared>,
    pub(super) flavour: Flavour,
    pub(super) streaks: StreakLimits,
    epoch: Instant,
    pub(super) workers: Box<[Remote]>,
    pub(super) injector: Injector,
    pub(super) outside: Lanes,
    pub(super) idle: Idle,
    pub(super) clock: Clock,
    pub(super) reactor: Arc<Reactor>,
    sockets: Sockets,
    #[cfg(unix)]
    descriptors: Descriptors,
    pub(super) blocking: Arc<Blocking>,
    shutdown: Shutdown,
    signals: Signals,
    leak_response: LeakResponse,
    /// Seats of the `block_on` calls in progress.
    pub(super) seats: Mutex<Vec<Arc<Seat>>>,
    /// Seats there have been.
    seats_made: AtomicU32,
    /// Set once, when the runtime is dropped.
    pub(super) closing: AtomicBool,
    /// Current-thread: whether some thread runs the tasks now.
    pub(super) driven: AtomicBool,
    /// Until when the driver waits, in nanoseconds; 0 when nobody waits.
    pub(super) waits_until: AtomicU64,
    /// When the reactor was last asked.
    pub(super) last_drive: AtomicU64,
    /// When a worker last looked after the others.
    pub(super) last_watch: AtomicU64,
    /// Workers that rest from strife; see [`super::strife`].
    pub(super) resting: AtomicUsize,
}

/// Who runs tasks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flavour {
    /// Worker threads of the runtime.
    MultiThread,
    /// The thread inside `block_on`.
    CurrentThread,
}

/// What other threads see of a worker. Aligned so that two workers share no
/// cache line, nor a pair of lines fetched together.
#[repr(align(128))]
pub(super) struct Remote {
    pub(super) queue: Ring<Runnable, QUEUE>,
    /// The task made ready last; its data is in the worker's cache.
    pub(super) lifo: Slot<Runnable>,
    pub(super) urgent: Lanes,
    pub(super) pinned: Pinned,
    /// Whether it sleeps, or is about to, or has just been woken.
    pub(super) asleep: AtomicBool,
    pub(super) parker: Parker,
}

// SAFETY: the word is the pointer of the one Runnable of a task.
unsafe impl Word for Runnable {
    fn into_word(self) -> NonNull<()> {
        self.into_raw().cast()
    }

    unsafe fn from_word(word: NonNull<()>) -> Self {
        // SAFETY: `into_word` gave up the Runnable's reference, which is taken back once.
        unsafe { Runnable::from_raw(word.cast()) }
    }
}

/// Cancel and timed lanes behind a small lock; looking at empty ones is one load.
pub(super) struct Lanes {
    lanes: Mutex<Urgent<Runnable>>,
    len: AtomicUsize,
}

impl Lanes {
    fn new() -> Self {
        Lanes {
            lanes: Mutex::new(Urgent::new()),
            len: AtomicUsize::new(0),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len.load(Ordering::SeqCst) == 0
    }

    /// Whether nothing was seen to wait; may lag behind another thread's push.
    pub(super) fn looks_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Urgent<Runnable>) -> R) -> R {
        let mut lanes = lock(&self.lanes);
        let result = f(&mut lanes);
        let (before, after) = (self.len.load(Ordering::Relaxed), lanes.len());
        // Only ever changed under the lock. Who is about to sleep must see a
        // task that was added; one that was taken may be seen for a while longer.
        if after > before {
            self.len.store(after, Ordering::SeqCst);
        } else {
            self.len.store(after, Ordering::Release);
        }
        result
    }

    /// Whether the published length is that of the lanes.
    fn counters_agree(&self) -> bool {
        let lanes = lock(&self.lanes);
        self.len.load(Ordering::Relaxed) == lanes.len() && lanes.counters_agree()
    }

    /// Adds a task to the lane it belongs to; gives a task of the ready lane back.
    pub(super) fn push(&self, task: Runnable, lane: Lane) -> Option<Runnable> {
        if lane == Lane::Ready {
            return Some(task);
        }
        self.with(|lanes| lanes.push(lane, task))
    }

    /// Moves up to half of each lane of `other` here, the most urgent first;
    /// a task that was asked to cancel meanwhile is promoted on the way.
    ///
    /// `all` moves more than half: from a shard that no worker owns. Both lanes
    /// are served, so that a flood in one does not hold the other back.
    pub(super) fn take_from(&self, other: &Lanes, all: bool) -> bool {
        let mut moved = Vec::new();
        other.with(|lanes| {
            let share = |len: usize| if all { len } else { len.div_ceil(2) }.min(URGENT_BATCH);
            let (cancels, timeds) = (share(lanes.cancels()), share(lanes.timeds()));
            moved.extend(std::iter::from_fn(|| lanes.pop_cancel()).take(cancels));
            moved.extend(std::iter::from_fn(|| lanes.pop_timed()).take(timeds));
        });
        let found = !moved.is_empty();
        let moved: Vec<(Lane, Runnable)> = moved.into_iter().map(|t| (t.lane(), t)).collect();
        self.with(|lanes| {
            for (lane, task) in moved {
                if let Some(task) = lanes.push(lane, task) {
                    // A loan that ended: it waits behind those that are urgent still.
                    let (deadline, priority) = (Time::MAX, 0);
                    lanes.push(Lane::Timed { deadline, priority }, task);
                }
            }
        });
        found
    }
}

impl Shared {
    pub(super) fn new(
        flavour: Flavour,
        workers: usize,
        streaks: StreakLimits,
        blocking: Arc<Blocking>,
        leak_response: LeakResponse,
    ) -> std::io::Result<Arc<Self>> {
        let reactor = Reactor::new()?;
        let remote = |_| Remote {
            queue: Ring::new(),
            lifo: Slot::new(),
            urgent: Lanes::new(),
            pinned: Pinned::new(streaks),
            asleep: AtomicBool::new(false),
            parker: Parker::new(),
        };
        Ok(Arc::new_cyclic(|me| Shared {
            me: Weak::clone(me),
            flavour,
            streaks,
            epoch: Instant::now(),
            workers: (0..workers).map(remote).collect(),
            injector: Injector::default(),
            outside: Lanes::new(),
            idle: Idle::new(workers),
            clock: Clock::new(workers),
            sockets: Sockets::new(Arc::clone(&reactor)),
            #[cfg(unix)]
            descriptors: Descriptors::new(Arc::clone(&reactor)),
            reactor,
            blocking,
            shutdown: Shutdown::default(),
            signals: Signals::default(),
            leak_response,
            seats: Mutex::new(Vec::new()),
            seats_made: AtomicU32::new(0),
            closing: AtomicBool::new(false),
            driven: AtomicBool::new(false),
            waits_until: AtomicU64::new(0),
            last_drive: AtomicU64::new(0),
            last_watch: AtomicU64::new(0),
            resting: AtomicUsize::new(0),
        }))
    }

    /// Wakes a sleeping worker for work just published, if that helps.
    pub(super) fn notify(&self) {
        // Orders the work before the counts are read; see `idle`.
        fence(Ordering::SeqCst);
        if let Some(worker) = self.idle.pick() {
            self.unpark(worker);
        }
    }

    /// Whether an outside thread's work waits to be taken.
    pub(super) fn has_arrivals(&self) -> bool {
        !self.injector.is_empty() || !self.outside.looks_empty()
    }

    pub(super) fn unpark(&self, worker: usize) {
        self.workers[worker].parker.unpark(&self.reactor);
    }

    /// Wakes whoever runs the tasks of a current-thread runtime.
    fn notify_single(&self) {
        self.unpark(0);
    }

    /// The calling thread may hold the world through this very task only, and
    /// once the task is published, its end may end the runtime: so the world is
    /// held here until the call is over. Threads of the runtime hold it anyway.
    #[inline(never)]
    fn push_outside(&self, task: Runnable) {
        let _held = self.me.upgrade();
        let lane = task.lane();
        if let Some(task) = self.outside.push(task, lane) {
            self.injector.push(task);
        }
        match self.flavour {
            Flavour::CurrentThread => self.notify_single(),
            Flavour::MultiThread => self.notify(),
        }
    }

    /// Adds those tasks that were asked to cancel to the urgent lanes, under one
    /// lock and with one wake-up, and gives the others back.
    fn push_urgent(&self, local: &Local, mut tasks: Chain) -> Chain {
        let (mut cancelled, mut rest) = (Chain::new(), Chain::new());
        while let Some(task) = tasks.pop() {
            let movable = !task.is_root() && task.home().is_none();
            match task.lane() {
                Lane::Cancel { .. } if movable => cancelled.push(task),
                _ => rest.push(task),
            }
        }
        self.workers[local.index].urgent.with(|lanes| {
            while let Some(task) = cancelled.pop() {
                // Who was asked stays asked; only a loan may have ended meanwhile.
                if let Some(task) = lanes.push(task.lane(), task) {
                    rest.push(task);
                }
            }
        });
        if self.flavour == Flavour::MultiThread {
            self.notify_unless(local);
        }
        rest
    }

    fn push_local(&self, local: &Local, task: Runnable, hint: Hint) {
        let lane = task.lane();
        let task = match lane {
            Lane::Ready => Some(task),
            Lane::Cancel { .. } | Lane::Timed { .. } => {
                self.workers[local.index].urgent.push(task, lane)
            }
        };
        if self.flavour == Flavour::CurrentThread {
            if let Some(task) = task {
                let queue = match hint {
                    Hint::Yielded => &local.yielded,
                    _ => &local.ready,
                };
                queue.borrow_mut().push_back(task);
            }
            return;
        }
        let Some(task) = task else {
            return self.notify_unless(local);
        };
        self.push_worker(local, task, hint);
    }

    /// Adds a ready task to the queues of a worker of several, which the calling thread is.
    fn push_worker(&self, local: &Local, task: Runnable, hint: Hint) {
        let remote = &self.workers[local.index];
        // A yield ends a poll: with nothing else ready here, this worker runs the
        // task next, and to another worker it would be worth less than its cache.
        let lone = || {
            remote.lifo.is_empty()
                && remote.queue.is_empty()
                && remote.urgent.looks_empty()
                && remote.pinned.is_empty()
        };
        let queued = if local.batching.get() || hint == Hint::Yielded && !lone() {
            Some(task)
        } else {
            // SAFETY: the calling thread is the worker that owns the slot.
            unsafe { remote.lifo.put(task) }
        };
        // Work for this worker alone: it will be run next, here.
        let Some(task) = queued else { return };
        // SAFETY: the calling thread is the worker that owns the queue.
        unsafe { self.push_ready(remote, task) };
        self.notify_unless(local);
    }

    /// Wakes a sleeping worker, unless more work follows.
    fn notify_unless(&self, local: &Local) {
        if !local.batching.get() {
            self.notify();
        }
    }

    /// Adds a task to a worker's queue, half of which goes to the injector when it is full.
    ///
    /// # Safety
    /// The calling thread is that worker.
    pub(super) unsafe fn push_ready(&self, remote: &Remote, task: Runnable) {
        // SAFETY: as the caller promises.
        let Err(task) = (unsafe { remote.queue.push(task) }) else {
            return;
        };
        let mut half = Chain::new();
        remote.queue.take_half(|task| half.push(task));
        half.push(task);
        self.injector.push_chain(half);
    }

    #[inline(never)]
    fn push_root(&self, task: Runnable) {
        let address = task.address();
        let rest = Context::with(self, |context| {
            let Some(Context {
                seat: Some(seat),
                local,
                ..
            }) = context
            else {
                return Some(task);
            };
            if seat.address() == 0 {
                seat.set_address(address);
                lock(&self.seats).push(Arc::clone(seat));
            }
            if seat.address() != address {
                return Some(task);
            }
            match local {
                // It takes its turn among the tasks that this thread runs.
                Some(local) => local.ready.borrow_mut().push_back(task),
                None => seat.put(task),
            }
            None
        });
        let Some(task) = rest else { return };
        // As in `push_outside`.
        let _held = self.me.upgrade();
        let seat = lock(&self.seats)
            .iter()
            .find(|s| s.address() == address)
            .cloned();
        // Without a seat its call has returned, and the task is dropped here.
        if let Some(seat) = seat {
            seat.put(task);
            self.unpark_seat(&seat);
        }
    }

    /// A home for the thread that is about to call `block_on`: workers have the
    /// first numbers. Seats that are there at a time have different ones.
    pub(super) fn new_home(&self) -> Home {
        let workers = self.workers.len() as u32;
        let number = self.seats_made.fetch_add(1, Ordering::Relaxed);
        Home(workers + number % (u32::MAX - workers))
    }

    fn seat_at(&self, home: Home) -> Option<Arc<Seat>> {
        let seats = lock(&self.seats);
        seats.iter().find(|seat| seat.home == home).cloned()
    }

    /// Adds a task that stays at `home`.
    #[inline(never)]
    fn push_pinned(&self, task: Runnable, home: Home) {
        let here = Context::with(self, |c| c.and_then(Context::home)) == Some(home);
        // As in `push_outside`.
        let _held = self.me.upgrade();
        if let Some(remote) = self.workers.get(home.0 as usize) {
            remote.pinned.push(task);
            if !here {
                self.unpark(home.0 as usize);
            }
        } else if let Some(seat) = self.seat_at(home) {
            seat.pinned.push(task);
            if !here {
                self.unpark_seat(&seat);
            }
        }
        // Without a seat its call has been left by a panic, and the task is dropped here.
    }

    fn unpark_seat(&self, seat: &Seat) {
        seat.unpark(&self.reactor);
        if self.flavour == Flavour::CurrentThread {
            self.notify_single();
        }
    }

    /// The driver has to come back if it waits for longer than until `due`.
    fn shorten_wait(&self, due: Time) {
        if due.as_nanos() < self.waits_until.load(Ordering::SeqCst) {
            self.reactor.wake();
        }
    }

    /// Whether what is published about queues and timers, by which workers decide
    /// to sleep, is what counting them says. Each is looked at under its lock,
    /// so it holds at any time, whatever other threads do.
    pub(super) fn counters_agree(&self) -> bool {
        let of_worker = |w: &Remote| w.urgent.counters_agree() && w.pinned.counters_agree();
        self.workers.iter().all(of_worker)
            && self.outside.counters_agree()
            && self.injector.counters_agree()
            && self.clock.counters_agree()
    }

    /// Drops every queued task. They may wake others as they go, so it repeats until none is left.
    pub(super) fn discard_tasks(&self) -> usize {
        let mut discarded = 0;
        loop {
            let pop = |w: &Remote| {
                w.lifo
                    .take()
                    .or_else(|| w.queue.pop())
                    .or_else(|| w.pinned.pop())
            };
            let queues = self.workers.iter().find_map(pop);
            let urgent = || {
                let mut shards = self
                    .workers
                    .iter()
                    .map(|w| &w.urgent)
                    .chain([&self.outside]);
                shards.find_map(|lanes| lanes.with(Urgent::pop))
            };
            let Some(task) = queues.or_else(urgent).or_else(|| self.injector.pop()) else {
                return discarded;
            };
            discarded += 1;
            drop(task);
        }
    }
}

/// 64 bits from a generator per thread, seeded by the system.
pub(super) fn random_word() -> u64 {
    thread_local! {
        // Seeded per thread with keys that the standard library takes from the system.
        static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0x5eed_u64));
    }
    let step = |state: &Cell<u64>| {
        // splitmix64: every state is visited once in a period of 2^64.
        let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(next);
        let z = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    STATE
        .try_with(step)
        .unwrap_or_else(|_| RandomState::new().hash_one(0x5eed_u64))
}

impl World for Shared {
    fn now(&self) -> Time {
        Time::from_nanos(u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn entropy(&self, _task: TaskId) -> u64 {
        random_word()
    }

    fn enqueue(&self, task: Runnable, hint: Hint) {
        if task.is_root() {
            return self.push_root(task);
        }
        if let Some(home) = task.home() {
            return self.push_pinned(task, home);
        }
        let rest = Context::with(self, |context| match context {
            Some(Context {
                local: Some(local), ..
            }) => {
                self.push_local(local, task, hint);
                None
            }
            _ => Some(task),
        });
        if let Some(task) = rest {
            self.push_outside(task);
        }
    }

    fn enqueue_all(&self, tasks: Chain, hint: Hint) {
        let mut rest = Context::with(self, |context| match context {
            Some(Context {
                local: Some(local), ..
            }) => self.push_urgent(local, tasks),
            _ => tasks,
        });
        while let Some(task) = rest.pop() {
            self.enqueue(task, hint);
        }
    }

    fn stay(&self) -> Option<Home> {
        Context::with(self, |context| {
            let context = context?;
            if let Some(seat) = &context.seat {
                seat.guests.fetch_add(1, Ordering::Relaxed);
            }
            context.home()
        })
    }

    fn leave(&self, home: Home) {
        if let Some(seat) = self.seat_at(home)
            && seat.guests.fetch_sub(1, Ordering::Relaxed) == 1
        {
            self.unpark_seat(&seat);
        }
    }

    fn timer_set(&self, due: Time, waker: &Waker) -> TimerKey {
        let worker = Context::with(self, |c| c.and_then(|c| c.local.as_ref()).map(|l| l.index));
        let key = self
            .clock
            .set(worker.unwrap_or(self.clock.outside()), due, waker);
        if worker.is_none() {
            self.shorten_wait(due);
        }
        key
    }

    fn timer_update(&self, key: TimerKey, waker: &Waker) -> bool {
        self.clock.update(key, waker)
    }

    fn timer_cancel(&self, key: TimerKey) -> bool {
        self.clock.cancel(key)
    }

    fn offload(&self, job: Job) {
        self.blocking.run(job);
    }

    fn net(&self) -> &dyn Net {
        &self.sockets
    }

    fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    fn signals(&self) -> &Signals {
        &self.signals
    }

    #[cfg(unix)]
    fn hear(&self, signal: i32) -> std::io::Result<Hearing> {
        let me = self.me.upgrade().expect("whoever calls holds it");
        Ok(Box::new(crate::signal::Subscription::new(me, signal)?))
    }

    #[cfg(unix)]
    fn system(&self) -> std::io::Result<&dyn System> {
        Ok(&self.descriptors)
    }

    fn records(&self) -> bool {
        false
    }

    fn emit(&self, _event: Event) {}

    fn leak_response(&self) -> LeakResponse {
        self.leak_response
    }
}
