//! AS403 `blocking_process`: a child process that holds the executor.

use super::{Ask, Heard, Rule, Verdict};
use crate::facts::BLOCKING_PROCESS;
use crate::finding::{Fix, Level};
use crate::point::is_async;
use crate::shape::called_name;
use crate::site::{Runs, Site, Subject};
use asupersync_source::edit::Edit;
use asupersync_source::walk::bare;
use syn::Expr;

pub(super) static RULE: Rule = Rule {
    code: "AS403",
    name: "blocking_process",
    level: Level::Warn,
    heard: Heard::OutsideTests,
    summary: "`Command::output`, `status`, `Child::wait` of std in async code",
    what: "Flags waits for a child process through std in async code outside `spawn_blocking`.",
    why: "The child decides how long the call takes, and every other task of the worker waits with it.",
    example: r#"async fn list() -> std::io::Result<std::process::Output> {
    std::process::Command::new("ls").output()
}"#,
    instead: r#"async fn list() -> std::io::Result<std::process::Output> {
    tokio::process::Command::new("ls").output().await
}"#,
    asks: &[Ask::Calls {
        watches: || BLOCKING_PROCESS.to_vec(),
        check,
    }],
};

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    if site.runs() != Runs::Async {
        return None;
    }
    Some(Verdict {
        message: format!(
            "`{}` waits for a process on the executor's thread",
            site.last_name()
        ),
        label: "blocks until the child is done".to_owned(),
        why: "every other task on this thread waits for the child".to_owned(),
        help: "use the runtime's own `Command`, or move the call into `spawn_blocking`".to_owned(),
        fix: awaited(site),
    })
}

/// tokio's own `Command`, where the whole chain from `Command::new` stands here.
fn awaited(site: &Site<'_, '_, '_>) -> Option<Fix> {
    let Subject::Expr(expr @ Expr::MethodCall(_)) = site.subject else {
        return None;
    };
    let mut root = expr;
    while let Expr::MethodCall(call) = root {
        root = bare(&call.receiver);
    }
    let Expr::Call(new) = root else {
        return None;
    };
    let is_new = called_name(root).as_deref() == Some("new");
    if !is_new || !is_async(site.cursor) {
        return None;
    }
    let tokio = site.tokio()?;
    let end = site.whole().end;
    Some(Fix::maybe([
        Edit::replace(
            site.cursor.file().range(&new.func),
            format!("{tokio}::process::Command::new"),
        ),
        Edit::insert(end, ".await"),
    ]))
}
