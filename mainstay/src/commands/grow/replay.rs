//! Asks both databases the same questions and compares the answers byte for byte.
//!
//! The digests prove the rows; this proves what callers see of them: grants, policies, views, relationships, types. For
//! every relation of the API, each as `anon`, as two signed-in users and as `service_role`: how many rows, a page of
//! them, single rows by key, filters on every column with values that occur, and every relationship embedded.
//! Rows without an order of their own are compared as a set.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use mainstay_core::backend::Backend;
use mainstay_core::caller::Caller;
use mainstay_core::catalog::{
    Catalog, ColumnIndex, ConstraintKind, IndexPart, Relation, RelationKind, RelationshipKind,
};
use mainstay_core::error::BackendError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::transfer::{Bounds, Rows};
use mainstay_core::types::Type;
use mainstay_data::DataRoom;
use mainstay_http::{Request, Response};
use serde_json::Value;

use crate::config::Config;

/// Rows of a table whose values are asked for.
const SAMPLES: usize = 3;

/// Rows up to which a relation without a safe order is listed whole.
const UNORDERED_ROWS_MAX: u64 = 1_000;

/// Rows of an ordered page.
const PAGE_ROWS: usize = 50;

/// Signed-in users that are tried.
const USERS: usize = 2;

/// Questions in all, at most.
const READS_MAX: usize = 5_000;

/// Rows above which a table is only filtered by columns that an index finds.
const SCANNED_ROWS_MAX: u64 = 100_000;

/// How long is asked before writes are held; what is left then is left out, and the number of reads says so.
pub const BEFORE: Duration = Duration::from_secs(60);

/// How long is asked while writes are held, beside what was answered differently before.
pub const HELD: Duration = Duration::from_secs(1);

/// How long what was answered differently before is asked again.
const AGAIN: Duration = Duration::from_secs(5);

/// Longest value that becomes a filter, bytes.
const FILTER_BYTES_MAX: usize = 200;

/// One read by one caller.
#[derive(Clone)]
pub struct Question {
    caller: Caller,
    relation: Arc<Relation>,
    query: String,
    is_counted: bool,
}

/// One question that the two sides answered differently.
pub struct Difference {
    pub question: Question,
    pub source: String,
    pub target: String,
}

impl Difference {
    pub fn role(&self) -> &str {
        &self.question.caller.role
    }

    pub fn read(&self) -> String {
        let Question { relation, query, .. } = &self.question;
        format!("GET /{}?{query}", encoded(&relation.name.name))
    }
}

/// What came of it.
#[derive(Default)]
pub struct Replay {
    pub reads: usize,
    pub differences: Vec<Difference>,
    /// Reads that were answered differently before and could not be asked again in time.
    pub unasked: usize,
    /// Which tables have many rows.
    large: HashMap<QualifiedName, bool>,
}

/// The two sides.
struct Sides {
    source: DataRoom,
    target: DataRoom,
}

/// Asks both sides: first what was answered differently before, then everything for so long.
pub async fn replay(
    config: &Config,
    source: &Arc<dyn Backend>,
    target: &Arc<dyn Backend>,
    before: &Replay,
    time: Duration,
) -> Result<Replay, BackendError> {
    let sides = Sides {
        source: DataRoom::new(source.clone(), super::super::serve::data_config(config)),
        target: DataRoom::new(target.clone(), super::super::serve::data_config(config)),
    };
    let catalog = source.catalog();
    let mut relations: Vec<&Arc<Relation>> = catalog
        .relations
        .values()
        .filter(|relation| {
            config
                .rest
                .schemas
                .iter()
                .any(|schema| relation.name.schema == schema.as_str())
        })
        .collect();
    relations.sort_by(|a, b| a.name.cmp(&b.name));
    let mut export = source.transfer().export().await?;
    let mut samples = Vec::new();
    let mut large = Vec::new();
    for relation in &relations {
        let columns: Vec<ColumnIndex> = (0..relation.columns.len()).collect();
        let bounds = Bounds {
            rows: SAMPLES,
            bytes: 1 << 20,
        };
        let rows = match relation.kind {
            RelationKind::Table => export.read(relation, &columns, None, bounds).await?.rows,
            _ => Rows::new(0),
        };
        samples.push(texts(&rows));
        // Counting takes long where it matters.
        large.push(match before.large.get(&relation.name) {
            Some(is_large) => *is_large,
            None => relation.kind == RelationKind::Table && export.count(relation).await? > SCANNED_ROWS_MAX,
        });
    }
    let callers = callers(&relations, &samples);
    let names = relations.iter().map(|relation| relation.name.clone());
    let mut replay = Replay {
        large: names.zip(large.iter().copied()).collect(),
        ..Replay::default()
    };
    let started = Instant::now();
    // What counts all rows comes last.
    let (counts, others): (Vec<_>, Vec<_>) = before.differences.iter().partition(|is| is.question.is_counted);
    for difference in others.into_iter().chain(counts) {
        match started.elapsed() < AGAIN {
            true => drop(ask(&sides, difference.question.clone(), &mut replay).await),
            false => replay.unasked += 1,
        }
    }
    let started = Instant::now();
    for ((relation, rows), is_large) in relations.iter().zip(&samples).zip(large) {
        for caller in &callers {
            if started.elapsed() >= time {
                break;
            }
            let question = |query: String, is_counted| Question {
                caller: caller.clone(),
                relation: Arc::clone(relation),
                query,
                is_counted,
            };
            let total = ask(&sides, question("limit=0".to_owned(), true), &mut replay).await;
            let mut reads = reads(&catalog, relation, rows, is_large);
            match order(relation) {
                Some(order) => reads.push(format!("order={order}&limit={PAGE_ROWS}")),
                None if total.is_some_and(|total| total <= UNORDERED_ROWS_MAX) => reads.push("select=*".to_owned()),
                None => {}
            }
            for read in reads {
                if replay.reads < READS_MAX && started.elapsed() < time {
                    ask(&sides, question(read, false), &mut replay).await;
                }
            }
        }
    }
    Ok(replay)
}

