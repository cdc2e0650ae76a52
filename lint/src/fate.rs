//! What becomes of a value: dropped, awaited, aborted, kept.
//!
//! The climb from an expression outwards ends at the construct that decides; a name is followed through the rest of its block.
//! Where nothing decides, the value is taken to be kept.

use crate::shape::{bound_name, called_name, contains, is_name, last_segment};
use asupersync_source::load::SourceFile;
use asupersync_source::macros::MacroBody;
use asupersync_source::walk::{Cursor, Node, bare};
use std::ptr;
use syn::visit::{self, Visit};
use syn::{Expr, Pat, Stmt};

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

/// What becomes of what an expression yields in the end: behind `.await`, `?`, `unwrap` and the like.
pub(crate) fn of_output(cursor: &Cursor<'_, '_>, expr: &Expr) -> Fate {
    let mut nodes = cursor.ancestors().peekable();
    let mut child = expr;
    while let Some(Node::Expr(parent)) = nodes.peek() {
        let transparent = match parent {
            Expr::Await(_) | Expr::Try(_) | Expr::Paren(_) => true,
            Expr::MethodCall(call) => {
                ptr::eq(&*call.receiver, child)
                    && UNWRAPS.contains(&call.method.to_string().as_str())
            }
            _ => false,
        };
        if !transparent {
            break;
        }
        child = parent;
        nodes.next();
    }
    climb(cursor, child, nodes)
}

/// Whether a value goes unseen where it stands: `let _ = value;`, `value.ok();`, `value;`, `drop(value)`. A value that is unwrapped is
/// looked at. `around` are the nodes around it, innermost first.
pub(crate) fn thrown_away(around: &[Node<'_>], value: &Expr) -> bool {
    let mut nodes = around.iter().peekable();
    if let Some(Node::Expr(Expr::MethodCall(call))) = nodes.peek()
        && call.method == "ok"
        && ptr::eq(&*call.receiver, value)
    {
        nodes.next();
    }
    match nodes.next() {
        Some(Node::Stmt { stmts, at }) => match &stmts[*at] {
            Stmt::Local(local) => matches!(local.pat, Pat::Wild(_)),
            Stmt::Expr(_, semicolon) => semicolon.is_some(),
            _ => false,
        },
        Some(Node::Expr(Expr::Assign(assign))) => matches!(*assign.left, Expr::Infer(_)),
        Some(Node::Expr(call @ Expr::Call(_))) => called_name(call).as_deref() == Some("drop"),
        _ => false,
    }
}

/// Methods that take a value out of its `Result` or `Option`, or only change the error.
const UNWRAPS: &[&str] = &[
    "unwrap",
    "expect",
    "map_err",
    "context",
    "with_context",
    "ok_or",
];

pub(crate) fn of_macro(cursor: &Cursor<'_, '_>, call: &syn::Macro) -> Fate {
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
pub(crate) fn of_function_value(cursor: &Cursor<'_, '_>, expr: &Expr) -> Fate {
    match cursor.ancestors().next() {
        Some(Node::Expr(Expr::MethodCall(call)))
            if call.method == "for_each" && call.args.iter().any(|arg| ptr::eq(arg, expr)) =>
        {
            Fate::Dropped("for_each")
        }
        // `let start = tokio::spawn; start(work());`
        Some(Node::Stmt { stmts, at }) => match &stmts[at] {
            Stmt::Local(local) if drops_a_call(local, expr, &stmts[at + 1..]) => {
                Fate::Dropped("statement")
            }
            _ => Fate::Kept,
        },
        _ => Fate::Kept,
    }
}

/// Whether a statement behind a `let` calls the function that it binds and lets go of the value.
fn drops_a_call(local: &syn::Local, function: &Expr, rest: &[Stmt]) -> bool {
    let (Some(name), Some(init)) = (bound_name(&local.pat), &local.init) else {
        return false;
    };
    let is_bound = ptr::eq(bare(&init.expr), function);
    let drops = |stmt: &Stmt| match stmt {
        Stmt::Expr(Expr::Call(call), Some(_)) => is_name(&call.func, &name),
        _ => false,
    };
    is_bound && rest.iter().any(drops)
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
                    // The last one is the block's value. One before others is an `if` or `match`, whose value would have to be
                    // `()` if those others were always there: they are behind a `cfg`, and without them it is the last one.
                    Stmt::Expr(_, None) => return after_block(cursor, nodes),
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
        // `let Ok(permit) = .. else { .. }`
        Pat::TupleStruct(wrapped)
            if wrapped.elems.len() == 1
                && matches!(last_segment(&wrapped.path).as_str(), "Ok" | "Some") =>
        {
            element_pattern(&wrapped.elems[0], None, child)
        }
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
