//! FROM: range table entries, joins, what they offer.

use std::sync::Arc;

use mainstay_core::catalog::{ColumnSource, Relation};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::{Type, TypeModifier};

use super::Result;
use super::call::{Resolved, Target};
use super::coerce::{self, common_type, condition, place, to_common};
use super::resolve;
use super::scope::{Clause, EntryColumn, Item, ItemColumn, State, first_duplicate};
use crate::ast::{self, Alias, JoinCondition};
use crate::typed::{Expr, ExprKind, FromItem, JoinKind, OutputColumn, RteId, TableFunction};

impl State<'_> {
    /// Analyses a FROM list and opens its names on the innermost level.
    pub fn open_from(&mut self, list: &[ast::FromItem]) -> Result<Vec<FromItem>> {
        let mut found = Vec::with_capacity(list.len());
        let before = self.level().items.len();
        for item in list {
            let (item, offered) = self.open_item(item)?;
            self.offer(offered, true)?;
            found.push(item);
        }
        for item in &mut self.level().items[before..] {
            item.lateral_only = false;
            item.lateral_ok = true;
        }
        Ok(found)
    }

    /// Adds items to the innermost level. Errors: 42712 `table name "t" specified more than once`.
    pub fn offer(&mut self, offered: Vec<Item>, lateral_only: bool) -> Result<()> {
        check_names(&self.level().items, &offered)?;
        let level = self.level();
        for mut item in offered {
            item.lateral_only = lateral_only;
            item.lateral_ok = true;
            level.items.push(item);
        }
        Ok(())
    }

    fn open_item(&mut self, item: &ast::FromItem) -> Result<(FromItem, Vec<Item>)> {
        match item {
            ast::FromItem::Relation { name, alias } => self.named_item(name, alias.as_ref()),
            ast::FromItem::Subquery {
                query,
                alias,
                lateral,
                position,
            } => {
                let Some(alias) = alias else {
                    // PostgreSQL 15 demands one; 16 does not.
                    let message = "subquery in FROM must have an alias";
                    let hint = "For example, FROM (SELECT ...) [AS] foo.";
                    return Err(place(DatabaseError::new("42601", message).hint(hint), *position));
                };
                let before = std::mem::replace(&mut self.level().lateral, *lateral);
                let result = self.within(Clause::FromSubselect, |state| state.subquery(query));
                self.level().lateral = before;
                let query = result?;
                let (rte, offered) = self.output_entry(&query.columns, Some(alias), &alias.name)?;
                let item = FromItem::Subquery {
                    rte,
                    alias: alias.name.clone(),
                    query: Box::new(query),
                    lateral: *lateral,
                };
                Ok((item, vec![offered]))
            }
            ast::FromItem::Function {
                call,
                alias,
                definitions,
                ordinality,
                ..
            } => {
                let before = std::mem::replace(&mut self.level().lateral, true);
                let result = self.within(Clause::FromFunction, |state| {
                    match state.record_function(call, definitions)? {
                        Some(found) => Ok(found),
                        None => state.table_function(call),
                    }
                });
                self.level().lateral = before;
                let (table, mut columns) = result?;
                let name = alias
                    .as_ref()
                    .map_or_else(|| call.name.name.clone(), |alias| alias.name.clone());
                // A function of one column that is a plain value takes the alias for the column too.
                if let ([column], Some(alias)) = (columns.as_mut_slice(), alias)
                    && column.name == call.name.name
                {
                    column.name = alias.name.clone();
                }
                if *ordinality {
                    columns.push(OutputColumn {
                        name: Ident::new("ordinality"),
                        ty: Type::Int8,
                        modifier: TypeModifier::None,
                        source: None,
                    });
                }
                let (rte, mut offered) = self.output_entry(&columns, alias.as_ref(), &name)?;
                offered.is_scalar = columns.len() == 1 && !gives_rows(&table);
                let item = FromItem::Function {
                    rte,
                    alias: name,
                    call: table,
                    columns,
                    ordinality: *ordinality,
                };
                Ok((item, vec![offered]))
            }
            ast::FromItem::Join {
                kind,
                left,
                right,
                condition,
                alias,
                ..
            } => self.join(*kind, left, right, condition, alias.as_ref()),
        }
    }

    /// True for a call that may give several rows.
    pub(super) fn gives_set(&self, call: &ast::FunctionCall) -> bool {
        call.over.is_none() && self.may_give_set(&call.name)
    }

    /// A set-returning function that is a column of the select list: one more entry of FROM, whose rows are joined to
    /// each of the others'.
    pub(super) fn set_target(&mut self, call: &ast::FunctionCall, position: u32) -> Result<Expr> {
        let name = &call.name.name;
        let found = self.within(Clause::FromFunction, |state| state.table_function(call));
        let (table, columns) = match found {
            Err(error) if error.sqlstate == "42803" => {
                let way = Some("call it in FROM of a subquery");
                return Err(self.refuse(
                    "a set-returning function beside aggregates or windows",
                    name,
                    way,
                    position,
                ));
            }
            found => found?,
        };
        if let TableFunction::Scalar(value) = table {
            return Ok(*value);
        }
        let [column] = columns.as_slice() else {
            let way = Some("call it in FROM");
            return Err(self.refuse("a function that returns rows, in a select list", name, way, position));
        };
        if let TableFunction::Set { function, arguments } = table {
            let resolved = Resolved {
                target: Target::Set(function),
                arguments,
                ty: column.ty.clone(),
            };
            return self.set_in_select_list(function, resolved, position);
        }
        if self.level().sets.as_ref().is_some_and(|sets| !sets.is_empty()) {
            let way = Some("call them in FROM");
            return Err(self.refuse("several set-returning functions in a select list", name, way, position));
        }
        let (rte, _) = self.output_entry(&columns, None, name)?;
        let expr = column_expr(rte, 0, &column.ty, column.modifier).at(position);
        self.level().sets.get_or_insert_default().push(FromItem::Function {
            rte,
            alias: name.clone(),
            call: table,
            columns,
            ordinality: false,
        });
        Ok(expr)
    }

    /// A CTE or a relation.
    fn named_item(&mut self, name: &ast::ObjectName, alias: Option<&Alias>) -> Result<(FromItem, Vec<Item>)> {
        let shown = alias.map_or_else(|| name.name.clone(), |alias| alias.name.clone());
        let cte = if name.schema.is_none() {
            self.cte(&name.name)
        } else {
            None
        };
        if let Some(cte) = cte {
            if cte.forbidden {
                let message = format!(
                    "recursive reference to query \"{}\" must not appear within its non-recursive term",
                    cte.name
                );
                return Err(place(DatabaseError::new("42P19", message), name.position));
            }
            cte.references.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let (rte, offered) = self.output_entry(&cte.columns, alias, &shown)?;
            let item = FromItem::Cte {
                rte,
                alias: shown,
                cte: cte.id,
                name: cte.name.clone(),
            };
            return Ok((item, vec![offered]));
        }
        let relation = self.relation(name)?.clone();
        let (rte, offered) = self.relation_entry(&relation, alias, &shown)?;
        Ok((
            FromItem::Relation {
                rte,
                alias: shown,
                relation,
            },
            vec![offered],
        ))
    }

    /// Registers a relation and says what it offers.
    pub fn relation_entry(
        &mut self,
        relation: &Arc<Relation>,
        alias: Option<&Alias>,
        shown: &Ident,
    ) -> Result<(RteId, Item)> {
        let names = renamed(relation.columns.iter().map(|column| &column.name), alias, shown)?;
        let columns = names
            .iter()
            .enumerate()
            .map(|(at, name)| EntryColumn {
                name: name.clone(),
                source: source_in(relation, at),
            })
            .collect();
        let rte = self.add_entry(shown.clone(), columns, Some(relation.clone()));
        let columns = names
            .into_iter()
            .zip(&relation.columns)
            .enumerate()
            .map(|(at, (name, column))| ItemColumn {
                name,
                expr: column_expr(rte, at, &column.ty, column.modifier),
            })
            .collect();
        Ok((rte, item_of(shown, Some(relation.name.clone()), rte, columns)))
    }

    /// Registers something with output columns and says what it offers.
    fn output_entry(
        &mut self,
        columns: &[OutputColumn],
        alias: Option<&Alias>,
        shown: &Ident,
    ) -> Result<(RteId, Item)> {
        let names = renamed(columns.iter().map(|column| &column.name), alias, shown)?;
        let entry = names
            .iter()
            .zip(columns)
            .map(|(name, column)| EntryColumn {
                name: name.clone(),
                source: column.source.clone(),
            })
            .collect();
        let rte = self.add_entry(shown.clone(), entry, None);
        let offered = names
            .into_iter()
            .zip(columns)
            .enumerate()
            .map(|(at, (name, column))| ItemColumn {
                name,
                expr: column_expr(rte, at, &column.ty, column.modifier),
            })
            .collect();
        Ok((rte, item_of(shown, None, rte, offered)))
    }

    fn join(
        &mut self,
        kind: JoinKind,
        left: &ast::FromItem,
        right: &ast::FromItem,
        on: &JoinCondition,
        alias: Option<&Alias>,
    ) -> Result<(FromItem, Vec<Item>)> {
        let (left, left_items) = self.open_item(left)?;
        // The right side may look to the left if it is LATERAL.
        let before = self.level().items.len();
        for item in &left_items {
            let mut item = item.clone();
            item.lateral_only = true;
            item.lateral_ok = matches!(kind, JoinKind::Inner | JoinKind::Left);
            self.level().items.push(item);
        }
        let right = self.open_item(right);
        self.level().items.truncate(before);
        let (right, right_items) = right?;
        check_names(&left_items, &right_items)?;

        let using: Option<Vec<Ident>> = match on {
            JoinCondition::Using { columns, .. } => Some(columns.clone()),
            JoinCondition::Natural => Some(common_names(&left_items, &right_items)),
            _ => None,
        };
        let mut merged = Vec::new();
        let condition_expr = match (&using, on) {
            (Some(names), _) => {
                let mut equalities = Vec::with_capacity(names.len());
                for name in names {
                    let (equality, column) = self.merge_column(kind, name, &left_items, &right_items)?;
                    equalities.push(equality);
                    merged.push(ItemColumn {
                        name: name.clone(),
                        expr: column,
                    });
                }
                conjunction(equalities)
            }
            (None, JoinCondition::On(on)) => {
                let outer = std::mem::take(&mut self.level().items);
                self.level().items = left_items
                    .iter()
                    .chain(&right_items)
                    .cloned()
                    .map(Item::opened)
                    .collect();
                let result = self.within(Clause::JoinOn, |state| state.expr(on));
                self.level().items = outer;
                Some(condition(self.catalog, result?, "JOIN/ON")?)
            }
            _ => None,
        };

        let rest = |items: &[Item]| -> Vec<ItemColumn> {
            items
                .iter()
                .filter(|item| item.columns_visible)
                .flat_map(|item| item.columns.clone())
                .filter(|column| !using.iter().flatten().any(|name| *name == column.name))
                .collect()
        };
        let mut columns = merged.clone();
        columns.extend(rest(&left_items));
        columns.extend(rest(&right_items));
        let mut offered: Vec<Item> = Vec::new();
        if alias.is_none() {
            offered.extend(left_items.into_iter().chain(right_items).map(|item| Item {
                columns_visible: false,
                ..item
            }));
            if let JoinCondition::Using { alias: Some(name), .. } = on {
                offered.push(Item {
                    name: Some(name.clone()),
                    columns: merged,
                    columns_visible: false,
                    ..Item::unnamed()
                });
            }
        }
        if let Some(alias) = alias {
            let names = renamed(columns.iter().map(|column| &column.name), Some(alias), &alias.name)?;
            for (column, name) in columns.iter_mut().zip(names) {
                column.name = name;
            }
        }
        offered.push(Item {
            name: alias.map(|alias| alias.name.clone()),
            columns,
            ..Item::unnamed()
        });
        let item = FromItem::Join {
            kind,
            left: Box::new(left),
            right: Box::new(right),
            on: condition_expr,
        };
        Ok((item, offered))
    }

    /// The equality and the merged column of one USING name.
    fn merge_column(&mut self, kind: JoinKind, name: &Ident, left: &[Item], right: &[Item]) -> Result<(Expr, Expr)> {
        let side = |items: &[Item], side: &str| -> Result<Expr> {
            let mut found = items
                .iter()
                .filter(|item| item.columns_visible)
                .flat_map(|item| &item.columns)
                .filter(|c| c.name == *name);
            match (found.next(), found.next()) {
                (Some(column), None) => Ok(column.expr.clone()),
                (Some(_), Some(_)) => Err(DatabaseError::new(
                    "42702",
                    format!("common column name \"{name}\" appears more than once in {side} table"),
                )),
                _ => Err(DatabaseError::new(
                    "42703",
                    format!("column \"{name}\" specified in USING clause does not exist in {side} table"),
                )),
            }
        };
        let (a, b) = (side(left, "left")?, side(right, "right")?);
        let equality = resolve::operator(self.catalog, "=", Some(a.clone()), b.clone(), 0)?;
        let ty = common_type(&[&a, &b], "JOIN/USING")?;
        let modifier = coerce::common_modifier(&[&a, &b]);
        let a = to_common(self.catalog, a, &ty, "JOIN/USING")?;
        let b = to_common(self.catalog, b, &ty, "JOIN/USING")?;
        let merged = match kind {
            JoinKind::Inner | JoinKind::Left => a,
            JoinKind::Right => b,
            JoinKind::Full => Expr {
                modifier,
                ..Expr::new(ExprKind::Coalesce(vec![a, b]), ty)
            },
        };
        Ok((equality, merged))
    }
}

