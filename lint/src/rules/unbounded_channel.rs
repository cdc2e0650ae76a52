//! AS601 `unbounded_channel`: a queue, or a crowd of tasks, without a bound.

use super::{Ask, Heard, Rule, Verdict};
use crate::facts::{SPAWNS, UNBOUNDED};
use crate::fate::Fate;
use crate::finding::Level;
use crate::shape::{Scan, Seen, Step, any_in_block, called_name, is_name, names_in};
use crate::site::{Runs, Site};
use asupersync_source::walk::{Node, bare};
use syn::visit::Visit;
use syn::{Expr, Stmt};

pub(super) static RULE: Rule = Rule {
    code: "AS601",
    name: "unbounded_channel",
    level: Level::Warn,
    heard: Heard::OutsideTests,
    summary: "`unbounded_channel`, std's `channel()`, .. and tasks spawned for whatever arrives, without a limit",
    what: "Flags the making of a channel without a bound, of std's only in async code, unless it carries signals - its values are `()`, or its ends are named for a shutdown and the like - or the same block receives one value from it, as an answer. Also flags a task spawned and let go for everything that a loop accepts or receives, in a function that knows no permits, limits or counts.",
    why: "A producer that is faster than its consumer fills memory instead of waiting, and the delay of a message grows without limit until the process dies. A task per connection is such a queue too: nothing makes the next client wait.",
    example: r#"fn queue() -> (tokio::sync::mpsc::UnboundedSender<u32>, tokio::sync::mpsc::UnboundedReceiver<u32>) {
    tokio::sync::mpsc::unbounded_channel()
}"#,
    instead: r#"fn queue() -> (tokio::sync::mpsc::Sender<u32>, tokio::sync::mpsc::Receiver<u32>) {
    tokio::sync::mpsc::channel(64)
}"#,
    asks: &[
        Ask::Calls {
            watches: || UNBOUNDED.to_vec(),
            check,
        },
        Ask::Calls {
            watches: || SPAWNS.to_vec(),
            check: crowd,
        },
    ],
};

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    // Threads that feed one another are not this linter's; in async code the channel of theirs is.
    let of_threads = site.callee.starts_with("std::") && site.runs() != Runs::Async;
    if of_threads || carries_signals(site) || is_received_once(site) {
        return None;
    }
    Some(Verdict {
        message: "a channel without a bound".to_owned(),
        label: format!("`{}` never makes a sender wait", site.last_name()),
        why: "a producer faster than its consumer fills memory, and delays grow without limit"
            .to_owned(),
        help:
            "give the channel a capacity; where a bound cannot work, suppress this with the reason"
                .to_owned(),
        fix: None,
    })
}

/// Words of channels that carry a request to end, or a word that something has happened, and not a stream of data.
const SIGNALS: &[&str] = &[
    "shutdown", "cancel", "stop", "quit", "exit", "terminat", "kill", "close", "startup", "done",
    "ready", "signal", "drop",
];

/// Whether the channel's values are `()`, or its ends are named for a signal.
fn carries_signals(site: &Site<'_, '_, '_>) -> bool {
    let file = site.cursor.file();
    let Some(local) = binding(site) else {
        return false;
    };
    let names = names_in(&local.pat);
    let by_name = names.iter().any(|name| {
        SIGNALS
            .iter()
            .any(|word| name.to_lowercase().contains(word))
    });
    let text: String = file.text[file.range(local)].split_whitespace().collect();
    by_name || text.contains("::<()>(") || text.contains("Sender<()>")
}

/// Whether the receiver, by its name, is asked for one value in the same block, outside of a loop: an answer, not a queue.
fn is_received_once(site: &Site<'_, '_, '_>) -> bool {
    let Some(Node::Stmt { stmts, at }) = site
        .cursor
        .ancestors()
        .find(|node| matches!(node, Node::Stmt { .. }))
    else {
        return false;
    };
    let Some(receiver) = binding(site).and_then(|local| names_in(&local.pat).pop()) else {
        return false;
    };
    let mut found = false;
    let mut see = |seen: Seen<'_>| match seen {
        Seen::Expr(Expr::Loop(_) | Expr::While(_) | Expr::ForLoop(_)) => Step::Over,
        Seen::Expr(expr @ Expr::MethodCall(call)) if is_name(&call.receiver, &receiver) => {
            found |= called_name(expr).is_some_and(|name| {
                matches!(name.as_str(), "recv" | "recv_timeout" | "blocking_recv")
            });
            Step::Into
        }
        _ => Step::Into,
    };
    let mut scan = Scan::new(site.cursor.file(), &mut see);
    stmts[at + 1..]
        .iter()
        .for_each(|stmt| scan.visit_stmt(stmt));
    found
}

/// The `let` that binds the ends of the channel.
fn binding<'p>(site: &Site<'_, '_, 'p>) -> Option<&'p syn::Local> {
    site.cursor.ancestors().find_map(|node| match node {
        Node::Stmt { stmts, at } => match &stmts[at] {
            Stmt::Local(local) => Some(Some(local)),
            _ => Some(None),
        },
        _ => None,
    })?
}

/// Waits for what others send, by name.
const ARRIVALS: &[&str] = &[
    "accept",
    "recv",
    "recv_from",
    "next",
    "next_line",
    "incoming",
];

/// Words of code that keeps count of its tasks.
const COUNTS: &[&str] = &[
    "acquire",
    "emaphore",
    "permit",
    "limit",
    "max_",
    "MAX_",
    "JoinSet",
    ".len()",
    "capacity",
    "in_flight",
];

fn crowd(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    let Fate::Dropped(_) = site.fate() else {
        return None;
    };
    let body = site
        .cursor
        .ancestors()
        .map_while(|node| match node {
            Node::Function { .. } | Node::Expr(Expr::Async(_) | Expr::Closure(_)) => None,
            Node::Expr(Expr::Loop(lap)) => Some(Some(&lap.body)),
            Node::Expr(Expr::While(lap)) => Some(Some(&lap.body)),
            _ => Some(None),
        })
        .find_map(|body| body)?;
    let file = site.cursor.file();
    let arrives = any_in_block(file, body, |seen| match seen {
        Seen::Expr(Expr::Await(wait)) => {
            called_name(bare(&wait.base)).is_some_and(|name| ARRIVALS.contains(&name.as_str()))
        }
        _ => false,
    });
    let counted = site.cursor.ancestors().any(|node| match node {
        // `if current.is_none()`: one at a time.
        Node::Expr(Expr::If(branch)) => {
            let condition = &file.text[file.range(&branch.cond)];
            condition.contains(".is_none()")
        }
        Node::Function { block, .. } => {
            let text = &file.text[file.range(block)];
            COUNTS.iter().any(|word| text.contains(word))
        }
        _ => false,
    });
    if !arrives || counted {
        return None;
    }
    Some(Verdict {
        message: "tasks are spawned without a limit".to_owned(),
        label: "one for everything that arrives".to_owned(),
        why:
            "nothing makes the next arrival wait, so a burst of them takes all the memory there is"
                .to_owned(),
        help: "take a permit of a `Semaphore` before the spawn, and let the task hold it"
            .to_owned(),
        fix: None,
    })
}
