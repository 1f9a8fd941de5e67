//! Operators and comparisons, by the order and equality of their types.

use mainstay_core::error::DatabaseError;
use mainstay_core::types::Type;
use mainstay_sql::analyse::kinds::Implementation;
use mainstay_sql::typed::{Expr, ExprKind, LikeKind, Literal, OperatorEntry};

use super::binds::Bind;
use super::emitter::{Emitter, Parameters, Result};
use super::types;

impl Emitter<'_> {
    /// An expression with the collation by which its type is told apart.
    pub(crate) fn compared(&mut self, expr: &Expr) -> Result<()> {
        types::check_compared(&expr.ty)?;
        self.expr(expr)?;
        if let Some(collation) = types::collation(&expr.ty).filter(types::Collation::changes_equality) {
            self.sql(" COLLATE ").writer.ident(&collation.name());
        }
        Ok(())
    }

    /// An expression with the collation by which its type is ordered.
    pub(super) fn ordered(&mut self, expr: &Expr) -> Result<()> {
        types::check_ordered(&expr.ty)?;
        self.expr(expr)?;
        if let Some(collation) = types::collation(&expr.ty) {
            self.sql(" COLLATE ").writer.ident(&collation.name());
        }
        Ok(())
    }

    pub(super) fn operator(&mut self, operator: &'static OperatorEntry, arguments: &[Expr]) -> Result<()> {
        match (operator.implementation, arguments) {
            (Implementation::Compare, [left, right]) => self.compare(operator.name, left, right),
            (Implementation::Native(name), [left, right]) => {
                self.sql("(");
                self.expr(left)?;
                self.sql(" ").sql(name).sql(" ");
                self.expr(right)?;
                self.sql(")");
                Ok(())
            }
            (Implementation::Native(name), [only]) if !name.starts_with(char::is_alphabetic) => {
                self.sql("(").sql(name).sql(" ");
                self.expr(only)?;
                self.sql(")");
                Ok(())
            }
            (Implementation::Engine, _) => self.engine_operator(operator, arguments),
            (Implementation::Elements(library), [_, _]) => {
                let slots = [operator.left.unwrap_or(operator.right), operator.right];
                self.elements_call(library, &slots, arguments, false)
            }
            (Implementation::ElementsByType(library), [_, _]) => {
                let slots = [operator.left.unwrap_or(operator.right), operator.right];
                self.elements_call(library, &slots, arguments, true)
            }
            (implementation, _) => self.implementation(operator.name, implementation, arguments),
        }
    }

    /// `= <> < <= > >=`.
    pub(super) fn compare(&mut self, name: &'static str, left: &Expr, right: &Expr) -> Result<()> {
        let equality = matches!(name, "=" | "<>");
        if let Type::Array(element) = left.ty.base()
            && *element.base() == Type::Json
        {
            let what = if equality {
                "an equality operator"
            } else {
                "a comparison function"
            };
            let message = format!("could not identify {what} for type json");
            return Err(DatabaseError::new("42883", message));
        }
        if equality && let Some(pairs) = self.pairs(left, right)? {
            self.sql(if name == "=" { "(" } else { "(NOT " });
            self.same_fields(&pairs)?;
            self.sql(")");
            return Ok(());
        }
        self.sql("(");
        if equality {
            self.compared(left)?;
        } else {
            self.ordered(left)?;
        }
        self.sql(" ").sql(name).sql(" ");
        self.expr(right)?;
        self.sql(")");
        Ok(())
    }

    /// `left IS right` in the arguments' order.
    pub(super) fn same(
        &mut self,
        operator: &OperatorEntry,
        left: &Expr,
        right: &Expr,
        word: &'static str,
    ) -> Result<()> {
        if operator.implementation != Implementation::Compare {
            return Err(unavailable_operator(operator.name));
        }
        if let Some(pairs) = self.pairs(left, right)? {
            self.sql(if word == " IS " { "(" } else { "(NOT " });
            self.same_fields(&pairs)?;
            self.sql(")");
            return Ok(());
        }
        self.sql("(");
        self.compared(left)?;
        self.sql(word);
        self.expr(right)?;
        self.sql(")");
        Ok(())
    }

    /// The fields of two rows side by side; `None` if one is not known by its fields.
    ///
    /// Errors: 0A000 for rows that PostgreSQL would not compare, or that an outer join may leave out.
    fn pairs<'e>(&self, left: &'e Expr, right: &'e Expr) -> Result<Option<Vec<(&'e Expr, &'e Expr)>>> {
        let (
            ExprKind::Row { fields: left, rte, .. },
            ExprKind::Row {
                fields: right,
                rte: other,
                ..
            },
        ) = (&left.kind, &right.kind)
        else {
            return Ok(None);
        };
        let alike = left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.ty == right.ty);
        let absent = [rte, other]
            .into_iter()
            .flatten()
            .any(|rte| self.scope.nullable.contains(rte));
        match alike && !absent {
            true => Ok(Some(left.iter().zip(right).collect())),
            false => {
                let feature = match absent {
                    true => "comparing the whole row of an outer join's entry",
                    false => "comparing rows whose columns differ",
                };
                Err(DatabaseError::unavailable(
                    feature,
                    "",
                    1,
                    Some("compare their columns"),
                ))
            }
        }
    }

    /// Rows are the same if their fields are; two nulls are.
    fn same_fields(&mut self, pairs: &[(&Expr, &Expr)]) -> Result<()> {
        self.sql("(1");
        for (left, right) in pairs {
            self.sql(" AND (");
            self.compared(left)?;
            self.sql(" IS ");
            self.expr(right)?;
            self.sql(")");
        }
        self.sql(")");
        Ok(())
    }

    pub(super) fn is_null(&mut self, inner: &Expr, negated: bool) -> Result<()> {
        let word = if negated { " IS NOT NULL" } else { " IS NULL" };
        self.sql("(");
        match &inner.kind {
            // A row without fields is both.
            ExprKind::Row { fields, .. } if fields.is_empty() => {
                self.sql("1");
            }
            ExprKind::Row { fields, .. } => {
                for (index, field) in fields.iter().enumerate() {
                    if index > 0 {
                        self.sql(" AND ");
                    }
                    self.expr(field)?;
                    self.sql(word);
                }
            }
            _ if matches!(inner.ty.base(), Type::Record | Type::Composite(_)) && !inner.is_null_literal() => {
                return Err(DatabaseError::unavailable(
                    "IS NULL of a row that a subquery gives",
                    "",
                    1,
                    Some("the test inside the subquery"),
                ));
            }
            _ => {
                self.expr(inner)?;
                self.sql(word);
            }
        }
        self.sql(")");
        Ok(())
    }

    /// GREATEST and LEAST, which pass over nulls.
    pub(super) fn extreme(&mut self, parts: &[Expr], native: &'static str, numeric: &'static str) -> Result<()> {
        match parts.first().map(|part| part.ty.base()) {
            Some(Type::Numeric) => self.call(numeric, parts),
            Some(Type::Interval) => {
                let name = if native == "pg_fn_least" {
                    "pg_fn_least_interval"
                } else {
                    "pg_fn_greatest_interval"
                };
                self.call(name, parts)
            }
            Some(Type::Enum(_) | Type::Jsonb | Type::Citext | Type::Array(_)) => Err(DatabaseError::unavailable(
                "GREATEST and LEAST of this type",
                "",
                1,
                Some("use CASE"),
            )),
            _ => self.call(native, parts),
        }
    }

    /// LIKE and its kin. A constant prefix also becomes a range, so that an index is used.
    pub(super) fn like(
        &mut self,
        kind: LikeKind,
        inner: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
        negated: bool,
    ) -> Result<()> {
        let name = match kind {
            LikeKind::Like => "pg_text_like(",
            LikeKind::Ilike => "pg_text_ilike(",
            LikeKind::Similar => "pg_text_similar(",
        };
        let is_column = matches!(inner.kind, ExprKind::Column { .. });
        let ranged = kind == LikeKind::Like && !negated && escape.is_none() && is_column && !self.for_schema;
        self.sql(if negated { "(NOT " } else { "(" });
        if ranged {
            match &pattern.kind {
                ExprKind::Literal(Literal::Text(text)) => {
                    let (low, high) = prefix_range(text);
                    if let (Some(high), false) = (high, low.is_empty()) {
                        self.expr(inner)?;
                        self.sql(" >= ").writer.literal(&low);
                        self.sql(" AND ");
                        self.expr(inner)?;
                        self.sql(" < ").writer.literal(&high);
                        self.sql(" AND ");
                    }
                }
                ExprKind::Parameter(index) if matches!(self.parameters, Parameters::Request) => {
                    let index = *index;
                    self.expr(inner)?;
                    self.sql(" >= ");
                    self.bind(Bind::PrefixLow(index))?;
                    self.sql(" AND ");
                    self.expr(inner)?;
                    self.sql(" < ");
                    self.bind(Bind::PrefixHigh(index))?;
                    self.sql(" AND ");
                }
                _ => {}
            }
        }
        self.sql(name);
        self.expr(inner)?;
        self.sql(", ");
        self.expr(pattern)?;
        if let Some(escape) = escape {
            self.sql(", ");
            self.expr(escape)?;
        }
        self.sql("))");
        Ok(())
    }
}

/// 0A000 for an operator without a form here.
pub(super) fn unavailable_operator(name: &str) -> DatabaseError {
    DatabaseError::unavailable(&format!("operator {name} for this type"), "", 1, None)
}

/// The texts that match a LIKE pattern lie between its prefix and the prefix's successor, which may not exist.
pub fn prefix_range(pattern: &str) -> (String, Option<String>) {
    let mut prefix = String::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '%' | '_' => break,
            '\\' => match characters.next() {
                Some(escaped) => prefix.push(escaped),
                None => break,
            },
            other => prefix.push(other),
        }
    }
    let mut high: Vec<char> = prefix.chars().collect();
    while let Some(last) = high.pop() {
        let next = match last {
            '\u{D7FF}' => Some('\u{E000}'),
            other => char::from_u32(other as u32 + 1),
        };
        if let Some(next) = next {
            high.push(next);
            return (prefix, Some(high.into_iter().collect()));
        }
    }
    (prefix, None)
}
