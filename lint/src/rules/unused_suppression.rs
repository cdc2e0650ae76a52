//! AS902 `unused_suppression`: a suppression that hides nothing.

use super::{Heard, Rule};
use crate::finding::Level;

pub(super) static RULE: Rule = Rule {
    code: "AS902",
    name: "unused_suppression",
    level: Level::Warn,
    heard: Heard::Everywhere,
    summary: "a suppression that hides nothing",
    what: "Flags a suppression under which its rule finds nothing, or which names a rule that does not exist.",
    why: "It would silently hide the next finding in that place.",
    example: r#"async fn start() {
    // asupersync-lint: allow(AS101, reason = "fire and forget")
    let _ = tokio::spawn(async {}).await;
}"#,
    instead: r#"async fn start() {
    let _ = tokio::spawn(async {}).await;
}"#,
    asks: &[],
};
