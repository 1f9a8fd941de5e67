//! Turns rows as the wire brings them (binary) into response bytes.
//!
//! Lives here: [`Shape`], which says what each field of a row is, and the writers for JSON and CSV.
//! Not here: choosing the shape (`render`). Values: [`values`], [`datetime`], [`numeric`].
//! Invariant: a row whose bytes do not fit its shape is an error, never a guess; the catalog is then out of date.
//!
//! Source: the `*_send` functions of PostgreSQL 15; `to_json` for the JSON forms.

mod csv;
mod datetime;
mod numeric;
mod values;

pub use csv::{csv_header, csv_record, csv_row};
pub use values::{Cell, Misfit};

use mainstay_core::render;
pub(crate) use values::Fields;

/// The fields of a row or of an embedded record, in wire order.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    pub members: Vec<Member>,
    /// Members that are null are left out.
    pub strip_nulls: bool,
}

/// One field.
#[derive(Clone, Debug)]
pub enum Member {
    /// One member of the object.
    Value { name: String, key: Vec<u8>, cell: Cell },
    /// A record whose members become members of this object; null where there is no row.
    SpreadOne(Shape),
    /// An array of records whose members become arrays in this object; empty arrays where there is no row.
    SpreadMany(Shape),
}

impl Member {
    /// A member called `name`.
    pub fn value(name: &str, cell: Cell) -> Self {
        let mut key = Vec::with_capacity(name.len() + 3);
        render::json_string(&mut key, name);
        key.push(b':');
        Member::Value {
            name: name.to_owned(),
            key,
            cell,
        }
    }
}

/// Writes one `DataRow` body as a JSON object. `extra` fields at the end are skipped.
pub fn json_row(out: &mut Vec<u8>, shape: &Shape, row: &[u8]) -> Result<(), Misfit> {
    let mut fields = Fields::of_row(row)?;
    json_object(out, shape, &mut fields)
}

/// Writes a row's only field as a bare JSON value.
pub fn json_bare(out: &mut Vec<u8>, cell: &Cell, row: &[u8]) -> Result<(), Misfit> {
    let mut fields = Fields::of_row(row)?;
    cell.write_json(out, fields.next()?)
}

/// A field of a row as it came.
pub fn bytes_field(row: &[u8], index: usize) -> Result<Option<&[u8]>, Misfit> {
    raw_field(row, index)
}

/// A field of a row as text, for columns that were selected as text. The outer error is a misfit.
pub fn text_field(row: &[u8], index: usize) -> Result<Option<&str>, Misfit> {
    raw_field(row, index)?
        .map(|bytes| std::str::from_utf8(bytes).map_err(|_| Misfit))
        .transpose()
}

/// Writes one record as a JSON object.
pub fn json_record(out: &mut Vec<u8>, shape: &Shape, record: &[u8]) -> Result<(), Misfit> {
    json_object(out, shape, &mut Fields::of_record(record)?)
}

/// The records of an array field; none where it is null.
pub fn record_rows(row: &[u8], index: usize) -> Result<Vec<&[u8]>, Misfit> {
    raw_field(row, index)?.map_or_else(|| Ok(Vec::new()), values::record_array)
}

/// A count in binary.
pub fn integer_field(row: &[u8], index: usize) -> Result<u64, Misfit> {
    let value = values::integer(raw_field(row, index)?.ok_or(Misfit)?)?;
    u64::try_from(value).map_err(|_| Misfit)
}

fn raw_field(row: &[u8], index: usize) -> Result<Option<&[u8]>, Misfit> {
    let mut fields = Fields::of_row(row)?;
    for _ in 0..index {
        fields.next()?;
    }
    fields.next()
}

fn json_object(out: &mut Vec<u8>, shape: &Shape, fields: &mut Fields<'_>) -> Result<(), Misfit> {
    out.push(b'{');
    let mut writer = ObjectWriter {
        empty: true,
        strip_nulls: shape.strip_nulls,
    };
    writer.members(out, shape, Some(fields))?;
    out.push(b'}');
    Ok(())
}

struct ObjectWriter {
    empty: bool,
    strip_nulls: bool,
}

impl ObjectWriter {
    fn key(&mut self, out: &mut Vec<u8>, key: &[u8]) {
        if !self.empty {
            out.push(b',');
        }
        self.empty = false;
        out.extend_from_slice(key);
    }

