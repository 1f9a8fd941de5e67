//! A whole SQLite file into tables of the project.
//!
//! SQLite's columns hold any kind of value whatever they are declared as; the type taken is the one that every value
//! has, and the declaration decides where several would do. Tables are made by one migration, foreign keys by another
//! once the rows are there: SQLite does not insist on them unless told to, so they may not hold.

use std::path::Path;

use indicatif::{HumanCount, ProgressBar};
use mainstay_backend_sqlite::foreign::{ForeignFile, ForeignTable, ForeignValue};
use mainstay_core::backend::QueryMode;
use mainstay_core::catalog::{Catalog, ConstraintKind};
use mainstay_core::definition::Position;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::{Type, TypeModifier};
use mainstay_ops::import::survey::{Column, Survey};
use mainstay_ops::import::tables::{NewColumn, NewKey, NewTable, add_keys, create};
use mainstay_ops::import::{Cell, Destination, Guess, Record, load, table};
use mainstay_sql::dump::{self, SqlText};

use super::super::{CommandError, Opened};
use super::{is_agreed, make, rows_bar};
use crate::cli::Import;

/// Rows read at a time.
const PAGE_ROWS: usize = 1_000;

/// Endings of SQLite files.
pub fn is_sqlite(path: &Path) -> bool {
    let ending = path
        .extension()
        .map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    matches!(ending.as_deref(), Some("db" | "sqlite" | "sqlite3" | "db3"))
}

/// Kinds of values that a column has.
#[derive(Clone, Debug, Default)]
struct Kinds {
    integers: u64,
    /// Integers that are neither 0 nor 1.
    numbers: u64,
    reals: u64,
    texts: u64,
    blobs: u64,
    nulls: u64,
}

/// A table of the file and what it becomes.
struct Planned {
    source: ForeignTable,
    new: NewTable,
    examples: Vec<String>,
}

/// Shows what the file holds and, if that is agreed to, brings all of it in.
pub async fn import(command: &Import, opened: &Opened, path: &Path) -> Result<(), CommandError> {
    let file = ForeignFile::open(path)?;
    let schema = command.into.as_deref().unwrap_or("public");
    let from = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let bar = ProgressBar::new_spinner();
    let mut planned = Vec::new();
    for source in file.tables()? {
        bar.set_message(format!("reading {}", source.name));
        planned.push(plan(command, &file, source, schema)?);
        bar.tick();
    }
    bar.finish_and_clear();
    if planned.is_empty() {
        return Err(CommandError::Other(format!("{from} has no tables")));
    }
    let planned = in_order(planned);
    show(&planned, &from);
    let catalog = opened.backend.catalog();
    let new: Vec<NewTable> = planned
        .iter()
        .filter(|table| catalog.relation(&table.new.name).is_none())
        .map(|table| table.new.clone())
        .collect();
    let sql = create(&new, &from);
    if !new.is_empty() {
        println!("\n{sql}");
    }
    if !is_agreed(command)? {
        return Ok(());
    }
    if !new.is_empty() {
        make(opened, &format!("import {from}"), &sql).await?;
    }
    for table in &planned {
        let rows = bring(opened, &file, table, path).await?;
        println!("{} rows are in {}.", HumanCount(rows), table.new.name);
    }
    let missing = missing_keys(&planned, &opened.backend.catalog());
    if !missing.is_empty() {
        make(opened, &format!("keys of {from}"), &add_keys(&missing, &from)).await?;
    }
    Ok(())
}

/// Tables after those that they refer to, as far as they do not refer to each other: a second import finds the foreign
/// keys in place.
fn in_order(mut tables: Vec<Planned>) -> Vec<Planned> {
    let mut ordered: Vec<Planned> = Vec::new();
    while !tables.is_empty() {
        let waits = |table: &Planned| {
            let targets = table.source.foreign_keys.iter().map(|key| &key.table);
            let is_waiting = |name: &String| {
                !name.eq_ignore_ascii_case(&table.source.name)
                    && tables.iter().any(|other| other.source.name.eq_ignore_ascii_case(name))
            };
            targets.into_iter().any(is_waiting)
        };
        let next = tables.iter().position(|table| !waits(table)).unwrap_or(0);
        ordered.push(tables.remove(next));
    }
    ordered
}

