//! AS302 `ambient_random_env`: chance and surroundings from outside the context.

use super::{Ask, Heard, Rule, Verdict};
use crate::finding::{Fix, Level};
use crate::point::{Flag, Point, context_in_scope};
use crate::site::Site;
use crate::testcode::is_lab_tested;
use asupersync_source::edit::Edit;
use asupersync_source::walk::{Cursor, bare};
use syn::Expr;

pub(super) static RULE: Rule = Rule {
    code: "AS302",
    name: "ambient_random_env",
    level: Level::Allow,
    heard: Heard::Everywhere,
    summary: "`thread_rng`, `rand::random`, `env::var`, and, in lab-tested crates, `HashMap` order and `current_cx`",
    what: "Flags randomness from the thread or the system and reads of the environment. In packages that depend on `asupersync` it also flags the order in which a std `HashMap` or `HashSet` is gone through, which differs from run to run, and `asupersync_compat::current_cx`, a context from the surroundings.",
    why: "A run that failed under the lab is replayed from its seed. Whatever the program takes from elsewhere differs the next time, and the failure does not come back.",
    example: r#"fn jitter() -> u64 {
    rand::random::<u64>() % 100
}"#,
    instead: r#"use asupersync::Cx;

fn jitter(cx: &Cx) -> u64 {
    cx.random_u64() % 100
}"#,
    asks: &[
        Ask::Calls {
            watches: || [RANDOM, ENVIRONMENT, IN_LAB].concat(),
            check,
        },
        Ask::Points(loops),
    ],
};

const RANDOM: &[&str] = &[
    "rand::thread_rng",
    "rand::rng",
    "rand::random",
    "rand::random_range",
    "rand::random_bool",
    "fastrand::u32",
    "fastrand::u64",
    "fastrand::usize",
    "fastrand::bool",
    "fastrand::shuffle",
    "getrandom::fill",
    "getrandom::getrandom",
    "uuid::Uuid::new_v4",
    "std::collections::hash_map::RandomState::new",
];

const ENVIRONMENT: &[&str] = &[
    "std::env::var",
    "std::env::var_os",
    "std::env::vars",
    "std::env::vars_os",
];

/// Asked about in packages that depend on the lab.
const IN_LAB: &[&str] = &[
    "asupersync_compat::current_cx",
    "std::collections::HashMap::iter",
    "std::collections::HashMap::iter_mut",
    "std::collections::HashMap::keys",
    "std::collections::HashMap::values",
    "std::collections::HashMap::values_mut",
    "std::collections::HashMap::into_keys",
    "std::collections::HashMap::into_values",
    "std::collections::HashMap::drain",
    "std::collections::HashSet::iter",
    "std::collections::HashSet::drain",
];

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    if IN_LAB.contains(&site.callee) && !lab_tested(site.cursor) {
        return None;
    }
    let (what, help) = if ENVIRONMENT.contains(&site.callee) {
        (
            "the environment",
            "read it once at the start of the program and pass it on",
        )
    } else if site.callee.ends_with("current_cx") {
        (
            "a context from the surroundings",
            "take a `&Cx` as an argument",
        )
    } else if RANDOM.contains(&site.callee) {
        (
            "ambient randomness",
            "draw from the context: `cx.random_u64()`",
        )
    } else {
        return Some(order(site.last_name()));
    };
    Some(Verdict {
        message: format!("`{}` depends on {what}", site.last_name()),
        label: "differs from run to run".to_owned(),
        why: "a run under the lab cannot be replayed from its seed".to_owned(),
        help: help.to_owned(),
        fix: drawn(site),
    })
}

fn order(what: &str) -> Verdict {
    Verdict {
        message: format!("the order of `{what}` differs from run to run"),
        label: "std's hash maps are seeded by the system".to_owned(),
        why: "a run under the lab cannot be replayed from its seed".to_owned(),
        help: "use a `BTreeMap`, or sort before going through it".to_owned(),
        fix: None,
    }
}

/// `for (key, value) in map`
fn loops(point: &Point<'_, '_, '_>) -> Vec<Flag> {
    let Some(Expr::ForLoop(lap)) = point.expr() else {
        return Vec::new();
    };
    let over = bare(&lap.expr);
    let name = match point.cursor.type_of(over).path() {
        Some("std::collections::HashMap") => "HashMap",
        Some("std::collections::HashSet") => "HashSet",
        _ => return Vec::new(),
    };
    if !lab_tested(point.cursor) {
        return Vec::new();
    }
    vec![Flag {
        range: point.file().range(over),
        verdict: order(name),
    }]
}

/// Whether the code may run under the lab.
fn lab_tested(cursor: &Cursor<'_, '_>) -> bool {
    let package = cursor.index().project.package_of(cursor.target());
    is_lab_tested(package, cursor.file())
}

/// `rand::random::<u64>()` drawn from the context, where there is one.
fn drawn(site: &Site<'_, '_, '_>) -> Option<Fix> {
    let context = context_in_scope(site.cursor)?;
    let text: String = site.cursor.file().text[site.whole()]
        .split_whitespace()
        .collect();
    let of_u64 = site.callee == "rand::random" && text.ends_with("::<u64>()");
    of_u64.then(|| {
        Fix::maybe([Edit::replace(
            site.whole(),
            format!("{context}.random_u64()"),
        )])
    })
}
