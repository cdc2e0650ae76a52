//! The production world: threads, sockets, timers, and the call that runs a program in it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`builder`] | configuration and start |
//! | [`shared`] | what all threads share; the world's ports |
//! | [`worker`] | the loop of one worker: run, look around, search, sleep |
//! | [`ring`] | the ready tasks of one worker |
//! | [`injector`] | ready tasks that belong to no worker |
//! | [`pinned`] | ready tasks that stay on one thread |
//! | [`idle`] | who sleeps, who searches, whom to wake |
//! | [`watch`] | looking after workers that are kept busy by one task |
//! | [`strife`] | when a worker rests because it only waits for locks |
//! | [`park`], [`slack`], [`patience`] | how a thread sleeps and is woken, how exactly, and whether to spin before |
//! | [`context`] | what the calling thread is to a runtime |
//! | [`clock`] | timers, one shard per worker |
//! | [`reactor`], [`sockets`], [`descriptors`] | readiness of sockets, the network over it, and pipes |
//! | [`blocking`] | threads for work that may block |
//! | [`crew`], [`hooks`] | the worker threads and what the program runs on them |
//! | [`entry`], [`account`] | what the attribute macros call, and the report they print |
//!
//! Invariants: no global lock on spawn, wake, poll or complete; nothing runs
//! when nothing is to be done; no thread outlives the [`Runtime`], unless it is
//! dropped on one of its own threads or a shutdown's time runs out.

mod account;
mod blocking;
mod builder;
mod clock;
mod context;
mod crew;
#[cfg(unix)]
mod descriptors;
mod entry;
mod hooks;
mod idle;
mod injector;
mod park;
mod patience;
mod pinned;
mod reactor;
mod ring;
mod shared;
mod slack;
mod sockets;
mod strife;
mod watch;
mod worker;

#[cfg(test)]
mod tests;

pub use crate::sched::StreakLimits;
pub use builder::Builder;
use builder::RootDefaults;
pub use crew::ShutdownReport;
pub use entry::{End, Flavour, Termination, main_entry, main_on, test_entry};

use crate::cx::{RegionError, Scope, run_root};
use crate::exec::drive::Reported;
use crate::exec::region::RegionOptions;
use crate::types::error::Error;
use crate::world::{Runnable, World};
use context::{Context, Local, Seat};
use crew::Crew;
use hooks::Hooks;
use patience::Patience;
use shared::{Flavour as Kind, Shared};
use std::fmt;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use worker::Worker;

/// Runs programs on real threads, sockets and clocks.
///
/// Dropping it ends and joins its threads; on one of its own threads the
/// joining is left to a thread made for it.
pub struct Runtime {
    shared: Arc<Shared>,
    world: Arc<dyn World>,
    hooks: Hooks,
    root: RootDefaults,
    crew: Crew,
}

