//! The catalog in the file: one JSON row per object, by kind and name.
//!
//! Lives here: the `_ms_*` tables, reading them at start, writing what changed. Derived facts (a view's columns and
//! their sources, keys, constraint lists) are stored with their objects, so that starting parses no SQL.
//! Not here: the tables of users (`define`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use mainstay_core::catalog::{
    Catalog, Column, Constraint, ConstraintKind, DefaultPrivilege, DomainType, Enforcement, EnumType, Relation,
    RelationKind, Role, Routine, RowSecurity, Schema, Sequence,
};
use mainstay_core::error::BackendError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::{Type, TypeModifier};
use mainstay_sql::ddl::{self, DefaultGrants};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{documents, platform};
use crate::connection::register_collations;
use crate::emit::compiled::Compiled;
use crate::emit::documents as emit_documents;

/// The layout of the `_ms_*` tables. A file of a newer layout is refused.
const LAYOUT: i64 = 1;

/// `_ms_meta`: facts by name. `_ms_objects`: the catalog. `_ms_sequences`: `last_value` was given last, or comes next
/// while `is_called` is 0. The record of migrations is a table that people may read.
const TABLES: &str = r#"
CREATE TABLE _ms_meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE _ms_objects (kind TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, name)) STRICT;
CREATE TABLE _ms_sequences (
    schema TEXT NOT NULL, name TEXT NOT NULL, last_value INTEGER NOT NULL, is_called INTEGER NOT NULL,
    PRIMARY KEY (schema, name)
) STRICT;
CREATE TABLE "supabase_migrations.schema_migrations" (
    version TEXT NOT NULL, statements TEXT, name TEXT, hash TEXT
) STRICT;
CREATE UNIQUE INDEX "supabase_migrations.schema_migrations_pkey"
    ON "supabase_migrations.schema_migrations" (version);
"#;

/// Facts in `_ms_meta`.
const VERSION_FACT: &str = "catalog_version";
const GRANTS_FACT: &str = "default_grants";

/// Where the record of migrations stands.
pub const MIGRATIONS_SCHEMA: &str = "supabase_migrations";
const MIGRATIONS_TABLE: &str = "schema_migrations";

/// Prepares the file if it is new and reads its catalog. New files are closed by default.
///
/// Errors: `Internal` for a file that is none of ours or of a newer version.
pub fn open(conn: &mut Connection) -> Result<Catalog, BackendError> {
    open_with(conn, None)
}

/// The same, with what new objects are granted by themselves; `None` leaves it as the file has it.
pub fn open_with(conn: &mut Connection, grants: Option<DefaultGrants>) -> Result<Catalog, BackendError> {
    let layout: i64 = conn
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(broken)?;
    if layout > LAYOUT {
        return Err(BackendError::Internal(format!(
            "the data file has layout {layout}, this program knows up to {LAYOUT}: use a newer Mainstay"
        )));
    }
    if layout == 0 {
        let tables: i64 = conn
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(broken)?;
        if tables > 0 {
            return Err(BackendError::Internal(
                "the file is an SQLite database, but not one of Mainstay's".into(),
            ));
        }
        let transaction = conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(broken)?;
        create(&transaction, grants.unwrap_or(DefaultGrants::Closed), 1)?;
        transaction.commit().map_err(broken)?;
    }
    let catalog = load_catalog(conn)?;
    register_collations(conn, &catalog).map_err(broken)?;
    let catalog = platform::bring_up(conn, catalog)?;
    let catalog = match grants {
        Some(grants) => set_default_grants(conn, catalog, grants)?,
        None => catalog,
    };
    if emit_documents::any(&catalog) {
        let compiled = Compiled::new(Arc::new(catalog.clone()));
        let transaction = conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(broken)?;
        documents::sync(&transaction, &compiled)?;
        transaction.commit().map_err(broken)?;
    }
    Ok(catalog)
}

