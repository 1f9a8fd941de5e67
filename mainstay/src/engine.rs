//! Chooses the database engine from a URL. The only place that names both.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mainstay_backend_postgres::{self as postgres, PostgresBackend};
use mainstay_backend_sqlite::{self as sqlite, SqliteBackend};
use mainstay_core::backend::Backend;
use mainstay_core::name::Ident;

use crate::config::{Config, Grants, Synchronous};

/// Where the data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// One file.
    Sqlite(PathBuf),
    /// A server's URL, which may hold a password.
    Postgres(String),
}

/// The URL names no engine that there is.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is neither sqlite:PATH nor postgres://…")]
pub struct BadDatabaseUrl(String);

impl Database {
    /// Reads `sqlite:PATH` (relative to the project) or `postgres://…`; nothing given means the project's own file.
    pub fn parse(url: Option<&str>, config: &Config) -> Result<Self, BadDatabaseUrl> {
        let configured = config.rest.database_url.as_ref().map(|url| url.expose().as_str());
        let Some(url) = url.or(configured) else {
            return Ok(Database::Sqlite(config.data_dir().join("data.db")));
        };
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = Path::new(path.strip_prefix("//").unwrap_or(path));
            return Ok(Database::Sqlite(if path.is_absolute() {
                path.to_owned()
            } else {
                config.root.join(path)
            }));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Database::Postgres(url.to_owned()));
        }
        // The rest of the URL stays out of the message: it may hold a password.
        Err(BadDatabaseUrl(url.split(':').next().unwrap_or_default().to_owned()))
    }

    /// What people may see of it.
    pub fn describe(&self) -> String {
        match self {
            Database::Sqlite(path) => format!("sqlite:{}", path.display()),
            Database::Postgres(url) => {
                let host = url
                    .rsplit('@')
                    .next()
                    .unwrap_or_default()
                    .trim_start_matches("postgresql://");
                format!("postgres://{}", host.trim_start_matches("postgres://"))
            }
        }
    }
}

/// Why an engine could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{0}")]
    Sqlite(#[from] sqlite::OpenError),
    #[error("{0}")]
    Postgres(#[from] postgres::OpenError),
    #[error("cannot make {path}: {source}")]
    Folder { path: PathBuf, source: std::io::Error },
}

/// Opens the engine with the project's settings.
pub async fn open(database: &Database, config: &Config) -> Result<Arc<dyn Backend>, OpenError> {
    open_with(database, config, !config.rest.own_roles).await
}

/// Opens a database that is moved away from, and that another process may be serving.
pub async fn open_source(database: &Database, config: &Config) -> Result<Arc<dyn Backend>, OpenError> {
    let Database::Sqlite(path) = database else {
        return open(database, config).await;
    };
    // A file that nobody has is brought to this version first.
    match open(database, config).await {
        Ok(backend) => backend.close().await,
        Err(OpenError::Sqlite(sqlite::OpenError::InUse { .. })) => {}
        Err(error) => return Err(error),
    }
    let options = sqlite::Options {
        statement_timeout: Duration::from_millis(config.statement_timeout_ms),
        ..sqlite::Options::at(path)
    };
    Ok(Arc::new(SqliteBackend::open_beside(options)?))
}

/// Opens a database of others: roles and schemas that it lacks are not made in it.
pub async fn open_as_it_is(database: &Database, config: &Config) -> Result<Arc<dyn Backend>, OpenError> {
    open_with(database, config, false).await
}

async fn open_with(database: &Database, config: &Config, is_prepared: bool) -> Result<Arc<dyn Backend>, OpenError> {
    let is_classic = config.grants == Grants::Classic;
    let statement_timeout = Duration::from_millis(config.statement_timeout_ms);
    match database {
        Database::Sqlite(path) => {
            if let Some(dir) = path.parent() {
                crate::keyring::create_private_dir(dir).map_err(|source| OpenError::Folder {
                    path: dir.to_owned(),
                    source,
                })?;
            }
            let options = sqlite::Options {
                synchronous: match config.synchronous {
                    Synchronous::Full => sqlite::Synchronous::Full,
                    Synchronous::Normal => sqlite::Synchronous::Normal,
                },
                statement_timeout,
                cost_limits: config.costs.clone(),
                default_grants: Some(if is_classic {
                    sqlite::DefaultGrants::Classic
                } else {
                    sqlite::DefaultGrants::Closed
                }),
                ..sqlite::Options::at(path)
            };
            Ok(Arc::new(SqliteBackend::open(options)?))
        }
        Database::Postgres(url) => {
            let settings = |(name, value): &(String, String)| (format!("app.settings.{name}"), value.clone());
            let options = postgres::Options {
                statement_timeout: Some(statement_timeout),
                cost_limits: config.costs.clone(),
                schemas: config.rest.schemas.iter().map(Ident::new).collect(),
                extra_search_path: config.rest.extra_search_path.iter().map(Ident::new).collect(),
                app_settings: config.rest.app_settings.iter().map(settings).collect(),
                bootstrap: match (is_prepared, is_classic) {
                    (false, _) => None,
                    (true, true) => Some(postgres::Grants::Classic),
                    (true, false) => Some(postgres::Grants::Closed),
                },
                ..postgres::Options::new(url)
            };
            Ok(Arc::new(PostgresBackend::open(options).await?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let url = "postgres://me:secret@db.example:5432/app";
        assert_eq!(
            Database::Postgres(url.into()).describe(),
            "postgres://db.example:5432/app"
        );
    }

    #[test]
    fn urls_choose_the_engine() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::load(dir.path()).unwrap();
        let own = dir.path().join(".mainstay/data.db");
        assert_eq!(Database::parse(None, &config).unwrap(), Database::Sqlite(own));
        assert_eq!(
            Database::parse(Some("sqlite:x.db"), &config).unwrap(),
            Database::Sqlite(dir.path().join("x.db"))
        );
        assert!(
            Database::parse(Some("mysql://secret@x"), &config)
                .unwrap_err()
                .to_string()
                .contains("`mysql`")
        );
    }
}
