//! AM090: the manifest.

use super::{Rule, Safety};

pub(super) const RULE: Rule = Rule {
    code: "AM090",
    title: "`Cargo.toml`",
    safety: Safety::Safe,
    before: "
[dependencies]
tokio = { version = \"1\", features = [\"full\"] }",
    after: "
[dependencies]
asupersync = \"0.1\"",
    why: "
The dependency follows the code: `asupersync` is added where something was rewritten, `asupersync-compat` where code that needs a
tokio runtime is left, and tokio goes when nothing names it any more.",
    items: &[],
};
