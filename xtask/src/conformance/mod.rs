//! PostgREST's own specs, kept as data beside the repository, against Mainstay.
//!
//! `--write` keeps `docs/conformance.md`: a table per module and every failing case with its reason, taken from
//! `docs/conformance-reasons.txt` (`prefix of the case's id => reason`, optionally under `[sqlite]`, `[postgres]`, `[full]` or
//! `[full-sqlite]`).

mod document;
mod fixtures;
mod groups;
mod named;
mod outcome;
mod statements;

use crate::postgres::Cluster;
use crate::process::{run as run_command, say};
use crate::server::{Engine, Mainstay, Project};
use crate::setup::{Need, build_mainstay, ensure};
use crate::workspace::{shared, target};
use crate::{Arguments, Context, Error, Result};
use document::{Column, write_document};
use fixtures::Lost;
use groups::Group;
use outcome::Outcome;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// The least share of the portable cases that must pass, in percent, on each engine.
pub const PORTABLE_PERCENT_MIN: f64 = 99.0;
/// The least share of all cases that must pass on PostgreSQL with the full fixtures, in percent.
const FULL_PERCENT_MIN: f64 = 97.0;
/// The same on the embedded engine with what migrates of the fixtures.
const FULL_EMBEDDED_PERCENT_MIN: f64 = 70.0;
/// The version of PostgREST that the suite was taken from.
const SUITE_VERSION: &str = "17";
/// The runner's status when no case is chosen.
const NO_CASES: i32 = 2;
const JWT_SECRET: &str = "reallyreallyreallyreallyverysafe";

/// The suite's base settings, as its README lists them.
const BASE_SETTINGS: &[(&str, &str)] = &[
    ("PGRST_DB_SCHEMAS", "test"),
    ("PGRST_DB_EXTRA_SEARCH_PATH", ""),
    ("PGRST_DB_ANON_ROLE", "postgrest_test_anonymous"),
    ("PGRST_JWT_SECRET", JWT_SECRET),
    ("PGRST_DB_TX_END", "rollback-allow-override"),
    ("PGRST_DB_AGGREGATES_ENABLED", "false"),
    ("PGRST_DB_PLAN_ENABLED", "false"),
    ("PGRST_SERVER_TIMING_ENABLED", "true"),
    ("PGRST_OPENAPI_MODE", "follow-privileges"),
    ("PGRST_APP_SETTINGS_APP_HOST", "localhost"),
    ("PGRST_APP_SETTINGS_EXTERNAL_API_SECRET", "0123456789abcdef"),
];

