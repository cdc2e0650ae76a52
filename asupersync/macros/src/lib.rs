//! The procedural macros of `asupersync`, which re-exports them; use them from there.
//!
//! Rules that all of them keep:
//!
//! 1. names they introduce are invisible to the code they are given, so a user's
//!    `cx`, `scope` or `_0` means what it meant outside;
//! 2. code they are given is emitted once, with its own spans: an error in it
//!    points at it;
//! 3. everything they name is named by an absolute path.
#![forbid(unsafe_code)]

mod arms;
mod entry;
mod join;
mod race;
mod scope;
mod select;
mod try_join;

use proc_macro::TokenStream;

/// Makes an `async fn main` the body of a root region.
///
/// The function takes nothing, `cx: &Cx` or `scope: Scope`, and returns `()` or
/// `Result<(), E>` with `E: Debug`. The process exits when the region is
/// quiescent, with a code that follows from its report.
///
/// ```
/// use asupersync::Cx;
/// use std::time::Duration;
///
/// #[asupersync::main]
/// async fn main(cx: &Cx) -> Result<(), Box<dyn std::error::Error>> {
///     cx.sleep(Duration::from_millis(10)).await?;
///     Ok(())
/// }
/// ```
///
/// Arguments: `flavor = "multi_thread"` (the default) or `"current_thread"`,
/// and `worker_threads = n` for the former; `policy = "fail_fast"` (the
/// default), by which a task that panics or fails cancels its siblings in the
/// root region, or `"collect"`, by which it does not.
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(entry::Kind::Main, args.into(), item.into()).into()
}

/// Makes an `async fn` a test whose body runs in a root region of its own.
///
/// It takes what [`macro@main`] takes, the flavour defaults to
/// `"current_thread"`, and it may return whatever a test may return. The test
/// also fails if anything in its region failed.
#[proc_macro_attribute]
pub fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(entry::Kind::Test, args.into(), item.into()).into()
}

/// Makes an `async fn` a test that runs in the deterministic lab, once per seed.
///
/// Arguments: `seeds = 0..64`. A failure prints its seed and how to replay it.
#[proc_macro_attribute]
pub fn lab_test(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(entry::Kind::LabTest, args.into(), item.into()).into()
}

/// Waits for the first of several futures, takes it, and drops the others.
///
/// ```
/// use asupersync::channel::mpsc;
/// use asupersync::{Cx, LabConfig, LabRuntime, Scope, select};
/// use std::time::Duration;
///
/// /// Adds up what comes, until nothing has come for `limit`.
/// async fn sum(cx: &Cx, mut rx: mpsc::Receiver<u32>, limit: Option<Duration>) -> u32 {
///     let mut sum = 0;
///     loop {
///         select! {
///             Ok(n) = rx.recv(cx) => sum += n,
///             _ = cx.sleep(limit.unwrap_or_default()), if limit.is_some() => return sum,
///             else => return sum,
///         }
///     }
/// }
///
/// LabRuntime::new(LabConfig::default()).run(async |scope: Scope| {
///     let (tx, rx) = mpsc::channel(2);
///     tx.send(&scope, 1).await.unwrap();
///     tx.send(&scope, 2).await.unwrap();
///     // The sender is still there, so only the limit ends this.
///     assert_eq!(sum(&scope, rx, Some(Duration::from_secs(1))).await, 3);
///     drop(tx);
/// });
/// ```
///
/// - An arm is `pattern = future => handler`, or with a guard
///   `pattern = future, if condition => handler`.
/// - First all guards are evaluated, then all futures, then the futures are
///   polled, beginning at a random arm; `biased;` as the first line makes it the
///   order in which they are written. The first to be ready whose pattern
///   matches is taken, the others are dropped, and its handler runs.
/// - An arm whose guard is false, or whose value does not match its pattern, is
///   disabled. When all are, the handler of `else` runs.
/// - A future that loses is dropped half-way, so it must implement the marker
///   `DropSafe`, which says that this loses nothing. `&mut future` always does;
///   anything else has to be wrapped in `drop_ok(future)`, which says that you
///   have thought about it.
/// - Handlers run outside any closure: `?`, `break`, `continue`, `return` and
///   `.await` mean what they mean around the `select!`.
///
/// *Panics.* When all arms are disabled and there is no `else`.
#[proc_macro]
pub fn select(input: TokenStream) -> TokenStream {
    select::expand(input.into()).into()
}

/// Runs several bodies at once, each in a child region of its own, and keeps the first that ends.
///
/// ```
/// # use asupersync::{LabConfig, LabRuntime, Scope, race};
/// # use std::time::Duration;
/// # async fn ask(cx: &Scope, (name, secs): &(&'static str, u64)) -> Option<&'static str> {
/// #     cx.sleep(Duration::from_secs(*secs)).await.ok().map(|()| *name)
/// # }
/// # LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
/// # let (a, b) = (("slow", 2), ("fast", 1));
/// let winner = race!(&cx, |s| ask(s, &a), |s| ask(s, &b)).await?;
/// assert_eq!((winner.index, winner.value), (1, Some("fast")));
/// # Ok::<_, asupersync::Cancelled>(())
/// # }).unwrap();
/// ```
///
/// The losers are asked to cancel with `RaceLost` and **awaited**: when the race
/// returns, nothing of them is left, so it takes as long as the winner and the
/// slowest loser's cleanup. Bodies run in place, so they may borrow. A tie goes
/// to the body written first.
#[proc_macro]
pub fn race(input: TokenStream) -> TokenStream {
    race::expand(input.into()).into()
}

