//! Child processes: none outlives its region, and none is left a zombie.
#![cfg(unix)]

use asupersync::io::{AsyncWrite, BufReadExt, BufReader, ReadExt, WriteExt};
use asupersync::process::{Command, Stdio};
use asupersync::types::cancel::reason_in;
use asupersync::types::obligation::ObligationKind;
use asupersync::{CancelKind, CapSet, Cx, LabConfig, LabRuntime, RegionOptions, Runtime, Scope};
use std::future::poll_fn;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::pin::Pin;
use std::task::Poll;
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

/// A child is a lease of the task that started it: one that is forgotten is
/// reported, and ends with its region all the same.
#[test]
fn a_forgotten_child_is_reported_and_ends_with_its_region() {
    let runtime = Runtime::builder().current_thread().build().unwrap();
    let reported = runtime.block_on_report(async |cx: Scope| {
        let child = Command::new("sleep").arg(FOREVER).spawn(&cx).unwrap();
        let id = child.id();
        std::mem::forget(child);
        id
    });
    let kinds: Vec<_> = reported.report.leaks.iter().map(|leak| leak.kind).collect();
    assert_eq!(kinds, [ObligationKind::Lease]);
    assert!(!exists(reported.value.unwrap()));
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

/// A shell script with its input and output in our hands.
fn piped(script: &str) -> Command {
    let mut command = shell(script);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

#[test]
fn input_is_fed_while_output_is_read_however_much_there_is() {
    const SIZE: usize = 3_000_000;
    run(async |cx: Scope| {
        let data: Vec<u8> = (0..SIZE).map(|i| (i % 251) as u8).collect();
        // Answers while it reads, so that with either pipe full it stands still.
        let mut child = piped("cat").spawn(&cx).unwrap();
        let (mut to, mut from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let feed = async {
            to.write_all(&cx, &data).await?;
            to.shutdown(&cx).await
        };
        let mut back = Vec::new();
        let (fed, read) = asupersync::join!(feed, from.read_to_end(&cx, &mut back));
        fed.unwrap();
        assert_eq!(read.unwrap(), SIZE);
        assert!(back == data, "every byte, in order");
        assert!(child.wait(&cx).await.unwrap().success());
        let closed = to.write(&cx, b"x").await.unwrap_err();
        assert_eq!(closed.kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_conversation_line_by_line() {
    run(async |cx: Scope| {
        let script = "while read line; do echo \"said $line\"; done; echo bye >&2";
        let mut command = piped(script);
        let mut child = command.stderr(Stdio::piped()).spawn(&cx).unwrap();
        let mut to = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for word in ["one", "two", "three"] {
            to.write_all(&cx, format!("{word}\n").as_bytes())
                .await
                .unwrap();
            let said = lines.next_line(&cx).await.unwrap().unwrap();
            assert_eq!(said, format!("said {word}"));
        }
        assert_eq!(child.try_wait().unwrap(), None);
        drop(to);
        assert!(lines.next_line(&cx).await.unwrap().is_none());
        let output = child.wait_with_output(&cx).await.unwrap();
        assert!(output.status.success() && output.stdout.is_empty());
        assert_eq!(output.stderr, b"bye\n");
    });
}

#[test]
fn a_child_that_reads_no_more_is_an_error_and_no_signal() {
    run(async |cx: Scope| {
        let mut child = piped("exec <&-; echo closed; read never <&1")
            .spawn(&cx)
            .unwrap();
        let mut said = [0; 7];
        let mut from = child.stdout.take().unwrap();
        from.read_exact(&cx, &mut said).await.unwrap();
        let mut to = child.stdin.take().unwrap();
        // More than a pipe holds: a child of another test that has not begun its
        // program yet may have the other end open a little longer.
        let data = vec![b'\n'; 1_000_000];
        let broken = to.write_all(&cx, &data).await.unwrap_err();
        assert_eq!(broken.kind(), io::ErrorKind::BrokenPipe);

        // And one who closes while a writer waits for room.
        let mut child = piped("read line; exec <&-").spawn(&cx).unwrap();
        let mut to = child.stdin.take().unwrap();
        let broken = to.write_all(&cx, &data).await.unwrap_err();
        assert_eq!(broken.kind(), io::ErrorKind::BrokenPipe);
        assert!(child.wait(&cx).await.unwrap().success());
    });
}

#[test]
fn a_cancelled_read_leaves_its_bytes_in_the_pipe() {
    run(async |cx: Scope| {
        let mut child = piped("cat").spawn(&cx).unwrap();
        let (mut to, mut from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut seen = Vec::new();
        for n in 0..50u8 {
            let mut buf = [0; 3];
            let mut read = Box::pin(from.read(&cx, &mut buf));
            // Dropped after one poll, with a byte on its way.
            let polled = poll_fn(|task| Poll::Ready(read.as_mut().poll(task))).await;
            drop(read);
            if let Poll::Ready(n) = polled {
                seen.extend_from_slice(&buf[..n.unwrap()]);
            }
            to.write_all(&cx, &[n]).await.unwrap();
        }
        drop(to);
        from.read_to_end(&cx, &mut seen).await.unwrap();
        assert_eq!(seen, (0..50).collect::<Vec<_>>());
        assert!(child.wait(&cx).await.unwrap().success());
    });
}

/// Runs a child in a region of its own, cancels that once `until` has returned,
/// and says whether the child is gone when the region has closed.
async fn cancelled(cx: &Cx, mut command: Command, until: impl AsyncFnOnce(&Cx, &mut Command)) {
    let mut id = 0;
    let options = RegionOptions::named("children");
    let closed = cx.region_report(options, async |scope| {
        let mut child = command.spawn(&scope).unwrap();
        id = child.id();
        until(&scope, &mut command).await;
        scope.cancel("enough");
        let refused = child.wait(&scope).await.unwrap_err();
        assert!(reason_in(&refused).is_some(), "{refused}");
    });
    let report = closed.await.unwrap().report;
    assert!(report.abandoned.is_empty(), "{report:?}");
    assert!(id != 0 && !exists(id), "{id} has outlived its region");
}

#[test]
fn a_cancelled_region_takes_every_kind_of_child_along() {
    run(async |cx: Scope| {
        cancelled(&cx, shell("exec sleep 600"), async |_, _| ()).await;

        let dir = tempfile::tempdir().unwrap();
        let ready = dir.path().join("ready");
        // One that ignores the wish, and would go on for ever.
        let mut deaf = shell("trap '' TERM; : >\"$READY\"; while :; do sleep 0.01; done");
        deaf.env("READY", &ready).grace(Duration::from_millis(20));
        cancelled(&cx, deaf, async |cx: &Cx, _: &mut Command| {
            while !ready.exists() {
                cx.yield_now().await.unwrap();
            }
        })
        .await;

        // One that waits for room in a pipe that nobody reads.
        let full = dir.path().join("full");
        let mut filling = piped("head -c 65536 /dev/zero; : >\"$READY\"; exec cat /dev/zero");
        filling.env("READY", &full);
        cancelled(&cx, filling, async |cx: &Cx, _: &mut Command| {
            while !full.exists() {
                cx.yield_now().await.unwrap();
            }
        })
        .await;
    });
}

#[test]
fn a_cancelled_output_takes_the_child_along() {
    run(async |cx: Scope| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let told = path.clone();
        let pid = cx.region(async |scope| {
            let task = scope.spawn(async move |cx: Cx| {
                let script = "echo $$ >\"$OUT.new\"; mv \"$OUT.new\" \"$OUT\"; exec sleep 600";
                shell(script).env("OUT", &told).output(&cx).await
            });
            while !path.exists() {
                scope.yield_now().await.unwrap();
            }
            task.cancel(CancelKind::User);
            let refused = task.await.into_result().unwrap().unwrap_err();
            assert!(reason_in(&refused).is_some(), "{refused}");
            std::fs::read_to_string(&path).unwrap()
        });
        let pid = pid.await.unwrap().trim().parse().unwrap();
        assert!(!exists(pid), "terminated and reaped");
    });
}

#[test]
fn killed_without_a_grace() {
    run(async |cx: Scope| {
        let mut command = Command::new("sleep");
        command.arg(FOREVER).grace(Duration::from_secs(600));
        let mut child = command.spawn(&cx).unwrap();
        assert!(child.try_wait().unwrap().is_none());
        child.kill();
        assert_eq!(child.wait(&cx).await.unwrap().signal(), Some(libc::SIGKILL));
        let again = child.try_wait().unwrap().unwrap();
        assert_eq!(again.signal(), Some(libc::SIGKILL));
        // During its grace, too.
        let mut command = shell("trap '' TERM; echo deaf; while :; do sleep 0.01; done");
        command
            .stdout(Stdio::piped())
            .grace(Duration::from_secs(600));
        let mut child = command.spawn(&cx).unwrap();
        let mut said = [0; 5];
        let mut from = child.stdout.take().unwrap();
        from.read_exact(&cx, &mut said).await.unwrap();
        child.terminate();
        cx.yield_now().await.unwrap();
        child.kill();
        assert_eq!(child.wait(&cx).await.unwrap().signal(), Some(libc::SIGKILL));
    });
}

#[test]
fn one_child_reads_what_another_writes() {
    run(async |cx: Scope| {
        let mut numbers = piped("seq 1 100000").spawn(&cx).unwrap();
        let from = Stdio::try_from(numbers.stdout.take().unwrap()).unwrap();
        let mut count = Command::new("wc");
        let output = count.arg("-l").stdin(from).output(&cx).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "100000");
        assert!(numbers.wait(&cx).await.unwrap().success());

        // What was said about a stream holds, also for `output`.
        let mut loud = shell("echo out; echo err >&2");
        loud.stderr(Stdio::null());
        let output = loud.output(&cx).await.unwrap();
        assert_eq!(
            (&*output.stdout, &*output.stderr),
            (&b"out\n"[..], &b""[..])
        );
        // A child that was given a pipe nobody writes to finds its end.
        assert!(piped("cat").status(&cx).await.unwrap().success());

        let child = &mut piped("cat").spawn(&cx).unwrap();
        let mut blocking = child.stdin.take().unwrap().into_std().unwrap();
        std::io::Write::write_all(&mut blocking, &[7; 1000]).unwrap();
        drop(blocking);
        let mut back = Vec::new();
        let mut from = child.stdout.take().unwrap();
        from.read_to_end(&cx, &mut back).await.unwrap();
        assert_eq!(back, [7; 1000]);
    });
}

#[test]
fn children_occupy_no_thread() {
    let builders = [
        Runtime::builder().current_thread().blocking_threads(1),
        Runtime::builder().worker_threads(2).blocking_threads(1),
    ];
    for builder in builders {
        let runtime = builder.build().unwrap();
        let ended = runtime.block_on(async |cx: Scope| {
            let mut sleep = Command::new("sleep");
            let children: Vec<_> = (0..5)
                .map(|_| sleep.arg(FOREVER).spawn(&cx).unwrap())
                .collect();
            // The only thread of the pool is free.
            assert_eq!(cx.spawn_blocking(|_| 7).await.into_result().unwrap(), 7);
            assert!(children.iter().all(|c| exists(c.id())));
            children.iter().map(|c| c.id()).collect::<Vec<_>>()
        });
        for id in ended.unwrap() {
            assert!(!exists(id));
        }
    }
}

#[test]
fn the_lab_has_no_processes_and_says_so() {
    LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
        let refused = Command::new("true").spawn(&cx).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
        let said = refused.to_string();
        assert!(
            said.contains("`true`") && said.contains("stand-in"),
            "{said}"
        );
        assert!(Command::new("true").output(&cx).await.is_err());
    });
}

#[test]
fn a_writer_may_be_polled_by_hand() {
    run(async |cx: Scope| {
        let mut child = piped("exec sleep 600").spawn(&cx).unwrap();
        let mut to = child.stdin.take().unwrap();
        let mut written = 0;
        poll_fn(|task| {
            loop {
                match Pin::new(&mut to).poll_write(task, &[0; 4096]) {
                    Poll::Ready(n) => written += n.unwrap(),
                    Poll::Pending => return Poll::Ready(()),
                }
            }
        })
        .await;
        assert!(written >= 4096, "as much as the pipe holds: {written}");
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
