//! Reads a database's objects as [`Definitions`], and rows in one snapshot: for `db dump` and `db diff`.
//!
//! Lives here: the questions ([`queries`]), their rows ([`rows`]), putting them together, reading tables by cursors.
//! Not here: the catalog that requests use (`introspect`), what is written (`sql::dump`).
//! PostgreSQL spells its objects itself (`pg_get_viewdef` and kin), so that nothing of them is lost.

mod queries;
mod rows;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mainstay_core::backend::{RowSink, TableRows};
use mainstay_core::catalog::{CheckOption, Identity, PolicyCommand};
use mainstay_core::definition::{
    ColumnDefinition, ConstraintDefinition, ConstraintShape, DefaultObject, DefaultRight, Definitions, Facts,
    IndexDefinition, OtherDefinition, PolicyDefinition, Position, Right, RoleDefinition, RoutineDefinition,
    RoutineName, SequenceDefinition, TableDefinition, TriggerDefinition, TriggerMode, TypeBody, TypeDefinition,
    ViewDefinition,
};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_sql::dump::rights;
use serde::de::DeserializeOwned;

use crate::backend::Inner;
use crate::console::{as_table, simple};
use crate::decode::text_field;
use crate::introspect::privilege;
use crate::render::sql::{literal, quoted};
use crate::wire::Connection;
use rows::*;

/// Rows fetched at once.
const BATCH_ROWS: usize = 500;

/// Who has rights that are written down beside an owner's own.
const AUTHENTICATOR: &str = "authenticator";

/// Every object of the database.
pub async fn definitions(inner: &Inner) -> Result<Definitions, BackendError> {
    let exclusive = inner.pool.exclusive().await?;
    let result = read(exclusive.connection()).await;
    let ended = simple(exclusive.connection(), "ROLLBACK").await;
    exclusive.release();
    ended?;
    result
}

async fn read(connection: &Connection) -> Result<Definitions, BackendError> {
    simple(connection, queries::BEGIN).await?;
    let owner: Vec<String> = ask(connection, queries::OWNER).await?;
    let mut found = Definitions::new(owner.into_iter().next().unwrap_or_default());
    for row in ask::<SchemaRow>(connection, queries::SCHEMAS).await? {
        let facts = facts(&row.owner, row.acl, row.comment);
        found.schemas.insert(Ident::from(row.name), facts);
    }
    for row in ask::<ExtensionRow>(connection, queries::EXTENSIONS).await? {
        found.extensions.insert(Ident::from(row.name), Ident::from(row.schema));
    }
    found.roles = roles(ask(connection, queries::ROLES).await?);
    for row in ask::<TypeRow>(connection, queries::TYPES).await? {
        let (name, definition) = type_of(row);
        found.types.insert(name, definition);
    }
    for row in ask::<SequenceRow>(connection, queries::SEQUENCES).await? {
        let (name, definition) = sequence(row);
        found.sequences.insert(name, definition);
    }
    relations(connection, &mut found).await?;
    for row in ask::<RoutineRow>(connection, queries::ROUTINES).await? {
        let (name, definition) = routine(row);
        found.routines.insert(name, definition);
    }
    default_rights(&mut found, ask(connection, queries::DEFAULT_RIGHTS).await?);
    for row in ask::<PublicationRow>(connection, queries::PUBLICATIONS).await? {
        if row.all_tables {
            let kind = "publication for all tables".to_owned();
            found.unwritten.insert((kind, row.name));
            continue;
        }
        let tables = row.tables.unwrap_or_default().into_iter().map(named);
        found.publications.insert(Ident::from(row.name), tables.collect());
    }
    for row in ask::<OtherRow>(connection, queries::OTHERS).await? {
        let place = if row.of.is_empty() { &row.name } else { &row.of };
        let other = OtherDefinition {
            schema: Ident::new(&row.schema),
            text: row.text.trim_end().trim_end_matches(';').to_owned(),
        };
        let name = [row.schema.as_str(), place, &row.name].join(".");
        found.others.insert((row.kind, name), other);
    }
    for row in ask::<UnwrittenRow>(connection, queries::UNWRITTEN).await? {
        let is_platform = row
            .schema
            .as_deref()
            .is_some_and(mainstay_sql::dump::platform::is_platform_schema);
        if !is_platform {
            found.unwritten.insert((row.kind, row.name));
        }
    }
    Ok(found)
}

