//! Whole reports in the formats that other tools read, a file per format, each with the same function.
//!
//! | file | who reads it |
//! |---|---|
//! | `sarif` | code scanning: SARIF 2.1.0 |
//! | `github` | GitHub Actions: annotations of a pull request |
//! | `gitlab` | GitLab CI: a Code Quality report |
//! | `junit` | whatever shows the results of tests |
//!
//! `render(report, base)` is the text of a report, with paths relative to the directory `base`. What is in a text does not depend on
//! when or where it is made, so it can be compared.

pub(crate) mod github;
pub(crate) mod gitlab;
pub(crate) mod junit;
pub(crate) mod sarif;

use crate::baseline::{fingerprint, relative};
use crate::finding::{Finding, Report};
use crate::texts::Texts;
use std::collections::BTreeMap;
use std::path::Path;

/// What follows the first line of a finding, where a format has no place of its own for it.
fn advice(finding: &Finding) -> String {
    let mut text = format!("why: {}\nhelp: {}", finding.why, finding.help);
    if finding.unresolved_types {
        text += "\nnote: found by syntax, not confirmed by the compiler";
    }
    text
}

/// A name for every finding of a report, none of them twice: the second of two equal ones ends in `-2`.
fn names(report: &Report, base: &Path) -> Vec<String> {
    let mut texts = Texts::default();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let name = |finding: &Finding| {
        let path = relative(&finding.path, base);
        let name = fingerprint(finding, texts.of(&finding.path), &path);
        let count = seen.entry(name.clone()).or_default();
        *count += 1;
        match *count {
            1 => name,
            count => format!("{name}-{count}"),
        }
    };
    report.findings.iter().map(name).collect()
}
