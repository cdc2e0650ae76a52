//! AS309 `constant_absolute_deadline`: a constant where an instant is wanted.

use super::{Ask, Heard, Rule, Verdict};
use crate::finding::Level;
use crate::site::{Site, Subject};
use asupersync_source::walk::bare;
use syn::Expr;

pub(super) static RULE: Rule = Rule {
    code: "AS309",
    name: "constant_absolute_deadline",
    level: Level::Warn,
    heard: Heard::Everywhere,
    summary: "a constant passed where an absolute deadline is wanted",
    what: "Flags a constant `Time` given to `sleep_until`, `with_deadline` or `Sleep::reset`: `Time::from_nanos` of a literal, or a constant of the program.",
    why: "A `Time` counts from the start of the world, not from now. What was meant as \"five seconds\" is over five seconds after the program started: from then on every such wait ends at once.",
    example: r#"use asupersync::{Cancelled, Cx, Time};

async fn pause(cx: &Cx) -> Result<(), Cancelled> {
    cx.sleep_until(Time::from_nanos(5_000_000_000)).await
}"#,
    instead: r#"use asupersync::{Cancelled, Cx};
use std::time::Duration;

async fn pause(cx: &Cx) -> Result<(), Cancelled> {
    cx.sleep_until(cx.now() + Duration::from_secs(5)).await
}"#,
    asks: &[Ask::Calls {
        watches: || {
            vec![
                "asupersync::Cx::sleep_until",
                "asupersync::Budget::with_deadline",
                "asupersync::time::Sleep::reset",
            ]
        },
        check,
    }],
};

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    let Subject::Expr(Expr::MethodCall(call)) = site.subject else {
        return None;
    };
    if !is_constant(site, bare(call.args.first()?)) {
        return None;
    }
    Some(Verdict {
        message: format!("`{}` is given a constant for an instant", site.last_name()),
        label: "counts from the start of the world, not from now".to_owned(),
        why: "once that moment has passed, every such wait is over at once".to_owned(),
        help: "count from now: `cx.now() + duration`".to_owned(),
        fix: None,
    })
}

fn is_constant(site: &Site<'_, '_, '_>, expr: &Expr) -> bool {
    match expr {
        Expr::Call(call) => {
            let made = site.cursor.callee(expr);
            made.is_some_and(|callee| callee.path == "asupersync::Time::from_nanos")
                && call.args.first().is_some_and(is_number)
        }
        Expr::Path(path) => path.path.segments.last().is_some_and(|last| {
            let name = last.ident.to_string();
            let constant = name.chars().all(|letter| {
                letter.is_ascii_uppercase() || letter == '_' || letter.is_ascii_digit()
            });
            // The end of time is a deadline that is meant.
            constant && name != "MAX" && name != "ZERO"
        }),
        _ => false,
    }
}

fn is_number(expr: &Expr) -> bool {
    match bare(expr) {
        Expr::Lit(_) => true,
        Expr::Binary(binary) => is_number(&binary.left) && is_number(&binary.right),
        _ => false,
    }
}
