//! Calls that are not functions of their arguments: values fixed for the request, and sequences.

use std::sync::Arc;

use mainstay_core::catalog::Sequence;
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::{Type, TypeModifier};

use super::Result;
use super::call::is_builtin;
use super::coerce::{self, place};
use super::expr::literal_expr;
use super::scope::State;
use crate::ast::{self, ExprKind as Written, FunctionCall, ObjectName};
use crate::system;
use crate::typed::{CastContext, ContextValue, Expr, ExprKind, Literal, SequenceCall};

impl State<'_> {
    /// The call as a context value or sequence call, if it is one.
    pub fn special_call(&mut self, call: &FunctionCall, position: u32) -> Result<Option<Expr>> {
        let context = |value: ContextValue, ty: Type| Ok(Some(Expr::new(ExprKind::Context(value), ty).at(position)));
        let none = call.arguments.is_empty() && call.over.is_none();
        if call.name.schema.as_ref().is_some_and(|schema| *schema == *"auth") && none {
            return match &*call.name.name {
                "uid" => context(ContextValue::Uid, Type::Uuid),
                "role" => context(ContextValue::Role, Type::Text),
                "email" => context(ContextValue::Email, Type::Text),
                "jwt" => context(ContextValue::Jwt, Type::Jsonb),
                _ => Ok(None),
            };
        }
        if !is_builtin(&call.name) {
            return Ok(None);
        }
        match (&*call.name.name, call.arguments.as_slice()) {
            ("now" | "transaction_timestamp" | "statement_timestamp", []) => {
                context(ContextValue::Now, Type::Timestamptz)
            }
            ("current_database", []) => context(ContextValue::CurrentDatabase, Type::Name),
            ("current_schema", []) => context(ContextValue::CurrentSchema, Type::Name),
            ("current_setting", [_] | [_, _]) => self.current_setting(call, position).map(Some),
            ("set_config", [name, _, local]) => {
                let is_local = match &local.value.kind {
                    Written::Bool(value) => *value,
                    _ => constant_text(&local.value).is_some_and(|text| matches!(&*text, "t" | "true" | "on" | "1")),
                };
                let name = constant_text(&name.value);
                match name.as_deref() {
                    Some(name) if is_local && is_settable(name) => Ok(None),
                    // A connection is not one caller's, so that nothing may stay on it.
                    _ => {
                        let feature = "set_config but of response.headers, response.status or a setting of the \
                                       application's own until the end of the transaction";
                        Err(self.refuse(feature, "", Some("SET in a script"), position))
                    }
                }
            }
            ("nextval", [sequence]) => {
                let sequence = self.sequence(&sequence.value, position)?;
                Ok(Some(sequence_expr(SequenceCall::NextVal(sequence))))
            }
            ("currval", [sequence]) => {
                let sequence = self.sequence(&sequence.value, position)?;
                Ok(Some(sequence_expr(SequenceCall::CurrVal(sequence))))
            }
            ("lastval", []) => Ok(Some(sequence_expr(SequenceCall::LastVal))),
            ("setval", [sequence, value, rest @ ..]) if rest.len() < 2 => {
                let sequence = self.sequence(&sequence.value, position)?;
                let value = self.expr(&value.value)?;
                let value = coerce::cast(
                    self.catalog,
                    value,
                    &Type::Int8,
                    TypeModifier::None,
                    CastContext::Implicit,
                )?;
                let is_called = match rest.first() {
                    Some(flag) => Some(self.condition(&flag.value, "setval")?),
                    None => None,
                };
                Ok(Some(sequence_expr(SequenceCall::SetVal {
                    sequence,
                    value,
                    is_called,
                })))
            }
            ("pg_get_serial_sequence", [table, column]) => {
                let text = self.serial_sequence(&table.value, &column.value, position)?;
                let value = text.map_or(Literal::Null, |text| Literal::Text(text.into()));
                Ok(Some(literal_expr(value, Type::Text).at(position)))
            }
            _ => Ok(None),
        }
    }

    fn current_setting(&mut self, call: &FunctionCall, position: u32) -> Result<Expr> {
        let constant = |argument: Option<&ast::Argument>| argument.and_then(|argument| constant_text(&argument.value));
        let Some(name) = constant(call.arguments.first()) else {
            let feature = "current_setting of a name that is not a literal";
            return Err(self.refuse(feature, "", None, position));
        };
        let missing_ok = match call.arguments.get(1).map(|argument| &argument.value.kind) {
            None => false,
            Some(Written::Bool(value)) => *value,
            Some(_) => {
                let flag = call
                    .arguments
                    .get(1)
                    .and_then(|argument| constant_text(&argument.value));
                matches!(flag.as_deref(), Some("t" | "true" | "on" | "1"))
            }
        };
        let value = ContextValue::Setting {
            name: Arc::from(name.to_lowercase()),
            missing_ok,
        };
        Ok(Expr::new(ExprKind::Context(value), Type::Text))
    }

    /// The sequence that a `regclass` argument names; it must be a literal.
    fn sequence(&mut self, argument: &ast::Expr, position: u32) -> Result<Arc<Sequence>> {
        let at = if argument.position == 0 {
            position
        } else {
            argument.position
        };
        let text = match &argument.kind {
            Written::Function(call) if &*call.name.name == "pg_get_serial_sequence" && is_builtin(&call.name) => {
                match call.arguments.as_slice() {
                    [table, column] => self.serial_sequence(&table.value, &column.value, at)?,
                    _ => None,
                }
            }
            _ => constant_text(argument),
        };
        let Some(text) = text else {
            return Err(self.refuse("a sequence whose name is not a literal", "", None, at));
        };
        let name = object_name(&text, at)?;
        let schemas: Vec<Ident> = match &name.schema {
            Some(schema) => vec![schema.clone()],
            None => self.search_path.clone(),
        };
        for schema in schemas {
            let full = QualifiedName::new(schema, name.name.clone());
            if let Some(found) = self.catalog.sequences.get(&full) {
                return Ok(found.clone());
            }
            if self.catalog.relations.contains_key(&full) {
                let message = format!("\"{}\" is not a sequence", name.name);
                return Err(place(DatabaseError::new("42809", message), at));
            }
        }
        Err(place(
            DatabaseError::new("42P01", format!("relation \"{name}\" does not exist")),
            at,
        ))
    }

    /// The identifier of the relation that a literal names. Errors: 42P01.
    pub(super) fn regclass(&mut self, written: &ast::Expr, position: u32) -> Result<Expr> {
        let Some(text) = constant_text(written) else {
            return Err(self.refuse("regclass of what is not a literal", "", None, position));
        };
        let name = object_name(&text, position)?;
        let Some(found) = self.visible_relation(&name) else {
            let message = format!("relation \"{name}\" does not exist");
            return Err(place(DatabaseError::new("42P01", message), position));
        };
        let value = system::relation_identifier(self.catalog, &found);
        Ok(literal_expr(Literal::Integer(value), Type::Oid).at(position))
    }

    /// What `IS NULL` asks of: `to_regclass('name')` may be asked that and nothing else, since its own type is not here.
    pub(super) fn tested_for_null(&mut self, written: &ast::Expr) -> Result<Expr> {
        let Written::Function(call) = &written.kind else {
            return self.expr(written);
        };
        let [name] = call.arguments.as_slice() else {
            return self.expr(written);
        };
        let Some(text) = constant_text(&name.value) else {
            return self.expr(written);
        };
        if *call.name.name != *"to_regclass" || !is_builtin(&call.name) {
            return self.expr(written);
        }
        let name = object_name(&text, written.position)?;
        let value = match self.visible_relation(&name) {
            None => Literal::Null,
            Some(found) => Literal::Text(found.to_string().into()),
        };
        Ok(literal_expr(value, Type::Text).at(written.position))
    }

    /// The table, view, sequence or index of that name.
    fn visible_relation(&self, name: &ast::ObjectName) -> Option<QualifiedName> {
        let schemas = match &name.schema {
            Some(schema) => std::slice::from_ref(schema),
            None => self.search_path.as_slice(),
        };
        schemas
            .iter()
            .map(|schema| QualifiedName::new(schema.clone(), name.name.clone()))
            .find(|full| system::relation_identifier(self.catalog, full) != 0)
    }

    /// `pg_get_serial_sequence(table, column)`: the quoted name of the column's sequence.
    fn serial_sequence(&self, table: &ast::Expr, column: &ast::Expr, position: u32) -> Result<Option<String>> {
        let (Some(table), Some(column)) = (constant_text(table), constant_text(column)) else {
            return Err(self.refuse(
                "pg_get_serial_sequence of names that are not literals",
                "",
                None,
                position,
            ));
        };
        let relation = self.relation(&object_name(&table, position)?)?;
        let Some((_, found)) = relation.column(&column) else {
            let message = format!(
                "column \"{column}\" of relation \"{}\" does not exist",
                relation.name.name
            );
            return Err(place(DatabaseError::new("42703", message), position));
        };
        Ok(found
            .sequence
            .as_ref()
            .map(|name| format!("{}.{}", quoted(&name.schema), quoted(&name.name))))
    }
}

