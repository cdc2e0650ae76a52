//! AS210 `cancel_swallowed`: a task that was asked to cancel and goes on.

use super::{Ask, Heard, Rule, Verdict};
use crate::fate;
use crate::finding::Level;
use crate::point::{Flag, Point};
use crate::shape::{Scan, Seen, Step, any_in_block, called_name, is_panic, last_segment, names_in};
use crate::site::{Site, Subject};
use asupersync_source::resolve::Namespace;
use asupersync_source::walk::{Node, bare};
use std::ops::Range;
use syn::visit::Visit;
use syn::{Expr, Pat, Stmt};

pub(super) static RULE: Rule = Rule {
    code: "AS210",
    name: "cancel_swallowed",
    level: Level::Deny,
    heard: Heard::Everywhere,
    summary: "an arm for `Cancelled` that returns `Ok`, makes up a value or goes round the loop again; a checkpoint whose answer is thrown away",
    what: "Flags, in a function that returns a `Result` or `Outcome`, an arm for this runtime's `Cancelled` that ends in `Ok`, in a constant in place of the value, or in the next round of a loop; and a `checkpoint`, or a `sleep` in a loop that nothing else ends, whose answer is dropped without a mask. Outcomes of other tasks are no concern of this rule, nor is `break`.",
    why: "The caller takes the value for a finished work and goes on, and the request to cancel is lost on the way up; in a loop, every further wait fails at once, and the task spins until its cleanup budget is spent.",
    example: r#"use asupersync::{Cancelled, Cx};
use asupersync::channel::mpsc::{Receiver, RecvError};

async fn total(cx: &Cx, numbers: &mut Receiver<u32>) -> Result<u32, Cancelled> {
    let mut total = 0;
    loop {
        match numbers.recv(cx).await {
            Ok(number) => total += number,
            Err(RecvError::Closed) => return Ok(total),
            Err(RecvError::Cancelled(_)) => return Ok(0),
        }
    }
}"#,
    instead: r#"use asupersync::{Cancelled, Cx};
use asupersync::channel::mpsc::{Receiver, RecvError};

async fn total(cx: &Cx, numbers: &mut Receiver<u32>) -> Result<u32, Cancelled> {
    let mut total = 0;
    loop {
        match numbers.recv(cx).await {
            Ok(number) => total += number,
            Err(RecvError::Closed) => return Ok(total),
            Err(RecvError::Cancelled(cancelled)) => return Err(cancelled),
        }
    }
}"#,
    asks: &[
        Ask::Points(arms),
        Ask::Calls {
            watches: || {
                vec![
                    "asupersync::Cx::checkpoint",
                    "asupersync::Cx::sleep",
                    "asupersync::Cx::sleep_until",
                ]
            },
            check: dropped,
        },
    ],
};

fn verdict(label: &str) -> Verdict {
    Verdict {
        message: "a request to cancel is swallowed".to_owned(),
        label: label.to_owned(),
        why: "callers take the result for finished work, and the task goes on although every wait now fails at once"
            .to_owned(),
        help: "clean up and pass the `Cancelled` on: `return Err(..)` or `?`".to_owned(),
        fix: None,
    }
}

fn dropped(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    let Subject::Expr(expr @ Expr::MethodCall(call)) = site.subject else {
        return None;
    };
    // Waits through the cleanup view do not fail.
    if called_name(bare(&call.receiver)).as_deref() == Some("cleanup") || in_deferred(site) {
        return None;
    }
    if masked(site) {
        return None;
    }
    let nodes: Vec<Node<'_>> = site.cursor.ancestors().collect();
    match (site.last_name(), nodes.as_slice()) {
        ("checkpoint", _) if fate::thrown_away(&nodes, expr) => {
            Some(verdict("asks whether to stop, and does not listen"))
        }
        ("sleep" | "sleep_until", [Node::Expr(wait @ Expr::Await(_)), outer @ ..])
            if fate::thrown_away(outer, wait) && spins(site) =>
        {
            Some(verdict(
                "when cancelled, returns at once in every further round",
            ))
        }
        _ => None,
    }
}

/// Whether the nearest loop has no way out but the sleep's own word: no condition that waits, no `?`, `break` or `return`.
fn spins(site: &Site<'_, '_, '_>) -> bool {
    for node in site.cursor.ancestors() {
        match node {
            Node::Expr(Expr::Loop(lap)) => {
                return !any_in_block(site.cursor.file(), &lap.body, |seen| {
                    matches!(
                        seen,
                        Seen::Expr(Expr::Try(_) | Expr::Break(_) | Expr::Return(_))
                    )
                });
            }
            Node::Expr(Expr::While(_) | Expr::ForLoop(_) | Expr::Closure(_) | Expr::Async(_))
            | Node::Function { .. }
            | Node::Item(_) => return false,
            _ => {}
        }
    }
    false
}

