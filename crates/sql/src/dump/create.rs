//! One statement per object, as PostgreSQL takes it.
//!
//! Source: PostgreSQL 15 manual, part VI (CREATE …, ALTER …, COMMENT, DROP).

use mainstay_core::catalog::{CheckOption, Identity, PolicyCommand};
use mainstay_core::definition::{
    ColumnDefinition, ConstraintDefinition, ConstraintShape, Definitions, PolicyDefinition, RoleDefinition,
    RoutineDefinition, RoutineName, SequenceDefinition, TableDefinition, TriggerDefinition, TriggerMode, TypeBody,
    ViewDefinition,
};
use mainstay_core::name::{Ident, QualifiedName};

use super::graph::Node;
use super::text::SqlText;

/// `CREATE ROLE`. Roles belong to the whole server, so one that is there already makes this fail.
pub fn role(name: &Ident, role: &RoleDefinition) -> String {
    let mut text = SqlText::new();
    text.sql("CREATE ROLE ").ident(name);
    text.sql(if role.login { " LOGIN" } else { " NOLOGIN" });
    if !role.inherit {
        text.sql(" NOINHERIT");
    }
    if role.bypass_rls {
        text.sql(" BYPASSRLS");
    }
    text.finish()
}

/// `GRANT role TO member`, or the other way.
pub fn membership(role: &Ident, member: &Ident, is_granted: bool) -> String {
    let mut text = SqlText::new();
    text.sql(if is_granted { "GRANT " } else { "REVOKE " }).ident(role);
    text.sql(if is_granted { " TO " } else { " FROM " }).ident(member);
    text.finish()
}

pub fn schema(name: &Ident) -> String {
    let mut text = SqlText::new();
    text.sql("CREATE SCHEMA IF NOT EXISTS ").ident(name);
    text.finish()
}

pub fn extension(name: &Ident, schema: &Ident) -> String {
    let mut text = SqlText::new();
    text.sql("CREATE EXTENSION IF NOT EXISTS ").ident(name);
    text.sql(" WITH SCHEMA ").ident(schema);
    text.finish()
}

pub fn type_of(name: &QualifiedName, body: &TypeBody) -> String {
    let mut text = SqlText::new();
    match body {
        TypeBody::Enum(labels) => {
            text.sql("CREATE TYPE ").name(name).sql(" AS ENUM (");
            text.each(labels, |text, label| {
                text.literal(label);
            });
            text.sql(")");
        }
        TypeBody::Composite(attributes) => {
            text.sql("CREATE TYPE ").name(name).sql(" AS (");
            text.each(attributes, |text, (attribute, ty)| {
                text.ident(attribute).sql(" ").kept(ty);
            });
            text.sql(")");
        }
        TypeBody::Range(parts) => {
            text.sql("CREATE TYPE ")
                .name(name)
                .sql(" AS RANGE (")
                .kept(parts)
                .sql(")");
        }
        TypeBody::Domain {
            base,
            collation,
            not_null,
            default,
            checks,
        } => {
            text.sql("CREATE DOMAIN ").name(name).sql(" AS ").kept(base);
            if let Some(collation) = collation {
                text.sql(" COLLATE ").kept(collation);
            }
            if let Some(default) = default {
                text.sql(" DEFAULT ").kept(default);
            }
            if *not_null {
                text.sql(" NOT NULL");
            }
            for (name, check) in checks {
                text.sql(" CONSTRAINT ").ident(name).sql(" ").kept(check);
            }
        }
    }
    text.finish()
}

/// Bounds that PostgreSQL takes where none are written: for an ascending and a descending sequence.
fn standard_bounds(ty: &str, increment: i64) -> (i64, i64) {
    let (min, max) = match ty {
        "smallint" => (i16::MIN.into(), i16::MAX.into()),
        "integer" => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    };
    if increment > 0 { (1, max) } else { (min, -1) }
}

/// Options that differ from PostgreSQL's own, each with a blank before it. `with_type`: `AS …` is written too.
fn sequence_options(text: &mut SqlText, sequence: &SequenceDefinition, with_type: bool) {
    if with_type && sequence.ty != "bigint" {
        text.sql(" AS ").kept(&sequence.ty);
    }
    let (min, max) = standard_bounds(&sequence.ty, sequence.increment);
    if sequence.increment != 1 {
        text.sql(" INCREMENT BY ").number(sequence.increment);
    }
    if sequence.min != min {
        text.sql(" MINVALUE ").number(sequence.min);
    }
    if sequence.max != max {
        text.sql(" MAXVALUE ").number(sequence.max);
    }
    let first = if sequence.increment > 0 {
        sequence.min
    } else {
        sequence.max
    };
    if sequence.start != first {
        text.sql(" START WITH ").number(sequence.start);
    }
    if sequence.cache != 1 {
        text.sql(" CACHE ").number(sequence.cache);
    }
    if sequence.cycle {
        text.sql(" CYCLE");
    }
}

