//! The programs that newcomers are shown: the examples, run in every world, and
//! wrong programs beside right ones, each with the diagnosis that it gets.
#![allow(dead_code, reason = "an example's `main` is not called here")]

use asupersync::channel::{mpsc, oneshot};
use asupersync::lab::{Inject, Injector, LabFailure, Points, Replayer};
use asupersync::net::{TcpListener, TcpStream};
use asupersync::{CancelKind, CapSet, Cx, LabConfig, LabRuntime, RegionOptions, Scope, Time};
use std::time::{Duration, Instant};

#[path = "../examples/budgets.rs"]
mod budgets;
#[path = "../examples/capability_gated.rs"]
mod capability_gated;
#[path = "../examples/deterministic.rs"]
mod deterministic;
#[path = "../examples/echo.rs"]
mod echo;
#[path = "../examples/effects.rs"]
mod effects;
#[path = "../examples/nested_regions.rs"]
mod nested_regions;
#[path = "../examples/permit_drop.rs"]
mod permit_drop;
#[path = "../examples/quick_start.rs"]
mod quick_start;
#[path = "../examples/request_context.rs"]
mod request_context;
#[path = "../examples/worker_loop.rs"]
mod worker_loop;

mod worlds;
use worlds::{everywhere, in_lab, whoever_is_lost};

#[test]
fn the_quick_start_counts_in_two_tasks() {
    everywhere(async |cx: Scope| {
        let words = quick_start::count(&cx, "one two three", "four five").await;
        assert_eq!(words.unwrap(), 5);
    });
}

#[test]
fn the_worker_loop_answers_every_job() {
    everywhere(async |cx: Scope| {
        let squares = worker_loop::squares(&cx, 5).await.unwrap();
        assert_eq!(squares, [1, 4, 9, 16, 25]);
    });
}

#[test]
fn the_worker_loop_loses_no_job_to_a_cancellation() {
    let body = async |cx: Scope| {
        let (jobs, todo) = mpsc::channel(8);
        let (results, mut done) = mpsc::channel(8);
        for n in 1..=5 {
            jobs.try_send(n).unwrap();
        }
        let sent = jobs.clone();
        drop(jobs);
        let worker = cx.spawn(async move |cx: Cx| worker_loop::work(&cx, todo, results).await);
        let stopper = cx.spawn(async move |cx: Cx| {
            let _ = cx.yield_now().await;
            drop(sent);
        });
        let _ = stopper.await;
        let _ = worker.await;
        // Answered are the first of them, in order and without a gap.
        let mut next = 1;
        while let Ok(square) = done.try_recv() {
            assert_eq!(square, next * next);
            next += 1;
        }
    };
    whoever_is_lost(body);
}

#[test]
fn the_inner_region_is_at_rest_before_the_outer_goes_on() {
    everywhere(async |cx: Scope| {
        let mut log = nested_regions::build(&cx).await.unwrap();
        // The three compile at once, in any order.
        log[..3].sort();
        let expected = [
            "compiled a",
            "compiled b",
            "compiled c",
            "linked",
            "reported",
        ];
        assert_eq!(log, expected);
    });
}

#[test]
fn a_dropped_permit_gives_its_place_back() {
    everywhere(async |cx: Scope| {
        let received = permit_drop::hand_back(&cx).await;
        assert_eq!(received.unwrap(), ["from the second"]);
    });
}

#[test]
fn a_gated_task_does_what_it_may() {
    everywhere(async |cx: Scope| {
        let said = capability_gated::audit(&cx).await.unwrap();
        let expected = [
            "sleep: true",
            "connect denied: true",
            "its child may connect: false",
        ];
        assert_eq!(said, expected);
    });
}

#[test]
fn budgets_end_the_work_and_then_the_cleanup() {
    everywhere(async |cx: Scope| {
        let report = budgets::bounded(&cx).await.unwrap();
        assert_eq!(
            report.reason.as_ref().map(|r| r.kind),
            Some(CancelKind::Timeout)
        );
        let dropped: Vec<&str> = report.abandoned.iter().map(|a| a.name.as_str()).collect();
        assert_eq!(dropped, ["deaf"], "{report}");
    });
    in_lab(async |cx: Scope| {
        budgets::bounded(&cx).await.unwrap();
        // Twenty milliseconds of work and three hundred of cleanup, to the nanosecond.
        assert_eq!(cx.now(), Time::from_nanos(320_000_000));
    });
}

#[test]
fn a_request_context_borrows_the_tasks() {
    everywhere(async |cx: Scope| {
        let greeting = request_context::handle(&cx, "Ann").await;
        assert_eq!(greeting.unwrap(), "good day, Ann");
    });
}

#[test]
fn the_deterministic_example_repeats() {
    assert_eq!(deterministic::run(1), deterministic::run(1));
    assert_ne!(deterministic::run(1), deterministic::run(2));
}

