//! Reads the parser's nodes of DDL into [`crate::ast::ddl`].
//!
//! Lives here: what each statement says, and the refusal of what no catalog of ours could keep.
//! Not here: names resolved, types looked up, anything that needs a catalog (`crate::ddl`).
//! Expressions leave as PostgreSQL text, spelled by the parser's own printer.

mod change;
mod domain;
mod grants;
mod publication;
mod read;
mod routine;
mod table;
mod text;
mod trigger;

use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use pg_query::NodeEnum;
use pg_query::protobuf::{self, Node, ObjectType};

pub(super) use self::change::select_into;
use self::read::*;
pub(super) use self::text::of_expression;
use super::context::Context;
use crate::ast::ddl::*;

type Converted<T> = Result<T, DatabaseError>;

/// Reads `node` if it is DDL; `None` leaves it to the caller.
///
/// Errors: 0A000 for what only PostgreSQL can do, 42601 where the grammar accepts what PostgreSQL 15 would not.
pub(crate) fn convert(node: &NodeEnum, ctx: &Context<'_>) -> Converted<Option<DdlStatement>> {
    let statement = match node {
        NodeEnum::CreateStmt(statement) => DdlStatement::CreateTable(table::create_table(ctx, statement)?),
        NodeEnum::AlterTableStmt(statement) => DdlStatement::AlterTable(table::alter_table(ctx, statement)?),
        NodeEnum::IndexStmt(statement) => DdlStatement::CreateIndex(table::create_index(ctx, statement)?),
        NodeEnum::CreateEnumStmt(statement) => DdlStatement::CreateEnum {
            name: name_of(&statement.type_name),
            labels: statement.vals.iter().filter_map(string_of).map(str::to_owned).collect(),
        },
        NodeEnum::CreateDomainStmt(statement) => DdlStatement::CreateDomain(domain::create_domain(ctx, statement)?),
        NodeEnum::AlterDomainStmt(statement) => DdlStatement::AlterDomain(domain::alter_domain(ctx, statement)?),
        NodeEnum::ViewStmt(statement) => DdlStatement::CreateView(create_view(ctx, statement)?),
        NodeEnum::CreatePolicyStmt(statement) => DdlStatement::CreatePolicy(grants::create_policy(ctx, statement)?),
        NodeEnum::AlterPolicyStmt(statement) => DdlStatement::AlterPolicy(grants::alter_policy(ctx, statement)?),
        NodeEnum::CreateRoleStmt(statement) => DdlStatement::CreateRole(grants::create_role(ctx, statement)?),
        NodeEnum::GrantStmt(statement) => DdlStatement::Grant(grants::grant(ctx, statement)?),
        NodeEnum::GrantRoleStmt(statement) => DdlStatement::GrantRole(grants::grant_role(statement)?),
        NodeEnum::AlterDefaultPrivilegesStmt(statement) => {
            DdlStatement::DefaultPrivileges(grants::default_privileges(ctx, statement)?)
        }
        NodeEnum::CommentStmt(statement) => DdlStatement::Comment(comment(ctx, statement)?),
        NodeEnum::RenameStmt(statement) => DdlStatement::Rename(rename(ctx, statement)?),
        NodeEnum::DropStmt(statement) if statement.remove_type != ObjectType::ObjectPublication as i32 => {
            DdlStatement::Drop(drop(ctx, statement)?)
        }
        NodeEnum::DropRoleStmt(statement) => DdlStatement::Drop(Drop {
            kind: ObjectKind::Role,
            targets: statement
                .roles
                .iter()
                .filter_map(role_of)
                .filter_map(|role| match role {
                    RoleName::Named(name) => Some(target(bare_name(name))),
                    _ => None,
                })
                .collect(),
            if_exists: statement.missing_ok,
            cascade: false,
        }),
        NodeEnum::CreateSchemaStmt(statement) => create_schema(ctx, statement)?,
        NodeEnum::CreateExtensionStmt(statement) => DdlStatement::CreateExtension {
            name: Ident::new(&statement.extname),
            if_not_exists: statement.if_not_exists,
            schema: option(&statement.options, "schema")
                .and_then(option_text)
                .map(Ident::from),
        },
        NodeEnum::CreateSeqStmt(statement) => {
            let sequence = relation(ctx, statement.sequence.as_ref())?;
            if statement
                .sequence
                .as_ref()
                .is_some_and(|name| name.relpersistence != "p")
            {
                return Err(refuse(
                    ctx,
                    "temporary sequences",
                    &sequence.name,
                    Some("a sequence that stays"),
                ));
            }
            DdlStatement::CreateSequence {
                name: sequence,
                if_not_exists: statement.if_not_exists,
                options: sequence_options(ctx, &statement.options)?,
            }
        }
        NodeEnum::AlterSeqStmt(statement) => DdlStatement::AlterSequence {
            name: relation(ctx, statement.sequence.as_ref())?,
            if_exists: statement.missing_ok,
            options: sequence_options(ctx, &statement.options)?,
        },
        NodeEnum::CreateFunctionStmt(statement) => {
            DdlStatement::CreateFunction(routine::create_function(ctx, statement)?)
        }
        NodeEnum::AlterFunctionStmt(statement) => DdlStatement::AlterFunction(routine::alter_function(ctx, statement)?),
        NodeEnum::CreateTrigStmt(statement) => DdlStatement::CreateTrigger(trigger::create_trigger(ctx, statement)?),
        NodeEnum::AlterOwnerStmt(statement) => owner(ctx, statement)?,
        NodeEnum::AlterEnumStmt(statement) => change::alter_enum(statement),
        NodeEnum::AlterObjectSchemaStmt(statement) if statement.object_type() == ObjectType::ObjectDomain => {
            match statement.object.as_ref().and_then(|object| object.node.as_ref()) {
                Some(NodeEnum::List(names)) => DdlStatement::AlterDomain(AlterDomain {
                    name: name_of(&names.items),
                    action: DomainAction::SetSchema(Ident::new(&statement.newschema)),
                }),
                _ => return Err(ctx_error("the domain has no name")),
            }
        }
        NodeEnum::AlterObjectSchemaStmt(statement) => change::set_schema(ctx, statement)?,
        NodeEnum::AlterRoleStmt(statement) => change::alter_role(ctx, statement)?,
        NodeEnum::AlterRoleSetStmt(statement) => change::alter_role_set(ctx, statement)?,
        NodeEnum::TruncateStmt(statement) => change::truncate(ctx, statement)?,
        NodeEnum::ConstraintsSetStmt(statement) => change::set_constraints(ctx, statement)?,
        NodeEnum::CreateTableAsStmt(statement) => change::create_table_as(ctx, statement)?,
        NodeEnum::DropStmt(statement) => publication::dropped(statement),
        NodeEnum::CreatePublicationStmt(statement) => publication::create(ctx, statement)?,
        NodeEnum::AlterPublicationStmt(statement) => publication::alter(ctx, statement)?,
        other => {
            return match refused(other) {
                Some((feature, object, alternative)) => Err(refuse(ctx, feature, &object, alternative)),
                None => Ok(None),
            };
        }
    };
    Ok(Some(statement))
}

