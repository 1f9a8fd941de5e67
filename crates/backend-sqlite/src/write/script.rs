//! Typed statements of migrations, seeds, the console and routines' bodies: compile and run.
//!
//! Lives here: what is common to them: parameters, `RETURNING`, rows as text, sequences in a SELECT.
//! Not here: splitting a script and its `SET`s (`console`, `schema`), each kind's own rules (`script_insert`,
//! `script_update`).
//!
//! The rules are those of requests: the role's grants and policies, everything checked before anything is written.

use std::sync::Arc;

use mainstay_core::backend::QueryResult;
use mainstay_core::catalog::{Privilege, Relation, Routine, Volatility};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::Ident;
use mainstay_core::plan::{Outcome, Value};
use mainstay_core::types::Type;
use mainstay_sql::typed::{
    self, Distinct, Expr, ExprKind, Literal, OutputColumn, Query, Returning, RteId, SequenceCall, SetExpression,
    Statement,
};
use rusqlite::Connection;
use rusqlite::types::Value as Scalar;

use super::defaults::default_text;
use super::instead::write_given;
use super::rows::text;
use super::statement::{Prepared, scalars};
use super::target::Target;
use super::update::json_list;
use super::witness::{self, Reads};
use super::{script_insert, script_update, sequences};
use crate::emit::binds::{Bind, Sources};
use crate::emit::compiled::Compiled;
use crate::emit::context::Context;
use crate::emit::emitter::{Alias, Rights};
use crate::emit::privileges::Uses;
use crate::emit::walk::{self, Visitor};
use crate::emit::{Emitter, Parameters, Rte};
use crate::routine::cells::rows_text;
use crate::routine::{self, Invocation};
use crate::values::cast::Kind;

/// A compiled statement.
pub enum ScriptProgram {
    Query(QueryProgram),
    Insert(Box<script_insert::InsertStatement>),
    Update(Box<script_update::UpdateStatement>),
    Delete(Box<script_update::DeleteStatement>),
}

/// What running a statement came to.
#[derive(Debug, Default)]
pub struct Executed {
    /// Rows of a query or of RETURNING, in their stored form.
    pub rows: Vec<Vec<Scalar>>,
    /// Rows that a query gave or a write touched.
    pub affected: u64,
}

/// Compiles a statement for `role`.
///
/// Errors: 42501, 42P17, 0A000.
pub fn compile(
    compiled: &Compiled,
    role: &Ident,
    statement: &Statement,
    parameters: Parameters,
) -> Result<ScriptProgram, DatabaseError> {
    let rights = Rights {
        role: role.clone(),
        definer: false,
    };
    compile_as(compiled, &rights, statement, parameters)
}

/// Compiles a statement of a routine's body. Errors: as [`compile`].
pub fn compile_as(
    compiled: &Compiled,
    rights: &Rights,
    statement: &Statement,
    parameters: Parameters,
) -> Result<ScriptProgram, DatabaseError> {
    let role = &rights.role;
    let emitter = || {
        Emitter::new(compiled, role)
            .with_rights(rights)
            .with_parameters(parameters.clone())
    };
    Ok(match statement {
        Statement::Query(query) => ScriptProgram::Query(QueryProgram::compile(emitter(), query)?),
        Statement::Insert(insert) => {
            ScriptProgram::Insert(Box::new(script_insert::compile(compiled, role, insert, &emitter)?))
        }
        Statement::Update(update) => ScriptProgram::Update(Box::new(script_update::compile_update(
            compiled, role, update, &emitter,
        )?)),
        Statement::Delete(delete) => ScriptProgram::Delete(Box::new(script_update::compile_delete(
            compiled, role, delete, &emitter,
        )?)),
    })
}

/// Compiles and runs one statement in the transaction that is open, with the rights of `role`.
pub fn run_statement(
    conn: &Connection,
    compiled: &Compiled,
    role: &Ident,
    context: &Context<'_>,
    statement: &Statement,
) -> Result<QueryResult, BackendError> {
    let program = compile(compiled, role, statement, Parameters::None)?;
    let sources = Sources::of_request(context, &[] as &[Value]);
    routine::enter(conn, compiled, context, || program.run(conn, compiled, &sources))
}

