//! The ways a run fails, each with what one needs to know about it.

use super::oracle::OracleViolation;
use super::trace::{Divergence, Trace};
use crate::exec::root::RootRef;
use crate::types::cancel::CancelKind;
use crate::types::event::Event;
use crate::types::id::{ObligationId, RegionId, TaskId};
use crate::types::obligation::ObligationKind;
use crate::types::outcome::PanicPayload;
use crate::types::policy::Name;
use crate::types::report::RegionReport;
use crate::types::time::Time;
use std::collections::BTreeMap;
use std::fmt;

/// Tasks and regions named in a report; further ones are only counted.
const MAX_NAMED: usize = 32;
/// Polls looked back on to find out who spins.
const SPIN_WINDOW: usize = 1_000;

/// Why a run failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabFailure {
    /// The run used up its steps: a livelock, or a limit that is too small.
    #[error("{0}")]
    StepLimit(SpinReport),
    /// The program waits and nothing can happen any more.
    #[error("{0}")]
    Deadlock(WaitReport),
    /// A law was broken.
    #[error("{0}")]
    Violation(OracleViolation),
    /// The body of the run panicked.
    #[error("the body panicked: {0}")]
    BodyPanic(PanicPayload),
    /// A task of the root region failed or panicked, or the body was dropped.
    #[error("the run ended badly: {0}")]
    Region(Box<RegionReport>),
    /// A replay did something else than the recorded run.
    #[error("{0}")]
    NonDeterminism(Divergence),
}

/// What waits, and for how long nothing will happen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WaitReport {
    /// The virtual instant.
    pub at: Time,
    /// Steps until then.
    pub steps: u64,
    /// When the next timer is due; only a clock that may not advance leaves one.
    pub next_timer: Option<Time>,
    /// The tasks that wait, at most 32.
    pub waiting: Vec<Waiting>,
    /// How many tasks wait.
    pub count: usize,
}

/// A task that waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// Which task.
    pub task: TaskId,
    /// Its name.
    pub name: Name,
    /// Its region; `None` for the body of the run.
    pub region: Option<RegionId>,
    /// Since when it has not run; `None` when it never did.
    pub since: Option<Time>,
    /// Why it was asked to cancel, if it was.
    pub asked: Option<CancelKind>,
    /// What it has promised and not resolved.
    pub promises: Vec<ObligationKind>,
    /// The last note it left.
    pub note: Option<&'static str>,
}

/// Who ran when the steps were used up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpinReport {
    /// Steps that were allowed.
    pub steps: u64,
    /// The virtual instant.
    pub at: Time,
    /// Tasks that ran last and how often, the busiest first; at most 32.
    pub spinning: Vec<(TaskId, Name, usize)>,
}

impl WaitReport {
    pub(super) fn new(
        at: Time,
        steps: u64,
        next_timer: Option<Time>,
        run: &[super::TraceEvent],
        root: &RootRef,
    ) -> Self {
        let mut tasks = waiting(run, root);
        let count = tasks.len();
        tasks.truncate(MAX_NAMED);
        WaitReport {
            at,
            steps,
            next_timer,
            waiting: tasks,
            count,
        }
    }
}

impl SpinReport {
    pub(super) fn new(steps: u64, at: Time, run: &[super::TraceEvent], root: &RootRef) -> Self {
        let names: BTreeMap<TaskId, Name> = root
            .live_tasks()
            .into_iter()
            .map(|t| (t.id, t.name))
            .collect();
        let polled = run.iter().rev().filter_map(|e| match e.event {
            Event::TaskPolled { task } => Some(task),
            _ => None,
        });
        let mut counts = BTreeMap::new();
        polled
            .take(SPIN_WINDOW)
            .for_each(|task| *counts.entry(task).or_insert(0) += 1);
        let named = counts
            .into_iter()
            .map(|(t, n)| (t, names.get(&t).cloned().unwrap_or_default(), n));
        let mut spinning: Vec<_> = named.collect();
        spinning.sort_by_key(|(_, _, n)| std::cmp::Reverse(*n));
        spinning.truncate(MAX_NAMED);
        SpinReport {
            steps,
            at,
            spinning,
        }
    }
}

/// The live tasks, with what the events say about them.
fn waiting(run: &[super::TraceEvent], root: &RootRef) -> Vec<Waiting> {
    let new = |task, name| Waiting {
        task,
        name,
        region: None,
        since: None,
        asked: None,
        promises: Vec::new(),
        note: None,
    };
    let mut live = BTreeMap::from([(root.task(), new(root.task(), Name::from("body of the run")))]);
    live.extend(
        root.live_tasks()
            .into_iter()
            .map(|t| (t.id, new(t.id, t.name))),
    );
    let mut promises: BTreeMap<(TaskId, ObligationId), ObligationKind> = BTreeMap::new();
    for e in run {
        match e.event {
            Event::TaskSpawned { task, region } => {
                live.entry(task).and_modify(|w| w.region = Some(region));
            }
            Event::TaskPolled { task } => {
                live.entry(task).and_modify(|w| w.since = Some(e.at));
            }
            Event::CancelRequested { task, kind } => {
                live.entry(task).and_modify(|w| w.asked = Some(kind));
            }
            Event::Note { task, note } => {
                live.entry(task).and_modify(|w| w.note = Some(note));
            }
            Event::ObligationReserved {
                task,
                obligation,
                kind,
            } => {
                promises.insert((task, obligation), kind);
            }
            Event::ObligationResolved {
                task, obligation, ..
            } => {
                promises.remove(&(task, obligation));
            }
            Event::ObligationMoved { from, to, kind } => {
                promises.remove(&from);
                promises.insert(to, kind);
            }
            _ => {}
        }
    }
    for ((task, _), kind) in promises {
        live.entry(task).and_modify(|w| w.promises.push(kind));
    }
    live.into_values().collect()
}

impl fmt::Display for WaitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "deadlock at {} after {} steps: nothing can run",
            self.at, self.steps
        )?;
        match self.next_timer {
            None => f.write_str(" and no timer is set")?,
            Some(due) => write!(
                f,
                " and the clock may not advance to the next timer at {due}; call LabRuntime::advance"
            )?,
        }
        for w in &self.waiting {
            write!(f, "\n  {w}")?;
        }
        if self.count > self.waiting.len() {
            write!(f, "\n  and {} more tasks", self.count - self.waiting.len())?;
        }
        Ok(())
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.task)?;
        if !self.name.is_none() {
            write!(f, " \"{}\"", self.name)?;
        }
        if let Some(region) = self.region {
            write!(f, " in {region}")?;
        }
        match self.since {
            Some(at) => write!(f, " waits since {at}")?,
            None => f.write_str(" has never run")?,
        }
        if let Some(kind) = self.asked {
            write!(f, ", asked to cancel ({kind:?})")?;
        }
        if !self.promises.is_empty() {
            write!(f, ", holds {:?}", self.promises)?;
        }
        if let Some(note) = self.note {
            write!(f, ", last note \"{note}\"")?;
        }
        Ok(())
    }
}

impl fmt::Display for SpinReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no end after {} steps, at {}: a livelock, or LabConfig::max_steps is too small; ran last:",
            self.steps, self.at
        )?;
        for (task, name, polls) in &self.spinning {
            write!(f, "\n  {task}")?;
            if !name.is_none() {
                write!(f, " \"{name}\"")?;
            }
            write!(f, ", {polls} polls")?;
        }
        Ok(())
    }
}

/// The events of a trace from an index on.
pub(super) fn since(trace: &Trace, start: usize) -> &[super::TraceEvent] {
    trace.events.get(start..).unwrap_or_default()
}
