//! The writer's part in a move: it follows what the file says, records what its transactions change, and holds writes.
//!
//! What is recorded names rows, not values: a row that is named without need is carried once more and does no harm, so
//! nothing is taken back when a savepoint is.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mainstay_core::catalog::{Catalog, Relation, RelationKind};
use mainstay_core::transfer::{Phase, Rows, key};
use rusqlite::hooks::{Action, PreUpdateCase, PreUpdateOldValueAccessor};
use rusqlite::{Connection, params};

use super::{State, now_ms, state};
use crate::emit::writer::physical_name;
use crate::transfer::export::push;
use crate::values::cast::Kind;

/// How long the writer waits between two transactions during a move, so that the mover gets its turn at the lock.
const TURN: Duration = Duration::from_millis(1);

/// A changed row. `place`: its row id; `None`: any row of the table.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Entry {
    table: Arc<str>,
    place: Option<i64>,
    former: Option<String>,
}

/// Changed rows of the open transaction. The hook is called on the writer's thread; the lock is never waited for.
type Pending = Arc<Mutex<HashSet<Entry>>>;

/// What the writer knows of a move out of its file.
#[derive(Debug, Default)]
pub struct Departing {
    state: Option<State>,
    pending: Pending,
    is_recording: bool,
    is_read: bool,
}

impl Departing {
    /// False before the first look and after [`Departing::forget`].
    pub fn is_read(&self) -> bool {
        self.is_read
    }

    /// What is known may not be what the file says: a transaction was lost.
    pub fn forget(&mut self) {
        if self.state.is_some() {
            self.is_read = false;
        }
    }

    /// Reads what the file says and acts accordingly. True if the mover has written to the file since.
    pub fn follow(&mut self, connection: &mut Connection, catalog: &Catalog) -> rusqlite::Result<bool> {
        let found = state(connection)?;
        let edits = |state: &Option<State>| state.as_ref().map(|state| (state.departure.id.clone(), state.edits));
        let is_edited = edits(&found) != edits(&self.state);
        if found.is_some() != self.is_recording {
            self.lock().clear();
            match found {
                Some(_) => connection.preupdate_hook(Some(hook(connection, catalog, Arc::clone(&self.pending))?))?,
                None => connection.preupdate_hook(None::<fn(Action, &str, &str, &PreUpdateCase)>)?,
            }
            self.is_recording = found.is_some();
        }
        self.state = found;
        self.is_read = false;
        if let Some(state) = &mut self.state
            && !state.is_seen
        {
            connection.execute("UPDATE _ms_departure SET is_seen = 1", [])?;
            state.is_seen = true;
        }
        self.is_read = true;
        Ok(is_edited)
    }

    /// Whether writes are held, and if they are, whether for good. To be asked inside the transaction of the writes: a
    /// hold whose time is over ends with it.
    pub fn holds(&mut self, connection: &Connection) -> rusqlite::Result<Option<bool>> {
        let Some(state) = &mut self.state else { return Ok(None) };
        match state.departure.phase {
            Phase::Recording => Ok(None),
            Phase::Moved => Ok(Some(true)),
            Phase::Held if now_ms() < state.held_until => Ok(Some(false)),
            Phase::Held => {
                connection.execute("UPDATE _ms_departure SET phase = 'recording', hold = NULL", [])?;
                state.departure.phase = Phase::Recording;
                tracing::warn!(target = %state.departure.target, "writes were held for a move that went away; they go on");
                Ok(None)
            }
        }
    }

    /// The target that the file has been moved to.
    pub fn moved_to(&self) -> Option<&str> {
        let departure = self.state.as_ref().map(|state| &state.departure)?;
        (departure.phase == Phase::Moved).then_some(departure.target.as_str())
    }

    /// Puts what the transaction changed into the record, in the same transaction.
    pub fn record(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if !self.is_recording {
            return Ok(());
        }
        let entries = std::mem::take(&mut *self.lock());
        let mut insert =
            connection.prepare_cached("INSERT INTO _ms_written (name, place, former) VALUES (?1, ?2, ?3)")?;
        for entry in entries {
            insert.execute(params![&*entry.table, entry.place, entry.former])?;
        }
        Ok(())
    }