pub fn run(arguments: &mut Arguments) -> Result<ExitCode> {
    let full = arguments.switch("--full");
    let write = arguments.switch("--write");
    let verbose = arguments.switch("--verbose");
    let source = arguments.value("--postgrest-src")?;
    let engines = Engine::chosen(arguments)?;
    arguments.finish()?;
    let Some(shared) = shared() else {
        return Err(Error::new("../shared/conformance is not there"));
    };
    let binary = build_mainstay("dev")?;

    if write && engines.len() < 2 {
        return Err(Error::new("`--write` needs both engines: leave out `--engine`"));
    }
    let cluster = Cluster::of(&engines)?;
    if full {
        let source =
            source.ok_or_else(|| Error::new("`--full` needs `--postgrest-src DIR`, a checkout of PostgREST"))?;
        let full = Full {
            binary: &binary,
            cluster: cluster.as_ref(),
            suite: &shared.join("postgrest"),
            source: Path::new(&source),
            verbose,
        };
        return full.run(&engines, write);
    }
    let mut outcomes = Vec::new();
    for engine in engines {
        let outcome = portable(&binary, engine, cluster.as_ref(), &shared, verbose)?;
        say(format_args!("{}: {}", engine.title(), outcome.summary()));
        outcomes.push((engine, outcome));
    }
    if write {
        let columns: Vec<_> = outcomes
            .iter()
            .map(|(engine, outcome)| Column {
                section: engine.name(),
                title: engine.title(),
                outcome,
                lost: &[],
            })
            .collect();
        write_document("portable", &columns)?;
    }
    for (engine, outcome) in &outcomes {
        outcome.require(PORTABLE_PERCENT_MIN).context(engine.title())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the portable cases on `engine`, which is loaded by migration, as any project is.
pub fn portable(
    binary: &Path,
    engine: Engine,
    cluster: Option<&Cluster>,
    shared: &Path,
    verbose: bool,
) -> Result<Outcome> {
    ensure(&[Need::Python])?;
    let suite = shared.join("postgrest");
    let mut migration = String::new();
    for part in ["portable-roles.sql", "portable.sql", "portable-grants.sql"] {
        let path = suite.join("fixtures").join(part);
        migration.push_str(&std::fs::read_to_string(&path).context(path.display())?);
        migration.push('\n');
    }
    let mut project = Project::new("conformance", engine, cluster)?;
    project.write(
        "supabase/config.toml",
        "project_id = \"conformance\"\n\n[api]\nschemas = [\"test\"]\n",
    )?;
    project.write("supabase/migrations/20260101000000_portable.sql", &migration)?;
    for (name, value) in BASE_SETTINGS {
        project.set(name, *value);
    }
    let server = project.serve(binary, &["serve", "--migrate"])?;
    if let (Engine::Postgres, Some(cluster)) = (engine, cluster) {
        // Planned and estimated counts are read from the statistics.
        cluster.execute("xtask_conformance", "vacuum analyze")?;
    }
    let ids = suite.join("portable-dev.json");
    let cases = Cases {
        suite: &suite,
        group: "base",
        ids: Some(&ids),
        name: engine.name(),
        verbose,
    };
    run_cases(&cases, server, &project)
}

/// The run of all cases.
struct Full<'a> {
    binary: &'a Path,
    cluster: Option<&'a Cluster>,
    suite: &'a Path,
    source: &'a Path,
    verbose: bool,
}

impl Full<'_> {
    fn run(&self, engines: &[Engine], write: bool) -> Result<ExitCode> {
        ensure(&[Need::Python])?;
        let mut runs = Vec::new();
        for engine in engines {
            let (mut outcome, lost) = self.on(*engine)?;
            outcome.explain(&lost);
            say(format_args!("{}, full fixtures: {}", engine.title(), outcome.summary()));
            runs.push((*engine, outcome, lost));
        }
        if write {
            let columns: Vec<_> = runs
                .iter()
                .map(|(engine, outcome, lost)| Column {
                    section: section(*engine),
                    title: engine.title(),
                    outcome,
                    lost,
                })
                .collect();
            write_document("full", &columns)?;
        }
        if let Some((_, outcome, _)) = runs.iter().find(|(engine, ..)| *engine == Engine::Sqlite) {
            if write {
                named::write(outcome, self.suite)?;
            } else {
                named::check(outcome)?;
            }
        }
        for (engine, outcome, _) in &runs {
            let least = match engine {
                Engine::Sqlite => FULL_EMBEDDED_PERCENT_MIN,
                Engine::Postgres => FULL_PERCENT_MIN,
            };
            outcome.require(least).context(engine.title())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Runs every group's cases on `engine`, a server each on the one database.
    fn on(&self, engine: Engine) -> Result<(Outcome, Vec<Lost>)> {
        let mut project = Project::new("full", engine, self.cluster)?;
        project.write(
            "supabase/config.toml",
            "project_id = \"conformance\"\n\n[api]\nschemas = [\"test\"]\n",
        )?;
        say("loading PostgREST's fixtures");
        let lost = match self.cluster {
            Some(cluster) if engine == Engine::Postgres => {
                self.load(cluster)?;
                Vec::new()
            }
            _ => fixtures::migrate(&project, self.binary, self.suite, self.source)?,
        };
        let mut sum = Outcome::default();
        for group in groups::read(self.suite)? {
            project.set_all(settings_of(&group, &lost));
            let outcome = match project.serve(self.binary, &["serve", "--migrate"]) {
                Ok(server) => run_cases(
                    &Cases {
                        suite: self.suite,
                        group: &group.name,
                        ids: None,
                        name: section(engine),
                        verbose: self.verbose,
                    },
                    server,
                    &project,
                )?,
                Err(error) => return Err(error).context(&group.name),
            };
            if outcome.total > outcome.passed {
                say(format_args!("{}: {}", group.name, outcome.summary()));
            }
            sum.add(outcome);
        }
        let kept = target().join("conformance").join(format!("{}.passed", section(engine)));
        std::fs::write(&kept, sum.passed_ids.join("\n")).context(kept.display())?;
        let kept = kept.with_extension("lost");
        let lines: Vec<String> = lost.iter().map(Lost::to_string).collect();
        std::fs::write(&kept, lines.join("\n")).context(kept.display())?;
        Ok((sum, lost))
    }

    /// Loads the fixtures with the suite's own script.
    fn load(&self, cluster: &Cluster) -> Result<()> {
        ensure(&[Need::Postgis])?;
        let database = "xtask_full";
        cluster.execute(
            "postgres",
            &format!("alter database {database} set search_path = public, test"),
        )?;
        let programs = std::env::join_paths(
            std::iter::once(cluster.programs().to_owned())
                .chain(std::env::var_os("PATH").iter().flat_map(std::env::split_paths)),
        )
        .context("PATH")?;
        let mut load = Command::new("bash");
        load.arg(self.suite.join("load_fixtures.sh"))
            .args(["--url", &cluster.url(database)])
            .arg("--src")
            .arg(self.source);
        run_command(load.env("PATH", programs).stdin(Stdio::null()))
    }
}

/// The base's settings with the group's over them, without the routines that the engine refused.
fn settings_of(group: &Group, lost: &[Lost]) -> Vec<(String, String)> {
    let own = [
        ("MAINSTAY_POSTGREST_VERSION", SUITE_VERSION),
        ("PGRST_DB_PRE_REQUEST", "test.switch_role"),
    ];
    let base = BASE_SETTINGS.iter().copied().chain(own);
    let mut settings: Vec<(String, String)> = base
        .filter(|(name, _)| group.settings.iter().all(|(overridden, _)| overridden != name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let set = group
        .settings
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
    settings.extend(set);
    settings.retain(|(name, value)| {
        let object = value.rsplit('.').next().unwrap_or(value);
        name != "PGRST_DB_PRE_REQUEST" || lost.iter().all(|lost| lost.object.as_deref() != Some(object))
    });
    settings
}

fn section(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "full-sqlite",
        Engine::Postgres => "full",
    }
}

/// Which cases are run, and how.
struct Cases<'a> {
    suite: &'a Path,
    group: &'a str,
    ids: Option<&'a Path>,
    /// Of the files that are kept.
    name: &'a str,
    verbose: bool,
}

/// Runs the cases and stops the server. The runner's result and the server's log stay in `target/conformance/`.
fn run_cases(cases: &Cases<'_>, server: Mainstay, project: &Project) -> Result<Outcome> {
    let kept = target().join("conformance");
    std::fs::create_dir_all(&kept).context(kept.display())?;
    let group: String = cases
        .group
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '_' })
        .collect();
    let name = format!("{}-{group}", cases.name);
    let out = kept.join(format!("{name}.json"));
    let _ = std::fs::remove_file(&out);

    let mut command = Command::new("python3");
    command.arg(cases.suite.join("run.py")).args([
        "--base-url",
        &format!("{}/rest/v1", server.url()),
        "--config",
        cases.group,
    ]);
    command
        .arg("--cases")
        .arg(cases.suite.join("cases-dev.json"))
        .arg("--json")
        .arg(&out);
    if let Some(ids) = cases.ids {
        command.arg("--ids").arg(ids);
    }
    if cases.verbose {
        command.arg("--verbose");
    } else {
        command.stdout(Stdio::null());
    }
    // Its status says whether every case passed, or that it knows none of the group; the file says which.
    let status = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("python3")?;
    let stopped = server.stop();
    std::fs::copy(project.log(), kept.join(format!("{name}.log"))).context("the server's log")?;
    stopped?;
    if status.code() == Some(NO_CASES) {
        return Ok(Outcome::default());
    }
    Outcome::read(&std::fs::read_to_string(out).context("the conformance runner wrote no result")?)
}