/// Polls several futures at once, in place, and returns all their outputs as a tuple.
///
/// ```
/// # use asupersync::{Cx, LabConfig, LabRuntime, Scope, join};
/// # use std::time::Duration;
/// # async fn first(cx: &Cx) -> u32 { cx.sleep(Duration::from_secs(2)).await.map_or(0, |()| 1) }
/// # async fn second(cx: &Cx) -> u32 { cx.sleep(Duration::from_secs(3)).await.map_or(0, |()| 2) }
/// # LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
/// # let start = cx.now();
/// let (a, b) = join!(first(&cx), second(&cx));
/// assert_eq!((a, b), (1, 2));
/// // Both slept at once.
/// assert_eq!(cx.now() - start, Duration::from_secs(3));
/// # });
/// ```
///
/// All are awaited, also after one of them failed. Like a plain `.await` it may
/// borrow, and it is dropped as a whole.
#[proc_macro]
pub fn join(input: TokenStream) -> TokenStream {
    join::expand(input.into()).into()
}

/// Polls every future of an iterator at once, in place, and returns all their outputs in order.
///
/// ```
/// # use asupersync::{Cx, LabConfig, LabRuntime, Scope, join_all};
/// # use std::time::Duration;
/// # async fn fetch(cx: &Cx, url: &str) -> usize {
/// #     cx.sleep(Duration::from_secs(1)).await.map_or(0, |()| url.len())
/// # }
/// # LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
/// let urls = ["/", "/index"];
/// let pages = join_all!(urls.iter().map(|url| fetch(&cx, url)));
/// assert_eq!(pages, [1, 6]);
/// # });
/// ```
///
/// Short for `asupersync::combine::join_all(futures).await`.
#[proc_macro]
pub fn join_all(input: TokenStream) -> TokenStream {
    join::expand_all(input.into()).into()
}

/// Runs several fallible bodies at once in one child region, and returns all
/// their values, or the error of the first that failed.
///
/// ```
/// # use asupersync::{LabConfig, LabRuntime, Scope, try_join};
/// # async fn user(_: &Scope, id: u32) -> Result<u32, std::io::Error> { Ok(id) }
/// # async fn cart(_: &Scope, id: u32) -> Result<Vec<u32>, std::io::Error> { Ok(vec![id]) }
/// # LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
/// # let id = 7;
/// let (user, cart) = try_join!(&cx, |s| user(s, id), |s| cart(s, id)).await?;
/// assert_eq!((user, cart), (7, vec![7]));
/// # Ok::<_, asupersync::TryRegionError<std::io::Error>>(())
/// # }).unwrap();
/// ```
///
/// The first to fail asks the others, and every task that was spawned through
/// `s`, to cancel with `FailFast`. All are **awaited**: nothing is dropped
/// half-way. Bodies run in place, so they may borrow; they return `Result`s with
/// one error type. The result is `Result<(A, B, …), TryRegionError<E>>`.
///
/// *Panics.* With the panic of an arm, once all have ended.
#[proc_macro]
pub fn try_join(input: TokenStream) -> TokenStream {
    try_join::expand(input.into()).into()
}

/// Opens a region with a name: its body is given the `&Scope`.
///
/// ```
/// # use asupersync::{Cx, LabConfig, LabRuntime, Scope, scope, spawn};
/// # async fn first(_: &Cx) -> u32 { 1 }
/// # LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
/// let sum = scope!(&cx, "adding up", |scope| {
///     let a = spawn!(scope, "a", |cx| first(cx));
///     let b = spawn!(scope, "b", async { 2 });
///     a.await.into_result().unwrap() + b.await.into_result().unwrap()
/// })
/// .await?;
/// assert_eq!(sum, 3);
/// # Ok::<_, asupersync::RegionError>(())
/// # }).unwrap();
/// ```
///
/// Short for `asupersync::Region::open`. The body is async and runs in place, so
/// it may borrow.
#[proc_macro]
pub fn scope(input: TokenStream) -> TokenStream {
    scope::expand_scope(input.into()).into()
}

/// Spawns a task with a name into a scope's region: a future, or a body that is
/// given the task's `&Cx`.
///
/// ```
/// # use asupersync::{Cx, LabConfig, LabRuntime, Scope, spawn};
/// # async fn write_all(_: &Cx, file: String) -> usize { file.len() }
/// # LabRuntime::new(LabConfig::default()).run(async |scope: Scope| {
/// # let file = String::from("four");
/// let writer = spawn!(scope, "writer", |cx| write_all(cx, file));
/// assert_eq!(writer.await.into_result().unwrap(), 4);
/// # });
/// ```
///
/// What the body names moves into the task.
#[proc_macro]
pub fn spawn(input: TokenStream) -> TokenStream {
    scope::expand_spawn(input.into()).into()
}