impl ScriptProgram {
    /// Runs it and shows its rows as text.
    pub fn run(
        &self,
        conn: &Connection,
        compiled: &Compiled,
        sources: &Sources<'_>,
    ) -> Result<QueryResult, BackendError> {
        let columns = self.columns();
        let done = self.execute(conn, compiled, sources)?;
        let tag = match self.verb() {
            None => format!("SELECT {}", done.affected),
            Some("INSERT") => format!("INSERT 0 {}", done.affected),
            Some(verb) => format!("{verb} {}", done.affected),
        };
        Ok(QueryResult {
            columns: names(columns),
            rows: done
                .rows
                .iter()
                .map(|row| texts(columns, row))
                .collect::<Result<_, _>>()?,
            tag,
        })
    }

    /// Runs it and gives its rows as text.
    pub fn cells(
        &self,
        conn: &Connection,
        compiled: &Compiled,
        sources: &Sources<'_>,
    ) -> Result<Outcome, BackendError> {
        let columns = self.columns();
        let done = self.execute(conn, compiled, sources)?;
        let cells: Vec<_> = done
            .rows
            .iter()
            .map(|row| texts(columns, row))
            .collect::<Result<_, _>>()?;
        Ok(Outcome {
            rows: cells.len() as u64,
            affected: if self.verb().is_some() { done.affected } else { 0 },
            cells,
            ..Outcome::default()
        })
    }

    /// Runs it.
    pub fn execute(
        &self,
        conn: &Connection,
        compiled: &Compiled,
        sources: &Sources<'_>,
    ) -> Result<Executed, BackendError> {
        let run = || match self {
            ScriptProgram::Query(query) => query.run(conn, sources),
            ScriptProgram::Insert(insert) => insert.run(conn, compiled, sources),
            ScriptProgram::Update(update) => update.run(conn, compiled, sources),
            ScriptProgram::Delete(delete) => delete.run(conn, compiled, sources),
        };
        match self.returning() {
            Some(shown) => shown.reads.watch(conn, run),
            None => run(),
        }
    }

    fn returning(&self) -> Option<&Shown> {
        match self {
            ScriptProgram::Query(_) => None,
            ScriptProgram::Insert(insert) => insert.returning(),
            ScriptProgram::Update(update) => update.returning(),
            ScriptProgram::Delete(delete) => delete.returning(),
        }
    }

    /// The columns of its rows: a query's, or those of RETURNING.
    pub fn columns(&self) -> &[OutputColumn] {
        match self {
            ScriptProgram::Query(query) => &query.columns,
            _ => self.returning().map_or(&[], |shown| &shown.columns),
        }
    }

    /// `INSERT`, `UPDATE`, `DELETE`; `None` for a query.
    pub fn verb(&self) -> Option<&'static str> {
        match self {
            ScriptProgram::Query(_) => None,
            ScriptProgram::Insert(_) => Some("INSERT"),
            ScriptProgram::Update(_) => Some("UPDATE"),
            ScriptProgram::Delete(_) => Some("DELETE"),
        }
    }

    /// The statements, one per line.
    pub fn sql(&self) -> String {
        match self {
            ScriptProgram::Query(query) => query.prepared.sql().to_owned(),
            ScriptProgram::Insert(insert) => insert.sql(),
            ScriptProgram::Update(update) => update.sql(),
            ScriptProgram::Delete(delete) => delete.sql(),
        }
    }
}

/// A compiled SELECT. Sequence calls of its select list are made after its rows have been read.
pub struct QueryProgram {
    prepared: Prepared,
    columns: Vec<OutputColumn>,
    /// For each output column, the call to make with the value that was read.
    calls: Vec<Option<Call>>,
    /// Columns that are read: the output, and arguments of routines after it.
    width: usize,
}

/// A sequence function, without its value.
enum Call {
    Next(Arc<mainstay_core::catalog::Sequence>),
    Current(Arc<mainstay_core::catalog::Sequence>),
    Set {
        sequence: Arc<mainstay_core::catalog::Sequence>,
        is_called: bool,
    },
    /// A routine, with its arguments in the columns from `first` on.
    Run {
        routine: Arc<Routine>,
        rights: Rights,
        first: usize,
    },
}

impl QueryProgram {
    fn compile(mut emitter: Emitter<'_>, query: &Query) -> Result<Self, DatabaseError> {
        let mut query = query.clone();
        let mut calls = take_calls(&mut query)?;
        take_runs(&mut query, &mut calls, &emitter.user_rights());
        for call in calls.iter().flatten() {
            call.authorize(&emitter)?;
        }
        emitter.statement_query(&query)?;
        let scans = walk::runs_volatile(|visitor| walk::query(visitor, &query))
            && walk::relations(|visitor| walk::query(visitor, &query)) > 0;
        let width = match &query.body {
            SetExpression::Select(select) => select.target.len().max(query.columns.len()),
            _ => query.columns.len(),
        };
        Ok(QueryProgram {
            prepared: Prepared::from(emitter.finish()).scanning(scans),
            columns: query.columns,
            calls,
            width,
        })
    }

