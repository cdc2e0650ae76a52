//! AS605 `ignored_outcome`: how a task ended, thrown away.

use super::{Ask, Heard, Rule, Verdict};
use crate::fate;
use crate::finding::Level;
use crate::point::{Flag, Point};
use crate::shape::{Scan, Seen, Step, is_name, name_of};
use asupersync_source::types::Ty;
use asupersync_source::walk::{Node, bare};
use syn::Expr;
use syn::visit::Visit;

pub(super) static RULE: Rule = Rule {
    code: "AS605",
    name: "ignored_outcome",
    level: Level::Warn,
    heard: Heard::OutsideTests,
    summary: "an `Outcome`, or what awaiting a task's handle says, thrown away",
    what: "Flags an await of a task's handle whose result is dropped: `let _ = handle.await`, `handle.await.ok();`, and the same of this runtime's `join`. A handle that was asked to stop with `abort` or `cancel` before is left alone: how it ends is known.",
    why: "The result is the only place where the task's panic, error or cancellation is told. Thrown away, a task that died is taken for one that finished.",
    example: r#"async fn run() {
    let task = tokio::spawn(work());
    let _ = task.await;
}
async fn work() {}"#,
    instead: r#"async fn run() {
    let task = tokio::spawn(work());
    if let Err(error) = task.await {
        eprintln!("the worker died: {error}");
    }
}
async fn work() {}"#,
    asks: &[Ask::Points(check)],
};

fn check(point: &Point<'_, '_, '_>) -> Vec<Flag> {
    let Some(expr @ Expr::Await(wait)) = point.expr() else {
        return Vec::new();
    };
    // Asked first: it is a look at the parent, and a type is a longer question.
    let around: Vec<Node<'_>> = point.cursor.ancestors().collect();
    if !fate::thrown_away(&around, expr) {
        return Vec::new();
    }
    let base = bare(&wait.base);
    let handle = match base {
        Expr::MethodCall(call) if call.method == "join" => bare(&call.receiver),
        other => strip(other),
    };
    let ty = point.cursor.type_of(handle);
    let task = match ty.path() {
        Some("tokio::task::JoinHandle") => {
            !matches!(base, Expr::MethodCall(call) if call.method == "join")
        }
        Some("asupersync::TaskHandle") => true,
        _ => false,
    };
    if !task || asked_to_stop(point, handle) {
        return Vec::new();
    }
    let what = match &ty {
        Ty::Path { path, .. } if path.starts_with("asupersync") => "outcome",
        _ => "result",
    };
    vec![Flag {
        range: point.file().range(base),
        verdict: Verdict {
            message: format!("the {what} of a task is thrown away"),
            label: "a panic or error of the task is told here and nowhere else".to_owned(),
            why: "a task that died is taken for one that finished".to_owned(),
            help: "look at it: pass the error on, or log it".to_owned(),
            fix: None,
        },
    }]
}

fn strip(expr: &Expr) -> &Expr {
    match bare(expr) {
        Expr::Reference(reference) => strip(&reference.expr),
        other => other,
    }
}

/// Whether the same function asks the task to stop before it waits for it.
fn asked_to_stop(point: &Point<'_, '_, '_>, handle: &Expr) -> bool {
    let file = point.file();
    let own = &file.text[file.range(handle)];
    let name = name_of(handle);
    let until = file.range(handle).start;
    let body = point.cursor.ancestors().find_map(|node| match node {
        Node::Function { block, .. } => Some(block),
        _ => None,
    });
    let Some(body) = body else { return false };
    let mut asked = false;
    let mut see = |seen: Seen<'_>| {
        if let Seen::Expr(Expr::MethodCall(call)) = seen
            && matches!(call.method.to_string().as_str(), "abort" | "cancel")
            && file.range(&call.method).start < until
        {
            let receiver = bare(&call.receiver);
            asked |= match &name {
                Some(name) => is_name(receiver, name),
                None => &file.text[file.range(receiver)] == own,
            };
            // `token.cancel()`, `abort_handle.abort()`: asked in another way.
            asked |= matches!(receiver, Expr::Path(_) | Expr::Field(_));
        }
        Step::Into
    };
    Scan::new(file, &mut see).visit_block(body);
    asked
}