impl Item {
    fn unnamed() -> Self {
        Item {
            name: None,
            qualified: None,
            rte: None,
            is_scalar: false,
            columns: Vec::new(),
            names_visible: true,
            columns_visible: true,
            lateral_only: false,
            lateral_ok: true,
        }
    }

    fn opened(self) -> Self {
        Item {
            lateral_only: false,
            lateral_ok: true,
            ..self
        }
    }
}

fn item_of(shown: &Ident, qualified: Option<QualifiedName>, rte: RteId, columns: Vec<ItemColumn>) -> Item {
    Item {
        name: Some(shown.clone()),
        qualified,
        rte: Some(rte),
        columns,
        ..Item::unnamed()
    }
}

/// A reference to an entry's column.
/// True for a function whose result has a row type, of however many columns.
fn gives_rows(call: &TableFunction) -> bool {
    let routine = match call {
        TableFunction::Set { function, .. } => return function.columns.is_empty(),
        TableFunction::Scalar(_) => return false,
        TableFunction::Routine(call) => &call.routine,
        TableFunction::Run(run) => &run.routine,
    };
    matches!(routine.returns.ty, Type::Record | Type::Composite(_))
}

pub fn column_expr(rte: RteId, column: usize, ty: &Type, modifier: TypeModifier) -> Expr {
    Expr {
        kind: ExprKind::Column { rte, column },
        ty: ty.clone(),
        modifier,
        position: 0,
    }
}

