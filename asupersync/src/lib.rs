//! asupersync: structured concurrency for Rust.
#![allow(missing_docs, dead_code, unreachable_pub)]
pub mod math;
pub mod types;
pub mod kernel;
pub mod world;
pub mod sched;
pub mod exec;
pub mod cx;
pub mod wait;
pub mod time;
pub mod channel;
pub mod combine;
pub mod io;
pub mod net;
pub mod signal;
pub mod runtime;
pub mod lab;

pub use types::{
    budget::Budget, cancel::{CancelKind, CancelReason, Cancelled}, error::{Error, ErrorKind, Recoverability},
    id::{ObligationId, RegionId, TaskId}, outcome::{join_outcomes, Outcome, OutcomeError, PanicPayload, Severity},
    policy::Policy, report::RegionReport, time::Time,
};
pub use lab::LabConfig;
