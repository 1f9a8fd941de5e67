//! Expressions that the catalog keeps: defaults, checks, generated columns, index keys, policies.
//!
//! Each is analysed once when it is created, refused if PostgreSQL would refuse it, and kept as text whose names do not
//! depend on a search path.

use std::sync::Arc;

use mainstay_core::catalog::{ColumnIndex, Relation, Volatility};
use mainstay_core::error::DatabaseError;
use mainstay_core::types::{Type, TypeModifier};

use super::{Result, Run, spell, types, walk};
use crate::analyse::Analyser;
use crate::parse;
use crate::typed::{CastMethod, Expr, ExprKind};

/// Where an expression stands; it decides what is allowed in it and how refusals are worded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Check,
    Policy,
    IndexKey,
    IndexPredicate,
    Generated,
}

impl Place {
    /// In `argument of CHECK must be type boolean`.
    fn clause(self) -> &'static str {
        match self {
            Place::Check => "CHECK",
            Place::Policy => "POLICY",
            Place::IndexPredicate => "WHERE",
            Place::IndexKey | Place::Generated => "",
        }
    }

    /// In `cannot use subquery in …`.
    fn phrase(self) -> &'static str {
        match self {
            Place::Check => "check constraint",
            Place::Policy => "policy expression",
            Place::IndexKey => "index expression",
            Place::IndexPredicate => "index predicate",
            Place::Generated => "column generation expression",
        }
    }

    /// In `aggregate functions are not allowed in …`.
    fn plural(self) -> &'static str {
        match self {
            Place::Check => "check constraints",
            Place::Policy => "policy expressions",
            Place::IndexKey => "index expressions",
            Place::IndexPredicate => "index predicates",
            Place::Generated => "column generation expressions",
        }
    }
}

/// An expression that may be kept.
pub(super) struct Kept {
    /// With every name of a user's object given its schema.
    pub(super) text: String,
    pub(super) expr: Expr,
}

impl Kept {
    /// The columns of the relation that it names, each once, in order.
    pub(super) fn columns(&self) -> Vec<ColumnIndex> {
        let mut columns = Vec::new();
        walk::typed_expr(&self.expr, &mut |place| {
            if let walk::Typed::Expr(Expr {
                kind: ExprKind::Column { column, .. },
                ..
            }) = place
                && !columns.contains(column)
            {
                columns.push(*column);
            }
        });
        columns
    }
}

impl Run<'_> {
    /// Checks an expression over a relation's columns.
    pub(super) fn kept(&self, text: &str, over: &Arc<Relation>, place: Place) -> Result<Kept> {
        let text = spell::qualified_expression(self.catalog, &self.session.search_path, text)?;
        let mut analyser = Analyser::new(self.catalog, self.session);
        let analysed = analyser.expression(&text, Some(over), None);
        let expr = analysed.map_err(|error| misplaced(error, &text, place.plural()))?.expr;
        if place != Place::Policy && calls_routine(&expr) {
            let feature = format!("a function of one's own in a {}", place.phrase());
            return Err(self.refuse(&feature, &over.name.name, Some("the function's expression itself")));
        }
        if place != Place::Policy && has_subquery(&expr) {
            return Err(DatabaseError::new(
                "0A000",
                format!("cannot use subquery in {}", place.phrase()),
            ));
        }
        if matches!(place, Place::Check | Place::Policy | Place::IndexPredicate) {
            check_boolean(&expr, place.clause())?;
        }
        match place {
            Place::IndexKey | Place::IndexPredicate if volatility(&expr) != Volatility::Immutable => {
                let phrase = if place == Place::IndexKey {
                    "expression"
                } else {
                    "predicate"
                };
                return Err(DatabaseError::new(
                    "42P17",
                    format!("functions in index {phrase} must be marked IMMUTABLE"),
                ));
            }
            Place::Generated if volatility(&expr) != Volatility::Immutable => {
                return Err(DatabaseError::new("42P17", "generation expression is not immutable"));
            }
            Place::Check if volatility(&expr) != Volatility::Immutable => {
                let way = Some("a policy's WITH CHECK, or a plain column comparison");
                return Err(self.refuse("CHECK with a value that changes, such as now()", &over.name.name, way));
            }
            _ => {}
        }
        Ok(Kept { text, expr })
    }

    /// Checks a default against its column's type and gives its text.
    pub(super) fn kept_default(&self, text: &str, column: &str, ty: &Type, modifier: TypeModifier) -> Result<String> {
        let parsed = parse::expression(text)?;
        let mut names_column = false;
        walk::expression(&parsed, &mut |written| {
            names_column |= matches!(written, walk::Written::Column(..) | walk::Written::Star);
        });
        if names_column {
            return Err(DatabaseError::new(
                "0A000",
                "cannot use column reference in DEFAULT expression",
            ));
        }
        let text = spell::qualified_expression(self.catalog, &self.session.search_path, text)?;
        let expr = self.assignable(&text, None, column, ty, modifier)?;
        if has_subquery(&expr) {
            return Err(DatabaseError::new("0A000", "cannot use subquery in DEFAULT expression"));
        }
        Ok(text)
    }

    /// Checks a generated column's expression against its column's type and gives its text.
    pub(super) fn kept_generated(&self, text: &str, over: &Arc<Relation>, column: ColumnIndex) -> Result<String> {
        let kept = self.kept(text, over, Place::Generated)?;
        let target = &over.columns[column];
        for used in kept.columns() {
            if used == column || over.columns[used].generated.is_some() {
                let message = format!(
                    "cannot use generated column \"{}\" in column generation expression",
                    over.columns[used].name
                );
                return Err(DatabaseError::new("42P17", message)
                    .detail("A generated column cannot reference another generated column."));
            }
        }
        self.assignable(&kept.text, Some(over), &target.name, &target.ty, target.modifier)?;
        Ok(kept.text)
    }

    /// The expression that makes a column's new value of the row as it was (`ALTER COLUMN … TYPE … USING`).
    ///
    /// Errors: 42804 or 42846 where the type cannot be reached by assignment.
    pub(super) fn transformed(
        &self,
        text: &str,
        over: &Arc<Relation>,
        ty: &Type,
        modifier: TypeModifier,
    ) -> Result<Expr> {
        let mut analyser = Analyser::new(self.catalog, self.session);
        let expr = analyser
            .expression(text, Some(over), Some((ty, modifier)))
            .map_err(|error| misplaced(error, text, "transform expressions"))?
            .expr;
        if has_subquery(&expr) {
            return Err(DatabaseError::new(
                "0A000",
                "cannot use subquery in transform expression",
            ));
        }
        Ok(expr)
    }

    /// Analyses what is assigned to a column.
    ///
    /// Errors: 42804 `column "a" is of type integer but default expression is of type text`.
    fn assignable(
        &self,
        text: &str,
        over: Option<&Arc<Relation>>,
        column: &str,
        ty: &Type,
        modifier: TypeModifier,
    ) -> Result<Expr> {
        let mut analyser = Analyser::new(self.catalog, self.session);
        match analyser.expression(text, over, Some((ty, modifier))) {
            Ok(bound) => Ok(bound.expr),
            Err(error) if matches!(error.sqlstate.as_str(), "42804" | "42846") => {
                let given = analyser.expression(text, over, None).map_err(without_position)?.expr;
                Err(DatabaseError::new(
                    "42804",
                    format!(
                        "column \"{column}\" is of type {} but default expression is of type {}",
                        types::shown(ty, TypeModifier::None),
                        types::shown(&given.ty, given.modifier)
                    ),
                )
                .hint("You will need to rewrite or cast the expression."))
            }
            Err(error) => Err(misplaced(error, text, "DEFAULT expressions")),
        }
    }
}

