//! The door between text, stored values and JSON: [`input`], [`output`], [`cast_text`], [`write_json`].
//!
//! Invariant: what [`input`] gives, [`write_json`] prints as PostgreSQL's `row_to_json` prints the same value.

use mainstay_core::types::{Type, TypeModifier};
use rusqlite::types::{Value, ValueRef};

use super::datetime::interval::Interval;
use super::datetime::{self, parse};
use super::errors::{PgError, Result};
use super::numeric::Numeric;
use super::text_search::config::Config;
use super::text_search::query::TsQuery;
use super::text_search::vector::TsVector;
use super::vector::Vector;
use super::{array, boolean, bytea, float, integer, json, jsonb, text, uuid};

/// How a type's values are stored and printed. Domains are their base type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    /// Also `varchar`, `name` and enums, whose labels are checked elsewhere.
    Text,
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
    Array(Box<Kind>),
}

impl Kind {
    /// The kind of a catalog type; `None` for types that only PostgreSQL has.
    pub fn of(ty: &Type) -> Option<Kind> {
        Some(match ty.base() {
            Type::Bool => Kind::Bool,
            Type::Int2 => Kind::Int2,
            Type::Int4 => Kind::Int4,
            Type::Int8 | Type::Oid => Kind::Int8,
            Type::Float4 => Kind::Float4,
            Type::Float8 => Kind::Float8,
            Type::Numeric => Kind::Numeric,
            Type::Text | Type::Varchar | Type::Name | Type::Char | Type::Citext | Type::Unknown | Type::Enum(_) => {
                Kind::Text
            }
            Type::Uuid => Kind::Uuid,
            Type::Timestamptz => Kind::Timestamptz,
            Type::Timestamp => Kind::Timestamp,
            Type::Date => Kind::Date,
            Type::Time => Kind::Time,
            Type::Interval => Kind::Interval,
            Type::Json => Kind::Json,
            Type::Jsonb => Kind::Jsonb,
            Type::Bytea => Kind::Bytea,
            // What a function without a result gives: null or the empty text.
            Type::Void => Kind::Text,
            Type::Tsvector => Kind::Tsvector,
            Type::Tsquery => Kind::Tsquery,
            Type::Regconfig => Kind::Regconfig,
            Type::Vector => Kind::Vector,
            Type::Array(element) => Kind::Array(Box::new(Kind::of(element)?)),
            _ => return None,
        })
    }

    /// How a result's column is shown: as values of its type are stored, or for rows as the text that they are then.
    pub fn shown(ty: &Type) -> Option<Kind> {
        match ty.base() {
            Type::Record | Type::Composite(_) => Some(Kind::Text),
            ty => Kind::of(ty),
        }
    }

    /// The name in the names of registered functions: `int4`, `timestamptz`; arrays by their element.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Bool => "bool",
            Kind::Int2 => "int2",
            Kind::Int4 => "int4",
            Kind::Int8 => "int8",
            Kind::Float4 => "float4",
            Kind::Float8 => "float8",
            Kind::Numeric => "numeric",
            Kind::Text => "text",
            Kind::Uuid => "uuid",
            Kind::Timestamptz => "timestamptz",
            Kind::Timestamp => "timestamp",
            Kind::Date => "date",
            Kind::Time => "time",
            Kind::Interval => "interval",
            Kind::Json => "json",
            Kind::Jsonb => "jsonb",
            Kind::Bytea => "bytea",
            Kind::Tsvector => "tsvector",
            Kind::Tsquery => "tsquery",
            Kind::Regconfig => "regconfig",
            Kind::Vector => "vector",
            Kind::Array(element) => element.name(),
        }
    }

    /// The kind that [`name`](Self::name) gives, among those that are no arrays.
    pub fn named(name: &str) -> Option<Kind> {
        Kind::SCALARS.into_iter().find(|kind| kind.name() == name)
    }

    /// Every kind that is no array.
    pub const SCALARS: [Kind; 21] = [
        Kind::Bool,
        Kind::Int2,
        Kind::Int4,
        Kind::Int8,
        Kind::Float4,
        Kind::Float8,
        Kind::Numeric,
        Kind::Text,
        Kind::Uuid,
        Kind::Timestamptz,
        Kind::Timestamp,
        Kind::Date,
        Kind::Time,
        Kind::Interval,
        Kind::Json,
        Kind::Jsonb,
        Kind::Bytea,
        Kind::Tsvector,
        Kind::Tsquery,
        Kind::Regconfig,
        Kind::Vector,
    ];
}

