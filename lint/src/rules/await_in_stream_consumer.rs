//! AS207 `await_in_stream_consumer`: futures that stand still while their consumer waits.

use super::{Ask, Heard, Rule, Verdict};
use crate::finding::Level;
use crate::shape::{Scan, Seen, Step, any_in_block, bound_name, name_of, suspends};
use crate::site::{Site, Subject};
use asupersync_source::load::SourceFile;
use asupersync_source::walk::{Node, bare};
use std::ptr;
use syn::visit::Visit;
use syn::{Block, Expr, Stmt};

pub(super) static RULE: Rule = Rule {
    code: "AS207",
    name: "await_in_stream_consumer",
    level: Level::Warn,
    heard: Heard::OutsideTests,
    summary: "an `.await` in the loop that consumes a `buffered` stream or a `FuturesUnordered`",
    what: "Flags a `while let` over `next` of a stream that drives several futures at once (`buffered`, `buffer_unordered`, `FuturesUnordered`, `FuturesOrdered`), whose body awaits something. Streams of tasks that were spawned are left alone: the runtime drives those.",
    why: "The futures in the stream are polled only while the loop waits for `next`. While the body awaits, all of them stand still: timeouts expire, connections time out, and a lock that one of them holds is never released.",
    example: r#"use futures::stream::{FuturesUnordered, StreamExt};

async fn run() {
    let mut answers = FuturesUnordered::new();
    answers.push(fetch(1));
    answers.push(fetch(2));
    while let Some(answer) = answers.next().await {
        store(answer).await;
    }
}
async fn fetch(number: u32) -> u32 {
    number
}
async fn store(_: u32) {}"#,
    instead: r#"use futures::stream::{FuturesUnordered, StreamExt};

async fn run() {
    let mut answers = FuturesUnordered::new();
    answers.push(fetch(1));
    answers.push(fetch(2));
    while let Some(()) = answers.next().await {}
}
async fn fetch(number: u32) {
    store(number).await;
}
async fn store(_: u32) {}"#,
    asks: &[Ask::Calls {
        watches: || {
            vec![
                "futures::StreamExt::next",
                "futures::TryStreamExt::try_next",
            ]
        },
        check,
    }],
};

/// Adaptors that poll several futures at once.
const DRIVERS: &[&str] = &[
    "buffered",
    "buffer_unordered",
    "try_buffered",
    "try_buffer_unordered",
];

const COLLECTIONS: &[&str] = &["FuturesUnordered", "FuturesOrdered"];

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    let Subject::Expr(expr @ Expr::MethodCall(call)) = site.subject else {
        return None;
    };
    let body = consumer(site, expr)?;
    let file = site.cursor.file();
    let name = name_of(strip(&call.receiver))?;
    if !drives_futures(site, &name) || !any_in_block(file, body, suspends) {
        return None;
    }
    Some(Verdict {
        message: format!("the futures in `{name}` stand still while the loop's body awaits"),
        label: "polls them only here".to_owned(),
        why: "nothing polls the stream's futures during an await of the body, not even one that holds what the body waits for"
            .to_owned(),
        help: "move the work into the futures themselves, or spawn them as tasks".to_owned(),
        fix: None,
    })
}

fn strip(expr: &Expr) -> &Expr {
    match bare(expr) {
        Expr::Reference(reference) => strip(&reference.expr),
        other => other,
    }
}

/// The body of the `while let .. = stream.next().await`.
fn consumer<'p>(site: &Site<'_, '_, 'p>, next: &Expr) -> Option<&'p Block> {
    let mut nodes = site.cursor.ancestors();
    let Some(Node::Expr(Expr::Await(wait))) = nodes.next() else {
        return None;
    };
    if !ptr::eq(bare(&wait.base), next) {
        return None;
    }
    for node in nodes {
        match node {
            Node::Expr(Expr::Try(_) | Expr::Let(_) | Expr::Paren(_)) => {}
            Node::Expr(Expr::While(lap)) => return Some(&lap.body),
            _ => return None,
        }
    }
    None
}

/// Whether the variable was made to drive futures that are no tasks.
fn drives_futures(site: &Site<'_, '_, '_>, name: &str) -> bool {
    let file = site.cursor.file();
    for node in site.cursor.ancestors() {
        match node {
            Node::Stmt { stmts, at } => {
                for (before, stmt) in stmts[..at].iter().enumerate().rev() {
                    let Stmt::Local(local) = stmt else { continue };
                    if bound_name(&local.pat).as_deref() != Some(name) {
                        continue;
                    }
                    let Some(init) = &local.init else {
                        return false;
                    };
                    return drives(file, &init.expr)
                        && !stmts[before..at].iter().any(|stmt| spawns(file, stmt));
                }
            }
            Node::Function { .. } | Node::Item(_) => return false,
            _ => {}
        }
    }
    false
}

fn drives(file: &SourceFile, init: &Expr) -> bool {
    let mut found = false;
    let mut see = |seen: Seen<'_>| {
        if let Seen::Expr(expr) = seen {
            found |= match expr {
                Expr::MethodCall(call) => DRIVERS.contains(&call.method.to_string().as_str()),
                Expr::Path(path) => path
                    .path
                    .segments
                    .iter()
                    .any(|part| COLLECTIONS.contains(&part.ident.to_string().as_str())),
                _ => false,
            };
        }
        if found { Step::Stop } else { Step::Into }
    };
    Scan::new(file, &mut see).visit_expr(init);
    found
}

/// Whether a statement starts tasks, threads or the like; what is pushed then are handles.
fn spawns(file: &SourceFile, stmt: &Stmt) -> bool {
    let range = file.range(stmt);
    file.text
        .get(range)
        .is_some_and(|text| text.contains("spawn"))
}
