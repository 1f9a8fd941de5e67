//! Functions in SQL and PL/pgSQL, and triggers.
//!
//! Not here: where they are called (`expression`, `query`).
//! Invariant: a function that expressions call gives a value or null for every argument, and changes nothing; what a
//! trigger does to a row does not depend on which rows went before it.

use mainstay_core::types::Type;

use super::expression::{Care, Expressions, Named, is_comparable, mood};
use super::schema::{Column, Kind, Relation, Role, Schema};
use super::surface::{self, Surface};
use super::values;
use crate::random::Random;
use crate::tree::Node;

/// Where triggers write what they saw.
pub const LOG: &str = "log";

/// A function that expressions or FROM may call.
#[derive(Clone, Debug)]
pub struct Routine {
    pub name: String,
    /// Names, types, and whether there is a default.
    pub arguments: Vec<(String, Type, bool)>,
    pub gives: Gives,
    /// It looks at tables under the rights of whoever calls.
    pub reads: bool,
}

#[derive(Clone, Debug)]
pub enum Gives {
    Value(Type),
    /// Rows with these columns, of which the first is a key.
    Rows(Vec<Named>),
}

impl Routine {
    /// The call with its arguments, which `value` makes; defaults may be left to the function.
    pub fn call(&self, random: &mut Random, mut value: impl FnMut(&mut Random, &Type) -> Node) -> Node {
        let is_named = random.chance(15);
        let mut parts = vec![Node::text(format!("{}(", self.name))];
        for (given, (name, ty, has_default)) in self.arguments.iter().enumerate() {
            if *has_default && random.chance(40) {
                break;
            }
            let value = value(random, ty);
            let label = if is_named { format!("{name} => ") } else { String::new() };
            parts.push(Node::text(if given > 0 { format!(", {label}") } else { label }));
            // A literal's type does not choose the function: there is one of each name.
            parts.push(value);
        }
        parts.push(Node::text(")"));
        Node::Group(parts)
    }
}

/// Adds functions and triggers to a schema.
pub fn routines(random: &mut Random, surface: &Surface, schema: &mut Schema) {
    for number in 0..1 + random.below(4) {
        let made = match random.below(6) {
            0 | 1 => Body::new(random, surface, number).sql_value(),
            2 | 3 => Body::new(random, surface, number).plpgsql_value(schema),
            4 => Body::new(random, surface, number).sql_rows(schema),
            _ => Body::new(random, surface, number).plpgsql_rows(schema),
        };
        let (statement, routine) = made;
        schema.statements.push(statement);
        schema.routines.push(routine);
    }
    if !random.chance(70) {
        return;
    }
    schema.statements.push(Node::text(format!(
        "create table {LOG} (what text, who text, told text)"
    )));
    schema.has_log = true;
    let tables: Vec<Relation> = schema.relations.clone();
    for number in 0..1 + random.below(3) {
        let table = random.pick(&tables).clone();
        if table.kind == Kind::Table {
            triggers(random, surface, schema, &table, number);
        }
    }
}

/// The parts of one function that are known so far.
struct Body<'a> {
    random: &'a mut Random,
    surface: &'a Surface,
    name: String,
    arguments: Vec<(String, Type, bool)>,
    /// What expressions may name.
    scope: Vec<Named>,
    /// Variables that may be assigned.
    variables: Vec<Named>,
    /// Tables that queries may look at.
    tables: Vec<Relation>,
    /// Blocks around the place.
    depth: usize,
    loops: usize,
}

impl<'a> Body<'a> {
    fn new(random: &'a mut Random, surface: &'a Surface, number: usize) -> Self {
        let mut body = Body {
            random,
            surface,
            name: format!("f{number}"),
            arguments: Vec::new(),
            scope: Vec::new(),
            variables: Vec::new(),
            tables: Vec::new(),
            depth: 0,
            loops: 0,
        };
        let mut has_default = false;
        for at in 0..body.random.below(4) {
            let ty = body.plain_type();
            has_default = has_default || body.random.chance(15);
            let name = format!("a{at}");
            body.scope.push(Named {
                text: name.clone(),
                ty: ty.clone(),
            });
            body.arguments.push((name, ty, has_default));
        }
        body
    }