/// DDL that the catalog cannot keep yet: what it is called, its object, and a way around.
fn refused(node: &NodeEnum) -> Option<(&'static str, String, Option<&'static str>)> {
    let named = |names: &[Node]| name_of(names).name.to_string();
    Some(match node {
        NodeEnum::CreateTrigStmt(statement) => ("triggers", statement.trigname.clone(), None),
        NodeEnum::DoStmt(_) => ("DO blocks", String::new(), Some("plain statements")),
        NodeEnum::CompositeTypeStmt(statement) => (
            "composite types",
            statement
                .typevar
                .as_ref()
                .map(|name| name.relname.clone())
                .unwrap_or_default(),
            Some("a table or jsonb"),
        ),
        NodeEnum::CreateRangeStmt(statement) => ("range types", named(&statement.type_name), Some("two columns")),
        NodeEnum::DefineStmt(statement) => (
            "aggregates, operators, types and collations of one's own",
            named(&statement.defnames),
            None,
        ),
        NodeEnum::RuleStmt(statement) => ("rules", statement.rulename.clone(), Some("a view or a policy")),
        NodeEnum::RefreshMatViewStmt(_) => ("materialized views", String::new(), Some("a view")),
        NodeEnum::CreateEventTrigStmt(statement) => ("event triggers", statement.trigname.clone(), None),
        NodeEnum::AlterEventTrigStmt(statement) => ("event triggers", statement.trigname.clone(), None),
        NodeEnum::CreateForeignTableStmt(_) => ("foreign tables", String::new(), None),
        NodeEnum::CreateFdwStmt(_) | NodeEnum::CreateForeignServerStmt(_) | NodeEnum::CreateUserMappingStmt(_) => {
            ("foreign data", String::new(), None)
        }
        NodeEnum::CreateCastStmt(_) => ("casts of one's own", String::new(), None),
        NodeEnum::CreateStatsStmt(_) => ("extended statistics", String::new(), None),
        NodeEnum::CreateTableSpaceStmt(_) => ("tablespaces", String::new(), None),
        NodeEnum::CreatePlangStmt(_) => ("procedural languages", String::new(), None),
        NodeEnum::AlterExtensionStmt(_) | NodeEnum::AlterExtensionContentsStmt(_) => {
            ("ALTER EXTENSION", String::new(), None)
        }
        NodeEnum::DropOwnedStmt(_) | NodeEnum::ReassignOwnedStmt(_) => {
            ("DROP OWNED and REASSIGN OWNED", String::new(), None)
        }
        NodeEnum::SecLabelStmt(_) => ("SECURITY LABEL", String::new(), None),
        NodeEnum::CreateSubscriptionStmt(_) | NodeEnum::AlterSubscriptionStmt(_) => {
            ("subscriptions", String::new(), None)
        }
        NodeEnum::CreatedbStmt(_) | NodeEnum::AlterDatabaseStmt(_) | NodeEnum::AlterDatabaseSetStmt(_) => {
            ("CREATE and ALTER DATABASE", String::new(), None)
        }
        _ => return None,
    })
}

