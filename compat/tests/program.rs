//! Programs that are half migrated: tokio's types in tasks of ours.

use asupersync::{CancelKind, Cx, Scope};
use asupersync_compat::{
    BoundaryConfig, Program, RunError, UseError, boundary, current_cx, run, run_test,
};
use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;

const MS: fn(u64) -> Duration = Duration::from_millis;
/// Names the case that a child process of this test is to run.
const CASE: &str = "PROGRAM_TEST_CASE";

#[test]
fn tokio_works_in_any_task() {
    for program in [
        Program::new().current_thread(),
        Program::new().worker_threads(2),
    ] {
        let total = program.run(async |scope: Scope| {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = tokio::spawn(async move {
                for _ in 0..8 {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    tokio::spawn(async move {
                        let mut byte = [0];
                        stream.read_exact(&mut byte).await.unwrap();
                        tokio::time::sleep(MS(1)).await;
                        stream.write_all(&[byte[0] * 2]).await.unwrap();
                    });
                }
            });
            let clients: Vec<_> = (0u8..8)
                .map(|i| {
                    scope.spawn(async move |cx: Cx| {
                        cx.sleep(MS(1)).await.unwrap();
                        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
                        stream.write_all(&[i]).await.unwrap();
                        let mut byte = [0];
                        stream.read_exact(&mut byte).await.unwrap();
                        u32::from(byte[0])
                    })
                })
                .collect();
            let mut total = 0;
            for client in clients {
                total += client.await.into_result().unwrap();
            }
            server.await.unwrap();
            total
        });
        assert_eq!(total.unwrap(), 56);
    }
}

#[test]
fn a_boundary_inside_a_program_is_the_inner_context() {
    for program in [
        Program::new().current_thread(),
        Program::new().worker_threads(2),
    ] {
        let ran = program.run(async |scope: Scope| {
            let outer = Handle::current().id();
            boundary(&scope, async |b| {
                let handle = b.boundary().clone();
                b.scope()
                    .spawn(async move |_| {
                        assert!(Handle::current().id() == outer);
                        let inner = handle.adopt(|| async { Handle::current().id() }).await;
                        assert!(inner.unwrap() != outer);
                        // The worker of ours may be entered, so adopted code cannot block it either.
                        let blocking = || async { Handle::current().block_on(async {}) };
                        assert!(matches!(
                            handle.adopt(blocking).await,
                            Err(UseError::Panicked { .. })
                        ));
                        assert!(Handle::current().id() == outer);
                    })
                    .await
                    .into_result()
                    .unwrap();
            })
            .await
            .unwrap();
        });
        ran.unwrap();
    }
}

#[test]
fn the_body_has_a_current_context() {
    let found = run(async |scope: Scope| {
        current_cx().map(|cx| (cx.task_id(), cx.region_id()))
            == Some((scope.task_id(), scope.region_id()))
    });
    assert!(found.unwrap());
}

#[test]
fn tasks_hear_of_the_end_and_are_gone_after_it() {
    let (tx, rx) = std::sync::mpsc::channel();
    let boundary = BoundaryConfig::new("quick")
        .cooperative(MS(50))
        .hard(MS(2000));
    let ran = Program::new()
        .worker_threads(1)
        .boundary(boundary)
        .run(async |_| {
            struct Told(std::sync::mpsc::Sender<&'static str>);
            impl Drop for Told {
                fn drop(&mut self) {
                    self.0.send("dropped").unwrap();
                }
            }
            let told = Told(tx);
            tokio::spawn(async move {
                let _told = told;
                std::future::pending::<()>().await;
            });
        });
    ran.unwrap();
    assert_eq!(
        rx.try_recv(),
        Ok("dropped"),
        "a detached task does not outlive the program"
    );
}

#[test]
fn what_goes_wrong_in_the_region_is_the_result() {
    let cancelled = run(async |scope: Scope| scope.cancel(CancelKind::User));
    assert!(matches!(cancelled, Ok(()) | Err(RunError::Region(_))));
    let failed = run(async |scope: Scope| {
        scope.spawn(async |_| panic!("child"));
    });
    let error = failed.unwrap_err().to_string();
    assert!(error.contains("child"), "{error}");
    let raised = catch_unwind(AssertUnwindSafe(|| run(async |_| -> () { panic!("body") })));
    assert_eq!(
        raised
            .unwrap_err()
            .downcast_ref::<String>()
            .map(String::as_str),
        Some("body")
    );
    let refused = Program::new()
        .boundary(BoundaryConfig::new(""))
        .run(async |_| ())
        .unwrap_err();
    assert!(refused.to_string().contains("1 to 128 bytes"), "{refused}");
    // After all of these the thread stands in no context.
    assert!(tokio::runtime::Handle::try_current().is_err());
}

/// Runs one case of this file in a process of its own.
fn child(case: &str) -> std::process::Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", case, "--nocapture", "--test-threads=1"])
        .env(CASE, case)
        .env_remove("ASUPERSYNC_REPORT")
        .output()
        .unwrap()
}

