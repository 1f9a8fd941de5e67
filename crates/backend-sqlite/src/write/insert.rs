//! Inserts and upserts of a request's rows.
//!
//! Order (`portability.md` §8): values and defaults, PUT's match, policies over every proposed row, nulls, conflicts,
//! then the table. Nothing is written before everything has been checked.

use std::sync::Arc;

use mainstay_core::catalog::{ColumnIndex, ConstraintKind, Identity, IndexPart, PolicyCommand, Privilege, Relation};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::Ident;
use mainstay_core::plan::{self, ConflictAction, Input, Missing, Outcome, Plan, Value, ValueRef};
use mainstay_core::types::Type;
use rusqlite::Connection;
use rusqlite::types::Value as Scalar;

use super::checks::{self, Checks, Moment};
use super::conflict::{Conflict, Written};
use super::defaults::Fill;
use super::domains::DomainChecks;
use super::instead::{Instead, Proposed, Way, no_key};
use super::payload::{self, Member};
use super::rows::RowWriter;
use super::sequences::Taking;
use super::target::Target;
use super::triggered::{Plain, Triggered, UPDATE_COMMANDS, events};
use super::triggers::{Env, Event};
use super::{Rows, affected_within, represent, represent_given};
use crate::emit::binds::Sources;
use crate::emit::compiled::Compiled;
use crate::emit::input::InputType;
use crate::read::compile::{compile_returning, compile_rows};
use crate::read::program::ReadProgram;

/// A compiled insert.
pub struct InsertProgram {
    target: Target,
    members: Vec<Member>,
    /// Parallel to `members`: what an absent member becomes; `None`: NULL.
    missing: Vec<Option<Fill>>,
    /// The other columns.
    fills: Vec<(ColumnIndex, Fill)>,
    domains: Option<DomainChecks>,
    way: Way<Table>,
    returning: Option<ReadProgram>,
    location: Vec<(Ident, ColumnIndex)>,
    must_match: Vec<(ColumnIndex, Arc<InputType>, ValueRef)>,
}

/// How rows are inserted into a table.
pub struct Table {
    pub checks: Option<Checks>,
    pub writer: RowWriter,
    pub conflict: Option<Conflict>,
    pub triggered: Option<Triggered>,
}

impl Table {
    /// Checks the rows, then writes them; triggers are another way. What a view refuses is told when its row is written:
    /// constraints come before it.
    pub fn write(
        &self,
        conn: &Connection,
        compiled: &Compiled,
        relation: &Relation,
        sources: &Sources<'_>,
        mut rows: Vec<Vec<Scalar>>,
    ) -> Result<Written, BackendError> {
        let refused = match checks::admit(self.checks.as_ref(), conn, sources, &mut rows)? {
            Some(error) if self.conflict.is_some() => return Err(error),
            refused => refused,
        };
        for row in &rows {
            self.writer.check_not_null(conn, relation, sources, row)?;
        }
        if let Some(conflict) = &self.conflict {
            return conflict.write(conn, compiled.catalog(), relation, &self.writer, rows, sources);
        }
        let numbers = self.writer.insert(conn, compiled.catalog(), relation, sources, &rows)?;
        match (refused, rows.last()) {
            (Some(error), Some(row)) => Err(self.writer.refused(conn, relation, sources, row, error)),
            _ => Ok(Written {
                inserted: numbers.len() as u64,
                numbers,
            }),
        }
    }
}