pub fn sequence(name: &QualifiedName, sequence: &SequenceDefinition) -> String {
    let mut text = SqlText::new();
    text.sql("CREATE SEQUENCE ").name(name);
    sequence_options(&mut text, sequence, true);
    text.finish()
}

/// `ALTER SEQUENCE` with every option, so that the sequence is as `to` says.
pub fn alter_sequence(name: &QualifiedName, from: &SequenceDefinition, to: &SequenceDefinition) -> Option<String> {
    let mut text = SqlText::new();
    text.sql("ALTER SEQUENCE ").name(name);
    let before = text.clone().finish();
    if from.ty != to.ty {
        text.sql(" AS ").kept(&to.ty);
    }
    if from.increment != to.increment {
        text.sql(" INCREMENT BY ").number(to.increment);
    }
    // A new type may bring new bounds with it.
    if from.min != to.min || from.ty != to.ty {
        text.sql(" MINVALUE ").number(to.min);
    }
    if from.max != to.max || from.ty != to.ty {
        text.sql(" MAXVALUE ").number(to.max);
    }
    if from.start != to.start {
        text.sql(" START WITH ").number(to.start);
    }
    // Where it stands is not known here; from a place outside its bounds it could not go on.
    let turns = (from.increment > 0) != (to.increment > 0);
    if turns || !(to.min..=to.max).contains(&from.start) {
        text.sql(" RESTART WITH ").number(to.start);
    }
    if from.cache != to.cache {
        text.sql(" CACHE ").number(to.cache);
    }
    if from.cycle != to.cycle {
        text.sql(if to.cycle { " CYCLE" } else { " NO CYCLE" });
    }
    let text = text.finish();
    (text != before).then_some(text)
}

pub fn owned_by(name: &QualifiedName, owner: Option<&(QualifiedName, Ident)>) -> String {
    let mut text = SqlText::new();
    text.sql("ALTER SEQUENCE ").name(name).sql(" OWNED BY ");
    match owner {
        Some((table, column)) => text.name(table).sql(".").ident(column),
        None => text.sql("NONE"),
    };
    text.finish()
}

/// The identity sequence of a column, if it is there.
pub fn identity_sequence<'d>(
    definitions: &'d Definitions,
    table: &QualifiedName,
    column: &Ident,
) -> Option<(&'d QualifiedName, &'d SequenceDefinition)> {
    definitions.sequences.iter().find(|(_, sequence)| {
        sequence.is_identity
            && sequence
                .owned_by
                .as_ref()
                .is_some_and(|(owner, owned)| owner == table && owned == column)
    })
}

/// `GENERATED … AS IDENTITY`, with its sequence's name and options where they are not PostgreSQL's own.
pub fn identity(
    text: &mut SqlText,
    definitions: &Definitions,
    table: &QualifiedName,
    column: &Ident,
    identity: Identity,
) {
    text.sql(match identity {
        Identity::Always => "GENERATED ALWAYS AS IDENTITY",
        Identity::ByDefault => "GENERATED BY DEFAULT AS IDENTITY",
    });
    let Some((name, sequence)) = identity_sequence(definitions, table, column) else {
        return;
    };
    let mut options = SqlText::new();
    if *name.name != crate::ddl::sequence_name(&table.name, column) || name.schema != table.schema {
        options.sql(" SEQUENCE NAME ").name(name);
    }
    sequence_options(&mut options, sequence, false);
    let options = options.finish();
    if let Some(options) = options.strip_prefix(' ') {
        text.sql(" (").kept(options).sql(")");
    }
}

/// A column as CREATE TABLE and ADD COLUMN write it.
pub fn column(text: &mut SqlText, definitions: &Definitions, table: &QualifiedName, column: &ColumnDefinition) {
    text.ident(&column.name).sql(" ").kept(&column.ty);
    if let Some(collation) = &column.collation {
        text.sql(" COLLATE ").kept(collation);
    }
    if let Some(default) = &column.default {
        text.sql(" DEFAULT ").kept(default);
    }
    if let Some(generated) = &column.generated {
        text.sql(" GENERATED ALWAYS AS (").kept(generated).sql(") STORED");
    }
    if let Some(kind) = column.identity {
        text.sql(" ");
        identity(text, definitions, table, &column.name, kind);
    }
    if column.not_null {
        text.sql(" NOT NULL");
    }
}

