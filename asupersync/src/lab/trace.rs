//! What a run did: its events in order, and the choices that led to them.
//!
//! A trace names itself by a hash over a canonical form: every event as a fixed
//! sequence of 64-bit words, then the choices. The form contains no address,
//! no hash-map order and no wall-clock time, so equal runs have equal hashes in
//! every process.

use crate::math::rng;
use crate::types::cancel::CancelKind;
use crate::types::event::Event;
use crate::types::id::{ObligationId, RegionId, TaskId};
use crate::types::obligation::{AbortCause, ObligationKind, Resolution};
use crate::types::outcome::Severity;
use crate::types::time::Time;
use std::fmt;

/// An event and its place in the order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceEvent {
    /// How many events came before it.
    pub seq: u64,
    /// The virtual instant.
    pub at: Time,
    /// What happened.
    pub event: Event,
}

impl fmt::Display for TraceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {} {:?}", self.seq, self.at, self.event)
    }
}

/// The record of a run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trace {
    /// The seed of the run.
    pub seed: u64,
    /// Names the rest of the configuration.
    pub config: u64,
    /// Everything that happened, in order.
    pub events: Vec<TraceEvent>,
    /// Every choice that was made between two or more possibilities, as the index of the one taken.
    pub choices: Vec<u32>,
}

impl Trace {
    /// 64 bits that name this trace; equal in every process for equal runs.
    pub fn hash(&self) -> u64 {
        let mut h = rng::absorb(rng::absorb(0, self.seed), self.config);
        for e in &self.events {
            h = rng::absorb(h, e.at.as_nanos());
            let (words, len) = canonical(&e.event);
            for word in &words[..len] {
                h = rng::absorb(h, *word);
            }
        }
        h = rng::absorb(h, self.events.len() as u64);
        for choice in &self.choices {
            h = rng::absorb(h, u64::from(*choice));
        }
        rng::absorb(h, self.choices.len() as u64)
    }

    /// The first place where `other` did something else than this trace.
    pub fn divergence(&self, other: &Trace) -> Option<Divergence> {
        let index = self
            .events
            .iter()
            .zip(&other.events)
            .position(|(a, b)| a != b);
        let index = index.or_else(|| {
            let shorter = self.events.len().min(other.events.len());
            (self.events.len() != other.events.len()).then_some(shorter)
        });
        if let Some(index) = index {
            return Some(Divergence {
                index: index as u64,
                expected: self.events.get(index).copied(),
                got: other.events.get(index).copied(),
            });
        }
        // The same events under other choices: a difference that had no effect yet.
        let end = self.events.len() as u64;
        (self.choices != other.choices).then_some(Divergence {
            index: end,
            expected: None,
            got: None,
        })
    }
}

/// Two runs that should have been equal were not: the program takes time,
/// randomness or I/O from somewhere else than its `Cx`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Divergence {
    /// Index of the first event that differs.
    pub index: u64,
    /// What the recorded run did there; `None` when it had ended.
    pub expected: Option<TraceEvent>,
    /// What the second run did there; `None` when it had ended.
    pub got: Option<TraceEvent>,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |f: &mut fmt::Formatter<'_>, e: &Option<TraceEvent>| match e {
            Some(e) => write!(f, "{e}"),
            None => f.write_str("the end"),
        };
        write!(f, "the runs differ at event {}: recorded ", self.index)?;
        show(f, &self.expected)?;
        f.write_str(", then got ")?;
        show(f, &self.got)?;
        f.write_str("; take time, randomness and I/O only through Cx")
    }
}

/// Words of the longest canonical form.
const WORDS: usize = 6;

