//! AS603 `unused_async`: an async function that never awaits.

use super::{Ask, Heard, Recode, Rule, Verdict};
use crate::finding::Level;
use crate::point::{Flag, Point, What, definition};
use crate::shape::{any_in_block, may_suspend};

pub(super) static RULE: Rule = Rule {
    code: "AS603",
    name: "unused_async",
    level: Level::Allow,
    heard: Heard::OutsideTests,
    summary: "an `async fn` without an `.await`",
    what: "Flags an async function whose body awaits nothing. This is `clippy::unused_async`; where the compiler does not look, free functions are found by their text. Functions of traits are left alone: their signature is not theirs.",
    why: "The call looks as if it might wait, and be cancelled while it does, but it can do neither; callers pay for a state machine, and a long body holds the executor's thread.",
    example: r#"async fn double(number: u32) -> u32 {
    number * 2
}"#,
    instead: r#"fn double(number: u32) -> u32 {
    number * 2
}"#,
    asks: &[Ask::Lint {
        name: "clippy::unused_async",
        recode: Recode::Function(|_| verdict()),
        alone,
    }],
};

fn verdict() -> Verdict {
    Verdict {
        message: "an async function without an `.await`".to_owned(),
        label: "never waits".to_owned(),
        why: "it cannot be suspended or cancelled, whatever its callers assume".to_owned(),
        help: "make it a plain function, or say in a suppression why it must be async".to_owned(),
        fix: None,
    }
}

fn alone(point: &Point<'_, '_, '_>) -> Vec<Flag> {
    let What::Function { sig, block } = point.what else {
        return Vec::new();
    };
    if sig.asyncness.is_none() {
        return Vec::new();
    }
    let declared = definition(point.cursor, sig)
        .is_some_and(|function| function.of_trait.is_none() && !is_entry(function.attrs));
    let empty = block.stmts.is_empty();
    if !declared || empty || any_in_block(point.file(), block, may_suspend) {
        return Vec::new();
    }
    vec![Flag {
        range: point.file().range(&sig.ident),
        verdict: verdict(),
    }]
}

/// `#[tokio::main]`, `#[tokio::test]` and the like want an async function.
fn is_entry(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let last = attribute.path().segments.last();
        last.is_some_and(|last| {
            let name = last.ident.to_string();
            name == "main" || name.contains("test") || name == "async_trait"
        })
    })
}
