//! What a drain looks like from outside: a label for humans, by the trend of
//! how much is left.
//!
//! | left now | compared with an earlier look | label |
//! |---|---|---|
//! | nothing | - | Done |
//! | something | there is none, or it is too recent to tell | Progressing |
//! | something | no less | Stuck |
//! | something | less; at this rate done in time | Progressing |
//! | something | less; at this rate too late | Slow |
//!
//! A heuristic: nothing follows from a label. Nothing is measured between two
//! looks, so a drain that nobody looks at costs nothing.

use crate::types::report::DrainLabel;
use crate::types::time::Time;
use std::time::Duration;

/// How much of a drain was left at an instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Look {
    /// When.
    pub at: Time,
    /// Live tasks, open regions and finalizers that have not run.
    pub left: u64,
}

/// Labels a drain that should be over at `due`. A drain may stand still for
/// `patience` without being called stuck.
pub fn label(before: Option<Look>, now: Look, due: Time, patience: Duration) -> DrainLabel {
    if now.left == 0 {
        return DrainLabel::Done;
    }
    let Some(before) = before else {
        return DrainLabel::Progressing;
    };
    let took = now.at.since(before.at);
    let fell = before.left.saturating_sub(now.left);
    if fell == 0 {
        return if took < patience {
            DrainLabel::Progressing
        } else {
            DrainLabel::Stuck
        };
    }
    let needed = took.as_nanos() * u128::from(now.left) / u128::from(fell);
    if needed > due.since(now.at).as_nanos() {
        DrainLabel::Slow
    } else {
        DrainLabel::Progressing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds() {
        let look = |ms, left| Look {
            at: Time::ZERO + Duration::from_millis(ms),
            left,
        };
        let due = Time::ZERO + Duration::from_millis(1_000);
        let patience = Duration::from_millis(100);
        for (before, now, expected) in [
            (None, look(0, 0), DrainLabel::Done),
            (Some(look(0, 5)), look(900, 0), DrainLabel::Done),
            (None, look(0, 5), DrainLabel::Progressing),
            (Some(look(0, 5)), look(99, 5), DrainLabel::Progressing),
            (Some(look(0, 5)), look(100, 5), DrainLabel::Stuck),
            (Some(look(0, 5)), look(100, 6), DrainLabel::Stuck),
            (Some(look(0, 10)), look(500, 5), DrainLabel::Progressing),
            (Some(look(0, 10)), look(501, 5), DrainLabel::Slow),
            (Some(look(0, 10)), look(2_000, 1), DrainLabel::Slow),
        ] {
            let label = label(before, now, due, patience);
            assert_eq!(label, expected, "{before:?} {now:?}");
        }
    }
}
