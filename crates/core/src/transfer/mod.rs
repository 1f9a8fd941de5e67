//! Carrying a whole database from one engine into another: rows as text, out of one and into the other.
//!
//! | module | what |
//! |---|---|
//! | [`rows`] | the form that rows have between two engines |
//! | [`departure`] | the source's state while it is being moved and others go on writing to it |
//! | [`copy_text`] | the escapes of PostgreSQL's COPY |
//!
//! Lives here also: what each engine does for a move.
//! Not here: the order of a move and its proof (`ops`), how an engine reads and writes (`backend-*`).
//!
//! **The form of values.** Every value is the text of PostgreSQL's JSON form without the quotes of a JSON string: what
//! `to_json(value) #>> '{}'` gives, in UTC. `json` and `jsonb` are their own text, `bytea` is `\x…`, arrays are JSON
//! arrays. Two values of one type are the same if and only if these texts are (`numeric` includes its scale), so equal
//! texts on both sides prove equal rows.

pub mod copy_text;
pub mod departure;
pub mod rows;

use std::collections::HashMap;

use crate::backend::BoxFuture;
use crate::catalog::{ColumnIndex, Relation};
use crate::error::BackendError;
use crate::name::QualifiedName;

pub use departure::{Departure, Hold, Leaving, Phase, key};
pub use rows::Rows;

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

/// Which written rows are asked for.
#[derive(Clone, Debug)]
pub struct WrittenSince {
    pub mark: String,
    /// Up to this position, as [`Chunk::next`] gives them; those beyond have not been carried yet.
    pub until: Option<String>,
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

/// What was written to a relation since a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub relation: QualifiedName,
    /// Rows, about.
    pub rows: u64,
    /// Which rows is not known: it has no key ([`departure::key`]), or was emptied as a whole.
    pub is_whole: bool,
}

/// Where an import stands in the record of a source's changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The [`Departure::id`] of the source.
    pub departure: String,
    /// What [`Export::mark`] gave: everything before it has been carried.
    pub mark: String,
}

/// The source's side of a move: one view of all rows.
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

    /// The place of this view in the record of changes. Only the engine that gave it knows what it says.
    fn mark<'a>(&'a mut self) -> BoxFuture<'a, Result<String, BackendError>>;

    /// What was written between `since` (a mark) and this view.
    fn written<'a>(&'a mut self, since: &'a str) -> BoxFuture<'a, Result<Vec<Written>, BackendError>>;

    /// The keys that rows of `relation` had before they were written, since a mark. Keys may come more than once.
    fn former_keys<'a>(
        &'a mut self,
        relation: &'a Relation,
        key: &'a [ColumnIndex],
        since: &'a str,
    ) -> BoxFuture<'a, Result<Rows, BackendError>>;

    /// Reads the written rows as they are now, like [`Export::read`].
    fn read_written<'a>(
        &'a mut self,
        relation: &'a Relation,
        columns: &'a [ColumnIndex],
        written: &'a WrittenSince,
        after: Option<&'a str>,
        bounds: Bounds,
    ) -> BoxFuture<'a, Result<Chunk, BackendError>>;

    /// The rows that have one of these keys, in any order.
    fn read_keys<'a>(
        &'a mut self,
        relation: &'a Relation,
        columns: &'a [ColumnIndex],
        key: &'a [ColumnIndex],
        keys: &'a Rows,
    ) -> BoxFuture<'a, Result<Rows, BackendError>>;

    /// How many rows `relation` has.
    fn count<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<u64, BackendError>>;

    /// Where every sequence stands, by name.
    fn sequences<'a>(&'a mut self) -> BoxFuture<'a, Result<Vec<SequencePosition>, BackendError>>;
}

/// The target's side of a move. What it has to remember stands in the target itself, so that a move can go on after
/// it was interrupted anywhere.
pub trait Import: Send {
    /// Makes `relations` ready to take rows in: empty (the first time only), without foreign keys and triggers in the way.
    /// What has to be put back is written down in the same transaction.
    fn prepare<'a>(&'a mut self, relations: &'a [&'a Relation]) -> BoxFuture<'a, Result<(), BackendError>>;

    /// How far each relation has been carried.
    fn progress<'a>(&'a mut self) -> BoxFuture<'a, Result<HashMap<QualifiedName, Progress>, BackendError>>;

    /// How far the source's changes have been carried.
    fn reached<'a>(&'a mut self) -> BoxFuture<'a, Result<Option<Reached>, BackendError>>;

    /// Says how far they have been.
    fn reach<'a>(&'a mut self, reached: &'a Reached) -> BoxFuture<'a, Result<(), BackendError>>;

    /// Adds `rows`, and says in the same transaction that the relation has been carried so far. Defaults, triggers and
    /// foreign keys do not act; identity columns take the values given.
    fn write<'a>(
        &'a mut self,
        relation: &'a Relation,
        columns: &'a [ColumnIndex],
        rows: &'a Rows,
        progress: &'a Progress,
    ) -> BoxFuture<'a, Result<(), BackendError>>;

    /// Removes the rows that have one of these keys. Triggers and foreign keys do not act.
    fn remove<'a>(
        &'a mut self,
        relation: &'a Relation,
        key: &'a [ColumnIndex],
        keys: &'a Rows,
    ) -> BoxFuture<'a, Result<(), BackendError>>;

    /// Removes every row of `relation` and forgets how far it was carried.
    fn clear<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<(), BackendError>>;

    /// What takes long once most rows are there and need not wait for the last: statistics, foreign keys of the rows so
    /// far. Errors: a foreign key that the rows do not satisfy (23503).
    fn settle<'a>(&'a mut self) -> BoxFuture<'a, Result<(), BackendError>>;

    /// Brings the sequences to these positions; those that are not there are left out.
    fn set_sequences<'a>(&'a mut self, positions: &'a [SequencePosition]) -> BoxFuture<'a, Result<(), BackendError>>;

    /// Puts foreign keys and triggers back. Short: the rows are not looked at, they come from where the keys hold.
    fn restore<'a>(&'a mut self) -> BoxFuture<'a, Result<(), BackendError>>;

    /// From now on the target may be served.
    fn open<'a>(&'a mut self) -> BoxFuture<'a, Result<(), BackendError>>;

    /// Checks what [`Import::restore`] did not, and forgets the move: the target is a database like any other.
    fn finish<'a>(&'a mut self) -> BoxFuture<'a, Result<(), BackendError>>;
}

/// A move into a database that has not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The source's name for people.
    pub source: String,
    /// All rows are there and proved, and it may be served: [`Import::finish`] is missing.
    pub is_open: bool,
}

/// What an engine does when a database is moved.
pub trait Transfer: Send + Sync {
    /// One consistent view of all rows, until it is dropped.
    fn export<'a>(&'a self) -> BoxFuture<'a, Result<Box<dyn Export>, BackendError>>;

    /// Begins to move `source` (a name for people) into this database, or goes on.
    fn import<'a>(&'a self, source: &'a str) -> BoxFuture<'a, Result<Box<dyn Import>, BackendError>>;

    /// The move into this database that has not come to its end. Unless it is open the database must not be served.
    fn arrival<'a>(&'a self) -> BoxFuture<'a, Result<Option<Arrival>, BackendError>>;

    /// The source's side of a move that others write beside.
    fn leaving(&self) -> &dyn Leaving;
}
