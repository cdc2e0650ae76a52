//! Findings as text: as rustc prints them, one per line, or as cargo's `compiler-message` lines for editors.

use crate::finding::{Applicability, Finding, Level, Report};
use annotate_snippets::{AnnotationKind, Level as Title, Renderer, Snippet};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

/// The path as it is printed: relative to the given directory where it lies in it.
fn shown(path: &Path, base: &Path) -> String {
    path.strip_prefix(base)
        .unwrap_or(path)
        .display()
        .to_string()
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Deny => "error",
        _ => "warning",
    }
}

/// One finding as rustc prints it, with the source it points at.
pub fn full(finding: &Finding, source: &str, base: &Path, colour: bool) -> String {
    let path = shown(&finding.path, base);
    let title = match finding.level {
        Level::Deny => Title::ERROR,
        _ => Title::WARNING,
    };
    let snippet = Snippet::source(source).path(path.as_str()).annotation(
        AnnotationKind::Primary
            .span(finding.span.clone())
            .label(finding.label.as_str()),
    );
    let name = format!("asupersync::{}: {}", finding.rule.name, finding.message);
    let mut group = title
        .primary_title(name)
        .id(finding.rule.code)
        .element(snippet)
        .element(Title::NOTE.with_name("why").message(finding.why.as_str()))
        .element(Title::HELP.message(finding.help.as_str()));
    if finding.unresolved_types {
        group = group.element(
            Title::NOTE.message("unresolved-types: found by syntax, not confirmed by the compiler"),
        );
    }
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    renderer.render(&[group])
}

/// One finding on one line.
pub fn concise(finding: &Finding, base: &Path) -> String {
    let mark = if finding.unresolved_types {
        " (unresolved-types)"
    } else {
        ""
    };
    format!(
        "{}:{}:{}: {}[{}] asupersync::{}: {}{mark}",
        shown(&finding.path, base),
        finding.line,
        finding.column,
        word(finding.level),
        finding.rule.code,
        finding.rule.name,
        finding.message,
    )
}

/// One finding as a line of `cargo check --message-format=json`.
pub fn json(finding: &Finding, source: &str, base: &Path) -> Value {
    let mut place = span(&shown(&finding.path, base), source, &finding.span);
    place["is_primary"] = true.into();
    place["label"] = finding.label.as_str().into();
    let child = |level: &str, text: &str| json!({ "message": text, "code": null, "level": level, "spans": [], "children": [], "rendered": null });
    let mut children = vec![
        child("note", &format!("why: {}", finding.why)),
        child("help", &finding.help),
    ];
    // Editors make an action of the help that says what to put where.
    if let Some(fix) = &finding.fix {
        let applicability = match fix.applicability {
            Applicability::Safe => "MachineApplicable",
            Applicability::Maybe => "MaybeIncorrect",
        };
        let edits = fix.edits.iter().map(|edit| {
            let mut place = span(&shown(&finding.path, base), source, &edit.range);
            place["is_primary"] = true.into();
            place["suggested_replacement"] = edit.text.as_str().into();
            place["suggestion_applicability"] = applicability.into();
            place
        });
        children[1]["spans"] = edits.collect();
    }
    if finding.unresolved_types {
        children.push(child(
            "note",
            "unresolved-types: found by syntax, not confirmed by the compiler",
        ));
    }
    let manifest = finding
        .manifest
        .as_ref()
        .map(|path| path.display().to_string())
        .unwrap_or_default();
    json!({
        "reason": "compiler-message",
        "package_id": finding.target.package_id,
        "manifest_path": manifest,
        "target": {
            "kind": [finding.target.kind],
            "crate_types": [if finding.target.kind == "lib" { "lib" } else { "bin" }],
            "name": finding.target.name,
            "src_path": finding.target.root.display().to_string(),
            "edition": finding.target.edition,
        },
        "message": {
            "$message_type": "diagnostic",
            "message": finding.message,
            "code": {
                "code": format!("asupersync::{}", finding.rule.name),
                "explanation": finding.rule.code,
            },
            "level": word(finding.level),
            "spans": [place],
            "children": children,
            "rendered": format!("{}\n", full(finding, source, base, false)),
        },
    })
}

/// A place as rustc describes it, with the lines it touches.
fn span(file: &str, source: &str, range: &Range<usize>) -> Value {
    let (line, column) = line_column(source, range.start);
    let (end_line, end_column) = line_column(source, range.end);
    let lines = source.lines().enumerate().skip(line - 1);
    let text = lines.take(end_line - line + 1).map(|(at, text)| {
        let start = if at + 1 == line { column } else { 1 };
        let end = if at + 1 == end_line {
            end_column
        } else {
            text.chars().count() + 1
        };
        json!({ "text": text, "highlight_start": start, "highlight_end": end })
    });
    json!({
        "file_name": file,
        "byte_start": range.start,
        "byte_end": range.end,
        "line_start": line,
        "line_end": end_line,
        "column_start": column,
        "column_end": end_column,
        "is_primary": false,
        "text": text.collect::<Vec<_>>(),
        "label": null,
        "suggested_replacement": null,
        "suggestion_applicability": null,
        "expansion": null,
    })
}

/// Line and column, in characters and from 1, of a byte of a text.
pub(crate) fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = before[line_start..].chars().count() + 1;
    (before.matches('\n').count() + 1, column)
}

/// How often each rule fired.
pub fn statistics(report: &Report) -> String {
    let mut counts: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for finding in &report.findings {
        counts
            .entry(finding.rule.code)
            .or_insert((0, finding.rule.name))
            .0 += 1;
    }
    let mut text = String::new();
    for (code, (count, name)) in counts {
        let _ = writeln!(text, "{count:>6}  {code}  {name}");
    }
    let _ = writeln!(
        text,
        "{:>6}  findings in {} files, {} suppressed",
        report.findings.len(),
        report.files,
        report.suppressed
    );
    text
}
