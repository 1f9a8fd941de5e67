//! Indexes of full text search: what they find is what a scan finds, whatever has happened to the rows and the table.

use mainstay_backend_sqlite::SqliteBackend;
use mainstay_core::backend::{Backend, QueryMode};
use rusqlite::Connection;

use crate::plans::backend;

/// The same rows with and without indexes. `kind` is half of the words, so that queries find many and few.
const FIXTURE: &str = "
CREATE TABLE shelves (id int PRIMARY KEY);
INSERT INTO shelves SELECT generate_series(1, 5);
CREATE TABLE docs (id bigint PRIMARY KEY, shelf int REFERENCES shelves ON DELETE CASCADE ON UPDATE CASCADE, body text,
    words tsvector GENERATED ALWAYS AS (to_tsvector('english', coalesce(body, ''))) STORED, raw tsvector);
CREATE INDEX docs_words ON docs USING gin (words);
CREATE INDEX docs_body ON docs USING gin (to_tsvector('simple', body), raw);
CREATE TABLE plain (id bigint PRIMARY KEY, shelf int REFERENCES shelves ON DELETE CASCADE ON UPDATE CASCADE, body text,
    words tsvector GENERATED ALWAYS AS (to_tsvector('english', coalesce(body, ''))) STORED, raw tsvector);
";

const QUERIES: &[&str] = &[
    "cat",
    "cats & dogs",
    "cat | bird",
    "!cat",
    "cat & !dog",
    "cat | !dog",
    "b:*",
    "cat <-> dog",
    "cat <2> fish",
    "foo-bar",
    "Über",
    "x.example.com",
    "cat:A",
    "'it''s'",
    "",
];

async fn run(backend: &SqliteBackend, sql: &str) -> Vec<Vec<Option<String>>> {
    match backend.query(None, sql, QueryMode::ReadWrite).await {
        Ok(result) => result.rows,
        Err(error) => panic!("{sql}: {error:?}"),
    }
}

/// The same statements on both tables.
async fn both(backend: &SqliteBackend, sql: &str) {
    for table in ["docs", "plain"] {
        run(backend, &sql.replace("TABLE", table)).await;
    }
}

