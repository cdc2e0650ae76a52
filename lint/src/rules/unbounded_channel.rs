//! AS601 `unbounded_channel`: a queue, or a crowd of tasks, without a bound.

use super::{Ask, Rule, Verdict};
use crate::facts::{SPAWNS, UNBOUNDED};
use crate::fate::Fate;
use crate::finding::Level;
use crate::shape::{Seen, any_in_block, called_name};
use crate::site::Site;
use asupersync_source::walk::{Node, bare};
use syn::Expr;

pub(super) static RULE: Rule = Rule {
    code: "AS601",
    name: "unbounded_channel",
    level: Level::Warn,
    summary: "`unbounded_channel`, std's `channel()`, .. and tasks spawned for whatever arrives, without a limit",
    what: "Flags the making of a channel without a bound, and a task spawned and let go for everything that a loop accepts or receives, in a function that knows no permits, limits or counts.",
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
