//! Migrations: applied one file in one transaction, recorded as the Supabase CLI records them.
//!
//! Source: Supabase CLI, `supabase_migrations.schema_migrations (version, statements, name)`.

use mainstay_core::backend::{AppliedMigration, CheckedMigration, Migration, MigrationError, Problem};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_sql::parse::without_transactions;

use crate::backend::Inner;
use crate::bootstrap;
use crate::console::{is_user_schema, simple};
use crate::decode::text_field;
use crate::errors::{closed, refused};
use crate::render::sql::{literal, quoted};
use crate::transfer::leaving::FORBID;
use crate::wire::Connection;

const RECORDS: &str = "
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
alter table supabase_migrations.schema_migrations add column if not exists statements text[];
alter table supabase_migrations.schema_migrations add column if not exists name text;
";

/// Only one process migrates at a time; the rest wait. The number is ours alone.
pub const LOCK: &str = "select pg_catalog.pg_advisory_xact_lock(7305808869229538);";

/// The recorded migrations, oldest first.
pub async fn applied(inner: &Inner) -> Result<Vec<AppliedMigration>, BackendError> {
    let exclusive = inner.pool.exclusive().await?;
    let result = read_applied(exclusive.connection()).await;
    exclusive.release();
    result
}

async fn read_applied(connection: &Connection) -> Result<Vec<AppliedMigration>, BackendError> {
    let present = simple(
        connection,
        "SELECT (pg_catalog.to_regclass('supabase_migrations.schema_migrations') IS NOT NULL)::text",
    )
    .await?;
    let first = present.first().and_then(|step| step.rows.first());
    if first.and_then(|row| text_field(row, 0).ok().flatten()) != Some("true") {
        return Ok(Vec::new());
    }
    // Tables made by older tools lack the later columns; a row as JSON has what there is.
    let steps = simple(
        connection,
        "SELECT r->>'version', r->>'name', (SELECT pg_catalog.string_agg(s, E'\\n' ORDER BY n)
           FROM pg_catalog.jsonb_array_elements_text(
             CASE WHEN pg_catalog.jsonb_typeof(r->'statements') = 'array' THEN r->'statements' END) WITH ORDINALITY AS e(s, n))
         FROM (SELECT pg_catalog.to_jsonb(m) AS r FROM supabase_migrations.schema_migrations m) x ORDER BY 1",
    )
    .await?;
    let rows = steps.first().map(|step| step.rows.as_slice()).unwrap_or_default();
    let cell = |row: &[u8], index| text_field(row, index).ok().flatten().map(str::to_owned);
    Ok(rows
        .iter()
        .map(|row| AppliedMigration {
            version: cell(row, 0).unwrap_or_default(),
            name: cell(row, 1).unwrap_or_default(),
            sql: cell(row, 2),
        })
        .collect())
}

/// Applies and records one migration in one transaction.
pub async fn apply(inner: &Inner, migration: &Migration) -> Result<(), MigrationError> {
    let exclusive = inner.pool.exclusive().await?;
    let connection = exclusive.connection();
    let result = apply_on(connection, migration).await;
    let end = simple(connection, if result.is_ok() { "COMMIT" } else { "ROLLBACK" }).await;
    // The file may have left settings behind; the next user of a connection gets a fresh one.
    connection.close();
    drop(exclusive);
    result?;
    end?;
    Ok(())
}

async fn apply_on(connection: &Connection, migration: &Migration) -> Result<(), MigrationError> {
    simple(connection, &format!("BEGIN; {LOCK} {FORBID} {RECORDS}")).await?;
    run_file(connection, &migration.sql).await?;
    simple(connection, &record(migration)).await?;
    Ok(())
}

/// Records a migration that need not run.
pub async fn record_only(inner: &Inner, migration: &Migration) -> Result<(), BackendError> {
    let exclusive = inner.pool.exclusive().await?;
    let connection = exclusive.connection();
    let sql = format!("BEGIN; {LOCK} {FORBID} {RECORDS} {}; COMMIT", record(migration));
    let result = simple(connection, &sql).await;
    connection.close();
    drop(exclusive);
    result.map(drop)
}

/// The row that says it was applied. The whole text is one element, so that it can be compared byte for byte.
fn record(migration: &Migration) -> String {
    format!(
        "RESET ROLE; INSERT INTO supabase_migrations.schema_migrations (version, name, statements)
         VALUES ({}, {}, ARRAY[{}]::text[])",
        literal(&migration.version),
        literal(&migration.name),
        literal(&migration.sql)
    )
}

/// Runs a file's statements but its BEGINs and COMMITs: the transaction is ours. An error says which one failed and
/// where it begins.
async fn run_file(connection: &Connection, sql: &str) -> Result<(), MigrationError> {
    let lost = |error| MigrationError::Backend(closed(error));
    let sql = without_transactions(sql).map_err(|error| {
        let (statement, line) = place(sql, 0, &error);
        MigrationError::Statement {
            statement,
            line,
            error: error.into(),
        }
    })?;
    let sql = sql.as_ref();
    let parsed = connection.send_simple(sql).map_err(lost)?.wait().await.map_err(lost)?;
    let Some(error) = parsed.error else { return Ok(()) };
    match refused(error) {
        BackendError::Refused(error) => {
            let (statement, line) = place(sql, parsed.steps.len(), &error);
            Err(MigrationError::Statement { statement, line, error })
        }
        other => Err(other.into()),
    }
}

