//! A plan: what a request decided to do, resolved against the catalog, before any engine's SQL.
//!
//! A plan holds the request's *shape*. Its values stand apart in [`Input`] and are referred to by [`ValueRef`], so one
//! plan and one rendered statement serve every request of the same shape.
//! Invariant: names are resolved (positions in an `Arc<Relation>`), and every [`Source`] carries its access.

use std::sync::Arc;

use bytes::Bytes;

use crate::catalog::{ColumnIndex, MediaHandler, Relation, Relationship, Routine};
use crate::keyset::After;
use crate::name::{Ident, QualifiedName};
use crate::policy::Access;
use crate::types::Type;

/// The position of a value in [`Input::values`].
pub type ValueRef = usize;

/// The position of an embed in [`Read::embeds`].
pub type EmbedIndex = usize;

/// A request's decisions.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The catalog that names were resolved against; a backend refuses to run a plan of another version.
    pub catalog_version: u64,
    pub role: Ident,
    pub format: Format,
    /// With [`Format::Raw`] over rows: the aggregate that makes the document of them.
    pub handler: Option<Arc<MediaHandler>>,
    /// The engine's plan is wanted instead of the rows.
    pub explain: Option<Explain>,
    pub action: Action,
}

/// How the engine's plan is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Explain {
    pub json: bool,
    /// The statement is run, too.
    pub analyze: bool,
    pub verbose: bool,
    pub settings: bool,
    pub buffers: bool,
    pub wal: bool,
}

/// How rows become bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// One JSON object per row, separated by commas; the brackets are the response's business.
    #[default]
    Json,
    /// The same without members that are null.
    JsonStripNulls,
    /// RFC 4180 rows with a header line, values in PostgreSQL's text form.
    Csv,
    /// One value as it is: the bytes of a `bytea`, the text of anything else.
    Raw,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Action {
    Read(Read),
    Insert(Insert),
    Update(Update),
    Delete(Delete),
    Call(Call),
}

/// A relation and the leave to use it.
#[derive(Clone, Debug)]
pub struct Source {
    pub relation: Arc<Relation>,
    pub access: Access,
}

/// A read of one relation with whatever is embedded in it.
#[derive(Clone, Debug)]
pub struct Read {
    pub source: Source,
    pub output: Vec<Output>,
    pub embeds: Vec<Embed>,
    pub filter: Option<Predicate>,
    pub order: Vec<Order>,
    /// Rows; an integer value.
    pub limit: Option<ValueRef>,
    /// Rows; an integer value.
    pub offset: Option<ValueRef>,
    pub count: Count,
    /// With aggregates each row stands for a group of rows: then this says what is shown and sorted by, and `output` and
    /// `order` are empty.
    pub grouping: Option<Box<Grouping>>,
    /// The rows come page by page; `order` ends with a key of the relation then. Only at a plan's root.
    pub paging: Option<Paging>,
}

/// A read that goes on where another page ended.
#[derive(Clone, Debug)]
pub struct Paging {
    /// `None`: from the beginning.
    pub after: Option<Position>,
}

/// A place in an order. What is counted does not depend on it.
#[derive(Clone, Debug)]
pub struct Position {
    /// For each key of the order its value there; `None` is null.
    pub values: Vec<Option<ValueRef>>,
    /// What the rows after it have in common.
    pub condition: After,
}

/// How rows are put together: by every member that is not an aggregate.
#[derive(Clone, Debug)]
pub struct Grouping {
    pub members: Vec<GroupMember>,
    pub order: Vec<GroupOrder>,
}

/// One member of a group's JSON object, in order.
#[derive(Clone, Debug)]
pub struct GroupMember {
    /// `None`: grouped by and not shown.
    pub name: Option<Ident>,
    /// The to-one spreads that lead from the read to the row that the value is of.
    pub path: Vec<EmbedIndex>,
    pub value: GroupValue,
}

/// What a member of a group is.
#[derive(Clone, Debug)]
pub enum GroupValue {
    Field {
        field: Field,
        cast: Option<Cast>,
    },
    /// An embed of the row at the path; rows are grouped by its content.
    Embed(EmbedIndex),
    Aggregate(Aggregate),
}

