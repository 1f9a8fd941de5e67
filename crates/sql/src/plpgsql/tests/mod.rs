//! Bodies read here and by PostgreSQL 15, whose answers to CREATE FUNCTION are in `answers.txt`.

use std::collections::HashSet;

use mainstay_core::error::DatabaseError;

use crate::ddl::{self, DefaultGrants};
use crate::parse;
use crate::session::Session;

const BODIES: &str = include_str!("bodies.txt");
const ANSWERS: &str = include_str!("answers.txt");

/// Where we differ, with the reason.
const KNOWN: &[&str] = &[
    // An empty select list is nothing to perform here.
    "begin perform; return 1; end",
];

/// Runs a script against a catalog with the table `t`.
fn run(script: &str) -> Result<(), DatabaseError> {
    let mut catalog = ddl::initial_catalog(DefaultGrants::Closed);
    let mut session = Session::default();
    let fixture = "create table t (id int, name text);";
    for text in [fixture, script] {
        for statement in parse::parse(text)? {
            ddl::apply(&mut catalog, &mut session, &statement)?;
        }
    }
    Ok(())
}

fn create(body: &str) -> Result<(), DatabaseError> {
    let declared = body
        .strip_prefix("returns ")
        .and_then(|rest| rest.split_once(": "))
        .unwrap_or(("integer", body));
    let (returns, body) = declared;
    let arguments = if returns == "trigger" { "" } else { "a integer, b text" };
    run(&format!(
        "create function f({arguments}) returns {returns} language plpgsql as $body${body}$body$"
    ))
}

fn spelled(answer: Result<(), DatabaseError>) -> String {
    match answer {
        Ok(()) => "ok".to_owned(),
        Err(error) => {
            let mut text = format!("{} {}", error.sqlstate, error.message);
            if let Some(detail) = error.detail {
                text.push_str(" DETAIL ");
                text.push_str(&detail);
            }
            if let Some(hint) = error.hint {
                text.push_str(" HINT ");
                text.push_str(&hint);
            }
            text
        }
    }
}

#[test]
fn bodies_are_taken_or_refused_as_by_postgresql() {
    let lines: Vec<&str> = BODIES.lines().filter(|line| !line.starts_with("# ")).collect();
    let text = lines.join("\n");
    let bodies: Vec<&str> = text.trim_matches('\n').split("\n---\n").collect();
    let answers: Vec<&str> = ANSWERS.lines().collect();
    assert_eq!(bodies.len(), answers.len());
    let known: HashSet<&str> = KNOWN.iter().copied().collect();
    let mut differing = Vec::new();
    for (body, answer) in bodies.iter().zip(answers) {
        let found = spelled(create(body));
        if (found != answer) != known.contains(body) {
            differing.push(format!("{body}\n  PostgreSQL: {answer}\n  here:       {found}"));
        }
    }
    assert!(
        differing.is_empty(),
        "{} of {} differ:\n{}",
        differing.len(),
        bodies.len(),
        differing.join("\n")
    );
}

#[test]
fn what_is_outside_the_subset_is_refused_by_name_when_a_function_is_made() {
    for (body, feature) in [
        (
            "begin execute 'select 1'; return 1; end",
            "EXECUTE of a computed statement",
        ),
        ("declare c cursor for select 1; begin return 1; end", "cursors"),
        ("begin open c; return 1; end", "cursors"),
        ("begin commit; return 1; end", "COMMIT and ROLLBACK in a function"),
        ("begin call p(); return 1; end", "CALL in a function"),
        (
            "begin create table x (id int); return 1; end",
            "schema changes in a function",
        ),
        ("begin set search_path = x; return 1; end", "SET in a function"),
        ("begin truncate t; return 1; end", "TRUNCATE"),
        ("#option dump\nbegin return 1; end", "options of a PL/pgSQL function"),
        (
            "declare x int; begin get diagnostics x = pg_context; return 1; end",
            "PG_CONTEXT",
        ),
        (
            "returns trigger: begin raise notice '%', tg_relid; return new; end",
            "TG_RELID",
        ),
        (
            "returns trigger: begin raise notice '%', tg_argv; return new; end",
            "TG_ARGV",
        ),
    ] {
        let error = create(body).unwrap_err();
        assert_eq!(error.sqlstate, "0A000", "{body}: {error}");
        assert!(error.message.contains(feature), "{body}: {error}");
    }
}

