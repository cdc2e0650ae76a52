//! AS405 `nested_block_on`: an executor inside an executor.

use super::{Ask, Heard, Rule, Verdict};
use crate::facts::BLOCK_ON;
use crate::finding::Level;
use crate::site::{Runs, Site};

pub(super) static RULE: Rule = Rule {
    code: "AS405",
    name: "nested_block_on",
    level: Level::Deny,
    heard: Heard::OutsideTests,
    summary: "`block_on` inside async code",
    what: "Flags `block_on` of a runtime, handle or executor in async code outside `spawn_blocking`.",
    why: "tokio panics when a runtime is entered from within a runtime; other executors hold the thread until the inner future is done, and wait forever if it needs that thread.",
    example: r#"async fn total(handle: tokio::runtime::Handle) -> u32 {
    handle.block_on(async { 1 + 1 })
}"#,
    instead: r#"async fn total() -> u32 {
    async { 1 + 1 }.await
}"#,
    asks: &[Ask::Calls {
        watches: || BLOCK_ON.to_vec(),
        check,
    }],
};

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    if site.runs() != Runs::Async {
        return None;
    }
    Some(Verdict {
        message: "`block_on` in async code".to_owned(),
        label: "runs a second executor on the thread of the first".to_owned(),
        why: "tokio panics here, and other executors stall every task of the thread".to_owned(),
        help: "await the future, or move the call into `spawn_blocking`".to_owned(),
        fix: None,
    })
}
