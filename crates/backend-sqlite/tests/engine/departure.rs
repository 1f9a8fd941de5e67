//! A move out of a file that is served: what is recorded, and who may write when.

use std::path::Path;
use std::time::Duration;

use mainstay_backend_sqlite::{Options, SqliteBackend};
use mainstay_core::backend::{Backend, Migration, QueryMode};
use mainstay_core::catalog::{ColumnIndex, Relation};
use mainstay_core::error::BackendError;
use mainstay_core::name::QualifiedName;
use mainstay_core::transfer::{Bounds, Phase, Rows, Written, WrittenSince, key};

const SCHEMA: &str = "
create table parents (id int primary key, name text not null unique);
create table children (code text primary key, parent int references parents (id) on delete cascade on update cascade);
create table loose (id int primary key, parent int references parents (id) on delete set null);
create table nameless (a int, b text);
create table stamped (id int primary key, touched int not null default 0);
create table untouched (id int primary key);
create function touch() returns trigger language plpgsql as $$ begin
  update loose set parent = null where id = 20; return null; end $$;
create trigger touch after update on stamped for each row execute function touch();
insert into parents values (1, 'a'), (2, 'b'), (3, 'c');
insert into children values ('one', 1), ('two', 2), ('three', 3);
insert into loose values (10, 3), (20, 2), (30, 3);
insert into nameless values (1, 'x');
insert into stamped values (1), (2);
";

async fn served(folder: &Path) -> SqliteBackend {
    let served = SqliteBackend::open(Options::at(folder.join("data.db"))).unwrap();
    served.migrate(&migration("20240101000000", SCHEMA)).await.unwrap();
    served
}

fn migration(version: &str, sql: &str) -> Migration {
    Migration {
        version: version.into(),
        name: "test".into(),
        sql: sql.into(),
    }
}

fn beside(folder: &Path) -> SqliteBackend {
    SqliteBackend::open_beside(Options::at(folder.join("data.db"))).unwrap()
}

async fn write(backend: &SqliteBackend, sql: &str) -> Result<(), BackendError> {
    backend.query(None, sql, QueryMode::ReadWrite).await.map(drop)
}

async fn number(backend: &SqliteBackend, sql: &str) -> String {
    let found = backend.query(None, sql, QueryMode::ReadOnly).await.unwrap();
    found.rows[0][0].clone().unwrap()
}

fn table(backend: &SqliteBackend, name: &str) -> std::sync::Arc<Relation> {
    backend
        .catalog()
        .relation(&QualifiedName::new("public", name))
        .unwrap()
        .clone()
}

fn texts(rows: &Rows) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    rows.each::<()>(|row| {
        let text =
            |value: &Option<&[u8]>| value.map_or("null".to_owned(), |bytes| String::from_utf8_lossy(bytes).into());
        found.push(row.iter().map(text).collect());
        Ok(())
    })
    .unwrap();
    found.sort();
    found
}

