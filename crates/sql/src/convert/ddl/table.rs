//! Tables, their columns and constraints, and indexes.

use mainstay_core::catalog::{Identity, ReferentialAction};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use mainstay_core::types::Type;
use pg_query::NodeEnum;
use pg_query::protobuf::{self, AlterTableType as Alter, ConstrType, Node};

use super::super::context::Context;
use super::change::{alter_constraint, is_storage, table_storage};
use super::read::*;
use super::{Converted, object_kind, sequence_options, text};
use crate::ast::TypeName;
use crate::ast::ddl::*;

pub(super) fn create_table(ctx: &Context<'_>, statement: &protobuf::CreateStmt) -> Converted<CreateTable> {
    let name = relation(ctx, statement.relation.as_ref())?;
    let persistence = statement
        .relation
        .as_ref()
        .map(|relation| relation.relpersistence.as_str());
    let unavailable = |feature, way| Err(refuse(ctx, feature, &name.name, way));
    match persistence {
        Some("t") => return unavailable("temporary tables", Some("a table that stays")),
        Some("u") => return unavailable("UNLOGGED tables", Some("a plain table")),
        _ => {}
    }
    if statement.partbound.is_some() || statement.partspec.is_some() {
        return unavailable("partitioned tables", Some("one table with an index"));
    }
    if !statement.inh_relations.is_empty() {
        return unavailable("table inheritance (INHERITS)", Some("a foreign key"));
    }
    if statement.of_typename.is_some() {
        return unavailable("typed tables (OF)", Some("the columns written out"));
    }
    let storage = table_storage(
        ctx,
        &name.name,
        (&statement.options, &statement.access_method),
        statement.oncommit,
        &statement.tablespacename,
    )?;
    let mut table = CreateTable {
        storage,
        if_not_exists: statement.if_not_exists,
        columns: Vec::new(),
        constraints: Vec::new(),
        likes: Vec::new(),
        name,
    };
    for element in &statement.table_elts {
        match element.node.as_ref() {
            Some(NodeEnum::ColumnDef(column)) => table.columns.push(self::column(ctx, &table.name.name, column)?),
            Some(NodeEnum::Constraint(constraint)) => {
                table
                    .constraints
                    .push(self::constraint(ctx, &table.name.name, constraint)?);
            }
            Some(NodeEnum::TableLikeClause(clause)) => table.likes.push((table.columns.len(), like(ctx, clause)?)),
            _ => return Err(refuse(ctx, "this part of CREATE TABLE", &table.name.name, None)),
        }
    }
    Ok(table)
}

/// `TableLikeOption`'s bits; storage, compression and statistics change no answer.
fn like(ctx: &Context<'_>, clause: &protobuf::TableLikeClause) -> Converted<Like> {
    let including = |bit: u32| clause.options & (1 << bit) != 0;
    Ok(Like {
        relation: relation(ctx, clause.relation.as_ref())?,
        comments: including(0),
        constraints: including(2),
        defaults: including(3),
        generated: including(4),
        identity: including(5),
        indexes: including(6),
    })
}

