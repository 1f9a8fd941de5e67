//! Broken constraints in PostgreSQL's words, through the console.

use mainstay_backend_sqlite::SqliteBackend;
use mainstay_core::backend::{Backend, QueryMode};
use mainstay_core::error::{BackendError, DatabaseError};

use crate::plans::backend;

const FIXTURE: &str = "
CREATE TABLE p (id int PRIMARY KEY, code text UNIQUE, a int, b int, UNIQUE (a, b));
CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p (id), code text REFERENCES p (code) ON DELETE RESTRICT,
    size int NOT NULL DEFAULT 1 CHECK (size > 0), pa int, pb int, FOREIGN KEY (pa, pb) REFERENCES p (a, b));
CREATE TABLE late (p int REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED);
CREATE UNIQUE INDEX p_lower ON p (lower(code));
INSERT INTO p VALUES (1, 'one', 1, 1), (2, 'two', 2, 2), (3, 'three', 3, 3);
INSERT INTO c (id, p) VALUES (1, 1);
INSERT INTO c (id, code) VALUES (2, 'two');
";

async fn refused(backend: &SqliteBackend, sql: &str) -> DatabaseError {
    match backend.query(None, sql, QueryMode::ReadWrite).await {
        Err(BackendError::Refused(error)) => *error,
        other => panic!("{sql}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn constraints_are_named_as_postgresql_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let backend = backend(&folder, FIXTURE).await;
    for (sql, sqlstate, message, detail) in [
        (
            "INSERT INTO p (id) VALUES (1)",
            "23505",
            "duplicate key value violates unique constraint \"p_pkey\"",
            Some("Key (id)=(1) already exists."),
        ),
        (
            "INSERT INTO p VALUES (9, 'nine', 2, 2)",
            "23505",
            "duplicate key value violates unique constraint \"p_a_b_key\"",
            Some("Key (a, b)=(2, 2) already exists."),
        ),
        (
            "INSERT INTO c (id, size) VALUES (9, NULL)",
            "23502",
            "null value in column \"size\" of relation \"c\" violates not-null constraint",
            Some("Failing row contains (9, null, null, null, null, null)."),
        ),
        (
            "INSERT INTO c (id, size) VALUES (9, 0)",
            "23514",
            "new row for relation \"c\" violates check constraint \"c_size_check\"",
            Some("Failing row contains (9, null, null, 0, null, null)."),
        ),
        (
            "INSERT INTO c (id, p) VALUES (9, 99)",
            "23503",
            "insert or update on table \"c\" violates foreign key constraint \"c_p_fkey\"",
            Some("Key (p)=(99) is not present in table \"p\"."),
        ),
        (
            "INSERT INTO c (id, pa, pb) VALUES (9, 1, 2)",
            "23503",
            "insert or update on table \"c\" violates foreign key constraint \"c_pa_pb_fkey\"",
            Some("Key (pa, pb)=(1, 2) is not present in table \"p\"."),
        ),
        (
            "DELETE FROM p WHERE id = 1",
            "23503",
            "update or delete on table \"p\" violates foreign key constraint \"c_p_fkey\" on table \"c\"",
            Some("Key (id)=(1) is still referenced from table \"c\"."),
        ),
        (
            "DELETE FROM p WHERE id = 2",
            "23503",
            "update or delete on table \"p\" violates foreign key constraint \"c_code_fkey\" on table \"c\"",
            Some("Key (code)=(two) is still referenced from table \"c\"."),
        ),
        (
            "UPDATE p SET id = 7 WHERE id = 1",
            "23503",
            "update or delete on table \"p\" violates foreign key constraint \"c_p_fkey\" on table \"c\"",
            Some("Key (id)=(1) is still referenced from table \"c\"."),
        ),
        (
            "INSERT INTO late VALUES (99)",
            "23503",
            "insert or update on table \"late\" violates foreign key constraint \"late_p_fkey\"",
            Some("Key (p)=(99) is not present in table \"p\"."),
        ),
    ] {
        let error = refused(&backend, sql).await;
        assert_eq!(error.sqlstate, sqlstate, "{sql}: {error:?}");
        assert_eq!(error.message, message, "{sql}");
        assert_eq!(error.detail.as_deref(), detail, "{sql}");
    }
    let rows = backend
        .query(None, "SELECT count(*) FROM p", QueryMode::ReadOnly)
        .await
        .unwrap()
        .rows;
    assert_eq!(rows, [[Some("3".to_owned())]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expression_index_names_itself() {
    let folder = tempfile::tempdir().unwrap();
    let backend = backend(&folder, FIXTURE).await;
    let error = refused(&backend, "INSERT INTO p (id, code) VALUES (9, 'ONE')").await;
    assert_eq!(error.sqlstate, "23505");
    assert_eq!(
        error.message,
        "duplicate key value violates unique constraint \"p_lower\""
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deferred_key_may_be_broken_in_between() {
    let folder = tempfile::tempdir().unwrap();
    let backend = backend(&folder, FIXTURE).await;
    backend
        .query(
            None,
            "INSERT INTO late VALUES (50); INSERT INTO p (id) VALUES (50)",
            QueryMode::ReadWrite,
        )
        .await
        .unwrap();
}
