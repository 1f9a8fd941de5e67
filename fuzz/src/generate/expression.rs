//! Typed expressions, by the analyser's tables and the forms that have a grammar of their own.
//!
//! Not here: statements (`query`, `write`), literals (`values`).
//! Invariant: what may fail stands only where both engines evaluate it for the same rows: never in a branch that may
//! be skipped, and always over a column, because PostgreSQL computes constants before it runs anything.

use mainstay_core::name::QualifiedName;
use mainstay_core::types::Type;

use super::routines::{Gives, Routine};
use super::surface::{Form, Rule, Surface};
use super::values;
use crate::random::Random;
use crate::tree::Node;

/// A column that expressions may name.
#[derive(Clone, Debug)]
pub struct Named {
    /// As it is written, with its table where that is needed.
    pub text: String,
    pub ty: Type,
}

/// Makes expressions over the columns of one place.
pub struct Expressions<'a> {
    pub random: &'a mut Random,
    pub surface: &'a Surface,
    pub scope: Vec<Named>,
    /// What a scalar subquery may look at: a relation and its columns.
    pub relations: Vec<(String, Vec<Named>)>,
    /// Functions of the case.
    pub routines: &'a [Routine],
    /// Parts so far that may fail.
    pub failing: usize,
    /// The most of them; beyond it only what cannot fail is taken.
    pub failing_max: usize,
    /// Inside something that may fail: no null literals, because PostgreSQL then leaves out a strict function's other
    /// arguments.
    pub within: usize,
}

/// May the expression fail for some values?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    Total,
    MayFail,
}

/// The enum that every schema has.
pub fn mood() -> Type {
    Type::Enum(QualifiedName::new("public", "mood"))
}

/// Rules that give null for values that are not: of constants, PostgreSQL knows so before anything runs.
const MAY_BE_NULL: &[&str] = &[
    "->",
    "->>",
    "#>",
    "#>>",
    "array_length",
    "array_upper",
    "array_lower",
    "regexp_match",
    "substring",
    "array_position",
    "array_ndims",
    "nullif",
];

/// Types with an equality.
pub fn is_comparable(ty: &Type) -> bool {
    *ty != Type::Json
}

impl<'a> Expressions<'a> {
    /// Expressions over columns alone that cannot fail.
    pub fn new(random: &'a mut Random, surface: &'a Surface, scope: Vec<Named>) -> Self {
        Expressions {
            random,
            surface,
            scope,
            relations: Vec::new(),
            routines: &[],
            failing: 0,
            failing_max: 0,
            within: 0,
        }
    }
}

