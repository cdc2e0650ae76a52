//! Not calling for a while what has failed too often.
//!
//! Source: Nygard, "Release It!", 2007, "Circuit Breaker".
//!
//! | state | a call | succeeds | fails | ends undecided |
//! |---|---|---|---|---|
//! | Closed | runs | failures in a row := 0 | one more; the last allowed one → Open | - |
//! | Open | is refused until it is time, then → HalfOpen and runs | - | - | - |
//! | HalfOpen | runs as a probe, if one is left to run | the last needed one → Closed | → Open | its probe may run again |
//!
//! Invariants:
//!
//! 1. no more than `probes` calls run while it is HalfOpen;
//! 2. a call that was begun in an earlier period than the present one decides nothing;
//! 3. a call that is cancelled, or dropped, says nothing about what it called.

use super::call;
use crate::cx::{Cx, RegionError, Scope};
use crate::exec::lock;
use crate::exec::probe::CancelProbe;
use crate::types::cancel::Cancelled;
use crate::types::time::Time;
use std::sync::Mutex;
use std::time::Duration;

/// When a circuit opens and closes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CircuitConfig {
    /// Failures in a row that open it; at least 1.
    pub failures: u32,
    /// How long it stays open before it lets a probe through.
    pub open_for: Duration,
    /// Probes that have to succeed to close it, and that may run at one time; at least 1.
    pub probes: u32,
}

impl Default for CircuitConfig {
    /// Five failures, thirty seconds, one probe.
    fn default() -> Self {
        CircuitConfig {
            failures: 5,
            open_for: Duration::from_secs(30),
            probes: 1,
        }
    }
}

/// Where a circuit breaker is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CircuitState {
    /// Calls run.
    Closed,
    /// Calls are refused.
    Open {
        /// Until then.
        until: Time,
    },
    /// Some calls run, to find out whether all may.
    HalfOpen,
}

/// Why a call through a circuit breaker gave no value.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CircuitError<E> {
    /// It was not made: too many before it have failed.
    #[error("the circuit is open until {until}: what it leads to has failed too often")]
    Open {
        /// When it is worth trying again.
        until: Time,
    },
    /// The call failed.
    #[error("{0}")]
    Failed(E),
    /// The caller was asked to cancel.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// Something else in the region of the call went wrong.
    #[error(transparent)]
    Region(RegionError),
}

/// How busy a circuit breaker is, and how often it intervened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CircuitStatistics {
    /// Calls that succeeded.
    pub succeeded: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// How often the circuit opened.
    pub opened: u64,
}

/// Refuses calls for a while after too many have failed, so that what they lead
/// to can recover, and their callers learn at once. Share it by reference or in an `Arc`.
///
/// ```
/// use asupersync::combine::{CircuitBreaker, CircuitConfig, CircuitError};
/// # use asupersync::{LabConfig, LabRuntime, Scope};
/// # LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
/// let breaker = CircuitBreaker::new(CircuitConfig { failures: 2, ..CircuitConfig::default() });
/// for _ in 0..2 {
///     let failed = breaker.call(&cx, async |_s| Err::<(), _>("down")).await;
///     assert!(matches!(failed, Err(CircuitError::Failed("down"))));
/// }
/// let refused = breaker.call(&cx, async |_s| Ok::<_, &str>(())).await;
/// assert!(matches!(refused, Err(CircuitError::Open { .. })));
/// # });
/// ```
#[derive(Debug)]
pub struct CircuitBreaker {
    circuit: Mutex<Circuit>,
}

impl CircuitBreaker {
    /// A closed circuit.
    pub fn new(config: CircuitConfig) -> Self {
        CircuitBreaker {
            circuit: Mutex::new(Circuit::new(config)),
        }
    }

    /// Runs `body` in a region of its own, unless the circuit is open.
    ///
    /// It counts as failed when the body returns an error, when a task that it
    /// spawned fails, and when it panics.
    ///
    /// # Cancellation
    /// A request reaches the body, which is drained; the call then counts as
    /// neither, whatever it returns.
    ///
    /// # Errors
    /// [`CircuitError`].
    ///
    /// # Panics
    /// With the body's panic.
    pub async fn call<T, E, M, F, Fut>(&self, cx: &Cx, body: F) -> Result<T, CircuitError<E>>
    where
        F: FnOnce(Scope) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: CancelProbe<M>,
    {
        cx.checkpoint()?;
        let admitted = lock(&self.circuit).admit(cx.now());
        let period = admitted.map_err(|until| CircuitError::Open { until })?;
        let mut trial = Trial {
            breaker: self,
            period,
            end: End::Undecided,
        };
        let opened = call::open(cx, "call", CircuitError::Region)?;
        let failed = |r: &Result<T, E>| r.is_err().then(|| "the call failed".to_owned());
        let mut reported = opened.run(body, failed).await;
        let now = cx.now();
        match reported.value.take() {
            Some(Err(error)) => {
                call::cancelled(cx, &error)?;
                trial.end = End::Failed(now);
                Err(CircuitError::Failed(error))
            }
            value => {
                let well = value.is_some() && reported.report.is_ok();
                reported.value = value;
                if !cx.is_cancel_requested() {
                    trial.end = if well {
                        End::Succeeded
                    } else {
                        End::Failed(now)
                    };
                }
                let result = reported.into_result().map_err(CircuitError::Region)?;
                result.map_err(CircuitError::Failed)
            }
        }
    }

    /// Where it is. It stays open until the first call after its time.
    pub fn state(&self) -> CircuitState {
        lock(&self.circuit).state()
    }

    /// What it has done.
    pub fn statistics(&self) -> CircuitStatistics {
        lock(&self.circuit).statistics
    }
}

