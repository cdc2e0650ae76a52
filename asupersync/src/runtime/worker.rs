//! One worker: run, look around, search, sleep.
//!
//! ```text
//!        own queues            injector, peers          parked or driving
//!   run ------------> search -----------------> sleep ----------------> run
//!    ^  something      |  something (wake a peer if no other searches)    |
//!    '-----------------'--------------------------------------------------'
//! ```
//!
//! A task is queued by the lane it belongs to when it becomes ready. One that
//! is asked to cancel while it is queued changes lanes when it changes queues:
//! when it is taken from the injector, or with the urgent tasks of another
//! worker. Until then it keeps its place in line, behind fewer than [`QUEUE`]
//! tasks of its worker, whose lane is served within the bound of
//! [`StreakLimits`](crate::sched::StreakLimits). To move it at once would take
//! a second Runnable for it, and every queue would have to know that the first
//! is void.
//!
//! Bounds: at most [`LIFO_STREAK`] tasks in a row from the LIFO slot, and
//! [`READY_STREAK`] before one that yielded to a single worker; the
//! injector is looked at every [`INJECTOR_TURNS`] turns, timers every
//! [`CLOCK_TURNS`] turns, the reactor at one of those turns if it was not asked
//! for [`DRIVE_NS`], the other workers (see [`super::watch`]) every
//! [`WATCH_TURNS`] turns if nobody did for a while. A worker that waits too much
//! for locks rests (see [`super::strife`]).

use super::context::{Context, Local};
use super::park::Place;
use super::patience::{Patience, SPIN};
use super::pinned::Pinned;
use super::shared::{Flavour, QUEUE, Remote, Shared, random_word};
use super::slack::ExactTimers;
use super::strife::Strife;
use super::watch;
use crate::exec::contention::take_waited;
use crate::sched::{Fairness, Pick, Waiting};
use crate::types::time::Time;
use crate::world::runnable::Chain;
use crate::world::{Lane, Runnable, World};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::task::Waker;
use std::time::Duration;

/// Tasks in a row that may come from the LIFO slot while others wait.
const LIFO_STREAK: u8 = 3;
/// Tasks in a row that a current-thread runtime runs before one that yielded.
pub(super) const READY_STREAK: u8 = 32;
/// Turns between two looks at the injector.
const INJECTOR_TURNS: u32 = 64;
/// Turns between two looks at the clock.
const CLOCK_TURNS: u32 = 16;
/// Turns between two looks at whether a look at the other workers is due.
const WATCH_TURNS: u32 = 64;
/// How long busy workers may leave the reactor unasked.
const DRIVE_NS: u64 = 50_000;
/// How close sleeps may end one after the other for timers: those of a crowd are
/// fired together, and the first of them on time. A sleeper that gets up for its
/// own that soon is not woken for those of another worker.
const TIMERS_APART: Duration = Duration::from_micros(50);
/// Tasks taken from the injector at once.
const INJECTOR_BATCH: usize = QUEUE / 2;

pub(super) struct Worker<'a> {
    pub(super) shared: &'a Arc<Shared>,
    context: Rc<Context>,
    pub(super) index: usize,
    turn: u32,
    lifo_streak: u8,
    /// As many ready tasks in a row, in a current-thread runtime.
    ready_streak: u8,
    /// Whether the ready task served last was the injector's, in its turn.
    injected: bool,
    fairness: Fairness,
    searching: bool,
    /// Whether it has slept since it last ran something.
    rested: bool,
    /// What the count of rises was at its last sleep.
    rises: u64,
    patience: Patience,
    strife: Strife,
    wakers: Vec<Waker>,
    /// When it last woke up for timers.
    fired: Time,
    /// Whether this thread's timers are exact; set before the first timed sleep.
    exact: Option<ExactTimers>,
}

impl<'a> Worker<'a> {
    /// The calling thread as worker of `context`, which must have a local part and be entered.
    pub(super) fn new(shared: &'a Arc<Shared>, context: Rc<Context>) -> Self {
        let index = context
            .local
            .as_ref()
            .expect("a worker has a local part")
            .index;
        shared.workers[index].parker.adopt();
        Worker {
            shared,
            context,
            index,
            turn: 0,
            lifo_streak: 0,
            ready_streak: 0,
            injected: false,
            fairness: Fairness::with_limits(shared.streaks),
            searching: false,
            rested: false,
            rises: 0,
            patience: Patience::default(),
            strife: Strife::default(),
            wakers: Vec::new(),
            fired: Time::ZERO,
            exact: None,
        }
    }

