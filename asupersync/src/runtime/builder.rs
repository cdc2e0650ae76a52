//! How a runtime is put together.

use super::blocking::Blocking;
use super::context::identity;
use super::hooks::Hooks;
use super::shared::{Flavour, Shared};
use super::{Runtime, crew};
use crate::sched::StreakLimits;
use crate::types::error::{Error, ErrorKind};
use crate::types::obligation::LeakResponse;
use crate::types::policy::{CleanupPolicy, RegionLimits};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Worker threads at most: beyond this a number is a mistake, not a wish.
const MAX_WORKERS: usize = 1024;
/// Threads for blocking work unless the program says otherwise.
const BLOCKING_THREADS: usize = 64;

/// Configures a [`Runtime`].
///
/// ```
/// use asupersync::Runtime;
/// let runtime = Runtime::builder().worker_threads(2).thread_name("web").build().unwrap();
/// drop(runtime);
/// assert!(Runtime::builder().worker_threads(0).build().is_err());
/// ```
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder {
    flavour: Flavour,
    workers: Option<usize>,
    blocking: usize,
    streaks: StreakLimits,
    root: RootDefaults,
    name: String,
    hooks: Hooks,
    allow_panic_abort: bool,
    leak_response: LeakResponse,
    capture_panic_location: bool,
}

/// What the root regions of a runtime's programs begin with.
#[derive(Clone, Debug, Default)]
pub(super) struct RootDefaults {
    pub(super) cleanup: Option<CleanupPolicy>,
    pub(super) limits: RegionLimits,
}

impl Builder {
    pub(super) fn new() -> Self {
        Builder {
            flavour: Flavour::MultiThread,
            workers: None,
            blocking: BLOCKING_THREADS,
            streaks: StreakLimits::default(),
            root: RootDefaults::default(),
            name: "asupersync".into(),
            hooks: Hooks::default(),
            allow_panic_abort: false,
            leak_response: LeakResponse::default(),
            capture_panic_location: false,
        }
    }

    /// Runs tasks on `n` threads of the runtime's own; by default one per available core.
    pub fn worker_threads(mut self, n: usize) -> Self {
        self.flavour = Flavour::MultiThread;
        self.workers = Some(n);
        self
    }

    /// Runs all tasks on the thread that is inside `block_on`.
    pub fn current_thread(mut self) -> Self {
        self.flavour = Flavour::CurrentThread;
        self.workers = None;
        self
    }

    /// Bounds the threads for blocking work (64 by default). They are made on
    /// demand and end after 10 idle seconds.
    pub fn blocking_threads(mut self, max: usize) -> Self {
        self.blocking = max;
        self
    }

    /// Says how long tasks that were asked to cancel, or have a deadline, may go
    /// before others; see [`StreakLimits`].
    pub fn streak_limits(mut self, limits: StreakLimits) -> Self {
        self.streaks = limits;
        self
    }

    /// How long cleanup may take in the programs of this runtime, unless their
    /// options or the regions inside say otherwise.
    pub fn cleanup(mut self, policy: CleanupPolicy) -> Self {
        self.root.cleanup = Some(policy);
        self
    }

    /// How many children a region may have in the programs of this runtime, at
    /// the most; regions inside may only lower it.
    pub fn limits(mut self, limits: RegionLimits) -> Self {
        self.root.limits = limits;
        self
    }

    /// Names the threads: `name-w0`, `name-w1`, ... and `name-b1`, ... for blocking work.
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Runs `f` on each worker thread before its first task. With
    /// [`Builder::current_thread`] that is the thread inside `block_on`, at the
    /// beginning of each call that runs tasks. Functions run in the order they
    /// were added; a panic in one is contained.
    pub fn on_worker_start(mut self, f: impl Fn() + Send + Sync + 'static) -> Self {
        self.hooks.on_start(f);
        self
    }

    /// Runs `f` on each worker thread after its last task, in the reverse of
    /// the order in which the functions were added; see [`Builder::on_worker_start`].
    pub fn on_worker_stop(mut self, f: impl Fn() + Send + Sync + 'static) -> Self {
        self.hooks.on_stop(f);
        self
    }

    /// Accepts a program built with `panic = "abort"`, in which the first panic
    /// of any task ends the process.
    pub fn allow_panic_abort(mut self, allow: bool) -> Self {
        self.allow_panic_abort = allow;
        self
    }

