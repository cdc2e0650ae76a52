//! AM051: the signal to stop.

use super::{Family, Form, Rule, Safety, form};

pub(super) const RULE: Rule = Rule {
    code: "AM051",
    title: "`ctrl_c`",
    safety: Safety::Review,
    before: "
server::run(listener, tokio::signal::ctrl_c()).await",
    after: "
server::run(cx, listener, cx.shutdown_signal()).await",
    why: "
`shutdown_signal` ends at the first interrupt or termination signal, or when the root region is cancelled; it cannot fail. While
something waits on it, the first signal does not cancel the root region, the second does.",
    items: &[form("tokio::signal::ctrl_c", Family::Free, Form::CtrlC)],
};