fn create_view(ctx: &Context<'_>, statement: &protobuf::ViewStmt) -> Converted<CreateView> {
    let name = relation(ctx, statement.view.as_ref())?;
    if statement.view.as_ref().is_some_and(|view| view.relpersistence != "p") {
        return Err(refuse(ctx, "temporary views", &name.name, Some("a view that stays")));
    }
    let mut options = storage_options(&statement.options);
    let checked = match protobuf::ViewCheckOption::try_from(statement.with_check_option) {
        Ok(protobuf::ViewCheckOption::LocalCheckOption) => Some("local"),
        Ok(protobuf::ViewCheckOption::CascadedCheckOption) => Some("cascaded"),
        _ => None,
    };
    options.extend(checked.map(|value| StorageOption {
        namespace: None,
        name: Ident::new("check_option"),
        value: value.to_owned(),
        has_value: true,
    }));
    let query = statement.query.as_ref().and_then(|query| query.node.as_ref());
    if let Some(NodeEnum::SelectStmt(select)) = query
        && select.limit_option() == protobuf::LimitOption::WithTies
    {
        return Err(refuse(ctx, "FETCH FIRST … WITH TIES", &name.name, Some("rank()")));
    }
    if let Some(NodeEnum::SelectStmt(select)) = query
        && change::has_into(select)
    {
        let message = "views must not contain SELECT INTO";
        return Err(DatabaseError::new("0A000", message));
    }
    Ok(CreateView {
        replace: statement.replace,
        columns: identifiers(&statement.aliases),
        query: match query {
            Some(query) => text::of_query(query)?,
            None => return Err(ctx_error("the view has no query")),
        },
        options,
        name,
    })
}

fn create_schema(ctx: &Context<'_>, statement: &protobuf::CreateSchemaStmt) -> Converted<DdlStatement> {
    let owner = statement.authrole.as_ref().map(role_name);
    let name = match (&owner, statement.schemaname.is_empty()) {
        (Some(RoleName::Named(role)), true) => role.clone(),
        _ => Ident::new(&statement.schemaname),
    };
    if !statement.schema_elts.is_empty() {
        let way = Some("one statement for each object");
        return Err(refuse(ctx, "CREATE SCHEMA with objects in it", &name, way));
    }
    Ok(DdlStatement::CreateSchema {
        name,
        owner,
        if_not_exists: statement.if_not_exists,
    })
}

