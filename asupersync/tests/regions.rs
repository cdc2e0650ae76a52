//! What a region admits, how it ends, and what it leaves untouched.

mod worlds;

use asupersync::channel::oneshot;
use asupersync::kernel::region::RegionState;
use asupersync::kernel::task::TaskPhase;
use asupersync::types::policy::Limit;
use asupersync::{
    Budget, CancelKind, CapSet, Capability, Cx, Outcome, Region, RegionError, RegionLimits,
    RegionOptions, Scope, Severity, SpawnError, SporkOptions,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use worlds::{everywhere, in_lab};

fn limited(limits: RegionLimits) -> RegionOptions {
    RegionOptions {
        limits,
        ..RegionOptions::default()
    }
}

#[test]
fn a_full_region_refuses_and_says_why() {
    everywhere(async |cx| {
        let limits = RegionLimits {
            max_tasks: 2,
            max_regions: 1,
            max_blocking: 1,
        };
        Region::open_with(&cx, limited(limits), async |scope: Scope| {
            let (tx, mut rx) = oneshot::channel::<()>();
            let blocked = scope.spawn(async move |cx: Cx| rx.recv(&cx).await);
            // It counts as a task too, while it is there.
            let (go, wait) = std::sync::mpsc::channel::<()>();
            let blocking = scope.spawn_blocking(move |_| drop(wait));
            let refused = scope.spawn(async |_| unreachable!("there is no room"));
            assert!(refused.is_complete() && refused.id().is_none());
            assert_eq!(refused.phase(), TaskPhase::Completed);
            let why = refused.refused().expect("refused").clone();
            let region = scope.id();
            let limit = Limit::Tasks(2);
            assert_eq!(why, SpawnError::AdmissionDenied { region, limit });
            assert!(why.to_string().contains("2 live tasks at a time"), "{why}");
            assert!(refused.await.is_cancelled());
            drop(go);
            assert!(blocking.await.is_ok());

            let inner = scope.region(async |_| {
                let denied = Region::open(&scope, "second", async |_| ()).await;
                let Err(RegionError::AdmissionDenied { region, limit }) = denied else {
                    panic!("{denied:?}");
                };
                assert_eq!((region, limit), (scope.id(), Limit::Regions(1)));
                // Cleanup has to be able to work in a full region.
                let shielded = Region::open(scope.cleanup(), "cleanup", async |_| 1).await;
                assert_eq!(shielded.expect("not limited"), 1);
            });
            inner.await.expect("nothing fails");
            tx.send(()).expect("it waits");
            assert!(blocked.await.is_ok());
            let room = scope.task().spawn_checked(async |_| 5);
            assert_eq!(room.expect("there is room again").await, Outcome::Ok(5));
        })
        .await
        .expect("nothing fails");
    });
}

#[test]
fn limits_are_met_with_those_of_the_regions_above() {
    everywhere(async |cx| {
        let one = RegionLimits {
            max_tasks: 1,
            ..RegionLimits::NONE
        };
        Region::open_with(&cx, limited(one), async |scope: Scope| {
            let nine = RegionLimits {
                max_tasks: 9,
                ..RegionLimits::NONE
            };
            let inner = Region::open_with(&scope, limited(nine), async |inner: Scope| {
                let first = inner.spawn(async |_| ());
                let second = inner.task().spawn_checked(async |_| ());
                let denied = matches!(second, Err(SpawnError::AdmissionDenied { .. }));
                // The first may have ended by now, on threads.
                assert!(denied || first.is_complete());
            });
            inner.await.expect("nothing fails");
        })
        .await
        .expect("nothing fails");
    });
}

#[test]
fn every_state_but_open_refuses() {
    in_lab(async |cx| {
        let region = cx.region(async |scope: Scope| {
            let stored = scope.clone();
            scope.defer_with({
                let scope = scope.clone();
                async move |_| {
                    assert_eq!(scope.state(), RegionState::Finalizing);
                    assert!(scope.spawn(async |_| ()).refused().is_some());
                }
            });
            scope.close();
            assert_eq!(scope.state(), RegionState::Draining);
            let refused = scope.spawn(async |_| unreachable!("it drains"));
            let state = RegionState::Draining;
            let region = scope.id();
            assert_eq!(
                refused.refused(),
                Some(&SpawnError::RegionClosed { region, state })
            );
            stored
        });
        let stored = region.await.expect("it was ended on purpose");
        assert_eq!(stored.state(), RegionState::Closed);
        let dropped = Arc::new(());
        let kept = dropped.clone();
        let refused = stored.spawn(async move |_| drop(kept));
        assert!(refused.refused().is_some());
        assert_eq!(Arc::strong_count(&dropped), 1, "the body is dropped unrun");
        let refused = stored.task().spawn_checked(async |_| ());
        let state = RegionState::Closed;
        let region = stored.id();
        assert_eq!(
            refused.expect_err("closed"),
            SpawnError::RegionClosed { region, state }
        );
        assert!(stored.spawn_blocking(|_| ()).refused().is_some());
        assert!(stored.spawn_daemon(async |_| ()).refused().is_some());
        let failing = stored.try_spawn(async |_| Err::<(), _>("unrun"));
        assert!(failing.refused().is_some());
        let spork = stored.spork(SporkOptions::default(), async |_| ());
        assert!(spork.refused().is_some());
    });
}

#[test]
fn a_region_without_children_and_one_with_only_regions_close() {
    everywhere(async |cx| {
        assert_eq!(cx.region(async |_| 1).await.expect("nothing fails"), 1);
        let two = cx.region(async |scope: Scope| {
            let a = scope.region(async |_| 1).await.expect("nothing fails");
            let b = scope.region(async |_| 1).await.expect("nothing fails");
            a + b
        });
        assert_eq!(two.await.expect("nothing fails"), 2);
    });
}

/// Four regions side by side, each in a task of its own; one is closed.
#[test]
fn closing_one_of_four_siblings_leaves_the_others_as_they_were() {
    everywhere(async |cx| {
        let region = cx.region(async |scope: Scope| {
            let woken = Arc::new(AtomicUsize::new(0));
            let mut scopes = Vec::new();
            let mut ends = Vec::new();
            for n in 0..4u32 {
                let (tx, mut rx) = oneshot::channel::<Scope>();
                let (stop, mut stopped) = oneshot::channel::<()>();
                let woken = woken.clone();
                let budget = Budget::new().with_priority(n as u8 + 1);
                let options = RegionOptions {
                    budget,
                    ..RegionOptions::default()
                };
                let task = scope.spawn(async move |cx: Cx| {
                    Region::open_with(&cx, options, async move |inner: Scope| {
                        tx.send(inner.clone()).expect("it waits");
                        // Counts how often the body is polled: nobody may wake it.
                        let mut wait = std::pin::pin!(stopped.recv(&inner));
                        std::future::poll_fn(|task| {
                            woken.fetch_add(1, Ordering::AcqRel);
                            wait.as_mut().poll(task)
                        })
                        .await
                        .is_ok()
                    })
                    .await
                });
                scopes.push(rx.recv(&scope).await.expect("sent"));
                ends.push((stop, task));
            }
            // The last one has certainly begun to wait once everybody was polled.
            while woken.load(Ordering::Acquire) < 4 {
                let _ = scope.yield_now().await;
            }
            let (_, closed) = ends.remove(1);
            scopes[1].close();
            let closed = closed.await.into_result().expect("a value");
            assert!(!closed.expect("ended on purpose"));
            assert_eq!(scopes[1].state(), RegionState::Closed);
            for (n, other) in scopes.iter().enumerate().filter(|(n, _)| *n != 1) {
                assert_eq!(other.state(), RegionState::Open);
                assert!(!other.is_cancel_requested());
                assert_eq!(usize::from(other.budget().priority), n + 1);
            }
            assert_eq!(woken.load(Ordering::Acquire), 5, "only the closed one");
            for (stop, task) in ends {
                stop.send(()).expect("it waits");
                let ended = task.await.into_result().expect("a value");
                assert!(ended.expect("nothing fails"));
            }
        });
        region.await.expect("nothing fails");
    });
}

/// A chain of four regions, each with a task; the second is cancelled.
#[test]
fn closing_the_middle_of_four_levels_leaves_no_orphans() {
    fn level(cx: Cx, depth: u32, live: Arc<AtomicUsize>, middle: oneshot::Sender<Scope>) -> Boxed {
        Box::pin(async move {
            let report = cx.region_report(RegionOptions::default(), async move |scope: Scope| {
                let count = live.clone();
                scope.spawn(async move |cx: Cx| {
                    count.fetch_add(1, Ordering::AcqRel);
                    cx.cancelled().await;
                    let _ = cx.cleanup().sleep(Duration::from_micros(10)).await;
                    count.fetch_sub(1, Ordering::AcqRel);
                });
                if depth == 4 {
                    while live.load(Ordering::Acquire) < 4 {
                        let _ = scope.cleanup().yield_now().await;
                    }
                    let own = scope.clone();
                    middle.send(own).ok();
                    scope.cancelled().await;
                } else {
                    level((*scope).clone(), depth + 1, live, middle).await;
                }
                if depth == 1 {
                    scope.close();
                }
            });
            let report = report.await.expect("open").report;
            assert_eq!(report.ended(), 1, "{report}");
        })
    }
    type Boxed = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;
    everywhere(async |cx| {
        let live = Arc::new(AtomicUsize::new(0));
        let (tx, mut rx) = oneshot::channel();
        let inner = live.clone();
        let tree = cx.spawn(async move |cx: Cx| {
            let second = cx.region_report(RegionOptions::default(), async |scope: Scope| {
                level((*scope).clone(), 1, inner, tx).await;
            });
            second.await.expect("open").report.severity
        });
        let deepest = rx.recv(&cx).await.expect("sent by the deepest");
        assert_eq!(live.load(Ordering::Acquire), 4);
        tree.cancel(CancelKind::User);
        let severity = tree.await.into_result().expect("a value wins");
        assert_eq!(severity, Severity::Ok, "it has only a body, which returned");
        assert_eq!(live.load(Ordering::Acquire), 0);
        assert_eq!(deepest.state(), RegionState::Closed);
    });
}

#[test]
fn a_spork_has_a_region_of_its_own() {
    everywhere(async |cx| {
        let region = cx.region_report(RegionOptions::default(), async |scope: Scope| {
            let options = SporkOptions {
                name: "own".into(),
                budget: Budget::new().with_priority(7),
                caps: CapSet::ALL.without(CapSet::NET),
            };
            let home = scope.id();
            let spork = scope.spork(options, async move |cx: Cx| {
                assert_ne!(cx.region_id(), home);
                assert_eq!(cx.budget().priority, 7);
                assert!(!cx.caps().contains(Capability::Net));
                let listening = asupersync::net::TcpListener::bind(&cx, "127.0.0.1:0").await;
                let denied = listening.expect_err("the capability was dropped");
                assert_eq!(denied.kind(), std::io::ErrorKind::PermissionDenied);
                cx.spawn(async |cx: Cx| drop(cx.cancelled().await));
                // Ends its own region and nothing else.
                let own = cx.scope().expect("a region's body");
                own.close();
                assert_eq!(own.state(), RegionState::Draining);
                1
            });
            assert_eq!(spork.await, Outcome::Ok(1));
            assert_eq!(scope.state(), RegionState::Open);
            assert!(!scope.is_cancel_requested());
            let waits = scope.spork(SporkOptions::default(), async |cx: Cx| cx.cancelled().await);
            while waits.phase() == TaskPhase::Created {
                let _ = scope.yield_now().await;
            }
            waits.cancel(CancelKind::RegionEnd);
            let _ = waits.await;
            assert!(!scope.is_cancel_requested());
            scope.spawn(async |_| 2).await
        });
        let reported = region.await.expect("open");
        assert_eq!(reported.value, Some(Outcome::Ok(2)), "{}", reported.report);
        assert!(reported.report.is_ok(), "{}", reported.report);
    });
}

#[test]
fn a_failure_inside_a_spork_is_the_callers_to_decide_about() {
    everywhere(async |cx| {
        let region = cx.region_report(RegionOptions::default(), async |scope: Scope| {
            let sibling = scope.spawn(async |cx: Cx| cx.cancelled().await.reason().kind);
            while sibling.phase() == TaskPhase::Created {
                let _ = scope.yield_now().await;
            }
            let spork = scope.spork(SporkOptions::default(), async |cx: Cx| {
                let failing = cx.try_spawn(async |_| Err::<(), _>("planted"));
                failing.await.severity()
            });
            (spork.await, sibling.await)
        });
        let reported = region.await.expect("open");
        let (spork, sibling) = reported.value.expect("a value");
        assert_eq!(spork, Outcome::Ok(Severity::Err));
        // By the fail-fast policy of the region in which the spork was started.
        assert_eq!(sibling, Outcome::Ok(CancelKind::ParentCancelled));
        assert_eq!(reported.report.severity, Severity::Err);
    });
}

#[test]
fn neither_dropping_a_handle_nor_cancelling_frees_the_region_of_its_task() {
    everywhere(async |cx| {
        let ended = Arc::new(AtomicUsize::new(0));
        let inside = ended.clone();
        let region = cx.region_report(RegionOptions::default(), async |scope: Scope| {
            let count = inside.clone();
            let dropped = scope.spawn(async move |cx: Cx| {
                let _ = cx.sleep(Duration::from_micros(50)).await;
                count.fetch_add(1, Ordering::AcqRel);
            });
            drop(dropped);
            let cancelled = scope.spawn(async move |cx: Cx| {
                cx.cancelled().await;
                let _ = cx.cleanup().sleep(Duration::from_micros(50)).await;
                inside.fetch_add(1, Ordering::AcqRel);
            });
            while cancelled.phase() == TaskPhase::Created {
                let _ = scope.yield_now().await;
            }
            cancelled.cancel(CancelKind::User);
            assert_eq!(
                cancelled.cancel_reason().map(|r| r.kind),
                Some(CancelKind::User)
            );
            // Joined while it cancels, and given up half-way.
            let mut join = std::pin::pin!(cancelled.join(&scope));
            let early = std::future::poll_fn(|task| {
                std::task::Poll::Ready(join.as_mut().poll(task).is_ready())
            });
            early.await
        });
        let report = region.await.expect("open").report;
        assert_eq!(ended.load(Ordering::Acquire), 2, "{report}");
    });
}

#[test]
fn a_task_can_be_joined_while_it_cancels() {
    everywhere(async |cx| {
        let task = cx.spawn(async |cx: Cx| {
            cx.cancelled().await;
            let _ = cx.cleanup().yield_now().await;
            "cleaned up"
        });
        while task.phase() == TaskPhase::Created {
            let _ = cx.yield_now().await;
        }
        task.cancel(CancelKind::User);
        // A value wins, and the handle still tells that it was asked.
        let outcome = task.join(&cx).await.expect("nobody cancels the joiner");
        assert_eq!(outcome, Outcome::Ok("cleaned up"));
    });
}

/// Whatever starts a task does so in a region: the method of something that has one, or is given one.
#[test]
fn nothing_public_spawns_without_a_region() {
    const HAVE_A_REGION: [&str; 4] = ["Cx", "Scope", "TaskBuilder", "JoinSet"];
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let mut owner = "";
            for line in text.lines() {
                if let Some(head) = line.strip_prefix("impl") {
                    let mut depth = 0;
                    let after = head.find(|c| {
                        depth += i32::from(c == '<') - i32::from(c == '>');
                        depth == 0 && c != '>'
                    });
                    let head = head[after.unwrap()..].rsplit(" for ").next().unwrap();
                    owner = head.trim_start().split(['<', ' ']).next().unwrap();
                } else if line.starts_with('}') {
                    owner = "";
                }
                let item = line.trim_start().strip_prefix("pub ");
                let item = item.map(|item| item.trim_start_matches("async "));
                let Some(name) = item.and_then(|item| item.strip_prefix("fn ")) else {
                    continue;
                };
                let name = name.split(['<', '(']).next().unwrap();
                let given = line.contains("cx: &Cx");
                if (name.contains("spawn") || name.contains("spork")) && !given {
                    found.push((owner.to_owned(), name.to_owned(), path.clone()));
                }
            }
        }
    }
    let without = found
        .iter()
        .filter(|(owner, ..)| !HAVE_A_REGION.contains(&&**owner));
    let without: Vec<_> = without.collect();
    assert!(without.is_empty(), "{without:?}");
    let names: Vec<_> = found
        .iter()
        .map(|(owner, name, _)| format!("{owner}::{name}"))
        .collect();
    for known in [
        "Cx::spawn",
        "Cx::spawn_local",
        "TaskBuilder::spawn_checked",
        "JoinSet::spawn",
    ] {
        assert!(
            names.iter().any(|name| name == known),
            "{known} is not found in {names:?}"
        );
    }
}
