//! `mainstay grow`: carry the whole database into another one while it is served, and prove both sides equal.

mod replay;
mod show;

use std::sync::Arc;
use std::time::Instant;

use indicatif::{HumanCount, ProgressBar};
use mainstay_core::backend::Backend;
use mainstay_core::transfer::Phase;
use mainstay_ops::{Move, Report, while_held};
use mainstay_schema::{Migrator, Project};

use self::replay::{Replay, replay};
use self::show::{show, tell};
use super::migrate::up;
use super::{CommandError, Opened};
use crate::cli::Grow;
use crate::engine::{self, Database};

/// Reads that differed and are shown.
const DIFFERENCES_SHOWN: usize = 10;

/// Carries the project's database to `--to`, or takes that back.
pub async fn run(command: &Grow) -> Result<(), CommandError> {
    let source = open(command).await?;
    let result = match (command.abandon, &command.to) {
        (true, _) => abandon(&source).await,
        (false, Some(to)) => carry(command, &source, to).await,
        (false, None) => Err(CommandError::Other("--to says where the database goes".into())),
    };
    source.backend.close().await;
    result
}

/// Opens the source beside the server that may have it.
async fn open(command: &Grow) -> Result<Opened, CommandError> {
    let config = super::load(&command.source.dir)?;
    let database = Database::parse(command.source.database_url.as_deref(), &config)?;
    let backend = engine::open_source(&database, &config).await?;
    Ok(Opened::new(config, database, backend))
}

async fn abandon(source: &Opened) -> Result<(), CommandError> {
    let from = source.database.describe();
    match source.backend.transfer().leaving().abandon().await? {
        None => println!("{from} is not being moved; nothing was changed."),
        Some(departure) => {
            println!("{from} takes writes again.");
            match departure.phase {
                Phase::Moved => println!(
                    "It had been moved to {}: what is written from now on is not there. Serve one of the two.",
                    departure.target
                ),
                _ => println!(
                    "What was carried to {} is of no use any more: drop that database, or move there again, which begins anew.",
                    departure.target
                ),
            }
        }
    }
    Ok(())
}

async fn carry(command: &Grow, source: &Opened, to: &str) -> Result<(), CommandError> {
    let config = &source.config;
    let place = Database::parse(Some(to), config)?;
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
    let migrator = Migrator::new(target.clone(), Project::new(&config.root));
    let result = carry_served(command, source, &place, &target, &migrator).await;
    target.close().await;
    result
}

/// Carries a source that others may be writing to.
async fn carry_served(
    command: &Grow,
    source: &Opened,
    place: &Database,
    target: &Arc<dyn Backend>,
    migrator: &Migrator,
) -> Result<(), CommandError> {
    let started = Instant::now();
    let (from, to) = (source.database.describe(), place.describe());
    let mut moving = Move::begin(&*source.backend, &**target, &from, &to).await?;
    if moving.is_confirmed() {
        moving.open().await?;
        switch_over(&from, &to);
        moving.finish().await?;
        println!("The move is at its end; everything was proved by the attempt before.");
        return Ok(());
    }
    make_schema(migrator, &to).await?;
    let bar = ProgressBar::new(0);
    let watch = &mut |event: mainstay_ops::Event<'_>| show(&bar, &event);
    moving.carry(watch).await?;
    // What differs now may have been written meanwhile; it is asked again when nobody writes.
    let config = &source.config;
    let before = replay(config, &source.backend, target, &Replay::default(), replay::BEFORE).await?;
    let hold = moving.hold(watch).await?;
    let held = Instant::now();
    let last = async {
        let report = moving.carry_last(watch).await?;
        source.backend.reload().await?;
        target.reload().await?;
        let replayed = replay(config, &source.backend, target, &before, replay::HELD).await?;
        refuse_differences(&replayed, &from, &to)?;
        Ok::<(Report, Replay), CommandError>((report, replayed))
    };
    let (report, replayed) = while_held(&*source.backend, &hold, last).await?;
    match command.copy {
        true => moving.leave().await?,
        false => moving.confirm(&hold).await?,
    }
    let held = held.elapsed();
    bar.finish_and_clear();
    tell(&report, &from, &to, started.elapsed());
    println!(
        "{} reads as anon, authenticated and service_role gave the same answers on both, {} of them while nobody wrote.",
        before.reads - before.differences.len() + replayed.reads,
        replayed.reads
    );
    if replayed.unasked > 0 {
        println!(
            "{} reads were answered differently while others wrote, and there was no time to ask them again.",
            replayed.unasked
        );
    }
    println!(
        "{} rows were written during the move and followed; writes were held for {} ms, reads went on.",
        HumanCount(report.followed),
        held.as_millis()
    );
    match command.copy {
        true => println!("{from} takes writes as before; what is written from now on is not in {to}."),
        false => switch_over(&from, &to),
    }
    moving.finish().await?;
    Ok(())
}

/// What the operator does now.
fn switch_over(from: &str, to: &str) {
    println!(
        "{from} takes no more writes (503 MS-DATA-006) and goes on answering reads.\n\
         Now start the server on {to}, with --database-url or MAINSTAY_DATABASE_URL; the keys in .mainstay/ stay as they\n\
         are. `mainstay grow --abandon` takes the move back instead."
    );
}

/// Carries a source of others, which is only read, into a target whose schema `migrator` makes, and proves both equal.
pub(super) async fn carry_into(
    source: &Opened,
    place: &Database,
    target: &Arc<dyn Backend>,
    migrator: &Migrator,
) -> Result<(), CommandError> {
    let started = Instant::now();
    let (from, to) = (source.database.describe(), place.describe());
    let mut moving = Move::begin_reading(&*source.backend, &**target, &from, &to).await?;
    make_schema(migrator, &to).await?;
    let bar = ProgressBar::new(0);
    let watch = &mut |event: mainstay_ops::Event<'_>| show(&bar, &event);
    moving.carry(watch).await?;
    let report = moving.carry_last(watch).await?;
    bar.finish_and_clear();
    // A move that went on read the target's catalog while the foreign keys were away.
    target.reload().await?;
    let replayed = replay(
        &source.config,
        &source.backend,
        target,
        &Replay::default(),
        replay::BEFORE,
    )
    .await?;
    refuse_differences(&replayed, &from, &to)?;
    tell(&report, &from, &to, started.elapsed());
    println!(
        "{} reads as anon, authenticated and service_role gave the same answers on both.",
        replayed.reads
    );
    moving.finish().await?;
    Ok(())
}

async fn make_schema(migrator: &Migrator, to: &str) -> Result<(), CommandError> {
    let applied = up(migrator, true).await?;
    if applied > 0 {
        println!("{applied} migration(s) applied to {to}.");
    }
    Ok(())
}

fn refuse_differences(replayed: &Replay, from: &str, to: &str) -> Result<(), CommandError> {
    if replayed.differences.is_empty() {
        return Ok(());
    }
    for difference in replayed.differences.iter().take(DIFFERENCES_SHOWN) {
        eprintln!("{} as {}", difference.read(), difference.role());
        eprintln!("  {from}: {}", difference.source);
        eprintln!("  {to}: {}", difference.target);
    }
    Err(mainstay_ops::Error::ReadsDiffer {
        differing: replayed.differences.len(),
        reads: replayed.reads,
    }
    .into())
}