fn is_child(case: &str) -> bool {
    std::env::var(CASE).is_ok_and(|c| c == case)
}

#[test]
fn a_leak_is_told_on_standard_error_and_the_value_is_kept() {
    const ME: &str = "a_leak_is_told_on_standard_error_and_the_value_is_kept";
    if is_child(ME) {
        let boundary = BoundaryConfig::new("leaky")
            .cooperative(MS(20))
            .hard(MS(50));
        let value = Program::new().boundary(boundary).run(async |_| {
            let (tx, rx) = std::sync::mpsc::channel();
            tokio::task::spawn_blocking(move || {
                tx.send(()).unwrap();
                loop {
                    std::thread::park();
                }
            });
            rx.recv().unwrap();
            3
        });
        println!("value {}", value.unwrap());
        return;
    }
    let output = child(ME);
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success() && out.contains("value 3"),
        "{out}{err}"
    );
    assert!(err.contains("boundary \"leaky\" IS NOT QUIESCENT"), "{err}");
}

#[test]
fn a_signal_cancels_the_root_region_and_is_heard_by_tokio_tasks() {
    const ME: &str = "a_signal_cancels_the_root_region_and_is_heard_by_tokio_tasks";
    if is_child(ME) {
        let code = Program::new()
            .worker_threads(2)
            .run_main(async |scope: Scope| {
                // One hears of it as a task of the region, and ends the program by returning.
                let task = scope.spawn(async |cx: Cx| cx.cancelled().await.reason().kind);
                println!("ready");
                let kind = task.await.into_result();
                println!("heard {kind:?}");
            });
        println!("ended {code:?}");
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", ME, "--nocapture", "--test-threads=1"])
        .env(CASE, ME)
        .env("ASUPERSYNC_REPORT", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    lines
        .find(|line| line.ends_with("ready"))
        .expect("the program starts");
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    let rest: Vec<String> = lines.collect();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(
        rest.iter().any(|l| l == "heard Ok(ParentCancelled)"),
        "{rest:?} {err}"
    );
    let success = format!("ended {:?}", ExitCode::SUCCESS);
    assert!(rest.contains(&success), "{rest:?} {err}");
    assert!(
        err.contains("region") && err.contains("boundary \"program\" closed cooperatively"),
        "{err}"
    );
}

#[test]
fn a_test_body_may_borrow_and_fails_with_its_children() {
    let text = String::from("borrowed");
    assert_eq!(
        run_test(async |_: Scope| {
            tokio::time::sleep(MS(1)).await;
            text.len()
        }),
        8
    );
    let failed = catch_unwind(AssertUnwindSafe(|| {
        run_test(async |scope: Scope| drop(scope.spawn(async |_| panic!("child"))));
    }));
    let said = failed.unwrap_err().downcast::<String>().unwrap();
    assert!(said.contains("child"), "{said}");
}

#[test]
fn main_turns_an_error_into_an_exit_code() {
    let code = |code: ExitCode| format!("{code:?}");
    let failure = code(ExitCode::FAILURE);
    assert_eq!(
        code(Program::new().run_main(async |_| ExitCode::from(7))),
        code(ExitCode::from(7))
    );
    assert_eq!(
        code(Program::new().run_main(async |_| Err::<(), _>("no"))),
        failure
    );
    let boundary = BoundaryConfig::new("");
    assert_eq!(
        code(Program::new().boundary(boundary).run_main(async |_| ())),
        failure
    );
    assert_eq!(
        code(asupersync_compat::run_main(async |_| ())),
        code(ExitCode::SUCCESS)
    );
}
