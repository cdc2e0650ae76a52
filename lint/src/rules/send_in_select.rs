//! AS202 `send_in_select`: a message lost when another branch wins.

use super::{Ask, Heard, Rule, Verdict};
use crate::facts::{Loss, operation_at, operations_with};
use crate::finding::{Fix, Level};
use crate::site::{Site, Subject};
use asupersync_source::edit::Edit;
use asupersync_source::walk::{Node, bare};
use std::ptr;
use syn::{Expr, Pat};

pub(super) static RULE: Rule = Rule {
    code: "AS202",
    name: "send_in_select",
    level: Level::Deny,
    heard: Heard::Everywhere,
    summary: "a channel `send` in a `select!` branch (the message is lost)",
    what: "Flags the `send` of a bounded channel or sink in the future of a `select!` branch.",
    why: "The message belongs to the future. When another branch wins, the future is dropped and the message with it, without an error.",
    example: r#"async fn forward(tx: tokio::sync::mpsc::Sender<u32>, mut stop: tokio::sync::mpsc::Receiver<()>) {
    tokio::select! {
        sent = tx.send(1) => drop(sent),
        _ = stop.recv() => {}
    }
}"#,
    instead: r#"async fn forward(tx: tokio::sync::mpsc::Sender<u32>, mut stop: tokio::sync::mpsc::Receiver<()>) {
    tokio::select! {
        permit = tx.reserve() => {
            if let Ok(permit) = permit {
                permit.send(1);
            }
        }
        _ = stop.recv() => {}
    }
}"#,
    asks: &[Ask::Calls {
        watches: || operations_with(&[Loss::Message]),
        check,
    }],
};

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    let operation = operation_at(site.callee, &[Loss::Message])?;
    site.select()?;
    Some(Verdict {
        message: format!(
            "`{}` in a `select!` branch loses its message",
            site.last_name()
        ),
        label: "the message is dropped when another branch wins".to_owned(),
        why: operation.lost.to_owned(),
        help: operation.instead.to_owned(),
        fix: reserve_then_send(site),
    })
}

/// `sent = tx.send(value) => handler` becomes `permit = tx.reserve() => { let sent = permit.map(|permit| permit.send(value)); handler }`.
fn reserve_then_send(site: &Site<'_, '_, '_>) -> Option<Fix> {
    let Subject::Expr(expr @ Expr::MethodCall(call)) = site.subject else {
        return None;
    };
    let (select, branch) = site.cursor.ancestors().find_map(|node| match node {
        Node::SelectFuture { select, branch, .. } => Some((select, branch)),
        _ => None,
    })?;
    let branch = &select.branches[branch];
    // A pattern that may not match decides which branch runs.
    let plain = matches!(branch.pat, Pat::Ident(_) | Pat::Wild(_));
    let of_tokio = site.callee == "tokio::sync::mpsc::Sender::send";
    if !plain || !of_tokio || !ptr::eq(bare(&branch.future), expr) {
        return None;
    }
    let file = site.cursor.file();
    let text = |range: std::ops::Range<usize>| &file.text[range];
    let handler = file.range(&branch.handler);
    let from_method = file.range(&call.method).start..file.range(expr).end;
    let send = format!(
        "{{ let {} = permit.map(|permit| permit.send({})); ",
        text(file.range(&branch.pat)),
        text(file.range(call.args.first()?))
    );
    Some(Fix::maybe([
        Edit::replace(file.range(&branch.pat), "permit"),
        Edit::replace(from_method, "reserve()"),
        Edit::insert(handler.start, send),
        Edit::insert(handler.end, " }"),
    ]))
}
