//! Running several things at once inside one task, or as a race of tasks.
//!
//! | form | arms | ends | the rest |
//! |---|---|---|---|
//! | `join!` | futures, in place | when all have | nothing is left |
//! | `race!` | bodies of child regions, in place | when one has and all are gone | asked to cancel and awaited |
//! | [`Cx::race`](crate::Cx::race) | bodies of tasks | the same | the same |
//! | `select!` | futures, in place | when one has | **dropped**, so they must be [`DropSafe`] |
//!
//! | `try_join!` | bodies in one child region, in place | when all have | asked to cancel when one fails, and awaited |
//! | [`join_all`] | futures of one kind, in place | when all have | nothing is left |
//! | [`first_ok`], [`quorum`] | bodies of tasks | with enough successes, or too few left | asked to cancel and awaited |
//! | [`hedge()`](hedge) | bodies of tasks, one after the other | with the first success | the same |
//! | [`map_reduce()`](map_reduce) | one task per item, a bounded number at a time | when all have, or one fails | the same |
//! | [`CircuitBreaker`] | one body | when it has, or at once while it is known to fail | nothing is left |
//! | [`Bulkhead`] | one body | when it has, or at once while too many run and wait | nothing is left |
//! | [`RateLimit`] | none | when it is the caller's turn | - |
//! | [`retry()`](retry) | one body, again and again | with a success, or no attempt left | attempts never overlap |
//!
//! What runs in place may borrow, and never outlives the enclosing expression.
//! In all but `select!` nothing is dropped half-way: when they return, whatever
//! they started has ended, which a lab run checks by its oracle `race drain`.

pub mod bulkhead;
mod call;
pub mod circuit_breaker;
pub mod heat;
pub mod hedge;
pub mod join;
pub mod join_all;
pub mod map_reduce;
pub mod quorum;
pub mod race;
pub mod rate_limit;
pub mod retry;
pub mod select;
pub mod try_join;

pub use crate::cx::DropSafe;
use crate::types::cancel_class::CancelClass;
pub use bulkhead::{Bulkhead, BulkheadError, BulkheadStatistics};
pub use circuit_breaker::{
    CircuitBreaker, CircuitConfig, CircuitError, CircuitState, CircuitStatistics,
};
pub use heat::ArmsError;
pub use hedge::hedge;
pub use join_all::{JoinAll, join_all};
pub use map_reduce::{MapError, map_reduce};
pub use quorum::{Success, first_ok, quorum};
pub use race::{Arm, Winner};
pub use rate_limit::{RateLimit, RateLimitStatistics, TakeTurn};
pub use retry::{Backoff, RetryError, retry, retry_if};
pub use select::{DropOk, drop_ok};

/// What happens to a wait that is cancelled or dropped half-way. The forms that
/// run bodies have no class: what a request does to a body, the body says, and
/// dropping the form asks its tasks to cancel.
pub const CANCEL_CLASS: &[(&str, CancelClass)] = &[("RateLimit::acquire", CancelClass::Safe)];
