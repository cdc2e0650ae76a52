//! Plan: the decision becomes byte edits, file by file.
//!
//! * Edits touch only what a rule names: callee paths, argument lists, patterns around a changed result, signatures, imports.
//! * A form that a rule does not know is refused here with its reason; the decision is then made again without it.
//! * The same decision always gives the same edits.

mod context;
mod entry;
mod imports;
mod results;
mod select;
mod sites;
mod spawn;

pub(crate) use context::mentions;

use crate::decide::{self, Constraints, Decision, Held, Source};
use crate::facts::Facts;
use crate::model::{FnId, FrameId, Model, SiteId};
use asupersync_source::edit::{Edit, EditSet};
use asupersync_source::load::{FileId, Project, SourceFile};
use asupersync_source::resolve::Index;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// What the planner works from.
pub(crate) struct Input<'a, 'p> {
    pub(crate) project: &'p Project,
    pub(crate) index: &'a Index<'p>,
    pub(crate) facts: &'a Facts,
    pub(crate) model: &'a Model<'p>,
    /// Packages, by index, of which a dependency runs on tokio.
    pub(crate) tokio_libraries: &'a BTreeSet<usize>,
}

/// The edits of all files.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) edits: BTreeMap<FileId, EditSet>,
    /// Arms that are dropped half-way although they lose something.
    pub(crate) unsafe_arms: Vec<(FileId, usize, String)>,
    /// Files whose code now names the runtime.
    pub(crate) uses_runtime: BTreeSet<FileId>,
    /// Files whose code now names the compatibility crate.
    pub(crate) uses_compat: BTreeSet<FileId>,
}

/// Decides and plans, holding back the forms that cannot be planned until none is left.
pub(crate) fn plan(input: &Input<'_, '_>, constraints: &Constraints) -> (Decision, Plan) {
    let mut constraints = constraints.clone();
    // Each round holds at least one more site.
    for _ in 0..=input.model.sites.len() {
        let decision = decide::decide(input.model, &constraints);
        if constraints.nothing {
            return (decision, Plan::default());
        }
        let mut planner = Planner::new(input, &constraints, &decision);
        planner.run();
        if planner.refused.is_empty() {
            let plan = planner.plan;
            return (decision, plan);
        }
        for (site, why) in std::mem::take(&mut planner.refused) {
            constraints.held.entry(site).or_insert(Held::Form(why));
        }
    }
    unreachable!("every round holds a site, and there are finitely many")
}

/// How a `Cx` is written at some point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// As an argument: `cx` or `&cx`.
    pub(crate) argument: String,
    /// As a receiver: `cx`.
    pub(crate) receiver: String,
}

pub(crate) struct Planner<'a, 'p> {
    input: &'a Input<'a, 'p>,
    constraints: &'a Constraints,
    decision: &'a Decision,
    plan: Plan,
    refused: Vec<(SiteId, String)>,
    /// Where a `Cx` is used, by where it comes from.
    used: BTreeSet<SourceKey>,
    /// Bodies with an owned `Cx` that more than one capture needs.
    by_reference: BTreeSet<SiteId>,
    /// Functions that return something which outlives the borrowed `Cx`.
    cloned: BTreeSet<FnId>,
    /// Packages that keep code which needs a tokio runtime.
    boundary: BTreeSet<usize>,
    /// Pattern identifiers that became mutable.
    made_mutable: BTreeSet<(FileId, usize)>,
    /// New imports by file and module start.
    wanted: imports::Wanted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SourceKey {
    Function(FnId),
    Body(SiteId),
    Closure,
}

impl From<Source> for SourceKey {
    fn from(source: Source) -> Self {
        match source {
            Source::Function(id) => SourceKey::Function(id),
            Source::Body(id) => SourceKey::Body(id),
            Source::Closure => SourceKey::Closure,
        }
    }
}

impl<'a, 'p> Planner<'a, 'p> {
    fn new(input: &'a Input<'a, 'p>, constraints: &'a Constraints, decision: &'a Decision) -> Self {
        Planner {
            input,
            constraints,
            decision,
            plan: Plan::default(),
            refused: Vec::new(),
            used: BTreeSet::new(),
            by_reference: BTreeSet::new(),
            cloned: BTreeSet::new(),
            boundary: BTreeSet::new(),
            made_mutable: BTreeSet::new(),
            wanted: imports::Wanted::default(),
        }
    }

    fn run(&mut self) {
        self.find_boundaries();
        self.find_uses();
        for id in self.input.model.site_ids() {
            if self.decision.rewrites(id) {
                self.site(id);
            }
        }
        self.calls();
        self.signatures();
        self.imports();
        self.markers();
    }

