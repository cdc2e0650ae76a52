//! Links between tasks: chains, cycles, ends that break nothing, and tasks that have ended.

use asupersync::channel::oneshot;
use asupersync::cx::OnExit;
use asupersync::{
    CancelKind, Cx, Outcome, Policy, RegionOptions, Scope, Severity, TaskHandle, select,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

mod worlds;
use worlds::everywhere;

/// Runs `body` in a region in which only links cancel.
async fn collected<T>(scope: &Scope, body: impl AsyncFnOnce(Scope) -> T) -> T {
    let options = RegionOptions {
        policy: Policy::Collect,
        ..RegionOptions::default()
    };
    let region = scope.region_report(options, async |scope| body(scope).await);
    region.await.unwrap().value.unwrap()
}

type Handle = TaskHandle<(), &'static str>;

/// Waits until the sender is gone or somebody asks, and ends badly.
async fn until(cx: &Cx, mut gone: oneshot::Receiver<()>) -> Result<(), &'static str> {
    match gone.recv(cx).await {
        Ok(()) => Ok(()),
        Err(_) => Err("as planned"),
    }
}

#[test]
fn a_chain_passes_the_end_on() {
    everywhere(async |scope: Scope| {
        collected(&scope, async |scope| {
            let (release, gone) = oneshot::channel();
            let mut last: Handle = scope.try_spawn(async move |cx: Cx| until(&cx, gone).await);
            for _ in 0..3 {
                let (tx, mut rx) = oneshot::channel();
                let before = last;
                last = scope.try_spawn(async move |cx: Cx| {
                    cx.link(&before);
                    tx.send(()).unwrap();
                    cx.cancelled().await;
                    Err("because of the one before")
                });
                rx.recv(&scope).await.unwrap();
            }
            drop(release);
            assert!((&mut last).await.is_err());
            assert_eq!(last.cancel_reason().unwrap().kind, CancelKind::LinkBroken);
        })
        .await;
    });
}

#[test]
fn a_cycle_ends_and_each_task_of_it_is_asked() {
    const TASKS: usize = 4;
    everywhere(async |scope: Scope| {
        let asked = Arc::new(AtomicUsize::new(0));
        collected(&scope, async |scope| {
            let (release, gone) = oneshot::channel();
            let mut gone = Some(gone);
            let (mut tasks, mut places, mut linked) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..TASKS {
                let (place, mut next) = oneshot::channel::<Handle>();
                let (tx, rx) = oneshot::channel();
                let (asked, gone) = (asked.clone(), gone.take());
                tasks.push(scope.try_spawn(async move |cx: Cx| {
                    cx.link(&next.recv(&cx).await.unwrap());
                    tx.send(()).unwrap();
                    if let Some(gone) = gone {
                        return until(&cx, gone).await;
                    }
                    let kind = cx.cancelled().await.reason().kind;
                    asked.fetch_add(
                        usize::from(kind == CancelKind::LinkBroken),
                        Ordering::Relaxed,
                    );
                    Err("because of a neighbour")
                }));
                places.push(place);
                linked.push(rx);
            }
            tasks.rotate_left(1);
            for (place, task) in places.into_iter().zip(tasks) {
                place.send(task).ok().unwrap();
            }
            for mut rx in linked {
                rx.recv(&scope).await.unwrap();
            }
            drop(release);
        })
        .await;
        assert_eq!(asked.load(Ordering::Relaxed), TASKS - 1);
    });
}

#[test]
fn a_link_to_a_task_that_has_ended_acts_at_once() {
    everywhere(async |scope: Scope| {
        collected(&scope, async |scope| {
            let mut failed = scope.try_spawn(async |_cx| Err::<(), _>("before"));
            assert!((&mut failed).await.is_err());
            let late = scope.spawn(async move |cx: Cx| {
                cx.link(&failed);
                cx.checkpoint().unwrap_err().reason().kind
            });
            assert_eq!(late.await.into_result(), Ok(CancelKind::LinkBroken));
        })
        .await;
    });
}

#[test]
fn an_end_by_value_a_stop_an_unlinked_and_an_ignored_end_break_nothing() {
    everywhere(async |scope: Scope| {
        collected(&scope, async |scope| {
            let task = scope.spawn(async |cx: Cx| {
                let value = cx.spawn(async |_cx| 1);
                cx.link(&value);
                value.await.into_result().unwrap();

                let stopped = cx.try_spawn(async |cx: Cx| Err::<(), _>(cx.cancelled().await));
                cx.link(&stopped);
                stopped.cancel(CancelKind::RegionEnd);
                assert!(stopped.await.is_cancelled());

                let fails = async |_cx| Err::<(), _>("nobody's concern");
                let unlinked = cx.try_spawn(fails);
                let ignored = cx.try_spawn(fails);
                cx.link_with(&unlinked, OnExit::Ignore, OnExit::Follow)
                    .unlink();
                cx.link_with(&ignored, OnExit::Ignore, OnExit::Follow);
                assert!(unlinked.await.is_err() && ignored.await.is_err());
                cx.checkpoint().is_ok()
            });
            assert_eq!(task.await.into_result(), Ok(true));
        })
        .await;
    });
}

