//! Every fixture under `rules/` before and after the rewrite, and what holds for all of them: a second run changes nothing, and
//! lines without an edit are byte for byte what they were.
//!
//! `MIGRATE_BLESS=1 cargo test --test rules` writes the results as the new expectations.

use asupersync_migrate::{Fate, Options, Report, rewrite};
use std::fs;
use std::path::{Path, PathBuf};

fn fixtures() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules");
    let mut found: Vec<PathBuf> = fs::read_dir(directory)
        .expect("the fixtures exist")
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.to_string_lossy().ends_with(".before.rs"))
        .collect();
    found.sort();
    found
}

/// Rewrites one text in a directory of its own, with everything that needs review.
fn run(text: &str, change: impl Fn(&mut Options)) -> (String, Report) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("main.rs");
    fs::write(&file, text).expect("a writable file");
    let mut options = Options::new(&file);
    options.review = true;
    options.verify = false;
    options.write = true;
    options.allow_dirty = true;
    change(&mut options);
    let report = rewrite(&options).expect("the rewrite runs");
    (fs::read_to_string(&file).expect("a readable file"), report)
}

#[test]
fn fixtures_become_what_is_expected() {
    let bless = std::env::var_os("MIGRATE_BLESS").is_some();
    let mut wrong = Vec::new();
    for before in fixtures() {
        let after = before.with_file_name(
            before
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .replace(".before.rs", ".after.rs"),
        );
        let text = fs::read_to_string(&before).expect("a readable fixture");
        let (got, _) = run(&text, |_| {});
        if bless {
            fs::write(&after, &got).expect("a writable fixture");
        } else if fs::read_to_string(&after).ok().as_deref() != Some(&got) {
            let expected = fs::read_to_string(&after).unwrap_or_default();
            wrong.push(format!(
                "{}:\n{}",
                before.display(),
                similar::TextDiff::from_lines(&expected, &got).unified_diff()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_second_run_changes_nothing() {
    for before in fixtures() {
        let text = fs::read_to_string(&before).expect("a readable fixture");
        let (once, _) = run(&text, |_| {});
        let (twice, report) = run(&once, |_| {});
        assert_eq!(once, twice, "{}", before.display());
        assert!(report.changes.is_empty(), "{}", before.display());
    }
}

#[test]
fn without_review_only_safe_edits_are_made() {
    for before in fixtures() {
        let text = fs::read_to_string(&before).expect("a readable fixture");
        let (got, report) = run(&text, |options| options.review = false);
        assert!(
            report.sites.iter().all(|site| site.fate != Fate::Review),
            "{}",
            before.display()
        );
        for added in [
            "spawn_daemon",
            ".cleanup();\n",
            "drop_ok",
            "shutdown_signal",
            "block_on(async |",
        ] {
            assert!(
                !got.contains(added) || text.contains(added),
                "{}: {added}",
                before.display()
            );
        }
        let (again, _) = run(&got, |options| options.review = false);
        assert_eq!(got, again, "{}", before.display());
    }
}

#[test]
fn every_rule_with_items_has_a_fixture() {
    let names: Vec<String> = fixtures()
        .iter()
        .map(|path| {
            path.file_name()
                .expect("a name")
                .to_string_lossy()
                .to_uppercase()
        })
        .collect();
    for rule in asupersync_migrate::rules::TABLE {
        // The manifest has tests of its own.
        if rule.code != "AM090" {
            assert!(
                names.iter().any(|name| name.starts_with(rule.code)),
                "{} has no fixture",
                rule.code
            );
        }
    }
}

#[test]
fn a_rule_can_be_left_out() {
    let text = "use std::time::Duration;\nuse tokio::sync::mpsc;\n\nasync fn f(tx: mpsc::Sender<u32>) -> std::io::Result<()> {\n    tokio::time::sleep(Duration::ZERO).await;\n    let _ = tx.send(1).await;\n    Ok(())\n}\n";
    let (got, _) = run(text, |options| options.skip = vec!["am040".to_owned()]);
    assert!(got.contains("cx.sleep(Duration::ZERO).await?;"), "{got}");
    assert!(
        got.contains("tx.send(1).await") && got.contains("use tokio::sync::mpsc;"),
        "{got}"
    );
    let (got, _) = run(text, |options| options.only = vec!["AM040".to_owned()]);
    assert!(
        got.contains("tokio::time::sleep(Duration::ZERO).await;"),
        "{got}"
    );
    assert!(got.contains("tx.send(cx, 1).await"), "{got}");
}

#[test]
fn line_ends_mark_and_shebang_stay() {
    let text = "\u{feff}#!/usr/bin/env run\r\nuse tokio::time::sleep;\r\nuse std::time::Duration;\r\n\r\nasync fn f() {\r\n    sleep(Duration::ZERO).await;\r\n}\r\n";
    let (got, _) = run(text, |_| {});
    assert!(got.starts_with("\u{feff}#!/usr/bin/env run\r\n"), "{got:?}");
    assert!(!got.replace("\r\n", "").contains('\n'), "{got:?}");
    assert!(
        got.contains("if cx.sleep(Duration::ZERO).await.is_err() {\r\n        return;\r\n    }"),
        "{got:?}"
    );
}

#[test]
fn one_file_that_does_not_parse_does_not_stop_the_others() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let good =
        "async fn f(tx: tokio::sync::mpsc::Sender<u32>) {\n    let _ = tx.send(1).await;\n}\n";
    fs::write(directory.path().join("good.rs"), good).expect("a writable file");
    fs::write(directory.path().join("bad.rs"), "fn (").expect("a writable file");
    let mut options = Options::new(directory.path());
    options.verify = false;
    let report = rewrite(&options).expect("the rewrite runs");
    assert_eq!(report.skipped_files.len(), 1, "{:?}", report.skipped_files);
    assert!(report.skipped_files[0].contains("bad.rs"));
    assert_eq!(report.changes.len(), 1);
    assert!(report.needs_review());
}

#[test]
fn public_signatures_can_be_kept() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir(directory.path().join("src")).expect("a directory");
    fs::write(
        directory.path().join("Cargo.toml"),
        "[package]\nname = \"kept\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\ntokio = \"1\"\n\n[workspace]\n",
    )
    .expect("a writable file");
    let library = "use std::time::Duration;\n\npub async fn open() {\n    tokio::time::sleep(Duration::ZERO).await;\n}\n\nasync fn inner() {\n    tokio::time::sleep(Duration::ZERO).await;\n}\n";
    fs::write(directory.path().join("src/lib.rs"), library).expect("a writable file");
    let mut options = Options::new(directory.path());
    options.verify = false;
    options.keep_public = true;
    let report = rewrite(&options).expect("the rewrite runs");
    let after = &report
        .changes
        .iter()
        .find(|change| change.path.ends_with("lib.rs"))
        .expect("the library changes")
        .after;
    assert!(after.contains("pub async fn open() {"), "{after}");
    assert!(after.contains("async fn inner(cx: &Cx) {"), "{after}");
}

#[test]
fn only_a_capacity_that_tokio_rounds_up_needs_review() {
    for (capacity, moves) in [("4", true), ("3", false), ("CAPACITY", false)] {
        let text = format!(
            "use tokio::sync::broadcast;\n\nconst CAPACITY: usize = 4;\n\nfn f() -> usize {{\n    let (tx, _rx) = broadcast::channel::<u32>({capacity});\n    tx.receiver_count()\n}}\n"
        );
        let (got, _) = run(&text, |options| options.review = false);
        assert_eq!(
            got.contains("asupersync::channel::broadcast"),
            moves,
            "{got}"
        );
        let (got, _) = run(&text, |_| {});
        assert!(got.contains("asupersync::channel::broadcast"), "{got}");
    }
}