/// The texts of rows; what is long is left out.
fn texts(rows: &Rows) -> Vec<Vec<Option<String>>> {
    let mut found = Vec::new();
    let cell = |value: &Option<&[u8]>| {
        let bytes = value.filter(|bytes| bytes.len() <= FILTER_BYTES_MAX)?;
        std::str::from_utf8(bytes).ok().map(str::to_owned)
    };
    let Ok(()) = rows.each::<std::convert::Infallible>(|row| {
        found.push(row.iter().map(cell).collect());
        Ok(())
    });
    found
}

/// Whom the questions come from. Users are identities that occur: values of `uuid` columns.
fn callers(relations: &[&Arc<Relation>], samples: &[Vec<Vec<Option<String>>>]) -> Vec<Caller> {
    let mut users: Vec<&str> = Vec::new();
    for (relation, rows) in relations.iter().zip(samples) {
        for (position, column) in relation.columns.iter().enumerate() {
            if *column.ty.base() == Type::Uuid {
                users.extend(rows.iter().filter_map(|row| row.get(position)?.as_deref()));
            }
        }
    }
    users.sort_unstable();
    users.dedup();
    let mut callers = vec![Caller::of_role("anon"), Caller::of_role("service_role")];
    let nobody = "00000000-0000-0000-0000-000000000001";
    for user in users.into_iter().take(USERS).chain([nobody]).take(USERS) {
        let claims = serde_json::json!({ "role": "authenticated", "sub": user });
        callers.push(Caller {
            role: Ident::new("authenticated"),
            claims: Arc::from(claims.to_string()),
            ..Caller::of_role("authenticated")
        });
    }
    callers
}

/// A column whose order is the same under every collation.
fn is_ordered_alike(ty: &Type) -> bool {
    !matches!(
        ty.base(),
        Type::Text | Type::Varchar | Type::Bpchar | Type::Name | Type::Json | Type::Jsonb | Type::Array(_)
    )
}

/// The primary key as an order, if both engines order it alike.
fn order(relation: &Relation) -> Option<String> {
    let key = relation.primary_key();
    let columns: Vec<&str> = key
        .iter()
        .filter_map(|position| relation.columns.get(*position))
        .filter(|column| is_ordered_alike(&column.ty))
        .map(|column| column.name.as_str())
        .collect();
    (!columns.is_empty() && columns.len() == key.len() && columns.iter().all(|name| is_plain(name)))
        .then(|| columns.join(","))
}

