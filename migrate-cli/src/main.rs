//! `asupersync-migrate`: the command line of the codemod.
//!
//! Exit status: 0 nothing to do or done, 1 something needs a human eye, 2 an error.

#![forbid(unsafe_code)]

use asupersync_migrate::demo::{self, Demo};
use asupersync_migrate::{Dependency, Error, Options, Report, rules};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Takes tokio code to Cx style in steps that compile.
#[derive(Parser)]
#[command(
    name = "asupersync-migrate",
    version,
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    rewrite: Rewrite,
}

#[derive(Subcommand)]
enum Command {
    /// Says what a rewrite would do, without asking the compiler.
    Assess {
        /// A directory with a `Cargo.toml`, or a Rust file.
        #[arg(default_value = ".")]
        path: PathBuf,
        /// How to print it.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Rewrites, or shows what would be rewritten (the default command).
    Rewrite(Rewrite),
    /// Takes back the last written run, unless files have changed since.
    Undo {
        /// A directory with a `Cargo.toml`.
        #[arg(default_value = ".")]
        path: PathBuf,
    },
    /// Explains a rule.
    Explain {
        /// Its code, such as `AM040`.
        rule: String,
    },
    /// Takes a sample service the whole way: lint, rewrite, build, load, SIGTERM, lab.
    Demo {
        /// The checkout that has the runtime under `asupersync`.
        #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/.."))]
        checkout: PathBuf,
        /// Clients that talk at the same time.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
        clients: u16,
    },
    /// Lists the rules.
    Rules {
        /// How to print them.
        #[arg(long, value_enum, default_value_t = RulesFormat::Text)]
        format: RulesFormat,
    },
}

#[derive(Args)]
struct Rewrite {
    /// A directory with a `Cargo.toml`, or a Rust file.
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Change the files; without it the diff is shown.
    #[arg(long)]
    write: bool,
    /// Only this module and those below it.
    #[arg(long, value_name = "A::B")]
    module: Option<String>,
    /// Only this rule; may be given more than once.
    #[arg(long, value_name = "RULE")]
    only: Vec<String>,
    /// Not this rule; may be given more than once.
    #[arg(long, value_name = "RULE")]
    skip: Vec<String>,
    /// Also apply edits that need review.
    #[arg(long)]
    review: bool,
    /// Do not check the result with the compiler.
    #[arg(long)]
    no_verify: bool,
    /// Write although there are changes that are not committed.
    #[arg(long)]
    allow_dirty: bool,
    /// Leave the signatures of public functions of libraries.
    #[arg(long)]
    keep_public: bool,
    /// Depend on the runtime in this checkout instead of a released version.
    #[arg(long, value_name = "DIR")]
    asupersync_path: Option<PathBuf>,
    /// Check with these features instead of the default ones and all.
    #[arg(long, value_name = "LIST")]
    features: Option<String>,
    /// Where the checks build.
    #[arg(long, value_name = "DIR")]
    target_dir: Option<PathBuf>,
    /// Say on standard error what is being done.
    #[arg(long, short)]
    verbose: bool,
    /// How to print the report.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Clone, Copy, ValueEnum)]
enum RulesFormat {
    Text,
    Markdown,
}

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    if words
        .next()
        .is_some_and(|word| word == demo::sandbox::CARETAKER)
    {
        demo::sandbox::take_care(&PathBuf::from(words.next().unwrap_or_default()));
        return ExitCode::SUCCESS;
    }
    let cli = Cli::parse();
    let mut out = std::io::stdout().lock();
    if let Some(Command::Demo { checkout, clients }) = &cli.command {
        return run_demo(checkout, *clients, &mut out);
    }
    match run(cli, &mut out) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run_demo(checkout: &Path, clients: u16, out: &mut impl Write) -> ExitCode {
    let checkout = checkout
        .canonicalize()
        .unwrap_or_else(|_| checkout.to_owned());
    let demo = Demo {
        clients: clients.into(),
        colour: std::io::stdout().is_terminal(),
        ..Demo::new(checkout)
    };
    match demo::run(&demo, out) {
        Ok(verdict) if verdict.is_ok() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli, out: &mut dyn Write) -> Result<ExitCode, Error> {
    // A closed pipe on stdout (`| head`) is no failure of the tool.
    let mut print = |text: &str| {
        let _ = out.write_all(text.as_bytes());
    };
    match cli.command.unwrap_or(Command::Rewrite(cli.rewrite)) {
        Command::Demo { .. } => unreachable!("handled before"),
        Command::Assess { path, format } => {
            let report = asupersync_migrate::assess(&path)?;
            match format {
                Format::Json => print(&json(&report)),
                Format::Text => {
                    print(&report.text());
                    print(&format!(
                        "readiness {} % (sites a rule rewrites, of all sites)\n",
                        report.readiness()
                    ));
                }
            }
            Ok(status(&report))
        }
        Command::Rewrite(rewrite) => {
            let options = options(&rewrite);
            let report = asupersync_migrate::rewrite(&options)?;
            match rewrite.format {
                Format::Json => print(&json(&report)),
                Format::Text => {
                    if !report.written {
                        print(&report.diff(std::io::stdout().is_terminal()));
                    }
                    print(&report.text());
                    print(&match (report.changes.len(), report.written) {
                        (0, _) => "nothing to change\n".to_owned(),
                        (files, true) => format!("{files} files changed\n"),
                        (files, false) => {
                            format!("{files} files would change; run with `--write`\n")
                        }
                    });
                }
            }
            Ok(status(&report))
        }
        Command::Undo { path } => {
            for file in asupersync_migrate::undo(&path)? {
                print(&format!("restored {}\n", file.display()));
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Explain { rule } => {
            let found = rules::rule(&rule).ok_or(Error::UnknownRule(rule))?;
            print(&rules::explain(found));
            Ok(ExitCode::SUCCESS)
        }
        Command::Rules { format } => {
            match format {
                RulesFormat::Markdown => print(&rules::reference()),
                RulesFormat::Text => {
                    for rule in rules::TABLE {
                        print(&format!(
                            "{} {:<7} {}\n",
                            rule.code,
                            rule.safety.word(),
                            rule.title
                        ));
                    }
                }
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn options(rewrite: &Rewrite) -> Options {
    Options {
        write: rewrite.write,
        module: rewrite.module.clone(),
        only: rewrite.only.clone(),
        skip: rewrite.skip.clone(),
        review: rewrite.review,
        verify: !rewrite.no_verify,
        allow_dirty: rewrite.allow_dirty,
        keep_public: rewrite.keep_public,
        dependency: match &rewrite.asupersync_path {
            Some(path) => Dependency::Path(path.clone()),
            None => Dependency::default(),
        },
        features: rewrite.features.clone(),
        target_dir: rewrite.target_dir.clone(),
        progress: if rewrite.verbose || std::io::stderr().is_terminal() {
            |text| eprintln!("{text}")
        } else {
            |_| {}
        },
        ..Options::new(&rewrite.path)
    }
}

fn json(report: &Report) -> String {
    let mut value = serde_json::to_value(report).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.insert(
            "counts".to_owned(),
            serde_json::to_value(report.counts()).unwrap_or_default(),
        );
    }
    format!("{value:#}\n")
}

fn status(report: &Report) -> ExitCode {
    if report.needs_review() {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    }
}
