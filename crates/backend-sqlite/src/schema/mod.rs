//! The stored catalog, and everything that changes it: migrations, scripts with DDL, reset.
//!
//! | module | what |
//! |---|---|
//! | [`store`] | `_ms_*` tables: the catalog's objects as JSON rows, read at start |
//! | [`sequences`] | the sequences' current values |
//! | [`define`] | catalog → `CREATE TABLE`, `CREATE INDEX` of the file |
//! | [`documents`] | candidate indexes of full text search, and the triggers that keep them |
//! | [`carry_out`] | what a catalog change asks of the file |
//! | [`rebuild`] | changes that copy or rewrite a table's rows |
//! | [`script`] | statements one after the other, in one transaction |
//! | [`migrations`] | migrations and their record, reset |
//! | [`check`] | dry runs, statement by statement |
//! | [`platform`] | the tables every Supabase project finds, made once |
//!
//! Not here: what DDL means (`mainstay_sql::ddl`), DML (`write`), threads and publication of a catalog (`backend`).
//! Invariant: the catalog's rows and the file's tables change in one transaction, so a crash leaves both as they were.
//!
//! Source: `portability.md` §§2, 5, 10; SQLite documentation, "ALTER TABLE" 7 (other kinds of schema changes).

pub mod carry_out;
mod check;
pub mod define;
mod documents;
mod faults;
pub mod migrations;
mod platform;
mod rebuild;
pub mod script;
pub mod sequences;
pub mod store;
#[cfg(test)]
mod tests;

pub use carry_out::publications;
pub use check::check;
pub use mainstay_sql::ddl::DefaultGrants;
pub use migrations::{is_empty, migrate, migrate_watched, migrations, record, reset};
pub use script::{run_script, run_shown};
pub use sequences::positions;
pub(crate) use store::broken;
pub use store::{load_catalog, open, open_beside, open_with, set_default_grants};
