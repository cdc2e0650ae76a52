//! `--fix`, `--unsafe-fixes`, `--diff` and `--add-allow`: what is to be edited, and edits that leave the code as sound as it was.
//!
//! * A *repair* is the edits that answer one finding, all or none. One that overlaps an earlier one waits for the next round.
//! * A file that may not be written, or that git could not bring back, is left as it is, and its repairs are named.
//! * A round writes its repairs and lints again. If something can no longer be looked at that could before - a file does not parse, a
//!   package does not compile - the round is halved until what broke it stands alone; that is taken back and named, the rest stays.

use crate::LintError;
use crate::finding::{Applicability, Finding, Fix, Report};
use crate::suppress;
use crate::texts::Texts;
use asupersync_source::edit::{Edit, EditError, EditSet};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every round makes way for repairs that overlapped; more rounds than this mean that repairs undo one another.
pub(crate) const ROUNDS: usize = 10;

/// Why nothing was repaired, or not everything.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RepairError {
    #[error(transparent)]
    Lint(#[from] LintError),
    #[error("cannot change {}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("cannot change {}: {error}", path.display())]
    Edit { path: PathBuf, error: EditError },
    #[error(
        "{} has changes that are not committed ({files}): commit or stash them, or run with `--allow-dirty`",
        path.display()
    )]
    Dirty { path: PathBuf, files: String },
    #[error(
        "{} is in no git repository, so nothing could be undone; run with `--allow-dirty` if that is meant",
        path.display()
    )]
    NoRepository { path: PathBuf },
}

/// The edits that answer one finding.
#[derive(Clone, Debug)]
pub(crate) struct Repair {
    path: PathBuf,
    /// `AS101 at src/main.rs:6`
    name: String,
    edits: Vec<Edit>,
}

/// How many fixes that are wanted stand in packages that do not compile.
pub(crate) fn unchecked(report: &Report, maybe: bool) -> usize {
    let findings = report.findings.iter();
    findings
        .filter(|finding| wanted(finding, maybe) && is_unchecked(report, finding))
        .count()
}

fn wanted(finding: &Finding, maybe: bool) -> bool {
    let trusted = |fix: &Fix| maybe || fix.applicability == Applicability::Safe;
    finding.fix.as_ref().is_some_and(trusted)
}

fn is_unchecked(report: &Report, finding: &Finding) -> bool {
    let manifest = finding.manifest.as_ref();
    manifest.is_some_and(|manifest| report.unbuilt.contains(manifest))
}

/// The fixes of a report that may be trusted as far as wanted and do not overlap; those that the compiler was to check and cannot are
/// left out.
pub(crate) fn fixes(report: &Report, maybe: bool) -> Vec<Repair> {
    let mut claimed: BTreeMap<&Path, EditSet> = BTreeMap::new();
    let mut repairs = Vec::new();
    for finding in &report.findings {
        let Some(fix) = &finding.fix else { continue };
        let edits = claimed.entry(&finding.path).or_default();
        let left_out = !wanted(finding, maybe) || is_unchecked(report, finding);
        if left_out || fix.edits.iter().any(|edit| edits.conflict(edit).is_some()) {
            continue;
        }
        edits.extend(fix.edits.iter().cloned());
        repairs.push(Repair {
            path: finding.path.clone(),
            name: name(finding),
            edits: fix.edits.clone(),
        });
    }
    repairs
}

/// A suppression before the statement of every finding, one comment for all rules that find something there.
///
/// Without a reason the comment has a placeholder, which the linter does not take for a reason.
pub(crate) fn allowances(report: &Report, reason: Option<&str>) -> Vec<Repair> {
    let mut places: BTreeMap<(&Path, usize), Vec<&Finding>> = BTreeMap::new();
    for finding in &report.findings {
        // What is wrong with a suppression is not cured by another.
        if suppress::can_hide(finding.rule) {
            places
                .entry((&finding.path, finding.statement_lines.0))
                .or_default()
                .push(finding);
        }
    }
    let reason = reason
        .unwrap_or(suppress::PLACEHOLDER)
        .replace(['"', '\n'], "'");
    let mut texts = Texts::default();
    let mut repairs = Vec::new();
    for ((path, line), findings) in places {
        let text = texts.of(path);
        let Some(start) = suppress::comment_place(text, line) else {
            continue;
        };
        let mut codes: Vec<&str> = findings.iter().map(|finding| finding.rule.code).collect();
        codes.sort_unstable();
        codes.dedup();
        let indent: String = text[start..]
            .chars()
            .take_while(|character| matches!(character, ' ' | '\t'))
            .collect();
        let comment = format!(
            "{indent}// {} allow({}, reason = \"{reason}\")\n",
            suppress::MARK,
            codes.join(", ")
        );
        repairs.push(Repair {
            path: path.to_owned(),
            name: name(findings[0]),
            edits: vec![Edit::insert(start, comment)],
        });
    }
    repairs
}

