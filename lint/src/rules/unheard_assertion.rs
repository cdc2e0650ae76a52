//! AS108 `unheard_assertion`: an assertion whose failure no test learns of.

use super::{Ask, Heard, Rule, Verdict};
use crate::facts::SPAWNS;
use crate::fate::Fate;
use crate::finding::Level;
use crate::shape::{Scan, Seen, Step, called_name, is_spawn_like, last_segment};
use crate::site::{Site, Subject};
use asupersync_source::load::{SourceFile, TargetKind};
use asupersync_source::walk::bare;
use syn::Expr;
use syn::visit::Visit;

pub(super) static RULE: Rule = Rule {
    code: "AS108",
    name: "unheard_assertion",
    level: Level::Deny,
    heard: Heard::InTests,
    summary: "an assertion in a task of a test whose handle is dropped",
    what: "Flags, in tests, a spawned task with an assertion in it whose handle is dropped: as a statement, with `let _ =`, or with the scope that binds it. Looked at are the assertions of the task's own block, not those of functions that it calls or closures that it passes on; and a task that sends, writes or awaits something after its last assertion is left alone, since the test may be waiting for that.",
    why: "A panic in a task goes to its handle. Where the handle is dropped nobody learns of it: the assertion fails, and the test passes.",
    example: r#"#[tokio::test]
async fn answers() {
    tokio::spawn(async {
        assert_eq!(ask().await, 42);
    });
}
async fn ask() -> u32 {
    42
}"#,
    instead: r#"#[tokio::test]
async fn answers() {
    let asking = tokio::spawn(async {
        assert_eq!(ask().await, 42);
    });
    asking.await.unwrap();
}
async fn ask() -> u32 {
    42
}"#,
    asks: &[Ask::Calls {
        watches: || SPAWNS.to_vec(),
        check,
    }],
};

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    let is_test = !matches!(
        site.cursor.target().kind,
        TargetKind::Example | TargetKind::Bench | TargetKind::BuildScript
    );
    if !is_test || !matches!(site.fate(), Fate::Dropped(_) | Fate::ScopeDropped(_)) {
        return None;
    }
    let Subject::Expr(
        Expr::Call(syn::ExprCall { args, .. }) | Expr::MethodCall(syn::ExprMethodCall { args, .. }),
    ) = site.subject
    else {
        return None;
    };
    let assertion = asserts(site.cursor.file(), bare(args.first()?))?;
    Some(Verdict {
        message: format!("the `{assertion}!` of this task cannot fail the test"),
        label: "its panic goes to the handle, which is dropped".to_owned(),
        why: "nobody learns that the task panicked, so the test passes whatever it asserts"
            .to_owned(),
        help: "keep the handle and `unwrap` what it yields before the test ends".to_owned(),
        fix: None,
    })
}

/// The first assertion that a task's own code makes, if nothing that the test could be waiting for follows the last one.
fn asserts(file: &SourceFile, task: &Expr) -> Option<String> {
    let mut found = None;
    let mut told = false;
    let mut see = |seen: Seen<'_>| {
        match seen {
            Seen::Macro(call) => {
                let name = last_segment(&call.path);
                if name.starts_with("assert") || name == "panic" {
                    found.get_or_insert(name);
                    told = false;
                    // What it awaits comes before it fails.
                    return Step::Over;
                }
            }
            // What a function passed on asserts, its caller may tell of.
            Seen::Expr(Expr::Closure(_)) => return Step::Over,
            Seen::Expr(Expr::Await(wait)) => {
                told |= !called_name(bare(&wait.base)).is_some_and(|name| waits(&name));
            }
            Seen::Expr(expr) => {
                if is_spawn_like(expr) {
                    return Step::Over;
                }
                told |= called_name(expr)
                    .is_some_and(|name| name.contains("send") || name.contains("notify"));
            }
        }
        Step::Into
    };
    Scan::new(file, &mut see).visit_expr(task);
    found.filter(|_| !told)
}

/// Waits for others, of which they learn nothing.
fn waits(name: &str) -> bool {
    [
        "recv", "sleep", "read", "next", "accept", "changed", "notified", "tick",
    ]
    .iter()
    .any(|word| name.starts_with(word))
}
