//! Single operations under criterion: spawn and join, a checkpoint, a value
//! through a channel, and a sleep that is made and dropped.
//!
//! Comparisons between runtimes belong to the table that
//! `cargo run --release -p asupersync-benches` makes; this is for looking at
//! one operation before and after a change.

#![expect(
    missing_docs,
    reason = "criterion's macros write undocumented public functions"
)]

use asupersync_benches::rows::{column, find};
use criterion::{Criterion, criterion_group, criterion_main};
use std::time::Duration;

fn operations(criterion: &mut Criterion) {
    for name in ["asupersync ct", "tokio ct"] {
        let column = column(name).expect("it is a column");
        let mut group = criterion.benchmark_group(name);
        group
            .sample_size(20)
            .measurement_time(Duration::from_secs(1));
        for row in ["spawn-join", "checkpoint", "mpsc-1", "timer"] {
            let row = find(row).expect("it is a row");
            if let Some(run) = column.run(row) {
                group.bench_function(row.name, |bencher| {
                    bencher.iter_custom(|n| {
                        let n = u32::try_from(n).unwrap_or(u32::MAX);
                        Duration::from_nanos(run(n).wall as u64)
                    });
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, operations);
criterion_main!(benches);
