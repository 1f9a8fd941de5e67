//! Rows of stored values as one text, so that `json_each` gives them back a row at a time.
//!
//! The text is a JSON array with a string per row; a string holds the row's cells, each with its length before it, so
//! that every value comes back exactly as it was. `pg_cell(row, n)` takes one out, the aggregate `pg_rows(…)` makes the
//! text of its rows, `pg_row(…)` that of one.

use mainstay_core::render;
use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::{Value as Scalar, ValueRef};

use crate::values::errors::PgError;

/// The rows as one text.
pub fn rows_text(rows: &[Vec<Scalar>]) -> String {
    let mut gathered = Gathered::default();
    for row in rows {
        gathered.row(row.iter().map(ValueRef::from));
    }
    gathered.finish()
}

/// A rows' text in the making.
#[derive(Default)]
struct Gathered {
    text: Vec<u8>,
    row: String,
}

impl Gathered {
    fn row<'v>(&mut self, values: impl Iterator<Item = ValueRef<'v>>) {
        self.row.clear();
        for value in values {
            write_cell(&mut self.row, value);
        }
        self.text.push(if self.text.is_empty() { b'[' } else { b',' });
        render::json_string(&mut self.text, &self.row);
    }

    fn finish(mut self) -> String {
        if self.text.is_empty() {
            self.text.push(b'[');
        }
        self.text.push(b']');
        // Made of UTF-8 above.
        String::from_utf8(self.text).unwrap_or_default()
    }
}

/// Kind, length in bytes, a colon, the value.
fn write_cell(row: &mut String, value: ValueRef<'_>) {
    let (kind, text) = match value {
        ValueRef::Null => ('n', String::new()),
        ValueRef::Integer(number) => ('i', number.to_string()),
        ValueRef::Real(number) => ('r', format!("{:016x}", number.to_bits())),
        ValueRef::Text(bytes) => ('t', String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => ('b', bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
    };
    row.push(kind);
    row.push_str(&text.len().to_string());
    row.push(':');
    row.push_str(&text);
}

/// Cell `index` (from 0) of a row's text; `None` if the text is none of ours or has fewer cells.
fn cell(row: &str, index: usize) -> Option<Scalar> {
    let mut rest = row;
    for at in 0.. {
        let kind = rest.chars().next()?;
        let (length, after) = rest[kind.len_utf8()..].split_once(':')?;
        let length: usize = length.parse().ok()?;
        if at < index {
            rest = after.get(length..)?;
            continue;
        }
        let text = after.get(..length)?;
        return Some(match kind {
            'n' => Scalar::Null,
            'i' => Scalar::Integer(text.parse().ok()?),
            'r' => Scalar::Real(f64::from_bits(u64::from_str_radix(text, 16).ok()?)),
            't' => Scalar::Text(text.to_owned()),
            'b' => {
                let bytes = (0..text.len())
                    .step_by(2)
                    .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
                    .collect::<Option<_>>()?;
                Scalar::Blob(bytes)
            }
            _ => return None,
        });
    }
    None
}

/// Registers `pg_cell`, `pg_row` and `pg_rows`.
pub fn register(conn: &Connection) -> rusqlite::Result<()> {
    let pure = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    conn.create_scalar_function("pg_cell", 2, pure, |context| {
        let row = match context.get_raw(0) {
            // No row, on the far side of an outer join.
            ValueRef::Null => return Ok(Scalar::Null),
            value => value.as_str()?,
        };
        let index: i64 = context.get(1)?;
        let found = usize::try_from(index).ok().and_then(|index| cell(row, index));
        found.ok_or_else(|| PgError::internal("a row has no such cell").into())
    })?;
    conn.create_scalar_function("pg_row", -1, pure, |context| {
        let mut gathered = Gathered::default();
        gathered.row((0..context.len()).map(|index| context.get_raw(index)));
        Ok(gathered.finish())
    })?;
    conn.create_aggregate_function("pg_rows", -1, pure, Rows)
}

/// The aggregate `pg_rows`.
struct Rows;

impl Aggregate<Gathered, String> for Rows {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Gathered> {
        Ok(Gathered::default())
    }

    fn step(&self, context: &mut Context<'_>, gathered: &mut Gathered) -> rusqlite::Result<()> {
        gathered.row((0..context.len()).map(|index| context.get_raw(index)));
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, gathered: Option<Gathered>) -> rusqlite::Result<String> {
        Ok(gathered.unwrap_or_default().finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_back_as_it_was() {
        let conn = Connection::open_in_memory().unwrap();
        register(&conn).unwrap();
        let rows = vec![
            vec![
                Scalar::Null,
                Scalar::Integer(i64::MIN),
                Scalar::Real(0.1 + 0.2),
                Scalar::Real(f64::INFINITY),
                Scalar::Text("a\"\\:\n{\"é\":1}".to_owned()),
                Scalar::Blob(vec![0, 255, 16]),
                Scalar::Text(String::new()),
            ],
            vec![Scalar::Real(-0.0); 7],
        ];
        let text = rows_text(&rows);
        let mut statement = conn
            .prepare("SELECT pg_cell(value, ?2) FROM json_each(?1) ORDER BY key")
            .unwrap();
        for (column, wanted) in rows[0].iter().enumerate() {
            let found: Vec<Scalar> = statement
                .query_map((&text, column as i64), |row| row.get(0))
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            assert_eq!(found, [wanted.clone(), rows[1][column].clone()]);
        }
        assert_eq!(rows_text(&[]), "[]");
        let again: String = conn
            .query_row(
                "SELECT pg_rows(pg_cell(value, 0), pg_cell(value, 1), pg_cell(value, 2), pg_cell(value, 3),
                        pg_cell(value, 4), pg_cell(value, 5), pg_cell(value, 6)) FROM json_each(?1)",
                [&text],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(again, text);
    }
}
