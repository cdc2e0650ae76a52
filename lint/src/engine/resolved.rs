//! The resolved engine: clippy's `disallowed_methods` over a generated configuration names every call of a watched path, and
//! its own lints report what only types can tell, such as a guard held over an await.
//!
//! * The user's own `clippy.toml` is merged, since `CLIPPY_CONF_DIR` replaces it; of its entries only ours are reported.
//! * Lints are capped at warn and ours is forced, so neither `deny(warnings)` nor `allow(clippy::all)` in the crate matters.
//! * The target directory is the linter's own, so the user's cache stays warm.
//! * A call in a macro's expansion is placed at the outermost call of the macro; where the macro is the project's own, the
//!   place in its definition is kept too.

use asupersync_source::compiler::{self, CompilerError, Level, Run, Subcommand};
use asupersync_source::known;
use asupersync_source::load::{FileId, Project};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The name of a clippy configuration.
const CONFIGURATION: &str = "clippy.toml";

/// What a run needs.
pub(crate) struct Request<'a> {
    pub(crate) project: &'a Project,
    pub(crate) manifest: &'a Path,
    pub(crate) workspace: bool,
    /// As the compiler names them.
    pub(crate) watched: &'a BTreeSet<String>,
    /// Lints of clippy to report too.
    pub(crate) lints: &'a [&'static str],
    /// Types whose values clippy is to find held over an await.
    pub(crate) held_types: &'a [&'static str],
    /// `--features ..` and the like.
    pub(crate) cargo_args: &'a [String],
}

/// One call the compiler named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// The canonical path.
    pub(crate) callee: String,
    /// The place in a macro's definition that expands to the call.
    pub(crate) definition: Option<(FileId, usize)>,
}

/// One report of a lint of clippy's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LintReport {
    /// `clippy::await_holding_lock`
    pub(crate) lint: String,
    pub(crate) file: FileId,
    pub(crate) range: Range<usize>,
    /// Clippy's first line.
    pub(crate) text: String,
}

/// Everything the compiler named.
#[derive(Default)]
pub(crate) struct Hits {
    pub(crate) by_place: HashMap<(FileId, usize), Vec<Hit>>,
    /// What clippy's own lints report.
    pub(crate) reports: Vec<LintReport>,
    /// Manifests of packages that did not compile, with the first error.
    pub(crate) failed: BTreeMap<PathBuf, String>,
    /// What else the user should know.
    pub(crate) notes: Vec<String>,
}

/// Why there are no hits at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    #[error(transparent)]
    Compiler(#[from] CompilerError),
    #[error("this cargo has no clippy; install it: `rustup component add clippy`")]
    NoClippy,
    #[error("cannot write the generated clippy configuration to {}: {error}", path.display())]
    Write {
        path: PathBuf,
        error: std::io::Error,
    },
}

/// Runs clippy and reads what it names.
pub(crate) fn run(request: &Request<'_>) -> Result<Hits, EngineError> {
    let (users, mut notes) = users_configuration(request);
    let mut output = None;
    if let Some((document, path)) = users {
        let attempt = clippy(request, document)?;
        match configuration_error(&attempt) {
            None => output = Some(attempt),
            Some(error) => notes.push(format!(
                "{} is not what clippy accepts and is ignored: {error}",
                path.display()
            )),
        }
    }
    let output = match output {
        Some(output) => output,
        None => clippy(request, toml_edit::DocumentMut::new())?,
    };
    let mut hits = Hits {
        notes,
        ..Hits::default()
    };
    let mut reported = HashSet::new();
    for message in &output.messages {
        if message.code.as_deref() == Some("clippy::disallowed_methods") {
            place(request.project, message, &mut hits);
        } else if let Some(code) = message.code.as_deref()
            && request.lints.contains(&code)
        {
            for report in reports(request.project, code, message) {
                // Library and tests report the same code.
                if reported.insert(report.clone()) {
                    hits.reports.push(report);
                }
            }
        } else if message.level == Level::Error && !message.spans.is_empty() {
            let first = message.spans.iter().find(|span| span.primary);
            let place = first.map_or_else(String::new, |span| {
                format!(" at {}:{}", span.file.display(), span.line)
            });
            hits.failed
                .entry(message.manifest.clone())
                .or_insert_with(|| format!("{}{place}", message.text));
        }
    }
    if !output.success && hits.failed.is_empty() {
        // A dependency or build script failed: cargo's own words are all there is.
        return Err(CompilerError::Cargo {
            stderr: output.stderr.trim().to_owned(),
        }
        .into());
    }
    Ok(hits)
}

