//! A loan whose time runs out.
//!
//! | state   | the thing is         | left by                                          |
//! |---------|----------------------|--------------------------------------------------|
//! | Resting | in the lease         | an access, the alarm, a release                  |
//! | In use  | in an [`Access`]     | its end: to Resting, or Ended if time is up      |
//! | Ended   | back in the pool     | never                                            |
//!
//! The alarm never takes a thing out of the hands that use it: if the time runs
//! out during an access, the thing goes back when the access ends.

use super::{Claim, Pool, Shared, grant};
use crate::cx::{Cx, DropSafe};
use crate::exec::lock;
use crate::exec::obligation::Obligation;
use crate::sync::AcquireError;
use crate::types::time::Time;
use crate::world::{TimerKey, World};
use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

/// The lease has run out, and the thing is back in the pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the lease ran out, and what it lent is back in the pool; renew it in time")]
pub struct Expired;

/// A thing of a [`Pool`] until its time is up; dropping it gives it back earlier.
///
/// ```
/// use asupersync::{LabConfig, LabRuntime, Scope, sync::Pool};
/// use std::time::Duration;
///
/// LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
///     let pool = Pool::new(["a"]);
///     let second = Duration::from_secs(1);
///     let mut lease = pool.lease(&cx, second).await.unwrap();
///     assert_eq!(*lease.access().unwrap(), "a");
///     let other = pool.get(&cx).await.unwrap(); // a second later
///     assert!(lease.access().is_err());
///     drop(other);
/// });
/// ```
#[must_use = "a lease that is dropped goes back"]
pub struct Lease<T: Send + 'static> {
    cell: Arc<Cell<T>>,
}

/// What a lease and its alarm share.
struct Cell<T> {
    pool: Arc<Shared<T>>,
    world: Arc<dyn World>,
    state: Mutex<State<T>>,
}

struct State<T> {
    place: Place<T>,
    due: Time,
    alarm: Option<TimerKey>,
}

enum Place<T> {
    Resting(T, Obligation),
    /// Whether the time ran out meanwhile.
    InUse {
        late: bool,
    },
    Ended,
}

impl<T: Send + 'static> Lease<T> {
    fn new(cx: &Cx, pool: Arc<Shared<T>>, thing: T, promise: Obligation, time: Duration) -> Self {
        let world = cx.world().clone();
        let due = world.now() + time;
        let state = Mutex::new(State {
            place: Place::Resting(thing, promise),
            due,
            alarm: None,
        });
        let cell = Arc::new(Cell { pool, world, state });
        cell.arm(due);
        Lease { cell }
    }

    /// The thing, for as long as the access lives.
    ///
    /// # Errors
    /// When the time is up.
    pub fn access(&mut self) -> Result<Access<'_, T>, Expired> {
        let mut state = lock(&self.cell.state);
        match mem::replace(&mut state.place, Place::InUse { late: false }) {
            Place::Resting(thing, promise) => Ok(Access {
                cell: &self.cell,
                lent: Some((thing, promise)),
            }),
            // An access that was forgotten keeps its thing for ever.
            Place::InUse { .. } | Place::Ended => {
                state.place = Place::Ended;
                Err(Expired)
            }
        }
    }

    /// When the time is up.
    pub fn deadline(&self) -> Time {
        lock(&self.cell.state).due
    }

    /// Whether the time is up.
    pub fn is_expired(&self) -> bool {
        matches!(lock(&self.cell.state).place, Place::Ended)
    }

    /// Extends the lease to `until`, if that is later.
    ///
    /// # Errors
    /// When the time is up already: the thing may be another's by now.
    pub fn renew(&mut self, until: Time) -> Result<(), Expired> {
        self.cell.renew(until)
    }

    /// Gives the thing back now.
    pub fn release(self) {
        drop(self);
    }
}

