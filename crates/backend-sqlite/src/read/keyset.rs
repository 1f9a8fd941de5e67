//! Pages that begin after a position in the order.
//!
//! Keys are compared under the collations that they are sorted by, as one row where that can be: SQLite begins such a
//! range in an index where it begins.

use std::ops::Range;

use mainstay_core::error::DatabaseError;
use mainstay_core::keyset::After;
use mainstay_core::plan::{OrderTarget, Position, Read};
use mainstay_core::types::Type;
use mainstay_sql::analyse;
use mainstay_sql::typed::{Expr, ExprKind, RteId};

use super::compile::Result;
use super::filter::{Builder, Subject};
use crate::emit::types::collation;
use crate::values::cast::Kind;

/// Where the read begins, if not at the beginning.
pub fn position(read: &Read) -> Option<&Position> {
    read.paging.as_ref().and_then(|paging| paging.after.as_ref())
}

/// Selects the order's keys after `selected` columns, for the position of the next page. Gives each one's type.
pub fn select_keys(builder: &mut Builder<'_>, read: &Read, rte: RteId) -> Result<Vec<Kind>> {
    if read.paging.is_none() {
        return Ok(Vec::new());
    }
    let mut kinds = Vec::with_capacity(read.order.len());
    for index in 0..read.order.len() {
        builder.sql(", ");
        let ty = key(builder, read, rte, index)?;
        kinds.push(Kind::of(&ty).ok_or_else(|| DatabaseError::unavailable(&format!("type {ty}"), "", 1, None))?);
    }
    Ok(kinds)
}

/// Writes the condition for rows after the position, if there is one.
pub fn after_position(builder: &mut Builder<'_>, read: &Read, rte: RteId, first: &mut bool) -> Result<()> {
    let Some(position) = position(read) else {
        return Ok(());
    };
    builder.sql(if *first { " WHERE " } else { " AND " });
    *first = false;
    Places { read, rte, position }.after(builder, &position.condition)
}

struct Places<'r> {
    read: &'r Read,
    rte: RteId,
    position: &'r Position,
}

impl Places<'_> {
    fn after(&self, builder: &mut Builder<'_>, condition: &After) -> Result<()> {
        match condition {
            After::Beyond {
                keys,
                descending,
                or_equal,
            } => {
                let operator = match (descending, or_equal) {
                    (false, false) => ">",
                    (false, true) => ">=",
                    (true, false) => "<",
                    (true, true) => "<=",
                };
                self.compared(builder, keys, operator)
            }
            After::Equal { keys } => self.compared(builder, keys, "="),
            After::IsNull(index) => self.is_null(builder, *index, " IS NULL)"),
            After::IsNotNull(index) => self.is_null(builder, *index, " IS NOT NULL)"),
            After::All(parts) => self.connected(builder, parts, " AND "),
            After::Any(parts) => self.connected(builder, parts, " OR "),
            After::Never => {
                builder.sql("0");
                Ok(())
            }
        }
    }

    fn connected(&self, builder: &mut Builder<'_>, parts: &[After], word: &'static str) -> Result<()> {
        builder.sql("(");
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                builder.sql(word);
            }
            self.after(builder, part)?;
        }
        builder.sql(")");
        Ok(())
    }

    fn is_null(&self, builder: &mut Builder<'_>, index: usize, test: &'static str) -> Result<()> {
        builder.sql("(");
        key(builder, self.read, self.rte, index)?;
        builder.sql(test);
        Ok(())
    }

    /// `((key, key) > (?, ?))`
    fn compared(&self, builder: &mut Builder<'_>, keys: &Range<usize>, operator: &'static str) -> Result<()> {
        let mut values = Vec::with_capacity(keys.len());
        builder.sql("((");
        for index in keys.clone() {
            if index > keys.start {
                builder.sql(", ");
            }
            let ty = key(builder, self.read, self.rte, index)?;
            if let Some(collation) = collation(&ty) {
                builder.sql(" COLLATE ").ident(&collation.name());
            }
            values.push(self.value(builder, index, ty, operator)?);
        }
        builder.sql(") ").sql(operator).sql(" (");
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                builder.sql(", ");
            }
            builder.expr(value)?;
        }
        builder.sql("))");
        Ok(())
    }

    /// The position's value of a key, in the type that the operator takes beside it.
    fn value(&self, builder: &mut Builder<'_>, index: usize, ty: Type, operator: &str) -> Result<Expr> {
        let value = self.position.values.get(index).copied().flatten();
        let value = value.ok_or_else(|| DatabaseError::new("XX000", "a position without a value"))?;
        let catalog = builder.emitter().catalog();
        let beside = Expr::new(ExprKind::Parameter(value), ty);
        let unknown = Expr::new(ExprKind::Parameter(value), Type::Unknown);
        let typed = analyse::operator(catalog, operator, beside, unknown)?;
        match typed.kind {
            ExprKind::Operator { mut arguments, .. } if arguments.len() == 2 => Ok(arguments.swap_remove(1)),
            _ => Err(DatabaseError::new("XX000", "a comparison that is none")),
        }
    }
}

/// Writes a key of the order.
fn key(builder: &mut Builder<'_>, read: &Read, rte: RteId, index: usize) -> Result<Type> {
    let order = read
        .order
        .get(index)
        .ok_or_else(|| DatabaseError::new("XX000", "a key that is not in the order"))?;
    match &order.target {
        OrderTarget::Field(field) => {
            let expr = builder.field(rte, &read.source.relation, field)?;
            builder.expr(&expr)?;
            Ok(expr.ty)
        }
        OrderTarget::Related { embed, field } => builder.related(Subject::of_read(read, rte), *embed, field),
    }
}
