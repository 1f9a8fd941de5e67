//! Updates of a request: which rows, whether each may become what it would, then the table.

use std::sync::Arc;

use mainstay_core::catalog::{ColumnIndex, Identity, PolicyCommand, Privilege, Relation};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::plan::{self, Count, Input, Missing, Outcome, Plan, Predicate, Read, Returning, Source};
use rusqlite::Connection;
use rusqlite::types::Value as Scalar;

use super::checks::{Checks, Moment};
use super::defaults::Fill;
use super::disclosure::Disclosure;
use super::domains::DomainChecks;
use super::instead::{self, Instead, Proposed, Way};
use super::payload::{self, Member};
use super::rows::{Failing, Generated, completed, null_in, with_failing_row};
use super::statement::{Prepared, scalars};
use super::target::Target;
use super::triggered::Triggered;
use super::triggers::{Env, Event};
use super::{Rows, affected_within, represent, represent_given};
use crate::emit::Rte;
use crate::emit::binds::{Bind, Sources};
use crate::emit::compiled::Compiled;
use crate::emit::input::InputType;
use crate::emit::relation::{READ, ROWID, Wanted};
use crate::emit::writer::SqlWriter;
use crate::errors;
use crate::read::compile::{compile_returning, compile_rows};
use crate::read::filter::Builder;
use crate::read::program::ReadProgram;

/// A compiled update.
pub struct UpdateProgram {
    target: Target,
    members: Vec<Member>,
    missing: Vec<Option<Fill>>,
    domains: Option<DomainChecks>,
    /// Row numbers, or the columns of a view with INSTEAD OF triggers.
    rows: Prepared,
    way: Way<Table>,
    returning: Option<ReadProgram>,
}

/// How rows of a table are updated.
pub struct Table {
    pub checks: Option<Checks>,
    pub write: Write,
    pub triggered: Option<Triggered>,
}

impl Table {
    /// How `columns` of the target's rows are updated under the policies for `commands`.
    pub fn way(
        compiled: &Compiled,
        target: &Target,
        columns: &[ColumnIndex],
        commands: &[PolicyCommand],
    ) -> Result<Way<Table>, DatabaseError> {
        if let Some(instead) = Instead::compile(compiled, target, Event::Update, columns)? {
            return Ok(Way::Instead(Box::new(instead)));
        }
        Ok(Way::Table(Box::new(Table {
            checks: Checks::compile(compiled, target, Moment::Updated(columns), commands)?,
            write: Write::new(compiled, target, columns)?,
            triggered: Triggered::compile(compiled, target, &[(Event::Update, columns)], commands)?,
        })))
    }
}

/// Compiles an update for the role of `plan`.
pub fn compile(compiled: &Compiled, plan: &Plan, update: &plan::Update) -> Result<UpdateProgram, BackendError> {
    let role = update.source.access.role();
    let written = &update.source.relation;
    let target = Target::resolve(compiled, role, written, Privilege::Update, &update.columns)?;
    let relation = Arc::clone(&target.relation);
    let mut members = Vec::with_capacity(update.columns.len());
    let mut missing = Vec::with_capacity(update.columns.len());
    for column in &update.columns {
        let Some(at) = target.base(*column) else { continue };
        refuse_generated(&relation, at)?;
        let declared = &relation.columns[at];
        let input = Arc::new(InputType::new(compiled.catalog(), &declared.ty, declared.modifier)?);
        members.push(Member {
            name: written.columns[*column].name.clone(),
            column: at,
            input,
        });
        missing.push(match update.missing {
            Missing::Null => None,
            Missing::Default => Some(Fill::of_column(compiled, role, &relation, at)?),
        });
    }
    let reads = update.filter.is_some() || reads(&update.returning);
    let commands: &[PolicyCommand] = if reads {
        &[PolicyCommand::Update, PolicyCommand::Select]
    } else {
        &[PolicyCommand::Update]
    };
    let rows = matching(
        compiled,
        &update.source,
        update.filter.as_ref(),
        &update.returning,
        commands,
        &target,
    )?;
    let columns: Vec<ColumnIndex> = members.iter().map(|member| member.column).collect();
    let returning = match &update.returning.read {
        Some(read) if target.is_instead() => Some(compile_rows(compiled, plan, read)?),
        Some(read) => Some(compile_returning(compiled, plan, read)?),
        None => None,
    };
    let domains = DomainChecks::compile(compiled, &target.relation, columns.iter().copied())?;
    let way = Table::way(compiled, &target, &columns, commands)?;
    Ok(UpdateProgram {
        domains,
        target,
        members,
        missing,
        rows,
        way,
        returning,
    })
}