/// An aggregate over the rows of a group.
#[derive(Clone, Debug)]
pub struct Aggregate {
    pub function: AggregateFunction,
    /// What it is given, with its cast; `None`: the rows are counted that there are at the path.
    pub over: Option<(Field, Option<Cast>)>,
    /// Of the result.
    pub cast: Option<Cast>,
}

/// The aggregates that a request may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggregateFunction {
    Sum,
    Avg,
    Count,
    Max,
    Min,
}

impl AggregateFunction {
    /// Its name, in requests, in SQL, and as the key of its result.
    pub fn name(self) -> &'static str {
        match self {
            AggregateFunction::Sum => "sum",
            AggregateFunction::Avg => "avg",
            AggregateFunction::Count => "count",
            AggregateFunction::Max => "max",
            AggregateFunction::Min => "min",
        }
    }
}

/// One sort key of groups.
#[derive(Clone, Copy, Debug)]
pub struct GroupOrder {
    /// Position in [`Grouping::members`].
    pub member: usize,
    pub descending: bool,
    pub nulls_first: Option<bool>,
}

/// `Prefer: count=`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Count {
    #[default]
    None,
    Exact,
    /// The engine's estimate.
    Planned,
    /// Exact up to the response's row limit, the engine's estimate beyond it.
    Estimated,
}

/// One member of a row's JSON object, in order.
#[derive(Clone, Debug)]
pub enum Output {
    Column {
        name: Ident,
        field: Field,
        cast: Option<Cast>,
    },
    /// `name: {…}`, `name: […]`, by the embed's cardinality.
    Embed { name: Ident, embed: EmbedIndex },
    /// The embed's members become members of this row: plain values for a to-one embed (null where there is no row),
    /// arrays of values for a to-many embed.
    Spread { embed: EmbedIndex },
}

/// `?select=column::type`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cast {
    /// The type's name as the request spelled it, lower case; PostgreSQL resolves it.
    pub name: String,
    /// The same type resolved, where it is known.
    pub ty: Option<Type>,
}

/// A column, or a place inside its JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub base: Base,
    pub path: Vec<JsonStep>,
    /// The last step is `->>`: the result is text. Meaningless without a path.
    pub as_text: bool,
}

impl Field {
    /// The column itself.
    pub fn column(column: ColumnIndex) -> Self {
        Field {
            base: Base::Column(column),
            path: Vec::new(),
            as_text: false,
        }
    }
}

/// What a field begins from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    Column(ColumnIndex),
    /// A routine of the row: a computed column.
    Computed(Arc<ComputedColumn>),
}

impl Base {
    /// The column, if it is one of the relation's own.
    pub fn column(&self) -> Option<ColumnIndex> {
        match self {
            Base::Column(column) => Some(*column),
            Base::Computed(_) => None,
        }
    }
}

/// A routine whose only argument is a row of the relation, and which returns one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComputedColumn {
    pub routine: QualifiedName,
    pub ty: Type,
}

/// One step of a JSON path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonStep {
    /// An object's member; a text value.
    Key(ValueRef),
    /// An array's element, negative from the end; an integer value. As PostgREST has it, a step that looks like an
    /// integer is an index.
    Index(ValueRef),
}

/// A relation embedded in another.
#[derive(Clone, Debug)]
pub struct Embed {
    /// The key under which filters and messages know it: the alias or the relation's name.
    pub name: Ident,
    pub relationship: Arc<Relationship>,
    /// Access to the junction of a many-to-many relationship.
    pub junction: Option<Source>,
    pub cardinality: Cardinality,
    /// `!inner`: rows of the parent without a row here are left out.
    pub inner: bool,
    pub read: Read,
}

/// How many rows an embed has for one row of its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    One,
    Many,
}

