//! SQLite's errors in PostgreSQL's words.
//!
//! Lives here: extended result codes and constraint names → SQLSTATE, message and detail, with the catalog's names.
//! Not here: which foreign key was broken (`foreign_keys`), the values' own errors (`values`, decoded here).
//! Invariant: an error that the compiler should have prevented is `Internal` and logged with its SQL, never shown.
//!
//! Source: PostgreSQL manual, appendix A; messages as PostgreSQL 15 words them (`portability.md` §11); SQLite
//! documentation, "Result and Error Codes".

use mainstay_core::catalog::{Catalog, ColumnIndex, ConstraintKind, IndexPart, Relation};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::{Ident, QualifiedName};
use rusqlite::ffi;

use crate::emit::writer::physical_name;
use crate::foreign_keys;
use crate::routine::failure;
use crate::values::errors::decode;

/// The row that a statement failed on, for details that SQLite does not tell.
pub trait FailedRow {
    /// The values of `columns` of the row that breaks their uniqueness, in PostgreSQL's text form.
    fn duplicate(&self, columns: &[ColumnIndex]) -> Option<Vec<Option<String>>>;

    /// All values of the row that breaks a NOT NULL or CHECK, in PostgreSQL's text form, `null` for none.
    fn failing(&self) -> Option<Vec<Option<String>>>;
}

/// A statement's error as the caller may see it. `relation`: what the statement writes, if it writes.
pub fn refusal(catalog: &Catalog, relation: Option<&Relation>, sql: &str, error: &rusqlite::Error) -> BackendError {
    refusal_of_row(catalog, relation, None, sql, error)
}

/// The same with the row at hand.
pub fn refusal_of_row(
    catalog: &Catalog,
    relation: Option<&Relation>,
    row: Option<&dyn FailedRow>,
    sql: &str,
    error: &rusqlite::Error,
) -> BackendError {
    let text = error.to_string();
    if let Some(own) = failure::take(&text) {
        return own;
    }
    if let Some(own) = decode(&text) {
        let refused = DatabaseError {
            sqlstate: own.code().to_owned(),
            message: own.message.clone(),
            detail: own.detail,
            hint: own.hint,
            ..Default::default()
        };
        if refused.sqlstate == "XX000" {
            tracing::error!(
                sql,
                message = refused.message,
                "a registered function was called wrongly"
            );
            return BackendError::Internal(refused.message);
        }
        return refused.into();
    }
    let (code, message) = match error {
        rusqlite::Error::SqliteFailure(code, message) => (code.extended_code, message.clone().unwrap_or_default()),
        rusqlite::Error::SqlInputError { error, msg, .. } => (error.extended_code, msg.clone()),
        _ => (ffi::SQLITE_ERROR, text.clone()),
    };
    let named = match code {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
            unique_violation(catalog, relation, row, &message)
        }
        ffi::SQLITE_CONSTRAINT_NOTNULL => not_null_violation(catalog, relation, row, &message),
        ffi::SQLITE_CONSTRAINT_CHECK => check_violation(catalog, relation, row, &message),
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY | ffi::SQLITE_CONSTRAINT_TRIGGER => Some(foreign_keys::unnamed()),
        _ if message.starts_with("frame ") && message.contains(" offset must be a non-negative ") => {
            let which = if message.starts_with("frame starting") {
                "starting"
            } else {
                "ending"
            };
            let message = format!("frame {which} offset must not be negative");
            Some(DatabaseError::new("22013", message))
        }
        _ => plain(code),
    };
    if let Some(named) = named {
        return named.into();
    }
    match code & 0xff {
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => BackendError::Busy,
        _ => {
            tracing::error!(code, message, sql, "SQLite refused what the compiler emitted");
            BackendError::Internal(text)
        }
    }
}

/// 57014, for a statement that ran too long.
pub fn timeout() -> DatabaseError {
    DatabaseError::new("57014", "canceling statement due to statement timeout")
}