/// Runs a compiled update inside the request's savepoint.
pub fn execute(
    conn: &Connection,
    compiled: &Compiled,
    program: &UpdateProgram,
    sources: &Sources<'_>,
    input: &Input,
) -> Result<Outcome, BackendError> {
    let relation = &program.target.relation;
    let body = input.payload.as_deref().unwrap_or_default();
    let given = payload::read(body, &program.members, relation.columns.len(), sources.context)?;
    let numbers = match given.into_iter().next() {
        Some(row) if !program.members.is_empty() => {
            let mut values = row.values;
            for (index, fill) in program.missing.iter().enumerate() {
                if let (false, Some(fill)) = (row.present[index], fill) {
                    values[program.members[index].column] = fill.only(conn, sources)?;
                }
            }
            if let Some(domains) = &program.domains {
                domains.run(conn, sources, &values)?;
            }
            let table = match &program.way {
                Way::Table(table) => table,
                Way::Instead(instead) => {
                    return program.execute_instead(conn, compiled, sources, input, instead, &values);
                }
            };
            let numbers = program.rows.all(conn, sources, |row| {
                row.get(0).map_err(|error| program.rows.failed(&error))
            })?;
            if let Some(triggered) = &table.triggered {
                return program.execute_triggered(conn, compiled, sources, input, triggered, &values, &numbers);
            }
            affected_within(&input.options, numbers.len() as u64)?;
            program.write_rows(conn, compiled, table, sources, values, &numbers)?
        }
        // Nothing to set: PostgREST changes nothing and answers with no rows.
        _ => Vec::new(),
    };
    let outcome = Outcome {
        affected: numbers.len() as u64,
        ..Outcome::default()
    };
    represent(
        conn,
        compiled,
        program.returning.as_ref(),
        sources,
        &input.options,
        Rows::Numbers(&numbers),
        outcome,
    )
}

impl UpdateProgram {
    /// All statements, one per line.
    pub fn sql(&self) -> String {
        let mut lines = vec![self.rows.sql().to_owned()];
        if let Way::Table(table) = &self.way {
            lines.extend(table.checks.as_ref().map(|checks| checks.sql().to_owned()));
            lines.push(table.write.one.sql().to_owned());
        }
        lines.extend(self.returning.as_ref().map(ReadProgram::sql));
        lines.join("\n")
    }

    /// Writes row by row, as triggers ask for it.
    #[allow(clippy::too_many_arguments, reason = "one statement's whole state, used once")]
    fn execute_triggered(
        &self,
        conn: &Connection,
        compiled: &Compiled,
        sources: &Sources<'_>,
        input: &Input,
        triggered: &Triggered,
        values: &[Scalar],
        numbers: &[i64],
    ) -> Result<Outcome, BackendError> {
        let env = Env {
            conn,
            compiled,
            sources,
        };
        let columns: Vec<ColumnIndex> = self.members.iter().map(|member| member.column).collect();
        let rows = triggered.scan(env, numbers)?;
        triggered.perform(env, &[(Event::Update, &columns)], rows.len(), |running| {
            let mut written = Vec::with_capacity(rows.len());
            for (number, row) in &rows {
                written.extend(running.update(env, *number, row, values)?);
            }
            affected_within(&input.options, written.len() as u64)?;
            let outcome = Outcome {
                affected: written.len() as u64,
                ..Outcome::default()
            };
            represent(
                conn,
                compiled,
                self.returning.as_ref(),
                sources,
                &input.options,
                Rows::Numbers(&written),
                outcome,
            )
        })
    }

    /// Gives each row and what it is to be to the view's triggers.
    fn execute_instead(
        &self,
        conn: &Connection,
        compiled: &Compiled,
        sources: &Sources<'_>,
        input: &Input,
        instead: &Instead,
        values: &[Scalar],
    ) -> Result<Outcome, BackendError> {
        let env = Env {
            conn,
            compiled,
            sources,
        };
        let width = self.target.relation.columns.len();
        let rows = self.rows.all(conn, sources, |row| {
            let old = scalars(row, 0, width).map_err(|error| self.rows.failed(&error))?;
            let assigned = self.members.iter().map(|member| member.column);
            Ok(Proposed::update(
                old,
                assigned.map(|column| (column, values[column].clone())),
            ))
        })?;
        instead.perform(env, rows, |rows| {
            let returning = self.returning.as_ref();
            represent_given(env, returning, &input.options, &rows, Outcome::default())
        })
    }

