//! Variables and their values: all in one list, in the variables' order, a row's fields one after the other.

use std::sync::Arc;

use mainstay_core::types::{Type, TypeModifier};
use mainstay_sql::plpgsql::Shape;
use mainstay_sql::plpgsql::names::offsets;
use mainstay_sql::plpgsql::tree::{Field, Variable, VariableId, VariableType};
use rusqlite::types::Value as Scalar;

use super::Program;

/// Where each variable's values stand.
#[derive(Debug)]
pub(super) struct Layout {
    /// Its number in the program.
    pub id: usize,
    pub shapes: Arc<[Shape]>,
    pub offsets: Vec<usize>,
}

impl Layout {
    pub fn new(id: usize, shapes: Vec<Shape>) -> Self {
        Layout {
            id,
            offsets: offsets(&shapes),
            shapes: Arc::from(shapes),
        }
    }

    fn width(&self) -> usize {
        self.shapes.iter().map(Shape::width).sum()
    }
}

/// What a variable is before anything was assigned to it.
pub(super) fn first_shape(variable: &Variable) -> Shape {
    match &variable.ty {
        VariableType::Scalar { ty, modifier } => Shape::Scalar {
            ty: ty.clone(),
            modifier: *modifier,
        },
        VariableType::Row { ty, fields } => Shape::Row {
            ty: ty.clone(),
            fields: Arc::clone(fields),
            is_null: true,
        },
        VariableType::Record => Shape::Unassigned,
    }
}

/// The values of one call.
#[derive(Debug)]
pub(super) struct Frame {
    pub layout: Arc<Layout>,
    pub values: Vec<Scalar>,
}

impl Frame {
    /// All null.
    pub fn new(layout: &Arc<Layout>) -> Self {
        Frame {
            values: vec![Scalar::Null; layout.width()],
            layout: Arc::clone(layout),
        }
    }

    pub fn shape(&self, variable: VariableId) -> &Shape {
        &self.layout.shapes[variable]
    }

    pub fn value(&self, variable: VariableId) -> &Scalar {
        &self.values[self.layout.offsets[variable]]
    }

    /// Sets a plain variable.
    pub fn set(&mut self, variable: VariableId, value: Scalar) {
        let at = self.layout.offsets[variable];
        self.values[at] = value;
    }

    /// The values of a row's fields.
    pub fn row(&self, variable: VariableId) -> &[Scalar] {
        let at = self.layout.offsets[variable];
        &self.values[at..at + self.layout.shapes[variable].width()]
    }

    /// Sets one field of a row; the row is no null row then.
    pub fn set_field(&mut self, program: &Program, variable: VariableId, field: usize, value: Scalar) {
        if let Shape::Row {
            ty,
            fields,
            is_null: true,
        } = self.shape(variable)
        {
            let shape = Shape::Row {
                ty: ty.clone(),
                fields: Arc::clone(fields),
                is_null: false,
            };
            let values = self.row(variable).to_vec();
            self.set_row(program, variable, shape, values);
        }
        let at = self.layout.offsets[variable];
        self.values[at + field] = value;
    }

    /// Gives a variable another shape with these values.
    pub fn set_row(&mut self, program: &Program, variable: VariableId, shape: Shape, values: Vec<Scalar>) {
        let at = self.layout.offsets[variable];
        let width = self.layout.shapes[variable].width();
        if self.layout.shapes[variable] != shape {
            let mut shapes = self.layout.shapes.to_vec();
            shapes[variable] = shape;
            self.layout = program.layout(shapes);
        }
        self.values.splice(at..at + width, values);
    }

    /// Gives a plain variable another type, as CASE does.
    pub fn set_typed(
        &mut self,
        program: &Program,
        variable: VariableId,
        ty: Type,
        modifier: TypeModifier,
        value: Scalar,
    ) {
        self.set_row(program, variable, Shape::Scalar { ty, modifier }, vec![value]);
    }

    /// The fields of a row variable.
    pub fn fields(&self, variable: VariableId) -> Option<&Arc<[Field]>> {
        match self.shape(variable) {
            Shape::Row { fields, .. } => Some(fields),
            _ => None,
        }
    }
}
