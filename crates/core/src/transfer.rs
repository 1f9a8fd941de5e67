//! Carrying a whole database from one engine into another: rows as text, out of one and into the other.
//!
//! Lives here: the form that rows have between two engines, and what each engine does for a move.
//! Not here: the order of a move and its proof (`ops`), how an engine reads and writes (`backend-*`).
//!
//! **The form of values.** Every value is the text of PostgreSQL's JSON form without the quotes of a JSON string: what
//! `to_json(value) #>> '{}'` gives, in UTC. `json` and `jsonb` are their own text, `bytea` is `\x…`, arrays are JSON
//! arrays. Two values of one type are the same if and only if these texts are (`numeric` includes its scale), so equal
//! texts on both sides prove equal rows.

use std::collections::HashMap;

use crate::backend::BoxFuture;
use crate::catalog::{ColumnIndex, Relation};
use crate::error::BackendError;
use crate::name::QualifiedName;

/// What marks a null in [`Rows`].
const NULL: u32 = u32::MAX;

/// Rows of one width, their values as text in one buffer.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    width: usize,
    count: usize,
    text: Vec<u8>,
    /// Bytes of each value, or [`NULL`].
    lengths: Vec<u32>,
}

impl Rows {
    /// No rows, of `width` values each.
    pub fn new(width: usize) -> Self {
        Rows {
            width,
            ..Rows::default()
        }
    }

    /// Appends the next value of the row in the making. A value of 4 GiB or more is cut: no engine stores one.
    pub fn push(&mut self, value: Option<&[u8]>) {
        match value {
            Some(bytes) => self.push_with(|text| text.extend_from_slice(bytes)),
            None => self.lengths.push(NULL),
        }
    }

    /// Appends the next value, written by `write`.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.text.len();
        write(&mut self.text);
        let length = self.text.len() - start;
        self.lengths.push(u32::try_from(length).unwrap_or(NULL - 1));
    }

    /// Ends a row.
    pub fn end_row(&mut self) {
        self.count += 1;
    }

    /// Values in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True if there is no row.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of all values together.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Calls `each` with the values of every row, in order, until it fails.
    pub fn each<'a, E>(&'a self, mut each: impl FnMut(&[Option<&'a [u8]>]) -> Result<(), E>) -> Result<(), E> {
        let mut row: Vec<Option<&[u8]>> = Vec::with_capacity(self.width);
        let mut at = 0;
        let mut lengths = self.lengths.iter();
        for _ in 0..self.count {
            row.clear();
            for length in lengths.by_ref().take(self.width) {
                if *length == NULL {
                    row.push(None);
                } else {
                    let end = at + *length as usize;
                    row.push(self.text.get(at..end));
                    at = end;
                }
            }
            each(&row)?;
        }
        Ok(())
    }
}

/// How much to read at once. A chunk ends with the row that reaches either bound.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub rows: usize,
    pub bytes: usize,
}

/// Some rows of a relation, in the order of its key.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    pub rows: Rows,
    /// The position of the last row; `None` if the relation ends here. Only the engine that gave it knows what it says.
    pub next: Option<String>,
}

/// How far a relation has been carried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows carried so far.
    pub rows: u64,
    /// The source's position of the last of them.
    pub after: Option<String>,
    /// Every row has been carried.
    pub complete: bool,
}

/// Where a sequence stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequencePosition {
    pub name: QualifiedName,
    pub last_value: i64,
    /// False: `last_value` itself comes next.
    pub is_called: bool,
}

/// The source's side of a move.
pub trait Export: Send {
    /// Reads rows of `relation` after a position, or from the beginning. Repeated from `next` to `next` it gives every
    /// row exactly once, as long as nobody writes.
    fn read<'a>(
        &'a mut self,
        relation: &'a Relation,
        columns: &'a [ColumnIndex],
        after: Option<&'a str>,
        bounds: Bounds,
    ) -> BoxFuture<'a, Result<Chunk, BackendError>>;

    /// How many rows `relation` has.
    fn count<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<u64, BackendError>>;

    /// Where every sequence stands, by name.
    fn sequences<'a>(&'a mut self) -> BoxFuture<'a, Result<Vec<SequencePosition>, BackendError>>;
}

/// The target's side of a move. What it has to remember stands in the target itself, so that a move can go on after
/// it was interrupted anywhere.
pub trait Import: Send {
    /// Makes `relations` ready to take rows in: empty, without foreign keys and triggers in the way. What has to be put
    /// back is written down in the same transaction. Does nothing the second time.
    fn prepare<'a>(&'a mut self, relations: &'a [&'a Relation]) -> BoxFuture<'a, Result<(), BackendError>>;

    /// How far each relation has been carried.
    fn progress<'a>(&'a mut self) -> BoxFuture<'a, Result<HashMap<QualifiedName, Progress>, BackendError>>;

    /// Adds `rows`, and says in the same transaction that the relation has been carried so far. Defaults, triggers and
    /// foreign keys do not act; identity columns take the values given.
    fn write<'a>(
        &'a mut self,
        relation: &'a Relation,
        columns: &'a [ColumnIndex],
        rows: &'a Rows,
        progress: &'a Progress,
    ) -> BoxFuture<'a, Result<(), BackendError>>;

    /// Removes every row of `relation` and forgets how far it was carried.
    fn clear<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<(), BackendError>>;

    /// Brings the sequences to these positions; those that are not there are left out.
    fn set_sequences<'a>(&'a mut self, positions: &'a [SequencePosition]) -> BoxFuture<'a, Result<(), BackendError>>;

    /// Puts foreign keys and triggers back. Errors: a foreign key that the rows do not satisfy (23503).
    fn restore<'a>(&'a mut self) -> BoxFuture<'a, Result<(), BackendError>>;

    /// Forgets the move: from now on the target is a database like any other.
    fn finish<'a>(&'a mut self) -> BoxFuture<'a, Result<(), BackendError>>;
}

/// What an engine does when a database is moved.
pub trait Transfer: Send + Sync {
    /// One consistent view of all rows, until it is dropped.
    fn export<'a>(&'a self) -> BoxFuture<'a, Result<Box<dyn Export>, BackendError>>;

    /// Begins to move `source` (a name for people) into this database, or goes on.
    fn import<'a>(&'a self, source: &'a str) -> BoxFuture<'a, Result<Box<dyn Import>, BackendError>>;

    /// The source of a move into this database that has not come to its end. Such a database must not be served.
    fn unfinished<'a>(&'a self) -> BoxFuture<'a, Result<Option<String>, BackendError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_went_in() {
        let mut rows = Rows::new(3);
        rows.push(Some(b"1"));
        rows.push(None);
        rows.push(Some(b""));
        rows.end_row();
        rows.push_with(|text| text.extend_from_slice("käse".as_bytes()));
        rows.push(Some(b"x"));
        rows.push(None);
        rows.end_row();
        let mut seen: Vec<Vec<Option<String>>> = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        rows.each::<()>(|row| {
            seen.push(row.iter().map(|value| value.map(text)).collect());
            Ok(())
        })
        .unwrap();
        assert_eq!(
            seen,
            [
                [Some("1".into()), None, Some(String::new())],
                [Some("käse".into()), Some("x".into()), None]
            ]
        );
        assert_eq!((rows.len(), rows.bytes(), rows.width()), (2, 7, 3));
    }

    #[test]
    fn a_row_without_columns_is_a_row() {
        let mut rows = Rows::new(0);
        rows.end_row();
        let mut seen = 0;
        rows.each::<()>(|row| {
            seen += 1 + row.len();
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, 1);
    }
}
