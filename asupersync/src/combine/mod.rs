//! Running several things at once inside one task, or as a race of tasks.
//!
//! | form | arms | ends | the rest |
//! |---|---|---|---|
//! | `join!` | futures, in place | when all have | nothing is left |
//! | `race!` | bodies of child regions, in place | when one has and all are gone | asked to cancel and awaited |
//! | [`Cx::race`](crate::Cx::race) | bodies of tasks | the same | the same |
//! | `select!` | futures, in place | when one has | **dropped**, so they must be [`DropSafe`] |
//!
//! What runs in place may borrow, and never outlives the enclosing expression.

pub mod join;
pub mod race;
pub mod select;

pub use crate::cx::DropSafe;
pub use race::{Arm, Winner};
pub use select::{DropOk, drop_ok};
