//! Waiting for the clock: sleeping, intervals, deadlines.
//!
//! Invariant: a sleep that is dropped or cancelled leaves no timer behind.

mod interval;
mod sleep;
mod timeout;

pub use interval::{Interval, Missed, Tick};
pub use sleep::Sleep;
pub use timeout::{TimeoutDrop, TimeoutError};

use crate::types::cancel_class::CancelClass;

/// The cancel class of every operation of this module.
pub const CANCEL_CLASS: &[(&str, CancelClass)] = &[
    ("Cx::sleep", CancelClass::Safe),
    ("Cx::sleep_until", CancelClass::Safe),
    ("Interval::tick", CancelClass::Safe),
    ("Cx::timeout", CancelClass::Lossy),
    ("Cx::timeout_drop", CancelClass::Lossy),
];
