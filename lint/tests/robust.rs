//! What a project may hold that is no plain package: the program says what it cannot look at, lints the rest, and does not fall over.
//! None of it has dependencies, so nothing is fetched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The finding that shows that a file was looked at.
const SLEEP: &str = "pub async fn f() { std::thread::sleep(std::time::Duration::from_secs(1)); }\n";

fn package(name: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2021\"\n")
}

struct Tree(TempDir);

impl Tree {
    fn new(files: &[(&str, &str)]) -> Tree {
        let tree = Tree(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
        for (name, text) in files {
            let path = tree.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        tree
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, directory: &str, arguments: &[&str]) -> Output {
        Command::new(Path::new(env!("CARGO_BIN_EXE_cargo-asupersync-lint")))
            .args(["--format", "concise", "-A", "all", "-D", "AS401"])
            .args(arguments)
            .current_dir(self.path(directory))
            .env_remove("CARGO_TARGET_DIR")
            .output()
            .unwrap()
    }
}

/// The files with a finding, and what was said besides.
fn found(output: &Output) -> (Vec<String>, String) {
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().filter(|line| line.contains("[AS401]"));
    let file = |line: &str| line.split(".rs:").next().unwrap_or_default().to_owned() + ".rs";
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code().is_some(), "it crashed: {stderr}");
    (lines.map(file).collect(), stderr)
}

const SYNTAX: &[&str] = &["--engine", "syn"];
const BOTH: &[&str] = &["--offline"];

#[test]
fn deep_code_does_not_overflow_the_stack() {
    let nested = format!(
        "pub fn deep() {{ {}{} }}\n",
        "(".repeat(20_000),
        ")".repeat(20_000)
    );
    let in_text = format!("const OPEN: &str = \"{}\";\n{SLEEP}", "(".repeat(2_000));
    let sum = format!("pub const SUM: u64 = 1{};\n{SLEEP}", " + 1".repeat(8_000));
    let chain = format!(
        "pub fn chain(s: &str) -> &str {{ s{} }}\n{SLEEP}",
        ".trim()".repeat(2_000)
    );
    let blocks = format!(
        "pub fn blocks() {}{}\n{SLEEP}",
        "{".repeat(400),
        "}".repeat(400)
    );
    let tree = Tree::new(&[
        ("Cargo.toml", &(package("deep") + "[workspace]\n")),
        (
            "src/lib.rs",
            "mod blocks; mod chain; mod in_text; mod nested; mod sum;",
        ),
        ("src/nested.rs", &nested),
        ("src/in_text.rs", &in_text),
        ("src/sum.rs", &sum),
        ("src/chain.rs", &chain),
        ("src/blocks.rs", &blocks),
    ]);
    let (files, said) = found(&tree.run(".", SYNTAX));
    assert_eq!(
        files,
        [
            "src/blocks.rs",
            "src/chain.rs",
            "src/in_text.rs",
            "src/sum.rs"
        ],
        "{said}"
    );
    assert!(
        said.contains("nested.rs: brackets are nested more than 500 deep"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_generated_file_of_five_megabytes_is_linted() {
    let mut text = String::from("pub static TABLE: &[(u32, &str)] = &[\n");
    let mut line = 0;
    while text.len() < 5 << 20 {
        text +=
            &format!("    ({line}, \"entry number {line} of a table that a program wrote\"),\n");
        line += 1;
    }
    text += "];\n";
    text += SLEEP;
    let tree = Tree::new(&[
        ("Cargo.toml", &(package("generated") + "[workspace]\n")),
        ("src/lib.rs", &text),
    ]);
    let (files, said) = found(&tree.run(".", SYNTAX));
    assert_eq!((files, said.as_str()), (vec!["src/lib.rs".to_owned()], ""));
}

#[test]
fn odd_packages_are_linted_by_both_engines() {
    let members =
        "[workspace]\nresolver = \"2\"\nmembers = [\"*\"]\nexclude = [\"left out\", \"target\"]\n";
    let derive = package("derive") + "[lib]\nproc-macro = true\n";
    let tree = Tree::new(&[
        ("a spåce/Cargo.toml", members),
        ("a spåce/derive/Cargo.toml", &derive),
        ("a spåce/derive/src/lib.rs", "mod part;\n"),
        ("a spåce/derive/src/part.rs", SLEEP),
        ("a spåce/bare/Cargo.toml", &package("bare")),
        (
            "a spåce/bare/src/lib.rs",
            "#![no_std]\nextern crate std;\n#[path = \"ünder/path.rs\"]\nmod elsewhere;\n",
        ),
        ("a spåce/bare/src/ünder/path.rs", SLEEP),
        ("a spåce/built/Cargo.toml", &package("built")),
        (
            "a spåce/built/build.rs",
            &format!("fn main() {{}}\n{SLEEP}"),
        ),
        ("a spåce/built/src/main.rs", "mod linked;\nfn main() {}\n"),
        (
            "a spåce/left out/Cargo.toml",
            &(package("left-out") + "[workspace]\n"),
        ),
        ("a spåce/left out/src/lib.rs", SLEEP),
        ("linked.rs", SLEEP),
    ]);
    #[cfg(unix)]
    std::os::unix::fs::symlink(
        tree.path("linked.rs"),
        tree.path("a spåce/built/src/linked.rs"),
    )
    .unwrap();
    #[cfg(not(unix))]
    fs::copy(
        tree.path("linked.rs"),
        tree.path("a spåce/built/src/linked.rs"),
    )
    .unwrap();
    // A build script is read too, but its process ends: the rule is not heard there.
    let all = [
        "bare/src/ünder/path.rs",
        "built/src/linked.rs",
        "derive/src/part.rs",
    ];
    for engine in [SYNTAX, BOTH] {
        let (files, said) = found(&tree.run("a spåce", engine));
        assert_eq!(
            (files.as_slice(), said.as_str()),
            (&all.map(str::to_owned)[..], ""),
            "{engine:?}"
        );
        // The excluded one is a workspace of its own.
        let (files, said) = found(&tree.run("a spåce/left out", engine));
        assert_eq!(
            (files, said.as_str()),
            (vec!["src/lib.rs".to_owned()], ""),
            "{engine:?}"
        );
    }
    // What the compiler confirmed is not marked: paths with blanks, links and letters beyond ASCII are the files they are.
    let output = tree.run("a spåce", BOTH);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("unresolved-types"), "{text}");
}

#[test]
fn what_cannot_be_built_is_linted_by_syntax() {
    let absent =
        package("absent") + "[workspace]\n[dependencies]\nno-such-crate-of-this-test = \"1\"\n";
    let tree = Tree::new(&[("Cargo.toml", &absent), ("src/lib.rs", SLEEP)]);
    let output = tree.run(".", BOTH);
    let (files, said) = found(&output);
    assert_eq!(
        (files, output.status.code()),
        (vec!["src/lib.rs".to_owned()], Some(2))
    );
    assert!(said.contains("no-such-crate-of-this-test"), "{said}");
    assert!(said.contains("findings come from syntax alone"), "{said}");
}

/// A toolchain without clippy: cargo knows no such subcommand.
#[cfg(unix)]
#[test]
fn a_missing_clippy_is_said_with_what_to_do() {
    use std::os::unix::fs::PermissionsExt;
    let tree = Tree::new(&[
        ("Cargo.toml", &(package("plain") + "[workspace]\n")),
        ("src/lib.rs", SLEEP),
    ]);
    let cargo = tree.path("cargo");
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = clippy ]; then echo 'error: no such command: `clippy`' >&2; exit 101; fi\nexec '{}' \"$@\"\n",
        env!("CARGO")
    );
    fs::write(&cargo, script).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(Path::new(env!("CARGO_BIN_EXE_cargo-asupersync-lint")))
        .args([
            "--format",
            "concise",
            "-A",
            "all",
            "-D",
            "AS401",
            "--offline",
        ])
        .current_dir(tree.0.path())
        .env("CARGO", &cargo)
        .output()
        .unwrap();
    let (files, said) = found(&output);
    assert_eq!(files, ["src/lib.rs"], "{said}");
    assert!(said.contains("rustup component add clippy"), "{said}");
}
