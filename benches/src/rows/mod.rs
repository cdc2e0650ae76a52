//! The rows: what is measured, and how, for every runtime that can do it.
//!
//! A row is a [`Row`] in [`ROWS`], the one list from which the table, its
//! order and `--list` derive, and a function generic over [`Engine`] that does
//! it `n` times and tells how long that took.

mod cancel;
mod channel;
mod fairness;
mod many;
mod ours;
mod spawn;
mod structure;
mod sync;
mod timer;
mod wake;

use crate::allocations;
use crate::engine::{Asupersync, Engine, Smol, Tokio};
use crate::measure::{Lap, Stopwatch};
use std::future::Future;

/// What a row counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Nanoseconds per operation, on the processors and on the wall clock.
    Nanos,
    /// Microseconds late.
    MicrosLate,
    /// Microseconds that 99 of 100 are within.
    MicrosP99,
    /// Heap bytes per task.
    Bytes,
    /// Microseconds per operation, on the server's processors and on the wall clock.
    ServerMicros,
}

impl Unit {
    /// As the table has it.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Nanos => "ns",
            Unit::MicrosLate => "us late",
            Unit::MicrosP99 => "us p99",
            Unit::Bytes => "bytes",
            Unit::ServerMicros => "us",
        }
    }
}

/// A line of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// What `--row` takes.
    pub name: &'static str,
    /// What is measured.
    pub what: &'static str,
    /// What is counted.
    pub unit: Unit,
    /// Operations per round.
    pub n: u32,
    /// What the peers are compared as.
    pub group: Group,
    /// Whether it is too long for the quick run: it is done with `--full`, or by name.
    pub full: bool,
}

/// Which summary a row belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// The same operation on every runtime.
    Common,
    /// Regions against what a tokio user writes to get structure.
    Structure,
    /// Channels that only tokio has too.
    Channels,
    /// How long it takes until all has ended that was asked to.
    Quiescence,
    /// How long things take while other tasks are busy.
    Fairness,
    /// Heap bytes.
    Memory,
    /// Sockets.
    Network,
    /// What only asupersync has.
    Ours,
}

const fn row(name: &'static str, n: u32, what: &'static str) -> Row {
    Row {
        name,
        what,
        unit: Unit::Nanos,
        n,
        group: Group::Common,
        full: false,
    }
}

impl Row {
    const fn group(mut self, group: Group) -> Self {
        self.group = group;
        self
    }

    const fn unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    const fn only_full(mut self) -> Self {
        self.full = true;
        self
    }
}

const fn structure(name: &'static str, n: u32, what: &'static str) -> Row {
    row(name, n, what).group(Group::Structure)
}

const fn channel(name: &'static str, n: u32, what: &'static str) -> Row {
    row(name, n, what).group(Group::Channels)
}

const fn ours(name: &'static str, n: u32, what: &'static str) -> Row {
    row(name, n, what).group(Group::Ours)
}

const fn quiescence(name: &'static str, n: u32, what: &'static str) -> Row {
    let row = row(name, n, what).group(Group::Quiescence);
    row.unit(Unit::MicrosP99)
}

const fn fairness(name: &'static str, n: u32, what: &'static str) -> Row {
    let row = row(name, n, what).group(Group::Fairness);
    row.unit(Unit::MicrosP99)
}

const fn bytes(name: &'static str, n: u32, what: &'static str) -> Row {
    row(name, n, what).group(Group::Memory).unit(Unit::Bytes)
}

const fn echo(name: &'static str, n: u32, what: &'static str) -> Row {
    let row = row(name, n, what).group(Group::Network);
    row.unit(Unit::ServerMicros)
}

