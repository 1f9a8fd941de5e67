//! Aggregates and window functions.

use mainstay_core::error::DatabaseError;
use mainstay_core::types::Type;

use super::Result;
use super::aggregates::{self, AggregateEntry};
use super::call::{Target, is_builtin};
use super::coerce::{self, place};
use super::resolve::{self, Bindings, Choice, Slot, choose, coerce_arguments};
use super::scope::{Clause, Level, State};
use crate::ast::{self, FrameMode, FunctionCall, SortItem};
use crate::ddl::walk::{Typed, typed_expr};
use crate::typed::{
    Aggregate, CastContext, Expr, ExprKind, Frame, FrameBound, FromItem, SortKey, Window, WindowFunction,
};
use crate::walk;

impl State<'_> {
    /// An aggregate without OVER.
    pub fn aggregate_call(&mut self, call: &FunctionCall, position: u32) -> Result<Expr> {
        if self.level().inside_aggregate {
            let error = DatabaseError::new("42803", "aggregate function calls cannot be nested");
            return Err(place(error, position));
        }
        self.level().inside_aggregate = true;
        let parts = self.aggregate_parts(call, position);
        self.level().inside_aggregate = false;
        let aggregate = parts?;
        self.place_aggregate(&aggregate.0, position)?;
        let (aggregate, ty) = aggregate;
        Ok(Expr::new(ExprKind::Aggregate(Box::new(aggregate)), ty))
    }

    /// `percentile_cont(0.5) WITHIN GROUP (ORDER BY x)`: the sorted value is the last argument.
    pub fn ordered_set_call(&mut self, call: &FunctionCall, position: u32) -> Result<Expr> {
        let entries: Vec<&'static AggregateEntry> = aggregates::ordered_sets(&call.name.name).collect();
        if entries.is_empty() || !is_builtin(&call.name) || call.over.is_some() {
            return Err(self.refuse(&format!("{}(…) WITHIN GROUP", call.name), "", None, position));
        }
        if self.level().inside_aggregate {
            let error = DatabaseError::new("42803", "aggregate function calls cannot be nested");
            return Err(place(error, position));
        }
        self.level().inside_aggregate = true;
        let parts = self.ordered_set_parts(call, &entries, position);
        self.level().inside_aggregate = false;
        let (aggregate, ty) = parts?;
        self.place_aggregate(&aggregate, position)?;
        Ok(Expr::new(ExprKind::Aggregate(Box::new(aggregate)), ty))
    }

    fn ordered_set_parts(
        &mut self,
        call: &FunctionCall,
        entries: &[&'static AggregateEntry],
        position: u32,
    ) -> Result<(Aggregate, Type)> {
        let mut arguments = self.arguments(call)?;
        let constant = |argument: &Expr| {
            let mut constant = true;
            walk::expr(argument, &mut |inner| {
                constant &= !matches!(inner.kind, ExprKind::Column { .. });
                constant
            });
            constant
        };
        if !arguments.iter().all(constant) {
            let feature = format!("{}(…) WITHIN GROUP with a computed argument", call.name);
            return Err(self.refuse(&feature, "", Some("a constant"), position));
        }
        let mut order = self.sort_items(&call.order, Clause::OrderBy)?;
        arguments.extend(order.iter().map(|key| key.expr.clone()));
        let inputs: Vec<Type> = arguments.iter().map(|argument| argument.ty.clone()).collect();
        let fitting: Vec<&'static AggregateEntry> = (entries.iter().copied())
            .filter(|entry| entry.arguments.len() == arguments.len())
            .collect();
        let slots: Vec<Vec<Slot>> = (fitting.iter())
            .map(|entry| entry.arguments.iter().map(|argument| Slot::of(*argument)).collect())
            .collect();
        let Choice::One(chosen) = choose(&slots, &inputs) else {
            return Err(self.no_function(call, &inputs, position));
        };
        let (function, slots) = (fitting[chosen], &slots[chosen]);
        let bindings = Bindings::of(slots, &arguments)?;
        let arguments = coerce_arguments(self.catalog, slots, arguments, &bindings)?;
        let ty = bindings.argument(function.result).unwrap_or(Type::Text);
        if let (Some(key), Some(sorted)) = (order.last_mut(), arguments.last()) {
            key.expr = sorted.clone();
            let merged = matches!(
                sorted.ty.base(),
                Type::Numeric | Type::Interval | Type::Jsonb | Type::Array(_)
            );
            if function.name == "mode" && merged {
                let feature = format!("mode() of type {}", sorted.ty);
                return Err(self.refuse(&feature, "", Some("GROUP BY and ORDER BY count(*)"), position));
            }
        }
        let filter = match &call.filter {
            Some(filter) => Some(self.within(Clause::Filter, |state| state.condition(filter, "FILTER"))?),
            None => None,
        };
        let aggregate = Aggregate {
            function,
            arguments,
            distinct: false,
            order,
            filter,
        };
        Ok((aggregate, ty))
    }

    fn aggregate_parts(&mut self, call: &FunctionCall, position: u32) -> Result<(Aggregate, Type)> {
        self.count_star(call, position)?;
        let arguments = self.arguments(call)?;
        let resolved = self.resolve_call(call, arguments, true, position)?;
        let Target::Aggregate(function) = resolved.target else {
            return Err(self.no_function(call, &[], position));
        };
        let order = self.sort_items(&call.order, Clause::OrderBy)?;
        if call.distinct {
            for argument in &resolved.arguments {
                self.equatable(&argument.ty, argument.position)?;
            }
            let unknown_key = |key: &SortKey| {
                !resolved
                    .arguments
                    .iter()
                    .any(|argument| walk::same(as_written(argument), &key.expr))
            };
            if let Some(key) = order.iter().find(|key| unknown_key(key)) {
                let message = "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list";
                return Err(place(DatabaseError::new("42P10", message), key.expr.position));
            }
        }
        let filter = match &call.filter {
            Some(filter) => Some(self.within(Clause::Filter, |state| state.condition(filter, "FILTER"))?),
            None => None,
        };
        let aggregate = Aggregate {
            function,
            arguments: resolved.arguments,
            distinct: call.distinct,
            order,
            filter,
        };
        self.check_nested_cte(&aggregate)?;
        Ok((aggregate, resolved.ty))
    }

    /// Errors: 0A000 for an aggregate of an outer query's rows over a WITH further in.
    fn check_nested_cte(&self, aggregate: &Aggregate) -> Result<()> {
        let current = self.levels.len().saturating_sub(1);
        let Some(level) = self.deepest_level(aggregate, current).filter(|level| *level < current) else {
            return Ok(());
        };
        let mut nested = None;
        for argument in &aggregate.arguments {
            typed_expr(argument, &mut |place| {
                if let Typed::From(FromItem::Cte { cte, name, .. }) = place {
                    let defined = |level: &Level| level.ctes.iter().any(|known| known.id == *cte);
                    if self.levels.iter().position(defined).is_some_and(|at| at > level) {
                        nested.get_or_insert(name);
                    }
                }
            });
        }
        match nested {
            Some(name) => Err(
                DatabaseError::new("0A000", "outer-level aggregate cannot use a nested CTE")
                    .detail(format!("CTE \"{name}\" is below the aggregate's semantic level.")),
            ),
            None => Ok(()),
        }
    }

    /// `count()` and `sum(*)` are wrong.
    fn count_star(&self, call: &FunctionCall, position: u32) -> Result<()> {
        if call.arguments.is_empty() && !call.star {
            let message = format!(
                "{}(*) must be used to call a parameterless aggregate function",
                call.name.name
            );
            return Err(place(DatabaseError::new("42809", message), position));
        }
        Ok(())
    }

    /// Finds the query an aggregate belongs to (the innermost whose columns it uses) and whether it may stand there.
    fn place_aggregate(&mut self, aggregate: &Aggregate, position: u32) -> Result<()> {
        let current = self.levels.len().saturating_sub(1);
        let mut deepest: Option<usize> = None;
        {
            let mut note = |expr: &Expr| {
                if let ExprKind::Column { rte, .. } = &expr.kind
                    && let Some(entry) = self.entry(*rte)
                {
                    deepest = Some(deepest.map_or(entry.level, |known| known.max(entry.level)));
                }
                true
            };
            for argument in &aggregate.arguments {
                walk::expr(argument, &mut note);
            }
        }
        // Columns of an inner subquery in the argument do not count.
        let level = deepest.unwrap_or(current).min(current);
        let clause = self.levels.get(level).map(|level| level.clause).unwrap_or_default();
        if let Some(forbidden) = clause.forbids_aggregates() {
            let message = format!("aggregate functions are not allowed in {forbidden}");
            return Err(place(DatabaseError::new("42803", message), position));
        }
        if let Some(level) = self.levels.get_mut(level) {
            level.has_aggregates = true;
        }
        Ok(())
    }

    /// Anything with OVER.
    pub fn window_call(&mut self, call: &FunctionCall, position: u32) -> Result<Expr> {
        let Some(over) = &call.over else {
            return Err(self.no_function(call, &[], position));
        };
        let clause = self.level().clause;
        if let Some(forbidden) = clause.forbids_windows() {
            let message = format!("window functions are not allowed in {forbidden}");
            return Err(place(DatabaseError::new("42P20", message), position));
        }
        if self.level().inside_aggregate {
            let error = DatabaseError::new("42803", "aggregate function calls cannot contain window function calls");
            return Err(place(error, position));
        }
        if self.level().inside_window {
            return Err(place(
                DatabaseError::new("42P20", "window function calls cannot be nested"),
                position,
            ));
        }
        let name = &call.name.name;
        let is_known = is_builtin(&call.name)
            && (aggregates::aggregates(name).next().is_some() || aggregates::windows(name).next().is_some());
        if aggregates::aggregates(name).next().is_some() {
            self.count_star(call, position)?;
        }
        self.level().inside_window = true;
        let result = self.window_parts(call, over, is_known, position);
        self.level().inside_window = false;
        let (window, ty) = result?;
        self.level().has_windows = true;
        Ok(Expr::new(ExprKind::Window(Box::new(window)), ty))
    }

    fn window_parts(
        &mut self,
        call: &FunctionCall,
        over: &ast::Window,
        is_known: bool,
        position: u32,
    ) -> Result<(Window, Type)> {
        let arguments = self.arguments(call)?;
        if call.distinct {
            let error = DatabaseError::new("0A000", "DISTINCT is not implemented for window functions");
            return Err(place(error, position));
        }
        let resolved = self.resolve_call(call, arguments, true, position)?;
        let function = match resolved.target {
            Target::Window(entry) if is_known => WindowFunction::Window(entry),
            Target::Aggregate(entry) => WindowFunction::Aggregate(entry),
            _ => {
                let message = format!(
                    "OVER specified, but {} is not a window function nor an aggregate function",
                    call.name.name
                );
                return Err(place(DatabaseError::new("42809", message), position));
            }
        };
        if !call.order.is_empty() {
            let message = "aggregate ORDER BY is not implemented for window functions";
            return Err(place(DatabaseError::new("0A000", message), position));
        }
        let filter = match (&call.filter, function) {
            (None, _) => None,
            (Some(_), WindowFunction::Window(_)) => {
                let message = "FILTER is not implemented for non-aggregate window functions";
                return Err(place(DatabaseError::new("0A000", message), position));
            }
            (Some(filter), _) => Some(self.within(Clause::Filter, |state| state.condition(filter, "FILTER"))?),
        };
        let definition = self.window_definition(over)?;
        let partition = self.within(Clause::WindowPartition, |state| {
            let keys: Vec<Expr> = definition
                .partition
                .iter()
                .map(|key| state.expr(key))
                .collect::<Result<_>>()?;
            keys.into_iter()
                .map(|key| {
                    let key = state.settle(key)?;
                    state.equatable(&key.ty, key.position)?;
                    Ok(key)
                })
                .collect::<Result<Vec<Expr>>>()
        })?;
        let order = self.sort_items(&definition.order, Clause::WindowOrder)?;
        let frame = match &definition.frame {
            Some(frame) => Some(self.within(Clause::WindowFrame, |state| state.frame(frame, &order, over.position))?),
            None => None,
        };
        let window = Window {
            function,
            arguments: resolved.arguments,
            filter,
            partition,
            order,
            frame,
        };
        Ok((window, resolved.ty))
    }

    /// A window with what it takes from the named one it builds on. Errors: 42704, 42P20.
    fn window_definition(&mut self, over: &ast::Window) -> Result<ast::Window> {
        let Some(base) = over.name.as_ref().or(over.base.as_ref()) else {
            return Ok(over.clone());
        };
        let found = self
            .level()
            .windows
            .iter()
            .find(|window| window.name.as_ref() == Some(base))
            .cloned();
        let Some(found) = found else {
            let message = format!("window \"{base}\" does not exist");
            return Err(place(DatabaseError::new("42704", message), over.position));
        };
        let mut found = ast::Window { name: None, ..found };
        if found.base.is_some() {
            found = self.window_definition(&found)?;
        }
        if over.name.is_some() {
            return Ok(found);
        }
        let conflict = |what: &str| {
            let message = format!("cannot override {what} of window \"{base}\"");
            place(DatabaseError::new("42P20", message), over.position)
        };
        if !over.partition.is_empty() {
            return Err(conflict("PARTITION BY clause"));
        }
        if !over.order.is_empty() && !found.order.is_empty() {
            return Err(conflict("ORDER BY clause"));
        }
        if found.frame.is_some() {
            let message = format!("cannot copy window \"{base}\" because it has a frame clause");
            return Err(place(DatabaseError::new("42P20", message), over.position));
        }
        if !over.order.is_empty() {
            found.order = over.order.clone();
        }
        found.frame = over.frame.clone();
        Ok(found)
    }

    fn frame(&mut self, frame: &ast::Frame, order: &[SortKey], position: u32) -> Result<Frame> {
        let has_offset =
            |bound: &ast::FrameBound| matches!(bound, ast::FrameBound::Preceding(_) | ast::FrameBound::Following(_));
        let offsets = has_offset(&frame.start) || has_offset(&frame.end);
        let ty = match frame.mode {
            FrameMode::Rows | FrameMode::Groups => Type::Int8,
            FrameMode::Range => match order {
                [key] => match key.expr.ty.base() {
                    Type::Date | Type::Timestamp | Type::Timestamptz | Type::Time | Type::Interval => Type::Interval,
                    other => other.clone(),
                },
                _ if offsets => {
                    let message = "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column";
                    return Err(place(DatabaseError::new("42P20", message), position));
                }
                _ => Type::Int8,
            },
        };
        if frame.mode == FrameMode::Groups && order.is_empty() {
            let error = DatabaseError::new("42P20", "GROUPS mode requires an ORDER BY clause");
            return Err(place(error, position));
        }
        let name = match frame.mode {
            FrameMode::Range => "RANGE",
            FrameMode::Rows => "ROWS",
            FrameMode::Groups => "GROUPS",
        };
        let mut bound = |bound: &ast::FrameBound| -> Result<FrameBound> {
            let mut offset = |written: &ast::Expr| -> Result<Box<Expr>> {
                let offset = self.expr(written)?;
                Ok(Box::new(coerce::argument(self.catalog, offset, name, &ty)?))
            };
            Ok(match bound {
                ast::FrameBound::UnboundedPreceding => FrameBound::UnboundedPreceding,
                ast::FrameBound::CurrentRow => FrameBound::CurrentRow,
                ast::FrameBound::UnboundedFollowing => FrameBound::UnboundedFollowing,
                ast::FrameBound::Preceding(written) => FrameBound::Preceding(offset(written)?),
                ast::FrameBound::Following(written) => FrameBound::Following(offset(written)?),
            })
        };
        Ok(Frame {
            mode: frame.mode,
            start: bound(&frame.start)?,
            end: bound(&frame.end)?,
            exclusion: frame.exclusion,
        })
    }

    /// Sort keys as plain expressions, for windows and aggregates.
    pub fn sort_items(&mut self, items: &[SortItem], clause: Clause) -> Result<Vec<SortKey>> {
        let inside = self.level().inside_aggregate;
        let clause = if inside { self.level().clause } else { clause };
        self.within(clause, |state| {
            items
                .iter()
                .map(|item| {
                    let expr = state.expr(&item.expr)?;
                    let expr = state.settle(expr)?;
                    state.sortable(&expr.ty, item.expr.position)?;
                    Ok(sort_key(expr, item))
                })
                .collect()
        })
    }

    /// Errors: 42883 `could not identify an ordering operator for type json`.
    pub fn sortable(&self, ty: &Type, position: u32) -> Result<()> {
        if *ty != Type::Unknown && resolve::has_equality(ty) {
            return Ok(());
        }
        let message = format!("could not identify an ordering operator for type {ty}");
        let hint = "Use an explicit ordering operator or modify the query.";
        Err(place(DatabaseError::new("42883", message).hint(hint), position))
    }

    /// Errors: 42883 `could not identify an equality operator for type json`.
    pub fn equatable(&self, ty: &Type, position: u32) -> Result<()> {
        if *ty == Type::Unknown || resolve::has_equality(ty) {
            return Ok(());
        }
        let message = format!("could not identify an equality operator for type {ty}");
        Err(place(DatabaseError::new("42883", message), position))
    }
}

/// An argument without the casts that nobody wrote.
fn as_written(argument: &Expr) -> &Expr {
    match &argument.kind {
        ExprKind::Cast {
            expr,
            context: CastContext::Implicit,
            ..
        } => as_written(expr),
        _ => argument,
    }
}

/// A sort key with PostgreSQL's default place for nulls.
pub fn sort_key(expr: Expr, item: &SortItem) -> SortKey {
    SortKey {
        expr,
        descending: item.descending,
        nulls_first: item.nulls_first.unwrap_or(item.descending),
    }
}
