//! The command line.

use crate::allocations::Allocator;
use crate::rows;

/// What the help says.
pub const USAGE: &str = "\
Benchmarks of asupersync against tokio and smol in the same run.

usage: cargo run --release -p asupersync-benches [-- OPTIONS]

  --list             list the rows and what they measure
  --row NAME         only this row; may be given several times
  --full             9 rounds instead of 5, of twice the length, and more rows
  --json             print JSON, with every sample, instead of tables
  --counts           also count allocations, instructions under valgrind, and
                     system calls under strace
  --allocator NAME   system (the default) or mimalloc, for which cargo builds
                     the program once more
  --write-docs       put the tables into docs/performance.md; implies --counts
  --gate             compare instructions with those in benches/counts.json
  --bless            store them instead
  --once ROW COLUMN N  do a row N times on one runtime and print nothing, for
                     a profiler to look at; COLUMN as in the table, such as \"tokio mt2\"
";

/// What to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Print [`USAGE`].
    Help,
    /// Print the rows.
    List,
    /// Measure.
    Contest(Contest),
    /// Hold operations to the instructions that are stored.
    Gate {
        /// Store them instead.
        bless: bool,
    },
    /// Do a row once, for a profiler.
    Once {
        /// Which row.
        row: &'static rows::Row,
        /// On which runtime.
        column: String,
        /// How many operations.
        n: u32,
    },
    /// Be an echo server: print the port, and serve until standard input ends.
    Serve {
        /// On which runtime.
        column: String,
    },
}

/// What to measure, and how.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Contest {
    /// The rows to run; all when empty.
    pub rows: Vec<&'static str>,
    /// Longer and more rounds.
    pub full: bool,
    /// JSON instead of tables.
    pub json: bool,
    /// Count allocations, instructions and system calls too.
    pub counts: bool,
    /// Write the document.
    pub write_docs: bool,
    /// Who gives out memory.
    pub allocator: Allocator,
}

impl Contest {
    /// Whether a row is to be run.
    pub fn wants(&self, row: &rows::Row) -> bool {
        if self.rows.is_empty() {
            self.full || !row.full
        } else {
            self.rows.contains(&row.name)
        }
    }

    /// Rounds of most rows that count; one more goes before them to warm up.
    pub fn rounds(&self) -> usize {
        if self.full { 9 } else { 5 }
    }

    /// Rounds of a row that count.
    pub fn rounds_of(&self, row: &rows::Row) -> usize {
        // What is large takes long, and varies little.
        if row.full {
            LARGE_ROUNDS
        } else {
            self.rounds()
        }
    }

    /// Operations of a row in one round.
    pub fn operations(&self, row: &rows::Row) -> u32 {
        // A crowd is as large as its row says, or it would be another row.
        let fixed = row.full || row.unit == rows::Unit::Bytes || row.name.starts_with("cancel");
        if self.full && !fixed {
            row.n * 2
        } else {
            row.n
        }
    }
}

/// Rounds of the rows that are run with `--full` only.
pub const LARGE_ROUNDS: usize = 3;

/// Reads the arguments; the error is a message for the user.
pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Command, String> {
    let mut args = args.into_iter();
    let mut contest = Contest::default();
    let known = |name: String| {
        rows::find(&name).ok_or(format!(
            "there is no row {name:?}; see the names with --list"
        ))
    };
    while let Some(arg) = args.next() {
        let mut value = |what: &str| args.next().ok_or(format!("{arg} needs {what}"));
        match arg.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "--list" => return Ok(Command::List),
            "--row" => contest.rows.push(known(value("the name of a row")?)?.name),
            "--full" => contest.full = true,
            "--json" => contest.json = true,
            "--counts" => contest.counts = true,
            "--allocator" => contest.allocator = allocator(&value("a name")?)?,
            "--write-docs" => (contest.write_docs, contest.counts) = (true, true),
            "--gate" => return Ok(Command::Gate { bless: false }),
            "--bless" => return Ok(Command::Gate { bless: true }),
            "--once" => {
                let row = known(value("a row")?)?;
                let column = value("a column")?;
                let n = value("a number")?;
                let n = n
                    .parse()
                    .map_err(|e| format!("{n:?} is no number of operations: {e}"))?;
                return Ok(Command::Once { row, column, n });
            }
            "--serve" => {
                return Ok(Command::Serve {
                    column: value("a column")?,
                });
            }
            // What `cargo bench` and `cargo test` pass to every target.
            "--bench" => {}
            _ => return Err(format!("unknown argument {arg:?}; see --help")),
        }
    }
    if contest.write_docs && !contest.rows.is_empty() {
        return Err("--write-docs writes the whole table: leave --row out".into());
    }
    Ok(Command::Contest(contest))
}

fn allocator(name: &str) -> Result<Allocator, String> {
    let known = Allocator::NAMES.iter().find(|(n, _)| *n == name);
    let (_, allocator) = known.ok_or_else(|| {
        let names = Allocator::NAMES.map(|(n, _)| n);
        format!("there is no allocator {name:?}; there are {names:?}")
    })?;
    Ok(*allocator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments() {
        let all = parsed("--row yield --full --row mpsc-1").expect("well-formed");
        let contest = Contest {
            rows: vec!["yield", "mpsc-1"],
            full: true,
            ..Contest::default()
        };
        assert_eq!(all, Command::Contest(contest));
        let other = Contest {
            allocator: Allocator::Mimalloc,
            ..Contest::default()
        };
        assert_eq!(parsed("--allocator mimalloc"), Ok(Command::Contest(other)));
        let large = rows::find("bytes-pending-1m").expect("it is a row");
        let wants = |line: &str| match parsed(line) {
            Ok(Command::Contest(contest)) => contest.wants(large),
            other => panic!("{other:?}"),
        };
        assert!(wants("--full") && wants("--row bytes-pending-1m"));
        assert!(!wants("") && !wants("--full --row yield"));
        assert!(parsed("--write-docs").is_ok_and(|c| matches!(c, Command::Contest(c) if c.counts)));
        for wrong in [
            "--row",
            "--row nonsense",
            "--allocator nonsense",
            "--fast",
            "--once yield x",
            "--write-docs --row yield",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
