//! Rows as CSV. Plain columns arrive in text format, embeds in binary and are written as JSON text in one cell.

use mainstay_core::render;

use super::values::Fields;
use super::{Member, Misfit, ObjectWriter, Shape};

/// Writes the header line, without the line's end.
pub fn csv_header(out: &mut Vec<u8>, shape: &Shape) {
    let mut first = true;
    for name in names(shape) {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        render::csv_cell(out, Some(name));
    }
}

/// Writes one row, without the line's end.
pub fn csv_row(out: &mut Vec<u8>, shape: &Shape, row: &[u8]) -> Result<(), Misfit> {
    let mut fields = Fields::of_row(row)?;
    let mut first = true;
    for member in &shape.members {
        let field = fields.next()?;
        match member {
            Member::Value {
                cell: super::Cell::Row(_) | super::Cell::Rows(_),
                ..
            } => {
                separator(out, &mut first);
                let Member::Value { cell, .. } = member else {
                    return Err(Misfit);
                };
                if field.is_some() || cell.is_list_of_rows() {
                    let mut json = Vec::new();
                    cell.write_json(&mut json, field)?;
                    text_cell(out, &json)?;
                }
            }
            Member::Value { .. } => {
                separator(out, &mut first);
                if let Some(bytes) = field {
                    text_cell(out, bytes)?;
                }
            }
            Member::SpreadOne(_) | Member::SpreadMany(_) => spread(out, member, field, &mut first)?,
        }
    }
    Ok(())
}

/// Writes one record, without the line's end. Values go through their JSON form.
pub fn csv_record(out: &mut Vec<u8>, shape: &Shape, record: &[u8]) -> Result<(), Misfit> {
    spread(out, &Member::SpreadOne(shape.clone()), Some(record), &mut true)
}

/// A spread's members through their JSON form: strings lose their quotes, null is an empty cell.
fn spread(out: &mut Vec<u8>, member: &Member, field: Option<&[u8]>, first: &mut bool) -> Result<(), Misfit> {
    let alone = Shape {
        members: vec![member.clone()],
        strip_nulls: false,
    };
    let mut row = vec![0, 1];
    match field {
        Some(bytes) => {
            row.extend_from_slice(&u32::try_from(bytes.len()).map_err(|_| Misfit)?.to_be_bytes());
            row.extend_from_slice(bytes);
        }
        None => row.extend_from_slice(&u32::MAX.to_be_bytes()),
    }
    let mut json = vec![b'{'];
    ObjectWriter {
        empty: true,
        strip_nulls: false,
    }
    .members(&mut json, &alone, Some(&mut Fields::of_row(&row)?))?;
    json.push(b'}');
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&json).map_err(|_| Misfit)?;
    for value in object.values() {
        separator(out, first);
        match value {
            serde_json::Value::Null => {}
            serde_json::Value::String(text) => render::csv_cell(out, Some(text)),
            serde_json::Value::Bool(true) => out.push(b't'),
            serde_json::Value::Bool(false) => out.push(b'f'),
            other => render::csv_cell(out, Some(&other.to_string())),
        }
    }
    Ok(())
}

fn separator(out: &mut Vec<u8>, first: &mut bool) {
    if !std::mem::take(first) {
        out.push(b',');
    }
}

fn text_cell(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Misfit> {
    render::csv_cell(out, Some(std::str::from_utf8(bytes).map_err(|_| Misfit)?));
    Ok(())
}

fn names(shape: &Shape) -> Vec<&str> {
    let mut found = Vec::new();
    for member in &shape.members {
        match member {
            Member::Value { name, .. } => found.push(name.as_str()),
            Member::SpreadOne(inner) | Member::SpreadMany(inner) => found.extend(names(inner)),
        }
    }
    found
}
