//! The syntactic engine: walks the source, places every watched call in its context and asks the rules.

use crate::config::Named;
use crate::engine::marks::{Calls, Candidates, Marks};
use crate::engine::resolved::{Hits, LintReport};
use crate::fate::{self, Fate};
use crate::finding::{Finding, Level, TargetRef};
use crate::point::{Flag, Point, What};
use crate::rules::{Ask, RULES, Recode, Rule, Verdict};
use crate::site::{Evidence, Site, Subject};
use asupersync_source::load::{FileId, Project, SourceFile, Target, ident_text};
use asupersync_source::macros::MacroBody;
use asupersync_source::resolve::Index;
use asupersync_source::walk::{self, Cursor, Node, Via};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use syn::{Block, Expr, Signature, Stmt};

/// Which sources name callees.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'h> {
    /// What the compiler named.
    pub(crate) hits: Option<&'h Hits>,
    /// Whether syntax may name callees too.
    pub(crate) syntax: bool,
    /// What rules watch by the user's word.
    pub(crate) named: &'h Named,
}

/// A rule's question about calls.
type CallCheck = fn(&Site<'_, '_, '_>) -> Option<Verdict>;

/// Walks every file of a project and asks the rules about every watched call and every point.
pub(crate) fn findings<'h>(project: &Project, sources: Sources<'h>) -> Vec<Finding> {
    let index = Index::new(project);
    let mut watchers: HashMap<&'static str, Vec<(&'static Rule, CallCheck)>> = HashMap::new();
    let mut points = Vec::new();
    for rule in RULES {
        for ask in rule.asks {
            match ask {
                Ask::Calls { watches, check } => {
                    for path in watches() {
                        watchers.entry(path).or_default().push((rule, *check));
                    }
                }
                Ask::Points(_) | Ask::Lint { .. } => points.push((*rule, ask)),
            }
        }
    }
    let reports = sources.hits.map_or(&[][..], |hits| &hits.reports);
    let by = |place: fn(&Range<usize>) -> usize| {
        let key =
            |report: &'h LintReport| (report.lint.as_str(), report.file, place(&report.range));
        reports.iter().map(|report| (key(report), report)).collect()
    };
    let mut found = Found {
        names: HashSet::new(),
        points,
        watchers,
        marks: Marks::declared(&index, sources.named),
        candidates: Candidates::new(&index),
        calls: Calls::default(),
        sources,
        reports: by(|range| range.start),
        functions: by(|range| range.end),
        compiled: RefCell::default(),
        in_definitions: HashMap::new(),
        pass: Pass::Definitions,
        seen: HashSet::new(),
        findings: Vec::new(),
    };
    // A macro may be called before the walk meets its definition, and a function before what it calls.
    walk_all(project, &index, &mut found);
    let calls = std::mem::take(&mut found.calls);
    calls.mark(&mut found.marks);
    let watched = found.watchers.keys().copied().chain(found.marks.paths());
    found.names = watched.map(|path| last_name(path).to_owned()).collect();
    found.pass = Pass::Calls;
    walk_all(project, &index, &mut found);
    found.recode_reports(project);
    found.findings
}

