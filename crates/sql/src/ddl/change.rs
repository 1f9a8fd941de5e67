//! What an engine has to do after the catalog has changed.

use mainstay_core::name::{Ident, QualifiedName};

use super::retype::Retyped;
use crate::ast::ddl::PublicationAction;

/// One thing left for the engine to do, in order. Names are looked up in the catalog as it is after the statement,
/// except for what is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing but the catalog's own entries: grants, policies, comments, views, routines.
    Catalog,
    /// Something a person should know.
    Notice(Notice),
    CreateTable(QualifiedName),
    /// With its indexes; nothing refers to it any more.
    DropTable(QualifiedName),
    RenameTable {
        from: QualifiedName,
        to: QualifiedName,
    },
    RenameColumn {
        table: QualifiedName,
        from: Ident,
        to: Ident,
    },
    /// A column at the end, nullable and without constraints so far; it is empty.
    AddColumn {
        table: QualifiedName,
        column: Ident,
    },
    /// Fill the new column with its default (or its sequence's values), row by row.
    FillColumn {
        table: QualifiedName,
        column: Ident,
    },
    /// No constraint and no index uses it any more.
    DropColumn {
        table: QualifiedName,
        column: Ident,
    },
    /// Existing rows must have a value. Errors: 23502.
    CheckNotNull {
        table: QualifiedName,
        column: Ident,
    },
    /// Existing rows must pass. Errors: 23514.
    CheckRows {
        table: QualifiedName,
        constraint: Ident,
        /// `NOT VALID`: PostgreSQL would not look at them, so that a row in the way is a refusal.
        not_valid: bool,
    },
    /// Existing rows must have their target. Errors: 23503.
    CheckForeignKey {
        table: QualifiedName,
        constraint: Ident,
        /// As of `CheckRows`.
        not_valid: bool,
    },
    /// The table's own definition (NOT NULL, CHECK, foreign keys, the kind of its key) is no longer what it was.
    Redefine {
        table: QualifiedName,
    },
    /// The rows must be written anew: a stored generated column came or went.
    Rebuild {
        table: QualifiedName,
    },
    /// Columns have other types; each value is made of the row as it was. Errors: those of the expressions, 23502,
    /// 23514, 23505.
    Retype {
        table: QualifiedName,
        columns: Vec<Retyped>,
    },
    /// The table has gone to another schema, and its indexes with it.
    MoveTable {
        from: QualifiedName,
        to: QualifiedName,
    },
    /// Rows of these tables go, whatever refers to them is among them.
    Truncate(Vec<QualifiedName>),
    /// The labels of an enum are others, or stand in another order.
    RelabelEnum {
        name: QualifiedName,
        /// The label that rows have, and the one they get.
        renamed: Option<(String, String)>,
    },
    DropPublication {
        name: Ident,
        if_exists: bool,
    },
    CreateIndex {
        table: QualifiedName,
        index: Ident,
    },
    /// The index behind a primary key or unique constraint. Errors: 23505.
    CreateKey {
        table: QualifiedName,
        constraint: Ident,
    },
    /// An index, or the one behind a key. `table` is where it was.
    DropIndex {
        table: QualifiedName,
        name: Ident,
    },
    RenameIndex {
        table: QualifiedName,
        from: Ident,
        to: Ident,
    },
    CreateSequence(QualifiedName),
    DropSequence(QualifiedName),
    RenameSequence {
        from: QualifiedName,
        to: QualifiedName,
    },
    /// The next value is given.
    RestartSequence {
        sequence: QualifiedName,
        next: SequenceValue,
    },
    CreateEnum(QualifiedName),
    DropEnum(QualifiedName),
    RenameEnum {
        from: QualifiedName,
        to: QualifiedName,
    },
    /// Every column of the domain must hold values that it allows: not null, or what the check demands.
    /// Errors: 23502, 23514.
    CheckDomain {
        domain: QualifiedName,
        /// `None`: NOT NULL.
        check: Option<Ident>,
    },
    Publication {
        name: Ident,
        action: PublicationAction,
        tables: Vec<QualifiedName>,
    },
}

/// The value that a sequence gives next.
pub type SequenceValue = i64;

/// A remark, as PostgreSQL's NOTICE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// `00000` where PostgreSQL gives no code.
    pub sqlstate: String,
    pub message: String,
    /// 1-based.
    pub line: u32,
}
