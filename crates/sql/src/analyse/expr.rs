//! Expressions: each written form to its typed form.
//!
//! Lives here: everything but calls (`call`) and subqueries' insides (`select`).

use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use mainstay_core::types::{Type, TypeModifier};

use super::Result;
use super::coerce::{self, common_modifier, common_type, condition, place, to_common, to_type};
use super::literal;
use super::operators;
use super::resolve;
use super::scope::{Clause, Found, Item, State};
use super::types;
use crate::ast;
use crate::ast::ExprKind as Written;
use crate::system;
use crate::typed::{CastContext, CastMethod, ContextValue, Expr, ExprKind, Literal, OperatorEntry};

impl State<'_> {
    /// Types an expression. A quoted literal, null or parameter stays `unknown` until something needs a type.
    pub fn expr(&mut self, written: &ast::Expr) -> Result<Expr> {
        let mut expr = self.form(written)?;
        match start(written) {
            0 => {}
            position => expr.position = position,
        }
        Ok(expr)
    }

    /// One call per form and nothing else: this is on the stack once for every level of nesting.
    fn form(&mut self, written: &ast::Expr) -> Result<Expr> {
        let position = written.position;
        match &written.kind {
            Written::Null
            | Written::Bool(_)
            | Written::Integer(_)
            | Written::Number(_)
            | Written::String(_)
            | Written::Default
            | Written::Grouping(_) => self.leaf(&written.kind, position),
            Written::Parameter(number) => self.parameter(*number, position),
            Written::Column(names) => self.column(names, position),
            Written::Star(names) => self.star_row(names, position),
            Written::Field { expr, field } => self.field(expr, field.as_ref(), position),
            Written::Subscript {
                expr,
                lower: None,
                upper: Some(index),
                slice: false,
            } => self.subscript(expr, index, position),
            Written::Subscript { expr, lower, upper, .. } => {
                self.slice(expr, lower.as_deref(), upper.as_deref(), position)
            }
            Written::Operator { name, left, right, .. } => self.operator(name, left.as_deref(), right, position),
            Written::QuantifiedArray { name, all, left, right } => {
                self.quantified_array(name, *all, left, right, position)
            }
            Written::And(list) => self.connected(list, "AND", ExprKind::And),
            Written::Or(list) => self.connected(list, "OR", ExprKind::Or),
            Written::Not(inner) => self.not(inner),
            Written::IsNull { expr, negated } => self.is_null(expr, *negated),
            Written::BooleanTest { expr, value, negated } => self.boolean_test(expr, *value, *negated),
            Written::DistinctFrom { left, right, negated } => self.distinct_from(left, right, *negated, position),
            Written::NullIf { left, right } => self.null_if(left, right, position),
            Written::InList { expr, list, negated } => self.in_list(expr, list, *negated, position),
            Written::Like {
                kind,
                expr,
                pattern,
                escape,
                negated,
            } => self.like(*kind, expr, pattern, escape.as_deref(), *negated, position),
            Written::Between {
                expr,
                low,
                high,
                symmetric,
                negated,
            } => self.between(expr, low, high, *symmetric, *negated, position),
            Written::Case {
                operand,
                whens,
                otherwise,
            } => self.case(operand.as_deref(), whens, otherwise.as_deref(), position),
            Written::Coalesce(list) => self.chosen(list, "COALESCE", ExprKind::Coalesce, position),
            Written::Greatest(list) => self.chosen(list, "GREATEST", ExprKind::Greatest, position),
            Written::Least(list) => self.chosen(list, "LEAST", ExprKind::Least, position),
            Written::Cast { expr, ty } => self.explicit_cast(expr, ty, position),
            Written::Collate { expr, collation } => self.collate(expr, collation, position),
            Written::Function(call) => self.call(call, position),
            Written::Value { function, precision } => self.value_function(*function, *precision, position),
            Written::Row(fields) => self.fields(fields).map(row),
            Written::Array(elements) => self.array(elements, position),
            Written::ScalarSubquery(query) => self.scalar_subquery(query, position),
            Written::ArraySubquery(query) => self.array_subquery(query, position),
            Written::Exists(query) => self.exists(query),
            Written::QuantifiedSubquery { name, all, left, query } => {
                self.quantified_subquery(name, *all, left, query, position)
            }
        }
    }

    /// Constants, and what is not an expression here.
    fn leaf(&self, kind: &Written, position: u32) -> Result<Expr> {
        Ok(match kind {
            Written::Bool(value) => literal_expr(Literal::Bool(*value), Type::Bool),
            Written::Integer(value) => literal_expr(Literal::Integer(i64::from(*value)), Type::Int4),
            Written::Number(digits) => return number(digits),
            Written::String(text) => literal_expr(Literal::Text(text.as_str().into()), Type::Unknown),
            Written::Default => {
                let error = DatabaseError::new("42601", "DEFAULT is not allowed in this context");
                return Err(place(error, position));
            }
            Written::Grouping(_) => return Err(self.refuse("GROUPING", "", None, position)),
            _ => Expr::null(),
        })
    }

    /// As an argument or operand, `t.*` is the row.
    fn star_row(&mut self, names: &[Ident], position: u32) -> Result<Expr> {
        match names {
            [schema @ .., name] if schema.len() < 2 => match self.item(schema.first(), name, position)? {
                Some(item) => whole_row(self, &item, position),
                None => self.column(&[name.clone(), Ident::new("*")], position),
            },
            _ => {
                let error = DatabaseError::new("42601", "row expansion via \"*\" is not supported here");
                Err(place(error, position))
            }
        }
    }

    fn connected(&mut self, list: &[ast::Expr], name: &str, kind: fn(Vec<Expr>) -> ExprKind) -> Result<Expr> {
        Ok(Expr::new(kind(self.conditions(list, name)?), Type::Bool))
    }

    fn not(&mut self, inner: &ast::Expr) -> Result<Expr> {
        let inner = self.expr(inner)?;
        condition(self.catalog, inner, "NOT").map(negate)
    }

    fn is_null(&mut self, inner: &ast::Expr, negated: bool) -> Result<Expr> {
        let inner = self.tested_for_null(inner)?;
        let expr = Box::new(self.settle(inner)?);
        Ok(Expr::new(ExprKind::IsNull { expr, negated }, Type::Bool))
    }

    fn boolean_test(&mut self, inner: &ast::Expr, value: Option<bool>, negated: bool) -> Result<Expr> {
        let clause = match (value, negated) {
            (Some(true), false) => "IS TRUE",
            (Some(true), true) => "IS NOT TRUE",
            (Some(false), false) => "IS FALSE",
            (Some(false), true) => "IS NOT FALSE",
            (None, false) => "IS UNKNOWN",
            (None, true) => "IS NOT UNKNOWN",
        };
        let inner = self.expr(inner)?;
        let expr = Box::new(condition(self.catalog, inner, clause)?);
        Ok(Expr::new(ExprKind::BooleanTest { expr, value, negated }, Type::Bool))
    }

    fn null_if(&mut self, left: &ast::Expr, right: &ast::Expr, position: u32) -> Result<Expr> {
        let (left, right) = (self.expr(left)?, self.expr(right)?);
        let (operator, left, right) = self.equality("=", left, right, position)?;
        let (ty, modifier) = (left.ty.clone(), left.modifier);
        let kind = ExprKind::NullIf {
            operator,
            left: Box::new(left),
            right: Box::new(right),
        };
        Ok(Expr {
            modifier,
            ..Expr::new(kind, ty)
        })
    }

    /// COALESCE, GREATEST and LEAST.
    fn chosen(
        &mut self,
        list: &[ast::Expr],
        name: &str,
        kind: fn(Vec<Expr>) -> ExprKind,
        position: u32,
    ) -> Result<Expr> {
        let (list, ty, modifier) = self.common(list, name)?;
        if name != "COALESCE" {
            self.ordered(&ty, position)?;
        }
        Ok(Expr {
            modifier,
            ..Expr::new(kind(list), ty)
        })
    }

    fn collate(&mut self, inner: &ast::Expr, collation: &ast::ObjectName, position: u32) -> Result<Expr> {
        let inner = self.expr(inner)?;
        // With one collation no two can be in conflict.
        if &*collation.name != "C" {
            let feature = format!("collation {}", collation.name);
            return Err(self.refuse(&feature, "", Some("COLLATE \"C\""), position));
        }
        if inner.ty == Type::Unknown {
            return coerce::cast(
                self.catalog,
                inner,
                &Type::Text,
                TypeModifier::None,
                CastContext::Implicit,
            );
        }
        if inner.ty.is_textual() || inner.ty == Type::Citext {
            return Ok(inner);
        }
        let message = format!("collations are not supported by type {}", inner.ty);
        Err(place(DatabaseError::new("42804", message), position))
    }

    fn array(&mut self, elements: &[ast::Expr], position: u32) -> Result<Expr> {
        if elements.is_empty() {
            let error = DatabaseError::new("42P18", "cannot determine type of empty array")
                .hint("Explicitly cast to the desired type, for example ARRAY[]::integer[].");
            return Err(place(error, position));
        }
        let (elements, ty, _) = self.common(elements, "ARRAY")?;
        self.element_type(&ty, position)?;
        Ok(Expr::new(ExprKind::Array(elements), Type::Array(Box::new(ty))))
    }

    fn scalar_subquery(&mut self, query: &ast::Query, position: u32) -> Result<Expr> {
        let query = self.subquery(query)?;
        let [column] = query.columns.as_slice() else {
            return Err(place(
                DatabaseError::new("42601", "subquery must return only one column"),
                position,
            ));
        };
        let (ty, modifier) = (column.ty.clone(), column.modifier);
        Ok(Expr {
            modifier,
            ..Expr::new(ExprKind::ScalarSubquery(Box::new(query)), ty)
        })
    }

    /// Errors: 0A000 for all columns of a system catalog that has more of them on a server.
    fn whole_system(&self, item: &Item, position: u32) -> Result<()> {
        let is_unseen = self.levels.last().is_some_and(|level| level.is_unseen);
        match &item.qualified {
            Some(name) if system::is_system_schema(&name.schema) && !system::is_whole(name) && !is_unseen => {
                let way = Some("its columns by name");
                Err(self.refuse(&format!("all columns of {name}"), "", way, position))
            }
            _ => Ok(()),
        }
    }

    fn exists(&mut self, query: &ast::Query) -> Result<Expr> {
        self.is_in_exists = true;
        let query = Box::new(self.subquery(query)?);
        Ok(Expr::new(ExprKind::Exists(query), Type::Bool))
    }

    /// An expression that must be a condition. Errors: 42804.
    pub fn condition(&mut self, written: &ast::Expr, clause: &str) -> Result<Expr> {
        let expr = self.expr(written)?;
        condition(self.catalog, expr, clause)
    }

    fn conditions(&mut self, list: &[ast::Expr], clause: &str) -> Result<Vec<Expr>> {
        let mut conditions = Vec::with_capacity(list.len());
        for item in list {
            conditions.push(self.condition(item, clause)?);
        }
        Ok(conditions)
    }

    /// The type as written. Errors: 42704, 0A000.
    pub fn type_name(&self, name: &ast::TypeName) -> Result<(Type, TypeModifier)> {
        types::resolve(self.catalog, &self.search_path, name, self.line)
    }

    /// Something still `unknown` becomes text, where nothing else will decide.
    pub fn settle(&mut self, expr: Expr) -> Result<Expr> {
        if expr.ty != Type::Unknown {
            return Ok(expr);
        }
        self.note_parameter(&expr, &Type::Text);
        coerce::cast(
            self.catalog,
            expr,
            &Type::Text,
            TypeModifier::None,
            CastContext::Implicit,
        )
    }

    /// Remembers what an undeclared parameter turned out to be.
    pub fn note_parameter(&mut self, expr: &Expr, ty: &Type) {
        if let ExprKind::Parameter(number) = expr.kind
            && let Some(slot) = self.parameters.get_mut(number).filter(|slot| **slot == Type::Unknown)
        {
            *slot = ty.clone();
        }
    }

    fn parameter(&mut self, number: u32, position: u32) -> Result<Expr> {
        let missing = || {
            place(
                DatabaseError::new("42P02", format!("there is no parameter ${number}")),
                position,
            )
        };
        let at = (number as usize).checked_sub(1).ok_or_else(missing)?;
        if let Some(outside) = self.outside() {
            return outside.positional(at).ok_or_else(missing);
        }
        if let Some(arguments) = self
            .levels
            .iter()
            .rev()
            .find(|level| level.barrier)
            .map(|level| &level.arguments)
            && arguments.routine.is_some()
        {
            return arguments
                .values
                .get(at)
                .map(|(_, value)| value.clone())
                .ok_or_else(missing);
        }
        const PARAMETERS_MAX: usize = 65_535;
        if at >= PARAMETERS_MAX {
            return Err(missing());
        }
        if self.parameters.len() <= at {
            self.parameters.resize(at + 1, Type::Unknown);
        }
        Ok(Expr::new(ExprKind::Parameter(at), self.parameters[at].clone()))
    }

    fn column(&mut self, names: &[Ident], position: u32) -> Result<Expr> {
        if self.level().clause == Clause::Default {
            let error = DatabaseError::new("0A000", "cannot use column reference in DEFAULT expression");
            return Err(place(error, position));
        }
        let found = match names {
            [name] => self.bare_column(name, position)?,
            [relation, name] => match self.qualified_column(None, relation, name, position) {
                Err(error) if error.sqlstate == "42703" => {
                    return match self.function_of_item(relation, name, position)? {
                        Some(call) => Ok(call),
                        None => Err(error),
                    };
                }
                found => found?,
            },
            [schema, relation, name] => self.qualified_column(Some(schema), relation, name, position)?,
            _ => {
                let shown = names.iter().map(Ident::as_str).collect::<Vec<_>>().join(".");
                let message = format!("improper qualified name (too many dotted names): {shown}");
                return Err(place(DatabaseError::new("42601", message), position));
            }
        };
        Ok(match found {
            Found::Expr(expr) => expr,
            Found::Row(item) => whole_row(self, &item, position)?,
        })
    }

    /// `relation.name` as `name(relation)`.
    fn function_of_item(&mut self, relation: &Ident, name: &Ident, position: u32) -> Result<Option<Expr>> {
        let Some(item) = self.item(None, relation, position)? else {
            return Ok(None);
        };
        let has_row = item
            .rte
            .and_then(|rte| self.entry(rte))
            .is_some_and(|entry| entry.relation.is_some());
        if !has_row {
            return Ok(None);
        }
        let row = whole_row(self, &item, position)?;
        self.row_function(row, name, position)
    }

    fn field(&mut self, inner: &ast::Expr, field: Option<&Ident>, position: u32) -> Result<Expr> {
        let inner = self.expr(inner)?;
        let Some(field) = field else {
            let error = DatabaseError::new("42601", "row expansion via \"*\" is not supported here");
            return Err(place(error, position));
        };
        if let ExprKind::Row { fields, names, .. } = &inner.kind {
            if let Some(at) = names.iter().position(|name| name == field) {
                return Ok(fields[at].clone());
            }
            if let Some(call) = self.row_function(inner.clone(), field, position)? {
                return Ok(call);
            }
            let message = match &inner.ty {
                Type::Composite(name) => format!("column {}.{field} does not exist", name.name),
                _ => format!("could not identify column \"{field}\" in record data type"),
            };
            return Err(place(DatabaseError::new("42703", message), position));
        }
        if matches!(inner.ty.base(), Type::Composite(_) | Type::Record) {
            return Err(self.refuse("fields of composite values", "", Some("select the column"), position));
        }
        let message = format!(
            "column notation .{field} applied to type {}, which is not a composite type",
            inner.ty
        );
        Err(place(DatabaseError::new("42809", message), position))
    }

    fn operator(&mut self, name: &str, left: Option<&ast::Expr>, right: &ast::Expr, position: u32) -> Result<Expr> {
        if let (
            Some(ast::Expr {
                kind: Written::Row(left),
                ..
            }),
            Written::Row(right),
        ) = (left, &right.kind)
        {
            return self.row_comparison(name, left, right, position);
        }
        if let (
            Some(ast::Expr {
                kind: Written::Row(_), ..
            }),
            Written::ScalarSubquery(_),
        ) = (left, &right.kind)
        {
            return Err(self.refuse("a row compared with a subquery", "", Some("IN"), position));
        }
        let left = left.map(|left| self.operand(left)).transpose()?;
        let right = self.operand(right)?;
        self.apply(name, left, right, position)
    }

    /// An operand; `'schema.table'::regclass` is the relation's identifier here, and only here: elsewhere its text would
    /// be asked for too.
    pub(super) fn operand(&mut self, written: &ast::Expr) -> Result<Expr> {
        match &written.kind {
            Written::Cast { expr, ty } if *ty.name == *"regclass" && ty.array_dimensions == 0 => {
                self.regclass(expr, written.position)
            }
            _ => self.expr(written),
        }
    }

    /// Resolves an operator and remembers what parameters became.
    pub fn apply(&mut self, name: &str, left: Option<Expr>, right: Expr, position: u32) -> Result<Expr> {
        if operators::overloads(name).is_empty() && operators::REFUSED.contains(&name) {
            return Err(self.refuse(&format!("operator {name}"), "", None, position));
        }
        let is_jsonpath = name == "@@" && left.as_ref().is_some_and(|left| *left.ty.base() == Type::Jsonb);
        if is_jsonpath {
            return Err(self.refuse("operator @@ of jsonpath", "", Some("@> or ?"), position));
        }
        let expr = resolve::operator(self.catalog, name, left, right, position)?;
        if let ExprKind::Operator { arguments, .. } = &expr.kind {
            let parameters: Vec<(Expr, Type)> = arguments
                .iter()
                .filter(|argument| matches!(argument.kind, ExprKind::Parameter(_)))
                .map(|argument| (argument.clone(), argument.ty.clone()))
                .collect();
            for (argument, ty) in parameters {
                self.note_parameter(&argument, &ty);
            }
        }
        Ok(expr)
    }

    /// An `=` (or what `name` says) with both sides cast for it.
    pub(super) fn equality(
        &mut self,
        name: &str,
        left: Expr,
        right: Expr,
        position: u32,
    ) -> Result<(&'static OperatorEntry, Expr, Expr)> {
        let applied = self.apply(name, Some(left), right, position)?;
        match applied.kind {
            ExprKind::Operator { operator, arguments } => match <[Expr; 2]>::try_from(arguments) {
                Ok([left, right]) => Ok((operator, left, right)),
                Err(_) => Err(DatabaseError::new("XX000", "an operator lost an argument")),
            },
            _ => Err(DatabaseError::new("XX000", "an operator became something else")),
        }
    }

    fn case(
        &mut self,
        operand: Option<&ast::Expr>,
        whens: &[(ast::Expr, ast::Expr)],
        otherwise: Option<&ast::Expr>,
        position: u32,
    ) -> Result<Expr> {
        let operand = match operand {
            Some(operand) => {
                let operand = self.expr(operand)?;
                Some(self.settle(operand)?)
            }
            None => None,
        };
        let mut parts = Vec::with_capacity(whens.len());
        for (written, result) in whens {
            let test = self.expr(written)?;
            let test = self.case_test(operand.as_ref(), test, written.position)?;
            parts.push((test, self.expr(result)?));
        }
        let otherwise = match otherwise {
            Some(otherwise) => self.expr(otherwise)?,
            None => Expr::null(),
        };
        self.case_of(parts, otherwise, position)
    }

    fn case_test(&mut self, operand: Option<&Expr>, test: Expr, position: u32) -> Result<Expr> {
        let test = match operand {
            Some(operand) => self.apply("=", Some(operand.clone()), test, position)?,
            None => test,
        };
        condition(self.catalog, test, "CASE/WHEN")
    }

    fn case_of(&mut self, parts: Vec<(Expr, Expr)>, otherwise: Expr, position: u32) -> Result<Expr> {
        // ELSE is asked first for the common type; errors name the types in that order.
        let all: Vec<&Expr> = std::iter::once(&otherwise)
            .chain(parts.iter().map(|(_, result)| result))
            .collect();
        let ty = common_type(&all, "CASE")?;
        let modifier = common_modifier(&all);
        let otherwise = to_common(self.catalog, otherwise, &ty, "CASE/ELSE")?;
        let mut done = Vec::with_capacity(parts.len());
        for (condition, result) in parts {
            self.note_parameter(&result, &ty);
            done.push((condition, to_common(self.catalog, result, &ty, "CASE/WHEN")?));
        }
        let kind = ExprKind::Case {
            whens: done,
            otherwise: Some(Box::new(otherwise)),
        };
        Ok(Expr {
            modifier,
            ..Expr::new(kind, ty).at(position)
        })
    }

    /// Several expressions that become one type.
    fn common(&mut self, list: &[ast::Expr], context: &str) -> Result<(Vec<Expr>, Type, TypeModifier)> {
        let mut typed = Vec::with_capacity(list.len());
        for item in list {
            typed.push(self.expr(item)?);
        }
        self.made_common(typed, context)
    }

    fn made_common(&mut self, list: Vec<Expr>, context: &str) -> Result<(Vec<Expr>, Type, TypeModifier)> {
        let all: Vec<&Expr> = list.iter().collect();
        let ty = common_type(&all, context)?;
        let modifier = common_modifier(&all);
        let mut done = Vec::with_capacity(list.len());
        for item in list {
            self.note_parameter(&item, &ty);
            done.push(to_common(self.catalog, item, &ty, context)?);
        }
        Ok((done, ty, modifier))
    }

    /// Errors: 42883 where values of the type have no order.
    fn ordered(&self, ty: &Type, position: u32) -> Result<()> {
        match resolve::find_operator("<", Some(ty), ty) {
            Ok(_) => Ok(()),
            Err(_) => {
                let message = format!("could not identify a comparison function for type {ty}");
                Err(place(DatabaseError::new("42883", message), position))
            }
        }
    }

    fn explicit_cast(&mut self, written: &ast::Expr, name: &ast::TypeName, position: u32) -> Result<Expr> {
        let (ty, modifier) = self.type_name(name)?;
        if let (Written::Array(elements), Type::Array(element)) = (&written.kind, &ty) {
            // The target decides the elements' type, also of an empty list.
            let mut done = Vec::with_capacity(elements.len());
            for item in elements {
                let item = self.expr(item)?;
                self.element_type(&item.ty, position)?;
                done.push(coerce::cast(
                    self.catalog,
                    item,
                    element,
                    modifier,
                    CastContext::Explicit,
                )?);
            }
            return Ok(Expr {
                modifier,
                ..Expr::new(ExprKind::Array(done), ty)
            });
        }
        let inner = self.expr(written)?;
        self.note_parameter(&inner, &ty);
        let (from, at) = (inner.ty.clone(), inner.position);
        if from == ty && modifier == TypeModifier::None && inner.modifier != TypeModifier::None {
            // The modifier is forgotten, the value is kept.
            let kind = ExprKind::Cast {
                expr: Box::new(inner),
                context: CastContext::Explicit,
                method: CastMethod::Relabel,
            };
            return Ok(Expr::new(kind, ty));
        }
        match to_type(self.catalog, inner, &ty, CastContext::Explicit)? {
            Some(expr) => Ok(coerce::to_modifier(expr, modifier, CastContext::Explicit)),
            None => {
                let message = format!("cannot cast type {from} to {ty}");
                Err(place(
                    DatabaseError::new("42846", message),
                    if position == 0 { at } else { position },
                ))
            }
        }
    }

    pub(super) fn fields(&mut self, list: &[ast::Expr]) -> Result<Vec<Expr>> {
        let mut fields = Vec::with_capacity(list.len());
        for item in list {
            if let Written::Star(names) = &item.kind {
                fields.extend(self.star(names, item.position)?.into_iter().map(|(_, expr)| expr));
            } else {
                fields.push(self.expr(item)?);
            }
        }
        Ok(fields)
    }

    fn value_function(&mut self, function: ast::ValueFunction, precision: Option<u32>, position: u32) -> Result<Expr> {
        use ast::ValueFunction as F;
        let (value, ty) = match function {
            F::CurrentDate => (ContextValue::CurrentDate, Type::Date),
            F::CurrentTime => return Err(self.refuse("current_time", "", Some("localtime"), position)),
            F::CurrentTimestamp => (ContextValue::Now, Type::Timestamptz),
            F::LocalTime => (ContextValue::LocalTime, Type::Time),
            F::LocalTimestamp => (ContextValue::LocalTimestamp, Type::Timestamp),
            F::CurrentRole | F::CurrentUser => (ContextValue::CurrentUser, Type::Name),
            F::SessionUser => (ContextValue::SessionUser, Type::Name),
            F::CurrentCatalog => (ContextValue::CurrentDatabase, Type::Name),
            F::CurrentSchema => (ContextValue::CurrentSchema, Type::Name),
        };
        let expr = Expr::new(ExprKind::Context(value), ty).at(position);
        Ok(match precision {
            Some(digits) => {
                let modifier = TypeModifier::Fraction(digits.min(6) as u8);
                coerce::to_modifier(expr, modifier, CastContext::Implicit)
            }
            None => expr,
        })
    }

    /// What a star stands for, with names. Errors: 42P01, 42601 without FROM.
    pub fn star(&mut self, names: &[Ident], position: u32) -> Result<Vec<(Ident, Expr)>> {
        let columns = |item: &Item| -> Vec<(Ident, Expr)> {
            item.columns
                .iter()
                .map(|column| (column.name.clone(), column.expr.clone()))
                .collect()
        };
        match names {
            [] => {
                let Some(level) = self.levels.last() else {
                    return Ok(Vec::new());
                };
                let visible: Vec<&Item> = level.items.iter().filter(|item| item.columns_visible).collect();
                if visible.is_empty() {
                    let error = DatabaseError::new("42601", "SELECT * with no tables specified is not valid");
                    return Err(place(error, position));
                }
                for item in &visible {
                    self.whole_system(item, position)?;
                }
                let found: Vec<(Ident, Expr)> = visible.into_iter().flat_map(columns).collect();
                let spelled = found
                    .iter()
                    .map(|(name, expr)| spelled(&level.items, name, expr))
                    .collect();
                self.stars.insert(position, spelled);
                Ok(found)
            }
            [relation] | [_, relation] => {
                let schema = if names.len() == 2 { names.first() } else { None };
                match self.item(schema, relation, position)? {
                    Some(item) => {
                        self.whole_system(&item, position)?;
                        let spelled = |(name, _): &(Ident, Expr)| names.iter().chain([name]).cloned().collect();
                        let found = columns(&item);
                        self.stars.insert(position, found.iter().map(spelled).collect());
                        Ok(found)
                    }
                    None => match self.qualified_column(schema, relation, &Ident::new("*"), position) {
                        Err(error) => Err(error),
                        Ok(_) => Ok(Vec::new()),
                    },
                }
            }
            _ => {
                let shown = names.iter().map(Ident::as_str).collect::<Vec<_>>().join(".");
                let message = format!("improper qualified name (too many dotted names): {shown}.*");
                Err(place(DatabaseError::new("42601", message), position))
            }
        }
    }
}

