//! AS303 `sleep_poll_loop`: asking again and again instead of waiting to be told.

use super::{Ask, Heard, Rule, Verdict};
use crate::finding::Level;
use crate::shape::{any_in_expr, called_name, leaves, suspends};
use crate::site::{Site, Subject};
use asupersync_source::load::SourceFile;
use asupersync_source::walk::{Node, bare};
use syn::{Block, Expr, Stmt};

pub(super) static RULE: Rule = Rule {
    code: "AS303",
    name: "sleep_poll_loop",
    level: Level::Warn,
    heard: Heard::OutsideTests,
    summary: "a loop that sleeps until a condition holds",
    what: "Flags a loop that does nothing but look at a condition and sleep: `while !ready() { sleep(..).await }`, or a `loop` with an `if ready() { break }`. Loops that do work between the sleeps, or await an attempt, are left alone, and so are conditions about time, processes and files, of which nobody can tell.",
    why: "The wait is as long as the sleep at least, however soon the condition holds, and the task is woken for nothing in the meantime. Under virtual time each sleep is a step of every run.",
    example: r#"use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

async fn wait(ready: &AtomicBool) {
    while !ready.load(Ordering::Acquire) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}"#,
    instead: r#"async fn wait(ready: &mut tokio::sync::watch::Receiver<bool>) {
    let _ = ready.wait_for(|ready| *ready).await;
}"#,
    asks: &[Ask::Calls {
        watches: || {
            vec![
                "tokio::time::sleep",
                "async_std::task::sleep",
                "std::thread::sleep",
                "asupersync::Cx::sleep",
            ]
        },
        check,
    }],
};

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    let Subject::Expr(sleep) = site.subject else {
        return None;
    };
    let file = site.cursor.file();
    let lap = site.cursor.ancestors().find_map(|node| match node {
        Node::Expr(expr @ (Expr::Loop(_) | Expr::While(_) | Expr::ForLoop(_))) => Some(Some(expr)),
        Node::Function { .. }
        | Node::Expr(Expr::Async(_) | Expr::Closure(_))
        | Node::SelectFuture { .. }
        | Node::Item(_) => Some(None),
        _ => None,
    })??;
    let (condition, body) = match lap {
        Expr::While(lap) if !is_true(&lap.cond) => (Some(&*lap.cond), &lap.body),
        Expr::While(lap) => (None, &lap.body),
        Expr::Loop(lap) => (None, &lap.body),
        _ => return None,
    };
    let by_condition = condition.is_some_and(|condition| is_told_of(file, condition));
    if condition.is_some() && !by_condition {
        return None;
    }
    if !only_waits(file, body, sleep, by_condition) {
        return None;
    }
    Some(Verdict {
        message: "a loop sleeps until a condition holds".to_owned(),
        label: "looks again only after the whole sleep".to_owned(),
        why: "the wait is as long as the sleep, however soon the condition holds".to_owned(),
        help: "let whoever changes the state tell: a `Notify`, a `watch` or `oneshot` channel"
            .to_owned(),
        fix: None,
    })
}

fn is_true(expr: &Expr) -> bool {
    matches!(bare(expr), Expr::Lit(syn::ExprLit { lit: syn::Lit::Bool(value), .. }) if value.value)
}

/// Words of conditions of which nobody can tell, or which are no state at all.
const UNTOLD: &[&str] = &[
    "now",
    "elapsed",
    "deadline",
    "timeout",
    "try_wait",
    "exists",
    "is_file",
    "is_dir",
    "metadata",
    "kill",
    "connect",
    "attempt",
    "retries",
    "status",
    "spawn",
    "send",
    "next",
    "pop",
    "strong_count",
];

/// Whether a condition asks for state that whoever changes it could tell of.
fn is_told_of(file: &SourceFile, condition: &Expr) -> bool {
    if matches!(bare(condition), Expr::Let(_)) || any_in_expr(file, condition, suspends) {
        return false;
    }
    let text = &file.text[file.range(condition)];
    // A bare variable or comparison of two is a counter.
    text.contains('(') && !UNTOLD.iter().any(|word| text.contains(word))
}

/// Whether a body consists of the sleep, exits on a condition, counters and logging.
fn only_waits(file: &SourceFile, body: &Block, sleep: &Expr, mut exits: bool) -> bool {
    let asleep = file.range(sleep);
    for stmt in &body.stmts {
        let range = file.range(stmt);
        if range.start <= asleep.start && asleep.end <= range.end {
            // The sleep stands alone, not in a match or an `if`.
            match stmt {
                Stmt::Expr(expr, _) if is_plain_wait(expr) => continue,
                _ => return false,
            }
        }
        match stmt {
            Stmt::Macro(_) => {}
            Stmt::Expr(Expr::If(branch), _) if branch.else_branch.is_none() => {
                let out = branch
                    .then_branch
                    .stmts
                    .last()
                    .is_some_and(|last| match last {
                        Stmt::Expr(expr, _) => {
                            leaves(expr) && !matches!(bare(expr), Expr::Continue(_))
                        }
                        Stmt::Macro(_) => true,
                        _ => false,
                    });
                if !out || branch.then_branch.stmts.len() > 2 {
                    return false;
                }
                exits |= is_told_of(file, &branch.cond);
            }
            Stmt::Expr(Expr::Binary(_), _) => {}
            Stmt::Expr(Expr::Assign(assign), _)
                if matches!(bare(&assign.right), Expr::Binary(_) | Expr::Lit(_)) => {}
            _ => return false,
        }
    }
    exits
}

/// `sleep(..).await;`, with `?` or not; of std without the await.
fn is_plain_wait(expr: &Expr) -> bool {
    match bare(expr) {
        Expr::Await(wait) => is_plain_wait(&wait.base),
        Expr::Try(attempt) => is_plain_wait(&attempt.expr),
        call => called_name(call).is_some_and(|name| name == "sleep"),
    }
}