fn name(finding: &Finding) -> String {
    format!(
        "{} at {}:{}",
        finding.rule.code,
        finding.path.display(),
        finding.line
    )
}

/// What the files of some repairs would become, as unified diffs.
pub(crate) fn diff(repairs: &[Repair], base: &Path) -> Result<String, RepairError> {
    let mut text = String::new();
    for (path, edits) in &by_file(repairs) {
        let before = read(path)?;
        let after = applied(path, &before, edits)?;
        let shown = crate::baseline::relative(path, base);
        text += &similar::TextDiff::from_lines(&before, &after)
            .unified_diff()
            .header(&format!("a/{shown}"), &format!("b/{shown}"))
            .to_string();
    }
    Ok(text)
}

/// What became of a round.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// How many repairs stayed.
    pub(crate) kept: usize,
    /// Those that were taken back, with what they broke.
    pub(crate) taken_back: Vec<String>,
}

/// One round of repairs of what a report found.
pub(crate) struct Round<'a> {
    /// Lints what was linted for the report.
    lint: &'a mut dyn FnMut() -> Result<Report, LintError>,
    /// As they were before the round; repairs are edits of these.
    originals: BTreeMap<PathBuf, String>,
    kept: Vec<Repair>,
    outcome: Outcome,
}

impl<'a> Round<'a> {
    /// Carries out repairs of what `report` found, as far as they do no harm; returns what is found afterwards.
    ///
    /// # Errors
    /// When a file cannot be read or written, or linting fails as a whole. Files are then as before or as after a part of the round.
    pub(crate) fn run(
        report: Report,
        repairs: &[Repair],
        lint: &'a mut dyn FnMut() -> Result<Report, LintError>,
    ) -> Result<(Report, Outcome), RepairError> {
        let mut originals = BTreeMap::new();
        for repair in repairs {
            if !originals.contains_key(&repair.path) {
                originals.insert(repair.path.clone(), read(&repair.path)?);
            }
        }
        let mut round = Round {
            lint,
            originals,
            kept: Vec::new(),
            outcome: Outcome::default(),
        };
        let report = round.settle(report, repairs)?;
        Ok((report, round.outcome))
    }

    fn settle(&mut self, report: Report, repairs: &[Repair]) -> Result<Report, RepairError> {
        if repairs.is_empty() {
            return Ok(report);
        }
        let before = self.kept.len();
        self.kept.extend(repairs.iter().cloned());
        self.write(repairs)?;
        let after = (self.lint)();
        let sound = |after: &Report| after.problems.len() <= report.problems.len();
        if after.as_ref().is_ok_and(sound) {
            self.outcome.kept += repairs.len();
            return Ok(after?);
        }
        self.kept.truncate(before);
        self.write(repairs)?;
        let after = after?;
        if let [repair] = repairs {
            let broken = after
                .problems
                .iter()
                .find(|problem| !report.problems.contains(problem));
            let what = broken.map_or("", |problem| problem.message.as_str());
            self.outcome
                .taken_back
                .push(format!("{} is taken back: {what}", repair.name));
            return Ok(report);
        }
        let (first, second) = repairs.split_at(repairs.len() / 2);
        let report = self.settle(report, first)?;
        self.settle(report, second)
    }

    /// Writes the files of some repairs as the kept ones make them.
    fn write(&self, repairs: &[Repair]) -> Result<(), RepairError> {
        let mut kept = by_file(&self.kept);
        for path in by_file(repairs).into_keys() {
            let edits = kept.remove(path).unwrap_or_default();
            let text = applied(path, &self.originals[path], &edits)?;
            fs::write(path, text).map_err(|error| RepairError::File {
                path: path.to_owned(),
                error,
            })?;
        }
        Ok(())
    }
}

fn by_file(repairs: &[Repair]) -> BTreeMap<&Path, EditSet> {
    let mut files: BTreeMap<&Path, EditSet> = BTreeMap::new();
    for repair in repairs {
        let edits = files.entry(&repair.path).or_default();
        edits.extend(repair.edits.iter().cloned());
    }
    files
}

fn read(path: &Path) -> Result<String, RepairError> {
    fs::read_to_string(path).map_err(|error| RepairError::File {
        path: path.to_owned(),
        error,
    })
}

fn applied(path: &Path, text: &str, edits: &EditSet) -> Result<String, RepairError> {
    let applied = edits.apply(text).map_err(|error| RepairError::Edit {
        path: path.to_owned(),
        error,
    })?;
    Ok(applied.text)
}