/// A value as SQLite keeps it; never NULL.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored {
    Int(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

impl Stored {
    /// The value for reading.
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Stored::Int(value) => ValueRef::Integer(*value),
            Stored::Real(value) => ValueRef::Real(*value),
            Stored::Text(value) => ValueRef::Text(value.as_bytes()),
            Stored::Blob(value) => ValueRef::Blob(value),
        }
    }

    /// See [`write_json`].
    pub fn write_json(&self, kind: &Kind, out: &mut Vec<u8>) {
        write_json(kind, self.as_ref(), out);
    }
}

impl From<Stored> for Value {
    fn from(stored: Stored) -> Value {
        match stored {
            Stored::Int(value) => Value::Integer(value),
            Stored::Real(value) => Value::Real(value),
            Stored::Text(value) => Value::Text(value),
            Stored::Blob(value) => Value::Blob(value),
        }
    }
}

/// What reading may depend on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Input {
    /// The transaction's time in microseconds since 1970, for `now`, `today`, …; without it these are refused.
    pub now: Option<i64>,
}

/// Reads a text as PostgreSQL's input function of the type does. Errors: 22P02, 22003, 22007, 22008, 22021 …
pub fn input(kind: &Kind, source: &str, context: &Input) -> Result<Stored> {
    Ok(match kind {
        Kind::Bool => Stored::Int(i64::from(boolean::parse(source)?)),
        Kind::Int2 => Stored::Int(integer::INT2.parse(source)?),
        Kind::Int4 => Stored::Int(integer::INT4.parse(source)?),
        Kind::Int8 => Stored::Int(integer::INT8.parse(source)?),
        Kind::Float4 => Stored::Real(float::storable(f64::from(float::parse_f32(source)?))?),
        Kind::Float8 => Stored::Real(float::storable(float::parse_f64(source)?)?),
        Kind::Numeric => Stored::Text(Numeric::parse(source)?.to_string()),
        Kind::Text => Stored::Text(text::check(source)?.to_owned()),
        Kind::Uuid => Stored::Text(uuid::parse(source)?),
        Kind::Timestamptz => Stored::Text(datetime::timestamptz_text(parse::timestamptz(source, context.now)?)),
        Kind::Timestamp => Stored::Text(datetime::timestamp_text(parse::timestamp(source, context.now)?)),
        Kind::Date => Stored::Text(datetime::date_text(parse::date(source, context.now)?)),
        Kind::Time => Stored::Text(datetime::time_text(parse::time(source, context.now)?)),
        Kind::Interval => Stored::Text(Interval::parse(source)?.text()),
        Kind::Json => {
            json::validate(source)?;
            Stored::Text(source.to_owned())
        }
        Kind::Jsonb => Stored::Text(jsonb::canonical(source)?),
        Kind::Bytea => Stored::Blob(bytea::parse(source)?),
        Kind::Tsvector => Stored::Text(TsVector::parse(text::check(source)?)?.to_string()),
        Kind::Tsquery => Stored::Text(TsQuery::parse(text::check(source)?)?.to_string()),
        Kind::Regconfig => Stored::Text(Config::named(source)?.name().to_owned()),
        Kind::Vector => Stored::Blob(Vector::parse(source)?.bytes()),
        Kind::Array(element) => Stored::Text(array::parse(element, source, context)?),
    })
}

/// Brings a stored value to a declared modifier, as assignment does. Errors: 22001, 22003.
pub fn apply_modifier(kind: &Kind, modifier: TypeModifier, value: Stored) -> Result<Stored> {
    Ok(match (kind, modifier, value) {
        (Kind::Array(element), modifier, Stored::Text(value)) => {
            Stored::Text(array::map(element, &value, element, |item| {
                apply_modifier(element, modifier, item)
            })?)
        }
        (Kind::Text, TypeModifier::Length(length), Stored::Text(value)) => {
            Stored::Text(text::assign_varchar(&value, i64::from(length))?.to_owned())
        }
        (Kind::Numeric, TypeModifier::Numeric { precision, scale }, Stored::Text(value)) => Stored::Text(
            Numeric::parse(&value)?
                .apply_modifier(i64::from(precision), i64::from(scale))?
                .to_string(),
        ),
        (Kind::Timestamptz | Kind::Timestamp | Kind::Time | Kind::Interval, TypeModifier::Fraction(digits), value) => {
            let Stored::Text(value) = value else { return Ok(value) };
            Stored::Text(round_text(kind, &value, i64::from(digits))?)
        }
        (Kind::Vector, TypeModifier::Length(dimensions), Stored::Blob(value)) => {
            Stored::Blob(Vector::from_bytes(&value)?.expect(i64::from(dimensions))?.bytes())
        }
        (_, _, value) => value,
    })
}

