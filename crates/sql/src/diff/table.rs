//! Tables that stay: columns and constraints, one ALTER after the other.

use mainstay_core::catalog::Identity;
use mainstay_core::definition::{
    ColumnDefinition, ConstraintShape, Definitions, Facts, SequenceDefinition, TableDefinition,
};
use mainstay_core::name::{Ident, QualifiedName};

use super::{Run, names, names_column, types};
use crate::dump::create;

const LOSES: &str = "loses the column's values; a rename is not recognised";
const CASTS: &str = "rewrites the column; fails where a value has no cast";
const NULLS: &str = "fails where a row has no value";
const ROWS: &str = "fails where rows do not keep to it";

/// Columns of a table that others may not name while they change: those that go, or change their type or what they are
/// generated from.
pub fn touched(run: &Run<'_>, name: &QualifiedName, from: &TableDefinition, to: &TableDefinition) -> Vec<Ident> {
    let replaced = types::replaced(run.from, run.to);
    let mut found: Vec<Ident> = from
        .columns
        .iter()
        .filter(|column| match to.column(&column.name) {
            None => true,
            Some(other) => changes(column, other) || replaced.iter().any(|ty| names(&column.ty, ty)),
        })
        .map(|column| column.name.clone())
        .collect();
    // What is generated from a column changes with it.
    for column in &from.columns {
        let Some(text) = &column.generated else { continue };
        if found.iter().any(|other| names_column(text, other)) && !found.contains(&column.name) {
            found.push(column.name.clone());
        }
    }
    let _ = name;
    found
}

/// Columns of a table that are dropped and added again: what is generated anew. Keys, checks and indexes go with them.
pub fn remade(run: &Run<'_>, name: &QualifiedName) -> Vec<Ident> {
    let (Some(from), Some(to)) = (run.from.tables.get(name), run.to.tables.get(name)) else {
        return Vec::new();
    };
    let touched = touched(run, name, from, to);
    to.columns
        .iter()
        .filter(|column| column.generated.is_some() && touched.contains(&column.name))
        .map(|column| column.name.clone())
        .collect()
}

fn changes(from: &ColumnDefinition, to: &ColumnDefinition) -> bool {
    from.ty != to.ty || from.collation != to.collation || from.generated != to.generated
}

/// The column as it is by now.
pub fn column_mut<'s>(
    state: &'s mut Definitions,
    table: &QualifiedName,
    column: &Ident,
) -> Option<&'s mut ColumnDefinition> {
    let table = state.tables.get_mut(table)?;
    table.columns.iter_mut().find(|entry| entry.name == *column)
}

/// `ALTER TABLE … ALTER COLUMN … DROP DEFAULT`.
pub fn drop_default(table: &QualifiedName, column: &Ident) -> String {
    let mut text = create::alter_table(table);
    text.sql("ALTER COLUMN ").ident(column).sql(" DROP DEFAULT");
    text.finish()
}

/// `ALTER TABLE … ALTER COLUMN … DROP IDENTITY`.
pub fn drop_identity(table: &QualifiedName, column: &Ident) -> String {
    let mut text = create::alter_table(table);
    text.sql("ALTER COLUMN ").ident(column).sql(" DROP IDENTITY");
    text.finish()
}

fn set_default(table: &QualifiedName, column: &Ident, default: &str) -> String {
    let mut text = create::alter_table(table);
    text.sql("ALTER COLUMN ")
        .ident(column)
        .sql(" SET DEFAULT ")
        .kept(default);
    text.finish()
}

/// `ALTER TABLE … ALTER COLUMN … TYPE … USING …`.
pub fn set_type(table: &QualifiedName, column: &ColumnDefinition, through: Option<&str>) -> String {
    let mut text = create::alter_table(table);
    text.sql("ALTER COLUMN ")
        .ident(&column.name)
        .sql(" TYPE ")
        .kept(&column.ty);
    if let Some(collation) = &column.collation {
        text.sql(" COLLATE ").kept(collation);
    }
    text.sql(" USING ").ident(&column.name);
    if let Some(through) = through {
        text.sql("::").kept(through);
    }
    text.sql("::").kept(&column.ty);
    text.finish()
}