/// Compiles an insert for the role of `plan`.
pub fn compile(compiled: &Compiled, plan: &Plan, insert: &plan::Insert) -> Result<InsertProgram, BackendError> {
    let role = insert.source.access.role();
    let written = &insert.source.relation;
    let target = Target::resolve(compiled, role, written, Privilege::Insert, &insert.columns)?;
    let relation = Arc::clone(&target.relation);
    let mut members = Vec::with_capacity(insert.columns.len());
    let mut missing = Vec::with_capacity(insert.columns.len());
    for column in &insert.columns {
        let at = base(&target, *column)?;
        refuse_generated(&relation, at)?;
        let declared = &relation.columns[at];
        let input = Arc::new(InputType::new(compiled.catalog(), &declared.ty, declared.modifier)?);
        members.push(Member {
            name: written.columns[*column].name.clone(),
            column: at,
            input,
        });
        missing.push(match insert.missing {
            Missing::Null => None,
            Missing::Default => Some(Fill::of_column(compiled, role, &relation, at)?),
        });
    }
    let fills = (0..relation.columns.len())
        .filter(|at| relation.columns[*at].generated.is_none() && !members.iter().any(|member| member.column == *at))
        .map(|at| Ok((at, target.fill(compiled, at)?)))
        .collect::<Result<_, DatabaseError>>()?;
    let reads = insert.returning.read.is_some() || !insert.returning.location.is_empty();
    let way = match Instead::compile(compiled, &target, Event::Insert, &[])? {
        // PostgREST names the key, which PostgreSQL then does not find.
        Some(_)
            if insert
                .conflict
                .as_ref()
                .is_some_and(|conflict| !conflict.columns.is_empty()) =>
        {
            return Err(no_key().into());
        }
        Some(instead) => Way::Instead(Box::new(instead)),
        None => Way::Table(Box::new(table(compiled, role, insert, &target, &members, reads)?)),
    };
    let returning = match &insert.returning.read {
        Some(read) if target.is_instead() => Some(compile_rows(compiled, plan, read)?),
        Some(read) => Some(compile_returning(compiled, plan, read)?),
        None => None,
    };
    let location = insert
        .returning
        .location
        .iter()
        .map(|column| {
            let at = match target.is_instead() {
                true => *column,
                false => base(&target, *column)?,
            };
            Ok((written.columns[*column].name.clone(), at))
        })
        .collect::<Result<_, DatabaseError>>()?;
    let must_match = insert
        .must_match
        .iter()
        .map(|(column, value)| {
            let at = base(&target, *column)?;
            let declared = &relation.columns[at];
            let input = Arc::new(InputType::new(compiled.catalog(), &declared.ty, declared.modifier)?);
            Ok((at, input, *value))
        })
        .collect::<Result<_, DatabaseError>>()?;
    let domains = DomainChecks::compile(compiled, &relation, members.iter().map(|member| member.column))?;
    Ok(InsertProgram {
        domains,
        target,
        members,
        missing,
        fills,
        way,
        returning,
        location,
        must_match,
    })
}

fn table(
    compiled: &Compiled,
    role: &Ident,
    insert: &plan::Insert,
    target: &Target,
    members: &[Member],
    reads: bool,
) -> Result<Table, DatabaseError> {
    let written = &insert.source.relation;
    // Naming a key to look for conflicts in is reading it.
    let commands: &[PolicyCommand] = if reads || insert.conflict.is_some() {
        &[PolicyCommand::Insert, PolicyCommand::Select]
    } else {
        &[PolicyCommand::Insert]
    };
    let checks = Checks::compile(compiled, target, Moment::Proposed, commands)?;
    let conflict = match &insert.conflict {
        None => None,
        Some(conflict) => {
            let key = conflict
                .columns
                .iter()
                .map(|column| base(target, *column))
                .collect::<Result<Vec<_>, _>>()?;
            require_unique_key(&target.relation, &key)?;
            // Under a view its base table asks for the same rights as the view does.
            let besides = |privilege, columns: &[ColumnIndex]| {
                Target::resolve_for(compiled, role, written, privilege, columns, Privilege::Insert)
            };
            besides(Privilege::Select, &conflict.columns)?;
            if conflict.action == ConflictAction::Merge {
                besides(Privilege::Select, &insert.columns)?;
                besides(Privilege::Update, &insert.columns)?;
            }
            Some(match conflict.action {
                ConflictAction::Ignore => Conflict::ignore(compiled, target, key)?,
                ConflictAction::Merge => {
                    let columns = members.iter().map(|member| member.column).collect();
                    Conflict::update(compiled, target, key, columns, None)?
                }
            })
        }
    };
    let writer = RowWriter::new(compiled, target)?;
    let events = events(conflict.as_ref());
    let triggered = Triggered::compile(compiled, target, &events, &UPDATE_COMMANDS)?;
    Ok(Table {
        checks,
        writer,
        conflict,
        triggered,
    })
}

