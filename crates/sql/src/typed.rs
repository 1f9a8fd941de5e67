//! The typed tree: statements with every name resolved and every expression typed by PostgreSQL's rules.
//!
//! Lives here: the tree that engines emit from. Not here: names as written (`ast`), the rules (`analyse`), any engine.
//!
//! What holds of every tree:
//! - All implicit casts are spelled out as [`ExprKind::Cast`]; an operator's or function's arguments have the types its
//!   table entry names (or, for polymorphic entries, equal types).
//! - A [`RteId`] names one range table entry (a relation, subquery … in FROM). Ids are unique within one analysis, so a
//!   column needs no "levels up". Fragments analysed apart (policies, views) start again unless
//!   [`Analyser::starting_at`](crate::analyse::Analyser::starting_at) is used.
//! - Views stay [`FromItem::Relation`]: whoever emits expands them, under the right role.
//! - Desugared, so that nobody meets them again: BETWEEN, simple CASE, row comparisons, USING and NATURAL joins,
//!   `op ANY (ARRAY[…])`, named and default arguments, `SELECT *`, named windows, ORDER BY and GROUP BY positions.

use std::sync::Arc;

use mainstay_core::catalog::{ColumnIndex, ColumnSource, Relation, Routine, Sequence};
use mainstay_core::name::Ident;
use mainstay_core::types::{Type, TypeModifier};

pub use crate::analyse::aggregates::{AggregateEntry, WindowEntry};
pub use crate::analyse::functions::{FunctionEntry, SetFunctionEntry};
pub use crate::analyse::operators::OperatorEntry;
pub use crate::ast::{FrameExclusion, FrameMode, JoinKind, LikeKind, Overriding, SetOperator};

/// One entry of a FROM list, or the table that a statement writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RteId(pub u32);

/// One common table expression of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CteId(pub u32);

/// A statement that reads or writes rows.
#[derive(Clone, Debug)]
pub enum Statement {
    Query(Box<Query>),
    Insert(Box<Insert>),
    Update(Box<Update>),
    Delete(Box<Delete>),
}

/// A query with everything around its body.
#[derive(Clone, Debug)]
pub struct Query {
    pub ctes: Vec<Cte>,
    /// `WITH RECURSIVE` was written and at least one of `ctes` refers to itself.
    pub recursive: bool,
    pub body: SetExpression,
    pub order: Vec<SortKey>,
    /// `int8`; a null value means no limit.
    pub limit: Option<Expr>,
    /// `int8`; a null value means 0.
    pub offset: Option<Expr>,
    pub columns: Vec<OutputColumn>,
}

/// One column of a query's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputColumn {
    pub name: Ident,
    pub ty: Type,
    pub modifier: TypeModifier,
    /// The base table's column this is as it stands, through subqueries, CTEs and views; `None` for anything computed
    /// and for set operations.
    pub source: Option<ColumnSource>,
}

/// One common table expression. `columns` are its output with the names that references use.
#[derive(Clone, Debug)]
pub struct Cte {
    pub id: CteId,
    pub name: Ident,
    pub query: Query,
    pub columns: Vec<OutputColumn>,
    /// Refers to itself; then `query.body` is a UNION \[ALL\] whose left side does not.
    pub recursive: bool,
    pub materialized: Option<bool>,
}

/// What gives rows.
#[derive(Clone, Debug)]
pub enum SetExpression {
    Select(Box<Select>),
    Values(Vec<Vec<Expr>>),
    /// A part of a set operation with its own ORDER BY, LIMIT or WITH.
    Query(Box<Query>),
    /// Both sides have the same number of columns with the types of `columns`.
    Operation {
        operator: SetOperator,
        all: bool,
        left: Box<SetExpression>,
        right: Box<SetExpression>,
        columns: Vec<OutputColumn>,
    },
}

