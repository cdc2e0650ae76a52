//! AS103 `abort_without_join`: an abort that nobody waits for.

use super::{Ask, Rule, Verdict};
use crate::facts::SPAWNS;
use crate::fate::Fate;
use crate::finding::Level;
use crate::site::Site;

pub(super) static RULE: Rule = Rule {
    code: "AS103",
    name: "abort_without_join",
    level: Level::Warn,
    summary: "`.abort()` and no await of the handle after it",
    what: "Flags a task whose handle is only ever aborted: at once, or bound to a name on which `abort` is called and which is then dropped.",
    why: "`abort` asks; it does not wait. The task still runs to its next await, and on until its values are dropped, while the caller goes on as if it were gone.",
    example: r#"async fn stop() {
    let task = tokio::spawn(work());
    task.abort();
}
async fn work() {}"#,
    instead: r#"async fn stop() {
    let task = tokio::spawn(work());
    task.abort();
    let _ = task.await;
}
async fn work() {}"#,
    asks: &[Ask::Calls {
        watches: || SPAWNS.to_vec(),
        check,
    }],
};

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    if site.fate() != Fate::Aborted {
        return None;
    }
    Some(Verdict {
        message: "the task is aborted and not waited for".to_owned(),
        label: "nobody learns when this task is gone".to_owned(),
        why: "`abort` only asks: the task runs to its next await and drops its values some time later"
            .to_owned(),
        help: "await the handle after `abort`".to_owned(),
        fix: None,
    })
}
