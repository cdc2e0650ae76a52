//! Lints the crates of the corpus and compares the findings with those reviewed by hand.
//!
//! ```text
//! cargo run --release -p asupersync-lint --example corpus                             every crate, by syntax
//! cargo run --release -p asupersync-lint --example corpus -- --build mini-redis-0.4.1   with the compiler
//! cargo run -p asupersync-lint --example corpus -- --table                             the table of docs/lint-corpus.md
//! ```
//!
//! A finding that nobody reviewed is printed as a row for `lint/tests/corpus/reviewed.tsv` with the verdict `?`. A crate whose source
//! is not unpacked in cargo's registry cache is named and skipped; nothing is fetched. `lint/tests/corpus/crates.tsv` lists the crates.
//! Exit code 1: a finding of a deny rule without a review, or a review whose finding is gone.

#[path = "../tests/corpus/reviewed.rs"]
mod reviewed;

use asupersync_lint::rules::find;
use asupersync_lint::{Engine, Level, Options, lint_paths};
use reviewed::Key;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool, String> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let read = |name: &str| {
        let path = data.join(name);
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let rows = reviewed::parse(&read("reviewed.tsv")?)?;
    let known: BTreeSet<&Key> = rows.iter().map(|row| &row.key).collect();

    let mut arguments: Vec<String> = env::args().skip(1).collect();
    if arguments == ["--table"] {
        print!("{}", reviewed::table(&rows, describe));
        return Ok(true);
    }
    let build = arguments.iter().any(|one| one == "--build");
    arguments.retain(|one| one != "--build");
    let listed = read("crates.tsv")?;
    let crates = listed.lines().filter(|line| !line.starts_with('#'));
    let crates = crates.filter(|one| arguments.is_empty() || arguments.iter().any(|a| a == one));

    let mut clean = true;
    for package in crates {
        let Some(source) = unpacked(package) else {
            eprintln!("{package}: not in the registry cache, skipped");
            continue;
        };
        let found = lint(&source, package, build)?;
        let keys: BTreeSet<&Key> = found.iter().map(|one| &one.key).collect();
        let unknown = found.iter().filter(|one| !known.contains(&one.key));
        for one in unknown {
            clean &= one.level != Level::Deny;
            let Key {
                package,
                rule,
                file,
                code,
                nth,
            } = &one.key;
            let engine = if build { "resolved" } else { "syn" };
            println!(
                "{package}\t{rule}\t{file}\t{nth}\t{code}\t{engine}\t?\tline {}",
                one.line
            );
        }
        let gone = rows.iter().filter(|row| {
            row.key.package == package && (build || row.engine == "syn") && !keys.contains(&row.key)
        });
        for row in gone {
            clean = false;
            eprintln!(
                "gone: {package} {} {}: {}",
                row.key.rule, row.key.file, row.key.code
            );
        }
        let reviewed = found.iter().filter(|one| known.contains(&one.key)).count();
        eprintln!("{package}: {} findings, {reviewed} reviewed", found.len());
    }
    Ok(clean)
}

fn describe(code: &str) -> (&'static str, &'static str) {
    find(code).map_or(("", "unknown"), |rule| (rule.name, rule.level.word()))
}

/// Where cargo unpacked a crate.
fn unpacked(package: &str) -> Option<PathBuf> {
    let cargo = env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")))?;
    let registries = fs::read_dir(cargo.join("registry/src")).ok()?;
    registries
        .filter_map(Result::ok)
        .map(|registry| registry.path().join(package))
        .find(|path| path.is_dir())
}

struct Found {
    key: Key,
    level: Level,
    line: usize,
}

/// Lints a copy, since cargo writes beside a manifest.
fn lint(source: &Path, package: &str, build: bool) -> Result<Vec<Found>, String> {
    let copies = tempfile::tempdir().map_err(|error| error.to_string())?;
    let copy = copies.path().join(package);
    copy_tree(source, &copy).map_err(|error| format!("{package}: {error}"))?;
    let options = Options {
        engine: if build {
            Engine::Both
        } else {
            Engine::Syntactic
        },
        cargo_args: vec!["--offline".to_owned()],
        ..Options::default()
    };
    let report = lint_paths(std::slice::from_ref(&copy), &options)
        .map_err(|error| format!("{package}: {error}"))?;
    for problem in &report.problems {
        eprintln!("{package}: {}", problem.message);
    }

    let mut texts: HashMap<&Path, String> = HashMap::new();
    let mut counts: HashMap<(&str, String, String), usize> = HashMap::new();
    let mut found = Vec::new();
    for one in &report.findings {
        let text = texts
            .entry(&one.path)
            .or_insert_with(|| fs::read_to_string(&one.path).unwrap_or_default());
        let code = reviewed::normalised(text.lines().nth(one.line - 1).unwrap_or_default());
        let file = one.path.strip_prefix(&copy).unwrap_or(&one.path);
        let file = file.to_string_lossy().replace('\\', "/");
        let nth = counts
            .entry((one.rule.code, file.clone(), code.clone()))
            .or_default();
        *nth += 1;
        found.push(Found {
            key: Key {
                package: package.to_owned(),
                rule: one.rule.code.to_owned(),
                file,
                code,
                nth: *nth,
            },
            level: one.rule.level,
            line: one.line,
        });
    }
    Ok(found)
}

/// Copies a crate without its toolchain file, which would ask for another compiler.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with("rust-toolchain") {
            continue;
        }
        let target = to.join(&name);
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
