//! What PostgreSQL 15 answered, and whether the written list is in step.

use std::fmt::Write as _;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::super::{bytea, errors, float};
use super::{aggregates, functions, register};

/// Lines `["group", "SQL expression", "answer"]`. An answer is `=text`, `NULL`, or `ERR code|message|detail|hint`.
const CASES: &str = include_str!("cases.jsonl");
const LIST: &str = include_str!("../FUNCTIONS.md");

fn open() -> Connection {
    let conn = Connection::open_in_memory().unwrap();
    register(&conn).unwrap();
    conn
}

fn answer(conn: &Connection, expression: &str) -> String {
    match conn.query_row(&format!("SELECT {expression}"), [], |row| row.get(0)) {
        Ok(Value::Null) => "NULL".to_owned(),
        Ok(Value::Integer(value)) => format!("={value}"),
        Ok(Value::Real(value)) => format!("={}", float::text_f64(value)),
        Ok(Value::Text(value)) => format!("={value}"),
        Ok(Value::Blob(value)) => format!("={}", bytea::output(&value)),
        Err(error) => match errors::decode(&error.to_string()) {
            Some(e) => format!(
                "ERR {}|{}|{}|{}",
                e.code(),
                e.message,
                e.detail.as_deref().unwrap_or_default(),
                e.hint.as_deref().unwrap_or_default()
            ),
            None => format!("not ours: {error}"),
        },
    }
}

#[test]
fn functions_answer_as_postgresql_15_does() {
    let conn = open();
    let mut count = 0;
    let mut wrong = String::new();
    for line in CASES.lines() {
        let (group, expression, expected): (String, String, String) = serde_json::from_str(line).unwrap();
        let got = answer(&conn, &expression);
        count += 1;
        if got != expected {
            writeln!(
                wrong,
                "{group}: {expression}\n  PostgreSQL {expected}\n  we         {got}"
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count > 1000, "only {count} cases");
}

#[test]
fn every_function_is_on_the_list() {
    let mut list = String::from(
        "# Registered functions\n\nEvery entry of `register::functions`, then the aggregates. `NAMES.md` explains how names are made. \
         Lenient functions see NULL; the others give NULL for any NULL.\n\n| name | arguments | result | |\n|---|---|---|---|\n",
    );
    for function in functions() {
        let mark = if function.is_strict { "" } else { "lenient" };
        let arguments = function.arguments.replace('|', "\\|");
        writeln!(
            list,
            "| `{}` | {arguments} | {} | {mark} |",
            function.name, function.result
        )
        .unwrap();
    }
    for (name, arguments, result) in aggregates::NAMES {
        writeln!(list, "| `{name}` | {arguments} | {result} | aggregate |").unwrap();
    }
    if list != LIST {
        let fresh = std::env::temp_dir().join("FUNCTIONS.md");
        std::fs::write(&fresh, &list).unwrap();
        panic!(
            "FUNCTIONS.md is stale; the list as it should be is in {}",
            fresh.display()
        );
    }
}

#[test]
fn no_name_is_registered_twice() {
    let mut names: Vec<(String, Vec<i32>)> = functions().into_iter().map(|f| (f.name.clone(), f.arities())).collect();
    names.sort();
    for pair in names.windows(2) {
        assert_ne!(pair[0].0, pair[1].0);
    }
}

#[test]
fn null_in_gives_null_out() {
    let conn = open();
    for function in functions().into_iter().filter(|function| function.is_strict) {
        for arity in function.arities() {
            let nulls = vec!["NULL"; usize::try_from(arity).unwrap_or(2)].join(",");
            if !nulls.is_empty() {
                assert_eq!(
                    answer(&conn, &format!("{}({nulls})", function.name)),
                    "NULL",
                    "{}",
                    function.name
                );
            }
        }
    }
}

#[test]
fn aggregates_work_as_window_functions() {
    let conn = open();
    let windowed = |call: &str| -> Vec<String> {
        let sql = format!(
            "SELECT CAST({call} OVER (ORDER BY n ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS TEXT) \
             FROM (SELECT 1 AS n, '1.50' AS v UNION ALL SELECT 2, '2' UNION ALL SELECT 3, '0.25') ORDER BY n"
        );
        let mut statement = conn.prepare(&sql).unwrap();
        statement
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap()
    };
    assert_eq!(windowed("pg_agg_sum_numeric(v)"), ["1.50", "3.50", "2.25"]);
    assert_eq!(windowed("pg_agg_sum_int4(n)"), ["1", "3", "5"]);
    assert_eq!(windowed("pg_agg_json_agg(v)"), ["[1.50]", "[1.50, 2]", "[2, 0.25]"]);
    assert_eq!(windowed("pg_agg_string_agg(v, '-')"), ["1.50", "1.50-2", "2-0.25"]);
}

#[test]
fn collations_order_by_value() {
    let conn = open();
    super::super::order::register_enum(&conn, "enum_mood", &["sad".into(), "ok".into(), "happy".into()]).unwrap();
    let ordered = |values: &str, collation: &str| -> String {
        let sql = format!(
            "SELECT group_concat(column1, ' ') FROM (SELECT column1 FROM (VALUES {values}) ORDER BY column1 COLLATE {collation})"
        );
        conn.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(
        ordered(
            "('NaN'),('10'),('9'),('-1'),('-1.5'),('0.00'),('Infinity'),('-Infinity'),('9.01')",
            "pg_numeric"
        ),
        "-Infinity -1.5 -1 0.00 9 9.01 10 Infinity NaN"
    );
    assert_eq!(ordered("('happy'),('sad'),('ok')", "enum_mood"), "sad ok happy");
    let least: String = conn
        .query_row(
            "SELECT min(column1 COLLATE pg_numeric) FROM (VALUES ('10'),('9.5'))",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(least, "9.5");
}