/// One run over a configuration to which ours is added.
fn clippy(
    request: &Request<'_>,
    configuration: toml_edit::DocumentMut,
) -> Result<compiler::Output, EngineError> {
    let root = &request.project.workspace_root;
    let target_dir = target_directory(root);
    // One per workspace: several may share a target directory.
    let mut hasher = DefaultHasher::new();
    root.hash(&mut hasher);
    let conf_dir = target_dir.join(format!("conf-{:016x}", hasher.finish()));
    write_if_changed(&conf_dir, &with_ours(configuration, request))?;
    let mut args: Vec<OsString> = vec![
        "--manifest-path".into(),
        request.manifest.into(),
        "--all-targets".into(),
        "--keep-going".into(),
    ];
    if request.workspace {
        args.push("--workspace".into());
    } else {
        for package in &request.project.packages {
            args.push("-p".into());
            args.push(package.name.clone().into());
        }
    }
    args.extend(request.cargo_args.iter().map(OsString::from));
    let mut lint_args = vec![
        "-A",
        "clippy::all",
        "-A",
        "warnings",
        "--cap-lints",
        "warn",
        "--force-warn",
        "clippy::disallowed_methods",
    ];
    for lint in request.lints {
        lint_args.extend(["--force-warn", *lint]);
    }
    let run = Run {
        subcommand: Subcommand::Clippy,
        dir: root.clone(),
        args,
        lint_args: lint_args.iter().map(OsString::from).collect(),
        env: BTreeMap::from([("CLIPPY_CONF_DIR".to_owned(), conf_dir.into())]),
        target_dir: Some(target_dir),
        workspace_root: root.clone(),
    };
    compiler::run(&run).map_err(|error| match &error {
        CompilerError::Cargo { stderr } if stderr.contains("no such command: `clippy`") => {
            EngineError::NoClippy
        }
        _ => error.into(),
    })
}

/// What clippy says of the configuration, if it refuses it.
fn configuration_error(output: &compiler::Output) -> Option<&str> {
    output
        .messages
        .iter()
        .find(|message| {
            message.level == Level::Error
                && message.spans.iter().any(|span| {
                    span.primary
                        && span
                            .file
                            .file_name()
                            .is_some_and(|name| name == CONFIGURATION)
                })
        })
        .map(|message| message.text.as_str())
}

/// The linter's own target directory: beside the user's, or in the workspace's `target`.
fn target_directory(root: &Path) -> PathBuf {
    let users =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    asupersync_source::load::absolute(&root.join(users)).join("asupersync-lint")
}

fn place(project: &Project, message: &compiler::Message, hits: &mut Hits) {
    let Some(named) = message.text.split('`').nth(1) else {
        return;
    };
    let callee = known::canonical(named);
    for span in message.spans.iter().filter(|span| span.primary) {
        let site = span.call_site();
        let Some(file) = project.file_at(&site.file) else {
            continue;
        };
        let definition = match &span.called_at {
            Some(_) => project
                .file_at(&span.file)
                .map(|file| (file, span.range.start)),
            None => None,
        };
        let hit = Hit {
            callee: callee.clone(),
            definition,
        };
        let here = hits.by_place.entry((file, site.range.start)).or_default();
        if !here.contains(&hit) {
            here.push(hit);
        }
    }
}

fn reports(
    project: &Project,
    lint: &str,
    message: &compiler::Message,
) -> impl Iterator<Item = LintReport> {
    let spans = message.spans.iter().filter(|span| span.primary);
    spans.filter_map(move |span| {
        let site = span.call_site();
        Some(LintReport {
            lint: lint.to_owned(),
            file: project.file_at(&site.file)?,
            range: site.range.clone(),
            text: message.text.clone(),
        })
    })
}

/// A configuration with our entries in place of its own: of what the user disallows nothing is reported.
fn with_ours(mut configuration: toml_edit::DocumentMut, request: &Request<'_>) -> String {
    let entries = |paths: &mut dyn Iterator<Item = &str>| {
        let mut list = toml_edit::Array::new();
        for path in paths {
            let mut entry = toml_edit::InlineTable::new();
            entry.insert("path", path.into());
            // Most crates depend on few of the crates the paths name.
            entry.insert("allow-invalid", true.into());
            list.push(entry);
        }
        toml_edit::value(list)
    };
    configuration["disallowed-methods"] = entries(&mut request.watched.iter().map(String::as_str));
    configuration["await-holding-invalid-types"] = entries(&mut request.held_types.iter().copied());
    configuration.to_string()
}

type UsersConfiguration = Option<(toml_edit::DocumentMut, PathBuf)>;

/// The configuration clippy itself would read, and what is wrong with it.
fn users_configuration(request: &Request<'_>) -> (UsersConfiguration, Vec<String>) {
    let directory = request.manifest.parent().unwrap_or(Path::new(""));
    let from_env = std::env::var_os("CLIPPY_CONF_DIR").map(PathBuf::from);
    let places = from_env
        .iter()
        .map(PathBuf::as_path)
        .chain(directory.ancestors());
    for place in places {
        for name in [".clippy.toml", CONFIGURATION] {
            let path = place.join(name);
            let Ok(text) = fs::read_to_string(&path) else {
                continue;
            };
            return match text.parse::<toml_edit::DocumentMut>() {
                Ok(document) => (Some((document, path)), Vec::new()),
                Err(error) => {
                    let note = format!(
                        "{} is not valid TOML and is ignored: {}",
                        path.display(),
                        error.message()
                    );
                    (None, vec![note])
                }
            };
        }
        // Clippy looks no further up than the workspace.
        if place == request.project.workspace_root {
            break;
        }
    }
    (None, Vec::new())
}

/// Rewriting an unchanged configuration would make cargo check everything again.
fn write_if_changed(directory: &Path, text: &str) -> Result<(), EngineError> {
    let path = directory.join(CONFIGURATION);
    if fs::read_to_string(&path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(&path, text))
        .map_err(|error| EngineError::Write { path, error })
}
