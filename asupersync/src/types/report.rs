//! What a region says when it has closed.

use super::cancel::CancelReason;
use super::id::{RegionId, TaskId};
use super::obligation::ObligationKind;
use super::outcome::Severity;
use super::policy::Name;
use super::time::Time;
use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Failures a report keeps in full; further ones are only counted.
pub const MAX_FAILURES: usize = 64;

/// The account of a closed region.
#[derive(Clone, Debug)]
pub struct RegionReport {
    /// Which region.
    pub region: RegionId,
    /// Its name.
    pub name: Name,
    /// The worst end of its children and of its body, stops and race losers aside.
    pub severity: Severity,
    /// The failure that caused the others, if any.
    pub primary: Option<Failure>,
    /// Failures in order of completion, at most 64.
    pub failures: Vec<Failure>,
    /// Ends of children by severity: Ok, Err, Cancelled, Panicked.
    pub counts: [u64; 4],
    /// Children that ended because the region was ended on purpose, or lost a race.
    pub stopped: u64,
    /// Why the region was cancelled, if it was.
    pub reason: Option<CancelReason>,
    /// What draining took.
    pub drain: DrainStats,
    /// Obligations that were still reserved when their holder completed, at most 64.
    pub leaks: Vec<LeakRecord>,
    /// Code that had to be dropped because it did not react in its cleanup budget, at most 64.
    pub abandoned: Vec<Abandoned>,
    /// Whether the region had closed. It has not only in a `RegionCloseTimeout`.
    pub quiescent: bool,
    /// Who kept a region from closing that is not quiescent, at most 64.
    pub stuck: Vec<Stuck>,
}

/// One bad end.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The task, or `None` for the region's body or a finalizer.
    pub task: Option<TaskId>,
    /// The task's name.
    pub name: Name,
    /// How bad.
    pub severity: Severity,
    /// When it completed.
    pub at: Time,
    /// What it said.
    pub message: String,
    /// The request to cancel that it ended with, or had seen before it ended badly
    /// in another way: it may follow from what caused the request.
    pub reason: Option<CancelReason>,
    /// The task's error, when no handle was left to take it.
    pub value: Option<FailureValue>,
}

/// An error that nobody was left to take. Clones share it: who takes it first has it.
///
/// ```
/// use asupersync::{RegionError, Runtime, Scope};
///
/// let runtime = Runtime::builder().current_thread().build().unwrap();
/// let ended = runtime.block_on(async |cx: Scope| {
///     cx.try_spawn(async |_| Err::<(), _>(std::io::Error::other("out of paper")));
/// });
/// let Err(RegionError::Ended(report)) = ended else { panic!("a task failed") };
/// let value = report.primary.and_then(|primary| primary.value).unwrap();
/// assert_eq!(value.take::<std::io::Error>().unwrap().to_string(), "out of paper");
/// ```
#[derive(Clone)]
pub struct FailureValue(Arc<Mutex<Option<Box<dyn Any + Send>>>>);

impl FailureValue {
    /// Keeps an error.
    pub(crate) fn new(e: impl Any + Send) -> Self {
        FailureValue(Arc::new(Mutex::new(Some(Box::new(e)))))
    }

    /// Takes the error, if it is an `E` and nobody has taken it.
    pub fn take<E: Any>(&self) -> Option<E> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = kept.take()?;
        match taken.downcast::<E>() {
            Ok(e) => Some(*e),
            Err(other) => {
                *kept = Some(other);
                None
            }
        }
    }
}

impl fmt::Debug for FailureValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailureValue").finish_non_exhaustive()
    }
}

/// What it took to bring a region to rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DrainStats {
    /// When cancellation was first requested.
    pub requested: Option<Time>,
    /// When the region closed; when it was looked at, if it has not.
    pub closed: Time,
    /// Tasks that were alive when cancellation was requested.
    pub alive: u64,
    /// Tasks dropped because their cleanup budget was spent.
    pub escalations: u64,
    /// How it goes.
    pub label: DrainLabel,
}

/// How a drain goes, by the trend of how much is left: live tasks, open regions
/// and finalizers, here and below. A heuristic for humans.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum DrainLabel {
    /// Less and less is left, and at this rate it is over before the cleanup
    /// budget is; or it is too early to tell.
    Progressing,
    /// Less and less is left, but at this rate the budget will not do.
    Slow,
    /// As much is left as before.
    Stuck,
    /// Nothing is left.
    #[default]
    Done,
}

impl Failure {
    /// Its place among the failures of a region: by time, and at one instant
    /// tasks by id before bodies and finalizers, which often only pass on what a
    /// task has told them.
    pub(crate) fn place(&self) -> (Time, bool, Option<TaskId>) {
        (self.at, self.task.is_none(), self.task)
    }
}

impl DrainStats {
    /// Time from the request to quiescence.
    pub fn took(&self) -> Option<Duration> {
        self.requested.map(|at| self.closed.since(at))
    }
}