    fn plain_type(&mut self) -> Type {
        if self.random.chance(8) {
            return mood();
        }
        let types = [
            Type::Text,
            Type::Int4,
            Type::Int8,
            Type::Bool,
            Type::Numeric,
            Type::Timestamptz,
            Type::Jsonb,
        ];
        match self.random.chance(60) {
            true => self.random.pick(&types).clone(),
            false => self.random.pick(&surface::types()).clone(),
        }
    }

    fn expressions(&mut self) -> Expressions<'_> {
        let scope = self.scope.clone();
        self.expressions_over(scope)
    }

    fn expressions_over(&mut self, scope: Vec<Named>) -> Expressions<'_> {
        Expressions::new(self.random, self.surface, scope)
    }

    fn value(&mut self, ty: &Type, depth: usize) -> Node {
        self.expressions().value(ty, depth, Care::Total)
    }

    fn condition(&mut self, depth: usize) -> Node {
        self.expressions().condition(depth)
    }

    /// `create function NAME(ARGUMENTS) returns RESULT language L …`.
    fn head(&mut self, result: &str, language: &str, may_be_strict: bool) -> Vec<Node> {
        let mut parts = vec![Node::text(format!("create function {}(", self.name))];
        for (at, (name, ty, has_default)) in self.arguments.clone().into_iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            parts.push(Node::text(format!("{comma}{name} {ty}")));
            if has_default {
                let text = values::literal(self.random, &ty).unwrap_or_else(|| "null".into());
                parts.push(Node::text(format!(" default {text}")));
            }
        }
        parts.push(Node::text(format!(") returns {result} language {language}")));
        let volatility = *self.random.pick(&["", " stable", " immutable"]);
        // What looks at a table is not immutable.
        if self.tables.is_empty() || volatility != " immutable" {
            parts.push(Node::text(volatility).optional());
        }
        if may_be_strict && self.random.chance(20) {
            parts.push(Node::text(" strict").optional());
        }
        parts
    }

    fn routine(self, gives: Gives) -> Routine {
        Routine {
            name: self.name,
            arguments: self.arguments,
            gives,
            reads: !self.tables.is_empty(),
        }
    }

    /// An expression as a function, in one of the three spellings.
    fn sql_value(mut self) -> (Node, Routine) {
        let ty = self.plain_type();
        let value = self.value(&ty, 3);
        let mut parts = self.head(&ty.to_string(), "sql", true);
        let (before, after) = *self.random.pick(&[
            (" as $$ select ", " $$"),
            (" as $$ select ", " $$"),
            (" return ", ""),
            (" begin atomic select ", "; end"),
        ]);
        parts.extend([Node::text(before), value, Node::text(after)]);
        (Node::Group(parts), self.routine(Gives::Value(ty)))
    }

    /// The rows of a table that a condition over the arguments finds.
    fn sql_rows(mut self, schema: &Schema) -> (Node, Routine) {
        let relation = self.table(schema);
        self.tables = vec![relation.clone()];
        let scope = [self.scope.clone(), relation.named("q")].concat();
        let condition = self.expressions_over(scope).condition(2);
        let is_table = self.random.chance(40);
        let (result, list, columns) = rows_of(&relation, is_table);
        let mut parts = self.head(&result, "sql", true);
        parts.extend([
            Node::text(format!(" as $$ select {list} from {} q", relation.name)),
            Node::Group(vec![Node::text(" where "), condition]).optional(),
            Node::text(" $$"),
        ]);
        (Node::Group(parts), self.routine(Gives::Rows(columns)))
    }

    fn table(&mut self, schema: &Schema) -> Relation {
        let tables: Vec<&Relation> = schema
            .relations
            .iter()
            .filter(|relation| relation.kind == Kind::Table)
            .collect();
        (*self.random.pick(&tables)).clone()
    }

    fn plpgsql_value(mut self, schema: &Schema) -> (Node, Routine) {
        let reads = self.random.chance(40);
        if reads {
            self.tables = vec![self.table(schema)];
        }
        let ty = self.plain_type();
        let declared = self.declare();
        let body = self.statements(3, &End::Value(ty.clone()));
        let value = self.value(&ty, 2);
        let mut parts = self.head(&ty.to_string(), "plpgsql", true);
        parts.extend([Node::text(" as $$ "), declared, Node::text("begin "), body]);
        parts.extend([Node::text("return "), value, Node::text("; end $$")]);
        (Node::Group(parts), self.routine(Gives::Value(ty)))
    }

    /// RETURN QUERY, or a loop with RETURN NEXT.
    fn plpgsql_rows(mut self, schema: &Schema) -> (Node, Routine) {
        let relation = self.table(schema);
        self.tables = vec![relation.clone()];
        let declared = self.declare();
        let begin = self.statements(1, &End::None);
        let scope = [self.scope.clone(), relation.named("q")].concat();
        let condition = self.expressions_over(scope).condition(2);
        let (_, list, columns) = rows_of(&relation, false);
        let mut parts = self.head(&format!("setof {}", relation.name), "plpgsql", true);
        parts.extend([Node::text(" as $$ "), declared]);
        if self.random.chance(50) {
            parts.extend([
                Node::text("begin "),
                begin,
                Node::text(format!("return query select {list} from {} q where ", relation.name)),
                condition,
                Node::text("; end $$"),
            ]);
        } else {
            let skip = self.condition(1);
            parts.extend([
                Node::text(format!("rec {}; begin ", relation.name)),
                begin,
                Node::text(format!("for rec in select {list} from {} q where ", relation.name)),
                condition,
                Node::text(" order by q.id loop "),
                Node::Group(vec![Node::text("continue when "), skip, Node::text("; ")]).optional(),
                Node::text("return next rec; end loop; return; end $$"),
            ]);
        }
        (Node::Group(parts), self.routine(Gives::Rows(columns)))
    }

    /// Variables with first values, and a counter.
    fn declare(&mut self) -> Node {
        let mut parts = vec![Node::text(
            "declare n int := 0; w0 int; w1 int; w2 int; w3 int; found_one record; ",
        )];
        let mut variables = Vec::new();
        for at in 0..1 + self.random.below(3) {
            let ty = self.plain_type();
            let name = format!("v{at}");
            parts.push(Node::text(format!("{name} {ty}")));
            if self.random.chance(70) {
                let value = self.value(&ty, 2);
                parts.push(Node::Group(vec![Node::text(" := "), value]).optional());
            }
            parts.push(Node::text("; "));
            variables.push(Named { text: name, ty });
        }
        self.scope.extend(variables.iter().cloned());
        self.scope.push(Named {
            text: "n".into(),
            ty: Type::Int4,
        });
        self.variables.extend(variables);
        Node::Group(parts)
    }

    fn statements(&mut self, most: usize, end: &End) -> Node {
        let items = (0..1 + self.random.below(most)).map(|_| self.statement(end)).collect();
        Node::list("", 0, items)
    }

    fn block(&mut self, end: &End) -> Node {
        self.depth += 1;
        let made = self.statements(2, end);
        self.depth -= 1;
        // An empty block is one too.
        Node::Group(vec![made, Node::text("null; ")])
    }

    fn statement(&mut self, end: &End) -> Node {
        if self.depth > 2 {
            return self.assignment();
        }
        match self.random.below(13) {
            0 | 1 => {
                let mut parts = vec![text("if ("), self.condition(2), text(") then "), self.block(end)];
                if self.random.chance(30) {
                    let more = vec![text("elsif ("), self.condition(1), text(") then "), self.block(end)];
                    parts.push(Node::Group(more).optional());
                }
                if self.random.chance(60) {
                    parts.push(Node::Group(vec![text("else "), self.block(end)]).optional());
                }
                parts.push(text("end if; "));
                Node::Group(parts)
            }
            2 => {
                let ty = self.plain_type();
                if !is_comparable(&ty) {
                    return self.assignment();
                }
                let mut parts = vec![text("case ("), self.value(&ty, 1), text(")")];
                for _ in 0..1 + self.random.below(2) {
                    let (when, block) = (self.value(&ty, 1), self.block(end));
                    parts.extend([text(" when ("), when, text(") then "), block]);
                }
                parts.extend([text("else "), self.block(end), text("end case; ")]);
                Node::Group(parts)
            }
            3 => {
                let head = *self.random.pick(&[
                    "for i in 1..3 loop ",
                    "for i in reverse 3..1 loop ",
                    "for i in 1..7 by 3 loop ",
                    "for i in 2..1 loop ",
                    "for i in reverse 9..2 by 4 loop ",
                ]);
                self.scope.push(Named {
                    text: "i".into(),
                    ty: Type::Int4,
                });
                let made = self.looped(head, end);
                self.scope.pop();
                made
            }
            4 => {
                let condition = self.condition(1);
                // Nothing but the loop itself changes its counter.
                let counter = format!("w{}", self.loops);
                let begin = text(format!("{counter} := 0; while {counter} < 4 and "));
                let head = text(format!(" loop {counter} := {counter} + 1; "));
                Node::Group(vec![begin, condition, head, self.looped("", end)])
            }
            5 => self.guarded(end),
            6 | 7 if !self.tables.is_empty() => self.looking(end),
            8 => match end {
                End::Value(ty) => {
                    let (condition, value) = (self.condition(1), self.value(ty, 2));
                    Node::Group(vec![
                        text("if ("),
                        condition,
                        text(") then return "),
                        value,
                        text("; end if; "),
                    ])
                }
                End::Row { skip } if *skip => {
                    let condition = self.condition(1);
                    Node::Group(vec![text("if ("), condition, text(") then return null; end if; ")])
                }
                _ => self.assignment(),
            },
            9 => match end {
                End::Row { .. } => self.told(),
                _ => {
                    let ty = self.plain_type();
                    Node::Group(vec![text("raise notice 'v %', "), self.value(&ty, 1), text("; ")])
                }
            },
            10 => match end {
                End::Row { .. } if self.random.chance(50) => {
                    let condition = self.condition(2);
                    let code = *self.random.pick(&[
                        "",
                        " using errcode = '22023'",
                        " using errcode = 'check_violation', hint = 'h'",
                    ]);
                    Node::Group(vec![
                        text("if ("),
                        condition,
                        text(format!(") then raise exception 'no %', n{code}; end if; ")),
                    ])
                    .optional()
                }
                _ => self.assignment(),
            },
            _ => self.assignment(),
        }
    }

    /// The head, the body with a way out, and the end of a loop.
    fn looped(&mut self, head: &str, end: &End) -> Node {
        self.loops += 1;
        let body = self.block(end);
        let out = *self.random.pick(&["exit when ", "continue when "]);
        let condition = self.condition(1);
        self.loops -= 1;
        Node::Group(vec![
            Node::text(head),
            Node::Group(vec![Node::text(out), condition, Node::text("; ")]).optional(),
            body,
            Node::text("end loop; "),
        ])
    }

    fn assignment(&mut self) -> Node {
        if self.variables.is_empty() {
            return Node::text("null; ");
        }
        let variable = self.random.pick(&self.variables).clone();
        let value = self.value(&variable.ty, 2);
        let mut parts = vec![Node::text(format!("{} := ", variable.text)), value];
        if matches!(variable.ty, Type::Float4 | Type::Float8) {
            // Without a negative zero, which is not kept (difference 13).
            parts.insert(1, Node::text("0 + "));
        }
        parts.push(Node::text("; "));
        Node::Group(parts)
    }

    /// A block whose error is caught.
    fn guarded(&mut self, end: &End) -> Node {
        let failing = *self.random.pick(&[
            "n := 1 / n; ",
            "n := 'x' || n; ",
            "raise exception 'caught %', n; ",
            "raise exception using errcode = '22012'; ",
            "n := 2147483647 + n; ",
            "raise sqlstate '23505'; ",
            "",
        ]);
        let before = self.block(end);
        let condition = *self.random.pick(&[
            "others",
            "others",
            "division_by_zero or invalid_text_representation",
            "sqlstate '22012' or raise_exception or numeric_value_out_of_range or unique_violation or data_exception",
        ]);
        // The last arm takes what the others do not, so that the function never fails.
        let told = self
            .variables
            .iter()
            .find(|variable| variable.ty == Type::Text)
            .map(|variable| format!("{} := sqlstate || sqlerrm; ", variable.text));
        let told = told.unwrap_or_else(|| "n := length(sqlerrm); ".into());
        let last = if condition == "others" {
            ""
        } else {
            "when others then n := -1; "
        };
        Node::Group(vec![
            text("begin "),
            before,
            text(failing),
            text(format!("exception when {condition} then {told}{last}end; n := 0; ")),
        ])
    }

    /// A query whose answer goes to variables, or is looped over.
    fn looking(&mut self, end: &End) -> Node {
        let relation = self.random.pick(&self.tables).clone();
        let name = &relation.name;
        let scope = [self.scope.clone(), relation.named("q")].concat();
        let condition = self.expressions_over(scope).condition(2);
        let fitting: Vec<(Named, Named)> = self
            .variables
            .iter()
            .flat_map(|variable| {
                let columns = relation
                    .named("q")
                    .into_iter()
                    .filter(|column| column.ty == variable.ty);
                columns.map(|column| (variable.clone(), column)).collect::<Vec<_>>()
            })
            .collect();
        match self.random.below(3) {
            0 => Node::Group(vec![
                text(format!("select count(*) into n from {name} q where ")),
                condition,
                text("; "),
            ]),
            1 if !fitting.is_empty() => {
                let (variable, column) = self.random.pick(&fitting).clone();
                let after = self.block(end);
                Node::Group(vec![
                    text(format!(
                        "select {} into {} from {name} q where ",
                        column.text, variable.text
                    )),
                    condition,
                    text(" order by q.id limit 1; if found then "),
                    after,
                    text("end if; "),
                ])
            }
            _ => Node::Group(vec![
                text(format!("n := 0; for found_one in select q.* from {name} q where ")),
                condition,
                text(" order by q.id loop n := n + 1; exit when n > 2; end loop; "),
            ]),
        }
    }

    /// Tells the log what the trigger sees.
    fn told(&mut self) -> Node {
        let value = self.value(&Type::Text, 2);
        Node::Group(vec![
            Node::text(format!(
                "insert into {LOG} values (tg_op || ' ' || tg_when || ' ' || tg_level, tg_name, "
            )),
            value,
            Node::text("); "),
        ])
        .optional()
    }
}

