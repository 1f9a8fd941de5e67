//! `mainstay migrate check`: what stands in the way of a project's migrations, by file and line, and what to know.

use std::collections::BTreeMap;

use mainstay_core::backend::{Backend, CheckedMigration, Migration, Problem, QueryMode};
use mainstay_schema::{Migrator, Project};
use serde_json::json;

use super::CommandError;
use crate::cli::Target;
use crate::engine::Database;

/// The migrations' files by version.
type Files = BTreeMap<String, String>;

/// Tries the whole project from nothing on the embedded engine; on PostgreSQL only what is pending is, because there is
/// no database to try the rest in. Errors: when something stands in the way.
pub async fn run(target: &Target, as_json: bool) -> Result<(), CommandError> {
    let config = super::load(&target.dir)?;
    let database = Database::parse(target.database_url.as_deref(), &config)?;
    let scratch = tempfile::tempdir().map_err(|error| CommandError::Other(format!("no scratch folder: {error}")))?;
    let tried = match &database {
        Database::Sqlite(_) => Database::Sqlite(scratch.path().join("check.db")),
        Database::Postgres(_) => database.clone(),
    };
    let backend = crate::engine::open(&tried, &config).await?;
    let project = Project::new(&config.root);
    let files: Files = project
        .migrations()?
        .iter()
        .map(|migration| (migration.version.clone(), Project::file_of(migration)))
        .collect();
    let migrator = Migrator::new(backend.clone(), project);
    let checked = migrator.check().await;
    let left_out = migrator.left_out();
    let collation = match &database {
        Database::Postgres(_) => collation_of(&*backend).await,
        Database::Sqlite(_) => None,
    };
    backend.close().await;
    let (checked, left_out) = (checked?, left_out?);
    match as_json {
        true => print_json(&checked, &files),
        false => print_lines(&checked, &files, &left_out, collation.as_deref()),
    }
    let own = |migration: &CheckedMigration| migration.problems.iter().filter(|one| one.follows.is_none()).count();
    let problems: usize = checked.iter().map(own).sum();
    let following: usize = checked.iter().map(|migration| migration.problems.len()).sum::<usize>() - problems;
    if problems + following == 0 {
        if !as_json {
            let engine = match &database {
                Database::Sqlite(_) => "the embedded engine".to_owned(),
                Database::Postgres(_) => database.describe(),
            };
            println!("The migrations can be applied to {engine}.");
        }
        return Ok(());
    }
    let more = match following {
        0 => String::new(),
        count => format!(", and {count} that follow from them"),
    };
    Err(CommandError::Other(format!(
        "{problems} problem(s){more}; nothing was changed"
    )))
}

fn print_lines(checked: &[CheckedMigration], files: &Files, left_out: &[Migration], collation: Option<&str>) {
    for migration in left_out {
        println!("{}: for the other engine, left out", Project::file_of(migration));
    }
    for migration in checked {
        for (kind, remark) in remarks(migration) {
            let file = file_of(files, &migration.version);
            match &remark.follows {
                Some((version, line)) => println!(
                    "{file}:{}: {kind}: {} (follows from {}:{line})",
                    remark.line,
                    remark.error.message,
                    file_of(files, version)
                ),
                None => println!("{file}:{}: {kind}: {}", remark.line, remark.error.message),
            }
            for line in [&remark.error.detail, &remark.error.hint].into_iter().flatten() {
                println!("    {line}");
            }
        }
    }
    if let Some(collation) = collation {
        println!("note: {collation}");
    }
}

/// Problems and notices in order of line.
fn remarks(migration: &CheckedMigration) -> Vec<(&'static str, &Problem)> {
    let mut all: Vec<(&'static str, &Problem)> = migration
        .problems
        .iter()
        .map(|problem| ("error", problem))
        .chain(migration.notices.iter().map(|notice| ("note", notice)))
        .collect();
    all.sort_by_key(|(_, remark)| remark.line);
    all
}

fn file_of<'a>(files: &'a Files, version: &'a str) -> &'a str {
    files.get(version).map_or(version, String::as_str)
}

fn print_json(checked: &[CheckedMigration], files: &Files) {
    for migration in checked {
        for (kind, remark) in remarks(migration) {
            let object = json!({
                "file": file_of(files, &migration.version),
                "line": remark.line,
                "kind": kind,
                "code": remark.error.sqlstate,
                "message": remark.error.message,
                "detail": remark.error.detail,
                "hint": remark.error.hint,
                "follows": remark.follows.as_ref().map(|(version, line)| json!({
                    "file": file_of(files, version),
                    "line": line,
                })),
            });
            println!("{object}");
        }
    }
}

/// What to know of a PostgreSQL database whose texts are not in the embedded engine's order.
async fn collation_of(backend: &dyn Backend) -> Option<String> {
    let sql = "SELECT datcollate FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()";
    let found = backend.query(None, sql, QueryMode::ReadOnly).await.ok()?;
    let name = found.rows.into_iter().flatten().next().flatten()?;
    match name.as_str() {
        "C" | "POSIX" | "C.UTF-8" | "C.utf8" => None,
        _ => Some(format!(
            "the database orders text by the collation {name}, the embedded engine byte by byte (difference 1)"
        )),
    }
}