/// One question's rows.
async fn ask<T: DeserializeOwned>(connection: &Connection, sql: &str) -> Result<Vec<T>, BackendError> {
    let steps = simple(connection, sql).await?;
    let rows = steps.first().map(|step| step.rows.as_slice()).unwrap_or_default();
    rows.iter()
        .map(|row| {
            let text = text_field(row, 0).ok().flatten().unwrap_or("null");
            serde_json::from_str(text).map_err(|error| {
                let message = format!("the database's definitions cannot be read: {error}");
                DatabaseError::new("XX000", message).detail(text.to_owned()).into()
            })
        })
        .collect()
}

fn named((schema, name): (String, String)) -> QualifiedName {
    QualifiedName::new(schema, name)
}

fn facts(owner: &str, acl: Option<Vec<AclRow>>, comment: Option<String>) -> Facts {
    let owner = Ident::new(owner);
    Facts {
        rights: granted(&owner, acl, None).collect(),
        owner,
        comment,
    }
}

fn granted<'a>(owner: &'a Ident, acl: Option<Vec<AclRow>>, column: Option<&'a Ident>) -> impl Iterator<Item = Right> {
    let (owner, column) = (owner.clone(), column.cloned());
    acl.unwrap_or_default()
        .into_iter()
        .filter_map(move |(role, name, grantable)| {
            Some(Right {
                role: role.map(Ident::from),
                column: column.clone(),
                privilege: privilege(&name)?,
                grantable,
            })
        })
        .filter(move |right| right.role.as_ref() != Some(&owner))
}

/// Roles belong to the whole server: kept are those that this database names, what they are members of, and what
/// requests may become.
fn roles(rows: Vec<RoleRow>) -> BTreeMap<Ident, RoleDefinition> {
    let mut wanted: BTreeSet<String> = rows
        .iter()
        .filter(|row| row.is_named || row.name == AUTHENTICATOR)
        .map(|row| row.name.clone())
        .collect();
    loop {
        let more: Vec<String> = rows
            .iter()
            .filter(|row| wanted.contains(&row.name))
            .flat_map(|row| row.member_of.iter().flatten())
            .filter(|name| !wanted.contains(*name))
            .cloned()
            .collect();
        if more.is_empty() {
            break;
        }
        wanted.extend(more);
    }
    rows.into_iter()
        .filter(|row| wanted.contains(&row.name))
        .map(|row| {
            let definition = RoleDefinition {
                inherit: row.inherit,
                bypass_rls: row.bypass_rls,
                login: row.login,
                member_of: row.member_of.unwrap_or_default().into_iter().map(Ident::from).collect(),
                comment: row.comment,
            };
            (Ident::from(row.name), definition)
        })
        .collect()
}

fn type_of(row: TypeRow) -> (QualifiedName, TypeDefinition) {
    let attributes = |list: Option<Vec<(String, String)>>| {
        list.unwrap_or_default()
            .into_iter()
            .map(|(name, text)| (Ident::from(name), text))
    };
    let body = match row.kind.as_str() {
        "e" => TypeBody::Enum(row.labels.unwrap_or_default()),
        "c" => TypeBody::Composite(attributes(row.attributes).collect()),
        "r" => TypeBody::Range(row.subtype.unwrap_or_default()),
        _ => TypeBody::Domain {
            base: row.base.unwrap_or_default(),
            collation: row.collation,
            not_null: row.not_null,
            default: row.default_text,
            checks: attributes(row.checks).collect(),
        },
    };
    let definition = TypeDefinition {
        facts: facts(&row.owner, row.acl, row.comment.or(row.relation_comment)),
        body,
    };
    (QualifiedName::new(row.schema, row.name), definition)
}

fn sequence(row: SequenceRow) -> (QualifiedName, SequenceDefinition) {
    let is_identity = row.owned_by.as_ref().is_some_and(|(.., internal)| *internal);
    let owner = row
        .owned_by
        .map(|(schema, table, column, _)| (QualifiedName::new(schema, table), Ident::from(column)));
    let definition = SequenceDefinition {
        facts: facts(&row.owner, row.acl, row.comment),
        ty: row.ty,
        start: row.start,
        increment: row.increment,
        min: row.min,
        max: row.max,
        cache: row.cache,
        cycle: row.cycle,
        owned_by: owner,
        is_identity,
    };
    (QualifiedName::new(row.schema, row.name), definition)
}

