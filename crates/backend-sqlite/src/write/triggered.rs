//! Writing a table that has triggers: row by row, so that each sees what was done before it.
//!
//! Order, as PostgreSQL's: BEFORE STATEMENT, then for each row BEFORE ROW, policies, constraints and the write itself;
//! then for each row what foreign keys to it demand and AFTER ROW; then AFTER STATEMENT.
//! Not here: which triggers there are (`triggers`), what a plain write does (`insert`, `update`, `delete`).
//!
//! Source: PostgreSQL 15 manual, chapter 39 (overview of trigger behavior), 5.4.5 (foreign keys).

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use mainstay_core::catalog::{ColumnIndex, PolicyCommand, ReferentialAction, Relation, TriggerTiming};
use mainstay_core::error::{BackendError, DatabaseError};
use rusqlite::types::Value as Scalar;
use rusqlite::{Connection, ffi};

use super::checks::{Checks, Moment};
use super::conflict::{Conflict, Written, second_time};
use super::defaults::Fill;
use super::delete::Remove;
use super::rows::{Generated, RowWriter, completed, refers_to_itself};
use super::statement::{Prepared, scalars};
use super::target::Target;
use super::triggers::{Env, Event, Key, Triggers};
use super::update::{Write, current};
use crate::emit::binds::Bind;
use crate::emit::compiled::Compiled;
use crate::emit::types::collation;
use crate::emit::writer::SqlWriter;
use crate::foreign_keys;

/// How rows of one table are written where triggers or foreign keys watch.
pub struct Triggered {
    pub triggers: Arc<Triggers>,
    relation: Arc<Relation>,
    /// Every column that can be written.
    columns: Vec<ColumnIndex>,
    checks: Option<Checks>,
    update: Write,
    remove: Remove,
    current: Prepared,
    generated: Option<Generated>,
    refers_to_itself: bool,
}

/// What a plain INSERT does with each row.
pub struct Plain<'p> {
    /// Policies over proposed rows.
    pub checks: Option<&'p Checks>,
    pub writer: &'p RowWriter,
    pub conflict: Option<&'p Conflict>,
}

/// The policies that a row updated by ON CONFLICT must pass.
pub const UPDATE_COMMANDS: [PolicyCommand; 2] = [PolicyCommand::Update, PolicyCommand::Select];

/// What an INSERT may do to rows.
pub fn events(conflict: Option<&Conflict>) -> Vec<(Event, &[ColumnIndex])> {
    let mut events: Vec<(Event, &[ColumnIndex])> = vec![(Event::Insert, &[])];
    if let Some(columns) = conflict.and_then(Conflict::updated) {
        events.push((Event::Update, columns));
    }
    events
}

/// One row that was written.
struct Change {
    event: Event,
    old: Option<Vec<Scalar>>,
    new: Option<Vec<Scalar>>,
}

/// A statement on its way; see [`Triggered::perform`].
pub struct Running<'t> {
    triggered: &'t Triggered,
    events: Vec<(Event, Rc<[ColumnIndex]>)>,
    changes: Vec<Change>,
}

impl Triggered {
    /// Compiles the row-by-row way, if anything watches one of `events` (with the columns that an UPDATE sets).
    /// `commands`: the policies that updated rows must pass.
    pub fn compile(
        compiled: &Compiled,
        target: &Target,
        events: &[(Event, &[ColumnIndex])],
        commands: &[PolicyCommand],
    ) -> Result<Option<Triggered>, DatabaseError> {
        let relation = &target.relation;
        let Some(triggers) = compiled.triggers(relation, &target.user)? else {
            return Ok(None);
        };
        if !events.iter().any(|(event, assigned)| triggers.watch(*event, assigned)) {
            return Ok(None);
        }
        let columns = writable(relation);
        let updates = events.iter().any(|(event, _)| *event == Event::Update);
        Ok(Some(Triggered {
            checks: match updates {
                true => Checks::compile(compiled, target, Moment::Updated(&columns), commands)?,
                false => None,
            },
            update: Write::new(compiled, target, &columns)?,
            remove: Remove::new(relation),
            current: current(relation),
            generated: Generated::compile(compiled, relation)?,
            refers_to_itself: refers_to_itself(relation),
            triggers,
            relation: Arc::clone(relation),
            columns,
        }))
    }

