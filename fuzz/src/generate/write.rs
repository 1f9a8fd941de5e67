//! INSERT, UPDATE, DELETE, with conflicts and RETURNING.

use mainstay_core::types::Type;

use super::expression::{Care, Expressions, Named};
use super::routines::Routine;
use super::schema::{Column, Kind, Relation, Role};
use super::surface::Surface;
use crate::compare::Terms;
use crate::random::Random;
use crate::tree::Node;

/// Makes writes to the relations of a schema.
pub struct Writes<'a> {
    pub random: &'a mut Random,
    pub surface: &'a Surface,
    pub relations: &'a [Relation],
    /// Functions that values may call.
    pub routines: &'a [Routine],
}

/// A write and what it leaves open.
pub struct Made {
    pub node: Node,
    pub terms: Terms,
    pub returns: bool,
}

impl Writes<'_> {
    /// Some write.
    pub fn write(&mut self) -> Made {
        let targets: Vec<&Relation> = self
            .relations
            .iter()
            .filter(|relation| relation.kind != Kind::View)
            .collect();
        let relation = (*self.random.pick(&targets)).clone();
        match self.random.below(10) {
            0..=4 => self.insert(&relation),
            5..=7 => self.update(&relation),
            _ => self.delete(&relation),
        }
    }

    fn expressions(&mut self, scope: Vec<Named>, failing_max: usize) -> Expressions<'_> {
        Expressions {
            routines: self.routines,
            failing_max,
            ..Expressions::new(self.random, self.surface, scope)
        }
    }

    /// A small value for a key: some meet, some do not.
    fn key_value(&mut self, ty: &Type) -> Node {
        let number = self.random.between(1, 9);
        match ty {
            Type::Text => Node::text(format!("'k{number}'")),
            _ => Node::text(number.to_string()),
        }
    }

    fn value_for(&mut self, column: &Column, scope: Vec<Named>, failing: &mut usize, failing_max: usize) -> Node {
        if matches!(column.role, Role::Key | Role::Serial) {
            return if column.refers.is_some() && self.random.chance(40) {
                Node::text("null")
            } else {
                self.key_value(&column.ty)
            };
        }
        if self.random.chance(8) {
            return Node::text("default");
        }
        let mut made = self.expressions(scope, failing_max.saturating_sub(*failing));
        let node = made.value(&column.ty, 2, Care::MayFail);
        *failing += made.failing;
        match column.ty {
            // Without a negative zero, which is not kept (difference 13).
            Type::Float4 | Type::Float8 => Node::Group(vec![Node::text("("), node, Node::text(" + 0)")]),
            _ => node,
        }
    }

    /// Rows that a fresh table is filled with.
    pub fn fill(&mut self, relation: &Relation, rows: usize) -> Vec<Made> {
        (0..rows).map(|_| self.insert_values(relation, 1)).collect()
    }

    fn insert_values(&mut self, relation: &Relation, rows: usize) -> Made {
        let columns: Vec<Column> = relation
            .columns
            .iter()
            .filter(|column| !matches!(column.role, Role::Generated | Role::AlwaysIdentity))
            .filter(|column| match column.role {
                Role::Serial => self.random.chance(20),
                Role::Key => true,
                _ => self.random.chance(85),
            })
            .cloned()
            .collect();
        if columns.is_empty() {
            return Made {
                node: Node::text(format!("insert into {} default values", relation.name)),
                terms: Terms::default(),
                returns: false,
            };
        }
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let mut failing = 0;
        let rows = (0..rows)
            .map(|_| {
                let mut items = Vec::new();
                for column in &columns {
                    let item = self.value_for(column, Vec::new(), &mut failing, 1);
                    items.push(item);
                }
                Node::Group(vec![
                    Node::text("("),
                    Node::list(", ", usize::MAX, items),
                    Node::text(")"),
                ])
            })
            .collect();
        Made {
            node: Node::Group(vec![
                Node::text(format!("insert into {} ({}) values ", relation.name, names.join(", "))),
                Node::list(", ", 1, rows),
            ]),
            // Values, checks and keys can all refuse a row.
            terms: Terms {
                is_ordered: false,
                may_fail_twice: true,
                is_write: true,
                ..Terms::default()
            },
            returns: false,
        }
    }

    fn insert(&mut self, relation: &Relation) -> Made {
        let rows = *self.random.pick(&[1, 1, 1, 2, 3]);
        let mut made = self.insert_values(relation, rows);
        let mut parts = vec![made.node];
        if relation.kind == Kind::Table && self.random.chance(40) {
            let key = &relation.columns[relation.key[0]];
            if self.random.chance(40) {
                let target = *self.random.pick(&["", " (id)"]);
                parts.push(Node::text(format!(" on conflict{target} do nothing")));
            } else {
                let plain: Vec<Column> = relation
                    .columns
                    .iter()
                    .filter(|column| column.role == Role::Plain)
                    .cloned()
                    .collect();
                if !plain.is_empty() {
                    let column = self.random.pick(&plain).clone();
                    let mut scope = relation.named(&relation.name);
                    scope.extend(relation.named("excluded"));
                    let value = if self.random.chance(50) {
                        Node::text(format!("excluded.{}", column.name))
                    } else {
                        self.expressions(scope.clone(), 0).value(&column.ty, 2, Care::Total)
                    };
                    parts.extend([
                        Node::text(format!(" on conflict ({}) do update set {} = ", key.name, column.name)),
                        value,
                    ]);
                    if self.random.chance(30) {
                        let condition = self.expressions(scope, 0).condition(2);
                        parts.push(Node::Group(vec![Node::text(" where "), condition]).optional());
                    }
                }
            }
        }
        made.returns = self.returning(relation, &mut parts, &relation.name);
        made.node = Node::Group(parts);
        made
    }

    fn returning(&mut self, relation: &Relation, parts: &mut Vec<Node>, alias: &str) -> bool {
        if !self.random.chance(60) {
            return false;
        }
        if self.random.chance(40) {
            parts.push(Node::text(" returning *"));
            return true;
        }
        let items: Vec<Node> = (0..1 + self.random.below(2))
            .map(|_| {
                let mut made = self.expressions(relation.named(alias), 0);
                let ty = made.some_type();
                made.value(&ty, 2, Care::Total)
            })
            .collect();
        parts.extend([Node::text(" returning "), Node::list(", ", 1, items)]);
        true
    }

    fn update(&mut self, relation: &Relation) -> Made {
        let plain: Vec<Column> = relation
            .columns
            .iter()
            .filter(|column| column.role == Role::Plain)
            .cloned()
            .collect();
        let scope = relation.named(&relation.name);
        let mut failing = 0;
        let failing_max = self.random.below(2);
        let mut items = Vec::new();
        let mut chosen = plain;
        while chosen.len() > 3 {
            chosen.remove(self.random.below(chosen.len()));
        }
        for column in &chosen {
            let value = self.value_for(column, scope.clone(), &mut failing, failing_max);
            items.push(Node::Group(vec![Node::text(format!("{} = ", column.name)), value]));
        }
        let by_key = items.is_empty() || self.random.chance(30);
        if let (true, Some(parent)) = (by_key, relation.columns.iter().find(|column| column.role == Role::Key)) {
            // One row at a time: several that take each other's keys depend on the order.
            let value = self.key_value(&parent.ty);
            items.push(Node::Group(vec![Node::text(format!("{} = ", parent.name)), value]));
        }
        if items.is_empty() {
            return self.delete(relation);
        }
        let filter = if by_key {
            let key = &relation.columns[relation.key[0]];
            let value = self.key_value(&key.ty);
            Node::Group(vec![Node::text(format!(" where {} = ", key.name)), value])
        } else {
            let condition = self.expressions(scope, 0).condition(2);
            Node::Group(vec![Node::text(" where "), condition]).optional()
        };
        let mut parts = vec![
            Node::text(format!("update {} set ", relation.name)),
            Node::list(", ", 1, items),
            filter,
        ];
        let returns = self.returning(relation, &mut parts, &relation.name);
        Made {
            node: Node::Group(parts),
            terms: Terms {
                is_ordered: false,
                may_fail_twice: true,
                passes_keys_on: true,
                is_write: true,
            },
            returns,
        }
    }

    fn delete(&mut self, relation: &Relation) -> Made {
        let scope = relation.named(&relation.name);
        let condition = self.expressions(scope, 0).condition(2);
        let mut parts = vec![Node::text(format!("delete from {} where ", relation.name))];
        if self.random.chance(70) {
            let key = &relation.columns[relation.key[0]];
            let value = self.key_value(&key.ty);
            parts.push(Node::text(format!("{} = ", key.name)));
            parts.push(value);
            parts.push(Node::Group(vec![Node::text(" and "), condition]).optional());
        } else {
            parts.push(condition);
        }
        let returns = self.returning(relation, &mut parts, &relation.name);
        Made {
            node: Node::Group(parts),
            terms: Terms {
                is_ordered: false,
                may_fail_twice: true,
                is_write: true,
                ..Terms::default()
            },
            returns,
        }
    }
}
