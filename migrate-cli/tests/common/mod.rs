//! What the integration tests share: the workspace, and a cargo that builds beside the tests' own target directory.

#![allow(
    dead_code,
    clippy::redundant_pub_crate,
    reason = "each test program uses a part, and the module is private to it"
)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of this workspace.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the workspace")
        .to_owned()
}

/// The directory in which the tests' own builds go.
pub(crate) fn target_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("migrate")
}

/// Says that a test did nothing, and why: past the harness, which shows nothing of a test that passes.
pub(crate) fn skipped(why: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// Runs cargo in a directory.
pub(crate) struct Cargo {
    directory: PathBuf,
}

impl Cargo {
    /// A cargo for the package in a directory.
    pub(crate) fn in_directory(directory: &Path) -> Cargo {
        Cargo {
            directory: directory.to_owned(),
        }
    }

    /// What cargo wrote to standard output, or all it wrote where it failed.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(arguments)
            .current_dir(&self.directory)
            .env("CARGO_TARGET_DIR", target_dir())
            .env_remove("RUSTFLAGS")
            .output()
            .map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            Ok(text)
        } else {
            Err(text + &String::from_utf8_lossy(&output.stderr))
        }
    }
}
