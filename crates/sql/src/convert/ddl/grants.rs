//! Roles, grants and policies.

use mainstay_core::catalog::{DefaultPrivilegeObject, PolicyCommand, Privilege};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use pg_query::NodeEnum;
use pg_query::protobuf::{self, Node, ObjectType};

use super::super::context::Context;
use super::read::*;
use super::{Converted, text};
use crate::ast::ObjectName;
use crate::ast::ddl::*;

pub(super) fn create_policy(ctx: &Context<'_>, statement: &protobuf::CreatePolicyStmt) -> Converted<CreatePolicy> {
    let command = match statement.cmd_name.as_str() {
        "select" => PolicyCommand::Select,
        "insert" => PolicyCommand::Insert,
        "update" => PolicyCommand::Update,
        "delete" => PolicyCommand::Delete,
        _ => PolicyCommand::All,
    };
    Ok(CreatePolicy {
        name: Ident::new(&statement.policy_name),
        table: relation(ctx, statement.table.as_ref())?,
        command,
        permissive: statement.permissive,
        roles: statement.roles.iter().filter_map(role_of).collect(),
        using: statement.qual.as_deref().map(text::of_expression).transpose()?,
        check: statement.with_check.as_deref().map(text::of_expression).transpose()?,
    })
}

pub(super) fn alter_policy(ctx: &Context<'_>, statement: &protobuf::AlterPolicyStmt) -> Converted<AlterPolicy> {
    let roles: Vec<RoleName> = statement.roles.iter().filter_map(role_of).collect();
    Ok(AlterPolicy {
        name: Ident::new(&statement.policy_name),
        table: relation(ctx, statement.table.as_ref())?,
        roles: Some(roles).filter(|roles| !roles.is_empty()),
        using: statement.qual.as_deref().map(text::of_expression).transpose()?,
        check: statement.with_check.as_deref().map(text::of_expression).transpose()?,
    })
}

pub(super) fn create_role(ctx: &Context<'_>, statement: &protobuf::CreateRoleStmt) -> Converted<CreateRole> {
    let mut role = CreateRole {
        name: Ident::new(&statement.role),
        inherit: true,
        bypass_rls: false,
        member_of: Vec::new(),
        members: Vec::new(),
    };
    each_once(&statement.options)?;
    let way = Some("CREATE ROLE … NOLOGIN");
    let mut login = statement.stmt_type == protobuf::RoleStmtType::RolestmtUser as i32;
    for element in definitions(&statement.options) {
        let named: Vec<RoleName> = match element.arg.as_ref().and_then(|arg| arg.node.as_ref()) {
            Some(NodeEnum::List(list)) => list.items.iter().filter_map(role_of).collect(),
            _ => Vec::new(),
        };
        match element.defname.as_str() {
            "canlogin" => login = option_bool(element)?,
            "inherit" => role.inherit = option_bool(element)?,
            "bypassrls" => role.bypass_rls = option_bool(element)?,
            "superuser" if option_bool(element)? => return Err(refuse(ctx, "superuser roles", &role.name, way)),
            "addroleto" => role.member_of = named,
            "rolemembers" | "adminmembers" => role.members.extend(named),
            "password" | "connectionlimit" | "validUntil" => {
                return Err(refuse(ctx, "login roles", &role.name, way));
            }
            // Rights over a server, of which there is none here.
            "superuser" | "createrole" | "createdb" | "isreplication" if !option_bool(element)? => {}
            other => return Err(refuse(ctx, &format!("role option {other}"), &role.name, way)),
        }
    }
    if login {
        return Err(refuse(ctx, "login roles", &role.name, way));
    }
    Ok(role)
}

pub(super) fn grant_role(statement: &protobuf::GrantRoleStmt) -> Converted<GrantRole> {
    // Who may grant a role further changes nothing: nobody but the owner grants.
    if let Some(newer) = definitions(&statement.opt).find(|element| element.defname != "admin") {
        let name = newer.defname.to_uppercase();
        let message = format!("WITH {name} of a role is newer than PostgreSQL 15, which this project targets");
        return Err(DatabaseError::new("42601", message));
    }
    let roles = statement
        .granted_roles
        .iter()
        .filter_map(|node| match node.node.as_ref() {
            Some(NodeEnum::AccessPriv(role)) => Some(Ident::new(&role.priv_name)),
            _ => None,
        })
        .collect();
    Ok(GrantRole {
        grant: statement.is_grant,
        only_admin: !statement.is_grant && !statement.opt.is_empty(),
        grantor: statement.grantor.as_ref().map(role_name),
        roles,
        members: statement.grantee_roles.iter().filter_map(role_of).collect(),
    })
}

