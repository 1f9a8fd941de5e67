//! Statements of every kind: what PostgreSQL 15 answered, and what this engine answers.
//!
//! `statements.txt` was recorded from PostgreSQL 15, each statement by itself on the same rows: its rows (`->`) and tag
//! (`=>`), or its error.

use super::{Database, lines};

const SCHEMA: &str = include_str!("statements.sql");
const SCENARIOS: &str = include_str!("statements.txt");
/// What `cargo xtask fuzz` and `cargo xtask regress` found, recorded in the same form.
const FOUND: &str = include_str!("found.txt");

/// A statement's rows and tag, or its error, as the recorded answers spell them.
pub fn answer(database: &Database, sql: &str) -> Vec<String> {
    match database.run(None, sql) {
        Err(error) => {
            if crate::foreign_keys::is_unnamed(&error) {
                // The writer names it when it runs the request again.
                return vec!["-> 23503".to_owned()];
            }
            let mut found = vec![format!("-> {} {}", error.sqlstate, error.message)];
            found.extend(error.detail.map(|detail| format!("-> detail {detail}")));
            found
        }
        Ok(result) => {
            let mut found: Vec<String> = lines(&result).into_iter().map(|row| format!("-> {row}")).collect();
            if !result.tag.starts_with("SELECT") {
                found.push(format!("=> {}", result.tag));
            }
            found
        }
    }
}

#[test]
fn every_statement_answers_as_postgresql_does() {
    check(SCENARIOS);
}

#[test]
fn what_was_found_stays_fixed() {
    check(FOUND);
}

fn check(scenarios: &str) {
    let database = Database::with(SCHEMA);
    let mut differing = Vec::new();
    let mut count = 0;
    let mut lines = scenarios
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
fn thousands_of_rows_are_inserted_by_one_statement() {
    const ROWS: usize = 5_000;
    let database =
        Database::with("create table many (id int primary key, name text, price numeric(8,2), made timestamptz)");
    let row = |id: usize| format!("({id}, 'row {id}', {id}.5, '2024-03-01T10:00:00Z')");
    let rows: Vec<String> = (1..=ROWS).map(row).collect();
    let began = std::time::Instant::now();
    let result = database
        .run(None, &format!("insert into many values {}", rows.join(", ")))
        .unwrap();
    assert_eq!(result.tag, format!("INSERT 0 {ROWS}"));
    let result = database.run(
        None,
        "insert into many select g, 'g' || g, g / 3.0, now() from generate_series(10001, 15000) g",
    );
    assert_eq!(result.unwrap().tag, format!("INSERT 0 {ROWS}"));
    println!("{:?}", began.elapsed());
    assert_eq!(
        database.rows("select count(*), sum(price) from many where id <= 5000"),
        ["5000|12505000.00"]
    );
}
