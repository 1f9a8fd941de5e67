//! The system catalogs that statements may ask: `pg_class`, `pg_type`, `information_schema.tables` and their kin.
//!
//! Lives here: which of them there are, their columns, and their rows as a [`Catalog`] has them.
//! Not here: how an engine puts the rows into a statement (`backend-*`). PostgreSQL answers such questions itself.
//! Invariant: rows are those of one catalog version; object identifiers are counted anew for each and join within it.
//!
//! What differs from PostgreSQL: the objects listed are the project's own (of types also the built-in ones), not those
//! that a server brings along; columns that are not listed are refused by name.
//!
//! Source: PostgreSQL 15 manual, chapters 37 (the information schema), 53 (system catalogs), 54 (system views).

mod identifiers;
mod index_columns;
mod information_schema;
mod pg_catalog;
mod relations;
mod triggers;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use mainstay_core::catalog::{AclEntry, Catalog, Column, Grantee, Privilege, Relation, RelationKind, RowSecurity};
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::policy;
use mainstay_core::types::{Type, TypeModifier};

use identifiers::Identifiers;

/// The schema that is searched before every other.
const PG_CATALOG: &str = "pg_catalog";
const INFORMATION_SCHEMA: &str = "information_schema";

/// One value of a system catalog's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Null,
    Bool(bool),
    Integer(i64),
    Text(String),
    /// `name[]`
    Names(Vec<String>),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell::Text(text.to_owned())
    }
}

impl From<&Ident> for Cell {
    fn from(name: &Ident) -> Self {
        Cell::Text(name.to_string())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell::Text(text)
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Cell::Bool(value)
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Cell::Integer(value)
    }
}

impl From<usize> for Cell {
    fn from(value: usize) -> Self {
        Cell::Integer(value as i64)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Null, Into::into)
    }
}

type Row = Vec<Cell>;

/// The system relation that a name as written stands for: `pg_class`, `pg_catalog.pg_class`,
/// `information_schema.tables`.
pub fn relation(schema: Option<&Ident>, name: &Ident) -> Option<&'static Arc<Relation>> {
    static ALL: LazyLock<HashMap<QualifiedName, Arc<Relation>>> = LazyLock::new(|| {
        relations::ALL
            .iter()
            .map(|(schema, name, columns)| {
                let name = QualifiedName::new(*schema, *name);
                (name.clone(), Arc::new(described(name, columns)))
            })
            .collect()
    });
    let schema = schema.cloned().unwrap_or_else(|| Ident::new(PG_CATALOG));
    ALL.get(&QualifiedName::new(schema, name.clone()))
}

/// True for a relation of [`relation`]'s.
pub fn is_system(relation: &Relation) -> bool {
    matches!(relation.name.schema.as_str(), PG_CATALOG | INFORMATION_SCHEMA)
}

/// True for the schemas whose relations are PostgreSQL's own.
pub fn is_system_schema(schema: &str) -> bool {
    matches!(schema, PG_CATALOG | INFORMATION_SCHEMA)
}

/// True for the schemas that PostgreSQL makes itself.
pub fn is_kept_schema(schema: &str) -> bool {
    matches!(schema, "pg_catalog" | "information_schema" | "pg_toast" | "pg_temp")
        || schema.starts_with("pg_temp_")
        || schema.starts_with("pg_toast_temp_")
}

/// True if the relation has all of PostgreSQL 15's columns, in its order.
pub fn is_whole(name: &QualifiedName) -> bool {
    matches!(
        name.name.as_str(),
        "pg_enum" | "pg_publication_tables" | "constraint_column_usage"
    )
}

/// The rows of a system relation as `role` sees them. `None`: what an engine keeps beside the catalog
/// (`pg_publication`, `pg_publication_tables`).
pub fn rows(catalog: &Catalog, role: &Ident, relation: &Relation) -> Option<Vec<Row>> {
    let source = Source {
        catalog,
        role,
        identifiers: Identifiers::of(catalog),
    };
    match relation.name.schema.as_str() {
        INFORMATION_SCHEMA => source.information_schema(&relation.name.name),
        _ => source.pg_catalog(&relation.name.name),
    }
}

/// The identifier that `pg_class` has for a table, view, sequence or index; 0 if there is none of that name.
pub fn relation_identifier(catalog: &Catalog, name: &QualifiedName) -> i64 {
    match Identifiers::of(catalog).relation(name) {
        Cell::Integer(identifier) => identifier,
        _ => 0,
    }
}

/// What rows are made from.
struct Source<'a> {
    catalog: &'a Catalog,
    role: &'a Ident,
    identifiers: Identifiers,
}