/// Reads the catalog of a file that another process may be serving, and changes nothing.
///
/// Errors: `Internal` for a file that is none of ours or of another version.
pub fn open_beside(conn: &mut Connection) -> Result<Catalog, BackendError> {
    let layout: i64 = conn
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(broken)?;
    if layout != LAYOUT {
        return Err(BackendError::Internal(format!(
            "the data file has layout {layout}, this program has {LAYOUT}"
        )));
    }
    let catalog = load_catalog(conn)?;
    register_collations(conn, &catalog).map_err(broken)?;
    Ok(catalog)
}

/// Makes the `_ms_*` tables and the first catalog, inside a transaction.
pub(super) fn create(conn: &Connection, grants: DefaultGrants, version: u64) -> Result<Catalog, BackendError> {
    conn.execute_batch(TABLES).map_err(broken)?;
    conn.pragma_update(None, "user_version", LAYOUT).map_err(broken)?;
    let mut catalog = ddl::initial_catalog(grants);
    add_migrations_table(&mut catalog);
    catalog.version = version;
    save(conn, None, &catalog)?;
    write_fact(conn, GRANTS_FACT, spelled(grants))?;
    Ok(catalog)
}

fn spelled(grants: DefaultGrants) -> &'static str {
    match grants {
        DefaultGrants::Closed => "closed",
        DefaultGrants::Classic => "classic",
    }
}

/// What the file's default privileges began with.
pub(super) fn default_grants(conn: &Connection) -> Result<DefaultGrants, BackendError> {
    let classic = read_fact(conn, GRANTS_FACT)?.as_deref() == Some(spelled(DefaultGrants::Classic));
    Ok(if classic {
        DefaultGrants::Classic
    } else {
        DefaultGrants::Closed
    })
}

/// Brings the default privileges in line with the project's setting when that has changed. What migrations have said
/// about them since stands otherwise.
pub fn set_default_grants(
    conn: &mut Connection,
    catalog: Catalog,
    grants: DefaultGrants,
) -> Result<Catalog, BackendError> {
    if default_grants(conn)? == grants {
        return Ok(catalog);
    }
    let mut wanted = catalog.clone();
    ddl::set_default_grants(&mut wanted, grants);
    wanted.version += 1;
    let transaction = conn
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(broken)?;
    save(&transaction, Some(&catalog), &wanted)?;
    write_fact(&transaction, GRANTS_FACT, spelled(grants))?;
    transaction.commit().map_err(broken)?;
    Ok(wanted)
}

/// Reads the catalog. No SQL is parsed.
pub fn load_catalog(conn: &Connection) -> Result<Catalog, BackendError> {
    let mut catalog = Catalog::empty(Enforcement::Catalog);
    let mut statement = conn
        .prepare("SELECT kind, name, body FROM _ms_objects ORDER BY kind, name")
        .map_err(broken)?;
    let mut rows = statement.query([]).map_err(broken)?;
    while let Some(row) = rows.next().map_err(broken)? {
        let text = |index| row.get_ref(index)?.as_str().map_err(rusqlite::Error::from);
        let (kind, name) = (text(0).map_err(broken)?, text(1).map_err(broken)?);
        put(&mut catalog, kind, name, text(2).map_err(broken)?)?;
    }
    catalog.version = version_of(read_fact(conn, VERSION_FACT)?);
    catalog.derive_relationships();
    Ok(catalog)
}

