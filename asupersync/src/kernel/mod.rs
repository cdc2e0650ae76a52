//! The rules: each transition of the semantics as one function that edits a
//! value and returns what must happen next.
//!
//! A rule never polls, wakes, locks, reads a clock or calls user code.
//!
//! | module | the value it edits |
//! |---|---|
//! | [`task`] | a task's phase, its request to cancel, its masks and cleanup limits |
//! | [`fuel`] | none that decides anything: the account of who a request has reached |
//! | [`drain`] | none: it labels a drain by two looks at it |
//! | [`request`] | what was asked of somebody: reason, time, cleanup limits |
//! | [`obligation`] | the promises of a task: a word |
//! | [`region`] | a region's state, its count of children, the account of their ends |

pub mod drain;
pub mod fuel;
pub mod obligation;
pub mod region;
pub mod request;
pub mod task;
