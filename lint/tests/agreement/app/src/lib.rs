//! Forms that make it hard to tell what is called. `//~ CODE` must be found by both engines; a word behind it says which one alone
//! can: `clippy` where types or expansion are needed, `syn` where the compiler never sees the code.

mod conditional;
mod decoys;
mod expansion;
mod held;
mod names;
mod receivers;
mod selects;
mod transitive;
