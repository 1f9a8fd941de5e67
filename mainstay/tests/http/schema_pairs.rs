//! Pairs of random schemas: the difference between two leads from the one to the other, on both engines.
//!
//! `MAINSTAY_PAIRS=first..last` runs other seeds than the usual ones.

use std::ops::Range;
use std::sync::Arc;

use mainstay_backend_postgres::{self as postgres, PostgresBackend, ScratchDatabase};
use mainstay_backend_sqlite::{self as sqlite, SqliteBackend};
use mainstay_core::backend::{Backend, QueryMode};
use mainstay_core::definition::Definitions;
use mainstay_core::error::BackendError;
use mainstay_sql::dump::platform::Selection;
use mainstay_sql::{diff, dump};
use mainstay_testing::postgres_url;

/// Numbers that follow from a seed (xorshift; Marsaglia, 2003).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    /// True in `percent` of a hundred cases.
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// Types with a default each.
const TYPES: &[(&str, &str)] = &[
    ("integer", "7"),
    ("bigint", "f0(3)"),
    ("text", "'x''y'"),
    ("varchar(20)", "'v'"),
    ("numeric(10,2)", "1.50"),
    ("boolean", "true"),
    ("timestamptz", "now()"),
    ("date", "'2024-02-29'"),
    ("uuid", "gen_random_uuid()"),
    ("jsonb", "'{}'"),
    ("mood", "'sad'"),
];

/// A schema as SQL. Two seeds give schemas with many names in common and much that differs.
fn schema(seed: u64) -> String {
    let mut dice = Dice::new(seed);
    let dice = &mut dice;
    let mut sql = String::new();
    let mut say = |line: String| {
        sql.push_str(&line);
        sql.push_str(";\n");
    };
    let labels: Vec<&str> = ["'sad'", "'ok'", "'happy'", "'so so'"]
        .into_iter()
        .filter(|label| *label == "'sad'" || dice.chance(60))
        .collect();
    say(format!("create type mood as enum ({})", labels.join(", ")));
    if dice.chance(60) {
        let step = dice.one(&["1", "5", "-2"]);
        let more = dice.one(&["", " cycle", " as integer"]);
        say(format!("create sequence s0{more} increment by {step}"));
    }
    let arguments = dice.one(&["a integer", "a integer default 4", "b integer"]);
    let name = arguments.split(' ').next().unwrap();
    let body = dice.one(&["1", "2"]);
    let result = dice.one(&["integer", "integer", "bigint"]);
    say(format!(
        "create function f0({arguments}) returns {result} language sql immutable as $$select ({name} + {body})::{result}$$"
    ));
    let mut tables: Vec<(String, Vec<String>, bool)> = Vec::new();
    for table in 0..4 {
        if dice.chance(80) {
            let made = self::table(dice, &mut say, &format!("t{table}"));
            tables.push(made);
        }
    }
    for position in 0..tables.len() {
        let (name, _, _) = &tables[position];
        let keyed: Vec<&String> = tables
            .iter()
            .filter(|(_, _, key)| *key)
            .map(|(name, ..)| name)
            .collect();
        if dice.chance(50) && !keyed.is_empty() {
            let target = keyed[dice.below(keyed.len())];
            let action = dice.one(&[
                "",
                " on delete cascade",
                " on update set null",
                " deferrable initially deferred",
            ]);
            say(format!(
                "alter table {name} add constraint {name}_to foreign key (link) references {target} (id){action}"
            ));
        }
        on_table(dice, &mut say, &tables[position]);
    }
    if let Some((name, columns, _)) = tables.first() {
        let shown: Vec<&String> = columns.iter().filter(|_| dice.chance(70)).collect();
        let list: Vec<String> = shown.iter().map(|column| format!("{name}.{column}")).collect();
        let list = if list.is_empty() {
            "id".to_owned()
        } else {
            list.join(", ")
        };
        let options = dice.one(&["", " with (security_invoker = true)"]);
        let filter = dice.one(&["", " where id > 1", " where f0(id::integer) > 2"]);
        say(format!(
            "create view v0{options} as select {list}, {name}.id as v_id from {name}{filter}"
        ));
        if dice.chance(60) {
            say("create view v1 as select v_id, count(*) as n from v0 group by v_id".into());
            if dice.chance(50) {
                say("grant select on v1 to authenticated".into());
            }
        }
        if dice.chance(50) {
            say("comment on view v0 is 'some'".into());
        }
    }
    if dice.chance(40) {
        let object = dice.one(&["select on tables", "usage on sequences", "execute on functions"]);
        say(format!(
            "alter default privileges in schema public grant {object} to anon"
        ));
    }
    if dice.chance(40) {
        say("revoke execute on function f0 from public".into());
    }
    sql
}

