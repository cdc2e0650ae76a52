//! Loading: prefixes, broken files, module trees, directories that are not entered.

use asupersync_source::load::{Project, Selection};
use std::fs;
use std::path::Path;

fn write(root: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[test]
fn positions_count_what_the_parser_strips() {
    for prefix in [
        "",
        "\u{feff}",
        "#!/usr/bin/env run\n",
        "\u{feff}#!/bin/x\r\n",
    ] {
        let text =
            format!("{prefix}// ü\r\nfn första() {{\r\n    println!(\"é\", andra());\r\n}}\r\n");
        let project = Project::from_source("demo.rs", &text).unwrap();
        let file = &project.files[0];
        let syn::Item::Fn(function) = &file.ast.items[0] else {
            panic!("expected a function");
        };
        let range = file.range(&function.sig.ident);
        assert_eq!(&file.text[range.clone()], "första");
        assert_eq!(range.start, text.find("första").unwrap());
        let syn::Stmt::Macro(call) = &function.block.stmts[0] else {
            panic!("expected a macro call");
        };
        let Some(asupersync_source::macros::MacroBody::Exprs(parts)) = file.macro_body(&call.mac)
        else {
            panic!("expected a list of expressions");
        };
        assert_eq!(file.text_of(&parts[1]), "andra()");
    }
}

#[test]
fn an_inner_attribute_is_no_interpreter_line() {
    let project = Project::from_source("demo.rs", "#![allow(unused)]\nfn f() {}").unwrap();
    assert_eq!(project.files[0].ast.attrs.len(), 1);
}

#[test]
fn one_broken_file_does_not_hide_the_others() {
    let root = tempfile::tempdir().unwrap();
    write(
        root.path(),
        &[
            (
                "Cargo.toml",
                "[package]\nname = \"demo-app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\nrt = { package = \"tokio\", version = \"1\" }\n",
            ),
            (
                "src/lib.rs",
                "mod good;\nmod bad;\nmod missing;\n#[cfg(windows)] mod elsewhere;\n#[path = \"odd/place.rs\"] mod placed;\nmod outer { pub mod inner; }\n",
            ),
            ("src/good.rs", "pub mod deep;"),
            ("src/good/deep.rs", ""),
            ("src/bad.rs", "fn f( {"),
            ("src/odd/place.rs", "mod beside;"),
            ("src/odd/beside.rs", ""),
            ("src/outer/inner.rs", ""),
            ("src/main.rs", "fn main() {}"),
            ("target/debug/generated.rs", "broken ("),
        ],
    );
    let project = Project::load(root.path(), &Selection::default()).unwrap();
    let messages: Vec<String> = project
        .diagnostics
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(
        messages[0].contains("bad.rs:1:") && messages[0].contains("cannot parse"),
        "{messages:?}"
    );
    assert!(messages[1].contains("demo_app::missing"), "{messages:?}");
    let lib = &project.targets[0];
    let modules: Vec<String> = lib
        .modules
        .iter()
        .map(|module| module.path.join("::"))
        .collect();
    assert_eq!(
        modules,
        [
            "demo_app",
            "demo_app::good",
            "demo_app::good::deep",
            "demo_app::placed",
            "demo_app::placed::beside",
            "demo_app::outer::inner"
        ]
    );
    assert_eq!(project.targets[1].crate_name, "bin:demo_app");
    assert_eq!(project.packages[0].dependencies["rt"], "tokio");
}

#[test]
fn a_directory_without_a_manifest_is_a_set_of_roots() {
    let root = tempfile::tempdir().unwrap();
    write(
        root.path(),
        &[
            ("one.rs", "mod part;"),
            ("part.rs", ""),
            ("two.rs", ""),
            ("target/three.rs", ""),
            ("node_modules/four.rs", ""),
            (".hidden/five.rs", ""),
        ],
    );
    let project = Project::load(root.path(), &Selection::default()).unwrap();
    let mut roots: Vec<&str> = project
        .targets
        .iter()
        .map(|target| target.name.as_str())
        .collect();
    roots.sort_unstable();
    assert_eq!(roots, ["one", "two"]);
}
