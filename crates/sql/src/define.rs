//! Spells the embedded engine's catalog as [`Definitions`], with the words that PostgreSQL would use.
//!
//! Lives here: types, constraints, indexes and routines as PostgreSQL text, every name with its schema.
//! Not here: PostgreSQL's own objects, which it spells itself (`backend-postgres`); order and statements (`dump`).
//!
//! Source: PostgreSQL 15, `pg_get_constraintdef`, `pg_get_indexdef`, `pg_get_functiondef` as observed.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_core::catalog::{
    AclEntry, Catalog, Column, Constraint, ConstraintKind, ForeignKey, Index, IndexPart, Policy, Privilege,
    ReferentialAction, Relation, RelationKind, Routine, Sequence, Trigger, TriggerFunction, TriggerTiming, Volatility,
};
use mainstay_core::definition::{
    ColumnDefinition, ConstraintDefinition, ConstraintShape, DefaultObject, DefaultRight, Definitions, Facts,
    IndexDefinition, PolicyDefinition, Right, RoleDefinition, RoutineDefinition, RoutineName, SequenceDefinition,
    TableDefinition, TriggerDefinition, TriggerMode, TypeBody, TypeDefinition, ViewDefinition,
};
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::{Type, TypeModifier};

use crate::dump::SqlText;
use crate::session::Session;

/// The role that owns what migrations make.
const OWNER: &str = "postgres";

/// Every object of the catalog. `publications`: what the engine keeps beside it.
pub fn of_catalog(catalog: &Catalog, publications: BTreeMap<Ident, BTreeSet<QualifiedName>>) -> Definitions {
    let mut found = Definitions::new(OWNER);
    found.publications = publications;
    found.extensions = catalog.extensions.clone();
    for (name, schema) in &catalog.schemas {
        let facts = facts(&schema.owner, &schema.acl, &[], schema.comment.as_ref());
        found.schemas.insert(name.clone(), facts);
    }
    for role in catalog.roles.values() {
        let definition = RoleDefinition {
            inherit: role.inherit,
            bypass_rls: role.bypass_rls,
            login: role.login,
            member_of: role.member_of.iter().cloned().collect(),
            comment: role.comment.clone(),
        };
        found.roles.insert(role.name.clone(), definition);
    }
    add_types(&mut found, catalog);
    for sequence in catalog.sequences.values() {
        let definition = self::sequence(catalog, sequence);
        found.sequences.insert(sequence.name.clone(), definition);
    }
    for relation in catalog.relations.values() {
        let name = relation.name.to_string();
        found
            .unwritten
            .extend(unspelled(relation).into_iter().map(|part| (part, name.clone())));
        match &relation.view {
            Some(_) => {
                if let Some(view) = view(catalog, relation) {
                    found.views.insert(relation.name.clone(), view);
                }
            }
            None => {
                found.tables.insert(relation.name.clone(), table(catalog, relation));
            }
        }
    }
    for routine in catalog.routines.values().flatten() {
        let (name, definition) = self::routine(catalog, routine);
        found.routines.insert(name, definition);
    }
    for entry in &catalog.default_privileges {
        found.default_rights.insert(DefaultRight {
            owner: entry.owner.clone(),
            schema: entry.schema.clone(),
            object: entry.object.into(),
            right: right(&entry.grant, &[]),
        });
    }
    // The catalog keeps no rights on types: everybody may use them.
    found.default_rights.insert(DefaultRight {
        owner: Ident::new(OWNER),
        schema: None,
        object: DefaultObject::Types,
        right: Right::plain(None, Privilege::Usage),
    });
    found
}

/// The parts of a relation that are spelled here, or follow from others.
const SPELLED: &[&str] = &[
    "acl",
    "columns",
    "comment",
    "constraints",
    "deletable",
    "id",
    "indexes",
    "insertable",
    "kind",
    "name",
    "owner",
    "policies",
    "row_security",
    "triggers",
    "updatable",
    "view",
];

/// What the catalog keeps of a relation and nobody spells here: it is named where it would be missed.
fn unspelled(relation: &Relation) -> Vec<String> {
    use serde_json::Value;
    let Ok(Value::Object(parts)) = serde_json::to_value(relation) else {
        return Vec::new();
    };
    let says_something = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    parts
        .into_iter()
        .filter(|(part, value)| !SPELLED.contains(&part.as_str()) && says_something(value))
        .map(|(part, _)| part)
        .collect()
}