/// Every query finds the same rows in both, and some find some.
async fn compare(backend: &SqliteBackend, table: &str, when: &str) {
    let mut found = 0;
    for query in QUERIES {
        let quoted = query.replace('\'', "''");
        for condition in [
            format!("words @@ to_tsquery('english', '{quoted}')"),
            format!("to_tsquery('english', '{quoted}') @@ words AND id > 0"),
            format!("to_tsvector('simple', body) @@ to_tsquery('simple', '{quoted}')"),
            format!("raw @@ '{quoted}'::tsquery"),
            format!("NOT words @@ to_tsquery('english', '{quoted}')"),
            format!("words @@ to_tsquery('english', '{quoted}') OR shelf = 2"),
        ] {
            let ids = |table: &str| format!("SELECT id FROM {table} WHERE {condition} ORDER BY id");
            let (indexed, scanned) = (run(backend, &ids(table)).await, run(backend, &ids("plain")).await);
            assert_eq!(indexed, scanned, "{when}: {condition}");
            found += indexed.len();
        }
    }
    assert!(found > 100, "{when}: only {found} rows were found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_indexed_is_found_after_whatever_happened() {
    let folder = tempfile::tempdir().unwrap();
    let backend = backend(&folder, FIXTURE).await;
    let body = "(array['cat dog', 'cats fish', 'bird foo-bar', 'dogs and cats', 'Über x.example.com', 'big cat dogs', 'it''s', ''])[1 + i % 8]";
    both(
        &backend,
        &format!(
            "INSERT INTO TABLE (id, shelf, body, raw) SELECT i, 1 + i % 5, CASE WHEN i % 11 > 0 THEN {body} END,
             CASE WHEN i % 7 > 0 THEN setweight(to_tsvector('simple', {body}), 'A') END FROM generate_series(1, 200) i"
        ),
    )
    .await;
    compare(&backend, "docs", "inserted").await;
    both(&backend, "UPDATE TABLE SET body = 'a fish, a cat' WHERE id % 9 = 0").await;
    compare(&backend, "docs", "updated").await;
    both(
        &backend,
        "UPDATE TABLE SET id = id + 1000, raw = NULL WHERE id % 10 = 3",
    )
    .await;
    compare(&backend, "docs", "renumbered").await;
    both(&backend, "DELETE FROM TABLE WHERE id % 6 = 0").await;
    compare(&backend, "docs", "deleted").await;
    both(
        &backend,
        "INSERT INTO TABLE (id, body) VALUES (1, 'bird'), (2, 'dog'), (9001, 'cat bird') ON CONFLICT (id) DO UPDATE SET body = excluded.body",
    )
    .await;
    compare(&backend, "docs", "upserted").await;
    run(&backend, "UPDATE shelves SET id = 50 WHERE id = 2").await;
    run(&backend, "DELETE FROM shelves WHERE id = 3").await;
    compare(&backend, "docs", "cascaded").await;
    let failed = "INSERT INTO docs (id, body) VALUES (70001, 'cat'), (1, 'cat')";
    assert!(backend.query(None, failed, QueryMode::ReadWrite).await.is_err());
    compare(&backend, "docs", "rolled back").await;

    for change in [
        "ALTER TABLE docs ADD COLUMN note text DEFAULT 'x'",
        "ALTER TABLE docs ADD CONSTRAINT small CHECK (id < 1000000)",
        "ALTER TABLE docs ALTER COLUMN shelf TYPE bigint",
        "ALTER TABLE docs RENAME COLUMN body TO text; ALTER TABLE docs RENAME COLUMN text TO body",
        "ALTER TABLE docs DROP COLUMN note",
        "ALTER INDEX docs_words RENAME TO docs_words_again",
        "ALTER TABLE docs DROP CONSTRAINT docs_pkey",
        "ALTER TABLE docs ADD PRIMARY KEY (id)",
        "CREATE SCHEMA library; ALTER TABLE docs SET SCHEMA library; ALTER TABLE library.docs SET SCHEMA public",
        "ALTER TABLE docs RENAME TO papers",
    ] {
        run(&backend, change).await;
        let table = if change.ends_with("papers") { "papers" } else { "docs" };
        compare(&backend, table, change).await;
    }
    run(&backend, "INSERT INTO papers (id, body) VALUES (80001, 'a cat')").await;
    run(&backend, "INSERT INTO plain (id, body) VALUES (80001, 'a cat')").await;
    compare(&backend, "papers", "inserted into the renamed table").await;
    run(&backend, "TRUNCATE papers").await;
    let all = "SELECT id FROM papers WHERE words @@ to_tsquery('cat | !cat')";
    assert!(run(&backend, all).await.is_empty());
}

/// Tables and triggers of indexes in the file, and the steps of a statement's plan.
fn objects(folder: &tempfile::TempDir) -> Vec<String> {
    let file = Connection::open(folder.path().join("data.db")).unwrap();
    let mut statement = file
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger' OR sql LIKE 'CREATE VIRTUAL%' ORDER BY name")
        .unwrap();
    let names = statement.query_map([], |row| row.get(0)).unwrap();
    names.map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_comes_and_goes_with_what_it_is_of() {
    let folder = tempfile::tempdir().unwrap();
    let backend = backend(&folder, FIXTURE).await;
    let names = |index: &str| -> Vec<String> {
        ["", ":d", ":i", ":u"]
            .iter()
            .map(|end| format!("_ms_words:{index}{end}"))
            .collect()
    };
    let all = [names("docs_body:0"), names("docs_body:1"), names("docs_words:0")].concat();
    assert_eq!(objects(&folder), all);
    run(&backend, "DROP INDEX docs_body").await;
    assert_eq!(objects(&folder), names("docs_words:0"));
    run(
        &backend,
        "CREATE INDEX partial ON docs USING gin (words) WHERE shelf = 1; CREATE INDEX other ON docs (words)",
    )
    .await;
    assert_eq!(objects(&folder), names("docs_words:0"));
    run(&backend, "ALTER TABLE docs DROP COLUMN words").await;
    assert!(objects(&folder).is_empty());
    run(&backend, "CREATE INDEX again ON docs USING gist (raw)").await;
    assert_eq!(objects(&folder), names("again:0"));
    run(&backend, "DROP TABLE docs").await;
    assert!(objects(&folder).is_empty());
    run(&backend, "CREATE INDEX again ON plain USING gin (raw)").await;
    backend.reset().await.unwrap();
    assert!(objects(&folder).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_without_its_indexes_gets_them_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let made = backend(&folder, FIXTURE).await;
    run(&made, "INSERT INTO docs (id, body) VALUES (1, 'a cat'), (2, 'a dog')").await;
    let wanted = objects(&folder);
    made.close().await;
    drop(made);
    let file = Connection::open(folder.path().join("data.db")).unwrap();
    file.execute_batch(
        "DROP TRIGGER \"_ms_words:docs_words:0:i\"; DROP TABLE \"_ms_words:docs_words:0\";
         CREATE TRIGGER intruder AFTER INSERT ON docs BEGIN DELETE FROM docs; END;",
    )
    .unwrap();
    drop(file);
    let opened = SqliteBackend::open(mainstay_backend_sqlite::Options::at(folder.path().join("data.db"))).unwrap();
    assert_eq!(objects(&folder), wanted);
    run(&opened, "INSERT INTO docs (id, body) VALUES (3, 'cats')").await;
    let found = run(
        &opened,
        "SELECT id FROM docs WHERE words @@ to_tsquery('cat') ORDER BY id",
    )
    .await;
    assert_eq!(found, [[Some("1".to_owned())], [Some("3".to_owned())]]);
}
