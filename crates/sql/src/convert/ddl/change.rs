//! Changes of what is there: `ALTER TYPE … VALUE`, `SET SCHEMA`, `ALTER ROLE`, `TRUNCATE`; and tables made by a query.

use mainstay_core::name::Ident;
use pg_query::NodeEnum;
use pg_query::protobuf::{self, AlterTableType as Alter, ObjectType, VariableSetKind};

use super::super::context::Context;
use super::super::query::subquery;
use super::read::*;
use super::{Converted, object_kind};
use crate::ast::ObjectName;
use crate::ast::ddl::*;

pub(super) fn alter_enum(statement: &protobuf::AlterEnumStmt) -> DdlStatement {
    let change = if statement.old_val.is_empty() {
        let neighbour = Some(&statement.new_val_neighbor).filter(|label| !label.is_empty());
        EnumChange::Add {
            label: statement.new_val.clone(),
            if_not_exists: statement.skip_if_new_val_exists,
            place: neighbour.map(|label| (label.clone(), statement.new_val_is_after)),
        }
    } else {
        EnumChange::Rename {
            from: statement.old_val.clone(),
            to: statement.new_val.clone(),
        }
    };
    DdlStatement::AlterEnum {
        name: name_of(&statement.type_name),
        change,
    }
}

pub(super) fn set_schema(ctx: &Context<'_>, statement: &protobuf::AlterObjectSchemaStmt) -> Converted<DdlStatement> {
    let kind = ObjectType::try_from(statement.object_type).unwrap_or(ObjectType::Undefined);
    let object = statement.object.as_ref().and_then(|object| object.node.as_ref());
    let mut arguments = None;
    let (kind, name) = match (kind, object) {
        (ObjectType::ObjectTable | ObjectType::ObjectView | ObjectType::ObjectSequence, _) => (
            object_kind(kind).unwrap_or(ObjectKind::Table),
            relation(ctx, statement.relation.as_ref())?,
        ),
        (ObjectType::ObjectType, Some(NodeEnum::List(names))) => (ObjectKind::Type, name_of(&names.items)),
        (ObjectType::ObjectFunction | ObjectType::ObjectRoutine, Some(NodeEnum::ObjectWithArgs(function))) => {
            let function = function_name(ctx, function)?;
            arguments = function.arguments;
            (ObjectKind::Function, function.name)
        }
        (ObjectType::ObjectExtension, Some(NodeEnum::String(name))) => {
            (ObjectKind::Extension, bare_name(Ident::new(&name.sval)))
        }
        _ => return Err(refuse(ctx, "SET SCHEMA of this kind of object", "", None)),
    };
    Ok(DdlStatement::SetSchema(SetSchema {
        kind,
        name,
        arguments,
        schema: Ident::new(&statement.newschema),
        if_exists: statement.missing_ok,
    }))
}

pub(super) fn alter_role(ctx: &Context<'_>, statement: &protobuf::AlterRoleStmt) -> Converted<DdlStatement> {
    let role = statement.role.as_ref().map_or(RoleName::Current, role_name);
    let shown = match &role {
        RoleName::Named(name) => name.to_string(),
        _ => String::new(),
    };
    let mut alter = AlterRole {
        role,
        inherit: None,
        bypass_rls: None,
        statement_timeout_ms: None,
    };
    each_once(&statement.options)?;
    for element in definitions(&statement.options) {
        match element.defname.as_str() {
            "inherit" => alter.inherit = Some(option_bool(element)?),
            "bypassrls" => alter.bypass_rls = Some(option_bool(element)?),
            // Nobody signs in to the embedded engine.
            "canlogin" if !option_bool(element)? => {}
            "superuser" | "createrole" | "createdb" | "isreplication" if !option_bool(element)? => {}
            "canlogin" | "password" | "validUntil" | "connectionlimit" => {
                let way = Some("roles without LOGIN, and tokens that name them");
                return Err(refuse(ctx, "login roles", &shown, way));
            }
            other => return Err(refuse(ctx, &format!("role option {other}"), &shown, None)),
        }
    }
    Ok(DdlStatement::AlterRole(alter))
}