/// `timestamp(n)` and its sisters on a stored value.
pub fn round_text(kind: &Kind, value: &str, digits: i64) -> Result<String> {
    Ok(match kind {
        Kind::Timestamptz => {
            datetime::timestamptz_text(datetime::round_timestamp(datetime::read_timestamp(value)?, digits))
        }
        Kind::Timestamp => {
            datetime::timestamp_text(datetime::round_timestamp(datetime::read_timestamp(value)?, digits))
        }
        Kind::Time => datetime::time_text(datetime::round_fraction(datetime::read_time(value)?, digits)),
        _ => {
            let interval = Interval::parse(value)?;
            Interval {
                micros: datetime::round_fraction(interval.micros, digits),
                ..interval
            }
            .text()
        }
    })
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| PgError::internal("stored text is not UTF-8"))
}

/// PostgreSQL's output function of the type. Errors: XX000 when the stored value is not of the type.
pub fn output(kind: &Kind, value: ValueRef<'_>) -> Result<String> {
    Ok(match (kind, value) {
        (Kind::Bool, ValueRef::Integer(value)) => boolean::output(value != 0).to_owned(),
        (Kind::Timestamptz, ValueRef::Text(value)) => datetime::timestamptz_output(utf8(value)?),
        (Kind::Timestamp, ValueRef::Text(value)) => datetime::timestamp_output(utf8(value)?),
        (Kind::Array(element), ValueRef::Text(value)) => array::output(element, utf8(value)?)?,
        (Kind::Float4, ValueRef::Real(value)) => float::text_f32(value as f32),
        (Kind::Float4 | Kind::Float8, ValueRef::Integer(value)) => float::text_f64(value as f64),
        (_, ValueRef::Real(value)) => float::text_f64(value),
        (_, ValueRef::Integer(value)) => value.to_string(),
        (_, ValueRef::Text(value)) => utf8(value)?.to_owned(),
        (Kind::Vector, ValueRef::Blob(value)) => Vector::from_bytes(value)?.text(),
        (_, ValueRef::Blob(value)) => bytea::output(value),
        (_, ValueRef::Null) => return Err(PgError::internal("NULL has no text")),
    })
}

/// `value::text`: as [`output`], but booleans are spelled out.
pub fn cast_text(kind: &Kind, value: ValueRef<'_>) -> Result<String> {
    match (kind, value) {
        (Kind::Bool, ValueRef::Integer(value)) => Ok(boolean::cast_text(value != 0).to_owned()),
        _ => output(kind, value),
    }
}

/// A value of one kind as another, by the cast that PostgreSQL has between them. Errors: what the cast refuses; XX000
/// for kinds without one.
pub fn convert(from: &Kind, to: &Kind, value: Stored) -> Result<Stored> {
    let width = match to {
        Kind::Int2 => Some(integer::INT2),
        Kind::Int4 => Some(integer::INT4),
        Kind::Int8 => Some(integer::INT8),
        _ => None,
    };
    Ok(match (from, to, value) {
        (from, to, value) if from == to => value,
        (Kind::Float4 | Kind::Float8, _, Stored::Real(value)) if width.is_some() => {
            let width = width.unwrap_or(integer::INT8);
            Stored::Int(float::to_integer(value, &width)?)
        }
        (Kind::Numeric, _, Stored::Text(value)) if width.is_some() => {
            let width = width.unwrap_or(integer::INT8);
            Stored::Int(Numeric::parse(&value)?.to_integer(width.name, width.low, width.high)?)
        }
        (Kind::Int2 | Kind::Int4 | Kind::Int8, _, Stored::Int(value)) if width.is_some() => {
            Stored::Int(width.unwrap_or(integer::INT8).check(Some(value))?)
        }
        (Kind::Int2 | Kind::Int4 | Kind::Int8, Kind::Float8, Stored::Int(value)) => Stored::Real(value as f64),
        (Kind::Int2 | Kind::Int4 | Kind::Int8, Kind::Float4, Stored::Int(value)) => {
            Stored::Real(f64::from(value as f32))
        }
        (Kind::Float8, Kind::Float4, Stored::Real(value)) => Stored::Real(float::to_f32(value)?),
        (Kind::Float4, Kind::Float8, value) => value,
        (Kind::Float4, Kind::Numeric, Stored::Real(value)) => {
            Stored::Text(Numeric::from_f32(value as f32)?.to_string())
        }
        (Kind::Float8, Kind::Numeric, Stored::Real(value)) => Stored::Text(Numeric::from_f64(value)?.to_string()),
        (_, Kind::Text, value) => Stored::Text(cast_text(from, value.as_ref())?),
        (_, to, value) => input(to, &output(from, value.as_ref())?, &Input::default())?,
    })
}

