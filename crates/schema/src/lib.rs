//! Changes to users' relations: which migrations there are, which have been applied, and applying the rest in order.
//!
//! Lives here: the migrations folder, its comparison with the database's record, seeds.
//! Not here: what a statement means (`sql`), how an engine carries it out (`backend-*`).
//!
//! Source: the Supabase command line's project layout (`supabase/migrations/<14 digits>_name.sql`, `seed.sql`).

pub mod error;
pub mod files;
pub mod migrator;

pub use error::Error;
pub use files::{Only, Project};
pub use migrator::{Migrator, State, Status};
