//! The program: arguments in, findings out, exit code 0 (clean), 1 (findings at deny) or 2 (usage, or something could not be looked
//! at).
//!
//! `--fix` and its kind lint, repair and lint again; what is printed, and what the exit code tells, is what is left.

use crate::baseline::{Baseline, BaselineError};
use crate::config;
use crate::finding::{Finding, Level, Report};
use crate::fix::{self, RepairError, Round};
use crate::rules::{self, RULES};
use crate::texts::Texts;
use crate::{Engine, LintError, Options, formats, lint_paths, render};
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, ValueEnum};
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Finds what breaks structured concurrency, cancel-correctness and deterministic tests in async Rust.
#[derive(Parser)]
#[command(
    name = "cargo-asupersync-lint",
    bin_name = "cargo asupersync-lint",
    version
)]
struct Arguments {
    /// Packages, files or directories; the package of the current directory by default
    paths: Vec<PathBuf>,
    /// Lint every member of the workspace
    #[arg(long)]
    workspace: bool,
    /// Lint this package of the workspace
    #[arg(short, long = "package", value_name = "PKG")]
    package: Vec<String>,
    /// How findings are printed
    #[arg(long, value_enum, default_value_t = Format::Full)]
    format: Format,
    /// Who names what is called: the compiler, syntax, or both
    #[arg(long, value_enum, default_value_t = EngineName::Both)]
    engine: EngineName,
    /// Print the explanation of a rule; without a code, the list of rules
    #[arg(long, value_name = "CODE", num_args = 0..=1, default_missing_value = "")]
    explain: Option<String>,
    /// Print how often each rule fired instead of the findings
    #[arg(long)]
    statistics: bool,
    /// Apply the fixes that do not change what the program does; the compiler checks the result, unless `--engine syn`
    #[arg(long)]
    fix: bool,
    /// Apply those too that may change what the program does
    #[arg(long)]
    unsafe_fixes: bool,
    /// Print what the fixes would change, and change nothing
    #[arg(long)]
    diff: bool,
    /// Suppress every finding with a comment that gives this reason; without one it stays to be written
    #[arg(long, value_name = "REASON", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    add_allow: Option<String>,
    /// Change files even if git could not bring them back
    #[arg(long)]
    allow_dirty: bool,
    /// Leave out the findings that this file knows
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write what is found to the baseline
    #[arg(long, requires = "baseline")]
    write_baseline: bool,
    /// Exit with 0 whatever is found
    #[arg(long)]
    exit_zero: bool,
    /// Set a rule to deny: a code, a name, `all`, or `warnings`
    #[arg(short = 'D', long, value_name = "CODE")]
    deny: Vec<String>,
    /// Set a rule to warn
    #[arg(short = 'W', long, value_name = "CODE")]
    warn: Vec<String>,
    /// Set a rule to allow
    #[arg(short = 'A', long, value_name = "CODE")]
    allow: Vec<String>,
    /// The highest level, in tests, examples and benchmarks, of the rules that are off there (`--explain CODE` says which are)
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    tests: Option<Level>,
    /// Build with these features (compiler engine)
    #[arg(long, value_name = "FEATURES")]
    features: Vec<String>,
    /// Build with all features (compiler engine)
    #[arg(long)]
    all_features: bool,
    /// Build without the default features (compiler engine)
    #[arg(long)]
    no_default_features: bool,
    /// Build without the network (compiler engine)
    #[arg(long)]
    offline: bool,
    /// When to colour
    #[arg(long, value_enum, default_value_t = Colour::Auto)]
    color: Colour,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// As rustc prints diagnostics
    Full,
    /// One line per finding
    Concise,
    /// Cargo's `compiler-message` lines, for editors
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations of GitHub Actions
    Github,
    /// A Code Quality report of GitLab
    Gitlab,
    /// JUnit's XML
    Junit,
}

#[derive(Clone, Copy, ValueEnum)]
enum EngineName {
    /// Compiler and syntax, merged
    Both,
    /// Syntax alone: no build
    Syn,
    /// The compiler alone
    Clippy,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Colour {
    Auto,
    Always,
    Never,
}

fn level(word: &str) -> Result<Level, String> {
    Level::parse(word).ok_or_else(|| "write `allow`, `warn` or `deny`".to_owned())
}

/// The stack of the thread that lints. Expressions are trees that parser and rules walk by recursion: a sum of ten thousand terms is as
/// deep. The system gives memory only for what is used.
const STACK_BYTES: usize = 1 << 30;

/// Runs the program on its arguments, the first of which is its own name.
///
/// # Panics
/// When the program does.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let given = arguments.clone();
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    match thread.spawn(move || program(given)) {
        Ok(running) => match running.join() {
            Ok(code) => code,
            Err(panic) => std::panic::resume_unwind(panic),
        },
        // No room for such a stack: the one at hand is enough for most code.
        Err(_) => program(arguments),
    }
}