/// Writes a value from SQLite as PostgreSQL's `row_to_json` prints it. Allocates nothing but room in `out`.
#[inline]
pub fn write_json(kind: &Kind, value: ValueRef<'_>, out: &mut Vec<u8>) {
    match value {
        ValueRef::Null => out.extend_from_slice(b"null"),
        ValueRef::Integer(value) => match kind {
            Kind::Bool => out.extend_from_slice(if value != 0 { b"true" } else { b"false" }),
            Kind::Float4 | Kind::Float8 => float::write_f64(value as f64, out),
            _ => write_integer(value, out),
        },
        ValueRef::Real(value) => {
            if !value.is_finite() {
                out.push(b'"');
                float::write_f64(value, out);
                out.push(b'"');
            } else if *kind == Kind::Float4 {
                float::write_f32(value as f32, out);
            } else {
                float::write_f64(value, out);
            }
        }
        ValueRef::Text(value) => match kind {
            Kind::Text => json::write_string(value, out),
            Kind::Json | Kind::Jsonb | Kind::Array(_) => out.extend_from_slice(value),
            // NaN and the infinities are the only numerics without a digit at their end.
            Kind::Numeric if value.last().is_some_and(u8::is_ascii_digit) => out.extend_from_slice(value),
            Kind::Uuid
            | Kind::Timestamptz
            | Kind::Timestamp
            | Kind::Date
            | Kind::Time
            | Kind::Interval
            | Kind::Numeric => {
                out.reserve(value.len() + 2);
                out.push(b'"');
                out.extend_from_slice(value);
                out.push(b'"');
            }
            _ => json::write_string(value, out),
        },
        ValueRef::Blob(value) if *kind == Kind::Vector => {
            out.push(b'"');
            if let Ok(vector) = Vector::from_bytes(value) {
                vector.write(out);
            }
            out.push(b'"');
        }
        ValueRef::Blob(value) => {
            out.reserve(value.len() * 2 + 5);
            out.extend_from_slice(b"\"\\\\x");
            bytea::write_hex(value, out);
            out.push(b'"');
        }
    }
}

/// Writes a decimal integer.
#[inline]
pub fn write_integer(value: i64, out: &mut Vec<u8>) {
    let mut buffer = [0u8; 20];
    let mut at = buffer.len();
    let mut size = value.unsigned_abs();
    loop {
        at -= 1;
        buffer[at] = b'0' + (size % 10) as u8;
        size /= 10;
        if size == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&buffer[at..]);
}

