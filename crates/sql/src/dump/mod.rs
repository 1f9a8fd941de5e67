//! Definitions → SQL text that makes them again, on PostgreSQL and on the embedded engine.
//!
//! Lives here: which objects are a project's ([`platform`]), their order ([`graph`]), one statement each ([`create`]),
//! grants ([`rights`]), rows ([`values`]).
//! Not here: where definitions come from (`define`, `backend-postgres`), reading rows (`Backend::export`), files and the
//! command line (`mainstay`).
//! Invariant: the same definitions and rows give the same bytes; loading them and dumping again gives them once more.
//!
//! Source: PostgreSQL 15 manual, pg_dump (what a dump holds and in which order).

pub mod create;
pub mod graph;
pub mod platform;
pub mod references;
pub mod rights;
pub(crate) mod text;
pub mod values;

use std::collections::BTreeSet;

use mainstay_core::backend::TableRows;
use mainstay_core::catalog::{Identity, Privilege};
use mainstay_core::definition::{
    ConstraintShape, DefaultObject, DefaultRight, Definitions, Facts, Position, Right, TableDefinition,
};
use mainstay_core::name::{Ident, QualifiedName};

use create::Target;
use graph::{Graph, Node};
use platform::{API_ROLES, is_platform_publication, is_platform_role};
use rights::Granted;
pub use text::SqlText;

/// The schema that every database has.
pub(crate) const PUBLIC: &str = "public";

