//! The engine's own plans: what SQLite says it will do for each statement of a program.
//!
//! The shape is PostgreSQL's (`[{"Plan": {…}}]`), what stands in it is not: there are no costs, and nodes say that
//! they are SQLite's.

use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::plan::{Explain, Outcome};
use rusqlite::Connection;
use serde_json::json;

/// What every plan of this engine calls itself.
const ENGINE: &str = "Embedded engine (SQLite)";

/// The statements whose plans are told.
#[derive(Debug)]
pub struct Explained {
    pub catalog_version: u64,
    statements: Vec<String>,
    json: bool,
}

impl Explained {
    /// The statements of `sql`, one a line. Errors: 0A000 for options, which are about PostgreSQL's executor.
    pub fn new(sql: &str, catalog_version: u64, explain: Explain) -> Result<Self, DatabaseError> {
        let options = [
            (explain.analyze, "analyze"),
            (explain.verbose, "verbose"),
            (explain.settings, "settings"),
            (explain.buffers, "buffers"),
            (explain.wal, "wal"),
        ];
        if let Some((_, option)) = options.into_iter().find(|(is_wanted, _)| *is_wanted) {
            let feature = format!("the option {option} of plans");
            return Err(DatabaseError::unavailable(&feature, "options", 1, Some("no options")));
        }
        Ok(Explained {
            catalog_version,
            statements: sql.lines().map(str::to_owned).collect(),
            json: explain.json,
        })
    }

    /// Asks SQLite; nothing is run.
    pub fn tell(&self, connection: &Connection) -> Result<Outcome, BackendError> {
        let plans: Vec<(&str, Vec<String>)> = self
            .statements
            .iter()
            .map(|sql| (sql.as_str(), steps(connection, sql).unwrap_or_default()))
            .collect();
        let body = if self.json {
            let statements: Vec<_> = plans
                .iter()
                .map(|(sql, steps)| json!({ "Node Type": "Statement", "Statement": sql, "Steps": steps }))
                .collect();
            json!([{ "Plan": { "Node Type": ENGINE, "Plans": statements } }]).to_string()
        } else {
            let mut text = ENGINE.to_owned();
            for (sql, steps) in plans {
                text.push_str("\n  Statement: ");
                text.push_str(sql);
                for step in steps {
                    text.push_str("\n    ->  ");
                    text.push_str(&step);
                }
            }
            text
        };
        Ok(Outcome {
            body: body.into_bytes(),
            ..Outcome::default()
        })
    }
}

/// `EXPLAIN QUERY PLAN`'s lines; none for what is no statement, such as a remark about a routine that is run.
fn steps(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
    // The plan does not depend on the values, so none are bound.
    statement.raw_query().mapped(|row| row.get("detail")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_names_its_engine_and_has_no_options() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE t (a INTEGER PRIMARY KEY)")
            .unwrap();
        let told = |json| {
            let explain = Explain {
                json,
                ..Explain::default()
            };
            let explained = Explained::new("SELECT a FROM t WHERE a = ?1\n-- runs f", 1, explain).unwrap();
            String::from_utf8(explained.tell(&connection).unwrap().body).unwrap()
        };
        assert!(
            told(true).contains("SEARCH t USING INTEGER PRIMARY KEY"),
            "{}",
            told(true)
        );
        assert!(
            told(false).starts_with("Embedded engine (SQLite)\n  Statement: SELECT a"),
            "{}",
            told(false)
        );
        let explain = Explain {
            wal: true,
            ..Explain::default()
        };
        let refused = Explained::new("", 1, explain).unwrap_err();
        assert!(
            refused.message.contains("the option wal of plans"),
            "{}",
            refused.message
        );
    }
}
