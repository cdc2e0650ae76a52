//! The deterministic world: a clock that jumps, words from a seed, one run queue, sockets in memory.
//!
//! Invariants:
//!
//! 1. everything that can differ between two runs is a choice of the strategy
//!    or a word of a seeded stream, so equal configurations give equal runs;
//! 2. the clock moves only when nothing can run, and then to the next thing due;
//! 3. one lock guards all of it, and it is a leaf: no waker, job or task is
//!    called, cloned or dropped while it is held.
//!
//! Everything happens on the thread that runs the lab. Another thread may wake
//! a task, but when it does so is nobody's choice here, and such a run is not
//! deterministic.

use super::config::LabConfig;
use super::net::{Draw, NetState, Out, VirtualNet};
use super::oracle::{OracleViolation, Oracles};
use super::pick::{Ready, Strategy};
use super::streams::Streams;
use super::trace::{Trace, TraceEvent};
use crate::types::event::Event;
use crate::types::id::TaskId;
use crate::types::obligation::LeakResponse;
use crate::types::time::Time;
use crate::world::timers::Timers;
use crate::world::{Hint, Home, Job, Lane, Net, Runnable, Shutdown, Signals, TimerKey, World};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// Events per step before a run is given up: far above what any poll does, and
/// a bound on the memory of a trace.
const EVENTS_PER_STEP: u64 = 64;

/// Room for events that a run begins with: enough for a small test.
const FIRST_EVENTS: usize = 512;

/// Steps that the tasks of a failed run get to be dropped in.
const TEARDOWN_STEPS: u64 = 1_000_000;

/// The world of a lab.
pub(super) struct LabWorld {
    core: Arc<Core>,
    net: VirtualNet,
    shutdown: Shutdown,
    signals: Signals,
    leak_response: LeakResponse,
    /// The thread that made the lab, and on which it runs everything.
    thread: ThreadId,
}

/// The part that sockets share.
pub(super) struct Core {
    state: Mutex<State>,
    /// A copy of the state's clock, because it is asked for more often than anything else.
    now: AtomicU64,
}

struct State {
    now: Time,
    /// How far the clock may jump.
    horizon: Time,
    max_steps: u64,
    steps: u64,
    streams: Streams,
    strategy: Box<dyn Strategy>,
    ready: VecDeque<Entry>,
    /// Closures of the blocking pool by the instant at which they have taken
    /// their time. All take equally long, so the first to come is the first due.
    blocking: VecDeque<(Time, Job)>,
    blocking_duration: Duration,
    timers: Timers,
    net: NetState,
    trace: Trace,
    /// Set while a failed run is torn down: what the run was when it failed.
    failed: Option<Frozen>,
    oracles: Oracles,
    violation: Option<OracleViolation>,
}

enum Entry {
    Task(Runnable),
    Job(Job),
}

/// What to do next.
pub(super) enum Step {
    /// Poll this task.
    Task(Runnable),
    /// Run this job.
    Job(Job),
    /// Nothing can run and nothing is due within the horizon.
    Stuck,
    /// The run has used up its steps.
    Exhausted,
    /// The run has broken a law.
    Violated(OracleViolation),
}

/// The facts of a failed run, which its teardown must not change.
#[derive(Clone, Copy)]
struct Frozen {
    now: Time,
    steps: u64,
    choices: usize,
}

impl LabWorld {
    pub(super) fn new(config: &LabConfig) -> Self {
        let seed = config.seed_in_use();
        let core = Arc::new(Core {
            state: Mutex::new(State {
                now: Time::ZERO,
                horizon: if config.auto_advance {
                    Time::MAX
                } else {
                    Time::ZERO
                },
                max_steps: config.max_steps,
                steps: 0,
                streams: Streams::new(seed),
                strategy: config.pick.strategy(seed, config.streaks),
                ready: VecDeque::new(),
                blocking: VecDeque::new(),
                blocking_duration: config.blocking_duration,
                timers: Timers::new(),
                net: NetState::new(config.network),
                trace: Trace {
                    seed,
                    config: config.fingerprint(),
                    events: Vec::with_capacity(FIRST_EVENTS),
                    ..Trace::default()
                },
                failed: None,
                oracles: Oracles::new(config.strict, config.futurelock_max_idle_steps),
                violation: None,
            }),
            now: AtomicU64::new(0),
        });
        LabWorld {
            net: VirtualNet::new(core.clone()),
            core,
            shutdown: Shutdown::default(),
            signals: Signals::default(),
            leak_response: config.leak_response,
            thread: thread::current().id(),
        }
    }

    /// The network with its controls.
    pub(super) fn virtual_net(&self) -> &VirtualNet {
        &self.net
    }

