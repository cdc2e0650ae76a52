//! A call site in its context: what becomes of the value of a call, and what encloses it.
//!
//! Both questions are answered by climbing the nodes around the call, so they hold for code in macro bodies too. An answer is
//! `Unknown` rather than a guess; rules flag only what they can name.

use asupersync_source::load::SourceFile;
use asupersync_source::macros::MacroBody;
use asupersync_source::resolve::segments;
use asupersync_source::walk::{Cursor, Node, Via, bare};
use std::ops::Range;
use std::ptr;
use syn::visit::{self, Visit};
use syn::{Expr, Pat, Stmt};

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

/// What becomes of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Dropped where it is made; the text says how.
    Dropped(&'static str),
    /// Bound to a name that never gives it away.
    ScopeDropped(String),
    /// Only ever aborted.
    Aborted,
    /// Awaited, joined or polled.
    Awaited,
    /// Given to a timer.
    TimedOut,
    /// The value of a macro's own text; the call of the macro decides.
    MacroValue,
    /// Kept, returned, passed on.
    Kept,
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

    /// Bytes of the enclosing statement.
    pub(crate) fn statement(&self) -> Range<usize> {
        self.cursor
            .ancestors()
            .find_map(|node| match node {
                Node::Stmt { stmts, at } => Some(self.cursor.file().range(&stmts[at])),
                _ => None,
            })
            .unwrap_or_else(|| self.whole())
    }

    pub(crate) fn last_name(&self) -> &str {
        self.callee.rsplit("::").next().unwrap_or(self.callee)
    }

    /// What becomes of the call's value.
    pub(crate) fn fate(&self) -> Fate {
        let outside = || match self.subject {
            Subject::Expr(expr @ (Expr::Call(_) | Expr::MethodCall(_))) => fate(self.cursor, expr),
            Subject::Expr(expr) => fate_of_function_value(self.cursor, expr),
            Subject::Macro(call) => fate_of_macro(self.cursor, call),
        };
        match &self.in_macro {
            None | Some(Fate::MacroValue) => outside(),
            Some(inside) => inside.clone(),
        }
    }

    /// Where the code runs.
    pub(crate) fn runs(&self) -> Runs {
        runs(self.cursor)
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

fn is_name(expr: &Expr, name: &str) -> bool {
    matches!(bare(expr), Expr::Path(path) if path.path.is_ident(name))
}

fn last_segment(path: &syn::Path) -> String {
    segments(path).pop().unwrap_or_default()
}

fn bound_name(pat: &Pat) -> Option<String> {
    match pat {
        Pat::Ident(ident) => Some(ident.ident.to_string()),
        Pat::Type(typed) => bound_name(&typed.pat),
        _ => None,
    }
}

/// A call that hands its argument to a runtime or another thread.
fn is_spawn_like(expr: &Expr) -> bool {
    let name = match expr {
        Expr::Call(call) => match bare(&call.func) {
            Expr::Path(path) => last_segment(&path.path),
            _ => return false,
        },
        Expr::MethodCall(call) => call.method.to_string(),
        _ => return false,
    };
    name.contains("spawn") || name == "block_on" || name.contains("unblock")
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

/// Functions that hand back what they are given.
fn passes_through(name: &str) -> bool {
    matches!(
        name,
        "Some" | "Ok" | "new" | "pin" | "from" | "identity" | "boxed"
    )
}

/// Methods whose result still stands for the receiver.
const KEEPS_RECEIVER: &[&str] = &[
    "unwrap",
    "expect",
    "unwrap_or_else",
    "map_err",
    "boxed",
    "fuse",
    "shared",
    "instrument",
    "in_current_span",
    "map",
    "map_ok",
    "into_future",
    "by_ref",
    "borrow_mut",
    "as_mut",
];

/// What becomes of an expression's value.
pub(crate) fn fate(cursor: &Cursor<'_, '_>, expr: &Expr) -> Fate {
    climb(cursor, expr, cursor.ancestors())
}

fn fate_of_macro(cursor: &Cursor<'_, '_>, call: &syn::Macro) -> Fate {
    let mut nodes = cursor.ancestors();
    match nodes.next() {
        Some(Node::Expr(expr @ Expr::Macro(_))) => climb(cursor, expr, nodes),
        Some(Node::Stmt { stmts, at }) => match &stmts[at] {
            Stmt::Macro(statement) if ptr::eq(&statement.mac, call) => {
                let is_tail = at + 1 == stmts.len() && statement.semi_token.is_none();
                if is_tail {
                    after_block(cursor, nodes)
                } else {
                    Fate::Dropped("statement")
                }
            }
            _ => Fate::Kept,
        },
        _ => Fate::Kept,
    }
}

/// `.for_each(tokio::spawn)`: the handles go nowhere; other functions may keep them.
fn fate_of_function_value(cursor: &Cursor<'_, '_>, expr: &Expr) -> Fate {
    match cursor.ancestors().next() {
        Some(Node::Expr(Expr::MethodCall(call)))
            if call.method == "for_each" && call.args.iter().any(|arg| ptr::eq(arg, expr)) =>
        {
            Fate::Dropped("for_each")
        }
        _ => Fate::Kept,
    }
}

/// The value of a block's tail: what the construct that owns the block does with it.
fn after_block<'p>(cursor: &Cursor<'_, 'p>, mut nodes: impl Iterator<Item = Node<'p>>) -> Fate {
    match nodes.next() {
        Some(Node::Expr(owner)) => match owner {
            Expr::Async(_) => Fate::Kept,
            Expr::Loop(_) | Expr::While(_) | Expr::ForLoop(_) => Fate::Dropped("loop body"),
            _ => climb(cursor, owner, nodes),
        },
        Some(Node::MacroStmts(_)) => match nodes.next() {
            Some(Node::MacroDefinition(_)) => Fate::MacroValue,
            _ => Fate::Kept,
        },
        _ => Fate::Kept,
    }
}

fn climb<'p>(
    cursor: &Cursor<'_, 'p>,
    start: &Expr,
    mut nodes: impl Iterator<Item = Node<'p>>,
) -> Fate {
    let mut child: &Expr = start;
    while let Some(node) = nodes.next() {
        match node {
            Node::Expr(parent) => {
                match through(parent, child) {
                    Some(fate) => return fate,
                    None => child = parent,
                };
            }
            Node::Stmt { stmts, at } => {
                let rest = &stmts[at + 1..];
                match &stmts[at] {
                    Stmt::Expr(_, Some(_)) => return Fate::Dropped("statement"),
                    Stmt::Expr(_, None) if rest.is_empty() => return after_block(cursor, nodes),
                    Stmt::Expr(_, None) => return Fate::Dropped("statement"),
                    Stmt::Local(local) => return bound(cursor, local, start, child, rest),
                    Stmt::Macro(statement) => {
                        let is_tail = rest.is_empty() && statement.semi_token.is_none();
                        return if is_tail {
                            after_block(cursor, nodes)
                        } else {
                            Fate::Dropped("statement")
                        };
                    }
                    Stmt::Item(_) => return Fate::Kept,
                }
            }
            Node::MacroExpr(call) => match last_segment(&call.path).as_str() {
                "vec" => {}
                "join" | "try_join" => return Fate::Awaited,
                "drop" => return Fate::Dropped("drop"),
                _ => return Fate::Kept,
            },
            Node::SelectFuture { .. } => return Fate::Awaited,
            // A handler's value is the value of the `select!`.
            Node::SelectHandler { .. } => {}
            Node::MacroStmts(_)
            | Node::MacroDefinition(_)
            | Node::SelectGuard { .. }
            | Node::Function { .. }
            | Node::Item(_) => return Fate::Kept,
        }
    }
    Fate::Kept
}

/// What an enclosing expression does with its child; none where the child's value is still to be followed.
fn through(parent: &Expr, child: &Expr) -> Option<Fate> {
    let is = |expr: &Expr| ptr::eq(expr, child);
    match parent {
        Expr::Paren(_)
        | Expr::Group(_)
        | Expr::Try(_)
        | Expr::Reference(_)
        | Expr::Block(_)
        | Expr::Unsafe(_)
        | Expr::Tuple(_)
        | Expr::Array(_)
        | Expr::Macro(_) => None,
        Expr::If(branch) if is(&branch.cond) => Some(Fate::Kept),
        Expr::If(_) => None,
        Expr::Match(switch) if is(&switch.expr) => Some(Fate::Kept),
        Expr::Match(switch) => {
            let in_body = switch.arms.iter().any(|arm| is(&arm.body));
            if in_body { None } else { Some(Fate::Kept) }
        }
        Expr::Await(_) => Some(Fate::Awaited),
        Expr::MethodCall(call) if is(&call.receiver) => match call.method.to_string().as_str() {
            "abort" => Some(Fate::Aborted),
            "is_finished" | "id" => Some(Fate::Dropped("statement")),
            name if KEEPS_RECEIVER.contains(&name) => None,
            _ => Some(Fate::Kept),
        },
        Expr::Call(call) => {
            let Expr::Path(path) = bare(&call.func) else {
                return Some(Fate::Kept);
            };
            if is(&call.func) {
                return Some(Fate::Kept);
            }
            match last_segment(&path.path).as_str() {
                "drop" => Some(Fate::Dropped("drop")),
                "forget" => Some(Fate::Dropped("mem::forget")),
                "timeout" | "timeout_at" => Some(Fate::TimedOut),
                name if name.contains("join") => Some(Fate::Awaited),
                name if passes_through(name) => {
                    // `Guard::new(handle)` keeps it; `Box::new(handle)` is still the handle.
                    let owner = path.path.segments.iter().rev().nth(1);
                    let transparent = owner.is_none_or(|owner| {
                        matches!(
                            owner.ident.to_string().as_str(),
                            "Box" | "Pin" | "Some" | "Ok" | "Option" | "Result"
                        )
                    });
                    if transparent { None } else { Some(Fate::Kept) }
                }
                _ => Some(Fate::Kept),
            }
        }
        Expr::Assign(assign) => {
            if matches!(*assign.left, Expr::Infer(_)) {
                return Some(Fate::Dropped("let _"));
            }
            Some(Fate::Kept)
        }
        Expr::Closure(_) => Some(Fate::Kept),
        _ => Some(Fate::Kept),
    }
}

/// A `let`: dropped at once, dropped with the scope, or given away by what follows.
fn bound(
    cursor: &Cursor<'_, '_>,
    local: &syn::Local,
    start: &Expr,
    child: &Expr,
    rest: &[Stmt],
) -> Fate {
    if let Some(init) = &local.init
        && let Some((_, diverge)) = &init.diverge
        && ptr::eq(&**diverge, child)
    {
        return Fate::Kept;
    }
    let init = local.init.as_ref().map(|init| &*init.expr);
    match element_pattern(&local.pat, init, start) {
        Some(Pat::Wild(_)) => Fate::Dropped("let _"),
        Some(Pat::Ident(ident)) => {
            let name = ident.ident.to_string();
            let mut uses = Uses::new(cursor.file(), &name);
            rest.iter().for_each(|stmt| uses.visit_stmt(stmt));
            uses.fate()
        }
        _ => Fate::Kept,
    }
}

/// The part of a `let` pattern that takes the value of `child`: itself, or the matching element of a tuple.
fn element_pattern<'a>(pat: &'a Pat, init: Option<&Expr>, child: &Expr) -> Option<&'a Pat> {
    match pat {
        Pat::Type(typed) => element_pattern(&typed.pat, init, child),
        Pat::Paren(inner) => element_pattern(&inner.pat, init, child),
        Pat::Tuple(patterns) => {
            let Some(Expr::Tuple(values)) = init.map(bare) else {
                return None;
            };
            let at = values
                .elems
                .iter()
                .position(|value| contains(value, child))?;
            let rest = patterns
                .elems
                .iter()
                .any(|part| matches!(part, Pat::Rest(_)));
            if rest {
                return None;
            }
            element_pattern(patterns.elems.get(at)?, values.elems.get(at), child)
        }
        other => Some(other),
    }
}

