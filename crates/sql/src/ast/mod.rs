//! PostgreSQL statements as our own tree: what was written, before any name is resolved.
//!
//! Lives here: the shapes of statements, queries and expressions. Not here: `pg_query`'s types (`convert`), types and
//! resolved names (`typed`).
//! Invariant: `position` is the 1-based character position in the statement's text; 0 means unknown.

pub mod ddl;
mod expr;
mod query;

pub use expr::*;
pub use query::*;

use mainstay_core::name::Ident;

/// One statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    Query(Box<Query>),
    Insert(Box<Insert>),
    Update(Box<Update>),
    Delete(Box<Delete>),
    Ddl(Box<ddl::DdlStatement>),
    /// `SET name = values` and `RESET name` (no values).
    Set(Set),
    Transaction(Transaction),
    /// `DO`: a PL/pgSQL body that is run at once.
    Do(String),
    /// PostgreSQL knows it, the portable subset does not.
    Unsupported(Unsupported),
}

/// A statement or a part of one that only PostgreSQL can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// As a person would name it: `MERGE`, `COPY`.
    pub feature: String,
    /// The object it is about; empty if none.
    pub object: String,
    /// 1-based, in the whole text.
    pub line: u32,
    pub alternative: Option<String>,
}

/// `SET [LOCAL] name TO …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Lower case, for example `search_path`.
    pub name: String,
    /// Values in text form; `None` for `DEFAULT` and `RESET`.
    pub values: Option<Vec<String>>,
    /// `SET LOCAL`.
    pub local: bool,
}

/// Transaction control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transaction {
    Begin,
    Commit,
    Rollback,
    Savepoint(Ident),
    Release(Ident),
    RollbackTo(Ident),
}

/// A name that may have a schema.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectName {
    pub schema: Option<Ident>,
    pub name: Ident,
    pub position: u32,
}

impl std::fmt::Display for ObjectName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}

/// A type as written: `numeric(10, 2)`, `public.order_status[]`.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeName {
    /// `pg_catalog` for the grammar's own spellings (`integer`, `timestamp with time zone`).
    pub schema: Option<Ident>,
    /// The internal name for the grammar's own spellings: `int4`, `timestamptz`.
    pub name: Ident,
    /// The numbers in parentheses.
    pub modifiers: Vec<i64>,
    /// Pairs of square brackets.
    pub array_dimensions: u32,
    /// `SETOF`.
    pub set_of: bool,
    /// `interval day to second` and the like, which have no number form.
    pub has_other_modifiers: bool,
    pub position: u32,
}
