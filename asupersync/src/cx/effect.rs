//! Effects in two phases: whatever can fail or wait comes first, and then all of it happens at once.
//!
//! | state | left by | to |
//! |---|---|---|
//! | - | [`Effect::reserve`] returns `Ok` | Reserved: the holder owes an answer |
//! | Reserved | `commit` | Committed: it has happened |
//! | Reserved | `rollback`, a drop, a cancelled or failed neighbour in a [`Stage`] | Aborted: it has not, and nothing is left of it |
//!
//! Invariants:
//!
//! 1. committing neither waits nor fails, so nobody can ask in between: the
//!    commits of a [`Stage`] are one step of the task that takes it, which no
//!    request and no dropped future divides;
//! 2. every reserved effect is resolved once, and is an obligation of its holder
//!    until then: one that is forgotten is reported;
//! 3. effects are undone in the opposite order of their reservation.
//!
//! The atomicity is local to the process. Two machines that commit one after the
//! other can still disagree when the first is lost in between.

use super::Cx;
use crate::exec::contain;
use crate::exec::obligation::Obligation;
use crate::types::cancel::Cancelled;
use crate::types::obligation::{AbortCause, ObligationKind};
use crate::types::outcome::PanicPayload;
use std::fmt;
use std::future::Future;

/// Something that is done in two phases.
///
/// ```
/// use asupersync::{Cancelled, Cx, Effect, Staged, channel::mpsc};
///
/// /// Tells somebody something, once room for it is certain.
/// struct Tell<'a>(&'a mpsc::Sender<u32>, u32);
/// struct Told(mpsc::OwnedPermit<u32>, u32);
///
/// impl Effect for Tell<'_> {
///     type Staged = Told;
///     type Error = mpsc::ReserveError;
///     async fn reserve(&self, cx: &Cx) -> Result<Told, Self::Error> {
///         Ok(Told(self.0.clone().reserve_owned(cx).await?, self.1))
///     }
/// }
///
/// impl Staged for Told {
///     fn commit(self) {
///         // A receiver that went away in between has lost interest in the message.
///         let _ = self.0.send(self.1);
///     }
///     fn rollback(self) {
///         self.0.abort();
///     }
/// }
///
/// async fn tell_both(cx: &Cx, a: &mpsc::Sender<u32>, b: &mpsc::Sender<u32>) -> Option<()> {
///     let stage = cx.stage().reserve(&Tell(a, 1)).await.ok()?;
///     let stage = stage.reserve(&Tell(b, 2)).await.ok()?;
///     stage.commit().ok()
/// }
/// # use asupersync::{LabConfig, LabRuntime};
/// # LabRuntime::new(LabConfig::default()).run(async |cx| {
/// #     let ((a, mut from_a), (b, mut from_b)) = (mpsc::channel(1), mpsc::channel(1));
/// #     tell_both(&cx, &a, &b).await.unwrap();
/// #     assert_eq!((from_a.recv(&cx).await.unwrap(), from_b.recv(&cx).await.unwrap()), (1, 2));
/// # });
/// ```
pub trait Effect {
    /// The effect once nothing can go wrong with it any more.
    type Staged: Staged + Send;
    /// Why it cannot be reserved.
    type Error;

    /// Gets everything that the effect needs, without anybody else noticing.
    ///
    /// *Cancellation.* May stop at any await point; what was got so far goes back.
    ///
    /// # Errors
    /// When it cannot be had, or the task was asked to cancel.
    fn reserve(&self, cx: &Cx) -> impl Future<Output = Result<Self::Staged, Self::Error>> + Send;
}

/// An effect that is certain to succeed and has not happened yet.
pub trait Staged {
    /// Makes it happen. It is too late to fail: what can go wrong belongs in
    /// [`Effect::reserve`].
    fn commit(self);

    /// Leaves everything as if it had never been reserved. It does not wait
    /// either, because it also runs when its holder is dropped.
    fn rollback(self);
}

impl Cx {
    /// Begins to reserve effects that are to happen together.
    pub fn stage(&self) -> Stage<'_> {
        Stage {
            cx: self,
            reserved: Vec::new(),
        }
    }

    /// Reserves a single effect.
    ///
    /// # Errors
    /// The effect's.
    pub async fn reserve<E: Effect>(&self, effect: &E) -> Result<Reserved<E::Staged>, E::Error> {
        let staged = effect.reserve(self).await?;
        Ok(Reserved {
            // There is no await point between the two: the effect is never reserved unrecorded.
            promise: Some(self.promise(ObligationKind::Effect)),
            staged: Some(staged),
        })
    }
}

/// A reserved effect. Dropping it rolls it back, which in a task that runs
/// normally is a violation in strict labs: say which of the two you mean.
///
/// Either consumes it, so that it does not happen twice and is not taken back
/// once it has happened:
///
/// ```compile_fail,E0382
/// # use asupersync::{Cx, Reserved, Staged};
/// fn both<S: Staged>(cx: &Cx, reserved: Reserved<S>) {
///     reserved.commit(cx);
///     reserved.rollback();
/// }
/// ```
#[must_use = "a reserved effect is committed or rolled back; dropping it rolls it back"]
pub struct Reserved<S: Staged> {
    // Both are there until it is resolved.
    staged: Option<S>,
    promise: Option<Obligation>,
}

