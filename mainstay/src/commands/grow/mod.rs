//! `mainstay grow`: carry the whole database into another one, and prove both sides equal.

mod replay;

use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use mainstay_core::backend::Backend;
use mainstay_ops::{Event, Move, Report};
use mainstay_schema::{Migrator, Project};

use self::replay::replay;
use super::CommandError;
use super::migrate::up;
use crate::cli::Grow;
use crate::engine::{self, Database};

/// Reads that differed and are shown.
const DIFFERENCES_SHOWN: usize = 10;

/// Carries the project's database to `--to`.
pub async fn run(command: &Grow) -> Result<(), CommandError> {
    let source = super::open(&command.source).await?;
    let result = carry(command, &source).await;
    source.backend.close().await;
    result
}

async fn carry(command: &Grow, source: &super::Opened) -> Result<(), CommandError> {
    let config = &source.config;
    let place = Database::parse(Some(&command.to), config)?;
    if place == source.database {
        return Err(CommandError::Other(format!(
            "{} is the source itself",
            place.describe()
        )));
    }
    let pending = source.migrator.pending(true).await?.len();
    if pending > 0 {
        return Err(mainstay_schema::Error::Pending(pending).into());
    }
    let target = engine::open(&place, config).await?;
    let result = carry_into(
        source,
        &place,
        &target,
        &Migrator::new(target.clone(), Project::new(&config.root)),
    )
    .await;
    target.close().await;
    result
}

/// Carries a source into a target whose schema `migrator` makes, proves both equal, and ends the move.
pub(super) async fn carry_into(
    source: &super::Opened,
    place: &Database,
    target: &Arc<dyn Backend>,
    migrator: &Migrator,
) -> Result<(), CommandError> {
    let started = Instant::now();
    let (from, to) = (source.database.describe(), place.describe());
    let mut moving = Move::begin(&*source.backend, &**target, &from, &to).await?;
    let applied = up(migrator, true).await?;
    if applied > 0 {
        println!("{applied} migration(s) applied to {to}.");
    }
    let bar = ProgressBar::new(0);
    let report = moving.run(&mut |event| show(&bar, &event)).await;
    bar.finish_and_clear();
    let report = report?;
    // A move that went on read the target's catalog while the foreign keys were away.
    target.reload().await?;
    let replayed = replay(&source.config, &source.backend, target).await?;
    if !replayed.differences.is_empty() {
        for difference in replayed.differences.iter().take(DIFFERENCES_SHOWN) {
            eprintln!("{} as {}", difference.read, difference.role);
            eprintln!("  {from}: {}", difference.source);
            eprintln!("  {to}: {}", difference.target);
        }
        return Err(mainstay_ops::Error::ReadsDiffer {
            differing: replayed.differences.len(),
            reads: replayed.reads,
        }
        .into());
    }
    tell(&report, &from, &to, started.elapsed());
    println!(
        "{} reads as anon, authenticated and service_role gave the same answers on both.",
        replayed.reads
    );
    moving.finish().await?;
    println!(
        "Serve from there with --database-url, or MAINSTAY_DATABASE_URL; the keys in .mainstay/ stay as they are."
    );
    Ok(())
}

/// Brings the progress bar up to date.
fn show(bar: &ProgressBar, event: &Event<'_>) {
    // The template is a constant; a broken one falls back to the default look.
    let style =
        |template: &str| ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    match event {
        Event::Begin { rows, carried } => {
            bar.set_style(style(
                "{bar:30} {human_pos}/{human_len} rows  {per_sec}  {eta} left  {wide_msg}",
            ));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar.set_length(*rows);
            bar.set_position(*carried);
            bar.reset_eta();
        }
        Event::Carried { table, rows } => {
            bar.set_message(table.to_string());
            bar.inc(*rows);
        }
        Event::BeginProof { rows } => {
            bar.set_length(*rows);
            bar.set_position(0);
            bar.reset_eta();
            bar.set_message("comparing both sides");
        }
        Event::Proved { table, rows } => {
            bar.set_message(format!("{table} is compared"));
            bar.inc(*rows);
        }
        Event::Again { table } => bar.println(format!("{table} differs and is carried anew")),
    }
}

/// What was proved, and what to do next.
fn tell(report: &Report, from: &str, to: &str, took: Duration) {
    let width = report
        .tables
        .keys()
        .map(|name| name.to_string().len())
        .max()
        .unwrap_or(0);
    for (name, digest) in &report.tables {
        let short: String = digest.to_string().chars().take(16).collect();
        println!(
            "{:width$}  {:>12} rows  {short}",
            name.to_string(),
            HumanCount(digest.rows())
        );
    }
    println!(
        "{} rows in {} tables and {} sequence(s) are the same in {from} and {to} ({}).",
        HumanCount(report.rows()),
        report.tables.len(),
        report.sequences,
        HumanDuration(took)
    );
}
