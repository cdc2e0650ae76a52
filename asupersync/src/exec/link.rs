//! Links: when one task ends badly, the other is asked to cancel, or told.
//!
//! A link stands in the control of both tasks, as an entry that names the other
//! and the place of the twin entry there. A task that ends takes its entries
//! out, and each twin with it; whoever takes an entry out acts on it, so a link
//! acts once. A link made to a task that has ended acts at once, by the same
//! rule: the maker sees that the task is complete, and settles it again.

use super::cancel;
use super::state;
use super::task::TaskRef;
use crate::types::cancel::{CancelKind, CancelReason};
use crate::types::id::TaskId;
use crate::types::outcome::Severity;
use crate::types::policy::Name;
use crate::types::slots::Key;
use crate::types::time::Time;

/// What a task does when the one it is linked to ends badly.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum OnExit {
    /// It is asked to cancel, with `LinkBroken`.
    #[default]
    Follow,
    /// It is told: the [`Exit`] is kept for its
    /// [`Cx::linked_exit`](crate::Cx::linked_exit).
    Notify,
    /// Nothing.
    Ignore,
}

/// The bad end of a linked task, for a task that wants to be told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Exit {
    /// Who ended; `None` for a task that was refused, and never began.
    pub task: Option<TaskId>,
    /// Its name.
    pub name: Name,
    /// How badly.
    pub severity: Severity,
    /// Why it had been asked to cancel, if it was cancelled.
    pub reason: Option<CancelReason>,
    /// When this was learned: at its end, or when a link to it was made after that.
    pub at: Time,
}

/// One side of a link.
pub(crate) struct Entry {
    peer: TaskRef,
    /// Where the peer's entry is; unknown while the link is being made.
    twin: Option<Key>,
    /// What the peer does when this side ends badly.
    peer_does: OnExit,
}

/// Links two tasks; `a_does` when `b` ends badly, and the other way round.
/// Returns the place of the entry of `a`.
pub(crate) fn link(a: &TaskRef, b: &TaskRef, a_does: OnExit, b_does: OnExit) -> Key {
    let entry = |peer: &TaskRef, twin, peer_does| Entry {
        peer: peer.clone(),
        twin,
        peer_does,
    };
    let here = entry(b, None, b_does);
    let here = a.with_control(|c| c.links.insert(here));
    let there = entry(a, Some(here), a_does);
    let there = b.with_control(|c| c.links.insert(there));
    a.with_control(|c| {
        if let Some(entry) = c.links.get_mut(here) {
            entry.twin = Some(there);
        }
    });
    for end in [b, a] {
        if end.is_complete() {
            let late = end.with_control(|c| c.links.drain());
            part(end, late);
        }
    }
    here
}

/// Takes a link out again, from the side of `a`.
pub(crate) fn unlink(a: &TaskRef, here: Key) {
    let entry = a.peek_control(|c| c.links.remove(here)).flatten();
    let twin = entry.as_ref().and_then(remove_twin);
    drop((entry, twin));
}

fn remove_twin(entry: &Entry) -> Option<Entry> {
    let twin = entry.twin?;
    entry.peer.peek_control(|c| c.links.remove(twin)).flatten()
}

/// The task is complete, and these links were taken out of it: they act if it ended badly.
pub(crate) fn part(task: &TaskRef, entries: Vec<Entry>) {
    for entry in entries {
        drop(remove_twin(&entry));
        let Some(severity) = ended_badly(task) else {
            continue;
        };
        match entry.peer_does {
            OnExit::Follow => cancel::cancel_task(&entry.peer, broken(task, severity)),
            OnExit::Notify => {
                let reason = task.reason().filter(|_| severity == Severity::Cancelled);
                let exit = Exit {
                    task: Some(task.id()),
                    name: task.name(),
                    severity,
                    reason: reason.map(|r| CancelReason::clone(&r)),
                    at: task.region().tree.world.now(),
                };
                tell(&entry.peer, exit);
            }
            OnExit::Ignore => {}
        }
    }
}

/// Keeps an exit for a task, and wakes it if it may wait for one. A task has one
/// of each link at the most.
pub(crate) fn tell(task: &TaskRef, exit: Exit) {
    if task.is_complete() {
        return;
    }
    task.with_control(|c| c.exits.push(exit));
    // As for a request: a combinator in between may have handed out wakers of its own.
    task.wake_for_cancel();
}

/// The exit that comes first of those a task was told of: by time, then by task.
pub(crate) fn take_exit(task: &TaskRef) -> Option<Exit> {
    let taken = task.peek_control(|c| {
        let all = c.exits.iter().enumerate();
        let (first, _) = all.min_by_key(|(_, exit)| (exit.at, exit.task))?;
        Some(c.exits.remove(first))
    });
    taken.flatten()
}

/// How badly a complete task ended; `None` for an end that breaks no link.
fn ended_badly(task: &TaskRef) -> Option<Severity> {
    let ended = state::severity(task.state());
    let bad = [Severity::Err, Severity::Cancelled, Severity::Panicked];
    bad.into_iter().find(|bad| *bad as u8 == ended)
}

/// The request that the bad end of a task makes to those linked to it.
fn broken(task: &TaskRef, severity: Severity) -> CancelReason {
    let how = match severity {
        Severity::Ok | Severity::Err => "failed",
        Severity::Cancelled => "was cancelled",
        Severity::Panicked => "panicked",
    };
    let mut reason =
        CancelReason::new(CancelKind::LinkBroken).with_message(format!("the linked task {how}"));
    reason.task = Some(task.id());
    reason.region = Some(task.region().id);
    match task.reason() {
        Some(cause) if severity == Severity::Cancelled => reason.caused_by(cause),
        _ => reason,
    }
}