impl<'a> Source<'a> {
    /// Relations in the order of their names.
    fn relations(&self) -> Vec<&'a Arc<Relation>> {
        let mut relations: Vec<_> = self.catalog.relations.values().collect();
        relations.sort_by(|a, b| a.name.cmp(&b.name));
        relations
    }

    /// The relations that the information schema shows: those the role owns or has some right on.
    fn visible(&self) -> impl Iterator<Item = &'a Arc<Relation>> {
        self.relations()
            .into_iter()
            .filter(|relation| self.owns(&relation.owner) || self.has_any(relation))
    }

    fn owns(&self, owner: &Ident) -> bool {
        let is_superuser = self.catalog.roles.get(self.role).is_some_and(|role| role.superuser);
        is_superuser || self.catalog.effective_roles(self.role).contains(owner)
    }

    fn has_any(&self, relation: &Relation) -> bool {
        Privilege::OF_TABLES
            .iter()
            .any(|privilege| policy::any_column_allows(self.catalog, self.role, relation, *privilege))
    }
}

/// Columns of the information schema that say `YES` or `NO`.
const YES_OR_NO: [&str; 12] = [
    "is_insertable_into",
    "is_nullable",
    "is_identity",
    "is_deferrable",
    "initially_deferred",
    "is_trigger_deletable",
    "is_trigger_insertable_into",
    "is_trigger_updatable",
    "is_updatable",
    "is_trigger_updatable",
    "is_trigger_deletable",
    "is_trigger_insertable_into",
];

fn described(name: QualifiedName, columns: &[(&str, Type)]) -> Relation {
    Relation {
        name,
        kind: RelationKind::View,
        owner: Ident::new("postgres"),
        columns: columns
            .iter()
            .map(|(name, ty)| Column {
                name: Ident::new(name),
                ty: ty.clone(),
                modifier: match *name {
                    // The information schema's domain `yes_or_no`.
                    name if YES_OR_NO.contains(&name) => TypeModifier::Length(3),
                    _ => TypeModifier::None,
                },
                not_null: false,
                default: None,
                identity: None,
                generated: None,
                sequence: None,
                comment: None,
            })
            .collect(),
        constraints: Vec::new(),
        indexes: Vec::new(),
        row_security: RowSecurity::default(),
        policies: Vec::new(),
        triggers: Vec::new(),
        acl: vec![AclEntry {
            grantee: Grantee::Public,
            privilege: Privilege::Select,
            column: None,
            grantable: false,
        }],
        view: None,
        insertable: false,
        updatable: false,
        deletable: false,
        comment: None,
        id: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ddl::{DefaultGrants, apply, initial_catalog};
    use crate::parse;
    use crate::session::Session;

    #[test]
    fn every_row_has_a_value_for_every_column() {
        let mut catalog = initial_catalog(DefaultGrants::Classic);
        let mut session = Session::default();
        let text = "CREATE TYPE mood AS ENUM ('sad', 'ok');
            CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, m mood DEFAULT 'ok', n numeric(10, 2),
                v varchar(5) UNIQUE, twice int GENERATED ALWAYS AS (2 * 2) STORED, CHECK (n > 0));
            CREATE TABLE u (t bigint REFERENCES t ON DELETE CASCADE);
            CREATE INDEX ON t (n);
            ALTER TABLE t ENABLE ROW LEVEL SECURITY;
            CREATE POLICY p ON t FOR SELECT TO anon USING (n > 1);
            CREATE VIEW w AS SELECT id, n FROM t;
            CREATE TRIGGER same BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
            CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';";
        for statement in parse::parse(text).unwrap() {
            apply(&mut catalog, &mut session, &statement).unwrap();
        }
        let mut empty = Vec::new();
        for (schema, name, columns) in relations::ALL.iter() {
            let relation = relation(Some(&Ident::new(schema)), &Ident::new(name)).unwrap();
            let Some(rows) = rows(&catalog, &session.user, relation) else {
                continue;
            };
            if rows.is_empty() {
                empty.push(*name);
            }
            for row in rows {
                assert_eq!(row.len(), columns.len(), "{name}: {row:?}");
            }
        }
        assert_eq!(empty, ["pg_extension"]);
    }

    #[test]
    fn a_role_sees_in_the_information_schema_what_it_may_use() {
        let mut catalog = initial_catalog(DefaultGrants::Closed);
        let mut session = Session::default();
        let text = "CREATE TABLE open (a int); CREATE TABLE closed (a int); GRANT SELECT ON open TO anon;";
        for statement in parse::parse(text).unwrap() {
            apply(&mut catalog, &mut session, &statement).unwrap();
        }
        let tables = relation(Some(&Ident::new(INFORMATION_SCHEMA)), &Ident::new("tables")).unwrap();
        let names = |role: &str| -> Vec<Cell> {
            let rows = rows(&catalog, &Ident::new(role), tables).unwrap();
            let public = rows.into_iter().filter(|row| row[1] == Cell::from("public"));
            public.map(|row| row[2].clone()).collect()
        };
        assert_eq!(names("anon"), [Cell::from("open")]);
        assert_eq!(names("postgres"), [Cell::from("closed"), Cell::from("open")]);
    }
}
