//! Workflow commands of GitHub Actions: each finding is a line that the runner turns into an annotation.
//!
//! The format: <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>. A command is a line, so line ends
//! and what separates its parts are escaped. Columns are told only for findings within one line; the runner drops others.

use super::advice;
use crate::baseline::relative;
use crate::finding::{Finding, Level, Report};
use std::fmt::Write as _;
use std::path::Path;

pub(crate) fn render(report: &Report, base: &Path) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let _ = writeln!(text, "{}", command(finding, base));
    }
    for problem in &report.problems {
        let _ = writeln!(
            text,
            "::error title=asupersync-lint::{}",
            data(&problem.message)
        );
    }
    text
}

fn command(finding: &Finding, base: &Path) -> String {
    let level = match finding.level {
        Level::Deny => "error",
        _ => "warning",
    };
    let mut place = format!(
        "file={},line={},endLine={}",
        property(&relative(&finding.path, base)),
        finding.line,
        finding.end_line
    );
    if finding.line == finding.end_line {
        let _ = write!(
            place,
            ",col={},endColumn={}",
            finding.column, finding.end_column
        );
    }
    let title = property(&format!("{} {}", finding.rule.code, finding.rule.name));
    let message = data(&format!("{}\n{}", finding.message, advice(finding)));
    format!("::{level} {place},title={title}::{message}")
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_stays_one_line() {
        assert_eq!(data("50% a, b:\r\nc"), "50%25 a, b:%0D%0Ac");
        assert_eq!(property("C:\\a,b.rs"), "C%3A\\a%2Cb.rs");
    }
}
