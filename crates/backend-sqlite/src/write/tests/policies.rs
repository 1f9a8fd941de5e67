//! The policy scenarios: what PostgreSQL 15 answered, and what this engine answers.
//!
//! `policies.txt` was recorded from PostgreSQL 15: for each scenario who asks, the statement, its rows (`->`) and tag
//! (`=>`) or its error, and the rows that it took away (`-`) and added (`+`) in all tables as the owner sees them.

use std::collections::BTreeSet;
use std::sync::Arc;

use mainstay_core::caller::Caller;

use super::{Database, lines};

const SCHEMA: &str = include_str!("policies.sql");
const SCENARIOS: &str = include_str!("policies.txt");
const TABLES: [&str; 8] = [
    "members", "todos", "notes", "quota", "inbox", "partly", "ranked", "boards",
];

fn caller(who: &str) -> Caller {
    let id = match who {
        "as anon" => return Caller::of_role("anon"),
        "as a" => "aaaaaaaa-0000-4000-8000-000000000001",
        "as b" => "bbbbbbbb-0000-4000-8000-000000000002",
        "as c" => "cccccccc-0000-4000-8000-000000000003",
        other => panic!("nobody is {other}"),
    };
    let mut caller = Caller::of_role("authenticated");
    caller.claims = Arc::from(format!("{{\"role\":\"authenticated\",\"sub\":\"{id}\"}}"));
    caller
}

fn state(database: &Database) -> BTreeSet<String> {
    let table = |name: &str| {
        let rows = database.rows(&format!("select * from {name}"));
        rows.into_iter().map(|row| format!("{name}|{row}")).collect::<Vec<_>>()
    };
    TABLES.into_iter().flat_map(table).collect()
}

fn answer(database: &Database, before: &BTreeSet<String>, who: &str, sql: &str) -> Vec<String> {
    let mut found = Vec::new();
    match database.run(Some(&caller(who)), sql) {
        Err(error) => {
            found.push(format!("-> {} {}", error.sqlstate, error.message));
            found.extend(error.detail.map(|detail| format!("-> detail {detail}")));
            found.extend(error.hint.map(|hint| format!("-> hint {hint}")));
        }
        Ok(result) => {
            let mut rows = lines(&result);
            if !result.tag.starts_with("SELECT") {
                rows.sort();
            }
            found.extend(rows.into_iter().map(|row| format!("-> {row}")));
            if !result.tag.starts_with("SELECT") {
                found.push(format!("=> {}", result.tag));
            }
            let after = state(database);
            found.extend(before.difference(&after).map(|row| format!("- {row}")));
            found.extend(after.difference(before).map(|row| format!("+ {row}")));
        }
    }
    found
}

#[test]
fn every_policy_scenario_answers_as_postgresql_does() {
    let database = Database::with(SCHEMA);
    let before = state(&database);
    let mut differing = Vec::new();
    let mut count = 0;
    for block in SCENARIOS.trim_end().split("\n\n") {
        let mut parts = block.lines();
        let (Some(name), Some(who), Some(sql)) = (parts.next(), parts.next(), parts.next()) else {
            panic!("a scenario without its statement: {block}");
        };
        let mut wanted: Vec<String> = parts.map(str::to_owned).collect();
        let mut found = database.undone(|| answer(&database, &before, who, sql));
        // The order of changes is the tables' order there and the alphabet's here.
        let changes = |line: &String| line.starts_with("- ") || line.starts_with("+ ");
        for list in [&mut wanted, &mut found] {
            let at = list.iter().position(changes).unwrap_or(list.len());
            list[at..].sort();
        }
        count += 1;
        if wanted != found {
            differing.push(format!(
                "{name}\n{who}: {sql}\n  PostgreSQL: {wanted:#?}\n  here: {found:#?}"
            ));
        }
    }
    assert!(
        differing.is_empty(),
        "{} of {count} differ:\n{}",
        differing.len(),
        differing.join("\n")
    );
}
