//! The source's side of a move that others write beside: what they write is recorded in the source itself, and at the
//! end their writes are held.
//!
//! | phase | writes of others |
//! |---|---|
//! | recording | are taken, and recorded in the transaction that makes them |
//! | held | are refused ([`BackendError::WritesHeld`]) until the hold is let go or its time is over |
//! | moved | are refused until the move is taken back |
//!
//! All of it stands in the source, so whoever opens it next acts accordingly, whatever was killed. A hold has a time: a
//! mover that is gone holds nobody up. A move can only be confirmed while its own hold has never ended.

use std::time::Duration;

use crate::backend::BoxFuture;
use crate::catalog::{ColumnIndex, ConstraintKind, Relation};
use crate::error::BackendError;
use crate::types::Type;

/// How far a move has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Recording,
    Held,
    Moved,
}

impl Phase {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Recording => "recording",
            Phase::Held => "held",
            Phase::Moved => "moved",
        }
    }

    /// Reads [`Phase::as_str`].
    pub fn parse(text: &str) -> Option<Phase> {
        [Phase::Recording, Phase::Held, Phase::Moved]
            .into_iter()
            .find(|phase| phase.as_str() == text)
    }
}

/// A move out of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// Another one for every move: a record of changes belongs to one.
    pub id: String,
    /// The target's name for people.
    pub target: String,
    pub phase: Phase,
}

/// Writes are held until this hold is let go. Only the engine that gave it knows what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold(pub String);

/// What an engine does for a move out of it.
pub trait Leaving: Send + Sync {
    /// The move out of this database.
    fn departure<'a>(&'a self) -> BoxFuture<'a, Result<Option<Departure>, BackendError>>;

    /// Begins to record what is written to `relations`, or goes on. When this returns, every transaction that commits
    /// from now on is recorded. Schema changes are refused from now on (55006).
    ///
    /// Errors: 55006 for a move to elsewhere, 42501 naming a table that may not be recorded.
    fn depart<'a>(
        &'a self,
        target: &'a str,
        relations: &'a [&'a Relation],
    ) -> BoxFuture<'a, Result<Departure, BackendError>>;

    /// Holds writes for `time`. When this returns none is under way.
    fn hold<'a>(&'a self, time: Duration) -> BoxFuture<'a, Result<Hold, BackendError>>;

    /// Holds them for `time` from now. Errors: 55000 if the hold is over: somebody may have written.
    fn renew<'a>(&'a self, hold: &'a Hold, time: Duration) -> BoxFuture<'a, Result<(), BackendError>>;

    /// Lets writes go on. Does nothing if the hold is over.
    fn release<'a>(&'a self, hold: &'a Hold) -> BoxFuture<'a, Result<(), BackendError>>;

    /// The target has everything up to `mark` ([`Export::mark`](super::Export::mark)): no more writes here. Errors: 55000
    /// if the hold is over, or there is something after the mark.
    fn confirm<'a>(&'a self, hold: &'a Hold, mark: &'a str) -> BoxFuture<'a, Result<(), BackendError>>;

    /// Takes the move back, whatever its phase: writes go on, unrecorded. Returns the move that was.
    fn abandon<'a>(&'a self) -> BoxFuture<'a, Result<Option<Departure>, BackendError>>;
}

/// Columns that tell the rows of `relation` apart and whose texts find them again on another engine: the primary key,
/// else a unique constraint without nulls. `None`: only the whole relation can be carried again.
pub fn key(relation: &Relation) -> Option<Vec<ColumnIndex>> {
    let is_fit = |columns: &&Vec<ColumnIndex>| {
        !columns.is_empty()
            && columns.iter().all(|position| {
                relation
                    .columns
                    .get(*position)
                    .is_some_and(|column| column.not_null && column.generated.is_none() && finds(&column.ty))
            })
    };
    let primary = relation
        .constraints
        .iter()
        .filter_map(|constraint| match &constraint.kind {
            ConstraintKind::PrimaryKey { columns } => Some(columns),
            _ => None,
        });
    let unique = relation
        .constraints
        .iter()
        .filter_map(|constraint| match &constraint.kind {
            ConstraintKind::Unique { columns } => Some(columns),
            _ => None,
        });
    primary.chain(unique).find(is_fit).cloned()
}

/// A type whose text names one value.
fn finds(ty: &Type) -> bool {
    // As PostgreSQL has it, in an extension's schema.
    if let Type::Other(name) = ty.base() {
        return name.name == *"citext";
    }
    matches!(
        ty.base(),
        Type::Bool
            | Type::Int2
            | Type::Int4
            | Type::Int8
            | Type::Oid
            | Type::Numeric
            | Type::Text
            | Type::Varchar
            | Type::Name
            | Type::Citext
            | Type::Uuid
            | Type::Timestamptz
            | Type::Timestamp
            | Type::Date
            | Type::Time
            | Type::Bytea
            | Type::Enum(_)
    )
}
