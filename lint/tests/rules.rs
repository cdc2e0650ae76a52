//! The rule table: every example fires its rule and every replacement is clean, and the generated reference is current.

use asupersync_lint::rules::{self, RULES};
use asupersync_lint::{Level, Options, lint_source};
use std::path::Path;

/// Rules that only the compiler can answer; their examples are built with those of `agreement.rs`.
const COMPILED_ONLY: &[&str] = &["AS602"];

/// The codes of the rules that fire on a text, with a rule turned on that may be off by default.
fn codes(rule: &rules::Rule, text: &str) -> Vec<&'static str> {
    let options = Options {
        levels: vec![(rule.code.to_owned(), Level::Warn)],
        blocking: vec!["example::checksum".to_owned()],
        ..Options::default()
    };
    let report = lint_source("example.rs", text, &options).unwrap();
    report.findings.iter().map(|one| one.rule.code).collect()
}

#[test]
fn every_example_fires_and_every_replacement_is_clean() {
    for rule in RULES {
        if !COMPILED_ONLY.contains(&rule.code) {
            let bad = codes(rule, rule.example);
            assert!(bad.contains(&rule.code), "{}: {bad:?}", rule.code);
        }
        let good = codes(rule, rule.instead);
        assert!(!good.contains(&rule.code), "{}: {good:?}", rule.code);
    }
}

#[test]
fn codes_and_names_are_unique_and_sorted() {
    for pair in RULES.windows(2) {
        assert!(pair[0].code < pair[1].code, "{:?}", pair);
    }
    for rule in RULES {
        for word in [
            rule.code.to_owned(),
            rule.name.to_owned(),
            format!("asupersync::{}", rule.name),
        ] {
            assert_eq!(rules::find(&word), Some(*rule), "{word}");
        }
    }
}

#[test]
fn the_reference_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/lint-rules.md");
    let expected = rules::reference();
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &expected).unwrap();
    }
    let current = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        current == expected,
        "docs/lint-rules.md is stale; run `BLESS=1 cargo test -p asupersync-lint --test rules`"
    );
}