impl Expressions<'_> {
    /// An expression of type `ty`, at most `depth` levels deep.
    pub fn value(&mut self, ty: &Type, depth: usize, care: Care) -> Node {
        if depth == 0 || self.random.chance(12) {
            return self.leaf(ty);
        }
        if self.within > 0 {
            // What constants make null is null to PostgreSQL before anything runs.
            return match self.by_rule(ty, depth, care) {
                Some(made) => made.of(ty),
                None => self.leaf(ty),
            };
        }
        if !self.routines.is_empty()
            && self.random.chance(20)
            && let Some(made) = self.by_routine(ty, depth)
        {
            return made.of(ty);
        }
        let choice = self.random.below(100);
        if *ty == Type::Bool && choice < 45 {
            return self.condition(depth).of(ty);
        }
        if choice < 60
            && let Some(made) = self.by_rule(ty, depth, care)
        {
            return made.of(ty);
        }
        match choice % 8 {
            0 | 1 => self.case(ty, depth).of(ty),
            2 => {
                let items = self.several(ty, depth - 1, 3);
                Node::Group(vec![
                    Node::text("coalesce("),
                    Node::list(", ", 1, items),
                    Node::text(")"),
                ])
                .of(ty)
            }
            3 if is_comparable(ty) => {
                let (left, right) = (self.value(ty, depth - 1, Care::Total), self.leaf(ty));
                Node::Group(vec![
                    Node::text("nullif("),
                    left,
                    Node::text(", "),
                    right,
                    Node::text(")"),
                ])
                .of(ty)
            }
            4 if is_comparable(ty) && !matches!(ty, Type::Bool | Type::Jsonb | Type::Enum(_)) => {
                let name = *self.random.pick(&["greatest(", "least("]);
                let items = self.several(ty, depth - 1, 3);
                Node::Group(vec![Node::text(name), Node::list(", ", 1, items), Node::text(")")]).of(ty)
            }
            5 => self.subquery(ty).unwrap_or_else(|| self.leaf(ty)),
            _ => match self.by_rule(ty, depth, care) {
                Some(made) => made.of(ty),
                None => self.leaf(ty),
            },
        }
    }

    /// A call of one of the case's functions.
    fn by_routine(&mut self, ty: &Type, depth: usize) -> Option<Node> {
        let all = self.routines;
        let fitting: Vec<&Routine> = all
            .iter()
            .filter(|routine| matches!(&routine.gives, Gives::Value(given) if given == ty))
            .collect();
        if fitting.is_empty() {
            return None;
        }
        let routine = *self.random.pick(&fitting);
        let mut choices = self.random.fork();
        let made = routine.call(&mut choices, |_, wanted| self.value(wanted, depth - 1, Care::Total));
        Some(made)
    }

    /// Two or three values that cannot fail.
    fn several(&mut self, ty: &Type, depth: usize, most: usize) -> Vec<Node> {
        let count = 2 + self.random.below(most - 1);
        (0..count).map(|_| self.value(ty, depth, Care::Total)).collect()
    }

    /// A column, a literal, or null.
    pub fn leaf(&mut self, ty: &Type) -> Node {
        if self.random.chance(65)
            && let Some(column) = self.column(ty)
        {
            return column;
        }
        if self.within == 0 && self.random.chance(6) {
            return Node::text(format!("null::{ty}")).of(ty);
        }
        self.literal(ty)
    }

    fn literal(&mut self, ty: &Type) -> Node {
        match values::literal(self.random, ty) {
            Some(text) => Node::text(text).of(ty),
            None => Node::text(format!("null::{ty}")).of(ty),
        }
    }

    fn column(&mut self, ty: &Type) -> Option<Node> {
        let fitting: Vec<&Named> = self.scope.iter().filter(|named| named.ty == *ty).collect();
        if fitting.is_empty() {
            return None;
        }
        let text = self.random.pick(&fitting).text.clone();
        Some(Node::text(text).of(ty))
    }

    /// A function, an operator or a cast that gives `ty`.
    fn by_rule(&mut self, ty: &Type, depth: usize, care: Care) -> Option<Node> {
        let may_fail = care == Care::MayFail && self.failing < self.failing_max;
        let rules: Vec<&Rule> = self
            .surface
            .rules(ty)
            .iter()
            .filter(|rule| rule.is_total || may_fail)
            .filter(|rule| self.within == 0 || !MAY_BE_NULL.contains(&rule.name))
            .collect();
        if rules.is_empty() {
            return None;
        }
        let rule = (*self.random.pick(&rules)).clone();
        let inner = if rule.is_total { care } else { Care::MayFail };
        let mut arguments = Vec::new();
        let mut over_column = self.scope.is_empty();
        if care == Care::MayFail {
            self.within += 1;
        }
        for (at, wanted) in rule.arguments.iter().enumerate() {
            let hint = values::hint(rule.name, at, &rule.arguments);
            let argument = match hint {
                Some(hint) => {
                    let text = values::hinted(self.random, hint, wanted);
                    Node::text(text)
                }
                None if !rule.is_total && !over_column => {
                    // Over a column, so that it is no constant.
                    let Some(column) = self.column(wanted) else {
                        self.within -= 1;
                        return None;
                    };
                    over_column = true;
                    column
                }
                None => self.value(wanted, depth - 1, inner),
            };
            arguments.push(argument);
        }
        if care == Care::MayFail {
            self.within -= 1;
        }
        if !rule.is_total {
            if !over_column {
                return None;
            }
            self.failing += 1;
        }
        Some(self.written(&rule, ty, arguments))
    }

    /// A rule over columns alone. For generated columns: PostgreSQL 15 computes what is constant in them before it knows
    /// collations, and fails (42P22) on two literal texts.
    pub fn of_columns(&mut self, ty: &Type) -> Option<Node> {
        let rules: Vec<&Rule> = self.surface.rules(ty).iter().filter(|rule| rule.is_total).collect();
        if rules.is_empty() {
            return None;
        }
        for _ in 0..20 {
            let rule = (*self.random.pick(&rules)).clone();
            // The text of a time is immutable on PostgreSQL in some of the forms only.
            if *ty == Type::Text && rule.arguments.contains(&Type::Time) {
                continue;
            }
            let mut arguments = Vec::new();
            for (at, wanted) in rule.arguments.iter().enumerate() {
                match values::hint(rule.name, at, &rule.arguments) {
                    Some(hint) => arguments.push(Node::text(values::hinted(self.random, hint, wanted))),
                    None => arguments.extend(self.column(wanted)),
                }
            }
            if arguments.len() == rule.arguments.len() {
                return Some(self.written(&rule, ty, arguments).of(ty));
            }
        }
        None
    }

    /// The rule's text around its arguments.
    fn written(&mut self, rule: &Rule, ty: &Type, arguments: Vec<Node>) -> Node {
        let mut parts = Vec::new();
        let mut arguments = arguments.into_iter();
        match (rule.form, rule.name) {
            (Form::Prefix, name) => {
                parts.push(Node::text(format!("({name} ")));
                parts.extend(arguments);
                parts.push(Node::text(")"));
            }
            (Form::Infix, name) => {
                parts.push(Node::text("("));
                parts.extend(arguments.next());
                let spelled = match name {
                    "~~" if self.random.chance(70) => "like",
                    "!~~" if self.random.chance(70) => "not like",
                    "~~*" if self.random.chance(70) => "ilike",
                    "!~~*" if self.random.chance(70) => "not ilike",
                    other => other,
                };
                parts.push(Node::text(format!(" {spelled} ")));
                parts.extend(arguments.next());
                parts.push(Node::text(")"));
            }
            (Form::Cast, _) => {
                parts.push(Node::text("cast("));
                parts.extend(arguments);
                parts.push(Node::text(format!(" as {ty})")));
            }
            (Form::Call, "extract") => {
                parts.push(Node::text("extract("));
                // A field is a word or a text here, never a cast.
                let field = arguments.next().map(|field| field.to_string()).unwrap_or_default();
                let field = field.split("::").next().unwrap_or_default().to_owned();
                parts.push(Node::text(field));
                parts.push(Node::text(" from "));
                parts.extend(arguments);
                parts.push(Node::text(")"));
            }
            (Form::Call, "timezone") => {
                let zone = arguments.next();
                parts.push(Node::text("("));
                parts.extend(arguments);
                parts.push(Node::text(" at time zone "));
                parts.extend(zone);
                parts.push(Node::text(")"));
            }
            (Form::Call, "position") => {
                parts.push(Node::text("position("));
                parts.extend(arguments.next());
                parts.push(Node::text(" in "));
                parts.extend(arguments.next());
                parts.push(Node::text(")"));
            }
            (Form::Call, name) => {
                parts.push(Node::text(format!("{name}(")));
                parts.push(Node::Group(separated(arguments.collect())));
                parts.push(Node::text(")"));
            }
        }
        Node::Group(parts)
    }

    fn case(&mut self, ty: &Type, depth: usize) -> Node {
        let mut parts = vec![Node::text("case")];
        for _ in 0..1 + self.random.below(2) {
            let condition = self.value(&Type::Bool, depth - 1, Care::Total);
            let value = self.value(ty, depth - 1, Care::Total);
            parts.extend([Node::text(" when "), condition, Node::text(" then "), value]);
        }
        if self.random.chance(70) {
            let value = self.value(ty, depth - 1, Care::Total);
            parts.push(Node::Group(vec![Node::text(" else "), value]).optional());
        }
        parts.push(Node::text(" end"));
        Node::Group(parts)
    }

    /// A value that one row of another relation gives.
    fn subquery(&mut self, ty: &Type) -> Option<Node> {
        let fitting: Vec<(String, String)> = self
            .relations
            .iter()
            .flat_map(|(relation, columns)| {
                let of_type = columns.iter().filter(|column| column.ty == *ty);
                of_type.map(|column| (relation.clone(), column.text.clone()))
            })
            .collect();
        if fitting.is_empty() {
            return None;
        }
        let (relation, column) = self.random.pick(&fitting).clone();
        let has_extremes = !matches!(
            ty,
            Type::Bool | Type::Uuid | Type::Json | Type::Jsonb | Type::Bytea | Type::Array(_)
        );
        let text = if has_extremes {
            let name = *self.random.pick(&["max", "min"]);
            format!("(select {name}(q.{column}) from {relation} q)")
        } else if is_comparable(ty) {
            format!("(select q.{column} from {relation} q where q.{column} is not null order by 1 limit 1)")
        } else {
            return None;
        };
        Some(Node::text(text).of(ty))
    }

    /// A condition that cannot fail.
    pub fn condition(&mut self, depth: usize) -> Node {
        let below = depth.saturating_sub(1);
        let text = Node::text;
        match self.random.below(11) {
            0 | 1 => {
                let word = *self.random.pick(&[" and ", " or "]);
                let left = self.value(&Type::Bool, below, Care::Total);
                let right = self.value(&Type::Bool, below, Care::Total);
                Node::Group(vec![text("("), left, text(word), right, text(")")])
            }
            2 => {
                let inner = self.value(&Type::Bool, below, Care::Total);
                Node::Group(vec![text("(not "), inner, text(")")])
            }
            3 => {
                let ty = self.some_type();
                let inner = self.value(&ty, below, Care::Total);
                let tail = *self.random.pick(&[" is null)", " is not null)"]);
                Node::Group(vec![text("("), inner, text(tail)])
            }
            4 => {
                let inner = self.value(&Type::Bool, below, Care::Total);
                let tail = *self.random.pick(&[
                    " is true)",
                    " is not true)",
                    " is false)",
                    " is not false)",
                    " is unknown)",
                    " is not unknown)",
                ]);
                Node::Group(vec![text("("), inner, text(tail)])
            }
            5 => {
                let ty = self.comparable_type();
                let (left, right) = (self.value(&ty, below, Care::Total), self.leaf(&ty));
                let word = *self.random.pick(&[" is distinct from ", " is not distinct from "]);
                Node::Group(vec![text("("), left, text(word), right, text(")")])
            }
            6 => {
                let ty = self.comparable_type();
                let (value, low, high) = (self.leaf(&ty), self.leaf(&ty), self.leaf(&ty));
                let word = *self.random.pick(&[" between ", " not between ", " between symmetric "]);
                Node::Group(vec![text("("), value, text(word), low, text(" and "), high, text(")")])
            }
            7 => {
                let ty = self.comparable_type();
                let value = self.value(&ty, below, Care::Total);
                let items = (0..1 + self.random.below(3)).map(|_| self.leaf(&ty)).collect();
                let word = *self.random.pick(&[" in (", " not in ("]);
                Node::Group(vec![
                    text("("),
                    value,
                    text(word),
                    Node::list(", ", 1, items),
                    text("))"),
                ])
            }
            8 if !self.relations.is_empty() => self.of_relation(),
            _ => {
                let ty = self.comparable_type();
                let (left, right) = (self.value(&ty, below, Care::Total), self.value(&ty, below, Care::Total));
                let word = *self.random.pick(&[" = ", " <> ", " < ", " <= ", " > ", " >= "]);
                Node::Group(vec![text("("), left, text(word), right, text(")")])
            }
        }
    }

    /// EXISTS and IN over another relation.
    fn of_relation(&mut self) -> Node {
        let (relation, columns) = self.random.pick(&self.relations).clone();
        let column = self.random.pick(&columns).clone();
        let not = *self.random.pick(&["", "not "]);
        if is_comparable(&column.ty)
            && let Some(value) = self.column(&column.ty)
        {
            let name = &column.text;
            return if self.random.chance(50) {
                Node::Group(vec![
                    Node::text("("),
                    value,
                    Node::text(format!(" {not}in (select q.{name} from {relation} q))")),
                ])
            } else {
                Node::Group(vec![
                    Node::text(format!("({not}exists (select 1 from {relation} q where q.{name} = ")),
                    value,
                    Node::text("))"),
                ])
            };
        }
        Node::text(format!("({not}exists (select 1 from {relation} q))"))
    }

    /// A type that the scope has, or any.
    pub fn some_type(&mut self) -> Type {
        if !self.scope.is_empty() && self.random.chance(75) {
            return self.random.pick(&self.scope).ty.clone();
        }
        self.random.pick(&super::surface::types()).clone()
    }

    pub fn comparable_type(&mut self) -> Type {
        loop {
            let ty = self.some_type();
            if is_comparable(&ty) {
                return ty;
            }
        }
    }
}

/// `items` with commas between them, none of which may go.
fn separated(items: Vec<Node>) -> Vec<Node> {
    let mut parts = Vec::new();
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            parts.push(Node::text(", "));
        }
        parts.push(item);
    }
    parts
}
