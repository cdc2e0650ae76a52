//! AS106 `async_yields_handle`: an async block whose value still has to be awaited.

use super::{Ask, Heard, Recode, Rule, Verdict};
use crate::finding::Level;
use crate::point::{Flag, Point};
use asupersync_source::types::Ty;
use syn::{Expr, Stmt};

pub(super) static RULE: Rule = Rule {
    code: "AS106",
    name: "async_yields_handle",
    level: Level::Warn,
    heard: Heard::OutsideTests,
    summary: "an async block whose value is a handle or another future",
    what: "Flags an async block or closure that ends in a task's handle or in a future, without awaiting it. This is `clippy::async_yields_async`; where the compiler does not look, tails of known type are found.",
    why: "Awaiting the block yields the handle, not the task's result; whoever takes that for the end of the work drops the handle and detaches the task, or drops a future that never ran.",
    example: r#"async fn start() {
    let both = async { tokio::spawn(work()) };
    let _done = both.await;
}
async fn work() {}"#,
    instead: r#"async fn start() {
    let both = async { tokio::spawn(work()).await };
    let _done = both.await;
}
async fn work() {}"#,
    asks: &[Ask::Lint {
        name: "clippy::async_yields_async",
        recode: Recode::All {
            verdict: |_| verdict(),
            fix: |_, _| None,
            yields_to: &[],
        },
        alone,
    }],
};

fn verdict() -> Verdict {
    Verdict {
        message: "an async block yields what still has to be awaited".to_owned(),
        label: "a handle or future, not its result".to_owned(),
        why: "awaiting the block does not wait for this; dropped, a handle detaches its task and a future never runs"
            .to_owned(),
        help: "await it in the block, or let the caller have it without the block".to_owned(),
        fix: None,
    }
}

fn alone(point: &Point<'_, '_, '_>) -> Vec<Flag> {
    let Some(Expr::Async(block)) = point.expr() else {
        return Vec::new();
    };
    // Only a lone tail can be told: the block's own variables are not in scope here.
    let [Stmt::Expr(tail, None)] = block.block.stmts.as_slice() else {
        return Vec::new();
    };
    let awaitable = match point.cursor.type_of(tail) {
        Ty::Future(_) => true,
        Ty::Path { path, .. } => path == "tokio::task::JoinHandle",
        _ => false,
    };
    if !awaitable {
        return Vec::new();
    }
    vec![Flag {
        range: point.file().range(tail),
        verdict: verdict(),
    }]
}