fn put(catalog: &mut Catalog, kind: &str, name: &str, body: &str) -> Result<(), BackendError> {
    match kind {
        "schema" => {
            catalog
                .schemas
                .insert(Ident::new(name), read::<Schema>(kind, name, body)?);
        }
        "relation" => {
            let relation: Relation = read(kind, name, body)?;
            catalog.relations.insert(relation.name.clone(), Arc::new(relation));
        }
        "enum" => {
            let entry: EnumType = read(kind, name, body)?;
            catalog.enums.insert(entry.name.clone(), Arc::new(entry));
        }
        "domain" => {
            let entry: DomainType = read(kind, name, body)?;
            catalog.domains.insert(entry.name.clone(), Arc::new(entry));
        }
        "sequence" => {
            let entry: Sequence = read(kind, name, body)?;
            catalog.sequences.insert(entry.name.clone(), Arc::new(entry));
        }
        "routine" => {
            let overloads: Vec<Routine> = read(kind, name, body)?;
            if let Some(first) = overloads.first() {
                catalog
                    .routines
                    .insert(first.name.clone(), overloads.into_iter().map(Arc::new).collect());
            }
        }
        "role" => {
            let role: Role = read(kind, name, body)?;
            catalog.roles.insert(role.name.clone(), role);
        }
        "default_privileges" => catalog.default_privileges = read::<Vec<DefaultPrivilege>>(kind, name, body)?,
        "extensions" => catalog.extensions = read::<BTreeMap<Ident, Ident>>(kind, name, body)?,
        // Kinds that a later version adds beside the catalog, such as publications.
        _ => {}
    }
    Ok(())
}

fn read<T: DeserializeOwned>(kind: &str, name: &str, body: &str) -> Result<T, BackendError> {
    serde_json::from_str(body)
        .map_err(|error| BackendError::Internal(format!("the stored {kind} {name} cannot be read: {error}")))
}

/// Every object's row: kind and name → JSON.
type Rows = HashMap<(&'static str, String), String>;

/// Writes what differs between two catalogs; all of it if there was none. Inside the caller's transaction.
pub fn save(conn: &Connection, before: Option<&Catalog>, after: &Catalog) -> Result<(), BackendError> {
    let mut old = match before {
        Some(before) => rows(before, Some(after))?,
        None => Rows::new(),
    };
    let new = rows(after, before)?;
    {
        let mut upsert = conn
            .prepare_cached(
                "INSERT INTO _ms_objects (kind, name, body) VALUES (?1, ?2, ?3)
                 ON CONFLICT (kind, name) DO UPDATE SET body = excluded.body",
            )
            .map_err(broken)?;
        for ((kind, name), body) in new {
            let unchanged = old.remove(&(kind, name.clone())).is_some_and(|known| known == body);
            if !unchanged {
                upsert.execute(params![kind, name, body]).map_err(broken)?;
            }
        }
    }
    for (kind, name) in old.into_keys() {
        conn.execute(
            "DELETE FROM _ms_objects WHERE kind = ?1 AND name = ?2",
            params![kind, name],
        )
        .map_err(broken)?;
    }
    write_fact(conn, VERSION_FACT, &after.version.to_string())
}

/// The version of the catalog that the open snapshot's tables belong to.
pub fn stored_version(conn: &Connection) -> rusqlite::Result<u64> {
    let mut statement = conn.prepare_cached("SELECT value FROM _ms_meta WHERE name = ?1")?;
    let stored: Option<String> = statement.query_row([VERSION_FACT], |row| row.get(0)).optional()?;
    Ok(version_of(stored))
}

/// A file without the fact is of the first version.
fn version_of(stored: Option<String>) -> u64 {
    stored.and_then(|text| text.parse().ok()).unwrap_or(1)
}

pub(super) fn read_fact(conn: &Connection, name: &str) -> Result<Option<String>, BackendError> {
    conn.query_row("SELECT value FROM _ms_meta WHERE name = ?1", [name], |row| row.get(0))
        .optional()
        .map_err(broken)
}

pub(super) fn write_fact(conn: &Connection, name: &str, value: &str) -> Result<(), BackendError> {
    conn.execute(
        "INSERT INTO _ms_meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        [name, value],
    )
    .map(drop)
    .map_err(broken)
}

/// The rows of a catalog, without those of objects that `other` shares with it.
fn rows(catalog: &Catalog, other: Option<&Catalog>) -> Result<Rows, BackendError> {
    let mut rows = Rows::new();
    let mut add = |kind: &'static str, name: String, body: Result<String, serde_json::Error>| {
        let body = body.map_err(|error| BackendError::Internal(format!("cannot store {kind} {name}: {error}")))?;
        rows.insert((kind, name), body);
        Ok::<(), BackendError>(())
    };
    for (name, schema) in &catalog.schemas {
        add("schema", name.to_string(), serde_json::to_string(schema))?;
    }
    for role in catalog.roles.values() {
        add("role", role.name.to_string(), serde_json::to_string(role))?;
    }
    add(
        "default_privileges",
        String::new(),
        serde_json::to_string(&catalog.default_privileges),
    )?;
    add("extensions", String::new(), serde_json::to_string(&catalog.extensions))?;
    shared(&catalog.relations, other.map(|other| &other.relations), |name, body| {
        add("relation", name, body)
    })?;
    shared(&catalog.enums, other.map(|other| &other.enums), |name, body| {
        add("enum", name, body)
    })?;
    shared(&catalog.domains, other.map(|other| &other.domains), |name, body| {
        add("domain", name, body)
    })?;
    shared(&catalog.sequences, other.map(|other| &other.sequences), |name, body| {
        add("sequence", name, body)
    })?;
    for (name, overloads) in &catalog.routines {
        let overloads: Vec<&Routine> = overloads.iter().map(|routine| &**routine).collect();
        add("routine", name.to_string(), serde_json::to_string(&overloads))?;
    }
    Ok(rows)
}

