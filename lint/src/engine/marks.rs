//! Functions of the linted crates that rules watch for what they are found to do.
//!
//! A function is marked by its signature (it returns a task's handle, or an obligation), by its body (it awaits what is not
//! cancel safe, itself or through another function of the project), or by the user's own list. The compiler is asked about every
//! function that may turn out to be marked in the same run as about everything else; which ones are is decided afterwards, from
//! what it answered. So the second pass costs no second build.

use crate::config::Named;
use crate::facts::{
    self, BLOCKING_CONFIGURED, CANCEL_UNSAFE, HANDLE_RETURNING, Loss, OBLIGATION_RETURNING,
};
use crate::shape::{Scan, Seen, Step, called_name, is_spawn_like};
use asupersync_source::resolve::{FnDef, Index};
use asupersync_source::types::Ty;
use asupersync_source::walk::{Cursor, Node};
use std::collections::{BTreeMap, BTreeSet};
use syn::Expr;
use syn::visit::Visit;

/// One mark of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The marker that rules watch.
    pub(crate) marker: &'static str,
    /// What the mark was given for, for the message.
    pub(crate) detail: String,
}

/// The marks of functions, by every path a callee may be known by.
#[derive(Default)]
pub(crate) struct Marks {
    by_path: BTreeMap<String, Vec<Mark>>,
}

impl Marks {
    /// Those that signatures and the configuration tell.
    pub(crate) fn declared(index: &Index<'_>, named: &Named) -> Marks {
        let mut marks = Marks::default();
        for function in index.functions() {
            let syn::ReturnType::Type(_, output) = &function.sig.output else {
                continue;
            };
            let returns = index.ty(&function.module, output);
            // An `async fn` yields the handle only when awaited.
            let is_handle = returns.path().is_some_and(|path| {
                path == "tokio::task::JoinHandle" || named.is_handle(compiler_path(path))
            });
            if is_handle && function.sig.asyncness.is_none() {
                marks.add(&function.path, HANDLE_RETURNING, String::new());
            }
            if let Some(obligation) = obligation_in(&returns) {
                marks.add(&function.path, OBLIGATION_RETURNING, obligation);
            }
        }
        for path in &named.blocking {
            let path = asupersync_source::known::canonical(path);
            marks.add(&path, BLOCKING_CONFIGURED, String::new());
        }
        marks
    }

    fn add(&mut self, path: &str, marker: &'static str, detail: String) {
        for path in [path, compiler_path(path)] {
            let marks = self.by_path.entry(path.to_owned()).or_default();
            if marks.iter().all(|mark| mark.marker != marker) {
                marks.push(Mark {
                    marker,
                    detail: detail.clone(),
                });
            }
        }
    }

    /// The marks of a callee.
    pub(crate) fn of(&self, callee: &str) -> &[Mark] {
        self.by_path.get(callee).map_or(&[], Vec::as_slice)
    }

    /// Every marked path.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.by_path.keys().map(String::as_str)
    }
}

/// The compiler knows no kinds of targets, only their names.
fn compiler_path(path: &str) -> &str {
    match path.split_once(':') {
        Some((_, plain)) if !plain.starts_with(':') => plain,
        _ => path,
    }
}

fn obligation_in(ty: &Ty) -> Option<String> {
    let inner = match ty {
        Ty::Future(output) => return obligation_in(output),
        Ty::Path { .. } => ty.tried(),
        _ => Ty::Unknown,
    };
    [ty, &inner]
        .into_iter()
        .filter_map(Ty::path)
        .find(|path| facts::OBLIGATIONS.contains(path))
        .map(str::to_owned)
}

/// The functions that may await what is not cancel safe, judged by the names of what they call alone.
pub(crate) struct Candidates {
    /// As syntax names them, and as the compiler does.
    paths: BTreeSet<String>,
    /// The last names of operations and of candidates.
    names: BTreeSet<String>,
}