/// How a column that FROM offers can be named: by the entry that has it; a merged column of a join by its name alone.
fn spelled(items: &[Item], name: &Ident, expr: &Expr) -> Vec<Ident> {
    let has = |item: &&Item| {
        let mut columns = item.columns.iter();
        item.names_visible && columns.any(|column| column.name == *name && crate::walk::same(&column.expr, expr))
    };
    let entry = items.iter().filter(has).find_map(|item| item.name.clone());
    entry.into_iter().chain([name.clone()]).collect()
}

/// Where an expression begins, which is what errors about it point to (about its operator: the operator).
pub fn start(written: &ast::Expr) -> u32 {
    let first = match &written.kind {
        Written::Operator { left: Some(first), .. }
        | Written::QuantifiedArray { left: first, .. }
        | Written::QuantifiedSubquery { left: first, .. }
        | Written::IsNull { expr: first, .. }
        | Written::BooleanTest { expr: first, .. }
        | Written::DistinctFrom { left: first, .. }
        | Written::NullIf { left: first, .. }
        | Written::InList { expr: first, .. }
        | Written::Like { expr: first, .. }
        | Written::Between { expr: first, .. }
        | Written::Cast { expr: first, .. }
        | Written::Collate { expr: first, .. }
        | Written::Subscript { expr: first, .. } => start(first),
        Written::And(list) | Written::Or(list) => list.first().map_or(0, start),
        _ => 0,
    };
    match (first, written.position) {
        (0, position) => position,
        (first, 0) => first,
        (first, position) => first.min(position),
    }
}

