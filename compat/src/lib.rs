//! Real tokio libraries inside asupersync regions.
//!
//! reqwest, axum, hyper, tonic, sqlx and their like need tokio itself: its reactor, its timers, its
//! `spawn`. This crate gives them one and keeps the promise of the regions around it: what a
//! library starts has an owner, hears of cancellation, and is gone when the region has closed, or
//! the region says by name what is not.
//!
//! # A boundary
//! A [`Boundary`] is a tokio runtime that a region owns.
//!
//! | | runs on | needs | for |
//! |---|---|---|---|
//! | [`Boundary::adopt`] | our worker, inside the runtime's context | nothing: may borrow, may be `!Send` | calls from a task of ours |
//! | [`Boundary::delegate`] | the boundary's own workers | `Send + 'static` | clients that do much I/O |
//! | [`Boundary::guest`] | | a client that is held for long | connection pools: taken back when the close begins |
//! | [`Boundary::enter`] | this thread, for one call | | constructors that look for a runtime |
//!
//! ```
//! use asupersync::{Runtime, Scope};
//! use asupersync_compat::boundary;
//! use std::time::Duration;
//!
//! # let runtime = Runtime::builder().current_thread().build().unwrap();
//! let sum = runtime.block_on(async |cx: Scope| {
//!     boundary(&cx, async |b| {
//!         // Polled here, so it may borrow; the timer is tokio's.
//!         let numbers = vec![1, 2];
//!         let near = b.adopt(|| async {
//!             tokio::time::sleep(Duration::from_millis(1)).await;
//!             numbers.iter().sum::<i32>()
//!         });
//!         // Runs over there; whatever it spawns does too.
//!         let far = b.delegate(async { tokio::spawn(async { 39 }).await.unwrap() });
//!         Ok::<_, asupersync_compat::UseError>(near.await? + far.await?)
//!     })
//!     .await // every task of tokio's has ended here, and so have its threads
//! });
//! assert_eq!(sum.unwrap().unwrap().unwrap(), 42);
//! ```
//!
//! # The ladder
//! A boundary closes when its region ends or is cancelled, or by [`Boundary::close`]:
//!
//! 1. a close from inside the boundary is refused, since it would wait for itself;
//! 2. the [`Boundary::cancel_token`] fires and guests are revoked: code inside is asked to end;
//! 3. until the cooperative budget is spent, it waits for all tasks and adopted futures to do so;
//! 4. adopted futures that are left are severed, before the runtime they need goes away;
//! 5. the runtime is shut down, which drops its tasks;
//! 6. what is alive is counted once more;
//! 7. the [`EscalationReport`] says how far it had to go: [`Stage::Cooperative`], [`Stage::HardDrop`],
//!    with the names of what was dropped, or [`Stage::Leaked`].
//!
//! Code that blocks its thread for ever cannot be dropped by anybody. A boundary that leaked is never
//! called closed: its region ends in error with the report as the cause.
//!
//! ```
//! use asupersync::{Runtime, Scope};
//! use asupersync_compat::{BoundaryConfig, Stage, boundary_report};
//! use std::time::Duration;
//!
//! # let runtime = Runtime::builder().current_thread().build().unwrap();
//! # runtime.block_on(async |cx: Scope| {
//! let config = BoundaryConfig::new("billing").cooperative(Duration::from_millis(20));
//! let (_, report) = boundary_report(&cx, config, async |b| {
//!     b.scope().close();
//!     b.adopt(std::future::pending::<()>).named("deaf client").await
//! })
//! .await
//! .unwrap();
//! assert_eq!(report.stage, Stage::HardDrop);
//! assert!(report.to_string().contains("adopted future \"deaf client\""));
//! # }).unwrap();
//! ```
//!
//! # Half-migrated programs
//! [`run`], [`run_main`] and [`run_test`] put every worker of ours into one boundary's context, so that
//! tokio's types work in any task while a program is moved over piece by piece.
//!
//! # Limits
//! * Tasks that a library spawns are known by number only. Built with `RUSTFLAGS="--cfg tokio_unstable"`,
//!   reports name the lines that spawned them.
//! * Adopted code has tokio's cooperative budget unless the thread already belongs to another tokio
//!   runtime. Plain tasks under [`run`] have none: a loop over ready resources of tokio's does not yield.
//! * A panic hook that the program installs after the first boundary hides panics of detached tasks
//!   from reports, unless it calls the hook that was there.
//! * tokio reaps child processes and receives signals per process, not per runtime: a child that was
//!   dropped unfinished is a zombie until another runtime reaps it.
//! * A boundary is real threads and sockets also in the lab, which can neither order nor replay them.

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
pub use report::{
    Census, EscalationReport, FutureKind, FutureName, HeldGuest, MAX_NAMED, PanicRecord, Stage,
    StageTimes,
};
pub use run::{Program, run, run_main, run_test};
pub use scoped::{Bounded, RunError, boundary, boundary_report, boundary_with};
pub use token::{cancel_with, token_from};
pub use tokio_util::sync::CancellationToken;
