//! Signals and exit codes: each case is a process of its own, made of this test binary.
#![cfg(unix)]

use asupersync::Policy;
use asupersync::lab::{Inject, Injector};
use asupersync::runtime::{Flavour, main_entry};
use asupersync::signal::{SignalKind, ctrl_c, unix};
use asupersync::stream::StreamExt;
use asupersync::types::cancel::reason_in;
use asupersync::{
    CancelKind, Cancelled, CapSet, Cx, LabConfig, LabRuntime, RegionOptions, Runtime, Scope,
    Severity,
};
use std::future::{Future, poll_fn};
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::mem::MaybeUninit;
use std::os::unix::process::{CommandExt, ExitStatusExt};
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
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["the_child", "--exact", "--nocapture", "--test-threads=1"])
        .env(CASE, case)
        .env("ASUPERSYNC_REPORT", "json")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // SAFETY: `signal` is async-signal-safe, and the closure does nothing else.
    unsafe {
        command.pre_exec(|| {
            // Who runs the tests in the background or under nohup ignores them,
            // and children inherit that.
            for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        });
    }
    let mut child = command.spawn().unwrap();
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
        "ours" => main_entry(multi, Policy::FailFast, async |scope: Scope| {
            let mut interrupts = unix(&scope, SignalKind::interrupt()).unwrap();
            for _ in 0..3 {
                println!("ready");
                interrupts.recv(&scope).await.unwrap();
            }
            // It was a wish to stop all the same, for those who ask about that.
            scope.shutdown_signal().await;
            ExitCode::from(9)
        }),
        "once" => main_entry(
            current,
            Policy::FailFast,
            async |scope: Scope| -> Result<(), Box<dyn std::error::Error>> {
                let mut first = std::pin::pin!(ctrl_c(&scope));
                poll_fn(|task| {
                    let polled = first.as_mut().poll(task);
                    if polled.is_pending() {
                        println!("ready");
                    }
                    polled
                })
                .await?;
                scope.yield_now().await?;
                println!("ready");
                scope.sleep(Duration::from_secs(60)).await?;
                Ok(())
            },
        ),
        "default again" => main_entry(current, Policy::FailFast, async |scope: Scope| {
            let mut hangups = unix(&scope, SignalKind::hangup()).unwrap();
            println!("ready");
            hangups.recv(&scope).await.unwrap();
            drop(hangups);
            println!("ready");
            scope.cancelled().await;
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

#[test]
fn who_listens_to_an_interrupt_says_what_it_means() {
    // Three in a row cancel nothing.
    let (code, stderr) = child("ours", &[libc::SIGINT; 3]);
    assert_eq!(code, Some(9), "{stderr}");
    // And a signal that only the shutdown hears still cancels.
    let (code, stderr) = child("ours", &[libc::SIGINT, libc::SIGTERM]);
    assert_ne!(code, Some(9), "{stderr}");
    assert!(stderr.contains(r#""reason":"Shutdown"#), "{stderr}");
}

#[test]
fn the_first_interrupt_is_told_and_the_second_cancels() {
    let (code, stderr) = child("once", &[libc::SIGINT, libc::SIGINT]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains(r#""reason":"Shutdown"#), "{stderr}");
}

#[test]
fn after_the_last_stream_a_signal_does_what_it_did_before() {
    let (status, stderr) = run("default again", &[libc::SIGHUP, libc::SIGHUP]);
    assert_eq!(status.signal(), Some(libc::SIGHUP), "{status}: {stderr}");
}

fn in_both_flavours(body: impl AsyncFn(Scope)) {
    let builders = [
        Runtime::builder().current_thread(),
        Runtime::builder().worker_threads(2),
    ];
    for builder in builders {
        let runtime = builder.build().unwrap();
        runtime.block_on(async |scope| body(scope).await).unwrap();
    }
}

/// What the process does at a signal, as the system knows it.
fn action(signal: i32) -> usize {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the pointer is valid for writes, and nothing is installed.
    let asked = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
    assert_eq!(asked, 0);
    // SAFETY: written by the call, which has succeeded.
    unsafe { action.assume_init() }.sa_sigaction
}

/// The handler has run when this returns. A signal to the process may be left to
/// another thread, which hears it when it runs again: after the last listener is
/// gone, perhaps, and then it ends the process.
fn raise(signal: i32) {
    // SAFETY: a plain system call; the tests listen to what they raise.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

// Signals are the process's, and tests run beside each other: each has signals of its own.

#[test]
fn a_stream_tells_that_it_was_raised_and_not_how_often() {
    let signal = libc::SIGUSR1;
    in_both_flavours(async |cx: Scope| {
        let kind = SignalKind::user_defined1();
        assert_eq!(
            (kind.as_raw(), kind),
            (signal, SignalKind::from_raw(signal))
        );
        let mut early = unix(&cx, kind).unwrap();
        raise(signal);
        early.recv(&cx).await.unwrap();
        // A later one hears what comes after it.
        let mut late = unix(&cx, kind).unwrap();
        let mut waits = Box::pin(late.recv(&cx));
        assert!(
            poll_fn(|task| std::task::Poll::Ready(waits.as_mut().poll(task)))
                .await
                .is_pending()
        );
        (0..10).for_each(|_| raise(signal));
        waits.await.unwrap();
        early.next(&cx).await.unwrap().unwrap();
        // Ten signals are at least one and at most ten.
        drop(early);
        drop(late);
        assert_eq!(action(signal), libc::SIG_DFL);
    });
}

#[test]
fn every_kind_is_heard_by_every_listener() {
    let kinds = [
        SignalKind::hangup(),
        SignalKind::quit(),
        SignalKind::alarm(),
        SignalKind::pipe(),
        SignalKind::io(),
        SignalKind::user_defined2(),
        SignalKind::window_change(),
        SignalKind::from_raw(libc::SIGURG),
        SignalKind::from_raw(libc::SIGRTMAX() - 1),
    ];
    in_both_flavours(async |cx: Scope| {
        for kind in kinds {
            let before = action(kind.as_raw());
            let closed = cx.region(async |scope| {
                let heard: Vec<_> = (0..3)
                    .map(|_| {
                        let mut stream = unix(&scope, kind).unwrap();
                        scope.spawn(async move |cx: Cx| stream.recv(&cx).await.is_ok())
                    })
                    .collect();
                raise(kind.as_raw());
                for heard in heard {
                    assert!(heard.await.into_result().unwrap(), "{kind:?}");
                }
                // These are left to the region.
                for _ in 0..3 {
                    let mut stream = unix(&scope, kind).unwrap();
                    scope.spawn(async move |cx: Cx| stream.recv(&cx).await.is_ok());
                }
                assert_ne!(action(kind.as_raw()), before);
                scope.close();
            });
            closed.await.unwrap();
            assert_eq!(action(kind.as_raw()), before, "{kind:?}: as it was found");
        }
    });
}

#[test]
fn a_child_that_ends_is_heard_of() {
    in_both_flavours(async |cx: Scope| {
        let mut ends = unix(&cx, SignalKind::child()).unwrap();
        let mut child = asupersync::process::Command::new("true")
            .spawn(&cx)
            .unwrap();
        ends.recv(&cx).await.unwrap();
        assert!(child.wait(&cx).await.unwrap().success());
    });
}

#[test]
fn some_signals_are_nobodys() {
    in_both_flavours(async |cx: Scope| {
        let forbidden = [
            libc::SIGKILL,
            libc::SIGSTOP,
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGILL,
            libc::SIGFPE,
            0,
            -1,
            65,
            i32::MAX,
        ];
        for number in forbidden {
            let refused = unix(&cx, SignalKind::from_raw(number)).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{number}");
            let said = refused.to_string();
            assert!(said.contains(&format!("signal {number} cannot")), "{said}");
        }
        // One that the C library keeps to itself.
        assert!(unix(&cx, SignalKind::from_raw(32)).is_err());
        let narrow = cx.restrict(CapSet::ALL.without(CapSet::PROCESS));
        let denied = unix(&narrow, SignalKind::hangup()).unwrap_err();
        assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
    });
}

/// Counts the hangups it hears until it is asked to stop.
async fn count(cx: &Cx) -> u32 {
    let mut hangups = unix(cx, SignalKind::hangup()).unwrap();
    let mut heard = 0;
    while hangups.recv(cx).await.is_ok() {
        heard += 1;
    }
    heard
}

#[test]
fn the_lab_raises_signals_of_its_own() {
    for seed in 0..20 {
        let lab = LabRuntime::new(LabConfig::default().seed(seed));
        let hup = SignalKind::hangup();
        assert!(!lab.raise(hup));
        lab.run(async |cx: Scope| {
            let counter = cx.spawn(async |cx: Cx| count(&cx).await);
            cx.sleep(Duration::from_secs(1)).await.unwrap();
            for _ in 0..3 {
                // Twice is once.
                assert!(lab.raise(hup) && lab.raise(hup));
                cx.sleep(Duration::from_secs(1)).await.unwrap();
            }
            assert!(!lab.raise(SignalKind::quit()));
            counter.cancel(CancelKind::User);
            assert_eq!(counter.await.into_result().unwrap(), 3, "seed {seed}");
            assert!(!lab.raise(hup), "nobody listens any more");
        });
    }
}

#[test]
fn in_the_lab_signals_are_wishes_to_stop_as_in_a_program() {
    let ends = |raised: &[SignalKind], listens: bool| {
        let lab = LabRuntime::new(LabConfig::default());
        lab.run(async |cx: Scope| {
            let stream = listens.then(|| unix(&cx, SignalKind::interrupt()).unwrap());
            let mut asked = Box::pin(cx.shutdown_signal());
            let mut is_asked = async || {
                poll_fn(|task| std::task::Poll::Ready(asked.as_mut().poll(task).is_ready())).await
            };
            assert!(!is_asked().await);
            for signal in raised {
                lab.raise(*signal);
            }
            let asked = is_asked().await;
            let slept = cx.sleep(Duration::from_secs(1)).await;
            drop(stream);
            (asked, slept.is_err())
        })
    };
    let (int, term) = (SignalKind::interrupt(), SignalKind::terminate());
    // Whether the wish was heard, and whether the root was cancelled.
    assert_eq!(ends(&[SignalKind::hangup()], false), (false, false));
    assert_eq!(ends(&[term], false), (true, false));
    assert_eq!(ends(&[term, int], false), (true, true));
    assert_eq!(ends(&[int, int, int], true), (true, false));
    assert_eq!(ends(&[int, term], true), (true, true));
}

#[test]
fn listeners_may_be_cancelled_at_any_await() {
    for mode in [Inject::Protocol, Inject::Root, Inject::Drop] {
        let report = Injector::new(LabConfig::default())
            .mode(mode)
            .check(async |cx: Scope| {
                let closed = cx.region_report(RegionOptions::default(), async |scope| {
                    scope.spawn(async |cx: Cx| count(&cx).await);
                    scope.spawn(async |cx: Cx| {
                        ctrl_c(&cx).await.map_err(|e| reason_in(&e).cloned())
                    });
                    scope.sleep(Duration::from_secs(1)).await.ok();
                    scope.close();
                });
                if let Ok(reported) = closed.await {
                    assert!(reported.report.severity <= Severity::Cancelled);
                }
            });
        assert!(report.is_ok(), "{mode:?}: {report}");
        assert!(report.points >= 4, "{report}");
    }
}
