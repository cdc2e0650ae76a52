//! The fixes that rules attach to their findings, on the fixtures of `tests/ui`.
//!
//! All fixes of a file that do not overlap are applied at once. The result is the `.fixed` file beside it; it parses, and linted again
//! it has none of the findings that were fixed. `BLESS=1` writes the files anew. That what a fix makes of an example also compiles is
//! tested with the engines, in `agreement.rs`.

mod fixture;

use asupersync_lint::Applicability;
use asupersync_source::edit::EditSet;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Rules that must bring a fix in some fixture, and how far it may be trusted.
const FIXES: &[(&str, Applicability)] = &[
    ("AS101", Applicability::Maybe),
    ("AS103", Applicability::Maybe),
    ("AS107", Applicability::Maybe),
    ("AS201", Applicability::Maybe),
    ("AS202", Applicability::Maybe),
    ("AS209", Applicability::Maybe),
    ("AS211", Applicability::Maybe),
    ("AS301", Applicability::Maybe),
    ("AS302", Applicability::Maybe),
    ("AS304", Applicability::Safe),
    ("AS305", Applicability::Maybe),
    ("AS308", Applicability::Maybe),
    ("AS401", Applicability::Maybe),
    ("AS403", Applicability::Maybe),
    ("AS902", Applicability::Safe),
];

fn fixtures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let mut found = Vec::new();
    for folder in fs::read_dir(root).unwrap() {
        for entry in fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|kind| kind == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// How often each rule finds something that it has a fix for.
fn fixable(report: &asupersync_lint::Report) -> BTreeMap<&'static str, usize> {
    let mut count = BTreeMap::new();
    for finding in report.findings.iter().filter(|one| one.fix.is_some()) {
        *count.entry(finding.rule.code).or_default() += 1;
    }
    count
}

#[test]
fn every_fix_resolves_its_finding() {
    let mut seen = BTreeSet::new();
    for path in fixtures() {
        let text = fs::read_to_string(&path).unwrap();
        let report = fixture::lint(&path, &text);
        let mut edits = EditSet::new();
        let mut left: BTreeMap<&str, usize> = BTreeMap::new();
        for finding in &report.findings {
            let Some(fix) = &finding.fix else { continue };
            seen.insert((finding.rule.code, fix.applicability == Applicability::Safe));
            if fix.edits.iter().any(|edit| edits.conflict(edit).is_some()) {
                *left.entry(finding.rule.code).or_default() += 1;
                continue;
            }
            edits.extend(fix.edits.iter().cloned());
        }
        if edits.is_empty() {
            continue;
        }
        let fixed = edits.apply(&text).unwrap().text;
        let beside = path.with_extension("fixed");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&beside, &fixed).unwrap();
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        assert!(
            fixed == expected,
            "{} is stale; run `BLESS=1 cargo test -p asupersync-lint --test fixes`",
            beside.display()
        );
        let again = fixture::lint(&path, &fixed);
        assert_eq!(fixable(&again), left, "{}", path.display());
    }
    let wanted: BTreeSet<(&str, bool)> = FIXES
        .iter()
        .map(|(code, applicability)| (*code, *applicability == Applicability::Safe))
        .collect();
    assert_eq!(seen, wanted);
}