/// Settings under which the rest is read.
pub fn settings() -> Vec<String> {
    [
        "SET statement_timeout = 0",
        "SET lock_timeout = 0",
        "SET client_encoding = 'UTF8'",
        "SET standard_conforming_strings = on",
        "SET check_function_bodies = false",
        "SET client_min_messages = warning",
        "SET row_security = off",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Everything that must be there before rows come: schemas, types, tables, views, routines, indexes.
pub fn before_rows(definitions: &Definitions) -> Vec<String> {
    let mut statements = Vec::new();
    for (name, role) in &definitions.roles {
        if !is_platform_role(name) {
            statements.push(create::role(name, role));
            statements.extend(
                role.comment
                    .as_deref()
                    .map(|comment| create::comment(Target::Role(name), Some(comment))),
            );
        }
    }
    for (member, role) in &definitions.roles {
        for of in &role.member_of {
            statements.push(create::membership(of, member, true));
        }
    }
    // An extension's schema may be the platform's, which a bare database lacks.
    let homes: BTreeSet<&Ident> = definitions.extensions.values().collect();
    for schema in homes {
        if !definitions.schemas.contains_key(schema) {
            statements.push(create::schema(schema));
        }
    }
    if definitions.schemas.contains_key(PUBLIC) {
        statements.extend(closed_defaults(definitions));
    }
    let order = Graph::of(definitions).order();
    for node in &order {
        if is_after_rows(node) || *node == Node::Schema(Ident::new(PUBLIC)) {
            continue;
        }
        statements.extend(create::node(definitions, node));
        if let Node::Table(name) = node {
            statements.extend(fill_partition(definitions, name));
        }
        statements.extend(described(definitions, node));
    }
    for (name, sequence) in &definitions.sequences {
        if let (Some(owner), false) = (&sequence.owned_by, sequence.is_identity) {
            statements.push(create::owned_by(name, Some(owner)));
        }
    }
    statements
}

/// Defaults and NOT NULLs that a partition has beside its parent's.
fn fill_partition(definitions: &Definitions, name: &QualifiedName) -> Vec<String> {
    let Some(table) = definitions.tables.get(name) else {
        return Vec::new();
    };
    let Some(parent) = table
        .partition_of
        .as_ref()
        .and_then(|(parent, _)| definitions.tables.get(parent))
    else {
        return Vec::new();
    };
    let mut statements = Vec::new();
    for column in &table.columns {
        let inherited = parent.column(&column.name);
        if let Some(default) = &column.default
            && inherited.is_none_or(|other| other.default != column.default)
        {
            let mut text = create::alter_table(name);
            text.sql("ALTER COLUMN ")
                .ident(&column.name)
                .sql(" SET DEFAULT ")
                .kept(default);
            statements.push(text.finish());
        }
        if column.not_null && inherited.is_some_and(|other| !other.not_null) {
            let mut text = create::alter_table(name);
            text.sql("ALTER COLUMN ").ident(&column.name).sql(" SET NOT NULL");
            statements.push(text.finish());
        }
    }
    statements
}

/// So that nothing is open for a moment, or for ever, that is closed where the dump was made.
fn closed_defaults(definitions: &Definitions) -> Vec<String> {
    let named = named_roles(definitions);
    let roles: Vec<Ident> = API_ROLES
        .iter()
        .map(Ident::new)
        .filter(|role| named.contains(role))
        .collect();
    if roles.is_empty() {
        return Vec::new();
    }
    rights::close_defaults(&Ident::new(PUBLIC), &roles)
}

/// Every role that some right, policy or default names.
fn named_roles(definitions: &Definitions) -> BTreeSet<Ident> {
    let facts = facts(definitions);
    let of_rights = facts
        .iter()
        .flat_map(|facts| &facts.rights)
        .filter_map(|right| right.role.clone());
    let of_policies = definitions
        .tables
        .values()
        .chain(definitions.hung.values())
        .flat_map(|table| table.policies.values())
        .flat_map(|policy| policy.roles.iter().flatten().cloned());
    let of_defaults = definitions
        .default_rights
        .iter()
        .filter_map(|entry| entry.right.role.clone());
    of_rights.chain(of_policies).chain(of_defaults).collect()
}

fn facts(definitions: &Definitions) -> Vec<&Facts> {
    let mut found: Vec<&Facts> = definitions.schemas.values().collect();
    found.extend(definitions.types.values().map(|entry| &entry.facts));
    found.extend(definitions.sequences.values().map(|entry| &entry.facts));
    found.extend(definitions.tables.values().map(|entry| &entry.facts));
    found.extend(definitions.views.values().map(|entry| &entry.facts));
    found.extend(definitions.routines.values().map(|entry| &entry.facts));
    found
}

fn is_after_rows(node: &Node) -> bool {
    matches!(node, Node::ForeignKey(..) | Node::Trigger(..) | Node::Policy(..))
}

/// The owner and the comments of one object.
pub(crate) fn described(definitions: &Definitions, node: &Node) -> Vec<String> {
    let mut statements = Vec::new();
    let mut says = |target: Target<'_>, facts: &Facts| {
        if facts.owner != definitions.owner {
            statements.push(create::owner(target, &facts.owner));
        }
        if let Some(comment) = &facts.comment {
            statements.push(create::comment(target, Some(comment)));
        }
    };
    match node {
        Node::Schema(name) => {
            if let Some(facts) = definitions.schemas.get(name) {
                says(Target::Schema(name), facts);
            }
        }
        Node::Type(name) => {
            if let Some(entry) = definitions.types.get(name) {
                says(Target::Type(name, &entry.body), &entry.facts);
            }
        }
        Node::Sequence(name) => {
            if let Some(entry) = definitions.sequences.get(name) {
                says(Target::Sequence(name), &entry.facts);
            }
        }
        Node::Routine(name) => {
            if let Some(entry) = definitions.routines.get(name) {
                says(Target::Routine(name, entry), &entry.facts);
            }
        }
        Node::View(name) => {
            if let Some(entry) = definitions.views.get(name) {
                says(Target::View(name, entry), &entry.facts);
                for (column, comment) in &entry.column_comments {
                    statements.push(create::comment(Target::Column(name, column), Some(comment)));
                }
            }
        }
        Node::Table(name) => {
            if let Some(entry) = definitions.tables.get(name) {
                says(Target::Table(name), &entry.facts);
                for column in &entry.columns {
                    let comment = column.comment.as_deref();
                    statements.extend(
                        comment.map(|comment| create::comment(Target::Column(name, &column.name), Some(comment))),
                    );
                }
                for (constraint, entry) in &entry.constraints {
                    if !matches!(entry.kind, ConstraintShape::ForeignKey(_)) {
                        statements.extend(comment_on(
                            Target::Constraint(name, constraint),
                            entry.comment.as_deref(),
                        ));
                    }
                }
            }
        }
        Node::Index(of, name) => {
            let on_table = definitions.tables.get(of).and_then(|table| table.indexes.get(name));
            let on_view = definitions.views.get(of).and_then(|view| view.indexes.get(name));
            let comment = on_table.or(on_view).and_then(|entry| entry.comment.as_deref());
            statements.extend(comment_on(Target::Index(of, name), comment));
        }
        Node::ForeignKey(of, name) => {
            let entry = definitions.tables.get(of).and_then(|table| table.constraints.get(name));
            let comment = entry.and_then(|entry| entry.comment.as_deref());
            statements.extend(comment_on(Target::Constraint(of, name), comment));
        }
        Node::Trigger(of, name) => {
            let on_table = definitions.tables.get(of).and_then(|table| table.triggers.get(name));
            let on_view = definitions.views.get(of).and_then(|view| view.triggers.get(name));
            let comment = on_table.or(on_view).and_then(|entry| entry.comment.as_deref());
            statements.extend(comment_on(Target::Trigger(of, name), comment));
        }
        Node::Policy(of, name) => {
            let entry = definitions.tables.get(of).and_then(|table| table.policies.get(name));
            let comment = entry.and_then(|entry| entry.comment.as_deref());
            statements.extend(comment_on(Target::Policy(of, name), comment));
        }
        Node::Extension(_) => {}
    }
    statements
}

fn comment_on(target: Target<'_>, comment: Option<&str>) -> Option<String> {
    comment.map(|comment| create::comment(target, Some(comment)))
}

/// Everything that comes when the rows are there: foreign keys, triggers, row security, grants, publications.
pub fn after_rows(definitions: &Definitions) -> Vec<String> {
    let mut statements = Vec::new();
    for node in Graph::of(definitions).order() {
        match &node {
            Node::ForeignKey(..) | Node::Trigger(..) => {
                statements.extend(create::node(definitions, &node));
                statements.extend(described(definitions, &node));
            }
            _ => {}
        }
    }
    statements.extend(definitions.others.values().map(|other| other.text.clone()));
    for (name, table) in &definitions.tables {
        if table.row_security {
            statements.push(create::row_security(name, true));
        }
        if table.row_security_forced {
            statements.push(create::row_security_forced(name, true));
        }
        if table.replica_full {
            statements.push(create::replica_identity(name, true));
        }
        statements.extend(policies(name, table));
    }
    for (name, table) in &definitions.hung {
        for (trigger, entry) in &table.triggers {
            statements.extend(create::trigger(name, trigger, entry));
        }
        statements.extend(policies(name, table));
    }
    statements.extend(granted(definitions));
    statements.extend(rights::change_defaults(
        &definitions.owner,
        &standard_defaults(definitions),
        &definitions.default_rights,
    ));
    for (name, tables) in &definitions.publications {
        if !is_platform_publication(name) {
            statements.push(create::publication(name));
        }
        if !tables.is_empty() {
            statements.push(create::publish(name, tables, true));
        }
    }
    statements
}

fn policies(name: &QualifiedName, table: &TableDefinition) -> Vec<String> {
    let mut statements = Vec::new();
    for (policy, entry) in &table.policies {
        statements.push(create::policy(name, policy, entry));
        statements.extend(comment_on(Target::Policy(name, policy), entry.comment.as_deref()));
    }
    statements
}

/// Materialised views are filled when the rows are there, those that others read first.
pub fn refreshes(definitions: &Definitions) -> Vec<String> {
    Graph::of(definitions)
        .order()
        .iter()
        .filter_map(|node| match node {
            Node::View(name) if definitions.views.get(name).is_some_and(|view| view.is_materialized) => {
                Some(create::refresh(name))
            }
            _ => None,
        })
        .collect()
}

/// Default rights of the owner as PostgreSQL has them by itself.
pub(crate) fn standard_defaults(definitions: &Definitions) -> BTreeSet<DefaultRight> {
    if !definitions.default_rights.iter().any(|entry| entry.schema.is_none()) {
        // They were not asked for.
        return BTreeSet::new();
    }
    [DefaultObject::Functions, DefaultObject::Types]
        .into_iter()
        .flat_map(|object| rights::built_in(object).into_iter().map(move |right| (object, right)))
        .map(|(object, right)| DefaultRight {
            owner: definitions.owner.clone(),
            schema: None,
            object,
            right,
        })
        .collect()
}

/// The rights that schema `public` has by itself: everybody may look things up in it.
fn of_new_schema(name: &Ident) -> BTreeSet<Right> {
    if *name == *PUBLIC {
        return BTreeSet::from([Right::plain(None, Privilege::Usage)]);
    }
    BTreeSet::new()
}

fn granted(definitions: &Definitions) -> Vec<String> {
    let mut statements = Vec::new();
    let mut say = |object: Granted, kind: DefaultObject, facts: &Facts| {
        statements.extend(rights::change(&object, &rights::built_in(kind), &facts.rights));
    };
    for (name, entry) in &definitions.types {
        say(Granted::of_type(name), DefaultObject::Types, &entry.facts);
    }
    for (name, entry) in &definitions.sequences {
        say(Granted::sequence(name), DefaultObject::Sequences, &entry.facts);
    }
    for (name, entry) in &definitions.tables {
        say(Granted::relation(name), DefaultObject::Tables, &entry.facts);
    }
    for (name, entry) in &definitions.views {
        say(Granted::relation(name), DefaultObject::Tables, &entry.facts);
    }
    for (name, entry) in &definitions.routines {
        let object = Granted::routine(&create::routine_signature(name), entry.is_procedure);
        say(object, DefaultObject::Functions, &entry.facts);
    }
    let of_schemas = definitions
        .schemas
        .iter()
        .flat_map(|(name, facts)| rights::change(&Granted::schema(name), &of_new_schema(name), &facts.rights));
    of_schemas.chain(statements).collect()
}

/// Which rows there are to read, and how their INSERTs begin. Tables that others refer to come first; parts of a
/// partitioned table are read through it.
pub fn rows(definitions: &Definitions) -> Vec<(TableRows, values::Inserts)> {
    let mut found = Vec::new();
    for name in by_reference(definitions) {
        let Some(table) = definitions
            .tables
            .get(&name)
            .filter(|table| table.partition_of.is_none())
        else {
            continue;
        };
        let columns: Vec<(Ident, String)> = table
            .columns
            .iter()
            .filter(|column| column.generated.is_none())
            .map(|column| (column.name.clone(), column.ty.clone()))
            .collect();
        if columns.is_empty() {
            continue;
        }
        let overriding = table
            .columns
            .iter()
            .any(|column| column.identity == Some(Identity::Always));
        let key = table
            .constraints
            .values()
            .find_map(|constraint| match &constraint.kind {
                ConstraintShape::PrimaryKey(columns) => Some(columns.clone()),
                _ => None,
            });
        let inserts = values::Inserts::new(&name, &columns, overriding);
        let rows = TableRows {
            table: name,
            columns: columns.into_iter().map(|(name, _)| name).collect(),
            order: key.unwrap_or_default(),
        };
        found.push((rows, inserts));
    }
    found
}

/// Tables after those that their foreign keys name, as far as that goes.
fn by_reference(definitions: &Definitions) -> Vec<QualifiedName> {
    let mut graph = Graph::default();
    for (name, table) in &definitions.tables {
        let mut needs = graph::Needs::default();
        for constraint in table.constraints.values() {
            if let ConstraintShape::ForeignKey(target) = &constraint.kind
                && target != name
                && definitions.tables.contains_key(target)
            {
                needs.hard.insert(Node::Table(target.clone()));
            }
        }
        graph.needs.insert(Node::Table(name.clone()), needs);
    }
    graph
        .order()
        .into_iter()
        .filter_map(|node| match node {
            Node::Table(name) => Some(name),
            _ => None,
        })
        .collect()
}

/// True if rows alone cannot be loaded with the foreign keys and triggers in force.
pub fn rows_need_replica_role(definitions: &Definitions) -> bool {
    let order = by_reference(definitions);
    let place = |name: &QualifiedName| order.iter().position(|other| other == name);
    definitions.tables.iter().any(|(name, table)| {
        !table.triggers.is_empty()
            || table.constraints.values().any(|constraint| match &constraint.kind {
                ConstraintShape::ForeignKey(target) => place(target) >= place(name),
                _ => false,
            })
    })
}

/// `SELECT setval(…)`, for one sequence.
pub fn position(sequence: &QualifiedName, position: Position) -> String {
    let mut name = SqlText::new();
    name.name(sequence);
    let mut text = SqlText::new();
    text.sql("SELECT setval(")
        .literal(&name.finish())
        .sql(", ")
        .number(position.value);
    text.sql(if position.is_called { ", true)" } else { ", false)" });
    text.finish()
}
