//! Values of expressions, and their assignment to variables and fields.

use std::sync::Arc;

use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::Ident;
use mainstay_core::types::{Type, TypeModifier};
use mainstay_sql::plpgsql::Shape;
use mainstay_sql::plpgsql::names::unassigned;
use mainstay_sql::plpgsql::tree::{Field, Fragment, Target, VariableId, VariableType};
use rusqlite::types::{Value as Scalar, ValueRef};

use super::code::{Code, Want, first_row};
use super::frame::first_shape;
use super::interpret::Interpreter;
use crate::values::cast::{self, Kind};

type Result<T> = std::result::Result<T, BackendError>;

/// A row's fields and their values.
pub(super) type WholeRow = (Arc<[Field]>, Vec<Scalar>);

impl Interpreter<'_> {
    pub(super) fn code(&self, fragment: &Fragment, want: Want<'_>) -> Result<Arc<Code>> {
        let compiled = self.running.compiled();
        Ok(self.program.expression(compiled, fragment, &self.frame.layout, want)?)
    }

    pub(super) fn value(&self, fragment: &Fragment, want: Want<'_>) -> Result<(Scalar, Type, TypeModifier)> {
        match &*self.code(fragment, want)? {
            Code::Value { value, ty, modifier } => {
                Ok((value.get(self.running, &self.frame.values)?, ty.clone(), *modifier))
            }
            _ => Err(BackendError::Internal("a value's code is none".into())),
        }
    }

    pub(super) fn value_as(&self, fragment: &Fragment, ty: &Type, modifier: TypeModifier) -> Result<Scalar> {
        self.value(fragment, Want::As(ty, modifier)).map(|(value, _, _)| value)
    }

    /// True if the condition holds; null does not.
    pub(super) fn condition(&self, fragment: &Fragment) -> Result<bool> {
        let value = self.value_as(fragment, &Type::Bool, TypeModifier::None)?;
        Ok(matches!(value, Scalar::Integer(1)))
    }

    /// A value in its text form.
    pub(super) fn text(&self, fragment: &Fragment) -> Result<Option<String>> {
        let (value, ty, _) = self.value(fragment, Want::Any)?;
        text(&ty, &value)
    }

    /// A row, or null.
    pub(super) fn row(&self, fragment: &Fragment) -> Result<Option<WholeRow>> {
        let variables = &self.frame.values;
        match &*self.code(fragment, Want::Row)? {
            Code::Row { values, fields } => {
                let values = values
                    .iter()
                    .map(|value| value.get(self.running, variables))
                    .collect::<Result<_>>()?;
                Ok(Some((Arc::clone(fields), values)))
            }
            Code::RowQuery { query, fields } => {
                let row = first_row(self.running, query, fields.len(), variables)?;
                Ok(row.map(|values| (Arc::clone(fields), values)))
            }
            Code::NullRow => Ok(None),
            _ => Err(BackendError::Internal("a row's code is none".into())),
        }
    }

    pub(super) fn converted(
        &self,
        value: Scalar,
        from: (&Type, TypeModifier),
        to: (&Type, TypeModifier),
    ) -> Result<Scalar> {
        // Only a domain may refuse null.
        if value == Scalar::Null && !matches!(to.0, Type::Domain(..)) {
            return Ok(value);
        }
        match self.program.conversion(&self.compiled(), from, to)? {
            None => Ok(value),
            Some(code) => match &*code {
                Code::Value { value: cast, .. } => cast.get(self.running, &[value]),
                _ => Err(BackendError::Internal("a conversion's code is none".into())),
            },
        }
    }

    /// Errors: 22004 for null where a variable is NOT NULL.
    pub(super) fn store(&mut self, variable: VariableId, value: Scalar) -> Result<()> {
        let declared = &self.program.function.variables[variable];
        if declared.not_null && value == Scalar::Null {
            let message = format!(
                "null value cannot be assigned to variable \"{}\" declared NOT NULL",
                declared.name
            );
            return Err(DatabaseError::new("22004", message).into());
        }
        self.frame.set(variable, value);
        Ok(())
    }

    /// A field's place. Errors: 55000, 42703.
    pub(super) fn field(&self, variable: VariableId, field: &Ident) -> Result<(usize, Field)> {
        let name = &self.program.function.variables[variable].name;
        let Some(fields) = self.frame.fields(variable) else {
            return Err(unassigned(name).into());
        };
        match fields.iter().position(|other| other.name == *field) {
            Some(index) => Ok((index, fields[index].clone())),
            None => {
                let message = format!("record \"{name}\" has no field \"{field}\"");
                Err(DatabaseError::new("42703", message).into())
            }
        }
    }

    pub(super) fn assign(&mut self, target: &Target, value: &Fragment) -> Result<()> {
        match &target.field {
            Some(field) => {
                let (index, field) = self.field(target.variable, field)?;
                let value = self.value_as(value, &field.ty, field.modifier)?;
                self.frame.set_field(self.program, target.variable, index, value);
                Ok(())
            }
            None => match self.frame.shape(target.variable).clone() {
                Shape::Scalar { ty, modifier } => {
                    let value = self.value_as(value, &ty, modifier)?;
                    self.store(target.variable, value)
                }
                Shape::Row { .. } | Shape::Unassigned => {
                    let row = self.row(value)?;
                    self.store_row(target.variable, row)
                }
            },
        }
    }

    /// Assigns a whole row: a record takes its shape, a row variable's fields are converted one by one.
    pub(super) fn store_row(&mut self, variable: VariableId, row: Option<WholeRow>) -> Result<()> {
        let declared = &self.program.function.variables[variable];
        match (&declared.ty, row) {
            (VariableType::Record, Some((fields, values))) => {
                let shape = Shape::Row {
                    ty: Type::Record,
                    fields,
                    is_null: false,
                };
                self.frame.set_row(self.program, variable, shape, values);
            }
            (VariableType::Record, None) => {
                let shape = match self.frame.shape(variable) {
                    Shape::Row { ty, fields, .. } => Shape::Row {
                        ty: ty.clone(),
                        fields: Arc::clone(fields),
                        is_null: true,
                    },
                    _ => Shape::Unassigned,
                };
                let values = vec![Scalar::Null; shape.width()];
                self.frame.set_row(self.program, variable, shape, values);
            }
            (VariableType::Row { ty, fields }, row) => {
                let is_null = row.is_none();
                let mut values = Vec::with_capacity(fields.len());
                let (from, given) = row.unwrap_or_else(|| (Arc::from([]), Vec::new()));
                let mut given = from.iter().zip(given);
                for field in fields.iter() {
                    values.push(match given.next() {
                        Some((from, value)) => {
                            self.converted(value, (&from.ty, from.modifier), (&field.ty, field.modifier))?
                        }
                        None => Scalar::Null,
                    });
                }
                let shape = Shape::Row {
                    ty: ty.clone(),
                    fields: Arc::clone(fields),
                    is_null,
                };
                self.frame.set_row(self.program, variable, shape, values);
            }
            (VariableType::Scalar { .. }, _) => {
                return Err(BackendError::Internal("a row is assigned to a plain variable".into()));
            }
        }
        Ok(())
    }

    /// Assigns a query's row, or nulls where there is none.
    pub(super) fn move_row(
        &mut self,
        targets: &[Target],
        fields: &Arc<[Field]>,
        values: Option<&[Scalar]>,
    ) -> Result<()> {
        for field in fields.iter() {
            if matches!(field.ty.base(), Type::Record | Type::Composite(_)) {
                let feature = "a whole row in a select list that is taken into variables";
                let way = Some("its columns");
                return Err(DatabaseError::unavailable(feature, self.name(), 1, way).into());
            }
        }
        if let [only] = targets
            && only.field.is_none()
            && !matches!(self.frame.shape(only.variable), Shape::Scalar { .. })
        {
            let values = match values {
                Some(values) => values.to_vec(),
                None => vec![Scalar::Null; fields.len()],
            };
            return self.store_row(only.variable, Some((Arc::clone(fields), values)));
        }
        for (index, target) in targets.iter().enumerate() {
            let value = values.and_then(|values| values.get(index)).cloned();
            let value = value.unwrap_or(Scalar::Null);
            let from = fields.get(index).map_or((Type::Text, TypeModifier::None), |field| {
                (field.ty.clone(), field.modifier)
            });
            self.store_value(target, value, (&from.0, from.1))?;
        }
        Ok(())
    }

    pub(super) fn store_value(&mut self, target: &Target, value: Scalar, from: (&Type, TypeModifier)) -> Result<()> {
        match &target.field {
            Some(field) => {
                let (index, field) = self.field(target.variable, field)?;
                let value = self.converted(value, from, (&field.ty, field.modifier))?;
                self.frame.set_field(self.program, target.variable, index, value);
                Ok(())
            }
            None => match self.frame.shape(target.variable).clone() {
                Shape::Scalar { ty, modifier } => {
                    let value = self.converted(value, from, (&ty, modifier))?;
                    self.store(target.variable, value)
                }
                _ => Err(BackendError::Internal("a value is assigned to a row".into())),
            },
        }
    }

    pub(super) fn set_found(&mut self, found: bool) {
        self.frame
            .set(self.program.function.found, Scalar::Integer(i64::from(found)));
    }

    /// Gives a variable its default, or null.
    pub(super) fn declare(&mut self, id: VariableId) -> Result<()> {
        let program = self.program;
        let declared = &program.function.variables[id];
        let Some(default) = &declared.default else {
            if let VariableType::Scalar { ty, modifier } = &declared.ty {
                self.converted(Scalar::Null, (&Type::Unknown, TypeModifier::None), (ty, *modifier))?;
            }
            let shape = first_shape(declared);
            let values = vec![Scalar::Null; shape.width()];
            self.frame.set_row(program, id, shape, values);
            return Ok(());
        };
        match &declared.ty {
            VariableType::Scalar { ty, modifier } => {
                let value = self.value_as(default, ty, *modifier)?;
                self.store(id, value)
            }
            _ => {
                let row = self.row(default)?;
                self.store_row(id, row)
            }
        }
    }
}

/// A value's text form; `None` for null.
fn text(ty: &Type, value: &Scalar) -> Result<Option<String>> {
    let value = match ValueRef::from(value) {
        ValueRef::Null => return Ok(None),
        value => value,
    };
    let kind = match ty.base() {
        Type::Unknown => Some(Kind::Text),
        ty => Kind::of(ty),
    };
    let Some(kind) = kind else {
        return Err(DatabaseError::unavailable(&format!("the text form of type {ty}"), "", 1, None).into());
    };
    cast::output(&kind, value)
        .map(Some)
        .map_err(|error| BackendError::Internal(error.message))
}
