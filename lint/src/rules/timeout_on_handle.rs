//! AS105 `timeout_on_handle`: a timeout around a handle.

use super::{Ask, Heard, Rule, Verdict};
use crate::facts::TIMEOUTS;
use crate::finding::Level;
use crate::site::{Site, Subject};
use asupersync_source::walk::bare;
use syn::Expr;

pub(super) static RULE: Rule = Rule {
    code: "AS105",
    name: "timeout_on_handle",
    level: Level::Warn,
    heard: Heard::OutsideTests,
    summary: "`timeout(d, handle)`: the task outlives the timeout",
    what: "Flags a timeout around a task's handle, given by value or spawned in place.",
    why: "When the time is up the handle is dropped, not the task: it runs on, detached, while the caller believes that it was stopped.",
    example: r#"use std::time::Duration;
use tokio::time::timeout;

async fn fetch() {
    let _ = timeout(Duration::from_secs(1), tokio::spawn(work())).await;
}
async fn work() {}"#,
    instead: r#"use std::time::Duration;
use tokio::time::timeout;

async fn fetch() {
    let mut task = tokio::spawn(work());
    if timeout(Duration::from_secs(1), &mut task).await.is_err() {
        task.abort();
        let _ = task.await;
    }
}
async fn work() {}"#,
    asks: &[Ask::Calls {
        watches: || TIMEOUTS.to_vec(),
        check,
    }],
};

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    let Subject::Expr(Expr::Call(call)) = site.subject else {
        return None;
    };
    // A reference leaves the handle with its owner, who can still abort it.
    let guarded = bare(call.args.iter().nth(1)?);
    if matches!(guarded, Expr::Reference(_)) {
        return None;
    }
    let ty = site.cursor.type_of(guarded);
    if ty.path() != Some("tokio::task::JoinHandle") {
        return None;
    }
    Some(Verdict {
        message: "the task outlives the timeout on its handle".to_owned(),
        label: "drops the handle when the time is up".to_owned(),
        why: "dropping a `JoinHandle` detaches its task instead of stopping it".to_owned(),
        help: "put the timeout around the task's own future, or pass `&mut handle` and abort and await it on expiry"
            .to_owned(),
        fix: None,
    })
}
