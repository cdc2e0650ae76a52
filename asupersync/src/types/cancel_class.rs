//! What dropping or cancelling an operation loses.
//!
//! Every module with operations that wait publishes a table `CANCEL_CLASS` of
//! its operations' names and classes; the documentation of each says it again.

/// What is lost when an operation is cancelled or its future is dropped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CancelClass {
    /// Nothing: it had no effect, or the whole effect was delivered.
    Safe,
    /// Nothing: progress is kept in an object, and calling again continues.
    Resumable,
    /// The caller cannot tell how far it got.
    Lossy,
}