impl Runtime {
    /// A runtime with one worker per available core.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn new() -> Result<Self, Error> {
        Runtime::builder().build()
    }

    /// Configures a runtime.
    pub fn builder() -> Builder {
        Builder::new()
    }

    fn assemble(shared: Arc<Shared>, hooks: Hooks, root: RootDefaults) -> Self {
        let world: Arc<dyn World> = Arc::clone(&shared) as _;
        Runtime {
            shared,
            world,
            hooks,
            root,
            crew: Crew::default(),
        }
    }

    /// Runs `body` as the root region and returns once the region is quiescent.
    ///
    /// The body runs on the calling thread, so it may borrow and need not be `Send`.
    ///
    /// *Cancellation.* A second wish to shut down, or the first if nobody
    /// listens for it, cancels the root region; so does `scope.cancel`.
    ///
    /// # Errors
    /// [`RegionError::Ended`] with the report when a child failed, was cancelled
    /// or panicked.
    ///
    /// # Panics
    /// A panic of the body is raised again once the region is closed. Called by
    /// code that this runtime runs, it panics, because it would wait for itself.
    ///
    /// ```
    /// use asupersync::{Runtime, Scope};
    /// let runtime = Runtime::builder().worker_threads(2).build().unwrap();
    /// let words = vec!["a", "b"];
    /// let n = runtime
    ///     .block_on(async |scope: Scope| {
    ///         let two = scope.spawn(async |_cx| 2);
    ///         words.len() + two.await.into_result().unwrap()
    ///     })
    ///     .unwrap();
    /// assert_eq!(n, 4);
    /// ```
    pub fn block_on<T, F, Fut>(&self, body: F) -> Result<T, RegionError>
    where
        F: FnOnce(Scope) -> Fut,
        Fut: Future<Output = T>,
    {
        self.block_on_report(body).into_result()
    }

    /// As [`Runtime::block_on`], with the report in any case. A panic of the
    /// body is reported, not raised.
    ///
    /// # Panics
    /// Called by code that this runtime runs.
    pub fn block_on_report<T, F, Fut>(&self, body: F) -> Reported<T>
    where
        F: FnOnce(Scope) -> Fut,
        Fut: Future<Output = T>,
    {
        self.block_on_with(RegionOptions::default(), body)
    }

    /// As [`Runtime::block_on_report`], with options for the root region.
    ///
    /// # Panics
    /// Called by code that this runtime runs.
    pub fn block_on_with<T, F, Fut>(&self, options: RegionOptions, body: F) -> Reported<T>
    where
        F: FnOnce(Scope) -> Fut,
        Fut: Future<Output = T>,
    {
        self.run(options, body).0
    }

    /// Also counts the tasks that are alive after the root region has closed.
    fn run<T, F, Fut>(&self, options: RegionOptions, body: F) -> (Reported<T>, usize)
    where
        F: FnOnce(Scope) -> Fut,
        Fut: Future<Output = T>,
    {
        let options = RegionOptions {
            cleanup: options.cleanup.or(self.root.cleanup),
            limits: options.limits.meet(self.root.limits),
            ..options
        };
        let mut live = 0;
        let reported = self.host(|world, drive| {
            run_root(world, options, body, |root| {
                drive(&|| root.is_complete());
                live = root.count_live();
                debug_assert!(root.counters_agree(), "a region counts its children");
            })
        });
        crate::io::stdio::settle();
        debug_assert!(
            self.shared.counters_agree(),
            "a queue says how much is in it, and a clock when it is due"
        );
        (reported, live)
    }

    /// Makes SIGTERM and SIGINT wishes to stop, as `#[asupersync::main]` does, until the value is dropped.
    ///
    /// # Errors
    /// The system's, when it refuses a socket, a handler or a thread.
    pub fn deliver_signals(&self) -> std::io::Result<crate::signal::Installed> {
        crate::signal::install(&self.world)
    }

    /// Ends the runtime's threads and waits for them no longer than `d`.
    ///
    /// No call of `block_on` is in progress, as it borrows the runtime, so all
    /// that can be left is code that does not return: it is reported and keeps
    /// its thread until it does. On one of the runtime's own threads nothing is
    /// waited for.
    pub fn shutdown_timeout(mut self, d: Duration) -> ShutdownReport {
        std::mem::take(&mut self.crew).dismiss(&self.shared, Instant::now().checked_add(d))
    }

    /// Makes the calling thread the home of one root task while `call` runs;
    /// `call` gets the world and a function that runs tasks until its argument says so.
    fn host<R>(&self, call: impl FnOnce(&Arc<dyn World>, &dyn Fn(&dyn Fn() -> bool)) -> R) -> R {
        assert!(
            !Context::is_inside(&self.shared),
            "block_on was called by code that this runtime runs, which would wait for itself; \
             await the future, or open a region for it"
        );
        let seat = Seat::new(self.shared.new_home(), self.shared.streaks);
        let _seated = Seated {
            shared: &self.shared,
            seat: &seat,
        };
        let context = Context::new(&self.shared, None, Some(Arc::clone(&seat)));
        let _entered = context.enter();
        call(&self.world, &|done| match self.shared.flavour {
            Kind::MultiThread => drive_root(&seat, done),
            Kind::CurrentThread => self.drive_all(&seat, done),
        })
    }

    /// Runs all tasks here, or only the root if another thread does already.
    fn drive_all(&self, seat: &Arc<Seat>, done: &dyn Fn() -> bool) {
        let mut patience = Patience::default();
        // Tasks of another thread's program may have been started on this thread.
        let done = &|| done() && seat.guests.load(Ordering::Relaxed) == 0;
        while !done() {
            if !self.shared.driven.swap(true, Ordering::SeqCst) {
                let _driving = Driving(&self.shared);
                let local = Some(Local::new(0));
                let context = Context::new(&self.shared, local, Some(Arc::clone(seat)));
                let _entered = context.enter();
                let _hooks = self.hooks.enter();
                Worker::new(&self.shared, context).run_until(done);
            } else if let Some(task) = seat.take().or_else(|| seat.pinned.pop()) {
                task.run();
            } else {
                seat.sleep(&mut patience);
            }
        }
    }
}

/// Runs the root task, and those that stay on this thread, whenever they are ready.
fn drive_root(seat: &Seat, done: &dyn Fn() -> bool) {
    let mut patience = Patience::default();
    while !done() {
        let (root, pinned) = (seat.take(), seat.pinned.pop());
        if root.is_none() && pinned.is_none() {
            seat.sleep(&mut patience);
        }
        root.into_iter().chain(pinned).for_each(Runnable::run);
    }
}

/// Takes the seat away at the end of the call, also when it unwinds.
struct Seated<'a> {
    shared: &'a Shared,
    seat: &'a Arc<Seat>,
}

impl Drop for Seated<'_> {
    fn drop(&mut self) {
        lock(&self.shared.seats).retain(|seat| !Arc::ptr_eq(seat, self.seat));
        drop(self.seat.take());
    }
}

/// Lets another thread inside `block_on` take over.
struct Driving<'a>(&'a Shared);

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        self.0.driven.store(false, Ordering::SeqCst);
        let seats = lock(&self.0.seats).clone();
        seats.iter().for_each(|seat| seat.unpark(&self.0.reactor));
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if !self.shared.closing.load(Ordering::Relaxed) {
            std::mem::take(&mut self.crew).dismiss(&self.shared, None);
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("flavour", &self.shared.flavour)
            .field("workers", &self.shared.workers.len())
            .finish_non_exhaustive()
    }
}

/// What the run queue and the parking of threads are made of, by a name that
/// `tests/loom` can give to those of its models.
mod primitives {
    pub(super) use std::sync::Mutex;
    pub(super) use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering};
    pub(super) use std::thread::{Thread, current, park, park_timeout};
}

/// Locks a leaf lock. Nothing that can panic runs under one, so poisoning says nothing.
fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}
