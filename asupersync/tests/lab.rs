//! The lab as its users meet it: same seed, same run; virtual time; reports that say what is wrong.
#![allow(
    clippy::let_underscore_future,
    reason = "a region awaits its tasks whether or not someone keeps their handles"
)]

use asupersync::lab::pick::Pick;
use asupersync::lab::{LabFailure, Replayer};
use asupersync::{CancelReason, Cx, LabConfig, LabRuntime, Scope, Time};
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

fn lab(seed: u64) -> LabRuntime {
    LabRuntime::new(LabConfig::default().seed(seed))
}

/// A program with everything that a seed decides about.
async fn busy(cx: Scope) -> u64 {
    let log = Arc::new(AtomicU64::new(0));
    for i in 0..5_u64 {
        let log = log.clone();
        let _ = cx.spawn(async move |cx: Cx| {
            for _ in 0..5 {
                let draw = cx.random_u64();
                let _ = cx.sleep(Duration::from_millis(draw % 20)).await;
                log.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |l| {
                    Some(l.wrapping_mul(31).wrapping_add(i))
                })
                .expect("always some");
                let _ = cx.yield_now().await;
            }
        });
    }
    let region = cx
        .region(async |scope| {
            let _ = scope.spawn(async |cx: Cx| cx.sleep(Duration::from_millis(5)).await);
            scope.cancel("enough");
        })
        .await;
    assert!(region.is_err(), "a cancelled region says so");
    log.load(Ordering::Relaxed)
}

fn hash(config: LabConfig) -> u64 {
    let lab = LabRuntime::new(config);
    lab.run(busy);
    lab.trace().hash()
}

/// Set in the other process of the tests below.
const CHILD: &str = "LAB_TEST_PRINT_HASH";

/// What one test of this binary says in a process of its own.
fn child(test: &str, variables: &[(&str, &str)]) -> String {
    let binary = std::env::current_exe().expect("a test binary has a path");
    let output = std::process::Command::new(binary)
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .envs(variables.iter().copied())
        .output()
        .expect("the test binary starts");
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn a_seed_is_a_run_in_every_process() {
    let here = hash(LabConfig::default().seed(7));
    if std::env::var_os(CHILD).is_some() {
        println!("hash={here:016x}");
        return;
    }
    let text = child("a_seed_is_a_run_in_every_process", &[]);
    assert!(
        text.contains(&format!("hash={here:016x}")),
        "{here:016x} is not in {text}"
    );
}

#[test]
fn the_variable_pins_the_seed_of_every_lab() {
    const NAME: &str = "the_variable_pins_the_seed_of_every_lab";
    let hash = |seed| hash(LabConfig::default().seed(seed));
    if std::env::var_os(CHILD).is_some() {
        println!("hash={:016x}", hash(1));
        return;
    }
    let text = child(NAME, &[("ASUPERSYNC_SEED", "7")]);
    assert!(text.contains(&format!("hash={:016x}", hash(7))), "{text}");
    let text = child(NAME, &[("ASUPERSYNC_SEED", "seven")]);
    assert!(
        text.contains("must be a whole number") && !text.contains("hash="),
        "a seed that is no number is refused: {text}"
    );
}

#[test]
fn seeds_give_different_runs_and_each_repeats() {
    for pick in [Pick::Random, Pick::Lanes, Pick::Fifo] {
        let config = |seed| LabConfig::default().seed(seed).pick(pick.clone());
        let first: Vec<u64> = (0..50).map(|seed| hash(config(seed))).collect();
        let again: Vec<u64> = (0..50).map(|seed| hash(config(seed))).collect();
        assert_eq!(first, again);
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 50, "{pick:?}");
    }
}

#[test]
fn a_replay_is_the_same_run() {
    for seed in 0..50 {
        let config = LabConfig::default().seed(seed);
        let lab = LabRuntime::new(config.clone());
        let value = lab.run(busy);
        let mut again = 0;
        let report = Replayer::new(config, lab.trace())
            .run(async |cx| again = busy(cx).await)
            .expect("the program is deterministic");
        assert_eq!((report.hash, again), (lab.trace().hash(), value));
    }
}

#[test]
fn a_program_that_asks_elsewhere_is_caught() {
    let calls = AtomicU64::new(0);
    let program = async |cx: Scope| {
        for _ in 0..=calls.fetch_add(1, Ordering::Relaxed) {
            cx.yield_now().await.expect("nobody cancels");
        }
    };
    let config = LabConfig::default();
    let lab = LabRuntime::new(config.clone());
    lab.run(program);
    match Replayer::new(config, lab.trace()).run(program) {
        Err(LabFailure::NonDeterminism(d)) => {
            assert!(d.index > 0, "the beginning was the same");
            assert_ne!(d.expected, d.got);
        }
        other => panic!("the difference was not noticed: {other:?}"),
    }
}

