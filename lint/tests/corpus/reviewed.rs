//! The reviewed findings on real crates, as `reviewed.tsv` holds them, and the table that follows from them.
//!
//! A row is one finding that a person looked at in the crate's source. It is known by its rule, its file, the text of its line with the
//! white space collapsed, and its number among the findings of that rule on the same text in that file, so that it stays known when
//! lines move.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What a reader of the code says of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// What the rule's "Why is this bad" describes can happen in this code.
    True,
    /// The message is right, and the code sees to the harm by other means, or the case is too small to matter.
    Debatable,
    /// The message is wrong about the code.
    False,
}

impl Verdict {
    fn parse(word: &str) -> Option<Verdict> {
        match word {
            "true" => Some(Verdict::True),
            "debatable" => Some(Verdict::Debatable),
            "false" => Some(Verdict::False),
            _ => None,
        }
    }
}

/// What a finding is known by: crate with version, rule, file, text of its line, number among its likes from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// `mini-redis-0.4.1`
    pub(crate) package: String,
    /// `AS101`
    pub(crate) rule: String,
    /// Relative to the crate's root, with `/`.
    pub(crate) file: String,
    /// The line with white space collapsed, cut at [`CODE_LIMIT`] characters.
    pub(crate) code: String,
    /// From 1.
    pub(crate) nth: usize,
}

/// Longer lines are cut: they are there to be recognised.
pub(crate) const CODE_LIMIT: usize = 120;

/// The text of a line as a key holds it.
pub(crate) fn normalised(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.join(" ").chars().take(CODE_LIMIT).collect()
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The finding.
    pub(crate) key: Key,
    /// `syn`: found without a build. `resolved`: the compiler was needed.
    pub(crate) engine: String,
    /// What it was found to be.
    pub(crate) verdict: Verdict,
    /// Why.
    pub(crate) why: String,
}

/// Reads the rows; a wrong line is an error with its number.
pub(crate) fn parse(text: &str) -> Result<Vec<Row>, String> {
    let lines = text.lines().enumerate();
    let rows = lines.filter(|(_, line)| !line.starts_with('#') && !line.trim().is_empty());
    rows.map(|(at, line)| {
        row(line).ok_or_else(|| {
            format!(
                "line {}: want crate, rule, file, nth, code, engine, verdict, why",
                at + 1
            )
        })
    })
    .collect()
}

fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.split('\t').collect();
    let [package, rule, file, nth, code, engine, verdict, why] = cells[..] else {
        return None;
    };
    if !matches!(engine, "syn" | "resolved") || why.trim().is_empty() {
        return None;
    }
    Some(Row {
        key: Key {
            package: package.to_owned(),
            rule: rule.to_owned(),
            file: file.to_owned(),
            code: code.to_owned(),
            nth: nth.parse().ok()?,
        },
        engine: engine.to_owned(),
        verdict: Verdict::parse(verdict)?,
        why: why.to_owned(),
    })
}

/// How the verdicts of one rule, or of all rules of a level, are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// [`Verdict::True`]
    pub(crate) right: usize,
    /// [`Verdict::Debatable`]
    pub(crate) debatable: usize,
    /// [`Verdict::False`]
    pub(crate) wrong: usize,
}

impl Tally {
    /// Counts one verdict.
    pub(crate) fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::True => self.right += 1,
            Verdict::Debatable => self.debatable += 1,
            Verdict::False => self.wrong += 1,
        }
    }

    /// How many findings there are.
    pub(crate) fn all(self) -> usize {
        self.right + self.debatable + self.wrong
    }

    /// The share that is not wrong, in per cent.
    pub(crate) fn precision(self) -> f64 {
        percent(self.all() - self.wrong, self.all())
    }

    /// The share that is plainly true, in per cent.
    pub(crate) fn strict(self) -> f64 {
        percent(self.right, self.all())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred findings")]
fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// The verdicts by rule.
pub(crate) fn by_rule(rows: &[Row]) -> BTreeMap<&str, Tally> {
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for row in rows {
        tallies.entry(&row.key.rule).or_default().count(row.verdict);
    }
    tallies
}

/// The table of `docs/lint-corpus.md`: a line per rule, then one per level. `describe` gives a rule's name and level.
pub(crate) fn table(
    rows: &[Row],
    describe: impl Fn(&str) -> (&'static str, &'static str),
) -> String {
    let mut text = String::from(
        "| rule | level | reviewed | true | debatable | false | not false | true |\n|---|---|---|---|---|---|---|---|\n",
    );
    let mut levels: BTreeMap<&str, Tally> = BTreeMap::new();
    for (code, tally) in by_rule(rows) {
        let (name, level) = describe(code);
        line(&mut text, &format!("{code} {name}"), level, tally);
        let sum = levels.entry(level).or_default();
        sum.right += tally.right;
        sum.debatable += tally.debatable;
        sum.wrong += tally.wrong;
    }
    for (level, tally) in levels {
        line(&mut text, "**all**", level, tally);
    }
    text
}

fn line(text: &mut String, name: &str, level: &str, tally: Tally) {
    let _ = writeln!(
        text,
        "| {name} | {level} | {} | {} | {} | {} | {:.0} % | {:.0} % |",
        tally.all(),
        tally.right,
        tally.debatable,
        tally.wrong,
        tally.precision(),
        tally.strict(),
    );
}
