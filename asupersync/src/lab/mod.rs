//! The deterministic world: the same tasks, regions, channels and sockets, with
//! every choice drawn from a seed.
//!
//! | | production | here |
//! |---|---|---|
//! | which task next | workers and their lanes | a [strategy](pick) over everything runnable |
//! | time | monotonic | jumps to the next timer when nothing can run |
//! | sockets | the operating system's | [in memory](net) |
//! | randomness | the operating system's | from the seed |
//! | blocking work | a pool of threads | one step, in its turn, after [`LabConfig::blocking_duration`]; it may not wait |
//! | events | counted | all kept, and judged by [oracles](oracle) |
//!
//! Limits: a poll is atomic here and is not in production, so code that shares
//! memory without a primitive of this crate is explored only between awaits.
//! Time, randomness, threads and I/O that do not come from a `Cx` are not
//! controlled; [`Replayer`] finds out when they matter.

mod config;
mod entry;
mod failure;
mod inject;
pub mod net;
#[cfg(test)]
mod obligation_tests;
pub mod oracle;
pub mod pick;
mod replay;
mod report;
mod run;
mod streams;
#[cfg(test)]
mod tests;
mod trace;
mod world;

pub use crate::sched::StreakLimits;
pub use config::{LabConfig, SEED_VARIABLE};
#[doc(hidden)]
pub use entry::{Verdict, test_entry};
pub use failure::{LabFailure, SpinReport, WaitReport, Waiting};
pub use inject::{Inject, InjectFailure, InjectReport, Injector, Points};
pub use net::{ConnId, Connection, LinkModel, NetModel, VirtualNet};
pub use oracle::{Oracle, OracleViolation};
pub use pick::Pick;
pub use replay::Replayer;
pub use report::LabReport;
pub use run::LabRuntime;
pub use trace::{Divergence, Trace, TraceEvent};
