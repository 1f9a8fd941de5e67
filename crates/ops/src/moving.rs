//! A move of a whole database from one engine into the other.
//!
//! The schema is there already (the same migrations were applied on both sides). Every table is carried in the order of
//! the source's own positions, in chunks; the target writes down with each chunk how far it is, so a move that was
//! interrupted anywhere goes on with the next row. Then every row of every table is read again on both sides and the
//! digests are compared; a table that differs (somebody wrote to it between two attempts) is carried anew, once.
//! Not here: how rows are read and written (`backend-*`).
//! Invariant: [`Move::run`] succeeds only when every table has the same rows on both sides.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_core::backend::Backend;
use mainstay_core::catalog::{Catalog, ColumnIndex, Relation, RelationKind};
use mainstay_core::error::BackendError;
use mainstay_core::name::QualifiedName;
use mainstay_core::transfer::{Bounds, Chunk, Export, Import, Progress, SequencePosition};

use crate::digest::Digest;
use crate::error::Error;

/// Bytes of values in one chunk, about.
const CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// Rows in the first chunk of a table, before its rows' size is known.
const FIRST_ROWS: usize = 500;

/// Rows in a chunk, at most.
const CHUNK_ROWS_MAX: usize = 20_000;

/// Schemas that hold no rows of a project: records of ours, and the engine's own.
const NOT_CARRIED: [&str; 3] = ["supabase_migrations", "mainstay_move", "information_schema"];

/// Schemas that the platform fills; what the target has no place for is left out while it is empty.
const PLATFORM: [&str; 4] = ["auth", "storage", "realtime", "extensions"];

/// What is going on, for whoever watches.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// Rows to carry in all, and rows carried by earlier attempts.
    Begin { rows: u64, carried: u64 },
    /// Rows of a table have been written.
    Carried { table: &'a QualifiedName, rows: u64 },
    /// The two sides are being compared; rows to read on each.
    BeginProof { rows: u64 },
    /// A table has been compared.
    Proved { table: &'a QualifiedName, rows: u64 },
    /// A table differs and is carried anew.
    Again { table: &'a QualifiedName },
}

/// One table of both sides.
#[derive(Clone, Debug)]
struct Pair {
    source: Arc<Relation>,
    target: Arc<Relation>,
    /// Columns that are carried, by their positions on each side.
    source_columns: Vec<ColumnIndex>,
    target_columns: Vec<ColumnIndex>,
    /// Columns that are compared: those and the generated ones.
    source_compared: Vec<ColumnIndex>,
    target_compared: Vec<ColumnIndex>,
}

/// What a finished move has proved.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Each table's digest, the same on both sides.
    pub tables: BTreeMap<QualifiedName, Digest>,
    /// Sequences whose positions were carried.
    pub sequences: usize,
}

impl Report {
    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.values().map(Digest::rows).sum()
    }
}

/// A move in the making.
pub struct Move<'a> {
    source: &'a dyn Backend,
    target: &'a dyn Backend,
    import: Box<dyn Import>,
}

impl<'a> Move<'a> {
    /// Begins a move into `target`, or goes on with one from the same source; `name` is the source's name for people.
    /// `target_name` likewise. The target's schema may be made after this.
    ///
    /// Errors: `NotEmpty`, unless the target is in the middle of this very move.
    pub async fn begin(
        source: &'a dyn Backend,
        target: &'a dyn Backend,
        name: &str,
        target_name: &str,
    ) -> Result<Self, Error> {
        let begun = target
            .transfer()
            .unfinished()
            .await
            .map_err(doing("looking at the target"))?;
        if begun.is_none()
            && let Some(what) = contents(target).await?
        {
            return Err(Error::NotEmpty {
                target: target_name.to_owned(),
                what,
            });
        }
        let import = target
            .transfer()
            .import(name)
            .await
            .map_err(doing("beginning the move"))?;
        Ok(Move { source, target, import })
    }

