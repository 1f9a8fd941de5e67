//! A plain-text dump of PostgreSQL's into a new project: its schema becomes the first migration, its rows are written
//! chunk by chunk, each with the record of how far they go.

use std::path::Path;
use std::sync::Arc;

use mainstay_core::backend::Migration;
use mainstay_core::catalog::{Catalog, ColumnIndex, Relation};
use mainstay_core::error::BackendError;
use mainstay_core::transfer::{Import as Rows, Progress};
use mainstay_ops::Error;
use mainstay_ops::import::dump::{Block, BlockRows, Dump, read};
use mainstay_schema::Project;

use super::super::migrate::up;
use super::super::{CommandError, Opened};
use super::{is_agreed, rows_bar, write_migration};
use crate::cli::Import;

/// Shows the schema and the tables' rows and, if that is agreed to, brings everything in.
pub async fn import(command: &Import, opened: &Opened, path: &Path) -> Result<(), CommandError> {
    let dump = read(path)?;
    let from = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let project = Project::new(&opened.config.root);
    let begun = opened.backend.transfer().arrival().await?;
    if begun.is_none_or(|begun| begun.source != from) {
        if !project.migrations()?.is_empty() {
            return Err(CommandError::Other(
                "the project has migrations already; a dump is imported into a new project (`mainstay init`)".into(),
            ));
        }
        try_schema(opened, &dump, &from).await?;
        for block in &dump.blocks {
            println!("{}: {} rows", block.table, block.rows);
        }
        if !is_agreed(command)? {
            return Ok(());
        }
        let sql = format!("-- Imported from {}\n{}", from.replace(['\n', '\r'], " "), dump.schema);
        let written = write_migration(&project, "import", &sql)?;
        println!("Wrote the migration {}.", written.display());
    }
    let mut rows = opened.backend.transfer().import(&from).await?;
    up(&opened.migrator, false).await?;
    let tables = tables(&opened.backend.catalog(), &dump)?;
    let relations: Vec<&Relation> = tables.iter().map(|(_, relation, _)| &**relation).collect();
    rows.prepare(&relations).await?;
    let known = rows.progress().await?;
    let mut count = 0;
    for (block, relation, columns) in &tables {
        let progress = known.get(&relation.name).cloned().unwrap_or_default();
        count += write(&mut *rows, &dump, block, (relation, columns), progress).await?;
    }
    // These rows come from a text, not from where the foreign keys hold.
    rows.settle().await?;
    rows.set_sequences(&dump.positions).await?;
    rows.restore().await?;
    rows.finish().await?;
    println!(
        "{count} rows in {} tables of {from} are in {}.",
        tables.len(),
        opened.database.describe()
    );
    Ok(())
}

/// Tries the schema without keeping anything.
async fn try_schema(opened: &Opened, dump: &Dump, from: &str) -> Result<(), CommandError> {
    let migration = Migration {
        version: "0".repeat(14),
        name: "import".into(),
        sql: dump.schema.clone(),
    };
    let mut problems = 0;
    for checked in opened.backend.check(&[migration]).await {
        for problem in &checked.problems {
            let near = dump
                .schema
                .lines()
                .nth(problem.line.saturating_sub(1) as usize)
                .unwrap_or_default();
            eprintln!("{}\n    in: {near}", problem.error.message);
            problems += 1;
        }
    }
    if problems > 0 {
        return Err(CommandError::Other(format!(
            "{problems} problem(s) with the schema of {from} on {}; nothing was written. A dump of the project's own \
             schemas alone (`pg_dump --schema public`) has fewer",
            opened.database.describe()
        )));
    }
    Ok(())
}

/// Each block with its table and the table's columns.
type Table<'a> = (&'a Block, Arc<Relation>, Vec<ColumnIndex>);

fn tables<'a>(catalog: &Catalog, dump: &'a Dump) -> Result<Vec<Table<'a>>, CommandError> {
    let mut tables: Vec<Table<'a>> = Vec::new();
    for block in &dump.blocks {
        let missing = |what: String| CommandError::Ops(Error::SchemasDiffer(what));
        let Some(relation) = catalog.relation(&block.table) else {
            return Err(missing(format!(
                "the dump has rows of {}, which its schema does not make",
                block.table
            )));
        };
        if tables.iter().any(|(_, known, _)| known.name == relation.name) {
            return Err(missing(format!("the dump has the rows of {} twice", block.table)));
        }
        let position = |name: &String| {
            let found = relation.column(name).map(|(position, _)| position);
            found.ok_or_else(|| missing(format!("{} has no column {name}", block.table)))
        };
        let columns = block.columns.iter().map(position).collect::<Result<_, _>>()?;
        tables.push((block, Arc::clone(relation), columns));
    }
    Ok(tables)
}

/// Writes what is left of a block; how many rows it has in all.
async fn write(
    target: &mut dyn Rows,
    dump: &Dump,
    block: &Block,
    (relation, columns): (&Relation, &[ColumnIndex]),
    mut progress: Progress,
) -> Result<u64, CommandError> {
    let bar = rows_bar(block.rows, &block.table.to_string());
    let mut source = BlockRows::open(dump, block, progress.rows)?;
    while !progress.complete {
        let lines = source.chunk()?;
        progress.rows += lines.rows.len() as u64;
        progress.complete = lines.is_end;
        let written = target.write(relation, columns, &lines.rows, &progress).await;
        written.map_err(|error: BackendError| Error::Rows {
            path: dump.path.clone(),
            first: lines.first,
            last: lines.last,
            error,
        })?;
        bar.set_position(progress.rows);
    }
    bar.finish_and_clear();
    Ok(progress.rows)
}
