//! The fixtures of `tests/ui`, one folder per rule: `//~ AS101` says which rule fires on a line, the `.stderr` beside a file how it
//! reads. `cargo test -p asupersync-lint --test ui -- --bless` writes the `.stderr` files anew.
//!
//! The linter is no rustc driver, so this binary runs itself as the program under test: it lints the file it is given in-process and
//! prints the findings as JSON lines, from which the expectations are checked.

mod fixture;

use asupersync_lint::render;
use serde_json::Value;
use std::path::Path;
use std::process::ExitCode;
use ui_test::diagnostics::{Diagnostics, Level, Message};
use ui_test::spanned::Spanned;
use ui_test::{CommandBuilder, Config, run_tests};

const DRIVER: &str = "--lint-one-file";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|first| first == DRIVER) {
        // Compiler flags may stand before the file.
        return drive(arguments.last().expect("the file comes last"));
    }
    let mut program = CommandBuilder::cmd(std::env::current_exe().expect("this test is a file"));
    program.args.push(DRIVER.into());
    let mut config = Config {
        program,
        root_dir: "tests/ui".into(),
        out_dir: std::env::temp_dir().join("asupersync-lint-ui"),
        diagnostic_extractor: extract,
        bless_command: Some("cargo test -p asupersync-lint --test ui -- --bless".to_owned()),
        // Nothing is compiled; the question which host this is must not be asked of rustc.
        host: Some("none".to_owned()),
        ..Config::dummy()
    };
    config.comment_defaults.base().exit_status = Spanned::dummy(1).into();
    match run_tests(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    }
}

/// Lints one file and prints every finding as a line; fails if there was one.
fn drive(path: &str) -> ExitCode {
    let text = std::fs::read_to_string(path).expect("a fixture is readable");
    let report = fixture::lint(Path::new(path), &text);
    for finding in &report.findings {
        eprintln!("{}", render::json(finding, &text, Path::new("")));
    }
    ExitCode::from(u8::from(!report.findings.is_empty()))
}

fn extract(_: &Path, stderr: &[u8]) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    for line in stderr
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let Ok(value) = serde_json::from_slice::<Value>(line) else {
            // A panic of the driver belongs into the rendered output, where it fails the test.
            diagnostics.rendered.extend_from_slice(line);
            diagnostics.rendered.push(b'\n');
            continue;
        };
        let message = &value["message"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let line = message["spans"][0]["line_start"].as_u64().unwrap_or(0) as usize;
        diagnostics
            .rendered
            .extend_from_slice(text(&message["rendered"]).as_bytes());
        diagnostics.rendered.push(b'\n');
        if diagnostics.messages.len() <= line {
            diagnostics.messages.resize_with(line + 1, Vec::new);
        }
        diagnostics.messages[line].push(Message {
            level: Level::Error,
            message: text(&message["message"]),
            line: Some(line),
            span: None,
            code: Some(text(&message["code"]["explanation"])),
        });
    }
    diagnostics
}
