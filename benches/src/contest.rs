//! Runs rows on all runtimes, interleaved round by round.

use crate::echo;
use crate::measure::{Lap, median};
use crate::options::Contest;
use crate::rows::{COLUMNS, Column, Group, ROWS, Row, allocations_per_operation, column};

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

/// Runs what `contest` asks for.
///
/// # Errors
/// When an echo server could not be started or stopped answering.
pub fn run(contest: &Contest) -> std::io::Result<Vec<Outcome>> {
    let columns: Vec<Column> = COLUMNS.iter().filter_map(|name| column(name)).collect();
    let wanted = |row: &&Row| contest.rows.is_empty() || contest.rows.contains(&row.name);
    let mut outcomes = Vec::new();
    for row in ROWS.iter().filter(wanted) {
        eprintln!("{:20} {}", row.name, row.what);
        let cells = if row.group == Group::Network {
            network(row, contest)?
        } else {
            local(row, contest, &columns)
        };
        outcomes.push(Outcome { row, cells });
    }
    Ok(outcomes)
}

fn local(row: &Row, contest: &Contest, columns: &[Column]) -> Vec<Cell> {
    let n = contest.operations(row);
    let runs = columns.iter().filter_map(|c| Some((c.name, c.run(row)?)));
    let runs: Vec<_> = runs.collect();
    let samples = interleave(contest, runs.len(), |i| Ok(runs[i].1(n).per(n)));
    let samples = samples.expect("nothing to fail");
    let counted = contest.counts && row.unit == crate::rows::Unit::Nanos;
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

/// Operations whose allocations are counted; more would say the same.
const COUNTED: u32 = 2_000;

/// Samples of `players`, who take turns; who goes first changes every round,
/// and the first round is a rehearsal.
fn interleave(
    contest: &Contest,
    players: usize,
    mut play: impl FnMut(usize) -> std::io::Result<Lap>,
) -> std::io::Result<Vec<Vec<Lap>>> {
    let mut samples = vec![Vec::new(); players];
    for round in 0..=contest.rounds() {
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

fn network(row: &Row, contest: &Contest) -> std::io::Result<Vec<Cell>> {
    let n = contest.operations(row);
    let connections = if row.name == "echo-1" { 1 } else { 64 };
    // One connection on two cores has two speeds, by where the scheduler puts the client.
    let _pinned = (connections == 1)
        .then(echo::Pin::to_one_core)
        .transpose()?;
    let mut clients = Vec::new();
    for column in echo::COLUMNS {
        clients.push(echo::Client::start(column, connections)?);
    }
    let samples = interleave(contest, clients.len(), |i| clients[i].play(n))?;
    let cells = echo::COLUMNS.iter().zip(samples);
    Ok(cells
        .map(|(column, samples)| Cell {
            column,
            samples,
            allocations: None,
        })
        .collect())
}