    /// Decides what happens next, moving the clock if nothing can happen now.
    pub(super) fn step(&self) -> Step {
        loop {
            let mut wake = Vec::new();
            {
                let mut state = self.core.lock();
                state.fire_timers(&mut wake);
                state.finish_blocking();
                if wake.is_empty() && state.net.next_due().is_none_or(|due| due > state.now) {
                    let step = state.next();
                    self.core.now.store(state.now.as_nanos(), Ordering::Release);
                    match step {
                        Some(step) => return step,
                        None => continue,
                    }
                }
            }
            wake.into_iter().for_each(Waker::wake);
            self.core.net(|net, draw, out| while net.tick(draw, out) {});
        }
    }

    /// Lets the clock move `d` further than it may now.
    pub(super) fn advance(&self, d: Duration) {
        let mut state = self.core.lock();
        state.horizon = state.horizon.max(state.now) + d;
    }

    /// Reads what the run has done so far.
    pub(super) fn view<R>(&self, f: impl FnOnce(&View<'_>) -> R) -> R {
        let state = self.core.lock();
        f(&View {
            now: state.now,
            steps: state.steps,
            trace: &state.trace,
            oracles: &state.oracles,
            strategy: state.strategy.name(),
            next_due: state.next_due(),
        })
    }

    /// Number of events so far.
    pub(super) fn events(&self) -> usize {
        self.core.lock().trace.events.len()
    }

    /// The program has ended: judges what is still open.
    pub(super) fn end(&self) -> Result<(), OracleViolation> {
        let mut state = self.core.lock();
        state.oracles.end();
        state.oracles.check()
    }

    /// Stops recording, and gives the teardown of the failed run steps and time of its own.
    pub(super) fn fail(&self) {
        let mut state = self.core.lock();
        let State { now, steps, .. } = *state;
        let choices = state.trace.choices.len();
        state.failed.get_or_insert(Frozen {
            now,
            steps,
            choices,
        });
        state.violation = None;
        state.horizon = Time::MAX;
        state.max_steps = steps.saturating_add(TEARDOWN_STEPS);
    }

    /// Drops everything that waits here, which breaks the circles between tasks and world.
    pub(super) fn clear(&self) {
        {
            let mut state = self.core.lock();
            if let Some(Frozen {
                now,
                steps,
                choices,
            }) = state.failed
            {
                (state.now, state.steps) = (now, steps);
                self.core.now.store(now.as_nanos(), Ordering::Release);
                state.trace.choices.truncate(choices);
            }
        }
        // A dropped task may enqueue others, each of which is dropped in its
        // turn; the bound only guards against one that does so for ever.
        for _ in 0..1_000_000 {
            let (entry, job, timer, wakers) = {
                let mut state = self.core.lock();
                let (entry, job) = (state.ready.pop_front(), state.blocking.pop_front());
                let timer = state.timers.fire(Time::MAX);
                (entry, job, timer, state.net.take_wakers())
            };
            if entry.is_none() && job.is_none() && timer.is_none() && wakers.is_empty() {
                return;
            }
        }
    }
}

/// What a lab shows of a run.
pub(super) struct View<'a> {
    pub(super) now: Time,
    pub(super) steps: u64,
    pub(super) trace: &'a Trace,
    pub(super) oracles: &'a Oracles,
    pub(super) strategy: &'static str,
    pub(super) next_due: Option<Time>,
}

