//! Expressions as written.

use mainstay_core::name::Ident;

use super::query::{Query, SortItem};
use super::{ObjectName, TypeName};

/// An expression and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    pub kind: ExprKind,
    /// 1-based character position of the token PostgreSQL's errors point to; 0 = unknown.
    pub position: u32,
}

/// The forms of expressions.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    Null,
    Bool(bool),
    /// A literal that fits in `int4`.
    Integer(i32),
    /// A number with a point, an exponent or too many digits for `int4`, as written.
    Number(String),
    /// A quoted literal, of type `unknown` until it meets another.
    String(String),
    /// `$n`, from 1.
    Parameter(u32),
    /// `a`, `t.a`, `s.t.a`; a trailing star is `Star`.
    Column(Vec<Ident>),
    /// `*`, `t.*`, `s.t.*`: what precedes the star.
    Star(Vec<Ident>),
    /// `(expression).field` or `(expression).*` (`None`).
    Field {
        expr: Box<Expr>,
        field: Option<Ident>,
    },
    /// `a[1]`, `a[1:2]`.
    Subscript {
        expr: Box<Expr>,
        lower: Option<Box<Expr>>,
        upper: Option<Box<Expr>>,
        slice: bool,
    },
    /// `a op b`, `op b` (no left side).
    Operator {
        schema: Option<Ident>,
        name: String,
        left: Option<Box<Expr>>,
        right: Box<Expr>,
    },
    /// `a op ANY (array)` and `ALL`.
    QuantifiedArray {
        name: String,
        all: bool,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    IsNull {
        expr: Box<Expr>,
        negated: bool,
    },
    /// `IS [NOT] TRUE | FALSE | UNKNOWN`.
    BooleanTest {
        expr: Box<Expr>,
        value: Option<bool>,
        negated: bool,
    },
    DistinctFrom {
        left: Box<Expr>,
        right: Box<Expr>,
        negated: bool,
    },
    NullIf {
        left: Box<Expr>,
        right: Box<Expr>,
    },
    InList {
        expr: Box<Expr>,
        list: Vec<Expr>,
        negated: bool,
    },
    Like {
        kind: LikeKind,
        expr: Box<Expr>,
        pattern: Box<Expr>,
        escape: Option<Box<Expr>>,
        negated: bool,
    },
    Between {
        expr: Box<Expr>,
        low: Box<Expr>,
        high: Box<Expr>,
        symmetric: bool,
        negated: bool,
    },
    Case {
        operand: Option<Box<Expr>>,
        whens: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Coalesce(Vec<Expr>),
    Greatest(Vec<Expr>),
    Least(Vec<Expr>),
    Cast {
        expr: Box<Expr>,
        ty: TypeName,
    },
    Collate {
        expr: Box<Expr>,
        collation: ObjectName,
    },
    Function(Box<FunctionCall>),
    /// `CURRENT_DATE` and the other functions without parentheses; the precision where one is given.
    Value {
        function: ValueFunction,
        precision: Option<u32>,
    },
    Row(Vec<Expr>),
    Array(Vec<Expr>),
    /// `(SELECT …)`.
    ScalarSubquery(Box<Query>),
    Exists(Box<Query>),
    /// `left op ANY|ALL (SELECT …)`; `IN` is `= ANY`.
    QuantifiedSubquery {
        name: String,
        all: bool,
        left: Box<Expr>,
        query: Box<Query>,
    },
    /// `ARRAY(SELECT …)`.
    ArraySubquery(Box<Query>),
    /// `DEFAULT`, where a value list allows it.
    Default,
    /// `GROUPING(…)`.
    Grouping(Vec<Expr>),
}

/// The pattern operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LikeKind {
    Like,
    Ilike,
    Similar,
}

/// Functions that SQL writes without parentheses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueFunction {
    CurrentDate,
    CurrentTime,
    CurrentTimestamp,
    LocalTime,
    LocalTimestamp,
    CurrentRole,
    CurrentUser,
    SessionUser,
    CurrentCatalog,
    CurrentSchema,
}

/// A function call of any kind.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionCall {
    pub name: ObjectName,
    pub arguments: Vec<Argument>,
    /// `count(*)`.
    pub star: bool,
    pub distinct: bool,
    /// `VARIADIC` before the last argument.
    pub variadic: bool,
    /// `ORDER BY` within the parentheses.
    pub order: Vec<SortItem>,
    /// `WITHIN GROUP (ORDER BY …)`: then `order` is that.
    pub within_group: bool,
    pub filter: Option<Expr>,
    pub over: Option<Window>,
    /// Written in SQL's own syntax: `EXTRACT(… FROM …)`, `AT TIME ZONE`, `TRIM(…)`.
    pub sql_syntax: bool,
}

/// One argument, perhaps named.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    pub name: Option<Ident>,
    pub value: Expr,
}

/// `OVER (…)`, `OVER name` or an entry of `WINDOW`.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Its own name (in `WINDOW`) or the one that `OVER name` names.
    pub name: Option<Ident>,
    /// The window it builds on: `OVER (w ORDER BY …)`.
    pub base: Option<Ident>,
    pub partition: Vec<Expr>,
    pub order: Vec<SortItem>,
    pub frame: Option<Frame>,
    pub position: u32,
}

/// A window's frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    pub mode: FrameMode,
    pub start: FrameBound,
    pub end: FrameBound,
    pub exclusion: FrameExclusion,
}

/// What a frame counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameMode {
    Range,
    Rows,
    Groups,
}

/// One end of a frame.
#[derive(Clone, Debug, PartialEq)]
pub enum FrameBound {
    UnboundedPreceding,
    Preceding(Box<Expr>),
    CurrentRow,
    Following(Box<Expr>),
    UnboundedFollowing,
}

/// `EXCLUDE …`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameExclusion {
    None,
    CurrentRow,
    Group,
    Ties,
}
