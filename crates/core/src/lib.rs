//! The contracts every room shares.
//!
//! Lives here: names, types, secrets, callers, the [`catalog`], the access [`policy`], the [`plan`] of a request,
//! the [`Backend`](backend::Backend) trait, the shape of errors, the [`clock`], and the writer that turns rows into response
//! bytes.
//! Not here: SQL text (`backend-*`, `sql`), headers and statuses (`http`, each room), any I/O but a test's clock.

pub mod backend;
pub mod caller;
pub mod catalog;
pub mod clock;
pub mod definition;
pub mod error;
pub mod keyset;
pub mod name;
pub mod plan;
pub mod policy;
mod relationship;
pub mod render;
pub mod secret;
pub mod transaction;
pub mod transfer;
pub mod trial;
pub mod types;
