//! Queries and the statements that write, as written.

use mainstay_core::name::Ident;

use super::expr::{Expr, FunctionCall, Window};
use super::{ObjectName, TypeName};

/// A query with everything around its body.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub with: Option<With>,
    pub body: SetExpression,
    pub order: Vec<SortItem>,
    pub limit: Option<Expr>,
    pub offset: Option<Expr>,
    /// `FETCH … WITH TIES`.
    pub with_ties: bool,
    /// `FOR UPDATE` and kin.
    pub locking: Vec<Locking>,
    pub position: u32,
}

/// `WITH [RECURSIVE]`.
#[derive(Clone, Debug, PartialEq)]
pub struct With {
    pub recursive: bool,
    pub ctes: Vec<Cte>,
}

/// One common table expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Cte {
    pub name: Ident,
    pub columns: Vec<Ident>,
    pub materialized: Option<bool>,
    pub query: Query,
    pub position: u32,
}

/// `FOR UPDATE | NO KEY UPDATE | SHARE | KEY SHARE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locking {
    /// `NOWAIT` or `SKIP LOCKED`.
    pub skips_or_fails: bool,
    /// `FOR UPDATE` … as messages spell it.
    pub clause: &'static str,
}

/// What gives rows.
#[derive(Clone, Debug, PartialEq)]
pub enum SetExpression {
    Select(Box<Select>),
    Values(Vec<Vec<Expr>>),
    /// A part of a set operation with its own ORDER BY, LIMIT or WITH.
    Query(Box<Query>),
    Operation {
        operator: SetOperator,
        all: bool,
        left: Box<SetExpression>,
        right: Box<SetExpression>,
    },
}

/// How rows are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SetOperator {
    Union,
    Intersect,
    Except,
}

impl SetOperator {
    /// As SQL and messages spell it.
    pub fn sql(self) -> &'static str {
        match self {
            SetOperator::Union => "UNION",
            SetOperator::Intersect => "INTERSECT",
            SetOperator::Except => "EXCEPT",
        }
    }
}

/// One `SELECT`.
#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    pub distinct: Distinct,
    pub target: Vec<SelectItem>,
    pub from: Vec<FromItem>,
    pub filter: Option<Expr>,
    pub group_by: Vec<Expr>,
    pub having: Option<Expr>,
    pub windows: Vec<Window>,
}

/// Which duplicates go.
#[derive(Clone, Debug, PartialEq)]
pub enum Distinct {
    All,
    Distinct,
    On(Vec<Expr>),
}

/// One entry of a select list or of `RETURNING`.
#[derive(Clone, Debug, PartialEq)]
pub struct SelectItem {
    pub expr: Expr,
    pub alias: Option<Ident>,
}

/// One sort key.
#[derive(Clone, Debug, PartialEq)]
pub struct SortItem {
    pub expr: Expr,
    pub descending: bool,
    pub nulls_first: Option<bool>,
}

/// One entry of `FROM`.
#[derive(Clone, Debug, PartialEq)]
pub enum FromItem {
    Relation {
        name: ObjectName,
        alias: Option<Alias>,
    },
    Subquery {
        query: Box<Query>,
        alias: Option<Alias>,
        lateral: bool,
        position: u32,
    },
    Function {
        call: Box<FunctionCall>,
        alias: Option<Alias>,
        /// `AS t (name type, …)`.
        definitions: Vec<(Ident, TypeName)>,
        ordinality: bool,
        lateral: bool,
        position: u32,
    },
    Join {
        kind: JoinKind,
        left: Box<FromItem>,
        right: Box<FromItem>,
        condition: JoinCondition,
        alias: Option<Alias>,
        position: u32,
    },
}

/// `AS name (columns)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    pub name: Ident,
    pub columns: Vec<Ident>,
}

/// Which rows without a partner are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JoinKind {
    /// `CROSS JOIN` is an inner join without a condition.
    Inner,
    Left,
    Right,
    Full,
}

/// How rows find their partners.
#[derive(Clone, Debug, PartialEq)]
pub enum JoinCondition {
    None,
    On(Expr),
    Using { columns: Vec<Ident>, alias: Option<Ident> },
    Natural,
}

/// `INSERT`.
#[derive(Clone, Debug, PartialEq)]
pub struct Insert {
    pub with: Option<With>,
    pub table: ObjectName,
    pub alias: Option<Ident>,
    /// Column names with their positions; empty: all columns in order.
    pub columns: Vec<(Ident, u32)>,
    /// `None`: `DEFAULT VALUES`.
    pub source: Option<Query>,
    pub overriding: Option<Overriding>,
    pub on_conflict: Option<OnConflict>,
    pub returning: Vec<SelectItem>,
}

/// `OVERRIDING … VALUE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overriding {
    User,
    System,
}

/// `ON CONFLICT`.
#[derive(Clone, Debug, PartialEq)]
pub struct OnConflict {
    pub target: Option<ConflictTarget>,
    pub action: ConflictAction,
    pub position: u32,
}

/// Which key may conflict.
#[derive(Clone, Debug, PartialEq)]
pub enum ConflictTarget {
    Constraint {
        name: Ident,
        position: u32,
    },
    Columns {
        elements: Vec<Expr>,
        filter: Option<Expr>,
        position: u32,
    },
}

/// What happens on a conflict.
#[derive(Clone, Debug, PartialEq)]
pub enum ConflictAction {
    Nothing,
    Update {
        assignments: Vec<Assignment>,
        filter: Option<Expr>,
    },
}

/// `UPDATE`.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    pub with: Option<With>,
    pub table: ObjectName,
    pub alias: Option<Ident>,
    pub assignments: Vec<Assignment>,
    pub from: Vec<FromItem>,
    pub filter: Option<Expr>,
    pub returning: Vec<SelectItem>,
}

/// `SET column = value` or `SET (columns) = row`.
#[derive(Clone, Debug, PartialEq)]
pub enum Assignment {
    Single { column: Ident, value: Expr, position: u32 },
    Multiple { columns: Vec<(Ident, u32)>, value: Expr },
}

/// `DELETE`.
#[derive(Clone, Debug, PartialEq)]
pub struct Delete {
    pub with: Option<With>,
    pub table: ObjectName,
    pub alias: Option<Ident>,
    pub using: Vec<FromItem>,
    pub filter: Option<Expr>,
    pub returning: Vec<SelectItem>,
}
