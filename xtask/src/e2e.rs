//! The shop as a person uses it: a real browser on both engines, and the same bytes from both.

use crate::postgres::Cluster;
use crate::process::{free_port, run, say};
use crate::server::{ENGINES, Engine, Mainstay, Project};
use crate::setup::{Need, chromium, ensure, install_client, place_client};
use crate::workspace::{copy_folder, root, target};
use crate::{Error, Result};
use std::path::Path;
use std::process::{Command, Stdio};

/// Addresses have to be confirmed, which the shop does not ask for by itself: it is served without a mail server, too.
const CONFIRMATIONS: &str = "\n[auth.email]\nenable_confirmations = true\n";

/// What the shop and the provider know that `pages.mjs` starts.
const PROVIDER_SECRET: &str = "a secret that the provider and the tests know";

/// Serves a fresh copy of the shop on `engine`, seeded, as `mainstay dev` does.
pub fn serve_shop(binary: &Path, engine: Engine, cluster: Option<&Cluster>) -> Result<(Mainstay, Project)> {
    serve_shop_as("shop", "", binary, engine, cluster)
}

/// The same under another name, with more settings.
fn serve_shop_as(
    name: &str,
    settings: &str,
    binary: &Path,
    engine: Engine,
    cluster: Option<&Cluster>,
) -> Result<(Mainstay, Project)> {
    let project = Project::new(name, engine, cluster)?;
    copy_folder(&root().join("examples/shop"), project.path(), &|name| {
        name != ".mainstay"
    })?;
    place_client(project.path())?;
    let config = std::fs::read_to_string(project.path().join("supabase/config.toml"))?;
    project.write("supabase/config.toml", &format!("{config}{settings}"))?;
    let server = project.serve(binary, &["dev"])?;
    Ok((server, project))
}

/// Somebody signs up, signs in, by a provider too, and looks after their account on the ready pages.
fn check_pages(binary: &Path, engine: Engine, cluster: &Cluster, settings: &[(&str, String)]) -> Result<()> {
    let port = free_port()?;
    let own = format!(
        "{CONFIRMATIONS}[mainstay.outgoing]\nallow = [\"127.0.0.1\"]\n[mainstay.external.acme]\n\
         issuer = \"http://127.0.0.1:{port}\"\nclient_id = \"shop\"\nsecret = \"{PROVIDER_SECRET}\"\n"
    );
    let (server, _project) = serve_shop_as("pages", &own, binary, engine, Some(cluster))?;
    let mut settings = settings.to_vec();
    settings.extend([
        ("SHOP_URL", server.url()),
        ("PROVIDER_PORT", port.to_string()),
        ("PROVIDER_SECRET", PROVIDER_SECRET.to_owned()),
    ]);
    let done = node("pages.mjs", &[], &settings);
    let done = done.map_err(|error| Error::new(format!("{error}\n{}", server.log_tail())));
    server.stop()?;
    done
}

/// Compares the answers of both engines, then presses the buttons on each.
pub fn check(binary: &Path, cluster: &Cluster) -> Result<()> {
    ensure(&[Need::Node, Need::Chromium])?;
    let (mut running, mut faults) = (Vec::new(), Vec::new());
    for engine in ENGINES {
        match serve_shop(binary, engine, Some(cluster)) {
            Ok((server, project)) => running.push((engine, server, project)),
            Err(error) => faults.push(format!("the shop on the {}: {error}", engine.title())),
        }
    }
    // Before the browser: it writes, and two servers place an order at two moments.
    if let [(_, first, _), (_, second, _)] = running.as_slice() {
        say("the same requests to both engines");
        if let Err(error) = node("parity.mjs", &[&first.url(), &second.url()], &[]) {
            faults.push(error.to_string());
        }
    }
    let browser = chromium().ok_or_else(|| Error::new("Chromium is not found"))?;
    for (engine, server, _project) in running {
        say(format_args!("the shop in Chromium, {}", engine.title()));
        let pictures = target().join("e2e").join(engine.name());
        let settings = [
            ("SHOP_URL", server.url()),
            ("SHOP_PICTURES", pictures.display().to_string()),
            ("CHROMIUM", browser.display().to_string()),
        ];
        for script in ["shop.mjs", "mail.mjs", "passkeys.mjs"] {
            if let Err(error) = node(script, &[], &settings) {
                faults.push(format!("{}: {error}\n{}", engine.title(), server.log_tail()));
            }
        }
        if let Err(error) = server.stop() {
            faults.push(format!("{}: {error}", engine.title()));
        }
        if let Err(error) = check_pages(binary, engine, cluster, &settings) {
            faults.push(format!("{}: {error}", engine.title()));
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Error::new(faults.join("\n")))
    }
}

/// Signing in by a provider, and being one, with packages that are not ours on both sides.
pub fn check_oauth(binary: &Path, engine: Engine, cluster: Option<&Cluster>) -> Result<()> {
    ensure(&[Need::Node])?;
    install_client()?;
    say(format_args!("OAuth on the {}", engine.title()));
    let project = Project::new("oauth", engine, cluster)?;
    let settings = [
        ("PROJECT", project.path().display().to_string()),
        ("DATABASE_URL", project.database_url().to_owned()),
        ("MAINSTAY", binary.display().to_string()),
    ];
    node("oauth.mjs", &[], &settings)
}

/// Runs a script of `e2e/` there.
pub fn node(script: &str, arguments: &[&str], settings: &[(&str, String)]) -> Result<()> {
    let mut command = Command::new("node");
    command
        .arg(script)
        .args(arguments)
        .current_dir(root().join("e2e"))
        .stdin(Stdio::null());
    command.envs(settings.iter().map(|(name, value)| (*name, value)));
    run(&mut command)
}