    /// Called between two transactions.
    pub fn give_way(&self) {
        if self.is_recording {
            std::thread::sleep(TURN);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<Entry>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A table whose rows are recorded.
struct Recorded {
    name: Arc<str>,
    /// The key's columns by their numbers in the file; `None` if the table has none.
    key: Option<Vec<(i32, Kind)>>,
}

impl Recorded {
    fn new(connection: &Connection, relation: &Relation) -> rusqlite::Result<Self> {
        let name = physical_name(&relation.name);
        let mut numbers: HashMap<String, i32> = HashMap::new();
        let mut statement = connection.prepare_cached("SELECT name, cid FROM pragma_table_xinfo(?1)")?;
        for row in statement.query_map([&*name], |row| Ok((row.get(0)?, row.get(1)?)))? {
            let (column, number) = row?;
            numbers.insert(column, number);
        }
        let key = key(relation).and_then(|columns| {
            let of = |position: &usize| {
                let column = relation.columns.get(*position)?;
                Some((*numbers.get(&*column.name)?, Kind::of(&column.ty)?))
            };
            columns.iter().map(of).collect()
        });
        Ok(Recorded {
            name: Arc::from(&*name),
            key,
        })
    }

    /// The key that a row had, as a JSON array of texts. `None` if it cannot be told.
    fn former(&self, row: &PreUpdateOldValueAccessor) -> Option<String> {
        let key = self.key.as_ref()?;
        let mut values = Rows::new(key.len());
        for (number, kind) in key {
            push(&mut values, kind, row.get_old_column_value(*number).ok()?);
        }
        values.end_row();
        let mut texts: Vec<String> = Vec::with_capacity(key.len());
        let read = values.each(|row| {
            for value in row {
                texts.push(String::from_utf8(value.ok_or(())?.to_vec()).map_err(drop)?);
            }
            Ok::<(), ()>(())
        });
        read.ok().and_then(|()| serde_json::to_string(&texts).ok())
    }

    fn entry(&self, place: Option<i64>, former: Option<String>) -> Entry {
        Entry {
            table: Arc::clone(&self.name),
            place,
            former,
        }
    }

    fn gone(&self, row: &PreUpdateOldValueAccessor) -> Entry {
        match self.former(row) {
            Some(former) => self.entry(Some(row.get_old_row_id()), Some(former)),
            None => self.entry(None, None),
        }
    }
}

/// What SQLite calls before it changes a row.
fn hook(
    connection: &Connection,
    catalog: &Catalog,
    pending: Pending,
) -> rusqlite::Result<impl FnMut(Action, &str, &str, &PreUpdateCase) + Send + 'static> {
    let mut tables: HashMap<String, Recorded> = HashMap::new();
    for relation in catalog.relations.values() {
        if relation.kind == RelationKind::Table {
            let recorded = Recorded::new(connection, relation)?;
            tables.insert(recorded.name.to_string(), recorded);
        }
    }
    Ok(move |_: Action, _: &str, table: &str, case: &PreUpdateCase| {
        let Some(table) = tables.get(table) else { return };
        let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
        match case {
            PreUpdateCase::Insert(row) if table.key.is_some() => {
                pending.insert(table.entry(Some(row.get_new_row_id()), None));
            }
            PreUpdateCase::Delete(row) => {
                pending.insert(table.gone(row));
            }
            PreUpdateCase::Update {
                old_value_accessor: old,
                new_value_accessor: new,
            } => {
                pending.insert(table.gone(old));
                if new.get_new_row_id() != old.get_old_row_id() {
                    pending.insert(table.entry(Some(new.get_new_row_id()), None));
                }
            }
            PreUpdateCase::Insert(_) | PreUpdateCase::Unknown => {
                pending.insert(table.entry(None, None));
            }
        }
    })
}
