//! The program as it is typed: arguments, output and exit codes, in `tests/cmd`; and what needs a repository around it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

#[test]
fn commands() {
    trycmd::TestCases::new().case("tests/cmd/*.trycmd");
}

const SOURCE: &str =
    "use tokio::time::sleep;\n\nasync fn f() {\n    sleep(std::time::Duration::ZERO).await;\n}\n";

/// A committed package with one file.
fn repository() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let root = directory.path();
    fs::create_dir(root.join("src")).expect("a directory");
    fs::write(
        root.join("Cargo.toml"),
        "[package]\nname = \"kept\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\ntokio = \"1\"\n\n[workspace]\n",
    )
    .expect("a writable file");
    fs::write(root.join(".gitignore"), "target\n").expect("a writable file");
    fs::write(root.join("src/lib.rs"), SOURCE).expect("a writable file");
    for arguments in [
        &["init", "-q"][..],
        &["add", "-A"],
        &[
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@t",
            "commit",
            "-qm",
            "start",
        ],
    ] {
        let status = Command::new("git")
            .args(arguments)
            .current_dir(root)
            .status()
            .expect("git runs");
        assert!(status.success());
    }
    directory
}

fn migrate(root: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_asupersync-migrate"))
        .args(arguments)
        .current_dir(root)
        .output()
        .expect("the program runs")
}

fn library(root: &Path) -> String {
    fs::read_to_string(root.join("src/lib.rs")).expect("a readable file")
}

#[test]
fn every_rule_is_explained_with_its_code_before_and_after() {
    for rule in asupersync_migrate::rules::TABLE {
        let code = rule.code.to_lowercase();
        let output = migrate(Path::new("."), &["explain", &code]);
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        for part in [rule.code, rule.title, rule.before.trim(), rule.after.trim()] {
            assert!(text.contains(part), "{code}: {text}");
        }
    }
}

#[test]
fn the_reference_page_is_up_to_date() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/migration-rules.md");
    let text = fs::read_to_string(&page).expect("docs/migration-rules.md exists");
    assert_eq!(
        text,
        asupersync_migrate::rules::reference(),
        "write it anew: asupersync-migrate rules --format markdown > docs/migration-rules.md"
    );
}

#[test]
fn a_dry_run_writes_nothing() {
    let directory = repository();
    let output = migrate(directory.path(), &["--no-verify"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("+    if cx.sleep("));
    assert_eq!(library(directory.path()), SOURCE);
    assert!(!directory.path().join("target").exists());
}

#[test]
fn changes_that_are_not_committed_are_guarded() {
    let directory = repository();
    let changed = format!("// mine\n{SOURCE}");
    fs::write(directory.path().join("src/lib.rs"), &changed).expect("a writable file");
    let output = migrate(directory.path(), &["--no-verify", "--write"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--allow-dirty"));
    assert_eq!(library(directory.path()), changed);
    let output = migrate(
        directory.path(),
        &["--no-verify", "--write", "--allow-dirty"],
    );
    assert_eq!(output.status.code(), Some(0));
    assert!(library(directory.path()).contains("cx.sleep("));
}

#[test]
fn a_written_run_can_be_undone_unless_files_have_changed() {
    let directory = repository();
    let root = directory.path();
    assert_eq!(migrate(root, &["undo"]).status.code(), Some(2));
    assert_eq!(
        migrate(root, &["--no-verify", "--write"]).status.code(),
        Some(0)
    );
    let written = library(root);
    assert_ne!(written, SOURCE);
    fs::write(root.join("src/lib.rs"), format!("{written}// mine\n")).expect("a writable file");
    let output = migrate(root, &["undo"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("has changed since"));
    fs::write(root.join("src/lib.rs"), written).expect("a writable file");
    assert_eq!(migrate(root, &["undo"]).status.code(), Some(0));
    assert_eq!(library(root), SOURCE);
    assert!(
        fs::read_to_string(root.join("Cargo.toml"))
            .expect("a readable file")
            .contains("tokio = \"1\"")
    );
}

#[test]
fn code_that_does_not_compile_is_not_verified() {
    let directory = repository();
    let root = directory.path();
    // No dependency, so that nothing has to be downloaded.
    fs::write(
        root.join("Cargo.toml"),
        "[package]\nname = \"kept\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[workspace]\n",
    )
    .expect("a writable file");
    fs::write(root.join("src/lib.rs"), "fn f() -> u32 { \"no\" }\n").expect("a writable file");
    let output = migrate(root, &["--target-dir", "target/check"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("mismatched types"));
}
