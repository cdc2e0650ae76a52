//! AS406 `blocking_configured`: a call that the user's own list says blocks.

use super::{Ask, Heard, Rule, Verdict};
use crate::facts::BLOCKING_CONFIGURED;
use crate::finding::Level;
use crate::site::{Runs, Site};

pub(super) static RULE: Rule = Rule {
    code: "AS406",
    name: "blocking_configured",
    level: Level::Allow,
    heard: Heard::OutsideTests,
    summary: "a call of a function that the configuration lists as blocking",
    what: "Flags a call, in async code outside `spawn_blocking`, of a function listed under `blocking` in `[workspace.metadata.asupersync-lint]` or the package's table. The list turns the rule on; by default it is empty.",
    why: "Which functions of a project or its libraries hold the thread - a database driver, a compression routine, a native library - only its authors know. Once written down, a call in async code is found like any other that blocks.",
    example: r#"// blocking = ["example::checksum"]
fn checksum(data: &[u8]) -> u64 {
    data.iter().map(|byte| u64::from(*byte)).sum()
}
async fn verify(data: Vec<u8>) -> u64 {
    checksum(&data)
}"#,
    instead: r#"// blocking = ["example::checksum"]
fn checksum(data: &[u8]) -> u64 {
    data.iter().map(|byte| u64::from(*byte)).sum()
}
async fn verify(data: Vec<u8>) -> u64 {
    tokio::task::spawn_blocking(move || checksum(&data)).await.unwrap_or(0)
}"#,
    asks: &[Ask::Calls {
        watches: || vec![BLOCKING_CONFIGURED],
        check,
    }],
};

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    if site.runs() != Runs::Async {
        return None;
    }
    Some(Verdict {
        message: format!("`{}` blocks, says the configuration", site.last_name()),
        label: "blocks in async code".to_owned(),
        why: "every other task on this thread waits until it is done".to_owned(),
        help: "move the call into `spawn_blocking`".to_owned(),
        fix: None,
    })
}
