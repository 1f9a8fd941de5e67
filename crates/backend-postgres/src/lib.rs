//! The [`Backend`](mainstay_core::backend::Backend) for PostgreSQL 15 and newer.
//!
//! Lives here: everything that speaks to PostgreSQL. [`PostgresBackend::open`] connects, prepares a bare database
//! ([`bootstrap`]), reads the catalog ([`introspect`]) and keeps it up to date ([`listen`]); [`render`] spells plans in
//! SQL, [`run`] sends each as one burst in one transaction as the caller, [`decode`] turns the rows into bytes.
//! [`definitions`] and [`scratch`] are for dumps and differences.
//! Not here: planning, policies (the database enforces its own), HTTP.

mod backend;
pub mod bootstrap;
mod console;
mod decode;
mod definitions;
mod errors;
mod introspect;
mod listen;
mod migrate;
mod options;
mod pool;
mod render;
mod run;
mod scratch;
mod settings;
mod transfer;
mod wire;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use backend::PostgresBackend;
pub use bootstrap::Grants;
pub use errors::{OpenError, codes};
pub use options::Options;
pub use scratch::ScratchDatabase;