/// Tables and views with everything that hangs on them.
async fn relations(connection: &Connection, found: &mut Definitions) -> Result<(), BackendError> {
    let mut names: HashMap<i64, QualifiedName> = HashMap::new();
    for row in ask::<RelationRow>(connection, queries::RELATIONS).await? {
        let name = QualifiedName::new(row.schema.as_str(), row.name.as_str());
        names.insert(row.oid, name.clone());
        if matches!(row.kind.as_str(), "v" | "m") {
            found.views.insert(name, view(row));
        } else if row.bounds.is_none() && row.parents.is_some() {
            let kind = "table that inherits".to_owned();
            found.unwritten.insert((kind, name.to_string()));
        } else {
            found.tables.insert(name, table(row));
        }
    }
    for row in ask::<ColumnRow>(connection, queries::COLUMNS).await? {
        let Some(name) = names.get(&row.relation) else { continue };
        if let Some(table) = found.tables.get_mut(name) {
            add_column(table, row);
        } else if let Some(view) = found.views.get_mut(name) {
            let column = Ident::from(row.name);
            let owner = view.facts.owner.clone();
            view.facts.rights.extend(granted(&owner, row.acl, Some(&column)));
            view.column_comments
                .extend(row.comment.map(|comment| (column.clone(), comment)));
            view.columns.push((column, row.ty));
        }
    }
    for row in ask::<ConstraintRow>(connection, queries::CONSTRAINTS).await? {
        if let Some(table) = names.get(&row.relation).and_then(|name| found.tables.get_mut(name)) {
            let (name, definition) = constraint(row);
            table.constraints.insert(name, definition);
        }
    }
    for row in ask::<IndexRow>(connection, queries::INDEXES).await? {
        let Some(of) = names.get(&row.relation) else { continue };
        let definition = IndexDefinition {
            text: row.text,
            comment: row.comment,
        };
        let on_table = found.tables.get_mut(of).map(|table| &mut table.indexes);
        let on_view = found.views.get_mut(of).map(|view| &mut view.indexes);
        if let Some(indexes) = on_table.or(on_view) {
            indexes.insert(Ident::from(row.name), definition);
        }
    }
    for row in ask::<PolicyRow>(connection, queries::POLICIES).await? {
        if let Some(table) = names.get(&row.relation).and_then(|name| found.tables.get_mut(name)) {
            let (name, definition) = policy(row);
            table.policies.insert(name, definition);
        }
    }
    for row in ask::<TriggerRow>(connection, queries::TRIGGERS).await? {
        let Some(of) = names.get(&row.relation) else { continue };
        let definition = TriggerDefinition {
            text: row.text,
            mode: match row.mode.as_str() {
                "D" => TriggerMode::Disabled,
                "R" => TriggerMode::Replica,
                "A" => TriggerMode::Always,
                _ => TriggerMode::Enabled,
            },
            comment: row.comment,
        };
        let on_table = found.tables.get_mut(of).map(|table| &mut table.triggers);
        let on_view = found.views.get_mut(of).map(|view| &mut view.triggers);
        if let Some(triggers) = on_table.or(on_view) {
            triggers.insert(Ident::from(row.name), definition);
        }
    }
    Ok(())
}

fn table(row: RelationRow) -> TableDefinition {
    let parent = row.parents.and_then(|parents| parents.into_iter().next()).map(named);
    TableDefinition {
        row_security: row.row_security,
        row_security_forced: row.forced,
        is_unlogged: row.unlogged,
        replica_full: row.replica_full,
        partition_by: row.partition_by,
        partition_of: parent.zip(row.bounds),
        ..TableDefinition::new(facts(&row.owner, row.acl, row.comment))
    }
}

fn view(row: RelationRow) -> ViewDefinition {
    let option = |name: &str| {
        row.options.iter().flatten().find_map(|text| {
            let (key, value) = text.split_once('=')?;
            (key == name).then(|| value.to_owned())
        })
    };
    let is_on = |name: &str| option(name).is_some_and(|value| matches!(value.as_str(), "true" | "on" | "1" | "yes"));
    ViewDefinition {
        is_materialized: row.kind == "m",
        columns: Vec::new(),
        query: row
            .query
            .unwrap_or_default()
            .trim_end()
            .trim_end_matches(';')
            .to_owned(),
        security_invoker: is_on("security_invoker"),
        security_barrier: is_on("security_barrier"),
        check_option: match option("check_option").as_deref() {
            Some("local") => Some(CheckOption::Local),
            Some("cascaded") => Some(CheckOption::Cascaded),
            _ => None,
        },
        column_comments: BTreeMap::new(),
        triggers: BTreeMap::new(),
        indexes: BTreeMap::new(),
        facts: facts(&row.owner, row.acl, row.comment),
    }
}

