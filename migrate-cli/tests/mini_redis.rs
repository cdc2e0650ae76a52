//! The whole way on a real program: mini-redis from the registry is assessed, rewritten and verified; the result compiles, its own
//! tests pass as before, and a second run changes nothing.
//!
//! The program is downloaded through cargo; where the registry cannot be reached the test says so and stops.

mod common;

use asupersync_migrate::{Dependency, Fate, Options, assess, rewrite};
use common::{Cargo, skipped, target_dir, workspace};
use std::fs;
use std::path::{Path, PathBuf};

const NAME: &str = "mini-redis";
const VERSION: &str = "0.4.1";

/// The program's own tests: of the library and integration tests 11, of the documentation 10.
const OWN_TESTS: usize = 21;

/// The unpacked source of the program, or why there is none.
fn fetch(directory: &Path) -> Result<PathBuf, String> {
    fs::create_dir_all(directory.join("src")).map_err(|error| error.to_string())?;
    fs::write(directory.join("src/lib.rs"), "").map_err(|error| error.to_string())?;
    let manifest = format!(
        "[package]\nname = \"fetch\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[workspace]\n\n[dependencies]\n{NAME} = \"={VERSION}\"\n"
    );
    fs::write(directory.join("Cargo.toml"), manifest).map_err(|error| error.to_string())?;
    let cargo = Cargo::in_directory(directory);
    let metadata = cargo.run(&["metadata", "--format-version=1", "--quiet"])?;
    let metadata: serde_json::Value =
        serde_json::from_str(&metadata).map_err(|error| error.to_string())?;
    metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == NAME)
        .and_then(|package| package["manifest_path"].as_str())
        .and_then(|manifest| Path::new(manifest).parent())
        .map(Path::to_owned)
        .ok_or_else(|| format!("{NAME} is not among the packages"))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a readable directory") {
        let entry = entry.expect("a readable entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a file type").is_dir() {
            copy(&entry.path(), &target);
        } else if !entry
            .file_name()
            .to_string_lossy()
            .starts_with("rust-toolchain")
        {
            fs::copy(entry.path(), target).expect("a writable file");
        }
    }
}

/// How many of the program's tests pass; the output where one fails.
fn passing(root: &Path) -> usize {
    let output = Cargo::in_directory(root)
        .run(&["test", "--quiet", "--no-fail-fast"])
        .unwrap_or_else(|output| panic!("a test of the program fails:\n{output}"));
    output
        .lines()
        .filter_map(|line| line.strip_prefix("test result: ok. "))
        .filter_map(|rest| rest.split(' ').next()?.parse::<usize>().ok())
        .sum()
}

#[test]
fn mini_redis_is_migrated_and_its_own_tests_pass() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let source = match fetch(&directory.path().join("fetch")) {
        Ok(source) => source,
        Err(why) => {
            skipped(format_args!("{NAME} {VERSION} cannot be fetched: {why}"));
            return;
        }
    };
    let root = directory.path().join(NAME);
    copy(&source, &root);
    assert_eq!(passing(&root), OWN_TESTS, "the baseline");

    let assessed = assess(&root).expect("the program is assessed").counts();
    let mut options = Options::new(&root);
    options.review = true;
    options.write = true;
    options.allow_dirty = true;
    options.dependency = Dependency::Path(workspace());
    options.target_dir = Some(target_dir().join("check"));
    let report = rewrite(&options).expect("the program is rewritten");
    let counts = report.counts();
    println!("{}", report.table());
    assert_eq!(counts.withdrawn, 0, "{}", report.text());
    assert_eq!(
        counts.seen, assessed.seen,
        "assess and rewrite see the same sites"
    );
    // What is left is the channel that a stream made by a macro receives from.
    let surprises: Vec<_> = report
        .sites
        .iter()
        .filter(|site| site.fate == Fate::Marked && site.rule.as_deref() != Some("AM042"))
        .collect();
    assert!(surprises.is_empty(), "{surprises:#?}");
    assert!(
        counts.automatic + counts.review > 10 * counts.marked,
        "{}",
        report.table()
    );

    assert_eq!(passing(&root), OWN_TESTS, "after the rewrite");

    let again = rewrite(&options).expect("the second run");
    assert!(again.changes.is_empty(), "{}", again.diff(false));
}
