//! Single values: what a field is and how it is written.

use mainstay_core::render;
use mainstay_core::types::Type;

use super::{Shape, datetime, json_object, numeric};

/// A field's bytes are not what the catalog promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misfit;

/// What a field is.
#[derive(Clone, Debug)]
pub enum Cell {
    Bool,
    /// `int2`, `int4` or `int8`, by length.
    Integer,
    Float4,
    Float8,
    Numeric,
    /// Text, and everything whose binary form is its text.
    Text,
    Uuid,
    Timestamptz,
    Timestamp,
    Date,
    Time,
    /// JSON text, copied.
    Json,
    /// One version byte, then JSON text.
    Jsonb,
    Bytea,
    Array(Box<Cell>),
    /// An embedded row, or null.
    Row(Box<Shape>),
    /// An array of embedded rows; null stands for the empty one.
    Rows(Box<Shape>),
}

impl Cell {
    /// The cell for a type whose binary form we know; `None`: PostgreSQL must render it (`to_json`).
    pub fn of_type(ty: &Type) -> Option<Cell> {
        Some(match ty.base() {
            Type::Bool => Cell::Bool,
            Type::Int2 | Type::Int4 | Type::Int8 => Cell::Integer,
            Type::Float4 => Cell::Float4,
            Type::Float8 => Cell::Float8,
            Type::Numeric => Cell::Numeric,
            Type::Text | Type::Varchar | Type::Bpchar | Type::Name | Type::Enum(_) => Cell::Text,
            Type::Uuid => Cell::Uuid,
            Type::Timestamptz => Cell::Timestamptz,
            Type::Timestamp => Cell::Timestamp,
            Type::Date => Cell::Date,
            Type::Time => Cell::Time,
            Type::Json => Cell::Json,
            Type::Jsonb => Cell::Jsonb,
            Type::Bytea => Cell::Bytea,
            Type::Array(element) => match Cell::of_type(element)? {
                Cell::Array(_) => return None,
                cell => Cell::Array(Box::new(cell)),
            },
            _ => return None,
        })
    }

    /// True for arrays of JSON, whose documents may hold members that are null.
    pub fn holds_documents(&self) -> bool {
        matches!(self, Cell::Array(element) if matches!(**element, Cell::Json | Cell::Jsonb))
    }

    /// The type OIDs that a column of this cell may have; empty: any.
    pub fn oids(&self) -> &'static [u32] {
        match self {
            Cell::Bool => &[16],
            Cell::Integer => &[20, 21, 23],
            Cell::Float4 => &[700],
            Cell::Float8 => &[701],
            Cell::Numeric => &[1700],
            Cell::Uuid => &[2950],
            Cell::Timestamptz => &[1184],
            Cell::Timestamp => &[1114],
            Cell::Date => &[1082],
            Cell::Time => &[1083],
            Cell::Json => &[114],
            Cell::Jsonb => &[3802],
            Cell::Bytea => &[17],
            Cell::Row(_) => &[2249],
            Cell::Rows(_) => &[2287],
            Cell::Text | Cell::Array(_) => &[],
        }
    }

    /// True for the cell that is written as `[]` where it is null.
    pub fn is_list_of_rows(&self) -> bool {
        matches!(self, Cell::Rows(_))
    }

    /// True if the value depends on the session's time zone.
    pub fn depends_on_time_zone(&self) -> bool {
        match self {
            Cell::Timestamptz => true,
            Cell::Array(element) => element.depends_on_time_zone(),
            _ => false,
        }
    }

    /// Writes the value as JSON.
    pub fn write_json(&self, out: &mut Vec<u8>, field: Option<&[u8]>) -> Result<(), Misfit> {
        let Some(bytes) = field else {
            out.extend_from_slice(if self.is_list_of_rows() { b"[]" } else { b"null" });
            return Ok(());
        };
        match self {
            Cell::Bool => match bytes {
                [0] => out.extend_from_slice(b"false"),
                [1] => out.extend_from_slice(b"true"),
                _ => return Err(Misfit),
            },
            Cell::Integer => render::integer(out, integer(bytes)?),
            Cell::Float4 => {
                let value = f32::from_be_bytes(exact(bytes)?);
                if value.is_finite() {
                    render::float4(out, value)
                } else {
                    quoted(out, |out| render::float4(out, value))
                }
            }
            Cell::Float8 => render::json_float8(out, f64::from_be_bytes(exact(bytes)?)),
            Cell::Numeric => {
                if numeric::is_finite(bytes)? {
                    numeric::write(out, bytes)?;
                } else {
                    out.push(b'"');
                    numeric::write(out, bytes)?;
                    out.push(b'"');
                }
            }
            Cell::Text => render::json_string(out, text(bytes)?),
            Cell::Json => out.extend_from_slice(bytes),
            Cell::Jsonb => out.extend_from_slice(jsonb_text(bytes)?),
            Cell::Bytea => {
                // The backslash of `\x…` is doubled in JSON.
                out.extend_from_slice(b"\"\\");
                render::bytea_hex(out, bytes);
                out.push(b'"');
            }
            Cell::Uuid | Cell::Timestamptz | Cell::Timestamp | Cell::Date | Cell::Time => {
                out.push(b'"');
                self.write_plain(out, bytes)?;
                out.push(b'"');
            }
            Cell::Array(element) => array(out, element, bytes)?,
            Cell::Row(shape) => json_object(out, shape, &mut Fields::of_record(bytes)?)?,
            Cell::Rows(shape) => {
                out.push(b'[');
                for (index, row) in record_array(bytes)?.into_iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    json_object(out, shape, &mut Fields::of_record(row)?)?;
                }
                out.push(b']');
            }
        }
        Ok(())
    }

    /// Values that JSON shows as a string without anything to escape.
    fn write_plain(&self, out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Misfit> {
        match self {
            Cell::Uuid => uuid(out, exact(bytes)?),
            Cell::Timestamptz => datetime::timestamp(out, i64::from_be_bytes(exact(bytes)?), true),
            Cell::Timestamp => datetime::timestamp(out, i64::from_be_bytes(exact(bytes)?), false),
            Cell::Date => datetime::date(out, i32::from_be_bytes(exact(bytes)?)),
            Cell::Time => datetime::time(out, i64::from_be_bytes(exact(bytes)?)),
            _ => return Err(Misfit),
        }
        Ok(())
    }
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

fn exact<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Misfit> {
    bytes.try_into().map_err(|_| Misfit)
}

fn text(bytes: &[u8]) -> Result<&str, Misfit> {
    std::str::from_utf8(bytes).map_err(|_| Misfit)
}

pub(super) fn integer(bytes: &[u8]) -> Result<i64, Misfit> {
    match bytes.len() {
        2 => Ok(i64::from(i16::from_be_bytes(exact(bytes)?))),
        4 => Ok(i64::from(i32::from_be_bytes(exact(bytes)?))),
        8 => Ok(i64::from_be_bytes(exact(bytes)?)),
        _ => Err(Misfit),
    }
}

fn jsonb_text(bytes: &[u8]) -> Result<&[u8], Misfit> {
    match bytes.split_first() {
        Some((1, rest)) => Ok(rest),
        _ => Err(Misfit),
    }
}

fn uuid(out: &mut Vec<u8>, bytes: [u8; 16]) {
    let mut buffer = uuid::Uuid::encode_buffer();
    let text = uuid::Uuid::from_bytes(bytes).hyphenated().encode_lower(&mut buffer);
    out.extend_from_slice(text.as_bytes());
}

/// Reads a `DataRow` body or a record, field by field.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    /// In records each field is preceded by its type's OID.
    typed: bool,
}

