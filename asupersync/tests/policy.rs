//! What a region makes of the ends of its children: its policy, its severity, its primary failure.

mod worlds;

use asupersync::types::policy::{Action, ChildEnd, RegionPolicy};
use asupersync::{
    CancelKind, Cx, LabConfig, LabRuntime, Outcome, Policy, RegionOptions, RegionReport, Scope,
    Severity,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use worlds::{everywhere, in_lab};

const MS: Duration = Duration::from_millis(1);

fn under(policy: Policy) -> RegionOptions {
    RegionOptions {
        policy,
        ..RegionOptions::default()
    }
}

/// Follows a table, and keeps what it was asked.
#[derive(Default)]
struct Table {
    cancel_after: Option<Severity>,
    escalate_after: Option<Severity>,
    heard: Mutex<Vec<(Severity, bool)>>,
}

impl RegionPolicy for Table {
    fn on_child(&self, end: &ChildEnd) -> Action {
        let first = self.heard.lock().expect("no panic").is_empty();
        self.heard
            .lock()
            .expect("no panic")
            .push((end.severity, first));
        if self.escalate_after == Some(end.severity) {
            Action::Escalate
        } else if self.cancel_after == Some(end.severity) {
            Action::CancelSiblings
        } else {
            Action::Continue
        }
    }
}

impl Table {
    fn heard(&self) -> Vec<Severity> {
        let heard = self.heard.lock().expect("no panic");
        heard.iter().map(|(severity, _)| *severity).collect()
    }
}

/// Five children with all ends there are, one millisecond apart; how they ended.
async fn mixed(cx: &Cx, policy: Policy) -> (Vec<Severity>, RegionReport) {
    let reported = cx.region_report(under(policy), async |scope: Scope| {
        let ok = scope.try_spawn(async |cx: Cx| {
            cx.sleep(MS).await?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        });
        let cancelled = scope.try_spawn(async |cx: Cx| {
            cx.sleep(MS * 20).await?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        });
        let failed = scope.try_spawn(async |cx: Cx| {
            cx.sleep(MS * 3).await?;
            Err::<(), Box<dyn std::error::Error + Send + Sync>>("planted".into())
        });
        let panicked = scope.try_spawn(async |cx: Cx| {
            cx.sleep(MS * 4).await?;
            std::panic::resume_unwind(Box::new("planted"));
            #[expect(unreachable_code, reason = "gives the task its type")]
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        });
        let last = scope.try_spawn(async |cx: Cx| {
            cx.sleep(MS * 5).await?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        });
        let _ = scope.cleanup().sleep(MS * 2).await;
        cancelled.cancel(CancelKind::User);
        let mut ends = Vec::new();
        for task in [ok, cancelled, failed, panicked, last] {
            ends.push(task.await.severity());
        }
        ends
    });
    let reported = reported.await.expect("open");
    (reported.value.expect("a value"), reported.report)
}

#[test]
fn five_children_with_mixed_ends_under_each_policy() {
    use Severity::{Cancelled, Err, Ok, Panicked};
    in_lab(async |cx| {
        let (ends, report) = mixed(&cx, Policy::Collect).await;
        assert_eq!(ends, [Ok, Cancelled, Err, Panicked, Ok]);
        assert_eq!(report.counts, [2, 1, 1, 1]);
        assert_eq!(report.severity, Panicked);
        assert_eq!(report.primary.expect("some").severity, Cancelled, "first");

        let (ends, report) = mixed(&cx, Policy::FailFast).await;
        assert_eq!(ends, [Ok, Cancelled, Err, Cancelled, Cancelled]);
        assert_eq!(report.severity, Cancelled);

        let quiet = Arc::new(Table::default());
        let (ends, _) = mixed(&cx, Policy::Custom(quiet.clone())).await;
        assert_eq!(ends, [Ok, Cancelled, Err, Panicked, Ok]);
        assert_eq!(quiet.heard(), [Ok, Cancelled, Err, Panicked, Ok]);

        let first = Arc::new(Table {
            cancel_after: Some(Ok),
            ..Table::default()
        });
        let (ends, report) = mixed(&cx, Policy::Custom(first.clone())).await;
        assert_eq!(ends, [Ok, Cancelled, Cancelled, Cancelled, Cancelled]);
        // The first good end made the others needless: nothing has failed.
        assert_eq!(first.heard(), [Ok]);
        assert_eq!((report.severity, report.stopped), (Ok, 4), "{report}");

        let panics = Arc::new(Table {
            cancel_after: Some(Panicked),
            ..Table::default()
        });
        let (ends, report) = mixed(&cx, Policy::Custom(panics)).await;
        assert_eq!(ends, [Ok, Cancelled, Err, Panicked, Cancelled]);
        assert_eq!(report.severity, Panicked);
    });
}

#[test]
fn an_escalated_failure_is_the_parents_to_decide_about() {
    in_lab(async |cx| {
        let above = Arc::new(Table {
            escalate_after: Some(Severity::Err),
            ..Table::default()
        });
        let top = Arc::new(Table::default());
        let options = under(Policy::Custom(top.clone()));
        let outermost = cx.region_report(options, async |outermost: Scope| {
            let spared = outermost.spawn(async |cx: Cx| cx.sleep(MS * 50).await.is_ok());
            let options = under(Policy::Custom(above.clone()));
            let outer = outermost.region_report(options, async |outer: Scope| {
                let sibling = outer.spawn(async |cx: Cx| drop(cx.cancelled().await));
                let inner = Arc::new(Table {
                    escalate_after: Some(Severity::Err),
                    ..Table::default()
                });
                let inner = outer.region_report(under(Policy::Custom(inner)), async |scope| {
                    scope.task().name("origin").try_spawn(async |cx: Cx| {
                        let _ = cx.sleep(MS).await;
                        Err::<(), _>("planted")
                    });
                });
                let inner = inner.await.expect("open").report;
                assert_eq!(inner.primary.expect("some").name.as_str(), "origin");
                let _ = sibling.await;
            });
            let outer = outer.await.expect("open").report;
            let primary = outer.primary.expect("the failure of the region below");
            assert_eq!(
                (primary.name.as_str(), &*primary.message),
                ("origin", "planted")
            );
            assert_eq!(outer.severity, Severity::Err);
            spared.await
        });
        let outermost = outermost.await.expect("open");
        assert_eq!(above.heard()[0], Severity::Err);
        // Escalated twice: the top heard of it too, and let the siblings go on.
        assert_eq!(top.heard()[0], Severity::Err);
        assert_eq!(outermost.value, Some(Outcome::Ok(true)));
        let primary = outermost.report.primary.expect("escalated");
        assert_eq!(primary.name.as_str(), "origin");
    });
}

#[test]
fn a_failure_is_primary_and_nine_siblings_follow_it() {
    everywhere(async |cx| {
        let reported = cx.region_report(RegionOptions::default(), async |scope: Scope| {
            for _ in 0..9 {
                scope.try_spawn(async |cx: Cx| Err::<(), _>(cx.cancelled().await));
            }
            scope.task().name("A").try_spawn(async |cx: Cx| {
                for _ in 0..50 {
                    let _ = cx.yield_now().await;
                }
                Err::<(), _>("planted")
            });
        });
        let report = reported.await.expect("open").report;
        assert_eq!(report.counts, [0, 1, 9, 0]);
        assert_eq!(report.severity, Severity::Cancelled);
        let primary = report.primary.expect("some");
        assert_eq!((primary.name.as_str(), &*primary.message), ("A", "planted"));
        let value = primary.value.expect("nobody had a handle");
        assert_eq!(value.take::<String>(), None, "another type");
        assert_eq!(value.take::<&'static str>(), Some("planted"));
        assert_eq!(value.take::<&'static str>(), None, "taken");
    });
}

#[test]
fn a_panic_in_the_cleanup_that_a_failure_caused_is_worse_but_not_primary() {
    everywhere(async |cx| {
        let reported = cx.region_report(RegionOptions::default(), async |scope: Scope| {
            let b = scope.task().name("B").spawn(async |cx: Cx| {
                cx.cancelled().await;
                std::panic::resume_unwind(Box::new("in cleanup"));
            });
            while b.phase() == asupersync::kernel::task::TaskPhase::Created {
                let _ = scope.yield_now().await;
            }
            let a = scope.task().name("A");
            a.try_spawn(async |_| Err::<(), _>("planted"));
        });
        let report = reported.await.expect("open").report;
        assert_eq!(report.primary.expect("some").name.as_str(), "A");
        assert_eq!(report.severity, Severity::Panicked);
    });
}

#[test]
fn an_error_that_somebody_can_take_is_not_in_the_report() {
    everywhere(async |cx| {
        let reported = cx.region_report(under(Policy::Collect), async |scope: Scope| {
            let kept = scope.try_spawn(async |_| Err::<(), _>(String::from("mine")));
            kept.await
        });
        let reported = reported.await.expect("open");
        assert_eq!(reported.value, Some(Outcome::Err(String::from("mine"))));
        let primary = reported.report.primary.expect("some");
        assert!(primary.value.is_none() && primary.message == "mine");
    });
}

/// Two failures at one instant, neither of which yields to the other.
fn primary_of(seed: u64) -> String {
    let lab = LabRuntime::new(LabConfig::default().seed(seed));
    lab.run(async |cx| {
        let reported = cx.region_report(RegionOptions::default(), async |scope: Scope| {
            for name in ["first", "second"] {
                scope.task().name(name).try_spawn(async move |cx: Cx| {
                    let _ = cx.cleanup().sleep(MS).await;
                    Err::<(), _>(name)
                });
            }
        });
        let report = reported.await.expect("open").report;
        assert_eq!(report.counts, [0, 2, 0, 0]);
        assert_eq!(report.failures[0].at, report.failures[1].at);
        report.primary.expect("some").name.to_string()
    })
}

#[test]
fn of_two_failures_at_one_instant_the_same_is_primary_in_ten_thousand_runs() {
    for seed in 0..10_000 {
        assert_eq!(primary_of(seed), "first", "seed {seed}");
    }
}

#[test]
fn stops_and_lost_races_are_no_failures() {
    everywhere(async |cx| {
        let reported = cx.region_report(RegionOptions::default(), async |scope: Scope| {
            let stops = async |cx: Cx| Err::<(), _>(cx.cancelled().await);
            let task = scope.try_spawn(stops);
            task.cancel(CancelKind::RaceLost);
            let _ = task.await;
            scope.try_spawn(stops);
            scope.close();
        });
        let report = reported.await.expect("open").report;
        assert_eq!((report.severity, report.stopped), (Severity::Ok, 2));
        assert!(report.primary.is_none() && report.failures.is_empty());
    });
}
