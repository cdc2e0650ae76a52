//! AM011: spawned tasks that nobody waits for.

use super::{Rule, Safety};

pub(super) const RULE: Rule = Rule {
    code: "AM011",
    title: "detached `tokio::spawn`",
    safety: Safety::Review,
    before: "
tokio::spawn(async move { serve(stream).await });",
    after: "
cx.spawn(async move |cx| { serve(&cx, stream).await });",
    why: "
A task whose handle is dropped ran on its own and was cut off wherever it stood when the program ended. It is now owned by the
region of its caller: the region does not close before the task has ended, and cancelling the region asks the task to stop.
Check that the task ends, or answers cancellation, when its region is to close.",
    items: &[],
};
