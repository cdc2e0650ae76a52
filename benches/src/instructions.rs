//! Instructions per operation, counted by callgrind: the same run after run,
//! whoever else uses the machine.
//!
//! The program runs itself with `--once`, N and then 2N times; the difference
//! is what N operations cost, without starting and stopping.

use crate::rows::{COLUMNS, Group, Row};
use std::io;
use std::process::Command;

/// Rows worth the time, and how often they are done.
pub const ROWS: &[(&str, u32)] = &[
    ("spawn-join", 2_000),
    ("yield", 10_000),
    ("ping-pong", 1_000),
    ("mpsc-1", 5_000),
    ("timer", 2_000),
    ("timeout", 2_000),
    ("region", 1_000),
    ("checkpoint", 100_000),
    ("reserve", 2_000),
    ("race", 1_000),
    ("defer", 1_000),
];

/// Whether valgrind can be run at all.
pub fn available() -> bool {
    Command::new("valgrind")
        .arg("--version")
        .output()
        .is_ok_and(|o| o.status.success())
}

/// Instructions per operation in each column that has the row.
///
/// # Errors
/// When valgrind fails.
pub fn count(row: &Row, n: u32) -> io::Result<Vec<(&'static str, f64)>> {
    let columns = if row.group == Group::Ours {
        &COLUMNS[..2]
    } else {
        &COLUMNS[..]
    };
    let counts = columns
        .iter()
        .map(|column| Ok((*column, per_operation(row, column, n)?)));
    counts.collect()
}

/// Instructions per operation on one runtime.
///
/// # Errors
/// When valgrind fails.
pub fn per_operation(row: &Row, column: &str, n: u32) -> io::Result<f64> {
    let less = total(row, column, n)?;
    let more = total(row, column, 2 * n)?;
    Ok((more as f64 - less as f64) / f64::from(n))
}

fn total(row: &Row, column: &str, n: u32) -> io::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["--once", row.name, column, &n.to_string()])
        .output()?;
    let messages = String::from_utf8_lossy(&output.stderr);
    let collected = messages
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let collected = collected.and_then(|(_, count)| count.trim().parse().ok());
    collected
        .filter(|_| output.status.success())
        .ok_or_else(|| {
            io::Error::other(format!(
                "valgrind could not run {} on {column}:\n{messages}",
                row.name
            ))
        })
}