    fn run(&self, conn: &Connection, sources: &Sources<'_>) -> Result<Executed, BackendError> {
        let count = self.columns.len();
        let rows = self.prepared.all(conn, sources, |row| {
            scalars(row, 0, self.width).map_err(|error| self.prepared.failed(&error))
        })?;
        let mut done = Executed::default();
        for mut row in rows {
            for (at, call) in self.calls.iter().enumerate() {
                if let Some(call) = call {
                    row[at] = call.make(conn, &row, at)?;
                }
            }
            row.truncate(count);
            done.rows.push(row);
        }
        done.affected = done.rows.len() as u64;
        Ok(done)
    }
}

impl Call {
    /// Errors: 42501 `permission denied for sequence s`.
    fn authorize(&self, emitter: &Emitter<'_>) -> Result<(), DatabaseError> {
        let (sequence, privileges): (_, &[Privilege]) = match self {
            Call::Run { routine, .. } => return emitter.check_execute(routine),
            Call::Next(sequence) => (sequence, &sequences::NEXT_PRIVILEGES),
            Call::Current(sequence) => (sequence, &[Privilege::Usage, Privilege::Select]),
            Call::Set { sequence, .. } => (sequence, &[Privilege::Update]),
        };
        sequences::authorize(emitter.catalog(), emitter.role(), sequence, privileges)
    }

    /// Makes the call for a row that was read; it stands in column `at`.
    fn make(&self, conn: &Connection, row: &[Scalar], at: usize) -> Result<Scalar, BackendError> {
        match (self, &row[at]) {
            (Call::Run { routine, rights, first }, _) => {
                let invocation = Invocation {
                    routine,
                    user: &rights.role,
                    definer: rights.definer,
                    arguments: row[*first..first + routine.arguments.len()].to_vec(),
                };
                let rows = routine::with_current(|running| invocation.run(running))?;
                let value = rows.into_iter().next().and_then(|row| row.into_iter().next());
                Ok(value.unwrap_or(Scalar::Null))
            }
            (Call::Next(sequence), _) => sequences::next(conn, sequence).map(Scalar::Integer),
            (Call::Current(sequence), _) => sequences::current(conn, sequence).map(Scalar::Integer),
            (Call::Set { sequence, is_called }, Scalar::Integer(number)) => {
                sequences::set(conn, sequence, *number, *is_called)?;
                Ok(Scalar::Integer(*number))
            }
            // Strict: nothing is set to null.
            (Call::Set { .. }, _) => Ok(Scalar::Null),
        }
    }
}

/// Takes sequence calls out of the select list and leaves their values there.
fn take_calls(query: &mut Query) -> Result<Vec<Option<Call>>, DatabaseError> {
    let mut calls: Vec<Option<Call>> = query.columns.iter().map(|_| None).collect();
    let all = sequence_calls(|visitor| walk::query(visitor, query));
    let SetExpression::Select(select) = &mut query.body else {
        return Ok(calls);
    };
    let by_themselves = select
        .target
        .iter()
        .filter(|target| matches!(target.expr.kind, ExprKind::Sequence(_)))
        .count();
    if all > by_themselves {
        // The others are made as the query comes to them, so these must be too.
        return Ok(calls);
    }
    for (target, place) in select.target.iter_mut().zip(&mut calls) {
        let ExprKind::Sequence(call) = &target.expr.kind else {
            continue;
        };
        let (taken, value) = match &**call {
            SequenceCall::NextVal(sequence) => (Call::Next(Arc::clone(sequence)), null()),
            SequenceCall::CurrVal(sequence) => (Call::Current(Arc::clone(sequence)), null()),
            SequenceCall::SetVal {
                sequence,
                value,
                is_called,
            } => {
                let is_called = match is_called.as_ref().map(|expr| &expr.kind) {
                    None | Some(ExprKind::Literal(Literal::Bool(true))) => true,
                    Some(ExprKind::Literal(Literal::Bool(false))) => false,
                    _ => {
                        return Err(DatabaseError::unavailable(
                            "setval with a computed third argument",
                            "",
                            1,
                            Some("true or false"),
                        ));
                    }
                };
                (
                    Call::Set {
                        sequence: Arc::clone(sequence),
                        is_called,
                    },
                    value.clone(),
                )
            }
            SequenceCall::LastVal => {
                return Err(DatabaseError::unavailable("lastval", "", 1, Some("currval")));
            }
        };
        target.expr = value;
        *place = Some(taken);
    }
    Ok(calls)
}