    fn write_rows(
        &self,
        conn: &Connection,
        compiled: &Compiled,
        table: &Table,
        sources: &Sources<'_>,
        mut values: Vec<Scalar>,
        mut numbers: &[i64],
    ) -> Result<Vec<i64>, BackendError> {
        let relation = &self.target.relation;
        values.push(Scalar::Null);
        let place = relation.columns.len();
        let mut refused = None;
        if let Some(checks) = &table.checks {
            for (index, number) in numbers.iter().enumerate() {
                values[place] = Scalar::Integer(*number);
                refused = checks.run_first(conn, &sources.with_row(&values))?;
                if refused.is_some() {
                    numbers = &numbers[..=index];
                    break;
                }
            }
        }
        let Some(first) = numbers.first() else {
            return Ok(Vec::new());
        };
        values[place] = Scalar::Integer(*first);
        let null = self
            .members
            .iter()
            .find(|member| relation.columns[member.column].not_null && values[member.column] == Scalar::Null);
        if let Some(member) = null {
            return Err(table.write.null_in(conn, relation, sources, member.column, &values));
        }
        let written = table
            .write
            .run(conn, compiled, relation, sources, &mut values, numbers)?;
        match (refused, numbers.last()) {
            (Some(error), Some(number)) => {
                values[place] = Scalar::Integer(*number);
                Err(table.write.refused(conn, relation, sources, &values, error))
            }
            _ => Ok(written),
        }
    }
}

/// The same new values for one row or for several.
pub struct Write {
    columns: Vec<ColumnIndex>,
    one: Prepared,
    several: Prepared,
    current: Prepared,
    disclosure: Disclosure,
    generated: Option<Generated>,
}

impl Write {
    /// Spells the UPDATE of `columns`.
    pub fn new(compiled: &Compiled, target: &Target, columns: &[ColumnIndex]) -> Result<Self, DatabaseError> {
        let relation = &*target.relation;
        let mut several = SqlWriter::new();
        several.sql("UPDATE ").object(&relation.name).sql(" SET ");
        several.list(", ", columns, |writer, column| {
            writer
                .ident(&relation.columns[*column].name)
                .sql(" = ")
                .bind(Bind::Row(*column));
        });
        several
            .sql(" WHERE _rowid_ IN (SELECT value FROM json_each(")
            .bind(Bind::Row(relation.columns.len()));
        several.sql(")) RETURNING _rowid_");
        Ok(Write {
            columns: columns.to_vec(),
            one: super::conflict::set(relation, columns),
            several: Prepared::from(several.finish()),
            current: current(relation),
            disclosure: target.disclosure.clone(),
            generated: Generated::compile(compiled, &target.relation)?,
        })
    }

    /// Sets the bound values in every row of `numbers`. `values` has a place for the row's number at its end.
    ///
    /// Several rows are one statement, so that keys are checked at its end.
    pub fn run(
        &self,
        conn: &Connection,
        compiled: &Compiled,
        relation: &Relation,
        sources: &Sources<'_>,
        values: &mut [Scalar],
        numbers: &[i64],
    ) -> Result<Vec<i64>, BackendError> {
        let statement = match numbers {
            [] => return Ok(Vec::new()),
            [_] => &self.one,
            _ => &self.several,
        };
        let place = relation.columns.len();
        if numbers.len() > 1 {
            values[place] = Scalar::Text(json_list(numbers));
        }
        let sources_of_row = sources.with_row(values);
        let mut ready = statement.ready(conn, &sources_of_row)?;
        let mut rows = ready.raw_query();
        let mut written = Vec::with_capacity(numbers.len());
        let failure = loop {
            match rows
                .next()
                .and_then(|row| row.map(|row| row.get::<_, i64>(0)).transpose())
            {
                Ok(Some(number)) => written.push(number),
                Ok(None) => return Ok(written),
                Err(error) => break error,
            }
        };
        drop(rows);
        // Which of several rows it was, SQLite does not tell; the first stands for them.
        let mut shown = values.to_vec();
        shown[place] = Scalar::Integer(numbers[0]);
        let row = self.merged(conn, relation, sources, &shown).unwrap_or(shown);
        let row = Failing {
            relation,
            disclosure: &self.disclosure,
            row: &row,
        };
        Err(errors::refusal_of_row(
            compiled.catalog(),
            Some(relation),
            Some(&row),
            statement.sql(),
            &failure,
        ))
    }

    /// 23502 for a row that would be.
    pub fn null_in(
        &self,
        conn: &Connection,
        relation: &Relation,
        sources: &Sources<'_>,
        column: ColumnIndex,
        values: &[Scalar],
    ) -> BackendError {
        match self.merged(conn, relation, sources, values) {
            Ok(row) => null_in(relation, &self.disclosure, column, &row),
            Err(error) => error,
        }
    }

