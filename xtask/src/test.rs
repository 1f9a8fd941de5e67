//! `cargo xtask test`: everything that must hold before a change lands, on a machine that may be fresh.
//!
//! Each step runs even when an earlier one failed, so that one run tells all; the steps that need the program are left
//! out when it does not build. The last line counts.

use crate::postgres::{Cluster, Durability};
use crate::process::{cargo, find, run as run_command, say};
use crate::server::{ENGINES, Engine};
use crate::workspace::{is_ci, shared};
use crate::{Arguments, Error, Result};
use crate::{conformance, e2e, fuzz, licences, python, schemathesis, setup, smoke, types};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const STEPS: &[(&str, &str)] = &[
    ("setup", "what the tests need is installed"),
    ("format", "cargo fmt --check"),
    ("lints", "cargo clippy, no warnings"),
    ("licences", "licences, banned crates and sources of all dependencies"),
    ("tests", "cargo test, on both engines"),
    ("fuzz", "10,000 generated statements on both engines"),
    (
        "shop",
        "the shop in Chromium on both engines, and the same bytes from both",
    ),
    (
        "oauth",
        "sign-in by oidc-provider, and being a provider for openid-client, on both engines",
    ),
    (
        "types",
        "typed programs under the TypeScript compiler, with the types from both engines",
    ),
    ("python", "the published client of supabase-py on both engines"),
    (
        "schemathesis",
        "requests generated from the OpenAPI 3.1 document on both engines",
    ),
    ("smoke", "the published supabase-js on both engines"),
    ("conformance", "the portable conformance cases on both engines"),
];

/// The steps that run the program.
const NEED_PROGRAM: &[&str] = &[
    "shop",
    "oauth",
    "types",
    "python",
    "schemathesis",
    "smoke",
    "conformance",
];

/// What became of a step.
enum Fate {
    Passed,
    Failed(String),
    LeftOut(String),
}

struct Run {
    chosen: Vec<String>,
    fates: Vec<(String, Fate, Duration)>,
}

pub fn run(arguments: &mut Arguments) -> Result<ExitCode> {
    let list = arguments.switch("--list");
    let chosen = arguments.words();
    arguments.finish()?;
    if list {
        STEPS.iter().for_each(|(name, what)| println!("{name:12} {what}"));
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(unknown) = chosen.iter().find(|word| STEPS.iter().all(|(name, _)| name != word)) {
        return Err(Error::new(format!(
            "there is no step `{unknown}`; `cargo xtask test --list` names them"
        )));
    }
    let shared = shared();
    if shared.is_none() && is_ci() {
        return Err(Error::new("CI is set, but ../shared/conformance is not there"));
    }
    let mut run = Run {
        chosen,
        fates: Vec::new(),
    };

    run.step("setup", || {
        setup::ensure(&setup::ALL)?;
        setup::install_client()?;
        python::environment().map(drop)
    });
    run.step("format", || run_command(cargo().args(["fmt", "--all", "--check"])));
    run.step("lints", || {
        run_command(cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ]))
    });
    run.step("licences", check_licences);
    run.step("tests", run_tests);
    run.step("fuzz", fuzz::check);

    let needs_program = |run: &Run| NEED_PROGRAM.iter().any(|name| run.is_chosen(name));
    if needs_program(&run) {
        run_against_the_program(&mut run, shared.as_ref());
    }
    if shared.is_none() {
        say("left out, because ../shared is not beside this repository: smoke, conformance");
    }
    Ok(run.report())
}

