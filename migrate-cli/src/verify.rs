//! Verify and narrow: what the compiler refuses is held back, until it refuses nothing.
//!
//! * The check runs on a copy of the workspace; the user's files are not touched.
//! * An error is charged to the smallest rewritten piece of code it points at; where it points at none, to the function, then the
//!   file it stands in. Each round holds something back that was let through before, so the rounds end.
//! * A call that the analysis had not seen, and that now lacks its `Cx`, is learnt instead of held back.

use crate::decide::{Constraints, Decision, Held};
use crate::examples::Example;
use crate::flow::bare;
use crate::model::{Call, FnId, FrameId, FrameKind, Model, SiteId};
use crate::plan::Plan;
use crate::rules::Family;
use asupersync_source::compiler::{self, CompilerError, Level, Message, Run, Span, Subcommand};
use asupersync_source::edit::PositionMap;
use asupersync_source::load::{FileId, Project};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};
use syn::Expr;
use syn::visit::{self, Visit};

/// How many times the check is run at most; what is still refused then is held back whole.
pub(crate) const ROUNDS: usize = 24;

/// Directories that are not copied.
const NOT_COPIED: &[&str] = &["target", "node_modules", ".git", ".hg", ".svn"];

/// A set of features that a check builds with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Features {
    Default,
    All,
    /// As given on the command line.
    Named(String),
}

impl Features {
    fn arguments(&self) -> Vec<OsString> {
        match self {
            Features::Default => Vec::new(),
            Features::All => vec!["--all-features".into()],
            Features::Named(list) => vec!["--features".into(), list.into()],
        }
    }
}

/// A copy of a workspace in which rewrites are checked.
pub(crate) struct Scratch {
    directory: tempfile::TempDir,
    root: PathBuf,
    target_dir: PathBuf,
}

impl Scratch {
    /// Copies a workspace.
    pub(crate) fn new(root: &Path, target_dir: PathBuf) -> std::io::Result<Scratch> {
        let directory = tempfile::Builder::new()
            .prefix("asupersync-migrate")
            .tempdir()?;
        copy(root, directory.path(), root)?;
        Ok(Scratch {
            directory,
            root: root.to_owned(),
            target_dir,
        })
    }

    /// Where a file of the workspace stands in the copy.
    pub(crate) fn path(&self, file: &Path) -> Option<PathBuf> {
        Some(
            self.directory
                .path()
                .join(file.strip_prefix(&self.root).ok()?),
        )
    }

    /// Whether a path lies in the copy.
    pub(crate) fn contains(&self, path: &Path) -> bool {
        path.starts_with(self.directory.path())
    }

    /// Writes a file of the copy.
    pub(crate) fn write(&self, file: &Path, text: &str) -> std::io::Result<()> {
        match self.path(file) {
            Some(path) => std::fs::write(path, text),
            None => Ok(()),
        }
    }

    /// Writes a file that only the copy has; the path counts from the root.
    pub(crate) fn add(&self, relative: &Path, text: &str) -> std::io::Result<()> {
        let path = self.directory.path().join(relative);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)
    }

    /// Removes a file that only the copy has.
    pub(crate) fn remove(&self, relative: &Path) -> std::io::Result<()> {
        std::fs::remove_file(self.directory.path().join(relative))
    }

    /// Writes a manifest of the copy, with paths that lead out of it made absolute.
    pub(crate) fn write_manifest(&self, file: &Path, text: &str) -> std::io::Result<()> {
        let directory = file.parent().unwrap_or(&self.root);
        self.write(file, &absolute_paths(text, directory, &self.root))
    }

    /// Compiles everything with some features.
    pub(crate) fn check_with(
        &self,
        features: &Features,
    ) -> Result<compiler::Output, CompilerError> {
        let mut args: Vec<OsString> = ["--workspace", "--all-targets", "--keep-going"]
            .map(Into::into)
            .to_vec();
        args.extend(features.arguments());
        compiler::run(&Run {
            subcommand: Subcommand::Check,
            dir: self.directory.path().to_owned(),
            args,
            lint_args: Vec::new(),
            env: BTreeMap::new(),
            target_dir: Some(self.target_dir.clone()),
            workspace_root: self.directory.path().to_owned(),
        })
    }

    /// Compiles everything with every set of features that is verified, as if it were one check.
    pub(crate) fn check(&self, verified: &[Features]) -> Result<compiler::Output, CompilerError> {
        let mut all = compiler::Output {
            messages: Vec::new(),
            success: true,
            stderr: String::new(),
        };
        for features in verified {
            let output = self.check_with(features)?;
            all.messages.extend(output.messages);
            all.success &= output.success;
            all.stderr.push_str(&output.stderr);
        }
        Ok(all)
    }
}

