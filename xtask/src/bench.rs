//! `cargo xtask bench`: the shop at 100,000 orders on both engines, beside the same work written by hand.
//!
//! Mainstay and the floor are asked in turns, round by round, so that both meet the same noise; medians count. The robust
//! figure is CPU time per request of the server (on PostgreSQL: of the server and of the whole database); requests per
//! second share the machine with the load.

mod auth;
mod features;
mod measure;
mod report;

use crate::json::Json;
use crate::postgres::{Cluster, Durability};
use crate::process::{Scratch, Server, bound_command, cargo, output, run as run_command, say};
use crate::server::{Engine, Mainstay, Project};
use crate::setup::{Need, build_mainstay, ensure};
use crate::workspace::{binary, copy_folder, root};
use crate::{Arguments, Context, Error, Result, shop_data};
pub use measure::median;
use measure::{Load, Tally};
pub use report::{capital, machine};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

const SECRET: &str = "a secret of forty characters for the bench";
const READY_WAIT: Duration = Duration::from_secs(60);
const STARTS: usize = 7;
/// Of one seed file.
const SEED_BYTES_MAX: usize = 900 << 10;

/// The operations by their names and what they are.
pub const OPERATIONS: &[(&str, &str)] = &[
    ("read_one", "read one order by its key"),
    ("list_20", "list 20 orders"),
    ("history", "order history, 20 orders with items and products"),
    ("insert_one", "insert one order, answer with it"),
    ("insert_100", "insert 100 orders in one request"),
];

struct Settings {
    seconds: u64,
    warmup: u64,
    rounds: usize,
    connections: u64,
    orders: u64,
    operations: Vec<&'static str>,
    engines: Vec<Engine>,
    /// Of `--features`: rows of its table.
    rows: u64,
    /// Of `--auth`: users who sign in.
    accounts: u64,
}

/// One server under load.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peer {
    Mainstay,
    Floor,
}

