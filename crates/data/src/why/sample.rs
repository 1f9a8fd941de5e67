//! Rows past all policies: those that a request's filters find, and those that a write would make.
//!
//! Plans made without asking leave are run as the overseer, with the caller's claims, and leave nothing written. Every
//! value is read as PostgreSQL's text, so that conditions can be tried on the rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_core::catalog::{ColumnIndex, Relation};
use mainstay_core::name::Ident;
use mainstay_core::plan::{
    Action, Cardinality, Cast, Count, Field, Operator, Output, Predicate, Read, Returning, Source, Value,
};
use mainstay_core::policy::Access;
use mainstay_core::types::Type;
use serde_json::Value as Json;

use crate::planner::Template;

/// Rows of one relation that are looked at.
pub const ROWS_MAX: usize = 10;

/// The cells of one row, a column each, as text.
pub type Row = Vec<Option<String>>;

/// Rows of one relation.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    pub rows: Vec<Row>,
    /// There are more.
    pub more: bool,
}

/// Samples by the path of embeds.
pub type Samples = BTreeMap<Vec<Ident>, Sample>;

/// Makes of a read one that shows every column of every relation in it, of a few rows.
pub fn widened(mut read: Read, template: &mut Template) -> Read {
    widen(&mut read, template, Cardinality::Many);
    read
}

fn widen(read: &mut Read, template: &mut Template, cardinality: Cardinality) {
    read.output = all_columns(&read.source.relation);
    read.grouping = None;
    read.count = Count::None;
    read.offset = None;
    read.limit = match cardinality {
        Cardinality::One => None,
        Cardinality::Many => Some(template.constant(Value::Integer(ROWS_MAX as i64 + 1))),
    };
    for (index, embed) in read.embeds.iter_mut().enumerate() {
        widen(&mut embed.read, template, embed.cardinality);
        read.output.push(Output::Embed {
            name: embed_key(index),
            embed: index,
        });
    }
}

/// Makes a write give back every column of its rows, and nothing else.
pub fn telling(action: &mut Action) {
    let (source, returning) = match action {
        Action::Insert(insert) => (&insert.source, &mut insert.returning),
        Action::Update(update) => (&update.source, &mut update.returning),
        Action::Delete(delete) => (&delete.source, &mut delete.returning),
        Action::Read(_) | Action::Call(_) => return,
    };
    let relation = source.relation.clone();
    *returning = Returning {
        read: Some(Read {
            output: all_columns(&relation),
            source: Source {
                relation,
                access: Access::system(),
            },
            embeds: Vec::new(),
            filter: None,
            order: Vec::new(),
            limit: None,
            offset: None,
            count: Count::None,
            grouping: None,
            paging: None,
        }),
        location: Vec::new(),
    };
}

/// Only the given rows, by their keys. `None`: the relation has no key.
pub fn only(relation: &Relation, rows: &[Row], template: &mut Template) -> Option<Predicate> {
    let key = relation.primary_key();
    if key.is_empty() {
        return None;
    }
    let mut one = |row: &Row| {
        let equal = |column: &ColumnIndex| {
            Some(Predicate::Compare {
                field: Field::column(*column),
                operator: Operator::Eq,
                value: template.constant(Value::Text(row.get(*column)?.clone()?)),
            })
        };
        key.iter().map(equal).collect::<Option<Vec<_>>>().map(Predicate::And)
    };
    rows.iter().map(&mut one).collect::<Option<Vec<_>>>().map(Predicate::Or)
}

/// Takes the rows of a widened read out of its answer, which is objects with commas between them.
pub fn samples(read: &Read, body: &[u8]) -> Samples {
    let mut found = Samples::new();
    note_paths(read, &mut Vec::new(), &mut found);
    for row in documents(body) {
        gather(read, &row, &mut Vec::new(), &mut found);
    }
    found
}

/// The rows that a telling write gave back.
pub fn written(relation: &Relation, body: &[u8]) -> Sample {
    Sample {
        rows: documents(body).iter().map(|row| cells(relation, row)).collect(),
        more: false,
    }
}

fn documents(body: &[u8]) -> Vec<Json> {
    let text = [b"[", body, b"]"].concat();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Relations without a row have a sample, too.
fn note_paths(read: &Read, path: &mut Vec<Ident>, found: &mut Samples) {
    found.entry(path.clone()).or_default();
    for embed in &read.embeds {
        path.push(embed.name.clone());
        note_paths(&embed.read, path, found);
        path.pop();
    }
}

fn gather(read: &Read, row: &Json, path: &mut Vec<Ident>, found: &mut Samples) {
    let cells = cells(&read.source.relation, row);
    let sample = found.entry(path.clone()).or_default();
    if sample.rows.len() < ROWS_MAX {
        // A row may be embedded in several.
        if !sample.rows.contains(&cells) {
            sample.rows.push(cells);
        }
    } else if !sample.rows.contains(&cells) {
        sample.more = true;
        return;
    }
    for (index, embed) in read.embeds.iter().enumerate() {
        path.push(embed.name.clone());
        match &row[embed_key(index).as_str()] {
            Json::Array(rows) => rows.iter().for_each(|row| gather(&embed.read, row, path, found)),
            row @ Json::Object(_) => gather(&embed.read, row, path, found),
            _ => {}
        }
        path.pop();
    }
}

fn cells(relation: &Relation, row: &Json) -> Row {
    (0..relation.columns.len())
        .map(|column| row[column_key(column).as_str()].as_str().map(str::to_owned))
        .collect()
}

/// Every column as text.
pub fn all_columns(relation: &Arc<Relation>) -> Vec<Output> {
    (0..relation.columns.len())
        .map(|column| Output::Column {
            name: column_key(column),
            field: Field::column(column),
            cast: Some(Cast {
                name: "text".to_owned(),
                ty: Some(Type::Text),
            }),
        })
        .collect()
}

fn column_key(column: ColumnIndex) -> Ident {
    Ident::from(format!("c{column}"))
}

fn embed_key(index: usize) -> Ident {
    Ident::from(format!("e{index}"))
}