/// Reads every value of a table and decides what its columns become.
fn plan(command: &Import, file: &ForeignFile, source: ForeignTable, schema: &str) -> Result<Planned, CommandError> {
    let mut kinds = vec![Kinds::default(); source.columns.len()];
    let mut guesses: Vec<Guess> = source
        .columns
        .iter()
        .map(|column| Guess::new(&column.name, column.name.clone()))
        .collect();
    let mut after = None;
    loop {
        let (rows, next) = file.page(&source, after, PAGE_ROWS)?;
        for row in &rows {
            for ((value, kinds), guess) in row.iter().zip(&mut kinds).zip(&mut guesses) {
                count(value, kinds, guess);
            }
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    let mut columns = Vec::new();
    for (position, column) in source.columns.iter().enumerate() {
        let given = command.types.iter().find_map(|given| {
            let (name, ty) = given.split_once('=')?;
            let full = format!("{}.{}", source.name, column.name);
            (name == full).then(|| Type::from_builtin_name(ty)).flatten()
        });
        let ty = given.unwrap_or_else(|| decide(&column.declared, &kinds[position], &guesses[position]));
        let is_key = source.primary_key.contains(&position);
        columns.push(NewColumn {
            name: column.name.clone(),
            not_null: is_key || (column.not_null && kinds[position].nulls == 0),
            is_identity: source.is_numbered && is_key && ty == Type::Int8,
            default: column.default.as_deref().and_then(|text| default(text, &ty)),
            ty,
        });
    }
    Ok(Planned {
        new: NewTable {
            name: QualifiedName::new(schema, source.name.as_str()),
            columns,
            primary_key: source.primary_key.clone(),
            unique: source.unique.clone(),
            indexes: source.indexes.clone(),
        },
        examples: guesses.into_iter().map(|guess| guess.example).collect(),
        source,
    })
}

fn count(value: &ForeignValue, kinds: &mut Kinds, guess: &mut Guess) {
    match value {
        ForeignValue::Null => kinds.nulls += 1,
        ForeignValue::Integer(number) => {
            kinds.integers += 1;
            kinds.numbers += u64::from(!matches!(number, 0 | 1));
        }
        ForeignValue::Real(_) => kinds.reals += 1,
        ForeignValue::Text(_) => kinds.texts += 1,
        ForeignValue::Blob(_) => kinds.blobs += 1,
    }
    if let Some(text) = shown(value) {
        // Texts stand among values that have types of their own, so a text is no number.
        guess.add(&Cell::Text(text), 0, true);
    }
}

fn shown(value: &ForeignValue) -> Option<String> {
    match value {
        ForeignValue::Null => None,
        ForeignValue::Integer(number) => Some(number.to_string()),
        ForeignValue::Real(number) => Some(format!("{number:?}")),
        ForeignValue::Text(text) => Some(text.clone()),
        ForeignValue::Blob(bytes) => Some(hex(bytes)),
    }
}

/// The type that every value has; the declaration decides where several would do.
fn decide(declared: &str, kinds: &Kinds, guess: &Guess) -> Type {
    let says = |word: &str| declared.contains(word);
    let is_exact = says("DEC") || says("NUMERIC") || says("MONEY");
    match (kinds.integers > 0, kinds.reals > 0, kinds.texts > 0, kinds.blobs > 0) {
        (true, false, false, false) if says("BOOL") && kinds.numbers == 0 => Type::Bool,
        (true, _, false, false) | (false, true, false, false) if is_exact => Type::Numeric,
        (true, false, false, false) if says("REAL") || says("FLOA") || says("DOUB") => Type::Float8,
        (true, false, false, false) => Type::Int8,
        (_, true, false, false) => Type::Float8,
        (false, false, false, true) => Type::Bytea,
        (false, false, true, false) => match guess.ty() {
            ty @ (Type::Uuid | Type::Date | Type::Timestamp | Type::Timestamptz) => ty,
            Type::Jsonb if says("JSON") => Type::Jsonb,
            _ => Type::Text,
        },
        (false, false, false, false) => match declared {
            _ if says("BOOL") => Type::Bool,
            _ if is_exact => Type::Numeric,
            _ if says("INT") => Type::Int8,
            _ if says("REAL") || says("FLOA") || says("DOUB") => Type::Float8,
            _ if says("JSON") => Type::Jsonb,
            _ if says("TIMESTAMP") || says("DATETIME") => Type::Timestamptz,
            _ if says("DATE") => Type::Date,
            _ if says("BLOB") => Type::Bytea,
            _ if says("UUID") => Type::Uuid,
            _ => Type::Text,
        },
        _ => Type::Text,
    }
}

/// A default in PostgreSQL's words; others than numbers, texts and the current time are left out.
fn default(text: &str, ty: &Type) -> Option<String> {
    let inner = text.trim().trim_start_matches('(').trim_end_matches(')').trim();
    let is_time = matches!(ty, Type::Timestamp | Type::Timestamptz | Type::Date);
    match ty {
        _ if is_time => inner
            .eq_ignore_ascii_case("current_timestamp")
            .then(|| "now()".to_owned()),
        Type::Bool => match inner.to_ascii_lowercase().as_str() {
            "0" | "false" => Some("false".to_owned()),
            "1" | "true" => Some("true".to_owned()),
            _ => None,
        },
        Type::Int8 => inner.parse::<i64>().ok().map(|number| number.to_string()),
        Type::Float8 | Type::Numeric => inner.parse::<f64>().is_ok_and(f64::is_finite).then(|| inner.to_owned()),
        Type::Text => {
            let body = inner.strip_prefix('\'')?.strip_suffix('\'')?;
            // Quotes inside must be doubled, as they are in both dialects.
            let is_whole = !body.replace("''", "").contains('\'') && !body.contains('\\');
            is_whole.then(|| inner.to_owned())
        }
        _ => None,
    }
}

/// A value as the column takes it.
fn cell(value: &ForeignValue, ty: &Type) -> Cell {
    match (value, ty) {
        (ForeignValue::Null, _) => Cell::Null,
        (ForeignValue::Integer(number), Type::Bool) => Cell::Json((*number != 0).to_string()),
        (ForeignValue::Integer(number), Type::Text) => Cell::Text(number.to_string()),
        (ForeignValue::Integer(number), _) => Cell::Json(number.to_string()),
        (ForeignValue::Real(number), Type::Float8 | Type::Numeric) if number.is_finite() => {
            Cell::Json(format!("{number:?}"))
        }
        (ForeignValue::Real(number), _) if number.is_infinite() => {
            Cell::Text(if *number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned())
        }
        (ForeignValue::Real(number), _) => Cell::Text(format!("{number:?}")),
        (ForeignValue::Text(text), _) => Cell::Text(text.clone()),
        (ForeignValue::Blob(bytes), _) => Cell::Text(hex(bytes)),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len() * 2 + 2);
    text.push_str("\\x");
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Brings one table's rows in; how many.
async fn bring(opened: &Opened, file: &ForeignFile, planned: &Planned, path: &Path) -> Result<u64, CommandError> {
    let column = |column: &NewColumn| Column {
        name: column.name.clone(),
        ident: column.name.clone(),
        ty: column.ty.clone(),
        not_null: column.not_null,
        example: String::new(),
    };
    let survey = Survey {
        columns: planned.new.columns.iter().map(column).collect(),
        records: planned.source.rows,
        key: Some(planned.new.primary_key.clone()).filter(|key| !key.is_empty()),
    };
    let name = &planned.new.name;
    let destination = Destination::fit(&opened.backend.catalog(), name, &survey, None)?;
    let types: Vec<Type> = destination
        .columns
        .iter()
        .filter_map(|position| destination.relation.columns.get(*position))
        .map(|column| column.ty.base().clone())
        .collect();
    let bar = rows_bar(planned.source.rows, &name.to_string());
    let (mut after, mut written) = (None, 0_u64);
    loop {
        let (rows, next) = file.page(&planned.source, after, PAGE_ROWS)?;
        let numbered = rows.iter().zip(written + 1..).map(|(row, number)| {
            let cells = row.iter().zip(&types).map(|(value, ty)| cell(value, ty));
            (number, cells.collect())
        });
        let mut records = numbered.collect::<Vec<Record>>().into_iter();
        let mut take = || Ok(records.next());
        let loaded = load::write(&opened.backend, path, &destination, true, written, &mut take, |_| {}).await?;
        written += loaded.rows;
        bar.set_position(written);
        after = next;
        if after.is_none() {
            break;
        }
    }
    bar.finish_and_clear();
    if let Some(identity) = planned.new.columns.iter().find(|column| column.is_identity) {
        next_number(opened, name, &identity.name).await?;
    }
    Ok(written)
}

/// New rows go on after the highest number that came in.
async fn next_number(opened: &Opened, name: &QualifiedName, column: &str) -> Result<(), CommandError> {
    let catalog = opened.backend.catalog();
    let sequence = catalog
        .relation(name)
        .and_then(|relation| relation.column(column))
        .and_then(|(_, column)| column.sequence.clone());
    let Some(sequence) = sequence else { return Ok(()) };
    let mut highest = SqlText::new();
    highest
        .sql("SELECT max(")
        .ident(&Ident::new(column))
        .sql(") FROM ")
        .name(name);
    let found = opened
        .backend
        .query(None, &highest.finish(), QueryMode::ReadOnly)
        .await?;
    let highest = found
        .rows
        .into_iter()
        .flatten()
        .next()
        .flatten()
        .and_then(|text| text.parse::<i64>().ok());
    if let Some(highest) = highest.filter(|highest| *highest > 0) {
        let position = Position {
            value: highest,
            is_called: true,
        };
        let statement = dump::position(&sequence, position);
        opened.backend.query(None, &statement, QueryMode::ReadWrite).await?;
    }
    Ok(())
}

/// Foreign keys of the file that the database does not have.
fn missing_keys(planned: &[Planned], catalog: &Catalog) -> Vec<NewKey> {
    let find = |name: &str| {
        planned
            .iter()
            .find(|table| table.source.name.eq_ignore_ascii_case(name))
    };
    let mut missing = Vec::new();
    for table in planned {
        for key in &table.source.foreign_keys {
            let Some(target) = find(&key.table) else { continue };
            let spelled = |table: &Planned, name: &String| {
                let column = table
                    .source
                    .columns
                    .iter()
                    .find(|column| column.name.eq_ignore_ascii_case(name));
                column.map_or_else(|| name.clone(), |column| column.name.clone())
            };
            let columns: Vec<String> = key.columns.iter().map(|name| spelled(table, name)).collect();
            let target_columns: Vec<String> = if key.target_columns.is_empty() {
                let primary = target.source.primary_key.iter();
                primary
                    .map(|position| target.source.columns[*position].name.clone())
                    .collect()
            } else {
                key.target_columns.iter().map(|name| spelled(target, name)).collect()
            };
            let is_there = catalog.relation(&table.new.name).is_some_and(|relation| {
                relation.constraints.iter().any(|constraint| match &constraint.kind {
                    ConstraintKind::ForeignKey(known) => {
                        let names = known
                            .columns
                            .iter()
                            .map(|position| relation.columns[*position].name.as_str());
                        known.target == target.new.name && names.eq(columns.iter().map(String::as_str))
                    }
                    _ => false,
                })
            });
            if !is_there {
                missing.push(NewKey {
                    table: table.new.name.clone(),
                    columns,
                    target: target.new.name.clone(),
                    target_columns,
                    on_delete: action(&key.on_delete),
                    on_update: action(&key.on_update),
                });
            }
        }
    }
    missing
}

fn action(text: &str) -> Option<&'static str> {
    ["CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT"]
        .into_iter()
        .find(|known| *known == text)
}

fn show(planned: &[Planned], from: &str) {
    println!("{from}: an SQLite file with {} tables", planned.len());
    for table in planned {
        println!("\n{} ({} rows)", table.new.name, HumanCount(table.source.rows));
        let rows = table
            .new
            .columns
            .iter()
            .enumerate()
            .zip(&table.source.columns)
            .zip(&table.examples);
        for (((position, column), source), example) in rows {
            let mark = match (table.new.primary_key.contains(&position), column.not_null) {
                (true, _) => "key",
                (false, true) => "not null",
                (false, false) => "",
            };
            let ty = column.ty.display(TypeModifier::None);
            println!("  {:24} {:16} {ty:28} {mark:8} {example}", column.name, source.declared);
        }
        if table.new.primary_key.is_empty() {
            println!("  No key: {} takes each row's number.", table::NUMBER_COLUMN);
        }
    }
}
