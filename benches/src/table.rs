//! The results as tables and as JSON.

use crate::allocations::Allocator;
use crate::contest::Outcome;
use crate::measure::{Lap, geometric_mean};
use crate::options::LARGE_ROUNDS;
use crate::rows::{Group, ROWS, Row, Unit};
use crate::syscalls;
use serde_json::{Value, json};
use std::fmt::Write;

/// Everything that was found out.
pub struct Results {
    /// Which machine, as `machine::description` has it.
    pub machine: Vec<(&'static str, String)>,
    /// Rounds per row.
    pub rounds: usize,
    /// The rows that were run.
    pub outcomes: Vec<Outcome>,
    /// Instructions per operation, if they were counted.
    pub instructions: Vec<(&'static Row, Vec<(&'static str, f64)>)>,
    /// System calls of the servers, if they were counted.
    pub syscalls: Vec<syscalls::Count>,
    /// What could not be measured, and why.
    pub skipped: Vec<String>,
}

/// Ours and its peers, by threads.
const TWO: [&str; 3] = ["asupersync mt2", "tokio mt2", "smol 2t"];
const ONE: [&str; 3] = ["asupersync ct", "tokio ct", "smol 1t"];
const LIMIT: &str = "raw epoll";

/// Which part of a lap.
type Part = fn(Lap) -> f64;

fn cpu(lap: Lap) -> f64 {
    lap.cpu
}

fn wall(lap: Lap) -> f64 {
    lap.wall
}

fn value(outcome: &Outcome, column: &str, part: Part) -> Option<f64> {
    outcome.cell(column).map(|cell| part(cell.lap()))
}

fn best(outcome: &Outcome, columns: &[&str], part: Part) -> Option<f64> {
    columns
        .iter()
        .filter_map(|c| value(outcome, c, part))
        .reduce(f64::min)
}

/// Our value over theirs; below 1 we are cheaper.
fn ratio(ours: Option<f64>, theirs: Option<f64>) -> Option<f64> {
    let ratio = ours? / theirs?;
    ratio.is_finite().then_some(ratio)
}

/// The four comparisons of a row.
const COMPARISONS: [&str; 4] = [
    "mt2 : tokio mt2",
    "mt2 : best of 2",
    "ct : best of 1",
    "best : best",
];

fn ratios(outcome: &Outcome, part: Part) -> [Option<f64>; 4] {
    let of = |column| value(outcome, column, part);
    let peers = [TWO[1], TWO[2], ONE[1], ONE[2]];
    [
        ratio(of(TWO[0]), of(TWO[1])),
        ratio(of(TWO[0]), best(outcome, &TWO[1..], part)),
        ratio(of(ONE[0]), best(outcome, &ONE[1..], part)),
        ratio(
            best(outcome, &[TWO[0], ONE[0]], part),
            best(outcome, &peers, part),
        ),
    ]
}

fn number(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(v) if v.abs() < 9.95 => format!("{v:.1}"),
        Some(v) => format!("{v:.0}"),
    }
}

fn fraction(value: Option<f64>) -> String {
    value.map_or_else(String::new, |v| format!("{v:.2}"))
}

