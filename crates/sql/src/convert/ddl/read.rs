//! Small readers of the parser's nodes: names, options, roles.

use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use pg_query::NodeEnum;
use pg_query::protobuf::{self, DefElem, Node, RangeVar};

use super::super::context::Context;
use super::Converted;
use crate::ast::ddl::*;
use crate::ast::{ObjectName, TypeName};

/// The refusal of §12 in the study: what, which object, which line.
pub(super) fn refuse(ctx: &Context<'_>, feature: &str, object: &str, alternative: Option<&str>) -> DatabaseError {
    DatabaseError::unavailable(feature, object, ctx.statement_line(), alternative)
}

/// The parser gave a tree that its grammar does not describe.
pub(super) fn ctx_error(message: &str) -> DatabaseError {
    DatabaseError::new("XX000", message)
}

pub(super) fn bare_name(name: Ident) -> ObjectName {
    ObjectName {
        schema: None,
        name,
        position: 0,
    }
}

pub(super) fn target(name: ObjectName) -> DropTarget {
    DropTarget {
        name,
        table: None,
        arguments: None,
    }
}

pub(super) fn string_of(node: &Node) -> Option<&str> {
    match node.node.as_ref() {
        Some(NodeEnum::String(text)) => Some(&text.sval),
        _ => None,
    }
}

pub(super) fn identifiers(nodes: &[Node]) -> Vec<Ident> {
    nodes.iter().filter_map(string_of).map(Ident::new).collect()
}

/// `schema.name` or `name` from a list of strings; a leading database name is dropped.
pub(super) fn name_of(nodes: &[Node]) -> ObjectName {
    let mut names = identifiers(nodes);
    let name = names.pop().unwrap_or_else(|| Ident::new(""));
    ObjectName {
        schema: names.pop(),
        name,
        position: 0,
    }
}

/// `schema.relation.part`: the relation, and the part.
pub(super) fn split_last(nodes: &[Node]) -> (ObjectName, Ident) {
    let (last, head) = match nodes.split_last() {
        Some((last, head)) => (string_of(last).unwrap_or_default(), head),
        None => ("", nodes),
    };
    (name_of(head), Ident::new(last))
}

pub(super) fn relation(ctx: &Context<'_>, name: Option<&RangeVar>) -> Converted<ObjectName> {
    let Some(name) = name else {
        return Err(ctx_error("the relation has no name"));
    };
    Ok(ObjectName {
        schema: Some(Ident::new(&name.schemaname)).filter(|schema| !schema.is_empty()),
        name: Ident::new(&name.relname),
        position: ctx.position(name.location),
    })
}

pub(super) fn function_name(ctx: &Context<'_>, function: &protobuf::ObjectWithArgs) -> Converted<FunctionName> {
    let mut arguments = None;
    if !function.args_unspecified {
        let mut types: Vec<TypeName> = Vec::new();
        for argument in &function.objargs {
            if let Some(NodeEnum::TypeName(ty)) = &argument.node {
                types.push(ctx.type_name(ty)?);
            }
        }
        arguments = Some(types);
    }
    Ok(FunctionName {
        name: name_of(&function.objname),
        arguments,
    })
}

pub(super) fn role_name(role: &protobuf::RoleSpec) -> RoleName {
    use protobuf::RoleSpecType as Kind;
    match Kind::try_from(role.roletype) {
        Ok(Kind::RolespecPublic) => RoleName::Public,
        Ok(Kind::RolespecCurrentRole | Kind::RolespecCurrentUser | Kind::RolespecSessionUser) => RoleName::Current,
        _ => RoleName::Named(Ident::new(&role.rolename)),
    }
}

pub(super) fn role_of(node: &Node) -> Option<RoleName> {
    match node.node.as_ref() {
        Some(NodeEnum::RoleSpec(role)) => Some(role_name(role)),
        _ => None,
    }
}

pub(super) fn definitions(nodes: &[Node]) -> impl Iterator<Item = &DefElem> {
    nodes.iter().filter_map(|node| match node.node.as_ref() {
        Some(NodeEnum::DefElem(element)) => Some(element.as_ref()),
        _ => None,
    })
}

pub(super) fn option<'a>(nodes: &'a [Node], name: &str) -> Option<&'a DefElem> {
    definitions(nodes).find(|element| element.defname == name)
}

/// A value in an option list as text, whatever form the grammar gave it.
pub(super) fn constant_text(node: &Node) -> Option<String> {
    use protobuf::a_const::Val;
    Some(match node.node.as_ref()? {
        NodeEnum::String(text) => text.sval.clone(),
        NodeEnum::Integer(number) => number.ival.to_string(),
        NodeEnum::Float(number) => number.fval.clone(),
        NodeEnum::Boolean(value) => value.boolval.to_string(),
        NodeEnum::TypeName(name) => name_of(&name.names).name.to_string(),
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            Val::Ival(number) => number.ival.to_string(),
            Val::Fval(number) => number.fval.clone(),
            Val::Boolval(value) => value.boolval.to_string(),
            Val::Sval(text) => text.sval.clone(),
            Val::Bsval(_) => return None,
        },
        _ => return None,
    })
}

pub(super) fn option_text(element: &DefElem) -> Option<String> {
    element.arg.as_deref().and_then(constant_text)
}

/// Errors: 42601 for an option that is given twice.
pub(super) fn each_once(nodes: &[Node]) -> Converted<()> {
    let mut seen: Vec<&str> = Vec::new();
    for element in definitions(nodes) {
        if seen.contains(&element.defname.as_str()) {
            return Err(DatabaseError::new("42601", "conflicting or redundant options"));
        }
        seen.push(&element.defname);
    }
    Ok(())
}

/// Parameters of storage in an option list.
pub(super) fn storage_options(nodes: &[Node]) -> Vec<StorageOption> {
    definitions(nodes)
        .map(|element| StorageOption {
            namespace: Some(Ident::new(&element.defnamespace)).filter(|space| !space.is_empty()),
            name: Ident::new(&element.defname),
            value: option_text(element).unwrap_or_else(|| "true".to_owned()),
            has_value: element.arg.is_some(),
        })
        .collect()
}

pub(super) fn option_integer(element: &DefElem) -> Option<i64> {
    option_text(element)?.parse().ok()
}

/// A boolean option; an option without a value is true. Errors: 42601, as PostgreSQL words it.
pub(super) fn option_bool(element: &DefElem) -> Converted<bool> {
    match option_text(element) {
        None => Ok(true),
        Some(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "on" | "1" => Ok(true),
            "false" | "off" | "0" => Ok(false),
            _ => Err(DatabaseError::new(
                "42601",
                format!("{} requires a Boolean value", element.defname),
            )),
        },
    }
}
