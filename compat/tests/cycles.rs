//! Nothing accumulates: many boundaries opened and closed, and the process is as it was.
//!
//! The only case of its process, since it counts the threads and descriptors of all of it.

use asupersync::{Runtime, Scope};
use asupersync_compat::{BoundaryConfig, Stage, boundary_report};
use std::time::{Duration, Instant};

const MS: fn(u64) -> Duration = Duration::from_millis;
const CYCLES: usize = 200;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd")
        .expect("Linux lists them")
        .count()
}

/// The number of threads, once the boundaries' own have left the kernel's list: one that has reported its
/// end may need a moment.
fn threads() -> usize {
    let until = Instant::now() + MS(5000);
    loop {
        let tasks = std::fs::read_dir("/proc/self/task").expect("Linux lists them");
        let names = tasks.filter_map(|t| std::fs::read_to_string(t.ok()?.path().join("comm")).ok());
        let (ours, others): (Vec<_>, Vec<_>) = names.partition(|name| name.starts_with("turn"));
        if ours.is_empty() {
            return others.len();
        }
        assert!(Instant::now() < until, "threads left behind: {ours:?}");
        std::thread::sleep(MS(1));
    }
}

/// Resident memory in KiB.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4
}

async fn cycle(cx: &Scope, config: BoundaryConfig) {
    let (reported, closed) = boundary_report(cx, config, async |b| {
        let guest = b.guest(vec![0u8; 1000]).unwrap();
        let adopted = b
            .adopt(|| tokio::time::sleep(Duration::from_micros(10)))
            .await;
        let delegated = b
            .delegate(async { tokio::net::TcpListener::bind("127.0.0.1:0").await.is_ok() })
            .await;
        b.enter(|| drop(tokio::task::spawn_blocking(|| ())))
            .unwrap();
        adopted.is_ok() && delegated.unwrap() && guest.get().is_ok()
    })
    .await
    .unwrap();
    assert_eq!(
        (reported.value, closed.stage),
        (Some(true), Stage::Cooperative),
        "{closed}"
    );
}

#[test]
fn two_hundred_cycles_leave_nothing_behind() {
    let runtime = Runtime::builder().worker_threads(2).build().unwrap();
    runtime
        .block_on(async |cx: Scope| {
            let config = |i: usize| {
                let config = BoundaryConfig::new("turn")
                    .cooperative(MS(5000))
                    .hard(MS(5000));
                if i.is_multiple_of(2) {
                    config.workers(2)
                } else {
                    config.current_thread()
                }
            };
            for i in 0..10 {
                cycle(&cx, config(i)).await;
            }
            let before = (threads(), descriptors());
            let memory = resident();
            for i in 0..CYCLES {
                cycle(&cx, config(i)).await;
            }
            assert_eq!(
                (threads(), descriptors()),
                before,
                "threads and descriptors"
            );
            let grown = resident().saturating_sub(memory);
            assert!(grown < 4096, "{grown} KiB more after {CYCLES} cycles");
        })
        .unwrap();
}
