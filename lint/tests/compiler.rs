//! The resolved engine on packages that make it hard: lint levels in the crate, the user's own clippy.toml, crates that do not
//! compile. None has dependencies, so nothing is fetched.

use asupersync_lint::{Engine, Finding, Level, Options, Report, lint_paths};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

const MANIFEST: &str =
    "[package]\nname = \"hard\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[workspace]\n";

fn lint(files: &[(&str, &str)]) -> Report {
    let root = written(files);
    let options = Options {
        engine: Engine::Both,
        workspace: true,
        levels: vec![("AS301".to_owned(), Level::Warn)],
        cargo_args: vec!["--offline".to_owned()],
        ..Options::default()
    };
    lint_paths(&[root.path().to_owned()], &options).unwrap()
}

fn written(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for (name, text) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

fn places(report: &Report) -> Vec<(&str, usize, bool)> {
    let place = |one: &Finding| (one.rule.code, one.line, one.unresolved_types);
    report.findings.iter().map(place).collect()
}

#[test]
fn levels_in_the_crate_do_not_matter() {
    for attribute in [
        "#![deny(warnings, clippy::all, clippy::pedantic)]",
        "#![forbid(unused, unsafe_code)]",
        "#![allow(clippy::all, clippy::disallowed_methods)]",
    ] {
        let text = format!(
            "{attribute}\npub async fn f() {{\n    let unused = 1;\n    std::thread::sleep(std::time::Duration::ZERO);\n}}\n"
        );
        let report = lint(&[("Cargo.toml", MANIFEST), ("src/lib.rs", &text)]);
        assert_eq!(report.problems, [], "{attribute}");
        assert_eq!(places(&report), [("AS401", 4, false)], "{attribute}");
    }
}

#[test]
fn the_users_configuration_is_merged_and_not_reported() {
    let text = "pub fn f() { std::process::exit(1); }\npub fn g() -> std::time::Instant { std::time::Instant::now() }\n";
    let own = "msrv = \"1.70\"\ndisallowed-methods = [\"std::process::exit\", \"std::time::Instant::now\"]\n";
    let report = lint(&[
        ("Cargo.toml", MANIFEST),
        ("clippy.toml", own),
        ("src/lib.rs", text),
    ]);
    assert_eq!(report.problems, []);
    assert_eq!(places(&report), [("AS301", 2, false)]);
}

#[test]
fn a_broken_configuration_is_said_and_the_crate_is_linted() {
    let text = "pub fn g() -> std::time::Instant { std::time::Instant::now() }\n";
    for own in ["no-such-key = 1\n", "not toml ["] {
        let report = lint(&[
            ("Cargo.toml", MANIFEST),
            ("clippy.toml", own),
            ("src/lib.rs", text),
        ]);
        assert_eq!(report.problems.len(), 1, "{own}: {:?}", report.problems);
        let message = &report.problems[0].message;
        assert!(message.contains("clippy.toml"), "{own}: {message}");
        assert_eq!(places(&report), [("AS301", 1, false)], "{own}");
    }
}

#[test]
fn what_does_not_compile_is_linted_by_syntax_and_the_rest_by_the_compiler() {
    let member = |name: &str| {
        format!("[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2021\"\n")
    };
    let sleep = "pub async fn f() { std::thread::sleep(std::time::Duration::ZERO); }\n";
    let broken = format!("{sleep}pub fn wrong() -> u32 {{ \"text\" }}\n");
    let report = lint(&[
        (
            "Cargo.toml",
            "[workspace]\nresolver = \"2\"\nmembers = [\"bad\", \"good\"]\n",
        ),
        ("bad/Cargo.toml", &member("bad")),
        ("bad/src/lib.rs", &broken),
        ("good/Cargo.toml", &member("good")),
        ("good/src/lib.rs", sleep),
    ]);
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    let message = &report.problems[0].message;
    assert!(message.contains("mismatched types"), "{message}");
    assert!(
        message.contains(&format!("bad{}", std::path::MAIN_SEPARATOR)),
        "{message}"
    );
    let unresolved = |name: &str| {
        let of = |one: &&Finding| {
            one.path
                .components()
                .any(|part| Path::new(name) == Path::new(part.as_os_str()))
        };
        report
            .findings
            .iter()
            .find(of)
            .map(|one| one.unresolved_types)
    };
    assert_eq!(unresolved("good"), Some(false));
    assert!(unresolved("bad").is_some());
}

/// What the compiler wrote, and when.
fn artifacts(root: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.join("target")];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path
                .extension()
                .is_some_and(|kind| kind == "rmeta" || kind == "toml")
            {
                let written = fs::metadata(&path).unwrap().modified().unwrap();
                found.insert(path, written);
            }
        }
    }
    found
}

/// A configuration written anew, or a variable that differs, would make every run as dear as the first.
#[test]
fn what_did_not_change_is_not_compiled_again() {
    let text = "pub async fn f() { std::thread::sleep(std::time::Duration::ZERO); }\n";
    let root = written(&[
        ("Cargo.toml", MANIFEST),
        ("src/lib.rs", text),
        ("tests/one.rs", "#[test]\nfn one() {}\n"),
    ]);
    // As a program, so that a target directory in the environment does not mix the files of several tests.
    let run = || {
        let output = Command::new(env!("CARGO_BIN_EXE_cargo-asupersync-lint"))
            .args(["--offline", "--format", "concise"])
            .current_dir(root.path())
            .env_remove("CARGO_TARGET_DIR")
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let first = run();
    assert!(
        first.starts_with("src/lib.rs:1:20: error[AS401]"),
        "{first}"
    );
    let before = artifacts(root.path());
    // The library, its tests, the other test, and the configuration.
    assert!(before.len() >= 4, "{before:?}");
    assert_eq!(run(), first);
    assert_eq!(artifacts(root.path()), before);

    // A change is seen.
    let moved = format!("// Moved.\n{text}");
    fs::write(root.path().join("src/lib.rs"), moved).unwrap();
    let third = run();
    assert!(
        third.starts_with("src/lib.rs:2:20: error[AS401]"),
        "{third}"
    );
    assert_ne!(artifacts(root.path()), before);
}
