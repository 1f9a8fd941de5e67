//! `statements.txt` analysed here and by PostgreSQL 15, whose answers are in `answers.txt`.
//!
//! To add cases, add lines to `statements.txt` and record, with a PostgreSQL 15 that `psql` reaches in an empty database:
//! `PGHOST=… PGDATABASE=… cargo test -p mainstay-sql --lib record_the_answers -- --ignored`.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use mainstay_core::catalog::Catalog;
use mainstay_core::error::DatabaseError;

use super::{FIXTURE, analyse, catalog};
use crate::session::Session;
use crate::typed::{OutputColumn, Statement};

const STATEMENTS: &str = include_str!("statements.txt");
const ANSWERS: &str = include_str!("answers.txt");

/// Where we differ, with the reason.
const KNOWN: &[&str] = &[
    // At execution.
    "select greatest(j, j) from t",
    "select nextval('t') from t",
    "select pg_get_serial_sequence('o', 'nosuch') from t",
    "select pg_get_serial_sequence('nosuch', 'id') from t",
    "insert into two values (1, 2, 'x') on conflict (a) do nothing",
    // Earlier than here: the engine reads the texts of these types.
    "select '2024-13-45'::date from t",
    "select 'nonsense'::date from t",
    "select 'nonsense'::interval from t",
    "select '{bad'::json from t",
    // No position in the parser's tree, no name for the arms of UNION.
    "select * from (select id from t)",
    "select 1 as x union select 2 as y order by y",
    // Overloads for types outside the subset make these ambiguous there.
    "select age('2024-01-01') from t",
    "select u from unnest('{a,b}') u",
];

/// What PostgreSQL answers and we refuse, for now.
const REFUSED: &[&str] = &[
    "select txt collate \"nosuch\" from t",
    "select grouping(id) from t",
    "update t x set x.txt = 'a'",
    "select jb @? '$.a' from t",
    "select jb @@ '$.a' from t",
    "select pg_typeof(id) from t",
    "select version() from t",
    "select to_regclass('t') from t",
    "select inet '1.1.1.1' from t",
    "select '{1,2}'::int[][] from t",
    "select ts at time zone interval '1 hour' from t",
    "select current_setting(txt) from t",
    "select nextval(id) from t",
    "select count(*) from t group by ()",
    "select * from current_date",
];

fn statements() -> Vec<String> {
    let lines = STATEMENTS
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let first = line.split_whitespace().next().unwrap_or_default();
            let is_statement = matches!(first, "select" | "values" | "with" | "insert" | "update" | "delete");
            if is_statement {
                line.to_owned()
            } else {
                format!("select {line} from t")
            }
        })
        .collect()
}

/// Columns with types, or the error, on one line.
fn answer(catalog: &Catalog, session: &Session, text: &str) -> String {
    let columns = |columns: &[OutputColumn]| -> String {
        let shown: Vec<String> = columns
            .iter()
            .map(|column| format!("{} {}", column.name, column.ty.display(column.modifier)))
            .collect();
        shown.join(", ")
    };
    match analyse(catalog, session, text) {
        Ok(Statement::Query(query)) => columns(&query.columns),
        Ok(Statement::Insert(insert)) => insert.returning.map(|list| columns(&list.columns)).unwrap_or_default(),
        Ok(Statement::Update(update)) => update.returning.map(|list| columns(&list.columns)).unwrap_or_default(),
        Ok(Statement::Delete(delete)) => delete.returning.map(|list| columns(&list.columns)).unwrap_or_default(),
        Err(error) => failure(&error),
    }
}

fn failure(error: &DatabaseError) -> String {
    let part =
        |name: &str, text: &Option<String>| text.as_ref().map(|text| format!(" {name}: {text}")).unwrap_or_default();
    let position = error.position.map(|at| format!(" at {at}")).unwrap_or_default();
    let (detail, hint) = (part("DETAIL", &error.detail), part("HINT", &error.hint));
    format!("ERROR {}{position}: {}{detail}{hint}", error.sqlstate, error.message)
}

#[test]
fn types_and_errors_are_those_of_postgresql() {
    let (catalog, session) = catalog();
    let statements = statements();
    let answers: Vec<&str> = ANSWERS.lines().collect();
    assert_eq!(statements.len(), answers.len(), "record the answers again");
    let mut wrong = Vec::new();
    let mut refused = Vec::new();
    for (statement, expected) in statements.iter().zip(answers) {
        let seen = answer(&catalog, &session, statement);
        if seen.contains("not available on the embedded engine") {
            refused.push(statement.as_str());
        } else if seen != expected && !KNOWN.contains(&statement.as_str()) {
            wrong.push(format!("{statement}\n  ours:       {seen}\n  postgresql: {expected}\n"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        statements.len(),
        wrong.concat()
    );
    assert_eq!(refused, REFUSED);
}

/// What `psql` prints for one statement, in the form of [`answer`].
fn recorded(text: &str) -> String {
    let script = format!("\\set VERBOSITY verbose\n{text} \\gdesc\n");
    let mut psql = Command::new("psql")
        .args(["-X", "-q", "-A", "-t", "-F", "\t"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    psql.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = psql.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    if errors.is_empty() {
        let rows = String::from_utf8(output.stdout).unwrap();
        let columns: Vec<String> = rows
            .lines()
            .filter(|line| line.contains('\t'))
            .map(|line| line.replacen('\t', " ", 1))
            .collect();
        return columns.join(", ");
    }
    let mut error = DatabaseError::default();
    let mut excerpt = None;
    for line in errors.lines() {
        if let Some(rest) = line.strip_prefix("ERROR:  ") {
            let (sqlstate, message) = rest.split_once(": ").unwrap();
            error = DatabaseError::new(sqlstate, message);
        } else if let Some(rest) = line.strip_prefix("DETAIL:  ") {
            error.detail = Some(rest.to_owned());
        } else if let Some(rest) = line.strip_prefix("HINT:  ") {
            error.hint = Some(rest.to_owned());
        } else if let Some(rest) = line.strip_prefix("LINE 1: ") {
            excerpt = Some(rest.to_owned());
        } else if let (true, Some(shown)) = (line.trim() == "^", &excerpt) {
            // Long lines are shown in part, between dots.
            let caret = line.len() - 1 - "LINE 1: ".len();
            let (lead, body) = match shown.strip_prefix("...") {
                Some(body) => (3, body),
                None => (0, shown.as_str()),
            };
            let start = format!("{text} ").find(body.trim_end_matches("...")).unwrap();
            error.position = Some((start + caret - lead) as u32 + 1);
        }
    }
    failure(&error)
}

#[test]
#[ignore = "needs PostgreSQL 15; writes answers.txt"]
fn record_the_answers() {
    let run = Command::new("psql")
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", FIXTURE])
        .status()
        .unwrap();
    assert!(run.success());
    let answers: Vec<String> = statements()
        .iter()
        .map(|statement| recorded(statement) + "\n")
        .collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/analyse/tests/answers.txt");
    std::fs::write(path, answers.concat()).unwrap();
}