/// Copies a tree; path dependencies of manifests that lead out of it become absolute.
fn copy(from: &Path, to: &Path, root: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let (source, target) = (entry.path(), to.join(&name));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if NOT_COPIED.iter().any(|skipped| name == *skipped) {
                continue;
            }
            std::fs::create_dir_all(&target)?;
            copy(&source, &target, root)?;
        } else if name == "Cargo.toml" {
            let text = std::fs::read_to_string(&source)?;
            std::fs::write(&target, absolute_paths(&text, from, root))?;
        } else if kind.is_file() {
            std::fs::copy(&source, &target)?;
        }
    }
    Ok(())
}

fn absolute_paths(text: &str, directory: &Path, root: &Path) -> String {
    let Ok(mut document) = text.parse::<toml_edit::DocumentMut>() else {
        return text.to_owned();
    };
    fn visit(item: &mut dyn toml_edit::TableLike, directory: &Path, root: &Path) {
        for (key, value) in item.iter_mut() {
            if key == "path"
                && let Some(path) = value.as_str()
            {
                let full = asupersync_source::load::absolute(&directory.join(path));
                if !full.starts_with(root) {
                    *value = toml_edit::value(full.display().to_string());
                }
            } else if let Some(table) = value.as_table_like_mut() {
                visit(table, directory, root);
            }
        }
    }
    visit(document.as_table_mut(), directory, root);
    document.to_string()
}

/// What one round of the check taught.
#[derive(Debug, Default)]
pub(crate) struct Lesson {
    pub(crate) held: BTreeMap<SiteId, String>,
    pub(crate) fixed: BTreeMap<FnId, String>,
    pub(crate) calls: Vec<(FileId, Range<usize>, FnId)>,
    /// Calls, by where they start, that turned out to call something else.
    pub(crate) mistaken: BTreeSet<(FileId, usize)>,
    pub(crate) everything: Option<String>,
}

impl Lesson {
    /// Nothing was learnt in all the rounds.
    pub(crate) fn give_up(why: String) -> Lesson {
        Lesson {
            everything: Some(why),
            ..Lesson::default()
        }
    }
}

/// What errors are charged with.
pub(crate) struct Court<'a, 'p> {
    pub(crate) project: &'p Project,
    pub(crate) model: &'a Model<'p>,
    pub(crate) decision: &'a Decision,
    pub(crate) plan: &'a Plan,
    pub(crate) maps: &'a HashMap<FileId, PositionMap>,
    pub(crate) examples: &'a [Example],
    pub(crate) scratch: &'a Scratch,
}

impl Court<'_, '_> {
    /// Charges every error of a check.
    pub(crate) fn judge(&self, messages: &[Message]) -> Lesson {
        let mut lesson = Lesson::default();
        for message in messages {
            if !matches!(message.level, Level::Error | Level::Crash) {
                continue;
            }
            let located: Vec<(FileId, Range<usize>)> = message
                .spans
                .iter()
                .filter(|span| span.primary)
                .filter_map(|span| self.locate(span))
                .collect();
            if located.is_empty() {
                continue;
            }
            if self.learn(message, &located, &mut lesson) {
                continue;
            }
            for (file, range) in &located {
                self.charge(*file, range, message, &mut lesson);
            }
        }
        if !lesson.calls.is_empty() || !lesson.mistaken.is_empty() {
            // What a call means comes first: most other errors of the round follow from it.
            lesson.held.clear();
            lesson.fixed.clear();
        }
        lesson
    }

    /// The old place of a span, if it is in a file of the project.
    fn locate(&self, span: &Span) -> Option<(FileId, Range<usize>)> {
        let span = span.call_site();
        let relative = span.file.strip_prefix(self.scratch.directory.path()).ok()?;
        let example = self
            .examples
            .iter()
            .find(|example| example.path(self.project) == relative);
        let file = match example {
            Some(example) => example.file,
            None => self.project.file_at(&self.scratch.root.join(relative))?,
        };
        let range = match self.maps.get(&file) {
            Some(map) => map.old_range(span.range.clone()),
            None => span.range.clone(),
        };
        Some((file, range))
    }

