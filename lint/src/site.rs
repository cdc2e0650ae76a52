//! A call site in its context: what encloses it, and where it runs.
//!
//! Questions are answered by climbing the nodes around the call, so they hold for code in macro bodies too. An answer is
//! `Unknown` rather than a guess; rules flag only what they can name.

use crate::fate::{self, Fate};
use crate::shape::{
    Scan, Seen, Step, any_in_stmts, bound_name, called_name, is_name, is_spawn_like, last_segment,
    name_of, names_in, names_word,
};
use asupersync_source::load::SourceFile;
use asupersync_source::macros::MacroBody;
use asupersync_source::walk::{Cursor, Node, Via, bare};
use std::ops::Range;
use std::ptr;
use syn::visit::{self, Visit};
use syn::{Expr, Stmt};

/// Who named the callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// The compiler.
    Compiler,
    /// Name resolution in syntax.
    Syntax(Via),
}

/// A call of something that a rule watches.
pub(crate) struct Site<'c, 'i, 'p> {
    /// The canonical path of what is called.
    pub(crate) callee: &'c str,
    /// Of a function that is watched for what it was found to do: what that is.
    pub(crate) detail: &'c str,
    /// The call, method call, function value or (for a finding in an expansion) macro call.
    pub(crate) subject: Subject<'p>,
    /// What encloses it.
    pub(crate) cursor: &'c Cursor<'i, 'p>,
    /// For a call that a macro expands to: what the macro's own text does with the value.
    pub(crate) in_macro: Option<Fate>,
}

#[derive(Clone, Copy)]
pub(crate) enum Subject<'p> {
    Expr(&'p Expr),
    Macro(&'p syn::Macro),
}

/// Whether code runs on an executor thread that others wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runs {
    /// In an async function, block or closure, or in a closure that is called in place there.
    Async,
    /// In a synchronous function.
    Sync,
    /// In a closure that runs elsewhere or at an unknown time.
    Elsewhere,
}

impl<'p> Site<'_, '_, 'p> {
    /// Bytes of the callee's name, where findings point.
    pub(crate) fn range(&self) -> Range<usize> {
        let file = self.cursor.file();
        match self.subject {
            Subject::Expr(Expr::MethodCall(call)) => file.range(&call.method),
            Subject::Expr(Expr::Call(call)) => file.range(&call.func),
            Subject::Expr(other) => file.range(other),
            Subject::Macro(call) => file.range(&call.path),
        }
    }

    /// Bytes of the whole call.
    pub(crate) fn whole(&self) -> Range<usize> {
        let file = self.cursor.file();
        match self.subject {
            Subject::Expr(expr) => file.range(expr),
            Subject::Macro(call) => file.range(call),
        }
    }

    pub(crate) fn last_name(&self) -> &str {
        self.callee.rsplit("::").next().unwrap_or(self.callee)
    }

    /// What becomes of the call's value.
    pub(crate) fn fate(&self) -> Fate {
        let outside = || match self.subject {
            Subject::Expr(expr @ (Expr::Call(_) | Expr::MethodCall(_))) => {
                fate::fate(self.cursor, expr)
            }
            Subject::Expr(expr) => fate::of_function_value(self.cursor, expr),
            Subject::Macro(call) => fate::of_macro(self.cursor, call),
        };
        match &self.in_macro {
            None | Some(Fate::MacroValue) => outside(),
            Some(inside) => inside.clone(),
        }
    }

    /// What becomes of what the call yields in the end: behind `.await`, `?` and `unwrap`.
    pub(crate) fn fate_of_output(&self) -> Fate {
        match self.subject {
            Subject::Expr(expr) => fate::of_output(self.cursor, expr),
            Subject::Macro(_) => Fate::Kept,
        }
    }

    /// Where the code runs.
    pub(crate) fn runs(&self) -> Runs {
        runs(self.cursor)
    }

