//! The check with the published `supabase-js`, kept beside the repository: its REST and row security groups.

use crate::json::Json;
use crate::postgres::{Cluster, Durability};
use crate::process::say;
use crate::server::{Engine, Project};
use crate::setup::{Need, build_mainstay, ensure, install_client};
use crate::workspace::{link, root, shared};
use crate::{Arguments, Context, Error, Result};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// The groups that must pass, nothing failed and nothing skipped.
const GROUPS: &str = "rest,rls";
const SECRET: &str = "a secret of forty characters for the smoke";

pub fn run(arguments: &mut Arguments) -> Result<ExitCode> {
    let engines = Engine::chosen(arguments)?;
    arguments.finish()?;
    let Some(shared) = shared() else {
        return Err(Error::new("../shared/conformance is not there"));
    };
    let binary = build_mainstay("dev")?;
    let cluster = if engines.contains(&Engine::Postgres) {
        Some(Cluster::start(Durability::None)?)
    } else {
        None
    };
    for engine in engines {
        check(&binary, engine, cluster.as_ref(), &shared)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the groups on one engine. Errors: a step failed or was skipped.
pub fn check(binary: &Path, engine: Engine, cluster: Option<&Cluster>, shared: &Path) -> Result<()> {
    ensure(&[Need::Node])?;
    install_client()?;
    say(format_args!("supabase-js ({GROUPS}) on the {}", engine.title()));

    let suite = shared.join("supabase");
    let schema = std::fs::read_to_string(suite.join("smoke.sql")).context("smoke.sql")?;
    // What follows concerns rooms that are not built yet.
    let schema = schema.split("-- realtime:").next().unwrap_or_default();
    let mut project = Project::new("smoke", engine, cluster)?;
    project.write(
        "supabase/config.toml",
        "project_id = \"smoke\"\n\n[api]\nschemas = [\"public\"]\n",
    )?;
    project.write("supabase/migrations/20260101000000_smoke.sql", schema)?;
    project.set("PGRST_JWT_SECRET", SECRET);
    let server = project.serve(binary, &["serve", "--migrate"])?;
    let keys = project.keys(binary)?;

    // An ES module finds its packages in the folders above it, so the script runs beside a link to them.
    let script = project.path().join("smoke.mjs");
    std::fs::copy(suite.join("smoke.mjs"), &script).context("smoke.mjs")?;
    link(&root().join("e2e/node_modules"), &project.path().join("node_modules"))?;
    let results = project.path().join("smoke.json");
    let status = Command::new("node")
        .arg(&script)
        .arg("--json")
        .arg(&results)
        .current_dir(project.path())
        .env("SUPABASE_URL", server.url())
        .env("SUPABASE_ANON_KEY", &keys.anon)
        .env("SUPABASE_SERVICE_KEY", &keys.service_role)
        .env("SMOKE_JWT_SECRET", &keys.jwt_secret)
        .env("SMOKE_ONLY", GROUPS)
        .stdin(Stdio::null())
        .status()
        .context("node")?;
    let outcome = Json::parse(&std::fs::read_to_string(&results).unwrap_or_default()).context("smoke.json")?;
    let count = |name: &str| outcome.get(name).number().unwrap_or(f64::NAN);
    let (passed, failed, skipped) = (count("passed"), count("failed"), count("skipped"));
    if !status.success() || failed != 0.0 || skipped != 0.0 || passed.is_nan() || passed < 1.0 {
        let tail = server.log_tail();
        return Err(Error::new(format!(
            "{passed} passed, {failed} failed, {skipped} skipped; the server's log ends:\n{tail}"
        )));
    }
    server.stop()
}
