//! Subqueries as values and conditions, and routines' bodies in place of their calls.

use mainstay_core::catalog::{Routine, Volatility};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use mainstay_core::types::Type;
use mainstay_sql::typed::{Expr, ExprKind, OperatorEntry, Query, RoutineCall, RoutineRun, RteId, Statement};

use super::binds::Bind;
use super::emitter::{Emitter, Result, Rte};
use super::privileges::Uses;
use super::query::Names;
use super::{shape, walk};

/// Stands for the derived table of a quantified comparison while that is written.
const SUBQUERY: RteId = RteId(u32::MAX);

impl Emitter<'_> {
    /// `left op ANY|ALL (query)`.
    pub(super) fn quantified_subquery(
        &mut self,
        operators: &[&'static OperatorEntry],
        all: bool,
        left: &[Expr],
        query: &Query,
        negated: bool,
    ) -> Result<()> {
        let membership = !all && operators.iter().all(|operator| operator.name == "=");
        if membership {
            self.sql("(");
            if left.len() > 1 {
                self.sql("(");
            }
            for (index, part) in left.iter().enumerate() {
                if index > 0 {
                    self.sql(", ");
                }
                self.compared(part)?;
            }
            if left.len() > 1 {
                self.sql(")");
            }
            self.sql(if negated { " NOT IN (" } else { " IN (" });
            self.query(query, Names::Numbered)?;
            self.sql("))");
            return Ok(());
        }
        let ([operator], [left]) = (operators, left) else {
            return Err(DatabaseError::unavailable(
                "a row compared with ANY or ALL",
                "",
                1,
                Some("use EXISTS"),
            ));
        };
        // Three-valued: one decisive row decides, else one unknown makes it unknown.
        let alias = self.fresh_alias();
        let (decisive, otherwise) = if all {
            ("min(t) = 0 THEN 0", "1")
        } else {
            ("max(t) = 1 THEN 1", "0")
        };
        self.sql(if negated { "(NOT (" } else { "((" });
        self.sql("SELECT CASE WHEN ")
            .sql(decisive)
            .sql(" WHEN count(*) > count(t) THEN NULL ELSE ")
            .sql(otherwise);
        self.sql(" END FROM (SELECT ");
        let right = Expr::new(
            ExprKind::Column {
                rte: SUBQUERY,
                column: 0,
            },
            query.columns[0].ty.clone(),
        );
        let hidden = self.scope.rtes.insert(SUBQUERY, Rte::Numbered { alias });
        self.operator(operator, &[left.clone(), right])?;
        match hidden {
            Some(entry) => self.scope.rtes.insert(SUBQUERY, entry),
            None => self.scope.rtes.remove(&SUBQUERY),
        };
        self.sql(" AS t FROM (");
        self.query(query, Names::Numbered)?;
        self.sql(") AS ").alias(alias).sql(")))");
        Ok(())
    }

    /// `(SELECT …)` as a value: 21000 on a second row, unless there can be none.
    pub(super) fn scalar_subquery(&mut self, query: &Query) -> Result<()> {
        // `(SELECT auth.uid())` is `auth.uid()`.
        if let Some(value) = shape::lone_value(query) {
            return self.expr(value);
        }
        if shape::at_most_one_row(query) {
            self.sql("(");
            self.query(query, Names::Numbered)?;
            self.sql(")");
            return Ok(());
        }
        self.sql("(SELECT pg_one(count(*), c1) FROM (");
        self.query(query, Names::Numbered)?;
        self.sql("))");
        Ok(())
    }

    /// A routine's body in place of its call: the first row's value.
    pub(super) fn routine(&mut self, call: &RoutineCall) -> Result<()> {
        self.check_execute(&call.routine)?;
        self.sql("(");
        self.inside_routine(call, |emitter| {
            // What a function without a result selects is not its value.
            emitter.sql(match call.routine.returns.ty {
                Type::Void => "SELECT NULL FROM (",
                _ => "SELECT c1 FROM (",
            });
            emitter.query(&call.body, Names::Numbered)?;
            emitter.sql(") LIMIT 1");
            Ok(())
        })?;
        self.sql(")");
        Ok(())
    }

    /// A call of a scalar routine that is run.
    pub(super) fn run(&mut self, run: &RoutineRun) -> Result<()> {
        self.check_execute(&run.routine)?;
        // What cannot change from row to row is run once: SQLite keeps the value of a subquery that asks of no row.
        let once = run.routine.volatility != Volatility::Volatile && !names_columns(&run.arguments);
        self.sql(if once { "(SELECT " } else { "" });
        self.run_call("pg_call(", &run.routine, &run.arguments)?;
        self.sql(if once { ")" } else { "" });
        Ok(())
    }

    /// The rows of a routine in place of its call, with these column names.
    pub fn routine_rows_as(&mut self, call: &RoutineCall, names: &[Ident]) -> Result<()> {
        self.check_execute(&call.routine)?;
        self.sql("(");
        self.inside_routine(call, |emitter| emitter.query(&call.body, Names::Given(names)))?;
        self.sql(")");
        Ok(())
    }

    /// A call in FROM of a routine that is run: its rows as `json_each` gives them.
    pub(super) fn run_rows(&mut self, run: &RoutineRun) -> Result<()> {
        self.check_execute(&run.routine)?;
        // Once for the statement, wherever the join puts it.
        let once = !names_columns(&run.arguments);
        self.sql(if once { "json_each((SELECT " } else { "json_each(" });
        self.run_call("pg_call_rows(", &run.routine, &run.arguments)?;
        self.sql(if once { ")) AS " } else { ") AS " });
        Ok(())
    }

    fn run_call(&mut self, function: &'static str, routine: &Routine, arguments: &[Expr]) -> Result<()> {
        if self.for_schema {
            return Err(DatabaseError::unavailable(
                "a function of more than one query in a check, an index or a generated column",
                &routine.name.to_string(),
                1,
                Some("a function of one SELECT"),
            ));
        }
        self.sql(function);
        self.bind(Bind::Routine(routine.id))?;
        let user = self.user.clone();
        self.sql(", ").writer.literal(&user);
        self.sql(if self.definer { ", 1" } else { ", 0" });
        for argument in arguments {
            self.sql(", ");
            self.expr(argument)?;
        }
        self.sql(")");
        Ok(())
    }

    /// The arguments stand in the body, where the owner's rights hold; tables that they read would be read with these.
    pub(super) fn refuse_argument_subqueries(&self, call: &RoutineCall) -> Result<()> {
        let in_call = walk::relations(|visitor| walk::query(visitor, &call.body));
        let in_body = match self.compiled.routine(&call.routine)?.as_slice() {
            [Statement::Query(query)] => walk::relations(|visitor| walk::query(visitor, query)),
            _ => 0,
        };
        if in_call <= in_body {
            return Ok(());
        }
        Err(DatabaseError::unavailable(
            "a subquery as an argument of a SECURITY DEFINER function",
            &call.routine.name.to_string(),
            1,
            Some("a join"),
        ))
    }

    /// Writes a body under the rights that hold inside it, and checks what it uses.
    pub(super) fn inside_routine<T>(
        &mut self,
        call: &RoutineCall,
        write: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let uses = Uses::of(|visitor| walk::query(visitor, &call.body));
        if !call.routine.security_definer {
            // Inside a view too: it lends its owner's rights to its tables, not to its functions.
            let user = self.user.clone();
            return self.under(&user, |emitter| {
                emitter.check_uses(&uses)?;
                write(emitter)
            });
        }
        self.refuse_argument_subqueries(call)?;
        let owner = call.routine.owner.clone();
        let outer = (
            std::mem::replace(&mut self.user, owner.clone()),
            std::mem::replace(&mut self.definer, true),
        );
        let written = self.under(&owner, |emitter| {
            emitter.check_uses(&uses)?;
            write(emitter)
        });
        (self.user, self.definer) = outer;
        written
    }
}

/// True if a row decides the arguments.
pub(super) fn names_columns(arguments: &[Expr]) -> bool {
    struct Found(bool);
    impl walk::Visitor for Found {
        fn expr(&mut self, expr: &Expr) {
            self.0 |= matches!(expr.kind, ExprKind::Column { .. });
        }
    }
    let mut found = Found(false);
    for argument in arguments {
        walk::expr(&mut found, argument);
    }
    found.0
}
