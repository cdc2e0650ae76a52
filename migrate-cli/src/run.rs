//! The run: plan, apply, check, learn, until the compiler refuses nothing; then the report.

use crate::decide::{self, Constraints, Decision, Held};
use crate::examples::{self, Example};
use crate::facts::Facts;
use crate::manifest::{self, Dependency};
use crate::model::Model;
use crate::report::{Fate, FileChange, Report, SiteReport};
use crate::rules::Safety;
use crate::verify::{self, Features, Scratch};
use crate::{Error, Options, collect, flow, io_error, plan, state_dir};
use asupersync_source::compiler::{Level, Message, Output};
use asupersync_source::edit::{Applied, Edit, EditSet, PositionMap};
use asupersync_source::load::{FileId, Project, TargetKind, absolute};
use asupersync_source::resolve::Index;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::path::PathBuf;

/// The texts of files by path.
type Texts = BTreeMap<PathBuf, String>;

/// Runs the pipeline on a loaded project; nothing is written to it.
pub(crate) fn run(options: &Options, mut project: Project) -> Result<Report, Error> {
    let found = examples::find(&project);
    let mut checks = 0;
    let mut known_warnings = BTreeSet::new();
    let has_manifest = project
        .packages
        .iter()
        .any(|package| package.manifest.is_some());
    let mut verified = Vec::new();
    let (scratch, found) = if options.verify && has_manifest {
        let target_dir = options
            .target_dir
            .clone()
            .unwrap_or_else(|| state_dir(&project.workspace_root).join("check"));
        let root = &project.workspace_root;
        let scratch = Scratch::new(root, target_dir).map_err(io_error(root))?;
        (options.progress)("checking the code as it is");
        let start = baseline(&project, &scratch, found, &candidates(&project, options))?;
        checks += 1;
        known_warnings = start.warnings;
        verified = start.verified;
        (Some(scratch), start.examples)
    } else {
        (None, found)
    };
    let examples = examples::adopt(&mut project, found);
    let project = &project;
    let index = Index::new(project);
    let facts = Facts::read(&index);
    let mut model = flow::build(project, &index, &facts);
    let libraries = collect::tokio_libraries(project);
    let tokio_packages: BTreeSet<usize> = (0..project.packages.len())
        .filter(|at| {
            libraries.iter().any(|library| {
                library.needs_runtime && library.package == project.packages[*at].name
            })
        })
        .collect();
    let mut constraints = collect::constraints(project, &model, options);
    let run = Run {
        options,
        project,
        index: &index,
        facts: &facts,
        tokio_packages: &tokio_packages,
        examples: &examples,
    };
    let (decision, plan, mut texts) = loop {
        let (decision, plan) = run.plan(&model, &constraints);
        let planned = run.apply(&plan)?;
        let Some(scratch) = &scratch else {
            break (decision, plan, planned.texts);
        };
        run.fill(scratch, &planned)?;
        (options.progress)(&format!("checking the rewrite, round {checks}"));
        let output = scratch.check(&verified)?;
        checks += 1;
        if output.success {
            let texts = run.clean(&planned, &output, &known_warnings, scratch, &verified)?;
            break (decision, plan, texts);
        }
        let court = verify::Court {
            project,
            model: &model,
            decision: &decision,
            plan: &plan,
            maps: &planned.maps,
            examples: &examples,
            scratch,
        };
        let why = first_errors(&output);
        let ours = |message: &&Message| scratch.contains(&message.manifest);
        if !errors(&output).iter().any(ours) {
            return Err(Error::Dependency(why));
        }
        let lesson = if checks > verify::ROUNDS {
            verify::Lesson::give_up(why.clone())
        } else {
            court.judge(&output.messages)
        };
        run.tell(&lesson, &model);
        if !verify::apply(lesson, project, &mut model, &decision, &mut constraints)
            && !verify::hold_everything(&model, &decision, &mut constraints, &why)
        {
            // Nothing is rewritten and it still fails, although the same text compiled before.
            return Err(Error::Baseline(why));
        }
    };
    texts.retain(|path, text| match project.file_at(path) {
        Some(id) => project.file(id).text != *text,
        None => std::fs::read_to_string(path).ok().as_deref() != Some(text),
    });
    Ok(Report {
        root: project.workspace_root.clone(),
        sites: run.site_reports(&model, &decision, &plan),
        changes: changes(project, texts)?,
        libraries: libraries.iter().map(Into::into).collect(),
        boundaries: run.boundaries(&plan),
        skipped_files: project
            .diagnostics
            .iter()
            .map(ToString::to_string)
            .collect(),
        checks: options.verify.then_some(checks),
        written: false,
    })
}

