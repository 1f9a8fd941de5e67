//! Generated statements, and PostgreSQL's regression files, on both engines: builds `mainstay-fuzz` and runs it beside a
//! private PostgreSQL.
//!
//! `regress --write` keeps the table in `docs/portability.md`.

use crate::postgres::{Cluster, Durability};
use crate::process::{cargo, run as run_command, say};
use crate::workspace::{binary, root, target, write_section};
use crate::{Arguments, Context, Error, Result};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// Statements that `cargo xtask test` compares.
const TEST_CASES: u64 = 10_000;
/// Options of `fuzz run` that take a number.
const NUMBERS: [&str; 5] = ["--cases", "--seed", "--seconds", "--threads", "--failures"];

pub fn run(arguments: &mut Arguments) -> Result<ExitCode> {
    let mut options = Vec::new();
    for name in NUMBERS {
        if let Some(number) = arguments.number(name)? {
            options.extend([name.to_owned(), number.to_string()]);
        }
    }
    for name in ["--no-shrink", "--verbose"] {
        if arguments.switch(name) {
            options.push(name.to_owned());
        }
    }
    arguments.finish()?;
    let program = build()?;
    let cluster = Cluster::start(Durability::None)?;
    run_command(command(&program, &cluster).arg("run").args(options))?;
    Ok(ExitCode::SUCCESS)
}

/// The step of `cargo xtask test`.
pub fn check() -> Result<()> {
    let program = build()?;
    let cluster = Cluster::start(Durability::None)?;
    run_command(command(&program, &cluster).args(["run", "--cases", &TEST_CASES.to_string()]))
}

pub fn regress(arguments: &mut Arguments) -> Result<ExitCode> {
    let write = arguments.switch("--write");
    let verbose = arguments.switch("--verbose");
    let only = arguments.value("--only")?;
    let source = arguments.value("--postgres-src")?;
    arguments.finish()?;
    let source = source.ok_or_else(|| {
        Error::new("`--postgres-src DIR` is needed: the unpacked source of PostgreSQL 15, outside this repository")
    })?;
    if write && only.is_some() {
        return Err(Error::new("`--write` needs all files: leave out `--only`"));
    }
    let program = build()?;
    let cluster = Cluster::start(Durability::None)?;
    let out = target().join("regress.md");
    let mut run = command(&program, &cluster);
    run.args(["regress", "--postgres-src", &source]).arg("--out").arg(&out);
    if let Some(only) = &only {
        run.args(["--only", only]);
    }
    if verbose {
        run.arg("--verbose");
    }
    let result = run_command(&mut run);
    if write {
        let body = std::fs::read_to_string(&out).context(out.display())?;
        let document = root().join("docs/portability.md");
        write_section(&document, "", "regress", &body)?;
        say(format_args!("wrote {}", document.display()));
    }
    result?;
    Ok(ExitCode::SUCCESS)
}

fn build() -> Result<PathBuf> {
    // The whole workspace selects the features, so that no dependency is built anew after its tests.
    run_command(cargo().args(["build", "--locked", "--quiet", "--workspace", "--bin", "fuzz"]))?;
    Ok(binary("dev", "fuzz"))
}

fn command(program: &PathBuf, cluster: &Cluster) -> Command {
    let mut command = Command::new(program);
    command.env("MAINSTAY_TEST_POSTGRES", cluster.url("postgres"));
    command
}
