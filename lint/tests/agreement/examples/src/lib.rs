//! The test writes here what the rules show in `--explain`.
