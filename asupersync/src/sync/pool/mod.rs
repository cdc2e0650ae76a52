//! Things that are lent out and come back.
//!
//! Invariant: every thing is at rest in the pool, or belongs to exactly one loan
//! or lease; free permits of the gate = things at rest, less those of waiters
//! that were granted one and have not noticed yet.

mod lease;

pub use lease::{Access, Expired, Lease, LeaseFor};

use super::gate::{Claim, Denied, Gate, Gated};
use super::semaphore::AcquireError;
use crate::cx::{Cx, DropSafe};
use crate::exec::obligation::Obligation;
use crate::exec::{contain, lock};
use crate::types::obligation::ObligationKind;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// In what state a thing comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// It can be lent again.
    Good,
    /// It is discarded, and the pool has one less.
    Broken,
}

type Check<T> = Box<dyn Fn(&mut T) -> Health + Send + Sync>;

/// Things to lend, to whoever comes first. What came back last is lent next: it
/// is the warmest. A clone is another handle of the same pool.
///
/// A [`Loan`] is a lease of its task, and comes back when it is released or
/// dropped: also when its task is cancelled, panics, or is dropped by
/// escalation. A [`Lease`] comes back by itself too, when its time is up.
///
/// Each thing that comes back is looked at by the check, if there is one; broken
/// things are discarded, and [`Pool::add`] brings new ones. A check that panics
/// found its thing broken.
///
/// ```
/// use asupersync::{LabConfig, LabRuntime, Scope, sync::{Health, Pool}};
///
/// LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
///     let pool = Pool::with_check([vec![1], vec![2]], |v: &mut Vec<i32>| {
///         if v.is_empty() { Health::Broken } else { Health::Good }
///     });
///     let mut loan = pool.get(&cx).await.unwrap();
///     loan.clear();
///     drop(loan);
///     let now = pool.statistics();
///     assert_eq!((now.idle, now.discarded), (1, 1));
/// });
/// ```
pub struct Pool<T> {
    shared: Arc<Shared<T>>,
}

/// How busy a pool is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PoolStatistics {
    /// Things at rest.
    pub idle: usize,
    /// Things that are lent.
    pub lent: usize,
    /// Waiters in line.
    pub waiting: usize,
    /// The largest number that was ever in line at one time.
    pub longest: usize,
    /// Things discarded so far.
    pub discarded: usize,
    /// Leases that ran out so far.
    pub expired: usize,
}

struct Shared<T> {
    gate: Gate,
    idle: Mutex<Vec<T>>,
    check: Option<Check<T>>,
    /// Things at rest and lent.
    total: AtomicUsize,
    discarded: AtomicUsize,
    expired: AtomicUsize,
}

impl<T> Pool<T> {
    /// A pool of these things.
    pub fn new(things: impl IntoIterator<Item = T>) -> Self {
        Pool::of(things, None)
    }

    /// A pool that looks at each thing that comes back. `check` should be quick:
    /// it runs where the thing is dropped, or where a timer rings.
    pub fn with_check(
        things: impl IntoIterator<Item = T>,
        check: impl Fn(&mut T) -> Health + Send + Sync + 'static,
    ) -> Self {
        Pool::of(things, Some(Box::new(check)))
    }

    fn of(things: impl IntoIterator<Item = T>, check: Option<Check<T>>) -> Self {
        let idle: Vec<T> = things.into_iter().collect();
        Pool {
            shared: Arc::new(Shared {
                gate: Gate::new(idle.len()),
                total: AtomicUsize::new(idle.len()),
                idle: Mutex::new(idle),
                check,
                discarded: AtomicUsize::new(0),
                expired: AtomicUsize::new(0),
            }),
        }
    }

    /// Waits for a thing.
    ///
    /// # Cancellation
    /// Safe: either the loan is returned, or nothing happened; a thing granted in
    /// the meantime goes to the next in line.
    ///
    /// # Errors
    /// [`AcquireError::Closed`] once the pool was closed,
    /// [`AcquireError::Cancelled`] when the task was asked to cancel.
    pub fn get<'a>(&'a self, cx: &'a Cx) -> Get<'a, T> {
        Get(Claim::new(self, cx, 1))
    }

    /// Waits for a thing, to use for `time` from then on.
    ///
    /// # Cancellation
    /// Safe, as [`Pool::get`].
    ///
    /// # Errors
    /// As [`Pool::get`].
    pub fn lease<'a>(&'a self, cx: &'a Cx, time: Duration) -> LeaseFor<'a, T>
    where
        T: Send + 'static,
    {
        LeaseFor::new(Claim::new(self, cx, 1), time)
    }

