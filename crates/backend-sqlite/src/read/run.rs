//! Runs a program and writes its rows, straight from SQLite's columns into the response's bytes.
//!
//! Not here: which connection it runs on (`reader`, `write`), brackets around the rows (`data`).
//!
//! Source: `data-path.md` §4 (1).

use mainstay_core::backend::ANSWER_BYTES_MAX;
use mainstay_core::error::BackendError;
use mainstay_core::plan::{Cardinality, Format, Options, Outcome, Value, ValueRef};
use mainstay_core::render;
use rusqlite::types::{ToSqlOutput, ValueRef as Cell};
use rusqlite::{CachedStatement, Connection, Row, ToSql};

use super::compile::GIVEN;
use super::prepared::{Prepared, PreparedNode};
use super::program::{Child, CountCap, CountPlan, Member, Node, Query, ReadProgram};
use super::strip::write_stripped;
use super::zone::Zone;
use crate::emit::binds::{Bind, BindError, Sources, resolve};
use crate::values::cast::{self, Kind};
use crate::values::errors::PgError;

/// Bytes that a body begins with room for.
const BODY_ROOM: usize = 1_024;

/// Why a run failed, with the statement that did.
#[derive(Debug)]
pub enum RunError {
    Sqlite { error: rusqlite::Error, sql: String },
    Backend(BackendError),
}

impl From<BackendError> for RunError {
    fn from(error: BackendError) -> Self {
        RunError::Backend(error)
    }
}

/// Runs a program of [`compile_returning`](super::compile::compile_returning) over the rows numbered `rows`, on the
/// connection that wrote them. Counts nothing and ignores `singular`.
pub fn run_returning(
    program: &ReadProgram,
    connection: &Connection,
    sources: &Sources<'_>,
    rows: &[i64],
) -> Result<Outcome, RunError> {
    let root = &program.root.query;
    let mut prepared = Prepared::new(connection, program).map_err(|error| RunError::Sqlite {
        error,
        sql: program.sql(),
    })?;
    let mut list = String::with_capacity(rows.len() * 8 + 2);
    list.push('[');
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            list.push(',');
        }
        list.push_str(&row.to_string());
    }
    list.push(']');
    give(root, &mut prepared.root.statement, list)?;
    run(program, &mut prepared, sources, &Options::default())
}

/// Runs a program of [`compile_rows`](super::compile::compile_rows) over a routine's rows, as
/// [`cells`](crate::routine::cells) spells them.
pub fn run_rows(
    program: &ReadProgram,
    connection: &Connection,
    sources: &Sources<'_>,
    rows: &str,
    options: &Options,
) -> Result<Outcome, RunError> {
    let mut prepared = Prepared::new(connection, program).map_err(|error| RunError::Sqlite {
        error,
        sql: program.sql(),
    })?;
    give(&program.root.query, &mut prepared.root.statement, rows)?;
    if let (CountPlan::Query(query), Some(statement)) = (&program.count, &mut prepared.count) {
        give(query, statement, rows)?;
    }
    run(program, &mut prepared, sources, options)
}

/// The total that a page of rows tells by itself: it did not reach its limit, so there is nothing after it.
fn total_of_page(program: &ReadProgram, values: &[Value], rows: u64) -> Option<u64> {
    let at = |value: Option<ValueRef>| match value {
        None => Some(0),
        Some(index) => match values.get(index)? {
            Value::Integer(number) => u64::try_from(*number).ok(),
            _ => None,
        },
    };
    let (limit, offset) = program.page;
    let start = at(offset)?;
    let below = limit.is_none() || rows < at(limit)?;
    (below && (rows > 0 || start == 0)).then_some(start + rows)
}