/// Whether what is to be changed could be brought back from git.
///
/// # Errors
/// When a path lies in no repository, or in one that has changes.
pub(crate) fn check_clean(paths: &[PathBuf]) -> Result<(), RepairError> {
    let here = [PathBuf::from(".")];
    let paths = if paths.is_empty() { &here } else { paths };
    for path in paths {
        let path = asupersync_source::load::absolute(path);
        let Some(status) = git(directory_of(&path), &["status", "--porcelain"]) else {
            return Err(RepairError::NoRepository { path });
        };
        let mut files: Vec<&str> = status.lines().filter_map(|line| line.get(3..)).collect();
        if !files.is_empty() {
            let more = files.len() > 3;
            files.truncate(3);
            let more = if more { ", .." } else { "" };
            return Err(RepairError::Dirty {
                files: format!("{}{more}", files.join(", ")),
                path,
            });
        }
    }
    Ok(())
}

/// The files that stay as they are: those that may not be written, and, unless changes need not be undone, those whose text git does
/// not have. [`check_clean`] looks at the repository of what was named; the path of a module, a link or a repository inside another
/// may lead out of it.
pub(crate) struct Kept {
    allow_dirty: bool,
    /// Asked before a file is first changed: afterwards it has changes, our own.
    reasons: BTreeMap<PathBuf, Option<&'static str>>,
}

impl Kept {
    pub(crate) fn new(allow_dirty: bool) -> Kept {
        Kept {
            allow_dirty,
            reasons: BTreeMap::new(),
        }
    }

    /// Takes the repairs of such files out, and names them.
    pub(crate) fn take_out(&mut self, repairs: &mut Vec<Repair>) -> Vec<String> {
        let mut named = Vec::new();
        repairs.retain(|repair| {
            let reason = self
                .reasons
                .entry(repair.path.clone())
                .or_insert_with(|| keeps(&repair.path, self.allow_dirty));
            if let Some(reason) = reason {
                named.push(format!("{} is left: {reason}", repair.name));
            }
            reason.is_none()
        });
        named
    }
}

/// Why a file stays as it is, if it does.
fn keeps(path: &Path, allow_dirty: bool) -> Option<&'static str> {
    let Ok(metadata) = fs::metadata(path) else {
        return Some("the file cannot be read");
    };
    if metadata.permissions().readonly() {
        return Some("the file is read-only");
    }
    if allow_dirty {
        return None;
    }
    // Git knows a file by where it is, not by a link that leads to it.
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = real.file_name().and_then(|name| name.to_str())?;
    let ask = |words: &[&str]| git(directory_of(&real), &[words, &["--", name]].concat());
    if ask(&["ls-files", "--error-unmatch"]).is_none() {
        return Some("git does not have the file; `--allow-dirty` changes it all the same");
    }
    match ask(&["status", "--porcelain"]) {
        Some(status) if status.is_empty() => None,
        _ => Some("it has changes that are not committed"),
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.is_dir() {
        true => path,
        false => path.parent().unwrap_or(Path::new("/")),
    }
}

/// What git prints, if it succeeds.
fn git(directory: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args(arguments)
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Problem;

    /// Repairs that write `good` or `bad` over the digits of a file; `bad` is what the linter cannot read.
    fn check(words: [&str; 5], expected: &str, kept: usize) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.rs");
        fs::write(&path, "0 1 2 3 4").unwrap();
        let repairs: Vec<Repair> = words
            .iter()
            .enumerate()
            .map(|(at, word)| Repair {
                path: path.clone(),
                name: format!("number {at}"),
                edits: vec![Edit::replace(2 * at..2 * at + 1, *word)],
            })
            .collect();
        let mut lint = || {
            let mut report = Report::default();
            if fs::read_to_string(&path).unwrap().contains("bad") {
                report.problems.push(Problem {
                    message: "cannot parse".to_owned(),
                });
            }
            Ok(report)
        };
        let (report, outcome) = Round::run(Report::default(), &repairs, &mut lint).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        assert_eq!(outcome.kept, kept);
        assert!(report.problems.is_empty());
        let named: Vec<String> = words
            .iter()
            .enumerate()
            .filter(|(_, word)| **word == "bad")
            .map(|(at, _)| format!("number {at} is taken back: cannot parse"))
            .collect();
        assert_eq!(outcome.taken_back, named);
    }

    #[test]
    fn what_breaks_the_code_is_taken_back_alone() {
        let good = "good";
        check([good; 5], "good good good good good", 5);
        check([good, "bad", good, good, good], "good 1 good good good", 4);
        check(["bad", good, good, "bad", "bad"], "0 good good 3 4", 2);
    }
}