impl<T: Send + 'static> Cell<T> {
    /// Sets the alarm to `due`, in place of the one before.
    fn arm(self: &Arc<Self>, due: Time) {
        let fresh = self.world.timer_set(due, &Waker::from(self.clone()));
        let old = {
            let mut state = lock(&self.state);
            match state.place {
                Place::Ended => Some(fresh),
                _ => state.alarm.replace(fresh),
            }
        };
        self.disarm(old);
    }

    fn renew(self: &Arc<Self>, until: Time) -> Result<(), Expired> {
        {
            let mut state = lock(&self.state);
            match state.place {
                Place::Ended => return Err(Expired),
                _ if until <= state.due => return Ok(()),
                _ => state.due = until,
            }
        }
        self.arm(until);
        Ok(())
    }

    fn disarm(&self, alarm: Option<TimerKey>) {
        if let Some(alarm) = alarm {
            self.world.timer_cancel(alarm);
        }
    }

    /// The alarm rang; one that was replaced rings too early.
    fn ring(&self) {
        let now = self.world.now();
        let ended = {
            let mut state = lock(&self.state);
            if now < state.due {
                return;
            }
            match mem::replace(&mut state.place, Place::Ended) {
                Place::Resting(thing, promise) => Some((thing, promise)),
                Place::InUse { .. } => {
                    state.place = Place::InUse { late: true };
                    None
                }
                Place::Ended => None,
            }
        };
        if let Some((thing, promise)) = ended {
            self.expire(thing, promise);
        }
    }

    fn expire(&self, thing: T, promise: Obligation) {
        self.pool.expired.fetch_add(1, Ordering::Relaxed);
        self.pool.put(thing, promise);
    }
}

impl<T: Send + 'static> Wake for Cell<T> {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

impl<T: Send + 'static> Drop for Lease<T> {
    fn drop(&mut self) {
        let (place, alarm) = {
            let mut state = lock(&self.cell.state);
            let place = mem::replace(&mut state.place, Place::Ended);
            (place, state.alarm.take())
        };
        self.cell.disarm(alarm);
        if let Place::Resting(thing, promise) = place {
            self.cell.pool.put(thing, promise);
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Lease<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("deadline", &self.deadline())
            .field("expired", &self.is_expired())
            .finish()
    }
}

/// The thing of a [`Lease`], in use: nobody takes it away.
#[must_use = "the thing is in use until this is dropped"]
pub struct Access<'a, T: Send + 'static> {
    cell: &'a Arc<Cell<T>>,
    lent: Option<(T, Obligation)>,
}

const TAKEN: &str = "an access has its thing until it ends";

impl<T: Send + 'static> Access<'_, T> {
    /// Extends the lease to `until`, if that is later; also when the time ran out
    /// during this access, for nobody else has the thing yet.
    pub fn renew(this: &Self, until: Time) {
        // In use, a lease has not ended.
        let _ = this.cell.renew(until);
    }
}

impl<T: Send + 'static> Deref for Access<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.lent.as_ref().expect(TAKEN).0
    }
}

impl<T: Send + 'static> DerefMut for Access<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.lent.as_mut().expect(TAKEN).0
    }
}

impl<T: Send + 'static> Drop for Access<'_, T> {
    fn drop(&mut self) {
        let Some((thing, promise)) = self.lent.take() else {
            return;
        };
        let now = self.cell.world.now();
        let ended = {
            let mut state = lock(&self.cell.state);
            // Renewed while it was in use, it was not late after all.
            let late = matches!(state.place, Place::InUse { late: true }) && now >= state.due;
            if late {
                state.place = Place::Ended;
                Some((thing, promise))
            } else {
                state.place = Place::Resting(thing, promise);
                None
            }
        };
        if let Some((thing, promise)) = ended {
            self.cell.expire(thing, promise);
        }
    }
}

impl<T: Send + fmt::Debug + 'static> fmt::Debug for Access<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Future of [`Pool::lease`].
#[must_use = "futures do nothing unless awaited"]
pub struct LeaseFor<'a, T> {
    claim: Claim<'a, &'a Pool<T>>,
    time: Duration,
}

impl<'a, T> LeaseFor<'a, T> {
    pub(super) fn new(claim: Claim<'a, &'a Pool<T>>, time: Duration) -> Self {
        LeaseFor { claim, time }
    }
}

impl<T: Send + 'static> Future for LeaseFor<'_, T> {
    type Output = Result<Lease<T>, AcquireError>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let LeaseFor { claim, time } = self.get_mut();
        let granted = ready!(claim.poll(task));
        let (thing, promise) = grant(granted, claim)?;
        let pool = claim.of().shared.clone();
        Poll::Ready(Ok(Lease::new(claim.cx(), pool, thing, promise, *time)))
    }
}

impl<T> DropSafe for LeaseFor<'_, T> {}