    /// What a view refuses of the row, with the row as far as the role may see it.
    pub fn refused(
        &self,
        conn: &Connection,
        relation: &Relation,
        sources: &Sources<'_>,
        values: &[Scalar],
        error: BackendError,
    ) -> BackendError {
        match self.merged(conn, relation, sources, values) {
            Ok(row) => with_failing_row(relation, &self.disclosure, &row, error),
            Err(error) => error,
        }
    }

    /// The row that is there with the new values in it.
    fn merged(
        &self,
        conn: &Connection,
        relation: &Relation,
        sources: &Sources<'_>,
        values: &[Scalar],
    ) -> Result<Vec<Scalar>, BackendError> {
        let count = relation.columns.len();
        let there = self
            .current
            .one(conn, &sources.with_row(values), |row| scalars(row, 0, count))?;
        let mut row = there.unwrap_or_else(|| vec![Scalar::Null; count]);
        for column in &self.columns {
            row[*column] = values[*column].clone();
        }
        Ok(completed(self.generated.as_ref(), conn, sources, row))
    }
}

/// The row whose number is bound after its columns.
pub fn current(relation: &Relation) -> Prepared {
    let mut writer = SqlWriter::new();
    writer.sql("SELECT ");
    writer.list(", ", &relation.columns, |writer, column| {
        writer.ident(&column.name);
    });
    writer
        .sql(" FROM ")
        .object(&relation.name)
        .sql(" WHERE _rowid_ = ")
        .bind(Bind::Row(relation.columns.len()));
    Prepared::from(writer.finish())
}

/// Row numbers as a JSON array.
pub fn json_list(numbers: &[i64]) -> String {
    let mut list = String::with_capacity(numbers.len() * 8 + 2);
    list.push('[');
    for (index, number) in numbers.iter().enumerate() {
        if index > 0 {
            list.push(',');
        }
        list.push_str(&number.to_string());
    }
    list.push(']');
    list
}

/// True if the statement gives something of its rows back.
pub fn reads(returning: &Returning) -> bool {
    returning.read.is_some() || !returning.location.is_empty()
}

/// The numbers of the base table's rows that the role may change and the filter finds, or the rows of a view that has
/// INSTEAD OF triggers.
pub fn matching(
    compiled: &Compiled,
    source: &Source,
    filter: Option<&Predicate>,
    returning: &Returning,
    commands: &[PolicyCommand],
    target: &Target,
) -> Result<Prepared, DatabaseError> {
    // A filter may speak of embeds (`clients=is.null`), but an inner embed does not choose the rows that are changed.
    let embeds = returning.read.iter().flat_map(|read| read.embeds.iter().cloned());
    let read = Read {
        source: source.clone(),
        output: Vec::new(),
        embeds: embeds.map(|embed| plan::Embed { inner: false, ..embed }).collect(),
        filter: filter.cloned(),
        order: Vec::new(),
        limit: None,
        offset: None,
        count: Count::None,
        grouping: None,
        paging: None,
    };
    let mut builder = Builder::new(compiled, source.access.role());
    let rte = builder.declare(&source.relation);
    if target.is_instead() {
        let emitter = builder.emitter();
        let alias = emitter.fresh_alias();
        emitter.declare(
            rte,
            target.row(Rte::Relation {
                alias,
                relation: Arc::clone(&target.relation),
            }),
        );
        emitter.writer().sql("SELECT ");
        instead::write_columns(emitter, &target.relation, alias);
        emitter.writer().sql(" FROM ");
        emitter.secured_as(&target.relation, alias, READ)?;
        let mut first = true;
        instead::write_filters(emitter, target, alias, &mut first)?;
        builder.conditions(&read, rte, &mut first)?;
        return Ok(Prepared::from(builder.finish()));
    }
    // Bare: embeds are in subqueries of their own, so no other entry of this FROM has the name.
    builder.sql("SELECT ").sql(ROWID).sql(" FROM ");
    builder.from(
        &source.relation,
        rte,
        Wanted {
            commands,
            rowid: true,
            ..crate::emit::relation::READ
        },
    )?;
    builder.conditions(&read, rte, &mut true)?;
    Ok(Prepared::from(builder.finish()))
}

/// Errors: 428C9 for a column whose value only the table may give.
pub fn refuse_generated(relation: &Relation, column: ColumnIndex) -> Result<(), DatabaseError> {
    let declared = &relation.columns[column];
    let name = &declared.name;
    let refusal = DatabaseError::new("428C9", format!("column \"{name}\" can only be updated to DEFAULT"));
    if declared.identity == Some(Identity::Always) {
        return Err(refusal.detail(format!(
            "Column \"{name}\" is an identity column defined as GENERATED ALWAYS."
        )));
    }
    if declared.generated.is_some() {
        return Err(refusal.detail(format!("Column \"{name}\" is a generated column.")));
    }
    Ok(())
}