#[test]
fn the_other_side_is_asked_too() {
    everywhere(async |scope: Scope| {
        collected(&scope, async |scope| {
            let other = scope.spawn(async |cx: Cx| cx.cancelled().await.reason().kind);
            let (tx, mut rx) = oneshot::channel();
            let fails = scope.try_spawn(async move |cx: Cx| {
                cx.link(&other);
                tx.send(other).ok();
                Err::<(), _>("and takes the other along")
            });
            let other = rx.recv(&scope).await.unwrap();
            assert!(fails.await.is_err());
            match other.await {
                Outcome::Ok(kind) => assert_eq!(kind, CancelKind::LinkBroken),
                // It had not run before it was asked.
                Outcome::Cancelled(reason) => assert_eq!(reason.kind, CancelKind::LinkBroken),
                ended => panic!("{ended:?}"),
            }
        })
        .await;
    });
}

#[test]
fn a_task_that_wants_to_be_told_is_told_of_bad_ends_and_of_no_others() {
    everywhere(async |scope: Scope| {
        collected(&scope, async |scope| {
            let watcher = scope.spawn(async |cx: Cx| {
                let notify = |task: &Handle| {
                    cx.link_with(task, OnExit::Notify, OnExit::Ignore);
                };
                let fails = cx.try_spawn(async |_cx| Err::<(), _>("as planned"));
                let panics = cx.try_spawn(async |_cx| -> Result<(), &str> { panic!("as planned") });
                let ends_well = cx.try_spawn(async |_cx| Ok::<_, &str>(()));
                let stopped = cx.try_spawn(async |cx: Cx| Err::<(), _>(cx.cancelled().await));
                // It goes on until it is unlinked: a bad end before is told at once.
                let (go, mut told_to) = oneshot::channel();
                let unlinked = cx.try_spawn(async move |cx: Cx| {
                    told_to.recv(&cx).await.ok();
                    Err::<(), _>("nobody's concern")
                });
                [&fails, &panics, &ends_well].into_iter().for_each(notify);
                cx.link_with(&stopped, OnExit::Notify, OnExit::Ignore);
                cx.link_with(&unlinked, OnExit::Notify, OnExit::Ignore)
                    .unlink();
                go.send(()).unwrap();
                stopped.cancel(CancelKind::RegionEnd);
                let ids = [fails.id(), panics.id()];
                drop((ends_well.await, stopped.await, unlinked.await));

                let mut told = Vec::new();
                for _ in ids {
                    let exit = cx.linked_exit().await.unwrap();
                    told.push((exit.task, exit.severity));
                }
                told.sort();
                let [failed, panicked] = ids;
                let expected = [(failed, Severity::Err), (panicked, Severity::Panicked)];
                assert_eq!(told, expected);
                // Nothing else is there, and nobody has asked it to cancel.
                let more = select! {
                    biased;
                    exit = cx.linked_exit() => Some(exit),
                    _ = cx.yield_now() => None,
                };
                assert!(more.is_none(), "{more:?}");
                drop((fails, panics));
                cx.checkpoint().is_ok()
            });
            assert_eq!(watcher.await.into_result(), Ok(true));
        })
        .await;
    });
}

#[test]
fn an_exit_says_why_and_comes_at_once_if_the_task_has_ended() {
    everywhere(async |scope: Scope| {
        collected(&scope, async |scope| {
            let mut gone = scope.try_spawn(async |cx: Cx| {
                cx.cancelled().await;
                cx.checkpoint()
            });
            gone.cancel("not wanted any more");
            assert!((&mut gone).await.is_cancelled());
            let watcher = scope.spawn(async move |cx: Cx| {
                cx.link_with(&gone, OnExit::Notify, OnExit::Follow);
                let exit = cx.linked_exit().await.unwrap();
                assert_eq!((exit.task, exit.severity), (gone.id(), Severity::Cancelled));
                exit.reason.unwrap().message.unwrap().to_string()
            });
            let said = watcher.await.into_result();
            assert_eq!(said.as_deref(), Ok("not wanted any more"));
        })
        .await;
    });
}

#[test]
fn the_other_side_is_told_if_it_wants_to_be_and_so_is_who_links_to_a_refused_task() {
    everywhere(async |scope: Scope| {
        collected(&scope, async |scope| {
            let told = scope.spawn(async |cx: Cx| cx.linked_exit().await.unwrap().severity);
            let (tx, mut rx) = oneshot::channel();
            let fails = scope.try_spawn(async move |cx: Cx| {
                cx.link_with(&told, OnExit::Ignore, OnExit::Notify);
                tx.send(told).ok();
                Err::<(), _>("and says so")
            });
            let told = rx.recv(&scope).await.unwrap();
            assert!(fails.await.is_err());
            assert_eq!(told.await.into_result(), Ok(Severity::Err));

            let closed = scope.region(async |closed| closed).await.unwrap();
            let refused = closed.spawn(async |_cx| ());
            scope.link_with(&refused, OnExit::Notify, OnExit::Ignore);
            let exit = scope.linked_exit().await.unwrap();
            assert_eq!((exit.task, exit.severity), (None, Severity::Cancelled));
        })
        .await;
    });
}
