//! The two engines on one workspace of tricky forms: each finds only what is annotated, together they find all of it.
//!
//! The workspace is copied out of the source tree with this workspace's lock file, so that it builds without the network from what
//! is already fetched.

use asupersync_lint::{Engine, Options, Report, lint_paths};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rules whose annotations the fixture carries.
const CODES: &[&str] = &["AS101", "AS104", "AS201", "AS202", "AS301", "AS401"];

/// Fewer would be too few to mean anything.
const LEAST: usize = 60;

type Place = (String, usize, String);

#[derive(Default)]
struct Expected {
    all: BTreeSet<Place>,
    only_compiler: BTreeSet<Place>,
    only_syntax: BTreeSet<Place>,
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn workspace() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("agreement");
    copy(&own.join("tests/agreement"), &root);
    fs::copy(own.join("../Cargo.lock"), root.join("Cargo.lock")).unwrap();
    root
}

fn expected(root: &Path) -> Expected {
    let mut expected = Expected::default();
    for member in ["app", "helper", "renamed"] {
        let source = root.join(member).join("src");
        for entry in fs::read_dir(&source).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            for (at, line) in text.lines().enumerate() {
                let Some((_, note)) = line.split_once("//~ ") else {
                    continue;
                };
                let words: Vec<&str> = note.split_whitespace().collect();
                for code in words.iter().filter(|word| CODES.contains(word)) {
                    let name = path.strip_prefix(root).unwrap().display().to_string();
                    let place = (name, at + 1, (*code).to_owned());
                    if words.contains(&"clippy") {
                        expected.only_compiler.insert(place.clone());
                    }
                    if words.contains(&"syn") {
                        expected.only_syntax.insert(place.clone());
                    }
                    expected.all.insert(place);
                }
            }
        }
    }
    expected
}

fn found(root: &Path, engine: Engine) -> (BTreeSet<Place>, Report) {
    let options = Options {
        engine,
        workspace: true,
        cargo_args: vec!["--offline".to_owned()],
        ..Options::default()
    };
    let report = lint_paths(&[root.to_owned()], &options).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let places = report
        .findings
        .iter()
        .filter(|finding| CODES.contains(&finding.rule.code))
        .map(|finding| {
            let name = finding.path.strip_prefix(root).unwrap();
            (
                name.display().to_string(),
                finding.line,
                finding.rule.code.to_owned(),
            )
        })
        .collect();
    (places, report)
}

/// Fails with both differences; `missing` may lack only what `excused` holds.
fn compare(
    engine: &str,
    found: &BTreeSet<Place>,
    wanted: &BTreeSet<Place>,
    excused: &BTreeSet<Place>,
) {
    let missing: Vec<&Place> = wanted
        .difference(found)
        .filter(|place| !excused.contains(*place))
        .collect();
    let extra: Vec<&Place> = found.difference(wanted).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "{engine}: missing {missing:#?}\nnot annotated {extra:#?}"
    );
}

#[test]
fn the_engines_agree() {
    let root = workspace();
    let expected = expected(&root);
    assert!(expected.all.len() >= LEAST, "{} sites", expected.all.len());
    let none = BTreeSet::new();

    let (syntax, _) = found(&root, Engine::Syntactic);
    compare("syntax", &syntax, &expected.all, &expected.only_compiler);

    let (compiler, report) = found(&root, Engine::Resolved);
    compare("compiler", &compiler, &expected.all, &expected.only_syntax);
    assert!(
        report
            .findings
            .iter()
            .all(|finding| !finding.unresolved_types)
    );

    let (both, report) = found(&root, Engine::Both);
    compare("both", &both, &expected.all, &none);
    // What the compiler did not confirm, and only that, is marked.
    let marked: BTreeSet<Place> = report
        .findings
        .iter()
        .filter(|one| one.unresolved_types && CODES.contains(&one.rule.code))
        .map(|one| {
            let name = one.path.strip_prefix(&root).unwrap();
            (
                name.display().to_string(),
                one.line,
                one.rule.code.to_owned(),
            )
        })
        .collect();
    assert_eq!(marked, expected.only_syntax);

    println!(
        "{} sites: syntax {}, compiler {}, both {}",
        expected.all.len(),
        syntax.len(),
        compiler.len(),
        both.len()
    );
}
