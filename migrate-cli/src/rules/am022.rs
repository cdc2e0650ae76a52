//! AM022: `join!` and `pin!`.

use super::{Family, Form, Rule, Safety, form};

pub(super) const RULE: Rule = Rule {
    code: "AM022",
    title: "`join!` and `pin!`",
    safety: Safety::Safe,
    before: "
let (a, b) = tokio::join!(left(), right());",
    after: "
let (a, b) = asupersync::join!(left(cx), right(cx));",
    why: "
Both futures are polled in place by the same task until both have ended, as before. `tokio::pin!(x)` becomes
`let mut x = std::pin::pin!(x);`.",
    items: &[
        form("tokio::join", Family::Free, Form::Join),
        form("tokio::pin", Family::Free, Form::Pin),
    ],
};
