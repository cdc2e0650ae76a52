//! AS404 `blocking_channel`: a wait for another thread.

use super::{Ask, Heard, Rule, Verdict};
use crate::facts::BLOCKING_CHANNEL;
use crate::finding::Level;
use crate::site::{Runs, Site};

pub(super) static RULE: Rule = Rule {
    code: "AS404",
    name: "blocking_channel",
    level: Level::Warn,
    heard: Heard::OutsideTests,
    summary: "std `recv` and thread `join` in async code",
    what: "Flags a receive from a channel of std, and the join of a thread, in async code outside `spawn_blocking`.",
    why: "Another thread decides how long the call takes. If what it waits for needs this worker, it waits forever.",
    example: r#"async fn next(queue: std::sync::mpsc::Receiver<u32>) -> Option<u32> {
    queue.recv().ok()
}"#,
    instead: r#"async fn next(mut queue: tokio::sync::mpsc::Receiver<u32>) -> Option<u32> {
    queue.recv().await
}"#,
    asks: &[Ask::Calls {
        watches: || BLOCKING_CHANNEL.to_vec(),
        check,
    }],
};

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    if site.runs() != Runs::Async {
        return None;
    }
    let (owner, name) = site.callee.rsplit_once("::").unwrap_or(("", site.callee));
    let owner = owner.rsplit("::").next().unwrap_or(owner);
    Some(Verdict {
        message: format!("`{owner}::{name}` waits for another thread on the executor's thread"),
        label: "blocks in async code".to_owned(),
        why: "every other task on this thread waits too, perhaps the one this waits for".to_owned(),
        help: "use an async channel, or move the wait into `spawn_blocking`".to_owned(),
        fix: None,
    })
}
