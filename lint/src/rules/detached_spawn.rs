//! AS101 `detached_spawn`: a spawn whose handle is dropped.

use super::{Ask, Rule, Verdict};
use crate::facts::SPAWNS;
use crate::fate::Fate;
use crate::finding::{Fix, Level};
use crate::point::context_in_scope;
use crate::site::{Site, Subject};
use asupersync_source::edit::Edit;
use asupersync_source::walk::bare;
use syn::Expr;

pub(super) static RULE: Rule = Rule {
    code: "AS101",
    name: "detached_spawn",
    level: Level::Deny,
    summary: "a spawn whose `JoinHandle` is dropped: statement, `let _ =`, `drop`, `mem::forget`",
    what: "Flags a call that spawns a task and drops the handle at once: as a statement, with `let _ =`, through `drop` or `mem::forget`, or as the unused value of a block, arm or closure.",
    why: "Nobody waits for the task. It may outlive what it works on, it is cut off without warning when the runtime shuts down, and its panic or error is seen by no one.",
    example: r#"async fn serve(listener: tokio::net::TcpListener) -> std::io::Result<()> {
    loop {
        let (socket, _) = listener.accept().await?;
        tokio::spawn(handle(socket));
    }
}
async fn handle(_socket: tokio::net::TcpStream) {}"#,
    instead: r#"async fn serve(listener: tokio::net::TcpListener) -> std::io::Result<()> {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (socket, _) = accepted?;
                connections.spawn(handle(socket));
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}
async fn handle(_socket: tokio::net::TcpStream) {}"#,
    asks: &[Ask::Calls {
        watches: || SPAWNS.to_vec(),
        check,
    }],
};

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    let Fate::Dropped(how) = site.fate() else {
        return None;
    };
    let label = match how {
        "let _" => "`let _` drops the handle here".to_owned(),
        "drop" | "mem::forget" => format!("the handle goes to `{how}`"),
        "for_each" => "`for_each` drops every handle".to_owned(),
        _ => "the returned handle is dropped here".to_owned(),
    };
    Some(Verdict {
        message: format!("the task started by `{}` is detached", site.last_name()),
        label,
        why: "nobody waits for the task: it may outlive its owner, and its panic or error is lost"
            .to_owned(),
        help: "keep the handle and await it, spawn into a `JoinSet`, or spawn in a region that owns the task"
            .to_owned(),
        fix: region_spawn(site),
    })
}

/// The same task in the region of the context, where there is one: `tokio::spawn(future)` becomes `cx.spawn(async move |_cx| ..)`.
fn region_spawn(site: &Site<'_, '_, '_>) -> Option<Fix> {
    let Subject::Expr(Expr::Call(call)) = site.subject else {
        return None;
    };
    let context = context_in_scope(site.cursor)?;
    let future = call.args.first()?;
    if site.last_name() != "spawn" {
        return None;
    }
    let file = site.cursor.file();
    let callee = Edit::replace(file.range(&call.func), format!("{context}.spawn"));
    let edits = match bare(future) {
        Expr::Async(block) => {
            let head = file.range(block).start..file.range(&block.block).start;
            vec![callee, Edit::replace(head, "async move |_cx| ")]
        }
        _ => {
            let range = file.range(future);
            let start = Edit::insert(range.start, "async move |_cx| ");
            vec![callee, start, Edit::insert(range.end, ".await")]
        }
    };
    Some(Fix::maybe(edits))
}
