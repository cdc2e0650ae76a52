//! The attribute macros from the outside, and the messages of all macros.

use asupersync::{Cancelled, Cx, Scope, TaskHandle};
use std::num::ParseIntError;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

#[asupersync::test]
async fn takes_a_context(cx: &Cx) {
    cx.yield_now().await.unwrap();
}

#[asupersync::test]
async fn takes_a_scope(mut scope: Scope) {
    let first = scope.clone();
    let task: TaskHandle<u32> = scope.spawn(async |_cx| 1);
    scope = first;
    assert_eq!(task.join(&scope).await.unwrap().into_result().unwrap(), 1);
}

#[asupersync::test]
async fn takes_nothing() {
    std::future::ready(()).await;
}

#[asupersync::test(flavor = "multi_thread", worker_threads = 2)]
async fn returns_a_result(cx: &Cx) -> Result<(), Cancelled> {
    let here = std::thread::current().id();
    let there = cx
        .spawn(async |_cx| std::thread::current().id())
        .await
        .into_result()
        .unwrap();
    assert_ne!(here, there, "a worker runs it");
    cx.checkpoint()
}

#[asupersync::test(worker_threads = 1 + 1)]
async fn returns_early(_cx: &Cx) -> Result<(), ParseIntError> {
    let n: u32 = "1".parse()?;
    if n == 1 {
        return Ok(());
    }
    panic!("not reached");
}

/// Attributes stay where they were.
#[asupersync::test]
#[should_panic(expected = "as it should")]
async fn panics(_cx: &Cx) {
    panic!("as it should");
}

#[asupersync::test]
#[should_panic(expected = "T1")]
async fn fails_when_a_child_fails(cx: &Cx) {
    drop(cx.try_spawn(async |_cx| Err::<(), _>(std::io::Error::other("nobody looks"))));
}

static RUNS: AtomicU32 = AtomicU32::new(0);
static DRAWS: Mutex<Vec<u64>> = Mutex::new(Vec::new());

#[asupersync::lab_test(seeds = 3..7)]
async fn runs_once_per_seed(cx: &Cx) -> Result<(), Cancelled> {
    RUNS.fetch_add(1, Ordering::Relaxed);
    DRAWS.lock().unwrap().push(cx.random_u64());
    cx.sleep(std::time::Duration::from_secs(3600)).await
}

#[test]
fn a_lab_test_runs_under_each_of_its_seeds() {
    // The harness may run the same function beside this.
    let before = RUNS.load(Ordering::Relaxed);
    runs_once_per_seed();
    assert!(RUNS.load(Ordering::Relaxed) >= before + 4);
    let mut draws = DRAWS.lock().unwrap().clone();
    draws.sort_unstable();
    draws.dedup();
    assert_eq!(draws.len(), 4, "four seeds, four worlds: {draws:?}");
}

#[asupersync::lab_test]
async fn a_lab_test_has_a_seed_of_its_own(scope: Scope) {
    drop(scope.spawn(async |cx: Cx| cx.yield_now().await.unwrap()));
}

#[asupersync::lab_test(seeds = 0..=2)]
#[should_panic(expected = "ASUPERSYNC_SEED=0")]
async fn a_lab_test_that_fails_says_how_to_replay_it() {
    panic!("now");
}

#[asupersync::main(flavor = "current_thread")]
async fn program(cx: &Cx) -> Result<(), String> {
    cx.yield_now().await.map_err(|e| e.to_string())?;
    Err("out of luck".into())
}

#[asupersync::main(worker_threads = 1)]
pub(crate) async fn other_program() {}

#[test]
fn a_program_ends_with_an_exit_code() {
    let code = |code: std::process::ExitCode| format!("{code:?}");
    assert_eq!(code(program()), code(std::process::ExitCode::FAILURE));
    assert_eq!(code(other_program()), code(std::process::ExitCode::SUCCESS));
}

#[test]
fn messages() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/*.rs");
    // The compiler lists who has the trait, and the feature adds one.
    if cfg!(feature = "anyhow") {
        cases.compile_fail("tests/ui/probe/*.rs");
    }
}