/// True if PostgreSQL has a cast from one type to the other; if not, the value's text must do.
fn is_castable(from: &str, to: &str) -> bool {
    let base = |ty: &str| ty.split('(').next().unwrap_or(ty).trim().to_owned();
    let family = |ty: &str| {
        [
            &["smallint", "integer", "bigint", "numeric", "real", "double precision"][..],
            &[
                "date",
                "timestamp",
                "timestamp without time zone",
                "timestamp with time zone",
            ],
            &["json", "jsonb"],
            &["integer", "boolean"],
        ]
        .iter()
        .enumerate()
        .filter(|(_, types)| types.contains(&base(ty).as_str()))
        .fold(0_u8, |found, (index, _)| found | 1 << index)
    };
    let is_text = |ty: &str| matches!(base(ty).as_str(), "text" | "character varying" | "character");
    base(from) == base(to) || is_text(from) || is_text(to) || family(from) & family(to) != 0
}

/// Makes the table, or makes the one that is there like it.
pub fn make(run: &mut Run<'_>, name: &QualifiedName, facts: Facts) {
    let Some(wanted) = run.to.tables.get(name) else { return };
    let Some(present) = run.state.tables.get(name).cloned() else {
        made(run, name, wanted, facts);
        return;
    };
    if present.is_unlogged != wanted.is_unlogged {
        let mut text = create::alter_table(name);
        text.sql(if wanted.is_unlogged {
            "SET UNLOGGED"
        } else {
            "SET LOGGED"
        });
        run.say(text.finish());
    }
    // A part of a partitioned table has its columns from there.
    if wanted.partition_of.is_none() {
        columns(run, name, &present, wanted);
    }
    for (constraint, entry) in &wanted.constraints {
        let there = run
            .state
            .tables
            .get(name)
            .is_some_and(|table| table.constraints.contains_key(constraint));
        if !there && !matches!(entry.kind, ConstraintShape::ForeignKey(_)) {
            run.warn(create::add_constraint(name, constraint, entry), ROWS);
            let mut entry = entry.clone();
            entry.comment = None;
            if let Some(table) = run.state.tables.get_mut(name) {
                table.constraints.insert(constraint.clone(), entry);
            }
        }
    }
}

/// Notes that the table is there, without what comes later.
fn made(run: &mut Run<'_>, name: &QualifiedName, wanted: &TableDefinition, facts: Facts) {
    let mut table = TableDefinition {
        columns: wanted.columns.clone(),
        constraints: wanted.constraints.clone(),
        is_unlogged: wanted.is_unlogged,
        partition_by: wanted.partition_by.clone(),
        partition_of: wanted.partition_of.clone(),
        ..TableDefinition::new(facts)
    };
    table.columns.iter_mut().for_each(|column| column.comment = None);
    table
        .constraints
        .retain(|_, constraint| !matches!(constraint.kind, ConstraintShape::ForeignKey(_)));
    table
        .constraints
        .values_mut()
        .for_each(|constraint| constraint.comment = None);
    run.state.tables.insert(name.clone(), table);
    for column in &wanted.columns {
        identity_made(run, name, &column.name);
    }
}

/// Notes the sequence that an identity column brought with it.
fn identity_made(run: &mut Run<'_>, table: &QualifiedName, column: &Ident) {
    let Some((name, sequence)) = create::identity_sequence(run.to, table, column) else {
        return;
    };
    let facts = run.new_facts(mainstay_core::definition::DefaultObject::Sequences, Some(&name.schema));
    let made = SequenceDefinition {
        facts,
        ..sequence.clone()
    };
    run.state.sequences.insert(name.clone(), made);
}

fn columns(run: &mut Run<'_>, name: &QualifiedName, present: &TableDefinition, wanted: &TableDefinition) {
    let remade = remade(run, name);
    let anew = |column: &ColumnDefinition| wanted.column(&column.name).is_none() || remade.contains(&column.name);
    let leaving: Vec<&ColumnDefinition> = present.columns.iter().filter(|column| anew(column)).collect();
    let additions: Vec<&ColumnDefinition> = wanted
        .columns
        .iter()
        .filter(|column| present.column(&column.name).is_none() || leaving.iter().any(|gone| gone.name == column.name))
        .collect();
    // A table's last column cannot go before another is there.
    let all_leave = leaving.len() == present.columns.len();
    if all_leave {
        for column in additions.iter().filter(|column| present.column(&column.name).is_none()) {
            add(run, name, column);
        }
    }
    // What is generated goes before what it is generated from.
    let mut order = leaving.clone();
    order.sort_by_key(|column| column.generated.is_none());
    for column in order {
        let mut text = create::alter_table(name);
        text.sql("DROP COLUMN ").ident(&column.name);
        if column.generated.is_some() {
            run.say(text.finish());
        } else {
            run.warn(text.finish(), LOSES);
        }
        run.forget_sequences(name, Some(&column.name));
        if let Some(table) = run.state.tables.get_mut(name) {
            table.columns.retain(|entry| entry.name != column.name);
            table
                .facts
                .rights
                .retain(|right| right.column.as_ref() != Some(&column.name));
        }
    }
    for column in &wanted.columns {
        if additions.iter().any(|entry| entry.name == column.name) {
            let is_there = run
                .state
                .tables
                .get(name)
                .is_some_and(|table| table.column(&column.name).is_some());
            // What is generated comes when all that it is generated from is there.
            if !is_there && column.generated.is_none() {
                add(run, name, column);
            }
        } else {
            alter(run, name, column);
        }
    }
    for column in additions.iter().filter(|column| column.generated.is_some()) {
        let is_there = run
            .state
            .tables
            .get(name)
            .is_some_and(|table| table.column(&column.name).is_some());
        if !is_there {
            add(run, name, column);
        }
    }
}

