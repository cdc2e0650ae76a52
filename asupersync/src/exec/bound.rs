//! What stays on the thread it was made on, inside a task that is `Send`.
//!
//! A task's cell, its wakers and its handle may be held by any thread; only the
//! home that the task was given polls it. Whatever a world does, a [`Bound`]
//! value is neither touched nor dropped by another thread: there, it panics, or
//! is leaked.

use crate::world::{Home, World};
use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::{self, ThreadId};

/// A value and the thread it stays on, which runs tasks for as long.
pub(crate) struct Bound<T> {
    value: ManuallyDrop<T>,
    stay: Stay,
}

// SAFETY: every access, and the drop, checks that it is on the thread that the
// value was made on.
unsafe impl<T> Send for Bound<T> {}

impl<T> Bound<T> {
    /// Binds a value to the calling thread.
    pub(crate) fn new(value: T, stay: Stay) -> Self {
        Bound {
            value: ManuallyDrop::new(value),
            stay,
        }
    }

    /// Calls a bound function; what it returns is bound likewise.
    ///
    /// # Panics
    /// On another thread.
    pub(crate) fn call<A, R>(self, argument: A) -> Bound<R>
    where
        T: FnOnce(A) -> R,
    {
        self.stay.check();
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is not dropped, so each field is moved out once.
        let (f, stay) = unsafe {
            let f = ManuallyDrop::take(&mut this.value);
            (f, std::ptr::read(&this.stay))
        };
        let value = ManuallyDrop::new(f(argument));
        Bound { value, stay }
    }
}

impl<T: Future> Future for Bound<T> {
    type Output = T::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<T::Output> {
        // SAFETY: the value is pinned with the whole, never moved out of a
        // pinned one, and dropped in place.
        let this = unsafe { self.get_unchecked_mut() };
        this.stay.check();
        // SAFETY: as above.
        unsafe { Pin::new_unchecked(&mut *this.value) }.poll(task)
    }
}

impl<T> Drop for Bound<T> {
    fn drop(&mut self) {
        if self.stay.is_here() {
            // SAFETY: the value was not taken, or `self` would not be dropped.
            unsafe { ManuallyDrop::drop(&mut self.value) };
        }
    }
}

/// The calling thread's promise to run tasks; given back when it is dropped.
pub(crate) struct Stay {
    thread: ThreadId,
    home: Home,
    world: Arc<dyn World>,
}

impl Stay {
    /// The promise of the calling thread, if it runs tasks of the world.
    pub(crate) fn here(world: &Arc<dyn World>) -> Option<Self> {
        Some(Stay {
            thread: thread::current().id(),
            home: world.stay()?,
            world: world.clone(),
        })
    }

    pub(crate) fn home(&self) -> Home {
        self.home
    }

    fn is_here(&self) -> bool {
        thread::current().id() == self.thread
    }

    fn check(&self) {
        assert!(
            self.is_here(),
            "a world polls a task that was spawned with spawn_local at its home"
        );
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.world.leave(self.home);
    }
}
