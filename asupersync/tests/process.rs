//! Child processes: none outlives its region, and none is left a zombie.
#![cfg(unix)]

use asupersync::process::{CANCEL_CLASS, Command};
use asupersync::{CapSet, Cx, Runtime, Scope};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

/// Longer than any test may take.
const FOREVER: &str = "600";

fn run(body: impl AsyncFn(Scope)) {
    let builders = [
        Runtime::builder().current_thread(),
        Runtime::builder().worker_threads(2),
    ];
    for builder in builders {
        let runtime = builder.build().unwrap();
        runtime.block_on(async |cx| body(cx).await).unwrap();
    }
}

/// Whether the system has such a process, running or zombie.
fn exists(pid: u32) -> bool {
    // SAFETY: signal 0 is none: this only asks.
    unsafe { libc::kill(pid.try_into().unwrap(), 0) == 0 }
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

#[test]
fn it_returns_how_the_process_ended_and_what_it_wrote() {
    run(async |cx: Scope| {
        let output = shell("echo out; echo err >&2; exit 3")
            .output(&cx)
            .await
            .unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(
            (&*output.stdout, &*output.stderr),
            (&b"out\n"[..], &b"err\n"[..])
        );
        // More than a pipe holds, on both.
        let output = shell("head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2");
        let output = { output }.output(&cx).await.unwrap();
        assert_eq!(
            (output.stdout.len(), output.stderr.len()),
            (300_000, 300_000)
        );
        let mut child = shell("exit 7").spawn(&cx).unwrap();
        for _ in 0..2 {
            assert_eq!(child.wait(&cx).await.unwrap().code(), Some(7));
        }
        assert!(!exists(child.id()));
        let unknown = Command::new("/no/such/program")
            .status(&cx)
            .await
            .unwrap_err();
        assert_eq!(unknown.kind(), io::ErrorKind::NotFound);
        assert!(
            unknown.to_string().contains("/no/such/program"),
            "{unknown}"
        );
    });
}

#[test]
fn no_child_outlives_its_region() {
    run(async |cx: Scope| {
        // Dropped at once, and held by the body that ends.
        let ids = cx.region(async |scope| {
            let dropped = Command::new("sleep")
                .arg(FOREVER)
                .spawn(&scope)
                .unwrap()
                .id();
            let held = Command::new("sleep").arg(FOREVER).spawn(&scope).unwrap();
            let ids = [dropped, held.id()];
            assert!(exists(held.id()));
            ids
        });
        for id in ids.await.unwrap() {
            assert!(!exists(id), "{id} is still there");
        }
    });
}

#[test]
fn a_cancelled_wait_takes_the_child_along() {
    run(async |cx: Scope| {
        let mut id = 0;
        let timed = cx
            .timeout(Duration::from_millis(20), async |cx: Scope| {
                let mut child = Command::new("sleep").arg(FOREVER).spawn(&cx).unwrap();
                id = child.id();
                child.wait(&cx).await.map(drop)
            })
            .await;
        drop(timed);
        assert!(id != 0 && !exists(id));
    });
}

#[test]
fn who_ignores_the_signal_is_killed_after_its_grace() {
    run(async |cx: Scope| {
        let dir = tempfile::tempdir().unwrap();
        let ready = dir.path().join("ready");
        let mut command = shell("trap '' TERM; : >\"$READY\"; while :; do :; done");
        command
            .env("READY", &ready)
            .grace(Duration::from_millis(30));
        let mut child = command.spawn(&cx).unwrap();
        while !ready.exists() {
            cx.yield_now().await.unwrap();
        }
        let start = cx.now();
        child.terminate();
        let status = child.wait(&cx).await.unwrap();
        assert_eq!(status.signal(), Some(libc::SIGKILL));
        assert!(cx.now() - start >= Duration::from_millis(30));

        let mut polite = Command::new("sleep").arg(FOREVER).spawn(&cx).unwrap();
        polite.terminate();
        let status = polite.wait(&cx).await.unwrap();
        assert_eq!(status.signal(), Some(libc::SIGTERM));
        assert!(!exists(polite.id()));
    });
}

#[test]
fn processes_need_the_capability() {
    run(async |cx: Scope| {
        let narrow: Cx = cx.restrict(CapSet::ALL.without(CapSet::PROCESS));
        let denied = Command::new("true").status(&narrow).await.unwrap_err();
        assert_eq!(denied.kind(), io::ErrorKind::PermissionDenied);
    });
}

#[test]
fn the_table_of_classes_names_each_operation_once() {
    let mut names: Vec<_> = CANCEL_CLASS.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CANCEL_CLASS.len());
}