/// Errors that need no catalog.
fn plain(code: i32) -> Option<DatabaseError> {
    Some(match code & 0xff {
        ffi::SQLITE_INTERRUPT => timeout(),
        ffi::SQLITE_FULL => DatabaseError::new("53100", "could not extend the data file: No space left on device")
            .hint("Check free disk space."),
        ffi::SQLITE_IOERR => DatabaseError::new("58030", "could not access the data file: Input/output error"),
        ffi::SQLITE_NOMEM => DatabaseError::new("53200", "out of memory"),
        ffi::SQLITE_TOOBIG => DatabaseError::new("54000", "a value is larger than the embedded engine allows"),
        ffi::SQLITE_READONLY => DatabaseError::new("25006", "cannot write in a read-only transaction"),
        ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB => {
            DatabaseError::new("XX001", "the data file is damaged").hint("Restore it from a backup.")
        }
        _ => return None,
    })
}

/// A key of a relation: what PostgreSQL calls it and what it covers.
struct UniqueKey<'a> {
    relation: &'a Relation,
    name: &'a Ident,
    columns: Vec<ColumnIndex>,
    /// The key's parts as the detail line spells them.
    parts: Vec<String>,
}

fn unique_violation(
    catalog: &Catalog,
    relation: Option<&Relation>,
    row: Option<&dyn FailedRow>,
    message: &str,
) -> Option<DatabaseError> {
    let failed = message.strip_prefix("UNIQUE constraint failed: ")?;
    let key = first_in(catalog, relation, |relation| unique_key(relation, failed))?;
    let mut error = DatabaseError::new(
        "23505",
        format!("duplicate key value violates unique constraint \"{}\"", key.name),
    );
    place(&mut error, key.relation);
    error.constraint = Some(key.name.clone());
    let values = row
        .filter(|_| relation.is_some_and(|written| written.name == key.relation.name) && !key.columns.is_empty())
        .and_then(|row| row.duplicate(&key.columns));
    if let Some(values) = values {
        error.detail = Some(format!(
            "Key ({})=({}) already exists.",
            key.parts.join(", "),
            shown(&values)
        ));
    }
    Some(error)
}

/// The key that SQLite names as `t.a, t.b` or as `index 'name'`.
fn unique_key<'a>(relation: &'a Relation, failed: &str) -> Option<UniqueKey<'a>> {
    let table = physical_name(&relation.name);
    let spelled = |columns: &[ColumnIndex]| {
        let names: Vec<String> = columns
            .iter()
            .filter_map(|index| Some(format!("{table}.{}", relation.columns.get(*index)?.name)))
            .collect();
        names.join(", ")
    };
    let parts = |columns: &[ColumnIndex]| {
        columns
            .iter()
            .filter_map(|index| Some(relation.columns.get(*index)?.name.to_string()))
            .collect()
    };
    for constraint in &relation.constraints {
        if let ConstraintKind::PrimaryKey { columns } | ConstraintKind::Unique { columns } = &constraint.kind
            && (spelled(columns) == failed || names_index(failed, relation, &constraint.name))
        {
            return Some(UniqueKey {
                relation,
                name: &constraint.name,
                columns: columns.clone(),
                parts: parts(columns),
            });
        }
    }
    for index in relation.indexes.iter().filter(|index| index.unique) {
        let columns: Option<Vec<ColumnIndex>> = index
            .keys
            .iter()
            .map(|key| match &key.part {
                IndexPart::Column(column) => Some(*column),
                IndexPart::Expression(_) => None,
            })
            .collect();
        let same = columns.as_ref().is_some_and(|columns| spelled(columns) == failed);
        if same || names_index(failed, relation, &index.name) {
            let spelled_parts = index
                .keys
                .iter()
                .filter_map(|key| match &key.part {
                    IndexPart::Column(column) => Some(relation.columns.get(*column)?.name.to_string()),
                    IndexPart::Expression(text) => Some(text.clone()),
                })
                .collect();
            return Some(UniqueKey {
                relation,
                name: &index.name,
                columns: columns.unwrap_or_default(),
                parts: spelled_parts,
            });
        }
    }
    None
}

