//! AM015: awaiting a task.

use super::{Family, Form, Rule, Safety, form, path};

pub(super) const RULE: Rule = Rule {
    code: "AM015",
    title: "awaiting a `JoinHandle`",
    safety: Safety::Safe,
    before: "
match task.await {
    Ok(value) => value,
    Err(error) => return Err(io::Error::other(error)),
}",
    after: "
match task.await.into_result() {
    Ok(value) => value,
    Err(error) => return Err(io::Error::other(error)),
}",
    why: "
What a task came to is an `Outcome`: a value, an error, cancelled or panicked. `into_result` folds it into the `Result` that the
surrounding code expects; its error says which of the other three it was, as tokio's `JoinError` does.",
    items: &[
        form("tokio::task::JoinHandle::await", Family::Join, Form::AwaitHandle),
        path("tokio::task::JoinError", Family::Join, "asupersync::OutcomeError"),
    ],
};
