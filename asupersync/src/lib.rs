//! Structured concurrency for Rust: tasks that cannot be orphaned, cancellation
//! that cannot lose work, and a laboratory that can replay both.
//!
//! * Every task belongs to a [`Region`]; a region closes only once everything in
//!   it has ended.
//! * Cancellation is a protocol: a request, a drain under a budget, finalizers.
//!   It never drops a future half-way unless the budget is spent, and then the
//!   report names what was dropped.
//! * Every wait takes a [`Cx`] and ends when its task is asked to cancel.
//! * Effects are reserved, then committed: `tx.reserve(cx).await?.send(v)` loses
//!   nothing, whenever it is cancelled.
//! * The same program runs in production ([`Runtime`]) and in a deterministic
//!   lab ([`LabRuntime`]) with virtual time and an in-memory network.
//!
//! ```
//! use asupersync::{Cx, Runtime, Scope, channel::mpsc};
//!
//! let runtime = Runtime::builder().current_thread().build().unwrap();
//! let sum = runtime
//!     .block_on(async |cx: Scope| {
//!         let (tx, mut rx) = mpsc::channel(4);
//!         cx.region(async |scope| {
//!             for n in 1..=3u64 {
//!                 let tx = tx.clone();
//!                 scope.spawn(async move |cx: Cx| tx.send(&cx, n).await);
//!             }
//!         })
//!         .await?; // all three have ended here
//!         drop(tx);
//!         let mut sum = 0;
//!         while let Ok(n) = rx.recv(&cx).await {
//!             sum += n;
//!         }
//!         Ok::<_, asupersync::RegionError>(sum)
//!     })
//!     .unwrap();
//! assert_eq!(sum.unwrap(), 6);
//! ```
//!
//! The names that every program needs are at the root:
//!
//! ```
//! use asupersync::{
//!     Budget, CancelKind, CancelReason, Cancelled, Cx, Error, ErrorKind, LabConfig, LabRuntime,
//!     ObligationId, Outcome, OutcomeError, PanicPayload, Policy, Recoverability, Region, RegionId,
//!     Runtime, Scope, Severity, TaskHandle, TaskId, Time, join_outcomes,
//! };
//! ```

// So that the macros name this crate the same way inside and outside of it.
extern crate self as asupersync;

pub mod channel;
pub mod combine;
pub mod cx;
pub mod exec;
pub mod fs;
pub mod io;
pub mod kernel;
pub mod lab;
pub mod math;
pub mod net;
#[cfg(unix)]
pub mod process;
pub mod runtime;
pub mod sched;
pub mod signal;
pub mod stream;
pub mod sync;
pub mod time;
pub mod types;
pub mod wait;
pub mod world;

pub use asupersync_macros::{
    join, join_all, lab_test, main, race, scope, select, spawn, test, try_join,
};
pub use cx::{
    Cx, Effect, JoinSet, Region, RegionError, Reserved, Scope, SporkOptions, Stage, Staged,
    TaskBuilder, TryRegionError,
};
pub use exec::drive::Reported;
pub use exec::handle::{SpawnError, TaskHandle};
pub use exec::region::RegionOptions;
pub use lab::{LabConfig, LabRuntime};
pub use math::det::{DetHashMap, DetHashSet};
pub use runtime::Runtime;
pub use time::{Missed, TimeoutError};
pub use types::{
    budget::Budget,
    cancel::{CancelKind, CancelReason, Cancelled},
    caps::{CapSet, Capability, CapabilityDenied},
    error::{Error, ErrorKind, Recoverability},
    id::{ObligationId, RegionId, TaskId},
    outcome::{Outcome, OutcomeError, PanicLocation, PanicPayload, Severity, join_outcomes},
    policy::{Policy, RegionLimits},
    report::RegionReport,
    responsiveness::{Bound, Primitive, RESPONSIVENESS},
    time::Time,
};

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../docs/errors.md")]
struct Errors;

/// The guide, whose examples run with the documentation tests.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../../docs/guide/src/introduction.md")]
    struct Introduction;
    #[doc = include_str!("../../docs/guide/src/regions.md")]
    struct Regions;
    #[doc = include_str!("../../docs/guide/src/cancellation.md")]
    struct Cancellation;
    #[doc = include_str!("../../docs/guide/src/channels.md")]
    struct Channels;
    #[doc = include_str!("../../docs/guide/src/io.md")]
    struct Io;
    #[doc = include_str!("../../docs/guide/src/choosing.md")]
    struct Choosing;
    #[doc = include_str!("../../docs/guide/src/from-tokio.md")]
    struct FromTokio;
}
