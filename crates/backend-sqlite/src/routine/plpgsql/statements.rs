//! SQL statements, RETURN in its forms, GET DIAGNOSTICS.

use std::sync::Arc;

use mainstay_core::catalog::Volatility;
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::Ident;
use mainstay_core::types::{Type, TypeModifier};
use mainstay_sql::parse;
use mainstay_sql::plpgsql::is_trigger;
use mainstay_sql::plpgsql::tree::{Diagnostic, Field, Fragment, IntoClause, Sql, Target};
use rusqlite::types::Value as Scalar;

use super::code::Code;
use super::interpret::{Interpreter, Returned};
use crate::emit::binds::Sources;
use crate::routine::enter;
use crate::write::script::ScriptProgram;

type Result<T> = std::result::Result<T, BackendError>;

/// Rows that a function may return, or a loop go over.
const ROWS_MAX: usize = 1_000_000;

impl Interpreter<'_> {
    /// Runs a statement: its rows, and how many it found or changed.
    pub(super) fn execute(&mut self, code: &Code) -> Result<(Vec<Vec<Scalar>>, u64)> {
        let program = statement_of(code)?;
        if let Some(verb) = program.verb() {
            if self.program.routine.volatility != Volatility::Volatile {
                let message = format!("{verb} is not allowed in a non-volatile function");
                return Err(DatabaseError::new("0A000", message).into());
            }
            self.running.check_writable(verb)?;
        }
        self.running.check_time()?;
        let sources = Sources::of_request(self.running.context(), &[]).with_variables(&self.frame.values);
        let (conn, compiled) = (self.running.conn(), self.compiled());
        let done = match self.host {
            None => program.execute(conn, &compiled, &sources)?,
            Some(_) => enter(conn, &compiled, self.running.context(), || {
                program.execute(conn, &compiled, &sources)
            })?,
        };
        if done.rows.len() > ROWS_MAX {
            return Err(DatabaseError::new("54000", format!("more than {ROWS_MAX} rows in a function")).into());
        }
        Ok((done.rows, done.affected))
    }

    pub(super) fn sql(&mut self, sql: &Sql) -> Result<()> {
        if let (true, Some(host)) = (sql.is_schema_change, self.host) {
            for statement in parse::kept(&sql.text.text)?.iter() {
                let before = Arc::clone(&host.compiled.borrow());
                let after = (host.change)(&before, statement)?;
                host.compiled.replace(after);
            }
            // What was compiled, was compiled for another catalog.
            self.program.forget();
            return Ok(());
        }
        let code = self
            .program
            .statement(&self.compiled(), &sql.text, &self.frame.layout)?;
        let program = statement_of(&code)?;
        let gives_rows = program.verb().is_none() || !program.columns().is_empty();
        match &sql.into {
            None if gives_rows => {
                let error = DatabaseError::new("42601", "query has no destination for result data");
                return Err(match program.verb() {
                    None => error.hint("If you want to discard the results of a SELECT, use PERFORM instead."),
                    Some(_) => error,
                }
                .into());
            }
            Some(_) if !gives_rows => {
                return Err(DatabaseError::new("42601", "INTO used with a command that cannot return data").into());
            }
            _ => {}
        }
        let writes = program.verb().is_some();
        let fields = fields_of(program);
        let (rows, affected) = self.execute(&code)?;
        self.row_count = affected;
        self.set_found(affected > 0);
        let Some(IntoClause { strict, targets }) = &sql.into else {
            return Ok(());
        };
        match rows.as_slice() {
            [] if *strict => {
                return Err(DatabaseError::new("P0002", "query returned no rows").into());
            }
            [_, _, ..] if *strict || writes => {
                return Err(DatabaseError::new("P0003", "query returned more than one row")
                    .hint("Make sure the query returns a single row, or use LIMIT 1.")
                    .into());
            }
            _ => {}
        }
        if !writes {
            // PostgreSQL fetches one row, or two to be strict.
            self.row_count = rows.len().min(1) as u64;
        }
        self.move_row(targets, &fields, rows.first().map(Vec::as_slice))
    }

    pub(super) fn returning(&mut self, value: Option<&Fragment>) -> Result<()> {
        let Some(value) = value else { return Ok(()) };
        let returns = &self.program.routine.returns;
        if is_trigger(&returns.ty) || matches!(returns.ty.base(), Type::Record | Type::Composite(_)) {
            self.returned = Some(match self.row(value)? {
                None => Returned::Null,
                Some((fields, values)) if is_trigger(&returns.ty) => Returned::Row { fields, values },
                Some((fields, values)) => Returned::Row {
                    values: self.as_result(&fields, values)?,
                    fields,
                },
            });
            return Ok(());
        }
        let value = self.value_as(value, &returns.ty, TypeModifier::None)?;
        self.returned = Some(Returned::Value(value));
        Ok(())
    }

    /// A row as the function's result has it. Errors: 42804.
    pub(super) fn as_result(&self, fields: &[Field], values: Vec<Scalar>) -> Result<Vec<Scalar>> {
        let columns = &self.program.columns;
        let mismatch = |detail: String| -> BackendError {
            let message = "returned record type does not match expected record type";
            DatabaseError::new("42804", message).detail(detail).into()
        };
        if fields.len() != columns.len() {
            return Err(mismatch(format!(
                "Number of returned columns ({}) does not match expected column count ({}).",
                fields.len(),
                columns.len()
            )));
        }
        if let Some(detail) = misfit(fields, columns) {
            return Err(mismatch(detail));
        }
        Ok(values)
    }

    pub(super) fn keep(&mut self, row: Vec<Scalar>) -> Result<()> {
        if self.set.len() >= ROWS_MAX {
            return Err(DatabaseError::new("54000", format!("more than {ROWS_MAX} rows in a function")).into());
        }
        self.set.push(row);
        Ok(())
    }

    pub(super) fn return_next(&mut self, value: Option<&Fragment>) -> Result<()> {
        let Some(value) = value else {
            let row = self.outputs();
            return self.keep(row);
        };
        let returns = &self.program.routine.returns;
        if matches!(returns.ty.base(), Type::Record | Type::Composite(_)) {
            let row = match self.row(value)? {
                Some((fields, values)) => self.as_result(&fields, values)?,
                None => vec![Scalar::Null; self.program.columns.len()],
            };
            return self.keep(row);
        }
        let value = self.value_as(value, &returns.ty, TypeModifier::None)?;
        self.keep(vec![value])
    }

    pub(super) fn return_query(&mut self, query: &Fragment) -> Result<()> {
        let code = self.program.statement(&self.compiled(), query, &self.frame.layout)?;
        let fields = fields_of(statement_of(&code)?);
        let columns = &self.program.columns;
        let mismatch = |detail: String| -> BackendError {
            let message = "structure of query does not match function result type";
            DatabaseError::new("42804", message).detail(detail).into()
        };
        if let Some(detail) = misfit(&fields, columns) {
            return Err(mismatch(detail));
        }
        if fields.len() != columns.len() {
            return Err(mismatch(format!(
                "Number of returned columns ({}) does not match expected column count ({}).",
                fields.len(),
                columns.len()
            )));
        }
        let (rows, affected) = self.execute(&code)?;
        for row in rows {
            self.keep(row)?;
        }
        self.row_count = affected;
        self.set_found(affected > 0);
        Ok(())
    }

    pub(super) fn diagnostics(&mut self, items: &[(Target, Diagnostic)]) -> Result<()> {
        for (target, item) in items {
            let row_count = Scalar::Integer(i64::try_from(self.row_count).unwrap_or(i64::MAX));
            let name = |name: &Option<Ident>| Some(name.as_ref().map(Ident::to_string).unwrap_or_default());
            let value = match (item, self.handled.last()) {
                (Diagnostic::RowCount, _) => {
                    self.store_value(target, row_count, (&Type::Int8, TypeModifier::None))?;
                    continue;
                }
                (_, None) => {
                    let message = "GET STACKED DIAGNOSTICS cannot be used outside an exception handler";
                    return Err(DatabaseError::new("0Z002", message).into());
                }
                (Diagnostic::ReturnedSqlstate, Some(error)) => Some(error.sqlstate.clone()),
                (Diagnostic::Message, Some(error)) => Some(error.message.clone()),
                (Diagnostic::Detail, Some(error)) => Some(error.detail.clone().unwrap_or_default()),
                (Diagnostic::Hint, Some(error)) => Some(error.hint.clone().unwrap_or_default()),
                (Diagnostic::Column, Some(error)) => name(&error.column),
                (Diagnostic::Constraint, Some(error)) => name(&error.constraint),
                (Diagnostic::Table, Some(error)) => name(&error.table),
                (Diagnostic::Schema, Some(error)) => name(&error.schema),
                (Diagnostic::Datatype, Some(_)) => Some(String::new()),
            };
            let value = value.map_or(Scalar::Null, Scalar::Text);
            self.store_value(target, value, (&Type::Text, TypeModifier::None))?;
        }
        Ok(())
    }
}

pub(super) fn statement_of(code: &Code) -> Result<&ScriptProgram> {
    match code {
        Code::Statement(program) => Ok(program),
        _ => Err(BackendError::Internal("a statement's code is none".into())),
    }
}

/// The columns that a statement gives.
pub(super) fn fields_of(program: &ScriptProgram) -> Arc<[Field]> {
    program
        .columns()
        .iter()
        .map(|column| Field {
            name: column.name.clone(),
            ty: column.ty.clone(),
            modifier: column.modifier,
        })
        .collect()
}

/// What is wrong with the first of `fields` whose values may not stand in their columns as they are: another type, or another
/// modifier than the column's, if it has one.
fn misfit(fields: &[Field], columns: &[Field]) -> Option<String> {
    let fits = |field: &Field, column: &Field| {
        field.ty == column.ty && (column.modifier == TypeModifier::None || field.modifier == column.modifier)
    };
    let mut pairs = fields.iter().zip(columns).enumerate();
    let (index, (field, column)) = pairs.find(|(_, (field, column))| !fits(field, column))?;
    Some(format!(
        "Returned type {} does not match expected type {} in column {}.",
        field.ty.display(field.modifier),
        column.ty.display(column.modifier),
        index + 1
    ))
}
