//! Databases that live for one command: where migrations are tried beside the real one.

use mainstay_core::error::BackendError;

use crate::console::simple;
use crate::render::sql::quoted;
use crate::wire::{Connection, Target};

/// An empty database on the same server. It must be dropped by [`ScratchDatabase::drop_database`], whatever happened.
#[derive(Debug)]
pub struct ScratchDatabase {
    admin: Target,
    name: String,
    url: String,
}

impl ScratchDatabase {
    /// Makes it. Errors: 42501 without the right to make databases.
    pub async fn create(url: &str) -> Result<Self, BackendError> {
        let admin = Target::parse(url).map_err(|error| BackendError::Unavailable {
            reason: error.to_string(),
        })?;
        let connection = connect(&admin).await?;
        let moment = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos());
        let name = format!("mainstay_shadow_{}_{moment}", std::process::id());
        // The same encoding and order of texts, and none of the objects.
        let create = format!(
            "SELECT format('CREATE DATABASE {} TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L',
                pg_encoding_to_char(encoding), datcollate, datctype) FROM pg_database WHERE datname = current_database()",
            quoted(&name)
        );
        let steps = simple(&connection, &create).await?;
        let text = crate::console::as_table(steps.last());
        let text = text.rows.into_iter().flatten().flatten().next().unwrap_or_default();
        let made = simple(&connection, &text).await;
        connection.close();
        made?;
        Ok(ScratchDatabase {
            url: with_database(url, &name),
            admin,
            name,
        })
    }

    /// How to reach it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Drops it, whoever is connected.
    pub async fn drop_database(self) -> Result<(), BackendError> {
        let connection = connect(&self.admin).await?;
        let dropped = simple(
            &connection,
            &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(&self.name)),
        )
        .await;
        connection.close();
        dropped.map(drop)
    }
}

async fn connect(target: &Target) -> Result<std::sync::Arc<Connection>, BackendError> {
    Connection::open(target, false, None)
        .await
        .map_err(|error| BackendError::Unavailable {
            reason: error.to_string(),
        })
}

/// The URL with another database.
fn with_database(url: &str, name: &str) -> String {
    let (head, options) = match url.split_once('?') {
        Some((head, options)) => (head, Some(options)),
        None => (url, None),
    };
    let after_scheme = head.find("://").map_or(0, |at| at + 3);
    let server = match head[after_scheme..].find('/') {
        Some(at) => &head[..after_scheme + at],
        None => head,
    };
    let mut made = [server, "/", name].concat();
    if let Some(options) = options {
        made.push('?');
        made.push_str(options);
    }
    made
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn only_the_database_of_a_url_changes() {
        assert_eq!(
            with_database("postgres://me:pw@h:5/app?sslmode=require", "x"),
            "postgres://me:pw@h:5/x?sslmode=require"
        );
        assert_eq!(with_database("postgres://h", "x"), "postgres://h/x");
    }
}