#[test]
fn any_list_of_choices_is_a_schedule() {
    for choices in [vec![], vec![0; 10], vec![u32::MAX; 300], (0..300).collect()] {
        LabRuntime::new(LabConfig::default().pick(Pick::replay(choices))).run(busy);
    }
}

#[test]
fn thirty_days_take_no_time() {
    const DAYS: Duration = Duration::from_secs(30 * 86_400);
    let wall = || {
        let lab = lab(1);
        let start = Instant::now();
        let slept = lab.run(async |cx| {
            let begin = cx.now();
            let late = cx.timeout(DAYS, async |cx| cx.sleep(2 * DAYS).await).await;
            assert!(late.is_err(), "{late:?}");
            cx.now() - begin
        });
        assert_eq!(slept, DAYS);
        start.elapsed()
    };
    // The least of several runs: the machine may be busy with something else.
    let took = (0..20).map(|_| wall()).min().expect("twenty runs");
    assert!(took < Duration::from_millis(1), "took {took:?}");
}

#[test]
fn a_timeout_fires_at_its_instant() {
    lab(1).run(async |cx| {
        let result = cx
            .timeout(Duration::from_secs(5), async |cx| {
                cx.sleep(Duration::from_secs(9)).await
            })
            .await;
        assert!(result.is_err(), "{result:?}");
        assert_eq!(cx.now(), Time::from_nanos(5_000_000_000));
    });
}

