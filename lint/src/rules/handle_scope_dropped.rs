//! AS102 `handle_scope_dropped`: a handle that its scope drops.

use super::{Ask, Heard, Rule, Verdict};
use crate::facts::SPAWNS;
use crate::fate::Fate;
use crate::finding::Level;
use crate::site::Site;

pub(super) static RULE: Rule = Rule {
    code: "AS102",
    name: "handle_scope_dropped",
    level: Level::Warn,
    heard: Heard::OutsideTests,
    summary: "`let h = spawn(..)` never awaited, aborted or moved out",
    what: "Flags a handle that is bound to a name and then neither awaited nor aborted nor passed on, so that it is dropped at the end of the scope.",
    why: "The task is detached as surely as without the name; the name only hides it.",
    example: r#"async fn start() {
    let worker = tokio::spawn(work());
    if worker.is_finished() {
        println!("done already");
    }
}
async fn work() {}"#,
    instead: r#"async fn start() -> Result<(), tokio::task::JoinError> {
    let worker = tokio::spawn(work());
    worker.await
}
async fn work() {}"#,
    asks: &[Ask::Calls {
        watches: || SPAWNS.to_vec(),
        check,
    }],
};

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    let Fate::ScopeDropped(name) = site.fate() else {
        return None;
    };
    Some(Verdict {
        message: format!("the handle `{name}` is dropped at the end of its scope"),
        label: format!("this task is detached when `{name}` goes out of scope"),
        why: "a dropped handle does not stop its task, and nobody waits for it any more".to_owned(),
        help: format!("await `{name}`, abort and await it, or hand it to the owner of the task"),
        fix: None,
    })
}
