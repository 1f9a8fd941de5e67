//! Writes: shared commits, and what one failing request does to the others.

use std::sync::Arc;
use std::time::Duration;

use mainstay_backend_sqlite::Options;
use mainstay_backend_sqlite::connection::Allowance;
use mainstay_core::error::BackendError;
use mainstay_core::plan::Outcome;

use crate::harness::{PLENTY, insert, number, open, open_with, sqlstate, write, write_for};

/// Counts its rows for ever.
const ENDLESS: &str = "INSERT INTO t (who) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
     SELECT 'endless' FROM n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_requests_share_commits() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Arc::new(open(&folder.path().join("data.db")));
    let before = engine.shared.commits();
    let mut tasks = Vec::new();
    for id in 0..2_000 {
        let engine = Arc::clone(&engine);
        tasks.push(tokio::spawn(async move { insert(&engine, id, "x").await.map(|_| ()) }));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let commits = engine.shared.commits() - before;
    assert_eq!(number(&engine, "SELECT count(*) FROM t"), 2_000);
    assert!(commits < 1_000, "{commits} commits for 2,000 requests");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_request_takes_nobody_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Arc::new(open(&folder.path().join("data.db")));
    insert(&engine, 1, "first").await.unwrap();
    let mut tasks = Vec::new();
    for id in 1..=50 {
        let engine = Arc::clone(&engine);
        tasks.push(tokio::spawn(async move { insert(&engine, id, "x").await.is_ok() }));
    }
    let mut accepted = 0;
    for task in tasks {
        accepted += i64::from(task.await.unwrap());
    }
    assert_eq!(accepted, 49);
    assert_eq!(number(&engine, "SELECT count(*) FROM t"), 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_costs_too_much_is_undone_and_the_writer_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(&folder.path().join("data.db"));
    let little = Allowance {
        cost: Some(100),
        ..PLENTY
    };
    for sql in [
        ENDLESS,
        "INSERT INTO t (who) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000000) SELECT i FROM n",
    ] {
        let refused = write_for(&engine, sql, little).await.unwrap_err();
        assert!(
            matches!(refused, BackendError::TooCostly { cost_max: 100 }),
            "{refused:?}"
        );
        assert_eq!(number(&engine, "SELECT count(*) FROM t"), 0);
    }
    write_for(&engine, "INSERT INTO t (id) VALUES (1)", little)
        .await
        .unwrap();
    assert_eq!(number(&engine, "SELECT count(*) FROM t"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_runs_too_long_is_cancelled_and_the_others_stand() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Arc::new(open(&folder.path().join("data.db")));
    let mut tasks = Vec::new();
    for id in 1..=20 {
        let engine = Arc::clone(&engine);
        tasks.push(tokio::spawn(async move {
            if id == 10 {
                write_for(&engine, ENDLESS, Allowance::of_time(Duration::from_millis(50))).await
            } else {
                insert(&engine, id, "x").await
            }
        }));
    }
    let mut refused = Vec::new();
    for task in tasks {
        refused.extend(task.await.unwrap().err());
    }
    assert_eq!(refused.len(), 1);
    assert_eq!(sqlstate(&refused[0]), "57014");
    assert_eq!(refused[0].to_string(), "canceling statement due to statement timeout");
    assert_eq!(number(&engine, "SELECT count(*) FROM t"), 19);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_a_write_is_an_error_and_the_writer_lives() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(&folder.path().join("data.db"));
    let work = Box::new(|connection: &rusqlite::Connection| -> Result<Outcome, BackendError> {
        connection.execute("INSERT INTO t (id) VALUES (7)", []).unwrap();
        panic!("on purpose");
    });
    let error = engine.write(0, PLENTY, false, work).await.unwrap_err();
    assert!(matches!(error, BackendError::Internal(_)), "{error:?}");
    insert(&engine, 8, "after").await.unwrap();
    assert_eq!(number(&engine, "SELECT sum(id) FROM t"), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_keeps_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        pages_max: Some(40),
        ..Options::at(folder.path().join("data.db"))
    };
    let engine = open_with(options);
    insert(&engine, 1, "kept").await.unwrap();
    let big = write(&engine, "INSERT INTO t (who) SELECT hex(zeroblob(100000))")
        .await
        .unwrap_err();
    assert_eq!(sqlstate(&big), "53100");
    insert(&engine, 2, "still works").await.unwrap();
    assert_eq!(number(&engine, "SELECT count(*) FROM t"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_may_be_rolled_back_after_it_succeeded() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(&folder.path().join("data.db"));
    let work = Box::new(|connection: &rusqlite::Connection| {
        connection.execute("INSERT INTO t (id) VALUES (7)", []).unwrap();
        Ok(Outcome {
            affected: 1,
            ..Outcome::default()
        })
    });
    assert_eq!(engine.write(0, PLENTY, true, work).await.unwrap().affected, 1);
    assert_eq!(number(&engine, "SELECT count(*) FROM t"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_for_an_old_catalog_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(&folder.path().join("data.db"));
    let work = Box::new(|_: &rusqlite::Connection| Ok(Outcome::default()));
    let error = engine.write(99, PLENTY, false, work).await.unwrap_err();
    assert!(matches!(error, BackendError::StaleCatalog), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_engine_says_so_and_gives_the_file_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.db");
    let engine = open(&path);
    insert(&engine, 1, "x").await.unwrap();
    engine.close();
    let error = insert(&engine, 2, "x").await.unwrap_err();
    assert!(matches!(error, BackendError::Unavailable { .. }), "{error:?}");
    let again = open(&path);
    assert_eq!(number(&again, "SELECT count(*) FROM t"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_starts_over_beside_readers_that_hold_snapshots() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.db");
    let engine = open(&path);
    // About 20,000 pages in all, more than the log may keep.
    for id in 0..200 {
        write(&engine, "INSERT INTO t (who) SELECT hex(randomblob(200000))")
            .await
            .unwrap();
        assert_eq!(number(&engine, "SELECT count(*) FROM t"), id + 1);
    }
    let log = std::fs::metadata(folder.path().join("data.db-wal")).unwrap().len();
    assert!(log < 80 << 20, "the log has {log} bytes");
}
