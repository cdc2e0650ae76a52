//! A whole program in one boundary's context.
