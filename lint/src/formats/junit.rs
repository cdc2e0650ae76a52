//! JUnit's XML: a suite per file, a case per finding.
//!
//! The format knows no warnings. What makes the run fail is a failure; a warning is a case that passed and has something to say; what
//! could not be looked at is an error. A clean run is one case that passed, since readers take an empty report for a broken one.

use super::advice;
use crate::baseline::relative;
use crate::finding::{Finding, Level, Report};
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use std::path::Path;

const NAME: &str = "asupersync-lint";

pub(crate) fn render(report: &Report, base: &Path) -> String {
    let mut document = quick_junit::Report::new(NAME);
    let mut findings = report.findings.as_slice();
    // Findings are sorted by file.
    while let Some(first) = findings.first() {
        let len = findings.iter().take_while(|one| one.path == first.path);
        let (of_file, rest) = findings.split_at(len.count());
        let path = relative(&first.path, base);
        let mut suite = TestSuite::new(path.as_str());
        suite.add_test_cases(of_file.iter().map(|finding| case(finding, &path)));
        document.add_test_suite(suite);
        findings = rest;
    }
    if !report.problems.is_empty() {
        let mut suite = TestSuite::new("not looked at");
        for (at, problem) in report.problems.iter().enumerate() {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(problem.message.as_str());
            suite.add_test_case(TestCase::new(format!("problem {}", at + 1), status));
        }
        document.add_test_suite(suite);
    }
    if document.test_suites.is_empty() {
        let mut suite = TestSuite::new(NAME);
        suite.add_test_case(TestCase::new("no findings", TestCaseStatus::success()));
        document.add_test_suite(suite);
    }
    document
        .to_string()
        .expect("a string takes whatever is written to it")
}

fn case(finding: &Finding, path: &str) -> TestCase {
    let name = format!(
        "{} {} at {}:{}",
        finding.rule.code, finding.rule.name, finding.line, finding.column
    );
    let text = format!(
        "{path}:{}:{}: {}\n{}",
        finding.line,
        finding.column,
        finding.message,
        advice(finding)
    );
    let mut case = if finding.level == Level::Deny {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status
            .set_type(finding.rule.code)
            .set_message(finding.message.as_str())
            .set_description(text);
        TestCase::new(name, status)
    } else {
        let mut case = TestCase::new(name, TestCaseStatus::success());
        case.set_system_out(text);
        case
    };
    case.set_classname(path);
    case
}
