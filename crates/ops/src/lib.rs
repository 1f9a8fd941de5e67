//! What operators run: moving a database from one engine to the other, bringing files into it.
//!
//! Lives here: [`moving`], which decides what is carried in which order, lets a move go on after an interruption, and
//! proves both sides equal; [`digest`], the proof's sums; [`import`], files into tables.
//! Not here: how an engine reads and writes rows (`backend-*`), applying the migrations (`schema`), the command line.

pub mod digest;
pub mod error;
pub mod import;
pub mod moving;

pub use digest::Digest;
pub use error::Error;
pub use moving::{Event, Move, Report, while_held};