/// One column with its constraints in the order written.
fn column(ctx: &Context<'_>, table: &Ident, column: &protobuf::ColumnDef) -> Converted<ColumnDefinition> {
    let line = ctx.line(column.location);
    let object = format!("{table}.{}", column.colname);
    let Some(ty) = &column.type_name else {
        return Err(ctx_error("the column has no type"));
    };
    if let Some(collation) = &column.coll_clause {
        check_collation(&collation.collname, &object, line)?;
        check_collatable(&ctx.type_name(ty)?, &object, line)?;
    }
    let mut constraints: Vec<ConstraintDefinition> = Vec::new();
    for node in &column.constraints {
        let Some(NodeEnum::Constraint(parsed)) = &node.node else {
            continue;
        };
        let kind = ConstrType::try_from(parsed.contype).unwrap_or(ConstrType::Undefined);
        let attribute = match kind {
            ConstrType::ConstrAttrDeferrable => Some((Some(true), None)),
            ConstrType::ConstrAttrNotDeferrable => Some((Some(false), None)),
            ConstrType::ConstrAttrDeferred => Some((Some(true), Some(true))),
            ConstrType::ConstrAttrImmediate => Some((None, Some(false))),
            _ => None,
        };
        match attribute {
            Some((deferrable, deferred)) => amend(&mut constraints, &object, deferrable, deferred)?,
            None => constraints.push(constraint(ctx, table, parsed)?),
        }
    }
    if !column.storage_name.is_empty() {
        return Err(newer("STORAGE in a column's definition"));
    }
    Ok(ColumnDefinition {
        name: Ident::new(&column.colname),
        ty: ctx.type_name(ty)?,
        constraints,
        compression: column.compression.clone(),
        line,
    })
}

/// Applies `DEFERRABLE` and kin, which the grammar lists after the constraint they are about.
fn amend(
    constraints: &mut [ConstraintDefinition],
    object: &str,
    deferrable: Option<bool>,
    deferred: Option<bool>,
) -> Converted<()> {
    match constraints.last_mut() {
        Some(ConstraintDefinition {
            body: ConstraintBody::ForeignKey(key),
            ..
        }) => {
            key.deferrable = deferrable.unwrap_or(key.deferrable);
            key.initially_deferred = deferred.unwrap_or(key.initially_deferred);
            Ok(())
        }
        Some(ConstraintDefinition { line, .. }) if deferrable == Some(true) => Err(deferrable_unique(object, *line)),
        Some(_) => Ok(()),
        None => Err(DatabaseError::new("42601", "misplaced DEFERRABLE clause")),
    }
}

fn deferrable_unique(object: &str, line: u32) -> DatabaseError {
    DatabaseError::unavailable(
        "DEFERRABLE on anything but a foreign key",
        object,
        line,
        Some("a plain constraint"),
    )
}