fn facts(owner: &Ident, acl: &[AclEntry], columns: &[Column], comment: Option<&String>) -> Facts {
    Facts {
        owner: owner.clone(),
        rights: acl
            .iter()
            .map(|entry| right(entry, columns))
            .filter(|right| right.role.as_ref() != Some(owner))
            .collect(),
        comment: comment.cloned(),
    }
}

fn right(entry: &AclEntry, columns: &[Column]) -> Right {
    Right {
        role: Right::role_of(&entry.grantee),
        column: entry
            .column
            .and_then(|index| columns.get(index))
            .map(|column| column.name.clone()),
        privilege: entry.privilege,
        grantable: entry.grantable,
    }
}

fn add_types(found: &mut Definitions, catalog: &Catalog) {
    let usable = |owner: &Ident, comment: Option<&String>| Facts {
        rights: BTreeSet::from([Right::plain(None, Privilege::Usage)]),
        comment: comment.cloned(),
        ..Facts::of(owner)
    };
    for entry in catalog.enums.values() {
        let definition = TypeDefinition {
            facts: usable(&entry.owner, entry.comment.as_ref()),
            body: TypeBody::Enum(entry.labels.clone()),
        };
        found.types.insert(entry.name.clone(), definition);
    }
    for entry in catalog.domains.values() {
        let checks = entry.checks.iter().map(|(name, text)| (name.clone(), check(text)));
        let definition = TypeDefinition {
            facts: usable(&entry.owner, entry.comment.as_ref()),
            body: TypeBody::Domain {
                base: type_text(catalog, &entry.base, entry.modifier),
                collation: None,
                not_null: entry.not_null,
                default: entry.default.clone(),
                checks: checks.collect(),
            },
        };
        found.types.insert(entry.name.clone(), definition);
    }
}

/// A type as DDL writes it: `character varying(20)`, `public.mood[]`, `extensions.vector(3)`.
fn type_text(catalog: &Catalog, ty: &Type, modifier: TypeModifier) -> String {
    match ty {
        Type::Array(element) => {
            let mut text = type_text(catalog, element, modifier);
            text.push_str("[]");
            text
        }
        Type::Enum(name) | Type::Domain(name, _) | Type::Composite(name) | Type::Other(name) => {
            let mut text = SqlText::new();
            if name.schema == "pg_catalog" {
                text.ident(&name.name);
            } else {
                text.name(name);
            }
            text.finish()
        }
        other => {
            let plain = other.display(modifier);
            match catalog.extensions.get(&Ident::from(other.internal_name())) {
                Some(schema) if matches!(other, Type::Citext | Type::Vector) => {
                    let mut text = SqlText::new();
                    text.ident(schema).sql(".").kept(&plain);
                    text.finish()
                }
                _ => plain,
            }
        }
    }
}

fn sequence(catalog: &Catalog, sequence: &Sequence) -> SequenceDefinition {
    let is_identity = sequence.owned_by.as_ref().is_some_and(|(table, column)| {
        let column = catalog.relations.get(table).and_then(|table| table.column(column));
        column.is_some_and(|(_, column)| column.identity.is_some() && column.sequence.as_ref() == Some(&sequence.name))
    });
    SequenceDefinition {
        facts: facts(&sequence.owner, &sequence.acl, &[], None),
        ty: type_text(catalog, &sequence.ty, TypeModifier::None),
        start: sequence.start,
        increment: sequence.increment,
        min: sequence.min,
        max: sequence.max,
        cache: 1,
        cycle: sequence.cycle,
        owned_by: sequence.owned_by.clone(),
        is_identity,
    }
}

fn table(catalog: &Catalog, relation: &Relation) -> TableDefinition {
    let facts = facts(
        &relation.owner,
        &relation.acl,
        &relation.columns,
        relation.comment.as_ref(),
    );
    TableDefinition {
        columns: relation.columns.iter().map(|entry| column(catalog, entry)).collect(),
        constraints: relation
            .constraints
            .iter()
            .map(|entry| (entry.name.clone(), constraint(relation, entry)))
            .collect(),
        indexes: relation
            .indexes
            .iter()
            .map(|entry| (entry.name.clone(), index(relation, entry)))
            .collect(),
        row_security: relation.row_security.enabled,
        row_security_forced: relation.row_security.forced,
        policies: relation
            .policies
            .iter()
            .map(|entry| (entry.name.clone(), policy(entry)))
            .collect(),
        triggers: triggers(catalog, relation),
        ..TableDefinition::new(facts)
    }
}

