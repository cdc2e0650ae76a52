//! Links: when one task ends badly, the other is asked to cancel.
//!
//! A link stands in the control of both tasks, as an entry that names the other
//! and the place of the twin entry there. A task that ends takes its entries
//! out, and each twin with it; whoever takes an entry out acts on it, so a link
//! acts once. A link made to a task that has ended acts at once, by the same
//! rule: the maker sees that the task is complete, and settles it again.

use super::cancel;
use super::task::TaskRef;
use crate::types::cancel::{CancelKind, CancelReason};
use crate::types::outcome::Severity;
use crate::types::slots::Key;
use std::sync::atomic::Ordering;

/// What a task does when the one it is linked to ends badly.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum OnExit {
    /// It is asked to cancel, with `LinkBroken`.
    #[default]
    Follow,
    /// Nothing.
    Ignore,
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
        if let (OnExit::Follow, Some(reason)) = (entry.peer_does, broken(task)) {
            cancel::cancel_task(&entry.peer, reason);
        }
    }
}

/// The request that the bad end of a task makes to those linked to it.
fn broken(task: &TaskRef) -> Option<CancelReason> {
    let how = match task.head().ended.load(Ordering::Acquire) {
        bad if bad == Severity::Err as u8 => "failed",
        bad if bad == Severity::Cancelled as u8 => "was cancelled",
        bad if bad == Severity::Panicked as u8 => "panicked",
        _ => return None,
    };
    let mut reason =
        CancelReason::new(CancelKind::LinkBroken).with_message(format!("the linked task {how}"));
    reason.task = Some(task.id());
    reason.region = Some(task.region().id);
    Some(match task.reason() {
        Some(cause) if how == "was cancelled" => reason.caused_by(cause),
        _ => reason,
    })
}
