//! A lock for one writer or many readers that may be held across an await.

use super::gate::{Claim, Denied, Gate, Gated, Holder};
use super::mapped::{mapped, maps, shows};
use super::outside;
use crate::cx::{Cx, DropSafe};
use crate::types::cancel::Cancelled;
use std::cell::UnsafeCell;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

/// Readers there can be at one time: a reader takes one permit, a writer all.
const READERS: usize = (u32::MAX >> 3) as usize;

/// One writer or many readers at a time, first come, first served.
///
/// A writer in line is not passed by readers that come later, so readers do not
/// starve writers; readers next to each other in line are let in together. So a
/// task that holds a read lock must not wait for another one of the same lock: a
/// writer may stand between the two.
///
/// A panic under a write guard releases the lock; [`RwLock::was_panicked`] tells
/// that it happened.
///
/// ```
/// use asupersync::{LabConfig, LabRuntime, Scope, sync::RwLock};
///
/// LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
///     let config = RwLock::new(1);
///     let mut guard = config.write(&cx).await.unwrap();
///     *guard += 1;
///     let guard = guard.downgrade(); // nobody writes in between
///     assert_eq!((*guard, *config.read(&cx).await.unwrap()), (2, 2));
/// });
/// ```
///
/// A guard of a part lets nobody else see what must not be shared:
///
/// ```compile_fail,E0277
/// use asupersync::sync::MappedReadGuard;
///
/// fn sent<T: Send>(_: T) {}
/// fn guard(guard: MappedReadGuard<'_, std::cell::Cell<u32>>) {
///     sent(guard);
/// }
/// ```
///
/// After the downgrade there is nothing to write with:
///
/// ```compile_fail,E0382
/// use asupersync::sync::RwLock;
///
/// let lock = RwLock::new(1);
/// let mut writes = lock.try_write().unwrap();
/// let reads = writes.downgrade();
/// *writes = 2;
/// ```
pub struct RwLock<T: ?Sized> {
    lock: RawLock,
    value: UnsafeCell<T>,
}

/// All of a lock but its value.
struct RawLock {
    gate: Gate,
    panicked: AtomicBool,
}

// SAFETY: a write guard is alone and gives `&mut T` on any thread.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: as above, and read guards on several threads give `&T` at one time.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

/// How busy a read-write lock is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RwLockStatistics {
    /// Readers that hold it.
    pub readers: usize,
    /// Whether a writer holds it.
    pub writer: bool,
    /// Waiters in line.
    pub waiting: usize,
    /// The largest number that was ever in line at one time.
    pub longest: usize,
}

/// The lock is held, or somebody is in line for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the lock is held: await `read` or `write`, or try again later")]
pub struct WouldBlock;

impl<T> RwLock<T> {
    /// An unlocked lock.
    pub const fn new(value: T) -> Self {
        RwLock {
            lock: RawLock {
                gate: Gate::new(READERS),
                panicked: AtomicBool::new(false),
            },
            value: UnsafeCell::new(value),
        }
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits until it may read.
    ///
    /// # Cancellation
    /// Safe: either the guard is returned, or nothing happened; a lock granted in
    /// the meantime goes to the next in line.
    ///
    /// # Errors
    /// When the task was asked to cancel.
    pub fn read<'a>(&'a self, cx: &'a Cx) -> Read<'a, T> {
        Read(Claim::new(self, cx, 1))
    }

    /// Waits until it may write.
    ///
    /// # Cancellation
    /// Safe, as [`RwLock::read`].
    ///
    /// # Errors
    /// When the task was asked to cancel.
    pub fn write<'a>(&'a self, cx: &'a Cx) -> Write<'a, T> {
        Write(Claim::new(self, cx, READERS))
    }

    /// As [`RwLock::read`], with a guard that owns the lock.
    ///
    /// # Cancellation
    /// Safe, as [`RwLock::read`].
    ///
    /// # Errors
    /// When the task was asked to cancel.
    pub fn read_owned(self: Arc<Self>, cx: &Cx) -> ReadOwned<'_, T> {
        ReadOwned(Claim::new(self, cx, 1))
    }