fn add_column(table: &mut TableDefinition, row: ColumnRow) {
    let name = Ident::from(row.name);
    let owner = table.facts.owner.clone();
    table.facts.rights.extend(granted(&owner, row.acl, Some(&name)));
    if !row.is_own {
        return;
    }
    let is_generated = row.generated == "s";
    table.columns.push(ColumnDefinition {
        name,
        ty: row.ty,
        collation: row.collation,
        not_null: row.not_null,
        default: row.default_text.clone().filter(|_| !is_generated),
        identity: match row.identity.as_str() {
            "a" => Some(Identity::Always),
            "d" => Some(Identity::ByDefault),
            _ => None,
        },
        generated: row.default_text.filter(|_| is_generated),
        comment: row.comment,
    });
}

fn constraint(row: ConstraintRow) -> (Ident, ConstraintDefinition) {
    let columns = row.columns.unwrap_or_default().into_iter().map(Ident::from);
    let kind = match (row.kind.as_str(), row.target) {
        ("p", _) => ConstraintShape::PrimaryKey(columns.collect()),
        ("u", _) => ConstraintShape::Unique,
        ("f", Some(target)) => ConstraintShape::ForeignKey(named(target)),
        ("x", _) => ConstraintShape::Exclusion,
        _ => ConstraintShape::Check,
    };
    let definition = ConstraintDefinition {
        kind,
        text: row.text,
        comment: row.comment,
    };
    (Ident::from(row.name), definition)
}

/// An expression without the parentheses that enclose all of it: they are written again.
fn bare(text: String) -> String {
    text.strip_prefix('(')
        .and_then(|text| text.strip_suffix(')'))
        .filter(|inner| is_balanced(inner))
        .map(str::to_owned)
        .unwrap_or(text)
}