/// How a body may end early.
enum End {
    None,
    Value(Type),
    /// A trigger for each row; BEFORE, it may leave the row out.
    Row {
        skip: bool,
    },
}

/// The result, the select list over `q`, and the columns: the table's own rows, or some of its columns.
fn rows_of(relation: &Relation, is_table: bool) -> (String, String, Vec<Named>) {
    if !is_table {
        return (format!("setof {}", relation.name), "q.*".into(), relation.named(""));
    }
    let columns: Vec<&Column> = relation.columns.iter().take(3).collect();
    let declared: Vec<String> = (0..)
        .zip(&columns)
        .map(|(at, column)| format!("k{at} {}", column.ty))
        .collect();
    let list: Vec<String> = columns.iter().map(|column| format!("q.{}", column.name)).collect();
    let named = (0..).zip(&columns).map(|(at, column)| Named {
        text: format!("k{at}"),
        ty: column.ty.clone(),
    });
    let named = named.collect();
    (format!("table ({})", declared.join(", ")), list.join(", "), named)
}

/// A trigger function and a trigger with it.
fn triggers(random: &mut Random, surface: &Surface, schema: &mut Schema, table: &Relation, number: usize) {
    let name = &table.name;
    let function = format!("{name}_g{number}");
    if random.chance(20) {
        // Once for each statement.
        let event = *random.pick(&["insert", "update", "delete", "insert or update or delete"]);
        let when = *random.pick(&["before", "after"]);
        let text = format!(
            "create function {function}() returns trigger language plpgsql as $$ begin insert into {LOG} values \
             (tg_op || ' ' || tg_when || ' ' || tg_level, tg_name, tg_table_name); return null; end $$"
        );
        schema.statements.push(Node::text(text));
        schema.statements.push(Node::text(format!(
            "create trigger {name}_z{number} {when} {event} on {name} for each statement execute function {function}()"
        )));
        return;
    }
    let is_before = random.chance(60);
    let event = *random.pick(&["insert", "update", "insert or update", "delete"]);
    let record = if event == "delete" { "old" } else { "new" };
    let plain: Vec<&Column> = table
        .columns
        .iter()
        .filter(|column| column.role != Role::Generated)
        .collect();
    let named = |prefix: &str, only_plain: bool| -> Vec<Named> {
        let kept = plain.iter().filter(|column| !only_plain || column.role == Role::Plain);
        kept.map(|column| Named {
            text: format!("{prefix}.{}", column.name),
            ty: column.ty.clone(),
        })
        .collect()
    };
    let mut body = Body::new(random, surface, number);
    body.arguments.clear();
    body.scope = named(record, false);
    if event == "update" {
        body.scope.extend(named("old", false));
    }
    let declared = body.declare();
    if is_before && record == "new" {
        body.variables.extend(named("new", true));
    }
    let others: Vec<Relation> = schema
        .relations
        .iter()
        .filter(|other| other.kind == Kind::Table && other.name != table.name && is_apart(other, table))
        .cloned()
        .collect();
    body.tables = others;
    let statements = body.statements(4, &End::Row { skip: is_before });
    let told = body.told();
    let condition = if event != "insert or update" && body.random.chance(30) {
        body.scope = named(record, false);
        let condition = body.condition(1);
        Node::Group(vec![Node::text(" when ("), condition, Node::text(")")]).optional()
    } else {
        Node::text("")
    };
    let columns = if event == "update" && body.random.chance(30) {
        format!(" of {}", body.random.pick(&plain).name)
    } else {
        String::new()
    };
    schema.statements.push(Node::Group(vec![
        Node::text(format!(
            "create function {function}() returns trigger language plpgsql as $$ "
        )),
        declared,
        Node::text("begin "),
        statements,
        told,
        Node::text(format!("return {record}; end $$")),
    ]));
    let when = if is_before { "before" } else { "after" };
    schema.statements.push(Node::Group(vec![
        Node::text(format!(
            "create trigger {name}_r{number} {when} {event}{columns} on {name} for each row"
        )),
        condition,
        Node::text(format!(" execute function {function}()")),
    ]));
}

/// True if no write to the one table changes the other.
fn is_apart(one: &Relation, other: &Relation) -> bool {
    let refers = |from: &Relation, to: &Relation| {
        from.columns
            .iter()
            .any(|column| column.refers.as_deref() == Some(to.name.as_str()))
    };
    !refers(one, other) && !refers(other, one)
}

fn text(text: impl Into<String>) -> Node {
    Node::text(text)
}
