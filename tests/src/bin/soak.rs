//! Random programs on two workers until the time is up: spawns, nested regions,
//! races, timeouts, channels, joins, cancellations, closings, panics, deaf and
//! blocking code.
//!
//! Every round is one region. After it, everything that the round counted up is
//! counted down again; at the end the process has the threads it began with, and
//! its memory has not grown since it was warm. What a round does follows from
//! the seed, which is printed; how its tasks interleave does not.
//!
//! ```text
//! soak [--seconds N] [--seed N]
//! ```

use asupersync::channel::{mpsc, oneshot};
use asupersync::combine::Arm;
use asupersync::{Cx, Policy, RegionOptions, Runtime, Scope, Severity, TaskHandle};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// How deep regions and tasks nest.
const DEPTH: u32 = 3;
/// Rounds that a lap consists of; memory is looked at between laps.
const LAP: u64 = 200;
/// Laps until the process is as large as it gets.
const WARM_LAPS: usize = 4;
/// What memory may grow by after that: caches that fill late, and fragments.
const SLACK_KIB: u64 = 4 * 1024;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}\nusage: soak [--seconds N] [--seed N]");
            return ExitCode::FAILURE;
        }
    };
    // Panics are part of the programs; each would print a line and a trace.
    std::panic::set_hook(Box::new(|info| {
        let text = info.payload().downcast_ref::<&str>();
        if text != Some(&PLANNED) {
            eprintln!("unplanned {info}");
        }
    }));
    match soak(&options) {
        Ok(account) => {
            println!("{account}");
            ExitCode::SUCCESS
        }
        Err(what) => {
            eprintln!("soak failed with --seed {}: {what}", options.seed);
            ExitCode::FAILURE
        }
    }
}

const PLANNED: &str = "planned";

struct Options {
    seconds: u64,
    seed: u64,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Options {
            seconds: 10,
            seed: 1,
        };
        while let Some(arg) = args.next() {
            let value = match arg.as_str() {
                "--seconds" => &mut options.seconds,
                "--seed" => &mut options.seed,
                _ => return Err(format!("unknown argument {arg:?}")),
            };
            let text = args.next().ok_or(format!("{arg} needs a number"))?;
            *value = text
                .parse()
                .map_err(|e| format!("{arg} {text:?} is no number: {e}"))?;
        }
        Ok(options)
    }
}

/// What is alive, by what it is: everything counts itself in and out.
#[derive(Default)]
struct Live {
    bodies: AtomicI64,
    permits: AtomicI64,
    values: AtomicI64,
    finalizers: AtomicI64,
}

/// Counts one in, and out when it goes.
struct Counted(fn(&Live) -> &AtomicI64, Arc<Live>);

impl Counted {
    fn new(of: fn(&Live) -> &AtomicI64, live: &Arc<Live>) -> Self {
        of(live).fetch_add(1, Ordering::Relaxed);
        Counted(of, live.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.0)(&self.1).fetch_sub(1, Ordering::Relaxed);
    }
}

/// SplitMix64: a round's own choices, whatever the scheduler does.
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn fork(&mut self) -> Dice {
        Dice(self.next())
    }
}

fn soak(options: &Options) -> Result<String, String> {
    let threads = threads();
    let runtime = Runtime::builder()
        .worker_threads(2)
        .build()
        .map_err(|e| e.to_string())?;
    let live = Arc::new(Live::default());
    let end = Instant::now() + Duration::from_secs(options.seconds);
    let mut dice = Dice(options.seed);
    let mut rounds = 0;
    let mut ends: BTreeMap<Severity, u64> = BTreeMap::new();
    let mut warm = None;
    let mut laps = 0;
    while Instant::now() < end {
        for _ in 0..LAP {
            if Instant::now() >= end {
                break;
            }
            let dice = dice.fork();
            let reported = runtime.block_on_with(options_of(), async |scope| {
                round(&scope, dice, live.clone()).await;
            });
            *ends.entry(reported.report.severity).or_default() += 1;
            rounds += 1;
            balanced(&live).map_err(|what| format!("after round {rounds}: {what}"))?;
            if !reported.report.leaks.is_empty() {
                let leaks = &reported.report.leaks;
                return Err(format!("round {rounds} leaked promises: {leaks:?}"));
            }
        }
        laps += 1;
        let rss = rss_kib();
        if laps == WARM_LAPS {
            warm = rss;
        }
        if let (Some(warm), Some(rss)) = (warm, rss)
            && rss > warm + warm / 4 + SLACK_KIB
        {
            return Err(format!(
                "memory grew from {warm} to {rss} KiB in {rounds} rounds"
            ));
        }
    }
    let down = runtime.shutdown_timeout(Duration::from_secs(10));
    if !down.is_clean() {
        return Err(format!("threads were left behind: {down:?}"));
    }
    if threads != self::threads() {
        return Err(format!(
            "{threads:?} threads before, {:?} after",
            self::threads()
        ));
    }
    let memory = match (warm, rss_kib()) {
        (Some(warm), Some(rss)) => format!("{warm} KiB when warm, {rss} at the end"),
        _ => "memory not compared: too few rounds, or no /proc".to_owned(),
    };
    Ok(format!(
        "soak: {rounds} rounds in {} s with --seed {}, ends {ends:?}; nothing alive; {memory}",
        options.seconds, options.seed
    ))
}

