//! The Python scripts of `e2e/`, in an environment of their own, and the checks with `postgrest` and `supabase_auth` of
//! supabase-py.

use crate::postgres::Cluster;
use crate::process::{run as run_command, say};
use crate::server::{Engine, Keys, Mainstay, Project};
use crate::setup::{Need, build_mainstay, ensure};
use crate::workspace::{root, target};
use crate::{Arguments, Context, Error, Result};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

const SECRET: &str = "a secret of forty characters for the client";

/// The interpreter of the environment under `target/`, made and filled as `e2e/requirements.txt` says, unless it is.
///
/// Errors: Python or its `venv` is missing and cannot be installed; a package cannot be fetched.
pub fn environment() -> Result<PathBuf> {
    let wanted = root().join("e2e/requirements.txt");
    let text = std::fs::read(&wanted).context("e2e/requirements.txt")?;
    let packages = [OsStr::new("--requirement"), wanted.as_os_str()];
    let what = "the Python packages of e2e/ (schemathesis, openapi-spec-validator, postgrest, supabase_auth)";
    filled("e2e-python", "python", &text, &packages, what)
}

/// A program of an environment under `target/`, which is made and filled with `packages`, as pip is told of them, unless it
/// has been for the same `list`.
///
/// Errors: Python or its `venv` is missing and cannot be installed; a package cannot be fetched, or brings no such program.
pub fn filled(name: &str, program: &str, list: &[u8], packages: &[&OsStr], what: &str) -> Result<PathBuf> {
    let folder = target().join(name);
    let programs = folder.join("bin");
    let program = programs.join(program);
    // pip has no quick "is it all there": a copy of the list inside tells.
    let mark = folder.join(".mainstay-requirements");
    if program.is_file() && std::fs::read(&mark).is_ok_and(|installed| installed == list) {
        return Ok(program);
    }
    ensure(&[Need::PythonVenv])?;
    say(format_args!("installing {what}"));
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&folder);
    run_command(make.stdin(Stdio::null()))?;
    let mut install = Command::new(programs.join("python"));
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ]);
    run_command(install.args(packages).stdin(Stdio::null()))?;
    if !program.is_file() {
        return Err(Error::new(format!("{what} brought no {}", program.display())));
    }
    std::fs::write(&mark, list).context(mark.display())?;
    Ok(program)
}

/// Serves a project with one migration from `e2e/`, as production would. Returns it with its keys.
pub fn serve(
    binary: &Path,
    name: &str,
    migration: &str,
    engine: Engine,
    cluster: Option<&Cluster>,
) -> Result<(Mainstay, Project, Keys)> {
    let mut project = Project::new(name, engine, cluster)?;
    let config = "project_id = \"e2e\"\n\n[api]\nschemas = [\"public\"]\n\n[mainstay]\ngrants = \"closed\"\n";
    project.write("supabase/config.toml", config)?;
    let path = root().join("e2e").join(migration);
    let sql = std::fs::read_to_string(&path).context(path.display())?;
    project.write("supabase/migrations/20260101000000_e2e.sql", &sql)?;
    project.set("PGRST_JWT_SECRET", SECRET);
    let server = project.serve(binary, &["serve", "--migrate"])?;
    let keys = project.keys(binary)?;
    Ok((server, project, keys))
}

pub fn run(arguments: &mut Arguments) -> Result<ExitCode> {
    let engines = Engine::chosen(arguments)?;
    arguments.finish()?;
    let binary = build_mainstay("dev")?;
    let cluster = Cluster::of(&engines)?;
    for engine in engines {
        check(&binary, engine, cluster.as_ref())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the clients' steps on one engine. Errors: a step failed.
pub fn check(binary: &Path, engine: Engine, cluster: Option<&Cluster>) -> Result<()> {
    let python = environment()?;
    let (server, project, keys) = serve(binary, "client", "client/orders.sql", engine, cluster)?;
    for (client, script) in [("postgrest", "rest.py"), ("supabase_auth", "auth.py")] {
        say(format_args!("{client} of supabase-py on the {}", engine.title()));
        let mut command = Command::new(&python);
        command
            .args(["-W", "ignore"])
            .arg(root().join("e2e/client").join(script))
            .current_dir(project.path())
            .env("REST_URL", format!("{}/rest/v1", server.url()))
            .env("AUTH_URL", format!("{}/auth/v1", server.url()))
            .env("ANON_KEY", &keys.anon)
            .env("SERVICE_KEY", &keys.service_role)
            .env("JWT_SECRET", &keys.jwt_secret)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null());
        if let Err(error) = run_command(&mut command) {
            let tail = server.log_tail();
            return Err(Error::new(format!("{error}; the server's log ends:\n{tail}")));
        }
    }
    server.stop()
}
