//! The task cell: header, shared state and future in one allocation.
//!
//! After the head comes room for the code and then for the outcome, which take
//! turns; a tag in the head says which it is. Many cells are alive at a time, so
//! the outcome is kept small: what few tasks end with is in a box of its own.
//!
//! The stage belongs to whoever polls; see rule 3 of [`super::state`] for when
//! the outcome changes hands.

use super::state;
use super::task::{Head, TaskRef};
use super::{cache, contain, poll};
use crate::types::cancel::CancelReason;
use crate::types::id::RegionId;
use crate::types::outcome::{Outcome, PanicPayload, Severity};
use crate::types::report::FailureValue;
use crate::world::runnable::{Header, Vtable};
use crate::world::{Home, Lane};
use std::cell::UnsafeCell;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;

/// How a task ended, as its cell keeps it: an [`Outcome`] whose rare values are elsewhere.
pub(crate) enum Ended<T, E> {
    Ok(T),
    Err(E),
    Cancelled(Arc<CancelReason>),
    Panicked(Box<PanicPayload>),
}

impl<T, E> Ended<T, E> {
    /// The end of a task whose body panicked.
    pub(crate) fn panicked(panic: PanicPayload) -> Self {
        Ended::Panicked(Box::new(panic))
    }

    pub(crate) fn severity(&self) -> Severity {
        match self {
            Ended::Ok(_) => Severity::Ok,
            Ended::Err(_) => Severity::Err,
            Ended::Cancelled(_) => Severity::Cancelled,
            Ended::Panicked(_) => Severity::Panicked,
        }
    }

    #[inline(always)]
    fn into_outcome(self) -> Outcome<T, E> {
        match self {
            Ended::Ok(value) => Outcome::Ok(value),
            Ended::Err(e) => Outcome::Err(e),
            Ended::Cancelled(reason) => Outcome::Cancelled(Arc::unwrap_or_clone(reason)),
            Ended::Panicked(panic) => Outcome::Panicked(*panic),
        }
    }
}

/// Turns what a body returned into an outcome. `asked` tells why the task
/// was asked to cancel, if it was; few outputs depend on it.
pub(crate) trait Settle<O>: 'static {
    /// The value.
    type T;
    /// The error.
    type E;
    /// Whether its tasks stay at the home that their admission names.
    const LOCAL: bool = false;

    /// The end of a task whose body returned `output`.
    fn settle(
        output: O,
        asked: impl FnOnce() -> Option<Arc<CancelReason>>,
    ) -> Ended<Self::T, Self::E>;

    /// What a report says about an error.
    fn describe(_: &Self::E) -> String {
        "returned an error".to_owned()
    }

    /// An error that nobody is left to take, for the report; `None` drops it.
    fn keep(_: Self::E) -> Option<FailureValue> {
        None
    }
}

/// What is in the room of a cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tag {
    /// Code that was not called yet.
    Body,
    /// Code that runs.
    Running,
    /// How it ended.
    Done,
    /// Nothing: it was dropped, or taken.
    Gone,
}

/// Room for a task's code and then its outcome. Not an enum, so that writing one
/// of them moves no more bytes than that one has.
pub(crate) union Room<F, Fut, T, E> {
    body: ManuallyDrop<F>,
    future: ManuallyDrop<Fut>,
    ended: ManuallyDrop<Ended<T, E>>,
}

/// A task of known type.
#[repr(C)]
pub(crate) struct Cell<F, Fut, C>
where
    Fut: Future,
    C: Settle<Fut::Output>,
{
    head: Head,
    room: UnsafeCell<Room<F, Fut, C::T, C::E>>,
}

impl<F, Fut, C> Drop for Cell<F, Fut, C>
where
    Fut: Future,
    C: Settle<Fut::Output>,
{
    fn drop(&mut self) {
        // SAFETY: nobody else is left, so the stage is ours.
        unsafe { Stage::<F, Fut, C>::of(NonNull::from(&mut *self).cast()) }.empty();
    }
}

