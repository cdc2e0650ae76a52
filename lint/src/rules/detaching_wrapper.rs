//! AS104 `detaching_wrapper`: a call that hides a detached spawn.

use super::{Ask, Heard, Rule, Verdict};
use crate::facts::HANDLE_RETURNING;
use crate::fate::Fate;
use crate::finding::Level;
use crate::site::Site;

pub(super) static RULE: Rule = Rule {
    code: "AS104",
    name: "detaching_wrapper",
    level: Level::Warn,
    heard: Heard::OutsideTests,
    summary: "call of a function whose returned handle is dropped",
    what: "Flags a call of a function of the linted crates that returns a `JoinHandle`, where the handle is dropped at once.",
    why: "The call looks like any other, but it starts a task that nobody waits for; `JoinHandle` is not `must_use`, so the compiler says nothing.",
    example: r#"use tokio::task::JoinHandle;

fn background() -> JoinHandle<()> {
    tokio::spawn(async {})
}
fn start() {
    background();
}"#,
    instead: r#"use tokio::task::JoinHandle;

fn background() -> JoinHandle<()> {
    tokio::spawn(async {})
}
async fn start() {
    let _ = background().await;
}"#,
    asks: &[Ask::Calls {
        watches: || vec![HANDLE_RETURNING],
        check,
    }],
};

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    let Fate::Dropped(_) = site.fate() else {
        return None;
    };
    let name = site.last_name();
    // Its name says what it does.
    if name == "detach" {
        return None;
    }
    Some(Verdict {
        message: format!("the task that `{name}` starts is detached"),
        label: format!("`{name}` returns a handle, which is dropped here"),
        why: "nobody waits for the task: it may outlive its owner, and its panic or error is lost"
            .to_owned(),
        help: "keep the handle and await it, or let the function spawn into a set that its caller owns"
            .to_owned(),
        fix: None,
    })
}
