//! SELECT in most of its forms.

use mainstay_core::types::Type;

use super::expression::{Care, Expressions, Named, is_comparable, mood};
use super::routines::{Gives, Routine};
use super::schema::Relation;
use super::surface::{self, Surface};
use crate::compare::Terms;
use crate::random::Random;
use crate::tree::Node;

/// Levels of an expression.
const DEPTH: usize = 3;

/// A query and what it leaves open.
pub struct Made {
    pub node: Node,
    pub terms: Terms,
}

/// Makes queries over the relations of a schema.
pub struct Queries<'a> {
    pub random: &'a mut Random,
    pub surface: &'a Surface,
    pub relations: &'a [Relation],
    /// Scalar subqueries and EXISTS may stand anywhere. Not for people with few rights: PostgreSQL drops what a constant
    /// makes needless, and its privileges with it.
    pub has_subqueries: bool,
    /// Functions that may be called.
    pub routines: &'a [Routine],
}

/// What stands behind FROM.
struct From {
    node: Node,
    scope: Vec<Named>,
    /// Columns that together are a key of the joined rows; empty if there may be none.
    key: Vec<String>,
}

impl Queries<'_> {
    /// Some query.
    pub fn query(&mut self) -> Made {
        match self.random.below(20) {
            0..=2 => self.constants(),
            3..=8 => self.plain(),
            9..=12 => self.grouped(),
            13 | 14 => self.windowed(),
            15 | 16 => self.combined(),
            17 => self.distinct(),
            18 => self.recursive(),
            _ => self.paged(),
        }
    }

    fn expressions(&mut self, scope: Vec<Named>, failing_max: usize) -> Expressions<'_> {
        let shown = if self.has_subqueries { self.relations } else { &[] };
        let relations = shown
            .iter()
            .map(|relation| (relation.name.clone(), relation.named("")))
            .collect();
        Expressions {
            relations,
            routines: self.routines,
            failing_max,
            ..Expressions::new(self.random, self.surface, scope)
        }
    }

    fn some_type(&mut self) -> Type {
        if self.random.chance(5) {
            return mood();
        }
        self.random.pick(&surface::types()).clone()
    }

    fn failing_max(&mut self) -> usize {
        *self.random.pick(&[0, 1, 1, 1, 4])
    }

    /// `SELECT` of expressions over nothing.
    fn constants(&mut self) -> Made {
        let mut items = Vec::new();
        let mut failing = 0;
        let failing_max = self.failing_max();
        for _ in 0..1 + self.random.below(3) {
            let ty = self.some_type();
            let mut made = self.expressions(Vec::new(), failing_max);
            made.relations.clear();
            items.push(made.value(&ty, DEPTH + 1, Care::MayFail));
            failing += made.failing;
        }
        Made {
            node: Node::Group(vec![Node::text("select "), Node::list(", ", 1, items)]),
            terms: Terms {
                is_ordered: true,
                may_fail_twice: failing > 1,
                ..Terms::default()
            },
        }
    }

    /// A table, a join, a subquery or a CTE.
    fn from(&mut self) -> From {
        let one = |queries: &mut Self, alias: &str| -> From {
            if !queries.routines.is_empty()
                && queries.random.chance(20)
                && let Some(from) = queries.rows_of_routine(alias)
            {
                return from;
            }
            let relation = queries.random.pick(queries.relations).clone();
            From {
                node: Node::text(format!("{} {alias}", relation.name)),
                scope: relation.named(alias),
                key: vec![format!("{alias}.id")],
            }
        };
        let left = one(self, "r");
        match self.random.below(10) {
            0..=5 => left,
            6 => {
                // A subquery with names of its own.
                let relation = self.random.pick(self.relations).clone();
                let condition = self.expressions(relation.named("i"), 0).condition(2);
                let list: Vec<String> = relation
                    .columns
                    .iter()
                    .enumerate()
                    .map(|(at, column)| format!("i.{} as k{at}", column.name))
                    .collect();
                From {
                    node: Node::Group(vec![
                        Node::text(format!("(select {} from {} i", list.join(", "), relation.name)),
                        Node::Group(vec![Node::text(" where "), condition]).optional(),
                        Node::text(") s"),
                    ]),
                    scope: relation
                        .columns
                        .iter()
                        .enumerate()
                        .map(|(at, column)| Named {
                            text: format!("s.k{at}"),
                            ty: column.ty.clone(),
                        })
                        .collect(),
                    key: vec!["s.k0".into()],
                }
            }
            _ => {
                let right = one(self, "o");
                let word = *self
                    .random
                    .pick(&[" join ", " left join ", " right join ", " full join ", " cross join "]);
                let scope: Vec<Named> = left.scope.iter().chain(&right.scope).cloned().collect();
                let mut parts = vec![left.node, Node::text(word), right.node];
                if word != " cross join " {
                    // FULL JOIN is for conditions that can be merged or hashed.
                    let pair = left.scope.iter().find_map(|l| {
                        let r = right.scope.iter().find(|r| r.ty == l.ty && is_comparable(&r.ty))?;
                        Some(format!("{} = {}", l.text, r.text))
                    });
                    let condition = match pair {
                        Some(pair) if word == " full join " || self.random.chance(70) => Node::text(pair),
                        None if word == " full join " => Node::text("false"),
                        _ => self.expressions(scope.clone(), 0).condition(2),
                    };
                    parts.extend([Node::text(" on "), condition]);
                }
                From {
                    node: Node::Group(parts),
                    scope,
                    key: [left.key, right.key].concat(),
                }
            }
        }
    }

    /// The rows of a function.
    fn rows_of_routine(&mut self, alias: &str) -> Option<From> {
        let all = self.routines;
        let fitting: Vec<(&Routine, &Vec<Named>)> = all
            .iter()
            .filter_map(|routine| match &routine.gives {
                Gives::Rows(columns) => Some((routine, columns)),
                Gives::Value(_) => None,
            })
            .collect();
        if fitting.is_empty() {
            return None;
        }
        let (routine, columns) = *self.random.pick(&fitting);
        let mut choices = self.random.fork();
        let mut made = self.expressions(Vec::new(), 0);
        made.relations.clear();
        let call = routine.call(&mut choices, |_, wanted| made.value(wanted, 1, Care::Total));
        let within = |column: &Named| format!("{alias}.{}", column.text);
        Some(From {
            node: Node::Group(vec![call, Node::text(format!(" {alias}"))]),
            scope: columns
                .iter()
                .map(|column| Named {
                    text: within(column),
                    ty: column.ty.clone(),
                })
                .collect(),
            key: columns.first().map(within).into_iter().collect(),
        })
    }

    fn filter(&mut self, scope: &[Named]) -> Node {
        if self.random.chance(40) {
            return Node::text("");
        }
        let condition = self.expressions(scope.to_vec(), 0).condition(DEPTH);
        Node::Group(vec![Node::text(" where "), condition]).optional()
    }

    /// Rows of a join with expressions.
    fn plain(&mut self) -> Made {
        let from = self.from();
        let filter = self.filter(&from.scope);
        let failing_max = self.failing_max();
        let mut failing = 0;
        let mut items = Vec::new();
        for _ in 0..1 + self.random.below(4) {
            let mut made = self.expressions(from.scope.clone(), failing_max - failing.min(failing_max));
            let ty = made.some_type();
            items.push(made.value(&ty, DEPTH, Care::MayFail));
            failing += made.failing;
        }
        let is_ordered = self.random.chance(40);
        let order = if is_ordered { self.order(&from) } else { Node::text("") };
        Made {
            node: Node::Group(vec![
                Node::text("select "),
                Node::list(", ", 1, items),
                Node::text(" from "),
                from.node,
                filter,
                order,
            ]),
            terms: Terms {
                is_ordered,
                may_fail_twice: failing > 1,
                ..Terms::default()
            },
        }
    }

    /// An ORDER BY that leaves nothing open.
    fn order(&mut self, from: &From) -> Node {
        let mut keys = Vec::new();
        for _ in 0..self.random.below(3) {
            let column = self.random.pick(&from.scope).clone();
            if is_comparable(&column.ty) {
                let tail = *self
                    .random
                    .pick(&["", " desc", " nulls first", " desc nulls last", " asc"]);
                keys.push(Node::text(format!("{}{tail}", column.text)));
            }
        }
        for key in &from.key {
            let tail = *self.random.pick(&["", " desc"]);
            keys.push(Node::text(format!("{key}{tail}")));
        }
        // The keys at the end must stay, or the order is open.
        Node::Group(vec![Node::text(" order by "), Node::list(", ", usize::MAX, keys)])
    }

    /// A page of a table.
    fn paged(&mut self) -> Made {
        let from = self.from();
        let filter = self.filter(&from.scope);
        let order = self.order(&from);
        let items: Vec<Node> = (0..1 + self.random.below(3))
            .map(|_| {
                let mut made = self.expressions(from.scope.clone(), 0);
                let ty = made.some_type();
                made.value(&ty, DEPTH - 1, Care::Total)
            })
            .collect();
        let page = *self.random.pick(&[
            " limit 2",
            " limit 3 offset 1",
            " offset 2",
            " limit 0",
            " limit null",
            " limit 1 offset 100",
            " fetch first 2 rows only",
            " limit all",
        ]);
        Made {
            node: Node::Group(vec![
                Node::text("select "),
                Node::list(", ", 1, items),
                Node::text(" from "),
                from.node,
                filter,
                order,
                Node::text(page).optional(),
            ]),
            terms: Terms {
                is_ordered: true,
                may_fail_twice: false,
                ..Terms::default()
            },
        }
    }

    fn grouped(&mut self) -> Made {
        let from = self.from();
        let filter = self.filter(&from.scope);
        let keys: Vec<Named> = (0..self.random.below(3))
            .filter_map(|_| {
                let column = self.random.pick(&from.scope).clone();
                is_comparable(&column.ty).then_some(column)
            })
            .collect();
        let mut items: Vec<Node> = Vec::new();
        for key in &keys {
            items.push(Node::text(key.text.clone()));
        }
        for _ in 0..1 + self.random.below(3) {
            let aggregate = self.aggregate(&from);
            items.push(aggregate);
        }
        let mut parts = vec![
            Node::text("select "),
            Node::list(", ", 1, items),
            Node::text(" from "),
            from.node,
            filter,
        ];
        if !keys.is_empty() {
            let list: Vec<&str> = keys.iter().map(|key| key.text.as_str()).collect();
            parts.push(Node::text(format!(" group by {}", list.join(", "))));
        }
        if self.random.chance(30) {
            let count = self.random.below(3);
            parts.push(Node::text(format!(" having count(*) > {count}")).optional());
        }
        Made {
            node: Node::Group(parts),
            terms: Terms {
                is_ordered: false,
                may_fail_twice: true,
                ..Terms::default()
            },
        }
    }

    /// An aggregate over the rows of `from`; where their order matters it is given.
    fn aggregate(&mut self, from: &From) -> Node {
        if self.random.chance(15) {
            return Node::text("count(*)");
        }
        loop {
            let ty = self.some_type();
            let rules = self.surface.aggregates_of(&ty);
            if rules.is_empty() {
                continue;
            }
            let rule = self.random.pick(rules).clone();
            let mut made = self.expressions(from.scope.clone(), 0);
            let arguments: Vec<Node> = rule
                .arguments
                .iter()
                .map(|wanted| {
                    // An aggregate over a subquery alone would belong to the outer query.
                    made.relations.clear();
                    made.value(wanted, 1, Care::Total)
                })
                .collect();
            if arguments.is_empty() {
                return Node::text("count(*)");
            }
            let mut parts = vec![Node::text(format!("{}(", rule.name))];
            let single = arguments.len() == 1 && is_comparable(&rule.arguments[0]);
            let is_distinct = single && self.random.chance(15);
            let needs_order = rule.name.contains("agg");
            if is_distinct && !needs_order {
                parts.push(Node::text("distinct ").optional());
            }
            for (at, argument) in arguments.into_iter().enumerate() {
                if at > 0 {
                    parts.push(Node::text(", "));
                }
                parts.push(argument);
            }
            if needs_order {
                parts.push(self.order(from));
            }
            parts.push(Node::text(")"));
            if self.random.chance(20) {
                let condition = self.expressions(from.scope.clone(), 0).condition(1);
                let filter = vec![Node::text(" filter (where "), condition, Node::text(")")];
                parts.push(Node::Group(filter).optional());
            }
            return Node::Group(parts);
        }
    }

    fn windowed(&mut self) -> Made {
        let from = self.from();
        let filter = self.filter(&from.scope);
        let mut items = vec![];
        for key in &from.key {
            items.push(Node::text(key.clone()));
        }
        for _ in 0..1 + self.random.below(2) {
            let ty = self.some_type();
            let is_aggregate = self.random.chance(50);
            let rules = if is_aggregate {
                self.surface.aggregates_of(&ty)
            } else {
                self.surface.windows_of(&ty)
            };
            if rules.is_empty() {
                continue;
            }
            let rule = self.random.pick(rules).clone();
            let mut parts = vec![Node::text(format!("{}(", rule.name))];
            for (at, wanted) in rule.arguments.iter().enumerate() {
                if at > 0 {
                    parts.push(Node::text(", "));
                }
                if *wanted == Type::Int4 && (at == 1 || rule.name == "ntile") {
                    let count = 1 + self.random.below(3);
                    parts.push(Node::text(count.to_string()));
                } else {
                    let mut made = self.expressions(from.scope.clone(), 0);
                    made.relations.clear();
                    parts.push(made.value(wanted, 1, Care::Total));
                }
            }
            parts.push(Node::text(") over ("));
            if self.random.chance(50) {
                let column = self.random.pick(&from.scope).clone();
                if is_comparable(&column.ty) {
                    parts.push(Node::text(format!("partition by {} ", column.text)).optional());
                }
            }
            parts.push(self.order(&from));
            let frame = *self.random.pick(&[
                "",
                "",
                "",
                " rows between 1 preceding and 1 following",
                " rows unbounded preceding",
                " groups between 1 preceding and current row",
                " range between unbounded preceding and current row",
                " rows between current row and unbounded following exclude current row",
                " rows between unbounded preceding and unbounded following exclude ties",
            ]);
            parts.push(Node::text(frame).optional());
            parts.push(Node::text(")"));
            items.push(Node::Group(parts));
        }
        Made {
            node: Node::Group(vec![
                Node::text("select "),
                Node::list(", ", 1, items),
                Node::text(" from "),
                from.node,
                filter,
            ]),
            terms: Terms {
                is_ordered: false,
                may_fail_twice: true,
                ..Terms::default()
            },
        }
    }

    fn combined(&mut self) -> Made {
        let types: Vec<Type> = (0..1 + self.random.below(2))
            .map(|_| {
                loop {
                    let ty = self.some_type();
                    if is_comparable(&ty) {
                        return ty;
                    }
                }
            })
            .collect();
        let mut parts = Vec::new();
        for at in 0..2 + self.random.below(2) {
            if at > 0 {
                let word = *self.random.pick(&[
                    " union ",
                    " union all ",
                    " intersect ",
                    " except ",
                    " intersect all ",
                    " except all ",
                ]);
                parts.push(Node::text(word));
            }
            let from = self.from();
            let filter = self.filter(&from.scope);
            let items: Vec<Node> = types
                .iter()
                .map(|ty| self.expressions(from.scope.clone(), 0).value(ty, 2, Care::Total))
                .collect();
            parts.extend([
                Node::text("(select "),
                Node::list(", ", usize::MAX, items),
                Node::text(" from "),
                from.node,
                filter,
                Node::text(")"),
            ]);
        }
        // The text of numbers that are equal (1 and 1.0) is open here.
        let node = Node::Group(parts);
        let node = if types.iter().all(has_one_text) {
            node
        } else {
            Node::Group(vec![Node::text("select count(*) from ("), node, Node::text(") u")])
        };
        Made {
            node,
            terms: Terms::default(),
        }
    }

    fn distinct(&mut self) -> Made {
        let from = self.from();
        let filter = self.filter(&from.scope);
        if self.random.chance(50) {
            let column = self.random.pick(&from.scope).clone();
            if is_comparable(&column.ty) {
                let order = self.order(&From {
                    node: Node::text(""),
                    scope: vec![column.clone()],
                    key: from.key.clone(),
                });
                let order = Node::text(format!(
                    " order by {}, {}",
                    column.text,
                    order.to_string().replacen(" order by ", "", 1)
                ));
                return Made {
                    node: Node::Group(vec![
                        Node::text(format!("select distinct on ({}) ", column.text)),
                        Node::list(", ", 1, from.key.iter().map(|key| Node::text(key.clone())).collect()),
                        Node::text(" from "),
                        from.node,
                        filter,
                        order,
                    ]),
                    terms: Terms {
                        is_ordered: true,
                        may_fail_twice: false,
                        ..Terms::default()
                    },
                };
            }
        }
        let mut items = Vec::new();
        for _ in 0..1 + self.random.below(2) {
            let mut made = self.expressions(from.scope.clone(), 0);
            let ty = made.comparable_type();
            if has_one_text(&ty) {
                items.push(made.value(&ty, 2, Care::Total));
            }
        }
        if items.is_empty() {
            items.push(Node::text("1"));
        }
        Made {
            node: Node::Group(vec![
                Node::text("select distinct "),
                Node::list(", ", 1, items),
                Node::text(" from "),
                from.node,
                filter,
            ]),
            terms: Terms::default(),
        }
    }

    fn recursive(&mut self) -> Made {
        let relation = self.random.pick(self.relations).clone();
        let condition = self.expressions(relation.named("b"), 0).condition(2);
        let most = 2 + self.random.below(4);
        let word = *self.random.pick(&["union all", "union"]);
        Made {
            node: Node::Group(vec![
                Node::text(format!(
                    "with recursive w(n, k) as (select 1, b.id::text from {} b",
                    relation.name
                )),
                Node::Group(vec![Node::text(" where "), condition]).optional(),
                Node::text(format!(
                    " {word} select n + 1, k || '.' || n from w where n < {most}) select n, k from w order by k, n"
                )),
            ]),
            terms: Terms {
                is_ordered: true,
                may_fail_twice: false,
                ..Terms::default()
            },
        }
    }
}

/// True for types whose equal values are written alike.
fn has_one_text(ty: &Type) -> bool {
    !matches!(
        ty,
        Type::Numeric | Type::Float4 | Type::Float8 | Type::Interval | Type::Jsonb | Type::Json
    )
}
