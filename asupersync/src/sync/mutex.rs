//! A lock that may be held across an await.

use super::LockStatistics;
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

/// One holder at a time, first come, first served.
///
/// A panic under the guard releases the lock; [`Mutex::was_panicked`] tells that
/// it happened. A mutex made by [`Mutex::poisoning`] refuses instead, as `std`'s
/// does.
///
/// The guard may be held across an await. Where no await stands between lock
/// and unlock, `std::sync::Mutex` is cheaper.
///
/// ```
/// use asupersync::sync::Mutex;
///
/// static NAMES: Mutex<Vec<String>> = Mutex::new(Vec::new());
///
/// NAMES.try_lock().unwrap().push("a".to_owned());
/// assert!(!NAMES.statistics().locked);
/// ```
///
/// A guard lets nobody else see a value that must not be shared:
///
/// ```compile_fail,E0277
/// use asupersync::sync::MutexGuard;
///
/// fn shared<T: Sync>(_: T) {}
/// fn guard(guard: MutexGuard<'_, std::cell::Cell<u32>>) {
///     shared(guard);
/// }
/// ```
///
/// nor hands it to another thread through the mutex of a guard that is shared:
///
/// ```compile_fail,E0277
/// use asupersync::sync::MutexGuard;
///
/// fn shared<T: Sync>(_: T) {}
/// fn guard(guard: MutexGuard<'_, std::sync::MutexGuard<'static, u32>>) {
///     shared(guard);
/// }
/// ```
pub struct Mutex<T: ?Sized> {
    lock: RawLock,
    value: UnsafeCell<T>,
}

/// All of a mutex but its value.
struct RawLock {
    gate: Gate,
    poisons: bool,
    panicked: AtomicBool,
}

// SAFETY: the value is reached through a guard only, of which there is one at a
// time, and through `&mut Mutex`; so sharing the mutex sends the value around.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

/// The mutex was not locked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LockError {
    /// The task was asked to cancel.
    #[error("waiting for a lock was cancelled; to lock while cancelling use `lock(cx.cleanup())`")]
    Cancelled(#[from] Cancelled),
    /// A task panicked while it held the lock: the value may be half-changed.
    #[error(
        "a task panicked while it held this lock; repair the value, then call `clear_panicked`"
    )]
    Poisoned,
}

/// The mutex was not locked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TryLockError {
    /// Somebody holds it, or is in line for it.
    #[error("the lock is held: await `lock`, or try again later")]
    Locked,
    /// A task panicked while it held the lock: the value may be half-changed.
    #[error(
        "a task panicked while it held this lock; repair the value, then call `clear_panicked`"
    )]
    Poisoned,
}