fn contains(tree: &Expr, wanted: &Expr) -> bool {
    struct Find<'w> {
        wanted: &'w Expr,
        found: bool,
    }
    impl<'ast> Visit<'ast> for Find<'_> {
        fn visit_expr(&mut self, expr: &'ast Expr) {
            self.found |= ptr::eq(expr, self.wanted);
            visit::visit_expr(self, expr);
        }
    }
    let mut find = Find {
        wanted,
        found: false,
    };
    find.visit_expr(tree);
    find.found
}

/// How a name is used in the rest of its block.
struct Uses<'n, 'p> {
    file: &'p SourceFile,
    name: &'n str,
    dropped: bool,
    aborted: bool,
    given: bool,
    awaited: bool,
}

impl<'n, 'p> Uses<'n, 'p> {
    fn new(file: &'p SourceFile, name: &'n str) -> Self {
        Uses {
            file,
            name,
            dropped: false,
            aborted: false,
            given: false,
            awaited: false,
        }
    }

    fn fate(&self) -> Fate {
        if self.awaited {
            Fate::Awaited
        } else if self.given {
            Fate::Kept
        } else if self.aborted {
            Fate::Aborted
        } else if self.dropped {
            Fate::Dropped("drop")
        } else {
            Fate::ScopeDropped(self.name.to_owned())
        }
    }

