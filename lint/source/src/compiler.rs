//! What the compiler says: running `cargo check` or `cargo clippy` and reading its messages.
//!
//! * The build uses the target directory it is given, so that the user's own cache is left alone.
//! * Every span is a byte range of a file on disk, with the chain of macro expansions it came through.
//! * A build that fails is not an error here: its messages are the answer. Only a cargo that cannot be run is.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Variables that a surrounding `cargo run` or `cargo test` sets and that would change what the inner cargo builds.
const INHERITED: &[&str] = &[
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION",
    "CARGO_ENCODED_RUSTFLAGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "CLIPPY_ARGS",
    "CLIPPY_CONF_DIR",
    "__CARGO_DEFAULT_LIB_METADATA",
];

/// Which cargo subcommand is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subcommand {
    /// `cargo check`
    Check,
    /// `cargo clippy`
    Clippy,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Run {
    /// What is run.
    pub subcommand: Subcommand,
    /// In which directory.
    pub dir: PathBuf,
    /// Arguments for cargo, such as `--all-targets`.
    pub args: Vec<OsString>,
    /// Arguments behind `--`, for clippy.
    pub lint_args: Vec<OsString>,
    /// Variables to set.
    pub env: BTreeMap<String, OsString>,
    /// The target directory; none for the user's own.
    pub target_dir: Option<PathBuf>,
    /// What relative file names in messages count from; the root of the workspace.
    pub workspace_root: PathBuf,
}

/// Why there are no messages.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompilerError {
    /// Cargo could not be started.
    #[error(
        "cannot run `{program}`: {error}; install cargo and clippy (`rustup component add clippy`)"
    )]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// Cargo ended without compiling anything, for example over a wrong manifest or a missing component.
    #[error("cargo failed before it compiled anything:\n{stderr}")]
    Cargo {
        /// What it wrote.
        stderr: String,
    },
}

/// How serious a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// An error.
    Error,
    /// A crash of the compiler.
    #[serde(rename = "error: internal compiler error")]
    Crash,
    /// A warning.
    Warning,
    /// A note.
    Note,
    /// A help.
    Help,
    /// Anything else.
    #[serde(other, rename = "failure-note")]
    Other,
}

/// A place a message points at.
#[derive(Clone, Debug)]
pub struct Span {
    /// The file, absolute.
    pub file: PathBuf,
    /// Bytes of the file.
    pub range: Range<usize>,
    /// Line of the start, from 1.
    pub line: usize,
    /// Column of the start in characters, from 1.
    pub column: usize,
    /// Whether the message is about this place.
    pub primary: bool,
    /// What is said of the place.
    pub label: Option<String>,
    /// Text the compiler suggests to put here.
    pub replacement: Option<String>,
    /// Where the macro whose expansion this is was called.
    pub called_at: Option<Box<Span>>,
}

impl Span {
    /// The outermost macro call the place came from, or the place itself.
    pub fn call_site(&self) -> &Span {
        let mut span = self;
        while let Some(caller) = &span.called_at {
            span = caller;
        }
        span
    }
}

/// One message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its code: `E0308`, `unused_variables`, `clippy::disallowed_methods`.
    pub code: Option<String>,
    /// How serious it is.
    pub level: Level,
    /// The first line.
    pub text: String,
    /// Where.
    pub spans: Vec<Span>,
    /// Notes and helps that belong to it, with their suggestions.
    pub children: Vec<Message>,
    /// The whole message as the compiler prints it.
    pub rendered: Option<String>,
    /// The manifest of the package it is about.
    pub manifest: PathBuf,
    /// The name of the target it is about.
    pub target: String,
}

/// What a run said.
#[derive(Debug)]
pub struct Output {
    /// The messages in order.
    pub messages: Vec<Message>,
    /// Whether everything compiled.
    pub success: bool,
    /// What cargo itself wrote.
    pub stderr: String,
}