pub(super) fn grant(ctx: &Context<'_>, statement: &protobuf::GrantStmt) -> Converted<Grant> {
    let everywhere = statement.targtype == protobuf::GrantTargetType::AclTargetAllInSchema as i32;
    let object = ObjectType::try_from(statement.objtype).unwrap_or(ObjectType::Undefined);
    let is_function = matches!(
        object,
        ObjectType::ObjectFunction | ObjectType::ObjectRoutine | ObjectType::ObjectProcedure
    );
    let target = match (object, everywhere) {
        (ObjectType::ObjectTable, true) => GrantTarget::AllTablesIn(identifiers(&statement.objects)),
        (ObjectType::ObjectSequence, true) => GrantTarget::AllSequencesIn(identifiers(&statement.objects)),
        (_, true) if is_function => GrantTarget::AllFunctionsIn(identifiers(&statement.objects)),
        (ObjectType::ObjectTable, false) => GrantTarget::Tables(relations(ctx, &statement.objects)?),
        (ObjectType::ObjectSequence, false) => GrantTarget::Sequences(relations(ctx, &statement.objects)?),
        (_, false) if is_function => {
            let mut functions = Vec::new();
            for node in &statement.objects {
                if let Some(NodeEnum::ObjectWithArgs(function)) = &node.node {
                    functions.push(function_name(ctx, function)?);
                }
            }
            GrantTarget::Functions(functions)
        }
        (ObjectType::ObjectSchema, _) => GrantTarget::Schemas(identifiers(&statement.objects)),
        (ObjectType::ObjectType | ObjectType::ObjectDomain, _) => GrantTarget::Types(type_names(&statement.objects)),
        (ObjectType::ObjectDatabase, _) => GrantTarget::Databases(identifiers(&statement.objects)),
        (ObjectType::ObjectLanguage, _) => GrantTarget::Languages(identifiers(&statement.objects)),
        _ => {
            let verb = if statement.is_grant { "GRANT" } else { "REVOKE" };
            let feature = format!("{verb} on {}", elsewhere(object));
            return Err(refuse(ctx, &feature, "", None));
        }
    };
    Ok(Grant {
        grant: statement.is_grant,
        target,
        privileges: privileges(&statement.privileges, object),
        grantees: statement.grantees.iter().filter_map(role_of).collect(),
        grant_option: statement.grant_option,
        grantor: statement.grantor.as_ref().map(role_name),
    })
}

pub(super) fn default_privileges(
    ctx: &Context<'_>,
    statement: &protobuf::AlterDefaultPrivilegesStmt,
) -> Converted<DefaultPrivileges> {
    let Some(action) = &statement.action else {
        return Err(ctx_error("ALTER DEFAULT PRIVILEGES without a grant"));
    };
    let object = ObjectType::try_from(action.objtype).unwrap_or(ObjectType::Undefined);
    let kind = match object {
        ObjectType::ObjectTable => DefaultPrivilegeObject::Tables,
        ObjectType::ObjectSequence => DefaultPrivilegeObject::Sequences,
        ObjectType::ObjectFunction | ObjectType::ObjectRoutine => DefaultPrivilegeObject::Functions,
        ObjectType::ObjectType => DefaultPrivilegeObject::Types,
        ObjectType::ObjectSchema => DefaultPrivilegeObject::Schemas,
        _ => return Err(refuse(ctx, "default privileges for this kind of object", "", None)),
    };
    let mut owners = Vec::new();
    let mut schemas = Vec::new();
    for element in definitions(&statement.options) {
        let Some(NodeEnum::List(list)) = element.arg.as_ref().and_then(|arg| arg.node.as_ref()) else {
            continue;
        };
        match element.defname.as_str() {
            "schemas" => schemas.extend(identifiers(&list.items)),
            "roles" => owners.extend(list.items.iter().filter_map(role_of)),
            _ => {}
        }
    }
    Ok(DefaultPrivileges {
        owners,
        schemas,
        object: kind,
        grant: action.is_grant,
        privileges: privileges(&action.privileges, object),
        grantees: action.grantees.iter().filter_map(role_of).collect(),
        grant_option: action.grant_option,
    })
}

fn relations(ctx: &Context<'_>, nodes: &[Node]) -> Converted<Vec<ObjectName>> {
    let mut names = Vec::new();
    for node in nodes {
        if let Some(NodeEnum::RangeVar(name)) = &node.node {
            names.push(relation(ctx, Some(name))?);
        }
    }
    Ok(names)
}

