//! Ids are reused: a run that opens regions for ever needs no more of them than are alive at a time.

use asupersync::{LabConfig, LabRuntime, RegionId, Runtime, Scope, TaskId};

/// Opens and closes regions with tasks, some of them nested; the ids in order.
async fn churn(cx: &Scope, rounds: u32) -> Vec<(RegionId, TaskId)> {
    let mut ids = Vec::new();
    for round in 0..rounds {
        cx.region(async |scope| {
            for _ in 0..1 + round % 3 {
                let task = scope.spawn(async |_cx| ());
                ids.push((scope.id(), task.id().unwrap()));
            }
            if round % 4 == 0 {
                scope
                    .region(async |inner| {
                        let task = inner.spawn(async |_cx| ());
                        ids.push((inner.id(), task.id().unwrap()));
                    })
                    .await
                    .unwrap();
            }
        })
        .await
        .unwrap();
    }
    ids
}

#[test]
fn slots_are_bounded_by_what_is_alive() {
    let runtime = Runtime::builder().current_thread().build().unwrap();
    let ids = runtime
        .block_on(async |cx| churn(&cx, 20_000).await)
        .unwrap();
    let regions = ids.iter().map(|(r, _)| r.slot()).max().unwrap();
    let tasks = ids.iter().map(|(_, t)| t.slot()).max().unwrap();
    // Two regions below the root at a time, each with a batch of ids at most.
    assert!(regions <= 4 && tasks <= 2 * 31, "{regions} {tasks}");
}

#[test]
fn equal_runs_give_equal_ids() {
    let run = || {
        let lab = LabRuntime::new(LabConfig::default().seed(5));
        lab.run(async |cx| churn(&cx, 50).await)
    };
    assert_eq!(run(), run());
}

#[test]
fn an_id_names_one_task_ever() {
    let runtime = Runtime::builder().current_thread().build().unwrap();
    let ids = runtime
        .block_on(async |cx| churn(&cx, 3_000).await)
        .unwrap();
    let mut tasks: Vec<_> = ids.iter().map(|(_, t)| *t).collect();
    tasks.sort_unstable();
    assert!(tasks.windows(2).all(|pair| pair[0] != pair[1]));
}