/// All rows, in the order of the table.
pub const ROWS: &[Row] = &[
    row(
        "spawn-join",
        40_000,
        "spawn a task and join it, from a task",
    ),
    row(
        "spawn-join-outside",
        8_000,
        "the same from the code inside block_on",
    ),
    row("spawn-10k", 10_000, "spawn 10,000, then join all"),
    row("yield", 200_000, "200 tasks that yield 1,000 times"),
    row(
        "ping-pong",
        10_000,
        "pairs of tasks and two oneshot channels, 1,000 at a time",
    ),
    row("chain", 20_000, "each task spawns the next"),
    row(
        "fork-join",
        16_384,
        "a binary tree of tasks with 2^13 leaves",
    ),
    row("mpsc-1", 100_000, "mpsc(100), 1 producer"),
    row("mpsc-5", 100_000, "mpsc(100), 5 producers"),
    row("mpsc-tight", 30_000, "mpsc(1), 1 producer"),
    row("mutex", 200_000, "lock and unlock, alone"),
    row("mutex-2", 100_000, "the same, 2 tasks"),
    row(
        "mutex-4",
        20_000,
        "the same, 4 tasks that yield under the lock",
    ),
    row(
        "semaphore",
        200_000,
        "take a permit and give it back, alone",
    ),
    row(
        "semaphore-8",
        20_000,
        "the same, 8 tasks on 2 permits that yield with theirs",
    ),
    row("timer", 50_000, "create a sleep, register it, drop it"),
    row("timeout", 30_000, "timeout(1 s, yield)"),
    row(
        "timer-fire",
        10_000,
        "spawn 10,000 that sleep 1 to 10 ms, join all",
    ),
    row(
        "sleep-late",
        40,
        "sleep(1 ms), median of how much later it wakes",
    )
    .unit(Unit::MicrosLate),
    row(
        "cancel-pending",
        10_000,
        "cancel and drain 10,000 pending tasks",
    ),
    row(
        "cancel-sleeping",
        10_000,
        "cancel and drain 10,000 sleeping tasks",
    ),
    bytes("bytes-pending", 100_000, "a pending task, 100,000 alive"),
    bytes("bytes-sleeping", 100_000, "a sleeping task, 100,000 alive"),
    bytes(
        "bytes-pending-1m",
        1_000_000,
        "the same of 1,000,000 pending",
    )
    .only_full(),
    bytes(
        "bytes-sleeping-1m",
        1_000_000,
        "the same of 1,000,000 sleeping",
    )
    .only_full(),
    channel(
        "broadcast-4",
        40_000,
        "a value to 4 receivers, each of which receives it",
    ),
    channel(
        "watch-pair",
        20_000,
        "a value there and back over two watch channels, between two tasks",
    ),
    structure(
        "scope-join",
        20_000,
        "a scope of 1,000 tasks, outcomes read: region against JoinSet",
    ),
    structure(
        "scope-wait",
        20_000,
        "a scope of 1,000 tasks, awaited: region against TaskTracker",
    ),
    structure(
        "scope-token",
        20_000,
        "1,000 tasks that can be told to stop: region against TaskTracker and child CancellationTokens",
    ),
    structure(
        "scope-cancel",
        10_000,
        "stop 10,000 tasks and wait: region against TaskTracker and child CancellationTokens",
    ),
    quiescence(
        "quiet-set",
        500,
        "cancel a scope of 100 waiting tasks, until all have ended: region against JoinSet::shutdown",
    ),
    quiescence(
        "quiet-token",
        500,
        "the same: region against TaskTracker and child CancellationTokens",
    ),
    fairness(
        "ping-yields",
        2_000,
        "a turn in the queue, a message there and back, while 64 tasks yield",
    ),
    fairness(
        "ping-hogs",
        200,
        "the same while 4 tasks compute for 50 us between yields",
    ),
    fairness(
        "sleep-yields",
        100,
        "sleep(1 ms), how much later it wakes while 64 tasks yield",
    ),
    fairness(
        "message-calm",
        2_000,
        "a message from a thread outside, every 200 us, to a task that waits for it",
    ),
    fairness(
        "message-cancels",
        2_000,
        "the same while 2 tasks start crowds of 1,000 waiting tasks and cancel them, over and over",
    ),
    echo(
        "echo-1",
        10_000,
        "echo 64 bytes, 1 connection, client and server on one core",
    ),
    echo("echo-1-free", 10_000, "the same, on whichever core"),
    echo("echo-64", 40_000, "echo 64 bytes, 64 connections"),
    echo(
        "echo-64-pinned",
        40_000,
        "the same, client and server on one core",
    ),
    echo("echo-1k", 20_000, "echo 64 bytes, 1,000 connections").only_full(),
    echo("echo-10k", 50_000, "echo 64 bytes, 10,000 connections").only_full(),
    ours("region", 20_000, "open a region and close it"),
    ours(
        "spawn-among-1",
        20_000,
        "spawn and join in a region with 1 other task",
    ),
    ours("spawn-among-10k", 20_000, "the same with 10,000 others"),
    ours("spawn-among-100k", 20_000, "the same with 100,000 others"),
    ours("spawn-among-1m", 20_000, "the same with 1,000,000 others").only_full(),
    ours(
        "cancel-tree",
        10_000,
        "cancel and drain a tree of 10,000 waiting tasks in 100 regions, in 10 regions, in one",
    ),
    ours(
        "checkpoint",
        2_000_000,
        "a checkpoint that nobody asked to cancel",
    ),
    ours(
        "obligation",
        2_000_000,
        "reserve an effect that does nothing, roll it back: its obligation alone",
    ),
    ours(
        "reserve",
        100_000,
        "reserve a place in a channel, send into it, receive",
    ),
    ours(
        "race",
        10_000,
        "a race of two: the loser is asked to stop and drained",
    ),
    ours("defer", 20_000, "spawn a task that defers work, join it"),
    ours(
        "timeout-drained",
        10_000,
        "timeout(1 s, yield) as a region with a deadline",
    ),
];