/// One `SELECT`.
#[derive(Clone, Debug)]
pub struct Select {
    pub distinct: Distinct,
    pub target: Vec<Target>,
    /// Joined without a condition; a lateral entry sees those before it.
    pub from: Vec<FromItem>,
    pub filter: Option<Expr>,
    /// Plain expressions; never positions or aliases.
    pub group_by: Vec<Expr>,
    pub having: Option<Expr>,
    /// Grouped or with an aggregate: without GROUP BY there is exactly one row.
    pub is_aggregate: bool,
}

/// Which duplicates go.
#[derive(Clone, Debug)]
pub enum Distinct {
    All,
    Distinct,
    /// The first row of each group, in the query's order. [`ExprKind::Output`] where it is a column of the result.
    On(Vec<Expr>),
}

/// One output column of a SELECT or of RETURNING.
#[derive(Clone, Debug)]
pub struct Target {
    pub name: Ident,
    pub expr: Expr,
}

/// One sort key. In a query's ORDER BY the expression is [`ExprKind::Output`] whenever it is a column of the result.
#[derive(Clone, Debug)]
pub struct SortKey {
    pub expr: Expr,
    pub descending: bool,
    /// PostgreSQL's default filled in: first when descending.
    pub nulls_first: bool,
}

/// One entry of FROM.
#[derive(Clone, Debug)]
pub enum FromItem {
    /// Columns are numbered as in `relation.columns`.
    Relation {
        rte: RteId,
        alias: Ident,
        relation: Arc<Relation>,
    },
    /// Columns are numbered as in `query.columns`.
    Subquery {
        rte: RteId,
        alias: Ident,
        query: Box<Query>,
        lateral: bool,
    },
    /// Columns are numbered as in the CTE's `columns`.
    Cte {
        rte: RteId,
        alias: Ident,
        cte: CteId,
        name: Ident,
    },
    /// A set-returning or scalar function as a table. `columns` are its output; with `ordinality` the last is int8.
    Function {
        rte: RteId,
        alias: Ident,
        call: TableFunction,
        columns: Vec<OutputColumn>,
        ordinality: bool,
    },
    /// `on` is `None` for a cross join. USING and NATURAL have become conditions.
    Join {
        kind: JoinKind,
        left: Box<FromItem>,
        right: Box<FromItem>,
        on: Option<Expr>,
    },
}

/// What a function in FROM is.
#[derive(Clone, Debug)]
pub enum TableFunction {
    /// `generate_series`, `json_array_elements` …
    Set {
        function: &'static SetFunctionEntry,
        arguments: Vec<Expr>,
    },
    /// One row with the expression's value.
    Scalar(Box<Expr>),
    /// A `LANGUAGE sql` routine that returns rows; its body with the arguments in place.
    Routine(Box<RoutineCall>),
    /// A routine that is run: its rows, or its one value.
    Run(Box<RoutineRun>),
}

/// An expression with its type.
#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub ty: Type,
    pub modifier: TypeModifier,
    /// 1-based character position in the statement's text; 0 = unknown.
    pub position: u32,
}

