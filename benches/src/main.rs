//! `cargo run --release -p asupersync-benches`: runs the benchmarks and prints the table.

use asupersync_benches::allocations::Allocator;
use asupersync_benches::gate::Verdict;
use asupersync_benches::options::{Command, Contest, USAGE, parse};
use asupersync_benches::table::{Results, insert, legend};
use asupersync_benches::{contest, echo, gate, instructions, machine, rows, syscalls};
use std::path::Path;
use std::process::{self, ExitCode};

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), String> {
    match command {
        Command::Help => print!("{USAGE}"),
        Command::List => print!("{}", legend()),
        Command::Serve { column } => echo::server::serve(&column).map_err(|e| e.to_string())?,
        Command::Once { row, column, n } => {
            let known = || {
                format!(
                    "there is no column {column:?}; there are {:?}",
                    rows::COLUMNS
                )
            };
            let started = rows::column(&column).ok_or_else(known)?;
            let run = started
                .run(row)
                .ok_or(format!("{column} does not do {}", row.name))?;
            run(n);
        }
        Command::Gate { bless } => gate(bless)?,
        Command::Contest(contest) if contest.allocator != Allocator::BUILT => {
            build_for(contest.allocator)?;
        }
        Command::Contest(contest) => measure(&contest)?,
    }
    Ok(())
}

fn gate(bless: bool) -> Result<(), String> {
    release_only()?;
    let place = format!("{}, {}", machine::compiler(), machine::processor());
    match gate::check(&place, bless)? {
        Verdict::Skipped(why) => println!("skipped: {why}"),
        Verdict::Held(table) => print!("{table}"),
    }
    Ok(())
}

/// Has cargo build the program for that allocator, and do what this one was told.
fn build_for(allocator: Allocator) -> Result<(), String> {
    release_only()?;
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut build = process::Command::new(cargo);
    build.args(["run", "--release", "--quiet", "--manifest-path"]);
    build.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    if allocator == Allocator::Mimalloc {
        build.args(["--features", "mimalloc"]);
    }
    let arguments = std::env::args().skip(1);
    let status = build.arg("--").args(arguments).status();
    match status.map_err(|e| format!("cargo could not be started: {e}"))? {
        status if status.success() => Ok(()),
        status => Err(format!("under {} it failed: {status}", allocator.name())),
    }
}

fn release_only() -> Result<(), String> {
    if cfg!(debug_assertions) {
        return Err("a debug build says nothing about speed: add --release".into());
    }
    Ok(())
}

fn measure(options: &Contest) -> Result<(), String> {
    release_only()?;
    let machine = machine::description();
    let tally = contest::run(options).map_err(|e| e.to_string())?;
    let mut results = Results {
        machine,
        rounds: options.rounds(),
        outcomes: tally.outcomes,
        instructions: Vec::new(),
        syscalls: Vec::new(),
        skipped: tally.skipped,
    };
    if options.counts {
        count(options, &mut results)?;
    }
    for what in &results.skipped {
        eprintln!("skipped: {what}");
    }
    if options.json {
        println!("{:#}", results.json());
    } else {
        print!("{}", results.markdown());
    }
    if options.write_docs {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.md");
        let path = path.as_path();
        let failed = |e| format!("{}: {e}", path.display());
        let document = std::fs::read_to_string(path).map_err(failed)?;
        let mut tables = results.markdown();
        // Once is enough.
        if options.allocator == Allocator::System {
            tables = format!("{tables}\n### Rows\n\n{}", legend());
        }
        let document = insert(&document, &tables, options.allocator)?;
        std::fs::write(path, document).map_err(failed)?;
    }
    Ok(())
}

/// Instructions and system calls, where there are tools to count them.
fn count(options: &Contest, results: &mut Results) -> Result<(), String> {
    let skipped = &mut results.skipped;
    if instructions::available() {
        for (name, n) in instructions::ROWS {
            let row = rows::find(name).ok_or(format!("{name} is no row"))?;
            if options.wants(row) {
                eprintln!("{name:20} under callgrind");
                let counts = instructions::count(row, *n).map_err(|e| e.to_string())?;
                results.instructions.push((row, counts));
            }
        }
    } else {
        skipped.push("instructions, since valgrind is not installed".into());
    }
    let echoes = rows::find("echo-1").is_some_and(|row| options.wants(row));
    if echoes {
        match syscalls::available() {
            Ok(()) => {
                eprintln!("{:20} under strace", "echo servers");
                results.syscalls = syscalls::count().map_err(|e| e.to_string())?;
            }
            Err(reason) => skipped.push(format!("system calls, since {reason}")),
        }
    }
    Ok(())
}