/// One table: its name, its columns, and whether it has a key.
fn table(dice: &mut Dice, say: &mut impl FnMut(String), name: &str) -> (String, Vec<String>, bool) {
    let mut lines = Vec::new();
    let id = dice.one(&[
        "bigint generated always as identity",
        "bigint generated by default as identity",
        "integer generated by default as identity (start with 10)",
        "serial",
        "bigint not null",
    ]);
    let has_key = dice.chance(80);
    lines.push(format!("id {id}{}", if has_key { " primary key" } else { "" }));
    lines.push("link bigint".to_owned());
    let mut columns = vec!["id".to_owned(), "link".to_owned()];
    for column in 0..5 {
        if !dice.chance(70) {
            continue;
        }
        let (ty, default) = TYPES[dice.below(TYPES.len())];
        let column = format!("c{column}");
        let mut line = format!("{column} {ty}");
        if dice.chance(12) {
            line = format!("{column} bigint generated always as (link * {}) stored", dice.below(3));
        } else {
            if dice.chance(40) {
                line.push_str(&format!(" default {default}"));
            }
            if dice.chance(30) {
                line.push_str(" not null");
            }
        }
        // Keys over jsonb are PostgreSQL's alone.
        let is_jsonb = line.contains("jsonb");
        if dice.chance(15) && !is_jsonb {
            line.push_str(" unique");
        }
        lines.push(line);
        if !is_jsonb {
            columns.push(column);
        }
    }
    if dice.chance(40) {
        let check = dice.one(&["id > 0", "id + 1 > 0", "link is null or link <> 3"]);
        lines.push(format!("constraint {name}_ok check ({check})"));
    }
    say(format!("create table {name} (\n    {}\n)", lines.join(",\n    ")));
    (name.to_owned(), columns, has_key)
}

/// Indexes, policies, grants and comments of a table.
fn on_table(dice: &mut Dice, say: &mut impl FnMut(String), table: &(String, Vec<String>, bool)) {
    let (name, columns, _) = table;
    let column = columns[dice.below(columns.len())].clone();
    if dice.chance(50) {
        let order = dice.one(&["", " desc", " nulls first"]);
        let filter = dice.one(&["", " where link > 0"]);
        let unique = dice.one(&["", "", "unique "]);
        say(format!(
            "create {unique}index {name}_i on {name} ({column}{order}){filter}"
        ));
    }
    if dice.chance(60) {
        say(format!("alter table {name} enable row level security"));
    }
    if dice.chance(20) {
        say(format!("alter table {name} force row level security"));
    }
    for policy in 0..2 {
        if dice.chance(50) {
            let kind = dice.one(&["", " as restrictive"]);
            let role = dice.one(&["", " to anon", " to authenticated, anon"]);
            let using = match dice.below(3) {
                0 => "true".to_owned(),
                1 => format!("{column} is not null"),
                _ => "auth.uid() is not null and link = 1".to_owned(),
            };
            say(format!("create policy p{policy} on {name}{kind}{role} using ({using})"));
        }
    }
    if dice.chance(60) {
        let what = dice.one(&["select", "all", "insert, update"]);
        let to = dice.one(&["anon", "authenticated", "service_role with grant option"]);
        say(format!("grant {what} on {name} to {to}"));
    }
    if dice.chance(40) {
        say(format!(
            "grant select (id), update ({column}) on {name} to authenticated"
        ));
    }
    if dice.chance(30) {
        say(format!("comment on table {name} is 'number {}'", dice.below(3)));
        say(format!("comment on column {name}.{column} is 'of {name}'"));
    }
}

async fn objects(backend: &dyn Backend) -> Definitions {
    Selection::default().apply(backend.definitions().await.unwrap())
}

async fn run(backend: &dyn Backend, sql: &str) -> Result<(), BackendError> {
    backend.query(None, sql, QueryMode::ReadWrite).await.map(drop)
}

async fn made(backend: &dyn Backend, sql: &str) -> Definitions {
    backend.reset().await.unwrap();
    if let Err(error) = run(backend, sql).await {
        panic!("{error:?}\n{sql}");
    }
    objects(backend).await
}

