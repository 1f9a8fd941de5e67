//! Rows that stand in the way of a new constraint, in PostgreSQL's words.
//!
//! Not here: constraints that a write breaks (`errors`, `foreign_keys`).

use std::sync::Arc;

use mainstay_core::catalog::{ConstraintKind, ForeignKey, Relation, RelationKind};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::Type;
use mainstay_sql::typed::{Expr, ExprKind, RteId};
use rusqlite::{Connection, OptionalExtension};

use super::store::broken;
use crate::emit::compiled::Compiled;
use crate::emit::types::{collation, suffix};
use crate::emit::writer::SqlWriter;
use crate::emit::{Emitter, Rte};

type Result<T> = std::result::Result<T, BackendError>;

/// Errors: 23502 `column "a" of relation "t" contains null values`.
pub fn check_not_null(conn: &Connection, relation: &Relation, column: &Ident) -> Result<()> {
    let mut writer = SqlWriter::new();
    writer
        .sql("SELECT 1 FROM ")
        .object(&relation.name)
        // The definition may say NOT NULL already, and SQLite would take its word for it.
        .sql(" WHERE typeof(")
        .ident(column)
        .sql(") = 'null' LIMIT 1");
    match any(conn, writer.text())? {
        true => Err(null_values(relation, column).into()),
        false => Ok(()),
    }
}

/// 23502 `column "a" of relation "t" contains null values`.
pub fn null_values(relation: &Relation, column: &Ident) -> DatabaseError {
    let message = format!(
        "column \"{column}\" of relation \"{}\" contains null values",
        relation.name.name
    );
    let mut error = DatabaseError::new("23502", message);
    crate::errors::place(&mut error, relation);
    error.column = Some(column.clone());
    error
}

/// Errors: 23514 `check constraint "c" of relation "t" is violated by some row`.
pub fn check_rows(conn: &Connection, compiled: &Compiled, relation: &Arc<Relation>, name: &Ident) -> Result<()> {
    let Some(expression) = relation
        .constraints
        .iter()
        .find_map(|constraint| match &constraint.kind {
            ConstraintKind::Check { expression } if constraint.name == *name => Some(expression),
            _ => None,
        })
    else {
        return Ok(());
    };
    let mut emitter = Emitter::new(compiled, &relation.owner).for_schema();
    emitter
        .writer()
        .sql("SELECT 1 FROM ")
        .object(&relation.name)
        .sql(" WHERE NOT ");
    emitter.condition(
        relation,
        expression,
        &Rte::Bare {
            relation: Arc::clone(relation),
        },
    )?;
    emitter.writer().sql(" LIMIT 1");
    let (sql, _) = emitter.finish();
    let found = conn
        .query_row(&sql, [], |_| Ok(()))
        .optional()
        .map_err(|error| crate::errors::refusal(compiled.catalog(), Some(relation), &sql, &error))?;
    match found {
        Some(()) => Err(violated_check(relation, name).into()),
        None => Ok(()),
    }
}

/// 23514 `check constraint "c" of relation "t" is violated by some row`.
pub fn violated_check(relation: &Relation, name: &Ident) -> DatabaseError {
    let message = format!(
        "check constraint \"{name}\" of relation \"{}\" is violated by some row",
        relation.name.name
    );
    constraint_error("23514", message, relation, name)
}

/// Errors: 23502, 23514 for the first column of the domain with a value that it does not allow. `check`: one of the
/// domain's, else NOT NULL.
pub fn check_domain(
    conn: &Connection,
    compiled: &Compiled,
    domain: &QualifiedName,
    check: Option<&Ident>,
) -> Result<()> {
    let Some(domain) = compiled.catalog().domains.get(domain) else {
        return Ok(());
    };
    let text = check.and_then(|check| domain.checks.iter().find(|(name, _)| name == check));
    let mut tables: Vec<&Arc<Relation>> = compiled.catalog().relations.values().collect();
    tables.retain(|relation| relation.kind == RelationKind::Table);
    tables.sort_by_key(|relation| relation.id);
    for relation in tables {
        for (column, declared) in relation.columns.iter().enumerate() {
            if !declared.ty.is_made_of(&domain.name) {
                continue;
            }
            let rte = RteId(0);
            let mut emitter = Emitter::new(compiled, &relation.owner);
            emitter.declare(
                rte,
                Rte::Bare {
                    relation: Arc::clone(relation),
                },
            );
            let value = Expr::new(ExprKind::Column { rte, column }, domain.base.clone());
            emitter
                .writer()
                .sql("SELECT 1 FROM ")
                .object(&relation.name)
                .sql(" WHERE ");
            match text {
                Some((_, text)) => {
                    emitter.writer().sql("NOT ");
                    emitter.domain_condition(domain, text, &value)?;
                }
                None => {
                    emitter.writer().ident(&declared.name).sql(" IS NULL");
                }
            }
            emitter.writer().sql(" LIMIT 1");
            let (sql, binds) = emitter.finish();
            if !binds.is_empty() {
                return Err(BackendError::Internal("a domain's check is not a constant one".into()));
            }
            if !any(conn, &sql)? {
                continue;
            }
            let (code, what) = match text {
                Some(_) => ("23514", "contains values that violate the new constraint"),
                None => ("23502", "contains null values"),
            };
            let message = format!(
                "column \"{}\" of table \"{}\" {what}",
                declared.name, relation.name.name
            );
            let mut error = DatabaseError::new(code, message);
            crate::errors::place(&mut error, relation);
            error.column = Some(declared.name.clone());
            return Err(error.into());
        }
    }
    Ok(())
}

