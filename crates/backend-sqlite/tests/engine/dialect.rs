//! PostgreSQL's dialect, topic by topic: what PostgreSQL 15 answered, and what this engine answers.
//!
//! `dialect/*.txt` holds statements, each on a line, with the rows (`->`) or the error that PostgreSQL 15 gave. The
//! statements of a file run one after another in a database of its own, each in its own transaction. A statement under
//! `-- refused` is one that PostgreSQL answers and this engine refuses by name.
//!
//! To add cases, add lines and record the answers anew, in new databases of the server that `MAINSTAY_TEST_POSTGRES`
//! names: `cargo test -p mainstay-backend-sqlite --test engine record_dialect -- --ignored`; `MAINSTAY_DIALECT_TOPIC`
//! names one topic to record or to check alone.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use mainstay_backend_sqlite::SqliteBackend;
use mainstay_core::backend::{Backend, QueryMode};
use mainstay_core::error::BackendError;

use crate::plans::backend;

const TOPICS: &[&str] = &[
    "arrays",
    "ddl",
    "domains",
    "extensions",
    "functions",
    "instead",
    "intervals",
    "json",
    "library",
    "numbers",
    "plpgsql",
    "regexps",
    "row_values",
    "rows",
    "settings",
    "times",
    "upserts",
    "views",
    "windows",
    "with",
];

/// Every topic, or the one that the environment names.
fn topics() -> Vec<String> {
    match std::env::var("MAINSTAY_DIALECT_TOPIC") {
        Ok(only) => vec![only],
        Err(_) => TOPICS.iter().map(|topic| (*topic).to_owned()).collect(),
    }
}

/// A statement with what is recorded of it, and the lines before it that are kept.
struct Case {
    before: Vec<String>,
    refused: bool,
    sql: String,
    answer: Vec<String>,
}

fn path(topic: &str) -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.push("tests/engine/dialect");
    path.push(topic);
    path.set_extension("txt");
    path
}

fn cases(topic: &str) -> Vec<Case> {
    let text = std::fs::read_to_string(path(topic)).unwrap();
    let mut cases: Vec<Case> = Vec::new();
    let mut before = Vec::new();
    let mut refused = false;
    for line in text.lines() {
        if line.starts_with("-> ") {
            cases.last_mut().unwrap().answer.push(line.to_owned());
        } else if line == "-- refused" {
            refused = true;
        } else if line.is_empty() || line.starts_with("## ") {
            before.push(line.to_owned());
        } else {
            cases.push(Case {
                before: std::mem::take(&mut before),
                refused: std::mem::take(&mut refused),
                sql: line.to_owned(),
                answer: Vec::new(),
            });
        }
    }
    cases
}

async fn answer(backend: &SqliteBackend, sql: &str) -> Vec<String> {
    match backend.query(None, sql, QueryMode::ReadWrite).await {
        Ok(result) => {
            let cell = |value: &Option<String>| {
                value
                    .as_ref()
                    .map_or("null".to_owned(), |text| text.replace('\n', "\\n"))
            };
            let rows = result.rows.iter();
            rows.map(|row| format!("-> {}", row.iter().map(cell).collect::<Vec<_>>().join("|")))
                .collect()
        }
        Err(BackendError::Refused(error)) => {
            let mut lines = vec![format!("-> {} {}", error.sqlstate, error.message)];
            lines.extend(
                error
                    .detail
                    .iter()
                    .map(|detail| format!("-> detail {}", detail.replace('\n', "\\n"))),
            );
            lines.extend(error.hint.iter().map(|hint| format!("-> hint {hint}")));
            lines
        }
        Err(other) => vec![format!("-> {other:?}")],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_topic_answers_as_postgresql_does() {
    let mut wrong = String::new();
    let (mut count, mut differing) = (0, 0);
    for topic in &topics() {
        let folder = tempfile::tempdir().unwrap();
        let backend = backend(&folder, "").await;
        for case in cases(topic) {
            count += 1;
            let seen = answer(&backend, &case.sql).await;
            let as_wanted = if case.refused {
                seen[0].starts_with("-> 0A000") && seen[0].contains("available on the embedded engine")
            } else {
                seen == case.answer
            };
            if !as_wanted {
                differing += 1;
                writeln!(
                    wrong,
                    "{topic}: {}\n  PostgreSQL: {:?}\n  here:       {seen:?}",
                    case.sql, case.answer
                )
                .unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{differing} of {count} differ:\n{wrong}");
}

/// What PostgreSQL answers, in the form of [`answer`].
fn recorded(url: &str, sql: &str) -> Vec<String> {
    let output = Command::new("psql")
        .args(["-X", "-q", "-A", "-t", "-F", "|", "-R", "\u{1e}", "-P", "null=null"])
        .args(["-v", "VERBOSITY=verbose", "-d", url, "-c", sql])
        .env("PGOPTIONS", "-c timezone=UTC -c client_min_messages=error")
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    if let Some((_, error)) = errors.split_once("ERROR:  ") {
        let mut lines = Vec::new();
        for line in error.lines().take_while(|line| !line.starts_with("CONTEXT:  ")) {
            if lines.is_empty() {
                let (code, message) = line.split_once(": ").unwrap();
                lines.push(format!("-> {code} {message}"));
            } else if let Some(detail) = line.strip_prefix("DETAIL:  ") {
                lines.push(format!("-> detail {detail}"));
            } else if let Some(hint) = line.strip_prefix("HINT:  ") {
                lines.push(format!("-> hint {hint}"));
            } else if lines.len() > 1 && !line.contains(":  ") {
                // A detail of several lines.
                let last = lines.last_mut().unwrap();
                last.push_str("\\n");
                last.push_str(line);
            }
        }
        return lines;
    }
    assert!(errors.is_empty(), "{sql}: {errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\u{1e}').unwrap_or(text);
    if text.is_empty() && !sql.trim_start().to_lowercase().starts_with("select ''") {
        return Vec::new();
    }
    text.split('\u{1e}')
        .map(|row| format!("-> {}", row.replace('\n', "\\n")))
        .collect()
}

#[test]
#[ignore = "needs PostgreSQL 15; writes the recorded answers"]
fn record_dialect() {
    let server = std::env::var("MAINSTAY_TEST_POSTGRES").unwrap();
    let (base, _) = server.rsplit_once('/').unwrap();
    for topic in &topics() {
        let name = format!("dialect_{topic}_{}", std::process::id());
        let create = format!("create database {name} template template0 lc_collate 'C' lc_ctype 'C.UTF-8'");
        assert_eq!(recorded(&server, &create), [""; 0]);
        let url = format!("{base}/{name}");
        let mut out = String::new();
        for case in cases(topic) {
            case.before.iter().for_each(|line| writeln!(out, "{line}").unwrap());
            if case.refused {
                writeln!(out, "-- refused").unwrap();
            }
            writeln!(out, "{}", case.sql).unwrap();
            recorded(&url, &case.sql)
                .iter()
                .for_each(|line| writeln!(out, "{line}").unwrap());
        }
        assert_eq!(recorded(&server, &format!("drop database {name}")), [""; 0]);
        std::fs::write(path(topic), out).unwrap();
    }
}
