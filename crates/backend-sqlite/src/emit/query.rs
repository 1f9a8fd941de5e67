//! Queries: SELECT, VALUES, set operations, WITH, joins.
//!
//! A query's output columns are called `c1`, `c2` …, so that equal or missing names do no harm; a view's have the view's
//! names.

use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use mainstay_core::policy;
use mainstay_sql::ast::{JoinKind, SetOperator};
use mainstay_sql::typed::{
    Distinct, Expr, ExprKind, FromItem, Literal, OutputColumn, Query, RteId, Select, SetExpression, SortKey,
    TableFunction,
};

use super::emitter::{Emitter, Result, Rte};
use super::relation::{READ, Wanted};
use super::{shape, types, walk, whole_row};

/// What output columns are called.
#[derive(Clone, Copy)]
pub enum Names<'a> {
    /// `c1`, `c2` …
    Numbered,
    Given(&'a [Ident]),
}

impl Emitter<'_> {
    /// Checks what a whole statement uses and writes it.
    ///
    /// Errors: 42501, 42P17, 0A000.
    pub fn statement_query(&mut self, query: &Query) -> Result<()> {
        self.check_uses(&super::privileges::Uses::of(|visitor| {
            super::walk::query(visitor, query)
        }))?;
        self.query(query, Names::Numbered)
    }

    /// Writes a query whose grants have been checked.
    pub fn query(&mut self, query: &Query, names: Names<'_>) -> Result<()> {
        self.ctes(&query.ctes)?;
        match &query.body {
            SetExpression::Select(select) => match &select.distinct {
                Distinct::On(parts) => self.distinct_on(select, parts, &query.order, names)?,
                _ => {
                    let order = self.select(select, names, &query.order)?;
                    self.order_by(&order)?;
                }
            },
            body => {
                self.body(body, names)?;
                self.order_by(&query.order)?;
            }
        }
        self.limit(query.limit.as_ref(), query.offset.as_ref())
    }

    /// `WITH …`, if there is one.
    pub fn ctes(&mut self, ctes: &[mainstay_sql::typed::Cte]) -> Result<()> {
        if ctes.is_empty() {
            return Ok(());
        }
        for cte in ctes {
            let alias = self.fresh_alias();
            self.scope.ctes.insert(cte.id, alias);
        }
        self.sql(if ctes.iter().any(|cte| cte.recursive) {
            "WITH RECURSIVE "
        } else {
            "WITH "
        });
        for (index, cte) in ctes.iter().enumerate() {
            if index > 0 {
                self.sql(", ");
            }
            let alias = self.scope.ctes[&cte.id];
            self.alias(alias).sql("(");
            for column in 0..cte.columns.len().max(1) {
                if column > 0 {
                    self.sql(", ");
                }
                self.sql("c").writer.number(column as i64 + 1);
            }
            self.sql(match cte.materialized {
                Some(true) => ") AS MATERIALIZED (",
                Some(false) => ") AS NOT MATERIALIZED (",
                None => ") AS (",
            });
            self.query(&cte.query, Names::Numbered)?;
            self.sql(")");
        }
        self.sql(" ");
        Ok(())
    }

    fn body(&mut self, body: &SetExpression, names: Names<'_>) -> Result<()> {
        match body {
            SetExpression::Select(select) => self.select(select, names, &[]).map(|_| ()),
            SetExpression::Values(rows) => self.values(rows, names),
            SetExpression::Query(query) => {
                // Its ORDER BY and LIMIT are its own.
                self.sql("SELECT ");
                self.renamed(query.columns.len(), names);
                self.sql(" FROM (");
                self.query(query, Names::Numbered)?;
                self.sql(")");
                Ok(())
            }
            SetExpression::Operation {
                operator,
                all,
                left,
                right,
                columns,
            } => self.operation(*operator, *all, left, right, columns, names),
        }
    }

    /// `c1 AS "a", c2 AS "b"`.
    fn renamed(&mut self, columns: usize, names: Names<'_>) {
        for column in 0..columns.max(1) {
            if column > 0 {
                self.sql(", ");
            }
            self.sql("c").writer.number(column as i64 + 1);
            self.output_name(column, names);
        }
    }

    fn output_name(&mut self, column: usize, names: Names<'_>) {
        self.sql(" AS ");
        match names {
            Names::Given(names) if column < names.len() => {
                self.writer.ident(&names[column]);
            }
            _ => {
                self.sql("c").writer.number(column as i64 + 1);
            }
        }
    }

    fn values(&mut self, rows: &[Vec<Expr>], names: Names<'_>) -> Result<()> {
        if rows.iter().any(|row| super::subquery::names_columns(row)) {
            // SQLite gives the columns of VALUES no names where they ask of other entries.
            for (index, row) in rows.iter().enumerate() {
                self.sql(if index > 0 { " UNION ALL SELECT " } else { "SELECT " });
                for (column, value) in row.iter().enumerate() {
                    if column > 0 {
                        self.sql(", ");
                    }
                    self.expr(value)?;
                    self.output_name(column, names);
                }
            }
            return Ok(());
        }
        self.sql("SELECT ");
        for column in 0..rows.first().map_or(0, Vec::len) {
            if column > 0 {
                self.sql(", ");
            }
            self.sql("column").writer.number(column as i64 + 1);
            self.output_name(column, names);
        }
        self.sql(" FROM (VALUES ");
        for (index, row) in rows.iter().enumerate() {
            self.sql(if index > 0 { ", (" } else { "(" });
            self.exprs(row)?;
            self.sql(")");
        }
        self.sql(")");
        Ok(())
    }

    fn operation(
        &mut self,
        operator: SetOperator,
        all: bool,
        left: &SetExpression,
        right: &SetExpression,
        columns: &[OutputColumn],
        names: Names<'_>,
    ) -> Result<()> {
        let word = match (operator, all) {
            (SetOperator::Union, true) => " UNION ALL ",
            (SetOperator::Union, false) => " UNION ",
            (SetOperator::Intersect, _) => " INTERSECT ",
            (SetOperator::Except, _) => " EXCEPT ",
        };
        if !all || operator != SetOperator::Union {
            columns
                .iter()
                .try_for_each(|column| types::check_compared(&column.ty))?;
        }
        if all && operator != SetOperator::Union {
            // The n-th equal row on one side meets the n-th on the other.
            self.sql("SELECT ");
            self.renamed(columns.len(), names);
            self.sql(" FROM (");
            self.counted(left, columns)?;
            self.sql(word);
            self.counted(right, columns)?;
            self.sql(")");
            return Ok(());
        }
        let collated = !all && columns.iter().any(|column| types::collation(&column.ty).is_some());
        if collated {
            self.sql("SELECT ");
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    self.sql(", ");
                }
                self.sql("c").writer.number(index as i64 + 1);
                if let Some(collation) = types::collation(&column.ty) {
                    self.sql(" COLLATE ").writer.ident(&collation.name());
                }
                self.output_name(index, names);
            }
            self.sql(" FROM (");
            self.body(left, Names::Numbered)?;
            self.sql(")");
        } else {
            self.side(left, names, true)?;
        }
        self.sql(word);
        self.side(right, Names::Numbered, false)
    }

    /// One side of a set operation. SQLite reads these from left to right and knows no parentheses.
    fn side(&mut self, body: &SetExpression, names: Names<'_>, is_left: bool) -> Result<()> {
        match body {
            SetExpression::Select(select) if matches!(select.distinct, Distinct::On(_)) => Err(DatabaseError::new(
                "42601",
                "DISTINCT ON stands in a set operation without its order",
            )),
            SetExpression::Operation { all, operator, .. } if !is_left || (*all && *operator != SetOperator::Union) => {
                self.sql("SELECT * FROM (");
                self.body(body, names)?;
                self.sql(")");
                Ok(())
            }
            _ => self.body(body, names),
        }
    }

    /// A side with the number of each row among its equals.
    fn counted(&mut self, body: &SetExpression, columns: &[OutputColumn]) -> Result<()> {
        self.sql("SELECT ");
        for (index, column) in columns.iter().enumerate() {
            self.sql("c").writer.number(index as i64 + 1);
            if let Some(collation) = types::collation(&column.ty) {
                self.sql(" COLLATE ").writer.ident(&collation.name());
            }
            self.sql(" AS c").writer.number(index as i64 + 1);
            self.sql(", ");
        }
        if columns.is_empty() {
            self.sql("NULL AS c1, ");
        }
        self.sql("row_number() OVER (");
        for (index, column) in columns.iter().enumerate() {
            self.sql(if index > 0 { ", " } else { "PARTITION BY " });
            self.sql("c").writer.number(index as i64 + 1);
            if let Some(collation) = types::collation(&column.ty) {
                self.sql(" COLLATE ").writer.ident(&collation.name());
            }
        }
        self.sql(") FROM (");
        self.body(body, Names::Numbered)?;
        self.sql(")");
        Ok(())
    }

    /// One SELECT without its ORDER BY, which comes back as it is to be written.
    fn select(&mut self, select: &Select, names: Names<'_>, order: &[SortKey]) -> Result<Vec<SortKey>> {
        self.declare_from(&select.from);
        self.note_whole_rows(select, order);
        if select.is_aggregate && select.group_by.is_empty() && select.having.is_some() {
            self.one_group(select, names)?;
            return Ok(Vec::new());
        }
        self.sql("SELECT ");
        let distinct = matches!(select.distinct, Distinct::Distinct);
        if distinct {
            self.sql("DISTINCT ");
        }
        self.targets(select, names, distinct)?;
        self.from(&select.from)?;
        self.filters(select)?;
        // A constant sorts nothing, and a number would be taken for a position.
        Ok(order
            .iter()
            .filter(|key| !matches!(key.expr.kind, ExprKind::Literal(_)))
            .cloned()
            .collect())
    }

    /// HAVING without GROUP BY, which SQLite takes only where the select list has an aggregate.
    fn one_group(&mut self, select: &Select, names: Names<'_>) -> Result<()> {
        self.sql("SELECT ");
        self.renamed(select.target.len(), names);
        self.sql(" FROM (SELECT ");
        self.targets(select, Names::Numbered, false)?;
        self.sql(", count(*) AS n, ");
        if let Some(having) = &select.having {
            self.expr(having)?;
        }
        self.sql(" AS h");
        self.from(&select.from)?;
        if let Some(filter) = &select.filter {
            self.sql(" WHERE ");
            self.candidates(filter)?;
            self.expr(filter)?;
        }
        self.sql(") WHERE h");
        Ok(())
    }

    /// The SELECT of an updatable view with its base row's number.
    pub(super) fn select_with_rowid(&mut self, select: &Select, names: Names<'_>, wanted: Wanted<'_>) -> Result<()> {
        let [FromItem::Relation { rte, relation, .. }] = select.from.as_slice() else {
            return Err(DatabaseError::new("55000", "cannot change rows through this view"));
        };
        if select.is_aggregate || !matches!(select.distinct, Distinct::All) {
            return Err(DatabaseError::new("55000", "cannot change rows through this view"));
        }
        let alias = self.fresh_alias();
        self.declare(
            *rte,
            Rte::Relation {
                alias,
                relation: relation.clone(),
            },
        );
        self.sql("SELECT ").alias(alias).sql("._rowid_ AS _rowid_, ");
        self.targets(select, names, false)?;
        self.sql(" FROM ");
        self.secured_relation(relation, *rte, wanted)?;
        if wanted.written {
            return Ok(());
        }
        self.filters(select)
    }

    fn targets(&mut self, select: &Select, names: Names<'_>, distinct: bool) -> Result<()> {
        if select.target.is_empty() {
            self.sql("NULL AS c1");
        }
        for (index, target) in select.target.iter().enumerate() {
            if index > 0 {
                self.sql(", ");
            }
            if distinct {
                self.compared(&target.expr)?;
            } else {
                self.expr(&target.expr)?;
            }
            self.output_name(index, names);
        }
        Ok(())
    }

    fn filters(&mut self, select: &Select) -> Result<()> {
        if let Some(filter) = &select.filter {
            self.sql(" WHERE ");
            self.candidates(filter)?;
            self.expr(filter)?;
        }
        if !select.group_by.is_empty() {
            self.sql(" GROUP BY ");
            for (index, part) in select.group_by.iter().enumerate() {
                if index > 0 {
                    self.sql(", ");
                }
                // A number would be taken for a position.
                if matches!(part.kind, ExprKind::Literal(_)) {
                    self.sql("NULL");
                } else {
                    self.compared(part)?;
                }
            }
        }
        if let Some(having) = &select.having {
            self.sql(" HAVING ");
            self.expr(having)?;
        }
        Ok(())
    }

    /// `DISTINCT ON`: the first row of each group by the query's order.
    fn distinct_on(&mut self, select: &Select, parts: &[Expr], order: &[SortKey], names: Names<'_>) -> Result<()> {
        let of_target = |expr: &Expr| match expr.kind {
            ExprKind::Output(index) => select.target.get(index).map(|target| target.expr.clone()),
            _ => None,
        };
        let resolved = |expr: &Expr| of_target(expr).unwrap_or_else(|| expr.clone());
        let keys: Vec<SortKey> = order
            .iter()
            .map(|key| SortKey {
                expr: resolved(&key.expr),
                ..key.clone()
            })
            .collect();
        self.declare_from(&select.from);
        self.note_whole_rows(select, &keys);
        self.sql("SELECT ");
        self.renamed(select.target.len(), names);
        self.sql(" FROM (SELECT ");
        self.targets(select, Names::Numbered, false)?;
        for (index, key) in keys.iter().enumerate() {
            self.sql(", ");
            self.expr(&key.expr)?;
            self.sql(" AS k").writer.number(index as i64 + 1);
        }
        self.sql(", row_number() OVER (PARTITION BY ");
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.sql(", ");
            }
            self.compared(&resolved(part))?;
        }
        if !keys.is_empty() {
            self.sql(" ORDER BY ");
            self.sort_keys(&keys)?;
        }
        self.sql(") AS n");
        self.from(&select.from)?;
        self.filters(select)?;
        self.sql(") WHERE n = 1");
        for (index, key) in keys.iter().enumerate() {
            self.sql(if index == 0 { " ORDER BY " } else { ", " });
            self.sql("k").writer.number(index as i64 + 1);
            if let Some(collation) = types::collation(&key.expr.ty) {
                self.sql(" COLLATE ").writer.ident(&collation.name());
            }
            self.sql(if key.descending { " DESC" } else { " ASC" });
            self.sql(if key.nulls_first { " NULLS FIRST" } else { " NULLS LAST" });
        }
        Ok(())
    }

    fn order_by(&mut self, order: &[SortKey]) -> Result<()> {
        if order.is_empty() {
            return Ok(());
        }
        self.sql(" ORDER BY ");
        self.sort_keys(order)
    }

    /// A null limit is none; a negative one is an error, where SQLite would take it for none.
    fn limit(&mut self, limit: Option<&Expr>, offset: Option<&Expr>) -> Result<()> {
        let limit = limit.filter(|limit| !limit.is_null_literal());
        let offset = offset.filter(|offset| !offset.is_null_literal());
        if limit.is_none() && offset.is_none() {
            return Ok(());
        }
        self.sql(" LIMIT ");
        match limit {
            Some(limit) => self.rows(limit, "-1", "2201W", "LIMIT must not be negative")?,
            None => {
                self.sql("-1");
            }
        }
        if let Some(offset) = offset {
            self.sql(" OFFSET ");
            self.rows(offset, "0", "2201X", "OFFSET must not be negative")?;
        }
        Ok(())
    }

    fn rows(&mut self, count: &Expr, absent: &'static str, code: &'static str, message: &'static str) -> Result<()> {
        if let ExprKind::Literal(Literal::Integer(number)) = count.kind {
            if number < 0 {
                return Err(DatabaseError::new(code, message));
            }
            self.writer.number(number);
            return Ok(());
        }
        self.sql("CASE WHEN ");
        self.expr(count)?;
        self.sql(" < 0 THEN pg_raise('")
            .sql(code)
            .sql("', '")
            .sql(message)
            .sql("') ELSE coalesce(");
        self.expr(count)?;
        self.sql(", ").sql(absent).sql(") END");
        Ok(())
    }

    /// Gives every entry of FROM its alias, so that it can be named before FROM is written.
    pub fn declare_from(&mut self, items: &[FromItem]) {
        for item in items {
            self.declare_item(item, false);
        }
    }

    fn declare_item(&mut self, item: &FromItem, nullable: bool) {
        let rte = match item {
            FromItem::Join { kind, left, right, .. } => {
                self.declare_item(left, nullable || matches!(kind, JoinKind::Right | JoinKind::Full));
                self.declare_item(right, nullable || matches!(kind, JoinKind::Left | JoinKind::Full));
                return;
            }
            FromItem::Relation { rte, .. }
            | FromItem::Subquery { rte, .. }
            | FromItem::Cte { rte, .. }
            | FromItem::Function { rte, .. } => *rte,
        };
        let alias = self.fresh_alias();
        let entry = match item {
            FromItem::Relation { relation, .. } => Rte::Relation {
                alias,
                relation: relation.clone(),
            },
            FromItem::Function {
                call: TableFunction::Set { function, .. },
                columns,
                ordinality,
                ..
            } => Rte::Set {
                alias,
                parts: match function.columns.len() {
                    // What the rows are made of is told by the call.
                    0 => columns.len() - usize::from(*ordinality),
                    1 => 0,
                    parts => parts,
                },
                columns: columns.len(),
            },
            FromItem::Subquery { query, lateral, .. } if is_packed(query, *lateral) => Rte::Packed {
                alias,
                columns: query.columns.len(),
            },
            FromItem::Function {
                call: TableFunction::Run(_),
                columns,
                ordinality,
                ..
            }
            | FromItem::Function {
                call: TableFunction::Routine(_),
                columns,
                ordinality: ordinality @ true,
                ..
            } => Rte::Packed {
                alias,
                columns: columns.len() - usize::from(*ordinality),
            },
            FromItem::Function {
                call: TableFunction::Scalar(value),
                columns,
                ordinality,
                ..
            } if walk::has_columns(value) => Rte::Packed {
                alias,
                columns: columns.len() - usize::from(*ordinality),
            },
            _ => Rte::Numbered { alias },
        };
        if nullable {
            self.scope.nullable.insert(rte);
        }
        self.declare(rte, entry);
    }

    pub(super) fn from(&mut self, items: &[FromItem]) -> Result<()> {
        for (index, item) in items.iter().enumerate() {
            let is_join = matches!(item, FromItem::Join { .. });
            // Inside parentheses SQLite sees no entries before them.
            let looks_back = index > 0 && is_join && self.looks_back(item, &items[..index]);
            if looks_back && !joins_inwards(item) {
                return Err(looking_back());
            }
            self.sql(if index == 0 { " FROM " } else { ", " });
            self.from_item(item, index > 0 && is_join && !looks_back)?;
        }
        Ok(())
    }

    /// True if an entry of the join names columns of entries before it.
    fn looks_back(&self, join: &FromItem, before: &[FromItem]) -> bool {
        let mut known = Vec::new();
        before.iter().for_each(|item| whole_row::entries(item, &mut known));
        shape::mentions_any(join, &known)
    }

    /// Writes one declared entry of FROM; `grouped`: in parentheses if it is a join.
    pub fn from_item(&mut self, item: &FromItem, grouped: bool) -> Result<()> {
        match item {
            FromItem::Relation { rte, relation, .. } => {
                self.secured_relation(relation, *rte, READ)?;
            }
            FromItem::Subquery {
                rte, query, lateral, ..
            } => {
                if is_packed(query, *lateral) {
                    return self.packed(*rte, query);
                }
                self.marked(*rte, |emitter| {
                    emitter.sql("(");
                    emitter.query(query, Names::Numbered)?;
                    emitter.sql(")");
                    Ok(())
                })?;
                self.sql(" AS ");
                self.alias_of(*rte);
            }
            FromItem::Cte { rte, cte, .. } => {
                let Some(name) = self.scope.ctes.get(cte).copied() else {
                    return Err(DatabaseError::new("XX000", "a common table expression is not in scope"));
                };
                self.marked(*rte, |emitter| {
                    emitter.alias(name);
                    Ok(())
                })?;
                self.sql(" AS ");
                self.alias_of(*rte);
            }
            FromItem::Function {
                rte,
                call,
                columns,
                ordinality,
                ..
            } => self.table_function(*rte, call, columns, *ordinality)?,
            FromItem::Join { kind, left, right, on } => {
                if grouped {
                    self.sql("(");
                }
                self.from_item(left, false)?;
                self.sql(match kind {
                    JoinKind::Inner => " JOIN ",
                    JoinKind::Left => " LEFT JOIN ",
                    JoinKind::Right => " RIGHT JOIN ",
                    JoinKind::Full => " FULL JOIN ",
                });
                if matches!(**right, FromItem::Join { .. }) && self.looks_back(right, std::slice::from_ref(left)) {
                    return Err(looking_back());
                }
                self.from_item(right, true)?;
                if let Some(on) = on {
                    self.sql(" ON ");
                    self.expr(on)?;
                }
                if grouped {
                    self.sql(")");
                }
            }
        }
        Ok(())
    }

    /// A subquery whose rows are gathered: one that asks of the entries before it, or whose rows are numbered. SQLite lets a function's arguments do so, and nothing else in FROM:
    /// the subquery's rows are gathered into one text by one subquery and given back by `json_each`.
    fn packed(&mut self, rte: RteId, query: &Query) -> Result<()> {
        self.sql("json_each((SELECT pg_rows(");
        for column in 0..query.columns.len().max(1) {
            self.sql(if column > 0 { ", c" } else { "c" })
                .writer
                .number(column as i64 + 1);
        }
        self.sql(") FROM (");
        self.query(query, Names::Numbered)?;
        self.sql("))) AS ");
        self.alias_of(rte);
        Ok(())
    }

    fn alias_of(&mut self, rte: RteId) {
        let alias = match self.scope.rtes.get(&rte) {
            Some(
                Rte::Relation { alias, .. }
                | Rte::Numbered { alias }
                | Rte::Set { alias, .. }
                | Rte::Packed { alias, .. },
            ) => *alias,
            _ => self.fresh_alias(),
        };
        self.alias(alias);
    }

    fn table_function(
        &mut self,
        rte: RteId,
        call: &TableFunction,
        columns: &[OutputColumn],
        ordinality: bool,
    ) -> Result<()> {
        match call {
            TableFunction::Set { function, arguments } if function.name == "unnest" && arguments.len() == 1 => {
                let [array] = arguments.as_slice() else {
                    return Err(DatabaseError::new("XX000", "unnest takes one array"));
                };
                self.unnest(array)?;
                self.sql(" AS ");
            }
            TableFunction::Set { function, arguments } if function.columns.is_empty() && function.name == "unnest" => {
                self.unnest_many(arguments)?;
                self.sql(" AS ");
            }
            TableFunction::Set { function, arguments } if function.columns.is_empty() => {
                let [json] = arguments.as_slice() else {
                    return Err(DatabaseError::new("XX000", "a record is made of one document"));
                };
                let parts = columns.len() - usize::from(ordinality);
                self.records(function.name, json, &columns[..parts])?;
                self.sql(" AS ");
            }
            TableFunction::Set { function, arguments } => {
                self.sql("json_each(");
                match function.implementation {
                    mainstay_sql::analyse::kinds::Implementation::Library(library) => self.call(library, arguments)?,
                    _ if function.name == "generate_series" => {
                        let library = super::functions::series(&function.columns[0].1)
                            .ok_or_else(|| DatabaseError::unavailable("generate_series of this type", "", 1, None))?;
                        self.call(library, arguments)?;
                    }
                    _ => {
                        let feature = format!("function {}", function.name);
                        return Err(DatabaseError::unavailable(&feature, "", 1, None));
                    }
                }
                self.sql(") AS ");
            }
            TableFunction::Scalar(value) if walk::has_columns(value) => {
                self.sql("json_each(pg_row(");
                self.expr(value)?;
                self.sql(")) AS ");
            }
            TableFunction::Scalar(value) => {
                self.marked(rte, |emitter| {
                    emitter.sql("(SELECT ");
                    emitter.expr(value)?;
                    emitter.sql(if ordinality { " AS c1, 1 AS c2)" } else { " AS c1)" });
                    Ok(())
                })?;
                self.sql(" AS ");
            }
            TableFunction::Run(run) => self.run_rows(run)?,
            // Numbered as they come: gathered and given back, which keeps their order.
            TableFunction::Routine(call) if ordinality => {
                self.check_execute(&call.routine)?;
                return self.inside_routine(call, |emitter| emitter.packed(rte, &call.body));
            }
            TableFunction::Routine(call) => {
                self.check_execute(&call.routine)?;
                self.marked(rte, |emitter| {
                    emitter.sql("(");
                    emitter.inside_routine(call, |emitter| emitter.query(&call.body, Names::Numbered))?;
                    emitter.sql(")");
                    Ok(())
                })?;
                self.sql(" AS ");
            }
        }
        self.alias_of(rte);
        Ok(())
    }

    /// False if the expression is a column that can hold no null here.
    pub(super) fn may_be_null(&self, expr: &Expr) -> bool {
        match &expr.kind {
            ExprKind::Column { rte, column } => match self.scope.rtes.get(rte) {
                Some(Rte::Relation { relation, .. }) => {
                    self.scope.nullable.contains(rte)
                        || relation.view.is_some()
                        || !relation.columns.get(*column).is_some_and(|column| column.not_null)
                }
                _ => true,
            },
            ExprKind::Literal(Literal::Null) => true,
            ExprKind::Literal(_) => false,
            _ => true,
        }
    }

    /// True if row security stands between the role and the relation.
    pub fn is_guarded(&self, relation: &mainstay_core::catalog::Relation) -> bool {
        policy::row_security_applies(self.catalog(), &self.role, relation)
    }
}

/// True for a chain of joins that keeps its meaning when other entries are joined before its first one.
fn joins_inwards(item: &FromItem) -> bool {
    match item {
        FromItem::Join { kind, left, .. } => matches!(kind, JoinKind::Inner | JoinKind::Left) && joins_inwards(left),
        _ => true,
    }
}

fn looking_back() -> DatabaseError {
    let way = Some("LATERAL outside the nested join");
    DatabaseError::unavailable("LATERAL inside a nested join, of entries outside it", "", 1, way)
}

/// True for a LATERAL subquery that names columns of other entries.
fn is_packed(query: &Query, lateral: bool) -> bool {
    lateral && shape::refers_outside(query)
}