impl<'a> Fields<'a> {
    pub(crate) fn of_row(row: &'a [u8]) -> Result<Self, Misfit> {
        Ok(Fields {
            rest: row.get(2..).ok_or(Misfit)?,
            typed: false,
        })
    }

    pub(super) fn of_record(record: &'a [u8]) -> Result<Self, Misfit> {
        Ok(Fields {
            rest: record.get(4..).ok_or(Misfit)?,
            typed: true,
        })
    }

    pub(crate) fn next(&mut self) -> Result<Option<&'a [u8]>, Misfit> {
        if self.typed {
            self.rest = self.rest.get(4..).ok_or(Misfit)?;
        }
        take_field(&mut self.rest)
    }
}

fn take_u32(rest: &mut &[u8]) -> Result<u32, Misfit> {
    let (head, tail) = rest.split_first_chunk::<4>().ok_or(Misfit)?;
    *rest = tail;
    Ok(u32::from_be_bytes(*head))
}

fn take_field<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Misfit> {
    let length = take_u32(rest)?;
    if length == u32::MAX {
        return Ok(None);
    }
    let bytes: &'a [u8] = rest;
    let (head, tail) = bytes.split_at_checked(length as usize).ok_or(Misfit)?;
    *rest = tail;
    Ok(Some(head))
}

/// The records of a one-dimensional `record[]`.
pub(super) fn record_array(bytes: &[u8]) -> Result<Vec<&[u8]>, Misfit> {
    let mut rest = bytes;
    let dimensions = take_u32(&mut rest)?;
    take_u32(&mut rest)?;
    take_u32(&mut rest)?;
    if dimensions == 0 {
        return Ok(Vec::new());
    }
    let count = take_u32(&mut rest)?;
    take_u32(&mut rest)?;
    if dimensions != 1 {
        return Err(Misfit);
    }
    (0..count).map(|_| take_field(&mut rest)?.ok_or(Misfit)).collect()
}

/// Array dimensions, at most; PostgreSQL's own limit (`MAXDIM`).
const DIMENSIONS_MAX: u32 = 6;

fn array(out: &mut Vec<u8>, element: &Cell, bytes: &[u8]) -> Result<(), Misfit> {
    let mut rest = bytes;
    let dimensions = take_u32(&mut rest)?;
    take_u32(&mut rest)?;
    take_u32(&mut rest)?;
    if dimensions == 0 {
        out.extend_from_slice(b"[]");
        return Ok(());
    }
    if dimensions > DIMENSIONS_MAX {
        return Err(Misfit);
    }
    let mut lengths = Vec::with_capacity(dimensions as usize);
    for _ in 0..dimensions {
        lengths.push(take_u32(&mut rest)?);
        take_u32(&mut rest)?;
    }
    dimension(out, element, &lengths, &mut rest)
}

fn dimension(out: &mut Vec<u8>, element: &Cell, lengths: &[u32], rest: &mut &[u8]) -> Result<(), Misfit> {
    let Some((length, inner)) = lengths.split_first() else {
        let field = take_field(rest)?;
        return element.write_json(out, field);
    };
    out.push(b'[');
    for index in 0..*length {
        if index > 0 {
            out.push(b',');
        }
        dimension(out, element, inner, rest)?;
    }
    out.push(b']');
    Ok(())
}
