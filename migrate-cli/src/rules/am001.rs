//! AM001: entry points.

use super::{Family, Form, Rule, Safety, form};

pub(super) const RULE: Rule = Rule {
    code: "AM001",
    title: "`#[tokio::main]` and `#[tokio::test]`",
    safety: Safety::Safe,
    before: "
#[tokio::main]
async fn main() {
    serve().await;
}",
    after: "
#[asupersync::main(policy = \"collect\")]
async fn main(cx: &Cx) {
    serve(cx).await;
}",
    why: "
The entry point opens the root region and hands its `Cx` down. Everything the program spawns is owned by that region or one
below it, so the program ends when its tasks have ended. As with tokio, a task that panics stops no other; without the policy it
would stop its siblings. While code that needs a tokio runtime is left in the package, the body
runs inside `asupersync_compat::run_main` or `run_test` instead, whose workers all stand in one tokio context. A test that pauses tokio's clock
becomes `#[asupersync::lab_test]`, where time is virtual throughout.",
    items: &[
        form("tokio::main", Family::Free, Form::Main),
        form("tokio::test", Family::Free, Form::Test),
        form("tokio::time::pause", Family::Free, Form::PauseClock),
        form("tokio::time::advance", Family::Free, Form::AdvanceClock),
    ],
};