/// A name that needs no quoting in a query string.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn reads(catalog: &Catalog, relation: &Relation, rows: &[Vec<Option<String>>], is_large: bool) -> Vec<String> {
    let mut reads = Vec::new();
    let page = order(relation).map(|order| format!("&order={order}&limit={PAGE_ROWS}"));
    let key = relation.primary_key();
    let by_key = |row: &[Option<String>]| -> Option<String> {
        let mut query = String::new();
        for position in key {
            let (column, value) = (relation.columns.get(*position)?, row.get(*position)?.as_deref()?);
            let separator = if query.is_empty() { "" } else { "&" };
            write!(query, "{separator}{}=eq.{}", encoded(&column.name), encoded(value)).ok()?;
        }
        (!query.is_empty()).then_some(query)
    };
    let keys: Vec<String> = rows.iter().filter_map(|row| by_key(row)).collect();
    reads.extend(keys.iter().cloned());
    if let Some(page) = &page {
        for (position, column) in relation.columns.iter().enumerate() {
            if is_large && !leads_an_index(relation, position) {
                continue;
            }
            let name = encoded(&column.name);
            reads.push(format!("{name}=is.null{page}"));
            let value = rows.iter().find_map(|row| row.get(position)?.as_deref());
            if let Some(value) = value.map(encoded)
                && !matches!(column.ty.base(), Type::Json | Type::Array(_) | Type::Other(_))
            {
                reads.push(format!("{name}=eq.{value}{page}"));
                if is_ordered_alike(&column.ty) && !matches!(column.ty.base(), Type::Bool) {
                    reads.push(format!("{name}=gte.{value}{page}"));
                }
            }
        }
    }
    for relationship in catalog.relationships_of(&relation.name) {
        let hint = match &relationship.kind {
            RelationshipKind::ManyToOne { constraint, .. }
            | RelationshipKind::OneToMany { constraint, .. }
            | RelationshipKind::OneToOne { constraint, .. } => constraint,
            RelationshipKind::ManyToMany { junction, .. } => &junction.name,
            RelationshipKind::Computed { .. } => continue,
        };
        let to = &relationship.to;
        if !is_plain(hint) || !is_plain(&to.name) || to.schema != relation.name.schema {
            continue;
        }
        let select = format!("select=*,embedded:{}!{hint}(*)", to.name);
        let inner = catalog.relation(to).and_then(|target| order(target));
        let inner = inner
            .map(|order| format!("&embedded.order={order}"))
            .unwrap_or_default();
        match (&page, keys.first()) {
            (Some(page), _) => reads.push(format!("{select}{inner}{page}")),
            (None, Some(key)) => reads.push(format!("{select}{inner}&{key}")),
            (None, None) => {}
        }
    }
    reads
}

/// True if an index or a key begins with the column.
fn leads_an_index(relation: &Relation, position: ColumnIndex) -> bool {
    let of_key = relation.constraints.iter().any(|constraint| match &constraint.kind {
        ConstraintKind::PrimaryKey { columns } | ConstraintKind::Unique { columns } => {
            columns.first() == Some(&position)
        }
        _ => false,
    });
    let of_index = |index: &mainstay_core::catalog::Index| {
        let first = index.keys.first().map(|key| &key.part);
        matches!(first, Some(IndexPart::Column(column)) if *column == position)
    };
    of_key || relation.indexes.iter().any(of_index)
}

/// A value as part of a query string.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Asks both sides; the total of the source's answer, if it was counted.
async fn ask(sides: &Sides, question: Question, replay: &mut Replay) -> Option<u64> {
    let Question {
        caller,
        relation,
        query,
        is_counted,
    } = &question;
    let request = || {
        let mut headers = HeaderMap::new();
        if let Ok(schema) = HeaderValue::from_str(&relation.name.schema) {
            headers.insert("accept-profile", schema);
        }
        if *is_counted {
            headers.insert("prefer", HeaderValue::from_static("count=exact"));
        }
        Request {
            method: Method::GET,
            path: format!("/{}", encoded(&relation.name.name)),
            query: Some(query.clone()),
            headers,
            body: Bytes::new(),
            authentication: std::time::Duration::ZERO,
        }
    };
    let (first, second) = (request(), request());
    let (source, target) = tokio::join!(
        sides.source.handle(caller, &first),
        sides.target.handle(caller, &second)
    );
    replay.reads += 1;
    let range = source.headers.get(header::CONTENT_RANGE);
    let total = range.and_then(|range| range.to_str().ok()?.rsplit('/').next()?.parse().ok());
    if !are_same(&source, &target) {
        replay.differences.push(Difference {
            source: shown(&source),
            target: shown(&target),
            question,
        });
    }
    total
}

fn are_same(source: &Response, target: &Response) -> bool {
    if !source.status.is_success() {
        // Where two relations of one read are denied, either may be named (`docs/portability.md`, difference 7).
        return source.status == target.status && code(&source.body) == code(&target.body);
    }
    source.status == target.status
        && source.headers.get(header::CONTENT_RANGE) == target.headers.get(header::CONTENT_RANGE)
        && (source.body == target.body || as_set(&source.body).is_some_and(|set| Some(set) == as_set(&target.body)))
}

/// An error's code.
fn code(body: &[u8]) -> Option<String> {
    let error: Value = serde_json::from_slice(body).ok()?;
    error.get("code")?.as_str().map(str::to_owned)
}

/// The rows in an order of their texts, embedded rows too.
fn as_set(body: &[u8]) -> Option<Value> {
    let mut value: Value = serde_json::from_slice(body).ok()?;
    sort(&mut value);
    if let Value::Array(rows) = &mut value {
        for row in rows {
            if let Some(embedded) = row.get_mut("embedded") {
                sort(embedded);
            }
        }
    }
    Some(value)
}

fn sort(value: &mut Value) {
    if let Value::Array(rows) = value {
        rows.sort_by_cached_key(ToString::to_string);
    }
}

fn shown(response: &Response) -> String {
    let body: String = String::from_utf8_lossy(&response.body).chars().take(300).collect();
    format!("{} {body}", response.status.as_u16())
}
