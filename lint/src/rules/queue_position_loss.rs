//! AS203 `queue_position_loss`: a place in a queue lost at every round.

use super::{Ask, Heard, Rule, Verdict};
use crate::facts::{Loss, operation_at, operations_with};
use crate::finding::Level;
use crate::site::{Site, Subject};
use asupersync_source::walk::Node;
use syn::{Expr, Pat};

pub(super) static RULE: Rule = Rule {
    code: "AS203",
    name: "queue_position_loss",
    level: Level::Warn,
    heard: Heard::OutsideTests,
    summary: "`lock`, `acquire`, `notified`, `reserve`, .. made anew in a `select!` loop",
    what: "Flags an operation that waits in a fair queue, made anew in a `select!` branch each time round a loop; a wait for a `Notify` only where the package calls `notify_waiters` on one of that name, since `notify_one` leaves its wake-up for whoever comes next.",
    why: "Every round that another branch wins drops the wait and with it the place in the queue. Under load the branch may never have its turn, and a wake-up from `notify_waiters` between two rounds is missed.",
    example: r#"async fn run(lock: &tokio::sync::Mutex<u32>, mut ticks: tokio::sync::mpsc::Receiver<()>) {
    loop {
        tokio::select! {
            mut guard = lock.lock() => *guard += 1,
            _ = ticks.recv() => {}
        }
    }
}"#,
    instead: r#"async fn run(lock: &tokio::sync::Mutex<u32>, mut ticks: tokio::sync::mpsc::Receiver<()>) {
    let mut waiting = Box::pin(lock.lock());
    loop {
        tokio::select! {
            mut guard = &mut waiting => {
                *guard += 1;
                drop(guard);
                waiting = Box::pin(lock.lock());
            }
            _ = ticks.recv() => {}
        }
    }
}"#,
    asks: &[Ask::Calls {
        watches: || operations_with(&[Loss::Queue]),
        check,
    }],
};

/// `_ = semaphore.acquire() =>`: the pattern gives the permit back at once, so what is waited for is a word, such as that it was closed.
fn is_signal(site: &Site<'_, '_, '_>) -> bool {
    let pattern = site.cursor.ancestors().find_map(|node| match node {
        Node::SelectFuture { select, branch, .. } => Some(&select.branches[branch].pat),
        _ => None,
    });
    site.last_name().starts_with("acquire") && matches!(pattern, Some(Pat::Wild(_)))
}

/// Whether the package wakes everybody who waits for a `Notify` of this name. `notify_one` leaves a permit for the next who comes, so
/// that without `notify_waiters` a wait that is made anew misses nothing.
fn wakes_all(site: &Site<'_, '_, '_>) -> bool {
    let Subject::Expr(Expr::MethodCall(call)) = site.subject else {
        return true;
    };
    let file = site.cursor.file();
    let receiver = &file.text[file.range(&call.receiver)];
    let name = receiver.rsplit(['.', '&', ' ', '\n']).next();
    let wake = format!("{}.notify_waiters(", name.unwrap_or_default());
    let project = site.cursor.index().project;
    let package = site.cursor.target().package;
    let mut targets = project
        .targets
        .iter()
        .filter(|target| target.package == package);
    targets.any(|target| {
        let mut modules = target.modules.iter();
        modules.any(|module| project.file(module.file).text.contains(&wake))
    })
}

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    let operation = operation_at(site.callee, &[Loss::Queue])?;
    let call = site.select()?;
    if !site.in_loop(call)
        || is_signal(site)
        || (site.last_name().starts_with("notified") && !wakes_all(site))
    {
        return None;
    }
    Some(Verdict {
        message: format!(
            "`{}` starts at the end of its queue each time round the loop",
            site.last_name()
        ),
        label: "a new wait for every round of the `select!`".to_owned(),
        why: operation.lost.to_owned(),
        help: operation.instead.to_owned(),
        fix: None,
    })
}
