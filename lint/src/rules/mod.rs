//! The rules, in one table. `--explain`, `docs/lint-rules.md`, default levels and suppression names derive from it.
//!
//! A rule is a file: its documentation, the calls it watches and what it says of one of them.

mod abort_without_join;
mod ambient_random_env;
mod ambient_time;
mod async_yields_handle;
mod await_in_stream_consumer;
mod bare_suppression;
mod biased_starvation;
mod blocking_channel;
mod blocking_configured;
mod blocking_io;
mod blocking_process;
mod blocking_sleep;
mod cancel_swallowed;
mod cancel_unsafe_select;
mod cancel_unsafe_timeout;
mod cancel_unsafe_transitive;
mod constant_absolute_deadline;
mod control_flow_across_region;
mod detached_spawn;
mod detaching_wrapper;
mod futurelock;
mod guard_across_await;
mod handle_scope_dropped;
mod ignored_outcome;
mod large_future;
mod let_underscore_future;
mod long_sleep;
mod loop_no_checkpoint;
mod nested_block_on;
mod queue_position_loss;
mod refcell_across_await;
mod scope_no_checkpoint;
mod send_in_select;
mod sleep_poll_loop;
mod state_torn_across_await;
mod sync_lock_across_await;
mod timeout_on_handle;
mod timeout_param;
mod unbounded_channel;
mod unheard_assertion;
mod unresolved_obligation;
mod unsafe_cleanup_await;
mod unused_async;
mod unused_suppression;
mod zero_sleep;

use crate::finding::{Fix, Level};
use crate::point::{Flag, Point};
use crate::site::Site;
use asupersync_source::load::SourceFile;
use std::fmt::Write as _;
use std::ops::Range;

/// One rule.
pub struct Rule {
    /// `AS101`
    pub code: &'static str,
    /// `detached_spawn`
    pub name: &'static str,
    /// The level without configuration.
    pub level: Level,
    /// Where it has that level.
    pub heard: Heard,
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
    /// What it is asked about.
    pub(crate) asks: &'static [Ask],
}

/// Where a rule's findings are worth a reader's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Whatever the code is for.
    Everywhere,
    /// In what ships. The rule is about what outlives its owner, holds up others or takes real time; a test, example or benchmark ends
    /// with its process, has nobody to hold up and waits for real things. There the level is at most that of `tests` in the configuration,
    /// `allow` unless set.
    OutsideTests,
    /// In test code only.
    InTests,
    /// In packages that depend on the runtime, whose lab can run them, and wherever the rule's level was set by name; in their tests
    /// only where the file names the lab.
    InLab,
}

impl Heard {
    /// In half a sentence, for the explanation of a rule; nothing to say of a rule that is heard everywhere.
    fn words(self) -> &'static str {
        match self {
            Heard::Everywhere => "",
            Heard::OutsideTests => {
                "; in tests, examples and benchmarks at most the level of `tests`, which is allow unless set"
            }
            Heard::InTests => "; in tests only",
            Heard::InLab => {
                "; only in packages that depend on `asupersync`, and of their tests in those under the lab, unless its level is set"
            }
        }
    }
}

