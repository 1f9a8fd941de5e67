//! SQL text from people: the console, seeds, `mainstay db query`; and what an operator should know.

use mainstay_core::backend::{QueryMode, QueryResult};
use mainstay_core::caller::Caller;
use mainstay_core::catalog::{Catalog, Grantee, Privilege, RelationKind};
use mainstay_core::error::BackendError;
use mainstay_sql::parse::without_transactions;
use mainstay_sql::platform::is_platform_schema;

use crate::backend::Inner;
use crate::decode::{Fields, text_field};
use crate::errors::{closed, refused};
use crate::introspect::Surroundings;
use crate::options::Options;
use crate::render::sql::literal;
use crate::settings;
use crate::wire::{Connection, StepReply};

/// Tables named one by one in a warning, at most.
const NAMED_MAX: usize = 10;

/// Runs `sql` in one transaction and gives back the last statement's rows.
///
/// The text may hold any number of statements; its own BEGINs and COMMITs are left out. Errors: 2D000 for a text that
/// would undo or leave the transaction. Read-only mode holds for the session as well.
pub async fn query(
    inner: &Inner,
    caller: Option<&Caller>,
    sql: &str,
    mode: QueryMode,
) -> Result<QueryResult, BackendError> {
    let sql = without_transactions(sql)?;
    let exclusive = inner.pool.exclusive().await?;
    let connection = exclusive.connection();
    let read_only = mode == QueryMode::ReadOnly;
    let surroundings = inner.surroundings();
    let mut begin = String::new();
    if read_only {
        begin.push_str("SET default_transaction_read_only = on; ");
    }
    begin.push_str(if read_only { "BEGIN READ ONLY; " } else { "BEGIN; " });
    if let Some(caller) = caller {
        for (name, value) in settings::of_caller(caller, &surroundings, &inner.options, read_only) {
            begin.push_str(&format!(
                "SELECT pg_catalog.set_config({}, {}, true); ",
                literal(&name),
                literal(&value)
            ));
        }
    }
    simple(connection, &begin).await?;
    let result = simple(connection, &sql).await;
    // The text may have left settings behind, so nobody else gets this connection.
    let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = simple(connection, end).await;
    exclusive.connection().close();
    drop(exclusive);
    let steps = result?;
    ended?;
    Ok(as_table(steps.last()))
}

/// A step's rows as text.
pub fn as_table(step: Option<&StepReply>) -> QueryResult {
    let Some(step) = step else {
        return QueryResult::default();
    };
    let rows = step.rows.iter().map(|row| {
        let Ok(mut fields) = Fields::of_row(row) else {
            return Vec::new();
        };
        let mut cells = Vec::with_capacity(step.names.len());
        while let Ok(field) = fields.next() {
            cells.push(field.map(|bytes| String::from_utf8_lossy(bytes).into_owned()));
        }
        cells
    });
    QueryResult {
        columns: step.names.clone(),
        rows: rows.collect(),
        tag: step.command.tag.clone(),
    }
}

/// Sends statements as one simple query.
pub async fn simple(connection: &Connection, sql: &str) -> Result<Vec<StepReply>, BackendError> {
    let parsed = connection
        .send_simple(sql)
        .map_err(closed)?
        .wait()
        .await
        .map_err(closed)?;
    match parsed.error {
        Some(error) => Err(refused(error)),
        None => Ok(parsed.steps),
    }
}

/// True if no user table has a row.
pub async fn is_empty(inner: &Inner) -> Result<bool, BackendError> {
    let catalog = inner.catalog();
    let tables: Vec<_> = catalog
        .relations
        .values()
        .filter(|relation| matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable))
        .filter(|relation| is_user_schema(&relation.name.schema))
        .collect();
    if tables.is_empty() {
        return Ok(true);
    }
    let parts: Vec<String> = tables
        .iter()
        .map(|relation| {
            let name = &relation.name;
            let (schema, table) = (
                crate::render::sql::quoted(&name.schema),
                crate::render::sql::quoted(&name.name),
            );
            format!("EXISTS (SELECT FROM {schema}.{table})")
        })
        .collect();
    let exclusive = inner.pool.exclusive().await?;
    let steps = simple(
        exclusive.connection(),
        &format!("SELECT ({})::text", parts.join(" OR ")),
    )
    .await;
    exclusive.release();
    let steps = steps?;
    let row = steps.first().and_then(|step| step.rows.first());
    let text = row.and_then(|row| text_field(row, 0).ok().flatten());
    Ok(text == Some("false"))
}

/// True for schemas that users' migrations make.
pub fn is_user_schema(name: &str) -> bool {
    !is_platform_schema(name) && name != "supabase_migrations" && !name.starts_with("pg_")
}

/// A sign of life.
pub async fn alive(connection: &Connection) -> Result<(), BackendError> {
    simple(connection, "SELECT 1").await.map(|_| ())
}

/// Things an operator should know.
pub fn warnings(catalog: &Catalog, surroundings: &Surroundings, options: &Options) -> Vec<String> {
    let mut found = Vec::new();
    let server = &surroundings.server;
    if server.is_superuser == Some(true) {
        found.push(format!(
            "Mainstay is connected as the superuser \"{}\". Use a role that may only switch to the API's roles, such as authenticator.",
            server.connected_as
        ));
    }
    if let Some(role) = catalog.roles.get("service_role")
        && !role.bypass_rls
        && !role.superuser
    {
        found.push("Role service_role has no BYPASSRLS, so row security applies to the secret key: ALTER ROLE service_role BYPASSRLS;".into());
    }
    if let Some(collation) = server
        .collation
        .as_deref()
        .filter(|name| !matches!(*name, "C" | "POSIX" | "C.UTF-8" | "C.utf8"))
    {
        found.push(format!(
            "The database sorts text by the collation {collation}; the embedded engine sorts by code point, so orders by text may differ."
        ));
    }
    let mut open: Vec<String> = catalog
        .relations
        .values()
        .filter(|relation| matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable))
        .filter(|relation| options.schemas.contains(&relation.name.schema) && !relation.row_security.enabled)
        .filter(|relation| {
            relation.acl.iter().any(|entry| {
                matches!(
                    entry.privilege,
                    Privilege::Select | Privilege::Insert | Privilege::Update | Privilege::Delete
                ) && match &entry.grantee {
                    Grantee::Public => true,
                    Grantee::Role(name) => *name == "anon",
                }
            })
        })
        .map(|relation| relation.name.to_string())
        .collect();
    open.sort();
    if !open.is_empty() {
        let more = open.len().saturating_sub(NAMED_MAX);
        open.truncate(NAMED_MAX);
        let rest = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        found.push(format!("Open to anon without row security: {}{rest}.", open.join(", ")));
    }
    found
}
