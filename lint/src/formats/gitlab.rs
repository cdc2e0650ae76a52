//! A Code Quality report of GitLab: a list of issues, each named by a fingerprint that stays when its code moves.
//!
//! The format: <https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format>.

use super::{advice, names};
use crate::baseline::relative;
use crate::finding::{Level, Report};
use serde_json::{Value, json};
use std::path::Path;

pub(crate) fn render(report: &Report, base: &Path) -> String {
    let issues = report
        .findings
        .iter()
        .zip(names(report, base))
        .map(|(finding, name)| {
            json!({
                "type": "issue",
                "check_name": finding.rule.code,
                "description": format!("{}: {}", finding.rule.name, finding.message),
                "content": { "body": advice(finding) },
                "categories": ["Bug Risk"],
                "severity": match finding.level {
                    Level::Deny => "major",
                    _ => "minor",
                },
                "fingerprint": name,
                "location": {
                    "path": relative(&finding.path, base),
                    "lines": { "begin": finding.line, "end": finding.end_line },
                },
            })
        });
    format!("{:#}\n", Value::Array(issues.collect()))
}