    /// As [`RwLock::write`], with a guard that owns the lock.
    ///
    /// # Cancellation
    /// Safe, as [`RwLock::read`].
    ///
    /// # Errors
    /// When the task was asked to cancel.
    pub fn write_owned(self: Arc<Self>, cx: &Cx) -> WriteOwned<'_, T> {
        WriteOwned(Claim::new(self, cx, READERS))
    }

    /// Reads on a thread that runs no task, which blocks until it is its turn: it
    /// stands in one line with the tasks. A closure of
    /// [`Cx::spawn_blocking`] that should stop waiting when its task is asked to
    /// cancel waits with its context: `cx.block_on(lock.read(cx))`.
    ///
    /// ```
    /// use asupersync::sync::RwLock;
    ///
    /// static LIMIT: RwLock<u32> = RwLock::new(1);
    ///
    /// std::thread::spawn(|| *LIMIT.blocking_write() += 1).join().unwrap();
    /// assert_eq!(*LIMIT.blocking_read(), 2);
    /// ```
    ///
    /// # Cancellation
    /// None: there is no context that could be asked.
    ///
    /// # Panics
    /// Inside of a task: it would block its worker. In a closure of the lab, when it
    /// has to wait.
    #[track_caller]
    pub fn blocking_read(&self) -> ReadGuard<'_, T> {
        outside::acquire(&self.lock.gate, 1).expect("nobody closes a lock");
        ReadGuard(Held::new(self, None))
    }

    /// Writes on a thread that runs no task, as [`RwLock::blocking_read`] reads.
    ///
    /// # Cancellation
    /// None, as [`RwLock::blocking_read`].
    ///
    /// # Panics
    /// As [`RwLock::blocking_read`].
    #[track_caller]
    pub fn blocking_write(&self) -> WriteGuard<'_, T> {
        outside::acquire(&self.lock.gate, READERS).expect("nobody closes a lock");
        WriteGuard(Held::new(self, None))
    }

    /// Reads if no writer holds the lock and nobody is in line.
    ///
    /// # Errors
    /// When it would have to wait.
    pub fn try_read(&self) -> Result<ReadGuard<'_, T>, WouldBlock> {
        self.take(1)?;
        Ok(ReadGuard(Held::new(self, None)))
    }

    /// Writes if nobody holds the lock or is in line.
    ///
    /// # Errors
    /// When it would have to wait.
    pub fn try_write(&self) -> Result<WriteGuard<'_, T>, WouldBlock> {
        self.take(READERS)?;
        Ok(WriteGuard(Held::new(self, None)))
    }

    /// As [`RwLock::try_read`], with a guard that owns the lock.
    ///
    /// # Errors
    /// When it would have to wait.
    pub fn try_read_owned(self: Arc<Self>) -> Result<OwnedReadGuard<T>, WouldBlock> {
        self.take(1)?;
        Ok(OwnedReadGuard(Held::new(self, None)))
    }

    /// As [`RwLock::try_write`], with a guard that owns the lock.
    ///
    /// # Errors
    /// When it would have to wait.
    pub fn try_write_owned(self: Arc<Self>) -> Result<OwnedWriteGuard<T>, WouldBlock> {
        self.take(READERS)?;
        Ok(OwnedWriteGuard(Held::new(self, None)))
    }

    /// The value: nobody else can hold the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Whether a task panicked under a write guard since the lock was made, or
    /// since [`RwLock::clear_panicked`].
    pub fn was_panicked(&self) -> bool {
        self.lock.panicked.load(Ordering::Acquire)
    }

    /// The value is in order again.
    pub fn clear_panicked(&self) {
        self.lock.panicked.store(false, Ordering::Release);
    }

    /// How busy the lock is.
    pub fn statistics(&self) -> RwLockStatistics {
        let line = self.lock.gate.statistics();
        let free = self.lock.gate.permits().free();
        RwLockStatistics {
            readers: if free == 0 { 0 } else { READERS - free },
            writer: free == 0,
            waiting: line.waiting,
            longest: line.longest,
        }
    }
}

impl<T: ?Sized> Gated for RwLock<T> {
    fn gate(&self) -> &Gate {
        &self.lock.gate
    }
}

impl<T: ?Sized> RwLock<T> {
    fn take(&self, n: usize) -> Result<(), WouldBlock> {
        let taken = self.lock.gate.permits().try_acquire(n);
        taken.map_err(|_| WouldBlock)
    }

