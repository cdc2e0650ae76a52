//! How long things take while other tasks keep the workers busy.

use super::{Run, inside};
use crate::engine::{Engine, Wait};
use crate::measure::{Lap, Stopwatch};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub(super) fn runs<E: Engine>(engine: &'static E) -> Vec<(&'static str, Run)> {
    let rows = [
        ("ping-yields", Storm::Yields, Probe::Ping),
        ("ping-hogs", Storm::Hogs, Probe::Ping),
        ("sleep-yields", Storm::Yields, Probe::Sleep),
        ("message-calm", Storm::Calm, Probe::Message),
        ("message-cancels", Storm::Cancels, Probe::Message),
    ];
    let runs = rows.map(|(row, storm, probe)| {
        inside(engine, row, move |cx, n| async move {
            let over = Arc::new(AtomicBool::new(false));
            let storm: Vec<E::Join<()>> = storm.rise::<E>(&cx, &over);
            let laps = match probe {
                Probe::Ping => pings::<E>(&cx, n).await,
                Probe::Sleep => sleeps::<E>(&cx, n).await,
                Probe::Message => messages::<E>(&cx, n).await,
            };
            over.store(true, Ordering::Relaxed);
            for task in storm {
                task.await;
            }
            Lap::p99_micros(&laps)
        })
    });
    runs.into()
}

/// What the other tasks do.
#[derive(Clone, Copy)]
enum Storm {
    /// Nothing, many times.
    Yields,
    /// Compute.
    Hogs,
    /// Start crowds and cancel them.
    Cancels,
    /// There are none.
    Calm,
}

/// What is timed.
#[derive(Clone, Copy)]
enum Probe {
    /// A message to another task and back.
    Ping,
    /// How much too late a timer wakes.
    Sleep,
    /// How long a message from a thread outside takes to a task that waits. Who
    /// sends does not wait for an answer, and so comes at any time of a storm.
    Message,
}

/// How many tasks are cancelled at once.
const CROWD: u32 = 1_000;
/// How long an outside thread rests between two messages.
const PAUSE: Duration = Duration::from_micros(200);

/// How long a hog computes between two yields.
const HOGS_FOR: Duration = Duration::from_micros(50);

impl Storm {
    fn tasks(self) -> u32 {
        match self {
            Storm::Yields => 64,
            Storm::Hogs => 4,
            Storm::Cancels => 2,
            Storm::Calm => 0,
        }
    }

    /// Starts the tasks, which go on until it is over.
    fn rise<E: Engine>(self, cx: &E::Cx, over: &Arc<AtomicBool>) -> Vec<E::Join<()>> {
        let task = |_| {
            let over = over.clone();
            E::spawn(cx, move |cx| async move {
                while !over.load(Ordering::Relaxed) {
                    match self {
                        Storm::Yields | Storm::Calm => {}
                        Storm::Cancels => {
                            E::crowd(&cx, CROWD, Wait::Pending, || std::future::ready(())).await
                        }
                        Storm::Hogs => compute(),
                    }
                    E::yield_now(&cx).await;
                }
            })
        };
        (0..self.tasks()).map(task).collect()
    }
}

fn compute() {
    let start = Instant::now();
    while start.elapsed() < HOGS_FOR {
        std::hint::spin_loop();
    }
}

async fn pings<E: Engine>(cx: &E::Cx, n: u32) -> Vec<Lap> {
    let (ping, mut pinged) = E::channel(1);
    let (pong, mut ponged) = E::channel(1);
    let echo = E::spawn(cx, move |cx| async move {
        while let Some(i) = E::recv(&cx, &mut pinged).await {
            E::send(&cx, &pong, i).await;
        }
    });
    let mut laps = Vec::with_capacity(n as usize);
    for i in 0..n {
        let watch = Stopwatch::start();
        // The queue from its end: a runtime may let a woken task run at once,
        // and then a message says nothing of those that wait.
        E::yield_now(cx).await;
        E::send(cx, &ping, i).await;
        assert_eq!(E::recv(cx, &mut ponged).await, Some(i));
        laps.push(watch.lap());
    }
    drop(ping);
    echo.await;
    laps
}

async fn sleeps<E: Engine>(cx: &E::Cx, n: u32) -> Vec<Lap> {
    let asked = Duration::from_millis(1);
    let mut laps = Vec::with_capacity(n as usize);
    for _ in 0..n {
        let start = Instant::now();
        E::sleep(cx, asked).await;
        let late = start.elapsed().saturating_sub(asked);
        laps.push(Lap::value(late.as_nanos() as f64));
    }
    laps
}

async fn messages<E: Engine>(cx: &E::Cx, n: u32) -> Vec<Lap> {
    let (tx, mut rx) = E::channel(n as usize);
    let outside = std::thread::spawn(move || {
        for _ in 0..n {
            std::thread::sleep(PAUSE);
            E::send_from_outside(&tx, Instant::now());
        }
    });
    let mut laps = Vec::with_capacity(n as usize);
    while let Some(sent) = E::recv(cx, &mut rx).await {
        laps.push(Lap::value(sent.elapsed().as_nanos() as f64));
    }
    outside.join().expect("there was room");
    laps
}
