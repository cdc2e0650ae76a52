//! `cargo asupersync-lint` as a library: finds what breaks structured concurrency in async Rust.
//!
//! * [`lint_paths`] lints packages, workspaces, files and directories; [`lint_source`] one text. Both return a [`Report`].
//! * [`rules`] is the table of rules; [`render`] prints findings as rustc does; [`cli`] is the program.
//! * [`Engine::Syntactic`] needs no build and no network and takes milliseconds, for other tools to call in-process.
//!
//! ```
//! use asupersync_lint::{lint_source, Options};
//!
//! let report = lint_source("demo.rs", "fn f() { tokio::spawn(async {}); }", &Options::default()).unwrap();
//! assert_eq!(report.findings[0].rule.name, "detached_spawn");
//! assert_eq!((report.findings[0].line, report.findings[0].column), (1, 10));
//! ```

#![forbid(unsafe_code)]

mod baseline;
pub mod cli;
mod config;
mod engine;
mod facts;
mod fate;
mod finding;
mod fix;
mod formats;
mod held;
mod point;
pub mod render;
pub mod rules;
mod shape;
mod site;
mod suppress;
mod testcode;
mod texts;

pub use config::ConfigError;
pub use finding::{Applicability, Finding, Fix, Level, Problem, Report, TargetRef};

use asupersync_source::edit::Edit;
use asupersync_source::load::{self, FileId, LoadError, Project, Selection};
use asupersync_source::resolve::Index;
use config::{Config, Named};
use engine::marks::{Candidates, Marks};
use engine::resolved::{self, Hits};
use engine::syntactic::{self, Sources};
use rules::Heard;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use suppress::Suppression;
use testcode::TestCode;

/// Which engine names what is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Engine {
    /// Both, merged.
    Both,
    /// Syntax alone: no build.
    #[default]
    Syntactic,
    /// The compiler alone.
    Resolved,
}

/// What to look for and where.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which engine.
    pub engine: Engine,
    /// Every member of the workspace.
    pub workspace: bool,
    /// Packages by name.
    pub packages: Vec<String>,
    /// Levels set from outside, in order: a rule's code or name, `all` or `warnings`.
    pub levels: Vec<(String, Level)>,
    /// The highest level, in tests, examples and benchmarks, of the rules that are heard outside of them; over the configuration's.
    pub tests: Option<Level>,
    /// Functions that block the thread, besides those the configuration lists.
    pub blocking: Vec<String>,
    /// Arguments for cargo in the resolved engine, such as `--all-features`.
    pub cargo_args: Vec<String>,
}

/// Why nothing was linted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LintError {
    /// The source could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// There is no package here and no path was given.
    #[error("no Cargo.toml in {} or above; give a path", directory.display())]
    NoPackage {
        /// The current directory.
        directory: PathBuf,
    },
    /// A level was given for something that is no rule.
    #[error("{0}")]
    Level(String),
}

/// Lints the packages, workspaces, files and directories at `paths`; with none, the package of the current directory.
///
/// A path inside a package is read as part of it, and only findings under the path are reported. What cannot be looked at - a file
/// that does not parse, a package that does not compile, a wrong configuration key - is a [`Problem`] of the report, and the rest is
/// linted all the same.
///
/// Expressions are trees and are walked by recursion: source that may be generated wants a thread with a large stack, as the program
/// has. Where brackets are nested more than 500 deep, the file is a problem of the report.
///
/// # Errors
/// When a path does not exist, a manifest cannot be read or a level names no rule.
pub fn lint_paths(paths: &[PathBuf], options: &Options) -> Result<Report, LintError> {
    let mut report = Report::default();
    let mut loaded = Loaded::default();
    for (root, focus) in roots(paths, &mut loaded)? {
        let selection = Selection {
            workspace: options.workspace,
            packages: options.packages.clone(),
        };
        let project = match loaded.remove(&root) {
            Some(project) if selection == Selection::default() => project,
            _ => Project::load(&root, &selection)?,
        };
        lint_project(&project, &root, &focus, options, &mut report)?;
    }
    sort(&mut report);
    Ok(report)
}