/// True if no parenthesis closes one that `text` did not open. Texts and names in quotes are passed over.
fn is_balanced(text: &str) -> bool {
    let mut depth = 0_i32;
    let mut quote = None;
    for character in text.chars() {
        match (quote, character) {
            (Some(open), close) if open == close => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}

fn policy(row: PolicyRow) -> (Ident, PolicyDefinition) {
    let definition = PolicyDefinition {
        command: match row.command.as_str() {
            "r" => PolicyCommand::Select,
            "a" => PolicyCommand::Insert,
            "w" => PolicyCommand::Update,
            "d" => PolicyCommand::Delete,
            _ => PolicyCommand::All,
        },
        permissive: row.permissive,
        roles: row
            .roles
            .unwrap_or_default()
            .into_iter()
            .map(|role| role.map(Ident::from))
            .collect(),
        using: row.using_text.map(bare),
        check: row.check_text.map(bare),
        comment: row.comment,
    };
    (Ident::from(row.name), definition)
}

fn routine(row: RoutineRow) -> (RoutineName, RoutineDefinition) {
    let name = RoutineName {
        name: QualifiedName::new(row.schema, row.name),
        arguments: row.arguments,
    };
    let path = row.search_path.as_deref().unwrap_or("public");
    let path = path
        .split(',')
        .map(|part| part.trim().trim_matches('"'))
        .filter(|part| !part.is_empty());
    let definition = RoutineDefinition {
        facts: facts(&row.owner, row.acl, row.comment),
        is_procedure: row.kind == "p",
        signature: row.signature,
        text: row.text.trim_end().to_owned(),
        body: row.body,
        search_path: path.map(Ident::new).collect(),
    };
    (name, definition)
}

fn default_rights(found: &mut Definitions, rows: Vec<DefaultRightRow>) {
    let mut listed: BTreeSet<(Ident, DefaultObject)> = BTreeSet::new();
    for row in rows {
        let object = match row.object.as_str() {
            "r" => DefaultObject::Tables,
            "S" => DefaultObject::Sequences,
            "f" => DefaultObject::Functions,
            "T" => DefaultObject::Types,
            "n" => DefaultObject::Schemas,
            _ => continue,
        };
        let owner = Ident::from(row.owner);
        if row.schema.is_none() {
            listed.insert((owner.clone(), object));
        }
        let schema = row.schema.map(Ident::from);
        for right in granted(&owner, row.acl, None) {
            found.default_rights.insert(DefaultRight {
                owner: owner.clone(),
                schema: schema.clone(),
                object,
                right,
            });
        }
    }
    // Where nothing is listed, PostgreSQL's own rights hold.
    let owner = found.owner.clone();
    for object in [DefaultObject::Functions, DefaultObject::Types] {
        if !listed.contains(&(owner.clone(), object)) {
            for right in rights::built_in(object) {
                found.default_rights.insert(DefaultRight {
                    owner: owner.clone(),
                    schema: None,
                    object,
                    right,
                });
            }
        }
    }
}

/// Reads tables by cursors in one transaction, then the sequences.
pub async fn export(
    inner: &Inner,
    tables: &[TableRows],
    sink: &mut dyn RowSink,
) -> Result<BTreeMap<QualifiedName, Position>, BackendError> {
    let exclusive = inner.pool.exclusive().await?;
    let connection = exclusive.connection();
    let result = read_rows(connection, tables, sink).await;
    // It has settings that nobody else expects.
    connection.close();
    drop(exclusive);
    result
}

/// Values come in the same form whatever the server's settings are; rows that row security hides are an error.
const READ_ROWS: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0;
    SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL row_security = off; SET LOCAL timezone = 'UTC';
    SET LOCAL datestyle = 'ISO, MDY'; SET LOCAL intervalstyle = 'postgres'; SET LOCAL bytea_output = 'hex';
    SET LOCAL extra_float_digits = 1; SET LOCAL search_path = ''";

async fn read_rows(
    connection: &Connection,
    tables: &[TableRows],
    sink: &mut dyn RowSink,
) -> Result<BTreeMap<QualifiedName, Position>, BackendError> {
    simple(connection, READ_ROWS).await?;
    let partitioned: Vec<(String, String)> = ask(connection, queries::PARTITIONED).await?;
    let partitioned: BTreeSet<QualifiedName> = partitioned.into_iter().map(named).collect();
    for (position, table) in tables.iter().enumerate() {
        let columns: Vec<String> = table.columns.iter().map(|name| quoted(name)).collect();
        let order: Vec<String> = match table.order.as_slice() {
            // Not every type has an order, but all have a text.
            [] => columns
                .iter()
                .map(|name| format!("{name}::text COLLATE \"C\""))
                .collect(),
            key => key.iter().map(|name| quoted(name)).collect(),
        };
        let declare = format!(
            "DECLARE mainstay_rows NO SCROLL CURSOR FOR SELECT {} FROM {}{}.{} ORDER BY {}",
            columns.join(", "),
            if partitioned.contains(&table.table) {
                ""
            } else {
                "ONLY "
            },
            quoted(&table.table.schema),
            quoted(&table.table.name),
            order.join(", ")
        );
        simple(connection, &declare).await?;
        loop {
            let steps = simple(connection, &format!("FETCH {BATCH_ROWS} FROM mainstay_rows")).await?;
            let rows = as_table(steps.last()).rows;
            let last = rows.len() < BATCH_ROWS;
            if !rows.is_empty() {
                sink.rows(position, rows)?;
            }
            if last {
                break;
            }
        }
        simple(connection, "CLOSE mainstay_rows").await?;
    }
    positions(connection).await
}

/// Where the sequences stand now; they are no part of a snapshot.
async fn positions(connection: &Connection) -> Result<BTreeMap<QualifiedName, Position>, BackendError> {
    let sequences: Vec<SequenceRow> = ask(connection, queries::SEQUENCES).await?;
    let mut found = BTreeMap::new();
    for chunk in sequences.chunks(100) {
        let parts: Vec<String> = chunk
            .iter()
            .map(|row| {
                format!(
                    "SELECT {}, {}, last_value::text, is_called::text FROM {}.{}",
                    literal(&row.schema),
                    literal(&row.name),
                    quoted(&Ident::new(&row.schema)),
                    quoted(&Ident::new(&row.name))
                )
            })
            .collect();
        let steps = simple(connection, &parts.join(" UNION ALL ")).await?;
        for row in as_table(steps.last()).rows {
            let [Some(schema), Some(name), Some(value), Some(called)] = row.as_slice() else {
                continue;
            };
            let position = Position {
                value: value.parse().unwrap_or_default(),
                is_called: called == "true",
            };
            found.insert(QualifiedName::new(schema.as_str(), name.as_str()), position);
        }
    }
    Ok(found)
}