/// A condition on a row.
#[derive(Clone, Debug)]
pub enum Predicate {
    And(Vec<Predicate>),
    Or(Vec<Predicate>),
    Not(Box<Predicate>),
    Compare {
        field: Field,
        operator: Operator,
        value: ValueRef,
    },
    /// `op(any).{…}` and `op(all).{…}`: a list value.
    Quantified {
        field: Field,
        operator: Operator,
        quantifier: Quantifier,
        values: ValueRef,
    },
    /// A list value; empty lists match nothing.
    In {
        field: Field,
        values: ValueRef,
    },
    Is {
        field: Field,
        what: IsValue,
    },
    IsDistinct {
        field: Field,
        value: ValueRef,
    },
    /// Full text: `field @@ query`.
    FullText {
        field: Field,
        query: FullTextQuery,
        language: Option<ValueRef>,
        value: ValueRef,
    },
    /// True if the embed has no row for this row of the parent.
    EmbedIsNull(EmbedIndex),
}

/// Comparison operators; a field is on the left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    Eq,
    Neq,
    Gt,
    Gte,
    Lt,
    Lte,
    /// `*` is already `%`.
    Like,
    Ilike,
    /// `~`
    Match,
    /// `~*`
    Imatch,
    /// `@>`
    Contains,
    /// `<@`
    Contained,
    /// `&&`
    Overlap,
    /// `<<`
    StrictlyLeft,
    /// `>>`
    StrictlyRight,
    /// `&<`
    NotExtendsRight,
    /// `&>`
    NotExtendsLeft,
    /// `-|-`
    Adjacent,
}

impl Operator {
    /// PostgreSQL's spelling.
    pub fn sql(self) -> &'static str {
        match self {
            Operator::Eq => "=",
            Operator::Neq => "<>",
            Operator::Gt => ">",
            Operator::Gte => ">=",
            Operator::Lt => "<",
            Operator::Lte => "<=",
            Operator::Like => "LIKE",
            Operator::Ilike => "ILIKE",
            Operator::Match => "~",
            Operator::Imatch => "~*",
            Operator::Contains => "@>",
            Operator::Contained => "<@",
            Operator::Overlap => "&&",
            Operator::StrictlyLeft => "<<",
            Operator::StrictlyRight => ">>",
            Operator::NotExtendsRight => "&<",
            Operator::NotExtendsLeft => "&>",
            Operator::Adjacent => "-|-",
        }
    }
}

/// Over the elements of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quantifier {
    Any,
    All,
}

/// What `is.` may be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IsValue {
    Null,
    NotNull,
    True,
    False,
    Unknown,
}

/// The functions that make a text search query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FullTextQuery {
    /// `to_tsquery`
    Plain,
    /// `plainto_tsquery`
    PlainTo,
    /// `phraseto_tsquery`
    PhraseTo,
    /// `websearch_to_tsquery`
    WebSearch,
}

/// One sort key.
#[derive(Clone, Debug)]
pub struct Order {
    pub target: OrderTarget,
    pub descending: bool,
    /// `None`: PostgreSQL's default, last when ascending and first when descending.
    pub nulls_first: Option<bool>,
}

/// What is sorted by.
#[derive(Clone, Debug)]
pub enum OrderTarget {
    Field(Field),
    /// A field of a to-one embed: `order=clients(name)`.
    Related {
        embed: EmbedIndex,
        field: Field,
    },
}

/// An insert or an upsert of the rows in [`Input::payload`].
#[derive(Clone, Debug)]
pub struct Insert {
    pub source: Source,
    /// The columns that the rows may set, in statement order; others in the payload are ignored.
    pub columns: Vec<ColumnIndex>,
    pub missing: Missing,
    pub conflict: Option<Conflict>,
    pub returning: Returning,
    /// PUT: the one row must match these (column, value) pairs, else `PutMismatch`.
    pub must_match: Vec<(ColumnIndex, ValueRef)>,
}

/// What a column absent from a row becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Missing {
    #[default]
    Null,
    Default,
}

/// `ON CONFLICT`.
#[derive(Clone, Debug)]
pub struct Conflict {
    /// The unique key that conflicts are looked for in.
    pub columns: Vec<ColumnIndex>,
    pub action: ConflictAction,
}

/// What happens to a row that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConflictAction {
    /// Every column of the payload is overwritten.
    Merge,
    Ignore,
}

/// An update of the rows that match, with the one object in [`Input::payload`].
#[derive(Clone, Debug)]
pub struct Update {
    pub source: Source,
    pub columns: Vec<ColumnIndex>,
    pub missing: Missing,
    pub filter: Option<Predicate>,
    pub returning: Returning,
}

