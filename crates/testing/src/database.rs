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
        let (client, connection) = tokio_postgres::connect(&self.url(), tokio_postgres::NoTls)
            .await
            .unwrap();
        let driver = tokio::spawn(connection);
        client
            .batch_execute(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        drop(client);
        let _ = driver.await;
    }
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
