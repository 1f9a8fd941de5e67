//! `mainstay db diff`: what the migrations lack of what the database is.
//!
//! The migrations are applied to a database of their own beside the real one: a file in a scratch folder, or a
//! database on the same server. It is gone when the command ends, whatever happened.

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;

use mainstay_core::backend::{Backend, Migration};
use mainstay_core::definition::Definitions;
use mainstay_schema::{Migrator, Project};
use mainstay_sql::diff::{self, Step};

use super::dump::selection;
use super::migrate::version_now;
use super::scratch::with_scratch;
use super::{CommandError, Opened};
use crate::cli::Diff;
use crate::engine::{self, Database};

/// Writes the difference. Fails with `--check` if there is one.
pub async fn run(command: &Diff) -> Result<(), CommandError> {
    let opened = super::open(&command.target).await?;
    let result = with_opened(command, &opened).await;
    opened.backend.close().await;
    result
}

async fn with_opened(command: &Diff, opened: &Opened) -> Result<(), CommandError> {
    let wanted = selection(&command.schema).apply(opened.backend.definitions().await?);
    let made = selection(&command.schema).apply(of_migrations(opened).await?);
    for (kind, name) in wanted.unwritten.symmetric_difference(&made.unwritten) {
        eprintln!("not compared: {kind} {name}");
    }
    let steps = diff::between(&made, &wanted);
    if steps.is_empty() {
        println!(
            "No difference: {} is what the migrations make.",
            opened.database.describe()
        );
        return Ok(());
    }
    if command.check {
        print!("{}", spelled(&steps));
        return Err(CommandError::Other(format!(
            "{} is not what the migrations make: {} statement(s) are missing in them",
            opened.database.describe(),
            steps.len()
        )));
    }
    match &command.file {
        None => print!("{}", spelled(&steps)),
        Some(name) => write(command, opened, name, &steps).await?,
    }
    let warned = steps.iter().filter(|step| step.warning.is_some()).count();
    if warned > 0 {
        eprintln!("{warned} statement(s) may lose or refuse rows: read the comments above them.");
    }
    Ok(())
}

/// A new migration with the statements.
async fn write(command: &Diff, opened: &Opened, name: &str, steps: &[Step]) -> Result<(), CommandError> {
    let version = version_now();
    let path = Project::new(&opened.config.root).new_migration(&version, name)?;
    let head = fs::read_to_string(&path).unwrap_or_default();
    let sql = [head.as_str(), &spelled(steps)].concat();
    fs::write(&path, &sql).map_err(|error| CommandError::Other(format!("cannot write {}: {error}", path.display())))?;
    println!("{}", path.display());
    if command.use_migration {
        let name = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .and_then(|stem| stem.split_once('_').map(|(_, name)| name.to_owned()))
            .unwrap_or_default();
        let migration = Migration { version, name, sql };
        opened.backend.record(&migration).await?;
        println!("Recorded as applied to {}.", opened.database.describe());
    }
    Ok(())
}

/// One statement after the other, each below its warning.
fn spelled(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        if let Some(warning) = &step.warning {
            // Writing into a text cannot fail.
            let _ = writeln!(text, "-- careful: {warning}");
        }
        let _ = writeln!(text, "{};", step.sql);
    }
    text
}

/// What the project's migrations make of an empty database.
async fn of_migrations(opened: &Opened) -> Result<Definitions, CommandError> {
    with_scratch(&opened.database, async |database| migrated(opened, database).await).await
}

async fn migrated(opened: &Opened, database: &Database) -> Result<Definitions, CommandError> {
    let backend: Arc<dyn Backend> = engine::open(database, &opened.config).await?;
    let migrator = Migrator::new(backend.clone(), Project::new(&opened.config.root));
    let applied = migrator.up(true, |_, _, _| {}).await;
    let definitions = match applied {
        Ok(_) => backend.definitions().await.map_err(CommandError::from),
        Err(error) => Err(error.into()),
    };
    backend.close().await;
    definitions
}
