//! AM011: spawned tasks that nobody waits for.

use super::{Rule, Safety};

pub(super) const RULE: Rule = Rule {
    code: "AM011",
    title: "detached `tokio::spawn`",
    safety: Safety::Review,
    before: "
tokio::spawn(async move { serve(stream).await });",
    after: "
cx.spawn_daemon(async move |cx| { serve(&cx, stream).await });",
    why: "
A task that nobody waits for ran on its own and was cut off wherever it stood when the program ended. It becomes a daemon of the
region of its caller: it does not keep the region open, but when the region ends it is asked to stop and waited for. Check that it
ends or answers cancellation then, and use `cx.spawn` where the region is to wait for it. A task in which nothing
answers cancellation is wrapped in `cx.cancellable`, which drops it when it is asked to stop. A spawn whose handle is kept but never
awaited counts as one that nobody waits for.",
    items: &[],
};
