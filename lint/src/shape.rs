//! Small questions about syntax, macro bodies included.

use asupersync_source::load::SourceFile;
use asupersync_source::macros::{MacroBody, is_select};
use asupersync_source::resolve::segments;
use asupersync_source::walk::bare;
use std::ptr;
use syn::visit::{self, Visit};
use syn::{Block, Expr, Pat, Stmt};

/// What a scan meets.
#[derive(Clone, Copy)]
pub(crate) enum Seen<'p> {
    Expr(&'p Expr),
    Macro(&'p syn::Macro),
}

/// How a scan goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Into,
    Over,
    Stop,
}

/// Shows every expression and macro call to `see`, outermost first and in source order; nested items are left out.
pub(crate) struct Scan<'p, 'f> {
    file: &'p SourceFile,
    see: &'f mut dyn FnMut(Seen<'p>) -> Step,
    stopped: bool,
}

impl<'p, 'f> Scan<'p, 'f> {
    pub(crate) fn new(file: &'p SourceFile, see: &'f mut dyn FnMut(Seen<'p>) -> Step) -> Self {
        Scan {
            file,
            see,
            stopped: false,
        }
    }

    fn body(&mut self, body: &'p MacroBody) {
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
            MacroBody::Items(_) | MacroBody::Definition(_) => {}
            MacroBody::Pieces(bodies) => bodies.iter().for_each(|body| self.body(body)),
        }
    }
}

impl<'p> Visit<'p> for Scan<'p, '_> {
    fn visit_expr(&mut self, expr: &'p Expr) {
        if self.stopped {
            return;
        }
        match (self.see)(Seen::Expr(expr)) {
            Step::Into => visit::visit_expr(self, expr),
            Step::Over => {}
            Step::Stop => self.stopped = true,
        }
    }

    fn visit_macro(&mut self, call: &'p syn::Macro) {
        if self.stopped {
            return;
        }
        match (self.see)(Seen::Macro(call)) {
            Step::Into => {
                if let Some(body) = self.file.macro_body(call) {
                    self.body(body);
                }
            }
            Step::Over => {}
            Step::Stop => self.stopped = true,
        }
    }

    fn visit_item(&mut self, _: &'p syn::Item) {}
}

/// Whether any expression or macro call that runs where it stands satisfies a question; code in closures and async blocks does
/// not run there.
fn any<'p>(
    file: &'p SourceFile,
    start: impl FnOnce(&mut Scan<'p, '_>),
    mut question: impl FnMut(Seen<'p>) -> bool,
) -> bool {
    let mut found = false;
    let mut see = |seen: Seen<'p>| {
        if let Seen::Expr(Expr::Closure(_) | Expr::Async(_)) = seen {
            return Step::Over;
        }
        if question(seen) {
            found = true;
            return Step::Stop;
        }
        Step::Into
    };
    start(&mut Scan::new(file, &mut see));
    found
}

/// See [`any`].
pub(crate) fn any_in_block<'p>(
    file: &'p SourceFile,
    block: &'p Block,
    question: impl FnMut(Seen<'p>) -> bool,
) -> bool {
    any(file, |scan| scan.visit_block(block), question)
}

/// See [`any`]; of an async block or closure, its inside.
pub(crate) fn any_in_expr<'p>(
    file: &'p SourceFile,
    expr: &'p Expr,
    question: impl FnMut(Seen<'p>) -> bool,
) -> bool {
    match bare(expr) {
        Expr::Async(block) => any_in_block(file, &block.block, question),
        Expr::Closure(closure) => any(file, |scan| scan.visit_expr(&closure.body), question),
        _ => any(file, |scan| scan.visit_expr(expr), question),
    }
}

/// See [`any`].
pub(crate) fn any_in_stmts<'p>(
    file: &'p SourceFile,
    stmts: &'p [Stmt],
    question: impl FnMut(Seen<'p>) -> bool,
) -> bool {
    any(
        file,
        |scan| stmts.iter().for_each(|stmt| scan.visit_stmt(stmt)),
        question,
    )
}

/// Whether the code may be suspended here: an `.await`, or a macro that holds one.
pub(crate) fn suspends(seen: Seen<'_>) -> bool {
    match seen {
        Seen::Expr(Expr::Await(_)) => true,
        Seen::Expr(_) => false,
        Seen::Macro(call) => {
            let name = last_segment(&call.path);
            is_select(&name)
                || matches!(name.as_str(), "join" | "try_join" | "race")
                || names_word(call, "await")
                || names_word(call, "yield")
        }
    }
}

/// Macros that certainly do not suspend.
const PLAIN: &[&str] = &[
    "print",
    "println",
    "eprint",
    "eprintln",
    "format",
    "vec",
    "write",
    "writeln",
    "matches",
    "dbg",
    "assert",
    "assert_eq",
    "assert_ne",
    "debug_assert",
    "debug_assert_eq",
    "panic",
    "unreachable",
    "todo",
    "unimplemented",
    "bail",
    "anyhow",
    "ensure",
    "log",
    "trace",
    "debug",
    "info",
    "warn",
    "error",
    "json",
    "concat",
    "env",
    "include_str",
];