    /// A call with too few arguments of a function that now takes a `Cx`.
    fn learn(
        &self,
        message: &Message,
        located: &[(FileId, Range<usize>)],
        lesson: &mut Lesson,
    ) -> bool {
        if message.code.as_deref() != Some("E0061") {
            return false;
        }
        // Labels of the definition stand in a child; too many arguments are another matter.
        let definitions: Vec<(FileId, Range<usize>)> = message
            .children
            .iter()
            .flat_map(|child| &child.spans)
            .chain(&message.spans)
            .filter_map(|span| self.locate(span))
            .collect();
        let callee = self.decision.coloured.iter().copied().find(|id| {
            let function = self.model.function(*id);
            definitions.iter().any(|(file, range)| {
                *file == function.file
                    && self
                        .project
                        .file(*file)
                        .span_range(function.sig.ident.span())
                        == *range
            })
        });
        let Some(callee) = callee else { return false };
        let Some((file, range)) = located.first() else {
            return false;
        };
        let known = self.model.calls.iter().any(|call| {
            call.file == *file && call.callee == callee && {
                let found = self.project.file(*file).range(call.expr);
                found.start <= range.start && range.end <= found.end
            }
        });
        if known {
            return false;
        }
        lesson.calls.push((*file, range.clone(), callee));
        true
    }

    fn charge(&self, file: FileId, range: &Range<usize>, message: &Message, lesson: &mut Lesson) {
        let why = match &message.code {
            Some(code) => format!("{code}: {}", message.text),
            None => message.text.clone(),
        };
        let rewritten: Vec<SiteId> = self
            .model
            .site_ids()
            .filter(|id| self.decision.rewrites(*id) && self.model.site(*id).file == file)
            .collect();
        let whole = |id: SiteId| {
            let site = self.model.site(id);
            let mut whole = site.range.clone();
            if let Some(awaited) = site.awaited {
                let awaited = self.project.file(file).range(awaited);
                whole = whole.start.min(awaited.start)..whole.end.max(awaited.end);
            }
            whole
        };
        // A `Cx` passed to what does not take one: the call means another function than was thought.
        let about_cx = ["Cx", "Scope"].iter().any(|name| {
            crate::plan::mentions(&message.text, name)
                || message.spans.iter().any(|span| {
                    span.label
                        .as_deref()
                        .is_some_and(|label| crate::plan::mentions(label, name))
                })
        });
        let too_many = matches!(message.code.as_deref(), Some("E0061" | "E0107"));
        if about_cx || too_many {
            let mistaken: Vec<usize> = self
                .model
                .calls
                .iter()
                .filter(|call| call.file == file && self.decision.coloured.contains(&call.callee))
                .map(|call| self.project.file(file).range(call.expr))
                .filter(|found| {
                    (found.start <= range.start && range.end <= found.end)
                        || (range.start <= found.start && found.end <= range.end)
                })
                .min_by_key(|found| found.len())
                .map(|found| found.start)
                .into_iter()
                .collect();
            if !mistaken.is_empty() {
                lesson
                    .mistaken
                    .extend(mistaken.into_iter().map(|start| (file, start)));
                return;
            }
        }
        // The smallest rewritten call around the error, or those inside it.
        let around = rewritten
            .iter()
            .filter(|id| whole(**id).start <= range.start && range.end <= whole(**id).end)
            .min_by_key(|id| whole(**id).len());
        if let Some(id) = around {
            lesson.held.insert(*id, why);
            return;
        }
        let inside: Vec<SiteId> = rewritten
            .iter()
            .copied()
            .filter(|id| range.start <= whole(*id).start && whole(*id).end <= range.end)
            .collect();
        // A statement may be too large a net; within one expression it is not.
        if !inside.is_empty() && inside.len() <= 3 {
            lesson
                .held
                .extend(inside.into_iter().map(|id| (id, why.clone())));
            return;
        }
        // A call of a coloured function that cannot be made.
        let refused = self
            .model
            .calls
            .iter()
            .filter(|call| call.file == file && self.decision.coloured.contains(&call.callee))
            .filter(|call| {
                let found = self.project.file(file).range(call.expr);
                found.start <= range.start && range.end <= found.end
            })
            .min_by_key(|call| self.project.file(file).range(call.expr).len());
        if let Some(call) = refused {
            lesson.fixed.insert(call.callee, why);
            return;
        }
        let function = self
            .model
            .function_ids()
            .filter(|id| {
                let function = self.model.function(*id);
                function.file == file
                    && function.range.start <= range.start
                    && range.end <= function.range.end
            })
            .min_by_key(|id| self.model.function(*id).range.len());
        if let Some(id) = function {
            let own: Vec<SiteId> = rewritten
                .iter()
                .copied()
                .filter(|site| self.model.site(*site).function == Some(id))
                .collect();
            let near: Vec<SiteId> = own
                .iter()
                .copied()
                .filter(|site| {
                    let statement = self.model.site(*site).statement;
                    statement <= range.start && range.end <= whole(*site).end.max(statement + 1)
                })
                .collect();
            // What the compiler names tells which values are the trouble.
            let families = families_named(message);
            let named: Vec<SiteId> = own
                .iter()
                .copied()
                .filter(|site| families.contains(&self.model.site(*site).family))
                .collect();
            let chosen = [named, near, own]
                .into_iter()
                .find(|chosen| !chosen.is_empty())
                .unwrap_or_default();
            if !chosen.is_empty() {
                lesson
                    .held
                    .extend(chosen.into_iter().map(|id| (id, why.clone())));
                return;
            }
            if self.decision.coloured.contains(&id) {
                lesson.fixed.insert(id, why);
                return;
            }
        }
        // A field, signature or import: whatever moves with the types named there.
        let named: BTreeSet<SiteId> = self
            .model
            .occurrences
            .iter()
            .filter(|occurrence| {
                occurrence.file == file && {
                    let found = self.project.file(file).range(occurrence.path);
                    found.start < range.end && range.start < found.end
                }
            })
            .filter_map(|occurrence| occurrence.place)
            .flat_map(|place| {
                let class = self.model.places.class(place);
                self.model.site_ids().filter(move |id| {
                    self.model
                        .site(*id)
                        .place
                        .is_some_and(|place| self.model.places.class(place) == class)
                })
            })
            .filter(|id| self.decision.rewrites(*id))
            .collect();
        if !named.is_empty() {
            lesson
                .held
                .extend(named.into_iter().map(|id| (id, why.clone())));
            return;
        }
        if self.plan.edits.contains_key(&file) && !rewritten.is_empty() {
            lesson
                .held
                .extend(rewritten.into_iter().map(|id| (id, why.clone())));
            return;
        }
        lesson.everything.get_or_insert(why);
    }
}

