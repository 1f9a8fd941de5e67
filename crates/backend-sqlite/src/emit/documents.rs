//! Candidate indexes of full text search: which there are, and how a condition asks them.
//!
//! A GIN or GiST index over a `tsvector` has a table of FTS5 beside the table, with one row for each document: its
//! lexemes, spelled as tokens. What it finds for a query are candidates; whether a document matches is decided by `@@`
//! itself, which stays where it was. So a token may stand for several lexemes, and a query may be widened.
//!
//! Lives here: the names and keys of such indexes, and the condition `row IN (candidates)`.
//! Not here: making and keeping them (`schema::documents`), tokens (`values::text_search::candidates`).
//!
//! Source: SQLite documentation, "FTS5" (contentless-delete tables, `detail=none`).

use std::sync::Arc;

use mainstay_core::catalog::{Catalog, Index, IndexPart, Relation, RelationKind, Volatility};
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::Type;
use mainstay_sql::analyse::volatility;
use mainstay_sql::typed::{Expr, ExprKind, RteId};

use super::compiled::Compiled;
use super::emitter::{Emitter, Result, Rte};
use super::relation::ROWID;
use super::walk;
use super::writer::physical_name;

/// The beginning of the names of the tables in which candidates are found.
pub const PREFIX: &str = "_ms_words:";

/// One key of an index, with the table in which its candidates are found.
pub struct DocumentKey<'r> {
    pub part: &'r IndexPart,
    /// The table's name in the file.
    pub table: Ident,
}

/// The keys of a relation's indexes that have candidates.
pub fn keys<'r>(compiled: &Compiled, relation: &'r Arc<Relation>) -> Vec<DocumentKey<'r>> {
    let mut found = Vec::new();
    if !may_have_keys(relation) {
        return found;
    }
    for index in relation.indexes.iter().filter(|index| is_candidate(index)) {
        for (position, key) in index.keys.iter().enumerate() {
            let is_document = match &key.part {
                IndexPart::Column(column) => *relation.columns[*column].ty.base() == Type::Tsvector,
                IndexPart::Expression(text) => compiled
                    .value(relation, text)
                    .is_ok_and(|bound| *bound.expr.ty.base() == Type::Tsvector),
            };
            if is_document {
                let table = table_of(relation, &index.name, position);
                found.push(DocumentKey { part: &key.part, table });
            }
        }
    }
    found
}

/// False for most relations, without looking at expressions.
pub fn may_have_keys(relation: &Relation) -> bool {
    relation.kind == RelationKind::Table && relation.indexes.iter().any(is_candidate)
}

/// True if some table of the catalog may have candidates.
pub fn any(catalog: &Catalog) -> bool {
    catalog.relations.values().any(|relation| may_have_keys(relation))
}

fn is_candidate(index: &Index) -> bool {
    matches!(index.method.as_str(), "gin" | "gist") && index.predicate.is_none()
}

/// The beginning of the names of one index's tables.
pub fn prefix_of(relation: &Relation, index: &Ident) -> String {
    let index = QualifiedName::new(relation.name.schema.clone(), index.clone());
    let mut name = String::from(PREFIX);
    name.push_str(&physical_name(&index));
    name.push(':');
    name
}

fn table_of(relation: &Relation, index: &Ident, position: usize) -> Ident {
    let mut name = prefix_of(relation, index);
    name.push_str(&position.to_string());
    Ident::new(name)
}

impl Emitter<'_> {
    /// Writes `row IN (candidates) AND ` for each part of a condition that an index has candidates for. The parts
    /// themselves are to follow.
    pub fn candidates(&mut self, condition: &Expr) -> Result<()> {
        match &condition.kind {
            ExprKind::And(parts) => parts.iter().try_for_each(|part| self.candidates(part)),
            ExprKind::Operator { operator, arguments } if operator.name == "@@" => match arguments.as_slice() {
                [document, query] if is_search(document, query) => self.candidates_of(document, query),
                [query, document] if is_search(document, query) => self.candidates_of(document, query),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn candidates_of(&mut self, document: &Expr, query: &Expr) -> Result<()> {
        // The query is written twice, so it must say the same twice.
        if volatility(query) == Volatility::Volatile || walk::has_subquery(query) {
            return Ok(());
        }
        let mut rte = None;
        walk_columns(document, &mut |found| {
            rte.get_or_insert(found);
        });
        let Some(rte) = rte.filter(|rte| self.scope.numbered.contains(rte) && !self.scope.nullable.contains(rte))
        else {
            return Ok(());
        };
        let Some(Rte::Relation { alias, relation }) = self.scope.rtes.get(&rte) else {
            return Ok(());
        };
        let (alias, relation) = (*alias, Arc::clone(relation));
        let compiled = self.compiled;
        let key = keys(compiled, &relation).into_iter().find(|key| match key.part {
            IndexPart::Column(column) => {
                matches!(document.kind, ExprKind::Column { column: searched, .. } if searched == *column)
            }
            IndexPart::Expression(text) => compiled
                .value(&relation, text)
                .is_ok_and(|bound| bound.rte.is_some_and(|own| is_same(&bound.expr, own, document, rte))),
        });
        let Some(key) = key else { return Ok(()) };
        self.alias(alias).sql(".").sql(ROWID).sql(" IN (SELECT rowid FROM ");
        self.writer.ident(&key.table).sql(" WHERE ").ident(&key.table);
        self.sql(" MATCH pg_ts_candidates(");
        self.expr(query)?;
        self.sql(")) AND ");
        Ok(())
    }
}

fn is_search(document: &Expr, query: &Expr) -> bool {
    *document.ty.base() == Type::Tsvector && *query.ty.base() == Type::Tsquery
}

fn walk_columns(expr: &Expr, visit: &mut dyn FnMut(RteId)) {
    mainstay_sql::walk::expr(expr, &mut |inner| {
        if let ExprKind::Column { rte, .. } = inner.kind {
            visit(rte);
        }
        true
    });
}

/// True if an index's expression over `own` is what the other one is over `rte`.
fn is_same(indexed: &Expr, own: RteId, searched: &Expr, rte: RteId) -> bool {
    let all = |left: &[Expr], right: &[Expr]| {
        left.len() == right.len()
            && left
                .iter()
                .zip(right)
                .all(|(left, right)| is_same(left, own, right, rte))
    };
    if indexed.ty != searched.ty || indexed.modifier != searched.modifier {
        return false;
    }
    match (&indexed.kind, &searched.kind) {
        (ExprKind::Literal(left), ExprKind::Literal(right)) => left == right,
        (ExprKind::Column { rte: left, column: a }, ExprKind::Column { rte: right, column: b }) => {
            *left == own && *right == rte && a == b
        }
        (
            ExprKind::Cast {
                expr: left, method: a, ..
            },
            ExprKind::Cast {
                expr: right, method: b, ..
            },
        ) => a == b && is_same(left, own, right, rte),
        (
            ExprKind::Operator {
                operator: a,
                arguments: left,
            },
            ExprKind::Operator {
                operator: b,
                arguments: right,
            },
        ) => std::ptr::eq(*a, *b) && all(left, right),
        (
            ExprKind::Function {
                function: a,
                arguments: left,
            },
            ExprKind::Function {
                function: b,
                arguments: right,
            },
        ) => std::ptr::eq(*a, *b) && all(left, right),
        (ExprKind::Coalesce(left), ExprKind::Coalesce(right)) => all(left, right),
        _ => false,
    }
}