/// `CREATE TABLE` with its keys and checks; foreign keys come later.
pub fn table(definitions: &Definitions, name: &QualifiedName, table: &TableDefinition) -> String {
    let mut text = SqlText::new();
    text.sql(if table.is_unlogged {
        "CREATE UNLOGGED TABLE "
    } else {
        "CREATE TABLE "
    });
    text.name(name);
    let mut lines: Vec<String> = Vec::new();
    if let Some((parent, _)) = &table.partition_of {
        text.sql(" PARTITION OF ").name(parent);
    } else {
        for entry in &table.columns {
            let mut line = SqlText::new();
            column(&mut line, definitions, name, entry);
            lines.push(line.finish());
        }
    }
    let mut constraints: Vec<(&Ident, &ConstraintDefinition)> = table
        .constraints
        .iter()
        .filter(|(_, constraint)| !matches!(constraint.kind, ConstraintShape::ForeignKey(_)))
        .collect();
    // The key stands first, as people write it.
    constraints.sort_by_key(|(name, constraint)| (rank(&constraint.kind), (*name).clone()));
    for (name, constraint) in constraints {
        let mut line = SqlText::new();
        line.sql("CONSTRAINT ").ident(name).sql(" ").kept(&constraint.text);
        lines.push(line.finish());
    }
    if !lines.is_empty() || table.partition_of.is_none() {
        text.sql(" (");
        for (position, line) in lines.iter().enumerate() {
            text.sql(if position > 0 { ",\n    " } else { "\n    " }).kept(line);
        }
        text.sql("\n)");
    }
    if let Some((_, bounds)) = &table.partition_of {
        text.sql(" ").kept(bounds);
    }
    if let Some(by) = &table.partition_by {
        text.sql(" PARTITION BY ").kept(by);
    }
    text.finish()
}

fn rank(kind: &ConstraintShape) -> u8 {
    match kind {
        ConstraintShape::PrimaryKey(_) => 0,
        ConstraintShape::Unique => 1,
        ConstraintShape::Exclusion => 2,
        ConstraintShape::Check => 3,
        ConstraintShape::ForeignKey(_) => 4,
    }
}

/// `ALTER TABLE … `.
pub fn alter_table(name: &QualifiedName) -> SqlText {
    let mut text = SqlText::new();
    text.sql("ALTER TABLE ").name(name).sql(" ");
    text
}

pub fn add_constraint(table: &QualifiedName, name: &Ident, constraint: &ConstraintDefinition) -> String {
    let mut text = alter_table(table);
    text.sql("ADD CONSTRAINT ").ident(name).sql(" ").kept(&constraint.text);
    text.finish()
}

pub fn row_security(table: &QualifiedName, is_enabled: bool) -> String {
    let mut text = alter_table(table);
    text.sql(if is_enabled {
        "ENABLE ROW LEVEL SECURITY"
    } else {
        "DISABLE ROW LEVEL SECURITY"
    });
    text.finish()
}

pub fn row_security_forced(table: &QualifiedName, is_forced: bool) -> String {
    let mut text = alter_table(table);
    text.sql(if is_forced {
        "FORCE ROW LEVEL SECURITY"
    } else {
        "NO FORCE ROW LEVEL SECURITY"
    });
    text.finish()
}

pub fn replica_identity(table: &QualifiedName, is_full: bool) -> String {
    let mut text = alter_table(table);
    text.sql(if is_full {
        "REPLICA IDENTITY FULL"
    } else {
        "REPLICA IDENTITY DEFAULT"
    });
    text.finish()
}

pub fn policy(table: &QualifiedName, name: &Ident, policy: &PolicyDefinition) -> String {
    let mut text = SqlText::new();
    text.sql("CREATE POLICY ").ident(name).sql(" ON ").name(table);
    if !policy.permissive {
        text.sql(" AS RESTRICTIVE");
    }
    text.sql(match policy.command {
        PolicyCommand::All => "",
        PolicyCommand::Select => " FOR SELECT",
        PolicyCommand::Insert => " FOR INSERT",
        PolicyCommand::Update => " FOR UPDATE",
        PolicyCommand::Delete => " FOR DELETE",
    });
    if !policy.roles.contains(&None) && !policy.roles.is_empty() {
        text.sql(" TO ");
        text.each(policy.roles.iter().flatten(), |text, role| {
            text.ident(role);
        });
    }
    if let Some(using) = &policy.using {
        text.sql(" USING (").kept(using).sql(")");
    }
    if let Some(check) = &policy.check {
        text.sql(" WITH CHECK (").kept(check).sql(")");
    }
    text.finish()
}