/// The forms of expressions.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A constant of the expression's type.
    Literal(Literal),
    /// A value given at run time, from 0.
    Parameter(usize),
    Column {
        rte: RteId,
        column: usize,
    },
    /// The query's own output column (ORDER BY and DISTINCT ON only).
    Output(usize),
    /// From the inner expression's type to this one's, then this one's modifier if it has one (an explicit cast cuts
    /// `varchar(n)` silently, an assignment raises 22001).
    Cast {
        expr: Box<Expr>,
        context: CastContext,
        method: CastMethod,
    },
    /// Two arguments, or one for a prefix operator.
    Operator {
        operator: &'static OperatorEntry,
        arguments: Vec<Expr>,
    },
    Function {
        function: &'static FunctionEntry,
        arguments: Vec<Expr>,
    },
    Aggregate(Box<Aggregate>),
    Window(Box<Window>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    /// A row is null if all of its fields are, and not null if none is.
    IsNull {
        expr: Box<Expr>,
        negated: bool,
    },
    /// `None`: UNKNOWN.
    BooleanTest {
        expr: Box<Expr>,
        value: Option<bool>,
        negated: bool,
    },
    /// `operator` is the `=` of the arguments' types.
    DistinctFrom {
        operator: &'static OperatorEntry,
        left: Box<Expr>,
        right: Box<Expr>,
        negated: bool,
    },
    Case {
        whens: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Coalesce(Vec<Expr>),
    /// `operator` is the `=` of the arguments' types; the result is the left argument or null.
    NullIf {
        operator: &'static OperatorEntry,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    /// Nulls are ignored.
    Greatest(Vec<Expr>),
    Least(Vec<Expr>),
    /// `operator` is the `=` of the elements' type.
    InList {
        operator: &'static OperatorEntry,
        expr: Box<Expr>,
        list: Vec<Expr>,
        negated: bool,
    },
    /// `left op ANY|ALL (query)`, one operator per column. `IN` is `= ANY`, `NOT IN` its negation.
    QuantifiedSubquery {
        operators: Vec<&'static OperatorEntry>,
        all: bool,
        left: Vec<Expr>,
        query: Box<Query>,
        negated: bool,
    },
    /// `x op ANY|ALL (array)` where the array is a value; the operator is over (x's type, element type).
    QuantifiedArray {
        operator: &'static OperatorEntry,
        all: bool,
        left: Box<Expr>,
        array: Box<Expr>,
    },
    Exists(Box<Query>),
    /// One column; null without a row; more than one row is 21000.
    ScalarSubquery(Box<Query>),
    /// `ARRAY(SELECT …)`: one column; empty without a row.
    ArraySubquery(Box<Query>),
    /// Text on both sides. `escape`: `None` = backslash.
    Like {
        kind: LikeKind,
        expr: Box<Expr>,
        pattern: Box<Expr>,
        escape: Option<Box<Expr>>,
        negated: bool,
    },
    /// A row value. `names` are what `to_json` calls its fields (`f1`, `f2` … where nothing else is known).
    /// `rte`: the whole row of that entry, which is null (not a row of nulls) where an outer join found no partner.
    Row {
        fields: Vec<Expr>,
        names: Vec<Ident>,
        rte: Option<RteId>,
    },
    /// `x[i]` on an array, or a key or index on a jsonb value.
    Subscript {
        expr: Box<Expr>,
        index: Box<Expr>,
    },
    Array(Vec<Expr>),
    /// A call of a `LANGUAGE sql` scalar routine, its body in place of the call.
    Routine(Box<RoutineCall>),
    /// A call of a scalar routine that is run.
    Run(Box<RoutineRun>),
    Sequence(Box<SequenceCall>),
    /// Fixed for the whole request.
    Context(ContextValue),
    /// `DEFAULT` in INSERT and UPDATE; nowhere else.
    Default,
}

/// A constant. Text forms are in PostgreSQL's input syntax of the type and have been checked where the type is
/// `int*`, `numeric`, `float*`, `bool`, `uuid` or an enum (then they are canonical); other types' input functions still
/// have to run.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    Null,
    Bool(bool),
    /// Any of the integer types.
    Integer(i64),
    /// `float4` and `float8`.
    Float(f64),
    /// `numeric`: digits as written, canonical (`1.50`, `NaN`).
    Numeric(String),
    /// Everything else.
    Text(Arc<str>),
}

/// Who asked for a cast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CastContext {
    Implicit,
    Assignment,
    Explicit,
}

/// How a cast is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CastMethod {
    /// The value is the same: `varchar` → `text`.
    Relabel,
    /// A conversion of its own: `int4` → `numeric`.
    Function,
    /// Through the text form: the output function of one, then the input function of the other.
    InputOutput,
    /// The type stays, only the modifier is applied.
    ModifierOnly,
}