/// A delete of the rows that match.
#[derive(Clone, Debug)]
pub struct Delete {
    pub source: Source,
    pub filter: Option<Predicate>,
    pub returning: Returning,
}

/// What a write gives back.
#[derive(Clone, Debug)]
pub struct Returning {
    /// The representation of the affected rows: `output`, `embeds` and `order` apply, and `filter` as far as it
    /// concerns embeds. `None`: no body.
    pub read: Option<Read>,
    /// The primary key of the (one) inserted row, for `Location`.
    pub location: Vec<ColumnIndex>,
}

/// A call of a routine.
#[derive(Clone, Debug)]
pub struct Call {
    pub routine: Arc<Routine>,
    pub arguments: Vec<CallArgument>,
    pub result: CallResult,
    pub access: Access,
}

/// One argument given by the caller.
#[derive(Clone, Debug)]
pub struct CallArgument {
    /// Position in [`Routine::arguments`].
    pub argument: usize,
    pub value: ValueRef,
}

/// What comes back from a call.
#[derive(Clone, Debug)]
pub enum CallResult {
    Void,
    /// One bare JSON value.
    Scalar,
    /// An array of bare JSON values.
    ScalarSet,
    /// Rows. The read's relation is the routine's row type; `single`: one object instead of an array.
    Rows {
        read: Box<Read>,
        single: bool,
    },
}

/// What a plan's shape leaves open, and how it is to be run.
#[derive(Clone, Debug, Default)]
pub struct Input {
    pub values: Vec<Value>,
    /// The rows of an insert (a JSON object or array of objects) or the object of an update. Bodies of other media
    /// types have been turned into JSON, their cells into strings and nulls.
    pub payload: Option<Bytes>,
    pub options: Options,
}

/// One value from a request. Text is in PostgreSQL's input syntax of the type it is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Text(String),
    Integer(i64),
    List(Vec<String>),
    /// A JSON value as the caller wrote it (arguments of a call).
    Json(String),
}

/// How a statement is run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Roll back at the end, whatever happened.
    pub rollback: bool,
    /// Roll back with `TooManyAffected` above this number of rows.
    pub affected_max: Option<u64>,
    /// Roll back with `NotSingular` unless exactly one row is returned.
    pub singular: bool,
    /// The transaction may not write (GET of a routine).
    pub read_only: bool,
    /// A routine to call first, in the same transaction and role.
    pub pre_request: Option<QualifiedName>,
    /// Rows up to which `Count::Estimated` is exact; `None`: [`ESTIMATED_ROWS_EXACT`].
    pub count_max: Option<u64>,
    /// Rows of a page, with [`Paging`]. The plan's limit is one more: that row says that there is another page.
    pub page_rows: Option<u64>,
}

/// Rows up to which an estimated count is exact where nobody has said more or less.
pub const ESTIMATED_ROWS_EXACT: u64 = 1_000;

impl Options {
    /// Rows up to which `Count::Estimated` is exact.
    pub fn estimated_rows_exact(&self) -> u64 {
        self.count_max.unwrap_or(ESTIMATED_ROWS_EXACT)
    }
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The rows as bytes in the plan's format.
    pub body: Vec<u8>,
    /// Rows in `body`; for writes without a representation, 0.
    pub rows: u64,
    /// Rows that match without limit and offset, if a count was asked for.
    pub total: Option<u64>,
    /// Rows inserted, updated or deleted.
    pub affected: u64,
    /// Of an upsert: rows that were new.
    pub inserted: u64,
    /// Column name and text value, for `Location`.
    pub location: Vec<(Ident, String)>,
    /// `response.headers` as set by the database: a JSON array of one-member objects.
    pub response_headers: Option<String>,
    /// `response.status` as set by the database.
    pub response_status: Option<String>,
    /// The rows of a room's own statement, values as PostgreSQL's text output in UTC.
    pub cells: Vec<Vec<Option<String>>>,
    /// With [`Paging`], if the page is full: the order's keys in its last row, as text.
    pub last_keys: Option<Vec<Option<String>>>,
    /// With [`Paging`]: there is a row after the page's last.
    pub has_more: bool,
}
