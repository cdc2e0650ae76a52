//! Races drain: when a race returns, the region of every arm that joined it is closed.

use super::{Oracle, OracleViolation};
use crate::lab::trace::TraceEvent;
use crate::types::event::Event;
use crate::types::id::RegionId;
use std::collections::BTreeMap;

/// Fires when a race returns before a loser is gone.
#[derive(Debug, Default)]
pub struct RaceDrain {
    /// The arms that have joined a race and are not closed.
    racing: BTreeMap<RegionId, u64>,
    violation: Option<OracleViolation>,
}

impl RaceDrain {
    /// The oracle of a run that has not begun.
    pub const fn new() -> Self {
        RaceDrain {
            racing: BTreeMap::new(),
            violation: None,
        }
    }
}

impl Oracle for RaceDrain {
    fn name(&self) -> &'static str {
        "race drain"
    }

    fn on(&mut self, e: &TraceEvent) {
        match e.event {
            Event::RaceJoined { race, region } => {
                self.racing.insert(region, race);
            }
            Event::RegionClosed { region } => {
                self.racing.remove(&region);
            }
            Event::RaceReturned { race } => {
                let left = self.racing.iter().find(|(_, of)| **of == race);
                if let Some((region, _)) = left {
                    let oracle = self.name();
                    self.violation.get_or_insert(OracleViolation {
                        oracle,
                        what: format!("race {race} returned while the region of an arm was open"),
                        event: Some(e.seq),
                        task: None,
                        region: Some(*region),
                    });
                }
            }
            _ => {}
        }
    }

    fn end(&mut self) {}

    fn check(&self) -> Result<(), OracleViolation> {
        self.violation.clone().map_or(Ok(()), Err)
    }
}
