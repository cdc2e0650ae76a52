//! AS307 `scope_no_checkpoint`: a timeout or region around code that never waits.

use super::{Ask, Heard, Rule, Verdict};
use crate::facts::TIMEOUTS;
use crate::finding::Level;
use crate::shape::{Seen, any_in_expr, bound_name, called_name, is_name, suspends};
use crate::site::{Site, Subject};
use asupersync_source::walk::bare;
use syn::Expr;

pub(super) static RULE: Rule = Rule {
    code: "AS307",
    name: "scope_no_checkpoint",
    level: Level::Warn,
    heard: Heard::OutsideTests,
    summary: "a timeout or region whose body has no `.await`",
    what: "Flags a timeout around an async block or closure without an await, and a region whose body neither awaits, nor spawns, nor asks for a checkpoint.",
    why: "A timeout takes effect where the code waits. Code that never waits runs to its end however long that takes, and the timeout only looks as if it bounded it.",
    example: r#"use std::time::Duration;

async fn sum(numbers: Vec<u64>) -> Option<u64> {
    tokio::time::timeout(Duration::from_secs(1), async { numbers.iter().sum() }).await.ok()
}"#,
    instead: r#"use std::time::Duration;

async fn sum(numbers: Vec<u64>) -> Option<u64> {
    let sum = tokio::task::spawn_blocking(move || numbers.iter().sum());
    tokio::time::timeout(Duration::from_secs(1), async { sum.await.ok() }).await.ok().flatten()
}"#,
    asks: &[Ask::Calls {
        watches: || {
            let mut calls = TIMEOUTS.to_vec();
            calls.extend([
                "asupersync::Cx::timeout",
                "asupersync::Cx::timeout_drop",
                "asupersync::Cx::region",
                "asupersync::Cx::try_region",
            ]);
            calls
        },
        check,
    }],
};

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    let arguments = match site.subject {
        Subject::Expr(Expr::Call(call)) => &call.args,
        Subject::Expr(Expr::MethodCall(call)) => &call.args,
        _ => return None,
    };
    let body = bare(arguments.last()?);
    // `|scope| async move {..}` is an async block once called.
    let body = match body {
        Expr::Closure(closure) if closure.asyncness.is_none() => bare(&closure.body),
        Expr::Closure(_) | Expr::Async(_) => body,
        _ => return None,
    };
    if !matches!(body, Expr::Async(_) | Expr::Closure(_)) {
        return None;
    }
    // `|scope|`: what is asked of the region is what it is there for.
    let scope = match bare(arguments.last()?) {
        Expr::Closure(closure) => closure.inputs.first().and_then(bound_name),
        _ => None,
    };
    let file = site.cursor.file();
    let waits = any_in_expr(file, body, |seen| {
        let asks = match seen {
            Seen::Expr(expr) => {
                called_name(expr).is_some_and(|name| {
                    name.starts_with("checkpoint")
                        || name.contains("spawn")
                        || name.starts_with("defer")
                }) || matches!(
                    (expr, &scope),
                    (Expr::MethodCall(call), Some(scope)) if is_name(&call.receiver, scope)
                )
            }
            // What an unknown macro does is not known.
            Seen::Macro(call) => file.macro_body(call).is_none(),
        };
        asks || suspends(seen)
    });
    if waits {
        return None;
    }
    let name = site.last_name();
    Some(Verdict {
        message: format!("the body given to `{name}` never waits"),
        label: "takes effect nowhere".to_owned(),
        why: "a request to cancel is seen where code waits or asks for a checkpoint; this runs to its end"
            .to_owned(),
        help: format!("leave `{name}` out, move long work to `spawn_blocking`, or add checkpoints"),
        fix: None,
    })
}
