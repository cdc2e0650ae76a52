//! What changes files: `--fix`, `--unsafe-fixes`, `--diff`, `--add-allow` and `--baseline`, run as a user would in a repository.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

const CODE: &str = "\
use std::time::Duration;

pub async fn run() {
    tokio::time::sleep(Duration::ZERO).await;
    tokio::spawn(async {});
    std::thread::sleep(Duration::from_secs(1));
}
";

const SAFE: &str = "\
@@ -1,7 +1,7 @@
 use std::time::Duration;
 
 pub async fn run() {
-    tokio::time::sleep(Duration::ZERO).await;
+    tokio::task::yield_now().await;
     tokio::spawn(async {});
     std::thread::sleep(Duration::from_secs(1));
 }
";

/// A package with one file.
struct Package {
    directory: TempDir,
}

impl Package {
    fn new(code: &str) -> Package {
        let directory = tempfile::tempdir().unwrap();
        let manifest = "[package]\nname = \"service\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\ntokio = \"1\"\n[workspace]\n";
        fs::create_dir(directory.path().join("src")).unwrap();
        fs::write(directory.path().join("Cargo.toml"), manifest).unwrap();
        fs::write(directory.path().join("src/lib.rs"), code).unwrap();
        Package { directory }
    }

    /// The same, committed.
    fn committed(code: &str) -> Package {
        let package = Package::new(code);
        package.git(&["init", "--quiet"]);
        package.commit();
        package
    }

    fn commit(&self) {
        self.git(&["add", "."]);
        let author = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
        let commit = ["commit", "--quiet", "--message", "state"];
        self.git(&[&author[..], &commit[..]].concat());
    }

    fn git(&self, arguments: &[&str]) {
        let status = Command::new("git")
            .arg("-C")
            .arg(self.directory.path())
            .args(arguments)
            .status()
            .unwrap();
        assert!(status.success(), "git {arguments:?}");
    }

    fn file(&self) -> std::path::PathBuf {
        self.directory.path().join("src/lib.rs")
    }