/// The families of the runtime's types that a message names.
fn families_named(message: &Message) -> BTreeSet<Family> {
    const NAMES: &[(&str, Family)] = &[
        ("channel::oneshot", Family::Oneshot),
        ("channel::mpsc", Family::Mpsc),
        ("fs::ReadDir", Family::Dir),
        ("fs::DirEntry", Family::Dir),
        ("asupersync::fs::", Family::Io),
        ("sync::Notify", Family::Notify),
        ("Semaphore", Family::Semaphore),
        ("OnceCell", Family::OnceCell),
        ("Barrier", Family::Barrier),
        ("channel::watch", Family::Watch),
        ("asupersync::signal", Family::Signal),
        ("channel::broadcast", Family::Broadcast),
        ("RwLock", Family::RwLock),
        ("ReadGuard", Family::RwLock),
        ("WriteGuard", Family::RwLock),
        ("sync::Mutex", Family::Mutex),
        ("MutexGuard", Family::Mutex),
        ("asupersync::net", Family::Io),
        ("asupersync::io", Family::Io),
        ("asupersync::Time", Family::Clock),
        ("TaskHandle", Family::Join),
        ("Interval", Family::Interval),
        ("TimeoutError", Family::Timeout),
        ("asupersync::Runtime", Family::Runtime),
    ];
    let mut texts = vec![message.text.as_str()];
    texts.extend(message.rendered.as_deref());
    NAMES
        .iter()
        .filter(|(name, _)| texts.iter().any(|text| text.contains(name)))
        .map(|(_, family)| *family)
        .collect()
}

