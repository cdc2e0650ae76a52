//! AM010: spawned tasks that somebody waits for.

use super::{Family, Form, Rule, Safety, form, path};

pub(super) const RULE: Rule = Rule {
    code: "AM010",
    title: "`tokio::spawn` whose handle is awaited",
    safety: Safety::Safe,
    before: "
let task = tokio::spawn(async move { fetch(url).await });",
    after: "
let task = cx.spawn(async move |cx| fetch(&cx, url).await);",
    why: "
The task becomes a child of the region that owns the caller and receives a `Cx` of its own. The handle can still be awaited,
stored and passed on.",
    items: &[
        form("tokio::task::spawn", Family::Free, Form::Spawn),
        path("tokio::task::JoinHandle", Family::Join, "asupersync::TaskHandle"),
        super::plain("tokio::task::JoinHandle::is_finished", Family::Join),
    ],
};
