//! Runs rows on all runtimes, interleaved round by round.

use crate::echo;
use crate::measure::{Lap, median};
use crate::options::Contest;
use crate::rows::{COLUMNS, Column, ROWS, Row, allocations_per_operation, column};

/// What a row gave on one runtime.
pub struct Cell {
    /// The runtime.
    pub column: &'static str,
    /// Per operation, one for each round.
    pub samples: Vec<Lap>,
    /// Allocations per operation, if they were counted.
    pub allocations: Option<f64>,
}

impl Cell {
    /// The medians of the rounds.
    pub fn lap(&self) -> Lap {
        Lap {
            wall: median(self.samples.iter().map(|s| s.wall).collect()),
            cpu: median(self.samples.iter().map(|s| s.cpu).collect()),
        }
    }
}

/// A row and its cells, in the order of [`COLUMNS`].
pub struct Outcome {
    /// The row.
    pub row: &'static Row,
    /// One for each runtime that can do it.
    pub cells: Vec<Cell>,
}

impl Outcome {
    /// What the runtime of that name gave.
    pub fn cell(&self, column: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.column == column)
    }
}

/// What came of the rows that were asked for.
pub struct Tally {
    /// The rows that were run.
    pub outcomes: Vec<Outcome>,
    /// The rows that could not be, and why.
    pub skipped: Vec<String>,
}

/// Runs what `contest` asks for.
///
/// # Errors
/// When an echo server could not be started or stopped answering.
pub fn run(contest: &Contest) -> std::io::Result<Tally> {
    let columns: Vec<Column> = COLUMNS.iter().filter_map(|name| column(name)).collect();
    let mut tally = Tally {
        outcomes: Vec::new(),
        skipped: Vec::new(),
    };
    for row in ROWS.iter().filter(|row| contest.wants(row)) {
        eprintln!("{:20} {}", row.name, row.what);
        let cells = match echo::load(row.name) {
            None => local(row, contest, &columns),
            Some(load) => {
                if let Err(reason) = echo::make_room(load.connections)? {
                    tally.skipped.push(format!("{}, since {reason}", row.name));
                    continue;
                }
                network(row, contest, load)?
            }
        };
        tally.outcomes.push(Outcome { row, cells });
    }
    Ok(tally)
}

fn local(row: &Row, contest: &Contest, columns: &[Column]) -> Vec<Cell> {
    let n = contest.operations(row);
    let runs = columns.iter().filter_map(|c| Some((c.name, c.run(row)?)));
    let runs: Vec<_> = runs.collect();
    let samples = interleave(contest.rounds_of(row), runs.len(), |i| {
        Ok(runs[i].1(n).per(n))
    });
    let samples = samples.expect("nothing to fail");
    // Among many siblings, who have allocations of their own, the difference is noise.
    let counted = contest.counts
        && row.unit == crate::rows::Unit::Nanos
        && !row.name.starts_with("spawn-among");
    let allocations = |run| counted.then(|| allocations_per_operation(run, row.n.min(COUNTED)));
    let cells = runs
        .into_iter()
        .zip(samples)
        .map(|((column, run), samples)| Cell {
            column,
            samples,
            allocations: allocations(run),
        });
    cells.collect()
}

/// Operations whose allocations are counted; more would say the same. A power
/// of two, which is what a binary tree of tasks has room for.
const COUNTED: u32 = 2_048;

/// Samples of `players`, who take turns; who goes first changes every round,
/// and the first round is a rehearsal.
fn interleave(
    rounds: usize,
    players: usize,
    mut play: impl FnMut(usize) -> std::io::Result<Lap>,
) -> std::io::Result<Vec<Vec<Lap>>> {
    let mut samples = vec![Vec::new(); players];
    for round in 0..=rounds {
        for turn in 0..players {
            let player = (turn + round) % players;
            let lap = play(player)?;
            if round > 0 {
                samples[player].push(lap);
            }
        }
    }
    Ok(samples)
}

fn network(row: &Row, contest: &Contest, load: echo::Load) -> std::io::Result<Vec<Cell>> {
    let (n, connections) = (contest.operations(row), load.connections);
    let rounds = contest.rounds_of(row);
    let _pinned = load.pinned.then(echo::Pin::to_one_core).transpose()?;
    let players = echo::COLUMNS.len();
    let samples = if connections > TOGETHER {
        // One server at a time, so that the others' sockets take no room.
        interleave(rounds, players, |i| {
            let mut client = echo::Client::start(echo::COLUMNS[i], connections)?;
            client.play(connections as u32)?;
            client.play(n)
        })?
    } else {
        let clients = echo::COLUMNS.map(|column| echo::Client::start(column, connections));
        let mut clients = clients.into_iter().collect::<Result<Vec<_>, _>>()?;
        interleave(rounds, players, |i| clients[i].play(n))?
    };
    let cells = echo::COLUMNS.iter().zip(samples);
    Ok(cells
        .map(|(column, samples)| Cell {
            column,
            samples,
            allocations: None,
        })
        .collect())
}

/// Connections per server with which all servers are alive at once.
const TOGETHER: usize = 100;
