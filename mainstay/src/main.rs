//! The `mainstay` program.

use clap::Parser;

fn main() -> std::process::ExitCode {
    mainstay::commands::run(mainstay::cli::Cli::parse())
}
