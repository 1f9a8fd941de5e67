//! Lists of statements that change tables with rows in them, each with what PostgreSQL 15 answered (`alter.sql`,
//! `alter.txt`): `ok`, an error with its code, detail and hint, or a query's rows.

use std::sync::Arc;

use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_sql::analyse::Analyser;
use mainstay_sql::ast::Statement;
use mainstay_sql::parse;
use mainstay_sql::session::Session;

use super::{DefaultGrants, File};
use crate::console;
use crate::emit::compiled::Compiled;
use crate::emit::context::Context;
use crate::schema::run_script;

fn shown(error: &DatabaseError) -> String {
    let mut shown = format!("ERROR {}: {}", error.sqlstate, error.message);
    for (label, part) in [("DETAIL", &error.detail), ("HINT", &error.hint)] {
        if let Some(part) = part {
            shown.push_str(&format!(" | {label}: {}", part.replace('\n', " / ")));
        }
    }
    shown
}

/// The rows of a query as psql's unaligned form has them.
fn rows(file: &File, text: &str) -> Result<String, BackendError> {
    let compiled = Compiled::new(Arc::clone(&file.catalog));
    let session = Session::default();
    let statement = parse::parse(text)?.remove(0);
    let Statement::Query(query) = &statement.ast else {
        panic!("{text}")
    };
    let typed = Analyser::new(compiled.catalog(), &session).query(query)?;
    let context = Context::of_owner(jiff::Timestamp::now());
    let result = console::select(&file.conn, &compiled, &session, &context, &typed)?;
    let rows: Vec<String> = result
        .rows
        .into_iter()
        .map(|row| {
            let cells: Vec<String> = row
                .into_iter()
                .map(|cell| cell.unwrap_or_else(|| "null".into()))
                .collect();
            cells.join("|")
        })
        .collect();
    Ok(format!("rows {}", rows.join(" / ")))
}

fn answer(file: &mut File, line: &str) -> String {
    let done = if line.starts_with("select") && !line.contains(" into ") {
        rows(file, line)
    } else {
        run_script(&mut file.conn, &file.catalog, line).map(|catalog| {
            file.catalog = Arc::new(catalog);
            file.check_consistency();
            "ok".to_owned()
        })
    };
    match done {
        Ok(answer) => answer,
        Err(BackendError::Refused(error)) => shown(&error),
        Err(error) => format!("{error:?}"),
    }
}

#[test]
fn changes_of_tables_with_rows_are_answered_as_by_the_server() {
    let mut answers = include_str!("alter.txt").lines();
    let mut file = File::new(DefaultGrants::Closed);
    let mut case = "";
    let mut differences = Vec::new();
    let mut count = 0;
    for line in include_str!("alter.sql").lines() {
        if let Some(name) = line.strip_prefix("-- case ") {
            file = File::new(DefaultGrants::Closed);
            case = name;
        }
        if line.is_empty() || line.starts_with("--") {
            continue;
        }
        count += 1;
        let expected = answers.next().expect("an answer for each statement");
        let found = answer(&mut file, line);
        if found != expected {
            differences.push(format!("{case}: {line}\n  PostgreSQL {expected}\n  here       {found}"));
        }
    }
    assert!(answers.next().is_none(), "more answers than statements");
    assert!(count > 150, "{count}");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
