//! AS205 `cancel_unsafe_transitive`: a function that loses work when another branch wins.

use super::{Ask, Heard, Rule, Verdict};
use crate::facts::CANCEL_UNSAFE;
use crate::finding::Level;
use crate::shape::{bound_name, leaves, name_of};
use crate::site::{Site, Subject};
use asupersync_source::macros::MacroBody;
use asupersync_source::walk::{Node, bare};
use syn::{Expr, FnArg};

pub(super) static RULE: Rule = Rule {
    code: "AS205",
    name: "cancel_unsafe_transitive",
    level: Level::Warn,
    heard: Heard::OutsideTests,
    summary: "a `select!` branch that calls a function in which an operation of AS201 or AS202 is awaited",
    what: "Flags a call, in the future of a `select!` branch, of a function of the linted crates that awaits an operation that is not cancel safe, itself or through other functions. Where every other branch leaves for good - `return`, `break` - nothing reads the stream or sends again afterwards, and the call is left alone.",
    why: "The function's name does not tell, but what AS201 and AS202 say of the operation holds for it too: when another branch wins, the bytes read so far or the message are lost.",
    example: r#"use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

async fn header(stream: &mut TcpStream) -> std::io::Result<[u8; 4]> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await?;
    Ok(header)
}
async fn pump(mut stream: TcpStream, mut ticks: tokio::time::Interval) {
    loop {
        tokio::select! {
            read = header(&mut stream) => drop(read),
            _ = ticks.tick() => println!("still here"),
        }
    }
}"#,
    instead: r#"use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

async fn more(stream: &mut TcpStream, buffer: &mut BytesMut) -> std::io::Result<usize> {
    stream.read_buf(buffer).await
}
async fn pump(mut stream: TcpStream, mut ticks: tokio::time::Interval) {
    let mut buffer = BytesMut::new();
    loop {
        tokio::select! {
            read = more(&mut stream, &mut buffer) => drop(read),
            _ = ticks.tick() => println!("still here"),
        }
    }
}"#,
    asks: &[Ask::Calls {
        watches: || vec![CANCEL_UNSAFE],
        check,
    }],
};

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    let call = site.select()?;
    let Some(MacroBody::Select(select)) = site.cursor.file().macro_body(call) else {
        return None;
    };
    let own = site.whole();
    let others = select.branches.iter().filter(|branch| {
        let future = site.cursor.file().range(&branch.future);
        !(future.start <= own.start && own.end <= future.end)
    });
    if others.clone().all(|branch| leaves(&branch.handler)) {
        return None;
    }
    // A future that owns all it works on takes it along; only in a loop is there a next one to miss what is lost.
    if !site.in_loop(call) && !borrows(site) {
        return None;
    }
    let (name, operation) = (site.last_name(), site.detail);
    Some(Verdict {
        message: format!("`{name}` in a `select!` branch is not cancel safe"),
        label: format!("awaits `{operation}`, and is dropped half done when another branch wins"),
        why: "what was read or was to be sent is lost with the future".to_owned(),
        help: format!(
            "keep the state outside of `{name}` so that it can be called again, or poll one future by reference: `&mut future`"
        ),
        fix: None,
    })
}

/// Whether the call works on something that stays behind: the receiver of a method, or what is passed by reference.
fn borrows(site: &Site<'_, '_, '_>) -> bool {
    match site.subject {
        Subject::Expr(Expr::MethodCall(_)) => true,
        Subject::Expr(Expr::Call(call)) => call.args.iter().any(|argument| match bare(argument) {
            Expr::Reference(_) => true,
            Expr::Path(_) => name_of(argument).is_some_and(|name| is_reference(site, &name)),
            _ => false,
        }),
        _ => false,
    }
}

/// Whether a variable is a parameter of a reference type.
fn is_reference(site: &Site<'_, '_, '_>, name: &str) -> bool {
    let function = site.cursor.ancestors().find_map(|node| match node {
        Node::Function { sig, .. } => Some(sig),
        _ => None,
    });
    function.is_some_and(|sig| {
        sig.inputs.iter().any(|input| match input {
            FnArg::Typed(typed) => {
                bound_name(&typed.pat).as_deref() == Some(name)
                    && matches!(*typed.ty, syn::Type::Reference(_))
            }
            FnArg::Receiver(_) => false,
        })
    })
}
