//! Functions in PL/pgSQL: what PostgreSQL 15 answered, and what this engine answers.
//!
//! `statements.txt` was recorded from PostgreSQL 15 over `schema.sql`, each statement of `questions.txt` by itself on the
//! same rows: its rows (`->`) and a write's tag (`=>`), or its error with message, detail and hint.

mod rate;

use mainstay_core::error::DatabaseError;

use crate::write::tests::{Database, lines};

const SCHEMA: &str = include_str!("schema.sql");
const SCENARIOS: &str = include_str!("statements.txt");

fn answer(database: &Database, sql: &str) -> Vec<String> {
    match database.run(None, sql) {
        Ok(result) => lines(&result).iter().map(|line| format!("-> {line}")).collect(),
        Err(error) => vec![spelled(&error)],
    }
}

fn spelled(error: &DatabaseError) -> String {
    let mut text = format!("-> ERROR {} {}", error.sqlstate, error.message);
    for (name, part) in [("DETAIL", &error.detail), ("HINT", &error.hint)] {
        if let Some(part) = part {
            text.push_str(&format!(" {name} {}", part.replace('\n', " ")));
        }
    }
    text
}

#[test]
fn every_function_answers_as_postgresql_does() {
    let database = Database::with(SCHEMA);
    let mut differing = Vec::new();
    let mut count = 0;
    let mut lines = SCENARIOS.lines().filter(|line| !line.is_empty()).peekable();
    while let Some(sql) = lines.next() {
        let mut wanted = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with("-> ")) {
            wanted.push(line.to_owned());
        }
        count += 1;
        let found = database.undone(|| answer(&database, sql));
        if wanted != found {
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
fn recursion_without_end_is_stopped() {
    let work = || {
        let database = Database::with(SCHEMA);
        let error = database.run(None, "select endless()").unwrap_err();
        assert_eq!(
            (error.sqlstate.as_str(), error.message.as_str()),
            ("54001", "stack depth limit exceeded")
        );
    };
    let thread = std::thread::Builder::new().stack_size(crate::routine::running::STACK_BYTES);
    thread.spawn(work).unwrap().join().unwrap();
}
