//! Runs a recorded run again and compares, event by event.

use super::config::LabConfig;
use super::failure::LabFailure;
use super::pick::Pick;
use super::report::LabReport;
use super::run::LabRuntime;
use super::trace::Trace;
use crate::cx::Scope;

/// A recorded run that is to be repeated.
///
/// A run and its replay are the check of determinism: whatever a program takes
/// from elsewhere than its `Cx` and lets influence what it does, shows as a
/// difference of the traces, at the first event that it changed.
///
/// ```
/// use asupersync::lab::Replayer;
/// use asupersync::{LabConfig, LabRuntime, Scope};
/// use std::time::Duration;
///
/// async fn program(cx: Scope) {
///     for i in 1..4 {
///         cx.spawn(async move |cx| cx.sleep(Duration::from_secs(i)).await);
///     }
/// }
/// let config = LabConfig::default().seed(1);
/// let lab = LabRuntime::new(config.clone());
/// lab.run(program);
/// Replayer::new(config, lab.trace()).run(program).expect("the program is deterministic");
/// ```
#[derive(Clone, Debug)]
pub struct Replayer {
    config: LabConfig,
    trace: Trace,
}

impl Replayer {
    /// Repeats `trace`, which was recorded under `config`.
    ///
    /// # Panics
    /// When the trace was recorded under another configuration: it cannot be repeated under this one.
    pub fn new(config: LabConfig, trace: Trace) -> Self {
        assert_eq!(
            trace.config,
            config.fingerprint(),
            "the trace was recorded under another configuration; replay it under that one"
        );
        Replayer { config, trace }
    }

    /// Repeats the run.
    ///
    /// # Errors
    /// [`LabFailure::NonDeterminism`] when the second run differs. A run that
    /// failed, and fails again in the same way, is no error; the report tells.
    pub fn run<T>(&self, body: impl AsyncFnOnce(Scope) -> T) -> Result<LabReport, LabFailure> {
        let choices = Pick::replay(self.trace.choices.clone());
        let lab = LabRuntime::new(self.config.clone().seed(self.trace.seed).pick(choices));
        // How it ended is part of the report.
        let _ = lab.try_run(body);
        match self.trace.divergence(&lab.trace()) {
            None => Ok(lab.report()),
            Some(divergence) => Err(LabFailure::NonDeterminism(divergence)),
        }
    }
}