/// Whether the code suspends here, or calls a macro of which that is not known: `pending!()`, `ready!(..)`, one of the project's own.
pub(crate) fn may_suspend(seen: Seen<'_>) -> bool {
    match seen {
        Seen::Macro(call) => suspends(seen) || !PLAIN.contains(&last_segment(&call.path).as_str()),
        Seen::Expr(_) => suspends(seen),
    }
}

/// Whether a word stands among a macro call's tokens.
pub(crate) fn names_word(call: &syn::Macro, word: &str) -> bool {
    call.tokens
        .to_string()
        .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .any(|found| found == word)
}

/// Whether an expression names a variable, macros included.
pub(crate) fn mentions(file: &SourceFile, expr: &Expr, name: &str) -> bool {
    let mut found = false;
    let mut see = |seen: Seen<'_>| {
        found |= match seen {
            Seen::Expr(expr) => is_name(expr, name),
            // Format strings name variables too.
            Seen::Macro(call) => names_word(call, name),
        };
        if found { Step::Stop } else { Step::Into }
    };
    Scan::new(file, &mut see).visit_expr(expr);
    found
}

/// Whether an expression is a variable of this name.
pub(crate) fn is_name(expr: &Expr, name: &str) -> bool {
    matches!(bare(expr), Expr::Path(path) if path.path.is_ident(name))
}

/// The name of a variable, if that is all the expression is.
pub(crate) fn name_of(expr: &Expr) -> Option<String> {
    match bare(expr) {
        Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
        _ => None,
    }
}

pub(crate) fn last_segment(path: &syn::Path) -> String {
    segments(path).pop().unwrap_or_default()
}

/// The last name of what a call calls.
pub(crate) fn called_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Call(call) => match bare(&call.func) {
            Expr::Path(path) => Some(last_segment(&path.path)),
            _ => None,
        },
        Expr::MethodCall(call) => Some(call.method.to_string()),
        _ => None,
    }
}

pub(crate) fn bound_name(pat: &Pat) -> Option<String> {
    match pat {
        Pat::Ident(ident) => Some(ident.ident.to_string()),
        Pat::Type(typed) => bound_name(&typed.pat),
        _ => None,
    }
}

/// Every name a pattern binds.
pub(crate) fn names_in(pat: &Pat) -> Vec<String> {
    struct Names(Vec<String>);
    impl<'ast> Visit<'ast> for Names {
        fn visit_pat_ident(&mut self, ident: &'ast syn::PatIdent) {
            self.0.push(ident.ident.to_string());
        }
    }
    let mut names = Names(Vec::new());
    names.visit_pat(pat);
    names.0
}

/// A call that hands its argument to a runtime or another thread.
pub(crate) fn is_spawn_like(expr: &Expr) -> bool {
    called_name(expr).is_some_and(|name| {
        name.contains("spawn") || name == "block_on" || name.contains("unblock")
    })
}

/// Whether an expression is part of another.
pub(crate) fn contains(tree: &Expr, wanted: &Expr) -> bool {
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

/// Whether control never comes out of the end of an expression: `return`, `break`, a panic, or a block that ends so.
pub(crate) fn leaves(expr: &Expr) -> bool {
    match bare(expr) {
        Expr::Return(_) | Expr::Break(_) | Expr::Continue(_) => true,
        Expr::Block(block) => block_leaves(&block.block),
        Expr::If(branch) => {
            block_leaves(&branch.then_branch)
                && branch
                    .else_branch
                    .as_ref()
                    .is_some_and(|(_, otherwise)| leaves(otherwise))
        }
        Expr::Match(switch) => {
            !switch.arms.is_empty() && switch.arms.iter().all(|arm| leaves(&arm.body))
        }
        Expr::Macro(call) => is_panic(&call.mac),
        Expr::Call(_) => {
            called_name(bare(expr)).is_some_and(|name| name == "exit" || name == "abort")
        }
        _ => false,
    }
}

fn block_leaves(block: &Block) -> bool {
    block.stmts.iter().any(|stmt| match stmt {
        Stmt::Expr(expr, _) => leaves(expr),
        Stmt::Macro(call) => is_panic(&call.mac),
        _ => false,
    })
}

/// The blanks before the code of the line that holds an offset.
pub(crate) fn indent(file: &SourceFile, offset: usize) -> &str {
    let start = file
        .line_start(file.line_column(offset).0)
        .unwrap_or(offset);
    let line = &file.text[start..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// A macro that panics, always.
pub(crate) fn is_panic(call: &syn::Macro) -> bool {
    matches!(
        last_segment(&call.path).as_str(),
        "panic" | "unreachable" | "unimplemented" | "todo" | "bail"
    )
}
