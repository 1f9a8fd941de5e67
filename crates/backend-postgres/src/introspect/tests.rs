use mainstay_core::catalog::{ConstraintKind, RelationKind, RelationshipKind};
use mainstay_core::name::QualifiedName;
use mainstay_core::types::{Type, TypeModifier};

use super::*;
use crate::console::simple;
use crate::testing::{TestDatabase, conformance_url, connect};

const SCHEMA: &str = r#"
create schema app;
create type app.mood as enum ('sad', 'ok');
create domain app.email as text check (value ~ '@');
create type app.pair as (a int, b text);
create table app.authors (
  id bigint generated always as identity primary key,
  name varchar(20) not null default 'x',
  mood app.mood default 'ok',
  mail app.email,
  price numeric(10,2),
  tags text[],
  loud text generated always as (upper(name)) stored,
  old int,
  unique (name, mail)
);
comment on table app.authors is 'People';
alter table app.authors drop column old;
create table app.books (
  id serial primary key,
  author_id bigint not null references app.authors on delete cascade,
  title text,
  constraint title_given check (title <> '')
);
create index books_title on app.books (lower(title), author_id desc) where title is not null;
create view app.book_view as select b.title as t, b.id, a.id as writer, upper(a.name) as loud
  from app.books b join app.authors a on a.id = b.author_id;
create view app.outer_view as select v.id as bid, v.writer from app.book_view v;
create table app.events (at date not null) partition by range (at);
create table app.events_2020 partition of app.events for values from ('2020-01-01') to ('2021-01-01');
create function app.add(a int, b int default 1, variadic rest int[] default '{}') returns int language sql stable as 'select a';
create function app.list() returns setof app.books language sql as 'select * from app.books';
create function app.both(out x int, out y text) language sql as $$select 1, 'a'$$;
create function app.pairs() returns setof app.pair language sql as $$select 1, 'a'$$;
alter table app.books enable row level security;
create policy mine on app.books for select using (author_id = 1);
"#;

async fn catalog(url: &str) -> (Catalog, Surroundings) {
    introspect(connect(url).await.as_ref()).await.unwrap()
}

fn name(name: &str) -> QualifiedName {
    QualifiedName::new("app", name)
}

#[tokio::test]
async fn the_catalog_has_what_the_database_has() {
    let Some(database) = TestDatabase::create().await else {
        return;
    };
    let connection = connect(&database.url).await;
    simple(&connection, SCHEMA).await.unwrap();
    simple(&connection, "set app.x = 1").await.unwrap();
    let (catalog, surroundings) = catalog(&database.url).await;

    let authors = &catalog.relations[&name("authors")];
    assert_eq!(authors.comment.as_deref(), Some("People"));
    assert!(authors.insertable && authors.updatable && authors.deletable);
    assert_eq!(authors.primary_key(), [0]);
    let column = |name: &str| authors.column(name).unwrap().1;
    assert!(column("id").identity.is_some() && column("id").sequence == Some(name("authors_id_seq")));
    assert_eq!(
        (column("name").ty.clone(), column("name").modifier),
        (Type::Varchar, TypeModifier::Length(20))
    );
    assert_eq!(column("name").default.as_deref(), Some("'x'::character varying"));
    assert_eq!(column("mood").ty, Type::Enum(name("mood")));
    assert_eq!(column("mail").ty, Type::Domain(name("email"), Box::new(Type::Text)));
    assert_eq!(
        column("price").modifier,
        TypeModifier::Numeric {
            precision: 10,
            scale: 2
        }
    );
    assert_eq!(column("tags").ty, Type::Array(Box::new(Type::Text)));
    assert!(column("loud").generated.is_some() && column("loud").default.is_none());
    assert_eq!(catalog.enums[&name("mood")].labels, ["sad", "ok"]);

    let books = &catalog.relations[&name("books")];
    assert!(books.row_security.enabled && books.policies.len() == 1);
    assert_eq!(books.indexes.len(), 1);
    let foreign = books.constraints.iter().find_map(|constraint| match &constraint.kind {
        ConstraintKind::ForeignKey(key) => Some((constraint.name.to_string(), key.target.clone())),
        _ => None,
    });
    assert_eq!(foreign, Some(("books_author_id_fkey".into(), name("authors"))));

    assert!(!catalog.relations.contains_key(&name("events_2020")));
    assert_eq!(catalog.relations[&name("events")].kind, RelationKind::PartitionedTable);
    assert!(surroundings.server.version_number >= 150_000);
    database.drop().await;
}