fn type_names(nodes: &[Node]) -> Vec<ObjectName> {
    nodes
        .iter()
        .filter_map(|node| match node.node.as_ref() {
            Some(NodeEnum::List(names)) => Some(name_of(&names.items)),
            Some(NodeEnum::TypeName(name)) => Some(name_of(&name.names)),
            _ => constant_text(node).map(|name| bare_name(Ident::from(name))),
        })
        .collect()
}

/// What only a server has, in the plural.
fn elsewhere(object: ObjectType) -> &'static str {
    match object {
        ObjectType::ObjectFdw => "foreign data wrappers",
        ObjectType::ObjectForeignServer => "foreign servers",
        ObjectType::ObjectLargeobject => "large objects",
        ObjectType::ObjectTablespace => "tablespaces",
        ObjectType::ObjectParameterAcl => "parameters",
        _ => "this kind of object",
    }
}

/// The privileges of a grant; [`PrivilegeList::Wrong`] for one that the kind of object does not have (0LP01) or that
/// there is not (42601).
fn privileges(nodes: &[Node], object: ObjectType) -> PrivilegeList {
    if nodes.is_empty() {
        return PrivilegeList::All;
    }
    let mut items = Vec::new();
    for node in nodes {
        let Some(NodeEnum::AccessPriv(access)) = &node.node else {
            continue;
        };
        let columns = identifiers(&access.cols);
        if access.priv_name.is_empty() {
            return PrivilegeList::AllOnColumns(columns);
        }
        let name = access.priv_name.as_str();
        if object == ObjectType::ObjectDatabase && matches!(name, "connect" | "temp" | "temporary") {
            // Rights that everybody has here, or nobody could use.
            continue;
        }
        let Some(privilege) = privilege(name) else {
            let other = matches!(name, "connect" | "temp" | "temporary" | "set" | "alter system");
            return PrivilegeList::Wrong(match other {
                true => invalid(name, object),
                false => DatabaseError::new("42601", format!("unrecognized privilege type \"{name}\"")),
            });
        };
        if !may_have(object, privilege) {
            return PrivilegeList::Wrong(invalid(name, object));
        }
        items.push(PrivilegeItem { privilege, columns });
    }
    PrivilegeList::Some(items)
}

fn privilege(name: &str) -> Option<Privilege> {
    Some(match name {
        "select" => Privilege::Select,
        "insert" => Privilege::Insert,
        "update" => Privilege::Update,
        "delete" => Privilege::Delete,
        "truncate" => Privilege::Truncate,
        "references" => Privilege::References,
        "trigger" => Privilege::Trigger,
        "usage" => Privilege::Usage,
        "create" => Privilege::Create,
        "execute" => Privilege::Execute,
        _ => return None,
    })
}

fn may_have(object: ObjectType, privilege: Privilege) -> bool {
    use Privilege::{Create, Delete, Execute, Insert, References, Select, Trigger, Truncate, Update, Usage};
    let allowed: &[Privilege] = match object {
        // USAGE too: `GRANT USAGE ON a_sequence` names it like a table.
        ObjectType::ObjectTable => &[Select, Insert, Update, Delete, Truncate, References, Trigger, Usage],
        ObjectType::ObjectSequence => &[Usage, Select, Update],
        ObjectType::ObjectFunction | ObjectType::ObjectRoutine | ObjectType::ObjectProcedure => &[Execute],
        ObjectType::ObjectSchema => &[Usage, Create],
        ObjectType::ObjectType | ObjectType::ObjectDomain | ObjectType::ObjectLanguage => &[Usage],
        ObjectType::ObjectDatabase => &[Create],
        _ => return true,
    };
    allowed.contains(&privilege)
}

fn invalid(name: &str, object: ObjectType) -> DatabaseError {
    let label = match object {
        ObjectType::ObjectTable => "relation",
        ObjectType::ObjectSequence => "sequence",
        ObjectType::ObjectFunction => "function",
        ObjectType::ObjectRoutine => "routine",
        ObjectType::ObjectProcedure => "procedure",
        ObjectType::ObjectSchema => "schema",
        ObjectType::ObjectType => "type",
        ObjectType::ObjectDomain => "domain",
        ObjectType::ObjectLanguage => "language",
        ObjectType::ObjectDatabase => "database",
        _ => "this kind of object",
    };
    DatabaseError::new(
        "0LP01",
        format!("invalid privilege type {} for {label}", name.to_uppercase()),
    )
}
