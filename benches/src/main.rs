//! `cargo run --release -p asupersync-benches`: runs the benchmarks and prints the table.

use asupersync_benches::gate::Verdict;
use asupersync_benches::options::{Command, Contest, USAGE, parse};
use asupersync_benches::table::{Results, insert, legend};
use asupersync_benches::{contest, echo, gate, instructions, machine, rows};
use std::path::Path;
use std::process::ExitCode;

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

fn release_only() -> Result<(), String> {
    if cfg!(debug_assertions) {
        return Err("a debug build says nothing about speed: add --release".into());
    }
    Ok(())
}

fn measure(options: &Contest) -> Result<(), String> {
    release_only()?;
    let machine = machine::description();
    let outcomes = contest::run(options).map_err(|e| e.to_string())?;
    let mut results = Results {
        machine,
        rounds: options.rounds(),
        outcomes,
        instructions: Vec::new(),
    };
    if options.counts && instructions::available() {
        for (name, n) in instructions::ROWS {
            if options.rows.is_empty() || options.rows.contains(name) {
                eprintln!("{name:20} under callgrind");
                let row = rows::find(name).ok_or(format!("{name} is no row"))?;
                let counts = instructions::count(row, *n).map_err(|e| e.to_string())?;
                results.instructions.push((row, counts));
            }
        }
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
        let tables = format!("{}\n### Rows\n\n{}", results.markdown(), legend());
        std::fs::write(path, insert(&document, &tables)?).map_err(failed)?;
    }
    Ok(())
}