/// The stage of a task in the hands of whoever it belongs to; see rule 3 of
/// [`super::state`]. The tag in the head says what is in the room.
pub(crate) struct Stage<F, Fut, C>(NonNull<Cell<F, Fut, C>>)
where
    Fut: Future,
    C: Settle<Fut::Output>;

impl<F, Fut, C> Stage<F, Fut, C>
where
    Fut: Future,
    C: Settle<Fut::Output>,
{
    /// # Safety
    /// `header` is the front of a cell of these types, which outlives the value,
    /// and as long as the value is used the stage belongs to the caller.
    pub(crate) unsafe fn of(header: NonNull<Header>) -> Self {
        Stage(header.cast())
    }

    fn tag(&self) -> *mut Tag {
        // SAFETY: the cell is alive, as `of` was promised.
        unsafe { self.0.as_ref() }.head.stage.get()
    }

    fn room(&self) -> *mut Room<F, Fut, C::T, C::E> {
        // SAFETY: as above.
        unsafe { self.0.as_ref() }.room.get()
    }

    fn is(&self, tag: Tag) -> bool {
        // SAFETY: the stage is the caller's, as `of` was promised, and so is its tag.
        unsafe { *self.tag() == tag }
    }

    fn mark(&mut self, tag: Tag) {
        // SAFETY: as above.
        unsafe { *self.tag() = tag }
    }

    /// Takes the body out, if it was not called yet.
    #[inline]
    pub(crate) fn take_body(&mut self) -> Option<F> {
        if !self.is(Tag::Body) {
            return None;
        }
        self.mark(Tag::Gone);
        // SAFETY: the tag said that it is there, and now it is not; a body is not
        // pinned, so it may be moved out.
        Some(unsafe { ManuallyDrop::take(&mut (*self.room()).body) })
    }

    /// Puts the future in, where the body was.
    #[inline]
    pub(crate) fn begin(&mut self, future: Fut) {
        debug_assert!(self.is(Tag::Gone), "the body was taken");
        // SAFETY: the room is ours and empty.
        unsafe { (&raw mut (*self.room()).future).write(ManuallyDrop::new(future)) };
        self.mark(Tag::Running);
    }

    /// The future of a task that runs.
    #[inline]
    pub(crate) fn future(&mut self) -> Pin<&mut Fut> {
        assert!(self.is(Tag::Running), "only a live task is polled");
        // SAFETY: the tag says that it is there. It lives in a heap cell and is
        // dropped in place by `empty`.
        unsafe { Pin::new_unchecked(&mut *(*self.room()).future) }
    }

    /// Puts the end in. What was there before must be gone.
    #[inline]
    pub(crate) fn end(&mut self, ended: Ended<C::T, C::E>) {
        debug_assert!(self.is(Tag::Gone), "what was there was dropped");
        // SAFETY: the room is ours and empty.
        unsafe { (&raw mut (*self.room()).ended).write(ManuallyDrop::new(ended)) };
        self.mark(Tag::Done);
    }

    /// How the task ended.
    ///
    /// # Panics
    /// When it has not, or its outcome was taken.
    #[inline]
    pub(crate) fn ended(&self) -> &Ended<C::T, C::E> {
        assert!(self.is(Tag::Done), "a task completes with its outcome set");
        // SAFETY: the tag says that it is there.
        unsafe { &(*self.room()).ended }
    }

    /// Takes the end out.
    ///
    /// # Panics
    /// As [`Stage::ended`].
    #[inline]
    pub(crate) fn take(&mut self) -> Ended<C::T, C::E> {
        assert!(
            self.is(Tag::Done),
            "a completed task's outcome is taken once"
        );
        self.mark(Tag::Gone);
        // SAFETY: the tag said that it is there, and now it is not.
        unsafe { ManuallyDrop::take(&mut (*self.room()).ended) }
    }

    /// Drops whatever is there, in place, as a future must be.
    #[inline]
    fn empty(&mut self) {
        // SAFETY: the stage is ours.
        let tag = unsafe { *self.tag() };
        // If a destructor unwinds, nothing is there any more.
        self.mark(Tag::Gone);
        let room = self.room();
        // SAFETY: the tag said what is there, and now it is not.
        unsafe {
            match tag {
                Tag::Body => ManuallyDrop::drop(&mut (*room).body),
                Tag::Running => ManuallyDrop::drop(&mut (*room).future),
                Tag::Done => ManuallyDrop::drop(&mut (*room).ended),
                Tag::Gone => {}
            }
        }
    }

    /// Drops whatever is there, and contains a panic of its destructor.
    pub(crate) fn clear(&mut self) -> Option<PanicPayload> {
        contain(|| self.empty()).err()
    }
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
        region: Self::region,
        take: Self::take,
        discard: Self::discard,
        root: ROOT,
        home: if C::LOCAL { Some(Self::home) } else { None },
    };

    /// Room for a cell, to be filled by [`Typed::fill`].
    #[inline(always)]
    pub(crate) fn allocate() -> NonNull<Header> {
        cache::allocate::<Cell<F, Fut, C>>().cast()
    }

    /// Makes a cell with the references that its head says.
    ///
    /// # Safety
    /// `at` came from [`Typed::allocate`], and nobody has read it.
    #[inline(always)]
    pub(crate) unsafe fn fill(at: NonNull<Header>, head: Head, body: F) {
        let cell = at.cast::<Cell<F, Fut, C>>().as_ptr();
        // Field by field: the room is not copied through the stack.
        // SAFETY: it is room for a cell, and ours.
        unsafe {
            (&raw mut (*cell).head).write(head);
            let room = (&raw mut (*cell).room).cast::<ManuallyDrop<F>>();
            room.write(ManuallyDrop::new(body));
        }
    }

    /// Gives up `n` references.
    ///
    /// # Safety
    /// The caller owns them.
    unsafe fn release(header: NonNull<Header>, n: usize) {
        // SAFETY: the caller owns a reference.
        if state::release(unsafe { &header.as_ref().state }, n) {
            // SAFETY: it was the last.
            unsafe { Self::free(header) };
        }
    }

    /// Apart, since most references that are given up are not the last.
    ///
    /// # Safety
    /// Nobody has a reference any more.
    #[inline(never)]
    unsafe fn free(header: NonNull<Header>) {
        let at = header.cast::<Cell<F, Fut, C>>();
        // SAFETY: it is the caller's alone, and came from `allocate` with these
        // types. Destructors of users' values in it are contained where they
        // are dropped before; one that unwinds here leaks the room.
        unsafe {
            at.drop_in_place();
            cache::free(at);
        }
    }

    unsafe fn lane(header: NonNull<Header>) -> Lane {
        // SAFETY: the caller owns a reference, which is not given up here.
        let task = ManuallyDrop::new(unsafe { TaskRef::from_raw(header) });
        task.lane()
    }

    unsafe fn region(header: NonNull<Header>) -> RegionId {
        // SAFETY: the caller owns a reference, and every cell begins with a head.
        unsafe { header.cast::<Head>().as_ref() }.region.id
    }

    unsafe fn home(header: NonNull<Header>) -> Home {
        // SAFETY: the caller owns a reference, and every cell begins with a head.
        unsafe { header.cast::<Head>().as_ref() }.home
    }

    unsafe fn take(header: NonNull<Header>, to: *mut ()) {
        // SAFETY: the caller is the one who may touch the stage of a completed task.
        let ended = unsafe { Stage::<F, Fut, C>::of(header) }.take();
        // SAFETY: the caller passes room for an outcome of these types.
        unsafe { to.cast::<Outcome<C::T, C::E>>().write(ended.into_outcome()) };
    }

    unsafe fn discard(header: NonNull<Header>) {
        // SAFETY: the caller is the one who may touch the stage of a completed task.
        unsafe { Stage::<F, Fut, C>::of(header) }.clear();
    }
}
