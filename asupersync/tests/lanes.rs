//! However full the urgent lanes are, those below are served within their bounds.

use asupersync::channel::mpsc;
use asupersync::lab::{Pick, StreakLimits};
use asupersync::types::budget::Budget;
use asupersync::types::policy::Escalation;
use asupersync::{CancelKind, Cx, LabConfig, LabRuntime, RegionOptions, Runtime, Scope};
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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

/// Is runnable at once whenever it was polled, and counts that, until it is over.
async fn storm(polls: &AtomicUsize, over: &AtomicBool) {
    poll_fn(|task| {
        polls.fetch_add(1, Ordering::SeqCst);
        if over.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        task.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A thread outside sends messages into a storm of cancelled tasks, of tasks with
/// deadlines, or of both, without waiting for its turn; the task that waits for
/// them is served before the storm has had more turns than the bound allows.
#[test]
fn a_message_from_outside_gets_through_a_storm_within_the_bound() {
    const MESSAGES: usize = 60;
    for (threads, limits) in [(0, (8, 8)), (1, (2, 5))] {
        let (l, s) = limits;
        for (asked, timed, bound) in [
            (true, false, l + 1),
            (false, true, s + 1),
            (true, true, (l + 1) * (s + 1)),
        ] {
            let (cancel, timed_limit) = (l as u8, s as u8);
            let builder = Runtime::builder().streak_limits(StreakLimits {
                cancel,
                timed: timed_limit,
            });
            let builder = match threads {
                0 => builder.current_thread(),
                n => builder.worker_threads(n),
            };
            let runtime = builder.build().unwrap();
            let polls = Arc::new(AtomicUsize::new(0));
            let over = Arc::new(AtomicBool::new(false));
            let (tx, mut rx) = mpsc::channel::<usize>(1);
            let (answer, answered) = std::sync::mpsc::channel::<usize>();
            let (rise, risen) = std::sync::mpsc::channel();
            let outside = std::thread::spawn({
                let polls = polls.clone();
                move || {
                    risen.recv().unwrap();
                    let mut gaps = Vec::new();
                    for n in 0..MESSAGES {
                        // At any time of the storm, whatever the answer has waited for.
                        let at = polls.load(Ordering::SeqCst) + n % 7;
                        while polls.load(Ordering::SeqCst) < at {
                            std::thread::yield_now();
                        }
                        tx.try_send(n).unwrap();
                        // What the storm did before this look is not held against it.
                        let sent = polls.load(Ordering::SeqCst);
                        let received = answered.recv().unwrap();
                        gaps.push(received.saturating_sub(sent));
                    }
                    gaps
                }
            });
            let seen = runtime.block_on(async |scope: Scope| {
                let options = RegionOptions {
                    // A storm of cleanups goes on for as long as it likes.
                    escalation: Some(Escalation::Wait),
                    ..RegionOptions::named("storm")
                };
                let reported = scope.region_report(options, async |scope: Scope| {
                    let mut tasks = Vec::new();
                    for n in 0..32 {
                        let (polls, over) = (polls.clone(), over.clone());
                        let task = if timed && (!asked || n % 2 == 0) {
                            let hour = Duration::from_secs(3600);
                            let budget = Budget::default().with_timeout(scope.now(), hour);
                            scope.task().budget(budget)
                        } else {
                            scope.task()
                        };
                        let task = task.spawn(async move |_cx| storm(&polls, &over).await);
                        if asked && (!timed || n % 2 == 1) {
                            tasks.push(task);
                        }
                    }
                    let probe = scope.spawn({
                        let polls = polls.clone();
                        async move |cx: Cx| {
                            for _ in 0..MESSAGES {
                                rx.recv(&cx).await.unwrap();
                                answer.send(polls.load(Ordering::SeqCst)).unwrap();
                            }
                        }
                    });
                    // Everybody has begun before somebody is asked, and whoever was asked
                    // while queued has changed lanes before the first message.
                    let turns = async |n| {
                        let at = polls.load(Ordering::SeqCst) + n;
                        while polls.load(Ordering::SeqCst) < at {
                            scope.yield_now().await.unwrap();
                        }
                    };
                    turns(100).await;
                    tasks.iter().for_each(|task| task.cancel(CancelKind::User));
                    turns(10_000).await;
                    rise.send(()).unwrap();
                    probe.await.into_result().unwrap();
                    over.store(true, Ordering::SeqCst);
                });
                reported.await.unwrap().report
            });
            let gaps = outside.join().unwrap();
            let longest = *gaps.iter().max().unwrap();
            let case = format!(
                "{threads} threads, {limits:?}, asked {asked}, timed {timed}: {gaps:?}\n{seen:?}"
            );
            // One of the storm is in its turn when the message comes.
            assert!(longest <= bound, "{longest} of {bound}: {case}");
            assert!(
                polls.load(Ordering::SeqCst) > MESSAGES,
                "there was no storm: {case}"
            );
        }
    }
}
