//! Pages that begin after a position in the order.

use std::ops::Range;

use mainstay_core::error::BackendError;
use mainstay_core::keyset::After;
use mainstay_core::plan::{Position, Read};

use super::Renderer;
use super::read::Scope;
use super::sql::{Param, Sql};

type Result<T> = std::result::Result<T, BackendError>;

/// Where the read begins, if not at the beginning.
pub(super) fn position(read: &Read) -> Option<&Position> {
    read.paging.as_ref().and_then(|paging| paging.after.as_ref())
}

impl Renderer {
    /// The order's keys as texts, for the position of the next page; nothing where no pages are asked for.
    pub(super) fn key_texts(&mut self, scope: Scope<'_>) -> Result<Sql> {
        let mut sql = Sql::default();
        if scope.read.paging.is_none() {
            return Ok(sql);
        }
        for (index, order) in scope.read.order.iter().enumerate() {
            if index > 0 {
                sql.push(", ");
            }
            sql.push("(");
            self.order_target(&mut sql, scope, &order.target)?;
            sql.push(")::pg_catalog.text");
        }
        Ok(sql)
    }

    /// The condition for rows after the position; nothing where there is none.
    pub(super) fn after_position(&mut self, scope: Scope<'_>) -> Result<Sql> {
        let mut sql = Sql::default();
        if let Some(position) = position(scope.read) {
            self.after(&mut sql, scope, position, &position.condition)?;
        }
        Ok(sql)
    }

    fn after(&mut self, sql: &mut Sql, scope: Scope<'_>, position: &Position, condition: &After) -> Result<()> {
        match condition {
            After::Beyond {
                keys,
                descending,
                or_equal,
            } => {
                let operator = match (descending, or_equal) {
                    (false, false) => " > ",
                    (false, true) => " >= ",
                    (true, false) => " < ",
                    (true, true) => " <= ",
                };
                self.compared_keys(sql, scope, position, keys, operator)
            }
            After::Equal { keys } => self.compared_keys(sql, scope, position, keys, " = "),
            After::IsNull(key) => {
                self.key(sql, scope, *key)?;
                sql.push(" IS NULL");
                Ok(())
            }
            After::IsNotNull(key) => {
                self.key(sql, scope, *key)?;
                sql.push(" IS NOT NULL");
                Ok(())
            }
            After::All(parts) => self.connected(sql, scope, position, parts, " AND "),
            After::Any(parts) => self.connected(sql, scope, position, parts, " OR "),
            After::Never => {
                sql.push("FALSE");
                Ok(())
            }
        }
    }

    fn connected(
        &mut self,
        sql: &mut Sql,
        scope: Scope<'_>,
        position: &Position,
        parts: &[After],
        word: &'static str,
    ) -> Result<()> {
        sql.push("(");
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                sql.push(word);
            }
            self.after(sql, scope, position, part)?;
        }
        sql.push(")");
        Ok(())
    }

    /// `(key, key) > ($1, $2)`. Each value takes the type of its key, and the comparison its collation.
    fn compared_keys(
        &mut self,
        sql: &mut Sql,
        scope: Scope<'_>,
        position: &Position,
        keys: &Range<usize>,
        operator: &'static str,
    ) -> Result<()> {
        sql.push("(");
        for (index, key) in keys.clone().enumerate() {
            if index > 0 {
                sql.push(", ");
            }
            self.key(sql, scope, key)?;
        }
        sql.push(")").push(operator).push("(");
        for (index, key) in keys.clone().enumerate() {
            if index > 0 {
                sql.push(", ");
            }
            let value = position.values.get(key).copied().flatten();
            let value = value.ok_or_else(|| BackendError::Internal(format!("no value for key {key} of an order")))?;
            sql.bind(Param::Value(value));
        }
        sql.push(")");
        Ok(())
    }

    fn key(&mut self, sql: &mut Sql, scope: Scope<'_>, key: usize) -> Result<()> {
        let order = scope
            .read
            .order
            .get(key)
            .ok_or_else(|| BackendError::Internal(format!("no key {key} in an order")))?;
        self.order_target(sql, scope, &order.target)
    }
}
