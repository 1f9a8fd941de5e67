//! The second reading of a file: its rows into the table, in transactions of a bounded size.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use mainstay_core::backend::{Backend, Statement};
use mainstay_core::caller::Caller;
use mainstay_core::catalog::ColumnIndex;
use mainstay_core::error::BackendError;
use mainstay_core::plan::{
    Action, Conflict, ConflictAction, Format as RowFormat, Input, Insert, Missing, Plan, Returning,
    Source as PlanSource,
};
use mainstay_core::policy::{self, Needs};
use mainstay_core::types::Type;

use super::guess::accepts;
use super::{Cell, Destination, Format, Record, Source, Survey};
use crate::error::Error;

/// Rows of one transaction, at most.
const CHUNK_ROWS: usize = 1_000;

/// Bytes of one transaction's rows, about.
const CHUNK_BYTES: usize = 1024 * 1024;

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    pub rows: u64,
    /// Rows that were not there before, where the engine says so.
    pub inserted: u64,
}

/// Checks every value against its column's type, and the key, without writing anything. `types`: for each column of the
/// file, what it is called and its type in the table; `key`: positions in the file.
///
/// Errors: the line and the column of the first value that the type does not take; a record without a key, or with one
/// that an earlier record has.
pub fn check(source: &Source, survey: &Survey, types: &[(String, Type)], key: &[usize]) -> Result<(), Error> {
    let names: Vec<String> = survey.columns.iter().map(|column| column.name.clone()).collect();
    let mut records = source.records(&names)?;
    let mut seen: HashMap<u64, u64> = HashMap::new();
    let fault = |line, what| Error::File {
        path: source.path.clone(),
        line,
        what,
    };
    while let Some((line, cells)) = records.next()? {
        for ((name, ty), cell) in types.iter().zip(&cells) {
            let (Cell::Text(text) | Cell::Json(text)) = cell else {
                continue;
            };
            // Only these are known here as exactly as the database knows them.
            let is_known = matches!(
                ty.base(),
                Type::Int2 | Type::Int4 | Type::Int8 | Type::Numeric | Type::Uuid | Type::Date
            );
            if is_known && !accepts(ty, text) && !accepts_loosely(ty, text) {
                let shown: String = text.chars().take(60).collect();
                return Err(fault(line, format!("column {name}: \"{shown}\" is no {ty}")));
            }
        }
        if key.is_empty() {
            continue;
        }
        let mut hasher = DefaultHasher::new();
        for position in key {
            match cells.get(*position) {
                Some(Cell::Text(text) | Cell::Json(text)) => text.hash(&mut hasher),
                _ => {
                    let name = names.get(*position).map_or("", String::as_str);
                    return Err(fault(
                        line,
                        format!("column {name} is part of the key and has no value"),
                    ));
                }
            }
        }
        if let Some(earlier) = seen.insert(hasher.finish(), line) {
            return Err(fault(line, format!("the key is the same as on line {earlier}")));
        }
    }
    Ok(())
}

/// Forms that databases take beside those that are guessed; whether they fit is theirs to say.
fn accepts_loosely(ty: &Type, text: &str) -> bool {
    let trimmed = text.trim();
    match ty.base() {
        Type::Int2 | Type::Int4 | Type::Int8 => {
            trimmed
                .trim_start_matches(['+', '-'])
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                && trimmed.parse::<i64>().is_ok()
        }
        Type::Numeric => trimmed.eq_ignore_ascii_case("nan") || trimmed.parse::<f64>().is_ok(),
        Type::Uuid => trimmed.bytes().filter(u8::is_ascii_hexdigit).count() == 32,
        // Databases read more forms of dates than are guessed.
        Type::Date => trimmed.bytes().any(|byte| byte.is_ascii_digit()),
        _ => true,
    }
}

/// Reads the file again and writes its rows. `progress` hears of the rows written so far.
///
/// Errors: `Rows` names the lines of the rows that were refused; the transactions before them are kept.
pub async fn load(
    backend: &Arc<dyn Backend>,
    source: &Source,
    survey: &Survey,
    destination: &Destination,
    progress: impl FnMut(u64) + Send,
) -> Result<Loaded, Error> {
    let names: Vec<String> = survey.columns.iter().map(|column| column.name.clone()).collect();
    let mut records = source.records(&names)?;
    let texts_are_json = source.format != Format::Json;
    write(
        backend,
        &source.path,
        destination,
        texts_are_json,
        0,
        &mut || records.next(),
        progress,
    )
    .await
}

/// Writes records into a table, from wherever they come. `texts_are_json`: a text that goes into a JSON column is JSON
/// already; `before`: records that earlier calls wrote. Errors: as [`load`].
pub async fn write(
    backend: &Arc<dyn Backend>,
    path: &Path,
    destination: &Destination,
    texts_are_json: bool,
    before: u64,
    next: &mut (dyn FnMut() -> Result<Option<Record>, Error> + Send),
    mut progress: impl FnMut(u64) + Send,
) -> Result<Loaded, Error> {
    let writer = RowWriter::new(backend, destination)?;
    let mut loaded = Loaded::default();
    let mut number = before;
    let mut chunk = Vec::new();
    let mut bytes = 0;
    loop {
        let record = next()?;
        let is_end = record.is_none();
        if let Some((line, cells)) = record {
            number += 1;
            let row = writer.row(&cells, number, texts_are_json);
            bytes += row.len();
            chunk.push((line, row));
        }
        if chunk.len() >= CHUNK_ROWS || bytes >= CHUNK_BYTES || (is_end && !chunk.is_empty()) {
            let inserted = writer.write(&chunk).await.map_err(|(first, last, error)| Error::Rows {
                path: path.to_owned(),
                first,
                last,
                error,
            })?;
            loaded.rows += chunk.len() as u64;
            loaded.inserted += inserted;
            chunk.clear();
            bytes = 0;
            progress(loaded.rows);
        }
        if is_end {
            return Ok(loaded);
        }
    }
}