    fn body(&mut self, body: &MacroBody) {
        match body {
            MacroBody::Select(select) => {
                for arm in &select.branches {
                    self.visit_expr(&arm.future);
                    if let Some(guard) = &arm.guard {
                        self.visit_expr(guard);
                    }
                    self.visit_expr(&arm.handler);
                }
                if let Some(otherwise) = &select.otherwise {
                    self.visit_expr(otherwise);
                }
            }
            MacroBody::Exprs(exprs) => exprs.iter().for_each(|expr| self.visit_expr(expr)),
            MacroBody::Stmts(stmts) => stmts.iter().for_each(|stmt| self.visit_stmt(stmt)),
            MacroBody::Items(_) => {}
            MacroBody::Definition(bodies) | MacroBody::Pieces(bodies) => {
                bodies.iter().for_each(|body| self.body(body));
            }
        }
    }
}

impl<'ast> Visit<'ast> for Uses<'_, '_> {
    fn visit_expr(&mut self, expr: &'ast Expr) {
        match expr {
            Expr::Await(inner) if is_name(&inner.base, self.name) => {
                self.awaited = true;
                return;
            }
            Expr::MethodCall(call) if is_name(&call.receiver, self.name) => {
                match call.method.to_string().as_str() {
                    "abort" => self.aborted = true,
                    "is_finished" | "id" => {}
                    _ => self.given = true,
                }
                call.args
                    .iter()
                    .for_each(|argument| self.visit_expr(argument));
                return;
            }
            Expr::Call(call)
                if call
                    .args
                    .iter()
                    .any(|argument| is_name(argument, self.name)) =>
            {
                let callee = match bare(&call.func) {
                    Expr::Path(path) => last_segment(&path.path),
                    _ => String::new(),
                };
                match callee.as_str() {
                    "drop" | "forget" => self.dropped = true,
                    _ => self.given = true,
                }
            }
            Expr::Path(path) if path.path.is_ident(self.name) => self.given = true,
            _ => {}
        }
        match expr {
            // Its arguments were judged above.
            Expr::Call(call) => {
                for argument in call
                    .args
                    .iter()
                    .filter(|argument| !is_name(argument, self.name))
                {
                    self.visit_expr(argument);
                }
            }
            _ => visit::visit_expr(self, expr),
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let file = self.file;
        if let Some(body) = file.macro_body(call) {
            self.body(body);
        }
        // `println!("{handle:?}")` does not give it away, but a macro that is no list of expressions might.
        if !matches!(
            file.macro_body(call),
            Some(MacroBody::Exprs(_) | MacroBody::Select(_))
        ) {
            let named = call
                .tokens
                .to_string()
                .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
                .any(|word| word == self.name);
            self.given |= named;
        }
    }
}