fn triggers(catalog: &Catalog, relation: &Relation) -> BTreeMap<Ident, TriggerDefinition> {
    let triggers = relation.triggers.iter();
    triggers
        .map(|entry| (entry.name.clone(), trigger(catalog, relation, entry)))
        .collect()
}

fn trigger(catalog: &Catalog, relation: &Relation, trigger: &Trigger) -> TriggerDefinition {
    let mut text = SqlText::new();
    text.sql("CREATE TRIGGER ").ident(&trigger.name);
    text.sql(match trigger.timing {
        TriggerTiming::Before => " BEFORE ",
        TriggerTiming::After => " AFTER ",
        TriggerTiming::InsteadOf => " INSTEAD OF ",
    });
    let events = [
        (trigger.on_insert, "INSERT"),
        (trigger.on_delete, "DELETE"),
        (trigger.on_update, "UPDATE"),
    ];
    for (position, (_, event)) in events.iter().filter(|(fires, _)| *fires).enumerate() {
        text.sql(if position > 0 { " OR " } else { "" }).sql(event);
    }
    if !trigger.columns.is_empty() {
        text.sql(" OF ");
        text.each(names(relation, &trigger.columns), |text, name| {
            text.ident(name);
        });
    }
    text.sql(" ON ").name(&relation.name);
    text.sql(if trigger.for_each_row {
        " FOR EACH ROW"
    } else {
        " FOR EACH STATEMENT"
    });
    if let Some(condition) = &trigger.condition {
        text.sql(" WHEN (").kept(condition).sql(")");
    }
    text.sql(" EXECUTE FUNCTION ");
    match &trigger.function {
        TriggerFunction::Routine(id) => {
            let routine = catalog.routines.values().flatten().find(|routine| routine.id == *id);
            if let Some(routine) = routine {
                text.name(&routine.name);
            }
        }
        TriggerFunction::Moddatetime => {
            let name = Ident::new("moddatetime");
            if let Some(schema) = catalog.extensions.get(&name) {
                text.ident(schema).sql(".");
            }
            text.ident(&name);
        }
        TriggerFunction::SuppressRedundantUpdates => {
            text.sql("suppress_redundant_updates_trigger");
        }
    }
    text.sql("(");
    text.each(&trigger.arguments, |text, argument| {
        text.literal(argument);
    });
    text.sql(")");
    TriggerDefinition {
        text: text.finish(),
        mode: if trigger.enabled {
            TriggerMode::Enabled
        } else {
            TriggerMode::Disabled
        },
        comment: trigger.comment.clone(),
    }
}

fn column(catalog: &Catalog, column: &Column) -> ColumnDefinition {
    ColumnDefinition {
        name: column.name.clone(),
        ty: type_text(catalog, &column.ty, column.modifier),
        collation: None,
        not_null: column.not_null,
        default: column.default.clone(),
        identity: column.identity,
        generated: column.generated.clone(),
        comment: column.comment.clone(),
    }
}

fn check(expression: &str) -> String {
    let mut text = SqlText::new();
    text.sql("CHECK (").kept(expression).sql(")");
    text.finish()
}

fn names<'a>(relation: &'a Relation, columns: &'a [usize]) -> impl Iterator<Item = &'a Ident> {
    columns
        .iter()
        .filter_map(|index| relation.columns.get(*index))
        .map(|column| &column.name)
}

fn constraint(relation: &Relation, constraint: &Constraint) -> ConstraintDefinition {
    let mut text = SqlText::new();
    let kind = match &constraint.kind {
        ConstraintKind::PrimaryKey { columns } => {
            text.sql("PRIMARY KEY ").idents(names(relation, columns));
            ConstraintShape::PrimaryKey(names(relation, columns).cloned().collect())
        }
        ConstraintKind::Unique { columns } => {
            text.sql("UNIQUE ").idents(names(relation, columns));
            ConstraintShape::Unique
        }
        ConstraintKind::Check { expression } => {
            text.kept(&check(expression));
            ConstraintShape::Check
        }
        ConstraintKind::ForeignKey(key) => {
            foreign_key(&mut text, relation, key);
            ConstraintShape::ForeignKey(key.target.clone())
        }
    };
    ConstraintDefinition {
        kind,
        text: text.finish(),
        comment: constraint.comment.clone(),
    }
}

