//! Several places reserved in one step.

use super::super::error::{ReserveManyError, TryReserveManyError};
use super::super::places::Room;
use super::super::sending::{ReservedMany, Reserving};
use super::shared::Shared;
use super::{Permit, Sender};
use crate::cx::{Cx, DropSafe};
use std::fmt;
use std::iter::FusedIterator;
use std::pin::Pin;
use std::task::{Context, Poll};

impl<T> Sender<T> {
    /// Waits for `n` places and reserves them, all of them or none.
    ///
    /// It stands in one line with [`Sender::reserve`] and [`Sender::send`]. First
    /// in line it collects places as they come free, and nobody behind it gets
    /// one before, however few they want. For no places it does not wait.
    ///
    /// What is collected counts as reserved. So a task that already holds permits
    /// of this channel, and waits for more than they leave, waits for itself.
    ///
    /// ```
    /// use asupersync::{Cx, Error, channel::mpsc};
    ///
    /// /// All three lines are logged, or none is.
    /// async fn report(cx: &Cx, log: &mpsc::Sender<String>) -> Result<(), Error> {
    ///     let places = log.reserve_many(cx, 3).await?;
    ///     for (place, line) in places.zip(["begin", "work", "end"]) {
    ///         place.send(line.to_owned())?; // fails only if nobody reads any more
    ///     }
    ///     Ok(())
    /// }
    /// # use asupersync::{LabConfig, LabRuntime, Scope};
    /// # LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
    /// # let (tx, mut rx) = mpsc::channel(3);
    /// # report(&cx, &tx).await.unwrap();
    /// # assert_eq!(rx.drain().collect::<Vec<_>>(), ["begin", "work", "end"]);
    /// # });
    /// ```
    ///
    /// # Cancellation
    /// Safe: either all places are reserved, or nothing happened; what was
    /// collected in the meantime goes to the next in line.
    ///
    /// # Errors
    /// [`ReserveManyError::TooMany`], at once, when the channel has fewer places;
    /// [`ReserveManyError::Closed`] when the receiving end is gone or has closed,
    /// [`ReserveManyError::Cancelled`] when the task was asked to cancel.
    pub fn reserve_many<'a>(&'a self, cx: &'a Cx, n: usize) -> ReserveMany<'a, T> {
        ReserveMany(Reserving::many(&*self.shared, n, cx))
    }

    /// Reserves `n` places if there are so many, and nobody is in line.
    ///
    /// # Errors
    /// [`TryReserveManyError`] says whether to come back later.
    pub fn try_reserve_many(
        &self,
        cx: &Cx,
        n: usize,
    ) -> Result<PermitIterator<'_, T>, TryReserveManyError> {
        let room = &*self.shared;
        room.places(|p| {
            p.can_ever_give(n)?;
            p.reserve(n).map_err(TryReserveManyError::from)
        })?;
        Ok(PermitIterator(ReservedMany::new(room, n, cx)))
    }
}

/// Future of [`Sender::reserve_many`].
#[must_use = "futures do nothing unless awaited"]
pub struct ReserveMany<'a, T>(Reserving<'a, Shared<T>>);

impl<'a, T> Future for ReserveMany<'a, T> {
    type Output = Result<PermitIterator<'a, T>, ReserveManyError>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.poll_many(task).map_ok(PermitIterator)
    }
}

impl<T> DropSafe for ReserveMany<'_, T> {}

/// Reserved places, taken out one by one as [`Permit`]s.
///
/// Each permit is an obligation of its own. What is left over when the iterator is
/// dropped goes back to the channel, as if aborted; until then the iterator is one
/// obligation, whatever the number of places left in it.
#[must_use = "places that are dropped send nothing"]
pub struct PermitIterator<'a, T>(ReservedMany<'a, Shared<T>>);

impl<T> PermitIterator<'_, T> {
    /// Hands the promise of what is left over to the task of `cx`, which is the one
    /// that must keep it now; permits taken out from here on are that task's.
    pub fn transfer(self, cx: &Cx) -> Self {
        PermitIterator(self.0.transfer(cx))
    }
}

impl<'a, T> Iterator for PermitIterator<'a, T> {
    type Item = Permit<'a, T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Permit)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.0.left();
        (left, Some(left))
    }
}

impl<T> ExactSizeIterator for PermitIterator<'_, T> {}

impl<T> FusedIterator for PermitIterator<'_, T> {}

impl<T> fmt::Debug for PermitIterator<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PermitIterator")
            .field("left", &self.0.left())
            .field("channel", &self.0.room.statistics())
            .finish()
    }
}