fn add(run: &mut Run<'_>, name: &QualifiedName, column: &ColumnDefinition) {
    let mut text = create::alter_table(name);
    text.sql("ADD COLUMN ");
    create::column(&mut text, run.to, name, column);
    let filled = column.default.is_some() || column.identity.is_some() || column.generated.is_some();
    if column.not_null && !filled {
        run.warn(
            text.finish(),
            "fails where the table has rows: they would have no value",
        );
    } else {
        run.say(text.finish());
    }
    let mut made = column.clone();
    made.comment = None;
    if let Some(table) = run.state.tables.get_mut(name) {
        table.columns.push(made);
    }
    identity_made(run, name, &column.name);
}

/// A column that is on both sides.
fn alter(run: &mut Run<'_>, name: &QualifiedName, wanted: &ColumnDefinition) {
    let Some(present) = column_mut(&mut run.state, name, &wanted.name).cloned() else {
        return;
    };
    let head = || {
        let mut text = create::alter_table(name);
        text.sql("ALTER COLUMN ").ident(&wanted.name);
        text
    };
    let mut default = present.default.clone();
    if present.identity.is_some() && wanted.identity.is_none() {
        run.say(drop_identity(name, &wanted.name));
        run.forget_sequences(name, Some(&wanted.name));
    }
    if present.generated.is_some() && wanted.generated.is_none() {
        let mut text = head();
        text.sql(" DROP EXPRESSION");
        run.say(text.finish());
    }
    if present.ty != wanted.ty || present.collation != wanted.collation {
        if default.is_some() {
            run.say(drop_default(name, &wanted.name));
            default = None;
        }
        let through = (!is_castable(&present.ty, &wanted.ty)).then_some("text");
        run.warn(set_type(name, wanted, through), CASTS);
        // The sequence behind an identity follows its column's type.
        let ty = wanted.ty.clone();
        if let Some((sequence, _)) = create::identity_sequence(&run.state, name, &wanted.name)
            && let Some((_, after)) = create::identity_sequence(run.to, name, &wanted.name)
        {
            let (sequence, after) = (sequence.clone(), after.clone());
            if let Some(entry) = run.state.sequences.get_mut(&sequence) {
                entry.ty = ty;
                entry.max = if after.ty == entry.ty { entry.max } else { after.max };
            }
        }
    }
    if default != wanted.default {
        match &wanted.default {
            Some(text) => run.say(set_default(name, &wanted.name, text)),
            None => run.say(drop_default(name, &wanted.name)),
        }
    }
    if !present.not_null && wanted.not_null {
        let mut text = head();
        text.sql(" SET NOT NULL");
        run.warn(text.finish(), NULLS);
    }
    if present.not_null && !wanted.not_null {
        let mut text = head();
        text.sql(" DROP NOT NULL");
        run.say(text.finish());
    }
    match (present.identity, wanted.identity) {
        (None, Some(kind)) => {
            let mut text = head();
            text.sql(" ADD ");
            create::identity(&mut text, run.to, name, &wanted.name, kind);
            run.say(text.finish());
            identity_made(run, name, &wanted.name);
        }
        (Some(before), Some(after)) if before != after => {
            let mut text = head();
            text.sql(match after {
                Identity::Always => " SET GENERATED ALWAYS",
                Identity::ByDefault => " SET GENERATED BY DEFAULT",
            });
            run.say(text.finish());
        }
        _ => {}
    }
    if let Some(column) = column_mut(&mut run.state, name, &wanted.name) {
        *column = ColumnDefinition {
            comment: present.comment,
            ..wanted.clone()
        };
    }
}
