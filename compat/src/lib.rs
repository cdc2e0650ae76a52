//! Real tokio libraries inside asupersync regions.
mod adopt;
mod asked;
mod boundary;
mod close;
mod config;
mod context;
mod convert;
mod cover;
mod delegate;
mod error;
mod guest;
mod host;
pub mod io;
mod journal;
mod ladder;
mod owner;
mod report;
mod run;
mod scoped;
mod seat;
mod token;

pub use adopt::Adopted;
pub use boundary::Boundary;
pub use close::Closed;
pub use config::{
    BoundaryConfig, Budgets, ConfigError, DEFAULT_BLOCKING_THREADS, DEFAULT_WORKERS, Flavor,
    MAX_BUDGET, MAX_NAME, MAX_WORKERS,
};
pub use context::{WithCx, current_cx, with_cx};
pub use convert::{outcome_of, outcome_of_result, outcome_of_use};
pub use delegate::Delegated;
pub use error::{CloseError, OpenError, UseError};
pub use guest::{Guest, Lent};
pub use owner::Owner;
pub use report::{
    Census, EscalationReport, FutureKind, FutureName, HeldGuest, MAX_NAMED, PanicRecord, Stage,
    StageTimes,
};
pub use run::{Program, run, run_main};
pub use scoped::{Bounded, RunError, boundary, boundary_report, boundary_with};
pub use token::{cancel_with, token_from};
pub use tokio_util::sync::CancellationToken;
