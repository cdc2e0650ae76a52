//! `--baseline FILE`: findings that are known and do not count.
//!
//! A known finding is named by a fingerprint of its rule, its path relative to the baseline, and the marked lines without blanks and
//! comments. Line numbers are not part of it, so code that moves stays known; code that changes is looked at anew. Equal
//! fingerprints are counted: where two are known, a third is new.
//!
//! The file is text, a line per fingerprint in the order of paths, so that it merges and reads in a review:
//!
//! ```text
//! 9c3f60e1b7a2d854 1 AS101 src/main.rs
//! ```

use crate::finding::{Finding, Report};
use crate::texts::Texts;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const HEADER: &str = "\
# Findings that `cargo asupersync-lint --baseline` knows: fingerprint, how often, rule, file.
# `--write-baseline` writes this file anew.
";

/// Why a baseline cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BaselineError {
    #[error("cannot read the baseline {}: {error}; `--write-baseline` makes it", path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("cannot write the baseline {}: {error}", path.display())]
    Write { path: PathBuf, error: io::Error },
    #[error(
        "{}:{line}: expected `FINGERPRINT COUNT RULE FILE`; `--write-baseline` writes the file anew",
        path.display()
    )]
    Malformed { path: PathBuf, line: usize },
}

/// Known findings; the order is that of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Baseline {
    /// Paths are relative to this directory.
    directory: PathBuf,
    known: BTreeMap<Key, usize>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    path: String,
    code: String,
    fingerprint: String,
}

impl Baseline {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Baseline, BaselineError> {
        let text = fs::read_to_string(path).map_err(|error| BaselineError::Read {
            path: path.to_owned(),
            error,
        })?;
        let mut baseline = Baseline::beside(path);
        for (at, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, count) = entry(line).ok_or_else(|| BaselineError::Malformed {
                path: path.to_owned(),
                line: at + 1,
            })?;
            *baseline.known.entry(key).or_default() += count;
        }
        Ok(baseline)
    }

    /// What a report finds, to be written to a file.
    pub(crate) fn of(report: &Report, path: &Path) -> Baseline {
        let mut baseline = Baseline::beside(path);
        let mut texts = Texts::default();
        for finding in &report.findings {
            let key = baseline.key(finding, texts.of(&finding.path));
            *baseline.known.entry(key).or_default() += 1;
        }
        baseline
    }

    fn beside(path: &Path) -> Baseline {
        let path = asupersync_source::load::absolute(path);
        Baseline {
            directory: path.parent().unwrap_or(Path::new("")).to_owned(),
            known: BTreeMap::new(),
        }
    }

    /// Writes the file.
    pub(crate) fn write(&self, path: &Path) -> Result<(), BaselineError> {
        fs::write(path, self.text()).map_err(|error| BaselineError::Write {
            path: path.to_owned(),
            error,
        })
    }

    fn text(&self) -> String {
        let mut text = HEADER.to_owned();
        for (key, count) in &self.known {
            let _ = writeln!(
                text,
                "{} {count} {} {}",
                key.fingerprint, key.code, key.path
            );
        }
        text
    }

    /// Takes the known findings out of a report and says how many they were.
    pub(crate) fn hide(&self, report: &mut Report) -> usize {
        let mut left = self.known.clone();
        let mut texts = Texts::default();
        let before = report.findings.len();
        report.findings.retain(|finding| {
            match left.get_mut(&self.key(finding, texts.of(&finding.path))) {
                Some(count) if *count > 0 => {
                    *count -= 1;
                    false
                }
                _ => true,
            }
        });
        before - report.findings.len()
    }

    fn key(&self, finding: &Finding, source: &str) -> Key {
        let path = relative(&finding.path, &self.directory);
        Key {
            fingerprint: fingerprint(finding, source, &path),
            code: finding.rule.code.to_owned(),
            path,
        }
    }
}

fn entry(line: &str) -> Option<(Key, usize)> {
    let mut parts = line.splitn(4, ' ');
    let (fingerprint, count) = (parts.next()?, parts.next()?.parse().ok()?);
    let (code, path) = (parts.next()?, parts.next()?);
    let key = Key {
        path: path.to_owned(),
        code: code.to_owned(),
        fingerprint: fingerprint.to_owned(),
    };
    Some((key, count))
}

/// A path below a directory, with `/` between its parts on every system.
pub(crate) fn relative(path: &Path, directory: &Path) -> String {
    let path = path.strip_prefix(directory).unwrap_or(path);
    path.to_string_lossy().replace('\\', "/")
}

/// Names a finding by what it says of which code, not by where the code stands: 16 hexadecimal digits, the same on every system
/// and with every version of the compiler.
pub(crate) fn fingerprint(finding: &Finding, source: &str, path: &str) -> String {
    let mut hash = Sha256::new();
    for part in [finding.rule.code, path] {
        hash.update(part);
        hash.update([0]);
    }
    let lines = finding.end_line - finding.line + 1;
    for line in source.lines().skip(finding.line - 1).take(lines) {
        // A text that holds ` //` is cut there too, which only makes the name a little less particular.
        let code = line.split(" //").next().unwrap_or(line);
        let words: String = code.split_whitespace().collect();
        hash.update(words);
    }
    let mut name = String::with_capacity(16);
    for byte in &hash.finalize()[..8] {
        let _ = write!(name, "{byte:02x}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, lint_source};

    const CODE: &str = "fn f() {\n    tokio::spawn(async {});\n}\n";

    /// The fingerprints of a text's findings.
    fn fingerprints(text: &str, path: &str) -> Vec<String> {
        let report = lint_source(path, text, &Options::default()).unwrap();
        let of = |finding| fingerprint(finding, text, path);
        report.findings.iter().map(of).collect()
    }

    #[test]
    fn code_that_moves_keeps_its_name() {
        let name = fingerprints(CODE, "a.rs");
        assert_eq!(name.len(), 1);
        for same in [
            "\n\n// Moved.\nfn f() {\n    tokio::spawn(async {});\n}\n",
            "mod m { fn g() { h(); }\nfn f() {\n        tokio :: spawn( async { } ); // runs on\n} }\n",
        ] {
            assert_eq!(fingerprints(same, "a.rs"), name, "{same}");
        }
        let other = CODE.replace("{});", "{ 1 });");
        assert_ne!(fingerprints(&other, "a.rs"), name);
        assert_ne!(fingerprints(CODE, "b.rs"), name);
    }

    #[test]
    fn the_file_reads_back() {
        let directory = tempfile::tempdir().unwrap();
        let (source, file) = (
            directory.path().join("with blank.rs"),
            directory.path().join("known"),
        );
        fs::write(&source, CODE).unwrap();
        let lint = || crate::lint_paths(std::slice::from_ref(&source), &Options::default());
        let known = Baseline::of(&lint().unwrap(), &file);
        known.write(&file).unwrap();
        assert_eq!(Baseline::read(&file).unwrap(), known);

        // The same statement twice: one is known, the other new.
        let twice = CODE.replace("}\n", "    tokio::spawn(async {});\n}\n");
        fs::write(&source, twice).unwrap();
        let mut report = lint().unwrap();
        assert_eq!(known.hide(&mut report), 1);
        assert_eq!(report.findings.len(), 1);

        fs::write(&file, "9c3f once AS101 a.rs\n").unwrap();
        let error = Baseline::read(&file).unwrap_err().to_string();
        assert!(error.contains("known:1: expected"), "{error}");
    }
}