    /// The same for what foreign keys demand of `relation`: as its owner, past all policies.
    pub fn for_keys(compiled: &Compiled, relation: &Arc<Relation>) -> Result<Triggered, DatabaseError> {
        let target = Target::of_owner(compiled, relation);
        let triggers = match compiled.triggers(relation, &relation.owner)? {
            Some(triggers) => triggers,
            None => Arc::new(Triggers::compile(compiled, relation, &relation.owner)?),
        };
        let columns = writable(relation);
        Ok(Triggered {
            checks: None,
            update: Write::new(compiled, &target, &columns)?,
            remove: Remove::new(relation),
            current: current(relation),
            generated: Generated::compile(compiled, relation)?,
            refers_to_itself: refers_to_itself(relation),
            triggers,
            relation: Arc::clone(relation),
            columns,
        })
    }

    /// The row of that number.
    pub fn row(&self, env: Env<'_>, number: i64) -> Result<Option<Vec<Scalar>>, BackendError> {
        let width = self.relation.columns.len();
        let mut place = vec![Scalar::Null; width];
        place.push(Scalar::Integer(number));
        self.current
            .one(env.conn, &env.sources.with_row(&place), |row| scalars(row, 0, width))
    }

    /// The rows as a statement finds them.
    pub fn scan(&self, env: Env<'_>, numbers: &[i64]) -> Result<Vec<(i64, Vec<Scalar>)>, BackendError> {
        let mut rows = Vec::with_capacity(numbers.len());
        for number in numbers {
            if let Some(row) = self.row(env, *number)? {
                rows.push((*number, row));
            }
        }
        Ok(rows)
    }

    /// Deletes rows. `show` reads what the statement gives back, before anything is deleted, of the rows that will be;
    /// which ones, BEFORE triggers may decide, so that those are tried first and undone.
    pub fn delete_rows<T>(
        &self,
        env: Env<'_>,
        numbers: &[i64],
        shows: bool,
        show: impl FnOnce(&[i64]) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let rows = self.scan(env, numbers)?;
        let delete = |running: &mut Running<'_>| -> Result<Vec<i64>, BackendError> {
            let mut deleted = Vec::with_capacity(rows.len());
            for (number, row) in &rows {
                if running.delete(env, *number, row)? {
                    deleted.push(*number);
                }
            }
            Ok(deleted)
        };
        let events: [(Event, &[ColumnIndex]); 1] = [(Event::Delete, &[])];
        if !shows {
            let deleted = self.perform(env, &events, rows.len(), delete)?;
            return show(&deleted);
        }
        let survivors = match self.may_skip_deletes() {
            false => rows.iter().map(|(number, _)| *number).collect(),
            true => {
                control(env.conn, "SAVEPOINT ms_trial")?;
                let tried = self.perform(env, &events, rows.len(), delete);
                if env.conn.is_autocommit() {
                    return tried.and_then(|numbers| show(&numbers));
                }
                control(env.conn, "ROLLBACK TO ms_trial")?;
                control(env.conn, "RELEASE ms_trial")?;
                tried?
            }
        };
        let shown = show(&survivors)?;
        self.perform(env, &events, rows.len(), delete)?;
        Ok(shown)
    }

    /// True if BEFORE triggers may skip rows of a DELETE.
    fn may_skip_deletes(&self) -> bool {
        self.triggers.has(TriggerTiming::Before, true, Event::Delete, &[])
    }

    /// Runs a statement whose rows are known: `work` writes each of them, what it gives is read before anything that
    /// comes after the rows.
    pub fn perform<T>(
        &self,
        env: Env<'_>,
        events: &[(Event, &[ColumnIndex])],
        rows: usize,
        work: impl FnOnce(&mut Running<'_>) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let events: Vec<(Event, Rc<[ColumnIndex]>)> = events
            .iter()
            .map(|(event, assigned)| (*event, Rc::from(*assigned)))
            .collect();
        for (event, assigned) in &events {
            self.triggers.statement(env, TriggerTiming::Before, *event, assigned)?;
        }
        let acts = !self.triggers.keys().is_empty() && events.iter().any(|(event, _)| *event != Event::Insert);
        let deferral = match acts || (self.refers_to_itself && rows > 1) {
            true => Some(Deferral::begin(env.conn)?),
            false => None,
        };
        let mut running = Running {
            triggered: self,
            events,
            changes: Vec::new(),
        };
        let done = work(&mut running).and_then(|done| {
            running.after_rows(env)?;
            Ok(done)
        });
        if let Some(deferral) = deferral {
            deferral.end(env.conn, done.is_ok())?;
        }
        let done = done?;
        // Of ON CONFLICT DO UPDATE the update's come first.
        for (event, assigned) in running.events.iter().rev() {
            self.triggers.statement(env, TriggerTiming::After, *event, assigned)?;
        }
        Ok(done)
    }
}

