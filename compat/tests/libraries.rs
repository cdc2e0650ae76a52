//! Real libraries over loopback: an axum server and a reqwest client inside regions, and what is left of them.

use asupersync::{Cx, Runtime, Scope};
use asupersync_compat::{BoundaryConfig, Bounded, Guest, Stage, UseError, boundary_report};
use axum::Router;
use axum::routing::get;
use std::collections::BTreeSet;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::Notify;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// The cases count threads and descriptors of the whole process, so they run one at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn listing(of: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(format!("/proc/self/{of}")).expect("Linux lists them");
    entries
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .collect()
}

/// Runs `body` in a runtime of its own and asserts that no thread and no descriptor is left of it.
fn leaves_nothing<T>(body: impl AsyncFnOnce(Scope) -> T) -> T {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // The first runtime of tokio's in a process opens two descriptors for signals, for good.
    drop(
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap(),
    );
    let before = (listing("fd").len(), listing("task"));
    let runtime = Runtime::builder().worker_threads(2).build().unwrap();
    let value = runtime.block_on(async |cx| body(cx).await).unwrap();
    drop(runtime);
    // A thread that has reported its end may need a moment to leave the kernel's list.
    let until = Instant::now() + MS(5000);
    loop {
        // The harness starts threads for other cases, which wait for the lock.
        let fds = listing("fd").len();
        let left: Vec<_> = listing("task")
            .difference(&before.1)
            .filter_map(|id| std::fs::read_to_string(format!("/proc/self/task/{id}/comm")).ok())
            .filter(|name| name.starts_with("http") || name.starts_with("asupersync"))
            .collect();
        if fds <= before.0 && left.is_empty() {
            return value;
        }
        assert!(
            Instant::now() < until,
            "{} descriptors before, {fds} after; threads left: {left:?}",
            before.0
        );
        std::thread::sleep(MS(1));
    }
}

/// Starts a server that a task of the region runs until the boundary begins to close.
async fn serve(b: &Bounded) -> SocketAddr {
    serve_and_tell(b, Arc::new(Notify::new())).await
}

/// As [`serve`]; `reached` is notified when a request for `/never` has arrived.
async fn serve_and_tell(b: &Bounded, reached: Arc<Notify>) -> SocketAddr {
    let listener = b
        .adopt(|| TcpListener::bind("127.0.0.1:0"))
        .await
        .unwrap()
        .unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .route("/hello", get(async || "hello"))
        .route(
            "/never",
            get(async move || {
                reached.notify_one();
                std::future::pending::<()>().await
            }),
        )
        .route(
            "/spawn",
            get(async || {
                // Lands on the boundary's runtime, wherever the handler itself is polled.
                tokio::spawn(async {
                    tokio::time::sleep(MS(1)).await;
                    "spawned"
                })
                .await
                .unwrap()
            }),
        );
    let boundary = b.boundary().clone();
    b.scope().spawn(async move |_cx| {
        let asked = boundary.cancel_token().cancelled_owned();
        let server = || {
            axum::serve(listener, router)
                .with_graceful_shutdown(asked)
                .into_future()
        };
        boundary.adopt(server).named("server").await.map(drop)
    });
    address
}

async fn fetch(
    b: &Bounded,
    client: &Guest<reqwest::Client>,
    url: String,
) -> Result<String, UseError> {
    let client = client.get()?;
    b.adopt(|| async move { client.get(url).send().await.unwrap().text().await.unwrap() })
        .await
}

fn config() -> BoundaryConfig {
    BoundaryConfig::new("http")
        .cooperative(MS(4000))
        .hard(MS(2000))
}