impl<T> Mutex<T> {
    /// A mutex that survives a panic under its guard.
    pub const fn new(value: T) -> Self {
        Mutex {
            lock: RawLock::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// A mutex that, once a task panicked under its guard, refuses to be locked.
    pub const fn poisoning(value: T) -> Self {
        Mutex {
            lock: RawLock::new(true),
            value: UnsafeCell::new(value),
        }
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the lock.
    ///
    /// # Cancellation
    /// Safe: either the guard is returned, or nothing happened; a lock granted in
    /// the meantime goes to the next in line.
    ///
    /// # Errors
    /// [`LockError::Cancelled`] when the task was asked to cancel;
    /// [`LockError::Poisoned`] for a poisoning mutex under which a task panicked.
    #[inline]
    pub fn lock<'a>(&'a self, cx: &'a Cx) -> Lock<'a, T> {
        Lock(Claim::new(self, cx, 1))
    }

    /// As [`Mutex::lock`], with a guard that owns the mutex.
    ///
    /// # Cancellation
    /// Safe, as [`Mutex::lock`].
    ///
    /// # Errors
    /// As [`Mutex::lock`].
    pub fn lock_owned(self: Arc<Self>, cx: &Cx) -> LockOwned<'_, T> {
        LockOwned(Claim::new(self, cx, 1))
    }

    /// Locks on a thread that runs no task, which blocks until it is its turn: it
    /// stands in one line with the tasks. A closure of
    /// [`Cx::spawn_blocking`] that should stop waiting when its task is asked to
    /// cancel waits with its context: `cx.block_on(mutex.lock(cx))`.
    ///
    /// ```
    /// use asupersync::sync::Mutex;
    ///
    /// static TOTAL: Mutex<u32> = Mutex::new(0);
    ///
    /// let threads = [1, 2, 3].map(|n| {
    ///     std::thread::spawn(move || *TOTAL.blocking_lock().unwrap() += n)
    /// });
    /// for thread in threads {
    ///     thread.join().unwrap();
    /// }
    /// assert_eq!(*TOTAL.blocking_lock().unwrap(), 6);
    /// ```
    ///
    /// # Cancellation
    /// None: there is no context that could be asked.
    ///
    /// # Errors
    /// [`LockError::Poisoned`] for a poisoning mutex under which a task panicked.
    ///
    /// # Panics
    /// Inside of a task: it would block its worker. In a closure of the lab, when it
    /// has to wait.
    #[track_caller]
    pub fn blocking_lock(&self) -> Result<MutexGuard<'_, T>, LockError> {
        self.lock.block_and_enter().map(|holder| MutexGuard {
            holder,
            mutex: self,
        })
    }

    /// As [`Mutex::blocking_lock`], with a guard that owns the mutex.
    ///
    /// # Cancellation
    /// None, as [`Mutex::blocking_lock`].
    ///
    /// # Errors
    /// As [`Mutex::blocking_lock`].
    ///
    /// # Panics
    /// As [`Mutex::blocking_lock`].
    #[track_caller]
    pub fn blocking_lock_owned(self: Arc<Self>) -> Result<OwnedMutexGuard<T>, LockError> {
        let holder = self.lock.block_and_enter()?;
        Ok(OwnedMutexGuard {
            holder,
            mutex: self,
        })
    }

    /// Locks if nobody holds the lock or is in line for it.
    ///
    /// # Errors
    /// [`TryLockError`] says why not.
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, TryLockError> {
        self.lock.try_enter().map(|holder| MutexGuard {
            holder,
            mutex: self,
        })
    }

    /// As [`Mutex::try_lock`], with a guard that owns the mutex.
    ///
    /// # Errors
    /// As [`Mutex::try_lock`].
    pub fn try_lock_owned(self: Arc<Self>) -> Result<OwnedMutexGuard<T>, TryLockError> {
        let holder = self.lock.try_enter()?;
        Ok(OwnedMutexGuard {
            holder,
            mutex: self,
        })
    }

    /// The value: nobody else can hold the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Whether a task panicked under the guard since the mutex was made, or since
    /// [`Mutex::clear_panicked`].
    pub fn was_panicked(&self) -> bool {
        self.lock.panicked.load(Ordering::Acquire)
    }

    /// The value is in order again.
    pub fn clear_panicked(&self) {
        self.lock.panicked.store(false, Ordering::Release);
    }

    /// How busy the lock is.
    pub fn statistics(&self) -> LockStatistics {
        let line = self.lock.gate.statistics();
        LockStatistics {
            locked: self.lock.gate.permits().free() == 0,
            holder: self.lock.gate.holder().map(|task| task.id()),
            waiting: line.waiting,
            longest: line.longest,
        }
    }
}

impl RawLock {
    const fn new(poisons: bool) -> Self {
        RawLock {
            gate: Gate::new(1),
            poisons,
            panicked: AtomicBool::new(false),
        }
    }

    fn raw(&self) -> &RawLock {
        self
    }

    fn try_enter(&self) -> Result<Holder, TryLockError> {
        let taken = self.gate.permits().try_acquire(1);
        taken.map_err(|_| TryLockError::Locked)?;
        self.enter(None).map_err(|Poisoned| TryLockError::Poisoned)
    }

    #[track_caller]
    fn block_and_enter(&self) -> Result<Holder, LockError> {
        outside::acquire(&self.gate, 1).expect("nobody closes a mutex");
        self.enter(None).map_err(|Poisoned| LockError::Poisoned)
    }