impl Running<'_> {
    fn assigned(&self, event: Event) -> Rc<[ColumnIndex]> {
        self.events
            .iter()
            .find(|(other, _)| *other == event)
            .map_or_else(|| Rc::from([]), |(_, assigned)| Rc::clone(assigned))
    }

    /// Inserts rows, or does what ON CONFLICT says.
    pub fn insert_rows(
        &mut self,
        env: Env<'_>,
        plain: &Plain<'_>,
        rows: Vec<Vec<Scalar>>,
    ) -> Result<Written, BackendError> {
        let relation = Arc::clone(&self.triggered.relation);
        let mut written = Written::default();
        let mut touched = HashSet::new();
        for row in rows {
            let Some(row) = self.before_insert(env, row)? else {
                continue;
            };
            let refused = match plain.checks {
                Some(checks) => checks.run_first(env.conn, &env.sources.with_row(&row))?,
                None => None,
            };
            plain.writer.check_not_null(env.conn, &relation, env.sources, &row)?;
            let existing = match plain.conflict {
                Some(conflict) => conflict.existing(env.conn, &relation, &row, env.sources)?,
                None => None,
            };
            match (plain.conflict, existing) {
                (Some(conflict), Some(number)) => {
                    if conflict.updated().is_none() {
                        continue;
                    }
                    if touched.contains(&number) {
                        return Err(second_time().into());
                    }
                    let values = conflict.values(env.conn, &relation, &row, number, env.sources)?;
                    let (Some(values), Some(there)) = (values, self.triggered.row(env, number)?) else {
                        continue;
                    };
                    if let Some(number) = self.update(env, number, &there, &values)? {
                        touched.insert(number);
                        written.numbers.push(number);
                    }
                }
                (conflict, _) => match self.insert(env, plain.writer, row) {
                    Ok(number) => {
                        if let (Some(error), Some(row)) = (refused, self.triggered.row(env, number)?) {
                            return Err(plain.writer.refused(env.conn, &relation, env.sources, &row, error));
                        }
                        touched.insert(number);
                        written.numbers.push(number);
                        written.inserted += 1;
                    }
                    Err(BackendError::Refused(error))
                        if error.sqlstate == "23505" && conflict.is_some_and(Conflict::is_any) => {}
                    Err(error) => return Err(error),
                },
            }
        }
        Ok(written)
    }

    /// The proposed row as BEFORE INSERT leaves it; `None`: skipped.
    fn before_insert(&self, env: Env<'_>, row: Vec<Scalar>) -> Result<Option<Vec<Scalar>>, BackendError> {
        let triggers = &self.triggered.triggers;
        triggers.before(env, TriggerTiming::Before, Event::Insert, &[], None, Some(row))
    }

    /// Inserts a row that has passed everything.
    fn insert(&mut self, env: Env<'_>, writer: &RowWriter, row: Vec<Scalar>) -> Result<i64, BackendError> {
        let relation = &self.triggered.relation;
        let catalog = env.compiled.catalog();
        let numbers = writer.insert(env.conn, catalog, relation, env.sources, std::slice::from_ref(&row))?;
        self.note(env, Event::Insert, None, Some(row));
        numbers
            .first()
            .copied()
            .ok_or_else(|| BackendError::Internal("an inserted row has no number".into()))
    }

    fn note(&mut self, env: Env<'_>, event: Event, old: Option<Vec<Scalar>>, new: Option<Vec<Scalar>>) {
        let generated = self.triggered.generated.as_ref();
        let new = new.map(|mut row| {
            row.truncate(self.triggered.relation.columns.len());
            completed(generated, env.conn, env.sources, row)
        });
        self.changes.push(Change { event, old, new });
    }

    /// Updates one row. `scanned`: the row as the statement found it; `values`: the new values of the assigned columns,
    /// each in its column's place. Gives its number afterwards; `None`: skipped.
    pub fn update(
        &mut self,
        env: Env<'_>,
        number: i64,
        scanned: &[Scalar],
        values: &[Scalar],
    ) -> Result<Option<i64>, BackendError> {
        let triggered = self.triggered;
        let relation = &triggered.relation;
        let assigned = self.assigned(Event::Update);
        let Some(old) = triggered.row(env, number)?.filter(|row| row == scanned) else {
            return Err(modified("updated").into());
        };
        let mut new = old.clone();
        for column in assigned.iter() {
            new[*column] = values[*column].clone();
        }
        for (value, column) in new.iter_mut().zip(&relation.columns) {
            if column.generated.is_some() {
                *value = Scalar::Null;
            }
        }
        let triggers = &triggered.triggers;
        let Some(mut new) = triggers.before(
            env,
            TriggerTiming::Before,
            Event::Update,
            &assigned,
            Some(&old),
            Some(new),
        )?
        else {
            return Ok(None);
        };
        if triggers.has(TriggerTiming::Before, true, Event::Update, &assigned)
            && triggered.row(env, number)?.as_deref() != Some(scanned)
        {
            return Err(modified("updated").into());
        }
        new.truncate(relation.columns.len());
        new.push(Scalar::Integer(number));
        let refused = match &triggered.checks {
            Some(checks) => checks.run_first(env.conn, &env.sources.with_row(&new))?,
            None => None,
        };
        let null = triggered
            .columns
            .iter()
            .find(|column| relation.columns[**column].not_null && new[**column] == Scalar::Null);
        if let Some(column) = null {
            return Err(triggered.update.null_in(env.conn, relation, env.sources, *column, &new));
        }
        let mut row = new.clone();
        let numbers = triggered
            .update
            .run(env.conn, env.compiled, relation, env.sources, &mut row, &[number])?;
        if let Some(error) = refused {
            return Err(triggered.update.refused(env.conn, relation, env.sources, &new, error));
        }
        self.note(env, Event::Update, Some(old), Some(new));
        Ok(numbers.first().copied())
    }

    /// Deletes one row; false: skipped.
    pub fn delete(&mut self, env: Env<'_>, number: i64, scanned: &[Scalar]) -> Result<bool, BackendError> {
        let triggered = self.triggered;
        let triggers = &triggered.triggers;
        if triggered.row(env, number)?.as_deref() != Some(scanned) {
            return Err(modified("deleted").into());
        }
        let kept = triggers.before(env, TriggerTiming::Before, Event::Delete, &[], Some(scanned), None)?;
        if kept.is_none() {
            return Ok(false);
        }
        if triggers.has(TriggerTiming::Before, true, Event::Delete, &[])
            && triggered.row(env, number)?.as_deref() != Some(scanned)
        {
            return Err(modified("deleted").into());
        }
        triggered
            .remove
            .run(env.conn, env.compiled, &triggered.relation, env.sources, &[number])?;
        self.note(env, Event::Delete, Some(scanned.to_vec()), None);
        Ok(true)
    }

    /// What comes after the rows: for each, foreign keys' actions and AFTER ROW triggers.
    fn after_rows(&self, env: Env<'_>) -> Result<(), BackendError> {
        let triggers = &self.triggered.triggers;
        for change in &self.changes {
            for key in triggers.keys() {
                act(env, key, change)?;
            }
            let assigned = self.assigned(change.event);
            triggers.after(
                env,
                change.event,
                &assigned,
                change.old.as_deref(),
                change.new.as_deref(),
            )?;
        }
        Ok(())
    }
}

