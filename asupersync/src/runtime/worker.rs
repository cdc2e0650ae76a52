//! One worker: run, look around, search, sleep.
//!
//! ```text
//!        own queues            injector, peers          parked or driving
//!   run ------------> search -----------------> sleep ----------------> run
//!    ^  something      |  something (wake a peer if no other searches)    |
//!    '-----------------'--------------------------------------------------'
//! ```
//!
//! Bounds: at most [`LIFO_STREAK`] tasks in a row from the LIFO slot; the
//! injector is looked at every [`INJECTOR_TURNS`] turns, timers every
//! [`CLOCK_TURNS`] turns, the reactor at one of those turns if it was not asked
//! for [`DRIVE_NS`].

use super::context::{Context, Local};
use super::park::Place;
use super::shared::{Flavour, QUEUE, Remote, Shared};
use crate::sched::{Fairness, Pick, Waiting};
use crate::types::time::Time;
use crate::world::runnable::Chain;
use crate::world::{Runnable, World};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::Duration;

/// Tasks in a row that may come from the LIFO slot while others wait.
const LIFO_STREAK: u8 = 3;
/// Turns between two looks at the injector.
const INJECTOR_TURNS: u32 = 64;
/// Turns between two looks at the clock.
const CLOCK_TURNS: u32 = 16;
/// How long busy workers may leave the reactor unasked.
const DRIVE_NS: u64 = 50_000;
/// Tasks taken from the injector at once.
const INJECTOR_BATCH: usize = QUEUE / 2;

