//! The rules, in one table. `--explain`, `docs/lint-rules.md`, default levels and suppression names derive from it.
//!
//! A rule is a file: its documentation, the calls it watches and what it says of one of them.

mod abort_without_join;
mod ambient_time;
mod bare_suppression;
mod blocking_channel;
mod blocking_io;
mod blocking_process;
mod blocking_sleep;
mod cancel_unsafe_select;
mod cancel_unsafe_timeout;
mod detached_spawn;
mod detaching_wrapper;
mod handle_scope_dropped;
mod nested_block_on;
mod queue_position_loss;
mod send_in_select;
mod timeout_on_handle;
mod unbounded_channel;
mod unused_suppression;
mod zero_sleep;

use crate::finding::Level;
use crate::site::Site;
use std::fmt::Write as _;

/// One rule.
pub struct Rule {
    /// `AS101`
    pub code: &'static str,
    /// `detached_spawn`
    pub name: &'static str,
    /// The level without configuration.
    pub level: Level,
    /// What it flags, in half a sentence.
    pub summary: &'static str,
    /// What it does.
    pub what: &'static str,
    /// Why that is bad.
    pub why: &'static str,
    /// A program it fires on.
    pub example: &'static str,
    /// The same program as it should be.
    pub instead: &'static str,
    /// The canonical paths whose calls it is asked about.
    pub(crate) watches: fn() -> Vec<&'static str>,
    /// What it says of a call.
    pub(crate) check: fn(&Site<'_, '_, '_>) -> Option<Verdict>,
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.code, self.name)
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code
    }
}

/// What a rule says of one call.
pub(crate) struct Verdict {
    /// The first line.
    pub(crate) message: String,
    /// What stands under the marked code.
    pub(crate) label: String,
    /// What goes wrong.
    pub(crate) why: String,
    /// What to do.
    pub(crate) help: String,
}

/// Every rule, by code.
pub const RULES: &[&Rule] = &[
    &detached_spawn::RULE,
    &handle_scope_dropped::RULE,
    &abort_without_join::RULE,
    &detaching_wrapper::RULE,
    &timeout_on_handle::RULE,
    &cancel_unsafe_select::RULE,
    &send_in_select::RULE,
    &queue_position_loss::RULE,
    &cancel_unsafe_timeout::RULE,
    &ambient_time::RULE,
    &zero_sleep::RULE,
    &blocking_sleep::RULE,
    &blocking_io::RULE,
    &blocking_process::RULE,
    &blocking_channel::RULE,
    &nested_block_on::RULE,
    &unbounded_channel::RULE,
    &bare_suppression::RULE,
    &unused_suppression::RULE,
];

/// The rule of a code or name: `AS101`, `detached_spawn`, `asupersync::detached_spawn`.
pub fn find(word: &str) -> Option<&'static Rule> {
    let word = word.trim();
    let word = word.strip_prefix("asupersync::").unwrap_or(word);
    RULES
        .iter()
        .copied()
        .find(|rule| rule.code.eq_ignore_ascii_case(word) || rule.name == word)
}

/// The rules about suppressions themselves.
pub(crate) fn bare_suppression() -> &'static Rule {
    &bare_suppression::RULE
}

/// See [`bare_suppression`].
pub(crate) fn unused_suppression() -> &'static Rule {
    &unused_suppression::RULE
}

/// For rules that are not about calls.
fn no_calls() -> Vec<&'static str> {
    Vec::new()
}

fn no_verdict(_: &Site<'_, '_, '_>) -> Option<Verdict> {
    None
}

/// The explanation of a rule, as `--explain` prints it.
pub fn explain(rule: &Rule) -> String {
    let mut text = String::new();
    let _ = write!(
        text,
        "{} asupersync::{} ({} by default)\n\n### What it does\n\n{}\n\n### Why is this bad\n\n{}\n\n### Example\n\n```rust\n{}\n```\n\n### Use instead\n\n```rust\n{}\n```\n",
        rule.code,
        rule.name,
        rule.level.word(),
        rule.what.trim(),
        rule.why.trim(),
        rule.example.trim(),
        rule.instead.trim(),
    );
    text
}

/// The reference of all rules, as `docs/lint-rules.md` holds it.
pub fn reference() -> String {
    let mut text = String::from(
        "# Lint rules\n\nGenerated from the rule table of `asupersync-lint`; `cargo asupersync-lint --explain CODE` prints one entry.\n\n\
         | code | name | flags | level |\n|---|---|---|---|\n",
    );
    for rule in RULES {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            rule.code,
            rule.name,
            rule.summary,
            rule.level.word()
        );
    }
    for rule in RULES {
        let _ = write!(text, "\n## {}", explain(rule));
    }
    text
}
