//! What a compiled insert costs beside the same work by hand, on the same connection.
//!
//! `cargo test --release -p mainstay-backend-sqlite --lib insert_rate -- --ignored --nocapture`

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mainstay_core::caller::Caller;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::plan::{Action, Format, Input, Insert, Missing, Plan, Returning, Source};
use mainstay_core::policy::{self, Needs};
use rusqlite::params;

use super::Database;
use crate::write::{compile, execute};

const SCHEMA: &str = r"
create table orders (
  id uuid primary key default gen_random_uuid(), customer uuid not null default auth.uid(), total numeric(10,2) not null,
  status text not null default 'new' check (status in ('new', 'paid')), placed timestamptz not null default now(), note text
);
create index on orders (customer, placed desc);
alter table orders enable row level security;
create policy own on orders to authenticated using (customer = auth.uid());
grant select, insert on orders to authenticated;
";

/// Requests in one commit, and commits.
const BATCH: usize = 128;
const BATCHES: usize = 200;

const BODY: &str = r#"{"total":12.50,"status":"paid","note":"leave it at the door"}"#;
const CLAIMS: &str =
    r#"{"role":"authenticated","sub":"aaaaaaaa-0000-4000-8000-000000000001","aud":"authenticated","exp":1924988399}"#;

#[derive(serde::Deserialize)]
struct Order {
    total: f64,
    status: String,
    note: String,
}

#[test]
#[ignore = "a measurement, for release builds"]
fn insert_rate() {
    let mut ratios = Vec::new();
    for _ in 0..5 {
        let (hand, ours) = (by_hand(), compiled());
        println!("by hand {hand:?}, compiled {ours:?} per insert");
        ratios.push(hand.as_secs_f64() / ours.as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    println!("median rate: {:.0} % of the rate by hand", ratios[2] * 100.0);
}

fn each_batch(database: &Database, mut request: impl FnMut()) -> Duration {
    let began = Instant::now();
    for _ in 0..BATCHES {
        database.conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        for _ in 0..BATCH {
            database
                .conn
                .prepare_cached("SAVEPOINT request")
                .unwrap()
                .execute([])
                .unwrap();
            request();
            database
                .conn
                .prepare_cached("RELEASE request")
                .unwrap()
                .execute([])
                .unwrap();
        }
        database.conn.execute_batch("COMMIT").unwrap();
    }
    began.elapsed() / (BATCH * BATCHES) as u32
}

fn by_hand() -> Duration {
    let database = Database::with(SCHEMA);
    let sql = "INSERT INTO orders (id, customer, total, status, placed, note) VALUES (?, ?, ?, ?, ?, ?)";
    each_batch(&database, || {
        let claims: serde_json::Value = serde_json::from_str(CLAIMS).unwrap();
        let order: Order = serde_json::from_str(BODY).unwrap();
        let placed = jiff::Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%S%.f+00:00")
            .to_string();
        let id = uuid::Uuid::new_v4().to_string();
        let mut insert = database.conn.prepare_cached(sql).unwrap();
        let total = format!("{:.2}", order.total);
        insert
            .execute(params![
                id,
                claims["sub"].as_str(),
                total,
                order.status,
                placed,
                order.note
            ])
            .unwrap();
    })
}

fn compiled() -> Duration {
    let database = Database::with(SCHEMA);
    let catalog = database.compiled.catalog();
    let relation = Arc::clone(&catalog.relations[&QualifiedName::new("public", "orders")]);
    let columns: Vec<usize> = ["total", "status", "note"]
        .iter()
        .map(|name| relation.column(name).unwrap().0)
        .collect();
    let needs = Needs {
        insert: Some(columns.clone()),
        ..Needs::default()
    };
    let role = Ident::new("authenticated");
    let access = policy::authorize(catalog, &role, &relation, &needs).unwrap();
    let insert = Insert {
        source: Source { relation, access },
        columns,
        missing: Missing::Null,
        conflict: None,
        returning: Returning {
            read: None,
            location: Vec::new(),
        },
        must_match: Vec::new(),
    };
    let plan = Plan {
        catalog_version: catalog.version,
        role,
        format: Format::Json,
        handler: None,
        explain: None,
        action: Action::Insert(insert),
    };
    let program = compile(&database.compiled, &plan).unwrap();
    let mut caller = Caller::of_role("authenticated");
    caller.claims = Arc::from(CLAIMS);
    let input = Input {
        payload: Some(Bytes::from_static(BODY.as_bytes())),
        ..Input::default()
    };
    each_batch(&database, || {
        let outcome = execute(&database.conn, &database.compiled, &program, &caller, &input).unwrap();
        assert_eq!(outcome.inserted, 1);
    })
}
