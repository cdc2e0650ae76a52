//! Timers: made and dropped, beaten by what they watch, and fired.

use super::{Run, inside, timed};
use crate::engine::Engine;
use crate::measure::{Lap, median};
use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

pub(super) fn runs<E: Engine>(engine: &'static E) -> Vec<(&'static str, Run)> {
    vec![
        timed(engine, "timer", register::<E>),
        timed(engine, "timeout", beaten::<E>),
        timed(engine, "timer-fire", fire::<E>),
        inside(engine, "sleep-late", lateness::<E>),
    ]
}

const LONG: Duration = Duration::from_secs(1);

/// Timers made between two yields. Runtimes let a task do about 128 things in
/// a turn; beyond that a sleep does not register, and nothing would be measured.
const PER_TURN: u32 = 32;

async fn register<E: Engine>(cx: E::Cx, n: u32) {
    for i in 0..n {
        let mut sleep = pin!(E::sleep(&cx, LONG));
        let ready = std::future::poll_fn(|task| Poll::Ready(sleep.as_mut().poll(task).is_ready()));
        assert!(!ready.await);
        if i % PER_TURN == 0 {
            E::yield_now(&cx).await;
        }
    }
}

async fn beaten<E: Engine>(cx: E::Cx, n: u32) {
    for _ in 0..n {
        let in_time = E::timeout(&cx, LONG, E::yield_now(&cx)).await;
        assert!(in_time.is_some());
    }
}

async fn fire<E: Engine>(cx: E::Cx, n: u32) {
    let sleeper = |i: u32| {
        // Spread over 9 ms in an order that is not that of their making.
        let micros = u64::from(i.wrapping_mul(2_654_435_761) % 9_000);
        E::spawn(&cx, move |cx| async move {
            E::sleep(&cx, Duration::from_micros(1_000 + micros)).await;
        })
    };
    let tasks: Vec<E::Join<()>> = (0..n).map(sleeper).collect();
    for task in tasks {
        task.await;
    }
}

/// Scaled by `n`, since the table divides by it.
async fn lateness<E: Engine>(cx: E::Cx, n: u32) -> Lap {
    let asked = Duration::from_millis(1);
    let mut late = Vec::new();
    for _ in 0..n {
        let start = Instant::now();
        E::sleep(&cx, asked).await;
        late.push(start.elapsed().saturating_sub(asked).as_nanos() as f64 / 1e3);
    }
    Lap::value(median(late) * f64::from(n))
}
