//! What the program wants to run on every worker thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

type Hook = Arc<dyn Fn() + Send + Sync>;

#[derive(Clone, Default)]
pub(super) struct Hooks {
    start: Vec<Hook>,
    stop: Vec<Hook>,
}

impl Hooks {
    pub(super) fn on_start(&mut self, f: impl Fn() + Send + Sync + 'static) {
        self.start.push(Arc::new(f));
    }

    pub(super) fn on_stop(&mut self, f: impl Fn() + Send + Sync + 'static) {
        self.stop.push(Arc::new(f));
    }

    /// Runs the start hooks now and the stop hooks, in reverse, when the guard is dropped.
    pub(super) fn enter(&self) -> InHooks<'_> {
        self.start.iter().for_each(contained);
        InHooks(self)
    }
}

pub(super) struct InHooks<'a>(&'a Hooks);

impl Drop for InHooks<'_> {
    fn drop(&mut self) {
        self.0.stop.iter().rev().for_each(contained);
    }
}

/// A hook that panics must not cost the runtime a worker; the panic has been
/// printed by the process's panic hook.
fn contained(hook: &Hook) {
    let _ = catch_unwind(AssertUnwindSafe(|| hook()));
}
