//! AS103 `abort_without_join`: an abort that nobody waits for.

use super::{Ask, Heard, Rule, Verdict};
use crate::facts::SPAWNS;
use crate::fate::Fate;
use crate::finding::{Fix, Level};
use crate::point::is_async;
use crate::shape::{bound_name, indent, is_name};
use crate::site::Site;
use asupersync_source::edit::Edit;
use asupersync_source::walk::Node;
use syn::{Expr, Stmt};

pub(super) static RULE: Rule = Rule {
    code: "AS103",
    name: "abort_without_join",
    level: Level::Warn,
    heard: Heard::OutsideTests,
    summary: "`.abort()` and no await of the handle after it",
    what: "Flags a task whose handle is only ever aborted: at once, or bound to a name on which `abort` is called and which is then dropped.",
    why: "`abort` asks; it does not wait. The task still runs to its next await, and on until its values are dropped, while the caller goes on as if it were gone.",
    example: r#"async fn stop() {
    let task = tokio::spawn(work());
    task.abort();
}
async fn work() {}"#,
    instead: r#"async fn stop() {
    let task = tokio::spawn(work());
    task.abort();
    let _ = task.await;
}
async fn work() {}"#,
    asks: &[Ask::Calls {
        watches: || SPAWNS.to_vec(),
        check,
    }],
};

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    if site.fate() != Fate::Aborted {
        return None;
    }
    Some(Verdict {
        message: "the task is aborted and not waited for".to_owned(),
        label: "nobody learns when this task is gone".to_owned(),
        why: "`abort` only asks: the task runs to its next await and drops its values some time later"
            .to_owned(),
        help: "await the handle after `abort`".to_owned(),
        fix: await_after(site),
    })
}

/// Awaits the handle behind the statement that aborts it, in the block that binds it.
fn await_after(site: &Site<'_, '_, '_>) -> Option<Fix> {
    let (stmts, at) = site.cursor.ancestors().find_map(|node| match node {
        Node::Stmt { stmts, at } => Some((stmts, at)),
        _ => None,
    })?;
    let Stmt::Local(local) = &stmts[at] else {
        return None;
    };
    let name = bound_name(&local.pat)?;
    let aborts = |stmt: &&Stmt| {
        matches!(
            stmt,
            Stmt::Expr(Expr::MethodCall(call), Some(_))
                if call.method == "abort" && is_name(&call.receiver, &name)
        )
    };
    let last = stmts[at + 1..].iter().rfind(aborts)?;
    if !is_async(site.cursor) {
        return None;
    }
    let file = site.cursor.file();
    let range = file.range(last);
    let indent = indent(file, range.start);
    Some(Fix::maybe([Edit::insert(
        range.end,
        format!("\n{indent}let _ = {name}.await;"),
    )]))
}