/// How many sequence calls there are in what is walked.
fn sequence_calls(walk: impl FnOnce(&mut dyn Visitor)) -> usize {
    struct Count(usize);
    impl Visitor for Count {
        fn expr(&mut self, expr: &Expr) {
            self.0 += usize::from(matches!(expr.kind, ExprKind::Sequence(_)));
        }
    }
    let mut count = Count(0);
    walk(&mut count);
    count.0
}

/// Takes calls of routines that may write out of the select list of a query over tables: they are made once its rows
/// have been read, so that the query meets nothing of what they write.
fn take_runs(query: &mut Query, calls: &mut [Option<Call>], rights: &Rights) {
    let order: Vec<usize> = query
        .order
        .iter()
        .filter_map(|key| match key.expr.kind {
            ExprKind::Output(index) => Some(index),
            _ => None,
        })
        .collect();
    let SetExpression::Select(select) = &mut query.body else {
        return;
    };
    if select.from.is_empty() || !matches!(select.distinct, Distinct::All) || select.target.is_empty() {
        return;
    }
    for (at, place) in calls.iter_mut().enumerate().take(select.target.len()) {
        let target = &select.target[at];
        let ExprKind::Run(run) = &target.expr.kind else {
            continue;
        };
        let nested = run
            .arguments
            .iter()
            .any(|argument| walk::runs_volatile(|visitor| walk::expr(visitor, argument)));
        if run.routine.volatility != Volatility::Volatile || nested || order.contains(&at) {
            continue;
        }
        let run = run.clone();
        *place = Some(Call::Run {
            routine: Arc::clone(&run.routine),
            rights: rights.clone(),
            first: select.target.len(),
        });
        let ty = select.target[at].expr.ty.clone();
        select.target[at].expr = Expr::new(ExprKind::Literal(Literal::Null), ty);
        let name = select.target[at].name.clone();
        select
            .target
            .extend(run.arguments.into_iter().map(|expr| typed::Target {
                name: name.clone(),
                expr,
            }));
    }
}

fn null() -> Expr {
    Expr::new(ExprKind::Literal(Literal::Null), Type::Int8)
}

/// `RETURNING` over rows of the table by their numbers, or over rows that are given.
pub struct Shown {
    prepared: Prepared,
    columns: Vec<OutputColumn>,
    reads: Reads,
}

impl Shown {
    /// Compiles it; `rte` is the written row.
    ///
    /// Errors: 0A000 where it names other tables of the statement.
    pub fn compile(
        mut emitter: Emitter<'_>,
        target: &Target,
        rte: RteId,
        returning: &Returning,
    ) -> Result<Self, DatabaseError> {
        let uses = Uses::of(|visitor| {
            returning
                .target
                .iter()
                .for_each(|target| walk::expr(visitor, &target.expr))
        });
        if uses.names_others_than(rte) {
            return Err(DatabaseError::unavailable(
                "RETURNING columns of other tables",
                "",
                1,
                Some("a SELECT"),
            ));
        }
        let reads = Reads::of_expressions(emitter.compiled(), returning.target.iter().map(|target| &target.expr))?;
        let alias = emitter.fresh_alias();
        let row = match target.is_instead() {
            true => Rte::Packed {
                alias,
                columns: target.written.columns.len(),
            },
            false => target.row(Rte::Relation {
                alias,
                relation: Arc::clone(&target.relation),
            }),
        };
        emitter.declare(rte, row);
        emitter.writer().sql("SELECT ");
        for (index, target) in returning.target.iter().enumerate() {
            if index > 0 {
                emitter.writer().sql(", ");
            }
            emitter.expr(&target.expr)?;
        }
        if returning.target.is_empty() {
            emitter.writer().sql("NULL");
        }
        if target.is_instead() {
            write_given(&mut emitter, alias);
            return Ok(Shown {
                prepared: Prepared::from(emitter.finish()),
                columns: returning.columns.clone(),
                reads,
            });
        }
        emitter
            .writer()
            .sql(" FROM json_each(")
            .bind(Bind::Row(0))
            .sql(") AS keys CROSS JOIN ");
        emitter.writer().object(&target.relation.name).sql(" AS ");
        emitter.alias(alias).writer().sql(" ON ");
        emitter
            .alias(alias)
            .writer()
            .sql("._rowid_ = keys.value ORDER BY keys.key");
        Ok(Shown {
            prepared: Prepared::from(emitter.finish()),
            columns: returning.columns.clone(),
            reads,
        })
    }

