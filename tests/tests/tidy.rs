//! The house rules that a program can check: floors, reachability, module docs,
//! leftovers, and the dependency that must not be there.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace is above")
        .to_path_buf()
}

/// Every `.rs` file that git tracks or would track, relative to the workspace.
fn sources() -> Vec<PathBuf> {
    let out = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "*.rs",
        ])
        .current_dir(root())
        .output()
        .expect("git is there: this is a checkout");
    assert!(
        out.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    let list = String::from_utf8(out.stdout).expect("paths are UTF-8");
    let files = list
        .lines()
        .map(PathBuf::from)
        .filter(|p| root().join(p).exists() && !is_material(p));
    let files: Vec<PathBuf> = files.collect();
    assert!(files.len() > 50, "only {} source files found", files.len());
    files
}

/// Source that tools read as data: no part of any crate of this workspace.
fn is_material(path: &Path) -> bool {
    const FOLDERS: [&str; 5] = ["fixtures", "ui", "cmd", "sample", "agreement"];
    const ENDINGS: [&str; 2] = [".before.rs", ".after.rs"];
    let name = path
        .file_name()
        .map(|n| n.to_string_lossy())
        .unwrap_or_default();
    path.components()
        .any(|c| FOLDERS.iter().any(|f| c.as_os_str() == *f))
        || ENDINGS.iter().any(|e| name.ends_with(e))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn parse(path: &Path) -> syn::File {
    syn::parse_file(&read(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn is_test_only(attrs: &[syn::Attribute]) -> bool {
    attrs
        .iter()
        .any(|a| a.path().is_ident("cfg") && a.to_token_stream().to_string().contains("test"))
}

fn none(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

/// The floors, as ARCHITECTURE.md gives them.
fn floors() -> BTreeMap<String, u32> {
    let doc = read(Path::new("docs/ARCHITECTURE.md"));
    let table = doc
        .split("```floors\n")
        .nth(1)
        .and_then(|t| t.split("```").next());
    let table = table.expect("ARCHITECTURE.md has a block ```floors");
    let floor = |line: &str| {
        let mut words = line.split_whitespace();
        let number = words.next()?.parse().ok()?;
        Some((words.next()?.to_owned(), number))
    };
    table
        .lines()
        .map(|l| floor(l).unwrap_or_else(|| panic!("not a floor: {l:?}")))
        .collect()
}

/// Names that follow `crate::` or `super::` up to the crate's root, from a
/// module `depth` levels below it.
fn root_names(tokens: TokenStream, depth: usize, found: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut i = 0;
    while i < tokens.len() {
        let Some(mut at) = root_path(&tokens, i, depth) else {
            if let TokenTree::Group(g) = &tokens[i] {
                root_names(g.stream(), depth, found);
            }
            i += 1;
            continue;
        };
        match tokens.get(at) {
            Some(TokenTree::Ident(name)) => drop(found.insert(name.to_string())),
            Some(TokenTree::Group(g)) => found.extend(heads(g.stream())),
            _ => at = i,
        }
        i = at + 1;
    }
}

/// The index just behind a path prefix that names the crate's root.
fn root_path(tokens: &[TokenTree], i: usize, depth: usize) -> Option<usize> {
    let ident =
        |i: usize, name: &str| matches!(tokens.get(i), Some(TokenTree::Ident(id)) if id == name);
    let colons = |i: usize| {
        let colon =
            |i: usize| matches!(tokens.get(i), Some(TokenTree::Punct(p)) if p.as_char() == ':');
        colon(i) && colon(i + 1)
    };
    if ident(i, "crate") && colons(i + 1) {
        return Some(i + 3);
    }
    let mut at = i;
    for _ in 0..depth {
        if !(ident(at, "super") && colons(at + 1)) {
            return None;
        }
        at += 3;
    }
    (depth > 0 && !ident(at, "super")).then_some(at)
}

/// The first name of each element of a use group.
fn heads(group: TokenStream) -> Vec<String> {
    let mut heads = Vec::new();
    let mut fresh = true;
    for t in group {
        match t {
            TokenTree::Ident(id) if fresh => {
                heads.push(id.to_string());
                fresh = false;
            }
            TokenTree::Punct(p) if p.as_char() == ',' => fresh = true,
            _ => {}
        }
    }
    heads
}

/// Whether a file is a module that only tests compile.
fn is_test_file(path: &Path) -> bool {
    path.file_stem()
        .is_some_and(|s| s == "tests" || s == "test")
}

#[test]
fn modules_name_only_lower_floors() {
    let floors = floors();
    let src = Path::new("asupersync/src");
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for path in sources() {
        let Ok(inside) = path.strip_prefix(src) else {
            continue;
        };
        let parts: Vec<_> = inside
            .components()
            .map(|c| c.as_os_str().to_string_lossy().into_owned())
            .collect();
        if inside == Path::new("lib.rs") || is_test_file(&path) {
            continue;
        }
        // A module is a folder, or one file.
        let me = parts[0].trim_end_matches(".rs").to_owned();
        let Some(mine) = floors.get(&me) else {
            wrong.push(format!(
                "{}: module `{me}` has no floor in ARCHITECTURE.md",
                path.display()
            ));
            continue;
        };
        seen.insert(me.clone());
        let is_mod = parts.last().is_some_and(|f| f == "mod.rs");
        let depth = parts.len() - usize::from(is_mod);
        let mut names = BTreeSet::new();
        for item in parse(&path).items {
            let attrs = match &item {
                syn::Item::Mod(m) => &m.attrs,
                syn::Item::Fn(f) => &f.attrs,
                syn::Item::Use(u) => &u.attrs,
                syn::Item::Impl(i) => &i.attrs,
                _ => &Vec::new(),
            };
            if !is_test_only(attrs) {
                root_names(item.to_token_stream(), depth, &mut names);
            }
        }
        for name in names.iter().filter(|n| **n != me) {
            match floors.get(name) {
                Some(theirs) if theirs < mine => {}
                Some(theirs) => wrong.push(format!(
                    "{}: `{me}` (floor {mine}) names `{name}` (floor {theirs})",
                    path.display()
                )),
                None => wrong.push(format!(
                    "{}: `{me}` names `crate::{name}`: say where it lives",
                    path.display()
                )),
            }
        }
    }
    none("floors", wrong);
    let missing: Vec<_> = floors
        .keys()
        .filter(|m| !seen.contains(*m))
        .cloned()
        .collect();
    none("floors without a module", missing);
}

#[test]
fn the_floor_check_sees_every_form_of_path() {
    let names = |code: &str, depth| {
        let mut found = BTreeSet::new();
        root_names(code.parse().expect("tokens"), depth, &mut found);
        found.into_iter().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("use crate::a::b; fn f() { crate::c::d() }", 1), "a c");
    assert_eq!(names("use crate::{a::{x, y}, b, c::d};", 1), "a b c");
    assert_eq!(names("use super::a; use super::super::b;", 2), "b");
    assert_eq!(names("use super::a;", 1), "a");
    assert_eq!(names("mac!(crate::a::b)", 1), "a");
}

#[test]
fn every_source_file_is_reachable() {
    let files: BTreeSet<PathBuf> = sources().into_iter().collect();
    let mut reached = BTreeSet::new();
    let mut open: Vec<PathBuf> = files.iter().filter(|p| is_crate_root(p)).cloned().collect();
    while let Some(path) = open.pop() {
        if !reached.insert(path.clone()) {
            continue;
        }
        let dir = if owns_its_folder(&path) {
            path.parent().expect("a file has a folder").to_path_buf()
        } else {
            path.with_extension("")
        };
        children(
            &parse(&path).items,
            &dir,
            path.parent().expect("a file has a folder"),
            &mut open,
        );
    }
    let lost = files
        .difference(&reached)
        .map(|p| p.display().to_string())
        .collect();
    none("files no crate includes", lost);
}

fn owns_its_folder(path: &Path) -> bool {
    is_crate_root(path) || path.file_name().is_some_and(|f| f == "mod.rs")
}

fn is_crate_root(path: &Path) -> bool {
    let p = path.to_string_lossy();
    let in_folder = |folder: &str| path.parent().is_some_and(|d| d.ends_with(folder));
    p.ends_with("src/lib.rs")
        || p.ends_with("src/main.rs")
        || p.ends_with("build.rs")
        // A test of several files: `tests/NAME/main.rs`.
        || (path.ends_with("main.rs")
            && path.ancestors().nth(2).is_some_and(|d| d.ends_with("tests")))
        || ["src/bin", "tests", "benches", "examples"]
            .iter()
            .any(|f| in_folder(f))
}

/// Files that `mod` declarations name.
fn children(items: &[syn::Item], dir: &Path, here: &Path, open: &mut Vec<PathBuf>) {
    for item in items {
        let syn::Item::Mod(m) = item else { continue };
        let name = m.ident.to_string();
        let name = name.trim_start_matches("r#");
        if let Some((_, items)) = &m.content {
            children(items, &dir.join(name), here, open);
            continue;
        }
        let explicit = m.attrs.iter().find_map(|a| match &a.meta {
            syn::Meta::NameValue(nv) if nv.path.is_ident("path") => match &nv.value {
                syn::Expr::Lit(syn::ExprLit {
                    lit: syn::Lit::Str(s),
                    ..
                }) => Some(here.join(s.value())),
                _ => None,
            },
            _ => None,
        });
        let candidates = [
            explicit.unwrap_or_else(|| dir.join(format!("{name}.rs"))),
            dir.join(name).join("mod.rs"),
        ];
        open.extend(candidates.into_iter().filter(|c| root().join(c).exists()));
    }
}

#[test]
fn every_module_says_what_it_is() {
    let bare = sources().into_iter().filter(|path| {
        let text = read(path);
        let first = text
            .lines()
            .find(|l| !l.trim().is_empty() && !l.starts_with("#!"));
        !first.is_some_and(|l| l.starts_with("//!"))
    });
    none(
        "files without module documentation",
        bare.map(|p| p.display().to_string()).collect(),
    );
}

#[test]
fn nothing_is_left_unfinished() {
    const MACROS: [&str; 3] = ["todo", "unimplemented", "dbg"];
    fn search(tokens: TokenStream, found: &mut Vec<String>) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (i, t) in tokens.iter().enumerate() {
            match t {
                TokenTree::Group(g) => search(g.stream(), found),
                TokenTree::Ident(id) => {
                    let next = tokens.get(i + 1);
                    let bang = matches!(next, Some(TokenTree::Punct(p)) if p.as_char() == '!');
                    if bang && MACROS.iter().any(|m| id == m) {
                        found.push(format!("{id}!"));
                    }
                    let attribute = i == 0 && id == "ignore" && tokens.len() <= 3;
                    if attribute {
                        found.push("#[ignore]".to_owned());
                    }
                }
                _ => {}
            }
        }
    }
    let mut left = Vec::new();
    for path in sources() {
        let mut found = Vec::new();
        search(parse(&path).to_token_stream(), &mut found);
        left.extend(
            found
                .into_iter()
                .map(|f| format!("{}: {f}", path.display())),
        );
    }
    none("unfinished", left);
}

#[test]
fn the_runtime_depends_on_no_other_runtime() {
    for package in ["tokio", "hyper", "reqwest", "axum", "async-std", "smol"] {
        let out = Command::new(env!("CARGO"))
            .args([
                "tree",
                "--offline",
                "-p",
                "asupersync",
                "-e",
                "normal",
                "-i",
                package,
            ])
            .current_dir(root())
            .output()
            .expect("cargo runs");
        let tree = String::from_utf8_lossy(&out.stdout);
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(
            tree.trim().is_empty(),
            "asupersync depends on {package}:\n{tree}"
        );
        let absent =
            said.contains("did not match any packages") || said.contains("nothing to print");
        assert!(
            absent,
            "cargo tree -i {package} said something else: {said}"
        );
    }
}