/// Runs `program` and counts as it asks.
pub fn run(
    program: &ReadProgram,
    prepared: &mut Prepared<'_>,
    sources: &Sources<'_>,
    options: &Options,
) -> Result<Outcome, RunError> {
    let zone = match sources
        .context
        .caller()
        .and_then(|caller| caller.request.time_zone.as_deref())
    {
        Some(name) => Some(Zone::find(name).map_err(BackendError::from)?),
        None => None,
    };
    bind(&program.root, &mut prepared.root, sources)?;
    let printer = Printer {
        strip: program.format == Format::JsonStripNulls,
        zone,
    };
    let mut outcome = Outcome {
        body: Vec::with_capacity(BODY_ROOM),
        ..Outcome::default()
    };
    let mut page = Page::new(&program.root, options);
    outcome.rows = match program.format {
        Format::Json | Format::JsonStripNulls => {
            printer.page(&program.root, &mut prepared.root, &mut page, &mut outcome.body)?
        }
        Format::Csv => printer.csv(program, &mut prepared.root, &mut page, &mut outcome.body)?,
        // Only a routine's value is a document here: there are no aggregates of one's own.
        Format::Raw => return Err(BackendError::Internal("rows have no document".to_owned()).into()),
    };
    if options.singular && outcome.rows != 1 {
        return Err(BackendError::NotSingular { rows: outcome.rows }.into());
    }
    (outcome.last_keys, outcome.has_more) = (page.last_keys, page.has_more);
    outcome.total = count(program, prepared, sources, outcome.rows, options)?;
    Ok(outcome)
}

/// Errors: `AnswerTooLarge`.
fn bounded(out: &[u8]) -> Result<(), RunError> {
    match out.len() > ANSWER_BYTES_MAX {
        true => Err(BackendError::AnswerTooLarge.into()),
        false => Ok(()),
    }
}

fn failed(query: &Query) -> impl Fn(rusqlite::Error) -> RunError + '_ {
    |error| RunError::Sqlite {
        error,
        sql: query.sql.clone(),
    }
}

/// Binds what stays the same for all rows; SQLite keeps it when a statement is run again.
fn bind(node: &Node, prepared: &mut PreparedNode<'_>, sources: &Sources<'_>) -> Result<(), RunError> {
    bind_query(&node.query, &mut prepared.statement, sources)?;
    for (child, prepared) in node.children.iter().zip(&mut prepared.children) {
        bind(&child.node, prepared, sources)?;
    }
    Ok(())
}

fn bind_query(query: &Query, statement: &mut CachedStatement<'_>, sources: &Sources<'_>) -> Result<(), RunError> {
    for (index, bind) in query.binds.iter().enumerate() {
        // Bound for each row, or given before the run.
        if matches!(bind, Bind::Parent(_) | Bind::Row(_)) {
            continue;
        }
        let value = resolve(bind, sources).map_err(|error| refused(error, query))?;
        statement.raw_bind_parameter(index + 1, value).map_err(failed(query))?;
    }
    Ok(())
}

/// Binds the value that is known only now.
fn give(query: &Query, statement: &mut CachedStatement<'_>, value: impl ToSql) -> Result<(), RunError> {
    match query.binds.iter().position(|bind| *bind == GIVEN) {
        Some(index) => statement.raw_bind_parameter(index + 1, value).map_err(failed(query)),
        None => Ok(()),
    }
}

fn refused(error: BindError, query: &Query) -> RunError {
    match error {
        BindError::Refused(error) => RunError::Backend(BackendError::Refused(error)),
        BindError::Engine(error) => RunError::Sqlite {
            error,
            sql: query.sql.clone(),
        },
        BindError::Bug(text) => RunError::Backend(BackendError::Internal(text.to_owned())),
    }
}

