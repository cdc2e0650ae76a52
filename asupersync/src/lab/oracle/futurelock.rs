//! Futurelock: a task that holds a promise is polled again before long, unless
//! it waits for the clock or for the network.
//!
//! A promise keeps others waiting: a place in a channel, a lock, a message to be
//! acknowledged. A holder that nobody polls, and that nothing outside of the
//! program will wake, keeps them waiting for whatever the rest of the program
//! does in the meantime; most often it waits, in a roundabout way, for itself.
//!
//! The rule, for a limit of N steps (1000 by default): a task violates it when N
//! polls of others went by since its own last one, and all that time
//!
//! 1. it had a promise unresolved;
//! 2. it was not runnable, so the strategy is not to blame;
//! 3. no timer set in its polls was pending, and its last poll left no socket
//!    operation waiting.
//!
//! A deadlock in which nobody runs at all is reported as such by the lab.

use super::{Oracle, OracleViolation};
use crate::lab::trace::TraceEvent;
use crate::types::event::Event;
use crate::types::id::{ObligationId, TaskId};
use crate::types::obligation::ObligationKind;
use crate::types::time::Time;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Steps that a holder may go without a poll, unless configured.
pub(in crate::lab) const MAX_IDLE_STEPS: u64 = 1_000;

/// Fires when a task sits on a promise and nothing is due that would wake it.
#[derive(Debug)]
pub struct Futurelock {
    limit: u64,
    steps: u64,
    /// Whose poll was the last to begin.
    running: Option<TaskId>,
    holders: BTreeMap<TaskId, Holder>,
    /// Pending timers and who set them, in the order they were set.
    timers: BTreeMap<Time, VecDeque<TaskId>>,
    /// Tasks whose last poll left a socket operation waiting.
    sockets: BTreeSet<TaskId>,
    notes: BTreeMap<TaskId, &'static str>,
    /// No holder is overdue before this step, so none is looked at.
    look_at: u64,
    violation: Option<OracleViolation>,
}

/// A task with promises to keep.
#[derive(Debug)]
struct Holder {
    promises: BTreeMap<ObligationId, ObligationKind>,
    /// The step up to which nothing can be held against it.
    since: u64,
    runnable: bool,
}

impl Default for Futurelock {
    fn default() -> Self {
        Futurelock::new(MAX_IDLE_STEPS)
    }
}

impl Futurelock {
    /// The oracle of a run that has not begun, with its limit in steps.
    pub const fn new(limit: u64) -> Self {
        Futurelock {
            limit,
            steps: 0,
            running: None,
            holders: BTreeMap::new(),
            timers: BTreeMap::new(),
            sockets: BTreeSet::new(),
            notes: BTreeMap::new(),
            look_at: 0,
            violation: None,
        }
    }

    fn polled(&mut self, seq: u64, task: TaskId) {
        self.steps += 1;
        self.running = Some(task);
        self.sockets.remove(&task);
        if let Some(holder) = self.holders.get_mut(&task) {
            (holder.since, holder.runnable) = (self.steps, false);
        }
        if self.steps >= self.look_at {
            self.look(seq);
        }
    }

    /// Judges every holder, and finds out when the next can be overdue.
    fn look(&mut self, seq: u64) {
        let asleep: BTreeSet<TaskId> = self.timers.values().flatten().copied().collect();
        let mut next = self.steps.saturating_add(self.limit);
        for (task, holder) in &mut self.holders {
            let excused = holder.runnable || asleep.contains(task) || self.sockets.contains(task);
            if excused {
                holder.since = self.steps;
                // It may be without excuse at any later step.
                next = next.min(self.steps + self.limit.div_ceil(8));
                continue;
            }
            let overdue = holder.since.saturating_add(self.limit);
            if self.steps < overdue {
                next = next.min(overdue);
            } else if self.violation.is_none() {
                let what = accuse(*task, holder, self.notes.get(task).copied(), self.limit);
                self.violation = Some(OracleViolation {
                    oracle: NAME,
                    what,
                    event: Some(seq),
                    task: Some(*task),
                    region: None,
                });
            }
        }
        self.look_at = next;
    }

    /// Forgets a timer: one of `prefer`'s if it has one that is due then.
    fn forget_timer(&mut self, due: Time, prefer: Option<TaskId>) {
        let Some(setters) = self.timers.get_mut(&due) else {
            return;
        };
        let own = setters.iter().position(|t| Some(*t) == prefer);
        setters.remove(own.unwrap_or(0));
        if setters.is_empty() {
            self.timers.remove(&due);
        }
    }

    fn holds(&mut self, task: TaskId, obligation: ObligationId, kind: ObligationKind) {
        let holder = self.holders.entry(task).or_insert(Holder {
            promises: BTreeMap::new(),
            since: self.steps,
            runnable: false,
        });
        holder.promises.insert(obligation, kind);
        self.look_at = self.look_at.min(self.steps + self.limit);
    }

    fn lets_go(&mut self, task: TaskId, obligation: ObligationId) {
        if let Some(holder) = self.holders.get_mut(&task) {
            holder.promises.remove(&obligation);
            if holder.promises.is_empty() {
                self.holders.remove(&task);
            }
        }
    }
}

pub(super) const NAME: &str = "futurelock";

