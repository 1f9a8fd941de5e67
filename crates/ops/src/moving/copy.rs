//! Rows of one table from one side to the other, in chunks; a table's digest.

use mainstay_core::catalog::{ColumnIndex, Relation};
use mainstay_core::transfer::{Bounds, Chunk, Export, Import, Progress};

use super::pairs::Pair;
use super::{Event, Watch, doing};
use crate::digest::Digest;
use crate::error::Error;

/// Bytes of values in one chunk, about.
const CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// Rows in the first chunk of a table, before its rows' size is known.
const FIRST_ROWS: usize = 500;

/// Rows in a chunk, at most.
const CHUNK_ROWS_MAX: usize = 20_000;

/// What the first chunk is bounded by.
pub const FIRST: Bounds = Bounds {
    rows: FIRST_ROWS,
    bytes: CHUNK_BYTES,
};

/// Carries the rest of one table and returns its progress. The next chunk is read while one is written.
pub async fn carry(
    import: &mut dyn Import,
    export: &mut dyn Export,
    pair: &Pair,
    mut progress: Progress,
    watch: &mut Watch<'_>,
) -> Result<Progress, Error> {
    if progress.complete {
        return Ok(progress);
    }
    let name = &pair.target.name;
    let reading = || doing(format!("reading {name}"));
    let mut bounds = FIRST;
    let mut chunk = export
        .read(&pair.source, &pair.source_columns, progress.after.as_deref(), bounds)
        .await
        .map_err(reading())?;
    loop {
        bounds.rows = rows_of_next(&chunk, bounds.rows);
        progress.rows += chunk.rows.len() as u64;
        progress.complete = chunk.next.is_none();
        progress.after = chunk.next.clone().or(progress.after);
        let write = import.write(&pair.target, &pair.target_columns, &chunk.rows, &progress);
        let rows = chunk.rows.len() as u64;
        let next = match &chunk.next {
            None => {
                write.await.map_err(doing(format!("writing {name}")))?;
                watch(Event::Carried { table: name, rows });
                return Ok(progress);
            }
            Some(after) => {
                let read = export.read(&pair.source, &pair.source_columns, Some(after), bounds);
                let (done, next) = tokio::join!(write, read);
                done.map_err(doing(format!("writing {name}")))?;
                next.map_err(reading())?
            }
        };
        watch(Event::Carried { table: name, rows });
        chunk = next;
    }
}

/// Rows to ask for next, so that a chunk has about [`CHUNK_BYTES`]. Grows fourfold at most, because rows of other sizes
/// may follow.
pub fn rows_of_next(chunk: &Chunk, asked: usize) -> usize {
    let row_bytes = chunk.rows.bytes() / chunk.rows.len().max(1) + 1;
    (CHUNK_BYTES / row_bytes)
        .clamp(1, CHUNK_ROWS_MAX)
        .min(asked.saturating_mul(4))
}

/// The digest of a whole table.
pub async fn digest(export: &mut dyn Export, relation: &Relation, columns: &[ColumnIndex]) -> Result<Digest, Error> {
    let mut digest = Digest::default();
    let mut bounds = FIRST;
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
