//! AS203 `queue_position_loss`: a place in a queue lost at every round.

use super::{Ask, Rule, Verdict};
use crate::facts::{Loss, operation_at, operations_with};
use crate::finding::Level;
use crate::site::Site;

pub(super) static RULE: Rule = Rule {
    code: "AS203",
    name: "queue_position_loss",
    level: Level::Warn,
    summary: "`lock`, `acquire`, `notified`, `reserve`, .. made anew in a `select!` loop",
    what: "Flags an operation that waits in a fair queue, made anew in a `select!` branch each time round a loop.",
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

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    let operation = operation_at(site.callee, &[Loss::Queue])?;
    let call = site.select()?;
    if !site.in_loop(call) {
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
