//! Standard streams: each case is a process of its own, made of this test binary.
#![cfg(unix)]

use asupersync::io::{BufReadExt, BufReader, ReadExt, WriteExt, stderr, stdin, stdout};
use asupersync::process as aprocess;
use asupersync::types::cancel::reason_in;
use asupersync::{
    CancelKind, Cx, LabConfig, LabRuntime, RegionOptions, Runtime, Scope, TimeoutError,
};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const CASE: &str = "ASUPERSYNC_TEST_CASE";
/// Before what a case writes; the harness has said something of its own before.
const BEGIN: &str = "-- begins\n";
/// Longer than any case takes, and shorter than a patient person waits.
const STUCK: Duration = Duration::from_secs(60);
const SIZE: usize = 1_000_000;

fn start(case: &str, input: impl Into<Stdio>) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["the_child", "--exact", "--nocapture", "--test-threads=1"])
        .env(CASE, case)
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until the child has ended; one that does not is killed, and the test fails.
fn end(case: &str, child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if start.elapsed() > STUCK {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{case} does not end");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What the case has written to its output.
fn said(child: &mut Child) -> String {
    let mut all = String::new();
    let out = child.stdout.as_mut().unwrap();
    out.read_to_string(&mut all).unwrap();
    let at = all.find(BEGIN).expect("the case has begun");
    all.split_off(at + BEGIN.len())
}

/// Reads until the case has said this; what follows is still there.
fn until(child: &mut Child, word: &str) {
    let mut seen = Vec::new();
    while !seen.ends_with(word.as_bytes()) {
        let mut byte = [0];
        let n = child.stdout.as_mut().unwrap().read(&mut byte).unwrap();
        assert_eq!(n, 1, "ended before it said {word:?}");
        seen.push(byte[0]);
    }
}

fn message(child: &mut Child) -> String {
    let mut text = String::new();
    let err = child.stderr.as_mut().unwrap();
    err.read_to_string(&mut text).unwrap();
    text
}

async fn say(cx: &Cx, text: &str) {
    let mut out = stdout(cx).unwrap();
    out.write_all(cx, text.as_bytes()).await.unwrap();
    out.flush(cx).await.unwrap();
}

/// A read that is cancelled while nothing comes.
async fn in_vain(cx: &Cx) {
    let timed = cx
        .timeout(Duration::from_millis(20), async |cx: Scope| {
            stdin(&cx)?.read(&cx, &mut [0; 100]).await
        })
        .await;
    assert!(matches!(timed, Err(TimeoutError::Elapsed)), "{timed:?}");
}

/// Not a test: what the children run.
#[test]
fn the_child() {
    let Ok(case) = std::env::var(CASE) else {
        return;
    };
    // Not through the standard library, whose lines are for itself.
    print!("{BEGIN}");
    io::stdout().flush().unwrap();
    let (case, current) = match case.strip_suffix(" on one thread") {
        Some(case) => (case, true),
        None => (&*case, false),
    };
    let builder = Runtime::builder();
    let runtime = match current {
        true => builder.current_thread(),
        false => builder.worker_threads(2),
    };
    let runtime = runtime.build().unwrap();
    let result = runtime.block_on(async |cx: Scope| the_case(&cx, case).await);
    result.unwrap();
    let report = runtime.shutdown_timeout(Duration::from_secs(5));
    assert!(report.is_clean(), "{report:?}");
    std::process::exit(0);
}

async fn the_case(cx: &Cx, case: &str) {
    match case {
        "shouts" => {
            let mut lines = BufReader::new(stdin(cx).unwrap()).lines();
            while let Some(line) = lines.next_line(cx).await.unwrap() {
                say(cx, &format!("{}\n", line.to_uppercase())).await;
            }
            // The end is told once more to who asks once more, as the system does.
            let again = stdin(cx).unwrap().read(cx, &mut [0; 4]).await.unwrap();
            assert_eq!(again, 0);
        }
        "pending" => {
            let options = RegionOptions::named("reads");
            let closed = cx.region_report(options, async |scope| {
                let reader = scope.spawn(async |cx: Cx| {
                    let mut input = stdin(&cx).unwrap();
                    input.read(&cx, &mut [0; 100]).await
                });
                scope.yield_now().await.unwrap();
                reader.cancel(CancelKind::User);
                let refused = reader.await.into_result().unwrap().unwrap_err();
                assert!(reason_in(&refused).is_some(), "{refused}");
            });
            assert!(closed.await.unwrap().report.abandoned.is_empty());
            // And one that is pending when the program ends, cancelled with its region.
            cx.spawn_daemon(async |cx: Cx| stdin(&cx)?.read(&cx, &mut [0]).await);
            cx.yield_now().await.unwrap();
        }
        "inherited" => {
            in_vain(cx).await;
            say(cx, "now\n").await;
            let output = aprocess::Command::new("cat")
                .stdin(Stdio::inherit())
                .output(cx)
                .await
                .unwrap();
            say(cx, &String::from_utf8(output.stdout).unwrap()).await;
        }
        "kept" => {
            let (mut seen, mut input) = (Vec::new(), stdin(cx).unwrap());
            // Reads that are given up all the time, of sizes that vary.
            for i in 0.. {
                let mut buf = vec![0; 1 + i % 5];
                let read = input.read(cx, &mut buf);
                match cx.timeout_drop(Duration::from_micros(200), read).await {
                    Ok(Ok(0)) => break,
                    Ok(Ok(n)) => seen.extend_from_slice(&buf[..n]),
                    Err(TimeoutError::Elapsed) if i % 2 == 0 => input = stdin(cx).unwrap(),
                    Err(TimeoutError::Elapsed) => {}
                    other => panic!("{other:?}"),
                }
            }
            let expected: Vec<u8> = (0..500).map(|n| n as u8).collect();
            assert_eq!(seen, expected);
            say(cx, "all\n").await;
        }
        "exact" => {
            // No more is taken than was asked for.
            let mut buf = [0; 3];
            stdin(cx).unwrap().read_exact(cx, &mut buf).await.unwrap();
            let mut rest = String::new();
            io::stdin().read_to_string(&mut rest).unwrap();
            say(cx, &rest).await;
        }
        "unflushed" => {
            let text = vec![b'x'; SIZE];
            stdout(cx).unwrap().write_all(cx, &text).await.unwrap();
            let mut err = stderr(cx).unwrap();
            err.write_all(cx, b"the last word").await.unwrap();
        }
        "stuck" => {
            let timed = cx
                .timeout(Duration::from_millis(50), async |cx: Scope| {
                    let text = vec![b'x'; SIZE];
                    stdout(&cx)?.write_all(&cx, &text).await
                })
                .await;
            assert!(matches!(timed, Err(TimeoutError::Elapsed)), "{timed:?}");
        }
        "nobody reads" => {
            // The end of the input says that the reader of the output has gone.
            let n = stdin(cx).unwrap().read(cx, &mut [0]).await.unwrap();
            assert_eq!(n, 0);
            let mut out = stdout(cx).unwrap();
            let written = out.write_all(cx, b"to nobody").await;
            let told = written.and(out.flush(cx).await).unwrap_err();
            assert_eq!(told.kind(), io::ErrorKind::BrokenPipe);
            // Told once: the next is tried anew.
            out.write_all(cx, b"again").await.unwrap();
            let told = out.shutdown(cx).await.unwrap_err();
            assert_eq!(told.kind(), io::ErrorKind::BrokenPipe);
        }
        other => panic!("no such case: {other}"),
    }
}

/// Both flavours.
fn check(case: &str, run: impl Fn(&str)) {
    run(case);
    run(&format!("{case} on one thread"));
}

fn succeeds(case: &str, child: &mut Child) {
    let status = end(case, child);
    assert!(status.success(), "{case}: {status}: {}", message(child));
}

#[test]
fn a_read_that_nobody_answers_holds_up_neither_region_nor_runtime() {
    check("pending", |case| {
        let mut child = start(case, Stdio::piped());
        let silent = child.stdin.take();
        succeeds(case, &mut child);
        drop(silent);
    });
}

#[test]
fn lines_from_a_pipe_a_file_and_nothing() {
    check("shouts", |case| {
        let mut child = start(case, Stdio::piped());
        until(&mut child, BEGIN);
        let mut input = child.stdin.take().unwrap();
        for word in ["one", "two"] {
            writeln!(input, "{word}").unwrap();
            until(&mut child, &format!("{}\n", word.to_uppercase()));
        }
        write!(input, "three").unwrap();
        drop(input);
        until(&mut child, "THREE\n");
        succeeds(case, &mut child);

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text");
        std::fs::write(&path, "a\nb\n").unwrap();
        let mut child = start(case, File::open(path).unwrap());
        assert!(said(&mut child).starts_with("A\nB\n"));
        succeeds(case, &mut child);

        let mut child = start(case, Stdio::null());
        succeeds(case, &mut child);

        let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut child = start(case, OwnedFd::from(theirs));
        ours.write_all(b"socket\n").unwrap();
        until(&mut child, "SOCKET\n");
        drop(ours);
        succeeds(case, &mut child);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn lines_from_a_terminal() {
    check("shouts", |case| {
        let (mut ours, mut theirs) = (-1, -1);
        let none = std::ptr::null_mut;
        // SAFETY: both are valid for writes, the rest may be null.
        let made = unsafe {
            libc::openpty(
                &raw mut ours,
                &raw mut theirs,
                none(),
                std::ptr::null(),
                std::ptr::null(),
            )
        };
        assert_eq!(made, 0, "{}", io::Error::last_os_error());
        // SAFETY: the call has just made it for us.
        let mut keyboard = File::from(unsafe { OwnedFd::from_raw_fd(ours) });
        // SAFETY: as above.
        let terminal = unsafe { OwnedFd::from_raw_fd(theirs) };
        let mut child = start(case, terminal);
        until(&mut child, BEGIN);
        keyboard.write_all(b"typed\n").unwrap();
        until(&mut child, "TYPED\n");
        // Ctrl-D ends the input twice: for the lines, and for the read after them.
        keyboard.write_all(&[4, 4]).unwrap();
        succeeds(case, &mut child);
    });
}

#[test]
fn a_closed_input_is_at_its_end() {
    let exe = std::env::current_exe().unwrap();
    let mut child = Command::new("sh")
        .args(["-c", "exec \"$0\" \"$@\" <&-"])
        .arg(exe)
        .args(["the_child", "--exact", "--nocapture"])
        .env(CASE, "shouts")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    succeeds("shouts", &mut child);
}

#[test]
fn a_reader_that_has_gone_takes_nothing_from_who_inherits_the_input() {
    check("inherited", |case| {
        let mut child = start(case, Stdio::piped());
        until(&mut child, "now\n");
        let mut input = child.stdin.take().unwrap();
        input.write_all(b"every byte\n").unwrap();
        drop(input);
        until(&mut child, "every byte\n");
        succeeds(case, &mut child);
    });
}

#[test]
fn no_byte_is_lost_to_reads_that_were_given_up() {
    check("kept", |case| {
        let mut child = start(case, Stdio::piped());
        until(&mut child, BEGIN);
        let mut input = child.stdin.take().unwrap();
        for n in 0..500 {
            input.write_all(&[n as u8]).unwrap();
            if n % 10 == 0 {
                // Long enough for a read to be given up.
                std::thread::sleep(Duration::from_micros(300));
            }
        }
        drop(input);
        until(&mut child, "all\n");
        succeeds(case, &mut child);
    });
}

#[test]
fn no_more_is_taken_than_was_asked_for() {
    let mut child = start("exact", Stdio::piped());
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"abcdef").unwrap();
    drop(input);
    until(&mut child, BEGIN);
    until(&mut child, "def");
    succeeds("exact", &mut child);
}

#[test]
fn what_was_accepted_is_written_although_nobody_flushed() {
    check("unflushed", |case| {
        let mut child = start(case, Stdio::null());
        let all = said(&mut child);
        assert!(
            all.len() == SIZE && all.bytes().all(|b| b == b'x'),
            "{case}: {} bytes of {SIZE}",
            all.len()
        );
        let err = message(&mut child);
        assert!(err.ends_with("the last word"), "{err}");
        succeeds(case, &mut child);
    });
}

#[test]
fn a_reader_that_does_not_read_holds_up_neither_region_nor_runtime() {
    check("stuck", |case| {
        let mut child = start(case, Stdio::null());
        succeeds(case, &mut child);
        let all = said(&mut child);
        assert!(all.len() < SIZE && all.bytes().all(|b| b == b'x'));
    });
}

#[test]
fn an_output_that_nobody_reads_is_an_error_of_the_next_call() {
    check("nobody reads", |case| {
        let mut child = start(case, Stdio::piped());
        until(&mut child, BEGIN);
        // In this order: the case waits for the end of its input.
        drop(child.stdout.take());
        drop(child.stdin.take());
        succeeds(case, &mut child);
    });
}

#[test]
fn the_lab_has_no_standard_streams_and_says_so() {
    LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
        let refused = [
            stdin(&cx).unwrap_err(),
            stdout(&cx).unwrap_err(),
            stderr(&cx).unwrap_err(),
        ];
        for e in refused {
            assert_eq!(e.kind(), io::ErrorKind::Unsupported);
            assert!(e.to_string().contains("stand-in"), "{e}");
        }
    });
}