/// Whether a mask is held in the same block: the answer is meant not to be heeded.
fn masked(site: &Site<'_, '_, '_>) -> bool {
    site.cursor.ancestors().any(|node| match node {
        Node::Stmt { stmts, at } => stmts[..at].iter().any(|stmt| {
            matches!(
                stmt,
                Stmt::Local(local) if local.init.as_ref().is_some_and(
                    |init| called_name(bare(&init.expr)).as_deref() == Some("mask")
                )
            )
        }),
        _ => false,
    })
}

/// In a closure given to `defer_with` and the like, whose context is a cleanup view.
fn in_deferred(site: &Site<'_, '_, '_>) -> bool {
    site.cursor.ancestors().any(|node| {
        matches!(node, Node::Expr(Expr::MethodCall(call)) if call.method.to_string().starts_with("defer"))
    })
}

fn arms(point: &Point<'_, '_, '_>) -> Vec<Flag> {
    let mut found = Vec::new();
    match point.expr() {
        Some(Expr::Match(switch)) => {
            for arm in &switch.arms {
                if arm.guard.is_none() && is_cancelled(point, &arm.pat, &switch.expr) {
                    found.extend(judge(point, &arm.pat, &arm.body));
                }
            }
        }
        Some(Expr::If(branch)) => {
            if let Expr::Let(condition) = bare(&branch.cond)
                && is_cancelled(point, &condition.pat, &condition.expr)
                && let [.., Stmt::Expr(last, _)] = branch.then_branch.stmts.as_slice()
                && (is_ok(last) || matches!(bare(last), Expr::Return(_) | Expr::Continue(_)))
                && !branch
                    .then_branch
                    .stmts
                    .iter()
                    .any(|stmt| stmt_passes_on(point, stmt, &[]))
            {
                found.extend(judge(point, &condition.pat, last));
            }
        }
        _ => {}
    }
    found
}

/// Whether a pattern matches only this runtime's word for "this task was asked to cancel".
pub(super) fn is_cancelled(point: &Point<'_, '_, '_>, pat: &Pat, scrutinee: &Expr) -> bool {
    let own = |path: &syn::Path, namespace| {
        let names_it = last_segment(path) == "Cancelled";
        let resolved = if names_it {
            point.cursor.resolve(path, namespace)
        } else {
            None
        };
        resolved.is_some_and(|full| {
            full.starts_with("asupersync::")
                && ![
                    "Outcome::",
                    "OutcomeError::",
                    "CancelKind::",
                    "State::",
                    "Severity::",
                ]
                .iter()
                .any(|other| full.contains(other))
        })
    };
    match pat {
        Pat::TupleStruct(pattern) if own(&pattern.path, Namespace::Type) => true,
        Pat::TupleStruct(pattern)
            if last_segment(&pattern.path) == "Err" && pattern.elems.len() == 1 =>
        {
            let inner = &pattern.elems[0];
            match inner {
                Pat::Ident(_) | Pat::Wild(_) => {
                    let ty = point.cursor.type_of(scrutinee);
                    let error = ty.arguments().get(1).and_then(|error| error.path());
                    error == Some("asupersync::Cancelled")
                }
                _ => is_cancelled(point, inner, scrutinee),
            }
        }
        Pat::Struct(pattern) => own(&pattern.path, Namespace::Type),
        Pat::Path(pattern) => own(&pattern.path, Namespace::Type),
        Pat::Or(cases) => cases
            .cases
            .iter()
            .all(|case| is_cancelled(point, case, scrutinee)),
        Pat::Paren(inner) => is_cancelled(point, &inner.pat, scrutinee),
        _ => false,
    }
}

fn judge(point: &Point<'_, '_, '_>, pat: &Pat, body: &Expr) -> Option<Flag> {
    if !returns_result(point) {
        return None;
    }
    let names = names_in(pat);
    if passes_on(point, body, &names) {
        return None;
    }
    let label = swallows(point, body)?;
    Some(Flag {
        range: marked(point, body),
        verdict: verdict(label),
    })
}

