//! The three lanes of ready tasks as plain values: cancel before timed before ready, with bounded fairness.
//!
//! Nothing here polls, wakes or locks. The production workers and the lab hold
//! these values and ask them which task is next. Invariants:
//!
//! 1. an entry is in exactly one lane;
//! 2. order inside a lane: cancel by priority, then by arrival; timed by
//!    deadline, then by priority, then by arrival; ready by arrival;
//! 3. with the default limits the ready lane is served within
//!    `(L + 1) · (S + 1)` dispatches and the timed lane within `2 · (L + 1)`,
//!    however full the lanes above are (see [`Fairness`]).

mod fairness;
mod lanes;

pub use fairness::{Fairness, Pick, StreakLimits, Waiting};
pub use lanes::{Lanes, Urgent};