#[tokio::test]
async fn views_show_where_their_columns_come_from_and_inherit_relationships() {
    let Some(database) = TestDatabase::create().await else {
        return;
    };
    simple(connect(&database.url).await.as_ref(), SCHEMA).await.unwrap();
    let (catalog, _) = catalog(&database.url).await;

    let view = &catalog.relations[&name("book_view")];
    let sources: Vec<Option<String>> = view
        .view
        .as_ref()
        .unwrap()
        .sources
        .iter()
        .map(|source| {
            source
                .as_ref()
                .map(|source| format!("{}.{}", source.relation.name, source.column))
        })
        .collect();
    assert_eq!(
        sources,
        [
            Some("books.title".into()),
            Some("books.id".into()),
            Some("authors.id".into()),
            None
        ]
    );
    assert!(!view.insertable);
    let outer = &catalog.relations[&name("outer_view")];
    assert_eq!(
        outer.view.as_ref().unwrap().sources[1].as_ref().unwrap().relation,
        name("authors")
    );

    let from_authors = catalog.relationships_of(&name("authors"));
    assert!(from_authors.iter().any(|relationship| relationship.to == name("books")
        && matches!(relationship.kind, RelationshipKind::OneToMany { .. })));
    database.drop().await;
}

#[tokio::test]
async fn routines_have_their_arguments_defaults_and_results() {
    let Some(database) = TestDatabase::create().await else {
        return;
    };
    simple(connect(&database.url).await.as_ref(), SCHEMA).await.unwrap();
    let (catalog, _) = catalog(&database.url).await;

    let add = &catalog.routines[&name("add")][0];
    let arguments: Vec<(&str, bool, bool)> = add
        .arguments
        .iter()
        .map(|argument| (argument.name.as_str(), argument.default.is_some(), argument.variadic))
        .collect();
    assert_eq!(
        arguments,
        [("a", false, false), ("b", true, false), ("rest", true, true)]
    );
    assert_eq!(catalog.routines[&name("list")][0].returns.relation, Some(name("books")));
    let both = &catalog.routines[&name("both")][0].returns;
    assert_eq!(
        both.columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["x", "y"]
    );
    let pairs = &catalog.routines[&name("pairs")][0].returns;
    assert_eq!(
        (pairs.set, pairs.columns.len(), pairs.relation.is_none()),
        (true, 2, true)
    );
    database.drop().await;
}

/// PostgREST's own fixtures hold every odd thing; set `MAINSTAY_TEST_PGRST` to a database that has them.
#[tokio::test]
async fn the_full_conformance_fixtures_are_read() {
    let Some(url) = conformance_url() else { return };
    let start = std::time::Instant::now();
    let (catalog, _) = catalog(&url).await;
    eprintln!(
        "{} relations, {} routines, {} with relationships in {:?}",
        catalog.relations.len(),
        catalog.routines.len(),
        catalog.relationships.len(),
        start.elapsed()
    );
    let test = |name: &str| QualifiedName::new("test", name);
    assert!(catalog.relations[&test("projects_view")].view.as_ref().unwrap().sources[0].is_some());
    assert_eq!(catalog.relations[&test("projects_view")].primary_key(), [0]);
    assert!(catalog.relationships_of(&test("projects")).len() > 5);
}
