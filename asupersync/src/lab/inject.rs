//! Cancels a program at each of its await points in turn, and sees whether it survives.
//!
//! A recording run counts the points: the k-th time that any task suspends. Then
//! there is one run per point, equal to the recording up to that point, with
//! the fault injected there and all oracles on. What a clean report shows is
//! survival at every await point *of that schedule*; other seeds give others.

use super::config::{LabConfig, pinned};
use super::failure::LabFailure;
use super::report::repro;
use super::run::LabRuntime;
use crate::cx::Scope;
use crate::math::rng::Rng;
use crate::types::cancel::{CancelKind, CancelReason};
use crate::types::id::TaskId;
use crate::types::outcome::Severity;
use std::fmt;

/// The variable that pins the point at which the injector injects.
const POINT_VARIABLE: &str = "ASUPERSYNC_POINT";

/// What happens at a point.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Inject {
    /// The task that has just suspended is asked to cancel.
    Protocol,
    /// The root region is cancelled with `Shutdown`.
    Root,
    /// The future of the task that has just suspended is dropped, as by
    /// escalation. The body of the run, which nobody can drop, is passed over.
    Drop,
}

/// At which points.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Points {
    /// At each.
    All,
    /// At these, counted from zero.
    Only(Vec<u64>),
    /// At `n` of them, drawn by `seed`.
    Sample {
        /// How many.
        n: usize,
        /// From which they are drawn.
        seed: u64,
    },
}

/// Injects faults into a program; chainable.
///
/// ```
/// use asupersync::lab::{Inject, Injector, Points};
/// use asupersync::{LabConfig, Scope};
/// use std::time::Duration;
///
/// let report = Injector::new(LabConfig::default()).mode(Inject::Protocol).points(Points::All).check(
///     async |cx: Scope| {
///         cx.spawn(async |cx| {
///             let _ = cx.sleep(Duration::from_secs(1)).await;
///         });
///     },
/// );
/// assert!(report.is_ok(), "{report}");
/// ```
#[derive(Clone, Debug)]
pub struct Injector {
    config: LabConfig,
    mode: Inject,
    points: Points,
}

impl Injector {
    /// Injects [`Inject::Protocol`] at all points of the run of this configuration.
    pub fn new(config: LabConfig) -> Self {
        Injector {
            config,
            mode: Inject::Protocol,
            points: Points::All,
        }
    }

    /// What to inject.
    #[must_use]
    pub fn mode(mut self, mode: Inject) -> Self {
        self.mode = mode;
        self
    }

    /// Where to inject.
    #[must_use]
    pub fn points(mut self, points: Points) -> Self {
        self.points = points;
        self
    }

    /// Runs the program once as it is, and once per point.
    ///
    /// A run fails by a panic, a deadlock, a broken law, too many steps, or,
    /// when it was asked to cancel, by code that had to be dropped because it
    /// did not react within its cleanup budget. A body that returns, with
    /// whatever value, survives.
    ///
    /// # Panics
    /// When `ASUPERSYNC_POINT`, which pins the point, is set and is not a number.
    pub fn check<T>(&self, body: impl AsyncFn(Scope) -> T) -> InjectReport {
        let mut points = 0;
        let recording = LabRuntime::new(self.config.clone());
        let recorded =
            recording.attempt(async |cx| body(cx).await, Some(&mut |_, _, _| points += 1));
        let mut report = InjectReport {
            mode: self.mode,
            points,
            runs: 1,
            failures: Vec::new(),
        };
        if let Err(failure) = recorded {
            let what = format!("without injection: {failure}");
            report.failures.push(InjectFailure {
                point: None,
                task: None,
                what,
                repro: recording.report().repro,
            });
            return report;
        }
        for point in self.chosen(points) {
            let lab = LabRuntime::new(self.config.clone());
            let mut target = None;
            let result = lab.attempt(
                async |cx| body(cx).await,
                Some(&mut |root, k, task| {
                    if k != point {
                        return;
                    }
                    let reason = |kind| {
                        CancelReason::new(kind).with_message(format!("injected at point {point}"))
                    };
                    let hit = match self.mode {
                        Inject::Protocol => root.cancel_task(task, reason(CancelKind::User)),
                        Inject::Root => {
                            root.cancel(reason(CancelKind::Shutdown));
                            true
                        }
                        Inject::Drop => task != root.task() && root.drop_task(task),
                    };
                    target = hit.then_some(task);
                }),
            );
            let Some(task) = target else { continue };
            report.runs += 1;
            if let Some(what) = self.fault(&lab, result.err()) {
                let repro = format!("{POINT_VARIABLE}={point} {}", repro(lab.report().seed));
                report.failures.push(InjectFailure {
                    point: Some(point),
                    task: Some(task),
                    what,
                    repro,
                });
            }
        }
        report
    }

    /// What is wrong with a run into which something was injected.
    fn fault(&self, lab: &LabRuntime, failure: Option<LabFailure>) -> Option<String> {
        match failure {
            // That something of the program ended early is what we asked for.
            Some(LabFailure::Region(report)) => {
                (report.severity == Severity::Panicked).then(|| report.to_string())
            }
            Some(failure) => Some(failure.to_string()),
            None => {
                let region = lab.report().region.filter(|_| self.mode != Inject::Drop)?;
                region
                    .abandoned
                    .first()
                    .map(|a| format!("did not react to the request: {a}"))
            }
        }
    }

    fn chosen(&self, points: u64) -> Vec<u64> {
        if let Some(point) = pinned(POINT_VARIABLE) {
            return vec![point];
        }
        match &self.points {
            Points::All => (0..points).collect(),
            Points::Only(only) => only.clone(),
            Points::Sample { n, seed } => {
                let mut rng = Rng::stream(*seed, "points");
                let mut all: Vec<u64> = (0..points).collect();
                let n = (*n).min(all.len());
                for i in 0..n {
                    let left = u32::try_from(all.len() - i).unwrap_or(u32::MAX);
                    all.swap(i, i + rng.below(left) as usize);
                }
                all.truncate(n);
                all.sort_unstable();
                all
            }
        }
    }
}

/// What the injector found.
#[derive(Clone, Debug)]
#[must_use = "the report says whether the program survived"]
pub struct InjectReport {
    /// What was injected.
    pub mode: Inject,
    /// Await points of the recorded run.
    pub points: u64,
    /// Runs that were made: the recording, and one per point that was hit.
    pub runs: u64,
    /// The points that the program did not survive, in order.
    pub failures: Vec<InjectFailure>,
}

/// A point that the program did not survive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InjectFailure {
    /// Which one; `None` when the program fails without injection.
    pub point: Option<u64>,
    /// The task that had just suspended.
    pub task: Option<TaskId>,
    /// What went wrong.
    pub what: String,
    /// The line that runs it again.
    pub repro: String,
}

impl InjectReport {
    /// Whether the program survived everywhere.
    pub fn is_ok(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for InjectReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InjectReport {
            mode,
            points,
            runs,
            failures,
        } = self;
        write!(
            f,
            "{mode:?} at {points} await points, {runs} runs, {} failures",
            failures.len()
        )?;
        for failure in failures {
            write!(f, "\n{failure}")?;
        }
        Ok(())
    }
}

impl fmt::Display for InjectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(point), Some(task)) = (self.point, self.task) {
            write!(f, "at point {point}, in {task}: ")?;
        }
        write!(f, "{}\n  re-run with: {}", self.what, self.repro)
    }
}
