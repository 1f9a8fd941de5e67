//! `WHEN` of a trigger: an expression over the two rows NEW and OLD.

use std::sync::Arc;

use mainstay_core::catalog::Relation;
use mainstay_core::name::Ident;
use mainstay_core::types::Type;

use super::names::{Names, Shape};
use super::parse::fields_of;
use super::tree::{Block, Conflicts, Entry, EntryKind, Fragment, Function, Variable, VariableId, VariableType};

/// The variable of NEW in a condition.
pub const NEW: VariableId = 0;
/// The variable of OLD in a condition.
pub const OLD: VariableId = 1;

/// What a condition on `relation` may name.
pub fn condition(relation: &Relation) -> Names {
    let ty = Type::Composite(relation.name.clone());
    let fields = fields_of(relation);
    let row = |name: &str| Variable {
        name: Ident::new(name),
        ty: VariableType::Row {
            ty: ty.clone(),
            fields: Arc::clone(&fields),
        },
        constant: true,
        not_null: false,
        default: None,
        line: 1,
    };
    let entry = |before, kind, name: &str| Entry {
        before,
        kind,
        name: Ident::new(name),
    };
    let label = EntryKind::Label {
        is_loop: false,
        is_function: true,
    };
    let function = Function {
        name: Ident::new(""),
        variables: vec![row("new"), row("old")],
        block: Block {
            label: None,
            declared: Vec::new(),
            body: Vec::new(),
            handlers: None,
        },
        arguments: Vec::new(),
        outputs: Vec::new(),
        found: NEW,
        trigger: None,
        fragments: 1,
        conflicts: Conflicts::Error,
        names: vec![
            entry(None, label, ""),
            entry(Some(0), EntryKind::Variable { id: NEW, is_row: true }, "new"),
            entry(Some(1), EntryKind::Variable { id: OLD, is_row: true }, "old"),
        ],
    };
    let fragment = Fragment {
        id: 0,
        text: Arc::from(""),
        line: 1,
        scope: Some(2),
    };
    let shape = Shape::Row {
        ty,
        fields,
        is_null: false,
    };
    Names::new(&Arc::new(function), &fragment, &Arc::from([shape.clone(), shape]))
}
