//! Runs programs in a lab: one thread, one step at a time, until the root region has closed.

use super::config::LabConfig;
use super::failure::{LabFailure, SpinReport, WaitReport, since};
use super::net::VirtualNet;
use super::oracle::{Oracle, OracleViolation};
use super::report::{LabReport, repro};
use super::trace::Trace;
use super::world::{LabWorld, Step};
use crate::cx::{Scope, run_root};
use crate::exec::drive::Reported;
use crate::exec::outside::Alone;
use crate::exec::region::RegionOptions;
use crate::exec::root::RootRef;
use crate::types::event::Event;
use crate::types::id::TaskId;
use crate::types::outcome::Severity;
use crate::types::report::RegionReport;
use crate::types::time::Time;
use crate::world::World;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A deterministic world and the means to run programs in it.
///
/// A run is reproduced by its seed, provided the program takes time,
/// randomness and I/O only through its `Cx`. A second run of one lab goes on in
/// the same world: its clock, network and trace continue.
///
/// ```
/// use asupersync::{LabConfig, LabRuntime};
/// use std::time::Duration;
///
/// let lab = LabRuntime::new(LabConfig::default().seed(42));
/// let days = lab.run(async |cx| {
///     let start = cx.now();
///     cx.sleep(Duration::from_secs(30 * 24 * 3600)).await.expect("nobody cancels");
///     (cx.now() - start).as_secs() / 86_400
/// });
/// assert_eq!(days, 30);
/// assert!(lab.check().is_ok());
/// ```
pub struct LabRuntime {
    config: LabConfig,
    world: Arc<LabWorld>,
    last: Mutex<Last>,
}

/// The result of the last run.
#[derive(Default)]
struct Last {
    region: Option<RegionReport>,
    failure: Option<LabFailure>,
}

/// Called after each step that left a task waiting, with the number of such steps before it.
pub(super) type Hook<'a> = &'a mut dyn FnMut(&RootRef, u64, TaskId);

impl LabRuntime {
    /// A world at its beginning.
    pub fn new(config: LabConfig) -> Self {
        let world = Arc::new(LabWorld::new(&config));
        LabRuntime {
            config,
            world,
            last: Mutex::default(),
        }
    }

    /// Runs a program to quiescence.
    ///
    /// A task that ended `Cancelled` is no failure of the run; one that returned
    /// an error to its region or panicked is.
    ///
    /// # Panics
    /// With the report when the run fails in any way that [`LabFailure`] names.
    #[track_caller]
    pub fn run<T>(&self, body: impl AsyncFnOnce(Scope) -> T) -> T {
        match self.try_run(body) {
            Ok(value) => value,
            Err(_) => panic!("{}", self.report()),
        }
    }

    /// Runs a program to quiescence and returns why that failed, if it did.
    ///
    /// # Panics
    /// When an earlier run of this lab has failed: its world is in no state to go on from.
    pub fn try_run<T>(&self, body: impl AsyncFnOnce(Scope) -> T) -> Result<T, LabFailure> {
        self.attempt(body, None)
    }

    /// Runs a program, with a hook between the steps.
    pub(super) fn attempt<T>(
        &self,
        body: impl AsyncFnOnce(Scope) -> T,
        hook: Option<Hook<'_>>,
    ) -> Result<T, LabFailure> {
        assert!(
            self.lock().failure.is_none(),
            "this lab has failed; make another one for another run"
        );
        let _alone = Alone::enter();
        // `select!` draws from its thread, not from the world.
        crate::combine::select::reseed(self.config.seed_in_use());
        let world: Arc<dyn World> = self.world.clone();
        let mut driven = Ok(());
        let reported = run_root(
            &world,
            RegionOptions::named("lab"),
            |scope| body(scope),
            |root| {
                driven = self.drive(root, hook);
                if driven.is_err() {
                    self.tear_down(root);
                }
            },
        );
        self.world.clear();
        let Reported {
            value,
            report,
            panic,
        } = reported;
        let result = match (driven, panic, value) {
            (Err(failure), ..) => Err(failure),
            (Ok(()), Some(panic), _) => Err(LabFailure::BodyPanic(panic)),
            (Ok(()), None, Some(value)) if is_survived(&report) => self
                .world
                .end()
                .map(|()| value)
                .map_err(LabFailure::Violation),
            // A broken law says more than the failure that came of it.
            (Ok(()), None, _) => Err(match self.world.end() {
                Err(violation) => LabFailure::Violation(violation),
                Ok(()) => LabFailure::Region(Box::new(report.clone())),
            }),
        };
        self.lock().region = Some(report);
        if let Err(failure) = &result {
            self.world.fail();
            self.lock().failure = Some(failure.clone());
        }
        result
    }