fn control(conn: &Connection, statement: &'static str) -> Result<(), BackendError> {
    conn.prepare_cached(statement)
        .and_then(|mut statement| statement.raw_execute())
        .map(drop)
        .map_err(|error| BackendError::Internal(format!("{statement}: {error}")))
}

fn writable(relation: &Relation) -> Vec<ColumnIndex> {
    (0..relation.columns.len())
        .filter(|column| relation.columns[*column].generated.is_none())
        .collect()
}

/// 27000: a BEFORE trigger has changed the very row.
fn modified(how: &str) -> DatabaseError {
    let message = format!("tuple to be {how} was already modified by an operation triggered by the current command");
    DatabaseError::new("27000", message)
        .hint("Consider using an AFTER trigger instead of a BEFORE trigger to propagate changes to other rows.")
}

/// Does what a foreign key demands of the rows that referred to a changed one. They are changed with their owner's
/// rights, and no policy is asked.
fn act(env: Env<'_>, key: &Key, change: &Change) -> Result<(), BackendError> {
    let Some(old) = &change.old else { return Ok(()) };
    let action = match change.event {
        Event::Delete => key.key.on_delete,
        _ => key.key.on_update,
    };
    if matches!(action, ReferentialAction::NoAction | ReferentialAction::Restrict) {
        return Ok(());
    }
    let values: Vec<Scalar> = key.targets.iter().map(|column| old[*column].clone()).collect();
    let after: Option<Vec<Scalar>> = change
        .new
        .as_ref()
        .map(|new| key.targets.iter().map(|column| new[*column].clone()).collect());
    if values.contains(&Scalar::Null) || after.as_ref() == Some(&values) {
        return Ok(());
    }
    let child = &key.child;
    let columns = &key.key.columns;
    let deletes = change.event == Event::Delete && action == ReferentialAction::Cascade;
    let event = if deletes { Event::Delete } else { Event::Update };
    let events: [(Event, &[ColumnIndex]); 1] = [(event, if deletes { &[] } else { columns.as_slice() })];
    let triggered = env.compiled.row_by_row(child)?;
    let rows = referring(env, child, columns, &values)?;
    triggered.perform(env, &events, rows.len(), |running| {
        for (number, row) in &rows {
            if deletes {
                running.delete(env, *number, row)?;
                continue;
            }
            let mut new = row.clone();
            for (place, column) in columns.iter().enumerate() {
                new[*column] = match (action, &after) {
                    (ReferentialAction::Cascade, Some(after)) => after[place].clone(),
                    (ReferentialAction::SetDefault, _) => {
                        let fill = Fill::of_column(env.compiled, &child.owner, child, *column)?;
                        fill.only(env.conn, env.sources)?
                    }
                    _ => Scalar::Null,
                };
            }
            running.update(env, *number, row, &new)?;
        }
        Ok(())
    })
}

