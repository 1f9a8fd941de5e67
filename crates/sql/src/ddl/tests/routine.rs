//! Functions made, replaced, changed and dropped, each with what PostgreSQL 15 answered (`routine.sql`, `routine.txt`).

use super::Schema;
use super::alter::answer;

#[test]
fn functions_are_checked_as_by_the_server() {
    let mut schema = Schema::new();
    let mut answers = include_str!("routine.txt").lines();
    let mut differences = Vec::new();
    for line in include_str!("routine.sql")
        .lines()
        .filter(|line| !line.starts_with("--"))
    {
        let expected = answers.next().expect("an answer for each statement");
        let found = answer(&mut schema, line);
        if found != expected {
            differences.push(format!("{line}\n  PostgreSQL {expected}\n  here       {found}"));
        }
    }
    assert!(answers.next().is_none(), "more answers than statements");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
