//! Report: what was seen, done, left and why.

use crate::collect::TokioLibrary;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::PathBuf;

/// What became of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// Rewritten, same behaviour.
    Automatic,
    /// Rewritten, and to be looked at.
    Review,
    /// Left as it was.
    Marked,
    /// Rewritten, refused by the compiler, and left as it was.
    Withdrawn,
}

/// One use of tokio.
#[derive(Clone, Debug, Serialize)]
pub struct SiteReport {
    /// The file, relative to the workspace.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// The module.
    pub module: String,
    /// The tokio item.
    pub item: String,
    /// The rule, where one names it.
    pub rule: Option<String>,
    /// What became of it.
    pub fate: Fate,
    /// Why it needs review or was left.
    pub reason: Option<String>,
}

/// The change of one file.
#[derive(Clone, Debug, Serialize)]
pub struct FileChange {
    /// The file, absolute.
    pub path: PathBuf,
    /// Its text before.
    #[serde(skip)]
    pub before: String,
    /// Its text after.
    #[serde(skip)]
    pub after: String,
}

/// How many sites of each fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All.
    pub seen: usize,
    /// See [`Fate::Automatic`].
    pub automatic: usize,
    /// See [`Fate::Review`].
    pub review: usize,
    /// See [`Fate::Marked`].
    pub marked: usize,
    /// See [`Fate::Withdrawn`].
    pub withdrawn: usize,
}

/// What a run found and did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The root of the workspace.
    pub root: PathBuf,
    /// Every use of tokio.
    pub sites: Vec<SiteReport>,
    /// The files that change.
    pub changes: Vec<FileChange>,
    /// Dependencies that run on tokio.
    pub libraries: Vec<TokioLibrarySummary>,
    /// Packages whose entry points run inside a boundary.
    pub boundaries: Vec<String>,
    /// Files that were left out because they cannot be read or parsed.
    pub skipped_files: Vec<String>,
    /// How many times the compiler was asked; none where verification was off.
    pub checks: Option<usize>,
    /// Whether the changes are on disk.
    pub written: bool,
}

/// A dependency that runs on tokio.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokioLibrarySummary {
    /// The package that depends on it.
    pub package: String,
    /// Its name.
    pub name: String,
    /// `boundary` or `works without a runtime`.
    pub placement: &'static str,
}

impl From<&TokioLibrary> for TokioLibrarySummary {
    fn from(library: &TokioLibrary) -> Self {
        TokioLibrarySummary {
            package: library.package.clone(),
            name: library.name.clone(),
            placement: if library.needs_runtime {
                "boundary"
            } else {
                "works without a runtime"
            },
        }
    }
}

impl Report {
    /// The sums.
    pub fn counts(&self) -> Counts {
        let of = |fate| self.sites.iter().filter(|site| site.fate == fate).count();
        Counts {
            seen: self.sites.len(),
            automatic: of(Fate::Automatic),
            review: of(Fate::Review),
            marked: of(Fate::Marked),
            withdrawn: of(Fate::Withdrawn),
        }
    }

    /// Whether a human has something to look at.
    pub fn needs_review(&self) -> bool {
        self.sites.iter().any(|site| site.fate != Fate::Automatic) || !self.skipped_files.is_empty()
    }

    /// The share of sites that were rewritten, in percent; a program that uses no tokio is done.
    pub fn readiness(&self) -> u32 {
        let counts = self.counts();
        if counts.seen == 0 {
            return 100;
        }
        let done = counts.automatic + counts.review;
        u32::try_from(done * 100 / counts.seen).unwrap_or(100)
    }

    /// The report as text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for file in &self.skipped_files {
            let _ = writeln!(out, "left out: {file}");
        }
        for (fate, title) in [
            (Fate::Review, "To review"),
            (
                Fate::Withdrawn,
                "Withdrawn (the compiler refused the rewrite)",
            ),
            (Fate::Marked, "Left on tokio"),
        ] {
            let sites: Vec<&SiteReport> =
                self.sites.iter().filter(|site| site.fate == fate).collect();
            if sites.is_empty() {
                continue;
            }
            let _ = writeln!(out, "{title}:");
            for site in sites {
                let _ = writeln!(
                    out,
                    "  {}:{}: {} {}{}",
                    site.file.display(),
                    site.line,
                    site.rule.as_deref().unwrap_or("-"),
                    site.item,
                    site.reason
                        .as_ref()
                        .map_or_else(String::new, |why| format!(": {why}"))
                );
            }
            out.push('\n');
        }
        for library in &self.libraries {
            let _ = writeln!(
                out,
                "{}: `{}` runs on tokio: {}",
                library.package, library.name, library.placement
            );
        }
        for package in &self.boundaries {
            let _ = writeln!(
                out,
                "{package}: code that needs a tokio runtime is left, so its entry points run inside one boundary"
            );
        }
        out.push_str(&self.table());
        out
    }

    /// The sums by rule.
    pub fn table(&self) -> String {
        let mut rows: std::collections::BTreeMap<String, Counts> =
            std::collections::BTreeMap::new();
        for site in &self.sites {
            let row = rows
                .entry(site.rule.clone().unwrap_or_else(|| "no rule".to_owned()))
                .or_default();
            row.seen += 1;
            match site.fate {
                Fate::Automatic => row.automatic += 1,
                Fate::Review => row.review += 1,
                Fate::Marked => row.marked += 1,
                Fate::Withdrawn => row.withdrawn += 1,
            }
        }
        let mut out = format!(
            "{:<8} {:>6} {:>10} {:>7} {:>7} {:>10}\n",
            "rule", "seen", "automatic", "review", "marked", "withdrawn"
        );
        rows.insert("total".to_owned(), self.counts());
        for (name, row) in rows {
            let _ = writeln!(
                out,
                "{name:<8} {:>6} {:>10} {:>7} {:>7} {:>10}",
                row.seen, row.automatic, row.review, row.marked, row.withdrawn
            );
        }
        out
    }

    /// The changes as a diff; with terminal colours where asked.
    pub fn diff(&self, colour: bool) -> String {
        let mut out = String::new();
        for change in &self.changes {
            let path = change.path.strip_prefix(&self.root).unwrap_or(&change.path);
            out.push_str(&diff(
                &path.display().to_string(),
                &change.before,
                &change.after,
                colour,
            ));
        }
        out
    }
}

fn diff(path: &str, before: &str, after: &str, colour: bool) -> String {
    let text = similar::TextDiff::from_lines(before, after)
        .unified_diff()
        .context_radius(2)
        .header(&format!("a/{path}"), &format!("b/{path}"))
        .to_string();
    if !colour {
        return text;
    }
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for line in text.split_inclusive('\n') {
        let (code, plain) = match line.as_bytes().first() {
            Some(b'+') => ("\u{1b}[32m", line),
            Some(b'-') => ("\u{1b}[31m", line),
            Some(b'@') => ("\u{1b}[36m", line),
            _ => ("", line),
        };
        if code.is_empty() {
            out.push_str(plain);
        } else {
            out.push_str(code);
            out.push_str(plain.trim_end_matches('\n'));
            out.push_str("\u{1b}[0m");
            if plain.ends_with('\n') {
                out.push('\n');
            }
        }
    }
    out
}