/// One constraint. Errors: 0A000 for what the embedded engine cannot keep, 42601 for syntax newer than PostgreSQL 15.
pub(super) fn constraint(
    ctx: &Context<'_>,
    table: &Ident,
    constraint: &protobuf::Constraint,
) -> Converted<ConstraintDefinition> {
    let line = ctx.line(constraint.location);
    let object = if constraint.conname.is_empty() {
        table.as_str()
    } else {
        &constraint.conname
    };
    let unavailable = |feature: &str, way: Option<&str>| DatabaseError::unavailable(feature, object, line, way);
    let kind = ConstrType::try_from(constraint.contype).unwrap_or(ConstrType::Undefined);
    let expression = || match constraint.raw_expr.as_deref() {
        Some(expression) => text::of_expression(expression),
        None => Err(ctx_error("the constraint has no expression")),
    };
    if constraint.without_overlaps || constraint.fk_with_period || constraint.pk_with_period {
        return Err(newer("WITHOUT OVERLAPS and PERIOD"));
    }
    let body = match kind {
        ConstrType::ConstrNull => ConstraintBody::Null,
        ConstrType::ConstrNotnull if constraint.keys.is_empty() => ConstraintBody::NotNull,
        ConstrType::ConstrNotnull => return Err(newer("NOT NULL as a table constraint")),
        ConstrType::ConstrDefault => ConstraintBody::Default(expression()?),
        ConstrType::ConstrIdentity => ConstraintBody::Identity {
            mode: identity(constraint),
            options: sequence_options(ctx, &constraint.options)?,
        },
        ConstrType::ConstrGenerated if constraint.generated_kind == "v" => {
            return Err(newer("GENERATED … VIRTUAL").hint("Write STORED after the expression."));
        }
        ConstrType::ConstrGenerated => ConstraintBody::Generated(expression()?),
        ConstrType::ConstrCheck => ConstraintBody::Check(expression()?),
        ConstrType::ConstrPrimary | ConstrType::ConstrUnique => {
            if constraint.deferrable || constraint.initdeferred {
                return Err(deferrable_unique(object, line));
            }
            if constraint.nulls_not_distinct {
                return Err(unavailable(
                    "UNIQUE NULLS NOT DISTINCT",
                    Some("a unique index over coalesce(…)"),
                ));
            }
            let primary = kind == ConstrType::ConstrPrimary;
            let columns = identifiers(&constraint.keys);
            if !constraint.indexname.is_empty() {
                ConstraintBody::UsingIndex {
                    primary,
                    index: Ident::new(&constraint.indexname),
                }
            } else if primary {
                ConstraintBody::PrimaryKey { columns }
            } else {
                ConstraintBody::Unique { columns }
            }
        }
        ConstrType::ConstrExclusion => return Err(unavailable("EXCLUDE constraints", None)),
        ConstrType::ConstrForeign => ConstraintBody::ForeignKey(foreign_key(ctx, constraint, &unavailable)?),
        ConstrType::ConstrAttrEnforced | ConstrType::ConstrAttrNotEnforced => {
            return Err(newer("ENFORCED and NOT ENFORCED"));
        }
        _ => return Err(unavailable("this kind of constraint", None)),
    };
    let not_enforced = matches!(kind, ConstrType::ConstrCheck | ConstrType::ConstrForeign) && !constraint.is_enforced;
    if not_enforced {
        return Err(newer("NOT ENFORCED"));
    }
    if !constraint.indexspace.is_empty() {
        return Err(unavailable("tablespaces", Some("no TABLESPACE clause")));
    }
    if constraint.is_no_inherit {
        return Err(unavailable("NO INHERIT", Some("a plain CHECK")));
    }
    let name = Some(Ident::new(&constraint.conname)).filter(|name| !name.is_empty());
    Ok(ConstraintDefinition {
        name,
        body,
        not_valid: constraint.skip_validation && !constraint.initially_valid,
        storage: storage_options(&constraint.options),
        including: identifiers(&constraint.including),
        line,
    })
}

/// Syntax that the grammar knows and PostgreSQL 15 does not.
fn newer(feature: &str) -> DatabaseError {
    DatabaseError::new(
        "42601",
        format!("{feature} is newer than PostgreSQL 15, which this project targets"),
    )
}

fn identity(constraint: &protobuf::Constraint) -> Identity {
    if constraint.generated_when == "a" {
        Identity::Always
    } else {
        Identity::ByDefault
    }
}

fn foreign_key(
    ctx: &Context<'_>,
    constraint: &protobuf::Constraint,
    unavailable: &dyn Fn(&str, Option<&str>) -> DatabaseError,
) -> Converted<ForeignKeyDefinition> {
    match constraint.fk_matchtype.as_str() {
        "f" => return Err(unavailable("MATCH FULL", Some("MATCH SIMPLE with NOT NULL columns"))),
        "p" => return Err(DatabaseError::new("0A000", "MATCH PARTIAL not yet implemented")),
        _ => {}
    }
    if !constraint.fk_del_set_cols.is_empty() {
        return Err(unavailable(
            "ON DELETE SET with a column list",
            Some("ON DELETE SET NULL for the whole key"),
        ));
    }
    Ok(ForeignKeyDefinition {
        columns: identifiers(&constraint.fk_attrs),
        target: relation(ctx, constraint.pktable.as_ref())?,
        target_columns: identifiers(&constraint.pk_attrs),
        on_delete: action(&constraint.fk_del_action),
        on_update: action(&constraint.fk_upd_action),
        deferrable: constraint.deferrable || constraint.initdeferred,
        initially_deferred: constraint.initdeferred,
    })
}

/// `pg_constraint.confdeltype`'s letters.
fn action(letter: &str) -> ReferentialAction {
    match letter {
        "r" => ReferentialAction::Restrict,
        "c" => ReferentialAction::Cascade,
        "n" => ReferentialAction::SetNull,
        "d" => ReferentialAction::SetDefault,
        _ => ReferentialAction::NoAction,
    }
}

