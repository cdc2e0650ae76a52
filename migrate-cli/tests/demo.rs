//! The demo keeps its word: nothing is lost, nothing is left, however it ends.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Far above what clearing up takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn demo(temporary: &Path) -> Command {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_asupersync-migrate"));
    demo.arg("demo")
        .env("TMPDIR", temporary)
        .stdin(Stdio::null());
    demo
}

/// Processes whose working folder or program is below `folder`.
fn processes_in(folder: &Path) -> Vec<PathBuf> {
    let inside = |link: PathBuf| std::fs::read_link(link).is_ok_and(|to| to.starts_with(folder));
    let all = std::fs::read_dir("/proc")
        .expect("this is Linux")
        .filter_map(|e| Some(e.ok()?.path()));
    all.filter(|p| inside(p.join("cwd")) || inside(p.join("exe")))
        .collect()
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder)
        .expect("the folder is there")
        .next()
        .is_none()
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "{what} took more than {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Kills the demo as soon as it prints `mark`, and looks for what it left.
fn check_killed_at(mark: &str) {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let mut child: Child = demo(temporary.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the demo starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let found = lines
        .by_ref()
        .map_while(Result::ok)
        .find(|l| l.contains(mark));
    assert!(found.is_some(), "the demo never printed {mark:?}");
    if mark == "Build both" {
        wait_until("starting the compiler", || {
            !processes_in(temporary.path()).is_empty()
        });
    }
    child.kill().expect("it is running");
    child.wait().expect("it was killed");
    wait_until("ending every process", || {
        processes_in(temporary.path()).is_empty()
    });
    wait_until("removing the folder", || is_empty(temporary.path()));
}

#[test]
fn killed_at_any_step_it_leaves_no_process_and_no_folder() {
    // The kill comes right behind the heading: in the middle of the step.
    for mark in ["1/7", "2/7", "3/7", "Build both"] {
        check_killed_at(mark);
    }
}

#[test]
fn the_migrated_service_loses_nothing_and_the_lab_finds_nothing() {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let out = demo(temporary.path()).output().expect("the demo starts");
    let text = String::from_utf8_lossy(&out.stdout);
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{text}\n{said}");
    for promise in [
        "error[AS101]",
        "error[AS201]",
        "orphans         0",
        "messages lost   0",
        "abandoned       0",
    ] {
        assert!(text.contains(promise), "no {promise:?} in:\n{text}");
    }
    let shutdown = text
        .lines()
        .find(|l| l.starts_with("SIGTERM at every await: "));
    let shutdown = shutdown.unwrap_or_else(|| panic!("the lab says nothing of SIGTERM:\n{text}"));
    assert!(
        shutdown.ends_with(" 0 failures") && !shutdown.contains(": 0 points"),
        "{shutdown}"
    );
    assert!(is_empty(temporary.path()), "the demo leaves its folder");
    assert!(
        processes_in(temporary.path()).is_empty(),
        "the demo leaves processes"
    );
}