#[test]
fn server_and_client_close_cooperatively() {
    let closed = leaves_nothing(async |cx| {
        let (reported, closed) = boundary_report(&cx, config(), async |b| {
            let address = serve(&b).await;
            let client = b.guest(b.enter(reqwest::Client::new).unwrap()).unwrap();
            for _ in 0..20 {
                assert_eq!(
                    fetch(&b, &client, format!("http://{address}/hello"))
                        .await
                        .unwrap(),
                    "hello"
                );
            }
            assert_eq!(
                fetch(&b, &client, format!("http://{address}/spawn"))
                    .await
                    .unwrap(),
                "spawned"
            );
            // A kept-alive connection has a task on each side; only the revocation ends them.
            assert!(b.alive().tasks >= 1, "{:?}", b.alive());
            b.scope().close();
        })
        .await
        .unwrap();
        assert!(reported.report.is_ok(), "{}", reported.report);
        closed
    });
    assert_eq!(closed.stage, Stage::Cooperative, "{closed}");
    assert_eq!(closed.at_request.adopted, 1, "the server: {closed}");
    assert!(closed.after_shutdown.is_empty() && closed.held_guests.is_empty());
    assert!(closed.times.total() < MS(3000), "{closed}");
}

#[test]
fn a_deaf_request_is_dropped_and_named() {
    let closed = leaves_nothing(async |cx| {
        let (reported, closed) = boundary_report(&cx, config().cooperative(MS(150)), async |b| {
            let reached = Arc::new(Notify::new());
            let address = serve_and_tell(&b, reached.clone()).await;
            let client = b.guest(b.enter(reqwest::Client::new).unwrap()).unwrap();
            let borrow = client.get().unwrap();
            let url = format!("http://{address}/never");
            let deaf = b
                .adopt(|| async move { borrow.get(url).send().await.map(drop) })
                .named("deaf request");
            let close = async {
                reached.notified().await;
                b.scope().close();
            };
            futures::join!(deaf, close).0
        })
        .await
        .unwrap();
        assert!(
            matches!(reported.value, Some(Err(UseError::Severed { .. }))),
            "{:?}",
            reported.value
        );
        closed
    });
    assert_eq!(closed.stage, Stage::HardDrop, "{closed}");
    let text = closed.to_string();
    assert!(
        text.contains("adopted future \"deaf request\" (compat/tests/libraries.rs:"),
        "{text}"
    );
    assert!(text.contains("adopted future \"server\""), "{text}");
    assert_eq!(
        (closed.after_sever.adopted, closed.after_shutdown.is_empty()),
        (0, true),
        "{closed}"
    );
    assert_eq!(
        closed.held_guests.len(),
        1,
        "the deaf request held the client: {text}"
    );
}

#[test]
fn delegated_clients_run_on_the_boundary() {
    leaves_nothing(async |cx| {
        let (_, closed) = boundary_report(&cx, config().workers(1), async |b| {
            let address = serve(&b).await;
            let client = b.enter(reqwest::Client::new).unwrap();
            let requests: Vec<_> = (0..10)
                .map(|_| {
                    let request = client.get(format!("http://{address}/hello")).send();
                    b.delegate(async move { request.await?.text().await })
                })
                .collect();
            drop(client);
            for request in requests {
                assert_eq!(request.await.unwrap().unwrap(), "hello");
            }
            b.scope().close();
        })
        .await
        .unwrap();
        assert_eq!(closed.stage, Stage::Cooperative, "{closed}");
    });
}

#[test]
fn tasks_of_the_region_share_a_guest() {
    leaves_nothing(async |cx| {
        let (reported, closed) = boundary_report(&cx, config(), async |b| {
            let address = serve(&b).await;
            let client = b.guest(b.enter(reqwest::Client::new).unwrap()).unwrap();
            let tasks: Vec<_> = (0..16)
                .map(|_| {
                    let (b, client) = (b.clone(), client.clone());
                    let url = format!("http://{address}/hello");
                    b.scope()
                        .clone()
                        .spawn(async move |_: Cx| fetch(&b, &client, url).await.unwrap().len())
                })
                .collect();
            let mut total = 0;
            for task in tasks {
                total += task.await.into_result().unwrap();
            }
            b.scope().close();
            total
        })
        .await
        .unwrap();
        assert_eq!(reported.value, Some(80));
        assert_eq!(closed.stage, Stage::Cooperative, "{closed}");
    });
}
