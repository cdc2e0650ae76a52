//! SARIF 2.1.0, the static analysis results interchange format of OASIS.
//!
//! * The rules that fired are described in the tool's part, with their whole explanation; a result points at its rule by index.
//! * Paths are relative to `SRCROOT`, the directory of the run; columns count characters.
//! * `partialFingerprints` let a reader know a result again whose code has moved.
//! * What could not be looked at are notifications of an invocation that was not successful.

use super::{advice, names};
use crate::baseline::relative;
use crate::finding::{Finding, Fix, Level, Report};
use crate::render::line_column;
use crate::rules::{self, Rule};
use crate::texts::Texts;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
const ROOT: &str = "SRCROOT";

pub(crate) fn render(report: &Report, base: &Path) -> String {
    let fired: BTreeMap<&str, &Rule> = report
        .findings
        .iter()
        .map(|finding| (finding.rule.code, finding.rule))
        .collect();
    let index = |code: &str| fired.keys().position(|known| *known == code);
    let mut texts = Texts::default();
    let results: Vec<Value> = report
        .findings
        .iter()
        .zip(names(report, base))
        .map(|(finding, name)| {
            let mut result = json!({
                "ruleId": finding.rule.code,
                "ruleIndex": index(finding.rule.code),
                "level": level(finding.level),
                "message": { "text": format!("{}\n{}", finding.message, advice(finding)) },
                "locations": [{ "physicalLocation": {
                    "artifactLocation": location(&finding.path, base),
                    "region": {
                        "startLine": finding.line,
                        "startColumn": finding.column,
                        "endLine": finding.end_line,
                        "endColumn": finding.end_column,
                    },
                }}],
                "partialFingerprints": { "codeOfFinding/v1": name },
            });
            if let Some(fix) = &finding.fix {
                result["fixes"] = json!([change(finding, fix, texts.of(&finding.path), base)]);
            }
            result
        })
        .collect();
    let notifications: Vec<Value> = report
        .problems
        .iter()
        .map(|problem| json!({ "level": "error", "message": { "text": problem.message } }))
        .collect();
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "asupersync-lint",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": fired.values().map(|rule| descriptor(rule)).collect::<Vec<_>>(),
            }},
            "invocations": [{
                "executionSuccessful": report.problems.is_empty(),
                "toolExecutionNotifications": notifications,
            }],
            "originalUriBaseIds": { ROOT: { "uri": format!("file://{}/", uri(&base.to_string_lossy().replace('\\', "/"))) } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{document:#}\n")
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Deny => "error",
        Level::Warn => "warning",
        Level::Allow => "none",
    }
}

fn descriptor(rule: &Rule) -> Value {
    json!({
        "id": rule.code,
        "name": rule.name,
        "shortDescription": { "text": rule.summary },
        "fullDescription": { "text": rule.what.trim() },
        "help": { "text": rule.why.trim(), "markdown": rules::explain(rule) },
        "defaultConfiguration": {
            "enabled": rule.level != Level::Allow,
            "level": level(rule.level),
        },
    })
}

/// Where a file is: below the root, or by itself.
fn location(path: &Path, base: &Path) -> Value {
    let shown = relative(path, base);
    if path.starts_with(base) {
        json!({ "uri": uri(&shown), "uriBaseId": ROOT })
    } else if path.is_absolute() {
        json!({ "uri": format!("file://{}", uri(&shown)) })
    } else {
        json!({ "uri": uri(&shown) })
    }
}

fn change(finding: &Finding, fix: &Fix, text: &str, base: &Path) -> Value {
    let replacements = fix.edits.iter().map(|edit| {
        let ((line, column), (end_line, end_column)) = (
            line_column(text, edit.range.start),
            line_column(text, edit.range.end),
        );
        json!({
            "deletedRegion": {
                "startLine": line,
                "startColumn": column,
                "endLine": end_line,
                "endColumn": end_column,
            },
            "insertedContent": { "text": edit.text },
        })
    });
    json!({
        "description": { "text": finding.help },
        "artifactChanges": [{
            "artifactLocation": location(&finding.path, base),
            "replacements": replacements.collect::<Vec<_>>(),
        }],
    })
}

/// Escapes what may not stand in the path of a URI (RFC 3986, section 3.3).
fn uri(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                escaped.push(char::from(byte));
            }
            _ => {
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped() {
        assert_eq!(uri("src/a b#é.rs"), "src/a%20b%23%C3%A9.rs");
    }
}
