//! Migrations: applied whole or not at all, recorded with their text.
//!
//! Not here: which files there are and in which order they run (`schema`, the room).

use std::sync::Arc;

use mainstay_core::backend::{AppliedMigration, Migration, MigrationError, Watch};
use mainstay_core::catalog::{Catalog, RelationKind};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_sql::ddl::DefaultGrants;
use mainstay_sql::platform::is_platform_schema;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::script::{self, Failure};
use super::store::{self, MIGRATIONS_SCHEMA, broken};
use super::{documents, platform};
use crate::emit::writer::SqlWriter;

/// Applies one migration and records it, in one transaction. Gives the catalog to publish.
///
/// Errors: the failing statement with its number and line; then the file is as it was.
pub fn migrate(
    conn: &mut Connection,
    catalog: &Arc<Catalog>,
    migration: &Migration,
) -> Result<Catalog, MigrationError> {
    migrate_watched(conn, catalog, migration, None)
}

/// The same, telling how far copies of rows have come.
pub fn migrate_watched(
    conn: &mut Connection,
    catalog: &Arc<Catalog>,
    migration: &Migration,
    watch: Option<Watch>,
) -> Result<Catalog, MigrationError> {
    let known: Option<i64> = conn
        .query_row(
            "SELECT 1 FROM \"supabase_migrations.schema_migrations\" WHERE version = ?1",
            [&migration.version],
            |row| row.get(0),
        )
        .optional()
        .map_err(broken)?;
    if known.is_some() {
        let message = format!("migration {} has been applied already", migration.version);
        return Err(MigrationError::Backend(DatabaseError::new("42710", message).into()));
    }
    script::in_transaction(conn, catalog, |conn| {
        let (after, notices) = script::run_watched(conn, catalog, &migration.sql, watch).map_err(failed)?;
        for notice in notices {
            tracing::info!(migration = %migration.version, line = notice.line, "{}", notice.message);
        }
        record(conn, migration)?;
        Ok(after)
    })
}

fn failed(failure: Failure) -> MigrationError {
    match failure.error {
        BackendError::Refused(error) => MigrationError::Statement {
            statement: failure.statement,
            line: failure.line,
            error,
        },
        error => MigrationError::Backend(error),
    }
}

/// The text is kept whole, as the only element of `statements`, so that an edited file is noticed.
pub fn record(conn: &Connection, migration: &Migration) -> Result<(), BackendError> {
    let statements = serde_json::to_string(&[&migration.sql])
        .map_err(|error| BackendError::Internal(format!("the migration's text cannot be stored: {error}")))?;
    conn.execute(
        "INSERT INTO \"supabase_migrations.schema_migrations\" (version, statements, name, hash)
         VALUES (?1, ?2, ?3, ?4)",
        params![migration.version, statements, migration.name, hash(&migration.sql)],
    )
    .map_err(broken)?;
    Ok(())
}

/// SHA-256 of a migration's text, in hexadecimal.
fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The recorded migrations, oldest first.
pub fn migrations(conn: &Connection) -> Result<Vec<AppliedMigration>, BackendError> {
    let mut statement = conn
        .prepare("SELECT version, name, statements FROM \"supabase_migrations.schema_migrations\" ORDER BY version")
        .map_err(broken)?;
    let rows = statement
        .query_map([], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, Option<String>>(1)?,
                row.get::<_, Option<String>>(2)?,
            ))
        })
        .map_err(broken)?;
    let mut applied = Vec::new();
    for row in rows {
        let (version, name, statements) = row.map_err(broken)?;
        let sql = statements
            .and_then(|text| serde_json::from_str::<Vec<String>>(&text).ok())
            .map(|statements| statements.join("\n"));
        applied.push(AppliedMigration {
            version,
            name: name.unwrap_or_default(),
            sql,
        });
    }
    Ok(applied)
}

/// Removes every user object and every recorded migration. Gives the catalog to publish.
pub fn reset(conn: &mut Connection, catalog: &Arc<Catalog>) -> Result<Catalog, BackendError> {
    let grants = store::default_grants(conn)?;
    // With foreign keys on, every drop would first delete row by row.
    conn.pragma_update(None, "foreign_keys", false).map_err(broken)?;
    let done = clear(conn, catalog, grants);
    conn.pragma_update(None, "foreign_keys", true).map_err(broken)?;
    platform::bring_up(conn, done?)
}

fn clear(conn: &mut Connection, catalog: &Catalog, grants: DefaultGrants) -> Result<Catalog, BackendError> {
    let transaction = conn
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(broken)?;
    crate::departure::forbid_schema_changes(&transaction)?;
    documents::remove(&transaction)?;
    let names: Vec<String> = {
        let mut statement = transaction
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
            .map_err(broken)?;
        let rows = statement.query_map([], |row| row.get(0)).map_err(broken)?;
        rows.collect::<rusqlite::Result<_>>().map_err(broken)?
    };
    for name in names {
        let mut writer = SqlWriter::new();
        writer.sql("DROP TABLE ").ident(&mainstay_core::name::Ident::from(name));
        transaction.execute_batch(writer.text()).map_err(broken)?;
    }
    let fresh = store::create(&transaction, grants, catalog.version + 1)?;
    transaction.commit().map_err(broken)?;
    Ok(fresh)
}

/// True if no table of a user has a row.
pub fn is_empty(conn: &Connection, catalog: &Catalog) -> Result<bool, BackendError> {
    for relation in catalog.relations.values() {
        // Rows of our own rooms do not make a database one that has been used.
        let schema = relation.name.schema.as_str();
        let own = schema == MIGRATIONS_SCHEMA || is_platform_schema(schema);
        if relation.kind != RelationKind::Table || own {
            continue;
        }
        let mut writer = SqlWriter::new();
        writer.sql("SELECT 1 FROM ").object(&relation.name).sql(" LIMIT 1");
        let row = conn
            .query_row(writer.text(), [], |_| Ok(()))
            .optional()
            .map_err(broken)?;
        if row.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}
