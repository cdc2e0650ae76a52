//! AS204 `cancel_unsafe_timeout`: work lost when the time is up.

use super::{Ask, Heard, Rule, Verdict};
use crate::facts::{Loss, TIMEOUTS, operation_at, operations_with};
use crate::finding::Level;
use crate::site::Site;

pub(super) static RULE: Rule = Rule {
    code: "AS204",
    name: "cancel_unsafe_timeout",
    level: Level::Warn,
    heard: Heard::OutsideTests,
    summary: "the operations of AS201 and AS202 inside `timeout`",
    what: "Flags operations that lose work or a message when dropped, inside the future given to a timeout. Where the same block opens the stream and nothing names it afterwards, it is given up with what was lost, and the call is left alone.",
    why: "When the time is up the future is dropped half done, as in a `select!`; a caller that goes on with the same stream or channel is out of step.",
    example: r#"use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

async fn header(stream: &mut tokio::net::TcpStream) -> Option<[u8; 16]> {
    let mut header = [0; 16];
    match timeout(Duration::from_secs(1), stream.read_exact(&mut header)).await {
        Ok(Ok(_)) => Some(header),
        _ => None,
    }
}"#,
    instead: r#"use bytes::BytesMut;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

async fn more(stream: &mut tokio::net::TcpStream, buffer: &mut BytesMut) -> bool {
    matches!(timeout(Duration::from_secs(1), stream.read_buf(buffer)).await, Ok(Ok(1..)))
}"#,
    asks: &[Ask::Calls {
        watches: || operations_with(&[Loss::Partial, Loss::Message]),
        check,
    }],
};

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    let operation = operation_at(site.callee, &[Loss::Partial, Loss::Message])?;
    // The select rules say it already.
    if site.select().is_some() {
        return None;
    }
    let is_timeout = |expr: &syn::Expr| {
        site.cursor
            .callee(expr)
            .is_some_and(|callee| TIMEOUTS.contains(&callee.path.as_str()))
    };
    if !site.in_timeout(is_timeout) || site.is_given_up() {
        return None;
    }
    Some(Verdict {
        message: format!("`{}` under a timeout is not cancel safe", site.last_name()),
        label: "dropped half done when the time is up".to_owned(),
        why: operation.lost.to_owned(),
        help: format!(
            "give up the stream or channel on expiry, or {}",
            operation.instead
        ),
        fix: None,
    })
}
