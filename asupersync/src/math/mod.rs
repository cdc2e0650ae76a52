//! Small numeric tools with known laws, below everything that runs.

pub mod det;
pub mod rng;
