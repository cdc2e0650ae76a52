//! The guide: every chapter is listed and there, and its table from tokio names
//! every public item of tokio and every type that the tools know, and nothing
//! here that does not exist. Its examples run with the doc-tests.

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

/// What `tests/data/tokio-items.txt` lists, and the version it was made from.
fn tokio_items() -> (String, BTreeSet<String>) {
    let text = read("tests/data/tokio-items.txt");
    let version = text
        .lines()
        .next()
        .expect("the first line says which tokio");
    let version = version.strip_prefix("# tokio ").expect("it says so");
    let items = text.lines().filter(|line| !line.starts_with('#'));
    (version.to_owned(), items.map(str::to_owned).collect())
}

#[test]
fn the_table_names_every_public_item_of_tokio() {
    let (_, items) = tokio_items();
    assert!(items.len() > 200, "{}", items.len());
    let table = named(&read("docs/guide/src/from-tokio.md"));
    let missing: Vec<_> = items.difference(&table).collect();
    assert!(missing.is_empty(), "no line for {missing:?}");
    // Beside items the table names modules, methods, and what is not stable.
    let unstable = ["tokio::task::Builder"];
    let known = |name: &String| {
        let parent = name.rsplit_once("::").map_or("", |(parent, _)| parent);
        items.contains(name)
            || items.contains(parent)
            || items
                .iter()
                .any(|item| item.starts_with(&format!("{name}::")))
            || unstable.contains(&name.as_str())
    };
    let unknown: Vec<_> = table
        .iter()
        .filter(|name| name.starts_with("tokio::") && !known(name))
        .collect();
    assert!(unknown.is_empty(), "tokio has no {unknown:?}");
}

#[test]
fn the_list_of_items_is_that_of_the_locked_tokio() {
    let (version, _) = tokio_items();
    let lock = read("Cargo.lock");
    let locked = lock
        .split("[[package]]")
        .find(|package| package.contains("name = \"tokio\"\n"))
        .expect("tokio is locked");
    assert!(
        locked.contains(&format!("version = \"{version}\"\n")),
        "tests/data/tokio-items.txt is of tokio {version}: write it again, as its head says, and the table with it"
    );
    assert!(
        read("docs/guide/src/from-tokio.md").contains(&format!("tokio {version}")),
        "the chapter says which version it speaks of"
    );
}

/// The rows of the tables: what stands in the column of tokio, and what to use here.
fn rows(text: &str) -> Vec<(String, String)> {
    let cells = |line: &str| line.split(" | ").map(str::to_owned).collect::<Vec<_>>();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let cells = cells(line);
        assert_eq!(cells.len(), 3, "a row has three cells: {line}");
        (cells[0].clone(), cells[1].clone())
    })
    .collect()
}

/// All source below a path of the library.
fn source(path: &Path) -> String {
    if path.is_file() {
        return std::fs::read_to_string(path).expect("it can be read");
    }
    let entries = path.read_dir().expect("it can be listed");
    entries
        .map(|entry| source(&entry.expect("it can be listed").path()))
        .collect()
}

#[test]
fn what_the_table_says_to_use_exists() {
    let library = root().join("asupersync/src");
    let everything = source(&library);
    let has = |text: &str, name: &str| {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        text.match_indices(name).any(|(at, _)| {
            let (before, after) = (&text[..at], &text[at + name.len()..]);
            !before.ends_with(word) && !after.starts_with(word)
        })
    };
    let mut checked = 0;
    for (tokio, here) in rows(&read("docs/guide/src/from-tokio.md")) {
        assert_ne!(
            here, "-",
            "{tokio}: say what to use, or \"no equivalent: because\""
        );
        for code in here.split('`').skip(1).step_by(2) {
            let path = code
                .split(['(', ' ', '<', '>', '&'])
                .find(|part| part.contains("::"));
            let name = match (path, code.strip_prefix("cx.")) {
                (_, Some(call)) => call.split('(').next().unwrap_or(call),
                (Some(path), None) if !path.starts_with("tokio") && !path.starts_with("std") => {
                    let (module, name) = path.rsplit_once("::").expect("it has two parts");
                    let module = library.join(module.replace("::", "/"));
                    let place = [module.join("mod.rs"), module.with_extension("rs")];
                    // Where it is published: a name in a private module is of no use.
                    if let Some(place) = place.iter().find(|place| place.exists()) {
                        assert!(has(&source(place), name), "{code}, for {tokio}");
                    }
                    name
                }
                _ => continue,
            };
            checked += 1;
            assert!(has(&everything, name), "{code}, for {tokio}");
        }
        // A name that stays the same is there in the module that the row says.
        if let Some(module) = here.split("the same names in `").nth(1) {
            let module = module.split('`').next().unwrap_or_default();
            let text = source(&library.join(module.replace("::", "/")));
            for path in named(&tokio) {
                let name = path.rsplit("::").next().unwrap_or_default();
                checked += 1;
                assert!(has(&text, name), "{name} in {module}, for {path}");
            }
        }
    }
    assert!(checked > 100, "{checked}");
}
