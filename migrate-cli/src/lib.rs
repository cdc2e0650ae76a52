//! A codemod that takes tokio code to `Cx` style in steps that compile.
//!
//! The pipeline, a file per stage: [`collect`] what is there, resolve what it means ([`facts`], [`flow`]), colour what can move
//! ([`decide`]), [`plan`] the edits, apply them ([`run`]), [`verify`] them with the compiler and hold back what it refuses, [`report`].
//!
//! * Only planned byte ranges change. Comments, formatting and whatever is not understood stay.
//! * The result compiles if the input did: what the compiler refuses is withdrawn together with all that depends on it.
//! * A second run changes nothing.

#![forbid(unsafe_code)]

mod collect;
mod decide;
pub mod demo;
mod examples;
mod facts;
mod flow;
mod manifest;
mod model;
mod plan;
mod report;
pub mod rules;
mod run;
pub mod undo;
mod verify;

pub use manifest::{Dependency, ManifestError};
pub use report::{Counts, Fate, FileChange, Report, SiteReport, TokioLibrarySummary};

use asupersync_source::compiler::CompilerError;
use asupersync_source::edit::EditError;
use asupersync_source::load::{LoadError, Project, Selection};
use std::path::{Path, PathBuf};

/// What a run is to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// A `Cargo.toml`, a directory that has one, or a Rust file.
    pub path: PathBuf,
    /// Change the files; otherwise only say what would change.
    pub write: bool,
    /// Only this module and those below it: `a::b`.
    pub module: Option<String>,
    /// Only these rules.
    pub only: Vec<String>,
    /// Not these rules.
    pub skip: Vec<String>,
    /// Apply edits that need review.
    pub review: bool,
    /// Check the result with the compiler.
    pub verify: bool,
    /// Write although the working tree has changes that are not committed.
    pub allow_dirty: bool,
    /// Leave the signatures of public functions of libraries.
    pub keep_public: bool,
    /// How the result depends on the runtime.
    pub dependency: Dependency,
    /// Check with these features; none for the default ones and all.
    pub features: Option<String>,
    /// Where the checks build; none for a directory below the workspace's own.
    pub target_dir: Option<PathBuf>,
    /// Is told what a long run is doing.
    pub progress: fn(&str),
}

impl Options {
    /// A verified dry run of the safe rules.
    pub fn new(path: impl Into<PathBuf>) -> Options {
        Options {
            path: path.into(),
            write: false,
            module: None,
            only: Vec::new(),
            skip: Vec::new(),
            review: false,
            verify: true,
            allow_dirty: false,
            keep_public: false,
            dependency: Dependency::default(),
            features: None,
            target_dir: None,
            progress: |_| {},
        }
    }
}

/// Why a run did nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The source cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A rule that does not exist was named.
    #[error("there is no rule `{0}`; `asupersync-migrate rules` lists them")]
    UnknownRule(String),
    /// The working tree has changes.
    #[error("{} has changes that are not committed: commit or stash them, or run with `--allow-dirty`", .0.display())]
    Dirty(PathBuf),
    /// The code does not compile as it is.
    #[error(
        "the code does not compile as it is, so a rewrite cannot be verified; fix it, or run with `--no-verify`:\n{0}"
    )]
    Baseline(String),
    /// A dependency does not compile.
    #[error(
        "a dependency of the rewritten code does not compile; check `--asupersync-path` and the manifest:\n{0}"
    )]
    Dependency(String),
    /// The compiler cannot be asked.
    #[error(transparent)]
    Compiler(#[from] CompilerError),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Planned edits contradict each other.
    #[error("planned edits of {} contradict each other ({source}); please report this with the file", path.display())]
    Edit {
        /// The file.
        path: PathBuf,
        /// How.
        source: EditError,
    },
    /// The manifest cannot be changed.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The last run cannot be undone.
    #[error(transparent)]
    Undo(#[from] undo::UndoError),
}

fn io_error(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |source| Error::Io {
        path: path.to_owned(),
        source,
    }
}

/// Says what a rewrite of everything would do, without asking the compiler.
pub fn assess(path: &Path) -> Result<Report, Error> {
    let options = Options {
        review: true,
        verify: false,
        ..Options::new(path)
    };
    rewrite(&options)
}

/// Runs the whole pipeline.
pub fn rewrite(options: &Options) -> Result<Report, Error> {
    for code in options.only.iter().chain(&options.skip) {
        if rules::rule(code).is_none() {
            return Err(Error::UnknownRule(code.clone()));
        }
    }
    let project = load(&options.path)?;
    let root = project.workspace_root.clone();
    if options.write && !options.allow_dirty && is_dirty(&root) {
        return Err(Error::Dirty(root));
    }
    let mut report = run::run(options, project)?;
    if options.write && !report.changes.is_empty() {
        undo::write(&state_dir(&root), &report.changes)?;
        report.written = true;
    }
    Ok(report)
}

/// Restores what the last run changed; returns the files.
pub fn undo(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let project = load(path)?;
    Ok(undo::restore(&state_dir(&project.workspace_root))?)
}

fn load(path: &Path) -> Result<Project, LoadError> {
    let selection = Selection {
        workspace: true,
        packages: Vec::new(),
    };
    Project::load(path, &selection)
}

/// Where the tool keeps its own files.
fn state_dir(root: &Path) -> PathBuf {
    root.join("target").join("asupersync-migrate")
}

fn is_dirty(root: &Path) -> bool {
    let output = std::process::Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["status", "--porcelain", "--untracked-files=no", "--", "."])
        .stderr(std::process::Stdio::null())
        .output();
    // Outside a repository there is nothing to compare with, and undo still works.
    output.is_ok_and(|output| output.status.success() && !output.stdout.is_empty())
}