    /// The statement.
    pub fn sql(&self) -> &str {
        self.prepared.sql()
    }

    fn run(&self, conn: &Connection, sources: &Sources<'_>, list: String) -> Result<Vec<Vec<Scalar>>, BackendError> {
        if !self.reads.is_empty() {
            witness::check()?;
        }
        let list = [Scalar::Text(list)];
        let count = self.columns.len();
        self.prepared.all(conn, &sources.with_row(&list), |row| {
            scalars(row, 0, count).map_err(|error| self.prepared.failed(&error))
        })
    }
}

/// The rows that RETURNING shows, or none, and how many were written.
pub fn shown(
    conn: &Connection,
    sources: &Sources<'_>,
    returning: Option<&Shown>,
    numbers: &[i64],
) -> Result<Executed, BackendError> {
    let rows = match returning {
        Some(returning) => returning.run(conn, sources, json_list(numbers))?,
        None => Vec::new(),
    };
    Ok(Executed {
        rows,
        affected: numbers.len() as u64,
    })
}

/// The same of rows that INSTEAD OF triggers gave back.
pub fn shown_rows(
    conn: &Connection,
    sources: &Sources<'_>,
    returning: Option<&Shown>,
    written: &[Vec<Scalar>],
) -> Result<Executed, BackendError> {
    let rows = match returning {
        Some(returning) => returning.run(conn, sources, rows_text(written))?,
        None => Vec::new(),
    };
    Ok(Executed {
        rows,
        affected: written.len() as u64,
    })
}

fn names(columns: &[OutputColumn]) -> Vec<String> {
    columns.iter().map(|column| column.name.to_string()).collect()
}

/// Errors: 0A000 for a value of a type that is never shown.
fn texts(columns: &[OutputColumn], row: &[Scalar]) -> Result<Vec<Option<String>>, DatabaseError> {
    let cells = columns.iter().zip(row);
    cells
        .map(|(column, value)| match text(&column.ty, value) {
            None if !matches!(value, Scalar::Null) && Kind::shown(&column.ty).is_none() => {
                let feature = format!("a result of type {}", column.ty);
                Err(DatabaseError::unavailable(&feature, "", 1, None))
            }
            text => Ok(text),
        })
        .collect()
}

/// Writes the value that an assignment gives a column, in a statement that has the old row.
pub fn assigned(
    emitter: &mut Emitter<'_>,
    relation: &Arc<Relation>,
    column: usize,
    value: &Expr,
) -> Result<(), DatabaseError> {
    if !matches!(value.kind, ExprKind::Default) {
        return emitter.expr(value);
    }
    let declared = &relation.columns[column];
    let compiled = emitter.compiled();
    match default_text(compiled.catalog(), declared) {
        Some(text) => {
            let bound = emitter
                .compiled()
                .default(relation, text, &declared.ty, declared.modifier)?;
            emitter.fragment(Default::default(), |emitter| emitter.expr(&bound.expr))
        }
        None => {
            emitter.writer().sql("NULL");
            Ok(())
        }
    }
}

/// One column of a query as a value, as `SET (a, b) = (SELECT …)` needs each.
pub fn column_of_query(emitter: &mut Emitter<'_>, query: &Query, column: usize) -> Result<(), DatabaseError> {
    emitter
        .writer()
        .sql("(SELECT pg_one(count(*), c")
        .number(column as i64 + 1)
        .sql(") FROM (");
    emitter.query(query, crate::emit::query::Names::Numbered)?;
    emitter.writer().sql("))");
    Ok(())
}

/// An alias for an entry that is named before its FROM is written.
pub fn declared(emitter: &mut Emitter<'_>, rte: RteId, relation: &Arc<Relation>) -> Alias {
    let alias = emitter.fresh_alias();
    emitter.declare(
        rte,
        Rte::Relation {
            alias,
            relation: Arc::clone(relation),
        },
    );
    alias
}