/// Lints one text as a crate of its own, by syntax.
///
/// # Errors
/// When the text does not parse or a level names no rule.
pub fn lint_source(name: &str, text: &str, options: &Options) -> Result<Report, LintError> {
    let project = Project::from_source(name, text)?;
    let mut report = Report::default();
    let options = Options {
        engine: Engine::Syntactic,
        ..options.clone()
    };
    lint_project(&project, Path::new(name), &[], &options, &mut report)?;
    sort(&mut report);
    Ok(report)
}

fn sort(report: &mut Report) {
    report.findings.sort_by(|a, b| {
        (&a.path, a.span.start, a.rule.code).cmp(&(&b.path, b.span.start, b.rule.code))
    });
    report
        .findings
        .dedup_by(|a, b| a.path == b.path && a.span == b.span && a.rule.code == b.rule.code);
}

/// What to load for each path, and what of it to report; an empty focus is everything.
fn roots(
    paths: &[PathBuf],
    loaded: &mut Loaded,
) -> Result<BTreeMap<PathBuf, Vec<PathBuf>>, LintError> {
    let mut roots: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    if paths.is_empty() {
        let directory = std::env::current_dir().unwrap_or_default();
        let manifest = load::manifest_of(&directory).ok_or(LintError::NoPackage { directory })?;
        roots.insert(manifest, Vec::new());
        return Ok(roots);
    }
    for path in paths {
        let path = load::absolute(path);
        if !path.exists() {
            return Err(LoadError::Missing { path }.into());
        }
        let is_package = path.join("Cargo.toml").is_file()
            || path.file_name().is_some_and(|name| name == "Cargo.toml");
        let manifest = load::manifest_of(&path);
        match manifest {
            Some(manifest) if is_package => {
                // The whole package swallows narrower paths.
                roots.insert(manifest, Vec::new());
            }
            Some(manifest) if belongs(&manifest, &path, loaded) => {
                let known = roots.contains_key(&manifest);
                let focus = roots.entry(manifest).or_default();
                if !known || !focus.is_empty() {
                    focus.push(path);
                }
            }
            _ => {
                roots.entry(path).or_default();
            }
        }
    }
    Ok(roots)
}

/// The packages that were read to see what belongs to them, by manifest: a commit may name many files of one.
type Loaded = BTreeMap<PathBuf, Project>;

/// Whether a package's module tree reaches a path.
fn belongs(manifest: &Path, path: &Path, loaded: &mut Loaded) -> bool {
    if !loaded.contains_key(manifest)
        && let Ok(project) = Project::load(manifest, &Selection::default())
    {
        loaded.insert(manifest.to_owned(), project);
    }
    loaded.get(manifest).is_some_and(|project| {
        project.files.iter().any(|file| file.path.starts_with(path))
            || project.diagnostics.iter().any(|one| one.path == path)
    })
}

fn lint_project(
    project: &Project,
    root: &Path,
    focus: &[PathBuf],
    options: &Options,
    report: &mut Report,
) -> Result<(), LintError> {
    let configs = configurations(project, options, report)?;
    for diagnostic in &project.diagnostics {
        report.problems.push(Problem {
            message: diagnostic.to_string(),
        });
    }
    let is_package = project
        .packages
        .iter()
        .any(|package| package.manifest.is_some());
    let mut named = Named {
        blocking: options.blocking.clone(),
        handles: Vec::new(),
    };
    for config in &configs {
        named.extend(config.named());
    }
    let hits = match options.engine {
        Engine::Both | Engine::Resolved if is_package => {
            compiler_hits(project, root, options, &named, report)
        }
        _ => None,
    };
    // Without the compiler there is nothing but syntax, whatever was asked for.
    let syntax = options.engine != Engine::Resolved || hits.is_none();
    let found = syntactic::findings(
        project,
        Sources {
            hits: hits.as_ref(),
            syntax,
            named: &named,
        },
    );
    judge(project, focus, &configs, found, report);
    Ok(())
}

