//! Names, aliases and types as written.

use mainstay_core::name::Ident;
use pg_query::NodeEnum;
use pg_query::protobuf::{self, Node};

use super::{Context, Converted};
use crate::ast::{Alias, ObjectName, TypeName};

/// The text of a string node.
pub(super) fn string(node: &Node) -> Option<&str> {
    match &node.node {
        Some(NodeEnum::String(text)) => Some(&text.sval),
        _ => None,
    }
}

/// The identifiers in a list of string nodes.
pub(super) fn idents(nodes: &[Node]) -> Vec<Ident> {
    nodes.iter().filter_map(string).map(Ident::from).collect()
}

/// `[schema.]name`; a database's name in front is dropped.
pub(super) fn object_name(ctx: &Context<'_>, nodes: &[Node], location: i32) -> ObjectName {
    let mut parts = idents(nodes);
    let name = parts.pop().unwrap_or_else(|| Ident::new(""));
    ObjectName {
        schema: parts.pop(),
        name,
        position: ctx.position(location),
    }
}

/// A relation's name.
pub(super) fn relation(ctx: &Context<'_>, var: &protobuf::RangeVar) -> ObjectName {
    ObjectName {
        schema: (!var.schemaname.is_empty()).then(|| Ident::new(&var.schemaname)),
        name: Ident::new(&var.relname),
        position: ctx.position(var.location),
    }
}

/// `AS name (columns)`.
pub(super) fn alias(alias: Option<&protobuf::Alias>) -> Option<Alias> {
    alias.map(|alias| Alias {
        name: Ident::new(&alias.aliasname),
        columns: idents(&alias.colnames),
    })
}

impl Context<'_> {
    /// A type as written. Errors: 0A000 for `%TYPE`.
    pub(crate) fn type_name(&self, name: &protobuf::TypeName) -> Converted<TypeName> {
        if name.pct_type {
            return Err(self.refuse("%TYPE", name.location, Some("name the type")));
        }
        let mut modifiers = Vec::new();
        let mut has_other_modifiers = false;
        for modifier in &name.typmods {
            match &modifier.node {
                Some(NodeEnum::AConst(constant)) => match &constant.val {
                    Some(protobuf::a_const::Val::Ival(value)) => modifiers.push(i64::from(value.ival)),
                    _ => has_other_modifiers = true,
                },
                _ => has_other_modifiers = true,
            }
        }
        let full = object_name(self, &name.names, name.location);
        if full.name == *"interval" && !modifiers.is_empty() {
            /// All fields: `interval(2)` names none (PostgreSQL, `INTERVAL_FULL_RANGE`).
            const ALL_FIELDS: i64 = 0x7FFF;
            match modifiers.as_slice() {
                [ALL_FIELDS, digits] => modifiers = vec![*digits],
                _ => {
                    modifiers.clear();
                    has_other_modifiers = true;
                }
            }
        }
        Ok(TypeName {
            schema: full.schema,
            name: full.name,
            modifiers,
            array_dimensions: name.array_bounds.len() as u32,
            set_of: name.setof,
            has_other_modifiers,
            position: full.position,
        })
    }
}