/// Writes rows into one table.
struct RowWriter<'a> {
    backend: &'a dyn Backend,
    caller: Caller,
    statement: Statement,
    /// For each column of the file: its name as a JSON member, and whether it takes JSON.
    members: Vec<(String, bool)>,
    number: Option<String>,
}

impl<'a> RowWriter<'a> {
    fn new(backend: &'a Arc<dyn Backend>, destination: &Destination) -> Result<Self, Error> {
        let relation = &destination.relation;
        let catalog = backend.catalog();
        let role = relation.owner.clone();
        let mut columns: Vec<ColumnIndex> = destination.columns.clone();
        columns.extend(destination.number);
        let needs = Needs {
            select: columns.clone(),
            insert: Some(columns.clone()),
            update: Some(columns.clone()),
            ..Needs::default()
        };
        let refused = |error| Error::Database {
            doing: format!("asking for leave to write {}", relation.name),
            error,
        };
        let access = policy::authorize(&catalog, &role, relation, &needs).map_err(|error| refused(error.into()))?;
        let has_more = columns.iter().any(|column| !destination.key.contains(column));
        let plan = Plan {
            catalog_version: catalog.version,
            role: role.clone(),
            format: RowFormat::Json,
            handler: None,
            explain: None,
            action: Action::Insert(Insert {
                source: PlanSource {
                    relation: Arc::clone(relation),
                    access,
                },
                columns,
                missing: Missing::Null,
                conflict: Some(Conflict {
                    columns: destination.key.clone(),
                    action: if has_more {
                        ConflictAction::Merge
                    } else {
                        ConflictAction::Ignore
                    },
                }),
                returning: Returning {
                    read: None,
                    location: Vec::new(),
                },
                must_match: Vec::new(),
            }),
        };
        let statement = backend.render(&plan).map_err(refused)?;
        let member = |position: &ColumnIndex| {
            let column = relation.columns.get(*position)?;
            Some((quoted(&column.name), column.ty.is_json()))
        };
        Ok(RowWriter {
            backend: &**backend,
            caller: Caller::of_role(role),
            statement,
            members: destination.columns.iter().filter_map(member).collect(),
            number: destination.number.as_ref().and_then(member).map(|(name, _)| name),
        })
    }

    /// One record as a JSON object.
    fn row(&self, cells: &[Cell], number: u64, texts_are_json: bool) -> String {
        let mut row = String::from("{");
        for ((name, takes_json), cell) in self.members.iter().zip(cells) {
            if row.len() > 1 {
                row.push(',');
            }
            row.push_str(name);
            row.push(':');
            match cell {
                Cell::Null => row.push_str("null"),
                Cell::Json(text) => row.push_str(text),
                // In a text file a JSON column's text is JSON already.
                Cell::Text(text) if *takes_json && texts_are_json => row.push_str(text),
                Cell::Text(text) => row.push_str(&quoted(text)),
            }
        }
        if let Some(name) = &self.number {
            if row.len() > 1 {
                row.push(',');
            }
            row.push_str(name);
            row.push(':');
            row.push_str(&number.to_string());
        }
        row.push('}');
        row
    }

    /// Writes rows in one transaction; how many were new. Errors: the first and last line of the fewest rows that are
    /// refused together, and why.
    async fn write(&self, rows: &[(u64, String)]) -> Result<u64, (u64, u64, BackendError)> {
        let mut error = match self.run(rows, false).await {
            Ok(inserted) => return Ok(inserted),
            Err(error) => error,
        };
        let mut rows = rows;
        while rows.len() > 1 && matches!(error, BackendError::Refused(_) | BackendError::BadPayload(_)) {
            let (first, second) = rows.split_at(rows.len() / 2);
            // Nothing of this is kept: it only finds out which half is refused.
            if let Err(refused) = self.run(first, true).await {
                (rows, error) = (first, refused);
            } else if let Err(refused) = self.run(second, true).await {
                (rows, error) = (second, refused);
            } else {
                break;
            }
        }
        let line = |row: Option<&(u64, String)>| row.map_or(0, |(line, _)| *line);
        Err((line(rows.first()), line(rows.last()), error))
    }

    async fn run(&self, rows: &[(u64, String)], rollback: bool) -> Result<u64, BackendError> {
        let mut payload = String::from("[");
        for (position, (_, row)) in rows.iter().enumerate() {
            if position > 0 {
                payload.push(',');
            }
            payload.push_str(row);
        }
        payload.push(']');
        let mut input = Input {
            payload: Some(payload.into()),
            ..Input::default()
        };
        input.options.rollback = rollback;
        let outcome = self.backend.run(&self.caller, &self.statement, input).await?;
        Ok(outcome.inserted)
    }
}

/// A JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}
