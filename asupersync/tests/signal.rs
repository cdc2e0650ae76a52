//! Signals and exit codes: each case is a process of its own, made of this test binary.
#![cfg(unix)]

use asupersync::Policy;
use asupersync::runtime::{Flavour, main_entry};
use asupersync::{Cancelled, Cx, Scope};
use std::future::Future;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

const CASE: &str = "ASUPERSYNC_TEST_CASE";

/// As [`run`]; with the exit code, if there is one.
fn child(case: &str, signals: &[i32]) -> (Option<i32>, String) {
    let (status, stderr) = run(case, signals);
    (status.code(), stderr)
}

/// Runs `case` in a child, sends it `signals` one by one after each line it
/// prints, and returns how it ended and its standard error.
fn run(case: &str, signals: &[i32]) -> (ExitStatus, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["the_child", "--exact", "--nocapture", "--test-threads=1"])
        .env(CASE, case)
        .env("ASUPERSYNC_REPORT", "json")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for signal in signals {
        // The harness prints lines of its own first.
        let said = lines
            .by_ref()
            .map(Result::unwrap)
            .find(|l| l.ends_with("ready"));
        assert!(said.is_some(), "{case} ended early");
        let pid = i32::try_from(child.id()).unwrap();
        // SAFETY: a plain system call on a child that was not waited for yet.
        assert_eq!(unsafe { libc::kill(pid, *signal) }, 0);
    }
    lines.for_each(drop);
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    (child.wait().unwrap(), stderr)
}

/// Not a test: what the children run.
#[test]
fn the_child() {
    let Ok(case) = std::env::var(CASE) else {
        return;
    };
    let current = Flavour::CurrentThread;
    let multi = Flavour::MultiThread {
        worker_threads: Some(2),
    };
    let code = match &*case {
        "listens" => main_entry(multi, Policy::FailFast, async |scope: Scope| {
            let server = scope.spawn(async |cx: Cx| {
                let mut signal = std::pin::pin!(cx.shutdown_signal());
                std::future::poll_fn(|task| {
                    let polled = signal.as_mut().poll(task);
                    if polled.is_pending() {
                        // Only now somebody listens.
                        println!("ready");
                    }
                    polled
                })
                .await;
                // The first signal cancels nothing while somebody listens.
                cx.sleep(Duration::from_millis(1)).await.is_ok()
            });
            assert!(server.await.into_result().unwrap());
        }),
        "deaf" => main_entry(
            current,
            Policy::FailFast,
            async |scope: Scope| -> Result<(), Cancelled> {
                println!("ready");
                scope.sleep(Duration::from_secs(60)).await
            },
        ),
        "twice" => main_entry(
            multi,
            Policy::FailFast,
            async |scope: Scope| -> Result<(), Box<dyn std::error::Error>> {
                {
                    let mut signal = std::pin::pin!(scope.shutdown_signal());
                    std::future::poll_fn(|task| {
                        let polled = signal.as_mut().poll(task);
                        println!("ready");
                        polled
                    })
                    .await;
                }
                scope.sleep(Duration::from_secs(60)).await?;
                Ok(())
            },
        ),
        "fails" => main_entry(
            current,
            Policy::FailFast,
            async |_scope: Scope| -> Result<(), &'static str> { Err("no luck") },
        ),
        "child fails" => main_entry(current, Policy::FailFast, async |scope: Scope| {
            scope.try_spawn(async |_cx| Err::<(), _>("no luck"));
        }),
        "panics" => main_entry(multi, Policy::FailFast, async |_scope: Scope| -> () {
            panic!("no luck")
        }),
        // Runtimes come and go; the last leaves the process as it was found.
        "ended" => {
            for _ in 0..3 {
                main_entry(current, Policy::FailFast, async |_scope: Scope| ());
            }
            println!("ready");
            loop {
                std::thread::park();
            }
        }
        "again" => {
            main_entry(current, Policy::FailFast, async |_scope: Scope| ());
            main_entry(current, Policy::FailFast, async |scope: Scope| {
                println!("ready");
                scope.cancelled().await;
            })
        }
        #[cfg(feature = "anyhow")]
        "anyhow" => main_entry(current, Policy::FailFast, async |scope: Scope| {
            println!("ready");
            scope.sleep(Duration::from_secs(60)).await?;
            Ok::<_, anyhow::Error>(())
        }),
        "chooses" => main_entry(current, Policy::FailFast, async |_scope: Scope| {
            ExitCode::from(7)
        }),
        other => panic!("no such case: {other}"),
    };
    // `ExitCode` has no accessor; the harness would turn it into its own.
    let codes = (0..=255u8).find(|c| format!("{:?}", ExitCode::from(*c)) == format!("{code:?}"));
    std::process::exit(codes.unwrap().into());
}

#[test]
fn the_first_signal_resolves_who_listens() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let (code, stderr) = child("listens", &[signal]);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(
            stderr.contains(r#""severity":"ok""#) && stderr.contains(r#""orphans":0"#),
            "{stderr}"
        );
    }
}

#[test]
fn with_no_listener_it_cancels_the_root() {
    let (code, stderr) = child("deaf", &[libc::SIGTERM]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains(r#""reason":"Shutdown"#), "{stderr}");
    assert!(!stderr.contains("Error:"), "{stderr}");
}

#[test]
fn the_second_signal_cancels_in_any_case() {
    let (code, stderr) = child("twice", &[libc::SIGTERM, libc::SIGTERM]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains(r#""reason":"Shutdown"#), "{stderr}");
}

#[test]
fn after_the_last_runtime_a_signal_ends_the_process() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let (status, stderr) = run("ended", &[signal]);
        assert_eq!(status.signal(), Some(signal), "{status}: {stderr}");
    }
}

#[test]
fn a_later_runtime_hears_signals_too() {
    let (code, stderr) = child("again", &[libc::SIGINT]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains(r#""reason":"Shutdown"#), "{stderr}");
}

#[cfg(feature = "anyhow")]
#[test]
fn a_cancellation_that_anyhow_wraps_is_one() {
    let (code, stderr) = child("anyhow", &[libc::SIGTERM]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(!stderr.contains("Error:"), "{stderr}");
}

#[test]
fn exit_codes_tell_how_it_ended() {
    let cases = [
        ("fails", 1, "Error: \"no luck\""),
        ("child fails", 1, "Error: the region ended badly: T1"),
        ("panics", 101, "no luck"),
        ("chooses", 7, ""),
    ];
    for (case, expected, said) in cases {
        let (code, stderr) = child(case, &[]);
        assert_eq!(code, Some(expected), "{case}: {stderr}");
        assert!(stderr.contains(said), "{case}: {stderr}");
    }
}
