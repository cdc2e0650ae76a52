//! The two engines and how their findings become one list.
//!
//! * [`resolved`] asks the user's own clippy which watched paths are called where; it sees through aliases, macros and inferred
//!   receivers.
//! * [`syntactic`] walks the source with its own name resolution, places what the compiler named in its context, and adds the
//!   calls that only it can see: code behind a `cfg`, crates that do not compile.
//!
//! A site that both name is one finding. One that syntax alone names is marked as unresolved, and is left out where the compiler
//! saw the whole function and syntax had no more to go by than the name of a method.

pub(crate) mod marks;
pub(crate) mod resolved;
pub(crate) mod syntactic;
