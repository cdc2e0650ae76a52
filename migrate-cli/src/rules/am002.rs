//! AM002: runtimes built by hand.

use super::{Family, Form, Rule, Safety, form, path, plain, renamed};

pub(super) const RULE: Rule = Rule {
    code: "AM002",
    title: "`Runtime`, its builder and `block_on`",
    safety: Safety::Review,
    before: "
let rt = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
rt.block_on(fetch(url))",
    after: "
let rt = asupersync::Runtime::builder().current_thread().build()?;
rt.block_on(async |cx| fetch(&cx, url).await).expect(\"the root region ended\")",
    why: "
`block_on` opens a root region and waits until everything spawned in it has ended, where tokio's returns as soon as its future
is done and leaves the rest running until the runtime is dropped. A region that was cancelled or in which a task panicked is an
error, which the rewrite turns into a panic.",
    items: &[
        path("tokio::runtime::Runtime", Family::Runtime, "asupersync::Runtime"),
        form("tokio::runtime::Runtime::new", Family::Runtime, Form::RuntimeNew),
        form("tokio::runtime::Runtime::block_on", Family::Runtime, Form::BlockOn),
        form("tokio::runtime::Builder::new_current_thread", Family::Runtime, Form::RuntimeBuilder),
        form("tokio::runtime::Builder::new_multi_thread", Family::Runtime, Form::RuntimeBuilder),
        form("tokio::runtime::Builder::enable_all", Family::Runtime, Form::Dropped),
        form("tokio::runtime::Builder::enable_io", Family::Runtime, Form::Dropped),
        form("tokio::runtime::Builder::enable_time", Family::Runtime, Form::Dropped),
        plain("tokio::runtime::Builder::worker_threads", Family::Runtime),
        renamed("tokio::runtime::Builder::max_blocking_threads", Family::Runtime, "blocking_threads"),
        form("tokio::runtime::Builder::build", Family::Runtime, Form::RuntimeBuild),
    ],
};
