//! `cargo xtask demo`: from a clone to the shop in the browser.

use crate::process::{bound_command, say};
use crate::setup::{build_mainstay, place_client};
use crate::workspace::{binary, root};
use crate::{Arguments, Context, Result};
use std::process::ExitCode;

pub fn run(arguments: &mut Arguments) -> Result<ExitCode> {
    let database_url = arguments.value("--database-url")?;
    let listen = arguments
        .value("--listen")?
        .unwrap_or_else(|| "127.0.0.1:54321".to_owned());
    arguments.finish()?;

    let project = root().join("examples").join("shop");
    place_client(&project)?;
    // A release build takes minutes and is not needed to look around; where one was made it is kept current.
    let profile = if binary("release", "mainstay").is_file() {
        "release"
    } else {
        "dev"
    };
    say(format_args!(
        "building mainstay ({profile} profile); the first time takes some minutes"
    ));
    let program = build_mainstay(profile)?;

    say(format_args!(
        "serving examples/shop: open http://{listen}/ and sign in as one of ten customers; Ctrl-C stops"
    ));
    let mut command = bound_command(&program, None);
    command.arg("dev").arg(&project).args(["--listen", &listen]);
    if let Some(url) = &database_url {
        command.args(["--database-url", url]);
    }
    // The terminal sends Ctrl-C to both processes; the status is the program's own.
    let status = command.status().context(program.display())?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