/// Runs a compiled insert inside the request's savepoint.
pub fn execute(
    conn: &Connection,
    compiled: &Compiled,
    program: &InsertProgram,
    sources: &Sources<'_>,
    input: &Input,
) -> Result<Outcome, BackendError> {
    let relation = &program.target.relation;
    let body = input.payload.as_deref().unwrap_or_default();
    let rows = program.rows(conn, sources, body)?;
    if let Some(domains) = &program.domains {
        for row in &rows {
            domains.run(conn, sources, row)?;
        }
    }
    for (column, reader, value) in &program.must_match {
        let wanted = match input.values.get(*value) {
            Some(Value::Text(text)) => reader.read(text, sources.context)?,
            Some(Value::Integer(number)) => reader.read(&number.to_string(), sources.context)?,
            _ => Scalar::Null,
        };
        if rows.len() != 1 || rows[0][*column] != wanted {
            return Err(BackendError::PutMismatch);
        }
    }
    let table = match &program.way {
        Way::Table(table) => table,
        Way::Instead(instead) => return program.execute_instead(conn, compiled, sources, input, instead, rows),
    };
    if let Some(triggered) = &table.triggered {
        return program.execute_triggered(conn, compiled, sources, input, (table, triggered), rows);
    }
    let mut outcome = Outcome::default();
    if let [row] = rows.as_slice() {
        outcome.location = program.location(row);
    }
    let written = table.write(conn, compiled, relation, sources, rows)?;
    outcome.affected = written.numbers.len() as u64;
    outcome.inserted = written.inserted;
    affected_within(&input.options, outcome.affected)?;
    represent(
        conn,
        compiled,
        program.returning.as_ref(),
        sources,
        &input.options,
        Rows::Numbers(&written.numbers),
        outcome,
    )
}

impl InsertProgram {
    /// All statements, one per line.
    pub fn sql(&self) -> String {
        let mut lines = Vec::new();
        if let Way::Table(table) = &self.way {
            lines.extend(table.checks.as_ref().map(|checks| checks.sql().to_owned()));
            lines.push(table.writer.sql().to_owned());
        }
        lines.extend(self.returning.as_ref().map(ReadProgram::sql));
        lines.join("\n")
    }

    /// The values of the key for the Location header.
    fn location(&self, row: &[Scalar]) -> Vec<(Ident, String)> {
        let columns = match self.target.is_instead() {
            true => &self.target.written.columns,
            false => &self.target.relation.columns,
        };
        self.location
            .iter()
            .map(|(name, column)| (name.clone(), location_text(&columns[*column].ty, &row[*column])))
            .collect()
    }

    /// Writes row by row, as triggers ask for it.
    fn execute_triggered(
        &self,
        conn: &Connection,
        compiled: &Compiled,
        sources: &Sources<'_>,
        input: &Input,
        (table, triggered): (&Table, &Triggered),
        rows: Vec<Vec<Scalar>>,
    ) -> Result<Outcome, BackendError> {
        let env = Env {
            conn,
            compiled,
            sources,
        };
        let plain = Plain {
            checks: table.checks.as_ref(),
            writer: &table.writer,
            conflict: table.conflict.as_ref(),
        };
        let one = rows.len() == 1;
        let events = events(table.conflict.as_ref());
        triggered.perform(env, &events, rows.len(), |running| {
            let written = running.insert_rows(env, &plain, rows)?;
            let mut outcome = Outcome {
                affected: written.numbers.len() as u64,
                inserted: written.inserted,
                ..Outcome::default()
            };
            if let (true, [number]) = (one, written.numbers.as_slice())
                && !self.location.is_empty()
                && let Some(row) = triggered.row(env, *number)?
            {
                outcome.location = self.location(&row);
            }
            affected_within(&input.options, outcome.affected)?;
            represent(
                conn,
                compiled,
                self.returning.as_ref(),
                sources,
                &input.options,
                Rows::Numbers(&written.numbers),
                outcome,
            )
        })
    }

    /// Gives the rows to the view's triggers.
    fn execute_instead(
        &self,
        conn: &Connection,
        compiled: &Compiled,
        sources: &Sources<'_>,
        input: &Input,
        instead: &Instead,
        rows: Vec<Vec<Scalar>>,
    ) -> Result<Outcome, BackendError> {
        let env = Env {
            conn,
            compiled,
            sources,
        };
        let rows = rows.into_iter().map(Proposed::insert).collect();
        instead.perform(env, rows, |rows| {
            let mut outcome = Outcome {
                inserted: rows.len() as u64,
                ..Outcome::default()
            };
            if let [row] = rows.as_slice() {
                outcome.location = self.location(row);
            }
            represent_given(env, self.returning.as_ref(), &input.options, &rows, outcome)
        })
    }

