//! AS502 `refcell_across_await`: a borrow of a `RefCell` over an `.await`.

use super::sync_lock_across_await::guard_over_await;
use super::{Ask, Heard, Recode, Rule, Verdict};
use crate::finding::Level;
use crate::point::{Flag, Point};

pub(super) static RULE: Rule = Rule {
    code: "AS502",
    name: "refcell_across_await",
    level: Level::Deny,
    heard: Heard::OutsideTests,
    summary: "a `Ref` or `RefMut` of a `RefCell` over an `.await`",
    what: "Flags a borrow of a `RefCell` that is alive while the code awaits. This is `clippy::await_holding_refcell_ref`; where the compiler does not look, borrows bound to a name are found by their type.",
    why: "While the task is suspended any other task of the thread may run, and panics if it borrows the same cell.",
    example: r#"use std::cell::RefCell;

async fn add(total: &RefCell<u32>) {
    let mut total = total.borrow_mut();
    *total += fetch().await;
}
async fn fetch() -> u32 {
    1
}"#,
    instead: r#"use std::cell::RefCell;

async fn add(total: &RefCell<u32>) {
    let more = fetch().await;
    *total.borrow_mut() += more;
}
async fn fetch() -> u32 {
    1
}"#,
    asks: &[Ask::Lint {
        name: "clippy::await_holding_refcell_ref",
        recode: Recode::All {
            verdict: |_| verdict(),
            fix: |_, _| None,
            yields_to: &[],
        },
        alone,
    }],
};

fn verdict() -> Verdict {
    Verdict {
        message: "a borrow of a `RefCell` is held over an `.await`".to_owned(),
        label: "still borrowed when the task is suspended".to_owned(),
        why: "another task of this thread that borrows the cell meanwhile panics".to_owned(),
        help: "end the borrow before the await: take out what is needed, or put the result back after it"
            .to_owned(),
        fix: None,
    }
}

fn alone(point: &Point<'_, '_, '_>) -> Vec<Flag> {
    guard_over_await(point, |ty, _| {
        matches!(ty.path(), Some("std::cell::Ref" | "std::cell::RefMut"))
    })
    .map(|range| Flag {
        range,
        verdict: verdict(),
    })
    .into_iter()
    .collect()
}