    fn raw(&self) -> &RawLock {
        &self.lock
    }
}

impl RawLock {
    fn raw(&self) -> &RawLock {
        self
    }

    /// A reader leaves.
    #[inline(always)]
    fn read(&self, holder: &mut Holder) {
        if !holder.release_at_once(&self.gate, 1) {
            holder.release(&self.gate, 1);
        }
    }

    /// A writer leaves.
    #[inline(always)]
    fn written(&self, holder: &mut Holder) {
        if !holder.release_at_once(&self.gate, READERS) {
            self.written_slowly(holder);
        }
    }

    #[inline(never)]
    fn written_slowly(&self, holder: &mut Holder) {
        if holder.panicked() {
            self.panicked.store(true, Ordering::Release);
        }
        holder.release(&self.gate, READERS);
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        RwLock::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> Self {
        RwLock::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lock = f.debug_struct("RwLock");
        match self.try_read() {
            Ok(guard) => lock.field("value", &&*guard),
            Err(WouldBlock) => lock.field("value", &format_args!("<locked>")),
        };
        lock.finish()
    }
}

/// A lock and who holds it: what the four guards are made of.
struct Held<P> {
    lock: P,
    holder: Holder,
}

impl<T: ?Sized, P: Deref<Target = RwLock<T>>> Held<P> {
    fn new(lock: P, cx: Option<&Cx>) -> Self {
        let holder = Holder::new(&lock.lock.gate, cx);
        Held { lock, holder }
    }

    fn read(&mut self) {
        self.lock.lock.read(&mut self.holder);
    }

    fn written(&mut self) {
        self.lock.lock.written(&mut self.holder);
    }

    /// A writer goes on as a reader; those next in line may read too.
    fn downgrade(&self) {
        self.lock.lock.gate.add(READERS - 1);
    }

