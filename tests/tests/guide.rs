//! The guide: every chapter is listed and there, and its table from tokio names
//! every type of tokio that the tools know. Its examples run with the doc-tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the workspace is above").to_path_buf()
}

fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn the_summary_lists_the_chapters_that_are_there() {
    let summary = read("docs/guide/src/SUMMARY.md");
    let listed: BTreeSet<String> = summary
        .lines()
        .filter_map(|line| line.split_once("](")?.1.strip_suffix(')'))
        .map(str::to_owned)
        .collect();
    let dir = root().join("docs/guide/src");
    let found: BTreeSet<String> = dir
        .read_dir()
        .expect("the guide is there")
        .map(|e| e.expect("it can be listed").file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name != "SUMMARY.md")
        .collect();
    assert_eq!(listed, found);
}

/// The paths between backticks that begin with one of tokio's crates.
fn named(text: &str) -> BTreeSet<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    let paths = quoted.filter(|path| {
        let name = path.split("::").next().unwrap_or_default();
        path.contains("::") && matches!(name, "tokio" | "tokio_util" | "tokio_stream")
    });
    paths.map(|p| p.trim_end_matches('!').to_owned()).collect()
}

#[test]
fn the_table_names_every_type_that_the_tools_know() {
    let table = named(&read("docs/guide/src/from-tokio.md"));
    assert!(table.len() > 60, "{table:?}");
    let known = read("lint/source/data/signatures.txt");
    let types = known.lines().filter_map(|line| line.strip_prefix("type "));
    let types: Vec<&str> = types.map(str::trim).collect();
    let missing: Vec<&str> = types
        .into_iter()
        .filter(|path| path.starts_with("tokio"))
        .filter(|path| {
            let under = |name: &String| path == name || path.starts_with(&format!("{name}::"));
            !table.iter().any(under)
        })
        .collect();
    assert!(missing.is_empty(), "no line for {missing:?}");
}
