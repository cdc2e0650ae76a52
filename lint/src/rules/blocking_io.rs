//! AS402 `blocking_io`: I/O that holds the executor.

use super::{Ask, Heard, Rule, Verdict};
use crate::facts::BLOCKING_IO;
use crate::finding::Level;
use crate::site::{Runs, Site};

pub(super) static RULE: Rule = Rule {
    code: "AS402",
    name: "blocking_io",
    level: Level::Warn,
    heard: Heard::OutsideTests,
    summary: "`std::fs`, `std::net`, stdin in async code",
    what: "Flags blocking file, network and standard input calls of std in async code outside `spawn_blocking`.",
    why: "A disk or a peer decides how long the call takes, and every other task of the worker waits with it.",
    example: r#"async fn config() -> std::io::Result<String> {
    std::fs::read_to_string("app.toml")
}"#,
    instead: r#"async fn config() -> std::io::Result<String> {
    tokio::fs::read_to_string("app.toml").await
}"#,
    asks: &[Ask::Calls {
        watches: || BLOCKING_IO.to_vec(),
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
        message: format!("`{owner}::{name}` blocks the executor's thread"),
        label: "blocking I/O in async code".to_owned(),
        why: "every other task on this thread waits for the disk or the peer".to_owned(),
        help: "use the runtime's own I/O, or move the call into `spawn_blocking`".to_owned(),
        fix: None,
    })
}