/// How the trigger stands, where it is not plainly on.
pub fn trigger_mode(table: &QualifiedName, name: &Ident, mode: TriggerMode) -> String {
    let mut text = alter_table(table);
    text.sql(match mode {
        TriggerMode::Enabled => "ENABLE TRIGGER ",
        TriggerMode::Disabled => "DISABLE TRIGGER ",
        TriggerMode::Replica => "ENABLE REPLICA TRIGGER ",
        TriggerMode::Always => "ENABLE ALWAYS TRIGGER ",
    });
    text.ident(name);
    text.finish()
}

/// The trigger and how it stands.
pub fn trigger(table: &QualifiedName, name: &Ident, trigger: &TriggerDefinition) -> Vec<String> {
    let mut statements = vec![trigger.text.clone()];
    if trigger.mode != TriggerMode::Enabled {
        statements.push(trigger_mode(table, name, trigger.mode));
    }
    statements
}

/// `replace`: over a view that shows the same columns.
pub fn view(name: &QualifiedName, view: &ViewDefinition, replace: bool) -> String {
    let mut text = SqlText::new();
    text.sql(match (view.is_materialized, replace) {
        (true, _) => "CREATE MATERIALIZED VIEW ",
        (false, true) => "CREATE OR REPLACE VIEW ",
        (false, false) => "CREATE VIEW ",
    });
    text.name(name);
    // Names that the query gives by itself may be others after a rename.
    text.sql(" ").idents(view.columns.iter().map(|(name, _)| name));
    let mut options: Vec<&'static str> = Vec::new();
    if view.security_invoker {
        options.push("security_invoker=true");
    }
    if view.security_barrier {
        options.push("security_barrier=true");
    }
    if !options.is_empty() {
        text.sql(" WITH (");
        text.each(options, |text, option| {
            text.sql(option);
        });
        text.sql(")");
    }
    text.sql(" AS\n").kept(&view.query);
    match view.check_option {
        Some(CheckOption::Local) => text.sql("\n WITH LOCAL CHECK OPTION"),
        Some(CheckOption::Cascaded) => text.sql("\n WITH CASCADED CHECK OPTION"),
        None => &mut text,
    };
    if view.is_materialized {
        text.sql("\n WITH NO DATA");
    }
    text.finish()
}

pub fn refresh(name: &QualifiedName) -> String {
    let mut text = SqlText::new();
    text.sql("REFRESH MATERIALIZED VIEW ").name(name);
    text.finish()
}

/// `public.f(integer)`.
pub fn routine_signature(name: &RoutineName) -> String {
    let mut text = SqlText::new();
    text.name(&name.name).sql("(").kept(&name.arguments).sql(")");
    text.finish()
}

fn routine_word(routine: &RoutineDefinition) -> &'static str {
    if routine.is_procedure {
        "PROCEDURE "
    } else {
        "FUNCTION "
    }
}

pub fn publication(name: &Ident) -> String {
    let mut text = SqlText::new();
    text.sql("CREATE PUBLICATION ").ident(name);
    text.finish()
}

/// Adds tables to a publication, or takes them out.
pub fn publish<'a>(name: &Ident, tables: impl IntoIterator<Item = &'a QualifiedName>, is_added: bool) -> String {
    let mut text = SqlText::new();
    text.sql("ALTER PUBLICATION ").ident(name);
    text.sql(if is_added { " ADD TABLE " } else { " DROP TABLE " });
    text.each(tables, |text, table| {
        text.name(table);
    });
    text.finish()
}

