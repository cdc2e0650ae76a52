//! What `select!` expands to: the check of its arms, and where it begins to poll.

use crate::cx::DropSafe;
use pin_project::pin_project;
use std::cell::Cell;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Says that a future may be dropped half-way, so that it can be an arm of a `select!`.
///
/// Use it where losing the arm's progress is intended: the text you did not get
/// is no longer wanted, or the connection is dropped with it. `&mut future`
/// needs no wrapper, and loses nothing.
///
/// ```
/// use asupersync::{Cx, Cancelled, combine::drop_ok, select};
/// use std::time::Duration;
///
/// async fn first_answer(cx: &Cx, ask: impl Future<Output = u32>) -> Result<Option<u32>, Cancelled> {
///     select! {
///         answer = drop_ok(ask) => Ok(Some(answer)),
///         slept = cx.sleep(Duration::from_secs(1)) => slept.map(|()| None),
///     }
/// }
/// ```
pub fn drop_ok<F: IntoFuture>(future: F) -> DropOk<F::IntoFuture> {
    DropOk {
        future: future.into_future(),
    }
}

/// Future of [`drop_ok`].
#[derive(Clone, Debug)]
#[must_use = "futures do nothing unless awaited"]
#[pin_project]
pub struct DropOk<F> {
    #[pin]
    future: F,
}

impl<F: Future> Future for DropOk<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(task)
    }
}

impl<F> DropSafe for DropOk<F> {}

/// An arm of a `select!`.
///
/// The bound is not `F: DropSafe` itself: of an argument whose type lacks a trait
/// that `&mut` has, the compiler says that it should be borrowed, in place of
/// what the trait has to say.
#[doc(hidden)]
pub fn arm<F: IntoFuture>(future: F) -> F::IntoFuture
where
    SelectArm<F::IntoFuture>: Admitted,
{
    future.into_future()
}

/// A future as an arm of a `select!`.
#[doc(hidden)]
pub struct SelectArm<F>(PhantomData<F>);

/// Holds of the arms that may be dropped half-way.
#[doc(hidden)]
pub trait Admitted {}

impl<F: DropSafe> Admitted for SelectArm<F> {}

/// The bit that disables an arm whose guard is false.
#[doc(hidden)]
pub fn bar(arm: u32, guard: bool) -> u64 {
    u64::from(!guard) << arm
}

/// Which of `n` arms is polled at this turn.
#[doc(hidden)]
pub fn turn(start: u32, turn: u32, n: u32) -> u32 {
    (start + turn) % n
}

/// No arm can be taken.
#[doc(hidden)]
#[cold]
#[track_caller]
pub fn nothing_left() -> ! {
    panic!(
        "all arms of this `select!` are disabled: every guard was false or every value failed to \
         match its pattern; add an arm `else => ..` that says what to do then"
    )
}

thread_local! {
    /// The state of this thread's stream of starting points; `None` until first used.
    static STREAM: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Which of `n` arms is polled first.
///
/// There is no ambient context, and a `select!` names none, so the starting
/// points come from a counter of the thread, mixed: seeded at random on first
/// use, or by [`reseed`].
#[doc(hidden)]
pub fn start(n: u32) -> u32 {
    if n < 2 {
        return 0;
    }
    let state = STREAM
        .get()
        .unwrap_or_else(|| RandomState::new().build_hasher().finish());
    let state = state.wrapping_add(STEP);
    STREAM.set(Some(state));
    // The high half of a product maps 32 random bits to 0..n without a division.
    ((u64::from(mix(state) as u32) * u64::from(n)) >> 32) as u32
}

/// Restarts this thread's stream, so that a run in the lab replays.
#[doc(hidden)]
pub fn reseed(seed: u64) {
    STREAM.set(Some(seed));
}

/// The odd number nearest to 2⁶⁴ divided by the golden ratio: a counter with this
/// step visits every value, neighbours far apart (Weyl's sequence).
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014): every input bit changes about half of the output bits.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_arm_is_first_about_equally_often() {
        reseed(42);
        for n in [2, 3, 7, 64] {
            let rounds = 10_000;
            let mut first = vec![0u32; n as usize];
            (0..rounds).for_each(|_| first[start(n) as usize] += 1);
            let fair = f64::from(rounds) / f64::from(n);
            // Four standard deviations of a binomial count.
            let slack = 4.0 * fair.sqrt();
            for (arm, count) in first.iter().enumerate() {
                let off = (f64::from(*count) - fair).abs();
                assert!(
                    off < slack,
                    "arm {arm} of {n} was first {count} times, fair is {fair}"
                );
            }
        }
    }

    #[test]
    fn a_seed_replays() {
        let draw = |seed| {
            reseed(seed);
            (0..100).map(|_| start(5)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