    /// Runs tasks until `done`.
    pub(super) fn run_until(&mut self, done: impl Fn() -> bool) {
        while !done() {
            self.turn = self.turn.wrapping_add(1);
            if self.turn.is_multiple_of(CLOCK_TURNS) {
                self.give_way_if_due();
                self.look_around();
            }
            if let Some(task) = self.next_task() {
                self.get_up();
                task.run();
            } else if let Some(task) = self.search() {
                self.get_up();
                task.run();
            } else if !self.linger(&done) {
                self.sleep(&done);
            }
        }
        self.stop_searching();
    }

    fn local(&self) -> &Local {
        self.context
            .local
            .as_ref()
            .expect("a worker has a local part")
    }

    pub(super) fn remote(&self) -> &'a Remote {
        &self.shared.workers[self.index]
    }

    pub(super) fn single(&self) -> bool {
        self.shared.flavour == Flavour::CurrentThread
    }

    /// Rests, if it is more in the way of the other workers than of use.
    fn give_way_if_due(&mut self) {
        if self.single() {
            return;
        }
        let shared = self.shared;
        let waited = take_waited();
        let Some(rest) = self.strife.look(waited, || shared.now()) else {
            return;
        };
        // Whoever is about to sleep looks at the injector first. What is urgent or
        // stays here does not wait for a rest to end.
        let bound = !self.pinned().is_empty() || !self.remote().urgent.is_empty();
        if bound || self.peers_awake().next().is_none() {
            return;
        }
        let others = shared.workers.len() - 1;
        let may = |resting| (resting < others).then_some(resting + 1);
        let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
        if shared.resting.fetch_update(success, failure, may).is_ok() {
            self.rest(rest);
            shared.resting.fetch_sub(1, Ordering::Relaxed);
            self.strife.rested(rest, shared.now());
        }
    }

    /// Leaves its tasks to the others, who are not told to wake it: to them it is
    /// held up by a task. Its timers, and who has a task for it alone, wake it.
    #[cold]
    fn rest(&mut self, rest: Duration) {
        let (shared, remote) = (self.shared, self.remote());
        self.stop_searching();
        let mut left = Chain::new();
        remote
            .lifo
            .take()
            .into_iter()
            .for_each(|task| left.push(task));
        while let Some(task) = remote.queue.pop() {
            left.push(task);
        }
        shared.injector.push_chain(left);
        shared.notify();
        let due = shared.clock.next_due(self.index).since(shared.now());
        if remote.parker.prepare(Place::Lot) {
            if self.pinned().is_empty() {
                remote.parker.sleep(Some(rest.min(due)));
            }
            remote.parker.finish();
        }
    }

    /// Fires timers and asks the reactor, in between tasks.
    fn look_around(&mut self) {
        if self.turn.is_multiple_of(WATCH_TURNS) && !self.single() {
            self.watch_if_due();
        }
        let (shared, clock) = (self.shared, &self.shared.clock);
        let due = clock
            .next_due(self.index)
            .min(clock.next_due(clock.outside()));
        let sockets = shared.reactor.registered() > 0;
        if due == Time::MAX && !sockets {
            return;
        }
        let now = shared.now();
        if due <= now {
            self.fire_timers(now);
        }
        let unasked = now
            .as_nanos()
            .saturating_sub(shared.last_drive.load(Ordering::Relaxed));
        if sockets
            && unasked >= DRIVE_NS
            && let Some(mut driver) = shared.reactor.take_driver()
        {
            // A broken poller shows up where a worker sleeps in it.
            let _ = shared
                .reactor
                .wait(&mut driver, Some(Duration::ZERO), &mut self.wakers);
            shared.reactor.return_driver(driver);
            shared.last_drive.store(now.as_nanos(), Ordering::Relaxed);
            self.wake_all();
        }
    }

    /// The next task of this worker's own lanes.
    fn next_task(&mut self) -> Option<Runnable> {
        if let Some(seat) = &self.context.seat
            && let Some(root) = seat.take()
        {
            self.local().ready.borrow_mut().push_back(root);
        }
        // Tasks that stay on this thread and all others take turns.
        if self.turn.is_multiple_of(2)
            && let Some(task) = self.pinned().pop()
        {
            return Some(task);
        }
        self.next_shared().or_else(|| self.pinned().pop())
    }

    fn pinned(&self) -> &Pinned {
        match &self.context.seat {
            Some(seat) => &seat.pinned,
            None => &self.remote().pinned,
        }
    }

    fn next_shared(&mut self) -> Option<Runnable> {
        let remote = self.remote();
        if !self.shared.outside.looks_empty() {
            remote.urgent.take_from(&self.shared.outside, true);
        }
        if remote.urgent.looks_empty() {
            self.fairness.served_ready();
            return self.next_ready();
        }
        self.next_urgent().or_else(|| self.next_ready())
    }

    /// One of the urgent tasks, unless it is a ready one's turn.
    #[inline(never)]
    fn next_urgent(&mut self) -> Option<Runnable> {
        let ready = self.has_ready();
        let fairness = &mut self.fairness;
        let urgent = &self.shared.workers[self.index].urgent;
        urgent.with(|lanes| {
            let (cancel, timed) = (lanes.cancels() > 0, lanes.timeds() > 0);
            match fairness.choose(Waiting {
                cancel,
                timed,
                ready,
            }) {
                Some(Pick::Cancel) => lanes.pop_cancel(),
                Some(Pick::Timed) => lanes.pop_timed(),
                Some(Pick::Ready) | None => None,
            }
        })
    }

    fn has_ready(&self) -> bool {
        let remote = self.remote();
        !remote.lifo.is_empty()
            || !remote.queue.is_empty()
            || !self.local().ready.borrow().is_empty()
            || !self.local().yielded.borrow().is_empty()
            || !self.shared.injector.is_empty()
    }

    fn next_ready(&mut self) -> Option<Runnable> {
        // Never twice in a row: if urgent tasks leave the ready lane every 64th
        // turn, those would all be the injector's.
        let injected = std::mem::take(&mut self.injected);
        if self.turn.is_multiple_of(INJECTOR_TURNS)
            && !injected
            && let Some(task) = self.take_injected()
        {
            self.injected = true;
            return Some(task);
        }
        if self.single() {
            return self.next_single();
        }
        let remote = self.remote();
        if let Some(task) = remote.lifo.take() {
            if self.lifo_streak < LIFO_STREAK {
                self.lifo_streak += 1;
                return Some(task);
            }
            if remote.queue.is_empty() {
                return Some(task);
            }
            // Two tasks that wake each other would keep everybody else waiting.
            self.keep(task);
        }
        self.lifo_streak = 0;
        remote.queue.pop().or_else(|| self.take_injected())
    }

    /// As [`Worker::next_ready`], where there is one worker: who yields lets go
    /// first whoever is ready by then or becomes so, but not for ever.
    fn next_single(&mut self) -> Option<Runnable> {
        let local = self.local();
        let ready = || local.ready.borrow_mut().pop_front();
        let yielded = || local.yielded.borrow_mut().pop_front();
        if self.ready_streak < READY_STREAK
            && let Some(task) = ready().or_else(|| self.take_injected())
        {
            self.ready_streak += 1;
            return Some(task);
        }
        let task = yielded().or_else(ready);
        self.ready_streak = 0;
        task.or_else(|| self.take_injected())
    }

    /// Takes a fair share of what outside threads enqueued, and the first of it to run.
    fn take_injected(&self) -> Option<Runnable> {
        let shared = self.shared;
        if shared.injector.is_empty() {
            return None;
        }
        self.take_share()
    }

    #[inline(never)]
    fn take_share(&self) -> Option<Runnable> {
        let shared = self.shared;
        let workers = shared.workers.len();
        let overflow_first = self.turn & INJECTOR_TURNS == 0;
        if self.single() {
            let mut ready = self.local().ready.borrow_mut();
            let keep = |task| ready.extend(self.promote(task));
            return shared
                .injector
                .take(workers, INJECTOR_BATCH, overflow_first, keep);
        }
        // Only this worker adds to its queue, so the room stays.
        let room = (QUEUE - self.remote().queue.len()).min(INJECTOR_BATCH);
        let keep = |task| self.promote(task).into_iter().for_each(|t| self.keep(t));
        shared.injector.take(workers, room, overflow_first, keep)
    }

    /// Moves a task to the cancel lane if it was asked meanwhile, and gives it back if not.
    fn promote(&self, task: Runnable) -> Option<Runnable> {
        match task.lane() {
            lane @ Lane::Cancel { .. } => self.remote().urgent.push(task, lane),
            Lane::Timed { .. } | Lane::Ready => Some(task),
        }
    }

    /// Looks for work that other threads have, unless enough workers do.
    fn search(&mut self) -> Option<Runnable> {
        if self.single() || (!self.searching && !self.shared.idle.begin_search()) {
            return None;
        }
        self.searching = true;
        let workers = &self.shared.workers;
        let start = random_word() as usize % workers.len();
        let (before, after) = workers.split_at(start);
        for peer in after.iter().chain(before) {
            if std::ptr::eq(peer, self.remote()) {
                continue;
            }
            if !peer.urgent.is_empty() && self.remote().urgent.take_from(&peer.urgent, false) {
                return self.next_task();
            }
            // SAFETY: this thread is the worker that owns its queue.
            let stolen = unsafe { self.remote().queue.steal_from(&peer.queue) };
            if stolen.is_some() {
                return stolen;
            }
        }
        self.take_injected()
    }

    /// Adds a task to this worker's queue.
    pub(super) fn keep(&self, task: Runnable) {
        // SAFETY: this thread is the worker that owns the queue.
        unsafe { self.shared.push_ready(self.remote(), task) };
    }

    /// Stops searching, and sees to it that somebody watches, before a task is run.
    #[inline]
    fn get_up(&mut self) {
        if self.searching || self.rested {
            self.rise();
        }
    }

    #[inline(never)]
    fn rise(&mut self) {
        self.stop_searching();
        if std::mem::take(&mut self.rested) {
            self.shared.idle.rise();
        }
        if let Some(watcher) = self.shared.idle.pick_watcher() {
            self.shared.unpark(watcher);
        }
    }

    fn stop_searching(&mut self) {
        if std::mem::take(&mut self.searching) && self.shared.idle.end_search() && self.has_work() {
            // Published while this worker searched, so nobody was woken for it.
            // What is published from now on finds nobody searching, and wakes a worker itself.
            self.shared.notify();
        }
    }

    /// Spins for a moment, if outside threads keep sending work that soon;
    /// `true` when there is a reason to look again. As long as it is a
    /// searcher, nobody is woken for what it will find.
    fn linger(&mut self, done: &impl Fn() -> bool) -> bool {
        if !self.searching {
            return false;
        }
        let mut patience = std::mem::take(&mut self.patience);
        let arrived = || {
            let peers = || self.shared.workers.iter().any(|w| !w.queue.is_empty());
            self.shared.has_arrivals() || peers() || !self.pinned().is_empty() || done()
        };
        let arrived = patience.spin(arrived);
        self.patience = patience;
        arrived
    }

    /// Announces a sleep, looks once more, and sleeps: in the reactor if nobody else does.
    fn sleep(&mut self, done: &impl Fn() -> bool) {
        let shared = self.shared;
        let start = shared.now();
        let mut driver = shared.reactor.take_driver();
        let place = if driver.is_some() {
            Place::Reactor
        } else {
            Place::Lot
        };
        let searched = std::mem::take(&mut self.searching);
        let watches = !self.single() && {
            self.remote().asleep.store(true, Ordering::Relaxed);
            let seen = std::mem::replace(&mut self.rises, shared.idle.rises());
            let drives = driver.is_some();
            shared.idle.announce(self.index, searched, drives, seen)
        };
        let parker = &self.remote().parker;
        if parker.prepare(place) {
            if !done() && !self.has_work() {
                match &mut driver {
                    Some(driver) => self.wait_in_reactor(driver, watches),
                    None => {
                        let timeout = self.until(self.next_due(watches), watches);
                        parker.sleep(timeout);
                    }
                }
            }
            parker.finish();
        }
        if let Some(driver) = driver {
            shared.reactor.return_driver(driver);
        }
        if !self.single() {
            self.searching = shared.idle.retract(self.index);
            self.remote().asleep.store(false, Ordering::Relaxed);
            self.rested = true;
            // Work of other workers is no reason to spin: it comes with a
            // searcher awake, and spinning beside a busy worker saves nothing.
            let arrived = self.searching && shared.has_arrivals();
            self.patience.slept(arrived && shared.now() < start + SPIN);
        }
        self.wake_all();
        self.fire_due_timers();
        if watches {
            self.watch();
        }
    }

    fn wait_in_reactor(&mut self, driver: &mut super::reactor::Driver, watches: bool) {
        let (shared, clock) = (self.shared, &self.shared.clock);
        let due = self.next_due(true);
        // 0 stands for nobody waiting, so a wait until the epoch says 1.
        shared
            .waits_until
            .store(due.as_nanos().max(1), Ordering::SeqCst);
        // A timer set between the look and the store has not seen the store.
        let due = due.min(clock.next_due(clock.outside()));
        let timeout = self.until(due, watches);
        let waited = shared.reactor.wait(driver, timeout, &mut self.wakers);
        shared.waits_until.store(0, Ordering::SeqCst);
        shared
            .last_drive
            .store(shared.now().as_nanos(), Ordering::Relaxed);
        waited.expect("the system's poller waits");
    }

    /// When a sleep has to end: for this worker's timers, and with `all` also for
    /// those that nobody else is sure to fire: of outside threads and of workers
    /// that are awake. Who sleeps sees to its own.
    fn next_due(&self, all: bool) -> Time {
        let clock = &self.shared.clock;
        let own = clock.next_due(self.index);
        if !all {
            return own;
        }
        let awake = self.peers_awake().map(|peer| clock.next_due(peer));
        awake.fold(own.min(clock.next_due(clock.outside())), Time::min)
    }

    /// How long until `due`, or the end of a watch; `None` for ever.
    fn until(&mut self, due: Time, watches: bool) -> Option<Duration> {
        if due == Time::MAX {
            return watches.then_some(watch::PERIOD);
        }
        self.exact.get_or_insert_with(ExactTimers::on);
        let due = due.max(self.fired + TIMERS_APART);
        let left = due.since(self.shared.now());
        Some(if watches {
            left.min(watch::PERIOD)
        } else {
            left
        })
    }

    fn fire_due_timers(&mut self) {
        let clock = &self.shared.clock;
        let due = clock
            .next_due(self.index)
            .min(clock.next_due(clock.outside()));
        if due != Time::MAX {
            let now = self.shared.now();
            if due <= now {
                self.fired = now;
                self.fire_timers(now);
            }
        }
    }

    fn fire_timers(&mut self, now: Time) {
        self.fire_shard(self.index, now);
        self.fire_shard(self.shared.clock.outside(), now);
    }

    pub(super) fn fire_shard(&mut self, shard: usize, now: Time) {
        let clock = &self.shared.clock;
        while clock.next_due(shard) <= now {
            clock.fire(shard, now, &mut self.wakers);
            self.wake_all_but(|worker| worker.peer_rises_by(now + TIMERS_APART));
        }
    }

    /// Wakes a batch: the tasks queue up in order, and a peer is woken once.
    fn wake_all(&mut self) {
        self.wake_all_but(|_| false);
    }

    /// As [`Worker::wake_all`], where a peer that is `coming` need not be woken
    /// for tasks that are not urgent.
    fn wake_all_but(&mut self, coming: impl FnOnce(&Self) -> bool) {
        if self.wakers.is_empty() {
            return;
        }
        // A single wake goes to the LIFO slot, like a wake from a task.
        self.local().batching.set(self.wakers.len() > 1);
        self.wakers.drain(..).for_each(crate::exec::wake);
        self.local().batching.set(false);
        let backlog = self.remote().queue.len() > 1 || !self.shared.injector.is_empty();
        if self.single() {
            return;
        }
        if !self.remote().urgent.is_empty() || backlog && !coming(self) {
            self.shared.notify();
        }
    }

    /// Whether a peer sleeps, but only until `by` at the latest: then it looks for
    /// work as well.
    fn peer_rises_by(&self, by: Time) -> bool {
        // Orders the queued tasks before the look at the sleepers: one that has
        // missed them had published by then how long it sleeps.
        fence(Ordering::SeqCst);
        let mut peers = self.shared.workers.iter().enumerate();
        peers.any(|(peer, remote)| {
            peer != self.index
                && remote.asleep.load(Ordering::Relaxed)
                && self.shared.clock.next_due(peer) <= by
        })
    }

    /// Whether anything is left to run, here or at a peer.
    fn has_work(&self) -> bool {
        let shared = self.shared;
        // Orders the counts before the queues are read; see `idle`.
        fence(Ordering::SeqCst);
        let seated = self
            .context
            .seat
            .as_ref()
            .is_some_and(|seat| seat.is_ready());
        seated
            || !self.pinned().is_empty()
            || !shared.injector.is_empty()
            || !shared.outside.is_empty()
            || shared
                .workers
                .iter()
                .any(|w| !w.queue.is_empty() || !w.urgent.is_empty())
    }
}

impl Drop for Worker<'_> {
    /// Hands everything local on; only a current-thread runtime leaves anything.
    fn drop(&mut self) {
        let local = self.local();
        let lifo = self.remote().lifo.take();
        let ready = std::mem::take(&mut *local.ready.borrow_mut());
        let yielded = std::mem::take(&mut *local.yielded.borrow_mut());
        let mut left = Chain::new();
        for task in lifo.into_iter().chain(ready).chain(yielded) {
            match &self.context.seat {
                Some(seat) if task.is_root() => seat.put(task),
                _ => left.push(task),
            }
        }
        self.shared.injector.push_chain(left);
    }
}