/// A constant.
pub fn literal_expr(value: Literal, ty: Type) -> Expr {
    Expr::new(ExprKind::Literal(value), ty)
}

/// A number literal: the narrowest of int4, int8 and numeric that holds it; with a point or exponent, numeric.
fn number(digits: &str) -> Result<Expr> {
    if let Ok(value) = digits.parse::<i64>() {
        let ty = if i32::try_from(value).is_ok() {
            Type::Int4
        } else {
            Type::Int8
        };
        return Ok(literal_expr(Literal::Integer(value), ty));
    }
    let canonical =
        literal::numeric(digits).ok_or_else(|| DatabaseError::new("22003", "value overflows numeric format"))?;
    Ok(literal_expr(Literal::Numeric(canonical), Type::Numeric))
}

/// `NOT expr`.
pub fn negate(expr: Expr) -> Expr {
    let kind = match expr.kind {
        ExprKind::QuantifiedSubquery {
            operators,
            all,
            left,
            query,
            negated,
        } => ExprKind::QuantifiedSubquery {
            operators,
            all,
            left,
            query,
            negated: !negated,
        },
        kind => ExprKind::Not(Box::new(
            Expr {
                kind,
                ..Expr::new(ExprKind::Default, Type::Bool)
            }
            .at(expr.position),
        )),
    };
    Expr::new(kind, Type::Bool)
}