/// Errors: 42804 for a type without collations; 0A000 for one of the schema's own, which is not known here.
pub(super) fn check_collatable(ty: &TypeName, object: &str, line: u32) -> Converted<()> {
    let builtin = ty.schema.as_ref().is_none_or(|schema| *schema == *"pg_catalog");
    match Type::from_builtin_name(&ty.name).filter(|_| builtin) {
        Some(Type::Text | Type::Varchar | Type::Bpchar | Type::Name) => Ok(()),
        None if *ty.name == *"citext" => Ok(()),
        Some(other) => Err(DatabaseError::new(
            "42804",
            format!("collations are not supported by type {other}"),
        )),
        None => Err(DatabaseError::unavailable(
            &format!("COLLATE with the type {}", ty.name),
            object,
            line,
            Some("a built-in type"),
        )),
    }
}

/// Errors: 0A000 for collations other than `C`: `POSIX` is another in the rules that tell conflicts.
pub(super) fn check_collation(names: &[Node], object: &str, line: u32) -> Converted<()> {
    let name = name_of(names).name;
    if matches!(name.as_str(), "C" | "default") {
        return Ok(());
    }
    let feature = format!("COLLATE \"{name}\"");
    Err(DatabaseError::unavailable(
        &feature,
        object,
        line,
        Some("COLLATE \"C\""),
    ))
}

pub(super) fn create_index(ctx: &Context<'_>, statement: &protobuf::IndexStmt) -> Converted<CreateIndex> {
    let table = relation(ctx, statement.relation.as_ref())?;
    let object = if statement.idxname.is_empty() {
        table.name.to_string()
    } else {
        statement.idxname.clone()
    };
    if statement.nulls_not_distinct {
        let way = Some("a unique index over coalesce(…)");
        return Err(refuse(ctx, "UNIQUE NULLS NOT DISTINCT", &object, way));
    }
    if !statement.table_space.is_empty() {
        return Err(refuse(ctx, "tablespaces", &object, Some("no TABLESPACE clause")));
    }
    let mut keys = Vec::new();
    for node in &statement.index_params {
        let Some(NodeEnum::IndexElem(element)) = &node.node else {
            continue;
        };
        check_direction(&statement.access_method, element)?;
        keys.push(index_key(ctx, &object, element)?);
    }
    check_included(&statement.index_including_params)?;
    let including = statement
        .index_including_params
        .iter()
        .filter_map(|node| match node.node.as_ref() {
            Some(NodeEnum::IndexElem(element)) => Some(Ident::new(&element.name)),
            _ => None,
        })
        .collect();
    Ok(CreateIndex {
        name: Some(Ident::new(&statement.idxname)).filter(|name| !name.is_empty()),
        table,
        if_not_exists: statement.if_not_exists,
        unique: statement.unique,
        method: Ident::new(&statement.access_method),
        keys,
        including,
        options: storage_options(&statement.options),
        predicate: statement.where_clause.as_deref().map(text::of_expression).transpose()?,
    })
}

/// Errors: 0A000 for `ASC`, `DESC` and `NULLS …` on an index that has no order.
fn check_direction(method: &str, element: &protobuf::IndexElem) -> Converted<()> {
    use protobuf::{SortByDir, SortByNulls};
    if !matches!(method, "hash" | "gin" | "gist" | "spgist" | "brin") {
        return Ok(());
    }
    let plain = |value: i32, default: i32| value == default || value == 0;
    let what = if !plain(element.ordering, SortByDir::SortbyDefault as i32) {
        "ASC/DESC"
    } else if !plain(element.nulls_ordering, SortByNulls::SortbyNullsDefault as i32) {
        "NULLS FIRST/LAST"
    } else {
        return Ok(());
    };
    let message = format!("access method \"{method}\" does not support {what} options");
    Err(DatabaseError::new("0A000", message))
}

