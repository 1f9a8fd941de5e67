//! `INSERT`, `UPDATE` and `DELETE`.

use std::sync::Arc;

use mainstay_core::catalog::{Column, ColumnIndex, ConstraintKind, Identity, IndexPart, Relation};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use mainstay_core::types::{Type, TypeModifier};

use super::Result;
use super::casts::pathway;
use super::coerce::{self, place};
use super::scope::{Clause, Level, State};
use crate::ast::{self, ExprKind as Written, Overriding};
use crate::parse;
use crate::typed::{
    Assignment, CastContext, ConflictAction, ConflictKey, Delete, Expr, ExprKind, Insert, InsertSource, OnConflict,
    OutputColumn, Returning, Update,
};
use crate::walk;

impl State<'_> {
    /// An `INSERT`.
    pub(super) fn insert(&mut self, insert: &ast::Insert) -> Result<Insert> {
        self.nested(Level::default(), |state| state.insert_here(insert))
    }

    fn insert_here(&mut self, insert: &ast::Insert) -> Result<Insert> {
        let (ctes, recursive) = self.with(insert.with.as_ref())?;
        let relation = self.written_relation(&insert.table)?;
        let alias = insert.alias.clone().unwrap_or_else(|| relation.name.name.clone());
        let (rte, mut item) = self.relation_entry(&relation, None, &alias)?;
        if insert.alias.is_some() {
            item.qualified = None;
        }
        let mut columns: Vec<ColumnIndex> = Vec::with_capacity(insert.columns.len());
        for (name, position) in &insert.columns {
            let column = target_column(&relation, name, *position)?;
            if columns.contains(&column) {
                let message = format!("column \"{name}\" specified more than once");
                return Err(place(DatabaseError::new("42701", message), *position));
            }
            columns.push(column);
        }
        if insert.columns.is_empty() {
            columns = (0..relation.columns.len()).collect();
        }
        let source = match &insert.source {
            None => {
                columns.clear();
                InsertSource::Default
            }
            Some(ast::Query {
                with: None,
                body: ast::SetExpression::Values(rows),
                order,
                limit,
                offset,
                ..
            }) if order.is_empty() && limit.is_none() && offset.is_none() => {
                let opened = self.opened_rows(rows)?;
                let rows = opened.as_ref().unwrap_or(rows);
                self.insert_values(rows, &relation, &mut columns, &insert.columns, insert.overriding)?
            }
            Some(query) => self.insert_query(query, &relation, &mut columns, &insert.columns, insert.overriding)?,
        };
        let mut on_conflict = None;
        if let Some(conflict) = &insert.on_conflict {
            on_conflict = Some(self.nested(Level::default(), |state| {
                state.on_conflict(conflict, &relation, rte, &item)
            })?);
        }
        self.level().items.clear();
        self.offer(vec![item.clone()], false)?;
        let returning = self.returning(&insert.returning)?;
        if let Some(key) = on_conflict.as_ref().and_then(|conflict| conflict.key.as_ref()) {
            self.check_conflict_key(&relation, &item, key)?;
        }
        Ok(Insert {
            ctes,
            recursive,
            relation,
            rte,
            alias,
            columns,
            source,
            overriding: insert.overriding,
            on_conflict,
            returning,
        })
    }

    /// What a statement writes to. Errors: 0A000 for a system catalog.
    fn written_relation(&self, name: &ast::ObjectName) -> Result<Arc<Relation>> {
        let relation = self.relation(name)?;
        if crate::system::is_system(relation) {
            let way = Some("statements that change the schema");
            return Err(self.refuse("writing to a system catalog", &name.to_string(), way, name.position));
        }
        Ok(relation.clone())
    }

    /// Rows with the fields of each `variable.*`; `None` if there is none.
    fn opened_rows(&self, rows: &[Vec<ast::Expr>]) -> Result<Option<Vec<Vec<ast::Expr>>>> {
        let is_star = |expr: &ast::Expr| matches!(&expr.kind, Written::Star(names) if names.len() == 1);
        if self.outside().is_none() || !rows.iter().flatten().any(is_star) {
            return Ok(None);
        }
        let mut opened = Vec::with_capacity(rows.len());
        for row in rows {
            let mut cells = Vec::with_capacity(row.len());
            for cell in row {
                let item = match &cell.kind {
                    Written::Star(names) if names.len() == 1 => self.item(None, &names[0], cell.position)?,
                    _ => None,
                };
                match item {
                    None => cells.push(cell.clone()),
                    Some(item) => {
                        let name = item.name.clone().unwrap_or_else(|| Ident::new(""));
                        cells.extend(item.columns.iter().map(|column| ast::Expr {
                            kind: Written::Column(vec![name.clone(), column.name.clone()]),
                            ..cell.clone()
                        }));
                    }
                }
            }
            opened.push(cells);
        }
        Ok(Some(opened))
    }

    fn insert_values(
        &mut self,
        rows: &[Vec<ast::Expr>],
        relation: &Arc<Relation>,
        columns: &mut Vec<ColumnIndex>,
        names: &[(Ident, u32)],
        overriding: Option<Overriding>,
    ) -> Result<InsertSource> {
        let width = rows.first().map_or(0, Vec::len);
        let position = |at: usize| rows.first().and_then(|row| row.get(at)).map_or(0, |expr| expr.position);
        check_width(columns, width, names, position(columns.len()))?;
        let mut done = Vec::with_capacity(rows.len());
        for row in rows {
            if row.len() != width {
                let error = DatabaseError::new("42601", "VALUES lists must all be the same length");
                return Err(place(error, row.first().map_or(0, |expr| expr.position)));
            }
            let mut values = Vec::with_capacity(width);
            for (written, column) in row.iter().zip(columns.iter()) {
                let column = &relation.columns[*column];
                let ignored = overriding == Some(Overriding::User) && column.identity.is_some();
                if matches!(written.kind, Written::Default) || ignored {
                    values.push(default_of(column));
                    continue;
                }
                may_insert(column, overriding)?;
                let expr = self.within(Clause::Values, |state| state.expr(written))?;
                values.push(self.assigned(expr, column)?);
            }
            done.push(values);
        }
        Ok(InsertSource::Values(done))
    }

    fn insert_query(
        &mut self,
        query: &ast::Query,
        relation: &Arc<Relation>,
        columns: &mut Vec<ColumnIndex>,
        names: &[(Ident, u32)],
        overriding: Option<Overriding>,
    ) -> Result<InsertSource> {
        let mut query = self.subquery_unsettled(query)?;
        let surplus = super::set::first_expr(&query.body, columns.len()).map_or(0, |expr| expr.position);
        check_width(columns, query.columns.len(), names, surplus)?;
        let mut wanted: Vec<(Type, TypeModifier)> = Vec::with_capacity(columns.len());
        for (at, (have, column)) in query.columns.iter().zip(columns.iter()).enumerate() {
            let column = &relation.columns[*column];
            if !(overriding == Some(Overriding::User) && column.identity.is_some()) {
                may_insert(column, overriding)?;
            }
            let allowed = have.ty == Type::Unknown || pathway(&have.ty, &column.ty, CastContext::Assignment).is_some();
            if !allowed {
                let at = super::set::first_expr(&query.body, at).map_or(0, |expr| expr.position);
                return Err(place(wrong_type(column, &have.ty), at));
            }
            wanted.push((column.ty.clone(), column.modifier));
        }
        self.coerce_columns(&mut query, &wanted, CastContext::Assignment)?;
        Ok(InsertSource::Query(Box::new(query)))
    }

    /// A value for a column. Errors: 42804.
    fn assigned(&mut self, expr: Expr, column: &Column) -> Result<Expr> {
        self.note_parameter(&expr, &column.ty);
        coerce::assign(self.catalog, expr, &column.name, &column.ty, column.modifier)
    }

    fn on_conflict(
        &mut self,
        conflict: &ast::OnConflict,
        relation: &Arc<Relation>,
        _rte: crate::typed::RteId,
        item: &super::scope::Item,
    ) -> Result<OnConflict> {
        self.offer(vec![item.clone()], false)?;
        let key = match &conflict.target {
            Some(target) => Some(self.conflict_key(target, relation)?),
            None if matches!(conflict.action, ast::ConflictAction::Update { .. }) => {
                let message = "ON CONFLICT DO UPDATE requires inference specification or constraint name";
                let hint = "For example, ON CONFLICT (column_name).";
                return Err(place(
                    DatabaseError::new("42601", message).hint(hint),
                    conflict.position,
                ));
            }
            None => None,
        };
        let action = match &conflict.action {
            ast::ConflictAction::Nothing => ConflictAction::Nothing,
            ast::ConflictAction::Update { assignments, filter } => {
                let name = Ident::new("excluded");
                let (excluded, mut proposed) = self.relation_entry(relation, None, &name)?;
                proposed.qualified = None;
                proposed.lateral_ok = true;
                // A table of this name does not exclude it; naming either is ambiguous then.
                self.level().items.push(proposed);
                let assignments = self.assignments(assignments, relation)?;
                let filter = match filter {
                    Some(filter) => Some(self.within(Clause::ConflictWhere, |state| state.condition(filter, "WHERE"))?),
                    None => None,
                };
                ConflictAction::Update {
                    excluded,
                    assignments,
                    filter,
                }
            }
        };
        Ok(OnConflict { key, action })
    }

    /// The unique key that an ON CONFLICT target names. Errors: 42704, 42P10.
    fn conflict_key(&mut self, target: &ast::ConflictTarget, relation: &Arc<Relation>) -> Result<ConflictKey> {
        let (elements, filter, position) = match target {
            ast::ConflictTarget::Constraint { name, position } => {
                let found = relation.constraints.iter().find(|constraint| constraint.name == *name);
                return match found.map(|constraint| &constraint.kind) {
                    Some(ConstraintKind::PrimaryKey { columns } | ConstraintKind::Unique { columns }) => {
                        Ok(ConflictKey {
                            columns: columns.clone(),
                            expressions: Vec::new(),
                            filter: None,
                        })
                    }
                    Some(_) => {
                        let message = "constraint in ON CONFLICT clause has no associated index";
                        Err(place(DatabaseError::new("42809", message), *position))
                    }
                    None => {
                        let message = format!(
                            "constraint \"{name}\" for table \"{}\" does not exist",
                            relation.name.name
                        );
                        Err(DatabaseError::new("42704", message))
                    }
                };
            }
            ast::ConflictTarget::Columns {
                elements,
                filter,
                position,
            } => (elements, filter, *position),
        };
        let mut key = ConflictKey {
            columns: Vec::new(),
            expressions: Vec::new(),
            filter: None,
        };
        for element in elements {
            let expr = self
                .within(Clause::ConflictTarget, |state| state.expr(element))
                .map_err(|error| place(error, position))?;
            match expr.kind {
                ExprKind::Column { column, .. } => {
                    if !key.columns.contains(&column) {
                        key.columns.push(column);
                    }
                }
                _ if key.expressions.iter().any(|known| walk::same(known, &expr)) => {}
                _ => key.expressions.push(expr),
            }
        }
        if let Some(filter) = filter {
            key.filter = Some(self.within(Clause::ConflictTarget, |state| state.condition(filter, "WHERE"))?);
        }
        Ok(key)
    }

    /// Looks for the key of an ON CONFLICT target, as the server does when everything else has been read.
    ///
    /// Errors: 42P10 without one; 0A000 where a partial index may be meant by a condition that does not hold its own.
    fn check_conflict_key(
        &mut self,
        relation: &Arc<Relation>,
        item: &super::scope::Item,
        key: &ConflictKey,
    ) -> Result<()> {
        self.nested(Level::default(), |state| {
            state.offer(vec![item.clone()], false)?;
            if state.is_unique_key(relation, key)? {
                return Ok(());
            }
            if let (Some(_), true) = (&key.filter, state.has_partial_index(relation, key)?) {
                let way = Some("the index's own condition");
                return Err(state.refuse("ON CONFLICT … WHERE in other words than the index's", "", way, 0));
            }
            let message = "there is no unique or exclusion constraint matching the ON CONFLICT specification";
            Err(DatabaseError::new("42P10", message))
        })
    }

    /// True if a constraint or unique index has exactly this key.
    fn is_unique_key(&mut self, relation: &Arc<Relation>, key: &ConflictKey) -> Result<bool> {
        let same_columns = |columns: &[ColumnIndex]| {
            columns.len() == key.columns.len() && columns.iter().all(|column| key.columns.contains(column))
        };
        let by_constraint = relation.constraints.iter().any(|constraint| match &constraint.kind {
            ConstraintKind::PrimaryKey { columns } | ConstraintKind::Unique { columns } => {
                key.expressions.is_empty() && same_columns(columns)
            }
            _ => false,
        });
        // A view's keys are those of its base table; the engine checks them.
        if by_constraint || relation.view.is_some() {
            return Ok(true);
        }
        for index in relation.indexes.iter().filter(|index| index.unique) {
            let mut columns = Vec::new();
            let mut expressions = Vec::new();
            for part in index.keys.iter().map(|key| &key.part) {
                match part {
                    IndexPart::Column(column) => columns.push(*column),
                    IndexPart::Expression(text) => expressions.push(self.over_target(text)?),
                }
            }
            if !same_columns(&columns) {
                continue;
            }
            let same_expressions = expressions.len() == key.expressions.len()
                && expressions
                    .iter()
                    .all(|expr| key.expressions.iter().any(|known| walk::same(known, expr)));
            if !same_expressions {
                continue;
            }
            match (&index.predicate, &key.filter) {
                (None, _) => return Ok(true),
                (Some(predicate), Some(filter)) => {
                    let predicate = self.over_target(predicate)?;
                    if implies(filter, &predicate) {
                        return Ok(true);
                    }
                }
                (Some(_), None) => {}
            }
        }
        Ok(false)
    }

    /// True if a partial unique index has the key's columns, whatever its condition.
    fn has_partial_index(&mut self, relation: &Arc<Relation>, key: &ConflictKey) -> Result<bool> {
        for index in relation.indexes.iter().filter(|index| index.unique) {
            let Some(predicate) = &index.predicate else { continue };
            let filter = Some(self.over_target(predicate)?);
            let with = ConflictKey { filter, ..key.clone() };
            if self.is_unique_key(relation, &with)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// An index's text over the target, whose item is open.
    fn over_target(&mut self, text: &str) -> Result<Expr> {
        let written = parse::expression(text)?;
        self.within(Clause::ConflictTarget, |state| state.expr(&written))
    }

    fn assignments(&mut self, list: &[ast::Assignment], relation: &Arc<Relation>) -> Result<Vec<Assignment>> {
        let mut done: Vec<Assignment> = Vec::with_capacity(list.len());
        let mut seen: Vec<ColumnIndex> = Vec::new();
        let mut take = |name: &Ident, position: u32| -> Result<ColumnIndex> {
            let column = target_column(relation, name, position)?;
            if seen.contains(&column) {
                let message = format!("multiple assignments to same column \"{name}\"");
                return Err(DatabaseError::new("42601", message));
            }
            seen.push(column);
            Ok(column)
        };
        for assignment in list {
            match assignment {
                ast::Assignment::Single {
                    column,
                    value,
                    position,
                } => {
                    let column = take(column, *position)?;
                    done.push(self.assignment(relation, column, value)?);
                }
                ast::Assignment::Multiple { columns, value } => {
                    let columns: Vec<ColumnIndex> = columns
                        .iter()
                        .map(|(name, position)| take(name, *position))
                        .collect::<Result<_>>()?;
                    self.multiple(relation, columns, value, &mut done)?;
                }
            }
        }
        Ok(done)
    }

    fn assignment(&mut self, relation: &Relation, column: ColumnIndex, value: &ast::Expr) -> Result<Assignment> {
        let found = &relation.columns[column];
        if matches!(value.kind, Written::Default) {
            return Ok(Assignment::Single {
                column,
                value: default_of(found),
            });
        }
        may_update(found)?;
        let value = self.within(Clause::UpdateSource, |state| state.expr(value))?;
        Ok(Assignment::Single {
            column,
            value: self.assigned(value, found)?,
        })
    }

    /// `(a, b) = ROW(…)` or `(a, b) = (SELECT …)`.
    fn multiple(
        &mut self,
        relation: &Arc<Relation>,
        columns: Vec<ColumnIndex>,
        value: &ast::Expr,
        done: &mut Vec<Assignment>,
    ) -> Result<()> {
        let mismatch = || {
            let error = DatabaseError::new("42601", "number of columns does not match number of values");
            place(error, value.position)
        };
        match &value.kind {
            Written::Row(values) => {
                let opened = self.opened_row(values)?;
                let values = opened.as_ref().unwrap_or(values);
                if values.len() != columns.len() {
                    return Err(mismatch());
                }
                for (column, value) in columns.into_iter().zip(values) {
                    done.push(self.assignment(relation, column, value)?);
                }
                Ok(())
            }
            Written::ScalarSubquery(query) => {
                let mut query = self.subquery_unsettled(query)?;
                if query.columns.len() != columns.len() {
                    return Err(mismatch());
                }
                let mut wanted = Vec::with_capacity(columns.len());
                for (at, (have, column)) in query.columns.iter().zip(&columns).enumerate() {
                    let column = &relation.columns[*column];
                    may_update(column)?;
                    let allowed =
                        have.ty == Type::Unknown || pathway(&have.ty, &column.ty, CastContext::Assignment).is_some();
                    if !allowed {
                        let at = super::set::first_expr(&query.body, at).map_or(value.position, |expr| expr.position);
                        return Err(place(wrong_type(column, &have.ty), at));
                    }
                    wanted.push((column.ty.clone(), column.modifier));
                }
                self.coerce_columns(&mut query, &wanted, CastContext::Assignment)?;
                done.push(Assignment::Multiple {
                    columns,
                    query: Box::new(query),
                });
                Ok(())
            }
            _ => {
                let message = "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression";
                Err(place(DatabaseError::new("0A000", message), value.position))
            }
        }
    }

    /// A row with the columns of each `entry.*`; `None` if there is none.
    fn opened_row(&self, values: &[ast::Expr]) -> Result<Option<Vec<ast::Expr>>> {
        let entry = |value: &ast::Expr| match &value.kind {
            Written::Star(names) if names.len() == 1 => Some(names[0].clone()),
            _ => None,
        };
        if values.iter().all(|value| entry(value).is_none()) {
            return Ok(None);
        }
        let mut opened = Vec::with_capacity(values.len());
        for value in values {
            let item = match entry(value) {
                Some(name) => self.item(None, &name, value.position)?.map(|item| (name, item)),
                None => None,
            };
            match item {
                None => opened.push(value.clone()),
                Some((name, item)) => opened.extend(item.columns.iter().map(|column| ast::Expr {
                    kind: Written::Column(vec![name.clone(), column.name.clone()]),
                    ..value.clone()
                })),
            }
        }
        Ok(Some(opened))
    }

    /// An `UPDATE`.
    pub(super) fn update(&mut self, update: &ast::Update) -> Result<Update> {
        self.nested(Level::default(), |state| {
            let (ctes, recursive) = state.with(update.with.as_ref())?;
            let relation = state.written_relation(&update.table)?;
            let (rte, alias) = state.open_target(&relation, update.alias.as_ref())?;
            let from = state.open_from(&update.from)?;
            let assignments = state.assignments(&update.assignments, &relation)?;
            let filter = state.filter(update.filter.as_ref())?;
            let returning = state.returning(&update.returning)?;
            Ok(Update {
                ctes,
                recursive,
                relation,
                rte,
                alias,
                assignments,
                from,
                filter,
                returning,
            })
        })
    }

    /// A `DELETE`.
    pub(super) fn delete(&mut self, delete: &ast::Delete) -> Result<Delete> {
        self.nested(Level::default(), |state| {
            let (ctes, recursive) = state.with(delete.with.as_ref())?;
            let relation = state.written_relation(&delete.table)?;
            let (rte, alias) = state.open_target(&relation, delete.alias.as_ref())?;
            let from = state.open_from(&delete.using)?;
            let filter = state.filter(delete.filter.as_ref())?;
            let returning = state.returning(&delete.returning)?;
            Ok(Delete {
                ctes,
                recursive,
                relation,
                rte,
                alias,
                from,
                filter,
                returning,
            })
        })
    }

    fn open_target(&mut self, relation: &Arc<Relation>, alias: Option<&Ident>) -> Result<(crate::typed::RteId, Ident)> {
        let shown = alias.cloned().unwrap_or_else(|| relation.name.name.clone());
        let (rte, item) = self.relation_entry(relation, None, &shown)?;
        self.offer(vec![item], false)?;
        Ok((rte, shown))
    }

    fn filter(&mut self, filter: Option<&ast::Expr>) -> Result<Option<Expr>> {
        match filter {
            Some(filter) => self
                .within(Clause::Where, |state| state.condition(filter, "WHERE"))
                .map(Some),
            None => Ok(None),
        }
    }

    fn returning(&mut self, items: &[ast::SelectItem]) -> Result<Option<Returning>> {
        if items.is_empty() {
            return Ok(None);
        }
        let mut target = self.within(Clause::Returning, |state| state.targets_of(items))?;
        if self.level().sets.as_ref().is_some_and(|sets| !sets.is_empty()) {
            let message = "set-returning functions are not allowed in RETURNING";
            return Err(DatabaseError::new("0A000", message));
        }
        let mut columns = Vec::with_capacity(target.len());
        for item in &mut target {
            let expr = std::mem::replace(&mut item.expr, Expr::null());
            item.expr = self.settle(expr)?;
            columns.push(OutputColumn {
                name: item.name.clone(),
                ty: item.expr.ty.clone(),
                modifier: item.expr.modifier,
                source: self.source_of(&item.expr),
            });
        }
        Ok(Some(Returning { target, columns }))
    }
}

/// Errors: 42703 `column "x" of relation "t" does not exist`.
fn target_column(relation: &Relation, name: &Ident, position: u32) -> Result<ColumnIndex> {
    relation.column(name).map(|(column, _)| column).ok_or_else(|| {
        let message = format!(
            "column \"{name}\" of relation \"{}\" does not exist",
            relation.name.name
        );
        place(DatabaseError::new("42703", message), position)
    })
}

/// Fits the target columns to the number of values; `surplus`: where the first value too many stands. Errors: 42601.
fn check_width(columns: &mut Vec<ColumnIndex>, width: usize, names: &[(Ident, u32)], surplus: u32) -> Result<()> {
    if width > columns.len() {
        let error = DatabaseError::new("42601", "INSERT has more expressions than target columns");
        return Err(place(error, surplus));
    }
    if let Some((_, position)) = names.get(width) {
        let error = DatabaseError::new("42601", "INSERT has more target columns than expressions");
        return Err(place(error, *position));
    }
    columns.truncate(width);
    Ok(())
}

fn default_of(column: &Column) -> Expr {
    Expr {
        modifier: column.modifier,
        ..Expr::new(ExprKind::Default, column.ty.clone())
    }
}

fn wrong_type(column: &Column, from: &Type) -> DatabaseError {
    let message = format!(
        "column \"{}\" is of type {} but expression is of type {from}",
        column.name, column.ty
    );
    DatabaseError::new("42804", message).hint("You will need to rewrite or cast the expression.")
}

/// Errors: 428C9 for generated columns and identities that are always generated.
fn may_insert(column: &Column, overriding: Option<Overriding>) -> Result<()> {
    let message = || format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name);
    if column.generated.is_some() {
        let detail = format!("Column \"{}\" is a generated column.", column.name);
        return Err(DatabaseError::new("428C9", message()).detail(detail));
    }
    if column.identity == Some(Identity::Always) && overriding != Some(Overriding::System) {
        let detail = format!(
            "Column \"{}\" is an identity column defined as GENERATED ALWAYS.",
            column.name
        );
        let hint = "Use OVERRIDING SYSTEM VALUE to override.";
        return Err(DatabaseError::new("428C9", message()).detail(detail).hint(hint));
    }
    Ok(())
}

/// Errors: 428C9 `column "x" can only be updated to DEFAULT`.
fn may_update(column: &Column) -> Result<()> {
    let detail = if column.generated.is_some() {
        format!("Column \"{}\" is a generated column.", column.name)
    } else if column.identity == Some(Identity::Always) {
        format!(
            "Column \"{}\" is an identity column defined as GENERATED ALWAYS.",
            column.name
        )
    } else {
        return Ok(());
    };
    let message = format!("column \"{}\" can only be updated to DEFAULT", column.name);
    Err(DatabaseError::new("428C9", message).detail(detail))
}

/// True if `filter` is `predicate`, or has it among its conditions.
fn implies(filter: &Expr, predicate: &Expr) -> bool {
    walk::same(filter, predicate)
        || match (&filter.kind, &predicate.kind) {
            (ExprKind::And(parts), ExprKind::And(wanted)) => wanted
                .iter()
                .all(|wanted| parts.iter().any(|part| walk::same(part, wanted))),
            (ExprKind::And(parts), _) => parts.iter().any(|part| walk::same(part, predicate)),
            _ => false,
        }
}
