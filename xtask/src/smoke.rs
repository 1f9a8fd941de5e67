//! The check with the published `supabase-js`, kept beside the repository: its groups of sign-in, REST and row security.

use crate::json::Json;
use crate::postgres::Cluster;
use crate::process::say;
use crate::server::{Engine, Project};
use crate::setup::{Need, build_mainstay, ensure, install_client};
use crate::workspace::{link, root, shared};
use crate::{Arguments, Context, Error, Result};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// Which users the steps run as, and the groups that are run.
const RUNS: [(Users, &str); 2] = [(Users::Minted, "rest,rls"), (Users::SignedUp, "auth,rest,rls,admin")];
const SECRET: &str = "a secret of forty characters for the smoke";
/// Steps of rooms that are not built yet; every other step must pass. One that passes is to be taken off this list.
const OPEN: &[&str] = &[];

/// Where the steps' users come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Users {
    /// Tokens signed with the project's secret, of users that nobody has made.
    Minted,
    /// They sign up.
    SignedUp,
}

pub fn run(arguments: &mut Arguments) -> Result<ExitCode> {
    let engines = Engine::chosen(arguments)?;
    arguments.finish()?;
    let Some(shared) = shared() else {
        return Err(Error::new("../shared/conformance is not there"));
    };
    let binary = build_mainstay("dev")?;
    let cluster = Cluster::of(&engines)?;
    for engine in engines {
        check(&binary, engine, cluster.as_ref(), &shared)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs every group on one engine. Errors: a step failed or was skipped.
pub fn check(binary: &Path, engine: Engine, cluster: Option<&Cluster>, shared: &Path) -> Result<()> {
    for (users, groups) in RUNS {
        run_groups(binary, engine, cluster, shared, users, groups)?;
    }
    Ok(())
}

fn run_groups(
    binary: &Path,
    engine: Engine,
    cluster: Option<&Cluster>,
    shared: &Path,
    users: Users,
    groups: &str,
) -> Result<()> {
    ensure(&[Need::Node])?;
    install_client()?;
    say(format_args!("supabase-js ({groups}) on the {}", engine.title()));

    let suite = shared.join("supabase");
    let schema = std::fs::read_to_string(suite.join("smoke.sql")).context("smoke.sql")?;
    // What follows concerns rooms that are not built yet.
    let schema = schema.split("-- realtime:").next().unwrap_or_default();
    let name = match users {
        Users::Minted => "smoke",
        Users::SignedUp => "smoke-auth",
    };
    let mut project = Project::new(name, engine, cluster)?;
    project.write(
        "supabase/config.toml",
        "project_id = \"smoke\"\n\n[api]\nschemas = [\"public\"]\n\n[auth]\nenable_anonymous_sign_ins = true\n",
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
    let mut node = Command::new("node");
    node.arg(&script)
        .arg("--json")
        .arg(&results)
        .current_dir(project.path())
        .env("SUPABASE_URL", server.url())
        .env("SUPABASE_ANON_KEY", &keys.anon)
        .env("SUPABASE_SERVICE_KEY", &keys.service_role)
        .env("SMOKE_ONLY", groups)
        .env_remove("SMOKE_JWT_SECRET")
        .stdin(Stdio::null());
    if users == Users::Minted {
        node.env("SMOKE_JWT_SECRET", &keys.jwt_secret);
    }
    // Its exit code counts the open steps too; the steps themselves decide.
    node.status().context("node")?;
    let outcome = Json::parse(&std::fs::read_to_string(&results).unwrap_or_default()).context("smoke.json")?;
    let problems = problems(&outcome, groups, OPEN);
    if !problems.is_empty() {
        let tail = server.log_tail();
        return Err(Error::new(format!(
            "{}\nthe server's log ends:\n{tail}",
            problems.join("\n")
        )));
    }
    server.stop()
}

/// What is wrong with the outcome: steps that did not pass, groups that did not run, open steps that pass.
fn problems(outcome: &Json, groups: &str, open: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let steps = outcome.get("steps").elements();
    let text = |step: &Json, name: &str| step.get(name).str().unwrap_or_default().to_owned();
    for group in groups.split(',') {
        if !steps
            .iter()
            .any(|step| text(step, "group") == group && text(step, "status") == "pass")
        {
            found.push(format!("no step of `{group}` has passed"));
        }
    }
    for step in steps {
        let (name, status) = (text(step, "name"), text(step, "status"));
        match (open.contains(&name.as_str()), status == "pass") {
            (false, false) => found.push(format!("`{name}`: {status}")),
            (true, true) => found.push(format!("`{name}` passes: take it off the list of open steps")),
            _ => {}
        }
    }
    found
}

#[test]
fn every_step_must_pass_but_the_open_ones() {
    let outcome = |steps: &str| Json::parse(&format!("{{\"steps\":[{steps}]}}")).unwrap();
    let step = |group: &str, name: &str, status: &str| {
        format!("{{\"group\":\"{group}\",\"name\":\"{name}\",\"status\":\"{status}\"}}")
    };
    let good = step("auth", "sign up", "pass");
    let open = |status| step("auth", "later", status);
    let told = |steps: &str| problems(&outcome(steps), "auth", &["later"]).len();
    assert_eq!(told(&format!("{good},{}", open("skip"))), 0);
    assert_eq!(told(&format!("{good},{}", open("fail"))), 0);
    assert_eq!(told(&format!("{good},{}", open("pass"))), 1);
    assert_eq!(told(&format!("{good},{}", step("auth", "x", "fail"))), 1);
    assert_eq!(told(&format!("{good},{}", step("auth", "x", "skip"))), 1);
    assert_eq!(told(""), 1);
    assert_eq!(problems(&outcome(&good), "auth,rest", &[]).len(), 1);
}
