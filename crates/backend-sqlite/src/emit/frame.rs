//! Frames of windows.
//!
//! SQLite takes constants and placeholders as offsets and nothing else.
//!
//! Source: PostgreSQL 15 manual, 4.2.8; errors as the server words them.

use mainstay_core::error::DatabaseError;
use mainstay_core::types::Type;
use mainstay_sql::ast::{FrameExclusion, FrameMode};
use mainstay_sql::typed::{Expr, ExprKind, Frame, FrameBound, Literal, SortKey};

use super::emitter::{Emitter, Result};

impl Emitter<'_> {
    /// Writes a frame over windows in this order. Errors: 22013, 22004, 0A000.
    pub(super) fn frame(&mut self, frame: &Frame, order: &[SortKey]) -> Result<()> {
        let offset = |bound: &FrameBound| matches!(bound, FrameBound::Preceding(_) | FrameBound::Following(_));
        if frame.mode == FrameMode::Range && (offset(&frame.start) || offset(&frame.end)) {
            let native = order.first().is_some_and(|key| {
                matches!(
                    key.expr.ty.base(),
                    Type::Int2 | Type::Int4 | Type::Int8 | Type::Float4 | Type::Float8
                )
            });
            if !native {
                return Err(DatabaseError::unavailable(
                    "RANGE with an offset over this type",
                    "",
                    1,
                    Some("ROWS or GROUPS"),
                ));
            }
        }
        self.sql(match frame.mode {
            FrameMode::Range => "RANGE BETWEEN ",
            FrameMode::Rows => "ROWS BETWEEN ",
            FrameMode::Groups => "GROUPS BETWEEN ",
        });
        self.frame_bound(&frame.start, frame.mode, "starting")?;
        self.sql(" AND ");
        self.frame_bound(&frame.end, frame.mode, "ending")?;
        self.sql(match frame.exclusion {
            FrameExclusion::None => "",
            FrameExclusion::CurrentRow => " EXCLUDE CURRENT ROW",
            FrameExclusion::Group => " EXCLUDE GROUP",
            FrameExclusion::Ties => " EXCLUDE TIES",
        });
        Ok(())
    }

    fn frame_bound(&mut self, bound: &FrameBound, mode: FrameMode, which: &str) -> Result<()> {
        let (offset, word) = match bound {
            FrameBound::UnboundedPreceding => {
                self.sql("UNBOUNDED PRECEDING");
                return Ok(());
            }
            FrameBound::CurrentRow => {
                self.sql("CURRENT ROW");
                return Ok(());
            }
            FrameBound::UnboundedFollowing => {
                self.sql("UNBOUNDED FOLLOWING");
                return Ok(());
            }
            FrameBound::Preceding(offset) => (offset, " PRECEDING"),
            FrameBound::Following(offset) => (offset, " FOLLOWING"),
        };
        self.frame_offset(offset, mode, which)?;
        self.sql(word);
        Ok(())
    }

    fn frame_offset(&mut self, offset: &Expr, mode: FrameMode, which: &str) -> Result<()> {
        let offset = uncast(offset);
        let negative = match &offset.kind {
            ExprKind::Literal(Literal::Null) => {
                let message = format!("frame {which} offset must not be null");
                return Err(DatabaseError::new("22004", message));
            }
            ExprKind::Literal(Literal::Integer(value)) => *value < 0,
            ExprKind::Literal(Literal::Float(value)) => *value < 0.0,
            ExprKind::Parameter(_) => false,
            _ => {
                let way = Some("a constant");
                return Err(DatabaseError::unavailable(
                    "a computed offset of a window's frame",
                    "",
                    1,
                    way,
                ));
            }
        };
        match (negative, mode) {
            (false, _) => self.expr(offset),
            (true, FrameMode::Range) => {
                let message = "invalid preceding or following size in window function";
                Err(DatabaseError::new("22013", message))
            }
            (true, _) => {
                let message = format!("frame {which} offset must not be negative");
                Err(DatabaseError::new("22013", message))
            }
        }
    }
}

/// A whole number whatever integer type it was cast to.
fn uncast(expr: &Expr) -> &Expr {
    match &expr.kind {
        ExprKind::Cast { expr: inner, .. } if expr.ty.is_integer() && inner.ty.is_integer() => uncast(inner),
        _ => expr,
    }
}