    fn code(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    /// Lints by syntax, one line per finding.
    fn lint(&self, arguments: &[&str]) -> Output {
        Command::new(Path::new(env!("CARGO_BIN_EXE_cargo-asupersync-lint")))
            .args(["--engine", "syn", "--format", "concise"])
            .args(arguments)
            .current_dir(self.directory.path())
            .output()
            .unwrap()
    }

    /// The same; the codes of the rules that fire.
    fn codes(&self, arguments: &[&str]) -> Vec<String> {
        let output = self.lint(arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        let code = |line: &str| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned());
        text.lines().filter_map(code).collect()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn fix_applies_the_safe_fixes_and_reports_what_is_left() {
    let package = Package::committed(CODE);
    let before = package.codes(&[]);
    assert_eq!(before, ["AS304", "AS101", "AS401"]);
    assert_eq!(package.codes(&["--fix"]), ["AS101", "AS401"]);
    let expected = CODE.replace(
        "tokio::time::sleep(Duration::ZERO)",
        "tokio::task::yield_now()",
    );
    assert_eq!(package.code(), expected);
}

#[test]
fn unsafe_fixes_apply_the_others_too() {
    let package = Package::committed(CODE);
    let left = package.codes(&["--unsafe-fixes"]);
    assert!(!left.iter().any(|code| code == "AS401"), "{left:?}");
    assert!(!package.code().contains("std::thread::sleep"));
}

#[test]
fn a_diff_changes_nothing() {
    let package = Package::new(CODE);
    let output = package.lint(&["--diff"]);
    let diff = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        diff,
        format!("--- a/src/lib.rs\n+++ b/src/lib.rs\n{SAFE}"),
        "{diff}"
    );
    let wider = package.lint(&["--diff", "--unsafe-fixes"]);
    assert!(String::from_utf8_lossy(&wider.stdout).contains("-    std::thread::sleep"));
    assert_eq!(package.code(), CODE);
}

#[test]
fn what_git_cannot_bring_back_is_not_changed() {
    let package = Package::new(CODE);
    // The temporary directory may itself lie in a repository, which is then dirty.
    let outside = package.lint(&["--fix"]);
    assert_eq!(outside.status.code(), Some(2));
    assert!(
        stderr(&outside).contains("--allow-dirty"),
        "{}",
        stderr(&outside)
    );

    let package = Package::committed(CODE);
    fs::write(package.file(), format!("// Mine.\n{CODE}")).unwrap();
    for option in ["--fix", "--unsafe-fixes", "--add-allow"] {
        let output = package.lint(&[option]);
        assert_eq!(output.status.code(), Some(2));
        let said = stderr(&output);
        assert!(said.contains("not committed (src/lib.rs)"), "{said}");
        assert_eq!(package.code(), format!("// Mine.\n{CODE}"));
    }
    package.lint(&["--fix", "--allow-dirty"]);
    assert!(package.code().contains("yield_now"));
}

#[test]
fn add_allow_leaves_the_reason_to_be_written() {
    let package = Package::committed(CODE);
    // Nothing is found any more but that three reasons are missing.
    let left = package.codes(&["--add-allow"]);
    assert_eq!(left, ["AS901", "AS901", "AS901"]);
    let comment = "    // asupersync-lint: allow(AS101, reason = \"FIXME: why may this stay?\")\n    tokio::spawn(async {});\n";
    assert!(package.code().contains(comment), "{}", package.code());

    let package = Package::committed(CODE);
    assert!(
        package
            .codes(&["--add-allow=before \"structure\""])
            .is_empty()
    );
    assert!(package.code().contains("reason = \"before 'structure'\")"));
    package.commit();
    assert!(package.codes(&["--add-allow"]).is_empty());
    assert_eq!(package.code().matches("asupersync-lint:").count(), 3);
}

#[test]
fn one_comment_for_all_that_is_found_in_a_statement() {
    let code = "pub async fn run() {\n    if true { tokio::spawn(async { std::thread::sleep(std::time::Duration::MAX) }); }\n}\n";
    let package = Package::committed(code);
    let left = package.codes(&["--add-allow=known"]);
    assert!(left.is_empty(), "{left:?}");
    let comment = "    // asupersync-lint: allow(AS101, AS401, reason = \"known\")\n";
    assert!(package.code().contains(comment), "{}", package.code());
}

#[test]
fn a_suppression_never_lands_in_a_literal() {
    let code = "pub async fn run() {\n    say(\"\nfirst\", async {\n}); say(\"\n\", tokio::spawn(async {\n})); tokio::spawn(async {});\n}\nfn say<T>(_: &str, _: T) {}\n";
    let package = Package::committed(code);
    package.lint(&["--add-allow=known"]);
    assert!(!package.code().contains("(\"    //"), "{}", package.code());
    assert!(syn::parse_file(&package.code()).is_ok());
    let literals = |text: &str| text.matches("(\"\n").count();
    assert_eq!(literals(&package.code()), literals(code));
}

/// A user's own handle type, and a user's own function that blocks.
#[test]
fn the_configuration_names_handles_and_what_blocks() {
    let code = "pub struct Task;\npub fn start() -> Task { Task }\npub fn crunch() {}\npub async fn run() {\n    start();\n    crunch();\n}\n";
    let package = Package::new(code);
    assert!(package.codes(&[]).is_empty());
    let manifest = package.directory.path().join("Cargo.toml");
    let table = "[package.metadata.asupersync-lint]\nhandles = [\"service::Task\"]\nblocking = [\"service::crunch\"]\n";
    let text = fs::read_to_string(&manifest).unwrap() + table;
    fs::write(&manifest, text).unwrap();
    assert_eq!(package.codes(&[]), ["AS104", "AS406"]);
}

#[test]
fn a_baseline_leaves_only_what_is_new() {
    let package = Package::new(CODE);
    let missing = package.lint(&["--baseline", "known"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(
        stderr(&missing).contains("--write-baseline"),
        "{}",
        stderr(&missing)
    );
    let written = package.lint(&["--baseline", "known", "--write-baseline"]);
    assert_eq!(written.status.code(), Some(0), "{}", stderr(&written));

    // Moved and indented code is known; a statement more is not.
    let moved = format!(
        "// A header.\n\n{}",
        CODE.replace(
            "    std::thread",
            "    {\n        tokio::spawn(work());\n    }\n        std::thread"
        )
    );
    fs::write(package.file(), &moved).unwrap();
    assert_eq!(package.codes(&["--baseline", "known"]), ["AS101"]);
    let output = package.lint(&["--baseline", "known"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("3 known findings left out"),
        "{}",
        stderr(&output)
    );
    // Fixes leave alone what is known.
    package.lint(&["--baseline", "known", "--fix", "--allow-dirty"]);
    assert_eq!(package.code(), moved);
}