#[test]
fn a_clock_that_may_not_advance_waits_for_the_test() {
    let lab = LabRuntime::new(LabConfig::default().auto_advance(false));
    lab.advance(Duration::from_secs(2));
    let result = lab.try_run(async |cx| {
        cx.sleep(Duration::from_secs(1)).await.expect("allowed");
        assert_eq!(cx.now(), Time::from_nanos(1_000_000_000));
        lab.advance(Duration::from_secs(1));
        cx.sleep_until(Time::from_nanos(3_000_000_000))
            .await
            .expect("allowed");
        cx.sleep(Duration::from_secs(1))
            .await
            .expect("never comes back");
    });
    match result {
        Err(LabFailure::Deadlock(wait)) => {
            assert_eq!(wait.at, Time::from_nanos(3_000_000_000));
            assert_eq!(wait.next_timer, Some(Time::from_nanos(4_000_000_000)));
            assert!(wait.to_string().contains("LabRuntime::advance"), "{wait}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_deadlock_is_reported_at_once_and_names_who_waits() {
    let lab = lab(3);
    let result = lab.try_run(async |cx| {
        let _ = cx.task().name("stuck").spawn(async |cx: Cx| {
            let _ = cx.checkpoint_note("before the wait");
            poll_fn::<(), _>(|_| Poll::Pending).await
        });
        let _ = cx.spawn(async |cx: Cx| cx.sleep(Duration::from_secs(2)).await);
        poll_fn::<(), _>(|_| Poll::Pending).await
    });
    let Err(LabFailure::Deadlock(wait)) = result else {
        panic!("{result:?}")
    };
    assert_eq!(wait.at, Time::from_nanos(2_000_000_000));
    assert_eq!(wait.count, 2, "{wait}");
    let stuck = wait
        .waiting
        .iter()
        .find(|w| w.name.as_str() == "stuck")
        .expect("it is named");
    assert_eq!(
        (stuck.note, stuck.since),
        (Some("before the wait"), Some(Time::ZERO))
    );
    let report = lab.report().to_string();
    assert!(report.contains("deadlock at t+2s"), "{report}");
    let line = "ASUPERSYNC_SEED=3 cargo test a_deadlock_is_reported_at_once_and_names_who_waits";
    assert!(report.contains(line), "{report}");
}

#[test]
fn a_livelock_is_reported_with_who_spins() {
    let lab = LabRuntime::new(LabConfig::default().max_steps(5_000));
    let result = lab.try_run(async |cx| {
        let _ = cx.task().name("spinner").spawn(async |cx: Cx| {
            loop {
                let _ = cx.yield_now().await;
            }
        });
    });
    let Err(LabFailure::StepLimit(spin)) = result else {
        panic!("{result:?}")
    };
    assert_eq!(spin.steps, 5_000);
    assert_eq!(spin.spinning[0].1.as_str(), "spinner");
    assert_eq!(lab.steps(), 5_000, "the teardown is not part of the run");
}

#[test]
fn what_a_failed_run_leaves_is_dropped() {
    let held = Arc::new(());
    let lab = lab(0);
    let result = lab.try_run(async |cx| {
        for _ in 0..10 {
            let held = held.clone();
            let _ = cx.spawn(async move |cx: Cx| {
                let _held = held;
                let _ = cx
                    .region(async |_| poll_fn::<(), _>(|_| Poll::Pending).await)
                    .await;
            });
        }
    });
    assert!(matches!(result, Err(LabFailure::Deadlock(_))), "{result:?}");
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn a_panic_of_the_body_or_of_a_task_fails_the_run() {
    let failing = lab(5);
    let result = failing.try_run(async |_| panic!("on purpose"));
    match result {
        Err(LabFailure::BodyPanic(p)) => assert_eq!(p.message(), "on purpose"),
        other => panic!("{other:?}"),
    }
    let result = lab(5).try_run(async |cx| {
        let _ = cx.spawn(async |_: Cx| panic!("in a task"));
    });
    match result {
        Err(LabFailure::Region(r)) => assert!(r.to_string().contains("in a task"), "{r}"),
        other => panic!("{other:?}"),
    }
    let message = std::panic::catch_unwind(|| lab(5).run(async |_| panic!("on purpose")));
    let message = message.expect_err("run panics");
    let message = message.downcast_ref::<String>().expect("with a message");
    assert!(
        message.contains("on purpose") && message.contains("ASUPERSYNC_SEED=5"),
        "{message}"
    );
}

/// Whether the two events of a kind of race meet under a seed.
fn races(seed: u64, race: impl AsyncFn(&Scope) -> bool) -> bool {
    LabRuntime::new(LabConfig::default().seed(seed)).run(async |cx| race(&cx).await)
}

#[test]
fn planted_races_are_found() {
    // A read, a wait and a write: the other task's write between them is lost.
    let lost_update = async |cx: &Scope| {
        let n = Arc::new(AtomicU64::new(0));
        let handles = [(); 2].map(|()| {
            let n = n.clone();
            cx.spawn(async move |cx: Cx| {
                let seen = n.load(Ordering::Relaxed);
                let _ = cx.yield_now().await;
                n.store(seen + 1, Ordering::Relaxed);
            })
        });
        for h in handles {
            h.join(cx)
                .await
                .expect("nobody cancels")
                .into_result()
                .expect("no panic");
        }
        n.load(Ordering::Relaxed) == 1
    };
    // The flag is looked at after the first and before the second of two stores.
    let torn = async |cx: &Scope| {
        let pair = Arc::new(Mutex::new((0, 0)));
        let writer = pair.clone();
        let _ = cx.spawn(async move |cx: Cx| {
            for _ in 0..3 {
                let _ = cx.yield_now().await;
            }
            writer.lock().expect("nobody panics").0 = 1;
            let _ = cx.yield_now().await;
            writer.lock().expect("nobody panics").1 = 1;
        });
        let reader = cx.spawn(async move |_: Cx| *pair.lock().expect("nobody panics"));
        let (a, b) = reader
            .join(cx)
            .await
            .expect("nobody cancels")
            .into_result()
            .expect("no panic");
        a != b
    };
    let first = |race: &dyn Fn(u64) -> bool| (0..1_000).find(|seed| race(*seed));
    let update =
        first(&|seed| races(seed, lost_update)).expect("a seed below 1000 loses an update");
    assert!(races(update, lost_update), "and does so again");
    let half = first(&|seed| races(seed, torn)).expect("a seed below 1000 sees half of the pair");
    assert!(races(half, torn), "and does so again");
    assert!(
        (0..1_000).any(|seed| !races(seed, lost_update)),
        "other seeds do not"
    );
}

#[test]
fn blocking_work_is_a_step_like_any_other() {
    let orders: BTreeSet<Vec<u32>> = (0..100)
        .map(|seed| {
            let order = Arc::new(Mutex::new(Vec::new()));
            lab(seed).run(async |cx| {
                for i in 0..3 {
                    let order = order.clone();
                    let _ = cx.spawn_blocking(move |_| order.lock().expect("no panic").push(i));
                }
            });
            let order = order.lock().expect("no panic");
            order.clone()
        })
        .collect();
    assert_eq!(orders.len(), 6, "all orders of three jobs: {orders:?}");
}

#[test]
fn one_world_runs_several_programs() {
    let lab = lab(9);
    lab.run(busy);
    let (now, steps) = (lab.now(), lab.steps());
    lab.run(busy);
    assert!(lab.now() > now && lab.steps() > steps);
    lab.check().expect("no law is broken");
}

#[test]
fn a_cancelled_run_is_no_failure_of_the_lab() {
    let lab = lab(2);
    let reason: CancelReason = lab.run(async |cx| {
        let handle = cx.spawn(async |cx: Cx| cx.sleep(Duration::from_secs(60)).await);
        handle.cancel("changed my mind");
        match handle.join(&cx).await.expect("only the child is cancelled") {
            asupersync::Outcome::Cancelled(reason) => reason,
            // It ended with the error of its wait as its value.
            asupersync::Outcome::Ok(Err(c)) => c.reason().clone(),
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(reason.message.as_deref(), Some("changed my mind"));
    assert_eq!(lab.now(), Time::ZERO);
}