impl<S: Staged> Reserved<S> {
    /// Makes it happen, with the task masked: checkpoints that the effect may
    /// come by let it pass.
    pub fn commit(mut self, cx: &Cx) {
        let _mask = cx.mask();
        self.settle(None);
    }

    /// Leaves everything as it was.
    pub fn rollback(mut self) {
        self.settle(Some(AbortCause::Explicit));
    }

    /// Commits, or rolls back for the given cause; does nothing a second time.
    fn settle(&mut self, abort: Option<AbortCause>) {
        let (Some(staged), Some(promise)) = (self.staged.take(), self.promise.take()) else {
            return;
        };
        match abort {
            None => {
                staged.commit();
                promise.commit();
            }
            Some(cause) => {
                staged.rollback();
                promise.abort(cause);
            }
        }
    }
}

impl<S: Staged> Drop for Reserved<S> {
    fn drop(&mut self) {
        let Some(staged) = self.staged.take() else {
            return;
        };
        // The promise goes last, and says by itself whether this was in order. A
        // second panic would end the process.
        if std::thread::panicking() {
            let _ = contain(|| staged.rollback());
        } else {
            staged.rollback();
        }
    }
}

impl<S: Staged> fmt::Debug for Reserved<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserved")
            .field("promise", &self.promise)
            .finish_non_exhaustive()
    }
}

/// Reserved effects that are to happen together or not at all; see [`Cx::stage`].
#[must_use = "a stage is committed or rolled back; dropping it rolls everything back"]
pub struct Stage<'a> {
    cx: &'a Cx,
    reserved: Vec<Box<dyn Resolve + Send + 'a>>,
}

/// A [`Reserved`] of any effect.
trait Resolve {
    fn resolve(&mut self, abort: Option<AbortCause>);
}

impl<S: Staged> Resolve for Reserved<S> {
    fn resolve(&mut self, abort: Option<AbortCause>) {
        self.settle(abort);
    }
}

impl<'a> Stage<'a> {
    /// Reserves one more.
    ///
    /// *Cancellation.* Everything reserved so far is rolled back.
    ///
    /// # Errors
    /// The effect's; everything reserved so far has been rolled back then, the
    /// latest first.
    pub async fn reserve<E>(mut self, effect: &E) -> Result<Stage<'a>, E::Error>
    where
        E: Effect<Staged: 'a>,
    {
        match self.cx.reserve(effect).await {
            Ok(reserved) => {
                self.reserved.push(Box::new(reserved));
                Ok(self)
            }
            Err(e) => {
                self.abort(AbortCause::Error);
                Err(e)
            }
        }
    }

    /// How many effects are reserved.
    pub fn len(&self) -> usize {
        self.reserved.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.reserved.is_empty()
    }

    /// The last moment to stop, and then everything happens, in the order it was
    /// reserved.
    ///
    /// # Errors
    /// [`Cancelled`] when the task was asked to cancel: then nothing happens, and
    /// everything has been rolled back.
    ///
    /// # Panics
    /// With the panic of an effect that broke its word, after all the others have
    /// been committed.
    pub fn commit(mut self) -> Result<(), Cancelled> {
        if let Err(cancelled) = self.cx.checkpoint() {
            self.abort(AbortCause::Cancel);
            return Err(cancelled);
        }
        let _mask = self.cx.mask();
        let reserved = std::mem::take(&mut self.reserved);
        resolve_all(reserved.into_iter(), None);
        Ok(())
    }

    /// Leaves everything as it was.
    pub fn rollback(mut self) {
        self.abort(AbortCause::Explicit);
    }

    fn abort(&mut self, cause: AbortCause) {
        let reserved = std::mem::take(&mut self.reserved);
        resolve_all(reserved.into_iter().rev(), Some(cause));
    }
}

/// Resolves each, whatever the others do, and raises the first panic in the end.
fn resolve_all<'a>(
    all: impl Iterator<Item = Box<dyn Resolve + Send + 'a>>,
    abort: Option<AbortCause>,
) {
    let mut first: Option<PanicPayload> = None;
    for mut reserved in all {
        // What it is dropped with is done inside as well: a promise that was not kept.
        let done = contain(move || {
            reserved.resolve(abort);
        });
        first = first.or(done.err());
    }
    if let Some(panic) = first {
        crate::exec::panics::resume(&panic);
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        // The latest first; each says by itself whether it was in order to drop it.
        while let Some(reserved) = self.reserved.pop() {
            drop(reserved);
        }
    }
}

impl fmt::Debug for Stage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage")
            .field("cx", self.cx)
            .field("reserved", &self.reserved.len())
            .finish()
    }
}