/// The row of that name.
pub fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

/// Does a row `n` times, and tells how long that took in all.
pub type Run = Box<dyn Fn(u32) -> Lap>;

/// A runtime, and the rows it can do in this process.
pub struct Column {
    /// Its name in the table.
    pub name: &'static str,
    runs: Vec<(&'static str, Run)>,
}

impl Column {
    fn of<E: Engine>(name: &'static str, engine: &'static E) -> Self {
        let mut runs = spawn::runs(engine);
        runs.extend(wake::runs(engine));
        runs.extend(channel::runs(engine));
        runs.extend(sync::runs(engine));
        runs.extend(timer::runs(engine));
        runs.extend(cancel::runs(engine));
        runs.extend(fairness::runs(engine));
        Column { name, runs }
    }

    fn asupersync(name: &'static str, workers: usize) -> Self {
        let engine: &'static Asupersync = Box::leak(Box::new(Asupersync::new(workers)));
        let mut column = Column::of(name, engine);
        column.runs.extend(many::asupersync(engine));
        column.runs.extend(structure::regions(engine));
        column.runs.extend(ours::runs(engine));
        column
    }

    fn tokio(name: &'static str, workers: usize) -> Self {
        let engine: &'static Tokio = Box::leak(Box::new(Tokio::new(workers)));
        let mut column = Column::of(name, engine);
        column.runs.extend(many::tokio(engine));
        column.runs.extend(structure::tokio(engine));
        column
    }

    fn smol(name: &'static str, workers: usize) -> Self {
        Column::of(name, Box::leak(Box::new(Smol::new(workers))))
    }