fn program(mut arguments: Vec<OsString>) -> ExitCode {
    // `cargo asupersync-lint` passes the subcommand's name on.
    if arguments
        .get(1)
        .is_some_and(|first| first == "asupersync-lint")
    {
        arguments.remove(1);
    }
    let matches = match Arguments::command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            // Nothing is left to do if the terminal is gone.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let parsed = match Arguments::from_arg_matches(&matches) {
        Ok(parsed) => parsed,
        Err(error) => error.exit(),
    };
    match &parsed.explain {
        Some(code) => explain(code),
        None => lint(&parsed, &matches),
    }
}

fn explain(code: &str) -> ExitCode {
    if code.is_empty() {
        for rule in RULES {
            out(&format!(
                "{}  {:<26} {:<5}  {}",
                rule.code,
                rule.name,
                rule.level.word(),
                rule.summary
            ));
        }
        return ExitCode::SUCCESS;
    }
    match rules::find(code) {
        Some(rule) => {
            out(rules::explain(rule).trim_end());
            ExitCode::SUCCESS
        }
        None => fail(&format!(
            "unknown rule `{code}`; {}",
            config::rule_hint(code)
        )),
    }
}

fn lint(arguments: &Arguments, matches: &ArgMatches) -> ExitCode {
    let mut cargo_args = Vec::new();
    if !arguments.features.is_empty() {
        cargo_args.push(format!("--features={}", arguments.features.join(",")));
    }
    for (set, flag) in [
        (arguments.all_features, "--all-features"),
        (arguments.no_default_features, "--no-default-features"),
        (arguments.offline, "--offline"),
    ] {
        if set {
            cargo_args.push(flag.to_owned());
        }
    }
    let options = Options {
        engine: match arguments.engine {
            EngineName::Both => Engine::Both,
            EngineName::Syn => Engine::Syntactic,
            EngineName::Clippy => Engine::Resolved,
        },
        workspace: arguments.workspace,
        packages: arguments.package.clone(),
        levels: levels(matches),
        tests: arguments.tests,
        blocking: Vec::new(),
        cargo_args,
    };
    // A first build takes as long as the project does.
    if options.engine != Engine::Syntactic && std::io::stderr().is_terminal() {
        let _ = writeln!(
            std::io::stderr(),
            "building with clippy; `--engine syn` lints without"
        );
    }
    let run = match run(arguments, &options) {
        Ok(run) => run,
        Err(error) => return fail(&error.to_string()),
    };
    let report = &run.report;
    for problem in &report.problems {
        complain(&problem.message);
    }
    for note in &run.notes {
        remark(note);
    }
    if let Some(diff) = &run.diff {
        out(diff.trim_end());
    } else if arguments.statistics {
        out(render::statistics(report).trim_end());
    } else {
        print(report, arguments);
    }
    if arguments.exit_zero {
        ExitCode::SUCCESS
    } else if !report.problems.is_empty() {
        ExitCode::from(2)
    } else {
        ExitCode::from(u8::from(report.denied()))
    }
}

