//! Both engines on the same statements, and what differs.
//!
//! `fuzz run` makes statements from seeds; `fuzz regress` takes them from PostgreSQL's regression files. Started by
//! `cargo xtask fuzz` and `cargo xtask regress`, which bring a private PostgreSQL (`MAINSTAY_TEST_POSTGRES`).
//!
//! Not here: anything the program needs at run time.

mod campaign;
mod check;
mod compare;
mod engines;
mod generate;
mod random;
mod regress;
mod tree;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use engines::Failure;

/// Statements of a run, unless told otherwise.
const CASES: u64 = 10_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("fuzz: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<ExitCode, Failure> {
    let url = std::env::var("MAINSTAY_TEST_POSTGRES").map_err(|_| "MAINSTAY_TEST_POSTGRES is not set")?;
    match arguments.split_first() {
        Some((task, rest)) if task == "run" => campaign(rest, &url),
        Some((task, rest)) if task == "regress" => regression(rest, &url),
        _ => Err(
            "fuzz run [--cases N] [--seed S] [--seconds T] [--threads N] [--failures N] [--no-shrink] [--verbose]"
                .into(),
        ),
    }
}

fn campaign(arguments: &[String], url: &str) -> Result<ExitCode, Failure> {
    let mut orders = campaign::Orders {
        seed: 1,
        cases: CASES,
        time: None,
        threads: std::thread::available_parallelism()
            .map_or(2, |count| count.get())
            .min(4),
        failures_max: 5,
        shrink: true,
        verbose: false,
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut number = || -> Result<u64, Failure> {
            let text = arguments.next().ok_or_else(|| format!("`{argument}` needs a number"))?;
            Ok(text.parse().map_err(|_| format!("`{argument} {text}`"))?)
        };
        match argument.as_str() {
            "--cases" => orders.cases = number()?,
            "--seed" => orders.seed = number()?,
            "--seconds" => {
                orders.time = Some(Duration::from_secs(number()?));
                orders.cases = u64::MAX;
            }
            "--threads" => orders.threads = number()?.max(1) as usize,
            "--failures" => orders.failures_max = number()?.max(1) as usize,
            "--no-shrink" => orders.shrink = false,
            "--verbose" => orders.verbose = true,
            other => return Err(format!("`{other}` is not understood").into()),
        }
    }
    println!("seed {}", orders.seed);
    let begun = Instant::now();
    let report = campaign::run(&orders, url)?;
    println!("{}", report.summary(begun.elapsed()));
    for (seed, ..) in &report.differences {
        println!("again: cargo xtask fuzz --cases 1 --seed {seed}");
    }
    Ok(if report.differences.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn regression(arguments: &[String], url: &str) -> Result<ExitCode, Failure> {
    let mut orders = regress::Orders {
        source: std::path::PathBuf::new(),
        only: None,
        // The files make and drop roles, which all databases share.
        threads: 1,
        verbose: false,
    };
    let mut out = None;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || -> Result<String, Failure> {
            Ok(arguments
                .next()
                .ok_or_else(|| format!("`{argument}` needs a value"))?
                .clone())
        };
        match argument.as_str() {
            "--postgres-src" => orders.source = value()?.into(),
            "--only" => orders.only = Some(value()?),
            "--threads" => orders.threads = value()?.parse()?,
            "--out" => out = Some(value()?),
            "--verbose" => orders.verbose = true,
            other => return Err(format!("`{other}` is not understood").into()),
        }
    }
    let tallies = regress::run(&orders, url)?;
    let body = regress::body(&tallies);
    if let Some(path) = out {
        std::fs::write(path, &body)?;
    }
    println!("{}", body.lines().find(|line| !line.is_empty()).unwrap_or_default());
    let differences: usize = tallies.iter().map(|tally| tally.different.len()).sum();
    Ok(if differences == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