impl Core {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No foreign code runs under the lock; a poisoned one was left by a
        // broken invariant that has been reported already.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the network something.
    pub(super) fn net<R>(&self, f: impl FnOnce(&mut NetState, &mut Draw<'_>, &mut Out) -> R) -> R {
        self.net_with(Out::default(), f)
    }

    /// Asks the network something for which the caller may have to wait.
    pub(super) fn net_poll<R>(
        &self,
        cx: &Context<'_>,
        f: impl FnOnce(&mut NetState, &mut Draw<'_>, &mut Out) -> R,
    ) -> R {
        self.net_with(
            Out {
                caller: Some(cx.waker().clone()),
                ..Out::default()
            },
            f,
        )
    }

    fn net_with<R>(
        &self,
        mut out: Out,
        f: impl FnOnce(&mut NetState, &mut Draw<'_>, &mut Out) -> R,
    ) -> R {
        let may_wait = out.caller.is_some();
        let result = {
            let mut state = self.lock();
            let State {
                now,
                strategy,
                trace,
                net,
                ..
            } = &mut *state;
            let mut draw = Draw {
                now: *now,
                strategy: strategy.as_mut(),
                choices: &mut trace.choices,
            };
            let result = f(net, &mut draw, &mut out);
            out.events.drain(..).for_each(|e| state.record(e));
            if may_wait && out.caller.is_none() {
                // The network has kept the waker.
                state.record(Event::SocketAwaited);
            }
            result
        };
        let Out {
            caller,
            wake,
            discard,
            ..
        } = out;
        drop((caller, discard));
        wake.into_iter().for_each(Waker::wake);
        result
    }
}

impl State {
    fn record(&mut self, event: Event) {
        if self.failed.is_some() {
            return;
        }
        let seq = self.trace.events.len() as u64;
        let e = TraceEvent {
            seq,
            at: self.now,
            event,
        };
        self.streams.on(&event);
        self.trace.events.push(e);
        self.oracles.on(&e);
        if self.violation.is_none() {
            self.violation = self.oracles.check().err();
        }
    }

    fn fire_timers(&mut self, wake: &mut Vec<Waker>) {
        while let Some((due, waker)) = self.timers.fire(self.now) {
            self.record(Event::TimerFired { due });
            wake.push(waker);
        }
    }

    /// Makes those closures runnable that have taken their time.
    fn finish_blocking(&mut self) {
        while let Some((due, _)) = self.blocking.front()
            && *due <= self.now
        {
            let job = self.blocking.pop_front().map(|(_, job)| Entry::Job(job));
            self.ready.extend(job);
        }
    }

    fn next_due(&self) -> Option<Time> {
        let blocking = self.blocking.front().map(|(due, _)| *due);
        [self.timers.next_due(), self.net.next_due(), blocking]
            .into_iter()
            .flatten()
            .min()
    }

    /// The next step, or `None` when the clock has moved and something is due.
    fn next(&mut self) -> Option<Step> {
        if let Some(violation) = self.violation.clone() {
            return Some(Step::Violated(violation));
        }
        if self.ready.is_empty() {
            return match self.next_due() {
                Some(due) if due <= self.horizon => {
                    self.now = due;
                    None
                }
                next => {
                    // A horizon without end is not an instant to wait for.
                    if next.is_some() || self.horizon < Time::MAX {
                        self.now = self.now.max(self.horizon);
                    }
                    Some(Step::Stuck)
                }
            };
        }
        let events = self.trace.events.len() as u64;
        let most = self.max_steps.saturating_mul(EVENTS_PER_STEP);
        if self.steps >= self.max_steps || (events > most && self.failed.is_none()) {
            return Some(Step::Exhausted);
        }
        self.steps += 1;
        let index =
            match u32::try_from(self.ready.len()).expect("fewer than 2^32 tasks are runnable") {
                1 => 0,
                len => {
                    let index = self.strategy.task(&Queue(&self.ready)) % len;
                    self.trace.choices.push(index);
                    index
                }
            };
        let entry = self
            .ready
            .remove(index as usize)
            .expect("the index is below the length");
        Some(match entry {
            Entry::Task(task) => Step::Task(task),
            Entry::Job(job) => Step::Job(job),
        })
    }
}

/// The run queue as strategies see it.
struct Queue<'a>(&'a VecDeque<Entry>);

impl Ready for Queue<'_> {
    fn count(&self) -> u32 {
        u32::try_from(self.0.len()).expect("fewer than 2^32 tasks are runnable")
    }

    fn task(&self, index: u32) -> Option<TaskId> {
        match &self.0[index as usize] {
            Entry::Task(task) => Some(task.id()),
            Entry::Job(_) => None,
        }
    }

    fn lane(&self, index: u32) -> Lane {
        match &self.0[index as usize] {
            Entry::Task(task) => task.lane(),
            Entry::Job(_) => Lane::Ready,
        }
    }
}

impl World for LabWorld {
    fn now(&self) -> Time {
        Time::from_nanos(self.core.now.load(Ordering::Acquire))
    }

    fn entropy(&self, task: TaskId) -> u64 {
        self.core.lock().streams.draw(task)
    }

    fn enqueue(&self, task: Runnable, _hint: Hint) {
        self.core.lock().ready.push_back(Entry::Task(task));
    }

    fn stay(&self) -> Option<Home> {
        (thread::current().id() == self.thread).then(Home::default)
    }

    fn timer_set(&self, due: Time, waker: &Waker) -> TimerKey {
        let waker = waker.clone();
        let mut state = self.core.lock();
        state.record(Event::TimerSet { due });
        TimerKey {
            shard: 0,
            key: state.timers.set(due, waker),
        }
    }

    fn timer_update(&self, key: TimerKey, waker: &Waker) -> bool {
        let waker = waker.clone();
        let mut state = self.core.lock();
        let Some(place) = state.timers.waker_mut(key.key) else {
            drop(state);
            return false;
        };
        let old = std::mem::replace(place, waker);
        drop(state);
        drop(old);
        true
    }

    fn timer_cancel(&self, key: TimerKey) -> bool {
        let mut state = self.core.lock();
        let Some((due, waker)) = state.timers.cancel(key.key) else {
            return false;
        };
        state.record(Event::TimerCancelled { due });
        drop(state);
        drop(waker);
        true
    }

    fn offload(&self, job: Job) {
        let mut state = self.core.lock();
        let due = state.now + state.blocking_duration;
        state.blocking.push_back((due, job));
        state.finish_blocking();
    }

    fn net(&self) -> &dyn Net {
        &self.net
    }

    fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    fn signals(&self) -> &Signals {
        &self.signals
    }

    fn records(&self) -> bool {
        true
    }

    fn emit(&self, event: Event) {
        self.core.lock().record(event);
    }

    fn leak_response(&self) -> LeakResponse {
        self.leak_response
    }
}
