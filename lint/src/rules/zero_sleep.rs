//! AS304 `zero_sleep`: a sleep that is none.

use super::{Ask, Heard, Rule, Verdict};
use crate::finding::{Fix, Level};
use crate::site::{Site, Subject};
use asupersync_source::edit::Edit;
use asupersync_source::walk::{Node, bare};
use syn::Expr;

pub(super) static RULE: Rule = Rule {
    code: "AS304",
    name: "zero_sleep",
    level: Level::Warn,
    heard: Heard::OutsideTests,
    summary: "`sleep(Duration::ZERO)`",
    what: "Flags a sleep of no time, written as `Duration::ZERO` or as a zero passed to one of its constructors.",
    why: "It is meant to let other tasks run, but a sleep that is already over may return without giving way at all.",
    example: r#"use std::time::Duration;

async fn give_way() {
    tokio::time::sleep(Duration::from_secs(0)).await;
}"#,
    instead: r#"async fn give_way() {
    tokio::task::yield_now().await;
}"#,
    asks: &[Ask::Calls {
        watches: || vec!["tokio::time::sleep", "async_std::task::sleep"],
        check,
    }],
};

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    let Subject::Expr(Expr::Call(call)) = site.subject else {
        return None;
    };
    // One that is kept is a timer to be set later.
    let waits = matches!(
        site.cursor.ancestors().next(),
        Some(Node::Expr(Expr::Await(_)))
    );
    if !waits || !is_zero(site, bare(call.args.first()?)) {
        return None;
    }
    Some(Verdict {
        message: "a sleep of no time".to_owned(),
        label: "may return without letting another task run".to_owned(),
        why: "the timer is already over when it is first polled".to_owned(),
        help: "use `yield_now`, which gives way".to_owned(),
        fix: (site.callee == "tokio::time::sleep")
            .then(|| site.tokio())
            .flatten()
            .map(|tokio| {
                let instead = format!("{tokio}::task::yield_now()");
                Fix::safe([Edit::replace(site.whole(), instead)])
            }),
    })
}

fn is_zero(site: &Site<'_, '_, '_>, duration: &Expr) -> bool {
    match duration {
        Expr::Path(path) => {
            site.cursor.resolve_value(path).as_deref() == Some("std::time::Duration::ZERO")
        }
        Expr::Call(call) => {
            let made = site
                .cursor
                .callee(duration)
                .is_some_and(|callee| callee.path.starts_with("std::time::Duration::from_"));
            let zero = |argument: &Expr| {
                matches!(
                    bare(argument),
                    Expr::Lit(syn::ExprLit { lit: syn::Lit::Int(number), .. })
                        if number.base10_digits() == "0"
                )
            };
            made && call.args.first().is_some_and(zero)
        }
        _ => false,
    }
}
