//! A number of permits, lent to whoever comes first.

use super::gate::{Claim, Denied, Gate, Gated};
use crate::cx::{Cx, DropSafe};
use crate::exec::obligation::Pledge;
use crate::types::cancel::Cancelled;
use crate::types::obligation::ObligationKind;
use crate::wait::{Permits, Refusal};
use std::fmt;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A number of permits, first come, first served: who wants many is not passed
/// by who wants few.
///
/// A permit is given back once, and cannot be copied:
///
/// ```compile_fail,E0382
/// use asupersync::sync::SemaphorePermit;
///
/// fn twice(permit: SemaphorePermit<'_>) {
///     permit.forget();
///     drop(permit);
/// }
/// ```
///
/// A permit is a lease of its task: dropping it gives it back, and one that was
/// forgotten with `mem::forget` is reported when the task ends.
///
/// ```
/// use asupersync::{LabConfig, LabRuntime, Scope, sync::Semaphore};
///
/// LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
///     let slots = Semaphore::new(2);
///     let both = slots.acquire(&cx, 2).await.unwrap();
///     assert!(slots.try_acquire(&cx, 1).is_err());
///     drop(both);
///     assert_eq!(slots.statistics().available, 2);
/// });
/// ```
pub struct Semaphore {
    gate: Gate,
}

/// How busy a semaphore is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SemaphoreStatistics {
    /// Permits that are free.
    pub available: usize,
    /// Waiters in line.
    pub waiting: usize,
    /// The largest number that was ever in line at one time.
    pub longest: usize,
}

/// No permit was acquired.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AcquireError {
    /// The semaphore was closed.
    #[error("the semaphore was closed: it gives out no permit any more")]
    Closed,
    /// The task was asked to cancel.
    #[error(
        "waiting for a permit was cancelled; to wait while cancelling use `acquire(cx.cleanup(), n)`"
    )]
    Cancelled(#[from] Cancelled),
}

/// No permit was acquired.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TryAcquireError {
    /// Not that many are free, or somebody is in line.
    #[error("not that many permits are free: await `acquire`, or try again later")]
    NoPermits,
    /// The semaphore was closed.
    #[error("the semaphore was closed: it gives out no permit any more")]
    Closed,
}

impl From<Refusal> for TryAcquireError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Taken => TryAcquireError::NoPermits,
            Refusal::Closed => TryAcquireError::Closed,
        }
    }
}

impl Semaphore {
    /// The largest number of permits there can be.
    pub const MAX_PERMITS: usize = Permits::MAX;

    /// A semaphore with `permits` permits.
    ///
    /// # Panics
    /// When that is more than [`Semaphore::MAX_PERMITS`].
    pub const fn new(permits: usize) -> Self {
        Semaphore {
            gate: Gate::new(permits),
        }
    }

    /// Waits for `n` permits at once. Zero are granted when it is one's turn.
    ///
    /// # Cancellation
    /// Safe: either the permit is returned, or nothing happened; permits granted
    /// in the meantime go to the next in line.
    ///
    /// # Errors
    /// [`AcquireError::Closed`] once the semaphore was closed,
    /// [`AcquireError::Cancelled`] when the task was asked to cancel.
    #[inline]
    pub fn acquire<'a>(&'a self, cx: &'a Cx, n: usize) -> Acquire<'a> {
        Acquire(Claim::new(self, cx, n))
    }

