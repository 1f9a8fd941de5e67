//! `Plan::Read` → a program of prepared statements → rows as bytes.
//!
//! | module | what |
//! |---|---|
//! | [`compile`] [`filter`] [`group`] | plan → program |
//! | [`program`] | the program's types, where it may run |
//! | [`prepared`] | its statements on one connection, what their plans say |
//! | [`run`] | running it, writing JSON and CSV |
//! | [`strip`] | the media type without nulls |
//! | [`zone`] | `Prefer: timezone` |
//!
//! Not here: threads and snapshots (`reader`), SQL of expressions and policies (`emit`).

pub mod compile;
pub mod filter;
mod group;
mod keyset;
pub mod prepared;
pub mod program;
pub mod run;
mod strip;
pub mod zone;
