//! AS101 `detached_spawn`: a spawn whose handle is dropped.

use super::{Ask, Heard, Rule, Verdict};
use crate::facts::SPAWNS;
use crate::fate::Fate;
use crate::finding::{Fix, Level};
use crate::point::{context_in_scope, definition, in_loop};
use crate::shape::{
    Seen, any_in_expr, any_in_stmts, bound_name, last_segment, mentions, name_of, names_in,
};
use crate::site::{Site, Subject};
use asupersync_source::edit::Edit;
use asupersync_source::walk::{Node, bare};
use syn::{Expr, FnArg, Stmt};

pub(super) static RULE: Rule = Rule {
    code: "AS101",
    name: "detached_spawn",
    level: Level::Deny,
    heard: Heard::OutsideTests,
    summary: "a spawn whose `JoinHandle` is dropped: statement, `let _ =`, `drop`, `mem::forget`",
    what: "Flags a call that spawns a task and drops the handle at once: as a statement, with `let _ =`, through `drop` or `mem::forget`, or as the unused value of a block, arm or closure. Three kinds are left alone: a method of a trait that spawns the very future it is given, such as an executor's, which has nobody to hand the handle to; a task that waits for a signal to the process, and so is meant to last as long as that; and a task that is given one end of a channel whose other end the same block awaits behind it, so that its end, by a panic too, is heard.",
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
    if is_executor(site) || waits_for_signal(site) || is_answered(site) {
        return None;
    }
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
        help: help(site).to_owned(),
        fix: region_spawn(site),
    })
}

/// What to do instead depends on where the task is started.
fn help(site: &Site<'_, '_, '_>) -> &'static str {
    let in_drop = site.cursor.ancestors().any(|node| match node {
        Node::Function { sig, .. } => {
            sig.ident == "drop"
                && definition(site.cursor, sig).is_some_and(|function| {
                    function
                        .of_trait
                        .as_deref()
                        .is_some_and(|of| of.ends_with("Drop"))
                })
        }
        _ => false,
    });
    if in_drop {
        "give the type an async `close` that does this and is awaited; what `drop` starts is lost when the runtime shuts down"
    } else if in_loop(site.cursor) {
        "keep a `JoinSet` outside of the loop, spawn into it, and take what has ended with `join_next`; or spawn in a region that owns the tasks"
    } else {
        "keep the handle and await it, spawn into a `JoinSet`, or spawn in a region that owns the task"
    }
}

/// `fn execute(&self, future: F) { tokio::spawn(future); }` of a trait: the caller chose the future, and the trait takes no handle.
fn is_executor(site: &Site<'_, '_, '_>) -> bool {
    let argument = match site.subject {
        Subject::Expr(Expr::Call(call)) => call.args.first(),
        Subject::Expr(Expr::MethodCall(call)) => call.args.first(),
        _ => None,
    };
    // `future.in_current_span()` is the same future.
    let mut future = argument.map(bare);
    while let Some(Expr::MethodCall(call)) = future {
        future = Some(bare(&call.receiver));
    }
    let Some(name) = future.and_then(name_of) else {
        return false;
    };
    let function = site.cursor.ancestors().find_map(|node| match node {
        Node::Function { sig, .. } => Some(Some(sig)),
        Node::Expr(Expr::Closure(_) | Expr::Async(_)) => Some(None),
        _ => None,
    });
    let Some(Some(sig)) = function else {
        return false;
    };
    let is_parameter = sig.inputs.iter().any(|input| match input {
        FnArg::Typed(typed) => bound_name(&typed.pat).as_deref() == Some(name.as_str()),
        FnArg::Receiver(_) => false,
    });
    is_parameter && definition(site.cursor, sig).is_some_and(|function| function.of_trait.is_some())
}

/// `ctrl_c().await`, `signal(..)` of tokio's in the task's own block.
fn waits_for_signal(site: &Site<'_, '_, '_>) -> bool {
    let Subject::Expr(Expr::Call(call)) = site.subject else {
        return false;
    };
    call.args.first().is_some_and(|task| {
        any_in_expr(site.cursor.file(), task, |seen| match seen {
            Seen::Expr(Expr::Call(call)) => match bare(&call.func) {
                Expr::Path(path) => {
                    let last = last_segment(&path.path);
                    let of_signal = path.path.segments.iter().any(|part| part.ident == "signal");
                    last == "ctrl_c" || (of_signal && path.path.segments.len() > 1)
                }
                _ => false,
            },
            _ => false,
        })
    })
}

/// `let (tx, rx) = channel(); spawn(.. tx ..); rx.await`: whoever spawned the task waits for it after all.
fn is_answered(site: &Site<'_, '_, '_>) -> bool {
    let (Subject::Expr(Expr::Call(syn::ExprCall { args, .. }))
    | Subject::Expr(Expr::MethodCall(syn::ExprMethodCall { args, .. }))) = site.subject
    else {
        return false;
    };
    let Some(task) = args.first() else {
        return false;
    };
    let file = site.cursor.file();
    site.cursor
        .ancestors()
        .take_while(|node| !matches!(node, Node::Function { .. } | Node::Item(_)))
        .any(|node| {
            let Node::Stmt { stmts, at } = node else {
                return false;
            };
            stmts[..at].iter().any(|stmt| {
                let Stmt::Local(local) = stmt else {
                    return false;
                };
                let [sender, receiver] = &names_in(&local.pat)[..] else {
                    return false;
                };
                mentions(file, task, sender)
                    && any_in_stmts(file, &stmts[at + 1..], |seen| match seen {
                        Seen::Expr(Expr::Await(wait)) => mentions(file, &wait.base, receiver),
                        _ => false,
                    })
            })
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