/// An unused import that was there before: the file of the copy and what the compiler says.
type Warning = (PathBuf, String);

/// The sets of features to verify with: what the user named, else the default and all.
fn candidates(project: &Project, options: &Options) -> Vec<Features> {
    if let Some(list) = &options.features {
        return vec![Features::Named(list.clone())];
    }
    let has_features = project.packages.iter().any(|package| {
        let text = package
            .manifest
            .as_ref()
            .and_then(|path| std::fs::read_to_string(path).ok());
        text.is_some_and(|text| manifest::has_features(&text))
    });
    if has_features {
        vec![Features::Default, Features::All]
    } else {
        vec![Features::Default]
    }
}

/// What is known before anything is rewritten.
struct Baseline {
    /// The examples that compile.
    examples: Vec<Example>,
    /// The warnings that are the user's.
    warnings: BTreeSet<Warning>,
    /// The sets of features with which everything compiles.
    verified: Vec<Features>,
}

/// Checks the code as it is, with every candidate; one has to compile.
fn baseline(
    project: &Project,
    scratch: &Scratch,
    mut examples: Vec<Example>,
    candidates: &[Features],
) -> Result<Baseline, Error> {
    for example in &examples {
        let path = example.path(project);
        scratch
            .add(&path, example.text())
            .map_err(io_error(&path))?;
    }
    let mut warnings = BTreeSet::new();
    let mut verified = Vec::new();
    let mut refused = None;
    for features in candidates {
        let output = scratch.check_with(features)?;
        // An example may lean on what only rustdoc gives it.
        let (alone, others): (Vec<&Message>, Vec<&Message>) = errors(&output)
            .into_iter()
            .partition(|message| examples::is_example(&message.target));
        let summary = |message: &&Message| message.spans.is_empty() && message.code.is_none();
        if !output.success && (alone.is_empty() || !others.iter().all(summary)) {
            refused.get_or_insert_with(|| first_errors(&output));
            continue;
        }
        let (failing, compiling): (Vec<Example>, Vec<Example>) = examples
            .into_iter()
            .partition(|example| alone.iter().any(|message| message.target == example.name()));
        for example in failing {
            let path = example.path(project);
            scratch.remove(&path).map_err(io_error(&path))?;
        }
        examples = compiling;
        warnings.extend(
            unused_imports(&output)
                .into_iter()
                .map(|(file, _, text)| (file, text)),
        );
        verified.push(features.clone());
    }
    match (verified.is_empty(), refused) {
        (true, refused) => Err(Error::Baseline(refused.unwrap_or_default())),
        (false, _) => Ok(Baseline {
            examples,
            warnings,
            verified,
        }),
    }
}

fn errors(output: &Output) -> Vec<&Message> {
    output
        .messages
        .iter()
        .filter(|message| matches!(message.level, Level::Error | Level::Crash))
        .collect()
}

fn first_errors(output: &Output) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<String> = errors(output)
        .into_iter()
        .map(|message| {
            message
                .rendered
                .clone()
                .unwrap_or_else(|| message.text.clone())
        })
        .take(SHOWN)
        .collect();
    if shown.is_empty() {
        output.stderr.trim().to_owned()
    } else {
        shown.join("\n")
    }
}

