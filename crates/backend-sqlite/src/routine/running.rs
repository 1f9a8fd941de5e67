//! What a routine finds of the request that calls it.
//!
//! SQLite calls a registered function with its arguments and nothing else; what belongs to the request stands in
//! thread-local state while the request's statements run.

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::time::Instant;

use mainstay_core::error::{BackendError, DatabaseError};
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use crate::emit::compiled::Compiled;
use crate::emit::context::Context;
use crate::errors;

/// Routines that may be under way in each other. A level takes some of the thread's stack, in SQLite and here.
const DEPTH_MAX: usize = 100;

/// Stack of a thread that runs routines, in bytes of address space.
pub const STACK_BYTES: usize = 64 << 20;

thread_local! {
    /// Requests under way on this thread, the innermost last.
    static CURRENT: RefCell<Vec<Entered>> = const { RefCell::new(Vec::new()) };
    /// When the statement that runs on this thread must have ended.
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
    /// A query that reads tables calls routines between its rows.
    static SCANNING: Cell<bool> = const { Cell::new(false) };
    /// What `set_config` has set in the request under way.
    static SETTINGS: RefCell<Settings> = const { RefCell::new(Vec::new()) };
}

/// Settings with their values, names in lower case.
pub type Settings = Vec<(String, String)>;

/// Runs a request's `work` and gives what it has set.
pub fn collecting<T>(work: impl FnOnce() -> T) -> (T, Settings) {
    /// Puts back what was set around it, also when `work` panics.
    struct Before(Settings);
    impl Drop for Before {
        fn drop(&mut self) {
            SETTINGS.replace(std::mem::take(&mut self.0));
        }
    }
    let _before = Before(SETTINGS.take());
    let done = work();
    (done, SETTINGS.take())
}

/// The value that a name was given by `set_config` in this request.
pub fn setting(name: &str) -> Option<String> {
    SETTINGS.with_borrow(|settings| {
        let found = settings.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    })
}

fn set(name: String, value: String) {
    SETTINGS.with_borrow_mut(|settings| match settings.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => *known = value,
        None => settings.push((name, value)),
    });
}

/// Registers `pg_set_config(name, value)`, which gives the value; a null sets nothing at all, which is an empty text.
pub fn register(conn: &Connection) -> rusqlite::Result<()> {
    let volatile = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
    conn.create_scalar_function("pg_set_config", 2, volatile, |context| {
        let (name, value): (String, Option<String>) = (context.get(0)?, context.get(1)?);
        let value = value.unwrap_or_default();
        set(name, value.clone());
        Ok(value)
    })
}

/// Sets or lifts the time by which what runs on this thread must have ended.
pub fn set_deadline(deadline: Option<Instant>) {
    DEADLINE.set(deadline);
}

/// Runs `work`, a query that reads tables and calls routines between its rows. They may not write: the query would meet
/// what they wrote, where PostgreSQL's sees the tables as they were.
pub fn scanning<T>(work: impl FnOnce() -> T) -> T {
    /// Puts the mark back, also when `work` panics.
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            SCANNING.set(self.0);
        }
    }
    let _before = Before(SCANNING.replace(true));
    work()
}

/// The parts of a request, borrowed for as long as its entry stands.
#[derive(Clone, Copy)]
struct Entered {
    conn: NonNull<Connection>,
    compiled: NonNull<Compiled>,
    context: NonNull<Context<'static>>,
    depth: usize,
}

/// The request that a routine runs in.
pub struct Running<'a> {
    conn: &'a Connection,
    compiled: &'a Compiled,
    context: &'a Context<'a>,
    depth: usize,
}

/// Runs `work`, in which statements on `conn` may call routines.
pub fn enter<T>(conn: &Connection, compiled: &Compiled, context: &Context<'_>, work: impl FnOnce() -> T) -> T {
    push(conn, compiled, context, 0, work)
}

fn push<T>(conn: &Connection, compiled: &Compiled, context: &Context<'_>, depth: usize, work: impl FnOnce() -> T) -> T {
    /// Takes the entry away, also when `work` panics.
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            CURRENT.with_borrow_mut(Vec::pop);
        }
    }
    let entered = Entered {
        conn: NonNull::from(conn),
        compiled: NonNull::from(compiled),
        context: NonNull::from(context).cast(),
        depth,
    };
    CURRENT.with_borrow_mut(|current| current.push(entered));
    let _leave = Leave;
    work()
}

/// Gives the innermost request under way to `work`. Errors: XX000 outside any.
pub fn with_current<T>(work: impl FnOnce(&Running<'_>) -> Result<T, BackendError>) -> Result<T, BackendError> {
    let Some(entered) = CURRENT.with_borrow(|current| current.last().copied()) else {
        return Err(BackendError::Internal("a routine is called outside a request".into()));
    };
    // SAFETY: `push` made the pointers from references that outlive its `work`, and its entry stands only while `work`
    // runs on this very thread, which is what has come here.
    let running = unsafe {
        Running {
            conn: entered.conn.as_ref(),
            compiled: entered.compiled.as_ref(),
            context: entered.context.as_ref(),
            depth: entered.depth,
        }
    };
    work(&running)
}

impl<'a> Running<'a> {
    /// The connection that the request runs on.
    pub fn conn(&self) -> &'a Connection {
        self.conn
    }

    /// The catalog and what has been compiled for it.
    pub fn compiled(&self) -> &'a Compiled {
        self.compiled
    }

    /// The request's time, role and claims.
    pub fn context(&self) -> &'a Context<'a> {
        self.context
    }

    /// Runs a body, in which calls are one level deeper. Errors: 54001.
    pub fn deeper<T>(&self, body: impl FnOnce() -> Result<T, BackendError>) -> Result<T, BackendError> {
        if self.depth >= DEPTH_MAX {
            let hint = format!("Routines may call each other {DEPTH_MAX} deep on the embedded engine.");
            return Err(DatabaseError::new("54001", "stack depth limit exceeded")
                .hint(hint)
                .into());
        }
        push(self.conn, self.compiled, self.context, self.depth + 1, body)
    }

    /// Errors: 57014 once the request's time is up. For loops that run no statement, which SQLite would stop by itself.
    pub fn check_time(&self) -> Result<(), BackendError> {
        match DEADLINE.get() {
            Some(deadline) if Instant::now() >= deadline => Err(errors::timeout().into()),
            _ => Ok(()),
        }
    }

    /// Errors: 25006 as [`check_not_read_only`](Self::check_not_read_only); 0A000 between the rows of a query.
    pub fn check_writable(&self, verb: &str) -> Result<(), BackendError> {
        self.check_not_read_only(verb)?;
        if SCANNING.get() {
            let feature = "a function that writes, called between the rows of a query";
            let way = "call it by itself in the select list, or in a statement of its own";
            return Err(DatabaseError::unavailable(feature, verb, 1, Some(way)).into());
        }
        Ok(())
    }

    /// Errors: 25006 `cannot execute INSERT in a read-only transaction` on a connection that only reads.
    pub fn check_not_read_only(&self, verb: &str) -> Result<(), BackendError> {
        let read_only = self
            .conn
            .prepare_cached("PRAGMA query_only")
            .and_then(|mut statement| statement.query_row([], |row| row.get::<_, bool>(0)))
            .map_err(|error| errors::refusal(self.compiled.catalog(), None, "PRAGMA query_only", &error))?;
        if !read_only {
            return Ok(());
        }
        let message = format!("cannot execute {verb} in a read-only transaction");
        Err(DatabaseError::new("25006", message).into())
    }
}