fn sequence_expr(call: SequenceCall) -> Expr {
    Expr::new(ExprKind::Sequence(Box::new(call)), Type::Int8)
}

/// The text of a literal, casts around it aside.
/// True for what a function may set: `response.headers`, `response.status`, and names with a dot that are nobody else's.
pub(super) fn is_settable(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_word = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let is_ours = ["request.", "plpgsql.", "mainstay.", "pgrst."]
        .iter()
        .any(|prefix| name.starts_with(prefix));
    name.contains('.') && name.split('.').all(is_word) && !is_ours
}

fn constant_text(expr: &ast::Expr) -> Option<String> {
    match &expr.kind {
        Written::String(text) => Some(text.clone()),
        Written::Cast { expr, .. } => constant_text(expr),
        _ => None,
    }
}

fn quoted(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// `[schema.]name` in text, quoted or folded as SQL does. Errors: 42602 `invalid name syntax`.
fn object_name(text: &str, position: u32) -> Result<ObjectName> {
    let invalid = || place(DatabaseError::new("42602", "invalid name syntax"), position);
    let mut parts: Vec<Ident> = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, after) = match rest.strip_prefix('"') {
            Some(inner) => {
                let mut part = String::new();
                let mut chars = inner.char_indices();
                let end = loop {
                    match chars.next() {
                        Some((at, '"')) if inner[at + 1..].starts_with('"') => {
                            part.push('"');
                            chars.next();
                        }
                        Some((at, '"')) => break at,
                        Some((_, c)) => part.push(c),
                        None => return Err(invalid()),
                    }
                };
                (part, &inner[end + 1..])
            }
            None => {
                let end = rest.find('.').unwrap_or(rest.len());
                (rest[..end].trim().to_lowercase(), &rest[end..])
            }
        };
        if part.is_empty() {
            return Err(invalid());
        }
        parts.push(Ident::from(part));
        match after.trim_start().strip_prefix('.') {
            Some(after) => rest = after.trim_start(),
            None if after.trim().is_empty() => break,
            None => return Err(invalid()),
        }
    }
    let name = parts.pop().ok_or_else(invalid)?;
    Ok(ObjectName {
        schema: parts.pop(),
        name,
        position,
    })
}
