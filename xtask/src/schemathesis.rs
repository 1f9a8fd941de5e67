//! Requests generated from the OpenAPI 3.1 document by schemathesis: none may fail the server, none may be answered
//! otherwise than the document says. The document itself must be a valid one.

use crate::postgres::Cluster;
use crate::process::{run as run_command, say};
use crate::python::{environment, serve};
use crate::server::Engine;
use crate::setup::build_mainstay;
use crate::workspace::root;
use crate::{Arguments, Context, Error, Result};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// How much is generated.
#[derive(Clone, Debug)]
pub struct Amount {
    /// Generated requests for each operation, at most.
    pub examples: u32,
    /// Also one request for each boundary of each parameter; some seventy for an operation with filters.
    pub coverage: bool,
    pub seed: u32,
}

impl Amount {
    /// What the test command runs: under a minute for each engine.
    pub const SMALL: Amount = Amount {
        examples: 4,
        coverage: false,
        seed: 1,
    };
}

/// Finds what the document lets through and the schema of `e2e/contract` does not.
const VALIDATE: &str =
    "import json, sys\nfrom openapi_spec_validator import validate\nvalidate(json.load(open(sys.argv[1])))";

pub fn run(arguments: &mut Arguments) -> Result<ExitCode> {
    let engines = Engine::chosen(arguments)?;
    let number = |text: Option<String>, default: u32| -> Result<u32> {
        text.map_or(Ok(default), |text| text.parse().context("a number is needed"))
    };
    let amount = Amount {
        examples: number(arguments.value("--examples")?, 20)?,
        coverage: !arguments.switch("--no-coverage"),
        seed: number(arguments.value("--seed")?, 1)?,
    };
    arguments.finish()?;
    let binary = build_mainstay("dev")?;
    let cluster = Cluster::of(&engines)?;
    for engine in engines {
        check(&binary, engine, cluster.as_ref(), &amount)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs schemathesis as a visitor and with the secret key. Errors: an answer was not as it should be; the report is on
/// the terminal.
pub fn check(binary: &Path, engine: Engine, cluster: Option<&Cluster>, amount: &Amount) -> Result<()> {
    let python = environment()?;
    let (server, project, keys) = serve(binary, "contract", "contract/contract.sql", engine, cluster)?;
    let address = format!("{}/rest/v1/openapi.json", server.url());
    for (who, key) in [("a visitor", &keys.anon), ("the server", &keys.service_role)] {
        say(format_args!("requests of {who} on the {}", engine.title()));
        let credentials = [format!("apikey: {key}"), format!("Authorization: Bearer {key}")];
        let document = project.path().join("openapi.json");
        fetch(&python, &address, &credentials, &document)?;
        let mut validator = Command::new(&python);
        validator.args(["-c", VALIDATE]).arg(&document);
        run_command(validator.stdin(Stdio::null()))?;
        let mut command = Command::new(&python);
        command
            .args(["-m", "schemathesis.cli", "--no-color", "run"])
            .arg(&address)
            .args(["--checks", "not_a_server_error,answers_as_described"])
            .args(["--phases", if amount.coverage { "coverage,fuzzing" } else { "fuzzing" }])
            .args(["--max-examples", &amount.examples.to_string()])
            .args(["--seed", &amount.seed.to_string()])
            // Nothing is remembered from one run to the next.
            .args([
                "--generation-database",
                "none",
                "--workers",
                "1",
                "--continue-on-failure",
            ])
            .args(["--generation-with-security-parameters", "false", "--warnings", "off"])
            .current_dir(project.path())
            .env("SCHEMATHESIS_HOOKS", "checks")
            .env("PYTHONPATH", root().join("e2e/contract"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null());
        for header in &credentials {
            command.args(["--header", header]);
        }
        if let Err(error) = run_command(&mut command) {
            // The command as it is shown has the credentials in it.
            let _ = error;
            let tail = server.log_tail();
            return Err(Error::new(format!(
                "as {who}: see the report above; the server's log ends:\n{tail}"
            )));
        }
    }
    server.stop()
}

/// Writes the document to a file.
fn fetch(python: &Path, address: &str, credentials: &[String], to: &Path) -> Result<()> {
    const FETCH: &str = "import sys, urllib.request as r\n\
        headers = dict(h.split(': ', 1) for h in sys.argv[3:])\n\
        open(sys.argv[2], 'wb').write(r.urlopen(r.Request(sys.argv[1], headers=headers)).read())";
    let mut command = Command::new(python);
    command.args(["-c", FETCH, address]).arg(to).args(credentials);
    run_command(command.stdin(Stdio::null()))
}
