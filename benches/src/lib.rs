//! Benchmarks of asupersync against tokio and smol in the same run.
//!
//! | module | what it holds |
//! |---|---|
//! | [`options`] | the command line |
//! | [`rows`] | what is measured |
//! | [`engine`] | what a runtime offers to be measured, one implementation each |
//! | [`echo`] | servers as processes of their own |
//! | [`contest`] | rounds, all runtimes in turn |
//! | [`measure`], [`allocations`], [`instructions`], [`syscalls`] | clocks and counters |
//! | [`gate`] | instruction counts that are stored, and must not grow |
//! | [`table`], [`machine`] | what is printed and written |

pub mod allocations;
pub mod contest;
pub mod echo;
pub mod engine;
pub mod gate;
pub mod instructions;
pub mod machine;
pub mod measure;
pub mod options;
pub mod rows;
pub mod syscalls;
pub mod table;
