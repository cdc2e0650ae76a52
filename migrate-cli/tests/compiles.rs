//! The fixtures compile, before and after the rewrite, against tokio and against this workspace.

mod common;

use common::{Cargo, skipped, workspace};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

#[test]
fn fixtures_compile_before_and_after() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let root = directory.path();
    let mut manifest = format!(
        "[package]\nname = \"fixtures\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         tokio = {{ version = \"1\", features = [\"full\", \"test-util\"] }}\nasupersync = {{ path = {:?} }}\nasupersync-compat = {{ path = {:?} }}\n",
        workspace().join("asupersync"),
        workspace().join("compat"),
    );
    fs::create_dir(root.join("src")).expect("a directory");
    fs::write(root.join("src/lib.rs"), "").expect("a writable file");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules");
    let mut count = 0;
    for entry in fs::read_dir(fixtures).expect("the fixtures exist") {
        let path = entry.expect("a readable entry").path();
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .replace('.', "_");
        let _ = write!(
            manifest,
            "\n[[example]]\nname = \"{name}\"\npath = {:?}\n",
            path.display().to_string()
        );
        count += 1;
    }
    assert!(count > 30, "{count} fixtures");
    fs::write(root.join("Cargo.toml"), manifest).expect("a writable file");
    fs::copy(workspace().join("Cargo.lock"), root.join("Cargo.lock"))
        .expect("the lock file is there");
    let cargo = Cargo::in_directory(root);
    if let Err(why) = cargo.run(&["metadata", "--format-version=1", "--quiet"]) {
        skipped(format_args!("cargo cannot resolve the dependencies: {why}"));
        return;
    }
    if let Err(errors) = cargo.run(&[
        "check",
        "--examples",
        "--profile",
        "test",
        "--keep-going",
        "--quiet",
    ]) {
        panic!("{errors}");
    }
}
