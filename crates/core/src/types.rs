//! PostgreSQL's types as the catalog names them.
//!
//! Source: PostgreSQL 15 manual, chapter 8; names as `format_type` prints them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::QualifiedName;

/// A type without its modifier. Types outside the portable subset are [`Type::Other`]: only PostgreSQL has them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Type {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    Text,
    Varchar,
    /// `character(n)`; PostgreSQL only.
    Bpchar,
    /// The system type `name`.
    Name,
    /// The system type `"char"`: one byte, in the system catalogs' codes.
    Char,
    /// Text that is compared without regard to case; of the extension of that name.
    Citext,
    Uuid,
    Timestamptz,
    Timestamp,
    Date,
    Time,
    /// PostgreSQL only.
    Timetz,
    Interval,
    Json,
    Jsonb,
    Bytea,
    /// A document for full text search.
    Tsvector,
    /// A full text query.
    Tsquery,
    /// The name of a text search configuration.
    Regconfig,
    /// pgvector's type; the modifier is the number of dimensions.
    Vector,
    Oid,
    Void,
    /// The type of a quoted literal before it takes its neighbour's.
    Unknown,
    Record,
    Enum(QualifiedName),
    Array(Box<Type>),
    Domain(QualifiedName, Box<Type>),
    Composite(QualifiedName),
    Other(QualifiedName),
}

/// What a declaration adds to a type: `varchar(10)`, `numeric(10,2)`, `timestamptz(3)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TypeModifier {
    #[default]
    None,
    /// Characters.
    Length(u32),
    /// Digits in all, digits after the point.
    Numeric { precision: u16, scale: i16 },
    /// Digits of the seconds' fraction.
    Fraction(u8),
}

/// PostgreSQL's categories, which steer implicit casts (manual, 54.64 `pg_type.typcategory`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    Array,
    Boolean,
    Composite,
    DateTime,
    Enum,
    Numeric,
    String,
    Timespan,
    UserDefined,
    Unknown,
    Pseudo,
}

impl Type {
    /// The category used when operators and functions are resolved.
    pub fn category(&self) -> Category {
        match self {
            Type::Bool => Category::Boolean,
            Type::Int2
            | Type::Int4
            | Type::Int8
            | Type::Float4
            | Type::Float8
            | Type::Numeric
            | Type::Oid
            | Type::Regconfig => Category::Numeric,
            Type::Text | Type::Varchar | Type::Bpchar | Type::Name | Type::Citext => Category::String,
            Type::Timestamptz | Type::Timestamp | Type::Date | Type::Time | Type::Timetz => Category::DateTime,
            Type::Interval => Category::Timespan,
            Type::Uuid
            | Type::Json
            | Type::Jsonb
            | Type::Bytea
            | Type::Tsvector
            | Type::Tsquery
            | Type::Vector
            | Type::Char
            | Type::Other(_) => Category::UserDefined,
            Type::Void => Category::Pseudo,
            Type::Record => Category::Pseudo,
            Type::Unknown => Category::Unknown,
            Type::Enum(_) => Category::Enum,
            Type::Array(_) => Category::Array,
            Type::Domain(_, base) => base.category(),
            Type::Composite(_) => Category::Composite,
        }
    }

    /// The type below any domain.
    pub fn base(&self) -> &Type {
        match self {
            Type::Domain(_, base) => base.base(),
            other => other,
        }
    }

    /// Calls `found` with every enum, domain and row type that the type is made of.
    pub fn each_named<'a>(&'a self, found: &mut dyn FnMut(&'a QualifiedName)) {
        match self {
            Type::Enum(name) | Type::Composite(name) => found(name),
            Type::Domain(name, base) => {
                found(name);
                base.each_named(found);
            }
            Type::Array(element) => element.each_named(found),
            _ => {}
        }
    }

    /// True if the type is made of the enum, domain or row type `name`.
    pub fn is_made_of(&self, name: &QualifiedName) -> bool {
        let mut is_made = false;
        self.each_named(&mut |found| is_made |= found == name);
        is_made
    }

    /// The same type with an enum, domain or row type under another name.
    pub fn with_renamed(&self, from: &QualifiedName, to: &QualifiedName) -> Type {
        let named = |name: &QualifiedName| if name == from { to.clone() } else { name.clone() };
        match self {
            Type::Enum(name) => Type::Enum(named(name)),
            Type::Composite(name) => Type::Composite(named(name)),
            Type::Domain(name, base) => Type::Domain(named(name), Box::new(base.with_renamed(from, to))),
            Type::Array(element) => Type::Array(Box::new(element.with_renamed(from, to))),
            other => other.clone(),
        }
    }

    /// True for the types whose values are kept as text and compared byte by byte.
    pub fn is_textual(&self) -> bool {
        matches!(self.base(), Type::Text | Type::Varchar | Type::Bpchar | Type::Name)
    }

    /// True for `int2`, `int4` and `int8`.
    pub fn is_integer(&self) -> bool {
        matches!(self.base(), Type::Int2 | Type::Int4 | Type::Int8)
    }

