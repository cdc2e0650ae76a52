//! Guards of a part of a value that they alone may change.

/// What `MutexGuard::map` and `WriteGuard::map` return: a `RawLock` that is held,
/// `$leave` that gives it up, and the part.
macro_rules! mapped {
    ($(#[$doc:meta])* $Guard:ident, $leave:ident) => {
        $(#[$doc])*
        #[must_use = "the lock is held until the guard is dropped"]
        pub struct $Guard<'a, T: ?Sized> {
            lock: &'a RawLock,
            holder: Holder,
            value: *mut T,
            _value: PhantomData<&'a mut T>,
        }

        // SAFETY: it is a `&mut T` that unlocks when it is dropped, on any thread.
        unsafe impl<T: ?Sized + Send> Send for $Guard<'_, T> {}
        // SAFETY: through a shared guard one gets `&T` only.
        unsafe impl<T: ?Sized + Sync> Sync for $Guard<'_, T> {}

        impl<T: ?Sized> Deref for $Guard<'_, T> {
            type Target = T;

            fn deref(&self) -> &T {
                // SAFETY: it points into the value, whose lock is ours while the guard lives.
                unsafe { &*self.value }
            }
        }

        impl<T: ?Sized> DerefMut for $Guard<'_, T> {
            fn deref_mut(&mut self) -> &mut T {
                // SAFETY: as above, and the guard is borrowed mutably.
                unsafe { &mut *self.value }
            }
        }

        impl<T: ?Sized> Drop for $Guard<'_, T> {
            fn drop(&mut self) {
                self.lock.$leave(&self.holder);
            }
        }

        impl<T: ?Sized + fmt::Debug> fmt::Debug for $Guard<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }
    };
}
pub(super) use mapped;