/// The end of the arm, which is what to change.
fn marked(point: &Point<'_, '_, '_>, body: &Expr) -> Range<usize> {
    match last_of(body) {
        Some(last) => point.file().range(last),
        None => point.file().range(body),
    }
}

fn last_of(body: &Expr) -> Option<&Expr> {
    match bare(body) {
        Expr::Block(block) => match block.block.stmts.last()? {
            Stmt::Expr(last, _) => last_of(last),
            _ => None,
        },
        other => Some(other),
    }
}

/// How an arm that passes nothing on goes on.
fn swallows(point: &Point<'_, '_, '_>, body: &Expr) -> Option<&'static str> {
    let goes_round = "the loop goes round again, and the next wait fails at once";
    let Some(last) = last_of(body) else {
        // Empty, or nothing but a macro: log and go on.
        return in_own_loop(point).then_some(goes_round);
    };
    match last {
        Expr::Continue(_) => Some(goes_round),
        Expr::Return(back) => {
            let value = bare(back.expr.as_ref()?);
            (is_ok(value) || is_constant(value)).then_some("returned as if the work were done")
        }
        value if is_ok(value) => Some("passed on as if the work were done"),
        value if is_constant(value) => Some("made up in place of the value"),
        _ => None,
    }
}

/// Whether the `match` itself ends a round of a loop, so that falling out of it starts the next.
fn in_own_loop(point: &Point<'_, '_, '_>) -> bool {
    let mut nodes = point.cursor.ancestors();
    let Some(Node::Stmt { stmts, at }) = nodes.next() else {
        return false;
    };
    let last = at + 1 == stmts.len();
    last && matches!(nodes.next(), Some(Node::Expr(Expr::Loop(_))))
}

fn is_ok(expr: &Expr) -> bool {
    matches!(bare(expr), Expr::Call(_)) && called_name(bare(expr)).as_deref() == Some("Ok")
}

/// A literal, `None`, `Vec::new()`, `Default::default()`.
fn is_constant(expr: &Expr) -> bool {
    match bare(expr) {
        Expr::Lit(_) => true,
        Expr::Path(path) => path.path.is_ident("None"),
        Expr::Call(call) => {
            call.args.is_empty()
                && called_name(bare(expr)).is_some_and(|name| name == "new" || name == "default")
        }
        _ => false,
    }
}

/// Whether an arm hands the cancellation, or anything of what the pattern bound, to somebody.
fn passes_on(point: &Point<'_, '_, '_>, body: &Expr, names: &[String]) -> bool {
    let mut found = false;
    let mut see = |seen: Seen<'_>| {
        match seen {
            Seen::Expr(expr) => {
                found |= match expr {
                    Expr::Try(_) => true,
                    Expr::Path(path) => {
                        let last = last_segment(&path.path);
                        last == "Err" || last == "Cancelled" || names.contains(&last)
                    }
                    _ => called_name(expr).is_some_and(|name| name.starts_with("resume")),
                };
                if found { Step::Stop } else { Step::Into }
            }
            Seen::Macro(call) => {
                found |= is_panic(call);
                // Logging is not passing on.
                Step::Over
            }
        }
    };
    Scan::new(point.file(), &mut see).visit_expr(body);
    found
}

fn stmt_passes_on(point: &Point<'_, '_, '_>, stmt: &Stmt, names: &[String]) -> bool {
    match stmt {
        Stmt::Expr(expr, _) => passes_on(point, expr, names),
        Stmt::Macro(call) => is_panic(&call.mac),
        Stmt::Local(local) => local
            .init
            .as_ref()
            .is_some_and(|init| passes_on(point, &init.expr, names)),
        Stmt::Item(_) => false,
    }
}

/// Whether the code belongs to a function of a name that returns a `Result` or `Outcome`: one that could pass a cancellation on.
/// The body of a task may well end with a value.
fn returns_result(point: &Point<'_, '_, '_>) -> bool {
    for node in point.cursor.ancestors() {
        match node {
            Node::Function { sig, .. } => {
                return match &sig.output {
                    syn::ReturnType::Type(_, ty) => match &**ty {
                        syn::Type::Path(path) => path.path.segments.last().is_some_and(|last| {
                            let name = last.ident.to_string();
                            name.ends_with("Result") || name == "Outcome"
                        }),
                        _ => false,
                    },
                    syn::ReturnType::Default => false,
                };
            }
            Node::Expr(Expr::Closure(_) | Expr::Async(_)) | Node::Item(_) => return false,
            _ => {}
        }
    }
    false
}
