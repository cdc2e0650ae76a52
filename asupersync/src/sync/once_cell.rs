//! A value that the first who needs it makes.

use super::gate::{Claim, Denied, Gate, Gated, Holder};
use super::notify::{Notified, Notify};
use crate::cx::{Cx, DropSafe, Interrupt};
use crate::types::cancel::Cancelled;
use crate::wait::Refusal;
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, ready};

/// A value made once, by whoever needs it first; the others wait for it.
///
/// If making it fails, panics or is cancelled, the next who waits tries. Who does
/// not know how to make it [waits](OnceCell::wait) until another has.
///
/// An initialiser is lost when it is dropped half-way, so `select!` refuses it:
///
/// ```compile_fail,E0277
/// use asupersync::{Cx, select, sync::OnceCell};
///
/// async fn either(cx: &Cx, cell: &OnceCell<u32>) {
///     select! {
///         _ = cell.get_or_init(cx, async || 7) => {}
///         _ = cx.cancelled() => {}
///     }
/// }
/// ```
///
/// ```
/// use asupersync::{LabConfig, LabRuntime, Scope, sync::OnceCell};
///
/// static CONFIG: OnceCell<u32> = OnceCell::new();
///
/// LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
///     let failed = CONFIG.get_or_try_init(&cx, async || Err("no file")).await;
///     assert!(failed.is_err());
///     assert_eq!(*CONFIG.get_or_init(&cx, async || 7).await.unwrap(), 7);
///     assert_eq!(CONFIG.get(), Some(&7));
/// });
/// ```
pub struct OnceCell<T> {
    value: OnceLock<T>,
    /// One permit: to make the value. Closed once it is made.
    gate: Gate,
    /// Tells those who wait for the value and would not make it.
    made: Notify,
}

/// How busy a cell is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OnceCellStatistics {
    /// Whether the value is there.
    pub initialized: bool,
    /// Whether somebody makes it at the moment.
    pub initializing: bool,
    /// Tasks that wait for another's initialiser, and would make the value if it fails.
    pub waiting: usize,
    /// The largest number of those that there ever was at one time.
    pub longest: usize,
    /// Tasks that wait until somebody else has made it.
    pub watching: usize,
}

/// The value is not there.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InitError<E> {
    /// Making it failed; the next caller tries again.
    #[error("initialising the cell failed")]
    Failed(#[source] E),
    /// The task was asked to cancel while another made it.
    #[error("waiting for a cell to be initialised was cancelled")]
    Cancelled(#[source] Cancelled),
}

/// The value was not set, and comes back.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SetError<T> {
    /// There is one already.
    #[error("the cell has a value already")]
    AlreadyInitialized(T),
    /// Somebody is making one.
    #[error("the cell is being initialised: wait with `get_or_init`")]
    Initializing(T),
}

impl<T> OnceCell<T> {
    /// An empty cell.
    pub const fn new() -> Self {
        OnceCell {
            value: OnceLock::new(),
            gate: Gate::new(1),
            made: Notify::new(),
        }
    }

