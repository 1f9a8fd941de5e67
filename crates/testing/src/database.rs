//! A database of a test's own.

use std::path::Path;

use crate::engine::postgres_url;
use crate::server::{create_database, drop_database};

/// An empty database that goes with this value.
pub struct Database {
    name: String,
}

impl Database {
    /// Makes one on the server for tests, which must be there.
    pub async fn create() -> Self {
        Database {
            name: create_database().await,
        }
    }

    /// Its URL, as a superuser.
    pub fn url(&self) -> String {
        let (server, _) = postgres_url().unwrap().rsplit_once('/').unwrap();
        format!("{server}/{}", self.name)
    }

    /// Runs statements on it.
    pub async fn run(&self, sql: &str) {
        run_at(&self.url(), sql).await;
    }
}

/// Runs statements on the database at `url`.
pub async fn run_at(url: &str, sql: &str) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    client
        .batch_execute(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    drop(client);
    let _ = driver.await;
}

/// The first value of a query's first row on the database at `url`; `None` where there is no row, or the query fails.
pub async fn postgres_value(url: &str, sql: &str) -> Option<String> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.ok()?;
    let driver = tokio::spawn(connection);
    let found = client.simple_query(sql).await;
    drop(client);
    let _ = driver.await;
    found.ok()?.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}

/// The same on an SQLite file, which others may have open. The value is to be a text.
pub fn sqlite_value(path: &Path, sql: &str) -> Option<String> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = rusqlite::Connection::open_with_flags(path, flags).ok()?;
    opened.query_row(sql, [], |row| row.get(0)).ok()
}

impl Drop for Database {
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        // Dropping happens inside a runtime, which must not be blocked: a thread with its own does it.
        let _ = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(drop_database(&name));
        })
        .join();
    }
}

/// Makes an SQLite file as another program would, by statements in SQLite's own dialect.
pub fn sqlite_file(path: &Path, sql: &str) {
    let made = rusqlite::Connection::open(path).unwrap();
    // As most programs have it; the library here would insist on foreign keys.
    made.pragma_update(None, "foreign_keys", false).unwrap();
    made.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}
