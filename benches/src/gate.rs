//! Instructions per operation against those stored in the repository.
//!
//! Callgrind counts are the same run after run, so a change that makes an
//! operation dearer shows, whatever else the machine does. They depend on the
//! compiler, and on the processor through the C library's choice of routines:
//! elsewhere nothing is compared, and the program says so. Only the
//! current-thread flavour is held to its counts: with two threads, who wakes
//! whom is part of the count.

use crate::instructions;
use crate::rows;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// How much dearer an operation may become before somebody has to say so.
pub const ALLOWANCE: f64 = 0.03;
/// Counts below this are held to so many instructions instead.
const GRAIN: f64 = 2.0;
/// The flavour that is gated.
const COLUMN: &str = "asupersync ct";
/// What is gated, and how often it is done.
const GATED: &[(&str, u32)] = &[
    ("spawn-join", 2_000),
    ("yield", 10_000),
    ("ping-pong", 1_000),
    ("mpsc-1", 5_000),
    ("mpsc-tight", 2_000),
    ("mutex", 20_000),
    ("semaphore", 20_000),
    ("semaphore-8", 2_000),
    ("timer", 2_000),
    ("region", 1_000),
    ("checkpoint", 100_000),
    ("reserve", 2_000),
];

/// The counts that are stored, and where.
struct Stored {
    /// The compiler and the processor.
    place: String,
    counts: Vec<(String, f64)>,
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("counts.json")
}

impl Stored {
    fn read() -> Result<Self, String> {
        let path = path();
        let failed = |e: &dyn std::fmt::Display| {
            format!("{}: {e}; write it anew with --bless", path.display())
        };
        let text = std::fs::read_to_string(&path).map_err(|e| failed(&e))?;
        Self::parse(&text).map_err(|e| failed(&e))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let json: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let place = json["place"].as_str().ok_or("no place is named")?;
        let counts = json["instructions"].as_object().ok_or("no counts")?;
        let counts = counts.iter().map(|(row, count)| {
            let count = count.as_f64().ok_or(format!("{row} has no count"))?;
            Ok((row.clone(), count))
        });
        Ok(Stored {
            place: place.to_owned(),
            counts: counts.collect::<Result<_, String>>()?,
        })
    }

    fn write(&self) -> Result<(), String> {
        let counts = self.counts.iter().map(|(row, n)| (row.clone(), json!(n)));
        let json = json!({
            "place": self.place,
            "column": COLUMN,
            "instructions": counts.collect::<serde_json::Map<_, _>>(),
        });
        std::fs::write(path(), format!("{json:#}\n"))
            .map_err(|e| format!("{}: {e}", path().display()))
    }

    fn of(&self, row: &str) -> Option<f64> {
        self.counts.iter().find(|(r, _)| r == row).map(|(_, n)| *n)
    }
}

/// What the gate found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Nothing was counted, and why.
    Skipped(String),
    /// Each row's count beside the one that is stored.
    Held(String),
}

/// Counts, and compares with what is stored; with `bless`, stores instead.
///
/// # Errors
/// A message for the user: which rows have become dearer, or that valgrind or the file fails.
pub fn check(place: &str, bless: bool) -> Result<Verdict, String> {
    if !instructions::available() {
        return Ok(Verdict::Skipped("valgrind is not installed".into()));
    }
    let stored = if bless { None } else { Some(Stored::read()?) };
    if let Some(stored) = &stored
        && stored.place != place
    {
        let there = &stored.place;
        return Ok(Verdict::Skipped(format!(
            "the stored counts are of {there}, and this is {place}"
        )));
    }
    let mut counts = Vec::new();
    for (name, n) in GATED {
        let row = rows::find(name).ok_or(format!("{name} is no row"))?;
        let count = instructions::per_operation(row, COLUMN, *n).map_err(|e| e.to_string())?;
        counts.push(((*name).to_owned(), (count * 10.0).round() / 10.0));
    }
    let found = Stored {
        place: place.to_owned(),
        counts,
    };
    let Some(stored) = stored else {
        found.write()?;
        return Ok(Verdict::Held(table(&found, &found).0));
    };
    let (table, dearer) = table(&stored, &found);
    if dearer.is_empty() {
        return Ok(Verdict::Held(table));
    }
    Err(format!(
        "{table}\n{} cost more instructions than benches/counts.json allows (3 %).\n\
         Make them cheaper, or store the new counts and say why in the commit:\n  \
         cargo run --release -p asupersync-benches -- --bless",
        dearer.join(", ")
    ))
}

/// The rows side by side, and the names of those that are dearer than allowed.
fn table(stored: &Stored, found: &Stored) -> (String, Vec<String>) {
    let mut lines = format!("{:<12} {:>9} {:>9}  change\n", "row", "stored", "found");
    let mut dearer = Vec::new();
    for (row, now) in &found.counts {
        let then = stored.of(row);
        let change = then.map_or("new".into(), |then| {
            format!("{:+.1} %", (now / then - 1.0) * 100.0)
        });
        let shown = then.map_or("-".into(), |then| format!("{then:.1}"));
        lines += &format!("{row:<12} {shown:>9} {now:>9.1}  {change}\n");
        if then.is_none_or(|then| *now > then * (1.0 + ALLOWANCE) && *now > then + GRAIN) {
            dearer.push(row.clone());
        }
    }
    (lines, dearer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(counts: &[(&str, f64)]) -> Stored {
        Stored {
            place: "here".into(),
            counts: counts.iter().map(|(r, n)| ((*r).into(), *n)).collect(),
        }
    }

    #[test]
    fn only_what_is_dearer_than_allowed_is_refused() {
        let then = stored(&[("a", 1000.0), ("b", 1000.0), ("c", 10.0), ("d", 10.0)]);
        let now = stored(&[
            ("a", 1029.0),
            ("b", 1031.0),
            ("c", 12.0),
            ("d", 12.5),
            ("e", 1.0),
        ]);
        let (table, dearer) = table(&then, &now);
        assert_eq!(dearer, ["b", "d", "e"], "{table}");
        assert!(table.contains("+3.1 %"), "{table}");
        let (_, cheaper) = super::table(&now, &then);
        assert!(cheaper.is_empty());
    }

    #[test]
    fn the_stored_counts_cover_what_is_gated() {
        let stored = Stored::read().expect("it is in the repository");
        for (row, _) in GATED {
            assert!(rows::find(row).is_some(), "{row}");
            assert!(stored.of(row).is_some(), "{row} has no stored count");
        }
        assert!(Stored::parse("{}").is_err());
        assert!(Stored::parse("nonsense").is_err());
    }
}
