//! AS205 `cancel_unsafe_transitive`: a function that loses work when another branch wins.

use super::{Ask, Rule, Verdict};
use crate::facts::CANCEL_UNSAFE;
use crate::finding::Level;
use crate::shape::leaves;
use crate::site::Site;
use asupersync_source::macros::MacroBody;

pub(super) static RULE: Rule = Rule {
    code: "AS205",
    name: "cancel_unsafe_transitive",
    level: Level::Warn,
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