/// The configuration of every package, by its index.
fn configurations(
    project: &Project,
    options: &Options,
    report: &mut Report,
) -> Result<Vec<Config>, LintError> {
    let mut shared = Config::default();
    let mut problem = |error: &ConfigError| {
        report.problems.push(Problem {
            message: error.to_string(),
        });
    };
    shared
        .add(&project.workspace_metadata, "workspace")
        .iter()
        .for_each(&mut problem);
    let mut configs = Vec::new();
    for package in &project.packages {
        let mut config = shared.clone();
        config
            .add(&package.metadata, &format!("package `{}`", package.name))
            .iter()
            .for_each(&mut problem);
        for (word, level) in &options.levels {
            config.set(word, *level).map_err(LintError::Level)?;
        }
        if let Some(level) = options.tests {
            config.set_in_tests(level);
        }
        configs.push(config);
    }
    Ok(configs)
}

fn compiler_hits(
    project: &Project,
    manifest: &Path,
    options: &Options,
    named: &Named,
    report: &mut Report,
) -> Option<Hits> {
    let index = Index::new(project);
    let mut watched: BTreeSet<String> = rules::watched()
        .into_iter()
        .filter(|path| !facts::is_marker(path))
        .flat_map(facts::compiler_names)
        .collect();
    let marks = Marks::declared(&index, named);
    let candidates = Candidates::new(&index);
    watched.extend(
        marks
            .paths()
            .chain(candidates.compiler_paths())
            .filter(|path| asupersync_source::known::is_plain(path))
            .map(str::to_owned),
    );
    let request = resolved::Request {
        project,
        manifest,
        workspace: options.workspace,
        watched: &watched,
        lints: &rules::clippy_lints(),
        held_types: facts::GUARDS,
        cargo_args: &options.cargo_args,
    };
    let Report {
        problems, unbuilt, ..
    } = report;
    let mut problem = |message: String| problems.push(Problem { message });
    match resolved::run(&request) {
        Ok(hits) => {
            unbuilt.extend(hits.failed.keys().cloned());
            for (manifest, error) in &hits.failed {
                problem(format!(
                    "{} does not compile ({error}); its findings come from syntax alone",
                    manifest.display()
                ));
            }
            for note in &hits.notes {
                problem(note.clone());
            }
            Some(hits)
        }
        Err(error) => {
            let manifests = project.packages.iter();
            unbuilt.extend(manifests.filter_map(|package| package.manifest.clone()));
            problem(format!("{error}\nfindings come from syntax alone"));
            None
        }
    }
}

/// Levels, exclusions, focus and suppressions; what remains goes into the report.
fn judge(
    project: &Project,
    focus: &[PathBuf],
    configs: &[Config],
    found: Vec<Finding>,
    report: &mut Report,
) {
    let mut owners: BTreeMap<FileId, &load::Target> = BTreeMap::new();
    for target in &project.targets {
        for module in &target.modules {
            owners.entry(module.file).or_insert(target);
        }
    }
    let tests = TestCode::of(project);
    let mut by_file: BTreeMap<PathBuf, Vec<Finding>> = BTreeMap::new();
    for finding in found {
        by_file
            .entry(finding.path.clone())
            .or_default()
            .push(finding);
    }
    for (id, owner) in owners {
        let file = project.file(id);
        let package = project.package_of(owner);
        let config = &configs[owner.package];
        let relative = |base: &Path| {
            let path = file.path.strip_prefix(base).ok()?;
            Some(path.to_string_lossy().replace('\\', "/"))
        };
        let excluded = [&project.workspace_root, &package.root]
            .into_iter()
            .filter_map(|base| relative(base))
            .any(|path| config.excludes(&path));
        let in_focus = focus.is_empty() || focus.iter().any(|path| file.path.starts_with(path));
        if excluded || !in_focus {
            continue;
        }
        report.files += 1;
        let suppressions = suppress::collect(file);
        let mut findings = by_file.remove(&file.path).unwrap_or_default();
        findings.retain(|finding| {
            let mut hidden = false;
            for suppression in &suppressions {
                if suppression.hides(
                    finding.rule,
                    &finding.span,
                    finding.line,
                    finding.statement_lines,
                ) {
                    suppression.used.set(true);
                    hidden = true;
                }
            }
            report.suppressed += usize::from(hidden);
            !hidden
        });
        let target = TargetRef::of(project, owner);
        findings.extend(about_suppressions(
            file,
            package,
            &target,
            &suppressions,
            config,
        ));
        let in_lab = testcode::is_lab_tested(package, file);
        for mut finding in findings {
            finding.level = match finding.rule.heard {
                Heard::Everywhere => config.level(finding.rule),
                Heard::InTests if !tests.holds(id, &finding.span) => Level::Allow,
                Heard::InTests => config.level(finding.rule),
                Heard::OutsideTests if tests.holds(id, &finding.span) => {
                    config.level(finding.rule).min(config.in_tests())
                }
                Heard::OutsideTests => config.level(finding.rule),
                Heard::InLab if config.sets(finding.rule) => config.level(finding.rule),
                Heard::InLab if !in_lab => Level::Allow,
                Heard::InLab if tests.holds(id, &finding.span) && !testcode::names_lab(file) => {
                    config.level(finding.rule).min(config.in_tests())
                }
                Heard::InLab => config.level(finding.rule),
            };
            if finding.level != Level::Allow {
                report.findings.push(finding);
            }
        }
    }
}

