//! Triggers under statements of every kind, one after the other: what PostgreSQL 15 answered, and what this engine does.
//!
//! `trigger_statements.txt` was recorded from PostgreSQL 15 over the tables of the program's own trigger tests: each
//! statement of `trigger_questions.txt` in a transaction of its own, with its rows (`->`) or its error.

use super::{Database, lines};

const SCHEMA: &str = include_str!("../../../../../mainstay/tests/http/triggers.sql");
const SCENARIO: &str = include_str!("trigger_statements.txt");

#[test]
fn triggers_do_as_postgresqls_do() {
    // As the writer's thread has it.
    let thread = std::thread::Builder::new().stack_size(crate::routine::running::STACK_BYTES);
    thread.spawn(run).unwrap().join().unwrap();
}

fn run() {
    let database = Database::with(SCHEMA);
    let mut differing = Vec::new();
    let mut steps = SCENARIO.lines().filter(|line| !line.is_empty()).peekable();
    while let Some(sql) = steps.next() {
        let mut wanted = Vec::new();
        while let Some(line) = steps.next_if(|line| line.starts_with("-> ")) {
            wanted.push(line.to_owned());
        }
        database.conn.execute_batch("SAVEPOINT step").unwrap();
        let found = match database.run(None, sql) {
            Ok(result) => {
                database.conn.execute_batch("RELEASE step").unwrap();
                lines(&result).iter().map(|line| format!("-> {line}")).collect()
            }
            Err(error) => {
                database.conn.execute_batch("ROLLBACK TO step; RELEASE step").unwrap();
                let mut text = format!("-> ERROR {} {}", error.sqlstate, error.message);
                for (name, part) in [("DETAIL", &error.detail), ("HINT", &error.hint)] {
                    if let Some(part) = part {
                        text.push_str(&format!(" {name} {part}"));
                    }
                }
                vec![text]
            }
        };
        // Which foreign key was broken is found by whoever runs the statement (`foreign_keys`).
        let unnamed = found == ["-> ERROR 23503 a foreign key is violated"] && wanted[0].starts_with("-> ERROR 23503");
        if wanted != found && !unnamed {
            differing.push(format!("{sql}\n  PostgreSQL: {wanted:?}\n  here:       {found:?}"));
        }
    }
    assert!(
        differing.is_empty(),
        "{} differ:\n{}",
        differing.len(),
        differing.join("\n")
    );
}

#[test]
fn triggers_that_fire_each_other_without_end_are_stopped() {
    let work = || {
        let database = Database::with(
            "create table t (id int primary key, n int);
             create function again() returns trigger language plpgsql as $$
             begin update t set n = n + 1 where id = new.id; return null; end $$;
             create trigger again after update on t for each row execute function again();
             insert into t values (1, 0);",
        );
        let error = database.run(None, "update t set n = 1").unwrap_err();
        assert_eq!(
            (error.sqlstate.as_str(), error.message.as_str()),
            ("54001", "stack depth limit exceeded")
        );
    };
    let thread = std::thread::Builder::new().stack_size(crate::routine::running::STACK_BYTES);
    thread.spawn(work).unwrap().join().unwrap();
}
