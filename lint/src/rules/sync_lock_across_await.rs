//! AS501 `sync_lock_across_await`: a thread's lock over an `.await`.

use super::{Ask, Heard, Recode, Rule, Verdict};
use crate::finding::Level;
use crate::held::{Held, guard_name, held, is_std_lock};
use crate::point::{Flag, Point, What};
use asupersync_source::types::Ty;
use asupersync_source::walk::bare;

pub(super) static RULE: Rule = Rule {
    code: "AS501",
    name: "sync_lock_across_await",
    level: Level::Deny,
    heard: Heard::OutsideTests,
    summary: "a guard of a std or parking_lot lock over an `.await`",
    what: "Flags a guard of a lock of `std::sync` or `parking_lot` that is alive while the code awaits. This is `clippy::await_holding_lock`; where the compiler does not look, guards bound to a name are found by their type.",
    why: "Another task on the same thread that wants the lock blocks the thread, and with it the task that holds the lock: neither goes on. Where tasks move between threads it is a matter of luck.",
    example: r#"async fn add(total: &std::sync::Mutex<u32>) {
    let mut guard = total.lock().unwrap();
    *guard += fetch().await;
}
async fn fetch() -> u32 {
    1
}"#,
    instead: r#"async fn add(total: &std::sync::Mutex<u32>) {
    let more = fetch().await;
    *total.lock().unwrap() += more;
}
async fn fetch() -> u32 {
    1
}"#,
    asks: &[Ask::Lint {
        name: "clippy::await_holding_lock",
        recode: Recode::All {
            verdict: |_| verdict(),
            fix: |_, _| None,
            yields_to: &[],
        },
        alone,
    }],
};

const GUARDS: &[&str] = &[
    "std::sync::MutexGuard",
    "std::sync::RwLockReadGuard",
    "std::sync::RwLockWriteGuard",
    "parking_lot::MutexGuard",
    "parking_lot::RwLockReadGuard",
    "parking_lot::RwLockWriteGuard",
];

fn verdict() -> Verdict {
    Verdict {
        message: "a thread's lock is held over an `.await`".to_owned(),
        label: "still locked when the task is suspended".to_owned(),
        why: "a task on the same thread that wants the lock blocks the thread, and this one never goes on"
            .to_owned(),
        help: "end the guard's scope before the await; where the lock must span it, use an async lock"
            .to_owned(),
        fix: None,
    }
}

fn alone(point: &Point<'_, '_, '_>) -> Vec<Flag> {
    guard_over_await(point, |ty, init| {
        ty.path().is_some_and(|path| GUARDS.contains(&path))
            || (ty.is_unknown() && is_std_lock(init))
    })
    .map(|range| Flag {
        range,
        verdict: verdict(),
    })
    .into_iter()
    .collect()
}

/// The pattern of a `let` that binds a guard of the wanted kind and keeps it over an await.
pub(super) fn guard_over_await(
    point: &Point<'_, '_, '_>,
    wanted: impl FnOnce(&Ty, &syn::Expr) -> bool,
) -> Option<std::ops::Range<usize>> {
    let What::Local { local, rest } = point.what else {
        return None;
    };
    let (name, ident) = guard_name(&local.pat)?;
    let init = &local.init.as_ref()?.expr;
    // No guard can be cloned: this is a copy of what it guards.
    let copied = matches!(bare(init), syn::Expr::MethodCall(call) if call.method == "clone");
    if copied || !point.is_async() {
        return None;
    }
    let mut ty = point.cursor.type_of(init);
    // `let Ok(guard) = lock.lock() else { .. }`
    if !matches!(&local.pat, syn::Pat::Ident(_) | syn::Pat::Type(_)) {
        ty = ty.tried();
    }
    if !wanted(&ty, init) || held(point.file(), &name, &[], rest) == Held::No {
        return None;
    }
    Some(point.file().range(ident))
}