/// Errors: 0A000 for anything but plain columns in `INCLUDE`.
fn check_included(columns: &[Node]) -> Converted<()> {
    for node in columns {
        let Some(NodeEnum::IndexElem(element)) = &node.node else {
            continue;
        };
        let what = if element.expr.is_some() {
            "expressions are not supported in included columns"
        } else if !element.collation.is_empty() {
            "including column does not support a collation"
        } else if !element.opclass.is_empty() {
            "including column does not support an operator class"
        } else {
            continue;
        };
        return Err(DatabaseError::new("0A000", what));
    }
    Ok(())
}

fn index_key(ctx: &Context<'_>, index: &str, element: &protobuf::IndexElem) -> Converted<IndexKeyDefinition> {
    use protobuf::{SortByDir, SortByNulls};
    if !element.collation.is_empty() {
        check_collation(&element.collation, index, ctx.statement_line())?;
    }
    if !element.opclassopts.is_empty() {
        let way = Some("the operator class alone");
        return Err(refuse(ctx, "parameters of an operator class", index, way));
    }
    let part = match element.expr.as_deref() {
        Some(expression) => IndexPartDefinition::Expression {
            text: text::of_expression(expression)?,
            label: Ident::new(label(expression).0.unwrap_or("expr")),
        },
        None => IndexPartDefinition::Column(Ident::new(&element.name)),
    };
    Ok(IndexKeyDefinition {
        collated: !element.collation.is_empty(),
        part,
        descending: element.ordering == SortByDir::SortbyDesc as i32,
        nulls_first: match SortByNulls::try_from(element.nulls_ordering) {
            Ok(SortByNulls::SortbyNullsFirst) => Some(true),
            Ok(SortByNulls::SortbyNullsLast) => Some(false),
            _ => None,
        },
        operator_class: Some(name_of(&element.opclass).name).filter(|name| !name.is_empty()),
    })
}

/// What PostgreSQL calls a result column of this expression, and how sure it is (0: no idea, 1: a type, 2: a name).
fn label(node: &Node) -> (Option<&str>, u8) {
    let is_name = |node: Option<&Node>| node.and_then(string_of).is_some();
    match node.node.as_ref() {
        Some(NodeEnum::ColumnRef(column)) if is_name(column.fields.last()) => {
            (column.fields.last().and_then(string_of), 2)
        }
        Some(NodeEnum::FuncCall(call)) => (call.funcname.last().and_then(string_of), 2),
        Some(NodeEnum::TypeCast(cast)) => {
            let inner = cast.arg.as_deref().map_or((None, 0), label);
            match (&inner, &cast.type_name) {
                ((_, 0 | 1), Some(ty)) => (ty.names.last().and_then(string_of), 1),
                _ => inner,
            }
        }
        Some(NodeEnum::CollateClause(clause)) => clause.arg.as_deref().map_or((None, 0), label),
        Some(NodeEnum::CoalesceExpr(_)) => (Some("coalesce"), 2),
        Some(NodeEnum::MinMaxExpr(expression)) => {
            let least = expression.op == protobuf::MinMaxOp::IsLeast as i32;
            (Some(if least { "least" } else { "greatest" }), 2)
        }
        Some(NodeEnum::CaseExpr(case)) => match case.defresult.as_deref().map_or((None, 0), label) {
            (Some(name), strength @ 1..) => (Some(name), strength),
            _ => (Some("case"), 1),
        },
        Some(NodeEnum::AArrayExpr(_)) => (Some("array"), 2),
        Some(NodeEnum::RowExpr(_)) => (Some("row"), 2),
        _ => (None, 0),
    }
}

