//! The embedded engine: `Backend` for SQLite. The only crate that may know SQLite.
//!
//! | module | what |
//! |---|---|
//! | [`backend`] | [`SqliteBackend`], the `Backend` |
//! | [`engine`] | the threads together: write, read, close |
//! | [`connection`] | opening connections, safety settings, budgets of steps and time, the file's lock |
//! | [`writer`] | the one thread that writes, group commit |
//! | [`reader`] | reads on the asking thread and on reader threads, held snapshots |
//! | [`keeper`] | checkpoints, release of idle snapshots |
//! | [`errors`] [`foreign_keys`] | SQLite's errors in PostgreSQL's words |
//! | [`read`] | `Plan::Read` → statements → bytes |
//! | [`write`] | inserts, updates, deletes, calls |
//! | [`routine`] | routines' bodies that are run |
//! | [`emit`] | typed tree → SQLite's SQL, policies |
//! | [`schema`] | the stored catalog, migrations |
//! | [`foreign`] | reading SQLite files of others |
//! | `transact` `kept` | several statements in one transaction, answers that it keeps |
//! | [`departure`] | a move out of the file while it is served: record, hold, hand over |
//! | [`transfer`] | a database's rows out to another engine, or in from one |
//! | `console` | SQL text for people |
//! | `own` | statements of rooms' own |
//! | `explain` | plans for people |
//! | `export` | definitions and rows for `db dump` and `db diff` |
//! | [`values`] | PostgreSQL's values and functions |
//!
//! Not here: PostgreSQL's grammar and types (`mainstay-sql`), HTTP.

pub mod backend;
pub mod connection;
mod console;
pub mod departure;
pub mod emit;
pub mod engine;
pub mod errors;
mod explain;
mod export;
pub mod foreign;
pub mod foreign_keys;
pub mod keeper;
mod kept;
mod own;
pub mod read;
pub mod reader;
pub mod routine;
pub mod schema;
pub mod shared;
mod surroundings;
mod transact;
pub mod transfer;
pub mod values;
pub mod write;
pub mod writer;

pub use backend::SqliteBackend;
pub use connection::{OpenError, Options, Synchronous};
pub use mainstay_sql::ddl::DefaultGrants;