    /// `fields` is `None` for a spread without a row: every member is null.
    fn members(&mut self, out: &mut Vec<u8>, shape: &Shape, mut fields: Option<&mut Fields<'_>>) -> Result<(), Misfit> {
        for member in &shape.members {
            let field = match &mut fields {
                Some(fields) => fields.next()?,
                None => None,
            };
            match member {
                Member::Value { key, cell, .. } => {
                    // JSON's own null goes too, as `json_strip_nulls` has it.
                    let is_null = field.is_none_or(|bytes| matches!(cell, Cell::Json) && bytes == b"null");
                    if self.strip_nulls && is_null && !cell.is_list_of_rows() {
                        continue;
                    }
                    self.key(out, key);
                    if fields.is_none() {
                        out.extend_from_slice(b"null");
                    } else {
                        cell.write_json(out, field)?;
                    }
                }
                Member::SpreadOne(inner) => match field {
                    Some(bytes) => self.members(out, inner, Some(&mut Fields::of_record(bytes)?))?,
                    None => self.members(out, inner, None)?,
                },
                Member::SpreadMany(inner) => {
                    let rows = match field {
                        Some(bytes) => values::record_array(bytes)?,
                        None => Vec::new(),
                    };
                    let no_parent = fields.is_none();
                    self.columns(out, inner, &rows, &mut Vec::new(), no_parent)?;
                }
            }
        }
        Ok(())
    }

    /// Writes each member of `shape` as an array over `rows`. `path` leads from a row to the record that holds them.
    fn columns(
        &mut self,
        out: &mut Vec<u8>,
        shape: &Shape,
        rows: &[&[u8]],
        path: &mut Vec<usize>,
        no_parent: bool,
    ) -> Result<(), Misfit> {
        for (index, member) in shape.members.iter().enumerate() {
            path.push(index);
            match member {
                Member::Value { key, .. } => {
                    if no_parent && self.strip_nulls {
                        path.pop();
                        continue;
                    }
                    self.key(out, key);
                    if no_parent {
                        out.extend_from_slice(b"null");
                    } else {
                        json_list(out, rows, |out, row| at_path(out, member, row, path))?;
                    }
                }
                Member::SpreadOne(inner) => self.columns(out, inner, rows, path, no_parent)?,
                Member::SpreadMany(inner) => self.nested_columns(out, inner, rows, path, no_parent)?,
            }
            path.pop();
        }
        Ok(())
    }

    /// A to-many spread inside a to-many spread: arrays of arrays.
    fn nested_columns(
        &mut self,
        out: &mut Vec<u8>,
        shape: &Shape,
        rows: &[&[u8]],
        path: &[usize],
        no_parent: bool,
    ) -> Result<(), Misfit> {
        for (index, member) in shape.members.iter().enumerate() {
            let Member::Value { key, .. } = member else { continue };
            self.key(out, key);
            if no_parent {
                out.extend_from_slice(b"null");
                continue;
            }
            json_list(out, rows, |out, row| {
                let inner = match navigate(row, path)? {
                    Some(bytes) => values::record_array(bytes)?,
                    None => Vec::new(),
                };
                json_list(out, &inner, |out, row| at_path(out, member, row, &[index]))
            })?;
        }
        Ok(())
    }
}

fn json_list(
    out: &mut Vec<u8>,
    rows: &[&[u8]],
    mut write: impl FnMut(&mut Vec<u8>, &[u8]) -> Result<(), Misfit>,
) -> Result<(), Misfit> {
    out.push(b'[');
    for (position, row) in rows.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write(out, row)?;
    }
    out.push(b']');
    Ok(())
}

fn at_path(out: &mut Vec<u8>, member: &Member, record: &[u8], path: &[usize]) -> Result<(), Misfit> {
    let field = navigate(record, path)?;
    match member {
        Member::Value { cell, .. } => cell.write_json(out, field),
        _ => Err(Misfit),
    }
}

/// The field that `path` leads to; null if a record on the way is.
fn navigate<'a>(record: &'a [u8], path: &[usize]) -> Result<Option<&'a [u8]>, Misfit> {
    let mut current = Some(record);
    for index in path {
        let Some(bytes) = current else { return Ok(None) };
        let mut fields = Fields::of_record(bytes)?;
        for _ in 0..*index {
            fields.next()?;
        }
        current = fields.next()?;
    }
    Ok(current)
}

#[cfg(test)]
mod tests;
