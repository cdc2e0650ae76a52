//! What `#[asupersync::lab_test]` expands to.

use super::config::{LabConfig, SEED_VARIABLE, pinned};
use super::run::LabRuntime;
use crate::cx::Scope;
use crate::math::rng;
use std::fmt::Debug;
use std::ops::Range;

/// What a test may return.
pub trait Verdict {
    /// Why the test failed, if it did.
    fn failure(&self) -> Option<String>;
}

impl Verdict for () {
    fn failure(&self) -> Option<String> {
        None
    }
}

impl<T: Verdict, E: Debug> Verdict for Result<T, E> {
    fn failure(&self) -> Option<String> {
        match self {
            Ok(value) => value.failure(),
            Err(e) => Some(format!("the test returned an error: {e:?}")),
        }
    }
}

/// Runs a test under each of the seeds, or under the seed that its name gives,
/// and stops at the first one that fails. `ASUPERSYNC_SEED` pins one seed.
///
/// # Panics
/// When a run fails, with its report and the line that runs it again; and when
/// the range of seeds is empty.
pub fn test_entry<T: Verdict>(
    name: &str,
    seeds: Option<Range<u64>>,
    body: impl AsyncFn(Scope) -> T,
) {
    // Halved, so that the end of the range exists.
    let by_name = rng::hash(name.as_bytes()) >> 1;
    let seeds = seeds.unwrap_or(by_name..by_name + 1);
    let seeds = pinned(SEED_VARIABLE).map_or(seeds, |seed| seed..seed.saturating_add(1));
    assert!(
        !seeds.is_empty(),
        "{name}: the range of seeds {seeds:?} is empty, so nothing would be tested"
    );
    for seed in seeds {
        let lab = LabRuntime::new(LabConfig::default().seed(seed));
        let failure = match lab.try_run(async |cx| body(cx).await) {
            Ok(value) => value.failure().map(|f| f + "\n"),
            Err(_) => Some(String::new()),
        };
        if let Some(failure) = failure {
            panic!("{failure}{}", lab.report().of_test(name));
        }
    }
}