/// Seeds that are run.
fn seeds() -> Range<u64> {
    let given = std::env::var("MAINSTAY_PAIRS").ok();
    let parsed = given.as_deref().and_then(|text| {
        let (first, last) = text.split_once("..")?;
        Some(first.parse().ok()?..last.parse().ok()?)
    });
    parsed.unwrap_or(1..13)
}

async fn every_pair(backend: Arc<dyn Backend>) {
    let mut statements = 0;
    for seed in seeds() {
        let (from, to) = (schema(seed * 2), schema(seed * 2 + 1));
        let wanted = made(&*backend, &to).await;
        let present = made(&*backend, &from).await;
        let steps = diff::between(&present, &wanted);
        let text: String = steps.iter().map(|step| format!("{};\n", step.sql)).collect();
        if let Err(error) = run(&*backend, &text).await {
            panic!("seed {seed}: {error:?}\n--- from\n{from}\n--- to\n{to}\n--- by\n{text}");
        }
        let left = diff::between(&objects(&*backend).await, &wanted);
        assert!(
            left.is_empty(),
            "seed {seed}: {left:#?}\n--- from\n{from}\n--- to\n{to}\n--- by\n{text}"
        );
        assert!(diff::between(&wanted, &wanted).is_empty());
        statements += steps.len();
    }
    eprintln!("{} pairs, {statements} statements", seeds().count());
    backend.close().await;
}

/// The embedded engine on a file of its own, which goes with the folder.
fn embedded(dir: &tempfile::TempDir) -> Arc<dyn Backend> {
    let options = sqlite::Options {
        synchronous: sqlite::Synchronous::Normal,
        ..sqlite::Options::at(dir.path().join("pairs.db"))
    };
    Arc::new(SqliteBackend::open(options).unwrap())
}

async fn postgresql(database: &ScratchDatabase) -> Arc<dyn Backend> {
    let options = postgres::Options {
        bootstrap: Some(postgres::Grants::Closed),
        ..postgres::Options::new(database.url())
    };
    Arc::new(PostgresBackend::open(options).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_leads_from_one_schema_to_the_other_on_the_embedded_engine() {
    let dir = tempfile::tempdir().unwrap();
    every_pair(embedded(&dir)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_leads_from_one_schema_to_the_other_on_postgresql() {
    let Some(url) = postgres_url() else { return };
    let database = ScratchDatabase::create(url).await.unwrap();
    let result = tokio::spawn(every_pair(postgresql(&database).await)).await;
    database.drop_database().await.unwrap();
    result.unwrap();
}

/// The objects as a text that makes them.
fn dumped(definitions: &Definitions) -> String {
    let mut all = definitions.clone();
    // They belong to the whole server, which other tests use too.
    all.roles.clear();
    let statements = dump::settings().into_iter();
    let statements = statements.chain(dump::before_rows(&all)).chain(dump::after_rows(&all));
    statements.map(|statement| format!("{statement};\n")).collect()
}

/// What PostgreSQL reads out of the embedded engine's catalog is what it reads out of the schema itself, and the way
/// back changes nothing either.
async fn every_schema(embedded: Arc<dyn Backend>, postgresql: Arc<dyn Backend>) {
    for seed in seeds() {
        let sql = schema(seed);
        let kept = made(&*embedded, &sql).await;
        let wanted = made(&*postgresql, &sql).await;
        let text = dumped(&kept);
        let found = made(&*postgresql, &text).await;
        let left = diff::between(&found, &wanted);
        assert!(
            left.is_empty(),
            "seed {seed}: {left:#?}\n--- schema\n{sql}\n--- dump\n{text}"
        );
        assert_eq!(dumped(&made(&*embedded, &text).await), text, "seed {seed}");
        let text = dumped(&wanted);
        let back = dumped(&made(&*embedded, &text).await);
        let found = made(&*postgresql, &back).await;
        let left = diff::between(&found, &wanted);
        assert!(
            left.is_empty(),
            "seed {seed}: {left:#?}\n--- schema\n{sql}\n--- dump\n{back}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_goes_from_one_engine_to_the_other_and_back_unchanged() {
    let Some(url) = postgres_url() else { return };
    let dir = tempfile::tempdir().unwrap();
    let database = ScratchDatabase::create(url).await.unwrap();
    let result = tokio::spawn(every_schema(embedded(&dir), postgresql(&database).await)).await;
    database.drop_database().await.unwrap();
    result.unwrap();
}
