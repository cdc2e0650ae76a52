//! What a region says when it has closed.

use super::cancel::CancelReason;
use super::id::{RegionId, TaskId};
use super::obligation::ObligationKind;
use super::outcome::Severity;
use super::policy::Name;
use super::time::Time;
use std::fmt;
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
    /// Why it was cancelled, when that is how it ended.
    pub reason: Option<CancelReason>,
}

/// What it took to bring a region to rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DrainStats {
    /// When cancellation was first requested.
    pub requested: Option<Time>,
    /// When the region closed.
    pub closed: Time,
    /// Tasks that were alive when cancellation was requested.
    pub alive: u64,
    /// Tasks dropped because their cleanup budget was spent.
    pub escalations: u64,
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
    /// What was promised.
    pub kind: ObligationKind,
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
}

impl RegionReport {
    /// Children that ended, however they did.
    pub fn ended(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.stopped
    }

    /// Children that were still alive when the region closed: always none, by construction.
    pub fn is_ok(&self) -> bool {
        self.severity == Severity::Ok
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
        if let Some(note) = self.last_checkpoint {
            write!(f, ", last checkpoint \"{note}\"")?;
        }
        Ok(())
    }
}