fn about_suppressions(
    file: &load::SourceFile,
    package: &load::Package,
    target: &TargetRef,
    suppressions: &[Suppression],
    config: &Config,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |suppression: &Suppression,
                   rule,
                   message: String,
                   (label, why, help): (&str, &str, &str),
                   fix: Option<Fix>| {
        let span = suppression.range.clone();
        let (line, column) = file.line_column(span.start);
        let (end_line, end_column) = file.line_column(span.end);
        found.push(Finding {
            rule,
            level: Level::Warn,
            path: file.path.clone(),
            span,
            line,
            column,
            end_line,
            end_column,
            message,
            label: label.to_owned(),
            why: why.to_owned(),
            help: help.to_owned(),
            fix,
            unresolved_types: false,
            package: package.name.clone(),
            manifest: package.manifest.clone(),
            target: target.clone(),
            statement_lines: (line, end_line),
        });
    };
    for suppression in suppressions {
        if !suppression.has_reason {
            add(
                suppression,
                rules::bare_suppression(),
                format!("the suppression of `{}` gives no reason", suppression.word),
                (
                    "why may this stay?",
                    "the next reader cannot tell a decision from an oversight",
                    "add `reason = \"..\"`",
                ),
                None,
            );
        }
        // A rule that is off finds nothing, which says nothing about its suppressions.
        let off = suppression
            .rule
            .is_some_and(|rule| config.level(rule) == Level::Allow);
        if !suppression.used.get() && !off {
            let message = match suppression.rule {
                Some(rule) => format!("nothing here to suppress for {}", rule.code),
                None => format!("`{}` is no rule", suppression.word),
            };
            add(
                suppression,
                rules::unused_suppression(),
                message,
                (
                    "hides nothing",
                    "it would silently hide the next finding in this place",
                    "remove it",
                ),
                removal(file, suppression, suppressions),
            );
        }
    }
    found
}

/// Takes a suppression out of the text, with its line where it has one of its own; one that suppresses other rules too is left.
fn removal(file: &load::SourceFile, one: &Suppression, all: &[Suppression]) -> Option<Fix> {
    let shared = all.iter().filter(|other| other.range == one.range).count() > 1;
    let start = file.line_start(file.line_column(one.range.start).0)?;
    let before = &file.text[start..one.range.start];
    let rest = &file.text[one.range.end..];
    let line_end = rest.find('\n').map_or(rest.len(), |at| at + 1);
    let alone = before.trim().is_empty() && rest[..line_end].trim().is_empty();
    let range = if alone {
        start..one.range.end + line_end
    } else {
        // A trailing comment takes the blanks before it along.
        one.range.start - (before.len() - before.trim_end().len())..one.range.end
    };
    (!shared).then(|| Fix::safe([Edit::delete(range)]))
}
