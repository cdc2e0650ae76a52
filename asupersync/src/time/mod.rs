//! Waiting for the clock: sleeping, intervals, deadlines.
//!
//! Invariant: a sleep that is dropped or cancelled leaves no timer behind.

mod interval;
mod sleep;
mod timeout;

pub use interval::{Interval, Missed};
pub use sleep::Sleep;
pub use timeout::TimeoutError;