    /// What to do about an obligation that its holder forgot; a line on the
    /// error stream by default.
    ///
    /// ```
    /// use asupersync::{Runtime, types::obligation::LeakResponse};
    /// Runtime::builder().leak_response(LeakResponse::Count).build().unwrap();
    /// ```
    pub fn leak_response(mut self, response: LeakResponse) -> Self {
        self.leak_response = response;
        self
    }

    /// Notes where panics happen, for [`PanicPayload::location`]; off by default.
    ///
    /// For this a hook is chained before the process's panic hook, once, and
    /// stays. A hook that is set later replaces it.
    ///
    /// [`PanicPayload::location`]: crate::PanicPayload::location
    pub fn capture_panic_location(mut self, capture: bool) -> Self {
        self.capture_panic_location = capture;
        self
    }

    /// Makes the runtime and starts its workers.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a value that cannot work, [`ErrorKind::Resource`]
    /// when the system refuses a thread or the poller; nothing is left running then.
    pub fn build(self) -> Result<Runtime, Error> {
        let workers = self.workers()?;
        let config = |message: &str| Err(Error::new(ErrorKind::Config, message));
        if self.blocking == 0 {
            return config("blocking_threads must be at least 1, or blocking work could never run");
        }
        let StreakLimits { cancel, timed } = self.streaks;
        if !(1..=StreakLimits::MAX).contains(&cancel) || !(1..=StreakLimits::MAX).contains(&timed) {
            return config("streak_limits must be 1 to 32 each, or a lane could starve");
        }
        if self.name.contains('\0') {
            return config("thread_name must not contain a NUL byte");
        }
        contained(cfg!(panic = "abort"), self.allow_panic_abort)?;
        if self.capture_panic_location {
            crate::exec::panics::capture();
        }
        let blocking = Blocking::new(self.blocking, &self.name);
        let shared = Shared::new(
            self.flavour,
            workers,
            self.streaks,
            Arc::clone(&blocking),
            self.leak_response,
        )
        .map_err(|e| {
            let message = "the system refused a poller; raise the limit on open files";
            Error::new(ErrorKind::Resource, message).with_source(e)
        })?;
        blocking.owner.store(identity(&shared), Ordering::Relaxed);
        let mut runtime = Runtime::assemble(shared, self.hooks, self.root);
        if self.flavour == Flavour::MultiThread {
            for index in 0..workers {
                // On failure the threads made so far are joined as `runtime` is dropped.
                crew::hire(&mut runtime, index, &self.name).map_err(|e| {
                    let message = format!("the system refused worker thread {index} of {workers}");
                    Error::new(ErrorKind::Resource, message).with_source(e)
                })?;
            }
        }
        Ok(runtime)
    }

    fn workers(&self) -> Result<usize, Error> {
        match (self.flavour, self.workers) {
            (Flavour::CurrentThread, _) => Ok(1),
            (Flavour::MultiThread, None) => {
                let cores = std::thread::available_parallelism();
                Ok(cores.map_or(1, |n| n.get().min(MAX_WORKERS)))
            }
            (Flavour::MultiThread, Some(n)) if (1..=MAX_WORKERS).contains(&n) => Ok(n),
            (Flavour::MultiThread, Some(0)) => Err(Error::new(
                ErrorKind::Config,
                "worker_threads must be at least 1; for none of its own use current_thread()",
            )),
            (Flavour::MultiThread, Some(n)) => Err(Error::new(
                ErrorKind::Config,
                format!("worker_threads is {n}; use at most {MAX_WORKERS}"),
            )),
        }
    }
}

/// Whether panics can be contained, or the program says that they need not be.
fn contained(aborts: bool, allowed: bool) -> Result<(), Error> {
    if aborts && !allowed {
        let message = "the program is built with panic = \"abort\", so a panicking task ends \
                       the process; build with panic = \"unwind\" or call allow_panic_abort(true)";
        return Err(Error::new(ErrorKind::Config, message));
    }
    Ok(())
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("flavour", &self.flavour)
            .field("workers", &self.workers)
            .field("blocking", &self.blocking)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_in_which_panics_abort_has_to_say_that_this_is_meant() {
        for (aborts, allowed) in [(false, false), (false, true), (true, true)] {
            assert!(contained(aborts, allowed).is_ok(), "{aborts} {allowed}");
        }
        let e = contained(true, false).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Config);
        assert_eq!(
            e.to_string(),
            "the program is built with panic = \"abort\", so a panicking task ends the process; \
             build with panic = \"unwind\" or call allow_panic_abort(true)"
        );
    }
}
