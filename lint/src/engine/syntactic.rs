//! The syntactic engine: walks the source, places every watched call in its context and asks the rules.

use crate::engine::resolved::Hits;
use crate::facts::HANDLE_RETURNING;
use crate::finding::{Finding, Level, TargetRef};
use crate::rules::{RULES, Rule, Verdict};
use crate::site::{self, Evidence, Fate, Site, Subject};
use asupersync_source::load::{FileId, Project};
use asupersync_source::resolve::Index;
use asupersync_source::walk::{self, Cursor, Node, Via};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use syn::Expr;

/// Which sources name callees.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'h> {
    /// What the compiler named.
    pub(crate) hits: Option<&'h Hits>,
    /// Whether syntax may name callees too.
    pub(crate) syntax: bool,
}

/// Walks every file of a project and asks the rules about every watched call.
pub(crate) fn findings(project: &Project, sources: Sources<'_>) -> Vec<Finding> {
    let index = Index::new(project);
    let mut watchers: HashMap<&'static str, Vec<&'static Rule>> = HashMap::new();
    for rule in RULES {
        for path in (rule.watches)() {
            watchers.entry(path).or_default().push(rule);
        }
    }
    let mut found = Found {
        watchers,
        wrappers: wrappers(&index),
        sources,
        in_definitions: HashMap::new(),
        pass: Pass::Definitions,
        seen: HashSet::new(),
        findings: Vec::new(),
    };
    // A macro may be called before the walk meets its definition.
    if sources.hits.is_some_and(Hits::any_in_definitions) {
        walk_all(project, &index, &mut found);
    }
    found.pass = Pass::Calls;
    walk_all(project, &index, &mut found);
    found.findings
}

impl Hits {
    fn any_in_definitions(&self) -> bool {
        self.by_place
            .values()
            .flatten()
            .any(|hit| hit.definition.is_some())
    }
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
    /// Only what macro definitions do with the values of calls in them.
    Definitions,
    Calls,
}

/// The functions of the project that return the handle of a task, under their own path and the compiler's.
pub(crate) fn wrappers(index: &Index<'_>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for function in index.functions() {
        let syn::ReturnType::Type(_, output) = &function.sig.output else {
            continue;
        };
        let returns = index.ty(&function.module, output);
        // An `async fn` yields the handle only when awaited.
        let is_handle = returns.path() == Some("tokio::task::JoinHandle");
        if is_handle && function.sig.asyncness.is_none() {
            // The compiler knows no kinds of targets, only their names.
            if let Some((_, plain)) = function
                .path
                .split_once(':')
                .filter(|(_, rest)| !rest.starts_with(':'))
            {
                found.insert(plain.to_owned());
            }
            found.insert(function.path.clone());
        }
    }
    found
}

struct Found<'h> {
    wrappers: BTreeSet<String>,
    watchers: HashMap<&'static str, Vec<&'static Rule>>,
    sources: Sources<'h>,
    in_definitions: HashMap<(FileId, usize), Fate>,
    pass: Pass,
    seen: HashSet<(FileId, usize, &'static str)>,
    findings: Vec<Finding>,
}

impl<'p> walk::Visitor<'p> for Found<'_> {
    fn expr(&mut self, cursor: &Cursor<'_, 'p>, expr: &'p Expr) {
        let start = match expr {
            Expr::Call(call) => cursor.file().range(&call.func).start,
            Expr::MethodCall(call) => cursor.file().range(&call.method).start,
            // The path of a call was seen with the call.
            Expr::Path(_) if !is_callee(cursor, expr) => cursor.file().range(expr).start,
            _ => return,
        };
        let in_definition = cursor
            .ancestors()
            .any(|node| matches!(node, Node::MacroDefinition(_)));
        if self.pass == Pass::Definitions {
            if in_definition {
                self.in_definitions
                    .insert((cursor.file_id(), start), site::fate(cursor, expr));
            }
            return;
        }
        // The text of a macro is reported where it is called.
        if in_definition {
            return;
        }
        let subject = Subject::Expr(expr);
        if self.ask_about_hits(cursor, start, subject) || !self.sources.syntax {
            return;
        }
        let Some(callee) = cursor.callee(expr) else {
            return;
        };
        // The compiler saw this function and does not agree with what only the method's name suggests.
        let guess = callee.via == Via::TraitInScope;
        if guess && self.sources.hits.is_some_and(|hits| compiled(hits, cursor)) {
            return;
        }
        self.ask(
            cursor,
            &callee.path,
            subject,
            Evidence::Syntax(callee.via),
            None,
        );
    }

    fn macro_call(&mut self, cursor: &Cursor<'_, 'p>, call: &'p syn::Macro) {
        if self.pass == Pass::Calls {
            let start = cursor.file().range(&call.path).start;
            self.ask_about_hits(cursor, start, Subject::Macro(call));
        }
    }
}

fn is_callee(cursor: &Cursor<'_, '_>, expr: &Expr) -> bool {
    match cursor.ancestors().next() {
        Some(Node::Expr(Expr::Call(call))) => std::ptr::eq(&*call.func, expr),
        _ => false,
    }
}

/// Whether the compiler saw the code: its package compiled and its file has nothing conditional.
fn compiled(hits: &Hits, cursor: &Cursor<'_, '_>) -> bool {
    let package = cursor.index().project.package_of(cursor.target());
    let failed = package
        .manifest
        .as_ref()
        .is_none_or(|manifest| hits.failed.contains_key(manifest));
    !failed && !cursor.file().text.contains("cfg")
}

impl<'h> Found<'h> {
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
        let watched = if self.wrappers.contains(callee) {
            HANDLE_RETURNING
        } else {
            callee
        };
        let Some(rules) = self.watchers.get(watched) else {
            return;
        };
        let site = Site {
            callee,
            subject,
            cursor,
            in_macro,
        };
        let mut new = Vec::new();
        for rule in rules {
            let Some(verdict) = (rule.check)(&site) else {
                continue;
            };
            let key = (cursor.file_id(), site.range().start, rule.code);
            if self.seen.insert(key) {
                new.push(finding(rule, &site, verdict, evidence));
            }
        }
        self.findings.extend(new);
    }
}

fn finding(
    rule: &'static Rule,
    site: &Site<'_, '_, '_>,
    verdict: Verdict,
    evidence: Evidence,
) -> Finding {
    let file = site.cursor.file();
    let package = site.cursor.index().project.package_of(site.cursor.target());
    let span = site.range();
    let (line, column) = file.line_column(span.start);
    let (end_line, end_column) = file.line_column(span.end);
    let statement = site.statement();
    Finding {
        rule,
        level: Level::Warn,
        path: file.path.clone(),
        line,
        column,
        end_line,
        end_column,
        message: verdict.message,
        label: verdict.label,
        why: verdict.why,
        help: verdict.help,
        unresolved_types: evidence != Evidence::Compiler,
        package: package.name.clone(),
        manifest: package.manifest.clone(),
        target: TargetRef::of(site.cursor.index().project, site.cursor.target()),
        statement_lines: (
            file.line_column(statement.start).0,
            file.line_column(statement.end).0,
        ),
        span,
    }
}
