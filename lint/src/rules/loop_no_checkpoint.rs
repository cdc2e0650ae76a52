//! AS308 `loop_no_checkpoint`: a loop in async code that nothing can stop.

use super::{Ask, Heard, Rule, Verdict};
use crate::finding::{Fix, Level};
use crate::point::{Flag, Point, context_in_scope};
use crate::shape::{
    Seen, any_in_block, any_in_expr, called_name, is_panic, last_segment, may_suspend, suspends,
};
use asupersync_source::edit::Edit;
use asupersync_source::walk::bare;
use syn::{Block, Expr, Stmt};

pub(super) static RULE: Rule = Rule {
    code: "AS308",
    name: "loop_no_checkpoint",
    level: Level::Warn,
    heard: Heard::OutsideTests,
    summary: "an endless loop, or a busy wait, in async code with no `.await` and no checkpoint",
    what: "Flags in async code a `loop` that neither awaits, nor asks for a checkpoint, nor has a way out; and a loop that does nothing but look at a condition until it holds.",
    why: "The executor gets its thread back only where code waits. Such a loop keeps the thread for ever: other tasks on it do not run, a cancellation is never seen, and if it waits for one of those tasks, it waits for ever.",
    example: r#"use std::sync::atomic::{AtomicBool, Ordering};

async fn wait(ready: &AtomicBool) {
    while !ready.load(Ordering::Acquire) {
        std::hint::spin_loop();
    }
}"#,
    instead: r#"use std::sync::atomic::{AtomicBool, Ordering};

async fn wait(ready: &AtomicBool) {
    while !ready.load(Ordering::Acquire) {
        tokio::task::yield_now().await;
    }
}"#,
    asks: &[Ask::Points(check)],
};

fn check(point: &Point<'_, '_, '_>) -> Vec<Flag> {
    let (body, keyword, endless) = match point.expr() {
        Some(Expr::Loop(lap)) => (&lap.body, "loop", endless(point, &lap.body)),
        Some(Expr::While(lap)) => {
            let waits = any_in_expr(point.file(), &lap.cond, suspends);
            let spins = does_nothing(&lap.body)
                && matches!(
                    bare(&lap.cond),
                    Expr::Unary(_) | Expr::MethodCall(_) | Expr::Binary(_)
                )
                && looks_at_state(point, &lap.cond);
            (&lap.body, "while", !waits && spins)
        }
        _ => return Vec::new(),
    };
    if !endless || !point.is_async() {
        return Vec::new();
    }
    let Some(expr) = point.expr() else {
        return Vec::new();
    };
    let start = label_end(point, expr);
    let inside = point.file().range(body).start + 1;
    let text = match context_in_scope(point.cursor) {
        Some(context) => format!(" if {context}.checkpoint().is_err() {{ break; }}"),
        None => " tokio::task::yield_now().await;".to_owned(),
    };
    vec![Flag {
        range: start..start + keyword.len(),
        verdict: Verdict {
            message: "a loop that keeps the executor's thread".to_owned(),
            label: "no await, no checkpoint, no way out".to_owned(),
            why: "no other task of this thread runs, and a request to cancel is never seen"
                .to_owned(),
            help: "wait for what is to come, or give way in every round: a checkpoint, `yield_now`"
                .to_owned(),
            fix: Some(Fix::maybe([Edit::insert(inside, text)])),
        },
    }]
}

/// Where the keyword stands, behind a label.
fn label_end(point: &Point<'_, '_, '_>, expr: &Expr) -> usize {
    let file = point.file();
    match expr {
        Expr::Loop(lap) => file.range(&lap.loop_token).start,
        Expr::While(lap) => file.range(&lap.while_token).start,
        other => file.range(other).start,
    }
}

/// Neither waits nor ends.
fn endless(point: &Point<'_, '_, '_>, body: &Block) -> bool {
    !any_in_block(point.file(), body, |seen| {
        may_suspend(seen)
            || match seen {
                Seen::Expr(expr) => {
                    matches!(
                        expr,
                        Expr::Break(_) | Expr::Return(_) | Expr::Try(_) | Expr::Yield(_)
                    ) || called_name(expr).is_some_and(|name| {
                        name.starts_with("checkpoint")
                            || matches!(name.as_str(), "exit" | "abort" | "unwrap" | "expect")
                    })
                }
                Seen::Macro(call) => {
                    is_panic(call) || last_segment(&call.path).starts_with("assert")
                }
            }
    })
}

/// Empty, or nothing but a hint to the processor or the system.
fn does_nothing(body: &Block) -> bool {
    body.stmts.iter().all(|stmt| match stmt {
        Stmt::Expr(expr, _) => called_name(bare(expr)).is_some_and(|name| {
            name == "spin_loop" || name == "spin_loop_hint" || name == "yield_now"
        }),
        _ => false,
    })
}

/// Whether a condition only looks: a call in it that advances something (`next`, `pop`, `step`) is the loop's work.
fn looks_at_state(point: &Point<'_, '_, '_>, condition: &Expr) -> bool {
    any_in_expr(point.file(), condition, |seen| match seen {
        Seen::Expr(expr) => called_name(expr).is_some_and(|name| {
            matches!(
                name.as_str(),
                "load"
                    | "is_finished"
                    | "is_complete"
                    | "is_empty"
                    | "len"
                    | "is_closed"
                    | "strong_count"
                    | "is_locked"
            )
        }),
        Seen::Macro(_) => false,
    })
}
