//! The nouns of the semantics: plain data that every other floor speaks in.
//!
//! Nothing here polls, wakes, reads a clock or calls user code, and nothing
//! locks but the one slot of an error that nobody has taken ([`report::FailureValue`]).

pub mod budget;
pub mod cancel;
pub mod cancel_class;
pub mod caps;
pub mod error;
pub mod event;
pub mod id;
pub mod obligation;
pub mod outcome;
pub mod policy;
pub mod report;
pub mod responsiveness;
pub mod slots;
pub mod time;
