//! What the query string says, as a tree: names as written, values beside their slots. The catalog is not consulted.

use mainstay_core::plan::{AggregateFunction, FullTextQuery, IsValue, Operator, Quantifier};

/// The position of a value among the request's values; see [`Shape`](super::shape::Shape).
pub type Slot = usize;

/// A column, or a place inside its JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRef {
    pub name: String,
    pub path: Vec<PathStep>,
}

/// `->key`, `->>key`, `->0`, `->>-1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathStep {
    /// `->>`
    pub as_text: bool,
    pub operand: PathOperand,
}

/// What a step of a JSON path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathOperand {
    Key(String),
    /// Sign and digits as written, `+` added where there is no sign.
    Index(String),
}

/// One item of `select`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelectItem {
    /// `*`
    All,
    Field {
        field: FieldRef,
        cast: Option<String>,
        alias: Option<String>,
    },
    /// `count()`, `amount::int.sum()::text`
    Aggregate {
        function: AggregateFunction,
        /// The field with its cast; `None`: rows are counted.
        over: Option<(FieldRef, Option<String>)>,
        cast: Option<String>,
        alias: Option<String>,
    },
    /// `alias:relation!hint!inner(…)`
    Embed(EmbedItem),
}

/// A relation in `select`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbedItem {
    pub relation: String,
    pub alias: Option<String>,
    pub hint: Option<String>,
    pub join: Option<JoinKind>,
    /// `...relation(…)`
    pub is_spread: bool,
    pub items: Vec<SelectItem>,
}

/// `!inner`, `!left`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    Inner,
    Left,
}

/// A filter on one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    pub field: FieldRef,
    pub is_negated: bool,
    pub operation: Operation,
}

/// What a field is compared with, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    Compare {
        operator: Operator,
        quantifier: Option<Quantifier>,
        value: Operand,
    },
    In(Operand),
    Is(IsValue),
    IsDistinct(Operand),
    FullText {
        query: FullTextQuery,
        language: Option<String>,
        value: Operand,
    },
}

/// A value with its slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operand {
    pub slot: Slot,
    pub value: RawValue,
}

/// A value as the request wrote it, unquoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawValue {
    Text(String),
    List(Vec<String>),
}

/// `and=(…)`, `or=(…)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogicTree {
    Filter(Filter),
    Group {
        is_negated: bool,
        operator: LogicOperator,
        members: Vec<LogicTree>,
    },
}

/// How the members of a group are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogicOperator {
    And,
    Or,
}

/// One item of `order`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderTerm {
    /// `relation(field)`: sort by a field of a to-one embed.
    pub relation: Option<String>,
    pub field: FieldRef,
    pub is_descending: bool,
    pub nulls_first: Option<bool>,
}

/// Names of embeds from the root on.
pub type EmbedPath = Vec<String>;

impl Operation {
    /// The value, if it has one.
    pub fn operand_mut(&mut self) -> Option<&mut Operand> {
        match self {
            Operation::Compare { value, .. }
            | Operation::In(value)
            | Operation::IsDistinct(value)
            | Operation::FullText { value, .. } => Some(value),
            Operation::Is(_) => None,
        }
    }
}

impl LogicTree {
    /// Calls `visit` with every filter, from left to right.
    pub fn each_filter_mut(&mut self, visit: &mut impl FnMut(&mut Filter)) {
        match self {
            LogicTree::Filter(filter) => visit(filter),
            LogicTree::Group { members, .. } => members.iter_mut().for_each(|member| member.each_filter_mut(visit)),
        }
    }
}
