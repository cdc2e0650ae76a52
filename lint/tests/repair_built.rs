//! `--fix` with the compiler's engine on packages that are built: what compiles stays, what does not is taken back alone, and nothing
//! else is touched. The `tokio` here is a member of the workspace, so nothing is fetched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const TOKIO: &str = "\
pub mod time {
    pub async fn sleep(_: std::time::Duration) {}
}
pub mod task {
    pub async fn yield_now() {}
}
";

/// Where the fix goes wrong: it writes the name `tokio`, which is another module here.
const CLASH: &str = "\
pub async fn clash() {
    ::tokio::time::sleep(std::time::Duration::ZERO).await;
}
mod tokio {}
";

const MACRO: &str = "\
macro_rules! nap {
    () => {
        tokio::time::sleep(std::time::Duration::ZERO).await;
        std::thread::sleep(std::time::Duration::ZERO);
    };
}
pub async fn naps() {
    nap!();
    nap!();
}
";

/// Part of the library and of the program; line ends of CRLF.
const SHARED: &str = "\
pub async fn pause() {\r
    // é\r
    tokio::time::sleep(std::time::Duration::ZERO).await;\r
    tokio::time::sleep(std::time::Duration::from_secs(0)).await;\r
}\r
";

struct Workspace {
    directory: TempDir,
}

