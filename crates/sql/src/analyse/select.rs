//! Queries: WITH, SELECT, VALUES, ORDER BY, DISTINCT, LIMIT.
//!
//! Lives here: what is around the expressions. Not here: set operations and casts of whole queries (`set`), FROM
//! (`from`), the grouping rule (`group`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use mainstay_core::types::{Type, TypeModifier};

use super::Result;
use super::coerce::{self, common_modifier, common_type, place, to_common};
use super::naming::column_name;
use super::recursion;
use super::scope::{Clause, CteInfo, Level, State, first_duplicate};
use super::window::sort_key;
use crate::ast::{self, ExprKind as Written, SortItem};
use crate::typed::{Cte, CteId, Distinct, Expr, ExprKind, OutputColumn, Query, Select, SetExpression, SortKey, Target};
use crate::walk;

impl State<'_> {
    /// A query within a statement or by itself; columns still `unknown` become text.
    pub fn subquery(&mut self, query: &ast::Query) -> Result<Query> {
        self.no_subquery()?;
        self.nested(Level::default(), |state| state.query(query, true))
    }

    /// The same, its `unknown` columns left for the caller to decide.
    pub fn subquery_unsettled(&mut self, query: &ast::Query) -> Result<Query> {
        self.nested(Level::default(), |state| state.query(query, false))
    }

    /// Errors: 0A000 `cannot use subquery in check constraint` and kin.
    fn no_subquery(&mut self) -> Result<()> {
        let place = match self.level().clause {
            Clause::Check => "check constraint",
            Clause::Default => "DEFAULT expression",
            Clause::Generated => "column generation expression",
            Clause::Index => "index expression",
            Clause::IndexPredicate => "index predicate",
            _ => return Ok(()),
        };
        Err(DatabaseError::new("0A000", format!("cannot use subquery in {place}")))
    }

    /// A query on a level of its own, which the caller has made.
    pub(super) fn query(&mut self, query: &ast::Query, settle: bool) -> Result<Query> {
        if query.with_ties {
            return Err(self.refuse("FETCH FIRST … WITH TIES", "", Some("rank()"), query.position));
        }
        if query.locking.iter().any(|locking| locking.skips_or_fails) {
            return Err(self.refuse(
                "FOR UPDATE with NOWAIT or SKIP LOCKED",
                "",
                Some("FOR UPDATE"),
                query.position,
            ));
        }
        let (ctes, recursive) = self.with(query.with.as_ref())?;
        let (body, order, columns) = match &query.body {
            ast::SetExpression::Select(select) => {
                let (select, order, columns) = self.select(select, &query.order, settle)?;
                (SetExpression::Select(Box::new(select)), order, columns)
            }
            other => {
                let (body, columns) = self.set_expression(other, settle)?;
                let order = self.output_order(&query.order, &columns)?;
                (body, order, columns)
            }
        };
        if let Some(locking) = query.locking.first() {
            check_lockable(locking.clause, &body)?;
        }
        let limit = self.limit(query.limit.as_ref(), Clause::Limit, "LIMIT")?;
        let offset = self.limit(query.offset.as_ref(), Clause::Offset, "OFFSET")?;
        Ok(Query {
            ctes,
            recursive,
            body,
            order,
            limit,
            offset,
            columns,
        })
    }

    fn limit(&mut self, written: Option<&ast::Expr>, clause: Clause, name: &str) -> Result<Option<Expr>> {
        let Some(written) = written else { return Ok(None) };
        let expr = self.within(clause, |state| state.expr(written))?;
        self.note_parameter(&expr, &Type::Int8);
        let expr = coerce::argument(self.catalog, expr, name, &Type::Int8)?;
        let current = self.levels.len().saturating_sub(1);
        let mut variable = None;
        let mut outer = None;
        walk::expr(&expr, &mut |inner| {
            if let ExprKind::Column { rte, .. } = inner.kind
                && let Some(entry) = self.entry(rte).filter(|entry| entry.level <= current)
            {
                let found = if entry.level == current {
                    &mut variable
                } else {
                    &mut outer
                };
                found.get_or_insert(inner.position);
            }
            true
        });
        if let (None, Some(position)) = (variable, outer) {
            let feature = format!("{name} that a row of an outer query decides");
            return Err(self.refuse(&feature, "", Some("row_number()"), position));
        }
        match variable {
            Some(position) => {
                let message = format!("argument of {name} must not contain variables");
                Err(place(DatabaseError::new("42P10", message), position))
            }
            None => Ok(Some(expr)),
        }
    }

    /// Analyses WITH and opens its names on the innermost level.
    pub(super) fn with(&mut self, with: Option<&ast::With>) -> Result<(Vec<Cte>, bool)> {
        let Some(with) = with else {
            return Ok((Vec::new(), false));
        };
        if let Some(name) = first_duplicate(with.ctes.iter().map(|cte| &cte.name)) {
            let message = format!("WITH query name \"{name}\" specified more than once");
            let repeated = with.ctes.iter().filter(|cte| cte.name == name).nth(1);
            return Err(place(
                DatabaseError::new("42712", message),
                repeated.map_or(0, |cte| cte.position),
            ));
        }
        let mut done = Vec::with_capacity(with.ctes.len());
        self.level().pending_ctes = with.ctes.iter().map(|cte| cte.name.clone()).collect();
        let mut order: Vec<usize> = (0..with.ctes.len()).collect();
        let mut recursive = vec![false; with.ctes.len()];
        if with.recursive {
            order = recursion::order(with)?;
            for (cte, recursive) in with.ctes.iter().zip(&mut recursive) {
                *recursive = recursion::check(cte)?;
            }
        }
        for at in order {
            let cte = &with.ctes[at];
            let id = CteId(self.next_cte);
            self.next_cte += 1;
            let found = match self.recursive_cte(recursive[at], cte, id)? {
                Some(found) => found,
                None => {
                    let query = self.subquery(&cte.query)?;
                    let columns = cte_columns(cte, &query.columns)?;
                    let (name, materialized) = (cte.name.clone(), cte.materialized);
                    Cte {
                        id,
                        name,
                        query,
                        columns,
                        recursive: false,
                        materialized,
                    }
                }
            };
            self.open_cte(id, &cte.name, found.columns.clone(), false);
            self.level().pending_ctes.retain(|name| *name != cte.name);
            done.push(found);
        }
        let recursive = done.iter().any(|cte| cte.recursive);
        Ok((done, recursive))
    }

    fn open_cte(&mut self, id: CteId, name: &Ident, columns: Vec<OutputColumn>, forbidden: bool) -> Arc<AtomicUsize> {
        let references = Arc::new(AtomicUsize::new(0));
        let info = CteInfo {
            id,
            name: name.clone(),
            columns,
            references: references.clone(),
            forbidden,
        };
        self.level().ctes.push(Arc::new(info));
        references
    }

    /// A CTE that refers to itself, in the form `left UNION [ALL] right`. `None`: it does not.
    fn recursive_cte(&mut self, recursive: bool, cte: &ast::Cte, id: CteId) -> Result<Option<Cte>> {
        let ast::SetExpression::Operation {
            operator: ast::SetOperator::Union,
            all,
            left,
            right,
        } = &cte.query.body
        else {
            return Ok(None);
        };
        if !recursive {
            return Ok(None);
        }
        self.check_recursive_form(cte, right)?;
        let before = self.level().ctes.len();
        self.open_cte(id, &cte.name, Vec::new(), true);
        let left = self.nested(Level::default(), |state| state.set_expression(left, true));
        self.level().ctes.truncate(before);
        let (left, left_columns) = left?;
        let columns = cte_columns(cte, &left_columns)?;
        let references = self.open_cte(id, &cte.name, columns.clone(), false);
        let right = self.nested(Level::default(), |state| state.set_expression(right, false));
        self.level().ctes.truncate(before);
        let (mut right, right_columns) = right?;
        if references.load(Ordering::Relaxed) == 0 {
            return Ok(None);
        }
        self.check_recursive_term(cte, &right)?;
        if left_columns.len() != right_columns.len() {
            let message = "each UNION query must have the same number of columns";
            let at = super::set::first_expr(&right, 0).map_or(0, |expr| expr.position);
            return Err(place(DatabaseError::new("42601", message), at));
        }
        for (at, (have, other)) in columns.iter().zip(&right_columns).enumerate() {
            let pair = [
                Expr::new(ExprKind::Output(at), have.ty.clone()),
                Expr::new(ExprKind::Output(at), other.ty.clone()),
            ];
            let overall = common_type(&[&pair[0], &pair[1]], "UNION")?;
            let modifier = if other.modifier == have.modifier {
                have.modifier
            } else {
                TypeModifier::None
            };
            if overall != have.ty || modifier != have.modifier {
                let (had, overall) = (have.ty.display(have.modifier), overall.display(modifier));
                let message = format!(
                    "recursive query \"{}\" column {} has type {} in non-recursive term but type {overall} overall",
                    cte.name,
                    at + 1,
                    had
                );
                let hint = "Cast the output of the non-recursive term to the correct type.";
                let at = super::set::first_expr(&left, at).map_or(cte.position, |expr| expr.position);
                return Err(place(DatabaseError::new("42804", message).hint(hint), at));
            }
        }
        let types: Vec<Type> = columns.iter().map(|column| column.ty.clone()).collect();
        self.coerce_set(&mut right, &right_columns, &types, crate::typed::CastContext::Implicit)?;
        let columns: Vec<OutputColumn> = columns
            .into_iter()
            .map(|column| OutputColumn { source: None, ..column })
            .collect();
        let body = SetExpression::Operation {
            operator: ast::SetOperator::Union,
            all: *all,
            left: Box::new(left),
            right: Box::new(right),
            columns: columns.clone(),
        };
        let query = Query {
            ctes: Vec::new(),
            recursive: false,
            body,
            order: Vec::new(),
            limit: None,
            offset: None,
            columns: columns.clone(),
        };
        let (name, materialized) = (cte.name.clone(), cte.materialized);
        Ok(Some(Cte {
            id,
            name,
            query,
            columns,
            recursive: true,
            materialized,
        }))
    }

    /// One SELECT with the ORDER BY that belongs to it.
    pub(super) fn select(
        &mut self,
        select: &ast::Select,
        order: &[SortItem],
        settle: bool,
    ) -> Result<(Select, Vec<SortKey>, Vec<OutputColumn>)> {
        self.level().is_unseen = std::mem::take(&mut self.is_in_exists);
        self.level().windows = select.windows.clone();
        let from = self.open_from(&select.from)?;
        self.level().sets = Some(Vec::new());
        let mut target = self.targets_of(&select.target)?;
        let filter = match &select.filter {
            Some(filter) => Some(self.within(Clause::Where, |state| state.condition(filter, "WHERE"))?),
            None => None,
        };
        let having = match &select.having {
            Some(having) => Some(self.within(Clause::Having, |state| state.condition(having, "HAVING"))?),
            None => None,
        };
        if settle {
            for item in &mut target {
                let expr = std::mem::replace(&mut item.expr, Expr::null());
                item.expr = self.settle(expr)?;
            }
        }
        let keys = self.order_keys(order, &target)?;
        let group_by = self.group_keys(&select.group_by, &target)?;
        let distinct = self.distinct(&select.distinct, &target, &keys)?;
        let columns: Vec<OutputColumn> = target
            .iter()
            .map(|item| OutputColumn {
                name: item.name.clone(),
                ty: item.expr.ty.clone(),
                modifier: item.expr.modifier,
                source: self.source_of(&item.expr),
            })
            .collect();
        let is_aggregate = !group_by.is_empty() || having.is_some() || self.level().has_aggregates;
        let mut select = Select {
            distinct,
            target,
            from,
            filter,
            group_by,
            having,
            is_aggregate,
        };
        self.expand_sets(&mut select)?;
        if is_aggregate {
            self.check_grouping(&select, &keys)?;
        }
        Ok((select, keys, columns))
    }

    /// A select list or RETURNING, stars expanded.
    pub(super) fn targets_of(&mut self, items: &[ast::SelectItem]) -> Result<Vec<Target>> {
        let mut found = Vec::with_capacity(items.len());
        for item in items {
            match &item.expr.kind {
                Written::Star(names) => {
                    let columns = self.star(names, item.expr.position)?;
                    // The star's own place, as in PostgreSQL: whoever writes a view's star out looks for it.
                    let position = item.expr.position;
                    found.extend(columns.into_iter().map(|(name, expr)| Target {
                        name,
                        expr: expr.at(position),
                    }));
                }
                Written::Field { expr, field: None } => {
                    let position = item.expr.position;
                    match self.expr(expr)?.kind {
                        ExprKind::Row { fields, names, .. } => {
                            found.extend(names.into_iter().zip(fields).map(|(name, expr)| Target { name, expr }));
                        }
                        _ => return Err(self.refuse("expansion of a composite value", "", None, position)),
                    }
                }
                _ => {
                    let expr = match &item.expr.kind {
                        Written::Function(call) if self.gives_set(call) => self.set_target(call, item.expr.position)?,
                        _ => self.expr(&item.expr)?,
                    };
                    let name = item.alias.clone().unwrap_or_else(|| column_name(&item.expr));
                    found.push(Target { name, expr });
                }
            }
        }
        Ok(found)
    }

    fn order_keys(&mut self, order: &[SortItem], target: &[Target]) -> Result<Vec<SortKey>> {
        self.within(Clause::OrderBy, |state| {
            let mut keys = Vec::with_capacity(order.len());
            for item in order {
                let expr = state.output_or_expr(&item.expr, target, "ORDER BY")?;
                state.sortable(&expr.ty, item.expr.position)?;
                keys.push(sort_key(expr, item));
            }
            Ok(keys)
        })
    }

    /// An output column by name, position or equal expression; anything else as an expression.
    fn output_or_expr(&mut self, written: &ast::Expr, target: &[Target], clause: &str) -> Result<Expr> {
        if let Written::Column(names) = &written.kind
            && let [name] = names.as_slice()
            && let Some(at) = named_output(target, name, clause, written.position)?
        {
            return Ok(output(target, at, written.position));
        }
        if let Some(at) = numbered_output(written, target.len(), clause)? {
            return Ok(output(target, at, written.position));
        }
        let expr = self.expr(written)?;
        let expr = self.settle(expr)?;
        Ok(match target.iter().position(|item| walk::same(&item.expr, &expr)) {
            Some(at) => output(target, at, written.position),
            None => expr,
        })
    }

    /// GROUP BY: a column of FROM first, then an output column by name or position.
    fn group_keys(&mut self, list: &[ast::Expr], target: &[Target]) -> Result<Vec<Expr>> {
        let mut keys: Vec<Expr> = Vec::with_capacity(list.len());
        for written in list {
            let mut found = None;
            if let Written::Column(names) = &written.kind
                && let [name] = names.as_slice()
                && !self.offers_column(name)
            {
                found = named_output(target, name, "GROUP BY", written.position)?;
            }
            if found.is_none() {
                found = numbered_output(written, target.len(), "GROUP BY")?;
            }
            let key = match found {
                Some(at) => {
                    let key = target[at].expr.clone();
                    refuse_grouped(&key)?;
                    key
                }
                None => self.within(Clause::GroupBy, |state| {
                    let key = state.expr(written)?;
                    state.settle(key)
                })?,
            };
            self.equatable(&key.ty, written.position)?;
            if !keys.iter().any(|known| walk::same(known, &key)) {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    /// True if this level's FROM has a column of that name.
    fn offers_column(&mut self, name: &Ident) -> bool {
        let visible = self.level().items.iter().filter(|item| item.columns_visible);
        visible
            .flat_map(|item| &item.columns)
            .any(|column| column.name == *name)
    }

    fn distinct(&mut self, distinct: &ast::Distinct, target: &[Target], keys: &[SortKey]) -> Result<Distinct> {
        match distinct {
            ast::Distinct::All => Ok(Distinct::All),
            ast::Distinct::Distinct => {
                if let Some(key) = keys.iter().find(|key| !matches!(key.expr.kind, ExprKind::Output(_))) {
                    let message = "for SELECT DISTINCT, ORDER BY expressions must appear in select list";
                    return Err(place(DatabaseError::new("42P10", message), key.expr.position));
                }
                for item in target {
                    self.equatable(&item.expr.ty, item.expr.position)?;
                }
                Ok(Distinct::Distinct)
            }
            ast::Distinct::On(list) => {
                let mut found: Vec<Expr> = Vec::with_capacity(list.len());
                for written in list {
                    let key = self.within(Clause::DistinctOn, |state| {
                        state.output_or_expr(written, target, "SELECT DISTINCT ON")
                    })?;
                    self.equatable(&key.ty, written.position)?;
                    found.push(key);
                }
                let leading = keys
                    .iter()
                    .take_while(|key| found.iter().any(|on| walk::same(on, &key.expr)))
                    .count();
                let covered = |on: &Expr| keys[..leading].iter().any(|key| walk::same(on, &key.expr));
                if leading < keys.len() && !found.iter().all(covered) {
                    let message = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions";
                    let at = found.iter().find(|on| !covered(on)).map_or(0, |on| on.position);
                    return Err(place(DatabaseError::new("42P10", message), at));
                }
                Ok(Distinct::On(found))
            }
        }
    }

    /// ORDER BY of VALUES and set operations: only output columns. Errors: 0A000.
    fn output_order(&mut self, order: &[SortItem], columns: &[OutputColumn]) -> Result<Vec<SortKey>> {
        let target: Vec<Target> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| Target {
                name: column.name.clone(),
                expr: Expr {
                    modifier: column.modifier,
                    ..Expr::new(ExprKind::Output(at), column.ty.clone())
                },
            })
            .collect();
        let mut keys = Vec::with_capacity(order.len());
        for item in order {
            let position = item.expr.position;
            let mut found = None;
            if let Written::Column(names) = &item.expr.kind
                && let [name] = names.as_slice()
            {
                found = named_output(&target, name, "ORDER BY", position)?;
                if found.is_none() {
                    let message = format!("column \"{name}\" does not exist");
                    return Err(place(DatabaseError::new("42703", message), position));
                }
            }
            if found.is_none() {
                found = numbered_output(&item.expr, target.len(), "ORDER BY")?;
            }
            let Some(at) = found else {
                let position = super::expr::start(&item.expr);
                let error = DatabaseError::new("0A000", "invalid UNION/INTERSECT/EXCEPT ORDER BY clause")
                    .detail("Only result column names can be used, not expressions or functions.")
                    .hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause.");
                return Err(place(error, position));
            };
            self.sortable(&target[at].expr.ty, position)?;
            keys.push(sort_key(output(&target, at, position), item));
        }
        Ok(keys)
    }

    /// VALUES as a query's body. Errors: 42601, 42804.
    pub(super) fn values(
        &mut self,
        rows: &[Vec<ast::Expr>],
        settle: bool,
    ) -> Result<(SetExpression, Vec<OutputColumn>)> {
        let width = rows.first().map_or(0, Vec::len);
        let mut typed: Vec<Vec<Expr>> = Vec::with_capacity(rows.len());
        for row in rows {
            if row.len() != width {
                let error = DatabaseError::new("42601", "VALUES lists must all be the same length");
                return Err(place(error, row.first().map_or(0, |expr| expr.position)));
            }
            let row = self.within(Clause::Values, |state| {
                row.iter().map(|expr| state.expr(expr)).collect::<Result<Vec<Expr>>>()
            })?;
            typed.push(row);
        }
        let mut columns = Vec::with_capacity(width);
        for at in 0..width {
            let all: Vec<&Expr> = typed.iter().map(|row| &row[at]).collect();
            let undecided = !settle && all.iter().all(|expr| expr.ty == Type::Unknown);
            let ty = if undecided {
                Type::Unknown
            } else {
                common_type(&all, "VALUES")?
            };
            let modifier = common_modifier(&all);
            if !undecided {
                for row in &mut typed {
                    let expr = std::mem::replace(&mut row[at], Expr::null());
                    self.note_parameter(&expr, &ty);
                    row[at] = to_common(self.catalog, expr, &ty, "VALUES")?;
                }
            }
            columns.push(OutputColumn {
                name: Ident::from(format!("column{}", at + 1)),
                ty,
                modifier,
                source: None,
            });
        }
        Ok((SetExpression::Values(typed), columns))
    }
}

/// Errors: 0A000 for FOR UPDATE and kin where a row of the result is not a row of a table.
fn check_lockable(clause: &str, body: &SetExpression) -> Result<()> {
    let refused = |what: &str| Err(DatabaseError::new("0A000", format!("{clause} {what}")));
    let select = match body {
        SetExpression::Select(select) => select,
        SetExpression::Values(_) => return refused("cannot be applied to VALUES"),
        SetExpression::Query(_) => return Ok(()),
        SetExpression::Operation { .. } => return refused("is not allowed with UNION/INTERSECT/EXCEPT"),
    };
    if !matches!(select.distinct, Distinct::All) {
        return refused("is not allowed with DISTINCT clause");
    }
    if !select.group_by.is_empty() {
        return refused("is not allowed with GROUP BY clause");
    }
    if select.having.is_some() {
        return refused("is not allowed with HAVING clause");
    }
    if select.is_aggregate {
        return refused("is not allowed with aggregate functions");
    }
    let mut has_window = false;
    for target in &select.target {
        walk::expr(&target.expr, &mut |inner| {
            has_window |= matches!(inner.kind, ExprKind::Window(_));
            true
        });
    }
    match has_window {
        true => refused("is not allowed with window functions"),
        false => Ok(()),
    }
}

/// A CTE's columns under the names its list gives them. Errors: 42P10.
fn cte_columns(cte: &ast::Cte, columns: &[OutputColumn]) -> Result<Vec<OutputColumn>> {
    if cte.columns.len() > columns.len() {
        let message = format!(
            "WITH query \"{}\" has {} columns available but {} columns specified",
            cte.name,
            columns.len(),
            cte.columns.len()
        );
        return Err(place(DatabaseError::new("42P10", message), cte.position));
    }
    let renamed = |(at, column): (usize, &OutputColumn)| OutputColumn {
        name: cte.columns.get(at).unwrap_or(&column.name).clone(),
        ..column.clone()
    };
    Ok(columns.iter().enumerate().map(renamed).collect())
}

fn output(target: &[Target], at: usize, position: u32) -> Expr {
    let expr = &target[at].expr;
    Expr {
        kind: ExprKind::Output(at),
        ty: expr.ty.clone(),
        modifier: expr.modifier,
        position,
    }
}

/// The output column of a name. Errors: 42702 if several differ.
fn named_output(target: &[Target], name: &Ident, clause: &str, position: u32) -> Result<Option<usize>> {
    let mut found: Option<usize> = None;
    for (at, item) in target.iter().enumerate().filter(|(_, item)| item.name == *name) {
        match found {
            None => found = Some(at),
            Some(known) if walk::same(&target[known].expr, &item.expr) => {}
            Some(_) => {
                let message = format!("{clause} \"{name}\" is ambiguous");
                return Err(place(DatabaseError::new("42702", message), position));
            }
        }
    }
    Ok(found)
}

/// The output column of a position. Errors: 42P10 out of range, 42601 for another kind of constant.
fn numbered_output(written: &ast::Expr, width: usize, clause: &str) -> Result<Option<usize>> {
    match &written.kind {
        Written::Integer(number) => match usize::try_from(*number).ok().and_then(|number| number.checked_sub(1)) {
            Some(at) if at < width => Ok(Some(at)),
            _ => {
                let message = format!("{clause} position {number} is not in select list");
                Err(place(DatabaseError::new("42P10", message), written.position))
            }
        },
        Written::String(_) | Written::Number(_) | Written::Null | Written::Bool(_) => {
            let message = format!("non-integer constant in {clause}");
            Err(place(DatabaseError::new("42601", message), written.position))
        }
        _ => Ok(None),
    }
}

/// Errors: 42803 for a grouping key that holds an aggregate, 42P20 for a window function.
fn refuse_grouped(key: &Expr) -> Result<()> {
    let mut error = None;
    walk::expr(key, &mut |inner| {
        let wrong = match inner.kind {
            ExprKind::Aggregate(_) => ("42803", "aggregate functions are not allowed in GROUP BY"),
            ExprKind::Window(_) => ("42P20", "window functions are not allowed in GROUP BY"),
            _ => return true,
        };
        error.get_or_insert_with(|| place(DatabaseError::new(wrong.0, wrong.1), inner.position));
        false
    });
    error.map_or(Ok(()), Err)
}