    /// The lock was granted.
    #[inline(always)]
    fn enter(&self, cx: Option<&Cx>) -> Result<Holder, Poisoned> {
        // What the holder before did, its panic too, has happened.
        if self.poisons && self.panicked.load(Ordering::Relaxed) {
            self.gate.add(1);
            return Err(Poisoned);
        }
        Ok(Holder::new(&self.gate, cx))
    }

    #[inline(always)]
    fn entered(&self, granted: Result<(), Denied>, cx: &Cx) -> Result<Holder, LockError> {
        match granted {
            Ok(()) => self.enter(Some(cx)).map_err(|Poisoned| LockError::Poisoned),
            Err(Denied::Cancelled(cancelled)) => Err(LockError::Cancelled(cancelled)),
            Err(Denied::Closed) => unreachable!("nobody closes a mutex"),
        }
    }

    #[inline(always)]
    fn leave(&self, holder: &mut Holder) {
        if !holder.release_at_once(&self.gate, 1) {
            self.leave_slowly(holder);
        }
    }

    #[inline(never)]
    fn leave_slowly(&self, holder: &mut Holder) {
        if holder.panicked() {
            self.panicked.store(true, Ordering::Release);
        }
        holder.release(&self.gate, 1);
    }
}

impl<T: ?Sized> Mutex<T> {
    fn raw(&self) -> &RawLock {
        &self.lock
    }
}

struct Poisoned;

impl<T: ?Sized> Gated for Mutex<T> {
    fn gate(&self) -> &Gate {
        &self.lock.gate
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Mutex::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Mutex::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut mutex = f.debug_struct("Mutex");
        match self.try_lock() {
            Ok(guard) => mutex.field("value", &&*guard),
            Err(why) => mutex.field("value", &format_args!("<{why:?}>")),
        };
        mutex.finish()
    }
}

/// Holds a [`Mutex`]; dropping it unlocks.
///
/// It may be held across an await: it is `Send` where the value is.
#[must_use = "the lock is held until the guard is dropped"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    holder: Holder,
}

// SAFETY: through a shared guard one gets `&T`, and the mutex.
unsafe impl<T: ?Sized + Send + Sync> Sync for MutexGuard<'_, T> {}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    maps!([mut] mut, MappedMutexGuard<['a] []>, T);

    /// The mutex that it holds.
    ///
    /// An associated function, so that it hides no method of the value.
    pub fn mutex(this: &Self) -> &'a Mutex<T> {
        this.mutex
    }

    fn with_part<V: ?Sized>(self, value: *mut V) -> MappedMutexGuard<'a, V> {
        let this = ManuallyDrop::new(self);
        MappedMutexGuard {
            lock: &this.mutex.lock,
            // SAFETY: the guard is not dropped, so its holder is moved out once.
            holder: unsafe { std::ptr::read(&this.holder) },
            value,
        }
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is ours while the guard lives.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is ours while the guard lives, and the guard is borrowed mutably.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.lock.leave(&mut self.holder);
    }
}

