//! AM013: blocking work.

use super::{Family, Form, Rule, Safety, form};

pub(super) const RULE: Rule = Rule {
    code: "AM013",
    title: "`spawn_blocking`",
    safety: Safety::Safe,
    before: "
let text = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;",
    after: "
let text = cx.spawn_blocking(move |_cx| std::fs::read_to_string(path)).await.into_result();",
    why: "
The closure runs on the blocking pool and receives a `Cx`, through which long work can ask whether it should stop.",
    items: &[form("tokio::task::spawn_blocking", Family::Free, Form::SpawnBlocking)],
};