/// A call under way; its drop tells the circuit how it ended.
struct Trial<'a> {
    breaker: &'a CircuitBreaker,
    period: u64,
    end: End,
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        lock(&self.breaker.circuit).ended(self.period, self.end);
    }
}

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Succeeded,
    Failed(Time),
    Undecided,
}

/// The rules, as a value.
#[derive(Debug)]
struct Circuit {
    config: CircuitConfig,
    phase: Phase,
    /// Counts the changes of phase: a call belongs to the period in which it began.
    period: u64,
    statistics: CircuitStatistics,
}

#[derive(Debug)]
enum Phase {
    Closed { failures: u32 },
    Open { until: Time },
    HalfOpen { running: u32, succeeded: u32 },
}

impl Circuit {
    fn new(config: CircuitConfig) -> Self {
        let config = CircuitConfig {
            failures: config.failures.max(1),
            probes: config.probes.max(1),
            ..config
        };
        Circuit {
            config,
            phase: Phase::Closed { failures: 0 },
            period: 0,
            statistics: CircuitStatistics::default(),
        }
    }

    fn state(&self) -> CircuitState {
        match self.phase {
            Phase::Closed { .. } => CircuitState::Closed,
            Phase::Open { until } => CircuitState::Open { until },
            Phase::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }

    /// A call wants to run: its period, or when to try again.
    fn admit(&mut self, now: Time) -> Result<u64, Time> {
        if let Phase::Open { until } = self.phase
            && now >= until
        {
            self.enter(Phase::HalfOpen {
                running: 0,
                succeeded: 0,
            });
        }
        match &mut self.phase {
            Phase::Closed { .. } => Ok(self.period),
            Phase::HalfOpen { running, succeeded }
                if *running + *succeeded < self.config.probes =>
            {
                *running += 1;
                Ok(self.period)
            }
            Phase::HalfOpen { .. } => {
                self.statistics.refused += 1;
                // The probes decide, and nobody knows when.
                Err(now)
            }
            Phase::Open { until } => {
                self.statistics.refused += 1;
                Err(*until)
            }
        }
    }

    /// A call has ended.
    fn ended(&mut self, period: u64, end: End) {
        match end {
            End::Succeeded => self.statistics.succeeded += 1,
            End::Failed(_) => self.statistics.failed += 1,
            End::Undecided => {}
        }
        if period != self.period {
            return;
        }
        match (&mut self.phase, end) {
            (Phase::Closed { failures }, End::Succeeded) => *failures = 0,
            (Phase::Closed { failures }, End::Failed(now)) => {
                *failures += 1;
                if *failures >= self.config.failures {
                    self.open(now);
                }
            }
            (Phase::HalfOpen { running, succeeded }, End::Succeeded) => {
                *running -= 1;
                *succeeded += 1;
                if *succeeded >= self.config.probes {
                    self.enter(Phase::Closed { failures: 0 });
                }
            }
            (Phase::HalfOpen { .. }, End::Failed(now)) => self.open(now),
            (Phase::HalfOpen { running, .. }, End::Undecided) => *running -= 1,
            (Phase::Closed { .. } | Phase::Open { .. }, _) => {}
        }
    }

    fn open(&mut self, now: Time) {
        self.statistics.opened += 1;
        let until = now + self.config.open_for;
        self.enter(Phase::Open { until });
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.period += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Call,
        End(usize, u8),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => Just(Step::Call),
            3 => (any::<usize>(), 0u8..3).prop_map(|(who, how)| Step::End(who, how)),
            1 => (0u64..15).prop_map(Step::Wait),
        ]
    }

    proptest! {
        #[test]
        fn keeps_its_invariants(steps in prop::collection::vec(step(), 0..200), probes in 1u32..4) {
            let config = CircuitConfig { failures: 3, open_for: Duration::from_nanos(10), probes };
            let mut circuit = Circuit::new(config);
            let (mut now, mut in_a_row) = (Time::ZERO, 0);
            let mut running: Vec<u64> = Vec::new();
            for s in steps {
                match s {
                    Step::Wait(ns) => now = now + Duration::from_nanos(ns),
                    Step::Call => {
                        let before = circuit.state();
                        match circuit.admit(now) {
                            Ok(period) => {
                                running.push(period);
                                if let CircuitState::Open { until } = before {
                                    prop_assert!(now >= until);
                                }
                            }
                            Err(_) => prop_assert_ne!(before, CircuitState::Closed),
                        }
                    }
                    Step::End(..) if running.is_empty() => {}
                    Step::End(who, how) => {
                        let period = running.swap_remove(who % running.len());
                        let before = circuit.state();
                        let current = period == circuit.period;
                        let end = [End::Succeeded, End::Failed(now), End::Undecided][usize::from(how)];
                        circuit.ended(period, end);
                        if !current {
                            prop_assert_eq!(circuit.state(), before, "a call of another period decides nothing");
                            continue;
                        }
                        in_a_row = match end {
                            End::Failed(_) => in_a_row + 1,
                            End::Succeeded => 0,
                            End::Undecided => in_a_row,
                        };
                        let opens = match before {
                            CircuitState::Closed => in_a_row >= 3,
                            CircuitState::HalfOpen => matches!(end, End::Failed(_)),
                            CircuitState::Open { .. } => false,
                        };
                        let open = CircuitState::Open { until: now + config.open_for };
                        prop_assert_eq!(circuit.state() == open, opens);
                        if circuit.state() != before {
                            in_a_row = 0;
                        }
                    }
                }
                if circuit.state() == CircuitState::HalfOpen {
                    let probing = running.iter().filter(|p| **p == circuit.period).count();
                    prop_assert!(probing <= probes as usize);
                }
            }
        }
    }
}
