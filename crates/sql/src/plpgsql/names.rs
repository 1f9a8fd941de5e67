//! What names mean inside a function: the parser's scopes, and how an expression's analysis sees the variables.
//!
//! Source: PostgreSQL 15 manual, 43.2 (labels), 43.11.1 (variable substitution).

use std::sync::Arc;

use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use mainstay_core::types::{Type, TypeModifier};

use super::tree::{Entry, EntryKind, Field, Fragment, Function, VariableId};
use crate::typed::{Expr, ExprKind, Literal};

/// What a variable is while one expression is analysed.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    Scalar {
        ty: Type,
        modifier: TypeModifier,
    },
    Row {
        ty: Type,
        fields: Arc<[Field]>,
        /// The row as a whole is null: so are its fields.
        is_null: bool,
    },
    /// A record that nothing was assigned to yet.
    Unassigned,
}

impl Shape {
    /// The values that a variable of this shape has: its own, or its fields'.
    pub fn width(&self) -> usize {
        match self {
            Shape::Scalar { .. } => 1,
            Shape::Row { fields, .. } => fields.len(),
            Shape::Unassigned => 0,
        }
    }
}

/// Where each variable's values begin when all stand in one list, in the variables' order: the numbers that
/// [`ExprKind::Parameter`] has for them.
pub fn offsets(shapes: &[Shape]) -> Vec<usize> {
    let mut next = 0;
    shapes
        .iter()
        .map(|shape| {
            let offset = next;
            next += shape.width();
            offset
        })
        .collect()
}

/// The variables that one expression can see.
#[derive(Clone, Debug)]
pub struct Names {
    pub function: Arc<Function>,
    scope: Option<usize>,
    /// By variable.
    shapes: Arc<[Shape]>,
    offsets: Vec<usize>,
}

/// What an outside name stands for.
#[derive(Debug)]
pub enum Found {
    Value(Expr),
    /// A whole row: its fields, and whether it is null.
    Row {
        fields: Vec<Expr>,
        names: Vec<Ident>,
        ty: Type,
        is_null: bool,
    },
}

impl Names {
    /// The names that `fragment` sees, with the variables' shapes of the moment.
    pub fn new(function: &Arc<Function>, fragment: &Fragment, shapes: &Arc<[Shape]>) -> Self {
        Names {
            function: Arc::clone(function),
            scope: fragment.scope,
            shapes: Arc::clone(shapes),
            offsets: offsets(shapes),
        }
    }

    /// `$n`: an argument.
    pub fn positional(&self, number: usize) -> Option<Expr> {
        let variable = *self.function.arguments.get(number)?;
        match self.whole(variable) {
            Found::Value(expr) => Some(expr),
            _ => None,
        }
    }

    /// What `a`, `a.b` or `a.b.c` stands for, if it is a variable or a part of one.
    ///
    /// Errors: 55000 for a field of a record without a value; 42703 for a field it does not have, when `must`.
    pub fn find(&self, names: &[Ident], must: bool) -> Result<Option<Found>, DatabaseError> {
        let Some((variable, used)) = lookup(&self.function.names, self.scope, names) else {
            return Ok(None);
        };
        match names.get(used..).unwrap_or_default() {
            [] => Ok(Some(self.whole(variable))),
            [field] => self.field(variable, field, must),
            _ => Ok(None),
        }
    }

    fn whole(&self, variable: VariableId) -> Found {
        match &self.shapes[variable] {
            Shape::Scalar { ty, modifier } => Found::Value(Expr {
                modifier: *modifier,
                ..Expr::new(ExprKind::Parameter(self.offsets[variable]), ty.clone())
            }),
            Shape::Row { ty, fields, is_null } => Found::Row {
                fields: (0..fields.len())
                    .map(|index| field_expr(self.offsets[variable] + index, &fields[index], *is_null))
                    .collect(),
                names: fields.iter().map(|field| field.name.clone()).collect(),
                ty: ty.clone(),
                is_null: *is_null,
            },
            // As a whole it is null; only its fields cannot be known.
            Shape::Unassigned => Found::Row {
                fields: Vec::new(),
                names: Vec::new(),
                ty: Type::Record,
                is_null: true,
            },
        }
    }

    fn field(&self, variable: VariableId, field: &Ident, must: bool) -> Result<Option<Found>, DatabaseError> {
        match &self.shapes[variable] {
            Shape::Row { fields, is_null, .. } => {
                if let Some(index) = fields.iter().position(|other| other.name == *field) {
                    return Ok(Some(Found::Value(field_expr(
                        self.offsets[variable] + index,
                        &fields[index],
                        *is_null,
                    ))));
                }
                if self.is_condition() && is_system_column(field) {
                    let feature = format!("the system column {field}");
                    return Err(DatabaseError::unavailable(&feature, "WHEN", 1, None));
                }
                if !must {
                    return Ok(None);
                }
                let name = &self.function.variables[variable].name;
                let message = format!("record \"{name}\" has no field \"{field}\"");
                Err(DatabaseError::new("42703", message))
            }
            Shape::Unassigned => Err(self.unassigned(variable)),
            Shape::Scalar { .. } => Ok(None),
        }
    }

    /// True for WHEN of a trigger, which belongs to no function.
    fn is_condition(&self) -> bool {
        self.function.name.as_str().is_empty() && self.function.block.body.is_empty()
    }

    fn unassigned(&self, variable: VariableId) -> DatabaseError {
        unassigned(&self.function.variables[variable].name)
    }
}

fn is_system_column(name: &Ident) -> bool {
    matches!(name.as_str(), "tableoid" | "ctid" | "xmin" | "cmin" | "xmax" | "cmax")
}

/// 55000 for a record without a value.
pub fn unassigned(name: &Ident) -> DatabaseError {
    DatabaseError::new("55000", format!("record \"{name}\" is not assigned yet"))
        .detail("The tuple structure of a not-yet-assigned record is indeterminate.")
}

fn field_expr(number: usize, field: &Field, is_null: bool) -> Expr {
    let kind = if is_null {
        ExprKind::Literal(Literal::Null)
    } else {
        ExprKind::Parameter(number)
    };
    Expr {
        modifier: field.modifier,
        ..Expr::new(kind, field.ty.clone())
    }
}

/// Looks a name of one to three parts up, from the entry `from` outwards: the variable and how many parts named it.
pub(super) fn lookup(entries: &[Entry], from: Option<usize>, names: &[Ident]) -> Option<(VariableId, usize)> {
    let mut level = from;
    while let Some(start) = level {
        // The level's variables, then its label.
        let mut at = Some(start);
        let mut label = None;
        while let Some(index) = at {
            let entry = &entries[index];
            match entry.kind {
                EntryKind::Variable { id, is_row } if entry.name == names[0] && (is_row || names.len() == 1) => {
                    return Some((id, 1));
                }
                EntryKind::Variable { .. } => at = entry.before,
                EntryKind::Label { .. } => {
                    label = Some(index);
                    break;
                }
            }
        }
        let label = label?;
        if names.len() > 1 && entries[label].name == names[0] {
            let mut at = Some(start);
            while let Some(index) = at.filter(|index| *index != label) {
                if let EntryKind::Variable { id, is_row } = entries[index].kind
                    && entries[index].name == names[1]
                    && (is_row || names.len() == 2)
                {
                    return Some((id, 2));
                }
                at = entries[index].before;
            }
        }
        level = entries[label].before;
    }
    None
}