    /// The body's rows with every column filled in.
    fn rows(&self, conn: &Connection, sources: &Sources<'_>, body: &[u8]) -> Result<Vec<Vec<Scalar>>, BackendError> {
        let width = self.target.relation.columns.len();
        let given = payload::read(body, &self.members, width, sources.context)?;
        let mut taking = Taking::new(conn);
        let mut memory = vec![None; self.fills.len()];
        let mut missing_memory = vec![None; self.members.len()];
        let mut rows = Vec::with_capacity(given.len());
        for row in given {
            let mut values = row.values;
            for (index, fill) in self.missing.iter().enumerate() {
                if let (false, Some(fill)) = (row.present[index], fill) {
                    values[self.members[index].column] =
                        fill.value(&mut taking, sources, &mut missing_memory[index])?;
                }
            }
            for ((column, fill), memory) in self.fills.iter().zip(&mut memory) {
                values[*column] = fill.value(&mut taking, sources, memory)?;
            }
            rows.push(values);
        }
        taking.put_back()?;
        Ok(rows)
    }
}

/// Errors: 42P10 unless some unique key covers exactly these columns.
fn require_unique_key(relation: &Relation, key: &[ColumnIndex]) -> Result<(), DatabaseError> {
    let covers =
        |columns: &[ColumnIndex]| columns.len() == key.len() && columns.iter().all(|column| key.contains(column));
    let by_constraint = relation.constraints.iter().any(|constraint| match &constraint.kind {
        ConstraintKind::PrimaryKey { columns } | ConstraintKind::Unique { columns } => covers(columns),
        _ => false,
    });
    let by_index = relation
        .indexes
        .iter()
        .filter(|index| index.unique && index.predicate.is_none())
        .any(|index| {
            let columns: Option<Vec<ColumnIndex>> = index
                .keys
                .iter()
                .map(|key| match key.part {
                    IndexPart::Column(column) => Some(column),
                    IndexPart::Expression(_) => None,
                })
                .collect();
            columns.is_some_and(|columns| covers(&columns))
        });
    if by_constraint || by_index {
        return Ok(());
    }
    let message = "there is no unique or exclusion constraint matching the ON CONFLICT specification";
    Err(DatabaseError::new("42P10", message))
}

/// The base table's column. Errors: 0A000 for a view's computed column.
fn base(target: &Target, column: ColumnIndex) -> Result<ColumnIndex, DatabaseError> {
    target.base(column).ok_or_else(|| {
        let name = target
            .written
            .columns
            .get(column)
            .map(|column| column.name.to_string())
            .unwrap_or_default();
        let view = &target.written.name.name;
        DatabaseError::new(
            "0A000",
            format!("cannot insert into column \"{name}\" of view \"{view}\""),
        )
        .detail("View columns that are not columns of their base relation are not updatable.")
    })
}

/// Errors: 428C9 for a column whose value only the table may give.
pub fn refuse_generated(relation: &Relation, column: ColumnIndex) -> Result<(), DatabaseError> {
    let declared = &relation.columns[column];
    let name = &declared.name;
    let refusal = DatabaseError::new(
        "428C9",
        format!("cannot insert a non-DEFAULT value into column \"{name}\""),
    );
    if declared.identity == Some(Identity::Always) {
        return Err(refusal
            .detail(format!(
                "Column \"{name}\" is an identity column defined as GENERATED ALWAYS."
            ))
            .hint("Use OVERRIDING SYSTEM VALUE to override."));
    }
    if declared.generated.is_some() {
        return Err(refusal.detail(format!("Column \"{name}\" is a generated column.")));
    }
    Ok(())
}

/// A key's value as `to_json` prints it, without quotes.
fn location_text(ty: &Type, value: &Scalar) -> String {
    match (ty.base(), value) {
        (_, Scalar::Null) => String::new(),
        (Type::Bool, Scalar::Integer(truth)) => (*truth != 0).to_string(),
        (_, Scalar::Text(text)) => text.clone(),
        _ => super::rows::text(ty, value).unwrap_or_default(),
    }
}