impl Workspace {
    /// A committed workspace of `tokio`, `app` with these files, and `broken`, whose one module is no UTF-8.
    fn new(files: &[(&str, &str)]) -> Workspace {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let workspace = Workspace { directory };
        let package = |name: &str, dependencies: &str| {
            format!(
                "[package]\nname = \"{name}\"\nversion = \"1.0.0\"\nedition = \"2021\"\n[dependencies]\n{dependencies}"
            )
        };
        let on_tokio = "tokio = { path = \"../tokio\" }\n";
        for (path, text) in [
            (
                "Cargo.toml",
                "[workspace]\nresolver = \"2\"\nmembers = [\"tokio\", \"app\"]\n".to_owned(),
            ),
            (".gitignore", "target\nCargo.lock\n".to_owned()),
            ("tokio/Cargo.toml", package("tokio", "")),
            ("tokio/src/lib.rs", TOKIO.to_owned()),
            ("app/Cargo.toml", package("app", on_tokio)),
        ] {
            workspace.write(path, text.as_bytes());
        }
        for (path, text) in files {
            workspace.write(path, text.as_bytes());
        }
        workspace.git(".", &["init", "--quiet"]);
        workspace.commit(".");
        workspace
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn git(&self, directory: &str, arguments: &[&str]) {
        let mut git = Command::new("git");
        git.arg("-C").arg(self.path(directory)).args(arguments);
        assert!(git.status().unwrap().success(), "git {arguments:?}");
    }

    fn commit(&self, directory: &str) {
        self.git(directory, &["add", "."]);
        let author = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
        let commit = ["commit", "--quiet", "--message", "state"];
        self.git(directory, &[&author[..], &commit[..]].concat());
    }

    fn lint(&self, arguments: &[&str]) -> Output {
        Command::new(Path::new(env!("CARGO_BIN_EXE_cargo-asupersync-lint")))
            .args(["--workspace", "--offline", "--format", "concise"])
            .args(["-A", "all", "-W", "AS304", "-W", "AS401"])
            .args(arguments)
            .current_dir(self.directory.path())
            .env_remove("CARGO_TARGET_DIR")
            .output()
            .unwrap()
    }

    fn check(&self) {
        let cargo = Command::new(env!("CARGO"))
            .args(["check", "--quiet", "--offline", "--workspace"])
            .current_dir(self.directory.path())
            .env_remove("CARGO_TARGET_DIR")
            .output()
            .unwrap();
        assert!(cargo.status.success(), "{}", stderr(&cargo));
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_compiler_judges_every_fix() {
    let library = "pub mod clash;\npub mod naps;\npub mod shared;\n";
    let program = "#[path = \"shared.rs\"]\nmod shared;\nfn main() { let _ = std::pin::pin!(shared::pause()); }\n";
    let workspace = Workspace::new(&[
        ("app/src/lib.rs", library),
        ("app/src/main.rs", program),
        ("app/src/clash.rs", CLASH),
        ("app/src/naps.rs", MACRO),
        ("app/src/shared.rs", SHARED),
    ]);
    let diff = stdout(&workspace.lint(&["--diff"]));
    assert_eq!(
        diff.matches("+    tokio::task::yield_now().await;").count(),
        3,
        "{diff}"
    );
    assert_eq!(workspace.text("app/src/shared.rs"), SHARED);

    let fixed = workspace.lint(&["--unsafe-fixes"]);
    let said = stderr(&fixed);
    assert!(said.contains("2 fixed"), "{said}");
    // What broke the crate is named, with what the compiler said, and stands as it was; so does a macro's text.
    let clash = workspace.path("app/src/clash.rs");
    let named = format!("AS304 at {}:2 is taken back: ", clash.display());
    assert!(
        said.contains(&named) && said.contains("cannot find `task`"),
        "{said}"
    );
    assert_eq!(said.matches("taken back").count(), 1, "{said}");
    assert_eq!(workspace.text("app/src/clash.rs"), CLASH);
    assert_eq!(workspace.text("app/src/naps.rs"), MACRO);
    // A file of two targets is edited once; its line ends stay.
    let expected = SHARED
        .replace(
            "tokio::time::sleep(std::time::Duration::ZERO)",
            "tokio::task::yield_now()",
        )
        .replace(
            "tokio::time::sleep(std::time::Duration::from_secs(0))",
            "tokio::task::yield_now()",
        );
    assert_eq!(workspace.text("app/src/shared.rs"), expected);
    workspace.check();

    let again = stdout(&workspace.lint(&[]));
    let left: Vec<&str> = again
        .lines()
        .filter_map(|line| line.split(" asupersync").next())
        .collect();
    assert_eq!(
        left[..left.len() - 1],
        [
            "app/src/clash.rs:2:5: warning[AS304]",
            "app/src/naps.rs:8:5: warning[AS401]",
            "app/src/naps.rs:9:5: warning[AS401]"
        ],
        "{again}"
    );
}

const PAUSE: &str =
    "pub async fn pause() {\n    tokio::time::sleep(std::time::Duration::ZERO).await;\n}\n";

#[test]
fn what_may_not_change_is_named_and_the_rest_is_fixed() {
    let library = "pub mod ignored;\npub mod plain;\npub mod sealed;\n#[path = \"../../nested/dirty.rs\"]\npub mod dirty;\n#[path = \"../../nested/clean.rs\"]\npub mod clean;\n";
    let workspace = Workspace::new(&[("app/src/lib.rs", library), ("app/src/plain.rs", PAUSE)]);
    workspace.write(".gitignore", b"target\nCargo.lock\nignored.rs\nnested\n");
    workspace.write("app/src/ignored.rs", PAUSE.as_bytes());
    workspace.write("app/src/sealed.rs", PAUSE.as_bytes());
    workspace.commit(".");
    // A repository inside the repository, with a change that its own `git status` tells and the outer one's does not.
    workspace.write("nested/clean.rs", PAUSE.as_bytes());
    workspace.write("nested/dirty.rs", b"");
    workspace.git("nested", &["init", "--quiet"]);
    workspace.commit("nested");
    workspace.write("nested/dirty.rs", PAUSE.as_bytes());
    let sealed = workspace.path("app/src/sealed.rs");
    let mut permissions = fs::metadata(&sealed).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&sealed, permissions).unwrap();

    let said = stderr(&workspace.lint(&["--fix"]));
    assert!(said.contains("2 fixed"), "{said}");
    for (file, why) in [
        ("app/src/ignored.rs", "git does not have the file"),
        ("app/src/sealed.rs", "the file is read-only"),
        ("nested/dirty.rs", "it has changes that are not committed"),
    ] {
        let line = format!("{}:2 is left: {why}", workspace.path(file).display());
        assert!(said.contains(&line), "{line}\n{said}");
        assert_eq!(workspace.text(file), PAUSE);
    }
    for file in ["app/src/plain.rs", "nested/clean.rs"] {
        assert!(workspace.text(file).contains("yield_now"), "{file}");
    }
    workspace.check();

    let refused = workspace.lint(&["--fix"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("not committed (app/src/plain.rs)"),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn a_file_that_is_no_utf8_does_not_keep_others_from_being_fixed() {
    let workspace = Workspace::new(&[("app/src/lib.rs", PAUSE)]);
    let manifest = workspace
        .text("app/Cargo.toml")
        .replace("\"app\"", "\"latin\"");
    workspace.write("latin/Cargo.toml", manifest.as_bytes());
    let broken = format!("mod old;\n{PAUSE}");
    workspace.write("latin/src/lib.rs", broken.as_bytes());
    workspace.write("latin/src/old.rs", b"// caf\xe9\n");
    let members = workspace
        .text("Cargo.toml")
        .replace("\"app\"", "\"app\", \"latin\"");
    workspace.write("Cargo.toml", members.as_bytes());
    workspace.commit(".");

    let output = workspace.lint(&["--fix"]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("old.rs: not valid UTF-8"), "{said}");
    assert!(said.contains("1 fixed"), "{said}");
    assert!(workspace.text("app/src/lib.rs").contains("yield_now"));
    // What the compiler cannot judge is left to the user.
    assert!(
        said.contains("1 left in packages that do not compile"),
        "{said}"
    );
    assert_eq!(workspace.text("latin/src/lib.rs"), broken);
    assert_eq!(
        fs::read(workspace.path("latin/src/old.rs")).unwrap(),
        b"// caf\xe9\n"
    );
}
