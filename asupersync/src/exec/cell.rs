//! The task cell: header, shared state and future in one allocation.
//!
//! The stage belongs to whoever polls; see rule 3 of [`super::state`] for when
//! the outcome changes hands.

use super::state;
use super::task::{Head, TaskRef};
use super::{cache, contain, poll};
use crate::types::cancel::CancelReason;
use crate::types::outcome::Outcome;
use crate::types::report::FailureValue;
use crate::world::runnable::{Header, Vtable};
use crate::world::{Home, Lane};
use std::cell::UnsafeCell;
use std::future::Future;
use std::marker::PhantomData;
use std::mem;
use std::ptr::NonNull;
use std::sync::Arc;

/// Turns what a body returned into an outcome. `asked` tells why the task
/// was asked to cancel, if it was; few outputs depend on it.
pub(crate) trait Settle<O>: 'static {
    /// The value.
    type T;
    /// The error.
    type E;
    /// Whether its tasks stay at the home that their admission names.
    const LOCAL: bool = false;

    /// The outcome of a body that returned `output`.
    fn settle(
        output: O,
        asked: impl FnOnce() -> Option<Arc<CancelReason>>,
    ) -> Outcome<Self::T, Self::E>;

    /// What a report says about an error.
    fn describe(_: &Self::E) -> String {
        "returned an error".to_owned()
    }

    /// An error that nobody is left to take, for the report; `None` drops it.
    fn keep(_: Self::E) -> Option<FailureValue> {
        None
    }
}

/// Where a task's code is.
pub(crate) enum Stage<F, Fut, T, E> {
    /// Not called yet.
    Body(F),
    /// Running.
    Running(Fut),
    /// Ended.
    Done(Outcome<T, E>),
    /// Dropped, or taken.
    Gone,
}

/// A task of known type.
#[repr(C)]
pub(crate) struct Cell<F, Fut, C>
where
    Fut: Future,
    C: Settle<Fut::Output>,
{
    pub(crate) head: Head,
    pub(crate) stage: UnsafeCell<Stage<F, Fut, C::T, C::E>>,
}

/// The vtable of a cell; `ROOT` for the body given to `block_on`.
pub(crate) struct Typed<F, Fut, C, const ROOT: bool>(PhantomData<(F, Fut, C)>);

impl<F, Fut, C, const ROOT: bool> Typed<F, Fut, C, ROOT>
where
    F: FnOnce(TaskRef) -> Fut,
    Fut: Future,
    C: Settle<Fut::Output>,
{
    pub(crate) const VTABLE: &'static Vtable = &Vtable {
        run: poll::run::<F, Fut, C>,
        release: Self::release,
        lane: Self::lane,
        take: Self::take,
        discard: Self::discard,
        root: ROOT,
        home: if C::LOCAL { Some(Self::home) } else { None },
    };

    /// Allocates a cell and returns it with the references of [`state::BIRTH`].
    pub(crate) fn allocate(head: Head, body: F) -> NonNull<Header> {
        let cell = Cell::<F, Fut, C> {
            head,
            stage: UnsafeCell::new(Stage::Body(body)),
        };
        let at = cache::allocate();
        // SAFETY: it is room for a cell.
        unsafe { at.write(cell) };
        at.cast()
    }

    unsafe fn release(header: NonNull<Header>) {
        // SAFETY: the caller owns a reference.
        if state::release(unsafe { &header.as_ref().state }) {
            let at = header.cast::<Cell<F, Fut, C>>();
            // SAFETY: it was the last, and the cell came from `allocate` with these
            // types. Destructors of users' values in it are contained where they
            // are dropped before; one that unwinds here leaks the room.
            unsafe {
                at.drop_in_place();
                cache::free(at);
            }
        }
    }

    unsafe fn lane(header: NonNull<Header>) -> Lane {
        // SAFETY: the caller owns a reference, which is not given up here.
        let task = mem::ManuallyDrop::new(unsafe { TaskRef::from_raw(header) });
        task.lane()
    }

    unsafe fn home(header: NonNull<Header>) -> Home {
        // SAFETY: the caller owns a reference, and every cell begins with a head.
        unsafe { header.cast::<Head>().as_ref() }.home
    }

    unsafe fn take(header: NonNull<Header>, to: *mut ()) {
        // SAFETY: the caller is the one who may touch the stage of a completed task.
        let stage = unsafe { &mut *header.cast::<Cell<F, Fut, C>>().as_ref().stage.get() };
        let Stage::Done(outcome) = mem::replace(stage, Stage::Gone) else {
            unreachable!("a completed task's outcome is taken once");
        };
        // SAFETY: the caller passes room for an outcome of these types.
        unsafe { to.cast::<Outcome<C::T, C::E>>().write(outcome) };
    }

    unsafe fn discard(header: NonNull<Header>) {
        // SAFETY: the caller is the one who may touch the stage of a completed task.
        let stage = unsafe { header.cast::<Cell<F, Fut, C>>().as_ref().stage.get() };
        clear(stage);
    }
}

/// Drops whatever is in a stage, and contains a panic of its destructor.
///
/// The stage must be the caller's alone.
pub(crate) fn clear<F, Fut, T, E>(
    stage: *mut Stage<F, Fut, T, E>,
) -> Option<crate::types::outcome::PanicPayload> {
    // A future must be dropped where it is, so the stage is overwritten in
    // place. If the destructor unwinds, the assignment still happens.
    // SAFETY: the caller has the stage to itself.
    contain(|| unsafe { *stage = Stage::Gone }).err()
}