/// A row without names: fields are called `f1`, `f2` …
fn row(fields: Vec<Expr>) -> Expr {
    let names = (1..=fields.len()).map(|at| Ident::from(format!("f{at}"))).collect();
    Expr::new(
        ExprKind::Row {
            fields,
            names,
            rte: None,
        },
        Type::Record,
    )
}

/// A relation's row as a value.
fn whole_row(state: &State<'_>, item: &Item, position: u32) -> Result<Expr> {
    // A function that gives plain values has no rows: its name is the value.
    if let (true, [only]) = (item.is_scalar, item.columns.as_slice()) {
        return Ok(only.expr.clone());
    }
    state.whole_system(item, position)?;
    let fields = item.columns.iter().map(|column| column.expr.clone()).collect();
    let relation = item
        .rte
        .and_then(|rte| state.entry(rte))
        .and_then(|entry| entry.relation.as_ref());
    // A relation's row has its row type, whatever an alias calls the columns.
    let names = match relation {
        Some(relation) => relation.columns.iter().map(|column| column.name.clone()).collect(),
        None => item.columns.iter().map(|column| column.name.clone()).collect(),
    };
    let ty = match relation {
        Some(relation) => Type::Composite(relation.name.clone()),
        None => Type::Record,
    };
    let row = ExprKind::Row {
        fields,
        names,
        rte: item.rte,
    };
    Ok(Expr::new(row, ty))
}