fn owner(ctx: &Context<'_>, statement: &protobuf::AlterOwnerStmt) -> Converted<DdlStatement> {
    let owner = statement.newowner.as_ref().map_or(RoleName::Current, role_name);
    let object = statement.object.as_ref().and_then(|object| object.node.as_ref());
    let (kind, name, arguments) = match (ObjectType::try_from(statement.object_type), object) {
        (Ok(ObjectType::ObjectSchema), Some(NodeEnum::String(name))) => {
            (ObjectKind::Schema, bare_name(Ident::new(&name.sval)), None)
        }
        (Ok(ObjectType::ObjectType), Some(NodeEnum::List(names))) => (ObjectKind::Type, name_of(&names.items), None),
        // What has no owner of its own here, and no rights that one would give.
        (Ok(ObjectType::ObjectPublication), Some(NodeEnum::String(name))) => {
            (ObjectKind::Publication, bare_name(Ident::new(&name.sval)), None)
        }
        (Ok(ObjectType::ObjectDomain), Some(NodeEnum::List(names))) => {
            (ObjectKind::Domain, name_of(&names.items), None)
        }
        (Ok(ObjectType::ObjectFunction | ObjectType::ObjectRoutine), Some(NodeEnum::ObjectWithArgs(function))) => {
            let function = function_name(ctx, function)?;
            (ObjectKind::Function, function.name, function.arguments)
        }
        _ => return Err(refuse(ctx, "OWNER TO for this kind of object", "", None)),
    };
    Ok(DdlStatement::Owner {
        kind,
        name,
        arguments,
        owner,
    })
}

fn comment(ctx: &Context<'_>, statement: &protobuf::CommentStmt) -> Converted<Comment> {
    let text = Some(statement.comment.clone()).filter(|text| !text.is_empty());
    let object = statement.object.as_ref().and_then(|object| object.node.as_ref());
    let kind = ObjectType::try_from(statement.objtype).unwrap_or(ObjectType::Undefined);
    let on = match (kind, object) {
        (ObjectType::ObjectColumn, Some(NodeEnum::List(names))) => {
            let (relation, column) = split_last(&names.items);
            CommentTarget::Column { relation, column }
        }
        (ObjectType::ObjectTabconstraint, Some(NodeEnum::List(names))) => {
            let (table, constraint) = split_last(&names.items);
            CommentTarget::Constraint { table, constraint }
        }
        (ObjectType::ObjectPolicy, Some(NodeEnum::List(names))) => {
            let (table, policy) = split_last(&names.items);
            CommentTarget::Policy { table, policy }
        }
        (ObjectType::ObjectTrigger, Some(NodeEnum::List(names))) => {
            let (table, trigger) = split_last(&names.items);
            CommentTarget::Trigger { table, trigger }
        }
        (ObjectType::ObjectFunction | ObjectType::ObjectRoutine, Some(NodeEnum::ObjectWithArgs(function))) => {
            CommentTarget::Function(function_name(ctx, function)?)
        }
        (ObjectType::ObjectSchema, Some(NodeEnum::String(name))) => CommentTarget::Schema(Ident::new(&name.sval)),
        (ObjectType::ObjectRole, Some(NodeEnum::String(name))) => CommentTarget::Role(Ident::new(&name.sval)),
        (ObjectType::ObjectType, Some(NodeEnum::TypeName(name))) => CommentTarget::Type(name_of(&name.names)),
        (ObjectType::ObjectDomain, Some(NodeEnum::TypeName(name))) => CommentTarget::Domain(name_of(&name.names)),
        (ObjectType::ObjectDomconstraint, Some(NodeEnum::List(names))) => match names.items.as_slice() {
            [
                Node {
                    node: Some(NodeEnum::TypeName(domain)),
                },
                constraint,
            ] => CommentTarget::DomainConstraint {
                domain: name_of(&domain.names),
                constraint: Ident::new(string_of(constraint).unwrap_or_default()),
            },
            _ => return Err(ctx_error("the constraint has no domain")),
        },
        (
            ObjectType::ObjectTable | ObjectType::ObjectView | ObjectType::ObjectIndex | ObjectType::ObjectSequence,
            Some(NodeEnum::List(names)),
        ) => CommentTarget::Relation {
            kind: object_kind(kind).unwrap_or(ObjectKind::Table),
            name: name_of(&names.items),
        },
        (ObjectType::ObjectDatabase, Some(NodeEnum::String(name))) => CommentTarget::Database(Ident::new(&name.sval)),
        (ObjectType::ObjectExtension, Some(NodeEnum::String(name))) => CommentTarget::Extension(Ident::new(&name.sval)),
        (ObjectType::ObjectLanguage, Some(NodeEnum::String(name))) => CommentTarget::Language(Ident::new(&name.sval)),
        (ObjectType::ObjectPublication, Some(NodeEnum::String(name))) => {
            CommentTarget::Publication(Ident::new(&name.sval))
        }
        _ => return Err(refuse(ctx, "COMMENT on this kind of object", "", None)),
    };
    Ok(Comment { on, text })
}