    /// As [`Semaphore::acquire`], with a permit that owns the semaphore.
    ///
    /// # Cancellation
    /// Safe, as [`Semaphore::acquire`].
    ///
    /// # Errors
    /// As [`Semaphore::acquire`].
    pub fn acquire_owned(self: Arc<Self>, cx: &Cx, n: usize) -> AcquireOwned<'_> {
        AcquireOwned(Claim::new(self, cx, n))
    }

    /// Takes `n` permits if they are free and nobody is in line.
    ///
    /// # Errors
    /// [`TryAcquireError`] says whether to come back later.
    pub fn try_acquire(&self, cx: &Cx, n: usize) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.gate.permits().try_acquire(n)?;
        Ok(SemaphorePermit {
            semaphore: self,
            lease: Lease::new(&self.gate, cx, n),
        })
    }

    /// As [`Semaphore::try_acquire`], with a permit that owns the semaphore.
    ///
    /// # Errors
    /// As [`Semaphore::try_acquire`].
    pub fn try_acquire_owned(
        self: Arc<Self>,
        cx: &Cx,
        n: usize,
    ) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.gate.permits().try_acquire(n)?;
        let lease = Lease::new(&self.gate, cx, n);
        Ok(OwnedSemaphorePermit {
            semaphore: self,
            lease,
        })
    }

    /// Adds permits.
    ///
    /// # Panics
    /// When there would be more than [`Semaphore::MAX_PERMITS`].
    pub fn add_permits(&self, n: usize) {
        self.gate.add(n);
    }

    /// Takes up to `n` free permits away for good, and tells how many.
    pub fn forget_permits(&self, n: usize) -> usize {
        self.gate.permits().forget(n)
    }

    /// Gives out no permit any more, and tells everyone in line. Permits that are
    /// held stay valid.
    pub fn close(&self) {
        self.gate.close();
    }

    /// Whether the semaphore was closed.
    pub fn is_closed(&self) -> bool {
        self.gate.permits().is_closed()
    }

    /// How many permits are free.
    pub fn available_permits(&self) -> usize {
        self.gate.permits().free()
    }

    /// How busy the semaphore is.
    pub fn statistics(&self) -> SemaphoreStatistics {
        let line = self.gate.statistics();
        SemaphoreStatistics {
            available: self.available_permits(),
            waiting: line.waiting,
            longest: line.longest,
        }
    }
}

impl Gated for Semaphore {
    fn gate(&self) -> &Gate {
        &self.gate
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut semaphore = f.debug_struct("Semaphore");
        semaphore.field("available", &self.available_permits());
        semaphore.field("closed", &self.is_closed()).finish()
    }
}

/// Permits of a gate that a task holds. Whoever drops it has given them back.
#[derive(Debug)]
struct Lease {
    /// Kept by hand: see [`Pledge::end_at_once`]. It is there until then.
    pledge: Option<ManuallyDrop<Pledge>>,
    permits: usize,
}

impl Lease {
    #[inline(always)]
    fn new(gate: &Gate, cx: &Cx, permits: usize) -> Self {
        let pledge = cx.pledge(ObligationKind::Lease);
        gate.taken_by(pledge.holder());
        let pledge = Some(ManuallyDrop::new(pledge));
        Lease { pledge, permits }
    }

    /// Gives the permits back.
    #[inline(always)]
    fn release(&mut self, gate: &Gate) {
        let at_once = |task: &_| gate.release_at_once(self.permits, task);
        match &self.pledge {
            Some(pledge) if Pledge::end_at_once(pledge, at_once) => {}
            _ => self.release_slowly(gate),
        }
    }

    #[inline(never)]
    fn release_slowly(&mut self, gate: &Gate) {
        let pledge = self.pledge.take().map(ManuallyDrop::into_inner);
        // First whoever waits, as telling of the promise may panic.
        gate.release(self.permits, pledge.as_ref().map(Pledge::holder));
    }

    fn transfer(&mut self, gate: &Gate, cx: &Cx) {
        if let Some(pledge) = &mut self.pledge {
            gate.let_go(pledge.holder());
            cx.take_over(pledge);
            gate.passed_to(pledge.holder());
        }
    }
}

/// Holds permits of a [`Semaphore`]; dropping it gives them back.
#[must_use = "the permits are held until this is dropped"]
#[derive(Debug)]
pub struct SemaphorePermit<'a> {
    semaphore: &'a Semaphore,
    lease: Lease,
}

/// A [`SemaphorePermit`] that owns its semaphore.
#[must_use = "the permits are held until this is dropped"]
#[derive(Debug)]
pub struct OwnedSemaphorePermit {
    semaphore: Arc<Semaphore>,
    lease: Lease,
}