fn count(
    program: &ReadProgram,
    prepared: &mut Prepared<'_>,
    sources: &Sources<'_>,
    rows: u64,
    options: &Options,
) -> Result<Option<u64>, RunError> {
    if !matches!(program.count, CountPlan::None)
        && program.root.keys.is_empty()
        && let Some(total) = total_of_page(program, sources.values, rows)
    {
        return Ok(Some(total));
    }
    match &program.count {
        CountPlan::None => Ok(None),
        CountPlan::Rows => Ok(Some(rows)),
        CountPlan::Query(query) => match &mut prepared.count {
            Some(statement) => {
                bind_query(query, statement, sources)?;
                one_number(query, statement).map(Some)
            }
            None => Ok(None),
        },
        CountPlan::Bounded { count, otherwise, cap } => {
            let (Some(counting), Some(estimating)) = (&mut prepared.count, &mut prepared.otherwise) else {
                return Ok(None);
            };
            let cap = match cap {
                CountCap::Fixed(rows) => *rows,
                CountCap::Response => options.estimated_rows_exact(),
            };
            bind_query(count, counting, sources)?;
            let bound = i64::try_from(cap).unwrap_or(i64::MAX).saturating_add(1);
            give(count, counting, bound)?;
            let found = one_number(count, counting)?;
            if found <= cap {
                return Ok(Some(found));
            }
            bind_query(otherwise, estimating, sources)?;
            one_number(otherwise, estimating).map(|estimate| Some(estimate.max(found)))
        }
    }
}

fn one_number(query: &Query, statement: &mut CachedStatement<'_>) -> Result<u64, RunError> {
    let mut rows = statement.raw_query();
    let row = rows.next().map_err(failed(query))?;
    let number = match row {
        Some(row) => row.get::<_, i64>(0).map_err(failed(query))?,
        None => 0,
    };
    Ok(u64::try_from(number).unwrap_or(0))
}

/// A page in the making.
struct Page {
    /// `None`: there are no pages.
    rows_max: Option<u64>,
    last_keys: Option<Vec<Option<String>>>,
    has_more: bool,
}

impl Page {
    fn new(root: &Node, options: &Options) -> Self {
        Page {
            rows_max: options.page_rows.filter(|_| !root.keys.is_empty()),
            last_keys: None,
            has_more: false,
        }
    }

    /// True if one more row belongs to it, after `count`.
    fn takes(&mut self, count: u64) -> bool {
        self.has_more = self.rows_max == Some(count);
        !self.has_more
    }
}

/// What printing depends on besides the program.
struct Printer {
    strip: bool,
    /// `Prefer: timezone`.
    zone: Option<Zone>,
}

impl Printer {
    /// Writes the root's rows as objects, up to the page's end. Returns how many.
    fn page(
        &self,
        node: &Node,
        prepared: &mut PreparedNode<'_>,
        page: &mut Page,
        out: &mut Vec<u8>,
    ) -> Result<u64, RunError> {
        if page.rows_max.is_none() {
            return self.rows(node, prepared, b',', out);
        }
        let PreparedNode { statement, children } = prepared;
        let mut rows = statement.raw_query();
        let mut count = 0;
        while let Some(row) = rows.next().map_err(failed(&node.query))? {
            if !page.takes(count) {
                break;
            }
            if count > 0 {
                out.push(b',');
            }
            count += 1;
            self.object(node, row, children, out)?;
            bounded(out)?;
            self.keys(node, row, page, count)?;
        }
        Ok(count)
    }

    /// Remembers the order's keys of the page's last row.
    fn keys(&self, node: &Node, row: &Row<'_>, page: &mut Page, count: u64) -> Result<(), RunError> {
        if page.rows_max != Some(count) {
            return Ok(());
        }
        let mut keys = Vec::with_capacity(node.keys.len());
        for (column, kind) in &node.keys {
            keys.push(match row.get_ref(*column).map_err(failed(&node.query))? {
                Cell::Null => None,
                // `::text` spells booleans out, where their output function does not.
                value if *kind == Kind::Bool => {
                    Some(cast::cast_text(kind, value).map_err(|PgError { message, .. }| internal(&message))?)
                }
                value => Some(self.text(kind, value)?),
            });
        }
        page.last_keys = Some(keys);
        Ok(())
    }

