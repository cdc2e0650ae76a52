//! The combinators beyond `race!`: what they return, and that nothing of the rest is left.

use asupersync::channel::mpsc;
use asupersync::combine::{
    Arm, ArmsError, Backoff, Bulkhead, BulkheadError, BulkheadStatistics, CircuitBreaker,
    CircuitConfig, CircuitError, CircuitState, MapError, RateLimit, RateLimitStatistics,
    RetryError, first_ok, hedge, join_all, map_reduce, quorum, retry, retry_if,
};
use asupersync::lab::{Inject, Injector};
use asupersync::{
    Budget, CancelKind, Cancelled, Cx, LabConfig, LabRuntime, RegionOptions, Scope, Severity,
    TryRegionError, join, race, scope, spawn, try_join,
};
use std::cell::Cell;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

mod worlds;
use worlds::{everywhere, in_lab};

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// An arm that takes some time, and counts how it ends.
fn arm(
    after: u64,
    result: Result<u32, &'static str>,
    ended: &Arc<AtomicU32>,
) -> Arm<Result<u32, &'static str>> {
    let ended = ended.clone();
    Arm::new(async move |cx: Cx| {
        let slept = cx.sleep(secs(after)).await;
        ended.fetch_add(1, Ordering::Relaxed);
        slept.map_err(|_| "stopped").and(result)
    })
}

#[test]
fn the_first_success_wins_and_the_rest_is_drained() {
    in_lab(async |cx: Scope| {
        let ended = Arc::new(AtomicU32::new(0));
        let start = cx.now();
        let won = first_ok(
            &cx,
            [
                arm(1, Err("early"), &ended),
                arm(3, Ok(3), &ended),
                arm(2, Ok(2), &ended),
                arm(9, Ok(9), &ended),
            ],
        )
        .await
        .unwrap();
        assert_eq!((won.index, won.value), (2, 2));
        assert_eq!(cx.now().since(start), secs(2));
        assert_eq!(ended.load(Ordering::Relaxed), 4, "losers were awaited");
    });
}

#[test]
fn all_failures_are_told_in_the_order_they_came() {
    everywhere(async |cx: Scope| {
        let first = first_ok(
            &cx,
            [
                Arm::new(async |cx: Cx| {
                    cx.sleep(Duration::from_millis(20)).await.unwrap();
                    Err::<(), _>("late")
                }),
                Arm::new(async |_cx: Cx| Err("soon")),
            ],
        );
        let failures = match first.await {
            Err(ArmsError::Failed {
                needed: 1,
                arms: 2,
                failures,
            }) => failures,
            other => panic!("{other:?}"),
        };
        assert_eq!(failures, [(1, "soon"), (0, "late")]);
        let none: [Arm<Result<(), ()>>; 0] = [];
        let e = first_ok(&cx, none).await.unwrap_err();
        assert_eq!(e.to_string(), "0 of 0 arms failed, and 1 had to succeed");
    });
}

#[test]
fn a_quorum_is_decided_as_soon_as_it_can_be() {
    in_lab(async |cx: Scope| {
        let ended = Arc::new(AtomicU32::new(0));
        let start = cx.now();
        let arms = |results: [Result<u32, &'static str>; 4]| {
            let ended = ended.clone();
            (1..).zip(results).map(move |(t, r)| arm(t, r, &ended))
        };
        let won = quorum(&cx, 2, arms([Ok(1), Err("no"), Ok(3), Ok(4)])).await;
        let won: Vec<_> = won.unwrap().iter().map(|s| (s.index, s.value)).collect();
        assert_eq!(won, [(0, 1), (2, 3)]);
        assert_eq!(cx.now().since(start), secs(3));
        let lost = quorum(&cx, 3, arms([Err("a"), Ok(2), Err("c"), Ok(4)])).await;
        assert_eq!(
            lost.unwrap_err(),
            ArmsError::Failed {
                needed: 3,
                arms: 4,
                failures: vec![(0, "a"), (2, "c")]
            }
        );
        assert_eq!(cx.now().since(start), secs(6), "one more could not help");
        assert_eq!(ended.load(Ordering::Relaxed), 8);
        assert!(quorum(&cx, 0, arms([Ok(0); 4])).await.unwrap().is_empty());
        assert!(quorum(&cx, 5, arms([Ok(0); 4])).await.is_err());
        assert_eq!(ended.load(Ordering::Relaxed), 8, "neither started anything");
    });
}

