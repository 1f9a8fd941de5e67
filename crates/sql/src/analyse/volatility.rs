//! How much an expression may change from one evaluation to the next.

use mainstay_core::catalog::Volatility;
use mainstay_core::types::Type;

use super::kinds::Arg;
use crate::typed::{Expr, ExprKind};
use crate::walk;

/// The most volatile part of an expression. Casts between time types and text depend on settings: stable.
pub fn volatility(expr: &Expr) -> Volatility {
    let mut found = Volatility::Immutable;
    walk::expr(expr, &mut |inner| {
        let part = match &inner.kind {
            ExprKind::Function { function, .. } => function.volatility,
            ExprKind::Routine(call) => call.routine.volatility,
            ExprKind::Run(run) => run.routine.volatility,
            // `text @@ …` reads the text by the configuration that is set.
            ExprKind::Operator { operator, .. } if operator.name == "@@" && operator.left == Some(Arg::Text) => {
                Volatility::Stable
            }
            ExprKind::Sequence(_) => Volatility::Volatile,
            ExprKind::Context(_) => Volatility::Stable,
            ExprKind::Cast { expr, .. } if is_zone_dependent(&expr.ty, &inner.ty) => Volatility::Stable,
            ExprKind::Exists(_)
            | ExprKind::ScalarSubquery(_)
            | ExprKind::ArraySubquery(_)
            | ExprKind::QuantifiedSubquery { .. } => Volatility::Stable,
            _ => Volatility::Immutable,
        };
        if rank(part) > rank(found) {
            found = part;
        }
        true
    });
    found
}

fn is_zone_dependent(from: &Type, to: &Type) -> bool {
    let zoned = |ty: &Type| matches!(ty.base(), Type::Timestamptz);
    // `time_out` alone is immutable.
    let timed = |ty: &Type| matches!(ty.base(), Type::Timestamp | Type::Date | Type::Interval);
    let read_timed = |ty: &Type| timed(ty) || matches!(ty.base(), Type::Time);
    zoned(from) != zoned(to) || (timed(from) && to.is_textual()) || (from.is_textual() && read_timed(to))
}

fn rank(volatility: Volatility) -> u8 {
    match volatility {
        Volatility::Immutable => 0,
        Volatility::Stable => 1,
        Volatility::Volatile => 2,
    }
}