macro_rules! permit {
    ([$($life:lifetime)?] $permit:ty => $Of:ty) => {
        impl<$($life)?> $permit {
            /// How many permits it holds.
            pub fn permits(&self) -> usize {
                self.lease.permits
            }

            /// The semaphore that they are of.
            pub fn semaphore(&self) -> &$($life)? $Of {
                &self.semaphore
            }

            /// Takes over what `other` holds: both go back together.
            ///
            /// # Panics
            /// When they are of different semaphores; `other` has given back its own then.
            #[track_caller]
            pub fn merge(&mut self, mut other: Self) {
                let same = std::ptr::eq::<Semaphore>(&*self.semaphore, &*other.semaphore);
                assert!(same, "permits of different semaphores cannot be merged");
                self.lease.permits += std::mem::take(&mut other.lease.permits);
                drop(other);
                // Whoever held the other is forgotten now, and may be the same task.
                if let Some(pledge) = &self.lease.pledge {
                    self.semaphore.gate.passed_to(pledge.holder());
                }
            }

            /// Divides what it holds: `n` permits go to the task of `cx`, as a lease of
            /// its own. `None` when it does not hold that many.
            ///
            /// ```
            /// use asupersync::{LabConfig, LabRuntime, Scope, sync::Semaphore};
            ///
            /// LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
            ///     let slots = Semaphore::new(4);
            ///     let mut all = slots.acquire(&cx, 4).await.unwrap();
            ///     let one = all.split(&cx, 1).unwrap();
            ///     assert_eq!((all.permits(), one.permits()), (3, 1));
            ///     drop(all);
            ///     assert_eq!(slots.available_permits(), 3);
            /// });
            /// ```
            pub fn split(&mut self, cx: &Cx, n: usize) -> Option<Self> {
                self.lease.permits = self.lease.permits.checked_sub(n)?;
                Some(Self {
                    semaphore: Clone::clone(&self.semaphore),
                    lease: Lease::new(&self.semaphore.gate, cx, n),
                })
            }

            /// Takes the permits away for good: the semaphore has that many less.
            pub fn forget(mut self) {
                self.lease.permits = 0;
            }

            /// Hands the lease over to the task of `cx`, which is the one that
            /// must give it back now.
            pub fn transfer(mut self, cx: &Cx) -> Self {
                self.lease.transfer(&self.semaphore.gate, cx);
                self
            }
        }

        impl<$($life)?> Drop for $permit {
            #[inline]
            fn drop(&mut self) {
                self.lease.release(&self.semaphore.gate);
            }
        }
    };
}

permit!(['a] SemaphorePermit<'a> => Semaphore);
permit!([] OwnedSemaphorePermit => Arc<Semaphore>);

/// Future of [`Semaphore::acquire`].
#[must_use = "futures do nothing unless awaited"]
pub struct Acquire<'a>(Claim<'a, &'a Semaphore>);

impl<'a> Future for Acquire<'a> {
    type Output = Result<SemaphorePermit<'a>, AcquireError>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Acquire(claim) = self.get_mut();
        Poll::Ready(match ready!(claim.poll(task)) {
            Ok(()) => Ok(SemaphorePermit {
                semaphore: claim.of(),
                lease: Lease::new(&claim.of().gate, claim.cx(), claim.want()),
            }),
            Err(denied) => Err(denied.into()),
        })
    }
}

impl DropSafe for Acquire<'_> {}

/// Future of [`Semaphore::acquire_owned`].
#[must_use = "futures do nothing unless awaited"]
pub struct AcquireOwned<'a>(Claim<'a, Arc<Semaphore>>);

impl Future for AcquireOwned<'_> {
    type Output = Result<OwnedSemaphorePermit, AcquireError>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let AcquireOwned(claim) = self.get_mut();
        Poll::Ready(match ready!(claim.poll(task)) {
            Ok(()) => Ok(OwnedSemaphorePermit {
                semaphore: claim.of().clone(),
                lease: Lease::new(&claim.of().gate, claim.cx(), claim.want()),
            }),
            Err(denied) => Err(denied.into()),
        })
    }
}

impl DropSafe for AcquireOwned<'_> {}

impl From<Denied> for AcquireError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Cancelled(cancelled) => AcquireError::Cancelled(cancelled),
            Denied::Closed => AcquireError::Closed,
        }
    }
}
