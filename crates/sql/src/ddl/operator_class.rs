//! Operator classes: whether an index's method has one for what it is over.
//!
//! Source: PostgreSQL 15's `pg_opclass` of the schema `pg_catalog`; messages as a server words them.

use mainstay_core::error::DatabaseError;
use mainstay_core::types::Type;

use super::{Result, Run, types};
use crate::ast::ddl::CreateIndex;

/// One of the server's own classes: its type as `format_type` spells it.
struct Class {
    name: &'static str,
    ty: &'static str,
    is_default: bool,
}

fn classes(method: &str) -> impl Iterator<Item = Class> {
    include_str!("operator_classes.txt").lines().filter_map(move |line| {
        let mut parts = line.split('|');
        let [Some(of), Some(name), Some(ty), Some(default)] = [parts.next(), parts.next(), parts.next(), parts.next()]
        else {
            return None;
        };
        (of == method).then_some(Class {
            name,
            ty,
            is_default: default == "t",
        })
    })
}

/// True if a class over `declared` takes values of `ty` as they are.
fn takes(declared: &str, ty: &Type) -> bool {
    let base = ty.base();
    match base {
        Type::Varchar | Type::Unknown => declared == "text",
        Type::Enum(_) => declared == "anyenum",
        Type::Array(_) => declared == "anyarray",
        Type::Composite(_) => declared == "record",
        other => types::shown(other, mainstay_core::types::TypeModifier::None) == declared,
    }
}

impl Run<'_> {
    /// Errors: 42704 for a class that there is not, or where one must be named; 42804 for one of another type.
    pub(super) fn check_operator_class(&self, method: &str, class: Option<&str>, ty: &Type) -> Result<()> {
        if classes(method).next().is_none() {
            // The method of an extension, which knows its own.
            return Ok(());
        }
        let has = |extension: &str| self.catalog.extensions.contains_key(extension);
        let shown = || types::shown(ty, mainstay_core::types::TypeModifier::None);
        match class {
            None => {
                let of_extension = match (method, ty.base()) {
                    ("btree" | "hash", Type::Citext) | ("btree", Type::Vector) => true,
                    ("gin", _) => has("btree_gin"),
                    ("gist", _) => has("btree_gist"),
                    _ => false,
                };
                if of_extension || classes(method).any(|class| class.is_default && takes(class.ty, ty)) {
                    return Ok(());
                }
                let message = format!(
                    "data type {} has no default operator class for access method \"{method}\"",
                    shown()
                );
                Err(DatabaseError::new("42704", message).hint(
                    "You must specify an operator class for the index or define a default operator class for the data type.",
                ))
            }
            Some(class) => {
                let mut named = classes(method).filter(|known| known.name == class).peekable();
                if named.peek().is_none() {
                    // Which classes extensions bring is theirs to say.
                    if self.catalog.extensions.keys().any(|name| *name != *"plpgsql") {
                        return Ok(());
                    }
                    let message = format!("operator class \"{class}\" does not exist for access method \"{method}\"");
                    return Err(DatabaseError::new("42704", message));
                }
                if named.any(|known| takes(known.ty, ty)) {
                    return Ok(());
                }
                let message = format!("operator class \"{class}\" does not accept data type {}", shown());
                Err(DatabaseError::new("42804", message))
            }
        }
    }
}

/// What the method of an index cannot do. Errors: 0A000.
pub(super) fn check_method(create: &CreateIndex) -> Result<()> {
    let method = create.method.as_str();
    let what = match method {
        "btree" => return Ok(()),
        _ if create.unique => "unique indexes",
        "hash" | "gin" | "brin" if !create.including.is_empty() => "included columns",
        "hash" | "spgist" | "hnsw" | "ivfflat" if create.keys.len() > 1 => "multicolumn indexes",
        _ => return Ok(()),
    };
    let message = format!("access method \"{method}\" does not support {what}");
    Err(DatabaseError::new("0A000", message))
}
