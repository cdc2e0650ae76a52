//! AS301 `ambient_time`: time from outside the context.

use super::{Ask, Heard, Rule, Verdict};
use crate::facts::{AMBIENT_TIME, BLOCKING_SLEEPS};
use crate::finding::{Fix, Level};
use crate::point::context_in_scope;
use crate::site::{Runs, Site, Subject};
use asupersync_source::edit::Edit;
use syn::Expr;

pub(super) static RULE: Rule = Rule {
    code: "AS301",
    name: "ambient_time",
    level: Level::Warn,
    heard: Heard::InLab,
    summary: "`Instant`/`SystemTime::now`, `elapsed`, tokio and std sleeps, intervals, timeouts",
    what: "Flags reads of the ambient clock and waits on it: `Instant::now`, `SystemTime::now`, `elapsed`, `sleep`, `interval`, `timeout` of std, tokio and async-std.",
    why: "A test cannot move the process's clock. Code that takes the time from its context runs the same in production and under a test's virtual clock, where an hour passes at once and every run is the same.",
    example: r#"use std::time::{Duration, Instant};

async fn poll_until(deadline: Instant) {
    while Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}"#,
    instead: r#"use asupersync::{Cancelled, Cx, Time};
use std::time::Duration;

async fn poll_until(cx: &Cx, deadline: Time) -> Result<(), Cancelled> {
    while cx.now() < deadline {
        cx.sleep(Duration::from_millis(10)).await?;
    }
    Ok(())
}"#,
    asks: &[Ask::Calls {
        watches: || AMBIENT_TIME.to_vec(),
        check,
    }],
};

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    let blocks = BLOCKING_SLEEPS.contains(&site.callee);
    // AS401 says the worse of it.
    if blocks && site.runs() == Runs::Async {
        return None;
    }
    let (does, instead) = match site.last_name() {
        "now" | "elapsed" => ("reads", "take the time from the context: `cx.now()`"),
        "timeout" | "timeout_at" => ("waits on", "let the context time it: `cx.timeout(..)`"),
        "interval" | "interval_at" => (
            "waits on",
            "take the ticks from the context: `cx.interval(..)`",
        ),
        _ => ("waits on", "let the context sleep: `cx.sleep(..)`"),
    };
    let (owner, name) = site.callee.rsplit_once("::").unwrap_or(("", site.callee));
    let owner = owner.rsplit("::").next().unwrap_or(owner);
    Some(Verdict {
        message: format!("`{owner}::{name}` {does} the ambient clock"),
        label: format!("{does} the clock of the process"),
        why: "a test cannot move this clock, so it waits in real time and its runs differ"
            .to_owned(),
        help: instead.to_owned(),
        fix: fix(site),
    })
}

/// The same through the context, where there is one and the call is written out: `Instant::now()`, `sleep(d)`. What comes of it has
/// another type, so a hand may be needed.
fn fix(site: &Site<'_, '_, '_>) -> Option<Fix> {
    let Subject::Expr(Expr::Call(call)) = site.subject else {
        return None;
    };
    let context = context_in_scope(site.cursor)?;
    let file = site.cursor.file();
    let instead = match (site.last_name(), call.args.first()) {
        ("now", None) => format!("{context}.now()"),
        (name @ ("sleep" | "sleep_until"), Some(argument)) if site.runs() == Runs::Async => {
            let argument = &file.text[file.range(argument)];
            format!("{context}.{name}({argument})")
        }
        _ => return None,
    };
    Some(Fix::maybe([Edit::replace(site.whole(), instead)]))
}