    /// Carries everything and proves it. The target stays marked as unfinished until [`Move::finish`].
    pub async fn run(&mut self, watch: &mut (dyn FnMut(Event<'_>) + Send)) -> Result<Report, Error> {
        let pairs = pairs(&self.source.catalog(), &self.target.catalog())?;
        let mut export = self
            .source
            .transfer()
            .export()
            .await
            .map_err(doing("reading the source"))?;
        let (pairs, rows) = present(pairs, &mut *export).await?;
        let targets: Vec<&Relation> = pairs.iter().map(|pair| &*pair.target).collect();
        self.import
            .prepare(&targets)
            .await
            .map_err(doing("preparing the target"))?;
        let known = self
            .import
            .progress()
            .await
            .map_err(doing("reading the move's record"))?;
        let carried = known.values().map(|progress| progress.rows).sum();
        watch(Event::Begin { rows, carried });
        for pair in &pairs {
            let progress = known.get(&pair.target.name).cloned().unwrap_or_default();
            self.carry(&mut *export, pair, progress, watch).await?;
        }
        let mut report = Report::default();
        watch(Event::BeginProof { rows });
        let mut differing = self.prove(&mut *export, &pairs, &mut report, watch).await?;
        if !differing.is_empty() {
            for pair in &differing {
                watch(Event::Again {
                    table: &pair.target.name,
                });
                self.import
                    .clear(&pair.target)
                    .await
                    .map_err(doing("carrying a table anew"))?;
                self.carry(&mut *export, pair, Progress::default(), watch).await?;
            }
            differing = self.prove(&mut *export, &differing, &mut report, watch).await?;
        }
        if !differing.is_empty() {
            return Err(Error::RowsDiffer(
                differing.into_iter().map(|pair| pair.target.name.clone()).collect(),
            ));
        }
        report.sequences = self.sequences(&mut *export).await?;
        self.import
            .restore()
            .await
            .map_err(doing("putting the foreign keys back"))?;
        Ok(report)
    }

    /// Ends the move: from now on the target may be served.
    pub async fn finish(mut self) -> Result<(), Error> {
        self.import.finish().await.map_err(doing("ending the move"))
    }

    /// Carries the rest of one table. The next chunk is read while one is written.
    async fn carry(
        &mut self,
        export: &mut dyn Export,
        pair: &Pair,
        mut progress: Progress,
        watch: &mut (dyn FnMut(Event<'_>) + Send),
    ) -> Result<(), Error> {
        if progress.complete {
            return Ok(());
        }
        let name = &pair.target.name;
        let reading = || doing(format!("reading {name}"));
        let mut bounds = Bounds {
            rows: FIRST_ROWS,
            bytes: CHUNK_BYTES,
        };
        let mut chunk = export
            .read(&pair.source, &pair.source_columns, progress.after.as_deref(), bounds)
            .await
            .map_err(reading())?;
        loop {
            bounds.rows = rows_of_next(&chunk, bounds.rows);
            progress.rows += chunk.rows.len() as u64;
            progress.complete = chunk.next.is_none();
            progress.after = chunk.next.clone().or(progress.after);
            let write = self
                .import
                .write(&pair.target, &pair.target_columns, &chunk.rows, &progress);
            let written = chunk.rows.len() as u64;
            let next = match &chunk.next {
                None => {
                    write.await.map_err(doing(format!("writing {name}")))?;
                    watch(Event::Carried {
                        table: name,
                        rows: written,
                    });
                    return Ok(());
                }
                Some(after) => {
                    let read = export.read(&pair.source, &pair.source_columns, Some(after), bounds);
                    let (done, next) = tokio::join!(write, read);
                    done.map_err(doing(format!("writing {name}")))?;
                    next.map_err(reading())?
                }
            };
            watch(Event::Carried {
                table: name,
                rows: written,
            });
            chunk = next;
        }
    }

    /// Compares the tables and returns those that differ.
    async fn prove(
        &mut self,
        source: &mut dyn Export,
        pairs: &[Pair],
        report: &mut Report,
        watch: &mut (dyn FnMut(Event<'_>) + Send),
    ) -> Result<Vec<Pair>, Error> {
        let mut target = self
            .target
            .transfer()
            .export()
            .await
            .map_err(doing("reading the target"))?;
        let mut differing = Vec::new();
        for pair in pairs {
            let (here, there) = tokio::join!(
                digest(source, &pair.source, &pair.source_compared),
                digest(&mut *target, &pair.target, &pair.target_compared),
            );
            let (here, there) = (here?, there?);
            if here == there {
                report.tables.insert(pair.target.name.clone(), here);
            } else {
                tracing::warn!(table = %pair.target.name, source = %here, source_rows = here.rows(), target = %there,
                    target_rows = there.rows(), "the two sides differ");
                differing.push(pair.clone());
            }
            watch(Event::Proved {
                table: &pair.target.name,
                rows: here.rows(),
            });
        }
        Ok(differing)
    }

    /// Carries the sequences' positions and reads them back. Returns how many there are on both sides.
    async fn sequences(&mut self, source: &mut dyn Export) -> Result<usize, Error> {
        let positions = source.sequences().await.map_err(doing("reading the sequences"))?;
        self.import
            .set_sequences(&positions)
            .await
            .map_err(doing("setting the sequences"))?;
        let mut target = self
            .target
            .transfer()
            .export()
            .await
            .map_err(doing("reading the target"))?;
        let reached = target
            .sequences()
            .await
            .map_err(doing("reading the target's sequences"))?;
        let reached: BTreeMap<&QualifiedName, &SequencePosition> =
            reached.iter().map(|position| (&position.name, position)).collect();
        let mut count = 0;
        for position in &positions {
            match reached.get(&position.name) {
                Some(there) if *there == position => count += 1,
                Some(_) => return Err(Error::RowsDiffer(vec![position.name.clone()])),
                None => {
                    return Err(Error::SchemasDiffer(format!(
                        "the target has no sequence {}",
                        position.name
                    )));
                }
            }
        }
        Ok(count)
    }
}

/// A context for an engine's failure.
fn doing(what: impl Into<String>) -> impl FnOnce(BackendError) -> Error {
    let doing = what.into();
    move |error| Error::Database { doing, error }
}

/// Rows to ask for next, so that a chunk has about [`CHUNK_BYTES`]. Grows fourfold at most, because rows of other sizes
/// may follow.
fn rows_of_next(chunk: &Chunk, asked: usize) -> usize {
    let row_bytes = chunk.rows.bytes() / chunk.rows.len().max(1) + 1;
    (CHUNK_BYTES / row_bytes)
        .clamp(1, CHUNK_ROWS_MAX)
        .min(asked.saturating_mul(4))
}

async fn digest(export: &mut dyn Export, relation: &Relation, columns: &[ColumnIndex]) -> Result<Digest, Error> {
    let mut digest = Digest::default();
    let mut bounds = Bounds {
        rows: FIRST_ROWS,
        bytes: CHUNK_BYTES,
    };
    let mut after: Option<String> = None;
    loop {
        let chunk = export
            .read(relation, columns, after.as_deref(), bounds)
            .await
            .map_err(doing(format!("reading {}", relation.name)))?;
        bounds.rows = rows_of_next(&chunk, bounds.rows);
        digest.add(&chunk.rows);
        match chunk.next {
            Some(next) => after = Some(next),
            None => return Ok(digest),
        }
    }
}

/// What the database holds, if it is not fit to be a target.
async fn contents(backend: &dyn Backend) -> Result<Option<String>, Error> {
    let migrations = backend
        .migrations()
        .await
        .map_err(doing("reading the target's migrations"))?;
    if !migrations.is_empty() {
        return Ok(Some(format!("{} applied migration(s)", migrations.len())));
    }
    let catalog = backend.catalog();
    let table = catalog
        .relations
        .values()
        .filter(|relation| is_carried(relation) && !PLATFORM.contains(&relation.name.schema.as_str()))
        .map(|relation| &relation.name)
        .min();
    Ok(table.map(|name| format!("the table {name}")))
}

fn is_carried(relation: &Relation) -> bool {
    let schema = relation.name.schema.as_str();
    !relation.kind.is_view() && !NOT_CARRIED.contains(&schema) && !schema.starts_with("pg_")
}

/// The source's tables with their counterparts, in order of name. A table of the platform's that the target does not
/// have stands alone: the second part.
type Pairs = (Vec<Pair>, Vec<Arc<Relation>>);

/// Finds each table's counterpart. Errors: `SchemasDiffer`.
fn pairs(source: &Catalog, target: &Catalog) -> Result<Pairs, Error> {
    let mut tables: Vec<&Arc<Relation>> = source.relations.values().filter(|table| is_carried(table)).collect();
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    let (mut pairs, mut alone) = (Vec::new(), Vec::new());
    for table in tables {
        if table.kind != RelationKind::Table {
            let what = format!(
                "{} is partitioned or foreign, and only plain tables can be moved",
                table.name
            );
            return Err(Error::SchemasDiffer(what));
        }
        match target.relation(&table.name) {
            Some(counterpart) => pairs.push(pair(table, counterpart)?),
            None if PLATFORM.contains(&table.name.schema.as_str()) => alone.push(Arc::clone(table)),
            None => return Err(Error::SchemasDiffer(format!("the target has no table {}", table.name))),
        }
    }
    Ok((pairs, alone))
}

fn pair(source: &Arc<Relation>, target: &Arc<Relation>) -> Result<Pair, Error> {
    let differ = |what: String| Err(Error::SchemasDiffer(format!("table {}: {what}", source.name)));
    if target.kind != RelationKind::Table {
        return differ("on the target it is no plain table".into());
    }
    let mut pair = Pair {
        source: Arc::clone(source),
        target: Arc::clone(target),
        source_columns: Vec::new(),
        target_columns: Vec::new(),
        source_compared: Vec::new(),
        target_compared: Vec::new(),
    };
    for (here, column) in source.columns.iter().enumerate() {
        let Some((there, counterpart)) = target.column(&column.name) else {
            return differ(format!("the target has no column {}", column.name));
        };
        if column.ty != counterpart.ty {
            let (ours, theirs) = (
                column.ty.display(column.modifier),
                counterpart.ty.display(counterpart.modifier),
            );
            return differ(format!("column {} is {ours} here and {theirs} there", column.name));
        }
        if column.generated.is_some() != counterpart.generated.is_some() {
            return differ(format!("column {} is generated on one side only", column.name));
        }
        pair.source_compared.push(here);
        pair.target_compared.push(there);
        if column.generated.is_none() {
            pair.source_columns.push(here);
            pair.target_columns.push(there);
        }
    }
    let missing = target
        .columns
        .iter()
        .find(|column| source.column(&column.name).is_none() && column.not_null && !column.has_default());
    match missing {
        Some(column) => differ(format!(
            "the source has no column {}, which must not be null",
            column.name
        )),
        None => Ok(pair),
    }
}

/// The pairs and how many rows they have; a table that stands alone must be empty.
async fn present((pairs, alone): Pairs, export: &mut dyn Export) -> Result<(Vec<Pair>, u64), Error> {
    for table in alone {
        if count(export, &table).await? > 0 {
            let what = format!("the source has rows in {}, which the target does not have", table.name);
            return Err(Error::SchemasDiffer(what));
        }
    }
    let mut rows = 0;
    for pair in &pairs {
        rows += count(export, &pair.source).await?;
    }
    Ok((pairs, rows))
}

async fn count(export: &mut dyn Export, relation: &Relation) -> Result<u64, Error> {
    export
        .count(relation)
        .await
        .map_err(doing(format!("counting {}", relation.name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::transfer::Rows;

    #[test]
    fn chunks_grow_towards_their_size_and_shrink_at_once() {
        let mut rows = Rows::new(1);
        for _ in 0..10 {
            rows.push(Some(&[b'x'; 1023]));
            rows.end_row();
        }
        let small = Chunk { rows, next: None };
        assert_eq!(rows_of_next(&small, 10), 40);
        assert_eq!(rows_of_next(&small, 10_000), 4096);
        let mut rows = Rows::new(1);
        rows.push(Some(&vec![b'x'; CHUNK_BYTES * 2]));
        rows.end_row();
        assert_eq!(rows_of_next(&Chunk { rows, next: None }, 4096), 1);
    }
}
