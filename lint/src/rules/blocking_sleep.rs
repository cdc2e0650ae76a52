//! AS401 `blocking_sleep`: a sleep that holds the executor.

use super::{Ask, Heard, Rule, Verdict};
use crate::facts::BLOCKING_SLEEPS;
use crate::finding::{Fix, Level};
use crate::point::is_async;
use crate::site::{Runs, Site, Subject};
use asupersync_source::edit::Edit;
use syn::Expr;

pub(super) static RULE: Rule = Rule {
    code: "AS401",
    name: "blocking_sleep",
    level: Level::Deny,
    heard: Heard::OutsideTests,
    summary: "`thread::sleep` in async code outside `spawn_blocking`",
    what: "Flags `std::thread::sleep` in an async function, block or closure, also in a closure that is called in place there. Closures that run elsewhere, such as that of `spawn_blocking`, are left alone.",
    why: "The sleep holds the executor's thread. Every other task of that worker waits with it, timers fire late and cancellation is not seen.",
    example: r#"use std::time::Duration;

async fn retry() {
    for _ in 0..3 {
        std::thread::sleep(Duration::from_secs(1));
    }
}"#,
    instead: r#"use asupersync::{Cancelled, Cx};
use std::time::Duration;

async fn retry(cx: &Cx) -> Result<(), Cancelled> {
    for _ in 0..3 {
        cx.sleep(Duration::from_secs(1)).await?;
    }
    Ok(())
}"#,
    asks: &[Ask::Calls {
        watches: || BLOCKING_SLEEPS.to_vec(),
        check,
    }],
};

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    if site.runs() != Runs::Async {
        return None;
    }
    Some(Verdict {
        message: "`thread::sleep` blocks the executor's thread".to_owned(),
        label: "sleeps in async code".to_owned(),
        why: "every other task on this thread waits too, and cancellation is not seen meanwhile"
            .to_owned(),
        help: "await the runtime's own sleep, or move the blocking work into `spawn_blocking`"
            .to_owned(),
        fix: awaited(site),
    })
}

/// tokio's own sleep in place of the thread's.
fn awaited(site: &Site<'_, '_, '_>) -> Option<Fix> {
    let Subject::Expr(Expr::Call(call)) = site.subject else {
        return None;
    };
    // In a closure there is nothing to await in.
    if site.callee != "std::thread::sleep" || !is_async(site.cursor) {
        return None;
    }
    let tokio = site.tokio()?;
    let end = site.whole().end;
    Some(Fix::maybe([
        Edit::replace(
            site.cursor.file().range(&call.func),
            format!("{tokio}::time::sleep"),
        ),
        Edit::insert(end, ".await"),
    ]))
}
