//! How types are spelled in the names of library functions, and how their values are compared.

use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::Type;

use super::writer::physical_name;
use crate::values::order::ENUM_ARRAY_SUFFIX;

/// The part of a library function's name that stands for a scalar type: `pg_out_<suffix>`.
///
/// Errors: 0A000 for a type that the embedded engine does not have.
pub fn suffix(ty: &Type) -> Result<&'static str, DatabaseError> {
    Ok(match ty.base() {
        Type::Bool => "bool",
        Type::Int2 => "int2",
        Type::Int4 => "int4",
        Type::Int8 | Type::Oid => "int8",
        Type::Float4 => "float4",
        Type::Float8 => "float8",
        Type::Numeric => "numeric",
        Type::Text | Type::Varchar | Type::Name | Type::Char | Type::Citext | Type::Unknown | Type::Enum(_) => "text",
        Type::Uuid => "uuid",
        Type::Timestamptz => "timestamptz",
        Type::Timestamp => "timestamp",
        Type::Date => "date",
        Type::Time => "time",
        Type::Interval => "interval",
        Type::Json => "json",
        Type::Jsonb => "jsonb",
        Type::Bytea => "bytea",
        Type::Tsvector => "tsvector",
        Type::Tsquery => "tsquery",
        Type::Regconfig => "regconfig",
        Type::Vector => "vector",
        other => return Err(DatabaseError::unavailable(&format!("type {other}"), "", 1, None)),
    })
}

/// The collation by which values of `ty` are ordered and told apart; `None` where SQLite's own comparison is right.
///
/// Indexes and compiled comparisons must agree on it, so both ask here.
pub fn collation(ty: &Type) -> Option<Collation> {
    match ty.base() {
        Type::Numeric => Some(Collation::Numeric),
        Type::Interval => Some(Collation::Interval),
        Type::Jsonb => Some(Collation::Jsonb),
        Type::Citext => Some(Collation::Citext),
        Type::Enum(name) => Some(Collation::Enum(enum_collation(name))),
        Type::Array(element) => Some(match element.base() {
            Type::Interval => Collation::IntervalArray,
            Type::Jsonb => Collation::JsonbArray,
            Type::Enum(name) => {
                let mut text = enum_collation(name).to_string();
                text.push_str(ENUM_ARRAY_SUFFIX);
                Collation::EnumArray(Ident::from(text))
            }
            // Equal numbers may have different digits.
            Type::Numeric | Type::Float4 | Type::Float8 => Collation::NumberArray,
            _ => Collation::Array,
        }),
        _ => None,
    }
}

/// Refuses types whose values cannot be put in PostgreSQL's order: that of its memory. Errors: 0A000.
pub fn check_ordered(ty: &Type) -> Result<(), DatabaseError> {
    match ty.base() {
        Type::Tsvector | Type::Tsquery | Type::Vector | Type::Record | Type::Composite(_) => {
            let feature = match ty.base() {
                Type::Record | Type::Composite(_) => "the order of rows as values",
                Type::Tsvector => "the order of tsvector values",
                Type::Tsquery => "the order of tsquery values",
                _ => "the order of vector values",
            };
            Err(DatabaseError::unavailable(
                feature,
                "",
                1,
                Some("order by another column or a distance"),
            ))
        }
        _ => Ok(()),
    }
}

/// Refuses types whose values may be equal in another form. Errors: 0A000.
pub fn check_compared(ty: &Type) -> Result<(), DatabaseError> {
    let feature = match ty.base() {
        Type::Tsquery => "telling tsquery values apart",
        Type::Vector => "telling vectors apart by GROUP BY, DISTINCT or IN",
        Type::Record | Type::Composite(_) => "telling rows apart as values",
        _ => return Ok(()),
    };
    let way = match ty.base() {
        Type::Record | Type::Composite(_) => "their columns",
        _ => "compare their text",
    };
    Err(DatabaseError::unavailable(feature, "", 1, Some(way)))
}

/// A collation of the library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Collation {
    Numeric,
    Interval,
    Jsonb,
    Citext,
    /// The name that `values::order::register_enum` registers.
    Enum(Ident),
    /// Element by element; equal arrays are equal texts.
    Array,
    NumberArray,
    IntervalArray,
    JsonbArray,
    EnumArray(Ident),
}

impl Collation {
    /// The registered name.
    pub fn name(&self) -> Ident {
        match self {
            Collation::Numeric => Ident::new("pg_numeric"),
            Collation::Interval => Ident::new("pg_interval"),
            Collation::Jsonb => Ident::new("pg_jsonb"),
            Collation::Citext => Ident::new("pg_citext"),
            Collation::Enum(name) | Collation::EnumArray(name) => name.clone(),
            Collation::Array | Collation::NumberArray => Ident::new("pg_array"),
            Collation::IntervalArray => Ident::new("pg_array_interval"),
            Collation::JsonbArray => Ident::new("pg_array_jsonb"),
        }
    }

    /// True if equal values may be stored as different texts, so that even `=` needs the collation.
    pub fn changes_equality(&self) -> bool {
        !matches!(self, Collation::Enum(_) | Collation::Array | Collation::EnumArray(_))
    }
}

/// The collation that orders an enum's labels as declared.
pub fn enum_collation(name: &QualifiedName) -> Ident {
    let mut text = String::from("enum_");
    text.push_str(&physical_name(name));
    Ident::from(text)
}
