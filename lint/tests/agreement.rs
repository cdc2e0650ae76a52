//! The two engines on one workspace of tricky forms: each finds only what is annotated, together they find all of it.
//!
//! The workspace is copied out of the source tree with this workspace's lock file, so that it builds without the network from what
//! is already fetched.

use asupersync_lint::{Engine, Finding, Level, Options, Report, lint_paths, lint_source, rules};
use asupersync_source::edit::EditSet;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rules whose annotations the fixture carries.
const CODES: &[&str] = &[
    "AS101", "AS104", "AS107", "AS201", "AS202", "AS205", "AS210", "AS301", "AS305", "AS309",
    "AS401", "AS501", "AS502", "AS503", "AS604",
];

/// Fewer would be too few to mean anything.
const LEAST: usize = 140;

/// Rules whose `--explain` examples are built: the compiler, or what it says of functions, is how they find anything.
const BUILT: &[&str] = &[
    "AS106", "AS107", "AS205", "AS501", "AS502", "AS503", "AS602", "AS603", "AS604",
];

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
    let manifest = root.join("own/Cargo.toml");
    let runtime = own.join("../asupersync").canonicalize().unwrap();
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(
        &manifest,
        text.replace("ASUPERSYNC", runtime.to_str().unwrap()),
    )
    .unwrap();
    write_examples(&root.join("examples/src"));
    root
}

/// Rules whose fix of their own example is built too.
const FIXED: &[&str] = &[
    "AS103", "AS107", "AS202", "AS211", "AS304", "AS305", "AS308", "AS401", "AS403",
];

/// One module per example, so that a name can stand in several.
fn write_examples(source: &Path) {
    let mut library = String::from("#![allow(dead_code)]\n");
    for code in FIXED {
        let rule = rules::find(code).unwrap();
        let report = lint_source("example.rs", rule.example, &Options::default()).unwrap();
        let mut edits = EditSet::new();
        for finding in report.findings.iter().filter(|one| one.rule == rule) {
            edits.extend(finding.fix.as_ref().unwrap().edits.iter().cloned());
        }
        let module = format!("{}_fixed", code.to_lowercase());
        let fixed = edits.apply(rule.example).unwrap().text;
        fs::write(source.join(format!("{module}.rs")), fixed).unwrap();
        library.push_str(&format!("mod {module};\n"));
    }
    for code in BUILT {
        let rule = rules::find(code).unwrap();
        for (kind, text) in [("bad", rule.example), ("good", rule.instead)] {
            let module = format!("{}_{kind}", code.to_lowercase());
            fs::write(source.join(format!("{module}.rs")), text).unwrap();
            library.push_str(&format!("mod {module};\n"));
        }
    }
    fs::write(source.join("lib.rs"), library).unwrap();
}

fn expected(root: &Path) -> Expected {
    let mut expected = Expected::default();
    for member in ["app", "helper", "renamed", "own", "forms"] {
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
        levels: vec![("all".to_owned(), Level::Warn)],
        tests: Some(Level::Warn),
        cargo_args: vec!["--offline".to_owned()],
        ..Options::default()
    };
    let report = lint_paths(&[root.to_owned()], &options).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let places = report
        .findings
        .iter()
        .filter(|finding| is_annotated(root, finding))
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

/// Whether the fixture's annotations speak of such findings.
fn is_annotated(root: &Path, finding: &Finding) -> bool {
    CODES.contains(&finding.rule.code) && !finding.path.starts_with(root.join("examples"))
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
        .filter(|one| one.unresolved_types && is_annotated(&root, one))
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

    // What a fix makes of an example compiles, as the engines had no problems, and is clean.
    for code in FIXED {
        let file = root.join(format!("examples/src/{}_fixed.rs", code.to_lowercase()));
        let mut of_rule = report.findings.iter().filter(|one| one.rule.code == *code);
        assert!(of_rule.all(|one| one.path != file), "{code}");
    }
    // The examples of the rules that need the compiler fire, and what to write instead is clean.
    for code in BUILT {
        let fires = |kind: &str| {
            let file = root.join(format!("examples/src/{}_{kind}.rs", code.to_lowercase()));
            report
                .findings
                .iter()
                .any(|one| one.rule.code == *code && one.path == file)
        };
        assert!(fires("bad"), "{code}");
        assert!(!fires("good"), "{code}");
    }

    println!(
        "{} sites: syntax {}, compiler {}, both {}",
        expected.all.len(),
        syntax.len(),
        compiler.len(),
        both.len()
    );
}