fn rename(ctx: &Context<'_>, statement: &protobuf::RenameStmt) -> Converted<Rename> {
    let kind = ObjectType::try_from(statement.rename_type).unwrap_or(ObjectType::Undefined);
    let object = statement.object.as_ref().and_then(|object| object.node.as_ref());
    let part = Some(Ident::new(&statement.subname)).filter(|part| !part.is_empty());
    let mut arguments = None;
    let (kind, name, part) = match kind {
        ObjectType::ObjectColumn => (ObjectKind::Column, relation(ctx, statement.relation.as_ref())?, part),
        ObjectType::ObjectTabconstraint => (
            ObjectKind::Constraint,
            relation(ctx, statement.relation.as_ref())?,
            part,
        ),
        ObjectType::ObjectPolicy => (ObjectKind::Policy, relation(ctx, statement.relation.as_ref())?, part),
        ObjectType::ObjectTrigger => (ObjectKind::Trigger, relation(ctx, statement.relation.as_ref())?, part),
        ObjectType::ObjectTable | ObjectType::ObjectView | ObjectType::ObjectIndex | ObjectType::ObjectSequence => {
            let kind = object_kind(kind).unwrap_or(ObjectKind::Table);
            (kind, relation(ctx, statement.relation.as_ref())?, None)
        }
        ObjectType::ObjectSchema => (ObjectKind::Schema, bare_name(Ident::new(&statement.subname)), None),
        ObjectType::ObjectRole => (ObjectKind::Role, bare_name(Ident::new(&statement.subname)), None),
        ObjectType::ObjectDomain | ObjectType::ObjectDomconstraint => match object {
            Some(NodeEnum::List(names)) if kind == ObjectType::ObjectDomain => {
                (ObjectKind::Domain, name_of(&names.items), None)
            }
            Some(NodeEnum::List(names)) => (ObjectKind::DomainConstraint, name_of(&names.items), part),
            _ => return Err(ctx_error("the domain has no name")),
        },
        ObjectType::ObjectType => match object {
            Some(NodeEnum::List(names)) => (ObjectKind::Type, name_of(&names.items), None),
            _ => return Err(ctx_error("the type has no name")),
        },
        ObjectType::ObjectFunction | ObjectType::ObjectRoutine => match object {
            Some(NodeEnum::ObjectWithArgs(function)) => {
                let function = function_name(ctx, function)?;
                arguments = function.arguments;
                (ObjectKind::Function, function.name, None)
            }
            _ => return Err(ctx_error("the function has no name")),
        },
        _ => return Err(refuse(ctx, "RENAME of this kind of object", &statement.newname, None)),
    };
    Ok(Rename {
        kind,
        name,
        arguments,
        part,
        to: Ident::new(&statement.newname),
        if_exists: statement.missing_ok,
    })
}