    /// Adds a thing.
    pub fn add(&self, thing: T) {
        self.shared.total.fetch_add(1, Ordering::Relaxed);
        lock(&self.shared.idle).push(thing);
        self.shared.gate.add(1);
    }

    /// Lends nothing any more, and tells everyone in line. Things at rest stay
    /// until the last handle and the last loan are dropped.
    pub fn close(&self) {
        self.shared.gate.close();
    }

    /// How busy the pool is.
    pub fn statistics(&self) -> PoolStatistics {
        let idle = lock(&self.shared.idle).len();
        let line = self.shared.gate.statistics();
        PoolStatistics {
            idle,
            lent: self
                .shared
                .total
                .load(Ordering::Relaxed)
                .saturating_sub(idle),
            waiting: line.waiting,
            longest: line.longest,
            discarded: self.shared.discarded.load(Ordering::Relaxed),
            expired: self.shared.expired.load(Ordering::Relaxed),
        }
    }
}

impl<T> Shared<T> {
    /// Takes a thing out: the caller has a permit for it.
    fn take(&self) -> T {
        let thing = lock(&self.idle).pop();
        thing.expect("a permit stands for a thing at rest")
    }

    /// A thing comes back from the task that promised.
    fn put(&self, mut thing: T, promise: Obligation) {
        // The check is user code, and whoever waits must not hang if it panics.
        let health = match &self.check {
            Some(check) => contain(|| check(&mut thing)).unwrap_or(Health::Broken),
            None => Health::Good,
        };
        match health {
            Health::Good => {
                lock(&self.idle).push(thing);
                self.gate.release(1, Some(promise.holder()));
                promise.commit();
            }
            Health::Broken => self.discard(thing, promise),
        }
    }

    /// A thing never comes back.
    fn discard(&self, thing: T, promise: Obligation) {
        self.total.fetch_sub(1, Ordering::Relaxed);
        self.discarded.fetch_add(1, Ordering::Relaxed);
        self.gate.let_go(promise.holder());
        promise.commit();
        drop(thing);
    }
}

impl<T> Gated for Pool<T> {
    fn gate(&self) -> &Gate {
        &self.shared.gate
    }
}

impl<T> Clone for Pool<T> {
    fn clone(&self) -> Self {
        Pool {
            shared: self.shared.clone(),
        }
    }
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.statistics()).finish()
    }
}

/// A thing of a [`Pool`]; dropping it gives it back.
#[must_use = "a loan that is dropped goes back"]
pub struct Loan<T> {
    shared: Arc<Shared<T>>,
    /// Taken when the thing goes back.
    lent: Option<(T, Obligation)>,
}

const TAKEN: &str = "a loan has its thing until it is given up";

impl<T> Loan<T> {
    /// Gives the thing back.
    pub fn release(self) {
        drop(self);
    }

    /// Discards the thing: it is broken.
    pub fn discard(mut self) {
        if let Some((thing, promise)) = self.lent.take() {
            self.shared.discard(thing, promise);
        }
    }

    /// Hands the loan over to the task of `cx`, which is the one that must give it
    /// back now.
    pub fn transfer(mut self, cx: &Cx) -> Self {
        if let Some((thing, promise)) = self.lent.take() {
            self.shared.gate.let_go(promise.holder());
            let promise = cx.adopt(promise);
            self.shared.gate.passed_to(promise.holder());
            self.lent = Some((thing, promise));
        }
        self
    }
}

impl<T> Deref for Loan<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.lent.as_ref().expect(TAKEN).0
    }
}

impl<T> DerefMut for Loan<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.lent.as_mut().expect(TAKEN).0
    }
}

impl<T> Drop for Loan<T> {
    fn drop(&mut self) {
        if let Some((thing, promise)) = self.lent.take() {
            self.shared.put(thing, promise);
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Loan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Future of [`Pool::get`].
#[must_use = "futures do nothing unless awaited"]
pub struct Get<'a, T>(Claim<'a, &'a Pool<T>>);

impl<T> Future for Get<'_, T> {
    type Output = Result<Loan<T>, AcquireError>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let claim = &mut self.get_mut().0;
        let granted = ready!(claim.poll(task));
        Poll::Ready(grant(granted, claim).map(|(thing, promise)| Loan {
            shared: claim.of().shared.clone(),
            lent: Some((thing, promise)),
        }))
    }
}

impl<T> DropSafe for Get<'_, T> {}

/// The thing that a granted claim stands for.
fn grant<T>(
    granted: Result<(), Denied>,
    claim: &Claim<'_, &Pool<T>>,
) -> Result<(T, Obligation), AcquireError> {
    granted?;
    let shared = &claim.of().shared;
    let promise = claim.cx().promise(ObligationKind::Lease);
    shared.gate.taken_by(promise.holder());
    Ok((shared.take(), promise))
}