#[test]
fn the_transfer_is_made_whole_or_not_at_all() {
    everywhere(async |cx: Scope| {
        let (ann, bob) = (effects::Account::new(100), effects::Account::new(0));
        effects::transfer(&cx, &ann, &bob, 60).await.unwrap();
        assert_eq!((ann.balance(), bob.balance()), (40, 60));
        let short = effects::transfer(&cx, &ann, &bob, 60).await;
        assert!(matches!(short, Err(effects::Refusal::Short)));
        assert_eq!((ann.balance(), bob.balance()), (40, 60));
    });
    let report = Injector::new(LabConfig::default()).points(Points::All);
    let report = report.check(async |cx: Scope| {
        let (ann, bob) = (effects::Account::new(100), effects::Account::new(0));
        let accounts = (ann.clone(), bob.clone());
        let task = cx
            .spawn(async move |cx: Cx| effects::transfer(&cx, &accounts.0, &accounts.1, 60).await);
        let _ = task.await;
        assert!(matches!(
            (ann.balance(), bob.balance()),
            (100, 0) | (40, 60)
        ));
    });
    assert!(report.is_ok() && report.points > 0, "{report}");
}

#[test]
fn the_echo_server_is_short() {
    // All that a reader has to understand; what is imported is not.
    let code = include_str!("../examples/echo.rs").lines().map(str::trim);
    let counted =
        code.filter(|l| !["//", "use ", "mod "].iter().any(|p| l.starts_with(p)) && !l.is_empty());
    let counted = counted.count();
    assert!((10..25).contains(&counted), "{counted} lines");
}