/// `to_jsonb(value)`: as [`write_json`], in canonical form. Errors: as [`jsonb::canonical`].
pub fn to_jsonb(kind: &Kind, value: ValueRef<'_>) -> Result<String> {
    let mut out = Vec::new();
    write_json(kind, value, &mut out);
    let text = String::from_utf8(out).map_err(|_| PgError::internal("stored text is not UTF-8"))?;
    match kind {
        Kind::Json | Kind::Array(_) | Kind::Float4 | Kind::Float8 => jsonb::canonical(&text),
        _ => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json_of(kind: &Kind, source: &str) -> String {
        let mut out = Vec::new();
        input(kind, source, &Input::default())
            .unwrap()
            .write_json(kind, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_is_what_row_to_json_prints() {
        let cases = [
            (Kind::Bool, "yes", "true"),
            (Kind::Int8, "-9223372036854775808", "-9223372036854775808"),
            (Kind::Numeric, "1.50", "1.50"),
            (Kind::Numeric, "nan", "\"NaN\""),
            (Kind::Numeric, "-inf", "\"-Infinity\""),
            (Kind::Float8, "1e21", "1e+21"),
            (Kind::Float8, "0.1", "0.1"),
            (Kind::Float8, "-infinity", "\"-Infinity\""),
            (Kind::Float4, "0.1", "0.1"),
            (Kind::Float4, "1234567", "1.234567e+06"),
            (Kind::Text, "a\"\\\n\u{1}\u{7f}é/", "\"a\\\"\\\\\\n\\u0001\u{7f}é/\""),
            (
                Kind::Uuid,
                "{A0EEBC999C0B4EF8BB6D6BB9BD380A11}",
                "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"",
            ),
            (
                Kind::Timestamptz,
                "2024-03-01 12:00:00.50+02",
                "\"2024-03-01T10:00:00.5+00:00\"",
            ),
            (Kind::Timestamp, "2024-03-01 12:00", "\"2024-03-01T12:00:00\""),
            (Kind::Date, "20240301", "\"2024-03-01\""),
            (Kind::Time, "10:00:00.250", "\"10:00:00.25\""),
            (
                Kind::Interval,
                "1 year 2 mons 3 days 04:05:06.7",
                "\"1 year 2 mons 3 days 04:05:06.7\"",
            ),
            (Kind::Json, " {\"b\" :1}", " {\"b\" :1}"),
            (Kind::Jsonb, "{\"bb\":1,\"a\":1.0,\"a\":1e2}", "{\"a\": 100, \"bb\": 1}"),
            (Kind::Bytea, "\\xDEADbeef", "\"\\\\xdeadbeef\""),
            (Kind::Array(Box::new(Kind::Int4)), "{1,NULL,3}", "[1,null,3]"),
            (
                Kind::Array(Box::new(Kind::Text)),
                "{a,\"b c\",\"NULL\",null}",
                "[\"a\",\"b c\",\"NULL\",null]",
            ),
        ];
        for (kind, source, expected) in cases {
            assert_eq!(json_of(&kind, source), expected, "{source}");
        }
    }

    #[test]
    fn text_output_differs_from_json() {
        let stored = input(&Kind::Timestamptz, "2024-03-01T10:00:00.5Z", &Input::default()).unwrap();
        assert_eq!(
            output(&Kind::Timestamptz, stored.as_ref()).unwrap(),
            "2024-03-01 10:00:00.5+00"
        );
        assert_eq!(output(&Kind::Bool, ValueRef::Integer(1)).unwrap(), "t");
        assert_eq!(cast_text(&Kind::Bool, ValueRef::Integer(1)).unwrap(), "true");
        let array = Kind::Array(Box::new(Kind::Text));
        let stored = input(&array, "{a,\"b \\\" c\",NULL,\"\"}", &Input::default()).unwrap();
        assert_eq!(output(&array, stored.as_ref()).unwrap(), "{a,\"b \\\" c\",NULL,\"\"}");
    }

    #[test]
    fn now_needs_the_transactions_time() {
        let now = Input {
            now: Some(1_709_290_800_500_000),
        };
        assert_eq!(
            input(&Kind::Timestamptz, "now", &now).unwrap(),
            Stored::Text("2024-03-01T11:00:00.5+00:00".into())
        );
        assert_eq!(
            input(&Kind::Date, "tomorrow", &now).unwrap(),
            Stored::Text("2024-03-02".into())
        );
        assert_eq!(
            input(&Kind::Date, "today", &Input::default()).unwrap_err().code(),
            "22007"
        );
    }

    #[test]
    fn modifiers_are_enforced() {
        let text = |value: &str| Stored::Text(value.to_owned());
        let varchar = TypeModifier::Length(3);
        assert_eq!(
            apply_modifier(&Kind::Text, varchar, text("abc  ")).unwrap(),
            text("abc")
        );
        let refused = apply_modifier(&Kind::Text, varchar, text("abcd")).unwrap_err();
        assert_eq!(
            (refused.code(), refused.message.as_str()),
            ("22001", "value too long for type character varying(3)")
        );
        let money = TypeModifier::Numeric { precision: 4, scale: 2 };
        assert_eq!(
            apply_modifier(&Kind::Numeric, money, text("12.345")).unwrap(),
            text("12.35")
        );
        let refused = apply_modifier(&Kind::Numeric, money, text("99.995")).unwrap_err();
        assert_eq!(refused.code(), "22003");
        assert_eq!(
            refused.detail.as_deref(),
            Some("A field with precision 4, scale 2 must round to an absolute value less than 10^2.")
        );
    }

    #[test]
    fn no_text_holds_the_null_character() {
        assert_eq!(
            input(&Kind::Text, "a\0b", &Input::default()).unwrap_err().code(),
            "22021"
        );
    }
}
