//! A database that lives for one command: a file in a scratch folder, or a database on a PostgreSQL server.

use mainstay_backend_postgres::ScratchDatabase;

use super::CommandError;
use crate::engine::Database;

/// Does `work` on an empty database of the engine of `like`, which is not touched itself. It is gone afterwards,
/// whatever happened.
pub async fn with_scratch<T>(
    like: &Database,
    work: impl AsyncFnOnce(&Database) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    match like {
        Database::Sqlite(_) => {
            let scratch =
                tempfile::tempdir().map_err(|error| CommandError::Other(format!("no scratch folder: {error}")))?;
            work(&Database::Sqlite(scratch.path().join("scratch.db"))).await
        }
        Database::Postgres(url) => {
            let scratch = ScratchDatabase::create(url).await?;
            let database = Database::Postgres(scratch.url().to_owned());
            // Asked to stop, it still cleans up.
            let result = tokio::select! {
                result = work(&database) => result,
                _ = tokio::signal::ctrl_c() => Err(CommandError::Other("interrupted".to_owned())),
            };
            let dropped = scratch.drop_database().await;
            let done = result?;
            dropped?;
            Ok(done)
        }
    }
}
