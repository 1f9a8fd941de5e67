//! The vocabulary of the operator and function tables: argument types and ways of computing.

use mainstay_core::types::Type;

/// A declared argument or result type. `Copy`, unlike [`Type`], so that tables can be static.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arg {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    Text,
    Varchar,
    Bpchar,
    Name,
    Citext,
    Uuid,
    Timestamptz,
    Timestamp,
    Date,
    Time,
    Interval,
    Json,
    Jsonb,
    Bytea,
    Tsvector,
    Tsquery,
    Regconfig,
    Vector,
    /// The system type `"char"`: one byte.
    QuotedChar,
    Oid,
    Void,
    Record,
    TextArray,
    Int4Array,
    Float4Array,
    /// `"char"[]`.
    QuotedCharArray,
    /// `anyelement`: any type, the same wherever it is named.
    AnyElement,
    AnyArray,
    /// Anything but an array.
    AnyNonArray,
    AnyEnum,
    /// `anycompatible`: the common type of all arguments so declared.
    AnyCompatible,
    AnyCompatibleArray,
    /// `"any"`: no rule.
    Any,
}

impl Arg {
    /// The type, unless it is polymorphic.
    pub fn concrete(self) -> Option<Type> {
        Some(match self {
            Arg::Bool => Type::Bool,
            Arg::Int2 => Type::Int2,
            Arg::Int4 => Type::Int4,
            Arg::Int8 => Type::Int8,
            Arg::Float4 => Type::Float4,
            Arg::Float8 => Type::Float8,
            Arg::Numeric => Type::Numeric,
            Arg::Text => Type::Text,
            Arg::Varchar => Type::Varchar,
            Arg::Bpchar => Type::Bpchar,
            Arg::Name => Type::Name,
            Arg::Citext => Type::Citext,
            Arg::Uuid => Type::Uuid,
            Arg::Timestamptz => Type::Timestamptz,
            Arg::Timestamp => Type::Timestamp,
            Arg::Date => Type::Date,
            Arg::Time => Type::Time,
            Arg::Interval => Type::Interval,
            Arg::Json => Type::Json,
            Arg::Jsonb => Type::Jsonb,
            Arg::Bytea => Type::Bytea,
            Arg::Tsvector => Type::Tsvector,
            Arg::Tsquery => Type::Tsquery,
            Arg::Regconfig => Type::Regconfig,
            Arg::Vector => Type::Vector,
            Arg::QuotedChar => Type::Char,
            Arg::Oid => Type::Oid,
            Arg::Void => Type::Void,
            Arg::Record => Type::Record,
            Arg::TextArray => Type::Array(Box::new(Type::Text)),
            Arg::Int4Array => Type::Array(Box::new(Type::Int4)),
            Arg::Float4Array => Type::Array(Box::new(Type::Float4)),
            Arg::QuotedCharArray => Type::Array(Box::new(Type::Char)),
            Arg::AnyElement
            | Arg::AnyArray
            | Arg::AnyNonArray
            | Arg::AnyEnum
            | Arg::AnyCompatible
            | Arg::AnyCompatibleArray
            | Arg::Any => return None,
        })
    }

    /// True if `ty` is exactly this type.
    pub fn is(self, ty: &Type) -> bool {
        match (self, ty) {
            (Arg::Bool, Type::Bool)
            | (Arg::Int2, Type::Int2)
            | (Arg::Int4, Type::Int4)
            | (Arg::Int8, Type::Int8)
            | (Arg::Float4, Type::Float4)
            | (Arg::Float8, Type::Float8)
            | (Arg::Numeric, Type::Numeric)
            | (Arg::Text, Type::Text)
            | (Arg::Varchar, Type::Varchar)
            | (Arg::Bpchar, Type::Bpchar)
            | (Arg::Name, Type::Name)
            | (Arg::Citext, Type::Citext)
            | (Arg::Uuid, Type::Uuid)
            | (Arg::Timestamptz, Type::Timestamptz)
            | (Arg::Timestamp, Type::Timestamp)
            | (Arg::Date, Type::Date)
            | (Arg::Time, Type::Time)
            | (Arg::Interval, Type::Interval)
            | (Arg::Json, Type::Json)
            | (Arg::Jsonb, Type::Jsonb)
            | (Arg::Bytea, Type::Bytea)
            | (Arg::Tsvector, Type::Tsvector)
            | (Arg::Tsquery, Type::Tsquery)
            | (Arg::Regconfig, Type::Regconfig)
            | (Arg::Vector, Type::Vector)
            | (Arg::Oid, Type::Oid)
            | (Arg::Void, Type::Void)
            | (Arg::Record, Type::Record) => true,
            (Arg::TextArray, Type::Array(element)) => **element == Type::Text,
            (Arg::Int4Array, Type::Array(element)) => **element == Type::Int4,
            (Arg::Float4Array, Type::Array(element)) => **element == Type::Float4,
            (Arg::QuotedChar, Type::Char) => true,
            _ => false,
        }
    }

    /// True for the types that stand for others.
    pub fn is_polymorphic(self) -> bool {
        self.concrete().is_none()
    }
}

/// How an operator or function is computed on stored values, independent of any engine's syntax. Library names are
/// those of the value library (`crates/backend-sqlite/src/values/NAMES.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Implementation {
    /// `= <> < <= > >=` on stored forms in the order of the arguments' type (collation by type).
    Compare,
    /// A native operator or function of that spelling, safe on the stored forms.
    Native(&'static str),
    /// A plain call with the arguments in order.
    Library(&'static str),
    /// The same, negated.
    NegatedLibrary(&'static str),
    /// A call over arrays: an argument that is one element (a polymorphic slot that is no array) is given as JSON text.
    Elements(&'static str),
    /// The same, and where the elements' type tells values apart by more than their text, its name comes last.
    ElementsByType(&'static str),
    /// A plain call; every argument first goes through its type's output function (`pg_out_T`).
    LibraryOutput(&'static str),
    /// A plain call; every argument as JSON text (`pg_to_json_T` / `pg_to_jsonb_T`; keys of objects as text).
    LibraryJson(&'static str),
    LibraryJsonb(&'static str),
    /// The value itself as JSON text, by its type.
    ToJson,
    ToJsonb,
    /// Spelled by each engine, which knows the entry by its name.
    Engine,
}