/// The answers are PostgreSQL 15's to the same statements.
#[test]
fn triggers_are_made_and_refused_as_by_postgresql() {
    let fixture = "create table o (id int, note text, g int generated always as (id * 2) stored);
        create view v as select id from o;
        create function tr() returns trigger language plpgsql as 'begin return new; end';
        create function plain() returns int language plpgsql as 'begin return 1; end';
        create trigger a before insert on o for each row execute function tr();";
    for (statement, answer) in [
        (
            "create trigger b after update of note on o for each row when (old.* is distinct from new.*) execute function tr()",
            "ok",
        ),
        (
            "create or replace trigger a before insert on o execute function tr()",
            "ok",
        ),
        (
            "create trigger a before insert on o execute function tr()",
            "42710 trigger \"a\" for relation \"o\" already exists",
        ),
        (
            "create trigger b before insert on nosuch execute function tr()",
            "42P01 relation \"nosuch\" does not exist",
        ),
        (
            "create trigger b before insert on o execute function nosuch()",
            "42883 function nosuch() does not exist",
        ),
        (
            "create trigger b before insert on o execute function plain()",
            "42P17 function plain must return type trigger",
        ),
        (
            "create trigger b before update of nosuch on o execute function tr()",
            "42703 column \"nosuch\" of relation \"o\" does not exist",
        ),
        (
            "create trigger b before update of id, id on o execute function tr()",
            "42701 column \"id\" specified more than once",
        ),
        (
            "create trigger b instead of insert on o for each row execute function tr()",
            "42809 \"o\" is a table DETAIL Tables cannot have INSTEAD OF triggers.",
        ),
        (
            "create trigger b before insert on v for each row execute function tr()",
            "42809 \"v\" is a view DETAIL Views cannot have row-level BEFORE or AFTER triggers.",
        ),
        (
            "create trigger b before insert on o for each row when (old.id = 1) execute function tr()",
            "42P17 INSERT trigger's WHEN condition cannot reference OLD values",
        ),
        (
            "create trigger b before delete on o for each row when (new.id = 1) execute function tr()",
            "42P17 DELETE trigger's WHEN condition cannot reference NEW values",
        ),
        (
            "create trigger b before insert on o when (new.id = 1) execute function tr()",
            "42P17 statement trigger's WHEN condition cannot reference column values",
        ),
        (
            "create trigger b before insert on o for each row when (new.g = 1) execute function tr()",
            "42P17 BEFORE trigger's WHEN condition cannot reference NEW generated columns",
        ),
        (
            "create trigger b before insert on o for each row when (new.id) execute function tr()",
            "42804 argument of WHEN must be type boolean, not type integer",
        ),
        (
            "alter table o disable trigger a; alter table o enable trigger all",
            "ok",
        ),
        (
            "alter table o disable trigger nosuch",
            "42704 trigger \"nosuch\" for table \"o\" does not exist",
        ),
        ("alter trigger a on o rename to c", "ok"),
        (
            "alter trigger nosuch on o rename to c",
            "42704 trigger \"nosuch\" for table \"o\" does not exist",
        ),
        ("drop trigger a on o", "ok"),
        ("drop trigger if exists nosuch on o", "ok"),
        (
            "drop trigger nosuch on o",
            "42704 trigger \"nosuch\" for table \"o\" does not exist",
        ),
        ("comment on trigger a on o is 'x'", "ok"),
        (
            "comment on trigger nosuch on o is 'x'",
            "42704 trigger \"nosuch\" for table \"o\" does not exist",
        ),
        (
            "drop function tr()",
            "2BP01 cannot drop function tr() because other objects depend on it DETAIL trigger a on table o depends on function tr() HINT Use DROP ... CASCADE to drop the dependent objects too.",
        ),
        (
            "drop function tr() cascade; create trigger a before insert on o execute function nosuch()",
            "42883 function nosuch() does not exist",
        ),
        (
            "create trigger b before update of note on o for each row execute function tr(); alter table o drop column note",
            "2BP01 cannot drop column note of table o because other objects depend on it DETAIL trigger b on table o depends on column note of table o HINT Use DROP ... CASCADE to drop the dependent objects too.",
        ),
        (
            "create trigger b before update on o for each row when (new.note = 'x') execute function tr(); alter table o rename column note to remark; alter table o drop column remark",
            "2BP01 cannot drop column remark of table o because other objects depend on it DETAIL trigger b on table o depends on column remark of table o HINT Use DROP ... CASCADE to drop the dependent objects too.",
        ),
        (
            "create constraint trigger b after insert on o for each row execute function tr()",
            "0A000",
        ),
        (
            "create trigger b after insert on o referencing new table as n execute function tr()",
            "0A000",
        ),
        ("create trigger b before truncate on o execute function tr()", "0A000"),
    ] {
        let found = spelled(run(&format!("{fixture} {statement}")));
        match answer {
            "0A000" => assert!(found.starts_with(answer), "{statement}: {found}"),
            _ => assert_eq!(found, answer, "{statement}"),
        }
    }
}