/// Runs cargo to its end.
pub fn run(run: &Run) -> Result<Output, CompilerError> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&program);
    for name in INHERITED {
        command.env_remove(name);
    }
    command
        .current_dir(&run.dir)
        .arg(match run.subcommand {
            Subcommand::Check => "check",
            Subcommand::Clippy => "clippy",
        })
        .arg("--message-format=json")
        .args(&run.args)
        .envs(&run.env)
        .stdin(Stdio::null());
    if let Some(target_dir) = &run.target_dir {
        command.env("CARGO_TARGET_DIR", target_dir);
    }
    if !run.lint_args.is_empty() {
        command.arg("--").args(&run.lint_args);
    }
    let output = command.output().map_err(|error| CompilerError::Start {
        program: program.to_string_lossy().into_owned(),
        error,
    })?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let (messages, finished) = parse(&output.stdout, &run.workspace_root);
    if !output.status.success() && messages.is_empty() && !finished {
        return Err(CompilerError::Cargo {
            stderr: stderr.trim().to_owned(),
        });
    }
    Ok(Output {
        messages,
        success: output.status.success(),
        stderr,
    })
}

/// Reads cargo's JSON lines; also says whether cargo reported any build activity at all.
pub fn parse(lines: &[u8], workspace_root: &Path) -> (Vec<Message>, bool) {
    let mut messages = Vec::new();
    let mut active = false;
    for line in lines.split(|byte| *byte == b'\n') {
        if line.is_empty() {
            continue;
        }
        // Build scripts and the like may print lines of their own.
        let Ok(raw) = serde_json::from_slice::<RawLine>(line) else {
            continue;
        };
        match raw.reason.as_str() {
            "compiler-message" => {
                active = true;
                if let Some(message) = raw.message {
                    let manifest = raw.manifest_path.unwrap_or_default();
                    let target = raw.target.map(|target| target.name).unwrap_or_default();
                    messages.push(message.read(workspace_root, &manifest, &target));
                }
            }
            "compiler-artifact" | "build-script-executed" => active = true,
            _ => {}
        }
    }
    (messages, active)
}

#[derive(Deserialize)]
struct RawLine {
    reason: String,
    message: Option<RawMessage>,
    manifest_path: Option<PathBuf>,
    target: Option<RawTarget>,
}

#[derive(Deserialize)]
struct RawTarget {
    name: String,
}

#[derive(Deserialize)]
struct RawMessage {
    message: String,
    code: Option<RawCode>,
    level: Level,
    spans: Vec<RawSpan>,
    children: Vec<RawMessage>,
    rendered: Option<String>,
}

#[derive(Deserialize)]
struct RawCode {
    code: String,
}

#[derive(Deserialize)]
struct RawSpan {
    file_name: PathBuf,
    byte_start: usize,
    byte_end: usize,
    line_start: usize,
    column_start: usize,
    is_primary: bool,
    label: Option<String>,
    suggested_replacement: Option<String>,
    expansion: Option<Box<RawExpansion>>,
}

#[derive(Deserialize)]
struct RawExpansion {
    span: RawSpan,
}

impl RawMessage {
    fn read(self, root: &Path, manifest: &Path, target: &str) -> Message {
        Message {
            code: self.code.map(|code| code.code),
            level: self.level,
            text: self.message,
            spans: self.spans.into_iter().map(|span| span.read(root)).collect(),
            children: self
                .children
                .into_iter()
                .map(|child| child.read(root, manifest, target))
                .collect(),
            rendered: self.rendered,
            manifest: manifest.to_owned(),
            target: target.to_owned(),
        }
    }
}

impl RawSpan {
    fn read(self, root: &Path) -> Span {
        Span {
            file: crate::load::absolute(&root.join(self.file_name)),
            range: self.byte_start..self.byte_end,
            line: self.line_start,
            column: self.column_start,
            primary: self.is_primary,
            label: self.label,
            replacement: self.suggested_replacement,
            called_at: self
                .expansion
                .map(|expansion| Box::new(expansion.span.read(root))),
        }
    }
}
