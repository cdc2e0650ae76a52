//! asupersync: structured concurrency for Rust.
#![allow(missing_docs, dead_code, unreachable_pub)]
// So that the macros name this crate the same way inside and outside of it.
extern crate self as asupersync;

pub mod channel;
pub mod combine;
pub mod cx;
pub mod exec;
pub mod io;
pub mod kernel;
pub mod lab;
pub mod math;
pub mod net;
pub mod runtime;
pub mod sched;
pub mod signal;
pub mod time;
pub mod types;
pub mod wait;
pub mod world;

pub use asupersync_macros::{join, lab_test, main, race, select, test};
pub use cx::{Cx, Region, RegionError, Scope, TaskBuilder, TryRegionError};
pub use exec::drive::Reported;
pub use exec::handle::{SpawnError, TaskHandle};
pub use exec::region::RegionOptions;
pub use lab::{LabConfig, LabRuntime};
pub use runtime::Runtime;
pub use time::{Missed, TimeoutError};
pub use types::{
    budget::Budget,
    cancel::{CancelKind, CancelReason, Cancelled},
    error::{Error, ErrorKind, Recoverability},
    id::{ObligationId, RegionId, TaskId},
    outcome::{Outcome, OutcomeError, PanicPayload, Severity, join_outcomes},
    policy::Policy,
    report::RegionReport,
    time::Time,
};
