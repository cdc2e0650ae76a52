//! AS201 `cancel_unsafe_select`: work lost when another branch wins.

use super::{Ask, Heard, Rule, Verdict};
use crate::facts::{Loss, operation_at, operations_with};
use crate::finding::{Fix, Level};
use crate::shape::{is_panic, name_of};
use crate::site::{Site, Subject};
use asupersync_source::edit::Edit;
use asupersync_source::macros::MacroBody;
use asupersync_source::walk::bare;
use syn::Expr;

pub(super) static RULE: Rule = Rule {
    code: "AS201",
    name: "cancel_unsafe_select",
    level: Level::Deny,
    heard: Heard::Everywhere,
    summary: "an operation that loses work when dropped (`read_exact`, `read_line`, `write_all`, ..) in a `select!` branch",
    what: "Flags operations that are not cancel safe in the future of a `select!` branch, directly, inside an async block, or bound to a name that the branch takes by value. Left alone is a stream that the same block opens and that nothing names afterwards, since it is given up with what was lost; and a `select!` whose other branches panic.",
    why: "`select!` drops the futures of the branches that lose. An operation that was half done then leaves bytes read and lost, or written and not accounted for, and the stream is out of step.",
    example: r#"use tokio::io::AsyncReadExt;

async fn pump(mut stream: tokio::net::TcpStream, mut stop: tokio::sync::mpsc::Receiver<()>) {
    let mut header = [0; 16];
    loop {
        tokio::select! {
            read = stream.read_exact(&mut header) => drop(read),
            _ = stop.recv() => println!("asked to stop"),
        }
    }
}"#,
    instead: r#"use bytes::BytesMut;
use tokio::io::AsyncReadExt;

async fn pump(mut stream: tokio::net::TcpStream, mut stop: tokio::sync::mpsc::Receiver<()>) {
    let mut buffer = BytesMut::with_capacity(4096);
    loop {
        tokio::select! {
            read = stream.read_buf(&mut buffer) => drop(read),
            _ = stop.recv() => println!("asked to stop"),
        }
    }
}"#,
    asks: &[Ask::Calls {
        watches: || operations_with(&[Loss::Partial]),
        check,
    }],
};

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    let operation = operation_at(site.callee, &[Loss::Partial])?;
    let call = site.select()?;
    if site.is_given_up() || others_panic(site, call) {
        return None;
    }
    let name = site.last_name();
    Some(Verdict {
        message: format!("`{name}` in a `select!` branch is not cancel safe"),
        label: "dropped half done when another branch wins".to_owned(),
        why: operation.lost.to_owned(),
        help: operation.instead.to_owned(),
        fix: write_all_buf(site),
    })
}

/// Whether no other branch goes on: a test that wants this one to win.
fn others_panic(site: &Site<'_, '_, '_>, call: &syn::Macro) -> bool {
    let file = site.cursor.file();
    let Some(MacroBody::Select(select)) = file.macro_body(call) else {
        return false;
    };
    let own = site.whole();
    let mut others = select.branches.iter().filter(|branch| {
        let future = file.range(&branch.future);
        !(future.start <= own.start && own.end <= future.end)
    });
    select.branches.len() > 1
        && others.all(
            |branch| matches!(bare(&branch.handler), Expr::Macro(panics) if is_panic(&panics.mac)),
        )
}

/// `write_all(&buffer)` becomes `write_all_buf(&mut buffer)`, which takes from the buffer what it has written.
fn write_all_buf(site: &Site<'_, '_, '_>) -> Option<Fix> {
    let Subject::Expr(Expr::MethodCall(call)) = site.subject else {
        return None;
    };
    let Expr::Reference(buffer) = call.args.first()? else {
        return None;
    };
    let name = name_of(&buffer.expr)?;
    if call.method != "write_all" {
        return None;
    }
    let file = site.cursor.file();
    Some(Fix::maybe([
        Edit::replace(file.range(&call.method), "write_all_buf"),
        Edit::replace(file.range(buffer), format!("&mut {name}")),
    ]))
}
