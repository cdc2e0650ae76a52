//! What a region tells: its report, how its drain goes, and who does not react.

use super::lock;
use super::region::{Child, Ledger, RegionCell};
use super::state;
use super::task::TaskRef;
use crate::kernel::drain::{self, Look};
use crate::types::event::Event;
use crate::types::outcome::Severity;
use crate::types::report::{
    Abandoned, Doing, DrainLabel, DrainStats, Failure, LeakRecord, MAX_FAILURES, RegionReport,
    Stuck,
};
use crate::types::time::Time;
use std::sync::Arc;
use std::time::Duration;

/// A drain may stand still this long before it is called stuck.
const PATIENCE: Duration = Duration::from_secs(1);

impl RegionCell {
    pub(crate) fn add_failure(&self, f: Failure) {
        lock(&self.ledger).record.fail(f);
    }

    pub(crate) fn add_abandoned(&self, a: Abandoned) {
        let mut ledger = lock(&self.ledger);
        ledger.escalations += 1;
        if ledger.abandoned.len() < MAX_FAILURES {
            ledger.abandoned.push(a);
        }
    }

    pub(crate) fn add_leak(&self, l: LeakRecord) {
        let mut ledger = lock(&self.ledger);
        if ledger.leaks.len() < MAX_FAILURES {
            ledger.leaks.push(l);
        }
    }

    /// Live tasks in and below this region, counted by walking the tree.
    pub(crate) fn count_live(self: &Arc<Self>) -> usize {
        let mut live = 0;
        self.walk(|_, tasks| live += tasks.iter().filter(|t| !t.is_complete()).count());
        live
    }

    /// The account of the region, which is Closed.
    pub(crate) fn report(&self) -> RegionReport {
        self.account(DrainLabel::Done, Vec::new())
    }

    /// The account of a region that is left before it is Closed, and who keeps
    /// it. What is in this account will not be in a later one.
    pub(crate) fn unfinished_report(self: &Arc<Self>, patience: Duration) -> RegionReport {
        let label = self.look(patience).label;
        let stuck = self.stuck();
        let mut report = self.account(label, stuck);
        report.quiescent = false;
        report
    }

    fn account(&self, label: DrainLabel, stuck: Vec<Stuck>) -> RegionReport {
        let now = self.tree.world.now();
        let mut ledger = lock(&self.ledger);
        let drain = stats(&ledger, now, label);
        let record = &mut ledger.record;
        for f in &mut record.failures {
            if let (Severity::Cancelled, Some(reason)) = (f.severity, &f.reason) {
                f.message = reason.to_string();
            }
        }
        let primary = record.primary().cloned();
        let mut report = RegionReport {
            region: self.id,
            name: self.name.clone(),
            severity: record.severity(),
            primary,
            failures: std::mem::take(&mut record.failures),
            counts: record.counts,
            stopped: record.stopped,
            reason: record.reason.as_deref().cloned(),
            drain,
            leaks: std::mem::take(&mut ledger.leaks),
            abandoned: std::mem::take(&mut ledger.abandoned),
            quiescent: true,
            stuck,
        };
        drop(ledger);
        report.failures.sort_by_key(Failure::place);
        report
    }

    /// How the drain goes.
    pub(crate) fn drain_stats(self: &Arc<Self>) -> DrainStats {
        self.look(PATIENCE)
    }

    /// Compares what is left with the last look that is at least `patience` old.
    fn look(self: &Arc<Self>, patience: Duration) -> DrainStats {
        let at = self.tree.world.now();
        let mut left = 0;
        self.walk(|finalizers, tasks| left += (1 + tasks.len() + finalizers) as u64);
        let mut ledger = lock(&self.ledger);
        if ledger.record.is_closed() {
            left = 0;
        }
        let now = Look { at, left };
        let due = ledger.asked.limits.meet(ledger.body_limits).deadline;
        let [older, newer] = ledger.looked;
        let old = newer.is_none_or(|l| at.since(l.at) >= patience);
        let label = drain::label(
            if old { newer } else { older.or(newer) },
            now,
            due,
            patience,
        );
        if old {
            ledger.looked = [newer, Some(now)];
        }
        stats(&ledger, at, label)
    }

    /// Who is alive in and below this region, at most [`MAX_FAILURES`] of them.
    fn stuck(self: &Arc<Self>) -> Vec<Stuck> {
        let now = self.tree.world.now();
        let mut stuck = Vec::new();
        self.walk(|_, tasks| {
            let room = MAX_FAILURES - stuck.len();
            let live = tasks.iter().filter(|t| !t.is_complete() && !t.is_driver());
            stuck.extend(live.take(room).map(|t| stuck_task(t, now)));
        });
        stuck
    }

    /// Visits the region and those below it with the number of finalizers and the
    /// tasks of each, one lock at a time and none during a visit.
    fn walk(self: &Arc<Self>, mut visit: impl FnMut(usize, &[TaskRef])) {
        let mut regions = vec![self.clone()];
        while let Some(region) = regions.pop() {
            let mut tasks = Vec::new();
            let ledger = lock(&region.ledger);
            for child in ledger.children.iter() {
                match child {
                    Child::Task(task) => tasks.push(task.clone()),
                    Child::Region(sub) => regions.push(sub.clone()),
                }
            }
            let finalizers = ledger.finalizers.len();
            drop(ledger);
            visit(finalizers, &tasks);
        }
    }

    /// Says that code of this region goes on although its cleanup budget is spent.
    pub(crate) fn tell_stuck(&self, stuck: &Stuck) {
        self.emit(|| Event::StillRunning {
            region: self.id,
            task: stuck.task,
        });
        self.tree.world.warn(&format_args!("{stuck}"));
    }

    /// As [`RegionCell::tell_stuck`], for the region's body or a finalizer.
    pub(crate) fn tell_stuck_body(&self, name: crate::types::policy::Name) {
        let now = self.tree.world.now();
        let requested = lock(&self.ledger).record.requested;
        let last_checkpoint = self
            .opener()
            .and_then(|o| o.peek_control(|c| c.record.note).flatten());
        self.tell_stuck(&Stuck {
            task: None,
            name,
            region: self.id,
            last_checkpoint,
            after: now.since(requested.unwrap_or(now)),
            doing: Doing::Waiting,
        });
    }
}

/// A live task, as a report names it.
pub(crate) fn stuck_task(task: &TaskRef, now: Time) -> Stuck {
    let seen = task.peek_control(|c| (c.name.clone(), c.record.note, c.record.asked.since));
    let (name, last_checkpoint, requested) = seen.unwrap_or_default();
    let requested = requested.or_else(|| lock(&task.region().ledger).record.requested);
    let bits = task.state();
    Stuck {
        task: Some(task.id()),
        name,
        region: task.region().id,
        last_checkpoint,
        after: now.since(requested.unwrap_or(now)),
        doing: if bits & state::PINNED != 0 {
            Doing::Blocking
        } else if bits & state::RUNNING != 0 {
            Doing::Polling
        } else {
            Doing::Waiting
        },
    }
}

fn stats(ledger: &Ledger, at: Time, label: DrainLabel) -> DrainStats {
    DrainStats {
        requested: ledger.record.requested,
        closed: at,
        alive: ledger.record.alive_at_request,
        escalations: ledger.escalations,
        label,
    }
}
