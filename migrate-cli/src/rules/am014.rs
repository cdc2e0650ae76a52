//! AM014: aborting a task.

use super::{Family, Form, Rule, Safety, form};

pub(super) const RULE: Rule = Rule {
    code: "AM014",
    title: "`JoinHandle::abort`",
    safety: Safety::Review,
    before: "
task.abort();",
    after: "
task.cancel(asupersync::CancelKind::User);",
    why: "
`abort` drops a task at its next await point. `cancel` asks it to stop: its waits fail with `Cancelled`, and its cleanup runs
before its outcome is known.",
    items: &[form("tokio::task::JoinHandle::abort", Family::Join, Form::Abort)],
};