    fn value(&self) -> &T {
        // SAFETY: while a guard lives, nobody else writes.
        unsafe { &*self.lock.value.get() }
    }
}

macro_rules! guards {
    (
        $(#[$doc:meta])*
        [$($life:lifetime)?] [$($Of:ident)?] $Lock:ty => $Held:ty, |$lock:ident| $raw:expr,
        read: $Read:ident, $ReadPart:ident, write: $Write:ident, $WritePart:ident
    ) => {
        /// Reads a [`RwLock`]; dropping it unlocks.
        $(#[$doc])*
        #[must_use = "the lock is held until the guard is dropped"]
        pub struct $Read<$($life,)? T: ?Sized>(Held<$Lock>);

        // SAFETY: it gives out `&T`, and the lock.
        unsafe impl<$($life,)? T: ?Sized + Send + Sync> Sync for $Read<$($life,)? T> {}

        impl<$($life,)? T: ?Sized> $Read<$($life,)? T> {
            maps!([] const, $ReadPart<[$($life)?] [$($Of)?]>, T);

            /// The lock that it holds.
            ///
            /// An associated function, so that it hides no method of the value.
            pub fn rwlock(this: &Self) -> &$($life)? $Held {
                &this.0.lock
            }

            fn with_part<V: ?Sized>(self, value: *const V) -> $ReadPart<$($life,)? $($Of,)? V> {
                let this = ManuallyDrop::new(self);
                // SAFETY: the guard is not dropped, so what it held is moved out once.
                let Held { lock: $lock, holder } = unsafe { std::ptr::read(&this.0) };
                $ReadPart { lock: $raw, holder, value }
            }
        }

        impl<$($life,)? T: ?Sized> Deref for $Read<$($life,)? T> {
            type Target = T;

            fn deref(&self) -> &T {
                self.0.value()
            }
        }

        impl<$($life,)? T: ?Sized> Drop for $Read<$($life,)? T> {
            fn drop(&mut self) {
                self.0.read();
            }
        }

        shows!([$($life,)?] $Read<$($life,)? T>, T);

        /// Writes a [`RwLock`]; dropping it unlocks.
        $(#[$doc])*
        #[must_use = "the lock is held until the guard is dropped"]
        pub struct $Write<$($life,)? T: ?Sized>(Held<$Lock>);

        // SAFETY: through a shared guard one gets `&T`, and the lock.
        unsafe impl<$($life,)? T: ?Sized + Send + Sync> Sync for $Write<$($life,)? T> {}

        impl<$($life,)? T: ?Sized> $Write<$($life,)? T> {
            maps!([mut] mut, $WritePart<[$($life)?] [$($Of)?]>, T);

            /// As a guard of a part that is the whole value: for functions that take
            /// guards of parts.
            ///
            /// An associated function, so that it hides no method of the value.
            pub fn into_mapped(this: Self) -> $WritePart<$($life,)? $($Of,)? T> {
                $Write::map(this, |whole| whole)
            }

            /// Goes on as a reader; nobody writes in between, and readers who are
            /// next in line are let in.
            pub fn downgrade(self) -> $Read<$($life,)? T> {
                let held = self.into_held();
                held.downgrade();
                $Read(held)
            }

            /// Goes on as a reader of a part of the value, as [`Self::downgrade`] does
            /// of the whole. The part is chosen before anybody else reads.
            ///
            /// An associated function, so that it hides no method of the value. If
            /// `part` panics, the lock is given up.
            pub fn downgrade_map<V: ?Sized>(
                this: Self,
                part: impl FnOnce(&T) -> &V,
            ) -> $ReadPart<$($life,)? $($Of,)? V> {
                let value: *const V = part(&this);
                this.downgrade().with_part(value)
            }

            /// Goes on as a reader of a part of the value, if it has one.
            ///
            /// # Errors
            /// This guard, which writes as before, when `part` returns `None`.
            pub fn try_downgrade_map<V: ?Sized>(
                this: Self,
                part: impl FnOnce(&T) -> Option<&V>,
            ) -> Result<$ReadPart<$($life,)? $($Of,)? V>, Self> {
                match part(&this).map(std::ptr::from_ref) {
                    Some(value) => Ok(this.downgrade().with_part(value)),
                    None => Err(this),
                }
            }

            /// The lock that it holds.
            ///
            /// An associated function, so that it hides no method of the value.
            pub fn rwlock(this: &Self) -> &$($life)? $Held {
                &this.0.lock
            }

            fn into_held(self) -> Held<$Lock> {
                let this = ManuallyDrop::new(self);
                // SAFETY: the guard is not dropped, so what it held is moved out once.
                unsafe { std::ptr::read(&this.0) }
            }

            fn with_part<V: ?Sized>(self, value: *mut V) -> $WritePart<$($life,)? $($Of,)? V> {
                let Held { lock: $lock, holder } = self.into_held();
                $WritePart { lock: $raw, holder, value }
            }
        }

        impl<$($life,)? T: ?Sized> Deref for $Write<$($life,)? T> {
            type Target = T;

            fn deref(&self) -> &T {
                self.0.value()
            }
        }

        impl<$($life,)? T: ?Sized> DerefMut for $Write<$($life,)? T> {
            fn deref_mut(&mut self) -> &mut T {
                // SAFETY: while the guard lives nobody else has the lock, and the
                // guard is borrowed mutably.
                unsafe { &mut *self.0.lock.value.get() }
            }
        }

        impl<$($life,)? T: ?Sized> Drop for $Write<$($life,)? T> {
            fn drop(&mut self) {
                self.0.written();
            }
        }

        shows!([$($life,)?] $Write<$($life,)? T>, T);
    };
}

guards! {
    ['a] [] &'a RwLock<T> => RwLock<T>, |lock| &lock.lock,
    read: ReadGuard, MappedReadGuard, write: WriteGuard, MappedWriteGuard
}
guards! {
    #[doc = "\n It owns the lock."]
    [] [T] Arc<RwLock<T>> => Arc<RwLock<T>>, |lock| lock,
    read: OwnedReadGuard, OwnedMappedReadGuard, write: OwnedWriteGuard, OwnedMappedWriteGuard
}

mapped! {
    /// A [`ReadGuard`] of a part of the value; see [`ReadGuard::map`].
    MappedReadGuard<['a] []>, &'a RawLock, [] const: Sync, read
}
mapped! {
    /// A [`WriteGuard`] of a part of the value; see [`WriteGuard::map`].
    ///
    /// What is put into the part lives as long as the part says:
    ///
    /// ```compile_fail
    /// use asupersync::sync::MappedWriteGuard;
    ///
    /// fn shorten<'a, 'b>(
    ///     guard: MappedWriteGuard<'a, &'static str>,
    /// ) -> MappedWriteGuard<'a, &'b str> {
    ///     guard
    /// }
    /// ```
    MappedWriteGuard<['a] []>, &'a RawLock, [mut] mut: Send, written
}
mapped! {
    /// An [`OwnedReadGuard`] of a part of the value; see [`OwnedReadGuard::map`].
    ///
    /// ```
    /// use asupersync::sync::{OwnedReadGuard, RwLock};
    /// use std::sync::Arc;
    ///
    /// async fn first(cx: &asupersync::Cx, lines: Arc<RwLock<Vec<String>>>) -> Option<usize> {
    ///     let guard = lines.read_owned(cx).await.ok()?;
    ///     let line = OwnedReadGuard::try_map(guard, |lines| lines.first()).ok()?;
    ///     cx.yield_now().await.ok()?; // kept across an await
    ///     Some(line.len())
    /// }
    /// ```
    ///
    /// Other readers see the part at the same time, so it has to be `Sync`:
    ///
    /// ```compile_fail,E0277
    /// use asupersync::sync::OwnedMappedReadGuard;
    ///
    /// fn sent<T: Send>(_: T) {}
    /// fn guard(guard: OwnedMappedReadGuard<u32, std::cell::Cell<u32>>) {
    ///     sent(guard);
    /// }
    /// ```
    OwnedMappedReadGuard<[] [T: Send + Sync]>, Arc<RwLock<T>>, [] const: Sync, read
}
mapped! {
    /// An [`OwnedWriteGuard`] of a part of the value; see [`OwnedWriteGuard::map`].
    ///
    /// ```
    /// use asupersync::sync::{OwnedWriteGuard, RwLock};
    /// use std::sync::Arc;
    ///
    /// async fn rename(cx: &asupersync::Cx, pair: Arc<RwLock<(u32, String)>>) {
    ///     let guard = pair.write_owned(cx).await.unwrap();
    ///     let mut name = OwnedWriteGuard::map(guard, |pair| &mut pair.1);
    ///     name.push('!');
    /// }
    /// ```
    OwnedMappedWriteGuard<[] [T: Send + Sync]>, Arc<RwLock<T>>, [mut] mut: Send, written
}

macro_rules! of_lock {
    ($($Guard:ident)*) => { $(
        impl<T: ?Sized, U: ?Sized> $Guard<T, U> {
            /// The lock that it holds.
            ///
            /// An associated function, so that it hides no method of the part.
            pub fn rwlock(this: &Self) -> &Arc<RwLock<T>> {
                &this.lock
            }
        }
    )* };
}

of_lock!(OwnedMappedReadGuard OwnedMappedWriteGuard);

macro_rules! futures {
    ($($(#[$doc:meta])* $Future:ident, $Lock:ty => $Guard:ident $(<$life:lifetime>)?;)*) => { $(
        $(#[$doc])*
        #[must_use = "futures do nothing unless awaited"]
        pub struct $Future<'a, T: ?Sized>(Claim<'a, $Lock>);

        impl<'a, T: ?Sized> Future for $Future<'a, T> {
            type Output = Result<$Guard<$($life,)? T>, Cancelled>;

            fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
                let claim = &mut self.get_mut().0;
                Poll::Ready(match ready!(claim.poll(task)) {
                    Ok(()) => Ok($Guard(Held::new(claim.of().clone(), Some(claim.cx())))),
                    Err(Denied::Cancelled(cancelled)) => Err(cancelled),
                    Err(Denied::Closed) => unreachable!("nobody closes a lock"),
                })
            }
        }

        impl<T: ?Sized> DropSafe for $Future<'_, T> {}
    )* };
}

futures! {
    /// Future of [`RwLock::read`].
    Read, &'a RwLock<T> => ReadGuard<'a>;
    /// Future of [`RwLock::write`].
    Write, &'a RwLock<T> => WriteGuard<'a>;
    /// Future of [`RwLock::read_owned`].
    ReadOwned, Arc<RwLock<T>> => OwnedReadGuard;
    /// Future of [`RwLock::write_owned`].
    WriteOwned, Arc<RwLock<T>> => OwnedWriteGuard;
}
