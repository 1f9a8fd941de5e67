//! The backend against a real server; see [`crate::testing`].

mod calls;
mod cluster;
mod platform;
mod reads;
mod sharing;
mod writes;

use mainstay_core::backend::{Backend, QueryMode};

use crate::PostgresBackend;
use crate::testing::TestDatabase;

/// A database with `schema` in it, open to anon.
async fn opened(schema: &str) -> Option<(TestDatabase, PostgresBackend)> {
    let database = TestDatabase::create().await?;
    let backend = database.backend().await;
    backend.query(None, schema, QueryMode::ReadWrite).await.unwrap();
    Some((database, backend))
}

/// Closes both.
async fn done(database: TestDatabase, backend: PostgresBackend) {
    backend.close().await;
    drop(backend);
    database.drop().await;
}

fn text(body: &[u8]) -> &str {
    std::str::from_utf8(body).unwrap()
}
