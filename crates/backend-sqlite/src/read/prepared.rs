//! A program's statements, prepared on one connection, and what their plans say about their length.

use rusqlite::{CachedStatement, Connection};

use super::program::{CountPlan, Node, Query, ReadProgram};
use crate::emit::documents;

/// Rows above which reading a whole table is not short.
const SCANNED_ROWS_MAX: i64 = 500;

/// The statements of one program on one connection.
pub struct Prepared<'c> {
    pub root: PreparedNode<'c>,
    /// The exact or bounded count.
    pub count: Option<CachedStatement<'c>>,
    /// What is asked when a bounded count reached its bound.
    pub otherwise: Option<CachedStatement<'c>>,
}

/// The statements of one node, parallel to the program's.
pub struct PreparedNode<'c> {
    pub statement: CachedStatement<'c>,
    pub children: Vec<PreparedNode<'c>>,
}

impl<'c> Prepared<'c> {
    /// Prepares every statement.
    pub fn new(connection: &'c Connection, program: &ReadProgram) -> rusqlite::Result<Self> {
        let statement = |query: &Query| connection.prepare_cached(&query.sql);
        let (count, otherwise) = match &program.count {
            CountPlan::None | CountPlan::Rows => (None, None),
            CountPlan::Query(query) => (Some(statement(query)?), None),
            CountPlan::Bounded { count, otherwise, .. } => (Some(statement(count)?), Some(statement(otherwise)?)),
        };
        Ok(Prepared {
            root: PreparedNode::new(connection, &program.root)?,
            count,
            otherwise,
        })
    }
}

impl<'c> PreparedNode<'c> {
    fn new(connection: &'c Connection, node: &Node) -> rusqlite::Result<Self> {
        let children: rusqlite::Result<Vec<_>> = node
            .children
            .iter()
            .map(|child| PreparedNode::new(connection, &child.node))
            .collect();
        Ok(PreparedNode {
            statement: connection.prepare_cached(&node.query.sql)?,
            children: children?,
        })
    }
}

/// True if no statement of the program reads a whole table of more than [`SCANNED_ROWS_MAX`] rows, sorted or filtered
/// or without an end. Reads that use an index and are long all the same are caught by their step limit.
pub fn is_short(connection: &Connection, program: &ReadProgram) -> rusqlite::Result<bool> {
    let counts: &[&Query] = match &program.count {
        CountPlan::None | CountPlan::Rows => &[],
        CountPlan::Query(query) => &[query],
        CountPlan::Bounded { count, otherwise, .. } => &[count, otherwise],
    };
    for query in counts {
        if !plan_is_short(connection, query)? {
            return Ok(false);
        }
    }
    node_is_short(connection, &program.root)
}

fn node_is_short(connection: &Connection, node: &Node) -> rusqlite::Result<bool> {
    if !plan_is_short(connection, &node.query)? {
        return Ok(false);
    }
    for child in &node.children {
        if !node_is_short(connection, &child.node)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn plan_is_short(connection: &Connection, query: &Query) -> rusqlite::Result<bool> {
    let mut text = String::with_capacity(query.sql.len() + 20);
    text.push_str("EXPLAIN QUERY PLAN ");
    text.push_str(&query.sql);
    let mut steps: Vec<String> = Vec::new();
    let mut statement = connection.prepare(&text)?;
    // Raw, because placeholders need no values here.
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        steps.push(row.get(3)?);
    }
    let scans = steps.iter().any(|step| is_scan(step));
    if !scans {
        return Ok(true);
    }
    // A scan that stops after a page of rows is short, unless it has to look at all of them first.
    let sorts = steps.iter().any(|step| step.contains("TEMP B-TREE"));
    let bounded = query.sql.contains(" LIMIT ") && !sorts && !query.sql.contains(" WHERE ");
    if bounded {
        return Ok(true);
    }
    largest_table(connection, query).map(|rows| rows <= SCANNED_ROWS_MAX)
}

fn is_scan(step: &str) -> bool {
    let is_function = step.contains("VIRTUAL TABLE") && !step.contains(documents::PREFIX);
    step.starts_with("SCAN ") && !step.starts_with("SCAN CONSTANT ROW") && !is_function
}

/// The highest rowid among the tables that a statement reads: no fewer than its rows, found without reading them.
fn largest_table(connection: &Connection, query: &Query) -> rusqlite::Result<i64> {
    let mut largest = 0;
    for table in tables_of(connection, query)? {
        let mut sql = crate::emit::writer::SqlWriter::new();
        sql.sql("SELECT coalesce(max(rowid), 0) FROM ").ident(&table.into());
        let (text, _) = sql.finish();
        largest = largest.max(connection.prepare(&text)?.query_row([], |row| row.get::<_, i64>(0))?);
    }
    Ok(largest)
}

/// The tables whose root pages the statement's byte code opens.
fn tables_of(connection: &Connection, query: &Query) -> rusqlite::Result<Vec<String>> {
    let mut text = String::with_capacity(query.sql.len() + 8);
    text.push_str("EXPLAIN ");
    text.push_str(&query.sql);
    let mut statement = connection.prepare(&text)?;
    let mut rows = statement.raw_query();
    let mut pages = Vec::new();
    while let Some(row) = rows.next()? {
        // addr, opcode, p1, p2 …: p2 of an opening is the root page, p3 the database.
        let opcode: String = row.get(1)?;
        if opcode == "OpenRead" && row.get::<_, i64>(4)? == 0 {
            pages.push(row.get::<_, i64>(3)?);
        }
    }
    let mut names = Vec::new();
    let mut by_page = connection.prepare_cached("SELECT tbl_name FROM main.sqlite_schema WHERE rootpage = ?1")?;
    for page in pages {
        let mut rows = by_page.query([page])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    Ok(names)
}
