//! What a trigger and a call cost beside the same work written by hand, in one run.
//!
//! `cargo test --release -p mainstay-backend-sqlite --lib plpgsql_rate -- --ignored --nocapture`

use std::time::{Duration, Instant};

use jiff::Timestamp;
use mainstay_core::name::Ident;
use mainstay_sql::analyse::Analyser;
use mainstay_sql::parse;
use mainstay_sql::session::Session;

use crate::emit::Parameters;
use crate::emit::binds::Sources;
use crate::emit::context::Context;
use crate::routine;
use crate::write::script;
use crate::write::tests::Database;

const SCHEMA: &str = "
create function touch() returns trigger language plpgsql as $$ begin new.updated_at := now(); return new; end $$;
create table plain (id int primary key, body text, updated_at timestamptz);
create table touched (id int primary key, body text, updated_at timestamptz);
create trigger touch before update on touched for each row execute function touch();
create function plus(a int, b int) returns int language plpgsql as $$ begin return a + b; end $$;
create function plus_sql(a int, b int) returns int language sql volatile as 'select a + b';
insert into plain select n, 'x' from generate_series(1, 1000) n;
insert into touched select n, 'x' from generate_series(1, 1000) n;
";

/// Statements in one measurement.
const ROUNDS: u32 = 2_000;

/// The time that one run of a compiled statement takes.
fn each(database: &Database, sql: &str) -> Duration {
    let session = Session::new("postgres", vec![Ident::new("public")]);
    let role = Ident::new("postgres");
    let statements = parse::parse(sql).unwrap();
    let typed = Analyser::new(database.compiled.catalog(), &session)
        .statement(&statements[0].ast)
        .unwrap();
    let program = script::compile(&database.compiled, &role, &typed, Parameters::None).unwrap();
    let context = Context::of_owner(Timestamp::now());
    let sources = Sources::of_request(&context, &[]);
    database.conn.execute_batch("BEGIN").unwrap();
    let time = routine::enter(&database.conn, &database.compiled, &context, || {
        let run = || program.execute(&database.conn, &database.compiled, &sources).unwrap();
        run();
        let began = Instant::now();
        for _ in 0..ROUNDS {
            run();
        }
        began.elapsed() / ROUNDS
    });
    database.conn.execute_batch("ROLLBACK").unwrap();
    time
}

#[test]
#[ignore = "a measurement"]
fn plpgsql_rate() {
    let database = Database::with(SCHEMA);
    let compared = |what: &str, hand: &str, ours: &str| {
        let mut ratios = Vec::new();
        let mut last = (Duration::ZERO, Duration::ZERO);
        for _ in 0..5 {
            last = (each(&database, hand), each(&database, ours));
            ratios.push(last.1.as_secs_f64() / last.0.as_secs_f64());
        }
        ratios.sort_by(f64::total_cmp);
        println!("{what}: {:?} by hand, {:?} so: {:.1} times", last.0, last.1, ratios[2]);
    };
    compared(
        "BEFORE UPDATE trigger, one row",
        "update plain set body = 'y', updated_at = now() where id = 7",
        "update touched set body = 'y' where id = 7",
    );
    compared("call in a select list", "select 1 + 2", "select plus(1, 2)");
    compared(
        "call for each of 1,000 rows",
        "select sum(id + 1) from plain",
        "select sum(plus(id, 1)) from plain",
    );
    compared(
        "the same in LANGUAGE sql, which is put in place",
        "select sum(id + 1) from plain",
        "select sum(plus_sql(id, 1)) from plain",
    );
}