/// What ends a run before there is something to print.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Lint(#[from] LintError),
    #[error(transparent)]
    Baseline(#[from] BaselineError),
    #[error(transparent)]
    Repair(#[from] RepairError),
}

/// What there is to print.
struct Run {
    report: Report,
    /// What was done besides linting.
    notes: Vec<String>,
    /// In place of the findings.
    diff: Option<String>,
}

fn run(arguments: &Arguments, options: &Options) -> Result<Run, RunError> {
    let maybe = arguments.unsafe_fixes;
    let fixing = (arguments.fix || maybe) && !arguments.diff;
    let allowing = arguments.add_allow.is_some() && !arguments.diff;
    if (fixing || allowing) && !arguments.allow_dirty {
        fix::check_clean(&arguments.paths)?;
    }
    let known = match &arguments.baseline {
        Some(path) if !arguments.write_baseline => Baseline::read(path)?,
        _ => Baseline::default(),
    };
    let mut hidden = 0;
    let mut lint = || -> Result<Report, LintError> {
        let mut report = lint_paths(&arguments.paths, options)?;
        hidden = known.hide(&mut report);
        Ok(report)
    };
    let mut report = lint()?;
    let reason = arguments.add_allow.as_deref();
    let reason = || reason.filter(|reason| !reason.is_empty());
    let mut notes = Vec::new();
    let mut kept = fix::Kept::new(arguments.allow_dirty);
    if arguments.diff {
        let mut repairs = Vec::new();
        // A suppression to be added is shown alone: together they would be edits of two different texts.
        if arguments.add_allow.is_some() && !arguments.fix && !maybe {
            repairs.extend(fix::allowances(&report, reason()));
        } else {
            repairs.extend(fix::fixes(&report, maybe));
        }
        let base = std::env::current_dir().unwrap_or_default();
        let diff = Some(fix::diff(&repairs, &base)?);
        return Ok(Run {
            report,
            notes,
            diff,
        });
    }
    if fixing {
        let mut fixed = 0;
        let mut left = Vec::new();
        for _ in 0..fix::ROUNDS {
            let mut repairs = fix::fixes(&report, maybe);
            left = kept.take_out(&mut repairs);
            if repairs.is_empty() {
                break;
            }
            let (after, outcome) = Round::run(report, &repairs, &mut lint)?;
            report = after;
            fixed += outcome.kept;
            // The next round would try what was taken back again.
            let stop = !outcome.taken_back.is_empty();
            notes.extend(outcome.taken_back);
            if stop {
                break;
            }
        }
        notes.extend(left);
        let unchecked = fix::unchecked(&report, maybe);
        if unchecked > 0 {
            notes.push(format!(
                "{unchecked} left in packages that do not compile, where nothing would check them; `--engine syn` applies fixes unchecked"
            ));
        }
        notes.push(format!("{fixed} fixed"));
    }
    if allowing {
        let mut repairs = fix::allowances(&report, reason());
        notes.extend(kept.take_out(&mut repairs));
        let (after, outcome) = Round::run(report, &repairs, &mut lint)?;
        report = after;
        notes.extend(outcome.taken_back);
        notes.push(format!("{} suppressions added", outcome.kept));
    }
    if let Some(path) = &arguments.baseline {
        if arguments.write_baseline {
            let baseline = Baseline::of(&report, path);
            baseline.write(path)?;
            notes.push(format!(
                "{} findings are known now",
                baseline.hide(&mut report)
            ));
        } else {
            notes.push(format!("{hidden} known findings left out"));
        }
    }
    Ok(Run {
        report,
        notes,
        diff: None,
    })
}

/// The level options in the order they were given, so that a later one wins.
fn levels(matches: &ArgMatches) -> Vec<(String, Level)> {
    let mut given = Vec::new();
    for (id, level) in [
        ("deny", Level::Deny),
        ("warn", Level::Warn),
        ("allow", Level::Allow),
    ] {
        let values = matches.get_many::<String>(id).into_iter().flatten();
        let places = matches.indices_of(id).into_iter().flatten();
        given.extend(
            places
                .zip(values)
                .map(|(at, word)| (at, word.clone(), level)),
        );
    }
    given.sort_by_key(|(at, ..)| *at);
    given
        .into_iter()
        .map(|(_, word, level)| (word, level))
        .collect()
}

fn print(report: &Report, arguments: &Arguments) {
    let base = std::env::current_dir().unwrap_or_default();
    let colour = match arguments.color {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    };
    let whole = match arguments.format {
        Format::Sarif => Some(formats::sarif::render(report, &base)),
        Format::Github => Some(formats::github::render(report, &base)),
        Format::Gitlab => Some(formats::gitlab::render(report, &base)),
        Format::Junit => Some(formats::junit::render(report, &base)),
        Format::Full | Format::Concise | Format::Json => None,
    };
    if let Some(text) = whole {
        // An empty text is what some of them say when nothing is found.
        let _ = write!(std::io::stdout(), "{text}");
        return;
    }
    let mut texts = Texts::default();
    for finding in &report.findings {
        let source = texts.of(&finding.path);
        // The file changed under the run: the place is known, the text is not.
        let readable = source.get(finding.span.clone()).is_some();
        match arguments.format {
            Format::Json if readable => out(&render::json(finding, source, &base).to_string()),
            Format::Full if readable => {
                out(&render::full(finding, source, &base, colour));
                out("");
            }
            _ => out(&render::concise(finding, &base)),
        }
    }
    if !matches!(arguments.format, Format::Json) {
        summary(report);
    }
}

fn summary(report: &Report) {
    let count = |level: Level| {
        let of_level = |finding: &&Finding| finding.level == level;
        report.findings.iter().filter(of_level).count()
    };
    let (errors, warnings) = (count(Level::Deny), count(Level::Warn));
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    if errors + warnings == 0 {
        // Silence would not tell a clean run from one that looked at nothing.
        remark(&format!(
            "nothing found in {} file{}",
            report.files,
            plural(report.files)
        ));
    } else {
        out(&format!(
            "{errors} error{}, {warnings} warning{} in {} file{}; `--explain CODE` says more",
            plural(errors),
            plural(warnings),
            report.files,
            plural(report.files)
        ));
    }
}

/// A closed pipe (`| head`) is the reader's wish, not an error.
fn out(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn complain(message: &str) {
    let _ = writeln!(std::io::stderr(), "error: {message}");
}

fn remark(message: &str) {
    let _ = writeln!(std::io::stderr(), "note: {message}");
}

fn fail(message: &str) -> ExitCode {
    complain(message);
    ExitCode::from(2)
}
