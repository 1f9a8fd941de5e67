//! `mainstay import`: bring data from elsewhere into the project.
//!
//! What was found and guessed is shown first; nothing is written before that, and without a yes nothing is written at
//! all.

mod dump;
mod file;
mod postgres;
mod sqlite;

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use mainstay_core::catalog::Catalog;
use mainstay_core::name::QualifiedName;
use mainstay_core::types::Type;
use mainstay_ops::import::Source;
use mainstay_schema::Project;

use super::migrate::{up, version_now};
use super::{CommandError, Opened};
use crate::cli::Import;

/// Brings `SOURCE` into the project's database.
pub async fn run(command: &Import) -> Result<(), CommandError> {
    let opened = super::open(&command.target).await?;
    let result = import(command, &opened).await;
    opened.backend.close().await;
    result
}

async fn import(command: &Import, opened: &Opened) -> Result<(), CommandError> {
    if command.source.starts_with("postgres://") || command.source.starts_with("postgresql://") {
        return postgres::import(command, opened).await;
    }
    let pending = opened.migrator.pending(true).await?.len();
    if pending > 0 {
        return Err(mainstay_schema::Error::Pending(pending).into());
    }
    let path = Path::new(&command.source);
    if sqlite::is_sqlite(path) {
        return sqlite::import(command, opened, path).await;
    }
    if path
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("sql"))
    {
        return dump::import(command, opened, path).await;
    }
    match Source::open(path)? {
        Some(source) => file::import(command, opened, &source).await,
        None => Err(CommandError::Other(format!(
            "{} is none of .csv, .tsv, .json, .ndjson, .jsonl, .db, .sqlite, .sql and no postgres:// URL",
            path.display()
        ))),
    }
}

/// Asks whether to go on. Where nobody can answer, `--yes` has to have been given.
fn is_agreed(command: &Import) -> Result<bool, CommandError> {
    if command.dry_run {
        println!("Nothing was written (--dry-run).");
        return Ok(false);
    }
    if command.yes {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        return Err(CommandError::Other(
            "nothing was written; --yes writes without asking".into(),
        ));
    }
    print!("Go on? [y/N] ");
    // A prompt that does not show is only a prompt.
    let _ = std::io::stdout().flush();
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| CommandError::Other(format!("standard input: {error}")))?;
    let agreed = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    if !agreed {
        println!("Nothing was written.");
    }
    Ok(agreed)
}

/// Writes a migration and applies it. One that cannot be applied is taken away again.
async fn make(opened: &Opened, name: &str, sql: &str) -> Result<(), CommandError> {
    let project = Project::new(&opened.config.root);
    let path = write_migration(&project, name, sql)?;
    if let Err(error) = up(&opened.migrator, false).await {
        std::fs::remove_file(&path).map_err(|error| unwritable(&path, &error))?;
        return Err(error.into());
    }
    println!("Applied the new migration {}.", path.display());
    Ok(())
}

/// Writes a migration of now, or of the next second that has none.
fn write_migration(project: &Project, name: &str, sql: &str) -> Result<PathBuf, CommandError> {
    let last = project
        .migrations()?
        .into_iter()
        .map(|migration| migration.version)
        .max();
    let mut version = version_now();
    if let Some(last) = last.filter(|last| *last >= version) {
        version = last.parse::<u64>().map_or(last, |number| format!("{:014}", number + 1));
    }
    let path = project.new_migration(&version, name)?;
    std::fs::write(&path, sql).map_err(|error| unwritable(&path, &error))?;
    Ok(path)
}

fn unwritable(path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::Other(format!("cannot write {}: {error}", path.display()))
}

/// `table` or `schema.table`.
fn table_name(text: &str) -> QualifiedName {
    match text.split_once('.') {
        Some((schema, name)) => QualifiedName::new(schema, name),
        None => QualifiedName::new("public", text),
    }
}

/// Reads `--type column=type`.
fn types(command: &Import, catalog: &Catalog) -> Result<BTreeMap<String, Type>, CommandError> {
    let mut types = BTreeMap::new();
    for given in &command.types {
        let Some((column, name)) = given.split_once('=') else {
            return Err(CommandError::Other(format!("--type {given}: write it as column=type")));
        };
        types.insert(column.trim().to_owned(), type_called(name.trim(), catalog)?);
    }
    Ok(types)
}

fn type_called(name: &str, catalog: &Catalog) -> Result<Type, CommandError> {
    if let Some(element) = name.strip_suffix("[]") {
        return Ok(Type::Array(Box::new(type_called(element, catalog)?)));
    }
    if let Some(ty) = Type::from_builtin_name(&name.to_ascii_lowercase()) {
        return Ok(ty);
    }
    let name = table_name(name);
    if catalog.enums.contains_key(&name) {
        return Ok(Type::Enum(name));
    }
    Err(CommandError::Other(format!("there is no type {}", name.name)))
}

/// A bar of `length` that counts rows.
fn rows_bar(length: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    // The template is a constant; a broken one falls back to the default look.
    let style = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} rows  {per_sec}  {eta} left  {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
