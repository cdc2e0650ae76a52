//! However full the urgent lanes are, those below are served within their bounds.

use asupersync::lab::{Pick, StreakLimits};
use asupersync::types::budget::Budget;
use asupersync::{CancelKind, Cx, LabConfig, LabRuntime, Scope};
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

/// Dispatches that are measured, once everybody runs.
const DISPATCHES: usize = 700;

/// Whose turn it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Served {
    Cancel,
    Timed,
    Ready,
}

/// Never waits: it is runnable again at once, until enough has been seen.
async fn flood(cx: Cx, unasked: Served, log: Arc<Mutex<Vec<Served>>>) {
    poll_fn(|task| {
        let mut log = log.lock().expect("nobody panics");
        log.push(match cx.is_cancel_requested() {
            true => Served::Cancel,
            false => unasked,
        });
        if log.len() >= 2 * DISPATCHES {
            return Poll::Ready(());
        }
        task.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Floods of the lanes in `of`, three tasks each; says who was served when.
fn served(seed: u64, limits: StreakLimits, of: &[Served]) -> Vec<Served> {
    let config = LabConfig::default().seed(seed).pick(Pick::Lanes);
    let lab = LabRuntime::new(config.streak_limits(limits));
    let log = Arc::new(Mutex::new(Vec::new()));
    lab.run(async |scope: Scope| {
        let mut asked = Vec::new();
        for lane in of.iter().copied().cycle().take(3 * of.len()) {
            let task = match lane {
                Served::Timed => {
                    let deadline = Duration::from_secs(1 + seed % 3);
                    let budget = Budget::default().with_timeout(scope.now(), deadline);
                    scope.task().budget(budget)
                }
                Served::Cancel | Served::Ready => scope.task(),
            };
            let log = log.clone();
            let task = task.spawn(async move |cx| flood(cx, lane, log).await);
            if lane == Served::Cancel {
                asked.push(task);
            }
        }
        // A task that is asked before it began does not begin.
        while log.lock().expect("nobody panics").len() < DISPATCHES / 2 {
            scope.yield_now().await.expect("nobody asks the root");
        }
        asked.iter().for_each(|task| task.cancel(CancelKind::User));
        log.lock().expect("nobody panics").clear();
    });
    let log = log.lock().expect("nobody panics");
    // Who was asked while queued has changed lanes: everybody is where they belong.
    assert_eq!(log.contains(&Served::Cancel), of.contains(&Served::Cancel));
    log.clone()
}

/// The most dispatches in a row that went to other lanes.
fn longest_wait(log: &[Served], lane: Served) -> usize {
    let runs = log.split(|served| *served == lane);
    runs.map(<[Served]>::len).max().expect("one run at least")
}

#[test]
fn a_lower_lane_waits_as_long_as_its_bound_says_and_no_longer() {
    use Served::{Cancel, Ready, Timed};
    for seed in 0..36 {
        let limits = StreakLimits {
            cancel: [1, 2, 3, 8][seed as usize % 4],
            timed: [1, 4, 8][seed as usize % 3],
        };
        let (l, s) = (usize::from(limits.cancel), usize::from(limits.timed));
        // The lanes that are flooded, who is measured, and its bound.
        let cases: [(&[Served], Served, usize); 5] = [
            (&[Cancel, Timed, Ready], Ready, (l + 1) * (s + 1)),
            (&[Cancel, Timed, Ready], Timed, 2 * (l + 1)),
            (&[Cancel, Timed], Timed, l + 1),
            (&[Cancel, Ready], Ready, l + 1),
            (&[Timed, Ready], Ready, s + 1),
        ];
        for (of, lane, bound) in cases {
            let log = served(seed, limits, of);
            // Floods that never cease make the bound exact.
            assert_eq!(
                longest_wait(&log, lane),
                bound - 1,
                "{lane:?} under floods of {of:?} with {limits:?} and seed {seed}"
            );
        }
    }
}

#[test]
fn the_limits_are_those_of_a_worker_by_default() {
    use Served::{Cancel, Ready, Timed};
    let log = served(7, StreakLimits::default(), &[Cancel, Timed, Ready]);
    assert_eq!(longest_wait(&log, Ready), 80);
}