impl Candidates {
    pub(crate) fn new(index: &Index<'_>) -> Candidates {
        let mut names: BTreeSet<String> = facts::operations_with(&[Loss::Partial, Loss::Message])
            .into_iter()
            .filter_map(|path| path.rsplit("::").next())
            .map(str::to_owned)
            .collect();
        let mut open: Vec<(&FnDef<'_>, BTreeSet<String>)> = index
            .functions()
            .filter(|function| may_suspend(function))
            .map(|function| (function, calls(index, function)))
            .collect();
        let mut paths = BTreeSet::new();
        // Each round follows one more call; the last finds nothing new.
        loop {
            let (new, rest): (Vec<_>, Vec<_>) = open
                .into_iter()
                .partition(|(_, calls)| !calls.is_disjoint(&names));
            if new.is_empty() {
                break;
            }
            for (function, _) in new {
                names.insert(function.sig.ident.to_string());
                paths.insert(function.path.clone());
                paths.insert(compiler_path(&function.path).to_owned());
            }
            open = rest;
        }
        Candidates { paths, names }
    }

    /// Whether a call may be of an operation or a candidate.
    pub(crate) fn may_be(&self, call: &Expr) -> bool {
        called_name(call).is_some_and(|name| self.names.contains(&name))
    }

    pub(crate) fn contains(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    /// As the compiler names them.
    pub(crate) fn compiler_paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(|path| compiler_path(path))
    }
}

/// An `async fn`, or one that returns a future.
fn may_suspend(function: &FnDef<'_>) -> bool {
    let returns_future = || match &function.sig.output {
        syn::ReturnType::Type(_, ty) => matches!(**ty, syn::Type::ImplTrait(_)),
        syn::ReturnType::Default => false,
    };
    function.sig.asyncness.is_some() || returns_future()
}

/// The last names of everything a function calls.
fn calls(index: &Index<'_>, function: &FnDef<'_>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let Some(block) = function.block else {
        return names;
    };
    let file = index.project.file(function.file);
    let mut see = |seen: Seen<'_>| {
        if let Seen::Expr(expr) = seen {
            if is_spawn_like(expr) {
                return Step::Over;
            }
            names.extend(called_name(expr));
        }
        Step::Into
    };
    Scan::new(file, &mut see).visit_block(block);
    names
}

/// Who calls what, of the operations that are not cancel safe and the functions that may call them.
#[derive(Default)]
pub(crate) struct Calls {
    direct: BTreeMap<String, String>,
    edges: BTreeSet<(String, String)>,
}

impl Calls {
    /// Takes note of a call.
    pub(crate) fn note(&mut self, cursor: &Cursor<'_, '_>, callee: &str, candidates: &Candidates) {
        let Some(caller) = polled_function(cursor) else {
            return;
        };
        if facts::operation_at(callee, &[Loss::Partial, Loss::Message]).is_some() {
            let name = callee.rsplit("::").next().unwrap_or(callee);
            self.direct.entry(caller).or_insert_with(|| name.to_owned());
        } else if candidates.contains(callee) {
            self.edges
                .insert((caller, compiler_path(callee).to_owned()));
        }
    }

    /// Marks every function that gets to an operation.
    pub(crate) fn mark(self, marks: &mut Marks) {
        let mut callers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (caller, callee) in &self.edges {
            callers.entry(callee).or_default().push(caller);
        }
        let mut reached: BTreeMap<String, String> = BTreeMap::new();
        let mut open: Vec<(String, String)> = self.direct.into_iter().collect();
        while let Some((function, operation)) = open.pop() {
            let known = compiler_path(&function).to_owned();
            if reached.contains_key(&known) {
                continue;
            }
            marks.add(&function, CANCEL_UNSAFE, operation.clone());
            for caller in callers.get(known.as_str()).into_iter().flatten() {
                open.push(((*caller).to_owned(), operation.clone()));
            }
            reached.insert(known, operation);
        }
    }
}

/// The function whose future polls the code at a point; none where a task, a closure or another `select!` stands between.
fn polled_function(cursor: &Cursor<'_, '_>) -> Option<String> {
    let mut nodes = cursor.ancestors().peekable();
    while let Some(node) = nodes.next() {
        match node {
            Node::Function { sig, .. } => {
                let function = cursor.enclosing_function()?;
                let polled = sig.asyncness.is_some() || may_suspend(function);
                return polled.then(|| function.path.clone());
            }
            Node::Expr(Expr::Closure(_))
            | Node::SelectFuture { .. }
            | Node::Item(_)
            | Node::MacroDefinition(_) => return None,
            Node::Expr(Expr::Async(_)) => {
                if let Some(Node::Expr(parent)) = nodes.peek()
                    && is_spawn_like(parent)
                {
                    return None;
                }
            }
            _ => {}
        }
    }
    None
}
