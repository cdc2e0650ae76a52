//! Guards of a part of a value, and the ways there; and what all guards show.
//!
//! What follows a bracket says what the part may be used for: `[mut] mut` to change
//! it, `[] const` to read it.

/// `map` and `try_map` of a guard of a `T`. It has `with_part`, which gives it up
/// for one of the part at an address.
macro_rules! maps {
    ([$($mut:ident)?] $ptr:ident, $Part:ident<[$($life:lifetime)?] [$($Of:ident)?]>, $T:ident) => {
        /// A guard of a part of the value.
        ///
        /// An associated function, so that it hides no method of the value. If
        /// `part` panics, the lock is given up.
        pub fn map<V: ?Sized>(
            this: Self,
            part: impl FnOnce(&$($mut)? $T) -> &$($mut)? V,
        ) -> $Part<$($life,)? $($Of,)? V> {
            let $($mut)? this = this;
            let value: *$ptr V = part(&$($mut)? this);
            this.with_part(value)
        }

        /// A guard of a part of the value, if it has one.
        ///
        /// # Errors
        /// This guard, when `part` returns `None`.
        pub fn try_map<V: ?Sized>(
            this: Self,
            part: impl FnOnce(&$($mut)? $T) -> Option<&$($mut)? V>,
        ) -> Result<$Part<$($life,)? $($Of,)? V>, Self> {
            let $($mut)? this = this;
            let value = part(&$($mut)? this).map(|value| -> *$ptr V { value });
            match value {
                Some(value) => Ok(this.with_part(value)),
                None => Err(this),
            }
        }
    };
}
pub(super) use maps;

/// What `map` returns: `$Lock`, whose `raw()` is held and given up by `$leave`, and
/// the part. The lock may have to be sent, or shared, with the guard: `$bound` says
/// of what.
macro_rules! mapped {
    (
        $(#[$doc:meta])*
        $Guard:ident<[$($life:lifetime)?] [$($Of:ident: $bound:ident $(+ $more:ident)?)?]>, $Lock:ty,
        [$($mut:ident)?] $ptr:ident: $Sent:ident, $leave:ident
    ) => {
        $(#[$doc])*
        #[must_use = "the lock is held until the guard is dropped"]
        pub struct $Guard<$($life,)? $($Of: ?Sized,)? U: ?Sized $(= $Of)?> {
            lock: $Lock,
            holder: Holder,
            value: *$ptr U,
        }

        // SAFETY: it is a reference to the part, `&mut` or `&`, that unlocks when it
        // is dropped, on any thread; a lock that it owns may be dropped with it.
        unsafe impl<$($life,)? $($Of: ?Sized + $bound $(+ $more)?,)? U: ?Sized + $Sent> Send
            for $Guard<$($life,)? $($Of,)? U>
        {
        }
        // SAFETY: through a shared guard one gets `&U`, and the lock if it owns that.
        unsafe impl<$($life,)? $($Of: ?Sized + $bound $(+ $more)?,)? U: ?Sized + Sync> Sync
            for $Guard<$($life,)? $($Of,)? U>
        {
        }

        impl<$($life,)? $($Of: ?Sized,)? U: ?Sized> $Guard<$($life,)? $($Of,)? U> {
            maps!([$($mut)?] $ptr, $Guard<[$($life)?] [$($Of)?]>, U);

            fn with_part<V: ?Sized>(self, value: *$ptr V) -> $Guard<$($life,)? $($Of,)? V> {
                let this = ManuallyDrop::new(self);
                // SAFETY: the guard is not dropped, so what it held is moved out once.
                let (lock, holder) = unsafe {
                    (std::ptr::read(&this.lock), std::ptr::read(&this.holder))
                };
                $Guard { lock, holder, value }
            }
        }

        impl<$($life,)? $($Of: ?Sized,)? U: ?Sized> Deref for $Guard<$($life,)? $($Of,)? U> {
            type Target = U;

            fn deref(&self) -> &U {
                // SAFETY: it points into the value, which nobody else changes while
                // the guard lives.
                unsafe { &*self.value }
            }
        }

        mapped!(@[$($mut)?] $Guard<[$($life)?] [$($Of)?]>);

        impl<$($life,)? $($Of: ?Sized,)? U: ?Sized> Drop for $Guard<$($life,)? $($Of,)? U> {
            fn drop(&mut self) {
                self.lock.raw().$leave(&mut self.holder);
            }
        }

        shows!([$($life,)? $($Of: ?Sized,)?] $Guard<$($life,)? $($Of,)? U>, U);
    };
    (@[] $($guard:tt)*) => {};
    (@[mut] $Guard:ident<[$($life:lifetime)?] [$($Of:ident)?]>) => {
        impl<$($life,)? $($Of: ?Sized,)? U: ?Sized> DerefMut for $Guard<$($life,)? $($Of,)? U> {
            fn deref_mut(&mut self) -> &mut U {
                // SAFETY: the lock is ours while the guard lives, and the guard is
                // borrowed mutably.
                unsafe { &mut *self.value }
            }
        }
    };
}
pub(super) use mapped;

/// A guard of a `$T` shows that.
macro_rules! shows {
    ([$($generics:tt)*] $Guard:ty, $T:ident) => {
        impl<$($generics)* $T: ?Sized + fmt::Debug> fmt::Debug for $Guard {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }

        impl<$($generics)* $T: ?Sized + fmt::Display> fmt::Display for $Guard {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }
    };
}
pub(super) use shows;
