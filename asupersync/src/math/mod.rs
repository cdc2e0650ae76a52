//! Small numeric tools with known laws, below everything that runs.

pub mod rng;
