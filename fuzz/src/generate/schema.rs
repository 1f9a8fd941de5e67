//! Tables, views and their grants: what the statements of one case work on.
//!
//! Not here: the rows (`write`) and queries (`query`).

use mainstay_core::types::Type;

use super::expression::{Care, Expressions, Named, mood};
use super::routines::Routine;
use super::surface::{self, Surface};
use super::values;
use crate::random::Random;
use crate::tree::Node;

/// A table or view as statements see it.
#[derive(Clone, Debug)]
pub struct Relation {
    /// As it is written.
    pub name: String,
    pub columns: Vec<Column>,
    /// The columns of its primary key, which is small: conflicts are wanted.
    pub key: Vec<usize>,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Table,
    View,
    /// A view that can be written to.
    WritableView,
}

#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    pub ty: Type,
    pub role: Role,
    /// The column of another table that it refers to, and must be a value of.
    pub refers: Option<String>,
}

/// What a write may do with a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Plain,
    /// Part of a key: written with small literals only.
    Key,
    /// Takes its values from a sequence.
    Serial,
    AlwaysIdentity,
    Generated,
}

/// The relations of a case and the statements that make them.
pub struct Schema {
    pub statements: Vec<Node>,
    pub relations: Vec<Relation>,
    pub routines: Vec<Routine>,
    /// Triggers tell a table what they saw.
    pub has_log: bool,
    /// Domains with the types that they are over.
    domains: Vec<(&'static str, Type)>,
}

impl Relation {
    pub fn named(&self, prefix: &str) -> Vec<Named> {
        let columns = self.columns.iter();
        columns
            .map(|column| Named {
                text: if prefix.is_empty() {
                    column.name.clone()
                } else {
                    format!("{prefix}.{}", column.name)
                },
                ty: column.ty.clone(),
            })
            .collect()
    }

    pub fn has_sequence(&self) -> bool {
        self.columns
            .iter()
            .any(|column| matches!(column.role, Role::Serial | Role::AlwaysIdentity))
    }
}

/// Names that need care: quotes, capitals, key words.
const COLUMN_NAMES: &[&str] = &[
    "a",
    "b",
    "c",
    "\"Mixed\"",
    "\"two words\"",
    "\"select\"",
    "name",
    "value",
    "\"q\"\"uote\"",
    "note",
    "at",
    "\"é\"",
    "kind",
    "data",
    "x1",
    "y",
    "\"order\"",
    "z",
];

/// Domains that columns may have, the types below them, and how they are declared.
const DOMAINS: &[(&str, Type, &str)] = &[
    ("short", Type::Text, "text check (length(value) < 8)"),
    ("positive", Type::Int4, "integer check (value > 0)"),
    ("given", Type::Text, "text not null default 'given'"),
    (
        "price",
        Type::Numeric,
        "numeric(8,2) check (value >= 0) check (value <> 7)",
    ),
    (
        "old_day",
        Type::Date,
        "date constraint old check (value < '2030-01-01')",
    ),
    ("tags", Type::Jsonb, "jsonb check (jsonb_typeof(value) <> 'number')"),
    ("tiny", Type::Int4, "positive check (value < 100)"),
];

/// The type below a domain of this name.
pub fn base_of(name: &str) -> Option<&'static Type> {
    DOMAINS
        .iter()
        .find(|(domain, ..)| *domain == name)
        .map(|(_, base, _)| base)
}

/// Makes a schema, with domains if `is_wide`.
pub fn schema(random: &mut Random, surface: &Surface, is_wide: bool) -> Schema {
    let labels: Vec<String> = values::LABELS
        .iter()
        .map(|label| format!("'{}'", label.replace('\'', "''")))
        .collect();
    let mut schema = Schema {
        statements: vec![Node::text(format!("create type mood as enum ({})", labels.join(", ")))],
        relations: Vec::new(),
        routines: Vec::new(),
        has_log: false,
        domains: Vec::new(),
    };
    if is_wide {
        for (name, base, definition) in DOMAINS {
            schema
                .statements
                .push(Node::text(format!("create domain {name} as {definition}")));
            schema.domains.push((name, base.clone()));
        }
    }
    for number in 0..2 + random.below(3) {
        table(random, surface, &mut schema, number);
    }
    for number in 0..random.below(3) {
        view(random, surface, &mut schema, number);
    }
    schema
}

/// Types that columns have, those that programs use most several times.
fn column_types() -> Vec<Type> {
    let mut types: Vec<Type> = surface::types()
        .into_iter()
        .filter(|ty| !matches!(ty, Type::Interval | Type::Array(_)))
        .collect();
    types.extend([
        Type::Text,
        Type::Int4,
        Type::Int8,
        Type::Bool,
        Type::Numeric,
        Type::Timestamptz,
        Type::Jsonb,
    ]);
    types.push(mood());
    types
}

