//! AS901 `bare_suppression`: a suppression that does not say why.

use super::{Heard, Rule};
use crate::finding::Level;

pub(super) static RULE: Rule = Rule {
    code: "AS901",
    name: "bare_suppression",
    level: Level::Warn,
    heard: Heard::Everywhere,
    summary: "a suppression with no reason",
    what: "Flags a suppression of this linter that gives no `reason`.",
    why: "The next reader cannot tell a decision from an oversight, nor when the suppression may go.",
    example: r#"fn start() {
    // asupersync-lint: allow(AS101)
    tokio::spawn(async {});
}"#,
    instead: r#"fn start() {
    // asupersync-lint: allow(AS101, reason = "lives as long as the process, which has no shutdown")
    tokio::spawn(async {});
}"#,
    asks: &[],
};