    fn file(&self, id: FileId) -> &'p SourceFile {
        self.input.project.file(id)
    }

    fn model(&self) -> &'a Model<'p> {
        self.input.model
    }

    fn refuse(&mut self, site: SiteId, why: impl Into<String>) {
        self.refused.push((site, why.into()));
    }

    fn edit(&mut self, file: FileId, edit: Edit) {
        self.plan.edits.entry(file).or_default().push(edit);
    }

    fn insert(&mut self, file: FileId, at: usize, text: impl Into<String>) {
        self.edit(file, Edit::insert(at, text));
    }

    fn replace(&mut self, file: FileId, range: Range<usize>, text: impl Into<String>) {
        let text = text.into();
        if self.file(file).slice(range.clone()) != text {
            self.edit(file, Edit::replace(range, text));
        }
    }

    fn delete(&mut self, file: FileId, range: Range<usize>) {
        self.edit(file, Edit::delete(range));
    }

    /// The white space at the start of the line that holds a byte.
    fn indent(&self, file: FileId, at: usize) -> String {
        let text = &self.file(file).text;
        let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        text[start..]
            .chars()
            .take_while(|letter| *letter == ' ' || *letter == '\t')
            .collect()
    }

    /// One more level than a line's indentation, in the file's own style.
    fn deeper(&self, file: FileId, at: usize) -> String {
        let indent = self.indent(file, at);
        let unit = if indent.contains('\t')
            || (indent.is_empty() && self.file(file).text.contains("\n\t"))
        {
            "\t"
        } else {
            "    "
        };
        format!("{indent}{unit}")
    }

    /// Puts `cx` before the first argument of a call.
    fn insert_argument<'e>(
        &mut self,
        file: FileId,
        open: usize,
        mut args: impl Iterator<Item = Range<usize>> + 'e,
        written: &str,
    ) {
        match args.next() {
            None => self.insert(file, open + 1, written),
            Some(first) => {
                let between = &self.file(file).text[open + 1..first.start];
                let text = if between.contains('\n') {
                    format!("{written},\n{}", self.indent(file, first.start))
                } else {
                    format!("{written}, ")
                };
                self.edit(file, Edit::insert(first.start, text).ranked(-1));
            }
        }
    }

    /// Puts a text behind the last argument of a call.
    fn append_argument(
        &mut self,
        file: FileId,
        close: usize,
        last: Option<Range<usize>>,
        text: &str,
    ) {
        match last {
            None => self.edit(file, Edit::insert(close, text).ranked(1)),
            Some(last) => self.edit(file, Edit::insert(last.end, format!(", {text}")).ranked(1)),
        }
    }

    fn package_of(&self, file: FileId) -> Option<usize> {
        self.input
            .project
            .targets
            .iter()
            .find(|target| target.modules.iter().any(|module| module.file == file))
            .map(|target| target.package)
    }

    /// Leaves a comment at sites that a rule knows and something held back.
    fn markers(&mut self) {
        let mut lines: BTreeMap<(FileId, usize), String> = BTreeMap::new();
        for (id, held) in &self.decision.held {
            let site = self.model().site(*id);
            if site.rule.is_none() {
                continue;
            }
            let code = decide::safety(self.model(), *id).1;
            let reason = match held {
                Held::Withdrawn(_) => "the compiler refused the rewrite".to_owned(),
                Held::NoContext(why) => format!("no Cx can reach it: {why}"),
                Held::Form(why) => why.clone(),
                _ => continue,
            };
            lines
                .entry((site.file, self.line_start(site.file, site.statement)))
                .or_insert_with(|| format!("// {MARKER} {code}: {reason}"));
        }
        for ((file, at), text) in lines {
            let indent = self.indent(file, at);
            if !above(&self.file(file).text, at).contains(MARKER) {
                self.edit(
                    file,
                    Edit::insert(at, format!("{indent}{text}\n")).ranked(-9),
                );
            }
        }
    }

    fn line_start(&self, file: FileId, at: usize) -> usize {
        self.file(file).text[..at]
            .rfind('\n')
            .map_or(0, |newline| newline + 1)
    }

    fn frame_function(&self, frame: FrameId) -> Option<FnId> {
        self.model().function_of(frame)
    }
}

/// How the tool's comments start.
pub(crate) const MARKER: &str = "asupersync-migrate:";

/// The comment lines directly above a line.
pub(crate) fn above(text: &str, line_start: usize) -> &str {
    let mut start = line_start;
    while start > 0 {
        let before = text[..start - 1]
            .rfind('\n')
            .map_or(0, |newline| newline + 1);
        if !text[before..start].trim_start().starts_with("//") {
            break;
        }
        start = before;
    }
    &text[start..line_start]
}