fn options_of() -> RegionOptions {
    RegionOptions {
        policy: Policy::Collect,
        ..RegionOptions::named("round")
    }
}

fn balanced(live: &Live) -> Result<(), String> {
    let counts = [
        ("bodies", &live.bodies),
        ("permits", &live.permits),
        ("values", &live.values),
        ("finalizers", &live.finalizers),
    ];
    for (what, count) in counts {
        let left = count.load(Ordering::SeqCst);
        if left != 0 {
            return Err(format!("{left} {what} are alive"));
        }
    }
    Ok(())
}

async fn round(scope: &Scope, mut dice: Dice, live: Arc<Live>) {
    let width = 2 + dice.below(12);
    let mut handles: Vec<TaskHandle<()>> = Vec::new();
    for _ in 0..width {
        let (dice, live) = (dice.fork(), live.clone());
        handles.push(scope.spawn(move |cx| act(cx, dice, live, DEPTH)));
    }
    for handle in handles {
        match dice.below(4) {
            0 => handle.cancel("chosen"),
            1 => drop(handle),
            _ => {
                let _ = handle.join(scope).await;
            }
        }
    }
    match dice.below(4) {
        0 => scope.close(),
        1 => scope.cancel("chosen"),
        _ => {}
    }
}

type Act = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One of the things a task can do.
fn act(cx: Cx, mut dice: Dice, live: Arc<Live>, depth: u32) -> Act {
    Box::pin(async move {
        let _body = Counted::new(|l| &l.bodies, &live);
        if dice.below(4) == 0 {
            let finalizer = Counted::new(|l| &l.finalizers, &live);
            cx.defer_with(async move |cx: Cx| {
                let _ = cx.yield_now().await;
                drop(finalizer);
            });
        }
        let micros = Duration::from_micros(dice.below(300));
        match dice.below(12) {
            0 => std::panic::panic_any(PLANNED),
            1 => drop(cx.sleep(micros).await),
            2 => {
                for _ in 0..dice.below(30) {
                    if cx.yield_now().await.is_err() {
                        break;
                    }
                }
            }
            3 | 4 if depth > 0 => nested(&cx, dice, live, depth - 1).await,
            5 if depth > 0 => {
                let arms = (0..2 + dice.below(3)).map(|_| {
                    let (dice, live) = (dice.fork(), live.clone());
                    Arm::new(move |cx| act(cx, dice, live, depth - 1))
                });
                let arms: Vec<_> = arms.collect();
                let _ = cx.race(arms).await;
            }
            6 if depth > 0 => {
                let _ = cx
                    .timeout(micros, async |s: Scope| {
                        act(Cx::clone(&s), dice, live, depth - 1).await;
                    })
                    .await;
            }
            7 => channel(&cx, dice, live).await,
            8 => {
                let (tx, mut rx) = oneshot::channel();
                let value = Counted::new(|l| &l.values, &live);
                let sender = cx.spawn(async move |cx: Cx| {
                    let _ = cx.sleep(micros).await;
                    let _ = tx.send(value);
                });
                let _ = rx.recv(&cx).await;
                drop(sender);
            }
            9 => {
                let blocked = cx.spawn_blocking(move |_| std::thread::sleep(micros));
                let _ = blocked.join(&cx).await;
            }
            10 => {
                // Deaf for a while: what is asked of it in between reaches it later.
                let _ = cx.cleanup().sleep(micros).await;
                let _masked = cx.mask();
                let _ = cx.checkpoint();
            }
            _ => {
                cx.spawn_daemon(async move |cx: Cx| cx.cancelled().await);
            }
        }
    })
}

async fn nested(cx: &Cx, mut dice: Dice, live: Arc<Live>, depth: u32) {
    let _ = cx
        .region_report(options_of(), async |scope| {
            for _ in 0..1 + dice.below(4) {
                let (dice, live) = (dice.fork(), live.clone());
                scope.spawn(move |cx| act(cx, dice, live, depth));
            }
            match dice.below(5) {
                0 => scope.close(),
                1 => scope.cancel("chosen"),
                2 => {
                    let _ = scope.yield_now().await;
                }
                _ => {}
            }
        })
        .await;
}

async fn channel(cx: &Cx, mut dice: Dice, live: Arc<Live>) {
    let (tx, mut rx) = mpsc::channel(1 + dice.below(3) as usize);
    for _ in 0..1 + dice.below(3) {
        let (tx, live, n) = (tx.clone(), live.clone(), dice.below(20));
        cx.spawn(async move |cx: Cx| {
            for _ in 0..n {
                let Ok(permit) = tx.reserve(&cx).await else {
                    return;
                };
                let _held = Counted::new(|l| &l.permits, &live);
                let _ = cx.yield_now().await;
                let _ = permit.send(Counted::new(|l| &l.values, &live));
            }
        });
    }
    drop(tx);
    for _ in 0..dice.below(40) {
        if rx.recv(cx).await.is_err() {
            break;
        }
    }
}

/// The pages of this process that are in memory; `None` where the system does not tell.
fn rss_kib() -> Option<u64> {
    status("VmRSS:")
}

fn threads() -> Option<u64> {
    status("Threads:")
}

fn status(key: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}