/// An obligation that outlived its holder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeakRecord {
    /// The holder.
    pub task: TaskId,
    /// The holder's name.
    pub name: Name,
    /// The holder's region.
    pub region: RegionId,
    /// What was promised.
    pub kind: ObligationKind,
}

impl fmt::Display for LeakRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ObligationLeak detected: {:?} held by {}",
            self.kind, self.task
        )?;
        if !self.name.is_none() {
            write!(f, " \"{}\"", self.name)?;
        }
        write!(
            f,
            " of {} was not resolved when its holder ended",
            self.region
        )
    }
}

/// Code that was dropped because it did not react to cancellation in time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Abandoned {
    /// The task, or `None` for a region's body or a finalizer.
    pub task: Option<TaskId>,
    /// Its name.
    pub name: Name,
    /// Its region.
    pub region: RegionId,
    /// The note of its last checkpoint.
    pub last_checkpoint: Option<&'static str>,
    /// Time from the request to the drop.
    pub after: Duration,
    /// How much of that was beyond the cleanup budget, waiting for a poll to return.
    pub overdue: Duration,
    /// Whether it had seen the request, and was cleaning up.
    pub seen: bool,
    /// What it had promised and not done; its drop aborts them.
    pub held: Vec<ObligationKind>,
}

/// Code that keeps a region from closing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stuck {
    /// The task, or `None` for a region's body or a finalizer.
    pub task: Option<TaskId>,
    /// Its name.
    pub name: Name,
    /// Its region.
    pub region: RegionId,
    /// The note of its last checkpoint.
    pub last_checkpoint: Option<&'static str>,
    /// Time since it was asked to end.
    pub after: Duration,
    /// What it is at.
    pub doing: Doing,
}

/// What code that does not end is at.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Doing {
    /// It waits for something.
    Waiting,
    /// It has not returned from a poll: it computes, blocks its thread, or spins.
    Polling,
    /// It runs on the blocking pool, or waits to.
    Blocking,
}

impl RegionReport {
    /// Children that ended, however they did.
    pub fn ended(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.stopped
    }

    /// Whether nothing went wrong, and the region is quiescent.
    pub fn is_ok(&self) -> bool {
        self.severity == Severity::Ok && self.quiescent
    }
}

impl fmt::Display for RegionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [ok, err, cancelled, panicked] = self.counts;
        write!(f, "region {}", self.region)?;
        if !self.name.is_none() {
            write!(f, " \"{}\"", self.name)?;
        }
        write!(
            f,
            ": {:?}; children: {ok} ok, {err} failed, {cancelled} cancelled, {panicked} panicked, {} stopped",
            self.severity, self.stopped
        )?;
        if let Some(took) = self.drain.took() {
            write!(f, "; drained {} tasks in {took:?}", self.drain.alive)?;
        }
        if let Some(p) = &self.primary {
            write!(f, "; primary: {p}")?;
        }
        for a in &self.abandoned {
            write!(f, "; abandoned: {a}")?;
        }
        for s in &self.stuck {
            write!(f, "; not ended: {s}")?;
        }
        for l in &self.leaks {
            write!(
                f,
                "; leaked: {:?} held by {} \"{}\"",
                l.kind, l.task, l.name
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.task {
            Some(task) => write!(f, "{task}")?,
            None => f.write_str("body")?,
        }
        if !self.name.is_none() {
            write!(f, " \"{}\"", self.name)?;
        }
        write!(f, " {:?}: {}", self.severity, self.message)
    }
}

impl fmt::Display for Abandoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.task {
            Some(task) => write!(f, "{task}")?,
            None => write!(f, "body of {}", self.region)?,
        }
        if !self.name.is_none() {
            write!(f, " \"{}\"", self.name)?;
        }
        write!(f, " dropped {:?} after the request", self.after)?;
        if !self.overdue.is_zero() {
            write!(f, ", {:?} of it beyond its budget", self.overdue)?;
        }
        if let Some(note) = self.last_checkpoint {
            write!(f, ", last checkpoint \"{note}\"")?;
        }
        if !self.held.is_empty() {
            write!(f, ", holding {:?}", self.held)?;
        }
        Ok(())
    }
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.task {
            Some(task) => write!(f, "{task}")?,
            None => f.write_str("code of the body")?,
        }
        if !self.name.is_none() {
            write!(f, " \"{}\"", self.name)?;
        }
        let doing = match self.doing {
            Doing::Waiting => "waits",
            Doing::Polling => "has not returned from its poll",
            Doing::Blocking => "is on the blocking pool",
        };
        write!(
            f,
            " of {} {doing} {:?} after it was asked to end",
            self.region, self.after
        )?;
        if let Some(note) = self.last_checkpoint {
            write!(f, ", last checkpoint \"{note}\"")?;
        }
        Ok(())
    }
}
