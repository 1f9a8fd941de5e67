//! Object identifiers: PostgreSQL's own for built-in types and schemas, counted for everything else.

use std::collections::BTreeMap;

use mainstay_core::catalog::{Catalog, Routine};
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::Type;

use super::Cell;

/// The first identifier that PostgreSQL gives to users' objects (`FirstNormalObjectId`).
const FIRST: i64 = 16_384;

/// The schema `pg_catalog`'s.
pub const PG_CATALOG: i64 = 11;
/// The schema `public`'s.
const PUBLIC: i64 = 2200;

/// `typname`, `oid` of the built-in types (`pg_type`).
pub const BUILT_IN_TYPES: &[(&str, i64)] = &[
    ("bool", 16),
    ("bytea", 17),
    ("name", 19),
    ("int8", 20),
    ("int2", 21),
    ("int4", 23),
    ("text", 25),
    ("oid", 26),
    ("json", 114),
    ("float4", 700),
    ("float8", 701),
    ("bpchar", 1042),
    ("varchar", 1043),
    ("date", 1082),
    ("time", 1083),
    ("timestamp", 1114),
    ("timestamptz", 1184),
    ("interval", 1186),
    ("timetz", 1266),
    ("numeric", 1700),
    ("record", 2249),
    ("void", 2278),
    ("trigger", 2279),
    ("uuid", 2950),
    ("tsvector", 3614),
    ("tsquery", 3615),
    ("jsonb", 3802),
];

/// One kind of object with its name; what it is counted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    Role(Ident),
    Schema(Ident),
    Extension(Ident),
    Type(QualifiedName),
    /// Type and label.
    EnumLabel(QualifiedName, String),
    /// Tables, views, sequences and indexes share their names.
    Relation(QualifiedName),
    /// A relation's row type.
    RowType(QualifiedName),
    /// Relation and constraint.
    Constraint(QualifiedName, Ident),
    /// Relation and policy.
    Policy(QualifiedName, Ident),
    /// Relation and trigger.
    Trigger(QualifiedName, Ident),
    /// By [`Routine::id`].
    Routine(u64),
}

/// The identifiers of one catalog version.
pub struct Identifiers {
    counted: BTreeMap<Object, i64>,
}

impl Identifiers {
    /// Counts every object of `catalog`.
    pub fn of(catalog: &Catalog) -> Self {
        let mut counted = BTreeMap::new();
        let mut next = FIRST;
        let mut add = |object: Object| {
            counted.entry(object).or_insert_with(|| {
                next += 1;
                next - 1
            });
        };
        let mut roles: Vec<_> = catalog.roles.keys().collect();
        roles.sort();
        roles.into_iter().for_each(|role| add(Object::Role(role.clone())));
        catalog
            .schemas
            .keys()
            .for_each(|schema| add(Object::Schema(schema.clone())));
        catalog
            .extensions
            .keys()
            .for_each(|name| add(Object::Extension(name.clone())));
        let mut enums: Vec<_> = catalog.enums.values().collect();
        enums.sort_by(|a, b| a.name.cmp(&b.name));
        for kind in enums {
            add(Object::Type(kind.name.clone()));
            for label in &kind.labels {
                add(Object::EnumLabel(kind.name.clone(), label.clone()));
            }
        }
        let mut domains: Vec<_> = catalog.domains.keys().collect();
        domains.sort();
        domains.into_iter().for_each(|name| add(Object::Type(name.clone())));
        let mut sequences: Vec<_> = catalog.sequences.keys().collect();
        sequences.sort();
        sequences
            .into_iter()
            .for_each(|name| add(Object::Relation(name.clone())));
        let mut relations: Vec<_> = catalog.relations.values().collect();
        relations.sort_by(|a, b| a.name.cmp(&b.name));
        for relation in relations {
            add(Object::Relation(relation.name.clone()));
            add(Object::RowType(relation.name.clone()));
            for constraint in &relation.constraints {
                add(Object::Constraint(relation.name.clone(), constraint.name.clone()));
            }
            for policy in &relation.policies {
                add(Object::Policy(relation.name.clone(), policy.name.clone()));
            }
            for trigger in &relation.triggers {
                add(Object::Trigger(relation.name.clone(), trigger.name.clone()));
            }
            for index in super::index_columns::index_names(relation) {
                add(Object::Relation(QualifiedName::new(
                    relation.name.schema.clone(),
                    index,
                )));
            }
        }
        let mut routines: Vec<_> = catalog.routines.values().flatten().map(|routine| routine.id).collect();
        routines.sort_unstable();
        routines.into_iter().for_each(|id| add(Object::Routine(id)));
        Identifiers { counted }
    }

    /// An object's identifier; 0, PostgreSQL's "none", for what is not there.
    pub fn get(&self, object: &Object) -> Cell {
        if let Object::Schema(schema) = object {
            match schema.as_str() {
                "pg_catalog" => return Cell::Integer(PG_CATALOG),
                "public" => return Cell::Integer(PUBLIC),
                _ => {}
            }
        }
        Cell::Integer(self.counted.get(object).copied().unwrap_or(0))
    }

    pub fn role(&self, name: &Ident) -> Cell {
        self.get(&Object::Role(name.clone()))
    }

    pub fn schema(&self, name: &Ident) -> Cell {
        self.get(&Object::Schema(name.clone()))
    }

    pub fn relation(&self, name: &QualifiedName) -> Cell {
        self.get(&Object::Relation(name.clone()))
    }

    pub fn routine(&self, routine: &Routine) -> Cell {
        self.get(&Object::Routine(routine.id))
    }

    /// A type's; 0 for arrays, which are not listed.
    pub fn ty(&self, ty: &Type) -> Cell {
        match ty {
            Type::Enum(name) | Type::Domain(name, _) => self.get(&Object::Type(name.clone())),
            Type::Composite(name) => self.get(&Object::RowType(name.clone())),
            other => {
                let name = other.internal_name();
                let found = BUILT_IN_TYPES.iter().find(|(listed, _)| *listed == name);
                Cell::Integer(found.map_or(0, |(_, oid)| *oid))
            }
        }
    }
}