fn walk_all<'p>(project: &'p Project, index: &Index<'p>, found: &mut Found<'_>) {
    let mut walked: BTreeMap<FileId, Vec<Vec<String>>> = BTreeMap::new();
    for target in &project.targets {
        for module in &target.modules {
            // A file that several targets share reads the same in most of them; walk it once per place.
            let places = walked.entry(module.file).or_default();
            if places.contains(&module.path) {
                continue;
            }
            places.push(module.path.clone());
            walk::walk_module(index, target, module, found);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// What macro definitions do with the values of calls in them, and which functions call what is not cancel safe.
    Definitions,
    Calls,
}

struct Found<'h> {
    /// The last names of everything that is watched.
    names: HashSet<String>,
    /// What is asked about points, rule by rule.
    points: Vec<(&'static Rule, &'static Ask)>,
    watchers: HashMap<&'static str, Vec<(&'static Rule, CallCheck)>>,
    marks: Marks,
    candidates: Candidates,
    calls: Calls,
    sources: Sources<'h>,
    reports: HashMap<(&'h str, FileId, usize), &'h LintReport>,
    /// The same by where they end: those about functions start at an attribute or keyword.
    functions: HashMap<(&'h str, FileId, usize), &'h LintReport>,
    /// Whether the compiler saw the code of a file, as part of a package.
    compiled: RefCell<HashMap<(FileId, usize), bool>>,
    in_definitions: HashMap<(FileId, usize), Fate>,
    pass: Pass,
    seen: HashSet<(FileId, usize, &'static str)>,
    findings: Vec<Finding>,
}

impl<'p> walk::Visitor<'p> for Found<'_> {
    fn function(&mut self, cursor: &Cursor<'_, 'p>, sig: &'p Signature, block: &'p Block) {
        self.ask_about_point(cursor, What::Function { sig, block });
    }

    fn stmt(&mut self, cursor: &Cursor<'_, 'p>, stmt: &'p Stmt) {
        if let Stmt::Local(local) = stmt
            && let Some(Node::Stmt { stmts, at }) = cursor.ancestors().next()
        {
            let rest = &stmts[at + 1..];
            self.ask_about_point(cursor, What::Local { local, rest });
        }
    }

    fn expr(&mut self, cursor: &Cursor<'_, 'p>, expr: &'p Expr) {
        self.ask_about_point(cursor, What::Expr(expr));
        match expr {
            Expr::Call(_) | Expr::MethodCall(_) => {}
            // The path of a call was seen with the call.
            Expr::Path(_) if !is_callee(cursor, expr) => {}
            _ => return,
        }
        if self.pass == Pass::Definitions {
            self.take_note(cursor, expr);
            return;
        }
        // The text of a macro is reported where it is called.
        if cursor.in_macro_definition() {
            return;
        }
        let subject = Subject::Expr(expr);
        if self.sources.hits.is_some()
            && self.ask_about_hits(cursor, name_start(cursor.file(), expr), subject)
        {
            return;
        }
        if self.may_be_watched(cursor, expr)
            && let Some((callee, via)) = self.named_by_syntax(cursor, expr)
        {
            self.ask(cursor, &callee, subject, Evidence::Syntax(via), None);
        }
    }

    fn macro_call(&mut self, cursor: &Cursor<'_, 'p>, call: &'p syn::Macro) {
        if self.pass == Pass::Calls && self.sources.hits.is_some() {
            let start = cursor.file().range(&call.path).start;
            self.ask_about_hits(cursor, start, Subject::Macro(call));
        }
        if let Some(MacroBody::Select(select)) = cursor.file().macro_body(call) {
            self.ask_about_point(cursor, What::Select(select));
        }
    }
}

fn last_name(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

/// Where the compiler places a call or function value: at its callee, of a method at its name.
fn name_start(file: &SourceFile, expr: &Expr) -> usize {
    match expr {
        Expr::Call(call) => file.start(&call.func),
        Expr::MethodCall(call) => file.span_range(call.method.span()).start,
        other => file.start(other),
    }
}

/// The expressions that rules about points look at: what runs code, waits or branches. Most expressions are names and parts of
/// others.
fn is_asked_about(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Async(_)
            | Expr::Await(_)
            | Expr::Call(_)
            | Expr::ForLoop(_)
            | Expr::If(_)
            | Expr::Loop(_)
            | Expr::Match(_)
            | Expr::MethodCall(_)
            | Expr::While(_)
    )
}

fn is_callee(cursor: &Cursor<'_, '_>, expr: &Expr) -> bool {
    match cursor.ancestors().next() {
        Some(Node::Expr(Expr::Call(call))) => std::ptr::eq(&*call.func, expr),
        _ => false,
    }
}

impl<'h> Found<'h> {
    /// Whether the compiler saw the code: its package compiled, and nothing in its file is conditional but tests, which are built
    /// too.
    fn compiled(&self, hits: &Hits, cursor: &Cursor<'_, '_>) -> bool {
        let key = (cursor.file_id(), cursor.target().package);
        *self.compiled.borrow_mut().entry(key).or_insert_with(|| {
            let package = cursor.index().project.package_of(cursor.target());
            let failed = package
                .manifest
                .as_ref()
                .is_none_or(|manifest| hits.failed.contains_key(manifest));
            let text = &cursor.file().text;
            let count = |what: &str| text.matches(what).count();
            !failed && count("cfg") == count("cfg(test)") + count("cfg_attr(")
        })
    }

    /// Whether what an expression calls or names can be something that is watched: it has the last name of one, or that of an import
    /// that renames.
    fn may_be_watched(&self, cursor: &Cursor<'_, '_>, expr: &Expr) -> bool {
        let path = match expr {
            Expr::MethodCall(call) => return self.names.contains(&ident_text(&call.method)),
            Expr::Call(call) => walk::bare(&call.func),
            other => other,
        };
        let Expr::Path(path) = path else { return false };
        path.path.segments.last().is_some_and(|last| {
            let name = ident_text(&last.ident);
            self.names.contains(&name) || cursor.may_be_renamed(&name)
        })
    }

    /// What syntax says is called, where it may say so.
    fn named_by_syntax<'p>(
        &self,
        cursor: &Cursor<'_, 'p>,
        expr: &'p Expr,
    ) -> Option<(String, Via)> {
        if !self.sources.syntax {
            return None;
        }
        let callee = cursor.callee(expr)?;
        // The compiler saw this function and does not agree with what only the method's name suggests.
        let guess = callee.via == Via::TraitInScope;
        if guess
            && self
                .sources
                .hits
                .is_some_and(|hits| self.compiled(hits, cursor))
        {
            return None;
        }
        Some((callee.path, callee.via))
    }

    /// The first pass over a call.
    fn take_note<'p>(&mut self, cursor: &Cursor<'_, 'p>, expr: &'p Expr) {
        let place = || (cursor.file_id(), name_start(cursor.file(), expr));
        if cursor.in_macro_definition() {
            // Syntax does not look into macros, so only the compiler's hits ask for this.
            if self.sources.hits.is_some() {
                let fate = fate::fate(cursor, expr);
                self.in_definitions.insert(place(), fate);
            }
            return;
        }
        if !self.candidates.may_be(expr) {
            return;
        }
        let hits = self
            .sources
            .hits
            .and_then(|hits| hits.by_place.get(&place()));
        match hits {
            Some(here) => {
                for hit in here.iter().filter(|hit| hit.definition.is_none()) {
                    self.calls.note(cursor, &hit.callee, &self.candidates);
                }
            }
            None => {
                if let Some((callee, _)) = self.named_by_syntax(cursor, expr) {
                    self.calls.note(cursor, &callee, &self.candidates);
                }
            }
        }
    }

    /// Asks about what the compiler named at a place; says whether it named anything.
    fn ask_about_hits<'p>(
        &mut self,
        cursor: &Cursor<'_, 'p>,
        start: usize,
        subject: Subject<'p>,
    ) -> bool {
        let Some(hits) = self.sources.hits else {
            return false;
        };
        let Some(here) = hits.by_place.get(&(cursor.file_id(), start)) else {
            return false;
        };
        for hit in here {
            // What a macro expands to belongs to the macro's call, not to a call that starts at the same place.
            if matches!(subject, Subject::Expr(_)) && hit.definition.is_some() {
                continue;
            }
            let in_macro = hit
                .definition
                .and_then(|place| self.in_definitions.get(&place).cloned());
            self.ask(cursor, &hit.callee, subject, Evidence::Compiler, in_macro);
        }
        true
    }

    fn ask<'p>(
        &mut self,
        cursor: &Cursor<'_, 'p>,
        callee: &str,
        subject: Subject<'p>,
        evidence: Evidence,
        in_macro: Option<Fate>,
    ) {
        let mut new = Vec::new();
        let marks = self.marks.of(callee);
        let keys = marks.iter().map(|mark| (mark.marker, mark.detail.as_str()));
        for (watched, detail) in std::iter::once((callee, "")).chain(keys) {
            let Some(checks) = self.watchers.get(watched) else {
                continue;
            };
            let site = Site {
                callee,
                detail,
                subject,
                cursor,
                in_macro: in_macro.clone(),
            };
            for (rule, check) in checks {
                if let Some(verdict) = check(&site) {
                    let flag = Flag {
                        range: site.range(),
                        verdict,
                    };
                    new.push((*rule, flag));
                }
            }
        }
        for (rule, flag) in new {
            self.add(cursor, rule, flag, evidence != Evidence::Compiler);
        }
    }

    fn ask_about_point<'p>(&mut self, cursor: &Cursor<'_, 'p>, what: What<'p>) {
        if self.pass == Pass::Definitions || cursor.in_macro_definition() {
            return;
        }
        let point = Point { cursor, what };
        if let What::Expr(expr) = what
            && !is_asked_about(expr)
        {
            debug_assert!(
                self.nothing_to_say(&point),
                "a rule asks about a kind of expression that `is_asked_about` lacks"
            );
            return;
        }
        for at in 0..self.points.len() {
            let (rule, ask) = self.points[at];
            match ask {
                Ask::Calls { .. } => {}
                Ask::Points(check) => {
                    for flag in check(&point) {
                        self.add(cursor, rule, flag, false);
                    }
                }
                Ask::Lint {
                    name,
                    recode,
                    alone,
                } => self.ask_about_report(&point, rule, name, recode, *alone),
            }
        }
    }

    fn nothing_to_say(&self, point: &Point<'_, '_, '_>) -> bool {
        self.points.iter().all(|(_, ask)| match ask {
            Ask::Calls { .. } => true,
            Ask::Points(check) => check(point).is_empty(),
            Ask::Lint { alone, .. } => alone(point).is_empty(),
        })
    }

    fn ask_about_report<'p>(
        &mut self,
        point: &Point<'_, '_, 'p>,
        rule: &'static Rule,
        name: &str,
        recode: &Recode,
        alone: fn(&Point<'_, '_, '_>) -> Vec<Flag>,
    ) {
        let file = point.file();
        if let (Recode::Let(check), What::Local { local, .. }) = (recode, point.what)
            && !self.reports.is_empty()
        {
            let pattern = file.range(&local.pat);
            let report = (pattern.start..pattern.end)
                .find_map(|at| self.reports.get(&(name, point.cursor.file_id(), at)));
            if let Some(report) = report {
                if let Some(verdict) = check(point, &report.text) {
                    let range = report.range.clone();
                    self.add(point.cursor, rule, Flag { range, verdict }, false);
                }
                return;
            }
        }
        if let (Recode::Function(verdict), What::Function { sig, block }) = (recode, point.what)
            && !self.functions.is_empty()
        {
            let name_range = file.range(&sig.ident);
            let end = file.span_range(block.brace_token.span.close()).end;
            let place = (name, point.cursor.file_id(), end);
            let report = self.functions.get(&place);
            let report = report.filter(|report| report.range.start <= name_range.start);
            if let Some(report) = report {
                let flag = Flag {
                    range: name_range,
                    verdict: verdict(&report.text),
                };
                self.add(point.cursor, rule, flag, false);
                return;
            }
        }
        let asked = self
            .sources
            .hits
            .is_some_and(|hits| self.compiled(hits, point.cursor));
        if asked || !self.sources.syntax {
            return;
        }
        for flag in alone(point) {
            let place = (name, point.cursor.file_id(), flag.range.start);
            let confirmed = self.reports.contains_key(&place);
            self.add(point.cursor, rule, flag, !confirmed);
        }
    }

    fn add(
        &mut self,
        cursor: &Cursor<'_, '_>,
        rule: &'static Rule,
        flag: Flag,
        unresolved_types: bool,
    ) {
        let key = (cursor.file_id(), flag.range.start, rule.code);
        if !self.seen.insert(key) {
            return;
        }
        let statement = cursor.ancestors().find_map(|node| match node {
            Node::Stmt { stmts, at } => Some(cursor.file().range(&stmts[at])),
            _ => None,
        });
        self.findings.push(finding(
            rule,
            cursor.file(),
            (cursor.index().project, cursor.target()),
            flag,
            statement,
            unresolved_types,
        ));
    }

    /// The reports of clippy's lints that need no more than words.
    fn recode_reports(&mut self, project: &Project) {
        let Some(hits) = self.sources.hits else {
            return;
        };
        let mut owners: BTreeMap<FileId, &Target> = BTreeMap::new();
        for target in &project.targets {
            for module in &target.modules {
                owners.entry(module.file).or_insert(target);
            }
        }
        for rule in RULES {
            for ask in rule.asks {
                let Ask::Lint {
                    name,
                    recode:
                        Recode::All {
                            verdict,
                            fix,
                            yields_to,
                        },
                    ..
                } = ask
                else {
                    continue;
                };
                for report in hits.reports.iter().filter(|report| report.lint == *name) {
                    let Some(target) = owners.get(&report.file) else {
                        continue;
                    };
                    let file = project.file(report.file);
                    let said = self.findings.iter().any(|other| {
                        yields_to.contains(&other.rule.code)
                            && other.path == file.path
                            && report.range.start <= other.span.start
                            && other.span.end <= report.range.end
                    });
                    let key = (report.file, report.range.start, rule.code);
                    if said || !self.seen.insert(key) {
                        continue;
                    }
                    let mut verdict = verdict(&report.text);
                    verdict.fix = verdict.fix.or_else(|| fix(file, report.range.clone()));
                    let flag = Flag {
                        range: report.range.clone(),
                        verdict,
                    };
                    self.findings
                        .push(finding(rule, file, (project, target), flag, None, false));
                }
            }
        }
    }
}

fn finding(
    rule: &'static Rule,
    file: &SourceFile,
    (project, target): (&Project, &Target),
    flag: Flag,
    statement: Option<Range<usize>>,
    unresolved_types: bool,
) -> Finding {
    let package = project.package_of(target);
    let span = flag.range;
    let (line, column) = file.line_column(span.start);
    let (end_line, end_column) = file.line_column(span.end);
    let statement = statement.unwrap_or_else(|| span.clone());
    let Verdict {
        message,
        label,
        why,
        help,
        fix,
    } = flag.verdict;
    Finding {
        rule,
        level: Level::Warn,
        path: file.path.clone(),
        line,
        column,
        end_line,
        end_column,
        message,
        label,
        why,
        help,
        fix,
        unresolved_types,
        package: package.name.clone(),
        manifest: package.manifest.clone(),
        target: TargetRef::of(project, target),
        statement_lines: (
            file.line_column(statement.start).0,
            file.line_column(statement.end).0,
        ),
        span,
    }
}
