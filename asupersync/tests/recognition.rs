//! `?` and cancellation: which errors end a task `Cancelled`, and which stay errors.

use asupersync::{
    CancelKind, CancelReason, Cancelled, Cx, Outcome, Policy, RegionOptions, Scope, TaskHandle,
};
use std::error::Error;
use std::{fmt, io};

mod worlds;
use worlds::{everywhere, in_lab};

#[derive(Debug, thiserror::Error)]
#[error("a step failed")]
struct Step(#[source] Cancelled);

#[derive(Debug, thiserror::Error)]
enum Transparent {
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// An error that does not implement `Error`.
#[derive(Debug)]
enum Own {
    Stopped(Cancelled),
    Failed,
}

impl Own {
    fn as_cancelled(&self) -> Option<&Cancelled> {
        match self {
            Own::Stopped(c) => Some(c),
            Own::Failed => None,
        }
    }
}

async fn collected<T>(scope: &Scope, body: impl AsyncFnOnce(Scope) -> T) -> T {
    let options = RegionOptions {
        policy: Policy::Collect,
        ..RegionOptions::default()
    };
    let region = scope.region_report(options, async |scope| body(scope).await);
    region.await.unwrap().value.unwrap()
}

/// A task that fails with what `wrap` makes of its cancellation ends `Cancelled`.
async fn check<E: fmt::Debug>(what: &str, task: TaskHandle<(), E>) {
    task.cancel("asked");
    match task.await {
        Outcome::Cancelled(reason) => assert_eq!(reason.kind, CancelKind::User, "{what}"),
        ended => panic!("{what}: {ended:?}"),
    }
}

macro_rules! wrapped {
    ($scope:ident, $what:literal, $wrap:expr) => {
        let task = $scope.try_spawn(async |cx: Cx| {
            let wrap = $wrap;
            Err::<(), _>(wrap(cx.cancelled().await))
        });
        // Polled before it is asked, or its body would not run at all.
        $scope
            .sleep(std::time::Duration::from_millis(1))
            .await
            .unwrap();
        check($what, task).await;
    };
}

#[test]
fn a_cancellation_is_recognised_however_it_is_wrapped() {
    in_lab(async |scope: Scope| {
        collected(&scope, async |scope| {
            wrapped!(scope, "itself", |c: Cancelled| c);
            wrapped!(scope, "its reason", CancelReason::from);
            wrapped!(scope, "a source", Step);
            wrapped!(scope, "transparent", Transparent::Cancelled);
            wrapped!(scope, "io::Error", io::Error::from);
            wrapped!(scope, "io::Error::other", |c| io::Error::other(Step(c)));
            wrapped!(scope, "transparent io", |c| Transparent::Io(
                io::Error::other(c)
            ));
            wrapped!(scope, "boxed", |c| -> Box<dyn Error + Send + Sync> {
                Box::new(Step(c))
            });
            wrapped!(scope, "boxed, not Sync", |c| -> Box<dyn Error + Send> {
                Box::new(c)
            });
            wrapped!(scope, "the runtime's error", asupersync::Error::from);
            #[cfg(feature = "anyhow")]
            wrapped!(scope, "anyhow", |c| anyhow::Error::new(Step(c))
                .context("while working"));
        })
        .await;
    });
}

#[test]
fn text_and_nothing_are_never_a_cancellation() {
    in_lab(async |scope: Scope| {
        collected(&scope, async |scope| {
            let text =
                scope.try_spawn(async |cx: Cx| Err::<(), String>(cx.cancelled().await.to_string()));
            let literal = scope.try_spawn(async |cx: Cx| {
                cx.cancelled().await;
                Err::<(), &str>("cancelled")
            });
            let nothing = scope.try_spawn(async |cx: Cx| cx.checkpoint().map_err(drop));
            scope
                .sleep(std::time::Duration::from_millis(1))
                .await
                .unwrap();
            text.cancel("asked");
            literal.cancel("asked");
            assert!(text.await.is_err() && literal.await.is_err());
            assert!(nothing.await.is_ok());
        })
        .await;
    });
}

#[test]
fn an_error_of_ones_own_says_itself_what_it_is() {
    in_lab(async |scope: Scope| {
        collected(&scope, async |scope| {
            let stops = async |cx: Cx| Err::<(), _>(Own::Stopped(cx.cancelled().await));
            let task = scope.try_spawn_with(stops, Own::as_cancelled);
            scope
                .sleep(std::time::Duration::from_millis(1))
                .await
                .unwrap();
            check("its own", task).await;

            let fails = async |cx: Cx| {
                cx.cancelled().await;
                Err::<(), _>(Own::Failed)
            };
            let task = scope.try_spawn_with(fails, Own::as_cancelled);
            scope
                .sleep(std::time::Duration::from_millis(1))
                .await
                .unwrap();
            task.cancel("asked");
            assert!(matches!(task.await, Outcome::Err(Own::Failed)));
        })
        .await;
    });
}

#[test]
fn a_forged_or_second_hand_cancellation_of_a_task_never_asked_stays_an_error() {
    everywhere(async |scope: Scope| {
        collected(&scope, async |scope| {
            let forged = scope.try_spawn(async |_cx| {
                let reason = CancelReason::new(CancelKind::Shutdown);
                Err::<(), _>(Cancelled::new(reason.into()))
            });
            assert!(forged.await.is_err());
            let second_hand = scope.try_spawn(async |cx: Cx| {
                let inner = cx.try_spawn(async |cx: Cx| Err::<(), _>(cx.cancelled().await));
                inner.cancel("the inner one alone");
                inner.await.into_result()
            });
            assert!(second_hand.await.is_err());
        })
        .await;
    });
}

#[test]
fn a_value_wins_although_the_task_was_asked_and_has_seen_it() {
    in_lab(async |scope: Scope| {
        collected(&scope, async |scope| {
            let task = scope.try_spawn(async |cx: Cx| {
                let cancelled = cx.cancelled().await;
                assert!(cx.checkpoint().is_err(), "acknowledged");
                Ok::<_, Cancelled>(cancelled.reason().kind)
            });
            scope
                .sleep(std::time::Duration::from_millis(1))
                .await
                .unwrap();
            task.cancel("asked");
            let mut task = task;
            assert_eq!((&mut task).await, Outcome::Ok(CancelKind::User));
            assert_eq!(
                task.cancel_reason().unwrap().message.as_deref(),
                Some("asked")
            );
        })
        .await;
    });
}