    /// True for `json` and `jsonb`.
    pub fn is_json(&self) -> bool {
        matches!(self.base(), Type::Json | Type::Jsonb)
    }

    /// The short internal name (`pg_type.typname`): `int4`, `bool`, `timestamptz`, `_text`.
    pub fn internal_name(&self) -> String {
        match self {
            Type::Bool => "bool".into(),
            Type::Int2 => "int2".into(),
            Type::Int4 => "int4".into(),
            Type::Int8 => "int8".into(),
            Type::Float4 => "float4".into(),
            Type::Float8 => "float8".into(),
            Type::Numeric => "numeric".into(),
            Type::Text => "text".into(),
            Type::Varchar => "varchar".into(),
            Type::Bpchar => "bpchar".into(),
            Type::Name => "name".into(),
            Type::Char => "char".into(),
            Type::Citext => "citext".into(),
            Type::Uuid => "uuid".into(),
            Type::Timestamptz => "timestamptz".into(),
            Type::Timestamp => "timestamp".into(),
            Type::Date => "date".into(),
            Type::Time => "time".into(),
            Type::Timetz => "timetz".into(),
            Type::Interval => "interval".into(),
            Type::Json => "json".into(),
            Type::Jsonb => "jsonb".into(),
            Type::Bytea => "bytea".into(),
            Type::Tsvector => "tsvector".into(),
            Type::Tsquery => "tsquery".into(),
            Type::Regconfig => "regconfig".into(),
            Type::Vector => "vector".into(),
            Type::Oid => "oid".into(),
            Type::Void => "void".into(),
            Type::Unknown => "unknown".into(),
            Type::Record => "record".into(),
            Type::Array(element) => format!("_{}", element.internal_name()),
            Type::Enum(name) | Type::Domain(name, _) | Type::Composite(name) | Type::Other(name) => {
                name.name.to_string()
            }
        }
    }

    /// The type that a name from SQL or from a request's cast (`?select=a::int`) stands for, among the built-in ones.
    /// `None` leaves the name to the catalog (enums, domains) or to PostgreSQL.
    pub fn from_builtin_name(name: &str) -> Option<Type> {
        Some(match name {
            "bool" | "boolean" => Type::Bool,
            "int2" | "smallint" => Type::Int2,
            "int" | "int4" | "integer" => Type::Int4,
            "int8" | "bigint" => Type::Int8,
            "float4" | "real" => Type::Float4,
            "float8" | "double precision" | "float" => Type::Float8,
            "numeric" | "decimal" => Type::Numeric,
            "text" => Type::Text,
            "varchar" | "character varying" => Type::Varchar,
            "bpchar" | "char" | "character" => Type::Bpchar,
            "name" => Type::Name,
            "uuid" => Type::Uuid,
            "timestamptz" | "timestamp with time zone" => Type::Timestamptz,
            "timestamp" | "timestamp without time zone" => Type::Timestamp,
            "date" => Type::Date,
            "time" | "time without time zone" => Type::Time,
            "timetz" | "time with time zone" => Type::Timetz,
            "interval" => Type::Interval,
            "json" => Type::Json,
            "jsonb" => Type::Jsonb,
            "bytea" => Type::Bytea,
            "tsvector" => Type::Tsvector,
            "tsquery" => Type::Tsquery,
            "regconfig" => Type::Regconfig,
            "oid" => Type::Oid,
            "void" => Type::Void,
            "record" => Type::Record,
            _ => return None,
        })
    }

    /// The type as SQL and messages spell it (`format_type`): `integer`, `character varying(10)`, `text[]`.
    pub fn display(&self, modifier: TypeModifier) -> String {
        let base = match self {
            Type::Bool => "boolean",
            Type::Int2 => "smallint",
            Type::Int4 => "integer",
            Type::Int8 => "bigint",
            Type::Float4 => "real",
            Type::Float8 => "double precision",
            Type::Varchar => "character varying",
            Type::Bpchar => "character",
            Type::Char => "\"char\"",
            Type::Timestamptz | Type::Timestamp | Type::Time | Type::Timetz => {
                let precision = match modifier {
                    TypeModifier::Fraction(digits) => format!("({digits})"),
                    _ => String::new(),
                };
                let (head, tail) = match self {
                    Type::Timestamptz => ("timestamp", " with time zone"),
                    Type::Timestamp => ("timestamp", " without time zone"),
                    Type::Time => ("time", " without time zone"),
                    _ => ("time", " with time zone"),
                };
                return format!("{head}{precision}{tail}");
            }
            Type::Array(element) => return format!("{}[]", element.display(modifier)),
            other => return format!("{}{modifier}", other.internal_name()),
        };
        format!("{base}{modifier}")
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display(TypeModifier::None))
    }
}

impl fmt::Display for TypeModifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TypeModifier::None => Ok(()),
            TypeModifier::Length(length) => write!(f, "({length})"),
            TypeModifier::Numeric { precision, scale } => write!(f, "({precision},{scale})"),
            TypeModifier::Fraction(digits) => write!(f, "({digits})"),
        }
    }
}