/// The event as words: its number in the list below, then its fields.
///
/// The numbers are part of the format: a new variant takes the next free one.
fn canonical(event: &Event) -> ([u64; WORDS], usize) {
    fn form(words: &[u64]) -> ([u64; WORDS], usize) {
        let mut all = [0; WORDS];
        all[..words.len()].copy_from_slice(words);
        (all, words.len())
    }
    match *event {
        Event::RegionOpened {
            region,
            parent,
            opener,
            shielded,
        } => form(&[
            if shielded { 31 } else { 1 },
            of_region(region),
            parent.map_or(u64::MAX, of_region),
            of_task(opener),
        ]),
        Event::RegionCancelled {
            region,
            kind,
            swept,
        } => form(&[if swept { 32 } else { 2 }, of_region(region), of_kind(kind)]),
        Event::CascadeEnded {
            region,
            task,
            fuel,
            reached,
            again,
        } => {
            let [fuel, reached, again] = [fuel, reached, again].map(u64::from);
            form(&[48, of_region(region), of_owner(task), fuel, reached, again])
        }
        Event::RegionHandedOver { region } => form(&[3, of_region(region)]),
        Event::RegionFinalizing { region } => form(&[4, of_region(region)]),
        Event::RegionClosed { region } => form(&[5, of_region(region)]),
        Event::TaskSpawned { task, region } => form(&[6, of_task(task), of_region(region)]),
        Event::TaskPolled { task } => form(&[7, of_task(task)]),
        Event::TaskScheduled { task } => form(&[8, of_task(task)]),
        Event::CancelRequested { task, kind } => form(&[9, of_task(task), of_kind(kind)]),
        Event::CancelObserved { task } => form(&[10, of_task(task)]),
        Event::CancelMasked { task } => form(&[11, of_task(task)]),
        Event::TaskFinalizing { task } => form(&[12, of_task(task)]),
        Event::TaskEscalated { task } => form(&[13, of_task(task)]),
        Event::TaskCompleted {
            task,
            region,
            severity,
        } => form(&[14, of_task(task), of_region(region), of_severity(severity)]),
        Event::ObligationReserved {
            task,
            obligation,
            kind,
        } => form(&[
            15,
            of_task(task),
            of_promise(obligation),
            of_obligation(kind),
        ]),
        Event::ObligationOfRegion {
            task,
            obligation,
            region,
        } => form(&[
            49,
            of_task(task),
            u64::from(obligation.slot()) << 32 | u64::from(obligation.generation()),
            of_region(region),
        ]),
        Event::RegionReturned { region } => form(&[50, of_region(region)]),
        Event::ObligationMoved { from, to, kind } => {
            let of = |(task, obligation)| [of_task(task), of_promise(obligation)];
            let ([a, b], [c, d]) = (of(from), of(to));
            form(&[39, a, b, c, d, of_obligation(kind)])
        }
        Event::ObligationResolved {
            task,
            obligation,
            kind,
            how,
        } => {
            let what = of_obligation(kind) << 8 | of_resolution(how);
            form(&[16, of_task(task), of_promise(obligation), what])
        }
        Event::Deferred {
            region,
            task,
            index,
        } => form(&[33, of_region(region), of_owner(task), u64::from(index)]),
        Event::FinalizerBegan {
            region,
            task,
            index,
        } => form(&[34, of_region(region), of_owner(task), u64::from(index)]),
        Event::FinalizerRan { region } => form(&[17, of_region(region)]),
        Event::StillRunning { region, task } => form(&[30, of_region(region), of_owner(task)]),
        Event::TimerSet { due } => form(&[18, due.as_nanos()]),
        Event::TimerFired { due } => form(&[19, due.as_nanos()]),
        Event::TimerCancelled { due } => form(&[20, due.as_nanos()]),
        Event::Net { conn, what, bytes } => form(&[21, conn, u64::from(what), bytes]),
        Event::EntropyDrawn => form(&[22]),
        Event::RaceJoined { race, region } => form(&[46, race, of_region(region)]),
        Event::RaceReturned { race } => form(&[47, race]),
        Event::Note { task, note } => form(&[23, of_task(task), rng::hash(note.as_bytes())]),
        Event::SocketAwaited => form(&[45]),
        Event::User { task, event } => {
            let name = rng::hash(event.name.as_bytes());
            form(&[40, of_task(task), name, event.value])
        }
        Event::CapsNarrowed { task, from, to } => {
            let sets = u64::from(from.bits()) << 8 | u64::from(to.bits());
            form(&[41, of_task(task), sets])
        }
        Event::EffectAllowed {
            task,
            capability,
            held,
        } => {
            let what = (capability as u64) << 8 | u64::from(held.bits());
            form(&[42, of_task(task), what])
        }
        Event::EffectDenied { task, capability } => form(&[43, of_task(task), capability as u64]),
        Event::ForeignCx { owner, user } => form(&[44, of_task(owner), of_task(user)]),
    }
}