shows!([] MutexGuard<'_, T>, T);

mapped! {
    /// A [`MutexGuard`] of a part of the value; see [`MutexGuard::map`].
    MappedMutexGuard<['a] []>, &'a RawLock, [mut] mut: Send, leave
}

/// Holds a [`Mutex`] that it owns; dropping it unlocks.
#[must_use = "the lock is held until the guard is dropped"]
pub struct OwnedMutexGuard<T: ?Sized> {
    mutex: Arc<Mutex<T>>,
    holder: Holder,
}

// SAFETY: through a shared guard one gets `&T`, and the mutex.
unsafe impl<T: ?Sized + Send + Sync> Sync for OwnedMutexGuard<T> {}

impl<T: ?Sized> OwnedMutexGuard<T> {
    maps!([mut] mut, OwnedMappedMutexGuard<[] [T]>, T);

    /// The mutex that it holds.
    ///
    /// An associated function, so that it hides no method of the value.
    pub fn mutex(this: &Self) -> &Arc<Mutex<T>> {
        &this.mutex
    }

    fn with_part<V: ?Sized>(self, value: *mut V) -> OwnedMappedMutexGuard<T, V> {
        let this = ManuallyDrop::new(self);
        // SAFETY: the guard is not dropped, so what it held is moved out once.
        let (lock, holder) = unsafe { (std::ptr::read(&this.mutex), std::ptr::read(&this.holder)) };
        OwnedMappedMutexGuard {
            lock,
            holder,
            value,
        }
    }
}

impl<T: ?Sized> Deref for OwnedMutexGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the lock is ours while the guard lives.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for OwnedMutexGuard<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is ours while the guard lives, and the guard is borrowed mutably.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for OwnedMutexGuard<T> {
    fn drop(&mut self) {
        self.mutex.lock.leave(&mut self.holder);
    }
}

shows!([] OwnedMutexGuard<T>, T);

mapped! {
    /// An [`OwnedMutexGuard`] of a part of the value; see [`OwnedMutexGuard::map`].
    ///
    /// ```
    /// use asupersync::sync::{Mutex, OwnedMutexGuard};
    /// use std::{collections::HashMap, sync::Arc};
    ///
    /// let ages = Arc::new(Mutex::new(HashMap::from([("ada", 36)])));
    /// let guard = ages.clone().try_lock_owned().unwrap();
    /// let guard = OwnedMutexGuard::try_map(guard, |ages| ages.get_mut("bob"));
    /// let guard = guard.unwrap_err(); // the lock is still ours
    /// let mut age = OwnedMutexGuard::map(guard, |ages| ages.get_mut("ada").unwrap());
    /// *age += 1;
    /// drop(age);
    /// assert_eq!(ages.try_lock().unwrap()["ada"], 37);
    /// ```
    ///
    /// It drops the mutex if it is the last who has it, so it is sent only where the
    /// whole value may be:
    ///
    /// ```compile_fail,E0277
    /// use asupersync::sync::OwnedMappedMutexGuard;
    ///
    /// fn sent<T: Send>(_: T) {}
    /// fn guard(guard: OwnedMappedMutexGuard<(std::rc::Rc<u8>, u32), u32>) {
    ///     sent(guard);
    /// }
    /// ```
    ///
    /// What is put into the part lives as long as the part says:
    ///
    /// ```compile_fail
    /// use asupersync::sync::OwnedMappedMutexGuard;
    ///
    /// fn shorten<'a>(
    ///     guard: OwnedMappedMutexGuard<(), &'static str>,
    /// ) -> OwnedMappedMutexGuard<(), &'a str> {
    ///     guard
    /// }
    /// ```
    OwnedMappedMutexGuard<[] [T: Send]>, Arc<Mutex<T>>, [mut] mut: Send, leave
}

impl<T: ?Sized, U: ?Sized> OwnedMappedMutexGuard<T, U> {
    /// The mutex that it holds.
    ///
    /// An associated function, so that it hides no method of the part.
    pub fn mutex(this: &Self) -> &Arc<Mutex<T>> {
        &this.lock
    }
}

/// Future of [`Mutex::lock`].
#[must_use = "futures do nothing unless awaited"]
pub struct Lock<'a, T: ?Sized>(Claim<'a, &'a Mutex<T>>);

impl<'a, T: ?Sized> Future for Lock<'a, T> {
    type Output = Result<MutexGuard<'a, T>, LockError>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let claim = &mut self.get_mut().0;
        let granted = ready!(claim.poll(task));
        let mutex: &'a Mutex<T> = claim.of();
        let entered = mutex.lock.entered(granted, claim.cx());
        Poll::Ready(entered.map(|holder| MutexGuard { mutex, holder }))
    }
}

impl<T: ?Sized> DropSafe for Lock<'_, T> {}

/// Future of [`Mutex::lock_owned`].
#[must_use = "futures do nothing unless awaited"]
pub struct LockOwned<'a, T: ?Sized>(Claim<'a, Arc<Mutex<T>>>);

impl<T: ?Sized> Future for LockOwned<'_, T> {
    type Output = Result<OwnedMutexGuard<T>, LockError>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let claim = &mut self.get_mut().0;
        let granted = ready!(claim.poll(task));
        let mutex = claim.of().clone();
        let entered = mutex.lock.entered(granted, claim.cx());
        Poll::Ready(entered.map(|holder| OwnedMutexGuard { mutex, holder }))
    }
}

impl<T: ?Sized> DropSafe for LockOwned<'_, T> {}