fn table(random: &mut Random, surface: &Surface, schema: &mut Schema, number: usize) {
    let name = format!("t{number}");
    let mut columns = Vec::new();
    let mut items = Vec::new();
    // The key.
    let (ty, role, declared) = match random.below(6) {
        0 => (Type::Int4, Role::Serial, "id serial primary key"),
        1 => (
            Type::Int8,
            Role::Serial,
            "id bigint generated by default as identity primary key",
        ),
        2 => (
            Type::Int4,
            Role::AlwaysIdentity,
            "id integer generated always as identity primary key",
        ),
        3 => (Type::Text, Role::Key, "id text primary key"),
        _ => (Type::Int4, Role::Key, "id integer primary key"),
    };
    columns.push(Column {
        name: "id".into(),
        ty,
        role,
        refers: None,
    });
    items.push(Node::text(declared));
    // What follows may be left out when a failing case is made smaller.
    let mut names: Vec<&str> = COLUMN_NAMES.to_vec();
    let types = column_types();
    for _ in 0..3 + random.below(5) {
        let name = names.remove(random.below(names.len()));
        let ty = random.pick(&types).clone();
        let (declared, column) = plain_column(random, surface, (name, ty, &schema.domains), &columns);
        items.push(declared);
        columns.push(column);
    }
    reference(random, schema, &mut items, &mut columns);
    constraints(random, surface, &name, &mut items, &columns);
    let table = Node::Group(vec![
        Node::text(format!("create table {name} (")),
        Node::list(", ", 1, items),
        Node::text(")"),
    ]);
    schema.statements.push(table);
    indexes(random, surface, &name, schema, &columns);
    schema.relations.push(Relation {
        name,
        columns,
        key: vec![0],
        kind: Kind::Table,
    });
}

fn plain_column(
    random: &mut Random,
    surface: &Surface,
    (name, ty, domains): (&str, Type, &[(&str, Type)]),
    before: &[Column],
) -> (Node, Column) {
    let fitting: Vec<&str> = domains
        .iter()
        .filter(|(_, base)| *base == ty)
        .map(|(domain, _)| *domain)
        .collect();
    let declared = match ty {
        _ if !fitting.is_empty() && random.chance(50) => (*random.pick(&fitting)).to_owned(),
        Type::Varchar => format!("varchar({})", random.pick(&[3, 5, 20])),
        Type::Numeric if random.chance(60) => {
            (*random.pick(&["numeric(10,2)", "numeric(5,0)", "numeric(20,6)", "numeric(3,3)"])).to_owned()
        }
        Type::Timestamptz | Type::Timestamp | Type::Time if random.chance(20) => {
            let spelled = ty.to_string();
            let (head, tail) = spelled.split_once(' ').unwrap_or((&spelled, ""));
            format!("{head}({}) {tail}", random.below(4))
        }
        _ => ty.to_string(),
    };
    let mut parts = vec![Node::text(format!("{name} {declared}"))];
    let mut role = Role::Plain;
    if random.chance(15) && !before.is_empty() {
        let scope = before.iter().filter(|column| column.role != Role::Generated);
        let scope = scope
            .map(|column| Named {
                text: column.name.clone(),
                ty: column.ty.clone(),
            })
            .collect();
        let Some(made) = Expressions::new(random, surface, scope).of_columns(&ty) else {
            let column = Column {
                name: name.to_owned(),
                ty,
                role,
                refers: None,
            };
            return (Node::Group(parts), column);
        };
        parts.extend([Node::text(" generated always as ("), made, Node::text(") stored")]);
        role = Role::Generated;
    } else {
        if random.chance(30) {
            let default = Expressions::new(random, surface, Vec::new()).value(&ty, 1, Care::Total);
            parts.push(Node::Group(vec![Node::text(" default ("), default, Node::text(")")]).optional());
        }
        if random.chance(15) {
            parts.push(Node::text(" not null").optional());
        }
    }
    let column = Column {
        name: name.to_owned(),
        ty,
        role,
        refers: None,
    };
    (Node::Group(parts), column)
}

fn reference(random: &mut Random, schema: &Schema, items: &mut Vec<Node>, columns: &mut Vec<Column>) {
    if schema.relations.is_empty() || !random.chance(60) {
        return;
    }
    let parent = random.pick(&schema.relations);
    let ty = parent.columns[0].ty.clone();
    let delete = *random.pick(&["", " on delete cascade", " on delete set null", " on delete restrict"]);
    let update = *random.pick(&["", " on update cascade", " on update set null"]);
    let defer = *random.pick(&["", "", " deferrable initially deferred"]);
    items.push(Node::text(format!(
        "parent {ty} references {}(id){delete}{update}{defer}",
        parent.name
    )));
    columns.push(Column {
        name: "parent".into(),
        ty,
        role: Role::Key,
        refers: Some(parent.name.clone()),
    });
}

