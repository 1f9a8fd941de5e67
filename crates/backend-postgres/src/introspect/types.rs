//! PostgreSQL's type OIDs as [`Type`].

use std::collections::HashMap;

use mainstay_core::name::QualifiedName;
use mainstay_core::types::{Type, TypeModifier};

use super::rows::TypeRow;

/// Every type of the database, by OID.
pub struct Types {
    known: HashMap<u32, Type>,
    /// The relation whose row type it is.
    relations: HashMap<u32, u32>,
}

impl Types {
    /// Resolves every row; arrays and domains refer to others.
    pub fn new(rows: &[TypeRow]) -> Self {
        let by_oid: HashMap<u32, &TypeRow> = rows.iter().map(|row| (row.oid, row)).collect();
        let known = rows.iter().map(|row| (row.oid, resolve(row, &by_oid))).collect();
        let relations = rows
            .iter()
            .filter(|row| row.relation != 0)
            .map(|row| (row.oid, row.relation))
            .collect();
        Types { known, relations }
    }

    /// The type with that OID; `unknown` if there is none.
    pub fn get(&self, oid: u32) -> Type {
        self.known.get(&oid).cloned().unwrap_or(Type::Unknown)
    }

    /// The OID of the relation whose row type it is, below domains not looked.
    pub fn relation_of(&self, oid: u32) -> Option<u32> {
        self.relations.get(&oid).copied()
    }
}

fn resolve(row: &TypeRow, by_oid: &HashMap<u32, &TypeRow>) -> Type {
    let name = || QualifiedName::new(row.schema.as_str(), row.name.as_str());
    // A domain cannot be its own base, nor an array its own element, so this ends.
    let other = |oid: u32| by_oid.get(&oid).map_or(Type::Unknown, |row| resolve(row, by_oid));
    match row.kind.as_str() {
        "e" => Type::Enum(name()),
        "d" => Type::Domain(name(), Box::new(other(row.base))),
        "c" => Type::Composite(name()),
        _ if row.category == "A" && row.element != 0 => Type::Array(Box::new(other(row.element))),
        _ if row.schema == "pg_catalog" && row.name != "char" => {
            builtin(&row.name).unwrap_or_else(|| Type::Other(name()))
        }
        _ => Type::Other(name()),
    }
}

/// By `pg_type.typname`, where SQL's spellings do not count.
fn builtin(name: &str) -> Option<Type> {
    let spelled_otherwise = matches!(name, "int" | "float" | "decimal" | "char");
    Type::from_builtin_name(name)
        .filter(|_| !spelled_otherwise)
        .or((name == "unknown").then_some(Type::Unknown))
}

/// What `atttypmod` says for a type.
pub fn modifier(ty: &Type, raw: i32) -> TypeModifier {
    if raw < 0 {
        return TypeModifier::None;
    }
    match ty {
        Type::Array(element) => modifier(element, raw),
        Type::Varchar | Type::Bpchar => TypeModifier::Length((raw - 4).unsigned_abs()),
        Type::Numeric => {
            let packed = raw - 4;
            // Eleven bits with a sign.
            let scale = ((packed & 0x7ff) ^ 1024) - 1024;
            TypeModifier::Numeric {
                precision: ((packed >> 16) & 0xffff) as u16,
                scale: scale as i16,
            }
        }
        Type::Timestamptz | Type::Timestamp | Type::Time | Type::Timetz => TypeModifier::Fraction(raw as u8),
        _ => TypeModifier::None,
    }
}
