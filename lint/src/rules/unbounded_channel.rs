//! AS601 `unbounded_channel`: a queue without a bound.

use super::{Ask, Rule, Verdict};
use crate::facts::UNBOUNDED;
use crate::finding::Level;
use crate::site::Site;

pub(super) static RULE: Rule = Rule {
    code: "AS601",
    name: "unbounded_channel",
    level: Level::Warn,
    summary: "`unbounded_channel`, std's `channel()`, .. (no back-pressure)",
    what: "Flags the making of a channel without a bound.",
    why: "A producer that is faster than its consumer fills memory instead of waiting, and the delay of a message grows without limit until the process dies.",
    example: r#"fn queue() -> (tokio::sync::mpsc::UnboundedSender<u32>, tokio::sync::mpsc::UnboundedReceiver<u32>) {
    tokio::sync::mpsc::unbounded_channel()
}"#,
    instead: r#"fn queue() -> (tokio::sync::mpsc::Sender<u32>, tokio::sync::mpsc::Receiver<u32>) {
    tokio::sync::mpsc::channel(64)
}"#,
    asks: &[Ask::Calls {
        watches: || UNBOUNDED.to_vec(),
        check,
    }],
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