pub(super) fn alter_table(ctx: &Context<'_>, statement: &protobuf::AlterTableStmt) -> Converted<AlterTable> {
    let name = relation(ctx, statement.relation.as_ref())?;
    let object = protobuf::ObjectType::try_from(statement.objtype).unwrap_or(protobuf::ObjectType::Undefined);
    let Some(kind) = object_kind(object) else {
        return Err(refuse(ctx, "ALTER of this kind of object", &name.name, None));
    };
    let mut actions = Vec::new();
    for node in &statement.cmds {
        let Some(NodeEnum::AlterTableCmd(command)) = &node.node else {
            continue;
        };
        actions.push(alter_action(ctx, &name, command)?);
    }
    Ok(AlterTable {
        kind,
        if_exists: statement.missing_ok,
        actions,
        name,
    })
}

fn alter_action(
    ctx: &Context<'_>,
    table: &crate::ast::ObjectName,
    command: &protobuf::AlterTableCmd,
) -> Converted<AlterAction> {
    let part = Ident::new(&command.name);
    let definition = command.def.as_ref().and_then(|node| node.node.as_ref());
    let cascade = command.behavior == protobuf::DropBehavior::DropCascade as i32;
    let kind = Alter::try_from(command.subtype).unwrap_or(Alter::Undefined);
    let unavailable = |feature: &str, way: Option<&str>| {
        let object = if part.is_empty() {
            table.name.to_string()
        } else {
            format!("{}.{part}", table.name)
        };
        Err(refuse(ctx, feature, &object, way))
    };
    let switch = |name, enabled, system| AlterAction::Triggers(TriggerSwitch { name, enabled, system });
    let security = |enabled, forced| AlterAction::RowSecurity { enabled, forced };
    let column_storage = |storage| AlterAction::ColumnStorage {
        column: part.clone(),
        storage,
    };
    Ok(match (kind, definition) {
        (Alter::AtAddColumn, Some(NodeEnum::ColumnDef(added))) => AlterAction::AddColumn {
            column: column(ctx, &table.name, added)?,
            if_not_exists: command.missing_ok,
        },
        (Alter::AtDropColumn, _) => AlterAction::DropColumn {
            column: part,
            if_exists: command.missing_ok,
            cascade,
        },
        (Alter::AtColumnDefault, _) => AlterAction::SetDefault {
            column: part,
            default: command.def.as_deref().map(text::of_expression).transpose()?,
        },
        (Alter::AtSetNotNull, _) => AlterAction::SetNotNull { column: part },
        (Alter::AtDropNotNull, _) => AlterAction::DropNotNull { column: part },
        (Alter::AtAddIdentity, Some(NodeEnum::Constraint(added))) => AlterAction::AddIdentity {
            column: part,
            mode: identity(added),
            options: sequence_options(ctx, &added.options)?,
        },
        (Alter::AtDropIdentity, _) => AlterAction::DropIdentity {
            column: part,
            if_exists: command.missing_ok,
        },
        (Alter::AtAddConstraint, Some(NodeEnum::Constraint(added))) => {
            AlterAction::AddConstraint(constraint(ctx, &table.name, added)?)
        }
        (Alter::AtDropConstraint, _) => AlterAction::DropConstraint {
            name: part,
            if_exists: command.missing_ok,
            cascade,
        },
        (Alter::AtValidateConstraint, _) => AlterAction::ValidateConstraint { name: part },
        (Alter::AtEnableRowSecurity, _) => security(Some(true), None),
        (Alter::AtDisableRowSecurity, _) => security(Some(false), None),
        (Alter::AtForceRowSecurity, _) => security(None, Some(true)),
        (Alter::AtNoForceRowSecurity, _) => security(None, Some(false)),
        (Alter::AtEnableTrig | Alter::AtEnableAlwaysTrig, _) => switch(Some(part), true, false),
        (Alter::AtDisableTrig, _) => switch(Some(part), false, false),
        (Alter::AtEnableTrigAll, _) => switch(None, true, true),
        (Alter::AtEnableTrigUser, _) => switch(None, true, false),
        (Alter::AtDisableTrigAll, _) => switch(None, false, true),
        (Alter::AtDisableTrigUser, _) => switch(None, false, false),
        (Alter::AtEnableReplicaTrig, _) => return unavailable("ENABLE REPLICA TRIGGER", None),
        (Alter::AtChangeOwner, _) => AlterAction::Owner(command.newowner.as_ref().map_or(RoleName::Current, role_name)),
        (Alter::AtSetRelOptions | Alter::AtResetRelOptions, Some(NodeEnum::List(list))) => AlterAction::Options {
            options: storage_options(&list.items),
            reset: kind == Alter::AtResetRelOptions,
        },
        (Alter::AtSetStatistics, _) => column_storage(ColumnStorage::Statistics(
            command
                .def
                .as_deref()
                .and_then(constant_text)
                .and_then(|text| text.parse().ok())
                .unwrap_or(-1),
        )),
        (Alter::AtSetOptions | Alter::AtResetOptions, Some(NodeEnum::List(list))) => {
            column_storage(ColumnStorage::Options {
                options: storage_options(&list.items),
                reset: kind == Alter::AtResetOptions,
            })
        }
        (Alter::AtSetStorage, Some(NodeEnum::String(word))) => {
            column_storage(ColumnStorage::Storage(word.sval.clone()))
        }
        (Alter::AtSetCompression, Some(NodeEnum::String(word))) => {
            column_storage(ColumnStorage::Compression(word.sval.clone()))
        }
        (Alter::AtClusterOn, _) => AlterAction::ClusterOn(part),
        (Alter::AtReplicaIdentity, Some(NodeEnum::ReplicaIdentityStmt(identity))) if identity.identity_type == "i" => {
            let way = Some("REPLICA IDENTITY FULL");
            return unavailable("REPLICA IDENTITY USING INDEX", way);
        }
        (kind, _) if is_storage(kind) => AlterAction::Nothing,
        (Alter::AtAlterColumnType, Some(NodeEnum::ColumnDef(changed))) => {
            let line = ctx.line(changed.location);
            let Some(ty) = &changed.type_name else {
                return Err(ctx_error("the column has no type"));
            };
            if let Some(collation) = &changed.coll_clause {
                check_collation(&collation.collname, &part, line)?;
                check_collatable(&ctx.type_name(ty)?, &part, line)?;
            }
            AlterAction::SetType {
                ty: ctx.type_name(ty)?,
                using: changed.raw_default.as_deref().map(text::of_expression).transpose()?,
                column: part,
                line,
            }
        }
        (Alter::AtSetIdentity, Some(NodeEnum::List(list))) => {
            let generated = option(&list.items, "generated").and_then(option_integer);
            let options: Vec<Node> = list
                .items
                .iter()
                .filter(
                    |node| !matches!(&node.node, Some(NodeEnum::DefElem(element)) if element.defname == "generated"),
                )
                .cloned()
                .collect();
            AlterAction::SetIdentity {
                column: part,
                // The letter `a` or `d`, as a number.
                mode: generated.map(|letter| match letter == i64::from(b'a') {
                    true => Identity::Always,
                    false => Identity::ByDefault,
                }),
                options: sequence_options(ctx, &options)?,
            }
        }
        (Alter::AtDropExpression, _) => AlterAction::DropExpression {
            column: part,
            if_exists: command.missing_ok,
        },
        (Alter::AtSetExpression, _) => return Err(newer("SET EXPRESSION")),
        (Alter::AtAlterConstraint, definition) => alter_constraint(ctx, table, definition)?,
        (Alter::AtAddInherit | Alter::AtDropInherit, _) => return unavailable("table inheritance", None),
        (Alter::AtAttachPartition | Alter::AtDetachPartition | Alter::AtDetachPartitionFinalize, _) => {
            return unavailable("partitioned tables", None);
        }
        (Alter::AtSetUnLogged, _) => return unavailable("UNLOGGED tables", None),
        _ => return unavailable("this form of ALTER TABLE", None),
    })
}