fn accuse(task: TaskId, holder: &Holder, note: Option<&'static str>, limit: u64) -> String {
    let kinds: Vec<String> = (holder.promises.iter())
        .map(|(id, kind)| format!("{kind:?} #{}", id.slot()))
        .collect();
    let target = match note {
        Some(note) => format!("something after its note \"{note}\""),
        None => "something it left no checkpoint_note about".to_owned(),
    };
    format!(
        "FuturelockViolation: {task} holds {} and was not polled for {limit} steps; it waits for {target}, which is neither a timer nor a socket; resolve what it holds before it waits for another task",
        kinds.join(", ")
    )
}

impl Oracle for Futurelock {
    fn name(&self) -> &'static str {
        NAME
    }

    fn on(&mut self, e: &TraceEvent) {
        match e.event {
            Event::TaskPolled { task } => self.polled(e.seq, task),
            Event::TaskScheduled { task } => {
                if let Some(holder) = self.holders.get_mut(&task) {
                    holder.runnable = true;
                }
            }
            Event::ObligationReserved {
                task,
                obligation,
                kind,
            } => self.holds(task, obligation, kind),
            Event::ObligationResolved {
                task, obligation, ..
            } => self.lets_go(task, obligation),
            Event::ObligationMoved { from, to, kind } => {
                self.lets_go(from.0, from.1);
                self.holds(to.0, to.1, kind);
            }
            Event::TimerSet { due } => {
                if let Some(task) = self.running {
                    self.timers.entry(due).or_default().push_back(task);
                }
            }
            // Equal instants fire in the order they were set.
            Event::TimerFired { due } => self.forget_timer(due, None),
            // Whoever sets a timer removes it, as a rule.
            Event::TimerCancelled { due } => self.forget_timer(due, self.running),
            Event::SocketAwaited => self.sockets.extend(self.running),
            Event::Note { task, note } => {
                self.notes.insert(task, note);
            }
            Event::TaskCompleted { task, .. } => {
                self.holders.remove(&task);
                self.notes.remove(&task);
                self.sockets.remove(&task);
            }
            _ => {}
        }
    }

    fn end(&mut self) {}

    fn check(&self) -> Result<(), OracleViolation> {
        self.violation.clone().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLDER: TaskId = TaskId::new(1, 0);
    const OTHER: TaskId = TaskId::new(2, 0);
    const LIMIT: u64 = 8;

    /// Which poll of the other task proves it, when the holder's poll did `acts`
    /// and `then` happens after half the limit.
    fn found(acts: &[Event], then: &[Event]) -> Option<u64> {
        let mut oracle = Futurelock::new(LIMIT);
        let mut seq = 0;
        let mut feed = |event: Event| {
            let at = Time::ZERO;
            oracle.on(&TraceEvent { seq, at, event });
            seq += 1;
            oracle.check().is_err()
        };
        feed(Event::TaskPolled { task: HOLDER });
        feed(Event::ObligationReserved {
            task: HOLDER,
            obligation: ObligationId::new(3, 0),
            kind: ObligationKind::Ack,
        });
        for act in acts {
            feed(*act);
        }
        for poll in 1..=10 * LIMIT {
            if poll == LIMIT / 2 {
                for event in then {
                    feed(*event);
                }
            }
            if feed(Event::TaskPolled { task: OTHER }) {
                return Some(poll);
            }
        }
        None
    }

    const fn due(n: u64) -> Time {
        Time::from_nanos(n)
    }

    #[test]
    fn an_idle_holder_is_found_at_the_limit() {
        assert_eq!(found(&[], &[]), Some(LIMIT));
    }

    #[test]
    fn an_excuse_lasts_as_long_as_it_is_one() {
        let timer = |n| Event::TimerSet { due: due(n) };
        let resolved = Event::ObligationResolved {
            task: HOLDER,
            obligation: ObligationId::new(3, 0),
            kind: ObligationKind::Ack,
            how: crate::types::obligation::Resolution::Committed,
        };
        for (what, acts) in [
            ("it sleeps", timer(1)),
            ("it waits for a socket", Event::SocketAwaited),
            ("it is runnable", Event::TaskScheduled { task: HOLDER }),
            ("it holds nothing any more", resolved),
        ] {
            assert_eq!(found(&[acts], &[]), None, "{what}");
        }
        // With the timer gone, it is judged from the last look that still saw it.
        let woken = found(&[timer(1)], &[Event::TimerFired { due: due(1) }]);
        assert!(
            woken.is_some_and(|poll| (LIMIT..=2 * LIMIT).contains(&poll)),
            "{woken:?}"
        );
        let polled = found(&[], &[Event::TaskPolled { task: HOLDER }]);
        assert_eq!(
            polled,
            Some(LIMIT / 2 + LIMIT - 1),
            "a poll begins a new wait"
        );
    }

    #[test]
    fn of_timers_due_at_once_a_task_removes_its_own() {
        let both = [
            Event::TimerSet { due: due(1) },
            Event::TaskPolled { task: OTHER },
            Event::TimerSet { due: due(1) },
            // The other task gives up its sleep: the holder's is still pending.
            Event::TimerCancelled { due: due(1) },
        ];
        assert_eq!(found(&both, &[]), None);
        assert!(found(&both, &[Event::TimerCancelled { due: due(1) }]).is_some());
    }
}