fn constraints(random: &mut Random, surface: &Surface, table: &str, items: &mut Vec<Node>, columns: &[Column]) {
    if random.chance(30) {
        let scope = columns
            .iter()
            .map(|column| Named {
                text: column.name.clone(),
                ty: column.ty.clone(),
            })
            .collect();
        let condition = Expressions::new(random, surface, scope).condition(2);
        items.push(Node::Group(vec![
            Node::text(format!("constraint {table}_rule check (")),
            condition,
            Node::text(")"),
        ]));
    }
    let comparable: Vec<&Column> = columns[1..]
        .iter()
        .filter(|column| column.ty != Type::Json && column.role == Role::Plain)
        .collect();
    if random.chance(20) && !comparable.is_empty() {
        let first = random.pick(&comparable).name.clone();
        items.push(Node::text(format!("unique ({first})")));
    }
}

fn indexes(random: &mut Random, surface: &Surface, table: &str, schema: &mut Schema, columns: &[Column]) {
    for number in 0..random.below(3) {
        let comparable: Vec<&Column> = columns.iter().filter(|column| column.ty != Type::Json).collect();
        let first = random.pick(&comparable).name.clone();
        let order = *random.pick(&["", " desc", " nulls first", " desc nulls last"]);
        let key = match random.below(4) {
            0 if columns.iter().any(|column| column.ty == Type::Text) => {
                let text = columns.iter().find(|column| column.ty == Type::Text);
                format!("lower({})", text.map_or("id", |column| &column.name))
            }
            _ => format!("{first}{order}"),
        };
        let mut parts = vec![Node::text(format!("create index {table}_i{number} on {table} ({key})"))];
        if random.chance(30) {
            let scope = columns.iter().map(|column| Named {
                text: column.name.clone(),
                ty: column.ty.clone(),
            });
            let scope = scope.collect();
            let condition = Expressions::new(random, surface, scope).condition(1);
            parts.push(Node::Group(vec![Node::text(" where "), condition]).optional());
        }
        schema.statements.push(Node::Group(parts));
    }
}

fn view(random: &mut Random, surface: &Surface, schema: &mut Schema, number: usize) {
    let tables: Vec<Relation> = schema
        .relations
        .iter()
        .filter(|relation| relation.kind == Kind::Table)
        .cloned()
        .collect();
    let base = random.pick(&tables).clone();
    let name = format!("v{number}");
    let invoker = *random.pick(&["", "", " with (security_invoker = true)"]);
    if random.chance(50) {
        // One that can be written: plain columns of one table.
        let keep: Vec<Column> = base
            .columns
            .iter()
            .enumerate()
            .filter(|(at, _)| *at == 0 || random.chance(70))
            .map(|(_, column)| column.clone())
            .collect();
        let list: Vec<&str> = keep.iter().map(|column| column.name.as_str()).collect();
        let mut parts = vec![Node::text(format!(
            "create view {name}{invoker} as select {} from {}",
            list.join(", "),
            base.name
        ))];
        if random.chance(50) {
            let condition = Expressions::new(random, surface, base.named("")).condition(1);
            parts.push(Node::Group(vec![Node::text(" where "), condition]).optional());
        }
        if random.chance(30) {
            parts.push(Node::text(*random.pick(&[" with check option", " with local check option"])).optional());
        }
        schema.statements.push(Node::Group(parts));
        schema.relations.push(Relation {
            name,
            columns: keep,
            key: vec![0],
            kind: Kind::WritableView,
        });
        return;
    }
    let mut items = vec![Node::text("b.id")];
    let mut columns = vec![base.columns[0].clone()];
    for at in 0..1 + random.below(3) {
        let mut made = Expressions::new(random, surface, base.named("b"));
        let ty = made.some_type();
        let value = made.value(&ty, 2, Care::Total);
        items.push(Node::Group(vec![value, Node::text(format!(" as c{at}"))]));
        columns.push(Column {
            name: format!("c{at}"),
            ty,
            role: Role::Plain,
            refers: None,
        });
    }
    let condition = Expressions::new(random, surface, base.named("b")).condition(1);
    schema.statements.push(Node::Group(vec![
        Node::text(format!("create view {name}{invoker} as select ")),
        Node::list(", ", 1, items),
        Node::text(format!(" from {} b", base.name)),
        Node::Group(vec![Node::text(" where "), condition]).optional(),
    ]));
    schema.relations.push(Relation {
        name,
        columns,
        key: vec![0],
        kind: Kind::View,
    });
}