    fn drive(&self, root: &RootRef, mut hook: Option<Hook<'_>>) -> Result<(), LabFailure> {
        let start = self.world.events();
        let mut suspensions = 0;
        while !root.is_complete() {
            match self.world.step() {
                Step::Task(task) => {
                    let Some(hook) = &mut hook else {
                        task.run();
                        continue;
                    };
                    let id = task.id();
                    let before = self.world.events();
                    task.run();
                    if self.is_waiting(id, before) {
                        hook(root, suspensions, id);
                        suspensions += 1;
                    }
                }
                Step::Job(job) => job(),
                Step::Violated(violation) => return Err(LabFailure::Violation(violation)),
                Step::Stuck => {
                    return Err(LabFailure::Deadlock(self.world.view(|v| {
                        WaitReport::new(v.now, v.steps, v.next_due, since(v.trace, start), root)
                    })));
                }
                Step::Exhausted => {
                    return Err(LabFailure::StepLimit(self.world.view(|v| {
                        SpinReport::new(v.steps, v.now, since(v.trace, start), root)
                    })));
                }
            }
        }
        Ok(())
    }

    /// Whether the task's last poll, which began at event `before`, left it waiting.
    fn is_waiting(&self, id: TaskId, before: usize) -> bool {
        self.world.view(|v| {
            !since(v.trace, before)
                .iter()
                .any(|e| matches!(e.event, Event::TaskCompleted { task, .. } if task == id))
        })
    }

    /// Drops the tasks of a failed run, each at its next poll.
    fn tear_down(&self, root: &RootRef) {
        self.world.fail();
        root.abandon();
        while !root.is_complete() {
            match self.world.step() {
                Step::Task(task) => task.run(),
                Step::Job(job) => job(),
                // Code that can neither run nor be dropped is leaked; the run has failed already.
                Step::Stuck | Step::Exhausted | Step::Violated(_) => return,
            }
        }
    }

    /// Whether every law held so far.
    pub fn check(&self) -> Result<(), OracleViolation> {
        self.world.view(|v| v.oracles.check())
    }

    /// Whether every task completed within its region.
    pub fn task_leak_oracle(&self) -> Result<(), OracleViolation> {
        self.world.view(|v| v.oracles.task_leak.check())
    }

    /// Whether every promise was resolved.
    pub fn obligation_leak_oracle(&self) -> Result<(), OracleViolation> {
        self.world.view(|v| v.oracles.obligation_leak.check())
    }

    /// Whether closed regions were quiet.
    pub fn quiescence_oracle(&self) -> Result<(), OracleViolation> {
        self.world.view(|v| v.oracles.quiescence.check())
    }

    /// Whether no effect happened without its capability, and every task waited through its own `Cx`.
    pub fn capability_use_oracle(&self) -> Result<(), OracleViolation> {
        self.world.view(|v| v.oracles.capability_use.check())
    }

    /// Whether no task sat on a promise while nothing was due that would wake it.
    pub fn futurelock_oracle(&self) -> Result<(), OracleViolation> {
        self.world.view(|v| v.oracles.futurelock.check())
    }

    /// The account of the last run.
    pub fn report(&self) -> LabReport {
        let (region, failure) = {
            let last = self.lock();
            (last.region.clone(), last.failure.clone())
        };
        self.world.view(|v| LabReport {
            seed: v.trace.seed,
            strategy: v.strategy,
            steps: v.steps,
            at: v.now,
            events: v.trace.events.len(),
            choices: v.trace.choices.len(),
            hash: v.trace.hash(),
            region,
            failure,
            repro: repro(v.trace.seed),
        })
    }

    /// Everything that happened so far, and the choices that led to it.
    pub fn trace(&self) -> Trace {
        self.world.view(|v| v.trace.clone())
    }

    /// The network, to disturb it.
    pub fn net(&self) -> &VirtualNet {
        self.world.virtual_net()
    }

    /// Raises a signal of the process for those who listen to it in this lab;
    /// says whether there were any.
    ///
    /// As under `#[asupersync::main]`, SIGTERM and SIGINT are also wishes to stop.
    #[cfg(unix)]
    pub fn raise(&self, signal: crate::signal::SignalKind) -> bool {
        use crate::signal::SignalKind;
        let heard = self.world.signals().raise(signal.as_raw());
        if signal == SignalKind::terminate() || signal == SignalKind::interrupt() {
            self.world.shutdown().signalled(heard);
        }
        heard
    }

    /// Lets the clock move `d` further, when it may not advance on its own
    /// ([`LabConfig::auto_advance`]). It moves when nothing can run, from timer to timer.
    pub fn advance(&self, d: Duration) {
        self.world.advance(d);
    }

    /// Polls and blocking jobs so far.
    pub fn steps(&self) -> u64 {
        self.world.view(|v| v.steps)
    }

    /// The virtual instant.
    pub fn now(&self) -> Time {
        self.world.view(|v| v.now)
    }

    /// What the lab was made from.
    pub fn config(&self) -> &LabConfig {
        &self.config
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether nothing in the root region failed. A cancellation is no failure
/// here: programs under test provoke it, and judge it themselves.
fn is_survived(report: &RegionReport) -> bool {
    matches!(report.severity, Severity::Ok | Severity::Cancelled)
}