/// Adds what a round taught to the constraints; false where nothing is new.
pub(crate) fn apply<'p>(
    lesson: Lesson,
    project: &'p Project,
    model: &mut Model<'p>,
    decision: &Decision,
    constraints: &mut Constraints,
) -> bool {
    let mut changed = false;
    let before = model.calls.len();
    model.calls.retain(|call| {
        let start = project.file(call.file).range(call.expr).start;
        let mistaken = lesson.mistaken.contains(&(call.file, start));
        if mistaken {
            constraints.mistaken.insert((call.file, start, call.callee));
        }
        !mistaken
    });
    changed |= model.calls.len() != before;
    for (file, range, callee) in lesson.calls {
        match call_at(project, file, &range) {
            // It was taken for a call of the function, then not, and is one after all: it cannot be made.
            Some(expr)
                if constraints.mistaken.contains(&(
                    file,
                    project.file(file).range(expr).start,
                    callee,
                )) =>
            {
                let why = "a call of it cannot pass one".to_owned();
                changed |= constraints.fixed.insert(callee, why).is_none();
            }
            Some(expr) => {
                let at = project.file(file).range(expr).start;
                let frame = frame_at(project, model, file, at);
                model.calls.push(Call {
                    callee,
                    expr,
                    file,
                    frame,
                });
                changed = true;
            }
            None => {
                let why = "a call of it was not understood".to_owned();
                changed |= constraints.fixed.insert(callee, why).is_none();
            }
        }
    }
    for (id, why) in lesson.held {
        changed |= constraints.held.insert(id, Held::Withdrawn(why)).is_none();
    }
    for (id, why) in lesson.fixed {
        changed |= constraints
            .fixed
            .insert(id, format!("the compiler refused it: {why}"))
            .is_none();
    }
    if !changed && let Some(why) = lesson.everything {
        changed = hold_everything(model, decision, constraints, &why);
    }
    changed
}

/// The last resort: nothing is rewritten any more.
pub(crate) fn hold_everything(
    model: &Model<'_>,
    decision: &Decision,
    constraints: &mut Constraints,
    why: &str,
) -> bool {
    let mut changed = !std::mem::replace(&mut constraints.nothing, true);
    for id in model.site_ids() {
        if decision.rewrites(id) {
            changed |= constraints
                .held
                .insert(id, Held::Withdrawn(why.to_owned()))
                .is_none();
        }
    }
    changed
}

/// The call or method call whose name stands at a range.
fn call_at<'p>(project: &'p Project, file: FileId, range: &Range<usize>) -> Option<&'p Expr> {
    struct Find<'p> {
        source: &'p asupersync_source::load::SourceFile,
        wanted: Range<usize>,
        found: Option<&'p Expr>,
    }
    impl<'p> Visit<'p> for Find<'p> {
        fn visit_expr(&mut self, expr: &'p Expr) {
            let name = match expr {
                Expr::Call(call) => Some(self.source.range(bare(&call.func))),
                Expr::MethodCall(call) => Some(self.source.span_range(call.method.span())),
                _ => None,
            };
            if name
                .is_some_and(|name| name.start <= self.wanted.start && self.wanted.end <= name.end)
            {
                self.found = Some(expr);
            }
            visit::visit_expr(self, expr);
        }
        fn visit_macro(&mut self, call: &'p syn::Macro) {
            if let Some(body) = self.source.macro_body(call) {
                self.body(body);
            }
        }
    }
    impl<'p> Find<'p> {
        fn body(&mut self, body: &'p asupersync_source::macros::MacroBody) {
            use asupersync_source::macros::MacroBody;
            match body {
                MacroBody::Select(select) => {
                    for arm in &select.branches {
                        self.visit_expr(&arm.future);
                        self.visit_expr(&arm.handler);
                    }
                }
                MacroBody::Exprs(exprs) => exprs.iter().for_each(|expr| self.visit_expr(expr)),
                MacroBody::Stmts(stmts) => stmts.iter().for_each(|stmt| self.visit_stmt(stmt)),
                MacroBody::Items(items) => items.iter().for_each(|item| self.visit_item(item)),
                MacroBody::Definition(parts) | MacroBody::Pieces(parts) => {
                    parts.iter().for_each(|part| self.body(part));
                }
            }
        }
    }
    let source = project.file(file);
    let mut find = Find {
        source,
        wanted: range.clone(),
        found: None,
    };
    find.visit_file(&source.ast);
    find.found
}

/// The innermost frame around a byte.
fn frame_at(project: &Project, model: &Model<'_>, file: FileId, at: usize) -> FrameId {
    let mut best = (usize::MAX, FrameId(0));
    for (index, frame) in model.frames.iter().enumerate() {
        let id = FrameId(index);
        if model
            .function_of(id)
            .map(|function| model.function(function).file)
            != Some(file)
        {
            continue;
        }
        let source = project.file(file);
        let range = match frame.kind {
            FrameKind::Function(function) => model.function(function).range.clone(),
            FrameKind::Async(block) => source.range(block),
            FrameKind::Closure(closure) => source.range(closure),
            FrameKind::Body(site) | FrameKind::Drain(site) => model.site(site).range.clone(),
            FrameKind::Loop(looped) => source.range(looped),
            _ => continue,
        };
        if range.contains(&at) && range.len() <= best.0 {
            best = (range.len(), id);
        }
    }
    best.1
}
