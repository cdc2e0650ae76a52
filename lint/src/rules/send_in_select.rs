//! AS202 `send_in_select`: a message lost when another branch wins.

use super::{Ask, Rule, Verdict};
use crate::facts::{Loss, operation_at, operations_with};
use crate::finding::Level;
use crate::site::Site;

pub(super) static RULE: Rule = Rule {
    code: "AS202",
    name: "send_in_select",
    level: Level::Deny,
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
        fix: None,
    })
}