/// A table in Markdown whose columns line up.
fn render(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |c: usize| {
        lines
            .iter()
            .map(|l| l[c].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for (i, line) in lines.iter().enumerate() {
        for (c, cell) in line.iter().enumerate() {
            let width = widths[c];
            let _ = match c {
                0 => write!(out, "| {cell:width$} "),
                _ => write!(out, "| {cell:>width$} "),
            };
        }
        out.push_str("|\n");
        if i == 0 {
            for (c, width) in widths.iter().enumerate() {
                let _ = write!(
                    out,
                    "|{}{}",
                    "-".repeat(width + 1),
                    if c == 0 { "-" } else { ":" }
                );
            }
            out.push_str("|\n");
        }
    }
    out
}

impl Results {
    fn group(&self, group: Group) -> Vec<&Outcome> {
        self.outcomes
            .iter()
            .filter(|o| o.row.group == group)
            .collect()
    }

    /// All tables, in Markdown.
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        for (what, value) in &self.machine {
            let _ = writeln!(out, "- {what}: {value}");
        }
        let rounds = self.rounds;
        let _ = write!(
            out,
            "- medians of {rounds} rounds, all runtimes interleaved round by round"
        );
        if self.outcomes.iter().any(|o| o.row.full) {
            let _ = write!(
                out,
                "; of {LARGE_ROUNDS} rounds for rows of a million tasks or 1,000 connections and more"
            );
        }
        out.push('\n');
        for what in &self.skipped {
            let _ = writeln!(out, "- skipped: {what}");
        }
        self.contest(&mut out, "Operations", Group::Common);
        self.contest(&mut out, "Channels", Group::Channels);
        self.contest(&mut out, "Structure", Group::Structure);
        self.contest(&mut out, "Until all is quiet", Group::Quiescence);
        self.contest(&mut out, "Under load", Group::Fairness);
        self.contest(&mut out, "Memory", Group::Memory);
        self.contest(&mut out, "Network", Group::Network);
        self.ours(&mut out);
        self.counts(&mut out);
        self.calls(&mut out);
        out
    }

    fn contest(&self, out: &mut String, title: &str, group: Group) {
        let outcomes = self.group(group);
        if outcomes.is_empty() {
            return;
        }
        let _ = writeln!(out, "\n### {title}\n");
        let timed = outcomes
            .iter()
            .any(|o| !matches!(o.row.unit, Unit::Bytes | Unit::MicrosLate));
        let parts: &[(&str, Part)] = match timed {
            true => &[("Processor time of all threads", cpu), ("Wall clock", wall)],
            false => &[("", wall)],
        };
        for (what, part) in parts {
            if timed {
                let _ = writeln!(out, "{what}, per operation:\n");
            }
            let _ = writeln!(out, "{}", self.table(&outcomes, *part));
        }
    }

    fn table(&self, outcomes: &[&Outcome], part: Part) -> String {
        let mut columns: Vec<&str> = TWO.iter().chain(&ONE).copied().collect();
        if outcomes.iter().any(|o| o.cell(LIMIT).is_some()) {
            columns.push(LIMIT);
        }
        columns.retain(|c| outcomes.iter().any(|o| o.cell(c).is_some()));
        let mut lines = vec![
            ["row", "unit"]
                .iter()
                .chain(&columns)
                .chain(&COMPARISONS)
                .map(|s| (*s).into())
                .collect(),
        ];
        let mut all: [Vec<f64>; 4] = Default::default();
        for outcome in outcomes {
            let mut line = vec![
                outcome.row.name.to_owned(),
                outcome.row.unit.name().to_owned(),
            ];
            line.extend(columns.iter().map(|c| number(value(outcome, c, part))));
            for (ratio, all) in ratios(outcome, part).into_iter().zip(&mut all) {
                line.push(fraction(ratio));
                // Lateness is no cost: it would drown the rest.
                all.extend(ratio.filter(|_| outcome.row.unit != Unit::MicrosLate));
            }
            lines.push(line);
        }
        let mut mean = vec![String::new(); columns.len() + 2];
        mean[0] = "geometric mean".into();
        let means = all
            .iter()
            .map(|all| (!all.is_empty()).then(|| geometric_mean(all)));
        mean.extend(means.map(fraction));
        if outcomes.len() > 1 {
            lines.push(mean);
        }
        render(&lines)
    }

    fn ours(&self, out: &mut String) {
        let outcomes = self.group(Group::Ours);
        if outcomes.is_empty() {
            return;
        }
        let _ = writeln!(out, "\n### Only here\n\nNanoseconds per operation:\n");
        let mut lines: Vec<Vec<String>> = vec![
            [
                "row",
                "mt2 processor",
                "mt2 wall",
                "ct processor",
                "ct wall",
            ]
            .map(String::from)
            .into(),
        ];
        for o in outcomes {
            let of = |column, part| number(value(o, column, part));
            lines.push(vec![
                o.row.name.into(),
                of(TWO[0], cpu),
                of(TWO[0], wall),
                of(ONE[0], cpu),
                of(ONE[0], wall),
            ]);
        }
        let _ = writeln!(out, "{}", render(&lines));
    }

    fn counts(&self, out: &mut String) {
        let columns: Vec<&str> = TWO.iter().chain(&ONE).copied().collect();
        let header = || {
            let line: Vec<String> = ["row"]
                .iter()
                .chain(&columns)
                .map(|s| (*s).into())
                .collect();
            vec![line]
        };
        let mut lines = header();
        for o in &self.outcomes {
            let counts = columns
                .iter()
                .map(|c| o.cell(c).and_then(|cell| cell.allocations));
            let counts: Vec<Option<f64>> = counts.collect();
            if counts.iter().any(Option::is_some) {
                let name = [o.row.name.to_owned()];
                lines.push(
                    name.into_iter()
                        .chain(counts.into_iter().map(fraction))
                        .collect(),
                );
            }
        }
        if lines.len() > 1 {
            let _ = writeln!(out, "\n### Allocations per operation\n\n{}", render(&lines));
        }
        let mut lines = header();
        for (row, counts) in &self.instructions {
            let mut line = vec![row.name.to_owned()];
            for column in &columns {
                let count = counts.iter().find(|(c, _)| c == column);
                line.push(number(count.map(|(_, n)| *n)));
            }
            lines.push(line);
        }
        if lines.len() > 1 {
            let _ = writeln!(
                out,
                "\n### Instructions per operation\n\n{}",
                render(&lines)
            );
        }
    }

    fn calls(&self, out: &mut String) {
        if self.syscalls.is_empty() {
            return;
        }
        let mut header = vec!["calls".to_owned()];
        header.extend(self.syscalls.iter().map(|c| c.column.to_owned()));
        let line = |what: String, of: &dyn Fn(&syscalls::Count) -> String| {
            let mut line = vec![what];
            line.extend(self.syscalls.iter().map(of));
            line
        };
        let (many, idle) = (syscalls::MANY, syscalls::IDLE.as_secs());
        let lines = [
            header,
            line("per echo, 1 connection".into(), &|c| fraction(Some(c.one))),
            line(format!("per echo, {many} connections"), &|c| {
                fraction(Some(c.many))
            }),
            line(format!("in {idle} idle seconds"), &|c| c.idle.to_string()),
        ];
        let _ = writeln!(
            out,
            "\n### System calls of the echo servers\n\n{}",
            render(&lines)
        );
    }

    /// Everything, with every sample.
    pub fn json(&self) -> Value {
        let rows = self.outcomes.iter().map(|o| {
            let cells = o.cells.iter().map(|cell| {
                let samples = cell.samples.iter().map(|s| json!([s.wall, s.cpu]));
                json!({
                    "column": cell.column,
                    "wall": cell.lap().wall,
                    "cpu": cell.lap().cpu,
                    "allocations": cell.allocations,
                    "samples_wall_cpu": samples.collect::<Vec<_>>(),
                })
            });
            json!({
                "row": o.row.name,
                "what": o.row.what,
                "unit": o.row.unit.name(),
                "cells": cells.collect::<Vec<_>>(),
            })
        });
        let instructions = self.instructions.iter().map(|(row, counts)| {
            let counts = counts
                .iter()
                .map(|(c, n)| json!({ "column": c, "instructions": n }));
            json!({ "row": row.name, "cells": counts.collect::<Vec<_>>() })
        });
        let syscalls = self.syscalls.iter().map(|c| {
            json!({
                "column": c.column,
                "per_echo_1": c.one,
                "per_echo_64": c.many,
                "idle": c.idle,
            })
        });
        let machine = self
            .machine
            .iter()
            .map(|(k, v)| ((*k).to_owned(), json!(v)));
        json!({
            "machine": machine.collect::<serde_json::Map<_, _>>(),
            "rounds": self.rounds,
            "rows": rows.collect::<Vec<_>>(),
            "instructions": instructions.collect::<Vec<_>>(),
            "syscalls": syscalls.collect::<Vec<_>>(),
            "skipped": self.skipped,
        })
    }
}

/// The list of rows, for `--list` and the document.
pub fn legend() -> String {
    let mut lines: Vec<Vec<String>> = vec![["row", "what is done"].map(String::from).into()];
    lines.extend(
        ROWS.iter()
            .map(|row| vec![row.name.into(), row.what.into()]),
    );
    render(&lines)
}

/// Puts `tables` between the marks of a document for an allocator, and keeps the rest.
///
/// # Errors
/// When the document has no marks: a message for the user.
pub fn insert(document: &str, tables: &str, allocator: Allocator) -> Result<String, String> {
    let [begin, end] = marks(allocator);
    let missing = |mark| format!("docs/performance.md has no line {mark:?} to write behind");
    let (before, rest) = document.split_once(&begin).ok_or_else(|| missing(&begin))?;
    let (_, after) = rest.split_once(&end).ok_or_else(|| missing(&end))?;
    Ok(format!(
        "{before}{begin}\n\n{}\n\n{end}{after}",
        tables.trim()
    ))
}

/// What stands before and after the generated part of the document.
fn marks(allocator: Allocator) -> [String; 2] {
    let what = match allocator {
        Allocator::System => "tables",
        Allocator::Mimalloc => "tables under mimalloc",
    };
    ["begin", "end"].map(|edge| format!("<!-- {what}: {edge} -->"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contest::Cell;

    #[test]
    fn the_written_part_of_a_document_is_kept() {
        let [begin, end] = marks(Allocator::System);
        let [other, _] = marks(Allocator::Mimalloc);
        let document = format!("a\n{begin}\nold\n{end}\nz\n");
        let written = insert(&document, "new\n", Allocator::System).expect("it has marks");
        assert_eq!(written, format!("a\n{begin}\n\nnew\n\n{end}\nz\n"));
        let refused = insert(&document, "new", Allocator::Mimalloc);
        assert!(refused.is_err_and(|why| why.contains(&other)));
    }

    #[test]
    fn the_document_has_a_place_for_both_tables() {
        let document = include_str!("../../docs/performance.md");
        for allocator in [Allocator::System, Allocator::Mimalloc] {
            assert!(insert(document, "", allocator).is_ok(), "{allocator:?}");
        }
    }

    #[test]
    fn ratios_compare_equal_numbers_of_threads() {
        let cell = |column, cpu| Cell {
            column,
            samples: vec![Lap { wall: 1.0, cpu }],
            allocations: None,
        };
        let outcome = Outcome {
            row: crate::rows::find("yield").expect("it is a row"),
            cells: vec![
                cell(TWO[0], 10.0),
                cell(TWO[1], 20.0),
                cell(TWO[2], 40.0),
                cell(ONE[0], 30.0),
                cell(ONE[1], 10.0),
            ],
        };
        let expected = [Some(0.5), Some(0.5), Some(3.0), Some(1.0)];
        assert_eq!(ratios(&outcome, cpu), expected);
    }
}