    /// tokio's name in the package's manifest.
    pub(crate) fn tokio(&self) -> Option<&'p str> {
        let package = self.cursor.index().project.package_of(self.cursor.target());
        if package.manifest.is_none() {
            return Some("tokio");
        }
        let mut names = package.dependencies.iter();
        names.find_map(|(name, real)| (real == "tokio").then_some(name.as_str()))
    }

    /// The `select!` that drops the future this site is part of when another arm wins.
    pub(crate) fn select(&self) -> Option<&'p syn::Macro> {
        let mut nodes = self.cursor.ancestors().peekable();
        while let Some(node) = nodes.next() {
            match node {
                Node::SelectFuture { call, .. } => return Some(call),
                Node::Function { .. } | Node::Item(_) | Node::MacroDefinition(_) => return None,
                Node::Expr(Expr::Closure(closure)) if closure.asyncness.is_none() => return None,
                // A spawned block is polled by the runtime: dropping the arm does not drop it.
                Node::Expr(Expr::Async(_)) => {
                    if let Some(Node::Expr(parent)) = nodes.peek()
                        && is_spawn_like(parent)
                    {
                        return None;
                    }
                }
                // `let read = stream.read_exact(..); select! { _ = read => .. }`
                Node::Stmt { stmts, at } => {
                    if let Some(found) = self.selected_later(stmts, at) {
                        return Some(found);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// Whether that `select!` comes round again, in the function or async block that holds it.
    pub(crate) fn in_loop(&self, call: &syn::Macro) -> bool {
        // For a future that is bound first, the `select!` stands behind the `let`, in the same block.
        let inside = self.cursor.ancestors().any(
            |node| matches!(node, Node::SelectFuture { call: found, .. } if ptr::eq(found, call)),
        );
        self.cursor
            .ancestors()
            .skip_while(|node| {
                inside
                    && !matches!(node, Node::SelectFuture { call: found, .. } if ptr::eq(*found, call))
            })
            .take_while(|node| {
                !matches!(
                    node,
                    Node::Function { .. } | Node::Expr(Expr::Async(_) | Expr::Closure(_))
                )
            })
            .any(|node| {
                matches!(
                    node,
                    Node::Expr(Expr::Loop(_) | Expr::While(_) | Expr::ForLoop(_))
                )
            })
    }

    /// Whether what the method is called on is a variable of a block around the dropped future that nothing names afterwards: what is
    /// lost is lost with it.
    pub(crate) fn is_given_up(&self) -> bool {
        let Subject::Expr(Expr::MethodCall(call)) = self.subject else {
            return false;
        };
        let Some(name) = name_of(&call.receiver) else {
            return false;
        };
        // Laps inside of the dropped future end with it.
        let dropped = self.cursor.ancestors().position(|node| {
            matches!(
                node,
                Node::SelectFuture { .. } | Node::Expr(Expr::Async(_)) | Node::Function { .. }
            )
        });
        let inside = match dropped.and_then(|at| self.cursor.ancestors().nth(at)) {
            Some(Node::Function { .. }) | None => 0,
            Some(_) => dropped.map_or(0, |at| at + 1),
        };
        let file = self.cursor.file();
        for node in self.cursor.ancestors().skip(inside) {
            match node {
                Node::Stmt { stmts, at } => {
                    let rest = &stmts[at + 1..];
                    // The `select!` that takes the future by its name comes after; it does not name the variable.
                    let used = any_in_stmts(file, rest, |seen| match seen {
                        Seen::Expr(expr) => is_name(expr, &name),
                        Seen::Macro(call) => names_word(call, &name),
                    });
                    if used {
                        return false;
                    }
                    let bound = stmts[..at].iter().rev().find_map(|stmt| match stmt {
                        Stmt::Local(local) if names_in(&local.pat).contains(&name) => {
                            Some(local.init.as_ref())
                        }
                        _ => None,
                    });
                    if let Some(init) = bound {
                        return init.is_some_and(|init| is_opened(file, &init.expr));
                    }
                }
                // The next lap, or whoever called, has it still.
                Node::Expr(Expr::Loop(_) | Expr::While(_) | Expr::ForLoop(_))
                | Node::Function { .. }
                | Node::Item(_) => return false,
                _ => {}
            }
        }
        false
    }

    fn selected_later(&self, stmts: &'p [Stmt], at: usize) -> Option<&'p syn::Macro> {
        let Stmt::Local(local) = &stmts[at] else {
            return None;
        };
        let name = bound_name(&local.pat)?;
        let init = &local.init.as_ref()?.expr;
        // The future itself must be what is bound: the call, or an async block around it.
        let is_future = match (bare(init), self.subject) {
            (Expr::Async(_), _) => true,
            (init, Subject::Expr(subject)) => ptr::eq(init, subject),
            _ => false,
        };
        if !is_future {
            return None;
        }
        let mut search = SelectSearch {
            file: self.cursor.file(),
            name: &name,
            found: None,
        };
        stmts[at + 1..]
            .iter()
            .for_each(|stmt| search.visit_stmt(stmt));
        search.found
    }

    /// Whether the site's future is what a timeout drops at its deadline.
    pub(crate) fn in_timeout(&self, is_timeout: impl Fn(&Expr) -> bool) -> bool {
        let mut child: Option<&Expr> = match self.subject {
            Subject::Expr(expr) => Some(expr),
            Subject::Macro(_) => None,
        };
        let mut nodes = self.cursor.ancestors().peekable();
        while let Some(node) = nodes.next() {
            match node {
                Node::Expr(parent @ Expr::Call(call)) => {
                    let second = call.args.iter().nth(1);
                    if let (Some(second), Some(child)) = (second, child)
                        && ptr::eq(second, child)
                        && is_timeout(parent)
                    {
                        return true;
                    }
                    child = Some(parent);
                }
                Node::Expr(parent @ Expr::Async(_)) => {
                    if let Some(Node::Expr(outer)) = nodes.peek()
                        && is_spawn_like(outer)
                    {
                        return false;
                    }
                    child = Some(parent);
                }
                Node::Expr(Expr::Closure(closure)) if closure.asyncness.is_none() => return false,
                Node::Expr(parent) => child = Some(parent),
                Node::Function { .. } | Node::Item(_) | Node::MacroDefinition(_) => return false,
                _ => {}
            }
        }
        false
    }
}

/// Whether a stream is made here and belongs to nobody else: one that borrows another, or came from a pool, goes back there.
fn is_opened(file: &SourceFile, init: &Expr) -> bool {
    let mut opened = false;
    let mut see = |seen: Seen<'_>| {
        if let Seen::Expr(expr) = seen {
            if matches!(expr, Expr::Reference(reference) if reference.mutability.is_some()) {
                opened = false;
                return Step::Stop;
            }
            opened |= called_name(expr).is_some_and(|name| {
                let words = [
                    "connect", "accept", "open", "create", "split", "duplex", "pair",
                ];
                words.iter().any(|word| name.contains(word))
            });
        }
        Step::Into
    };
    Scan::new(file, &mut see).visit_expr(init);
    opened
}

/// Finds a `select!` arm whose future is exactly a name.
struct SelectSearch<'n, 'p> {
    file: &'p SourceFile,
    name: &'n str,
    found: Option<&'p syn::Macro>,
}

impl<'p> Visit<'p> for SelectSearch<'_, 'p> {
    fn visit_macro(&mut self, call: &'p syn::Macro) {
        // A pinned future is polled by reference and outlives the arm.
        if last_segment(&call.path) == "pin"
            && let Some(MacroBody::Exprs(exprs)) = self.file.macro_body(call)
            && exprs.iter().any(|expr| is_name(expr, self.name))
        {
            self.name = "";
            return;
        }
        if let Some(MacroBody::Select(select)) = self.file.macro_body(call) {
            let by_value = |expr: &Expr| !self.name.is_empty() && is_name(expr, self.name);
            if select.branches.iter().any(|arm| by_value(&arm.future)) {
                self.found.get_or_insert(call);
            }
        }
    }
}

/// Methods that call their closure before they return, in place.
const IN_PLACE: &[&str] = &[
    "all",
    "and_then",
    "any",
    "entry",
    "filter",
    "filter_map",
    "find",
    "find_map",
    "flat_map",
    "fold",
    "for_each",
    "get_or_insert_with",
    "inspect",
    "inspect_err",
    "is_some_and",
    "is_ok_and",
    "map",
    "map_err",
    "map_or",
    "map_or_else",
    "max_by_key",
    "min_by_key",
    "ok_or_else",
    "or_else",
    "or_insert_with",
    "partition",
    "position",
    "reduce",
    "retain",
    "scan",
    "skip_while",
    "sort_by",
    "sort_by_key",
    "take_while",
    "then",
    "try_fold",
    "try_for_each",
    "unwrap_or_else",
    "with",
];

fn runs(cursor: &Cursor<'_, '_>) -> Runs {
    let mut nodes = cursor.ancestors().peekable();
    while let Some(node) = nodes.next() {
        match node {
            Node::Function { sig, .. } => {
                return if sig.asyncness.is_some() {
                    Runs::Async
                } else {
                    Runs::Sync
                };
            }
            Node::Expr(Expr::Async(_)) => return Runs::Async,
            Node::MacroStmts(call) if is_generator(call) => return Runs::Async,
            Node::Expr(expr @ Expr::Closure(closure)) => {
                if closure.asyncness.is_some() {
                    return Runs::Async;
                }
                let in_place = match nodes.peek() {
                    Some(Node::Expr(Expr::MethodCall(call))) => {
                        IN_PLACE.contains(&call.method.to_string().as_str())
                    }
                    // `(|| ..)()`
                    Some(Node::Expr(Expr::Paren(_))) => true,
                    Some(Node::Stmt { stmts, at }) => {
                        called_later(&stmts[*at], &stmts[at + 1..], expr)
                    }
                    _ => false,
                };
                if !in_place {
                    return Runs::Elsewhere;
                }
            }
            Node::Item(_) | Node::MacroDefinition(_) => return Runs::Elsewhere,
            _ => {}
        }
    }
    Runs::Elsewhere
}

fn is_generator(call: &syn::Macro) -> bool {
    matches!(last_segment(&call.path).as_str(), "stream" | "try_stream")
}

/// `let f = || ..; f();`: the closure runs where it is called. Passed anywhere else, it does not.
fn called_later(local: &Stmt, rest: &[Stmt], closure: &Expr) -> bool {
    struct Calls {
        name: String,
        called: bool,
        passed: bool,
    }
    impl<'ast> Visit<'ast> for Calls {
        fn visit_expr(&mut self, expr: &'ast Expr) {
            if let Expr::Call(call) = expr
                && is_name(&call.func, &self.name)
            {
                self.called = true;
                call.args
                    .iter()
                    .for_each(|argument| self.visit_expr(argument));
                return;
            }
            self.passed |= is_name(expr, &self.name);
            visit::visit_expr(self, expr);
        }
    }
    let Stmt::Local(local) = local else {
        return false;
    };
    let (Some(name), Some(init)) = (bound_name(&local.pat), &local.init) else {
        return false;
    };
    if !ptr::eq(bare(&init.expr), closure) {
        return false;
    }
    let mut calls = Calls {
        name,
        called: false,
        passed: false,
    };
    rest.iter().for_each(|stmt| calls.visit_stmt(stmt));
    calls.called && !calls.passed
}
