//! AS503 `guard_across_await`: a guard, permit or span over an await that has nothing to do with it.

use super::{Ask, Heard, Recode, Rule, Verdict};
use crate::facts::GUARDS;
use crate::finding::Level;
use crate::held::{Held, guard_name, held};
use crate::point::{Flag, Point, What};
use syn::Stmt;

pub(super) static RULE: Rule = Rule {
    code: "AS503",
    name: "guard_across_await",
    level: Level::Warn,
    heard: Heard::OutsideTests,
    summary: "an async guard, channel permit or entered span over an unrelated `.await`",
    what: "Flags three things that are alive over an await: an entered `tracing` span; the guard of an async lock that is not used from that await on; a channel's permit over an await that does not use it. A name that starts with `_` says that only the life of the value matters, and such guards are left alone; spans are not.",
    why: "An entered span stays entered on the thread while other tasks run there, and their events land in it. A guard held for nothing makes every other task wait for an unrelated answer. A permit takes a place in the channel from those who have something to send.",
    example: r#"async fn report(total: &tokio::sync::Mutex<u32>) {
    let mut guard = total.lock().await;
    *guard += 1;
    send().await;
}
async fn send() {}"#,
    instead: r#"async fn report(total: &tokio::sync::Mutex<u32>) {
    *total.lock().await += 1;
    send().await;
}
async fn send() {}"#,
    asks: &[Ask::Lint {
        name: "clippy::await_holding_invalid_type",
        recode: Recode::Let(reported),
        alone,
    }],
};

enum Kind {
    Span,
    Lock,
    Permit,
}

/// Methods that take a permit by value.
const CONSUMERS: &[&str] = &["send", "abort", "release", "transfer"];

fn kind(path: &str) -> Kind {
    match path.rsplit("::").next() {
        Some("Entered" | "EnteredSpan") => Kind::Span,
        Some("Permit" | "OwnedPermit") => Kind::Permit,
        _ => Kind::Lock,
    }
}

fn reported(point: &Point<'_, '_, '_>, text: &str) -> Option<Verdict> {
    let path = text.split('`').nth(1)?;
    let What::Local { local, rest } = point.what else {
        return None;
    };
    let (name, _) = guard_name(&local.pat)?;
    verdict(point, kind(path), &name, rest)
}

fn alone(point: &Point<'_, '_, '_>) -> Vec<Flag> {
    find(point).into_iter().collect()
}

fn find(point: &Point<'_, '_, '_>) -> Option<Flag> {
    let What::Local { local, rest } = point.what else {
        return None;
    };
    let (name, ident) = guard_name(&local.pat)?;
    if !point.is_async() {
        return None;
    }
    let mut ty = point.cursor.type_of(&local.init.as_ref()?.expr);
    if !matches!(&local.pat, syn::Pat::Ident(_) | syn::Pat::Type(_)) {
        ty = ty.tried();
    }
    let path = ty.path().filter(|path| GUARDS.contains(path))?;
    Some(Flag {
        range: point.file().range(ident),
        verdict: verdict(point, kind(path), &name, rest)?,
    })
}

fn verdict(point: &Point<'_, '_, '_>, kind: Kind, name: &str, rest: &[Stmt]) -> Option<Verdict> {
    let consumers = match kind {
        Kind::Permit => CONSUMERS,
        Kind::Span | Kind::Lock => &[],
    };
    let held = held(point.file(), name, consumers, rest);
    let deliberate = name.starts_with('_');
    let (what, why, help) = match (kind, held) {
        (_, Held::No) => return None,
        (Kind::Span, _) => (
            "an entered span",
            "the span stays entered while other tasks run on the thread, and takes their events",
            "use `.instrument(span)` on the future, or `span.in_scope(..)` around the synchronous part",
        ),
        (Kind::Lock, Held::Idle) if !deliberate => (
            "an async lock",
            "the guard is not used from that await on, and every other task waits for the lock meanwhile",
            "end the guard's scope, or `drop` it, before the await",
        ),
        // One that is never used is AS604's.
        (Kind::Permit, Held::Spanning) if !deliberate => (
            "a channel's permit",
            "the permit takes a place in the channel from those who have something to send",
            "reserve the place when the value is there",
        ),
        _ => return None,
    };
    Some(Verdict {
        message: format!("{what} is held over an unrelated `.await`"),
        label: format!("`{name}` is alive while the task is suspended"),
        why: why.to_owned(),
        help: help.to_owned(),
        fix: None,
    })
}