pub(super) fn alter_role_set(ctx: &Context<'_>, statement: &protobuf::AlterRoleSetStmt) -> Converted<DdlStatement> {
    let Some(role) = statement.role.as_ref() else {
        return Err(refuse(ctx, "ALTER ROLE ALL SET", "", Some("one role by name")));
    };
    let role = role_name(role);
    let shown = match &role {
        RoleName::Named(name) => name.to_string(),
        _ => String::new(),
    };
    let Some(set) = statement.setstmt.as_ref().filter(|_| statement.database.is_empty()) else {
        return Err(refuse(ctx, "ALTER ROLE … IN DATABASE", &shown, None));
    };
    let value = set.args.first().and_then(constant_text);
    let timeout = match (set.name.as_str(), set.kind(), value) {
        ("statement_timeout", VariableSetKind::VarReset | VariableSetKind::VarSetDefault, _) => None,
        ("statement_timeout", VariableSetKind::VarSetValue, Some(text)) => match milliseconds(&text) {
            Some(value) => Some(value).filter(|value| *value > 0),
            None => {
                let message = format!("invalid value for parameter \"statement_timeout\": \"{text}\"");
                return Err(mainstay_core::error::DatabaseError::new("22023", message));
            }
        },
        (name, ..) => {
            let way = if name.starts_with("pgrst.") {
                "[rest] in config.toml"
            } else {
                "SET in a function"
            };
            return Err(refuse(ctx, &format!("ALTER ROLE … SET {name}"), &shown, Some(way)));
        }
    };
    Ok(DdlStatement::AlterRole(AlterRole {
        role,
        inherit: None,
        bypass_rls: None,
        statement_timeout_ms: Some(timeout),
    }))
}

/// A setting's time, `8000`, `8s`, `2 min`, in milliseconds.
fn milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim_start() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit)
}

pub(super) fn truncate(ctx: &Context<'_>, statement: &protobuf::TruncateStmt) -> Converted<DdlStatement> {
    let mut tables = Vec::new();
    for node in &statement.relations {
        if let Some(NodeEnum::RangeVar(name)) = &node.node {
            tables.push(relation(ctx, Some(name))?);
        }
    }
    Ok(DdlStatement::Truncate(Truncate {
        tables,
        restart_identity: statement.restart_seqs,
        cascade: statement.behavior == protobuf::DropBehavior::DropCascade as i32,
    }))
}

pub(super) fn set_constraints(ctx: &Context<'_>, statement: &protobuf::ConstraintsSetStmt) -> Converted<DdlStatement> {
    let mut names = Vec::new();
    for node in &statement.constraints {
        if let Some(NodeEnum::RangeVar(name)) = &node.node {
            names.push(relation(ctx, Some(name))?);
        }
    }
    Ok(DdlStatement::SetConstraints {
        names,
        deferred: statement.deferred,
    })
}

pub(super) fn create_table_as(ctx: &Context<'_>, statement: &protobuf::CreateTableAsStmt) -> Converted<DdlStatement> {
    let into = statement.into.as_deref();
    let (name, storage) = table_made(ctx, into)?;
    if statement.objtype == ObjectType::ObjectMatview as i32 {
        return Err(refuse(ctx, "materialized views", &name.name, Some("a view")));
    }
    let Some(query) = statement.query.as_deref() else {
        return Err(ctx_error("the table has no query"));
    };
    if matches!(&query.node, Some(NodeEnum::ExecuteStmt(_))) {
        return Err(refuse(ctx, "EXECUTE", &name.name, Some("the query itself")));
    }
    Ok(DdlStatement::CreateTableAs(CreateTableAs {
        if_not_exists: statement.if_not_exists,
        columns: into.map(|into| identifiers(&into.col_names)).unwrap_or_default(),
        query: Box::new(subquery(query, ctx)?),
        with_data: !into.is_some_and(|into| into.skip_data),
        storage,
        name,
    }))
}

