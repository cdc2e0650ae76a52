//! Threads that stand in one boundary's context for as long as they live.
//!
//! For half-migrated programs: with the context in place, tokio's types work anywhere on the thread
//! and `tokio::spawn` lands on the boundary. Covers of one thread are left in the order they
//! were entered, which tokio insists on.

use std::cell::{Cell, RefCell};
use tokio::runtime::{EnterGuard, Handle};

self_cell::self_cell!(
    /// A context entered for longer than a stack frame, together with the handle it borrows.
    struct Cover {
        owner: Handle,
        #[not_covariant]
        dependent: EnterGuard,
    }
);

thread_local! {
    static COVERS: RefCell<Vec<Cover>> = const { RefCell::new(Vec::new()) };
    /// Contexts that a stack frame of this crate holds open in the place of a cover.
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

/// Puts this thread into the runtime's context until [`leave`].
pub(crate) fn enter(handle: &Handle) {
    let cover = Cover::new(handle.clone(), Handle::enter);
    COVERS.with_borrow_mut(|covers| covers.push(cover));
}

/// Takes this thread out of the context it entered last.
pub(crate) fn leave() {
    let cover = COVERS.with_borrow_mut(Vec::pop);
    drop(cover);
}

/// Says that the calling frame holds a context open that is not an entry, until the guard is dropped.
pub(crate) fn caller() -> Caller {
    CALLS.set(CALLS.get() + 1);
    Caller
}

/// See [`caller`].
pub(crate) struct Caller;

impl Drop for Caller {
    fn drop(&mut self) {
        CALLS.set(CALLS.get() - 1);
    }
}

/// Whether a runtime may be entered by this thread as far as can be told without trying: it stands
/// in no context, or in one that a cover put it into, which is not an entry.
pub(crate) fn may_enter() -> bool {
    CALLS.get() > 0
        || COVERS.with_borrow(|covers| !covers.is_empty())
        || Handle::try_current().is_err()
}
