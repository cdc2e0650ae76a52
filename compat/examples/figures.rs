//! What a boundary costs: opening and closing, and the latency of HTTP requests beside plain tokio.
//!
//! `cargo run --release -p asupersync-compat --example figures`
//!
//! All rows of the second table talk to one server, in turns, so that whatever else the machine does
//! hits all of them alike; compare rows of one run only.

use asupersync::{Runtime, Scope};
use asupersync_compat::{Boundary, BoundaryConfig};
use axum::Router;
use axum::routing::get;
use std::time::{Duration, Instant};

const CYCLES: u32 = 300;
const ROUNDS: usize = 60;
const REQUESTS: usize = 200;

fn main() {
    println!("open + close of a boundary, mean of {CYCLES}");
    for config in [
        BoundaryConfig::new("figures").workers(1),
        BoundaryConfig::new("figures").workers(2),
        BoundaryConfig::new("figures").current_thread(),
    ] {
        cycles(config);
    }
    latencies();
}

fn cycles(config: BoundaryConfig) {
    let runtime = Runtime::builder().worker_threads(1).build().unwrap();
    let (opening, total) = runtime
        .block_on(async |cx: Scope| {
            let (mut opening, begun) = (Duration::ZERO, Instant::now());
            for _ in 0..CYCLES {
                let at = Instant::now();
                let boundary = Boundary::open(&cx, config.clone()).unwrap();
                opening += at.elapsed();
                boundary.close(&cx).await.unwrap();
            }
            (opening / CYCLES, begun.elapsed() / CYCLES)
        })
        .unwrap();
    println!("  {config:?}\n    open {opening:?}, open + close {total:?}");
}

/// One keep-alive client that makes `n` requests one after the other and notes how long each took.
async fn requests(client: reqwest::Client, url: String, n: usize) -> Vec<Duration> {
    let mut took = Vec::with_capacity(n);
    for _ in 0..n {
        let at = Instant::now();
        let body = client
            .get(&url)
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        assert_eq!(&body[..], b"hello");
        took.push(at.elapsed());
    }
    took
}

fn latencies() {
    let server = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let listener = server
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    server.spawn(async {
        axum::serve(listener, Router::new().route("/", get(async || "hello"))).await
    });

    let single = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let multi = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let client = || reqwest::Client::new();
    let (single_client, multi_client, beside_client) = (client(), client(), client());
    let runtime = Runtime::builder().worker_threads(1).build().unwrap();
    let mut rows: Vec<(&str, Vec<Duration>)> = Vec::new();
    runtime
        .block_on(async |cx: Scope| {
            let one = Boundary::open(&cx, BoundaryConfig::new("one").workers(1)).unwrap();
            let current =
                Boundary::open(&cx, BoundaryConfig::new("current").current_thread()).unwrap();
            let (adopted, delegated, alone) = (client(), client(), client());
            let n = REQUESTS;
            for round in 0..=ROUNDS {
                let url = || url.clone();
                let (c, u) = (single_client.clone(), url());
                let plain = std::thread::scope(|s| {
                    s.spawn(|| single.block_on(requests(c, u, n)))
                        .join()
                        .unwrap()
                });
                let (c, u) = (multi_client.clone(), url());
                let spawned = std::thread::scope(|s| {
                    s.spawn(|| multi.block_on(multi.spawn(requests(c, u, n))).unwrap())
                        .join()
                        .unwrap()
                });
                let (c, u) = (beside_client.clone(), url());
                let beside = std::thread::scope(|s| {
                    s.spawn(|| multi.block_on(requests(c, u, n)))
                        .join()
                        .unwrap()
                });
                let delegate = one
                    .delegate(requests(delegated.clone(), url(), n))
                    .await
                    .unwrap();
                let alone = current
                    .delegate(requests(alone.clone(), url(), n))
                    .await
                    .unwrap();
                let adopt = one
                    .adopt(|| requests(adopted.clone(), url(), n))
                    .await
                    .unwrap();
                if round == 0 {
                    // The first round connects and warms up.
                    continue;
                }
                let measured = [
                    ("plain tokio, current thread", plain),
                    ("plain tokio, one worker", spawned),
                    ("plain tokio, beside one worker", beside),
                    ("delegated, current thread", alone),
                    ("delegated, one worker", delegate),
                    ("adopted, one worker", adopt),
                ];
                if rows.is_empty() {
                    rows = measured
                        .iter()
                        .map(|(name, _)| (*name, Vec::new()))
                        .collect();
                }
                for (row, (_, took)) in rows.iter_mut().zip(measured) {
                    row.1.extend(took);
                }
            }
            drop((adopted, delegated));
        })
        .unwrap();
    println!(
        "GET over a kept connection, {} per row, ratios to the first row",
        ROUNDS * REQUESTS
    );
    println!(
        "  {:<30}{:>10}{:>8}{:>10}{:>8}",
        "client", "p50", "ratio", "p99", "ratio"
    );
    let at = |row: &mut Vec<Duration>, q: f64| {
        row.sort_unstable();
        row[(row.len() as f64 * q) as usize]
    };
    let (mut half, mut tail) = (Duration::ZERO, Duration::ZERO);
    for (i, (name, took)) in rows.iter_mut().enumerate() {
        let (p50, p99) = (at(took, 0.5), at(took, 0.99));
        if i == 0 {
            (half, tail) = (p50, p99);
        }
        let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
        println!(
            "  {name:<30}{p50:>10.1?}{:>8.2}{p99:>10.1?}{:>8.2}",
            ratio(p50, half),
            ratio(p99, tail)
        );
    }
}
