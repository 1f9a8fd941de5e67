//! What SQLite does for a secured statement: policies must not keep it from using an index.

use mainstay_core::name::Ident;
use mainstay_sql::analyse::Analyser;
use mainstay_sql::ast::Statement;
use mainstay_sql::parse;
use mainstay_sql::session::Session;

use super::Database;
use crate::emit::{Emitter, Rte};

const SCHEMA: &str = r"
create table members (team int, uid uuid, primary key (uid, team));
create table items (
  id int primary key, owner uuid not null, team int, name text not null, price numeric(8,2), made timestamptz not null
);
create index on items (owner, made desc);
create index on items (team);
create index on items (name);
create index on items (price);
create table lines (id int primary key, item int not null references items (id), label text);
create index on lines (item);
alter table members enable row level security;
alter table items enable row level security;
alter table lines enable row level security;
create policy m on members to authenticated using (uid = auth.uid());
create policy i on items for select to authenticated using (owner = (select auth.uid()));
create policy l on lines for select to authenticated using (exists (select 1 from items i where i.id = lines.item));
create table teamwork (id int primary key, team int not null);
alter table teamwork enable row level security;
create policy t on teamwork for select to authenticated
  using (team in (select m.team from members m where m.uid = auth.uid()));
create table parts (id int primary key, name text, price numeric(8,2));
create index on parts (name);
create index on parts (price);
create view mine with (security_invoker = true) as select id, name, made from items;
grant select on members, items, lines, teamwork, mine, parts to authenticated;
";

/// The text of `sql` as `authenticated` would run it.
fn emitted(database: &Database, sql: &str) -> String {
    let session = Session::new("authenticated", vec![Ident::new("public")]);
    let statements = parse::parse(sql).unwrap();
    let Statement::Query(query) = &statements[0].ast else {
        panic!("no query: {sql}")
    };
    let query = Analyser::new(database.compiled.catalog(), &session)
        .query(query)
        .unwrap();
    let mut emitter = Emitter::new(&database.compiled, &Ident::new("authenticated"));
    emitter.statement_query(&query).unwrap();
    emitter.finish().0
}

fn path(database: &Database, sql: &str) -> Vec<String> {
    let mut writer = crate::emit::writer::SqlWriter::new();
    writer.sql("EXPLAIN QUERY PLAN ");
    let mut text = writer.finish().0;
    text.push_str(&emitted(database, sql));
    let mut statement = database.conn.prepare(&text).unwrap();
    let mut rows = statement.raw_query();
    let mut details = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        details.push(row.get::<_, String>(3).unwrap());
    }
    details
}

#[test]
fn secured_reads_are_index_searches() {
    let database = Database::with(SCHEMA);
    for (sql, expected) in [
        (
            "select name from items where id = 3",
            vec!["SEARCH r2 USING INTEGER PRIMARY KEY (rowid=?)"],
        ),
        (
            "select id from items order by made desc limit 20",
            vec!["SEARCH r2 USING COVERING INDEX items_owner_made_idx (owner=?)"],
        ),
        (
            "select id from mine where name = 'x'",
            vec!["SEARCH r3 USING INDEX items_name_idx (name=?)"],
        ),
        (
            "select id from parts where name like 'abc%'",
            vec!["SEARCH r1 USING COVERING INDEX parts_name_idx (name>? AND name<?)"],
        ),
        (
            "select id from parts where price > 3",
            vec!["SEARCH r1 USING COVERING INDEX parts_price_idx (price>?)"],
        ),
        (
            "select i.id, l.label from items i left join lines l on l.item = i.id where i.id = 1",
            vec![
                "SEARCH r3 USING INTEGER PRIMARY KEY (rowid=?)",
                "SEARCH r4 USING INDEX lines_item_idx (item=?) LEFT-JOIN",
            ],
        ),
        (
            "select id from teamwork where id = 1",
            vec!["SEARCH r2 USING INTEGER PRIMARY KEY (rowid=?)"],
        ),
    ] {
        let found = path(&database, sql);
        let shown = || format!("{sql}\n{}\n{found:#?}", emitted(&database, sql));
        assert!(
            expected.iter().all(|step| found.iter().any(|line| line == step)),
            "{}",
            shown()
        );
        assert!(
            !found
                .iter()
                .any(|line| line.starts_with("SCAN r") || line.contains("TEMP B-TREE")),
            "{}",
            shown()
        );
    }
}

#[test]
fn what_a_role_reads_is_written_like_this() {
    let database = Database::with(SCHEMA);
    assert_eq!(
        emitted(&database, "select name from items where id = 3"),
        concat!(
            r#"SELECT r1."name" AS c1 FROM (SELECT r2."id", r2."owner", r2."team", r2."name", r2."price", r2."made" "#,
            r#"FROM "items" AS r2 WHERE (r2."owner" = ?1)) AS r1 WHERE (r1."id" = 3)"#
        )
    );
    assert_eq!(
        emitted(&database, "select count(*) from lines"),
        concat!(
            r#"SELECT count(*) AS c1 FROM (SELECT r2."id", r2."item", r2."label" FROM "lines" AS r2 WHERE EXISTS "#,
            r#"(SELECT 1 AS c1 FROM (SELECT r4."id", r4."owner", r4."team", r4."name", r4."price", r4."made" "#,
            r#"FROM "items" AS r4 WHERE (r4."owner" = ?1)) AS r3 WHERE (r3."id" = r2."item"))) AS r1"#
        )
    );
}

#[test]
fn an_argument_is_not_read_with_a_definers_rights() {
    let database = Database::with(
        "create table secret (id int primary key); insert into secret values (7);
         alter table secret enable row level security;
         create function doubled(a int) returns int language sql security definer as 'select a + a';
         grant select on secret to authenticated; grant execute on function doubled(int) to authenticated;",
    );
    let caller = mainstay_core::caller::Caller::of_role("authenticated");
    let found = database.run(Some(&caller), "select doubled(2)").unwrap();
    assert_eq!(super::lines(&found), ["4"]);
    let query = "select doubled((select max(id) from secret))";
    let found = database.run(Some(&caller), query).unwrap();
    assert_eq!(super::lines(&found), ["null"]);
    assert_eq!(database.rows(query), ["14"]);
}

#[test]
fn a_bound_row_takes_the_place_of_a_table() {
    let database = Database::with(SCHEMA);
    let relation = &database.compiled.catalog().relations[&mainstay_core::name::QualifiedName::new("public", "items")];
    let mut emitter = Emitter::new(&database.compiled, &Ident::new("authenticated"));
    let row = Rte::Bound {
        relation: relation.clone(),
    };
    emitter
        .condition(relation, "owner = auth.uid() and price > 3", &row)
        .unwrap();
    assert_eq!(emitter.finish().0, r#"((?1 = ?2) AND (?3 COLLATE "pg_numeric" > '3'))"#);
}