#[test]
fn a_hedge_asks_again_when_it_is_late_or_has_failed() {
    in_lab(async |cx: Scope| {
        let ended = Arc::new(AtomicU32::new(0));
        let start = cx.now();
        // At 0 s the first; at 2 s the second, which fails at 3 s; then the third.
        let won = hedge(
            &cx,
            secs(2),
            [
                arm(60, Ok(0), &ended),
                arm(1, Err("down"), &ended),
                arm(1, Ok(2), &ended),
                arm(0, Ok(3), &ended),
            ],
        )
        .await
        .unwrap();
        assert_eq!((won.index, won.value), (2, 2));
        assert_eq!(cx.now().since(start), secs(4));
        assert_eq!(
            ended.load(Ordering::Relaxed),
            3,
            "the fourth was never begun"
        );
        let e = hedge(
            &cx,
            secs(1),
            [arm(0, Err("a"), &ended), arm(0, Err("b"), &ended)],
        )
        .await;
        assert_eq!(
            e.unwrap_err(),
            ArmsError::Failed {
                needed: 1,
                arms: 2,
                failures: vec![(0, "a"), (1, "b")]
            }
        );
    });
}

/// Each takes as long as what decides it and the slowest loser's cleanup.
#[test]
fn whoever_drains_losers_takes_their_cleanup_too() {
    in_lab(async |cx: Scope| {
        let arms = || {
            [1, 9].map(|n| {
                Arm::new(async move |cx: Cx| match cx.sleep(secs(n)).await {
                    Ok(()) => Ok(n),
                    Err(_) => {
                        cx.cleanup()
                            .sleep(Duration::from_millis(1_500))
                            .await
                            .unwrap();
                        Err("stopped")
                    }
                })
            })
        };
        let took = async |what: &str| {
            let start = cx.now();
            match what {
                "race" => drop(cx.race(arms()).await.unwrap()),
                "first_ok" => drop(first_ok(&cx, arms()).await.unwrap()),
                "quorum" => drop(quorum(&cx, 1, arms()).await.unwrap()),
                _ => drop(hedge(&cx, Duration::from_millis(1), arms()).await.unwrap()),
            }
            cx.now() - start
        };
        for what in ["race", "first_ok", "quorum", "hedge"] {
            assert_eq!(took(what).await, Duration::from_millis(2_500), "{what}");
        }
    });
}

