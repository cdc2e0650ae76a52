//! The reviewed findings on real crates: well-formed, precise enough, and what `docs/lint-corpus.md` says of them.
//!
//! The run over the crates themselves is `examples/corpus.rs`: it needs their sources in cargo's registry cache.

#[path = "corpus/reviewed.rs"]
mod reviewed;

use asupersync_lint::Level;
use asupersync_lint::rules::find;
use reviewed::{Row, Verdict};
use std::collections::{BTreeMap, BTreeSet};

const PUBLISHED: &str = include_str!("../../docs/lint-corpus.md");

fn rows() -> Vec<Row> {
    reviewed::parse(include_str!("corpus/reviewed.tsv")).unwrap()
}

#[test]
fn every_row_names_a_crate_a_rule_and_one_finding() {
    let crates: BTreeSet<&str> = include_str!("corpus/crates.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    let mut seen = BTreeSet::new();
    for row in rows() {
        let key = &row.key;
        assert!(crates.contains(key.package.as_str()), "{key:?}");
        assert!(find(&key.rule).is_some(), "{key:?}");
        assert_eq!(reviewed::normalised(&key.code), key.code);
        assert!(key.nth >= 1, "{key:?}");
        assert!(seen.insert(key.clone()), "twice: {key:?}");
    }
}

#[test]
fn every_rule_is_as_precise_as_its_level_demands() {
    let rows = rows();
    for (code, tally) in reviewed::by_rule(&rows) {
        let bar = match find(code).unwrap().level {
            Level::Deny => 95.0,
            Level::Warn | Level::Allow => 85.0,
        };
        let precision = tally.precision();
        assert!(
            precision >= bar,
            "{code}: {precision:.1} % is under {bar} %"
        );
    }
}

/// `not false` is easily had. What is plainly true may not fall below what is published, level by level.
#[test]
fn what_is_plainly_true_does_not_fall() {
    let rows = rows();
    let mut levels = BTreeMap::new();
    for row in &rows {
        let level = find(&row.key.rule).unwrap().level.word();
        let tally: &mut reviewed::Tally = levels.entry(level).or_default();
        tally.count(row.verdict);
    }
    for (level, bar) in [("deny", 85.0), ("warn", 71.0)] {
        let strict = levels[level].strict();
        assert!(strict >= bar, "{level}: {strict:.1} % is under {bar} %");
    }
}

#[test]
fn the_published_table_is_the_one_the_rows_give() {
    let table = reviewed::table(&rows(), |code| {
        let rule = find(code).unwrap();
        (rule.name, rule.level.word())
    });
    assert!(
        PUBLISHED.contains(&table),
        "docs/lint-corpus.md is stale; `cargo run -p asupersync-lint --example corpus -- --table` prints:\n{table}"
    );
}

#[test]
fn a_row_that_says_no_verdict_or_no_reason_is_refused() {
    let row = |verdict: &str, why: &str| {
        reviewed::parse(&format!(
            "a-1.0.0\tAS101\tsrc/a.rs\t1\tspawn(x);\tsyn\t{verdict}\t{why}"
        ))
    };
    assert_eq!(row("true", "lost").unwrap()[0].verdict, Verdict::True);
    assert!(row("?", "lost").unwrap_err().contains("line 1"));
    assert!(row("true", " ").is_err());
}

#[test]
fn precision_counts_the_false_and_strictness_the_debatable_too() {
    let mut tally = reviewed::Tally::default();
    for verdict in [
        Verdict::True,
        Verdict::True,
        Verdict::Debatable,
        Verdict::False,
    ] {
        tally.count(verdict);
    }
    assert_eq!(
        (tally.all(), tally.precision(), tally.strict()),
        (4, 75.0, 50.0)
    );
}