/// The black-box steps: they share one build and one PostgreSQL.
fn run_against_the_program(run: &mut Run, shared: Option<&PathBuf>) {
    let mut ready = None;
    run.always("build", || {
        ready = Some((setup::build_mainstay("dev")?, Cluster::start(Durability::None)?));
        Ok(())
    });
    let Some((program, cluster)) = ready else {
        for name in NEED_PROGRAM {
            run.leave_out(name, "the program or PostgreSQL is not there");
        }
        return;
    };
    run.step("shop", || e2e::check(&program, &cluster));
    for engine in ENGINES {
        run.part("oauth", engine, || e2e::check_oauth(&program, engine, Some(&cluster)));
    }
    run.step("types", || types::check(&program, &cluster));
    for engine in ENGINES {
        run.part("python", engine, || python::check(&program, engine, Some(&cluster)));
        run.part("schemathesis", engine, || {
            schemathesis::check(&program, engine, Some(&cluster), &schemathesis::Amount::SMALL)
        });
    }
    let Some(shared) = shared else { return };
    for engine in ENGINES {
        run.part("smoke", engine, || {
            smoke::check(&program, engine, Some(&cluster), shared)
        });
        run.part("conformance", engine, || {
            let outcome = conformance::portable(&program, engine, Some(&cluster), shared, false)?;
            say(format_args!("{}: {}", engine.title(), outcome.summary()));
            outcome.require(conformance::PORTABLE_PERCENT_MIN)
        });
    }
}

/// With `cargo-deny` where it is installed; the same lists by our own hand everywhere.
fn check_licences() -> Result<()> {
    let checked = licences::check()?;
    say(format_args!("{checked} crates obey deny.toml"));
    if find("cargo-deny").is_some() {
        run_command(cargo().args(["deny", "check", "licenses", "bans", "sources"]))?;
    }
    Ok(())
}

/// All tests of the workspace, with a PostgreSQL of their own.
fn run_tests() -> Result<()> {
    let cluster = Cluster::start(Durability::None)?;
    // Tests wait for servers and databases: three for two cores keep them busy.
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let threads = (cores + cores.div_ceil(2)).to_string();
    let with_postgres = |arguments: &[&str]| {
        let mut command = cargo();
        command
            .args(arguments)
            .env("NEXTEST_TEST_THREADS", &threads)
            .env("RUST_TEST_THREADS", &threads)
            .env("MAINSTAY_TEST_POSTGRES", cluster.url("postgres"));
        run_command(&mut command)
    };
    if find("cargo-nextest").is_some() {
        with_postgres(&["nextest", "run", "--workspace", "--locked", "--no-fail-fast"])?;
        return with_postgres(&["test", "--workspace", "--locked", "--doc", "--quiet"]);
    }
    with_postgres(&["test", "--workspace", "--locked", "--no-fail-fast"])
}

impl Run {
    fn is_chosen(&self, name: &str) -> bool {
        self.chosen.is_empty() || self.chosen.iter().any(|word| word == name)
    }

    fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        if self.is_chosen(name) {
            self.always(name, work);
        }
    }

    fn part(&mut self, name: &str, engine: Engine, work: impl FnOnce() -> Result<()>) {
        if self.is_chosen(name) {
            self.always(&format!("{name} ({})", engine.name()), work);
        }
    }

    fn always(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        say(format_args!("── {name}"));
        let start = Instant::now();
        let fate = match work() {
            Ok(()) => Fate::Passed,
            Err(error) => {
                say(format_args!("{name} failed: {error}"));
                Fate::Failed(error.to_string())
            }
        };
        self.fates.push((name.to_owned(), fate, start.elapsed()));
    }

    fn leave_out(&mut self, name: &str, reason: &str) {
        if self.is_chosen(name) {
            self.fates
                .push((name.to_owned(), Fate::LeftOut(reason.to_owned()), Duration::ZERO));
        }
    }

    /// Prints what became of each step. A step that was left out because another failed counts as failed.
    fn report(&self) -> ExitCode {
        println!();
        let (mut passed, mut failed) = (0, 0);
        for (name, fate, took) in &self.fates {
            let seconds = took.as_secs_f64();
            match fate {
                Fate::Passed => {
                    passed += 1;
                    println!("  passed    {name:24} {seconds:7.1} s");
                }
                Fate::Failed(why) => {
                    failed += 1;
                    println!(
                        "  FAILED    {name:24} {seconds:7.1} s  {}",
                        why.lines().next().unwrap_or_default()
                    );
                }
                Fate::LeftOut(why) => {
                    failed += 1;
                    println!("  LEFT OUT  {name:24}            {why}");
                }
            }
        }
        println!("\n{passed} passed, {failed} failed");
        if failed == 0 && passed > 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}
