//! Many items through one function, a bounded number at a time, into one value.

use super::heat::Heat;
use super::race::Arm;
use crate::cx::Cx;
use crate::types::cancel::Cancelled;
use std::collections::VecDeque;
use std::num::NonZeroUsize;

/// Why a map and reduce gave no value.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MapError<E> {
    /// The first item to fail; the others were asked to cancel and awaited.
    #[error("item {index} failed: {error}")]
    Failed {
        /// Which item, counted from 0.
        index: usize,
        /// How.
        error: E,
    },
    /// The caller was asked to cancel.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Maps every item in a task of its own, at most `limit` of them at a time, and
/// folds the results in the order of the items.
///
/// An item is not begun until the one `limit` places before it is folded, so no
/// more than `limit` results wait at any time. `fold` runs in the calling task.
///
/// # Cancellation
/// Asked to cancel, it cancels all tasks and awaits them; what was folded is dropped.
///
/// # Errors
/// [`MapError::Failed`] with the first failure in time, once all tasks have
/// ended; [`MapError::Cancelled`].
///
/// # Panics
/// When `map` or `fold` panics, after all tasks have ended.
///
/// ```
/// use asupersync::combine::map_reduce;
/// # use asupersync::{Cx, LabConfig, LabRuntime, Scope};
/// # use std::{convert::Infallible, num::NonZeroUsize, time::Duration};
/// # LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
/// let limit = NonZeroUsize::new(4).unwrap();
/// let text = map_reduce(
///     &cx,
///     limit,
///     1..=5u64,
///     async |cx: Cx, n| {
///         let _ = cx.sleep(Duration::from_millis(100 - n)).await;
///         Ok::<_, Infallible>(n * n)
///     },
///     String::new(),
///     |text, square| format!("{text}{square} "),
/// ).await.unwrap();
/// assert_eq!(text, "1 4 9 16 25 ");
/// # });
/// ```
pub async fn map_reduce<I, T, E, A, F, Fut>(
    cx: &Cx,
    limit: NonZeroUsize,
    items: impl IntoIterator<Item = I>,
    map: F,
    init: A,
    mut fold: impl FnMut(A, T) -> A,
) -> Result<A, MapError<E>>
where
    F: Fn(Cx, I) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    I: Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    cx.checkpoint()?;
    let mut items = items.into_iter().enumerate();
    Heat::run(cx, "map_reduce", async |heat| {
        let mut folded = init;
        // The results that wait for an earlier one; the front is item number `next`.
        let mut window: VecDeque<Option<T>> = VecDeque::with_capacity(limit.get());
        let mut next = 0;
        loop {
            while window.len() < limit.get()
                && let Some((index, item)) = items.next()
            {
                let map = map.clone();
                heat.start(index, Arm::new(move |cx| map(cx, item)));
                window.push_back(None);
            }
            let Some(ended) = heat.next().await else {
                return Ok(folded);
            };
            match ended? {
                (index, Ok(value)) => window[index - next] = Some(value),
                (index, Err(error)) => return Err(MapError::Failed { index, error }),
            }
            while let Some(Some(_)) = window.front() {
                let value = window.pop_front().flatten().expect("looked at just above");
                folded = fold(folded, value);
                next += 1;
            }
        }
    })
    .await?
}