/// Errors: 23503 for the first row whose target is missing.
pub fn check_foreign_key(conn: &Connection, relation: &Relation, name: &Ident, key: &ForeignKey) -> Result<()> {
    let columns: Vec<_> = key.columns.iter().map(|index| &relation.columns[*index]).collect();
    let mut writer = SqlWriter::new();
    writer.sql("SELECT ");
    let mut refused = None;
    writer.list(", ", &columns, |writer, column| match output_function(&column.ty) {
        Ok(function) => {
            writer.ident(&function).sql("(c.").ident(&column.name).sql(")");
        }
        Err(error) => refused = Some(error),
    });
    if let Some(error) = refused {
        return Err(error.into());
    }
    writer.sql(" FROM ").object(&relation.name).sql(" AS c WHERE ");
    writer.list(" AND ", &columns, |writer, column| {
        writer.sql("c.").ident(&column.name).sql(" IS NOT NULL");
    });
    writer
        .sql(" AND NOT EXISTS (SELECT 1 FROM ")
        .object(&key.target)
        .sql(" AS p WHERE ");
    writer.list(
        " AND ",
        columns.iter().zip(&key.target_columns),
        |writer, (column, target)| {
            writer.sql("p.").ident(target).sql(" = c.").ident(&column.name);
        },
    );
    writer.sql(") LIMIT 1");
    let values = conn
        .query_row(writer.text(), [], |row| {
            (0..columns.len())
                .map(|index| row.get::<_, String>(index))
                .collect::<rusqlite::Result<Vec<_>>>()
        })
        .optional()
        .map_err(broken)?;
    let Some(values) = values else { return Ok(()) };
    let message = format!(
        "insert or update on table \"{}\" violates foreign key constraint \"{name}\"",
        relation.name.name
    );
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let detail = format!(
        "Key ({})=({}) is not present in table \"{}\".",
        names.join(", "),
        values.join(", "),
        key.target.name
    );
    Err(constraint_error("23503", message, relation, name).detail(detail).into())
}

/// 23505 for a unique index that the rows do not allow.
pub fn duplicate(conn: &Connection, relation: &Relation, name: &Ident, columns: Option<&[usize]>) -> DatabaseError {
    let error = constraint_error(
        "23505",
        format!("could not create unique index \"{name}\""),
        relation,
        name,
    );
    let Some(columns) = columns else { return error };
    let columns: Vec<_> = columns.iter().map(|index| &relation.columns[*index]).collect();
    let mut writer = SqlWriter::new();
    writer.sql("SELECT ");
    writer.list(", ", &columns, |writer, column| {
        let function = output_function(&column.ty).unwrap_or_else(|_| Ident::new("pg_out_text"));
        writer.ident(&function).sql("(").ident(&column.name).sql(")");
    });
    writer.sql(" FROM ").object(&relation.name).sql(" WHERE ");
    writer.list(" AND ", &columns, |writer, column| {
        writer.ident(&column.name).sql(" IS NOT NULL");
    });
    writer.sql(" GROUP BY ");
    writer.list(", ", &columns, |writer, column| {
        writer.ident(&column.name);
        if let Some(collation) = collation(&column.ty) {
            writer.sql(" COLLATE ").ident(&collation.name());
        }
    });
    writer.sql(" HAVING count(*) > 1 LIMIT 1");
    let values = conn.query_row(writer.text(), [], |row| {
        (0..columns.len())
            .map(|index| row.get::<_, String>(index))
            .collect::<rusqlite::Result<Vec<_>>>()
    });
    match values {
        Ok(values) => {
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            error.detail(format!(
                "Key ({})=({}) is duplicated.",
                names.join(", "),
                values.join(", ")
            ))
        }
        Err(_) => error,
    }
}

/// The library function that gives a value's text.
fn output_function(ty: &Type) -> std::result::Result<Ident, DatabaseError> {
    let (prefix, element) = match ty.base() {
        Type::Array(element) => ("pg_out_array_", &**element),
        scalar => ("pg_out_", scalar),
    };
    Ok(Ident::from(format!("{prefix}{}", suffix(element)?)))
}

fn constraint_error(sqlstate: &str, message: String, relation: &Relation, name: &Ident) -> DatabaseError {
    let mut error = DatabaseError::new(sqlstate, message);
    crate::errors::place(&mut error, relation);
    error.constraint = Some(name.clone());
    error
}

fn any(conn: &Connection, sql: &str) -> Result<bool> {
    conn.query_row(sql, [], |_| Ok(()))
        .optional()
        .map(|found| found.is_some())
        .map_err(broken)
}
