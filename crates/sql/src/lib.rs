//! PostgreSQL text → AST → typed tree, and DDL → catalog.
//!
//! Lives here: everything that reads or types PostgreSQL's dialect. `parse` makes statements ([`ast`]), `analyse`
//! resolves them against a catalog ([`typed`]), `ddl` changes a catalog, `system` shows one as rows.
//! Not here: any engine's SQL, values' arithmetic and text forms (`backend-*`), HTTP.
//! `pg_query` is named in `parse` and `convert` only.

pub mod analyse;
pub mod ast;
mod convert;
pub mod ddl;
pub mod define;
pub mod diff;
pub mod dump;
pub mod parse;
pub mod platform;
pub mod plpgsql;
pub mod session;
pub mod system;
pub mod trial;
pub mod typed;
pub mod walk;
