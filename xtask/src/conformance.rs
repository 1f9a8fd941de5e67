//! PostgREST's own specs, kept as data beside the repository, against Mainstay.
//!
//! `--write` keeps `docs/conformance.md`: a table per module and every failing case with its reason, taken from
//! `docs/conformance-reasons.txt` (`prefix of the case's id => reason`, optionally under `[sqlite]`, `[postgres]` or `[full]`).

use crate::json::Json;
use crate::postgres::{Cluster, Durability};
use crate::process::{run as run_command, say};
use crate::server::{Engine, Mainstay, Project};
use crate::setup::{Need, build_mainstay, ensure};
use crate::workspace::{root, shared, target, write_section};
use crate::{Arguments, Context, Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// The least share of the portable cases that must pass, in percent, on each engine.
pub const PORTABLE_PERCENT_MIN: f64 = 95.0;
/// The least share of all base cases that must pass on PostgreSQL with the full fixtures, in percent.
const FULL_PERCENT_MIN: f64 = 70.0;
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

/// What one run gave.
pub struct Outcome {
    passed: u64,
    total: u64,
    /// Module → (passed, total).
    modules: BTreeMap<String, (u64, u64)>,
    /// Case id and the first thing that differed.
    failures: Vec<(String, String)>,
}

impl Outcome {
    fn percent(&self) -> f64 {
        100.0 * self.passed as f64 / self.total.max(1) as f64
    }

    pub fn summary(&self) -> String {
        format!("{} of {} cases ({:.1} %)", self.passed, self.total, self.percent())
    }

    /// Errors: fewer than `percent_min` of the cases passed.
    pub fn require(&self, percent_min: f64) -> Result<()> {
        if self.total > 0 && self.percent() >= percent_min {
            return Ok(());
        }
        let first: Vec<String> = self
            .failures
            .iter()
            .take(10)
            .map(|(id, why)| format!("    {id}\n        {why}"))
            .collect();
        let summary = self.summary();
        Err(Error::new(format!(
            "{summary}, {percent_min} % are needed; the first failures:\n{}",
            first.join("\n")
        )))
    }
}

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

    if full {
        let source =
            source.ok_or_else(|| Error::new("`--full` needs `--postgrest-src DIR`, a checkout of PostgREST"))?;
        let cluster = Cluster::start(Durability::None)?;
        let outcome = full_cases(&binary, &cluster, &shared, Path::new(&source), verbose)?;
        say(format_args!("PostgreSQL, full fixtures: {}", outcome.summary()));
        if write {
            write_document("full", &[("full", "PostgreSQL", &outcome)])?;
        }
        outcome.require(FULL_PERCENT_MIN)?;
        return Ok(ExitCode::SUCCESS);
    }

    if write && engines.len() < 2 {
        return Err(Error::new("`--write` needs both engines: leave out `--engine`"));
    }
    let cluster = if engines.contains(&Engine::Postgres) {
        Some(Cluster::start(Durability::None)?)
    } else {
        None
    };
    let mut outcomes = Vec::new();
    for engine in engines {
        let outcome = portable(&binary, engine, cluster.as_ref(), &shared, verbose)?;
        say(format_args!("{}: {}", engine.title(), outcome.summary()));
        outcomes.push((engine, outcome));
    }
    if write {
        let columns: Vec<_> = outcomes
            .iter()
            .map(|(engine, outcome)| (engine.name(), engine.title(), outcome))
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
    run_cases(&suite, server, &project, Some(&ids), engine.name(), verbose)
}

/// Runs all base cases on PostgreSQL, loaded with PostgREST's own fixtures from `source`.
fn full_cases(binary: &Path, cluster: &Cluster, shared: &Path, source: &Path, verbose: bool) -> Result<Outcome> {
    ensure(&[Need::Python, Need::Postgis])?;
    let suite = shared.join("postgrest");
    let mut project = Project::new("full", Engine::Postgres, Some(cluster))?;
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
    say("loading PostgREST's fixtures");
    let mut load = Command::new("bash");
    load.arg(suite.join("load_fixtures.sh"))
        .args(["--url", &cluster.url(database)])
        .arg("--src")
        .arg(source);
    run_command(load.env("PATH", programs).stdin(Stdio::null()))?;

    project.write(
        "supabase/config.toml",
        "project_id = \"conformance\"\n\n[api]\nschemas = [\"test\"]\n",
    )?;
    for (name, value) in BASE_SETTINGS {
        project.set(name, *value);
    }
    project.set("PGRST_DB_PRE_REQUEST", "test.switch_role");
    let server = project.serve(binary, &["serve", "--migrate"])?;
    run_cases(&suite, server, &project, None, "full", verbose)
}

/// Runs the cases and stops the server. The runner's result and the server's log stay in `target/conformance/`.
fn run_cases(
    suite: &Path,
    server: Mainstay,
    project: &Project,
    ids: Option<&Path>,
    name: &str,
    verbose: bool,
) -> Result<Outcome> {
    let kept = target().join("conformance");
    std::fs::create_dir_all(&kept).context(kept.display())?;
    let out = kept.join(format!("{name}.json"));
    let _ = std::fs::remove_file(&out);

    let mut command = Command::new("python3");
    command
        .arg(suite.join("run.py"))
        .args(["--base-url", &format!("{}/rest/v1", server.url()), "--config", "base"]);
    command
        .arg("--cases")
        .arg(suite.join("cases-dev.json"))
        .arg("--json")
        .arg(&out);
    if let Some(ids) = ids {
        command.arg("--ids").arg(ids);
    }
    if verbose {
        command.arg("--verbose");
    }
    // Its status says whether every case passed; the file says which.
    command.stdin(Stdio::null()).status().context("python3")?;
    let stopped = server.stop();
    std::fs::copy(project.log(), kept.join(format!("{name}.log"))).context("the server's log")?;
    stopped?;
    Outcome::read(&std::fs::read_to_string(out).context("the conformance runner wrote no result")?)
}

impl Outcome {
    fn read(text: &str) -> Result<Self> {
        let json = Json::parse(text).context("the conformance runner's result")?;
        let count = |json: &Json, name: &str| json.get(name).number().unwrap_or_default() as u64;
        let modules = json.get("modules").members().iter();
        let failures = json.get("failures").elements().iter().map(|failure| {
            let why = failure
                .get("diffs")
                .elements()
                .first()
                .and_then(Json::str)
                .unwrap_or("");
            (failure.get("id").str().unwrap_or("").to_owned(), why.to_owned())
        });
        Ok(Outcome {
            passed: count(&json, "passed"),
            total: count(&json, "total"),
            modules: modules
                .map(|(name, row)| (name.clone(), (count(row, "passed"), count(row, "total"))))
                .collect(),
            failures: failures.collect(),
        })
    }
}

const EMPTY_DOCUMENT: &str = "\
# Conformance

What PostgREST's own specs say of Mainstay. Kept by `cargo xtask conformance --write`; the reasons come from
`conformance-reasons.txt`. Do not edit the tables.

## Portable cases

The cases that need only what both engines offer, each engine loaded with the same migration.

<!-- portable -->
<!-- /portable -->

## All base cases, PostgreSQL with the full fixtures

`cargo xtask conformance --full --postgrest-src DIR --write`

<!-- full -->
<!-- /full -->
";

/// Writes one section of the document; a column per `(reason section, title, outcome)`.
fn write_document(section: &str, columns: &[(&str, &str, &Outcome)]) -> Result<()> {
    let path = root().join("docs/conformance-reasons.txt");
    let reasons = Reasons::parse(&std::fs::read_to_string(&path).unwrap_or_default())?;
    let document: PathBuf = root().join("docs/conformance.md");
    write_section(&document, EMPTY_DOCUMENT, section, &section_text(columns, &reasons))?;
    say(format_args!("wrote {}", document.display()));
    for stale in reasons.stale(columns) {
        say(format_args!(
            "no failing case starts with `{stale}` any more; drop it from docs/conformance-reasons.txt"
        ));
    }
    Ok(())
}

fn section_text(columns: &[(&str, &str, &Outcome)], reasons: &Reasons) -> String {
    let mut text = String::from("\n| module |");
    for (_, title, _) in columns {
        let _ = write!(text, " {title} |");
    }
    text.push_str("\n| --- |");
    text.push_str(&" ---: |".repeat(columns.len()));
    let modules: BTreeSet<&String> = columns
        .iter()
        .flat_map(|(_, _, outcome)| outcome.modules.keys())
        .collect();
    for module in modules {
        let _ = write!(text, "\n| {} |", module.strip_prefix("Feature.").unwrap_or(module));
        for (_, _, outcome) in columns {
            let (passed, total) = outcome.modules.get(module).copied().unwrap_or_default();
            let _ = write!(text, " {passed} / {total} |");
        }
    }
    text.push_str("\n| **all** |");
    for (_, _, outcome) in columns {
        let _ = write!(
            text,
            " **{} / {} ({:.1} %)** |",
            outcome.passed,
            outcome.total,
            outcome.percent()
        );
    }
    text.push('\n');
    for (engine, title, outcome) in columns {
        let _ = write!(text, "\n### Failing cases: {title}\n\n");
        if outcome.failures.is_empty() {
            text.push_str("None.\n");
        }
        let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (id, _) in &outcome.failures {
            by_reason
                .entry(reasons.of(engine, id).unwrap_or("Not explained yet"))
                .or_default()
                .push(id);
        }
        for (reason, ids) in by_reason {
            let _ = write!(text, "{reason} ({}):\n\n", ids.len());
            for id in ids {
                let _ = writeln!(text, "- `{}`", id.replace('`', "'"));
            }
            text.push('\n');
        }
    }
    text
}

/// The hand-kept reasons: `(section or "", prefix, reason)`.
struct Reasons(Vec<(String, String, String)>);

impl Reasons {
    fn parse(text: &str) -> Result<Self> {
        let mut reasons = Vec::new();
        let mut section = String::new();
        for line in text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = if name == "all" { String::new() } else { name.to_owned() };
            } else {
                let (prefix, reason) = line.split_once(" => ").ok_or_else(|| {
                    Error::new(format!(
                        "docs/conformance-reasons.txt: `{line}` is not `prefix of an id => reason`"
                    ))
                })?;
                reasons.push((section.clone(), prefix.trim().to_owned(), reason.trim().to_owned()));
            }
        }
        Ok(Reasons(reasons))
    }

    /// The reason whose prefix is the longest.
    fn of(&self, engine: &str, id: &str) -> Option<&str> {
        let fitting = self.0.iter().filter(|(section, prefix, _)| {
            (section.is_empty() || section == engine) && id.starts_with(prefix.as_str())
        });
        fitting
            .max_by_key(|(_, prefix, _)| prefix.len())
            .map(|(_, _, reason)| reason.as_str())
    }

    /// The prefixes that explain nothing in `columns`, of those that could.
    fn stale(&self, columns: &[(&str, &str, &Outcome)]) -> Vec<&str> {
        let of_columns = self
            .0
            .iter()
            .filter(|(section, _, _)| columns.iter().any(|(engine, _, _)| engine == section));
        let unused = of_columns.filter(|(section, prefix, _)| {
            !columns.iter().any(|(engine, _, outcome)| {
                engine == section && outcome.failures.iter().any(|(id, _)| id.starts_with(prefix.as_str()))
            })
        });
        unused.map(|(_, prefix, _)| prefix.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        Outcome::read(
            r#"{"passed": 3, "total": 4, "modules": {"Feature.Query.A": {"passed": 3, "total": 4}},
                "failures": [{"id": "Query.A / one / two #0", "diffs": ["status: expected 200, got 400"]}]}"#,
        )
        .unwrap()
    }

    #[test]
    fn a_result_below_the_threshold_is_refused() {
        assert!(outcome().require(75.0).is_ok());
        assert!(
            outcome()
                .require(75.1)
                .unwrap_err()
                .to_string()
                .contains("Query.A / one / two #0")
        );
        assert!(
            Outcome::read("{}").unwrap().require(0.0).is_err(),
            "no case is no success"
        );
    }

    #[test]
    fn a_failing_case_gets_its_longest_reason() {
        let reasons =
            "# comment\nQuery.A => general\nQuery.A / one => narrow\n[postgres]\nQuery.A / one / two => elsewhere\n";
        let reasons = Reasons::parse(reasons).unwrap();
        let outcome = outcome();
        let text = section_text(&[("sqlite", "embedded engine", &outcome)], &reasons);
        assert!(text.contains("| Query.A | 3 / 4 |"), "{text}");
        assert!(text.contains("narrow (1):\n\n- `Query.A / one / two #0`"), "{text}");
        assert!(Reasons::parse("no arrow").is_err());
        assert_eq!(
            reasons.stale(&[(
                "postgres",
                "PostgreSQL",
                &Outcome {
                    failures: vec![],
                    ..outcome
                }
            )]),
            ["Query.A / one / two"]
        );
    }
}