    /// The value, if it is there.
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// The value, if it is there, to change.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut()
    }

    /// The value, if it is there.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Takes the value out; the cell is as new.
    pub fn take(&mut self) -> Option<T> {
        std::mem::take(self).into_inner()
    }

    /// Sets the value.
    ///
    /// # Errors
    /// The value, when there is one already or somebody makes one.
    pub fn set(&self, value: T) -> Result<(), SetError<T>> {
        if self.value.get().is_some() {
            return Err(SetError::AlreadyInitialized(value));
        }
        match self.gate.permits().try_acquire(1) {
            Ok(()) => {}
            Err(Refusal::Taken) => return Err(SetError::Initializing(value)),
            Err(Refusal::Closed) => return Err(SetError::AlreadyInitialized(value)),
        }
        self.fill(value);
        Ok(())
    }

    /// The value, made by `init` if it is not there and nobody else makes it.
    ///
    /// # Cancellation
    /// Lossy: when this call runs its own initialiser and is dropped, or `init` ends
    /// early because the task was asked to cancel, that attempt is lost and the next
    /// in line makes one. Waiting for another's loses nothing.
    ///
    /// # Errors
    /// When the task was asked to cancel while another made the value.
    pub async fn get_or_init<F>(&self, cx: &Cx, init: F) -> Result<&T, Cancelled>
    where
        F: AsyncFnOnce() -> T,
    {
        let init = async || Ok::<T, Infallible>(init().await);
        match self.get_or_try_init(cx, init).await {
            Ok(value) => Ok(value),
            Err(InitError::Cancelled(cancelled)) => Err(cancelled),
            Err(InitError::Failed(never)) => match never {},
        }
    }

    /// As [`OnceCell::get_or_init`], for an initialiser that may fail.
    ///
    /// # Cancellation
    /// Lossy, as [`OnceCell::get_or_init`].
    ///
    /// # Errors
    /// [`InitError::Failed`] with this call's own failure, never another's;
    /// [`InitError::Cancelled`] when the task was asked to cancel while another
    /// made the value.
    pub async fn get_or_try_init<E, F>(&self, cx: &Cx, init: F) -> Result<&T, InitError<E>>
    where
        F: AsyncFnOnce() -> Result<T, E>,
    {
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let mut claim = Claim::new(self, cx, 1);
        match poll_fn(|task| claim.poll(task)).await {
            Err(Denied::Cancelled(cancelled)) => Err(InitError::Cancelled(cancelled)),
            Err(Denied::Closed) => Ok(self.made()),
            Ok(()) => {
                let attempt = Attempt {
                    gate: &self.gate,
                    holder: Holder::new(&self.gate, Some(cx)),
                };
                let value = init().await.map_err(InitError::Failed)?;
                self.fill(value);
                drop(attempt);
                Ok(self.made())
            }
        }
    }

    /// Waits until somebody has made the value, or set it.
    ///
    /// Nobody is asked to make it: if nobody does, the wait ends when the task is
    /// asked to cancel.
    ///
    /// ```
    /// use asupersync::{Cx, LabConfig, LabRuntime, Scope, sync::OnceCell};
    /// use std::sync::Arc;
    ///
    /// LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
    ///     let address = Arc::new(OnceCell::new());
    ///     let theirs = address.clone();
    ///     let client = cx.spawn(async move |cx: Cx| *theirs.wait(&cx).await.unwrap());
    ///     address.set(8080).unwrap();
    ///     assert_eq!(client.await.into_result(), Ok(8080));
    /// });
    /// ```
    ///
    /// # Cancellation
    /// Safe: the value stays where it is.
    ///
    /// # Errors
    /// When the task was asked to cancel.
    pub fn wait<'a>(&'a self, cx: &'a Cx) -> WaitMade<'a, T> {
        WaitMade {
            cell: self,
            cx,
            interrupt: Interrupt::default(),
            made: self.made.notified(cx),
        }
    }

    /// How busy the cell is.
    pub fn statistics(&self) -> OnceCellStatistics {
        let line = self.gate.statistics();
        let initialized = self.value.get().is_some();
        OnceCellStatistics {
            initialized,
            initializing: !initialized && self.gate.permits().free() == 0,
            waiting: line.waiting,
            longest: line.longest,
            watching: self.made.statistics().waiting,
        }
    }

    /// Fills the cell: the caller has the permit.
    fn fill(&self, value: T) {
        let filled = self.value.set(value);
        assert!(filled.is_ok(), "only who has the permit fills the cell");
        self.gate.close();
        self.made.notify_waiters();
    }

    fn made(&self) -> &T {
        self.value
            .get()
            .expect("a cell is closed once it has its value")
    }
}

/// The permit to make the value; dropped without one, the next tries.
struct Attempt<'a> {
    gate: &'a Gate,
    holder: Holder,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.holder.release(self.gate, 1);
    }
}

impl<T> Gated for OnceCell<T> {
    fn gate(&self) -> &Gate {
        &self.gate
    }
}

impl<T> Default for OnceCell<T> {
    fn default() -> Self {
        OnceCell::new()
    }
}

impl<T> From<T> for OnceCell<T> {
    fn from(value: T) -> Self {
        OnceCell {
            value: value.into(),
            ..OnceCell::new()
        }
    }
}

/// A cell with a clone of the value, if there is one; who makes or waits for one
/// stays with the original.
impl<T: Clone> Clone for OnceCell<T> {
    fn clone(&self) -> Self {
        OnceCell {
            value: self.value.clone(),
            ..OnceCell::new()
        }
    }
}

impl<T: PartialEq> PartialEq for OnceCell<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for OnceCell<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnceCell").field(&self.value.get()).finish()
    }
}

/// Future of [`OnceCell::wait`].
#[must_use = "futures do nothing unless awaited"]
pub struct WaitMade<'a, T> {
    cell: &'a OnceCell<T>,
    cx: &'a Cx,
    interrupt: Interrupt,
    made: Notified<'a>,
}

impl<'a, T> Future for WaitMade<'a, T> {
    type Output = Result<&'a T, Cancelled>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let cell = this.cell;
        if let Some(value) = cell.get() {
            // A checkpoint all the same.
            return this.interrupt.poll(this.cx, task).map_ok(|()| value);
        }
        // Created before the look, so it hears of whatever was made since.
        ready!(Pin::new(&mut this.made).poll(task))?;
        Poll::Ready(Ok(cell.made()))
    }
}

impl<T> DropSafe for WaitMade<'_, T> {}