/// A stored text is not the statement's: a position in it would point nowhere.
pub(super) fn without_position(mut error: DatabaseError) -> DatabaseError {
    error.position = None;
    error
}

/// What the file's schema computes by itself cannot run a routine's body.
fn calls_routine(expr: &Expr) -> bool {
    let mut found = false;
    walk::typed_expr(expr, &mut |place| {
        found |= matches!(place, walk::Typed::Expr(inner) if matches!(inner.kind, ExprKind::Routine(_)));
    });
    found
}

fn has_subquery(expr: &Expr) -> bool {
    let mut found = false;
    walk::typed_expr(expr, &mut |place| {
        // A routine's body is a query too, but not one that was written here.
        found |= matches!(place, walk::Typed::Subquery);
    });
    found
}

/// The analyser knows an expression by itself; where it stands decides how a misplaced aggregate is called.
fn misplaced(error: DatabaseError, text: &str, place: &str) -> DatabaseError {
    let what = match error.sqlstate.as_str() {
        "42803" => "aggregate functions",
        "42P20" => "window functions",
        _ => return without_position(error),
    };
    let mut in_query = false;
    if let Ok(parsed) = parse::expression(text) {
        walk::expression(&parsed, &mut |written| {
            in_query |= matches!(written, walk::Written::Item(_))
        });
    }
    if in_query {
        return without_position(error);
    }
    DatabaseError::new(&error.sqlstate, format!("{what} are not allowed in {place}"))
}

/// Errors: 42804 `argument of CHECK must be type boolean, not type integer`.
fn check_boolean(expr: &Expr, clause: &str) -> Result<()> {
    if matches!(expr.ty.base(), Type::Bool | Type::Unknown) {
        return Ok(());
    }
    let message = format!(
        "argument of {clause} must be type boolean, not type {}",
        types::shown(&expr.ty, TypeModifier::None)
    );
    Err(DatabaseError::new("42804", message))
}

/// The least stable part of an expression.
pub(super) fn volatility(expr: &Expr) -> Volatility {
    let rank = |volatility: Volatility| match volatility {
        Volatility::Immutable => 0_u8,
        Volatility::Stable => 1,
        Volatility::Volatile => 2,
    };
    let mut worst = Volatility::Immutable;
    walk::typed_expr(expr, &mut |place| {
        let walk::Typed::Expr(expr) = place else { return };
        let found = match &expr.kind {
            ExprKind::Function { function, .. } => function.volatility,
            ExprKind::Context(_) => Volatility::Stable,
            ExprKind::Sequence(_) => Volatility::Volatile,
            ExprKind::Routine(call) => call.routine.volatility,
            ExprKind::Run(run) => run.routine.volatility,
            ExprKind::Cast {
                expr: inner, method, ..
            } if depends_on_zone(&inner.ty, &expr.ty, *method) => Volatility::Stable,
            _ => Volatility::Immutable,
        };
        if rank(found) > rank(worst) {
            worst = found;
        }
    });
    worst
}

/// Casts that PostgreSQL marks STABLE: they depend on the time zone or the date style.
fn depends_on_zone(from: &Type, to: &Type, method: CastMethod) -> bool {
    let time = |ty: &Type| matches!(ty.base(), Type::Timestamptz | Type::Timestamp | Type::Date | Type::Time);
    let zoned = |ty: &Type| matches!(ty.base(), Type::Timestamptz);
    match method {
        CastMethod::InputOutput => time(from) || time(to),
        CastMethod::Function => time(from) && time(to) && zoned(from) != zoned(to),
        CastMethod::Relabel | CastMethod::ModifierOnly => false,
    }
}