fn drop(ctx: &Context<'_>, statement: &protobuf::DropStmt) -> Converted<Drop> {
    let remove = ObjectType::try_from(statement.remove_type).unwrap_or(ObjectType::Undefined);
    let Some(kind) = object_kind(remove) else {
        let feature = match remove {
            ObjectType::ObjectMatview => "materialized views",
            ObjectType::ObjectProcedure => "procedures",
            _ => "DROP of this kind of object",
        };
        return Err(refuse(ctx, feature, "", None));
    };
    let cascade = statement.behavior == protobuf::DropBehavior::DropCascade as i32;
    if statement.concurrent && (statement.objects.len() > 1 || cascade) {
        let what = if cascade {
            "CASCADE"
        } else {
            "dropping multiple objects"
        };
        let message = format!("DROP INDEX CONCURRENTLY does not support {what}");
        return Err(DatabaseError::new("0A000", message));
    }
    let mut targets = Vec::new();
    for object in &statement.objects {
        targets.push(match object.node.as_ref() {
            Some(NodeEnum::List(names)) if matches!(kind, ObjectKind::Policy | ObjectKind::Trigger) => {
                let (table, policy) = split_last(&names.items);
                DropTarget {
                    name: bare_name(policy),
                    table: Some(table),
                    arguments: None,
                }
            }
            Some(NodeEnum::List(names)) => target(name_of(&names.items)),
            Some(NodeEnum::TypeName(name)) => target(name_of(&name.names)),
            Some(NodeEnum::String(name)) => target(bare_name(Ident::new(&name.sval))),
            Some(NodeEnum::ObjectWithArgs(function)) => {
                let function = function_name(ctx, function)?;
                DropTarget {
                    name: function.name,
                    table: None,
                    arguments: function.arguments,
                }
            }
            _ => return Err(ctx_error("the object to drop has no name")),
        });
    }
    Ok(Drop {
        kind,
        targets,
        if_exists: statement.missing_ok,
        cascade,
    })
}

fn object_kind(kind: ObjectType) -> Option<ObjectKind> {
    Some(match kind {
        ObjectType::ObjectTable => ObjectKind::Table,
        ObjectType::ObjectView => ObjectKind::View,
        ObjectType::ObjectIndex => ObjectKind::Index,
        ObjectType::ObjectSequence => ObjectKind::Sequence,
        ObjectType::ObjectType => ObjectKind::Type,
        ObjectType::ObjectDomain => ObjectKind::Domain,
        ObjectType::ObjectSchema => ObjectKind::Schema,
        ObjectType::ObjectFunction | ObjectType::ObjectRoutine => ObjectKind::Function,
        ObjectType::ObjectRole => ObjectKind::Role,
        ObjectType::ObjectPolicy => ObjectKind::Policy,
        ObjectType::ObjectTrigger => ObjectKind::Trigger,
        ObjectType::ObjectExtension => ObjectKind::Extension,
        _ => return None,
    })
}

fn sequence_options(ctx: &Context<'_>, nodes: &[Node]) -> Converted<SequenceOptions> {
    each_once(nodes)?;
    let mut options = SequenceOptions::default();
    for element in definitions(nodes) {
        let number = || option_integer(element);
        match element.defname.as_str() {
            "as" => {
                if let Some(NodeEnum::TypeName(ty)) = element.arg.as_ref().and_then(|arg| arg.node.as_ref()) {
                    options.ty = Some(ctx.type_name(ty)?);
                }
            }
            "start" => options.start = number(),
            "increment" => options.increment = number(),
            "minvalue" => options.min = Some(number()),
            "maxvalue" => options.max = Some(number()),
            "cycle" => options.cycle = Some(option_bool(element)?),
            "restart" => options.restart = Some(number()),
            "owned_by" => {
                let names = match element.arg.as_ref().and_then(|arg| arg.node.as_ref()) {
                    Some(NodeEnum::List(list)) => identifiers(&list.items),
                    _ => Vec::new(),
                };
                let none = matches!(names.as_slice(), [only] if *only == *"none");
                options.owned_by = Some(if none { Vec::new() } else { names });
            }
            "sequence_name" => {
                if let Some(NodeEnum::List(list)) = element.arg.as_ref().and_then(|arg| arg.node.as_ref()) {
                    options.name = Some(name_of(&list.items));
                }
            }
            // Values are taken one at a time from one place: a cache changes nothing.
            "cache" => {
                if let Some(cache) = number().filter(|cache| *cache < 1) {
                    let message = format!("CACHE ({cache}) must be greater than zero");
                    return Err(DatabaseError::new("22023", message));
                }
            }
            other => return Err(refuse(ctx, other, "sequence", None)),
        }
    }
    Ok(options)
}
