//! The `mainstay` program.

use clap::Parser;

/// A request is some fifty small allocations: this one's cost a tenth less CPU per read than the C library's
/// (`docs/benchmarks.md`), and far less than musl's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    mainstay::commands::run(mainstay::cli::Cli::parse())
}
