//! What a lab says about its last run.

use super::config::SEED_VARIABLE;
use super::failure::LabFailure;
use crate::types::report::RegionReport;
use crate::types::time::Time;
use std::fmt;

/// The account of a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LabReport {
    /// The seed.
    pub seed: u64,
    /// Who made the choices.
    pub strategy: &'static str,
    /// Polls and blocking jobs.
    pub steps: u64,
    /// The virtual instant at the end.
    pub at: Time,
    /// Events recorded.
    pub events: usize,
    /// Choices made.
    pub choices: usize,
    /// Names the trace.
    pub hash: u64,
    /// The account of the root region; `None` before the first run.
    pub region: Option<RegionReport>,
    /// Why the run failed, if it did.
    pub failure: Option<LabFailure>,
    /// The line that runs it again.
    pub repro: String,
}

impl LabReport {
    /// The report of a test whose name is known.
    pub(super) fn of_test(mut self, name: &str) -> Self {
        self.repro = format!("{SEED_VARIABLE}={} cargo test {name}", self.seed);
        self
    }
}

impl fmt::Display for LabReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(failure) = &self.failure {
            writeln!(f, "{failure}")?;
        }
        writeln!(
            f,
            "seed {}, {} {} choices, {} steps, {} events until {}, trace {:016x}",
            self.seed, self.choices, self.strategy, self.steps, self.events, self.at, self.hash
        )?;
        if let Some(region) = &self.region {
            writeln!(f, "{region}")?;
        }
        write!(f, "re-run with: {}", self.repro)
    }
}

/// The line that runs the test of the current thread again under a seed.
///
/// The test harness names each test's thread after it; in a program's main
/// thread the line names no test.
pub(super) fn repro(seed: u64) -> String {
    let thread = std::thread::current();
    match thread.name().filter(|name| *name != "main") {
        Some(test) => format!("{SEED_VARIABLE}={seed} cargo test {test}"),
        None => format!("{SEED_VARIABLE}={seed} cargo test"),
    }
}
