//! What the linter reports: findings, and problems that kept it from looking everywhere.

use crate::rules::Rule;
use asupersync_source::edit::Edit;
use asupersync_source::load::{Project, Target};
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Not reported.
    Allow,
    /// Reported.
    Warn,
    /// Reported, and the run fails.
    Deny,
}

impl Level {
    /// `allow`, `warn` or `deny`.
    pub fn word(self) -> &'static str {
        match self {
            Level::Allow => "allow",
            Level::Warn => "warn",
            Level::Deny => "deny",
        }
    }

    /// The level of a word; `off` is `allow`, `error` is `deny`.
    pub fn parse(word: &str) -> Option<Level> {
        match word {
            "allow" | "off" => Some(Level::Allow),
            "warn" => Some(Level::Warn),
            "deny" | "error" => Some(Level::Deny),
            _ => None,
        }
    }
}

/// How far a fix may be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applicability {
    /// The program means the same afterwards, without the finding.
    Safe,
    /// What the finding asks for, but what the program does changes, or it may need a hand to compile.
    Maybe,
}

/// Edits of the finding's file that resolve it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// How far it may be trusted.
    pub applicability: Applicability,
    /// The edits, all or none.
    pub edits: Vec<Edit>,
}

impl Fix {
    pub(crate) fn safe(edits: impl IntoIterator<Item = Edit>) -> Fix {
        Fix {
            applicability: Applicability::Safe,
            edits: edits.into_iter().collect(),
        }
    }

    pub(crate) fn maybe(edits: impl IntoIterator<Item = Edit>) -> Fix {
        Fix {
            applicability: Applicability::Maybe,
            edits: edits.into_iter().collect(),
        }
    }
}

/// One finding.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// How serious it is here.
    pub level: Level,
    /// The file, absolute where it was read from disk.
    pub path: PathBuf,
    /// The bytes of the file it points at.
    pub span: Range<usize>,
    /// Line of the start, from 1.
    pub line: usize,
    /// Column of the start in characters, from 1.
    pub column: usize,
    /// Line of the end.
    pub end_line: usize,
    /// Column of the end.
    pub end_column: usize,
    /// The first line.
    pub message: String,
    /// What stands under the marked code.
    pub label: String,
    /// What goes wrong.
    pub why: String,
    /// What to do.
    pub help: String,
    /// Edits that resolve it, where there are such.
    pub fix: Option<Fix>,
    /// The compiler did not confirm what is called: code behind a `cfg`, a crate that does not compile, or a run without it.
    pub unresolved_types: bool,
    /// The package the file belongs to.
    pub package: String,
    /// Its manifest; none for a lone file.
    pub manifest: Option<PathBuf>,
    /// The target the finding was made in.
    pub target: TargetRef,
    /// The lines of the enclosing statement, for suppressions that stand before or behind it.
    pub(crate) statement_lines: (usize, usize),
}

/// The target of a finding, as cargo names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRef {
    /// Cargo's identifier of the package.
    pub package_id: String,
    /// The target's name.
    pub name: String,
    /// `lib`, `bin`, `example`, `test`, `bench` or `custom-build`.
    pub kind: &'static str,
    /// Its root file.
    pub root: PathBuf,
    /// Its edition.
    pub edition: String,
}

impl TargetRef {
    pub(crate) fn of(project: &Project, target: &Target) -> Self {
        let package = project.package_of(target);
        TargetRef {
            package_id: package.id.clone(),
            name: target.name.clone(),
            kind: target.kind.word(),
            root: project.file(target.root).path.clone(),
            edition: package.edition.clone(),
        }
    }
}

/// Something that could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong and what to do, in lower case.
    pub message: String,
}

/// The result of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The findings by file and position, suppressed and allowed ones left out.
    pub findings: Vec<Finding>,
    /// What could not be looked at.
    pub problems: Vec<Problem>,
    /// How many findings a suppression hid.
    pub suppressed: usize,
    /// How many files were looked at.
    pub files: usize,
    /// Manifests of packages that the compiler was asked about and that do not compile: nothing would check a fix in them.
    pub unbuilt: BTreeSet<PathBuf>,
}

impl Report {
    /// Whether a finding is at deny.
    pub fn denied(&self) -> bool {
        self.findings.iter().any(|one| one.level == Level::Deny)
    }
}
