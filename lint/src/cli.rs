//! The program: arguments in, findings out, exit code 0 (clean), 1 (findings at deny) or 2 (usage, or something could not be looked
//! at).

use crate::finding::{Finding, Level, Report};
use crate::rules::{self, RULES};
use crate::{Engine, Options, lint_paths, render};
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, ValueEnum};
use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
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

/// Runs the program on its arguments, the first of which is its own name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
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
            "unknown rule `{code}`; `--explain` without a code lists them"
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
    let report = match lint_paths(&arguments.paths, &options) {
        Ok(report) => report,
        Err(error) => return fail(&error.to_string()),
    };
    for problem in &report.problems {
        complain(&problem.message);
    }
    if arguments.statistics {
        out(render::statistics(&report).trim_end());
    } else {
        print(&report, arguments);
    }
    if arguments.exit_zero {
        ExitCode::SUCCESS
    } else if !report.problems.is_empty() {
        ExitCode::from(2)
    } else {
        ExitCode::from(u8::from(report.denied()))
    }
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
    let mut sources: HashMap<&Path, String> = HashMap::new();
    for finding in &report.findings {
        let source = sources
            .entry(&finding.path)
            .or_insert_with(|| std::fs::read_to_string(&finding.path).unwrap_or_default());
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
    if errors + warnings > 0 {
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

fn fail(message: &str) -> ExitCode {
    complain(message);
    ExitCode::from(2)
}