/// What `sql` leaves in the record: each table's keys before, and its rows that are there now.
async fn recorded(served: &SqliteBackend, mover: &SqliteBackend, sql: &str) -> Vec<String> {
    let before = mover.transfer().export().await.unwrap().mark().await.unwrap();
    write(served, sql).await.unwrap();
    let mut view = mover.transfer().export().await.unwrap();
    let mut found = Vec::new();
    for Written { relation, is_whole, .. } in view.written(&before).await.unwrap() {
        let relation = table(mover, &relation.name);
        if is_whole {
            found.push(format!("{}: any", relation.name.name));
            continue;
        }
        let key = key(&relation).unwrap();
        let former = view.former_keys(&relation, &key, &before).await.unwrap();
        let columns: Vec<ColumnIndex> = (0..relation.columns.len()).collect();
        let since = WrittenSince {
            mark: before.clone(),
            until: None,
        };
        let bounds = Bounds {
            rows: 100,
            bytes: 10_000,
        };
        let rows = view
            .read_written(&relation, &columns, &since, None, bounds)
            .await
            .unwrap()
            .rows;
        let list = |rows: &Rows| {
            texts(rows)
                .iter()
                .map(|row| row.join(","))
                .collect::<Vec<_>>()
                .join(" ")
        };
        found.push(format!(
            "{}: [{}] -> [{}]",
            relation.name.name,
            list(&former),
            list(&rows)
        ));
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_is_recorded_however_it_comes_about() {
    let folder = tempfile::tempdir().unwrap();
    let served = served(folder.path()).await;
    let mover = beside(folder.path());
    // A statement that was compiled before the move is compiled anew: emptying a table is not one change any more.
    write(&served, "insert into untouched values (1); delete from untouched")
        .await
        .unwrap();
    let departure = mover.transfer().leaving().depart("elsewhere", &[]).await.unwrap();
    assert_eq!(
        (departure.target.as_str(), departure.phase),
        ("elsewhere", Phase::Recording)
    );
    for (sql, expected) in [
        ("insert into parents values (4, 'd')", vec!["parents: [] -> [4,d]"]),
        (
            "update parents set name = 'e' where id = 4",
            vec!["parents: [4] -> [4,e]"],
        ),
        (
            "update parents set id = 5 where id = 1",
            vec!["children: [one] -> [one,5]", "parents: [1] -> [5,a]"],
        ),
        (
            "delete from parents where id = 2",
            vec![
                "children: [two] -> []",
                "loose: [20] -> [20,null]",
                "parents: [2] -> []",
            ],
        ),
        (
            "insert into parents values (3, 'z') on conflict (id) do update set name = excluded.name",
            vec!["parents: [3] -> [3,z]"],
        ),
        (
            "update children set code = 'uno' where code = 'one'",
            vec!["children: [one] -> [uno,5]"],
        ),
        ("update nameless set b = 'y'", vec!["nameless: any"]),
        ("insert into nameless values (2, 'z')", vec!["nameless: any"]),
        (
            "update stamped set touched = 1 where id = 1",
            vec!["loose: [20] -> [20,null]", "stamped: [1] -> [1,1]"],
        ),
        ("delete from stamped", vec!["stamped: [1 2] -> []"]),
        ("delete from loose", vec!["loose: [10 20 30] -> []"]),
        ("select 1", vec![]),
    ] {
        let found = recorded(&served, &mover, sql).await;
        assert_eq!(found, expected, "{sql}");
    }
    assert_eq!(
        recorded(&served, &mover, "insert into untouched values (2)").await,
        ["untouched: [] -> [2]"]
    );
    assert_eq!(
        recorded(&served, &mover, "delete from untouched").await,
        ["untouched: [2] -> []"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_starts_in_the_middle_goes_on_recording() {
    let folder = tempfile::tempdir().unwrap();
    let first = served(folder.path()).await;
    let mover = beside(folder.path());
    mover.transfer().leaving().depart("elsewhere", &[]).await.unwrap();
    first.close().await;
    let second = SqliteBackend::open(Options::at(folder.path().join("data.db"))).unwrap();
    let found = recorded(&second, &mover, "delete from stamped where id = 2").await;
    assert_eq!(found, ["stamped: [2] -> []"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_are_refused_while_they_are_held_and_after_the_move() {
    let folder = tempfile::tempdir().unwrap();
    let served = served(folder.path()).await;
    let mover = beside(folder.path());
    let leaving = mover.transfer().leaving();
    leaving.depart("elsewhere", &[]).await.unwrap();
    let insert = "insert into untouched values (7)";
    let change = async || {
        let refused = served
            .migrate(&migration("20240102000000", "create table t (id int)"))
            .await;
        refused.unwrap_err().to_string()
    };
    assert!(change().await.contains("is being moved to elsewhere"));
    let truncated = write(&served, "truncate untouched").await.unwrap_err();
    assert!(
        truncated.to_string().contains("is being moved to elsewhere"),
        "{truncated}"
    );

    let long = Duration::from_secs(60);
    let hold = leaving.hold(long).await.unwrap();
    let refused = write(&served, insert).await;
    assert!(
        matches!(refused, Err(BackendError::WritesHeld { is_moved: false })),
        "{refused:?}"
    );
    assert_eq!(number(&served, "select count(*) from untouched").await, "0");
    leaving.release(&hold).await.unwrap();
    write(&served, insert).await.unwrap();

    // A hold whose time is over ends with the next write, and cannot be used any more.
    let over = leaving.hold(Duration::ZERO).await.unwrap();
    write(&served, "insert into untouched values (8)").await.unwrap();
    let mark = mover.transfer().export().await.unwrap().mark().await.unwrap();
    for refused in [leaving.renew(&over, long).await, leaving.confirm(&over, &mark).await] {
        assert!(matches!(refused, Err(BackendError::Refused(error)) if error.sqlstate == "55000"));
    }

    // Neither can one after which something was written.
    write(&served, "insert into untouched values (9)").await.unwrap();
    let hold = leaving.hold(long).await.unwrap();
    assert!(leaving.confirm(&hold, &mark).await.is_err());
    let mark = mover.transfer().export().await.unwrap().mark().await.unwrap();
    leaving.confirm(&hold, &mark).await.unwrap();
    let refused = write(&served, insert).await;
    assert!(
        matches!(refused, Err(BackendError::WritesHeld { is_moved: true })),
        "{refused:?}"
    );
    assert_eq!(number(&served, "select count(*) from untouched").await, "3");
    assert!(change().await.contains("has been moved to elsewhere"));
    assert!(
        served
            .health()
            .await
            .unwrap()
            .warnings
            .iter()
            .any(|text| text.contains("moved to elsewhere"))
    );
    let elsewhere = leaving.depart("another place", &[]).await;
    assert!(
        elsewhere
            .unwrap_err()
            .to_string()
            .contains("is being moved to elsewhere")
    );

    assert_eq!(leaving.abandon().await.unwrap().unwrap().phase, Phase::Moved);
    write(&served, "insert into untouched values (10)").await.unwrap();
    served
        .migrate(&migration("20240102000000", "create table t (id int)"))
        .await
        .unwrap();
    let warnings = served.health().await.unwrap().warnings;
    assert!(warnings.is_empty(), "a mover is no foreign writer: {warnings:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_move_at_a_time_has_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let _served = served(folder.path()).await;
    let _mover = beside(folder.path());
    let second = SqliteBackend::open_beside(Options::at(folder.path().join("data.db")));
    assert!(second.unwrap_err().to_string().contains("in use"));
}
