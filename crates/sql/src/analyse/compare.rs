//! Comparisons of every form: rows, lists, arrays, ranges, patterns, subqueries.
//!
//! Lives here: the forms that become several comparisons, or one over many values. Not here: single operators (`expr`,
//! `resolve`).

use mainstay_core::error::DatabaseError;
use mainstay_core::types::{Type, TypeModifier};

use super::Result;
use super::coerce::{self, common_type, place, to_common, to_type};
use super::expr::literal_expr;
use super::kinds::Arg;
use super::literal;
use super::resolve;
use super::scope::State;
use crate::ast;
use crate::ast::ExprKind as Written;
use crate::typed::{CastContext, Expr, ExprKind, LikeKind, Literal, OperatorEntry};

impl State<'_> {
    pub(super) fn row_comparison(
        &mut self,
        name: &str,
        left: &[ast::Expr],
        right: &[ast::Expr],
        position: u32,
    ) -> Result<Expr> {
        let (left, right) = (self.fields(left)?, self.fields(right)?);
        self.compare_rows(name, left, right, position)
    }

    /// `(a, b) op (c, d)` as conditions on the fields.
    fn compare_rows(&mut self, name: &str, left: Vec<Expr>, right: Vec<Expr>, position: u32) -> Result<Expr> {
        if left.len() != right.len() {
            let error = DatabaseError::new("42601", "unequal number of entries in row expressions");
            return Err(place(error, position));
        }
        if left.is_empty() {
            return Err(place(
                DatabaseError::new("0A000", "cannot compare rows of zero length"),
                position,
            ));
        }
        let boolean = |kind| Expr::new(kind, Type::Bool).at(position);
        let pairs: Vec<(Expr, Expr)> = left.into_iter().zip(right).collect();
        match name {
            "=" | "<>" => {
                let mut parts = Vec::with_capacity(pairs.len());
                for (left, right) in pairs {
                    parts.push(self.apply(name, Some(left), right, position)?);
                }
                Ok(match (parts.len(), name) {
                    (1, _) => parts.remove(0),
                    (_, "=") => boolean(ExprKind::And(parts)),
                    _ => boolean(ExprKind::Or(parts)),
                })
            }
            "<" | "<=" | ">" | ">=" => {
                // a < c, or a = c and (b < d …): built from the last field back.
                let strict = &name[..1];
                let mut built: Option<Expr> = None;
                for (left, right) in pairs.into_iter().rev() {
                    built = Some(match built {
                        None => self.apply(name, Some(left), right, position)?,
                        Some(rest) => {
                            let first = self.apply(strict, Some(left.clone()), right.clone(), position)?;
                            let equal = self.apply("=", Some(left), right, position)?;
                            boolean(ExprKind::Or(vec![first, boolean(ExprKind::And(vec![equal, rest]))]))
                        }
                    });
                }
                built.ok_or_else(|| DatabaseError::new("XX000", "a row lost its fields"))
            }
            _ if super::operators::REFUSED.contains(&name)
                || super::server::has_operator(name, Some(&Type::Text), &Type::Text) =>
            {
                Err(self.refuse(&format!("rows compared by {name}"), "", Some("< or >"), position))
            }
            _ => {
                let message = format!("could not determine interpretation of row comparison operator {name}");
                let hint = "Row comparison operators must be associated with btree operator families.";
                Err(place(DatabaseError::new("0A000", message).hint(hint), position))
            }
        }
    }

    pub(super) fn distinct_from(
        &mut self,
        left: &ast::Expr,
        right: &ast::Expr,
        negated: bool,
        position: u32,
    ) -> Result<Expr> {
        if let (Written::Row(left), Written::Row(right)) = (&left.kind, &right.kind) {
            let (left, right) = (self.fields(left)?, self.fields(right)?);
            if left.len() != right.len() {
                let error = DatabaseError::new("42601", "unequal number of entries in row expressions");
                return Err(place(error, position));
            }
            let mut parts = Vec::with_capacity(left.len());
            for (left, right) in left.into_iter().zip(right) {
                parts.push(self.distinct_pair(left, right, negated, position)?);
            }
            let kind = if negated {
                ExprKind::And(parts)
            } else {
                ExprKind::Or(parts)
            };
            return Ok(Expr::new(kind, Type::Bool));
        }
        let (left, right) = (self.expr(left)?, self.expr(right)?);
        self.distinct_pair(left, right, negated, position)
    }

    fn distinct_pair(&mut self, left: Expr, right: Expr, negated: bool, position: u32) -> Result<Expr> {
        // A null constant on either side is a test for null.
        if left.is_null_literal() || right.is_null_literal() {
            let tested = if right.is_null_literal() { left } else { right };
            let tested = self.settle(tested)?;
            return Ok(Expr::new(
                ExprKind::IsNull {
                    expr: Box::new(tested),
                    negated: !negated,
                },
                Type::Bool,
            ));
        }
        let (operator, left, right) = self.equality("=", left, right, position)?;
        let kind = ExprKind::DistinctFrom {
            operator,
            left: Box::new(left),
            right: Box::new(right),
            negated,
        };
        Ok(Expr::new(kind, Type::Bool))
    }

    pub(super) fn in_list(
        &mut self,
        written: &ast::Expr,
        list: &[ast::Expr],
        negated: bool,
        position: u32,
    ) -> Result<Expr> {
        let name = if negated { "<>" } else { "=" };
        if let Written::Row(left) = &written.kind {
            let mut parts = Vec::with_capacity(list.len());
            for item in list {
                let Written::Row(right) = &item.kind else {
                    let error = DatabaseError::new("42601", "unequal number of entries in row expressions");
                    return Err(place(error, position));
                };
                parts.push(self.row_comparison(name, left, right, position)?);
            }
            return Ok(combine(parts, negated, position));
        }
        let expr = self.expr(written)?;
        let mut constants = Vec::new();
        let mut others = Vec::new();
        for item in list {
            let item = self.operand(item)?;
            if has_columns(&item) {
                others.push(item)
            } else {
                constants.push(item)
            }
        }
        let mut parts = Vec::new();
        // Several constants have one type with the left side, if there is one; else each stands for itself.
        let all: Vec<&Expr> = std::iter::once(&expr).chain(&constants).collect();
        let common = if constants.len() > 1 {
            common_type(&all, "IN").ok()
        } else {
            None
        };
        match common.filter(|ty| !matches!(ty, Type::Record)) {
            Some(ty) => {
                let mut items = Vec::with_capacity(constants.len());
                for item in constants {
                    self.note_parameter(&item, &ty);
                    items.push(to_common(self.catalog, item, &ty, "IN")?);
                }
                parts.push(self.list_test(name, expr.clone(), items, negated, position)?);
            }
            None => others.splice(0..0, constants).for_each(drop),
        }
        for item in others {
            parts.push(self.apply(name, Some(expr.clone()), item, position)?);
        }
        Ok(combine(parts, negated, position))
    }

    /// `expr IN (items)`, the items having one type.
    fn list_test(&mut self, name: &str, expr: Expr, items: Vec<Expr>, negated: bool, position: u32) -> Result<Expr> {
        let Some(first) = items.first() else {
            return Ok(literal_expr(Literal::Bool(negated), Type::Bool));
        };
        self.equality(name, expr.clone(), first.clone(), position)?;
        let mut found: Option<(&'static OperatorEntry, Expr)> = None;
        let mut list = Vec::with_capacity(items.len());
        for item in items {
            let (operator, left, item) = self.equality("=", expr.clone(), item, position)?;
            found.get_or_insert((operator, left));
            list.push(item);
        }
        let Some((operator, left)) = found else {
            return Err(DatabaseError::new("XX000", "an empty list"));
        };
        let kind = ExprKind::InList {
            operator,
            expr: Box::new(left),
            list,
            negated,
        };
        Ok(Expr::new(kind, Type::Bool).at(position))
    }

    pub(super) fn quantified_array(
        &mut self,
        name: &str,
        all: bool,
        left: &ast::Expr,
        right: &ast::Expr,
        position: u32,
    ) -> Result<Expr> {
        let left = self.expr(left)?;
        let array = self.expr(right)?;
        // `unknown` here is array text of the left side's type.
        let array = match &array.ty {
            Type::Unknown => {
                let element = match left.ty.base() {
                    Type::Unknown => Type::Text,
                    own => match resolve::find_operator(name, Some(own), own) {
                        Ok(_) => own.clone(),
                        // The operator has another type on its right side: `tsvector @@ tsquery`.
                        Err(_) => {
                            let open = Expr::new(ExprKind::Literal(Literal::Null), Type::Unknown);
                            let (_, _, right) = self.equality(name, left.clone(), open, position)?;
                            right.ty.base().clone()
                        }
                    },
                };
                let ty = Type::Array(Box::new(element));
                self.note_parameter(&array, &ty);
                coerce::cast(self.catalog, array, &ty, TypeModifier::None, CastContext::Implicit)?
            }
            _ => array,
        };
        let Type::Array(element) = array.ty.base().clone() else {
            let error = DatabaseError::new("42809", "op ANY/ALL (array) requires array on right side");
            return Err(place(error, position));
        };
        let elements = match &array.kind {
            ExprKind::Array(elements) => Some(elements.clone()),
            ExprKind::Literal(Literal::Text(text)) => {
                let mut elements = Vec::new();
                for item in literal::array(text).map_err(|error| place(error, array.position))? {
                    let value = match item {
                        Some(text) => literal::input(self.catalog, &text, &element)
                            .map_err(|error| place(error, array.position))?,
                        None => Literal::Null,
                    };
                    elements.push(literal_expr(value, (*element).clone()));
                }
                Some(elements)
            }
            _ => None,
        };
        let stand_in = Expr::new(ExprKind::Literal(Literal::Null), (*element).clone());
        let (operator, converted, right) = self.equality(name, left.clone(), stand_in, position)?;
        if operator.result != Arg::Bool {
            let error = DatabaseError::new("42809", "op ANY/ALL (array) requires operator to yield boolean");
            return Err(place(error, position));
        }
        let Some(elements) = elements else {
            let left = converted;
            let array = match *right.ty.base() == *element.base() {
                true => array,
                false => {
                    let ty = Type::Array(Box::new(right.ty));
                    coerce::cast(self.catalog, array, &ty, TypeModifier::None, CastContext::Implicit)?
                }
            };
            let kind = ExprKind::QuantifiedArray {
                operator,
                all,
                left: Box::new(left),
                array: Box::new(array),
            };
            return Ok(Expr::new(kind, Type::Bool));
        };
        match (name, all) {
            ("=", false) => self.list_test("=", left, elements, false, position),
            ("<>", true) => self.list_test("<>", left, elements, true, position),
            _ => {
                let mut parts = Vec::with_capacity(elements.len());
                for element in elements {
                    parts.push(self.apply(name, Some(left.clone()), element, position)?);
                }
                Ok(combine(parts, all, position))
            }
        }
    }

    pub(super) fn like(
        &mut self,
        kind: LikeKind,
        expr: &ast::Expr,
        pattern: &ast::Expr,
        escape: Option<&ast::Expr>,
        negated: bool,
        position: u32,
    ) -> Result<Expr> {
        let (expr, pattern) = (self.expr(expr)?, self.expr(pattern)?);
        let escape = escape.map(|escape| self.expr(escape)).transpose()?;
        if [&expr, &pattern]
            .iter()
            .any(|operand| *operand.ty.base() == Type::Bytea)
        {
            return Err(self.refuse("LIKE of bytea", "", Some("substr or position"), position));
        }
        let name = match (kind, negated) {
            (LikeKind::Like, false) => "~~",
            (LikeKind::Like, true) => "!~~",
            (LikeKind::Ilike, false) => "~~*",
            (LikeKind::Ilike, true) => "!~~*",
            (LikeKind::Similar, false) => "~",
            (LikeKind::Similar, true) => "!~",
        };
        // With ESCAPE, and always in SIMILAR TO, the pattern passes through a function of text.
        let wrapped = escape.is_some() || kind == LikeKind::Similar;
        let pattern = if wrapped {
            self.text(pattern, "like_escape", position)?
        } else {
            pattern
        };
        let escape = escape
            .map(|escape| self.text(escape, "like_escape", position))
            .transpose()?;
        let (operator, expr, pattern) = self.equality(name, expr, pattern, position)?;
        let kind = match (operator.left, kind) {
            (Some(Arg::Citext), LikeKind::Similar) => {
                return Err(self.refuse("SIMILAR TO of citext", "", Some("~"), position));
            }
            (Some(Arg::Citext), _) => LikeKind::Ilike,
            (_, kind) => kind,
        };
        let expr = coerce::cast(
            self.catalog,
            expr,
            &Type::Text,
            TypeModifier::None,
            CastContext::Implicit,
        )?;
        let kind = ExprKind::Like {
            kind,
            expr: Box::new(expr),
            pattern: Box::new(pattern),
            escape: escape.map(Box::new),
            negated,
        };
        Ok(Expr::new(kind, Type::Bool))
    }

    fn text(&mut self, expr: Expr, function: &str, position: u32) -> Result<Expr> {
        self.note_parameter(&expr, &Type::Text);
        let from = expr.ty.clone();
        to_type(self.catalog, expr, &Type::Text, CastContext::Implicit)?.ok_or_else(|| {
            place(
                DatabaseError::new("42883", format!("function {function}({from}) does not exist")),
                position,
            )
        })
    }

    pub(super) fn between(
        &mut self,
        expr: &ast::Expr,
        low: &ast::Expr,
        high: &ast::Expr,
        symmetric: bool,
        negated: bool,
        position: u32,
    ) -> Result<Expr> {
        let (expr, low, high) = (self.expr(expr)?, self.expr(low)?, self.expr(high)?);
        let mut one = |low: &Expr, high: &Expr| -> Result<Expr> {
            let (first, second) = if negated { ("<", ">") } else { (">=", "<=") };
            let parts = vec![
                self.apply(first, Some(expr.clone()), low.clone(), position)?,
                self.apply(second, Some(expr.clone()), high.clone(), position)?,
            ];
            Ok(combine(parts, !negated, position))
        };
        let forward = one(&low, &high)?;
        if !symmetric {
            return Ok(forward);
        }
        let backward = one(&high, &low)?;
        Ok(combine(vec![forward, backward], negated, position))
    }

    pub(super) fn quantified_subquery(
        &mut self,
        name: &str,
        all: bool,
        left: &ast::Expr,
        query: &ast::Query,
        position: u32,
    ) -> Result<Expr> {
        let left = match &left.kind {
            Written::Row(fields) => self.fields(fields)?,
            _ => vec![self.expr(left)?],
        };
        let mut query = self.subquery(query)?;
        let counts = [
            ("subquery has too many columns", query.columns.len() > left.len()),
            ("subquery has too few columns", query.columns.len() < left.len()),
        ];
        if let Some((message, _)) = counts.into_iter().find(|(_, wrong)| *wrong) {
            return Err(place(DatabaseError::new("42601", message), position));
        }
        let mut operators = Vec::with_capacity(left.len());
        let mut done = Vec::with_capacity(left.len());
        let mut types = Vec::with_capacity(left.len());
        for (expr, column) in left.into_iter().zip(&query.columns) {
            let right = Expr::new(ExprKind::Output(0), column.ty.clone());
            let (operator, expr, right) = self.equality(name, expr, right, position)?;
            if operator.result != super::kinds::Arg::Bool {
                let message = "row comparison operator must yield type boolean, not type ";
                return Err(place(
                    DatabaseError::new("42804", format!("{message}{}", expr.ty)),
                    position,
                ));
            }
            operators.push(operator);
            done.push(expr);
            types.push(right.ty);
        }
        let types = types.into_iter().map(|ty| (ty, TypeModifier::None));
        self.coerce_query(&mut query, types, CastContext::Implicit)?;
        if operators.len() > 1 && name != "=" && name != "<>" {
            return Err(self.refuse("rows compared with a subquery by order", "", None, position));
        }
        let kind = ExprKind::QuantifiedSubquery {
            operators,
            all,
            left: done,
            query: Box::new(query),
            negated: false,
        };
        Ok(Expr::new(kind, Type::Bool))
    }
}

/// `all`: every part must hold; else any of them.
fn combine(mut parts: Vec<Expr>, all: bool, position: u32) -> Expr {
    match (parts.pop(), parts.is_empty()) {
        (None, _) => literal_expr(Literal::Bool(all), Type::Bool),
        (Some(only), true) => only,
        (Some(last), false) => {
            parts.push(last);
            let kind = if all { ExprKind::And(parts) } else { ExprKind::Or(parts) };
            Expr::new(kind, Type::Bool).at(position)
        }
    }
}

/// True if the expression refers to a column.
fn has_columns(expr: &Expr) -> bool {
    let mut found = false;
    crate::walk::expr(expr, &mut |inner| {
        found |= matches!(inner.kind, ExprKind::Column { .. });
        !found
    });
    found
}