/// What a rule is asked about, and how it answers.
pub(crate) enum Ask {
    /// Calls of certain functions.
    Calls {
        /// Their canonical paths.
        watches: fn() -> Vec<&'static str>,
        /// What the rule says of one.
        check: fn(&Site<'_, '_, '_>) -> Option<Verdict>,
    },
    /// Every function, `let`, expression and `select!`. Syntax settles the question, so no compiler has to confirm the answer.
    Points(fn(&Point<'_, '_, '_>) -> Vec<Flag>),
    /// What a lint of clippy reports.
    Lint {
        /// `clippy::await_holding_lock`
        name: &'static str,
        /// What becomes of a report.
        recode: Recode,
        /// What syntax can tell where the compiler did not look.
        alone: fn(&Point<'_, '_, '_>) -> Vec<Flag>,
    },
}

/// How a report of clippy becomes a finding.
pub(crate) enum Recode {
    /// Every report, with words of ours.
    All {
        /// The words, from clippy's first line.
        verdict: fn(&str) -> Verdict,
        /// Edits that resolve a report about these bytes.
        fix: fn(&SourceFile, Range<usize>) -> Option<Fix>,
        /// Rules that say more about the same code.
        yields_to: &'static [&'static str],
    },
    /// The reports about the pattern of a `let` that the rule agrees with.
    Let(fn(&Point<'_, '_, '_>, &str) -> Option<Verdict>),
    /// The reports about whole functions, told at their names.
    Function(fn(&str) -> Verdict),
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
    /// Edits that do it.
    pub(crate) fix: Option<Fix>,
}

/// Every rule, by code.
pub const RULES: &[&Rule] = &[
    &detached_spawn::RULE,
    &handle_scope_dropped::RULE,
    &abort_without_join::RULE,
    &detaching_wrapper::RULE,
    &timeout_on_handle::RULE,
    &async_yields_handle::RULE,
    &let_underscore_future::RULE,
    &unheard_assertion::RULE,
    &cancel_unsafe_select::RULE,
    &send_in_select::RULE,
    &queue_position_loss::RULE,
    &cancel_unsafe_timeout::RULE,
    &cancel_unsafe_transitive::RULE,
    &futurelock::RULE,
    &await_in_stream_consumer::RULE,
    &state_torn_across_await::RULE,
    &unsafe_cleanup_await::RULE,
    &cancel_swallowed::RULE,
    &biased_starvation::RULE,
    &control_flow_across_region::RULE,
    &ambient_time::RULE,
    &ambient_random_env::RULE,
    &sleep_poll_loop::RULE,
    &zero_sleep::RULE,
    &long_sleep::RULE,
    &timeout_param::RULE,
    &scope_no_checkpoint::RULE,
    &loop_no_checkpoint::RULE,
    &constant_absolute_deadline::RULE,
    &blocking_sleep::RULE,
    &blocking_io::RULE,
    &blocking_process::RULE,
    &blocking_channel::RULE,
    &nested_block_on::RULE,
    &blocking_configured::RULE,
    &sync_lock_across_await::RULE,
    &refcell_across_await::RULE,
    &guard_across_await::RULE,
    &unbounded_channel::RULE,
    &large_future::RULE,
    &unused_async::RULE,
    &unresolved_obligation::RULE,
    &ignored_outcome::RULE,
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

/// Every path whose calls some rule is asked about, markers included.
pub(crate) fn watched() -> Vec<&'static str> {
    let asks = RULES.iter().flat_map(|rule| rule.asks);
    asks.filter_map(|ask| match ask {
        Ask::Calls { watches, .. } => Some(watches()),
        _ => None,
    })
    .flatten()
    .collect()
}

/// Every lint of clippy that some rule reports under its own name.
pub(crate) fn clippy_lints() -> Vec<&'static str> {
    let asks = RULES.iter().flat_map(|rule| rule.asks);
    asks.filter_map(|ask| match ask {
        Ask::Lint { name, .. } => Some(*name),
        _ => None,
    })
    .collect()
}

/// The rule that the user's list of blocking functions turns on.
pub(crate) fn blocking_configured() -> &'static Rule {
    &blocking_configured::RULE
}

/// The rules about suppressions themselves.
pub(crate) fn bare_suppression() -> &'static Rule {
    &bare_suppression::RULE
}

/// See [`bare_suppression`].
pub(crate) fn unused_suppression() -> &'static Rule {
    &unused_suppression::RULE
}

/// The explanation of a rule, as `--explain` prints it.
pub fn explain(rule: &Rule) -> String {
    let mut text = String::new();
    let _ = write!(
        text,
        "{} asupersync::{} ({} by default{})\n\n### What it does\n\n{}\n\n### Why is this bad\n\n{}\n\n### Example\n\n```rust\n{}\n```\n\n### Use instead\n\n```rust\n{}\n```\n",
        rule.code,
        rule.name,
        rule.level.word(),
        rule.heard.words(),
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