#[test]
fn a_map_is_bounded_and_folds_in_order() {
    in_lab(async |cx: Scope| {
        let live = Arc::new(AtomicU32::new(0));
        let most = Arc::new(AtomicU32::new(0));
        let (counting, peak) = (live.clone(), most.clone());
        let folded = map_reduce(
            &cx,
            NonZeroUsize::new(3).unwrap(),
            0..10u64,
            move |cx: Cx, n: u64| {
                let (live, most) = (counting.clone(), peak.clone());
                async move {
                    most.fetch_max(live.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                    cx.sleep(secs((n * 7) % 5)).await?;
                    live.fetch_sub(1, Ordering::Relaxed);
                    Ok::<_, Cancelled>(n)
                }
            },
            Vec::new(),
            |mut all, n| {
                all.push(n);
                all
            },
        );
        assert_eq!(folded.await.unwrap(), (0..10).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::Relaxed), 3);
        assert_eq!(live.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn a_map_ends_with_the_first_failure_and_stops_the_others() {
    in_lab(async |cx: Scope| {
        let start = cx.now();
        let result = map_reduce(
            &cx,
            NonZeroUsize::new(4).unwrap(),
            [9, 1, 2, 3],
            async |cx: Cx, n| {
                cx.sleep(secs(n)).await.map_err(|_| 0u64)?;
                if n == 2 { Err(n) } else { Ok(n) }
            },
            0,
            |a, n| a + n,
        );
        assert_eq!(
            result.await.unwrap_err(),
            MapError::Failed { index: 2, error: 2 }
        );
        assert_eq!(cx.now().since(start), secs(2));
    });
}

#[test]
fn a_panic_in_an_arm_is_raised_when_all_have_ended() {
    let ended = Arc::new(AtomicU32::new(0));
    let inner = ended.clone();
    let failure = LabRuntime::new(LabConfig::default())
        .try_run(async move |cx: Scope| {
            let arms = [
                Arm::new(async |_cx: Cx| -> Result<u32, &str> { panic!("arm gives way") }),
                arm(9, Ok(1), &inner),
            ];
            let _ = quorum(&cx, 2, arms).await;
        })
        .unwrap_err();
    assert!(failure.to_string().contains("arm gives way"), "{failure}");
    assert_eq!(ended.load(Ordering::Relaxed), 1, "the other was awaited");
}

#[test]
fn retries_pause_and_give_up() {
    in_lab(async |cx: Scope| {
        let start = cx.now();
        let plain = Backoff::new(secs(1)).attempts(4).jitter(false);
        let tries = Cell::new(0);
        let failing = async |_s: Scope| {
            tries.set(tries.get() + 1);
            Err::<(), _>(format!("try {}", tries.get()))
        };
        let e = retry(&cx, plain, failing).await.unwrap_err();
        assert_eq!(e.to_string(), "gave up after 4 attempts: try 4");
        assert_eq!(cx.now().since(start), secs(1 + 2 + 4));

        tries.set(0);
        let e = retry_if(&cx, plain, |e| e != "try 2", failing).await;
        assert!(matches!(e, Err(RetryError::Permanent { attempts: 2, .. })));

        tries.set(0);
        let start = cx.now();
        let bounded = RegionOptions {
            budget: Budget::new().with_timeout(cx.now(), secs(2)),
            ..RegionOptions::named("bounded")
        };
        let reported = cx
            .region_report(bounded, async |scope| {
                retry(&scope, plain, failing).await.unwrap_err()
            })
            .await
            .unwrap();
        // The pause after the second attempt would end at 3 s, after the deadline.
        assert!(matches!(
            reported.value,
            Some(RetryError::OutOfTime { attempts: 2, .. })
        ));
        assert_eq!(cx.now().since(start), secs(1));
    });
}

#[test]
fn a_cancellation_is_never_retried() {
    in_lab(async |cx: Scope| {
        let tries = Arc::new(AtomicU32::new(0));
        let inner = tries.clone();
        let task = cx.spawn(async move |cx: Cx| {
            retry(
                &cx,
                Backoff::new(secs(1)).attempts(100),
                async |s: Scope| {
                    inner.fetch_add(1, Ordering::Relaxed);
                    s.sleep(secs(10)).await
                },
            )
            .await
        });
        cx.sleep(secs(5)).await.unwrap();
        task.cancel("enough");
        let end = task.await.into_result().unwrap();
        assert!(matches!(end, Err(RetryError::Cancelled(_))), "{end:?}");
        assert_eq!(tries.load(Ordering::Relaxed), 1);
        // Second-hand: somebody else was cancelled, and the attempt says so.
        let second_hand = Cancelled::new(Arc::new("not ours".into()));
        let e = retry(&cx, Backoff::new(secs(1)), async |_s: Scope| {
            Err::<(), _>(std::io::Error::other(second_hand.clone()))
        })
        .await;
        assert!(matches!(e, Err(RetryError::Cancelled(_))), "{e:?}");
    });
}

#[test]
fn try_join_returns_all_values_and_borrows() {
    everywhere(async |cx: Scope| {
        let name = String::from("x");
        let not_sync = Cell::new(1);
        let (a, b, c) = try_join!(
            &cx,
            |s| async {
                s.yield_now().await?;
                Ok::<_, Cancelled>(name.as_str())
            },
            |_s| async {
                not_sync.set(2);
                Ok(not_sync.get())
            },
            |s| async { Ok(s.region_id()) },
        )
        .await
        .unwrap();
        assert_eq!((a, b), ("x", 2));
        assert_ne!(c, cx.region_id(), "arms run in a region of their own");
        let none: Result<(), TryRegionError<()>> = try_join!(&cx).await;
        assert!(none.is_ok());
    });
}

#[test]
fn the_first_arm_to_fail_stops_the_others_and_all_are_awaited() {
    in_lab(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel::<u32>(4);
        let stopped = Arc::new(AtomicU32::new(0));
        let inner = stopped.clone();
        let failed = try_join!(
            &cx,
            |s| async {
                s.sleep(secs(1)).await.map_err(|_| "stopped")?;
                Err::<(), _>("broken")
            },
            |s| async {
                // Holds a place in the channel at the failure, and resolves it.
                let permit = tx.reserve(s).await.map_err(|_| "stopped")?;
                let slept = s.sleep(secs(9)).await;
                permit.send(7).map_err(|_| "nobody")?;
                slept.map_err(|_| "stopped")
            },
            |s| async {
                s.spawn(async move |cx: Cx| {
                    cx.cancelled().await;
                    inner.fetch_add(1, Ordering::Relaxed);
                });
                Ok(())
            },
        )
        .await;
        match failed {
            Err(TryRegionError::Body("broken")) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(rx.recv(&cx).await.unwrap(), 7);
        assert_eq!(stopped.load(Ordering::Relaxed), 1, "and so are their tasks");
    });
}

#[test]
fn what_stops_because_of_an_arm_says_so() {
    in_lab(async |cx: Scope| {
        let why = Cell::new(None);
        let joined = try_join!(
            &cx,
            |s| async {
                s.sleep(secs(1)).await.map_err(|_| "stopped")?;
                Err::<(), _>("broken")
            },
            |s| async {
                let task = s.spawn(async |cx: Cx| cx.sleep(secs(9)).await);
                let slept = task.await.into_result().unwrap();
                why.set(slept.err());
                Ok(())
            },
        );
        assert!(matches!(joined.await, Err(TryRegionError::Body("broken"))));
        let why = why.take().expect("the task was stopped");
        let root = why.reason().root_cause();
        assert_eq!(
            (root.kind, root.task),
            (CancelKind::FailFast, Some(cx.task_id()))
        );
    });
}

#[test]
fn an_arm_that_fails_because_of_a_task_gives_its_own_error() {
    in_lab(async |cx: Scope| {
        let joined = try_join!(&cx, |s| async {
            s.try_spawn(async |cx: Cx| {
                cx.sleep(secs(1)).await?;
                Err::<(), Box<dyn std::error::Error + Send + Sync>>("a task's".into())
            });
            s.sleep(secs(9)).await.map_err(|_| "because of it")
        });
        assert!(matches!(
            joined.await,
            Err(TryRegionError::Body("because of it"))
        ));
        // One that does not notice leaves the report to tell.
        let joined = try_join!(&cx, |s| async {
            s.try_spawn(async |_cx: Cx| Err::<(), _>("a task's"));
            Ok::<_, ()>(1)
        });
        let Err(TryRegionError::Region(e)) = joined.await else {
            panic!("a task failed");
        };
        assert_eq!(e.report().unwrap().severity, Severity::Err);
    });
}

#[test]
fn a_panicking_arm_lets_the_others_end() {
    let ended = Arc::new(AtomicU32::new(0));
    let inner = ended.clone();
    let failure = LabRuntime::new(LabConfig::default())
        .try_run(async move |cx: Scope| {
            let _ = try_join!(
                &cx,
                |_s| async {
                    if true {
                        panic!("arm gives way")
                    } else {
                        Err::<(), ()>(())
                    }
                },
                |s| async {
                    let slept = s.sleep(secs(9)).await;
                    inner.fetch_add(1, Ordering::Relaxed);
                    slept.map_err(|_| ())
                },
            )
            .await;
        })
        .unwrap_err();
    assert!(failure.to_string().contains("arm gives way"), "{failure}");
    assert_eq!(ended.load(Ordering::Relaxed), 1);
}

#[test]
fn many_futures_join_in_order() {
    everywhere(async |cx: Scope| {
        let cx: &Cx = &cx;
        let naps = (0..100u32).map(|n| async move {
            cx.yield_now().await.unwrap();
            n
        });
        assert_eq!(join_all(naps).await, (0..100).collect::<Vec<_>>());
        let none: [std::future::Ready<()>; 0] = [];
        assert!(asupersync::join_all!(none).is_empty());
    });
    // Futures that are woken through wakers of their own hear of a request.
    in_lab(async |cx: Scope| {
        let task = cx.spawn(async |cx: Cx| {
            let cx = &cx;
            join_all((0..50).map(|_| cx.sleep(secs(1000)))).await
        });
        cx.sleep(secs(1)).await.unwrap();
        task.cancel(CancelKind::User);
        let ends = task.await.into_result().unwrap();
        assert!(ends.len() == 50 && ends.iter().all(Result::is_err));
        assert_eq!(cx.now().as_nanos(), 1_000_000_000);
    });
}

#[test]
fn macros_open_and_spawn_like_the_functions() {
    in_lab(async |cx: Scope| {
        // Names of the caller's that the expansion must not capture.
        let (__scope, __cx, __future) = (1, 2, 3);
        let sum = scope!(&cx, "adding up", |scope| {
            let a = spawn!(scope, "a", |cx| async {
                cx.sleep(secs(1)).await.map(|()| __scope + __cx)
            });
            let b = spawn!(scope, async move { __future });
            let (a, b) = join!(a, b);
            a.into_result().unwrap().unwrap() + b.into_result().unwrap()
        })
        .await
        .unwrap();
        assert_eq!(sum, 6);
        let failed = scope!(&cx, "broken", |scope| {
            spawn!(scope, "culprit", |_cx| async { panic!("as it should") });
        })
        .await
        .unwrap_err();
        let report = failed.report().unwrap();
        assert_eq!(report.name.as_str(), "broken");
        assert_eq!(report.severity, Severity::Panicked);
        assert_eq!(report.primary.as_ref().unwrap().name.as_str(), "culprit");
    });
}

#[test]
fn macros_and_functions_give_equal_traces() {
    let fingerprint = |body: fn(Scope) -> std::pin::Pin<Box<dyn Future<Output = ()>>>| {
        let lab = LabRuntime::new(LabConfig::default().seed(3));
        lab.run(async |cx| body(cx).await);
        lab.report().hash
    };
    let by_macro = fingerprint(|cx| {
        Box::pin(async move {
            scope!(&cx, "r", |scope| {
                spawn!(scope, "t", |cx| cx.sleep(secs(1)));
            })
            .await
            .unwrap();
        })
    });
    let by_function = fingerprint(|cx| {
        Box::pin(async move {
            asupersync::Region::open(&cx, "r", async |scope: Scope| {
                let task = scope.task().name("t");
                task.spawn(async move |cx: Cx| cx.sleep(secs(1)).await);
            })
            .await
            .unwrap();
        })
    });
    assert_eq!(by_macro, by_function);
}

#[test]
fn a_circuit_opens_waits_probes_and_closes() {
    in_lab(async |cx: Scope| {
        let breaker = CircuitBreaker::new(CircuitConfig {
            failures: 2,
            open_for: secs(10),
            probes: 1,
        });
        let call = async |result: Result<u32, &'static str>| {
            breaker.call(&cx, async |_s: Scope| result).await
        };
        assert!(call(Err("down")).await.is_err());
        assert_eq!(call(Ok(1)).await.unwrap(), 1);
        assert!(call(Err("down")).await.is_err());
        assert_eq!(breaker.state(), CircuitState::Closed, "not in a row");
        assert!(call(Err("down")).await.is_err());
        let until = cx.now() + secs(10);
        assert_eq!(breaker.state(), CircuitState::Open { until });
        match call(Ok(1)).await {
            Err(e @ CircuitError::Open { .. }) => {
                assert_eq!(
                    e.to_string(),
                    format!(
                        "the circuit is open until {until}: what it leads to has failed too often"
                    )
                );
            }
            other => panic!("{other:?}"),
        }
        cx.sleep(secs(10)).await.unwrap();
        // One probe runs; a second call is refused while it does.
        let (probe, refused) = join!(
            breaker.call(&cx, async |s: Scope| {
                s.sleep(secs(1)).await.unwrap();
                Err::<(), _>("still down")
            }),
            call(Ok(1))
        );
        assert!(matches!(probe, Err(CircuitError::Failed("still down"))));
        assert!(matches!(refused, Err(CircuitError::Open { .. })));
        cx.sleep(secs(10)).await.unwrap();
        assert_eq!(call(Ok(2)).await.unwrap(), 2);
        assert_eq!(breaker.state(), CircuitState::Closed);
        let s = breaker.statistics();
        assert_eq!((s.succeeded, s.failed, s.refused, s.opened), (2, 4, 2, 2));
    });
}

#[test]
fn a_cancelled_call_says_nothing_about_the_circuit() {
    in_lab(async |cx: Scope| {
        let breaker = Arc::new(CircuitBreaker::new(CircuitConfig {
            failures: 1,
            open_for: secs(10),
            probes: 1,
        }));
        let inner = breaker.clone();
        let task = cx.spawn(async move |cx: Cx| {
            inner
                .call(&cx, async |s: Scope| s.sleep(secs(5)).await)
                .await
        });
        cx.sleep(secs(1)).await.unwrap();
        task.cancel(CancelKind::User);
        let end = task.await.into_result().unwrap();
        assert!(matches!(end, Err(CircuitError::Cancelled(_))), "{end:?}");
        assert_eq!(breaker.state(), CircuitState::Closed);
        // A task of the call fails although the call itself does not.
        let end = breaker
            .call(&cx, async |s: Scope| {
                s.try_spawn(async |_cx: Cx| Err::<(), _>("a task's"));
                Ok::<_, ()>(())
            })
            .await;
        assert!(matches!(end, Err(CircuitError::Region(_))), "{end:?}");
        assert!(matches!(breaker.state(), CircuitState::Open { .. }));
    });
}

const IDLE: BulkheadStatistics = BulkheadStatistics {
    running: 0,
    waiting: 0,
};

#[test]
fn a_bulkhead_lets_so_many_run_and_so_many_wait() {
    in_lab(async |cx: Scope| {
        let bulkhead = Arc::new(Bulkhead::new(2, 1));
        let most = Arc::new(AtomicU32::new(0));
        let start = cx.now();
        let mut calls = Vec::new();
        for _ in 0..4 {
            let (bulkhead, most) = (bulkhead.clone(), most.clone());
            calls.push(cx.spawn(async move |cx: Cx| {
                let body = async |s: Scope| {
                    most.fetch_max(bulkhead.statistics().running as u32, Ordering::Relaxed);
                    s.sleep(secs(1)).await
                };
                bulkhead.run(&cx, body).await.map(|slept| slept.unwrap())
            }));
        }
        let mut refused = 0;
        for call in calls {
            match call.await.into_result().unwrap() {
                Ok(()) => {}
                Err(BulkheadError::Full {
                    running: 2,
                    waiting: 1,
                }) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!((refused, most.load(Ordering::Relaxed)), (1, 2));
        assert_eq!(cx.now().since(start), secs(2));
        assert_eq!(bulkhead.statistics(), IDLE);
    });
}

#[test]
fn a_cancelled_wait_gives_its_place_to_the_next() {
    in_lab(async |cx: Scope| {
        let bulkhead = Arc::new(Bulkhead::new(1, 1));
        let limit = Arc::new(RateLimit::new(1.try_into().unwrap(), secs(10)));
        limit.acquire(&cx).await.unwrap();
        let (b, l) = (bulkhead.clone(), limit.clone());
        let holder = cx.spawn(async move |cx: Cx| {
            b.run(&cx, async |s: Scope| s.sleep(secs(5)).await)
                .await
                .is_ok()
        });
        let waiter = cx.spawn(async move |cx: Cx| l.acquire(&cx).await);
        cx.sleep(secs(1)).await.unwrap();
        let b = bulkhead.clone();
        let queued = cx.spawn(async move |cx: Cx| b.run(&cx, async |_s: Scope| ()).await);
        cx.sleep(secs(1)).await.unwrap();
        let busy = BulkheadStatistics {
            running: 1,
            waiting: 1,
        };
        assert_eq!(bulkhead.statistics(), busy);
        let limited = limit.statistics();
        assert_eq!(
            (limited.waiting, limited.next.as_nanos()),
            (1, 10_000_000_000)
        );
        queued.cancel(CancelKind::User);
        waiter.cancel(CancelKind::User);
        let cancelled = queued.await.into_result().unwrap();
        assert!(matches!(cancelled, Err(BulkheadError::Cancelled(_))));
        assert!(waiter.await.into_result().unwrap().is_err());
        assert_eq!(bulkhead.statistics().waiting, 0);
        assert_eq!(
            limit.statistics(),
            RateLimitStatistics {
                waiting: 0,
                ..limited
            }
        );
        // The turn that the waiter did not take is there when it was due.
        assert!(limit.try_acquire(&cx).is_err());
        limit.acquire(&cx).await.unwrap();
        assert_eq!(cx.now().as_nanos(), 10_000_000_000);
        assert!(holder.await.into_result().unwrap());
    });
}

#[test]
fn a_rate_limit_is_fair() {
    in_lab(async |cx: Scope| {
        let limit = Arc::new(RateLimit::new(2.try_into().unwrap(), secs(2)));
        let (tx, mut rx) = mpsc::channel(8);
        for n in 0..6u64 {
            let (limit, tx) = (limit.clone(), tx.clone());
            cx.spawn(async move |cx: Cx| {
                cx.sleep(Duration::from_millis(n)).await.unwrap();
                limit.acquire(&cx).await.unwrap();
                tx.send(&cx, (n, cx.now())).await.unwrap();
            });
        }
        drop(tx);
        let mut turns = Vec::new();
        while let Ok(turn) = rx.recv(&cx).await {
            turns.push(turn);
        }
        let order: Vec<_> = turns.iter().map(|(n, _)| *n).collect();
        assert_eq!(order, [0, 1, 2, 3, 4, 5]);
        // Two at once, then one each second from the first on.
        let seconds: Vec<_> = turns
            .iter()
            .map(|(_, at)| at.as_nanos() / 1_000_000_000)
            .collect();
        assert_eq!(seconds, [0, 0, 1, 2, 3, 4]);
    });
}

/// Futures of the combinators are `Send`, so that tasks can use them.
#[test]
fn tasks_may_use_all_of_them() {
    everywhere(async |cx: Scope| {
        let task = cx.spawn(async |cx: Cx| {
            let one = || Arm::new(async |_cx: Cx| Ok::<_, ()>(1));
            let mut sum = first_ok(&cx, [one()]).await.unwrap().value;
            sum += quorum(&cx, 1, [one(), one()]).await.unwrap()[0].value;
            sum += hedge(&cx, secs(1), [one()]).await.unwrap().value;
            let limit = NonZeroUsize::MIN;
            sum += map_reduce(
                &cx,
                limit,
                [1],
                async |_cx, n| Ok::<_, ()>(n),
                0,
                |a, n| a + n,
            )
            .await
            .unwrap();
            let again = Backoff::new(secs(1));
            sum += retry(&cx, again, async |_s| Ok::<_, ()>(1)).await.unwrap();
            let (n,) = try_join!(&cx, |_s| async { Ok::<_, ()>(1) }).await.unwrap();
            sum + n
        });
        assert_eq!(task.await.into_result().unwrap(), 6);
    });
}

/// A request or a drop at every await: the oracles see to it that nothing is left.
#[test]
fn each_survives_a_cancel_and_a_drop_at_every_await() {
    for mode in [Inject::Protocol, Inject::Root, Inject::Drop] {
        for seed in 0..4 {
            let injector = Injector::new(LabConfig::default().seed(seed)).mode(mode);
            let report = injector.check(async |cx: Scope| {
                cx.spawn(async |cx: Cx| {
                    let ended = Arc::new(AtomicU32::new(0));
                    let arms = || {
                        [
                            arm(2, Err("a"), &ended),
                            arm(1, Ok(1), &ended),
                            arm(3, Ok(3), &ended),
                        ]
                    };
                    let _ = first_ok(&cx, arms()).await;
                    let _ = quorum(&cx, 2, arms()).await;
                    let _ = hedge(&cx, secs(1), arms()).await;
                    let limit = NonZeroUsize::new(2).unwrap();
                    let nap = async |cx: Cx, n| cx.sleep(secs(n)).await.map(|()| n);
                    let _ = map_reduce(&cx, limit, [3, 1, 2], nap, 0, |a, n| a + n).await;
                    let pause = Backoff::new(secs(1));
                    let _ = retry(&cx, pause, async |s: Scope| {
                        s.sleep(secs(1)).await.map_err(std::io::Error::from)?;
                        Err::<(), _>(std::io::Error::other("again"))
                    })
                    .await;
                    let _ = try_join!(&cx, |s| s.sleep(secs(1)), |s| s.sleep(secs(2))).await;
                });
            });
            assert!(report.is_ok(), "{mode:?} {seed}: {report}");
            assert!(report.points > 10, "{report}");
        }
    }
}

/// The same for races, of every form, whose losers have something to give back.
#[test]
fn races_survive_a_cancel_and_a_drop_at_every_await() {
    for mode in [Inject::Protocol, Inject::Root, Inject::Drop] {
        for seed in 0..4 {
            let injector = Injector::new(LabConfig::default().seed(seed)).mode(mode);
            let report = injector.check(async |cx: Scope| {
                let (tx, mut rx) = mpsc::channel::<u64>(1);
                let (sender, in_place) = (tx.clone(), tx.clone());
                drop(tx);
                let racing = cx.spawn(async move |cx: Cx| {
                    let arms = (1..4).map(|n| {
                        let sender = sender.clone();
                        Arm::new(async move |cx: Cx| {
                            cx.spawn(async move |cx: Cx| drop(cx.sleep(secs(n)).await));
                            let permit = sender.reserve(&cx).await.ok()?;
                            let slept = cx.sleep(secs(n)).await;
                            match slept {
                                Ok(()) => permit.send(n).ok(),
                                Err(_) => {
                                    permit.abort();
                                    None
                                }
                            }
                        })
                    });
                    let _ = cx.race(arms).await;
                    let _ = race!(
                        &cx,
                        |s| async { s.sleep(secs(1)).await.is_ok() },
                        |s| async {
                            let Ok(permit) = in_place.reserve(s).await else {
                                return false;
                            };
                            let slept = s.sleep(secs(2)).await;
                            permit.abort();
                            slept.is_ok()
                        }
                    )
                    .await;
                    drop(in_place);
                    let naps = [1, 2, 3].map(|n| cx.sleep(secs(n)));
                    let _ = join_all(naps).await;
                    let body = async |s: Scope| s.sleep(secs(9)).await;
                    let _ = cx.timeout(secs(2), body).await;
                });
                while rx.recv(cx.cleanup()).await.is_ok() {}
                drop(racing.await);
                assert_eq!(rx.statistics().reserved, 0);
            });
            assert!(report.is_ok(), "{mode:?} {seed}: {report}");
            assert!(report.points >= 15, "{report}");
        }
    }
}

/// And for what stands before a dependency: whoever is lost, the others get through.
#[test]
fn guards_of_a_dependency_survive_a_cancel_and_a_drop_at_every_await() {
    for mode in [Inject::Protocol, Inject::Root, Inject::Drop] {
        for seed in 0..4 {
            let injector = Injector::new(LabConfig::default().seed(seed)).mode(mode);
            let report = injector.check(async |cx: Scope| {
                let bulkhead = Arc::new(Bulkhead::new(1, 2));
                let limit = Arc::new(RateLimit::new(1.try_into().unwrap(), secs(1)));
                let breaker = Arc::new(CircuitBreaker::new(CircuitConfig {
                    failures: 1,
                    open_for: secs(1),
                    probes: 1,
                }));
                let calls: Vec<_> = (0..3u64)
                    .map(|n| {
                        let (bulkhead, limit) = (bulkhead.clone(), limit.clone());
                        let breaker = breaker.clone();
                        cx.spawn(async move |cx: Cx| {
                            let nap = async |s: Scope| s.sleep(secs(1)).await;
                            let _ = bulkhead.run(&cx, nap).await;
                            let _ = limit.acquire(&cx).await;
                            let call = async |s: Scope| {
                                s.sleep(secs(n)).await.map_err(std::io::Error::from)?;
                                if n == 0 {
                                    return Err(std::io::Error::other("down"));
                                }
                                Ok(())
                            };
                            let _ = breaker.call(&cx, call).await;
                        })
                    })
                    .collect();
                for call in calls {
                    drop(call.await);
                }
                // Everything is as before for who comes now.
                assert_eq!(bulkhead.statistics(), IDLE);
                let cx = cx.cleanup();
                cx.sleep(secs(2)).await.unwrap();
                limit.try_acquire(cx).unwrap();
                bulkhead.run(cx, async |_s: Scope| ()).await.unwrap();
                let probe = async |_s: Scope| Ok::<_, std::io::Error>(());
                breaker.call(cx, probe).await.unwrap();
                assert_eq!(breaker.state(), CircuitState::Closed);
            });
            assert!(report.is_ok(), "{mode:?} {seed}: {report}");
            assert!(report.points >= 8, "{report}");
        }
    }
}

/// What has no need of the lab's clock, wherever there are tasks: who fails stops
/// the others, who is late is drained, and nothing of a call is left.
#[test]
fn losers_and_failures_in_every_world() {
    /// An arm that ends at once, or when it is asked to, and counts those alive.
    fn arm(
        result: Option<Result<u32, &'static str>>,
        alive: &Arc<AtomicU32>,
    ) -> Arm<Result<u32, &'static str>> {
        let alive = alive.clone();
        Arm::new(async move |cx: Cx| {
            alive.fetch_add(1, Ordering::SeqCst);
            if result.is_none() {
                cx.cancelled().await;
                cx.cleanup().yield_now().await.unwrap();
            }
            alive.fetch_sub(1, Ordering::SeqCst);
            result.unwrap_or(Err("stopped"))
        })
    }
    everywhere(async |cx: Scope| {
        let alive = Arc::new(AtomicU32::new(0));
        let hour = secs(3_600);
        let arms = || {
            let results = [None, Some(Err("no")), Some(Ok(1)), None];
            results.map(|result| arm(result, &alive))
        };
        assert_eq!(first_ok(&cx, arms()).await.unwrap().value, 1);
        assert_eq!(alive.load(Ordering::SeqCst), 0, "all were awaited");
        assert_eq!(quorum(&cx, 1, arms()).await.unwrap()[0].index, 2);
        assert_eq!(alive.load(Ordering::SeqCst), 0);
        let [failed, won] = [Err("no"), Ok(2)].map(|result| arm(Some(result), &alive));
        let late = arm(None, &alive);
        let hedged = hedge(&cx, hour, [failed, won, late]).await.unwrap();
        assert_eq!((hedged.index, hedged.value), (1, 2));
        assert_eq!(alive.load(Ordering::SeqCst), 0);

        let stopped = alive.clone();
        let failed = map_reduce(
            &cx,
            NonZeroUsize::new(3).unwrap(),
            [0u32, 1, 2],
            move |cx: Cx, n| {
                let stopped = stopped.clone();
                async move {
                    if n == 1 {
                        return Err("broken");
                    }
                    stopped.fetch_add(1, Ordering::SeqCst);
                    cx.cancelled().await;
                    cx.cleanup().yield_now().await.unwrap();
                    stopped.fetch_sub(1, Ordering::SeqCst);
                    Ok(n)
                }
            },
            0,
            |a, n| a + n,
        );
        let broken = MapError::Failed {
            index: 1,
            error: "broken",
        };
        assert_eq!(failed.await.unwrap_err(), broken);
        assert_eq!(
            alive.load(Ordering::SeqCst),
            0,
            "those that had begun were awaited"
        );

        let tries = Cell::new(0);
        let backoff = Backoff::new(Duration::from_micros(1)).attempts(5);
        let value = retry(&cx, backoff, async |_s: Scope| {
            tries.set(tries.get() + 1);
            (tries.get() == 3).then_some(7).ok_or("again")
        });
        assert_eq!((value.await.unwrap(), tries.get()), (7, 3));

        let (tx, mut rx) = mpsc::channel::<u32>(1);
        let joined = try_join!(
            &cx,
            |s| async {
                // Holds a place at the failure, and resolves it.
                let permit = tx.reserve(s).await.map_err(|_| "stopped")?;
                s.cancelled().await;
                permit.send(7).map_err(|_| "nobody")
            },
            |s| async {
                s.yield_now().await.map_err(|_| "stopped")?;
                Err::<(), _>("broken")
            },
        );
        assert!(matches!(joined.await, Err(TryRegionError::Body("broken"))));
        assert_eq!(rx.recv(&cx).await, Ok(7));

        let bulkhead = Bulkhead::new(1, 0);
        let outer = bulkhead.run(&cx, async |s: Scope| {
            let inner = bulkhead.run(&s, async |_s: Scope| ()).await;
            assert!(matches!(inner, Err(BulkheadError::Full { running: 1, .. })));
        });
        outer.await.unwrap();
        assert_eq!(bulkhead.statistics(), IDLE);

        let limit = RateLimit::new(2.try_into().unwrap(), hour);
        limit.acquire(&cx).await.unwrap();
        limit.try_acquire(&cx).unwrap();
        assert!(limit.try_acquire(&cx).unwrap_err() > cx.now());

        let breaker = CircuitBreaker::new(CircuitConfig {
            failures: 1,
            open_for: hour,
            probes: 1,
        });
        let call = async |result: Result<u32, &'static str>| {
            breaker.call(&cx, async |_s: Scope| result).await
        };
        assert_eq!(call(Ok(1)).await.unwrap(), 1);
        assert!(matches!(
            call(Err("down")).await,
            Err(CircuitError::Failed("down"))
        ));
        assert!(matches!(call(Ok(1)).await, Err(CircuitError::Open { .. })));
    });
}