/// What COMMENT, OWNER TO and DROP call an object.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    Role(&'a Ident),
    Schema(&'a Ident),
    Extension(&'a Ident),
    Type(&'a QualifiedName, &'a TypeBody),
    Sequence(&'a QualifiedName),
    Table(&'a QualifiedName),
    View(&'a QualifiedName, &'a ViewDefinition),
    Column(&'a QualifiedName, &'a Ident),
    Constraint(&'a QualifiedName, &'a Ident),
    Index(&'a QualifiedName, &'a Ident),
    Routine(&'a RoutineName, &'a RoutineDefinition),
    Trigger(&'a QualifiedName, &'a Ident),
    Policy(&'a QualifiedName, &'a Ident),
}

impl Target<'_> {
    fn write(self, text: &mut SqlText) {
        let index = |table: &QualifiedName, name: &Ident| QualifiedName::new(table.schema.clone(), name.clone());
        match self {
            Target::Role(name) => text.sql("ROLE ").ident(name),
            Target::Schema(name) => text.sql("SCHEMA ").ident(name),
            Target::Extension(name) => text.sql("EXTENSION ").ident(name),
            Target::Type(name, TypeBody::Domain { .. }) => text.sql("DOMAIN ").name(name),
            Target::Type(name, _) => text.sql("TYPE ").name(name),
            Target::Sequence(name) => text.sql("SEQUENCE ").name(name),
            Target::Table(name) => text.sql("TABLE ").name(name),
            Target::View(name, view) if view.is_materialized => text.sql("MATERIALIZED VIEW ").name(name),
            Target::View(name, _) => text.sql("VIEW ").name(name),
            Target::Column(table, name) => text.sql("COLUMN ").name(table).sql(".").ident(name),
            Target::Constraint(table, name) => text.sql("CONSTRAINT ").ident(name).sql(" ON ").name(table),
            Target::Index(table, name) => text.sql("INDEX ").name(&index(table, name)),
            Target::Routine(name, routine) => text.sql(routine_word(routine)).kept(&routine_signature(name)),
            Target::Trigger(table, name) => text.sql("TRIGGER ").ident(name).sql(" ON ").name(table),
            Target::Policy(table, name) => text.sql("POLICY ").ident(name).sql(" ON ").name(table),
        };
    }
}

pub fn comment(target: Target<'_>, comment: Option<&str>) -> String {
    let mut text = SqlText::new();
    text.sql("COMMENT ON ");
    target.write(&mut text);
    text.sql(" IS ");
    match comment {
        Some(comment) => text.literal(comment),
        None => text.sql("NULL"),
    };
    text.finish()
}

pub fn owner(target: Target<'_>, owner: &Ident) -> String {
    let mut text = SqlText::new();
    text.sql("ALTER ");
    target.write(&mut text);
    text.sql(" OWNER TO ").ident(owner);
    text.finish()
}

pub fn drop(target: Target<'_>) -> String {
    let mut text = SqlText::new();
    text.sql("DROP ");
    target.write(&mut text);
    text.finish()
}

/// `ALTER TABLE … DROP CONSTRAINT`.
pub fn drop_constraint(table: &QualifiedName, name: &Ident) -> String {
    let mut text = alter_table(table);
    text.sql("DROP CONSTRAINT ").ident(name);
    text.finish()
}

/// The statements that make one object, without rights, owner and comment.
pub fn node(definitions: &Definitions, node: &Node) -> Vec<String> {
    let one = |statement: Option<String>| statement.into_iter().collect();
    match node {
        Node::Schema(name) => vec![schema(name)],
        Node::Extension(name) => one(definitions.extensions.get(name).map(|schema| extension(name, schema))),
        Node::Type(name) => one(definitions.types.get(name).map(|entry| type_of(name, &entry.body))),
        Node::Sequence(name) => one(definitions
            .sequences
            .get(name)
            .filter(|entry| !entry.is_identity)
            .map(|entry| sequence(name, entry))),
        Node::Table(name) => one(definitions
            .tables
            .get(name)
            .map(|entry| table(definitions, name, entry))),
        Node::View(name) => one(definitions.views.get(name).map(|entry| view(name, entry, false))),
        Node::Routine(name) => one(definitions.routines.get(name).map(|entry| entry.text.clone())),
        Node::Index(of, name) => {
            let on_table = definitions.tables.get(of).and_then(|table| table.indexes.get(name));
            let on_view = definitions.views.get(of).and_then(|view| view.indexes.get(name));
            one(on_table.or(on_view).map(|entry| entry.text.clone()))
        }
        Node::ForeignKey(of, name) => one(definitions
            .tables
            .get(of)
            .and_then(|table| table.constraints.get(name))
            .map(|entry| add_constraint(of, name, entry))),
        Node::Trigger(of, name) => {
            let on_table = definitions.tables.get(of).and_then(|table| table.triggers.get(name));
            let on_view = definitions.views.get(of).and_then(|view| view.triggers.get(name));
            on_table
                .or(on_view)
                .map(|entry| trigger(of, name, entry))
                .unwrap_or_default()
        }
        Node::Policy(of, name) => one(definitions
            .tables
            .get(of)
            .and_then(|table| table.policies.get(name))
            .map(|entry| policy(of, name, entry))),
    }
}
