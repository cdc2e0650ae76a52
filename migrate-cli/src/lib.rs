//! A codemod that takes tokio code to `Cx` style in steps that compile.
//!
//! The pipeline, a file per stage: [`collect`] what is there, resolve what it means ([`facts`], [`flow`]), colour what can move
//! ([`decide`]), [`plan`] the edits, apply them, [`verify`] them with the compiler and hold back what it refuses, [`report`].
//!
//! * Only planned byte ranges change. Comments, formatting and whatever is not understood stay.
//! * The result compiles if the input did: what the compiler refuses is withdrawn together with all that depends on it.
//! * A second run changes nothing.

#![forbid(unsafe_code)]

mod collect;
mod decide;
pub mod demo;
mod facts;
mod flow;
mod manifest;
mod model;
mod plan;
mod report;
pub mod rules;
pub mod undo;
mod verify;

pub use manifest::{Dependency, ManifestError};
pub use report::{Counts, Fate, FileChange, Report, SiteReport, TokioLibrarySummary};

use asupersync_source::compiler::CompilerError;
use asupersync_source::edit::{EditError, PositionMap};
use asupersync_source::load::{FileId, LoadError, Project, Selection};
use asupersync_source::resolve::Index;
use decide::{Constraints, Decision, Held};
use std::collections::{BTreeMap, BTreeSet, HashMap};
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
    let selection = Selection {
        workspace: true,
        packages: Vec::new(),
    };
    let project = Project::load(&options.path, &selection)?;
    if options.write && !options.allow_dirty && is_dirty(&project.workspace_root) {
        return Err(Error::Dirty(project.workspace_root.clone()));
    }
    let index = Index::new(&project);
    let facts = facts::Facts::read(&index);
    let mut model = flow::build(&project, &index, &facts);
    let libraries = collect::tokio_libraries(&project);
    let tokio_packages: BTreeSet<usize> = project
        .packages
        .iter()
        .enumerate()
        .filter(|(_, package)| {
            libraries
                .iter()
                .any(|library| library.needs_runtime && library.package == package.name)
        })
        .map(|(at, _)| at)
        .collect();
    let mut constraints = collect::constraints(&project, &model, options);
    let has_manifest = project
        .packages
        .iter()
        .any(|package| package.manifest.is_some());
    let scratch = if options.verify && has_manifest {
        let target_dir = options
            .target_dir
            .clone()
            .unwrap_or_else(|| state_dir(&project.workspace_root).join("check"));
        let root = &project.workspace_root;
        Some(verify::Scratch::new(root, target_dir).map_err(io_error(root))?)
    } else {
        None
    };
    let mut checks = 0;
    let mut known_warnings = BTreeSet::new();
    if let Some(scratch) = &scratch {
        (options.progress)("checking the code as it is");
        let output = scratch.check()?;
        checks += 1;
        if !output.success {
            return Err(Error::Baseline(first_errors(&output)));
        }
        known_warnings = unused_imports(&output)
            .into_iter()
            .map(|(file, _, text)| (file, text))
            .collect();
    }
    let run = Run {
        options,
        project: &project,
        index: &index,
        facts: &facts,
        tokio_packages: &tokio_packages,
    };
    let (decision, plan, mut texts) = loop {
        let (decision, plan) = run.plan(&model, &constraints);
        let (texts, maps) = run.texts(&plan)?;
        let Some(scratch) = &scratch else {
            break (decision, plan, texts);
        };
        run.fill(scratch, &texts)?;
        (options.progress)(&format!("checking the rewrite, round {checks}"));
        let output = scratch.check()?;
        checks += 1;
        if output.success {
            let texts = run.clean(&texts, &output, &known_warnings, scratch)?;
            break (decision, plan, texts);
        }
        let court = verify::Court {
            project: &project,
            model: &model,
            decision: &decision,
            plan: &plan,
            maps: &maps,
            scratch,
        };
        let mut lesson = court.judge(&output.messages);
        if !lesson.calls.is_empty() || !lesson.mistaken.is_empty() {
            // What a call means comes first: most other errors of the round follow from it.
            lesson.held.clear();
            lesson.fixed.clear();
        }
        for (id, why) in &lesson.held {
            let site = model.site(*id);
            let file = project.file(site.file);
            (options.progress)(&format!(
                "  withdrawn: {}:{}: {}: {why}",
                file.path.display(),
                file.line_column(site.range.start).0,
                site.item
            ));
        }
        for (id, why) in &lesson.fixed {
            (options.progress)(&format!(
                "  keeps its signature: `{}`: {why}",
                model.function(*id).path
            ));
        }
        let why = first_errors(&output);
        if checks > verify::ROUNDS {
            lesson.everything = Some(why.clone());
            lesson.held.clear();
            lesson.fixed.clear();
            lesson.calls.clear();
            lesson.mistaken.clear();
        }
        if !verify::apply(lesson, &project, &mut model, &decision, &mut constraints)
            && !verify::hold_everything(&model, &decision, &mut constraints, &why)
        {
            // Nothing is rewritten and it still fails, although the same text compiled before.
            return Err(Error::Baseline(why));
        }
    };
    texts.retain(|path, text| {
        project
            .file_at(path)
            .map(|id| project.file(id).text != *text)
            .unwrap_or_else(|| std::fs::read_to_string(path).ok().as_deref() != Some(text))
    });
    let changes = changes(&project, texts)?;
    let mut report = Report {
        root: project.workspace_root.clone(),
        sites: run.site_reports(&model, &decision, &plan, &constraints),
        changes,
        libraries: libraries.iter().map(Into::into).collect(),
        boundaries: run.boundaries(&plan),
        skipped_files: project
            .diagnostics
            .iter()
            .map(ToString::to_string)
            .collect(),
        checks: options.verify.then_some(checks),
        written: false,
    };
    if options.write && !report.changes.is_empty() {
        undo::write(&state_dir(&project.workspace_root), &report.changes)?;
        report.written = true;
    }
    Ok(report)
}

