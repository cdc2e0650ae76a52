//! `cargo asupersync-lint`.

use std::process::ExitCode;

fn main() -> ExitCode {
    asupersync_lint::cli::main(std::env::args_os())
}