fn foreign_key(text: &mut SqlText, relation: &Relation, key: &ForeignKey) {
    text.sql("FOREIGN KEY ").idents(names(relation, &key.columns));
    text.sql(" REFERENCES ").name(&key.target);
    text.idents(key.target_columns.iter());
    for (event, action) in [(" ON UPDATE ", key.on_update), (" ON DELETE ", key.on_delete)] {
        let action = match action {
            ReferentialAction::NoAction => continue,
            ReferentialAction::Restrict => "RESTRICT",
            ReferentialAction::Cascade => "CASCADE",
            ReferentialAction::SetNull => "SET NULL",
            ReferentialAction::SetDefault => "SET DEFAULT",
        };
        text.sql(event).sql(action);
    }
    if key.deferrable {
        text.sql(" DEFERRABLE");
    }
    if key.initially_deferred {
        text.sql(" INITIALLY DEFERRED");
    }
}

fn index(relation: &Relation, index: &Index) -> IndexDefinition {
    let mut text = SqlText::new();
    text.sql(if index.unique {
        "CREATE UNIQUE INDEX "
    } else {
        "CREATE INDEX "
    });
    text.ident(&index.name).sql(" ON ").name(&relation.name).sql(" USING ");
    text.ident(&index.method).sql(" (");
    for (position, key) in index.keys.iter().enumerate() {
        text.comma(position);
        match &key.part {
            IndexPart::Column(column) => {
                text.each(names(relation, &[*column]), |text, name| {
                    text.ident(name);
                });
            }
            IndexPart::Expression(expression) => {
                text.sql("(").kept(expression).sql(")");
            }
        }
        if let Some(class) = &key.operator_class {
            text.sql(" ").ident(class);
        }
        if key.descending {
            text.sql(" DESC");
        }
        if key.nulls_first != key.descending {
            text.sql(if key.nulls_first { " NULLS FIRST" } else { " NULLS LAST" });
        }
    }
    text.sql(")");
    if !index.including.is_empty() {
        text.sql(" INCLUDE ").idents(names(relation, &index.including));
    }
    if let Some(predicate) = &index.predicate {
        text.sql(" WHERE (").kept(predicate).sql(")");
    }
    IndexDefinition {
        text: text.finish(),
        comment: None,
    }
}

fn policy(policy: &Policy) -> PolicyDefinition {
    PolicyDefinition {
        command: policy.command,
        permissive: policy.permissive,
        roles: policy.roles.iter().map(Right::role_of).collect(),
        using: policy.using.clone(),
        check: policy.check.clone(),
        comment: None,
    }
}

fn view(catalog: &Catalog, relation: &Relation) -> Option<ViewDefinition> {
    let view = relation.view.as_ref()?;
    let comments = relation
        .columns
        .iter()
        .filter_map(|column| Some((column.name.clone(), column.comment.clone()?)));
    Some(ViewDefinition {
        facts: facts(
            &relation.owner,
            &relation.acl,
            &relation.columns,
            relation.comment.as_ref(),
        ),
        is_materialized: relation.kind == RelationKind::MaterializedView,
        columns: relation
            .columns
            .iter()
            .map(|column| (column.name.clone(), type_text(catalog, &column.ty, column.modifier)))
            .collect(),
        query: view.definition.clone(),
        security_invoker: view.security_invoker,
        security_barrier: false,
        check_option: view.check_option,
        column_comments: comments.collect(),
        triggers: triggers(catalog, relation),
        indexes: BTreeMap::new(),
    })
}

fn routine(catalog: &Catalog, routine: &Routine) -> (RoutineName, RoutineDefinition) {
    let mut arguments = SqlText::new();
    for (position, argument) in routine.arguments.iter().enumerate() {
        arguments
            .comma(position)
            .kept(&type_text(catalog, &argument.ty, TypeModifier::None));
    }
    let name = RoutineName {
        name: routine.name.clone(),
        arguments: arguments.finish(),
    };
    let signature = signature(catalog, routine);
    let mut text = SqlText::new();
    text.sql("CREATE OR REPLACE ");
    text.sql(if routine.is_procedure {
        "PROCEDURE "
    } else {
        "FUNCTION "
    });
    text.name(&routine.name)
        .kept(&declared(catalog, routine, Defaults::Written));
    if !routine.is_procedure {
        text.sql("\n RETURNS ").kept(&result(catalog, routine));
    }
    text.sql("\n LANGUAGE ").ident(&routine.language);
    match routine.volatility {
        Volatility::Immutable => text.sql(" IMMUTABLE"),
        Volatility::Stable => text.sql(" STABLE"),
        Volatility::Volatile => &mut text,
    };
    if routine.strict {
        text.sql(" STRICT");
    }
    if routine.security_definer {
        text.sql(" SECURITY DEFINER");
    }
    if routine.returns.at_most_one {
        text.sql(" ROWS 1");
    }
    if sets_path(routine) {
        text.sql("\n SET search_path TO ");
        if routine.search_path.is_empty() {
            text.sql("''");
        }
        text.each(routine.search_path.iter(), |text, schema| {
            text.literal(schema);
        });
    }
    text.sql("\nAS ").dollar_quoted("function", &routine.body);
    let definition = RoutineDefinition {
        facts: facts(&routine.owner, &routine.acl, &[], routine.comment.as_ref()),
        is_procedure: routine.is_procedure,
        signature,
        text: text.finish(),
        body: routine.body.clone(),
        search_path: routine.search_path.clone(),
    };
    (name, definition)
}