/// Restores what the last run changed; returns the files.
pub fn undo(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let project = Project::load(
        path,
        &Selection {
            workspace: true,
            packages: Vec::new(),
        },
    )?;
    Ok(undo::restore(&state_dir(&project.workspace_root))?)
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

fn first_errors(output: &asupersync_source::compiler::Output) -> String {
    const SHOWN: usize = 3;
    let errors: Vec<String> = output
        .messages
        .iter()
        .filter(|message| message.level == asupersync_source::compiler::Level::Error)
        .map(|message| {
            message
                .rendered
                .clone()
                .unwrap_or_else(|| message.text.clone())
        })
        .take(SHOWN)
        .collect();
    if errors.is_empty() {
        output.stderr.trim().to_owned()
    } else {
        errors.join("\n")
    }
}

/// Unused imports with the compiler's own suggestion: file, range to delete, message.
fn unused_imports(
    output: &asupersync_source::compiler::Output,
) -> Vec<(PathBuf, Vec<std::ops::Range<usize>>, String)> {
    output
        .messages
        .iter()
        .filter(|message| message.code.as_deref() == Some("unused_imports"))
        .filter_map(|message| {
            let file = message.spans.iter().find(|span| span.primary)?.file.clone();
            let ranges = message
                .children
                .iter()
                .flat_map(|child| &child.spans)
                .filter(|span| span.replacement.as_deref() == Some(""))
                .map(|span| span.range.clone())
                .collect();
            Some((file, ranges, message.text.clone()))
        })
        .collect()
}

struct Run<'a, 'p> {
    options: &'a Options,
    project: &'p Project,
    index: &'a Index<'p>,
    facts: &'a facts::Facts,
    tokio_packages: &'a BTreeSet<usize>,
}

type Texts = BTreeMap<PathBuf, String>;

impl<'p> Run<'_, 'p> {
    fn plan(&self, model: &model::Model<'p>, constraints: &Constraints) -> (Decision, plan::Plan) {
        plan::plan(
            &plan::Input {
                project: self.project,
                index: self.index,
                facts: self.facts,
                model,
                tokio_libraries: self.tokio_packages,
                markers: true,
            },
            constraints,
        )
    }

    /// The texts of the files after a plan, manifests included, and where their bytes came from.
    fn texts(&self, plan: &plan::Plan) -> Result<(Texts, HashMap<FileId, PositionMap>), Error> {
        let mut texts = Texts::new();
        let mut maps = HashMap::new();
        for (id, edits) in &plan.edits {
            let file = self.project.file(*id);
            let applied = edits.apply(&file.text).map_err(|source| Error::Edit {
                path: file.path.clone(),
                source,
            })?;
            texts.insert(file.path.clone(), applied.text);
            maps.insert(*id, applied.map);
        }
        for (path, text) in self.manifests(plan, &texts)? {
            texts.insert(path, text);
        }
        Ok((texts, maps))
    }

    fn manifests(&self, plan: &plan::Plan, texts: &Texts) -> Result<Texts, Error> {
        use asupersync_source::load::TargetKind;
        let mut manifests = Texts::new();
        let off = |code: &str| {
            self.options
                .skip
                .iter()
                .any(|skipped| skipped.eq_ignore_ascii_case(code))
        };
        if off("AM090") {
            return Ok(manifests);
        }
        for (at, package) in self.project.packages.iter().enumerate() {
            let Some(path) = &package.manifest else {
                continue;
            };
            let mut needs = manifest::Needs {
                tokio: collect::tokio_left(self.project, at, |id| {
                    let file = self.project.file(id);
                    texts
                        .get(&file.path)
                        .cloned()
                        .unwrap_or_else(|| file.text.clone())
                }),
                ..manifest::Needs::default()
            };
            for target in &self.project.targets {
                if target.package != at {
                    continue;
                }
                let tests = matches!(
                    target.kind,
                    TargetKind::Test | TargetKind::Example | TargetKind::Bench
                );
                for module in &target.modules {
                    let runtime = plan.uses_runtime.contains(&module.file);
                    let compat = plan.uses_compat.contains(&module.file);
                    if tests {
                        needs.runtime_for_tests |= runtime;
                        needs.compat_for_tests |= compat;
                    } else {
                        needs.runtime |= runtime;
                        needs.compat |= compat;
                    }
                }
            }
            if !needs.runtime
                && !needs.runtime_for_tests
                && !needs.compat
                && !needs.compat_for_tests
            {
                continue;
            }
            let text = std::fs::read_to_string(path).map_err(io_error(path))?;
            let dependency = match &self.options.dependency {
                Dependency::Path(root) => Dependency::Path(asupersync_source::load::absolute(root)),
                other => other.clone(),
            };
            let new = manifest::rewrite(path, &text, needs, &dependency)?;
            if new != text {
                manifests.insert(path.clone(), new);
            }
        }
        Ok(manifests)
    }

    /// Brings the copy to the state of a plan; files the plan leaves alone are as they were.
    fn fill(&self, scratch: &verify::Scratch, texts: &Texts) -> Result<(), Error> {
        for file in &self.project.files {
            let text = texts.get(&file.path).unwrap_or(&file.text);
            scratch
                .write(&file.path, text)
                .map_err(io_error(&file.path))?;
        }
        for package in &self.project.packages {
            let Some(path) = &package.manifest else {
                continue;
            };
            let original = std::fs::read_to_string(path).map_err(io_error(path))?;
            let text = texts.get(path).unwrap_or(&original);
            scratch.write_manifest(path, text).map_err(io_error(path))?;
        }
        Ok(())
    }

    /// Removes imports that the rewrite left unused.
    fn clean(
        &self,
        texts: &Texts,
        output: &asupersync_source::compiler::Output,
        known: &BTreeSet<(PathBuf, String)>,
        scratch: &verify::Scratch,
    ) -> Result<Texts, Error> {
        let mut cleaned = texts.clone();
        let mut deletions: BTreeMap<PathBuf, BTreeSet<(usize, usize)>> = BTreeMap::new();
        for (file, ranges, message) in unused_imports(output) {
            if known.contains(&(file.clone(), message)) {
                continue;
            }
            deletions
                .entry(file)
                .or_default()
                .extend(ranges.into_iter().map(|range| (range.start, range.end)));
        }
        for (path, text) in texts {
            let Some(ranges) = scratch.path(path).and_then(|copy| deletions.get(&copy)) else {
                continue;
            };
            let mut edits = asupersync_source::edit::EditSet::new();
            for (start, end) in ranges {
                let edit = asupersync_source::edit::Edit::delete(*start..*end);
                // The same import is reported once for each target that contains the file.
                if edits.conflict(&edit).is_none() {
                    edits.push(edit);
                }
            }
            let applied = edits.apply(text).map_err(|source| Error::Edit {
                path: path.clone(),
                source,
            })?;
            cleaned.insert(path.clone(), applied.text);
        }
        Ok(cleaned)
    }

    fn boundaries(&self, plan: &plan::Plan) -> Vec<String> {
        self.project
            .packages
            .iter()
            .enumerate()
            .filter(|(at, _)| {
                self.project.targets.iter().any(|target| {
                    target.package == *at
                        && target
                            .modules
                            .iter()
                            .any(|module| plan.uses_compat.contains(&module.file))
                })
            })
            .map(|(_, package)| package.name.clone())
            .collect()
    }

    fn site_reports(
        &self,
        model: &model::Model<'p>,
        decision: &Decision,
        plan: &plan::Plan,
        constraints: &Constraints,
    ) -> Vec<SiteReport> {
        let root = &self.project.workspace_root;
        let modules: HashMap<FileId, String> = self
            .project
            .targets
            .iter()
            .flat_map(|target| &target.modules)
            .map(|module| (module.file, module.path.join("::")))
            .collect();
        let mut reports: Vec<SiteReport> = Vec::new();
        for id in model.site_ids() {
            let site = model.site(id);
            let file = self.project.file(site.file);
            let (safety, code, why) = decide::safety(model, id);
            let held = decision.held.get(&id).or_else(|| constraints.held.get(&id));
            let (fate, reason) = match held {
                Some(held @ Held::Withdrawn(_)) => (Fate::Withdrawn, Some(held.reason())),
                Some(held) => (Fate::Marked, Some(held.reason())),
                None if safety == rules::Safety::Review => {
                    (Fate::Review, why.map(ToOwned::to_owned))
                }
                None => (Fate::Automatic, None),
            };
            reports.push(SiteReport {
                file: file
                    .path
                    .strip_prefix(root)
                    .unwrap_or(&file.path)
                    .to_owned(),
                line: file.line_column(site.range.start).0,
                module: modules.get(&site.file).cloned().unwrap_or_default(),
                item: site.item.clone(),
                rule: site.rule.map(|_| code.to_owned()),
                fate,
                reason,
            });
        }
        for (file_id, at, text) in &plan.unsafe_arms {
            let file = self.project.file(*file_id);
            reports.push(SiteReport {
                file: file.path.strip_prefix(root).unwrap_or(&file.path).to_owned(),
                line: file.line_column(*at).0,
                module: modules.get(file_id).cloned().unwrap_or_default(),
                item: text.clone(),
                rule: Some("AM021".to_owned()),
                fate: Fate::Review,
                reason: Some("the arm is dropped, with what it has read or was about to send, when another wins".to_owned()),
            });
        }
        reports.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
        reports
    }
}

fn changes(project: &Project, texts: Texts) -> Result<Vec<FileChange>, Error> {
    texts
        .into_iter()
        .map(|(path, after)| {
            let before = match project.file_at(&path) {
                Some(id) => project.file(id).text.clone(),
                None => std::fs::read_to_string(&path).map_err(io_error(&path))?,
            };
            Ok(FileChange {
                path,
                before,
                after,
            })
        })
        .collect()
}
