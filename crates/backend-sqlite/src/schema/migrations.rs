//! Migrations: applied whole or not at all, recorded with their text, checked without a trace.
//!
//! Not here: which files there are and in which order they run (`schema`, the room).

use std::sync::Arc;

use mainstay_core::backend::{AppliedMigration, CheckedMigration, Migration, MigrationError, Problem};
use mainstay_core::catalog::{Catalog, RelationKind};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_sql::analyse::Analyser;
use mainstay_sql::ast::Statement;
use mainstay_sql::ddl::{self, Change, DefaultGrants, Notice};
use mainstay_sql::parse::{self, ParsedStatement};
use mainstay_sql::session::Session;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::script::{self, Failure};
use super::store::{self, MIGRATIONS_SCHEMA, broken};
use crate::emit::writer::SqlWriter;

/// Schemas of our own rooms; rows there do not make a database one that has been used.
const OWN_SCHEMAS: &[&str] = &[
    "auth",
    "storage",
    "realtime",
    "extensions",
    "graphql_public",
    MIGRATIONS_SCHEMA,
];

/// Applies one migration and records it, in one transaction. Gives the catalog to publish.
///
/// Errors: the failing statement with its number and line; then the file is as it was.
pub fn migrate(
    conn: &mut Connection,
    catalog: &Arc<Catalog>,
    migration: &Migration,
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
        let (after, notices) = script::run(conn, catalog, &migration.sql).map_err(failed)?;
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
fn record(conn: &Connection, migration: &Migration) -> Result<(), BackendError> {
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

/// Says of each migration whether it could be applied after those before it, by the catalog alone: rows are not looked
/// at. A statement that fails leaves the catalog as it was for those that follow.
pub fn check(catalog: &Arc<Catalog>, migrations: &[Migration]) -> Vec<CheckedMigration> {
    let mut current = Catalog::clone(catalog);
    migrations
        .iter()
        .map(|migration| {
            let mut checked = CheckedMigration {
                version: migration.version.clone(),
                problems: Vec::new(),
                notices: Vec::new(),
            };
            let mut session = Session::default();
            match parse::parse(&migration.sql) {
                Err(error) => {
                    let line = line_at(&migration.sql, error.position);
                    checked.problems.push(Problem { line, error });
                }
                Ok(statements) => {
                    for statement in &statements {
                        check_statement(&mut current, &mut session, statement, &mut checked);
                    }
                }
            }
            current.version += 1;
            checked
        })
        .collect()
}

fn check_statement(
    current: &mut Catalog,
    session: &mut Session,
    statement: &ParsedStatement,
    checked: &mut CheckedMigration,
) {
    let outcome = match &statement.ast {
        Statement::Ddl(_) | Statement::Set(_) | Statement::Unsupported(_) => {
            let mut next = current.clone();
            let mut settings = session.clone();
            let applied = ddl::apply(&mut next, &mut settings, statement);
            applied.map(|changes| {
                *current = next;
                *session = settings;
                for change in changes {
                    if let Change::Notice(notice) = change
                        && worth_telling(&notice)
                    {
                        let error = DatabaseError::new(&notice.sqlstate, notice.message);
                        checked.notices.push(Problem {
                            line: notice.line,
                            error,
                        });
                    }
                }
            })
        }
        Statement::Query(query) => match ddl::setting_of(query) {
            Some(set) => {
                let set = ParsedStatement {
                    ast: Statement::Set(set),
                    ..statement.clone()
                };
                ddl::apply(current, session, &set).map(drop)
            }
            None => Analyser::new(current, session).query(query).map(drop),
        },
        Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => {
            Analyser::new(current, session).statement(&statement.ast).map(drop)
        }
        Statement::Transaction(control) => script::refuse_control(control, statement.line),
    };
    if let Err(error) = outcome {
        checked.problems.push(Problem {
            line: statement.line,
            error,
        });
    }
}

/// `… does not exist, skipping` is what a careful migration expects to hear.
fn worth_telling(notice: &Notice) -> bool {
    !notice.message.ends_with("skipping")
}

fn line_at(text: &str, position: Option<u32>) -> u32 {
    let characters = position.unwrap_or(1).saturating_sub(1) as usize;
    text.chars()
        .take(characters)
        .filter(|character| *character == '\n')
        .count() as u32
        + 1
}

/// Removes every user object and every recorded migration. Gives the catalog to publish.
pub fn reset(conn: &mut Connection, catalog: &Arc<Catalog>) -> Result<Catalog, BackendError> {
    let grants = store::default_grants(conn)?;
    // With foreign keys on, every drop would first delete row by row.
    conn.pragma_update(None, "foreign_keys", false).map_err(broken)?;
    let done = clear(conn, catalog, grants);
    conn.pragma_update(None, "foreign_keys", true).map_err(broken)?;
    done
}

fn clear(conn: &mut Connection, catalog: &Catalog, grants: DefaultGrants) -> Result<Catalog, BackendError> {
    let transaction = conn
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(broken)?;
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
        let own = OWN_SCHEMAS.contains(&relation.name.schema.as_str());
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