/// The number of the statement that failed, from 1, and the line it begins at. `done` statements succeeded before it.
fn place(sql: &str, done: usize, error: &DatabaseError) -> (usize, u32) {
    let position = error.position.map(|position| byte_of(sql, position));
    let statements = mainstay_sql::parse::parse(sql).unwrap_or_default();
    let by_position = position.and_then(|at| statements.iter().rposition(|statement| statement.offset <= at));
    // A syntax error stops the file before its first statement, so `done` means nothing then.
    let index = by_position.unwrap_or(done);
    match (statements.get(index), position) {
        (Some(statement), _) => (index + 1, statement.line),
        (None, Some(at)) => (index + 1, line_of(sql, at)),
        (None, None) => (index + 1, 1),
    }
}

fn byte_of(sql: &str, position: u32) -> usize {
    sql.char_indices()
        .nth(position.saturating_sub(1) as usize)
        .map_or(sql.len(), |(at, _)| at)
}

fn line_of(sql: &str, at: usize) -> u32 {
    let before = sql.as_bytes().get(..at).unwrap_or_default();
    u32::try_from(before.iter().filter(|byte| **byte == b'\n').count() + 1).unwrap_or(u32::MAX)
}

/// Tries the migrations that are not recorded yet, one after the other, and rolls everything back.
pub async fn check(inner: &Inner, migrations: &[Migration]) -> Vec<CheckedMigration> {
    let mut checked: Vec<CheckedMigration> = migrations
        .iter()
        .map(|migration| CheckedMigration {
            version: migration.version.clone(),
            problems: Vec::new(),
            notices: Vec::new(),
        })
        .collect();
    if let Err(error) = check_all(inner, migrations, &mut checked).await
        && let Some(first) = checked.first_mut()
    {
        let error = DatabaseError::new("08006", format!("the check could not be run: {error}"));
        first.problems.push(Problem::new(1, error));
    }
    checked
}

async fn check_all(
    inner: &Inner,
    migrations: &[Migration],
    checked: &mut [CheckedMigration],
) -> Result<(), BackendError> {
    let exclusive = inner.pool.exclusive().await?;
    let connection = exclusive.connection();
    let known = read_applied(connection).await?;
    simple(connection, "BEGIN").await?;
    for (migration, result) in migrations.iter().zip(checked) {
        if known.iter().any(|applied| applied.version == migration.version) {
            continue;
        }
        simple(connection, "SAVEPOINT mainstay_check").await?;
        match run_file(connection, &migration.sql).await {
            Ok(()) => {}
            Err(MigrationError::Statement { line, error, .. }) => {
                result.problems.push(Problem::new(line, *error));
                simple(connection, "ROLLBACK TO SAVEPOINT mainstay_check").await?;
            }
            Err(MigrationError::Backend(error)) => return Err(error),
        }
    }
    simple(connection, "ROLLBACK").await?;
    connection.close();
    Ok(())
}

/// Drops every schema that users' migrations made, empties `public`, and forgets the recorded migrations.
pub async fn reset(inner: &Inner) -> Result<(), BackendError> {
    let exclusive = inner.pool.exclusive().await?;
    let connection = exclusive.connection();
    let catalog = inner.catalog();
    let mut script = format!("BEGIN; {LOCK} {FORBID} SET LOCAL client_min_messages = warning;\n");
    for schema in catalog.schemas.keys().filter(|name| is_user_schema(name)) {
        script.push_str(&format!("DROP SCHEMA IF EXISTS {} CASCADE;\n", quoted(schema)));
    }
    script.push_str("CREATE SCHEMA public;\n");
    script.push_str(bootstrap::WITHOUT_POLICIES);
    script.push_str(bootstrap::WITHOUT_KEPT_ANSWERS);
    let platform_roles = ["anon", "authenticated", "service_role"];
    if platform_roles.iter().all(|role| catalog.roles.contains_key(*role)) {
        script.push_str(&bootstrap::public_schema(
            inner.options.bootstrap.unwrap_or(bootstrap::Grants::Classic),
        ));
    }
    script
        .push_str("GRANT USAGE ON SCHEMA public TO PUBLIC; DROP SCHEMA IF EXISTS supabase_migrations CASCADE; COMMIT;");
    let result = simple(connection, &script).await;
    connection.close();
    result.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_counts_characters_and_gives_the_line() {
        let sql = "select 'é';\nselect 1;\nselect nope";
        assert_eq!(line_of(sql, byte_of(sql, 30)), 3);
        assert_eq!(line_of(sql, byte_of(sql, 1)), 1);
        assert_eq!(byte_of(sql, 999), sql.len());
    }
}
