//! Lists of statements that change what is there, each with what PostgreSQL 15 answered (`alter.sql`, `alter.txt`):
//! `ok`, or errors and notices with their codes, details and hints.

use super::{Change, Schema};

/// What was answered, in the recorded form. Details of notices are not kept, nor are notices of our own.
pub(super) fn answer(schema: &mut Schema, statement: &str) -> String {
    schema.changes.clear();
    match schema.run(statement) {
        Ok(()) => {
            let notices: Vec<String> = schema
                .changes
                .iter()
                .filter_map(|change| match change {
                    Change::Notice(notice) if !notice.message.contains("kept for PostgreSQL") => {
                        Some(format!("NOTICE {}: {}", notice.sqlstate, notice.message))
                    }
                    _ => None,
                })
                .collect();
            match notices.is_empty() {
                true => "ok".to_owned(),
                false => notices.join(" || "),
            }
        }
        Err(error) => {
            let mut shown = format!("ERROR {}: {}", error.sqlstate, error.message);
            for (label, part) in [("DETAIL", &error.detail), ("HINT", &error.hint)] {
                if let Some(part) = part {
                    shown.push_str(&format!(" | {label}: {}", part.replace('\n', " / ")));
                }
            }
            shown
        }
    }
}

#[test]
fn changes_are_answered_as_by_the_server() {
    let mut answers = include_str!("alter.txt").lines();
    let mut schema = Schema::new();
    let mut case = "";
    let mut differences = Vec::new();
    let mut count = 0;
    for line in include_str!("alter.sql").lines() {
        if let Some(name) = line.strip_prefix("-- case ") {
            schema = Schema::new();
            case = name;
        }
        if line.is_empty() || line.starts_with("--") {
            continue;
        }
        count += 1;
        let mut expected = answers.next().expect("an answer for each statement").to_owned();
        if expected.starts_with("NOTICE") {
            let plain: Vec<&str> = expected
                .split(" || ")
                .map(|notice| notice.split(" | DETAIL: ").next().unwrap_or(notice))
                .collect();
            expected = plain.join(" || ");
        }
        let found = answer(&mut schema, line);
        if found != expected {
            differences.push(format!("{case}: {line}\n  PostgreSQL {expected}\n  here       {found}"));
        }
    }
    assert!(answers.next().is_none(), "more answers than statements");
    assert!(count > 200, "{count}");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
