//! Routines: arguments, defaults and what they return.

use mainstay_core::catalog::{Argument, Returns, Routine, Volatility};
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::Type;

use super::assemble::Context;
use super::rows::RoutineRow;

/// Builds the routine that `row` describes.
pub fn routine(row: &RoutineRow, context: &Context<'_>) -> Routine {
    let types = row
        .all_types
        .as_ref()
        .or(row.input_types.as_ref())
        .cloned()
        .unwrap_or_default();
    let mode = |index: usize| {
        row.modes
            .as_ref()
            .and_then(|modes| modes.get(index))
            .map_or("i", String::as_str)
    };
    let name = |index: usize| {
        row.names
            .as_ref()
            .and_then(|names| names.get(index))
            .map_or("", String::as_str)
    };

    let inputs: Vec<usize> = (0..types.len())
        .filter(|index| matches!(mode(*index), "i" | "b" | "v"))
        .collect();
    let first_default = inputs.len().saturating_sub(row.defaults);
    let arguments = inputs
        .iter()
        .enumerate()
        .map(|(position, index)| Argument {
            name: Ident::from(name(*index)),
            ty: context.types.get(types[*index]),
            // Only its presence matters: PostgreSQL fills it in.
            default: (position >= first_default).then(|| "DEFAULT".to_owned()),
            variadic: mode(*index) == "v",
        })
        .collect();

    let outputs: Vec<(Ident, Type)> = (0..types.len())
        .filter(|index| matches!(mode(*index), "o" | "b" | "t"))
        .enumerate()
        .map(|(position, index)| {
            let name = match name(index) {
                "" => format!("column{}", position + 1),
                name => name.to_owned(),
            };
            (Ident::from(name), context.types.get(types[index]))
        })
        .collect();
    let row_type = context.types.relation_of(row.returns);
    let columns = match row_type {
        // A type of its own (CREATE TYPE … AS): nothing else in the catalog lists its columns.
        Some(oid) if outputs.is_empty() && !context.relation_names.contains_key(&oid) => context.composite_columns(oid),
        _ => outputs,
    };

    Routine {
        name: QualifiedName::new(row.schema.as_str(), row.name.as_str()),
        owner: context.role(row.owner),
        arguments,
        returns: Returns {
            ty: context.types.get(row.returns),
            set: row.returns_set,
            columns,
            relation: row_type.and_then(|oid| context.relation_names.get(&oid)).cloned(),
            at_most_one: row.rows <= 1.0,
        },
        volatility: match row.volatility.as_str() {
            "i" => Volatility::Immutable,
            "s" => Volatility::Stable,
            _ => Volatility::Volatile,
        },
        strict: row.strict,
        security_definer: row.security_definer,
        language: Ident::from(row.language.as_str()),
        // PostgreSQL runs it; nobody here needs its text.
        body: String::new(),
        search_path: Vec::new(),
        acl: context.acl(row.acl.as_deref(), None),
        comment: row.comment.clone(),
        is_procedure: row.kind == "p",
        id: u64::from(row.oid),
    }
}
