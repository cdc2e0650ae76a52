//! AS604 `unresolved_obligation`: a promise that is forgotten.

use super::{Ask, Heard, Rule, Verdict};
use crate::facts::{OBLIGATION_RETURNING, RESERVES};
use crate::fate::Fate;
use crate::finding::Level;
use crate::site::Site;

pub(super) static RULE: Rule = Rule {
    code: "AS604",
    name: "unresolved_obligation",
    level: Level::Deny,
    heard: Heard::Everywhere,
    summary: "a permit that is neither used nor given back",
    what: "Flags a channel's permit that is dropped where it is made, or bound to a name that is never used: it is neither sent into nor aborted nor handed on. An explicit `drop` is a decision and is left alone. Functions of the project that return a permit count like the calls that make one.",
    why: "A permit is a promise to send. One that is forgotten leaves the place taken until the end of the scope and the value unsent, and the compiler says nothing once the permit has a name.",
    example: r#"async fn forward(tx: &tokio::sync::mpsc::Sender<u32>) {
    if let Some(number) = Some(1) {
        let permit = tx.reserve().await.unwrap();
        println!("{number}");
    }
}"#,
    instead: r#"async fn forward(tx: &tokio::sync::mpsc::Sender<u32>) {
    if let Some(number) = Some(1) {
        let permit = tx.reserve().await.unwrap();
        permit.send(number);
    }
}"#,
    asks: &[Ask::Calls {
        watches: || {
            let mut calls = RESERVES.to_vec();
            calls.push(OBLIGATION_RETURNING);
            calls
        },
        check,
    }],
};

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    let name = site.last_name();
    let label = match site.fate_of_output() {
        Fate::Dropped("let _") => "`let _` drops the permit here".to_owned(),
        Fate::Dropped("statement" | "loop body") => "the permit is dropped here".to_owned(),
        Fate::ScopeDropped(variable) => format!("`{variable}` is never sent into or aborted"),
        _ => return None,
    };
    Some(Verdict {
        message: format!("the obligation from `{name}` is never resolved"),
        label,
        why: "a place is taken and nothing is sent into it".to_owned(),
        help: "send into the permit on every path, or give it back with `abort`".to_owned(),
        fix: None,
    })
}