    /// Writes every row of a node as an object. Returns how many.
    fn rows(
        &self,
        node: &Node,
        prepared: &mut PreparedNode<'_>,
        separator: u8,
        out: &mut Vec<u8>,
    ) -> Result<u64, RunError> {
        let PreparedNode { statement, children } = prepared;
        let mut rows = statement.raw_query();
        let mut count = 0;
        while let Some(row) = rows.next().map_err(failed(&node.query))? {
            if count > 0 {
                out.push(separator);
            }
            count += 1;
            self.object(node, row, children, out)?;
            bounded(out)?;
        }
        Ok(count)
    }

    fn object(
        &self,
        node: &Node,
        row: &Row<'_>,
        children: &mut [PreparedNode<'_>],
        out: &mut Vec<u8>,
    ) -> Result<(), RunError> {
        out.push(b'{');
        let start = out.len();
        self.members(node, &node.members, row, children, start, out)?;
        out.push(b'}');
        Ok(())
    }

    /// Writes a row's members; `start` is where the object's first member begins.
    fn members(
        &self,
        node: &Node,
        members: &[Member],
        row: &Row<'_>,
        children: &mut [PreparedNode<'_>],
        start: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), RunError> {
        for member in members {
            match member {
                Member::Column { key, column, kind, .. } => {
                    let value = row.get_ref(*column).map_err(failed(&node.query))?;
                    if self.strip && is_null(kind, value) {
                        continue;
                    }
                    open(start, key, out);
                    self.value(kind, value, out);
                }
                Member::Joined {
                    key, presence, members, ..
                } => {
                    let is_there = row.get_ref(*presence).map_err(failed(&node.query))? != Cell::Null;
                    if self.strip && !is_there {
                        continue;
                    }
                    open(start, key, out);
                    self.joined(node, is_there.then_some(members), row, out)?;
                }
                Member::Embed { key, child, .. } => {
                    let before = out.len();
                    open(start, key, out);
                    let found = self.embed(&node.children[*child], row, &mut children[*child], out)?;
                    if self.strip && !found {
                        out.truncate(before);
                    }
                }
                Member::Spread { child } => {
                    self.spread(&node.children[*child], row, &mut children[*child], start, out)?;
                }
            }
        }
        Ok(())
    }

    /// Writes a joined embed's object, or null where it has no row.
    fn joined(
        &self,
        node: &Node,
        members: Option<&Vec<Member>>,
        row: &Row<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), RunError> {
        let Some(members) = members else {
            out.extend_from_slice(b"null");
            return Ok(());
        };
        out.push(b'{');
        let start = out.len();
        self.members(node, members, row, &mut [], start, out)?;
        out.push(b'}');
        Ok(())
    }

    /// Writes an embed's rows. False if a to-one embed has none.
    fn embed(
        &self,
        child: &Child,
        row: &Row<'_>,
        prepared: &mut PreparedNode<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool, RunError> {
        join(child, row, prepared)?;
        match child.cardinality {
            Cardinality::Many => {
                out.push(b'[');
                self.rows(&child.node, prepared, b',', out)?;
                out.push(b']');
                Ok(true)
            }
            Cardinality::One => {
                let PreparedNode { statement, children } = prepared;
                let mut rows = statement.raw_query();
                match rows.next().map_err(failed(&child.node.query))? {
                    Some(row) => {
                        self.object(&child.node, row, children, out)?;
                        Ok(true)
                    }
                    None => {
                        out.extend_from_slice(b"null");
                        Ok(false)
                    }
                }
            }
        }
    }

    fn spread(
        &self,
        child: &Child,
        row: &Row<'_>,
        prepared: &mut PreparedNode<'_>,
        start: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), RunError> {
        if child.cardinality == Cardinality::One {
            join(child, row, prepared)?;
            let PreparedNode { statement, children } = prepared;
            let mut rows = statement.raw_query();
            if let Some(row) = rows.next().map_err(failed(&child.node.query))? {
                return self.members(&child.node, &child.node.members, row, children, start, out);
            }
            if !self.strip {
                for name in child.node.names() {
                    open(start, &key_of(name), out);
                    out.extend_from_slice(b"null");
                }
            }
            return Ok(());
        }
        let arrays = self.arrays(child, row, prepared)?;
        for (name, array) in child.node.names().into_iter().zip(arrays) {
            open(start, &key_of(name), out);
            out.extend_from_slice(&array);
        }
        Ok(())
    }

    /// For each member of a to-many spread, the JSON array of its values.
    fn arrays(&self, child: &Child, row: &Row<'_>, prepared: &mut PreparedNode<'_>) -> Result<Vec<Vec<u8>>, RunError> {
        join(child, row, prepared)?;
        let mut arrays = vec![vec![b'[']; child.node.names().len()];
        let PreparedNode { statement, children } = prepared;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(failed(&child.node.query))? {
            let mut cells = Vec::with_capacity(arrays.len());
            self.cells(&child.node, row, children, Form::Json, &mut cells)?;
            for (array, cell) in arrays.iter_mut().zip(cells) {
                if array.len() > 1 {
                    array.push(b',');
                }
                match cell {
                    Some(json) => array.extend_from_slice(&json),
                    None => array.extend_from_slice(b"null"),
                }
            }
        }
        for array in &mut arrays {
            array.push(b']');
        }
        Ok(arrays)
    }

    /// A row's values one by one, those of spread embeds in their place. `None` is null.
    fn cells(
        &self,
        node: &Node,
        row: &Row<'_>,
        children: &mut [PreparedNode<'_>],
        form: Form,
        cells: &mut Vec<Option<Vec<u8>>>,
    ) -> Result<(), RunError> {
        for member in &node.members {
            match member {
                Member::Column { column, kind, .. } => {
                    let value = row.get_ref(*column).map_err(failed(&node.query))?;
                    if value == Cell::Null {
                        cells.push(None);
                        continue;
                    }
                    let mut out = Vec::new();
                    match form {
                        Form::Json => self.value(kind, value, &mut out),
                        Form::Text => out = self.text(kind, value)?.into_bytes(),
                    }
                    cells.push(Some(out));
                }
                Member::Joined { presence, members, .. } => {
                    if row.get_ref(*presence).map_err(failed(&node.query))? == Cell::Null {
                        cells.push(None);
                        continue;
                    }
                    let mut out = Vec::new();
                    self.joined(node, Some(members), row, &mut out)?;
                    cells.push(Some(out));
                }
                Member::Embed { child, .. } => {
                    let mut out = Vec::new();
                    let found = self.embed(&node.children[*child], row, &mut children[*child], &mut out)?;
                    cells.push(found.then_some(out));
                }
                Member::Spread { child } => {
                    let (child, prepared) = (&node.children[*child], &mut children[*child]);
                    if child.cardinality == Cardinality::Many {
                        cells.extend(self.arrays(child, row, prepared)?.into_iter().map(Some));
                        continue;
                    }
                    join(child, row, prepared)?;
                    let PreparedNode { statement, children } = prepared;
                    let mut rows = statement.raw_query();
                    match rows.next().map_err(failed(&child.node.query))? {
                        Some(row) => self.cells(&child.node, row, children, form, cells)?,
                        None => cells.extend(child.node.names().into_iter().map(|_| None)),
                    }
                }
            }
        }
        Ok(())
    }

    fn csv(
        &self,
        program: &ReadProgram,
        prepared: &mut PreparedNode<'_>,
        page: &mut Page,
        out: &mut Vec<u8>,
    ) -> Result<u64, RunError> {
        let node = &program.root;
        let PreparedNode { statement, children } = prepared;
        out.extend_from_slice(&program.header);
        let mut rows = statement.raw_query();
        let mut count = 0;
        let mut cells = Vec::new();
        while let Some(row) = rows.next().map_err(failed(&node.query))? {
            if !page.takes(count) {
                break;
            }
            count += 1;
            out.push(b'\n');
            cells.clear();
            self.cells(node, row, children, Form::Text, &mut cells)?;
            for (index, cell) in cells.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                let text = cell.as_deref().map(std::str::from_utf8).transpose();
                render::csv_cell(out, text.map_err(|_| internal("a stored text is not UTF-8"))?);
            }
            self.keys(node, row, page, count)?;
            bounded(out)?;
        }
        Ok(count)
    }

    #[inline]
    fn value(&self, kind: &Kind, value: Cell<'_>, out: &mut Vec<u8>) {
        if let (Some(zone), Kind::Timestamptz, Cell::Text(text)) = (&self.zone, kind, value)
            && let Some(local) = zone.json(text)
        {
            out.push(b'"');
            out.extend_from_slice(local.as_bytes());
            out.push(b'"');
            return;
        }
        if let (Some(zone), Some(text)) = (&self.zone, times(kind, value)) {
            return out.extend_from_slice(zone.json_array(text).as_bytes());
        }
        if let (true, Kind::Json | Kind::Jsonb | Kind::Array(_), Cell::Text(text)) = (self.strip, kind, value)
            && let Ok(text) = std::str::from_utf8(text)
        {
            return write_stripped(text, out);
        }
        cast::write_json(kind, value, out);
    }

    fn text(&self, kind: &Kind, value: Cell<'_>) -> Result<String, RunError> {
        if let (Some(zone), Kind::Timestamptz, Cell::Text(text)) = (&self.zone, kind, value)
            && let Some(local) = zone.text(text)
        {
            return Ok(local);
        }
        if let (Some(zone), Some(text)) = (&self.zone, times(kind, value)) {
            return Ok(zone.text_array(text));
        }
        cast::output(kind, value).map_err(|PgError { message, .. }| internal(&message))
    }
}

/// The stored text of an array of `timestamptz`.
fn times<'v>(kind: &Kind, value: Cell<'v>) -> Option<&'v str> {
    match (kind, value) {
        (Kind::Array(element), Cell::Text(text)) if **element == Kind::Timestamptz => std::str::from_utf8(text).ok(),
        _ => None,
    }
}

/// True for NULL and for JSON's own null.
fn is_null(kind: &Kind, value: Cell<'_>) -> bool {
    match (kind, value) {
        (_, Cell::Null) => true,
        (Kind::Json | Kind::Jsonb, Cell::Text(text)) => text == b"null",
        _ => false,
    }
}

fn internal(text: &str) -> RunError {
    RunError::Backend(BackendError::Internal(text.to_owned()))
}

/// Which form cells are wanted in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Text,
}

/// Binds the columns that an embed is joined by.
#[inline]
fn join(child: &Child, row: &Row<'_>, prepared: &mut PreparedNode<'_>) -> Result<(), RunError> {
    for (placeholder, column) in &child.joins {
        let value = row.get_ref(*column).map_err(failed(&child.node.query))?;
        prepared
            .statement
            .raw_bind_parameter(*placeholder, ToSqlOutput::Borrowed(value))
            .map_err(failed(&child.node.query))?;
    }
    Ok(())
}

#[inline]
fn open(start: usize, key: &[u8], out: &mut Vec<u8>) {
    if out.len() > start {
        out.push(b',');
    }
    out.extend_from_slice(key);
}

/// `"name":`
pub fn key_of(name: &str) -> Box<[u8]> {
    let mut key = Vec::with_capacity(name.len() + 3);
    render::json_string(&mut key, name);
    key.push(b':');
    key.into_boxed_slice()
}
