//! Rows as values: their text form, and the whole row of an entry that an outer join may have left without a partner.
//!
//! Invariant: a row that is a value is text in PostgreSQL's output form of a composite type; JSON is made of rows
//! only where their fields are known.
//!
//! Source: PostgreSQL 15 manual, 8.16.6 (output of composite types) and 8.16.5 (whole rows in queries).

use std::collections::HashSet;

use mainstay_core::error::DatabaseError;
use mainstay_sql::typed::{Expr, ExprKind, FromItem, RteId, Select, SortKey};

use super::emitter::{Emitter, Result, Rte};
use super::walk::{self, Visitor};

/// The column that tells rows of a derived table from those that an outer join makes up.
const HERE: &str = "here";

/// The entries whose whole rows something names.
#[derive(Default)]
struct Named(HashSet<RteId>);

impl Visitor for Named {
    fn expr(&mut self, expr: &Expr) {
        if let ExprKind::Row { rte: Some(rte), .. } = &expr.kind {
            self.0.insert(*rte);
        }
    }
}

impl Emitter<'_> {
    /// Notes which of the declared entries have to tell whether they are there: those that an outer join may leave out
    /// and whose whole rows are named.
    pub(super) fn note_whole_rows(&mut self, select: &Select, order: &[SortKey]) {
        if self.scope.nullable.is_empty() {
            return;
        }
        let mut named = Named::default();
        walk::select(&mut named, select);
        order.iter().for_each(|key| walk::expr(&mut named, &key.expr));
        let mut own = Vec::new();
        select.from.iter().for_each(|item| entries(item, &mut own));
        for rte in own {
            if named.0.contains(&rte) && self.scope.nullable.contains(&rte) && self.sure_column(rte).is_none() {
                self.scope.marked.insert(rte);
            }
        }
    }

    /// Writes an entry of FROM, with a column more if it has to tell whether it is there.
    pub(super) fn marked(&mut self, rte: RteId, write: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        if !self.scope.marked.contains(&rte) {
            return write(self);
        }
        self.sql("(SELECT *, 1 AS ").sql(HERE).sql(" FROM ");
        write(self)?;
        self.sql(")");
        Ok(())
    }

    /// A row's form, or NULL where an outer join found no partner for its entry.
    ///
    /// Errors: 0A000 where that cannot be told.
    pub(super) fn row_or_null(&mut self, rte: Option<RteId>, form: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let Some(rte) = rte.filter(|rte| self.scope.nullable.contains(rte)) else {
            return form(self);
        };
        self.sql("CASE WHEN ");
        self.presence(rte)?;
        self.sql(" IS NOT NULL THEN ");
        form(self)?;
        self.sql(" END");
        Ok(())
    }

    /// Something that is null exactly where the entry is not there.
    fn presence(&mut self, rte: RteId) -> Result<()> {
        let entry = self.scope.rtes.get(&rte).cloned();
        match (&entry, self.sure_column(rte)) {
            (Some(Rte::Packed { alias, .. } | Rte::Set { alias, .. }), _) => {
                self.alias(*alias).sql(".key");
            }
            (_, Some(column)) => self.column(rte, column)?,
            (Some(Rte::Relation { alias, .. } | Rte::Numbered { alias }), None) if self.scope.marked.contains(&rte) => {
                self.alias(*alias).sql(".").sql(HERE);
            }
            _ => {
                return Err(DatabaseError::unavailable(
                    "the whole row of an outer join's entry, here",
                    "",
                    1,
                    Some("name its columns"),
                ));
            }
        }
        Ok(())
    }

    /// A column that holds no null in any row of the entry.
    fn sure_column(&self, rte: RteId) -> Option<usize> {
        match self.scope.rtes.get(&rte) {
            Some(Rte::Relation { relation, .. }) if relation.view.is_none() => {
                relation.columns.iter().position(|column| column.not_null)
            }
            _ => None,
        }
    }

    /// A row in the output form of composite types: `(1,"a b",)`.
    pub(super) fn row_text(&mut self, fields: &[Expr]) -> Result<()> {
        self.sql("('('");
        for (index, field) in fields.iter().enumerate() {
            self.sql(if index > 0 { " || ',' || " } else { " || " });
            self.sql("pg_row_field(");
            self.output_of(field)?;
            self.sql(")");
        }
        self.sql(" || ')')");
        Ok(())
    }
}

/// The entries that an item of FROM is made of.
pub(super) fn entries(item: &FromItem, found: &mut Vec<RteId>) {
    match item {
        FromItem::Join { left, right, .. } => {
            entries(left, found);
            entries(right, found);
        }
        FromItem::Relation { rte, .. }
        | FromItem::Subquery { rte, .. }
        | FromItem::Cte { rte, .. }
        | FromItem::Function { rte, .. } => found.push(*rte),
    }
}
