//! What a statement gives back may read no table that the statement has changed: PostgreSQL's RETURNING, and the query
//! around it, see the other rows as they were before the statement. Here they are read after it, so that such a
//! statement is refused.
//!
//! Not here: rows that are given back themselves (`represent`, `script::Shown`).
//!
//! Source: PostgreSQL 15 manual, 7.8.4 (data-modifying statements in WITH: one snapshot), 13.2.1.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::Arc;

use mainstay_core::catalog::{Relation, RelationshipKind, TriggerTiming};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::Ident;
use mainstay_core::plan::Read;
use mainstay_sql::system;
use mainstay_sql::typed::{Expr, FromItem};
use rusqlite::{Connection, ffi};

use crate::emit::compiled::Compiled;
use crate::emit::walk::{self, Visitor};
use crate::emit::writer::physical_name;

/// The tables, by their names in the file, that are read for what is given back.
#[derive(Clone, Debug, Default)]
pub struct Reads(HashSet<Ident>);

/// A statement under way: what is read for it, and what has been written.
struct Watched {
    reads: HashSet<Ident>,
    written: HashSet<Ident>,
}

thread_local! {
    /// Statements under way on this thread, the innermost last.
    static WATCHED: RefCell<Vec<Watched>> = const { RefCell::new(Vec::new()) };
}

impl Reads {
    /// What subqueries of expressions read.
    pub fn of_expressions<'e>(
        compiled: &Compiled,
        exprs: impl IntoIterator<Item = &'e Expr>,
    ) -> Result<Self, DatabaseError> {
        let mut found = Found::default();
        exprs.into_iter().for_each(|expr| walk::expr(&mut found, expr));
        let mut reads = Reads::default();
        for relation in found.0 {
            reads.add(compiled, &relation, 0)?;
        }
        Ok(reads)
    }

    /// What a representation's embeds read, but for the table that a statement on `written` changes itself.
    pub fn of_embeds(compiled: &Compiled, read: &Read, written: &Arc<Relation>) -> Result<Self, DatabaseError> {
        let mut reads = Reads::default();
        reads.add_embeds(compiled, read)?;
        let mut own = Reads::default();
        own.add(compiled, written, 0)?;
        if !own.0.is_empty() && !through_triggers(compiled, written, 0)? {
            reads.0.retain(|table| !own.0.contains(table));
        }
        Ok(reads)
    }

    fn add_embeds(&mut self, compiled: &Compiled, read: &Read) -> Result<(), DatabaseError> {
        for embed in &read.embeds {
            self.add(compiled, &embed.read.source.relation, 0)?;
            if let RelationshipKind::ManyToMany { junction, .. } = &embed.relationship.kind
                && let Some(junction) = compiled.catalog().relations.get(junction)
            {
                self.add(compiled, junction, 0)?;
            }
            self.add_embeds(compiled, &embed.read)?;
        }
        Ok(())
    }

    fn add(&mut self, compiled: &Compiled, relation: &Arc<Relation>, depth: usize) -> Result<(), DatabaseError> {
        if system::is_system(relation) || depth > DEPTH_MAX {
            return Ok(());
        }
        if relation.view.is_none() {
            self.0.insert(physical_name(&relation.name));
            return Ok(());
        }
        let mut found = Found::default();
        walk::query(&mut found, &*compiled.view(relation)?);
        found
            .0
            .iter()
            .try_for_each(|relation| self.add(compiled, relation, depth + 1))
    }

    /// True if nothing is read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Runs a statement, in which [`check`] knows what it has written.
    pub fn watch<T>(
        &self,
        conn: &Connection,
        work: impl FnOnce() -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        if self.is_empty() {
            return work();
        }
        /// Ends the watch, also when `work` panics.
        struct End<'c>(&'c Connection);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                let outermost = WATCHED.with_borrow_mut(|watched| {
                    let ended = watched.pop();
                    if let (Some(outer), Some(ended)) = (watched.last_mut(), ended) {
                        outer.written.extend(ended.written);
                    }
                    watched.is_empty()
                });
                if outermost {
                    hook(self.0, None);
                }
            }
        }
        let outermost = WATCHED.with_borrow_mut(|watched| {
            watched.push(Watched {
                reads: self.0.clone(),
                written: HashSet::new(),
            });
            watched.len() == 1
        });
        let _end = End(conn);
        if outermost {
            hook(conn, Some(note));
        }
        work()
    }
}

/// How deep views may select from views.
const DEPTH_MAX: usize = 64;

/// Errors: 0A000 if what is about to be read was written by the statement that is under way.
pub fn check() -> Result<(), DatabaseError> {
    WATCHED.with_borrow(|watched| {
        let Some(watched) = watched.last() else { return Ok(()) };
        let mut both: Vec<&Ident> = watched.reads.intersection(&watched.written).collect();
        both.sort();
        match both.first() {
            None => Ok(()),
            Some(table) => Err(DatabaseError::unavailable(
                "giving back what reads a table that the statement has changed",
                table,
                1,
                Some("a second statement"),
            )),
        }
    })
}

/// What SQLite calls for each row that it changes.
type Hook = unsafe extern "C" fn(*mut c_void, c_int, *const c_char, *const c_char, i64);

fn hook(conn: &Connection, hook: Option<Hook>) {
    // SAFETY: the handle is this thread's open connection; the callback takes nothing from the pointer beside it.
    unsafe { ffi::sqlite3_update_hook(conn.handle(), hook, std::ptr::null_mut()) };
}

unsafe extern "C" fn note(_: *mut c_void, _: c_int, _: *const c_char, table: *const c_char, _: i64) {
    // SAFETY: SQLite gives the table's name, which ends with a zero and lasts for the call.
    let table = unsafe { CStr::from_ptr(table) }.to_string_lossy();
    WATCHED.with_borrow_mut(|watched| {
        if let Some(watched) = watched.last_mut()
            && !watched.written.iter().any(|known| known.as_str() == table)
        {
            watched.written.insert(Ident::new(table));
        }
    });
}

/// True if INSTEAD OF triggers of the view, or of one that it selects from, may take its rows.
fn through_triggers(compiled: &Compiled, relation: &Arc<Relation>, depth: usize) -> Result<bool, DatabaseError> {
    let own = relation
        .triggers
        .iter()
        .any(|trigger| trigger.timing == TriggerTiming::InsteadOf);
    if own || relation.view.is_none() || depth > DEPTH_MAX {
        return Ok(own);
    }
    let mut found = Found::default();
    walk::query(&mut found, &*compiled.view(relation)?);
    for relation in &found.0 {
        if through_triggers(compiled, relation, depth + 1)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The relations in FROM.
#[derive(Default)]
struct Found(Vec<Arc<Relation>>);

impl Visitor for Found {
    fn entry(&mut self, item: &FromItem) {
        if let FromItem::Relation { relation, .. } = item {
            self.0.push(Arc::clone(relation));
        }
    }
}
