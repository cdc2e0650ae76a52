//! AS209 `unsafe_cleanup_await`: a wait in a cleanup that the cancellation cuts off.

use super::cancel_swallowed::is_cancelled;
use super::{Ask, Heard, Rule, Verdict};
use crate::finding::{Fix, Level};
use crate::point::{Flag, Point};
use crate::shape::{Scan, Seen, Step, name_of};
use asupersync_source::edit::Edit;
use asupersync_source::walk::bare;
use syn::visit::Visit;
use syn::{Block, Expr, Stmt};

pub(super) static RULE: Rule = Rule {
    code: "AS209",
    name: "unsafe_cleanup_await",
    level: Level::Warn,
    heard: Heard::Everywhere,
    summary: "a wait with the cancelled context in an arm for `Cancelled`",
    what: "Flags, in an arm for this runtime's `Cancelled`, an await of a call that is given the plain context. Calls given `cx.cleanup()` are left alone, and so are arms in which a mask is held.",
    why: "The context was asked to cancel: every wait with it fails at once with `Cancelled`. The last message is not sent, the connection not closed; and the code looks as if it were.",
    example: r#"use asupersync::{Cancelled, Cx};
use asupersync::channel::mpsc::Sender;
use std::time::Duration;

async fn work(cx: &Cx, tx: &Sender<&'static str>) -> Result<(), Cancelled> {
    if let Err(cancelled) = cx.sleep(Duration::from_secs(1)).await {
        let _ = tx.send(cx, "goodbye").await;
        return Err(cancelled);
    }
    Ok(())
}"#,
    instead: r#"use asupersync::{Cancelled, Cx};
use asupersync::channel::mpsc::Sender;
use std::time::Duration;

async fn work(cx: &Cx, tx: &Sender<&'static str>) -> Result<(), Cancelled> {
    if let Err(cancelled) = cx.sleep(Duration::from_secs(1)).await {
        let _ = tx.send(cx.cleanup(), "goodbye").await;
        return Err(cancelled);
    }
    Ok(())
}"#,
    asks: &[Ask::Points(check)],
};

fn check(point: &Point<'_, '_, '_>) -> Vec<Flag> {
    let mut found = Vec::new();
    match point.expr() {
        Some(Expr::Match(switch)) => {
            for arm in &switch.arms {
                if is_cancelled(point, &arm.pat, &switch.expr) {
                    in_expr(point, &arm.body, &mut found);
                }
            }
        }
        Some(Expr::If(branch)) => {
            if let Expr::Let(condition) = bare(&branch.cond)
                && is_cancelled(point, &condition.pat, &condition.expr)
            {
                in_block(point, &branch.then_branch, &mut found);
            }
        }
        _ => {}
    }
    found
}

fn in_block(point: &Point<'_, '_, '_>, block: &Block, found: &mut Vec<Flag>) {
    for stmt in &block.stmts {
        match stmt {
            Stmt::Expr(expr, _) => in_expr(point, expr, found),
            Stmt::Local(local) => {
                let Some(init) = &local.init else { continue };
                // From here on checkpoints pass.
                if matches!(bare(&init.expr), Expr::MethodCall(call) if call.method == "mask") {
                    return;
                }
                in_expr(point, &init.expr, found);
            }
            Stmt::Item(_) | Stmt::Macro(_) => {}
        }
    }
}

fn in_expr(point: &Point<'_, '_, '_>, body: &Expr, found: &mut Vec<Flag>) {
    if let Expr::Block(block) = bare(body) {
        in_block(point, &block.block, found);
        return;
    }
    let mut see = |seen: Seen<'_>| {
        match seen {
            Seen::Expr(Expr::Closure(_) | Expr::Async(_)) => return Step::Over,
            Seen::Expr(Expr::Await(wait)) => {
                if let Some(context) = plain_context(point, bare(&wait.base)) {
                    found.push(flag(point, context));
                }
            }
            Seen::Expr(_) => {}
            Seen::Macro(_) => return Step::Over,
        }
        Step::Into
    };
    Scan::new(point.file(), &mut see).visit_expr(body);
}

/// The context a call is given, or called on, where that is the plain variable.
fn plain_context<'e>(point: &Point<'_, '_, '_>, call: &'e Expr) -> Option<&'e Expr> {
    let is_context = |expr: &Expr| {
        let name = name_of(strip(expr));
        name.is_some_and(|name| {
            point
                .cursor
                .local(&name)
                .is_some_and(|ty| matches!(ty.path(), Some("asupersync::Cx" | "asupersync::Scope")))
        })
    };
    match call {
        Expr::MethodCall(method) if is_context(&method.receiver) => {
            // Waiting for the cancellation itself is no cleanup.
            (method.method != "cancelled").then_some(&*method.receiver)
        }
        Expr::MethodCall(method) => method.args.iter().find(|argument| is_context(argument)),
        Expr::Call(call) => call.args.iter().find(|argument| is_context(argument)),
        _ => None,
    }
}

fn strip(expr: &Expr) -> &Expr {
    match bare(expr) {
        Expr::Reference(reference) => strip(&reference.expr),
        other => other,
    }
}

fn flag(point: &Point<'_, '_, '_>, context: &Expr) -> Flag {
    let range = point.file().range(context);
    let name = point.file().range(strip(context));
    let text = point.file().text[name].to_owned();
    Flag {
        verdict: Verdict {
            message: "a cleanup waits with the context that was cancelled".to_owned(),
            label: "fails at once".to_owned(),
            why: "a wait with a cancelled context returns `Cancelled` without waiting, so this part of the cleanup does not happen"
                .to_owned(),
            help: format!("wait through `{text}.cleanup()`, or hold a `mask` meanwhile"),
            fix: Some(Fix::maybe([Edit::replace(
                range.clone(),
                format!("{text}.cleanup()"),
            )])),
        },
        range,
    }
}