#[test]
fn the_echo_server_answers_what_it_has_read_and_ends_when_it_is_stopped() {
    everywhere(async |cx: Scope| {
        use asupersync::io::{ReadExt, WriteExt};
        let listener = TcpListener::bind(&cx, "127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = cx.spawn(async move |cx: Cx| echo::serve(&cx, listener).await);
        let mut clients = Vec::new();
        for i in 0..3u8 {
            let mut client = TcpStream::connect(&cx, addr).await.unwrap();
            client.write_all(&cx, &[i; 7]).await.unwrap();
            let mut echo = [0; 7];
            client.read_exact(&cx, &mut echo).await.unwrap();
            assert_eq!(echo, [i; 7]);
            clients.push(client);
        }
        // The clients stay: the server has to end by itself.
        server.cancel(CancelKind::Shutdown);
        assert!(server.await.into_result().is_ok(), "it returned");
        for mut client in clients {
            assert_eq!(client.read(&cx, &mut [0]).await.unwrap_or(0), 0, "closed");
        }
    });
}

#[test]
fn the_echo_server_survives_every_injection() {
    let body = async |cx: Scope| {
        use asupersync::io::{ReadExt, WriteExt};
        let Ok(listener) = TcpListener::bind(&cx, "127.0.0.1:0").await else {
            return;
        };
        let addr = listener.local_addr().unwrap();
        let server = cx.spawn(async move |cx: Cx| echo::serve(&cx, listener).await);
        let client = cx.spawn(async move |cx: Cx| -> std::io::Result<()> {
            let mut client = TcpStream::connect(&cx, addr).await?;
            client.write_all(&cx, b"hello").await?;
            client.read_exact(&cx, &mut [0; 5]).await.map(drop)
        });
        let _ = client.await;
        server.cancel(CancelKind::Shutdown);
        let _ = server.await;
    };
    for mode in [Inject::Protocol, Inject::Root, Inject::Drop] {
        let injector = Injector::new(LabConfig::default()).mode(mode);
        let report = injector.points(Points::All).check(body);
        assert!(report.is_ok(), "{report}");
        assert!(report.points > 5, "{report}");
    }
}

/// Runs a program in the lab; how it failed, or nothing.
fn diagnosis(body: impl AsyncFnOnce(Scope)) -> String {
    let lab = LabRuntime::new(LabConfig::default().seed(1).max_steps(5_000));
    match lab.try_run(body) {
        Ok(()) => String::new(),
        Err(failure) => failure.to_string(),
    }
}

/// A wrong program says all of this; the right one says nothing.
#[track_caller]
fn pair(said: &[&str], wrong: impl AsyncFnOnce(Scope), right: impl AsyncFnOnce(Scope)) {
    let text = diagnosis(wrong);
    for part in said {
        assert!(text.contains(part), "not {part:?}: {text}");
    }
    assert_eq!(diagnosis(right), "", "the right program is clean");
}

#[test]
fn a_permit_that_is_let_go_of_is_named() {
    pair(
        &["ObligationLeak detected", "SendPermit", "T0", "dropped"],
        async |cx| {
            let (tx, _rx) = mpsc::channel::<u8>(1);
            drop(tx.reserve(&cx).await.unwrap());
            cx.yield_now().await.unwrap();
        },
        async |cx| {
            let (tx, _rx) = mpsc::channel::<u8>(1);
            tx.reserve(&cx).await.unwrap().abort();
            cx.yield_now().await.unwrap();
        },
    );
}

#[test]
fn a_permit_that_is_held_across_a_wait_for_its_own_receiver_is_named() {
    let hold = async |cx: Scope, early: bool| {
        let (tx, mut rx) = mpsc::channel::<u8>(1);
        let (go, mut gone) = oneshot::channel::<()>();
        cx.spawn(async move |cx: Cx| {
            let permit = tx.reserve(&cx).await.unwrap();
            if !early {
                let _ = gone.recv(&cx).await;
            }
            let _ = permit.send(1);
        });
        for _ in 0..1_200 {
            cx.yield_now().await.unwrap();
        }
        rx.recv(&cx).await.unwrap();
        let _ = go.send(());
    };
    pair(
        &["FuturelockViolation: T1 holds SendPermit"],
        async |cx| hold(cx, false).await,
        async |cx| hold(cx, true).await,
    );
}

#[test]
fn a_borrowed_context_is_named() {
    pair(
        &["TaskNotOwned: T1 waits through the context of T0"],
        async |cx| {
            let lent = Cx::clone(&cx);
            cx.spawn(async move |_cx| lent.sleep(Duration::from_millis(1)).await);
        },
        async |cx| {
            cx.spawn(async |cx: Cx| cx.sleep(Duration::from_millis(1)).await);
        },
    );
}

#[test]
fn a_deadlock_names_who_waits_and_a_livelock_who_spins() {
    pair(
        &[
            "deadlock at t+0ns",
            "T1 \"patient\"",
            "waits since",
            "last note \"for a word\"",
        ],
        async |cx| {
            let (tx, mut rx) = oneshot::channel::<u8>();
            let patient = cx.task().name("patient").spawn(async move |cx: Cx| {
                cx.checkpoint_note("for a word").unwrap();
                let _ = rx.recv(&cx).await;
            });
            let _ = patient.await; // the sender is dropped only behind this
            drop(tx);
        },
        async |cx| {
            let (tx, mut rx) = oneshot::channel::<u8>();
            let patient = cx.spawn(async move |cx: Cx| {
                let _ = rx.recv(&cx).await;
            });
            drop(tx);
            let _ = patient.await;
        },
    );
    pair(
        &["no end after 5000 steps", "\"restless\""],
        async |cx| {
            cx.task()
                .name("restless")
                .spawn(async |cx: Cx| while cx.yield_now().await.is_ok() {});
        },
        async |cx| {
            // A daemon does not keep its region.
            cx.spawn_daemon(async |cx: Cx| while cx.yield_now().await.is_ok() {});
        },
    );
}

#[test]
fn an_effect_without_its_capability_is_named() {
    pair(
        &["the run ended badly", "T1"],
        async |cx| {
            let worker = cx.task().caps(CapSet::NONE);
            worker.try_spawn(async |cx: Cx| cx.sleep(Duration::from_millis(1)).await);
        },
        async |cx| {
            let worker = cx.task().caps(CapSet::TIME);
            worker.try_spawn(async |cx: Cx| cx.sleep(Duration::from_millis(1)).await);
        },
    );
    in_lab(async |cx: Scope| {
        let slept = cx.restrict(CapSet::NONE).sleep(Duration::ZERO).await;
        let text = slept.unwrap_err().to_string();
        assert!(text.starts_with("CapabilityDenied: TIME"), "{text}");
    });
}

#[test]
fn a_task_that_does_not_listen_is_named_in_the_report() {
    in_lab(async |cx: Scope| {
        for (listens, dropped) in [(false, 1), (true, 0)] {
            let body = async |scope: Scope| {
                scope.task().name("deaf").spawn(async move |cx: Cx| {
                    let never = std::future::pending::<()>();
                    match listens {
                        true => drop(cx.cancellable(never).await),
                        false => never.await,
                    }
                });
                // Until the task has begun: one that never did needs no dropping.
                scope.sleep(Duration::from_millis(1)).await.unwrap();
                scope.close();
            };
            let ended = cx.region_report(RegionOptions::default(), body).await;
            let report = ended.unwrap().report;
            assert_eq!(report.abandoned.len(), dropped, "{report}");
            assert_eq!(report.to_string().contains("\"deaf\" dropped"), !listens);
        }
    });
}

#[test]
fn a_program_that_asks_the_machine_is_no_function_of_its_seed() {
    let replay = |nap: fn(Instant, &Cx) -> u64| {
        let epoch = Instant::now();
        let program = async |cx: Scope| {
            let nap = Duration::from_nanos(nap(epoch, &cx));
            cx.sleep(nap).await.unwrap();
        };
        let config = LabConfig::default();
        let lab = LabRuntime::new(config.clone());
        lab.run(program);
        Replayer::new(config, lab.trace()).run(program)
    };
    let wrong = replay(|epoch, _| u64::try_from(epoch.elapsed().as_nanos()).unwrap());
    let Err(LabFailure::NonDeterminism(divergence)) = wrong else {
        panic!("not {wrong:?}")
    };
    assert!(
        divergence.to_string().contains("only through Cx"),
        "{divergence}"
    );
    replay(|_, cx| cx.random_u64() % 1_000).expect("the right program repeats");
}