/// True if the routine says where its names are looked up. One that was made without a search path has its own schema
/// before the usual ones, and says nothing either.
fn sets_path(routine: &Routine) -> bool {
    let mut without_path = vec![routine.name.schema.clone()];
    for usual in ["public", "extensions"] {
        if *routine.name.schema != *usual {
            without_path.push(Ident::new(usual));
        }
    }
    routine.search_path != Session::default().search_path && routine.search_path != without_path
}

/// Are defaults written, or left out?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Defaults {
    Written,
    LeftOut,
}

/// True if the result's columns are spelled as a table's; else they are OUT arguments.
fn gives_table(routine: &Routine) -> bool {
    let is_input = |name: &Ident| routine.arguments.iter().any(|argument| argument.name == *name);
    let columns = &routine.returns.columns;
    routine.returns.set && !columns.is_empty() && !columns.iter().any(|(name, _)| is_input(name))
}

/// `(a integer, b text DEFAULT 'x', OUT c text)`.
fn declared(catalog: &Catalog, routine: &Routine, defaults: Defaults) -> String {
    let mut outputs: &[(Ident, Type)] = match gives_table(routine) {
        true => &[],
        false => &routine.returns.columns,
    };
    let mut parts: Vec<String> = Vec::new();
    let out = |(name, ty): &(Ident, Type)| {
        let mut text = SqlText::new();
        text.sql("OUT ").ident(name).sql(" ");
        text.kept(&type_text(catalog, ty, TypeModifier::None));
        text.finish()
    };
    for argument in &routine.arguments {
        let both = outputs
            .iter()
            .position(|(name, ty)| *name == argument.name && *ty == argument.ty);
        let mut text = SqlText::new();
        if argument.variadic {
            text.sql("VARIADIC ");
        } else if let Some(at) = both {
            // The order of the result's columns is that of the arguments.
            parts.extend(outputs[..at].iter().map(out));
            outputs = &outputs[at + 1..];
            text.sql("INOUT ");
        }
        if !argument.name.is_empty() {
            text.ident(&argument.name).sql(" ");
        }
        text.kept(&type_text(catalog, &argument.ty, TypeModifier::None));
        if let (Some(default), Defaults::Written) = (&argument.default, defaults) {
            text.sql(" DEFAULT ").kept(default);
        }
        parts.push(text.finish());
    }
    parts.extend(outputs.iter().map(out));
    let mut text = SqlText::new();
    text.sql("(");
    text.each(parts, |text, part| {
        text.kept(&part);
    });
    text.sql(")");
    text.finish()
}

fn result(catalog: &Catalog, routine: &Routine) -> String {
    let mut text = SqlText::new();
    if gives_table(routine) {
        text.sql("TABLE(");
        text.each(&routine.returns.columns, |text, (name, ty)| {
            text.ident(name)
                .sql(" ")
                .kept(&type_text(catalog, ty, TypeModifier::None));
        });
        text.sql(")");
        return text.finish();
    }
    if routine.returns.set {
        text.sql("SETOF ");
    }
    match &routine.returns.relation {
        Some(relation) => text.name(relation),
        None => text.kept(&type_text(catalog, &routine.returns.ty, TypeModifier::None)),
    };
    text.finish()
}

/// What `CREATE OR REPLACE` must find as it was.
fn signature(catalog: &Catalog, routine: &Routine) -> String {
    let defaults = routine
        .arguments
        .iter()
        .filter(|argument| argument.default.is_some())
        .count();
    let mut text = SqlText::new();
    text.kept(&declared(catalog, routine, Defaults::LeftOut));
    text.sql(" RETURNS ").kept(&result(catalog, routine));
    text.sql(" DEFAULTS ").number(defaults as i64);
    text.finish()
}
