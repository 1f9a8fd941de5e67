//! `cargo xtask bench --features`: what the API offers beside the plain way to the same thing, on both engines.
//!
//! 304 beside the whole answer, pages by cursor beside pages by offset, a batch beside as many requests, estimated counts
//! beside exact ones. There is no floor here: each pair is two questions to the same server, in turns.

use super::measure::{Load, Tally, median};
use super::{Programs, SECRET, Settings, load_shop, report};
use crate::Result;
use crate::postgres::Cluster;
use crate::process::say;
use crate::server::{Engine, Project};
use std::fmt::Write as _;
use std::path::Path;

/// Names, what they are, and what they stand beside.
const OPERATIONS: &[(&str, &str, Option<&str>)] = &[
    ("list_20", "list 20 orders", None),
    (
        "list_20_unchanged",
        "the same with `If-None-Match`: 304",
        Some("list_20"),
    ),
    ("page_offset_1", "page 1 of 20 rows, `offset`", None),
    ("page_cursor_1", "page 1, cursor", Some("page_offset_1")),
    ("page_offset_far", "page 10,000, `offset`", None),
    ("page_cursor_far", "page 10,000, cursor", Some("page_offset_far")),
    ("insert_20_single", "20 orders in 20 requests", None),
    ("insert_20_batch", "20 orders in one batch", Some("insert_20_single")),
    ("count_exact", "`count=exact` of all rows", None),
    ("count_estimated", "`count=estimated` of all rows", Some("count_exact")),
    (
        "count_filtered_exact",
        "`count=exact` of half of the rows, no index",
        None,
    ),
    (
        "count_filtered_estimated",
        "`count=estimated` of them",
        Some("count_filtered_exact"),
    ),
];

const CONNECTIONS: u64 = 8;
/// Rows that one statement makes.
const CHUNK_ROWS: u64 = 500_000;
/// The pages and counts are of this many rows.
pub const ROWS: u64 = 10_000_000;

const NUMBERS: &str = "\
create table numbers (id bigint primary key, kind integer not null, note text not null);
create index numbers_kind on numbers (kind desc, id);
alter table numbers enable row level security;
create policy everybody on numbers for select using (true);
grant select on numbers to anon, authenticated;
";

/// The tables of all engines.
pub fn measure(settings: &Settings, programs: &Programs, seed: &Path, pairs: &Path) -> Result<String> {
    let mut text = format!(
        "Made by `cargo xtask bench --features --write`: the shop, and a table of {} rows with a policy; {CONNECTIONS} connections, {} rounds of {} s after {} s of warm-up; {}.\n\
         Medians over the rounds. CPU is the server's time per 1,000 questions, on PostgreSQL with the whole database's; 20 requests are one question.\n",
        report::thousands(settings.rows as f64),
        settings.rounds,
        settings.seconds,
        settings.warmup,
        report::machine()
    );
    for &engine in &settings.engines {
        let tallies = of_engine(engine, settings, programs, seed, pairs)?;
        let _ = write!(text, "\n#### {}\n\n", report::capital(engine.title()));
        text.push_str("| question | per second | CPU s/1k | p50 ms | p99 ms | CPU ÷ the plain way |\n");
        text.push_str("| --- | ---: | ---: | ---: | ---: | ---: |\n");
        for (name, what, beside) in OPERATIONS {
            let of = |wanted: &str, pick: fn(&Tally) -> f64| {
                let found = tallies.iter().filter(|(name, _)| *name == wanted);
                median(&mut found.map(|(_, tally)| pick(tally)).collect::<Vec<_>>())
            };
            let ratio = match beside {
                Some(plain) => format!("{:.4}", of(name, Tally::cpu) / of(plain, Tally::cpu)),
                None => "1".to_owned(),
            };
            let _ = writeln!(
                text,
                "| {what} | {} | {:.4} | {:.2} | {:.2} | {ratio} |",
                report::thousands(of(name, |tally| tally.per_second)),
                of(name, Tally::cpu),
                of(name, |tally| tally.p50_us) / 1_000.0,
                of(name, |tally| tally.p99_us) / 1_000.0,
            );
        }
    }
    Ok(text)
}

fn of_engine(
    engine: Engine,
    settings: &Settings,
    programs: &Programs,
    seed: &Path,
    pairs: &Path,
) -> Result<Vec<(&'static str, Tally)>> {
    let (project, cluster) = load_shop(engine, programs, seed)?;
    fill(&project, programs, settings.rows)?;
    if let Some(cluster) = &cluster {
        cluster.execute("xtask_bench", "vacuum analyze")?;
    }
    let anon = project.keys(&programs.mainstay)?.anon;
    let server = project.serve(&programs.mainstay, &["serve"])?;
    let databases: Vec<u32> = cluster.iter().map(Cluster::pid).collect();
    let mut tallies = Vec::new();
    for round in 1..=settings.rounds {
        for (operation, _, _) in OPERATIONS {
            let load = Load {
                program: &programs.load,
                url: server.url(),
                operation,
                pairs,
                secret: SECRET,
                anon: &anon,
            };
            let tally = load.run(CONNECTIONS, settings.warmup, settings.seconds, server.pid(), &databases)?;
            say(format_args!("round {round} {operation:24}: {tally}"));
            tallies.push((*operation, tally));
        }
    }
    super::stop(server)?;
    Ok(tallies)
}

fn fill(project: &Project, programs: &Programs, rows: u64) -> Result<()> {
    say(format_args!("filling a table of {rows} rows"));
    let url = project.database_url().to_owned();
    let run = |sql: &str| {
        project.command(
            &programs.mainstay,
            &["db", "query", sql],
            &["--write", "--database-url", &url],
        )
    };
    run(NUMBERS)?;
    let mut from = 1;
    while from <= rows {
        let to = (from + CHUNK_ROWS - 1).min(rows);
        run(&format!(
            "insert into numbers select i, i % 1000, 'note ' || i from generate_series({from}, {to}) i"
        ))?;
        from = to + 1;
    }
    Ok(())
}
