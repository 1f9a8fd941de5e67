//! Calls of routines of every kind within statements: what PostgreSQL 15 answered, and what this engine answers.
//!
//! `statements.txt` was recorded from PostgreSQL 15 over `schema.sql`, each statement by itself on the same rows and
//! with sequences at their start: its rows (`->`) and a write's tag (`=>`), or its error.

use crate::write::tests::{Database, answer};

const SCHEMA: &str = include_str!("schema.sql");
const SCENARIOS: &str = include_str!("statements.txt");

#[test]
fn every_call_answers_as_postgresql_does() {
    let database = Database::with(SCHEMA);
    let mut differing = Vec::new();
    let mut count = 0;
    let mut lines = SCENARIOS
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("## "))
        .peekable();
    while let Some(sql) = lines.next() {
        let mut wanted = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with("-> ") || line.starts_with("=> ")) {
            wanted.push(line.to_owned());
        }
        count += 1;
        let found = database.undone(|| answer(&database, sql));
        let unnamed = found == ["-> 23503"] && wanted[0].starts_with(&found[0]);
        if wanted != found && !unnamed {
            differing.push(format!("{sql}\n  PostgreSQL: {wanted:?}\n  here:       {found:?}"));
        }
    }
    assert!(
        differing.is_empty(),
        "{} of {count} differ:\n{}",
        differing.len(),
        differing.join("\n")
    );
}

#[test]
fn a_routine_that_calls_itself_without_end_is_stopped() {
    let work = || {
        let database = Database::with(SCHEMA);
        let error = database.run(None, "select endless(1)").unwrap_err();
        assert_eq!(
            (error.sqlstate.as_str(), error.message.as_str()),
            ("54001", "stack depth limit exceeded")
        );
        assert_eq!(database.rows("select add(1, 2)"), ["3"]);
    };
    // As the engine's own threads have it.
    let thread = std::thread::Builder::new()
        .stack_size(super::running::STACK_BYTES)
        .spawn(work);
    thread.unwrap().join().unwrap();
}
