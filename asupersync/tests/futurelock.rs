//! A task that sits on a promise while the rest of the program goes on is
//! reported, unless something outside of the program will wake it.

use asupersync::channel::{mpsc, oneshot};
use asupersync::io::{ReadExt, WriteExt};
use asupersync::lab::LabFailure;
use asupersync::net::{TcpListener, TcpStream};
use asupersync::{Cx, Error, ErrorKind, LabConfig, LabRuntime, Scope};
use std::time::Duration;

/// Keeps the run busy for so many steps.
async fn spin(cx: &Cx, steps: u32) {
    for _ in 0..steps {
        cx.yield_now().await.unwrap();
    }
}

/// What the holder of a place in a channel waits for before it sends.
#[derive(Clone, Copy, Debug)]
enum Wait {
    /// What the body does after it has received.
    Itself,
    /// An hour to pass.
    Clock,
    /// A byte that the body writes after it has spun.
    Socket,
}

/// Runs a holder, and a body that spins for `steps` meanwhile.
fn run(config: LabConfig, wait: Wait, steps: u32) -> (LabRuntime, Result<u32, LabFailure>) {
    let lab = LabRuntime::new(config);
    let got = lab.try_run(async |scope: Scope| {
        let (tx, mut rx) = mpsc::channel(1);
        let (go, mut gone) = oneshot::channel::<()>();
        let listener = TcpListener::bind(&scope, "127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut writer = TcpStream::connect(&scope, addr).await.unwrap();
        let (mut reader, _) = listener.accept(&scope).await.unwrap();
        scope.task().name("holder").spawn(async move |cx: Cx| {
            let permit = tx.reserve(&cx).await.unwrap();
            cx.checkpoint_note("before it sends").unwrap();
            match wait {
                Wait::Itself => drop(gone.recv(&cx).await),
                Wait::Clock => cx.sleep(Duration::from_secs(3600)).await.unwrap(),
                Wait::Socket => drop(reader.read_exact(&cx, &mut [0]).await),
            }
            let _ = permit.send(7);
        });
        spin(&scope, steps).await;
        writer.write_all(&scope, b"!").await.unwrap();
        let got = rx.recv(&scope).await.unwrap();
        let _ = go.send(());
        got
    });
    (lab, got)
}

#[test]
fn a_stuck_holder_is_flagged_and_named() {
    let (lab, got) = run(LabConfig::default().seed(1), Wait::Itself, 3_000);
    let Err(LabFailure::Violation(violation)) = got else {
        panic!("not {got:?}")
    };
    assert_eq!(
        violation.what,
        "FuturelockViolation: T1 holds SendPermit #0 and was not polled for 1000 steps; it waits for something after its note \"before it sends\", which is neither a timer nor a socket; resolve what it holds before it waits for another task"
    );
    assert!(lab.futurelock_oracle().is_err());
    assert_eq!(violation.kind(), ErrorKind::FuturelockViolation);
    let error = Error::from(violation);
    assert!(error.to_string().contains("FuturelockViolation: T1"));
    assert!(!error.action().is_empty());
    // It is found as soon as it is one, not at the end of the run.
    assert!(lab.steps() < 1_100, "{} steps", lab.steps());
}

#[test]
fn a_holder_that_the_clock_or_the_network_will_wake_is_not() {
    for wait in [Wait::Clock, Wait::Socket] {
        let (lab, got) = run(LabConfig::default().seed(1), wait, 3_000);
        assert_eq!(got.unwrap(), 7, "{wait:?}");
        assert!(lab.futurelock_oracle().is_ok());
    }
}

#[test]
fn the_limit_is_a_matter_of_configuration() {
    let config = LabConfig::default().seed(1).max_steps(1_000);
    let (_, got) = run(
        config.clone().futurelock_max_idle_steps(50),
        Wait::Itself,
        60,
    );
    assert!(matches!(got, Err(LabFailure::Violation(_))), "{got:?}");
    // Below the limit, the same program ends as the deadlock that it is.
    let (_, got) = run(config.futurelock_max_idle_steps(100), Wait::Itself, 60);
    assert!(matches!(got, Err(LabFailure::Deadlock(_))), "{got:?}");
}