/// Everything measured on one engine.
pub struct Results {
    pub engine: Engine,
    /// (operation, peer) → a tally per round.
    pub tallies: Vec<(&'static str, Peer, Vec<Tally>)>,
    pub start_ms: f64,
    pub idle_rss_kib: u64,
    pub loaded_rss_kib: u64,
}

pub fn run(arguments: &mut Arguments) -> Result<ExitCode> {
    let write = arguments.switch("--write");
    let features = arguments.switch("--features");
    let sign_in = arguments.switch("--auth");
    let only = arguments.value("--only")?;
    let operations = OPERATIONS.iter().map(|(name, _)| *name);
    let chosen = |name: &&str| {
        only.as_ref()
            .is_none_or(|only| only.split(',').any(|word| word == *name))
    };
    let settings = Settings {
        seconds: arguments.number("--seconds")?.unwrap_or(5),
        warmup: arguments.number("--warmup")?.unwrap_or(2),
        rounds: arguments.number("--rounds")?.unwrap_or(3).max(1) as usize,
        connections: arguments.number("--connections")?.unwrap_or(64),
        orders: arguments.number("--orders")?.unwrap_or(100_000),
        operations: operations.filter(chosen).collect(),
        engines: Engine::chosen(arguments)?,
        rows: arguments.number("--rows")?.unwrap_or(features::ROWS),
        accounts: arguments.number("--accounts")?.unwrap_or(auth::ACCOUNTS),
    };
    arguments.finish()?;
    if settings.operations.is_empty() {
        let names: Vec<&str> = OPERATIONS.iter().map(|(name, _)| *name).collect();
        return Err(Error::new(format!(
            "`--only` takes names, with commas between: {}",
            names.join(",")
        )));
    }
    if !Path::new("/proc/self/stat").exists() {
        return Err(Error::new(
            "the bench reads CPU time from /proc, which this system does not have",
        ));
    }

    say("building mainstay, floor and load (release profile)");
    let mainstay = build_mainstay("release")?;
    let mut build = cargo();
    build.args(["build", "--release", "--quiet", "--workspace", "--bin", "load"]);
    if !sign_in {
        build.args(["--bin", "floor"]);
    }
    run_command(&mut build)?;
    let programs = Programs {
        mainstay,
        floor: binary("release", "floor"),
        load: binary("release", "load"),
    };

    if sign_in {
        let text = auth::measure(&settings, &programs)?;
        println!("\n{text}");
        if write {
            report::write("sign-in", &text)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let data = Scratch::new("bench-data")?;
    let seed = data.path().join("seed.sql");
    let counts = shop_data::write(&seed, settings.orders)?;
    let pairs = data.path().join("pairs.csv");
    std::fs::write(&pairs, shop_data::pairs(&seed)?)?;
    say(format_args!(
        "{} orders of {} customers",
        counts.orders, counts.customers
    ));

    if features {
        let text = features::measure(&settings, &programs, &seed, &pairs)?;
        println!("\n{text}");
        if write {
            report::write("features", &text)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut all = Vec::new();
    for &engine in &settings.engines {
        all.push(measure_engine(engine, &programs, &settings, &seed, &pairs)?);
    }
    let size = std::fs::metadata(&programs.mainstay)?.len();
    let text = report::markdown(&all, size, &settings_line(&settings));
    println!("\n{text}");
    if write {
        report::write("results", &text)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn settings_line(settings: &Settings) -> String {
    format!(
        "{} orders, {} connections, {} rounds of {} s after {} s of warm-up",
        settings.orders, settings.connections, settings.rounds, settings.seconds, settings.warmup
    )
}

struct Programs {
    mainstay: PathBuf,
    floor: PathBuf,
    load: PathBuf,
}

fn measure_engine(
    engine: Engine,
    programs: &Programs,
    settings: &Settings,
    seed: &Path,
    pairs: &Path,
) -> Result<Results> {
    let (project, cluster) = load_shop(engine, programs, seed)?;
    if let Some(cluster) = &cluster {
        cluster.execute("xtask_bench", "vacuum analyze")?;
    }
    let (floor, _floor_folder) = start_floor(engine, programs, cluster.as_ref(), seed)?;
    let anon = project.keys(&programs.mainstay)?.anon;
    let start_ms = start_time(&project, programs)?;
    let server = project.serve(&programs.mainstay, &["serve"])?;

    let load = |peer: Peer, operation: &'static str| Load {
        program: &programs.load,
        url: if peer == Peer::Mainstay {
            server.url()
        } else {
            floor.url.clone()
        },
        operation,
        pairs,
        secret: SECRET,
        anon: &anon,
    };
    same_answers(settings, &load)?;
    let idle_rss_kib = measure::rss_kib(server.pid())?;

    let databases: Vec<u32> = cluster.iter().map(Cluster::pid).collect();
    let mut results = Results {
        engine,
        tallies: Vec::new(),
        start_ms,
        idle_rss_kib,
        loaded_rss_kib: idle_rss_kib,
    };
    // All rounds of the reads come before the first insert: a history full of orders that the bench has just placed, which
    // have no items, would be another history on each side.
    let (writes, reads): (Vec<&'static str>, Vec<&'static str>) = settings
        .operations
        .iter()
        .copied()
        .partition(|operation| operation.starts_with("insert"));
    let rounds = |operations: Vec<&'static str>| (1..=settings.rounds).map(move |round| (round, operations.clone()));
    for (round, operations) in rounds(reads).chain(rounds(writes)) {
        for operation in operations {
            // The order alternates, so that neither side always follows the other's writes.
            let peers = if round % 2 == 1 {
                [Peer::Mainstay, Peer::Floor]
            } else {
                [Peer::Floor, Peer::Mainstay]
            };
            for peer in peers {
                let pid = if peer == Peer::Mainstay {
                    server.pid()
                } else {
                    floor.server.pid()
                };
                let tally = load(peer, operation).run(
                    settings.connections,
                    settings.warmup,
                    settings.seconds,
                    pid,
                    &databases,
                )?;
                if peer == Peer::Mainstay {
                    results.loaded_rss_kib = results.loaded_rss_kib.max(measure::rss_kib(pid)?);
                }
                say(format_args!("round {round} {operation:10} {peer:?}: {tally}"));
                match results
                    .tallies
                    .iter_mut()
                    .find(|(name, who, _)| *name == operation && *who == peer)
                {
                    Some((_, _, tallies)) => tallies.push(tally),
                    None => results.tallies.push((operation, peer, vec![tally])),
                }
            }
        }
    }
    stop(server)?;
    Ok(results)
}

/// A project with the shop's schema and `seed`, in a database of its own.
fn load_shop(engine: Engine, programs: &Programs, seed: &Path) -> Result<(Project, Option<Cluster>)> {
    say(format_args!("── {}: loading", engine.title()));
    let cluster = match engine {
        Engine::Sqlite => None,
        Engine::Postgres => {
            ensure(&[Need::Postgres])?;
            Some(Cluster::start(Durability::Full)?)
        }
    };
    let mut project = Project::new("bench", engine, cluster.as_ref())?;
    copy_folder(
        &root().join("examples/shop/supabase"),
        &project.path().join("supabase"),
        &|_| true,
    )?;
    write_seeds(&project, seed)?;
    project.set("PGRST_JWT_SECRET", SECRET);
    // A line per request costs both sides' terminals, not the server: measured as a service would run, at `warn`.
    project.set("RUST_LOG", "warn");
    let url = project.database_url().to_owned();
    project.command(&programs.mainstay, &["db", "reset"], &["--database-url", &url, "--yes"])?;
    Ok((project, cluster))
}

/// Gives the project the seed in parts: a text of more than a mebibyte is not read at once.
fn write_seeds(project: &Project, seed: &Path) -> Result<()> {
    let text = std::fs::read_to_string(seed).context(seed.display())?;
    let mut parts = vec![String::new()];
    for statement in text.split_inclusive(";\n") {
        if parts
            .last()
            .is_some_and(|part| part.len() + statement.len() > SEED_BYTES_MAX)
        {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push_str(statement);
        }
    }
    let mut paths = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let name = format!("seeds/{number:04}.sql");
        project.write(&format!("supabase/{name}"), part)?;
        paths.push(format!("\"./{name}\""));
    }
    let path = project.path().join("supabase/config.toml");
    let config = std::fs::read_to_string(&path).context(path.display())?;
    let config = config.replace(
        "[\"./seed.sql\", \"./accounts.sql\"]",
        &format!("[{}]", paths.join(", ")),
    );
    std::fs::write(&path, config).context(path.display())
}

fn stop(server: Mainstay) -> Result<()> {
    server.stop().context("after the load")
}

struct Floor {
    server: Server,
    url: String,
}

/// Starts the floor on data of its own: a file with a hand-written schema, or a copy of Mainstay's database.
fn start_floor(
    engine: Engine,
    programs: &Programs,
    cluster: Option<&Cluster>,
    seed: &Path,
) -> Result<(Floor, Scratch)> {
    let folder = Scratch::new("bench-floor")?;
    let (name, database) = match cluster {
        None => {
            let database = folder.path().join("floor.db").display().to_string();
            output(Command::new(&programs.floor).arg("load").arg(seed).arg(&database))?;
            ("sqlite", database)
        }
        Some(cluster) => {
            cluster.execute("postgres", "drop database if exists xtask_floor with (force)")?;
            cluster.execute("postgres", "create database xtask_floor template xtask_bench")?;
            cluster.execute("xtask_floor", "vacuum analyze")?;
            ("postgres", cluster.url("xtask_floor"))
        }
    };
    let mut command = bound_command(&programs.floor, None);
    command.args([name, &database]).env("FLOOR_SECRET", SECRET);
    let mut server = Server::start("floor", &mut command, &folder.path().join("floor.log"))?;
    let url = server.wait_for_line(READY_WAIT, |line| {
        line.strip_prefix("floor is ready at ").map(str::to_owned)
    });
    let url = url.context(engine.title())?;
    Ok((Floor { server, url }, folder))
}

/// Both must answer a read alike, or the comparison means nothing.
fn same_answers<'a>(settings: &Settings, load: &dyn Fn(Peer, &'static str) -> Load<'a>) -> Result<()> {
    for &operation in settings.operations.iter().filter(|name| !name.starts_with("insert")) {
        let answers = [
            load(Peer::Mainstay, operation).once()?,
            load(Peer::Floor, operation).once()?,
        ];
        let read =
            |(status, body): &(String, String)| Json::parse(body).map(|json| (status.clone(), json)).context(body);
        if read(&answers[0])? != read(&answers[1])? {
            return Err(Error::new(format!(
                "{operation}: the answers differ\n  mainstay {} {}\n  floor    {} {}",
                answers[0].0, answers[0].1, answers[1].0, answers[1].1
            )));
        }
    }
    Ok(())
}

/// The median time from the start of the process to its first answer, in milliseconds.
fn start_time(project: &Project, programs: &Programs) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let start = Instant::now();
        let server = project.serve(&programs.mainstay, &["serve"])?;
        times.push(start.elapsed().as_secs_f64() * 1_000.0);
        server.stop()?;
    }
    Ok(measure::median(&mut times))
}