/// The rows of `child` whose key is `values`.
fn referring(
    env: Env<'_>,
    child: &Relation,
    columns: &[ColumnIndex],
    values: &[Scalar],
) -> Result<Vec<(i64, Vec<Scalar>)>, BackendError> {
    let mut writer = SqlWriter::new();
    writer.sql("SELECT _rowid_");
    for column in &child.columns {
        writer.sql(", ").ident(&column.name);
    }
    writer.sql(" FROM ").object(&child.name).sql(" WHERE ");
    writer.list(" AND ", columns.iter().enumerate(), |writer, (place, column)| {
        let declared = &child.columns[*column];
        writer.ident(&declared.name);
        if let Some(collation) = collation(&declared.ty).filter(|collation| collation.changes_equality()) {
            writer.sql(" COLLATE ").ident(&collation.name());
        }
        writer.sql(" = ").bind(Bind::Row(place));
    });
    writer.sql(" ORDER BY _rowid_");
    let query = Prepared::from(writer.finish());
    let width = child.columns.len();
    query.all(env.conn, &env.sources.with_row(values), |row| {
        let failed = |error: rusqlite::Error| query.failed(&error);
        Ok((row.get(0).map_err(failed)?, scalars(row, 1, width).map_err(failed)?))
    })
}

/// While it lasts, foreign keys may be broken; at its end they must hold.
struct Deferral {
    before: bool,
    broken_before: bool,
}

impl Deferral {
    fn begin(conn: &Connection) -> Result<Self, BackendError> {
        let before: bool = conn
            .prepare_cached("PRAGMA defer_foreign_keys")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
            .map_err(failed)?;
        if !before {
            conn.execute_batch("PRAGMA defer_foreign_keys = ON").map_err(failed)?;
        }
        Ok(Deferral {
            before,
            broken_before: is_broken(conn),
        })
    }

    /// Errors: 23503, still without its name, if a key is broken now that was not before.
    fn end(self, conn: &Connection, succeeded: bool) -> Result<(), BackendError> {
        if self.before || conn.is_autocommit() {
            return Ok(());
        }
        let broken = is_broken(conn);
        // Where something else is still to be mended, the count must go on; COMMIT or the request's end looks at it.
        if succeeded && broken && self.broken_before {
            return Ok(());
        }
        conn.execute_batch("PRAGMA defer_foreign_keys = OFF").map_err(failed)?;
        match succeeded && broken {
            true => Err(foreign_keys::unnamed().into()),
            false => Ok(()),
        }
    }
}

fn failed(error: rusqlite::Error) -> BackendError {
    BackendError::Internal(format!("foreign keys cannot be deferred: {error}"))
}

/// True if a deferred foreign key is broken now.
pub fn is_broken(conn: &Connection) -> bool {
    let (mut current, mut highest) = (0, 0);
    // SAFETY: the handle is this thread's open connection; the two integers outlive the call.
    let code = unsafe {
        ffi::sqlite3_db_status(
            conn.handle(),
            ffi::SQLITE_DBSTATUS_DEFERRED_FKS,
            &mut current,
            &mut highest,
            0,
        )
    };
    code == ffi::SQLITE_OK && current != 0
}