/// `SELECT … INTO`, which stands in the first part of a set operation; `None` if there is no INTO.
pub(in super::super) fn select_into(
    ctx: &Context<'_>,
    select: &protobuf::SelectStmt,
) -> Converted<Option<DdlStatement>> {
    if !has_into(select) {
        return Ok(None);
    }
    fn take(select: &mut protobuf::SelectStmt) -> Option<protobuf::IntoClause> {
        match select.into_clause.take() {
            Some(into) => Some(*into),
            None => take(select.larg.as_deref_mut()?),
        }
    }
    let mut plain = select.clone();
    let Some(into) = take(&mut plain) else { return Ok(None) };
    let query = super::super::query::query(&plain, ctx)?;
    let (name, storage) = table_made(ctx, Some(&into))?;
    Ok(Some(DdlStatement::CreateTableAs(CreateTableAs {
        name,
        storage,
        if_not_exists: false,
        columns: Vec::new(),
        query: Box::new(query),
        with_data: true,
    })))
}

/// True if the query makes a table: INTO stands in the first part of a set operation.
pub(in super::super) fn has_into(select: &protobuf::SelectStmt) -> bool {
    select.into_clause.is_some() || select.larg.as_deref().is_some_and(has_into)
}

fn table_made(ctx: &Context<'_>, into: Option<&protobuf::IntoClause>) -> Converted<(ObjectName, TableStorage)> {
    let name = relation(ctx, into.and_then(|into| into.rel.as_ref()))?;
    let persistence = into
        .and_then(|into| into.rel.as_ref())
        .map(|relation| relation.relpersistence.as_str());
    match persistence {
        Some("t") => Err(refuse(ctx, "temporary tables", &name.name, Some("a table that stays"))),
        Some("u") => Err(refuse(ctx, "UNLOGGED tables", &name.name, Some("a plain table"))),
        _ => {
            let storage = match into {
                Some(into) => table_storage(
                    ctx,
                    &name.name,
                    (&into.options, &into.access_method),
                    into.on_commit,
                    &into.table_space_name,
                )?,
                None => TableStorage::default(),
            };
            Ok((name, storage))
        }
    }
}

/// `USING`, `WITH`, `ON COMMIT` and `TABLESPACE` of a new table. Errors: 42P16 for ON COMMIT, 0A000 for a tablespace.
pub(super) fn table_storage(
    ctx: &Context<'_>,
    table: &Ident,
    (options, method): (&[protobuf::Node], &str),
    on_commit: i32,
    tablespace: &str,
) -> Converted<TableStorage> {
    use protobuf::OnCommitAction as Action;
    if !matches!(
        Action::try_from(on_commit),
        Ok(Action::Undefined | Action::OncommitNoop)
    ) {
        let message = "ON COMMIT can only be used on temporary tables";
        return Err(mainstay_core::error::DatabaseError::new("42P16", message));
    }
    if !tablespace.is_empty() {
        return Err(refuse(ctx, "tablespaces", table, Some("no TABLESPACE clause")));
    }
    Ok(TableStorage {
        options: storage_options(options),
        method: Some(Ident::new(method)).filter(|method| !method.is_empty()),
    })
}

/// `ALTER CONSTRAINT`: what is not said is NOT DEFERRABLE, INITIALLY IMMEDIATE.
pub(super) fn alter_constraint(
    ctx: &Context<'_>,
    table: &ObjectName,
    definition: Option<&NodeEnum>,
) -> Converted<AlterAction> {
    match definition {
        Some(NodeEnum::AtalterConstraint(change)) if !change.alter_enforceability && !change.alter_inheritability => {
            Ok(AlterAction::AlterConstraint {
                name: Ident::new(&change.conname),
                deferrable: change.deferrable || change.initdeferred,
                initially_deferred: change.initdeferred,
            })
        }
        _ => Err(refuse(
            ctx,
            "this form of ALTER CONSTRAINT",
            &table.name,
            Some("DROP CONSTRAINT and ADD CONSTRAINT"),
        )),
    }
}

/// Forms of `ALTER TABLE` that only PostgreSQL's storage hears.
pub(super) fn is_storage(kind: Alter) -> bool {
    matches!(
        kind,
        Alter::AtReplicaIdentity | Alter::AtDropCluster | Alter::AtSetLogged | Alter::AtDropOids
    )
}