    /// How to do a row; `None` if this runtime cannot, or only as a server.
    pub fn run(&self, row: &Row) -> Option<&Run> {
        self.runs
            .iter()
            .find(|(name, _)| *name == row.name)
            .map(|(_, run)| run)
    }
}

/// Names of the columns; the first two are ours. A pair of threads and the
/// calling thread alone take turns.
pub const COLUMNS: [&str; 6] = [
    "asupersync mt2",
    "asupersync ct",
    "tokio mt2",
    "tokio ct",
    "smol 2t",
    "smol 1t",
];

/// Starts the runtime of that name. Runtimes live as long as the process and
/// cost nothing while they are idle.
pub fn column(name: &str) -> Option<Column> {
    let place = COLUMNS.iter().position(|c| *c == name)?;
    let name = COLUMNS[place];
    let workers = if place % 2 == 0 { 2 } else { 0 };
    Some(match place / 2 {
        0 => Column::asupersync(name, workers),
        1 => Column::tokio(name, workers),
        _ => Column::smol(name, workers),
    })
}

/// Allocations that one operation makes: those of `2n` less those of `n`, so
/// that what is allocated once does not count.
pub fn allocations_per_operation(run: &Run, n: u32) -> f64 {
    let count = |n| {
        allocations::begin();
        run(n);
        allocations::end().calls
    };
    // Queues and free lists have grown to their size after the longer run.
    count(2 * n);
    (count(2 * n) as f64 - count(n) as f64).max(0.0) / f64::from(n)
}

/// A row whose body is the code inside `block_on`.
fn outside<E, F, Fut>(engine: &'static E, name: &'static str, body: F) -> (&'static str, Run)
where
    E: Engine,
    F: Fn(E::Cx, u32) -> Fut + Copy + Send + 'static,
    Fut: Future<Output = Lap> + Send + 'static,
{
    (
        name,
        Box::new(move |n| engine.block_on(move |cx| body(cx, n))),
    )
}

/// A row whose body is a task.
fn inside<E, F, Fut>(engine: &'static E, name: &'static str, body: F) -> (&'static str, Run)
where
    E: Engine,
    F: Fn(E::Cx, u32) -> Fut + Copy + Send + 'static,
    Fut: Future<Output = Lap> + Send + 'static,
{
    let run = move |n| {
        engine.block_on(move |cx| async move { E::spawn(&cx, move |cx| body(cx, n)).await })
    };
    (name, Box::new(run))
}

/// As [`inside`], for a body that is all to be measured.
fn timed<E, F, Fut>(engine: &'static E, name: &'static str, body: F) -> (&'static str, Run)
where
    E: Engine,
    F: Fn(E::Cx, u32) -> Fut + Copy + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    inside(engine, name, move |cx, n| async move {
        let watch = Stopwatch::start();
        body(cx, n).await;
        watch.lap()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_runs_on_every_runtime_that_has_it() {
        let columns: Vec<Column> = COLUMNS.iter().filter_map(|name| column(name)).collect();
        assert_eq!(columns.len(), COLUMNS.len());
        for row in ROWS.iter().filter(|row| row.group != Group::Network) {
            let expected = match row.group {
                Group::Common | Group::Memory | Group::Fairness => 6,
                Group::Structure | Group::Channels | Group::Quiescence => 4,
                Group::Ours | Group::Network => 2,
            };
            let runs = columns.iter().filter_map(|c| Some((c.name, c.run(row)?)));
            let runs: Vec<_> = runs.collect();
            assert_eq!(runs.len(), expected, "{}", row.name);
            // Those of --full may have a million companions, whatever they are told.
            for (name, run) in runs.into_iter().filter(|_| !row.full) {
                let lap = run(3);
                assert!(
                    lap.wall.is_finite() && lap.cpu.is_finite(),
                    "{name}: {}",
                    row.name
                );
            }
        }
    }

    #[test]
    fn every_run_belongs_to_a_row_and_names_are_unique() {
        for name in COLUMNS {
            let column = column(name).expect("listed");
            assert!(column.runs.iter().all(|(name, _)| find(name).is_some()));
        }
        for row in ROWS {
            assert_eq!(
                ROWS.iter().filter(|r| r.name == row.name).count(),
                1,
                "{}",
                row.name
            );
        }
    }
}