pub(super) struct Worker<'a> {
    shared: &'a Arc<Shared>,
    context: Rc<Context>,
    index: usize,
    turn: u32,
    lifo_streak: u8,
    fairness: Fairness,
    searching: bool,
    wakers: Vec<Waker>,
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
            fairness: Fairness::new(),
            searching: false,
            wakers: Vec::new(),
            exact: None,
        }
    }

    /// Runs tasks until `done`.
    pub(super) fn run_until(&mut self, done: impl Fn() -> bool) {
        while !done() {
            self.turn = self.turn.wrapping_add(1);
            if self.turn.is_multiple_of(CLOCK_TURNS) {
                self.look_around();
            }
            if let Some(task) = self.next_task() {
                self.stop_searching();
                task.run();
            } else if let Some(task) = self.search() {
                self.stop_searching();
                task.run();
            } else {
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

    fn remote(&self) -> &'a Remote {
        &self.shared.workers[self.index]
    }

    fn single(&self) -> bool {
        self.shared.flavour == Flavour::CurrentThread
    }

    /// Fires timers and asks the reactor, in between tasks.
    fn look_around(&mut self) {
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
        let remote = self.remote();
        if !self.shared.outside.looks_empty() {
            remote.urgent.take_from(&self.shared.outside, true);
        }
        if remote.urgent.looks_empty() {
            self.fairness.served_ready();
            return self.next_ready();
        }
        let ready = self.has_ready();
        let fairness = &mut self.fairness;
        let urgent = remote.urgent.with(|lanes| {
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
        });
        urgent.or_else(|| self.next_ready())
    }

    fn has_ready(&self) -> bool {
        let local = self.local();
        let kept = local.lifo.take();
        let lifo = kept.is_some();
        local.lifo.set(kept);
        lifo || !self.remote().queue.is_empty()
            || !local.ready.borrow().is_empty()
            || !self.shared.injector.is_empty()
    }

    fn next_ready(&mut self) -> Option<Runnable> {
        if self.turn.is_multiple_of(INJECTOR_TURNS)
            && let Some(task) = self.take_injected()
        {
            return Some(task);
        }
        if self.single() {
            let task = self.local().ready.borrow_mut().pop_front();
            return task.or_else(|| self.take_injected());
        }
        let remote = self.remote();
        if let Some(task) = self.local().lifo.take() {
            if self.lifo_streak < LIFO_STREAK {
                self.lifo_streak += 1;
                return Some(task);
            }
            // Two tasks that wake each other would keep everybody else waiting.
            self.shared.push_ready(remote, task);
        }
        self.lifo_streak = 0;
        remote.queue.pop().or_else(|| self.take_injected())
    }

    /// Takes a fair share of what outside threads enqueued, and the first of it to run.
    fn take_injected(&self) -> Option<Runnable> {
        let shared = self.shared;
        if shared.injector.is_empty() {
            return None;
        }
        let workers = shared.workers.len();
        let overflow_first = self.turn & INJECTOR_TURNS == 0;
        if self.single() {
            let mut ready = self.local().ready.borrow_mut();
            let keep = |task| ready.push_back(task);
            return shared
                .injector
                .take(workers, INJECTOR_BATCH, overflow_first, keep);
        }
        let remote = self.remote();
        // Only this worker adds to its queue, so the room stays.
        let room = remote.queue.capacity() - remote.queue.len();
        let keep = |task| shared.push_ready(remote, task);
        shared
            .injector
            .take(workers, room.min(INJECTOR_BATCH), overflow_first, keep)
    }

    /// Looks for work that other threads have, unless enough workers do.
    fn search(&mut self) -> Option<Runnable> {
        if self.single() || (!self.searching && !self.shared.idle.begin_search()) {
            return None;
        }
        self.searching = true;
        let workers = &self.shared.workers;
        let start = self.shared.entropy() as usize % workers.len();
        let (before, after) = workers.split_at(start);
        for peer in after.iter().chain(before) {
            if std::ptr::eq(peer, self.remote()) {
                continue;
            }
            if !peer.urgent.is_empty() && self.remote().urgent.take_from(&peer.urgent, false) {
                return self.next_task();
            }
            if let Some(task) = self.steal(peer) {
                return Some(task);
            }
        }
        self.take_injected()
    }

    /// Takes half of a peer's queue, and the first of it to run.
    fn steal(&self, peer: &Remote) -> Option<Runnable> {
        let first = peer.queue.pop()?;
        for _ in 0..peer.queue.len() / 2 {
            let Some(task) = peer.queue.pop() else { break };
            self.shared.push_ready(self.remote(), task);
        }
        Some(first)
    }

    fn stop_searching(&mut self) {
        if std::mem::take(&mut self.searching) && self.shared.idle.end_search() && self.has_work() {
            // Published while this worker searched, so nobody was woken for it.
            // What is published from now on finds nobody searching, and wakes a worker itself.
            self.shared.notify();
        }
    }

    /// Announces a sleep, looks once more, and sleeps: in the reactor if nobody else does.
    fn sleep(&mut self, done: &impl Fn() -> bool) {
        let shared = self.shared;
        let mut driver = shared.reactor.take_driver();
        let place = if driver.is_some() {
            Place::Reactor
        } else {
            Place::Lot
        };
        let searched = std::mem::take(&mut self.searching);
        if !self.single() {
            shared.idle.announce(self.index, searched, driver.is_some());
        }
        let parker = &self.remote().parker;
        if parker.prepare(place) {
            if !done() && !self.has_work() {
                match &mut driver {
                    Some(driver) => self.wait_in_reactor(driver),
                    None => {
                        let due = shared.clock.next_due(self.index);
                        let timeout = self.until(due);
                        parker.sleep(timeout);
                    }
                }
            }
            parker.finish();
        }
        if let Some(driver) = driver {
            shared.reactor.return_driver(driver);
        }
        self.searching = !self.single() && shared.idle.retract(self.index);
        self.wake_all();
        self.fire_due_timers();
    }

    fn wait_in_reactor(&mut self, driver: &mut super::reactor::Driver) {
        let shared = self.shared;
        let clock = &shared.clock;
        let due = clock
            .next_due(self.index)
            .min(clock.next_due(clock.outside()));
        // 0 stands for nobody waiting, so a wait until the epoch says 1.
        shared
            .waits_until
            .store(due.as_nanos().max(1), Ordering::SeqCst);
        // A timer set between the look and the store has not seen the store.
        let due = due.min(clock.next_due(clock.outside()));
        let timeout = self.until(due);
        let waited = shared.reactor.wait(driver, timeout, &mut self.wakers);
        shared.waits_until.store(0, Ordering::SeqCst);
        shared
            .last_drive
            .store(shared.now().as_nanos(), Ordering::Relaxed);
        waited.expect("the system's poller waits");
    }

    /// How long until `due`; `None` for ever.
    fn until(&mut self, due: Time) -> Option<Duration> {
        if due == Time::MAX {
            return None;
        }
        self.exact.get_or_insert_with(ExactTimers::on);
        Some(due.since(self.shared.now()))
    }

    fn fire_due_timers(&mut self) {
        let clock = &self.shared.clock;
        let due = clock
            .next_due(self.index)
            .min(clock.next_due(clock.outside()));
        if due != Time::MAX {
            let now = self.shared.now();
            if due <= now {
                self.fire_timers(now);
            }
        }
    }

    fn fire_timers(&mut self, now: Time) {
        let clock = &self.shared.clock;
        for shard in [self.index, clock.outside()] {
            while clock.next_due(shard) <= now {
                clock.fire(shard, now, &mut self.wakers);
                self.wake_all();
            }
        }
    }

    /// Wakes a batch: the tasks queue up in order, and a peer is woken once.
    fn wake_all(&mut self) {
        if self.wakers.is_empty() {
            return;
        }
        // A single wake goes to the LIFO slot, like a wake from a task.
        self.local().batching.set(self.wakers.len() > 1);
        self.wakers.drain(..).for_each(crate::exec::wake);
        self.local().batching.set(false);
        let backlog = self.remote().queue.len() > 1 || !self.shared.injector.is_empty();
        if !self.single() && (backlog || !self.remote().urgent.is_empty()) {
            self.shared.notify();
        }
    }

    /// Whether anything is left to run, here or at a peer.
    fn has_work(&self) -> bool {
        let shared = self.shared;
        let seated = self
            .context
            .seat
            .as_ref()
            .is_some_and(|seat| seat.is_ready());
        seated
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
        let lifo = local.lifo.take();
        let ready = std::mem::take(&mut *local.ready.borrow_mut());
        let mut left = Chain::new();
        for task in lifo.into_iter().chain(ready) {
            match &self.context.seat {
                Some(seat) if task.is_root() => seat.put(task),
                _ => left.push(task),
            }
        }
        self.shared.injector.push_chain(left);
    }
}

/// The thread's timer slack, cut to a nanosecond and put back on drop.
///
/// Linux may round a sleep up by 50 us to save power, which is 50 times what
/// the rest of a wake-up takes.
struct ExactTimers {
    #[cfg(target_os = "linux")]
    former: Option<u64>,
}

impl ExactTimers {
    #[cfg(target_os = "linux")]
    fn on() -> Self {
        use rustix::thread::{current_timer_slack, set_current_timer_slack};
        let former = current_timer_slack().ok();
        // Refused, sleeps are a little longer.
        let _ = set_current_timer_slack(Some(std::num::NonZeroU64::MIN));
        ExactTimers { former }
    }

    #[cfg(not(target_os = "linux"))]
    fn on() -> Self {
        ExactTimers {}
    }
}

#[cfg(target_os = "linux")]
impl Drop for ExactTimers {
    fn drop(&mut self) {
        if let Some(former) = self.former.and_then(std::num::NonZeroU64::new) {
            let _ = rustix::thread::set_current_timer_slack(Some(former));
        }
    }
}