fn names_index(failed: &str, relation: &Relation, index: &Ident) -> bool {
    let Some(name) = failed.strip_prefix("index '").and_then(|rest| rest.strip_suffix('\'')) else {
        return false;
    };
    name == physical_name(&QualifiedName::new(relation.name.schema.clone(), index.clone())).as_str()
}

fn not_null_violation(
    catalog: &Catalog,
    relation: Option<&Relation>,
    row: Option<&dyn FailedRow>,
    message: &str,
) -> Option<DatabaseError> {
    let failed = message.strip_prefix("NOT NULL constraint failed: ")?;
    let (found, column) = first_in(catalog, relation, |relation| {
        let table = physical_name(&relation.name);
        let column = failed.strip_prefix(table.as_str())?.strip_prefix('.')?;
        relation.column(column).map(|(_, column)| (relation, column))
    })?;
    let row = row.filter(|_| relation.is_some_and(|written| written.name == found.name));
    Some(null_in(
        found,
        &column.name,
        row.and_then(FailedRow::failing).as_deref(),
    ))
}

/// 23502 with the row, whose values are in PostgreSQL's text form.
pub fn null_in(relation: &Relation, column: &Ident, row: Option<&[Option<String>]>) -> DatabaseError {
    let mut error = DatabaseError::new(
        "23502",
        format!(
            "null value in column \"{column}\" of relation \"{}\" violates not-null constraint",
            relation.name.name
        ),
    );
    place(&mut error, relation);
    error.column = Some(column.clone());
    error.detail = row.map(failing_row);
    error
}

/// `Failing row contains (1, null, x).`
pub fn failing_row(row: &[Option<String>]) -> String {
    format!("Failing row contains ({}).", shown(row))
}

/// Characters of one value in a detail line; PostgreSQL cuts there too.
const SHOWN_CHARACTERS_MAX: usize = 64;

fn shown(values: &[Option<String>]) -> String {
    let texts: Vec<String> = values
        .iter()
        .map(|value| match value {
            None => "null".to_owned(),
            Some(text) if text.chars().count() > SHOWN_CHARACTERS_MAX => {
                text.chars().take(SHOWN_CHARACTERS_MAX).chain("...".chars()).collect()
            }
            Some(text) => text.clone(),
        })
        .collect();
    texts.join(", ")
}

fn check_violation(
    catalog: &Catalog,
    relation: Option<&Relation>,
    row: Option<&dyn FailedRow>,
    message: &str,
) -> Option<DatabaseError> {
    let name = message.strip_prefix("CHECK constraint failed: ")?;
    let (found, constraint) = first_in(catalog, relation, |relation| {
        relation
            .constraints
            .iter()
            .find(|constraint| matches!(constraint.kind, ConstraintKind::Check { .. }) && constraint.name == *name)
            .map(|constraint| (relation, constraint))
    })?;
    let mut error = DatabaseError::new(
        "23514",
        format!(
            "new row for relation \"{}\" violates check constraint \"{}\"",
            found.name.name, constraint.name
        ),
    );
    place(&mut error, found);
    error.constraint = Some(constraint.name.clone());
    let row = row.filter(|_| relation.is_some_and(|written| written.name == found.name));
    error.detail = row.and_then(FailedRow::failing).map(|row| failing_row(&row));
    Some(error)
}

/// Looks in the written relation first: a cascade may have failed in another one.
fn first_in<'a, T>(
    catalog: &'a Catalog,
    relation: Option<&'a Relation>,
    mut find: impl FnMut(&'a Relation) -> Option<T>,
) -> Option<T> {
    if let Some(found) = relation.and_then(&mut find) {
        return Some(found);
    }
    catalog.relations.values().find_map(|relation| find(relation))
}

/// Fills in schema and table.
pub fn place(error: &mut DatabaseError, relation: &Relation) {
    error.schema = Some(relation.name.schema.clone());
    error.table = Some(relation.name.name.clone());
}
