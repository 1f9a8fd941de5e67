//! JSON as rows: `jsonb_to_record(set)` with a column definition list, `jsonb_populate_record(set)` with a relation's.
//!
//! Source: PostgreSQL 15 manual, 9.16.

use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use mainstay_core::types::{Type, TypeModifier};

use super::Result;
use super::call::is_builtin;
use super::coerce::{self, place};
use super::functions::{RECORD_FUNCTIONS, SetFunctionEntry, UNNEST_MANY};
use super::scope::State;
use crate::ast::{ExprKind as Written, FunctionCall, ObjectName, TypeName};
use crate::typed::{CastContext, OutputColumn, TableFunction};

impl State<'_> {
    /// The call as a function whose rows' columns are told from outside, if it is one.
    ///
    /// Errors: 42601 without a definition list where one is needed, or with one where none may be.
    pub(super) fn record_function(
        &mut self,
        call: &FunctionCall,
        definitions: &[(Ident, TypeName)],
    ) -> Result<Option<(TableFunction, Vec<OutputColumn>)>> {
        let position = call.name.position;
        if is_builtin(&call.name) && call.name.name == *"unnest" && call.arguments.len() > 1 {
            return self.unnest_many(call).map(Some);
        }
        let function = RECORD_FUNCTIONS
            .iter()
            .find(|entry| is_builtin(&call.name) && entry.name == call.name.name.as_str());
        let Some(function) = function else {
            if definitions.is_empty() {
                return Ok(None);
            }
            return Err(self.refuse("column definition lists", &call.name.name, None, position));
        };
        let by_row_type = function.name.contains("populate");
        let (columns, json) = match (by_row_type, call.arguments.as_slice()) {
            (true, [base, json]) if is_null_record(&base.value.kind) => {
                (self.defined_columns(definitions, position)?, json)
            }
            (true, [base, json]) => {
                let columns = self.columns_of_row(&base.value.kind, function, position)?;
                if !definitions.is_empty() {
                    let message =
                        "a column definition list is redundant for a function returning a named composite type";
                    return Err(place(DatabaseError::new("42601", message), position));
                }
                (columns, json)
            }
            (false, [json]) => (self.defined_columns(definitions, position)?, json),
            _ => return Err(self.no_function(call, &[], position)),
        };
        let wanted = if function.name.starts_with("jsonb") {
            Type::Jsonb
        } else {
            Type::Json
        };
        let json = self.expr(&json.value)?;
        self.note_parameter(&json, &wanted);
        let json = coerce::cast(self.catalog, json, &wanted, TypeModifier::None, CastContext::Implicit)?;
        let call = TableFunction::Set {
            function,
            arguments: vec![json],
        };
        Ok(Some((call, columns)))
    }

    /// The columns of a definition list. Errors: 42601 without one.
    fn defined_columns(&mut self, definitions: &[(Ident, TypeName)], position: u32) -> Result<Vec<OutputColumn>> {
        if definitions.is_empty() {
            let message = "a column definition list is required for functions returning \"record\"";
            return Err(place(DatabaseError::new("42601", message), position));
        }
        let mut columns = Vec::with_capacity(definitions.len());
        for (name, ty) in definitions {
            let (ty, modifier) = self.type_name(ty)?;
            columns.push(self.record_column(name, ty, modifier, position)?);
        }
        Ok(columns)
    }

    /// Several arrays side by side, the shorter ones filled with nulls.
    fn unnest_many(&mut self, call: &FunctionCall) -> Result<(TableFunction, Vec<OutputColumn>)> {
        let arguments = self.arguments(call)?;
        let mut columns = Vec::with_capacity(arguments.len());
        for argument in &arguments {
            let Type::Array(element) = argument.ty.base() else {
                let inputs = [argument.ty.clone()];
                return Err(self.no_function(call, &inputs, call.name.position));
            };
            if *element.base() == Type::Bytea {
                return Err(self.refuse("unnest of several arrays of bytea", "", None, call.name.position));
            }
            columns.push(OutputColumn {
                name: Ident::new("unnest"),
                ty: (**element).clone(),
                modifier: argument.modifier,
                source: None,
            });
        }
        let call = TableFunction::Set {
            function: &UNNEST_MANY,
            arguments,
        };
        Ok((call, columns))
    }

    /// The columns of the relation that `null::relation` names.
    fn columns_of_row(&self, base: &Written, function: &SetFunctionEntry, position: u32) -> Result<Vec<OutputColumn>> {
        let way = Some("null::relation");
        let Written::Cast { expr, ty } = base else {
            return Err(self.refuse("a base row that is not null", function.name, way, position));
        };
        if expr.kind != Written::Null || ty.array_dimensions > 0 {
            return Err(self.refuse("a base row that is not null", function.name, way, position));
        }
        let name = ObjectName {
            schema: ty.schema.clone(),
            name: ty.name.clone(),
            position: ty.position,
        };
        let relation = self.relation(&name).map_err(|_| {
            place(
                DatabaseError::new("42704", format!("type \"{name}\" does not exist")),
                ty.position,
            )
        })?;
        let columns = relation.columns.iter();
        columns
            .map(|column| self.record_column(&column.name, column.ty.clone(), column.modifier, position))
            .collect()
    }

    fn record_column(&self, name: &Ident, ty: Type, modifier: TypeModifier, position: u32) -> Result<OutputColumn> {
        match &ty {
            Type::Domain(..) => {
                let feature = "a domain as the type of a JSON record's column";
                return Err(self.refuse(feature, name, Some("the base type and a cast"), position));
            }
            Type::Bytea => {
                return Err(self.refuse("bytea as the type of a JSON record's column", name, None, position));
            }
            _ => {}
        }
        Ok(OutputColumn {
            name: name.clone(),
            ty,
            modifier,
            source: None,
        })
    }
}

/// True for `null::record`.
fn is_null_record(base: &Written) -> bool {
    matches!(base, Written::Cast { expr, ty }
        if expr.kind == Written::Null && ty.array_dimensions == 0 && ty.schema.is_none() && *ty.name == *"record")
}
