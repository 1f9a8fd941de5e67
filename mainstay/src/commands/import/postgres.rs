//! A whole PostgreSQL database into a new project: its schema becomes the project's first migration, its rows are moved as
//! `mainstay grow` moves them, with the same proof.
//!
//! The source is only read: nothing is prepared in it, no role is made.

use std::fmt::Write;

use mainstay_core::backend::Migration;
use mainstay_schema::{Migrator, Project};
use mainstay_sql::dump;

use super::super::grow::carry_into;
use super::super::{CommandError, Opened, dump as dump_command};
use super::{is_agreed, write_migration};
use crate::cli::Import;
use crate::engine::{self, Database};

/// Shows what would become of the schema and, if that is agreed to, brings everything in.
pub async fn import(command: &Import, opened: &Opened) -> Result<(), CommandError> {
    let database = Database::Postgres(command.source.clone());
    let backend = engine::open_as_it_is(&database, &opened.config).await?;
    let source = Opened {
        config: opened.config.clone(),
        database,
        migrator: Migrator::new(backend.clone(), Project::new(&opened.config.root)),
        backend,
    };
    let result = bring(command, opened, &source).await;
    source.backend.close().await;
    result
}

async fn bring(command: &Import, opened: &Opened, source: &Opened) -> Result<(), CommandError> {
    let from = source.database.describe();
    let project = Project::new(&opened.config.root);
    // Somebody who runs the same command again goes on with what was begun.
    let begun = opened.backend.transfer().arrival().await?;
    if begun.is_none_or(|begun| begun.source != from) {
        if !project.migrations()?.is_empty() {
            return Err(CommandError::Other(
                "the project has migrations already; a database is imported into a new project (`mainstay init`)"
                    .into(),
            ));
        }
        let sql = schema(opened, source).await?;
        let migration = Migration {
            version: "0".repeat(14),
            name: "import".into(),
            sql,
        };
        let mut problems = 0;
        for checked in opened.backend.check(std::slice::from_ref(&migration)).await {
            for problem in &checked.problems {
                eprintln!("line {}: {}", problem.line, problem.error.message);
                problems += 1;
            }
        }
        println!("{}", migration.sql);
        if problems > 0 {
            return Err(CommandError::Other(format!(
                "{problems} problem(s) with the schema of {from} on {}; nothing was written. `mainstay db dump \
                 --schema-only` gives the text to work on",
                opened.database.describe()
            )));
        }
        if !is_agreed(command)? {
            return Ok(());
        }
        let path = write_migration(&project, "import", &migration.sql)?;
        println!("Wrote the migration {}.", path.display());
    }
    carry_into(source, &opened.database, &opened.backend, &opened.migrator).await
}

/// The source's schema as SQL for both engines.
async fn schema(opened: &Opened, source: &Opened) -> Result<String, CommandError> {
    let all = source.backend.definitions().await?;
    let mut definitions = dump_command::selection(&[]).apply(all);
    if matches!(opened.database, Database::Postgres(_)) {
        // Roles belong to a server, not to a database; this one may have them.
        definitions.roles.clear();
    }
    let mut sql = String::from("-- Imported from a PostgreSQL database\n");
    for (kind, name) in &definitions.unwritten {
        eprintln!("left out: {kind} {name}");
        // Writing to a String cannot fail.
        let _ = writeln!(sql, "-- left out: {kind} {}", name.replace(['\n', '\r'], " "));
    }
    for statement in dump::before_rows(&definitions)
        .into_iter()
        .chain(dump::after_rows(&definitions))
    {
        sql.push_str(&statement);
        sql.push_str(";\n");
    }
    Ok(sql)
}
