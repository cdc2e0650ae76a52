//! Tests that cross crates live in `tests/`, and the program that soaks the runtime in `src/bin`; this library is empty.