fn shared<T: Serialize>(
    objects: &HashMap<QualifiedName, Arc<T>>,
    others: Option<&HashMap<QualifiedName, Arc<T>>>,
    mut add: impl FnMut(String, Result<String, serde_json::Error>) -> Result<(), BackendError>,
) -> Result<(), BackendError> {
    for (name, object) in objects {
        let same = others
            .and_then(|others| others.get(name))
            .is_some_and(|other| Arc::ptr_eq(other, object));
        if !same {
            add(name.to_string(), serde_json::to_string(&**object))?;
        }
    }
    Ok(())
}

/// The record of migrations as a relation, so that the console and the schema's owner can read it.
fn add_migrations_table(catalog: &mut Catalog) {
    let owner = Ident::new("postgres");
    let schema = Schema {
        owner: owner.clone(),
        comment: None,
        acl: Vec::new(),
    };
    catalog.schemas.insert(Ident::new(MIGRATIONS_SCHEMA), schema);
    let column = |name: &str, ty: Type, not_null: bool| Column {
        name: Ident::new(name),
        ty,
        modifier: TypeModifier::None,
        not_null,
        default: None,
        identity: None,
        generated: None,
        sequence: None,
        comment: None,
    };
    let relation = Relation {
        name: QualifiedName::new(MIGRATIONS_SCHEMA, MIGRATIONS_TABLE),
        kind: RelationKind::Table,
        owner,
        columns: vec![
            column("version", Type::Text, true),
            column("statements", Type::Array(Box::new(Type::Text)), false),
            column("name", Type::Text, false),
            column("hash", Type::Text, false),
        ],
        constraints: vec![Constraint {
            name: Ident::new("schema_migrations_pkey"),
            kind: ConstraintKind::PrimaryKey { columns: vec![0] },
            comment: None,
            not_valid: false,
        }],
        indexes: Vec::new(),
        row_security: RowSecurity::default(),
        policies: Vec::new(),
        triggers: Vec::new(),
        acl: Vec::new(),
        view: None,
        insertable: true,
        updatable: true,
        deletable: true,
        comment: None,
        id: 1,
    };
    catalog.relations.insert(relation.name.clone(), Arc::new(relation));
}

/// A failure of the file itself; the text is for the log.
pub(crate) fn broken(error: rusqlite::Error) -> BackendError {
    BackendError::Internal(error.to_string())
}
