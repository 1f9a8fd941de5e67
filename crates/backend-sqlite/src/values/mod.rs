//! PostgreSQL's values and functions for the embedded engine.
//!
//! Lives here: reading, printing, comparing and computing values of each type in their stored forms, and their
//! registration as SQLite functions and collations. Not here: which function an expression becomes (the emitter),
//! tables, statements, I/O of any kind. Nothing here knows a clock: `now` is always an argument.
//!
//! | module | what |
//! |---|---|
//! | [`errors`] | errors with a SQLSTATE, and their way through SQLite |
//! | [`cast`] | text → stored form, stored form → text and JSON; the hottest path is [`cast::write_json`] |
//! | [`integer`] [`float`] [`numeric`] [`boolean`] [`uuid`] [`bytea`] [`text`] [`array`] | one type each |
//! | [`exponential`] [`number_pattern`] | `exp` `ln` `log` and powers of numerics; `to_char` of numbers |
//! | [`like`] [`regexp`] | `LIKE`, `SIMILAR TO`; regular expressions |
//! | [`datetime`] | dates, times, intervals, zones, patterns |
//! | [`json`] [`jsonb`] | JSON text and what `jsonb` adds |
//! | [`text_search`] | `tsvector`, `tsquery`: parsing, matching, ranking |
//! | [`vector`] | pgvector's type |
//! | [`order`] | collations |
//! | [`register`] | the table of registered functions |
//!
//! `NAMES.md` in this folder lists every registered name with arguments, result and meaning; a test keeps it in step
//! with [`register::functions`].
//!
//! Every function is strict, NULL in NULL out, unless its entry says lenient. Errors reach the caller encoded;
//! [`errors::decode`] reads them.

pub mod array;
pub mod boolean;
pub mod bytea;
pub mod cast;
pub mod datetime;
pub mod errors;
pub mod exponential;
pub mod float;
pub mod integer;
pub mod json;
pub mod jsonb;
pub mod like;
pub mod number_pattern;
pub mod numeric;
pub mod order;
pub mod regexp;
pub mod register;
pub mod text;
pub mod text_search;
pub mod uuid;
pub mod vector;