/// A call of an aggregate, outside OVER.
#[derive(Clone, Debug)]
pub struct Aggregate {
    pub function: &'static AggregateEntry,
    /// Empty for `count(*)`.
    pub arguments: Vec<Expr>,
    pub distinct: bool,
    pub order: Vec<SortKey>,
    pub filter: Option<Expr>,
}

/// A window function call or an aggregate with OVER.
#[derive(Clone, Debug)]
pub struct Window {
    pub function: WindowFunction,
    pub arguments: Vec<Expr>,
    pub filter: Option<Expr>,
    pub partition: Vec<Expr>,
    pub order: Vec<SortKey>,
    pub frame: Option<Frame>,
}

/// What a window computes.
#[derive(Clone, Copy, Debug)]
pub enum WindowFunction {
    Window(&'static WindowEntry),
    Aggregate(&'static AggregateEntry),
}

/// A window's frame.
#[derive(Clone, Debug)]
pub struct Frame {
    pub mode: FrameMode,
    pub start: FrameBound,
    pub end: FrameBound,
    pub exclusion: FrameExclusion,
}

/// One end of a frame; offsets are int8 (ROWS, GROUPS) or of the sort key's difference type (RANGE).
#[derive(Clone, Debug)]
pub enum FrameBound {
    UnboundedPreceding,
    Preceding(Box<Expr>),
    CurrentRow,
    Following(Box<Expr>),
    UnboundedFollowing,
}

/// A `LANGUAGE sql` routine in place. References to its parameters have become the argument expressions; a strict
/// routine's call stands in a CASE that gives null when an argument is null.
#[derive(Clone, Debug)]
pub struct RoutineCall {
    /// Says whose rights hold inside (`security_definer`, `owner`).
    pub routine: Arc<Routine>,
    /// For a scalar call: one column of the return type, of which only the first row counts.
    pub body: Query,
}

/// A call of a routine that cannot stand in place: of several statements, one that writes, of another language, or
/// with arguments that may be evaluated only once.
#[derive(Clone, Debug)]
pub struct RoutineRun {
    pub routine: Arc<Routine>,
    /// In declared order, cast to the declared types, defaults filled in.
    pub arguments: Vec<Expr>,
}

/// A call that reads or moves a sequence.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "only ever in a box")]
pub enum SequenceCall {
    NextVal(Arc<Sequence>),
    CurrVal(Arc<Sequence>),
    /// `is_called` false: the next value is `value` itself.
    SetVal {
        sequence: Arc<Sequence>,
        value: Expr,
        is_called: Option<Expr>,
    },
    LastVal,
}

/// Something fixed for the whole request, to be bound rather than computed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ContextValue {
    /// `now()`, `current_timestamp`, `transaction_timestamp()`, `statement_timestamp()`: timestamptz.
    Now,
    /// date
    CurrentDate,
    /// `current_time`: refused for its type; kept for `localtime`: time.
    LocalTime,
    /// timestamp
    LocalTimestamp,
    /// The role that runs the statement: name.
    CurrentUser,
    /// name
    SessionUser,
    /// name
    CurrentDatabase,
    /// The first schema of the search path: name.
    CurrentSchema,
    /// `auth.uid()`: uuid
    Uid,
    /// `auth.role()`: text
    Role,
    /// `auth.email()`: text
    Email,
    /// `auth.jwt()`: jsonb
    Jwt,
    /// `current_setting(name, missing_ok)`: text; without `missing_ok` an unknown name is 42704.
    Setting { name: Arc<str>, missing_ok: bool },
}

/// `INSERT`. `columns` and each row of `source` are parallel and already cast to the columns' types.
#[derive(Clone, Debug)]
pub struct Insert {
    pub ctes: Vec<Cte>,
    pub recursive: bool,
    pub relation: Arc<Relation>,
    /// The new or existing row, in ON CONFLICT and RETURNING.
    pub rte: RteId,
    pub alias: Ident,
    pub columns: Vec<ColumnIndex>,
    pub source: InsertSource,
    pub overriding: Option<Overriding>,
    pub on_conflict: Option<OnConflict>,
    pub returning: Option<Returning>,
}

/// The rows to insert.
#[derive(Clone, Debug)]
pub enum InsertSource {
    /// [`ExprKind::Default`] may stand for a whole value.
    Values(Vec<Vec<Expr>>),
    Query(Box<Query>),
    /// One row of defaults; `columns` is empty.
    Default,
}

/// `ON CONFLICT`.
#[derive(Clone, Debug)]
pub struct OnConflict {
    /// `None`: any unique key (only with `DO NOTHING`).
    pub key: Option<ConflictKey>,
    pub action: ConflictAction,
}

/// The unique key in which conflicts are looked for.
#[derive(Clone, Debug)]
pub struct ConflictKey {
    pub columns: Vec<ColumnIndex>,
    /// Keys that are expressions, of an expression index.
    pub expressions: Vec<Expr>,
    /// The predicate of a partial index.
    pub filter: Option<Expr>,
}

/// What happens to a row that is there already.
#[derive(Clone, Debug)]
pub enum ConflictAction {
    Nothing,
    Update {
        /// The proposed row, `excluded`, with the relation's columns.
        excluded: RteId,
        assignments: Vec<Assignment>,
        filter: Option<Expr>,
    },
}

/// `SET`.
#[derive(Clone, Debug)]
pub enum Assignment {
    /// Cast to the column's type, or [`ExprKind::Default`].
    Single { column: ColumnIndex, value: Expr },
    /// `SET (a, b) = (SELECT …)`: one row, its columns cast to the columns' types.
    Multiple {
        columns: Vec<ColumnIndex>,
        query: Box<Query>,
    },
}

/// `UPDATE`.
#[derive(Clone, Debug)]
pub struct Update {
    pub ctes: Vec<Cte>,
    pub recursive: bool,
    pub relation: Arc<Relation>,
    pub rte: RteId,
    pub alias: Ident,
    pub assignments: Vec<Assignment>,
    pub from: Vec<FromItem>,
    pub filter: Option<Expr>,
    pub returning: Option<Returning>,
}

/// `DELETE`.
#[derive(Clone, Debug)]
pub struct Delete {
    pub ctes: Vec<Cte>,
    pub recursive: bool,
    pub relation: Arc<Relation>,
    pub rte: RteId,
    pub alias: Ident,
    /// `USING`.
    pub from: Vec<FromItem>,
    pub filter: Option<Expr>,
    pub returning: Option<Returning>,
}

/// `RETURNING`; `columns` and `target` are parallel.
#[derive(Clone, Debug)]
pub struct Returning {
    pub target: Vec<Target>,
    pub columns: Vec<OutputColumn>,
}

/// An expression analysed by itself: a policy, a check, a default.
#[derive(Clone, Debug)]
pub struct BoundExpression {
    pub expr: Expr,
    /// The relation's entry, if it was analysed over one.
    pub rte: Option<RteId>,
}

impl Expr {
    /// An expression without modifier or position.
    pub fn new(kind: ExprKind, ty: Type) -> Self {
        Expr {
            kind,
            ty,
            modifier: TypeModifier::None,
            position: 0,
        }
    }

    /// The same at a position.
    pub fn at(mut self, position: u32) -> Self {
        self.position = position;
        self
    }

    /// A null of type `unknown`.
    pub fn null() -> Self {
        Expr::new(ExprKind::Literal(Literal::Null), Type::Unknown)
    }

    /// True for a null constant.
    pub fn is_null_literal(&self) -> bool {
        matches!(self.kind, ExprKind::Literal(Literal::Null))
    }
}