/// Unused imports with the compiler's own suggestion: file, ranges to delete, message.
fn unused_imports(output: &Output) -> Vec<(PathBuf, Vec<Range<usize>>, String)> {
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

struct Run<'a, 'p> {
    options: &'a Options,
    project: &'p Project,
    index: &'a Index<'p>,
    facts: &'a Facts,
    tokio_packages: &'a BTreeSet<usize>,
    examples: &'a [Example],
}

/// What a plan makes of the files.
#[derive(Default)]
struct Planned {
    texts: Texts,
    examples: BTreeMap<FileId, String>,
    maps: HashMap<FileId, PositionMap>,
}

impl<'p> Run<'_, 'p> {
    fn plan(&self, model: &Model<'p>, constraints: &Constraints) -> (Decision, plan::Plan) {
        plan::plan(
            &plan::Input {
                project: self.project,
                index: self.index,
                facts: self.facts,
                model,
                tokio_libraries: self.tokio_packages,
            },
            constraints,
        )
    }

    fn tell(&self, lesson: &verify::Lesson, model: &Model<'p>) {
        for (id, why) in &lesson.held {
            let site = model.site(*id);
            let (path, line) = self.place(site.file, site.range.start);
            (self.options.progress)(&format!(
                "  withdrawn: {}:{line}: {}: {why}",
                path.display(),
                site.item
            ));
        }
        for (id, why) in &lesson.fixed {
            let path = &model.function(*id).path;
            (self.options.progress)(&format!("  keeps its signature: `{path}`: {why}"));
        }
    }

    /// The texts of the files after a plan, manifests and examples included, and where their bytes came from.
    fn apply(&self, plan: &plan::Plan) -> Result<Planned, Error> {
        let mut planned = Planned::default();
        let mut edits = plan.edits.clone();
        for example in self.examples {
            let Some(own) = edits.remove(&example.file) else {
                continue;
            };
            if let Some(carried) = example.carry(self.project, &own) {
                let applied = self.apply_to(example.file, &own)?;
                planned.maps.insert(example.file, applied.map);
                planned.examples.insert(example.file, applied.text);
                edits.entry(example.host).or_default().extend(carried);
            }
        }
        for (id, edits) in &edits {
            let applied = self.apply_to(*id, edits)?;
            let path = self.project.file(*id).path.clone();
            planned.texts.insert(path, applied.text);
            planned.maps.insert(*id, applied.map);
        }
        let manifests = self.manifests(plan, &planned.texts)?;
        planned.texts.extend(manifests);
        Ok(planned)
    }

    fn apply_to(&self, id: FileId, edits: &EditSet) -> Result<Applied, Error> {
        let file = self.project.file(id);
        edits.apply(&file.text).map_err(|source| Error::Edit {
            path: file.path.clone(),
            source,
        })
    }

    fn manifests(&self, plan: &plan::Plan, texts: &Texts) -> Result<Texts, Error> {
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
                    if self.is_example(id) {
                        // Its comment counts.
                        return String::new();
                    }
                    let file = self.project.file(id);
                    texts
                        .get(&file.path)
                        .cloned()
                        .unwrap_or_else(|| file.text.clone())
                }),
                ..manifest::Needs::default()
            };
            for target in &self.project.targets {
                if target.package != at || self.is_example(target.root) {
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
                Dependency::Path(root) => Dependency::Path(absolute(root)),
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
    fn fill(&self, scratch: &Scratch, planned: &Planned) -> Result<(), Error> {
        for example in self.examples {
            let path = example.path(self.project);
            let text = planned
                .examples
                .get(&example.file)
                .map_or(example.text(), String::as_str);
            scratch.add(&path, text).map_err(io_error(&path))?;
        }
        for file in &self.project.files {
            let text = planned.texts.get(&file.path).unwrap_or(&file.text);
            scratch
                .write(&file.path, text)
                .map_err(io_error(&file.path))?;
        }
        for package in &self.project.packages {
            let Some(path) = &package.manifest else {
                continue;
            };
            let original = std::fs::read_to_string(path).map_err(io_error(path))?;
            let text = planned.texts.get(path).unwrap_or(&original);
            scratch.write_manifest(path, text).map_err(io_error(path))?;
        }
        Ok(())
    }

    /// Removes imports that the rewrite left unused, where everything still compiles without them.
    fn clean(
        &self,
        planned: &Planned,
        output: &Output,
        known: &BTreeSet<Warning>,
        scratch: &Scratch,
        verified: &[Features],
    ) -> Result<Texts, Error> {
        let mut cleaned = planned.texts.clone();
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
        let mut changed = false;
        for (path, text) in &planned.texts {
            let Some(ranges) = scratch.path(path).and_then(|copy| deletions.get(&copy)) else {
                continue;
            };
            let mut edits = EditSet::new();
            for (start, end) in ranges {
                let edit = Edit::delete(*start..*end);
                // The same import is reported once for each target that contains the file.
                if edits.conflict(&edit).is_none() {
                    edits.push(edit);
                }
            }
            let applied = edits.apply(text).map_err(|source| Error::Edit {
                path: path.clone(),
                source,
            })?;
            scratch.write(path, &applied.text).map_err(io_error(path))?;
            cleaned.insert(path.clone(), applied.text);
            changed = true;
        }
        // An import may be used by the tests of a library only.
        if changed && !scratch.check(verified)?.success {
            return Ok(planned.texts.clone());
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

    fn is_example(&self, file: FileId) -> bool {
        self.examples.iter().any(|example| example.file == file)
    }

    /// The file and line a byte is reported at; those of an example lie in its comment.
    fn place(&self, file: FileId, at: usize) -> (PathBuf, usize) {
        let (shown, line) = match self.examples.iter().find(|example| example.file == file) {
            Some(example) => (example.host, example.host_line(self.project, at)),
            None => (file, self.project.file(file).line_column(at).0),
        };
        let path = &self.project.file(shown).path;
        let root = &self.project.workspace_root;
        (path.strip_prefix(root).unwrap_or(path).to_owned(), line)
    }

    fn site_reports(
        &self,
        model: &Model<'p>,
        decision: &Decision,
        plan: &plan::Plan,
    ) -> Vec<SiteReport> {
        let modules: HashMap<FileId, String> = self
            .project
            .targets
            .iter()
            .flat_map(|target| &target.modules)
            .map(|module| (module.file, module.path.join("::")))
            .collect();
        let report = |file: FileId, at: usize, item: &str| {
            let (path, line) = self.place(file, at);
            SiteReport {
                file: path,
                line,
                module: modules.get(&file).cloned().unwrap_or_default(),
                item: item.to_owned(),
                rule: None,
                fate: Fate::Automatic,
                reason: None,
            }
        };
        let mut reports: Vec<SiteReport> = Vec::new();
        for id in model.site_ids() {
            let site = model.site(id);
            let (safety, code, why) = decide::safety(model, id);
            let (fate, reason) = match decision.held.get(&id) {
                Some(held @ Held::Withdrawn(_)) => (Fate::Withdrawn, Some(held.reason())),
                Some(held) => (Fate::Marked, Some(held.reason())),
                None if safety == Safety::Review => {
                    (Fate::Review, why.map(|why| why.replace('\n', " ")))
                }
                None => (Fate::Automatic, None),
            };
            reports.push(SiteReport {
                rule: site.rule.map(|_| code.to_owned()),
                fate,
                reason,
                ..report(site.file, site.range.start, &site.item)
            });
        }
        for (file, at, text) in &plan.unsafe_arms {
            let why =
                "the arm is dropped, with what it has read or was about to send, when another wins";
            reports.push(SiteReport {
                rule: Some("AM021".to_owned()),
                fate: Fate::Review,
                reason: Some(why.to_owned()),
                ..report(*file, *at, text)
            });
        }
        reports.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
        reports
    }
}