fn of_region(id: RegionId) -> u64 {
    u64::from(id.generation()) << 32 | u64::from(id.slot())
}

fn of_task(id: TaskId) -> u64 {
    u64::from(id.generation()) << 32 | u64::from(id.slot())
}

/// The task whose it is, if it is not its region's.
fn of_owner(task: Option<TaskId>) -> u64 {
    task.map_or(u64::MAX, of_task)
}

fn of_kind(kind: CancelKind) -> u64 {
    match kind {
        CancelKind::User => 0,
        CancelKind::RegionEnd => 1,
        CancelKind::Timeout => 2,
        CancelKind::PollQuota => 3,
        CancelKind::CostQuota => 4,
        CancelKind::FailFast => 5,
        CancelKind::RaceLost => 6,
        CancelKind::LinkBroken => 7,
        CancelKind::ParentCancelled => 8,
        CancelKind::Shutdown => 9,
    }
}

fn of_severity(severity: Severity) -> u64 {
    match severity {
        Severity::Ok => 0,
        Severity::Err => 1,
        Severity::Cancelled => 2,
        Severity::Panicked => 3,
    }
}

fn of_promise(id: ObligationId) -> u64 {
    u64::from(id.slot()) << 32 | u64::from(id.generation())
}

fn of_obligation(kind: ObligationKind) -> u64 {
    match kind {
        ObligationKind::SendPermit => 0,
        ObligationKind::Ack => 1,
        ObligationKind::Reply => 2,
        ObligationKind::Effect => 3,
        ObligationKind::Lease => 4,
        ObligationKind::IoOp => 5,
    }
}

fn of_resolution(how: Resolution) -> u64 {
    match how {
        Resolution::Committed => 0,
        Resolution::Leaked => 1,
        Resolution::Aborted(AbortCause::Cancel) => 2,
        Resolution::Aborted(AbortCause::Error) => 3,
        Resolution::Aborted(AbortCause::Explicit) => 4,
        Resolution::Aborted(AbortCause::Dropped) => 5,
        Resolution::Aborted(AbortCause::Escalated) => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(events: &[Event]) -> Trace {
        let events = events.iter().enumerate();
        let events = events.map(|(i, event)| TraceEvent {
            seq: i as u64,
            at: Time::ZERO,
            event: *event,
        });
        Trace {
            events: events.collect(),
            ..Trace::default()
        }
    }

    #[test]
    fn the_hash_is_pinned() {
        // A change of the format is a change of this number, and of every recorded hash.
        let t = TaskId::new(1, 0);
        let trace = trace(&[
            Event::TaskPolled { task: t },
            Event::Note {
                task: t,
                note: "here",
            },
        ]);
        assert_eq!(trace.hash(), 13_399_118_498_239_289_991);
    }

    #[test]
    fn each_field_of_a_trace_changes_its_hash() {
        let a = trace(&[Event::EntropyDrawn]);
        let others = [
            Trace {
                seed: 1,
                ..a.clone()
            },
            Trace {
                config: 1,
                ..a.clone()
            },
            Trace {
                choices: vec![0],
                ..a.clone()
            },
            trace(&[Event::TimerSet { due: Time::ZERO }]),
            trace(&[Event::EntropyDrawn, Event::EntropyDrawn]),
            trace(&[]),
        ];
        for b in &others {
            assert_ne!(a.hash(), b.hash(), "{b:?}");
        }
    }

    #[test]
    fn divergence_names_the_first_difference() {
        let t = |n| Event::TaskPolled {
            task: TaskId::new(n, 0),
        };
        let a = trace(&[t(0), t(1), t(2)]);
        assert_eq!(a.divergence(&a), None);
        let altered = trace(&[t(0), t(3), t(2)]);
        let d = a.divergence(&altered).expect("they differ");
        assert_eq!((d.index, d.got), (1, Some(altered.events[1])));
        let short = trace(&[t(0), t(1)]);
        let d = a.divergence(&short).expect("they differ");
        assert_eq!((d.index, d.got), (2, None));
    }
}