/// The base column behind a relation's column.
fn source_in(relation: &Relation, column: usize) -> Option<ColumnSource> {
    match &relation.view {
        Some(view) => view.sources.get(column).cloned().flatten(),
        None => Some(ColumnSource {
            relation: relation.name.clone(),
            column: relation.columns.get(column)?.name.clone(),
        }),
    }
}

/// Column names with an alias's list applied to the first of them. Errors: 42P10.
fn renamed<'n>(
    names: impl ExactSizeIterator<Item = &'n Ident>,
    alias: Option<&Alias>,
    shown: &Ident,
) -> Result<Vec<Ident>> {
    let new = alias.map(|alias| alias.columns.as_slice()).unwrap_or_default();
    let available = names.len();
    if new.len() > available {
        let message = format!(
            "table \"{shown}\" has {available} columns available but {} columns specified",
            new.len()
        );
        return Err(DatabaseError::new("42P10", message));
    }
    Ok(names
        .enumerate()
        .map(|(at, name)| new.get(at).unwrap_or(name).clone())
        .collect())
}

fn check_names(known: &[Item], added: &[Item]) -> Result<()> {
    let names = known
        .iter()
        .chain(added)
        .filter(|item| item.names_visible)
        .filter_map(|item| item.name.as_ref());
    match first_duplicate(names) {
        Some(name) => Err(DatabaseError::new(
            "42712",
            format!("table name \"{name}\" specified more than once"),
        )),
        None => Ok(()),
    }
}

/// The names that both sides of a NATURAL join have, in the left side's order.
fn common_names(left: &[Item], right: &[Item]) -> Vec<Ident> {
    let names = |items: &[Item]| -> Vec<Ident> {
        let visible = items.iter().filter(|item| item.columns_visible);
        visible
            .flat_map(|item| item.columns.iter().map(|column| column.name.clone()))
            .collect()
    };
    let right = names(right);
    names(left).into_iter().filter(|name| right.contains(name)).collect()
}

/// All of the conditions; `None` if there is none.
pub fn conjunction(mut conditions: Vec<Expr>) -> Option<Expr> {
    match conditions.len() {
        0 => None,
        1 => conditions.pop(),
        _ => Some(Expr::new(ExprKind::And(conditions), Type::Bool)),
    }
}
