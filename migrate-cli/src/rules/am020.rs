//! AM020: `select!`.

use super::{Family, Form, Rule, Safety, form};

pub(super) const RULE: Rule = Rule {
    code: "AM020",
    title: "`select!`",
    safety: Safety::Safe,
    before: "
tokio::select! {
    Some(job) = jobs.recv() => run(job).await,
    _ = tokio::time::sleep(IDLE) => return,
}",
    after: "
asupersync::select! {
    Ok(job) = jobs.recv(cx) => run(cx, job).await,
    Ok(()) = cx.sleep(IDLE) => return,
    _ = cx.cancelled() => return,
}",
    why: "
The same grammar and the same choice at random, over futures that lose nothing when they are dropped. A wait that cancellation
makes fail is matched with `Ok(..)`, so that cancellation does not run its handler; where nothing else would notice it, an arm on
`cx.cancelled()` leaves the way the function leaves.",
    items: &[form("tokio::select", Family::Free, Form::Select)],
};
