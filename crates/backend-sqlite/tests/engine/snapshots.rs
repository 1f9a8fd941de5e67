//! Reads: held snapshots are never stale, long reads leave the thread that asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use mainstay_backend_sqlite::connection::Allowance;
use mainstay_backend_sqlite::engine::Tried;
use mainstay_core::error::BackendError;

use crate::harness::{PLENTY, insert, number, open, sqlstate, write};

const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_read_sees_every_write_acknowledged_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Arc::new(open(&folder.path().join("data.db")));
    let acknowledged = Arc::new(AtomicI64::new(0));
    let mut tasks = Vec::new();
    for writer in 0..4 {
        let (engine, acknowledged) = (Arc::clone(&engine), Arc::clone(&acknowledged));
        tasks.push(tokio::spawn(async move {
            for row in 0..150 {
                insert(&engine, writer * 1_000 + row, "x").await.unwrap();
                acknowledged.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        }));
    }
    for _ in 0..4 {
        let (engine, acknowledged) = (Arc::clone(&engine), Arc::clone(&acknowledged));
        tasks.push(tokio::spawn(async move {
            for _ in 0..600 {
                let least = acknowledged.load(Ordering::SeqCst);
                let seen = number(&engine, "SELECT count(*) FROM t");
                assert!(seen >= least, "{seen} rows seen after {least} were acknowledged");
                tokio::task::yield_now().await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_read_leaves_the_thread_and_is_cancelled_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(&folder.path().join("data.db"));
    let run = |reader: &mut mainstay_backend_sqlite::reader::Reader| {
        reader
            .connection()
            .query_row(ENDLESS, [], |row| row.get::<_, i64>(0))
            .map_err(|error| BackendError::Internal(error.to_string()))
    };
    assert!(matches!(engine.read_here(None, run), Tried::TooLong));
    let error = engine
        .read_there(Allowance::of_time(Duration::from_millis(50)), run)
        .await
        .unwrap_err();
    assert_eq!(sqlstate(&error), "57014");
    let little = Allowance {
        cost: Some(10),
        ..PLENTY
    };
    assert!(matches!(engine.read_here(little.cost, run), Tried::TooLong));
    let error = engine.read_there(little, run).await.unwrap_err();
    assert!(matches!(error, BackendError::TooCostly { cost_max: 10 }), "{error:?}");
    insert(&engine, 1, "x").await.unwrap();
    assert_eq!(number(&engine, "SELECT count(*) FROM t"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_a_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(&folder.path().join("data.db"));
    let tried = engine.read_here(None, |_| -> Result<(), BackendError> { panic!("on purpose") });
    assert!(matches!(tried, Tried::Done(Err(BackendError::Internal(_)))));
    let there = engine
        .read_there(PLENTY, |_| -> Result<(), BackendError> { panic!("on purpose") })
        .await;
    assert!(matches!(there, Err(BackendError::Internal(_))));
    assert_eq!(number(&engine, "SELECT count(*) FROM t"), 0);
    write(&engine, "INSERT INTO t (id) VALUES (1)").await.unwrap();
    assert_eq!(number(&engine, "SELECT count(*) FROM t"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_thread_sees_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(&folder.path().join("data.db"));
    for id in 0..100 {
        insert(&engine, id, "x").await.unwrap();
        let seen = engine
            .read_there(PLENTY, |reader| {
                reader
                    .connection()
                    .query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0))
                    .map_err(|error| BackendError::Internal(error.to_string()))
            })
            .await
            .unwrap();
        assert_eq!(seen, id + 1);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_idle_snapshot_is_released() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(&folder.path().join("data.db"));
    assert_eq!(number(&engine, "SELECT count(*) FROM t"), 0);
    assert_eq!(engine.shared.slots.held(), 1);
    // Used since the last look, then not used any more; the keeper may have looked meanwhile.
    engine.shared.slots.release_idle();
    engine.shared.slots.release_idle();
    assert_eq!(engine.shared.slots.held(), 0);
    assert_eq!(number(&engine, "SELECT count(*) FROM t"), 0);
}

#[tokio::test(flavor = "current_thread")]
async fn a_foreign_writer_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.db");
    let engine = open(&path);
    insert(&engine, 1, "ours").await.unwrap();
    assert_eq!(number(&engine, "SELECT count(*) FROM t"), 1);
    let foreign = rusqlite::Connection::open(&path).unwrap();
    foreign.execute("INSERT INTO t VALUES (2, 'theirs')", []).unwrap();
    let commits = engine.shared.commits();
    insert(&engine, 3, "ours").await.unwrap();
    // One for the row, one for what was found.
    assert_eq!(engine.shared.commits(), commits + 2);
    assert_eq!(number(&engine, "SELECT count(*) FROM t"), 3);
}

#[tokio::test(flavor = "current_thread")]
async fn a_second_engine_on_the_same_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.db");
    let _engine = open(&path);
    let second = mainstay_backend_sqlite::engine::Engine::open(mainstay_backend_sqlite::Options::at(&path), |_| {
        Ok(mainstay_core::catalog::Catalog::empty(
            mainstay_core::catalog::Enforcement::Catalog,
        ))
    });
    let error = second.unwrap_err();
    assert!(
        error.to_string().contains("in use by another Mainstay process"),
        "{error}"
    );
}
