//! AS305 `long_sleep`: a sleep of more than a day.

use super::{Ask, Heard, Rule, Verdict};
use crate::finding::{Fix, Level};
use crate::site::{Site, Subject};
use asupersync_source::edit::Edit;
use asupersync_source::walk::bare;
use syn::{BinOp, Expr, Lit};

pub(super) static RULE: Rule = Rule {
    code: "AS305",
    name: "long_sleep",
    level: Level::Warn,
    heard: Heard::OutsideTests,
    summary: "a sleep of a constant over 24 hours",
    what: "Flags a sleep whose length is a constant of more than 24 hours, `Duration::MAX` included.",
    why: "Such a sleep means \"for ever\". The reader has to work that out, timers have their own limits (tokio's is about two years), and a test with virtual time that waits for the next timer jumps there.",
    example: r#"use std::time::Duration;

async fn park() {
    tokio::time::sleep(Duration::from_secs(60 * 60 * 24 * 365)).await;
}"#,
    instead: r#"async fn park() {
    std::future::pending::<()>().await;
}"#,
    asks: &[Ask::Calls {
        watches: || {
            vec![
                "tokio::time::sleep",
                "async_std::task::sleep",
                "asupersync::Cx::sleep",
            ]
        },
        check,
    }],
};

const DAY_NANOS: u128 = 24 * 60 * 60 * 1_000_000_000;

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    let Subject::Expr(expr) = site.subject else {
        return None;
    };
    let duration = match expr {
        Expr::Call(call) => call.args.first()?,
        Expr::MethodCall(call) => call.args.first()?,
        _ => return None,
    };
    if nanos(site, bare(duration))? <= DAY_NANOS {
        return None;
    }
    let own = site.callee.starts_with("asupersync");
    let fix =
        (!own).then(|| Fix::maybe([Edit::replace(site.whole(), "std::future::pending::<()>()")]));
    let help = if own {
        "wait for the cancellation itself: `cx.cancelled()`"
    } else {
        "say so: `std::future::pending`, or wait for what is meant to end it"
    };
    Some(Verdict {
        message: "a sleep of more than a day".to_owned(),
        label: "means for ever".to_owned(),
        why: "timers have limits of their own, and virtual time jumps to this one when nothing else is left"
            .to_owned(),
        help: help.to_owned(),
        fix,
    })
}

/// The length of a constant duration.
fn nanos(site: &Site<'_, '_, '_>, duration: &Expr) -> Option<u128> {
    match duration {
        Expr::Path(path) => {
            let resolved = site.cursor.resolve_value(path)?;
            (resolved == "std::time::Duration::MAX").then_some(u128::MAX)
        }
        Expr::Call(call) => {
            let made = site.cursor.callee(duration)?.path;
            let unit = match made.strip_prefix("std::time::Duration::")? {
                "from_secs" | "new" => 1_000_000_000,
                "from_millis" => 1_000_000,
                "from_micros" => 1_000,
                "from_mins" => 60_000_000_000,
                "from_hours" => 3_600_000_000_000,
                "from_days" => DAY_NANOS,
                _ => return None,
            };
            Some(number(bare(call.args.first()?))?.saturating_mul(unit))
        }
        _ => None,
    }
}

fn number(expr: &Expr) -> Option<u128> {
    match expr {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(number) => number.base10_parse().ok(),
            _ => None,
        },
        Expr::Binary(binary) => {
            let (left, right) = (number(bare(&binary.left))?, number(bare(&binary.right))?);
            match binary.op {
                BinOp::Mul(_) => left.checked_mul(right),
                BinOp::Add(_) => left.checked_add(right),
                _ => None,
            }
        }
        Expr::Path(path) => {
            let mut parts = path
                .path
                .segments
                .iter()
                .rev()
                .map(|part| part.ident.to_string());
            match (parts.next()?.as_str(), parts.next()?.as_str()) {
                ("MAX", "u64" | "i64" | "usize") => Some(u128::from(u64::MAX)),
                ("MAX", "u32" | "i32") => Some(u128::from(u32::MAX)),
                _ => None,
            }
        }
        _ => None,
    }
}
