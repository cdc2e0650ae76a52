//! AS107 `let_underscore_future`: a future dropped before it was ever polled.

use super::{Ask, Heard, Recode, Rule, Verdict};
use crate::finding::{Fix, Level};
use crate::point::{Flag, Point, What};
use asupersync_source::edit::Edit;
use asupersync_source::types::Ty;
use asupersync_source::walk::{Via, bare};
use syn::{Expr, Pat};

pub(super) static RULE: Rule = Rule {
    code: "AS107",
    name: "let_underscore_future",
    level: Level::Warn,
    heard: Heard::Everywhere,
    summary: "a future dropped without being polled: `let _ = work();`",
    what: "Flags `let _ =` of a future. This is `clippy::let_underscore_future`; where the compiler does not look, calls of known async functions are found. A task's handle so dropped is AS101's.",
    why: "A future does nothing until it is polled. `let _` drops it at once, so nothing of what it says happens, and the compiler's own warning is silenced.",
    example: r#"async fn stop() {
    let _ = flush();
}
async fn flush() {}"#,
    instead: r#"async fn stop() {
    flush().await;
}
async fn flush() {}"#,
    asks: &[
        Ask::Lint {
            name: "clippy::let_underscore_future",
            recode: Recode::All {
                verdict: |_| verdict(None),
                fix: |_, _| None,
                yields_to: &["AS101", "AS103", "AS104", "AS107"],
            },
            alone: |_| Vec::new(),
        },
        Ask::Points(find),
    ],
};

fn verdict(fix: Option<Fix>) -> Verdict {
    Verdict {
        message: "a future is dropped without being polled".to_owned(),
        label: "does nothing".to_owned(),
        why: "a future runs only when it is awaited; `let _` drops it at once".to_owned(),
        help: "await it, or leave the call out".to_owned(),
        fix,
    }
}

fn find(point: &Point<'_, '_, '_>) -> Vec<Flag> {
    let What::Local { local, .. } = point.what else {
        return Vec::new();
    };
    let (Pat::Wild(_), Some(init)) = (&local.pat, &local.init) else {
        return Vec::new();
    };
    let init = bare(&init.expr);
    // A variable or an async block is dropped on purpose; a call was meant to do something.
    let is_call = matches!(init, Expr::Call(_) | Expr::MethodCall(_));
    // `entry.send(..)` of an unknown type may be anything, whatever trait is in scope.
    let guess = point
        .cursor
        .callee(init)
        .is_none_or(|callee| callee.via == Via::TraitInScope);
    // One that is not `async` and returns a future may have done its work when it returns.
    let eager = point
        .cursor
        .callee(init)
        .and_then(|callee| point.cursor.index().function(&callee.path))
        .is_some_and(|function| function.sig.asyncness.is_none());
    if !is_call || guess || eager || !matches!(point.cursor.type_of(init), Ty::Future(_)) {
        return Vec::new();
    }
    let end = point.file().range(init).end;
    let fix = point
        .is_async()
        .then(|| Fix::maybe([Edit::insert(end, ".await")]));
    vec![Flag {
        range: point.file().range(local),
        verdict: verdict(fix),
    }]
}
